// Follows the log: when decisions were made, the page is fetched again and its parts marked data-live are exchanged.
// Without scripting the page is as it was when it was asked for.
const bar = document.querySelector("[data-live-state]");
const every = Number(bar?.dataset.liveEvery) || 2000; // ms between exchanges, at least
let seen = bar?.dataset.liveSeen ?? "", paused = false, busy = false, due = 0, last = 0;

const say = text => { bar.querySelector("[data-live-text]").textContent = text; };

async function exchange() {
  due = 0;
  if (paused || busy || document.hidden) return;
  busy = true;
  last = Date.now();
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok || answer.redirected) { // signed out
      stream.close();
      say("Not live: load the page again.");
      return;
    }
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-live]")) {
      const next = fresh.getElementById(part.id);
      if (next && !part.contains(document.activeElement)) part.replaceWith(document.adoptNode(next));
    }
    say("Live");
  } catch {
    say("Not reached; trying again.");
  } finally {
    busy = false;
  }
}

const soon = () => { due ||= setTimeout(exchange, Math.max(0, last + every - Date.now())); };

let stream;
if (bar) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet";
  button.textContent = "Pause";
  button.addEventListener("click", () => {
    paused = !paused;
    button.textContent = paused ? "Go on" : "Pause";
    say(paused ? "Paused" : "Live");
    if (!paused) soon();
  });
  bar.append(button);
  bar.hidden = false;
  stream = new EventSource("/console/live");
  stream.addEventListener("open", () => { if (!paused) say("Live"); });
  stream.addEventListener("error", () => { if (stream.readyState === EventSource.CLOSED) say("Not live: load the page again."); });
  stream.addEventListener("decision", e => { if (e.data !== seen) { seen = e.data; soon(); } });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) soon(); });
}

package console_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/juncture/juncture/internal/testkit"
)

// browser is a page of Chromium that a test drives.
type browser struct {
	t    testing.TB
	ctx  context.Context
	axes bool // axe-core was brought
}

// openBrowser starts Chromium, or skips the test where there is none.
func openBrowser(t *testing.T, unseen string) *browser {
	t.Helper()
	path := testkit.Chromium(t, unseen)
	if testing.Short() {
		t.Skip("a browser takes seconds: not with -short")
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.Flag("headless", "new"), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Flag("disable-dev-shm-usage", true))...)
	t.Cleanup(stop)
	ctx, stop := chromedp.NewContext(allocator)
	t.Cleanup(stop)
	if err := chromedp.Do(ctx); err != nil { // a deadline on the first run would end the browser
		t.Fatal(err)
	}
	ctx, stop = context.WithTimeout(ctx, 8*time.Minute)
	t.Cleanup(stop)
	return &browser{t: t, ctx: ctx}
}

// another opens a page with cookies of its own.
func (b *browser) another(t *testing.T) *browser {
	t.Helper()
	ctx, stop := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(stop)
	return &browser{t: t, ctx: ctx}
}

func (b *browser) run(what string, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatalf("%s: %v", what, err)
	}
}

// say evaluates a script that gives a text.
func (b *browser) say(script string) string {
	b.t.Helper()
	return evaluate[string](b, script)
}

func evaluate[T any](b *browser, script string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%.300s: %v", script, err)
	}
	return v
}

func (b *browser) scheme(scheme string) {
	b.t.Helper()
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, media); err != nil {
		b.t.Fatal(err)
	}
}

func (b *browser) width(width int64) {
	b.t.Helper()
	b.run("viewport", chromedp.EmulateViewport(width, 900))
}

func (b *browser) look(scheme string, width int64) {
	b.t.Helper()
	b.scheme(scheme)
	b.width(width)
}

// shoot keeps a picture in the directory in JUNCTURE_SCREENSHOTS: of the page as it opens, whatever was done to look at it.
func (b *browser) shoot(name string) {
	b.t.Helper()
	dir := os.Getenv("JUNCTURE_SCREENSHOTS")
	if dir == "" {
		return
	}
	b.say(`document.activeElement.blur(), document.querySelectorAll('.scroll').forEach(e => e.scrollTo(0, 0)), document.querySelectorAll('[data-folded="1"]').forEach(d => d.open = false), scrollTo(0, 0), ''`)
	defer b.say(`document.querySelectorAll('[data-folded="1"]').forEach(d => d.open = true), ''`)
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil { // too long for one picture
		png, err = chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, strings.NewReplacer(", ", "-", " ", "-").Replace(name)+".png"), png, 0o644)
	}
	if err != nil {
		b.t.Errorf("%s: %v", name, err)
	}
}

// steady finds what makes a page scroll sideways.
func (b *browser) steady(page string) {
	b.t.Helper()
	over := evaluate[[]string](b, `document.documentElement.scrollWidth > innerWidth
		? [...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth && !e.closest('.scroll, pre')).slice(0, 8).map(e => e.tagName + '.' + e.className)
		  .concat(String(document.documentElement.scrollWidth)) : []`)
	if len(over) > 0 {
		b.t.Errorf("%s scrolls sideways: %v", page, over)
	}
}

// audit finds what keeps people out who do not see the page or have no mouse, where axe-core is not so strict.
func (b *browser) audit(page string) {
	b.t.Helper()
	wrong := evaluate[[]string](b, `(() => {
		const out = [], all = s => [...document.querySelectorAll(s)], say = (what, e) => out.push(what + ': ' + e.outerHTML.slice(0, 120));
		const named = e => (e.getAttribute('aria-label') || (e.getAttribute('aria-labelledby') || '').split(' ').map(id => document.getElementById(id)?.textContent || '').join('') || e.textContent).trim();
		const ids = {};
		for (const e of all('[id]')) { if (ids[e.id]) say('an id twice', e); ids[e.id] = true; }
		for (const e of all('input:not([type=hidden]), select, textarea')) if (!e.labels.length || !e.labels[0].textContent.trim()) say('a field without a label', e);
		for (const e of all('a, button, summary, th, nav, [role=region]')) if (!named(e)) say('no name', e);
		for (const e of all('[aria-labelledby], [aria-describedby]')) for (const a of ['aria-labelledby', 'aria-describedby']) for (const id of (e.getAttribute(a) || '').split(' ')) if (id && !document.getElementById(id)) say('refers to nothing', e);
		for (const e of all('a[aria-label]:not(svg *), button[aria-label]')) if (!e.getAttribute('aria-label').includes(e.textContent.trim())) say('its name is not what it says', e);
		for (const e of all('a[href^="#"]')) if (!document.getElementById(e.getAttribute('href').slice(1))) say('leads nowhere', e);
		for (const e of all('.scroll')) if (e.tabIndex != 0) say('scrolls for the mouse alone', e);
		for (const e of all('a, button, input, select, textarea')) if (e.tabIndex < 0) say('not reached', e);
		for (const e of all('a a, a button, button a, summary a')) say('a control in a control', e);
		let level = 0;
		for (const e of all('h1, h2, h3, h4')) { const l = +e.tagName[1]; if (l > level + 1) say('a level left out', e); level = l; }
		if (all('h1').length != 1 || all('main').length != 1) out.push('not one h1 and one main');
		for (const e of all('[style], script:not([src]), style')) say('inline', e);
		return out.slice(0, 12) })()`)
	if len(wrong) > 0 {
		b.t.Errorf("%s: %s", page, strings.Join(wrong, "\n"))
	}
}

// bring has axe-core in every page that is opened from now on; the console's policy, which would refuse it, is not asked.
func (b *browser) bring(axe string) {
	b.t.Helper()
	if b.axes = axe != ""; b.axes {
		if _, err := chromedp.Call(b.ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: axe}); err != nil {
			b.t.Fatal(err)
		}
	}
}

// axe runs axe-core over the page: all of its rules, or only those that are named. Nothing, where it was not brought.
func (b *browser) axe(page string, only ...string) {
	b.t.Helper()
	if !b.axes {
		return
	}
	options := `{resultTypes: ['violations'], preload: false` // nothing is fetched from elsewhere
	if len(only) > 0 {
		options += `, runOnly: ['` + strings.Join(only, `','`) + `']`
	}
	if found := evaluate[[]string](b, `axe.run(document, `+options+`}).then(r => r.violations.map(v => v.id + ': ' + v.nodes.slice(0, 4).map(n => n.html.slice(0, 150) + ' | ' + n.failureSummary.replace(/\s+/g, ' ').slice(0, 250)).join('\n    ')))`); len(found) > 0 {
		b.t.Errorf("%s: axe-core finds\n  %s", page, strings.Join(found, "\n  "))
	}
}

// fingerprint is the page's content in short.
func (b *browser) fingerprint() string {
	b.t.Helper()
	return b.say(`(() => { let h = 5381; const s = document.querySelector('main').outerHTML; for (let i = 0; i < s.length; i++) h = (h * 33 ^ s.charCodeAt(i)) | 0; return s.length + ' ' + h })()`)
}

// painted are the ways in which the page paints texts: the tags and classes that each stands in.
func (b *browser) painted() []string {
	b.t.Helper()
	return evaluate[[]string](b, `[...new Set([...document.querySelectorAll('body *')].filter(e => [...e.childNodes].some(n => n.nodeType == 3 && n.data.trim())).map(e => {
		const path = []; for (; e; e = e.parentElement) path.push(e.tagName + '.' + (e.getAttribute('class') || '')); return path.join(' ') }))]`)
}

// keys tabs through the page: everything that can be done is reached, and shows that it is.
func (b *browser) keys(page string) {
	b.t.Helper()
	stops := evaluate[int](b, `(() => {
		document.activeElement.blur(); // the first field of a form may have it
		getSelection().removeAllRanges();
		window.reached = new Set(), window.unseen = [];
		addEventListener('focusin', e => {
			reached.add(e.target);
			const s = getComputedStyle(e.target);
			const frame = e.target.matches('a') && e.target.querySelector('.frame'); // a cell of a figure has its frame drawn stronger
			const drawn = frame ? parseFloat(getComputedStyle(frame).strokeWidth) >= 3 : s.outlineStyle != 'none' && parseFloat(s.outlineWidth) >= 1;
			if (!e.target.matches(':focus-visible') || !drawn) unseen.push(e.target.outerHTML.slice(0, 120) + ' ' + s.outlineStyle);
		});
		window.stops = [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex="0"]')].filter(e => !e.disabled && e.checkVisibility() && !(e.type == 'radio' && !e.checked));
		return stops.length + 8 * document.querySelectorAll('input[type=date], input[type=datetime-local]').length })()`) // a date has a stop for each of its parts
	for range stops + 10 { // round again, where it began in the middle
		for _, kind := range []input.DispatchKeyEventType{input.DispatchKeyEventTypeRawKeyDown, input.DispatchKeyEventTypeKeyUp} {
			if _, err := chromedp.Call(b.ctx, input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: kind, Key: "Tab", Code: "Tab", WindowsVirtualKeyCode: 9}); err != nil {
				b.t.Fatalf("%s: %v", page, err)
			}
		}
	}
	// What live.js exchanged meanwhile is another element.
	if missed := evaluate[[]string](b, `stops.filter(e => e.isConnected && !reached.has(e)).map(e => 'not reached: ' + e.outerHTML.slice(0, 120)).concat(unseen.map(s => 'no outline: ' + s)).slice(0, 8)`); len(missed) > 0 {
		b.t.Errorf("%s by keyboard, %d stops:\n  %s", page, stops, strings.Join(missed, "\n  "))
	}
}

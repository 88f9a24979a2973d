package main

import (
	"context"
	"encoding/csv"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/access"
	"github.com/juncture/juncture/client"
	"github.com/juncture/juncture/internal/testkit"
)

// patience is how long a person waits for a page.
const patience = 20 * time.Second

// visitor is a person with a browser in front of the console.
type visitor struct {
	t    *testing.T
	ctx  context.Context
	base string
}

// openBrowser starts Chromium with an empty profile; scripting says whether its pages may run scripts.
func openBrowser(t *testing.T, path, base string, scripting bool) *visitor {
	t.Helper()
	allocator, stop := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.Flag("headless", "new"), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Flag("disable-dev-shm-usage", true))...)
	t.Cleanup(stop)
	browser, stop := chromedp.NewContext(allocator)
	t.Cleanup(stop)
	if err := chromedp.Do(browser); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(browser, 2*time.Minute)
	t.Cleanup(stop)
	if _, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !scripting}); err != nil {
		t.Fatal(err)
	}
	return &visitor{t, ctx, base}
}

func (v *visitor) do(steps ...chromedp.Action[chromedp.Void]) {
	v.t.Helper()
	for i, step := range steps {
		ctx, stop := context.WithTimeout(v.ctx, patience)
		err := chromedp.Do(ctx, step)
		stop()
		if err != nil {
			v.t.Fatalf("step %d at %s: %v", i+1, v.at(), err)
		}
	}
}

func (v *visitor) at() string {
	where, err := chromedp.Run(v.ctx, chromedp.Location())
	if err != nil {
		return err.Error()
	}
	return strings.TrimPrefix(where, v.base)
}

func (v *visitor) open(path string) {
	v.t.Helper()
	v.do(chromedp.Navigate(v.base+path), chromedp.WaitReady(chromedp.CSS("main")))
}

// follow clicks and waits for the page that it leads to.
func (v *visitor) follow(selector string) {
	v.t.Helper()
	if _, err := chromedp.Run(v.ctx, chromedp.Evaluate[bool](`window.left = true`)); err != nil {
		v.t.Fatal(err)
	}
	v.do(chromedp.Click(chromedp.CSS(selector)))
	for until := time.Now().Add(patience); ; {
		here, err := chromedp.Run(v.ctx, chromedp.Evaluate[bool](`window.left !== true && document.readyState === 'complete' && document.querySelector('main') !== null`))
		if here && err == nil {
			return
		}
		if time.Now().After(until) {
			v.t.Fatalf("%s leads nowhere from %s: %v", selector, v.at(), err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (v *visitor) fill(selector, text string) {
	v.t.Helper()
	v.do(chromedp.SendKeys(chromedp.CSS(selector), text))
}

func (v *visitor) text(selector string) string {
	v.t.Helper()
	ctx, stop := context.WithTimeout(v.ctx, patience)
	defer stop()
	s, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS(selector)))
	if err != nil {
		v.t.Fatalf("%s at %s: %v", selector, v.at(), err)
	}
	return s
}

func (v *visitor) sees(selector, text string) {
	v.t.Helper()
	if s := v.text(selector); !strings.Contains(s, text) {
		v.t.Errorf("%s has no %q in %s:\n%s", v.at(), text, selector, s)
	}
}

func (v *visitor) signIn(name string) {
	v.t.Helper()
	v.fill(`input[name=name]`, name)
	v.fill(`input[name=password]`, secretWord)
	v.follow(`main button[type=submit]`)
}

// session is the cookie that the browser holds.
func (v *visitor) session() *http.Cookie {
	v.t.Helper()
	kept, err := chromedp.Call(v.ctx, network.GetCookies, network.GetCookiesParams{URLs: []string{v.base}})
	if err != nil {
		v.t.Fatal(err)
	}
	for _, c := range kept.Cookies {
		if c.Name == "juncture" {
			return &http.Cookie{Name: c.Name, Value: c.Value}
		}
	}
	v.t.Fatal("the browser holds no session")
	return nil
}

// fetch follows a link of the page with the browser's session, as a download does.
func (v *visitor) fetch(link string, session *http.Cookie) *http.Response {
	v.t.Helper()
	req, err := http.NewRequestWithContext(v.ctx, http.MethodGet, v.base+link, nil)
	if err != nil {
		v.t.Fatal(err)
	}
	req.AddCookie(session)
	resp, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	v.t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// export downloads the table behind a link of the page and returns its rows.
func (v *visitor) export(selector string) [][]string {
	v.t.Helper()
	ctx, stop := context.WithTimeout(v.ctx, patience)
	defer stop()
	link, err := chromedp.Run(ctx, chromedp.AttributeValue(chromedp.CSS(selector), "href"))
	if err != nil || !link.Exists {
		v.t.Fatalf("%s at %s: %v", selector, v.at(), err)
	}
	resp := v.fetch(link.Value, v.session())
	rows, err := csv.NewReader(resp.Body).ReadAll()
	if kind := resp.Header.Get("Content-Type"); err != nil || resp.StatusCode != 200 || kind != "text/csv; charset=utf-8" || !strings.HasPrefix(resp.Header.Get("Content-Disposition"), "attachment;") {
		v.t.Fatalf("%s: %d %s %v", link.Value, resp.StatusCode, kind, err)
	}
	return rows
}

// bigStore is a server on a free port, on a store with evidence: 10,000 intersections, 30,000 decisions.
func bigStore(t *testing.T) (s *running, e *evidence, key string) {
	t.Helper()
	a := &app{settings: defaults(), out: io.Discard, err: io.Discard, now: time.Now}
	a.Addr, a.DB, a.Drain = "127.0.0.1:0", filepath.Join(t.TempDir(), "walk.db"), 0
	s, err := a.startServer(t.Context(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	testkit.Apply(t, s.db, testkit.Declaration(testkit.Shares(0.5, 0.5, 0, 0))) // who is drawn at random sees every action soon
	e = newEvidence(t, s.node, 10_000, 30_000)
	e.write(e.total)
	if _, err := s.people.AddUser(t.Context(), access.Who{Actor: "test", From: "test"}, "ada", access.RoleAdmin, secretWord, a.now()); err != nil {
		t.Fatal(err)
	}
	k, secret, err := access.NewKey("shop", []access.Scope{access.ScopeAdmin}, false, nil, a.now(), a.random())
	if err == nil {
		err = s.db.CreateKey(t.Context(), k, access.KeyNote(access.Who{Actor: "test", From: "test"}, k, a.now()))
	}
	if err != nil {
		t.Fatal(err)
	}
	return s, e, secret
}

// TestWalkInChromium goes through the console as a merchant does, on a store of 10,000 intersections, with scripting off
// but for what is live, and holds what the storefront is answered against what was just done.
func TestWalkInChromium(t *testing.T) {
	path := testkit.Chromium(t, "nobody walked through the console")
	if testing.Short() {
		t.Skip("a browser takes seconds: not with -short")
	}
	s, e, key := bigStore(t)
	base := "http://" + s.addr
	shop := client.New(base, key, client.Options{Retries: -1, Timeout: 20 * time.Second})
	moment := juncture.LayerValues{Moment: "loyal.at-risk.researching", Meaning: "c1", Trajectory: "high.rising", Catalogue: "k1"}
	shoppers := 0
	choose := func() *juncture.ChooseAnswer {
		t.Helper()
		shoppers++
		a, err := shop.Choose(t.Context(), &juncture.ChooseRequest{Surface: "home_hero", ShopperID: "walker-" + strconv.Itoa(shoppers), Layers: &moment})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	offered := func(action string) bool {
		t.Helper()
		return slices.ContainsFunc(choose().Ranking, func(r juncture.RankedView) bool { return r.ActionID == action && r.Probability > 0 })
	}
	v := openBrowser(t, path, base, false)

	t.Log("sign in, and be led to the page that was asked for")
	v.open("/console/intersections")
	if at := v.at(); at != "/console/sign-in?next=%2Fconsole%2Fintersections" {
		t.Fatalf("nobody in particular is at %s", at)
	}
	v.signIn("ada")
	v.sees("h1", "What wins where")
	v.sees("#headline", "30,000")

	t.Log("filter the grid and drill down to one intersection")
	v.do(chromedp.Click(chromedp.CSS(`form.controls summary`)), chromedp.WaitVisible(chromedp.CSS(`select[name="filter.mode"]`)), chromedp.SetValue(chromedp.CSS(`select[name="filter.mode"]`), "researching"))
	v.follow(`form.controls button`)
	left, err := strconv.Atoi(strings.ReplaceAll(v.text(`#headline dl.tiles div:first-child dd`), ",", ""))
	if err != nil || left < 10_000 || left > 20_000 || !strings.Contains(v.at(), "filter.mode=researching") {
		t.Errorf("filtered: %d decisions at %s, %v", left, v.at(), err)
	}
	if rows := v.export(`section[aria-labelledby=h-table] a.button`); len(rows) != 1+4*6 { // lifecycles by statuses
		t.Errorf("the grid's table has %d rows", len(rows))
	}
	v.follow(`svg.winner-grid a.cell`)
	list := v.export(`section[aria-labelledby=h-table] a.button`)
	v.follow(`section[aria-labelledby=h-table] th.wide a`)
	one := v.at()
	u, err := url.Parse(one)
	if err != nil {
		t.Fatal(err)
	}
	cell, err := juncture.ParseIntersection(u.Query().Get("key"))
	if err != nil || !slices.Contains(e.keys, cell) || !strings.HasSuffix(cell[0], ".researching") || len(list) != 1+15*14 {
		t.Errorf("drilled down to %s of %d, %v", one, len(list), err)
	}
	v.sees("p.fine", cell.Key())
	moment = juncture.LayerValues{Moment: cell[0], Meaning: cell[1], Trajectory: cell[2], Catalogue: cell[3]}

	t.Log("approve a draft, after comparing it with what is live")
	if _, err := shop.WriteCopy(t.Context(), "news", juncture.CopyDraft{Copy: juncture.Copy{ID: "plain", Headline: "The walkers' spring"}, Submit: true}); err != nil {
		t.Fatal(err)
	}
	headline := func() string {
		t.Helper()
		for range 400 {
			if a := choose(); *a.ActionID == "news" {
				return a.Copy.Headline
			}
		}
		t.Fatal("never shown")
		return ""
	}
	if got := headline(); got != "news plain" {
		t.Errorf("before its approval shoppers read %q", got)
	}
	v.follow(`nav a[href="/console/reviews"]`)
	v.sees("table.diff", "news plain")
	v.sees("table.diff ins", "The walkers' spring")
	v.do(chromedp.Click(chromedp.CSS(`input[name=item]`)))
	v.fill(`textarea[name=reason]`, "Spring is here")
	v.follow(`button[name=verb][value=approve]`)
	v.sees(".done", "Approved")
	if got := headline(); got != "The walkers' spring" {
		t.Errorf("after its approval shoppers read %q", got)
	}

	t.Log("compare its versions")
	v.open(one)
	v.follow(`section[aria-labelledby=h-actions] a[href="/console/pool/news"]`)
	v.sees(`section[aria-labelledby=h-v-plain]`, "Spring is here")
	evidenceOf := func(row string) (decisions int) {
		t.Helper()
		decisions, err := strconv.Atoi(strings.ReplaceAll(v.text(`section[aria-labelledby=h-v-plain] tbody tr:`+row+` td:nth-child(6)`), ",", ""))
		if err != nil {
			t.Fatal(err)
		}
		return decisions
	}
	if newer, older := evidenceOf("first-child"), evidenceOf("last-child"); newer < 1 || older < 5000 {
		t.Errorf("version 2 has %d decisions, version 1 has %d", newer, older)
	}

	t.Log("pause it, resume it; kill it, restore it; the same of the surface")
	hold := `form[action="/console/pool/news/hold"]:not(:has(input[name=copy]))`
	stop := `form[action="/console/pool-switch"]`
	for _, step := range []struct {
		form, verb, word string
		offered          bool
	}{{hold, "pause", "Paused", false}, {hold, "resume", "Resumed", true}, {stop, "kill", "Killed", false}, {stop, "restore", "Restored", true}} {
		v.fill(step.form+` input[name=reason]`, "walking by")
		v.follow(step.form + map[bool]string{true: ` button[value=` + step.verb + `]`, false: ` button`}[step.form == hold])
		v.sees(".done", step.word)
		if offered("news") != step.offered {
			t.Errorf("after %s it is offered: %v", step.verb, !step.offered)
		}
	}
	v.follow(`nav.crumbs a`)
	v.do(chromedp.SetValue(chromedp.CSS(`section[aria-labelledby=h-kill] select[name=what]`), "surface home_hero"))
	v.fill(`section[aria-labelledby=h-kill] input[name=reason]`, "a fire drill")
	v.follow(`section[aria-labelledby=h-kill] button`)
	v.sees(`section[aria-labelledby=h-killed]`, "a fire drill")
	if a := choose(); a.ActionID != nil || len(a.Ranking) > 0 {
		t.Errorf("a killed surface answers %+v", a)
	}
	v.fill(`section[aria-labelledby=h-killed] input[name=reason]`, "the drill is over")
	v.follow(`section[aria-labelledby=h-killed] button`)
	if !offered("news") {
		t.Error("a restored surface does not answer")
	}
	if rows := v.export(`section[aria-labelledby=h-pool] a[href*=".csv"]`); len(rows) != 5 || !strings.Contains(strings.Join(rows[2], ",")+strings.Join(rows[3], ","), "news") {
		t.Errorf("the pool's table: %v", rows)
	}

	t.Log("explain and replay a decision")
	answer := choose()
	v.follow(`nav a[href="/console/decisions"]`)
	v.fill(`form.controls input[name=shopper]`, "walker-"+strconv.Itoa(shoppers))
	v.follow(`form.controls button`)
	if rows := v.export(`section[aria-labelledby=h-log] a.button`); len(rows) != 2 || !slices.Contains(rows[1], answer.DecisionID) {
		t.Errorf("the shopper's decisions: %v", rows)
	}
	v.follow(`table.log tbody tr td:last-child a`)
	v.sees("p.fine", answer.DecisionID)
	v.follow(`section[aria-labelledby=h-replay] a.button`)
	v.sees(`section[aria-labelledby=h-replay]`, "the same to the last digit")
	if answer.Intersection.Key != cell.Key() {
		t.Errorf("decided at %s", answer.Intersection.Key)
	}
	v.follow(`section[aria-labelledby=h-layers] .note a`)
	if at := v.at(); at != one {
		t.Errorf("the decision was made at %s, and leads to %s", one, at)
	}
	v.sees(`section[aria-labelledby=h-decisions]`, "Why")

	t.Log("the audit log has all of it")
	v.follow(`nav a[href="/console/audit"]`)
	v.follow(`form[action="/console/audit/verify"] button`)
	v.sees(".proof", "Whole")
	log := v.export(`section[aria-labelledby=h-log] a.button`)
	did := ""
	for _, row := range log[1:] {
		did += strings.Join(row, " ") + "\n"
	}
	for _, reason := range []string{"Spring is here", "walking by", "a fire drill", "the drill is over"} {
		if !strings.Contains(did, reason) {
			t.Errorf("the audit log has no %q:\n%s", reason, did)
		}
	}
	if by := strings.Count(did, "user:ada"); by < 7 {
		t.Errorf("ada did 7 things, the log has %d:\n%s", by, did)
	}

	t.Log("sign out")
	session := v.session()
	v.follow(`.who button`)
	v.sees("h1", "Sign in")
	for _, page := range []string{"/console/intersections", "/console/audit.csv"} {
		if resp := v.fetch(page, session); resp.StatusCode != 303 || !strings.HasPrefix(resp.Header.Get("Location"), "/console/sign-in") {
			t.Errorf("%s answers %d to the session that was signed out of", page, resp.StatusCode)
		}
	}

	t.Log("with scripting on, the open log follows")
	v = openBrowser(t, path, base, true)
	v.open("/console/decisions")
	v.signIn("ada")
	v.do(chromedp.WaitVisible(chromedp.CSS(`[data-live-state] button`)))
	if _, err := chromedp.Run(v.ctx, chromedp.Evaluate[bool](`window.stayed = true`)); err != nil {
		t.Fatal(err)
	}
	choose()
	v.do(chromedp.WaitVisible(chromedp.CSS(`#log a[href="/console/shopper?id=walker-` + strconv.Itoa(shoppers) + `"]`)))
	if stayed, err := chromedp.Run(v.ctx, chromedp.Evaluate[bool](`window.stayed === true`)); err != nil || !stayed {
		t.Errorf("the page was loaded again: %v", err)
	}
}

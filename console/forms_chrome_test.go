package console_test

import (
	"context"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/internal/testkit"
)

// The longest navigation, an administrator's, and the forms that write drafts, at every width and in both schemes.
func TestFormsInChromium(t *testing.T) {
	path := testkit.Chromium(t, "the forms were not looked at")
	if testing.Short() {
		t.Skip("a browser takes seconds: not with -short")
	}
	f := newFake()
	server := httptest.NewServer(serve(t, f))
	defer server.Close()
	allocator, stop := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.Flag("headless", "new"), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-dev-shm-usage", true))...)
	defer stop()
	browser, stop := chromedp.NewContext(allocator)
	defer stop()
	if err := chromedp.Do(browser); err != nil { // a deadline on the first run would end the browser
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(browser, 2*time.Minute)
	defer stop()
	run := func(what string, steps ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(ctx, steps...); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	list := func(script string) []string {
		t.Helper()
		out, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](script))
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	run("open", chromedp.Navigate(server.URL+signInPath), chromedp.WaitVisible(chromedp.CSS(`input[name=password]`)))
	list(`(document.cookie = "` + plainCookie + `=admin; path=/", [])`)
	const look = `(() => {
		const out = [], all = s => [...document.querySelectorAll(s)], say = (what, e) => out.push(what + ': ' + e.outerHTML.slice(0, 100)), ids = {};
		for (const e of all('[id]')) { if (ids[e.id]) say('an id twice', e); ids[e.id] = true; }
		for (const e of all('input:not([type=hidden]), select, textarea')) if (!e.labels.length || !e.labels[0].textContent.trim()) say('a field without a label', e);
		for (const e of all('[aria-labelledby], [aria-describedby]')) for (const a of ['aria-labelledby', 'aria-describedby']) for (const id of (e.getAttribute(a) || '').split(' ')) if (id && !document.getElementById(id)) say('refers to nothing', e);
		for (const e of all('[style], script:not([src]), style')) say('inline', e);
		if (document.documentElement.scrollWidth > innerWidth) for (const e of all('body *')) if (e.getBoundingClientRect().right > innerWidth && !e.closest('.scroll, pre')) say('out of the page', e);
		let top = 0;
		for (const e of all('.bar a, .bar button')) { const y = e.getBoundingClientRect().bottom; if (y < top - 8) say('reached in another order than it stands', e); top = y; }
		const lines = new Set(all('.bar nav a').map(e => e.offsetTop)).size;
		if (innerWidth >= 1024 ? lines != 1 : lines > 6) out.push('the navigation has ' + lines + ' lines at ' + innerWidth);
		for (const e of all('.bar nav a')) if (e.offsetHeight > 38 || e.scrollWidth > e.clientWidth) say('a page of two lines, or wider than its place', e);
		if (all('.bar nav a').length != 11) out.push('not all pages are offered');
		return out })()`
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{1440, 1024, 768, 360, 320} {
			media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
			if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, media); err != nil {
				t.Fatal(err)
			}
			run("viewport", chromedp.EmulateViewport(width, 900))
			for _, page := range []string{newActionPath, actionURL("five_off") + "/edit", actionURL("five_off") + "?edit=plain", poolPath, settingsPath, gridPath} {
				run(page, chromedp.Navigate(server.URL+page), chromedp.WaitVisible(chromedp.CSS(`main h1`)))
				if wrong := list(look); len(wrong) > 0 {
					t.Errorf("%s, %s, %d:\n%s", page, scheme, width, strings.Join(wrong, "\n"))
				}
			}
		}
	}
	// A person writes an action, is told what is wrong, and nothing that they typed is lost.
	f.Pool.Err = &juncture.Error{Code: juncture.CodeInvalidRequest, Message: "rule does not compile", Problems: []juncture.Problem{{Path: "rule", Message: "rule does not compile: line 1, column 1: unknown name lifecyle"}}}
	run("write", chromedp.Navigate(server.URL+newActionPath+"?"+url.Values{"surface": {"home_hero"}}.Encode()), chromedp.SendKeys(chromedp.CSS(`#f-id`), "calm"), chromedp.SendKeys(chromedp.CSS(`#f-type`), "content"),
		chromedp.SendKeys(chromedp.CSS(`#f-rule`), `lifecyle == "loyal"`), chromedp.SendKeys(chromedp.CSS(`#f-copy-headline`), "No hurry"), chromedp.Click(chromedp.CSS(`button[value=submit]`)), chromedp.WaitVisible(chromedp.CSS(`#p-rule`)))
	if got := strings.Join(list(`[document.querySelector('#f-id').value, document.querySelector('#f-rule').value, document.querySelector('#f-copy-headline').value, document.querySelector('#f-rule').getAttribute('aria-invalid'),
		String(document.querySelector('input[name=surfaces][value=home_hero]').checked)]`), "|"); got != `calm|lifecyle == "loyal"|No hurry|true|true` {
		t.Error(got)
	}
	if wrong := list(look); len(wrong) > 0 {
		t.Error(strings.Join(wrong, "\n"))
	}
}

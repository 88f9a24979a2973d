package console_test

import (
	"context"
	"net/http/httptest"
	"runtime"
	"testing"

	"github.com/chromedp/chromedp"
)

// An open page shows a decision that is made while one looks, without being loaded again, and stays as it is while paused.
func TestLiveInChromium(t *testing.T) {
	b := openBrowser(t, "the live log was not looked at")
	f := newFake()
	deps := f.Deps()
	live := deps.Live
	server := httptest.NewServer(mount(t, deps))
	defer server.Close()
	running, end := context.WithCancel(t.Context())
	defer end() // the stream ends before the server waits for it
	go live.Run(running)
	ctx, run := b.ctx, b.run
	run("sign in", chromedp.Navigate(server.URL+signInPath), chromedp.SendKeys(chromedp.CSS(`input[name=name]`), "ada"), chromedp.SendKeys(chromedp.CSS(`input[name=password]`), "correct horse"),
		chromedp.Click(chromedp.CSS(`main button[type=submit]`)), chromedp.WaitVisible(chromedp.CSS(`nav`)))
	run("the log", chromedp.Navigate(server.URL+decisionsPath), chromedp.WaitVisible(chromedp.CSS(`[data-live-state] button`)))
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`window.stayed = true`)); err != nil {
		t.Fatal(err)
	}
	f.Log.Add("900001")
	run("it appears", chromedp.WaitVisible(chromedp.CSS(`a[href="/console/decision?id=900001"]`)))
	if stayed, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`window.stayed === true`)); err != nil || !stayed {
		t.Errorf("the page was loaded again: %v", err)
	}
	run("pause", chromedp.Click(chromedp.CSS(`[data-live-state] button`)))
	f.Log.Add("900002")
	for live.Told() < 900_002 { // until the page has been told
		runtime.Gosched()
		if err := ctx.Err(); err != nil {
			t.Fatal(err)
		}
	}
	if moved, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`document.querySelector('a[href="/console/decision?id=900002"]') !== null`)); err != nil || moved {
		t.Errorf("a paused page moved: %v", err)
	}
	run("go on", chromedp.Click(chromedp.CSS(`[data-live-state] button`)), chromedp.WaitVisible(chromedp.CSS(`a[href="/console/decision?id=900002"]`)))
}

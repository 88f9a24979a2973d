package console

import (
	"context"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/juncture/juncture/internal/testkit"
)

// TestInChromium drives the pages as a person would. Screenshots go to the directory in JUNCTURE_SCREENSHOTS.
func TestInChromium(t *testing.T) {
	path := testkit.Chromium(t, "the console was not looked at")
	if testing.Short() {
		t.Skip("a browser takes seconds: not with -short")
	}
	f := newFake()
	server := httptest.NewServer(serve(t, f))
	defer server.Close()
	allocator, stop := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.Flag("headless", "new"), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-dev-shm-usage", true))...)
	defer stop()
	browser, stop := chromedp.NewContext(allocator)
	defer stop()
	if err := chromedp.Do(browser); err != nil { // a deadline on the first run would end the browser
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(browser, 3*time.Minute)
	defer stop()
	run := func(what string, steps ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(ctx, steps...); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	location := func() string {
		t.Helper()
		where, err := chromedp.Run(ctx, chromedp.Location())
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimPrefix(where, server.URL)
	}
	look := func(scheme string, width int64) {
		t.Helper()
		media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
		if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, media); err != nil {
			t.Fatal(err)
		}
		run("viewport", chromedp.EmulateViewport(width, 900))
	}
	shoot := func(name string) {
		dir := os.Getenv("JUNCTURE_SCREENSHOTS")
		if dir == "" {
			return
		}
		b, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+".png"), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	steady := func(page string) {
		t.Helper()
		over, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](`document.documentElement.scrollWidth > innerWidth
			? [...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth && !e.closest('.scroll, pre')).map(e => e.tagName + '.' + e.className)
			  .concat(String(document.documentElement.scrollWidth)) : []`))
		if err != nil {
			t.Fatalf("%s: %v", page, err)
		}
		if len(over) > 0 {
			t.Errorf("%s scrolls sideways: %v", page, over)
		}
	}

	look("light", 1440)
	run("open", chromedp.Navigate(server.URL+"/"), chromedp.WaitVisible(chromedp.CSS(`input[name=password]`)))
	if at := location(); at != signInPath {
		t.Errorf("nobody is led to %s", at)
	}
	shoot("sign-in-light-1440")
	run("sign in", chromedp.SendKeys(chromedp.CSS(`input[name=name]`), "ada"), chromedp.SendKeys(chromedp.CSS(`input[name=password]`), "correct horse"),
		chromedp.Click(chromedp.CSS(`main button[type=submit]`)), chromedp.WaitVisible(chromedp.CSS(`svg.winner-grid`)))

	run("follow a cell", chromedp.Click(chromedp.CSS(`svg.winner-grid a.cell`)), chromedp.WaitVisible(chromedp.CSS(`table th.wide a`)))
	list := location()
	if !strings.HasPrefix(list, listPath+"?") {
		t.Errorf("a cell of many intersections leads to %s", list)
	}
	run("follow an intersection", chromedp.Click(chromedp.CSS(`table th.wide a`)), chromedp.WaitVisible(chromedp.CSS(`svg.densities`)))
	one := location()
	if !strings.HasPrefix(one, intersectionPath+"?") {
		t.Errorf("the list led to %s", one)
	}
	blocked, err := chromedp.Run(ctx, chromedp.Evaluate[int](`document.querySelectorAll('[style], script, style').length`))
	if err != nil || blocked > 0 {
		t.Errorf("%d inline styles or scripts, %v", blocked, err)
	}

	pages := map[string]string{
		"grid":         gridPath + "?experiment=hero",
		"grid-money":   gridPath + "?experiment=cart-rescue&rows=status&cols=meaning&filter.lifecycle=returning",
		"grid-wide":    gridPath + "?experiment=hero&rows=meaning&cols=moment",
		"list":         list,
		"intersection": one,
		"error":        gridPath + "?experiment=nothing",
		"shoppers":     shopperPath,
		"shopper":      shopperPath + "?id=ada",
		"shopper-none": shopperPath + "?id=" + strings.Repeat("long-id-", 20),
		"layers":       layersPath + "?experiment=hero",
		"empty":        gridPath + "?experiment=hero&filter.live=rising",
	}
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{1440, 360, 320} {
			look(scheme, width)
			for name, p := range pages {
				run(name, chromedp.Navigate(server.URL+p), chromedp.WaitReady(chromedp.CSS(`main`)))
				at := name + "-" + scheme + map[int64]string{1440: "-1440", 360: "-360", 320: "-320"}[width]
				steady(at)
				if width != 320 {
					shoot(at)
				}
			}
		}
	}
	run("sign out", chromedp.EmulateViewport(1440, 900), chromedp.Click(chromedp.CSS(`.who button`)), chromedp.WaitVisible(chromedp.CSS(`input[name=password]`)))
	if len(f.signedOut) != 1 {
		t.Errorf("signed out: %v", f.signedOut)
	}
}

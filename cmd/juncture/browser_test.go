package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/juncture/juncture/internal/testkit"
)

// TestDemoInChromium does what the README promises a newcomer: start the demo, sign in, see winners on the grid. With
// JUNCTURE_PICTURE set to a file it takes the README's picture.
func TestDemoInChromium(t *testing.T) {
	path := testkit.Chromium(t, "the demo's grid was not looked at")
	picture := os.Getenv("JUNCTURE_PICTURE")
	out, done := background(t, "demo", "--addr", "127.0.0.1:0", "--db", filepath.Join(t.TempDir(), "demo.db"), "--rate", "1", "--log", "error")
	out.wait(t, `(simulated decisions in)`, done)
	said := func(pattern string) string {
		t.Helper()
		m := regexp.MustCompile(pattern).FindStringSubmatch(out.String())
		if m == nil {
			t.Fatalf("the demo does not print %s:\n%s", pattern, out.String())
		}
		return m[1]
	}
	console, password := said(`console +(http://\S+)`), said(`password (\S+)`)

	allocator, stop := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.Flag("headless", "new"), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-dev-shm-usage", true))...)
	defer stop()
	browser, stop := chromedp.NewContext(allocator)
	defer stop()
	if err := chromedp.Do(browser); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(browser, 2*time.Minute)
	defer stop()
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1440, 900), chromedp.Navigate(console), chromedp.WaitVisible(chromedp.CSS(`input[name=password]`)),
		chromedp.SendKeys(chromedp.CSS(`input[name=name]`), "admin"), chromedp.SendKeys(chromedp.CSS(`input[name=password]`), password),
		chromedp.Click(chromedp.CSS(`main button[type=submit]`)), chromedp.WaitVisible(chromedp.CSS(`svg.winner-grid`))); err != nil {
		t.Fatal(err)
	}
	won, err := chromedp.Run(ctx, chromedp.Evaluate[int](`document.querySelectorAll('table .badge.winner').length`))
	if err != nil {
		t.Fatal(err)
	}
	banner, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`document.body.innerText.includes('Simulated data')`))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d cells are won", won)
	if won < 3 || !banner { // 8 to 11 of 21 as a rule: the draws differ from start to start
		t.Errorf("%d cells are won, says that it is simulated: %v", won, banner)
	}
	if picture == "" {
		return
	}
	b, err := chromedp.Run(ctx, chromedp.Screenshot(chromedp.CSS(`section:has(svg.winner-grid)`)))
	if err == nil {
		err = os.WriteFile(picture, b, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

package console_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/console/preview"
	"github.com/juncture/juncture/internal/testkit"
)

// TestInChromium drives the pages as a person would. Screenshots go to the directory in JUNCTURE_SCREENSHOTS.
func TestInChromium(t *testing.T) {
	b := openBrowser(t, "the console was not looked at")
	run, look, shoot := b.run, b.look, b.shoot
	f := newFake()
	server := httptest.NewServer(serve(t, f))
	t.Cleanup(server.Close)
	location := func() string {
		t.Helper()
		where, err := chromedp.Run(b.ctx, chromedp.Location())
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimPrefix(where, server.URL)
	}

	look("light", 1440)
	run("open", chromedp.Navigate(server.URL+"/"), chromedp.WaitVisible(chromedp.CSS(`input[name=password]`)))
	if at := location(); at != signInPath {
		t.Errorf("nobody is led to %s", at)
	}
	shoot("sign-in-light-1440")
	run("sign in", chromedp.SendKeys(chromedp.CSS(`input[name=name]`), "ada"), chromedp.SendKeys(chromedp.CSS(`input[name=password]`), "correct horse"),
		chromedp.Click(chromedp.CSS(`main button[type=submit]`)), chromedp.WaitVisible(chromedp.CSS(`svg.trend`)))

	run("follow a cell", chromedp.Navigate(server.URL+gridPath), chromedp.Click(chromedp.CSS(`svg.winner-grid a.cell`)), chromedp.WaitVisible(chromedp.CSS(`table th.wide a`)))
	list := location()
	if !strings.HasPrefix(list, listPath+"?") {
		t.Errorf("a cell of many intersections leads to %s", list)
	}
	run("follow an intersection", chromedp.Click(chromedp.CSS(`table th.wide a`)), chromedp.WaitVisible(chromedp.CSS(`svg.densities`)))
	one := location()
	if !strings.HasPrefix(one, intersectionPath+"?") {
		t.Errorf("the list led to %s", one)
	}
	blocked, err := chromedp.Run(b.ctx, chromedp.Evaluate[int](`document.querySelectorAll('[style], script, style').length`))
	if err != nil || blocked > 0 {
		t.Errorf("%d inline styles or scripts, %v", blocked, err)
	}

	inOut := func(name string) {
		t.Helper()
		run("sign out and in as "+name, chromedp.EmulateViewport(1440, 900), chromedp.Navigate(server.URL+homePath), chromedp.Click(chromedp.CSS(`.who button`)),
			chromedp.WaitVisible(chromedp.CSS(`input[name=password]`)), chromedp.SendKeys(chromedp.CSS(`input[name=name]`), name),
			chromedp.SendKeys(chromedp.CSS(`input[name=password]`), "correct horse"), chromedp.Click(chromedp.CSS(`main button[type=submit]`)), chromedp.WaitVisible(chromedp.CSS(`svg.trend`)))
	}
	inOut("root")
	administered(t, b, server.URL, f)
	run("sign out", chromedp.EmulateViewport(1440, 900), chromedp.Click(chromedp.CSS(`.who button`)), chromedp.WaitVisible(chromedp.CSS(`input[name=password]`)))
	if len(f.SignedOut) != 2 {
		t.Errorf("signed out: %v", f.SignedOut)
	}
}

// administered drives what an administrator may do, by keyboard where there is a form.
func administered(t *testing.T, b *browser, base string, f *preview.Data) {
	t.Helper()
	run, say, look, steady, shoot := b.run, b.say, b.look, b.steady, b.shoot
	b.bring(testkit.Axe(t, "axe-core did not check what forms answer"))
	audit := func(page string) {
		t.Helper()
		b.audit(page)
		b.axe(page)
	}
	for scheme, widths := range map[string][]int64{"light": {1440, 320}, "dark": {360}} {
		for _, width := range widths {
			look(scheme, width)
			at := fmt.Sprintf("-%s-%d", scheme, width)
			run("wrong name", chromedp.Navigate(base+clusterPath+"wedding-guests"), chromedp.WaitReady(chromedp.CSS(`main`)))
			say(`document.querySelector('#f-name').value = 'quiet luxury', document.querySelector('#f-avoid').value = 'effortless', ''`)
			run("send", chromedp.Click(chromedp.CSS(`.form button`)), chromedp.WaitVisible(chromedp.CSS(`#p-name`)))
			steady("cluster-wrong" + at)
			audit("cluster-wrong" + at)
			shoot("admin-cluster-wrong" + at)
			run("make a user", chromedp.Navigate(base+settingsPath), chromedp.SendKeys(chromedp.CSS(`#f-name`), "bob"), chromedp.Click(chromedp.CSS(`#people .adds button`)), chromedp.WaitVisible(chromedp.CSS(`#f-made`)))
			steady("made" + at)
			audit("made" + at)
			shoot("admin-made" + at)
			run("share", chromedp.Navigate(base+gridPath), chromedp.Click(chromedp.CSS(`form.share button`)), chromedp.WaitVisible(chromedp.CSS(`#f-link`)))
			steady("share" + at)
			audit("share" + at)
			shoot("admin-share" + at)
			run("learn again", chromedp.Navigate(base+layersPath), chromedp.Click(chromedp.CSS(`.learn button`)), chromedp.WaitVisible(chromedp.CSS(`#h-new`)))
			steady("refit" + at)
			audit("refit" + at)
			shoot("admin-refit" + at)
		}
	}
	look("light", 360)
	f.RefitErr = juncture.Errorf(juncture.CodeInvalidRequest, "12 shoppers with a taste: clusters need 50").WithHint("import products and events first")
	f.Clusters, f.Counts, f.Passed = juncture.ClustersView{}, nil, nil
	run("learn from too few", chromedp.Navigate(base+layersPath), chromedp.Click(chromedp.CSS(`.learn button`)), chromedp.WaitVisible(chromedp.CSS(`#learn-problem`)))
	steady("layers-empty")
	audit("layers-empty")
	shoot("admin-layers-empty-light-360")
	look("dark", 1440)
	shoot("admin-layers-empty-dark-1440")

	// Without a mouse: every control of a form is reached with the tabulator and sends with Enter.
	run("open the erasure", chromedp.Navigate(base+recordsPath+"ada/erase"), chromedp.WaitReady(chromedp.CSS(`main`)))
	tabTo := func(selector string) {
		t.Helper()
		for range 40 {
			run("tab", chromedp.KeyEvent(kb.Tab))
			if say(`String(document.activeElement.matches('`+selector+`'))`) == "true" {
				return
			}
		}
		t.Fatalf("the tabulator does not reach %s", selector)
	}
	tabTo("#f-confirm")
	run("confirm wrongly", chromedp.KeyEvent("Ada"), chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible(chromedp.CSS(`#p-confirm`)))
	if len(f.Erased) > 0 || say(`document.activeElement.id`) != "f-confirm" {
		t.Errorf("erased %v; the focus is on %s", f.Erased, say(`document.activeElement.id`))
	}
	shoot("admin-erase-wrong-dark-1440")
	say(`document.activeElement.value = ''`)
	run("confirm", chromedp.KeyEvent("ada"))
	tabTo("button.danger")
	run("erase", chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible(chromedp.CSS(`dl.facts`)))
	if len(f.Erased) != 1 || f.Erased[0] != "user:root ada" {
		t.Errorf("erased %v", f.Erased)
	}
	steady("erased")
	audit("erased")
	shoot("admin-erased-dark-1440")
}

package console_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/console/preview"
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

	// audit finds what keeps people out who do not see the page or have no mouse.
	audit := func(page string) {
		t.Helper()
		wrong, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](`(() => {
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
			return out })()`))
		if err != nil || len(wrong) > 0 {
			t.Errorf("%s: %v\n%s", page, err, strings.Join(wrong, "\n"))
		}
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
		"cluster":      clusterPath + "wedding-guests",
		"shared":       preview.Link(gridPath + "?experiment=hero"),
		"shared-one":   preview.Link(cellPath),
		"movements":    shopperPath + "?id=ada&show=movements",
		"forbidden":    recordsPath + "ada/erase",
		"overview":     homePath,
		"experiments":  trialsPath,
		"experiment":   trialsPath + "/hero",
		"slice":        trialsPath + "/hero?over=bau&filter.lifecycle=loyal&cuped=true",
		"tripped":      trialsPath + "/pdp-reassurance-for-shoppers-who-hesitate-at-the-size",
		"draft":        trialsPath + "/next-season",
		"holdout":      trialsPath + "/programme",
		"what-if":      trialsPath + "/hero/what-if?ask=policies&only=five_off&only=points",
		"worth":        trialsPath + "/hero/what-if?ask=worth",
		"catalogue":    cataloguePath,
		"next":         followUpPath + "?experiment=hero",
		"decisions":    decisionsPath,
		"decisions-no": decisionsPath + "?shopper=nobody&action=" + strings.Repeat("long-", 12),
		"decision":     decisionPath + "?id=900000",
		"decision-re":  decisionPath + "?id=899999&replay=1",
		"decision-out": decisionPath + "?id=899997",
		"empty":        gridPath + "?experiment=hero&filter.live=rising",
		"pool":         poolPath,
		"pool-none":    poolPath + "?q=nothing-like-it",
		"reviews":      reviewsPath,
		"action":       actionURL("five_off"),
	}
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{1440, 360, 320} {
			look(scheme, width)
			for name, p := range pages {
				run(name, chromedp.Navigate(server.URL+p), chromedp.WaitReady(chromedp.CSS(`main`)))
				at := name + "-" + scheme + map[int64]string{1440: "-1440", 360: "-360", 320: "-320"}[width]
				steady(at)
				if scheme == "light" && width == 1440 {
					audit(at)
				}
				if width != 320 {
					shoot(at)
				}
			}
		}
	}
	inOut := func(name string) {
		t.Helper()
		run("sign out and in as "+name, chromedp.EmulateViewport(1440, 900), chromedp.Navigate(server.URL+homePath), chromedp.Click(chromedp.CSS(`.who button`)),
			chromedp.WaitVisible(chromedp.CSS(`input[name=password]`)), chromedp.SendKeys(chromedp.CSS(`input[name=name]`), name),
			chromedp.SendKeys(chromedp.CSS(`input[name=password]`), "correct horse"), chromedp.Click(chromedp.CSS(`main button[type=submit]`)), chromedp.WaitVisible(chromedp.CSS(`svg.trend`)))
	}
	inOut("root")
	administered(t, ctx, server.URL, f, look, steady, shoot, audit)
	run("sign out", chromedp.EmulateViewport(1440, 900), chromedp.Click(chromedp.CSS(`.who button`)), chromedp.WaitVisible(chromedp.CSS(`input[name=password]`)))
	if len(f.SignedOut) != 2 {
		t.Errorf("signed out: %v", f.SignedOut)
	}
}

// administered drives what an administrator may do, by keyboard where there is a form.
func administered(t *testing.T, ctx context.Context, base string, f *preview.Data, look func(string, int64), steady, shoot, audit func(string)) {
	t.Helper()
	run := func(what string, steps ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(ctx, steps...); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	say := func(script string) string {
		t.Helper()
		s, err := chromedp.Run(ctx, chromedp.Evaluate[string](script))
		if err != nil {
			t.Fatalf("%s: %v", script, err)
		}
		return s
	}
	tables := `[...document.querySelectorAll('details')].forEach(d => d.open = true), ''`
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{1440, 360, 320} {
			look(scheme, width)
			at := fmt.Sprintf("-%s-%d", scheme, width)
			for name, path := range map[string]string{"layers": layersPath + "?clusters=all&days=90", "layers-saved": layersPath + "?saved=wedding-guests", "cluster-form": clusterPath + "wedding-guests",
				"pool": poolPath, "reviews": reviewsPath + "?shopper=ada", "action": actionURL("five_off") + "?edit=plain", "action-killed": actionURL("wrong_price") + "?done=kill", "action-paused": actionURL("size_guide"),
				"erase": recordsPath + "ada/erase", "shopper": shopperPath + "?id=ada", "erase-long": recordsPath + strings.Repeat("long-id-", 20) + "/erase", "settings": settingsPath + "?done=role", "audit": auditPath, "audit-none": auditPath + "?actor=nobody", "grid": gridPath,
				"ship": trialsPath + "/hero/ship", "experiment": trialsPath + "/hero?done=resume",
				"experiments": trialsPath} {
				run(name, chromedp.Navigate(base+path), chromedp.WaitReady(chromedp.CSS(`main`)))
				say(tables)
				steady("admin-" + name + at)
				audit("admin-" + name + at)
				if width != 320 && (name != "layers" || width == 360) {
					shoot("admin-" + name + at)
				}
			}
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

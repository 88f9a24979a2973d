package console_test

import (
	"strings"
	"testing"

	"github.com/juncture/juncture/console"
)

// holds checks that a page has every text.
func holds(t *testing.T, body string, texts ...string) {
	t.Helper()
	for _, s := range texts {
		if !strings.Contains(body, s) {
			t.Errorf("the page has no %q", s)
		}
	}
}

func TestConsoleShopper(t *testing.T) {
	f := newFake()
	h := serve(t, f)
	holds(t, get(h, shopperPath+"?id=ada", "good").Body.String(),
		"<dt>Orders</dt><dd>1</dd>", "<dt>Lifetime value</dt><dd>£129.50</dd>", "41 days ago", "84 minutes ago", "31%", // tiles
		"First-time · cart abandoned · researching", "Building over weeks, nothing right now", "91% confidence", "Wedding guests",
		`<rect class="level" width="62.0"`, "Needs the store&#39;s catalogue.",
		intersectionPath+"?experiment=hero&amp;key=v1%2Ffirst-time.cart-abandoned.researching%2Fwedding-guests%2Fbuilding.none%2F_",
		"Home hero", "Five off", "73%", // next best action
		"Searched for “linen dress”", "Ordered (R-10021)", "dress-100, dress-101 × 2, dress-102 × 3, 1 more", "Kiosk Touched", "£129.50",
		"One that is gone", "Purchase £42.50 (late)", "Purchase £30.00, 33.3% of it (credited)", "In shadow: the surface&#39;s default", "Drawn, not shown", `aria-current="page">Shoppers`)

	f.Events, f.Decisions, f.Moves = nil, nil, nil
	ada := f.Shoppers["ada"]
	ada.NextBestActions, ada.PredictedChurnRisk, ada.LastPurchase, ada.PurchaseCount, ada.ProductCategories = nil, nil, nil, 0, nil
	f.Shoppers["ada"] = ada
	holds(t, get(h, shopperPath+"?id=ada", "good").Body.String(), "never", "No experiment is running at any surface", "no longer kept", "No event named a category", "None is kept")
	holds(t, get(h, shopperPath+"?id=nobody", "good").Body.String(), "POST /v1/batch", "<code>anonymousId</code>")
	if body := get(h, shopperPath+"?id=nobody", "good").Body.String(); strings.Contains(body, "Latest decisions") {
		t.Error("decisions for nobody")
	}
}

func TestConsoleLayers(t *testing.T) {
	f := newFake()
	h := serve(t, f)
	body := get(h, layersPath+"?experiment=hero", "good").Body.String()
	holds(t, body, "Taste cluster", ">request</span>", ">derived</span>", "Sent by the caller", "Checkout abandoned", "Wedding guests",
		"No id", "1,204", "neither userId nor anonymousId", `aria-current="page">Layers`)

	f.Broken, f.Store.Experiments, f.Counts = nil, nil, nil
	holds(t, get(h, layersPath, "good").Body.String(), "every event that was sent could be read", "No decision has been made here yet", "Intent")
}

// TestConsoleWithoutShoppers serves a console that has no such port: no page, no way to it.
func TestConsoleWithoutShoppers(t *testing.T) {
	f := newFake()
	d := f.Deps()
	r := mount(t, console.Deps{Source: d.Source, Sessions: d.Sessions, Log: d.Log, Now: d.Now})
	for _, path := range []string{shopperPath, layersPath} {
		if w := get(r, path, "good"); w.Code != 404 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	if strings.Contains(get(r, homePath, "good").Body.String(), "Shoppers") {
		t.Error("the navigation offers what is not there")
	}
}

package console

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture"
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

	f.events, f.decisions, f.moves = nil, nil, nil
	ada := f.shoppers["ada"]
	ada.NextBestActions, ada.PredictedChurnRisk, ada.LastPurchase, ada.PurchaseCount, ada.ProductCategories = nil, nil, nil, 0, nil
	f.shoppers["ada"] = ada
	holds(t, get(h, shopperPath+"?id=ada", "good").Body.String(), "never", "No experiment is running at any surface", "no longer kept", "No event named a category", "None is kept")
	holds(t, get(h, shopperPath+"?id=nobody", "good").Body.String(), "POST /v1/batch", "<code>anonymousId</code>")
	if body := get(h, shopperPath+"?id=nobody", "good").Body.String(); strings.Contains(body, "Latest decisions") {
		t.Error("decisions for nobody")
	}
}

func TestConsoleShopperSaid(t *testing.T) {
	for _, tt := range []struct{ segment, reason, posture, want string }{
		{"v1/prospect.browsing._/_/low.none/_", "no order; last seen 3 minutes ago, nothing pending; fewer than 3 product events in a session", "none",
			"prospect, last seen 3 minutes ago, intent low."},
		{"v1/prospect.checkout-abandoned.considering/_/high.none/_", "no order; left a checkout 2 hours ago without ordering; x", "none",
			"prospect who left a checkout 2 hours ago without ordering, intent high."},
		{"v1/loyal.at-risk._/_/fading.none/_", "4 orders; no order for 96 days; before that every 30 days; x", "none",
			"loyal customer at risk, with no order for 96 days, intent fading."},
		{"v1/returning.dormant._/_/_/_", "2 orders; no event for 120 days; x", "none", "returning buyer gone quiet, with no event for 120 days."},
		{"v1/first-time.freshly-converted._/_/high.steady/_", "one order; ordered 2 days ago; x", "hesitating-on-a-product-page",
			"first-time buyer who ordered 2 days ago, intent high and steady right now, hesitating on a product page."},
		{"v1/prospect.cart-abandoned._/_/_/_", "the words changed", "none", "prospect who left a filled cart."},
		{"v1/vip/_/_/_", "", "none", "one of the shoppers in vip."},
		{"v1/_/_/_/_", "", "none", "a shopper of whom too little is known to say more."},
		{"nonsense", "", "none", "a shopper of whom too little is known to say more."},
	} {
		v := ShopperView{ProfileView: juncture.ProfileView{Segment: tt.segment, Posture: tt.posture, Layers: map[string]juncture.LayerView{"moment": {Reason: tt.reason}}}}
		if got := said(v, nil); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.segment, got, tt.want)
		}
	}
	for d, want := range map[time.Duration]string{-time.Hour: "just now", time.Minute: "1 minute ago", 84 * time.Minute: "84 minutes ago",
		5 * time.Hour: "5 hours ago", 50 * time.Hour: "2 days ago"} {
		if got := ago(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}

func TestConsoleLayers(t *testing.T) {
	f := newFake()
	h := serve(t, f)
	body := get(h, layersPath+"?experiment=hero", "good").Body.String()
	holds(t, body, "Taste cluster", ">request</span>", ">derived</span>", "Sent by the caller", "Checkout abandoned", "Wedding guests",
		"No id", "1,204", "neither userId nor anonymousId", `aria-current="page">Layers`)

	p := &layersPage{}
	p.spread(mix{cells: []juncture.Cell{
		{Intersection: juncture.Intersection{"loyal.browsing._", "a.b", "_", "_"}, Rows: []juncture.CellRow{{Group: juncture.GroupPolicy, Tally: juncture.Tally{Trials: 60}},
			{Event: "click", Tally: juncture.Tally{Trials: 9, Outcomes: 9}}}},
		{Intersection: juncture.Intersection{"prospect.browsing._", "_", "_", "_"}, Rows: []juncture.CellRow{{Group: juncture.GroupHoldout, Tally: juncture.Tally{Trials: 40}}}},
		{Intersection: juncture.Intersection{"returning", "_", "_", "_"}},
	}}, nil)
	if p.Trials != 100 || p.Intersections != 2 {
		t.Errorf("%d decisions at %d intersections", p.Trials, p.Intersections)
	}
	lifecycle, meaning := p.Layers[0].Axes[0].Lines, p.Layers[1].Axes[0].Lines
	if len(lifecycle) != 2 || lifecycle[0] != (axisLine{Value: "loyal", Title: "Loyal", Trials: 60, Share: 0.6, Bar: 1}) || lifecycle[1].Share != 0.4 {
		t.Errorf("lifecycle: %+v", lifecycle)
	}
	if len(meaning) != 2 || meaning[0].Title != "A.b" || meaning[1].Title != "Unknown" {
		t.Errorf("meaning: %+v", meaning)
	}

	f.broken, f.store.Experiments, f.counts = nil, nil, nil
	holds(t, get(h, layersPath, "good").Body.String(), "every event that was sent could be read", "No decision has been made here yet", "Intent")
}

// TestConsoleWithoutShoppers serves a console that has no such port: no page, no way to it.
func TestConsoleWithoutShoppers(t *testing.T) {
	f := newFake()
	gin.SetMode(gin.TestMode)
	c, err := New(Deps{Source: f, Sessions: f, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	r := gin.New()
	c.Mount(r)
	r.NoRoute(c.NotFound)
	for _, path := range []string{shopperPath, layersPath} {
		if w := get(r, path, "good"); w.Code != 404 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	if strings.Contains(get(r, homePath, "good").Body.String(), "Shoppers") {
		t.Error("the navigation offers what is not there")
	}
}

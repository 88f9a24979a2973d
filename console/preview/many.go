package preview

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/access"
	"github.com/juncture/juncture/console"
	"github.com/juncture/juncture/experiments"
)

// Many is a rich store with a running experiment and made-up evidence, the same each time.
func Many() *Data {
	hero := juncture.Experiment{ID: "hero", Surface: "home_hero", Status: juncture.StatusRunning,
		Goal: juncture.Goal{Outcome: "click", Window: juncture.Duration(24 * time.Hour)}}
	cart := juncture.Experiment{ID: "cart-rescue", Surface: "cart_email", Status: juncture.StatusPaused,
		Goal: juncture.Goal{Outcome: "purchase", Window: juncture.Duration(7 * 24 * time.Hour)}}
	f := &Data{Log: cannedLog(), Live: map[string]bool{"good": true, "editor": true, "approver": true, "admin": true, "none": true}, Evidence: map[string]experiments.Evidence{}, People: People(), SSO: SSO{Name: "Shop accounts"},
		At: Place{"hero", "v1/loyal.browsing.researching/wedding-guests/_/_", "one-that-is-gone"}}
	f.Store = console.StoreView{Name: "Demo", Currency: "GBP", Simulated: true, Experiments: []juncture.Experiment{cart, hero}}
	f.Evidence["hero"] = cannedEvidence(hero, juncture.OutcomeType{Name: "click", Type: juncture.OutcomeBinary})
	f.Evidence["cart-rescue"] = cannedEvidence(cart, juncture.OutcomeType{Name: "purchase", Type: juncture.OutcomeMoney})
	for i := range 30 {
		d := console.DecisionView{At: Now.Add(-time.Duration(i) * 97 * time.Second), ID: fmt.Sprintf("AQEAbgAAAZqh7%04dkT3x0pQ", i),
			Group: juncture.Group(i%4 + 1), Arm: juncture.ArmID(i%6 + 1), Probability: []float64{0.8712, 1.0 / 6, 1, 1}[i%4], Reason: juncture.ReasonSplit}
		if d.Group == juncture.GroupHoldout {
			d.Arm, d.Detail = 0, juncture.DetailHoldout
		}
		if i == 4 {
			d.Detail = juncture.DetailSticky
		}
		if i%5 == 0 {
			d.Outcomes = []console.OutcomeView{{Event: "click", Value: 1, Status: juncture.StatusRecorded}}
		}
		if i%10 == 0 {
			d.Outcomes = append(d.Outcomes, console.OutcomeView{Event: "purchase", Value: 42.5, Currency: "GBP", Status: juncture.StatusLate})
		}
		if i == 5 || i == 6 {
			d.Group, d.Arm, d.Shadow, d.Probability, d.Detail = juncture.GroupShadow, 1, 2, 1, juncture.DetailShadow
			d.Outcomes = []console.OutcomeView{{Event: "purchase", Value: 30, Currency: "GBP", Credit: 1.0 / 3, Status: juncture.StatusCredited}}
		}
		f.Decisions = append(f.Decisions, d)
	}
	f.cannedShopper()
	f.cannedTastes()
	f.Desk = cannedDesk()
	f.Trials = cannedTrials(f)
	f.Pool = cannedPool()
	f.Store.Surfaces = []juncture.Surface{{ID: "home_hero", Channel: "onsite"}, {ID: "cart_email", Channel: "email"}, {ID: "cart_text", Channel: "sms"}, {ID: "cart_push", Channel: "push"}}
	return f
}

// cannedShopper makes ada, who has done one of everything, and what could not be taken.
func (f *Data) cannedShopper() {
	risk, last, welcome := 0.314, Now.Add(-41*24*time.Hour), "five_off"
	ada := console.ShopperView{AsOf: Now, ProfileView: juncture.ProfileView{CustomerID: "ada", ShopperID: "ada", Currency: "GBP", LifetimeValue: 129.5, LastPurchase: &last,
		PurchaseCount: 1, AverageOrderValue: 129.5, ProductCategories: []string{"dresses", "shoes"},
		Segment: "v1/first-time.cart-abandoned.researching/wedding-guests/building.none/_", Posture: "none", PredictedChurnRisk: &risk,
		NextBestAction: &welcome, NextBestActions: []juncture.NextBestAction{{Surface: "home_hero", ActionID: welcome, Probability: 0.73}},
		FirstSeen: Now.Add(-60 * 24 * time.Hour), LastEngagement: Now.Add(-84 * time.Minute), Consent: "granted",
		Layers: map[string]juncture.LayerView{
			"moment":     {Value: "first-time.cart-abandoned.researching", Confidence: 0.91, Reason: "one order; left a filled cart 84 minutes ago; looked widely: 5 products, 2 categories, one search or article"},
			"meaning":    {Value: "wedding-guests", Confidence: 0.62, Reason: "mostly dresses, occasion wear"},
			"trajectory": {Value: "building.none", Confidence: 0.84, Reason: "interest worth 6.2 product views, more in the last days than in the weeks before; no visit now"},
			"catalogue":  {Value: "_", Reason: "needs the store's catalogue"}}}}
	f.Shoppers = map[string]console.ShopperView{"ada": ada, "ada@shop.example": ada}
	for kind := range juncture.EventCartEmptied + 1 {
		e := juncture.Event{ID: fmt.Sprint(kind), Kind: kind, Name: "Kiosk Touched", Shopper: "ada", At: Now.Add(-84*time.Minute - time.Duration(kind)*7*time.Minute)}
		switch kind {
		case juncture.EventProductsSearched:
			e.Query = "linen dress"
		case juncture.EventProductViewed, juncture.EventProductAdded, juncture.EventCartViewed, juncture.EventOrderCompleted:
			for i := range int(kind) / 3 {
				e.Lines = append(e.Lines, juncture.Line{Product: fmt.Sprintf("dress-%d", 100+i), Category: "dresses", Quantity: i + 1, Price: 4995})
			}
			e.Category = "dresses"
		}
		if kind == juncture.EventOrderCompleted {
			e.Order, e.Value = "R-10021", 12950
		}
		f.Events = append(f.Events, e)
	}
	f.Broken = []juncture.Quarantined{{Reason: "no_id", Count: 1204, Latest: Now.Add(-time.Hour), Message: "neither userId nor anonymousId", Example: "{}"},
		{Reason: "not_an_object", Count: 3, Latest: Now.Add(-26 * time.Hour), Message: "an event is a JSON object; this is a string", Example: "{"}}
	f.Store.Layers = map[string]juncture.LayerSetting{"meaning": {Source: juncture.SourceRequest}}
}

func cannedEvidence(e juncture.Experiment, goal juncture.OutcomeType) experiments.Evidence {
	ev := experiments.Evidence{Experiment: e, Outcome: goal, Currency: "GBP", AsOf: Now, Arms: map[juncture.ArmID]experiments.ArmInfo{}}
	type made struct {
		action, copy, kind, headline string
		live                         bool
		rate                         float64
		at                           map[string]float64 // lift by lifecycle or status
	}
	arms := []made{
		{"welcome", "plain", "content", "Welcome back", true, 0.030, map[string]float64{"loyal": 1.9, "freshly-converted": 1.3}},
		{"five_off", "plain", "discount", "5% off today", true, 0.036, map[string]float64{"prospect": 1.5, "cart-abandoned": 1.4, "loyal": 0.7}},
		{"five_off", "milan", "discount", "The hottest trend in Milan, Now 5% off for a few days", true, 0.034, map[string]float64{"prospect": 1.3, "at-risk": 1.3}},
		{"free_express", "plain", "delivery", "Free express delivery, at your door tomorrow", true, 0.034, map[string]float64{"checkout-abandoned": 2.1, "first-time": 1.2}},
		{"points", "plain", "loyalty", "Double points this week", true, 0.026, map[string]float64{"returning": 1.8, "at-risk": 1.6}},
		{"size_guide", "plain", "content", "Find your size in a minute", true, 0.028, map[string]float64{"browsing": 1.25}},
		{"ten_off", "plain", "discount", "10% off", false, 0.05, nil},
	}
	for i, a := range arms {
		ev.Arms[juncture.ArmID(i+1)] = experiments.ArmInfo{Arm: juncture.Arm{Action: a.action, ActionVersion: 1, Copy: a.copy, CopyVersion: 1},
			Type: a.kind, Headline: a.headline, Live: a.live}
	}
	rng := rand.New(rand.NewPCG(7, 11))
	weights := map[string]float64{"prospect": 1.6, "first-time": 1, "returning": 0.8, "loyal": 0.5,
		"browsing": 1.5, "cart-abandoned": 0.8, "checkout-abandoned": 0.5, "freshly-converted": 0.35, "at-risk": 0.12, "dormant": 0.05}
	for _, lifecycle := range []string{"first-time", "loyal", "prospect", "returning"} {
		for _, status := range []string{"at-risk", "browsing", "cart-abandoned", "checkout-abandoned", "dormant", "freshly-converted"} {
			if lifecycle == "prospect" && (status == "freshly-converted" || status == "at-risk") {
				continue // cannot be
			}
			for _, mode := range []string{"considering", "researching"} {
				for m, meaning := range []string{"high-end-fashionistas", "wedding-guests", "_"} {
					cell := juncture.Cell{Experiment: e.ID, Intersection: juncture.Intersection{lifecycle + "." + status + "." + mode, meaning, "_", "_"}}
					for i, a := range arms {
						p := a.rate
						for _, v := range []string{lifecycle, status} {
							if lift, ok := a.at[v]; ok {
								p *= lift
							}
						}
						for _, g := range []juncture.Group{juncture.GroupPolicy, juncture.GroupRandom, juncture.GroupBAU, juncture.GroupHoldout} {
							if g == juncture.GroupBAU && i != 0 || g == juncture.GroupHoldout && i != 0 {
								continue
							}
							n := int64(weights[lifecycle] * weights[status] * 1400 * (0.4 + rng.Float64()) / float64(m+1) * []float64{0, 1, 0.06, 0.3, 0.3}[g])
							s := int64(0)
							for range n {
								if rng.Float64() < p {
									s++
								}
							}
							arm := juncture.ArmID(i + 1)
							if g == juncture.GroupHoldout {
								arm = 0
							}
							t := juncture.Tally{Outcomes: s, Successes: s}
							if goal.Type == juncture.OutcomeMoney {
								t.Value, t.LogValue, t.LogValueSq = s*4200, s*37_000, s*1_400_000_000
							}
							cell.Rows = append(cell.Rows, juncture.CellRow{Arm: arm, Group: g, Tally: juncture.Tally{Trials: n}},
								juncture.CellRow{Arm: arm, Group: g, Event: goal.Name, Tally: t})
						}
					}
					ev.Cells = append(ev.Cells, cell)
				}
			}
		}
	}
	return ev
}

// cannedTastes makes the taste clusters, where shoppers stand and how they moved.
func (f *Data) cannedTastes() {
	names := []struct{ id, name, top string }{{"wedding-guests", "Wedding guests", "occasion wear,dresses,silk,£80 to £160"}, {"high-end-fashionistas", "Quiet luxury", "cashmere,Loro & Co,knitwear,over £300"},
		{"c-7f3a", "Denim · tops · Kett", "denim,tops,Kett"}, {"c-01bd", "Trainers · running", "trainers,running,Stride"}, {"c-99e2", "Home · candles", "candles,home,gifts"}}
	for i := range 24 {
		c := juncture.ClusterView{ID: fmt.Sprintf("c-%04x", 40961+i*977), Name: fmt.Sprintf("Basics · organic cotton · %c", 'A'+i), Size: 900 - 31*i, Top: []string{"basics", "organic cotton"}}
		if i < len(names) {
			c.ID, c.Name, c.Top, c.Size = names[i].id, names[i].name, strings.Split(names[i].top, ","), 4120-730*i
		}
		switch i {
		case 0:
			c.Voice = juncture.VoiceView{Tone: "Warm and sure, as a friend who has been to many weddings", Use: []string{"effortless", "all day"}, Avoid: []string{"cheap", "must-have"}}
		case 1:
			c.Renamed, c.Voice.Tone = true, "Sparse; let the material speak"
		}
		f.Clusters.Items = append(f.Clusters.Items, c)
		f.Counts = append(f.Counts, count("meaning", c.ID, int64(c.Size)+17))
	}
	f.Clusters.Version, f.Clusters.Shoppers = 7, 21480
	f.Counts = append(f.Counts, count("meaning", "_", 6310))
	for i, lifecycle := range []string{"prospect", "first-time", "returning", "loyal"} {
		for j, status := range []string{"browsing", "cart-abandoned", "checkout-abandoned", "freshly-converted", "at-risk", "dormant"} {
			for k, mode := range []string{"researching", "considering", "_"} {
				if n := int64(3000 / (1 + 2*i + 3*j + k)); lifecycle != "prospect" || status != "freshly-converted" {
					f.Counts = append(f.Counts, count("moment", lifecycle+"."+status+"."+mode, n))
				}
			}
		}
	}
	for i, latent := range []string{"low", "building", "high", "fading", "_"} {
		for j, live := range []string{"none", "rising", "steady", "falling"} {
			f.Counts = append(f.Counts, count("trajectory", latent+"."+live, int64(5000/(1+i+4*j))))
		}
	}
	for i, n := range []int64{9120, 11800, 4301, 212} {
		f.Counts = append(f.Counts, count("window", []string{"new", "active", "dormant", "vip"}[i], n))
	}
	for i, n := range []int64{24805, 502, 31} {
		f.Counts = append(f.Counts, count("posture", []string{"none", "hesitating-on-a-product-page", "falling-at-checkout"}[i], n))
	}
	for i := range 26 {
		f.Counts = append(f.Counts, count("catalogue", []string{"dresses", "shoes", "knitwear-and-cardigans-for-women", "bags", "jewellery"}[i%5]+fmt.Sprintf("-%d", i/5), int64(2600-97*i)))
	}
	f.Counts = append(f.Counts, count("catalogue", "_", 7007))
	f.Passed = []juncture.MoveCount{moved("status", "browsing", "at-risk", 214, "no order for 96 days; usually every 30"), moved("status", "cart-abandoned", "freshly-converted", 381, "ordered 2 hours ago"),
		moved("status", "browsing", "cart-abandoned", 902, "left a filled cart 61 minutes ago"), moved("status", "cart-abandoned", "browsing", 455, "emptied the bag 3 minutes ago"),
		moved("status", "browsing", "dormant", 118, "no event for 90 days"), moved("lifecycle", "prospect", "first-time", 381, "one order"), moved("lifecycle", "first-time", "returning", 97, "2 orders"),
		moved("mode", "_", "researching", 640, "looked widely: 5 products, 2 categories, one search or article"), moved("mode", "researching", "considering", 211, "the same 2 products again, and their sizes")}
	f.Moves = []juncture.Movement{{Shopper: "ada", At: Now.Add(-84 * time.Minute), Axis: "status", From: "browsing", To: "cart-abandoned", Reason: "left a filled cart 61 minutes ago"},
		{Shopper: "ada", At: Now.Add(-50 * time.Hour), Axis: "mode", From: "_", To: "researching", Reason: "looked widely: 5 products, 2 categories"},
		{Shopper: "ada", At: Now.Add(-41 * 24 * time.Hour), Axis: "lifecycle", From: "prospect", To: "first-time", Reason: "one order"}}
	f.Consent = map[string]juncture.ConsentRecord{"ada": {Personalization: juncture.ConsentGranted, At: Now.Add(-60 * 24 * time.Hour)},
		"denier": {Personalization: juncture.ConsentDenied, Analytics: juncture.ConsentDenied, At: Now.Add(-time.Hour)}}
	f.Refit = juncture.RefitView{Version: 8, Clusters: 24, Shoppers: 21533, Moved: 812, Of: 21480, Kept: 22, New: []string{"c-7f3a", "c-new"}, Retired: []string{"c-old"}}
}

// People are who holds which token.
func People() map[string]access.User {
	return map[string]access.User{"good": {ID: "u1", Name: "ada", Role: access.RoleViewer}, "editor": {ID: "u2", Name: "ed", Role: access.RoleEditor},
		"approver": {ID: "u3", Name: "ap", Role: access.RoleApprover}, "admin": {ID: "u4", Name: "root", Role: access.RoleAdmin},
		"none": {ID: "u5", Name: "no", Role: "none"}, "token-1": {ID: "u1", Name: "ada", Role: access.RoleViewer}}
}

func count(what, value string, shoppers int64) juncture.ValueCount {
	return juncture.ValueCount{What: what, Value: value, Shoppers: shoppers}
}

func moved(axis, from, to string, shoppers int64, reason string) juncture.MoveCount {
	return juncture.MoveCount{Axis: axis, From: from, To: to, Shoppers: shoppers, Reason: reason}
}

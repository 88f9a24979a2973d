package preview

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/audit"
	"github.com/juncture/juncture/console"
	"github.com/juncture/juncture/evaluate"
	"github.com/juncture/juncture/experiments"
	"github.com/juncture/juncture/experiments/offpolicy"
	"github.com/juncture/juncture/experiments/report"
)

// cannedCatalogue is 120 products, every tenth sold out and every fifteenth hidden.
func (t *Trials) cannedCatalogue() {
	v := juncture.CatalogueView{Products: 120, Sellable: 104, AsOf: &Now}
	for i := range 120 {
		x := juncture.ProductItem{ID: fmt.Sprintf("dress-%03d", i), Title: fmt.Sprintf("Linen dress %d", i), Category: []string{"dresses", "shoes"}[i%2], Brand: "Kett", Price: 49.95, Currency: "GBP", Stock: int64(i % 10), Hidden: i%15 == 0}
		if i%7 == 0 {
			x.Compare, x.Stock = 80, -1
		}
		t.Products = append(t.Products, x)
		if i < 30 {
			v.Trending = append(v.Trending, juncture.ProductView{ID: x.ID, Title: x.Title, Category: x.Category, Price: x.Price, Currency: "GBP", Source: "trending", Why: "wanted by many this week", Priority: []string{"", "new-drop"}[i%2]})
		}
		if i < 80 {
			v.CrossSells = append(v.CrossSells, juncture.CrossSell{Product: x.ID, With: fmt.Sprintf("shoes-%d", i), Lift: 9.4 - float64(i)/20, Orders: 61.7 - float64(i)/2})
		}
	}
	v.Categories = []juncture.CategoryView{{Value: "dresses", Name: "dresses", Products: 60}, {Value: "shoes", Name: "shoes", Products: 60}}
	expires := Now.AddDate(0, 0, 9)
	v.Priorities = []juncture.Priority{{ID: "new-drop", Owner: "Maria", Why: "the spring drop", Products: []string{"dress-001", "dress-002", "dress-003", "dress-004", "dress-005", "dress-006"}, Weight: 0.5, Expires: expires}, {ID: "overstock", Owner: "Ben", Category: "shoes", Weight: 1, Expires: expires}}
	v.Editorial = []juncture.Editorial{{ID: "guests", Title: "What to wear as a guest", URL: "https://shop.example/guests", Category: "dresses", Meaning: []string{"wedding-guests"}, Expires: &expires}, {ID: "size", Title: "Find your size", URL: "https://shop.example/size"}}
	t.Catalogue = v
}

// cannedWhatIf is an answer of each kind: a figure, one that is refused, one from the random group alone.
func (t *Trials) cannedWhatIf() {
	figure := func(value, half float64) offpolicy.Estimate {
		return offpolicy.Estimate{Rows: 48211, Effective: 31877.2, MeanWeight: 1.01, MaxWeight: 9.4, Hits: 1504, DR: offpolicy.Figure{Value: value, SE: half / 2, Low: value - half, High: value + half},
			Anytime: offpolicy.Interval{Low: value - 1.5*half, High: value + 1.5*half}, Warnings: []string{}}
	}
	refused := offpolicy.Estimate{Rows: 48211, Effective: 12.3, Warnings: []string{}, Refused: "the effective sample is 12 of 48,211 decisions"}
	warned := figure(0.0287, 0.0011)
	warned.Warnings = []string{"one decision in 100 carries a fifth of the weight"}
	first, both := Now.AddDate(0, 0, -30), []juncture.Group{juncture.GroupPolicy, juncture.GroupRandom}
	t.WhatIf = evaluate.Report{Experiment: "hero", AsOf: Now, Goal: "Click", Unit: evaluate.UnitRate, Read: 61204, Scored: 48211, Left: evaluate.Left{Open: 811, Unranked: 12182}, First: &first, Last: &Now,
		Observed: []evaluate.Observed{{Group: juncture.GroupPolicy, Rows: 43100, Mean: offpolicy.Figure{Value: 0.0331, Low: 0.0314, High: 0.0348}}, {Group: juncture.GroupRandom, Rows: 5111, Mean: offpolicy.Figure{Value: 0.0302, Low: 0.0255, High: 0.0349}}},
		Policies: []evaluate.Valued{{Policy: "the policy as it ran", Groups: both, Estimate: figure(0.0331, 0.0009)}, {Policy: "every arm alike", Groups: both, Estimate: warned},
			{Policy: "the best single arm", Arm: "five_off@1/plain@1", Groups: both[1:], Undefined: 12, Estimate: figure(0.0305, 0.0021)}, {Policy: "only size_guide", Groups: both, Estimate: refused}, {Policy: "only five_off, points", Groups: both, Estimate: figure(0.0319, 0.0012)}},
		Differences: []evaluate.DifferenceOf{{Policy: "only five_off, points", Against: "the policy as it ran", Groups: both, Estimate: figure(-0.0012, 0.0006)}}}
	t.Worth = evaluate.Worth{Report: t.WhatIf, NoHarm: evaluate.Finding{Verdict: evaluate.VerdictBetter, Sentence: "Personalising earns more than showing everybody the best single arm (Now five_off@1/plain@1): +2.60 successes of 1,000 decisions.", Share: 0.085, Estimate: figure(0.0026, 0.0009)}}
	t.Worth.Differences = nil
	for i, v := range []evaluate.Verdict{evaluate.VerdictBetter, evaluate.VerdictUnclear, evaluate.VerdictWorse, evaluate.VerdictUnknown} {
		tier := juncture.Tier(i + 1)
		t.Worth.Tiers = append(t.Worth.Tiers, evaluate.Step{Tier: tier.String(), Finding: evaluate.Finding{Verdict: v, Sentence: "The layer " + juncture.Layer(i).String() + " was looked at.", Estimate: figure(0.001, 0.0004)}})
	}
}

// sums are so many shoppers, of whom so many clicked and so many ordered for 42.00, every fifth of them for twice as much.
func sums(shoppers, clicks, orders int) (s juncture.UnitSums) {
	add := func(n int, events ...juncture.UnitEvent) {
		for some := juncture.SumsOf(juncture.Unit{Exposures: 2, Before: 1000, Events: events}); n > 0; n, some = n/2, some.Plus(some) {
			if n%2 == 1 {
				s = s.Plus(some)
			}
		}
	}
	click := juncture.UnitEvent{Event: "click", Count: 1}
	add(orders/5, click, juncture.UnitEvent{Event: "purchase", Count: 1, Value: 8400})
	add(orders-orders/5, click, juncture.UnitEvent{Event: "purchase", Count: 1, Value: 4200})
	add(max(clicks-orders, 0), click)
	add(shoppers - max(clicks, orders))
	return s
}

// cannedSource makes an experiment's, or a holdout's, shoppers over so many days.
func cannedSource(x *juncture.Experiment, h *juncture.Holdout, ev experiments.Evidence, days int, lift float64) report.Source {
	src := report.Source{Experiment: x, Holdout: h, Currency: "GBP", AsOf: Now, Arms: ev.Arms,
		Outcomes: []juncture.OutcomeType{{Name: "click", Type: juncture.OutcomeBinary}, {Name: "purchase", Type: juncture.OutcomeMoney}}}
	groups := map[juncture.Group]int{juncture.GroupPolicy: 820, juncture.GroupHoldout: 210}
	if x != nil {
		src.ID = x.ID
		groups = map[juncture.Group]int{}
		for g, n := range map[juncture.Group]int{juncture.GroupPolicy: 820, juncture.GroupRandom: 110, juncture.GroupBAU: 220, juncture.GroupHoldout: 210} {
			if x.Groups.Share(g) > 0 {
				groups[g] = n
			}
		}
	} else {
		src.ID = h.ID
	}
	first := Now.Truncate(24*time.Hour).AddDate(0, 0, -days)
	places := []juncture.Intersection{{"prospect.browsing._", "_", "_", "_"}, {"loyal.browsing.researching", "wedding-guests", "_", "_"}, {"returning.cart-abandoned.considering", "quiet-luxury", "high.rising", "dresses"}}
	at := map[string]*juncture.UnitRow{}
	cell := juncture.Cell{Experiment: src.ID, Intersection: places[0]}
	for day := range days {
		for g, n := range groups {
			n += 7 * (day % 5)
			rate := 0.031
			if g == juncture.GroupPolicy {
				rate *= 1 + lift
			}
			enrolled := 0
			for i, x := range places {
				enrolled += n / (i + 2)
				of := sums(n/(i+2), int(2.4*rate*float64(n/(i+2))), int(rate*float64(n/(i+2))+float64((day+i)%2)))
				for _, r := range []juncture.UnitRow{{Intersection: x}, {Day: first.AddDate(0, 0, day+1)}} {
					r.Experiment, r.Group = src.ID, g
					name := g.String() + r.RowName()
					if at[name] == nil {
						at[name] = &r
					}
					at[name].UnitSums = at[name].UnitSums.Plus(of)
				}
			}
			hour := juncture.Calendar{}.At(first.AddDate(0, 0, day+1).Add(time.Hour))
			cell.Rows = append(cell.Rows, juncture.CellRow{Group: g, Arm: juncture.ArmID(1 + day%5), Bucket: hour, Tally: juncture.Tally{Trials: int64(2 * n)}},
				juncture.CellRow{Group: g, Event: "~enrolled/0", Bucket: hour, Tally: juncture.Tally{Successes: int64(enrolled)}})
			if x := src.Experiment; x != nil {
				cell.Rows = append(cell.Rows, juncture.CellRow{Group: g, Arm: juncture.ArmID(1 + day%5), Event: x.Goal.Main(), Bucket: hour, Tally: juncture.Tally{Successes: int64(float64(2*n) * rate * (1 + float64(day%5)/4))}})
			}
		}
	}
	for _, r := range at {
		src.Units = append(src.Units, *r)
	}
	src.Cells = []juncture.Cell{cell}
	return src
}

// tripped is the experiment whose guard has tripped.
const tripped = "pdp-reassurance-for-shoppers-who-hesitate-at-the-size"

// cannedTrials makes an experiment that has shown a lift and its gate says so, one whose guard has tripped, one without a
// control group, a draft and a holdout.
func cannedTrials(f *Data) *Trials {
	for i := range f.Store.Experiments {
		x := &f.Store.Experiments[i]
		x.Groups = juncture.GroupShares{Policy: 0.6, Random: 0.08, BAU: 0.16, Holdout: 0.16}
		if x.ID == "hero" {
			x.Gate = &juncture.Gate{Outcome: "purchase", Measure: juncture.MeasureValue, Threshold: 0.3, MinWeeks: 4, MaxWeeks: 8}
		}
	}
	hour := juncture.Duration(24 * time.Hour)
	more := []juncture.Experiment{
		{ID: tripped, Surface: "pdp_module", Status: juncture.StatusRunning, Goal: juncture.Goal{Outcome: "purchase", Window: hour}, Groups: juncture.GroupShares{Policy: 0.5, BAU: 0.5}},
		{ID: "alone", Surface: "footer", Status: juncture.StatusRunning, Goal: juncture.Goal{Outcome: "click", Window: hour}, Groups: juncture.GroupShares{Policy: 1}},
		{ID: "next-season", Surface: "home_hero", Status: juncture.StatusDraft, Goal: juncture.Goal{Outcome: "click", Window: hour}, Groups: juncture.GroupShares{Policy: 0.8, BAU: 0.2}},
		{ID: "last-season", Surface: "banner", Status: juncture.StatusStopped, Goal: juncture.Goal{Outcome: "click", Window: hour}, Groups: juncture.GroupShares{Policy: 0.8, BAU: 0.2}},
	}
	f.Store.Experiments = append(f.Store.Experiments, more...)
	t := &Trials{Sources: map[string]report.Source{}, Holdouts: []juncture.Holdout{{ID: "programme", Share: 0.05}}, Shipped: map[string]juncture.Shipment{"banner": {Experiment: "last-season", Action: "five_off", At: Now.AddDate(0, 0, -3)}},
		Tripped: map[string]juncture.Trip{more[0].ID: {At: Now.Add(-5 * time.Hour), Why: "Purchase fell to 1.9% under the policy against 2.6% under bau, more than the 20% that is borne."}}}
	for i := range f.Store.Experiments {
		x := &f.Store.Experiments[i]
		days, lift := 33, 0.0
		switch x.ID {
		case "hero":
			lift = 0.9
		case "cart-rescue":
			days = 20
		case more[0].ID:
			days, lift = 9, -0.4
		case "alone":
			days = 5
		case "next-season":
			days = 0
		}
		t.Sources[x.ID] = cannedSource(x, nil, f.Evidence["hero"], days, lift)
		if _, ok := f.Evidence[x.ID]; !ok {
			ev := f.Evidence["hero"]
			ev.Experiment, ev.Cells = *x, nil
			f.Evidence[x.ID] = ev
		}
	}
	t.Sources["programme"] = cannedSource(nil, &t.Holdouts[0], f.Evidence["hero"], 30, 0.2)
	t.Health = map[string]console.HealthView{"hero": {State: console.HealthGood, Sentences: []string{"Groups are as large as they should be (P 0.41), and no rate has jumped."}},
		"cart-rescue": {State: console.HealthWarning, Sentences: []string{"Since 12 November a third fewer shoppers reach the surface."}},
		more[0].ID:    {State: console.HealthBad, Sentences: []string{"The group bau is 6% smaller than it should be (P under 0.001): no lift of this experiment is to be believed."}}}
	for i, action := range []string{"pause", "resume", "start", "change", "create"} {
		t.History = append(t.History, audit.Entry{Seq: int64(90 - i), At: Now.Add(-time.Duration(i*i) * 26 * time.Hour), Actor: []string{"user:ada", "key:abcdefghijkl"}[i%2], Action: action, Subject: "experiment hero", From: []string{"console", "api"}[i%2],
			Before: json.RawMessage(`{"state":"running"}`), After: json.RawMessage(fmt.Sprintf(`{"state":"paused","reason":"the sale began, %d"}`, i))})
	}
	t.cannedWhatIf()
	t.cannedCatalogue()
	return t
}

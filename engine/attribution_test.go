package engine_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/internal/testkit"
)

// attributed makes the experiment credit by a rule, with a window of so many days.
func attributed(rule string, days int) func(*juncture.Declaration) {
	return testkit.Hero(func(e *juncture.Experiment) {
		e.Attribution, e.Goal.Window = rule, juncture.Duration(days)*juncture.Duration(day)
	})
}

// bought is an order of a shopper.
func bought(shopper, order string) *juncture.RewardRequest {
	value := 10.0
	return &juncture.RewardRequest{ShopperID: shopper, Event: "purchase", OutcomeID: order, Value: &value, Currency: "GBP"}
}

// shared reads an answer: the place of the decision that holds the outcome among its touches, with the credits of all.
func shared(t testing.TB, a *juncture.RewardAnswer) (holder int, credits []float64) {
	t.Helper()
	holder = -1
	sum := 0.0
	for i, v := range a.AttributedTo {
		credits = append(credits, v.Credit)
		sum += v.Credit
		switch {
		case v.Status != juncture.StatusCredited && holder >= 0:
			t.Errorf("two hold it: %+v", a)
		case v.Status != juncture.StatusCredited:
			holder = i
		}
	}
	if holder < 0 || math.Abs(sum-1) > 1e-12 || a.AttributedTo[holder].Status != a.Status {
		t.Errorf("credits sum to %v in %+v", sum, a)
	}
	return holder, credits
}

// Outcomes land on each touch as often as its credit says, their sum is exact, and refunds undo all of it. The salts are
// fixed: the draws are the same in every run. χ² with 2 degrees of freedom passes 18.42 once in 10,000.
func TestOutcomesLandByTheirCredit(t *testing.T) {
	for _, c := range []struct {
		rule string
		want []float64 // newest first
	}{
		{juncture.AttributionLinear, []float64{1. / 3, 1. / 3, 1. / 3}},
		// Touches 0, 7 and 14 days old at a half-life of 7: 1, 1/2 and 1/4 of 7/4.
		{juncture.AttributionTimeDecay, []float64{4. / 7, 2. / 7, 1. / 7}},
	} {
		t.Run(c.rule, func(t *testing.T) {
			s := open(t, attributed(c.rule, 30))
			const shoppers, orders = 100, 20
			for i := range 3 {
				for k := range shoppers {
					s.choose(ask(fmt.Sprint("s", k)))
				}
				if i < 2 {
					s.Clock.Advance(7 * day)
				}
			}
			var tell, undo []*juncture.RewardRequest
			for k := range shoppers {
				for o := range orders {
					tell = append(tell, bought(fmt.Sprint("s", k), fmt.Sprint("o", o)))
					undo = append(undo, &juncture.RewardRequest{ShopperID: fmt.Sprint("s", k), Event: "purchase", OutcomeID: fmt.Sprint("r", o), Adjusts: new(fmt.Sprint("o", o))})
				}
			}
			counts := make([]float64, len(c.want))
			first := map[string]int{}
			for i, r := range s.Engine.RewardBatch(context.Background(), s.Clock.Now(), tell) {
				if r.Err != nil || r.Answer.Status != juncture.StatusRecorded {
					t.Fatal(r.Answer, r.Err)
				}
				holder, credits := shared(t, r.Answer)
				for k := range c.want {
					if math.Abs(credits[k]-c.want[k]) > 1e-12 {
						t.Fatalf("credits %v, want %v", credits, c.want)
					}
				}
				counts[holder]++
				first[r.Answer.AttributedTo[holder].DecisionID+tell[i].OutcomeID] = holder
			}
			chi := 0.0
			for k, p := range c.want {
				want := p * shoppers * orders
				chi += (counts[k] - want) * (counts[k] - want) / want
			}
			if chi > 18.42 {
				t.Errorf("%v of %d, expected shares %v: χ² = %v", counts, shoppers*orders, c.want, chi)
			}
			s.totalsAre(3*shoppers, shoppers*orders)
			s.choose(ask("s0")) // a touch more does not move what was credited
			for i, r := range s.Engine.RewardBatch(context.Background(), s.Clock.Now(), tell) {
				holder, credits := shared(t, r.Answer)
				if at, ok := first[r.Answer.AttributedTo[holder].DecisionID+tell[i].OutcomeID]; !ok || at != holder || r.Answer.Status != juncture.StatusDuplicate || len(credits) != len(c.want) {
					t.Fatalf("told again: %+v", r.Answer)
				}
			}
			for _, r := range s.Engine.RewardBatch(context.Background(), s.Clock.Now(), undo) {
				if r.Err != nil || r.Answer.Reward != -10 {
					t.Fatal(r.Answer, r.Err)
				}
				if _, credits := shared(t, r.Answer); len(credits) != len(c.want) {
					t.Fatalf("a refund: %+v", r.Answer)
				}
			}
			s.totalsAre(3*shoppers+1, 0)
			t.Logf("%s: %v of %d, χ² = %.2f", c.rule, counts, shoppers*orders, chi)
		})
	}
}

// Touches are the trials whose window is open when it happens; without one the last decision has it all.
func TestEligibleTouches(t *testing.T) {
	s := open(t, attributed(juncture.AttributionLinear, 2), func(d *juncture.Declaration) {
		mail := d.Experiments[0]
		mail.ID, mail.Surface, mail.Attribution = "mail", "cart_email", ""
		d.Experiments = append(d.Experiments, mail)
	})
	touches := func(a *juncture.RewardAnswer, experiment string) (ids []string) {
		for _, v := range a.AttributedTo {
			if v.Experiment == experiment {
				ids = append(ids, v.DecisionID)
			}
		}
		return ids
	}
	is := func(what string, got []string, want ...*juncture.ChooseAnswer) {
		t.Helper()
		var ids []string
		for _, a := range want {
			ids = append(ids, a.DecisionID)
		}
		if !slices.Equal(got, ids) {
			t.Errorf("%s: %v, want %v", what, got, ids)
		}
	}
	wait := s.choose(ask("held", deferred))
	a := s.rewardIs(juncture.StatusHeld, bought("held", "o"))
	is("one that waits for its activation", touches(a, "hero"), wait)

	old := s.choose(ask("ann"))
	s.Clock.Advance(3 * day)
	a = s.rewardIs(juncture.StatusLate, bought("ann", "late"))
	is("one whose window is over", touches(a, "hero"), old)
	one := s.choose(ask("ann", session("v")))
	if again := s.choose(ask("ann", session("v"))); again.DecisionID != one.DecisionID {
		t.Fatal("not sticky")
	}
	s.choose(ask("ann", deferred))
	s.choose(ask("ann", denied, session("no")))
	s.Clock.Advance(day)
	granted := ask("ann", granted)
	two := s.choose(granted)
	mails := s.choose(ask("ann", func(r *juncture.ChooseRequest) { r.Surface = "cart_email" }))
	a = s.rewardIs(juncture.StatusRecorded, bought("ann", "now"))
	is("hero", touches(a, "hero"), two, one)
	is("mail", touches(a, "mail"), mails)
	for _, v := range a.AttributedTo {
		if want := map[string]float64{"hero": 0.5, "mail": 1}[v.Experiment]; v.Credit != want {
			t.Errorf("%+v", v)
		}
	}
	early := bought("ann", "before")
	occurred(s.Clock.Now().Add(-day/2), early) // between the two
	is("what happened before a decision", touches(s.rewardIs(juncture.StatusRecorded, early), "hero"), one)
	s.Verify()

	// The export says the same: each decision its share, and who holds it.
	x, err := s.DB.ExportShopper(context.Background(), "ann", 100)
	if err != nil {
		t.Fatal(err)
	}
	sum, holders := map[string]float64{}, map[string]int{}
	for _, d := range x.Decisions {
		for _, o := range d.Outcomes {
			sum[d.Experiment+" "+o.ID] += o.Credit
			if o.Status != juncture.StatusCredited {
				holders[d.Experiment+" "+o.ID]++
			}
		}
	}
	for _, id := range []string{"hero late", "hero now", "mail now", "hero before"} {
		if sum[id] != 1 || holders[id] != 1 {
			t.Errorf("%s: credits sum to %v, %d hold it", id, sum[id], holders[id])
		}
	}
}

// Whatever is told by a shopper's id in whatever order, each order counts on one touch, as long as it is not refunded, and
// the tallies are the fold of the ledger.
func TestOrdersByShopperCountOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rule := rapid.SampledFrom([]string{juncture.AttributionLinear, juncture.AttributionTimeDecay}).Draw(rt, "rule")
		s := open(t, attributed(rule, 2))
		defer s.Stop()
		type key struct{ shopper, order string }
		told, refunded := map[key]bool{}, map[key]bool{}
		holds := map[key]string{}
		for _, who := range []string{"a", "b"} {
			s.choose(ask(who))
		}
		for range rapid.IntRange(5, 40).Draw(rt, "steps") {
			k := key{rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "who"), rapid.SampledFrom([]string{"1", "2", "3"}).Draw(rt, "order")}
			switch rapid.IntRange(0, 5).Draw(rt, "step") {
			case 0:
				s.choose(ask(k.shopper, func(r *juncture.ChooseRequest) { r.DeferActivation = rapid.Bool().Draw(rt, "deferred") }))
			case 1:
				s.Clock.Advance(day / 2)
			case 2, 3:
				a, err := s.Engine.Reward(context.Background(), s.Clock.Now(), bought(k.shopper, k.order))
				if err != nil {
					rt.Fatal(err)
				}
				holder, _ := shared(t, a)
				at := a.AttributedTo[holder].DecisionID
				if told[k] != (a.Status == juncture.StatusDuplicate) || told[k] && holds[k] != at {
					rt.Fatalf("%v: %+v, held by %s", k, a, holds[k])
				}
				told[k], holds[k] = true, at
			default:
				a, err := s.Engine.Reward(context.Background(), s.Clock.Now(), &juncture.RewardRequest{ShopperID: k.shopper, Event: "purchase", OutcomeID: "r" + k.order, Adjusts: &k.order})
				if (err == nil) != told[k] {
					rt.Fatalf("a refund of %v: %+v, %v", k, a, err)
				}
				refunded[k] = refunded[k] || told[k]
			}
		}
		var want int64
		for k := range told {
			if !refunded[k] {
				want++
			}
		}
		if _, got := s.totals(); got != want {
			rt.Fatalf("%d orders count, %d stand", got, want)
		}
		s.Verify()
		if t.Failed() {
			rt.FailNow()
		}
	})
}

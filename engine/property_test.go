package engine_test

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/engine"
	"github.com/juncture/juncture/internal/testkit"
)

// TestWhateverHappensTheFoldIsTheLedgers plays any sequence of calls, restarts and checkpoints: the stored tallies are
// the fold of the ledger, memory is what a fresh start would restore, the export's columns agree, and every decision that
// was answered is in the ledger.
func TestWhateverHappensTheFoldIsTheLedgers(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		shadow := rapid.Bool().Draw(rt, "shadow")
		rules := rapid.SliceOfN(rapid.SampledFrom([]string{"", juncture.AttributionLinear, juncture.AttributionTimeDecay}), 2, 2).Draw(rt, "attribution")
		declared := func(d *juncture.Declaration) {
			d.Holdouts = []juncture.Holdout{{ID: "nobody", Share: 0.2, Horizon: juncture.Duration(3 * day)}}
			d.Outcomes[1].Cap = 100
			d.Outcomes[1].Window = juncture.Duration(2 * day)
			d.Outcomes = append(d.Outcomes, juncture.OutcomeType{Name: "visit", Type: juncture.OutcomeBinary, Count: juncture.CountSum})
			d.Experiments = append(d.Experiments, juncture.Experiment{ID: "mail", Surface: "cart_email", Status: juncture.StatusRunning, Stickiness: juncture.StickyWindow,
				Goal: juncture.Goal{Outcome: "purchase", Window: juncture.Duration(day)}, Groups: juncture.GroupShares{Policy: 1}})
			d.Experiments[0].Shadow, d.Experiments[0].Attribution, d.Experiments[1].Attribution = shadow, rules[0], rules[1]
		}
		s := open(t, testkit.Shares(0.4, 0.2, 0.2, 0.2), declared)
		defer s.Stop()
		ctx := context.Background()
		pick := func(label string, from ...string) string { return rapid.SampledFrom(from).Draw(rt, label) }
		chance := func(label string, in int) bool { return rapid.IntRange(1, in).Draw(rt, label) == 1 }
		var decided []string
		request := func() *juncture.ChooseRequest {
			r := ask(pick("shopper", "a", "b", ""), at(pick("moment", "", "loyal", "prospect"), pick("meaning", "", "c1"), "", pick("catalogue", "", "x")))
			r.Surface = pick("surface", "home_hero", "home_hero", "cart_email")
			r.AnonymousID = pick("anonymous", "", "d")
			if r.ShopperID == "" && r.AnonymousID == "" {
				r.ShopperID = "c"
			}
			r.SessionID = pick("session", "", "", "s1", "s2")
			r.RequestID = pick("request", "", "", "", "r1", "r2")
			r.DeferActivation = chance("defer", 4)
			if chance("denied", 8) {
				denied(r)
			}
			if chance("candidates", 6) {
				r.Candidates = []string{pick("candidate", "news", "points", "ghost")}
			}
			return r
		}
		earlier := func() string { return rapid.SampledFrom(decided).Draw(rt, "decision") }
		reward := func() *juncture.RewardRequest {
			r := &juncture.RewardRequest{Event: pick("event", "click", "purchase", "visit"), OutcomeID: pick("outcome", "", "o1", "o2", "o3")}
			if len(decided) > 0 && !chance("by shopper", 4) {
				r.DecisionID = earlier()
			} else {
				r.ShopperID = pick("rewarded", "a", "b", "c", "d")
			}
			if r.Event == "purchase" {
				r.Value, r.Currency = new(rapid.SampledFrom([]float64{0, 0.01, 20, 80, 5000}).Draw(rt, "value")), "GBP"
			}
			if chance("occurred", 4) {
				occurred(s.Clock.Now().Add(-time.Duration(rapid.IntRange(0, 50).Draw(rt, "hours ago"))*time.Hour), r)
			}
			if chance("refund", 3) {
				r.Adjusts, r.OutcomeID = new(pick("of", "", "o1", "o2")), pick("refund id", "x1", "x2")
				r.Value = rapid.SampledFrom([]*float64{nil, new(-1.0), new(-20.0), new(1.0)}).Draw(rt, "change")
			}
			return r
		}
		check := func() {
			s.Verify()
			ledger := s.Ledger()
			for _, id := range decided {
				if _, ok := ledger.Decisions[id]; !ok {
					rt.Fatalf("a decision that was answered is not in the ledger")
				}
			}
			if distinct := slices.Compact(slices.Sorted(slices.Values(decided))); len(distinct) != len(ledger.Decisions) {
				rt.Fatalf("%d decisions were answered, %d are in the ledger", len(distinct), len(ledger.Decisions))
			}
			fresh, err := engine.NewTallies(ctx, s.DB, 1000)
			if err != nil {
				rt.Fatal(err)
			}
			sameMemory(rt, s.Tallies, fresh)
			if t.Failed() {
				rt.FailNow()
			}
		}
		for range rapid.IntRange(5, 40).Draw(rt, "steps") {
			now := s.Clock.Now()
			switch rapid.IntRange(0, 14).Draw(rt, "step") {
			case 0, 1, 2:
				if a, err := s.Engine.Choose(ctx, now, caller(), request()); err == nil {
					sound(t, a)
					decided = append(decided, a.DecisionID)
				}
			case 3:
				var rs []*juncture.ChooseRequest
				for range rapid.IntRange(1, 4).Draw(rt, "batch") {
					rs = append(rs, request())
				}
				for _, r := range s.Engine.ChooseBatch(ctx, now, caller(), rs) {
					if r.Err == nil {
						sound(t, r.Answer)
						decided = append(decided, r.Answer.DecisionID)
					}
				}
			case 4, 5, 6:
				_, _ = s.Engine.Reward(ctx, now, reward()) // many are refused: that must change nothing
			case 7:
				s.Engine.RewardBatch(ctx, now, []*juncture.RewardRequest{reward(), reward(), reward()})
			case 8:
				if len(decided) > 0 {
					r := &juncture.ActivateRequest{DecisionID: earlier()}
					if chance("served", 2) {
						r.Served = &juncture.Served{ActionID: pick("shown", "news", "welcome", "ghost"), Probability: rapid.SampledFrom([]float64{0, 0.5}).Draw(rt, "how likely")}
					}
					_, _ = s.Engine.Activate(ctx, now, r)
				}
			case 9:
				s.Clock.Advance(time.Duration(rapid.SampledFrom([]int{1, 60, 1440, 4000}).Draw(rt, "minutes")) * time.Minute)
			case 10:
				check()
				s.Restart()
			case 13:
				shadow = !shadow
				s.apply(testkit.Shares(0.4, 0.2, 0.2, 0.2), declared)
			case 11:
				if _, err := s.DB.CloseUnits(ctx, now); err != nil {
					rt.Fatal(err)
				}
			case 12:
				if chance("exclude", 3) {
					if _, err := s.Engine.Exclude(ctx, now, engine.Who{Actor: "test"}, pick("bot", "a", "d", "x"), juncture.ExcludedBot, "test"); err != nil {
						rt.Fatal(err)
					}
				}
			case 14:
				s.Checkpoint()
				if chance("rotate", 2) {
					if _, err := s.DB.RotateSigningKey(ctx, testkit.Random(3), now, juncture.AuditNote{}); err != nil {
						rt.Fatal(err)
					}
				}
			}
		}
		check()
		if _, err := s.DB.CloseUnits(ctx, s.Clock.Advance(4*day)); err != nil {
			rt.Fatal(err)
		}
		check()
	})
}

// sameMemory compares what two nodes hold in memory.
func sameMemory(t *rapid.T, a, b *engine.Tallies) {
	ctx := context.Background()
	for _, x := range []string{"hero", "mail", ""} {
		one, err := a.Experiment(ctx, x)
		if err != nil {
			t.Fatal(err)
		}
		other, err := b.Experiment(ctx, x)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(rows(one), rows(other)) {
			t.Fatalf("experiment %q in memory: %+v\nrestored: %+v", x, one, other)
		}
	}
	dirty := b.Dirty()
	asOf := testkit.Epoch()
	one, other := a.Cells(dirty, asOf), b.Cells(dirty, asOf)
	if !reflect.DeepEqual(rows(one), rows(other)) {
		t.Fatalf("in memory: %+v\nrestored: %+v", one, other)
	}
}

// rows are the tallies of cells by name; those that came to nothing say nothing.
func rows(cells []juncture.Cell) map[string]juncture.Tally {
	out := map[string]juncture.Tally{}
	for _, c := range cells {
		for _, r := range c.Rows {
			if r.Tally != (juncture.Tally{}) {
				out[fmt.Sprint(c.ID(), r.Arm, r.Group, r.Event)] = r.Tally
			}
		}
	}
	return out
}

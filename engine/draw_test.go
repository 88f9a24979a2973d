package engine_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/internal/testkit"
)

// fits fails the test where counts are not plausibly drawn with these probabilities: Pearson's chi-square, at one in a
// hundred thousand. Secrets, clock and draws are seeded, so the test always says the same.
func fits(t *testing.T, what string, counts map[string]float64, p map[string]float64) {
	t.Helper()
	n := 0.0
	var names []string
	for name := range p {
		names = append(names, name)
	}
	for name, c := range counts {
		n += c
		if _, ok := p[name]; !ok {
			t.Errorf("%s: %v of %s, which has no probability", what, c, name)
		}
	}
	slices.Sort(names)
	observed, expected := make([]float64, len(names)), make([]float64, len(names))
	for i, name := range names {
		observed[i], expected[i] = counts[name], n*p[name]
		if expected[i] < 20 {
			t.Fatalf("%s: only %v of %s expected: too few to test", what, expected[i], name)
		}
	}
	x := stat.ChiSquare(observed, expected)
	value := distuv.ChiSquared{K: float64(len(names) - 1)}.Survival(x)
	t.Logf("%s: n %v, chi-square %.2f, p %.4f", what, n, x, value)
	if value < 1e-5 {
		t.Errorf("%s: %v observed, %v expected: chi-square %.1f, p %g", what, observed, expected, x, value)
	}
}

// TestProbabilitiesAreThoseOfTheDraw asks 125,000 shoppers at one intersection with fixed evidence: whatever is logged as
// a probability is how often it happens.
func TestProbabilitiesAreThoseOfTheDraw(t *testing.T) {
	const shoppers, size = 125_000, 500
	shares := juncture.GroupShares{Policy: 0.8, Random: 0.1, BAU: 0.06, Holdout: 0.04}
	floor := 0.05
	s := open(t, testkit.Hero(func(e *juncture.Experiment) { e.Groups, e.Floor = shares, &floor }))
	cell := at("loyal", "c1", "high.rising", "dresses")
	// Evidence that sets the arms apart without settling the matter: welcome 2 of 40, news 5 of 40, points 4 of 40, ...
	for action, clicks := range map[string]int{"welcome": 2, "news": 5, "points": 4, "five_off": 3} {
		for i := range 40 {
			a := s.choose(ask(fmt.Sprint(action, i), cell, candidates(action)))
			if i < clicks && a.ActionID != nil && *a.ActionID == action {
				s.reward(click(a.DecisionID))
			}
		}
	}
	if err := s.Engine.Fit(context.Background(), "hero", s.Clock.Now()); err != nil {
		t.Fatal(err)
	}
	groups, arms := map[string]float64{}, map[juncture.Group]map[string]float64{}
	var ranking map[string]float64
	for from := 0; from < shoppers; from += size {
		rs := make([]*juncture.ChooseRequest, size)
		for i := range rs {
			rs[i] = ask(fmt.Sprint("shopper-", from+i), cell, deferred)
		}
		for _, a := range s.batch(rs...) { // which checks that the ranking sums to 1 within 1e-12 and holds the probability
			groups[a.Group.String()]++
			if arms[a.Group] == nil {
				arms[a.Group] = map[string]float64{}
			}
			arms[a.Group][served(a)]++
			if a.Group != juncture.GroupPolicy {
				continue
			}
			if ranking == nil {
				ranking = map[string]float64{}
				for _, r := range a.Ranking {
					ranking[r.ActionID+"/"+r.CopyID] = r.Probability
				}
			}
			if ranking[served(a)] != a.Probability {
				t.Fatal("the evidence was not fixed")
			}
		}
		s.Clock.Advance(1e6) // a millisecond
	}
	t.Logf("the policy's ranking: %v", ranking)
	if n := arms[juncture.GroupPolicy]; len(ranking) != 5 || n["news/plain"] < n["welcome/plain"] {
		t.Errorf("five arms, better evidence for news than for welcome, and %v", n)
	}
	for arm, p := range ranking {
		if p < floor/5 || p > 0.9 {
			t.Errorf("%s has probability %v: this evidence tests little", arm, p)
		}
	}
	fits(t, "groups", groups, map[string]float64{"policy": shares.Policy, "random": shares.Random, "bau": shares.BAU, "holdout": shares.Holdout})
	fits(t, "policy", arms[juncture.GroupPolicy], ranking)
	uniform := map[string]float64{}
	for arm := range ranking {
		uniform[arm] = 0.2
	}
	fits(t, "random", arms[juncture.GroupRandom], uniform)
	if n := arms[juncture.GroupBAU]; len(n) != 1 || n["welcome/plain"] == 0 {
		t.Errorf("bau serves %v", n)
	}
	if n := arms[juncture.GroupHoldout]; len(n) != 1 || n["-"] == 0 {
		t.Errorf("holdout serves %v", n)
	}
	if v := s.Verify(); v.Decisions != shoppers+160 {
		t.Errorf("%d decisions in the ledger", v.Decisions)
	}
}

// TestGroupsDoNotTellTheDraw: the salt of the pick is not the groups', so within the random group no arm follows from
// who the shopper is.
func TestGroupsDoNotTellTheDraw(t *testing.T) {
	s := open(t, testkit.Shares(0, 1, 0, 0))
	seen := map[string]bool{}
	for range 100 {
		seen[served(s.choose(ask("the same shopper")))] = true
	}
	if len(seen) != 5 { // 100 draws of 5 arms miss one with probability 5 × 0.8^100 = 1e-9
		t.Errorf("one shopper saw %d of 5 arms in 100 draws", len(seen))
	}
}

// TestTheBanditLearnsAtEachIntersection: two kinds of shopper with opposite tastes; most of each see what they like.
func TestTheBanditLearnsAtEachIntersection(t *testing.T) {
	s := open(t)
	random := rand.New(rand.NewPCG(7, 7))
	rate := func(kind int, action string) float64 {
		if action == []string{"news", "points"}[kind] {
			return 0.20
		}
		return 0.04
	}
	const rounds, size, last = 60, 100, 10 // 3,000 decisions of each kind, the last 500 counted
	right := [2]float64{}
	for round := range rounds {
		rs := make([]*juncture.ChooseRequest, size)
		for i := range rs {
			rs[i] = ask(fmt.Sprintf("s-%d-%d", round, i), at([]string{"loyal", "prospect"}[i%2], "", "", ""))
		}
		var rewards []*juncture.RewardRequest
		for i, a := range s.batch(rs...) {
			if round >= rounds-last && *a.ActionID == []string{"news", "points"}[i%2] {
				right[i%2] += 1.0 / (last * size / 2)
			}
			if random.Float64() < rate(i%2, *a.ActionID) {
				rewards = append(rewards, click(a.DecisionID))
			}
		}
		for _, r := range s.Engine.RewardBatch(context.Background(), s.Clock.Now(), rewards) {
			if r.Err != nil || !r.Answer.Learned {
				t.Fatalf("%+v, %v", r.Answer, r.Err)
			}
		}
		if round == rounds/2 {
			s.Checkpoint()
			s.Restart() // what was learnt outlives the process
		}
	}
	t.Logf("the right action's share: %.2f and %.2f", right[0], right[1])
	for kind, share := range right {
		if share < 0.75 {
			t.Errorf("kind %d: the right action has %.2f of the traffic", kind, share)
		}
	}
	s.Verify()
}

// TestMoneyGoalsFollowValue: an action that sells rarely for much beats one that sells often for little.
func TestMoneyGoalsFollowValue(t *testing.T) {
	s := open(t, testkit.Hero(func(e *juncture.Experiment) { e.Goal.Outcome = "purchase" }))
	random := rand.New(rand.NewPCG(8, 8))
	share, counted := 0.0, 0.0
	for round := range 40 {
		rs := make([]*juncture.ChooseRequest, 100)
		for i := range rs {
			rs[i] = ask(fmt.Sprintf("s-%d-%d", round, i), candidates("news", "points"))
		}
		var rewards []*juncture.RewardRequest
		for _, a := range s.batch(rs...) {
			p, value := 0.20, 5.0 // points: 1.00 a decision
			if *a.ActionID == "news" {
				p, value = 0.10, 50.0 // news: 5.00 a decision
			}
			if random.Float64() < p {
				rewards = append(rewards, buy(a.DecisionID, "o", math.Round(value*math.Exp(0.3*random.NormFloat64())*100)/100))
			}
			if round >= 30 {
				counted++
				if *a.ActionID == "news" {
					share++
				}
			}
		}
		for _, r := range s.Engine.RewardBatch(context.Background(), s.Clock.Now(), rewards) {
			if r.Err != nil {
				t.Fatal(r.Err)
			}
		}
	}
	if share /= counted; share < 0.8 {
		t.Errorf("the action worth five times as much has %.2f of the traffic", share)
	}
	s.Verify()
}

func TestNothingIsLeftRunning(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	s := open(t)
	concurrently(t, 20, func(i int) (string, error) {
		_, err := s.Engine.Choose(context.Background(), s.Clock.Now(), caller(), ask(fmt.Sprint("s", i), session("x")))
		return "", err
	})
	s.Checkpoint()
	s.Verify()
	s.Stop()
}

// Without evidence the four actions weigh 1/4 each, five_off's in two copies. Nudged by 2, news has 0.5 of 1.25.
func TestNudgesAndFloors(t *testing.T) {
	end := testkit.NewClock().Now().Add(time.Hour)
	p := func(a *juncture.ChooseAnswer) map[string]float64 {
		out := map[string]float64{}
		for _, r := range a.Ranking {
			out[r.ActionID] += r.Probability
		}
		return out
	}
	is := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 2e-3 { // of the integration (statistics C.1)
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	explain := func(r *juncture.ChooseRequest) { r.Explain = true }
	s := open(t, testkit.Hero(func(e *juncture.Experiment) {
		e.Nudges = []juncture.Nudge{{Action: "news", Factor: 2, Owner: "mia", Why: "new drop", Expires: end}}
	}))
	a := s.choose(ask("a", explain))
	is("nudged", p(a)["news"], 0.99*0.4+0.01/5)
	is("another", p(a)["points"], 0.99*0.2+0.01/5)
	if n := a.Explanation.Nudges; len(n) != 1 || n[0].Owner != "mia" || a.Explanation.NudgeCost == nil || math.Abs(*a.Explanation.NudgeCost) > 1e-4 {
		t.Errorf("explained as %+v, cost %v", n, a.Explanation.NudgeCost)
	}
	s.teach(10, 3) // news is the best for who is loyal: more of it costs nothing; for prospects points is
	a = s.choose(ask("b", at("prospect", "c1", "", ""), explain))
	if cost := a.Explanation.NudgeCost; cost == nil || !(*cost > 0) {
		t.Errorf("showing more of what is not the best costs %v", cost)
	}
	s.Clock.Advance(end.Sub(s.Clock.Now()))
	after := s.choose(ask("c", at("prospect", "c1", "", ""), explain))
	if len(after.Explanation.Nudges) != 0 || p(after)["news"] >= p(a)["news"] {
		t.Errorf("after its end %v with %+v, before %v", p(after), after.Explanation.Nudges, p(a))
	}

	s = open(t, testkit.Hero(func(e *juncture.Experiment) { e.Floors = map[string]float64{"points": 0.2, "five_off/urgent": 0.1} }))
	a = s.choose(ask("a"))
	is("floor of an action", p(a)["points"], 0.2+0.01/5+0.69*0.25)
	is("floor of a copy", p(a)["five_off"], 0.1+2*0.01/5+0.69*0.25)
	is("none", p(a)["news"], 0.01/5+0.69*0.25)
	is("alone", s.choose(ask("a", candidates("points"))).Probability, 1)
}

// What the policy would have drawn is logged beside what the random group drew, for off-policy weights over both groups:
// the same vector that a call of the policy's group logs. Other groups have none.
func TestTheRandomGroupLogsThePolicysProbabilities(t *testing.T) {
	s := open(t, testkit.Shares(0.5, 0.5, 0, 0))
	for i := range 200 {
		s.choose(ask(fmt.Sprint("shopper-", i), at("loyal", "c1", "_", "_")))
	}
	vectors := map[string][]juncture.Ranked{} // of the policy, by version
	var random []juncture.Settled
	err := s.DB.EachSettled(t.Context(), "hero", time.Time{}, time.Time{}, func(d juncture.Settled) error {
		if d.Group == juncture.GroupRandom {
			random = append(random, d)
		} else if vectors[d.Version] = d.Ranking; d.Policy != nil {
			t.Errorf("the policy's own decision has %v", d.Policy)
		}
		return nil
	})
	if err != nil || len(random) < 50 {
		t.Fatalf("%d decisions of the random group: %v", len(random), err)
	}
	for _, d := range random {
		for i, r := range vectors[d.Version] {
			if d.Policy[i] != r.Probability || d.Ranking[i].Arm != r.Arm || d.Ranking[i].Probability != 1/float64(len(d.Ranking)) {
				t.Fatalf("arm %d: %g in the random group's log, %g in the policy's", r.Arm, d.Policy[i], r.Probability)
			}
		}
	}
}

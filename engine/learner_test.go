package engine_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/experiments"
	"github.com/juncture/juncture/internal/testkit"
)

// teach plays decisions of which the right action of each kind of shopper succeeds more often.
func (s *shop) teach(rounds int, seed uint64) {
	s.t.Helper()
	random := rand.New(rand.NewPCG(seed, 1))
	for round := range rounds {
		rs := make([]*juncture.ChooseRequest, 100)
		for i := range rs {
			rs[i] = ask(fmt.Sprintf("t%d-%d-%d", seed, round, i), at([]string{"loyal", "prospect"}[i%2], []string{"c1", "c2", ""}[i%3], "", ""))
		}
		var rewards []*juncture.RewardRequest
		for i, a := range s.batch(rs...) {
			p := 0.05
			if *a.ActionID == []string{"news", "points"}[i%2] {
				p = 0.2
			}
			if random.Float64() < p {
				rewards = append(rewards, click(a.DecisionID))
			}
		}
		for _, r := range s.Engine.RewardBatch(context.Background(), s.Clock.Now(), rewards) {
			if r.Err != nil {
				s.t.Fatal(r.Err)
			}
		}
		s.Clock.Advance(time.Minute)
	}
}

// What a snapshot believes is a function of the ledger: after a crash, and after a checkpoint, the same evidence gives the same
// version and the same probabilities.
func TestASnapshotIsAFunctionOfTheLedger(t *testing.T) {
	s := open(t)
	s.teach(12, 1)
	ask := ask("someone", at("loyal", "c1", "", ""), deferred) // no trial: once they are enrolled, it adds nothing
	s.choose(ask)
	read := func() *juncture.ChooseAnswer {
		if err := s.Engine.Fit(context.Background(), "hero", s.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		return s.choose(ask)
	}
	first := read()
	s.Restart()
	crashed := read()
	s.Checkpoint()
	s.Restart()
	checked := read()
	for what, a := range map[string]*juncture.ChooseAnswer{"a crash": crashed, "a checkpoint": checked} {
		if d := cmp.Diff(first.Ranking, a.Ranking); d != "" || a.PolicyVersion != first.PolicyVersion {
			t.Errorf("after %s version %s, not %s: %s", what, a.PolicyVersion, first.PolicyVersion, d)
		}
	}
}

// A snapshot lags acknowledged evidence by at most 50 trials, or 4% where that is more: each time it is further behind,
// the next call has a new one.
func TestSnapshotsKeepUp(t *testing.T) {
	s := open(t)
	versions := map[string]int{}
	for round := range 24 {
		rs := make([]*juncture.ChooseRequest, 20)
		for i := range rs {
			rs[i] = ask(fmt.Sprint("k", round, "-", i))
		}
		for _, a := range s.batch(rs...) {
			versions[a.PolicyVersion]++
		}
	}
	// 480 trials, 20 a call: fits at 0, 60, 120 and so on to 420.
	if len(versions) != 8 {
		t.Errorf("%d snapshots: %v", len(versions), versions)
	}
	for v, n := range versions {
		if n > 60 {
			t.Errorf("%d decisions on %s", n, v)
		}
	}
}

// A refund takes back exactly what its outcome taught.
func TestARefundUnteaches(t *testing.T) {
	s := open(t, testkit.Hero(func(e *juncture.Experiment) { e.Goal.Outcome = "purchase" }))
	s.teachValue(6)
	probe := ask("someone", deferred)
	ranking := func() []juncture.RankedView {
		if err := s.Engine.Fit(context.Background(), "hero", s.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		return s.choose(probe).Ranking
	}
	a := s.choose(ask("buyer"))
	before := ranking()
	s.rewardIs(juncture.StatusRecorded, buy(a.DecisionID, "o", 400))
	if d := cmp.Diff(before, ranking()); d == "" {
		t.Error("an order of 400 taught nothing")
	}
	back := buy(a.DecisionID, "r", 0)
	back.Adjusts, back.Value, back.Currency = new("o"), nil, ""
	s.rewardIs(juncture.StatusRecorded, back)
	if d := cmp.Diff(before, ranking()); d != "" {
		t.Errorf("a whole refund leaves a trace: %s", d)
	}
}

func (s *shop) teachValue(rounds int) {
	s.t.Helper()
	random := rand.New(rand.NewPCG(4, 4))
	for round := range rounds {
		rs := make([]*juncture.ChooseRequest, 100)
		for i := range rs {
			rs[i] = ask(fmt.Sprint("v", round, "-", i))
		}
		for _, a := range s.batch(rs...) {
			if random.Float64() < 0.1 {
				s.reward(buy(a.DecisionID, "o", math.Round(2000*math.Exp(random.NormFloat64()))/100))
			}
		}
	}
}

// Every policy is there by its name, and picks with the probability that it says.
func TestEveryPolicyServes(t *testing.T) {
	for _, name := range juncture.Policies() {
		t.Run(name, func(t *testing.T) {
			s := open(t, testkit.Hero(func(e *juncture.Experiment) {
				e.Policy = name
				if name == juncture.PolicyFixed {
					e.Learning = &juncture.Learning{Split: map[string]float64{"news": 0.75, "points": 0.25}}
				}
			}))
			s.teach(8, 2)
			a := s.choose(ask("someone", at("loyal", "c1", "", ""), func(r *juncture.ChooseRequest) { r.Explain = true }))
			p := map[string]float64{}
			for _, r := range a.Ranking {
				p[r.ActionID] += r.Probability
			}
			if a.Explanation.Policy != name || len(a.Ranking) != 5 {
				t.Errorf("%+v", a.Explanation)
			}
			switch name {
			case juncture.PolicyFixed:
				// Floor 0.01 over 5 arms leaves 0.99 to the split, and 0.002 to each arm.
				if math.Abs(p["news"]-(0.99*0.75+0.002)) > 1e-12 || math.Abs(p["welcome"]-0.002) > 1e-12 {
					t.Errorf("split %v", p)
				}
			case juncture.PolicyUniform:
				if math.Abs(p["news"]-0.2) > 1e-12 {
					t.Errorf("uniform %v", p)
				}
			case juncture.PolicyPooled:
				if p["news"] < 0.6 || a.Explanation.Sentence == "" || len(a.Explanation.Effects) == 0 {
					t.Errorf("pooled %v: %q", p, a.Explanation.Sentence)
				}
			}
		})
	}
}

// A goal of several outcomes: what gets the most clicks is not what is best where each departure costs five of them.
//
//	news:   0.20 clicks − 5 × 0.06 departures = −0.10 a decision
//	points: 0.15 clicks − 5 × 0.005           =  0.125
//	rest:   0.10 clicks − 5 × 0.005           =  0.075
func TestAGoalOfSeveralOutcomes(t *testing.T) {
	weigh := func(weights map[string]float64) func(*juncture.Declaration) {
		return func(d *juncture.Declaration) {
			d.Outcomes = append(d.Outcomes, juncture.OutcomeType{Name: "unsubscribe", Type: juncture.OutcomeBinary})
			d.Experiments[0].Goal.Outcome, d.Experiments[0].Goal.Weights = "", weights
		}
	}
	for name, tt := range map[string]struct {
		weights     map[string]float64
		best, worst string
	}{
		"weighed":        {map[string]float64{"click": 1, "unsubscribe": -5}, "points", "news"},
		"clicks alone":   {map[string]float64{"click": 1}, "news", ""},
		"less is better": {map[string]float64{"unsubscribe": -1}, "", "news"},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, weigh(tt.weights))
			random := rand.New(rand.NewPCG(8, 8))
			for round := range 40 {
				rs := make([]*juncture.ChooseRequest, 100)
				for i := range rs {
					rs[i] = ask(fmt.Sprint("w", round, "-", i), at([]string{"loyal", "prospect"}[i%2], "", "", ""))
				}
				for _, a := range s.batch(rs...) {
					clicks, leaves := 0.1, 0.005
					switch *a.ActionID {
					case "news":
						clicks, leaves = 0.2, 0.06
					case "points":
						clicks = 0.15
					}
					if random.Float64() < clicks {
						if got := s.reward(click(a.DecisionID)); got.Learned != (tt.weights["click"] != 0) {
							t.Fatalf("a click: %+v", got)
						}
					}
					if random.Float64() < leaves {
						s.reward(&juncture.RewardRequest{DecisionID: a.DecisionID, Event: "unsubscribe"})
					}
				}
			}
			if err := s.Engine.Fit(context.Background(), "hero", s.Clock.Now()); err != nil {
				t.Fatal(err)
			}
			a := s.choose(ask("someone", at("loyal", "", "", ""), deferred, func(r *juncture.ChooseRequest) { r.Explain = true }))
			p := map[string]float64{}
			for _, r := range a.Ranking {
				p[r.ActionID] += r.Probability
			}
			if tt.best != "" && p[tt.best] < 0.6 || tt.worst != "" && p[tt.worst] > 0.05 {
				t.Errorf("probabilities %v", p)
			}
			if len(a.Explanation.Effects) == 0 || a.Explanation.Effects[0].Outcome == "" || !strings.HasPrefix(a.Explanation.Sentence, a.Explanation.Effects[0].Outcome+": arm overall") {
				t.Errorf("explained by %+v: %s", a.Explanation.Effects, a.Explanation.Sentence)
			}
			ev, err := s.Engine.Evidence(context.Background(), "hero", s.Clock.Now())
			if err != nil {
				t.Fatal(err)
			}
			report, err := experiments.BuildIntersection(ev, juncture.Intersection{"loyal", "_", "_", "_"})
			if err != nil {
				t.Fatal(err)
			}
			for _, action := range report.Actions {
				if want := action.PBest > 0.5; tt.best != "" && want != (action.Action == tt.best) {
					t.Errorf("%s is best with %v, worth %v", action.Action, action.PBest, action.Value)
				}
				if name == "weighed" && (action.Value < 0) != (action.Action == "news") {
					t.Errorf("%s is worth %v a decision", action.Action, action.Value)
				}
			}
			if ev.Currency != "" || !report.Money {
				t.Errorf("values in %q, %v", ev.Currency, report.Money)
			}
			s.Restart()
			if again := s.choose(ask("someone", at("loyal", "", "", ""), deferred)); !cmp.Equal(a.Ranking, again.Ranking) {
				t.Errorf("after a crash %v, before %v", again.Ranking, a.Ranking)
			}
		})
	}
}

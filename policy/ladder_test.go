package policy

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/juncture/juncture"
	"pgregory.net/rapid"
)

func TestLadderByHand(t *testing.T) {
	// One rung, two actions, each 50 of 1000: as foreseen (0.05), so neither departs and the base stays 0.05.
	// n0 = 1/(0.05·0.95·0.2²) = 526.3157894737, alpha = 0.05·n0 + 50, beta = 0.95·n0 + 950
	var best Best
	climb := func(cells []cell) *chain {
		t.Helper()
		s := situation([]string{"a", "b"}, cells)
		f := gather(s.Arms)
		c, err := f.actions(s, &best)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := climb([]cell{{{1000, 50}}, {{1000, 50}}})
	n0 := 1 / (0.05 * 0.95 * 0.04)
	near(t, "prior", c.prior[0], n0, 1e-9)
	near(t, "alpha of a", c.post[0].Alpha, 0.05*n0+50, 1e-9)
	near(t, "beta of b", c.post[1].Beta, 0.95*n0+950, 1e-9)

	// A second rung that holds all of the same trials leaves the store's rung empty: each trial counts once.
	// Variance of an arm: 0.2² (store) + 0.2² (moment) = 0.08, n0 = 1/(0.0475·0.08) = 263.1579.
	c = climb([]cell{{{1000, 50}, {1000, 50}}, {{1000, 50}, {1000, 50}}})
	n0 = 1 / (0.05 * 0.95 * 0.08)
	near(t, "prior of two rungs", c.prior[0], n0, 1e-6)
	near(t, "alpha of two rungs", c.post[0].Alpha, 0.05*n0+50, 1e-6)

	// 60 and 40 of 1000. Before: log-odds of 0.05 with variance 1/(2·0.0475). An arm's step begins at
	// p = (2 + y)/(40 + 1000), has information 1000·p(1−p) and weight 1/(0.2² + 1/information):
	//	a: p 0.0596154, information 56.0614, departure 0.192924, weight 17.2898
	//	b: p 0.0403846, information 38.7537, departure −0.233569, weight 15.1966
	// base = logistic(logit 0.05 + (17.2898·0.192924 − 15.1966·0.233569)/(17.2898 + 15.1966 + 0.095)) = 0.0496892
	// n0 = 1/(0.0496892·0.9503108·0.04) = 529.435; alpha of 60 = 0.0496892·529.435 + 60 = 86.3072
	c = climb([]cell{{{1000, 60}}, {{1000, 40}}})
	near(t, "prior of 60 and 40", c.prior[0], 529.4351, 1e-3)
	near(t, "alpha of 60", c.post[0].Alpha, 86.30718, 1e-4)
	near(t, "beta of 40", c.post[1].Beta, 1463.1279, 1e-3)

	// The weights are P(best) of just these.
	want, err := BestBeta([]Beta{c.post[0], c.post[1]})
	if err != nil {
		t.Fatal(err)
	}
	got := weigh(t, Ladder{}, situation([]string{"a", "b"}, []cell{{{1000, 60}}, {{1000, 40}}}))
	if diff := cmp.Diff(want.P, got, cmpopts.EquateApprox(0, 1e-12)); diff != "" {
		t.Error(diff)
	}
}

func TestBaseSetsAsideWhoWasShown(t *testing.T) {
	// The store knows a = 10%, b = 2% from 100,000 trials each. The moment has shown a alone, and it did as foreseen:
	// the moment is no better than the store, and b keeps its rate.
	s := situation([]string{"a", "b"}, []cell{{{101000, 10100}, {1000, 100}}, {{100000, 2000}, {0, 0}}})
	f := gather(s.Arms)
	var best Best
	c, err := f.actions(s, &best)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "b at the moment", c.rate[1*2+1], c.rate[0*2+1], 1e-4)
	near(t, "b at the store", c.rate[1], 0.02, 5e-4)
}

func TestOneArm(t *testing.T) {
	for _, p := range []Policy{Ladder{}, Even{}} {
		if w := weigh(t, p, situation([]string{"a"}, []cell{{{0, 0}}})); w[0] != 1 {
			t.Errorf("%s: %v, want 1", p.Name(), w)
		}
	}
}

func TestColdIsEven(t *testing.T) {
	// Without evidence nothing tells actions apart, however many copies they have: ⅓ each, copies alike within.
	w := weigh(t, Ladder{}, situation(strings.Split("a b a c a", " "), make5(cell{{0, 0}, {0, 0}})))
	if diff := cmp.Diff([]float64{1. / 9, 1. / 3, 1. / 9, 1. / 3, 1. / 9}, w, cmpopts.EquateApprox(0, 1e-9)); diff != "" {
		t.Error(diff)
	}
}

func make5(c cell) []cell { return []cell{c, c, c, c, c} }

func TestRefuses(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	good := func() *Situation {
		return situation([]string{"a", "b"}, []cell{{{10, 1}, {5, 1}}, {{10, 1}, {5, 1}}})
	}
	for name, spoil := range map[string]func(*Situation){
		"NaN trials":          func(s *Situation) { s.Rungs[0].Counts[0].Trials = nan },
		"infinite trials":     func(s *Situation) { s.Rungs[0].Counts[0].Trials = inf },
		"huge trials":         func(s *Situation) { s.Rungs[0].Counts[0].Trials = 1e13 },
		"negative trials":     func(s *Situation) { s.Rungs[1].Counts[1].Trials = -1 },
		"NaN successes":       func(s *Situation) { s.Rungs[1].Counts[1].Successes = nan },
		"negative successes":  func(s *Situation) { s.Rungs[1].Counts[1].Successes = -1 },
		"successes > trials":  func(s *Situation) { s.Rungs[1].Counts[1].Successes = 6 },
		"NaN log value":       func(s *Situation) { s.Rungs[0].Counts[0].LogValue = nan },
		"impossible price":    func(s *Situation) { s.Rungs[0].Counts[0].LogValue = 101 },
		"value without order": func(s *Situation) { s.Rungs[0].Counts[0] = Counts{Trials: 10, LogValue: 1} },
		"negative square":     func(s *Situation) { s.Rungs[0].Counts[0].LogValueSq = -1 },
		"no rungs":            func(s *Situation) { s.Rungs = nil },
		"no arms":             func(s *Situation) { s.Arms = nil },
		"short counts":        func(s *Situation) { s.Rungs[1].Counts = s.Rungs[1].Counts[:1] },
		"no store rung":       func(s *Situation) { s.Rungs = s.Rungs[1:] },
		"rungs out of order":  func(s *Situation) { s.Rungs[1].Layer = -1 },
		"no such layer":       func(s *Situation) { s.Rungs[1].Layer = 4 },
	} {
		s := good()
		spoil(s)
		w := make([]float64, len(s.Arms))
		for _, p := range []Policy{Ladder{}, Even{}} {
			if err := p.Weights(s, w); juncture.ErrorCode(err) != juncture.CodeInternal {
				t.Errorf("%s, %s: %v, want INTERNAL", name, p.Name(), err)
			}
		}
		if _, err := Read(s); juncture.ErrorCode(err) != juncture.CodeInternal {
			t.Errorf("%s, Read: %v, want INTERNAL", name, err)
		}
	}
	for _, p := range []Policy{Ladder{}, Even{}} {
		if err := p.Weights(good(), make([]float64, 3)); juncture.ErrorCode(err) != juncture.CodeInternal {
			t.Errorf("%s, three weights for two arms: %v", p.Name(), err)
		}
	}
	// A narrower rung with more than the broader one is clamped: forgetting rounds the two apart.
	weigh(t, Ladder{}, situation([]string{"a", "b"}, []cell{{{10, 1}, {10.5, 1.1}}, {{10, 1}, {0, 0}}}))
}

func TestNew(t *testing.T) {
	for _, name := range juncture.Policies()[1:] { // the first is the pooled one
		if p, err := New(name); err != nil || p.Name() != name {
			t.Errorf("New(%q) = %v, %v", name, p, err)
		}
	}
	for _, name := range []string{"greedy", "", juncture.PolicyPooled} {
		if _, err := New(name); juncture.ErrorCode(err) != juncture.CodeInvalidRequest {
			t.Errorf("New(%q): %v", name, err)
		}
	}
}

func TestValue(t *testing.T) {
	// Same rates, but b's baskets are three times as large: e^3 against 3·e^3, 400 orders each, σ = 1.
	orders, mu := 400.0, 3.0
	counts := func(m float64) Counts {
		return Counts{Trials: 10000, Successes: orders, LogValue: orders * m, LogValueSq: orders * (m*m + 1)}
	}
	s := &Situation{Arms: []Arm{{1, "a"}, {2, "b"}}, Value: true,
		Rungs: []Rung{{Layer: -1, Counts: []Counts{counts(mu), counts(mu + math.Log(3))}}}}
	if w := weigh(t, Ladder{}, s); w[1] < 0.999 {
		t.Errorf("by value %v, want b", w)
	}
	r, err := Read(s)
	if err != nil {
		t.Fatal(err)
	}
	// pooled mean 3 + ln(3)/2, a's effect (20·pooled + 1200)/420 = 3 + 10·ln3/420; σ² = (10 + 800)/(10 + 800) = 1.
	near(t, "value of a trial", r.Arms[0].Value, r.Arms[0].Mean*math.Exp(3+10*math.Log(3)/420+0.5), 1e-9)
	s.Value = false
	w := weigh(t, Ladder{}, s)
	near(t, "by rate", w[0], 0.5, 1e-9)

	// Before the first order value says nothing: as by rate, and no value is claimed.
	s = situation([]string{"a", "b"}, []cell{{{100, 0}}, {{100, 0}}})
	s.Value = true
	near(t, "no orders", weigh(t, Ladder{}, s)[0], 0.5, 1e-9)
	if r, err = Read(s); err != nil || r.Arms[0].Value != 0 {
		t.Errorf("no orders: %+v, %v", r.Arms[0], err)
	}
}

// drawSituation makes consistent counts: every rung holds what the narrower one does, and more.
func drawSituation(t *rapid.T, most int) *Situation {
	k := rapid.IntRange(1, most).Draw(t, "arms")
	rungs := rapid.IntRange(1, 5).Draw(t, "rungs")
	scale := rapid.SampledFrom([]float64{1, 30, 3000, 1e6}).Draw(t, "scale")
	var names []string
	var cells []cell
	for range k {
		names = append(names, fmt.Sprintf("action-%d", rapid.IntRange(1, most/2+1).Draw(t, "action")))
		c := make(cell, rungs)
		for r := rungs - 1; r >= 0; r-- {
			n := math.Floor(rapid.Float64Range(0, 1).Draw(t, "trials") * scale)
			c[r] = [2]float64{n, math.Floor(n * rapid.Float64Range(0, 0.2).Draw(t, "rate"))}
			if r < rungs-1 {
				c[r][0], c[r][1] = c[r][0]+c[r+1][0], c[r][1]+c[r+1][1]
			}
		}
		cells = append(cells, c)
	}
	s := situation(names, cells)
	s.Value = rapid.Bool().Draw(t, "value")
	for r := range s.Rungs {
		for i := range s.Rungs[r].Counts {
			c := &s.Rungs[r].Counts[i]
			mu := 3 + 0.1*float64(i%5)
			c.LogValue, c.LogValueSq = c.Successes*mu, c.Successes*(mu*mu+0.5)
		}
	}
	return s
}

func TestLadderInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSituation(t, 12)
		w := make([]float64, len(s.Arms))
		if err := (Ladder{}).Weights(s, w); err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for _, v := range w {
			if !(v >= 0) {
				t.Fatalf("weights %v", w)
			}
			sum += v
		}
		if math.Abs(sum-1) > 1e-12 {
			t.Fatalf("weights sum to %v", sum)
		}

		// The order of the arms does not matter.
		perm := rapid.Permutation(indices(len(w))).Draw(t, "order")
		moved := &Situation{Value: s.Value}
		for _, i := range perm {
			moved.Arms = append(moved.Arms, s.Arms[i])
		}
		for _, r := range s.Rungs {
			m := Rung{Layer: r.Layer}
			for _, i := range perm {
				m.Counts = append(m.Counts, r.Counts[i])
			}
			moved.Rungs = append(moved.Rungs, m)
		}
		v := make([]float64, len(w))
		if err := (Ladder{}).Weights(moved, v); err != nil {
			t.Fatal(err)
		}
		for to, from := range perm {
			if math.Abs(v[to]-w[from]) > 1e-8 {
				t.Fatalf("arm %d has %v, after moving %v", from, w[from], v[to])
			}
		}
	})
}

func indices(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// An arm shown far more than the others also moves the base, on which the unseen ones stand: then all are as good as
// tied, and how a tie falls depends on skewness. So the ladder is held to this where all were shown alike, and the
// comparison of posteriors always.
func TestMoreSuccessesNeverLessWeight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSituation(t, 8)
		s.Value = false
		for r := range s.Rungs {
			for i := range s.Arms {
				c := &s.Rungs[r].Counts[i]
				s.Arms[i].Action = fmt.Sprint(i)
				*c = Counts{Trials: s.Rungs[r].Counts[0].Trials, Successes: min(c.Successes, s.Rungs[r].Counts[0].Trials)}
			}
		}
		k := rapid.IntRange(0, len(s.Arms)-1).Draw(t, "arm")
		share := rapid.Float64Range(0, 1).Draw(t, "more")
		before, after := make([]float64, len(s.Arms)), make([]float64, len(s.Arms))
		if err := (Ladder{}).Weights(s, before); err != nil {
			t.Fatal(err)
		}
		last := len(s.Rungs) - 1
		more := math.Floor((s.Rungs[last].Counts[k].Trials - s.Rungs[last].Counts[k].Successes) * share)
		for r := range s.Rungs {
			c := &s.Rungs[r].Counts[k]
			c.Successes = min(c.Successes+more, c.Trials)
		}
		if err := (Ladder{}).Weights(s, after); err != nil {
			t.Fatal(err)
		}
		if after[k] < before[k]-1e-8 {
			t.Fatalf("%v more successes took the weight from %v to %v", more, before[k], after[k])
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		arms := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Beta {
			n := math.Pow(10, rapid.Float64Range(0, 6).Draw(t, "trials"))
			y := n * rapid.Float64Range(0, 0.2).Draw(t, "rate")
			return Beta{0.5 + y, 0.5 + n - y}
		}), 2, 24).Draw(t, "arms")
		before, err := BestBeta(arms)
		if err != nil {
			t.Fatal(err)
		}
		more := rapid.Float64Range(0, 1).Draw(t, "more") * (arms[0].Beta - 0.5)
		arms[0].Alpha, arms[0].Beta = arms[0].Alpha+more, arms[0].Beta-more
		after, err := BestBeta(arms)
		if err != nil {
			t.Fatal(err)
		}
		if after.P[0] < before.P[0]-1e-8 {
			t.Fatalf("%v more successes took P(best) from %v to %v", more, before.P[0], after.P[0])
		}
	})
}

func TestCopiesShareTheirActionsTraffic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Ten copies with a tenth of the evidence each get together what one copy with all of it gets.
		n := float64(10 * rapid.IntRange(0, 500).Draw(t, "trials"))
		y := 10 * math.Floor(n/10*rapid.Float64Range(0, 0.3).Draw(t, "rate"))
		other := cell{{300, 15}, {40, 3}}
		one := situation([]string{"a", "b", "c"}, []cell{{{2 * n, 2 * y}, {n, y}}, other, {{100, 4}, {0, 0}}})
		names, cells := []string{"b", "c"}, []cell{other, {{100, 4}, {0, 0}}}
		for range 10 {
			names, cells = append(names, "a"), append(cells, cell{{n / 5, y / 5}, {n / 10, y / 10}})
		}
		ten := situation(names, cells)
		w1, w10 := make([]float64, 3), make([]float64, 12)
		if err := (Ladder{}).Weights(one, w1); err != nil {
			t.Fatal(err)
		}
		if err := (Ladder{}).Weights(ten, w10); err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for _, v := range w10[2:] {
			sum += v
		}
		if math.Abs(sum-w1[0]) > 1e-9 || math.Abs(w10[0]-w1[1]) > 1e-9 {
			t.Fatalf("one copy gets %v, ten get %v", w1[0], sum)
		}
	})
}

func TestEmptyRungsChangeNoMean(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSituation(t, 8)
		short, err := Read(s)
		if err != nil {
			t.Fatal(err)
		}
		for l := len(s.Rungs); l < 5; l++ {
			s.Rungs = append(s.Rungs, Rung{Layer: l - 1, Counts: make([]Counts, len(s.Arms))})
		}
		long, err := Read(s)
		if err != nil {
			t.Fatal(err)
		}
		for i := range s.Arms {
			if math.Abs(logit(short.Arms[i].Mean)-logit(long.Arms[i].Mean)) > 1e-9 {
				t.Fatalf("arm %d: %v at the last rung with evidence, %v below it", i, short.Arms[i].Mean, long.Arms[i].Mean)
			}
		}
	})
}

package policy

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/juncture/juncture"
)

func TestSimplePolicies(t *testing.T) {
	// Store: a 60 of 1,000, b 40 of 1,000; here, a 0 of 50 and b 10 of 50.
	s := situation([]string{"a", "b"}, []cell{{{1000, 60}, {50, 0}}, {{1000, 40}, {50, 10}}})
	at := func(a, b Beta) []float64 {
		best, err := BestBeta([]Beta{a, b})
		if err != nil {
			t.Fatal(err)
		}
		return best.P
	}
	for _, c := range []struct {
		p    Policy
		want []float64
	}{
		{Global{}, at(Beta{61, 959}, Beta{41, 979})},
		{Flat{}, at(Beta{1, 69}, Beta{11, 59})},
		{Greedy{Epsilon: 0.1}, []float64{0.95, 0.05}},
		{Fixed{Share: map[juncture.ArmID]float64{1: 1, 2: 3, 3: 9}}, []float64{0.25, 0.75}},
		{Fixed{}, []float64{0.5, 0.5}},
	} {
		if diff := cmp.Diff(c.want, weigh(t, c.p, s), cmpopts.EquateApprox(0, 1e-9)); diff != "" {
			t.Errorf("%s: %s", c.p.Name(), diff)
		}
	}
	if w := weigh(t, Greedy{}, situation([]string{"a", "b"}, []cell{{{0, 0}}, {{0, 0}}})); w[0] != 0.5 {
		t.Errorf("a tie: %v", w)
	}
	bad := Fixed{Share: map[juncture.ArmID]float64{1: math.NaN()}}
	if err := bad.Weights(s, make([]float64, 2)); juncture.ErrorCode(err) != juncture.CodeInternal {
		t.Errorf("a share that is no number: %v", err)
	}
}

func TestEveryPolicySumsToOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSituation(t, 8)
		for _, name := range juncture.Policies()[1:] {
			p, err := New(name)
			if err != nil {
				t.Fatal(err)
			}
			w := make([]float64, len(s.Arms))
			if err := p.Weights(s, w); err != nil {
				t.Fatal(err)
			}
			sum := 0.0
			for _, v := range w {
				if !(v >= 0) {
					t.Fatalf("%s: %v", name, w)
				}
				sum += v
			}
			if math.Abs(sum-1) > 1e-12 {
				t.Fatalf("%s: %v sum to %v", name, w, sum)
			}
		}
	})
}

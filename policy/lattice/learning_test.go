package lattice_test

import (
	"context"
	"math"
	"testing"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/policy/lattice"
	"github.com/juncture/juncture/simulate"
)

// A store of 48 intersections, 20,000 calls: the lattice keeps about 0.17 of uniform's regret here (the bars of issue 4 are
// TestBars). 1/(p·K) has mean 1 if the probabilities are what they say.
func TestLearns(t *testing.T) {
	s := simulate.New(simulate.Settings{Seed: 2, Axes: [juncture.LayerCount][]int{{2, 2}, {3}, {2}, {2}}})
	r, err := s.Play(context.Background(), newPlayer(s, lattice.Settings{}), simulate.Options{Seed: 2, Calls: 20_000})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("share %.3f, 1/pK %.3f ± %.3f", r.Share(), r.Propensity, r.PropensitySE)
	if r.Share() > 0.6 || math.Abs(r.Propensity-1) > 4*r.PropensitySE {
		t.Errorf("%+v", r)
	}
}

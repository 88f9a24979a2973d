package policy

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"gonum.org/v1/gonum/stat/distuv"
	"pgregory.net/rapid"
)

func TestFloor(t *testing.T) {
	for _, c := range []struct {
		eps  float64
		w, p []float64
	}{
		{0.01, []float64{1, 0}, []float64{0.995, 0.005}}, // 0.01/2 + 0.99·w
		{0.01, []float64{1}, []float64{1}},
		{0, []float64{0.3, 0.7}, []float64{0.3, 0.7}},
		{1, []float64{1, 0, 0, 0}, []float64{0.25, 0.25, 0.25, 0.25}},
		{-1, []float64{1, 0}, []float64{1, 0}},
		{2, []float64{1, 0}, []float64{0.5, 0.5}},
		{math.NaN(), []float64{1, 0}, []float64{1, 0}},
		{0.5, nil, nil},
	} {
		Floor(c.w, c.eps)
		if diff := cmp.Diff(c.p, c.w, cmpopts.EquateApprox(0, 1e-15)); diff != "" {
			t.Errorf("ε = %v: %s", c.eps, diff)
		}
	}
}

func TestPick(t *testing.T) {
	under := math.Nextafter(1, 0)
	for _, c := range []struct {
		p    []float64
		u    float64
		want int
	}{
		{[]float64{0.25, 0.75}, 0, 0},
		{[]float64{0.25, 0.75}, math.Nextafter(0.25, 0), 0},
		{[]float64{0.25, 0.75}, 0.25, 1},
		{[]float64{0, 1, 0}, 0, 1},
		{[]float64{0, 1, 0}, under, 1},
		{[]float64{0.5, 0.5 - 1e-9, 0}, under, 1}, // the sum stays below u
		{[]float64{0.5, 0, 0.5}, 0.5, 2},
		{[]float64{1}, under, 0},
		{[]float64{0, 0}, 0.5, -1},
		{[]float64{math.NaN(), 1}, 0.5, 1},
		{nil, 0, -1},
	} {
		if got := Pick(c.p, c.u); got != c.want {
			t.Errorf("Pick(%v, %v) = %d, want %d", c.p, c.u, got, c.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SliceOfN(rapid.OneOf(rapid.Just(0.0), rapid.Float64Range(0, 1)), 1, 30).Draw(t, "p")
		if i := Pick(p, rapid.Float64Range(0, under).Draw(t, "u")); i >= 0 && p[i] == 0 {
			t.Fatalf("arm %d of %v has p = 0", i, p)
		}
	})
}

func TestUniform(t *testing.T) {
	for _, c := range []struct {
		hash uint64
		want float64
	}{{0, 0}, {1<<11 - 1, 0}, {1 << 11, 0x1p-53}, {1 << 63, 0.5}, {math.MaxUint64, 1 - 0x1p-53}} {
		if got := Uniform(c.hash); got != c.want {
			t.Errorf("Uniform(%#x) = %v, want %v", c.hash, got, c.want)
		}
	}
}

// TestPickFollowsP draws 100,000 times: Pearson's Σ(O − E)²/E against χ² with K − 1 degrees of freedom.
func TestPickFollowsP(t *testing.T) {
	const draws = 100_000
	rng := rand.New(rand.NewPCG(5, 6))
	s := situation([]string{"a", "a", "b", "c", "d"}, []cell{{{900, 50}}, {{900, 45}}, {{900, 52}}, {{900, 30}}, {{20, 3}}})
	p := weigh(t, Ladder{}, s)
	Floor(p, 0.05)
	hits := make([]float64, len(p))
	for range draws {
		hits[Pick(p, Uniform(rng.Uint64()))]++
	}
	chi := 0.0
	for i, v := range p {
		chi += (hits[i] - v*draws) * (hits[i] - v*draws) / (v * draws)
	}
	if tail := (distuv.ChiSquared{K: float64(len(p) - 1)}).Survival(chi); tail < 0.001 {
		t.Errorf("χ² = %.2f, tail %.2g: %v of p %v", chi, tail, hits, p)
	}
}

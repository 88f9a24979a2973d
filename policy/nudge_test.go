package policy_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/juncture/juncture/policy"
)

func TestNudgeAndFloorEach(t *testing.T) {
	// (0.5·2, 0.25·1, 0.25·0.5) = (1, 0.25, 0.125), of 1.375.
	w := []float64{0.5, 0.25, 0.25}
	policy.Nudge(w, []float64{2, 1, 0.5})
	for i, want := range []float64{8. / 11, 2. / 11, 1. / 11} {
		if math.Abs(w[i]-want) > 1e-15 {
			t.Errorf("nudged %d: %v, want %v", i, w[i], want)
		}
	}
	// 0.2 + 0.1/2 + 0.7·0.1, and 0.1/2 + 0.7·0.9.
	w = []float64{0.1, 0.9}
	policy.FloorEach(w, []float64{0.2, 0}, 0.1)
	if math.Abs(w[0]-0.32) > 1e-15 || math.Abs(w[1]-0.68) > 1e-15 {
		t.Errorf("floored %v", w)
	}
	none := []float64{0, 0}
	if policy.Nudge(none, []float64{2, 1}); none[0] != 0 || none[1] != 0 {
		t.Errorf("nothing to nudge: %v", none)
	}
}

func TestNudgedWeightsSumToOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := rapid.IntRange(1, 30).Draw(t, "arms")
		w, factor, least, sum := make([]float64, k), make([]float64, k), make([]float64, k), 0.0
		for i := range w {
			w[i] = rapid.Float64Range(0, 1).Draw(t, "w")
			factor[i] = rapid.Float64Range(0.5, 2).Draw(t, "factor")
			least[i] = rapid.Float64Range(0, 0.5/float64(k)).Draw(t, "least")
			sum += w[i]
		}
		if sum == 0 {
			return
		}
		for i := range w {
			w[i] /= sum
		}
		before := append([]float64(nil), w...)
		policy.Nudge(w, factor)
		policy.FloorEach(w, least, 0.01)
		total := 0.0
		for i, p := range w {
			total += p
			if p < least[i] || before[i] == 0 && math.Abs(p-least[i]-0.01/float64(k)) > 1e-15 {
				t.Fatalf("arm %d: %v with a floor of %v", i, p, least[i])
			}
		}
		if math.Abs(total-1) > 1e-12 {
			t.Fatalf("sum to %v", total)
		}
	})
}

package policy

import (
	"math"
	"testing"
)

func FuzzCounts(f *testing.F) {
	f.Add(10.0, 1.0, 5.0, 1.0, 2.0, 4.0, true)
	f.Add(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, false)
	f.Add(1e12, 1e12, 1e12, 0.0, 1.0, 1.0, true)
	f.Add(1e300, -1.0, math.NaN(), math.Inf(1), 1.0, 1.0, false)
	f.Add(1e12, 1.1e11, 3.5e7, 0.0, -25.0, 81.0, true) // a rate of 1e-9 at the last rung
	f.Add(1e-300, 1e-300, 1e-310, 0.0, 0.0, 0.0, true)
	f.Fuzz(func(t *testing.T, n0, s0, n1, s1, logValue, square float64, value bool) {
		s := situation([]string{"a", "a", "b"}, []cell{{{n0, s0}, {n1, s1}}, {{n1, s1}, {n1, s1}}, {{100, 5}, {10, 1}}})
		s.Value = value
		s.Rungs[0].Counts[0].LogValue, s.Rungs[0].Counts[0].LogValueSq = logValue, square
		w := make([]float64, 3)
		err := Ladder{}.Weights(s, w)
		if err != nil {
			if s.check() == nil {
				t.Fatalf("sound counts were refused: %v", err)
			}
			return
		}
		checkWeights(t, w)
		r, err := Read(s)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range r.Arms {
			if !(p.Low >= 0 && p.Low <= p.High && p.High <= 1 && p.Loss >= 0 && !math.IsInf(p.Value, 0) && p.Value >= 0) {
				t.Fatalf("arm %d: %+v", i, p)
			}
			if _, y := DensityPoints(p, 50); !(maxOf(y) > 0) || math.IsInf(maxOf(y), 0) {
				t.Fatalf("arm %d: density %v", i, y)
			}
		}
	})
}

func maxOf(y []float64) float64 {
	top := math.Inf(-1)
	for _, v := range y {
		top = math.Max(top, v) // keeps NaN
	}
	return top
}

package policy

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

func BenchmarkWeights8(b *testing.B)       { benchmarkWeights(b, 8, 1, false) }
func BenchmarkWeights24(b *testing.B)      { benchmarkWeights(b, 24, 1, false) }
func BenchmarkWeights24Pairs(b *testing.B) { benchmarkWeights(b, 24, 2, false) }
func BenchmarkWeights24Value(b *testing.B) { benchmarkWeights(b, 24, 1, true) }
func BenchmarkRead24(b *testing.B) {
	s := benchSituation(24, 2)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Read(s); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkWeights(b *testing.B, arms, copies int, value bool) {
	s := benchSituation(arms, copies)
	s.Value = value
	w := make([]float64, arms)
	b.ReportAllocs()
	for b.Loop() {
		if err := (Ladder{}).Weights(s, w); err != nil {
			b.Fatal(err)
		}
	}
}

// benchSituation has five rungs of a warm store: 2,000 trials an arm there, some dozens at the intersection.
func benchSituation(arms, copies int) *Situation {
	rng := rand.New(rand.NewPCG(9, 10))
	var names []string
	var cells []cell
	for i := range arms {
		names = append(names, fmt.Sprintf("action-%d", i/copies))
		c := make(cell, 5)
		for r := range c {
			n := float64(int(2000) >> (2 * r))
			c[r] = [2]float64{n, float64(int(n * (0.03 + 0.02*rng.Float64())))}
			if r > 0 {
				c[r][1] = min(c[r][1], c[r-1][1])
			}
		}
		cells = append(cells, c)
	}
	return situation(names, cells)
}

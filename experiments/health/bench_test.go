package health

import (
	"math/rand/v2"
	"testing"

	"github.com/juncture/juncture"
)

// BenchmarkChanges is one place of eight arms over 150 days, as a nightly job reads it.
func BenchmarkChanges(b *testing.B) {
	names, buckets := place(rand.New(rand.NewPCG(1, 1)), 10, 150, func(int, int) float64 { return 1 })
	for b.Loop() {
		if _, err := Changes(names, buckets, ChangeSettings{Nodes: 96}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDraws folds one decision of 24 arms.
func BenchmarkDraws(b *testing.B) {
	r := make([]juncture.Ranked, 24)
	for i := range r {
		r[i] = juncture.Ranked{Arm: juncture.ArmID(i + 1), Probability: 1.0 / 24}
	}
	var d Draws
	for i := 0; b.Loop(); i++ {
		if err := d.Add(r, r[i%24].Arm); err != nil {
			b.Fatal(err)
		}
	}
}

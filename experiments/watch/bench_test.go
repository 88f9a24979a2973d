package watch

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/juncture/juncture"
)

// BenchmarkBuild reads an experiment of 2,000 intersections and 24 arms with 90 days of two groups, a million decisions in
// all, 10% of them random, without the store. Its cells have about 900,000 rows.
func BenchmarkBuild(b *testing.B) {
	m := newMade()
	rng := rand.New(rand.NewPCG(1, 2))
	type key struct {
		x      juncture.Intersection
		arm    juncture.ArmID
		random bool
		day    int
	}
	trials, clicks := map[key]int64{}, map[key]int64{}
	for range 1_000_000 {
		k := key{arm: juncture.ArmID(1 + rng.IntN(24)), random: rng.IntN(10) == 0, day: rng.IntN(90)}
		k.x = juncture.Intersection{fmt.Sprintf("loyal.s%d.m%d", rng.IntN(5), rng.IntN(4)), fmt.Sprintf("c%d", rng.IntN(25)), "_", fmt.Sprintf("k%d", rng.IntN(4))}
		trials[k]++
		if rng.IntN(20) == 0 {
			clicks[k]++
		}
	}
	cells := map[juncture.Intersection]*juncture.Cell{}
	for k, n := range trials {
		c := cells[k.x]
		if c == nil {
			c = &juncture.Cell{Experiment: "hero", Intersection: k.x}
			cells[k.x] = c
		}
		g := juncture.GroupPolicy
		if k.random {
			g = juncture.GroupRandom
		}
		bucket := juncture.Calendar{}.Merge(juncture.Calendar{}.At(asOf().Add(-time.Duration(k.day)*day)), asOf().Unix()/60)
		d := juncture.Delta{TallyKey: juncture.TallyKey{Arm: k.arm, Group: g, Bucket: bucket}, Tally: juncture.Tally{Trials: n}}
		deltas := []juncture.Delta{d}
		if n := clicks[k]; n > 0 {
			d.Event, d.Tally = "click", juncture.Tally{Successes: n, Outcomes: n}
			deltas = append(deltas, d)
		}
		c.Fold(1, c.Mark(1)+1, deltas...)
	}
	m.Cells = func(f func(*juncture.Cell) error) error {
		for _, c := range cells {
			if err := f(c); err != nil {
				return err
			}
		}
		return nil
	}
	b.ReportAllocs()
	for b.Loop() {
		if h := m.build(b); len(h.Checks) == 0 {
			b.Fatal("nothing was checked")
		}
	}
}

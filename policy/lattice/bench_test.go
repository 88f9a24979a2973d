package lattice_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/policy"
	"github.com/juncture/juncture/policy/lattice"
	"github.com/juncture/juncture/simulate"
)

// warm returns evidence of decisions drawn uniformly at a store's intersections, by its traffic.
func warm(tb testing.TB, axes [juncture.LayerCount][]int, decisions int, zipf float64) (*simulate.Store, *lattice.Evidence, []lattice.Arm, time.Time) {
	tb.Helper()
	s := simulate.New(simulate.Settings{Seed: 1, Axes: axes, Zipf: zipf})
	p := newPlayer(s, lattice.Settings{})
	u := &logger{player: p, rng: rand.New(rand.NewPCG(3, 4))}
	if _, err := s.Play(context.Background(), u, simulate.Options{Seed: 1, Calls: decisions}); err != nil {
		tb.Fatal(err)
	}
	p.evidence.Compact(u.last)
	return s, p.evidence, p.arms, u.last
}

// logger chooses uniformly and keeps the evidence.
type logger struct {
	*player
	rng  *rand.Rand
	last time.Time
}

func (l *logger) Choose(_ context.Context, calls []simulate.Call, out []simulate.Choice) error {
	for i, c := range calls {
		a := c.Eligible[l.rng.IntN(len(c.Eligible))]
		out[i] = simulate.Choice{Arm: a, Probability: 1 / float64(len(c.Eligible))}
		l.evidence.Add(c.Intersection, juncture.ArmID(a+1), c.At, lattice.Counts{Trials: 1})
		l.last = c.At
	}
	return nil
}

// BenchmarkFit is the bar of 2 s: 20,160 intersections × 24 arms, 2 million decisions, even traffic (the most rows).
func BenchmarkFit(b *testing.B) {
	_, e, arms, at := warm(b, big(), 2_000_000, 0.01)
	view := e.View()
	bytes, triples := e.Bytes()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := lattice.Fit(view, arms, lattice.Settings{}, at, ""); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(bytes)/float64(triples), "B/triple")
}

func BenchmarkVector(b *testing.B) {
	s, e, arms, at := warm(b, [juncture.LayerCount][]int{}, 200_000, 1)
	snap, err := lattice.Fit(e.View(), arms, lattice.Settings{}, at, "")
	if err != nil {
		b.Fatal(err)
	}
	for _, k := range []int{8, 24} {
		b.Run(fmt.Sprint(k), func(b *testing.B) {
			var ws lattice.Workspace
			var ids []juncture.ArmID
			for _, a := range arms[:k] {
				ids = append(ids, a.ID)
			}
			w := make([]float64, k)
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				if err := snap.Vector(s.Keys[i%len(s.Keys)], ids, &ws, w); err != nil {
					b.Fatal(err)
				}
				policy.Floor(w, 0.01)
				i++
			}
		})
	}
}

// BenchmarkChoice is the bar of 1 µs: a pick from a cached vector of 24 arms.
func BenchmarkChoice(b *testing.B) {
	s, e, arms, at := warm(b, [juncture.LayerCount][]int{}, 50_000, 1)
	snap, err := lattice.Fit(e.View(), arms, lattice.Settings{}, at, "")
	if err != nil {
		b.Fatal(err)
	}
	var ids []juncture.ArmID
	for _, a := range arms {
		ids = append(ids, a.ID)
	}
	c := lattice.NewVectors(snap, 0.01, 0)
	for _, x := range s.Keys {
		if _, err := c.Get(x, ids); err != nil {
			b.Fatal(err)
		}
	}
	i := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		v, err := c.Get(s.Keys[i%uint64(len(s.Keys))], ids)
		if err != nil || policy.Pick(v.P, policy.Uniform(i*0x9e3779b97f4a7c15)) < 0 {
			b.Fatal(err)
		}
		i++
	}
}

package lattice_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/policy/lattice"
)

// TestGrowth prints how a fit and its memory grow with intersections, two trials for each (intersection, arm) of a
// quarter of the arms: JUNCTURE_GROWTH=1.
func TestGrowth(t *testing.T) {
	if os.Getenv("JUNCTURE_GROWTH") == "" {
		t.Skip("JUNCTURE_GROWTH is not set")
	}
	at := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	var arms []lattice.Arm
	var ids []juncture.ArmID
	for k := range 24 {
		ids = append(ids, juncture.ArmID(k+1))
		arms = append(arms, lattice.Arm{ID: ids[k], Arm: juncture.Arm{Action: fmt.Sprint("a", k/3), Copy: fmt.Sprint("c", k%3)}})
	}
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	for _, n := range []int{1_000, 10_000, 100_000, 1_000_000} {
		before := heap()
		e := lattice.NewEvidence(lattice.Calendar{})
		rng := rand.New(rand.NewPCG(1, 2))
		side := 1
		for side*side*side*4 < n {
			side++
		}
		for i := range n {
			x := juncture.Intersection{fmt.Sprintf("l%d.s%d", i%side, i%2), fmt.Sprint("m", i/side%side), fmt.Sprintf("t%d", i/side/side%side), fmt.Sprint("c", i/side/side/side)}
			for range 6 {
				k := rng.IntN(24)
				e.Add(x, ids[k], at, lattice.Counts{Trials: 2, Successes: int64(rng.IntN(20) / 19)})
			}
		}
		e.Compact(at)
		evidence := heap() - before
		_, triples := e.Bytes()
		begin := time.Now()
		v := e.View()
		view := time.Since(begin)
		begin = time.Now()
		s, err := lattice.Fit(v, arms, lattice.Settings{}, at, "")
		if err != nil {
			t.Fatal(err)
		}
		fit := time.Since(begin)
		snapshot := heap() - before - evidence
		var ws lattice.Workspace
		w := make([]float64, 24)
		begin = time.Now()
		for i := range 1000 {
			x := juncture.Intersection{fmt.Sprintf("l%d.s%d", i%side, i%2), fmt.Sprint("m", i/side%side), "t0", "c0"}
			if err := s.Vector(x, ids, &ws, w); err != nil {
				t.Fatal(err)
			}
		}
		t.Logf("%8d intersections, %8d (intersection, arm): evidence %4d B each, snapshot %4d B each; view %8s, fit %8s, vector %s", n, triples,
			evidence/triples, snapshot/triples, view.Round(time.Microsecond), fit.Round(time.Millisecond), (time.Since(begin) / 1000).Round(time.Microsecond))
		runtime.KeepAlive(e)
		runtime.KeepAlive(s)
	}
}

package lattice_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/policy/lattice"
	"github.com/juncture/juncture/simulate"
)

// TestClaims counts, after runs of the lattice, the claims "this action is best here" at 0.95 and how many are right: an
// action is best where its best copy is. JUNCTURE_CLAIMS names the seeds, as 101-110.
func TestClaims(t *testing.T) {
	from, to := 0, 0
	if _, err := fmt.Sscanf(os.Getenv("JUNCTURE_CLAIMS"), "%d-%d", &from, &to); err != nil {
		t.Skip("JUNCTURE_CLAIMS names the seeds, as 101-110")
	}
	calls := 200_000
	if n, err := strconv.Atoi(os.Getenv("CALLS")); err == nil {
		calls = n
	}
	for _, c := range []struct {
		name string
		set  simulate.Settings
	}{
		{"plain", simulate.Settings{}},
		{"hard", simulate.Settings{Zipf: 0.3, Scale: 0.3, Personal: 3, Rate: 0.03}},
		{"null", simulate.Settings{Nothing: true, Scale: 0.6}},
		{"no structure", simulate.Settings{Noise: true}},
		{"all equal", simulate.Settings{Scale: 1e-9}},
	} {
		claims, right, stores, claiming := 0, 0, 0, 0
		byLevel := map[int][2]int{}
		for seed := from; seed <= to; seed++ {
			c.set.Seed = uint64(seed)
			s := simulate.New(c.set)
			p := newPlayer(s, lattice.Settings{})
			if _, err := s.Play(context.Background(), p, simulate.Options{Seed: uint64(seed), Calls: calls}); err != nil {
				t.Fatal(err)
			}
			var ids []juncture.ArmID
			for i := range s.Arms {
				ids = append(ids, juncture.ArmID(i+1))
			}
			before := claims
			for x, key := range s.Keys {
				out, err := p.snapshot.Read(key, ids)
				if err != nil {
					t.Fatal(err)
				}
				truth := s.Expected(x, 1)
				best := 0
				for i, v := range truth {
					if v > truth[best] {
						best = i
					}
				}
				w := out.Actions[out.Winner]
				ok := w.Action == s.Arms[best].Action
				level := byLevel[int(w.PBest*20)]
				level[0]++
				if ok {
					level[1]++
				}
				byLevel[int(w.PBest*20)] = level
				if w.PBest >= 0.95 {
					claims++
					if ok {
						right++
					}
				}
			}
			stores++
			if claims > before {
				claiming++
			}
		}
		t.Logf("CLAIMS %-14s %d stores, %d with claims; %d claims, right %.3f", c.name, stores, claiming, claims, float64(right)/float64(max(1, claims)))
		for l := range 21 {
			if n := byLevel[l]; n[0] > 0 {
				t.Logf("    P(best) from %.2f: %6d, right %.3f", float64(l)/20, n[0], float64(n[1])/float64(n[0]))
			}
		}
	}
}

package lattice_test

import (
	"compress/gzip"
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/policy"
	"github.com/juncture/juncture/policy/lattice"
)

// table reads a gzipped CSV of the development data: JUNCTURE_DATA names its directory.
func table(t *testing.T, name string) (map[string]int, [][]string) {
	t.Helper()
	dir := os.Getenv("JUNCTURE_DATA")
	if dir == "" {
		t.Skip("JUNCTURE_DATA names the directory of the development data")
	}
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(z).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]int{}
	for i, h := range rows[0] {
		at[h] = i
	}
	return at, rows[1:]
}

// TestHillstrom is the bar of issue 4 by rejection replay (see package replay), in batches of 100: 0.166 and 0.94 of what
// one global bandit gets.
func TestHillstrom(t *testing.T) {
	at, rows := table(t, "hillstrom/hillstrom.csv.gz")
	slug := func(s string) string {
		return strings.Trim(strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
				return r
			}
			return '-'
		}, strings.ToLower(s)), "-")
	}
	for _, layers := range []string{"newbie|mens+womens||channel", "history_segment|mens+womens|recency|zip_code+channel", "|||"} {
		keys := make([]juncture.Intersection, len(rows))
		for i, r := range rows {
			for l, columns := range strings.Split(layers, "|") {
				var parts []string
				for c := range strings.SplitSeq(columns, "+") {
					if c != "" {
						parts = append(parts, slug(r[at[c]]))
					}
				}
				keys[i][l] = strings.Join(parts, ".")
			}
		}
		arms := []string{"Mens E-Mail", "Womens E-Mail", "No E-Mail"}
		var known []lattice.Arm
		var ids []juncture.ArmID
		for i, a := range arms {
			ids = append(ids, juncture.ArmID(i+1))
			known = append(known, lattice.Arm{ID: ids[i], Arm: juncture.Arm{Action: slug(a), Copy: "plain"}})
		}
		total := 0.0
		const passes = 10
		for seed := range passes {
			rng := rand.New(rand.NewPCG(uint64(seed), 1))
			e := lattice.NewEvidence(lattice.Calendar{})
			start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			var snap *lattice.Snapshot
			var fitted int64
			var ws lattice.Workspace
			var pending []int
			w := make([]float64, 3)
			used, wins := 0, 0
			for n, i := range rng.Perm(len(rows)) {
				now := start.Add(time.Duration(n) * time.Second)
				if n%100 == 0 {
					for _, j := range pending {
						k := ids[indexOf(arms, rows[j][at["segment"]])]
						win, _ := strconv.Atoi(rows[j][at["visit"]])
						e.Add(keys[j], k, now, lattice.Counts{Trials: 1, Successes: int64(win)})
					}
					pending = pending[:0]
					if grown := e.Trials() - fitted; snap == nil || grown >= 500 && grown*25 >= fitted {
						var err error
						if snap, err = lattice.Fit(e.View(), known, lattice.Settings{}, now, ""); err != nil {
							t.Fatal(err)
						}
						fitted = e.Trials()
					}
				}
				if err := snap.Vector(keys[i], ids, &ws, w); err != nil {
					t.Fatal(err)
				}
				policy.Floor(w, 0.01)
				if arms[policy.Pick(w, rng.Float64())] == rows[i][at["segment"]] {
					pending = append(pending, i)
					used++
					if rows[i][at["visit"]] == "1" {
						wins++
					}
				}
			}
			total += float64(wins) / float64(used)
		}
		t.Logf("%-50s visits of the used rows, mean of %d passes: %.4f", layers, passes, total/passes)
	}
}

func indexOf(all []string, s string) int {
	for i, v := range all {
		if v == s {
			return i
		}
	}
	return -1
}

// TestHeadlines plays every headline test as an experiment of its own: as many readers as it had impressions, each
// clicking with the headline's own rate; priors learnt on the other half of the tests.
func TestHeadlines(t *testing.T) {
	at, rows := table(t, "experiments/upworthy_exploratory.csv.gz")
	type headline struct{ shown, clicks int64 }
	tests := map[string][]headline{}
	var order []string
	for _, r := range rows {
		n, _ := strconv.ParseInt(r[at["impressions"]], 10, 64)
		c, _ := strconv.ParseInt(r[at["clicks"]], 10, 64)
		id := r[at["test_id"]]
		if tests[id] == nil {
			order = append(order, id)
		}
		tests[id] = append(tests[id], headline{n, c})
	}
	var learn [][]lattice.Counts
	for i, id := range order {
		if i%2 == 0 {
			var cs []lattice.Counts
			for _, h := range tests[id] {
				cs = append(cs, lattice.Counts{Trials: h.shown, Successes: h.clicks})
			}
			learn = append(learn, cs)
		}
	}
	rate, width := lattice.Learn(learn)
	t.Logf("learnt from %d tests: rate %.4f, width of copies %.3f", len(learn), rate, width)
	for _, set := range []lattice.Settings{{}, {Prior: lattice.Prior{Rate: rate, Copy: width}}, {Prior: lattice.Prior{Rate: rate, Copy: width}, Temper: 0.35},
		{Prior: lattice.Prior{Rate: rate, Copy: width}, Temper: 0.6}, {Prior: lattice.Prior{Rate: rate, Copy: width}, Temper: 0.8}, {Prior: lattice.Prior{Rate: rate, Copy: width}, Temper: 0.35, Untempered: true}} {
		shown, clicks, even := 0.0, 0.0, 0.0
		rng := rand.New(rand.NewPCG(3, 1))
		for i, id := range order {
			if i%4 != 1 || len(tests[id]) < 2 {
				continue
			}
			hs := tests[id]
			var arms []lattice.Arm
			var ids []juncture.ArmID
			left := int64(0)
			mean := 0.0
			for k, h := range hs {
				ids = append(ids, juncture.ArmID(k+1))
				arms = append(arms, lattice.Arm{ID: ids[k], Arm: juncture.Arm{Action: "article", Copy: fmt.Sprint("h", k)}})
				left += h.shown
				mean += float64(h.clicks) / float64(h.shown) / float64(len(hs))
			}
			e := lattice.NewEvidence(lattice.Calendar{})
			now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			var ws lattice.Workspace
			w := make([]float64, len(hs))
			even += mean * float64(left)
			for left > 0 {
				snap, err := lattice.Fit(e.View(), arms, set, now, "")
				if err != nil {
					t.Fatal(err)
				}
				if err := snap.Vector(juncture.Intersection{}, ids, &ws, w); err != nil {
					t.Fatal(err)
				}
				policy.Floor(w, 0.01)
				n := min(left, max(100, e.Trials()/25)) // batches
				left -= n
				for range n {
					k := policy.Pick(w, rng.Float64())
					c := lattice.Counts{Trials: 1}
					p := float64(hs[k].clicks) / float64(hs[k].shown)
					if rng.Float64() < p {
						c.Successes = 1
					}
					clicks += p
					e.Add(juncture.Intersection{}, ids[k], now, c)
				}
				shown += float64(n)
			}
		}
		t.Logf("%+v: %.2f clicks per 1,000; uniform %.2f", set, 1000*clicks/shown, 1000*even/shown)
	}
}

package lattice_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/juncture/juncture/policy/lattice"
	"github.com/juncture/juncture/simulate"
)

func betaDraw(rng *rand.Rand, a, b float64) float64 {
	return distuv.Beta{Alpha: a, Beta: b, Src: rng}.Rand()
}

func logValue(v float64) (sum, sq int64) {
	l := math.Log(v)
	return int64(math.Round(l * 1e4)), int64(math.Round(l * l * 1e8))
}

type bar struct {
	name      string
	set       simulate.Settings
	calls     int
	must, aim float64
}

func big() (axes [4][]int) { return [4][]int{{4, 3, 2}, {21}, {5, 2}, {4}} } // 20,160

func hard() simulate.Settings {
	return simulate.Settings{Zipf: 0.3, Scale: 0.3, Personal: 3, Rate: 0.03}
}

func bars() []bar {
	day := 24 * time.Hour
	return []bar{
		{"1,920", simulate.Settings{}, 200_000, 0.42, 0.32}, // and 20,000: 0.72, 0.60
		{"20,000 intersections", simulate.Settings{Axes: big()}, 200_000, 0.47, 0.40},
		{"long delays", simulate.Settings{Delay: 2 * day}, 200_000, 0.45, 0.36},
		{"drift", simulate.Settings{Drift: 1}, 200_000, 0.48, 0.43},
		{"everything", simulate.Settings{Delay: 2 * day, Drift: 0.7, Season: true, Withheld: 0.2, Late: 2, Returning: 0.3, Blank: 0.1}, 200_000, 0.50, 0.43},
		{"revenue", simulate.Settings{Money: true}, 200_000, 0.36, 0.29},
		{"nothing", simulate.Settings{Nothing: true}, 200_000, 0.27, 0.18},
		{"late and better", simulate.Settings{Delay: 2 * day, Late: 1, LateLift: 0.2}, 200_000, 0, 0},
		{"late and worse", simulate.Settings{Season: true, Late: 1, LateLift: -0.1}, 200_000, 0, 0},
		{"hard", hard(), 200_000, 0.42, 0.32},
		{"no structure", simulate.Settings{Noise: true}, 200_000, 0.94, 0.82},
	}
}

// TestBars measures issue 4's table: JUNCTURE_BARS=101-105 go test -run TestBars -v -timeout 2h ./policy/lattice, with
// JUNCTURE_BAR to choose bars by name and JUNCTURE_AGAINST to play global and flat Thompson beside the lattice.
func TestBars(t *testing.T) {
	seeds := os.Getenv("JUNCTURE_BARS")
	if seeds == "" {
		t.Skip("JUNCTURE_BARS names the seeds, as 101-105")
	}
	from, to := 1, 1
	if _, err := fmt.Sscanf(seeds, "%d-%d", &from, &to); err != nil {
		t.Fatal(err)
	}
	set := lattice.Settings{}
	if v, err := strconv.ParseFloat(os.Getenv("TEMPER"), 64); err == nil {
		set.Temper = v
	}
	set.OneStage = os.Getenv("ONESTAGE") != ""
	set.Untempered = os.Getenv("UNTEMPERED") != ""
	if v, err := strconv.Atoi(os.Getenv("SWEEPS")); err == nil {
		set.Sweeps = v
	}
	for _, b := range bars() {
		num := func(name string, to *float64) {
			if v, err := strconv.ParseFloat(os.Getenv(name), 64); err == nil {
				*to = v
			}
		}
		num("ZIPF", &b.set.Zipf)
		num("SCALE", &b.set.Scale)
		num("PERSONAL", &b.set.Personal)
		num("RATE", &b.set.Rate)
		if only := os.Getenv("JUNCTURE_BAR"); only != "" && !strings.Contains(","+only+",", ","+b.name+",") {
			continue
		}
		if n, err := strconv.Atoi(os.Getenv("CALLS")); err == nil {
			b.calls = n
		}
		rows := map[string][][]float64{}
		names := []string{"lattice"}
		if os.Getenv("JUNCTURE_AGAINST") != "" {
			names = append(names, "global", "flat")
		}
		marks := []int{5_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000}
		for seed := from; seed <= to; seed++ {
			for _, name := range names {
				b.set.Seed = uint64(seed)
				store := simulate.New(b.set)
				var c simulate.Chooser
				p := newPlayer(store, set)
				switch name {
				case "lattice":
					c = p
				default:
					c = newThompson(name == "flat")
				}
				begin := time.Now()
				rep, err := store.Play(context.Background(), c, simulate.Options{Seed: uint64(seed), Calls: b.calls, Marks: marks})
				if err != nil {
					t.Fatal(err)
				}
				var shares []float64
				for _, m := range rep.Curve {
					shares = append(shares, m.Share())
				}
				rows[name] = append(rows[name], shares)
				if name != "lattice" {
					t.Logf("%s seed %d: %s %.3f", b.name, seed, name, shares)
				} else {
					t.Logf("%s seed %d: %.3f, %.1fs, %d fits in %.1fs, 1/pK %.3f ± %.3f, late %.2f of %.2f, after a sale %.2f\n%s", b.name, seed, shares, time.Since(begin).Seconds(), p.fits,
						p.spent.Seconds(), rep.Propensity, rep.PropensitySE, rep.LateShare, rep.LateDue, rep.LateAfter, p.snapshot.Widths())
				}
			}
		}
		for _, name := range names {
			r := rows[name]
			line := fmt.Sprintf("%-22s %-8s", b.name, name)
			for j := range r[0] {
				sum, worst := 0.0, 0.0
				for _, s := range r {
					sum += s[j]
					worst = max(worst, s[j])
				}
				line += fmt.Sprintf("  %7d %.3f (%.3f)", marks[j], sum/float64(len(r)), worst)
			}
			t.Logf("BAR %s   must %.2f aim %.2f", line, b.must, b.aim)
		}
	}
}

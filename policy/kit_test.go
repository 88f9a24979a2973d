package policy

import (
	"flag"
	"math"
	"os"
	"testing"

	"github.com/juncture/juncture"
)

// TestMain makes rapid's draws the same in every run; -rapid.seed=n asks for others, and 0 for any.
func TestMain(m *testing.M) {
	given := false
	flag.Parse()
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.seed" })
	if !given {
		if err := flag.Set("rapid.seed", "1"); err != nil {
			panic(err)
		}
	}
	if err := flag.Set("rapid.nofailfile", "true"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// cell is one arm's [trials, successes] at each rung of a test's ladder, broadest first.
type cell [][2]float64

// situation builds one of arms named action/n; rungs follow the key from the store.
func situation(actions []string, cells []cell) *Situation {
	s := &Situation{}
	for i, a := range actions {
		s.Arms = append(s.Arms, Arm{ID: juncture.ArmID(i + 1), Action: a})
	}
	for t := range cells[0] {
		r := Rung{Layer: t - 1}
		for _, c := range cells {
			r.Counts = append(r.Counts, Counts{Trials: c[t][0], Successes: c[t][1]})
		}
		s.Rungs = append(s.Rungs, r)
	}
	return s
}

func weigh(t testing.TB, p Policy, s *Situation) []float64 {
	t.Helper()
	w := make([]float64, len(s.Arms))
	if err := p.Weights(s, w); err != nil {
		t.Fatal(err)
	}
	checkWeights(t, w)
	return w
}

func checkWeights(t testing.TB, w []float64) {
	t.Helper()
	sum := 0.0
	for _, v := range w {
		if !(v >= 0 && v <= 1+1e-12) {
			t.Fatalf("weights %v", w)
		}
		sum += v
	}
	if math.Abs(sum-1) > 1e-12 {
		t.Fatalf("weights sum to %v", sum)
	}
}

func near(t testing.TB, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s = %.12g, want %.12g within %g", what, got, want, tolerance)
	}
}

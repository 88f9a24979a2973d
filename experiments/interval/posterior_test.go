package interval

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// P(best) of two arms, computed with another implementation, is P(lift > 0).
func TestBetaLiftOfTwoArms(t *testing.T) {
	var g struct {
		Cases []struct {
			Name, Kind string
			Params     [][2]float64
			PBest      []float64 `json:"p_best"`
		}
	}
	golden(t, "p_best.json", &g)
	n := 0
	for _, c := range g.Cases {
		if c.Kind == "normal" || len(c.Params) != 2 || strings.Contains(c.Kind, "value") {
			continue
		}
		n++
		l := must(NewBetaLift(Beta{c.Params[1][0], c.Params[1][1]}, Beta{c.Params[0][0], c.Params[0][1]}))
		near(t, c.Name, l.Above(0), c.PBest[1], 1e-6)
	}
	if n == 0 {
		t.Error("no golden case has two arms")
	}
}

// Of two equal posteriors each is the better with probability one half; the median lift is 0; quantiles undo Above.
func TestBetaLiftOfEquals(t *testing.T) {
	for _, b := range []Beta{{3e5, 7e5}, {3e6, 7e6}, {3e5, 9.7e6}, {3e8, 7e8}} { // past a million the tail is our own
		if p := must(NewBetaLift(b, b)).Above(0); !(math.Abs(p-0.5) < 1e-8) {
			t.Errorf("%v against itself: %.12f", b, p)
		}
	}
	// Both sides of the change of method: the lift of 3,000 in a million over 2,900, within the 1e-6 by which a millionth more evidence moves it.
	few := must(NewBetaLift(Beta{3000, 996_990}, Beta{2900, 997_090})).Above(0)
	many := must(NewBetaLift(Beta{3000, 997_010}, Beta{2900, 997_110})).Above(0)
	if math.Abs(few-many) > 1e-6 {
		t.Errorf("P(better) jumps from %.9f to %.9f", few, many)
	}
	rapid.Check(t, func(t *rapid.T) {
		shape := rapid.Custom(func(t *rapid.T) float64 {
			return 0.5 * math.Exp(rapid.Float64Range(0, 11).Draw(t, "log")) // to 30,000
		})
		b := Beta{shape.Draw(t, "alpha"), shape.Draw(t, "beta")}
		l := must(NewBetaLift(b, b))
		if p := l.Above(0); !(math.Abs(p-0.5) < 1e-8) {
			t.Errorf("%v against itself: %.12f", b, p)
		}
		p := rapid.Float64Range(0.01, 0.99).Draw(t, "p")
		if q := l.Quantile(p); !(math.Abs(1-l.Above(q)-p) < 1e-5) {
			t.Errorf("%v: below the quantile %g = %g is %g", b, p, q, 1-l.Above(q))
		}
	})
}

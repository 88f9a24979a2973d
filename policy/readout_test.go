package policy

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
)

func TestReadByHand(t *testing.T) {
	// a/1 and a/2 share an action; b has one copy.
	s := situation([]string{"a", "b", "a"}, []cell{{{5000, 300}, {400, 24}}, {{5000, 200}, {300, 12}}, {{5000, 310}, {500, 30}}})
	r, err := Read(s)
	if err != nil {
		t.Fatal(err)
	}
	if r.Winner != 0 || r.Actions[0].Action != "a" || r.Actions[1].Action != "b" || len(r.Actions) != 2 {
		t.Fatalf("actions %+v, winner %d", r.Actions, r.Winner)
	}
	if r.Actions[0].Best != 2 || r.Actions[1].Best != 1 {
		t.Errorf("best arms %d and %d, want 2 and 1", r.Actions[0].Best, r.Actions[1].Best)
	}
	if r.Arms[1] != r.Actions[1].Posterior {
		t.Errorf("the only copy %+v is not its action %+v", r.Arms[1], r.Actions[1].Posterior)
	}
	if p := r.Actions[0]; p.Own != 900 || p.OwnSuccesses != 54 {
		t.Errorf("own evidence of a: %v, %v, want 900, 54", p.Own, p.OwnSuccesses)
	}
	w := weigh(t, Ladder{}, s)
	for i, p := range r.Arms {
		near(t, "PBest is the weight", p.PBest, w[i], 1e-12)
		near(t, "Alpha + Beta", p.Alpha+p.Beta, p.Borrowed+p.Own, 1e-6)
		near(t, "Mean", p.Mean, p.Alpha/(p.Alpha+p.Beta), 1e-12)
		d := distuv.Beta{Alpha: p.Alpha, Beta: p.Beta}
		near(t, "mass of the interval", d.CDF(p.High)-d.CDF(p.Low), 0.95, 1e-6)
	}
	// Losses: of an action E[max] − mean, of a copy its own within the action on top.
	near(t, "difference of losses", r.Actions[1].Loss-r.Actions[0].Loss, r.Actions[0].Mean-r.Actions[1].Mean, 1e-9)
	near(t, "difference of the copies' losses", r.Arms[0].Loss-r.Arms[2].Loss, r.Arms[2].Mean-r.Arms[0].Mean, 1e-9)
	if r.Arms[2].Loss < r.Actions[0].Loss {
		t.Errorf("a copy loses %v, its action %v", r.Arms[2].Loss, r.Actions[0].Loss)
	}
}

func TestReadKnowsWhatItDoesNotKnow(t *testing.T) {
	// Nothing seen: borrowed = 1/(m(1−m)·(Var base + 0.2²)) with Var base = 1/(2·m(1−m)): just under 2 trials.
	r, err := Read(situation([]string{"a", "b"}, []cell{{{0, 0}}, {{0, 0}}}))
	if err != nil {
		t.Fatal(err)
	}
	near(t, "borrowed", r.Arms[0].Borrowed, 1/(0.5+0.0475*0.04), 1e-9)
	near(t, "borrowed", 1/(1/r.Arms[0].Borrowed-0.0475*0.04), 2, 1e-9)
	near(t, "mean", r.Arms[0].Mean, 0.05, 1e-12)
	if r.Arms[0].High < 0.3 {
		t.Errorf("claims %+v from nothing", r.Arms[0])
	}

	// Read-outs cover: 400 actions of true rate 8% in a store with 2,000 trials each; 95% ± 4 standard errors (1.1% each).
	rng := rand.New(rand.NewPCG(7, 8))
	covered, n := 0, 400
	for range n {
		draw := func() cell {
			y := 0.0
			for range 2000 {
				if rng.Float64() < 0.08 {
					y++
				}
			}
			return cell{{2000, y}}
		}
		r, err := Read(situation([]string{"a", "b"}, []cell{draw(), draw()}))
		if err != nil {
			t.Fatal(err)
		}
		if r.Arms[0].Low <= 0.08 && 0.08 <= r.Arms[0].High {
			covered++
		}
	}
	if share := float64(covered) / float64(n); share < 0.906 {
		t.Errorf("95%% intervals cover %.3f", share)
	}
}

func TestIntervals(t *testing.T) {
	for _, c := range []struct{ a, b, low, high float64 }{
		{1, 1, 0.025, 0.975}, // uniform
		{1, 3, 1 - math.Cbrt(0.975), 1 - math.Cbrt(0.025)},                                         // CDF 1 − (1−p)³
		{0.5, 0.5, math.Pow(math.Sin(math.Pi*0.025/2), 2), math.Pow(math.Sin(math.Pi*0.975/2), 2)}, // arcsine law
		{0.01, 0.01, 0, 1},
		// 10^9 trials at 3%: 0.03 ± 1.96·√(0.03·0.97/10^9) = 0.03 ± 1.0573e-5
		{3e7, 9.7e8, 0.03 - 1.0573e-5, 0.03 + 1.0573e-5},
	} {
		low, high := interval(c.a, c.b)
		near(t, "low", low, c.low, 1e-8)
		near(t, "high", high, c.high, 1e-8)
	}
	// Few successes of very many: Gamma(1) is the exponential, −ln(0.975)/b and −ln(0.025)/b.
	low, high := interval(1, 1e9)
	near(t, "low of one in 1e9", low*1e9, -math.Log(0.975), 1e-6)
	near(t, "high of one in 1e9", high*1e9, -math.Log(0.025), 1e-6)
	// The gamma and the normal form meet.
	lowG, highG := interval(999, 1e7)
	lowN, highN := interval(1001, 1e7)
	near(t, "low where they meet", (lowN-lowG)/(highG-lowG), 2*(1-1.96/2/math.Sqrt(1000))/(2*1.96*math.Sqrt(1000)), 1e-3)
	near(t, "high where they meet", (highN-highG)/(highG-lowG), 2*(1+1.96/2/math.Sqrt(1000))/(2*1.96*math.Sqrt(1000)), 1e-3)
	// Every size of posterior has an ordered interval, without a panic of gonum, and one that holds the mean unless a tail
	// of shape below 1 pulls that out.
	for a := MinShape; a < 1e13; a *= 7 {
		for b := MinShape; b < 1e13; b *= 7 {
			low, high := interval(a, b)
			mean := a / (a + b)
			if !(low >= 0 && low <= high && high <= 1) || min(a, b) > 0.1 && !(low <= mean && mean <= high) {
				t.Fatalf("Beta(%g, %g): [%g, %g]", a, b, low, high)
			}
		}
	}
	// Either side of the change to the normal form the ends agree to 1e-4 of the width (a trial more moves them by 5e-7 of it).
	lowA, highA := interval(0.03*999_999, 0.97*999_999)
	lowB, highB := interval(0.03*1_000_001, 0.97*1_000_001)
	near(t, "low at a million", lowB, lowA, 1e-4*(highA-lowA))
	near(t, "high at a million", highB, highA, 1e-4*(highA-lowA))
}

func TestDensityPoints(t *testing.T) {
	for _, c := range []Posterior{{Alpha: 1, Beta: 1}, {Alpha: 2, Beta: 38}, {Alpha: 300, Beta: 9700}, {Alpha: 1, Beta: 19},
		{Alpha: 3e5, Beta: 9.7e6}, {Alpha: 19, Beta: 1.5}} {
		x, y := DensityPoints(c, 400)
		area, d := 0.0, distuv.Beta{Alpha: c.Alpha, Beta: c.Beta}
		for i := range x {
			if i > 0 {
				area += (x[i] - x[i-1]) * (y[i] + y[i-1]) / 2
			}
			if want := d.Prob(x[i]); x[i] > 0 && x[i] < 1 && math.Abs(y[i]-want) > 1e-6*(1+want) {
				t.Errorf("%+v: density at %v is %v, want %v", c, x[i], y[i], want)
			}
		}
		near(t, "area", area, 1, 0.01)
	}
	for _, n := range []int{-1, 0, 1, 2} {
		if x, y := DensityPoints(Posterior{Alpha: 0.01, Beta: 0.01}, n); len(x) != 2 || !(maxOf(y) > 0) || math.IsInf(maxOf(y), 0) {
			t.Errorf("%d points: %v, %v", n, x, y)
		}
	}
}

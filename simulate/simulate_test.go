package simulate

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/juncture/juncture"
)

// even chooses uniformly, and keeps what it is told.
type even struct {
	rng  *rand.Rand
	last time.Time
	seen []Success
}

func (e *even) Choose(_ context.Context, calls []Call, out []Choice) error {
	for i, c := range calls {
		k := e.rng.IntN(len(c.Eligible))
		out[i] = Choice{c.Eligible[k], 1 / float64(len(c.Eligible))}
		e.last = c.At
	}
	return nil
}

func (e *even) Reward(_ context.Context, s []Success) error {
	e.seen = append(e.seen, s...)
	return nil
}

func kinds() map[string]Settings {
	small := [juncture.LayerCount][]int{{2, 2}, {3}, {2}, {2}}
	return map[string]Settings{
		"plain":      {Axes: small},
		"null":       {Axes: small, Nothing: true},
		"noise":      {Axes: small, Noise: true},
		"money":      {Axes: small, Money: true},
		"all":        {Axes: small, Delay: 24 * time.Hour, Drift: 1, Season: true, Withheld: 0.3, Late: 2, LateLift: 0.2, Returning: 0.4, Blank: 0.1},
		"two arms":   {Axes: small, Actions: 2, Copies: 1},
		"1,920":      {},
		"no traffic": {Axes: small, Zipf: 3},
	}
}

func TestPlays(t *testing.T) {
	for name, set := range kinds() {
		t.Run(name, func(t *testing.T) {
			set.Seed = 3
			play := func() (Report, *even) {
				e := &even{rng: rand.New(rand.NewPCG(1, 2))}
				r, err := New(set).Play(context.Background(), e, Options{Seed: 4, Calls: 5000, Marks: []int{150, 5000}})
				if err != nil {
					t.Fatal(err)
				}
				return r, e
			}
			r, e := play()
			again, _ := play()
			if diff := cmp.Diff(r, again); diff != "" {
				t.Errorf("the same seed gives another report: %s", diff)
			}
			// Uniform choice has the regret of uniform choice, within four standard errors of 5,000 draws of it.
			if s := r.Share(); math.Abs(s-1) > 0.1 || math.Abs(r.Propensity-1) > 1e-9 || r.Calls != 5000 || len(r.Curve) != 2 || r.Curve[0].Calls != 150 {
				t.Errorf("%+v", r)
			}
			for i, s := range e.seen {
				if s.At.Before(s.Trial) || i > 0 && s.At.Before(e.seen[i-1].At) || !(s.Value > 0) {
					t.Fatalf("success %d: %+v", i, s)
				}
			}
		})
	}
}

func TestKeys(t *testing.T) {
	s := New(Settings{})
	seen := map[juncture.Intersection]bool{}
	for _, x := range s.Keys {
		if y, err := juncture.ParseIntersection(x.Key()); err != nil || y != x {
			t.Fatalf("%v: %v", x, err)
		}
		seen[x] = true
	}
	if len(seen) != 1920 || len(s.Arms) != 24 {
		t.Errorf("%d intersections, %d arms", len(seen), len(s.Arms))
	}
}

func TestNothingToPersonalise(t *testing.T) {
	// On the log-odds every arm lies equally far from the first at every intersection.
	s := New(Settings{Seed: 5, Nothing: true})
	gaps := func(x int) []float64 {
		var out []float64
		e := s.Expected(x, 0)
		for _, p := range e {
			out = append(out, logit(p)-logit(e[0]))
		}
		return out
	}
	if diff := cmp.Diff(gaps(0), gaps(1000), cmpopts.EquateApprox(0, 1e-9)); diff != "" {
		t.Error(diff)
	}
}

func TestRefusesAnswers(t *testing.T) {
	s := New(Settings{})
	for _, c := range []Choice{{Arm: 99, Probability: 1}, {Arm: 0, Probability: 0}, {Arm: 0, Probability: math.NaN()}} {
		if _, err := s.Play(context.Background(), wrong{c}, Options{Calls: 1}); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}

type wrong struct{ c Choice }

func (w wrong) Choose(_ context.Context, _ []Call, out []Choice) error { out[0] = w.c; return nil }
func (w wrong) Reward(context.Context, []Success) error                { return nil }

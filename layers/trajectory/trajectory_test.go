package trajectory_test

import (
	"bytes"
	"math"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/layers/trajectory"
)

func at(days, minutes int) time.Time {
	return time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC).AddDate(0, 0, days).Add(time.Duration(minutes) * time.Minute)
}

func view(when time.Time) juncture.Event {
	return juncture.Event{Kind: juncture.EventProductViewed, At: when, Lines: []juncture.Line{{Product: "hat", Quantity: 1}}}
}

func TestScoresHalve(t *testing.T) {
	var s trajectory.State
	s.Fold(view(at(0, 0)))
	for _, c := range []struct {
		when                                       time.Time
		latentFast, latentSlow, liveFast, liveSlow float64
	}{
		{at(0, 0), 1, 1, 1, 1},
		{at(0, 24), 0.9962, 0.9995, 1. / 256, 0.125}, // 24 minutes: eight and three half-lives
		{at(3, 0), 0.5, 0.9057, 0, 0},                // 2^(-3/21)
		{at(21, 0), 1. / 128, 0.5, 0, 0},             // 21 / 3 = 7 half-lives
	} {
		x := s.Scores(c.when)
		for _, p := range [][2]float64{{x.LatentFast, c.latentFast}, {x.LatentSlow, c.latentSlow}, {x.LiveFast, c.liveFast}, {x.LiveSlow, c.liveSlow}} {
			if math.Abs(p[0]-p[1]) > 1e-3 {
				t.Errorf("%v: %+v, want %+v", c.when, x, c)
				break
			}
		}
	}
}

// The sums drop what is older than eight half-lives; that is the only difference from the formula.
func TestScoresAgreeWithTheFormula(t *testing.T) {
	var s trajectory.State
	var when []time.Time
	for i := range 200 {
		when = append(when, at(i*i%170, i*37%600))
		s.Fold(view(when[i]))
	}
	now, want := at(171, 0), 0.0
	for _, w := range when {
		want += math.Exp2(-now.Sub(w).Hours() / 24 / 21)
	}
	if got := s.Scores(now).LatentSlow; math.Abs(got-want) > 0.01*want {
		t.Errorf("%v, the formula gives %v", got, want)
	}
}

// A shopper who looks at a product and at a page by turns keeps the value; with one threshold and no memory
// it would turn at every event at some paces.
func TestNoFlicker(t *testing.T) {
	flickering := 0
	for gap := 2 * time.Second; gap < 2*time.Minute; gap += time.Second {
		var s trajectory.State
		when, last, rising := at(0, 0), "", false
		changes, turns := 0, 0
		for i := range 240 {
			when = when.Add(gap)
			e := view(when)
			if i%2 == 1 {
				e = juncture.Event{Kind: juncture.EventPageViewed, At: when}
			}
			s.Fold(e)
			d, x := s.Describe(when), s.Scores(when)
			f, g := x.LiveFast/3, x.LiveSlow/8 // the rates, by their half-lives
			bare := f/(f+g) > 0.54
			if i > 160 && d.Live != last {
				changes++
			}
			if i > 160 && bare != rising {
				turns++
			}
			last, rising = d.Live, bare
		}
		if changes > 1 {
			t.Errorf("every %v: %d changes of the value where one is too many", gap, changes)
		}
		if turns > 40 {
			flickering++
		}
	}
	if flickering < 3 {
		t.Errorf("with one threshold %d paces would flicker: the test shows nothing", flickering)
	}
}

func TestLatch(t *testing.T) {
	// The same zones three times settle, whatever stood; no news never moves a latch.
	for l := range trajectory.Latch(81) {
		for z := range trajectory.Zones(216) {
			n := l.Next(z).Next(z).Next(z)
			if n >= 81 || n.Next(z) != n {
				t.Fatalf("latch %d at zones %d goes to %d and then to %d", l, z, n, n.Next(z))
			}
		}
		if l.Next(0) != l {
			t.Errorf("latch %d moves without news", l)
		}
	}
}

func TestLiveScoreFollowsSense(t *testing.T) {
	score := func(more ...juncture.EventKind) float64 {
		var s trajectory.State
		for i := range 5 {
			s.Fold(view(at(0, i)))
		}
		for i, k := range more {
			s.Fold(juncture.Event{Kind: k, At: at(0, 5+i)})
		}
		p, ok := s.LiveScore(at(0, 6), trajectory.Context{})
		if !ok || p <= 0 || p >= 1 {
			t.Fatalf("%v %v", p, ok)
		}
		return p
	}
	if look, bag, pay := score(), score(juncture.EventProductAdded), score(juncture.EventProductAdded, juncture.EventCheckoutStarted); !(look < bag && bag < pay) {
		t.Errorf("looking %.2f, with a bag %.2f, paying %.2f", look, bag, pay)
	}
	var s trajectory.State
	s.Fold(view(at(0, 0)))
	if _, ok := s.LiveScore(at(0, 30), trajectory.Context{}); ok {
		t.Error("a live score half an hour after the visit")
	}
	if a, b := s.LatentScore(at(0, 0)), s.LatentScore(at(30, 0)); !(a > b && a < 1 && b > 0) {
		t.Errorf("latent %v, a month later %v", a, b)
	}
}

func TestStateEncodes(t *testing.T) {
	var s, q trajectory.State
	for i := range 50 {
		s.Fold(view(at(i, i)))
	}
	b := s.AppendBinary(nil)
	if rest, err := q.ReadBinary(append(b, 7), true); err != nil || len(rest) != 1 || !bytes.Equal(q.AppendBinary(nil), b) {
		t.Errorf("%v, %d bytes left, %+v", err, len(rest), q)
	}
	for n := range b {
		if _, err := q.ReadBinary(b[:n], true); err == nil {
			t.Errorf("%d of %d bytes are taken for a state", n, len(b))
		}
	}
	if s.Bytes() > trajectory.MaxBytes {
		t.Errorf("%d bytes", s.Bytes())
	}
}

package trajectory

import (
	"fmt"
	"time"

	"github.com/juncture/juncture"
)

// Posture is what a shopper is doing about a decision, within the visit that runs.
type Posture string

// The postures.
const (
	PostureNone       Posture = "none"
	PostureHesitating Posture = "hesitating-on-a-product-page" // back at the same product, or at its details, nothing added
	PostureFalling    Posture = "falling-at-checkout"          // in a checkout, and standing still or turning back
)

// Description is the trajectory of a shopper at one time.
type Description struct {
	Latent, Live string  // juncture.Unknown for latent without evidence
	Value        string  // the two, dotted; juncture.Unknown when nothing was seen
	Confidence   float64 // in [0, 1]: how much has been seen
	Posture      Posture
	Reason       string // a sentence for each axis and the posture
}

// pause is how long a shopper stands still in a checkout before that is a posture.
const pause = 3 * time.Minute

// Describe reads the trajectory at now. The hysteresis stands as the last event left it; time alone can only let intent
// fade (high or building to fading to low; rising or steady to falling to none) and never brings it back. It changes
// nothing.
func (s *State) Describe(now time.Time) Description {
	if s.events == 0 {
		return Description{Latent: juncture.Unknown, Live: None, Value: juncture.Unknown, Posture: PostureNone, Reason: "nothing seen yet"}
	}
	at := max(now.UnixMilli(), s.last)
	x := s.scores(at)
	var d Description
	var why [3]string
	d.Latent, why[0] = s.latent(x)
	d.Live, why[1] = s.live(x, at)
	d.Posture, why[2] = s.posture(at)
	if d.Posture == PostureFalling { // says more than the rates do
		d.Live, why[1] = Falling, "less likely to order than a moment ago"
	}
	d.Value = d.Latent + "." + d.Live
	d.Reason = why[0] + "; " + why[1]
	if why[2] != "" {
		d.Reason += "; " + why[2]
	}
	n := float64(s.events)
	d.Confidence = n / (n + 3) // 0.5 at 3 events, 0.9 at 27
	return d
}

func (s *State) latent(x Scores) (value, reason string) {
	level, turn := x.LatentSlow, x.latentTendency()
	amount := fmt.Sprintf("interest worth %.1f product views", level)
	switch {
	case s.Latch.level() == down && level < lowLeave, level <= lowEnter:
		return Low, amount
	case s.Latch.latent() == down || turn <= downEnter:
		return Fading, amount + ", less in the last days than in the weeks before"
	case s.Latch.level() == up && level >= highLeave:
		return High, amount
	case s.Latch.level() == up:
		return Fading, amount + ", less than at its height"
	case s.Latch.latent() == up:
		return Building, amount + ", more in the last days than in the weeks before"
	}
	return Building, amount + ", holding"
}

// patience is how long nothing must happen in a visit before the silence itself lowers live intent.
const patience = 2 * time.Minute

// liveLeast is the live score below which nothing is going on.
const liveLeast = 0.3

func (s *State) live(x Scores, at int64) (value, reason string) {
	v, on := s.current(at)
	switch {
	case !on:
		return None, "no visit now"
	case v.ordered > 0 && v.ordered >= max(v.product, v.added, v.checkout):
		return None, "has just ordered"
	case x.LiveSlow < liveLeast:
		return None, "here, and not looking at products"
	}
	// The latch stands as the last event left it; only after some silence the scores of now may lower it.
	turn, silent := x.liveTendency(), at-s.last >= patience.Milliseconds()
	switch {
	case s.Latch.live() == down || silent && turn <= liveDownEnter:
		return Falling, "less in the last minutes than before in this visit"
	case s.Latch.live() == up && !(silent && turn < liveUpLeave):
		return Rising, "more in the last minutes than before in this visit"
	}
	return Steady, "keeping on in this visit"
}

func (s *State) posture(at int64) (Posture, string) {
	v, on := s.current(at)
	if !on {
		return PostureNone, ""
	}
	if v.checkout > max(v.ordered, v.added) || v.checkout > v.ordered && v.retreat > v.checkout {
		switch {
		case v.retreat > v.checkout:
			return PostureFalling, "turned back from a checkout"
		case at-v.checkout >= pause.Milliseconds():
			return PostureFalling, "stands still in a checkout"
		case s.Latch.live() == down:
			return PostureFalling, "slows down in a checkout"
		}
		return PostureNone, "in a checkout"
	}
	again := v.again()
	if v.additions == 0 && v.checkout == 0 && v.ordered == 0 && v.views > 0 && (again >= 2 || again+int(v.details) >= 2) {
		return PostureHesitating, fmt.Sprintf("%d returns to a product and %d looks at details, nothing added", again, v.details)
	}
	return PostureNone, ""
}

package trajectory

import (
	"time"

	"github.com/juncture/juncture"
)

// SessionGap ends a visit where the sender names no session, and live intent in any case.
const SessionGap = 30 * time.Minute

// The half-lives of the four scores. Latent intent drifts over days and weeks, live intent over minutes; the fast score
// of a pair against the slow one tells the direction.
const (
	latentFast = int64(3 * 24 * time.Hour / time.Millisecond)
	latentSlow = int64(21 * 24 * time.Hour / time.Millisecond)
	liveFast   = int64(3 * time.Minute / time.Millisecond)
	liveSlow   = int64(8 * time.Minute / time.Millisecond)
)

// State is what the trajectory of one shopper is read from. Its zero value is a shopper of whom nothing is known. All of
// it is exact sums and latest-ofs, so that neither the order of events nor of merges matters, except for the Latch: the
// hysteresis runs over events in their order. Clone before folding a copy.
type State struct {
	latentFast, latentSlow, liveFast, liveSlow decayed

	first, last int64 // ms of the first and the last thing the shopper did; 0 for none
	events      uint32
	visits      []visit // ascending by from, at most maxVisits

	Latch Latch // how the directions stand after the last event folded
}

// MaxBytes bounds what a State holds in memory: the struct and its visits.
const MaxBytes = 1 << 10

// Fold adds one event in O(1), moves the Latch on, and returns the zones that the scores are in after it: the Latch can
// be run again over them (Latch.Next).
func (s *State) Fold(e juncture.Event) Zones {
	switch e.Kind {
	case juncture.EventOrderCancelled, juncture.EventOrderRefunded, juncture.EventIdentified:
		return 0 // the store's doing, or no behaviour
	}
	at := max(e.At.UnixMilli(), 0)
	alone := s.events == 0 || at-s.last >= patience.Milliseconds()
	if s.events == 0 || at < s.first {
		s.first = at
	}
	if s.events == 0 || at > s.last {
		s.last = at
	}
	s.events = min(s.events+1, 1<<31)
	latent, live := weight(e.Kind)
	if latent != 0 {
		s.latentFast.add(at, latentFast, latent)
		s.latentSlow.add(at, latentSlow, latent)
	}
	if live != 0 {
		s.liveFast.add(at, liveFast, live)
		s.liveSlow.add(at, liveSlow, live)
	}
	if e.Kind != juncture.EventCampaignEngaged && e.Kind != juncture.EventOther {
		s.addVisit(visitOf(e, at))
	}
	z := s.zones(at, live)
	if alone {
		z += afterSilence
	}
	s.Latch = s.Latch.Next(z)
	return z
}

// Merge adds what another profile of the same shopper holds. It commutes; of two Latches the greater stays, until the
// events are run again.
func (s *State) Merge(o State) {
	if o.events > 0 {
		if s.events == 0 || o.first < s.first {
			s.first = o.first
		}
		if s.events == 0 || o.last > s.last {
			s.last = o.last
		}
		s.events = min(s.events+o.events, 1<<31)
	}
	s.latentFast.merge(o.latentFast)
	s.latentSlow.merge(o.latentSlow)
	s.liveFast.merge(o.liveFast)
	s.liveSlow.merge(o.liveSlow)
	for _, v := range o.visits {
		s.addVisit(v)
	}
	s.Latch = max(s.Latch, o.Latch)
}

// Clone returns a copy that shares nothing.
func (s State) Clone() State {
	s.visits = append([]visit(nil), s.visits...)
	return s
}

// Bytes is what the State holds in memory, beside its own struct.
func (s *State) Bytes() int { return cap(s.visits) * visitBytes }

// Scores are the decayed sums at a time, in product views.
type Scores struct {
	LatentFast, LatentSlow float64 // half-lives of 3 and 21 days
	LiveFast, LiveSlow     float64 // half-lives of 3 and 8 minutes; 0 outside a visit
}

// Scores reads the sums at now.
func (s *State) Scores(now time.Time) Scores { return s.scores(now.UnixMilli()) }

func (s *State) scores(at int64) Scores {
	out := Scores{LatentFast: s.latentFast.at(at, latentFast), LatentSlow: s.latentSlow.at(at, latentSlow)}
	if s.events > 0 && at-s.last < SessionGap.Milliseconds() {
		out.LiveFast, out.LiveSlow = s.liveFast.at(at, liveFast), s.liveSlow.at(at, liveSlow)
	}
	return out
}

// tendency compares the fast score's rate with the slow one's: 0.5 when a shopper keeps doing the same, towards
// slow/(fast+slow) of the half-lives (7/8 and 8/11) when it has only begun, towards 0 when it has stopped.
func tendency(fast, slow float64, fastHalf, slowHalf int64) float64 {
	f, g := fast/float64(fastHalf), slow/float64(slowHalf)
	if f+g <= 0 {
		return 0
	}
	return f / (f + g)
}

func (x Scores) latentTendency() float64 {
	return tendency(x.LatentFast, x.LatentSlow, latentFast, latentSlow)
}
func (x Scores) liveTendency() float64 {
	return tendency(x.LiveFast, x.LiveSlow, liveFast, liveSlow)
}

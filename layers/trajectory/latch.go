package trajectory

// The thresholds of the hysteresis: a value is entered at the outer one and left at the inner one. Levels are in product
// views, decayed with 21 days; tendencies in [0, 1] around 0.5.
const (
	highEnter, highLeave = 12.0, 9.0
	lowLeave, lowEnter   = 2.0, 1.5   // low is left at 2 and entered again below 1.5
	upEnter, upLeave     = 0.56, 0.52 // latent
	downEnter, downLeave = 0.42, 0.48

	liveUpEnter, liveUpLeave     = 0.62, 0.58 // a visit at a constant pace is no longer rising after 13 minutes
	liveDownEnter, liveDownLeave = 0.40, 0.45
)

// Zones is where the scores stand after an event, between the thresholds: three digits, for the latent level and
// direction and for the live direction, and whether the event came after a silence. 0 changes nothing.
type Zones uint16

// A zone of a direction or level, from below the lowest threshold upwards; 0 is no news.
const (
	zoneNone = iota
	zoneDown // at the lower outer threshold or beyond
	zoneDownish
	zoneMiddle
	zoneUpish
	zoneUp
)

const afterSilence Zones = 216 // the event came after patience or more, or was the first

func zone(v, down, downish, upish, up float64) Zones {
	switch {
	case v <= down:
		return zoneDown
	case v <= downish:
		return zoneDownish
	case v < upish:
		return zoneMiddle
	case v < up:
		return zoneUpish
	}
	return zoneUp
}

// zones reads the scores after an event. Of its own live weight half counts, the mean of before and after: so an even
// pace tends to 0.5 however slow it is.
func (s *State) zones(at int64, live float64) Zones {
	x := s.scores(at)
	x.LiveFast, x.LiveSlow = max(x.LiveFast-live/2, 0), max(x.LiveSlow-live/2, 0)
	level := zone(x.LatentSlow, lowEnter, lowLeave, highLeave, highEnter)
	return level + 6*zone(x.latentTendency(), downEnter, downLeave, upLeave, upEnter) +
		36*zone(x.liveTendency(), liveDownEnter, liveDownLeave, liveUpLeave, liveUpEnter)
}

// Latch is what the hysteresis remembers: for the latent level and direction and the live direction the digit that stands
// (0 the middle, 1 up, 2 down), and for live intent the one that the last event spoke for. The live direction changes
// when two events in a row speak for the same change, since within minutes strong and weak events by turns move the
// scores by more than any band; an event after a silence sets it at once. The zero value has seen no event.
type Latch uint16

const latches = 81

const (
	middle = iota
	up
	down
)

func (l Latch) level() int  { return int(l % 3) }
func (l Latch) latent() int { return int(l / 3 % 3) }
func (l Latch) live() int   { return int(l / 9 % 3) }
func (l Latch) spoken() int { return int(l / 27 % 3) }

// Next is the latch after an event that left the scores in those zones.
func (l Latch) Next(z Zones) Latch {
	if z == zoneNone {
		return l
	}
	at := z % afterSilence
	live := l.live()
	spoken := step(live, at/36)
	if z >= afterSilence || spoken == l.spoken() {
		live = spoken
	}
	return Latch(step(l.level(), at%6) + 3*step(l.latent(), at/6%6) + 9*live + 27*spoken)
}

// step: an outer zone sets the digit, an inner zone keeps what is on its side, the middle resets.
func step(digit int, z Zones) int {
	switch {
	case z == zoneUp, z == zoneUpish && digit == up:
		return up
	case z == zoneDown, z == zoneDownish && digit == down:
		return down
	}
	return middle
}

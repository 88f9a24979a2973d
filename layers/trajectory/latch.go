package trajectory

// The thresholds of the hysteresis: a value is entered at the outer one and left at the inner one. Levels are in product
// views, decayed with 21 days; tendencies in [0, 1] around 0.5.
const (
	highEnter, highLeave = 12.0, 9.0
	lowLeave, lowEnter   = 2.0, 1.5 // low is left at 2 and entered again below 1.5
	upEnter, upLeave     = 0.56, 0.52
	downEnter, downLeave = 0.42, 0.48
)

// Zones is where the scores stand after an event, between the thresholds: three digits, for the latent level and
// direction and for the live direction. 0 changes nothing.
type Zones uint8

// A zone of a direction or level, from below the lowest threshold upwards; 0 is no news.
const (
	zoneNone = iota
	zoneDown // at the lower outer threshold or beyond
	zoneDownish
	zoneMiddle
	zoneUpish
	zoneUp
)

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

func (s *State) zones(at int64) Zones {
	x := s.scores(at)
	level := zone(x.LatentSlow, lowEnter, lowLeave, highLeave, highEnter)
	return level + 6*zone(x.latentTendency(), downEnter, downLeave, upLeave, upEnter) +
		36*zone(x.liveTendency(), downEnter, downLeave, upLeave, upEnter)
}

// Latch is what the hysteresis remembers: three base-3 digits (0 the middle, 1 up, 2 down) for the latent level and
// direction and the live direction. The zero value is the middle of each.
type Latch uint8

const (
	middle = iota
	up
	down
)

func (l Latch) level() int  { return int(l % 3) }
func (l Latch) latent() int { return int(l / 3 % 3) }
func (l Latch) live() int   { return int(l / 9 % 3) }

// Next is the latch after an event that left the scores in those zones.
func (l Latch) Next(z Zones) Latch {
	if z == zoneNone {
		return l
	}
	return Latch(step(l.level(), z%6) + 3*step(l.latent(), z/6%6) + 9*step(l.live(), z/36%6))
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

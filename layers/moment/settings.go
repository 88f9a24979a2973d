package moment

import "time"

// SessionGap cuts sessions where the sender names none: an event this long after the last one opens another
// (juncture.Event). It is part of what is folded, so it is the same for every store.
const SessionGap = 30 * time.Minute

// Settings are a store's thresholds. The zero value of a field means its default.
type Settings struct {
	Dormant      time.Duration // no event for so long is dormant; default 90 days
	AbandonAfter time.Duration // silence after the last cart or checkout step that makes it abandoned; default 60 minutes, at least SessionGap
	AbandonFor   time.Duration // how long after that step it counts as abandoned; default 14 days
	Fresh        time.Duration // how long after an order freshly-converted holds; default 14 days
	AtRiskGaps   float64       // at-risk when the gap since the last order is over so many median gaps; default 2.5
	AtRiskOrders int           // at-risk needs so many orders; default 3
	LoyalOrders  int           // loyal from so many orders; default 4
	LoyalValue   int64         // loyal too when the lifetime value is over this, in minor units; default 0: off
	ModeEvents   int           // product events that a session needs to say the mode; default 3
	New          time.Duration // window "new": first seen so recently; default 14 days
	VIPValue     int64         // window "vip": lifetime value of at least this, in minor units; default 0: off
}

const day = 24 * time.Hour

func or[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// WithDefaults returns the settings with every zero field at its default.
func (s Settings) WithDefaults() Settings {
	s.Dormant = or(s.Dormant, 90*day)
	s.AbandonAfter = max(or(s.AbandonAfter, time.Hour), SessionGap)
	s.AbandonFor = or(s.AbandonFor, 14*day)
	s.Fresh = or(s.Fresh, 14*day)
	s.AtRiskGaps = or(s.AtRiskGaps, 2.5)
	s.AtRiskOrders = or(s.AtRiskOrders, 3)
	s.LoyalOrders = or(s.LoyalOrders, 4)
	s.ModeEvents = or(s.ModeEvents, 3)
	s.New = or(s.New, 14*day)
	return s
}

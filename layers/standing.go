package layers

import (
	"strings"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/layers/moment"
)

// Stand is where a shopper stands at now, for reports, and how their moment moved since the standing before; a first
// standing moved from nowhere.
func Stand(p *Profile, before juncture.Standing, now time.Time, set Settings, k Knowledge) (juncture.Standing, []juncture.Movement) {
	d := Describe(p, now, set, k)
	m := p.Head.Moment.Describe(now, set.Moment)
	s := juncture.Standing{At: now, Window: p.Head.Moment.Window(now, set.Moment), Posture: string(Posture(p, now)), Reason: m.Reason, Values: d.Intersection}
	if before.At.IsZero() {
		return s, nil
	}
	var was moment.Description
	if axes := strings.Split(before.Values[juncture.Moment], "."); len(axes) == 3 {
		was.Lifecycle, was.Status, was.Mode = axes[0], axes[1], axes[2]
	}
	var out []juncture.Movement
	for _, v := range moment.Moves(now, was, m) {
		out = append(out, juncture.Movement{Shopper: p.Shopper, At: v.At, Axis: v.Axis, From: v.From, To: v.To, Reason: v.Reason})
	}
	return s, out
}

// Moved reports whether anything but the time differs between two standings.
func Moved(a, b juncture.Standing) bool {
	return a.Values != b.Values || a.Window != b.Window || a.Posture != b.Posture
}

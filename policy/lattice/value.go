package lattice

import "github.com/juncture/juncture"

// Order values are log-normal (D): a mean of ln(value) by base effects (layers, of which the catalogue matters most) and
// shrunk effects of the action, of its copy, and of the action at a layer; one variance.
const (
	noisePrior  = 1.0  // prior variance of ln(value) of one order: shops' baskets range over a factor of e
	noiseOrders = 10.0 // what that is worth, in orders
	minNoise    = 1e-4
	maxNoise    = 25.0
	maxLogValue = 100.0 // e^±100 is no price
)

// fitValue fits ln(value) of the successes by the same sweeps as the rate, with a Gaussian likelihood.
func fitValue(r *rows, c *cast, places []*place, sweeps int) *Snapshot {
	f := &fit{rows: r, cast: c, gaussian: true, noise: noisePrior}
	for _, m := range families(places, c) {
		layered := m.place.layer >= 0 && m.place.layer < juncture.LayerCount && m.place.with < 0 && m.place.axis < 0
		switch {
		case m.who == everyone && layered:
			m.start = 0.2
		case m.who == byAction && m.place.where == store:
			m.start = 0.1
		case m.who == byAction && layered, m.who == byArm && m.place.where == store:
			m.start = 0.05
		default:
			continue
		}
		f.families = append(f.families, m)
	}
	f.begin()
	orders, sum, squares := 0.0, 0.0, 0.0
	for i := range r.arm {
		orders, sum, squares = orders+r.s[i], sum+r.logs[i], squares+r.squares[i]
	}
	if orders > 0 {
		f.intercept = sum / orders
		for i := range f.eta {
			f.eta[i] = f.intercept
		}
	}
	for i := range sweeps {
		left := squares
		for j, e := range f.eta {
			left += r.s[j]*e*e - 2*e*r.logs[j]
		}
		f.noise = min(max((noiseOrders*noisePrior+max(0, left))/(noiseOrders+orders), minNoise), maxNoise)
		f.sweep(i)
	}
	s := newSnapshot(f, places, Settings{}, "")
	s.known = orders > 0
	return s
}

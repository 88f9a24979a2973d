package policy

import (
	"cmp"
	"math"
	"slices"

	"github.com/juncture/juncture"
)

// Parameters of posteriors stay within these: gonum's Beta draws are NaN below 0.01, and past 1e15 a count has no unit.
const (
	MinShape = 0.01
	MaxShape = 1e15
)

// Beta is a posterior of a rate: the density of p is proportional to p^(Alpha−1)·(1−p)^(Beta−1).
type Beta struct{ Alpha, Beta float64 }

// Mean returns Alpha/(Alpha+Beta).
func (b Beta) Mean() float64 { return b.Alpha / (b.Alpha + b.Beta) }

// Normal is a posterior of a score. Sd is its standard deviation, > 0.
type Normal struct{ Mean, Sd float64 }

// Best says of independent posteriors which is the largest. The zero Best is ready; reusing one reuses its memory.
type Best struct {
	P    []float64 // probability that each is the largest; sums to 1
	Max  float64   // expected largest, in the unit of the posteriors (rate, or score)
	Loss []float64 // Max − the mean of each: what choosing it costs on average; >= 0

	mass   float64 // sum of P before it was scaled to 1, a measure of the error
	panels int
	curves []curve
	order  []*curve
}

// BestBeta returns which of the rates is largest, P and Max within 1e-6 (1e-8 as measured). Parameters outside
// [MinShape, MaxShape], or no arm, are CodeInternal.
func BestBeta(arms []Beta) (Best, error) {
	var b Best
	err := b.Betas(arms)
	return b, err
}

// BestNormal returns which of the scores is largest, as BestBeta. Means must be finite and at most 1e100 in size,
// deviations in [1e-100, 1e100].
func BestNormal(arms []Normal) (Best, error) {
	var b Best
	err := b.Normals(arms)
	return b, err
}

// Betas is BestBeta into b.
func (b *Best) Betas(arms []Beta) error {
	b.resize(len(arms))
	for i, a := range arms {
		if !(a.Alpha >= MinShape && a.Alpha <= MaxShape && a.Beta >= MinShape && a.Beta <= MaxShape) {
			return juncture.Errorf(juncture.CodeInternal, "posterior %d is Beta(%g, %g)", i, a.Alpha, a.Beta)
		}
		b.curves[i].setBeta(i, a.Alpha, a.Beta)
	}
	return b.walk()
}

// Normals is BestNormal into b.
func (b *Best) Normals(arms []Normal) error {
	b.resize(len(arms))
	origin := math.Inf(-1)
	for i, a := range arms {
		if !(math.Abs(a.Mean) <= 1e100 && a.Sd >= 1e-100 && a.Sd <= 1e100) {
			return juncture.Errorf(juncture.CodeInternal, "posterior %d is Normal(%g, %g)", i, a.Mean, a.Sd)
		}
		origin = math.Max(origin, a.Mean)
	}
	// Distances from the largest mean keep the digits that the walk needs; a deviation too small beside that
	// distance for a float64 to step through it is widened to what it can.
	for i, a := range arms {
		m := a.Mean - origin
		b.curves[i].setNormal(i, m, math.Max(a.Sd, 1e-11*math.Abs(m)))
	}
	if err := b.walk(); err != nil {
		return err
	}
	b.Max += origin
	return nil
}

func (b *Best) resize(k int) {
	b.P, b.Loss = slices.Grow(b.P[:0], k)[:k], slices.Grow(b.Loss[:0], k)[:k]
	b.curves, b.order = slices.Grow(b.curves[:0], k)[:k], slices.Grow(b.order[:0], k)[:k]
}

// walk integrates P_k = ∫ f_k·∏_{j≠k} F_j and Max = ∫ g·d∏F from the right, panel by panel, each as wide as the arms
// that have density there allow. It ends where what is left of the maximum no longer matters, so broad left tails
// cost nothing.
func (b *Best) walk() error {
	k := len(b.curves)
	if k == 0 {
		return juncture.Errorf(juncture.CodeInternal, "no arms to compare")
	}
	b.mass, b.panels, b.Max = 1, 0, b.curves[0].mean
	if k == 1 {
		b.P[0], b.Loss[0] = 1, 0
		return nil
	}
	lo := math.Inf(-1)
	for i := range b.curves {
		b.order[i] = &b.curves[i]
		lo = math.Max(lo, b.curves[i].left)
	}
	slices.SortFunc(b.order, func(x, y *curve) int { return cmp.Or(cmp.Compare(y.right, x.right), x.arm-y.arm) })

	top, live, left := 0.0, 0, 1.0
	for y := b.order[0].right; y > lo && left > walkRest; {
		if b.panels++; b.panels > maxPanels {
			return juncture.Errorf(juncture.CodeInternal, "comparing %d posteriors did not end", k)
		}
		for live < k && b.order[live].right >= y {
			live++
		}
		next := y - b.step(y, live)
		for live < k && b.order[live].right > next { // an arm begins inside the panel: take it in, or stop at its edge
			edge := b.order[live].right
			if with := y - b.step(y, live+1); with <= edge {
				live, next = live+1, with
				continue
			}
			next = edge
			break
		}
		if !(next < y) { // too narrow for a float64 here
			next = math.Nextafter(y, math.Inf(-1))
		}
		top += panel(b.order[:live], next, y)
		left = 1
		for _, c := range b.order[:live] {
			left *= math.Max(0, 1-c.tail)
		}
		y = next
	}
	b.mass = 0
	for i := range b.curves {
		b.mass += b.curves[i].p
	}
	if !(b.mass > 0.5 && b.mass < 2 && !math.IsNaN(top)) {
		return juncture.Errorf(juncture.CodeInternal, "comparing %d posteriors lost their mass: %g", k, b.mass)
	}
	b.Max = top / b.mass
	for i := range b.curves {
		b.P[i] = b.curves[i].p / b.mass
		b.Loss[i] = math.Max(0, b.Max-b.curves[i].mean)
	}
	return nil
}

// step returns the widest panel that may end at y with the first live arms in it. A Beta's log density has slope
// a·q − b·p and curvature (a+b)·p·q, which grows by at most e per unit to the left: h·e^(h/2) = walkBend/√curvature.
func (b *Best) step(y float64, live int) float64 {
	if !b.order[0].beta {
		h := math.Inf(1)
		for _, c := range b.order[:live] {
			h = math.Min(h, walkBend*c.sd)
		}
		return h
	}
	e := math.Exp(-math.Abs(y))
	p, q := 1/(1+e), e/(1+e)
	if y < 0 {
		p, q = q, p
	}
	n, steepest, sp := 0.0, 0.0, softplus(y)
	for _, c := range b.order[:live] {
		n = math.Max(n, c.a+c.b)
		below := math.Max(0, c.top-(c.shift+c.a*y-(c.a+c.b)*sp))
		steepest = math.Max(steepest, math.Abs(c.a*q-c.b*p)/(walkSlope+walkFar*below))
	}
	u := math.Min(walkBend/math.Sqrt(n*p*q), 1e300)
	l := math.Log1p(u / 2)
	h := 2 * l * (1 - math.Log1p(l)/(2+l)) // 2·W(u/2), Lambert's W within 2% (Winitzki 2003)
	if h > walkBroad {                     // a panel this broad must not hide where an exponential tail begins, which is 1 wide
		h = math.Min(h, math.Max(walkBroad, math.Log(walkFlat/(n*p*q))))
	}
	return math.Min(h, 1/steepest)
}

// panel adds what lies in [lo, hi] to the arms' p, and returns its part of the expected maximum.
func panel(arms []*curve, lo, hi float64) float64 {
	half, mid := (hi-lo)/2, (hi+lo)/2
	var y, sp, value, before [panelNodes]float64
	for i := range y {
		y[i] = mid + half*panelX[i]
		value[i], before[i] = y[i], 1
		if arms[0].beta {
			e := math.Exp(-math.Abs(y[i]))
			value[i], sp[i] = 1/(1+e), math.Log1p(e)
			if y[i] < 0 {
				value[i] = e / (1 + e)
			} else {
				sp[i] += y[i]
			}
		}
	}
	for _, c := range arms { // rest: the product of the CDFs of the others, by prefix and suffix, so that no 0 divides
		c.density(&y, &sp)
		c.accumulate(half)
		for i := range before {
			c.rest[i] = before[i]
			before[i] *= c.cdf[i]
		}
	}
	after := [panelNodes]float64{1, 1, 1, 1, 1, 1, 1, 1}
	var all [panelNodes]float64
	for k := len(arms) - 1; k >= 0; k-- {
		c := arms[k]
		sum := 0.0
		for i := range after {
			g := panelW[i] * c.pdf[i] * c.rest[i] * after[i]
			after[i] *= c.cdf[i]
			all[i] += g
			sum += g
		}
		c.p += half * sum
	}
	top := 0.0
	for i := range all {
		top += half * all[i] * value[i]
	}
	return top
}

// Interval returns the 95% interval of the rate, equal tails.
func (b Beta) Interval() (low, high float64) { return interval(b.Alpha, b.Beta) }

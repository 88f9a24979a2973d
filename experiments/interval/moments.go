package interval

import (
	"math"

	"github.com/juncture/juncture"
)

// maxSize bounds what a sum may be, so that products of two of them stay finite.
const maxSize = 1e140

// Moments are a metric's sums over shoppers, one value y per shopper. Merging is adding, and a restated shopper is
// taken back and added anew. With a covariate x (the same metric before enrolment for CUPED, the denominator of a
// ratio) they hold its sums too. The zero Moments are of nobody.
type Moments struct {
	N          int64   // shoppers
	Hits       int64   // of these, with y > 0: conversions, or shoppers with orders
	Sum, SumSq float64 // Σ y, Σ y²
	X, XX, XY  float64 // Σ x, Σ x², Σ x·y; 0 without a covariate
}

// Unit is the moments of one shopper.
func Unit(y, x float64) Moments {
	m := Moments{N: 1, Sum: y, SumSq: y * y, X: x, XX: x * x, XY: x * y}
	if y > 0 {
		m.Hits = 1
	}
	return m
}

// Plus returns the moments of both.
func (m Moments) Plus(o Moments) Moments {
	return Moments{m.N + o.N, m.Hits + o.Hits, m.Sum + o.Sum, m.SumSq + o.SumSq, m.X + o.X, m.XX + o.XX, m.XY + o.XY}
}

// Minus takes o back out of m.
func (m Moments) Minus(o Moments) Moments {
	return Moments{m.N - o.N, m.Hits - o.Hits, m.Sum - o.Sum, m.SumSq - o.SumSq, m.X - o.X, m.XX - o.XX, m.XY - o.XY}
}

// Mean returns Σ y/N; NaN of nobody.
func (m Moments) Mean() float64 { return m.Sum / float64(m.N) }

// Variance returns the unbiased variance of y over shoppers, >= 0; NaN below 2.
func (m Moments) Variance() float64 { return m.along(0) }

// along is the unbiased variance over shoppers of y − slope·x about its mean.
func (m Moments) along(slope float64) float64 {
	n := float64(m.N)
	sum := m.Sum - slope*m.X
	sq := m.SumSq - 2*slope*m.XY + slope*slope*m.XX
	return math.Max(0, (sq-sum/n*sum)/(n-1))
}

// check refuses moments that no shoppers can have: CodeInternal.
func (m Moments) check() error {
	bad := func(format string, args ...any) error { return juncture.Errorf(juncture.CodeInternal, format, args...) }
	if m.N < 0 || m.N > 1<<53 || m.Hits < 0 || m.Hits > m.N {
		return bad("moments of %d shoppers, %d of them above 0", m.N, m.Hits)
	}
	for _, v := range []float64{m.Sum, m.SumSq, m.X, m.XX, m.XY} {
		if !(math.Abs(v) <= maxSize) {
			return bad("moments hold %g", v)
		}
	}
	// Cauchy-Schwarz, with room for what sums round.
	n := float64(m.N)
	if m.SumSq < 0 || m.XX < 0 || m.Sum*m.Sum > n*m.SumSq*(1+1e-6) || m.X*m.X > n*m.XX*(1+1e-6) ||
		math.Abs(m.XY) > math.Sqrt(m.SumSq)*math.Sqrt(m.XX)*(1+1e-6) {
		return bad("moments that no %d values have: sums %g, %g, %g, %g, %g", m.N, m.Sum, m.SumSq, m.X, m.XX, m.XY)
	}
	return nil
}

// Estimate is an asymptotically normal estimate: of a group's mean, or of a difference.
type Estimate struct {
	Value float64
	SE    float64 // standard error, >= 0
	N     int64   // shoppers behind it
	Third float64 // SE² times how much it grows per unit of Value; Sequence mends its bounds by it; 0 leaves them symmetric
}

// lean is how much SE² grows per unit of the true value: a mean of rare or skewed values that came out low has a low variance too. Third is SE²·lean, which
// adds up over independent parts as third moments do; of a rate it is the third central moment.
func (e Estimate) lean() float64 {
	if !(e.SE > 0) {
		return 0
	}
	return e.Third / e.SE / e.SE
}

func (e Estimate) check() error {
	if !(math.Abs(e.Value) <= maxSize && e.SE >= 0 && e.SE <= maxSize && math.Abs(e.Third) <= math.MaxFloat64 && e.N >= 0 && e.N <= 1<<53) {
		return juncture.Errorf(juncture.CodeInternal, "an estimate of %g with standard error %g from %d shoppers", e.Value, e.SE, e.N)
	}
	return nil
}

// Estimate returns the mean with its standard error. Fewer than 2 shoppers are CodeInternal: ask Ready first.
func (m Moments) Estimate() (Estimate, error) {
	if err := m.check(); err != nil {
		return Estimate{}, err
	}
	if m.N < 2 {
		return Estimate{}, juncture.Errorf(juncture.CodeInternal, "a mean of %d shoppers has no standard error", m.N)
	}
	return Estimate{Value: m.Mean(), SE: math.Sqrt(m.Variance() / float64(m.N)), N: m.N}, nil
}

// Ratio returns Σy/Σx, such as clicks by exposures, with the shopper as the unit: delta method,
// Var = (s_yy − 2R·s_xy + R²·s_xx)/(n·x̄²) (Deng, Knoblich and Lu, KDD 2018, section 3.1). A denominator that is not above
// 0 is CodeInternal.
func (m Moments) Ratio() (Estimate, error) {
	if err := m.check(); err != nil {
		return Estimate{}, err
	}
	if m.N < 2 || !(m.X > 0) {
		return Estimate{}, juncture.Errorf(juncture.CodeInternal, "a ratio by %g over %d shoppers", m.X, m.N)
	}
	r, n := m.Sum/m.X, float64(m.N)
	e := Estimate{Value: r, SE: math.Sqrt(m.along(r)*n) / m.X, N: m.N}
	return e, e.check()
}

// dispersion is E v²/E v of the values above 0: of compound Poisson sums it is the variance by the mean. A conversion's is 1; 0 is unknown.
func (m Moments) dispersion() float64 {
	if m.Hits == 0 || !(m.Sum > 0) {
		return 0
	}
	return m.SumSq / m.Sum
}

// mend widens an estimate of m's mean v (or ratio, per unit of the denominator) to what a dispersion d that both groups share says: the variance is at
// least v·d − v², and moves with v by d − 2v.
func (e Estimate) mend(m Moments, d float64, ratio bool) Estimate {
	v, own, unit := math.Max(0, m.Mean()), m.Variance(), 1.0
	if !(d > 0) {
		return e
	}
	if ratio {
		unit = float64(m.N) / m.X
	} else if want := v * (d - v); want > own && own > 0 {
		e.SE *= math.Sqrt(want / own)
	}
	e.Third = e.SE * e.SE * math.Max(0, d-2*v) * unit / float64(m.N)
	return e
}

// thin gives a group with few hits in a phase the variance per shopper of the other group, where that is more: from none or two its own says nothing.
func (e Estimate) thin(m Moments, other Estimate) Estimate {
	if least := other.SE * math.Sqrt(float64(other.N)/float64(e.N)); m.Hits < StartConversions && least > e.SE {
		e.SE = least
	}
	return e
}

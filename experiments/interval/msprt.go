package interval

import (
	"math"

	"github.com/juncture/juncture"
)

// MSPRT is the mixture sequential probability ratio test between two fixed arms, with a normal mixture over the difference
// (Johari, Koomen, Pekelis and Walsh, "Always valid inference", Operations Research 70, 2022, section 5). The lift of a
// policy that learns is no fixed arm's: that is Sequence's.
type MSPRT struct {
	Tau2  float64 // variance of the differences looked for, in the metric's unit squared; > 0
	Alpha float64 // error rate, two-sided; 0 is DefaultAlpha
}

func (m MSPRT) settled(d Estimate) (MSPRT, error) {
	if m.Alpha == 0 {
		m.Alpha = DefaultAlpha
	}
	if !(m.Tau2 >= 1e-100 && m.Tau2 <= maxSize) {
		return m, juncture.Errorf(juncture.CodeInternal, "a mixture variance of %g", m.Tau2)
	}
	if err := d.check(); err != nil {
		return m, err
	}
	if !(d.SE >= 1e-50) {
		return m, juncture.Errorf(juncture.CodeInternal, "a likelihood ratio with standard error %g: neither group varies", d.SE)
	}
	return m, checkAlpha(m.Alpha)
}

// LogRatio returns log Λ = ½·log(v/(v+τ²)) + d²τ²/(2v(v+τ²)), v = SE² of the difference d (V/n with n shoppers an arm).
func (m MSPRT) LogRatio(d Estimate) (float64, error) {
	m, err := m.settled(d)
	if err != nil {
		return 0, err
	}
	x := d.Value / d.SE
	return m.base(d.SE*d.SE) + x*x/2*m.known(d.SE*d.SE), nil
}

// base is ½·log(v/(v+τ²)); known is τ²/(v+τ²).
func (m MSPRT) base(v float64) float64  { return -math.Log1p(m.Tau2/v) / 2 }
func (m MSPRT) known(v float64) float64 { return m.Tau2 / (v + m.Tau2) }

// Interval returns d ± √(v(v+τ²)/τ²·(2·log(1/α) + log(1 + τ²/v))).
func (m MSPRT) Interval(d Estimate) (Interval, error) {
	m, err := m.settled(d)
	if err != nil {
		return Interval{}, err
	}
	v := d.SE * d.SE
	return around(d.Value, d.SE*math.Sqrt((-2*math.Log(m.Alpha)-2*m.base(v))/m.known(v))), nil
}

// Path is what looks at one MSPRT have shown. The zero Path is before the first.
type Path struct {
	Looks    int
	P        float64  // always-valid p-value: the least 1/Λ so far, at most 1
	Interval Interval // where all intervals so far overlap; Low > High when they do not, which a moving difference does
}

// Look adds a look. A refused estimate leaves the path as it was.
func (m MSPRT) Look(p Path, d Estimate) (Path, error) {
	l, err := m.LogRatio(d)
	if err != nil {
		return p, err
	}
	i, err := m.Interval(d)
	if err != nil {
		return p, err
	}
	at := math.Exp(-math.Max(0, l))
	if p.Looks > 0 {
		at = math.Min(at, p.P)
		i.Low, i.High = math.Max(i.Low, p.Interval.Low), math.Min(i.High, p.Interval.High)
	}
	return Path{p.Looks + 1, at, i}, nil
}

// EValue returns the e-value against "the difference is not above 0": the same martingale with a normal mixture kept to
// differences above 0, 2·Λ·Φ(d·τ/√(v(v+τ²))), at the variance that d.Third gives a difference of 0. Its mean under the null is at most 1 (asymptotically, as Sequence), whenever one stops;
// claims are made of many by EBH. At most the largest float64.
func (m MSPRT) EValue(d Estimate) (float64, error) {
	if lean := -d.lean() * d.Value; lean > 0 {
		d.SE = math.Sqrt(d.SE*d.SE + lean)
	}
	l, err := m.LogRatio(d)
	if err != nil {
		return 0, err
	}
	u := d.Value / d.SE * math.Sqrt(m.known(d.SE*d.SE))
	if u < -30 { // 2Φ(u) = erfc(−u/√2) → √(2/π)·e^(−u²/2)/|u|, and e^(u²/2) is Λ's
		return math.Exp(m.base(d.SE*d.SE)) * math.Sqrt(2/math.Pi) / -u, nil
	}
	return math.Min(math.MaxFloat64, math.Exp(l+math.Log(math.Erfc(-u/math.Sqrt2)))), nil
}

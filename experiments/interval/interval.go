package interval

import (
	"math"

	"gonum.org/v1/gonum/mathext"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/juncture/juncture"
)

// Interval is an estimate and the bounds around it, in the estimate's unit.
type Interval struct{ Estimate, Low, High float64 }

// Width returns High − Low.
func (i Interval) Width() float64 { return i.High - i.Low }

// Has says whether v lies within the bounds.
func (i Interval) Has(v float64) bool { return i.Low <= v && v <= i.High }

func around(v, half float64) Interval { return Interval{v, v - half, v + half} }

// exp turns an interval of a log-ratio into one of a relative lift.
func (i Interval) exp() Interval {
	return Interval{math.Expm1(i.Estimate), math.Expm1(i.Low), math.Expm1(i.High)}
}

// Test is a test's statistic and its two-sided p-value.
type Test struct{ Statistic, P float64 }

func checkAlpha(alpha float64) error {
	if !(alpha >= 1e-12 && alpha < 1) {
		return juncture.Errorf(juncture.CodeInternal, "an error rate of %g is not in [1e-12, 1)", alpha)
	}
	return nil
}

// z is the two-sided critical value of the standard normal.
func z(alpha float64) float64 { return -mathext.NormalQuantile(alpha / 2) }

// twoSided is P(|Z| >= |z|).
func twoSided(z float64) float64 { return math.Erfc(math.Abs(z) / math.Sqrt2) }

// Normal returns the fixed-horizon interval Value ± z·SE: for one look at a number of shoppers chosen beforehand.
func (e Estimate) Normal(alpha float64) (Interval, error) {
	if err := e.check(); err != nil {
		return Interval{}, err
	}
	if err := checkAlpha(alpha); err != nil {
		return Interval{}, err
	}
	return around(e.Value, z(alpha)*e.SE), nil
}

// Difference returns treatment − control.
func Difference(treatment, control Estimate) Estimate {
	return Estimate{treatment.Value - control.Value, math.Hypot(treatment.SE, control.SE), treatment.N + control.N, treatment.Third - control.Third}
}

// LogRatio returns log(treatment/control) by the delta method: its variance is the sum of the squared relative standard
// errors. Means that are not above 0 are CodeInternal: ask Ready first.
func LogRatio(treatment, control Estimate) (Estimate, error) {
	for _, e := range []Estimate{treatment, control} {
		if err := e.check(); err != nil {
			return Estimate{}, err
		}
		if !(e.Value > 0) {
			return Estimate{}, juncture.Errorf(juncture.CodeInternal, "a relative lift of means %g and %g", treatment.Value, control.Value)
		}
	}
	log := func(e Estimate) Estimate {
		x := Estimate{math.Log(e.Value), e.SE / e.Value, e.N, 0}
		if e.Third != 0 { // SE²/Value² falls as the mean grows: Third/SE²·1/Value − 2·SE²/Value² per unit of the log
			x.Third = x.SE * x.SE * (e.lean()/e.Value - 2*x.SE*x.SE)
		}
		return x
	}
	r := Difference(log(treatment), log(control))
	return r, r.check()
}

// Relative returns the fixed-horizon interval of treatment/control − 1, by LogRatio.
func Relative(treatment, control Estimate, alpha float64) (Interval, error) {
	r, err := LogRatio(treatment, control)
	if err != nil {
		return Interval{}, err
	}
	i, err := r.Normal(alpha)
	return i.exp(), err
}

// Welch returns the fixed-horizon difference of means with unequal variances, its interval and its t test, with the
// degrees of freedom of Welch and Satterthwaite (Welch, Biometrika 34, 1947). Two groups without variance have no
// test: CodeInternal.
func Welch(treatment, control Moments, alpha float64) (Interval, Test, error) {
	t, err := treatment.Estimate()
	if err != nil {
		return Interval{}, Test{}, err
	}
	c, err := control.Estimate()
	if err != nil {
		return Interval{}, Test{}, err
	}
	if err := checkAlpha(alpha); err != nil {
		return Interval{}, Test{}, err
	}
	d := Difference(t, c)
	if !(d.SE > 0) {
		return Interval{}, Test{}, juncture.Errorf(juncture.CodeInternal, "neither group's values vary")
	}
	a, b := t.SE/d.SE, c.SE/d.SE // as shares, so that no fourth power underflows
	df := 1 / (a*a*a*a/float64(t.N-1) + b*b*b*b/float64(c.N-1))
	stat := d.Value / d.SE
	return around(d.Value, studentQuantile(df, alpha)*d.SE), Test{stat, studentTail(df, stat)}, nil
}

// manyDegrees is where Student's t is the normal but for a term of 1/df (Abramowitz and Stegun, 26.7.5 and 26.7.8), within 1e-12.
const manyDegrees = 1e6

// studentQuantile is the two-sided critical value of Student's t.
func studentQuantile(df, alpha float64) float64 {
	if df > manyDegrees {
		q := z(alpha)
		return q + q*(q*q+1)/(4*df)
	}
	return -distuv.StudentsT{Mu: 0, Sigma: 1, Nu: df}.Quantile(alpha / 2)
}

// studentTail is P(|T| >= |t|).
func studentTail(df, t float64) float64 {
	if t = math.Abs(t); df > manyDegrees || t > 1e100 {
		more := 0.0
		if t < 40 {
			more = t * (t*t + 1) / (2 * df) * math.Exp(-t*t/2) / math.Sqrt(2*math.Pi)
		}
		return math.Min(1, twoSided(t)+more)
	}
	return mathext.RegIncBeta(df/2, 0.5, df/(df+t*t))
}

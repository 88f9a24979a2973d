package interval

import (
	"math"

	"gonum.org/v1/gonum/mathext"

	"github.com/juncture/juncture"
)

// Rate is successes among trials, a trial being one shopper.
type Rate struct{ Successes, Trials int64 }

// P returns Successes/Trials; NaN without trials.
func (r Rate) P() float64 { return float64(r.Successes) / float64(r.Trials) }

// Moments returns the moments of the trials' 0 and 1.
func (r Rate) Moments() Moments {
	s := float64(r.Successes)
	return Moments{N: r.Trials, Hits: r.Successes, Sum: s, SumSq: s}
}

// Estimate returns the rate with the standard error √(p(1−p)/n), the maximum-likelihood one; NaN without trials, which whoever takes it
// refuses.
func (r Rate) Estimate() Estimate {
	p := r.P()
	return Estimate{Value: p, SE: math.Sqrt(p * (1 - p) / float64(r.Trials)), N: r.Trials}
}

func checkRates(alpha float64, rates ...Rate) error {
	for _, r := range rates {
		if r.Successes < 0 || r.Trials < 1 || r.Successes > r.Trials || r.Trials > 1<<53 {
			return juncture.Errorf(juncture.CodeInternal, "a rate of %d in %d", r.Successes, r.Trials)
		}
	}
	return checkAlpha(alpha)
}

// Wilson returns the score interval of a rate (Wilson, JASA 22, 1927). No trials are CodeInternal, here and below.
func (r Rate) Wilson(alpha float64) (Interval, error) {
	if err := checkRates(alpha, r); err != nil {
		return Interval{}, err
	}
	n, p, q := float64(r.Trials), r.P(), z(alpha)
	mid := (p + q*q/(2*n)) / (1 + q*q/n)
	half := q / (1 + q*q/n) * math.Sqrt(p*(1-p)/n+q*q/(4*n*n))
	i := Interval{p, mid - half, mid + half}
	if r.Successes == 0 {
		i.Low = 0
	}
	if r.Successes == r.Trials {
		i.High = 1
	}
	return i, nil
}

// ClopperPearson returns the exact interval of a rate by quantiles of Beta distributions (Clopper and Pearson,
// Biometrika 26, 1934): it covers at least 1 − alpha, often more.
func (r Rate) ClopperPearson(alpha float64) (Interval, error) {
	if err := checkRates(alpha, r); err != nil {
		return Interval{}, err
	}
	s, f := float64(r.Successes), float64(r.Trials-r.Successes)
	i := Interval{r.P(), 0, 1}
	if s > 0 {
		i.Low = mathext.InvRegIncBeta(s, f+1, alpha/2)
	}
	if f > 0 {
		i.High = mathext.InvRegIncBeta(s+1, f, 1-alpha/2)
	}
	return i, nil
}

// Wald returns the difference of rates with the unpooled normal interval, and its test.
func Wald(treatment, control Rate, alpha float64) (Interval, Test, error) {
	if err := checkRates(alpha, treatment, control); err != nil {
		return Interval{}, Test{}, err
	}
	d := Difference(treatment.Estimate(), control.Estimate())
	if !(d.SE > 0) {
		return Interval{}, Test{}, juncture.Errorf(juncture.CodeInternal, "neither group's outcomes vary")
	}
	i, err := d.Normal(alpha)
	return i, Test{d.Value / d.SE, twoSided(d.Value / d.SE)}, err
}

// Newcombe returns the difference of rates with the bounds that the two Wilson intervals give (Newcombe, Statistics in
// Medicine 17, 1998, method 10).
func Newcombe(treatment, control Rate, alpha float64) (Interval, error) {
	t, err := treatment.Wilson(alpha)
	if err != nil {
		return Interval{}, err
	}
	c, err := control.Wilson(alpha)
	if err != nil {
		return Interval{}, err
	}
	d := t.Estimate - c.Estimate
	return Interval{d, d - math.Hypot(t.Estimate-t.Low, c.High-c.Estimate), d + math.Hypot(t.High-t.Estimate, c.Estimate-c.Low)}, nil
}

// PooledZ is the test of equal rates with the pooled variance. Its square is the chi-square without Yates's correction.
func PooledZ(treatment, control Rate) (Test, error) {
	if err := checkRates(0.5, treatment, control); err != nil {
		return Test{}, err
	}
	n, m := float64(treatment.Trials), float64(control.Trials)
	p := float64(treatment.Successes+control.Successes) / (n + m)
	se := math.Sqrt(p * (1 - p) * (1/n + 1/m))
	if !(se > 0) {
		return Test{}, juncture.Errorf(juncture.CodeInternal, "neither group's outcomes vary")
	}
	stat := (treatment.P() - control.P()) / se
	return Test{stat, twoSided(stat)}, nil
}

// RelativeRate returns the fixed-horizon interval of treatment/control − 1 by the delta method on the log.
func RelativeRate(treatment, control Rate, alpha float64) (Interval, error) {
	if err := checkRates(alpha, treatment, control); err != nil {
		return Interval{}, err
	}
	return Relative(treatment.Estimate(), control.Estimate(), alpha)
}

// Fisher returns the two-sided p-value of Fisher's exact test: the sum over tables with the same margins that are no
// likelier than the one seen (by 1e-7, as scipy). Above 10 million successes, or failures, or shoppers of a group,
// whichever is least, it is CodeInternal: use PooledZ there.
func Fisher(treatment, control Rate) (float64, error) {
	if err := checkRates(0.5, treatment, control); err != nil {
		return 0, err
	}
	n, m := treatment.Trials, control.Trials
	hits := treatment.Successes + control.Successes
	lo, hi := max(0, hits-m), min(hits, n)
	if hi-lo > 1e7 {
		return 0, juncture.Errorf(juncture.CodeInternal, "an exact test over %d tables", hi-lo+1)
	}
	// Hypergeometric odds from the mode outwards: no log-gamma, whose rounding a p-value of 1e-9 would feel.
	mode := min(hi, max(lo, int64(float64(hits+1)*float64(n+1)/float64(n+m+2))))
	up := func(k int64) float64 { // P(k+1)/P(k)
		return float64(hits-k) / float64(k+1) * (float64(n-k) / float64(m-hits+k+1))
	}
	odds := make([]float64, hi-lo+1)
	odds[mode-lo] = 1
	for k := mode; k < hi; k++ {
		odds[k+1-lo] = odds[k-lo] * up(k)
	}
	for k := mode; k > lo; k-- {
		odds[k-1-lo] = odds[k-lo] / up(k-1)
	}
	seen := odds[treatment.Successes-lo] * (1 + 1e-7)
	all, rare := 0.0, 0.0
	for _, o := range odds {
		all += o
		if o <= seen {
			rare += o
		}
	}
	return rare / all, nil
}

// ChiSquare tests observed counts against shares that sum to anything above 0: sample ratio (docs/statistics.md, E.7).
func ChiSquare(observed []int64, shares []float64) (Test, error) {
	n, sum := 0.0, 0.0
	for i, o := range observed {
		if len(shares) != len(observed) || o < 0 || o > 1<<53 || !(shares[i] > 0 && shares[i] <= maxSize) {
			return Test{}, juncture.Errorf(juncture.CodeInternal, "counts %v against shares %v", observed, shares)
		}
		n += float64(o)
		sum += shares[i]
	}
	if len(observed) < 2 || n == 0 {
		return Test{}, juncture.Errorf(juncture.CodeInternal, "a sample ratio of %d groups and %g shoppers", len(observed), n)
	}
	stat := 0.0
	for i, o := range observed {
		want := n * (shares[i] / sum)
		stat += (float64(o) - want) * ((float64(o) - want) / want)
	}
	return Test{stat, mathext.GammaIncRegComp(float64(len(observed)-1)/2, stat/2)}, nil
}

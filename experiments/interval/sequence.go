package interval

import (
	"math"

	"github.com/juncture/juncture"
)

// The defaults of a Sequence.
const (
	DefaultAlpha     = 0.05
	DefaultOptimalAt = 50_000 // shoppers: about what a lift of 40% on a base of 3% needs at a 5% holdout (docs/statistics.md, E.8)
)

// Sequence is an asymptotic confidence sequence: its interval may be looked at after every shopper, for ever, and the
// chance that any of them misses stays at Alpha or under, also where the true mean moves (it covers the mean so far).
// Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory and asymptotic confidence
// sequences" (arXiv 2103.06476), theorem 2.2: ± SE·√(2·(nρ²+1)/(nρ²)·log(√(nρ²+1)/α)).
type Sequence struct {
	Alpha     float64 // error rate, two-sided; 0 is DefaultAlpha
	OptimalAt float64 // shoppers of the groups compared at which it is narrowest; 0 is DefaultOptimalAt. Fixed before the first look.
}

func (s Sequence) settled() (Sequence, error) {
	if s.Alpha == 0 {
		s.Alpha = DefaultAlpha
	}
	if s.OptimalAt == 0 {
		s.OptimalAt = DefaultOptimalAt
	}
	if !(s.OptimalAt >= 1 && s.OptimalAt <= 1<<53) {
		return s, juncture.Errorf(juncture.CodeInternal, "a sequence narrowest at %g shoppers", s.OptimalAt)
	}
	return s, checkAlpha(s.Alpha)
}

// factor is the half-width at n shoppers in standard errors. The sequence is settled.
func (s Sequence) factor(n float64) float64 {
	rho := AsymptoticRho(s.OptimalAt, s.Alpha)
	t := n * rho * rho
	return math.Sqrt(2 * (t + 1) / t * (math.Log1p(t)/2 - math.Log(s.Alpha)))
}

// Around returns the interval of an estimate from e.N shoppers; at least 1.
func (s Sequence) Around(e Estimate) (Interval, error) {
	s, err := s.settled()
	if err != nil {
		return Interval{}, err
	}
	if err := e.check(); err != nil {
		return Interval{}, err
	}
	if e.N < 1 {
		return Interval{}, juncture.Errorf(juncture.CodeInternal, "a sequence of %d shoppers", e.N)
	}
	return e.within(s.factor(float64(e.N))), nil
}

// within is Value ± k·SE, but where the variance grows towards a bound by −lean per unit, the distance δ of that bound solves
// δ² = k²·(SE² + |lean|·δ), as Wilson's interval does for a rate. The other bound stays.
func (e Estimate) within(k float64) Interval {
	i := around(e.Value, k*e.SE)
	half := k * k * math.Abs(e.lean()) / 2
	far := half + math.Hypot(half, k*e.SE)
	if e.Third < 0 {
		i.Low = e.Value - far
	} else if e.Third > 0 {
		i.High = e.Value + far
	}
	return i
}

// Relative returns the interval of treatment/control − 1, by LogRatio.
func (s Sequence) Relative(treatment, control Estimate) (Interval, error) {
	r, err := LogRatio(treatment, control)
	if err != nil {
		return Interval{}, err
	}
	i, err := s.Around(r)
	return i.exp(), err
}

// AsymptoticRho returns the ρ at which Sequence is narrowest at n: √((−2·log α + log(1 − 2·log α))/n), equation (10) of the
// paper in the approximation that it gives there.
func AsymptoticRho(n, alpha float64) float64 {
	l := -2 * math.Log(alpha)
	return math.Sqrt((l + math.Log1p(l)) / n)
}

// MixtureRho returns the ρ at which NormalMixture is tightest at intrinsic time v (Howard, Ramdas, McAuliffe and Sekhon,
// "Time-uniform, nonparametric, nonasymptotic confidence sequences", Annals of Statistics 49, 2021, section 3.5).
func MixtureRho(v, alpha float64) float64 {
	l := -2 * math.Log(alpha)
	return v / (l + math.Log1p(l))
}

// NormalMixture returns the two-sided bound on a sum of deviations of variance v: √((v+ρ)·log((v+ρ)/(ρα²))), equation (14) of
// Howard et al. It is exact for sub-Gaussian increments whose v is known.
func NormalMixture(v, rho, alpha float64) (float64, error) {
	if err := checkAlpha(alpha); err != nil {
		return 0, err
	}
	if !(v >= 0 && v <= maxSize && rho > 0 && rho <= maxSize) {
		return 0, juncture.Errorf(juncture.CodeInternal, "a mixture at time %g with rho %g", v, rho)
	}
	return math.Sqrt((v + rho) * (math.Log1p(v/rho) - 2*math.Log(alpha))), nil
}

// Stitched returns the half-width for the mean of t 1-sub-Gaussian values (such as values within [−1, 1]):
// 1.7·√((log log 2t + 0.72·log(10.4/α))/t), equation (2) of Howard et al. t >= 2.
func Stitched(t, alpha float64) (float64, error) {
	if err := checkAlpha(alpha); err != nil {
		return 0, err
	}
	if !(t >= 2 && t <= maxSize) {
		return 0, juncture.Errorf(juncture.CodeInternal, "a stitched bound at %g", t)
	}
	return 1.7 * math.Sqrt((math.Log(math.Log(2*t))+0.72*math.Log(10.4/alpha))/t), nil
}

// Sequence returns the exact confidence sequence of a constant rate: the p whose likelihood is more than alpha times that of the
// Beta(a, b) mixture (Robbins 1970; Howard et al., proposition 7). Any number of looks; no start rule; a, b in [0.01, 1e6].
func (r Rate) Sequence(a, b, alpha float64) (Interval, error) {
	if err := checkRates(alpha, r); err != nil {
		return Interval{}, err
	}
	if !(a >= 0.01 && a <= 1e6 && b >= 0.01 && b <= 1e6) {
		return Interval{}, juncture.Errorf(juncture.CodeInternal, "a mixture over Beta(%g, %g)", a, b)
	}
	s, f := float64(r.Successes), float64(r.Trials-r.Successes)
	bar := lbeta(a+s, b+f) - lbeta(a, b) + math.Log(alpha) // log-likelihoods below it are out
	out := func(p float64) bool {
		l := 0.0
		if s > 0 {
			l += s * math.Log(p)
		}
		if f > 0 {
			l += f * math.Log1p(-p)
		}
		return !(l > bar)
	}
	edge := func(in, end float64) float64 {
		if !out(end) {
			return end
		}
		for range 200 {
			mid := in + (end-in)/2
			if mid == in || mid == end {
				break
			}
			if out(mid) {
				end = mid
			} else {
				in = mid
			}
		}
		return in
	}
	return Interval{r.P(), edge(r.P(), 0), edge(r.P(), 1)}, nil
}

func lbeta(a, b float64) float64 {
	x, _ := math.Lgamma(a)
	y, _ := math.Lgamma(b)
	z, _ := math.Lgamma(a + b)
	return x + y - z
}

package interval

import (
	"math"

	"gonum.org/v1/gonum/integrate/quad"
	"gonum.org/v1/gonum/mathext"

	"github.com/juncture/juncture"
)

// Beta is a posterior of a rate, both parameters in [0.5, 1e9].
type Beta struct{ Alpha, Beta float64 }

// steep says that gonum's incomplete beta function no longer converges (from 1e7 on it is 2e-6 off) and the posterior is narrow enough for quadrature.
func (b Beta) steep() bool { return b.Alpha+b.Beta > 1e6 && math.Min(b.Alpha, b.Beta) > 100 }

// above returns P(rate > at), where rest = 1 − at; of a steep one by Gauss-Legendre on the log-odds over 9 standard deviations each way.
func (b Beta) above(at, rest float64, unit rule) float64 {
	if !b.steep() {
		return mathext.RegIncBeta(b.Beta, b.Alpha, rest)
	}
	n, p := b.Alpha+b.Beta, b.Alpha/(b.Alpha+b.Beta)
	far := 9 * math.Sqrt(n/(b.Alpha*b.Beta))
	density := func(t float64) float64 { // at mode + t, by the mode's, without differences of large numbers
		return math.Exp(b.Alpha*t - n*math.Log1p(p*math.Expm1(t)))
	}
	t := math.Log(at) - math.Log(rest) - math.Log(b.Alpha/b.Beta)
	switch {
	case t >= far:
		return 0
	case t <= -far:
		return 1
	}
	var left, right float64 // of the mass, each by the same nodes
	for i, x := range unit.x {
		right += unit.w[i] * (far - t) * density(t+x*(far-t))
		left += unit.w[i] * (far + t) * density(t-x*(far+t))
	}
	return right / (right + left)
}

// rule is Gauss-Legendre nodes and weights on [0, 1].
type rule struct{ x, w []float64 }

func legendre(nodes int) rule {
	r := rule{make([]float64, nodes), make([]float64, nodes)}
	quad.Legendre{}.FixedLocations(r.x, r.w, 0, 1)
	return r
}

// BetaLift is the posterior of treatment/control − 1 for two independent Beta posteriors.
type BetaLift struct {
	treatment       Beta
	unit            rule      // for its tail
	c, rest, weight []float64 // nodes of the control's rate, 1 − each, and the mass at each; the masses sum to 1
}

// NewBetaLift lays out the control's posterior: Gauss-Legendre on the log-odds, where its density is smooth and
// log-concave, between its 1e-14 quantiles. Probabilities are within 1e-8, of parameters over a million 1e-7.
func NewBetaLift(treatment, control Beta) (BetaLift, error) {
	for _, b := range []Beta{treatment, control} {
		if !(b.Alpha >= 0.5 && b.Alpha <= 1e9 && b.Beta >= 0.5 && b.Beta <= 1e9) {
			return BetaLift{}, juncture.Errorf(juncture.CodeInternal, "a posterior Beta(%g, %g)", b.Alpha, b.Beta)
		}
	}
	a, b := control.Alpha, control.Beta
	// On the log-odds the mode is log(a/b), the curvature there ab/(a+b), the tails exp(a·y) and exp(−b·y).
	mode, sd := math.Log(a/b), math.Sqrt((a+b)/(a*b))
	lo, hi := mode-8*sd-33/a, mode+8*sd+33/b
	nodes := int(math.Max(96, 6*(hi-lo)/math.Min(1, sd))) // tails are at least 1 wide, or end as steeply as that
	l := BetaLift{treatment: treatment, unit: legendre(64), c: make([]float64, nodes), rest: make([]float64, nodes), weight: make([]float64, nodes)}
	quad.Legendre{}.FixedLocations(l.c, l.weight, lo, hi)
	sum := 0.0
	for i, y := range l.c {
		l.weight[i] *= math.Exp(b*(softplus(mode)-softplus(y)) + a*(softplus(-mode)-softplus(-y)))
		l.c[i], l.rest[i] = 1/(1+math.Exp(-y)), 1/(1+math.Exp(y))
		sum += l.weight[i]
	}
	for i := range l.weight {
		l.weight[i] /= sum
	}
	return l, nil
}

func softplus(x float64) float64 { return math.Max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }

// Above returns P(treatment/control − 1 > lift).
func (l BetaLift) Above(lift float64) float64 {
	if math.IsNaN(lift) || lift <= -1 {
		return 1
	}
	p := 0.0
	for i, c := range l.c {
		if over := l.rest[i] - lift*c; over > 0 && l.weight[i] > 1e-18 { // over is 1 − (1 + lift)·c without its cancellation
			p += l.weight[i] * l.treatment.above((1+lift)*c, math.Min(1, over), l.unit)
		}
	}
	return p
}

// Quantile returns the lift that the posterior is below with probability p in (0, 1).
func (l BetaLift) Quantile(p float64) float64 {
	lo, hi := -60.0, 60.0 // of log(1 + lift)
	for range 60 {
		mid := (lo + hi) / 2
		if 1-l.Above(math.Expm1(mid)) < p {
			lo = mid
		} else {
			hi = mid
		}
	}
	return math.Expm1((lo + hi) / 2)
}

// NormalInverseGamma is what is believed of the mean and variance of (log) order values: variance ~ inverse gamma(Alpha, Beta),
// mean given it ~ N(Mean, variance/Kappa). All but Mean > 0.
type NormalInverseGamma struct{ Mean, Kappa, Alpha, Beta float64 }

// Update returns the posterior after the values behind m (Murphy, "Conjugate Bayesian analysis of the Gaussian
// distribution", 2007, section 6).
func (g NormalInverseGamma) Update(m Moments) (NormalInverseGamma, error) {
	if err := m.check(); err != nil {
		return g, err
	}
	if !(math.Abs(g.Mean) <= maxSize && g.Kappa > 0 && g.Alpha > 0 && g.Beta > 0 && math.Max(g.Kappa, math.Max(g.Alpha, g.Beta)) <= maxSize) {
		return g, juncture.Errorf(juncture.CodeInternal, "a prior of %v", g)
	}
	if m.N == 0 {
		return g, nil
	}
	n, d := float64(m.N), m.Mean()-g.Mean
	return NormalInverseGamma{
		Mean:  (g.Kappa*g.Mean + m.Sum) / (g.Kappa + n),
		Kappa: g.Kappa + n,
		Alpha: g.Alpha + n/2,
		Beta:  g.Beta + math.Max(0, m.SumSq-m.Sum/n*m.Sum)/2 + g.Kappa*n/(g.Kappa+n)*d*d/2,
	}, nil
}

// Interval returns the equal-tailed interval of the mean: Student's t with 2·Alpha degrees of freedom.
func (g NormalInverseGamma) Interval(alpha float64) (Interval, error) {
	if err := checkAlpha(alpha); err != nil {
		return Interval{}, err
	}
	return around(g.Mean, studentQuantile(2*g.Alpha, alpha)*math.Sqrt(g.Beta/(g.Alpha*g.Kappa))), nil
}

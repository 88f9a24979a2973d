package interval

import (
	"math"

	"gonum.org/v1/gonum/integrate/quad"
	"gonum.org/v1/gonum/mathext"

	"github.com/juncture/juncture"
)

// Beta is a posterior of a rate, both parameters in [0.01, 1e12].
type Beta struct{ Alpha, Beta float64 }

// BetaLift is the posterior of treatment/control − 1 for two independent Beta posteriors.
type BetaLift struct {
	treatment Beta
	c, weight []float64 // nodes of the control's rate and the mass at each; the masses sum to 1
}

// NewBetaLift lays out the control's posterior: Gauss-Legendre on the log-odds, where its density is smooth and
// log-concave, between its 1e-14 quantiles. Probabilities are within 1e-9.
func NewBetaLift(treatment, control Beta) (BetaLift, error) {
	for _, b := range []Beta{treatment, control} {
		if !(b.Alpha >= 0.01 && b.Alpha <= 1e12 && b.Beta >= 0.01 && b.Beta <= 1e12) {
			return BetaLift{}, juncture.Errorf(juncture.CodeInternal, "a posterior Beta(%g, %g)", b.Alpha, b.Beta)
		}
	}
	a, b := control.Alpha, control.Beta
	// On the log-odds the mode is log(a/b), the curvature there ab/(a+b), the tails exp(a·y) and exp(−b·y).
	mode, sd := math.Log(a/b), math.Sqrt((a+b)/(a*b))
	lo, hi := mode-8*sd-33/a, mode+8*sd+33/b
	const nodes = 512
	l := BetaLift{treatment: treatment, c: make([]float64, nodes), weight: make([]float64, nodes)}
	quad.Legendre{}.FixedLocations(l.c, l.weight, lo, hi)
	sum := 0.0
	logDensity := func(y float64) float64 { // without its constant
		return -a*softplus(-y) - b*softplus(y)
	}
	top := logDensity(mode)
	for i, y := range l.c {
		l.weight[i] *= math.Exp(logDensity(y) - top)
		l.c[i] = 1 / (1 + math.Exp(-y))
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
		if at := (1 + lift) * c; at < 1 && l.weight[i] > 0 {
			p += l.weight[i] * mathext.RegIncBeta(l.treatment.Beta, l.treatment.Alpha, 1-at)
		}
	}
	return p
}

// Quantile returns the lift that the posterior is below with probability p in (0, 1).
func (l BetaLift) Quantile(p float64) float64 {
	lo, hi := -60.0, 60.0 // of log(1 + lift)
	for range 80 {
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

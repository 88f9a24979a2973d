package health

import "math"

// thinned is the log-likelihood, up to a constant, of log-ratio x between two streams of successes: s of the one, where e
// are expected at ratio 1, and others of the other, where f are expected:
//
//	s·x − (s + others)·log(w·e^x + 1 − w), w = e/(e + f)
//
// the chance that a success is the one's, given that there was one; whatever moves both streams alike cancels (a thinned
// Poisson process). Without others' expectation (f = 0) e is taken to be known: s·x − e·(e^x − 1).
//
// Ratios of it are supermartingales for single trials of any rates too: with p of the one n·p = ρ·b·e in all and b·f of
// the other, the mean of exp(s·x − N·log g), g = w·e^x + 1 − w, is at most exp(ρ·b·e·(e^x/g − 1) + b·f·(1/g − 1)) because
// 1 + y <= e^y, and the exponent is 0 at ρ = 1.
type thinned struct{ s, others, e, f float64 }

func (t thinned) log(x float64) float64 {
	if t.f <= 0 {
		return t.s*x - t.e*math.Expm1(x)
	}
	w := t.e / (t.e + t.f)
	return t.s*x - (t.s+t.others)*math.Log1p(w*math.Expm1(x))
}

// slopes are what is taken from s·x, and its first three derivatives.
func (t thinned) slopes(x float64) [4]float64 {
	if t.f <= 0 {
		v := t.e * math.Exp(x)
		return [4]float64{v - t.e, v, v, v}
	}
	w := t.e / (t.e + t.f)
	up := w * math.Exp(x)
	q := up / (up + 1 - w)
	n := t.s + t.others
	return [4]float64{n * math.Log1p(w*math.Expm1(x)), n * q, n * q * (1 - q), n * q * (1 - q) * (1 - 2*q)}
}

// over divides all counts.
func (t thinned) over(by float64) thinned {
	return thinned{t.s / by, t.others / by, t.e / by, t.f / by}
}

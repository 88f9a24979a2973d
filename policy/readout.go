package policy

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// Posterior is what is believed of a success rate at the intersection, for people to read. It comes from the untempered
// ladder. Its mean is the one that chooses; its width also holds what is not known of the base rate, which all arms
// share and which therefore does not count in PBest and Loss.
type Posterior struct {
	Alpha, Beta  float64 // Beta of the rate; Alpha + Beta = Borrowed + Own but for MinShape
	Borrowed     float64 // what the broader rungs are worth, in trials
	Own          float64 // trials at the last rung
	OwnSuccesses float64
	Mean         float64 // posterior mean of the rate, 0 to 1
	Low, High    float64 // 95% interval of the rate, equal tails
	PBest        float64 // probability of being the best (by rate, or by value where the situation says so)
	Loss         float64 // expected loss in rate of always showing this one, >= 0
	Value        float64 // expected value of a trial in major currency units; 0 unless Situation.Value, and before any order
}

// ActionPosterior is a posterior of an action, over all of its copies.
type ActionPosterior struct {
	Action string
	Posterior
	Best int // its arm with the largest PBest, an index into Situation.Arms
}

// ReadOut is what is believed at an intersection.
type ReadOut struct {
	Arms    []Posterior       // parallel to Situation.Arms
	Actions []ActionPosterior // in order of first appearance
	Winner  int               // index in Actions of the largest PBest: winners are actions (statistics B.7)
}

// Read returns what the ladder believes. An arm's PBest is its action's times its own among the action's copies, its
// Loss the action's plus its own among the copies. Impossible counts are CodeInternal.
func Read(s *Situation) (ReadOut, error) {
	if err := s.check(); err != nil {
		return ReadOut{}, err
	}
	f := gather(s.Arms)
	var best Best
	actions, err := f.actions(s, &best)
	if err != nil {
		return ReadOut{}, err
	}
	var loss Best
	if err := loss.Betas(actions.post); err != nil {
		return ReadOut{}, err
	}
	out := ReadOut{Arms: make([]Posterior, len(s.Arms)), Actions: make([]ActionPosterior, len(f.first))}
	for g, first := range f.first {
		p := actions.posterior(g, s.Value)
		p.PBest, p.Loss = best.P[g], loss.Loss[g]
		out.Actions[g] = ActionPosterior{Action: s.Arms[first].Action, Posterior: p, Best: first}
		out.Arms[first] = p // stays where the action has one copy
		if p.PBest > out.Actions[out.Winner].PBest {
			out.Winner = g
		}
	}
	var lossErr error
	err = f.copies(s, actions, &best, func(g, arm, j int, c *chain) {
		if j == 0 && lossErr == nil {
			lossErr = loss.Betas(c.post)
		}
		if lossErr != nil {
			return
		}
		action := &out.Actions[g]
		p := c.posterior(j, s.Value)
		p.PBest, p.Loss = action.PBest*best.P[j], action.Loss+loss.Loss[j]
		out.Arms[arm] = p
		if p.PBest > out.Arms[action.Best].PBest {
			action.Best = arm
		}
	})
	if err == nil {
		err = lossErr
	}
	if err != nil {
		return ReadOut{}, err
	}
	return out, nil
}

// posterior returns competitor k's, without PBest and Loss.
func (c *chain) posterior(k int, value bool) Posterior {
	last := (c.rungs-1)*c.k + k
	mean := c.rate[last]
	p := Posterior{Mean: mean, Own: c.n[last], OwnSuccesses: c.s[last], Borrowed: pseudo(mean, c.spread[k])}
	n := p.Borrowed + p.Own
	p.Alpha, p.Beta = max(MinShape, mean*n), max(MinShape, (1-mean)*n)
	p.Low, p.High = interval(p.Alpha, p.Beta)
	if value {
		p.Value = mean * c.value.expect(k)
	}
	return p
}

// interval returns the 2.5% and 97.5% quantiles of Beta(a, b). From a million trials on, where gonum's inversion is not
// relied on, they are those of Gamma(a)/(b + (a−1)/2) for few successes, and otherwise those of the log-odds, normal but
// for their mean ln(a/b) + (1/b − 1/a)/2 and third cumulant 1/b² − 1/a² (digamma series; one Cornish-Fisher term).
func interval(a, b float64) (low, high float64) {
	const tail, z = 0.025, 1.959963984540054 // Φ(−z) = tail
	switch {
	case a > b:
		high, low = interval(b, a)
		return 1 - low, 1 - high
	case a+b < 1e6:
		d := distuv.Beta{Alpha: a, Beta: b}
		low, high = d.Quantile(tail), d.Quantile(1-tail)
	case a < 1000:
		d := distuv.Gamma{Alpha: a, Beta: b + (a-1)/2}
		low, high = d.Quantile(tail), d.Quantile(1-tail)
	default:
		sd := math.Sqrt((a + b) / a / b)
		centre := math.Log(a) - math.Log(b) + (1/b-1/a)*(0.5+(z*z-1)/6)
		low, high = logistic(centre-z*sd), logistic(centre+z*sd)
	}
	return low, high
}

// DensityPoints returns n points (at least 2) of the posterior's Beta density, evenly spaced over the rates where the
// density of the log-odds lies within e^-8 of its peak. y is per unit of rate, finite also where the density is not (a shape below 1).
func DensityPoints(p Posterior, n int) (x, y []float64) {
	n = max(n, 2)
	a, b := max(p.Alpha, MinShape), max(p.Beta, MinShape)
	var c curve
	c.setBeta(0, a, b)
	lo, hi := logistic(c.centre-reach(b, a, 8)), logistic(c.centre+reach(a, b, 8))
	if a <= 1 || lo < 1e-3*hi {
		lo = 0
	}
	if b <= 1 || 1-hi < 1e-3*(1-lo) {
		hi = 1
	}
	x, y = make([]float64, n), make([]float64, n)
	edge := (hi - lo) / float64(4*n) // an infinite end is drawn at its height a quarter of a step inside
	for i := range x {
		x[i] = lo + (hi-lo)*float64(i)/float64(n-1)
		at := x[i]
		if a < 1 {
			at = max(at, edge)
		}
		if b < 1 {
			at = min(at, 1-edge)
		}
		y[i] = c.rateDensity(at)
	}
	return x, y
}

// rateDensity returns the density of the rate, which is that of the log-odds over p·(1−p).
func (c *curve) rateDensity(p float64) float64 {
	if p <= 0 || p >= 1 {
		switch {
		case p <= 0 && c.a == 1:
			return c.b
		case p >= 1 && c.b == 1:
			return c.a
		}
		return 0
	}
	t := math.Log(p/(1-p)) - c.centre
	drop := 0.0
	if t >= 0 {
		drop = fall(c.a, c.b, t)
	} else {
		drop = fall(c.b, c.a, -t)
	}
	return math.Exp(c.top-drop) / (p * (1 - p))
}

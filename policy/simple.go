package policy

import (
	"math"
	"slices"

	"github.com/juncture/juncture"
)

// Policies beside the ladder, for comparison and for those who want them: the same seam, the same tests.

// Global is the policy "global": one Thompson bandit for the whole store, whoever the shopper is, on Beta(1, 19) for each
// arm (a rate of 5%, worth 20 trials). A money goal is chosen by rate × value.
type Global struct{}

// Name returns "global".
func (Global) Name() string { return "global" }

// Weights is the Thompson probabilities on the store's rung.
func (Global) Weights(s *Situation, w []float64) error { return alone(s, w, 0) }

// Flat is the policy "flat": a Thompson bandit at every intersection by itself, on Beta(1, 19) for each arm.
type Flat struct{}

// Name returns "flat".
func (Flat) Name() string { return "flat" }

// Weights is the Thompson probabilities on the last rung.
func (Flat) Weights(s *Situation, w []float64) error { return alone(s, w, len(s.Rungs)-1) }

// alone weighs arms by one rung's counts, each arm by itself.
func alone(s *Situation, w []float64, rung int) error {
	if err := s.checkWeights(w); err != nil {
		return err
	}
	k := len(s.Arms)
	c := &chain{k: k, rungs: 1, v: make([]float64, k), post: make([]Beta, k),
		value: valueModel{orders: make([]float64, k), sum: make([]float64, k), sumSq: make([]float64, k)}}
	for i := range s.Arms {
		n := &s.Rungs[rung].Counts[i]
		c.post[i] = n.flat()
		c.v[i] = 1/c.post[i].Alpha + 1/c.post[i].Beta // variance of the log-odds, delta method
		c.value.add(n, i)
	}
	c.value.pool(nil, 0)
	var best Best
	if err := c.compare(s.Value, &best); err != nil {
		return err
	}
	copy(w, best.P)
	return nil
}

// flat is the posterior of an arm by itself under Beta(1, 19).
func (c *Counts) flat() Beta {
	y := min(c.Successes, c.Trials)
	return Beta{1 + y, 19 + c.Trials - y}
}

// Greedy is the policy "epsilon-greedy": the arm with the largest posterior mean at the store gets 1 − Epsilon, and
// Epsilon is spread evenly over all. Equal means share.
type Greedy struct {
	Epsilon float64 // 0 to 1
}

// Name returns "epsilon-greedy".
func (Greedy) Name() string { return "epsilon-greedy" }

// Weights gives the best mean the most.
func (g Greedy) Weights(s *Situation, w []float64) error {
	if err := s.checkWeights(w); err != nil {
		return err
	}
	k := len(s.Arms)
	value := valueModel{orders: make([]float64, k), sum: make([]float64, k), sumSq: make([]float64, k)}
	for i := range s.Arms {
		value.add(&s.Rungs[0].Counts[i], i)
	}
	value.pool(nil, 0)
	for i := range s.Arms {
		w[i] = math.Log(s.Rungs[0].Counts[i].flat().Mean())
		if s.Value {
			w[i] += value.effect(i)
		}
	}
	top, ties := slices.Max(w), 0.0
	for _, v := range w {
		if v == top {
			ties++
		}
	}
	for i, v := range w {
		w[i] = g.Epsilon / float64(k)
		if v == top {
			w[i] += (1 - g.Epsilon) / ties
		}
	}
	return nil
}

// Fixed is the policy "fixed": a split that evidence does not move. Arms that are not eligible leave theirs to the others
// in proportion; where none of the eligible has a share they get the same.
type Fixed struct {
	Share map[juncture.ArmID]float64 // >= 0, finite; an arm that is not in it has 0
}

// Name returns "fixed".
func (Fixed) Name() string { return "fixed" }

// Weights is the shares of the eligible arms, scaled to 1.
func (f Fixed) Weights(s *Situation, w []float64) error {
	if err := s.checkWeights(w); err != nil {
		return err
	}
	sum := 0.0
	for i, a := range s.Arms {
		v := f.Share[a.ID]
		if !(v >= 0 && v <= math.MaxFloat64/float64(len(w))) {
			return juncture.Errorf(juncture.CodeInternal, "arm %d has a share of %g", a.ID, v)
		}
		w[i] = v
		sum += v
	}
	for i := range w {
		if sum > 0 {
			w[i] /= sum
		} else {
			w[i] = 1 / float64(len(w))
		}
	}
	return nil
}

func (s *Situation) checkWeights(w []float64) error {
	if err := s.check(); err != nil {
		return err
	}
	if len(w) != len(s.Arms) {
		return juncture.Errorf(juncture.CodeInternal, "%d weights for %d arms", len(w), len(s.Arms))
	}
	return nil
}

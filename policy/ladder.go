package policy

import (
	"math"

	"github.com/juncture/juncture"
)

// Prior widths: standard deviations on the log-odds of what a rung adds (statistics B.2).
const (
	storeRate   = 0.05 // prior mean of the store's base rate: the real rates measured there were 2% to 6%
	storeTrials = 2.0  // what that is worth, in trials: a store's own first dozen outweigh it

	baseMoment = 0.4 // base axis
	baseLayer  = 0.3 // base cluster, trajectory; taken for the catalogue too

	actionStore   = 0.2  // action
	copyStore     = 0.1  // copy
	armMoment     = 0.2  // action × layer
	armMeaning    = 0.15 // action × cluster
	armTrajectory = 0.15
	armCatalogue  = 0.1 // action × axis
)

// Pseudo-trials of a prior stay within these (statistics B.6).
const (
	minPrior = 1
	maxPrior = 1e5
)

// Rates stay this far from 0 and 1, where log-odds end.
const rateEdge = 1e-9

func armWidth(layer int, store float64) float64 {
	switch layer {
	case -1:
		return store
	case int(juncture.Moment):
		return armMoment
	case int(juncture.Meaning):
		return armMeaning
	case int(juncture.Trajectory):
		return armTrajectory
	}
	return armCatalogue
}

func baseWidth(layer int) float64 {
	if layer == int(juncture.Moment) {
		return baseMoment
	}
	return baseLayer
}

func logit(p float64) float64 { return math.Log(p / (1 - p)) }

func logistic(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func inner(p float64) float64 { return min(max(p, rateEdge), 1-rateEdge) }

// pseudo returns the trials that a prior with this mean and variance on the log-odds is worth (delta method).
func pseudo(mean, variance float64) float64 {
	return min(max(1/(mean*(1-mean)*variance), minPrior), maxPrior)
}

// chain is the ladder of one set of competitors: the actions, or the copies of one action. Every trial counts once, at
// the narrowest rung that has it, and every rung's posterior is the prior of the next:
//
//	base b_t    what the arms' departures from the broader rung have in common; variance from baseWidth
//	arm rate    Beta around logistic(logit b_t + e_{t−1,k}), variance on the log-odds armWidth² + v_{t−1,k}
//	e_{t,k}     logit(posterior mean) − logit b_t;  v_{t,k} = 1/(n·m·(1−m)), delta method
type chain struct {
	k, rungs int
	n, s     []float64 // own trials and successes, at [rung*k + competitor]
	rate     []float64 // posterior mean, at [rung*k + competitor]
	effect   []float64 // e of the last rung climbed
	v        []float64 // variance of e
	post     []Beta    // at the last rung
	prior    []float64 // what the broader rungs are worth in post, in trials
	spread   []float64 // variance on the log-odds of the last rung's prior, that of the base included
	value    valueModel
}

func newChain(k, rungs int) *chain {
	slab := make([]float64, 3*rungs*k+7*k)
	cut := func(n int) []float64 { out := slab[:n:n]; slab = slab[n:]; return out }
	c := &chain{k: k, rungs: rungs, n: cut(rungs * k), s: cut(rungs * k), rate: cut(rungs * k), effect: cut(k), v: cut(k),
		prior: cut(k), spread: cut(k), post: make([]Beta, k)}
	c.value = valueModel{orders: cut(k), sum: cut(k), sumSq: cut(k)}
	return c
}

// reset makes the chain one of k competitors without evidence, k at most what it was made for.
func (c *chain) reset(k int) {
	c.k = k
	clear(c.n)
	clear(c.s)
	c.effect, c.v, c.prior, c.spread, c.post = c.effect[:k], c.v[:k], c.prior[:k], c.spread[:k], c.post[:k]
	c.value.reset(k)
}

// add counts an arm's evidence for competitor j.
func (c *chain) add(s *Situation, arm, j int) {
	for t := range c.rungs {
		own := s.Rungs[t].Counts[arm]
		n, y := own.Trials, own.Successes
		if t+1 < c.rungs {
			n -= s.Rungs[t+1].Counts[arm].Trials
			y -= s.Rungs[t+1].Counts[arm].Successes
		}
		n, y = max(n, 0), max(y, 0)
		c.n[t*c.k+j] += n
		c.s[t*c.k+j] += min(y, n)
	}
	c.value.add(&s.Rungs[0].Counts[arm], j)
}

// climb fills rate, post, prior and spread. Copies climb along their action, whose rates are their base; actions (of
// nil) pool their own.
func (c *chain) climb(s *Situation, action *chain, which int) {
	store := copyStore
	if action == nil {
		store = actionStore
	}
	base, baseVar := storeRate, 1/(storeTrials*storeRate*(1-storeRate))
	for t := range c.rungs {
		n, y := c.n[t*c.k:(t+1)*c.k], c.s[t*c.k:(t+1)*c.k]
		above := baseVar // variance of the base before this rung's own evidence
		if action != nil {
			base = action.rate[t*action.k+which]
			above = action.spread[which]
		} else {
			if t > 0 {
				above += baseWidth(s.Rungs[t].Layer) * baseWidth(s.Rungs[t].Layer)
			}
			base, baseVar = c.base(t, n, y, base, above, armWidth(s.Rungs[t].Layer, store))
		}
		lb := logit(base)
		width := armWidth(s.Rungs[t].Layer, store)
		for k := range c.k {
			mean, variance := base, width*width
			if t > 0 {
				mean, variance = inner(logistic(lb+c.effect[k])), variance+c.v[k]
			}
			n0 := pseudo(mean, variance)
			rate := inner((mean*n0 + y[k]) / (n0 + n[k]))
			c.rate[t*c.k+k] = rate
			c.effect[k] = logit(rate) - lb
			c.v[k] = 1 / ((n0 + n[k]) * rate * (1 - rate))
			if t == c.rungs-1 {
				c.prior[k], c.spread[k] = n0, variance+above
				c.post[k] = Beta{max(MinShape, rate*(n0+n[k])), max(MinShape, (1-rate)*(n0+n[k]))}
			}
		}
	}
}

// base returns the base rate of rung t and its variance on the log-odds: the random-effects mean of what each arm says
// of it (DerSimonian and Laird, Controlled Clinical Trials 7, 1986, section 3, with the effects' variance known). An arm
// says its departure, on the log-odds, from what the broader rung foresaw, one Newton step of the binomial likelihood;
// its own effect here (width) limits its say however often it is shown, so that the arm that is shown most cannot pass
// its own success off as everybody's.
func (c *chain) base(t int, n, y []float64, before, variance, width float64) (rate, v float64) {
	const steady = 2 // successes at the foreseen rate, in whose company the step starts: keeps the log-odds finite
	precision, sum := 1/variance, 0.0
	for k := range n {
		if n[k] == 0 {
			continue
		}
		foreseen, effect := before, width*width
		if t > 0 {
			foreseen, effect = c.rate[(t-1)*c.k+k], effect+c.v[k]
		}
		p := inner((steady + y[k]) / (steady/foreseen + n[k]))
		information := n[k] * p * (1 - p)
		departure := logit(p) - logit(foreseen) + (y[k]-n[k]*p)/information
		weight := 1 / (effect + 1/information)
		precision += weight
		sum += weight * departure
	}
	return inner(logistic(logit(before) + sum/precision)), 1 / precision
}

// Ladder is the policy "ladder": Thompson sampling at every intersection, on posteriors that back off along the rungs
// from the intersection to the store. The draw is integrated: the weight of an arm is P(its action is best), counts
// summed over the action's copies, times P(it is the best copy), so that traffic does not follow the number of copies.
type Ladder struct{}

// Name returns "ladder".
func (Ladder) Name() string { return "ladder" }

// Weights fills w with the Thompson probabilities. Impossible counts are CodeInternal, w then undefined.
func (Ladder) Weights(s *Situation, w []float64) error {
	if err := s.check(); err != nil {
		return err
	}
	if len(w) != len(s.Arms) {
		return juncture.Errorf(juncture.CodeInternal, "%d weights for %d arms", len(w), len(s.Arms))
	}
	if len(w) == 1 {
		w[0] = 1
		return nil
	}
	f := gather(s.Arms)
	var best Best
	actions, err := f.actions(s, &best)
	if err != nil {
		return err
	}
	for i, g := range f.action {
		w[i] = best.P[g]
	}
	err = f.copies(s, actions, &best, func(_, arm, j int, _ *chain) { w[arm] *= best.P[j] })
	if err != nil {
		return err
	}
	sum := 0.0
	for _, v := range w {
		sum += v
	}
	for i := range w {
		w[i] /= sum
	}
	return nil
}

// actions climbs the ladder of the actions and compares them in best.
func (f *field) actions(s *Situation, best *Best) (*chain, error) {
	c := newChain(len(f.first), len(s.Rungs))
	for arm, g := range f.action {
		c.add(s, arm, g)
	}
	c.climb(s, nil, 0)
	c.value.pool(nil, 0)
	return c, c.compare(s.Value, best)
}

// copies climbs the ladder of each action that has several copies, compares them in best, and calls each with the
// action, the arm and the arm's place in the chain.
func (f *field) copies(s *Situation, actions *chain, best *Best, each func(action, arm, j int, c *chain)) error {
	most := 0
	for _, n := range f.size {
		most = max(most, n)
	}
	if most < 2 {
		return nil
	}
	c := newChain(most, len(s.Rungs))
	for g, n := range f.size {
		if n < 2 {
			continue
		}
		c.reset(n)
		j := 0
		for arm := f.first[g]; j < n; arm++ {
			if f.action[arm] == g {
				c.add(s, arm, j)
				j++
			}
		}
		c.climb(s, actions, g)
		c.value.pool(&actions.value, g)
		if err := c.compare(s.Value, best); err != nil {
			return err
		}
		j = 0
		for arm := f.first[g]; j < n; arm++ {
			if f.action[arm] == g {
				each(g, arm, j, c)
				j++
			}
		}
	}
	return nil
}

// compare says in best which competitor is best, by rate or by rate × value.
func (c *chain) compare(value bool, best *Best) error {
	if !value {
		return best.Betas(c.post)
	}
	return best.Normals(c.scores())
}

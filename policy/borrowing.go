package policy

import "github.com/juncture/juncture"

// Borrowing fills own with the trials at the last rung of each arm's action, and borrowed with the pseudo-trials that
// the action's prior from the broader rungs is worth, the base rate's uncertainty included (statistics B.6): what Read calls Own and Borrowed. Both are parallel to s.Arms.
func Borrowing(s *Situation, own, borrowed []float64) error {
	if err := s.check(); err != nil {
		return err
	}
	if len(own) != len(s.Arms) || len(borrowed) != len(s.Arms) {
		return juncture.Errorf(juncture.CodeInternal, "%d and %d places for %d arms", len(own), len(borrowed), len(s.Arms))
	}
	f := gather(s.Arms)
	c := newChain(len(f.first), len(s.Rungs))
	for arm, g := range f.action {
		c.add(s, arm, g)
	}
	c.climb(s, nil, 0)
	for arm, g := range f.action {
		last := (c.rungs-1)*c.k + g
		own[arm], borrowed[arm] = c.n[last], pseudo(c.rate[last], c.spread[g])
	}
	return nil
}

package engine

import "github.com/juncture/juncture"

// keptNames bounds the names of terms and fits that are known to be in the ledger; forgetting one costs a statement that
// changes nothing.
const keptNames = 4096

// terms are an experiment's, with their name.
type terms struct {
	juncture.DrawTerms
	hash string
}

// termsOf are what an experiment decides by, beside evidence.
func (e *Engine) termsOf(s *state, x *juncture.Experiment) *terms {
	t := &terms{DrawTerms: juncture.DrawTerms{Experiment: *x, Outcomes: outcomesOf(s, x), Shares: sharesOf(s, x)}}
	for _, h := range s.pool.Declaration.Holdouts {
		if h.Covers(*x) {
			t.Holdouts = append(t.Holdouts, h)
		}
	}
	if at := s.pool.Surfaces[x.Surface]; at != nil && at.Default != nil {
		t.Default, t.From, t.Until = at.Default.ID, at.Default.Terms.Starts, at.Default.Terms.Expires
	}
	if juncture.Pooled(x.Policy) {
		for _, a := range e.cast(s, x) {
			t.Cast = append(t.Cast, a.ID)
		}
	}
	t.hash = t.Hash()
	return t
}

// behind adds to the decision's write what it was made by, unless the ledger is known to hold it.
func (c *call) behind(v *vector) {
	d := &c.write.Decision
	if c.terms != nil && !c.e.kept.Contains(d.Terms) {
		c.write.Terms = &c.terms.DrawTerms
	}
	if v != nil && v.fit != nil && d.Version != "" && !c.e.kept.Contains(d.Version) {
		c.write.Fit = v.fit
	}
}

// keep notes that what a decision was made by is in the ledger.
func (e *Engine) keep(w *juncture.DecisionWrite) {
	if w.Terms != nil {
		e.kept.Add(w.Decision.Terms, struct{}{})
	}
	if w.Fit != nil {
		e.kept.Add(w.Decision.Version, struct{}{})
	}
}

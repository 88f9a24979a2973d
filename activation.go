package juncture

import "time"

// Activate decides what an activation does to a decision: the deltas that it adds and the outcomes whose status it
// changes (held ones are recorded or late from now on). rows are all outcomes of the decision, earlier its activation
// or nil. done is true when nothing changes: it was a trial already.
//
// The error is CodeDecisionConflict: it was activated with another arm.
func Activate(c Claims, earlier *Activation, act Activation, types []OutcomeType, currency string, rows []Outcome) (deltas []Delta, changed []Outcome, done bool, err error) {
	says := act.Served || c.Group == GroupShadow && act.Probability > 0 // what was shown, or how likely that was
	if c.Ignored || (!c.Deferred && !says) {
		return nil, nil, true, nil
	}
	if earlier != nil {
		if act.Served && (!earlier.Served || earlier.Arm != act.Arm) {
			return nil, nil, false, Errorf(CodeDecisionConflict, "the decision was activated with another arm").
				WithHint("the first activation stands")
		}
		return nil, nil, true, nil
	}
	before := Settlement{Claims: c, Currency: currency}
	after := Settlement{Claims: c, Currency: currency, Activation: &act}
	if before.Active() {
		deltas = append(deltas, before.Trial(-1))
	}
	deltas = append(deltas, after.Trial(1))
	for _, t := range types {
		before.Type, after.Type = t, t
		var old, now []Outcome
		for _, r := range rows {
			if r.Event != t.Name {
				continue
			}
			old = append(old, r)
			if r.Status == StatusHeld {
				r.Status = StatusRecorded
				if timing(rows, r).After(after.Until()) {
					r.Status = StatusLate
				}
				changed = append(changed, r)
			}
			now = append(now, r)
		}
		deltas = append(deltas, difference(before.Learnt(old), after.Learnt(now))...)
	}
	return deltas, changed, false, nil
}

// timing is when an outcome happened, for an adjustment when the outcome did that it adjusts.
func timing(rows []Outcome, o Outcome) time.Time {
	if !o.Adjust {
		return o.At
	}
	for _, r := range rows {
		if !r.Adjust && r.Event == o.Event && r.ID == o.Adjusts {
			return r.At
		}
	}
	return o.At
}

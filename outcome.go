package juncture

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Status of an outcome.
type Status string

// The statuses. Only recorded outcomes are learnt from.
const (
	StatusRecorded  Status = "recorded"
	StatusDuplicate Status = "duplicate" // seen before, with the same value: nothing changed
	StatusLate      Status = "late"      // after the window: reported, not learnt
	StatusHeld      Status = "held"      // its decision is not activated yet
	StatusIgnored   Status = "ignored"   // preview, bot, denied consent, or nothing to credit
	StatusCredited  Status = "credited"  // in answers: it has a share of an outcome that another decision of the experiment holds
)

// Outcome is what came back for one decision, as the ledger keeps it. It is unique by (Serial, Event, ID).
type Outcome struct {
	Serial   uint64
	Event    string // the registered outcome's name
	ID       string // the caller's outcomeId; empty is an id like any other
	Adjusts  string // with IsAdjustment: the ID of the outcome that it changes
	Adjust   bool   // an adjustment: Minor is the change
	Value    float64
	Minor    int64 // Value in minor units of money, or 0/1
	Currency string
	At       time.Time // when it happened: occurredAt where that is believed, else its arrival
	Received time.Time
	Status   Status
	Credits  []Credit // the touches that share it, newest first, the one that holds it among them; nil: it is one decision's alone
}

// Credit is a decision's share of an outcome that came for its shopper.
type Credit struct {
	Serial uint64
	Share  float64 // in [0, 1]; those of an experiment sum to 1
}

// ShareOf is what of the outcome is a decision's.
func (o Outcome) ShareOf(serial uint64) float64 {
	for _, c := range o.Credits {
		if c.Serial == serial {
			return c.Share
		}
	}
	if len(o.Credits) == 0 && o.Serial == serial {
		return 1
	}
	return 0
}

// Tally is the additive statistics of an arm at an intersection: the fold of the ledger. All are integers, so that
// order never matters and a refund undoes exactly.
type Tally struct {
	Trials     int64 // decisions that count
	Outcomes   int64 // recorded and late outcomes, less whole refunds
	Successes  int64 // trials whose aggregate is above zero
	Value      int64 // sum of the aggregates that are learnt, in minor units
	LogValue   int64 // sum of ln(aggregate in major units), in 1e-4
	LogValueSq int64 // sum of its square, in 1e-8
}

// Plus adds two tallies.
func (t Tally) Plus(o Tally) Tally {
	return Tally{t.Trials + o.Trials, t.Outcomes + o.Outcomes, t.Successes + o.Successes, t.Value + o.Value,
		t.LogValue + o.LogValue, t.LogValueSq + o.LogValueSq}
}

// Minus takes o away again.
func (t Tally) Minus(o Tally) Tally {
	return Tally{t.Trials - o.Trials, t.Outcomes - o.Outcomes, t.Successes - o.Successes, t.Value - o.Value,
		t.LogValue - o.LogValue, t.LogValueSq - o.LogValueSq}
}

// TallyKey names a tally. The tally of the empty Event holds the trials, one per outcome name the rest. A tally of
// delays, where Delay is not 0, counts in Trials the successes of teaching groups that came so late: it belongs to no
// intersection, arm or group.
type TallyKey struct {
	Experiment   string
	Intersection Intersection
	Arm          ArmID
	Group        Group
	Event        string
	Bucket       Bucket // of the trial (statistics A.2)
	Delay        uint8  // 1 + DelayClass
}

// Delta is what one entry of the ledger adds to one tally.
type Delta struct {
	TallyKey
	Tally
}

// Trial returns the delta of the decision's trial; n is 1, or -1 to take it away.
func (s Settlement) Trial(n int64) Delta {
	return Delta{TallyKey: s.tallyKey(""), Tally: Tally{Trials: n}}
}

func (s Settlement) tallyKey(event string) TallyKey {
	c := &s.Claims
	return TallyKey{Experiment: c.Experiment, Intersection: c.Intersection, Arm: s.Arm(), Group: s.Group(), Event: event, Bucket: Calendar{}.At(s.TrialAt())}
}

// Group is the one that the trial is tallied under: the decision's, but GroupServed in shadow once the shop has told how
// likely what it showed was.
func (s Settlement) Group() Group {
	if s.Claims.Group == GroupShadow && s.Activation != nil && s.Activation.Probability > 0 {
		return GroupServed
	}
	return s.Claims.Group
}

// TrialAt is when the decision became a trial: its choice, or its activation.
func (s Settlement) TrialAt() time.Time {
	if s.Claims.Deferred && s.Activation != nil {
		return s.Activation.At
	}
	return s.Claims.At
}

// Learnt is all that outcomes of one event add to tallies as they stand: their aggregate, how many came late, and the delay
// of the success.
func (s Settlement) Learnt(rows []Outcome) []Delta {
	out := []Delta{{TallyKey: s.tallyKey(s.Type.Name), Tally: s.Type.Aggregate(rows, s.Currency)}}
	if late := lateOf(rows); late > 0 {
		out = append(out, Delta{TallyKey: s.tallyKey(tallyLate + s.Type.Name), Tally: Tally{Successes: late}})
	}
	if at, ok := s.Type.succeeded(rows); ok && out[0].Successes > 0 && s.Group().Teaches() && !s.Claims.Defaulted() {
		out = append(out, Delta{TallyKey: TallyKey{Experiment: s.Claims.Experiment, Intersection: Intersection{}.Ceiling(TierStore), Event: s.Type.Name, Bucket: out[0].Bucket,
			Delay: uint8(1 + DelayClass(at.Sub(s.TrialAt())))}, Tally: Tally{Trials: 1}})
	}
	return out
}

// difference is what turns some deltas into others.
func difference(before, after []Delta) []Delta {
	out := slices.Clone(after)
	for _, b := range before {
		if i := slices.IndexFunc(out, func(d Delta) bool { return d.TallyKey == b.TallyKey }); i >= 0 {
			out[i].Tally = out[i].Minus(b.Tally)
		} else {
			out = append(out, Delta{TallyKey: b.TallyKey, Tally: Tally{}.Minus(b.Tally)})
		}
	}
	return slices.DeleteFunc(out, func(d Delta) bool { return d.Tally == Tally{} })
}

// Minor converts a value to the outcome's integer units: minor units of the currency for money, 0 or 1 for binary.
// Halves round away from zero.
func (o OutcomeType) Minor(value float64, currency string) int64 {
	if o.Type == OutcomeMoney {
		value *= math.Pow10(MinorDigits(currency))
	}
	return int64(math.Round(value))
}

// Aggregate folds all outcomes of one name on one decision into what they contribute to its tally. It depends only on
// the set of rows, never on their order of arrival.
//
// An outcome's net is its value plus its adjustments; one whose adjustments take it to zero is void, as if it had not
// been (a whole refund takes the success back). The recorded ones that are left make one aggregate by o.Counting, at
// most o.Cap; a success is an aggregate above zero (statistics A.2, D).
func (o OutcomeType) Aggregate(rows []Outcome, currency string) Tally {
	nets := standing(rows)
	t := Tally{Outcomes: int64(len(nets))}
	nets = slices.DeleteFunc(nets, func(n net) bool { return n.Status != StatusRecorded })
	if len(nets) == 0 {
		return t
	}
	slices.SortFunc(nets, func(a, b net) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) })
	var sum int64
	switch o.Counting() {
	case CountFirst:
		sum = nets[0].sum
	case CountLast:
		sum = nets[len(nets)-1].sum
	default:
		for _, n := range nets {
			sum += n.sum
		}
	}
	if o.Cap > 0 {
		sum = min(sum, o.Minor(o.Cap, currency))
	}
	if sum > 0 {
		t.Successes = 1
		t.Value = sum
		if o.Type == OutcomeMoney {
			l := math.Log(float64(sum) / math.Pow10(MinorDigits(currency)))
			t.LogValue = int64(math.Round(l * 1e4))
			t.LogValueSq = int64(math.Round(l * l * 1e8))
		}
	}
	return t
}

// net is an outcome with what its adjustments left of it, in minor units.
type net struct {
	Outcome
	sum int64
}

// standing returns the recorded and late outcomes that are not void, with what is left of each.
func standing(rows []Outcome) []net {
	nets := make([]net, 0, len(rows))
	for _, r := range rows {
		if !r.Adjust && (r.Status == StatusRecorded || r.Status == StatusLate) {
			nets = append(nets, net{r, r.Minor})
		}
	}
	var adjusted []string
	for _, r := range rows {
		if r.Adjust {
			adjusted = append(adjusted, r.Adjusts)
			for i := range nets {
				if nets[i].ID == r.Adjusts {
					nets[i].sum += r.Minor
				}
			}
		}
	}
	return slices.DeleteFunc(nets, func(n net) bool { return n.sum == 0 && slices.Contains(adjusted, n.ID) })
}

// lateOf counts the outcomes that stand and came after their window.
func lateOf(rows []Outcome) (n int64) {
	for _, o := range standing(rows) {
		if o.Status == StatusLate {
			n++
		}
	}
	return n
}

// succeeded is when the first of the outcomes that stand and were in time happened; false for none.
func (o OutcomeType) succeeded(rows []Outcome) (at time.Time, ok bool) {
	for _, n := range standing(rows) {
		if n.Status == StatusRecorded && (!ok || n.At.Before(at)) {
			at, ok = n.At, true
		}
	}
	return at, ok
}

// Settlement is what the ledger already holds of a decision when something new comes for it.
type Settlement struct {
	Claims     Claims
	Activation *Activation // nil: none
	Type       OutcomeType
	Currency   string    // of the store
	Earlier    []Outcome // of the same event on this decision
}

// Active reports whether the decision is a trial.
func (s Settlement) Active() bool {
	return !s.Claims.Ignored && (!s.Claims.Deferred || s.Activation != nil)
}

// Arm is the arm that the trial belongs to: the served one where the page said so, none where the breaker had tripped.
func (s Settlement) Arm() ArmID {
	if !s.Claims.Defaulted() && s.Activation != nil && s.Activation.Served {
		return s.Activation.Arm
	}
	return s.Claims.Arm
}

// Until is the end of the window in which an outcome is learnt: it runs from the activation of a deferred decision,
// and has the outcome's own length where that is set.
func (s Settlement) Until() time.Time {
	window := s.Claims.Until.Sub(s.Claims.At)
	if s.Type.Window != 0 {
		window = time.Duration(s.Type.Window)
	}
	if s.Claims.Deferred && s.Activation != nil {
		return s.Activation.At.Add(window)
	}
	return s.Claims.At.Add(window)
}

// MaxPerDecision bounds the outcomes, adjustments included, of one event on one decision: each new one is settled against
// all of them.
const MaxPerDecision = 100

// Settle decides what becomes of a new outcome: its status, and the delta that it adds. in carries everything but its
// Status; an adjustment without Whole carries the change in Minor. The returned outcome is to be appended unless its
// status is StatusDuplicate; the first delta is that of the event's tally, also where it adds nothing.
//
// Errors: CodeOutcomeConflict (same id, other value), CodeUnprocessable (adjusts nothing known, nothing that is left, or
// below zero; too many).
func (s Settlement) Settle(in Outcome, whole bool) (Outcome, []Delta, error) {
	delta := []Delta{{TallyKey: s.tallyKey(in.Event)}}
	if in.Adjust {
		for _, r := range s.Earlier {
			if !r.Adjust && r.ID == in.Adjusts {
				in.Credits = r.Credits
			}
		}
		left, status, ok := s.remaining(in.Adjusts, in.ID)
		if !ok {
			return in, delta, Errorf(CodeUnprocessable, "no outcome %.80q to adjust", in.Adjusts).
				WithHint("adjusts names the outcomeId of an earlier outcome of the same event").WithField("adjusts")
		}
		if whole {
			in.Minor = -left
			in.Value = s.Type.major(in.Minor, s.Currency)
		}
		if dup, err := s.duplicate(in, whole); dup || err != nil {
			in.Status = StatusDuplicate
			return in, delta, err
		}
		if whole && left == 0 {
			return in, delta, Errorf(CodeUnprocessable, "nothing is left of outcome %.80q", in.Adjusts).WithField("adjusts")
		}
		if left+in.Minor < 0 {
			return in, delta, Errorf(CodeUnprocessable, "the adjustment takes outcome %.80q below zero", in.Adjusts).
				WithHint("omit value to refund all that is left").WithField("value")
		}
		in.Status = status // whether it is learnt is the adjusted outcome's timing
	} else {
		if dup, err := s.duplicate(in, false); dup || err != nil {
			in.Status = StatusDuplicate
			return in, delta, err
		}
		switch {
		case s.Claims.Ignored:
			in.Status = StatusIgnored
		case !s.Active():
			in.Status = StatusHeld
		case in.At.After(s.Until()):
			in.Status = StatusLate
		default:
			in.Status = StatusRecorded
		}
	}
	if len(s.Earlier) >= MaxPerDecision {
		return in, delta, Errorf(CodeUnprocessable, "the decision has %d outcomes of %q already", MaxPerDecision, in.Event).WithField("event")
	}
	changed := difference(s.Learnt(s.Earlier), s.Learnt(append(slices.Clone(s.Earlier), in)))
	if len(changed) > 0 && changed[0].TallyKey == delta[0].TallyKey {
		return in, changed, nil
	}
	return in, append(delta, changed...), nil
}

// remaining returns what is left of outcome id after its adjustments, other than adjustment except.
func (s Settlement) remaining(id, except string) (left int64, status Status, ok bool) {
	for _, r := range s.Earlier {
		if !r.Adjust && r.ID == id {
			left, status, ok = left+r.Minor, r.Status, true
		} else if r.Adjust && r.Adjusts == id && r.ID != except {
			left += r.Minor
		}
	}
	return left, status, ok
}

func (s Settlement) duplicate(in Outcome, whole bool) (bool, error) {
	for _, r := range s.Earlier {
		if r.ID != in.ID {
			continue
		}
		same := r.Adjust == in.Adjust && r.Adjusts == in.Adjusts && r.Currency == in.Currency && (whole || r.Minor == in.Minor)
		if !same {
			return false, Errorf(CodeOutcomeConflict, "outcome %.80q was recorded with another value", in.ID).
				WithHint("use adjusts to change an earlier outcome, or another outcomeId for a new one").WithField("outcomeId")
		}
		return true, nil
	}
	return false, nil
}

func (o OutcomeType) major(minor int64, currency string) float64 {
	if o.Type == OutcomeMoney {
		return float64(minor) / math.Pow10(MinorDigits(currency))
	}
	return float64(minor)
}

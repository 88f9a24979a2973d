package juncture

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Enrolment is a shopper's place in an experiment, given at the first decision in which something was eligible: the unit
// of every lift (statistics E.1). The group is kept, not hashed again: identities merge and shares grow.
type Enrolment struct {
	Serial       uint64 // of the decision that enrolled
	Experiment   string // or a holdout's id
	Shopper      string // the first-seen id
	Group        Group
	Share        float64   // of the group when it was given, within those who are in
	Phase        int       // of the experiment: how often its shares had changed
	At           time.Time // of the decision
	Until        time.Time // the end of the horizon: what comes later is not the experiment's
	Intersection Intersection
	Before       int64 // what the shopper had ordered for by then, minor units: the pre-period's covariate
	Shadow       bool  // the experiment was in shadow: out of it the shopper is enrolled anew, whatever the group
}

// Tally names of enrolments: rows of a cell that count shoppers, as Successes, by the group, intersection and time of
// their enrolment. No outcome can be called so.
const (
	tallyEnrolled = "~enrolled/"
	tallyMerged   = "~merged/"   // of those, that proved to be somebody enrolled earlier: they are no unit
	tallyCrossed  = "~crossed/"  // of those, that had been given another group
	tallyExcluded = "~excluded/" // of those enrolled, that proved to be no shopper: they are no unit
	tallyRemoved  = "~removed"   // trials taken out again with their shopper, by arm
	tallyLate     = "~late/"     // outcomes that came after their window, by arm and event
)

// Enrolled is the delta of n shoppers enrolled: 1, or -1 to take one away.
func (e Enrolment) Enrolled(n int64) Delta { return e.counted(tallyEnrolled, n) }

// Merged are the deltas of a shopper who proved to be one enrolled earlier, crossed in another group.
func (e Enrolment) Merged(crossed bool) []Delta {
	out := []Delta{e.Enrolled(-1), e.counted(tallyMerged, 1)}
	if crossed {
		out = append(out, e.counted(tallyCrossed, 1))
	}
	return out
}

func (e Enrolment) counted(what string, n int64) Delta {
	return Delta{TallyKey: TallyKey{Experiment: e.Experiment, Intersection: e.Intersection, Group: e.Group,
		Event: what + strconv.Itoa(e.Phase), Bucket: Calendar{}.At(e.At)}, Tally: Tally{Successes: n}}
}

// Excluded are the deltas of an enrolled shopper who proved to be none.
func (e Enrolment) Excluded() []Delta { return []Delta{e.Enrolled(-1), e.counted(tallyExcluded, 1)} }

// Removed counts the decision's trial among those that were taken out with their shopper.
func (s Settlement) Removed() Delta {
	return Delta{TallyKey: s.tallyKey(tallyRemoved), Tally: Tally{Successes: 1}}
}

// Late reads a row of a cell that counts outcomes of an event that came after their window; false for another row.
func (r CellRow) Late() (event string, n int64, ok bool) {
	event, ok = strings.CutPrefix(r.Event, tallyLate)
	return event, r.Successes, ok
}

// Removed reads a row of a cell that counts trials taken out with their shopper; false for another row.
func (r CellRow) Removed() (int64, bool) { return r.Successes, r.Event == tallyRemoved }

// EnrolmentCount is what a row of a cell says of enrolments.
type EnrolmentCount struct {
	Phase                               int
	Enrolled, Merged, Crossed, Excluded int64
}

// Enrolments reads a row of a cell that counts shoppers; false for another row.
func (r CellRow) Enrolments() (EnrolmentCount, bool) {
	var c EnrolmentCount
	for _, kind := range []struct {
		prefix string
		into   *int64
	}{{tallyEnrolled, &c.Enrolled}, {tallyMerged, &c.Merged}, {tallyCrossed, &c.Crossed}, {tallyExcluded, &c.Excluded}} {
		if rest, ok := strings.CutPrefix(r.Event, kind.prefix); ok {
			phase, err := strconv.Atoi(rest)
			c.Phase, *kind.into = phase, r.Successes
			return c, err == nil
		}
	}
	return c, false
}

// Unit is what an enrolled shopper did within the horizon, whatever it was credited to (statistics E.2).
type Unit struct {
	Exposures int64       // trials of the experiment
	Before    int64       // Enrolment.Before
	Events    []UnitEvent // in order of name; only those that came
}

// UnitEvent is one outcome of a unit: how often it came and what it was worth, net of refunds.
type UnitEvent struct {
	Event string
	Count int64 // outcomes above zero
	Value int64 // their sum, minor units of money, else as Count
}

// UnitOf folds outcomes of one shopper: those that happened within the enrolment's horizon, with their adjustments, as far
// as they were received by a time. It depends only on the set of rows, never on their order.
func (e Enrolment) UnitOf(rows []Outcome, by time.Time) []UnitEvent {
	byEvent := map[string][]Outcome{}
	for _, r := range rows {
		if r.Received.After(by) || !r.Adjust && (r.At.Before(e.At) || r.At.After(e.Until)) {
			continue
		}
		r.Status = StatusRecorded // in time for the unit, whatever it was for a decision
		byEvent[r.Event] = append(byEvent[r.Event], r)
	}
	var out []UnitEvent
	for event, rows := range byEvent {
		u := UnitEvent{Event: event}
		for _, n := range standing(rows) {
			if n.sum > 0 {
				u.Count++
				u.Value += n.sum
			}
		}
		if u.Count > 0 {
			out = append(out, u)
		}
	}
	slices.SortFunc(out, func(a, b UnitEvent) int { return cmp.Compare(a.Event, b.Event) })
	return out
}

// Wide is an integer of 128 bits, high word first: sums of squares of minor units pass 64. It wraps, so that what was added
// can be taken away.
type Wide [2]uint64

// Plus adds.
func (w Wide) Plus(o Wide) Wide {
	lo, carry := bits.Add64(w[1], o[1], 0)
	hi, _ := bits.Add64(w[0], o[0], carry)
	return Wide{hi, lo}
}

// Minus takes away.
func (w Wide) Minus(o Wide) Wide {
	lo, borrow := bits.Sub64(w[1], o[1], 0)
	hi, _ := bits.Sub64(w[0], o[0], borrow)
	return Wide{hi, lo}
}

// Float is the nearest float64 or one next to it; sums here are never below 0.
func (w Wide) Float() float64 { return float64(w[0])*0x1p64 + float64(w[1]) }

// product of two numbers that are not negative.
func product(a, b int64) Wide {
	hi, lo := bits.Mul64(uint64(max(a, 0)), uint64(max(b, 0)))
	return Wide{hi, lo}
}

// UnitSums are sums over the shoppers whose horizon has closed: all that means, variances, ratios and adjustments for the
// pre-period need. Integers: order never matters, and what was added can be taken away.
type UnitSums struct {
	Units       int64       `json:"units"`
	Exposures   int64       `json:"exposures"`
	ExposuresSq int64       `json:"exposuresSq"`
	Before      int64       `json:"before"`
	BeforeSq    Wide        `json:"beforeSq"`
	Events      []EventSums `json:"events,omitempty"`   // in order of name, as known when the horizon closed
	Restated    []EventSums `json:"restated,omitempty"` // as known now: with later refunds and late news
}

// EventSums are the sums of one outcome.
type EventSums struct {
	Event          string `json:"event"`
	Any            int64  `json:"any"` // shoppers with one at least
	AnyBefore      int64  `json:"anyBefore"`
	Count          int64  `json:"count"`
	CountSq        int64  `json:"countSq"`
	CountExposures int64  `json:"countExposures"`
	Value          int64  `json:"value"`
	ValueSq        Wide   `json:"valueSq"`
	ValueBefore    Wide   `json:"valueBefore"`
}

// SumsOf is the sums of one unit.
func SumsOf(u Unit) UnitSums {
	s := UnitSums{Units: 1, Exposures: u.Exposures, ExposuresSq: u.Exposures * u.Exposures, Before: u.Before, BeforeSq: product(u.Before, u.Before),
		Events: eventSums(u)}
	s.Restated = slices.Clone(s.Events)
	return s
}

func eventSums(u Unit) []EventSums {
	var out []EventSums
	for _, e := range u.Events {
		out = append(out, EventSums{Event: e.Event, Any: 1, AnyBefore: u.Before, Count: e.Count, CountSq: e.Count * e.Count,
			CountExposures: e.Count * u.Exposures, Value: e.Value, ValueSq: product(e.Value, e.Value), ValueBefore: product(e.Value, u.Before)})
	}
	return out
}

// Restate replaces what is known now of a unit that was added before.
func (s UnitSums) Restate(before, now Unit) UnitSums {
	s.Restated = combine(combine(s.Restated, eventSums(now), 1), eventSums(before), -1)
	return s
}

// Plus adds sums.
func (s UnitSums) Plus(o UnitSums) UnitSums { return s.times(o, 1) }

// Minus takes sums away again.
func (s UnitSums) Minus(o UnitSums) UnitSums { return s.times(o, -1) }

func (s UnitSums) times(o UnitSums, n int64) UnitSums {
	s.Units += n * o.Units
	s.Exposures += n * o.Exposures
	s.ExposuresSq += n * o.ExposuresSq
	s.Before += n * o.Before
	s.BeforeSq = wide(s.BeforeSq, o.BeforeSq, n)
	s.Events, s.Restated = combine(s.Events, o.Events, n), combine(s.Restated, o.Restated, n)
	return s
}

func wide(a, b Wide, n int64) Wide {
	if n < 0 {
		return a.Minus(b)
	}
	return a.Plus(b)
}

// Event returns the sums of one outcome, zero where none came; restated as known now.
func (s UnitSums) Event(name string, restated bool) EventSums {
	list := s.Events
	if restated {
		list = s.Restated
	}
	if i := slices.IndexFunc(list, func(e EventSums) bool { return e.Event == name }); i >= 0 {
		return list[i]
	}
	return EventSums{Event: name}
}

// combine adds n times b to a; what adds up to nothing is dropped.
func combine(a, b []EventSums, n int64) []EventSums {
	out := slices.Clone(a)
	for _, e := range b {
		i, ok := slices.BinarySearchFunc(out, e, func(x, y EventSums) int { return cmp.Compare(x.Event, y.Event) })
		if !ok {
			out = slices.Insert(out, i, EventSums{Event: e.Event})
		}
		t := &out[i]
		t.Any += n * e.Any
		t.AnyBefore += n * e.AnyBefore
		t.Count += n * e.Count
		t.CountSq += n * e.CountSq
		t.CountExposures += n * e.CountExposures
		t.Value += n * e.Value
		t.ValueSq, t.ValueBefore = wide(t.ValueSq, e.ValueSq, n), wide(t.ValueBefore, e.ValueBefore, n)
		if *t == (EventSums{Event: e.Event}) {
			out = slices.Delete(out, i, i+1)
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// UnitRow is one row of the rollup of closed units: by the intersection at enrolment, or by the day of closing.
type UnitRow struct {
	Experiment   string
	Phase        int
	Group        Group
	Day          time.Time    // UTC midnight; zero: a row of an intersection
	Intersection Intersection // of rows without a day
	UnitSums
}

// RowName names a row: an intersection's key or a day.
func (r UnitRow) RowName() string {
	if r.Day.IsZero() {
		return r.Intersection.Key()
	}
	return r.Day.Format(time.DateOnly)
}

// ParseRowName is the inverse of RowName.
func (r *UnitRow) ParseRowName(s string) (err error) {
	if strings.HasPrefix(s, keyVersion+"/") {
		r.Intersection, err = ParseIntersection(s)
		return err
	}
	if r.Day, err = time.Parse(time.DateOnly, s); err != nil {
		return fmt.Errorf("rollup row %.80q is neither a key nor a day", s)
	}
	return nil
}

// Holdout is a share of shoppers kept out of all experiments, or of those with one of its tags, to measure what they are
// worth together. It stands above the groups of each.
type Holdout struct {
	ID      string   `json:"id"`
	Share   float64  `json:"share"`             // of all shoppers, in [0, 0.5]
	Tags    []string `json:"tags,omitempty"`    // of experiments; none: all of them
	Horizon Duration `json:"horizon,omitempty"` // how long after enrolment outcomes count; 0 means 28 days
}

// MaxHoldouts bounds the holdouts of a store.
const MaxHoldouts = 16

// Covers reports whether the holdout stands above an experiment.
func (h Holdout) Covers(e Experiment) bool {
	return len(h.Tags) == 0 || slices.ContainsFunc(h.Tags, func(t string) bool { return slices.Contains(e.Tags, t) })
}

// HorizonOf is how long after a shopper's enrolment their outcomes count: at least a day.
func (e Experiment) HorizonOf() time.Duration {
	return time.Duration(cmp.Or(e.Horizon, max(e.Goal.Window, Duration(24*time.Hour))))
}

// DefaultHoldoutHorizon is the horizon of a holdout that sets none.
const DefaultHoldoutHorizon = 28 * 24 * time.Hour

// HorizonOf is how long after a shopper's enrolment their outcomes count.
func (h Holdout) HorizonOf() time.Duration {
	return time.Duration(cmp.Or(h.Horizon, Duration(DefaultHoldoutHorizon)))
}

// Allotted is the share of all shoppers that a group gets: its share of those who are in.
func (e Experiment) Allotted(g Group) float64 {
	in := e.TrafficShare()
	if e.Slice != nil {
		in *= e.Slice.To - e.Slice.From
	}
	return in * e.Groups.Share(g)
}

// Exclusion takes a shopper who proved to be a bot, or staff, out of all that is learnt and reported, exactly: every trial and
// outcome of theirs, in every group, and whatever comes later. It cannot be taken back.
type Exclusion struct {
	ID     string // any of theirs
	Reason string // ExcludedBot or ExcludedStaff
	Why    string // in words
	At     time.Time

	Shopper string // result: the first-seen id
	Already bool   // result: they were excluded before; nothing changed
	Trials  int64  // result: taken out
	Units   int64  // result: enrolments taken out
}

// Reasons of an Exclusion.
const (
	ExcludedBot   = "bot"
	ExcludedStaff = "staff"
)

package pool

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/juncture/juncture"
)

// recorded is what the audit log keeps of an experiment before and after a change of its life.
type recorded struct {
	State       juncture.State `json:"state"`
	Starts      *time.Time     `json:"starts,omitempty"`
	Ends        *time.Time     `json:"ends,omitempty"`
	Default     string         `json:"default,omitempty"` // of its surface
	DefaultCopy string         `json:"defaultCopy,omitempty"`
	Tripped     *juncture.Trip `json:"tripped,omitempty"`
	Reason      string         `json:"reason,omitempty"` // of the change: after it alone
}

// PlanVerb plans what a person asks to be done to an experiment. Warnings are what they should know of it.
//
// Errors: CodeNotFound; CodeInvalidRequest, of the request; CodeUnprocessable, where ship names nothing that may be shown
// to everybody; CodeDecisionConflict, where the experiment's state, or what else runs, does not allow it.
func PlanVerb(c *juncture.Catalog, id string, verb juncture.Verb, r juncture.ExperimentChange, actor, from string, now time.Time) (_ juncture.Change, warnings []string, _ error) {
	l, err := newLife(c, id, actor, from, now)
	if err != nil {
		return juncture.Change{}, nil, err
	}
	if err := r.Check(verb); err != nil {
		return juncture.Change{}, nil, err
	}
	if err := l.do(verb, r); err != nil {
		return juncture.Change{}, nil, err
	}
	return l.finish(verb, r.Reason), l.warnings, nil
}

// PlanTrip plans that a guard takes a running experiment back to its surface's default. Why is the audit's reason.
//
// Errors: CodeNotFound; CodeDecisionConflict, where it does not run or has tripped already.
func PlanTrip(c *juncture.Catalog, id string, t juncture.Trip, actor, from string) (juncture.Change, error) {
	l, err := newLife(c, id, actor, from, t.At)
	if err != nil {
		return juncture.Change{}, err
	}
	if state := l.next.StateOf(*l.x); state != juncture.StateRunning {
		return juncture.Change{}, refusal(l, juncture.VerbTrip)
	}
	l.next.Tripped[id] = t
	return l.finish(juncture.VerbTrip, t.Why), nil
}

// life is a change of an experiment's life under way, on a declaration of its own.
type life struct {
	planner
	next     juncture.Declaration
	x        *juncture.Experiment // of next
	at       *juncture.Surface    // of next; nil: the experiment's is not declared
	warnings []string
}

func newLife(c *juncture.Catalog, id, actor, from string, now time.Time) (*life, error) {
	l := &life{planner: planner{c: c, change: juncture.Change{Base: c.Number}, actor: actor, from: from, now: now.UTC()}, next: c.Declaration}
	l.next.Experiments, l.next.Surfaces = slices.Clone(l.next.Experiments), slices.Clone(l.next.Surfaces)
	l.next.Shipped, l.next.Tripped, l.next.Resets = cloned(l.next.Shipped), cloned(l.next.Tripped), cloned(l.next.Resets)
	i := slices.IndexFunc(l.next.Experiments, func(e juncture.Experiment) bool { return e.ID == id })
	if i < 0 {
		return nil, juncture.Errorf(juncture.CodeNotFound, "no experiment is called %.80q", id)
	}
	l.x = &l.next.Experiments[i]
	if i := slices.IndexFunc(l.next.Surfaces, func(s juncture.Surface) bool { return s.ID == l.x.Surface }); i >= 0 {
		l.at = &l.next.Surfaces[i]
	}
	return l, nil
}

func cloned[V any](m map[string]V) map[string]V {
	if m == nil {
		return map[string]V{}
	}
	return maps.Clone(m)
}

// refusal says that the state does not allow a verb, and what it does.
func refusal(l *life, verb juncture.Verb) error {
	hint := "nothing can be done to it now"
	if next := l.next.NextOf(*l.x); len(next) > 0 {
		words := make([]string, len(next))
		for i, v := range next {
			words[i] = string(v)
		}
		hint = "it can " + strings.Join(words, ", ")
	}
	return juncture.Errorf(juncture.CodeDecisionConflict, "experiment %q is %s: it cannot %s", l.x.ID, l.next.StateOf(*l.x), verb).WithHint(hint)
}

func (l *life) do(verb juncture.Verb, r juncture.ExperimentChange) error {
	if !slices.Contains(l.next.NextOf(*l.x), verb) {
		return refusal(l, verb)
	}
	switch verb {
	case juncture.VerbStart, juncture.VerbResume:
		return l.run(verb)
	case juncture.VerbPause:
		l.x.Status = juncture.StatusPaused
	case juncture.VerbStop:
		l.stop()
	case juncture.VerbShip:
		return l.ship(r)
	case juncture.VerbRollback:
		l.rollBack()
	case juncture.VerbReset:
		delete(l.next.Tripped, l.x.ID)
		l.next.Resets[l.x.ID] = l.now
	}
	return nil
}

// run holds what is about to run to all that apply would.
func (l *life) run(verb juncture.Verb) error {
	if e := l.x.Ends; e != nil && !l.now.Before(*e) {
		return juncture.Errorf(juncture.CodeDecisionConflict, "experiment %q ended at %s", l.x.ID, e.Format(time.RFC3339)).WithHint("apply a later end first")
	}
	l.x.Status = juncture.StatusRunning
	if verb == juncture.VerbStart && l.x.Starts == nil {
		l.x.Starts = new(l.now)
	}
	if problems := l.problems(); len(problems) > 0 {
		return juncture.Errorf(juncture.CodeDecisionConflict, "experiment %q cannot %s: %s: %s", l.x.ID, verb, problems[0].Path, problems[0].Message).
			WithHint(problems[0].Hint)
	}
	return nil
}

// problems are those of everything that is declared, as it would be.
func (l *life) problems() []juncture.Problem {
	return whole(l.next, l.c, &juncture.Declaration{}).Problems()
}

// stop ends the experiment now. One that was to begin later never began.
func (l *life) stop() {
	if l.x.Status == juncture.StatusStopped {
		return
	}
	l.x.Status = juncture.StatusStopped
	ends := l.now
	switch s := l.x.Starts; {
	case s != nil && s.After(l.now):
		l.x.Starts = nil
	case s != nil && s.Equal(l.now):
		ends = ends.Add(time.Millisecond) // it began: a span that is none would be a mistake to whoever reads the declaration
	}
	l.x.Ends = &ends
}

// ship makes the winner what everybody is served.
func (l *life) ship(r juncture.ExperimentChange) error {
	if l.at == nil {
		return juncture.Errorf(juncture.CodeDecisionConflict, "surface %q is not declared", l.x.Surface)
	}
	for _, o := range l.next.Experiments {
		if o.ID != l.x.ID && o.Surface == l.x.Surface && o.Status == juncture.StatusRunning {
			return juncture.Errorf(juncture.CodeDecisionConflict, "experiment %q runs at surface %q: its group bau is served the default", o.ID, o.Surface).
				WithHint("stop or pause it first")
		}
	}
	winner, first, err := l.winner(r)
	if err != nil {
		return err
	}
	s := juncture.Shipment{Experiment: l.x.ID, Action: winner.Arm.Action, Before: l.at.Default, BeforeCopy: l.at.DefaultCopy, At: l.now}
	if winner != first || r.Copy != "" {
		s.Copy = winner.Arm.Copy
	}
	l.stop()
	l.at.Default, l.at.DefaultCopy = s.Action, s.Copy
	l.next.Shipped[l.at.ID] = s
	if winner.Action.Rule != "" {
		l.warnings = append(l.warnings, fmt.Sprintf("action %q has a rule (%.200s): as the default it is served to everybody", s.Action, winner.Action.Rule))
	}
	return nil
}

// winner finds the arm that is named, and the first of its action. It must be live at the surface, and its copy written
// for everybody.
func (l *life) winner(r juncture.ExperimentChange) (named, first *Arm, err error) {
	snapshot, err := Build(l.c)
	if err != nil {
		return nil, nil, err
	}
	refuse := func(field, format string, args ...any) error {
		return juncture.Errorf(juncture.CodeUnprocessable, format, args...).WithHint("GET /api/v1/store lists what is live").WithField(field)
	}
	var broad []*Arm
	for _, a := range snapshot.Surfaces[l.at.ID].Arms {
		if a.Arm.Action != r.Action {
			continue
		}
		if first == nil {
			first = a
		}
		if len(a.Copy.Voice) == 0 {
			broad = append(broad, a)
		} else if a.Arm.Copy == r.Copy {
			return nil, nil, refuse("copy", "copy %q is written for some (%s), and everybody would be served it", r.Copy, strings.Join(a.Copy.Voice, ", "))
		}
	}
	if first == nil {
		return nil, nil, refuse("action", "action %.80q is not live at surface %q: nothing unapproved is served", r.Action, l.at.ID)
	}
	for _, a := range broad {
		if r.Copy == "" || r.Copy == a.Arm.Copy {
			return a, first, nil
		}
	}
	return nil, nil, refuse("copy", "action %q has no live copy called %.80q that is written for everybody", r.Action, r.Copy)
}

// rollBack gives the surface the default that it had, and leaves the experiment paused: a person resumes it.
func (l *life) rollBack() {
	s := l.next.Shipped[l.x.Surface]
	delete(l.next.Shipped, l.x.Surface)
	if l.at != nil {
		l.at.Default, l.at.DefaultCopy = s.Before, s.BeforeCopy
		for _, o := range l.next.Experiments {
			if o.ID != l.x.ID && o.Surface == l.x.Surface && o.Status == juncture.StatusRunning {
				l.warnings = append(l.warnings, fmt.Sprintf("experiment %q runs at surface %q: its group bau is served the earlier default from now on", o.ID, o.Surface))
			}
		}
	}
	sound := len(l.problems()) == 0
	ended := l.x.Ends
	l.x.Status = juncture.StatusPaused
	if ended != nil && !l.now.Before(*ended) {
		l.x.Ends = nil
	}
	if problems := l.problems(); sound && len(problems) > 0 { // such as a slice that another experiment has taken since
		l.x.Status, l.x.Ends = juncture.StatusStopped, ended
		l.warnings = append(l.warnings, fmt.Sprintf("experiment %q stays stopped: %s: %s", l.x.ID, problems[0].Path, problems[0].Message))
	}
}

// finish makes the change of what was done.
func (l *life) finish(verb juncture.Verb, reason string) juncture.Change {
	old := &l.c.Declaration
	i := slices.IndexFunc(old.Experiments, func(e juncture.Experiment) bool { return e.ID == l.x.ID })
	before, after := record(old, old.Experiments[i]), record(&l.next, *l.x)
	after.Reason = strings.TrimSpace(reason)
	l.note(string(verb), "experiment "+l.x.ID, before, after)
	l.line("~ experiment %s %s -> %s", l.x.ID, before.State, after.State)
	if before.Default != after.Default || before.DefaultCopy != after.DefaultCopy {
		l.line("~ surface %s default %s -> %s", l.x.Surface, armName(before.Default, before.DefaultCopy), armName(after.Default, after.DefaultCopy))
	}
	for _, w := range l.warnings {
		l.line("! %s", w)
	}
	if len(l.next.Shipped) == 0 {
		l.next.Shipped = nil
	}
	if len(l.next.Tripped) == 0 {
		l.next.Tripped = nil
	}
	if len(l.next.Resets) == 0 {
		l.next.Resets = nil
	}
	l.change.Declaration = &l.next
	return l.change
}

func armName(action, copy string) string {
	switch {
	case action == "":
		return "none"
	case copy == "":
		return action
	}
	return action + "/" + copy
}

func record(d *juncture.Declaration, x juncture.Experiment) recorded {
	r := recorded{State: d.StateOf(x), Starts: x.Starts, Ends: x.Ends}
	if i := slices.IndexFunc(d.Surfaces, func(s juncture.Surface) bool { return s.ID == x.Surface }); i >= 0 {
		r.Default, r.DefaultCopy = d.Surfaces[i].Default, d.Surfaces[i].DefaultCopy
	}
	if t, ok := d.Tripped[x.ID]; ok {
		r.Tripped = &t
	}
	return r
}

// lasting carries over what was shipped: while the surface's default is still that, and the experiment has not begun again.
func lasting(old, next juncture.Declaration) (shipped map[string]juncture.Shipment) {
	for at, s := range old.Shipped {
		i := slices.IndexFunc(next.Surfaces, func(o juncture.Surface) bool { return o.ID == at })
		x := slices.IndexFunc(next.Experiments, func(e juncture.Experiment) bool { return e.ID == s.Experiment })
		if i < 0 || x < 0 || next.Surfaces[i].Default != s.Action || next.Surfaces[i].DefaultCopy != s.Copy || next.Experiments[x].Status != juncture.StatusStopped {
			continue
		}
		if shipped == nil {
			shipped = map[string]juncture.Shipment{}
		}
		shipped[at] = s
	}
	return shipped
}

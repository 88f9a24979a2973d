package juncture

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Verb is a change of an experiment beside what a store file declares.
type Verb string

// The verbs. VerbTrip is the breaker's own; people ask for the others.
const (
	VerbStart    Verb = "start"
	VerbPause    Verb = "pause"
	VerbResume   Verb = "resume"
	VerbStop     Verb = "stop"
	VerbShip     Verb = "ship"     // the experiment stops, and its surface's default becomes the winner
	VerbRollback Verb = "rollback" // of what was shipped; the experiment is paused
	VerbReset    Verb = "reset"    // of the breaker
	VerbTrip     Verb = "trip"
)

// Verbs lists those that people may ask for.
func Verbs() []Verb {
	return []Verb{VerbStart, VerbPause, VerbResume, VerbStop, VerbShip, VerbRollback, VerbReset}
}

// State is where an experiment stands: its status, or what became of it.
type State string

// The states.
const (
	StateDraft   State = StatusDraft
	StateRunning State = StatusRunning
	StateTripped State = "tripped" // running, and a guard has taken it back to the default
	StatePaused  State = StatusPaused
	StateStopped State = StatusStopped
	StateShipped State = "shipped" // stopped, and the surface's default is its winner
)

// Allows lists what may be done in the state. A breaker that has tripped may be reset in any of them.
func (s State) Allows() []Verb {
	switch s {
	case StateDraft:
		return []Verb{VerbStart}
	case StateRunning:
		return []Verb{VerbPause, VerbStop, VerbShip}
	case StateTripped:
		return []Verb{VerbReset, VerbPause, VerbStop}
	case StatePaused:
		return []Verb{VerbResume, VerbStop, VerbShip}
	case StateStopped:
		return []Verb{VerbShip}
	case StateShipped:
		return []Verb{VerbRollback}
	}
	return nil
}

// MaxReason bounds the reason of a change, in characters.
const MaxReason = 500

// ExperimentChange is what is asked with a verb.
type ExperimentChange struct {
	Reason string `json:"reason"`           // 1 to MaxReason characters, for the audit log
	Action string `json:"action,omitempty"` // of ship: the winner
	Copy   string `json:"copy,omitempty"`   // of ship; empty: the first of the action's that is written for everybody
}

// Check returns what is wrong with the request of a verb, CodeInvalidRequest.
func (r ExperimentChange) Check(verb Verb) error {
	n := utf8.RuneCountInString(strings.TrimSpace(r.Reason))
	switch {
	case !slices.Contains(Verbs(), verb):
		return Errorf(CodeInvalidRequest, "%.40q is done to no experiment", verb).WithHint(fmt.Sprintf("one of %q", Verbs()))
	case n == 0:
		return Errorf(CodeInvalidRequest, "reason is missing").WithHint("say why, for the audit log").WithField("reason")
	case utf8.RuneCountInString(r.Reason) > MaxReason || !utf8.ValidString(r.Reason) || strings.ContainsRune(r.Reason, 0):
		return Errorf(CodeInvalidRequest, "reason is not 1 to %d characters", MaxReason).WithField("reason")
	case verb != VerbShip && r.Action != "":
		return Errorf(CodeInvalidRequest, "only ship names an action").WithField("action")
	case verb == VerbShip && r.Action == "":
		return Errorf(CodeInvalidRequest, "action is missing: which one is shipped?").WithField("action")
	case verb != VerbShip && r.Copy != "":
		return Errorf(CodeInvalidRequest, "only ship names copy").WithField("copy")
	}
	return nil
}

// Shipment is a winner that became its surface's default, and what the default was before.
type Shipment struct {
	Experiment string    `json:"experiment"`
	Action     string    `json:"action"`
	Copy       string    `json:"copy,omitempty"` // as Surface.DefaultCopy
	Before     string    `json:"before,omitempty"`
	BeforeCopy string    `json:"beforeCopy,omitempty"`
	At         time.Time `json:"at"`
}

// Guard is an outcome that must not become worse while an experiment learns towards its goal.
type Guard struct {
	Outcome   string  `json:"outcome"`
	Direction string  `json:"direction"`         // which way is bad: below or above
	Margin    float64 `json:"margin"`            // how much worse is borne, relative: 0.2 is a fifth; in [0, 1)
	Against   string  `json:"against,omitempty"` // the group that is compared with: bau (default), random, holdout
	Alpha     float64 `json:"alpha,omitempty"`   // chance of a false alarm, however often it is looked at; 0 means DefaultAlpha; at most 0.5
}

// Directions of a guard.
const (
	GuardBelow = "below"
	GuardAbove = "above"
)

// DefaultAlpha of a guard, and the most guards of an experiment.
const (
	DefaultAlpha = 0.01
	MaxGuards    = 8
)

// Control is the group that the guard compares with.
func (g Guard) Control() Group {
	switch g.Against {
	case "random":
		return GroupRandom
	case "holdout":
		return GroupHoldout
	}
	return GroupBAU
}

// Level is the guard's alpha, its default filled in.
func (g Guard) Level() float64 { return cmp.Or(g.Alpha, DefaultAlpha) }

// Trip is a guard that took an experiment back to the surface's default.
type Trip struct {
	At    time.Time `json:"at"`
	Guard Guard     `json:"guard"`
	Why   string    `json:"why"` // one sentence for each guard that tripped then
}

// StateOf returns where an experiment of the declaration stands.
func (d *Declaration) StateOf(e Experiment) State {
	if _, ok := d.Tripped[e.ID]; ok && e.Status == StatusRunning {
		return StateTripped
	}
	if s, ok := d.Shipped[e.Surface]; ok && s.Experiment == e.ID && e.Status == StatusStopped {
		return StateShipped
	}
	return State(e.Status)
}

// NextOf returns what may be done to an experiment of the declaration now.
func (d *Declaration) NextOf(e Experiment) []Verb {
	next := d.StateOf(e).Allows()
	if _, ok := d.Tripped[e.ID]; ok && !slices.Contains(next, VerbReset) {
		next = append(next, VerbReset)
	}
	return next
}

// ExperimentView is an experiment as the API shows it.
type ExperimentView struct {
	Experiment
	State    State      `json:"state"`
	Next     []Verb     `json:"next"`              // what may be done to it now
	Tripped  *Trip      `json:"tripped,omitempty"` // nil: no guard has, since the last reset
	Reset    *time.Time `json:"reset,omitempty"`   // when the breaker was last reset: guards judge who was enrolled since; nil: everybody
	Shipped  *Shipment  `json:"shipped,omitempty"` // nil: the surface's default is not its winner
	Warnings []string   `json:"warnings,omitempty"`
}

// View returns an experiment of the declaration by its id. The error is CodeNotFound.
func (d *Declaration) View(id string) (ExperimentView, error) {
	i := slices.IndexFunc(d.Experiments, func(e Experiment) bool { return e.ID == id })
	if i < 0 {
		return ExperimentView{}, Errorf(CodeNotFound, "no experiment is called %.80q", id)
	}
	v := ExperimentView{Experiment: d.Experiments[i]}
	v.State, v.Next = d.StateOf(v.Experiment), d.NextOf(v.Experiment)
	if t, ok := d.Tripped[id]; ok {
		v.Tripped = &t
	}
	if at, ok := d.Resets[id]; ok {
		v.Reset = &at
	}
	if s, ok := d.Shipped[v.Surface]; ok && v.State == StateShipped {
		v.Shipped = &s
	}
	return v, nil
}

// guards checks the guards of an experiment.
func (c *check) guards(path string, e Experiment, outcomes map[string]OutcomeType) {
	if len(e.Guards) > MaxGuards {
		c.add(path+".guards", fmt.Sprintf("%d guards, at most %d", len(e.Guards), MaxGuards), "")
	}
	for i, g := range e.Guards {
		at := fmt.Sprintf("%s.guards[%d]", path, i)
		if _, ok := outcomes[g.Outcome]; !ok {
			c.add(at+".outcome", fmt.Sprintf("no outcome is called %.80q", g.Outcome), "declare it under outcomes")
		}
		c.oneOf(at+".direction", g.Direction, GuardBelow, GuardAbove)
		if !(g.Margin >= 0 && g.Margin < 1) {
			c.add(at+".margin", fmt.Sprintf("%v is not in [0, 1)", g.Margin), "margin: 0.2")
		}
		c.number(at+".alpha", g.Alpha, 0, 0.5)
		if g.Against != "" {
			c.oneOf(at+".against", g.Against, GroupBAU.String(), GroupRandom.String(), GroupHoldout.String())
		}
		if e.Groups.Share(g.Control()) == 0 {
			c.add(at+".against", fmt.Sprintf("group %s has no share: there is nobody to compare with", g.Control()), "one of bau, random, holdout that has")
		}
		if e.Groups.Policy == 0 {
			c.add(at, "group policy has no share: there is nobody to guard", "")
		}
		if slices.ContainsFunc(e.Guards[:i], func(o Guard) bool {
			return o.Outcome == g.Outcome && o.Direction == g.Direction && o.Control() == g.Control()
		}) {
			c.add(at, fmt.Sprintf("outcome %q is guarded so already", g.Outcome), "keep one of the two")
		}
	}
}

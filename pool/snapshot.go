package pool

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/juncture/juncture"
)

// Arm is one approved arm, ready to be served.
type Arm struct {
	ID     juncture.ArmID
	Arm    juncture.Arm
	Action juncture.Action // without its copy
	Copy   juncture.Copy
	Terms  juncture.Terms // of its action
	rule   *Rule
}

// Surface is a surface with what may be shown there.
type Surface struct {
	juncture.Surface
	Arms        []*Arm         // live, by action, then copy as the action lists it
	Default     *Arm           // the default action with its first copy, or the one that is named; nil when there is none or it is not live
	Killed      *juncture.Kill // the switch that stops it; nil: none
	Experiments []juncture.Experiment
}

// Experiment returns the experiment that decides at now, nil for none.
func (s *Surface) Experiment(now time.Time) *juncture.Experiment {
	for i := range s.Experiments {
		if s.Experiments[i].Live(now) {
			return &s.Experiments[i]
		}
	}
	return nil
}

// DefaultAt is the default at now: nil too while its action has not begun, or is over.
func (s *Surface) DefaultAt(now time.Time) *Arm {
	if s.Default == nil || !s.Default.Terms.Live(now) {
		return nil
	}
	return s.Default
}

// Snapshot is the live pool at one version of the catalog. It is immutable and safe for concurrent use.
type Snapshot struct {
	Number      int64
	Declaration juncture.Declaration // without its actions and priorities
	Surfaces    map[string]*Surface
	Experiments map[string]*juncture.Experiment // with the nudges that come of priorities
	Outcomes    map[string]juncture.OutcomeType
	Arms        map[juncture.ArmID]*Arm // live and past
	Priorities  []juncture.Priority     // approved and not held back, by id, whatever their dates
}

// Build makes the snapshot of a catalog. Of each action, copy and priority the newest approved version is live, unless it is
// paused, retired or killed.
func Build(c *juncture.Catalog) (*Snapshot, error) {
	s := &Snapshot{
		Number: c.Number, Declaration: c.Declaration, Surfaces: map[string]*Surface{}, Experiments: map[string]*juncture.Experiment{},
		Outcomes: map[string]juncture.OutcomeType{}, Arms: map[juncture.ArmID]*Arm{},
	}
	for _, o := range c.Declaration.Outcomes {
		s.Outcomes[o.Name] = o
	}
	for _, d := range c.Declaration.Surfaces {
		s.Surfaces[d.ID] = &Surface{Surface: d, Killed: c.Declaration.KilledAt(d.ID)}
	}
	bodies := map[versionKey]juncture.Version{}
	newest := map[itemKey]int{} // approved
	for _, v := range c.Versions {
		bodies[versionKey{itemOf(v), v.Number}] = v
		if v.Status == juncture.VersionApproved {
			newest[itemOf(v)] = max(newest[itemOf(v)], v.Number)
		}
	}
	for arm, id := range c.Arms {
		a := &Arm{ID: id, Arm: arm, Terms: c.Declaration.Terms[arm.Action]}
		if err := json.Unmarshal(bodies[versionKey{itemKey{action: arm.Action}, arm.ActionVersion}].Body, &a.Action); err != nil {
			return nil, fmt.Errorf("arm %v: action: %w", arm, err)
		}
		if err := json.Unmarshal(bodies[versionKey{itemKey{action: arm.Action, copy: arm.Copy}, arm.CopyVersion}].Body, &a.Copy); err != nil {
			return nil, fmt.Errorf("arm %v: copy: %w", arm, err)
		}
		var err error
		if a.rule, err = compile(a.Action.Rule); err != nil {
			return nil, fmt.Errorf("arm %v: %w", arm, err)
		}
		s.Arms[id] = a
		if newest[itemKey{action: arm.Action}] != arm.ActionVersion || newest[itemKey{action: arm.Action, copy: arm.Copy}] != arm.CopyVersion {
			continue
		}
		if held(&c.Declaration, arm) {
			continue
		}
		for _, id := range a.Action.Surfaces {
			if at := s.Surfaces[id]; at != nil {
				at.Arms = append(at.Arms, a)
			}
		}
	}
	var err error
	if s.Priorities, err = priorities(c); err != nil {
		return nil, err
	}
	for _, e := range c.Declaration.Experiments {
		at := s.Surfaces[e.Surface]
		if at != nil {
			e.Nudges = slices.Concat(e.Nudges, nudges(s.Priorities, &e, at.Arms))
			at.Experiments = append(at.Experiments, e)
		}
		s.Experiments[e.ID] = &e
	}
	for _, at := range s.Surfaces {
		slices.SortFunc(at.Arms, func(a, b *Arm) int {
			order := c.Declaration.CopyOrder[a.Arm.Action]
			return cmp.Or(cmp.Compare(a.Arm.Action, b.Arm.Action), cmp.Compare(place(order, a.Arm.Copy), place(order, b.Arm.Copy)), cmp.Compare(a.ID, b.ID))
		})
		if at.Surface.Default != "" {
			at.Default = at.Live(at.Surface.Default, at.Surface.DefaultCopy)
		}
	}
	return s, nil
}

// held reports whether something keeps the arm from being served.
func held(d *juncture.Declaration, a juncture.Arm) bool {
	if _, killed := d.Kills[juncture.KillAction(a.Action)]; killed {
		return true
	}
	if h, ok := d.Holds[a.Action]; ok && h.Holds(a.ActionVersion) {
		return true
	}
	h, ok := d.Holds[a.Action+"/"+a.Copy]
	return ok && h.Holds(a.CopyVersion)
}

// itemKey names what has versions: an action, a copy of it, or a priority.
type itemKey struct{ action, copy, priority string }

func itemOf(v juncture.Version) itemKey { return itemKey{v.Action, v.Copy, v.Priority} }

func (k itemKey) subject() string {
	return juncture.VersionRef{Action: k.action, Copy: k.copy, Priority: k.priority}.Item()
}

type versionKey struct {
	itemKey
	number int
}

// place is where a copy stands in its action's list; one that the list leaves out comes after it.
func place(order []string, copy string) int {
	if i := slices.Index(order, copy); i >= 0 {
		return i
	}
	return len(order)
}

// LiveArms returns the ids of the arms that a surface may show.
func (s *Snapshot) LiveArms(surface string) map[juncture.ArmID]bool {
	out := map[juncture.ArmID]bool{}
	if at := s.Surfaces[surface]; at != nil {
		for _, a := range at.Arms {
			out[a.ID] = true
		}
	}
	return out
}

// Live returns the live arm of an action and copy at a surface, nil for none. An empty copy means the action's first.
func (s *Surface) Live(action, copy string) *Arm {
	for _, a := range s.Arms {
		if a.Arm.Action == action && (copy == "" || a.Arm.Copy == copy) {
			return a
		}
	}
	return nil
}

// Refusal says why an arm was not eligible.
type Refusal struct {
	Arm    *Arm
	Why    string
	Broken bool // its rule could not be evaluated
}

// Eligible appends to dst the surface's arms that may compete for this call: their action has begun and is not over, their
// rule holds and their voice fits.
// refused, when not nil, is told of every other.
func (s *Surface) Eligible(dst []*Arm, f Facts, x juncture.Intersection, refused func(Refusal)) []*Arm {
	tier := x.Tier().String()
	lastAction, lastOK, lastWhy, broken := "", false, "", false
	for _, a := range s.Arms {
		if a.Arm.Action != lastAction { // arms stand by action: its rule is asked once
			lastAction, lastWhy = a.Arm.Action, "its rule does not hold"
			var err error
			lastOK, err = a.rule.Holds(f)
			if broken = err != nil; broken {
				lastWhy = err.Error()
			} else if !a.Terms.Live(f.now) {
				lastOK, lastWhy = false, "its action has not begun, or is over"
			}
		}
		why := ""
		switch {
		case !lastOK:
			why = lastWhy
		case len(a.Copy.Voice) > 0 && !slices.Contains(a.Copy.Voice, x.Value(juncture.Meaning)) && !slices.Contains(a.Copy.Voice, tier):
			why = "its copy is written for others"
		}
		if why == "" {
			dst = append(dst, a)
		} else if refused != nil {
			refused(Refusal{a, why, broken})
		}
	}
	return dst
}

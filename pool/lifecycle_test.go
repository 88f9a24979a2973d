package pool_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/internal/testkit"
	"github.com/juncture/juncture/pool"
)

func TestMain(m *testing.M) { testkit.Main(m, 100) }

const because = "because"

// at is a moment so many hours after the epoch.
func at(hours int) time.Time { return testkit.Epoch().Add(time.Duration(hours) * time.Hour) }

// take makes a change of a life, as a store does.
func (s *shelf) take(c juncture.Change) {
	s.t.Helper()
	if c.Base != s.c.Number || c.Declaration == nil || len(c.Add)+len(c.Review) > 0 {
		s.t.Errorf("planned on %d of %d: %+v", c.Base, s.c.Number, c)
	}
	s.c.Number++
	s.c.Declaration = *c.Declaration
}

func (s *shelf) try(verb juncture.Verb, hours int, change ...func(*juncture.ExperimentChange)) (juncture.Change, []string, error) {
	r := juncture.ExperimentChange{Reason: because}
	if verb == juncture.VerbShip {
		r.Action = "five_off"
	}
	for _, f := range change {
		f(&r)
	}
	return pool.PlanVerb(s.c, "hero", verb, r, "ada", "cli", at(hours))
}

func (s *shelf) do(verb juncture.Verb, hours int, change ...func(*juncture.ExperimentChange)) juncture.Change {
	s.t.Helper()
	c, _, err := s.try(verb, hours, change...)
	if err != nil {
		s.t.Fatalf("%s: %v", verb, err)
	}
	s.take(c)
	return c
}

func (s *shelf) trip(hours int) {
	s.t.Helper()
	c, err := pool.PlanTrip(s.c, "hero", juncture.Trip{At: at(hours), Guard: juncture.Guard{Outcome: "click"}, Why: "it fell"}, "breaker", "serve")
	if err != nil {
		s.t.Fatal(err)
	}
	s.take(c)
}

func (s *shelf) view() juncture.ExperimentView {
	s.t.Helper()
	v, err := s.c.Declaration.View("hero")
	if err != nil {
		s.t.Fatal(err)
	}
	return v
}

func (s *shelf) surface() juncture.Surface { return s.c.Declaration.Surfaces[0] }

// begun is a shelf whose experiment is in a state, reached at the epoch.
func begun(t *testing.T, state juncture.State, change ...func(*juncture.Declaration)) *shelf {
	t.Helper()
	s := newShelf(t)
	s.apply(testkit.Declaration(append(change, testkit.Hero(func(e *juncture.Experiment) { e.Status = juncture.StatusDraft }))...), true, "ada")
	if state != juncture.StateDraft {
		s.do(juncture.VerbStart, 0)
	}
	switch state {
	case juncture.StateTripped:
		s.trip(1)
	case juncture.StatePaused:
		s.do(juncture.VerbPause, 1)
	case juncture.StateStopped:
		s.do(juncture.VerbStop, 1)
	case juncture.StateShipped:
		s.do(juncture.VerbShip, 1)
	}
	if got := s.view().State; got != state {
		t.Fatalf("it is %s, not %s", got, state)
	}
	return s
}

// Every state by every verb: where it leads, - where it is refused.
func TestTransitions(t *testing.T) {
	const table = `
		          start    pause   resume   stop     ship     rollback  reset
		draft     running  -       -        -        -        -         -
		running   -        paused  -        stopped  shipped  -         -
		tripped   -        paused  -        stopped  -        -         running
		paused    -        -       running  stopped  shipped  -         -
		stopped   -        -       -        -        shipped  -         -
		shipped   -        -       -        -        -        paused    -`
	lines := strings.Split(strings.TrimSpace(table), "\n")
	verbs := strings.Fields(lines[0])
	if len(verbs) != len(juncture.Verbs()) {
		t.Fatalf("the table has %q", verbs)
	}
	for _, line := range lines[1:] {
		f := strings.Fields(line)
		state := juncture.State(f[0])
		var allowed []string
		for i, verb := range verbs {
			if f[i+1] != "-" {
				allowed = append(allowed, verb)
			}
		}
		for i, verb := range verbs {
			s := begun(t, state)
			before, next := canonical(t, s.c), s.view().Next
			change, _, err := s.try(juncture.Verb(verb), 2)
			if canonical(t, s.c) != before {
				t.Errorf("%s of %s changed the catalogue that it was planned on", verb, state)
			}
			if f[i+1] == "-" {
				e, _ := err.(*juncture.Error)
				if juncture.ErrorCode(err) != juncture.CodeDecisionConflict || e == nil || !change.Empty() {
					t.Errorf("%s of %s: %v", verb, state, err)
					continue
				}
				for _, word := range allowed {
					if !strings.Contains(e.Hint, word) {
						t.Errorf("%s of %s: the hint %q does not name %s", verb, state, e.Hint, word)
					}
				}
				continue
			}
			if err != nil || !slices.Contains(next, juncture.Verb(verb)) {
				t.Errorf("%s of %s, which can %q: %v", verb, state, next, err)
				continue
			}
			s.take(change)
			if got := s.view().State; got != juncture.State(f[i+1]) {
				t.Errorf("%s of %s leads to %s", verb, state, got)
			}
			// It is on record: who, why, and what was before and after.
			var was, is struct {
				State  juncture.State
				Reason string
			}
			if len(change.Audit) != 1 {
				t.Errorf("%s of %s: %d notes", verb, state, len(change.Audit))
				continue
			}
			n := change.Audit[0]
			if err := json.Unmarshal(n.Before, &was); err != nil {
				t.Error(err)
			}
			if err := json.Unmarshal(n.After, &is); err != nil {
				t.Error(err)
			}
			if n.Action != verb || n.Subject != "experiment hero" || n.Actor != "ada" || n.From != "cli" || !n.At.Equal(at(2)) ||
				was.State != state || is.State != juncture.State(f[i+1]) || is.Reason != because || was.Reason != "" {
				t.Errorf("%s of %s is noted as %s %s by %s: %s -> %s", verb, state, n.Action, n.Subject, n.Actor, n.Before, n.After)
			}
		}
	}
}

func canonical(t *testing.T, v *juncture.Catalog) string {
	t.Helper()
	b, err := json.Marshal([]any{v.Number, v.Declaration})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestWhatAChangeMustSay(t *testing.T) {
	s := begun(t, juncture.StateRunning)
	for what, c := range map[string]struct {
		verb  juncture.Verb
		r     juncture.ExperimentChange
		code  juncture.Code
		field string
	}{
		"no reason":                   {juncture.VerbPause, juncture.ExperimentChange{}, juncture.CodeInvalidRequest, "reason"},
		"a reason of blanks":          {juncture.VerbPause, juncture.ExperimentChange{Reason: " \n"}, juncture.CodeInvalidRequest, "reason"},
		"a reason that is too long":   {juncture.VerbPause, juncture.ExperimentChange{Reason: strings.Repeat("é", 501)}, juncture.CodeInvalidRequest, "reason"},
		"a long reason":               {juncture.VerbPause, juncture.ExperimentChange{Reason: strings.Repeat("é", 500)}, "", ""},
		"an action to pause":          {juncture.VerbPause, juncture.ExperimentChange{Reason: because, Action: "news"}, juncture.CodeInvalidRequest, "action"},
		"copy to stop":                {juncture.VerbStop, juncture.ExperimentChange{Reason: because, Copy: "plain"}, juncture.CodeInvalidRequest, "copy"},
		"shipping nothing":            {juncture.VerbShip, juncture.ExperimentChange{Reason: because}, juncture.CodeInvalidRequest, "action"},
		"shipping what there is not":  {juncture.VerbShip, juncture.ExperimentChange{Reason: because, Action: "none"}, juncture.CodeUnprocessable, "action"},
		"copy that there is not":      {juncture.VerbShip, juncture.ExperimentChange{Reason: because, Action: "news", Copy: "urgent"}, juncture.CodeUnprocessable, "copy"},
		"a trip that a person wishes": {juncture.VerbTrip, juncture.ExperimentChange{Reason: because}, juncture.CodeInvalidRequest, ""},
	} {
		_, _, err := pool.PlanVerb(s.c, "hero", c.verb, c.r, "ada", "api", at(2))
		if e, _ := err.(*juncture.Error); juncture.ErrorCode(err) != c.code && err != nil || c.code == "" && err != nil || c.code != "" && (e == nil || e.Field != c.field) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, _, err := pool.PlanVerb(s.c, "none", juncture.VerbPause, juncture.ExperimentChange{Reason: because}, "ada", "api", at(2)); juncture.ErrorCode(err) != juncture.CodeNotFound {
		t.Errorf("no such experiment: %v", err)
	}
}

// A start sets the time that it has, a stop ends it.
func TestStartsAndEnds(t *testing.T) {
	s := begun(t, juncture.StateDraft)
	s.do(juncture.VerbStart, 1)
	if v := s.view(); v.Starts == nil || !v.Starts.Equal(at(1)) || !v.Live(at(1)) || v.Live(at(0)) {
		t.Errorf("%+v", v)
	}
	s.do(juncture.VerbPause, 2)
	s.do(juncture.VerbResume, 3)
	s.do(juncture.VerbStop, 4)
	if v := s.view(); !v.Starts.Equal(at(1)) || v.Ends == nil || !v.Ends.Equal(at(4)) || v.Live(at(3)) {
		t.Errorf("%+v", v)
	}
	begins := func(e *juncture.Experiment) { e.Starts = new(at(10)) }
	s = begun(t, juncture.StateDraft, testkit.Hero(begins))
	s.do(juncture.VerbStart, 1)
	if v := s.view(); !v.Starts.Equal(at(10)) {
		t.Errorf("it starts at %v", v.Starts)
	}
	s.do(juncture.VerbStop, 2) // it never began
	if v := s.view(); v.Starts != nil || !v.Ends.Equal(at(2)) {
		t.Errorf("from %v to %v", v.Starts, v.Ends)
	}
	s = begun(t, juncture.StateRunning)
	s.do(juncture.VerbStop, 0) // at the moment of its start
	if p := s.c.Declaration.Problems(); slices.ContainsFunc(p, func(p juncture.Problem) bool { return strings.HasSuffix(p.Path, ".ends") }) {
		t.Errorf("%+v", p)
	}
	s = begun(t, juncture.StateDraft, testkit.Hero(func(e *juncture.Experiment) { e.Ends = new(at(1)) }))
	if _, _, err := s.try(juncture.VerbStart, 1); juncture.ErrorCode(err) != juncture.CodeDecisionConflict {
		t.Errorf("a start after the end: %v", err)
	}
}

// What starts is held to all that apply checks.
func TestOneRunsAtASurface(t *testing.T) {
	s := begun(t, juncture.StateDraft, func(d *juncture.Declaration) {
		e := d.Experiments[0]
		e.ID, e.Status = "other", juncture.StatusRunning
		d.Experiments = append(d.Experiments, e)
	})
	_, _, err := s.try(juncture.VerbStart, 1)
	if e, _ := err.(*juncture.Error); juncture.ErrorCode(err) != juncture.CodeDecisionConflict || !strings.Contains(e.Message, `"hero" already runs`) && !strings.Contains(e.Message, `"other" already runs`) {
		t.Errorf("two at a surface: %v", err)
	}
	c, _, err := pool.PlanVerb(s.c, "other", juncture.VerbPause, juncture.ExperimentChange{Reason: because}, "ada", "cli", at(1))
	if err != nil {
		t.Fatal(err)
	}
	s.take(c)
	s.do(juncture.VerbStart, 2)
	if _, _, err := pool.PlanVerb(s.c, "other", juncture.VerbShip, juncture.ExperimentChange{Reason: because, Action: "news"}, "ada", "cli", at(3)); juncture.ErrorCode(err) != juncture.CodeDecisionConflict {
		t.Errorf("shipping under a running experiment would change its bau: %v", err)
	}
}

// A pause or a stop is never in the way of what else is wrong.
func TestASafeChangeNeedsNoSoundStore(t *testing.T) {
	for _, verb := range []juncture.Verb{juncture.VerbPause, juncture.VerbStop} {
		s := begun(t, juncture.StateRunning)
		s.c.Declaration.Store.Currency = "pounds"
		s.do(verb, 1)
	}
	s := begun(t, juncture.StateRunning)
	s.c.Declaration.Store.Currency = "pounds"
	s.trip(1)
}

func TestShipAndRollBack(t *testing.T) {
	named := func(action, copy string) func(*juncture.ExperimentChange) {
		return func(r *juncture.ExperimentChange) { r.Action, r.Copy = action, copy }
	}
	for what, c := range map[string]struct {
		ship  func(*juncture.ExperimentChange)
		shown string
	}{
		"an action":            {named("five_off", ""), "five_off/"},
		"one copy of it":       {named("five_off", "urgent"), "five_off/urgent"},
		"its first copy":       {named("five_off", "plain"), "five_off/plain"},
		"the default as it is": {named("welcome", ""), "welcome/"},
	} {
		s := begun(t, juncture.StateRunning, testkit.Hero(func(e *juncture.Experiment) { e.Ends = new(at(100)) }))
		before := s.surface()
		s.do(juncture.VerbShip, 2, c.ship)
		if got := s.surface().Default + "/" + s.surface().DefaultCopy; got != c.shown {
			t.Errorf("%s: the default is %s", what, got)
		}
		if v := s.view(); v.Shipped == nil || v.Shipped.Before != "welcome" || !v.Shipped.At.Equal(at(2)) || !v.Ends.Equal(at(2)) {
			t.Errorf("%s: %+v", what, v)
		}
		snapshot, err := pool.Build(s.c)
		if err != nil {
			t.Fatal(err)
		}
		if d := snapshot.Surfaces["home_hero"].Default; d == nil || !strings.HasPrefix(d.Arm.Action+"/"+d.Arm.Copy, c.shown) {
			t.Errorf("%s: everybody is served %+v", what, d)
		}
		s.do(juncture.VerbRollback, 3)
		if diff := cmp.Diff(before, s.surface()); diff != "" {
			t.Errorf("%s: the surface came back otherwise:\n%s", what, diff)
		}
		if v := s.view(); v.State != juncture.StatePaused || v.Shipped != nil || v.Ends != nil || s.c.Declaration.Shipped != nil {
			t.Errorf("%s: %+v", what, v)
		}
		s.do(juncture.VerbResume, 4)
		if v := s.view(); !v.Live(at(4)) {
			t.Errorf("%s: resumed, and it does not decide: %+v", what, v)
		}
	}
}

// Nothing unapproved, and nothing that is written for some, becomes what everybody is served; a rule is told.
func TestWhatMayBeShipped(t *testing.T) {
	ship := func(s *shelf, action, copy string) ([]string, error) {
		_, warnings, err := s.try(juncture.VerbShip, 2, func(r *juncture.ExperimentChange) { r.Action, r.Copy = action, copy })
		return warnings, err
	}
	s := begun(t, juncture.StateRunning, testkit.Action("five_off", func(a *juncture.Action) {
		a.Copy[0].Voice, a.Rule = []string{"wedding-guests"}, `lifecycle != "loyal"`
	}))
	if _, err := ship(s, "five_off", "plain"); juncture.ErrorCode(err) != juncture.CodeUnprocessable {
		t.Errorf("copy for some: %v", err)
	}
	if w, err := ship(s, "five_off", ""); err != nil || len(w) != 1 || !strings.Contains(w[0], "rule") {
		t.Errorf("%q, %v", w, err)
	}
	s.do(juncture.VerbShip, 2)
	if got := s.surface().DefaultCopy; got != "urgent" { // the first copy is for some
		t.Errorf("the copy is %q", got)
	}
	s = begun(t, juncture.StateRunning)
	waits := testkit.Declaration(func(d *juncture.Declaration) {
		d.Experiments = nil
		d.Actions = append(d.Actions, juncture.Action{ID: "waits", Surfaces: []string{"home_hero"}, Type: "x", Copy: []juncture.Copy{{ID: "plain", Headline: "x"}}})
	})
	s.apply(waits, false, "ada")
	if _, err := ship(s, "waits", ""); juncture.ErrorCode(err) != juncture.CodeUnprocessable {
		t.Errorf("what waits for review: %v", err)
	}
	s.apply(waits, true, "bob")
	if _, err := ship(s, "waits", ""); err != nil {
		t.Errorf("approved: %v", err)
	}
}

// What became of an experiment outlives an apply of something else, and not of its own surface's default.
func TestApplyAndWhatBecameOfAnExperiment(t *testing.T) {
	left := func(d *juncture.Declaration) {
		d.Experiments, d.Surfaces = nil, d.Surfaces[1:]
		d.Actions = d.Actions[:1]
	}
	s := begun(t, juncture.StateTripped)
	s.apply(testkit.Declaration(testkit.Hero(func(e *juncture.Experiment) { e.Status = juncture.StatusRunning })), true, "ada")
	if v := s.view(); v.State != juncture.StateTripped || v.Tripped.Why != "it fell" {
		t.Errorf("an apply reset the breaker: %+v", v)
	}
	s.do(juncture.VerbPause, 2)
	if v := s.view(); v.Tripped == nil || !slices.Contains(v.Next, juncture.VerbReset) {
		t.Errorf("%+v", v)
	}
	s.do(juncture.VerbReset, 3)
	s.do(juncture.VerbResume, 4)
	s.apply(testkit.Declaration(testkit.Action("news", func(a *juncture.Action) { a.Type = "x" })), true, "ada")
	if v := s.view(); v.State != juncture.StateRunning || v.Tripped != nil || s.c.Declaration.Tripped != nil || v.Reset == nil || !v.Reset.Equal(at(3)) {
		t.Errorf("%+v", v)
	}

	s = begun(t, juncture.StateShipped)
	hero := s.c.Declaration.Experiments[0]
	if c := s.apply(&juncture.Declaration{Store: s.c.Declaration.Store}, true, "ada"); !c.Empty() {
		t.Errorf("%q", c.Lines)
	}
	s.apply(testkit.Declaration(left), true, "ada")
	if v := s.view(); v.State != juncture.StateShipped {
		t.Errorf("an apply of another surface: %+v", v)
	}
	old := testkit.Declaration(func(d *juncture.Declaration) { d.Experiments[0] = hero })
	c := s.apply(old, true, "ada") // from before it was shipped
	if v := s.view(); v.State != juncture.StateStopped || s.surface().Default != "welcome" || len(c.Lines) != 1 || !strings.HasPrefix(c.Lines[0], "~ surface home_hero") {
		t.Errorf("%s %s %q", v.State, s.surface().Default, c.Lines)
	}
	if _, _, err := s.try(juncture.VerbRollback, 5); juncture.ErrorCode(err) != juncture.CodeDecisionConflict {
		t.Errorf("nothing is shipped any more: %v", err)
	}
}

// A second winner takes the first one's place; what is rolled back is the second.
func TestShippingOverAShipment(t *testing.T) {
	s := begun(t, juncture.StateShipped, func(d *juncture.Declaration) {
		e := d.Experiments[0]
		e.ID, e.Status = "next", juncture.StatusDraft
		d.Experiments = append(d.Experiments, e)
	})
	do := func(verb juncture.Verb, action string, hours int) (warnings []string) {
		c, warnings, err := pool.PlanVerb(s.c, "next", verb, juncture.ExperimentChange{Reason: because, Action: action}, "ada", "cli", at(hours))
		if err != nil {
			t.Fatal(err)
		}
		s.take(c)
		return warnings
	}
	do(juncture.VerbStart, "", 2)
	// Rolled back under the other, whose bau is the default: it is said.
	if _, w, err := s.try(juncture.VerbRollback, 3); err != nil || len(w) != 1 || !strings.Contains(w[0], `"next" runs`) {
		t.Errorf("%q, %v", w, err)
	}
	do(juncture.VerbShip, "news", 3)
	if s.view().State != juncture.StateStopped || s.surface().Default != "news" {
		t.Errorf("%+v", s.c.Declaration)
	}
	do(juncture.VerbRollback, "", 4)
	if s.view().State != juncture.StateStopped || s.surface().Default != "five_off" {
		t.Errorf("%+v", s.c.Declaration)
	}
}

// A slice that was taken since leaves the experiment stopped: the default comes back all the same.
func TestRollBackBesideASliceTaken(t *testing.T) {
	half := &juncture.Slice{From: 0, To: 0.5}
	s := begun(t, juncture.StateShipped, func(d *juncture.Declaration) {
		d.Experiments[0].Namespace, d.Experiments[0].Slice = "pages", half
		e := d.Experiments[0]
		e.ID, e.Status, e.Surface = "mail", juncture.StatusDraft, "cart_email"
		d.Experiments = append(d.Experiments, e)
	})
	c, _, err := pool.PlanVerb(s.c, "mail", juncture.VerbStart, juncture.ExperimentChange{Reason: because}, "ada", "cli", at(2))
	if err != nil {
		t.Fatal(err)
	}
	s.take(c)
	c, warnings, err := s.try(juncture.VerbRollback, 3)
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "stays stopped") {
		t.Fatalf("%q, %v", warnings, err)
	}
	s.take(c)
	if v := s.view(); v.State != juncture.StateStopped || s.surface().Default != "welcome" {
		t.Errorf("%+v", v)
	}
}

// Whatever is done in whatever order: what is declared stays sound, a shipment is what everybody is served and comes back
// to exactly what was before it, only a reset undoes a trip, and nothing is done that was not offered.
func TestAnyLife(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := begun(t, juncture.StateDraft)
		plain := s.surface() // what is served where nothing is shipped
		for i := range rapid.IntRange(1, 25).Draw(rt, "steps") {
			before := s.view()
			if before.State == juncture.StateRunning && rapid.IntRange(0, 3).Draw(rt, "trips") == 0 {
				s.trip(i)
				continue
			}
			verb := rapid.SampledFrom(juncture.Verbs()).Draw(rt, "verb")
			change, _, err := s.try(verb, i, func(r *juncture.ExperimentChange) {
				if verb == juncture.VerbShip {
					r.Action = rapid.SampledFrom([]string{"five_off", "news", "welcome"}).Draw(rt, "action")
				}
			})
			if offered := slices.Contains(before.Next, verb); offered != (err == nil) {
				rt.Fatalf("%s of %s, which offers %q: %v", verb, before.State, before.Next, err)
			}
			if err != nil {
				continue
			}
			s.take(change)
			v := s.view()
			if v.State == juncture.StateShipped {
				if s.surface().Default != v.Shipped.Action {
					rt.Fatalf("%s is shipped, %s served", v.Shipped.Action, s.surface().Default)
				}
			} else if diff := cmp.Diff(plain, s.surface()); diff != "" {
				rt.Fatalf("after %s the default is another:\n%s", verb, diff)
			}
			if (v.Tripped != nil) != (before.Tripped != nil && verb != juncture.VerbReset) {
				rt.Fatalf("%s: %+v, then %+v", verb, before.Tripped, v.Tripped)
			}
			d := s.c.Declaration
			d.Actions = testkit.Declaration().Actions
			if p := d.Problems(); len(p) > 0 {
				rt.Fatalf("after %s: %+v", verb, p)
			}
		}
	})
}

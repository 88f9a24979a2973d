package pool_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/internal/testkit"
	"github.com/juncture/juncture/pool"
)

// drop is a priority of two products for a day.
func drop(change ...func(*juncture.Priority)) juncture.Priority {
	p := juncture.Priority{ID: "new-drop", Owner: "mia", Why: "new drop", Products: []string{"a", "b"}, Weight: 0.5, Expires: testkit.Epoch().Add(24 * time.Hour)}
	for _, f := range change {
		f(&p)
	}
	return p
}

// of raises an action instead.
func of(id, action string, weight float64) juncture.Priority {
	return drop(func(p *juncture.Priority) { p.ID, p.Products, p.Action, p.Weight = id, nil, action, weight })
}

func wishes(list ...juncture.Priority) func(*juncture.Declaration) {
	return func(d *juncture.Declaration) { d.Priorities = list }
}

func (s *shelf) priority(id string, now time.Time) juncture.PoolPriority {
	s.t.Helper()
	p, err := pool.FindPriority(s.c, id, now)
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// raised lists the priorities in force, with what they raise.
func (s *shelf) raised() string {
	s.t.Helper()
	snapshot, err := pool.Build(s.c)
	if err != nil {
		s.t.Fatal(err)
	}
	var out []string
	for _, p := range snapshot.Priorities {
		out = append(out, fmt.Sprintf("%s %v%s", p.ID, p.Weight, p.Action))
	}
	return strings.Join(out, ", ")
}

// A priority of a file waits for review, and with approve it is approved as actions and copy are. What stands there
// already makes no version.
func TestAppliedPriorities(t *testing.T) {
	s := newShelf(t)
	s.apply(testkit.Declaration(), true, "ada")
	c := s.apply(testkit.Declaration(wishes(drop())), false, "ada")
	if c.Declaration != nil || len(c.Add) != 1 || len(c.Review) != 0 || len(c.Audit) != 1 || c.Audit[0].Action != "submit" || c.Audit[0].Subject != "priority new-drop@1" || c.Audit[0].Before != nil || !strings.Contains(string(c.Audit[0].After), `"new drop"`) {
		t.Errorf("%+v", c)
	}
	if said := strings.Join(c.Lines, "\n"); !strings.HasPrefix(said, `+ priority new-drop@1 {"id":"new-drop",`) || !strings.HasSuffix(said, "(in review)") {
		t.Error(said)
	}
	if got := s.raised(); got != "" {
		t.Errorf("what waits raises: %s", got)
	}
	if c := s.apply(testkit.Declaration(wishes(drop())), false, "ada"); !c.Empty() || len(c.Lines) != 0 {
		t.Errorf("again: %q", c.Lines)
	}
	c = s.apply(testkit.Declaration(wishes(drop())), true, "ada")
	if len(c.Add) != 0 || len(c.Review) != 1 || !c.Review[0].Bypass || !slices.Equal(c.Lines, []string{"! approve (bypass: approved by its author) priority new-drop@1"}) {
		t.Errorf("%+v", c)
	}
	for _, approve := range []bool{false, true} {
		if c := s.apply(testkit.Declaration(wishes(drop())), approve, "ada"); !c.Empty() {
			t.Errorf("approved already: %q", c.Lines)
		}
	}
	heavier := drop(func(p *juncture.Priority) { p.Weight = 1 })
	c = s.apply(testkit.Declaration(wishes(heavier)), false, "bob")
	if got := s.raised(); got != "new-drop 0.5" || c.Add[0].Number != 2 || c.Audit[0].Before == nil {
		t.Errorf("until it is approved: %s, %+v", got, c.Audit)
	}
	s.change(pool.PlanReview(s.c, juncture.ReviewRequest{Items: []juncture.VersionRef{c.Add[0].Ref()}, Reason: "too much"}, juncture.VerbReject, "ada", "test", testkit.Epoch()))
	c = s.apply(testkit.Declaration(wishes(heavier)), true, "bob")
	if !slices.Equal(c.Lines, []string{"! priority new-drop@2 stays rejected: too much"}) || s.raised() != "new-drop 0.5" {
		t.Errorf("%q, %s", c.Lines, s.raised())
	}
	if c := s.apply(testkit.Declaration(), true, "ada"); !c.Empty() || s.raised() != "new-drop 0.5" {
		t.Errorf("what a file leaves out stays: %q", c.Lines)
	}
	if a := s.find("news", testkit.Epoch()); len(a.Versions) != 1 {
		t.Errorf("%+v", a)
	}
}

// Who wrote a version of a priority cannot approve it; dates and holds say where it stands; a newer version, approved, is
// what brings back what was retired.
func TestTheLifeOfAPriority(t *testing.T) {
	now := testkit.Epoch()
	s := newShelf(t)
	s.apply(testkit.Declaration(), true, "root")
	starts := now.Add(2 * time.Hour)
	draft := juncture.PriorityDraft{Priority: drop(func(p *juncture.Priority) { p.Starts = &starts })}
	stands := func(when time.Time, want juncture.PoolState, next ...juncture.Verb) {
		t.Helper()
		if p := s.priority("new-drop", when); p.State != want || !slices.Equal(p.Next, next) {
			t.Errorf("%s %v, want %s %v", p.State, p.Next, want, next)
		}
	}
	s.change(pool.PlanPriority(s.c, draft, "ada", "test", now))
	stands(now, juncture.PoolDraft)
	if len(pool.Reviews(s.c)) != 0 {
		t.Error("a draft is nobody's to review")
	}
	draft.Submit = true
	s.change(pool.PlanPriority(s.c, draft, "ada", "test", now))
	stands(now, juncture.PoolInReview)
	if _, err := pool.PlanHoldPriority(s.c, "new-drop", juncture.VerbPause, juncture.ReasonRequest{Reason: "x"}, "bob", "test", now); juncture.ErrorCode(err) != juncture.CodeDecisionConflict {
		t.Errorf("nothing is in force yet: %v", err)
	}
	q := pool.Reviews(s.c)
	if len(q) != 1 || q[0].Priority != "new-drop" || q[0].Action != "" || q[0].Live != nil || s.priority("new-drop", now).Waiting != 1 {
		t.Fatalf("%+v", q)
	}
	r := juncture.ReviewRequest{Items: []juncture.VersionRef{q[0].VersionRef}, Reason: "good"}
	if _, err := pool.PlanReview(s.c, r, juncture.VerbApprove, "ada", "test", now); juncture.ErrorCode(err) != juncture.CodeForbidden || !strings.Contains(err.Error(), "priority new-drop@1 is your own") {
		t.Errorf("her own: %v", err)
	}
	s.change(pool.PlanReview(s.c, r, juncture.VerbApprove, "bob", "test", now))
	both := []juncture.Verb{juncture.VerbPause, juncture.VerbRetire}
	stands(now, juncture.PoolScheduled, both...)
	stands(starts, juncture.PoolLive, both...)
	stands(draft.Expires, juncture.PoolExpired, both...)
	hold := func(verb juncture.Verb) {
		t.Helper()
		c, err := pool.PlanHoldPriority(s.c, "new-drop", verb, juncture.ReasonRequest{Reason: "sold out"}, "bob", "test", now)
		s.change(c, err)
		if len(c.Audit) != 1 || c.Audit[0].Subject != "priority new-drop" || c.Audit[0].Action != string(verb) {
			t.Errorf("%+v", c.Audit)
		}
	}
	hold(juncture.VerbPause)
	stands(starts, juncture.PoolPaused, juncture.VerbResume, juncture.VerbRetire)
	if s.raised() != "" {
		t.Error("what is paused raises")
	}
	hold(juncture.VerbResume)
	if s.raised() != "new-drop 0.5" || s.c.Declaration.Holds != nil {
		t.Errorf("resumed: %q %v", s.raised(), s.c.Declaration.Holds)
	}
	hold(juncture.VerbRetire)
	stands(starts, juncture.PoolRetired)
	draft.Weight = 1
	c := s.change(pool.PlanPriority(s.c, draft, "ada", "test", now))
	stands(starts, juncture.PoolRetired)
	s.change(pool.PlanReview(s.c, juncture.ReviewRequest{Items: []juncture.VersionRef{c.Add[0].Ref()}, Reason: "back"}, juncture.VerbApprove, "bob", "test", now))
	if stands(starts, juncture.PoolLive, both...); s.raised() != "new-drop 1" {
		t.Error(s.raised())
	}
}

func TestPrioritiesThatMayNotBe(t *testing.T) {
	now := testkit.Epoch()
	s := newShelf(t)
	s.apply(testkit.Declaration(func(d *juncture.Declaration) { d.Guardrails = &juncture.Guardrails{Words: []string{"last chance"}} }), true, "root")
	for field, f := range map[string]func(*juncture.Priority){
		"id":       func(p *juncture.Priority) { p.ID = "New Drop" },
		"owner":    func(p *juncture.Priority) { p.Owner = " " },
		"":         func(p *juncture.Priority) { p.Products = nil },
		"action":   func(p *juncture.Priority) { p.Action = "news" },
		"weight":   func(p *juncture.Priority) { p.Weight = 1.01 },
		"expires":  func(p *juncture.Priority) { p.Expires = time.Time{} },
		"why":      func(p *juncture.Priority) { p.Why = strings.Repeat("x", juncture.MaxText+1) },
		"category": func(p *juncture.Priority) { p.Category = strings.Repeat("x", juncture.MaxText+1) },
	} {
		_, err := pool.PlanPriority(s.c, juncture.PriorityDraft{Priority: drop(f)}, "ada", "test", now)
		if x, ok := err.(*juncture.Error); !ok || x.Code != juncture.CodeInvalidRequest || x.Field != field {
			t.Errorf("%s: %+v", field, err)
		}
	}
	if _, err := pool.PlanPriority(s.c, juncture.PriorityDraft{Priority: of("x", "nothing", 1)}, "ada", "test", now); juncture.ErrorCode(err) != juncture.CodeInvalidRequest {
		t.Errorf("of no action: %v", err)
	}
	past := juncture.PriorityDraft{Priority: drop(func(p *juncture.Priority) { p.Expires = now }), Submit: true}
	if _, err := pool.PlanPriority(s.c, past, "ada", "test", now); juncture.ErrorCode(err) != juncture.CodeInvalidRequest {
		t.Errorf("over already: %v", err)
	}
	loud := juncture.PriorityDraft{Priority: drop(func(p *juncture.Priority) { p.Why = "Last chance!" })}
	if _, err := pool.PlanPriority(s.c, loud, "ada", "test", now); err != nil {
		t.Errorf("a draft may say anything: %v", err)
	}
	loud.Submit = true
	if _, err := pool.PlanPriority(s.c, loud, "ada", "test", now); juncture.ErrorCode(err) != juncture.CodeUnprocessable || !strings.Contains(err.Error(), `why says "last chance"`) {
		t.Errorf("what shoppers are told: %v", err)
	}
	for _, ref := range []juncture.VersionRef{{Number: 1}, {Action: "news", Priority: "new-drop", Number: 1}, {Priority: "new-drop", Copy: "plain", Number: 1}} {
		_, err := pool.PlanReview(s.c, juncture.ReviewRequest{Items: []juncture.VersionRef{ref}, Reason: "x"}, juncture.VerbApprove, "bob", "test", now)
		if juncture.ErrorCode(err) != juncture.CodeInvalidRequest {
			t.Errorf("%+v: %v", ref, err)
		}
	}
	if _, err := pool.PlanHoldPriority(s.c, "none", juncture.VerbPause, juncture.ReasonRequest{Reason: "x"}, "bob", "test", now); juncture.ErrorCode(err) != juncture.CodeNotFound {
		t.Errorf("%v", err)
	}
}

// A priority of an action is a nudge of 2^weight in the experiments where the action is offered, and whose shares evidence
// moves.
func TestPrioritiesOfActionsAreNudges(t *testing.T) {
	s := newShelf(t)
	said := func() string {
		t.Helper()
		snapshot, err := pool.Build(s.c)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, e := range []*juncture.Experiment{snapshot.Experiments["hero"], snapshot.Surfaces["home_hero"].Experiment(testkit.Epoch())} {
			var line []string
			for _, n := range e.Nudges {
				line = append(line, fmt.Sprintf("%s×%.6f %s", n.Action, n.Factor, n.Priority))
			}
			out = append(out, strings.Join(line, ", "))
		}
		if out[0] != out[1] {
			t.Errorf("by its id %s, at its surface %s", out[0], out[1])
		}
		return out[0]
	}
	own := testkit.Hero(func(e *juncture.Experiment) {
		e.Nudges = []juncture.Nudge{{Action: "points", Factor: 0.5, Owner: "ada", Expires: testkit.Epoch().Add(time.Hour)}}
	})
	s.apply(testkit.Declaration(own, wishes(of("z", "news", 1), of("a", "five_off", 0.5), drop())), true, "root")
	if got, want := said(), "points×0.500000 , five_off×1.414214 a, news×2.000000 z"; got != want { // 2^0.5 = 1.4142136, 2^1 = 2
		t.Errorf("%s, want %s", got, want)
	}
	if n := s.c.Declaration.Experiments[0].Nudges; len(n) != 1 {
		t.Errorf("the declaration has %+v", n)
	}
	s.change(pool.PlanHoldPriority(s.c, "z", juncture.VerbPause, juncture.ReasonRequest{Reason: "x"}, "bob", "test", testkit.Epoch()))
	if got := said(); strings.Contains(got, "news") {
		t.Errorf("paused: %s", got)
	}
	s.apply(testkit.Declaration(testkit.Hero(func(e *juncture.Experiment) { e.Policy = juncture.PolicyUniform })), true, "root")
	if got := said(); got != "" {
		t.Errorf("of a uniform policy: %s", got)
	}
}

// At a surface there is room for 16 that are not over; of more, those that end last count.
func TestRoomForPrioritiesOfActions(t *testing.T) {
	now := testkit.Epoch()
	s := newShelf(t)
	var list []juncture.Priority
	for i := range juncture.MaxNudges {
		list = append(list, of(fmt.Sprintf("p%02d", i), "news", 0.1))
	}
	s.apply(testkit.Declaration(wishes(list...)), true, "root")
	one := of("more", "points", 1)
	if _, err := s.plan(testkit.Declaration(wishes(one)), true, "root"); juncture.ErrorCode(err) != juncture.CodeUnprocessable {
		t.Errorf("the 17th by a file: %v", err)
	}
	c := s.apply(testkit.Declaration(wishes(one)), false, "root")
	r := juncture.ReviewRequest{Items: []juncture.VersionRef{c.Add[0].Ref()}, Reason: "x"}
	if _, err := pool.PlanReview(s.c, r, juncture.VerbApprove, "bob", "test", now); juncture.ErrorCode(err) != juncture.CodeUnprocessable {
		t.Errorf("the 17th: %v", err)
	}
	mail := testkit.Action("welcome", func(a *juncture.Action) { a.Surfaces = []string{"cart_email"} })
	elsewhere := func(d *juncture.Declaration) { d.Surfaces[0].Default = "news"; mail(d) }
	if _, err := s.plan(testkit.Declaration(elsewhere, wishes(of("elsewhere", "welcome", 1))), true, "root"); err != nil {
		t.Errorf("at another surface: %v", err)
	}
	s.change(pool.PlanHoldPriority(s.c, "p03", juncture.VerbPause, juncture.ReasonRequest{Reason: "x"}, "bob", "test", now))
	s.change(pool.PlanReview(s.c, r, juncture.VerbApprove, "bob", "test", now))
	if _, err := pool.PlanHoldPriority(s.c, "p03", juncture.VerbResume, juncture.ReasonRequest{Reason: "x"}, "bob", "test", now); juncture.ErrorCode(err) != juncture.CodeUnprocessable {
		t.Errorf("resumed where there is no room: %v", err)
	}
	later := now.Add(48 * time.Hour) // all of those are over
	fresh := juncture.PriorityDraft{Submit: true, Priority: of("fresh", "news", 1)}
	fresh.Expires = later.Add(time.Hour)
	c = s.change(pool.PlanPriority(s.c, fresh, "ada", "test", later))
	s.change(pool.PlanReview(s.c, juncture.ReviewRequest{Items: []juncture.VersionRef{c.Add[0].Ref()}, Reason: "x"}, juncture.VerbApprove, "bob", "test", later))
	snapshot, err := pool.Build(s.c)
	if err != nil {
		t.Fatal(err)
	}
	n := snapshot.Experiments["hero"].Nudges
	if len(n) != juncture.MaxNudges || !slices.ContainsFunc(n, func(n juncture.Nudge) bool { return n.Priority == "fresh" }) || !slices.IsSortedFunc(n, func(a, b juncture.Nudge) int { return strings.Compare(a.Priority, b.Priority) }) {
		t.Errorf("%d: %+v", len(n), n)
	}
}

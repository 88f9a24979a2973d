package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/audit"
	"github.com/juncture/juncture/engine"
	"github.com/juncture/juncture/internal/testkit"
)

// fuse is a breaker that trips when it is told to.
type fuse struct {
	mu    sync.Mutex
	blown []engine.Trip
	err   error
	asked []string
	since time.Time
	then  func() // before it answers
}

func (f *fuse) Trips(_ context.Context, x juncture.Experiment, since, now time.Time) ([]engine.Trip, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked, f.since = append(f.asked, x.ID), since
	if f.then != nil {
		f.then()
	}
	if len(x.Guards) == 0 || now.IsZero() {
		return nil, errors.New("asked about nothing")
	}
	return f.blown, f.err
}

func (f *fuse) blow(why ...string) {
	f.blown = nil
	for _, w := range why {
		f.blown = append(f.blown, engine.Trip{Guard: guard(), Why: w})
	}
}

func guard() juncture.Guard {
	return juncture.Guard{Outcome: "click", Direction: juncture.GuardBelow, Margin: 0.2}
}

func guarded(d *juncture.Declaration) { d.Experiments[0].Guards = []juncture.Guard{guard()} }

// fused is a shop with guards and a breaker.
func fused(t *testing.T, changes ...func(*juncture.Declaration)) (*shop, *fuse) {
	t.Helper()
	f := &fuse{}
	changes = append([]func(*juncture.Declaration){testkit.Shares(1-1e-6, 0, 1e-6, 0), guarded}, changes...) // policy, but for one in a million
	return &shop{testkit.Start(t, testkit.Declaration(changes...), testkit.NodeOptions{Breaker: f}), t}, f
}

func (s *shop) watch() []juncture.ExperimentView {
	s.t.Helper()
	tripped, err := s.Engine.Guard(context.Background(), s.Clock.Now())
	if err != nil {
		s.t.Fatal(err)
	}
	return tripped
}

func mia() engine.Who { return engine.Who{Actor: "key:mia", From: "api"} }

func (s *shop) change(verb juncture.Verb, r juncture.ExperimentChange) juncture.ExperimentView {
	s.t.Helper()
	if r.Reason == "" {
		r.Reason = "because"
	}
	v, err := s.Engine.ChangeExperiment(context.Background(), s.Clock.Now(), mia(), "hero", verb, r)
	if err != nil {
		s.t.Fatalf("%s: %v", verb, err)
	}
	return v
}

// last is the newest entry of the audit log.
func (s *shop) last() audit.Entry {
	s.t.Helper()
	var last audit.Entry
	for e, err := range s.DB.Audit(context.Background()) {
		if err != nil {
			s.t.Fatal(err)
		}
		last = e
	}
	return last
}

// arms are the trials of the experiment by group and whether an arm has them.
func (s *shop) arms() (of map[juncture.Group]int64, none map[juncture.Group]int64) {
	s.t.Helper()
	of, none = map[juncture.Group]int64{}, map[juncture.Group]int64{}
	for _, c := range s.cells("hero") {
		for _, r := range c.Rows {
			switch {
			case r.Event != "" || r.Delay != 0:
			case r.Arm == 0:
				none[r.Group] += r.Trials
			default:
				of[r.Group] += r.Trials
			}
		}
	}
	return of, none
}

// While the breaker has tripped, the groups that are drawn for are served the default: in the log, in their group, in the
// experiment's units, and no arm's trial. Reset, the policy chooses again.
func TestBreaker(t *testing.T) {
	s, f := fused(t, testkit.Shares(0.4, 0.2, 0.2, 0.2))
	const n = 120
	was := map[string]juncture.Group{}
	for i := range n {
		id := fmt.Sprint("s", i)
		was[id] = s.choose(ask(id)).Group
	}
	if len(s.watch()) != 0 || len(f.asked) != 1 || !f.since.IsZero() {
		t.Errorf("asked about %q", f.asked)
	}
	before, _ := s.arms()
	f.blow("Clicks fell.", "And again.")
	s.Clock.Advance(time.Minute)
	tripped := s.watch()
	if len(tripped) != 1 || tripped[0].State != juncture.StateTripped || tripped[0].Tripped.Why != "Clicks fell. And again." || tripped[0].Tripped.Guard != guard() || !tripped[0].Tripped.At.Equal(s.Clock.Now()) {
		t.Fatalf("%+v", tripped)
	}
	if e := s.last(); e.Actor != "breaker" || e.Action != "trip" || e.Subject != "experiment hero" || !strings.Contains(string(e.After), `"reason":"Clicks fell. And again."`) || !strings.Contains(string(e.Before), `"state":"running"`) {
		t.Errorf("%+v", e)
	}
	if again := s.watch(); len(again) != 0 || len(f.asked) != 2 {
		t.Errorf("what has tripped is judged again: %q", f.asked)
	}
	s.Restart() // it lasts
	var taken []string
	for i := range 2 * n {
		id := fmt.Sprint("s", i)
		a := s.choose(ask(id, func(r *juncture.ChooseRequest) { r.Explain = true }))
		if group, known := was[id]; known && a.Group != group {
			t.Fatalf("%s was in %s and is in %s", id, group, a.Group)
		}
		switch a.Group {
		case juncture.GroupPolicy, juncture.GroupRandom:
			is(t, a, a.Group, juncture.ReasonDefault, juncture.DetailBreaker)
			if served(a) != "welcome/plain" || a.Probability != 1 || !a.Active {
				t.Errorf("%s, %v", served(a), a.Probability)
			}
			taken = append(taken, a.DecisionID)
		case juncture.GroupBAU:
			is(t, a, a.Group, juncture.ReasonSplit, "")
		default:
			is(t, a, juncture.GroupHoldout, juncture.ReasonSplit, juncture.DetailHoldout)
		}
	}
	after, none := s.arms()
	for _, g := range []juncture.Group{juncture.GroupPolicy, juncture.GroupRandom} {
		if after[g] != before[g] {
			t.Errorf("%s had %d trials of arms and has %d", g, before[g], after[g])
		}
	}
	if got := none[juncture.GroupPolicy] + none[juncture.GroupRandom]; got != int64(len(taken)) || len(taken) == 0 || after[juncture.GroupBAU] <= before[juncture.GroupBAU] {
		t.Errorf("%d trials of no arm, of %d decisions; bau %v, then %v", got, len(taken), before, after)
	}
	// What follows is recorded and credited, also without a decision's id, and nothing is learnt from it.
	a := s.rewardIs(juncture.StatusRecorded, click(taken[0]))
	if a.Learned || a.AttributedTo[0].Experiment != "hero" {
		t.Errorf("%+v", a)
	}
	if v := s.Engine.Stats().Vectors.Load(); v != 0 { // since the restart
		t.Errorf("the policy was asked %d times", v)
	}
	newcomer := ""
	for i := 0; newcomer == ""; i++ {
		if b := s.choose(ask(fmt.Sprint("new", i))); b.Group == juncture.GroupPolicy {
			newcomer = fmt.Sprint("new", i)
		}
	}
	a = s.rewardIs(juncture.StatusRecorded, &juncture.RewardRequest{ShopperID: newcomer, Event: "click", OutcomeID: "o"})
	if len(a.AttributedTo) != 1 || a.AttributedTo[0].Experiment != "hero" || a.Learned {
		t.Errorf("%+v", a)
	}
	s.Verify()
	// Somebody resets it, with a reason.
	f.blow()
	if v := s.change(juncture.VerbReset, juncture.ExperimentChange{Reason: "the mail was at fault"}); v.State != juncture.StateRunning || v.Tripped != nil {
		t.Errorf("%+v", v)
	}
	if e := s.last(); e.Actor != "key:mia" || e.Action != "reset" || e.From != "api" || !strings.Contains(string(e.After), "the mail was at fault") || !strings.Contains(string(e.Before), "Clicks fell.") {
		t.Errorf("%+v", e)
	}
	if s.watch(); !f.since.Equal(s.Clock.Now()) || len(f.asked) != 3 { // by who comes now: what was before has been answered for
		t.Errorf("asked about %q since %v", f.asked, f.since)
	}
	if b := s.choose(ask(newcomer)); b.Group != juncture.GroupPolicy || b.Reason != juncture.ReasonSplit || len(b.Ranking) != 5 {
		t.Errorf("%+v", b)
	}
	if n, err := audit.Verify(s.DB.Audit(context.Background())); err != nil {
		t.Errorf("%d entries: %v", n, err)
	}
	s.Verify()
}

// A shopper's session neither keeps the policy's answer while the breaker has tripped, nor the default once it is reset.
func TestBreakerAndSessions(t *testing.T) {
	s, f := fused(t)
	first := s.choose(ask("s", session("x"), candidates("news")))
	f.blow("Clicks fell.")
	s.watch()
	a := s.choose(ask("s", session("x"), candidates("news")))
	is(t, a, juncture.GroupPolicy, juncture.ReasonDefault, juncture.DetailBreaker)
	if served(a) != "welcome/plain" {
		t.Error(served(a))
	}
	fresh := s.choose(ask("t", session("y"), candidates("news")))
	is(t, fresh, juncture.GroupPolicy, juncture.ReasonDefault, juncture.DetailBreaker)
	repeat := s.choose(ask("t", session("y"), candidates("news"), request("r")))
	if again := s.choose(ask("t", session("y"), candidates("news"), request("r"))); again.DecisionID != repeat.DecisionID || again.ReasonDetail != juncture.DetailReplay {
		t.Errorf("%+v", again)
	}
	s.change(juncture.VerbReset, juncture.ExperimentChange{})
	if a := s.choose(ask("s", session("x"), candidates("news"))); a.DecisionID != first.DecisionID || a.ReasonDetail != juncture.DetailSticky {
		t.Errorf("%+v", a)
	}
	if a := s.choose(ask("t", session("y"), candidates("news"))); served(a) != "news/plain" || a.Reason == juncture.ReasonDefault {
		t.Errorf("%+v", a)
	}
	s.Verify()
}

// Whoever is not drawn for, or cannot be served a default, and what a page says that it showed instead.
func TestBreakerAtTheEdges(t *testing.T) {
	s, f := fused(t, func(d *juncture.Declaration) { d.Surfaces[0].Default = "" })
	f.blow("Clicks fell.")
	s.watch()
	a := s.choose(ask("s"))
	is(t, a, juncture.GroupPolicy, juncture.ReasonDefault, juncture.DetailBreaker)
	if a.ActionID != nil {
		t.Error("something is served where there is no default")
	}
	s, f = fused(t)
	f.blow("Clicks fell.")
	s.watch()
	refuses := s.choose(ask("denies", denied, request("r")))
	is(t, refuses, juncture.GroupNone, juncture.ReasonDefault, juncture.DetailConsentDenied)
	if again := s.choose(ask("denies", denied, request("r"))); again.DecisionID != refuses.DecisionID || served(again) != "welcome/plain" {
		t.Errorf("%+v, then %+v", refuses, again)
	}
	is(t, s.choose(ask("e", candidates("none"))), juncture.GroupNone, juncture.ReasonDefault, juncture.DetailEmptyPool)
	d := s.choose(ask("mail", deferred))
	s.rewardIs(juncture.StatusHeld, click(d.DecisionID))
	s.activate(d.DecisionID, &juncture.Served{ActionID: "news", CopyID: "plain"})
	of, none := s.arms()
	if len(of) != 0 || none[juncture.GroupPolicy] != 1 {
		t.Errorf("%v of arms, %v of none", of, none)
	}
	s.Verify()
}

// Only what runs and has guards is judged; what cannot be judged is told, and keeps no other from it.
func TestWatch(t *testing.T) {
	f := &fuse{}
	mail := func(d *juncture.Declaration) {
		e := d.Experiments[0]
		e.ID, e.Surface = "mail", "cart_email"
		d.Experiments = append(d.Experiments, e)
	}
	d := testkit.Declaration(testkit.Shares(0.5, 0, 0.5, 0), guarded, mail)
	s := &shop{testkit.Start(t, d, testkit.NodeOptions{Breaker: f}), t}
	f.err, f.blown = errors.New("no evidence"), nil
	if tripped, err := s.Engine.Guard(t.Context(), s.Clock.Now()); len(tripped) != 0 || err == nil || strings.Count(err.Error(), "no evidence") != 2 {
		t.Errorf("%+v, %v", tripped, err)
	}
	f.err = nil
	s.change(juncture.VerbPause, juncture.ExperimentChange{})
	f.asked = nil
	f.blow(strings.Repeat("é", 1500))
	tripped := s.watch()
	if len(tripped) != 1 || tripped[0].ID != "mail" || len(f.asked) != 1 || tripped[0].Tripped.Why != strings.Repeat("é", 1000) {
		t.Errorf("asked about %q, tripped %+v", f.asked, tripped)
	}
	// Somebody pauses what is being judged: nothing trips. Somebody changes something else: it trips all the same.
	s.change(juncture.VerbResume, juncture.ExperimentChange{})
	f.then = func() { s.change(juncture.VerbPause, juncture.ExperimentChange{}) }
	if tripped := s.watch(); len(tripped) != 0 {
		t.Errorf("%+v", tripped)
	}
	f.then = nil
	s.change(juncture.VerbResume, juncture.ExperimentChange{})
	if tripped := s.watch(); len(tripped) != 1 {
		t.Errorf("%+v", tripped)
	}
	// Without a breaker guards are declared in vain.
	s = open(t, testkit.Shares(0.5, 0, 0.5, 0), guarded)
	if _, err := s.Engine.Guard(t.Context(), s.Clock.Now()); juncture.ErrorCode(err) != juncture.CodeUnavailable {
		t.Errorf("%v", err)
	}
	s.change(juncture.VerbPause, juncture.ExperimentChange{})
	if _, err := s.Engine.Guard(t.Context(), s.Clock.Now()); err != nil {
		t.Error(err)
	}
}

// Each call after a change sees it.
func TestAnExperimentsLife(t *testing.T) {
	s := open(t, testkit.Hero(func(e *juncture.Experiment) { e.Status = juncture.StatusDraft }))
	sees := func(action string, reason juncture.Reason) {
		t.Helper()
		a := s.choose(ask("s", candidates("news")))
		if a.Reason != reason || *a.ActionID != action {
			t.Errorf("%s of %s, want %s of %s", *a.ActionID, a.Reason, action, reason)
		}
	}
	sees("welcome", juncture.ReasonStatic)
	for _, step := range []struct {
		verb   juncture.Verb
		action string // that the shopper sees then, who may be shown news alone
		reason juncture.Reason
		state  juncture.State
	}{
		{juncture.VerbStart, "news", juncture.ReasonTargeting, juncture.StateRunning},
		{juncture.VerbPause, "welcome", juncture.ReasonStatic, juncture.StatePaused},
		{juncture.VerbResume, "news", juncture.ReasonTargeting, juncture.StateRunning},
		{juncture.VerbStop, "welcome", juncture.ReasonStatic, juncture.StateStopped},
		{juncture.VerbShip, "five_off", juncture.ReasonStatic, juncture.StateShipped},
		{juncture.VerbRollback, "welcome", juncture.ReasonStatic, juncture.StatePaused},
		{juncture.VerbResume, "news", juncture.ReasonTargeting, juncture.StateRunning},
	} {
		s.Clock.Advance(time.Hour)
		r := juncture.ExperimentChange{Reason: "since " + string(step.verb)}
		if step.verb == juncture.VerbShip {
			r.Action, r.Copy = "five_off", "urgent"
		}
		if v := s.change(step.verb, r); v.State != step.state {
			t.Errorf("%s leads to %s", step.verb, v.State)
		}
		sees(step.action, step.reason)
		if step.verb == juncture.VerbShip {
			if got := served(s.choose(ask("s"))); got != "five_off/urgent" {
				t.Errorf("everybody is served %s", got)
			}
			s.Restart()
			sees(step.action, step.reason)
		}
		var after struct{ Reason string }
		e := s.last()
		if err := json.Unmarshal(e.After, &after); err != nil || e.Action != string(step.verb) || e.Actor != "key:mia" || after.Reason != r.Reason || !e.At.Equal(s.Clock.Now()) {
			t.Errorf("%s is noted as %+v (%s)", step.verb, e, e.After)
		}
	}
	s.Verify()
}

// together lets readers of the catalogue go on once two have read it.
type together struct {
	engine.ConfigStore
	read *sync.WaitGroup
}

func (c together) Catalog(ctx context.Context) (*juncture.Catalog, error) {
	found, err := c.ConfigStore.Catalog(ctx)
	c.read.Done()
	c.read.Wait()
	return found, err
}

// Two change an experiment that both saw running: one is done, the other is told to look again.
func TestTwoChangesAtOnce(t *testing.T) {
	s := open(t)
	store := together{s.DB, &sync.WaitGroup{}}
	store.read.Add(2)
	errs := make(chan error, 2)
	for _, verb := range []juncture.Verb{juncture.VerbPause, juncture.VerbStop} { // one after the other both would do
		go func() {
			_, _, err := engine.ChangeExperiment(context.Background(), store, s.Clock.Now(), mia(), "hero", verb, juncture.ExperimentChange{Reason: string(verb)})
			errs <- err
		}()
	}
	var refused error
	for range 2 {
		if err := <-errs; err != nil && refused != nil {
			t.Errorf("both are refused: %v and %v", refused, err)
		} else if err != nil {
			refused = err
		}
	}
	if juncture.ErrorCode(refused) != juncture.CodeDecisionConflict {
		t.Errorf("%v", refused)
	}
	p, err := s.Engine.Declared(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	v, err := p.Declaration.View("hero")
	if e := s.last(); err != nil || map[string]juncture.State{"pause": juncture.StatePaused, "stop": juncture.StateStopped}[e.Action] != v.State || p.Number != 2 {
		t.Errorf("it is %s, and the last entry %s; configuration %d: %v", v.State, e.Action, p.Number, err)
	}
}

// contended is a store in which somebody else is quicker a number of times.
type contended struct {
	engine.ConfigStore
	times *int
}

func (c contended) Change(ctx context.Context, change juncture.Change) error {
	if *c.times > 0 {
		*c.times--
		return juncture.Errorf(juncture.CodeDecisionConflict, "the configuration changed meanwhile")
	}
	return c.ConfigStore.Change(ctx, change)
}

// A breaker does not give up because somebody applied something at the same time.
func TestATripIsPlannedAgain(t *testing.T) {
	f, times := &fuse{}, 3
	s := &shop{testkit.Start(t, testkit.Declaration(testkit.Shares(0.5, 0, 0.5, 0), guarded), testkit.NodeOptions{Breaker: f,
		Config: func(c engine.ConfigStore) engine.ConfigStore { return contended{c, &times} }}), t}
	f.blow("Clicks fell.")
	if tripped := s.watch(); len(tripped) != 1 || times != 0 {
		t.Errorf("%+v, %d times left", tripped, times)
	}
	s.change(juncture.VerbReset, juncture.ExperimentChange{})
	times = 100
	if _, err := s.Engine.Guard(t.Context(), s.Clock.Now()); juncture.ErrorCode(err) != juncture.CodeDecisionConflict {
		t.Errorf("%v", err)
	}
	times = 0
}

package engine_test

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/engine"
	"github.com/juncture/juncture/internal/testkit"
)

func raising(id, action string, weight float64, ends time.Time) func(*juncture.Declaration) {
	return func(d *juncture.Declaration) {
		d.Priorities = append(d.Priorities, juncture.Priority{ID: id, Owner: "mia", Why: "new drop", Action: action, Weight: weight, Expires: ends})
	}
}

func (s *shop) holdPriority(id string, verb juncture.Verb) {
	s.t.Helper()
	who := engine.Who{Actor: "user:bob", From: "test"}
	if err := s.Engine.HoldPriority(context.Background(), s.Clock.Now(), who, id, verb, juncture.ReasonRequest{Reason: "because"}); err != nil {
		s.t.Fatal(err)
	}
}

// A priority of an action is a nudge from the next call on, and no longer once it is held back; what was decided under it is
// made again to the last digit after it has gone.
func TestAPriorityOfAnActionNudges(t *testing.T) {
	s := open(t)
	explain := func(r *juncture.ChooseRequest) { r.Explain = true }
	chance := func(who string) (p float64, nudges []juncture.NudgeView, id string) {
		t.Helper()
		a := s.choose(ask(who, explain))
		for _, r := range a.Ranking {
			if r.ActionID == "news" {
				p += r.Probability
			}
		}
		return p, a.Explanation.Nudges, a.DecisionID
	}
	is := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 2e-3 { // of the integration (statistics C.1)
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	plain := 0.99*0.25 + 0.01/5 // four actions weigh 1/4 each, five_off's in two copies
	p, n, _ := chance("a")
	is("before", p, plain)
	if len(n) != 0 {
		t.Errorf("%+v", n)
	}
	ends := s.Clock.Now().Add(48 * time.Hour)
	s.apply(raising("push", "news", 1, ends))
	p, n, raised := chance("b")
	is("raised", p, 0.99*0.4+0.01/5) // 2/4 of 5/4
	if len(n) != 1 || n[0].Priority != "push" || n[0].Factor != 2 || n[0].ActionID != "news" || n[0].Owner != "mia" {
		t.Errorf("explained as %+v", n)
	}
	s.holdPriority("push", juncture.VerbPause)
	p, n, paused := chance("c")
	if is("paused", p, plain); len(n) != 0 {
		t.Errorf("%+v", n)
	}
	s.holdPriority("push", juncture.VerbResume)
	s.teach(4, 1)
	_, _, learnt := chance("d")
	s.holdPriority("push", juncture.VerbRetire)
	s.Restart()
	s.Clock.Advance(72 * time.Hour)
	r := s.replayer()
	log := s.Engine.LogOf(s.DB)
	for what, x := range map[string]struct {
		id     string
		nudges int
	}{"raised": {raised, 1}, "paused": {paused, 0}, "learnt": {learnt, 1}} {
		c, err := s.Engine.OpenDecision(x.id)
		if err != nil {
			t.Fatal(err)
		}
		v, err := r.Replay(context.Background(), c.Serial)
		if err != nil || v.Verdict != juncture.VerdictMatch {
			t.Errorf("%s: %+v, %v", what, v, err)
		}
		e, err := log.Explain(context.Background(), c.Serial)
		if err != nil || len(e.Nudges) != x.nudges || x.nudges > 0 && e.Nudges[0].Priority != "push" {
			t.Errorf("%s is explained with %+v, %v", what, e, err)
		}
	}
	s.Verify()
}

// What a priority of an action costs is what the draw gives up by it, Σ (p without − p with) × what each arm brings, over the
// traffic of the intersections.
func TestWhatAPriorityOfAnActionCosts(t *testing.T) {
	s := open(t)
	s.teach(10, 3) // 5% of clicks; 20% of news for loyal shoppers and of points for prospects
	ctx := context.Background()
	preview := func(p juncture.Priority) juncture.PriorityEffect {
		t.Helper()
		v, err := s.Engine.PreviewPriority(ctx, s.Clock.Now(), "", p)
		if err != nil || len(v.Effects) != 1 || len(v.Slots) != 0 {
			t.Fatalf("%+v, %v", v, err)
		}
		e := v.Effects[0]
		if e.Experiment != "hero" || e.Unit != "click" || math.Abs(e.Covered-1) > 1e-9 || e.Chance > 1 || e.Without < 0 {
			t.Errorf("%+v", e)
		}
		return e
	}
	ends := s.Clock.Now().Add(48 * time.Hour)
	poor := juncture.Priority{ID: "poor", Owner: "mia", Action: "welcome", Weight: 1, Expires: ends}
	e := preview(poor)
	if !(e.Chance > e.Without && e.Cost > 0) {
		t.Errorf("more of what is worse costs nothing: %+v", e)
	}
	// All that it gains in chance, the others lose: it costs at most the gap of the best and the worst, 0.2 − 0.05 and some.
	if gained := e.Chance - e.Without; e.Cost > 0.2*gained || e.Chance > 2*e.Without+1e-9 {
		t.Errorf("%+v", e)
	}
	half := poor
	half.Weight = 0.5
	if h := preview(half); !(h.Cost > 0 && h.Cost < e.Cost && h.Chance < e.Chance) {
		t.Errorf("half the weight: %+v, whole %+v", h, e)
	}
	s.apply(raising("poor", "welcome", 1, ends))
	live, err := s.Engine.PriorityEffects(ctx, s.Clock.Now())
	if err != nil || len(live["poor"]) != 1 {
		t.Fatalf("%+v, %v", live, err)
	}
	if l := live["poor"][0]; math.Abs(l.Cost-e.Cost) > 1e-12 || math.Abs(l.Chance-e.Chance) > 1e-12 {
		t.Errorf("in force it costs %+v, foreseen was %+v", l, e)
	}
	if l := preview(poor); math.Abs(l.Cost-e.Cost) > 1e-12 {
		t.Errorf("the same once it is in force: %+v, %+v", l, e)
	}
	later := ends
	if after, err := s.Engine.PriorityEffects(ctx, later); err != nil || len(after) != 0 {
		t.Errorf("after its end: %+v, %v", after, err)
	}
	s.apply(raising("poor", "welcome", 1, ends), testkit.Hero(func(e *juncture.Experiment) { e.Policy = juncture.PolicyFlat }))
	if v, err := s.Engine.PreviewPriority(ctx, s.Clock.Now(), "", poor); err != nil || len(v.Effects) != 0 {
		t.Errorf("of a policy that fits nothing nobody knows: %+v, %v", v, err)
	}
}

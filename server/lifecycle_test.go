package server_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/engine"
	"github.com/juncture/juncture/internal/testkit"
)

// alarm trips the first guard of whatever it is asked about, once it is set.
type alarm struct{ set atomic.Bool }

func (a *alarm) Trips(_ context.Context, x juncture.Experiment, _, _ time.Time) ([]engine.Trip, error) {
	if !a.set.Load() {
		return nil, nil
	}
	return []engine.Trip{{Guard: x.Guards[0], Why: "Unsubscribes of the policy are 1.4 to 1.9 times those of business as usual."}}, nil
}

func guarded(d *juncture.Declaration) {
	d.Outcomes = append(d.Outcomes, juncture.OutcomeType{Name: "unsubscribe", Type: juncture.OutcomeBinary})
	d.Experiments[0].Groups = juncture.GroupShares{Policy: 1 - 1e-6, BAU: 1e-6} // policy, but for one in a million
	d.Experiments[0].Guards = []juncture.Guard{{Outcome: "unsubscribe", Direction: juncture.GuardAbove, Margin: 0.2}}
}

func (s *site) post(path, body string) reply {
	s.t.Helper()
	return s.call("POST", path, body, headers("Authorization", "Bearer "+s.keys["admin"]))
}

func (s *site) hero() (v juncture.ExperimentView) {
	s.t.Helper()
	r := s.call("GET", "/api/v1/experiments/hero", "", headers("Authorization", "Bearer "+s.keys["read"]))
	if err := json.Unmarshal(r.body, &v); err != nil || r.status != 200 {
		s.t.Fatalf("%d %v %s", r.status, err, r.body)
	}
	return v
}

// noted are the audit's entries about the experiment, as actor, verb and reason.
func (s *site) noted() []string {
	s.t.Helper()
	var out []string
	for e, err := range s.DB.Audit(s.t.Context()) {
		if err != nil {
			s.t.Fatal(err)
		}
		var after struct{ Reason string }
		if e.Subject == "experiment hero" && json.Unmarshal(e.After, &after) == nil && after.Reason != "" {
			out = append(out, e.Actor+" "+e.Action+" "+after.Reason)
		}
	}
	return out
}

// From a guard that trips to its reset, as an operator sees it.
func TestBreakerOverHTTP(t *testing.T) {
	t.Parallel()
	a := &alarm{}
	s := openOn(t, testkit.Start(t, testkit.Declaration(guarded), testkit.NodeOptions{Breaker: a}))
	if first := s.choose(juncture.ChooseRequest{}); first.Reason != juncture.ReasonSplit || s.hero().State != juncture.StateRunning || s.hero().Tripped != nil {
		t.Errorf("%+v", first)
	}
	a.set.Store(true)
	if tripped, err := s.Engine.Guard(t.Context(), s.Clock.Now()); err != nil || len(tripped) != 1 {
		t.Fatalf("%+v, %v", tripped, err)
	}
	v := s.hero()
	if v.State != juncture.StateTripped || v.Tripped == nil || v.Tripped.Guard.Outcome != "unsubscribe" || !strings.HasPrefix(v.Tripped.Why, "Unsubscribes") || !slices.Contains(v.Next, juncture.VerbReset) {
		t.Errorf("%+v", v)
	}
	d := s.choose(juncture.ChooseRequest{ShopperID: "bob"})
	if d.Group != juncture.GroupPolicy || d.Reason != juncture.ReasonDefault || d.ReasonDetail != juncture.DetailBreaker || *d.ActionID != "welcome" {
		t.Errorf("%+v", d)
	}
	if r, code := s.reward(juncture.RewardRequest{DecisionID: d.DecisionID}); code != "" || r.Status != juncture.StatusRecorded || r.Learned {
		t.Errorf("%+v %s", r, code)
	}
	r := s.post("/api/v1/experiments/hero/resume", `{"reason":"x"}`)
	if r.status != 409 || r.problem.ErrorCode != juncture.CodeDecisionConflict || !strings.Contains(r.problem.Hint, "reset") {
		t.Errorf("%d %+v", r.status, r.problem)
	}
	if r := s.post("/api/v1/experiments/hero/reset", `{"reason":"one bad mail"}`); r.status != 200 || s.hero().State != juncture.StateRunning || s.hero().Reset == nil || s.hero().Tripped != nil {
		t.Errorf("%d %s", r.status, r.body)
	}
	if d := s.choose(juncture.ChooseRequest{ShopperID: "bob"}); d.Reason != juncture.ReasonSplit || len(d.Ranking) != 5 {
		t.Errorf("%+v", d)
	}
	want := []string{"breaker trip " + v.Tripped.Why, "key:" + s.ids["admin"] + " reset one bad mail"}
	if got := s.noted(); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	s.Verify()
}

// A winner is shipped and taken back; each answer shows what may be done next.
func TestLifeOverHTTP(t *testing.T) {
	t.Parallel()
	s := open(t, testkit.Declaration())
	sees := func(want string, reason juncture.Reason) {
		t.Helper()
		a := s.choose(juncture.ChooseRequest{Candidates: []string{"news"}})
		if *a.ActionID+"/"+a.Copy.ID != want || a.Reason != reason {
			t.Errorf("%s/%s of %s, want %s of %s", *a.ActionID, a.Copy.ID, a.Reason, want, reason)
		}
	}
	sees("news/plain", juncture.ReasonTargeting)
	for _, step := range []struct {
		verb, more string
		sees       string
		reason     juncture.Reason
		next       []juncture.Verb
	}{
		{"pause", "", "welcome/plain", juncture.ReasonStatic, []juncture.Verb{"resume", "stop", "ship"}},
		{"resume", "", "news/plain", juncture.ReasonTargeting, []juncture.Verb{"pause", "stop", "ship"}},
		{"ship", `,"action":"five_off","copy":"urgent"`, "five_off/urgent", juncture.ReasonStatic, []juncture.Verb{"rollback"}},
		{"rollback", "", "welcome/plain", juncture.ReasonStatic, []juncture.Verb{"resume", "stop", "ship"}},
		{"resume", "", "news/plain", juncture.ReasonTargeting, []juncture.Verb{"pause", "stop", "ship"}},
		{"stop", "", "welcome/plain", juncture.ReasonStatic, []juncture.Verb{"ship"}},
	} {
		s.Clock.Advance(time.Minute)
		r := s.post("/api/v1/experiments/hero/"+step.verb, `{"reason":"because of `+step.verb+`"`+step.more+`}`)
		var v juncture.ExperimentView
		if err := json.Unmarshal(r.body, &v); err != nil || r.status != 200 || !slices.Equal(v.Next, step.next) {
			t.Fatalf("%s: %d %v %s", step.verb, r.status, err, r.body)
		}
		sees(step.sees, step.reason)
		if got := s.noted(); got[len(got)-1] != "key:"+s.ids["admin"]+" "+step.verb+" because of "+step.verb {
			t.Errorf("%q", got)
		}
	}
}

func TestWhatIsRefusedChangesNothing(t *testing.T) {
	t.Parallel()
	s := open(t, testkit.Declaration())
	before, err := s.DB.Catalog(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		path, body string
		status     int
		field      string
	}{
		"no reason":                {"hero/pause", `{}`, 400, "reason"},
		"an empty reason":          {"hero/pause", `{"reason":""}`, 400, "reason"},
		"a long reason":            {"hero/pause", `{"reason":"` + strings.Repeat("x", 501) + `"}`, 400, "reason"},
		"a number for a reason":    {"hero/pause", `{"reason":7}`, 400, "reason"},
		"an unknown field":         {"hero/pause", `{"reason":"x","why":"y"}`, 400, "why"},
		"no JSON":                  {"hero/pause", `reason`, 400, ""},
		"an action for a pause":    {"hero/pause", `{"reason":"x","action":"news"}`, 400, "action"},
		"shipping nothing":         {"hero/ship", `{"reason":"x"}`, 400, "action"},
		"shipping what is unknown": {"hero/ship", `{"reason":"x","action":"none"}`, 422, "action"},
		"a start of what runs":     {"hero/start", `{"reason":"x"}`, 409, ""},
		"a reset of nothing":       {"hero/reset", `{"reason":"x"}`, 409, ""},
		"a verb of the breaker's":  {"hero/trip", `{"reason":"x"}`, 404, ""},
		"no such experiment":       {"none/pause", `{"reason":"x"}`, 404, ""},
	} {
		if r := s.post("/api/v1/experiments/"+c.path, c.body); r.status != c.status || r.problem.Field != c.field {
			t.Errorf("%s: %d %+v", what, r.status, r.problem)
		}
	}
	if r := s.call("GET", "/api/v1/experiments/hero/pause", "", nil); r.status != 405 {
		t.Errorf("GET: %d", r.status)
	}
	if after, err := s.DB.Catalog(t.Context()); err != nil || after.Number != before.Number || len(s.noted()) != 0 {
		t.Errorf("%d, then %d: %v", before.Number, after.Number, err)
	}
}

// together lets readers of the catalogue go on once so many have read it.
type together struct {
	engine.ConfigStore
	waits atomic.Bool
	read  sync.WaitGroup
}

func (c *together) Catalog(ctx context.Context) (*juncture.Catalog, error) {
	found, err := c.ConfigStore.Catalog(ctx)
	if c.waits.Load() {
		c.read.Done()
		c.read.Wait()
	}
	return found, err
}

// Two ask at once for what either could have: one has it, the other is told to look again.
func TestOneOfTwoWins(t *testing.T) {
	t.Parallel()
	store := &together{}
	s := openOn(t, testkit.Start(t, testkit.Declaration(), testkit.NodeOptions{Config: func(c engine.ConfigStore) engine.ConfigStore {
		store.ConfigStore = c
		return store
	}}))
	s.hero() // what the engine has read is as new as the store
	store.read.Add(2)
	store.waits.Store(true)
	got := make(chan int, 2)
	for _, verb := range []string{"pause", "stop"} {
		go func() {
			req, err := http.NewRequestWithContext(t.Context(), "POST", s.url+"/api/v1/experiments/hero/"+verb, strings.NewReader(`{"reason":"x"}`))
			if err != nil {
				t.Error(err)
				got <- 0
				return
			}
			req.Header.Set("Authorization", "Bearer "+s.keys["admin"])
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Error(err)
				got <- 0
				return
			}
			resp.Body.Close()
			got <- resp.StatusCode
		}()
	}
	if a, b := <-got, <-got; min(a, b) != 200 || max(a, b) != 409 {
		t.Errorf("answered %d and %d", a, b)
	}
	store.waits.Store(false)
	if v := s.hero(); v.State != juncture.StatePaused && v.State != juncture.StateStopped || len(s.noted()) != 1 {
		t.Errorf("%s, %q", v.State, s.noted())
	}
}

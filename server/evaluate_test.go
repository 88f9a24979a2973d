package server_test

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/evaluate"
	"github.com/juncture/juncture/internal/testkit"
	"github.com/juncture/juncture/server"
)

// asked remembers the questions that the server hands on, and answers them.
type asked struct {
	last   server.Evaluation
	answer any
	err    error
}

func (a *asked) Evaluate(_ context.Context, _ time.Time, q server.Evaluation) (any, error) {
	a.last = q
	return a.answer, a.err
}

func TestEvaluationsAreAskedAsTheyCome(t *testing.T) {
	t.Parallel()
	a := &asked{}
	s := open(t, testkit.Declaration(), func(o *server.Options) { o.Evaluations = a })
	read := headers("Authorization", "Bearer "+s.keys["read"])
	day := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	w, err := evaluate.New(evaluate.Settings{Experiment: testkit.Declaration().Experiments[0], Outcomes: testkit.Declaration().Outcomes, AsOf: day}, []evaluate.Target{evaluate.Logged(), evaluate.BestArm(),
		evaluate.Ceiling(juncture.TierStore), evaluate.Ceiling(juncture.TierMoment), evaluate.Ceiling(juncture.TierMeaning), evaluate.Ceiling(juncture.TierTrajectory), evaluate.Ceiling(juncture.TierFull)},
		[]evaluate.Comparison{{A: 0, B: 1}, {A: 3, B: 2}, {A: 4, B: 3}, {A: 5, B: 4}, {A: 6, B: 5}})
	if err != nil {
		t.Fatal(err)
	}
	for path, c := range map[string]struct {
		schema string
		answer any
		want   server.Evaluation
	}{
		"evaluate": {"Evaluation", w.Report(), server.Evaluation{Experiment: "hero"}},
		"evaluate?only=a,b&ceiling=moment&from=2026-05-01&to=2026-05-01T06:00:00Z": {"Evaluation", w.Report(), server.Evaluation{Experiment: "hero", Only: "a,b", Ceiling: "moment", From: day, To: day.Add(6 * time.Hour)}},
		"worth?from=2026-05-01": {"Worth", w.Worth(), server.Evaluation{Experiment: "hero", Worth: true, From: day}},
	} {
		a.answer = c.answer
		r := s.call("GET", "/api/v1/experiments/hero/"+path, "", read)
		if r.status != http.StatusOK {
			t.Fatalf("%s: %d %s", path, r.status, r.body)
		}
		if diff := cmp.Diff(c.want, a.last); diff != "" {
			t.Errorf("%s was asked otherwise:\n%s", path, diff)
		}
		var v any
		if err := json.Unmarshal(r.body, &v); err != nil {
			t.Fatal(err)
		}
		if err := described(t, s).Components.Schemas[c.schema].Value.VisitJSON(v); err != nil {
			t.Errorf("%s: %v\n%s", path, err, r.body)
		}
	}
	for path, field := range map[string]string{"evaluate?from=May": "from", "worth?to=2026-13-01": "to", "evaluate?from=2026-05-02&to=2026-05-01": "from"} {
		if r := s.call("GET", "/api/v1/experiments/hero/"+path, "", read); r.status != http.StatusBadRequest || r.problem.Field != field {
			t.Errorf("%s: %d, %q", path, r.status, r.problem.Field)
		}
	}
	a.err = &juncture.Error{Code: juncture.CodeTooManyRequests, Message: "another evaluation is under way", RetryAfter: 5 * time.Second}
	if r := s.call("GET", "/api/v1/experiments/hero/worth", "", read); r.status != http.StatusTooManyRequests || r.header.Get("Retry-After") != "5" {
		t.Errorf("while another runs: %d, Retry-After %q", r.status, r.header.Get("Retry-After"))
	}
	if r := s.call("GET", "/api/v1/experiments/hero/worth", "", headers("Authorization", "Bearer "+s.keys["choose"])); r.status != http.StatusForbidden {
		t.Errorf("with a key that may not read: %d", r.status)
	}
	if r := open(t, testkit.Declaration()); r.call("GET", "/api/v1/experiments/hero/worth", "", headers("Authorization", "Bearer "+r.keys["read"])).status != http.StatusNotFound {
		t.Error("a server without evaluations has one")
	}
}

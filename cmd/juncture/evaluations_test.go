package main

import (
	"context"
	"log/slog"
	"testing"
	"time"

	core "github.com/juncture/juncture"
	"github.com/juncture/juncture/evaluate"
	"github.com/juncture/juncture/server"
	"github.com/juncture/juncture/simulate"
	"github.com/juncture/juncture/store"
)

// One walk at a time; the same question shares it, an answer stands for a minute, and a walk outlives who began it.
func TestEvaluationsRunOneAtATime(t *testing.T) {
	db, _, s := simulated(t, smallStore(3), 1000)
	a := &app{settings: defaults(), now: time.Now}
	a.DB = db
	n, err := a.startNode(t.Context(), store.Options{Unsafe: true}, slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer n.close()
	real := s.Start()
	e := newEvaluations(n, func() time.Time { return real })
	now := s.Start().Add(72 * time.Hour)
	worth, other := server.Evaluation{Experiment: simulate.Experiment, Worth: true}, server.Evaluation{Experiment: simulate.Experiment, Only: "action-a,action-b", Ceiling: "store"}

	under := &evaluation{of: worth, asOf: now, ended: make(chan struct{})}
	e.running = under
	if _, err := e.Evaluate(t.Context(), now, other); core.ErrorCode(err) != core.CodeTooManyRequests {
		t.Errorf("another question meanwhile: %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Evaluate(gone, now, worth); core.ErrorCode(err) != core.CodeUnavailable {
		t.Errorf("out of time: %v", err)
	}
	e.running = nil

	ask := func(q server.Evaluation, now time.Time) any {
		t.Helper()
		found, err := e.Evaluate(t.Context(), now, q)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	first := ask(worth, now)
	if w, ok := first.(*evaluate.Worth); !ok || w.Scored != 1000 || !w.AsOf.Equal(now) {
		t.Fatalf("%+v", first)
	}
	if ask(worth, now.Add(59*time.Second)) != first {
		t.Error("within the minute it was made again")
	}
	for _, later := range []time.Duration{time.Minute, -time.Second} {
		if ask(worth, now.Add(later)) == first {
			t.Errorf("after %v the same answer stands", later)
		}
		first = ask(worth, now)
	}
	if r, ok := ask(other, now).(*evaluate.Report); !ok || len(r.Policies) != 5 || r.Policies[3].Policy != "only action-a, action-b" || len(r.Differences) != 2 {
		t.Errorf("%+v", r)
	}
	for _, bad := range []server.Evaluation{{Experiment: "none"}, {Experiment: simulate.Experiment, Only: "action-z"}, {Experiment: simulate.Experiment, Ceiling: "attic"}} {
		if _, err := e.Evaluate(t.Context(), now, bad); err == nil || core.ErrorCode(err) == core.CodeInternal {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

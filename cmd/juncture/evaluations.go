package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/server"
)

// evaluations answers questions about logs, one walk at a time: a walk reads an experiment's whole log. An answer stands
// for a minute after its walk; a walk outlives the request that began it, so that one that takes long is found done.
type evaluations struct {
	node *node
	done func() time.Time // real time, by which walks are timed

	mu      sync.Mutex
	running *evaluation
	answers map[server.Evaluation]*evaluation
}

// evaluation is a walk under way or done.
type evaluation struct {
	of    server.Evaluation
	asOf  time.Time
	took  time.Duration
	ended chan struct{}
	found answer
	err   error
}

const (
	answerStands  = time.Minute
	mostAnswers   = 64
	askAgainAfter = 5 * time.Second
)

func newEvaluations(n *node, clock func() time.Time) *evaluations {
	return &evaluations{node: n, done: clock, answers: map[server.Evaluation]*evaluation{}}
}

func (e *evaluations) Evaluate(ctx context.Context, now time.Time, q server.Evaluation) (any, error) {
	r, err := e.find(now, q)
	if err != nil {
		return nil, err
	}
	select {
	case <-r.ended:
		return r.found, r.err
	case <-ctx.Done():
		return nil, &juncture.Error{Code: juncture.CodeUnavailable, Message: "the evaluation goes on", Hint: "ask again: the answer will be there for a minute", RetryAfter: askAgainAfter, Err: ctx.Err()}
	}
}

// find returns the answer that stands, the walk under way to it, or a new one.
func (e *evaluations) find(now time.Time, q server.Evaluation) (*evaluation, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r := e.answers[q]; r != nil && r.err == nil {
		if age := now.Sub(r.asOf); age >= 0 && age < r.took+answerStands {
			return r, nil
		}
	}
	if r := e.running; r != nil {
		if r.of == q {
			return r, nil
		}
		return nil, &juncture.Error{Code: juncture.CodeTooManyRequests, Message: "another evaluation is under way", Hint: "one runs at a time: ask again", RetryAfter: askAgainAfter}
	}
	r := &evaluation{of: q, asOf: now, ended: make(chan struct{})}
	e.running = r
	e.node.jobs.Go(func() { e.run(r) })
	return r, nil
}

func (e *evaluations) run(r *evaluation) {
	began := e.done()
	defer func() {
		if p := recover(); p != nil {
			r.err = fmt.Errorf("panic: %v", p)
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		r.took = e.done().Sub(began)
		if e.running = nil; len(e.answers) >= mostAnswers {
			clear(e.answers)
		}
		e.answers[r.of] = r
		close(r.ended)
	}()
	q := question{Evaluation: r.of, asOf: r.asOf}
	if actions := fields(r.of.Only); len(actions) > 0 {
		q.sets = [][]string{actions}
	}
	r.found, r.err = q.ofStore(e.node.running, e.node.db)
}

package server

import (
	"context"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture"
)

// Evaluations says what other policies would have earned. The answer is JSON; the error is CodeTooManyRequests while
// another question is being answered, CodeUnavailable where this one takes longer than the request may.
type Evaluations interface {
	Evaluate(ctx context.Context, now time.Time, q Evaluation) (any, error)
}

// Evaluation is a question about an experiment's log.
type Evaluation struct {
	Experiment string
	Only       string // actions, separated by commas; empty: each alone
	Ceiling    string // a tier; empty: none
	From, To   time.Time
	Worth      bool // instead: whether personalising does harm, and what each layer adds
}

func (s *Server) getEvaluation(c *gin.Context) {
	q := Evaluation{Experiment: c.Param("id"), Only: c.Query("only"), Ceiling: c.Query("ceiling")}
	s.evaluate(c, q)
}

func (s *Server) getWorth(c *gin.Context) {
	s.evaluate(c, Evaluation{Experiment: c.Param("id"), Worth: true})
}

func (s *Server) evaluate(c *gin.Context, q Evaluation) {
	now, err := s.now(c)
	for name, to := range map[string]*time.Time{"from": &q.From, "to": &q.To} {
		if err == nil {
			*to, err = moment(name, c.Query(name))
		}
	}
	if err == nil && !q.From.IsZero() && !q.To.IsZero() && !q.From.Before(q.To) {
		err = juncture.Errorf(juncture.CodeInvalidRequest, "from is not before to").WithField("from")
	}
	if err == nil && s.o.Evaluations == nil {
		err = juncture.Errorf(juncture.CodeNotFound, "this server evaluates nothing")
	}
	var found any
	if err == nil {
		found, err = s.o.Evaluations.Evaluate(c.Request.Context(), now, q)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	s.json(c, found)
}

// moment reads a day, from 00:00 UTC, or a time with its zone; empty is the zero time.
func moment(name, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return t, nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return t, juncture.Errorf(juncture.CodeInvalidRequest, "%s %.40q is neither a day such as 2026-05-01 nor a time such as 2026-05-01T06:00:00Z", name, s).WithField(name)
	}
	return t.UTC(), nil
}

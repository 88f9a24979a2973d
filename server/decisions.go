package server

import (
	"context"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture"
)

// Decisions is the log of decisions. The errors are CodeDecisionNotFound, and CodeInvalidRequest for what cannot be asked.
type Decisions interface {
	Find(ctx context.Context, id string) (serial uint64, err error)
	Decisions(ctx context.Context, q juncture.DecisionQuery) (juncture.DecisionPage, error)
	Explain(ctx context.Context, serial uint64) (*juncture.ExplainedDecision, error)
	Replay(ctx context.Context, serial uint64) (*juncture.ReplayView, error)
}

// defaultDecisions is how many decisions a page of the log has where none is asked for.
const defaultDecisions = 50

func (s *Server) getDecisions(c *gin.Context) {
	q := juncture.DecisionQuery{Experiment: c.Query("experiment"), Surface: c.Query("surface"), Action: c.Query("action"),
		Reason: juncture.Reason(c.Query("reason")), Detail: juncture.Detail(c.Query("detail")), Shopper: c.Query("shopper"), Limit: defaultDecisions}
	err := s.readsDecisions()
	if v := c.Query("group"); err == nil && v != "" {
		q.Group = new(juncture.Group)
		if err = q.Group.UnmarshalText([]byte(v)); err != nil {
			err = juncture.Errorf(juncture.CodeInvalidRequest, "no group is called %.40q", v).WithField("group")
		}
	}
	for name, to := range map[string]*uint64{"before": &q.Before, "after": &q.After} {
		if v := c.Query(name); err == nil && v != "" {
			var ok bool
			if *to, ok = juncture.ParseSerial(v); !ok {
				err = juncture.Errorf(juncture.CodeInvalidRequest, "%s %.40q is no serial", name, v).WithField(name)
			}
		}
	}
	if err == nil {
		q.From, err = moment("from", c.Query("from"))
	}
	if err == nil {
		q.To, err = moment("to", c.Query("to"))
	}
	if v := c.Query("limit"); err == nil && v != "" {
		if q.Limit, err = strconv.Atoi(v); err != nil {
			err = juncture.Errorf(juncture.CodeInvalidRequest, "limit %.20q is no number", v).WithField("limit")
		}
	}
	var page juncture.DecisionPage
	if err == nil {
		page, err = s.o.Decisions.Decisions(c.Request.Context(), q)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	s.json(c, page)
}

func (s *Server) readsDecisions() error {
	if s.o.Decisions == nil {
		return juncture.Errorf(juncture.CodeNotFound, "this server reads no decisions")
	}
	return nil
}

// getDecision answers with what f says of the decision of the path.
func getDecision[T any](s *Server, f func(d Decisions, ctx context.Context, serial uint64) (T, error)) gin.HandlerFunc {
	return func(c *gin.Context) {
		err := s.readsDecisions()
		var serial uint64
		if err == nil {
			serial, err = s.o.Decisions.Find(c.Request.Context(), c.Param("id"))
		}
		var v T
		if err == nil {
			v, err = f(s.o.Decisions, c.Request.Context(), serial)
		}
		if err != nil {
			s.fail(c, err)
			return
		}
		s.json(c, v)
	}
}

func (s *Server) decisionRoutes(api gin.IRoutes) {
	api.GET("/decisions", s.getDecisions)
	api.GET("/decisions/:id", getDecision(s, Decisions.Explain))
	api.GET("/decisions/:id/replay", getDecision(s, Decisions.Replay))
}

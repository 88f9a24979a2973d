package server

import (
	"context"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/engine"
	"github.com/juncture/juncture/intake"
)

// PoolReader tells what there is of actions and copy, and what waits: of priorities too.
type PoolReader interface {
	Actions(ctx context.Context, now time.Time) ([]juncture.PoolAction, error)
	Action(ctx context.Context, now time.Time, id string) (juncture.PoolAction, error)
	Reviews(ctx context.Context) ([]juncture.ReviewItem, error)
	Switches(ctx context.Context) ([]juncture.SwitchView, error)
}

// PoolReviewer decides what is served.
type PoolReviewer interface {
	Review(ctx context.Context, now time.Time, who engine.Who, verb juncture.Verb, r juncture.ReviewRequest) error
	HoldAction(ctx context.Context, now time.Time, who engine.Who, action, copy string, verb juncture.Verb, r juncture.ReasonRequest) (warnings []string, err error)
	Switch(ctx context.Context, now time.Time, who engine.Who, kind, id string, verb juncture.Verb, r juncture.ReasonRequest) (warnings []string, err error)
	SetTerms(ctx context.Context, now time.Time, who engine.Who, action string, r juncture.TermsRequest) error
}

// PoolWriter writes what may come to be served.
type PoolWriter interface {
	WriteAction(ctx context.Context, now time.Time, who engine.Who, r juncture.ActionDraft) error
	WriteCopy(ctx context.Context, now time.Time, who engine.Who, action string, r juncture.CopyDraft) error
}

// PriorityDesk tells what there is of priorities, and changes it.
type PriorityDesk interface {
	Priorities(ctx context.Context, now time.Time) ([]juncture.PoolPriority, error)
	Priority(ctx context.Context, now time.Time, id string) (juncture.PoolPriority, error)
	PreviewPriority(ctx context.Context, now time.Time, shopper string, p juncture.Priority) (juncture.PriorityPreview, error)
	WritePriority(ctx context.Context, now time.Time, who engine.Who, r juncture.PriorityDraft) error
	HoldPriority(ctx context.Context, now time.Time, who engine.Who, id string, verb juncture.Verb, r juncture.ReasonRequest) error
}

type poolDecoders struct {
	action *intake.Decoder[juncture.ActionDraft]
	copy   *intake.Decoder[juncture.CopyDraft]
	terms  *intake.Decoder[juncture.TermsRequest]
	reason *intake.Decoder[juncture.ReasonRequest]
	review *intake.Decoder[juncture.ReviewRequest]

	priority *intake.Decoder[juncture.PriorityDraft]
}

func newPoolDecoders() poolDecoders {
	return poolDecoders{intake.NewDecoder[juncture.ActionDraft](intake.Options{}), intake.NewDecoder[juncture.CopyDraft](intake.Options{}),
		intake.NewDecoder[juncture.TermsRequest](intake.Options{}), intake.NewDecoder[juncture.ReasonRequest](intake.Options{}), intake.NewDecoder[juncture.ReviewRequest](intake.Options{}),
		intake.NewDecoder[juncture.PriorityDraft](intake.Options{})}
}

func (s *Server) poolRoutes(api, edit, approve gin.IRoutes) {
	api.GET("/actions", s.getActions)
	api.GET("/actions/:id", func(c *gin.Context) { s.action(c, c.Param("id"), nil) })
	api.GET("/reviews", func(c *gin.Context) { s.reviews(c, nil) })
	api.GET("/switches", func(c *gin.Context) { s.switches(c, nil, nil) })
	s.priorityRoutes(api, edit, approve)
	edit.POST("/actions", s.postAction)
	edit.POST("/actions/:id/copy", s.postCopy)
	approve.PUT("/actions/:id/terms", s.putTerms)
	for _, verb := range juncture.HoldVerbs() {
		approve.POST("/actions/:id/"+string(verb), s.postHold(verb))
		approve.POST("/actions/:id/copy/:copy/"+string(verb), s.postHold(verb))
	}
	for _, verb := range juncture.ReviewVerbs() {
		may := approve
		if verb == juncture.VerbSubmit || verb == juncture.VerbWithdraw {
			may = edit
		}
		may.POST("/reviews/"+string(verb), s.postReview(verb))
	}
	for _, verb := range juncture.KillVerbs() {
		approve.POST("/switches/action/:id/"+string(verb), s.postSwitch("action", verb))
		approve.POST("/switches/surface/:id/"+string(verb), s.postSwitch("surface", verb))
		approve.POST("/switches/store/"+string(verb), s.postSwitch(juncture.KillStore, verb))
	}
}

type items[T any] struct {
	Items    []T      `json:"items"`
	Warnings []string `json:"warnings,omitempty"` // of what was just done
}

func (s *Server) getActions(c *gin.Context) {
	now, err := s.now(c)
	var found []juncture.PoolAction
	if err == nil {
		found, err = s.engine.Actions(c.Request.Context(), now)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	s.json(c, items[juncture.PoolAction]{Items: found})
}

// action answers with an action as it is now, or with what went wrong before.
func (s *Server) action(c *gin.Context, id string, err error) {
	var now time.Time
	var a juncture.PoolAction
	if err == nil {
		now, err = s.now(c)
	}
	if err == nil {
		a, err = s.engine.Action(c.Request.Context(), now, id)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	s.json(c, a)
}

func (s *Server) reviews(c *gin.Context, err error) {
	var found []juncture.ReviewItem
	if err == nil {
		found, err = s.engine.Reviews(c.Request.Context())
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	s.json(c, items[juncture.ReviewItem]{Items: found})
}

func (s *Server) switches(c *gin.Context, warnings []string, err error) {
	var found []juncture.SwitchView
	if err == nil {
		found, err = s.engine.Switches(c.Request.Context())
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	s.json(c, items[juncture.SwitchView]{found, warnings})
}

func (s *Server) postAction(c *gin.Context) {
	if r, _, now, ok := asked(s, c, s.pool.action); ok {
		s.action(c, r.ID, s.engine.WriteAction(c.Request.Context(), now, who(c), *r))
	}
}

func (s *Server) postCopy(c *gin.Context) {
	if r, _, now, ok := asked(s, c, s.pool.copy); ok {
		s.action(c, c.Param("id"), s.engine.WriteCopy(c.Request.Context(), now, who(c), c.Param("id"), *r))
	}
}

func (s *Server) putTerms(c *gin.Context) {
	if r, _, now, ok := asked(s, c, s.pool.terms); ok {
		s.action(c, c.Param("id"), s.engine.SetTerms(c.Request.Context(), now, who(c), c.Param("id"), *r))
	}
}

func (s *Server) postHold(verb juncture.Verb) gin.HandlerFunc {
	return func(c *gin.Context) {
		if r, _, now, ok := asked(s, c, s.pool.reason); ok {
			_, err := s.engine.HoldAction(c.Request.Context(), now, who(c), c.Param("id"), c.Param("copy"), verb, *r)
			s.action(c, c.Param("id"), err) // which warns of the same
		}
	}
}

func (s *Server) postReview(verb juncture.Verb) gin.HandlerFunc {
	return func(c *gin.Context) {
		if r, _, now, ok := asked(s, c, s.pool.review); ok {
			s.reviews(c, s.engine.Review(c.Request.Context(), now, who(c), verb, *r))
		}
	}
}

func (s *Server) postSwitch(kind string, verb juncture.Verb) gin.HandlerFunc {
	return func(c *gin.Context) {
		if r, _, now, ok := asked(s, c, s.pool.reason); ok {
			warnings, err := s.engine.Switch(c.Request.Context(), now, who(c), kind, c.Param("id"), verb, *r)
			s.switches(c, warnings, err)
		}
	}
}

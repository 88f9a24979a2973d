package server

import (
	"encoding/json"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/engine"
)

func (s *Server) priorityRoutes(api, edit, approve gin.IRoutes) {
	api.GET("/priorities", s.getPriorities)
	api.GET("/priorities/:id", func(c *gin.Context) { s.priority(c, c.Param("id"), nil) })
	api.GET("/priorities/:id/preview", s.getPriorityPreview)
	edit.POST("/priorities", s.postPriority)
	for _, verb := range juncture.HoldVerbs() {
		approve.POST("/priorities/:id/"+string(verb), s.postPriorityHold(verb))
	}
}

func (s *Server) getPriorities(c *gin.Context) {
	now, err := s.now(c)
	var found []juncture.PoolPriority
	if err == nil {
		found, err = s.engine.Priorities(c.Request.Context(), now)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	s.json(c, items[juncture.PoolPriority]{Items: found})
}

// priority answers with a priority as it is now, or with what went wrong before.
func (s *Server) priority(c *gin.Context, id string, err error) {
	var now time.Time
	var p juncture.PoolPriority
	if err == nil {
		now, err = s.now(c)
	}
	if err == nil {
		p, err = s.engine.Priority(c.Request.Context(), now, id)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	s.json(c, p)
}

// getPriorityPreview previews a version, the newest where none is named.
func (s *Server) getPriorityPreview(c *gin.Context) {
	v, err := s.previewed(c)
	if err != nil {
		s.fail(c, err)
		return
	}
	s.json(c, v)
}

func (s *Server) previewed(c *gin.Context) (out juncture.PriorityPreview, _ error) {
	now, err := s.now(c)
	if err != nil {
		return out, err
	}
	shopper := c.Query("shopperId")
	if utf8.RuneCountInString(shopper) > engine.MaxID || !utf8.ValidString(shopper) {
		return out, juncture.Errorf(juncture.CodeInvalidRequest, "shopperId is not up to %d characters", engine.MaxID).WithField("shopperId")
	}
	found, err := s.engine.Priority(c.Request.Context(), now, c.Param("id"))
	if err != nil {
		return out, err
	}
	at := 0
	if text := c.Query("version"); text != "" {
		n, err := strconv.Atoi(text)
		if at = slices.IndexFunc(found.Versions, func(v juncture.VersionView) bool { return v.Number == n }); err != nil || at < 0 {
			return out, juncture.Errorf(juncture.CodeNotFound, "priority %q has no version %.20q", found.ID, text)
		}
	}
	var p juncture.Priority
	if err := json.Unmarshal(found.Versions[at].Body, &p); err != nil {
		return out, juncture.Errorf(juncture.CodeInternal, "priority %q: %w", found.ID, err)
	}
	return s.engine.PreviewPriority(c.Request.Context(), now, shopper, p)
}

func (s *Server) postPriority(c *gin.Context) {
	if r, _, now, ok := asked(s, c, s.pool.priority); ok {
		s.priority(c, r.ID, s.engine.WritePriority(c.Request.Context(), now, who(c), *r))
	}
}

func (s *Server) postPriorityHold(verb juncture.Verb) gin.HandlerFunc {
	return func(c *gin.Context) {
		if r, _, now, ok := asked(s, c, s.pool.reason); ok {
			s.priority(c, c.Param("id"), s.engine.HoldPriority(c.Request.Context(), now, who(c), c.Param("id"), verb, *r))
		}
	}
}

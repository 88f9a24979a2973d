package server

import (
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/experiments"
	"github.com/juncture/juncture/experiments/report"
)

// storeView is what GET /api/v1/store answers.
type storeView struct {
	Version  int64                            `json:"version"` // of the configuration
	Store    juncture.StoreInfo               `json:"store"`
	Layers   map[string]juncture.LayerSetting `json:"layers"`
	Outcomes []juncture.OutcomeType           `json:"outcomes"`
	Surfaces []surfaceView                    `json:"surfaces"`
	Holdouts []juncture.Holdout               `json:"holdouts"` // above experiments; each has a report under its id
}

type surfaceView struct {
	juncture.Surface
	Arms []armView `json:"arms"` // approved and live
}

type armView struct {
	juncture.Arm
	Type     string `json:"type"`
	Headline string `json:"headline"`
	Rule     string `json:"rule,omitempty"`
}

func (s *Server) getStore(c *gin.Context) {
	p, err := s.reports.Declared(c.Request.Context())
	if err != nil {
		s.fail(c, err)
		return
	}
	d := p.Declaration
	v := storeView{Version: p.Number, Store: d.Store, Layers: d.Layers, Outcomes: d.Outcomes, Surfaces: []surfaceView{}, Holdouts: append([]juncture.Holdout{}, d.Holdouts...)}
	if v.Layers == nil {
		v.Layers = map[string]juncture.LayerSetting{}
	}
	if v.Outcomes == nil {
		v.Outcomes = []juncture.OutcomeType{}
	}
	for _, at := range d.Surfaces {
		view := surfaceView{Surface: at, Arms: []armView{}}
		for _, a := range p.Surfaces[at.ID].Arms {
			view.Arms = append(view.Arms, armView{Arm: a.Arm, Type: a.Action.Type, Headline: a.Copy.Headline, Rule: a.Action.Rule})
		}
		v.Surfaces = append(v.Surfaces, view)
	}
	s.json(c, v)
}

func (s *Server) getProfile(c *gin.Context) {
	now, err := s.now(c)
	if err != nil {
		s.fail(c, err)
		return
	}
	p, err := s.reports.Profile(c.Request.Context(), c.Param("id"), now)
	if err != nil {
		s.fail(c, err)
		return
	}
	s.json(c, p)
}

func (s *Server) getExperiments(c *gin.Context) {
	p, err := s.reports.Declared(c.Request.Context())
	if err != nil {
		s.fail(c, err)
		return
	}
	out := struct {
		Items []juncture.ExperimentView `json:"items"`
	}{Items: []juncture.ExperimentView{}}
	for _, x := range p.Declaration.Experiments {
		v, err := p.Declaration.View(x.ID)
		if err != nil {
			s.fail(c, err)
			return
		}
		out.Items = append(out.Items, v)
	}
	s.json(c, out)
}

func (s *Server) getExperiment(c *gin.Context) {
	p, err := s.reports.Declared(c.Request.Context())
	var v juncture.ExperimentView
	if err == nil {
		v, err = p.Declaration.View(c.Param("id"))
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	s.json(c, v)
}

// postExperiment does what the path says to an experiment.
func (s *Server) postExperiment(verb juncture.Verb) gin.HandlerFunc {
	return func(c *gin.Context) {
		r, _, now, ok := asked(s, c, s.change)
		if !ok {
			return
		}
		v, err := s.engine.ChangeExperiment(c.Request.Context(), now, who(c), c.Param("id"), verb, *r)
		if err != nil {
			s.fail(c, err)
			return
		}
		s.json(c, v)
	}
}

// evidence reads the experiment of the path; false when it has answered with a problem.
func (s *Server) evidence(c *gin.Context) (experiments.Evidence, bool) {
	now, err := s.now(c)
	if err == nil {
		var ev experiments.Evidence
		if ev, err = s.reports.Evidence(c.Request.Context(), c.Param("id"), now); err == nil {
			return ev, true
		}
	}
	s.fail(c, err)
	return experiments.Evidence{}, false
}

// filters reads filter.<axis>=<value> parameters.
func filters(c *gin.Context) map[string]string {
	out := map[string]string{}
	for k, v := range c.Request.URL.Query() {
		if axis, ok := strings.CutPrefix(k, "filter."); ok && len(v) > 0 && v[0] != "" {
			out[axis] = v[0]
		}
	}
	return out
}

func (s *Server) getGrid(c *gin.Context) {
	if g, ok := s.grid(c); ok {
		s.json(c, g)
	}
}

func (s *Server) getNext(c *gin.Context) {
	if g, ok := s.grid(c); ok {
		s.json(c, experiments.NextOf(g))
	}
}

// grid builds the grid that was asked for; false when it has answered with a problem.
func (s *Server) grid(c *gin.Context) (experiments.Grid, bool) {
	ev, ok := s.evidence(c)
	if !ok {
		return experiments.Grid{}, false
	}
	g, err := experiments.BuildGrid(ev, experiments.GridQuery{Rows: c.Query("rows"), Cols: c.Query("cols"), Filter: filters(c)})
	if err != nil {
		s.fail(c, err)
		return g, false
	}
	return g, true
}

func (s *Server) getWinners(c *gin.Context) {
	ev, ok := s.evidence(c)
	if !ok {
		return
	}
	q := experiments.SegmentQuery{Filter: filters(c), Limit: 1000}
	if axes := c.Query("axes"); axes != "" {
		q.Axes = strings.Split(axes, ",")
	}
	if n := c.Query("limit"); n != "" {
		limit, err := strconv.Atoi(n)
		if err != nil || limit < 1 || limit > 10_000 {
			s.fail(c, juncture.Errorf(juncture.CodeInvalidRequest, "limit %.20q is not 1 to 10000", n).WithField("limit"))
			return
		}
		q.Limit = limit
	}
	found, err := experiments.BuildSegments(ev, q)
	if err != nil {
		s.fail(c, err)
		return
	}
	s.json(c, found)
}

func (s *Server) getIntersection(c *gin.Context) {
	x, err := juncture.ParseIntersection(c.Query("key"))
	if err != nil {
		s.fail(c, err)
		return
	}
	ev, ok := s.evidence(c)
	if !ok {
		return
	}
	report, err := experiments.BuildIntersection(ev, x)
	if err != nil {
		s.fail(c, err)
		return
	}
	s.json(c, report)
}

func (s *Server) getReport(c *gin.Context) {
	now, err := s.now(c)
	if err != nil {
		s.fail(c, err)
		return
	}
	q := report.Query{Slice: filters(c)}
	switch v := c.Query("cuped"); v {
	case "", "false":
	case "true":
		q.Cuped = true
	default:
		s.fail(c, juncture.Errorf(juncture.CodeInvalidRequest, "cuped %.20q is true or false", v).WithField("cuped"))
		return
	}
	r, err := s.reports.Report(c.Request.Context(), c.Param("id"), now, q)
	if err != nil {
		s.fail(c, err)
		return
	}
	s.json(c, r)
}

func (s *Server) getHealth(c *gin.Context) {
	now, err := s.now(c)
	if err != nil {
		s.fail(c, err)
		return
	}
	h, err := s.reports.Health(c.Request.Context(), c.Param("id"), now)
	if err != nil {
		s.fail(c, err)
		return
	}
	s.json(c, h)
}

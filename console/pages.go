package console

import (
	"context"
	"maps"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/console/chart"
	"github.com/juncture/juncture/experiments"
)

// How much a page shows; the CSV has everything.
const (
	listLimit      = 200
	cellsLimit     = 400 // of a grid
	linesLimit     = 100 // of the grid's table
	decisionsLimit = 20
	curvesLimit    = 6
	densityPoints  = 96
)

// option is one choice of a select.
type option struct {
	Value, Title string
	Selected     bool
}

// choice is a select with its name.
type choice struct {
	Name, Title string
	Options     []option
}

// query is what the grid and its list are asked, as it stands in the URL.
type query struct {
	Experiment string
	Rows, Cols string
	Filter     map[string]string
}

const filterPrefix = "filter."

func readQuery(v url.Values) query {
	q := query{Experiment: v.Get("experiment"), Rows: v.Get("rows"), Cols: v.Get("cols"), Filter: map[string]string{}}
	for name, values := range v {
		if axis, ok := strings.CutPrefix(name, filterPrefix); ok && values[0] != "" {
			q.Filter[axis] = values[0]
		}
	}
	return q
}

func (q query) url(path string) string {
	v := url.Values{}
	set := func(name, value string) {
		if value != "" {
			v.Set(name, value)
		}
	}
	set("experiment", q.Experiment)
	set("rows", q.Rows)
	set("cols", q.Cols)
	for axis, value := range q.Filter {
		set(filterPrefix+axis, value)
	}
	if len(v) == 0 {
		return path
	}
	return path + "?" + v.Encode()
}

// with returns the query with one more filter.
func (q query) with(axis, value string) query {
	q.Filter = maps.Clone(q.Filter)
	if q.Filter == nil {
		q.Filter = map[string]string{}
	}
	q.Filter[axis] = value
	return q
}

func intersectionURL(path, experiment, key string) string {
	return path + "?" + url.Values{"experiment": {experiment}, "key": {key}}.Encode()
}

// choose finds the experiment that was asked for, or the first running one, or the first.
func choose(s StoreView, id string) (juncture.Experiment, bool, error) {
	if id != "" {
		for _, e := range s.Experiments {
			if e.ID == id {
				return e, true, nil
			}
		}
		return juncture.Experiment{}, false, juncture.Errorf(juncture.CodeNotFound, "No experiment is called %.80q.", id).
			WithHint("Choose one on the page of intersections.")
	}
	for _, e := range s.Experiments {
		if e.Status == juncture.StatusRunning {
			return e, true, nil
		}
	}
	if len(s.Experiments) > 0 {
		return s.Experiments[0], true, nil
	}
	return juncture.Experiment{}, false, nil
}

// asked is what every page of an experiment starts from.
type asked struct {
	store      StoreView
	experiment juncture.Experiment
	query      query
	evidence   experiments.Evidence
}

// ask reads the request and fetches what it is about; found is false for a store without experiments.
func (c *Console) ask(g *gin.Context) (a asked, found bool, err error) {
	a.query = readQuery(g.Request.URL.Query())
	if a.store, err = c.deps.Source.Store(g.Request.Context()); err != nil {
		return a, false, err
	}
	if a.experiment, found, err = choose(a.store, a.query.Experiment); err != nil || !found {
		return a, found, err
	}
	a.query.Experiment = a.experiment.ID
	a.evidence, err = c.deps.Source.Evidence(g.Request.Context(), a.experiment.ID)
	return a, true, err
}

// names are those of the taste clusters; none where they cannot be read now: ids are better than no page.
func (c *Console) names(ctx context.Context) experiments.Names {
	if c.deps.Tastes == nil {
		return nil
	}
	all, err := c.deps.Tastes.Clusters(ctx)
	if err != nil {
		c.deps.Log.Warn("console: names of taste clusters", "error", err)
		return nil
	}
	return experiments.NamesOf(all)
}

// mustAsk is ask where a page without an experiment does not exist.
func (c *Console) mustAsk(g *gin.Context) (asked, error) {
	a, found, err := c.ask(g)
	if err == nil && !found {
		err = juncture.Errorf(juncture.CodeNotFound, "There is no experiment yet.").WithHint("Declare one in a store file, then: juncture apply -f store.yaml")
	}
	return a, err
}

// experimentView names the experiment that a page is about.
type experimentView struct {
	ID, Name, Surface, Status, Goal, Window string
}

func viewExperiment(e juncture.Experiment) experimentView {
	return experimentView{ID: e.ID, Name: experiments.Title(e.ID), Surface: experiments.Title(e.Surface), Status: e.Status,
		Goal: experiments.GoalName(e.Goal), Window: duration(time.Duration(e.Goal.Window))}
}

// duration writes a window in words: "24 hours", "7 days", "90 minutes".
func duration(d time.Duration) string {
	switch {
	case d >= 48*time.Hour && d%(24*time.Hour) == 0:
		return plural(int(d/(24*time.Hour)), "day", "days")
	case d%time.Hour == 0:
		return plural(int(d/time.Hour), "hour", "hours")
	}
	return plural(int(d/time.Minute), "minute", "minutes")
}

// metric says how the goal's numbers are to be read and written.
type metric struct {
	Name     string // of the rate: "Click rate"
	Money    bool   // values decide
	Currency string // of values; "": points
	Weighted bool   // values are of several outcomes
}

func newMetric(e juncture.Experiment, money bool, currency string) metric {
	return metric{Name: experiments.Title(e.Goal.Main()) + " rate", Money: money, Currency: currency, Weighted: len(e.Goal.Weights) > 0}
}

// loss is what always choosing it is expected to cost.
func (m metric) loss(e experiments.Estimate) string {
	if m.Weighted {
		return experiments.Money(e.Loss, m.Currency)
	}
	return points(e.Loss)
}

// figure is the number that decides.
func (m metric) figure(e experiments.Estimate) string {
	if m.Money {
		return experiments.Money(e.Value, m.Currency)
	}
	return experiments.Percent(e.Mean)
}

func interval(e experiments.Estimate) string {
	return experiments.Percent(e.Low) + " to " + experiments.Percent(e.High)
}

func colourClass(index int) string { return "arm-" + strconv.Itoa(index%chart.Colours) }

package console

import (
	"fmt"
	"maps"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture/experiments"
)

type listPage struct {
	layout
	Experiment experimentView
	Metric     metric
	Heading    string
	Lead       string
	Lines      []listLine
	Total      int
	Back       string
	CSV        string
}

type listLine struct {
	experiments.SegmentWinner
	Href         string
	Letter       string
	Index        int
	Figure       string
	Interval     string
	RunnerUpText string
}

func (c *Console) list(g *gin.Context) {
	a, err := c.mustAsk(g)
	if err != nil {
		c.fail(g, err)
		return
	}
	rows, err := experiments.BuildSegments(a.evidence, experiments.SegmentQuery{Filter: a.query.Filter, Limit: listLimit})
	if err != nil {
		c.fail(g, err)
		return
	}
	ev, e, q := a.evidence, a.experiment, a.query
	money := experiments.MoneyGoal(ev)
	p := &listPage{Experiment: viewExperiment(e), Metric: newMetric(e, money, ev.Currency), Total: rows.Total,
		Heading: filterTitle(q.Filter, a.evidence.Names), CSV: q.url(listPath + ".csv")}
	p.layout = c.layoutFor(g, p.Heading, a.store)
	p.layout.asOf(c, ev.AsOf)
	back := query{Experiment: q.Experiment, Rows: q.Rows, Cols: q.Cols, Filter: maps.Clone(q.Filter)}
	delete(back.Filter, q.Rows) // the cell's own two values, which the grid shows side by side
	delete(back.Filter, q.Cols)
	p.Back = back.url(gridPath)
	actions := experiments.Actions(ev)
	states := map[experiments.State]int{}
	for _, row := range rows.Rows {
		l := listLine{SegmentWinner: row, Href: intersectionURL(intersectionPath, e.ID, row.Key)}
		if row.Winner != nil {
			info := actions[row.Winner.Action]
			l.Letter, l.Index = info.Letter, info.Index
			l.Figure, l.Interval = p.Metric.figure(row.Winner.Estimate), interval(row.Winner.Estimate)
		}
		if row.RunnerUp != nil {
			l.RunnerUpText = row.RunnerUp.Name + " " + p.Metric.figure(row.RunnerUp.Estimate)
		}
		states[row.State]++
		p.Lines = append(p.Lines, l)
	}
	p.Lead = listLead(rows.Total, len(rows.Rows), states)
	c.render(g, http.StatusOK, "list", p)
}

func listLead(total, shown int, states map[experiments.State]int) string {
	if total == 0 {
		return "No intersection matches this filter."
	}
	s := fmt.Sprintf("%s: ", plural(total, "intersection", "intersections"))
	if shown < total {
		s = fmt.Sprintf("The %d with the most traffic of %s: ", shown, plural(total, "intersection", "intersections"))
	}
	return s + fmt.Sprintf("%d won, %d leaning, %d too thin to say.", states[experiments.StateWinner], states[experiments.StateLeaning],
		states[experiments.StateThin]+states[experiments.StateEmpty])
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return experiments.Count(int64(n)) + " " + many
}

func filterTitle(filter map[string]string, names experiments.Names) string {
	var parts []string
	axes := append(experiments.GridAxes(), "catalogue")
	for _, axis := range axes {
		if v, ok := filter[axis]; ok {
			title := names.Value(axis, v)
			if title == "Unknown" {
				title = experiments.AxisTitle(axis) + " unknown"
			}
			parts = append(parts, title)
		}
	}
	if len(parts) == 0 {
		return "All intersections"
	}
	return strings.Join(parts, " × ")
}

func (c *Console) listCSV(g *gin.Context) {
	a, err := c.mustAsk(g)
	if err != nil {
		c.fail(g, err)
		return
	}
	t := newTable(append([]string{"key", "moment", "meaning", "trajectory", "catalogue"}, verdictHead...)...)
	err = experiments.EachSegment(a.evidence, experiments.SegmentQuery{Filter: a.query.Filter}, func(rows []experiments.SegmentWinner) error {
		for _, row := range rows {
			t.row(append(append([]string{row.Key}, row.Values...), verdictCells(row.Verdict, row.Trials, row.Successes)...)...)
		}
		return t.part(g, a.experiment.ID+"-intersections")
	})
	switch {
	case err == nil:
		t.send(g, a.experiment.ID+"-intersections")
	case t.sent:
		c.deps.Log.Error("console: export", "route", g.FullPath(), "error", err)
		panic(http.ErrAbortHandler) // what was sent is not the whole: the browser is to know
	default:
		c.fail(g, err)
	}
}

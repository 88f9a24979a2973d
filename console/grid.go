package console

import (
	"cmp"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/console/chart"
	"github.com/juncture/juncture/experiments"
)

// gridEvery is how often the headline numbers of an open grid are read again, at most: each reading builds the grid.
const gridEvery = 5 * time.Second

type gridPage struct {
	layout
	Experiment *experimentView // nil: the store has none
	Metric     metric
	Grid       experiments.Grid
	Selects    []choice // experiment and the two axes
	Filters    []choice
	Filtered   bool
	Figure     template.HTML // empty: nothing to draw yet
	Legend     []legendItem
	Lines      []gridLine
	Rate       string
	LinesOf    int // how many lines there are, those beyond linesLimit included
	CSV        string
	Swap       string
	Next       string
	Clear      string
}

type legendItem struct {
	experiments.ActionInfo
	Leads int // cells where it leads and the evidence is not thin
}

// gridLine is one cell of the grid as a line of the table.
type gridLine struct {
	Row, Col, Href string
	experiments.GridCell
	Letter       string
	Index        int
	Figure       string
	Interval     string
	RunnerUpText string
}

// buildGrid builds the grid that was asked for, of at most so many cells (0: as many as there are), and fills in the axes
// where the question left them open.
func (a *asked) buildGrid(most int) (experiments.Grid, error) {
	grid, err := experiments.BuildGrid(a.evidence, experiments.GridQuery{Rows: a.query.Rows, Cols: a.query.Cols, Filter: a.query.Filter, Most: most})
	a.query.Rows, a.query.Cols = grid.Rows.Axis, grid.Cols.Axis
	return grid, err
}

func (c *Console) grid(g *gin.Context) {
	a, found, err := c.ask(g)
	p := &gridPage{}
	if err == nil && found {
		p.Grid, err = a.buildGrid(cellsLimit)
	}
	if err != nil {
		c.fail(g, err)
		return
	}
	p.layout = c.layoutFor(g, "What wins where", a.store)
	p.layout.asOf(c, a.evidence.AsOf)
	if found {
		p.fill(a)
		p.watch(c, "", gridEvery)
	}
	c.render(g, http.StatusOK, "grid", p)
}

func (p *gridPage) fill(a asked) {
	grid, q := &p.Grid, a.query
	view := viewExperiment(a.experiment)
	p.Experiment = &view
	p.Metric = newMetric(a.experiment, grid.Money, grid.Currency)
	p.Filtered = len(q.Filter) > 0
	p.CSV = q.url(gridPath + ".csv")
	p.Next = q.url(followUpPath)
	swapped := q
	swapped.Rows, swapped.Cols = q.Cols, q.Rows
	p.Swap = swapped.url(gridPath)
	p.Clear = query{Experiment: q.Experiment, Rows: q.Rows, Cols: q.Cols}.url(gridPath)
	if grid.Trials > 0 {
		p.Rate = experiments.Percent(float64(grid.Successes) / float64(grid.Trials))
	}
	p.Selects = gridSelects(a.store, q)
	p.Filters = gridFilters(grid, q, a.evidence.Names)

	info := map[string]experiments.ActionInfo{}
	for _, a := range grid.Actions {
		info[a.Action] = a
	}
	leads := map[string]int{}
	fig := chart.GridFigure{ID: "winners", Title: fmt.Sprintf("Which action leads, by %s and %s", lower(grid.Rows.Title), lower(grid.Cols.Title)),
		Desc: grid.Sentence + " The same numbers stand in the table below.", RowTitle: grid.Rows.Title, ColTitle: grid.Cols.Title}
	for _, v := range grid.Rows.Values {
		fig.Rows = append(fig.Rows, v.Title)
	}
	for _, v := range grid.Cols.Values {
		fig.Cols = append(fig.Cols, v.Title)
	}
	for r, row := range grid.Cells {
		cells := make([]chart.GridCell, len(row))
		for k, cell := range row {
			l := gridLine{Row: fig.Rows[r], Col: fig.Cols[k], GridCell: cell}
			if cell.Winner == nil {
				cells[k] = chart.GridCell{Arm: chart.None, State: string(cell.State), Title: l.Row + ", " + lower(l.Col) + ": no decisions"}
				continue
			}
			a := info[cell.Winner.Action]
			l.Letter, l.Index = a.Letter, a.Index
			l.Figure, l.Interval = p.Metric.figure(cell.Winner.Estimate), interval(cell.Winner.Estimate)
			if cell.RunnerUp != nil {
				l.RunnerUpText = cell.RunnerUp.Name + " " + p.Metric.figure(cell.RunnerUp.Estimate)
			}
			l.Href = q.with(grid.Rows.Axis, cell.Row).with(grid.Cols.Axis, cell.Col).url(listPath)
			if cell.Key != "" {
				l.Href = intersectionURL(intersectionPath, q.Experiment, cell.Key)
			}
			if cell.State != experiments.StateThin {
				leads[a.Action]++
			}
			cells[k] = chart.GridCell{Arm: a.Index, Letter: a.Letter, Label: a.Name, Figure: l.Figure, Strength: cell.Winner.PBest,
				Detail: experiments.Sure(cell.Winner.PBest) + " sure · " + experiments.Count(cell.Trials),
				State:  string(cell.State), Href: l.Href, Title: cellTitle(l)}
			p.Lines = append(p.Lines, l)
		}
		fig.Cells = append(fig.Cells, cells)
	}
	p.LinesOf = len(p.Lines)
	p.Lines = busiest(p.Lines, linesLimit)
	if len(p.Lines) > 0 {
		p.Figure = chart.WinnerGrid(fig)
	}
	for _, a := range grid.Actions {
		p.Legend = append(p.Legend, legendItem{a, leads[a.Action]})
	}
}

// busiest keeps the lines with the most decisions, in their order.
func busiest(lines []gridLine, most int) []gridLine {
	if len(lines) <= most {
		return lines
	}
	byTraffic := slices.SortedFunc(slices.Values(lines), func(a, b gridLine) int { return cmp.Compare(b.Trials, a.Trials) })
	least, ties := byTraffic[most-1].Trials, 0
	for _, l := range byTraffic[:most] {
		if l.Trials == least {
			ties++
		}
	}
	return slices.DeleteFunc(lines, func(l gridLine) bool {
		if l.Trials == least {
			ties--
			return ties < 0
		}
		return l.Trials < least
	})
}

func lower(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}

// cellTitle is a cell in words, for hovering and for people who hear the page.
func cellTitle(l gridLine) string {
	verb := map[experiments.State]string{experiments.StateWinner: "wins", experiments.StateLeaning: "leads, not won yet",
		experiments.StateThin: "is ahead on thin evidence"}[l.State]
	s := fmt.Sprintf("%s, %s: %s %s. %s (%s)", l.Row, lower(l.Col), l.Winner.Name, verb, l.Figure, l.Interval)
	if l.RunnerUpText != "" {
		s += " against " + l.RunnerUpText
	}
	s += fmt.Sprintf(", %s sure, %s decisions", experiments.Sure(l.Winner.PBest), experiments.Count(l.Trials))
	if l.Intersections > 1 {
		s += fmt.Sprintf(" in %d intersections", l.Intersections)
	}
	if l.Claimed && l.State != experiments.StateWinner {
		s += "; may be claimed together with the others"
	}
	if l.Reason != "" {
		s += "; " + l.Reason
	}
	return s + "."
}

func gridSelects(s StoreView, q query) []choice {
	byExperiment := choice{Name: "experiment", Title: "Experiment"}
	for _, e := range s.Experiments {
		title := experiments.Title(e.ID)
		if e.Status != juncture.StatusRunning {
			title += " (" + e.Status + ")"
		}
		byExperiment.Options = append(byExperiment.Options, option{e.ID, title, e.ID == q.Experiment})
	}
	rows, cols := choice{Name: "rows", Title: "Rows"}, choice{Name: "cols", Title: "Columns"}
	for _, a := range experiments.GridAxes() {
		title := experiments.AxisTitle(a)
		if a == "moment" || a == "trajectory" {
			title += " (all axes)"
		}
		rows.Options = append(rows.Options, option{a, title, a == q.Rows})
		cols.Options = append(cols.Options, option{a, title, a == q.Cols})
	}
	return []choice{byExperiment, rows, cols}
}

// gridFilters offers every axis that is not shown and takes more than one value, and any that is filtered.
func gridFilters(grid *experiments.Grid, q query, names experiments.Names) []choice {
	var out []choice
	for _, axis := range grid.Choices {
		value, filtered := q.Filter[axis.Axis]
		if !filtered && (axis.Axis == q.Rows || axis.Axis == q.Cols || len(axis.Values) < 2) {
			continue
		}
		f := choice{Name: filterPrefix + axis.Axis, Title: axis.Title, Options: []option{{"", "All", !filtered}}}
		known := false
		for _, v := range axis.Values {
			f.Options = append(f.Options, option{v.Value, v.Title, filtered && v.Value == value})
			known = known || v.Value == value
		}
		if filtered && !known {
			f.Options = append(f.Options, option{value, names.Value(axis.Axis, value), true})
		}
		out = append(out, f)
	}
	for _, axis := range []string{"moment", "trajectory", "catalogue"} { // layers that have no select of their own
		if value, ok := q.Filter[axis]; ok {
			out = append(out, choice{filterPrefix + axis, experiments.AxisTitle(axis),
				[]option{{"", "All", false}, {value, names.Value(axis, value), true}}})
		}
	}
	return out
}

func (c *Console) gridCSV(g *gin.Context) {
	a, err := c.mustAsk(g)
	if err != nil {
		c.fail(g, err)
		return
	}
	grid, err := a.buildGrid(0)
	if err != nil {
		c.fail(g, err)
		return
	}
	t := newTable(append([]string{grid.Rows.Axis, grid.Cols.Axis}, verdictHead...)...)
	for _, row := range grid.Cells {
		for _, cell := range row {
			if cell.Intersections > 0 {
				t.row(append([]string{cell.Row, cell.Col}, verdictCells(cell.Verdict, cell.Trials, cell.Successes)...)...)
			}
		}
	}
	t.send(g, a.experiment.ID+"-grid")
}

var verdictHead = []string{"state", "decisions", "successes", "leader", "rate", "low", "high", "value", "p_best", "own", "borrowed",
	"runner_up", "runner_up_rate", "runner_up_value", "reason"}

func verdictCells(v experiments.Verdict, trials, successes int64) []string {
	out := []string{string(v.State), whole(trials), whole(successes)}
	if w := v.Winner; w != nil {
		out = append(out, w.Action, number(w.Mean), number(w.Low), number(w.High), number(w.Value), number(w.PBest), number(w.Own), number(w.Borrowed))
	} else {
		out = append(out, "", "", "", "", "", "", "", "")
	}
	if r := v.RunnerUp; r != nil {
		out = append(out, r.Action, number(r.Mean), number(r.Value))
	} else {
		out = append(out, "", "", "")
	}
	return append(out, v.Reason)
}

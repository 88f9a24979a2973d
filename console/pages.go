package console

import (
	"cmp"
	"fmt"
	"html/template"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/console/chart"
	"github.com/juncture/juncture/experiments"
	"github.com/juncture/juncture/policy"
)

// How much a page shows; the CSV has everything.
const (
	listLimit      = 200
	linesLimit     = 200 // of the grid's table
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

// experimentView names the experiment that a page is about.
type experimentView struct {
	ID, Name, Surface, Status, Goal, Window string
}

func viewExperiment(e juncture.Experiment) experimentView {
	return experimentView{ID: e.ID, Name: experiments.Title(e.ID), Surface: experiments.Title(e.Surface), Status: e.Status,
		Goal: experiments.Title(e.Goal.Outcome), Window: duration(time.Duration(e.Goal.Window))}
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
	Money    bool
	Currency string
}

func newMetric(goal string, money bool, currency string) metric {
	return metric{Name: experiments.Title(goal) + " rate", Money: money, Currency: currency}
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
	Letter        string
	Index         int
	Figure        string
	Interval      string
	RunnerUpText  string
	Intersections int
}

// gridData asks for the grid; found is false for a store without experiments.
func (c *Console) gridData(g *gin.Context) (s StoreView, e juncture.Experiment, q query, grid experiments.Grid, found bool, err error) {
	q = readQuery(g.Request.URL.Query())
	if s, err = c.deps.Source.Store(g.Request.Context()); err != nil {
		return
	}
	if e, found, err = choose(s, q.Experiment); err != nil || !found {
		return
	}
	q.Experiment = e.ID
	ev, err := c.deps.Source.Evidence(g.Request.Context(), e.ID)
	if err != nil {
		return
	}
	grid, err = experiments.BuildGrid(ev, experiments.GridQuery{Rows: q.Rows, Cols: q.Cols, Filter: q.Filter})
	q.Rows, q.Cols = grid.Rows.Axis, grid.Cols.Axis
	return
}

func (c *Console) grid(g *gin.Context) {
	s, e, q, grid, found, err := c.gridData(g)
	if err != nil {
		c.fail(g, err)
		return
	}
	p := &gridPage{layout: c.layoutFor(g, "What wins where", s), Grid: grid}
	if found {
		p.fill(s, e, q)
	}
	c.render(g, 200, "grid", p)
}

func (p *gridPage) fill(s StoreView, e juncture.Experiment, q query) {
	grid := &p.Grid
	view := viewExperiment(e)
	p.Experiment = &view
	p.Metric = newMetric(grid.Goal, grid.Money, grid.Currency)
	p.Filtered = len(q.Filter) > 0
	p.CSV = q.url(gridPath + ".csv")
	swapped := q
	swapped.Rows, swapped.Cols = q.Cols, q.Rows
	p.Swap = swapped.url(gridPath)
	p.Clear = query{Experiment: q.Experiment, Rows: q.Rows, Cols: q.Cols}.url(gridPath)
	if grid.Trials > 0 {
		p.Rate = experiments.Percent(float64(grid.Successes) / float64(grid.Trials))
	}
	p.Selects = gridSelects(s, q)
	p.Filters = gridFilters(grid, q)

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
			l := gridLine{Row: fig.Rows[r], Col: fig.Cols[k], GridCell: cell, Intersections: cell.Intersections}
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
func gridFilters(grid *experiments.Grid, q query) []choice {
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
			f.Options = append(f.Options, option{value, experiments.ValueTitle(axis.Axis, value), true})
		}
		out = append(out, f)
	}
	for _, axis := range []string{"moment", "trajectory", "catalogue"} { // layers that have no select of their own
		if value, ok := q.Filter[axis]; ok {
			out = append(out, choice{filterPrefix + axis, experiments.AxisTitle(axis),
				[]option{{"", "All", false}, {value, experiments.ValueTitle(axis, value), true}}})
		}
	}
	return out
}

func (c *Console) gridCSV(g *gin.Context) {
	_, e, _, grid, found, err := c.gridData(g)
	if err == nil && !found {
		err = juncture.Errorf(juncture.CodeNotFound, "There is no experiment yet.")
	}
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
	t.send(g, e.ID+"-grid")
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

func (c *Console) listData(g *gin.Context, limit int) (s StoreView, e juncture.Experiment, q query, ev experiments.Evidence, rows experiments.Segments, err error) {
	q = readQuery(g.Request.URL.Query())
	if s, err = c.deps.Source.Store(g.Request.Context()); err != nil {
		return
	}
	e, found, err := choose(s, q.Experiment)
	if err == nil && !found {
		err = juncture.Errorf(juncture.CodeNotFound, "There is no experiment yet.")
	}
	if err != nil {
		return
	}
	q.Experiment = e.ID
	if ev, err = c.deps.Source.Evidence(g.Request.Context(), e.ID); err != nil {
		return
	}
	rows, err = experiments.BuildSegments(ev, experiments.SegmentQuery{Filter: q.Filter, Limit: limit})
	return
}

func (c *Console) list(g *gin.Context) {
	s, e, q, ev, rows, err := c.listData(g, listLimit)
	if err != nil {
		c.fail(g, err)
		return
	}
	money := ev.Outcome.Type == juncture.OutcomeMoney && e.Goal.Measure != juncture.MeasureRate
	p := &listPage{Experiment: viewExperiment(e), Metric: newMetric(ev.Outcome.Name, money, ev.Currency), Total: rows.Total,
		Heading: filterTitle(q.Filter), CSV: q.url(listPath + ".csv")}
	p.layout = c.layoutFor(g, p.Heading, s)
	back := query{Experiment: q.Experiment, Rows: q.Rows, Cols: q.Cols, Filter: maps.Clone(q.Filter)}
	delete(back.Filter, q.Rows) // the cell's own two values, which the grid shows side by side
	delete(back.Filter, q.Cols)
	p.Back = back.url(gridPath)
	actions := experiments.Actions(ev)
	states := map[experiments.State]int{}
	for _, row := range rows.Rows {
		l := listLine{SegmentWinner: row, Href: intersectionURL(intersectionPath, e.ID, row.Key)}
		if row.Winner != nil {
			a := actions[row.Winner.Action]
			l.Letter, l.Index = a.Letter, a.Index
			l.Figure, l.Interval = p.Metric.figure(row.Winner.Estimate), interval(row.Winner.Estimate)
		}
		if row.RunnerUp != nil {
			l.RunnerUpText = row.RunnerUp.Name + " " + p.Metric.figure(row.RunnerUp.Estimate)
		}
		states[row.State]++
		p.Lines = append(p.Lines, l)
	}
	p.Lead = listLead(rows.Total, len(rows.Rows), states)
	c.render(g, 200, "list", p)
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

func filterTitle(filter map[string]string) string {
	var parts []string
	axes := append(experiments.GridAxes(), "catalogue")
	for _, axis := range axes {
		if v, ok := filter[axis]; ok {
			title := experiments.ValueTitle(axis, v)
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
	_, e, _, _, rows, err := c.listData(g, 0)
	if err != nil {
		c.fail(g, err)
		return
	}
	t := newTable(append([]string{"key", "moment", "meaning", "trajectory", "catalogue"}, verdictHead...)...)
	for _, row := range rows.Rows {
		t.row(append(append([]string{row.Key}, row.Values...), verdictCells(row.Verdict, row.Trials, row.Successes)...)...)
	}
	t.send(g, e.ID+"-intersections")
}

type intersectionPage struct {
	layout
	Experiment experimentView
	Metric     metric
	Report     experiments.IntersectionReport
	Heading    string
	Intervals  template.HTML
	Copies     template.HTML // empty where every action has one copy
	Densities  template.HTML
	Curves     int // drawn
	Actions    []actionLine
	Arms       []armLine
	Rungs      []rungLine
	Groups     []groupLine
	Decisions  []decisionLine
	Back       string
	CSV        string
}

type actionLine struct {
	experiments.ActionReport
	Figure, Interval, Loss string
}

type armLine struct {
	experiments.ArmReport
	Figure, Interval string
}

type rungLine struct {
	experiments.RungReport
	Name string
	Href string // empty for the page's own
	Rate string
}

type groupLine struct {
	experiments.GroupReport
	Name, Meaning, RateText, ValueText string
}

type decisionLine struct {
	DecisionView
	Action    string
	Headline  string
	Letter    string
	Index     int
	GroupName string
	Outcomes  string
}

func (c *Console) intersectionData(g *gin.Context) (s StoreView, e juncture.Experiment, ev experiments.Evidence, r experiments.IntersectionReport, x juncture.Intersection, err error) {
	if s, err = c.deps.Source.Store(g.Request.Context()); err != nil {
		return
	}
	e, found, err := choose(s, g.Query("experiment"))
	if err == nil && !found {
		err = juncture.Errorf(juncture.CodeNotFound, "There is no experiment yet.")
	}
	if err != nil {
		return
	}
	if x, err = juncture.ParseIntersection(g.Query("key")); err != nil {
		return
	}
	if ev, err = c.deps.Source.Evidence(g.Request.Context(), e.ID); err != nil {
		return
	}
	r, err = experiments.BuildIntersection(ev, x)
	return
}

func (c *Console) intersection(g *gin.Context) {
	s, e, ev, r, x, err := c.intersectionData(g)
	if err != nil {
		c.fail(g, err)
		return
	}
	decisions, err := c.deps.Source.Decisions(g.Request.Context(), e.ID, x, decisionsLimit)
	if err != nil {
		c.fail(g, err)
		return
	}
	p := &intersectionPage{Experiment: viewExperiment(e), Metric: newMetric(r.Goal, r.Money, r.Currency), Report: r,
		Heading: strings.ToUpper(r.Phrase[:1]) + r.Phrase[1:], Back: query{Experiment: e.ID}.url(gridPath),
		CSV: intersectionURL(intersectionPath+".csv", e.ID, r.Key)}
	p.layout = c.layoutFor(g, p.Heading, s)
	p.estimates()
	p.evidence()
	actions := experiments.Actions(ev)
	for _, d := range decisions {
		p.Decisions = append(p.Decisions, viewDecision(d, ev, actions))
	}
	c.render(g, 200, "intersection", p)
}

// estimates fills the figures and the tables beside them.
func (p *intersectionPage) estimates() {
	r := &p.Report
	if len(r.Actions) == 0 {
		return
	}
	bars := chart.IntervalFigure{ID: "rates", Title: p.Metric.Name + " of each action, with its 95% interval",
		Desc: r.Sentence + " The same numbers stand in the table below."}
	curves := chart.DensityFigure{ID: "beliefs", Title: "What is believed of each action's " + lower(p.Metric.Name),
		Desc: "A narrow, high curve is a sure belief; curves that hardly overlap are told apart."}
	for i, a := range r.Actions {
		line := actionLine{ActionReport: a, Figure: p.Metric.figure(a.Estimate), Interval: interval(a.Estimate), Loss: points(a.Loss)}
		p.Actions = append(p.Actions, line)
		bars.Marks = append(bars.Marks, mark(a.Index, a.Letter, a.Name, a.Estimate))
		if i < curvesLimit {
			x, y := policy.DensityPoints(a.Posterior(), densityPoints)
			curves.Curves = append(curves.Curves, chart.Curve{Arm: a.Index, Letter: a.Letter, Label: a.Name, X: x, Y: y})
		}
	}
	p.Intervals, p.Densities, p.Curves = chart.Intervals(bars), chart.Densities(curves), len(curves.Curves)
	copies := chart.IntervalFigure{ID: "copies", Title: p.Metric.Name + " of each copy, with its 95% interval",
		Desc: "Copies of one action share its letter and colour."}
	for _, a := range r.Arms {
		p.Arms = append(p.Arms, armLine{a, p.Metric.figure(a.Estimate), interval(a.Estimate)})
		copies.Marks = append(copies.Marks, mark(a.Index, a.Letter, a.Name+" · "+a.Copy, a.Estimate))
	}
	if len(r.Arms) > len(r.Actions) {
		p.Copies = chart.Intervals(copies)
	}
}

func mark(index int, letter, label string, e experiments.Estimate) chart.Interval {
	return chart.Interval{Arm: index, Letter: letter, Label: label, Mean: e.Mean, Low: e.Low, High: e.High,
		Text: experiments.Percent(e.Mean) + " (" + interval(e) + ")"}
}

// points writes a difference of rates in percentage points.
func points(v float64) string {
	return strings.TrimSuffix(experiments.Percent(v), "%") + " pts"
}

// evidence fills what the estimates rest on.
func (p *intersectionPage) evidence() {
	r := &p.Report
	for i, s := range r.Rungs {
		l := rungLine{RungReport: s, Name: strings.ToUpper(s.Phrase[:1]) + s.Phrase[1:], Rate: "–"}
		if i < len(r.Rungs)-1 {
			l.Href = intersectionURL(intersectionPath, p.Experiment.ID, s.Key)
		}
		if s.Trials > 0 {
			l.Rate = experiments.Percent(float64(s.Successes) / float64(s.Trials))
		}
		p.Rungs = append(p.Rungs, l)
	}
	for _, gr := range r.Groups {
		l := groupLine{GroupReport: gr, Name: groupName(gr.Group), Meaning: groupMeaning[gr.Group], RateText: "–", ValueText: "–"}
		if gr.Trials > 0 {
			l.RateText = experiments.Percent(gr.Rate)
			l.ValueText = experiments.Money(float64(gr.Value)/pow10(juncture.MinorDigits(r.Currency))/float64(gr.Trials), r.Currency)
		}
		p.Groups = append(p.Groups, l)
	}
}

func pow10(n int) float64 {
	v := 1.0
	for range n {
		v *= 10
	}
	return v
}

var groupMeaning = map[juncture.Group]string{
	juncture.GroupPolicy:  "Juncture chooses",
	juncture.GroupRandom:  "any action, by lot",
	juncture.GroupBAU:     "business as usual: the surface's default",
	juncture.GroupHoldout: "the page as it would be without Juncture",
}

func groupName(g juncture.Group) string {
	if g == juncture.GroupBAU {
		return "BAU"
	}
	if g == juncture.GroupNone {
		return "–"
	}
	return experiments.Title(g.String())
}

func viewDecision(d DecisionView, ev experiments.Evidence, actions map[string]experiments.ActionInfo) decisionLine {
	l := decisionLine{DecisionView: d, GroupName: groupName(d.Group), Action: "Nothing shown"}
	if d.Arm != 0 {
		l.Action = fmt.Sprintf("Arm %d", d.Arm)
		if a, ok := ev.Arms[d.Arm]; ok {
			info := actions[a.Arm.Action]
			l.Action, l.Headline, l.Letter, l.Index = info.Name, a.Headline, info.Letter, info.Index
		}
	}
	var parts []string
	for _, o := range d.Outcomes {
		s := experiments.Title(o.Event)
		if o.Currency != "" {
			s += " " + experiments.Money(o.Value, o.Currency)
		}
		if o.Status != juncture.StatusRecorded && o.Status != "" {
			s += " (" + string(o.Status) + ")"
		}
		parts = append(parts, s)
	}
	l.Outcomes = strings.Join(parts, ", ")
	return l
}

func (c *Console) intersectionCSV(g *gin.Context) {
	_, e, _, r, _, err := c.intersectionData(g)
	if err != nil {
		c.fail(g, err)
		return
	}
	t := newTable("key", "action", "action_version", "copy", "copy_version", "headline", "competes", "decisions", "successes",
		"rate", "low", "high", "value", "p_best", "expected_loss", "borrowed")
	for _, a := range r.Arms {
		t.row(r.Key, a.Action, strconv.Itoa(a.ActionVersion), a.Copy, strconv.Itoa(a.CopyVersion), a.Headline, "yes", number(a.Own), number(a.Successes),
			number(a.Mean), number(a.Low), number(a.High), number(a.Value), number(a.PBest), number(a.Loss), number(a.Borrowed))
	}
	for _, a := range r.Past {
		t.row(r.Key, a.Action, strconv.Itoa(a.ActionVersion), a.Copy, strconv.Itoa(a.CopyVersion), a.Headline, "no", whole(a.Trials), whole(a.Successes),
			"", "", "", "", "", "", "")
	}
	t.send(g, e.ID+"-"+strings.Join(slices.DeleteFunc(strings.FieldsFunc(r.Key, func(r rune) bool { return r == '/' }), func(s string) bool { return s == "v1" }), "-"))
}

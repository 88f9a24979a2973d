package console

import (
	"encoding/json"
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/audit"
	"github.com/juncture/juncture/console/chart"
	"github.com/juncture/juncture/experiments"
	gate "github.com/juncture/juncture/experiments/interval"
	"github.com/juncture/juncture/experiments/report"
)

// How much the page of an experiment shows; the CSVs have everything.
const (
	armsDrawn     = 8
	armsLimit     = 100
	daysLimit     = 60
	historyLimit  = 20
	historyExport = 1000
	sliceValues   = 100 // of an axis
)

// trialQuery is what the page of an experiment is asked, as it stands in the URL.
type trialQuery struct {
	Over  juncture.Group // 0: the control that the report opens with
	Slice map[string]string
	Cuped bool
}

func readTrialQuery(v url.Values) (trialQuery, error) {
	q := trialQuery{Slice: readQuery(v).Filter}
	switch v.Get("cuped") {
	case "", "false":
	case "true":
		q.Cuped = true
	default:
		return q, juncture.Errorf(juncture.CodeInvalidRequest, "cuped is true or false.")
	}
	if s := v.Get("over"); s != "" {
		for _, g := range []juncture.Group{juncture.GroupHoldout, juncture.GroupBAU, juncture.GroupRandom} {
			if g.String() == s {
				q.Over = g
			}
		}
		if q.Over == 0 {
			return q, juncture.Errorf(juncture.CodeInvalidRequest, "No group to compare with is called %.40q: it is holdout, bau or random.", s)
		}
	}
	return q, nil
}

func (q trialQuery) report() report.Query { return report.Query{Slice: q.Slice, Cuped: q.Cuped} }

func (q trialQuery) url(path string) string {
	v := url.Values{}
	if q.Over != 0 {
		v.Set("over", q.Over.String())
	}
	for axis, value := range q.Slice {
		v.Set(filterPrefix+axis, value)
	}
	if q.Cuped {
		v.Set("cuped", "true")
	}
	if len(v) == 0 {
		return path
	}
	return path + "?" + v.Encode()
}

// trialPage is one experiment, or one holdout.
type trialPage struct {
	layout
	trialView
	Goal, Horizon  string
	Tripped        string // why; empty: no guard has
	Shipped        string // what; empty: nothing was
	Done           string // what was just done
	Asks           bool   // a slice or CUPED was asked for
	Clear          string
	Form           string
	Selects        []choice
	Slices         []choice
	SliceTitle     string // "Loyal × Browsing"; empty: everybody
	Lifts          []liftLine
	Over           string
	CSV            map[string]string // by table
	Groups         []reportGroup
	GateLine       *gateLine
	Layers         []layerReport
	Rates          template.HTML
	RatesOf        int // arms that are drawn
	Arms           []reportArm
	ArmsOf         int
	Told           bool // whether the history is
	History        []historyLine
	Grid, WhatIf   string // empty: not offered
	Money          bool   // a group earned some
	CupedOn, Learn bool   // adjusted; the policy learnt meanwhile
}

type reportGroup struct {
	report.Group
	Name, Meaning string
	Lines         []metricLine
}

type metricLine struct {
	Outcome, Conversion, PerShopper, Average, Restated string
	Shoppers, Count                                    int64
}

type gateLine struct {
	gateView
	Asks, By, Plan, Smallest string
}

type layerReport struct {
	Title, Asks, Sentence string
	Shoppers              int64
	Reach                 string
	Lifts                 []liftLine
}

type reportArm struct {
	report.Arm
	Name, CopyName, Letter  string
	Index                   int
	PolicyText, PolicyRange string
	RandomText, RandomRange string
}

type historyLine struct {
	At                                 time.Time
	Actor, Action, From, Reason, State string
}

// trialOf finds the experiment or holdout of the path, and what is asked of it; x is nil for a holdout.
func (c *Console) trialOf(g *gin.Context) (x *juncture.ExperimentView, q trialQuery, err error) {
	if q, err = readTrialQuery(g.Request.URL.Query()); err != nil {
		return nil, q, err
	}
	id := g.Param("id")
	xs, holdouts, err := c.deps.Trials.Experiments(g.Request.Context())
	if err != nil {
		return nil, q, err
	}
	if i := slices.IndexFunc(xs, func(x juncture.ExperimentView) bool { return x.ID == id }); i >= 0 {
		return &xs[i], q, nil
	}
	if !slices.ContainsFunc(holdouts, func(h juncture.Holdout) bool { return h.ID == id }) {
		return nil, q, juncture.Errorf(juncture.CodeNotFound, "No experiment or holdout is called %.80q.", id).WithHint("The page of the experiments lists those that there are.")
	}
	return nil, q, nil
}

// asksTrial reads the report of the path's experiment or holdout, too.
func (c *Console) asksTrial(g *gin.Context) (x *juncture.ExperimentView, q trialQuery, r report.Report, err error) {
	if x, q, err = c.trialOf(g); err != nil {
		return nil, q, r, err
	}
	r, err = c.deps.Trials.Report(g.Request.Context(), g.Param("id"), q.report())
	return x, q, r, err
}

// trialRead is what the page of an experiment, or of a holdout, is made from.
type trialRead struct {
	x        *juncture.ExperimentView // nil: a holdout
	q        trialQuery
	report   report.Report
	health   *HealthView          // nil: not offered
	evidence experiments.Evidence // of an experiment
}

func (c *Console) readTrial(g *gin.Context) (t trialRead, err error) {
	if t.x, t.q, err = c.trialOf(g); err != nil {
		return t, err
	}
	ctx, id := g.Request.Context(), g.Param("id")
	reads := []func() error{func() (err error) {
		t.report, err = c.deps.Trials.Report(ctx, id, t.q.report())
		return err
	}}
	if t.x != nil {
		reads = append(reads, func() (err error) {
			t.evidence, err = c.deps.Source.Evidence(ctx, id)
			return err
		})
	}
	if t.x != nil && c.deps.Health != nil {
		reads = append(reads, func() error {
			h, err := c.deps.Health.Health(ctx, id)
			t.health = &h
			return err
		})
	}
	return t, together(len(reads), func(i int) error { return reads[i]() })
}

func (c *Console) trialOne(g *gin.Context) {
	t, err := c.readTrial(g)
	if err != nil {
		c.fail(g, err)
		return
	}
	p := &trialPage{}
	if err := c.fillTrial(g, p, t); err != nil {
		c.fail(g, err)
		return
	}
	c.render(g, http.StatusOK, "experiment", p)
}

func (c *Console) fillTrial(g *gin.Context, p *trialPage, t trialRead) error {
	x, q, r, ev := t.x, t.q, t.report, t.evidence
	store, err := c.deps.Source.Store(g.Request.Context())
	if err != nil {
		return err
	}
	p.trialView = viewTrial(g, x, r, t.health, c.deps.Now())
	p.layout = c.layoutFor(g, p.Name, store)
	p.layout.asOf(c, r.AsOf, ev.AsOf, t.health.asOf())
	p.draw(r, false, daysLimit)
	p.Horizon, p.Asks, p.CupedOn = duration(time.Duration(r.Horizon)), len(q.Slice) > 0 || q.Cuped, q.Cuped
	if len(q.Slice) > 0 {
		p.SliceTitle = clip(filterTitle(q.Slice, c.names(g.Request.Context())), longestText)
	}
	p.Form, p.Clear = trialURL(r.ID, ""), trialQuery{Over: q.Over}.url(trialURL(r.ID, ""))
	p.CSV = map[string]string{}
	for _, table := range trialTables() {
		p.CSV[table] = q.url(trialURL(r.ID, "/"+table+".csv"))
	}
	if x != nil {
		if err := p.experiment(g, c, *x, r); err != nil {
			return err
		}
	}
	p.lifts(r, q)
	p.slices(ev, q)
	for _, of := range r.Groups {
		p.Groups = append(p.Groups, p.group(r, of))
	}
	p.gate(r)
	for _, l := range r.Layers {
		line := layerReport{Title: tierTitle(l.Tier), Asks: upper(l.Asks), Sentence: clip(l.Sentence, sentenceLimit), Shoppers: l.Shoppers, Reach: experiments.Percent(l.Reach)}
		for _, lift := range l.Lifts {
			of := viewLift(r, lift)
			of.Shoppers = l.Shoppers
			line.Lifts = append(line.Lifts, of)
		}
		p.Layers = append(p.Layers, line)
	}
	p.arms(r, ev)
	return nil
}

// experiment fills what only an experiment has.
func (p *trialPage) experiment(g *gin.Context, c *Console, x juncture.ExperimentView, r report.Report) error {
	p.Goal = clip(r.Goal, longestText)
	p.Learn = slices.ContainsFunc(r.Lifts, func(l report.Lift) bool { return l.Adaptive })
	if x.Tripped != nil {
		p.Tripped = or(clip(sentence(x.Tripped.Why), sentenceLimit), "A guard took it back to the default.")
	}
	if s := x.Shipped; s != nil {
		p.Shipped = clip(experiments.Title(s.Action), longestText) + " is the surface's default since " + s.At.UTC().Format("2 January 2006") + "."
	}
	for _, w := range x.Warnings {
		p.Warnings = append(p.Warnings, clip(w, sentenceLimit))
	}
	if verb := juncture.Verb(g.Query("done")); verbDone[verb] != "" {
		p.Done = verbDone[verb]
	}
	filter := maps.Clone(r.Slice)
	delete(filter, "tier") // which the grid has no axis of
	p.Grid = query{Experiment: x.ID, Filter: filter}.url(gridPath)
	if c.deps.WhatIf != nil {
		p.WhatIf = trialURL(x.ID, "/what-if")
	}
	if p.Told = sharedUntil(g).IsZero(); !p.Told { // names of people are not for whoever holds a link
		return nil
	}
	entries, err := c.deps.Trials.History(g.Request.Context(), x.ID, historyLimit)
	for _, e := range entries {
		p.History = append(p.History, viewHistory(e))
	}
	return err
}

// viewHistory is an audit entry of an experiment, with the reason that was given.
func viewHistory(e audit.Entry) historyLine {
	var after struct{ State, Reason string }
	_ = json.Unmarshal(e.After, &after) // entries of other kinds have neither
	return historyLine{At: e.At, Actor: clip(e.Actor, longestText), Action: clip(experiments.Title(e.Action), longestText), From: clip(e.From, longestText), Reason: clip(after.Reason, sentenceLimit), State: clip(after.State, longestText)}
}

// lifts picks those over one control, and offers the others.
func (p *trialPage) lifts(r report.Report, q trialQuery) {
	over := q.Over
	if over == 0 && r.Headline != nil {
		over = r.Headline.Over
	}
	pick := choice{Name: "over", Title: "Compared with"}
	for _, g := range []juncture.Group{juncture.GroupHoldout, juncture.GroupBAU, juncture.GroupRandom} {
		if slices.ContainsFunc(r.Lifts, func(l report.Lift) bool { return l.Over == g }) || g == over {
			pick.Options = append(pick.Options, option{g.String(), groupName(g) + ": " + lower(controlTitles[g]), g == over})
		}
	}
	if len(pick.Options) > 0 {
		p.Selects = append(p.Selects, pick)
	}
	p.Selects = append(p.Selects, choice{"cuped", "Adjusted for earlier orders", []option{{"false", "No", !q.Cuped}, {"true", "Yes (CUPED)", q.Cuped}}})
	if over != 0 {
		p.Over = lower(controlTitles[over])
	}
	for _, l := range r.Lifts {
		if l.Over == over {
			p.Lifts = append(p.Lifts, viewLift(r, l))
		}
	}
	slices.SortStableFunc(p.Lifts, func(a, b liftLine) int { return int(a.Group) - int(b.Group) }) // of the policy first
}

// controlTitles name the groups that others are held against.
var controlTitles = map[juncture.Group]string{juncture.GroupRandom: "Drawn by lot", juncture.GroupBAU: "Business as usual", juncture.GroupHoldout: "The page without Juncture"}

// slices offers the values of every axis that shoppers had.
func (p *trialPage) slices(ev experiments.Evidence, q trialQuery) {
	for _, axis := range experiments.GridAxes() {
		if axis == "moment" || axis == "trajectory" {
			continue // their axes are offered one by one
		}
		trials := map[string]int64{}
		for i := range ev.Cells {
			if v, ok := ev.Cells[i].Intersection.AxisNamed(axis); ok {
				for _, row := range ev.Cells[i].Rows {
					if row.Event == "" {
						trials[v] += row.Trials
					}
				}
			}
		}
		asked, on := q.Slice[axis]
		if on {
			trials[asked] += 0
		}
		if len(trials) < 2 && !on {
			continue
		}
		values := make([]string, 0, len(trials))
		for v := range trials {
			values = append(values, v)
		}
		slices.SortFunc(values, func(a, b string) int {
			if d := trials[b] - trials[a]; d != 0 {
				return int(min(max(d, -1), 1))
			}
			return map[bool]int{true: -1, false: 1}[a < b]
		})
		pick := choice{Name: filterPrefix + axis, Title: experiments.AxisTitle(axis), Options: []option{{"", "All", !on}}}
		for i, v := range values {
			if i < sliceValues || v == asked {
				pick.Options = append(pick.Options, option{v, clip(ev.Names.Value(axis, v), longestText), on && v == asked})
			}
		}
		p.Slices = append(p.Slices, pick)
	}
	tier, on := q.Slice["tier"]
	pick := choice{Name: filterPrefix + "tier", Title: "Known as far as", Options: []option{{"", "All", !on}}}
	for t := juncture.TierStore; t <= juncture.TierFull; t++ {
		pick.Options = append(pick.Options, option{t.String(), tierTitle(t.String()), t.String() == tier})
	}
	p.Slices = append(p.Slices, pick)
}

var tierTitles = map[string]string{"store": "Nothing", "moment": "Moment", "meaning": "Taste", "trajectory": "Intent", "full": "The full intersection"}

func tierTitle(tier string) string {
	return or(tierTitles[tier], clip(experiments.Title(tier), longestText))
}

func (p *trialPage) group(r report.Report, of report.Group) reportGroup {
	out := reportGroup{Group: of, Name: groupName(of.Group), Meaning: upper(groupMeaning[of.Group])}
	for _, m := range of.Metrics {
		l := metricLine{Outcome: clip(experiments.Title(m.Outcome), longestText), Shoppers: m.Shoppers, Count: m.Count, Conversion: "–", PerShopper: "–", Average: "–", Restated: "–"}
		if of.Closed > 0 {
			l.Conversion, l.Restated = experiments.Percent(m.Conversion), experiments.Percent(m.Restated)
		}
		if m.Value != 0 || m.PerShopper != 0 {
			p.Money = true
			l.PerShopper, l.Average, l.Restated = experiments.Money(m.PerShopper, r.Currency), experiments.Money(m.Average, r.Currency), experiments.Money(m.Restated, r.Currency)
		}
		out.Lines = append(out.Lines, l)
	}
	return out
}

func (p *trialPage) gate(r report.Report) {
	x := r.Gate
	if x == nil {
		return
	}
	l := &gateLine{gateView: *p.Gate}
	rule := "the estimate reaches it and the lower bound is over 0"
	if x.Rule == juncture.GateLower {
		rule = "the lower bound reaches it"
	}
	l.Asks = clip(experiments.Title(x.Outcome), longestText) + ", " + measureTitles[x.Measure] + ": a lift of " + signed(x.Threshold) + " over " + lower(or(controlTitles[x.Over], "a control")) + "; expand when " + rule
	if x.By != nil {
		l.By = x.By.UTC().Format("2 January 2006")
		if x.State == gate.Waiting {
			l.By = "expected " + l.By
		}
	}
	if plan := x.Plan; plan != nil && plan.Median > 0 {
		l.Plan = "With a true lift of " + signed(plan.Lift) + " on " + amount(x.Measure, plan.Base, r.Currency) + ": " + approximately(plan.Median) + " shoppers"
		if plan.Low > 0 && plan.High > 0 {
			l.Plan += ", in eight of ten cases between " + approximately(plan.Low) + " and " + approximately(plan.High)
		}
		if plan.SmallestHoldout > 0 {
			l.Smallest = "A control of " + experiments.Percent(plan.SmallestHoldout) + " would decide within the last week at this traffic."
		}
	}
	p.GateLine = l
}

func approximately(v float64) string { return experiments.Count(int64(v + 0.5)) }

// arms sets what the policy's own decisions came to beside what those drawn by lot did.
func (p *trialPage) arms(r report.Report, ev experiments.Evidence) {
	actions := experiments.Actions(ev)
	fig := chart.IntervalFigure{ID: "arms", Title: "Rate of each arm where it was drawn by lot", Desc: "One bar for each arm: the 95% interval of its rate among decisions drawn by lot. The table below has these numbers and the policy's."}
	p.ArmsOf = len(r.Arms)
	for i, a := range r.Arms[:min(len(r.Arms), armsLimit)] {
		info := actions[a.Action]
		l := reportArm{Arm: a, Name: clip(or(info.Name, experiments.Title(a.Action)), longestText), CopyName: clip(a.Copy, longestText), Letter: info.Letter, Index: info.Index}
		l.PolicyText, l.PolicyRange = rateWords(a.Policy)
		l.RandomText, l.RandomRange = rateWords(a.Random)
		p.Arms = append(p.Arms, l)
		if i < armsDrawn && a.Random.Trials > 0 {
			fig.Marks = append(fig.Marks, chart.Interval{Arm: info.Index, Letter: info.Letter, Label: l.Name + " · " + l.CopyName, Text: l.RandomText + " (" + l.RandomRange + "), n " + experiments.Count(a.Random.Trials), Mean: a.Random.Mean, Low: a.Random.Low, High: a.Random.High})
		}
	}
	if len(fig.Marks) > 0 {
		p.Rates, p.RatesOf = chart.Intervals(fig), len(fig.Marks)
	}
}

func rateWords(r report.Rate) (mean, span string) {
	if r.Trials <= 0 {
		return "–", "–"
	}
	return experiments.Percent(r.Mean), experiments.Percent(r.Low) + " to " + experiments.Percent(r.High)
}

// trialTables are the tables of an experiment that have a CSV.
func trialTables() []string { return []string{"groups", "lifts", "days", "layers", "arms", "history"} }

// trialCSV sends one table of an experiment.
func (c *Console) trialCSV(name string) gin.HandlerFunc {
	return func(g *gin.Context) {
		x, _, r, err := c.asksTrial(g)
		var t *table
		if err == nil {
			switch name {
			case "groups":
				t = groupsTable(r)
			case "lifts":
				t = liftsTable(r.Lifts)
			case "days":
				t = daysTable(r)
			case "layers":
				t = layersTable(r)
			case "arms":
				t = armsTable(r)
			case "history":
				if x == nil {
					err = juncture.Errorf(juncture.CodeNotFound, "A holdout has no history of its own.")
					break
				}
				var entries []audit.Entry
				entries, err = c.deps.Trials.History(g.Request.Context(), x.ID, historyExport)
				t = historyTable(entries)
			}
		}
		if err != nil {
			c.fail(g, err)
			return
		}
		t.send(g, fileName(r.ID)+"-"+name)
	}
}

func groupsTable(r report.Report) *table {
	t := newTable("group", "share", "enrolled", "merged", "crossed", "closed", "open", "exposures", "trials", "outcome", "shoppers", "count", "conversion", "per_trial", "value", "per_shopper", "average", "restated")
	for _, g := range r.Groups {
		for _, m := range g.Metrics {
			t.row(valid([]string{g.Group.String(), number(g.Share), whole(g.Enrolled), whole(g.Merged), whole(g.Crossed), whole(g.Closed), whole(g.Open), whole(g.Exposures), whole(g.Trials), m.Outcome, whole(m.Shoppers), whole(m.Count),
				number(m.Conversion), number(m.PerTrial), number(m.Value), number(m.PerShopper), number(m.Average), number(m.Restated)})...)
		}
	}
	return t
}

var liftHead = []string{"outcome", "measure", "group", "over", "adaptive", "mean", "control_mean", "difference", "low", "high", "fixed_low", "fixed_high", "p",
	"relative", "relative_low", "relative_high", "relative_fixed_low", "relative_fixed_high", "relative_p", "per_1000", "restated", "e_value", "always_p", "not_enough", "says"}

func liftCells(l report.Lift) []string {
	row := []string{l.Outcome, l.Measure, l.Group.String(), l.Over.String(), strconv.FormatBool(l.Adaptive), number(l.Mean), number(l.ControlMean)}
	row = append(append(row, boundsCells(l.Difference)...), boundsCells(l.Relative)...)
	return valid(append(row, perThousand(l), number(l.Restated), number(l.EValue), number(l.AlwaysP), l.Difference.NotEnough, l.Sentence))
}

func liftsTable(lifts []report.Lift) *table {
	t := newTable(slices.Clone(liftHead)...)
	for _, l := range lifts {
		t.row(liftCells(l)...)
	}
	return t
}

func daysTable(r report.Report) *table {
	t := newTable("day", "policy", "random", "bau", "holdout", "relative", "low", "high", "fixed_low", "fixed_high", "p", "not_enough")
	for _, d := range r.Days {
		row := []string{d.Day}
		for _, g := range []juncture.Group{juncture.GroupPolicy, juncture.GroupRandom, juncture.GroupBAU, juncture.GroupHoldout} {
			row = append(row, whole(d.Closed[g.String()]))
		}
		t.row(valid(append(append(row, boundsCells(d.Relative)...), d.Relative.NotEnough))...)
	}
	return t
}

func layersTable(r report.Report) *table {
	t := newTable(append([]string{"tier", "asks", "tier_shoppers", "reach"}, liftHead...)...)
	for _, l := range r.Layers {
		head := []string{l.Tier, l.Asks, whole(l.Shoppers), number(l.Reach)}
		if len(l.Lifts) == 0 {
			t.row(append(head, make([]string, len(liftHead))...)...)
		}
		for _, lift := range l.Lifts {
			t.row(append(slices.Clone(head), liftCells(lift)...)...)
		}
	}
	return t
}

func armsTable(r report.Report) *table {
	t := newTable("action", "action_version", "copy", "copy_version", "group", "trials", "successes", "rate", "low", "high")
	for _, a := range r.Arms {
		for _, of := range []struct {
			group string
			report.Rate
		}{{"policy", a.Policy}, {"random", a.Random}} {
			t.row(valid([]string{a.Action, strconv.Itoa(a.ActionVersion), a.Copy, strconv.Itoa(a.CopyVersion), of.group, whole(of.Trials), whole(of.Successes), number(of.Mean), number(of.Low), number(of.High)})...)
		}
	}
	return t
}

func historyTable(entries []audit.Entry) *table {
	t := newTable("seq", "at", "actor", "action", "from", "state", "reason")
	for _, e := range entries {
		l := viewHistory(e)
		t.row(valid([]string{whole(e.Seq), e.At.UTC().Format(time.RFC3339), e.Actor, e.Action, e.From, l.State, l.Reason})...)
	}
	return t
}

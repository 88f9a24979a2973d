package console

import (
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/console/chart"
	"github.com/juncture/juncture/experiments"
	"github.com/juncture/juncture/policy"
)

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
	Why        bool // the actions say what their belief is made of
	Groups     []groupLine
	Decisions  []decisionLine
	Back       string
	CSV        string
}

type actionLine struct {
	experiments.ActionReport
	Figure, Interval, Loss string
	Href                   string // of its page, with its versions; empty: none is offered
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
	Explain   string // why it is what it is; empty: not told
}

// report reads the intersection whose key the URL has.
func (c *Console) report(g *gin.Context) (a asked, r experiments.IntersectionReport, err error) {
	x, err := juncture.ParseIntersection(g.Query("key"))
	if err != nil {
		return a, r, err
	}
	if a, err = c.mustAsk(g); err != nil {
		return a, r, err
	}
	r, err = experiments.BuildIntersection(a.evidence, x)
	return a, r, err
}

func (c *Console) intersection(g *gin.Context) {
	a, r, err := c.report(g)
	if err != nil {
		c.fail(g, err)
		return
	}
	e := a.experiment
	var decisions []DecisionView // of single shoppers: not on a shared page
	if sharedUntil(g).IsZero() {
		decisions, err = c.deps.Source.Decisions(g.Request.Context(), e.ID, r.At, decisionsLimit)
	}
	if err != nil {
		c.fail(g, err)
		return
	}
	p := &intersectionPage{Experiment: viewExperiment(e), Metric: newMetric(e, r.Money, r.Currency), Report: r,
		Heading: strings.ToUpper(r.Phrase[:1]) + r.Phrase[1:], Back: query{Experiment: e.ID}.url(gridPath),
		CSV: intersectionURL(intersectionPath+".csv", e.ID, r.Key)}
	p.layout = c.layoutFor(g, p.Heading, a.store)
	p.layout.asOf(c, a.evidence.AsOf)
	p.estimates()
	p.evidence()
	if c.deps.Pool != nil && sharedUntil(g).IsZero() {
		for i := range p.Actions {
			p.Actions[i].Href = actionURL(p.Actions[i].Action)
		}
	}
	actions := experiments.Actions(a.evidence)
	for _, d := range decisions {
		l := viewDecision(d, a.evidence, actions)
		l.Explain = c.explainHref(d.ID)
		p.Decisions = append(p.Decisions, l)
	}
	c.render(g, http.StatusOK, "intersection", p)
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
		line := actionLine{ActionReport: a, Figure: p.Metric.figure(a.Estimate), Interval: interval(a.Estimate), Loss: p.Metric.loss(a.Estimate)}
		p.Actions = append(p.Actions, line)
		p.Why = p.Why || a.Why != ""
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
	juncture.GroupShadow:  "in shadow: Juncture draws, the surface's default is shown",
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
		if o.Credit > 0 && o.Credit < 1 {
			s += ", " + experiments.Percent(o.Credit) + " of it"
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
	a, r, err := c.report(g)
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
	t.send(g, a.experiment.ID+strings.ReplaceAll(strings.TrimPrefix(r.Key, "v1"), "/", "-"))
}

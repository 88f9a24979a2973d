package console

import (
	"context"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/console/chart"
	"github.com/juncture/juncture/evaluate"
	"github.com/juncture/juncture/experiments"
	"github.com/juncture/juncture/experiments/offpolicy"
)

// WhatIf says what other policies would have earned on an experiment's log. An answer takes a walk over the whole log:
// CodeUnavailable where it goes on after the context has ended, to be found later, CodeTooManyRequests while another
// question is being answered; CodeInvalidRequest, CodeUnprocessable for what cannot be asked.
type WhatIf interface {
	// Evaluate values policies: the one that ran, and those among some actions alone or that know less of a shopper.
	Evaluate(ctx context.Context, q WhatIfQuery) (evaluate.Report, error)
	// Worth says whether personalising does harm, and what each layer adds.
	Worth(ctx context.Context, q WhatIfQuery) (evaluate.Worth, error)
}

// WhatIfQuery is a question to a log.
type WhatIfQuery struct {
	Experiment string
	Only       []string // actions, in the order of their ids; none: each alone
	Ceiling    string   // a tier; empty: none
	From, To   time.Time
}

// whatIfWait is how long a page waits for an answer before it says that it is under way.
const whatIfWait = 200 * time.Millisecond

// What the page may ask.
const (
	askPolicies = "policies"
	askWorth    = "worth"
)

type whatIfPage struct {
	layout
	Name, Back  string
	Ask         string // empty: nothing yet
	Tabs        []linkOption
	Lead        string
	Form        string
	Actions     []option // to be ticked
	Tiers       choice
	From, To    string // days, as they were typed
	Waiting     string // why there is no answer yet; empty: there is, or nothing was asked
	Retry       string
	Problem     string
	Steps       []stepLine // worth
	NoHarm      *stepLine
	Figure      template.HTML // of rates
	Lines       []valueLine
	Differences []valueLine
	Observed    []valueLine
	Unit        string
	Facts       []fact
	CSV         string
}

type fact struct{ Name, Text string }

type stepLine struct {
	Title, Sentence string
	Mark            badge
	Difference      string
	Range           string
}

// valueLine is a policy, a difference of two or a group with what it earned.
type valueLine struct {
	Name, Note              string
	Value, Range, RangeOnce string
	Effective               string
	Decisions               int64
	Refused                 string
	Warnings                []string
}

// whatIfAsked is the question as it stands in the URL.
type whatIfAsked struct {
	WhatIfQuery
	ask      string
	from, to string
}

func (a whatIfAsked) url(path string) string {
	v := url.Values{}
	set := func(name, value string) {
		if value != "" {
			v.Set(name, value)
		}
	}
	set("ask", a.ask)
	set("ceiling", a.Ceiling)
	set("from", a.from)
	set("to", a.to)
	for _, action := range a.Only {
		v.Add("only", action)
	}
	if len(v) == 0 {
		return path
	}
	return path + "?" + v.Encode()
}

func readWhatIf(g *gin.Context, experiment string) (a whatIfAsked, err error) {
	v := g.Request.URL.Query()
	a = whatIfAsked{WhatIfQuery: WhatIfQuery{Experiment: experiment, Ceiling: v.Get("ceiling")}, ask: v.Get("ask"), from: v.Get("from"), to: v.Get("to")}
	for _, action := range v["only"] {
		if action != "" {
			a.Only = append(a.Only, action)
		}
	}
	slices.Sort(a.Only)
	a.Only = slices.Compact(a.Only)
	if a.ask != "" && a.ask != askPolicies && a.ask != askWorth {
		return a, juncture.Errorf(juncture.CodeInvalidRequest, "There is no such question.")
	}
	for _, day := range []struct {
		said string
		at   *time.Time
	}{{a.from, &a.From}, {a.to, &a.To}} {
		if day.said == "" {
			continue
		}
		if *day.at, err = time.Parse(time.DateOnly, day.said); err != nil {
			return a, juncture.Errorf(juncture.CodeInvalidRequest, "%.40q is no day: write it as 2026-05-01.", day.said)
		}
	}
	if !a.From.IsZero() && !a.To.IsZero() && !a.From.Before(a.To) {
		return a, juncture.Errorf(juncture.CodeInvalidRequest, "The first day is not before the last.")
	}
	return a, nil
}

// answerWhatIf asks the port, for as long as a page may wait.
func (c *Console) answerWhatIf(ctx context.Context, a whatIfAsked) (r evaluate.Report, worth *evaluate.Worth, err error) {
	ctx, cancel := context.WithTimeout(ctx, whatIfWait)
	defer cancel()
	if a.ask == askWorth {
		w, err := c.deps.WhatIf.Worth(ctx, WhatIfQuery{Experiment: a.Experiment, From: a.From, To: a.To})
		return w.Report, &w, err
	}
	r, err = c.deps.WhatIf.Evaluate(ctx, a.WhatIfQuery)
	return r, nil, err
}

func (c *Console) whatIf(g *gin.Context) {
	x, err := c.findTrial(g)
	if err != nil {
		c.fail(g, err)
		return
	}
	a, wrong := readWhatIf(g, x.ID)
	store, err := c.deps.Source.Store(g.Request.Context())
	if err != nil {
		c.fail(g, err)
		return
	}
	ev, err := c.deps.Source.Evidence(g.Request.Context(), x.ID)
	if err != nil {
		c.fail(g, err)
		return
	}
	path := trialURL(x.ID, "/what-if")
	p := &whatIfPage{layout: c.layoutFor(g, "What if", store), Name: clip(experiments.Title(x.ID), longestText), Back: trialURL(x.ID, ""), Ask: a.ask, Form: path, From: clip(a.from, 40), To: clip(a.to, 40), CSV: a.url(path + ".csv")}
	p.Tabs = []linkOption{{"Other policies", whatIfAsked{ask: askPolicies, from: a.from, to: a.to}.url(path), a.ask == askPolicies}, {"What personalising is worth", whatIfAsked{ask: askWorth, from: a.from, to: a.to}.url(path), a.ask == askWorth}}
	p.choices(ev, a)
	p.Lead = "What would " + strings.ToLower(experiments.GoalName(x.Goal)) + " have come to under another policy? The log of decisions answers, with the probability that each was drawn with."
	status := http.StatusOK
	if wrong != nil {
		p.Problem, p.Ask, status = wrong.Error(), "", http.StatusBadRequest
	}
	if p.Ask != "" {
		r, worth, err := c.answerWhatIf(g.Request.Context(), a)
		e, known := errors.AsType[*juncture.Error](err)
		switch {
		case err == nil:
			p.answer(r, worth)
		case known && (e.Code == juncture.CodeUnavailable || e.Code == juncture.CodeTooManyRequests):
			status, p.Waiting, p.Retry = http.StatusAccepted, "The log is being read: try again in a moment.", a.url(path)
			if e.Code == juncture.CodeTooManyRequests {
				p.Waiting = "Another question is being answered, and one is at a time: try again in a moment."
			}
			p.Lead = "The answer is under way."
			g.Header("Retry-After", strconv.Itoa(max(1, int(e.RetryAfter.Seconds()))))
		case known && e.Code.Status() < 500 && e.Code != juncture.CodeNotFound:
			p.Problem, status = sentence(e.Message), e.Code.Status()
			if e.Hint != "" {
				p.Problem += " " + sentence(e.Hint)
			}
		default:
			c.fail(g, err)
			return
		}
	}
	c.render(g, status, "what-if", p)
}

// choices are the actions that may be ticked, and the tiers.
func (p *whatIfPage) choices(ev experiments.Evidence, a whatIfAsked) {
	seen := map[string]bool{}
	for _, arm := range ev.Arms {
		seen[arm.Arm.Action] = seen[arm.Arm.Action] || arm.Live
	}
	var actions []string
	for action := range seen {
		actions = append(actions, action)
	}
	slices.Sort(actions)
	for _, action := range actions[:min(len(actions), armsLimit)] {
		title := clip(experiments.Title(action), longestText)
		if !seen[action] {
			title += " (no longer shown)"
		}
		p.Actions = append(p.Actions, option{action, title, slices.Contains(a.Only, action)})
	}
	p.Tiers = choice{Name: "ceiling", Title: "No more known of a shopper than", Options: []option{{"", "All that is known", a.Ceiling == ""}}}
	for t := juncture.TierStore; t < juncture.TierFull; t++ {
		p.Tiers.Options = append(p.Tiers.Options, option{t.String(), tierTitle(t.String()), t.String() == a.Ceiling})
	}
}

func (p *whatIfPage) answer(r evaluate.Report, worth *evaluate.Worth) {
	p.Unit = clip(r.Goal, longestText) + " of 1,000 decisions"
	if r.Unit == evaluate.UnitRate {
		p.Unit = clip(r.Goal, longestText) + ", successes of 1,000 decisions"
	}
	p.Facts = []fact{{"Decisions read", experiments.Count(int64(r.Read))}, {"Used", experiments.Count(int64(r.Scored))}}
	if r.First != nil && r.Last != nil {
		p.Facts = append(p.Facts, fact{"From", r.First.UTC().Format("2 January 2006, 15:04 UTC")}, fact{"To", r.Last.UTC().Format("2 January 2006, 15:04 UTC")})
	}
	if left := r.Left.Words(); left != "" {
		p.Facts = append(p.Facts, fact{"Not used", left})
	}
	p.Facts = append(p.Facts, fact{"As of", r.AsOf.UTC().Format("2 January 2006, 15:04 UTC")})
	alone := func(of []juncture.Group) string {
		if len(of) == 1 && len(r.Observed) == 2 {
			return "from the group " + of[0].String() + " alone"
		}
		return ""
	}
	fig := chart.IntervalFigure{ID: "values", Title: "What each policy would have come to", Desc: "One bar for each policy: the interval that may be looked at any time. The table below has the numbers."}
	for i := range r.Policies {
		v := &r.Policies[i]
		l := viewValue(upper(v.Policy), v.Estimate, r.Amount)
		l.Note = alone(v.Groups)
		if v.Arm != "" {
			l.Note = strings.TrimPrefix(l.Note+"; in the end "+clip(v.Arm, longestText), "; ")
		}
		if v.Undefined > 0 {
			l.Warnings = append(l.Warnings, "Nothing of it was eligible at "+plural(v.Undefined, "decision", "decisions")+", left out.")
		}
		p.Lines = append(p.Lines, l)
		if e := v.Estimate; e.Refused == "" && r.Unit == evaluate.UnitRate {
			fig.Marks = append(fig.Marks, chart.Interval{Arm: 0, Label: l.Name, Text: l.Value + " (" + l.Range + ")", Mean: e.DR.Value, Low: e.Anytime.Low, High: e.Anytime.High})
		}
	}
	if len(fig.Marks) > 0 {
		p.Figure = chart.Intervals(fig)
	}
	for i := range r.Differences {
		d := &r.Differences[i]
		l := viewValue(upper(d.Policy)+" less "+d.Against, d.Estimate, r.Signed)
		l.Note = alone(d.Groups)
		p.Differences = append(p.Differences, l)
	}
	for _, o := range r.Observed {
		p.Observed = append(p.Observed, valueLine{Name: "Seen in the group " + o.Group.String(), Value: r.Amount(o.Mean.Value), RangeOnce: span(r.Amount(o.Mean.Low), r.Amount(o.Mean.High)), Decisions: int64(o.Rows)})
	}
	if worth != nil {
		p.Lead = worth.NoHarm.Sentence
		no := viewFinding("Personalising against one arm for everybody", worth.NoHarm, &r)
		p.NoHarm = &no
		for _, s := range worth.Tiers {
			p.Steps = append(p.Steps, viewFinding(tierTitle(s.Tier), s.Finding, &r))
		}
		return
	}
	p.Lead = whatIfLead(&r)
}

// whatIfLead says what was found, of the first difference or of the policy that ran.
func whatIfLead(r *evaluate.Report) string {
	if r.Scored == 0 {
		return "No decision of the log can be used for it yet."
	}
	for i := range r.Differences {
		d := &r.Differences[i]
		name := upper(clip(d.Policy, longestText))
		if d.Estimate.Refused != "" {
			return "What “" + name + "” would have brought cannot be said: " + strings.TrimSuffix(d.Estimate.Refused, ".") + "."
		}
		verdict := "no difference is shown"
		switch {
		case d.Estimate.Anytime.Low > 0:
			verdict = "it is more"
		case d.Estimate.Anytime.High < 0:
			verdict = "it is less"
		}
		return "“" + name + "” would have brought " + r.Signed(d.Estimate.DR.Value) + " of 1,000 decisions against " + d.Against + ", between " + r.Signed(d.Estimate.Anytime.Low) + " and " + r.Signed(d.Estimate.Anytime.High) + "; " + verdict + ", over " + plural(d.Estimate.Rows, "decision", "decisions") + "."
	}
	best := -1
	for i := range r.Policies {
		if r.Policies[i].Estimate.Refused == "" && (best < 0 || r.Policies[i].Estimate.DR.Value > r.Policies[best].Estimate.DR.Value) {
			best = i
		}
	}
	if best < 0 {
		return "Nothing can be said of any of these policies: the log says too little of them."
	}
	of := r.Policies[best].Estimate
	return "Of what can be said, “" + upper(clip(r.Policies[best].Policy, longestText)) + "” comes to most: " + r.Amount(of.DR.Value) + " of 1,000 decisions, between " + r.Amount(of.Anytime.Low) + " and " + r.Amount(of.Anytime.High) + "."
}

func viewValue(name string, e offpolicy.Estimate, amount func(float64) string) valueLine {
	l := valueLine{Name: clip(name, 2*longestText), Decisions: int64(e.Rows), Effective: "–", Refused: sentence(e.Refused)}
	if e.Effective > 0 {
		l.Effective = approximately(e.Effective)
	}
	for _, w := range e.Warnings {
		l.Warnings = append(l.Warnings, sentence(w))
	}
	if e.Refused == "" {
		l.Value, l.Range, l.RangeOnce = amount(e.DR.Value), span(amount(e.Anytime.Low), amount(e.Anytime.High)), span(amount(e.DR.Low), amount(e.DR.High))
	}
	return l
}

func viewFinding(title string, f evaluate.Finding, r *evaluate.Report) stepLine {
	l := stepLine{Title: title, Sentence: clip(f.Sentence, sentenceLimit), Difference: "–", Range: "–"}
	if f.Verdict != evaluate.VerdictUnknown {
		l.Difference, l.Range = r.Signed(f.Estimate.DR.Value), span(r.Signed(f.Estimate.Anytime.Low), r.Signed(f.Estimate.Anytime.High))
	}
	switch f.Verdict {
	case evaluate.VerdictBetter:
		l.Mark = badge{"winner", "More"}
	case evaluate.VerdictWorse:
		l.Mark = badge{"denied", "Less"}
	case evaluate.VerdictUnclear:
		l.Mark = badge{"leaning", "Not shown yet"}
	default:
		l.Mark = badge{"thin", "Cannot be said"}
	}
	return l
}

func (c *Console) whatIfCSV(g *gin.Context) {
	x, err := c.findTrial(g)
	var a whatIfAsked
	if err == nil {
		a, err = readWhatIf(g, x.ID)
	}
	if err == nil && a.ask == "" {
		err = juncture.Errorf(juncture.CodeInvalidRequest, "Nothing was asked.")
	}
	var r evaluate.Report
	var worth *evaluate.Worth
	if err == nil {
		r, worth, err = c.answerWhatIf(g.Request.Context(), a)
	}
	if err != nil {
		c.fail(g, err)
		return
	}
	t := newTable("kind", "policy", "against", "decisions", "effective", "value", "low", "high", "once_low", "once_high", "verdict", "says", "refused", "warnings")
	line := func(kind, policy, against string, e offpolicy.Estimate, verdict, says string) {
		row := []string{kind, policy, against, whole(int64(e.Rows)), number(e.Effective), "", "", "", "", "", verdict, says, e.Refused, strings.Join(e.Warnings, "; ")}
		if e.Refused == "" {
			copy(row[5:], []string{number(e.DR.Value), number(e.Anytime.Low), number(e.Anytime.High), number(e.DR.Low), number(e.DR.High)})
		}
		t.row(valid(row)...)
	}
	for _, o := range r.Observed {
		t.row("observed", o.Group.String(), "", whole(int64(o.Rows)), "", number(o.Mean.Value), "", "", number(o.Mean.Low), number(o.Mean.High), "", "", "", "")
	}
	for _, v := range r.Policies {
		line("policy", v.Policy, "", v.Estimate, "", v.Arm)
	}
	for _, d := range r.Differences {
		line("difference", d.Policy, d.Against, d.Estimate, "", "")
	}
	if worth != nil {
		line("no harm", "", "", worth.NoHarm.Estimate, string(worth.NoHarm.Verdict), worth.NoHarm.Sentence)
		for _, s := range worth.Tiers {
			line("tier", s.Tier, "", s.Estimate, string(s.Verdict), s.Sentence)
		}
	}
	t.send(g, fileName(x.ID)+"-what-if")
}

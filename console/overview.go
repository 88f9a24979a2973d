package console

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/console/chart"
	"github.com/juncture/juncture/experiments"
	gate "github.com/juncture/juncture/experiments/interval"
	"github.com/juncture/juncture/experiments/report"
)

// What the pages of experiments show; the CSVs have everything.
const (
	cardsLimit    = 8   // running experiments on the overview, each with a figure
	trialsLimit   = 200 // of the list
	cardDays      = 14  // in a card's table
	sentenceLimit = 600 // runes
)

// overviewPage is the store in one minute.
type overviewPage struct {
	layout
	Lead     string
	Declared bool // anything was applied
	Tiles    []tile
	Waits    []waitLine
	Cards    []trialView
	More     int // running experiments without a card
	Resting  []trialView
	Holdouts []trialView
}

// waitLine is something that waits for somebody.
type waitLine struct {
	Mark       badge
	Name, Href string
	Text       string
}

// trialView is an experiment, or a holdout, as a card or a line.
type trialView struct {
	ID, Name, Href, Surface string
	Holdout                 bool
	State                   badge
	Live                    bool // running, tripped or not
	Age                     string
	Shoppers                int64 // enrolled
	Sentence                string
	Verdict                 badge
	Lift                    *liftLine // nil: none can be said
	Figure                  string    // of the lift: money per 1,000 shoppers, or relative
	FigureRange             string
	FigureOf                string
	Trend                   template.HTML // empty: no day has a lift yet
	Days                    []dayLine
	DaysCSV                 string
	Gate                    *gateView
	Health                  *healthView
	Today, Week             int64
	Next                    []verbLink
	Waits                   []waitLine
	Warnings                []string
	AsOf                    time.Time // of the oldest of what it shows
}

type gateView struct {
	Mark     badge
	Sentence string
}

type healthView struct {
	Mark      badge
	Sentences []string
}

// verbLink leads to the page that asks before it is done.
type verbLink struct {
	Verb, Title, Href string
	Risky             bool
}

func trialURL(id, part string) string { return trialsPath + "/" + url.PathEscape(id) + part }

// next are the verbs that a person may ask for now.
func next(g *gin.Context, v juncture.ExperimentView) []verbLink {
	var out []verbLink
	for _, verb := range v.Next {
		if title, ok := verbTitles[verb]; ok && may(g, leastRole(verb)) {
			out = append(out, verbLink{string(verb), title, trialURL(v.ID, "/"+string(verb)), verb == juncture.VerbStop})
		}
	}
	return out
}

// viewTrial describes an experiment or, where x is nil, a holdout by its report.
func viewTrial(g *gin.Context, x *juncture.ExperimentView, r report.Report, health *HealthView, now time.Time) trialView {
	v := trialView{ID: r.ID, Name: clip(experiments.Title(r.ID), longestText), Href: trialURL(r.ID, ""), Holdout: r.Holdout, Surface: clip(experiments.Title(r.Surface), longestText),
		Sentence: clip(r.Sentence, sentenceLimit), Verdict: badge{"thin", "Too thin to say"}, DaysCSV: trialURL(r.ID, "/days.csv"), Age: "–"}
	for _, w := range r.Warnings {
		v.Warnings = append(v.Warnings, clip(w, sentenceLimit))
	}
	if r.Started != nil && r.Started.Before(now) {
		v.Age = age(now.Sub(*r.Started))
	}
	for _, of := range r.Groups {
		v.Shoppers += of.Enrolled
	}
	for i, t := range r.Traffic {
		v.Week += t.Decisions
		if i == len(r.Traffic)-1 {
			v.Today = t.Decisions
		}
	}
	if l, ok := r.Opening(); ok {
		line := viewLift(r, l)
		v.Lift, v.Verdict = &line, line.Verdict
		switch {
		case line.NotEnough != "":
		case l.Measure == report.MeasureRevenue:
			v.Figure, v.FigureRange, v.FigureOf = line.Thousand, line.ThousandRange, "for 1,000 shoppers"
		case line.Relative != "":
			v.Figure, v.FigureRange, v.FigureOf = line.Relative, line.RelativeRange, strings.ToLower(line.OutcomeName)+", "+line.MeasureName
		default:
			v.Figure, v.FigureRange, v.FigureOf = line.Difference, line.DifferenceRange, strings.ToLower(line.OutcomeName)+", "+line.MeasureName
		}
	}
	if r.Gate != nil {
		v.Gate = &gateView{gateMark(r.Gate.State), clip(r.Gate.Sentence, sentenceLimit)}
	}
	v.AsOf = r.AsOf
	if health != nil {
		if health.AsOf.Before(v.AsOf) && !health.AsOf.IsZero() {
			v.AsOf = health.AsOf
		}
		v.Health = &healthView{Mark: healthMark(health.State)}
		for _, s := range health.Sentences[:min(len(health.Sentences), 12)] {
			v.Health.Sentences = append(v.Health.Sentences, clip(s, sentenceLimit))
		}
	}
	if x == nil {
		v.State, v.Surface = badge{"thin", "Holdout"}, "above its experiments"
		return v
	}
	v.State, v.Surface, v.Live = stateMark(x.State), clip(experiments.Title(x.Surface), longestText), x.Status == juncture.StatusRunning
	v.Next = next(g, *x)
	v.waits(*x, r, health)
	return v
}

// waits lists what somebody should look at.
func (v *trialView) waits(x juncture.ExperimentView, r report.Report, health *HealthView) {
	say := func(m badge, text string) {
		v.Waits = append(v.Waits, waitLine{m, v.Name, v.Href, clip(text, sentenceLimit)})
	}
	if x.Tripped != nil {
		say(badge{"denied", "Tripped"}, or(sentence(x.Tripped.Why), "A guard took it back to the default.")+" Everybody is served the default until it is reset.")
	}
	switch {
	case x.State == juncture.StateDraft:
		say(badge{"thin", "Draft"}, "It is declared and does not run yet.")
	case !v.Live:
		return
	}
	if g := r.Gate; g != nil && g.State != gate.Waiting {
		say(gateMark(g.State), g.Sentence)
	}
	if v.Live && r.Headline == nil {
		say(badge{"leaning", "No control"}, "All its groups are ones that nothing can be compared with: give holdout, bau or random a share, else nobody will know what it brings.")
	}
	if health != nil && (health.State == HealthBad || health.State == HealthWarning) {
		text := "Its numbers are not to be trusted yet."
		if len(health.Sentences) > 0 {
			text = sentence(health.Sentences[0])
		}
		say(healthMark(health.State), text)
	}
}

// draw adds the figure and its table.
func (v *trialView) draw(r report.Report, small bool, days int) {
	v.Days = viewDays(r, days)
	if f := viewTrend(r, "trend-"+plain(v.ID), small); len(f.Points) > 0 {
		v.Trend = chart.Trend(f)
	}
}

// plain makes an id fit for an id of the page.
func plain(id string) string { return fileName(id) }

// age says for how long: "3 hours", "12 days".
func age(d time.Duration) string { return strings.TrimSuffix(ago(d), " ago") }

// trials reads every experiment and holdout with its report, those that run first.
func (c *Console) trials(g *gin.Context, most int) (all, holdouts []trialView, reports map[string]report.Report, err error) {
	ctx := g.Request.Context()
	xs, hs, err := c.deps.Trials.Experiments(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	slices.SortStableFunc(xs, func(a, b juncture.ExperimentView) int { return rank(a.State) - rank(b.State) })
	xs = xs[:min(len(xs), most)]
	type read struct {
		report report.Report
		health *HealthView
	}
	found := make([]read, len(xs)+len(hs))
	err = together(len(found), func(i int) (err error) {
		if i < len(xs) {
			found[i].report, found[i].health, err = c.trial(ctx, xs[i].ID, report.Query{}, true)
		} else {
			found[i].report, _, err = c.trial(ctx, hs[i-len(xs)].ID, report.Query{}, false)
		}
		return err
	})
	if err != nil {
		return nil, nil, nil, err
	}
	reports = map[string]report.Report{}
	for i, f := range found {
		reports[f.report.ID] = f.report
		if i < len(xs) {
			all = append(all, viewTrial(g, &xs[i], f.report, f.health, c.deps.Now()))
		} else {
			holdouts = append(holdouts, viewTrial(g, nil, f.report, nil, c.deps.Now()))
		}
	}
	return all, holdouts, reports, nil
}

// atOnce bounds what one page reads at the same time.
const atOnce = 4

// together calls f for 0 to n-1, several at a time, and returns one of their errors.
func together(n int, f func(i int) error) error {
	errs, turns := make([]error, n), make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for i := range n {
		turns <- struct{}{}
		wg.Go(func() {
			errs[i] = f(i)
			<-turns
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func rank(s juncture.State) int {
	return slices.Index([]juncture.State{juncture.StateTripped, juncture.StateRunning, juncture.StatePaused, juncture.StateDraft, juncture.StateShipped, juncture.StateStopped}, s)
}

// trial reads a report, and its health where it is offered.
func (c *Console) trial(ctx context.Context, id string, q report.Query, judged bool) (r report.Report, health *HealthView, err error) {
	if r, err = c.deps.Trials.Report(ctx, id, q); err != nil || !judged || c.deps.Health == nil {
		return r, nil, err
	}
	h, err := c.deps.Health.Health(ctx, id)
	return r, &h, err
}

func (c *Console) overview(g *gin.Context) {
	store, err := c.deps.Source.Store(g.Request.Context())
	if err != nil {
		c.fail(g, err)
		return
	}
	all, holdouts, reports, err := c.trials(g, trialsLimit)
	if err != nil {
		c.fail(g, err)
		return
	}
	p := &overviewPage{layout: c.layoutFor(g, "Overview", store), Declared: store.Name != "" || len(store.Surfaces) > 0, Holdouts: holdouts}
	var today, week, shoppers int64
	for i := range p.Holdouts {
		p.layout.asOf(c, p.Holdouts[i].AsOf)
		p.Holdouts[i].draw(reports[p.Holdouts[i].ID], true, cardDays)
	}
	for _, v := range all {
		p.layout.asOf(c, v.AsOf)
		today, week, shoppers = today+v.Today, week+v.Week, shoppers+v.Shoppers
		p.Waits = append(p.Waits, v.Waits...)
		switch {
		case !v.Live:
			p.Resting = append(p.Resting, v)
		case len(p.Cards) == cardsLimit:
			p.More++
		default:
			v.draw(reports[v.ID], true, cardDays)
			p.Cards = append(p.Cards, v)
		}
	}
	if c.deps.Pool != nil {
		more, err := c.poolWaits(g.Request.Context())
		if err != nil {
			c.fail(g, err)
			return
		}
		p.Waits = append(p.Waits, more...)
	}
	p.Lead = overviewLead(all, len(p.Waits))
	if len(all) > 0 {
		p.Tiles = []tile{{"Decisions today", experiments.Count(today), "since midnight, UTC", false}, {"Decisions, last 7 days", experiments.Count(week), "", false},
			{"Shoppers enrolled", experiments.Count(shoppers), "in all experiments", false}, {"Waiting for somebody", experiments.Count(int64(len(p.Waits))), "", false}}
	}
	c.render(g, http.StatusOK, "overview", p)
}

// overviewLead is the store in a sentence or two.
func overviewLead(all []trialView, waits int) string {
	var live, ahead, behind, open int
	for _, v := range all {
		if !v.Live {
			continue
		}
		live++
		switch v.Verdict.Class {
		case "winner":
			ahead++
		case "denied":
			behind++
		default:
			open++
		}
	}
	if live == 0 {
		if len(all) == 0 {
			return "No experiment is declared yet."
		}
		return "No experiment is running: every surface serves its default."
	}
	var parts []string
	for _, part := range []struct {
		n    int
		text string
	}{{ahead, "shown to bring more than its control"}, {behind, "shown to bring less"}, {open, "not settled yet"}} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", experiments.Count(int64(part.n)), part.text))
		}
	}
	s := plural(live, "experiment is running", "experiments are running") + ": " + strings.Join(parts, ", ") + "."
	if waits > 0 {
		s += " " + upper(plural(waits, "thing waits", "things wait")) + " for somebody."
	}
	return s
}

package console

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/access"
	"github.com/juncture/juncture/audit"
	"github.com/juncture/juncture/console/chart"
	"github.com/juncture/juncture/experiments"
	gate "github.com/juncture/juncture/experiments/interval"
	"github.com/juncture/juncture/experiments/report"
)

// Trials is what the pages Overview and Experiments show beside the Source, and what they change. Changes are audited behind
// it, under the actor that they name.
type Trials interface {
	// Experiments lists the experiments and the holdouts that the store declares, in its order.
	Experiments(ctx context.Context) ([]juncture.ExperimentView, []juncture.Holdout, error)
	// Report says what an experiment's groups, or a holdout's, earned; CodeNotFound, CodeInvalidRequest for a slice that
	// cannot be.
	Report(ctx context.Context, id string, q report.Query) (report.Report, error)
	// ChangeExperiment does what is asked; its errors are those of pool.PlanVerb.
	ChangeExperiment(ctx context.Context, actor, id string, verb juncture.Verb, r juncture.ExperimentChange) (juncture.ExperimentView, error)
	// History returns the latest audit entries of an experiment, newest first, at most limit.
	History(ctx context.Context, id string, limit int) ([]audit.Entry, error)
}

// Health judges whether an experiment's numbers may be believed.
type Health interface {
	Health(ctx context.Context, id string) (HealthView, error)
}

// HealthView is a verdict on an experiment's numbers and what it rests on, for people.
type HealthView struct {
	State     HealthState
	Sentences []string // what is wrong first
	AsOf      time.Time
}

func (h *HealthView) asOf() time.Time {
	if h == nil {
		return time.Time{}
	}
	return h.AsOf
}

// HealthState is how far numbers may be believed.
type HealthState string

// The states of health.
const (
	HealthGood    HealthState = "good"
	HealthWarning HealthState = "warning" // read on, with care
	HealthBad     HealthState = "bad"     // the numbers are not to be believed
	HealthUnknown HealthState = "unknown" // too little was seen to judge
)

// badge is a state in a word and a colour.
type badge struct {
	Class string // of the badge: winner, leaning, thin, denied
	Text  string
}

func healthMark(s HealthState) badge {
	switch s {
	case HealthGood:
		return badge{"winner", "Healthy"}
	case HealthWarning:
		return badge{"leaning", "With care"}
	case HealthBad:
		return badge{"denied", "Not to be believed"}
	}
	return badge{"thin", "Too early to say"}
}

func stateMark(s juncture.State) badge {
	class := map[juncture.State]string{juncture.StateRunning: "winner", juncture.StateTripped: "denied", juncture.StatePaused: "leaning", juncture.StateShipped: "winner"}[s]
	return badge{or(class, "thin"), clip(experiments.Title(string(s)), longestText)}
}

func gateMark(s gate.State) badge {
	switch s {
	case gate.Expand:
		return badge{"winner", "Expand"}
	case gate.Futile:
		return badge{"denied", "Not worth it"}
	case gate.Undecided:
		return badge{"leaning", "Undecided"}
	}
	return badge{"thin", "Waiting"}
}

// liftMark is what an interval that may be looked at any time says.
func liftMark(b report.Bounds) badge {
	switch {
	case b.NotEnough != "":
		return badge{"thin", "Too thin to say"}
	case b.Low > 0:
		return badge{"winner", "More"}
	case b.High < 0:
		return badge{"denied", "Less"}
	}
	return badge{"leaning", "Not shown yet"}
}

// signed writes a change: "+8.1%", "−0.4%", "+120%".
func signed(v float64) string {
	x := 100 * v
	sign := "+"
	if x < 0 {
		sign, x = "−", -x
	}
	digits := 1
	switch {
	case x >= 99.95:
		digits = 0
	case x < 0.095 && x > 0:
		digits = 3
	case x < 0.95 && x > 0:
		digits = 2
	}
	if x >= 1e6 || x != x {
		return sign + "over 1,000,000%"
	}
	return sign + strconv.FormatFloat(x, 'f', digits, 64) + "%"
}

// amount writes a figure of a measure, per shopper.
func amount(measure string, v float64, currency string) string {
	if measure == report.MeasureRevenue {
		return experiments.Money(v, currency)
	}
	if v < 0 {
		return "−" + experiments.Percent(-v)
	}
	return experiments.Percent(v)
}

// more writes a difference with its sign.
func more(measure string, v float64, currency string) string {
	switch {
	case v < 0 && measure == report.MeasureRevenue:
		return experiments.Money(v, currency)
	case v < 0:
		return "−" + points(-v)
	case measure == report.MeasureRevenue:
		return "+" + experiments.Money(v, currency)
	}
	return "+" + points(v)
}

// thousand writes what 1,000 shoppers bring more.
func thousand(measure string, v float64, currency string) string {
	if measure == report.MeasureRevenue {
		return more(measure, v, currency)
	}
	sign := "+"
	if v < 0 {
		sign, v = "−", -v
	}
	digits := 1
	if v < 1 {
		digits = 2
	}
	return sign + strconv.FormatFloat(v, 'f', digits, 64)
}

func span(low, high string) string { return low + " to " + high }

var measureTitles = map[string]string{report.MeasureConversion: "share of shoppers", report.MeasureRevenue: "money per shopper", report.MeasureRate: "per exposure"}

// liftLine is a lift as its table shows it.
type liftLine struct {
	report.Lift
	OutcomeName, MeasureName, GroupName, OverName string
	Verdict                                       badge
	MeanText, ControlText                         string
	Relative, RelativeRange, RelativeFixed        string
	Difference, DifferenceRange, DifferenceFixed  string
	Thousand, ThousandRange                       string
	P, Evidence, RestatedText                     string
	NotEnough                                     string
	Shoppers                                      int64 // closed, of both groups
}

func viewLift(r report.Report, l report.Lift) liftLine {
	out := liftLine{Lift: l, OutcomeName: clip(experiments.Title(l.Outcome), longestText), MeasureName: measureTitles[l.Measure], GroupName: groupName(l.Group), OverName: groupName(l.Over),
		Verdict: liftMark(l.Difference), MeanText: amount(l.Measure, l.Mean, r.Currency), ControlText: amount(l.Measure, l.ControlMean, r.Currency),
		NotEnough: sentence(l.Difference.NotEnough), RestatedText: more(l.Measure, l.Restated, r.Currency)}
	for _, g := range r.Groups {
		if g.Group == l.Group || g.Group == l.Over {
			out.Shoppers += g.Closed
		}
	}
	if d := l.Difference; d.NotEnough == "" {
		of := func(v float64) string { return more(l.Measure, v, r.Currency) }
		out.Difference, out.DifferenceRange, out.DifferenceFixed = of(d.Estimate), span(of(d.Low), of(d.High)), span(of(d.FixedLow), of(d.FixedHigh))
		per := func(v float64) string { return thousand(l.Measure, v, r.Currency) }
		out.Thousand, out.ThousandRange = per(l.Thousand.Estimate), span(per(l.Thousand.Low), per(l.Thousand.High))
		out.P = chance(d.P)
		out.Evidence = strconv.FormatFloat(min(l.EValue, 1e6), 'g', 3, 64)
	} else {
		out.MeanText, out.ControlText = "–", "–"
		if out.Shoppers > 0 {
			out.MeanText, out.ControlText = amount(l.Measure, l.Mean, r.Currency), amount(l.Measure, l.ControlMean, r.Currency)
		}
	}
	if b := l.Relative; b.NotEnough == "" {
		out.Relative, out.RelativeRange, out.RelativeFixed = signed(b.Estimate), span(signed(b.Low), signed(b.High)), span(signed(b.FixedLow), signed(b.FixedHigh))
	}
	return out
}

// chance writes a P value: "0.031", "<0.001".
func chance(p float64) string {
	if p < 0.001 {
		return "<0.001"
	}
	return strconv.FormatFloat(p, 'f', 3, 64)
}

// trendDays bounds the days of a figure.
const trendDays = 120

// viewTrend draws the lift of the headline as it stood day by day; empty where no day has one.
func viewTrend(r report.Report, id string, small bool) chart.TrendFigure {
	f := chart.TrendFigure{ID: id, Small: small}
	days := r.Days[max(0, len(r.Days)-trendDays):]
	for _, d := range days {
		p := chart.TrendPoint{Day: dayTitle(d.Day), None: d.Relative.NotEnough != "", Mean: d.Relative.Estimate, Low: d.Relative.Low, High: d.Relative.High}
		if !p.None {
			p.Figure = signed(p.Mean)
			p.Title = p.Day + ": " + p.Figure + ", " + span(signed(p.Low), signed(p.High))
		} else if len(f.Points) == 0 {
			continue // the first days without
		}
		f.Points = append(f.Points, p)
	}
	if r.Gate != nil && r.Gate.Over != 0 {
		f.Threshold = &r.Gate.Threshold
	}
	f.Title = "Lift by day"
	if len(f.Points) > 0 {
		last := f.Points[len(f.Points)-1]
		f.Title = "Lift from " + f.Points[0].Day + " to " + last.Day
		f.Desc = "Each day shows the lift over all shoppers so far, with the interval that may be looked at any time. " + last.Title + ". The table beside it has the numbers."
	}
	return f
}

func dayTitle(day string) string {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return clip(day, 40)
	}
	return t.Format("2 Jan 2006")
}

// dayLine is a day of the trend as a line of its table.
type dayLine struct {
	Day, Stamp string
	Closed     string // by group: "policy 1,204, holdout 151"
	Relative   string
	Range      string
	NotEnough  string
}

// viewDays are the days in a table, the latest first.
func viewDays(r report.Report, most int) []dayLine {
	var out []dayLine
	for i := len(r.Days) - 1; i >= 0 && len(out) < most; i-- {
		d := r.Days[i]
		l := dayLine{Day: dayTitle(d.Day), Stamp: d.Day, NotEnough: sentence(d.Relative.NotEnough)}
		var parts []string
		for _, g := range r.Groups {
			if n := d.Closed[g.Group.String()]; n > 0 {
				parts = append(parts, groupName(g.Group)+" "+experiments.Count(n))
			}
		}
		l.Closed = strings.Join(parts, ", ")
		if d.Relative.NotEnough == "" {
			l.Relative, l.Range = signed(d.Relative.Estimate), span(signed(d.Relative.Low), signed(d.Relative.High))
		}
		out = append(out, l)
	}
	return out
}

// leastRole is what a person must be to do it: pausing, stopping and what undoes them is the approver's, what changes the
// surface for good the administrator's.
func leastRole(verb juncture.Verb) access.Role {
	switch verb {
	case juncture.VerbShip, juncture.VerbRollback:
		return access.RoleAdmin
	}
	return access.RoleApprover
}

// verbTitles are the verbs on buttons.
var verbTitles = map[juncture.Verb]string{juncture.VerbStart: "Start", juncture.VerbPause: "Pause", juncture.VerbResume: "Resume", juncture.VerbStop: "Stop",
	juncture.VerbShip: "Ship the winner", juncture.VerbRollback: "Roll back", juncture.VerbReset: "Reset the guard"}

// verbDoes is what each does, before it is done.
var verbDoes = map[juncture.Verb]string{
	juncture.VerbStart:    "The experiment begins: shoppers are split into its groups and the policy chooses for its own.",
	juncture.VerbPause:    "From the next call on, everybody is served the surface's default. Nothing that was learnt is lost, and it can be resumed.",
	juncture.VerbResume:   "The experiment goes on where it was paused: shoppers keep their groups.",
	juncture.VerbStop:     "The experiment ends now: everybody is served the surface's default, and its numbers close. It cannot be resumed.",
	juncture.VerbShip:     "The experiment stops, and the action that you choose becomes the surface's default: everybody is served it from the next call on. It can be rolled back.",
	juncture.VerbRollback: "The surface gets the default back that it had before the winner was shipped, and the experiment is paused.",
	juncture.VerbReset:    "The guard is armed again and the policy chooses again. It judges shoppers who are enrolled from now on.",
}

// verbDone is what was done, after it.
var verbDone = map[juncture.Verb]string{juncture.VerbStart: "It is running.", juncture.VerbPause: "It is paused: everybody is served the default.", juncture.VerbResume: "It is running again.",
	juncture.VerbStop: "It is stopped.", juncture.VerbShip: "The winner is shipped: it is the surface's default now.", juncture.VerbRollback: "It is rolled back: the surface has its earlier default.",
	juncture.VerbReset: "The guard is reset."}

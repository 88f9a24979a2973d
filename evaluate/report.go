package evaluate

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/experiments"
	"github.com/juncture/juncture/experiments/offpolicy"
)

// Report is what a walk found.
type Report struct {
	Experiment string     `json:"experiment"`
	AsOf       time.Time  `json:"asOf"`
	Goal       string     `json:"goal"`
	Currency   string     `json:"currency"` // of values; empty: they are successes, or points
	Unit       string     `json:"unit"`     // of values: money, rate, points
	Read       int        `json:"read"`     // decisions of the log
	Scored     int        `json:"scored"`
	Left       Left       `json:"left"`
	First      *time.Time `json:"first"` // time of the first decision that was scored; null: none was
	Last       *time.Time `json:"last"`
	Fits       int        `json:"fits"`

	Observed    []Observed     `json:"observed"`
	Policies    []Valued       `json:"policies"`
	Differences []DifferenceOf `json:"differences"`
}

// Observed is what a group's own decisions earned.
type Observed struct {
	Group juncture.Group   `json:"group"`
	Rows  int              `json:"rows"`
	Mean  offpolicy.Figure `json:"mean"`
}

// Valued is a target with its value.
type Valued struct {
	Policy    string             `json:"policy"`
	Arm       string             `json:"arm,omitempty"` // of the best single arm: which it was in the end
	Undefined int                `json:"undefined"`     // decisions at which nothing of it was eligible: not counted
	Groups    []juncture.Group   `json:"groups"`        // whose decisions the estimate is of
	Estimate  offpolicy.Estimate `json:"estimate"`
}

// DifferenceOf is what one target earns more than another.
type DifferenceOf struct {
	Policy   string             `json:"policy"`
	Against  string             `json:"against"`
	Groups   []juncture.Group   `json:"groups"` // whose decisions the estimate is of
	Estimate offpolicy.Estimate `json:"estimate"`
}

// Units of values.
const (
	UnitRate   = "rate"
	UnitMoney  = "money"
	UnitPoints = "points"
)

// Report returns what was found so far.
func (w *Walk) Report() Report {
	r := Report{Experiment: w.set.Experiment.ID, AsOf: w.set.AsOf, Goal: experiments.GoalName(w.set.Experiment.Goal), Unit: UnitRate, Read: w.read, Scored: w.scored,
		Left: w.left, Fits: w.fits, Observed: []Observed{}, Policies: []Valued{}, Differences: []DifferenceOf{}}
	if w.scored > 0 {
		r.First, r.Last = new(w.first), new(w.last)
	}
	money := false
	for _, t := range w.types {
		money = money || t.Type == juncture.OutcomeMoney && w.set.Experiment.Goal.Measure != juncture.MeasureRate
	}
	switch {
	case money:
		r.Unit, r.Currency = UnitMoney, w.set.Currency
	case len(w.set.Experiment.Goal.Weights) > 0:
		r.Unit = UnitPoints
	}
	for i, g := range []juncture.Group{juncture.GroupPolicy, juncture.GroupRandom} {
		if f := w.groups[i].Figures(); f.Rows > 0 {
			r.Observed = append(r.Observed, Observed{g, f.Rows, f.IPS})
		}
	}
	both, random := []juncture.Group{}, []juncture.Group{juncture.GroupRandom}
	for _, o := range r.Observed {
		both = append(both, o.Group)
	}
	alone := make([]bool, len(w.targets)) // read from the random group alone
	for i, t := range w.targets {
		v := Valued{Policy: t.Name, Undefined: w.undefined[i], Estimate: w.estimators[i].both.Estimate(), Groups: both}
		if v.Estimate.Refused != "" && len(both) == 2 {
			if e := w.estimators[i].random.Estimate(); e.Refused == "" {
				v.Estimate, v.Groups, alone[i] = e, random, true
			}
		}
		if t.Name == BestArm().Name && w.best != 0 {
			v.Arm = w.arms[w.best].String()
		}
		r.Policies = append(r.Policies, v)
	}
	for i, c := range w.comparisons {
		d := DifferenceOf{Policy: w.targets[c.A].Name, Against: w.targets[c.B].Name, Estimate: w.differences[i].both.Estimate(), Groups: both}
		if alone[c.A] || alone[c.B] {
			d.Estimate, d.Groups = w.differences[i].random.Estimate(), random
		}
		for _, side := range []int{c.A, c.B} {
			if why := r.Policies[side].Estimate.Refused; why != "" && d.Estimate.Refused == "" {
				d.Estimate = offpolicy.Estimate{Rows: d.Estimate.Rows, Warnings: []string{}, Refused: w.targets[side].Name + ": " + why}
			}
		}
		r.Differences = append(r.Differences, d)
	}
	return r
}

// per is how many decisions a printed value is of: rates are small.
const per = 1000

// Amount writes a value of 1,000 decisions.
func (r *Report) Amount(v float64) string {
	if r.Unit == UnitRate {
		return fmt.Sprintf("%.2f", per*v)
	}
	return experiments.Money(per*v, r.Currency)
}

// Signed is Amount with its sign.
func (r *Report) Signed(v float64) string {
	if v < 0 {
		return "−" + r.Amount(-v)
	}
	return "+" + r.Amount(v)
}

func (r *Report) unit() string {
	if r.Unit == UnitRate {
		return r.Goal + ", successes of 1,000 decisions"
	}
	return r.Goal + ", of 1,000 decisions"
}

// Write prints the report as a table.
func (r *Report) Write(out io.Writer) error {
	b := &strings.Builder{}
	fmt.Fprintf(b, "Experiment %s: %s; %s decisions read, %s used", r.Experiment, r.unit(), experiments.Count(int64(r.Read)), experiments.Count(int64(r.Scored)))
	if r.Scored > 0 {
		fmt.Fprintf(b, ", from %s to %s", r.First.Format(time.DateTime), r.Last.Format(time.DateTime))
	}
	fmt.Fprintln(b)
	if why := r.Left.Words(); why != "" {
		fmt.Fprintf(b, "Not used: %s\n", why)
	}
	fmt.Fprintln(b)
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tVALUE\tLOW\tHIGH\tLOW, ANY TIME\tHIGH, ANY TIME\tEFFECTIVE\tDECISIONS\t")
	for _, o := range r.Observed {
		fmt.Fprintf(w, "seen in group %s\t%s\t%s\t%s\t\t\t%d\t%d\t\n", o.Group, r.Amount(o.Mean.Value), r.Amount(o.Mean.Low), r.Amount(o.Mean.High), o.Rows, o.Rows)
	}
	var notes []string
	line := func(name string, e *offpolicy.Estimate, of []juncture.Group, amount func(float64) string) {
		if len(of) == 1 && len(r.Observed) == 2 {
			notes = append(notes, fmt.Sprintf("%s: from the %s group alone, where the effective sample is a larger part of the decisions", name, of[0]))
		}
		effective := fmt.Sprintf("%.0f", e.Effective)
		if e.Effective == 0 {
			effective = ""
		}
		if e.Refused != "" {
			notes = append(notes, name+": refused, "+e.Refused)
			fmt.Fprintf(w, "%s\trefused\t\t\t\t\t%s\t%d\t\n", name, effective, e.Rows)
			return
		}
		for _, n := range e.Warnings {
			notes = append(notes, name+": "+n)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t\n", name, amount(e.DR.Value), amount(e.DR.Low), amount(e.DR.High), amount(e.Anytime.Low), amount(e.Anytime.High), effective, e.Rows)
	}
	for i := range r.Policies {
		p := &r.Policies[i]
		line(p.Policy, &p.Estimate, p.Groups, r.Amount)
		if p.Arm != "" {
			notes = append(notes, p.Policy+": in the end "+p.Arm)
		}
		if p.Undefined > 0 {
			notes = append(notes, fmt.Sprintf("%s: nothing of it was eligible at %s decisions, which do not count", p.Policy, experiments.Count(int64(p.Undefined))))
		}
	}
	for i := range r.Differences {
		d := &r.Differences[i]
		line(d.Policy+" less "+d.Against, &d.Estimate, d.Groups, r.Signed)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(b, "\nDoubly robust, 95%, clustered by shopper. \"Any time\" holds at every look at once. Policies and models know only what was known before each decision.")
	for _, n := range notes {
		fmt.Fprintln(b, "-", n)
	}
	for line := range strings.Lines(b.String()) { // tables pad their last column
		if _, err := fmt.Fprintln(out, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// Words says which decisions were not used and why; empty where all were.
func (l Left) Words() string {
	var out []string
	for _, x := range []struct {
		n    int
		what string
	}{{l.Open, "whose reward window was not over"}, {l.OutOfTime, "outside the dates asked for"}, {l.Unranked, "of the groups bau and holdout"}, {l.Unseen, "never activated"},
		{l.Replaced, "where the page showed something else"}, {l.Ignored, "that are no trials (previews, denied consent, bots)"}} {
		if x.n > 0 {
			out = append(out, experiments.Count(int64(x.n))+" "+x.what)
		}
	}
	return strings.Join(out, "; ")
}

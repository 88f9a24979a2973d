package report

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/experiments/interval"
)

// GateReport is where the gate stands, as of the last whole week.
type GateReport struct {
	State     interval.State `json:"state"`
	Outcome   string         `json:"outcome"`
	Measure   string         `json:"measure"`
	Over      juncture.Group `json:"over"`
	Threshold float64        `json:"threshold"`
	Rule      string         `json:"rule"`
	Weeks     int            `json:"weeks"` // the last whole week that was judged
	By        *time.Time     `json:"by"`    // when it will be decided at this traffic, or was; null: not to be foreseen
	Sentence  string         `json:"sentence"`
	Plan      *PlanReport    `json:"plan,omitempty"`
}

// PlanReport foretells the decision at the declared lift: shoppers of all groups, in one of ten cases fewer than Low, in one
// of ten more than High.
type PlanReport struct {
	Lift            float64 `json:"lift"` // the true relative lift that is planned with
	Base            float64 `json:"base"` // of the control
	Low             float64 `json:"low"`
	Median          float64 `json:"median"`
	High            float64 `json:"high"`
	SmallestHoldout float64 `json:"smallestHoldout"` // share of the control that decides within the last week, at this traffic; 0: none does
}

// gate replays the looks at whole weeks.
func (b builder) gate(by map[string]map[juncture.Group]sums, all []Group) (*GateReport, error) {
	if b.src.Experiment == nil || b.src.Experiment.Gate == nil {
		return nil, nil
	}
	x := b.src.Experiment
	set := interval.Gate{Threshold: x.Gate.Threshold, Rule: interval.Rule(x.Gate.Rule), MinWeeks: x.Gate.MinWeeks, MaxWeeks: x.Gate.MaxWeeks}
	o, measure, over, ok := b.headline(nil)
	out := &GateReport{State: interval.Waiting, Outcome: o.Name, Measure: measure, Over: over, Threshold: set.Threshold, Rule: cmp.Or(x.Gate.Rule, juncture.GateEstimate)}
	if !ok {
		out.Sentence = "There is no group to compare with: give holdout, bau or random a share."
		return out, nil
	}
	names := slices.Sorted(maps.Keys(by))
	started := b.started(names)
	if started.IsZero() {
		out.Sentence = "No shopper's horizon has closed yet."
		return out, nil
	}
	var v interval.Verdict
	var err error
	last := map[juncture.Group]sums{}
	look := func(at time.Time, so map[juncture.Group]sums) (interval.Look, error) {
		c, err := interval.Sequence{}.Compare(metric(measure), phases(so[juncture.GroupPolicy], so[over], o.Name, measure, false), b.cuped)
		if err != nil {
			return interval.Look{}, err
		}
		l := interval.Look{Started: started, Now: at, Relative: c.Relative}
		for _, s := range so {
			l.Shoppers += s.total().Units
		}
		if out.Plan != nil {
			l.Plan = interval.Forecast{Low: out.Plan.Low, Median: out.Plan.Median, High: out.Plan.High}
		}
		return l, nil
	}
	step := func(at time.Time) error {
		l, err := look(at, last)
		if err == nil {
			v, err = set.Step(v, l)
		}
		return err
	}
	const week = 7 * 24 * time.Hour
	next := started.Add(week)
	for i := 0; ; {
		var day time.Time
		if i < len(names) {
			if day, err = time.Parse(time.DateOnly, names[i]); err != nil {
				return nil, err
			}
		}
		if i == len(names) || !day.Add(24*time.Hour).Before(next) { // the day has ended by then
			if next.After(b.src.AsOf) {
				break
			}
			if err := step(next); err != nil {
				return nil, err
			}
			next = next.Add(week)
			continue
		}
		for g, s := range by[names[i]] {
			if last[g] == nil {
				last[g] = sums{}
			}
			for phase, u := range s {
				last[g].add(phase, u)
			}
		}
		i++
	}
	out.Plan = b.plan(o, measure, over, last, all, started)
	if v.State == "" || v.State == interval.Waiting {
		l, err := look(b.src.AsOf, last)
		if err != nil {
			return nil, err
		}
		before := v
		if v, err = set.Step(before, l); err != nil {
			return nil, err
		}
	}
	out.State, out.Weeks, out.Sentence = v.State, v.Weeks, v.Sentence
	if !v.By.IsZero() {
		out.By = &v.By
	}
	return out, nil
}

// started is when the experiment began, else the day on which the first shopper whose horizon has closed was enrolled; zero:
// none has.
func (b builder) started(days []string) time.Time {
	if s := b.src.Experiment.Starts; s != nil && !s.After(b.src.AsOf) {
		return *s
	}
	if len(days) == 0 {
		return time.Time{}
	}
	first, err := time.Parse(time.DateOnly, days[0])
	if err != nil {
		return time.Time{}
	}
	if first = first.Add(-b.src.Experiment.HorizonOf()).Truncate(24 * time.Hour); first.After(b.src.AsOf) {
		return time.Time{}
	}
	return first
}

// plan foretells the decision, at the declared lift and the base that the control shows; nil where nothing can be planned
// with yet.
func (b builder) plan(o juncture.OutcomeType, measure string, over juncture.Group, so map[juncture.Group]sums, all []Group, started time.Time) *PlanReport {
	x := b.src.Experiment
	lift := cmp.Or(x.Gate.Lift, 4*x.Gate.Threshold/3)
	m := moments(so[over].total(), o.Name, measure, false)
	if m.N < 2 || !(m.Mean() > 0) || lift <= 0 {
		return nil
	}
	p := interval.RatePlan(m.Mean(), lift, x.Groups.Policy, x.Groups.Share(over))
	if measure == MeasureRevenue {
		p.Mean, p.Variance, p.TreatmentVariance = m.Mean(), m.Variance(), m.Variance()*(1+lift)*(1+lift)
	}
	p.Threshold, p.Rule = x.Gate.Threshold, interval.Rule(x.Gate.Rule)
	f, err := p.Shoppers()
	if err != nil {
		return nil
	}
	unit := b.unit(measure)
	out := &PlanReport{Lift: lift, Base: m.Mean() / unit, Low: finite(f.Low), Median: finite(f.Median), High: finite(f.High)}
	enrolled := int64(0)
	for _, g := range all {
		enrolled += g.Enrolled
	}
	if weeks := b.src.AsOf.Sub(started).Hours() / (7 * 24); weeks > 0 && enrolled > 0 {
		most := float64(cmp.Or(x.Gate.MaxWeeks, 8))
		if share, err := p.SmallestHoldout(float64(enrolled)/weeks*most, 0.5); err == nil {
			out.SmallestHoldout = finite(share)
		}
	}
	return out
}

// finite is 0 for what never comes: JSON has no infinity.
func finite(v float64) float64 {
	if math.IsInf(v, 0) || math.IsNaN(v) {
		return 0
	}
	return v
}

// gateHere is the gate of a slice, such as one intersection: one look at all who have closed there, since the rollup knows no
// days of a slice. One that the traffic there will not decide in time says so, and names the broader slice that it will.
func (b builder) gateHere(slice map[string]string, units map[juncture.Group]sums, by map[string]map[juncture.Group]sums, all []Group, rows []juncture.UnitRow) (*GateReport, error) {
	if b.src.Experiment == nil || b.src.Experiment.Gate == nil {
		return nil, nil
	}
	x := b.src.Experiment
	set := interval.Gate{Threshold: x.Gate.Threshold, Rule: interval.Rule(x.Gate.Rule), MinWeeks: x.Gate.MinWeeks, MaxWeeks: x.Gate.MaxWeeks}
	o, measure, over, ok := b.headline(nil)
	out := &GateReport{State: interval.Waiting, Outcome: o.Name, Measure: measure, Over: over, Threshold: set.Threshold, Rule: cmp.Or(x.Gate.Rule, juncture.GateEstimate)}
	started := b.started(slices.Sorted(maps.Keys(by)))
	switch {
	case !ok:
		out.Sentence = "There is no group to compare with: give holdout, bau or random a share."
		return out, nil
	case started.IsZero():
		out.Sentence = "No shopper's horizon has closed yet."
		return out, nil
	}
	c, err := interval.Sequence{}.Compare(metric(measure), phases(units[juncture.GroupPolicy], units[over], o.Name, measure, false), b.cuped)
	if err != nil {
		return nil, err
	}
	look := interval.Look{Started: started, Now: b.src.AsOf, Relative: c.Relative}
	for _, s := range units {
		look.Shoppers += s.total().Units
	}
	if out.Plan = b.plan(o, measure, over, units, all, started); out.Plan != nil {
		look.Plan = interval.Forecast{Low: out.Plan.Low, Median: out.Plan.Median, High: out.Plan.High}
	}
	v, err := set.Step(interval.Verdict{}, look)
	if err != nil {
		return nil, err
	}
	out.State, out.Weeks, out.Sentence = v.State, v.Weeks, v.Sentence
	if !v.By.IsZero() {
		out.By = &v.By
	}
	if v.State == interval.Waiting || v.State == interval.Undecided {
		out.Sentence += b.broader(slice, look, started, rows)
	}
	return out, nil
}

// broader names the narrowest slice around one whose traffic comes to the planned shoppers by the last week, "" where the slice's own does, or
// nothing is planned yet.
func (b builder) broader(slice map[string]string, look interval.Look, started time.Time, rows []juncture.UnitRow) string {
	weeks := b.src.AsOf.Sub(started).Hours() / (7 * 24)
	most := float64(cmp.Or(b.src.Experiment.Gate.MaxWeeks, 8))
	if !(look.Plan.Median > 0) || weeks <= 0 {
		return ""
	}
	comes := func(shoppers int64) bool { return float64(shoppers)/weeks*most >= look.Plan.Median }
	if comes(look.Shoppers) {
		return ""
	}
	left := maps.Clone(slice)
	for _, axis := range []string{"category", "catalogue", "live", "latent", "trajectory", "meaning", "mode", "status", "lifecycle", "moment", "tier"} {
		if _, ok := left[axis]; !ok {
			continue
		}
		delete(left, axis)
		match, err := matcher(left)
		if err != nil {
			return ""
		}
		var shoppers int64
		for _, r := range rows {
			if r.Day.IsZero() && match(r.Intersection) {
				shoppers += r.Units
			}
		}
		if comes(shoppers) {
			where := "everybody"
			if len(left) > 0 {
				var parts []string
				for _, name := range slices.Sorted(maps.Keys(left)) {
					parts = append(parts, b.src.Names.Value(name, left[name]))
				}
				where = strings.Join(parts, ", ")
			}
			return fmt.Sprintf(" The traffic here will not decide it by week %.0f; that of %s will.", most, where)
		}
	}
	return fmt.Sprintf(" The traffic here will not decide it by week %.0f, nor will everybody's.", most)
}

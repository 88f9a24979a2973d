package report

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/experiments"
	"github.com/juncture/juncture/experiments/interval"
)

// Source is what a report is made from.
type Source struct {
	ID         string
	Experiment *juncture.Experiment // nil: a holdout
	Holdout    *juncture.Holdout    // nil: an experiment
	Outcomes   []juncture.OutcomeType
	Currency   string
	Cells      []juncture.Cell
	Units      []juncture.UnitRow // closed up to AsOf
	Arms       map[juncture.ArmID]experiments.ArmInfo
	AsOf       time.Time
	Names      experiments.Names
}

// Query narrows a report.
type Query struct {
	Slice map[string]string // axis or layer to value at enrolment; of arms, at the decision
	Cuped bool              // adjust for what shoppers had ordered for before they were enrolled
}

// Report is one experiment, or holdout, as people read it.
type Report struct {
	ID       string            `json:"id"`
	Holdout  bool              `json:"holdout"` // a holdout above experiments
	Surface  string            `json:"surface,omitempty"`
	Goal     string            `json:"goal,omitempty"`
	Status   string            `json:"status,omitempty"`
	AsOf     time.Time         `json:"asOf"`
	Horizon  juncture.Duration `json:"horizon"` // how long after enrolment outcomes count
	Currency string            `json:"currency"`
	Slice    map[string]string `json:"slice,omitempty"`
	Cuped    bool              `json:"cuped"`
	Started  *time.Time        `json:"started"` // declared, or of the first enrolment: its hour, after 2 days its day, after 35 its week; null: nobody is enrolled
	Sentence string            `json:"sentence"`
	Headline *Headline         `json:"headline"` // what the sentence is of; null: there is no group to compare with
	Warnings []string          `json:"warnings"`
	Groups   []Group           `json:"groups"`
	Lifts    []Lift            `json:"lifts"`
	Arms     []Arm             `json:"arms,omitempty"`
	Traffic  []Traffic         `json:"traffic"` // the last 7 days, today last
	Days     []Day             `json:"days,omitempty"`
	Layers   []Layer           `json:"layers,omitempty"`
	Gate     *GateReport       `json:"gate,omitempty"`
}

// Group is one group's shoppers and what they did.
type Group struct {
	Group     juncture.Group `json:"group"`
	Share     float64        `json:"share"`     // declared, of those who are in
	Enrolled  int64          `json:"enrolled"`  // shoppers
	Merged    int64          `json:"merged"`    // enrolled, and then found to be somebody enrolled earlier
	Crossed   int64          `json:"crossed"`   // of those, from another group
	Closed    int64          `json:"closed"`    // shoppers whose horizon has ended: all figures below are theirs
	Open      int64          `json:"open"`      // those whose has not
	Exposures int64          `json:"exposures"` // trials within the horizon
	Trials    int64          `json:"trials"`    // decisions that count, of open shoppers too
	Metrics   []Metric       `json:"metrics"`
}

// Metric is one outcome of a group's closed shoppers.
type Metric struct {
	Outcome    string  `json:"outcome"`
	Shoppers   int64   `json:"shoppers"`   // with one at least
	Count      int64   `json:"count"`      // how many came
	Conversion float64 `json:"conversion"` // Shoppers/Closed
	PerTrial   float64 `json:"perTrial"`   // Count/Exposures; 0 without exposures
	Value      float64 `json:"value"`      // of money: the sum, major units, net of refunds
	PerShopper float64 `json:"perShopper"` // of money: Value/Closed
	Average    float64 `json:"average"`    // of money: Value/Count, the average order value
	Restated   float64 `json:"restated"`   // as known now: of money PerShopper, else Conversion
}

// Bounds are an estimate with its intervals, or why there are none yet.
type Bounds struct {
	NotEnough string  `json:"notEnough,omitempty"`
	Estimate  float64 `json:"estimate"`
	Low       float64 `json:"low"`  // valid at every look
	High      float64 `json:"high"` //
	FixedLow  float64 `json:"fixedLow"`
	FixedHigh float64 `json:"fixedHigh"` // valid at one planned look alone
	P         float64 `json:"p"`         // two-sided, of the fixed interval
}

// Measures of a lift.
const (
	MeasureConversion = "conversion" // share of shoppers
	MeasureRevenue    = "revenue"    // money per shopper
	MeasureRate       = "rate"       // outcomes per exposure, the shopper as the unit
)

// Lift is one group over another in one measure of an outcome, by intention to treat.
type Lift struct {
	Outcome  string         `json:"outcome"`
	Measure  string         `json:"measure"`
	Group    juncture.Group `json:"group"`
	Over     juncture.Group `json:"over"`
	Adaptive bool           `json:"adaptive"` // the group learnt meanwhile: the lift is the mean so far, learning included

	Mean        float64 `json:"mean"`        // of the group, by phase where there are several; money in major units
	ControlMean float64 `json:"controlMean"` // of the other
	Difference  Bounds  `json:"difference"`
	Relative    Bounds  `json:"relative"`
	Thousand    Bounds  `json:"perThousand"` // money per 1,000 shoppers; of other outcomes, how many more
	Restated    float64 `json:"restated"`    // the difference as known now, with late refunds
	EValue      float64 `json:"eValue"`      // against "it is not above 0"; 0 where there are no bounds
	AlwaysP     float64 `json:"alwaysP"`     // of the mixture test at this look, where neither group learnt; 0 elsewhere
	Theta       float64 `json:"theta"`       // of the adjustment for the pre-period
	Sentence    string  `json:"sentence"`
}

// Arm is what decisions for one arm came to, whatever the shopper did elsewhere.
type Arm struct {
	juncture.Arm
	Policy Rate `json:"policy"` // adaptively collected: shown where it does well
	Random Rate `json:"random"` // unbiased
}

// Rate is successes of the goal's outcome among trials, with the Wilson interval.
type Rate struct {
	Trials    int64   `json:"trials"`
	Successes int64   `json:"successes"`
	Mean      float64 `json:"mean"`
	Low       float64 `json:"low"`
	High      float64 `json:"high"`
}

// Day is the lift of the first measure as it stood at a day's end.
type Day struct {
	Day      string           `json:"day"`
	Closed   map[string]int64 `json:"closed"` // shoppers by group, so far
	Relative Bounds           `json:"relative"`
}

// sums are a group's, by phase.
type sums map[int]juncture.UnitSums

func (s sums) add(phase int, u juncture.UnitSums) { s[phase] = s[phase].Plus(u) }

func (s sums) total() (t juncture.UnitSums) {
	for _, u := range s {
		t = t.Plus(u)
	}
	return t
}

// Build makes a report. The error is CodeInvalidRequest: no such axis, or a value that cannot be.
func Build(src Source, q Query) (Report, error) {
	match, err := matcher(q.Slice)
	if err != nil {
		return Report{}, err
	}
	r := Report{ID: src.ID, Holdout: src.Holdout != nil, AsOf: src.AsOf, Currency: src.Currency, Slice: q.Slice, Cuped: q.Cuped, Warnings: []string{}}
	shares := map[juncture.Group]float64{}
	if x := src.Experiment; x != nil {
		r.Surface, r.Goal, r.Status, r.Horizon = x.Surface, experiments.GoalName(x.Goal), x.Status, juncture.Duration(x.HorizonOf())
		for _, g := range groups() {
			shares[g] = x.Groups.Share(g)
		}
	} else if h := src.Holdout; h != nil {
		r.Horizon = juncture.Duration(h.HorizonOf())
		shares[juncture.GroupPolicy], shares[juncture.GroupHoldout] = 1-h.Share, h.Share
	}
	units := map[juncture.Group]sums{}
	days := map[string]map[juncture.Group]sums{}
	for _, u := range src.Units {
		if u.Units == 0 {
			continue
		}
		into := units
		if !u.Day.IsZero() {
			name := u.RowName()
			if days[name] == nil {
				days[name] = map[juncture.Group]sums{}
			}
			into = days[name]
		} else if !match(u.Intersection) {
			continue
		}
		if into[u.Group] == nil {
			into[u.Group] = sums{}
		}
		into[u.Group].add(u.Phase, u.UnitSums)
	}
	for _, g := range groups() {
		if of := src.group(g, shares[g], units[g].total(), match); of.Enrolled > 0 || of.Trials > 0 || of.Share > 0 {
			r.Groups = append(r.Groups, of)
		}
	}
	b := builder{src: src, cuped: q.Cuped}
	if r.Lifts, err = b.lifts(units); err != nil {
		return r, err
	}
	if len(q.Slice) == 0 {
		if r.Days, err = b.days(days); err != nil {
			return r, err
		}
		if r.Layers, err = b.layers(src.Units); err != nil {
			return r, err
		}
		if r.Gate, err = b.gate(days, r.Groups); err != nil {
			return r, err
		}
	} else if r.Gate, err = b.gateHere(q.Slice, units, days, r.Groups, src.Units); err != nil {
		return r, err
	}
	r.Arms = src.arms(match)
	r.Traffic, r.Headline = src.traffic(match), src.headline()
	if at := src.started(); !at.IsZero() {
		r.Started = &at
	}
	r.Warnings = append(r.Warnings, src.warnings(r)...)
	r.Sentence = src.sentence(r)
	return r, nil
}

func groups() []juncture.Group {
	return []juncture.Group{juncture.GroupPolicy, juncture.GroupRandom, juncture.GroupBAU, juncture.GroupHoldout}
}

// matcher is whether an intersection is in a slice.
func matcher(slice map[string]string) (func(juncture.Intersection) bool, error) {
	for axis, v := range slice {
		if _, ok := (juncture.Intersection{}).AxisNamed(axis); !ok && axis != "tier" {
			return nil, juncture.Errorf(juncture.CodeInvalidRequest, "no axis or layer is called %.80q", axis).WithField(axis)
		}
		if !juncture.ValidLayerValue(v) {
			return nil, juncture.Errorf(juncture.CodeInvalidRequest, "%.80q cannot be a value of %s", v, axis).WithField(axis)
		}
	}
	return func(x juncture.Intersection) bool {
		for axis, v := range slice {
			is, _ := x.AxisNamed(axis)
			if axis == "tier" {
				is = x.Tier().String()
			}
			if is != v {
				return false
			}
		}
		return true
	}, nil
}

func (src Source) group(g juncture.Group, share float64, u juncture.UnitSums, match func(juncture.Intersection) bool) Group {
	if src.Holdout != nil { // what is shown belongs to the experiments
		u.Exposures = 0
	}
	out := Group{Group: g, Share: share, Closed: u.Units, Exposures: u.Exposures, Metrics: []Metric{}}
	for i := range src.Cells {
		c := &src.Cells[i]
		if !match(c.Intersection) {
			continue
		}
		for _, row := range c.Rows {
			if row.Group != g {
				continue
			}
			if n, ok := row.Enrolments(); ok {
				out.Enrolled, out.Merged, out.Crossed = out.Enrolled+n.Enrolled, out.Merged+n.Merged, out.Crossed+n.Crossed
			} else if row.Event == "" {
				out.Trials += row.Trials
			}
		}
	}
	out.Open = max(0, out.Enrolled-out.Closed)
	for _, o := range src.Outcomes {
		e, now := u.Event(o.Name, false), u.Event(o.Name, true)
		m := Metric{Outcome: o.Name, Shoppers: e.Any, Count: e.Count, Conversion: ratio(e.Any, u.Units), PerTrial: ratio(e.Count, u.Exposures), Restated: ratio(now.Any, u.Units)}
		if o.Type == juncture.OutcomeMoney {
			unit := math.Pow10(juncture.MinorDigits(src.Currency))
			m.Value = float64(e.Value) / unit
			m.PerShopper, m.Average = ratio(e.Value, u.Units)/unit, ratio(e.Value, e.Count)/unit
			m.Restated = ratio(now.Value, u.Units) / unit
		}
		out.Metrics = append(out.Metrics, m)
	}
	return out
}

func ratio(a, b int64) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// arms sums decisions by arm: the goal's main outcome.
func (src Source) arms(match func(juncture.Intersection) bool) []Arm {
	if src.Experiment == nil {
		return nil
	}
	goal := src.Experiment.Goal.Main()
	type both struct{ policy, random interval.Rate }
	by := map[juncture.ArmID]*both{}
	for i := range src.Cells {
		c := &src.Cells[i]
		if !match(c.Intersection) {
			continue
		}
		for _, row := range c.Rows {
			if row.Arm == 0 || row.Event != "" && row.Event != goal || row.Group != juncture.GroupPolicy && row.Group != juncture.GroupRandom {
				continue
			}
			if by[row.Arm] == nil {
				by[row.Arm] = &both{}
			}
			of := &by[row.Arm].policy
			if row.Group == juncture.GroupRandom {
				of = &by[row.Arm].random
			}
			if row.Event == "" {
				of.Trials += row.Trials
			} else {
				of.Successes += row.Successes
			}
		}
	}
	out := []Arm{}
	for id, b := range by {
		if b.policy.Trials+b.random.Trials == 0 { // all were taken out again
			continue
		}
		out = append(out, Arm{Arm: src.Arms[id].Arm, Policy: rate(b.policy), Random: rate(b.random)})
	}
	slices.SortFunc(out, func(a, b Arm) int {
		return cmp.Or(cmp.Compare(b.Policy.Trials, a.Policy.Trials), cmp.Compare(a.String(), b.String()))
	})
	return out
}

func rate(r interval.Rate) Rate {
	out := Rate{Trials: r.Trials, Successes: r.Successes}
	if r.Trials <= 0 || r.Successes < 0 || r.Successes > r.Trials {
		return out
	}
	out.Mean = r.P()
	if i, err := r.Wilson(interval.DefaultAlpha); err == nil {
		out.Low, out.High = i.Low, i.High
	}
	return out
}

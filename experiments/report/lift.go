package report

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/experiments"
	"github.com/juncture/juncture/experiments/interval"
)

// builder reads lifts.
type builder struct {
	src   Source
	cuped bool
}

// pairs are which group is held against which. Random against bau has no learning in it: two fixed arms.
func pairs() [][2]juncture.Group {
	return [][2]juncture.Group{{juncture.GroupPolicy, juncture.GroupHoldout}, {juncture.GroupPolicy, juncture.GroupBAU}, {juncture.GroupPolicy, juncture.GroupRandom},
		{juncture.GroupRandom, juncture.GroupBAU}, {juncture.GroupRandom, juncture.GroupHoldout}, {juncture.GroupBAU, juncture.GroupHoldout}}
}

// learns reports whether a group's choices move with the evidence.
func (b builder) learns(g juncture.Group) bool {
	if g != juncture.GroupPolicy || b.src.Experiment == nil {
		return g == juncture.GroupPolicy // behind a holdout whatever runs learns
	}
	return b.src.Experiment.Policy != juncture.PolicyUniform && b.src.Experiment.Policy != juncture.PolicyFixed
}

// lifts are every measure of every outcome for every pair that has shoppers. Where there is a holdout, only what exists
// without the surface is held against it (E.2).
func (b builder) lifts(units map[juncture.Group]sums) ([]Lift, error) {
	out := []Lift{}
	for _, o := range b.src.Outcomes {
		if b.src.Experiment == nil && !o.Everywhere() { // of which experiment's surface?
			continue
		}
		for _, measure := range b.measures(o) {
			for _, p := range pairs() {
				if p[1] == juncture.GroupHoldout && (!o.Everywhere() || measure == MeasureRate) || units[p[0]].total().Units == 0 || units[p[1]].total().Units == 0 {
					continue
				}
				l, err := b.lift(o, measure, p[0], p[1], units)
				if err != nil {
					return nil, err
				}
				out = append(out, l)
			}
		}
	}
	return out, nil
}

func (b builder) measures(o juncture.OutcomeType) []string {
	out := []string{MeasureConversion}
	if o.Type == juncture.OutcomeMoney {
		out = append(out, MeasureRevenue)
	}
	if !o.Everywhere() && b.src.Experiment != nil {
		out = append(out, MeasureRate)
	}
	return out
}

// metric is a measure in the words of package interval.
func metric(measure string) interval.Metric {
	switch measure {
	case MeasureRevenue:
		return interval.Money
	case MeasureRate:
		return interval.Ratio
	}
	return interval.Conversion
}

// moments are the sums of a measure over shoppers; unit is how many of the value's units make a major one.
func moments(u juncture.UnitSums, outcome, measure string, restated bool) interval.Moments {
	e := u.Event(outcome, restated)
	m := interval.Moments{N: u.Units, Hits: e.Any, X: float64(u.Before), XX: u.BeforeSq.Float()}
	switch measure {
	case MeasureRevenue:
		m.Sum, m.SumSq, m.XY = float64(e.Value), e.ValueSq.Float(), e.ValueBefore.Float()
	case MeasureRate:
		m.Sum, m.SumSq = float64(e.Count), float64(e.CountSq)
		m.X, m.XX, m.XY = float64(u.Exposures), float64(u.ExposuresSq), float64(e.CountExposures)
	default:
		m.Sum, m.SumSq, m.XY = float64(e.Any), float64(e.Any), float64(e.AnyBefore)
	}
	return m
}

// phases pairs two groups' sums by phase.
func phases(a, b sums, outcome, measure string, restated bool) []interval.Phase {
	names := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(names)
	var out []interval.Phase
	for _, n := range slices.Compact(names) {
		out = append(out, interval.Phase{Treatment: moments(a[n], outcome, measure, restated), Control: moments(b[n], outcome, measure, restated)})
	}
	return out
}

// unit is how many of a measure's units make one that people read.
func (b builder) unit(measure string) float64 {
	if measure == MeasureRevenue {
		return math.Pow10(juncture.MinorDigits(b.src.Currency))
	}
	return 1
}

func (b builder) lift(o juncture.OutcomeType, measure string, of, over juncture.Group, units map[juncture.Group]sums) (Lift, error) {
	unit := b.unit(measure)
	l := Lift{Outcome: o.Name, Measure: measure, Group: of, Over: over, Adaptive: b.learns(of) || b.learns(over)}
	c, err := interval.Sequence{}.Compare(metric(measure), phases(units[of], units[over], o.Name, measure, false), b.cuped)
	if err != nil {
		return l, fmt.Errorf("lift of %s: %w", o.Name, err)
	}
	l.Mean, l.ControlMean = moments(units[of].total(), o.Name, measure, false).Mean()/unit, moments(units[over].total(), o.Name, measure, false).Mean()/unit
	if measure == MeasureRate {
		l.Mean, l.ControlMean = perTrial(units[of].total(), o.Name), perTrial(units[over].total(), o.Name)
	}
	if c.Difference.NotEnough == nil {
		l.Mean, l.ControlMean = c.Treatment.Value/unit, c.Control.Value/unit
	}
	l.Difference, l.Relative, l.Theta = bounds(c.Difference, 1/unit), bounds(c.Relative, 1), c.Theta
	l.Thousand = bounds(c.Difference, 1000/unit)
	if c.Difference.NotEnough == nil {
		test := interval.MSPRT{Tau2: tau2(c)}
		d := interval.Difference(c.Treatment, c.Control)
		if l.EValue, err = test.EValue(d); err != nil {
			return l, fmt.Errorf("evidence for a lift of %s: %w", o.Name, err)
		}
		if !l.Adaptive {
			log, err := test.LogRatio(d)
			if err != nil {
				return l, fmt.Errorf("test of %s: %w", o.Name, err)
			}
			l.AlwaysP = math.Min(1, math.Exp(-log))
		}
	}
	now, err := interval.Sequence{}.Compare(metric(measure), phases(units[of], units[over], o.Name, measure, true), false)
	if err == nil && now.Difference.NotEnough == nil {
		l.Restated = (now.Treatment.Value - now.Control.Value) / unit
	}
	l.Sentence = b.say(l, units[of].total().Units+units[over].total().Units)
	return l, nil
}

func perTrial(u juncture.UnitSums, outcome string) float64 {
	return ratio(u.Event(outcome, false).Count, u.Exposures)
}

// tau2 is the variance of the differences that the mixtures look for: a twentieth of a shopper's standard deviation, squared.
// It is known long before the lift is; a choice that is off costs power, not validity.
func tau2(c interval.Comparison) float64 {
	const effect = 0.05
	v := c.Treatment.SE*c.Treatment.SE*float64(c.Treatment.N) + c.Control.SE*c.Control.SE*float64(c.Control.N)
	return max(effect*effect*v/2, math.SmallestNonzeroFloat64)
}

func bounds(b interval.Bounds, times float64) Bounds {
	if b.NotEnough != nil {
		return Bounds{NotEnough: b.NotEnough.Reason}
	}
	return Bounds{Estimate: times * b.Anytime.Estimate, Low: times * b.Anytime.Low, High: times * b.Anytime.High,
		FixedLow: times * b.Fixed.Low, FixedHigh: times * b.Fixed.High, P: b.P}
}

// signed writes a relative lift: "+8.1%", "−0.4%", "+120%".
func signed(v float64) string {
	digits := 1
	if math.Abs(v) >= 1 {
		digits = 0
	}
	s := strconv.FormatFloat(100*math.Abs(v), 'f', digits, 64) + "%"
	if v < 0 {
		return "−" + s
	}
	return "+" + s
}

// amount writes a figure of a measure.
func (b builder) amount(measure string, v float64) string {
	if measure == MeasureRevenue {
		return experiments.Money(v, b.src.Currency)
	}
	if v < 0 {
		return "−" + experiments.Percent(-v)
	}
	return experiments.Percent(v)
}

// groupWords is how people say who got what.
func groupWords(g juncture.Group) string {
	switch g {
	case juncture.GroupPolicy:
		return "Personalising"
	case juncture.GroupRandom:
		return "Choosing at random"
	case juncture.GroupBAU:
		return "business as usual"
	}
	return "the page without Juncture"
}

func lower(g juncture.Group) string {
	switch g {
	case juncture.GroupRandom:
		return "choosing at random"
	}
	return groupWords(g)
}

func (b builder) say(l Lift, shoppers int64) string {
	of := groupWords(l.Group)
	if l.Group == juncture.GroupBAU {
		of = "Business as usual"
	}
	what := "a conversion to " + experiments.Title(l.Outcome)
	switch l.Measure {
	case MeasureRevenue:
		what = "money per shopper"
	case MeasureRate:
		what = experiments.Title(l.Outcome) + " per exposure"
	}
	if l.Difference.NotEnough != "" {
		return fmt.Sprintf("Not enough data yet to compare %s under %s and %s: %s", what, lower(l.Group), lower(l.Over), l.Difference.NotEnough)
	}
	verdict := "no difference is shown yet"
	switch {
	case l.Difference.Low > 0:
		verdict = "it is more"
	case l.Difference.High < 0:
		verdict = "it is less"
	}
	figures := fmt.Sprintf("%s against %s", b.amount(l.Measure, l.Mean), b.amount(l.Measure, l.ControlMean))
	if l.Relative.NotEnough == "" {
		figures += fmt.Sprintf(", %s (between %s and %s)", signed(l.Relative.Estimate), signed(l.Relative.Low), signed(l.Relative.High))
	}
	s := fmt.Sprintf("%s brings %s: %s against %s; %s, over %s shoppers.", of, what, figures, lower(l.Over), verdict, experiments.Count(shoppers))
	if l.Measure == MeasureRevenue {
		s = fmt.Sprintf("%s earns %s per 1,000 shoppers %s than %s: %s; %s, over %s shoppers.", of, experiments.Money(math.Abs(l.Thousand.Estimate), b.src.Currency),
			map[bool]string{true: "more", false: "less"}[l.Thousand.Estimate >= 0], lower(l.Over), figures, verdict, experiments.Count(shoppers))
	}
	return s
}

// headline is the measure that a report opens with, and the group it is held against: the goal's value, else its rate, over the holdout where it has one.
func (b builder) headline(units map[juncture.Group]sums) (o juncture.OutcomeType, measure string, over juncture.Group, ok bool) {
	name, value := "", true
	if x := b.src.Experiment; x != nil {
		name, value = x.Goal.Main(), x.Goal.Measure != juncture.MeasureRate
		if x.Gate != nil && x.Gate.Outcome != "" {
			name = x.Gate.Outcome
		}
	}
	for _, candidate := range b.src.Outcomes {
		if candidate.Name == name || name == "" && candidate.Everywhere() && (o.Name == "" || candidate.Type == juncture.OutcomeMoney && o.Type != juncture.OutcomeMoney) {
			o = candidate
		}
	}
	if o.Name == "" {
		return o, "", 0, false
	}
	measure = MeasureConversion
	if o.Type == juncture.OutcomeMoney && value {
		measure = MeasureRevenue
	}
	if x := b.src.Experiment; x != nil && x.Gate != nil {
		measure = MeasureConversion
		if x.Gate.Measure == juncture.MeasureValue {
			measure = MeasureRevenue
		}
	}
	for _, over = range []juncture.Group{juncture.GroupHoldout, juncture.GroupBAU, juncture.GroupRandom} {
		if (over != juncture.GroupHoldout || o.Everywhere()) && b.has(over, units) {
			return o, measure, over, true
		}
	}
	return o, measure, 0, false
}

func (b builder) has(g juncture.Group, units map[juncture.Group]sums) bool {
	if b.src.Experiment != nil {
		return b.src.Experiment.Groups.Share(g) > 0
	}
	return units[g].total().Units > 0 || g == juncture.GroupHoldout && b.src.Holdout != nil
}

// days are the headline's lift as it stood at the end of each day on which a horizon closed.
func (b builder) days(by map[string]map[juncture.Group]sums) ([]Day, error) {
	out := []Day{}
	err := b.walk(by, func(day time.Time, so map[juncture.Group]sums) error {
		d := Day{Day: day.Format(time.DateOnly), Closed: map[string]int64{}}
		for g, s := range so {
			d.Closed[g.String()] = s.total().Units
		}
		o, measure, over, ok := b.headline(so)
		if ok {
			c, err := interval.Sequence{}.Compare(metric(measure), phases(so[juncture.GroupPolicy], so[over], o.Name, measure, false), b.cuped)
			if err != nil {
				return err
			}
			d.Relative = bounds(c.Relative, 1)
		} else {
			d.Relative.NotEnough = "There is no group to compare with."
		}
		out = append(out, d)
		return nil
	})
	return out, err
}

// walk adds the days up, in order.
func (b builder) walk(by map[string]map[juncture.Group]sums, f func(day time.Time, so map[juncture.Group]sums) error) error {
	so := map[juncture.Group]sums{}
	for _, name := range slices.Sorted(maps.Keys(by)) {
		for g, s := range by[name] {
			if so[g] == nil {
				so[g] = sums{}
			}
			for phase, u := range s {
				so[g].add(phase, u)
			}
		}
		day, err := time.Parse(time.DateOnly, name)
		if err != nil {
			return err
		}
		if err := f(day, so); err != nil {
			return err
		}
	}
	return nil
}

// sentence is the first thing that a report says.
func (src Source) sentence(r Report) string {
	enrolled := int64(0)
	for _, g := range r.Groups {
		enrolled += g.Enrolled
	}
	switch l, said := r.Opening(); {
	case said:
		return l.Sentence
	case enrolled == 0:
		return "Nobody has been enrolled yet. Once /choose is called for the surface, shoppers are split into the groups."
	case r.Headline == nil:
		return fmt.Sprintf("%s shoppers are enrolled, all in groups that nothing can be compared with: give holdout, bau or random a share.", experiments.Count(enrolled))
	}
	return fmt.Sprintf("%s shoppers are enrolled; nothing can be said before the horizon of the first ones in both groups, %v after they came, has closed.", experiments.Count(enrolled), r.Horizon)
}

// warnings are what a reader must know.
func (src Source) warnings(r Report) []string {
	var out []string
	for _, g := range r.Groups {
		if g.Merged > 0 && g.Crossed*100 > g.Enrolled {
			out = append(out, fmt.Sprintf("%s shoppers of group %s (%s of those enrolled) were found to be somebody of another group: the earlier group counts, which draws lifts towards zero.",
				experiments.Count(g.Crossed), g.Group, experiments.Percent(ratio(g.Crossed, g.Enrolled+g.Merged))))
		}
	}
	for _, l := range r.Lifts {
		if l.Outcome == "" || l.Difference.NotEnough != "" {
			continue
		}
		if d := math.Abs(l.Restated - l.Difference.Estimate); d > 0 && d > (l.Difference.High-l.Difference.Low)/4 {
			out = append(out, fmt.Sprintf("%s, %s over %s: late refunds and late news move the difference from %s to %s.", experiments.Title(l.Outcome), l.Group, l.Over,
				builder{src: src}.amount(l.Measure, l.Difference.Estimate), builder{src: src}.amount(l.Measure, l.Restated)))
		}
	}
	return out
}

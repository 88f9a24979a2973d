package interval

import (
	"fmt"
	"math"

	"github.com/juncture/juncture"
)

// Metric is what a shopper's value is.
type Metric string

// The metrics. A ratio's denominator is the covariate x.
const (
	Conversion Metric = "conversion" // 0 or 1
	Money      Metric = "money"      // net of refunds, minor units
	Ratio      Metric = "ratio"      // Σy/Σx, such as clicks by exposures
)

// The start rules (docs/statistics.md, E.3): before so many, variances are too uncertain for any interval.
const (
	StartConversions = 20  // shoppers with a conversion, and without one, in each group
	StartOrders      = 100 // shoppers with an order in each group, for money
)

// NotEnough says why there is no interval yet.
type NotEnough struct {
	Reason     string // one plain sentence
	Have, Need int64  // what the smaller group has and must have; 0, 0 where it is not a matter of counts
}

// Phase is the shoppers who enrolled while the groups' shares stood still: the treatment and control of one stratum.
type Phase struct{ Treatment, Control Moments }

// Bounds are the intervals of one estimand.
type Bounds struct {
	NotEnough *NotEnough // why there are none; nil when there are
	Anytime   Interval   // valid at every look, mended for rare and skewed values (docs/statistics.md, E.3)
	Fixed     Interval   // valid at one look that was planned
	P         float64    // two-sided, of the fixed one
}

// Comparison is treatment against control, phases combined.
type Comparison struct {
	Treatment, Control   Estimate // combined means, adjusted by CUPED where that was asked
	Theta                float64  // CUPED's slope; 0 without
	Skipped              int      // phases left out, since a group has fewer than 2 shoppers in them
	Difference, Relative Bounds
}

// Compare reads a metric's lift. Phases count by their shoppers in both groups (E.5), so the lift is the mean over the shoppers enrolled so
// far. With cuped, values are adjusted by the covariate x: y − θ·(x − x̄), θ = Σ cov(x, y)/Σ var(x) over phases, both groups together
// (Deng, Xu, Kohavi and Walker, WSDM 2013, section 3.2); x must be from before enrolment.
func (s Sequence) Compare(metric Metric, phases []Phase, cuped bool) (Comparison, error) {
	s, err := s.settled()
	if err != nil {
		return Comparison{}, err
	}
	var all Phase
	for _, p := range phases {
		for _, m := range []Moments{p.Treatment, p.Control} {
			if err := m.check(); err != nil {
				return Comparison{}, err
			}
		}
		all.Treatment, all.Control = all.Treatment.Plus(p.Treatment), all.Control.Plus(p.Control)
	}
	for _, m := range []Moments{all.Treatment, all.Control} {
		if err := m.check(); err != nil {
			return Comparison{}, err
		}
	}
	wait, err := Ready(metric, all.Treatment, all.Control)
	if err != nil {
		return Comparison{}, err
	}
	if wait != nil {
		return Comparison{Difference: Bounds{NotEnough: wait}, Relative: Bounds{NotEnough: wait}}, nil
	}
	var c Comparison
	if cuped && metric != Ratio {
		c.Theta = theta(phases)
	}
	if err := c.combine(metric, phases, all.Treatment.Plus(all.Control).dispersion()); err != nil {
		return Comparison{}, err
	}
	if c.Treatment.N == 0 {
		c.Difference.NotEnough = &NotEnough{Reason: "No phase has 2 shoppers in each group."}
		c.Relative.NotEnough = c.Difference.NotEnough
		return c, nil
	}
	if c.Difference, err = s.bounds(Difference(c.Treatment, c.Control)); err != nil {
		return Comparison{}, err
	}
	if c.Relative.NotEnough = s.notRelative(c.Treatment, c.Control); c.Relative.NotEnough != nil {
		return c, nil
	}
	r, err := LogRatio(c.Treatment, c.Control)
	if err != nil {
		return Comparison{}, err
	}
	if c.Relative, err = s.bounds(r); err != nil {
		return Comparison{}, err
	}
	c.Relative.Anytime, c.Relative.Fixed = c.Relative.Anytime.exp(), c.Relative.Fixed.exp()
	return c, nil
}

// theta is CUPED's slope; 0 where the covariate does not vary.
func theta(phases []Phase) float64 {
	var sxy, sxx float64
	for _, p := range phases {
		if m := p.Treatment.Plus(p.Control); m.N > 0 {
			mean := m.X / float64(m.N)
			sxy += m.XY - mean*m.Sum
			sxx += m.XX - mean*m.X
		}
	}
	if !(sxx > 0) {
		return 0
	}
	return sxy / sxx
}

// combine sets the groups' estimates from the phases.
func (c *Comparison) combine(metric Metric, phases []Phase, dispersion float64) error {
	total := 0.0
	usable := func(p Phase) bool {
		return p.Treatment.N >= 2 && p.Control.N >= 2 && (metric != Ratio || p.Treatment.X > 0 && p.Control.X > 0)
	}
	for _, p := range phases {
		if usable(p) {
			total += float64(p.Treatment.N + p.Control.N)
		} else if p.Treatment.N+p.Control.N > 0 {
			c.Skipped++
		}
	}
	for _, p := range phases {
		if !usable(p) {
			continue
		}
		w := float64(p.Treatment.N+p.Control.N) / total
		x := (p.Treatment.X + p.Control.X) / float64(p.Treatment.N+p.Control.N)
		t, err := c.group(metric, p.Treatment, x)
		if err != nil {
			return err
		}
		o, err := c.group(metric, p.Control, x)
		if err != nil {
			return err
		}
		if dispersion > 0 {
			t, o = t.thin(p.Treatment, o).mend(p.Treatment, dispersion, metric == Ratio), o.thin(p.Control, t).mend(p.Control, dispersion, metric == Ratio)
		}
		c.Treatment, c.Control = c.Treatment.weighted(w, t), c.Control.weighted(w, o)
	}
	return nil
}

// group estimates one group of one phase; x is the covariate's mean over the phase.
func (c *Comparison) group(metric Metric, m Moments, x float64) (Estimate, error) {
	if metric == Ratio {
		return m.Ratio()
	}
	e, err := m.Estimate()
	if err == nil && c.Theta != 0 {
		n := float64(m.N)
		e.Value -= c.Theta * (m.X/n - x)
		e.SE = math.Sqrt(m.along(c.Theta) / n)
	}
	return e, err
}

// weighted adds w times an independent estimate.
func (e Estimate) weighted(w float64, o Estimate) Estimate {
	return Estimate{e.Value + w*o.Value, math.Hypot(e.SE, w*o.SE), e.N + o.N, e.Third + w*w*w*o.Third}
}

func (s Sequence) bounds(e Estimate) (Bounds, error) {
	any, err := s.Around(e)
	if err != nil {
		return Bounds{}, err
	}
	fixed, err := e.Normal(s.Alpha)
	if err != nil {
		return Bounds{}, err
	}
	b := Bounds{Anytime: any, Fixed: fixed, P: 1}
	if e.SE > 0 {
		b.P = twoSided(e.Value / e.SE)
	} else if e.Value != 0 {
		b.P = 0
	}
	return b, nil
}

// notRelative says why there is no relative lift: where the control's mean may be 0, no ratio to it is bounded (Fieller, JRSS B
// 16, 1954), and the delta method would hide that.
func (s Sequence) notRelative(treatment, control Estimate) *NotEnough {
	if !(control.Value > s.factor(float64(treatment.N+control.N))*control.SE) {
		return &NotEnough{Reason: fmt.Sprintf("The control's mean, %.4g, is not clearly above 0, so no lift relative to it is bounded; the absolute difference is.", control.Value)}
	}
	if !(treatment.Value > 0) {
		return &NotEnough{Reason: fmt.Sprintf("The treatment's mean, %.4g, is not above 0, so it has no relative lift; the absolute difference holds.", treatment.Value)}
	}
	return nil
}

// Ready applies the start rules: nil when both groups have enough for an interval.
func Ready(metric Metric, treatment, control Moments) (*NotEnough, error) {
	for _, m := range []Moments{treatment, control} {
		if err := m.check(); err != nil {
			return nil, err
		}
	}
	hits := min(treatment.Hits, control.Hits)
	switch metric {
	case Conversion, Ratio:
		if hits < StartConversions {
			return &NotEnough{fmt.Sprintf("The smaller group has %d conversions; intervals begin at %d in each.", hits, StartConversions), hits, StartConversions}, nil
		}
	case Money:
		if hits < StartOrders {
			return &NotEnough{fmt.Sprintf("The smaller group has %d shoppers with orders; intervals of money begin at %d in each.", hits, StartOrders), hits, StartOrders}, nil
		}
	default:
		return nil, juncture.Errorf(juncture.CodeInternal, "no metric is called %q", metric)
	}
	if misses := min(treatment.N-treatment.Hits, control.N-control.Hits); metric == Conversion && misses < StartConversions {
		return &NotEnough{fmt.Sprintf("Only %d shoppers of the smaller group did not convert; intervals begin at %d in each.", misses, StartConversions), misses, StartConversions}, nil
	}
	return nil, nil
}

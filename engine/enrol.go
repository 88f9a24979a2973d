package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/experiments"
)

// EnrolmentStore finds where shoppers are enrolled, and what those did whose horizon has closed.
type EnrolmentStore interface {
	Enrolments(ctx context.Context, shopper string) ([]juncture.Enrolment, error)
	CloseUnits(ctx context.Context, now time.Time) (int, error)
	UnitRows(ctx context.Context, experiment string) ([]juncture.UnitRow, error)
}

// place is a shopper's in an experiment.
type place struct {
	experiment string // or the holdout that keeps the shopper out
	group      juncture.Group
	drawn      juncture.Group // by whose rule the arm is drawn: group, or in shadow policy or random
	share      float64
	in         bool
	enrol      []juncture.Enrolment // what is new; without their decision
}

// place finds the shopper's group in an experiment: the one that was given, else by hash. A holdout that covers the
// experiment stands above it: who is held out has no place in the experiment itself. In shadow, policy and random are one
// group, to whom nothing of theirs is shown; out of it everybody who was enrolled in shadow is enrolled anew.
func (c *call) place(ctx context.Context, x *juncture.Experiment) (place, error) {
	held, err := c.e.enrolments(ctx, c.shopper)
	if err != nil {
		return place{}, err
	}
	c.held, c.merges = held, c.e.merges.Load()
	of := func(id string, shadow bool) (juncture.Enrolment, bool) {
		i := slices.IndexFunc(held, func(e juncture.Enrolment) bool { return e.Experiment == id && (shadow || !e.Shadow) })
		if i < 0 {
			return juncture.Enrolment{Experiment: id, Shopper: c.shopper, Phase: len(c.st.pool.Declaration.Phases[id]), At: c.now, Intersection: c.x, Shadow: shadow}, false
		}
		return held[i], true
	}
	p := place{experiment: x.ID}
	for _, h := range c.st.pool.Declaration.Holdouts {
		if !h.Covers(*x) {
			continue
		}
		e, known := of(h.ID, false)
		if !known {
			e.Group, e.Share = experiments.Withheld(c.st.group, h, c.shopper)
			e.Until = c.now.Add(h.HorizonOf())
			p.enrol = append(p.enrol, e)
		}
		if e.Group == juncture.GroupHoldout && p.group != juncture.GroupHoldout {
			p.experiment, p.group, p.share, p.in = h.ID, e.Group, e.Share, true
		}
	}
	if p.in {
		return p, nil
	}
	e, known := of(x.ID, x.Shadow)
	if !known {
		if e.Group, e.Share, p.in = experiments.Assign(c.st.group, *x, c.shopper); !p.in {
			return p, nil
		}
		p.drawn = e.Group
		if x.Shadow && shadowed(e.Group) {
			e.Group, e.Share = juncture.GroupShadow, x.Groups.Policy+x.Groups.Random
		}
		e.Until = c.now.Add(x.HorizonOf())
		p.enrol = append(p.enrol, e)
	} else if p.drawn = e.Group; e.Group == juncture.GroupShadow {
		if p.drawn, _, _ = experiments.Assign(c.st.group, *x, c.shopper); p.drawn != juncture.GroupRandom {
			p.drawn = juncture.GroupPolicy // also of one who was two, and of shares that have grown
		}
	}
	p.group, p.share, p.in = e.Group, e.Share, true
	if x.Shadow && shadowed(p.group) {
		p.group = juncture.GroupShadow
	}
	return p, nil
}

// shadowed reports whether a group's arm is drawn, and so not served in shadow.
func shadowed(g juncture.Group) bool { return g == juncture.GroupPolicy || g == juncture.GroupRandom }

// enrolled completes what is new of a place, for the decision that makes it so.
func (c *call) enrolled(ctx context.Context, p place, serial uint64) error {
	if len(p.enrol) == 0 {
		return nil
	}
	before, err := c.ordered(ctx)
	if err != nil {
		return err
	}
	for i := range p.enrol {
		p.enrol[i].Serial, p.enrol[i].Before = serial, before
	}
	c.enrol = p.enrol
	return nil
}

// noteEnrolled keeps in memory what the commit made so, unless shoppers became one meanwhile.
func (c *call) noteEnrolled() {
	if len(c.enrol) == 0 {
		return
	}
	held := slices.DeleteFunc(slices.Clone(c.held), func(h juncture.Enrolment) bool {
		return slices.ContainsFunc(c.enrol, func(e juncture.Enrolment) bool { return e.Experiment == h.Experiment })
	})
	c.e.enrolled.Add(c.shopper, append(held, c.enrol...))
	if c.e.merges.Load() != c.merges {
		c.e.enrolled.Remove(c.shopper)
	}
}

// ordered is what the shopper ordered for so far, minor units.
func (c *call) ordered(ctx context.Context) (int64, error) {
	if c.e.d.Profiles == nil {
		return 0, nil
	}
	p, ok, err := c.e.d.Profiles.Profile(ctx, c.shopper)
	if err != nil || !ok {
		return 0, err
	}
	return p.Head.Moment.LifetimeValue(), nil
}

// enrolments is where a shopper is enrolled, from memory or the store.
func (e *Engine) enrolments(ctx context.Context, shopper string) ([]juncture.Enrolment, error) {
	if held, ok := e.enrolled.Get(shopper); ok {
		return held, nil
	}
	merges := e.merges.Load()
	held, err := e.d.Enrolments.Enrolments(ctx, shopper)
	if err != nil {
		return nil, fmt.Errorf("find enrolments: %w", err)
	}
	e.enrolled.Add(shopper, held)
	if e.merges.Load() != merges { // another's may be theirs by now
		e.enrolled.Remove(shopper)
	}
	return held, nil
}

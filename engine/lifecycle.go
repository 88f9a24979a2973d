package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/pool"
)

// Catalogue is where what the store declares is kept, and changed.
type Catalogue interface {
	Catalog(ctx context.Context) (*juncture.Catalog, error)
	Change(ctx context.Context, c juncture.Change) error
}

// Trip is a guard that found its experiment worse than it bears, and the sentence that says so.
type Trip struct {
	Guard juncture.Guard
	Why   string
}

// Breaker judges the guards of a running experiment by the shoppers who were enrolled since a time, the last reset (zero:
// all), as far as is known of them at now: a person has answered for what was before, and it would trip again at once. None
// has tripped: no Trip. It is asked again and again, and its verdicts must be valid for that (Guard.Alpha).
type Breaker interface {
	Trips(ctx context.Context, x juncture.Experiment, since, now time.Time) ([]Trip, error)
}

// actorBreaker is who the audit log names for a trip.
const actorBreaker = "breaker"

// ChangeExperiment does what is asked to an experiment, with an audit entry, and returns it as it is then, with a line for
// each thing that changed. Calls that begin after it see the change.
//
// Errors: those of pool.PlanVerb; CodeDecisionConflict also where the catalogue changed meanwhile: look again.
func ChangeExperiment(ctx context.Context, c Catalogue, now time.Time, who Who, id string, verb juncture.Verb, r juncture.ExperimentChange) (juncture.ExperimentView, []string, error) {
	catalog, err := c.Catalog(ctx)
	if err != nil {
		return juncture.ExperimentView{}, nil, fmt.Errorf("read configuration: %w", err)
	}
	change, warnings, err := pool.PlanVerb(catalog, id, verb, r, who.Actor, who.From, now)
	if err != nil {
		return juncture.ExperimentView{}, nil, err
	}
	if err := c.Change(ctx, change); err != nil {
		if e, ok := errors.AsType[*juncture.Error](err); ok && e.Code == juncture.CodeDecisionConflict {
			return juncture.ExperimentView{}, nil, juncture.Errorf(e.Code, "%s", e.Message).WithHint("look at the experiment again, then ask again")
		}
		return juncture.ExperimentView{}, nil, err
	}
	v, err := change.Declaration.View(id)
	v.Warnings = warnings
	return v, change.Lines, err
}

// ChangeExperiment does what is asked to an experiment of this engine's store.
func (e *Engine) ChangeExperiment(ctx context.Context, now time.Time, who Who, id string, verb juncture.Verb, r juncture.ExperimentChange) (juncture.ExperimentView, error) {
	v, _, err := ChangeExperiment(ctx, e.d.Config, now, who, id, verb, r)
	return v, err
}

// maxWhy bounds what is kept of the sentences of a trip, in bytes.
const maxWhy = 2000

// Guard asks the breaker about every live experiment with guards, takes those back to their surface's default whose guards
// tripped, and returns these. One that cannot be judged does not keep the others from it. Guards that nothing watches are
// an error, CodeUnavailable.
func (e *Engine) Guard(ctx context.Context, now time.Time) (tripped []juncture.ExperimentView, err error) {
	st, err := e.state(ctx)
	if err != nil {
		return nil, err
	}
	var failed []error
	for i := range st.pool.Declaration.Experiments {
		x := st.pool.Declaration.Experiments[i]
		if _, open := st.pool.Declaration.Tripped[x.ID]; open || len(x.Guards) == 0 || !x.Live(now) {
			continue
		}
		if e.d.Breaker == nil {
			failed = append(failed, juncture.Errorf(juncture.CodeUnavailable, "experiment %q has guards, and nothing watches them", x.ID))
			continue
		}
		trips, err := e.d.Breaker.Trips(ctx, x, st.pool.Declaration.Resets[x.ID], now)
		if err != nil {
			failed = append(failed, fmt.Errorf("judge the guards of %s: %w", x.ID, err))
		}
		if len(trips) == 0 {
			continue
		}
		v, err := e.trip(ctx, x.ID, trips, now)
		switch {
		case err != nil:
			failed = append(failed, fmt.Errorf("trip %s: %w", x.ID, err))
		case v != nil:
			tripped = append(tripped, *v)
		}
	}
	return tripped, errors.Join(failed...)
}

// trip takes an experiment back to the default, planning again where the catalogue changed meanwhile. Nil: it runs no
// longer, or somebody else was quicker.
func (e *Engine) trip(ctx context.Context, id string, trips []Trip, now time.Time) (*juncture.ExperimentView, error) {
	t := juncture.Trip{At: now.UTC(), Guard: trips[0].Guard}
	var why []string
	for _, trip := range trips {
		why = append(why, trip.Why)
	}
	t.Why = strings.Join(why, " ")
	t.Why = strings.ToValidUTF8(t.Why[:min(len(t.Why), maxWhy)], "")
	for attempt := 0; ; attempt++ {
		catalog, err := e.d.Config.Catalog(ctx)
		if err != nil {
			return nil, err
		}
		change, err := pool.PlanTrip(catalog, id, t, actorBreaker, "serve")
		if c := juncture.ErrorCode(err); c == juncture.CodeDecisionConflict || c == juncture.CodeNotFound {
			return nil, nil
		}
		if err == nil {
			err = e.d.Config.Change(ctx, change)
		}
		if err == nil {
			v, err := change.Declaration.View(id)
			return &v, err
		}
		if juncture.ErrorCode(err) != juncture.CodeDecisionConflict || attempt == maxRounds {
			return nil, err
		}
	}
}

// tripped reports whether a guard took the experiment back to the default.
func (c *call) tripped(x *juncture.Experiment) bool {
	_, ok := c.st.pool.Declaration.Tripped[x.ID]
	return ok
}

// fallBack serves the surface's default to a shopper who would be drawn for, while the breaker has tripped. The shopper
// keeps the group, and the decision is the experiment's, so that what follows is credited as in every other group and
// lifts stay those of everybody who was enrolled; but it is a trial of no arm (Claims.Defaulted), and is not kept for the
// session: once the breaker is reset the policy chooses again.
func (c *call) fallBack(d *juncture.Decision) *pool.Arm {
	d.Reason = juncture.ReasonDefault
	if c.logged { // else what was denied is the detail
		d.Detail = juncture.DetailBreaker
	}
	c.sticky = nil
	return certain(d, c.surface.DefaultAt(c.now))
}

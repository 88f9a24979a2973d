package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/pool"
)

// The pool is changed by a plan on the catalogue as it is now, which fails where somebody was quicker. Calls that begin
// after a change see it. Errors are those of the plans of package pool; CodeDecisionConflict also where the catalogue changed
// meanwhile.

// change plans on the catalogue and makes the change.
func (e *Engine) change(ctx context.Context, plan func(c *juncture.Catalog) (juncture.Change, error)) error {
	catalog, err := e.d.Config.Catalog(ctx)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	change, err := plan(catalog)
	if err != nil || change.Empty() {
		return err
	}
	err = e.d.Config.Change(ctx, change)
	if x, ok := errors.AsType[*juncture.Error](err); ok && x.Code == juncture.CodeDecisionConflict {
		return juncture.Errorf(x.Code, "%s", x.Message).WithHint("look at it again, then ask again")
	}
	return err
}

// Actions returns every action that there is.
func (e *Engine) Actions(ctx context.Context, now time.Time) ([]juncture.PoolAction, error) {
	catalog, err := e.d.Config.Catalog(ctx)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return pool.List(catalog, now), nil
}

// Action returns an action; the error is CodeNotFound.
func (e *Engine) Action(ctx context.Context, now time.Time, id string) (juncture.PoolAction, error) {
	catalog, err := e.d.Config.Catalog(ctx)
	if err != nil {
		return juncture.PoolAction{}, fmt.Errorf("read configuration: %w", err)
	}
	return pool.Find(catalog, id, now)
}

// Reviews returns what waits for review.
func (e *Engine) Reviews(ctx context.Context) ([]juncture.ReviewItem, error) {
	catalog, err := e.d.Config.Catalog(ctx)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return pool.Reviews(catalog), nil
}

// Switches returns the kill switches that are on.
func (e *Engine) Switches(ctx context.Context) ([]juncture.SwitchView, error) {
	st, err := e.state(ctx)
	if err != nil {
		return nil, err
	}
	return st.pool.Declaration.Switches(), nil
}

// Review submits, withdraws, approves or rejects versions, all or none.
func (e *Engine) Review(ctx context.Context, now time.Time, who Who, verb juncture.Verb, r juncture.ReviewRequest) error {
	return e.change(ctx, func(c *juncture.Catalog) (juncture.Change, error) {
		return pool.PlanReview(c, r, verb, who.Actor, who.From, now)
	})
}

// HoldAction pauses, resumes or retires what is served of an action, or of a copy of it.
func (e *Engine) HoldAction(ctx context.Context, now time.Time, who Who, action, copy string, verb juncture.Verb, r juncture.ReasonRequest) (warnings []string, _ error) {
	err := e.change(ctx, func(c *juncture.Catalog) (change juncture.Change, err error) {
		change, warnings, err = pool.PlanHold(c, action, copy, verb, r, who.Actor, who.From, now)
		return change, err
	})
	return warnings, err
}

// Switch throws the kill switch of an action, a surface or the store, or puts it back.
func (e *Engine) Switch(ctx context.Context, now time.Time, who Who, kind, id string, verb juncture.Verb, r juncture.ReasonRequest) (warnings []string, _ error) {
	err := e.change(ctx, func(c *juncture.Catalog) (change juncture.Change, err error) {
		change, warnings, err = pool.PlanKill(c, kind, id, verb, r, who.Actor, who.From, now)
		return change, err
	})
	return warnings, err
}

// SetTerms gives an action other terms.
func (e *Engine) SetTerms(ctx context.Context, now time.Time, who Who, action string, r juncture.TermsRequest) error {
	return e.change(ctx, func(c *juncture.Catalog) (juncture.Change, error) {
		return pool.PlanTerms(c, action, r, who.Actor, who.From, now)
	})
}

// WriteCopy writes a new version of a copy, or a new copy.
func (e *Engine) WriteCopy(ctx context.Context, now time.Time, who Who, action string, r juncture.CopyDraft) error {
	return e.change(ctx, func(c *juncture.Catalog) (juncture.Change, error) {
		return pool.PlanCopy(c, action, r, who.Actor, who.From, now)
	})
}

// WriteAction writes a new version of an action, or a new action.
func (e *Engine) WriteAction(ctx context.Context, now time.Time, who Who, r juncture.ActionDraft) error {
	return e.change(ctx, func(c *juncture.Catalog) (juncture.Change, error) {
		return pool.PlanAction(c, r, who.Actor, who.From, now)
	})
}

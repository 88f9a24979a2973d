package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/policy/lattice"
	"github.com/juncture/juncture/pool"
)

// Priorities returns every priority that there is.
func (e *Engine) Priorities(ctx context.Context, now time.Time) ([]juncture.PoolPriority, error) {
	catalog, err := e.d.Config.Catalog(ctx)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return pool.ListPriorities(catalog, now), nil
}

// Priority returns a priority; the error is CodeNotFound.
func (e *Engine) Priority(ctx context.Context, now time.Time, id string) (juncture.PoolPriority, error) {
	catalog, err := e.d.Config.Catalog(ctx)
	if err != nil {
		return juncture.PoolPriority{}, fmt.Errorf("read configuration: %w", err)
	}
	return pool.FindPriority(catalog, id, now)
}

// WritePriority writes a new version of a priority, or a new priority.
func (e *Engine) WritePriority(ctx context.Context, now time.Time, who Who, r juncture.PriorityDraft) error {
	return e.change(ctx, func(c *juncture.Catalog) (juncture.Change, error) {
		return pool.PlanPriority(c, r, who.Actor, who.From, now)
	})
}

// HoldPriority pauses, resumes or retires what is in force of a priority.
func (e *Engine) HoldPriority(ctx context.Context, now time.Time, who Who, id string, verb juncture.Verb, r juncture.ReasonRequest) error {
	return e.change(ctx, func(c *juncture.Catalog) (juncture.Change, error) {
		return pool.PlanHoldPriority(c, id, verb, r, who.Actor, who.From, now)
	})
}

// Limits of a preview.
const (
	previewedActions = 3   // whose slots are filled
	previewedSlots   = 6   // where no action has any
	busiestRead      = 200 // intersections of an experiment
)

// PreviewPriority tells what a priority, whichever version, does beside those that are in force: to the slots of a shopper,
// or to the chance of its action. It is taken as begun. An empty shopper is nobody, of whom nothing is known.
func (e *Engine) PreviewPriority(ctx context.Context, now time.Time, shopper string, p juncture.Priority) (juncture.PriorityPreview, error) {
	out := juncture.PriorityPreview{Slots: []juncture.SlotsPreview{}, Effects: []juncture.PriorityEffect{}}
	st, err := e.state(ctx)
	if err != nil {
		return out, err
	}
	p.Starts = nil
	if p.Action != "" {
		found, err := e.effects(ctx, st, now, []juncture.Priority{p})
		out.Effects = append(out.Effects, found[p.ID]...)
		return out, err
	}
	others := slices.DeleteFunc(slices.Clone(st.pool.Priorities), func(o juncture.Priority) bool { return o.ID == p.ID })
	at, _ := slices.BinarySearchFunc(others, p, func(a, b juncture.Priority) int { return cmp.Compare(a.ID, b.ID) })
	then := *st
	with := *st.pool
	then.pool, with.Priorities = &with, slices.Insert(others, at, p)
	for _, a := range slotted(st.pool) {
		s := juncture.SlotsPreview{Action: a.ID, Now: []juncture.ProductView{}, Then: []juncture.ProductView{}}
		for _, x := range []struct {
			st *state
			to *[]juncture.ProductView
		}{{st, &s.Now}, {&then, &s.Then}} {
			shown, _, err := e.shownTo(ctx, x.st, now, shopper, a)
			if err != nil {
				return out, err
			}
			*x.to = append(*x.to, shown...)
		}
		out.Slots = append(out.Slots, s)
	}
	return out, nil
}

// slotted are the first actions by id that have slots and are live, or one that stands for any.
func slotted(p *pool.Snapshot) []juncture.Action {
	found := map[string]juncture.Action{}
	for _, at := range p.Surfaces {
		for _, a := range at.Arms {
			if a.Action.Slots > len(a.Action.Products) {
				found[a.Action.ID] = a.Action
			}
		}
	}
	if len(found) == 0 {
		return []juncture.Action{{Slots: previewedSlots}}
	}
	var out []juncture.Action
	for _, a := range found {
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b juncture.Action) int { return cmp.Compare(a.ID, b.ID) })
	return out[:min(len(out), previewedActions)]
}

// PriorityEffects tells what each priority of an action that holds now does to the experiments that run, by its id.
func (e *Engine) PriorityEffects(ctx context.Context, now time.Time) (map[string][]juncture.PriorityEffect, error) {
	st, err := e.state(ctx)
	if err != nil {
		return nil, err
	}
	return e.effects(ctx, st, now, slices.DeleteFunc(slices.Clone(st.pool.Priorities), func(p juncture.Priority) bool {
		return p.Action == "" || !p.Live(now)
	}))
}

// effects are those of priorities of actions, each beside all others that hold: a call's draw with it and without, over the
// busiest intersections (statistics C.3). Experiments whose policy fits nothing are left out.
func (e *Engine) effects(ctx context.Context, st *state, now time.Time, of []juncture.Priority) (map[string][]juncture.PriorityEffect, error) {
	out := map[string][]juncture.PriorityEffect{}
	for _, d := range st.pool.Declaration.Experiments { // in their order
		x, at := st.pool.Experiments[d.ID], st.pool.Surfaces[d.Surface]
		if at == nil || !juncture.Pooled(d.Policy) || !d.Live(now) {
			continue
		}
		var here []juncture.Priority
		for _, p := range of {
			if slices.ContainsFunc(at.Arms, func(a *pool.Arm) bool { return a.Arm.Action == p.Action }) {
				here = append(here, p)
			}
		}
		if len(here) == 0 {
			continue
		}
		found, err := e.effectsIn(ctx, st, x, at, now, here)
		if err != nil {
			return nil, err
		}
		for i, f := range found {
			out[here[i].ID] = append(out[here[i].ID], f)
		}
	}
	return out, nil
}

func (e *Engine) effectsIn(ctx context.Context, st *state, x *juncture.Experiment, at *pool.Surface, now time.Time, of []juncture.Priority) ([]juncture.PriorityEffect, error) {
	f, err := e.snapshot(ctx, st, x, now)
	if f == nil {
		return nil, err
	}
	views, _, err := e.views(ctx, x)
	if err != nil {
		return nil, err
	}
	busiest, trials, all := views[0].Busiest(busiestRead)
	if len(busiest) == 0 {
		busiest, trials, all = []juncture.Intersection{{}}, []int64{1}, 1 // nothing happened yet: a shopper of whom nothing is known
	}
	out, with, without := make([]juncture.PriorityEffect, len(of)), make([]*juncture.Experiment, len(of)), make([]*juncture.Experiment, len(of))
	for i, p := range of {
		out[i] = juncture.PriorityEffect{Experiment: x.ID, Unit: st.unitOf(x)}
		a, b := *x, *x
		b.Nudges = slices.DeleteFunc(slices.Clone(x.Nudges), func(n juncture.Nudge) bool { return n.Priority == p.ID })
		a.Nudges = append(slices.Clone(b.Nudges), p.Nudge())
		with[i], without[i] = &a, &b
	}
	ws := e.workspaces.Get().(*lattice.Workspace)
	defer e.workspaces.Put(ws)
	covered := int64(0)
	for k, where := range busiest {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		covered += trials[k]
		arms := at.Eligible(nil, pool.NewFacts(where, at.Channel, now, nil), where, nil)
		if len(arms) == 0 {
			continue
		}
		ids := make([]juncture.ArmID, len(arms))
		for i, a := range arms {
			ids[i] = a.ID
		}
		w, mean := make([]float64, len(arms)), make([]float64, len(arms))
		if err := f.Vector(where, ids, ws, w); err != nil {
			return nil, err
		}
		if err := f.Means(where, ids, ws, mean); err != nil {
			return nil, err
		}
		drawn := func(x *juncture.Experiment) []float64 {
			v := &vector{nudged: nudges(x, now), p: slices.Clone(w)}
			steer(x, arms, v)
			return v.p
		}
		for i := range of {
			before, after := drawn(without[i]), drawn(with[i])
			for j, a := range arms {
				out[i].Cost += float64(trials[k]) * (before[j] - after[j]) * mean[j]
				if a.Arm.Action == of[i].Action {
					out[i].Without += float64(trials[k]) * before[j]
					out[i].Chance += float64(trials[k]) * after[j]
				}
			}
		}
	}
	for i := range out {
		r := &out[i]
		r.Cost, r.Without, r.Chance, r.Covered = r.Cost/float64(covered), r.Without/float64(covered), r.Chance/float64(covered), float64(covered)/float64(all)
	}
	return out, nil
}

// unitOf names what a goal is counted in: an outcome, the currency, or "" where it weighs outcomes none of which is money's
// value.
func (st *state) unitOf(x *juncture.Experiment) string {
	if goal := st.pool.Outcomes[x.Goal.Main()]; len(x.Goal.Weights) == 0 && (goal.Type != juncture.OutcomeMoney || x.Goal.Measure == juncture.MeasureRate) {
		return goal.Name
	}
	return valueUnit(st, x)
}

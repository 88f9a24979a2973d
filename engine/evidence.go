package engine

import (
	"context"
	"slices"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/experiments"
	"github.com/juncture/juncture/pool"
)

// Declared returns the live pool as the configuration stands now.
func (e *Engine) Declared(ctx context.Context) (*pool.Snapshot, error) {
	st, err := e.state(ctx)
	if err != nil {
		return nil, err
	}
	return st.pool, nil
}

// Evidence returns everything that an experiment has learnt, as it is now, or, of one with over 400 intersections, as it
// was at its AsOf, at most half a minute ago. It is shared and not to be changed. The error is CodeNotFound for no such
// experiment.
func (e *Engine) Evidence(ctx context.Context, experiment string, now time.Time) (experiments.Evidence, error) {
	st, err := e.state(ctx)
	if err != nil {
		return experiments.Evidence{}, err
	}
	if st.pool.Experiments[experiment] == nil {
		return experiments.Evidence{}, juncture.Errorf(juncture.CodeNotFound, "no experiment is called %.80q", experiment)
	}
	return e.evidence.get(ctx, st, experiment, now)
}

func (e *Engine) readEvidence(ctx context.Context, st *state, experiment string, now time.Time) (_ experiments.Evidence, err error) {
	x := st.pool.Experiments[experiment]
	if x == nil {
		return experiments.Evidence{}, juncture.Errorf(juncture.CodeNotFound, "no experiment is called %.80q", experiment)
	}
	ev := experiments.Evidence{Experiment: *x, Outcome: st.pool.Outcomes[x.Goal.Main()], Currency: valueUnit(st, x),
		Arms: armInfo(st.pool, x.Surface), AsOf: now, Names: e.names()}
	if at := st.pool.Surfaces[x.Surface]; at != nil {
		ev.Eligible = func(where juncture.Intersection) map[juncture.ArmID]bool {
			arms := at.Eligible(nil, pool.NewFacts(where, at.Channel, now, nil), where, nil)
			out := make(map[juncture.ArmID]bool, len(arms))
			for _, a := range arms {
				out[a.ID] = true
			}
			return out
		}
	}
	if ev.Cells, err = e.d.Tallies.Experiment(ctx, experiment); err != nil {
		return ev, err
	}
	f, err := e.fresh(ctx, st, x, now)
	if f != nil {
		ev.Read, ev.Explain = f.ReadOver, f.explain
	}
	return ev, err
}

// armInfo describes every arm there is, or was; live are those of a surface.
func armInfo(p *pool.Snapshot, surface string) map[juncture.ArmID]experiments.ArmInfo {
	out, live := make(map[juncture.ArmID]experiments.ArmInfo, len(p.Arms)), p.LiveArms(surface)
	for id, a := range p.Arms {
		out[id] = experiments.ArmInfo{Arm: a.Arm, Type: a.Action.Type, Headline: a.Copy.Headline, Live: live[id]}
	}
	return out
}

// DecisionID writes the id of stored claims as /choose gave it; false when its key is gone.
func (e *Engine) DecisionID(key uint8, c juncture.Claims) (string, bool) {
	return e.live.Load().keyring.SignWith(key, c)
}

// OpenDecision reads a decision id. The error is CodeDecisionNotFound.
func (e *Engine) OpenDecision(id string) (juncture.Claims, error) {
	return e.live.Load().keyring.Open(id)
}

// valueUnit is the currency of a goal's values, "" where it weighs outcomes none of which is money's value.
func valueUnit(st *state, x *juncture.Experiment) string {
	money := func(p juncture.GoalPart) bool { return st.pool.Outcomes[p.Outcome].Type == juncture.OutcomeMoney }
	if len(x.Goal.Weights) > 0 && (x.Goal.Measure == juncture.MeasureRate || !slices.ContainsFunc(x.Goal.Parts(), money)) {
		return ""
	}
	return st.pool.Declaration.Store.Currency
}

package engine

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/policy"
)

// credited is a decision with a share of an outcome, with its id as /choose gave it.
type credited struct {
	claims juncture.Claims
	id     string
	arm    juncture.ArmID // that its trial belongs to
	credit float64
	shares []juncture.Credit // of the touches among which it was drawn; nil: all of the outcome is its
	holds  bool              // the outcome is recorded on it
}

// credit finds the decisions that an outcome belongs to: the one named, or touches of the shopper, experiment by experiment,
// of which one holds the outcome.
func (e *Engine) credit(ctx context.Context, st *state, r *juncture.RewardRequest, kind juncture.OutcomeType, at time.Time) ([]credited, error) {
	if r.DecisionID != "" {
		c, err := st.keyring.Open(r.DecisionID)
		if err != nil {
			return nil, err
		}
		return []credited{{claims: c, id: r.DecisionID, arm: c.Arm, credit: 1, holds: true}}, nil
	}
	who, err := e.d.Shoppers.Identity(ctx, r.ShopperID)
	if err != nil {
		return nil, fmt.Errorf("find shopper: %w", err)
	}
	if who.Consent.Denied() {
		return nil, nil
	}
	shopper := or(who.Shopper, r.ShopperID)
	// A repeat, or a refund, belongs to whatever the outcome was credited to the first time.
	for _, id := range []*string{&r.OutcomeID, r.Adjusts} {
		if id == nil || *id == "" {
			continue
		}
		earlier, err := e.d.Shoppers.Credited(ctx, shopper, r.Event, *id)
		if err != nil || len(earlier) > 0 {
			return again(st, earlier), err
		}
	}
	touches, err := e.d.Shoppers.Touches(ctx, shopper, maxTouch)
	if err != nil {
		return nil, fmt.Errorf("find decisions: %w", err)
	}
	slices.SortStableFunc(touches, func(a, b juncture.Touch) int { return b.Claims.At.Compare(a.Claims.At) }) // written last is not made last where clocks differ
	outcome := r.OutcomeID
	if r.Adjusts != nil {
		outcome = *r.Adjusts // drawn as the outcome was that it changes
	}
	var out []credited
	for _, mine := range byExperiment(touches, at) {
		experiment := mine[0].Claims.Experiment
		eligible := eligible(mine, kind, at)
		x := st.pool.Experiments[experiment] // nil: a holdout's
		if x == nil || len(eligible) < 2 || cmp.Or(x.Attribution, juncture.AttributionLast) == juncture.AttributionLast {
			out = append(out, touched(st, last(mine, kind, at), 1, nil, true))
			continue
		}
		p := shares(x, eligible, at)
		all := make([]juncture.Credit, len(p))
		for i, t := range eligible {
			all[i] = juncture.Credit{Serial: t.Claims.Serial, Share: p[i]}
		}
		holder := policy.Pick(p, e.lot(experiment, shopper, r.Event, outcome))
		for i, t := range eligible {
			out = append(out, touched(st, t, p[i], all, i == holder))
		}
	}
	return out, nil
}

// again is what an outcome was credited to before.
func again(st *state, earlier []juncture.Credited) []credited {
	out := make([]credited, len(earlier))
	for i, t := range earlier {
		out[i] = touched(st, t.Touch, t.Credit, nil, t.Holder == t.Claims.Serial)
	}
	return out
}

func touched(st *state, t juncture.Touch, share float64, all []juncture.Credit, holds bool) credited {
	id, ok := st.keyring.SignWith(t.SigningKey, t.Claims)
	if !ok { // its key is gone: another that opens
		id = st.keyring.Sign(t.Claims)
	}
	return credited{t.Claims, id, juncture.Settlement{Claims: t.Claims, Activation: t.Activation}.Arm(), share, all, holds}
}

// byExperiment groups the touches that an outcome at a time may belong to, in their order.
func byExperiment(touches []juncture.Touch, at time.Time) [][]juncture.Touch {
	var out [][]juncture.Touch
	for _, t := range touches {
		if t.Claims.Ignored || t.Removed || t.Claims.Experiment == "" || before(at, t.Claims) {
			continue
		}
		i := slices.IndexFunc(out, func(o []juncture.Touch) bool { return o[0].Claims.Experiment == t.Claims.Experiment })
		if i < 0 {
			i, out = len(out), append(out, nil)
		}
		out[i] = append(out[i], t)
	}
	return out
}

// eligible are the touches that are trials and whose window is open at a time.
func eligible(touches []juncture.Touch, kind juncture.OutcomeType, at time.Time) []juncture.Touch {
	var out []juncture.Touch
	for _, t := range touches {
		if s := (juncture.Settlement{Claims: t.Claims, Activation: t.Activation, Type: kind}); s.Active() && !at.After(s.Until()) {
			out = append(out, t)
		}
	}
	return out
}

// last is the last touch: of those given, newest first, the first whose window is open, else the first; one that waits for
// its activation only where there is no other.
func last(touches []juncture.Touch, kind juncture.OutcomeType, at time.Time) juncture.Touch {
	best, most := 0, -1
	for i, t := range touches {
		s := juncture.Settlement{Claims: t.Claims, Activation: t.Activation, Type: kind}
		rank := 0
		if s.Active() {
			rank += 2
		}
		if !at.After(s.Until()) {
			rank++
		}
		if rank > most {
			best, most = i, rank
		}
	}
	return touches[best]
}

// shares are the touches' parts of an outcome at a time, by the experiment's rule (statistics A.8).
func shares(x *juncture.Experiment, touches []juncture.Touch, at time.Time) []float64 {
	p := make([]float64, len(touches))
	if x.Attribution == juncture.AttributionLinear {
		for i := range p {
			p[i] = 1 / float64(len(p))
		}
		return p
	}
	age := func(t juncture.Touch) float64 {
		s := juncture.Settlement{Claims: t.Claims, Activation: t.Activation}
		return max(0, at.Sub(s.TrialAt()).Hours()) // within the decision's own second it may be below 0
	}
	youngest := math.Inf(1)
	for _, t := range touches {
		youngest = min(youngest, age(t))
	}
	sum := 0.0
	for i, t := range touches {
		p[i] = math.Exp2(-(age(t) - youngest) / x.CreditHalfLife().Hours()) // by the youngest, so that not all are 0
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}

// lot is the number in [0, 1) that draws which touch of an experiment holds an outcome: the same for the same outcome, and
// independent of every pick.
func (e *Engine) lot(experiment, shopper, event, outcome string) float64 {
	var b []byte
	for _, p := range [...]string{experiment, shopper, event, outcome} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(p)))
		b = append(b, p...)
	}
	return policy.Uniform(binary.BigEndian.Uint64(keyed(e.lots, b)))
}

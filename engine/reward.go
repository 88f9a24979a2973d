package engine

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/pool"
)

// Bounds on what a caller may say of time.
const (
	maxAhead  = 5 * time.Minute // occurredAt beyond the server's clock
	believed  = 72 * time.Hour  // occurredAt decides lateness only this long before its arrival
	maxTouch  = 200             // of a shopper's latest decisions, looked through to credit an outcome
	maxEvent  = 64              // characters of an event
	statusNew = "activated"
)

// Activate makes a deferred decision a trial from now, or says that the page showed another arm.
//
// Errors: CodeDecisionNotFound, CodeInvalidRequest (served is no live arm), CodeDecisionConflict (another activation
// stands), CodeUnavailable.
func (e *Engine) Activate(ctx context.Context, now time.Time, r *juncture.ActivateRequest) (*juncture.ActivateAnswer, error) {
	now = now.UTC().Truncate(time.Millisecond)
	st, err := e.state(ctx)
	if err != nil {
		return nil, err
	}
	if r.DecisionID == "" {
		return nil, invalid("decisionId", "decisionId is missing")
	}
	claims, err := st.keyring.Open(r.DecisionID)
	if err != nil {
		return nil, err
	}
	act := juncture.Activation{Serial: claims.Serial, At: now, Arm: claims.Arm}
	if r.Served != nil {
		if act.Arm, err = servedArm(st, claims, r.Served); err != nil {
			return nil, err
		}
		act.Served, act.Probability = act.Arm != claims.Arm, r.Served.Probability
	}
	w := &juncture.ActivationWrite{Claims: claims, Activation: act, Types: st.pool.Declaration.Outcomes, Currency: st.pool.Declaration.Store.Currency}
	if err := e.d.Ledger.Commit(ctx, &juncture.Entry{Activations: []*juncture.ActivationWrite{w}}); err != nil {
		return nil, err
	}
	if w.Err != nil {
		return nil, w.Err
	}
	s := juncture.Settlement{Claims: claims}
	if claims.Deferred {
		s.Activation = &w.Stands
	}
	out := &juncture.ActivateAnswer{DecisionID: r.DecisionID, Status: statusNew, Active: true, RewardUntil: s.Until()}
	switch {
	case claims.Ignored:
		out.Status, out.Active = string(juncture.StatusIgnored), false
	case w.Duplicate:
		out.Status = string(juncture.StatusDuplicate)
	}
	return out, nil
}

func servedArm(st *state, c juncture.Claims, served *juncture.Served) (juncture.ArmID, error) {
	if p := served.Probability; !(p >= 0 && p <= 1) {
		return 0, invalid("served.probability", "probability %v is not in [0, 1]", p)
	}
	if decided := st.pool.Arms[c.Arm]; decided != nil && decided.Arm.Action == served.ActionID && (served.CopyID == "" || served.CopyID == decided.Arm.Copy) {
		return c.Arm, nil
	}
	if x := st.pool.Experiments[c.Experiment]; x != nil {
		if at := st.pool.Surfaces[x.Surface]; at != nil {
			if a := at.Live(served.ActionID, served.CopyID); a != nil {
				return a.ID, nil
			}
		}
	}
	return 0, juncture.Errorf(juncture.CodeInvalidRequest, "served %.80q is no live arm of the decision's surface", served.ActionID).
		WithHint("name an approved action and copy").WithField("served")
}

// Reward records an outcome and returns once it is durable. One that comes for a shopper who denied consent is ignored;
// one that names its decision counts, since that was made with consent.
//
// Errors: CodeInvalidRequest, CodeDecisionNotFound, CodeOutcomeConflict, CodeUnprocessable, CodeUnavailable.
func (e *Engine) Reward(ctx context.Context, now time.Time, r *juncture.RewardRequest) (*juncture.RewardAnswer, error) {
	res := e.RewardBatch(ctx, now, []*juncture.RewardRequest{r})
	return res[0].Answer, res[0].Err
}

// RewardBatch records outcomes in order, in one commit. One that is refused does not stop the others.
func (e *Engine) RewardBatch(ctx context.Context, now time.Time, rs []*juncture.RewardRequest) []Result[juncture.RewardAnswer] {
	out := make([]Result[juncture.RewardAnswer], len(rs))
	now = now.UTC().Truncate(time.Millisecond)
	st, err := e.state(ctx)
	if err != nil {
		return failAll(out, err)
	}
	pending := make([]int, 0, len(rs))
	for i, r := range rs {
		if r != nil {
			pending = append(pending, i)
		}
	}
	for round := 0; len(pending) > 0 && round < maxRounds; round++ {
		pending = e.rewardRound(ctx, st, now, rs, out, pending)
	}
	for _, i := range pending { // the shopper's decisions come faster than this can be settled
		out[i].Err = &juncture.Error{Code: juncture.CodeUnavailable, Message: "the shopper is busy elsewhere", RetryAfter: time.Second}
	}
	return out
}

// rewardRound settles the pending rewards, in one commit, and returns those to be credited again: the same outcome came
// for the same shopper meanwhile, and another decision holds it.
func (e *Engine) rewardRound(ctx context.Context, st *state, now time.Time, rs []*juncture.RewardRequest, out []Result[juncture.RewardAnswer], pending []int) (again []int) {
	entry := &juncture.Entry{}
	writes := make([][]write, len(rs))
	for _, i := range pending {
		if writes[i], out[i].Err = e.outcome(ctx, st, now, rs[i]); out[i].Err != nil {
			continue
		}
		if len(writes[i]) == 0 {
			out[i].Answer = &juncture.RewardAnswer{Status: juncture.StatusIgnored, AttributedTo: []juncture.CreditView{}}
			continue
		}
		for _, w := range writes[i] {
			if w.holds {
				entry.Outcomes = append(entry.Outcomes, w.OutcomeWrite)
			}
		}
	}
	if len(entry.Outcomes) == 0 {
		return nil
	}
	err := e.d.Ledger.Commit(ctx, entry)
	for _, i := range pending {
		w := writes[i]
		switch {
		case len(w) == 0:
		case err != nil:
			out[i].Err = err
		case slices.ContainsFunc(w, func(w write) bool { return w.holds && w.Elsewhere }):
			again = append(again, i)
		default:
			e.sawOutcomes(st, now, w)
			out[i].Answer, out[i].Err = rewarded(st, w)
		}
	}
	return again
}

// write is a decision with its share of an outcome, and what is to be written where it holds it.
type write struct {
	credited
	*juncture.OutcomeWrite
}

// outcome checks a reward and finds the decisions that it is credited to.
func (e *Engine) outcome(ctx context.Context, st *state, now time.Time, r *juncture.RewardRequest) ([]write, error) {
	o := juncture.Outcome{Event: r.Event, ID: r.OutcomeID, Received: now, At: now}
	switch {
	case r.Event == "":
		return nil, invalid("event", "event is missing")
	case r.DecisionID == "" && r.ShopperID == "":
		return nil, invalid("decisionId", "decisionId or shopperId is needed")
	case r.DecisionID != "" && r.ShopperID != "":
		return nil, invalid("shopperId", "send decisionId or shopperId, not both")
	}
	for _, f := range []struct {
		name, v string
		most    int
	}{{"event", r.Event, maxEvent}, {"outcomeId", r.OutcomeID, MaxID}, {"shopperId", r.ShopperID, MaxID}} {
		if n := utf8.RuneCountInString(f.v); n > f.most {
			return nil, invalid(f.name, "%s has %d characters; at most %d", f.name, n, f.most)
		}
		if strings.ContainsRune(f.v, 0) {
			return nil, invalid(f.name, "%s holds a null byte", f.name)
		}
	}
	kind, ok := st.pool.Outcomes[r.Event]
	if !ok {
		return nil, juncture.Errorf(juncture.CodeInvalidRequest, "no outcome is called %.80q", r.Event).
			WithHint("register it under outcomes in the store file").WithField("event")
	}
	whole, err := outcomeValue(&o, kind, st.pool.Declaration.Store.Currency, r)
	if err != nil {
		return nil, err
	}
	var occurred time.Time
	if r.OccurredAt != "" {
		if occurred, err = time.Parse(time.RFC3339, r.OccurredAt); err != nil {
			return nil, invalid("occurredAt", "occurredAt %.40q is not RFC 3339, such as 2026-01-31T12:00:00Z", r.OccurredAt)
		}
		occurred = occurred.UTC().Truncate(time.Millisecond)
		if occurred.After(now.Add(maxAhead)) {
			return nil, invalid("occurredAt", "occurredAt is more than 5 minutes ahead")
		}
		if now.Sub(occurred) <= believed {
			o.At = occurred
		}
	}
	decisions, err := e.credit(ctx, st, r, kind, o.At)
	if err != nil {
		return nil, err
	}
	shopper, serials := "", make([]uint64, 0, len(decisions))
	if r.ShopperID != "" && r.OutcomeID != "" {
		if shopper, err = e.shopperOf(ctx, r.ShopperID); err != nil {
			return nil, fmt.Errorf("find shopper: %w", err)
		}
		shopper = or(shopper, r.ShopperID)
	}
	for _, d := range decisions {
		if d.holds {
			serials = append(serials, d.claims.Serial)
		}
	}
	var writes []write
	for _, d := range decisions {
		if !d.holds {
			writes = append(writes, write{credited: d})
			continue
		}
		c := d.claims
		if !occurred.IsZero() && before(occurred, c) {
			return nil, juncture.Errorf(juncture.CodeUnprocessable, "the outcome occurred before its decision").
				WithHint("the decision was made at " + c.At.Format(time.RFC3339)).WithField("occurredAt")
		}
		mine := o
		mine.Serial, mine.Credits = c.Serial, d.shares
		writes = append(writes, write{d, &juncture.OutcomeWrite{Shopper: shopper, Mine: serials, Claims: c, Outcome: mine, Whole: whole, Type: kind, Currency: st.pool.Declaration.Store.Currency}})
	}
	return writes, nil
}

// outcomeValue checks value, currency and adjusts; whole means an adjustment of all that is left.
func outcomeValue(o *juncture.Outcome, kind juncture.OutcomeType, currency string, r *juncture.RewardRequest) (whole bool, err error) {
	if r.Adjusts != nil {
		o.Adjust, o.Adjusts = true, *r.Adjusts
		whole = r.Value == nil
	}
	value := 1.0
	switch {
	case r.Value != nil:
		value = *r.Value
	case kind.Type == juncture.OutcomeMoney && !whole:
		return false, invalid("value", "outcome %q is money: value is missing", kind.Name)
	}
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return false, invalid("value", "value is not a finite number")
	}
	if math.Abs(value) > kind.Limit() {
		return false, juncture.Errorf(juncture.CodeUnprocessable, "value %v is beyond the bound %v of outcome %q", value, kind.Limit(), kind.Name).
			WithHint("raise the outcome's bound if such values are real").WithField("value")
	}
	if value < 0 && !o.Adjust {
		return false, juncture.Errorf(juncture.CodeUnprocessable, "value %v is negative", value).
			WithHint("a refund adjusts an earlier outcome").WithField("value")
	}
	if kind.Type == juncture.OutcomeMoney {
		switch {
		case r.Currency == "" && !whole:
			return false, invalid("currency", "money needs its currency, here %s", currency)
		case r.Currency != "" && r.Currency != currency:
			return false, invalid("currency", "currency %.10q is not the store's, %s", r.Currency, currency)
		}
		o.Currency = currency
	} else {
		if value != math.Trunc(value) {
			return false, invalid("value", "outcome %q is binary: value is 1, 0 or left out", kind.Name)
		}
		if r.Currency != "" {
			return false, invalid("currency", "outcome %q is not money: leave currency out", kind.Name)
		}
	}
	if !whole {
		o.Value, o.Minor = value, kind.Minor(value, currency)
	}
	return whole, nil
}

// before reports whether something happened before a decision. Clients often send whole seconds: what happened in the
// decision's own second did not.
func before(at time.Time, c juncture.Claims) bool { return at.Before(c.At.Truncate(time.Second)) }

// rewarded makes the answer of a reward from what the commit did.
func rewarded(st *state, writes []write) (*juncture.RewardAnswer, error) {
	a := &juncture.RewardAnswer{AttributedTo: []juncture.CreditView{}}
	for _, w := range writes {
		view := juncture.CreditView{DecisionID: w.id, Experiment: w.claims.Experiment, Credit: w.credit, Status: juncture.StatusCredited}
		shown := w.arm
		if w.holds {
			if w.Err != nil {
				return nil, w.Err
			}
			shown, view.Status = w.Delta.Arm, w.Result.Status
		}
		if p := st.pool.Arms[shown]; p != nil {
			view.ActionID, view.CopyID = p.Arm.Action, p.Arm.Copy
		}
		a.AttributedTo = append(a.AttributedTo, view)
		if !w.holds {
			continue
		}
		if a.Status == "" || a.Status == juncture.StatusDuplicate {
			a.Status = w.Result.Status
		}
		a.Reward = w.Result.Value
		a.Learned = a.Learned || learned(st.pool, w.OutcomeWrite)
	}
	return a, nil
}

// learned reports whether the outcome moved a posterior of its experiment.
func learned(p *pool.Snapshot, w *juncture.OutcomeWrite) bool {
	x := p.Experiments[w.Claims.Experiment]
	t := w.Delta.Tally
	return x != nil && w.Delta.Arm != 0 && x.Goal.Counts(w.Outcome.Event) && (w.Delta.Group.Teaches() || w.Delta.Group == juncture.GroupShadow) && (t.Successes != 0 || t.Value != 0)
}

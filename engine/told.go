package engine

import (
	"context"
	"math"
	"time"

	"github.com/juncture/juncture"
)

// reasonUncredited is what an order is set aside for, once it is kept, that no outcome could be made of.
const reasonUncredited = "uncredited"

// told credits the outcomes that events tell (OutcomeType.From), as Reward does for a shopper. It comes after the events are
// durable and before they are acknowledged, also for repeats: whoever sends again after a crash has them credited then, and
// an outcome that is known already changes nothing. What a refund or a cancellation has nothing to take back from is no
// error; an order that cannot be taken as an outcome is counted among what could not be taken.
func (e *Engine) told(ctx context.Context, now time.Time, events []*juncture.EventWrite, past map[*juncture.EventWrite]bool) error {
	st, err := e.state(ctx)
	if err != nil {
		return err
	}
	if len(st.told) == 0 {
		return nil
	}
	var rewards []*juncture.RewardRequest
	var of []*juncture.EventWrite
	for _, w := range events {
		if w.Denied || w.Refused || past[w] {
			continue
		}
		for _, kind := range st.told {
			if r := kind.reward(w, now, st.pool.Declaration.Store.Currency); r != nil {
				rewards, of = append(rewards, r), append(of, w)
			}
		}
	}
	if len(rewards) == 0 {
		return nil
	}
	results := e.RewardBatch(ctx, now, rewards)
	var again []*juncture.RewardRequest // refunds of more than is left take back all that is
	var broken []juncture.Quarantined
	for i, r := range results {
		code := juncture.ErrorCode(r.Err)
		switch {
		case r.Err == nil:
		case code == juncture.CodeUnavailable || code == juncture.CodeInternal:
			return r.Err
		case rewards[i].Adjusts != nil && rewards[i].Value != nil:
			rewards[i].Value, rewards[i].Currency = nil, ""
			again = append(again, rewards[i])
		case rewards[i].Adjusts == nil:
			broken = append(broken, juncture.Quarantined{Reason: reasonUncredited, Message: r.Err.Error(), Example: string(of[i].Raw[:min(len(of[i].Raw), 512)]), Count: 1, Latest: now})
		}
	}
	for _, r := range e.RewardBatch(ctx, now, again) {
		if code := juncture.ErrorCode(r.Err); r.Err != nil && (code == juncture.CodeUnavailable || code == juncture.CodeInternal) {
			return r.Err
		}
	}
	if len(broken) == 0 {
		return nil
	}
	return e.d.Ledger.Commit(ctx, &juncture.Entry{Quarantined: broken})
}

// toldKind is an outcome that events tell.
type toldKind struct{ juncture.OutcomeType }

// reward is what an event says of the outcome, nil for nothing. An order's outcome has its number, so that /reward may tell it
// too; another event's its messageId.
func (k toldKind) reward(w *juncture.EventWrite, now time.Time, currency string) *juncture.RewardRequest {
	v := &w.Event
	r := &juncture.RewardRequest{ShopperID: or(v.Shopper, or(w.UserID, w.AnonymousID)), Event: k.Name, OutcomeID: v.ID}
	if at := v.At; !at.After(now) {
		r.OccurredAt = at.UTC().Format(time.RFC3339Nano)
	}
	money := func(minor int64) {
		if k.Type == juncture.OutcomeMoney {
			value := float64(minor) / math.Pow10(juncture.MinorDigits(currency))
			r.Value, r.Currency = &value, currency
		}
	}
	if !k.OfOrders() {
		if !k.Told(v.Name) {
			return nil
		}
		return r
	}
	switch v.Kind {
	case juncture.EventOrderCompleted:
		if v.Order != "" {
			r.OutcomeID = v.Order
		}
		money(max(v.Value, 0))
	case juncture.EventOrderRefunded, juncture.EventOrderCancelled:
		if v.Order == "" {
			return nil
		}
		r.Adjusts = &v.Order
		if part := v.Kind == juncture.EventOrderRefunded && v.Value > 0; part && k.Type != juncture.OutcomeMoney {
			return nil // a part of the money came back, the order stands
		} else if part {
			money(-v.Value)
		}
	default:
		return nil
	}
	return r
}

// toldKinds are a store's outcomes that events tell, in order of name.
func toldKinds(outcomes []juncture.OutcomeType) []toldKind {
	var out []toldKind
	for _, o := range outcomes {
		if o.From != "" {
			out = append(out, toldKind{o})
		}
	}
	return out
}

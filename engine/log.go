package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/layers"
	"github.com/juncture/juncture/pool"
)

// LogStore reads the decisions' log, and what was known of a shopper by a time.
type LogStore interface {
	ReplayStore
	Log(ctx context.Context, q juncture.DecisionQuery) (_ []juncture.Settled, last uint64, _ error)
	EventsBefore(ctx context.Context, shopper string, by time.Time, limit int) (_ []juncture.Event, whole bool, err error)
	ArmNames(ctx context.Context) (map[juncture.ArmID]juncture.Arm, error)
}

// Log finds, explains and replays decisions. It is safe for concurrent use and asks no memory of an Engine.
type Log struct {
	*Replayer
	store     LogStore
	secrets   func(ctx context.Context) (Secrets, error)
	declared  func(ctx context.Context) (*pool.Snapshot, error)
	knowledge func() layers.Knowledge
}

// NewLog makes a Log. declared is the configuration as it stands; knowledge what is learnt beside profiles, nil for nothing.
func NewLog(store LogStore, secrets func(ctx context.Context) (Secrets, error), declared func(ctx context.Context) (*pool.Snapshot, error), knowledge func() layers.Knowledge) *Log {
	return &Log{Replayer: NewReplayer(store, store.ArmNames, secrets), store: store, secrets: secrets, declared: declared, knowledge: knowledge}
}

// LogOf is the log of what an engine decides.
func (e *Engine) LogOf(store LogStore) *Log {
	return NewLog(store, e.d.Secrets, e.Declared, e.d.Learned.knowledge)
}

// Find reads a decision id, or a serial. The error is CodeDecisionNotFound.
func (l *Log) Find(ctx context.Context, id string) (uint64, error) {
	if serial, ok := juncture.ParseSerial(id); ok {
		return serial, nil
	}
	s, err := l.secrets(ctx)
	if err != nil {
		return 0, fmt.Errorf("find decision: %w", err)
	}
	c, err := s.Keyring.Open(id)
	return c.Serial, err
}

// Decisions returns a page of the log, newest first. The error is CodeInvalidRequest for a limit out of range.
func (l *Log) Decisions(ctx context.Context, q juncture.DecisionQuery) (juncture.DecisionPage, error) {
	page := juncture.DecisionPage{Items: []juncture.LoggedDecision{}}
	if q.Limit < 1 || q.Limit >= juncture.MaxDecisions {
		return page, invalid("limit", "limit is 1 to %d", juncture.MaxDecisions-1)
	}
	limit := q.Limit
	q.Limit++
	found, last, err := l.store.Log(ctx, q)
	if err != nil {
		return page, fmt.Errorf("read decisions: %w", err)
	}
	if len(found) > limit {
		found = found[:limit]
		page.Next = juncture.SerialText(found[limit-1].Serial)
	} else if last != 0 {
		page.Next, page.Looked = juncture.SerialText(last), cmp.Or(q.Look, juncture.DecisionLook)
	}
	names, err := l.store.ArmNames(ctx)
	if err != nil {
		return page, fmt.Errorf("read decisions: %w", err)
	}
	s, err := l.secrets(ctx)
	if err != nil {
		return page, fmt.Errorf("read decisions: %w", err)
	}
	for i := range found {
		page.Items = append(page.Items, logged(&found[i], names, s.Keyring))
	}
	return page, nil
}

func logged(d *juncture.Settled, names map[juncture.ArmID]juncture.Arm, keys *juncture.Keyring) juncture.LoggedDecision {
	v := juncture.LoggedDecision{Serial: juncture.SerialText(d.Serial), At: d.At, Surface: d.Surface, Experiment: d.Experiment, Group: d.Group, Reason: d.Reason,
		Detail: d.Detail, ShopperID: d.Shopper, Intersection: d.Intersection.Key(), Arm: names[d.Arm].String(), Probability: d.Probability, PolicyVersion: d.Version,
		Active: !d.Ignored && !d.Removed && (!d.Deferred || d.Activation != nil), Claims: d.Claims}
	if d.Shadow != 0 {
		v.Shadow = names[d.Shadow].String()
	}
	if keys != nil {
		v.DecisionID, _ = keys.SignWith(d.SigningKey, d.Claims)
	}
	return v
}

// eventsRead bounds the events of a shopper from which reasons are told again.
const eventsRead = 5000

// Explain says why a decision is what it is, without making it again. The error is CodeDecisionNotFound.
func (l *Log) Explain(ctx context.Context, serial uint64) (*juncture.ExplainedDecision, error) {
	d, err := l.store.Logged(ctx, serial)
	if err != nil {
		return nil, fmt.Errorf("explain: %w", err)
	}
	if d == nil {
		return nil, juncture.Errorf(juncture.CodeDecisionNotFound, "no decision has the serial %d", serial)
	}
	now, err := l.declared(ctx)
	if err != nil {
		return nil, fmt.Errorf("explain: %w", err)
	}
	s, err := l.secrets(ctx)
	if err != nil {
		return nil, fmt.Errorf("explain: %w", err)
	}
	names, err := l.store.ArmNames(ctx)
	if err != nil {
		return nil, fmt.Errorf("explain: %w", err)
	}
	v := &juncture.ExplainedDecision{LoggedDecision: logged(d, names, s.Keyring), SessionID: d.Session, Until: d.Until, Share: d.Share, Terms: d.Terms,
		Candidates: []juncture.Candidate{}, Filtered: []juncture.FilteredArm{}, Nudges: []juncture.NudgeView{}, Outcomes: []juncture.ExplainedReward{}}
	headline := func(id juncture.ArmID) string {
		if a := now.Arms[id]; a != nil {
			return a.Copy.Headline
		}
		return ""
	}
	for i, k := range d.Ranking {
		c := juncture.Candidate{Arm: names[k.Arm], Headline: headline(k.Arm), Probability: k.Probability, Shown: k.Arm == d.Arm, Drawn: k.Arm == cmp.Or(d.Shadow, d.Arm)}
		if d.Policy != nil {
			c.Policy = &d.Policy[i]
		}
		v.Candidates = append(v.Candidates, c)
	}
	for _, r := range d.Refused {
		f := juncture.FilteredArm{Arm: names[r.Arm], Headline: headline(r.Arm), Why: strings.ToValidUTF8(r.Why, "\ufffd")}
		if a := now.Arms[r.Arm]; a != nil {
			f.Rule = a.Action.Rule
		}
		v.Filtered = append(v.Filtered, f)
	}
	for _, o := range d.Outcomes {
		v.Outcomes = append(v.Outcomes, juncture.ExplainedReward{Event: o.Event, ID: o.ID, Value: o.Value, Currency: o.Currency, At: o.At, Status: o.Status, Credit: o.ShareOf(d.Serial)})
	}
	if d.Version != "" {
		u := uniformOf(s.PickSalt, serial)
		v.Uniform = &u
		fit, err := l.store.Fit(ctx, d.Version)
		if err != nil {
			return nil, fmt.Errorf("explain: %w", err)
		}
		if fit != nil {
			v.Fit = fit.View()
		}
	}
	if err := l.termsOf(ctx, d, v); err != nil {
		return nil, fmt.Errorf("explain: %w", err)
	}
	v.Layers, err = l.layers(ctx, d, now)
	return v, err
}

// termsOf fills what the terms say.
func (l *Log) termsOf(ctx context.Context, d *juncture.Settled, v *juncture.ExplainedDecision) error {
	if d.Terms == "" {
		return nil
	}
	t, err := l.store.Terms(ctx, d.Terms)
	if err != nil || t == nil {
		return err
	}
	x := &t.Experiment
	v.Policy, v.Floor = cmp.Or(x.Policy, juncture.PolicyPooled), x.FloorMass()
	for _, n := range x.Nudges {
		if n.Live(d.At) && slices.ContainsFunc(v.Candidates, func(c juncture.Candidate) bool { return c.Action == n.Action }) {
			v.Nudges = append(v.Nudges, n.View())
		}
	}
	return nil
}

// layers are the decision's, with the reasons that what was known by then gives under today's settings.
func (l *Log) layers(ctx context.Context, d *juncture.Settled, now *pool.Snapshot) ([]juncture.ExplainedLayer, error) {
	out := make([]juncture.ExplainedLayer, juncture.LayerCount)
	derives := false
	for _, layer := range juncture.Layers() {
		e := &out[layer]
		*e = juncture.ExplainedLayer{Layer: layer.String(), Value: d.Intersection.Value(layer), Source: "logged", Same: true, Reason: "sent by the caller"}
		if now.Declaration.Layers[layer.String()].Source != juncture.SourceRequest {
			derives = true
			e.Reason = "the value is as it was logged; why is not told again"
		} else if !juncture.Known(e.Value) {
			e.Reason = "not sent by the caller, or beyond what this surface uses"
		}
	}
	if !derives || d.Shopper == "" || erased(d.Shopper) {
		return out, nil
	}
	events, whole, err := l.store.EventsBefore(ctx, d.Shopper, d.At, eventsRead)
	if err != nil {
		return nil, fmt.Errorf("explain: %w", err)
	}
	var p layers.Profile
	for _, e := range events {
		p.Fold(e)
	}
	var k layers.Knowledge
	if l.knowledge != nil {
		k = l.knowledge()
	}
	then := layers.Describe(&p, d.At, layers.SettingsOf(now.Declaration.Layers, now.Declaration.Store.Currency), k)
	for _, layer := range juncture.Layers() {
		e := &out[layer]
		if now.Declaration.Layers[layer.String()].Source == juncture.SourceRequest {
			continue
		}
		if !whole {
			e.Reason = fmt.Sprintf("the shopper has more than %d events: why is not told again", eventsRead)
			continue
		}
		view := then.Views[layer]
		e.Source, e.Reason, e.Same = "recomputed", view.Reason, view.Value == e.Value
	}
	return out, nil
}

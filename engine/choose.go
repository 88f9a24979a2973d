package engine

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/experiments"
	"github.com/juncture/juncture/layers"
	"github.com/juncture/juncture/policy"
	"github.com/juncture/juncture/pool"
)

// Caller is who calls: the key that signed the request.
type Caller struct {
	KeyID string
	Admin bool // may preview
}

// Result is one item's answer, or what is wrong with it.
type Result[T any] struct {
	Answer *T
	Err    error
}

// Limits of a request.
const (
	MaxID         = 256 // characters of shopperId, anonymousId, sessionId
	MaxRequestID  = 128
	MaxContext    = 64 // keys
	MaxContextKey = 64 // bytes
	MaxContextVal = 1024
	MaxCandidates = 50
	MaxBatch      = 500
	memoDays      = 7
	maxRounds     = 8 // in which a call that another was quicker than is decided again
)

// Choose decides for one shopper at one surface and returns once the decision is durable.
//
// Errors: CodeInvalidRequest, CodeInvalidContext, CodeTargetingKeyMissing, CodeSurfaceNotFound, CodeForbidden,
// CodeDecisionConflict; CodeUnavailable when the decision could not be made durable.
func (e *Engine) Choose(ctx context.Context, now time.Time, who Caller, r *juncture.ChooseRequest) (*juncture.ChooseAnswer, error) {
	res := e.ChooseBatch(ctx, now, who, []*juncture.ChooseRequest{r})
	return res[0].Answer, res[0].Err
}

// ChooseBatch decides for each request in order, in one commit. A request that is refused does not stop the others.
func (e *Engine) ChooseBatch(ctx context.Context, now time.Time, who Caller, rs []*juncture.ChooseRequest) []Result[juncture.ChooseAnswer] {
	out := make([]Result[juncture.ChooseAnswer], len(rs))
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
	for round := 1; len(pending) > 0; round++ {
		pending = e.chooseRound(ctx, out, pending, func(i int) *call {
			return &call{e: e, st: st, now: now, who: who, r: rs[i], alone: round > maxRounds}
		})
	}
	return out
}

// chooseRound decides the pending calls, in one commit, and returns those to be decided again: another call of the same
// shopper and session, of this batch or beside it, was quicker.
func (e *Engine) chooseRound(ctx context.Context, out []Result[juncture.ChooseAnswer], pending []int, begin func(i int) *call) (again []int) {
	entry := &juncture.Entry{}
	writes := make([]*call, len(out))
	writing := false
	for _, i := range pending {
		c := begin(i)
		if out[i].Answer, out[i].Err = c.prepare(ctx); out[i].Answer != nil || out[i].Err != nil {
			continue
		}
		out[i].Answer, out[i].Err = c.decide(ctx)
		if out[i].Err == nil && c.write != nil {
			out[i].Err = c.memorize(out[i].Answer)
		}
		if out[i].Err != nil {
			out[i].Answer = nil
			e.values.Forget(c.described.Fresh)
			continue
		}
		if c.write != nil {
			entry.Decisions = append(entry.Decisions, c.write)
		} else if c.requestID != nil { // sticky: nothing new to decide, but the same answer is to be given under this requestId too
			c.repeat = &juncture.MemoWrite{Memo: *c.requestID, At: c.now}
			entry.Memos = append(entry.Memos, c.repeat)
		} else if len(c.aliases)+len(c.described.Fresh) == 0 {
			continue
		}
		writes[i], writing = c, true
		entry.Values = append(entry.Values, c.described.Fresh...)
		entry.Aliases = append(entry.Aliases, c.aliases...)
	}
	if !writing {
		return nil
	}
	if err := e.d.Ledger.Commit(ctx, entry); err != nil {
		e.values.Forget(entry.Values)
		for i, c := range writes {
			if c != nil {
				out[i] = Result[juncture.ChooseAnswer]{Err: err}
			}
		}
		return nil
	}
	e.forgetShoppers(entry.Aliases)
	for i, c := range writes {
		if c == nil {
			continue
		}
		var retry bool
		if out[i].Answer, retry, out[i].Err = c.committed(out[i].Answer); retry {
			again = append(again, i)
		}
	}
	return again
}

func failAll[T any](out []Result[T], err error) []Result[T] {
	for i := range out {
		out[i].Err = err
	}
	return out
}

// call is one /choose under way.
type call struct {
	e   *Engine
	st  *state
	now time.Time
	who Caller
	r   *juncture.ChooseRequest

	surface   *pool.Surface
	personal  bool // may be personalised
	logged    bool // may be logged with an id and learnt from
	shopper   string
	aliases   []juncture.Alias
	described layers.Described
	x         juncture.Intersection
	context   map[string]any
	warnings  []string
	alone     bool // no stickiness: others were quicker too often
	requestID *juncture.Memo
	sticky    *juncture.Memo
	write     *juncture.DecisionWrite
	repeat    *juncture.MemoWrite
	until     time.Time
	explain   *juncture.ExplanationView
}

func invalid(field, format string, args ...any) error {
	return juncture.Errorf(juncture.CodeInvalidRequest, format, args...).WithField(field)
}

// prepare checks the request and finds an earlier answer to it.
func (c *call) prepare(ctx context.Context) (*juncture.ChooseAnswer, error) {
	r := c.r
	if r.Surface == "" {
		return nil, invalid("surface", "surface is missing")
	}
	c.surface = c.st.pool.Surfaces[r.Surface]
	if c.surface == nil {
		return nil, juncture.Errorf(juncture.CodeSurfaceNotFound, "no surface is called %.80q", r.Surface).
			WithHint("declare it in the store file and apply").WithField("surface")
	}
	for _, f := range []struct {
		name, v string
		most    int
	}{{"shopperId", r.ShopperID, MaxID}, {"anonymousId", r.AnonymousID, MaxID}, {"sessionId", r.SessionID, MaxID}, {"requestId", r.RequestID, MaxRequestID}} {
		if n := utf8.RuneCountInString(f.v); n > f.most {
			return nil, invalid(f.name, "%s has %d characters; at most %d", f.name, n, f.most)
		}
		if strings.ContainsRune(f.v, 0) {
			return nil, invalid(f.name, "%s holds a null byte", f.name)
		}
	}
	if r.ShopperID == "" && r.AnonymousID == "" {
		return nil, juncture.Errorf(juncture.CodeTargetingKeyMissing, "shopperId or anonymousId is needed").
			WithHint("send the id that the storefront knows the shopper by").WithField("shopperId")
	}
	for name, list := range map[string][]string{"candidates": r.Candidates, "excludedActions": r.ExcludedActions} {
		if len(list) > MaxCandidates {
			return nil, invalid(name, "%s names %d actions; at most %d", name, len(list), MaxCandidates)
		}
	}
	if err := c.checkContext(); err != nil {
		return nil, err
	}
	c.personal, c.logged = true, true
	if r.Consent != nil {
		for name, v := range map[string]string{"consent.personalization": r.Consent.Personalization, "consent.analytics": r.Consent.Analytics} {
			if !slices.Contains([]string{"", "granted", "denied", "unknown"}, v) {
				return nil, invalid(name, "%s is granted, denied or unknown, not %.40q", name, v)
			}
		}
		c.personal = r.Consent.Personalization != "denied"
		c.logged = c.personal && r.Consent.Analytics != "denied"
	}
	if r.Preview != nil && !c.who.Admin {
		return nil, juncture.Errorf(juncture.CodeForbidden, "preview needs a key with scope admin").WithField("preview")
	}
	if r.Preview != nil && r.Preview.ActionID == "" {
		return nil, invalid("preview.actionId", "preview.actionId is missing")
	}
	return c.recallRequest(ctx)
}

func (c *call) checkContext() error {
	bad := func(format string, args ...any) error {
		return juncture.Errorf(juncture.CodeInvalidContext, format, args...).
			WithHint("context holds up to 64 strings, numbers and booleans, and no personal data").WithField("context")
	}
	if len(c.r.Context) > MaxContext {
		return bad("context has %d keys; at most %d", len(c.r.Context), MaxContext)
	}
	c.context = make(map[string]any, len(c.r.Context))
	allowed := c.st.pool.Declaration.Context
	for k, v := range c.r.Context {
		if k == "" || len(k) > MaxContextKey {
			return bad("context key %.80q is not 1 to %d bytes", k, MaxContextKey)
		}
		switch t := v.(type) {
		case string:
			if len(t) > MaxContextVal {
				return bad("context.%s has %d bytes; at most %d", k, len(t), MaxContextVal)
			}
		case bool:
		case float64:
			if math.IsNaN(t) || math.IsInf(t, 0) {
				return bad("context.%s is not a finite number", k)
			}
		default:
			return bad("context.%s is neither string, number nor boolean", k)
		}
		if len(allowed) > 0 && !slices.Contains(allowed, k) {
			c.warn("context.%s: not on the store's list; dropped", k)
			continue
		}
		c.context[k] = v
	}
	slices.Sort(c.warnings) // map order must not show
	return nil
}

func (c *call) warn(format string, args ...any) {
	c.warnings = append(c.warnings, fmt.Sprintf(format, args...))
}

// decide chooses, fills c.write and builds the answer. A sticky answer leaves c.write nil.
func (c *call) decide(ctx context.Context) (*juncture.ChooseAnswer, error) {
	r := c.r
	if c.personal {
		if err := c.identify(ctx); err != nil {
			return nil, err
		}
		c.described = layers.Compose(c.st.pool.Declaration.Layers, r.Layers, c.e.values)
	} else {
		c.described = layers.Compose(nil, nil, c.e.values)
		for i := range c.described.Views {
			c.described.Views[i].Reason = "the shopper denied personalisation"
		}
	}
	c.warnings = append(c.warnings, c.described.Warnings...)
	c.x = c.described.Intersection.Ceiling(c.surface.CeilingTier())
	experiment := c.surface.Experiment(c.now)
	if experiment != nil {
		if a, err := c.recallSticky(ctx, experiment); a != nil || err != nil {
			return a, err
		}
	}
	d := juncture.Decision{
		Claims:  juncture.Claims{At: c.now, Intersection: c.x, Probability: 1, Deferred: r.DeferActivation, Ignored: !c.logged},
		Surface: r.Surface, Shopper: c.shopper, Session: r.SessionID,
	}
	if !c.logged {
		d.Shopper, d.Session, d.Detail = "", "", juncture.DetailConsentDenied
	}
	window := defaultWindow
	if experiment != nil {
		window = time.Duration(experiment.Goal.Window)
	}
	d.Until = c.now.Add(window)
	served, v, err := c.draw(ctx, &d, experiment)
	if err != nil {
		return nil, err
	}
	if served != nil {
		d.Arm = served.ID
	}
	if d.Serial == 0 {
		d.Serial = c.e.nextSerial(c.now)
	}
	c.write = &juncture.DecisionWrite{Decision: d, SigningKey: c.st.keyring.SignerID()}
	return c.answer(&d, served, v, experiment), nil
}

// draw fills the decision's group, probability and ranking and returns the arm to serve, nil for none.
func (c *call) draw(ctx context.Context, d *juncture.Decision, x *juncture.Experiment) (*pool.Arm, *vector, error) {
	r := c.r
	if r.Preview != nil {
		d.Ignored, d.Reason, d.Detail = true, juncture.ReasonStatic, juncture.DetailPreview
		if a := c.surface.Live(r.Preview.ActionID, ""); a != nil {
			return certain(d, a), nil, nil
		}
		c.warn("preview.actionId: %.80q is not live at this surface", r.Preview.ActionID)
		d.Reason = juncture.ReasonDefault
		return certain(d, c.surface.Default), nil, nil
	}
	if x == nil {
		d.Reason = juncture.ReasonStatic
		if c.surface.Default == nil {
			d.Reason = juncture.ReasonDefault
		}
		return certain(d, c.surface.Default), nil, nil
	}
	if c.logged {
		group, share, in := experiments.Assign(c.st.group, *x, c.shopper)
		if !in {
			d.Reason = juncture.ReasonDisabled
			return certain(d, c.surface.Default), nil, nil
		}
		d.Group, d.Share = group, share
	} else {
		d.Group = juncture.GroupNone // nobody's trial: served by the policy, never learnt from
	}
	facts := pool.NewFacts(c.x, c.surface.Channel, c.now, c.context)
	refused := func(f pool.Refusal) {
		if f.Broken {
			c.e.stats.RuleFailures.Add(1)
		}
	}
	if r.Explain {
		c.explain = &juncture.ExplanationView{Filtered: []juncture.FilteredView{}, Floor: x.FloorMass(), Policy: c.st.policies[x.ID].Name(), Share: d.Share}
		count := refused
		refused = func(f pool.Refusal) {
			count(f)
			c.explain.Filtered = append(c.explain.Filtered, juncture.FilteredView{ActionID: f.Arm.Arm.Action, CopyID: f.Arm.Arm.Copy, Why: f.Why})
		}
	}
	arms := c.narrow(c.surface.Eligible(nil, facts, c.x, refused), refused)
	if len(arms) == 0 {
		// Randomised only with something to randomise over: not in the experiment this time.
		d.Group, d.Share, d.Reason, d.Detail = juncture.GroupNone, 0, juncture.ReasonDefault, juncture.DetailEmptyPool
		return certain(d, c.surface.Default), nil, nil
	}
	d.Experiment = x.ID
	switch d.Group {
	case juncture.GroupHoldout:
		d.Reason, d.Detail = juncture.ReasonSplit, juncture.DetailHoldout
		return nil, nil, nil
	case juncture.GroupBAU:
		d.Reason = juncture.ReasonSplit
		if c.surface.Default == nil {
			d.Reason = juncture.ReasonDefault
		}
		return certain(d, c.surface.Default), nil, nil
	}
	v, err := c.e.vector(ctx, c.st, x, c.x, arms)
	if err != nil {
		return nil, nil, err
	}
	p := v.p
	if d.Group == juncture.GroupRandom {
		p = make([]float64, len(arms))
		for i := range p {
			p[i] = 1 / float64(len(p))
		}
	}
	d.Serial = c.e.nextSerial(c.now)
	i := policy.Pick(p, c.e.uniform(d.Serial))
	d.Reason, d.Probability, d.Version = juncture.ReasonSplit, p[i], v.version
	if len(arms) == 1 {
		d.Reason = juncture.ReasonTargeting
	}
	for k, a := range arms {
		d.Ranking = append(d.Ranking, juncture.Ranked{Arm: a.ID, Probability: p[k]})
	}
	return arms[i], v, nil
}

// certain ranks the one arm that is served without a draw, nil for none.
func certain(d *juncture.Decision, a *pool.Arm) *pool.Arm {
	if a != nil {
		d.Ranking = []juncture.Ranked{{Arm: a.ID, Probability: 1}}
	}
	return a
}

// narrow keeps the arms that candidates and excludedActions allow; it never adds one.
func (c *call) narrow(arms []*pool.Arm, refused func(pool.Refusal)) []*pool.Arm {
	r := c.r
	if len(r.Candidates) == 0 && len(r.ExcludedActions) == 0 {
		return arms
	}
	for _, id := range r.Candidates {
		if c.surface.Live(id, "") == nil {
			c.warn("candidates: %.80q is not live at this surface; never served", id)
		}
	}
	kept := arms[:0]
	for _, a := range arms {
		switch {
		case len(r.Candidates) > 0 && !slices.Contains(r.Candidates, a.Arm.Action):
			if refused != nil {
				refused(pool.Refusal{Arm: a, Why: "not among the candidates"})
			}
		case slices.Contains(r.ExcludedActions, a.Arm.Action):
			if refused != nil {
				refused(pool.Refusal{Arm: a, Why: "excluded by the call"})
			}
		default:
			kept = append(kept, a)
		}
	}
	return kept
}

func (c *call) answer(d *juncture.Decision, served *pool.Arm, v *vector, x *juncture.Experiment) *juncture.ChooseAnswer {
	a := &juncture.ChooseAnswer{
		DecisionID: c.st.keyring.Sign(d.Claims), Products: []string{}, Probability: d.Probability, Ranking: []juncture.RankedView{},
		Group: d.Group, Reason: d.Reason, ReasonDetail: d.Detail, PolicyVersion: d.Version, Active: !d.Deferred && !d.Ignored,
		RewardUntil: d.Until, Warnings: c.warnings, Explanation: c.explain,
		Intersection: juncture.IntersectionView{Key: d.Intersection.Key(), Tier: d.Intersection.Tier().String(),
			Layers: make(map[string]juncture.LayerView, juncture.LayerCount)},
	}
	if d.Experiment == "" && c.logged {
		a.Group = juncture.GroupNone
	}
	if a.Warnings == nil {
		a.Warnings = []string{}
	}
	for i, view := range c.described.Views {
		a.Intersection.Layers[juncture.Layer(i).String()] = view
	}
	if served != nil {
		a.ActionID = &served.Arm.Action
		a.Action = &juncture.ActionView{ID: served.Arm.Action, Version: served.Arm.ActionVersion, Type: served.Action.Type, Payload: served.Action.Payload}
		if a.Action.Payload == nil {
			a.Action.Payload = map[string]any{}
		}
		w := served.Copy
		a.Copy = &juncture.CopyView{ID: w.ID, Version: served.Arm.CopyVersion, Headline: w.Headline, Body: w.Body, CTA: w.CTA}
	}
	for _, k := range d.Ranking {
		arm := c.st.pool.Arms[k.Arm]
		a.Ranking = append(a.Ranking, juncture.RankedView{ActionID: arm.Arm.Action, CopyID: arm.Arm.Copy, Probability: k.Probability})
	}
	slices.SortStableFunc(a.Ranking, func(p, q juncture.RankedView) int {
		switch {
		case p.Probability > q.Probability:
			return -1
		case p.Probability < q.Probability:
			return 1
		}
		return 0
	})
	if v != nil && served != nil {
		if i := slices.Index(v.arms, served.ID); i >= 0 {
			a.Intersection.OwnEvidence, a.Intersection.Borrowed = v.own[i], v.borrow[i]
		}
		if rungs := d.Intersection.Rungs(); len(rungs) > 1 {
			a.Intersection.BorrowedFrom = rungs[len(rungs)-2].Key()
		} else {
			a.Intersection.BorrowedFrom = "prior"
		}
	}
	return a
}

// identify finds the profile's first-seen id. Both ids together are an alias of the one that is known already, else of
// the one that a decision was logged for first, else of the anonymous one.
func (c *call) identify(ctx context.Context) error {
	r := c.r
	first := func(id string) (string, error) {
		if id == "" {
			return "", nil
		}
		if s, ok := c.e.shoppers.Get(id); ok {
			return s, nil
		}
		merges := c.e.merges.Load()
		s, err := c.e.d.Shoppers.Shopper(ctx, id)
		if err != nil {
			return "", fmt.Errorf("find shopper: %w", err)
		}
		c.e.shoppers.Add(id, s)
		if c.e.merges.Load() != merges { // it may be an alias by now
			c.e.shoppers.Remove(id)
		}
		return s, nil
	}
	known, err := first(r.ShopperID)
	if err != nil {
		return err
	}
	anonymous, err := first(r.AnonymousID)
	if err != nil {
		return err
	}
	switch {
	case r.AnonymousID == "":
		c.shopper = or(known, r.ShopperID)
	case r.ShopperID == "":
		c.shopper = or(anonymous, r.AnonymousID)
	default:
		if c.shopper = or(known, anonymous); c.shopper == "" {
			if c.shopper, err = c.e.d.Shoppers.FirstSeen(ctx, r.ShopperID, r.AnonymousID); err != nil {
				return fmt.Errorf("find shopper: %w", err)
			}
			c.shopper = or(c.shopper, r.AnonymousID)
		}
		if !c.logged {
			return nil
		}
		for id, was := range map[string]string{r.ShopperID: known, r.AnonymousID: anonymous} {
			if was == "" && id != "" {
				c.aliases = append(c.aliases, juncture.Alias{ID: id, Shopper: c.shopper})
			}
		}
	}
	return nil
}

// forgetShoppers makes the next call read committed aliases from the store: of several for one id the first stands.
func (e *Engine) forgetShoppers(aliases []juncture.Alias) {
	if len(aliases) == 0 {
		return
	}
	e.merges.Add(1) // before the removal: whoever read the store earlier sees it, and takes back what they added
	for _, a := range aliases {
		e.shoppers.Remove(a.ID)
	}
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// hash16 hashes length-prefixed parts.
func hash16(parts ...string) (out [16]byte) {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:", len(p))
		h.Write([]byte(p))
	}
	copy(out[:], h.Sum(nil))
	return out
}

// recallRequest returns the answer given before to the same requestId.
func (c *call) recallRequest(ctx context.Context) (*juncture.ChooseAnswer, error) {
	if c.r.RequestID == "" {
		return nil, nil
	}
	body, err := json.Marshal(c.r)
	if err != nil {
		return nil, invalid("", "request cannot be hashed: %w", err)
	}
	c.requestID = &juncture.Memo{ID: hash16("request", c.who.KeyID, c.r.RequestID), Body: hash16(string(body)),
		Expires: c.now.AddDate(0, 0, memoDays).UnixMilli()}
	m, err := c.e.memo(ctx, c.requestID.ID, c.now)
	if m == nil || err != nil {
		return nil, err
	}
	return c.replayed(m)
}

func (c *call) replayed(m *juncture.Memo) (*juncture.ChooseAnswer, error) {
	if m.Body != c.requestID.Body {
		return nil, juncture.Errorf(juncture.CodeDecisionConflict, "requestId %.80q was used for another request", c.r.RequestID).
			WithHint("a requestId names one request for 7 days").WithField("requestId")
	}
	return recalled(m, juncture.DetailReplay)
}

func recalled(m *juncture.Memo, detail juncture.Detail) (*juncture.ChooseAnswer, error) {
	var a juncture.ChooseAnswer
	if err := json.Unmarshal(m.Answer, &a); err != nil {
		return nil, fmt.Errorf("stored answer: %w", err)
	}
	a.ReasonDetail = detail
	return &a, nil
}

// memo finds a memo that has not expired, in memory or the store.
func (e *Engine) memo(ctx context.Context, id [16]byte, now time.Time) (*juncture.Memo, error) {
	m, ok := e.memos.Get(id)
	if !ok {
		var err error
		if m, err = e.d.Shoppers.Memo(ctx, id); err != nil {
			return nil, fmt.Errorf("find earlier answer: %w", err)
		}
		if m != nil {
			e.memos.Add(id, m)
		}
	}
	if m == nil || m.Expires <= now.UnixMilli() {
		return nil, nil
	}
	return m, nil
}

// recallSticky returns the answer given before to this shopper in this session (or window), while its arm may still
// be served.
func (c *call) recallSticky(ctx context.Context, x *juncture.Experiment) (*juncture.ChooseAnswer, error) {
	mode := x.Stickiness
	if mode == "" && (c.surface.Channel == "onsite" || c.surface.Channel == "app") {
		mode = juncture.StickySession
	}
	scope := c.r.SessionID
	switch {
	case !c.logged || c.alone || c.r.Preview != nil:
		return nil, nil
	case mode == juncture.StickySession && scope != "":
	case mode == juncture.StickyWindow:
		scope = ""
	default:
		return nil, nil
	}
	start := "shown" // what waits for its activation is no trial yet: it does not stand in for what is shown at once
	if c.r.DeferActivation {
		start = "deferred"
	}
	c.sticky = &juncture.Memo{ID: hash16("sticky", x.ID, c.shopper, mode, scope, start), Expires: c.now.Add(time.Duration(x.Goal.Window)).UnixMilli()}
	m, err := c.e.memo(ctx, c.sticky.ID, c.now)
	if m == nil || err != nil {
		return nil, err
	}
	a, err := recalled(m, juncture.DetailSticky)
	if err != nil {
		return nil, err
	}
	if !c.stillServed(a, x) {
		c.sticky.Replaces = m.Answer
		return nil, nil
	}
	if c.requestID != nil {
		c.requestID.Answer = m.Answer
	}
	return a, nil
}

// stillServed reports whether a sticky answer's arm is still the live version and eligible for this call.
func (c *call) stillServed(a *juncture.ChooseAnswer, x *juncture.Experiment) bool {
	if a.ActionID == nil {
		return a.Group == juncture.GroupHoldout
	}
	arm := c.surface.Live(a.Action.ID, a.Copy.ID)
	if arm == nil || arm.Arm.ActionVersion != a.Action.Version || arm.Arm.CopyVersion != a.Copy.Version {
		return false
	}
	if a.Group == juncture.GroupBAU {
		return c.surface.Default == arm
	}
	arms := c.narrow(c.surface.Eligible(nil, pool.NewFacts(c.x, c.surface.Channel, c.now, c.context), c.x, nil), nil)
	return slices.Contains(arms, arm)
}

// memorize attaches the answer's memos to the write.
func (c *call) memorize(a *juncture.ChooseAnswer) error {
	if c.requestID == nil && (c.sticky == nil || a.Group == juncture.GroupNone) {
		return nil
	}
	b, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("keep answer: %w", err)
	}
	if c.requestID != nil {
		c.requestID.Answer = b
		c.write.Memos = append(c.write.Memos, *c.requestID)
	}
	if c.sticky != nil && a.Group != juncture.GroupNone {
		c.sticky.Answer = b
		c.write.Memos = append(c.write.Memos, *c.sticky)
	}
	return nil
}

// committed returns what the shopper is told after the commit: the answer, or the earlier one of the same request. retry
// means that an earlier answer of the session was in the way and nothing was written: with that answer known, the call is
// to be decided again.
func (c *call) committed(a *juncture.ChooseAnswer) (_ *juncture.ChooseAnswer, retry bool, _ error) {
	var m *juncture.Memo
	switch {
	case c.write != nil:
		m = c.write.Recalled
	case c.repeat != nil:
		m = c.repeat.Recalled
	}
	if m == nil {
		if c.write != nil {
			for _, memo := range c.write.Memos {
				memo.Replaces = nil // an answer is enough to keep
				c.e.memos.Add(memo.ID, &memo)
			}
		}
		return a, false, nil
	}
	c.e.memos.Add(m.ID, m)
	if c.requestID != nil && m.ID == c.requestID.ID {
		a, err := c.replayed(m)
		return a, false, err
	}
	return nil, true, nil
}

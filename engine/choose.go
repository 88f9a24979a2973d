package engine

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/layers"
	"github.com/juncture/juncture/pool"
)

// Caller is who calls: the key that signed the request.
type Caller struct {
	KeyID string
	Admin bool // may preview
	// Public: the key stands in web pages, where everybody can read it.
	Public bool
	// Agent and Address are of a public call, which the shopper's own browser makes: its User-Agent, and where it comes from.
	Agent   string
	Address netip.Addr
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
			return &call{e: e, st: st, now: now, who: who, r: rs[i], again: round > 1, alone: round > maxRounds}
		})
	}
	return out
}

// chooseRound decides the pending calls, in one commit, and returns those to be decided again: another call of the same
// shopper and session, of this batch or beside it, was quicker.
func (e *Engine) chooseRound(ctx context.Context, out []Result[juncture.ChooseAnswer], pending []int, begin func(i int) *call) (again []int) {
	entry := &juncture.Entry{}
	writes := make([]*call, len(out))
	writing, named := false, false
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
			c.settle(false)
			e.values.Forget(c.described.Fresh)
			continue
		}
		if c.write != nil {
			entry.Decisions = append(entry.Decisions, c.write)
		} else if c.requestID != nil { // sticky: nothing new to decide, but the same answer is to be given under this requestId too
			c.repeat = &juncture.MemoWrite{Memo: *c.requestID, At: c.now}
			entry.Memos = append(entry.Memos, c.repeat)
		} else if len(c.aliases)+len(c.described.Fresh)+len(c.consents) == 0 && c.unite == nil {
			continue
		}
		writes[i], writing = c, true
		entry.Values = append(entry.Values, c.described.Fresh...)
		entry.Aliases = append(entry.Aliases, c.aliases...)
		named = named || c.named
		entry.Consents = append(entry.Consents, c.consents...)
		if c.unite != nil {
			entry.Events = append(entry.Events, c.unite)
		}
	}
	if !writing {
		return nil
	}
	entry.Committed = func() {
		e.forgetShoppers(entry.Aliases)
		if named || len(entry.Consents)+len(entry.Events) > 0 {
			e.forgetEverybody()
		}
	}
	if err := e.d.Ledger.Commit(ctx, entry); err != nil {
		e.values.Forget(entry.Values)
		for i, c := range writes {
			if c != nil {
				c.settle(false)
				out[i] = Result[juncture.ChooseAnswer]{Err: err}
			}
		}
		return nil
	}
	for i, c := range writes {
		if c == nil {
			continue
		}
		var retry bool
		if out[i].Answer, retry, out[i].Err = c.committed(ctx, out[i].Answer); retry {
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
	personal  bool     // may be personalised
	logged    bool     // may be logged with an id and learnt from
	whose     *parties // nil: not looked for yet
	shopper   string
	named     bool // a shopper whose devices were anonymous has a name now
	aliases   []juncture.Alias
	unite     *juncture.EventWrite // nil: no two shoppers to become one
	consents  []*juncture.ConsentWrite
	described layers.Described
	x         juncture.Intersection
	context   map[string]any
	warnings  []string
	nobody    string // why the call is no shopper's: one of the reasons that are counted; "" where it is
	again     bool   // decided before
	alone     bool   // no stickiness: others were quicker too often
	requestID *juncture.Memo
	sticky    *juncture.Memo
	held      []juncture.Enrolment // of the shopper
	enrol     []juncture.Enrolment // what is new
	merges    uint64               // Engine.merges when held was read
	terms     *terms               // of the experiment; nil: none
	write     *juncture.DecisionWrite
	repeat    *juncture.MemoWrite
	claim     *claim // places held at caps; nil: none
	explain   *juncture.ExplanationView
	shadow    *juncture.ShadowView // nil: the experiment is not in shadow
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
	if n := len(r.Candidates); n > MaxCandidates {
		return nil, invalid("candidates", "candidates names %d actions; at most %d", n, MaxCandidates)
	}
	if n := len(r.ExcludedActions); n > MaxCandidates {
		return nil, invalid("excludedActions", "excludedActions names %d actions; at most %d", n, MaxCandidates)
	}
	if err := c.checkContext(); err != nil {
		return nil, err
	}
	c.personal, c.logged = true, true
	if r.Consent != nil {
		for _, f := range [][2]string{{"consent.personalization", r.Consent.Personalization}, {"consent.analytics", r.Consent.Analytics}} {
			if !slices.Contains([]string{"", "granted", "denied", "unknown"}, f[1]) {
				return nil, invalid(f[0], "%s is granted, denied or unknown, not %.40q", f[0], f[1])
			}
		}
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

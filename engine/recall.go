package engine

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/pool"
)

// parties are whose the ids of a call are, and what was said of consent.
type parties struct {
	known, anonymous juncture.Identity
	apart            bool                   // the anonymous id is another person's: their device, or a name of theirs
	both             bool                   // two ids of one shopper
	said             juncture.ConsentRecord // by the call, where its word is kept
	stands           juncture.ConsentRecord // for the call
}

// parties finds them, once a call.
func (c *call) parties(ctx context.Context) (*parties, error) {
	if c.whose != nil {
		return c.whose, nil
	}
	r, p := c.r, &parties{}
	var err error
	if p.known, err = c.e.identity(ctx, r.ShopperID); err != nil {
		return nil, err
	}
	if p.anonymous, err = c.e.identity(ctx, r.AnonymousID); err != nil {
		return nil, err
	}
	two := r.ShopperID != "" && r.AnonymousID != "" && r.ShopperID != r.AnonymousID
	p.apart = two && p.anonymous.Person && p.anonymous.Shopper != p.known.Shopper
	p.both = two && !p.apart
	c.agree(p)
	c.whose = p
	return p, nil
}

// agree settles what may be done with the shopper's data. A denial that stands for any of their ids stands for the call;
// what the call says comes before it, but what a web page says cannot set or lift the consent of somebody known by name
// alone: its denial is of this call, its grant of none.
func (c *call) agree(p *parties) {
	stored := p.known.Consent
	if !p.apart {
		stored = either(stored, p.anonymous.Consent)
	}
	p.stands = stored
	r := c.r.Consent
	if r == nil {
		return
	}
	said := juncture.ConsentRecord{Personalization: answer(r.Personalization), Analytics: answer(r.Analytics), At: c.now}
	if c.hasWord(p) {
		p.said = said
		p.stands = juncture.ConsentRecord{Personalization: or(said.Personalization, stored.Personalization), Analytics: or(said.Analytics, stored.Analytics)}
		return
	}
	if said.Personalization == juncture.ConsentDenied {
		p.stands.Personalization = juncture.ConsentDenied
	}
	if said.Analytics == juncture.ConsentDenied {
		p.stands.Analytics = juncture.ConsentDenied
	}
}

// hasWord reports whether the call may say something of consent that is kept: with a secret key, for an anonymous id or
// one never seen, and from a device that is the shopper's already. Two ids of which nothing is known but one and the same
// denial said it together.
func (c *call) hasWord(p *parties) bool {
	if !c.who.Public || c.r.ShopperID == "" {
		return true
	}
	if p.known.Shopper == "" && !p.known.Consent.Said() {
		return !p.apart
	}
	if !p.both || p.anonymous.Known || p.anonymous.Shopper != p.known.Shopper {
		return false
	}
	return p.known.Shopper != "" || p.known.Consent == p.anonymous.Consent
}

// either is what stands for two ids: of each use the denial of any, else the later answer.
func either(a, b juncture.ConsentRecord) juncture.ConsentRecord {
	out := a.Over(b)
	if a.Personalization == juncture.ConsentDenied || b.Personalization == juncture.ConsentDenied {
		out.Personalization = juncture.ConsentDenied
	}
	if a.Analytics == juncture.ConsentDenied || b.Analytics == juncture.ConsentDenied {
		out.Analytics = juncture.ConsentDenied
	}
	return out
}

// moves reports whether an answer changes what stands in a record.
func moves(said, stored juncture.ConsentRecord) bool {
	now := said.Over(stored)
	return said.Said() && (now.Personalization != stored.Personalization || now.Analytics != stored.Analytics)
}

// denials is what travels of a record.
func denials(r juncture.ConsentRecord) juncture.ConsentRecord {
	if r.Personalization != juncture.ConsentDenied {
		r.Personalization = ""
	}
	if r.Analytics != juncture.ConsentDenied {
		r.Analytics = ""
	}
	return r
}

// identify finds the profile's first-seen id and what the shopper said of consent. Both ids together are an alias of the
// one that is known already, else of the one that a decision was logged for first, else of the anonymous one; two that
// were known as two shoppers become one. An anonymous id of another person passes to the shopper; it unites nobody. What
// one of the ids denied, both deny from now on.
func (c *call) identify(ctx context.Context) error {
	p, err := c.parties(ctx)
	if err != nil {
		return err
	}
	r, known, anonymous := c.r, p.known, p.anonymous
	c.personal = p.stands.Personalization != juncture.ConsentDenied
	c.logged = !p.stands.Denied()
	news := moves(p.said, known.Consent) && r.ShopperID != "" || moves(p.said, anonymous.Consent) && r.AnonymousID != "" && !p.apart
	switch {
	case p.both:
		news = news || moves(denials(known.Consent), anonymous.Consent) || moves(denials(anonymous.Consent), known.Consent)
	case news && r.ShopperID == "":
		c.consents = append(c.consents, &juncture.ConsentWrite{ID: r.AnonymousID, Consent: p.said})
	case news && !p.apart:
		c.consents = append(c.consents, &juncture.ConsentWrite{ID: r.ShopperID, Consent: p.said})
	}
	if p.both && news || p.apart && (news || !anonymous.Known && (c.logged || denials(known.Consent).Said())) {
		c.unite = &juncture.EventWrite{Event: juncture.Event{At: c.now}, UserID: r.ShopperID, AnonymousID: r.AnonymousID,
			Consent: p.said, Received: c.now, Quiet: true}
	}
	if !c.personal {
		return nil
	}
	switch {
	case r.AnonymousID == "" || p.apart:
		c.shopper = or(known.Shopper, r.ShopperID)
		return nil
	case r.ShopperID == "":
		c.shopper = or(anonymous.Shopper, r.AnonymousID)
		return nil
	}
	if c.shopper = or(known.Shopper, anonymous.Shopper); c.shopper == "" {
		if c.shopper, err = c.e.d.Shoppers.FirstSeen(ctx, r.ShopperID, r.AnonymousID); err != nil {
			return fmt.Errorf("find shopper: %w", err)
		}
		c.shopper = or(c.shopper, r.AnonymousID)
	}
	if !c.logged || c.unite != nil {
		return nil
	}
	if known.Shopper != "" && anonymous.Shopper != "" && known.Shopper != anonymous.Shopper {
		c.unite = &juncture.EventWrite{Event: juncture.Event{At: c.now}, UserID: r.ShopperID, AnonymousID: r.AnonymousID, Received: c.now, Quiet: true}
		return nil
	}
	names := r.ShopperID != r.AnonymousID
	if known.Shopper == "" || names && !known.Known {
		c.aliases = append(c.aliases, juncture.Alias{ID: r.ShopperID, Shopper: c.shopper, Known: names})
		c.named = anonymous.Shopper != ""
	}
	if anonymous.Shopper == "" {
		c.aliases = append(c.aliases, juncture.Alias{ID: r.AnonymousID, Shopper: c.shopper})
	}
	return nil
}

// identity is whose an id is, from memory or the store; that of "" is nobody's.
func (e *Engine) identity(ctx context.Context, id string) (juncture.Identity, error) {
	if id == "" {
		return juncture.Identity{}, nil
	}
	if i, ok := e.shoppers.Get(id); ok {
		return i, nil
	}
	merges := e.merges.Load()
	i, err := e.d.Shoppers.Identity(ctx, id)
	if err != nil {
		return i, fmt.Errorf("find shopper: %w", err)
	}
	e.shoppers.Add(id, i)
	if e.merges.Load() != merges { // it may be an alias by now
		e.shoppers.Remove(id)
	}
	return i, nil
}

// shopperOf is the first-seen id behind an id as the store has it, "" where it was never seen.
func (e *Engine) shopperOf(ctx context.Context, id string) (string, error) {
	i, err := e.d.Shoppers.Identity(ctx, id)
	return i.Shopper, err
}

func answer(v string) string {
	if v == juncture.ConsentUnknown {
		return ""
	}
	return v
}

// forgetShoppers makes the next call read committed aliases from the store: of several for one id the first stands.
func (e *Engine) forgetShoppers(aliases []juncture.Alias) {
	if len(aliases) == 0 {
		return
	}
	e.merges.Add(1) // before the removal: whoever read the store earlier sees it, and takes back what they added
	for _, a := range aliases {
		e.shoppers.Remove(a.ID)
		e.caps.forget(a.ID, a.Shopper)
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
	if again, err := c.outdated(ctx, m); again || err != nil {
		return nil, err
	}
	return c.replayed(m)
}

// outdated reports whether an earlier answer must not be given again, since the shopper denied consent after it; its place
// is then taken by the answer to come.
func (c *call) outdated(ctx context.Context, m *juncture.Memo) (bool, error) {
	if m.Body != c.requestID.Body {
		return false, nil
	}
	p, err := c.parties(ctx)
	if err != nil || !p.stands.Denied() {
		return false, err
	}
	var a juncture.ChooseAnswer
	if err := json.Unmarshal(m.Answer, &a); err != nil {
		return false, fmt.Errorf("stored answer: %w", err)
	}
	if a.ReasonDetail == juncture.DetailConsentDenied {
		return false, nil
	}
	c.requestID.Replaces = m.Answer
	return true, nil
}

func (c *call) replayed(m *juncture.Memo) (*juncture.ChooseAnswer, error) {
	if m.Body != c.requestID.Body {
		return nil, juncture.Errorf(juncture.CodeDecisionConflict, "requestId %.80q was used for another request", c.r.RequestID).
			WithHint("a requestId names one request for 7 days").WithField("requestId")
	}
	a, err := c.e.recalled(m, juncture.DetailReplay)
	if err == nil {
		c.stop(a)
	}
	return a, err
}

// stop takes from an earlier answer what a kill switch stops. The decision stays what it was: what still comes for it is
// credited, and once the switch is put back the answer is given whole again.
func (c *call) stop(a *juncture.ChooseAnswer) {
	killed := c.surface.Killed != nil
	if a.ActionID != nil && !killed {
		_, killed = c.st.pool.Declaration.Kills[juncture.KillAction(*a.ActionID)]
	}
	if !killed {
		return
	}
	a.ActionID, a.Action, a.Copy, a.Products, a.Editorial = nil, nil, nil, []juncture.ProductView{}, nil
	a.Reason, a.ReasonDetail = juncture.ReasonDisabled, juncture.DetailKilled
}

func (e *Engine) recalled(m *juncture.Memo, detail juncture.Detail) (*juncture.ChooseAnswer, error) {
	var a juncture.ChooseAnswer
	if err := json.Unmarshal(m.Answer, &a); err != nil {
		return nil, fmt.Errorf("stored answer: %w", err)
	}
	a.ReasonDetail = detail
	e.inStock(&a)
	return &a, nil
}

// forgetEverybody makes the next call of every shopper read the store: profiles became one, or consent changed.
func (e *Engine) forgetEverybody() {
	e.merges.Add(1)
	e.shoppers.Purge()
	e.enrolled.Purge()
	e.caps.forget()
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
	case !c.logged || c.alone || c.r.Preview != nil || c.nobody != "":
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
	if x.Shadow { // out of it everybody is enrolled anew, at a decision of its own
		start += " in shadow"
	}
	c.sticky = &juncture.Memo{ID: hash16("sticky", x.ID, c.shopper, mode, scope, start), Expires: c.now.Add(time.Duration(x.Goal.Window)).UnixMilli()}
	m, err := c.e.memo(ctx, c.sticky.ID, c.now)
	if m == nil || err != nil {
		return nil, err
	}
	a, err := c.e.recalled(m, juncture.DetailSticky)
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
	if len(c.warnings) > 0 {
		a.Warnings = c.warnings
	}
	return a, nil
}

// stillServed reports whether a sticky answer's arm is still the live version and eligible for this call.
func (c *call) stillServed(a *juncture.ChooseAnswer, x *juncture.Experiment) bool {
	if a.ActionID == nil {
		return a.Group == juncture.GroupHoldout || a.Group == juncture.GroupShadow && c.surface.DefaultAt(c.now) == nil
	}
	arm := c.surface.Live(a.Action.ID, a.Copy.ID)
	if arm == nil || arm.Arm.ActionVersion != a.Action.Version || arm.Arm.CopyVersion != a.Copy.Version {
		return false
	}
	if a.Group == juncture.GroupBAU || a.Group == juncture.GroupShadow {
		return c.surface.DefaultAt(c.now) == arm
	}
	if c.tripped(x) {
		return false
	}
	arms := c.narrow(c.surface.Eligible(nil, pool.NewFacts(c.x, c.surface.Channel, c.now, c.context), c.x, nil), nil)
	return slices.Contains(arms, arm) && c.e.stocked(&arm.Action)
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
		lasting := *a // warnings and explanation are of this call alone
		lasting.Warnings, lasting.Explanation = []string{}, nil
		if c.sticky.Answer, err = json.Marshal(lasting); err != nil {
			return fmt.Errorf("keep answer: %w", err)
		}
		c.write.Memos = append(c.write.Memos, *c.sticky)
	}
	return nil
}

// committed returns what the shopper is told after the commit: the answer, or the earlier one of the same request. retry
// means that an earlier answer of the session was in the way and nothing was written: with that answer known, the call is
// to be decided again.
func (c *call) committed(ctx context.Context, a *juncture.ChooseAnswer) (_ *juncture.ChooseAnswer, retry bool, _ error) {
	var m *juncture.Memo
	switch {
	case c.write != nil && c.write.Stale:
		c.e.forgetEverybody()
		return nil, true, nil
	case c.write != nil:
		m = c.write.Recalled
	case c.repeat != nil:
		m = c.repeat.Recalled
	}
	if m == nil {
		if c.write != nil {
			c.e.keep(c.write)
			c.noteEnrolled()
			for _, memo := range c.write.Memos {
				memo.Replaces = nil // an answer is enough to keep
				c.e.memos.Add(memo.ID, &memo)
			}
		}
		return a, false, nil
	}
	c.e.memos.Add(m.ID, m)
	if c.requestID != nil && m.ID == c.requestID.ID {
		if again, err := c.outdated(ctx, m); again || err != nil {
			return nil, err == nil, err
		}
		a, err := c.replayed(m)
		return a, false, err
	}
	return nil, true, nil
}

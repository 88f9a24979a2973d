package engine

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/layers"
	"github.com/juncture/juncture/policy"
	"github.com/juncture/juncture/pool"
)

// decide chooses, fills c.write and builds the answer. A sticky answer leaves c.write nil.
func (c *call) decide(ctx context.Context) (*juncture.ChooseAnswer, error) {
	r := c.r
	if err := c.identify(ctx); err != nil {
		return nil, err
	}
	c.nobody = c.st.nobody(c)
	c.e.saw(c)
	if c.personal {
		derived, err := c.derive(ctx)
		if err != nil {
			return nil, err
		}
		c.described = layers.Compose(c.st.pool.Declaration.Layers, r.Layers, derived, c.e.values, c.trust())
	} else {
		c.described = layers.Compose(nil, nil, nil, c.e.values, layers.TrustNone)
		for i := range c.described.Views {
			c.described.Views[i].Reason = "the shopper denied personalisation"
		}
	}
	c.warnings = append(c.warnings, c.described.Warnings...)
	c.x = c.described.Intersection.Ceiling(c.surface.CeilingTier())
	experiment := c.surface.Experiment(c.now)
	if experiment != nil && c.surface.Killed == nil {
		if a, err := c.recallSticky(ctx, experiment); a != nil || err != nil {
			return a, err
		}
	}
	d := juncture.Decision{
		Claims:  juncture.Claims{At: c.now, Intersection: c.x, Probability: 1, Deferred: r.DeferActivation, Ignored: !c.logged},
		Surface: r.Surface, Shopper: c.shopper, Session: r.SessionID,
	}
	if c.nobody != "" {
		d.Ignored, d.Detail = true, juncture.DetailBot
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
	if served != nil && d.Detail != juncture.DetailBreaker { // that is a trial of no arm
		d.Arm = served.ID
	}
	if d.Detail == "" && c.low() {
		d.Detail = juncture.DetailLowDataQuality
	}
	if d.Serial == 0 {
		d.Serial = c.e.nextSerial(c.now)
	}
	c.write = &juncture.DecisionWrite{Decision: d, SigningKey: c.st.keyring.SignerID(), Enrol: c.enrol}
	c.behind(v)
	a := c.answer(&d, served, v)
	if served != nil {
		err = c.fill(ctx, a, &served.Action)
	}
	return a, err
}

// low reports whether a derived layer under the surface's ceiling is unknown because too little was seen.
func (c *call) low() bool {
	for l, low := range c.described.Low {
		if low && c.personal && int(juncture.Layer(l)) < int(c.surface.CeilingTier()) {
			return true
		}
	}
	return false
}

// trust is how far the call may add values to the request layers.
func (c *call) trust() layers.Trust {
	switch {
	case !c.logged || c.r.Preview != nil || c.nobody != "":
		return layers.TrustNone
	case c.who.Public:
		return layers.TrustHalf
	}
	return layers.TrustAll
}

// derive describes the shopper from what they did, nil where no layer of the store is derived.
func (c *call) derive(ctx context.Context) (*layers.Described, error) {
	if c.e.d.Profiles == nil || !c.st.derives {
		return nil, nil
	}
	d, err := c.e.d.Profiles.Describe(ctx, c.shopper, c.now, c.st.layers, c.e.d.Learned.knowledge())
	return &d, err
}

// draw fills the decision's group, probability and ranking and returns the arm to serve, nil for none.
func (c *call) draw(ctx context.Context, d *juncture.Decision, x *juncture.Experiment) (*pool.Arm, *vector, error) {
	r := c.r
	if c.surface.Killed != nil {
		d.Reason = juncture.ReasonDisabled
		if c.logged { // else what was denied is the detail
			d.Detail = juncture.DetailKilled
		}
		c.requestID = nil // nothing is no promise: once the switch is put back the same request is decided
		return nil, nil, nil
	}
	if r.Preview != nil {
		d.Ignored, d.Reason, d.Detail = true, juncture.ReasonStatic, juncture.DetailPreview
		if a := c.surface.Live(r.Preview.ActionID, ""); a != nil {
			return certain(d, a), nil, nil
		}
		c.warn("preview.actionId: %.80q is not live at this surface", r.Preview.ActionID)
		d.Reason = juncture.ReasonDefault
		return certain(d, c.surface.DefaultAt(c.now)), nil, nil
	}
	if x == nil {
		d.Reason = juncture.ReasonStatic
		if c.surface.DefaultAt(c.now) == nil {
			d.Reason = juncture.ReasonDefault
		}
		return certain(d, c.surface.DefaultAt(c.now)), nil, nil
	}
	at := place{experiment: x.ID, in: true} // without consent, or no shopper: nobody's trial, served by the policy, never learnt from
	if !d.Ignored {
		var err error
		if at, err = c.place(ctx, x); err != nil {
			return nil, nil, err
		}
	}
	d.Group, d.Share = at.group, at.share
	facts := pool.NewFacts(c.x, c.surface.Channel, c.now, c.context)
	refused := func(f pool.Refusal) {
		if f.Broken {
			c.e.stats.RuleFailures.Add(1)
		}
		d.Refused = append(d.Refused, juncture.Refused{Arm: f.Arm.ID, Why: f.Why[:min(len(f.Why), juncture.MaxRefusal)]})
	}
	if r.Explain {
		c.explain = &juncture.ExplanationView{Filtered: []juncture.FilteredView{}, Floor: x.FloorMass(), Policy: cmp.Or(x.Policy, juncture.PolicyPooled), Share: d.Share}
		count := refused
		refused = func(f pool.Refusal) {
			count(f)
			c.explain.Filtered = append(c.explain.Filtered, juncture.FilteredView{ActionID: f.Arm.Arm.Action, CopyID: f.Arm.Arm.Copy, Why: f.Why})
		}
	}
	arms := c.stock(c.narrow(c.surface.Eligible(nil, facts, c.x, refused), refused), refused)
	open := len(arms)
	arms, err := c.reserve(ctx, arms, refused)
	if err != nil {
		return nil, nil, err
	}
	if len(arms) == 0 {
		// Randomised only with something to randomise over: not in the experiment this time.
		d.Group, d.Share, d.Reason, d.Detail = juncture.GroupNone, 0, juncture.ReasonDefault, cmp.Or(d.Detail, juncture.DetailEmptyPool)
		if open > 0 {
			d.Detail = juncture.DetailCap
		}
		return certain(d, c.surface.DefaultAt(c.now)), nil, nil
	}
	d.Serial = c.e.nextSerial(c.now)
	if err := c.enrolled(ctx, at, d.Serial); err != nil {
		return nil, nil, err
	}
	if !at.in {
		d.Reason = juncture.ReasonDisabled
		return certain(d, c.surface.DefaultAt(c.now)), nil, nil
	}
	c.terms = c.st.terms[x.ID]
	d.Experiment, d.Terms = at.experiment, c.terms.hash
	switch d.Group {
	case juncture.GroupHoldout:
		d.Reason, d.Detail = juncture.ReasonSplit, juncture.DetailHoldout
		return nil, nil, nil
	case juncture.GroupBAU:
		d.Reason = juncture.ReasonSplit
		if c.surface.DefaultAt(c.now) == nil {
			d.Reason = juncture.ReasonDefault
		}
		return certain(d, c.surface.DefaultAt(c.now)), nil, nil
	}
	if c.tripped(x) {
		return c.fallBack(d), nil, nil
	}
	v, err := c.e.vector(ctx, c.st, x, c.x, arms, c.now)
	if err != nil {
		return nil, nil, err
	}
	p := v.p
	if at.drawn == juncture.GroupRandom {
		p = make([]float64, len(arms))
		for i := range p {
			p[i] = 1 / float64(len(p))
		}
		d.Policy = v.p
	}
	i := policy.Pick(p, c.e.uniform(d.Serial))
	d.Reason, d.Probability, d.Version = juncture.ReasonSplit, p[i], v.version
	if len(arms) == 1 {
		d.Reason = juncture.ReasonTargeting
	}
	for k, a := range arms {
		d.Ranking = append(d.Ranking, juncture.Ranked{Arm: a.ID, Probability: p[k]})
	}
	if x.Shadow {
		return c.overshadow(d, arms[i]), v, nil
	}
	return arms[i], v, nil
}

// overshadow serves the surface's default and keeps what was drawn beside it. The ranking stays the draw's.
func (c *call) overshadow(d *juncture.Decision, drawn *pool.Arm) *pool.Arm {
	c.shadow = &juncture.ShadowView{ActionID: drawn.Arm.Action, CopyID: drawn.Arm.Copy, Probability: d.Probability}
	d.Shadow, d.Probability, d.Reason = drawn.ID, 1, juncture.ReasonSplit
	if c.surface.DefaultAt(c.now) == nil {
		d.Reason = juncture.ReasonDefault
	}
	if d.Detail == "" {
		d.Detail = juncture.DetailShadow
	}
	return c.surface.DefaultAt(c.now)
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

// answer words a decision for the caller.
func (c *call) answer(d *juncture.Decision, served *pool.Arm, v *vector) *juncture.ChooseAnswer {
	a := &juncture.ChooseAnswer{
		DecisionID: c.st.keyring.Sign(d.Claims), Products: []juncture.ProductView{}, Probability: d.Probability, Ranking: []juncture.RankedView{},
		Group: d.Group, Reason: d.Reason, ReasonDetail: d.Detail, PolicyVersion: d.Version, Active: !d.Deferred && !d.Ignored,
		RewardUntil: d.Until, Shadow: c.shadow, Warnings: c.warnings, Explanation: c.explain,
		Intersection: juncture.IntersectionView{Key: d.Intersection.Key(), Tier: d.Intersection.Tier().String(),
			Layers: make(map[string]juncture.LayerView, juncture.LayerCount)},
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
	slices.SortStableFunc(a.Ranking, func(p, q juncture.RankedView) int { return cmp.Compare(q.Probability, p.Probability) })
	if v != nil && v.nudged != 0 && c.explain != nil {
		c.explainNudges(d, v)
	}
	if v != nil && v.from != nil && served != nil && c.explain != nil {
		var err error
		if c.explain.Effects, c.explain.Sentence, err = v.from.explain(d.Intersection, served.ID); err != nil {
			c.e.stats.PolicyFailures.Add(1)
		}
	}
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

// explainNudges says which nudges hold and what they cost: Σ (p before − p) × what each arm is believed to bring (C.3).
func (c *call) explainNudges(d *juncture.Decision, v *vector) {
	x := c.st.pool.Experiments[d.Experiment]
	for i, n := range x.Nudges {
		if v.nudged&(1<<i) != 0 && slices.ContainsFunc(v.arms, func(id juncture.ArmID) bool { return c.st.pool.Arms[id].Arm.Action == n.Action }) {
			c.explain.Nudges = append(c.explain.Nudges, n.View())
		}
	}
	if v.from == nil || len(c.explain.Nudges) == 0 {
		return
	}
	out, err := v.from.ReadOver([]juncture.Intersection{d.Intersection}, []float64{1}, v.arms)
	if err != nil {
		c.e.stats.PolicyFailures.Add(1)
		return
	}
	goal, cost := c.st.pool.Outcomes[x.Goal.Main()], 0.0
	value := len(x.Goal.Weights) > 0 || goal.Type == juncture.OutcomeMoney && x.Goal.Measure != juncture.MeasureRate
	for i, a := range out.Arms {
		worth := a.Mean
		if value {
			worth = a.Value
		}
		cost += (v.before[i] - v.p[i]) * worth
	}
	c.explain.NudgeCost = &cost
}

package engine

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/layers"
	"github.com/juncture/juncture/layers/catalogue"
	"github.com/juncture/juncture/pool"
)

// mostCategories bounds the categories of a profile's view.
const mostCategories = 20

// Profile describes a shopper to people and programs. id is any of the shopper's. The error is CodeNotFound where
// nothing was ever observed of them.
func (e *Engine) Profile(ctx context.Context, id string, now time.Time) (*juncture.ProfileView, error) {
	st, err := e.state(ctx)
	if err != nil {
		return nil, err
	}
	who, err := e.d.Shoppers.Identity(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("find shopper: %w", err)
	}
	p, ok, err := e.d.Profiles.Profile(ctx, or(who.Shopper, id))
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, juncture.Errorf(juncture.CodeNotFound, "nothing was observed of %.80q", id).WithHint("events come in at /v1/batch")
	}
	customer, err := e.d.Shoppers.CustomerID(ctx, p.Shopper)
	if err != nil {
		return nil, fmt.Errorf("find customer: %w", err)
	}
	described := layers.Describe(&p, now, st.layers, e.d.Learned.knowledge())
	d := layers.Compose(st.pool.Declaration.Layers, nil, &described, e.values, layers.TrustNone)
	m := &p.Head.Moment
	count := m.Orders()
	currency := st.pool.Declaration.Store.Currency
	unit := math.Pow10(juncture.MinorDigits(currency))
	v := &juncture.ProfileView{CustomerID: or(customer, p.Shopper), ShopperID: p.Shopper, Currency: currency, LifetimeValue: float64(m.LifetimeValue()) / unit, PurchaseCount: int64(count),
		FirstSeen: p.FirstSeen(), LastEngagement: p.LastSeen(), ProductCategories: categories(&p, e.d.Learned.products()), Segment: d.Intersection.Key(),
		Layers: make(map[string]juncture.LayerView, juncture.LayerCount), Posture: string(layers.Posture(&p, now)),
		NextBestActions: []juncture.NextBestAction{}, Consent: consentWord(who.Consent)}
	if last, ok := m.LastOrder(); ok {
		v.LastPurchase = &last
	}
	if count > 0 {
		v.AverageOrderValue = v.LifetimeValue / float64(count)
	}
	if risk, ok := layers.ChurnRisk(&p, now, st.layers); ok {
		v.PredictedChurnRisk = &risk
	}
	if p, ok := e.d.Learned.purchase(&p, now); ok {
		v.PurchasePropensity = &p
	}
	for i, view := range d.Views {
		v.Layers[juncture.Layer(i).String()] = view
	}
	return v, e.nextBest(ctx, st, v, d.Intersection, now)
}

// consentWord is a record in one word: denied where either use is.
func consentWord(c juncture.ConsentRecord) string {
	switch {
	case c.Denied():
		return juncture.ConsentDenied
	case c.Said():
		return juncture.ConsentGranted
	}
	return juncture.ConsentUnknown
}

// categories of the latest events, most often seen first: the catalogue's where it knows the product. What is about a
// sensitive trait is left out.
func categories(p *layers.Profile, index *catalogue.Index) []string {
	seen := map[string]int{}
	out := []string{}
	for i := range p.Ring {
		r := &p.Ring[i]
		named := []string{r.Category}
		for _, l := range r.Lines {
			if index != nil && index.Sealed(catalogue.KeyOf(l.Product)) {
				named = slices.DeleteFunc(named, func(c string) bool { return c == l.Category })
				continue
			}
			c := l.Category
			if index != nil {
				if known, ok := index.Get(l.Product); ok && known.Category != "" {
					named = slices.DeleteFunc(named, func(n string) bool { return n == c }) // the event's word for it
					c = strings.ToLower(known.Category)
				}
			}
			if !slices.Contains(named, c) {
				named = append(named, c)
			}
		}
		for _, c := range named {
			if c == "" || juncture.Withheld(c) {
				continue
			}
			if seen[c]++; seen[c] == 1 {
				out = append(out, c)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b string) int { return seen[b] - seen[a] })
	return out[:min(len(out), mostCategories)]
}

// nextBest names, for each running experiment, the action that the policy would most probably show the shopper now.
func (e *Engine) nextBest(ctx context.Context, st *state, v *juncture.ProfileView, x juncture.Intersection, now time.Time) error {
	for _, declared := range st.pool.Declaration.Surfaces {
		at := st.pool.Surfaces[declared.ID]
		experiment := at.Experiment(now)
		if experiment == nil {
			continue
		}
		here := x.Ceiling(at.CeilingTier())
		arms := at.Eligible(nil, pool.NewFacts(here, at.Channel, now, nil), here, func(pool.Refusal) {})
		arms = slices.DeleteFunc(arms, func(a *pool.Arm) bool { return !e.stocked(&a.Action) })
		if len(arms) == 0 {
			continue
		}
		vector, err := e.vector(ctx, st, experiment, here, arms, now)
		if err != nil {
			return err
		}
		byAction, best := map[string]float64{}, ""
		for i, a := range arms {
			byAction[a.Arm.Action] += vector.p[i]
			if best == "" || byAction[a.Arm.Action] > byAction[best] {
				best = a.Arm.Action
			}
		}
		v.NextBestActions = append(v.NextBestActions, juncture.NextBestAction{Surface: declared.ID, ActionID: best, Probability: min(1, byAction[best])})
	}
	if len(v.NextBestActions) > 0 {
		v.NextBestAction = &v.NextBestActions[0].ActionID
	}
	return nil
}

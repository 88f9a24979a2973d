package engine

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/layers/catalogue"
	"github.com/juncture/juncture/pool"
)

// Context keys that say what page asks: its product is taken as viewed and not recommended, its category as the focus.
const (
	contextProduct  = "productId"
	contextCategory = "category"
)

// writtenFor is how many of a shopper's nearest clusters a piece may be written for.
const writtenFor = 3

// stocked reports whether an action has something to show in its slots: of the products that it names one that may be
// sold, of the others any product at all.
func (e *Engine) stocked(a *juncture.Action) bool {
	if a.Slots == 0 {
		return true
	}
	index := e.d.Learned.products()
	if index == nil {
		return false
	}
	if len(a.Products) == 0 {
		return index.Len() > 0
	}
	return slices.ContainsFunc(a.Products, func(id string) bool { p, _ := index.Get(id); return catalogue.Available(p) })
}

// products is the index of a Learned that may be nil.
func (l *Learned) products() *catalogue.Index {
	if l == nil {
		return nil
	}
	return l.index
}

// stock keeps the arms that have something to show.
func (c *call) stock(arms []*pool.Arm, refused func(pool.Refusal)) []*pool.Arm {
	kept := arms[:0]
	for _, a := range arms {
		if c.e.stocked(&a.Action) {
			kept = append(kept, a)
		} else if refused != nil {
			refused(pool.Refusal{Arm: a, Why: "nothing in stock for its slots"})
		}
	}
	return kept
}

// fill puts products and pieces into the slots of the action served.
func (c *call) fill(ctx context.Context, a *juncture.ChooseAnswer, action *juncture.Action) error {
	l := c.e.d.Learned
	if l == nil || action.Slots == 0 && action.Editorial == 0 {
		return nil
	}
	r := catalogue.Request{Now: c.now, Priorities: c.st.pool.Priorities}
	if c.personal && c.e.d.Profiles != nil {
		p, err := c.e.d.Profiles.interests(ctx, c.shopper, l.knowledge(), c.st.layers)
		if err != nil {
			return err
		}
		r.Shopper, r.Clusters, r.Near = &p.goods, p.shares, p.near
	}
	if focus := c.described.Intersection[juncture.Catalogue]; juncture.Known(focus) {
		r.Category = focus
	}
	if v, ok := c.context[contextCategory].(string); ok && v != "" {
		r.Category = v
	}
	r.Product, _ = c.context[contextProduct].(string)
	if action.Editorial > 0 {
		for _, e := range catalogue.PickEditorial(c.st.pool.Declaration.Editorial, action.Editorial, catalogue.Slug(r.Category), r.Clusters[:min(len(r.Clusters), writtenFor)], c.now) {
			a.Editorial = append(a.Editorial, juncture.EditorialView{ID: e.ID, Title: e.Title, URL: e.URL, Image: e.Image})
		}
	}
	for _, id := range action.Products {
		if p, ok := l.index.Get(id); ok && catalogue.Available(p) && id != r.Product && len(a.Products) < action.Slots {
			a.Products = append(a.Products, productView(p, c.st.currency()))
			r.Exclude = append(r.Exclude, id)
		}
	}
	shelf := l.Shelf()
	if shelf == nil || len(a.Products) >= action.Slots {
		return nil
	}
	for _, s := range action.From {
		r.Only = append(r.Only, catalogue.Source(s))
	}
	for _, pick := range shelf.Fill(action.Slots-len(a.Products), r) {
		p, ok := l.index.Get(pick.ID)
		if !ok || !catalogue.Available(p) {
			continue
		}
		v := productView(p, c.st.currency())
		v.Source, v.Why, v.Priority = string(pick.Source), pick.Why, pick.Priority
		a.Products = append(a.Products, v)
	}
	return nil
}

func productView(p *juncture.Product, currency string) juncture.ProductView {
	unit := math.Pow10(juncture.MinorDigits(currency))
	return juncture.ProductView{ID: p.ID, Title: p.Title, Category: p.Category, Price: float64(p.Price) / unit, Compare: float64(p.Compare) / unit,
		Currency: currency, URL: p.URL, Image: p.Image, Source: "action", Why: "chosen with the action"}
}

// inStock drops the products of an earlier answer that may no longer be sold.
func (e *Engine) inStock(a *juncture.ChooseAnswer) {
	if index := e.d.Learned.products(); index != nil {
		a.Products = slices.DeleteFunc(a.Products, func(v juncture.ProductView) bool { p, _ := index.Get(v.ID); return !catalogue.Available(p) })
	}
}

// mostListed bounds the lists of Catalogue.
const mostListed = 200

// Catalogue tells what can be surfaced now.
func (e *Engine) Catalogue(ctx context.Context, now time.Time) (juncture.CatalogueView, error) {
	v := juncture.CatalogueView{Categories: []juncture.CategoryView{}, Trending: []juncture.ProductView{}, CrossSells: []juncture.CrossSell{}, Priorities: []juncture.Priority{}, Editorial: []juncture.Editorial{}}
	st, err := e.state(ctx)
	if err != nil || e.d.Learned == nil {
		return v, err
	}
	index, shelf := e.d.Learned.index, e.d.Learned.Shelf()
	for _, p := range index.All() {
		v.Products++
		if catalogue.Available(p) {
			v.Sellable++
		}
	}
	for name, n := range index.Categories() {
		if value := catalogue.Slug(name); value != "" {
			v.Categories = append(v.Categories, juncture.CategoryView{Value: value, Name: name, Products: n})
		}
	}
	slices.SortFunc(v.Categories, func(a, b juncture.CategoryView) int {
		return cmp.Or(cmp.Compare(b.Products, a.Products), cmp.Compare(a.Name, b.Name))
	})
	v.Categories = v.Categories[:min(len(v.Categories), mostListed)]
	for _, p := range st.pool.Priorities {
		if p.Live(now) {
			v.Priorities = append(v.Priorities, p)
		}
	}
	for _, p := range st.pool.Declaration.Editorial {
		if p.Expires == nil || now.Before(*p.Expires) {
			v.Editorial = append(v.Editorial, p)
		}
	}
	if shelf == nil {
		return v, nil
	}
	at := shelf.At()
	v.AsOf = &at
	for _, pick := range shelf.Fill(20, catalogue.Request{Now: now, Only: []catalogue.Source{catalogue.FromStore}, Priorities: st.pool.Priorities}) {
		if p, ok := index.Get(pick.ID); ok {
			view := productView(p, st.currency())
			view.Source, view.Why, view.Priority = string(pick.Source), pick.Why, pick.Priority
			v.Trending = append(v.Trending, view)
		}
	}
	for _, c := range shelf.CrossSells(mostListed) {
		v.CrossSells = append(v.CrossSells, juncture.CrossSell{Product: c.Product, With: c.With, Orders: c.Weight, Lift: c.Lift})
	}
	return v, nil
}

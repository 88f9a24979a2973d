package engine

import (
	"cmp"
	"context"
	"math"
	"slices"

	"github.com/juncture/juncture"
)

// Products lists products of the catalogue in the order of their ids. The error is CodeInvalidRequest.
func (e *Engine) Products(ctx context.Context, q juncture.ProductQuery) (juncture.ProductsView, error) {
	v := juncture.ProductsView{Items: []juncture.ProductItem{}}
	if err := q.Check(); err != nil {
		return v, err
	}
	st, err := e.state(ctx)
	index := e.d.Learned.products()
	if err != nil || index == nil {
		return v, err
	}
	var found []*juncture.Product
	for _, p := range index.All() {
		if q.Match(p) {
			found = append(found, p)
		}
	}
	slices.SortFunc(found, func(a, b *juncture.Product) int { return cmp.Compare(a.ID, b.ID) })
	v.Total = len(found)
	currency := st.currency()
	unit := math.Pow10(juncture.MinorDigits(currency))
	from := min(q.Offset, len(found))
	for _, p := range found[from:min(from+cmp.Or(q.Limit, 100), len(found))] {
		v.Items = append(v.Items, juncture.ProductItem{ID: p.ID, Title: p.Title, Category: p.Category, Brand: p.Brand, Price: float64(p.Price) / unit, Compare: float64(p.Compare) / unit,
			Currency: currency, Stock: p.Stock, Hidden: p.Hidden, URL: p.URL, Image: p.Image})
	}
	return v, nil
}

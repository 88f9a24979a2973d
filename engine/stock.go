package engine

import (
	"context"
	"math"
	"time"

	"github.com/juncture/juncture"
)

// ChangeProducts changes stock, price or visibility of products that the store has, and has calls know it at once. An
// error per change says why it was refused: CodeNotFound, CodeInvalidRequest; the others are made.
func (e *Engine) ChangeProducts(ctx context.Context, now time.Time, changes []juncture.ProductChange) ([]error, error) {
	st, err := e.state(ctx)
	if err != nil {
		return nil, err
	}
	unit := math.Pow10(juncture.MinorDigits(st.currency()))
	out := make([]error, len(changes))
	byID := map[string]*juncture.Product{} // several changes of one product add up
	var order []string
	for i, c := range changes {
		p := byID[c.ID]
		if p == nil {
			known, ok := e.d.Learned.index.Get(c.ID)
			if !ok {
				out[i] = juncture.Errorf(juncture.CodeNotFound, "no product %.80q", c.ID).WithField("id")
				continue
			}
			copied := *known
			p = &copied
		}
		switch {
		case c.Stock != nil && *c.Stock < -1:
			out[i] = invalid("stock", "stock is 0 or more, or -1 where it is not tracked")
		case c.Price != nil && !(*c.Price >= 0 && *c.Price <= juncture.DefaultBound):
			out[i] = invalid("price", "price is 0 to %d", juncture.DefaultBound)
		}
		if out[i] != nil {
			continue
		}
		if c.Stock != nil {
			p.Stock = *c.Stock
		}
		if c.Price != nil {
			p.Price = int64(math.Round(*c.Price * unit))
		}
		if c.Hidden != nil {
			p.Hidden = *c.Hidden
		}
		if byID[c.ID] == nil {
			byID[c.ID] = p
			order = append(order, c.ID)
		}
	}
	products := make([]juncture.Product, 0, len(order))
	for _, id := range order {
		products = append(products, *byID[id])
	}
	if len(products) > 0 {
		_, err = e.PutProducts(ctx, now, products)
	}
	return out, err
}

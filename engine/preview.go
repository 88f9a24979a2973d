package engine

import (
	"context"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/layers"
)

// ShownTo returns what an action, whichever version, would show a shopper in its slots now. Nothing is logged. An empty id
// is nobody, of whom nothing is known.
func (e *Engine) ShownTo(ctx context.Context, now time.Time, id string, action juncture.Action) ([]juncture.ProductView, []juncture.EditorialView, error) {
	st, err := e.state(ctx)
	if err != nil {
		return nil, nil, err
	}
	return e.shownTo(ctx, st, now, id, action)
}

func (e *Engine) shownTo(ctx context.Context, st *state, now time.Time, id string, action juncture.Action) ([]juncture.ProductView, []juncture.EditorialView, error) {
	c := &call{e: e, st: st, now: now, r: &juncture.ChooseRequest{}}
	who, err := e.identity(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	if id != "" && !who.Consent.Denied() {
		c.personal, c.shopper = true, or(who.Shopper, id)
		derived, err := c.derive(ctx)
		if err != nil {
			return nil, nil, err
		}
		c.described = layers.Compose(st.pool.Declaration.Layers, nil, derived, e.values, layers.TrustNone)
	}
	a := &juncture.ChooseAnswer{}
	err = c.fill(ctx, a, &action)
	return a.Products, a.Editorial, err
}

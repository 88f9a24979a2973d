package catalogue

import (
	"slices"
	"time"

	"github.com/juncture/juncture"
)

// Priority is a merchandiser's wish: products, or whole categories, to be shown more for a while.
type Priority struct {
	ID       string
	Owner    string // who answers for it
	Why      string // "new drop", "overstock", "margin push"
	Products []string
	Category string    // as the store writes it, or its slug
	Weight   float64   // in (0,1]: the part of Settings.Nudge it may use
	Start    time.Time // zero: at once
	Expiry   time.Time // exclusive; required: a priority without one is not applied
}

// live reports whether the priority holds now.
func (p *Priority) live(now time.Time) bool {
	return p.Weight > 0 && !now.Before(p.Start) && now.Before(p.Expiry)
}

// covers reports whether the priority is about a product.
func (p *Priority) covers(id string, product *juncture.Product) bool {
	return p.Category != "" && product != nil && Slug(p.Category) == Slug(product.Category) || slices.Contains(p.Products, id)
}

package catalogue

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/juncture/juncture"
)

// Index holds a store's products as they are now. It is safe for concurrent use; what it returns must not be changed.
type Index struct {
	most int

	mu         sync.RWMutex
	products   map[string]*juncture.Product
	byKey      map[Key]string
	categories map[string]int // products in each
	slugs      map[string]int // products in the categories of each slug
	sealed     map[Key]bool   // products about a sensitive trait
}

// MaxProducts is the default bound of an index.
const MaxProducts = 200_000

// NewIndex returns an empty index that takes at most so many products; 0 is MaxProducts.
func NewIndex(most int) *Index {
	if most <= 0 {
		most = MaxProducts
	}
	return &Index{most: most, products: map[string]*juncture.Product{}, byKey: map[Key]string{}, categories: map[string]int{},
		slugs: map[string]int{}, sealed: map[Key]bool{}}
}

// Put adds products or replaces those of the same id. Over the bound, new ones are left out and counted in the error;
// the others are put all the same.
func (x *Index) Put(products ...juncture.Product) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	over := 0
	for _, p := range products {
		was, known := x.products[p.ID]
		if !known && len(x.products) >= x.most {
			over++
			continue
		}
		if known {
			x.leave(was.Category)
		}
		k := KeyOf(p.ID)
		x.products[p.ID] = &p
		x.byKey[k] = p.ID
		x.categories[p.Category]++
		x.slugs[Slug(p.Category)]++
		if p.Sealed() {
			x.sealed[k] = true
		} else {
			delete(x.sealed, k)
		}
	}
	if over > 0 {
		return fmt.Errorf("catalogue: %d products left out: the index is full at %d", over, x.most)
	}
	return nil
}

func (x *Index) leave(category string) {
	if x.categories[category]--; x.categories[category] <= 0 {
		delete(x.categories, category)
	}
	slug := Slug(category)
	if x.slugs[slug]--; x.slugs[slug] <= 0 {
		delete(x.slugs, slug)
	}
}

// Remove takes products out.
func (x *Index) Remove(ids ...string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, id := range ids {
		if p, ok := x.products[id]; ok {
			x.leave(p.Category)
			delete(x.products, id)
			delete(x.byKey, KeyOf(id))
			delete(x.sealed, KeyOf(id))
		}
	}
}

// SetStock sets a product's units, -1 for not tracked; false where there is no such product.
func (x *Index) SetStock(id string, units int64) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	p, ok := x.products[id]
	if ok {
		next := *p // readers may hold the old one
		next.Stock = units
		x.products[id] = &next
	}
	return ok
}

// Get returns a product.
func (x *Index) Get(id string) (*juncture.Product, bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	p, ok := x.products[id]
	return p, ok
}

// ByKey returns the product of a key.
func (x *Index) ByKey(k Key) (*juncture.Product, bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	p, ok := x.products[x.byKey[k]]
	return p, ok
}

// Sealed reports whether a product is about a sensitive trait (juncture.Product.Sealed), so that it says nothing of who
// looks at it. Products that the index does not know are not.
func (x *Index) Sealed(k Key) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.sealed[k]
}

// Sells reports whether there is a product, in stock or not, in a category of the same layer value.
func (x *Index) Sells(category string) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.categories[category] > 0 {
		return true
	}
	slug := Slug(category)
	return slug != "" && x.slugs[slug] > 0
}

// Available reports whether a product may be surfaced: known, not hidden, not out of stock.
func Available(p *juncture.Product) bool { return p != nil && !p.Hidden && p.Stock != 0 }

// Len returns the number of products.
func (x *Index) Len() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.products)
}

// Categories returns the categories with the number of their products.
func (x *Index) Categories() map[string]int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return maps.Clone(x.categories)
}

// All returns the products in order of id, as they were at one moment.
func (x *Index) All() []*juncture.Product {
	x.mu.RLock()
	out := slices.Collect(maps.Values(x.products))
	x.mu.RUnlock()
	slices.SortFunc(out, func(a, b *juncture.Product) int {
		switch {
		case a.ID < b.ID:
			return -1
		case a.ID > b.ID:
			return 1
		}
		return 0
	})
	return out
}

package meaning

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/juncture/juncture"
)

// Touch is a product, or a category alone, that a shopper showed a taste for.
type Touch struct {
	Product  uint64  // the catalogue's key of it; 0 for none
	Category string  // counts where the product is not in the catalogue
	Weight   float64 // how much it says, in product views
	At       int64   // Unix milliseconds
}

// Taste is what a shopper's touches add up to in a space: for each attribute the sum over the touches of what has it of
//
//	Weight * (share * idf)^2 / (attributes of that kind on the product) * 2^(-age / HalfLife)
//
// It is a function of the touches, the catalogue and the space as they are now: learning again, with another catalogue,
// needs no event to be folded again. The zero value is no taste.
type Taste struct {
	Vector   Vector
	Touches  int     // that say something
	Evidence float64 // sum of their weights, in product views, decayed to At
	At       int64   // the latest touch, Unix milliseconds
}

// Vector is a taste of length 1: the square roots of its weights, so that the tenth shirt says less than the first. Empty
// when the shopper has none of the space's attributes.
type Vector struct {
	Dims   []int32 // ascending
	Values []float32
}

// feature is what a product adds to one dimension of a taste.
type feature struct {
	dim    int32
	weight float32
}

const maxFeatures = 64 // of one product; a product with more loses the last of them

// features appends to dst what a product adds to a taste.
func (s *Space) features(p *juncture.Product, dst []feature) []feature {
	if p.Sealed() {
		return dst
	}
	var counts [KindWord + 1]float32
	start := len(dst)
	var kinds [maxFeatures]Kind
	add := func(kind Kind, key uint64) {
		d, ok := s.dims[key]
		n := len(dst) - start
		if !ok || n >= maxFeatures || slices.ContainsFunc(dst[start:], func(f feature) bool { return f.dim == d }) {
			return
		}
		kinds[n] = kind
		counts[kind]++
		dst = append(dst, feature{d, s.gains[d]})
	}
	visit(p, func(kind Kind, name, value string) { add(kind, keyOf(kind, name, value)) })
	if b := s.band(p.Price); b != "" {
		add(KindPrice, keyOf(KindPrice, "", b))
	}
	words(p.Title, func(_, stem []byte) { add(KindWord, keyOf(KindWord, "", string(stem))) })
	for i := range dst[start:] {
		dst[start+i].weight /= counts[kinds[i]]
	}
	return dst
}

// Goods are a store's products as a space sees them. What one adds to a taste is worked out when it is first asked for,
// and kept; after a product has changed, ask new Goods. Safe for concurrent use.
type Goods struct {
	space  *Space
	lookup func(key uint64) (*juncture.Product, bool)
	most   int

	mu         sync.RWMutex
	products   map[uint64][]feature
	categories map[string][]feature
	scratch    sync.Pool // of *sums
}

// MaxGoods is the default bound of the products, and of the categories, whose features are kept.
const MaxGoods = 200_000

// NewGoods returns the goods of a space, their products looked up by the catalogue's key. At most so many are kept, 0 is
// MaxGoods.
func NewGoods(space *Space, lookup func(key uint64) (*juncture.Product, bool), most int) *Goods {
	g := &Goods{space: space, lookup: lookup, most: cmp.Or(max(most, 0), MaxGoods), products: map[uint64][]feature{}, categories: map[string][]feature{}}
	g.scratch.New = func() any { return &sums{of: make([]float32, space.Dim())} }
	return g
}

// Space returns the space that the goods are seen in.
func (g *Goods) Space() *Space { return g.space }

// kept returns what a touch adds, if that has been worked out; the lock is held for reading.
func (g *Goods) kept(t *Touch) (fs []feature, ok bool) {
	if t.Product != 0 {
		if fs, ok = g.products[t.Product]; ok {
			return fs, true
		}
	}
	if t.Product != 0 || t.Category == "" {
		return nil, false
	}
	fs, ok = g.categories[t.Category]
	return fs, ok
}

// work works out what a touch adds, and keeps it while there is room; nil for nothing.
func (g *Goods) work(t *Touch) []feature {
	if t.Product != 0 {
		if p, known := g.lookup(t.Product); known {
			fs := slices.Clip(g.space.features(p, nil))
			g.mu.Lock()
			if len(g.products) < g.most {
				g.products[t.Product] = fs
			}
			g.mu.Unlock()
			return fs
		}
	}
	if t.Category == "" {
		return nil
	}
	fs := slices.Clip(g.space.features(&juncture.Product{Category: t.Category}, nil))
	g.mu.Lock()
	if len(fs) > 0 && len(g.categories) < g.most { // a category that nobody sells says nothing: not worth the room
		g.categories[t.Category] = fs
	}
	g.mu.Unlock()
	return fs
}

// sums is room for one taste, reused: everything is zero between uses.
type sums struct {
	of      []float32
	touched []int32
}

// Taste adds up touches, in any order. The half-life and the bound of attributes are the settings'.
func (g *Goods) Taste(touches []Touch, set Settings) Taste {
	set = set.WithDefaults()
	t := Taste{At: math.MinInt64}
	for i := range touches {
		t.At = max(t.At, touches[i].At)
	}
	s := g.scratch.Get().(*sums)
	defer g.scratch.Put(s)
	g.mu.RLock() // once: a lock for every touch costs more than to add it up
	defer g.mu.RUnlock()
	for i := range touches {
		fs, ok := g.kept(&touches[i])
		if !ok {
			g.mu.RUnlock()
			fs = g.work(&touches[i])
			g.mu.RLock()
		}
		if len(fs) == 0 {
			continue
		}
		w := touches[i].Weight * fade(t.At-touches[i].At, set.HalfLife)
		t.Touches++
		t.Evidence += w
		for _, f := range fs {
			x := f.weight * float32(w)
			if x > 0 && s.of[f.dim] == 0 {
				s.touched = append(s.touched, f.dim)
			}
			s.of[f.dim] += x
		}
	}
	t.Vector = s.vector(set.Attributes)
	return t
}

// Near returns the cosine of a product's attributes to a taste, in [0, 1]: 0 for a product that is not known, or has none
// of the space's attributes.
func (g *Goods) Near(v Vector) func(product uint64) float64 {
	taste := make([]float32, g.space.Dim())
	for i, d := range v.Dims {
		taste[d] = v.Values[i]
	}
	return func(product uint64) float64 {
		t := Touch{Product: product}
		g.mu.RLock()
		fs, ok := g.kept(&t)
		g.mu.RUnlock()
		if !ok {
			fs = g.work(&t)
		}
		dot, total := 0.0, 0.0
		for _, f := range fs {
			total += float64(f.weight)
			if x := taste[f.dim]; x > 0 {
				dot += float64(x) * math.Sqrt(float64(f.weight))
			}
		}
		if total <= 0 {
			return 0
		}
		return min(1, dot/math.Sqrt(total)) // a taste of one product alone is the square roots of its weights
	}
}

// vector returns the most heavy dimensions and clears the sums.
func (s *sums) vector(most int) Vector {
	dims := s.touched
	if len(dims) > most {
		slices.SortFunc(dims, func(a, b int32) int { return cmp.Or(cmp.Compare(s.of[b], s.of[a]), cmp.Compare(a, b)) })
		for _, d := range dims[most:] {
			s.of[d] = 0
		}
		dims = dims[:most]
	}
	slices.Sort(dims)
	v := Vector{Dims: make([]int32, 0, len(dims)), Values: make([]float32, 0, len(dims))}
	total := 0.0
	for _, d := range dims {
		total += float64(s.of[d])
	}
	for _, d := range dims {
		if x := s.of[d]; x > 0 && total > 0 {
			v.Dims, v.Values = append(v.Dims, d), append(v.Values, float32(math.Sqrt(float64(x)/total)))
		}
		s.of[d] = 0
	}
	s.touched = s.touched[:0]
	return v
}

// fade is what is left of a weight after so many milliseconds.
func fade(millis int64, halfLife time.Duration) float64 {
	return math.Exp2(-float64(millis) / float64(halfLife.Milliseconds()))
}

package catalogue

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/juncture/juncture"
)

// Shelf is what can be recommended, as it was counted at one time. It is immutable, made off the serving path and read
// by every call; whether a product may still be surfaced is asked of the Index when it is.
type Shelf struct {
	set        Settings
	index      *Index
	at         time.Time
	names      []string
	ids        map[Key]int32
	sealed     []bool // by their id, where the index does not know them any more
	related    [][]neighbour
	similar    [][]neighbour
	completes  [][]pair
	store      []neighbour            // trending, weight 1 for the first
	clusters   map[string][]neighbour // what each likes
	categories map[string][]neighbour // picks, by slug
	scratch    *sync.Pool             // of *scratch, so that a call allocates no room for every product
}

type pair struct {
	id       int32
	together float32 // orders, decayed
	lift     float32
	score    float32
}

const (
	nearest    = 100  // neighbours of a product on the shelf, of each kind
	similars   = 30   // of those bought by the same shoppers: more only add noise (TestRecallOnOnlineRetail)
	rankedMost = 200  // products of a ranking
	tail       = 0.15 // of a category's first, what its last weighs at least, halved: over the trend's 0.02 of the category's 0.3
	likedMost  = 400  // of what a cluster likes: the shopper's own taste finds theirs among them
)

// Shelf reads the counts.
func (c *Counts) Shelf(index *Index, now time.Time) *Shelf {
	c.mu.Lock()
	defer c.mu.Unlock()
	products := index.All()
	for _, p := range products {
		c.intern(p.ID)
	}
	s := &Shelf{set: c.set, index: index, at: now, names: c.names[:len(c.names):len(c.names)], ids: make(map[Key]int32, len(c.ids)),
		clusters: make(map[string][]neighbour, len(c.clusters)), categories: map[string][]neighbour{}}
	for k, i := range c.ids {
		s.ids[k] = i
	}
	n := len(s.names)
	s.sealed = make([]bool, n)
	for i, id := range s.names {
		s.sealed[i] = juncture.Sealed(id)
	}
	s.scratch = &sync.Pool{New: func() any { return newScratch(n) }}
	season := c.season(now)
	s.related = c.viewed.cosines(now, season, 1, nearest)
	s.similar = c.bought.cosines(now, season, 0.1, similars)
	s.completes = c.together.lifts(now, c.set)
	s.rankStore(c, products)
	prior, total := c.wanted(now)
	for id, t := range c.clusters {
		s.clusters[id] = t.likes(prior, total, now)
	}
	return s
}

// At returns when the counts were read.
func (s *Shelf) At() time.Time { return s.at }

// cosines returns each product's neighbours by n_ab / sqrt(n_a * n_b), the cosine of the two columns of the
// shopper-by-product matrix (Sarwar et al. 2001), times n_ab / (n_ab + shrink): a pair seen once says little; and times
// the season of the neighbour.
func (p *pairs) cosines(now time.Time, season []float32, shrink float64, most int) [][]neighbour {
	worth := p.clock.worth(now.UnixMilli())
	out := make([][]neighbour, len(p.near))
	for i, ns := range p.near {
		list := make([]neighbour, 0, len(ns))
		for _, n := range ns {
			both := float64(n.weight) * worth
			norm := math.Sqrt(float64(p.counts[i])*float64(p.counts[n.id])) * worth
			if norm > 0 {
				list = append(list, neighbour{n.id, float32(both/norm*both/(both+shrink)) * season[n.id]})
			}
		}
		slices.SortFunc(list, heavier)
		out[i] = slices.Clone(list[:min(len(list), most)])
	}
	return out
}

// season returns for each product the square root of how much more it is wanted now than over the long run: its share of
// the trend over its share of the orders of half a year, both leaning on the average product; within [1/8, 8].
func (c *Counts) season(now time.Time) []float32 {
	recent, long := c.store.clock.worth(now.UnixMilli()), c.together.clock.worth(now.UnixMilli())
	out := make([]float32, len(c.names))
	n := float64(len(c.names))
	total := 0.0
	for _, w := range c.together.counts {
		total += float64(w)
	}
	total *= long
	for i := range out {
		r := (float64(c.store.counts[int32(i)])*recent + 1) / (c.store.total*recent + n)
		l := 1 / (total + n)
		if i < len(c.together.counts) {
			l = (float64(c.together.counts[i])*long + 1) / (total + n)
		}
		out[i] = float32(min(8, max(1.0/8, math.Sqrt(r/l))))
	}
	return out
}

// lifts returns for each product those bought in the same order: at least set.Support orders, decayed, and a lift
//
//	n_ab * N / (n_a * n_b)
//
// (Brin et al. 1997) of at least set.Lift. They are ranked by the one-sided lower bound of the logarithm of the lift,
// ln(lift) - 1.64 / sqrt(n_ab), weighted by P(b|a): a great lift on few orders does not beat a good one on many.
func (p *pairs) lifts(now time.Time, set Settings) [][]pair {
	worth := p.clock.worth(now.UnixMilli())
	out := make([][]pair, len(p.near))
	for i, ns := range p.near {
		var list []pair
		for _, n := range ns {
			both := float64(n.weight) * worth
			if both < set.Support || p.counts[i] <= 0 || p.counts[n.id] <= 0 {
				continue
			}
			lift := float64(n.weight) * p.total / (float64(p.counts[i]) * float64(p.counts[n.id]))
			if lift < set.Lift {
				continue
			}
			bound := math.Log(lift) - 1.64/math.Sqrt(both)
			if bound <= 0 {
				continue
			}
			list = append(list, pair{n.id, float32(both), float32(lift), float32(bound * float64(n.weight) / float64(p.counts[i]))})
		}
		slices.SortFunc(list, func(a, b pair) int { return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.id, b.id)) })
		out[i] = slices.Clone(list[:min(len(list), nearest)])
	}
	return out
}

// rankStore ranks what is trending in the store and in each category, and where that is too little, what is new.
func (s *Shelf) rankStore(c *Counts, products []*juncture.Product) {
	ranked := c.store.ranked()
	s.store = ranked[:min(len(ranked), rankedMost)]
	for _, n := range ranked {
		if p, ok := s.index.Get(s.names[n.id]); ok {
			s.shelve(Slug(p.Category), n, rankedMost)
		}
	}
	slices.SortStableFunc(products, func(a, b *juncture.Product) int { return b.Created.Compare(a.Created) })
	for rank, p := range products {
		id, ok := s.ids[KeyOf(p.ID)]
		if _, sold := c.store.counts[id]; !ok || sold || !Available(p) {
			continue
		}
		n := neighbour{id, float32(1e-6 / float64(rank+1))}
		s.shelve(Slug(p.Category), n, nearest)
		if len(s.store) < nearest {
			s.store = append(s.store, n)
		}
	}
	s.store = topped(s.store)
	for slug, list := range s.categories {
		list = topped(list)
		for i := range list { // the last of a category still comes before what trends elsewhere
			list[i].weight = (1-tail)*list[i].weight + tail*(2-float32(i)/float32(len(list)))/2
		}
		s.categories[slug] = list
	}
}

func (s *Shelf) shelve(slug string, n neighbour, most int) {
	if list := s.categories[slug]; slug != "" && len(list) < most {
		s.categories[slug] = append(list, n)
	}
}

// topped returns a ranking whose first weighs 1.
func topped(list []neighbour) []neighbour {
	out := slices.Clone(list)
	for i := range out {
		out[i].weight /= list[0].weight
	}
	return out
}

// wanted returns how often the clusters together want each product now, and the total.
func (c *Counts) wanted(now time.Time) (map[int32]float64, float64) {
	out, total := map[int32]float64{}, 0.0
	for _, id := range sortedKeys(c.clusters) {
		t := c.clusters[id]
		worth := t.clock.worth(now.UnixMilli())
		for i, w := range t.counts {
			out[i] += float64(w) * worth
		}
		total += t.total * worth
	}
	return out, total
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// likes ranks a cluster's products by what it wants, leaning on what all clusters want as if on a number of products sold: a
// small cluster's picks are mostly the store's; times the square root of how much more than all it wants them.
func (t *trend) likes(prior map[int32]float64, total float64, now time.Time) []neighbour {
	const lean = 30
	worth := t.clock.worth(now.UnixMilli())
	if t.total <= 0 || total <= 0 {
		return nil
	}
	list := make([]neighbour, 0, len(prior))
	for i, p := range prior {
		if !(p > 0) { // decayed to nothing
			continue
		}
		w := (float64(t.counts[i])*worth + lean*p/total) / (t.total*worth + lean)
		list = append(list, neighbour{i, float32(w * math.Sqrt(w*total/p))})
	}
	slices.SortFunc(list, heavier)
	return topped(list[:min(len(list), likedMost)])
}

// CrossSell is two products that are bought together more than chance has it.
type CrossSell struct {
	Product, With string
	Weight        float64 // orders with both, decayed
	Lift          float64
}

// CrossSells returns the store's strongest pairs, each once, the strongest first.
func (s *Shelf) CrossSells(most int) []CrossSell {
	type scored struct {
		CrossSell
		score float32
	}
	best := map[[2]int32]scored{}
	for i, ps := range s.completes {
		for _, p := range ps {
			a, b := int32(i), p.id
			if s.names[a] > s.names[b] {
				a, b = b, a
			}
			if was, ok := best[[2]int32{a, b}]; !ok || p.score > was.score {
				best[[2]int32{a, b}] = scored{CrossSell{s.names[a], s.names[b], float64(p.together), float64(p.lift)}, p.score}
			}
		}
	}
	all := make([]scored, 0, len(best))
	for _, b := range best {
		all = append(all, b)
	}
	slices.SortFunc(all, func(a, b scored) int {
		return cmp.Or(cmp.Compare(b.score, a.score), strings.Compare(a.Product, b.Product), strings.Compare(a.With, b.With))
	})
	var out []CrossSell
	for _, a := range all[:min(len(all), most)] {
		out = append(out, a.CrossSell)
	}
	return out
}

package catalogue

import (
	"cmp"
	"slices"
	"time"

	"github.com/juncture/juncture"
)

// Source is where a recommendation comes from.
type Source string

// The sources.
const (
	FromBag      Source = "complements" // bought together with what is in the bag
	FromViewed   Source = "related"     // viewed by those who viewed what the shopper viewed
	FromBought   Source = "similar"     // bought by those who bought what the shopper bought
	FromCluster  Source = "cluster"     // liked in the shopper's taste clusters
	FromCategory Source = "category"    // picks of the focus category
	FromStore    Source = "trending"    // in the store
	FromPriority Source = "priority"    // nothing but a merchandiser's wish
)

// weight is how much a source's best product scores. What was bought, clusters and the trend were weighed against one
// another on Online Retail (TestRecallOnOnlineRetail); the others are judgement: the bag above all, since it is what the
// shopper is doing now, and the store's trend only where nothing else is known.
func (f Source) weight() float32 {
	switch f {
	case FromBag:
		return 1
	case FromBought:
		return 0.8
	case FromViewed:
		return 0.6
	case FromCategory:
		return 0.3
	case FromCluster:
		return 0.5
	case FromStore:
		return 0.02
	default:
		return 0
	}
}

// Request asks for products. Its zero value asks for the store's trending ones.
type Request struct {
	Now      time.Time
	Shopper  *State            // nil: nothing known
	Clusters []Share           // the taste clusters of the shopper, the nearest first, at most 8
	Near     func(Key) float64 // how near a product is to the shopper's own taste, in [0,1]; nil: not known
	Category string            // the page's, or a category to stay within when Within is set; "": none
	Within   bool              // only products of Category
	Product  string            // the page's, taken as viewed last; it is not recommended
	Exclude  []string          // never recommended
	Again    bool              // products the shopper has bought may be recommended: consumables
	Only     []Source          // nil: all

	Priorities []juncture.Priority // of merchandisers, by id; those that do not hold at Now, or are of actions, do nothing
}

// Pick is a product for a slot.
type Pick struct {
	ID       string
	Source   Source  // that gave it most
	Why      string  // for people, one plain phrase
	Score    float64 // sum over the sources, nudged; for comparison within one answer
	Priority string  // the priority that nudged it, "" for none
}

// candidate is a product while its sources are added up.
type candidate struct {
	id     int32
	score  float32
	best   float32
	source Source
	by     string // the product or cluster that it is because of
}

// scratch is room for one call, reused: everything is zero between uses but for what lists keep of their room.
type scratch struct {
	sum, best  []float32 // by product, while one source is added up
	because    []int32
	touched    []int32
	place      []int32 // by product, 1 + its place among the candidates
	candidates []candidate
	drained    []reasoned
}

func newScratch(products int) *scratch {
	return &scratch{sum: make([]float32, products), best: make([]float32, products), because: make([]int32, products), place: make([]int32, products)}
}

// reset forgets the candidates.
func (w *scratch) reset() {
	for _, c := range w.candidates {
		w.place[c.id] = 0
	}
	clear(w.candidates)
	w.candidates = w.candidates[:0]
}

// give adds a source's products to the candidates, its best at the source's weight.
func (w *scratch) give(source Source, r *Request, list []reasoned, by func(int32) string) {
	if len(list) == 0 || r.Only != nil && !slices.Contains(r.Only, source) {
		return
	}
	top := float32(0)
	for _, n := range list {
		top = max(top, n.weight)
	}
	if !(top > 0) {
		return
	}
	for _, n := range list {
		x := source.weight() * n.weight / top
		if w.place[n.id] == 0 {
			w.candidates = append(w.candidates, candidate{id: n.id})
			w.place[n.id] = int32(len(w.candidates))
		}
		c := &w.candidates[w.place[n.id]-1]
		c.score += x
		if x > c.best {
			c.best, c.source, c.by = x, source, by(n.because)
		}
	}
}

func (w *scratch) add(id int32, x float32, because int32) {
	if w.sum[id] == 0 {
		w.touched = append(w.touched, id)
	}
	w.sum[id] += x
	if x > w.best[id] {
		w.best[id], w.because[id] = x, because
	}
}

// drain returns what was added up, each product with what it is because of, and clears it. What weighs less than a
// twentieth of the heaviest is left out. The list is valid until the next drain.
func (w *scratch) drain() []reasoned {
	top := float32(0)
	for _, id := range w.touched {
		top = max(top, w.sum[id])
	}
	out := w.drained[:0]
	for _, id := range w.touched {
		if w.sum[id] >= top/20 {
			out = append(out, reasoned{neighbour{id, w.sum[id]}, w.because[id]})
		}
		w.sum[id], w.best[id] = 0, 0
	}
	w.touched, w.drained = w.touched[:0], out
	return out
}

// reasoned is a product with the number of the product or the share that it is because of.
type reasoned struct {
	neighbour
	because int32
}

// summed is the neighbours of several products, added up with the products' weights. What is about a sensitive trait
// drives nothing, and so explains nothing.
func (s *Shelf) summed(w *scratch, keys []Seen, most int, fade float32, near func(i int32, add func(id int32, x float32))) []reasoned {
	weight := float32(1)
	for _, k := range keys[:min(len(keys), most)] {
		if i, ok := s.ids[k.Key]; ok && !s.sealed[i] && !s.index.Sealed(k.Key) {
			near(i, func(id int32, x float32) { w.add(id, x*weight, i) })
			weight *= fade
		}
	}
	return w.drain()
}

func listed(lists [][]neighbour) func(int32, func(int32, float32)) {
	return func(i int32, add func(int32, float32)) {
		if int(i) < len(lists) {
			for _, n := range lists[i] {
				add(n.id, n.weight)
			}
		}
	}
}

// Fill returns products for so many slots, the best first: deterministic, each once, none that is unknown, hidden or
// out of stock, none in the bag, none bought before unless Again. Fewer than slots where there are no more. A product or a
// category that is about a sensitive trait may be sold, but nothing is recommended because of it.
func (s *Shelf) Fill(slots int, r Request) []Pick {
	excluded := map[Key]bool{}
	for _, id := range r.Exclude {
		excluded[KeyOf(id)] = true
	}
	shopper := r.Shopper
	if shopper == nil {
		shopper = &State{}
	}
	bag, viewed := shopper.InBag(), shopper.LastViewed()
	if r.Product != "" {
		k := KeyOf(r.Product)
		excluded[k] = true
		viewed = append([]Seen{{Key: k}}, slices.DeleteFunc(viewed, func(v Seen) bool { return v.Key == k })...)
	}
	for _, b := range bag {
		excluded[b.Key] = true
	}
	if !r.Again {
		for _, b := range shopper.Bought {
			excluded[b.Key] = true
		}
	}
	w := s.scratch.Get().(*scratch)
	defer func() { w.reset(); s.scratch.Put(w) }()
	named := func(i int32) string { return s.names[i] }
	w.give(FromBag, &r, s.summed(w, bag, 32, 1, func(i int32, add func(int32, float32)) {
		if int(i) < len(s.completes) {
			for _, p := range s.completes[i] {
				add(p.id, p.score)
			}
		}
	}), named)
	w.give(FromViewed, &r, s.summed(w, viewed, 8, 0.7, listed(s.related)), named)
	w.give(FromBought, &r, s.summed(w, shopper.LastBought(), 512, 1, listed(s.similar)), named)
	w.give(FromCluster, &r, s.liked(w, &r), func(i int32) string { return cmp.Or(r.Clusters[i].Name, r.Clusters[i].Cluster) })
	category := Slug(r.Category)
	none := func(int32) string { return category }
	if !juncture.Withheld(r.Category) {
		w.give(FromCategory, &r, w.plain(s.categories[category]), none)
	}
	w.give(FromStore, &r, w.plain(s.store), none)
	return s.pick(slots, w.candidates, r, category, excluded)
}

// liked mixes the rankings of clusters by how much the shopper belongs to each, times the square of how near a product is
// to the shopper's own taste: of what a cluster likes, that part which is also theirs (TestRecallOnOnlineRetail; the square
// did better there than the cosine and its cube). What weighs less than a twentieth of the heaviest is left out.
func (s *Shelf) liked(w *scratch, r *Request) []reasoned {
	if r.Only != nil && !slices.Contains(r.Only, FromCluster) {
		return nil
	}
	for i, share := range r.Clusters[:min(len(r.Clusters), 8)] {
		for _, n := range s.clusters[share.Cluster] {
			w.add(n.id, n.weight*float32(share.Weight), int32(i))
		}
	}
	if r.Near == nil {
		return w.drain()
	}
	liked, top := w.drain(), float32(0)
	for i := range liked {
		near := r.Near(KeyOf(s.names[liked[i].id]))
		liked[i].weight *= float32(near * near)
		top = max(top, liked[i].weight)
	}
	return slices.DeleteFunc(liked, func(n reasoned) bool { return !(n.weight > 0 && n.weight >= top/20) })
}

func (w *scratch) plain(list []neighbour) []reasoned {
	w.drained = w.drained[:0]
	for _, n := range list {
		w.drained = append(w.drained, reasoned{neighbour: n})
	}
	return w.drained
}

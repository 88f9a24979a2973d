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

// Share is how much a shopper belongs to a taste cluster.
type Share struct {
	Cluster string
	Weight  float64 // in (0,1]
	Name    string  // as people read it; empty: the cluster's id
}

// Counts gather, decayed, what shoppers view and buy together, what is trending, and what each cluster likes. They are the fold of
// the events and safe for concurrent use. Memory is bounded: per product and kind of pair at most twice
// Settings.Neighbours of 8 bytes, per cluster 1,024 products.
type Counts struct {
	set  Settings
	most int

	mu       sync.Mutex
	ids      map[Key]int32
	names    []string
	viewed   pairs // by one shopper within a day
	bought   pairs // by one shopper, ever, over the number of products of the shopper
	together pairs // in one order
	store    trend
	clusters map[string]*trend
}

// NewCounts returns empty counts of at most so many products, 0 is MaxProducts.
func NewCounts(set Settings, most int) *Counts {
	if most <= 0 {
		most = MaxProducts
	}
	set = set.WithDefaults()
	c := &Counts{set: set, most: most, ids: map[Key]int32{}, clusters: map[string]*trend{}}
	for _, p := range []*pairs{&c.viewed, &c.bought, &c.together} {
		p.clock.halfLife, p.keep = set.PairHalfLife, set.Neighbours
	}
	c.store.clock.halfLife = set.TrendHalfLife
	return c
}

// maxClusters bounds the clusters that are counted, whatever the caller says.
const maxClusters = 1024

// sold is what an event says of a product's popularity, in orders.
func sold(k juncture.EventKind) float32 {
	switch k {
	case juncture.EventOrderCompleted:
		return 1
	case juncture.EventProductAdded, juncture.EventWishlisted:
		return 0.2
	case juncture.EventProductViewed:
		return 0.05
	default:
		return 0
	}
}

// Counted reports whether events of a kind count towards what is viewed, bought and trending.
func Counted(k juncture.EventKind) bool { return sold(k) > 0 }

// Observe adds an event. before is the shopper's state without it, clusters where the shopper belongs with it, so that a
// first order counts towards one too (none: unknown). What the shopper had bought before is no like of a cluster's. An event costs at
// most the square of its lines and their product with what the state remembers.
func (c *Counts) Observe(e *juncture.Event, before *State, clusters ...Share) {
	w := sold(e.Kind)
	if w == 0 || len(e.Lines) == 0 {
		return
	}
	at := e.At.UnixMilli()
	c.mu.Lock()
	defer c.mu.Unlock()
	var lines []int32
	var fresh []bool // not bought before
	for _, l := range e.Lines[:min(len(e.Lines), juncture.MaxLines)] {
		if i, ok := c.intern(l.Product); ok && !slices.Contains(lines, i) {
			lines = append(lines, i)
			fresh = append(fresh, !before.HasBought(KeyOf(l.Product)))
		}
	}
	for n, i := range lines {
		c.store.add(i, w, at)
		if !fresh[n] { // what a cluster's shoppers come to like, not what they keep buying: that is not recommended
			continue
		}
		for _, s := range clusters {
			c.cluster(s.Cluster).add(i, w*float32(s.Weight), at)
		}
	}
	switch e.Kind {
	case juncture.EventOrderCompleted:
		c.together.basket(lines, at)
		c.repertoire(lines, fresh, before, at)
	case juncture.EventProductViewed:
		c.walk(lines, before, at)
	}
}

// cluster returns a cluster's trend; clusters over the bound share one that nobody asks for.
func (c *Counts) cluster(id string) *trend {
	t := c.clusters[id]
	if t == nil && len(c.clusters) >= maxClusters {
		id = ""
		t = c.clusters[id]
	}
	if t == nil {
		t = &trend{keep: 512}
		t.clock.halfLife = c.set.ClusterHalfLife
		c.clusters[id] = t
	}
	return t
}

// intern returns a product's number.
func (c *Counts) intern(id string) (int32, bool) {
	k := KeyOf(id)
	i, ok := c.ids[k]
	if !ok && id != "" && len(c.names) < c.most {
		i, ok = int32(len(c.names)), true
		c.ids[k] = i
		c.names = append(c.names, strings.Clone(id))
	}
	return i, ok
}

// repertoire pairs what a shopper buys for the first time with everything bought before and with one another. It counts
// one over the number of products that the shopper has bought by then: what a wholesaler who buys everything buys together says
// little (the inverse user frequency of Breese et al. 1998; row-normalised, Karypis 2001).
func (c *Counts) repertoire(lines []int32, fresh []bool, before *State, at int64) {
	p := &c.bought
	n := len(before.Bought)
	for _, f := range fresh {
		if f {
			n++
		}
	}
	if n == 0 {
		return
	}
	unit := p.clock.unit(at, p) / float32(n)
	for n, i := range lines {
		if !fresh[n] {
			continue
		}
		p.count(i, unit)
		p.total += float64(unit)
		for _, b := range before.Bought {
			if j, ok := c.ids[b.Key]; ok && j != i {
				p.join(i, j, unit)
			}
		}
		for m := range n {
			if fresh[m] {
				p.join(i, lines[m], unit)
			}
		}
	}
}

// walk pairs a product that is viewed with those that the same shopper viewed in the day before.
func (c *Counts) walk(lines []int32, before *State, at int64) {
	p := &c.viewed
	unit := p.clock.unit(at, p)
	for _, i := range lines {
		p.count(i, unit)
		p.total += float64(unit)
		for _, s := range before.Viewed {
			if j, ok := c.ids[s.Key]; ok && j != i && s.At <= at && at-s.At <= (24*time.Hour).Milliseconds() {
				p.join(i, j, unit)
			}
		}
	}
}

// clock gives an event at a time the weight 2^((time - origin) / halfLife), so that counts decay without being touched;
// the origin moves on before the weights grow large.
type clock struct {
	halfLife time.Duration
	origin   int64
	started  bool
}

type scaler interface{ scale(f float32) }

// unit returns the weight of an event at a time.
func (c *clock) unit(at int64, s scaler) float32 {
	if !c.started {
		c.origin, c.started = at, true
	}
	x := float64(at-c.origin) / float64(c.halfLife.Milliseconds())
	if x > 32 {
		s.scale(float32(math.Exp2(-x)))
		c.origin = at
		return 1
	}
	return float32(math.Exp2(x))
}

// worth returns what a weight of one is worth at a time.
func (c *clock) worth(now int64) float64 {
	if !c.started {
		return 0
	}
	return math.Exp2(-float64(now-c.origin) / float64(c.halfLife.Milliseconds()))
}

// pairs counts products and pairs of them, the most frequent neighbours of each.
type pairs struct {
	clock  clock
	keep   int
	total  float64 // baskets
	counts []float32
	near   [][]neighbour // in order of id
}

type neighbour struct {
	id     int32
	weight float32
}

func (p *pairs) scale(f float32) {
	p.total *= float64(f)
	for i := range p.counts {
		p.counts[i] *= f
	}
	for _, ns := range p.near {
		for i := range ns {
			ns[i].weight *= f
		}
	}
}

func (p *pairs) grow(i int32) {
	for int(i) >= len(p.counts) {
		p.counts = append(p.counts, 0)
		p.near = append(p.near, nil)
	}
}

func (p *pairs) count(i int32, w float32) {
	p.grow(i)
	p.counts[i] += w
}

// join counts a pair, on both sides.
func (p *pairs) join(i, j int32, w float32) {
	p.grow(max(i, j))
	p.side(i, j, w)
	p.side(j, i, w)
}

func (p *pairs) side(i, j int32, w float32) {
	ns := p.near[i]
	lo, hi := 0, len(ns)
	for lo < hi {
		if m := int(uint(lo+hi) >> 1); ns[m].id < j {
			lo = m + 1
		} else {
			hi = m
		}
	}
	if lo < len(ns) && ns[lo].id == j {
		ns[lo].weight += w
		return
	}
	if len(ns) >= 2*p.keep {
		slices.SortFunc(ns, heavier)
		ns = ns[:p.keep]
		slices.SortFunc(ns, func(a, b neighbour) int { return cmp.Compare(a.id, b.id) })
		lo, _ = slices.BinarySearchFunc(ns, j, func(n neighbour, id int32) int { return cmp.Compare(n.id, id) })
	}
	p.near[i] = slices.Insert(ns, lo, neighbour{j, w})
}

func heavier(a, b neighbour) int {
	return cmp.Or(cmp.Compare(b.weight, a.weight), cmp.Compare(a.id, b.id))
}

// basket counts products that came together.
func (p *pairs) basket(lines []int32, at int64) {
	unit := p.clock.unit(at, p)
	p.total += float64(unit)
	for n, i := range lines {
		p.count(i, unit)
		for _, j := range lines[:n] {
			p.join(i, j, unit)
		}
	}
}

// trend counts how often products are wanted.
type trend struct {
	clock  clock
	keep   int // 0: all
	total  float64
	counts map[int32]float32
}

func (t *trend) scale(f float32) {
	t.total *= float64(f)
	for i := range t.counts {
		t.counts[i] *= f
	}
}

func (t *trend) add(i int32, w float32, at int64) {
	if t.counts == nil {
		t.counts = map[int32]float32{}
	}
	w *= t.clock.unit(at, t)
	t.total += float64(w)
	t.counts[i] += w
	if t.keep > 0 && len(t.counts) > 2*t.keep {
		for _, n := range t.ranked()[t.keep:] {
			delete(t.counts, n.id)
		}
	}
}

// ranked returns the products, the most wanted first.
func (t *trend) ranked() []neighbour {
	out := make([]neighbour, 0, len(t.counts))
	for i, w := range t.counts {
		out = append(out, neighbour{i, w})
	}
	slices.SortFunc(out, heavier)
	return out
}

package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/layers"
	"github.com/juncture/juncture/layers/catalogue"
	"github.com/juncture/juncture/layers/meaning"
	"github.com/juncture/juncture/layers/trajectory"
)

// LearnedStore keeps products, taste clusters and what they are learnt from.
type LearnedStore interface {
	PutProducts(ctx context.Context, products []juncture.Product, now time.Time) (changed int, err error)
	ProductsSince(ctx context.Context, after int64, f func(juncture.Product) error) (last int64, err error)
	Model(ctx context.Context) (juncture.TasteModel, error)
	ModelVersion(ctx context.Context) (int64, error)
	SaveModel(ctx context.Context, m juncture.TasteModel, was int64) (int64, error)
	EachProfile(ctx context.Context, after string, limit int) ([]juncture.ProfileRow, error)
	LatestEvents(ctx context.Context, most int, f func(juncture.Event) error) error
}

// LearnedLimits bound what is learnt beside profiles. Zero values mean the defaults.
type LearnedLimits struct {
	Products int // kept; 0 means catalogue.MaxProducts
	Shoppers int // whose tastes a fit is made on, 0 means 100,000
	Events   int // the latest, from which what is bought and viewed together is counted at start; 0 means 1,000,000
}

// Learned is what the store knows beside its shoppers' profiles: products, taste clusters, and what is viewed and bought
// together. Calls read it as it stands; Refresh, Restock, Recount and Refit renew it and belong to a background job.
type Learned struct {
	store  LearnedStore
	limits LearnedLimits
	index  *catalogue.Index
	now    atomic.Pointer[known]
	counts atomic.Pointer[catalogue.Counts]
	fresh  atomic.Pointer[catalogue.Counts] // while a recount runs: what happens meanwhile is counted there too
	queue  chan observation
	missed atomic.Uint64

	renew sync.Mutex // one renewal at a time
	seq   int64      // of the latest change of a product that the index holds
}

// known is one state of knowledge, swapped as a whole.
type known struct {
	layers.Knowledge
	version int64     // of the taste model, 0 for none
	learnt  time.Time // when it was fitted
	shelf   *catalogue.Shelf
}

// NewLearned reads products and taste clusters.
func NewLearned(ctx context.Context, store LearnedStore, limits LearnedLimits) (*Learned, error) {
	if limits.Shoppers <= 0 {
		limits.Shoppers = 100_000
	}
	if limits.Events <= 0 {
		limits.Events = 1_000_000
	}
	l := &Learned{store: store, limits: limits, queue: make(chan observation, observations), index: catalogue.NewIndex(limits.Products)}
	l.counts.Store(catalogue.NewCounts(catalogue.Settings{}, limits.Products))
	l.now.Store(&known{Knowledge: layers.Knowledge{Index: l.index, Rates: &trajectory.Rates{}}})
	_, err := l.Refresh(ctx)
	return l, err
}

// knowledge is what describing a shopper asks for; that of nil is nothing.
func (l *Learned) knowledge() layers.Knowledge {
	if l == nil {
		return layers.Knowledge{}
	}
	return l.now.Load().Knowledge
}

// Model returns the taste clusters in use with their version, nil and 0 for none.
func (l *Learned) Model() (*meaning.Model, int64) {
	n := l.now.Load()
	return n.Model, n.version
}

// LearntAt returns when the taste clusters in use last changed, the zero time for none.
func (l *Learned) LearntAt() time.Time { return l.now.Load().learnt }

// Index returns the products.
func (l *Learned) Index() *catalogue.Index { return l.index }

// Shelf returns what is recommended from, nil before the first Restock.
func (l *Learned) Shelf() *catalogue.Shelf { return l.now.Load().shelf }

// Refresh reads what changed in the store: products, taste clusters. It reports whether anything had.
func (l *Learned) Refresh(ctx context.Context) (changed bool, err error) {
	l.renew.Lock()
	defer l.renew.Unlock()
	was := l.now.Load()
	next := *was
	var full error
	last, err := l.store.ProductsSince(ctx, l.seq, func(p juncture.Product) error {
		if err := l.index.Put(p); err != nil {
			full = err // the others are kept all the same
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("read products: %w", err)
	}
	goods := last != l.seq
	l.seq = last
	version, err := l.store.ModelVersion(ctx)
	if err != nil {
		return false, fmt.Errorf("read taste clusters: %w", err)
	}
	if version != was.version {
		row, err := l.store.Model(ctx)
		if err != nil {
			return false, fmt.Errorf("read taste clusters: %w", err)
		}
		m := &meaning.Model{}
		if err := json.Unmarshal(row.Body, m); err != nil {
			return false, fmt.Errorf("read taste clusters: %w", err)
		}
		next.Model, next.version = m, row.Version
		next.learnt = row.At
	}
	if next.Model != nil && (goods || next.Model != was.Model) {
		next.Goods = l.goods(next.Model.Space)
	}
	if goods || version != was.version {
		l.now.Store(&next)
		changed = true
	}
	return changed, full
}

// goods sees the products as they are now in a space.
func (l *Learned) goods(space *meaning.Space) *meaning.Goods {
	return meaning.NewGoods(space, func(key uint64) (*juncture.Product, bool) { return l.index.ByKey(catalogue.Key(key)) }, l.limits.Products)
}

// observation is an event with what its shopper had done before, and what it says of the store's visits.
type observation struct {
	event  juncture.Event
	before layers.Profile // goods and ring, of what is counted among products
	goods  bool
	step   trajectory.Step
	visit  bool
}

// observations bounds the events that wait to be counted.
const observations = 4096

// Observe has an event counted, of a shopper whose profile was before. It costs a copy and never waits: where too many
// wait already the event is left to the next recount, and Missed says so.
func (l *Learned) Observe(e *juncture.Event, before *layers.Profile) {
	var o observation
	o.step, o.visit = before.Step(*e)
	if o.goods = len(e.Lines) > 0 && catalogue.Counted(e.Kind); o.goods {
		o.event, o.before = *e, layers.Profile{Goods: before.Goods.Clone(), Ring: slices.Clone(before.Ring)}
	}
	if !o.visit && !o.goods {
		return
	}
	select {
	case l.queue <- o:
	default:
		l.missed.Add(1)
	}
}

// Missed is how many events were left to the next recount.
func (l *Learned) Missed() uint64 { return l.missed.Load() }

// Run counts what is observed, until ctx ends.
func (l *Learned) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case o := <-l.queue:
			l.count(&o)
		}
	}
}

func (l *Learned) count(o *observation) {
	k := l.now.Load().Knowledge
	if o.visit {
		k.Rates.Observe(o.step)
	}
	if !o.goods {
		return
	}
	before := o.before.Goods.Clone()
	o.before.Fold(o.event) // the first order of a shopper says whose likes it counts towards, too
	shares := o.before.Shares(k, layers.Settings{})
	l.counts.Load().Observe(&o.event, &before, shares...)
	if fresh := l.fresh.Load(); fresh != nil {
		fresh.Observe(&o.event, &before, shares...)
	}
}

// purchase is the probability that a shopper orders in the visit that runs; false where none does.
func (l *Learned) purchase(p *layers.Profile, now time.Time) (float64, bool) {
	if l == nil {
		return layers.PurchaseScore(p, now, layers.Knowledge{Rates: &trajectory.Rates{}})
	}
	return layers.PurchaseScore(p, now, l.now.Load().Knowledge)
}

// Restock makes the shelf anew from the counts: what is recommended from now on.
func (l *Learned) Restock(now time.Time) {
	l.renew.Lock()
	defer l.renew.Unlock()
	next := *l.now.Load()
	next.shelf = l.counts.Load().Shelf(l.index, now)
	l.now.Store(&next)
}

// recountShoppers bounds the shoppers whose bags a recount follows at once.
const recountShoppers = 50_000

// Recount counts the latest events anew: at start, and after a refit, whose clusters have likes of their own.
func (l *Learned) Recount(ctx context.Context) error {
	fresh := catalogue.NewCounts(catalogue.Settings{}, l.limits.Products)
	l.fresh.Store(fresh)
	defer l.fresh.Store(nil)
	shoppers, err := lru.New[string, *layers.Profile](recountShoppers)
	if err != nil {
		return err
	}
	k, rates := l.now.Load().Knowledge, &trajectory.Rates{}
	err = l.store.LatestEvents(ctx, l.limits.Events, func(e juncture.Event) error {
		p, ok := shoppers.Get(e.Shopper)
		if !ok {
			p = &layers.Profile{}
			shoppers.Add(e.Shopper, p)
		}
		if s, ok := p.Step(e); ok {
			rates.Observe(s)
		}
		if len(e.Lines) == 0 || !catalogue.Counted(e.Kind) {
			p.Fold(e)
			return ctx.Err()
		}
		before := p.Goods.Clone()
		p.Fold(e)
		fresh.Observe(&e, &before, p.Shares(k, layers.Settings{})...)
		return ctx.Err()
	})
	if err != nil {
		return fmt.Errorf("count what is bought together: %w", err)
	}
	l.counts.Store(fresh)
	l.renew.Lock()
	defer l.renew.Unlock()
	next := *l.now.Load()
	next.Rates = rates
	l.now.Store(&next)
	return nil
}

// minTastes is how many shoppers with a taste the first clusters are learnt from.
const minTastes = 50

// ErrTooFewTastes says that clusters cannot be learnt yet.
var ErrTooFewTastes = errors.New("too few shoppers with a taste to learn clusters from")

// Refitted says what a refit did.
type Refitted struct {
	Version  int64
	Clusters int
	Shoppers int // with a taste
	Skipped  int // whose profile cannot be read
	Moved    int // whose cluster changed
	Of       int // with a cluster before or after
	Matching meaning.Matching
}

// Refit learns the taste clusters anew from the profiles that the store holds, and puts them to use: ids live on by
// their centroids. Of more shoppers than the limit the first by id are taken. k is the number of
// clusters, 0 to choose it. The error is ErrTooFewTastes under 50 shoppers with a taste.
func (l *Learned) Refit(ctx context.Context, now time.Time, actor string, k int, set layers.Settings) (Refitted, error) {
	var out Refitted
	was := l.now.Load()
	space := meaning.NewSpace(func(yield func(*juncture.Product) bool) {
		for _, p := range l.index.All() {
			if !yield(p) {
				return
			}
		}
	}, meaning.SpaceOptions{})
	goods := l.goods(space)
	know := layers.Knowledge{Index: l.index, Goods: goods}
	keys, before, after, skipped, err := l.tastes(ctx, was.Knowledge, know, set)
	if err != nil {
		return out, err
	}
	out.Shoppers, out.Skipped = len(after), skipped
	if len(after) < minTastes {
		return out, ErrTooFewTastes
	}
	o := meaning.Options{K: min(k, len(after)/2), Seed: 1, Start: was.Model, Keys: keys}
	fitted, err := meaning.Fit(ctx, space, after, o)
	if err != nil {
		return out, err
	}
	model, matching := meaning.Match(was.Model, fitted)
	out.Matching, out.Clusters = matching, len(model.Clusters)
	out.Moved, out.Of = meaning.Moved(was.Model, model, func(yield func(meaning.Vector, meaning.Vector) bool) {
		for i := range after {
			if !yield(before[i], after[i]) {
				return
			}
		}
	})
	out.Version, err = l.save(ctx, model, goods, was.version, juncture.TasteModel{At: now, Actor: actor, Moved: out.Moved, Of: out.Of})
	return out, err
}

// tastes reads every stored profile's taste in the spaces before and after, with its shopper's key; empty ones are left
// out, and so are profiles that cannot be read.
func (l *Learned) tastes(ctx context.Context, old, know layers.Knowledge, set layers.Settings) (keys []uint64, before, after []meaning.Vector, skipped int, _ error) {
	const chunk = 1000
	for last := ""; ; {
		rows, err := l.store.EachProfile(ctx, last, chunk)
		if err != nil {
			return nil, nil, nil, skipped, fmt.Errorf("read profiles: %w", err)
		}
		for _, r := range rows {
			last = r.Shopper
			var p layers.Profile
			if p.UnmarshalBinary(r.Body) != nil {
				skipped++
				continue
			}
			taste := p.TasteOf(know, set)
			if len(taste.Vector.Dims) == 0 {
				continue
			}
			var then meaning.Vector
			if old.Model != nil {
				then = p.TasteOf(old, set).Vector
			}
			keys, before, after = append(keys, meaning.KeyOf(r.Shopper)), append(before, then), append(after, taste.Vector)
		}
		if len(rows) < chunk || len(after) >= l.limits.Shoppers {
			return keys, before, after, skipped, nil
		}
	}
}

func (l *Learned) save(ctx context.Context, m *meaning.Model, goods *meaning.Goods, was int64, row juncture.TasteModel) (int64, error) {
	var err error
	if row.Body, err = json.Marshal(m); err != nil {
		return 0, fmt.Errorf("keep taste clusters: %w", err)
	}
	version, err := l.store.SaveModel(ctx, row, was)
	if err != nil {
		return 0, err
	}
	l.renew.Lock()
	defer l.renew.Unlock()
	next := *l.now.Load()
	next.Model, next.Goods, next.version, next.learnt = m, goods, version, row.At
	l.now.Store(&next)
	return version, nil
}

// Rename gives a cluster another name (left alone when empty) and voice (when not nil). The error is CodeInvalidRequest,
// or CodeDecisionConflict when the clusters were learnt again meanwhile.
func (l *Learned) Rename(ctx context.Context, now time.Time, actor, id string, name *string, voice *meaning.Voice) error {
	n := l.now.Load()
	if n.Model == nil {
		return juncture.Errorf(juncture.CodeNotFound, "no taste clusters have been learnt yet")
	}
	m, err := n.Model.With(id, name, voice)
	if err != nil {
		return err
	}
	_, err = l.save(ctx, m, n.Goods, n.version, juncture.TasteModel{At: now, Actor: actor})
	return err
}

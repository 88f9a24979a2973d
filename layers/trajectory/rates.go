package trajectory

import (
	"math"
	"slices"
	"sync"
	"time"

	"github.com/juncture/juncture"
)

// Page is a kind of page and the category that it is about, "" for none: what exit rates are kept by. Addresses have no
// end; kinds and categories have.
type Page struct {
	Kind     juncture.EventKind
	Category string
}

// Shown reports whether an event of a kind shows a page: a visit ends on the last of them.
func Shown(k juncture.EventKind) bool {
	switch k {
	case juncture.EventPageViewed, juncture.EventArticleViewed, juncture.EventProductsSearched, juncture.EventListViewed, juncture.EventProductViewed,
		juncture.EventProductDetail, juncture.EventCartViewed, juncture.EventCheckoutStarted, juncture.EventCheckoutStep, juncture.EventOrderCompleted:
		return true
	}
	return false
}

// Step is what an event adds to what is known of visits.
type Step struct {
	At     time.Time
	To     Page   // the page shown; of kind EventOther for an event that shows none
	From   Page   // the page of the visit before it; of kind EventOther for none
	Opens  bool   // the event is the first of a visit
	Second bool   // From was the visit's first page, and To is its second
	Orders bool   // the first order of the visit
	Source uint64 // SourceKey of where the visit came from
}

// Rates are what a store's own visits come to, counted with every event and halved with RatesHalfLife: how often a page
// is the last of its visit (exit), how often a visit that begins on it sees no other (bounce), and how many visits order, of all and, halved with
// SourceHalfLife, by where they came from.
// A page counts as the last until the next one comes, so that visits of shoppers who never return count too; those that
// run now are few against the half-life. Bounded by MaxPages pages of 48 bytes. The zero value is ready; safe for
// concurrent use.
type Rates struct {
	mu     sync.Mutex
	pages  map[Page]*cell
	kinds  [64]cell          // by kind, all categories
	visits cell              // begun: visits; going: those that ordered
	whence map[uint64]*tally // visits by their source, 0 for those of none
	whole  tally             // all of them
}

// RatesHalfLife is how fast what visits came to is forgotten: within a season.
const RatesHalfLife = 14 * 24 * time.Hour

// SourceHalfLife is how fast what visits from a source came to is forgotten: slower, since there are fewer of each.
const SourceHalfLife = 90 * 24 * time.Hour

// MaxSources bounds the sources that are told apart; when there are more, those of the fewest visits are forgotten.
const MaxSources = 1024

// tally counts visits, decayed to at.
type tally struct {
	at             int64
	visits, orders float64
}

func (t *tally) add(at int64, visits, orders float64) {
	w := 1.0
	if at > t.at {
		f := math.Exp2(-float64(at-t.at) / float64(SourceHalfLife.Milliseconds()))
		t.visits, t.orders, t.at = t.visits*f, t.orders*f, at
	} else {
		w = math.Exp2(-float64(t.at-at) / float64(SourceHalfLife.Milliseconds()))
	}
	t.visits += w * visits
	t.orders += w * orders
}

// from counts a visit, or its order, by its source.
func (r *Rates) from(source uint64, at int64, visits, orders float64) {
	r.whole.add(at, visits, orders)
	t := r.whence[source]
	if t == nil {
		if r.whence == nil {
			r.whence = map[uint64]*tally{}
		}
		if len(r.whence) >= MaxSources {
			seen := make([]float64, 0, len(r.whence))
			for _, t := range r.whence {
				t.add(at, 0, 0)
				seen = append(seen, t.visits)
			}
			slices.Sort(seen)
			for k, t := range r.whence {
				if t.visits <= seen[len(seen)/2] {
					delete(r.whence, k)
				}
			}
		}
		t = &tally{}
		r.whence[source] = t
	}
	t.add(at, visits, orders)
}

// source is the log-odds of an order in visits from a source against all, leaning on all as on so many visits.
func (r *Rates) source(key uint64, now time.Time) float64 {
	t := r.whence[key]
	if t == nil {
		return 0
	}
	logit := func(p float64) float64 { return math.Log(p / (1 - p)) }
	left := func(t *tally) float64 {
		return math.Exp2(-float64(max(now.UnixMilli()-t.at, 0)) / float64(SourceHalfLife.Milliseconds()))
	}
	f, g := left(&r.whole), left(t)
	all := (min(r.whole.orders, r.whole.visits)*f + lean*orderMean) / (r.whole.visits*f + lean)
	return logit((min(t.orders, t.visits)*g+lean*all)/(t.visits*g+lean)) - logit(all)
}

// MaxPages bounds the pages that are told apart; when there are more, those seen least count by their kind alone.
const MaxPages = 4096

// cell counts a page, decayed to at.
type cell struct {
	at           int64
	seen, on     float64 // views, and those that another page of the visit followed
	begun, going float64 // visits that began here, and those that saw another page
}

// to decays the cell to a time and returns what one event at that time weighs: less than 1 for an event of the past.
func (c *cell) to(at int64) float64 {
	if at <= c.at {
		return faded(c.at - at)
	}
	f := faded(at - c.at)
	c.seen, c.on, c.begun, c.going, c.at = c.seen*f, c.on*f, c.begun*f, c.going*f, at
	return 1
}

func faded(ms int64) float64 { return math.Exp2(-float64(ms) / float64(RatesHalfLife.Milliseconds())) }

// of returns the cells of a page: its kind's, and its own.
func (r *Rates) of(p Page) (kind, own *cell) {
	kind = &r.kinds[int(p.Kind)%len(r.kinds)]
	if p.Category == "" {
		return kind, nil
	}
	own = r.pages[p]
	if own == nil {
		if r.pages == nil {
			r.pages = map[Page]*cell{}
		}
		if len(r.pages) >= MaxPages {
			r.drop()
		}
		own = &cell{}
		r.pages[p] = own
	}
	return kind, own
}

// drop forgets the half of the pages that were seen least, so that names made up by a sender do not fill the table for good.
func (r *Rates) drop() {
	var latest int64
	for _, c := range r.pages {
		latest = max(latest, c.at)
	}
	seen := make([]float64, 0, len(r.pages))
	for _, c := range r.pages {
		c.to(latest)
		seen = append(seen, c.seen)
	}
	slices.Sort(seen)
	least := seen[len(seen)/2]
	for p, c := range r.pages {
		if c.seen <= least {
			delete(r.pages, p)
		}
	}
}

// Observe counts a step.
func (r *Rates) Observe(s Step) {
	at := s.At.UnixMilli()
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.visits.to(at)
	if s.Opens {
		r.visits.begun += w
		r.from(s.Source, at, 1, 0)
	}
	if s.Orders {
		r.visits.going += w
		r.from(s.Source, at, 0, 1)
	}
	if !Shown(s.To.Kind) {
		return
	}
	add := func(p Page, f func(c *cell, w float64)) {
		kind, own := r.of(p)
		f(kind, kind.to(at))
		if own != nil {
			f(own, own.to(at))
		}
	}
	add(s.To, func(c *cell, w float64) {
		c.seen += w
		if s.From.Kind == juncture.EventOther {
			c.begun += w
		}
	})
	if s.From.Kind != juncture.EventOther {
		add(s.From, func(c *cell, w float64) {
			c.on += w
			if s.Second {
				c.going += w
			}
		})
	}
}

// The means of the data that LiveScore was fitted on, and their most; the table leans on them as if seen in so many views.
const (
	exitMean, bounceMean, rateMost = 0.043, 0.022, 0.2
	orderMean                      = 0.155 // of visits
	lean                           = 20.0
)

// enough is how many pages, decayed, must have been seen before exit rates are known.
const enough = 1000

// Context is what the store's own visits say of a visit that has seen these pages: the means over them of their exit and
// bounce rates, each leaning on the rate of its kind, as multiples of the store's own mean (an average page has the mean
// of the data that LiveScore was fitted on, so that short visits everywhere do not count against each); and the log-odds
// of the share of visits that order lately against those data, 0 before any visit. The data's rates were of single pages;
// those of kinds and categories differ less, and so say less. source is the visit's. It changes nothing.
func (r *Rates) Context(pages []Page, source uint64, now time.Time) Context {
	if r == nil {
		return Context{}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var c Context
	logit := func(p float64) float64 { return math.Log(p / (1 - p)) }
	f := fadedSince(&r.visits, now)
	visits, orders := r.visits.begun*f, min(r.visits.going, r.visits.begun)*f
	c.Season = logit((orders+lean*orderMean)/(visits+lean)) - logit(orderMean)
	c.Source = r.source(source, now)
	var all cell
	all.at = now.UnixMilli()
	for i := range r.kinds {
		k := &r.kinds[i]
		f := fadedSince(k, now)
		all.seen, all.on, all.begun, all.going = all.seen+k.seen*f, all.on+k.on*f, all.begun+k.begun*f, all.going+k.going*f
	}
	if len(pages) == 0 || all.seen < enough {
		return c
	}
	c.Exits = true
	exits, bounces := all.rates(now, exitMean, bounceMean)
	for _, p := range pages {
		kind := &r.kinds[int(p.Kind)%len(r.kinds)]
		exit, bounce := kind.rates(now, exits, bounces)
		if own := r.pages[p]; own != nil {
			exit, bounce = own.rates(now, exit, bounce)
		}
		c.Exit += min(exit/exits*exitMean, rateMost) / float64(len(pages))
		c.Bounce += min(bounce/bounces*bounceMean, rateMost) / float64(len(pages))
	}
	return c
}

func fadedSince(c *cell, now time.Time) float64 { return faded(max(now.UnixMilli()-c.at, 0)) }

// rates are the exit and bounce rates of a page, leaning on those given; in [0, 1].
func (c *cell) rates(now time.Time, exit, bounce float64) (float64, float64) {
	f := fadedSince(c, now)
	return (max(c.seen-c.on, 0)*f + lean*exit) / (c.seen*f + lean), (max(c.begun-c.going, 0)*f + lean*bounce) / (c.begun*f + lean)
}

// Pages is how many pages with a category are told apart.
func (r *Rates) Pages() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.pages)
}

package trajectory

import (
	"math"
	"math/bits"
	"slices"
	"time"

	"github.com/juncture/juncture"
)

// maxVisits is how many of the last visits are kept: the one that runs, and fragments of it that later events may join.
const maxVisits = 4

// visitBytes is the size of a visit in memory.
const visitBytes = 112

// visit is a session as live intent sees it: the sender's, or else events without a gap of SessionGap. All parts are
// sums and latest-ofs, so that two stretches can be joined.
type visit struct {
	from, to  int64  // ms
	key       uint64 // hash of the sender's id; 0 for none
	seen      uint64 // bitmap of products viewed, for linear counting (Whang, Vander-Zanden, Taylor 1990)
	product   int64  // ms of the last look at a product or its details
	added     int64  // ms of the last thing put into the bag
	checkout  int64  // ms of the last step of a checkout
	retreat   int64  // ms of the last thing done that no checkout consists of
	ordered   int64  // ms of the last order
	sourced   int64  // ms of the first event that said where the visit came from
	source    uint64 // hash of what it said; 0 for nothing
	pages     uint16 // plain pages, lists and searches
	articles  uint16
	views     uint16 // product views
	details   uint16 // reviews, size, delivery
	additions uint16
}

func visitOf(e juncture.Event, at int64) visit {
	v := visit{from: at, to: at, key: hash(e.Session)}
	if v.source = SourceKey(e.Source); v.source != 0 {
		v.sourced = at
	}
	switch e.Kind {
	case juncture.EventPageViewed, juncture.EventListViewed, juncture.EventProductsSearched:
		v.pages = 1
	case juncture.EventArticleViewed:
		v.articles = 1
	case juncture.EventProductViewed:
		v.views, v.product = 1, at
		for _, l := range e.Lines {
			v.seen |= 1 << (hash(l.Product) * 0x9E3779B97F4A7C15 >> 58)
		}
	case juncture.EventProductDetail:
		v.details, v.product = 1, at
	case juncture.EventProductAdded:
		v.additions, v.added = 1, at
	case juncture.EventCheckoutStarted, juncture.EventCheckoutStep:
		v.checkout = at
	case juncture.EventOrderCompleted:
		v.ordered = at
	}
	switch e.Kind {
	case juncture.EventCheckoutStarted, juncture.EventCheckoutStep, juncture.EventOrderCompleted, juncture.EventOther:
	case juncture.EventPageViewed: // a checkout consists of pages
	default:
		v.retreat = at
	}
	return v
}

func (v *visit) join(o visit) {
	plus := func(a, b uint16) uint16 { return uint16(min(uint32(a)+uint32(b), math.MaxUint16)) }
	v.from, v.to, v.seen = min(v.from, o.from), max(v.to, o.to), v.seen|o.seen
	v.product, v.added, v.checkout = max(v.product, o.product), max(v.added, o.added), max(v.checkout, o.checkout)
	if o.source != 0 && (v.source == 0 || o.sourced < v.sourced || o.sourced == v.sourced && o.source < v.source) {
		v.sourced, v.source = o.sourced, o.source
	}
	v.retreat, v.ordered = max(v.retreat, o.retreat), max(v.ordered, o.ordered)
	v.pages, v.articles, v.views = plus(v.pages, o.pages), plus(v.articles, o.articles), plus(v.views, o.views)
	v.details, v.additions = plus(v.details, o.details), plus(v.additions, o.additions)
}

// again is how often a product was looked at that had been looked at before.
func (v *visit) again() int {
	empty := 64 - bits.OnesCount64(v.seen)
	distinct := math.Round(-64 * math.Log(max(float64(empty), 0.5)/64))
	return max(int(v.views)-int(distinct), 0)
}

func (v *visit) touches(o visit) bool {
	if v.key != 0 && v.key == o.key {
		return true
	}
	const gap = int64(SessionGap / 1e6)
	return v.key == o.key && v.from-o.to < gap && o.from-v.to < gap
}

// addVisit joins a stretch with those that it touches. Usually it only lengthens the last one.
func (s *State) addVisit(x visit) {
	if n := len(s.visits); n > 0 {
		if l := &s.visits[n-1]; x.from >= l.from && l.touches(x) {
			l.join(x)
			return
		}
	}
	for i := 0; i < len(s.visits); {
		if x.touches(s.visits[i]) {
			x.join(s.visits[i])
			s.visits = slices.Delete(s.visits, i, i+1)
			i = 0
			continue
		}
		i++
	}
	i := len(s.visits)
	for i > 0 && (s.visits[i-1].from > x.from || s.visits[i-1].from == x.from && s.visits[i-1].key > x.key) {
		i--
	}
	s.visits = slices.Insert(s.visits, i, x)
	if len(s.visits) > maxVisits {
		s.visits = slices.Delete(s.visits, 0, 1)
	}
}

// current is the visit that runs at a time (ms): the latest, unless it has been silent for SessionGap.
func (s *State) current(now int64) (visit, bool) {
	var best visit
	for _, v := range s.visits {
		if v.to > best.to {
			best = v
		}
	}
	return best, best.to > 0 && now-best.to < SessionGap.Milliseconds()
}

// SourceKey is what a source is told apart by, 0 for none.
func SourceKey(source string) uint64 { return hash(source) }

// Source is the key of where the visit that runs came from, 0 where nothing said it or none runs.
func (s *State) Source(now time.Time) uint64 {
	if v, on := s.current(now.UnixMilli()); on {
		return v.source
	}
	return 0
}

// hash is FNV-1a, 64 bits; 0 only for the empty string.
func hash(v string) uint64 {
	if v == "" {
		return 0
	}
	h := uint64(14695981039346656037)
	for i := range len(v) {
		h = (h ^ uint64(v[i])) * 1099511628211
	}
	return max(h, 1)
}

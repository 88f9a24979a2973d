package layers

import (
	"math"
	"slices"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/layers/catalogue"
	"github.com/juncture/juncture/layers/moment"
	"github.com/juncture/juncture/layers/trajectory"
)

// RingSize is how many of the latest events a profile keeps.
const RingSize = 64

// MaxProfileBytes bounds what a profile holds in memory whatever the shopper does; Size says what it does hold. An
// ordinary shopper's is a few kilobytes.
const MaxProfileBytes = 160 << 10

// maxShopper is the longest id of a shopper, in bytes: the doors take 256 characters, each of at most four.
const maxShopper = 1024

// kinds is how many kinds of events are counted.
const kinds = int(juncture.EventCartEmptied) + 1

// States are the layers' states of one shopper that depend on the order of events, all folded over the same ones.
type States struct {
	Moment     moment.State
	Trajectory trajectory.State
}

func (s *States) fold(e juncture.Event) trajectory.Zones {
	s.Moment.Fold(e)
	return s.Trajectory.Fold(e)
}

func (s *States) merge(o States) {
	s.Moment.Merge(o.Moment)
	s.Trajectory.Merge(o.Trajectory)
}

func (s *States) clone() States {
	return States{Moment: s.Moment.Clone(), Trajectory: s.Trajectory.Clone()}
}

// Profile is what a shopper's events fold into. Base is the fold of all events that have left the ring, Head that of all
// events: Base, then the ring in order. So the order in which events arrive does not matter: a late one takes its place
// in the ring, or in Base when it is older than the ring, and Head is folded again. Base is sums and latest-ofs, which do
// not depend on order; what depends on it, the hysteresis, runs over the ring alone. Goods is the same in any order, so
// every event is folded into it when it comes, with all its lines.
//
// The zero value is a shopper of whom nothing is known. A Profile holds slices: Clone before folding a copy.
type Profile struct {
	Shopper    string // the first-seen id
	Base, Head States
	Goods      catalogue.State
	Ring       []Recent      // ascending by (At, ID), at most RingSize
	Counts     [kinds]uint32 // events by kind
	first      int64         // ms of the first and the last event; 0 for none
	last       int64
}

// FirstSeen is when the first event happened; the zero time for none.
func (p *Profile) FirstSeen() time.Time { return momentOf(p.first) }

// LastSeen is when the last event happened; the zero time for none.
func (p *Profile) LastSeen() time.Time { return momentOf(p.last) }

func momentOf(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// Fold adds one event, and reports whether it was new: an event whose id is in the ring is ignored (older repeats are for
// the store's unique key to find). One that comes in order costs O(1); a late one folds the ring again.
func (p *Profile) Fold(e juncture.Event) bool {
	if p.Shopper == "" {
		p.Shopper = short(e.Shopper, maxShopper)
	}
	var before *Recent
	if n := len(p.Ring); n > 0 {
		before = &p.Ring[n-1]
	}
	r := recentOf(e, before)
	for i := range p.Ring {
		if p.Ring[i].ID == r.ID && r.ID != "" {
			return false
		}
	}
	p.count(r, 1)
	p.Goods.Fold(&e, catalogue.Settings{})
	if p.first == 0 || r.At < p.first {
		p.first = r.At
	}
	p.last = max(p.last, r.At)

	ordered := before == nil || compareRecent(*before, r) <= 0
	if ordered {
		r.zones = p.Head.fold(r.Event())
		p.Ring = append(p.Ring, r)
	} else {
		i, _ := slices.BinarySearchFunc(p.Ring, r, compareRecent)
		p.Ring = slices.Insert(p.Ring, i, r)
	}
	slid := p.slide()
	switch {
	case !ordered:
		p.refold()
	case slid:
		p.latch()
	}
	return true
}

func (p *Profile) count(r Recent, by int64) {
	k := int(r.Kind)
	if k >= kinds {
		k = int(juncture.EventOther)
	}
	p.Counts[k] = uint32(min(max(int64(p.Counts[k])+by, 0), math.MaxUint32))
}

// slide folds what is too much of the ring into Base; false for nothing.
func (p *Profile) slide() bool {
	n := len(p.Ring) - RingSize
	if n <= 0 {
		return false
	}
	for i := range p.Ring[:n] {
		p.Base.fold(p.Ring[i].Event())
	}
	p.Base.Trajectory.Latch = 0
	p.Ring = slices.Delete(p.Ring, 0, n)
	if cap(p.Ring) > 2*RingSize {
		p.Ring = slices.Clip(slices.Clone(p.Ring))
	}
	return true
}

// refold makes Head from Base and the ring.
func (p *Profile) refold() {
	p.Head = p.Base.clone()
	for i := range p.Ring {
		p.Ring[i].zones = p.Head.fold(p.Ring[i].Event())
	}
}

// latch runs the hysteresis over the ring again, from where each event left the scores.
func (p *Profile) latch() {
	var l trajectory.Latch
	for i := range p.Ring {
		l = l.Next(p.Ring[i].zones)
	}
	p.Head.Trajectory.Latch = l
}

// Merge is the profile of two identities that turned out to be one shopper: what folding the events of both would have
// given. It commutes. An event that is in both rings counts once; one that has left either ring cannot be recognised,
// but an order is, by its id. The id of the shopper seen first stays.
func Merge(a, b Profile) Profile {
	if b.first != 0 && (a.first == 0 || b.first < a.first || b.first == a.first && b.Shopper < a.Shopper) {
		a, b = b, a
	}
	p := a.Clone()
	if p.Shopper == "" {
		p.Shopper = b.Shopper
	}
	p.Base.merge(b.Base)
	p.Goods = catalogue.Merge(&a.Goods, &b.Goods, catalogue.Settings{})
	p.Base.Trajectory.Latch = 0
	p.last = max(p.last, b.last)
	for k, n := range b.Counts {
		p.Counts[k] = uint32(min(uint64(p.Counts[k])+uint64(n), math.MaxUint32))
	}
	ids := make(map[string]bool, len(p.Ring))
	for i := range p.Ring {
		ids[p.Ring[i].ID] = p.Ring[i].ID != ""
	}
	for i := range b.Ring {
		if ids[b.Ring[i].ID] {
			p.count(b.Ring[i], -1)
			continue
		}
		p.Ring = append(p.Ring, b.Ring[i])
	}
	slices.SortStableFunc(p.Ring, compareRecent)
	p.slide()
	p.refold()
	return p
}

// Clone returns a copy that shares nothing that folding changes.
func (p *Profile) Clone() Profile {
	c := *p
	c.Base, c.Head = p.Base.clone(), p.Head.clone()
	c.Goods, c.Ring = p.Goods.Clone(), slices.Clone(p.Ring)
	return c
}

// profileBytes is the size of the struct itself.
const profileBytes = 2048

// Size is what the profile holds in memory, in bytes, at most MaxProfileBytes. Text shared between events counts every
// time.
func (p *Profile) Size() int {
	n := profileBytes + len(p.Shopper) + cap(p.Ring)*recentBytes + p.Goods.Bytes()
	for _, s := range []*States{&p.Base, &p.Head} {
		n += s.Moment.Bytes() + s.Trajectory.Bytes()
	}
	for i := range p.Ring {
		n += p.Ring[i].bytes()
	}
	return n
}

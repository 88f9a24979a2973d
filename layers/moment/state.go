package moment

import (
	"time"

	"github.com/juncture/juncture"
)

// State is what the moment of one shopper is read from. Its zero value is a shopper of whom nothing is known. Every part
// is a sum, a latest-of, or a list of the latest few, so that neither the order of events nor the order of merges
// matters: only what falls off the end of a list (the 33rd order, the 17th change of one cart, the 9th session) is kept
// as a sum. It is bounded: see MaxBytes.
//
// It holds slices; Clone before folding a copy.
type State struct {
	first, last int64 // ms of the first and the last thing the shopper did; 0 for none
	events      uint32
	orders      orders
	cart        cart
	sessions    []session // ascending by from
	told        session   // the latest session off the list that could say a mode
}

// MaxBytes bounds what a State holds in memory: the struct and its lists at their capacity.
const MaxBytes = 5 << 10

// active reports whether the kind is something the shopper did. Cancelling and refunding is the store's doing, and an
// identify says nothing.
func active(k juncture.EventKind) bool {
	switch k {
	case juncture.EventOrderCancelled, juncture.EventOrderRefunded, juncture.EventIdentified:
		return false
	}
	return true
}

// Fold adds one event in O(1).
func (s *State) Fold(e juncture.Event) {
	at := e.At.UnixMilli()
	if active(e.Kind) {
		if s.events == 0 || at < s.first {
			s.first = at
		}
		if s.events == 0 || at > s.last {
			s.last = at
		}
		if s.events < 1<<31 {
			s.events++
		}
		s.addSession(sessionOf(e, at))
	}
	s.orders.fold(e, at)
	s.cart.fold(e, at)
}

// Merge adds what another profile of the same shopper holds. It commutes.
func (s *State) Merge(o State) {
	if o.events > 0 {
		if s.events == 0 || o.first < s.first {
			s.first = o.first
		}
		if s.events == 0 || o.last > s.last {
			s.last = o.last
		}
		s.events = min(s.events+o.events, 1<<31)
	}
	for _, x := range o.sessions {
		s.addSession(x)
	}
	s.told = later(s.told, o.told)
	s.orders.merge(o.orders)
	s.cart.merge(o.cart)
}

// Clone returns a copy that shares nothing.
func (s State) Clone() State {
	s.orders.recent = append([]order(nil), s.orders.recent...)
	s.cart.changes = append([]change(nil), s.cart.changes...)
	s.sessions = append([]session(nil), s.sessions...)
	return s
}

// Bytes is what the State holds in memory, beside its own struct.
func (s *State) Bytes() int {
	return cap(s.orders.recent)*40 + cap(s.cart.changes)*24 + cap(s.sessions)*sessionBytes
}

// Events is how many things the shopper did.
func (s *State) Events() int { return int(s.events) }

// LastEvent is when the shopper last did something; false for never.
func (s *State) LastEvent() (time.Time, bool) {
	return time.UnixMilli(s.last).UTC(), s.events > 0
}

// Orders is how many orders count: neither cancelled nor wholly refunded.
func (s *State) Orders() int { n, _ := s.orders.counted(); return n }

// LifetimeValue is what the counted orders brought, less refunds, in minor units.
func (s *State) LifetimeValue() int64 { _, v := s.orders.counted(); return v }

// LastOrder is when the last counted order was; false for none.
func (s *State) LastOrder() (time.Time, bool) {
	at, ok := s.orders.lastAt()
	return time.UnixMilli(at).UTC(), ok
}

// CartQuantity is how many items the bag holds as far as its changes tell.
func (s *State) CartQuantity() int { q, _ := s.cart.holds(); return q }

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

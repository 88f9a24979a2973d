package moment

import (
	"encoding/binary"
	"errors"
	"slices"
)

var errMalformed = errors.New("moment: malformed state")

// AppendBinary appends the State in its compact form: varints, without a version (the profile carries one).
func (s *State) AppendBinary(b []byte) []byte {
	i := func(v int64) { b = binary.AppendVarint(b, v) }
	u := func(v uint64) { b = binary.AppendUvarint(b, v) }
	h := func(v uint64) { b = binary.LittleEndian.AppendUint64(b, v) }
	i(s.first)
	i(s.last - s.first)
	u(uint64(s.events))
	u(uint64(len(s.orders.recent)))
	for _, o := range s.orders.recent {
		h(o.id)
		i(o.at)
		i(o.value)
		i(o.refunded)
		flags := byte(0)
		if o.placed {
			flags |= 1
		}
		if o.void {
			flags |= 2
		}
		b = append(b, flags)
	}
	for _, v := range []int64{s.orders.older, s.orders.value, s.orders.first, s.orders.lastOff,
		s.cart.step, s.cart.look, s.cart.checkout, s.cart.clear, s.cart.carried, s.cart.carriedA} {
		i(v)
	}
	u(uint64(len(s.cart.changes)))
	for _, c := range s.cart.changes {
		i(c.at)
		h(c.product)
		i(int64(c.by))
	}
	u(uint64(len(s.sessions)))
	for _, x := range append(slices.Clone(s.sessions), s.told) {
		i(x.from)
		i(x.to - x.from)
		for _, v := range []uint64{x.key, x.products, x.categories} {
			u(v)
		}
		for _, v := range []uint16{x.events, x.views, x.details, x.wide} {
			u(uint64(v))
		}
	}
	return b
}

type reader struct {
	b   []byte
	bad bool
}

func (r *reader) i() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) u() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) h() uint64 {
	if len(r.b) < 8 {
		r.bad = true
		return 0
	}
	v := binary.LittleEndian.Uint64(r.b)
	r.b = r.b[8:]
	return v
}

func (r *reader) byte() byte {
	if len(r.b) < 1 {
		r.bad = true
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

func (r *reader) length(most int) int {
	n := r.u()
	if n > uint64(most) {
		r.bad = true
		return 0
	}
	return int(n)
}

// ReadBinary reads what AppendBinary wrote and returns the rest of b.
func (s *State) ReadBinary(b []byte) (rest []byte, err error) {
	r := &reader{b: b}
	*s = State{first: r.i()}
	s.last = s.first + r.i()
	s.events = uint32(min(r.u(), 1<<31))
	for range r.length(maxOrders) {
		o := order{id: r.h(), at: r.i(), value: r.i(), refunded: r.i()}
		flags := r.byte()
		o.placed, o.void = flags&1 != 0, flags&2 != 0
		s.orders.recent = append(s.orders.recent, o)
	}
	for _, v := range []*int64{&s.orders.older, &s.orders.value, &s.orders.first, &s.orders.lastOff,
		&s.cart.step, &s.cart.look, &s.cart.checkout, &s.cart.clear, &s.cart.carried, &s.cart.carriedA} {
		*v = r.i()
	}
	for range r.length(maxChanges) {
		s.cart.changes = append(s.cart.changes, change{at: r.i(), product: r.h(), by: int32(r.i())})
	}
	n := r.length(maxSessions)
	for i := range n + 1 {
		x := session{from: r.i()}
		x.to = x.from + r.i()
		for _, v := range []*uint64{&x.key, &x.products, &x.categories} {
			*v = r.u()
		}
		for _, v := range []*uint16{&x.events, &x.views, &x.details, &x.wide} {
			*v = uint16(r.u())
		}
		if i < n {
			s.sessions = append(s.sessions, x)
		} else {
			s.told = x
		}
	}
	if r.bad || !slices.IsSortedFunc(s.orders.recent, compareOrders) || !slices.IsSortedFunc(s.cart.changes, compareChanges) {
		*s = State{}
		return nil, errMalformed
	}
	return r.b, nil
}

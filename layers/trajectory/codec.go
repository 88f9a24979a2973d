package trajectory

import (
	"encoding/binary"
	"errors"
)

var errMalformed = errors.New("trajectory: malformed state")

// AppendBinary appends the State in its compact form: varints, without a version (the profile carries one).
func (s *State) AppendBinary(b []byte) []byte {
	for _, d := range []*decayed{&s.latentFast, &s.latentSlow, &s.liveFast, &s.liveSlow} {
		b = binary.AppendVarint(b, d.top)
		for _, v := range d.sum {
			b = binary.AppendVarint(b, v)
		}
	}
	b = binary.AppendVarint(b, s.first)
	b = binary.AppendVarint(b, s.last)
	b = binary.AppendUvarint(b, uint64(s.events))
	b = binary.AppendUvarint(b, uint64(s.Latch))
	b = append(b, byte(len(s.visits)))
	for _, v := range s.visits {
		for _, x := range []int64{v.from, v.to, v.product, v.added, v.checkout, v.retreat, v.ordered} {
			b = binary.AppendVarint(b, x)
		}
		b = binary.AppendUvarint(b, v.key)
		b = binary.AppendUvarint(b, v.seen)
		b = binary.AppendVarint(b, v.sourced)
		b = binary.AppendUvarint(b, v.source)
		for _, x := range []uint16{v.pages, v.articles, v.views, v.details, v.additions} {
			b = binary.AppendUvarint(b, uint64(x))
		}
	}
	return b
}

// lastTop bounds a decoded half-life, so that no arithmetic on it can overflow.
const lastTop = int64(1) << 50

// ReadBinary reads what AppendBinary wrote and returns the rest of b. sourced is false for what was written before
// visits had a source.
func (s *State) ReadBinary(b []byte, sourced bool) (rest []byte, err error) {
	bad := false
	i := func() int64 {
		v, n := binary.Varint(b)
		if n <= 0 {
			bad = true
			return 0
		}
		b = b[n:]
		return v
	}
	u := func() uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			bad = true
			return 0
		}
		b = b[n:]
		return v
	}
	*s = State{}
	for _, d := range []*decayed{&s.latentFast, &s.latentSlow, &s.liveFast, &s.liveSlow} {
		d.top = i()
		bad = bad || d.top < 0 || d.top > lastTop
		for j := range d.sum {
			d.sum[j] = i()
		}
	}
	s.first, s.last, s.events = i(), i(), uint32(min(u(), 1<<31))
	latch, n := u(), u()
	if bad || latch >= latches || n > maxVisits {
		*s = State{}
		return nil, errMalformed
	}
	s.Latch = Latch(latch)
	for range n {
		var v visit
		for _, x := range []*int64{&v.from, &v.to, &v.product, &v.added, &v.checkout, &v.retreat, &v.ordered} {
			*x = i()
		}
		v.key, v.seen = u(), u()
		if sourced {
			v.sourced, v.source = i(), u()
		}
		for _, x := range []*uint16{&v.pages, &v.articles, &v.views, &v.details, &v.additions} {
			*x = uint16(u())
		}
		s.visits = append(s.visits, v)
	}
	if bad {
		*s = State{}
		return nil, errMalformed
	}
	return b, nil
}

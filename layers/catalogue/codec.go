package catalogue

import (
	"encoding/binary"
	"errors"
)

const stateVersion = 1

func errNotState() error { return errors.New("catalogue: not a stored state") }

// AppendBinary appends the state's stored form: version, time, then the three lists, each with its count.
func (s *State) AppendBinary(dst []byte) []byte {
	dst = append(dst, stateVersion)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(s.Cleared))
	for _, list := range [][]Seen{s.Viewed, s.Bag, s.Bought} {
		dst = binary.LittleEndian.AppendUint16(dst, uint16(len(list)))
		for _, e := range list {
			at := uint64(e.At) << 1
			if e.Out {
				at |= 1
			}
			dst = binary.LittleEndian.AppendUint64(dst, uint64(e.Key))
			dst = binary.LittleEndian.AppendUint64(dst, at)
		}
	}
	return dst
}

// reader takes fixed parts off a stored state; after the first that is missing everything is zero and bad is set.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if r.bad || len(r.b) < n {
		r.bad = true
		return make([]byte, n)
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) uint64() uint64 { return binary.LittleEndian.Uint64(r.take(8)) }

// DecodeState reads what AppendBinary wrote and returns what follows it.
func DecodeState(b []byte) (State, []byte, error) {
	r := &reader{b: b}
	if r.take(1)[0] != stateVersion {
		return State{}, b, errNotState()
	}
	s := State{Cleared: int64(r.uint64())}
	for _, to := range []struct {
		list *[]Seen
		most int
	}{{&s.Viewed, 64}, {&s.Bag, 64}, {&s.Bought, 512}} {
		n := int(binary.LittleEndian.Uint16(r.take(2)))
		if r.bad || n > to.most || len(r.b) < 16*n {
			return State{}, b, errNotState()
		}
		for i := range n {
			e := Seen{Key: Key(r.uint64())}
			at := r.uint64()
			e.At, e.Out = int64(at)>>1, at&1 == 1
			if e.At < 0 || e.At > lastMs || i > 0 && e.Key <= (*to.list)[i-1].Key {
				return State{}, b, errNotState()
			}
			*to.list = append(*to.list, e)
		}
	}
	return s, r.b, nil
}

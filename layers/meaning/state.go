package meaning

import (
	"cmp"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/juncture/juncture"
)

// State is a shopper's taste: for each attribute the sum over the events about products that have it of
//
//	Weight(kind) * (share * idf)^2 / (attributes of that kind on the product) * 2^(-age / HalfLife)
//
// the idf as it was when the event was folded. It is additive, so neither the order of events nor of merges matters but
// for rounding and for what the bound drops. The zero value is ready. At most twice Settings.Attributes are held, 12
// bytes each when stored (23 bytes and up to 1,536 more by default): when more come, the heaviest Settings.Attributes
// stay, so that a new taste has room to grow beside the old.
type State struct {
	At       int64   // the time the weights are of, Unix milliseconds
	Events   uint32  // about products of taste, not decayed
	Evidence float64 // sum of the events' weights, in product views, decayed
	Tastes   []Taste // in order of Key
}

// Taste is the weight of one attribute.
type Taste struct {
	Key    uint64
	Weight float32
}

// feature is an attribute of a product in a space.
type feature struct {
	key    uint64
	weight float32
}

const maxFeatures = 64 // of one product; a product with more loses the last of them

// features appends to dst what a product adds to a taste.
func (s *Space) features(p *juncture.Product, dst []feature) []feature {
	if sealed(p) {
		return dst
	}
	var counts [KindWord + 1]float32
	start := len(dst)
	var kinds [maxFeatures]Kind
	add := func(kind Kind, key uint64) {
		d, ok := s.dims[key]
		n := len(dst) - start
		if !ok || n >= maxFeatures || slices.ContainsFunc(dst[start:], func(f feature) bool { return f.key == key }) {
			return
		}
		kinds[n] = kind
		counts[kind]++
		dst = append(dst, feature{key, s.gains[d]})
	}
	visit(p, func(kind Kind, name, value string) { add(kind, keyOf(kind, name, value)) })
	if b := s.band(p.Price); b != "" {
		add(KindPrice, keyOf(KindPrice, "", b))
	}
	words(p.Title, func(_, stem []byte) { add(KindWord, keyOf(KindWord, "", string(stem))) })
	for i := range dst[start:] {
		dst[start+i].weight /= counts[kinds[i]]
	}
	return dst
}

// queryFeatures appends to dst the attributes that a search names.
func (s *Space) queryFeatures(query string, dst []feature) []feature {
	if len(query) > 256 {
		query = query[:256]
	}
	words(query, func(_, stem []byte) {
		key := keyOf(KindWord, "", string(stem))
		if d, ok := s.dims[key]; ok && len(dst) < maxFeatures {
			dst = append(dst, feature{key, s.gains[d]})
		}
	})
	return dst
}

// Fold adds an event. Its products are looked up in the catalogue; one that is not there counts by its line's category
// alone. The cost does not depend on what was folded before: it is bounded by the event's lines, a product's features and
// Settings.Attributes.
func (s *State) Fold(e *juncture.Event, lookup func(id string) (*juncture.Product, bool), space *Space, set Settings) {
	weight := Weight(e.Kind)
	if weight == 0 || space == nil {
		return
	}
	set = set.WithDefaults()
	var buf [maxFeatures]feature
	added := false
	factor := float32(0)
	begin := func() {
		if !added {
			factor = float32(weight) * s.advance(e.At.UnixMilli(), set.HalfLife)
			added = true
		}
	}
	for i := range e.Lines[:min(len(e.Lines), juncture.MaxLines)] {
		line := &e.Lines[i]
		fs := buf[:0]
		if p, ok := lookup(line.Product); ok {
			fs = space.features(p, fs)
		} else if line.Category != "" {
			fs = space.features(&juncture.Product{Category: line.Category}, fs)
		}
		if len(fs) > 0 {
			begin()
			s.add(fs, factor)
		}
	}
	if len(e.Lines) == 0 {
		fs := buf[:0]
		if e.Category != "" {
			fs = space.features(&juncture.Product{Category: e.Category}, fs)
		}
		if e.Query != "" {
			fs = space.queryFeatures(e.Query, fs)
		}
		if len(fs) > 0 {
			begin()
			s.add(fs, factor)
		}
	}
	if added {
		s.Events = addEvents(s.Events, 1)
		s.Evidence += float64(factor)
		if len(s.Tastes) > 2*set.Attributes {
			s.trim(set.Attributes)
		}
	}
}

// advance moves the state's time to at, when that is later, and returns the factor of an event at that time.
func (s *State) advance(at int64, halfLife time.Duration) float32 {
	if s.Events == 0 && len(s.Tastes) == 0 {
		s.At = at
		return 1
	}
	if at <= s.At {
		return decay(s.At-at, halfLife)
	}
	s.scale(decay(at-s.At, halfLife))
	s.At = at
	return 1
}

func decay(millis int64, halfLife time.Duration) float32 {
	return float32(math.Exp2(-float64(millis) / float64(halfLife.Milliseconds())))
}

func (s *State) scale(f float32) {
	for i := range s.Tastes {
		s.Tastes[i].Weight *= f
	}
	s.Evidence *= float64(f)
}

func (s *State) add(fs []feature, factor float32) {
	for _, f := range fs {
		w := f.weight * factor
		if w == 0 {
			continue
		}
		i, found := s.find(f.key)
		if !found {
			s.Tastes = slices.Insert(s.Tastes, i, Taste{Key: f.key})
		}
		s.Tastes[i].Weight += w
	}
	if len(s.Tastes) > 2*MaxTaste { // a single event with very many attributes
		s.trim(MaxTaste)
	}
}

func (s *State) find(key uint64) (int, bool) {
	lo, hi := 0, len(s.Tastes)
	for lo < hi {
		if m := int(uint(lo+hi) >> 1); s.Tastes[m].Key < key {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return lo, lo < len(s.Tastes) && s.Tastes[lo].Key == key
}

// trim keeps the n heaviest tastes; of equals the one with the smaller key.
func (s *State) trim(n int) {
	if len(s.Tastes) <= n {
		return
	}
	slices.SortFunc(s.Tastes, func(a, b Taste) int { return cmp.Or(cmp.Compare(b.Weight, a.Weight), cmp.Compare(a.Key, b.Key)) })
	s.Tastes = s.Tastes[:n]
	slices.SortFunc(s.Tastes, func(a, b Taste) int { return cmp.Compare(a.Key, b.Key) })
}

// Merge returns the taste of two shoppers who turn out to be one. It commutes exactly.
func Merge(a, b *State, set Settings) State {
	set = set.WithDefaults()
	if a.empty() {
		return b.Clone()
	}
	if b.empty() {
		return a.Clone()
	}
	x, y := a.Clone(), b.Clone()
	at := max(x.At, y.At)
	for _, s := range []*State{&x, &y} {
		if s.At < at {
			s.scale(decay(at-s.At, set.HalfLife))
			s.At = at
		}
	}
	out := State{At: at, Events: addEvents(x.Events, y.Events), Evidence: x.Evidence + y.Evidence, Tastes: make([]Taste, 0, len(x.Tastes)+len(y.Tastes))}
	i, j := 0, 0
	for i < len(x.Tastes) || j < len(y.Tastes) {
		switch {
		case j == len(y.Tastes) || i < len(x.Tastes) && x.Tastes[i].Key < y.Tastes[j].Key:
			out.Tastes = append(out.Tastes, x.Tastes[i])
			i++
		case i == len(x.Tastes) || y.Tastes[j].Key < x.Tastes[i].Key:
			out.Tastes = append(out.Tastes, y.Tastes[j])
			j++
		default:
			out.Tastes = append(out.Tastes, Taste{x.Tastes[i].Key, x.Tastes[i].Weight + y.Tastes[j].Weight})
			i, j = i+1, j+1
		}
	}
	if len(out.Tastes) > 2*set.Attributes {
		out.trim(set.Attributes)
	}
	return out
}

func addEvents(a, b uint32) uint32 {
	if a > math.MaxUint32-b {
		return math.MaxUint32
	}
	return a + b
}

func (s *State) empty() bool { return s.Events == 0 && len(s.Tastes) == 0 }

// Clone returns a deep copy.
func (s *State) Clone() State {
	out := *s
	out.Tastes = slices.Clone(s.Tastes)
	return out
}

// Vector is a taste in a space, of length 1: the square roots of its weights, so that the tenth shirt says less than
// the first. Empty when the shopper has none of the space's attributes.
type Vector struct {
	Dims   []int32 // ascending
	Values []float32
}

// Vector returns the taste in the space.
func (s *State) Vector(space *Space) Vector {
	v := Vector{Dims: make([]int32, 0, len(s.Tastes)), Values: make([]float32, 0, len(s.Tastes))}
	type entry struct {
		dim   int32
		value float32
	}
	var buf [2 * MaxTaste]entry
	es := buf[:0]
	sum := 0.0
	for _, t := range s.Tastes {
		if d, ok := space.dims[t.Key]; ok && t.Weight > 0 {
			es = append(es, entry{d, t.Weight})
			sum += float64(t.Weight)
		}
	}
	if sum <= 0 {
		return Vector{}
	}
	slices.SortFunc(es, func(a, b entry) int { return cmp.Compare(a.dim, b.dim) })
	for _, e := range es {
		v.Dims = append(v.Dims, e.dim)
		v.Values = append(v.Values, float32(math.Sqrt(float64(e.value)/sum)))
	}
	return v
}

const stateVersion = 1

func errNotState() error { return errors.New("meaning: not a stored taste") }

// AppendBinary appends the state's stored form: version, time, events, evidence, count, then 12 bytes a taste.
func (s *State) AppendBinary(dst []byte) []byte {
	dst = append(dst, stateVersion)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(s.At))
	dst = binary.LittleEndian.AppendUint32(dst, s.Events)
	dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(s.Evidence))
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(s.Tastes)))
	for _, t := range s.Tastes {
		dst = binary.LittleEndian.AppendUint64(dst, t.Key)
		dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(t.Weight))
	}
	return dst
}

// DecodeState reads what AppendBinary wrote and returns what follows it.
func DecodeState(b []byte) (State, []byte, error) {
	const head = 1 + 8 + 4 + 8 + 2
	if len(b) < head || b[0] != stateVersion {
		return State{}, b, errNotState()
	}
	s := State{At: int64(binary.LittleEndian.Uint64(b[1:])), Events: binary.LittleEndian.Uint32(b[9:]),
		Evidence: math.Float64frombits(binary.LittleEndian.Uint64(b[13:]))}
	n := int(binary.LittleEndian.Uint16(b[21:]))
	rest := b[head:]
	if n > 2*MaxTaste || len(rest) < 12*n || !(s.Evidence >= 0 && s.Evidence <= math.MaxFloat64) {
		return State{}, b, errNotState()
	}
	if n > 0 {
		s.Tastes = make([]Taste, n)
	}
	for i := range s.Tastes {
		t := Taste{binary.LittleEndian.Uint64(rest), math.Float32frombits(binary.LittleEndian.Uint32(rest[8:]))}
		if !(t.Weight >= 0 && t.Weight <= math.MaxFloat32) || i > 0 && t.Key <= s.Tastes[i-1].Key {
			return State{}, b, errNotState()
		}
		s.Tastes[i], rest = t, rest[12:]
	}
	return s, rest, nil
}

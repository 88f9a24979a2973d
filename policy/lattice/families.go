package lattice

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/juncture/juncture"
)

// who says which part of an arm the effects of a family belong to.
type who int8

const (
	everyone who = iota // base effects
	byAction
	byCopy // the same way of saying, whatever is said
	byArm
	whoCount
)

// where says which part of the key the effects of a family belong to.
type where struct {
	layer, axis int // axis -1: the whole layer; layer -1: the store; layer juncture.LayerCount: the whole key
	with        int // a second layer, -1: none
}

var store = where{-1, -1, -1}
var wholeKey = where{juncture.LayerCount, -1, -1}

func (w where) name() string {
	switch {
	case w == store:
		return "store"
	case w == wholeKey:
		return "intersection"
	case w.with >= 0:
		return juncture.Layer(w.layer).String() + " × " + juncture.Layer(w.with).String()
	case w.axis >= 0:
		names := juncture.Layer(w.layer).Axes()
		if w.axis < len(names) && len(names) > 1 {
			return names[w.axis]
		}
		return fmt.Sprintf("%s[%d]", juncture.Layer(w.layer), w.axis)
	}
	return juncture.Layer(w.layer).String()
}

// place is a partition of the intersections by a part of their keys.
type place struct {
	where
	level  []int32 // of each intersection, in key order; -1: unknown there; nil after the fit where all or none differ
	n      int
	labels []string         // of each level; nil for the whole key
	index  map[string]int32 // by label; nil for the whole key and the store
}

// maxAxes of one layer; what lies behind the last is part of it.
const maxAxes = 6

// label returns what an intersection has at w; false: unknown.
func (w where) label(x *juncture.Intersection, buf []byte) ([]byte, bool) {
	if w.with >= 0 {
		a, b := x[w.layer], x[w.with]
		if a == "" || b == "" || !juncture.Known(a) || !juncture.Known(b) {
			return buf, false
		}
		return append(append(append(buf, a...), '/'), b...), true
	}
	v := x[w.layer]
	if w.axis >= 0 {
		for range w.axis {
			_, rest, ok := strings.Cut(v, ".")
			if !ok {
				return buf, false
			}
			v = rest
		}
		if w.axis < maxAxes-1 {
			v, _, _ = strings.Cut(v, ".")
		}
	}
	if v == "" || !juncture.Known(v) {
		return buf, false
	}
	return append(buf, v...), true
}

// places returns the distinct partitions of the intersections: the store, each layer, each axis, moment with each other
// layer, the whole key. One that says what an earlier one says, or nothing (a single level), is left out: its effects
// would be the same effects again, under a doubled prior.
func places(keys []juncture.Intersection) []*place {
	out := []*place{{where: store, level: make([]int32, len(keys)), n: 1}}
	seen := map[uint64]bool{}
	add := func(w where) {
		p := &place{where: w, level: make([]int32, len(keys)), index: map[string]int32{}}
		h := fnv.New64a()
		var b [4]byte
		var buf []byte
		for i := range keys {
			l := int32(-1)
			var ok bool
			if buf, ok = w.label(&keys[i], buf[:0]); ok {
				if l, ok = p.index[string(buf)]; !ok {
					l = int32(p.n)
					p.n++
					p.index[string(buf)] = l
					p.labels = append(p.labels, string(buf))
				}
			}
			p.level[i] = l
			binary.LittleEndian.PutUint32(b[:], uint32(l))
			h.Write(b[:])
		}
		if p.n > 1 && !seen[h.Sum64()] {
			seen[h.Sum64()] = true
			out = append(out, p)
		}
	}
	for l := range juncture.LayerCount {
		add(where{l, -1, -1})
	}
	for l := range juncture.LayerCount {
		axes := 1
		for i := range keys {
			axes = max(axes, min(maxAxes, 1+strings.Count(keys[i][l], ".")))
		}
		for a := 0; axes > 1 && a < axes; a++ {
			add(where{l, a, -1})
		}
	}
	for l := 1; l < juncture.LayerCount; l++ {
		add(where{0, -1, l})
	}
	key := &place{where: wholeKey, level: make([]int32, len(keys)), n: len(keys)}
	h := fnv.New64a()
	var b [4]byte
	for i := range key.level {
		key.level[i] = int32(i)
		binary.LittleEndian.PutUint32(b[:], uint32(i))
		h.Write(b[:])
	}
	if len(keys) > 1 && !seen[h.Sum64()] {
		out = append(out, key)
	}
	return out
}

// family is the effects of one kind: one for each level of a place and each part of an arm.
type family struct {
	place *place
	who   who
	part  []int32 // of each arm; -1: it has none here
	k     int     // parts: 1 for base effects
	spare bool    // the last part is nobody's
	start float64
	width float64
	worth float64 // of the starting width, in effects; 0: hyperEffects
	// Of each effect, at [level*k + part]; for the whole key of actions and arms at the rows' own index (fit.group).
	effect, info []float64
	sparse       bool
}

// width is the prior's starting standard deviation on the log-odds (B.2).
func startWidth(w where, of who) float64 {
	layered := w.layer >= 0 && w.layer < juncture.LayerCount && w.with < 0
	switch of {
	case everyone:
		switch {
		case w == wholeKey:
			return 0.1
		case layered && (w.axis >= 0 || w.layer == int(juncture.Moment)):
			return 0.4
		case layered:
			return 0.3
		}
	case byAction:
		switch {
		case w == store:
			return 0.2
		case w == wholeKey:
			return 0.05
		case layered && w.axis >= 0:
			return 0.1
		case layered && w.layer == int(juncture.Meaning):
			return 0.15
		case layered:
			return 0.2
		}
		return 0.08
	case byCopy:
		return 0.1
	case byArm:
		if w == store {
			return 0.1
		}
		return 0.05
	}
	return 0
}

func (f *family) name() string {
	switch f.who {
	case everyone:
		return f.place.name()
	case byAction:
		if f.place.where == store {
			return "action"
		}
		return "action × " + f.place.name()
	case byCopy:
		if f.place.where == store {
			return "copy"
		}
		return "copy × " + f.place.name()
	}
	if f.place.where == store {
		return "action × copy"
	}
	return "arm × " + f.place.name()
}

// families lists those of B.1 for the places that there are, base effects first, broad before narrow.
func families(places []*place, c *cast) []*family {
	var out []*family
	add := func(p *place, of who) {
		part, k := c.parts(of, p.where)
		if slices.Max(part) >= 0 {
			out = append(out, &family{place: p, who: of, part: part, k: k, start: startWidth(p.where, of), sparse: p.where == wholeKey && of != everyone})
		}
	}
	for _, p := range places {
		if p.where != store && p.with < 0 {
			add(p, everyone)
		}
	}
	for _, p := range places {
		add(p, byAction)
	}
	for _, p := range places {
		layered := p.layer >= 0 && p.layer < juncture.LayerCount && p.axis < 0 && p.with < 0
		if p.where == store || layered {
			add(p, byCopy)
		}
		if p.where == store || p.where == wholeKey {
			add(p, byArm)
		}
	}
	return out
}

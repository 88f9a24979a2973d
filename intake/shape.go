package intake

import (
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"time"
)

// kind is what a place in a document may hold.
type kind uint8

const (
	anyKind     kind = iota // any JSON value
	textKind                // a string
	spelledKind             // a string that the type itself reads: UnmarshalText, time.Time
	numberKind              // a finite number
	integerKind             // a whole number of the type's range
	boolKind
	objectKind // a struct: known fields
	mapKind    // any keys, values of one shape
	listKind
)

var wanted = [...]string{"any value", "text", "text", "a number", "a whole number", "true or false", "an object", "an object", "a list"}

// shape is a Go type as the decoders see it; it is immutable once made.
type shape struct {
	kind   kind
	typ    reflect.Type // pointers taken off
	null   bool         // the place may hold null wherever it stands: a pointer, or any value
	fields []field      // of objectKind, in the order of the struct
	byName map[string]int
	elem   *shape // of mapKind and listKind
}

type field struct {
	name      string
	index     []int
	omitEmpty bool
	shape     *shape
}

// shapeOf reads a type with its json tags. Embedded structs lend their fields; the option ",string" is not known.
func shapeOf(t reflect.Type) *shape { return (&shaper{done: map[reflect.Type]*shape{}}).of(t) }

type shaper struct{ done map[reflect.Type]*shape }

func (sr *shaper) of(t reflect.Type) *shape {
	if s, ok := sr.done[t]; ok {
		return s
	}
	s := &shape{typ: t}
	sr.done[t] = s // before its parts: a type may hold itself
	for s.typ.Kind() == reflect.Pointer {
		s.typ, s.null = s.typ.Elem(), true
	}
	ptr := reflect.PointerTo(s.typ)
	switch {
	case s.typ == reflect.TypeFor[json.Number]():
		s.kind = numberKind
	case s.typ == reflect.TypeFor[time.Time]():
		s.kind = spelledKind
	case ptr.Implements(reflect.TypeFor[json.Unmarshaler]()): // json.RawMessage too
		s.kind, s.null = anyKind, true
	case ptr.Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		s.kind = spelledKind
	default:
		sr.plain(s)
	}
	return s
}

func (sr *shaper) plain(s *shape) {
	switch s.typ.Kind() {
	case reflect.String:
		s.kind = textKind
	case reflect.Bool:
		s.kind = boolKind
	case reflect.Float32, reflect.Float64:
		s.kind = numberKind
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		s.kind = integerKind
	case reflect.Slice:
		if s.typ.Elem().Kind() == reflect.Uint8 { // base64 text, for encoding/json to judge
			s.kind, s.null = anyKind, true
			return
		}
		s.kind, s.elem = listKind, sr.of(s.typ.Elem())
	case reflect.Map:
		s.kind, s.elem = mapKind, sr.of(s.typ.Elem())
	case reflect.Struct:
		s.kind = objectKind
		sr.fields(s, s.typ, nil)
		s.index()
	default:
		s.kind, s.null = anyKind, true
	}
}

func (sr *shaper) fields(s *shape, t reflect.Type, index []int) {
	for i := range t.NumField() {
		f := t.Field(i)
		at := append(append([]int(nil), index...), i)
		name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct {
			sr.fields(s, f.Type, at)
			continue
		}
		if !f.IsExported() || name == "-" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		s.fields = append(s.fields, field{name: name, index: at, omitEmpty: strings.Contains(opts, "omitempty"), shape: sr.of(f.Type)})
	}
}

// without returns the shape of a struct less one of its fields.
func (s *shape) without(names ...string) *shape {
	out := *s
	out.fields = slices.DeleteFunc(slices.Clone(s.fields), func(f field) bool { return slices.Contains(names, f.name) })
	out.index()
	return &out
}

func (s *shape) index() {
	s.byName = make(map[string]int, len(s.fields))
	for i, f := range s.fields {
		s.byName[f.name] = i
	}
}

// names lists the fields for a hint.
func (s *shape) names() []string {
	out := make([]string, len(s.fields))
	for i, f := range s.fields {
		out[i] = f.name
	}
	return out
}

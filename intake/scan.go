package intake

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/juncture/juncture"
)

// scanner checks a JSON text in one pass over its bytes; it allocates only where it has something to say.
type scanner struct {
	b        []byte
	i        int
	depth    int                // open objects and lists
	steps    [MaxDepth + 1]step // steps[d] is where we are in the container at depth d
	loose    bool               // only the syntax, deeper, without shapes
	lenient  bool               // unknown top-level fields are warnings
	unknown  int                // of them
	codes    map[string]juncture.Code
	warnings []string
}

// step is a key of an object, or an index of a list where key is nil.
type step struct {
	key   []byte
	index int
}

// looseDepth bounds the nesting of a batch's items; what is deeper than MaxDepth is then the item's own problem.
const looseDepth = 256

func (s *scanner) path() string {
	var b strings.Builder
	for d := 1; d <= min(s.depth, MaxDepth); d++ {
		switch st := s.steps[d]; {
		case st.key == nil:
			fmt.Fprintf(&b, "[%d]", st.index)
		case len(st.key) > 0:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			fmt.Fprintf(&b, "%.64s", st.key)
		}
	}
	return b.String()
}

// refuse makes the error at the place where the scan stands.
func (s *scanner) refuse(message, hint string) *juncture.Error {
	e := &juncture.Error{Code: juncture.CodeInvalidRequest, Message: message, Hint: hint, Field: s.path()}
	if s.depth > 0 {
		if code, ok := s.codes[string(s.steps[1].key)]; ok {
			e.Code = code
		}
	}
	return e
}

// broken is the error of a text that is not JSON.
func (s *scanner) broken(want string) *juncture.Error {
	if s.i >= len(s.b) {
		return s.refuse("the JSON ends too early", "it needs "+want)
	}
	switch word := string(s.b[s.i:min(s.i+9, len(s.b))]); {
	case strings.HasPrefix(word, "NaN"), strings.HasPrefix(word, "Infinity"), strings.HasPrefix(word, "-Infinity"):
		return s.refuse("NaN and Infinity are not JSON", "send a finite number, or leave the field out")
	}
	return s.refuse(fmt.Sprintf("not valid JSON at byte %d", s.i+1), "it needs "+want)
}

func (s *scanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\n', '\t', '\r':
			s.i++
		default:
			return
		}
	}
}

func (s *scanner) peek() byte {
	if s.i < len(s.b) {
		return s.b[s.i]
	}
	return 0
}

// next moves to the n-th entry of a container that ends with last; false: it ended.
func (s *scanner) next(last byte, n int) (bool, *juncture.Error) {
	s.space()
	if s.peek() == last {
		s.i++
		return false, nil
	}
	if n == 0 {
		return true, nil
	}
	if s.peek() != ',' {
		return false, s.broken("a comma or " + string(last))
	}
	s.i++
	if s.space(); s.peek() == last {
		return false, s.broken("no comma before " + string(last))
	}
	return true, nil
}

// value checks the value that begins here.
func (s *scanner) value(sh *shape) *juncture.Error {
	s.space()
	got := anyKind
	from := s.i
	switch c := s.peek(); c {
	case '"':
		return s.stringValue(sh)
	case '{':
		return s.object(sh)
	case '[':
		return s.array(sh)
	case 't', 'f', 'n':
		word := "true"
		switch got = boolKind; c {
		case 'f':
			word = "false"
		case 'n':
			word, got = "null", anyKind
		}
		if string(s.b[s.i:min(s.i+len(word), len(s.b))]) != word {
			return s.broken("a value")
		}
		s.i += len(word)
		if c == 'n' && sh.null || sh.kind == anyKind || sh.kind == got {
			return nil
		}
		return s.mismatch(sh, word)
	default:
		if c != '-' && (c < '0' || c > '9') {
			return s.broken("a value")
		}
		whole, err := s.number()
		if err != nil || s.loose {
			return err
		}
		return s.numberFits(sh, s.b[from:s.i], whole)
	}
}

// null reports a null here, which for a field means that it was left out.
func (s *scanner) null() bool {
	s.space()
	if s.peek() == 'n' && s.i+4 <= len(s.b) && string(s.b[s.i:s.i+4]) == "null" {
		s.i += 4
		return true
	}
	return false
}

func (s *scanner) mismatch(sh *shape, got string) *juncture.Error {
	hint := ""
	switch sh.kind {
	case textKind, spelledKind:
		hint = "write it in double quotes"
	case numberKind, integerKind, boolKind:
		if got == "text" {
			hint = "write it without quotes"
		}
	case listKind:
		hint = "write [...]"
	case objectKind, mapKind:
		hint = "write {...}"
	}
	return s.refuse(fmt.Sprintf("%s must be %s, not %s", s.path(), wanted[sh.kind], got), hint)
}

func (s *scanner) enter() *juncture.Error {
	s.i++
	limit := MaxDepth
	if s.loose {
		limit = looseDepth
	}
	if s.depth == limit {
		return s.refuse(fmt.Sprintf("nested deeper than %d", limit), "send a flatter body")
	}
	s.depth++
	return nil
}

func (s *scanner) step(st step) {
	if s.depth <= MaxDepth {
		s.steps[s.depth] = st
	}
}

func (s *scanner) array(sh *shape) *juncture.Error {
	if sh.kind != listKind && sh.kind != anyKind {
		return s.mismatch(sh, "a list")
	}
	elem := sh.elem
	if elem == nil {
		elem = sh
	}
	if err := s.enter(); err != nil {
		return err
	}
	for n := 0; ; n++ {
		s.step(step{index: n})
		more, err := s.next(']', n)
		if err != nil {
			return err
		}
		if !more {
			s.depth--
			return nil
		}
		if err := s.value(elem); err != nil {
			return err
		}
	}
}

func (s *scanner) object(sh *shape) *juncture.Error {
	if sh.kind != objectKind && sh.kind != mapKind && sh.kind != anyKind {
		return s.mismatch(sh, "an object")
	}
	if err := s.enter(); err != nil {
		return err
	}
	var known uint64 // the fields seen, by their number below 64
	var other keys   // all other keys seen
	for n := 0; ; n++ {
		if n == 0 {
			s.step(step{key: []byte{}})
		}
		more, err := s.next('}', n)
		if err != nil {
			return err
		}
		if !more {
			s.depth--
			return nil
		}
		key, escaped, err := s.key()
		if err != nil {
			return err
		}
		if s.loose {
			s.step(step{key: key})
			if err := s.value(sh); err != nil {
				return err
			}
			continue
		}
		if escaped {
			key = unescape(key)
		}
		s.step(step{key: key})
		twice := false
		elem, isField := sh.elem, false
		if sh.kind == objectKind {
			var at int
			if at, isField = sh.byName[string(key)]; isField {
				elem = sh.fields[at].shape
				if at < 64 {
					twice = known&(1<<at) != 0
					known |= 1 << at
				} else {
					twice = other.seen(key)
				}
			} else if elem, err = s.unknownKey(sh, key); err != nil {
				return err
			}
		} else if sh.kind == anyKind {
			elem = sh
		}
		if !isField {
			twice = other.seen(key)
		}
		if twice {
			return s.refuse(fmt.Sprintf("%s is given twice", s.path()), "send each field once")
		}
		if isField && s.null() {
			continue
		}
		if err := s.value(elem); err != nil {
			return err
		}
	}
}

// unknownKey warns of a field that is not known, or refuses it. One that differs from a known field only in case is
// always refused: encoding/json would take it for that field.
func (s *scanner) unknownKey(sh *shape, key []byte) (*shape, *juncture.Error) {
	name := string(key)
	if !s.lenient || s.depth > 1 {
		return nil, s.refuse(unknownField(name, sh.names()))
	}
	for _, f := range sh.fields {
		if strings.EqualFold(f.name, name) {
			return nil, s.refuse(unknownField(name, sh.names()))
		}
	}
	if s.unknown++; s.unknown <= maxWarnings {
		warning := fmt.Sprintf("unknown field %.40q was ignored", name)
		if near := nearest(name, sh.names()); near != "" {
			warning += fmt.Sprintf("; did you mean %q?", near)
		}
		s.warnings = append(s.warnings, warning)
	} else if s.unknown == maxWarnings+1 {
		s.warnings = append(s.warnings, "more unknown fields were ignored")
	}
	return &shape{null: true}, nil
}

// key reads a key and its colon; the key is as written between the quotes.
func (s *scanner) key() (key []byte, escaped bool, err *juncture.Error) {
	if s.peek() != '"' {
		return nil, false, s.broken("a field name in double quotes")
	}
	from := s.i + 1
	if escaped, err = s.text(); err != nil {
		return nil, false, err
	}
	key = s.b[from : s.i-1]
	if s.space(); s.peek() != ':' {
		return nil, false, s.broken("a colon")
	}
	s.i++
	return key, escaped, nil
}

func (s *scanner) stringValue(sh *shape) *juncture.Error {
	from := s.i
	escaped, err := s.text()
	if err != nil {
		return err
	}
	switch sh.kind {
	case anyKind, textKind:
		return nil
	case spelledKind:
	default:
		return s.mismatch(sh, "text")
	}
	text := s.b[from+1 : s.i-1]
	if escaped {
		text = unescape(text)
	}
	cause := spelled(sh.typ, string(text))
	if cause == nil {
		return nil
	}
	if sh.typ == reflect.TypeFor[time.Time]() {
		return s.refuse(fmt.Sprintf("%s is not a time", s.path()), "write an RFC 3339 time such as 2026-11-20T09:30:00Z")
	}
	e := s.refuse(fmt.Sprintf("%s: %v", s.path(), cause), "")
	if je, ok := errors.AsType[*juncture.Error](cause); ok {
		e.Message, e.Hint = s.path()+": "+je.Message, je.Hint
	}
	return e
}

func (s *scanner) numberFits(sh *shape, lit []byte, whole bool) *juncture.Error {
	switch sh.kind {
	case anyKind, numberKind:
		bits := 64
		if sh.typ != nil && sh.typ.Kind() == reflect.Float32 {
			bits = 32
		}
		if whole && len(lit) < 39 { // below 1e38: in range of both
			return nil
		}
		if f, err := strconv.ParseFloat(string(lit), bits); err != nil || math.IsInf(f, 0) {
			return s.refuse(fmt.Sprintf("%s is out of range", s.path()), "send a finite number")
		}
		return nil
	case integerKind:
		if !whole {
			return s.refuse(fmt.Sprintf("%s must be a whole number", s.path()), "write it without a point or exponent")
		}
		if json.Unmarshal(lit, reflect.New(sh.typ).Interface()) != nil {
			return s.refuse(fmt.Sprintf("%s is out of range", s.path()), "")
		}
		return nil
	}
	return s.mismatch(sh, "a number")
}

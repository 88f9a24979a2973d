package intake

import (
	"bytes"
	"math"
	"sort"
	"strconv"

	"github.com/juncture/juncture"
)

// tape is a JSON text as a flat list of its values in order, each with the place of its text and of what follows it.
// Nothing is copied: a batch costs one list, and its events are stretches of it. Only syntax stops the reading; what else
// is wrong is noted as a fault at its place, so that it breaks one event and not its neighbours.
type tape struct {
	b      []byte
	nodes  []node
	faults []fault
	base   int // containers around an event
}

// node is a value; the text of a string and of a key is without its quotes. Offsets fit since bodies are bounded.
type node struct {
	key, keyEnd uint32
	from, to    uint32
	next        uint32 // the node after this one and what is in it
	kind        byte   // one of { [ " 0 t f n
	escaped     bool
	keyEscaped  bool
}

// fault is something that JSON allows and we do not, at a byte of the text.
type fault struct {
	at     uint32
	reason Reason
}

// eventDepth bounds objects and lists inside one another in one event, the event counted.
const eventDepth = 16

// readTape reads one JSON value and nothing after it. base is how many containers stand around an event.
func readTape(b []byte, base int) (*tape, *juncture.Error) {
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	t := &tape{b: b, base: base, nodes: make([]node, 0, len(b)/20+8)}
	s := scanner{b: b, loose: true}
	if s.space(); s.i == len(b) {
		return nil, s.refuse("the body is empty", "send one JSON object")
	}
	if err := t.value(&s, 0, 0, 0, false); err != nil {
		return nil, err
	}
	if err := s.end(); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *tape) value(s *scanner, depth int, key, keyEnd uint32, keyEscaped bool) *juncture.Error {
	s.space()
	at := len(t.nodes)
	n := node{key: key, keyEnd: keyEnd, keyEscaped: keyEscaped, from: uint32(s.i), kind: s.peek()}
	t.nodes = append(t.nodes, n)
	var err *juncture.Error
	switch n.kind {
	case '{', '[':
		err = t.container(s, depth+1, n.kind)
	case '"':
		n.from++
		n.escaped, err = s.text()
		if n.escaped && holdsNUL(t.b[n.from:s.i]) {
			t.faults = append(t.faults, fault{n.from, ReasonNUL})
		}
	case 't', 'f', 'n':
		err = s.value(&shape{null: true})
	default:
		n.kind = '0'
		if c := s.peek(); c != '-' && !isDigit(c) {
			return s.broken("a value")
		}
		var whole bool
		if whole, err = s.number(); err == nil && (!whole || s.i-int(n.from) >= 39) {
			if f, bad := strconv.ParseFloat(string(t.b[n.from:s.i]), 64); bad != nil || math.IsInf(f, 0) {
				t.faults = append(t.faults, fault{n.from, ReasonRange})
			}
		}
	}
	n.to, n.next = uint32(s.i), uint32(len(t.nodes))
	if n.kind == '"' {
		n.to--
	}
	t.nodes[at] = n
	return err
}

func (t *tape) container(s *scanner, depth int, open byte) *juncture.Error {
	if depth > looseDepth {
		return s.refuse("nested deeper than "+strconv.Itoa(looseDepth), "send a flatter body")
	}
	if depth == t.base+eventDepth+1 {
		t.faults = append(t.faults, fault{uint32(s.i), ReasonDeep})
	}
	s.i++
	last := byte('}')
	if open == '[' {
		last = ']'
	}
	for n := 0; ; n++ {
		more, err := s.next(last, n)
		if err != nil || !more {
			return err
		}
		var key, keyEnd uint32
		escaped := false
		if open == '{' {
			from := s.i + 1
			text, esc, err := s.key()
			if err != nil {
				return err
			}
			key, keyEnd, escaped = uint32(from), uint32(from+len(text)), esc
			if esc && holdsNUL(text) {
				t.faults = append(t.faults, fault{key, ReasonNUL})
			}
		}
		if err := t.value(s, depth, key, keyEnd, escaped); err != nil {
			return err
		}
	}
}

// holdsNUL reports an escaped U+0000: backslash, u and four zeros, where the backslash is none that is escaped itself.
func holdsNUL(text []byte) bool {
	for i := 0; i+1 < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		if bytes.HasPrefix(text[i:], []byte(`\u0000`)) {
			return true
		}
		i++
	}
	return false
}

// fault returns the first fault inside node i.
func (t *tape) fault(i int) (Reason, bool) {
	n := t.nodes[i]
	at := sort.Search(len(t.faults), func(k int) bool { return t.faults[k].at >= n.from }) // they are in order of place
	if at < len(t.faults) && t.faults[at].at < n.to {
		return t.faults[at].reason, true
	}
	return "", false
}

// each yields the children of node i, which is an object or a list; nothing for other values.
func (t *tape) each(i int) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		if k := t.nodes[i].kind; k != '{' && k != '[' {
			return
		}
		for c := i + 1; c < int(t.nodes[i].next); c = int(t.nodes[c].next) {
			if !yield(c) {
				return
			}
		}
	}
}

func (t *tape) is(i int, kind byte) bool { return i > 0 && t.nodes[i].kind == kind }

// raw is the text of node i as it was sent, a string's with its quotes.
func (t *tape) raw(i int) []byte {
	n := t.nodes[i]
	if n.kind == '"' {
		return t.b[n.from-1 : n.to+1]
	}
	return t.b[n.from:n.to]
}

// text is a string without its quotes, a number or a bool as it was written, and "" for the rest. Numbers are never
// computed with: ids beyond 2^53 stay what they are.
func (t *tape) text(i int) string {
	n := t.nodes[i]
	switch n.kind {
	case '"':
		if n.escaped {
			return string(unescape(t.b[n.from:n.to]))
		}
		return string(t.b[n.from:n.to])
	case '0', 't', 'f':
		return string(t.b[n.from:n.to])
	}
	return ""
}

// plain folds a key into buf: ASCII letters in lower case, digits and bytes above ASCII; what joins words is left out.
// product_id, productId and "Product ID" are one. A key longer than buf is cut and matches nothing.
func (t *tape) plain(i int, buf *[40]byte) []byte {
	n := t.nodes[i]
	key := t.b[n.key:n.keyEnd]
	if n.keyEscaped {
		key = unescape(key)
	}
	return plainBytes(key, buf)
}

func plainBytes(key []byte, buf *[40]byte) []byte {
	out := buf[:0]
	for _, c := range key {
		switch {
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		case c >= 'a' && c <= 'z', isDigit(c), c >= 0x80:
		default:
			continue
		}
		if len(out) == len(buf) {
			break
		}
		out = append(out, c)
	}
	return out
}

// plain folds a name as tape.plain folds a key.
func plain(name string) string {
	var buf [40]byte
	return string(plainBytes([]byte(name), &buf))
}

// member finds a member of object i by its plain name, the last one; 0 when there is none or it is null.
func (t *tape) member(i int, name string) int {
	found := 0
	if t.nodes[i].kind != '{' {
		return 0
	}
	var buf [40]byte
	for c := range t.each(i) {
		if string(t.plain(c, &buf)) == name && t.nodes[c].kind != 'n' {
			found = c
		}
	}
	return found
}

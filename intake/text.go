package intake

import (
	"encoding/json"
	"slices"
	"unicode/utf16"

	"github.com/juncture/juncture"
)

// text moves over a string and checks its escapes.
func (s *scanner) text() (escaped bool, err *juncture.Error) {
	for s.i++; s.i < len(s.b); {
		switch c := s.b[s.i]; {
		case c == '"':
			s.i++
			return escaped, nil
		case c < ' ':
			return escaped, s.broken(`control characters written as \n, \t or \u00XX`)
		case c == '\\':
			escaped = true
			if err := s.escape(); err != nil {
				return escaped, err
			}
		default:
			s.i++
		}
	}
	return escaped, s.broken("a closing double quote")
}

func (s *scanner) escape() *juncture.Error {
	s.i++
	switch s.peek() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.i++
		return nil
	case 'u':
	default:
		return s.broken(`one of \" \\ \/ \b \f \n \r \t \uXXXX`)
	}
	s.i++
	r, ok := s.hex4()
	if !ok {
		return s.broken(`four hexadecimal digits after \u`)
	}
	if s.loose {
		return nil
	}
	if r == 0 {
		return s.refuse("text holds the character U+0000", "leave it out")
	}
	if utf16.IsSurrogate(r) {
		low := rune(-1)
		if s.i+1 < len(s.b) && s.b[s.i] == '\\' && s.b[s.i+1] == 'u' {
			s.i += 2
			low, _ = s.hex4()
		}
		if utf16.DecodeRune(r, low) == '\uFFFD' {
			return s.refuse("text holds half of a surrogate pair", `write both halves, such as \ud83d\ude00`)
		}
	}
	return nil
}

func (s *scanner) hex4() (rune, bool) {
	if s.i+4 > len(s.b) {
		return -1, false
	}
	var r rune
	for _, c := range s.b[s.i : s.i+4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return -1, false
		}
		r = r<<4 | rune(c)
	}
	s.i += 4
	return r, true
}

// number moves over a number; whole: it has neither point nor exponent.
func (s *scanner) number() (whole bool, err *juncture.Error) {
	if s.peek() == '-' {
		if s.i++; s.peek() == 'I' {
			s.i--
			return false, s.broken("a number")
		}
	}
	if s.peek() == '0' {
		if s.i++; isDigit(s.peek()) {
			return false, s.broken("a number without leading zeros")
		}
	} else if !s.digits() {
		return false, s.broken("a digit")
	}
	whole = true
	if s.peek() == '.' {
		s.i++
		if whole = false; !s.digits() {
			return false, s.broken("a digit after the point")
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.i++
		if c := s.peek(); c == '+' || c == '-' {
			s.i++
		}
		if whole = false; !s.digits() {
			return false, s.broken("a digit in the exponent")
		}
	}
	return whole, nil
}

func (s *scanner) digits() bool {
	from := s.i
	for isDigit(s.peek()) {
		s.i++
	}
	return s.i > from
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// unescape returns the text of a checked string without its quotes.
func unescape(b []byte) []byte {
	var text string
	quoted := slices.Concat([]byte{'"'}, b, []byte{'"'})
	if json.Unmarshal(quoted, &text) != nil {
		return b // not reached: the string was checked
	}
	return []byte(text)
}

// keys is a set of the keys of one object. Few are compared one by one, many through a map, so that a body of nothing
// but keys costs no more than its length.
type keys struct {
	few  [][]byte
	many map[string]struct{}
}

const fewKeys = 16

// seen adds a key and reports whether it was there.
func (k *keys) seen(key []byte) bool {
	if k.many != nil {
		n := len(k.many)
		k.many[string(key)] = struct{}{}
		return len(k.many) == n
	}
	for _, have := range k.few {
		if string(have) == string(key) {
			return true
		}
	}
	k.few = append(k.few, key)
	if len(k.few) > fewKeys {
		k.many = make(map[string]struct{}, 4*fewKeys)
		for _, have := range k.few {
			k.many[string(have)] = struct{}{}
		}
	}
	return false
}

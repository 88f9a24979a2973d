package meaning

import (
	"strings"
	"unicode/utf8"
)

// FNV-1a, 64 bits: attributes are known by it, so that a taste outlives the vocabulary it was gathered in.
const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211
)

func hashByte(h uint64, b byte) uint64 { return (h ^ uint64(b)) * fnvPrime }

// hashLower hashes s in lower case (ASCII; other letters as they are), its outer spaces left out.
func hashLower(h uint64, s string) uint64 {
	s = strings.TrimSpace(s)
	for i := range len(s) {
		c := s[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		h = hashByte(h, c)
	}
	return h
}

// keyOf is the stable number of an attribute.
func keyOf(kind Kind, name, value string) uint64 {
	h := hashByte(fnvOffset, byte(kind))
	h = hashLower(h, name)
	return hashLower(hashByte(h, 0), value)
}

const maxWord = 32

// words calls f with each word of a title in lower case and its singular form, numbers and words under three letters or over
// maxWord bytes left out. The strings share one buffer: valid during the call only.
func words(title string, f func(surface, stem []byte)) {
	var buf [maxWord]byte
	n, digits := 0, 0
	flush := func() {
		if n >= 3 && n <= maxWord && digits == 0 && utf8.RuneCount(buf[:n]) >= 3 && !stopWord(string(buf[:n])) {
			f(buf[:n], stem(buf[:n]))
		}
		n, digits = 0, 0
	}
	for i := range len(title) {
		c := title[i]
		switch {
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		case c >= 'a' && c <= 'z', c >= 128:
		case c >= '0' && c <= '9':
			digits++
		case c == '\'': // children's
			continue
		default:
			flush()
			continue
		}
		if n < maxWord {
			buf[n] = c
		}
		n++
	}
	flush()
}

// stem takes the plural off an English word; wrong on some, the same on both of its forms.
func stem(w []byte) []byte {
	n := len(w)
	switch {
	case n > 4 && string(w[n-3:]) == "ies":
		return w[:n-2] // candies to "candi"
	case n > 4 && (string(w[n-4:]) == "sses" || string(w[n-4:]) == "ches" || string(w[n-4:]) == "shes" || string(w[n-3:]) == "xes"):
		return w[:n-2]
	case n > 3 && w[n-1] == 's' && w[n-2] != 's' && w[n-2] != 'u':
		return w[:n-1]
	case n > 4 && w[n-1] == 'y':
		var y [maxWord]byte
		copy(y[:], w)
		y[n-1] = 'i' // candy to "candi"
		return y[:n]
	}
	return w
}

func stopWord(w string) bool {
	switch w {
	case "and", "the", "for", "with", "from", "set", "pack", "assorted", "asstd", "size", "new", "unknown", "this", "that", "your", "our", "per",
		"are", "not", "all", "you", "has", "its", "inc", "ltd", "pcs", "piece", "pieces", "each", "design", "style", "assted":
		return true
	}
	return false
}

// fold splits a name or value into lower-case words.
func fold(s string) []string {
	return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !isWord(r) })
}

func isWord(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r > 127
}

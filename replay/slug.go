package replay

import (
	"strconv"
	"strings"
)

// slugs turns the values of one column, or the arms, into names, and remembers which is whose. The zero value is not
// usable; see newSlugs.
type slugs struct {
	most  int // bytes of a name
	names map[string]string
	taken map[string]bool
}

func newSlugs(most int) *slugs {
	return &slugs{most: most, names: map[string]string{}, taken: map[string]bool{}}
}

// of returns the value's name: lower-case letters and digits, all else folded to single dashes, cut to most bytes. Two
// values never share a name: the later one gets a number.
func (s *slugs) of(value string) string {
	if name, ok := s.names[value]; ok {
		return name
	}
	base := slug(value)
	if len(base) > s.most {
		base = strings.TrimRight(base[:s.most], "-")
	}
	name := base
	for n := 2; s.taken[name]; n++ {
		suffix := "-" + strconv.Itoa(n)
		name = base[:min(len(base), s.most-len(suffix))] + suffix
	}
	s.names[value], s.taken[name] = name, true
	return name
}

// slug of a value without a letter or digit is "x".
func slug(value string) string {
	var b strings.Builder
	dash := false
	for _, c := range strings.ToLower(value) {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			if dash && b.Len() > 0 {
				b.WriteByte('-')
			}
			b.WriteRune(c)
			dash = false
		} else {
			dash = true
		}
	}
	if b.Len() == 0 {
		return "x"
	}
	return b.String()
}

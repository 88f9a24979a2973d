package juncture

import (
	"encoding/base32"
	"encoding/binary"
	"strings"
	"unicode"
)

// Slug makes a layer value of a name: [a-z0-9-] of at most so many bytes (16 or more), "" for a name without a letter or
// digit. Latin letters lose their diacritics; where other letters are lost, or the name is cut, it ends in a hash of the
// whole name, so that two names that differ in more than capitals, diacritics, spaces and punctuation never share a value.
func Slug(name string, most int) string {
	b := make([]byte, 0, min(len(name)+slugHash, most))
	dash, lost := false, false
	for _, r := range name {
		var s string
		switch {
		case r < 128:
			c := byte(r)
			if c >= 'A' && c <= 'Z' {
				c += 'a' - 'A'
			}
			if c == '\'' {
				continue
			}
			if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9') {
				dash = len(b) > 0
				continue
			}
			s = ascii[c : c+1]
		case unicode.Is(unicode.Mn, r): // an accent written after its letter
			continue
		default:
			if s = latin(r); s == "" {
				lost = lost || !unicode.IsPunct(r) && !unicode.IsSpace(r) && r != '®' && r != '™'
				dash = len(b) > 0
				continue
			}
		}
		if dash {
			s, dash = "-"+s, false
		}
		if len(b)+len(s) > most {
			lost = true
			break
		}
		b = append(b, s...)
	}
	if !lost {
		return string(b)
	}
	h, gap := uint64(14695981039346656037), false // FNV-1a of the lower-case words
	add := func(r rune) {
		for _, c := range []byte(string(r)) {
			h = (h ^ uint64(c)) * 1099511628211
		}
	}
	words := false
	for _, r := range name {
		if unicode.IsSpace(r) || unicode.IsPunct(r) {
			gap = words
			continue
		}
		if gap {
			add(' ')
		}
		add(unicode.ToLower(r))
		words, gap = true, false
	}
	h ^= h >> 32 // the upper bits of FNV are mixed less than the lower
	var sum [8]byte
	binary.BigEndian.PutUint64(sum[:], h*0x9E3779B97F4A7C15)
	text := slugText.EncodeToString(sum[:])[:slugHash-1]
	b = b[:min(len(b), most-slugHash)]
	if len(b) == 0 {
		return text
	}
	return strings.TrimRight(string(b), "-") + "-" + text
}

// slugHash is a dash and 10 letters of a hash, 50 bits: of a million names two share one with a probability of 1 in 2,000.
const slugHash = 11

var slugText = base32.NewEncoding("abcdefghijkmnpqrstuvwxyz23456789").WithPadding(base32.NoPadding)

// ascii is every byte below 128 as text, so that a letter costs no allocation.
const ascii = "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f" +
	" !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~\x7f"

// latin returns what a Latin letter beyond ASCII is without its diacritics, "" for any other.
func latin(r rune) string {
	r = unicode.ToLower(r)
	switch r {
	case 'i', 'k': // of the Turkish capital and of the sign for kelvin
		return string(r)
	case 'à', 'á', 'â', 'ã', 'ä', 'å', 'ā', 'ă', 'ą', 'ǎ', 'ạ', 'ả', 'ấ', 'ầ', 'ẩ', 'ẫ', 'ậ', 'ắ', 'ằ', 'ẳ', 'ẵ', 'ặ', 'ª':
		return "a"
	case 'æ':
		return "ae"
	case 'ç', 'ć', 'ĉ', 'ċ', 'č':
		return "c"
	case 'ď', 'đ', 'ð':
		return "d"
	case 'è', 'é', 'ê', 'ë', 'ē', 'ĕ', 'ė', 'ę', 'ě', 'ə', 'ẹ', 'ẻ', 'ẽ', 'ế', 'ề', 'ể', 'ễ', 'ệ':
		return "e"
	case 'ĝ', 'ğ', 'ġ', 'ģ', 'ǧ':
		return "g"
	case 'ĥ', 'ħ':
		return "h"
	case 'ì', 'í', 'î', 'ï', 'ĩ', 'ī', 'ĭ', 'į', 'ı', 'ǐ', 'ỉ', 'ị':
		return "i"
	case 'ĳ':
		return "ij"
	case 'ĵ':
		return "j"
	case 'ķ', 'ĸ':
		return "k"
	case 'ĺ', 'ļ', 'ľ', 'ŀ', 'ł':
		return "l"
	case 'ñ', 'ń', 'ņ', 'ň', 'ŉ', 'ŋ':
		return "n"
	case 'ò', 'ó', 'ô', 'õ', 'ö', 'ø', 'ō', 'ŏ', 'ő', 'ǒ', 'ơ', 'ọ', 'ỏ', 'ố', 'ồ', 'ổ', 'ỗ', 'ộ', 'ớ', 'ờ', 'ở', 'ỡ', 'ợ', 'º':
		return "o"
	case 'œ':
		return "oe"
	case 'ŕ', 'ŗ', 'ř':
		return "r"
	case 'ś', 'ŝ', 'ş', 'š', 'ș', 'ſ':
		return "s"
	case 'ß':
		return "ss"
	case 'ţ', 'ť', 'ŧ', 'ț':
		return "t"
	case 'þ':
		return "th"
	case 'ù', 'ú', 'û', 'ü', 'ũ', 'ū', 'ŭ', 'ů', 'ű', 'ų', 'ǔ', 'ư', 'ụ', 'ủ', 'ứ', 'ừ', 'ử', 'ữ', 'ự':
		return "u"
	case 'ŵ':
		return "w"
	case 'ý', 'ÿ', 'ŷ', 'ỳ', 'ỵ', 'ỷ', 'ỹ':
		return "y"
	case 'ź', 'ż', 'ž':
		return "z"
	}
	return ""
}

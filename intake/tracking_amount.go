package intake

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// parseTime reads a time as trackers and exports write it: RFC 3339, with a blank for the T, without a zone (UTC), a
// bare date, Unix seconds, milliseconds or microseconds, HTTP's and JavaScript's.
func parseTime(s string) (time.Time, bool) {
	if len(s) > 64 {
		return time.Time{}, false
	}
	if c := s[0]; isDigit(c) && strings.IndexByte(s, ':') < 0 && strings.IndexByte(s, '/') < 0 && strings.IndexByte(s[1:], '-') < 0 {
		if len(s) == 8 {
			at, err := time.Parse("20060102", s)
			return at, err == nil
		}
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || f < 1e8 || f >= 1e17 {
			return time.Time{}, false
		}
		switch {
		case f < 1e11:
			return time.UnixMilli(int64(math.Round(f * 1000))), true
		case f < 1e14:
			return time.UnixMilli(int64(f)), true
		}
		return time.UnixMicro(int64(f)), true
	}
	if at, err := time.Parse(time.RFC3339, s); err == nil {
		return at, true
	}
	if strings.HasPrefix(s[min(3, len(s)):], ", ") {
		at, err := time.Parse(time.RFC1123, s)
		return at, err == nil
	}
	js, _, _ := strings.Cut(s, " (")
	for _, layout := range [...]string{"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04:05Z0700",
		"2006-01-02 15:04:05 -0700", "2006-01-02 15:04:05 MST", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02", "2006/01/02 15:04:05", "2006/01/02",
		"1/2/2006 15:04", "1/2/2006 15:04:05", "1/2/2006", "Mon Jan 02 2006 15:04:05 GMT-0700"} {
		if at, err := time.Parse(layout, js); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}

// maxTotal bounds an order, in minor units: more is a mistake.
const maxTotal int64 = 1e12

const maxAmount int64 = 1e15 // minor units; beyond it a sum of orders could overflow

// parseAmount reads an amount of money into minor units with that many digits, rounding half up: 19.99, "£19.99",
// "1,299.00", "1.299,00 EUR", "19,99". currency is the code written beside it, "" for none.
func parseAmount(s string, digits int) (minor int64, currency string, ok bool) {
	s = strings.TrimSpace(s)
	if s == "" || len(s) > 64 {
		return 0, "", false
	}
	if m, ok := minorOf(s, digits); ok {
		return m, "", true
	}
	if f, err := strconv.ParseFloat(s, 64); (err == nil || errors.Is(err, strconv.ErrRange)) && strings.ContainsAny(s, "eE") {
		if f = math.Round(f * math.Pow10(digits)); math.Abs(f) <= float64(maxAmount) {
			return int64(f), "", true
		}
		return 0, "", false
	}
	var b, letters strings.Builder
	for i, r := range s {
		switch {
		case r >= '0' && r <= '9', r == '.', r == ',':
			b.WriteRune(r)
		case r == '-' && i == 0, r == '(' && i == 0:
			b.WriteByte('-')
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z':
			letters.WriteRune(r)
		case r == ' ', r == '\'', r == '\u00a0', r == '\u202f', r == '’', r == ')', r == '$', r == '€', r == '£', r == '¥', r == '₹', r == '₩', r == '₽', r == '₺', r == '₫':
		case r == '-': // "€ -5"
			if b.Len() > 0 {
				return 0, "", false
			}
			b.WriteByte('-')
		default:
			return 0, "", false
		}
	}
	switch currency = strings.ToUpper(letters.String()); len(currency) {
	case 0, 3:
	case 1, 2: // kr, zł, US$
		currency = ""
	default:
		return 0, "", false
	}
	text := b.String()
	comma, point := strings.LastIndexByte(text, ','), strings.LastIndexByte(text, '.')
	switch {
	case comma >= 0 && point >= 0 && comma > point: // 1.299,00
		text = strings.ReplaceAll(text, ".", "")
		text = strings.Replace(text, ",", ".", 1)
	case comma >= 0 && point < 0 && len(text)-comma <= 3 && strings.Count(text, ",") == 1: // 19,99
		text = strings.Replace(text, ",", ".", 1)
	case point >= 0 && comma < 0 && strings.Count(text, ".") > 1: // 1.299.000
		text = strings.ReplaceAll(text, ".", "")
	default:
		text = strings.ReplaceAll(text, ",", "")
	}
	minor, ok = minorOf(text, digits)
	return minor, currency, ok
}

// minorOf reads digits with at most one point, exactly.
func minorOf(s string, digits int) (int64, bool) {
	rest, negative := strings.CutPrefix(s, "-")
	whole, fraction, _ := strings.Cut(rest, ".")
	if len(whole)+len(fraction) == 0 || len(whole) > 15 {
		return 0, false
	}
	var m int64
	for i := range len(whole) {
		if !isDigit(whole[i]) {
			return 0, false
		}
		m = m*10 + int64(whole[i]-'0')
	}
	for i := range max(digits, len(fraction)) {
		c := byte('0')
		if i < len(fraction) {
			c = fraction[i]
		}
		switch {
		case !isDigit(c):
			return 0, false
		case i < digits:
			if m = m*10 + int64(c-'0'); m > maxAmount {
				return 0, false
			}
		case i == digits && c >= '5':
			m++
		}
	}
	if m > maxAmount {
		return 0, false
	}
	if negative {
		m = -m
	}
	return m, true
}

// Package chart draws the console's figures: pure functions from numbers to SVG. The pages' content security policy
// allows no inline style and no script, so figures use presentation attributes and classes only; console.css colours
// them, light and dark. Every figure has a title and a description, and the page gives its numbers in a table beside it.
package chart

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Colours is how many classes arm-0, arm-1, ... console.css colours; later actions use them again, told apart by letter.
const Colours = 12

// None is the arm of a mark that belongs to no action.
const None = -1

func armClass(arm int) string {
	if arm < 0 {
		return "arm-none"
	}
	return "arm-" + strconv.Itoa(arm%Colours)
}

// svg collects markup. Text and attribute values go through esc.
type svg struct{ strings.Builder }

func (s *svg) f(format string, args ...any) { fmt.Fprintf(&s.Builder, format, args...) }

func (s *svg) html() template.HTML { return template.HTML(s.String()) } // every text in it went through esc

// esc makes text harmless in markup and attributes, and drops what no page can show.
func esc(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, text)
	return html.EscapeString(text)
}

// num writes a coordinate with at most two decimals.
func num(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "0"
	}
	s := strconv.FormatFloat(v, 'f', 2, 64)
	s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	if s == "-0" {
		return "0"
	}
	return s
}

// fit cuts text to about so many characters.
func fit(text string, most int) string {
	r := []rune(text)
	if len(r) <= most {
		return text
	}
	if most < 2 {
		return string(r[:max(most, 0)])
	}
	return strings.TrimRight(string(r[:most-1]), " ") + "…"
}

// wrap breaks text into at most two lines of about so many characters.
func wrap(text string, most int) []string {
	if utf8.RuneCountInString(text) <= most {
		return []string{text}
	}
	first := ""
	for i, r := range text {
		if r == ' ' && utf8.RuneCountInString(text[:i]) <= most {
			first = text[:i]
		}
	}
	if first == "" {
		return []string{fit(text, most)}
	}
	return []string{first, fit(strings.TrimSpace(text[len(first):]), most)}
}

// scale is an axis from low to high with round ticks.
type scale struct {
	low, high float64
	ticks     []float64
}

// newScale covers low to high with about n ticks at 1, 2 or 5 times a power of ten.
func newScale(low, high float64, n int) scale {
	if !(high > low) { // also NaN
		if !(low >= 0) {
			low = 0
		}
		high = low + 1e-3
	}
	raw := (high - low) / float64(n)
	step := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, m := range []float64{1, 2, 5, 10} {
		if step*m >= raw*(1-1e-9) {
			step *= m
			break
		}
	}
	s := scale{low: math.Floor(low/step+1e-9) * step, high: math.Ceil(high/step-1e-9) * step}
	for i := 0; i <= int(math.Round((s.high-s.low)/step)); i++ {
		s.ticks = append(s.ticks, s.low+float64(i)*step)
	}
	return s
}

// at is the place of v on the axis as a fraction.
func (s scale) at(v float64) float64 {
	return min(max((v-s.low)/(s.high-s.low), 0), 1)
}

// label writes a tick of a rate axis.
func (s scale) label(v float64) string {
	digits := 0
	if len(s.ticks) > 1 {
		digits = max(0, -int(math.Floor(math.Log10(100*(s.ticks[1]-s.ticks[0]))+1e-9)))
	}
	return strconv.FormatFloat(100*v, 'f', digits, 64) + "%"
}

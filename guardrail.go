package juncture

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Guardrails are what a store never says, whatever is approved: they are checked when a version is submitted and again
// when it is approved.
type Guardrails struct {
	MaxDiscount float64  `json:"maxDiscount,omitempty"` // the largest payload field "percent" or "discount", in percent; 0 means no limit
	Channels    []string `json:"channels,omitempty"`    // where actions may be offered; empty: on all
	Words       []string `json:"words,omitempty"`       // words and phrases that neither copy nor payload nor the why of a priority holds, whatever their case
}

// MaxWords bounds the words of the guardrails.
const MaxWords = 500

// Action names what an action breaks, none where it breaks nothing. channel is a surface's.
func (g *Guardrails) Action(a Action, channel func(surface string) string) []string {
	if g == nil {
		return nil
	}
	var out []string
	for _, s := range a.Surfaces {
		if c := channel(s); len(g.Channels) > 0 && c != "" && !slices.Contains(g.Channels, c) {
			out = append(out, fmt.Sprintf("surface %q is on the channel %s; allowed: %s", s, c, strings.Join(g.Channels, ", ")))
		}
	}
	g.payload("payload", "", a.Payload, &out)
	return out
}

// payload looks at every field, however deep: at discounts by name and at text.
func (g *Guardrails) payload(path, name string, v any, out *[]string) {
	switch t := v.(type) {
	case map[string]any:
		for k, v := range sorted(t) {
			g.payload(path+"."+k, k, v, out)
		}
	case []any:
		for i, v := range t {
			g.payload(fmt.Sprintf("%s[%d]", path, i), name, v, out)
		}
	default:
		if text, ok := v.(string); ok {
			*out = append(*out, g.text(path, text)...)
		}
		n, ok := amount(v)
		discount := strings.EqualFold(name, "percent") || strings.EqualFold(name, "discount")
		if discount && ok && g.MaxDiscount > 0 && math.Abs(n) > g.MaxDiscount {
			*out = append(*out, fmt.Sprintf("%s is %v, over the largest discount of %v%%", path, v, g.MaxDiscount))
		}
	}
}

// amount reads a number, also one written as text, "30%" or "-30".
func amount(v any) (float64, bool) {
	switch t := v.(type) {
	case float64:
		return t, true
	case int:
		return float64(t), true
	case string:
		n, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(t), "%")), 64)
		return n, err == nil && !math.IsNaN(n)
	}
	return 0, false
}

// Copy names what a copy breaks.
func (g *Guardrails) Copy(w Copy) []string {
	if g == nil {
		return nil
	}
	var out []string
	for _, f := range [][2]string{{"headline", w.Headline}, {"body", w.Body}, {"cta", w.CTA}} {
		out = append(out, g.text(f[0], f[1])...)
	}
	return out
}

// Priority names what a priority breaks: its why is told with the products that it raises.
func (g *Guardrails) Priority(p Priority) []string {
	if g == nil {
		return nil
	}
	return g.text("why", p.Why)
}

func (g *Guardrails) text(path, text string) []string {
	if len(g.Words) == 0 {
		return nil
	}
	var out []string
	said := spoken(text)
	for _, w := range g.Words {
		if word := spoken(w); strings.Contains(said, word) && word != "  " {
			out = append(out, fmt.Sprintf("%s says %q, which this store does not say", path, w))
		}
	}
	return out
}

// spoken is a text as words alone: lower case, one space before and after each.
func spoken(s string) string {
	words := strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) })
	return " " + strings.Join(words, " ") + " "
}

func (c *check) guardrails(g *Guardrails) {
	if g == nil {
		return
	}
	c.number("guardrails.maxDiscount", g.MaxDiscount, 0, 100)
	for i, v := range g.Channels {
		c.oneOf(fmt.Sprintf("guardrails.channels[%d]", i), v, channels...)
	}
	c.most("guardrails.words", len(g.Words), MaxWords)
	for i, w := range g.Words {
		if strings.TrimSpace(spoken(w)) == "" || len(w) > 200 {
			c.add(fmt.Sprintf("guardrails.words[%d]", i), fmt.Sprintf("%.40q is no word or phrase of at most 200 bytes", w), "")
		}
	}
}

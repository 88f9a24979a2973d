package experiments

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/juncture/juncture"
)

// The words that people read instead of ids. Ids are ASCII by their grammar; whoever shows the words still escapes them.

var axisTitles = map[string]string{
	"moment": "Moment", "lifecycle": "Lifecycle", "status": "Status", "mode": "Mode",
	"meaning":    "Taste cluster",
	"trajectory": "Intent", "latent": "Intent over weeks", "live": "Intent right now",
	"catalogue": "Category", "category": "Category",
}

// AxisTitle names an axis or a whole layer for people: "Intent over weeks" for latent.
func AxisTitle(axis string) string {
	if t, ok := axisTitles[axis]; ok {
		return t
	}
	return Title(axis)
}

// vocabulary lists the values that a derived axis can have, in the order in which people think of them.
var vocabulary = map[string][]string{
	"lifecycle": {"prospect", "first-time", "returning", "loyal"},
	"status":    {"browsing", "cart-abandoned", "checkout-abandoned", "freshly-converted", "at-risk", "dormant"},
	"mode":      {"researching", "considering"},
	"latent":    {"low", "building", "high", "fading"},
	"live":      {"none", "rising", "steady", "falling"},
}

// Title turns an id into a title: "Five off" for five_off.
func Title(id string) string {
	s := words(id)
	if s == "" {
		return id
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func words(id string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == '_' || r == '-' {
			return ' '
		}
		return r
	}, id))
}

// valueTitle is Names.Value without a name.
func valueTitle(axis, value string) string {
	if value == "" || !juncture.Known(value) {
		return "Unknown"
	}
	if axis == "lifecycle" && value == "first-time" {
		return "First-time"
	}
	if axis != "moment" && axis != "trajectory" {
		return Title(value)
	}
	parts := strings.Split(value, ".")
	for i, p := range parts {
		switch {
		case p == juncture.Unknown:
			parts[i] = "?"
		case p == "first-time" && i == 0:
		default:
			parts[i] = words(p)
		}
	}
	s := strings.Join(parts, " · ")
	return strings.ToUpper(s[:1]) + s[1:]
}

func livePhrase(live string) string {
	if live == "none" {
		return "absent"
	}
	return live
}

func momentPhrase(x juncture.Intersection) string {
	v := x.Value(juncture.Moment)
	if !juncture.Known(v) {
		return ""
	}
	lifecycle, status, mode := x.Axis(juncture.Moment, 0), x.Axis(juncture.Moment, 1), x.Axis(juncture.Moment, 2)
	for axis, value := range map[string]string{"lifecycle": lifecycle, "status": status, "mode": mode} {
		if value != juncture.Unknown && !slices.Contains(vocabulary[axis], value) {
			return "shoppers in " + strings.ToLower(valueTitle("moment", v)) // the caller's own segments
		}
	}
	people := map[string]string{"prospect": "prospects", "first-time": "first-time buyers", "returning": "returning buyers",
		"loyal": "loyal customers", juncture.Unknown: "shoppers"}[lifecycle]
	of := lifecycle + " "
	if lifecycle == juncture.Unknown {
		of = ""
	}
	var s string
	switch status {
	case "browsing", "dormant":
		s = status + " " + people
	case "freshly-converted":
		s = "freshly converted " + people
	case "at-risk":
		s = people + " at risk"
	case "cart-abandoned":
		s = of + "cart abandoners"
	case "checkout-abandoned":
		s = of + "checkout abandoners"
	default:
		s = people
	}
	if mode != juncture.Unknown {
		s += " who are " + mode
	}
	return s
}

// Percent writes a rate with digits that carry meaning: "12.3%", "6.1%", "0.42%", "0.031%".
func Percent(rate float64) string {
	x := 100 * rate
	switch {
	case math.IsNaN(x):
		return "–"
	case x <= 0:
		return "0%"
	case x < 0.001:
		return "<0.001%"
	case x < 0.095:
		return strconv.FormatFloat(x, 'f', 3, 64) + "%"
	case x < 0.95:
		return strconv.FormatFloat(x, 'f', 2, 64) + "%"
	case x > 99.95:
		return "100%"
	}
	return strconv.FormatFloat(x, 'f', 1, 64) + "%"
}

// leastSure is the least P(best) that integration tells from 0.
const leastSure = 1e-12

// Sure writes a probability as whole per cent, rounded down so that nothing looks surer than it is: ">99%" is the most
// that evidence can say, "<1%" the least, and "<1e-12" where the numbers carry no further.
func Sure(p float64) string {
	switch {
	case math.IsNaN(p):
		return "–"
	case p >= 0.995:
		return ">99%"
	case p < leastSure:
		return "<1e-12"
	case p < 0.01:
		return "<1%"
	}
	return strconv.Itoa(int(100*p+1e-9)) + "%"
}

// sureWords is Sure inside a sentence.
func sureWords(p float64) string {
	return strings.NewReplacer(">", "over ", "<", "under ").Replace(Sure(p)) + " sure"
}

// Count writes a whole number with thousands separators: "12,345".
func Count(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// Money writes an amount in major units: "£1.20", "CHF 0.031", without a currency "0.031 points". Amounts under one minor
// unit keep two digits that carry.
func Money(v float64, currency string) string {
	if math.IsNaN(v) {
		return "–"
	}
	symbol, unit := map[string]string{"GBP": "£", "EUR": "€", "USD": "$"}[currency], ""
	switch {
	case currency == "":
		unit = "\u00a0points"
	case symbol == "":
		symbol = currency + "\u00a0"
	}
	sign := ""
	if v < 0 {
		sign, v = "−", -v
	}
	digits := juncture.MinorDigits(currency)
	for smallest := math.Pow10(-digits); v > 0 && v < 10*smallest && digits < 6; digits++ {
		smallest /= 10
	}
	whole, fraction, _ := strings.Cut(strconv.FormatFloat(v, 'f', digits, 64), ".")
	if n, err := strconv.ParseInt(whole, 10, 64); err == nil {
		whole = Count(n)
	}
	if fraction != "" {
		whole += "." + fraction
	}
	return sign + symbol + whole + unit
}

func plural(n int64, one, many string) string {
	if n == 1 {
		return Count(n) + " " + one
	}
	return Count(n) + " " + many
}

// list joins words with commas and a last "and".
func list(items []string) string {
	switch len(items) {
	case 0:
		return ""
	case 1:
		return items[0]
	}
	return fmt.Sprintf("%s and %s", strings.Join(items[:len(items)-1], ", "), items[len(items)-1])
}

// GoalName names a goal: its outcome, or "purchase + 0.5 click − 5 unsubscribe".
func GoalName(g juncture.Goal) string {
	if len(g.Weights) == 0 {
		return Title(g.Outcome)
	}
	var b strings.Builder
	for i, p := range g.Parts() {
		switch {
		case i > 0 && p.Weight < 0:
			b.WriteString(" − ")
		case i > 0:
			b.WriteString(" + ")
		case p.Weight < 0:
			b.WriteString("−")
		}
		if w := math.Abs(p.Weight); w != 1 {
			b.WriteString(strconv.FormatFloat(w, 'g', -1, 64) + " ")
		}
		b.WriteString(Title(p.Outcome))
	}
	return b.String()
}

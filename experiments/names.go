package experiments

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/juncture/juncture"
)

// Names are those of taste clusters, by id. Whatever people read of a value of a layer is named here; one without a name, and
// every value where Names is nil, is called by its id.
type Names map[string]string

// NamesOf are the names of clusters.
func NamesOf(v juncture.ClustersView) Names {
	out := make(Names, len(v.Items))
	for _, c := range v.Items {
		if c.Name != "" {
			out[c.ID] = c.Name
		}
	}
	return out
}

// Value names a value of an axis or layer as a title: "Cart abandoned", "Unknown", "Loyal · at risk", "Wedding guests".
func (n Names) Value(axis, value string) string {
	if axis == "meaning" && n[value] != "" {
		return n[value]
	}
	return valueTitle(axis, value)
}

// Voice names who a copy is written for: clusters, and tiers or values of the caller's as they are.
func (n Names) Voice(values []string) []string {
	out := slices.Clone(values)
	for i, v := range out {
		if n[v] != "" {
			out[i] = n[v]
		}
	}
	return out
}

// Why is what is said of the effects of a belief, with the clusters' names in place of their ids.
func (n Names) Why(sentence string, effects []juncture.EffectView) string {
	for _, e := range effects {
		parts := strings.Split(e.Level, "/")
		if named := strings.Join(n.Voice(parts), "/"); e.Level != "" && !e.Own && strings.Contains(e.Family, "meaning") && named != e.Level {
			sentence = strings.ReplaceAll(sentence, ", "+e.Level+" ", ", “"+named+"” ")
		}
	}
	return sentence
}

// inside is a name in the middle of a sentence: its first letter small, unless it is written in capitals.
func inside(name string) string {
	first, n := utf8.DecodeRuneInString(name)
	if second, _ := utf8.DecodeRuneInString(name[n:]); unicode.IsLower(second) {
		return string(unicode.ToLower(first)) + name[n:]
	}
	return name
}

// Phrase says in words who is at an intersection: "first-time cart abandoners who are researching, in wedding guests".
func (n Names) Phrase(x juncture.Intersection) string {
	var b strings.Builder
	b.WriteString(momentPhrase(x))
	if v := x.Value(juncture.Meaning); n[v] != "" {
		b.WriteString(" in " + inside(n[v]))
	} else if juncture.Known(v) {
		b.WriteString(" in " + words(v))
	}
	if v := x.Value(juncture.Trajectory); juncture.Known(v) {
		latent, live := x.Axis(juncture.Trajectory, 0), x.Axis(juncture.Trajectory, 1)
		known := func(axis, v string) bool { return slices.Contains(vocabulary[axis], v) }
		switch {
		case known("latent", latent) && known("live", live):
			b.WriteString(", intent " + latent + " over weeks and " + livePhrase(live) + " now")
		case known("latent", latent) && live == juncture.Unknown:
			b.WriteString(", intent " + latent + " over weeks")
		case latent == juncture.Unknown && known("live", live):
			b.WriteString(", intent " + livePhrase(live) + " now")
		default:
			b.WriteString(", " + valueTitle("trajectory", v))
		}
	}
	if v := x.Value(juncture.Catalogue); juncture.Known(v) {
		b.WriteString(", looking at " + words(v))
	}
	if b.Len() == 0 {
		return "everybody"
	}
	if s := b.String(); !strings.HasPrefix(s, " ") && !strings.HasPrefix(s, ",") {
		return s
	}
	return "shoppers" + b.String()
}

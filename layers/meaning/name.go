package meaning

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/juncture/juncture"
)

// telling is an attribute of a cluster with how well it tells the cluster from the store.
type telling struct {
	attr  Attribute
	score float64
}

// telltale is the least weight in a centroid of an attribute that may tell the cluster: one percent of its taste. Rarer
// ones are far above the store's only because few shoppers anywhere have them.
const telltale = 0.1

// distinctive returns a cluster's attributes, the most distinctive first: by w * ln(w / store), w its weight in the
// centroid and store the weight among all shoppers - the contribution to the relative entropy of the two.
func (m *Model) distinctive(c *Cluster, store []float64) []telling {
	var out []telling
	for _, w := range c.Centroid {
		x := float64(w.Weight)
		if x < telltale {
			continue
		}
		if s := x * math.Log(x/math.Max(store[w.Dim], 1e-6)); s > 0 {
			out = append(out, telling{m.Space.Attributes[w.Dim], s})
		}
	}
	if len(out) == 0 { // one cluster is the whole store: its heaviest attributes tell it
		for _, w := range c.Centroid {
			out = append(out, telling{m.Space.Attributes[w.Dim], float64(w.Weight)})
		}
	}
	slices.SortStableFunc(out, func(a, b telling) int { return cmp.Compare(b.score, a.score) })
	return out
}

// name gives every cluster a readable name that is unique in the model, and an id from it. Larger clusters choose first.
func (m *Model) name(store []float64) {
	names, ids := map[string]bool{}, map[string]bool{}
	titles := map[string]float64{}
	for _, a := range m.Space.Attributes {
		if a.Kind == KindWord {
			titles[root(a.Value)] = a.Place
		}
	}
	for i := range m.Clusters {
		c := &m.Clusters[i]
		tell := m.distinctive(c, store)
		c.Top = nil
		for _, t := range tell {
			if v := t.attr.Value; len(c.Top) < 8 && !slices.Contains(c.Top, v) {
				c.Top = append(c.Top, v)
			}
		}
		c.Name = free(candidates(tell, titles), names)
		c.Auto = c.Name
		names[strings.ToLower(c.Name)] = true
		c.ID = freeID(c.Name, func(id string) bool { return ids[id] })
		ids[c.ID] = true
	}
	m.index()
}

// free returns the first name that is not taken.
func free(names []string, taken map[string]bool) string {
	for _, n := range names {
		if !taken[strings.ToLower(n)] {
			return n
		}
	}
	for i := 2; ; i++ {
		if n := fmt.Sprintf("%s (%d)", names[0], i); !taken[strings.ToLower(n)] {
			return n
		}
	}
}

// freeID returns the name's slug, with a number where it is taken.
func freeID(name string, taken func(string) bool) string {
	base := juncture.Slug(name, 48)
	if base == "" {
		base = "taste"
	}
	id := base
	for i := 2; taken(id); i++ {
		id = fmt.Sprintf("%s-%d", base, i)
	}
	return id
}

// candidates returns names for a cluster, the best first: a noun with one or two modifiers before it, then with others,
// then with a second noun. The noun is the most distinctive category or else tag, where titles end in it; or else the word
// that they end in. A store with neither gives the words of its titles in the order in which titles have them.
func candidates(tell []telling, titles map[string]float64) []string {
	nouns := pick(tell, 3, 0.15, KindCategory)
	if len(nouns) == 0 {
		nouns = pick(tell, 3, 0.3, KindTag)
	}
	if len(nouns) > 0 && !ends(nouns[0].attr, titles) { // "indoor", "women": it says where and not what
		what := slices.IndexFunc(tell, func(t telling) bool {
			return t.attr.Kind == KindWord && t.attr.Place > 0.5 || t.attr.Kind == KindTag && ends(t.attr, titles)
		})
		if what >= 0 {
			nouns = []telling{{tell[what].attr, nouns[0].score}}
		}
	}
	if len(nouns) == 0 {
		return wordNames(tell)
	}
	mods := modifiers(tell, nouns)
	var out []string
	for _, n := range nouns[:1] {
		if len(mods) > 1 {
			out = append(out, phrase(mods[:2], n))
		}
		for _, m := range mods {
			out = append(out, phrase([]telling{m}, n))
		}
		if len(mods) == 0 {
			out = append(out, n.attr.Value)
		}
		for i := range mods {
			for j := range i {
				out = append(out, phrase([]telling{mods[j], mods[i]}, n))
			}
		}
	}
	for _, second := range nouns[1:] {
		both := nouns[0]
		both.attr.Value += " and " + second.attr.Value
		for _, m := range mods {
			out = append(out, phrase([]telling{m}, both))
		}
		out = append(out, both.attr.Value)
	}
	for i := range mods {
		for j := range i {
			for k := range j {
				out = append(out, phrase([]telling{mods[k], mods[j], mods[i]}, nouns[0]))
			}
		}
	}
	return out
}

// ends reports whether a category is a thing: its last word stands in the later half of the store's titles, or the
// store's titles do not tell.
func ends(a Attribute, titles map[string]float64) bool {
	ws := fold(a.Value)
	if len(titles) == 0 || len(ws) == 0 {
		return true
	}
	place, ok := titles[root(ws[len(ws)-1])]
	return ok && place >= 0.5
}

// pick returns up to n attributes of a kind whose score is at least share of the first's.
func pick(tell []telling, n int, share float64, kind Kind) []telling {
	var out []telling
	for _, t := range tell {
		if t.attr.Kind == kind && len(out) < n && (len(out) == 0 || t.score >= share*out[0].score) {
			out = append(out, t)
		}
	}
	return out
}

// modifiers returns what may stand before the nouns: distinctive, adding a word, prices only at the ends of the range,
// one of each sort.
func modifiers(tell []telling, nouns []telling) []telling {
	var said []string
	for _, n := range nouns {
		said = append(said, fold(n.attr.Value)...)
	}
	sorts := map[string]bool{}
	var out []telling
	for _, t := range tell {
		a := t.attr
		switch {
		case a.Kind == KindCategory && nouns[0].attr.Kind == KindCategory || a.Implied || t.score < 0.08*tell[0].score || len(out) >= 6:
			continue
		case a.Kind == KindPrice && a.Value != bands()[0] && a.Value != bands()[3]:
			continue
		case len(a.Value) > 24:
			continue
		}
		sort := fmt.Sprint(a.Kind, a.Name)
		if a.Kind == KindAttr || a.Kind == KindPrice || a.Kind == KindBrand {
			if sorts[sort] {
				continue
			}
			sorts[sort] = true
		}
		if echoes(said, a.Value) {
			continue
		}
		said = append(said, fold(a.Value)...)
		out = append(out, t)
	}
	return out
}

// echoes reports whether a value only says what was said, in the singular or the plural.
func echoes(said []string, value string) bool {
	for _, w := range fold(value) {
		for _, s := range said {
			if root(w) == root(s) {
				return true
			}
		}
	}
	return false
}

func root(w string) string { return string(stem([]byte(w))) }

// place is where a modifier stands before its noun in English: price, brand, season, material and the like, colour, use,
// other words.
func (a Attribute) place() float64 {
	switch {
	case a.Kind == KindPrice:
		return 0
	case a.Kind == KindBrand:
		return 1
	case a.Kind == KindCategory, a.Kind == KindAttr && strings.Contains(a.Name, "season"):
		return 2
	case a.Kind == KindAttr && (strings.Contains(a.Name, "colo")):
		return 3
	case a.Kind == KindAttr:
		return 4
	case a.Kind == KindTag:
		return 5
	default:
		return 6 + a.Place
	}
}

func phrase(mods []telling, noun telling) string {
	mods = slices.Clone(mods)
	slices.SortStableFunc(mods, func(a, b telling) int { return cmp.Compare(a.attr.place(), b.attr.place()) })
	var b strings.Builder
	for _, m := range mods {
		b.WriteString(m.attr.Value)
		b.WriteByte(' ')
	}
	b.WriteString(noun.attr.Value)
	return b.String()
}

// wordNames makes names of the words of titles: the most distinctive ones, in the order that titles have them.
func wordNames(tell []telling) []string {
	var ws []telling
	var said []string
	price := ""
	for _, t := range tell {
		if t.attr.Kind == KindWord && len(ws) < 6 && !echoes(said, t.attr.Value) {
			ws = append(ws, t)
			said = append(said, t.attr.Value)
		}
		if t.attr.Kind == KindPrice && price == "" && (t.attr.Value == bands()[0] || t.attr.Value == bands()[3]) {
			price = t.attr.Value + " "
		}
	}
	if len(ws) == 0 {
		if len(tell) > 0 {
			return []string{tell[0].attr.Value}
		}
		return []string{"everything"}
	}
	join := func(chosen ...telling) string {
		slices.SortStableFunc(chosen, func(a, b telling) int { return cmp.Compare(a.attr.Place, b.attr.Place) })
		var parts []string
		for _, c := range chosen {
			parts = append(parts, c.attr.Value)
		}
		return strings.Join(parts, " ")
	}
	if len(ws) == 1 {
		return []string{price + ws[0].attr.Value, ws[0].attr.Value}
	}
	out := []string{join(ws[0], ws[1])}
	if len(ws) > 2 && ws[2].score > 0.6*ws[0].score {
		out = []string{join(ws[0], ws[1], ws[2]), out[0]}
	}
	for i := 2; i < len(ws); i++ {
		out = append(out, join(ws[0], ws[1], ws[i]), join(ws[0], ws[i]))
	}
	return append(out, price+out[0])
}

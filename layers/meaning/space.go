package meaning

import (
	"cmp"
	"iter"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/juncture/juncture"
)

// Kind is the sort of an attribute. Its numbers are in stored tastes: never renumber.
type Kind uint8

// The kinds of attribute.
const (
	KindCategory Kind = 1
	KindBrand    Kind = 2
	KindTag      Kind = 3
	KindPrice    Kind = 4 // a band of the store's own prices
	KindAttr     Kind = 5 // by name: colour, season, usage, material, ...
	KindWord     Kind = 6 // of the title
)

// share is how much of a product's say each kind has, before idf: the category most, a word of the title least, since
// what it says is mostly said by the others. Chosen once, not tuned per store.
func (k Kind) share() float64 {
	switch k {
	case KindCategory:
		return 1
	case KindBrand, KindTag:
		return 0.8
	case KindAttr:
		return 0.7
	case KindPrice, KindWord:
		return 0.5
	default:
		return 0
	}
}

// Attribute is one dimension of a Space.
type Attribute struct {
	Kind     Kind    `json:"kind"`
	Name     string  `json:"name,omitempty"`    // of a KindAttr
	Value    string  `json:"value"`             // as people read it, lower case
	Products int     `json:"products"`          // that have it
	IDF      float64 `json:"idf"`               // ln((products of the store + 1) / (Products + 1)), at least 0
	Place    float64 `json:"place"`             // of a word in its titles, mean, 0 the first word, 1 the last
	Implied  bool    `json:"implied,omitempty"` // by the category: it says nothing beside it, so no name has it
	Key      uint64  `json:"key,string"`        // what tastes know it by
}

// SpaceOptions bound a vocabulary. A zero field takes its default.
type SpaceOptions struct {
	MaxAttributes int // default 4,096
	MinProducts   int // products an attribute must be on; default 2 up to 200 products, 3 up to 2,000, else 5
}

// Space is a store's vocabulary of taste: which attributes products have, and how telling each is. It is immutable and
// safe for concurrent use.
type Space struct {
	Attributes []Attribute `json:"attributes"` // in order of kind, name, value
	Cuts       []int64     `json:"cuts"`       // prices, in minor units, where the bands above the first begin
	Products   int         `json:"products"`   // it was built from

	dims  map[uint64]int32
	gains []float32 // (share * idf)^2 of each dimension
}

// bands are the price bands between the store's quantiles 0.2, 0.5 and 0.8.
func bands() [4]string { return [4]string{"budget", "affordable", "premium", "high-end"} }

// NewSpace builds the vocabulary. What a shopper can be told by stays; dropped are, in this order: attributes that are
// denied (juncture.Trait, juncture.Withheld); values without a letter (sizes, years, codes); attributes on fewer products than MinProducts, or on
// more than nine in ten; and, when more than MaxAttributes are left, those on the fewest products. The same products
// give the same space in whatever order they come; products is read
// three times.
func NewSpace(products iter.Seq[*juncture.Product], o SpaceOptions) *Space {
	s := &Space{}
	var prices []int64
	for p := range products {
		s.Products++
		if p.Price > 0 {
			prices = append(prices, p.Price)
		}
	}
	s.Cuts = cuts(prices)
	o.MaxAttributes = cmp.Or(max(o.MaxAttributes, 0), 4096)
	if o.MinProducts <= 0 {
		switch {
		case s.Products <= 200:
			o.MinProducts = 2
		case s.Products <= 2000:
			o.MinProducts = 3
		default:
			o.MinProducts = 5
		}
	}
	found := map[uint64]*tallied{}
	for p := range products {
		s.collect(p, found)
	}
	for key, t := range found {
		if t.Products < o.MinProducts || t.Products*10 > s.Products*9 {
			delete(found, key)
			continue
		}
		t.settle(s.Products)
	}
	kept := make([]Attribute, 0, len(found))
	implied := impliedNames(products)
	for _, t := range found {
		t.Implied = t.Kind == KindAttr && implied[t.Name]
		kept = append(kept, t.Attribute)
	}
	if len(kept) > o.MaxAttributes {
		slices.SortFunc(kept, func(a, b Attribute) int { return cmp.Or(cmp.Compare(b.Products, a.Products), a.compare(b)) })
		kept = kept[:o.MaxAttributes]
	}
	slices.SortFunc(kept, Attribute.compare)
	s.Attributes = kept
	s.index()
	return s
}

func (a Attribute) compare(b Attribute) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name), strings.Compare(a.Value, b.Value), cmp.Compare(a.Key, b.Key))
}

// cuts returns the quantiles 0.2, 0.5 and 0.8 of the prices; none when they do not differ.
func cuts(prices []int64) []int64 {
	slices.Sort(prices)
	if len(prices) == 0 || prices[0] == prices[len(prices)-1] {
		return nil
	}
	at := func(q float64) int64 { return prices[int(q*float64(len(prices)))] }
	return []int64{at(0.2), at(0.5), at(0.8)}
}

// index builds what is looked up.
func (s *Space) index() {
	s.dims = make(map[uint64]int32, len(s.Attributes))
	s.gains = make([]float32, len(s.Attributes))
	for i, a := range s.Attributes {
		s.dims[a.Key] = int32(i)
		g := a.Kind.share() * a.IDF
		s.gains[i] = float32(g * g)
	}
}

// Dim returns the number of dimensions.
func (s *Space) Dim() int { return len(s.Attributes) }

// tallied is an attribute while it is being counted.
type tallied struct {
	Attribute
	places   float64
	surfaces map[string]int // of a word
}

func (t *tallied) settle(products int) {
	t.IDF = math.Max(0, math.Log(float64(products+1)/float64(t.Products+1)))
	if t.Kind != KindWord {
		return
	}
	t.Place = t.places / float64(t.Products)
	most := 0
	for w, n := range t.surfaces {
		if n > most || n == most && w < t.Value {
			t.Value, most = w, n
		}
	}
}

// impliedNames returns the names of attributes that the category fixes: the product group of a feed, beside its article
// types. More than nineteen in twenty products have the value that is commonest in their category.
func impliedNames(products iter.Seq[*juncture.Product]) map[string]bool {
	type of struct{ name, category string }
	values := map[of]map[string]int{}
	for p := range products {
		for name, value := range p.Attrs {
			k := of{strings.ToLower(strings.TrimSpace(name)), p.Category}
			if values[k] == nil {
				values[k] = map[string]int{}
			}
			if _, known := values[k][value]; known || len(values[k]) < 256 {
				values[k][value]++
			}
		}
	}
	common, all, categories := map[string]int{}, map[string]int{}, map[string]int{}
	for k, vs := range values {
		most := 0
		for _, n := range vs {
			most = max(most, n)
			all[k.name] += n
		}
		common[k.name] += most
		categories[k.name]++
	}
	out := map[string]bool{}
	for name, n := range all {
		out[name] = categories[name] > 1 && common[name]*20 > n*19
	}
	return out
}

// collect counts a product's attributes.
func (s *Space) collect(p *juncture.Product, found map[uint64]*tallied) {
	if p.Sealed() {
		return
	}
	var seen []uint64
	add := func(kind Kind, name, value string, key uint64) *tallied {
		if slices.Contains(seen, key) {
			return nil
		}
		seen = append(seen, key)
		t := found[key]
		if t == nil {
			t = &tallied{Attribute: Attribute{Kind: kind, Name: name, Value: value, Key: key}}
			found[key] = t
		}
		t.Products++
		return t
	}
	visit(p, func(kind Kind, name, value string) {
		if kind != KindPrice && !speaks(value) || juncture.Trait(name) != "" {
			return
		}
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.ToLower(strings.TrimSpace(value))
		add(kind, name, value, keyOf(kind, name, value))
	})
	if b := s.band(p.Price); b != "" {
		add(KindPrice, "", b, keyOf(KindPrice, "", b))
	}
	n := 0
	words(p.Title, func(_, _ []byte) { n++ })
	i := 0
	words(p.Title, func(surface, stem []byte) {
		place := 1.0
		if n > 1 {
			place = float64(i) / float64(n-1)
		}
		i++
		if juncture.Withheld(string(surface)) {
			return
		}
		if t := add(KindWord, "", string(surface), keyOf(KindWord, "", string(stem))); t != nil {
			t.places += place
			if t.surfaces == nil {
				t.surfaces = map[string]int{}
			}
			t.surfaces[string(surface)]++
		}
	})
}

// speaks reports whether a value has a letter and no withheld word.
func speaks(value string) bool {
	letter := false
	for _, r := range value {
		letter = letter || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r > 127
	}
	if !letter || len(value) > 64 {
		return false
	}
	return !juncture.Withheld(value)
}

// visit calls f with a product's category (each step of a path such as "home > kitchen"), brand, tags and attributes.
func visit(p *juncture.Product, f func(kind Kind, name, value string)) {
	for step := range strings.SplitSeq(p.Category, ">") {
		if step = strings.TrimSpace(step); step != "" {
			f(KindCategory, "", step)
		}
	}
	if p.Brand != "" {
		f(KindBrand, "", p.Brand)
	}
	for _, t := range p.Tags {
		f(KindTag, "", t)
	}
	for _, name := range slices.Sorted(maps.Keys(p.Attrs)) { // in order, since a product of very many loses the last
		f(KindAttr, name, p.Attrs[name])
	}
}

// band returns the price band, "" where there is none.
func (s *Space) band(price int64) string {
	if price <= 0 || len(s.Cuts) == 0 {
		return ""
	}
	b := 0
	for b < len(s.Cuts) && price >= s.Cuts[b] {
		b++
	}
	return bands()[b]
}

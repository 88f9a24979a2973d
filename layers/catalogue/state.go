package catalogue

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/juncture/juncture"
)

// State is what the layer keeps of a shopper: decayed scores of categories, and which products were viewed, put in the
// bag and bought last. Folding and merging take the events in any order: scores add up, and of a product the last event
// counts. The zero value is ready; its size is bounded by Settings and 16 categories.
type State struct {
	At         int64      // the time the scores are of, Unix milliseconds
	Categories []Interest // in order of name
	Viewed     []Seen     // the last ones, in order of Key
	Bag        []Seen     // the last that were put in or taken out, in order of Key
	Bought     []Seen     // in order of Key
	Cleared    int64      // when the bag was last emptied or ordered, Unix milliseconds
}

// Interest is the score of a category.
type Interest struct {
	Category string  // as the store writes it
	Score    float64 // in product views, at State.At
	Since    int64   // the first event that is remembered, Unix milliseconds
}

// Seen is a product with the last event about it.
type Seen struct {
	Key Key
	At  int64 // Unix milliseconds
	Out bool  // of the bag: the last event took it out
}

// interest is how much an event says of the category that a shopper is after, in product views.
func interest(k juncture.EventKind) float64 {
	switch k {
	case juncture.EventListViewed, juncture.EventProductViewed:
		return 1
	case juncture.EventProductClicked, juncture.EventProductsSearched, juncture.EventArticleViewed:
		return 0.5
	case juncture.EventProductDetail:
		return 1.5
	case juncture.EventWishlisted:
		return 2
	case juncture.EventProductAdded:
		return 3
	case juncture.EventOrderCompleted:
		return 2 // the need is met for now
	default:
		return 0
	}
}

// Fold adds an event. Categories that lines do not name are looked up.
func (s *State) Fold(e *juncture.Event, lookup func(id string) (*juncture.Product, bool), set Settings) {
	set = set.WithDefaults()
	at := e.At.UnixMilli()
	lines := e.Lines[:min(len(e.Lines), juncture.MaxLines)]
	if w := interest(e.Kind); w > 0 {
		if len(lines) == 0 && e.Category != "" {
			s.score(e.Category, w, at, set)
		}
		for i := range lines {
			category := lines[i].Category
			if category == "" {
				if p, ok := lookup(lines[i].Product); ok {
					category = p.Category
				}
			}
			if category != "" {
				s.score(category, w/float64(len(lines)), at, set)
			}
		}
	}
	switch e.Kind {
	case juncture.EventProductViewed, juncture.EventProductDetail:
		s.Viewed = note(s.Viewed, lines, at, false, set.Viewed)
	case juncture.EventProductAdded:
		s.Bag = note(s.Bag, lines, at, false, set.Bag)
	case juncture.EventProductRemoved:
		s.Bag = note(s.Bag, lines, at, true, set.Bag)
	case juncture.EventCartEmptied:
		s.Cleared = max(s.Cleared, at)
	case juncture.EventOrderCompleted:
		s.Cleared = max(s.Cleared, at)
		s.Bought = note(s.Bought, lines, at, false, set.Bought)
	}
}

// note records the last event of each product and keeps the most recent.
func note(list []Seen, lines []juncture.Line, at int64, out bool, most int) []Seen {
	for i := range lines {
		if lines[i].Product != "" {
			list = put(list, Seen{KeyOf(lines[i].Product), at, out})
		}
	}
	return latest(list, most)
}

// put sets a product's last event; of two at the same time, the one that takes it out.
func put(list []Seen, s Seen) []Seen {
	i, found := slices.BinarySearchFunc(list, s.Key, func(a Seen, k Key) int { return cmp.Compare(a.Key, k) })
	if !found {
		return slices.Insert(list, i, s)
	}
	if was := list[i]; s.At > was.At || s.At == was.At && s.Out {
		list[i] = s
	}
	return list
}

// latest keeps the most recent, of equals those with the smaller key.
func latest(list []Seen, most int) []Seen {
	if len(list) <= most {
		return list
	}
	slices.SortFunc(list, recent)
	list = list[:most]
	slices.SortFunc(list, func(a, b Seen) int { return cmp.Compare(a.Key, b.Key) })
	return list
}

func recent(a, b Seen) int { return cmp.Or(cmp.Compare(b.At, a.At), cmp.Compare(a.Key, b.Key)) }

// score adds to a category.
func (s *State) score(category string, w float64, at int64, set Settings) {
	if len(category) > 128 {
		category = category[:128]
	}
	category = strings.ToValidUTF8(category, "")
	switch {
	case len(s.Categories) == 0:
		s.At = at
	case at > s.At:
		s.scale(fade(at-s.At, set.FocusHalfLife))
		s.At = at
	default:
		w *= fade(s.At-at, set.FocusHalfLife)
	}
	s.Categories = addInterest(s.Categories, Interest{category, w, at})
	s.bound()
}

func addInterest(list []Interest, add Interest) []Interest {
	i, found := slices.BinarySearchFunc(list, add.Category, func(a Interest, c string) int { return strings.Compare(a.Category, c) })
	if !found {
		return slices.Insert(list, i, add)
	}
	list[i].Score += add.Score
	list[i].Since = min(list[i].Since, add.Since)
	return list
}

// bound keeps the maxCategories strongest categories, of equals the first by name.
func (s *State) bound() {
	for len(s.Categories) > maxCategories {
		least := 0
		for i, c := range s.Categories {
			if c.Score <= s.Categories[least].Score {
				least = i
			}
		}
		s.Categories = slices.Delete(s.Categories, least, least+1)
	}
}

func (s *State) scale(f float64) {
	for i := range s.Categories {
		s.Categories[i].Score *= f
	}
}

func fade(millis int64, halfLife time.Duration) float64 {
	return math.Exp2(-float64(millis) / float64(halfLife.Milliseconds()))
}

// Clone returns a deep copy.
func (s *State) Clone() State {
	out := *s
	out.Categories, out.Viewed, out.Bag, out.Bought = slices.Clone(s.Categories), slices.Clone(s.Viewed), slices.Clone(s.Bag), slices.Clone(s.Bought)
	return out
}

// Merge returns the state of two shoppers who turn out to be one. It commutes exactly.
func Merge(a, b *State, set Settings) State {
	set = set.WithDefaults()
	x, y := a.Clone(), b.Clone()
	switch {
	case len(x.Categories) == 0:
		x.At = y.At
	case len(y.Categories) == 0:
	case x.At < y.At:
		x.scale(fade(y.At-x.At, set.FocusHalfLife))
		x.At = y.At
	default:
		y.scale(fade(x.At-y.At, set.FocusHalfLife))
	}
	for _, c := range y.Categories {
		x.Categories = addInterest(x.Categories, c)
	}
	x.bound()
	x.Viewed = union(x.Viewed, y.Viewed, set.Viewed)
	x.Bag = union(x.Bag, y.Bag, set.Bag)
	x.Bought = union(x.Bought, y.Bought, set.Bought)
	x.Cleared = max(x.Cleared, y.Cleared)
	return x
}

func union(a, b []Seen, most int) []Seen {
	for _, s := range b {
		a = put(a, s)
	}
	return latest(a, most)
}

// InBag returns the products in the bag, the last first.
func (s *State) InBag() []Seen {
	return ordered(s.Bag, func(b Seen) bool { return !b.Out && b.At > s.Cleared })
}

// LastViewed and LastBought return products, the last first.
func (s *State) LastViewed() []Seen { return ordered(s.Viewed, nil) }

// LastBought returns the products bought, the last first.
func (s *State) LastBought() []Seen { return ordered(s.Bought, nil) }

func ordered(list []Seen, keep func(Seen) bool) []Seen {
	out := make([]Seen, 0, len(list))
	for _, s := range list {
		if keep == nil || keep(s) {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, recent)
	return out
}

// HasBought reports whether a product is among those bought last.
func (s *State) HasBought(k Key) bool {
	_, found := slices.BinarySearchFunc(s.Bought, k, func(a Seen, k Key) int { return cmp.Compare(a.Key, k) })
	return found
}

// Focus is the category that the shopper is after now, as a layer: the strongest, but of those within Settings.Hold of it
// the one held longest, so that looking at two in turn does not flicker. The confidence is the share of the interest that
// is in it, times how much interest is left (1 - 2^(-score), half at one product view).
func (s *State) Focus(now time.Time, set Settings) juncture.LayerView {
	set = set.WithDefaults()
	if len(s.Categories) == 0 {
		return juncture.LayerView{Value: juncture.Unknown, Reason: "no category looked at yet"}
	}
	total, top := 0.0, 0.0
	for _, c := range s.Categories {
		total += c.Score
		top = max(top, c.Score)
	}
	focus := Interest{Since: math.MaxInt64}
	for _, c := range s.Categories { // in order of name: of equals the first
		if c.Score >= set.Hold*top && c.Since < focus.Since {
			focus = c
		}
	}
	left := 1.0
	if late := now.UnixMilli() - s.At; late > 0 {
		left = fade(late, set.FocusHalfLife)
	}
	if !(total > 0) {
		return juncture.LayerView{Value: juncture.Unknown, Reason: "the interest in every category has faded"}
	}
	share := focus.Score / total
	conf := share * (1 - math.Exp2(-focus.Score*left))
	value := Slug(focus.Category)
	if conf < set.MinConfidence || value == "" {
		return juncture.LayerView{Value: juncture.Unknown, Reason: fmt.Sprintf("most interest is in %s, but with %.0f%% of it and %.1f views' worth left that says too little", focus.Category, 100*share, focus.Score*left)}
	}
	return juncture.LayerView{Value: value, Confidence: conf, Reason: fmt.Sprintf("%.0f%% of the recent interest is in %s", 100*share, focus.Category)}
}

package catalogue

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/juncture/juncture"
)

// State is what the layer keeps of a shopper: which products were viewed, put in the bag and bought last. Of a product
// the last event counts, so that events and merges may come in any order and the state is the same, bit by bit. The zero
// value is ready; its size is bounded by Settings.
type State struct {
	Viewed  []Seen // viewed, wished for or reviewed: the last ones, in order of Key
	Bag     []Seen // the last that were put in or taken out, in order of Key
	Bought  []Seen // in order of Key
	Cleared int64  // when the bag was last emptied or ordered, Unix milliseconds
}

// Seen is a product with the last event about it.
type Seen struct {
	Key Key
	At  int64 // Unix milliseconds
	Out bool  // of the bag: the last event took it out
}

// lastMs is the end of the year 9999, in ms.
const lastMs = 253402300799999

// Fold adds an event; times before 1970 or after 9999 are cut to these.
func (s *State) Fold(e *juncture.Event, set Settings) {
	set = set.WithDefaults()
	at := min(max(e.At.UnixMilli(), 0), lastMs)
	lines := e.Lines[:min(len(e.Lines), juncture.MaxLines)]
	switch e.Kind {
	case juncture.EventProductViewed, juncture.EventProductDetail, juncture.EventWishlisted, juncture.EventReviewed:
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
	if over := len(list) - most; over <= 4 { // usually one: cheaper than to sort twice
		for ; over > 0; over-- {
			last := 0
			for i := range list {
				if list[i].At < list[last].At || list[i].At == list[last].At && list[i].Key > list[last].Key {
					last = i
				}
			}
			list = slices.Delete(list, last, last+1)
		}
		return list
	}
	slices.SortFunc(list, recent)
	list = list[:most]
	slices.SortFunc(list, func(a, b Seen) int { return cmp.Compare(a.Key, b.Key) })
	return list
}

func recent(a, b Seen) int { return cmp.Or(cmp.Compare(b.At, a.At), cmp.Compare(a.Key, b.Key)) }

// Clone returns a deep copy.
func (s *State) Clone() State {
	out := *s
	out.Viewed, out.Bag, out.Bought = slices.Clone(s.Viewed), slices.Clone(s.Bag), slices.Clone(s.Bought)
	return out
}

// Merge returns the state of two shoppers who turn out to be one. It commutes exactly.
func Merge(a, b *State, set Settings) State {
	set = set.WithDefaults()
	x, y := a.Clone(), b
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

// Bytes is what the State holds in memory, beside its own struct.
func (s *State) Bytes() int { return 24 * (cap(s.Viewed) + cap(s.Bag) + cap(s.Bought)) }

// Interest is how much an event says of the category that a shopper is after, in product views.
func Interest(k juncture.EventKind) float64 {
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

// Look is a category that an event was about.
type Look struct {
	Category string
	Weight   float64 // in product views (Interest)
	At       int64   // Unix milliseconds
}

// Focus is the category that a shopper is after now, as a layer, from the latest looks in order of time: the strongest,
// but of those within Settings.Hold of it the one held longest, so that looking at two in turn does not flicker. The
// confidence is the share of the interest that is in it, times how much interest is left (1 - 2^(-score), half at one
// product view). A category that speaks of a sensitive trait is never looked at (juncture.Withheld).
func Focus(looks []Look, now time.Time, set Settings) juncture.LayerView {
	set = set.WithDefaults()
	type interest struct {
		category string
		score    float64
		withheld bool
	}
	var found []interest // in the order in which they were first looked at; few
	total, top := 0.0, 0.0
	for _, l := range looks {
		if l.Category == "" || !(l.Weight > 0) {
			continue
		}
		w := l.Weight * min(1, fade(now.UnixMilli()-l.At, set.FocusHalfLife))
		i := slices.IndexFunc(found, func(f interest) bool { return f.category == l.Category })
		if i < 0 {
			i = len(found)
			found = append(found, interest{category: l.Category, withheld: juncture.Withheld(l.Category)})
		}
		if found[i].withheld {
			continue
		}
		found[i].score += w
		total += w
		top = max(top, found[i].score)
	}
	found = slices.DeleteFunc(found, func(f interest) bool { return f.withheld })
	if len(found) == 0 {
		return juncture.LayerView{Value: juncture.Unknown, Reason: "no category looked at yet"}
	}
	if !(total > 0) {
		return juncture.LayerView{Value: juncture.Unknown, Reason: "the interest in every category has faded"}
	}
	focus := found[slices.IndexFunc(found, func(f interest) bool { return f.score >= set.Hold*top })]
	share := focus.score / total
	conf := share * (1 - math.Exp2(-focus.score))
	value := Slug(focus.category)
	if conf < set.MinConfidence || value == "" {
		return juncture.LayerView{Value: juncture.Unknown, Confidence: conf, Reason: fmt.Sprintf("most interest is in %s, but with %.0f%% of it and %.1f views' worth left that says too little", focus.category, 100*share, focus.score)}
	}
	return juncture.LayerView{Value: value, Confidence: conf, Reason: fmt.Sprintf("%.0f%% of the recent interest is in %s", 100*share, focus.category)}
}

// fade is what is left of a weight after so many milliseconds.
func fade(millis int64, halfLife time.Duration) float64 {
	return math.Exp2(-float64(millis) / float64(halfLife.Milliseconds()))
}

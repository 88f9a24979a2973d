// Package catalogue is the fourth layer: what can be surfaced. The key takes the shopper's focus category (Focus);
// the answer takes products for an action's slots (Shelf.Fill): complements to the bag, related to what was viewed,
// similar to what was bought, the picks of the shopper's taste clusters, of the focus category and of the store, moved by
// the merchandiser's priorities within a bound, and nothing that is hidden or out of stock.
//
// Three structures, by how often they change: Index holds the products as they are now (stock moves any second), Counts
// gathers what is viewed and bought together, and Shelf is an immutable reading of both, made every few minutes, from which
// calls are answered. Categories are the store's own, so the layer has no fixed vocabulary.
package catalogue

import (
	"cmp"
	"strings"
	"time"

	"github.com/juncture/juncture"
)

// Settings are a store's thresholds of the layer. A zero field takes its default.
type Settings struct {
	FocusHalfLife   time.Duration // of the interest in a category; default 14 days
	Hold            float64       // share of the strongest category's score at which the one held longer stays the focus; default 0.8
	MinConfidence   float64       // in [0,1], below which the focus is unknown; default 0.2
	Viewed          int           // products a shopper viewed last that are kept; default 32, at most 64
	Bought          int           // products bought; default and most 512: wholesalers buy hundreds
	Bag             int           // products put in or taken out of the bag; default 32, at most 64
	PairHalfLife    time.Duration // of two products seen together; default 180 days
	TrendHalfLife   time.Duration // of what is trending in the store and in categories; default 14 days
	ClusterHalfLife time.Duration // of what a cluster likes; default 14 days
	Neighbours      int           // of one product that are counted, of each kind; default 512, at most 1,024, and up to twice as many for a while
	Support         float64       // orders, decayed, that two products must share to count as bought together; default 4
	Lift            float64       // by which they must share more than chance has it; default 1.5
	Nudge           float64       // most that a priority may raise a score, as a share of it, in [0,1]; default 0.5
}

// WithDefaults returns the settings with every zero or impossible field at its default.
func (s Settings) WithDefaults() Settings {
	const day = 24 * time.Hour
	s.FocusHalfLife = cmp.Or(max(s.FocusHalfLife, 0), 14*day)
	s.PairHalfLife = cmp.Or(max(s.PairHalfLife, 0), 180*day)
	s.TrendHalfLife = cmp.Or(max(s.TrendHalfLife, 0), 14*day)
	s.ClusterHalfLife = cmp.Or(max(s.ClusterHalfLife, 0), 14*day)
	s.Viewed = min(cmp.Or(max(s.Viewed, 0), 32), 64)
	s.Bought = min(cmp.Or(max(s.Bought, 0), 512), 512)
	s.Bag = min(cmp.Or(max(s.Bag, 0), 32), 64)
	s.Neighbours = min(cmp.Or(max(s.Neighbours, 0), 512), 1024)
	s.Hold = min(orDefault(s.Hold, 0.8), 1)
	s.MinConfidence = orDefault(s.MinConfidence, 0.2)
	s.Support = orDefault(s.Support, 4)
	s.Lift = orDefault(s.Lift, 1.5)
	s.Nudge = min(orDefault(s.Nudge, 0.5), 1)
	return s
}

func orDefault(x, standard float64) float64 {
	if x > 0 {
		return x
	}
	return standard
}

// Key is a product's number in stored states: FNV-1a of its id, 64 bits. Of a million products two share one with a
// probability of 3 in 100 million.
type Key uint64

// KeyOf returns a product's key.
func KeyOf(id string) Key {
	h := uint64(14695981039346656037)
	for i := range len(id) {
		h = (h ^ uint64(id[i])) * 1099511628211
	}
	return Key(h)
}

// Slug returns the layer value of a category, [a-z0-9-] of at most 64 bytes; "" where nothing is left. A path keeps its
// last two steps: "home > kitchen > pans" is "kitchen-pans".
func Slug(category string) string {
	if steps := strings.Split(category, ">"); len(steps) > 1 {
		category = strings.Join(steps[len(steps)-2:], " ")
	}
	return juncture.Slug(category, 62)
}

// Package meaning is the second layer: what a shopper has taste for. Taste is a decayed, weighted sum over the
// attributes of the products that the shopper showed a taste for (Goods.Taste, in the vocabulary of a Space); clusters of
// tastes are learnt from this store's own shoppers (Fit), get readable names, keep their ids when they are learnt again
// (Match), and every shopper is assigned to the nearest one online (Model.View).
//
// What never feeds taste are traits of a person (juncture.Trait, juncture.Sealed). A caller may send the layer instead; its values are the
// store's own, so the layer has no fixed vocabulary.
package meaning

import (
	"cmp"
	"time"

	"github.com/juncture/juncture"
)

// Settings are a store's thresholds of the layer. A zero field takes its default.
type Settings struct {
	HalfLife      time.Duration // after which an event counts half; default 60 days
	Attributes    int           // heaviest attributes of a taste that count, at most MaxTaste; default 128
	MinTouches    int           // products or categories of taste below which the layer is unknown; default 2
	MinConfidence float64       // in [0,1], below which the layer is unknown; default 0.25
	Stick         float64       // similarity by which another cluster must be nearer before a shopper moves; default 0.02
}

// MaxTaste bounds Settings.Attributes.
const MaxTaste = 1024

// WithDefaults returns the settings with every zero or impossible field at its default.
func (s Settings) WithDefaults() Settings {
	if s.HalfLife <= 0 {
		s.HalfLife = 60 * 24 * time.Hour
	}
	if s.Attributes <= 0 {
		s.Attributes = 128
	}
	s.Attributes = min(s.Attributes, MaxTaste)
	s.MinTouches = cmp.Or(max(s.MinTouches, 0), 2)
	if s.MinConfidence <= 0 {
		s.MinConfidence = 0.25
	}
	if s.Stick <= 0 {
		s.Stick = 0.02
	}
	return s
}

// Weight returns how much an event of this kind says of taste, in product views. An order says most; a click and the
// view that follows it are one look; taking something out of the bag, cancelling and returning are about the purchase
// and not the taste, and count nothing. A list counts by its category alone, a search by its words.
func Weight(k juncture.EventKind) float64 {
	switch k {
	case juncture.EventOrderCompleted:
		return 8
	case juncture.EventProductAdded:
		return 4
	case juncture.EventWishlisted, juncture.EventReviewed:
		return 3
	case juncture.EventProductDetail:
		return 1.5
	case juncture.EventProductViewed:
		return 1
	case juncture.EventProductClicked, juncture.EventListViewed, juncture.EventProductsSearched, juncture.EventArticleViewed:
		return 0.5
	default:
		return 0
	}
}

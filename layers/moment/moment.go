// Package moment is the first layer: where a shopper stands, on three axes - lifecycle, status and mode - and never the
// category.
package moment

// Lifecycle, by counted orders.
const (
	Prospect  = "prospect"   // none
	FirstTime = "first-time" // 1
	Returning = "returning"  // 2 to 3
	Loyal     = "loyal"      // 4 or more, or lifetime value over the store's setting
)

// Status.
const (
	Browsing          = "browsing"
	CartAbandoned     = "cart-abandoned"
	CheckoutAbandoned = "checkout-abandoned"
	FreshlyConverted  = "freshly-converted"
	AtRisk            = "at-risk"
	Dormant           = "dormant"
)

// Mode.
const (
	Researching = "researching" // wide: many categories, searches, articles
	Considering = "considering" // narrow: the same products again, reviews, size, delivery
)

// Vocabulary returns the known values of an axis in order, nil for an axis that is not moment's.
func Vocabulary(axis string) []string {
	switch axis {
	case "lifecycle":
		return []string{Prospect, FirstTime, Returning, Loyal}
	case "status":
		return []string{Browsing, CartAbandoned, CheckoutAbandoned, FreshlyConverted, AtRisk, Dormant}
	case "mode":
		return []string{Researching, Considering}
	}
	return nil
}

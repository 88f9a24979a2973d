package trajectory

import "github.com/juncture/juncture"

// weight is how much intent an event shows, in product views. The steps follow a shop's funnel; they were set by hand
// from usual conversion ratios (of ten product views about one is put into the bag, of three bags one gets to the
// checkout), on a log scale so that no single event drowns the rest.
//
//	page 0.1 · article 0.3 · list, search 0.4 · click 0.5 · product 1 · details, wish list, review 1.5
//	cart viewed 1.5 · added 3 · checkout 5, each step 3 · order 4 · campaign opened 0.3 · removed -1.5 · emptied -3
//
// An order counts for latent intent (they may come again) and ends live intent.
func weight(k juncture.EventKind) (latent, live float64) {
	switch k {
	case juncture.EventPageViewed:
		return 0.1, 0.1
	case juncture.EventArticleViewed:
		return 0.3, 0.3
	case juncture.EventProductsSearched, juncture.EventListViewed:
		return 0.4, 0.4
	case juncture.EventProductClicked:
		return 0.5, 0.5
	case juncture.EventProductViewed:
		return 1, 1
	case juncture.EventProductDetail, juncture.EventWishlisted, juncture.EventReviewed, juncture.EventCartViewed:
		return 1.5, 1.5
	case juncture.EventProductAdded, juncture.EventCheckoutStep:
		return 3, 3
	case juncture.EventCheckoutStarted:
		return 5, 5
	case juncture.EventOrderCompleted:
		return 4, 0
	case juncture.EventCampaignEngaged:
		return 0.3, 0
	case juncture.EventProductRemoved:
		return -1.5, -1.5
	case juncture.EventCartEmptied:
		return -3, -3
	}
	return 0, 0
}

package juncture

import "time"

// EventKind is what an event means to the layers. Names of the Segment ecommerce vocabulary, and GA4's as aliases, map
// to a kind; the rest is EventOther, kept and counted. Their numbers are stored: never renumber.
type EventKind uint8

// The kinds.
const (
	EventOther            EventKind = 0
	EventPageViewed       EventKind = 1
	EventArticleViewed    EventKind = 2 // editorial: articles, guides, look books
	EventProductsSearched EventKind = 3
	EventListViewed       EventKind = 4 // a category or collection, with its Category
	EventProductClicked   EventKind = 5
	EventProductViewed    EventKind = 6
	EventProductDetail    EventKind = 7 // reviews, size guide, delivery and returns of a product
	EventWishlisted       EventKind = 8
	EventProductAdded     EventKind = 9 // to the bag
	EventProductRemoved   EventKind = 10
	EventCartViewed       EventKind = 11
	EventCheckoutStarted  EventKind = 12
	EventCheckoutStep     EventKind = 13 // viewed or completed, payment info entered
	EventOrderCompleted   EventKind = 14
	EventOrderCancelled   EventKind = 15
	EventOrderRefunded    EventKind = 16 // Value is what was refunded; zero: the whole order
	EventCampaignEngaged  EventKind = 17 // opened or clicked a mail, sms or push
	EventIdentified       EventKind = 18 // identify or alias: no behaviour
	EventReviewed         EventKind = 19 // wrote a review
	EventCartEmptied      EventKind = 20 // an updated cart without lines
)

// Event is one thing that a shopper did, cleaned: ids, what it means and what it was about. It is what profiles fold;
// the body as it was sent is kept beside it in the store.
type Event struct {
	ID       string    // the sender's messageId; unique in the store
	Kind     EventKind //
	Name     string    // as sent
	Shopper  string    // the profile's first-seen id
	Session  string    // the sender's session id; empty: sessions are cut at 30 minutes without an event
	At       time.Time // when it happened, corrected for the sender's clock; millisecond resolution, UTC
	Lines    []Line    // the products it is about, at most MaxLines
	Category string    // of a list; else of its first product; lower case, "" when not said
	Query    string    // of a search
	Order    string    // the order's id
	Value    int64     // of an order or a refund, in minor units
	Source   string    `json:",omitempty"` // where the visit came from, on the events that say so: a campaign's source and medium, or another site; lower case
}

// Line is one product of an event.
type Line struct {
	Product  string // the catalogue's id
	Category string // lower case; "" when not said
	Quantity int    // at least 1
	Price    int64  // of one, in minor units; 0 when not said
}

// MaxLines bounds the products of an event that are kept.
const MaxLines = 50

// Product is what the catalogue knows of one thing for sale. Attributes feed taste; none of them may be a trait of a
// person.
type Product struct {
	ID       string
	Title    string
	Category string   // lower case, the store's own words, such as "dresses"
	Tags     []string // lower case, sorted
	Brand    string
	Price    int64 // in minor units
	Compare  int64 // the price before a discount; 0 for none
	Margin   int64 // in minor units; 0 when not known
	Stock    int64 // units; -1 when the store does not track it
	Image    string
	URL      string
	Created  time.Time
	Attrs    map[string]string // others that describe it: colour, season, usage, material, ...
	Hidden   bool              // unpublished or withdrawn: never surfaced
}

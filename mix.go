package juncture

import "time"

// ValueCount is how many shoppers stand at one value now.
type ValueCount struct {
	What     string `json:"what"`  // a layer's name, "window" or "posture"
	Value    string `json:"value"` // of a layer the whole value, such as loyal.at-risk._
	Shoppers int64  `json:"shoppers"`
}

// MoveCount is how many shoppers passed from one value of an axis to another.
type MoveCount struct {
	Axis     string `json:"axis"` // lifecycle, status or mode
	From     string `json:"from"`
	To       string `json:"to"`
	Shoppers int64  `json:"shoppers"`
	Reason   string `json:"reason"` // of the latest
}

// MixView is how shoppers spread over the layers, who moved, and what of their events could not be taken.
type MixView struct {
	AsOf       time.Time      `json:"asOf"`
	Since      time.Time      `json:"since"` // that movements are counted from
	Counts     []ValueCount   `json:"counts"`
	Moves      []MoveCount    `json:"moves"` // most shoppers first
	Quarantine []RefusedEvent `json:"quarantine"`
}

// RefusedEvent is why events could not be taken, and how many.
type RefusedEvent struct {
	Reason  string    `json:"reason"` // a short code
	Message string    `json:"message"`
	Count   int64     `json:"count"`
	Latest  time.Time `json:"latest"`
}

// TimelineView is what a shopper did, and how that moved them: each newest first.
type TimelineView struct {
	ShopperID string          `json:"shopperId"` // the id seen first
	Consent   ConsentRecord   `json:"consent"`
	Events    []TimelineEvent `json:"events"`
	Movements []TimelineMove  `json:"movements"`
}

// TimelineEvent is one event. Money is in major units of the store's currency.
type TimelineEvent struct {
	At       time.Time      `json:"at"`
	Name     string         `json:"name"` // as it was sent
	Products []TimelineLine `json:"products"`
	Category string         `json:"category,omitempty"`
	Query    string         `json:"query,omitempty"` // of a search
	OrderID  string         `json:"orderId,omitempty"`
	Value    float64        `json:"value,omitempty"`  // of an order or a refund
	Source   string         `json:"source,omitempty"` // where the visit came from
}

// TimelineLine is one product of an event.
type TimelineLine struct {
	ID       string  `json:"productId"`
	Category string  `json:"category,omitempty"`
	Quantity int     `json:"quantity"`
	Price    float64 `json:"price,omitempty"` // of one; 0: not said
}

// TimelineMove is one movement.
type TimelineMove struct {
	At     time.Time `json:"at"`
	Axis   string    `json:"axis"`
	From   string    `json:"from"`
	To     string    `json:"to"`
	Reason string    `json:"reason"`
}

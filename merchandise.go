package juncture

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Priority is a merchandiser's wish for a while: that products, or a whole category, are shown more in the slots of
// actions, or that an action is shown more by the experiments of its surfaces. It has immutable versions, as an action has.
type Priority struct {
	ID       string     `json:"id"`
	Owner    string     `json:"owner"`         // who answers for it
	Why      string     `json:"why,omitempty"` // "new drop", "overstock", "margin push"
	Products []string   `json:"products,omitempty"`
	Category string     `json:"category,omitempty"`
	Action   string     `json:"action,omitempty"` // instead of products and category
	Weight   float64    `json:"weight"`           // in (0, 1]: the part of the most that a priority may raise, a product by half, an action to twice
	Starts   *time.Time `json:"starts,omitempty"` // nil: at once
	Expires  time.Time  `json:"expires"`          // exclusive
}

// Live reports whether the priority holds at now.
func (p Priority) Live(now time.Time) bool {
	return (p.Starts == nil || !now.Before(*p.Starts)) && now.Before(p.Expires)
}

// Hash is the content hash that an approval binds to: dates and owner are part of it.
func (p Priority) Hash() string { return contentHash(p) }

// Nudge is what a priority of an action does in an experiment: 2 to the power of its weight, so that the most is the most of
// a nudge (statistics C.3).
func (p Priority) Nudge() Nudge {
	return Nudge{Action: p.Action, Factor: math.Exp2(p.Weight), Owner: p.Owner, Why: p.Why, Starts: p.Starts, Expires: p.Expires, Priority: p.ID}
}

// Editorial is a piece of content that an action may carry: a guide, a look book, a story.
type Editorial struct {
	ID       string     `json:"id"`
	Title    string     `json:"title"`
	URL      string     `json:"url"`
	Image    string     `json:"image,omitempty"`
	Category string     `json:"category,omitempty"` // it is about; empty: about the store
	Meaning  []string   `json:"meaning,omitempty"`  // taste clusters that it is written for; empty: for everybody
	Expires  *time.Time `json:"expires,omitempty"`  // exclusive; nil: never
}

// Sources of the products that fill an action's slots, as Action.From names them.
func Sources() []string {
	return []string{"complements", "related", "similar", "cluster", "category", "trending", "priority"}
}

// Limits of what merchandisers declare.
const (
	MaxSlots      = 24 // products, and pieces, of one answer
	MaxPriorities = 1_000
	MaxEditorial  = 5_000
)

func (c *check) merchandise(d *Declaration, actions map[string]Action) {
	c.most("priorities", len(d.Priorities), MaxPriorities)
	priorities := map[string]Priority{}
	for i, p := range d.Priorities {
		path := fmt.Sprintf("priorities[%d]", i)
		name(c, path+".id", p.ID, priorities, p)
		if strings.TrimSpace(p.Owner) == "" {
			c.add(path+".owner", "a priority needs an owner", "who answers for it, such as owner: mia")
		}
		_, known := actions[p.Action]
		switch goods := len(p.Products) > 0 || p.Category != ""; {
		case !goods && p.Action == "":
			c.add(path, "a priority needs products, a category or an action", "products: [sku-1, sku-2]")
		case goods && p.Action != "":
			c.add(path+".action", "a priority raises products or an action, not both", "write two")
		case p.Action != "" && !known:
			c.add(path+".action", fmt.Sprintf("no action is called %.80q", p.Action), "declare it under actions")
		}
		c.most(path+".products", len(p.Products), 1_000)
		c.text(path+".category", p.Category)
		if !(p.Weight > 0 && p.Weight <= 1) {
			c.add(path+".weight", fmt.Sprintf("%v is not over 0 and up to 1", p.Weight), "")
		}
		if p.Expires.IsZero() {
			c.add(path+".expires", "a priority needs an expiry", "expires: 2027-01-31T00:00:00Z")
		} else if p.Starts != nil && !p.Starts.Before(p.Expires) {
			c.add(path+".expires", "expires before it starts", "")
		}
		c.text(path+".why", p.Why)
		c.text(path+".owner", p.Owner)
	}
	c.most("editorial", len(d.Editorial), MaxEditorial)
	pieces := map[string]Editorial{}
	for i, e := range d.Editorial {
		path := fmt.Sprintf("editorial[%d]", i)
		name(c, path+".id", e.ID, pieces, e)
		if e.Title == "" {
			c.add(path+".title", "a piece needs a title", "")
		}
		if !strings.HasPrefix(e.URL, "https://") && !strings.HasPrefix(e.URL, "http://") && !strings.HasPrefix(e.URL, "/") {
			c.add(path+".url", fmt.Sprintf("%.80q is not a link", e.URL), "https://... or a path of the store, /...")
		}
		c.text(path+".title", e.Title)
		c.text(path+".url", e.URL)
		c.text(path+".image", e.Image)
		for j, v := range e.Meaning {
			if !ValidLayerValue(v) {
				c.add(fmt.Sprintf("%s.meaning[%d]", path, j), fmt.Sprintf("%.80q is not a meaning value", v), "1 to 64 of [a-z0-9._-]")
			}
		}
	}
}

// slots checks what an action shows beside its copy.
func (c *check) slots(path string, a Action) {
	c.number(path+".slots", float64(a.Slots), 0, MaxSlots)
	c.number(path+".editorial", float64(a.Editorial), 0, MaxSlots)
	c.most(path+".products", len(a.Products), MaxSlots)
	for i, p := range a.Products {
		if p == "" || len(p) > 256 {
			c.add(fmt.Sprintf("%s.products[%d]", path, i), "a product's id is 1 to 256 bytes", "")
		}
	}
	if len(a.Products) > 0 && a.Slots == 0 {
		c.add(path+".slots", "products are named and there is no slot to show them in", fmt.Sprintf("slots: %d", len(a.Products)))
	}
	for i, s := range a.From {
		if !slices.Contains(Sources(), s) {
			c.add(fmt.Sprintf("%s.from[%d]", path, i), fmt.Sprintf("%.40q is no source of products", s), fmt.Sprintf("one of %q", Sources()))
		}
	}
}

// layer checks a layer's thresholds, and that they are its own.
func (c *check) layer(path string, l Layer, s LayerSetting) {
	if s.MaxValues < 0 || s.MaxValues > 100_000 {
		c.add(path+".maxValues", "must be 1 to 100000", "")
	}
	moment, meaning, catalogue := l == Moment, l == Meaning, l == Catalogue
	for _, f := range []struct {
		name  string
		v     float64
		here  bool
		least float64
		most  float64
		unit  string
	}{
		{"minConfidence", s.MinConfidence, true, 0, 1, ""},
		{"halfLife", days(s.HalfLife), meaning || catalogue, 1.0 / 24, 3650, " days"},
		{"clusters", float64(s.Clusters), meaning, 2, 512, ""},
		{"refit", days(s.Refit), meaning, 1.0 / 24, 365, " days"},
		{"dormant", days(s.Dormant), moment, 1, 3650, " days"},
		{"abandonAfter", days(s.AbandonAfter), moment, 0.5 / 24, 30, " days"},
		{"abandonFor", days(s.AbandonFor), moment, 1.0 / 24, 365, " days"},
		{"fresh", days(s.Fresh), moment, 1.0 / 24, 365, " days"},
		{"atRiskGaps", s.AtRiskGaps, moment, 1, 100, ""},
		{"atRiskOrders", float64(s.AtRiskOrders), moment, 2, 32, ""},
		{"loyalOrders", float64(s.LoyalOrders), moment, 2, 1000, ""},
		{"loyalValue", s.LoyalValue, moment, 0, 1e9, ""},
		{"vipValue", s.VIPValue, moment, 0, 1e9, ""},
	} {
		switch {
		case f.v == 0:
		case !f.here:
			c.add(path+"."+f.name, "this layer has no such setting", "")
		case s.Source == SourceRequest && f.name != "minConfidence":
			c.add(path+"."+f.name, "the layer comes with the request", "a threshold is of a derived layer")
		case !(f.v >= f.least && f.v <= f.most) || math.IsNaN(f.v):
			c.add(path+"."+f.name, fmt.Sprintf("%v is out of range", f.v), fmt.Sprintf("%.3g to %g%s", f.least, f.most, f.unit))
		}
	}
}

func days(d Duration) float64 { return time.Duration(d).Hours() / 24 }

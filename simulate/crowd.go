package simulate

import (
	"cmp"
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// CrowdSettings describe the shoppers of a made-up shop whose events are wanted (statistics F.6). Zero fields are those named.
type CrowdSettings struct {
	Seed     uint64
	Shoppers int       // 0: 2,000
	Days     int       // 0: 60
	Start    time.Time // 0: 1 January 2026 UTC
}

// Crowd is shoppers with hidden tastes and habits, and the products that they come for. The same settings make the same one.
type Crowd struct {
	CrowdSettings
	Products []CrowdProduct
	Shoppers []CrowdShopper
	byTaste  [][]int
}

// CrowdProduct is a product, in the names that `juncture import products` reads.
type CrowdProduct struct {
	ID       string   `json:"id"`
	Title    string   `json:"title"`
	Category string   `json:"category"`
	Brand    string   `json:"brand"`
	Tags     []string `json:"tags"`
	Price    float64  `json:"price"`
	Stock    int      `json:"stock"`
}

// CrowdShopper is the truth about a shopper. Orders and Refunded are of the events that were told so far.
type CrowdShopper struct {
	ID        string `json:"id"`        // userId from the first order on
	Anonymous string `json:"anonymous"` // anonymousId always
	Taste     string `json:"taste"`
	Orders    int    `json:"orders"`
	Refunded  int    `json:"refunded"` // whole orders taken back

	taste  int
	perDay float64 // visits
	buys   float64 // chance that a visit means to buy
}

// Tastes of the made-up shop: what their products have in common.
var crowdTastes = []struct {
	name, brand string
	tags        []string
	categories  []string
	price       float64
}{
	{"minimalist", "Plain Works", []string{"linen", "neutral", "organic"}, []string{"shirts", "trousers", "coats"}, 80},
	{"streetwear", "Kerb", []string{"oversized", "graphic", "cotton"}, []string{"hoodies", "sneakers", "caps"}, 60},
	{"outdoor", "Northfell", []string{"waterproof", "technical", "recycled"}, []string{"jackets", "boots", "backpacks"}, 120},
	{"romantic", "Petal & Co", []string{"floral", "lace", "pastel"}, []string{"dresses", "skirts", "blouses"}, 70},
	{"tailored", "Hale & Son", []string{"wool", "formal", "navy"}, []string{"suits", "shirts", "shoes"}, 180},
	{"athletic", "Pulse", []string{"stretch", "running", "breathable"}, []string{"leggings", "tops", "sneakers"}, 50},
	{"vintage", "Second Act", []string{"denim", "retro", "corduroy"}, []string{"jeans", "jackets", "dresses"}, 55},
	{"bargain", "Everyday", []string{"basic", "multipack", "sale"}, []string{"socks", "tops", "jeans"}, 15},
}

// NewCrowd makes the shop and its shoppers: tastes by Zipf, visits a day log-normal around one in five days.
func NewCrowd(set CrowdSettings) *Crowd {
	set.Shoppers = cmp.Or(set.Shoppers, 2000)
	set.Days = cmp.Or(set.Days, 60)
	if set.Start.IsZero() {
		set.Start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	rng := rand.New(rand.NewPCG(set.Seed, 0x63726f7764))
	c := &Crowd{CrowdSettings: set, byTaste: make([][]int, len(crowdTastes))}
	colours := []string{"black", "white", "sand", "blue", "green", "red"}
	for t, taste := range crowdTastes {
		for i := range 50 {
			category := taste.categories[i%len(taste.categories)]
			tags := []string{taste.tags[rng.IntN(3)], taste.tags[rng.IntN(3)], colours[rng.IntN(len(colours))]}
			slices.Sort(tags)
			tags = slices.Compact(tags)
			p := CrowdProduct{ID: fmt.Sprintf("%s-%02d", taste.name, i), Category: category, Brand: taste.brand, Tags: tags,
				Price: math.Round(taste.price*math.Exp(0.3*rng.NormFloat64())*100) / 100, Stock: 1 + rng.IntN(50)}
			p.Title = fmt.Sprintf("%s %s %s %d", taste.brand, tags[0], category, i)
			c.byTaste[t] = append(c.byTaste[t], len(c.Products))
			c.Products = append(c.Products, p)
		}
	}
	weights := make([]float64, len(crowdTastes))
	for i := range weights {
		weights[i] = 1 / float64(i+2)
	}
	c.Shoppers = make([]CrowdShopper, set.Shoppers)
	for i := range c.Shoppers {
		t := weighted(rng, weights)
		c.Shoppers[i] = CrowdShopper{ID: fmt.Sprintf("crowd-%d", i), Anonymous: fmt.Sprintf("device-%d", i), Taste: crowdTastes[t].name, taste: t,
			perDay: min(0.2*math.Exp(0.8*rng.NormFloat64()), 3), buys: min(0.15*math.Exp(0.7*rng.NormFloat64()), 0.8)}
	}
	return c
}

func weighted(rng *rand.Rand, w []float64) int {
	sum := 0.0
	for _, v := range w {
		sum += v
	}
	u := rng.Float64() * sum
	for i, v := range w {
		if u -= v; u < 0 {
			return i
		}
	}
	return len(w) - 1
}

// crowdEvent is a tracking call (Segment's HTTP API).
type crowdEvent struct {
	Type        string         `json:"type"`
	Event       string         `json:"event,omitempty"`
	MessageID   string         `json:"messageId"`
	AnonymousID string         `json:"anonymousId"`
	UserID      string         `json:"userId,omitempty"`
	Timestamp   time.Time      `json:"timestamp"`
	Properties  map[string]any `json:"properties,omitempty"`
}

// Events tells what the shoppers do, one tracking call each as JSON, in order of time, and counts their orders. It may be
// called once. A visit looks at one to a dozen products, four in five of the shopper's taste; one that means to buy puts some
// into the bag, reaches the checkout in 70% of them and orders in 75% of those; 5% of orders are taken back. From the first
// order on the shopper is signed in. Memory is that of a day's events.
func (c *Crowd) Events() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		rng := rand.New(rand.NewPCG(c.Seed, 0x6576656e7473))
		serial, order := 0, 0
		var carried []crowdEvent // refunds of later days
		for day := range c.Days {
			from := c.Start.AddDate(0, 0, day)
			var today []crowdEvent
			carried = slices.DeleteFunc(carried, func(e crowdEvent) bool {
				due := e.Timestamp.Before(from.AddDate(0, 0, 1))
				if due {
					today = append(today, e)
				}
				return due
			})
			for i := range c.Shoppers {
				s := &c.Shoppers[i]
				visits := 0
				for p := s.perDay; rng.Float64() < p/(1+p); { // geometric
					visits++
				}
				for v := range visits {
					at := from.Add(time.Duration((float64(v) + rng.Float64()) / float64(visits) * 22 * float64(time.Hour)))
					today = append(today, c.visit(rng, s, at, &order, &carried)...)
				}
			}
			slices.SortStableFunc(today, func(a, b crowdEvent) int { return a.Timestamp.Compare(b.Timestamp) })
			for _, e := range today {
				serial++
				e.MessageID = fmt.Sprintf("m-%d-%d", c.Seed, serial)
				b, _ := json.Marshal(e) // plain data always can
				if !yield(b) {
					return
				}
			}
		}
	}
}

func (c *Crowd) visit(rng *rand.Rand, s *CrowdShopper, at time.Time, order *int, carried *[]crowdEvent) (out []crowdEvent) {
	step := func(seconds float64) time.Time {
		at = at.Add(time.Duration(seconds * (0.3 + rng.ExpFloat64()) * float64(time.Second))).Truncate(time.Millisecond)
		return at
	}
	add := func(kind, name string, properties map[string]any) {
		e := crowdEvent{Type: kind, Event: name, AnonymousID: s.Anonymous, Timestamp: at, Properties: properties}
		if s.Orders > 0 {
			e.UserID = s.ID
		}
		out = append(out, e)
	}
	at = at.Truncate(time.Millisecond)
	buying := rng.Float64() < s.buys
	add("page", "", map[string]any{"name": "Home"})
	seen := 1 + rng.IntN(6)
	if buying {
		seen += rng.IntN(6)
	}
	var bag []CrowdProduct
	for range seen {
		taste := s.taste
		if rng.Float64() > 0.8 {
			taste = rng.IntN(len(c.byTaste))
		}
		p := c.Products[c.byTaste[taste][rng.IntN(len(c.byTaste[taste]))]]
		step(40)
		if rng.Float64() < 0.3 {
			add("track", "Product List Viewed", map[string]any{"category": p.Category})
			step(20)
		}
		about := map[string]any{"product_id": p.ID, "category": p.Category, "price": p.Price, "currency": "EUR"}
		add("track", "Product Viewed", about)
		if buying && taste == s.taste && rng.Float64() < 0.5 {
			step(30)
			add("track", "Product Added", about)
			bag = append(bag, p)
		}
	}
	if len(bag) == 0 || rng.Float64() > 0.7 {
		return out
	}
	step(60)
	total := 0.0
	var lines []map[string]any
	for _, p := range bag {
		total += p.Price
		lines = append(lines, map[string]any{"product_id": p.ID, "category": p.Category, "price": p.Price, "quantity": 1})
	}
	total = math.Round(total*100) / 100
	add("track", "Checkout Started", map[string]any{"value": total, "currency": "EUR", "products": lines})
	if rng.Float64() > 0.75 {
		return out
	}
	step(120)
	*order++
	id := fmt.Sprintf("o-%d-%d", c.Seed, *order)
	if s.Orders == 0 { // signs in with the first one
		s.Orders++
		add("identify", "", nil)
		s.Orders--
	}
	s.Orders++
	add("track", "Order Completed", map[string]any{"order_id": id, "total": total, "currency": "EUR", "products": lines})
	if rng.Float64() < 0.05 {
		back := at.AddDate(0, 0, 1+rng.IntN(10))
		if back.Before(c.Start.AddDate(0, 0, c.Days)) {
			s.Refunded++
			*carried = append(*carried, crowdEvent{Type: "track", Event: "Order Refunded", AnonymousID: s.Anonymous, UserID: s.ID, Timestamp: back,
				Properties: map[string]any{"order_id": id, "total": total, "currency": "EUR"}})
		}
	}
	return out
}

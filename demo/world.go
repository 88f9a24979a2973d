package demo

import (
	"math"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/juncture/juncture"
)

// Values of the axes. They are written out, not taken from the layers: a shopper knows nothing of how Juncture derives them.
const (
	prospect, firstTime, returning, loyal          = "prospect", "first-time", "returning", "loyal"
	browsing, cartAbandoned, checkoutAbandoned     = "browsing", "cart-abandoned", "checkout-abandoned"
	freshlyConverted, atRisk, dormant              = "freshly-converted", "at-risk", "dormant"
	researching, considering                       = "researching", "considering"
	fashionistas, streetwear, bargainHunters       = "high-end-fashionistas", "streetwear", "bargain-hunters"
	minimalists, occasionWear                      = "minimalists", "occasion-wear"
	defaultShoppers, defaultIntersections, zipfPow = 20_000, 300, 0.8
)

// World is the shop's shoppers. The same seed and number of shoppers make the same world. It is safe for concurrent use.
type World struct {
	seed     uint64
	shoppers int
	places   []juncture.Intersection
	share    []float64 // cumulative, of the shoppers
}

// NewWorld makes a world; shoppers below 1 means 20,000.
func NewWorld(seed uint64, shoppers int) *World {
	if shoppers < 1 {
		shoppers = defaultShoppers
	}
	w := &World{seed: seed, shoppers: shoppers}
	r := rand.New(rand.NewPCG(seed, 1))
	seen := map[juncture.Intersection]bool{}
	total := 0.0
	for len(w.places) < defaultIntersections {
		x := place(r)
		if seen[x] {
			continue
		}
		seen[x] = true
		w.places = append(w.places, x)
		total += math.Pow(float64(len(w.places)+5), -zipfPow) // common combinations tend to be drawn first
		w.share = append(w.share, total)
	}
	for i := range w.share {
		w.share[i] /= total
	}
	return w
}

// place draws a combination of values that shoppers can have.
func place(r *rand.Rand) juncture.Intersection {
	lifecycle := pick(r, []string{prospect, firstTime, returning, loyal}, 0.35, 0.25, 0.22, 0.18)
	status := ""
	switch lifecycle {
	case prospect: // has not ordered
		status = pick(r, []string{browsing, cartAbandoned, checkoutAbandoned, dormant}, 0.5, 0.22, 0.13, 0.15)
	case firstTime:
		status = pick(r, []string{browsing, cartAbandoned, checkoutAbandoned, freshlyConverted, dormant}, 0.32, 0.2, 0.12, 0.22, 0.14)
	default: // at risk takes three orders
		status = pick(r, []string{browsing, cartAbandoned, checkoutAbandoned, freshlyConverted, atRisk, dormant}, 0.28, 0.18, 0.12, 0.16, 0.16, 0.1)
	}
	return juncture.Intersection{
		lifecycle + "." + status + "." + pick(r, []string{researching, considering}, 0.5, 0.5),
		pick(r, []string{bargainHunters, streetwear, fashionistas, minimalists, occasionWear}, 0.28, 0.24, 0.18, 0.16, 0.14),
		pick(r, []string{"low.none", "building.rising", "high.steady", "fading.falling"}, 0.35, 0.27, 0.2, 0.18),
		pick(r, []string{"dresses", "trainers", "knitwear", "coats"}, 0.34, 0.28, 0.22, 0.16),
	}
}

// pick draws one of the values with these weights, which sum to 1.
func pick(r *rand.Rand, values []string, weights ...float64) string {
	u := r.Float64()
	for i, w := range weights {
		if u < w || i == len(values)-1 {
			return values[i]
		}
		u -= w
	}
	return values[len(values)-1]
}

// Intersections lists where shoppers stand, with their share of the traffic.
func (w *World) Intersections() (at []juncture.Intersection, share []float64) {
	share = slices.Clone(w.share)
	for i := len(share) - 1; i > 0; i-- {
		share[i] -= share[i-1]
	}
	return slices.Clone(w.places), share
}

// Visit is one shopper's coming to the shop, and how it would go.
type Visit struct {
	Shopper string
	At      juncture.Intersection
	click   float64 // uniform: clicks what has a higher rate
	buy     float64 // uniform
	basket  float64 // log of what a purchase is worth, in pounds
	delay   int     // visits by others until the click is told
	settle  int     // and until the purchase is
}

// Visit returns visit n, from 0.
func (w *World) Visit(n uint64) Visit {
	r := rand.New(rand.NewPCG(w.seed, n<<1|1<<63))
	k := r.IntN(w.shoppers)
	return Visit{
		Shopper: "shopper-" + strconv.Itoa(k), At: w.home(k),
		click: r.Float64(), buy: r.Float64(), basket: 3.9 + 0.55*r.NormFloat64(),
		delay: int(60 * r.ExpFloat64()), settle: int(400 * r.ExpFloat64()),
	}
}

// home is where a shopper stands.
func (w *World) home(shopper int) juncture.Intersection {
	u := rand.New(rand.NewPCG(w.seed^0x73686f70, uint64(shopper))).Float64()
	i, _ := slices.BinarySearch(w.share, u)
	return w.places[min(i, len(w.places)-1)]
}

// Shares of visits that end in a purchase: of those that clicked, and of all others, the holdout's among them.
const (
	buyAfterClick = 0.18
	buyAnyway     = 0.008
)

// Outcome is whether the shopper clicks what is shown, and what they spend, in pounds; 0 for nothing.
func (v Visit) Outcome(shown juncture.Arm) (click bool, spend float64) {
	click = v.click < Rate(v.At, shown)
	share := buyAnyway
	if click {
		share = buyAfterClick
	}
	if v.buy < share {
		spend = math.Round(100*math.Exp(min(v.basket, 6))) / 100 // at most £403
	}
	return click, spend
}

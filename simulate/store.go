package simulate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/juncture/juncture"
)

// Settings describe a store. Zero fields are those of F.1.
type Settings struct {
	Name string
	Seed uint64

	Axes   [juncture.LayerCount][]int // values of each axis of each layer; nil: 3·2·2, 10, 2·2, 4 = 1,920 intersections
	Zipf   float64                    // exponent of an intersection's traffic by rank; 0: 1
	Blank  float64                    // share of calls whose layers are unknown, each layer by itself
	Perday float64                    // calls a day; 0: 5,000

	Actions, Copies int     // 0: 8 and 3
	Rate            float64 // mean success rate at the store's base; 0: drawn from 2% to 6%
	Scale           float64 // of all arm effects; 0: 1
	Personal        float64 // factor on the effects of an intersection, its inverse on those of the store; 0: 1

	Nothing   bool          // to personalise: effects of actions and copies only
	Noise     bool          // no structure: independent effects of intersection × arm, nothing else
	Money     bool          // goal: revenue, log-normal orders
	Delay     time.Duration // median of a log-normal delay (σ 1.2 on the log); 0: none
	Window    time.Duration // a success later than this never counts; 0: 7 days
	Drift     float64       // angle by which the arm effects have turned into others' at the end, radians
	Season    bool          // base rate: a week's rhythm, and a sale that doubles the odds
	Withheld  float64       // chance that an arm is not eligible for a call
	Late      int           // actions that arrive only in the middle of the run
	LateLift  float64       // of their rates over the best of the others everywhere, as 0.2; 0: their effects are drawn as all are
	Returning float64       // share of calls by shoppers who were there before
}

// Store is a simulated store.
type Store struct {
	Settings
	Arms  []juncture.Arm // arm i of a Call is Arms[i]
	Keys  []juncture.Intersection
	late  []bool
	base  []float64
	truth [2][]float64 // arm effects at [intersection*arms + arm], at the beginning, and what they turn into
	spend []float64    // mean ln(value), by arm
	shelf []float64    // and by catalogue value
	cum   []float64    // traffic
	cat   []int32
	start time.Time
}

// Widths of the truth's effects on the log-odds: the prior's (B.2), each times a factor between a half and 2 drawn for
// the store.
type widths struct{ axis, layer, moment, key, action, copy, actionCopy, actionAxis, actionLayer, copyLayer, pair, armKey float64 }

func drawWidths(rng *rand.Rand) widths {
	f := func(w float64) float64 { return w * math.Exp2(2*rng.Float64()-1) }
	return widths{f(0.4), f(0.3), f(0.3), f(0.1), f(0.2), f(0.1), f(0.1), f(0.1), f(0.15), f(0.1), f(0.08), f(0.05)}
}

// personal makes the effects of the intersection share times as wide and those of the store 1/share times.
func (w widths) personal(share float64) widths {
	w.action, w.copy, w.actionCopy = w.action/share, w.copy/share, w.actionCopy/share
	for _, v := range []*float64{&w.actionAxis, &w.actionLayer, &w.copyLayer, &w.pair, &w.armKey} {
		*v *= share
	}
	return w
}

const spendNoise = 0.6 // standard deviation of ln(value) of an order

// New makes a store.
func New(set Settings) *Store {
	rng := rand.New(rand.NewPCG(set.Seed, 0x73746f7265))
	def := [juncture.LayerCount][]int{{3, 2, 2}, {10}, {2, 2}, {4}}
	for l := range set.Axes {
		if set.Axes[l] == nil {
			set.Axes[l] = def[l]
		}
	}
	if set.Zipf == 0 {
		set.Zipf = 1
	}
	if set.Perday == 0 {
		set.Perday = 5000
	}
	if set.Actions == 0 {
		set.Actions, set.Copies = 8, 3
	}
	if set.Scale == 0 {
		set.Scale = 1
	}
	if set.Personal == 0 {
		set.Personal = 1
	}
	if set.Window == 0 {
		set.Window = 7 * 24 * time.Hour
	}
	if set.Rate == 0 {
		set.Rate = 0.02 + 0.04*rng.Float64()
	}
	s := &Store{Settings: set, start: time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)}
	for a := range set.Actions {
		for c := range set.Copies {
			s.Arms = append(s.Arms, juncture.Arm{Action: fmt.Sprintf("action-%c", 'a'+a), ActionVersion: 1, Copy: fmt.Sprintf("way-%c", 'a'+c), CopyVersion: 1})
			s.late = append(s.late, a >= set.Actions-set.Late)
		}
	}
	w := drawWidths(rng).personal(set.Personal)
	normal := func(sd float64) float64 { return sd * rng.NormFloat64() }

	// Layer values, and the effects of every level of every family.
	var values [juncture.LayerCount][][]int // axes of each value
	var names [juncture.LayerCount][]string
	for l, axes := range set.Axes {
		values[l] = [][]int{nil}
		names[l] = []string{""}
		for a, n := range axes {
			var vs [][]int
			var ns []string
			for i := range values[l] {
				for v := range n {
					dot := "."
					if a == 0 {
						dot = ""
					}
					vs = append(vs, append(append([]int(nil), values[l][i]...), v))
					ns = append(ns, fmt.Sprintf("%s%s%c%d", names[l][i], dot, "mptc"[l], v))
				}
			}
			values[l], names[l] = vs, ns
		}
		if set.Blank > 0 {
			values[l], names[l] = append(values[l], nil), append(names[l], juncture.Unknown)
		}
	}
	k := len(s.Arms)
	turn := 1
	if set.Drift > 0 {
		turn = 2
	}
	layerBase := make([][]float64, juncture.LayerCount)
	type effects struct {
		layer [juncture.LayerCount][]float64 // value*k + arm, axes and copies included
		pair  [juncture.LayerCount][]float64
		store []float64
	}
	var fx [2]effects
	for l := range values {
		axis := map[[2]int]float64{}
		for _, v := range values[l] {
			b := 0.0
			if v != nil {
				b = normal(w.layer)
				if len(v) > 1 {
					for a, i := range v {
						if _, ok := axis[[2]int{a, i}]; !ok {
							axis[[2]int{a, i}] = normal(w.axis)
						}
						b += axis[[2]int{a, i}]
					}
				}
			}
			layerBase[l] = append(layerBase[l], b)
		}
	}
	for t := range turn {
		e := &fx[t]
		e.store = make([]float64, k)
		action, ways := make([]float64, set.Actions), make([]float64, set.Copies)
		for i := range action {
			action[i] = normal(w.action)
		}
		for i := range ways {
			ways[i] = normal(w.copy)
		}
		for i := range k {
			e.store[i] = action[i/set.Copies] + ways[i%set.Copies] + normal(w.actionCopy)
		}
		for l := range values {
			e.layer[l] = make([]float64, len(values[l])*k)
			axis := map[[3]int]float64{}
			for v, parts := range values[l] {
				if parts == nil {
					continue
				}
				way := make([]float64, set.Copies)
				for i := range way {
					way[i] = normal(w.copyLayer)
				}
				for a := range set.Actions {
					x := normal(w.actionLayer)
					for d, i := range parts {
						if len(parts) == 1 {
							break
						}
						key := [3]int{a, d, i}
						if _, ok := axis[key]; !ok {
							axis[key] = normal(w.actionAxis)
						}
						x += axis[key]
					}
					for c := range set.Copies {
						e.layer[l][v*k+a*set.Copies+c] = x + way[c]
					}
				}
			}
			e.pair[l] = make([]float64, len(values[0])*len(values[l])*set.Actions)
			for i := range e.pair[l] {
				e.pair[l][i] = normal(w.pair)
			}
		}
	}

	var total [juncture.LayerCount]int
	n := 1
	for l := range total {
		total[l] = len(values[l])
		n *= total[l]
	}
	s.base = make([]float64, n)
	for t := range turn {
		s.truth[t] = make([]float64, n*k)
	}
	weights := make([]float64, n)
	rank := rng.Perm(n)
	for x := range n {
		var v [juncture.LayerCount]int
		rest := x
		for l := juncture.LayerCount - 1; l >= 0; l-- {
			v[l] = rest % total[l]
			rest /= total[l]
		}
		var key juncture.Intersection
		b, weight := logit(set.Rate)+normal(w.key), math.Pow(float64(rank[x]+1), -set.Zipf)
		for l := range v {
			key[l] = names[l][v[l]]
			b += layerBase[l][v[l]]
			if set.Blank > 0 {
				if values[l][v[l]] == nil {
					weight *= set.Blank * float64(total[l]-1)
				} else {
					weight *= 1 - set.Blank
				}
			}
		}
		s.Keys = append(s.Keys, key)
		s.cat = append(s.cat, int32(v[juncture.Catalogue]))
		s.base[x], weights[x] = b, weight
		for t := range turn {
			e := &fx[t]
			for i := range k {
				y := e.store[i]
				switch {
				case set.Noise:
					y = normal(0.4)
				case !set.Nothing:
					y += normal(w.armKey)
					for l := range v {
						y += e.layer[l][v[l]*k+i]
						if l > 0 && values[0][v[0]] != nil && values[l][v[l]] != nil {
							y += e.pair[l][(v[0]*total[l]+v[l])*set.Actions+i/set.Copies]
						}
					}
				}
				s.truth[t][x*k+i] = set.Scale * y
			}
			if set.LateLift != 0 {
				early := s.truth[t][x*k : x*k+(set.Actions-set.Late)*set.Copies]
				for i := len(early); i < k; i++ {
					s.truth[t][x*k+i] = slices.Max(early) + math.Log1p(set.LateLift)
				}
			}
		}
	}
	sum := 0.0
	for _, v := range weights {
		sum += v
		s.cum = append(s.cum, sum)
	}
	for i := range s.cum {
		s.cum[i] /= sum
	}
	if set.Money {
		each := make([]float64, set.Actions)
		for i := range each {
			each[i] = normal(0.15)
		}
		for i := range k {
			s.spend = append(s.spend, each[i/set.Copies]+normal(0.03))
		}
		for range total[juncture.Catalogue] {
			s.shelf = append(s.shelf, 4+normal(0.4))
		}
	}
	return s
}

func logit(p float64) float64    { return math.Log(p / (1 - p)) }
func logistic(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// season returns what time adds to the base's log-odds, at a share of the run.
func (s *Store) season(at time.Time, share float64) float64 {
	if !s.Season {
		return 0
	}
	days := at.Sub(s.start).Hours() / 24
	y := 0.25 * math.Sin(2*math.Pi*days/7)
	if share > 0.45 && share < 0.6 { // the late actions arrive into the sale
		y += math.Ln2
	}
	return y
}

// arm returns the effect of an arm at an intersection, at a share of the run.
func (s *Store) arm(x, i int, share float64) float64 {
	at := x*len(s.Arms) + i
	if s.Drift == 0 {
		return s.truth[0][at]
	}
	sin, cos := math.Sincos(s.Drift * share)
	return cos*s.truth[0][at] + sin*s.truth[1][at]
}

// Expected returns the expected reward of every arm at an intersection (an index of Keys) without season, at a share of
// the run.
func (s *Store) Expected(x int, share float64) []float64 {
	out := make([]float64, len(s.Arms))
	for i := range out {
		out[i] = logistic(s.base[x] + s.arm(x, i, share))
		if s.Money {
			out[i] *= math.Exp(s.spend[i] + s.shelf[s.cat[x]] + spendNoise*spendNoise/2)
		}
	}
	return out
}

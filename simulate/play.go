package simulate

import (
	"container/heap"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"time"

	"github.com/juncture/juncture"
)

// Call is a shopper who comes by.
type Call struct {
	Number       int // from 0
	At           time.Time
	Shopper      int
	Intersection juncture.Intersection
	Eligible     []int   // indexes of Store.Arms, ascending; valid until Choose returns
	Draw         float64 // in [0, 1): the chooser's randomness
}

// Choice is a chooser's answer: an eligible arm, and the probability that it had.
type Choice struct {
	Arm         int
	Probability float64
}

// Success is an outcome of a call.
type Success struct {
	Call         int // its Number
	Intersection juncture.Intersection
	Arm          int
	Trial, At    time.Time
	Value        float64 // money, > 0; 1 where the goal is the rate
}

// Chooser is a policy, however it is reached.
type Chooser interface {
	// Choose answers calls, in order, into out.
	Choose(ctx context.Context, calls []Call, out []Choice) error
	// Reward tells successes, in order of At.
	Reward(ctx context.Context, successes []Success) error
}

// Options of a run.
type Options struct {
	Seed  uint64 // of the traffic
	Calls int
	Batch int // 0: 100
	Marks []int
}

// Mark is a point of the learning curve.
type Mark struct {
	Calls          int
	Regret, Random float64 // sums so far: of the policy, and expected of uniform choice, in successes (or money)
	OneArm         float64 // of the single arm that did best so far, uniform choice where it was not eligible
}

// Share returns regret as a share of uniform choice's.
func (m Mark) Share() float64 { return m.Regret / m.Random }

// Report is what a run gave.
type Report struct {
	Mark                 // at the end
	Curve        []Mark  // at Options.Marks
	Propensity   float64 // mean of 1/(p·K): 1 if p is what it says
	PropensitySE float64
	LateShare    float64 // share of late actions in the calls of the fifth of the run after they came
	LateDue      float64 // share of those calls where the best arm was a late one
	LateAfter    float64 // share of late actions in the fifth after the sale's end
}

type pending []Success

func (p pending) Len() int { return len(p) }
func (p pending) Less(i, j int) bool {
	return p[i].At.Before(p[j].At) || p[i].At.Equal(p[j].At) && p[i].Call < p[j].Call
}
func (p pending) Swap(i, j int) { p[i], p[j] = p[j], p[i] }
func (p *pending) Push(x any)   { *p = append(*p, x.(Success)) }
func (p *pending) Pop() any     { o := *p; x := o[len(o)-1]; *p = o[:len(o)-1]; return x }

// until takes what has come by a time, the earliest first.
func (p *pending) until(now time.Time) (due []Success) {
	for len(*p) > 0 && !(*p)[0].At.After(now) {
		due = append(due, heap.Pop(p).(Success))
	}
	return due
}

// Play runs calls against a chooser. The same store, options and chooser give the same report.
func (s *Store) Play(ctx context.Context, c Chooser, o Options) (Report, error) {
	rng := rand.New(rand.NewPCG(o.Seed, 0x706c6179))
	fate := rand.New(rand.NewPCG(o.Seed, 0x66617465))
	if o.Batch == 0 {
		o.Batch = 100
	}
	var rep Report
	var waiting pending
	calls := make([]Call, 0, o.Batch)
	where := make([]int, 0, o.Batch)
	choices := make([]Choice, o.Batch)
	var visitors []int // last intersections of shoppers who may return
	sumSq := 0.0
	var late, lateDue, lateCalls, after, afterCalls float64
	k := len(s.Arms)
	worths, single := make([]float64, k), make([]float64, k)
	marks := slices.Sorted(slices.Values(o.Marks))
	for at := 0; at < o.Calls; {
		n := min(o.Batch, o.Calls-at)
		if len(marks) > len(rep.Curve) {
			n = min(n, marks[len(rep.Curve)]-at)
		}
		if due := waiting.until(s.when(at)); len(due) > 0 {
			if err := c.Reward(ctx, due); err != nil {
				return rep, fmt.Errorf("reward before call %d: %w", at, err)
			}
		}
		calls, where = calls[:0], where[:0]
		for i := range n {
			x, shopper := sort.SearchFloat64s(s.cum, rng.Float64()), len(visitors)
			if s.Returning > 0 && len(visitors) > 0 && rng.Float64() < s.Returning {
				shopper = rng.IntN(len(visitors))
				if rng.Float64() < 0.7 { // most come back as they were
					x = visitors[shopper]
				}
				visitors[shopper] = x
			} else if s.Returning > 0 {
				visitors = append(visitors, x)
			} else {
				shopper = at + i
			}
			share := float64(at+i) / float64(o.Calls)
			eligible := make([]int, 0, k)
			held, action := false, ""
			for a := range k {
				if s.Arms[a].Action != action { // an action's rule holds for its copies alike
					action = s.Arms[a].Action
					held = s.Withheld > 0 && rng.Float64() < s.Withheld
				}
				if !held && !(s.late[a] && share < 0.5) {
					eligible = append(eligible, a)
				}
			}
			if len(eligible) == 0 {
				for a := 0; a < k && s.Arms[a].Action == s.Arms[0].Action; a++ {
					eligible = append(eligible, a)
				}
			}
			where = append(where, x)
			calls = append(calls, Call{Number: at + i, At: s.when(at + i), Shopper: shopper, Intersection: s.Keys[min(x, len(s.Keys)-1)], Eligible: eligible, Draw: rng.Float64()})
		}
		if err := c.Choose(ctx, calls, choices[:n]); err != nil {
			return rep, fmt.Errorf("choose at call %d: %w", at, err)
		}
		for i := range n {
			call, x, ch := &calls[i], where[i], choices[i]
			share := float64(call.Number) / float64(o.Calls)
			b := s.base[x] + s.season(call.At, share)
			best, sum, mine, bestArm := 0.0, 0.0, math.NaN(), 0
			clear(worths)
			for _, a := range call.Eligible {
				v := logistic(b + s.arm(x, a, share))
				worth := v
				if s.Money {
					worth *= math.Exp(s.spend[a] + s.shelf[s.cat[x]] + spendNoise*spendNoise/2)
				}
				if worth > best {
					best, bestArm = worth, a
				}
				sum += worth
				worths[a] = worth
				if a == ch.Arm {
					mine = worth
				}
			}
			if math.IsNaN(mine) || !(ch.Probability > 0 && ch.Probability <= 1+1e-9) {
				return rep, fmt.Errorf("call %d: chose arm %d with probability %g among %v", call.Number, ch.Arm, ch.Probability, call.Eligible)
			}
			rep.Calls++
			for a, worth := range worths {
				if worth == 0 {
					worth = sum / float64(len(call.Eligible))
				}
				single[a] += best - worth
			}
			rep.OneArm = slices.Min(single)
			rep.Regret += best - mine
			rep.Random += best - sum/float64(len(call.Eligible))
			ip := 1 / (ch.Probability * float64(len(call.Eligible)))
			rep.Propensity += ip
			sumSq += ip * ip
			if s.Late > 0 && share >= 0.5 && share < 0.7 {
				lateCalls++
				if s.late[ch.Arm] {
					late++
				}
				if s.late[bestArm] {
					lateDue++
				}
			}
			if s.Late > 0 && share >= 0.6 && share < 0.8 {
				afterCalls++
				if s.late[ch.Arm] {
					after++
				}
			}
			u, z, v := fate.Float64(), fate.NormFloat64(), fate.NormFloat64() // alike whatever was chosen
			if u < logistic(b+s.arm(x, ch.Arm, share)) {
				y := Success{Call: call.Number, Intersection: call.Intersection, Arm: ch.Arm, Trial: call.At, At: call.At, Value: 1}
				if s.Money {
					y.Value = math.Max(0.01, math.Round(100*math.Exp(s.spend[ch.Arm]+s.shelf[s.cat[x]]+spendNoise*v))/100)
				}
				if s.Delay > 0 {
					d := time.Duration(float64(s.Delay) * math.Exp(1.2*z))
					y.At = y.At.Add(d)
					if d > s.Window {
						continue
					}
				}
				heap.Push(&waiting, y)
			}
		}
		at += n
		if len(rep.Curve) < len(marks) && at == marks[len(rep.Curve)] {
			rep.Curve = append(rep.Curve, rep.Mark)
		}
	}
	for len(waiting) > 0 { // what is still on its way comes, so that whoever reads the store afterwards knows all
		if err := c.Reward(ctx, waiting.until(waiting[0].At.Add(time.Hour))); err != nil {
			return rep, fmt.Errorf("reward after the last call: %w", err)
		}
	}
	n := float64(rep.Calls)
	rep.Propensity /= n
	rep.PropensitySE = math.Sqrt(math.Max(0, sumSq/n-rep.Propensity*rep.Propensity) / n)
	if lateCalls > 0 {
		rep.LateShare, rep.LateDue = late/lateCalls, lateDue/lateCalls
	}
	if afterCalls > 0 {
		rep.LateAfter = after / afterCalls
	}
	return rep, nil
}

// Start returns when the first shopper comes.
func (s *Store) Start() time.Time { return s.start }

// when returns the time of a call: they come evenly.
func (s *Store) when(call int) time.Time {
	return s.start.Add(time.Duration(float64(call) / s.Perday * float64(24*time.Hour)))
}

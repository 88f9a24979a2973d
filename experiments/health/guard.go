package health

import (
	"math"
	"strconv"
	"strings"

	"github.com/juncture/juncture"
)

// Direction is what a guard metric must not do.
type Direction string

// The directions.
const (
	MustNotRise Direction = "must-not-rise"
	MustNotFall Direction = "must-not-fall"
)

// Guard is a metric that an experiment may not harm.
type Guard struct {
	Name      string    `json:"name"`    // for people: "Unsubscribe"
	Outcome   string    `json:"outcome"` // registered
	Direction Direction `json:"direction"`
	Margin    float64   `json:"margin"` // relative change that is tolerated: 0.1 is a tenth; in [0, 1)
	Money     bool      `json:"money"`  // compare the value of a unit, not the share of units with one
	Currency  string    `json:"currency,omitempty"`
}

// Batch is what one group had since the batch before: units (shoppers, or decisions) whose outcomes are all in, each
// counted once.
type Batch struct {
	Units     int64   `json:"units"`
	Successes int64   `json:"successes"`
	Value     float64 `json:"value"`   // of a money guard: sum of the units' values, minor units, 0 for a unit without
	ValueSq   float64 `json:"valueSq"` // of their squares
}

func (b *Batch) plus(o Batch) {
	b.Units += o.Units
	b.Successes += o.Successes
	b.Value += o.Value
	b.ValueSq += o.ValueSq
}

func (b Batch) check() error {
	if b.Successes < 0 || b.Units < b.Successes || b.Units > MaxCount || !finite(b.Value) || !finite(b.ValueSq) || b.ValueSq < 0 ||
		math.Abs(b.Value) > 1e18 || b.ValueSq > 1e30 || b.Value*b.Value > b.ValueSq*float64(b.Units)*(1+1e-9) {
		return juncture.Errorf(juncture.CodeInvalidRequest, "%+v is not a batch of counts and sums", b)
	}
	return nil
}

// harms are the relative changes beyond the margin that a process bets on, on the log of the ratio.
func harms() [8]float64 { return [8]float64{0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5} }

// leastOrders is when a money guard begins to look (statistics E.3).
const leastOrders = 100

// switching is the share of a stake that changes sides with each batch.
const switching = 0.01

// Watch is the e-process of one guard for "no harm beyond the margin", under the policy against one other group. A rate's
// bets on eight ratios x beyond the margin R: with a batch of n1 units and s1 successes against n0 with s0, a bet's stake
// is multiplied by
//
//	exp(s1·x − (s1+s0)·log(w·e^x + 1 − w)), w = n1·R/(n1·R + n0),
//
// whose mean is at most 1 for single trials at any rates within the margin (thinned): it asks whose a success is, given
// that there is one, so that sales and seasons cancel. Half of the stake lies idle, and with each batch a hundredth of
// what is idle goes to the bets and of each bet to what is idle (fixed share: Herbster and Warmuth, Machine Learning 32,
// 1998), so that months without harm do not use up what later harm must be shown with. E is the sum of all stakes: a
// supermartingale, exactly and from the first unit. Batches of a day are meant. Where outcomes of one shopper's decisions
// hang together, units must be shoppers.
//
// A money guard bets on the same relative harms: with d the batch's difference of means beyond the margin, in the harmful
// direction, δ the harm in money and I one over d's variance, both of the units before the batch, a bet is multiplied by
// exp(δ·I·d − δ²·I/2), a normal likelihood ratio: asymptotic, so that it begins once both groups have had 100 orders.
// Values should be capped (statistics A.2).
//
// Fields are exported to be kept; start with NewWatch.
type Watch struct {
	Guard  Guard      `json:"guard"`
	Policy Batch      `json:"policy"`
	Other  Batch      `json:"other"`
	Idle   float64    `json:"idle"` // log of the idle stake
	Bets   [8]float64 `json:"bets"` // log of each bet's stake
	LogE   float64    `json:"logE"`
	Peak   float64    `json:"peak"` // the highest LogE so far
}

// NewWatch starts the process of a guard, with E = 1. Errors: CodeInvalidRequest for a guard that is none.
func NewWatch(g Guard) (Watch, error) {
	if g.Outcome == "" || g.Direction != MustNotRise && g.Direction != MustNotFall {
		return Watch{}, juncture.Errorf(juncture.CodeInvalidRequest, "guard %.80q: an outcome, and %s or %s", g.Name, MustNotRise, MustNotFall)
	}
	if !(g.Margin >= 0 && g.Margin < 1) {
		return Watch{}, juncture.Errorf(juncture.CodeInvalidRequest, "margin %v of guard %.80q is not in [0, 1)", g.Margin, g.Name).WithField("margin")
	}
	if g.Name == "" {
		g.Name = g.Outcome
	}
	return begin(g), nil
}

// begin stakes a half, and keeps a half.
func begin(g Guard) Watch {
	w := Watch{Guard: g, Idle: -math.Ln2}
	for i := range w.Bets {
		w.Bets[i] = -math.Log(2 * float64(len(w.Bets)))
	}
	return w
}

// Add folds what both groups had of the same time. Errors: CodeInvalidRequest, with nothing changed, for batches that are
// none.
func (w *Watch) Add(policy, other Batch) error {
	for _, b := range []Batch{policy, other} {
		if err := b.check(); err != nil {
			return err
		}
	}
	p, o := w.Policy, w.Other
	p.plus(policy)
	o.plus(other)
	for _, b := range []Batch{p, o} {
		if err := b.check(); err != nil {
			return err
		}
	}
	if policy.Units > 0 && other.Units > 0 {
		if w.Guard.Money {
			w.money(policy, other)
		} else {
			w.rate(policy, other)
		}
	}
	w.Policy, w.Other = p, o
	w.Peak = max(w.Peak, w.LogE)
	return nil
}

// side is 1 where rising harms, -1 where falling does.
func (g Guard) side() float64 {
	if g.Direction == MustNotFall {
		return -1
	}
	return 1
}

func (w *Watch) rate(policy, other Batch) {
	side := w.Guard.side()
	t := thinned{float64(policy.Successes), float64(other.Successes), float64(policy.Units) * (1 + side*w.Guard.Margin), float64(other.Units)}
	w.bet(func(x float64) float64 { return t.log(side * x) })
}

func (w *Watch) money(policy, other Batch) {
	if w.Policy.Successes < leastOrders || w.Other.Successes < leastOrders {
		return
	}
	side := w.Guard.side()
	allowed := 1 + side*w.Guard.Margin
	_, v1 := w.Policy.mean()
	m0, v0 := w.Other.mean()
	v := v1*float64(w.Policy.Units)/float64(policy.Units) + allowed*allowed*v0*float64(w.Other.Units)/float64(other.Units)
	if !(v > 0) {
		return
	}
	now, _ := policy.mean()
	then, _ := other.mean()
	d := side * (now - allowed*then)
	w.bet(func(x float64) float64 {
		harm := allowed * m0 * math.Abs(math.Expm1(side*x))
		return harm / v * (d - harm/2)
	})
}

// bet moves the stakes' hundredths and multiplies each bet by exp(gain of its harm).
func (w *Watch) bet(gain func(harm float64) float64) {
	const least = 1e-300                         // a stake that underflows stays a number
	idle, staked := math.Exp(w.Idle-w.LogE), 0.0 // as shares of E
	for i, x := range harms() {
		bet := math.Exp(w.Bets[i] - w.LogE)
		staked += bet
		bet += switching * (idle/float64(len(w.Bets)) - bet)
		w.Bets[i] = w.LogE + math.Log(max(bet, least)) + gain(x)
	}
	w.Idle = w.LogE + math.Log(max(idle+switching*(staked-idle), least))
	all := append(w.Bets[:len(w.Bets):len(w.Bets)], w.Idle)
	w.LogE = logMeanExp(all) + math.Log(float64(len(all)))
}

// mean of a unit's value, and the mean's variance.
func (b Batch) mean() (m, v float64) {
	n := float64(b.Units)
	m = b.Value / n
	return m, max(0, b.ValueSq/n-m*m) / n
}

// harmful says in words what the sums show.
func (w *Watch) harmful(against string) string {
	verb, by := "rose", "a rise"
	if w.Guard.Direction == MustNotFall {
		verb, by = "fell", "a fall"
	}
	figure := func(b Batch) string {
		if b.Units == 0 {
			return "nothing"
		}
		if w.Guard.Money {
			return w.Guard.amount(b.Value/float64(b.Units)) + " each of " + count(float64(b.Units))
		}
		return percent(float64(b.Successes)/float64(b.Units)) + " of " + count(float64(b.Units))
	}
	allowed := "no change is allowed"
	if w.Guard.Margin > 0 {
		allowed = by + " by " + percent(w.Guard.Margin) + " is allowed"
	}
	return w.Guard.Name + " " + verb + ": " + figure(w.Policy) + " under the policy, " + figure(w.Other) + " under " + against + "; " + allowed + "."
}

// amount writes minor units as major ones.
func (g Guard) amount(minor float64) string {
	digits := juncture.MinorDigits(g.Currency)
	return strings.TrimSpace(g.Currency + " " + strconv.FormatFloat(minor/math.Pow10(digits), 'f', max(digits, 2), 64))
}

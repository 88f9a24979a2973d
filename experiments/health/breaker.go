package health

import (
	"math"
	"time"

	"github.com/juncture/juncture"
)

// BreakerState is where a circuit breaker stands.
type BreakerState string

// The states.
const (
	BreakerOK      BreakerState = "ok"      // the policy decides
	BreakerTripped BreakerState = "tripped" // the default is shown
	BreakerReset   BreakerState = "reset"   // the policy decides again, because somebody said so
)

// BreakerAlpha is the probability that a breaker ever trips without harm, from one start to the next reset.
const BreakerAlpha = 0.01

// Breaker takes an experiment back to its default when one of its guards has proof of harm, and says why. A pure state
// machine: ok, or reset, until a guard's e-process passes guards/alpha; then tripped, until somebody resets it, which
// starts all processes anew. Fields are exported to be kept; start with NewBreaker.
type Breaker struct {
	Against string       `json:"against"` // the group compared with, for people
	Alpha   float64      `json:"alpha"`
	Guards  []Watch      `json:"guards"`
	State   BreakerState `json:"state"`
	Since   time.Time    `json:"since"` // zero: from the start
	Why     string       `json:"why"`   // of the trip; kept after a reset
	By      string       `json:"by"`    // who reset it
}

// Against is the group that guards compare the policy with: business as usual, else random, else holdout. false: there is
// none with a share, and no guard can be watched.
func Against(shares juncture.GroupShares) (juncture.Group, bool) {
	for _, g := range []juncture.Group{juncture.GroupBAU, juncture.GroupRandom, juncture.GroupHoldout} {
		if shares.Share(g) > 0 {
			return g, true
		}
	}
	return juncture.GroupNone, false
}

// groupWords names a group inside a sentence.
func groupWords(g juncture.Group) string {
	switch g {
	case juncture.GroupBAU:
		return "business as usual"
	case juncture.GroupRandom:
		return "random choice"
	case juncture.GroupHoldout:
		return "the holdout"
	}
	return g.String()
}

// NewBreaker makes the breaker of an experiment's guards; alpha 0 is BreakerAlpha. Errors: CodeInvalidRequest for no
// guard, more than 20, one that is none, or a level that is none.
func NewBreaker(guards []Guard, against juncture.Group, alpha float64) (*Breaker, error) {
	if alpha == 0 {
		alpha = BreakerAlpha
	}
	if err := checkAlpha(alpha); err != nil {
		return nil, err
	}
	if len(guards) == 0 || len(guards) > 20 {
		return nil, juncture.Errorf(juncture.CodeInvalidRequest, "%d guards: a breaker has 1 to 20", len(guards))
	}
	b := &Breaker{Against: groupWords(against), Alpha: alpha, State: BreakerOK}
	for _, g := range guards {
		w, err := NewWatch(g)
		if err != nil {
			return nil, err
		}
		b.Guards = append(b.Guards, w)
	}
	return b, nil
}

// Open reports whether the default is to be shown.
func (b *Breaker) Open() bool { return b.State == BreakerTripped }

// Add folds what the policy's and the other group's units had for guard i since the batch before, and reports whether the
// breaker tripped by it. A tripped breaker takes nothing: the policy is not shown.
//
// Errors: CodeInvalidRequest, with nothing changed, for a guard that there is not, or batches that are none.
func (b *Breaker) Add(i int, at time.Time, policy, other Batch) (tripped bool, err error) {
	if i < 0 || i >= len(b.Guards) {
		return false, juncture.Errorf(juncture.CodeInvalidRequest, "there is no guard %d", i)
	}
	if b.Open() {
		return false, nil
	}
	w := &b.Guards[i]
	if err := w.Add(policy, other); err != nil {
		return false, err
	}
	if w.LogE < math.Log(float64(len(b.Guards))/b.Alpha) {
		return false, nil
	}
	b.State, b.Since, b.By, b.Why = BreakerTripped, at, "", w.harmful(b.Against)+" The default is shown until somebody resets this."
	return true, nil
}

// Reset lets the policy decide again and starts every guard's process anew: what was seen until now proves nothing more.
//
// Errors: CodeInvalidRequest where it is not tripped, or nobody says so.
func (b *Breaker) Reset(by string, at time.Time) error {
	if !b.Open() || by == "" {
		return juncture.Errorf(juncture.CodeInvalidRequest, "a reset needs a tripped breaker, and somebody who resets it")
	}
	for i := range b.Guards {
		b.Guards[i] = begin(b.Guards[i].Guard)
	}
	b.State, b.Since, b.By = BreakerReset, at, by
	return nil
}

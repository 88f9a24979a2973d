package health

import (
	"math"

	"github.com/juncture/juncture"
)

// Entropy is the sum of normalised entropies of the probability vectors of a day, with the least that their floor allows.
// Integers, so that order never matters and merging is adding. The zero Entropy is empty. Fields are exported to be kept.
type Entropy struct {
	Decisions int64 // with two arms or more; one arm has no entropy
	Sum       int64 // of H(p)/log K, in 10⁻⁶
	Bound     int64 // of H(all but the floor on one arm)/log K, in 10⁻⁶
}

// Add folds one decision's probabilities; floor is the total uniform mass ε in [0, 1] (statistics C.4).
//
// Errors: CodeInvalidRequest, with nothing changed, for probabilities that are none, or a floor that is none.
func (e *Entropy) Add(ranking []juncture.Ranked, floor float64) error {
	sum, err := checkRanking(ranking)
	if err != nil {
		return err
	}
	if !(floor >= 0 && floor <= 1) {
		return juncture.Errorf(juncture.CodeInvalidRequest, "floor %v is not in [0, 1]", floor).WithField("floor")
	}
	k := float64(len(ranking))
	if k < 2 {
		return nil
	}
	h := 0.0
	for _, r := range ranking {
		h += surprise(r.Probability / sum)
	}
	e.Decisions++
	e.Sum += int64(math.Round(1e6 * h / math.Log(k)))
	e.Bound += int64(math.Round(1e6 * (surprise(1-floor+floor/k) + (k-1)*surprise(floor/k)) / math.Log(k)))
	return nil
}

func surprise(p float64) float64 {
	if p <= 0 {
		return 0
	}
	return -p * math.Log(p)
}

// Merge adds the sums of another day or node.
func (e *Entropy) Merge(o Entropy) {
	e.Decisions += o.Decisions
	e.Sum += o.Sum
	e.Bound += o.Bound
}

const (
	collapsed     = 0.02 // spreads, as Read says
	nearCollapse  = 0.1
	leastEntropic = 100 // decisions
)

// EntropyCheck is what a day's entropy says.
type EntropyCheck struct {
	Mean     float64 `json:"mean"`  // normalised: 1 is uniform, 0 always the same arm
	Bound    float64 `json:"bound"` // what the floor alone would leave
	Spread   float64 `json:"spread"`
	Verdict  Verdict `json:"verdict"`
	Sentence string  `json:"sentence"`
}

// Read judges the sums by their spread, (mean − bound)/(1 − bound), 0 where every decision puts all but the floor on one
// arm: under 0.02 the policy has collapsed (mismatch), under 0.1 it is near it (watch). Below the bound the floor was not
// kept: a mismatch too. Under 100 decisions it is thin. A collapse is no error where one arm is best everywhere; it says
// that only the floor still learns.
func (e Entropy) Read() EntropyCheck {
	if e.Decisions < leastEntropic {
		return EntropyCheck{Verdict: VerdictThin, Sentence: "Not enough decisions to say how widely the policy chooses."}
	}
	c := EntropyCheck{Mean: float64(e.Sum) / 1e6 / float64(e.Decisions), Bound: float64(e.Bound) / 1e6 / float64(e.Decisions), Verdict: VerdictOK}
	if c.Bound < 1 {
		c.Spread = (c.Mean - c.Bound) / (1 - c.Bound)
	}
	switch {
	case c.Bound >= 1-1e-5: // the floor is everything
		c.Spread, c.Sentence = 1, "The policy chooses evenly, as its floor says."
	case c.Mean < c.Bound-1e-4:
		c.Verdict, c.Sentence = VerdictMismatch, "The policy chooses less widely than its floor allows: the floor is not kept."
	case c.Spread < collapsed:
		c.Verdict, c.Sentence = VerdictMismatch, "The policy has collapsed: nearly every decision puts all but the floor on one arm, so that only the floor still learns."
	case c.Spread < nearCollapse:
		c.Verdict, c.Sentence = VerdictWatch, "The policy is near collapse: most decisions put nearly all on one arm."
	default:
		c.Sentence = "The policy still chooses widely: " + percent(c.Spread) + " of the way from its floor to even."
	}
	return c
}

package health

import (
	"math"

	"github.com/juncture/juncture"
)

// BreakerAlpha is the probability that a guard ever finds harm where there is none, from one start to the next.
const BreakerAlpha = 0.01

// Harm reports whether the guard's e-process has passed 1/alpha, proof that the policy harms the metric beyond the margin,
// and says so in a sentence; alpha 0 is BreakerAlpha. against is the group compared with.
//
// Errors: CodeInvalidRequest for a level that is none.
func (w *Watch) Harm(alpha float64, against juncture.Group) (why string, harm bool, err error) {
	if alpha == 0 {
		alpha = BreakerAlpha
	}
	if err := checkAlpha(alpha); err != nil {
		return "", false, err
	}
	if w.LogE < -math.Log(alpha) {
		return "", false, nil
	}
	return w.harmful(groupWords(against)), true, nil
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

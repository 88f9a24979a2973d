package evaluate

import (
	"slices"
	"strings"

	"github.com/juncture/juncture"
)

// Target is a policy to be valued. Its probabilities at a decision follow from what was known before it.
type Target struct {
	Name    string
	ceiling juncture.Tier // whose snapshot it asks
	// choose fills p, zero before, parallel to the decision's arms; false where it has nothing to show.
	choose func(w *Walk, s *school, d *scene, p []float64) (bool, error)
}

// scene is one decision that counts, as targets see it.
type scene struct {
	at     juncture.Intersection
	arms   []juncture.ArmID // eligible
	served int              // of arms
	policy []float64        // what the experiment's policy gave, parallel to arms
	drawn  float64          // probability of the arm that was shown, over the groups: Σ share·p / Σ share
	model  []float64        // what is foreseen of each, parallel to arms
	reward float64
}

// Logged is the policy that the experiment ran, with all that it did not know yet.
func Logged() Target {
	return Target{"the policy as it ran", juncture.TierFull, func(_ *Walk, _ *school, d *scene, p []float64) (bool, error) {
		copy(p, d.policy)
		return true, nil
	}}
}

// Uniform shows every eligible arm alike.
func Uniform() Target {
	return Target{"every arm alike", juncture.TierFull, func(_ *Walk, _ *school, _ *scene, p []float64) (bool, error) {
		for i := range p {
			p[i] = 1 / float64(len(p))
		}
		return true, nil
	}}
}

// BestArm shows everybody the one arm that did best over the traffic so far, of those that are eligible.
func BestArm() Target {
	return Target{"the best single arm", juncture.TierFull, func(w *Walk, _ *school, d *scene, p []float64) (bool, error) {
		for _, a := range w.ranked {
			if i := slices.Index(d.arms, a); i >= 0 {
				p[i] = 1
				w.best = a
				return true, nil
			}
		}
		return false, nil
	}}
}

// Only is the pooled policy among some actions alone: the snapshot's vector on those of them that are eligible. It is not
// the bandit that would have learnt from them alone.
func Only(actions ...string) Target {
	return Target{"only " + strings.Join(actions, ", "), juncture.TierFull, func(w *Walk, s *school, d *scene, p []float64) (bool, error) {
		var arms []juncture.ArmID
		for _, a := range d.arms {
			if slices.Contains(actions, w.arms[a].Action) {
				arms = append(arms, a)
			}
		}
		if len(arms) == 0 {
			return false, nil
		}
		v, err := s.vector(w, d.at, arms)
		if err != nil {
			return false, err
		}
		k := 0
		for i, a := range d.arms {
			if k < len(arms) && arms[k] == a {
				p[i] = v[k]
				k++
			}
		}
		return true, nil
	}}
}

// Ceiling is the pooled policy that knows no more of a shopper than a tier tells.
func Ceiling(t juncture.Tier) Target {
	name := "up to " + t.String()
	switch t {
	case juncture.TierStore:
		name = "one policy for everybody"
	case juncture.TierFull:
		name = "all four layers"
	}
	return Target{name, t, func(w *Walk, s *school, d *scene, p []float64) (bool, error) {
		v, err := s.vector(w, d.at, d.arms)
		copy(p, v)
		return true, err
	}}
}

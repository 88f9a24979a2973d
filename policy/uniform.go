package policy

import (
	"github.com/juncture/juncture"
)

// DefaultEpsilon is how much epsilon-greedy explores.
const DefaultEpsilon = 0.1

// New returns a policy that reads a situation, by name, with its default settings; a fixed split is even until shares
// are set. The pooled policy is not among them: it reads a snapshot (package lattice). An unknown name is
// CodeInvalidRequest.
func New(name string) (Policy, error) {
	switch name {
	case juncture.PolicyUniform:
		return Even{}, nil
	case juncture.PolicyGlobal:
		return Global{}, nil
	case juncture.PolicyFlat:
		return Flat{}, nil
	case juncture.PolicyGreedy:
		return Greedy{Epsilon: DefaultEpsilon}, nil
	case juncture.PolicyFixed:
		return Fixed{}, nil
	}
	return nil, juncture.Errorf(juncture.CodeInvalidRequest, "no such policy is called %.40q", name).WithField("policy")
}

// Even is the policy "uniform": every eligible arm alike, whatever the evidence.
type Even struct{}

// Name returns "uniform".
func (Even) Name() string { return "uniform" }

// Weights gives every arm 1/K.
func (Even) Weights(s *Situation, w []float64) error {
	if err := s.check(); err != nil {
		return err
	}
	if len(w) != len(s.Arms) {
		return juncture.Errorf(juncture.CodeInternal, "%d weights for %d arms", len(w), len(s.Arms))
	}
	for i := range w {
		w[i] = 1 / float64(len(w))
	}
	return nil
}

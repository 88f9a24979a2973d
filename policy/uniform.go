package policy

import (
	"strings"

	"github.com/juncture/juncture"
)

// Default is the policy of an experiment that names none.
const Default = "ladder"

// DefaultEpsilon is how much epsilon-greedy explores.
const DefaultEpsilon = 0.1

// Names lists the policies.
func Names() []string {
	return []string{"ladder", "uniform", "global", "flat", "epsilon-greedy", "fixed"}
}

// New returns a policy by name with its default settings, the default policy for ""; a fixed split is even until shares are set. An unknown name is CodeInvalidRequest.
func New(name string) (Policy, error) {
	switch name {
	case "", "ladder":
		return Ladder{}, nil
	case "uniform":
		return Even{}, nil
	case "global":
		return Global{}, nil
	case "flat":
		return Flat{}, nil
	case "epsilon-greedy":
		return Greedy{Epsilon: DefaultEpsilon}, nil
	case "fixed":
		return Fixed{}, nil
	}
	return nil, juncture.Errorf(juncture.CodeInvalidRequest, "no policy is called %.40q", name).
		WithHint("there are: " + strings.Join(Names(), ", ")).WithField("policy")
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

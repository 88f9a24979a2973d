package policy

import (
	"strings"

	"github.com/juncture/juncture"
)

// Default is the policy of an experiment that names none.
const Default = "ladder"

// Names lists the policies.
func Names() []string { return []string{"ladder", "uniform"} }

// New returns a policy by name, the default for "". An unknown name is CodeInvalidRequest.
func New(name string) (Policy, error) {
	switch name {
	case "", "ladder":
		return Ladder{}, nil
	case "uniform":
		return Even{}, nil
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

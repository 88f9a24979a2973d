package watch

import (
	"encoding/json"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/experiments/health"
)

// MaxDays bounds the days of a State.
const MaxDays = 60

// State is what tallies cannot tell of an experiment's decisions: whether arms were drawn as logged, and how widely the
// policy chose. It is folded in the order in which decisions were made. The zero State is empty.
type State struct {
	Draws      health.Draws
	Days       []EntropyDay // of the group policy, where it adapts; the last MaxDays, in order
	Unreadable int64        // decisions whose ranking is none
}

// EntropyDay is one UTC day's entropy.
type EntropyDay struct {
	Day time.Time `json:"day"`
	health.Entropy
}

// Counts reports whether a decision is folded: one of the groups policy and random that is a trial, of a shopper who was
// not taken out, and whose page showed what was decided. A deferred one counts if it is activated when it is read.
func Counts(d juncture.Logged) bool {
	switch {
	case d.Group != juncture.GroupPolicy && d.Group != juncture.GroupRandom, d.Ignored, d.Removed, d.Arm == 0:
		return false
	case d.Activation != nil && d.Activation.Served:
		return false
	}
	return !d.Deferred || d.Activation != nil
}

// Fold adds a decision that Counts. x is its experiment as it is now, nil where it was withdrawn: entropy is then not kept.
func (s *State) Fold(d juncture.Logged, x *juncture.Experiment) {
	if err := s.Draws.Add(d.Ranking, d.Arm); err != nil {
		s.Unreadable++
		return
	}
	if d.Group != juncture.GroupPolicy || x == nil || !adapts(x.Policy) {
		return
	}
	day := d.At.UTC().Truncate(24 * time.Hour)
	i := len(s.Days)
	for i > 0 && s.Days[i-1].Day.After(day) { // of several nodes the later is read after the earlier
		i--
	}
	if i == 0 || !s.Days[i-1].Day.Equal(day) {
		s.Days = append(s.Days, EntropyDay{})
		copy(s.Days[i+1:], s.Days[i:])
		s.Days[i] = EntropyDay{Day: day}
		i++
	}
	if err := s.Days[i-1].Add(d.Ranking, x.FloorMass()); err != nil {
		s.Unreadable++
	}
	if n := len(s.Days) - MaxDays; n > 0 {
		s.Days = append(s.Days[:0:0], s.Days[n:]...)
	}
}

// adapts reports whether a policy moves its probabilities by evidence and is meant to spread: a fixed split and an even one
// do not move, and epsilon-greedy is collapsed by intent.
func adapts(policy string) bool {
	switch policy {
	case juncture.PolicyUniform, juncture.PolicyFixed, juncture.PolicyGreedy:
		return false
	}
	return true
}

const stateVersion = 1

type kept struct {
	Version    int          `json:"v"`
	Draws      []byte       `json:"draws"`
	Days       []EntropyDay `json:"days"`
	Unreadable int64        `json:"unreadable"`
}

// MarshalBinary writes the state: the same states give the same bytes.
func (s *State) MarshalBinary() ([]byte, error) {
	draws, err := s.Draws.MarshalBinary()
	if err != nil {
		return nil, err
	}
	return json.Marshal(kept{stateVersion, draws, s.Days, s.Unreadable})
}

// UnmarshalBinary reads what MarshalBinary wrote; nothing is the empty state. It refuses the rest with CodeInvalidRequest,
// and nothing changed.
func (s *State) UnmarshalBinary(b []byte) error {
	if len(b) == 0 {
		*s = State{}
		return nil
	}
	var k kept
	if err := json.Unmarshal(b, &k); err != nil || k.Version != stateVersion || len(k.Days) > MaxDays {
		return juncture.Errorf(juncture.CodeInvalidRequest, "this is not the state of an experiment's decisions")
	}
	out := State{Days: k.Days, Unreadable: k.Unreadable}
	if err := out.Draws.UnmarshalBinary(k.Draws); err != nil {
		return err
	}
	*s = out
	return nil
}

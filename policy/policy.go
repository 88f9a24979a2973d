// Package policy turns evidence into choices: posteriors that lean on broader evidence where a cell is thin, the exact
// probability that each arm is best, Thompson choice by those probabilities, and the read-outs that people see.
// It knows no store, clock or global randomness.
package policy

import "github.com/juncture/juncture"

// Arm is one eligible arm of a call. Arms of one action compete as copy; actions compete among themselves.
type Arm struct {
	ID     juncture.ArmID
	Action string
}

// Counts is the evidence of one arm at one rung. Counts are floats because forgetting will weight them; all are >= 0
// and finite, Successes <= Trials.
type Counts struct {
	Trials     float64
	Successes  float64
	LogValue   float64 // sum over successes of ln(value), value in major currency units; money goals only
	LogValueSq float64 // sum of its square
}

// Rung is one step of the ladder from the store to the intersection.
type Rung struct {
	Layer  int      // the layer this rung adds: -1 for the store's rung, else a juncture.Layer
	Counts []Counts // parallel to Situation.Arms; a rung's counts include those of every narrower rung
}

// Situation is what a policy decides on.
type Situation struct {
	Arms  []Arm
	Rungs []Rung // broadest first, at least the store's; the last is the intersection's own
	Value bool   // maximise rate × value rather than the rate
}

// Policy gives every eligible arm its weight. Implementations are stateless and safe for concurrent use.
type Policy interface {
	// Name is what an experiment calls the policy.
	Name() string
	// Weights fills w, parallel to s.Arms, with the probability that each arm is to be picked, before the floor.
	// They are finite, >= 0 and sum to 1 within 1e-12. One arm gets 1.
	Weights(s *Situation, w []float64) error
}

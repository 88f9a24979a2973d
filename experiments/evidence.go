package experiments

import (
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/policy"
)

// Evidence is one experiment as the read-outs need it.
type Evidence struct {
	Experiment juncture.Experiment
	Outcome    juncture.OutcomeType       // of the goal, its main one
	Currency   string                     // of values; "" where they are points: a goal of weighted outcomes without money
	Arms       map[juncture.ArmID]ArmInfo // every arm that ever had evidence or may be shown
	Cells      []juncture.Cell            // the leaves, in key order
	Names      Names
	AsOf       time.Time
	Made       *Made // what was made of this evidence; nil: nothing is kept

	// Eligible names the arms that may be shown at an intersection, as far as its layers tell (rules and voices); nil
	// means every live arm. An arm that was shown somewhere competes there whatever Eligible says of now.
	Eligible func(x juncture.Intersection) map[juncture.ArmID]bool

	// Read is what the pooled posterior believes of arms at intersections taken as one place, with their traffic. Nil reads the ladder of what was tallied, which takes the policy's own aim for a cause: an action that
	// is shown where it does well looks good everywhere.
	// Explain says, beside Read, what the belief about an arm at an intersection is made of, and in a sentence.
	Explain func(x juncture.Intersection, arm juncture.ArmID) ([]juncture.EffectView, string, error)
	Read    func(at []juncture.Intersection, traffic []float64, arms []juncture.ArmID) (policy.ReadOut, error)
}

// ArmInfo describes an arm to people.
type ArmInfo struct {
	Arm      juncture.Arm
	Type     string // the action's
	Headline string
	Live     bool // may be shown now
}

package juncture

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"
)

// What the ledger keeps beside a decision, so that it can be made again to the last digit.

// Fit names the evidence that probabilities were made of: all deltas of an experiment up to a mark of each node's stream,
// looked at from AsOf (statistics B.3).
type Fit struct {
	Version    string
	Experiment string
	Marks      []Mark    // in order of node
	AsOf       time.Time // minutes; zero for a policy that does not weigh by age
}

// Terms are all that an experiment decided by beside evidence, named by their Hash. With a Fit they give the
// probabilities again.
type Terms struct {
	Experiment Experiment        `json:"experiment"`         // as declared then
	Outcomes   []OutcomeType     `json:"outcomes"`           // of the goal's parts, in their order
	Holdouts   []Holdout         `json:"holdouts,omitempty"` // that stood above it
	Default    ArmID             `json:"default,omitempty"`  // of the surface; 0: none
	Cast       []ArmID           `json:"cast,omitempty"`     // arms that a fit knows, ascending; none: the policy fits nothing
	Shares     map[ArmID]float64 `json:"shares,omitempty"`   // of a fixed split
}

// Hash names the terms: equal terms have equal names.
func (t Terms) Hash() string {
	b, _ := json.Marshal(t) // plain data always can
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// Refused is an arm that was live and not eligible for a call.
type Refused struct {
	Arm ArmID
	Why string // at most MaxRefusal bytes
}

// MaxRefusal bounds the reason that is kept of a refusal, in bytes.
const MaxRefusal = 200

// DecisionQuery asks for decisions of the log, newest first. Empty fields ask nothing.
type DecisionQuery struct {
	Before     uint64 // serials below this one; 0: from the newest on
	After      uint64 // serials above this one
	Experiment string
	Surface    string
	Group      *Group
	Action     string // of the arm shown, any version
	Reason     Reason
	Detail     Detail
	Shopper    string // any of their ids
	From, To   time.Time
	Limit      int // 1 to MaxDecisions
}

// MaxDecisions is the most decisions that one question of the log answers.
const MaxDecisions = 1000

// Verdict is what a replay says of one part of a decision.
type Verdict string

// The verdicts.
const (
	VerdictMatch   Verdict = "match"   // recomputed, the same to the last digit
	VerdictDiffers Verdict = "differs" // recomputed, and it is another
	VerdictUnknown Verdict = "unknown" // what it was made of is no longer there
	VerdictNone    Verdict = "none"    // nothing was drawn or computed
)

// ReplayView is a decision made again from the log.
type ReplayView struct {
	Serial    string         `json:"serial"`
	Verdict   Verdict        `json:"verdict"` // differs where a part does; match where one does and none is unknown
	Sentence  string         `json:"sentence"`
	Parts     []ReplayPart   `json:"parts"`   // group, probabilities, pick
	Uniform   *float64       `json:"uniform"` // what the arm was picked with; null: nothing was drawn
	Arms      []ReplayArm    `json:"arms"`    // the eligible ones, in the order of the draw
	Fit       *FitView       `json:"fit"`     // null: no evidence was asked
	Evidence  ReplayEvidence `json:"evidence"`
}

// ReplayPart is one part of a replay.
type ReplayPart struct {
	Part    string  `json:"part"`
	Verdict Verdict `json:"verdict"`
	Why     string  `json:"why"`
}

// ReplayArm is an arm's probability, logged and recomputed, and what the belief behind it was.
type ReplayArm struct {
	Arm
	ID         ArmID        `json:"-"`
	Logged     float64      `json:"logged"`
	Recomputed *float64     `json:"recomputed"` // null: could not be
	Policy     *float64     `json:"policy"`     // what the policy would have given it, where the random group drew
	Own        float64      `json:"own"`        // its action's trials at the intersection, as the fit saw them
	Borrowed   float64      `json:"borrowed"`   // pseudo-trials that broader evidence weighed
	Sentence   string       `json:"sentence"`   // what the belief was made of; empty for policies that fit nothing
	Effects    []EffectView `json:"effects"`
}

// ReplayEvidence is what was read to make a decision again.
type ReplayEvidence struct {
	Commits int64 `json:"commits"`
	Trials  int64 `json:"trials"`
}

// FitView is a Fit as JSON.
type FitView struct {
	Version string     `json:"version"`
	AsOf    *time.Time `json:"asOf"` // null: evidence was not weighed by age
	Marks   []MarkView `json:"marks"`
}

// MarkView is a Mark as JSON.
type MarkView struct {
	Node uint16 `json:"node"`
	Seq  int64  `json:"seq"`
}

// View is the fit as JSON.
func (f Fit) View() *FitView {
	v := &FitView{Version: f.Version, Marks: []MarkView{}}
	if !f.AsOf.IsZero() {
		v.AsOf = &f.AsOf
	}
	for _, m := range f.Marks {
		v.Marks = append(v.Marks, MarkView(m))
	}
	return v
}

// SerialText writes a serial as people and URLs bear it.
func SerialText(serial uint64) string { return strconv.FormatUint(serial, 10) }

// ParseSerial is the inverse of SerialText; false for anything else.
func ParseSerial(s string) (uint64, bool) {
	n, err := strconv.ParseUint(s, 10, 63)
	return n, err == nil && n > 0 && SerialText(n) == s
}

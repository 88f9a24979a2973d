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

// DrawTerms are all that an experiment decided by beside evidence, named by their Hash. With a Fit they give the
// probabilities again.
type DrawTerms struct {
	Experiment Experiment        `json:"experiment"`         // as declared then
	Outcomes   []OutcomeType     `json:"outcomes"`           // of the goal's parts, in their order
	Holdouts   []Holdout         `json:"holdouts,omitempty"` // that stood above it
	Default    ArmID             `json:"default,omitempty"`  // of the surface; 0: none
	From       *time.Time        `json:"from,omitempty"`     // when the default may be served; nil: since ever
	Until      *time.Time        `json:"until,omitempty"`    // exclusive; nil: for good
	Cast       []ArmID           `json:"cast,omitempty"`     // arms that a fit knows, ascending; none: the policy fits nothing
	Shares     map[ArmID]float64 `json:"shares,omitempty"`   // of a fixed split
}

// DefaultAt is the surface's default as it was at now; 0: none.
func (t DrawTerms) DefaultAt(now time.Time) ArmID {
	if !(Terms{Starts: t.From, Expires: t.Until}).Live(now) {
		return 0
	}
	return t.Default
}

// Hash names the terms: equal terms have equal names.
func (t DrawTerms) Hash() string {
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
	Look       int // how many decisions are looked through at most for those that are like that; 0 means DecisionLook
}

// DecisionLook is how many decisions one question of the log looks through, so that a rare kind is not looked for without end.
const DecisionLook = 200_000

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
	Serial   string         `json:"serial"`
	Verdict  Verdict        `json:"verdict"` // differs where a part does; match where one does and none is unknown
	Sentence string         `json:"sentence"`
	Parts    []ReplayPart   `json:"parts"`   // group, probabilities, pick
	Uniform  *float64       `json:"uniform"` // what the arm was picked with; null: nothing was drawn
	Arms     []ReplayArm    `json:"arms"`    // the eligible ones, in the order of the draw
	Fit      *FitView       `json:"fit"`     // null: no evidence was asked
	Evidence ReplayEvidence `json:"evidence"`
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
	Node int   `json:"node"`
	Seq  int64 `json:"seq"`
}

// View is the fit as JSON.
func (f Fit) View() *FitView {
	v := &FitView{Version: f.Version, Marks: []MarkView{}}
	if !f.AsOf.IsZero() {
		v.AsOf = &f.AsOf
	}
	for _, m := range f.Marks {
		v.Marks = append(v.Marks, MarkView{int(m.Node), m.Seq})
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

// LoggedDecision is a decision of the log.
type LoggedDecision struct {
	DecisionID    string    `json:"decisionId"` // empty: the key that signed it is gone
	Serial        string    `json:"serial"`
	At            time.Time `json:"at"`
	Surface       string    `json:"surface"`
	Experiment    string    `json:"experiment"` // or the holdout that kept the shopper out; empty: none was running
	Group         Group     `json:"group"`
	Reason        Reason    `json:"reason"`
	Detail        Detail    `json:"reasonDetail"`
	ShopperID     string    `json:"shopperId"` // empty: consent was denied
	Intersection  string    `json:"intersection"`
	Arm           string    `json:"arm"`    // action@version/copy@version, or -
	Shadow        string    `json:"shadow"` // in shadow: what was drawn and not shown; else empty
	Probability   float64   `json:"probability"`
	PolicyVersion string    `json:"policyVersion"`
	Active        bool      `json:"active"` // a trial

	Claims Claims `json:"-"`
}

// DecisionPage is a part of the log, newest first.
type DecisionPage struct {
	Items []LoggedDecision `json:"items"`
	Next  string           `json:"next"` // serial to ask before for older ones; empty: there are none

	Looked int `json:"looked"` // of the decisions asked among, the newest that were looked through, where there are older ones; 0: all, or more than are asked for match
}

// ExplainedDecision says why a decision is what it is.
type ExplainedDecision struct {
	LoggedDecision
	SessionID  string            `json:"sessionId"`
	Until      time.Time         `json:"rewardUntil"`
	Share      float64           `json:"groupShare"` // the group's when the shopper was enrolled; 0 for none
	Layers     []ExplainedLayer  `json:"layers"`
	Candidates []Candidate       `json:"candidates"` // in the order of the draw
	Filtered   []FilteredArm     `json:"filtered"`   // live arms that were not eligible, as they were logged
	Nudges     []NudgeView       `json:"nudges"`     // that held
	Floor      float64           `json:"floor"`      // total uniform mass
	Policy     string            `json:"policy"`     // empty: no experiment, or not kept
	Terms      string            `json:"terms"`      // name of all that it was decided by beside evidence
	Fit        *FitView          `json:"fit"`        // null: no evidence was asked
	Uniform    *float64          `json:"uniform"`    // the number in [0, 1) that picked; null: nothing was drawn
	Outcomes   []ExplainedReward `json:"outcomes"`
}

// ExplainedLayer is a layer as it was. Its value is exact; its reason is told from what was known by then, under today's
// settings, and Same says whether they still give the value.
type ExplainedLayer struct {
	Layer  string `json:"layer"`
	Value  string `json:"value"`
	Reason string `json:"reason"`
	Source string `json:"source"` // logged: the value is all there is; recomputed: from events up to then
	Same   bool   `json:"same"`
}

// Candidate is an eligible arm with its exact probability.
type Candidate struct {
	Arm
	Headline    string   `json:"headline"`
	Probability float64  `json:"probability"`
	Policy      *float64 `json:"policy"` // what the policy would have given it, where the random group drew
	Shown       bool     `json:"shown"`
	Drawn       bool     `json:"drawn"` // in shadow it is not what was shown
}

// FilteredArm is an arm that was not eligible.
type FilteredArm struct {
	Arm
	Headline string `json:"headline"`
	Why      string `json:"why"`
	Rule     string `json:"rule"` // of its action's version; empty: none
}

// ExplainedReward is an outcome of a decision.
type ExplainedReward struct {
	Event    string    `json:"event"`
	ID       string    `json:"outcomeId"`
	Value    float64   `json:"value"`
	Currency string    `json:"currency"`
	At       time.Time `json:"at"`
	Status   Status    `json:"status"`
	Credit   float64   `json:"credit"`
}

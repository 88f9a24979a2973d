package juncture

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Group is what an experiment does with a shopper.
type Group uint8

// The groups. Their numbers are stored: never renumber.
const (
	GroupNone    Group = 0 // no running experiment
	GroupPolicy  Group = 1 // the bandit
	GroupRandom  Group = 2 // uniform over the call's eligible arms
	GroupBAU     Group = 3 // business as usual: the surface's default
	GroupHoldout Group = 4 // the page as it would be without Juncture
	GroupShadow  Group = 5 // the experiment is in shadow: policy or random drew, and the surface's default was served
	GroupServed  Group = 6 // of tallies alone: shadow, where the shop told the probability with which it chose itself
)

var groupNames = [...]string{"", "policy", "random", "bau", "holdout", "shadow", "served"}

func (g Group) String() string {
	if int(g) < len(groupNames) {
		return groupNames[g]
	}
	return fmt.Sprintf("group%d", g)
}

// MarshalText writes the group's name, "" for GroupNone.
func (g Group) MarshalText() ([]byte, error) { return []byte(g.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (g *Group) UnmarshalText(b []byte) error {
	i := slices.Index(groupNames[:], string(b))
	if i < 0 {
		return Errorf(CodeInvalidRequest, "no group is called %.40q", b)
	}
	*g = Group(i)
	return nil
}

// Teaches reports whether trials of the group move posteriors in full (statistics A.5). Those of GroupShadow are no more
// than a prior.
func (g Group) Teaches() bool {
	return g == GroupPolicy || g == GroupRandom || g == GroupBAU || g == GroupServed
}

// ArmID is an arm's number in its store, given when its versions are first written; 0 is no arm.
type ArmID uint32

// Arm is one action version with one copy version. The zero Arm is no arm (holdout, or nothing to show).
type Arm struct {
	Action        string `json:"actionId"`
	ActionVersion int    `json:"actionVersion"`
	Copy          string `json:"copyId"`
	CopyVersion   int    `json:"copyVersion"`
}

// String is action@version/copy@version, or "-" for no arm.
func (a Arm) String() string {
	if a == (Arm{}) {
		return "-"
	}
	return fmt.Sprintf("%s@%d/%s@%d", a.Action, a.ActionVersion, a.Copy, a.CopyVersion)
}

// ParseArm is the inverse of String.
func ParseArm(s string) (Arm, error) {
	if s == "-" {
		return Arm{}, nil
	}
	var a Arm
	left, right, ok := strings.Cut(s, "/")
	if ok {
		a.Action, a.ActionVersion, ok = parseVersioned(left)
	}
	if ok {
		a.Copy, a.CopyVersion, ok = parseVersioned(right)
	}
	if !ok {
		return Arm{}, Errorf(CodeInvalidRequest, "arm %.80q is not action@version/copy@version", s)
	}
	return a, nil
}

func parseVersioned(s string) (id string, version int, ok bool) {
	id, v, ok := strings.Cut(s, "@")
	if !ok || !ValidName(id) || len(v) > 9 || v == "" || v[0] == '0' {
		return "", 0, false
	}
	for _, c := range v {
		if c < '0' || c > '9' {
			return "", 0, false
		}
		version = version*10 + int(c-'0')
	}
	return id, version, true
}

// Reason is why the answer is what it is, in OpenFeature's words.
type Reason string

// The reasons.
const (
	ReasonSplit     Reason = "SPLIT"           // drawn by a group's rule
	ReasonTargeting Reason = "TARGETING_MATCH" // the only eligible arm
	ReasonStatic    Reason = "STATIC"          // no running experiment: the default
	ReasonDefault   Reason = "DEFAULT"         // the default, because of the detail
	ReasonDisabled  Reason = "DISABLED"        // the surface or the shopper is outside the experiment
	ReasonError     Reason = "ERROR"           // something failed: the default
)

// Detail says more about a reason; it may be empty.
type Detail string

// The details.
const (
	DetailHoldout        Detail = "HOLDOUT"
	DetailConsentDenied  Detail = "CONSENT_DENIED"
	DetailBot            Detail = "BOT"
	DetailCap            Detail = "CAP"
	DetailLowDataQuality Detail = "LOW_DATA_QUALITY"
	DetailEmptyPool      Detail = "EMPTY_POOL"
	DetailPreview        Detail = "PREVIEW"
	DetailReplay         Detail = "REPLAY"
	DetailSticky         Detail = "STICKY"
	DetailBreaker        Detail = "BREAKER" // a guard tripped: the default
	DetailShadow         Detail = "SHADOW"
	DetailKilled         Detail = "KILLED" // a kill switch is on: nothing
)

// Ranked is an eligible arm with the exact probability with which it was picked.
type Ranked struct {
	Arm         ArmID
	Probability float64
}

// Decision is one answer of /choose as the ledger keeps it. Its Claims travel in the decision id.
type Decision struct {
	Claims
	Surface string
	Shopper string // the profile's first-seen id; empty when consent is denied
	Session string // the caller's sessionId; may be empty
	Reason  Reason
	Detail  Detail
	Share   float64  // the group's share when it was drawn; 0 for GroupNone
	Version string   // policyVersion: the settings and the evidence behind the probabilities
	Ranking []Ranked // the eligible arms; probabilities sum to 1
	Shadow  ArmID    // in shadow: the arm that was drawn, by Ranking, and not served; else 0

	// Policy is what the policy would have given each of Ranking, where the random group drew: over both groups together
	// an arm's probability is Σ share·p (statistics C.5). Nil in every other group.
	Policy []float64

	Terms   string    // Terms.Hash of what it was decided by; empty: no experiment, or decided before they were kept
	Refused []Refused // arms that were live and not eligible
}

// Drew reports whether what was served was drawn, by the policy or by chance.
func (d *Decision) Drew() bool {
	return d.Arm != 0 && d.Shadow == 0 && (d.Group == GroupPolicy || d.Group == GroupRandom)
}

// Claims are what a decision id says, signed, so that /reward looks no decision up.
type Claims struct {
	Serial       uint64    // unique: the node in the high bits, rising in time below
	At           time.Time // millisecond resolution, UTC
	Until        time.Time // the end of the reward window
	Experiment   string    // empty: none was running
	Intersection Intersection
	Arm          ArmID // 0: no arm
	Group        Group
	Probability  float64 // of this arm, given the group; exact
	Ignored      bool    // preview, bot or denied consent: never a trial, outcomes are ignored
	Deferred     bool    // a trial only from its activation
}

// Defaulted reports whether a group that is drawn for was given the surface's default instead, since a guard tripped: the
// decision stays the group's, and its trial is of no arm and teaches nothing.
func (c Claims) Defaulted() bool {
	return c.Arm == 0 && (c.Group == GroupPolicy || c.Group == GroupRandom)
}

// Node returns the node that decided.
func (c Claims) Node() uint16 { return uint16(c.Serial >> NodeShift) }

// NodeShift is where the node stands in a serial: 10 bits of node over 53 bits of counter.
const NodeShift = 53

// Activation makes a deferred decision a trial, or says that another arm was shown.
type Activation struct {
	Serial      uint64
	At          time.Time
	Served      bool    // the page showed Arm instead of the decided one
	Arm         ArmID   // the arm that the trial belongs to
	Probability float64 // of the served arm as the caller states it; 0 when not said
}

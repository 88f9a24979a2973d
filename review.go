package juncture

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Verbs of the pool. VerbPause and VerbResume are an action's, a copy's or a priority's too.
const (
	VerbSubmit   Verb = "submit"   // a version: draft or rejected, to in review
	VerbWithdraw Verb = "withdraw" // a version: in review, to draft
	VerbApprove  Verb = "approve"  // a version that is in review
	VerbReject   Verb = "reject"   // a version that is in review
	VerbRetire   Verb = "retire"   // what is in force of an action, a copy or a priority; a newer version may be approved
	VerbKill     Verb = "kill"     // an action, a surface or the store: nothing of it is served, repeats included
	VerbRestore  Verb = "restore"  // what was killed
)

// ReviewVerbs are done to versions, HoldVerbs to what is in force of an action, a copy or a priority, KillVerbs to an
// action, a surface or the store.
func ReviewVerbs() []Verb { return []Verb{VerbSubmit, VerbWithdraw, VerbApprove, VerbReject} }

// HoldVerbs lists what is done to an action, a copy or a priority.
func HoldVerbs() []Verb { return []Verb{VerbPause, VerbResume, VerbRetire} }

// KillVerbs lists what is done to an action, a surface or the store at once.
func KillVerbs() []Verb { return []Verb{VerbKill, VerbRestore} }

// MaxReview bounds the versions of one review.
const MaxReview = 200

// VersionRef names a version as whoever reviews it saw it.
type VersionRef struct {
	Action   string `json:"actionId,omitempty"`
	Copy     string `json:"copyId,omitempty"`     // empty: the action itself
	Priority string `json:"priorityId,omitempty"` // instead of an action
	Number   int    `json:"version"`
	Hash     string `json:"hash"` // of the content that was looked at: another is a conflict
}

// Subject names it for the audit log, such as "copy five_off/plain@2".
func (r VersionRef) Subject() string { return fmt.Sprintf("%s@%d", r.Item(), r.Number) }

// Item names what it is a version of, such as "copy five_off/plain" or "priority new-drop".
func (r VersionRef) Item() string {
	if r.Priority != "" {
		return PrioritySubject(r.Priority)
	}
	return PoolSubject(r.Action, r.Copy)
}

// PrioritySubject names a priority, such as "priority new-drop".
func PrioritySubject(id string) string { return "priority " + id }

// PoolSubject names an action or a copy, such as "action five_off".
func PoolSubject(action, copy string) string {
	if copy == "" {
		return "action " + action
	}
	return "copy " + action + "/" + copy
}

// ReviewRequest asks for a verb of ReviewVerbs, for all the versions or for none.
type ReviewRequest struct {
	Items  []VersionRef `json:"items"`            // 1 to MaxReview
	Reason string       `json:"reason,omitempty"` // of approve and reject 1 to MaxReason characters; the comment
}

// Check returns what is wrong with the request of a verb, CodeInvalidRequest.
func (r ReviewRequest) Check(verb Verb) error {
	switch {
	case !slices.Contains(ReviewVerbs(), verb):
		return Errorf(CodeInvalidRequest, "%.40q is done to no version", verb).WithHint(fmt.Sprintf("one of %q", ReviewVerbs()))
	case len(r.Items) == 0 || len(r.Items) > MaxReview:
		return Errorf(CodeInvalidRequest, "items names %d versions, not 1 to %d", len(r.Items), MaxReview).WithField("items")
	}
	for i, v := range r.Items {
		if (v.Action == "") == (v.Priority == "") || v.Priority != "" && v.Copy != "" {
			return Errorf(CodeInvalidRequest, "items[%d] is a version of an action, of a copy of it, or of a priority", i).
				WithHint("name actionId, actionId and copyId, or priorityId").WithField("items")
		}
	}
	return checkReason(r.Reason, verb == VerbApprove || verb == VerbReject)
}

// ReasonRequest asks for a verb of HoldVerbs or KillVerbs.
type ReasonRequest struct {
	Reason string `json:"reason"` // 1 to MaxReason characters, for the audit log
}

// checkReason returns what is wrong with the reason of a change, CodeInvalidRequest.
func checkReason(reason string, needed bool) error {
	switch {
	case needed && strings.TrimSpace(reason) == "":
		return Errorf(CodeInvalidRequest, "reason is missing").WithHint("say why, for the audit log").WithField("reason")
	case utf8.RuneCountInString(reason) > MaxReason || !utf8.ValidString(reason) || strings.ContainsRune(reason, 0):
		return Errorf(CodeInvalidRequest, "reason is not 1 to %d characters", MaxReason).WithField("reason")
	}
	return nil
}

// Check returns what is wrong with the request, CodeInvalidRequest.
func (r ReasonRequest) Check() error { return checkReason(r.Reason, true) }

// Terms are when and how often an action may be served, and who answers for it. They are no part of what is approved, nor
// of the evidence: another end begins no new version.
type Terms struct {
	Owner   string     `json:"owner,omitempty"`
	Starts  *time.Time `json:"starts,omitempty"`  // nil: since ever
	Expires *time.Time `json:"expires,omitempty"` // exclusive; nil: never
	Cap     *Cap       `json:"cap,omitempty"`
}

// Live reports whether the action may be served at now.
func (t Terms) Live(now time.Time) bool {
	return (t.Starts == nil || !now.Before(*t.Starts)) && (t.Expires == nil || now.Before(*t.Expires))
}

// TermsRequest asks for other terms, all of them.
type TermsRequest struct {
	Terms
	Reason string `json:"reason"` // 1 to MaxReason characters
}

// Check returns what is wrong with the request, CodeInvalidRequest. Outcomes of a spend are checked where they are known.
func (r TermsRequest) Check() error {
	c := check{}
	c.terms("terms", r.Terms, nil)
	if len(c.problems) > 0 {
		p := c.problems[0]
		return Errorf(CodeInvalidRequest, "%s: %s", strings.TrimPrefix(p.Path, "terms."), p.Message).WithHint(p.Hint).WithField(strings.TrimPrefix(p.Path, "terms."))
	}
	return checkReason(r.Reason, true)
}

// CopyDraft is a copy to be written: a new one of the action, or a new version of one that there is.
type CopyDraft struct {
	Copy
	Submit bool `json:"submit,omitempty"` // for review at once; else it is a draft
}

// ActionDraft is a new version of an action, its copy left out.
type ActionDraft struct {
	Action
	Submit bool `json:"submit,omitempty"`
}

// PriorityDraft is a priority to be written: a new one, or a new version of one that there is.
type PriorityDraft struct {
	Priority
	Submit bool `json:"submit,omitempty"` // for review at once; else it is a draft
}

// Hold keeps an action, a copy or a priority back.
type Hold struct {
	State   PoolState `json:"state"`             // paused or retired
	Version int       `json:"version,omitempty"` // of retired: the newest version that is held back
	Reason  string    `json:"reason"`
	By      string    `json:"by"`
	At      time.Time `json:"at"`
}

// Holds reports whether it keeps a version back.
func (h Hold) Holds(version int) bool { return h.State != PoolRetired || version <= h.Version }

// Kill keeps an action, a surface or the store from being served until it is restored.
type Kill struct {
	Reason string    `json:"reason"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
}

// KillStore is the switch of the store; those of an action and a surface are "action " or "surface " and the id.
const KillStore = "store"

// KillAction names the switch of an action.
func KillAction(id string) string { return "action " + id }

// KillSurface names the switch of a surface.
func KillSurface(id string) string { return "surface " + id }

// KilledAt returns the switch that stops a surface, its own or the store's; nil: none.
func (d *Declaration) KilledAt(surface string) *Kill {
	for _, key := range []string{KillStore, KillSurface(surface)} {
		if k, ok := d.Kills[key]; ok {
			return &k
		}
	}
	return nil
}

// PoolState is where an action, a copy or a priority stands.
type PoolState string

// The states: of what was never approved its newest version's, else what keeps it from being served.
const (
	PoolDraft     PoolState = VersionDraft
	PoolInReview  PoolState = VersionInReview
	PoolRejected  PoolState = VersionRejected
	PoolApproved  PoolState = VersionApproved // and not served: its action, or every copy of it, is not
	PoolScheduled PoolState = "scheduled"
	PoolLive      PoolState = "live"
	PoolExpired   PoolState = "expired"
	PoolPaused    PoolState = "paused"
	PoolRetired   PoolState = "retired"
	PoolKilled    PoolState = "killed"
)

// PoolStates lists them in the order of a life.
func PoolStates() []PoolState {
	return []PoolState{PoolDraft, PoolInReview, PoolRejected, PoolApproved, PoolScheduled, PoolLive, PoolExpired, PoolPaused, PoolRetired, PoolKilled}
}

// PoolAction is an action with everything that there is of it.
type PoolAction struct {
	ID string `json:"id"`
	Terms
	State    PoolState     `json:"state"`
	Next     []Verb        `json:"next"`           // what may be done to it now
	Live     int           `json:"live"`           // the newest approved version; 0: none
	Waiting  int           `json:"waiting"`        // versions in review, those of its copy among them
	Hold     *Hold         `json:"hold,omitempty"` // nil: none
	Killed   *Kill         `json:"killed,omitempty"`
	Breaches []string      `json:"breaches,omitempty"` // of the guardrails as they are now, by what is approved
	Versions []VersionView `json:"versions"`           // the newest first
	Copies   []PoolCopy    `json:"copies"`

	DefaultOf []string `json:"defaultOf,omitempty"` // surfaces whose default it is
	Warnings  []string `json:"warnings,omitempty"`  // of those where nothing of it can be served, or soon cannot
}

// PoolCopy is a copy with everything that there is of it.
type PoolCopy struct {
	ID       string        `json:"id"`
	State    PoolState     `json:"state"`
	Next     []Verb        `json:"next"`
	Live     int           `json:"live"`
	Hold     *Hold         `json:"hold,omitempty"`
	Versions []VersionView `json:"versions"`

	DefaultOf []string `json:"defaultOf,omitempty"` // surfaces whose default is this copy, and no other could be
}

// PoolPriority is a priority with everything that there is of it.
type PoolPriority struct {
	ID       string        `json:"id"`
	State    PoolState     `json:"state"`
	Next     []Verb        `json:"next"`
	Live     int           `json:"live"`    // the newest approved version; 0: none
	Waiting  int           `json:"waiting"` // versions in review
	Hold     *Hold         `json:"hold,omitempty"`
	Breaches []string      `json:"breaches,omitempty"` // of the guardrails as they are now, by what is approved
	Versions []VersionView `json:"versions"`           // the newest first
}

// PriorityPreview is what a priority does beside those that are in force.
type PriorityPreview struct {
	Slots   []SlotsPreview   `json:"slots"`   // of products: the slots of some actions
	Effects []PriorityEffect `json:"effects"` // of an action: each experiment that runs where it is offered
}

// SlotsPreview is what an action shows a shopper without a version of a priority, and with it.
type SlotsPreview struct {
	Action string        `json:"actionId"` // empty: no action has slots yet, and it stands for any
	Now    []ProductView `json:"now"`      // as it is shown now: with the version that is in force, where one is
	Then   []ProductView `json:"then"`
}

// PriorityEffect is what a priority of an action does to an experiment's policy, over its busiest intersections, each by its
// traffic so far (statistics C.3).
type PriorityEffect struct {
	Experiment string  `json:"experiment"`
	Chance     float64 `json:"chance"`  // of the action, with the priority
	Without    float64 `json:"without"` // the same without it
	Cost       float64 `json:"cost"`    // of one decision, in units of the goal; below 0: it brings something
	Unit       string  `json:"unit"`    // an outcome, a currency, or empty for weighed points
	Covered    float64 `json:"covered"` // share of the traffic that was looked at; 1: all, or there was none yet
}

// ReviewItem is a version that waits for review, beside what is approved now.
type ReviewItem struct {
	VersionRef
	Author   string          `json:"author"`
	Created  time.Time       `json:"created"`
	Body     json.RawMessage `json:"body"`
	Live     *VersionView    `json:"live,omitempty"`     // nil: nothing of it was approved yet
	Breaches []string        `json:"breaches,omitempty"` // of the guardrails: it cannot be approved
}

// SwitchView is a kill switch that is on.
type SwitchView struct {
	Kind string `json:"kind"`         // action, surface or store
	ID   string `json:"id,omitempty"` // of an action or a surface
	Kill
}

// Switches lists what is killed: the store first, then actions, then surfaces.
func (d *Declaration) Switches() []SwitchView {
	out := []SwitchView{}
	for key, k := range d.Kills {
		kind, id, _ := strings.Cut(key, " ")
		out = append(out, SwitchView{Kind: kind, ID: id, Kill: k})
	}
	slices.SortFunc(out, func(a, b SwitchView) int {
		if (a.Kind == KillStore) != (b.Kind == KillStore) {
			if a.Kind == KillStore {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Kind+" "+a.ID, b.Kind+" "+b.ID)
	})
	return out
}

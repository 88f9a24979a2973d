package juncture

import (
	"encoding/json"
	"time"
)

// Statuses of a version. Of each action, copy and priority the newest approved version is in force.
const (
	VersionDraft    = "draft" // being written: nobody is asked to look at it
	VersionInReview = "in_review"
	VersionApproved = "approved"
	VersionRejected = "rejected" // with a comment; it may be submitted again
)

// Version is one immutable version of an action, of a copy of it, or of a priority. An approval binds to Hash.
type Version struct {
	Action    string // empty: of a priority
	Copy      string // empty: the action itself
	Priority  string // empty: of an action, or of a copy
	Number    int    // from 1
	Hash      string
	Body      []byte // JSON of Action (without its copy and its Terms), Copy or Priority
	Status    string
	Author    string
	CreatedAt time.Time
	Reviewer  string // of the last review; empty: not reviewed
	Reviewed  time.Time
	Comment   string // the reviewer's
	Bypass    bool   // approved by who wrote it
}

// Catalog is everything that a store has declared: its configuration and every version that there is.
type Catalog struct {
	Number      int64 // of the configuration; 0: nothing was ever applied
	Declaration Declaration
	Versions    []Version // by action, copy, priority, number
	Arms        map[Arm]ArmID
}

// Change is what an apply does to a catalog, all of it or nothing.
type Change struct {
	Base        int64        // the catalog's number that it was planned on
	Declaration *Declaration // nil: unchanged
	Add         []Version
	Review      []Version // existing or added versions whose status becomes theirs, with reviewer, time, comment and bypass
	Audit       []AuditNote
	Lines       []string // the diff, for people
}

// Empty reports whether the change changes nothing.
func (c Change) Empty() bool { return c.Declaration == nil && len(c.Add) == 0 && len(c.Review) == 0 }

// AuditNote is one thing done, for the audit log.
type AuditNote struct {
	At            time.Time
	Actor         string
	Action        string // such as "approve"
	Subject       string // such as "action five_off@2"
	From          string // an address, or "cli"
	Before, After []byte // JSON; may be empty
}

// VersionView is a version as the API shows it.
type VersionView struct {
	Number   int             `json:"version"`
	Hash     string          `json:"hash"`
	Status   string          `json:"status"`
	Author   string          `json:"author"`
	Created  time.Time       `json:"created"`
	Reviewer string          `json:"reviewer,omitempty"`
	Reviewed *time.Time      `json:"reviewed,omitempty"`
	Comment  string          `json:"comment,omitempty"`
	Bypass   bool            `json:"bypass,omitempty"` // approved by who wrote it
	Body     json.RawMessage `json:"body"`             // the action without its copy, the copy, or the priority
}

// Ref names the version.
func (v Version) Ref() VersionRef {
	return VersionRef{Action: v.Action, Copy: v.Copy, Priority: v.Priority, Number: v.Number, Hash: v.Hash}
}

// View is the version as the API shows it.
func (v Version) View() VersionView {
	out := VersionView{Number: v.Number, Hash: v.Hash, Status: v.Status, Author: v.Author, Created: v.CreatedAt, Reviewer: v.Reviewer,
		Comment: v.Comment, Bypass: v.Bypass, Body: v.Body}
	if v.Reviewer != "" {
		out.Reviewed = &v.Reviewed
	}
	return out
}

package juncture

import "time"

// Statuses of a version.
const (
	VersionInReview = "in_review"
	VersionApproved = "approved"
)

// Version is one immutable version of an action, or of a copy of it. An approval binds to Hash.
type Version struct {
	Action    string
	Copy      string // empty: the action itself
	Number    int    // from 1
	Hash      string
	Body      []byte // JSON of Action (without its copy) or Copy
	Status    string
	Author    string
	CreatedAt time.Time
	Reviewer  string // empty: not reviewed
	Reviewed  time.Time
	Bypass    bool // approved by who wrote it
}

// Catalog is everything that a store has declared: its configuration and every version that there is.
type Catalog struct {
	Number      int64 // of the configuration; 0: nothing was ever applied
	Declaration Declaration
	Versions    []Version // by action, copy, number
	Arms        map[Arm]ArmID
}

// Change is what an apply does to a catalog, all of it or nothing.
type Change struct {
	Base        int64        // the catalog's number that it was planned on
	Declaration *Declaration // nil: unchanged
	Add         []Version
	Approve     []Version // existing or added versions whose status becomes approved, with reviewer and time
	Audit       []AuditNote
	Lines       []string // the diff, for people
}

// Empty reports whether the change changes nothing.
func (c Change) Empty() bool { return c.Declaration == nil && len(c.Add) == 0 && len(c.Approve) == 0 }

// AuditNote is one thing done, for the audit log.
type AuditNote struct {
	At            time.Time
	Actor         string
	Action        string // such as "approve"
	Subject       string // such as "action five_off@2"
	From          string // an address, or "cli"
	Before, After []byte // JSON; may be empty
}

package juncture

import "time"

// The ledger's side of the engine: what a request asks to have written, and what it is told. An Entry is committed
// whole or not at all; results are valid after the commit.

// Entry is what one request writes.
type Entry struct {
	Decisions   []*DecisionWrite
	Activations []*ActivationWrite
	Outcomes    []*OutcomeWrite
	Values      []LayerValue // request-layer values seen for the first time
	Aliases     []Alias
	Events      []*EventWrite
	Quarantined []Quarantined
	Consents    []*ConsentWrite
	Erasures    []*Erasure
	Exclusions  []*Exclusion
	Committed   func() // run by the writer after the commit, also when its caller has gone; nil: nothing
	Memos       []*MemoWrite
}

// MemoWrite keeps an answer that was decided before under one more id. Where the id is taken nothing is written, and
// Recalled is the earlier memo.
type MemoWrite struct {
	Memo Memo
	At   time.Time // of the call: what expired by then is not in the way

	Recalled *Memo // result
}

// DecisionWrite appends a decision with its memos. With a memo whose id is taken nothing at all is written, and
// Recalled is the earlier memo.
type DecisionWrite struct {
	Decision   Decision
	SigningKey uint8
	Memos      []Memo
	Enrol      []Enrolment // of the shopper, where the caller knows of none; Serial is the decision's
	Terms      *DrawTerms  // behind Decision.Terms, nil where they are kept already
	Fit        *Fit        // behind Decision.Version, nil where it is kept already, or there is none

	Recalled *Memo // result
	Stale    bool  // result: the shopper has another group; nothing was written
}

// Memo is an answer to be given again.
type Memo struct {
	ID      [16]byte
	Body    [16]byte // hash of the request that it answers; zero for a sticky answer
	Answer  []byte
	Expires int64 // Unix ms

	// Replaces is the answer whose place this one takes: that memo is not in the way, any other is. Nil replaces none.
	Replaces []byte
}

// ActivationWrite makes a decision a trial.
type ActivationWrite struct {
	Claims     Claims
	Activation Activation
	Types      []OutcomeType // of the store
	Currency   string

	Duplicate bool  // result: it was one already; nothing changed
	Err       error // result: why it was refused; nothing changed
	Stands    Activation
}

// OutcomeWrite appends an outcome.
type OutcomeWrite struct {
	// Shopper is set where the outcome came for a shopper, with an id of its own: should another decision of theirs hold
	// it already, nothing is written and Elsewhere says so. Mine are the decisions that hold it together, one of each
	// experiment.
	Shopper string
	Mine    []uint64

	Elsewhere bool // result
	Claims    Claims
	Outcome   Outcome
	Whole     bool // an adjustment of all that is left
	Type      OutcomeType
	Currency  string

	Result    Outcome   // result: with its status
	Delta     Delta     // result: what it added
	Whose     string    // result: the first-seen id of its decision's shopper, "" for none
	Delivered time.Time // result: when a deferred decision was activated; zero otherwise
	Err       error     // result: why it was refused; nothing changed
}

// Logged is a decision as the ledger has it now.
type Logged struct {
	Decision
	Activation *Activation // nil: none
	Removed    bool        // it was taken out with its shopper
}

// Settled is a decision with all that came for it so far.
type Settled struct {
	Decision
	SigningKey uint8       // with it the decision's id can be written again
	Activation *Activation // nil: none
	Outcomes   []Outcome   // of every event
	Removed    bool        // it was taken out with its shopper
}

// Settlement is what the ledger holds of the decision for one outcome.
func (s *Settled) Settlement(of OutcomeType, currency string) Settlement {
	return Settlement{Claims: s.Claims, Activation: s.Activation, Type: of, Currency: currency}
}

// Of returns the outcomes of an event.
func (s *Settled) Of(event string) []Outcome {
	var out []Outcome
	for _, o := range s.Outcomes {
		if o.Event == event {
			out = append(out, o)
		}
	}
	return out
}

// Touch is an earlier decision of a shopper: one that an outcome may be credited to.
type Touch struct {
	Claims     Claims
	SigningKey uint8       // with it the decision's id can be written again
	Activation *Activation // nil: none
	Reason     Reason
	Detail     Detail
	Removed    bool  // it was taken out with its shopper
	Shadow     ArmID // Decision.Shadow
}

// Serve is a decision that served a shopper something.
type Serve struct {
	Serial uint64
	At     time.Time
	Arm    ArmID
	Drawn  bool // by the policy or by chance: it is not the surface's default as such
}

// Credited is a decision with a share of an outcome that came for its shopper.
type Credited struct {
	Touch
	Credit float64 // in [0, 1]
	Holder uint64  // serial of the decision that holds the outcome: its own, or another's of the experiment
}

// LayerValue is a value of a request layer.
type LayerValue struct {
	Layer Layer
	Value string
}

// Alias says that an id belongs to the shopper whose first-seen id is Shopper. Known: it names a person, not a device; a
// shopper that another known id belongs to already is not theirs.
type Alias struct {
	ID      string
	Shopper string
	Known   bool
}

// EventWrite appends an event. The ledger finds whose it is: of ids that belong to two profiles it makes one, and the
// profile that was seen first stands. A person, known by a UserID, is never made one with another but by a trusted alias:
// a device of another known person passes to who signs in on it, and what was done on it before stays the other's.
type EventWrite struct {
	Event       Event  // without Shopper
	UserID      string // one of UserID and AnonymousID at least
	AnonymousID string
	PreviousID  string // of an alias: an id that is the same shopper
	Received    time.Time
	Raw         []byte

	Consent ConsentRecord // what the message says of it, under UserID and AnonymousID
	Scope   string        // of the message's id: it is a repeat only of one with the same scope and ids; empty: of any
	Trusted bool          // an alias may make two known people one
	Quiet   bool          // nothing happened: only who is who, and consent, are written

	Duplicate bool // result: its message, or its order, was in the log already; nothing was written
	Denied    bool // result: an id of it denied consent, and now all do; nothing else was written
	Refused   bool // result: an alias of two known people that is not trusted; it was quarantined
	Stale     bool // result: whose ids are was changed, beyond those of the event
	// Result: Event.Shopper.
}

// ReasonUntrustedAlias is what an alias of two known people is quarantined for that did not come with a secret key.
const ReasonUntrustedAlias = "untrusted_alias"

// Quarantined is something that could not be taken.
type Quarantined struct {
	Reason  string // a short code: there are few
	Message string
	Example string // the beginning of what was sent
	Count   int64
	Latest  time.Time
}

// ProfileChange is one step of the events' log: an event of a shopper, or two profiles becoming one. With neither an
// event nor Into, the profile of From is erased.
type ProfileChange struct {
	Serial     uint64
	Event      *Event
	From, Into string // of a merge
}

// ProfileRow is a profile as the store keeps it.
type ProfileRow struct {
	Shopper string
	Body    []byte // nil: there is none
	Marks   []Mark // how much of each node's events it holds; Seq is a serial

	Standing Standing   // zero At: never described
	Moves    []Movement // to be appended: what changed since the standing before
}

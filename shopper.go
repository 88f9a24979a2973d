package juncture

import "time"

// ConsentRecord is what a shopper said of the use of their data, as it is kept with their identity.
type ConsentRecord struct {
	Personalization string    `json:"personalization"` // granted, denied, or empty where nothing was said
	Analytics       string    `json:"analytics"`
	At              time.Time `json:"at"` // when it was said; zero for never
}

// The answers.
const (
	ConsentGranted = "granted"
	ConsentDenied  = "denied"
	ConsentUnknown = "unknown" // of a request: nothing is said
)

// Denied reports whether either use is denied: then nothing of the shopper is kept.
func (c ConsentRecord) Denied() bool {
	return c.Personalization == ConsentDenied || c.Analytics == ConsentDenied
}

// Said reports whether the record says anything.
func (c ConsentRecord) Said() bool { return c.Personalization != "" || c.Analytics != "" }

// Over returns the record that stands when c was said beside an earlier record: on each use the later answer, of two at
// one time the denial. It commutes.
func (c ConsentRecord) Over(o ConsentRecord) ConsentRecord {
	if o.At.After(c.At) {
		c, o = o, c
	}
	same := c.At.Equal(o.At)
	pick := func(newer, older string) string {
		switch {
		case newer == "" || same && older == ConsentDenied:
			return older
		case same && newer == "":
			return older
		}
		return newer
	}
	c.Personalization = pick(c.Personalization, o.Personalization)
	c.Analytics = pick(c.Analytics, o.Analytics)
	return c
}

// Identity is whose an id is.
type Identity struct {
	Shopper string // the first-seen id; empty where the id was never seen
	Consent ConsentRecord
	Known   bool // the id names a person: it came as a userId
	Person  bool // the shopper has such an id

	Excluded string // why they are no shopper: ExcludedBot, ExcludedStaff; empty: they are
}

// ConsentWrite keeps what was said of consent with the identity behind an id, seen before or not. An older answer than the one
// that is kept changes nothing.
type ConsentWrite struct {
	ID      string
	Consent ConsentRecord

	Changed bool // result
}

// Erasure deletes what is known of the shopper behind an id: events, profile, consent, aliases and memos. Decisions
// stay, under Replacement and without their session, since tallies are their fold. Of who denied consent the denial stays,
// under a keyed hash of each of their ids: erased is not allowed.
type Erasure struct {
	ID          string
	Replacement string // a random id

	IDs       []string // result: every id that was the shopper's, at least ID
	Events    int64    // result
	Decisions int64    // result
}

// Standing is how a shopper was described when their profile was last written, for reports.
type Standing struct {
	At      time.Time
	Window  string             // new, active, dormant or vip
	Posture string             //
	Reason  string             // of the moment
	Values  [LayerCount]string // of the layers
}

// Movement is a shopper passing from one value of an axis of the moment to another.
type Movement struct {
	Shopper string
	At      time.Time
	Axis    string // lifecycle, status or mode
	From    string
	To      string
	Reason  string // of the new value
}

// TasteModel is a fitted set of taste clusters as the store keeps it.
type TasteModel struct {
	Version int64 // 1, 2, ...; each change of a name makes one too
	At      time.Time
	Actor   string
	Moved   int    // shoppers whose cluster changed with it
	Of      int    // shoppers with a cluster before or after
	Body    []byte // JSON, of layers/meaning
}

package engine

import (
	"context"
	"net/netip"
	"time"

	"github.com/juncture/juncture"
)

// Incoming is one event to take, with the ids of its shopper.
type Incoming struct {
	Event       juncture.Event // without Shopper
	UserID      string
	AnonymousID string
	PreviousID  string                 // of an alias
	Consent     juncture.ConsentRecord // what the message says of it
	Raw         []byte                 // as sent, less personal data

	// Scope is the publishable key that the message came with, empty for any other sender: what strangers send must not
	// stand in the way of what others send under the same messageId.
	Scope string
	// Trusted is a sender with a secret key, or an import: its alias may make two known people one.
	Trusted bool
	// Past is history: it is credited to no decision.
	Past bool

	// Agent is the shopper's User-Agent, as the message or its browser says it; Address is where a public call comes from.
	Agent   string
	Address netip.Addr
}

// Taken says what became of a batch of events.
type Taken struct {
	Accepted, Duplicates int
	Denied               int // of shoppers who denied the use of their data
	Refused              int // aliases of two known people that are not trusted; they are quarantined
	Nobody               int // of programs and staff; they are quarantined as bot and staff
}

// Ingest appends events, and counts what could not be taken, in one commit; it returns once all is durable and folded
// into the profiles, and the outcomes that events tell are credited. A message that is in the log already changes nothing. The error is CodeUnavailable.
func (e *Engine) Ingest(ctx context.Context, now time.Time, in []Incoming, broken []juncture.Quarantined) (Taken, error) {
	var t Taken
	st, err := e.state(ctx)
	if err != nil {
		return t, err
	}
	entry := &juncture.Entry{Quarantined: broken}
	past := map[*juncture.EventWrite]bool{}
	for _, i := range in {
		if why := st.nobodys(i.Agent, i.Address); why != "" {
			e.stats.Ignored[why].Add(1)
			entry.Quarantined = append(entry.Quarantined, quarantined(why, i, now))
			t.Nobody++
			continue
		}
		i.Consent.At = i.Event.At
		entry.Events = append(entry.Events, &juncture.EventWrite{Event: i.Event, UserID: i.UserID, AnonymousID: i.AnonymousID,
			PreviousID: i.PreviousID, Raw: i.Raw, Received: now, Consent: i.Consent, Scope: i.Scope, Trusted: i.Trusted})
		if i.Past {
			past[entry.Events[len(entry.Events)-1]] = true
		}
	}
	if len(entry.Events)+len(entry.Quarantined) == 0 {
		return t, nil
	}
	entry.Committed = func() {
		for _, w := range entry.Events {
			e.identified(w)
		}
	}
	if err := e.d.Ledger.Commit(ctx, entry); err != nil {
		return t, err
	}
	if err := e.told(ctx, now, entry.Events, past); err != nil {
		return t, err
	}
	e.sawEvents(st, now, entry.Events, past)
	for _, w := range entry.Events {
		switch {
		case w.Denied:
			t.Denied++
		case w.Refused:
			t.Refused++
		case w.Duplicate:
			t.Duplicates++
		default:
			t.Accepted++
		}
	}
	return t, nil
}

// identified makes later calls find the shoppers that an event's ids turned out to be.
func (e *Engine) identified(w *juncture.EventWrite) {
	if w.Stale { // other ids of theirs may be cached too
		e.forgetEverybody()
		return
	}
	for _, id := range []string{w.UserID, w.AnonymousID, w.PreviousID} {
		known, ok := e.shoppers.Peek(id)
		same := known.Shopper == w.Event.Shopper && (known.Person || w.UserID == "") && (known.Known || id != w.UserID)
		if id == "" || !ok || same || w.Event.Shopper == "" {
			continue
		}
		e.merges.Add(1) // before the removal, as in forgetShoppers
		e.shoppers.Remove(id)
	}
}

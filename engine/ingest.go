package engine

import (
	"context"
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
}

// Taken says what became of a batch of events.
type Taken struct {
	Accepted, Duplicates int
	Denied               int // of shoppers who denied the use of their data
}

// Ingest appends events, and counts what could not be taken, in one commit; it returns once all is durable and folded
// into the profiles. A message that is in the log already changes nothing. The error is CodeUnavailable.
func (e *Engine) Ingest(ctx context.Context, now time.Time, in []Incoming, broken []juncture.Quarantined) (Taken, error) {
	entry := &juncture.Entry{Quarantined: broken}
	var t Taken
	for _, i := range in {
		if i.Consent.Said() {
			i.Consent.At = i.Event.At
			for _, id := range []string{i.UserID, i.AnonymousID} {
				if id != "" {
					entry.Consents = append(entry.Consents, &juncture.ConsentWrite{ID: id, Consent: i.Consent})
				}
			}
		}
		if i.Consent.Denied() {
			t.Denied++ // nothing of somebody who says no is kept but that they said it
			continue
		}
		entry.Events = append(entry.Events, &juncture.EventWrite{Event: i.Event, UserID: i.UserID, AnonymousID: i.AnonymousID,
			PreviousID: i.PreviousID, Raw: i.Raw, Received: now})
	}
	if len(entry.Events)+len(entry.Consents)+len(broken) == 0 {
		return t, nil
	}
	if err := e.d.Ledger.Commit(ctx, entry); err != nil {
		return t, err
	}
	for _, w := range entry.Consents {
		if w.Changed {
			e.forgetEverybody()
			break
		}
	}
	for _, w := range entry.Events {
		switch {
		case w.Denied:
			t.Denied++
		case w.Duplicate:
			t.Duplicates++
		default:
			t.Accepted++
			e.identified(w)
		}
	}
	return t, nil
}

// identified makes later calls find the shopper that an event's ids turned out to be.
func (e *Engine) identified(w *juncture.EventWrite) {
	for _, id := range []string{w.UserID, w.AnonymousID, w.PreviousID} {
		known, ok := e.shoppers.Peek(id)
		if id == "" || !ok || known.Shopper == w.Event.Shopper {
			continue
		}
		e.merges.Add(1) // before the removal, as in forgetShoppers
		if known.Shopper == "" {
			e.shoppers.Remove(id)
			continue
		}
		e.forgetEverybody() // profiles became one: other ids of the one that is gone may be cached too
		return
	}
}

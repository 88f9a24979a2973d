package layers

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/layers/trajectory"
)

// What is kept of each event in the ring. Longer ids are replaced by their hash, longer names are cut and end in it.
const (
	maxID    = 12 // bytes of an event's, a session's and an order's id
	maxName  = 64 // bytes of a product's id and of a category
	maxLines = 8  // products of one event
)

// lastMs is the end of the year 9999, in ms.
const lastMs = 253402300799999

// Recent is one of the latest events, cut to what the layers need: its id, kind, time, session, category, order, value,
// source and first products.
type Recent struct {
	ID, Session, Category, Order string
	Source                       string
	At                           int64 // ms
	Value                        int64 // minor units
	Lines                        []juncture.Line
	Kind                         juncture.EventKind
	zones                        trajectory.Zones // where the scores stood after it
}

// compareRecent is the order in which events are folded.
func compareRecent(a, b Recent) int {
	return cmp.Or(cmp.Compare(a.At, b.At), strings.Compare(a.ID, b.ID))
}

// short returns a copy of v in at most so many bytes, cut between letters: the copy pins nothing of the body that v came
// from.
func short(v string, most int) string {
	if len(v) <= most {
		return strings.Clone(v)
	}
	h := uint64(14695981039346656037) // FNV-1a
	for i := range len(v) {
		h = (h ^ uint64(v[i])) * 1099511628211
	}
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], h)
	cut := most - maxID
	for cut > 0 && cut > most-maxID-utf8.UTFMax && !utf8.RuneStart(v[cut]) {
		cut--
	}
	return v[:cut] + "#" + base64.RawURLEncoding.EncodeToString(b[:])
}

// shortPath is short for a category: a path loses its first steps, since the last ones say what it is.
func shortPath(v string) string {
	for len(v) > maxName {
		_, rest, path := strings.Cut(v, ">")
		if !path {
			break
		}
		v = strings.TrimSpace(rest)
	}
	return short(v, maxName)
}

// recentOf cuts an event; text that the event before it had too is shared with it.
func recentOf(e juncture.Event, before *Recent) Recent {
	r := Recent{ID: short(e.ID, maxID), Order: short(e.Order, maxID), Value: e.Value, Kind: e.Kind,
		At: min(max(e.At.UnixMilli(), 0), lastMs), Session: short(e.Session, maxID), Category: shortPath(e.Category), Source: short(e.Source, maxName)}
	if before != nil && before.Session == r.Session {
		r.Session = before.Session
	}
	if before != nil && before.Category == r.Category {
		r.Category = before.Category
	}
	if before != nil && before.Source == r.Source {
		r.Source = before.Source
	}
	if n := min(len(e.Lines), maxLines); n > 0 {
		r.Lines = make([]juncture.Line, n)
		for i, l := range e.Lines[:n] {
			r.Lines[i] = juncture.Line{Product: short(l.Product, maxName), Category: r.Category, Quantity: l.Quantity, Price: l.Price}
			if c := shortPath(l.Category); c != r.Category {
				r.Lines[i].Category = c
			}
		}
	}
	return r
}

// Event is the event as far as it was kept.
func (r *Recent) Event() juncture.Event {
	return juncture.Event{ID: r.ID, Kind: r.Kind, Session: r.Session, At: time.UnixMilli(r.At).UTC(), Lines: r.Lines,
		Category: r.Category, Order: r.Order, Value: r.Value, Source: r.Source}
}

// recentBytes is the size of a Recent in memory, lineBytes that of a line, both without their text.
const (
	recentBytes = 128
	lineBytes   = 48
)

func (r *Recent) bytes() int {
	n := len(r.ID) + len(r.Session) + len(r.Category) + len(r.Order) + len(r.Source) + cap(r.Lines)*lineBytes
	for _, l := range r.Lines {
		n += len(l.Product) + len(l.Category)
	}
	return n
}

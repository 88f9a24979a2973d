// Package audit is the append-only log of who changed what, in which each row holds the hash of the row before it, so
// that a row that is altered, taken out, put in or moved is found. Rows cut from the end leave a shorter but whole
// chain: the Head kept beside it finds those, and whoever must find somebody who rewrites that too keeps a Head elsewhere.
package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"github.com/juncture/juncture"
)

// Entry is one row. Before and After are kept byte for byte: as text, not as a JSON type that a database reformats.
type Entry struct {
	Seq     int64           // from 1, without gaps
	At      time.Time       // UTC, millisecond resolution
	Actor   string          // user:ada, key:abcdefghijkl, cli:root
	Action  string          // such as action.approve
	Subject string          // what it was done to, such as action:five_off@2
	From    string          // the way it came: console, api, cli; no IP address
	Before  json.RawMessage // nil: there was nothing
	After   json.RawMessage // nil: there is nothing
	Prev    []byte          // Hash of the row before, 32 zero bytes for the first
	Hash    []byte          // SHA-256, 32 bytes
}

// Genesis is the Prev of the first row.
func Genesis() []byte { return make([]byte, sha256.Size) }

// Chain returns e as the row after prev, which is the zero Entry for the first: Seq, Prev and Hash set, At in UTC
// milliseconds. The store holds its lock between reading prev and appending.
func Chain(prev, e Entry) Entry {
	e.Seq, e.Prev = prev.Seq+1, bytes.Clone(prev.Hash)
	if prev.Seq == 0 {
		e.Prev = Genesis()
	}
	e.At = e.At.UTC().Truncate(time.Millisecond)
	e.Hash = e.sum()
	return e
}

// encoding opens what is hashed, so that a later form can stand beside this one.
const encoding = "juncture audit 1"

// sum hashes all fields but Hash. Each is preceded by its length, so that no text can move from one to the next; nil
// and empty are the same.
func (e Entry) sum() []byte {
	h := sha256.New()
	var n [8]byte
	field := func(b []byte) {
		binary.BigEndian.PutUint64(n[:], uint64(len(b)))
		h.Write(n[:])
		h.Write(b)
	}
	number := func(v int64) { field(binary.BigEndian.AppendUint64(nil, uint64(v))) }
	field([]byte(encoding))
	number(e.Seq)
	number(e.At.UnixMilli())
	for _, s := range [...]string{e.Actor, e.Action, e.Subject, e.From} {
		field([]byte(s))
	}
	field(e.Before)
	field(e.After)
	field(e.Prev)
	return h.Sum(nil)
}

// BrokenError names the first row that does not fit. As a *juncture.Error it is CodeUnprocessable.
type BrokenError struct {
	Row  int   // its place in the log, from 1
	Seq  int64 // what it says of itself
	What string
}

func (e *BrokenError) Error() string {
	return fmt.Sprintf("audit row %d (seq %d): %s", e.Row, e.Seq, e.What)
}

// Unwrap returns the *juncture.Error.
func (e *BrokenError) Unwrap() error {
	return juncture.Errorf(juncture.CodeUnprocessable, "%s", e.Error()).
		WithHint("the log was changed outside Juncture: compare with a backup").WithField(fmt.Sprintf("audit[%d]", e.Row-1))
}

// Head is the last row of the log, as it was when it was appended; zero: there was none.
type Head struct {
	Seq  int64
	Hash []byte
}

// Query says which entries are asked for. Zero fields ask for all.
type Query struct {
	Actor, Action string    // exactly
	Subject       string    // a part of it, in any case
	From, To      time.Time // From inclusive, To exclusive
	Before        int64     // seq: those before it
	Limit         int       // at most so many, the newest; 0: all
}

// VerifyTo is Verify, and finds too that the log ends before head, or that another row stands in its place. head is read
// before entries: what was appended meanwhile stands after it.
func VerifyTo(head Head, entries iter.Seq2[Entry, error]) (n int, last Head, err error) {
	var at []byte
	n, err = Verify(func(yield func(Entry, error) bool) {
		for e, err := range entries {
			if e.Seq == head.Seq {
				at = e.Hash
			}
			last = Head{e.Seq, e.Hash}
			if !yield(e, err) {
				return
			}
		}
	})
	switch {
	case err != nil:
	case int64(n) < head.Seq:
		err = &BrokenError{Row: n + 1, Seq: int64(n) + 1, What: fmt.Sprintf("the log ends here, and had %d rows: the last were cut off", head.Seq)}
	case head.Seq > 0 && !bytes.Equal(at, head.Hash):
		err = &BrokenError{Row: int(head.Seq), Seq: head.Seq, What: "it is not the row that was appended: the end of the log was written anew"}
	}
	return n, last, err
}

// Verify goes over the whole log in order of Seq and returns how many rows are good. It stops at the first that is
// not, with a *BrokenError, or with the error of reading.
func Verify(entries iter.Seq2[Entry, error]) (n int, err error) {
	prev := Genesis()
	for e, readErr := range entries {
		if readErr != nil {
			return n, readErr
		}
		what := ""
		switch {
		case e.Seq != int64(n)+1:
			what = fmt.Sprintf("seq %d was expected: rows are missing, repeated or moved", n+1)
		case !bytes.Equal(e.Hash, e.sum()):
			what = "its hash does not fit its content: the row was altered"
		case !bytes.Equal(e.Prev, prev):
			what = "it does not follow the row before it: one of them was replaced"
		}
		if what != "" {
			return n, &BrokenError{Row: n + 1, Seq: e.Seq, What: what}
		}
		prev = e.Hash
		n++
	}
	return n, nil
}

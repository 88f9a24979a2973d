package audit

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/juncture/juncture"
	"pgregory.net/rapid"
)

var at = time.Date(2026, 11, 20, 12, 0, 0, 123_456_789, time.FixedZone("", 3600))

func log(n int) []Entry {
	var rows []Entry
	var prev Entry
	for i := range n {
		prev = Chain(prev, Entry{At: at.Add(time.Duration(i) * time.Minute), Actor: "user:ada", Action: "action.approve",
			Subject: fmt.Sprintf("action:five_off@%d", i), From: "console", Before: json.RawMessage(`{"status":"draft"}`), After: json.RawMessage(`{"status":"live"}`)})
		rows = append(rows, prev)
	}
	return rows
}

func seq(rows []Entry) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for _, e := range rows {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func TestChain(t *testing.T) {
	e := Chain(Entry{}, Entry{Seq: 99, At: at, Actor: "a", Action: "b", Subject: "c", From: "d", After: json.RawMessage("{}"), Hash: []byte("x")})
	want := Entry{Seq: 1, At: time.Date(2026, 11, 20, 11, 0, 0, 123_000_000, time.UTC), Actor: "a", Action: "b", Subject: "c", From: "d",
		After: json.RawMessage("{}"), Prev: make([]byte, 32), Hash: e.Hash}
	if diff := cmp.Diff(want, e); diff != "" {
		t.Error(diff)
	}
	// Python: sha256(b"".join(struct.pack(">Q", len(f)) + f for f in [b"juncture audit 1", struct.pack(">q", 1),
	// struct.pack(">q", 1795172400123), b"a", b"b", b"c", b"d", b"", b"{}", bytes(32)])).hexdigest()
	const wantHash = "e49cab01b402abd0683f9f296b114af7ea9ee1b3a6fe719d1bd1c30a1e5bec53"
	if got := hex.EncodeToString(e.Hash); got != wantHash {
		t.Errorf("hash %s, want %s", got, wantHash)
	}
	next := Chain(e, Entry{At: at})
	if next.Seq != 2 || !slices.Equal(next.Prev, e.Hash) {
		t.Errorf("%+v", next)
	}
	next.Prev[0]++
	if n, err := Verify(seq([]Entry{e})); n != 1 || err != nil {
		t.Error("a row shares memory with the next")
	}
}

func TestVerify(t *testing.T) {
	for _, n := range []int{0, 1, 5} {
		if got, err := Verify(seq(log(n))); got != n || err != nil {
			t.Errorf("%d rows: %d %v", n, got, err)
		}
	}
	dry := errors.New("disk")
	n, err := Verify(func(yield func(Entry, error) bool) {
		for _, e := range log(2) {
			yield(e, nil)
		}
		yield(Entry{}, dry)
	})
	if n != 2 || err != dry {
		t.Errorf("%d %v", n, err)
	}
}

func TestTamperedFields(t *testing.T) {
	const altered = "its hash does not fit its content"
	for name, c := range map[string]struct {
		change func(*Entry)
		what   string
	}{
		"seq":             {func(e *Entry) { e.Seq++ }, "seq 3 was expected"},
		"at":              {func(e *Entry) { e.At = e.At.Add(time.Millisecond) }, altered},
		"actor":           {func(e *Entry) { e.Actor = "user:eve" }, altered},
		"action":          {func(e *Entry) { e.Action = "action.reject" }, altered},
		"subject":         {func(e *Entry) { e.Subject += "0" }, altered},
		"from":            {func(e *Entry) { e.From = "" }, altered},
		"before":          {func(e *Entry) { e.Before = nil }, altered},
		"after":           {func(e *Entry) { e.After = json.RawMessage(`{"status": "live"}`) }, altered},
		"prev":            {func(e *Entry) { e.Prev[31] ^= 1 }, altered},
		"hash":            {func(e *Entry) { e.Hash[0] ^= 1 }, altered},
		"no hash":         {func(e *Entry) { e.Hash = nil }, altered},
		"text moved":      {func(e *Entry) { e.Actor, e.Action = e.Actor+"action", ".approve" }, altered},
		"before to after": {func(e *Entry) { e.Before, e.After = nil, append(slices.Clone(e.Before), e.After...) }, altered},
		"prev, rehashed":  {func(e *Entry) { e.Prev = Genesis(); e.Hash = e.sum() }, "it does not follow"},
	} {
		rows := log(5)
		c.change(&rows[2])
		n, err := Verify(seq(rows))
		broken, ok := errors.AsType[*BrokenError](err)
		if !ok || n != 2 || broken.Row != 3 || broken.Seq != rows[2].Seq || !strings.HasPrefix(broken.What, c.what) {
			t.Errorf("%s: %d %v", name, n, err)
		}
		if juncture.ErrorCode(err) != juncture.CodeUnprocessable || !strings.HasPrefix(err.Error(), "audit row 3 (seq ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	rows := log(5)
	rows[2].Actor = "user:eve" // altered and hashed again: the next row tells
	rows[2].Hash = rows[2].sum()
	if n, err := Verify(seq(rows)); n != 3 || err == nil {
		t.Errorf("rehashed: %d %v", n, err)
	}
}

// Rows taken out, put in twice or swapped are found at the place where it happened.
func TestMovedRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := log(rapid.IntRange(2, 8).Draw(t, "rows"))
		i := rapid.IntRange(0, len(rows)-2).Draw(t, "i")
		j := rapid.IntRange(i+1, len(rows)-1).Draw(t, "j")
		good := i
		switch rapid.IntRange(0, 2).Draw(t, "how") {
		case 0:
			rows = slices.Delete(rows, i, j)
		case 1:
			rows = slices.Insert(rows, i+1, rows[i])
			good = i + 1
		default:
			rows[i], rows[j] = rows[j], rows[i]
		}
		if n, err := Verify(seq(rows)); n != good || err == nil {
			t.Fatalf("%d good rows, want %d: %v", n, good, err)
		}
	})
}

package intake

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/juncture/juncture"
)

// Imports read files of any length in bounded memory: one record at a time, at most maxRecord of it. All of them inflate
// gzip when the first bytes say so, whatever the name of the file, and step over a byte order mark. A *RowError is about
// one row and the reading goes on; any other error ends it.

// maxRecord bounds one record of an import, in bytes.
const maxRecord = 4 << 20

// RowError is what is wrong with one row of an import.
type RowError struct {
	Line    int // from 1, where the row begins
	Message string
}

func (e *RowError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Message) }

func rowError(line int, format string, args ...any) *RowError {
	return &RowError{Line: line, Message: fmt.Sprintf(format, args...)}
}

// errRecord ends a reading whose record does not end.
var errRecord = errors.New("a record is longer than 4 MiB; is a quote not closed, or a line break missing?")

// guard is a reader that refuses to give more than maxRecord bytes between two resets, so that a broken file does not
// become one endless record in memory.
type guard struct {
	r    io.Reader
	left int
}

func (g *guard) reset() { g.left = maxRecord }

func (g *guard) Read(b []byte) (int, error) {
	if g.left <= 0 {
		return 0, errRecord
	}
	n, err := g.r.Read(b)
	g.left -= n
	return n, err
}

// open inflates gzip and steps over a byte order mark.
func open(r io.Reader) (*bufio.Reader, error) {
	br := bufio.NewReaderSize(r, 64<<10)
	if head, _ := br.Peek(2); len(head) == 2 && head[0] == 0x1f && head[1] == 0x8b {
		z, err := gzip.NewReader(br)
		if err != nil {
			return nil, fmt.Errorf("gzip: %w", err)
		}
		br = bufio.NewReaderSize(z, 64<<10)
	}
	head, _ := br.Peek(3)
	switch {
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		_, err := br.Discard(3)
		return br, err
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")):
		return nil, errors.New("the file is UTF-16; save it as UTF-8")
	}
	return br, nil
}

// lines yields the lines of a file that are not blank, with their number. A line beyond limit bytes is a *RowError. The
// bytes are valid until the next line.
func lines(br *bufio.Reader, limit int) iter.Seq2[row, error] {
	return func(yield func(row, error) bool) {
		var long []byte
		for n := 1; ; n++ {
			long = long[:0]
			tooLong := false
			var b []byte
			var err error
			for {
				b, err = br.ReadSlice('\n')
				if len(long)+len(b) > limit {
					tooLong = true
					long = long[:0]
				} else if err == bufio.ErrBufferFull || len(long) > 0 {
					long = append(long, b...)
				}
				if err != bufio.ErrBufferFull {
					break
				}
			}
			if len(long) > 0 {
				b = long
			}
			if err != nil && err != io.EOF {
				yield(row{line: n}, err)
				return
			}
			b = bytes.TrimSpace(b)
			switch {
			case tooLong:
				if !yield(row{line: n}, rowError(n, "the line is longer than %d bytes", limit)) {
					return
				}
			case len(b) > 0:
				if !yield(row{line: n, b: b}, nil) {
					return
				}
			}
			if err == io.EOF {
				return
			}
		}
	}
}

// row is one line of a file.
type row struct {
	line int
	b    []byte
}

// ReadEvents reads a history of events, one JSON object a line: a tracking call with its type, a batch of them, or an
// event as Juncture exports it (juncture.Event in JSON; its Shopper becomes UserID). Every item that comes out is sound:
// what would be Broken is a *RowError. With o.Received zero, as imports should leave it, times are taken from the file
// whatever their age, and one that is missing is an error.
func ReadEvents(r io.Reader, o TrackingOptions) iter.Seq2[TrackedItem, error] {
	if o.Received.IsZero() {
		o.MaxAge = cmp.Or(o.MaxAge, -1)
	}
	return func(yield func(TrackedItem, error) bool) {
		br, err := open(r)
		if err != nil {
			yield(TrackedItem{}, err)
			return
		}
		for l, err := range lines(br, cmp.Or(o.MaxBatch, MaxEventBatch)) {
			if err != nil {
				if !yield(TrackedItem{}, err) {
					return
				}
				continue
			}
			items, err := eventLine(l.b, o)
			if err != nil {
				if !yield(TrackedItem{}, rowError(l.line, "%s", plainly(err))) {
					return
				}
				continue
			}
			for _, item := range items {
				var err error
				if item.Broken != nil {
					err = rowError(l.line, "%s: %s", item.Broken.Reason, item.Broken.Message)
				}
				if !yield(item, err) {
					return
				}
			}
		}
	}
}

// eventLine reads one line of ReadEvents.
func eventLine(b []byte, o TrackingOptions) ([]TrackedItem, error) {
	var head struct {
		Batch   json.RawMessage
		Kind    json.RawMessage
		Shopper *string
	}
	if bytes.Contains(b, []byte(`"batch"`)) || bytes.Contains(b, []byte(`"Shopper"`)) {
		_ = json.Unmarshal(b, &head) // what is wrong is said below
	}
	switch {
	case head.Shopper != nil && head.Kind != nil:
		item, err := exported(b)
		return []TrackedItem{item}, err
	case head.Batch != nil:
		t, err := ParseTracking("batch", b, o)
		return t.Items, err
	}
	t, err := readTape(b, 0)
	if err != nil {
		return nil, err
	}
	p := parser{tape: t, o: o, out: make([]byte, 0, len(b))}
	return []TrackedItem{p.item(0, "")}, nil
}

// exported reads an event as encoding/json writes juncture.Event.
func exported(b []byte) (TrackedItem, error) {
	var e juncture.Event
	if err := json.Unmarshal(b, &e); err != nil {
		return TrackedItem{}, juncture.Errorf(juncture.CodeInvalidRequest, "not an event: %v", err)
	}
	in := Incoming{UserID: id(e.Shopper)}
	bad := func(r Reason) (TrackedItem, error) {
		return TrackedItem{Broken: &Broken{Reason: r, Message: r.message()}}, nil
	}
	switch {
	case in.UserID == "":
		return bad(ReasonNoID)
	case len(in.UserID) > 256 || control(in.UserID):
		return bad(ReasonBadID)
	case e.At.Year() < 1971 || e.At.Year() > 2200:
		return bad(ReasonTime)
	case e.Kind > juncture.EventCartEmptied:
		return bad(ReasonType)
	case e.Value < 0 || e.Value > maxTotal:
		return bad(ReasonValue)
	}
	e.Shopper, e.At = "", e.At.UTC().Truncate(time.Millisecond)
	e.Name, e.Query, e.Category = cut(e.Name, 256), cut(unmailed(e.Query), 256), categoryOf(e.Category)
	e.Lines = e.Lines[:min(len(e.Lines), juncture.MaxLines)]
	for i := range e.Lines {
		l := &e.Lines[i]
		l.Quantity, l.Price, l.Category = min(max(l.Quantity, 1), maxQuantity), min(max(l.Price, 0), maxAmount), categoryOf(l.Category)
	}
	in.Event = e
	raw, err := json.Marshal(e)
	if err != nil {
		return TrackedItem{}, juncture.Errorf(juncture.CodeInvalidRequest, "not an event: %v", err)
	}
	in.Raw = raw
	in.Event.ID = messageID(e.ID, in.UserID, raw, time.Time{})
	return TrackedItem{Incoming: in}, nil
}

// plainly is the message of an error without its code.
func plainly(err error) string {
	if e, ok := errors.AsType[*juncture.Error](err); ok {
		return e.Message
	}
	return strings.TrimSpace(err.Error())
}

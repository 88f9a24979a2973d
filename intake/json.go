package intake

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"unicode/utf8"

	"github.com/juncture/juncture"
)

// Limits of request bodies.
const (
	MaxBody      = 64 << 10 // bytes of one request
	MaxBatchBody = 1 << 20  // bytes of a batch
	MaxItems     = 500      // items of a batch
	MaxDepth     = 8        // objects and lists inside one another, the body itself counted
	maxWarnings  = 10
)

// Options of a Decoder. The zero value refuses unknown fields and does not bound the size.
type Options struct {
	Limit   int                      // bytes; 0 means that the caller has bounded the body
	Lenient bool                     // unknown top-level fields become warnings
	Codes   map[string]juncture.Code // the code of errors inside a top-level field; CodeInvalidRequest for the rest
}

// Decoder decodes JSON objects into values of T, which is a struct with json tags. Make it once; it is immutable and
// safe for concurrent use.
type Decoder[T any] struct {
	shape *shape
	opts  Options
}

// NewDecoder reads the fields of T.
func NewDecoder[T any](opts Options) *Decoder[T] {
	return &Decoder[T]{shape: shapeOf(reflect.TypeFor[T]()), opts: opts}
}

// Decode reads exactly one JSON object in UTF-8: fields in exact case, each once, nothing after the end, MaxDepth deep,
// finite numbers in the range of their field, no U+0000 in text. A field that is null counts as left out; null in a
// list is refused. The warnings name unknown top-level fields, where Options.Lenient says so. dst is changed only
// where there is no error.
//
// Errors: CodeTooLarge, or CodeInvalidRequest (see Options.Codes) with Field set where a field is to blame.
func (d *Decoder[T]) Decode(b []byte, dst *T) (warnings []string, err error) {
	return decode(b, dst, d.shape, d.opts)
}

// DecodeJSON is Decoder.Decode for a pointer to any struct. It reads the type on each call: use a Decoder where calls
// are many.
func DecodeJSON(b []byte, dst any, opts Options) (warnings []string, err error) {
	t := reflect.TypeOf(dst)
	if t == nil || t.Kind() != reflect.Pointer || reflect.ValueOf(dst).IsNil() {
		return nil, juncture.Errorf(juncture.CodeInternal, "intake: cannot decode into %T", dst)
	}
	return decode(b, dst, shapeOf(t.Elem()), opts)
}

func decode(b []byte, dst any, sh *shape, opts Options) ([]string, error) {
	if opts.Limit > 0 && len(b) > opts.Limit {
		return nil, tooLarge(opts.Limit)
	}
	s := scanner{b: b, lenient: opts.Lenient, codes: opts.Codes}
	if err := s.document(sh); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, dst); err != nil { // the scan is meant to leave nothing to find
		return nil, &juncture.Error{Code: juncture.CodeInvalidRequest, Message: "the body does not fit", Err: err}
	}
	return s.warnings, nil
}

// ReadBody reads at most limit bytes. Errors: CodeTooLarge, or CodeInvalidRequest where the sender broke off.
func ReadBody(r io.Reader, limit int) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	switch {
	case len(b) > limit:
		return nil, tooLarge(limit)
	case err != nil:
		return nil, &juncture.Error{Code: juncture.CodeInvalidRequest, Message: "the body ended early", Err: err,
			Hint: "send as many bytes as Content-Length says"}
	}
	return b, nil
}

func tooLarge(limit int) error {
	return juncture.Errorf(juncture.CodeTooLarge, "the body is larger than %d bytes", limit).WithHint("send less at once, or use a batch")
}

// SplitItems takes the items out of a batch body {"items": [...]}, at most limit of them, without looking into them:
// each is to be decoded on its own, so that a bad one is a problem of its own. They share b's memory.
//
// Errors: CodeTooLarge (too many), CodeInvalidRequest (not such a body, or JSON so broken that the items cannot be
// told apart).
func SplitItems(b []byte, limit int) ([]json.RawMessage, error) {
	s := scanner{b: b, loose: true}
	items, err := s.items(limit)
	if err != nil {
		return nil, err
	}
	return items, nil
}

func (s *scanner) items(limit int) ([]json.RawMessage, *juncture.Error) {
	const form = `send {"items": [{...}, {...}]}`
	if err := s.open(); err != nil {
		return nil, err
	}
	s.i++
	var items []json.RawMessage
	s.depth = 1
	for n := 0; ; n++ {
		more, err := s.next('}', n)
		if err != nil {
			return nil, err
		}
		if !more {
			if n == 0 {
				return nil, s.refuse("items is missing", form).WithField("items")
			}
			break
		}
		key, _, err := s.key()
		if err != nil {
			return nil, err
		}
		s.steps[1] = step{key: key}
		if string(key) != "items" {
			return nil, s.refuse(unknownField(string(key), []string{"items"}))
		}
		if n > 0 {
			return nil, s.refuse(`"items" is given twice`, form)
		}
		if items, err = s.list(limit, form); err != nil {
			return nil, err
		}
	}
	return items, s.end()
}

func (s *scanner) list(limit int, form string) ([]json.RawMessage, *juncture.Error) {
	if s.space(); s.peek() != '[' {
		if err := s.value(&shape{null: true}); err != nil { // broken JSON is said to be that first
			return nil, err
		}
		return nil, s.refuse("items must be a list", form)
	}
	s.i++
	items := []json.RawMessage{}
	s.depth = 2
	for {
		more, err := s.next(']', len(items))
		if err != nil {
			return nil, err
		}
		if !more {
			s.depth = 1
			return items, nil
		}
		if len(items) == limit {
			s.depth = 1
			e := s.refuse(fmt.Sprintf("more than %d items", limit), "send several batches")
			e.Code = juncture.CodeTooLarge
			return nil, e
		}
		s.steps[2] = step{index: len(items)}
		s.space()
		from := s.i
		if err := s.value(&shape{null: true}); err != nil {
			return nil, err
		}
		items = append(items, s.b[from:s.i:s.i])
	}
}

// document checks the whole body against the shape of its object.
func (s *scanner) document(sh *shape) *juncture.Error {
	if !utf8.Valid(s.b) {
		return s.refuse("the body is not UTF-8", "send JSON in UTF-8")
	}
	if err := s.open(); err != nil {
		return err
	}
	if err := s.value(sh); err != nil {
		return err
	}
	return s.end()
}

// open finds the opening brace.
func (s *scanner) open() *juncture.Error {
	s.space()
	const hint = "send one JSON object"
	switch c := s.peek(); {
	case s.i == len(s.b):
		return s.refuse("the body is empty", hint)
	case c == 0xEF || c == 0xFE || c == 0xFF:
		return s.refuse("the body begins with a byte order mark", "send plain UTF-8")
	case c != '{':
		return s.refuse("the body is not a JSON object", hint)
	}
	return nil
}

func (s *scanner) end() *juncture.Error {
	s.depth = 0
	if s.space(); s.i < len(s.b) {
		return s.refuse(fmt.Sprintf("there is more after the end of the object, at byte %d", s.i+1), "send one JSON object")
	}
	return nil
}

var errNotText = errors.New("not text")

// spelled asks the type itself whether it can read the text.
func spelled(t reflect.Type, text string) error {
	u, ok := reflect.New(t).Interface().(interface{ UnmarshalText([]byte) error })
	if !ok {
		return errNotText
	}
	return u.UnmarshalText([]byte(text))
}

package intake

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/juncture/juncture"
)

// FormatStoreFile writes a declaration as a canonical store file: fields in the order of juncture.Declaration, texts
// in double quotes where they are more than a name, lists of plain values on one line. ParseStoreFile reads an equal
// declaration from it. The error is CodeInvalidRequest: a text that is not UTF-8 or holds U+0000, a payload that is
// not JSON.
func FormatStoreFile(d *juncture.Declaration) ([]byte, error) {
	w := writer{}
	w.object(reflect.ValueOf(d).Elem(), storeFileShape(), 0)
	if w.err != nil {
		return nil, w.err
	}
	return w.out.Bytes(), nil
}

type writer struct {
	out bytes.Buffer
	err error
}

func (w *writer) fail(message string) {
	if w.err == nil {
		w.err = juncture.Errorf(juncture.CodeInvalidRequest, "a store file cannot hold %s", message)
	}
}

func (w *writer) indent(depth int) { w.out.WriteString(strings.Repeat("  ", depth)) }

// object writes a struct's fields, each on lines of its own; the caller has indented the first.
func (w *writer) object(v reflect.Value, sh *shape, depth int) {
	first := true
	for _, f := range sh.fields {
		fv := v.FieldByIndex(f.index)
		if f.omitEmpty && (fv.IsZero() || fv.Kind() == reflect.Slice && fv.Len() == 0 || fv.Kind() == reflect.Map && fv.Len() == 0) {
			continue
		}
		if f.shape.kind == textKind && fv.String() == "" && (f.name == "status" || f.name == "source") {
			continue // the parser fills these
		}
		if !first {
			w.indent(depth)
		}
		first = false
		w.out.WriteString(f.name + ":")
		w.value(fv, f.shape, depth)
	}
	if first {
		w.out.WriteString("{}\n")
	}
}

// value writes what follows "name:", with the line end.
func (w *writer) value(v reflect.Value, sh *shape, depth int) {
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	switch sh.kind {
	case objectKind:
		w.out.WriteByte('\n')
		w.indent(depth + 1)
		w.object(v, sh, depth+1)
	case listKind:
		w.list(v, sh, depth)
	case mapKind:
		if sh.elem.kind == anyKind {
			w.payload(v.Interface())
			return
		}
		w.out.WriteByte('\n')
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, k := range keys {
			w.indent(depth + 1)
			w.text(k.String())
			w.out.WriteString(":\n")
			w.indent(depth + 2)
			w.object(v.MapIndex(k), sh.elem, depth+2)
		}
	default:
		w.out.WriteByte(' ')
		w.scalar(v, sh)
		w.out.WriteByte('\n')
	}
}

func (w *writer) list(v reflect.Value, sh *shape, depth int) {
	if sh.elem.kind != objectKind {
		w.out.WriteString(" [")
		for i := range v.Len() {
			if i > 0 {
				w.out.WriteString(", ")
			}
			w.scalar(v.Index(i), sh.elem)
		}
		w.out.WriteString("]\n")
		return
	}
	w.out.WriteByte('\n')
	for i := range v.Len() {
		w.indent(depth + 1)
		w.out.WriteString("- ")
		w.object(v.Index(i), sh.elem, depth+2)
	}
}

func (w *writer) scalar(v reflect.Value, sh *shape) {
	switch x := v.Interface().(type) {
	case time.Time:
		w.text(x.UTC().Format(time.RFC3339Nano))
	case juncture.Duration:
		w.out.WriteString(durationText(x))
	default:
		if sh.kind == textKind {
			w.text(v.String())
			return
		}
		b, err := json.Marshal(x)
		if err != nil {
			w.fail(err.Error())
		}
		w.out.Write(b)
	}
}

// durationText is Duration.String without the empty units: 24h, not 24h0m0s.
func durationText(d juncture.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// text writes a string plainly where it is a lower-case name that YAML cannot take for anything else.
func (w *writer) text(s string) {
	plain := s != "" && s[0] >= 'a' && s[0] <= 'z' && len(s) <= 64
	for _, c := range []byte(s) {
		plain = plain && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_')
	}
	switch s {
	case "null", "true", "false", "yes", "no", "on", "off", "y", "n":
		plain = false
	}
	if plain {
		w.out.WriteString(s)
		return
	}
	if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
		w.fail(fmt.Sprintf("the text %.40q", s))
	}
	w.out.WriteByte('"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			w.out.WriteByte('\\')
			w.out.WriteRune(c)
		case c == '\n':
			w.out.WriteString(`\n`)
		case c == '\t':
			w.out.WriteString(`\t`)
		case c < ' ' || c >= 0x7F && c < 0xA0 || c == 0x2028 || c == 0x2029 || c == 0xFEFF || c >= 0xFFFE && c <= 0xFFFF:
			fmt.Fprintf(&w.out, `\u%04X`, c)
		default:
			w.out.WriteRune(c)
		}
	}
	w.out.WriteByte('"')
}

// payload writes a value of JSON in flow style on the rest of the line.
func (w *writer) payload(v any) {
	b, err := json.Marshal(v)
	if err != nil {
		w.fail("a payload that is not JSON: " + err.Error())
		return
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var tree any
	if err := dec.Decode(&tree); err != nil {
		w.fail("a payload that is not JSON: " + err.Error())
		return
	}
	w.out.WriteByte(' ')
	w.flow(tree)
	w.out.WriteByte('\n')
}

func (w *writer) flow(v any) {
	switch v := v.(type) {
	case map[string]any:
		w.out.WriteByte('{')
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for i, k := range keys {
			if i > 0 {
				w.out.WriteString(", ")
			}
			if len(k) > 100 { // YAML takes a key for one only within 1,024 characters, unless it is announced
				w.out.WriteString("? ")
			}
			w.text(k)
			w.out.WriteString(": ")
			w.flow(v[k])
		}
		w.out.WriteByte('}')
	case []any:
		w.out.WriteByte('[')
		for i, x := range v {
			if i > 0 {
				w.out.WriteString(", ")
			}
			w.flow(x)
		}
		w.out.WriteByte(']')
	case string:
		w.text(v)
	case nil:
		w.out.WriteString("null")
	default: // json.Number, bool
		fmt.Fprint(&w.out, v)
	}
}

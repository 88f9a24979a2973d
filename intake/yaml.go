package intake

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/juncture/juncture"
	"gopkg.in/yaml.v3"
)

// read puts a node into v, which has the shape sh.
func (r *reader) read(n *yaml.Node, path string, sh *shape, v reflect.Value) {
	if r.reserved(n, path) {
		return
	}
	if sh.typ != v.Type() { // a pointer: *float64, *time.Time
		v.Set(reflect.New(sh.typ))
		v = v.Elem()
	}
	tag := n.ShortTag()
	switch sh.kind {
	case objectKind:
		if r.is(n, yaml.MappingNode, "!!map", path, sh) {
			r.object(n, path, sh, v)
		}
	case listKind:
		if !r.is(n, yaml.SequenceNode, "!!seq", path, sh) || len(n.Content) == 0 {
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
		for i, item := range n.Content {
			at := path + "[" + strconv.Itoa(i) + "]"
			r.at[at] = item
			r.read(item, at, sh.elem, v.Index(i))
		}
	case mapKind:
		if r.is(n, yaml.MappingNode, "!!map", path, sh) {
			r.mapping(n, path, sh, v)
		}
	case textKind:
		if r.is(n, yaml.ScalarNode, "!!str", path, sh) && r.printable(n, path) {
			v.SetString(n.Value)
		}
	case spelledKind:
		if n.Kind != yaml.ScalarNode || tag == "!!null" {
			r.mismatch(n, path, sh)
		} else {
			r.spelled(n, path, v)
		}
	case integerKind:
		if tag != "!!int" || n.Kind != yaml.ScalarNode {
			r.mismatch(n, path, sh)
		} else if i, err := strconv.ParseInt(n.Value, 10, 64); err != nil || v.OverflowInt(i) || !decimal(n.Value) {
			r.add(n, path, fmt.Sprintf("%.40s is not a whole number in decimal", n.Value), "write it such as 500")
		} else {
			v.SetInt(i)
		}
	case numberKind:
		if f, ok := r.number(n, path, sh); ok {
			v.SetFloat(f)
		}
	case boolKind:
		if r.is(n, yaml.ScalarNode, "!!bool", path, sh) {
			v.SetBool(strings.EqualFold(n.Value, "true"))
		}
	default:
		r.add(n, path, "this field cannot be written in a file", "delete it")
	}
}

// reserved refuses what YAML has and a store file has not.
func (r *reader) reserved(n *yaml.Node, path string) bool {
	switch {
	case n.Kind == yaml.AliasNode:
		r.add(n, path, "aliases are not supported", "write the value out")
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" && n.Value == "":
		r.add(n, path, "the value is missing", "write one, or delete the field")
	default:
		return false
	}
	return true
}

func (r *reader) is(n *yaml.Node, k yaml.Kind, tag, path string, sh *shape) bool {
	if n.Kind == k && n.ShortTag() == tag {
		return true
	}
	r.mismatch(n, path, sh)
	return false
}

// mismatch says what stands there, what should, and how to write it.
func (r *reader) mismatch(n *yaml.Node, path string, sh *shape) {
	var hint string
	scalar := n.Kind == yaml.ScalarNode && n.ShortTag() != "!!null"
	switch sh.kind {
	case textKind:
		if hint = "write text"; scalar {
			hint = fmt.Sprintf("write it in quotes: %.40q", n.Value)
		}
	case spelledKind:
		if hint = `write "90m", "24h" or "7d"`; sh.typ == reflect.TypeFor[time.Time]() {
			hint = timeHint
		}
	case listKind:
		if hint = "write [a, b]"; scalar {
			hint = fmt.Sprintf("write [%.40s]", n.Value)
		} else if n.Kind == yaml.MappingNode {
			hint = "begin each entry with a dash"
		}
	case objectKind:
		hint = "write its fields: " + strings.Join(sh.names(), ", ")
	case mapKind:
		hint = "write name: value"
	case boolKind:
		hint = "write true or false"
	default:
		hint = "write a number such as 0.05"
	}
	r.add(n, path, fmt.Sprintf("%s is not %s", describe(n), wantedYAML(sh.kind)), hint)
}

func wantedYAML(k kind) string {
	switch k {
	case objectKind, mapKind:
		return "a mapping"
	}
	return wanted[k]
}

func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!str":
		return fmt.Sprintf("the text %.40q", n.Value)
	case "!!null":
		return "null"
	case "!!int", "!!float":
		return fmt.Sprintf("the number %.40s", n.Value)
	case "!!timestamp":
		return fmt.Sprintf("the date %.40s", n.Value)
	case "!!bool":
		return n.Value
	}
	return fmt.Sprintf("%.40s with the tag %.40s", n.Value, n.ShortTag())
}

// pairs goes over the entries of a mapping whose keys are text, each once, and notes where they stand.
func (r *reader) pairs(n *yaml.Node, path string, visit func(key *yaml.Node, at string, value *yaml.Node)) {
	first := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str" {
			hint := "write text"
			if key.ShortTag() == "!!merge" {
				hint = "merging is not supported: write the fields out"
			} else if key.Kind == yaml.ScalarNode && key.ShortTag() != "!!null" {
				hint = fmt.Sprintf("write it in quotes: %.40q", key.Value)
			}
			r.add(key, path, describe(key)+" is not a field name", hint)
			continue
		}
		at := key.Value
		if path != "" {
			at = path + "." + key.Value
		}
		if line, ok := first[key.Value]; ok {
			r.add(key, at, fmt.Sprintf("%.40q is written twice, first in line %d", key.Value, line), "keep one of them")
			continue
		}
		first[key.Value] = key.Line
		r.at[at] = value
		if value.Kind != yaml.ScalarNode {
			r.at[at] = key
		}
		if r.printable(key, at) {
			visit(key, at, value)
		}
	}
}

func (r *reader) object(n *yaml.Node, path string, sh *shape, v reflect.Value) {
	r.pairs(n, path, func(key *yaml.Node, at string, value *yaml.Node) {
		i, ok := sh.byName[key.Value]
		if !ok {
			message, hint := unknownField(key.Value, sh.names())
			r.add(key, at, message, hint)
			return
		}
		r.read(value, at, sh.fields[i].shape, v.FieldByIndex(sh.fields[i].index))
	})
}

func (r *reader) mapping(n *yaml.Node, path string, sh *shape, v reflect.Value) {
	if len(n.Content) == 0 {
		return
	}
	m := reflect.MakeMap(v.Type())
	r.pairs(n, path, func(key *yaml.Node, at string, value *yaml.Node) {
		elem := reflect.New(v.Type().Elem()).Elem()
		if sh.elem.kind == anyKind {
			if x := r.payload(value, at, 2); x != nil {
				elem.Set(reflect.ValueOf(x))
			}
		} else {
			r.read(value, at, sh.elem, elem)
		}
		m.SetMapIndex(reflect.ValueOf(key.Value), elem)
	})
	v.Set(m)
}

// payload reads any value that JSON has.
func (r *reader) payload(n *yaml.Node, path string, depth int) any {
	if depth > maxPayloadDepth {
		r.add(n, path, fmt.Sprintf("nested deeper than %d", maxPayloadDepth), "write a flatter payload")
		return nil
	}
	tag := n.ShortTag()
	switch {
	case r.reserved(n, path):
	case n.Kind == yaml.MappingNode && tag == "!!map":
		m := map[string]any{}
		r.pairs(n, path, func(key *yaml.Node, at string, value *yaml.Node) { m[key.Value] = r.payload(value, at, depth+1) })
		return m
	case n.Kind == yaml.SequenceNode && tag == "!!seq":
		list := make([]any, len(n.Content))
		for i, item := range n.Content {
			list[i] = r.payload(item, path+"["+strconv.Itoa(i)+"]", depth+1)
		}
		return list
	case n.Kind != yaml.ScalarNode:
		r.add(n, path, fmt.Sprintf("the tag %.40s is not supported", tag), "delete it")
	case tag == "!!null":
	case tag == "!!str", tag == "!!timestamp": // JSON has no dates: the text as it stands
		r.printable(n, path)
		return n.Value
	case tag == "!!bool":
		return strings.EqualFold(n.Value, "true")
	case tag == "!!int", tag == "!!float":
		f, ok := r.number(n, path, &shape{kind: numberKind})
		if ok && strings.TrimLeft(n.Value, "+-0123456789") == "" &&
			strconv.FormatFloat(f, 'f', -1, 64) != strings.TrimPrefix(n.Value, "+") {
			r.add(n, path, fmt.Sprintf("%.40s would be rounded: JSON numbers are exact to 2^53", n.Value), fmt.Sprintf("write it in quotes: %.40q", n.Value))
		}
		return f
	default:
		r.add(n, path, fmt.Sprintf("the tag %.40s is not supported", tag), "delete it")
	}
	return nil
}

// number reads a finite decimal number.
func (r *reader) number(n *yaml.Node, path string, sh *shape) (float64, bool) {
	if tag := n.ShortTag(); n.Kind != yaml.ScalarNode || tag != "!!int" && tag != "!!float" {
		r.mismatch(n, path, sh)
		return 0, false
	}
	f, err := strconv.ParseFloat(n.Value, 64)
	if err != nil || math.IsInf(f, 0) || !decimal(n.Value) {
		r.add(n, path, fmt.Sprintf("%.40s is not a finite number in decimal", n.Value), "write a number such as 0.05")
		return 0, false
	}
	return f, true
}

// decimal refuses what YAML 1.1, YAML 1.2 and people read differently: 010, 0x10, 1_000, .inf.
func decimal(s string) bool {
	s = strings.TrimLeft(s, "+-")
	return strings.Trim(s, "0123456789.eE+-") == "" && !(len(s) > 1 && s[0] == '0' && isDigit(s[1]))
}

const timeHint = "write an RFC 3339 time such as 2026-11-20T09:30:00Z"

func (r *reader) spelled(n *yaml.Node, path string, v reflect.Value) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		at, err := time.Parse(time.RFC3339, n.Value)
		if err != nil {
			r.add(n, path, fmt.Sprintf("%.40q is not a time", n.Value), timeHint)
			return
		}
		v.Set(reflect.ValueOf(at.UTC()))
		return
	}
	u, ok := v.Addr().Interface().(interface{ UnmarshalText([]byte) error })
	if !ok {
		return
	}
	if err := u.UnmarshalText([]byte(n.Value)); err != nil {
		message, hint := err.Error(), ""
		if e, ok := errors.AsType[*juncture.Error](err); ok {
			message, hint = e.Message, e.Hint
		}
		r.add(n, path, message, hint)
	}
}

// printable refuses U+0000, which PostgreSQL cannot keep.
func (r *reader) printable(n *yaml.Node, path string) bool {
	if strings.ContainsRune(n.Value, 0) {
		r.add(n, path, "text holds the character U+0000", "leave it out")
		return false
	}
	return true
}

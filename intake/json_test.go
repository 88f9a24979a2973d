package intake

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/juncture/juncture"
	"pgregory.net/rapid"
)

type body struct {
	Surface    string            `json:"surface"`
	ShopperID  string            `json:"shopperId"`
	SessionID  string            `json:"sessionId"`
	Context    map[string]any    `json:"context"`
	Layers     bodyLayers        `json:"layers"`
	Candidates []string          `json:"candidates"`
	Explain    bool              `json:"explain"`
	Value      *float64          `json:"value"`
	Small      float32           `json:"small"`
	Count      int8              `json:"count"`
	OccurredAt *time.Time        `json:"occurredAt"`
	Window     juncture.Duration `json:"window"`
	Raw        json.RawMessage   `json:"raw"`
	Skipped    string            `json:"-"`
	hidden     string
}

type bodyLayers struct {
	Moment  string `json:"moment"`
	Meaning string `json:"meaning"`
}

func TestDecodeJSONAccepts(t *testing.T) {
	value := 12.5
	at := time.Date(2026, 11, 20, 9, 30, 0, 0, time.UTC)
	for _, c := range []struct {
		name, in string
		want     body
		warnings []string
	}{
		{"empty object", ` {} ` + "\n", body{}, nil},
		{"all", `{"surface":"home_hero","shopperId":"s\u00e9 \ud83d\ude00","context":{"a":1,"b":"x","c":true,"d":null},
			"layers":{"moment":"loyal._._"},"candidates":["a","b"],"explain":true,"value":12.5,"count":-128,
			"occurredAt":"2026-11-20T09:30:00Z","window":"7d","raw":{"any":[1,{"x":null}]}}`,
			body{Surface: "home_hero", ShopperID: "sé 😀", Context: map[string]any{"a": 1.0, "b": "x", "c": true, "d": nil},
				Layers: bodyLayers{Moment: "loyal._._"}, Candidates: []string{"a", "b"}, Explain: true, Value: &value, Count: -128,
				OccurredAt: &at, Window: juncture.Duration(7 * 24 * time.Hour), Raw: json.RawMessage(`{"any":[1,{"x":null}]}`)}, nil},
		{"null is left out", `{"surface":null,"value":null,"layers":null,"explain":null,"occurredAt":null}`, body{}, nil},
		{"escaped key", `{"\u0073urface":"a"}`, body{Surface: "a"}, nil},
		{"unknown fields", `{"surfaec":"a","x":{"y":[1]},"surface":"b"}`, body{Surface: "b"},
			[]string{`unknown field "surfaec" was ignored; did you mean "surface"?`, `unknown field "x" was ignored`}},
		{"deepest", `{"raw":[[[[[[[1]]]]]]]}`, body{Raw: json.RawMessage(`[[[[[[[1]]]]]]]`)}, nil},
		{"float32", `{"small":3.4e38}`, body{Small: 3.4e38}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, way := range []string{"function", "decoder"} {
				var got body
				var warnings []string
				var err error
				if way == "function" {
					warnings, err = DecodeJSON([]byte(c.in), &got, Options{Lenient: true, Limit: len(c.in)})
				} else {
					warnings, err = NewDecoder[body](Options{Lenient: true}).Decode([]byte(c.in), &got)
				}
				if err != nil {
					t.Fatalf("%s: %v", way, err)
				}
				if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(body{})) + cmp.Diff(c.warnings, warnings); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func TestDecodeJSONRefuses(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, c := range []struct{ in, field, message, hint string }{
		{``, "", "the body is empty", "send one JSON object"},
		{`  `, "", "the body is empty", "send one JSON object"},
		{`[]`, "", "the body is not a JSON object", "send one JSON object"},
		{`null`, "", "the body is not a JSON object", "send one JSON object"},
		{"\ufeff{}", "", "the body begins with a byte order mark", "send plain UTF-8"},
		{"{\"surface\":\"\xff\"}", "", "the body is not UTF-8", "send JSON in UTF-8"},
		{`{} {}`, "", "there is more after the end of the object, at byte 4", "send one JSON object"},
		{`{}x`, "", "there is more after the end of the object, at byte 3", "send one JSON object"},
		{`{`, "", "the JSON ends too early", "it needs a field name in double quotes"},
		{`{"surface"`, "", "the JSON ends too early", "it needs a colon"},
		{`{"surface":`, "surface", "the JSON ends too early", "it needs a value"},
		{`{"surface":"a`, "surface", "the JSON ends too early", "it needs a closing double quote"},
		{`{"surface":"a",}`, "surface", "not valid JSON at byte 16", "it needs no comma before }"},
		{`{"surface":"a" "b"}`, "surface", "not valid JSON at byte 16", "it needs a comma or }"},
		{`{surface:"a"}`, "", "not valid JSON at byte 2", "it needs a field name in double quotes"},
		{`{'surface':"a"}`, "", "not valid JSON at byte 2", "it needs a field name in double quotes"},
		{"{\"surface\":\"a\nb\"}", "surface", "not valid JSON at byte 14", `it needs control characters written as \n, \t or \u00XX`},
		{`{"surface":"\x"}`, "surface", "not valid JSON at byte 14", `it needs one of \" \\ \/ \b \f \n \r \t \uXXXX`},
		{`{"surface":"\u00g0"}`, "surface", "not valid JSON at byte 15", `it needs four hexadecimal digits after \u`},
		{`{"surface":"\ud83d"}`, "surface", "text holds half of a surrogate pair", `write both halves, such as \ud83d\ude00`},
		{`{"surface":"a\u0000"}`, "surface", "text holds the character U+0000", "leave it out"},
		{`{"surface":"a","surface":"b"}`, "surface", "surface is given twice", "send each field once"},
		{`{"surface":null,"\u0073urface":"b"}`, "surface", "surface is given twice", "send each field once"},
		{`{"context":{"a":1,"b":2,"a":3}}`, "context.a", "context.a is given twice", "send each field once"},
		{`{"raw":[{"a":{"x":1,"x":1}}]}`, "raw[0].a.x", "raw[0].a.x is given twice", "send each field once"},
		{`{"Surface":"a"}`, "Surface", `unknown field "Surface"`, `did you mean "surface"?`},
		{"{\"\u017furface\":\"a\"}", "ſurface", `unknown field "ſurface"`, `did you mean "surface"?`}, // long s folds to s
		{`{"layers":{"momnet":"a"}}`, "layers.momnet", `unknown field "momnet"`, `did you mean "moment"?`},
		{`{"layers":{"colour":"a"}}`, "layers.colour", `unknown field "colour"`, "one of moment, meaning"},
		{`{"surface":1}`, "surface", "surface must be text, not a number", "write it in double quotes"},
		{`{"surface":["a"]}`, "surface", "surface must be text, not a list", "write it in double quotes"},
		{`{"explain":"true"}`, "explain", "explain must be true or false, not text", "write it without quotes"},
		{`{"explain":0}`, "explain", "explain must be true or false, not a number", ""},
		{`{"value":"1"}`, "value", "value must be a number, not text", "write it without quotes"},
		{`{"value":true}`, "value", "value must be a number, not true", ""},
		{`{"candidates":"a"}`, "candidates", "candidates must be a list, not text", "write [...]"},
		{`{"candidates":["a",null]}`, "candidates[1]", "candidates[1] must be text, not null", "write it in double quotes"},
		{`{"layers":[]}`, "layers", "layers must be an object, not a list", "write {...}"},
		{`{"context":"a"}`, "context", "context must be an object, not text", "write {...}"},
		{`{"value":NaN}`, "value", "NaN and Infinity are not JSON", "send a finite number, or leave the field out"},
		{`{"context":{"a":-Infinity}}`, "context.a", "NaN and Infinity are not JSON", "send a finite number, or leave the field out"},
		{`{"value":1e999}`, "value", "value is out of range", "send a finite number"},
		{`{"small":4e38}`, "small", "small is out of range", "send a finite number"},
		{`{"context":{"a":-1e309}}`, "context.a", "context.a is out of range", "send a finite number"},
		{`{"value":` + strings.Repeat("9", 400) + `}`, "value", "value is out of range", "send a finite number"},
		{`{"count":128}`, "count", "count is out of range", ""},
		{`{"count":1.0}`, "count", "count must be a whole number", "write it without a point or exponent"},
		{`{"value":01}`, "value", "not valid JSON at byte 11", "it needs a number without leading zeros"},
		{`{"value":1.}`, "value", "not valid JSON at byte 12", "it needs a digit after the point"},
		{`{"value":1e}`, "value", "not valid JSON at byte 12", "it needs a digit in the exponent"},
		{`{"value":-}`, "value", "not valid JSON at byte 11", "it needs a digit"},
		{`{"value":+1}`, "value", "not valid JSON at byte 10", "it needs a value"},
		{`{"explain":tru}`, "explain", "not valid JSON at byte 12", "it needs a value"},
		{`{"explain":truex}`, "explain", "not valid JSON at byte 16", "it needs a comma or }"},
		{`{"occurredAt":"yesterday"}`, "occurredAt", "occurredAt is not a time", "write an RFC 3339 time such as 2026-11-20T09:30:00Z"},
		{`{"occurredAt":1700000000}`, "occurredAt", "occurredAt must be text, not a number", "write it in double quotes"},
		{`{"window":"7 days"}`, "window", `window: bad duration "7 days"`, `write "90m", "24h" or "7d"`},
		{`{"raw":` + deep(8) + `}`, "raw[0][0][0][0][0][0][0]", "nested deeper than 8", "send a flatter body"},
		{`{"raw":` + strings.Repeat("[", 60000), "raw[0][0][0][0][0][0][0]", "nested deeper than 8", "send a flatter body"},
	} {
		got := body{Surface: "untouched"}
		warnings, err := DecodeJSON([]byte(c.in), &got, Options{Lenient: true})
		e, ok := errors.AsType[*juncture.Error](err)
		if !ok {
			t.Errorf("%.60s: %v", c.in, err)
			continue
		}
		want := juncture.Error{Code: juncture.CodeInvalidRequest, Message: c.message, Hint: c.hint, Field: c.field}
		if diff := cmp.Diff(want, *e); diff != "" || warnings != nil || got.Surface != "untouched" {
			t.Errorf("%.60s: warnings %q\n%s", c.in, warnings, diff)
		}
	}
}

func TestDecodeJSONStrictAndCodes(t *testing.T) {
	var dst body
	_, err := DecodeJSON([]byte(`{"surfaces":"a"}`), &dst, Options{})
	if e, ok := errors.AsType[*juncture.Error](err); !ok || e.Field != "surfaces" || e.Hint != `did you mean "surface"?` {
		t.Errorf("strict: %#v", err)
	}
	codes := map[string]juncture.Code{"context": juncture.CodeInvalidContext}
	for in, want := range map[string]juncture.Code{
		`{"context":{"a":NaN}}`: juncture.CodeInvalidContext, `{"context":[]}`: juncture.CodeInvalidContext,
		`{"surface":1}`: juncture.CodeInvalidRequest, `{"context":{},"surface":1}`: juncture.CodeInvalidRequest,
	} {
		if _, err := DecodeJSON([]byte(in), &dst, Options{Codes: codes}); juncture.ErrorCode(err) != want {
			t.Errorf("%s: %v", in, err)
		}
	}
	if _, err := DecodeJSON([]byte(`{"surface":"a"}`), &dst, Options{Limit: 14}); juncture.ErrorCode(err) != juncture.CodeTooLarge {
		t.Errorf("15 bytes, limit 14: %v", err)
	}
	for _, dst := range []any{nil, body{}, (*body)(nil)} {
		if _, err := DecodeJSON([]byte(`{}`), dst, Options{}); juncture.ErrorCode(err) != juncture.CodeInternal {
			t.Errorf("dst %T: %v", dst, err)
		}
	}
	many := `{"k0":1`
	for i := range 5000 {
		many += fmt.Sprintf(`,"k%d":1`, i+1)
	}
	warnings, err := DecodeJSON([]byte(many+`}`), &dst, Options{Lenient: true})
	if err != nil || len(warnings) != maxWarnings+1 {
		t.Errorf("many unknown: %d warnings, %v", len(warnings), err)
	}
	if _, err := DecodeJSON([]byte(many+`,"k77":1}`), &dst, Options{Lenient: true}); juncture.ErrorCode(err) != juncture.CodeInvalidRequest {
		t.Errorf("a repeat among many: %v", err)
	}
}

func TestWideStruct(t *testing.T) { // more fields than a word has bits
	type wide struct {
		F [70]string `json:"-"`
		Embedded
		Late string `json:"late"`
	}
	var fields []reflect.StructField
	for i := range 70 {
		fields = append(fields, reflect.StructField{Name: fmt.Sprintf("F%d", i), Type: reflect.TypeFor[int](), Tag: reflect.StructTag(fmt.Sprintf(`json:"f%d"`, i))})
	}
	dst := reflect.New(reflect.StructOf(fields)).Interface()
	if _, err := DecodeJSON([]byte(`{"f1":1,"f69":2,"f68":3}`), dst, Options{}); err != nil {
		t.Error(err)
	}
	if _, err := DecodeJSON([]byte(`{"f69":1,"f69":2}`), dst, Options{}); juncture.ErrorCode(err) != juncture.CodeInvalidRequest {
		t.Errorf("twice: %v", err)
	}
	var w wide
	if _, err := DecodeJSON([]byte(`{"inner":"a","late":"b"}`), &w, Options{}); err != nil || w.Inner != "a" || w.Late != "b" {
		t.Errorf("embedded: %+v %v", w, err)
	}
}

type Embedded struct {
	Inner string `json:"inner"`
}

func TestReadBody(t *testing.T) {
	b, err := ReadBody(strings.NewReader("1234"), 4)
	if string(b) != "1234" || err != nil {
		t.Errorf("%q %v", b, err)
	}
	if _, err = ReadBody(strings.NewReader("12345"), 4); juncture.ErrorCode(err) != juncture.CodeTooLarge {
		t.Error(err)
	}
	if _, err = ReadBody(iotest.ErrReader(io.ErrUnexpectedEOF), 4); juncture.ErrorCode(err) != juncture.CodeInvalidRequest || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

func TestSplitItems(t *testing.T) {
	for _, c := range []struct {
		in    string
		items []string
		err   string
	}{
		{`{"items":[]}`, nil, ""},
		{` { "items" : [ {"a":1} , 7,"x",null, {"a":1,"a":2} ] } `, []string{`{"a":1}`, `7`, `"x"`, `null`, `{"a":1,"a":2}`}, ""},
		{`{"items":[{"v":1e999},{"s":"\ud800"},` + strings.Repeat("[", 20) + strings.Repeat("]", 20) + `]}`,
			[]string{`{"v":1e999}`, `{"s":"\ud800"}`, strings.Repeat("[", 20) + strings.Repeat("]", 20)}, ""},
		{`{"items":[1,2,3,4,5,6]}`, nil, "items TOO_LARGE: more than 5 items"},
		{`{}`, nil, "items INVALID_REQUEST: items is missing"},
		{`[]`, nil, " INVALID_REQUEST: the body is not a JSON object"},
		{`{"items":null}`, nil, "items INVALID_REQUEST: items must be a list"},
		{`{"items":{}}`, nil, "items INVALID_REQUEST: items must be a list"},
		{`{"items":[],"items":[]}`, nil, `items INVALID_REQUEST: "items" is given twice`},
		{`{"item":[]}`, nil, `item INVALID_REQUEST: unknown field "item"`},
		{`{"items":[],"x":1}`, nil, `x INVALID_REQUEST: unknown field "x"`},
		{`{"items":[{"a":1},{"a":]}`, nil, "items[1].a INVALID_REQUEST: not valid JSON at byte 24"},
		{`{"items":[{}`, nil, "items[0] INVALID_REQUEST: the JSON ends too early"},
		{`{"items":[]}]`, nil, " INVALID_REQUEST: there is more after the end of the object, at byte 13"},
		{`{"items":[` + strings.Repeat("[", 1000), nil, "items[0][0][0][0][0][0][0] INVALID_REQUEST: nested deeper than 256"},
	} {
		items, err := SplitItems([]byte(c.in), 5)
		if e, ok := errors.AsType[*juncture.Error](err); ok {
			if got := e.Field + " " + e.Error(); got != c.err {
				t.Errorf("%.60s: %q, want %q", c.in, got, c.err)
			}
			continue
		}
		var got []string
		for _, item := range items {
			got = append(got, string(item))
		}
		if diff := cmp.Diff(c.items, got); diff != "" || c.err != "" {
			t.Errorf("%.60s: %v %s", c.in, err, diff)
		}
	}
}

// What the scan lets through, encoding/json reads to the same value; what is plain JSON, the scan lets through.
func TestScanAgreesWithEncodingJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := map[string]any{"raw": anyJSON(t, 5), "context": map[string]any{"k": anyJSON(t, 5)}, "surface": printable(t)}
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var got body
		if _, err := DecodeJSON(b, &got, Options{}); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		var raw any
		if err := json.Unmarshal(got.Raw, &raw); err != nil && len(got.Raw) > 0 {
			t.Fatal(err)
		}
		if diff := cmp.Diff(v, map[string]any{"raw": raw, "context": got.Context, "surface": got.Surface}); diff != "" {
			t.Fatal(diff)
		}
	})
}

func printable(t *rapid.T) string {
	return strings.ReplaceAll(rapid.String().Draw(t, "text"), "\x00", "")
}

func anyJSON(t *rapid.T, depth int) any {
	most := 5
	if depth == 0 {
		most = 3
	}
	switch rapid.IntRange(0, most).Draw(t, "kind") {
	case 0:
		return nil
	case 1:
		return rapid.Bool().Draw(t, "bool")
	case 2:
		return rapid.Float64().Draw(t, "number")
	case 3:
		return printable(t)
	case 4:
		list := []any{}
		for range rapid.IntRange(0, 3).Draw(t, "n") {
			list = append(list, anyJSON(t, depth-1))
		}
		return list
	default:
		m := map[string]any{}
		for range rapid.IntRange(0, 20).Draw(t, "n") {
			m[printable(t)] = anyJSON(t, min(depth-1, 1))
		}
		return m
	}
}

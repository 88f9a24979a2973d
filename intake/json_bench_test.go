package intake

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/juncture/juncture"
)

func FuzzDecodeJSON(f *testing.F) {
	for _, seed := range []string{benchBody, `{}`, `{"items":[{"a":1},{"a":"\ud83d\ude00"}]}`, `{"value":1e999}`, `{"a":{"b":[1,2,{"c":null}]}}`,
		`{"surface":"a","Surface":"b"}`, `{"\u0073urface":1}`, `{"occurredAt":"2026-11-20T09:30:00+01:00","window":"7d"}`, "\xef\xbb\xbf{}", `{"count":-129}`} {
		f.Add([]byte(seed))
	}
	d := NewDecoder[body](Options{Lenient: true, Limit: MaxBody})
	f.Fuzz(func(t *testing.T, b []byte) {
		var got body
		_, err := d.Decode(b, &got)
		if err == nil {
			again, _ := json.Marshal(got)
			var back body
			if _, err := d.Decode(again, &back); err != nil {
				t.Fatalf("%q decodes, its own output %s does not: %v", b, again, err)
			}
		} else if e, ok := errors.AsType[*juncture.Error](err); !ok || e.Err != nil || e.Message == "" {
			t.Fatalf("%q: the scan let through what encoding/json refuses: %#v", b, err)
		}
		if err == nil && !json.Valid(b) {
			t.Fatalf("%q is not JSON", b)
		}
		items, err := SplitItems(b, 10)
		if err == nil {
			var want struct{ Items []json.RawMessage }
			if err := json.Unmarshal(b, &want); err != nil || len(want.Items) != len(items) {
				t.Fatalf("%q: %d items, encoding/json: %d, %v", b, len(items), len(want.Items), err)
			}
			for i := range items {
				if !bytes.Equal(items[i], want.Items[i]) {
					t.Fatalf("%q: item %d: %q, want %q", b, i, items[i], want.Items[i])
				}
			}
		}
	})
}

const benchBody = `{"surface":"home_hero","shopperId":"shopper-0000012345","sessionId":"sess-9f8e7d6c5b","context":{"page":"/sale","device":"mobile","visits":12,"logged_in":true},"layers":{"moment":"returning.cart-abandoned.considering","meaning":"high-end-fashionistas"},"candidates":["five_off","welcome"],"explain":false}`

func BenchmarkDecodeJSON(b *testing.B) {
	in := []byte(benchBody)
	d := NewDecoder[body](Options{Lenient: true, Limit: MaxBody})
	b.Run("decoder", func(b *testing.B) {
		b.SetBytes(int64(len(in)))
		b.ReportAllocs()
		for b.Loop() {
			var dst body
			if _, err := d.Decode(in, &dst); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("scan only", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s := scanner{b: in, lenient: true}
			if err := s.document(d.shape); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding json only", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var dst body
			if err := json.Unmarshal(in, &dst); err != nil {
				b.Fatal(err)
			}
		}
	})
	batch := []byte(`{"items":[` + strings.Repeat(benchBody+",", 499) + benchBody + `]}`)
	b.Run("split 500", func(b *testing.B) {
		b.SetBytes(int64(len(batch)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := SplitItems(batch, MaxItems); err != nil {
				b.Fatal(err)
			}
		}
	})
}

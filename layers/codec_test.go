package layers_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/layers"
)

func TestCodecRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := folded(anyEvents(t, rapid.IntRange(0, 150).Draw(t, "events"), allKinds(), anySpan(t)))
		var q layers.Profile
		if err := q.UnmarshalBinary(encoded(p)); err != nil {
			t.Fatal(err)
		}
		same(t, "read back", p, &q)
		if q.Shopper != p.Shopper || q.Counts != p.Counts || !q.FirstSeen().Equal(p.FirstSeen()) || !q.LastSeen().Equal(p.LastSeen()) {
			t.Fatalf("%+v became %+v", p, q)
		}
		e := juncture.Event{ID: "next", Kind: juncture.EventProductViewed, At: p.LastSeen().Add(time.Minute)}
		p.Fold(e)
		q.Fold(e)
		same(t, "read back and folded on", p, &q)
	})
}

// wild draws a text as the doors let it in: up to so many characters of any letters, so up to four times as many bytes.
func wild(t *rapid.T, most int, label string) string {
	return rapid.OneOf(rapid.StringOfN(rapid.SampledFrom([]rune("aé连𝔘 >'")), 0, most, -1), rapid.StringN(0, most, -1),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 4*most), func(b []byte) string { return string(b) }), // cut in the middle of a rune
		rapid.Map(rapid.SampledFrom([]string{"a", "é", "连", "𝔘"}), func(s string) string { return strings.Repeat(s, most) })).Draw(t, label)
}

// Whatever text comes in, what is written is read back, bit by bit.
func TestCodecReadsWhateverItWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		side := func() *layers.Profile {
			p := &layers.Profile{}
			for i := range rapid.IntRange(0, 12).Draw(t, "events") {
				e := juncture.Event{ID: wild(t, 256, "id"), Shopper: wild(t, 256, "shopper"), Session: wild(t, 256, "session"), Category: wild(t, 256, "category"), Order: wild(t, 256, "order"),
					Name: wild(t, 256, "name"), Query: wild(t, 256, "query"), Kind: juncture.EventKind(rapid.Byte().Draw(t, "kind")), Value: rapid.Int64().Draw(t, "value"),
					At: time.UnixMilli(rapid.Int64().Draw(t, "at"))}
				for range rapid.IntRange(0, 10).Draw(t, "lines") {
					e.Lines = append(e.Lines, juncture.Line{Product: wild(t, 256, "product"), Category: wild(t, 256, "its category"), Quantity: rapid.Int().Draw(t, "quantity"), Price: rapid.Int64().Draw(t, "price")})
				}
				if p.Fold(e); i == 0 && rapid.Bool().Draw(t, "named by the engine") {
					p.Shopper = e.Shopper // whole
				}
			}
			return p
		}
		p := side()
		if rapid.Bool().Draw(t, "merged") {
			m := layers.Merge(*p, *side())
			p = &m
		}
		b := encoded(p)
		var q layers.Profile
		if err := q.UnmarshalBinary(b); err != nil {
			t.Fatalf("%v: of shopper %q (%d bytes)", err, p.Shopper, len(p.Shopper))
		}
		if again := encoded(&q); !bytes.Equal(again, b) {
			t.Fatalf("read back as\n%x, was\n%x", again, b)
		}
		if len(p.Shopper) <= 1024 && q.Shopper != p.Shopper {
			t.Fatalf("shopper %q came back as %q", p.Shopper, q.Shopper)
		}
	})
}

// An id of 256 characters is up to 1,024 bytes, and the engine names the profile by it whole.
func TestCodecOfLongShoppers(t *testing.T) {
	for _, id := range []string{strings.Repeat("a", 256), strings.Repeat("连", 256), strings.Repeat("𝔘", 256), strings.Repeat("𝔘", 256) + "x", strings.Repeat("a", 5000)} {
		p := folded(ordinary(3))
		p.Shopper = id
		var q layers.Profile
		if err := q.UnmarshalBinary(encoded(p)); err != nil || len(id) <= 1024 && q.Shopper != id || len(q.Shopper) > 1024 {
			t.Errorf("%d bytes: %v, came back as %d", len(id), err, len(q.Shopper))
		}
	}
}

// A name that is cut is cut between letters: it is shown.
func TestNamesAreCutBetweenLetters(t *testing.T) {
	for n := 1; n < 80; n++ {
		p := folded([]juncture.Event{{ID: "1", Kind: juncture.EventListViewed, Category: strings.Repeat("a", n) + strings.Repeat("连", 40), At: day0()}})
		if got := p.Ring[0].Category; !utf8.ValidString(got) || len(got) > 64 {
			t.Errorf("%d: %q", n, got)
		}
	}
}

func TestCodecRefuses(t *testing.T) {
	p := folded(ordinary(100))
	good := encoded(p)
	for n := range good {
		var q layers.Profile
		if err := q.UnmarshalBinary(good[:n]); err == nil {
			t.Fatalf("%d of %d bytes are taken for a profile", n, len(good))
		}
	}
	for what, b := range map[string][]byte{"one byte too many": append(slices.Clone(good), 0), "another version": append([]byte{9}, good[1:]...)} {
		var q layers.Profile
		if err := q.UnmarshalBinary(b); err == nil {
			t.Errorf("%s is taken for a profile", what)
		}
	}
}

// testdata/profile-v1.hex is what version 1 wrote for ordinary(100): it kept no products beside the ring's. Its moment and
// trajectory are those of a profile folded now; its products are those of the last 64 events.
func TestCodecReadsVersion1(t *testing.T) {
	old := written(t, 1)
	var p layers.Profile
	if err := p.UnmarshalBinary(old); err != nil {
		t.Fatal(err)
	}
	want := folded(ordinary(100))
	if !bytes.Equal(head(&p), head(want)) || p.Counts != want.Counts || p.Shopper != want.Shopper || !p.FirstSeen().Equal(want.FirstSeen()) || !p.LastSeen().Equal(want.LastSeen()) {
		t.Errorf("%+v, folded now %+v", p, want)
	}
	ring := folded(ordinary(100)[100-layers.RingSize:])
	if !bytes.Equal(p.Goods.AppendBinary(nil), ring.Goods.AppendBinary(nil)) {
		t.Errorf("the products of the ring are %+v, read %+v", ring.Goods, p.Goods)
	}
	if again := encoded(&p); again[0] != 3 {
		t.Errorf("written again as version %d", again[0])
	}
	var q layers.Profile
	if err := q.UnmarshalBinary(encoded(&p)); err != nil || !bytes.Equal(encoded(&q), encoded(&p)) {
		t.Errorf("after another round: %v", err)
	}
	for n := range old {
		if err := q.UnmarshalBinary(old[:n]); err == nil {
			t.Fatalf("%d of %d bytes are taken for a profile", n, len(old))
		}
	}
}

// testdata/profile-v2.hex is what version 2 wrote for ordinary(100): it kept no source of a visit, and ordinary has none.
func TestCodecReadsVersion2(t *testing.T) {
	var p layers.Profile
	if err := p.UnmarshalBinary(written(t, 2)); err != nil {
		t.Fatal(err)
	}
	if want := folded(ordinary(100)); !bytes.Equal(encoded(&p), encoded(want)) || !bytes.Equal(head(&p), head(want)) {
		t.Errorf("%+v, folded now %+v", p, want)
	}
}

func written(t testing.TB, version byte) []byte {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("testdata/profile-v%d.hex", version))
	if err != nil {
		t.Fatal(err)
	}
	b, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || b[0] != version {
		t.Fatal(err, b[:min(len(b), 1)])
	}
	return b
}

// What is decoded is a profile: it can be read, folded on and encoded again, and is no larger than one may be.
func FuzzProfile(f *testing.F) {
	f.Add([]byte{})
	for _, n := range []int{0, 1, 10, 64, 200} {
		f.Add(encoded(folded(ordinary(n))))
	}
	f.Add(written(f, 1))
	f.Add(written(f, 2))
	f.Fuzz(func(t *testing.T, b []byte) {
		var p layers.Profile
		if err := p.UnmarshalBinary(b); err != nil {
			return
		}
		for _, at := range []time.Time{{}, day0(), p.LastSeen().AddDate(1, 0, 0)} {
			for _, v := range layers.Describe(&p, at, layers.Settings{}, layers.Knowledge{}).Views {
				if !juncture.ValidLayerValue(v.Value) || !(v.Confidence >= 0 && v.Confidence <= 1) {
					t.Fatalf("%+v", v)
				}
			}
		}
		again := encoded(&p)
		var q layers.Profile
		if err := q.UnmarshalBinary(again); err != nil {
			t.Fatalf("what was encoded is not read: %v", err)
		}
		if !bytes.Equal(encoded(&q), again) || p.Size() > layers.MaxProfileBytes {
			t.Fatalf("%d bytes; encoded twice: equal %v", p.Size(), bytes.Equal(encoded(&q), again))
		}
		if real := inMemory(&p); p.Size() < real {
			t.Fatalf("Size says %d, it holds %d", p.Size(), real)
		}
		for i := range 3 {
			q.Fold(juncture.Event{ID: fmt.Sprint("f", i), Kind: juncture.EventKind(4 + 5*i), At: day0(), Order: "o"})
		}
		m := layers.Merge(p, q)
		if m.Size() > layers.MaxProfileBytes {
			t.Fatalf("merged: %d bytes", m.Size())
		}
	})
}

// ordinary is a shopper who comes every other day, looks at some products and now and then buys one.
func ordinary(n int) []juncture.Event {
	out := make([]juncture.Event, n)
	for i := range out {
		visit := i / 8
		e := juncture.Event{ID: fmt.Sprintf("0192f3a1-7c5e-7000-8000-%012d", i), Shopper: "shopper-17", Session: fmt.Sprintf("session-%d", visit),
			At: day0().AddDate(0, 0, 2*visit).Add(time.Duration(i%8) * time.Minute), Kind: juncture.EventProductViewed}
		switch i % 8 {
		case 0:
			e.Kind = juncture.EventListViewed
		case 5:
			e.Kind = juncture.EventProductAdded
		case 6:
			e.Kind = juncture.EventCheckoutStarted
		case 7:
			e.Kind, e.Order, e.Value = juncture.EventOrderCompleted, fmt.Sprint("order-", visit), 4900
		}
		product := fmt.Sprint("product-", i*31%97)
		e.Category = fmt.Sprint("category-", i*31%97%7)
		e.Lines = []juncture.Line{{Product: product, Category: e.Category, Quantity: 1, Price: 4900}}
		out[i] = e
	}
	return out
}

func BenchmarkProfile(b *testing.B) {
	for _, n := range []int{8, 64, 500} {
		events := ordinary(n)
		p := folded(events)
		b.Run(fmt.Sprintf("fold-in-order/after-%d", n), func(b *testing.B) {
			b.ReportAllocs()
			more := ordinary(n + 4096)[n:]
			q := p.Clone()
			for i := 0; b.Loop(); i++ {
				if i%len(more) == 0 {
					b.StopTimer()
					q = p.Clone()
					b.StartTimer()
				}
				q.Fold(more[i%len(more)])
			}
		})
		b.Run(fmt.Sprintf("encode/after-%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				encoded(p)
			}
			b.ReportMetric(float64(len(encoded(p))), "encoded-B")
			b.ReportMetric(float64(p.Size()), "memory-B")
		})
		b.Run(fmt.Sprintf("decode/after-%d", n), func(b *testing.B) {
			b.ReportAllocs()
			data := encoded(p)
			for b.Loop() {
				var q layers.Profile
				if err := q.UnmarshalBinary(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	events := ordinary(200)
	b.Run("fold-late", func(b *testing.B) { // the worst: the oldest of a full ring
		b.ReportAllocs()
		p := folded(events)
		q := p.Clone()
		for i := 0; b.Loop(); i++ {
			e := events[140]
			e.ID = fmt.Sprint("late-", i)
			q.Fold(e)
		}
	})
	b.Run("merge", func(b *testing.B) {
		b.ReportAllocs()
		x, y := folded(events[:100]), folded(events[100:])
		for b.Loop() {
			layers.Merge(*x, *y)
		}
	})
}

package layers_test

import (
	"bytes"
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"pgregory.net/rapid"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/layers"
)

// anyEvents draws so many events of those kinds within a span, in order of time, with unique ids, about few sessions,
// products and orders, so that they meet.
func anyEvents(t *rapid.T, n int, kinds []juncture.EventKind, span time.Duration) []juncture.Event {
	out := make([]juncture.Event, n)
	for i := range out {
		e := juncture.Event{ID: fmt.Sprintf("e%04d", i), Shopper: "ada", Kind: rapid.SampledFrom(kinds).Draw(t, "kind"),
			At: day0().Add(time.Duration(rapid.Int64Range(0, span.Milliseconds()).Draw(t, "at")) * time.Millisecond)}
		if rapid.Bool().Draw(t, "has a session") {
			e.Session = rapid.SampledFrom([]string{"s1", "s2"}).Draw(t, "session")
		}
		e.Source = rapid.SampledFrom([]string{"", "", "mail", "search / cpc"}).Draw(t, "source")
		for range rapid.IntRange(0, 2).Draw(t, "lines") {
			product := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "product")
			e.Lines = append(e.Lines, juncture.Line{Product: product, Category: "of-" + product, Quantity: rapid.IntRange(0, 3).Draw(t, "quantity")})
		}
		switch e.Kind { // products enough for the lists of Goods to run over
		case juncture.EventProductViewed, juncture.EventOrderCompleted:
			for range rapid.IntRange(0, 12).Draw(t, "more lines") {
				e.Lines = append(e.Lines, juncture.Line{Product: fmt.Sprint("a product with an id longer than is kept of one, as some stores have ", rapid.IntRange(0, 999).Draw(t, "number")), Quantity: 1})
			}
		}
		switch e.Kind {
		case juncture.EventOrderCompleted, juncture.EventOrderCancelled, juncture.EventOrderRefunded:
			e.Order = fmt.Sprint("o", rapid.IntRange(0, 19).Draw(t, "order"))
			e.Value = rapid.Int64Range(0, 100).Draw(t, "value")
		}
		out[i] = e
	}
	slices.SortStableFunc(out, func(a, b juncture.Event) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) })
	return out
}

func allKinds() []juncture.EventKind {
	var out []juncture.EventKind
	for k := range juncture.EventCartEmptied + 2 { // one that this version does not know
		out = append(out, k)
	}
	return out
}

// same compares two profiles bit by bit: Base, Goods and ring by their encoding, Head by its.
func same(t *rapid.T, what string, a, b *layers.Profile) {
	t.Helper()
	if !bytes.Equal(a.Goods.AppendBinary(nil), b.Goods.AppendBinary(nil)) {
		t.Fatalf("%s: other Goods: %+v and %+v", what, a.Goods, b.Goods)
	}
	if !bytes.Equal(encoded(a), encoded(b)) {
		t.Fatalf("%s: another Base or ring", what)
	}
	if !bytes.Equal(head(a), head(b)) {
		t.Fatalf("%s: another Head: %+v and %+v", what, layers.Describe(a, a.LastSeen(), layers.Settings{}, layers.Knowledge{}).Views, layers.Describe(b, b.LastSeen(), layers.Settings{}, layers.Knowledge{}).Views)
	}
}

func encoded(p *layers.Profile) []byte {
	b, err := p.MarshalBinary()
	if err != nil {
		panic(err)
	}
	return b
}

func head(p *layers.Profile) []byte {
	return p.Head.Trajectory.AppendBinary(p.Head.Moment.AppendBinary(nil))
}

func anySpan(t *rapid.T) time.Duration {
	return rapid.SampledFrom([]time.Duration{2 * time.Hour, 48 * time.Hour, 90 * 24 * time.Hour}).Draw(t, "span")
}

// Whatever a ring's worth of events is, it may come in any order and be taken for any two shoppers.
func TestAnyOrderAndAnySplit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kinds := rapid.SliceOfN(rapid.SampledFrom(allKinds()), 1, 8).Draw(t, "kinds")
		events := anyEvents(t, rapid.IntRange(0, layers.RingSize).Draw(t, "events"), kinds, anySpan(t))
		want := folded(events)
		same(t, "shuffled", want, folded(rapid.Permutation(events).Draw(t, "order")))
		a, b := halves(t, events)
		ab, ba := layers.Merge(*folded(a), *folded(b)), layers.Merge(*folded(b), *folded(a))
		same(t, "merged", want, &ab)
		same(t, "merged the other way", &ab, &ba)
		again := layers.Merge(*want, *folded(a)) // what is in both rings counts once
		same(t, "merged with a part of itself", want, &again)
		twice := folded(append(slices.Clone(events), events...))
		same(t, "sent twice", want, twice)
	})
}

func halves(t *rapid.T, events []juncture.Event) (a, b []juncture.Event) {
	for _, e := range events {
		if rapid.Bool().Draw(t, "side") {
			a = append(a, e)
		} else {
			b = append(b, e)
		}
	}
	return a, b
}

// Longer histories too may come in any order, by as much as they last, as long as the lists of a State do not run over:
// here 20 orders, sessions of two ids, carts that are cleared now and then.
func TestLongHistoriesInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := anyEvents(t, rapid.IntRange(layers.RingSize+1, 200).Draw(t, "events"), allKinds(), anySpan(t))
		want := folded(events)
		same(t, "shuffled", want, folded(rapid.Permutation(events).Draw(t, "order")))
		a, b := halves(t, events)
		ab, ba := layers.Merge(*folded(a), *folded(b)), layers.Merge(*folded(b), *folded(a))
		same(t, "merged", want, &ab)
		same(t, "merged the other way", &ab, &ba)
	})
}

// An event that comes late by fewer events than the ring holds takes its place, whatever the history.
func TestLateEventsTakeTheirPlace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kinds := rapid.SliceOfN(rapid.SampledFrom(allKinds()), 1, 8).Draw(t, "kinds")
		events := anyEvents(t, rapid.IntRange(0, 300).Draw(t, "events"), kinds, anySpan(t))
		for i := range events { // one order each: what a 33rd order's refund is of is not kept
			events[i].Order = events[i].ID
		}
		late := slices.Clone(events)
		for from := 0; from < len(late); from += layers.RingSize {
			to := min(from+layers.RingSize, len(late))
			copy(late[from:to], rapid.Permutation(late[from:to]).Draw(t, "block"))
		}
		same(t, "late", folded(events), folded(late))
	})
}

// Time alone lets intent fade and never brings it back; reading changes nothing.
func TestTimeOnlyFades(t *testing.T) {
	rank := map[string]int{"_": -1, "low": 0, "fading": 1, "building": 2, "high": 2, "none": 0, "falling": 1, "steady": 2, "rising": 3}
	rapid.Check(t, func(t *rapid.T) {
		p := folded(anyEvents(t, rapid.IntRange(1, 60).Draw(t, "events"), allKinds(), anySpan(t)))
		before := head(p)
		latent, live, value := 9, 9, ""
		at := p.LastSeen()
		for range 200 {
			d := layers.Describe(p, at, layers.Settings{}, layers.Knowledge{})
			x := d.Intersection
			l, v := rank[x.Axis(juncture.Trajectory, 0)], rank[x.Axis(juncture.Trajectory, 1)]
			if l > latent || v > live {
				t.Fatalf("%v: from %s to %s by time alone", at, value, x[juncture.Trajectory])
			}
			latent, live, value = l, v, x[juncture.Trajectory]
			for _, view := range d.Views {
				if view.Confidence < 0 || view.Confidence > 1 || view.Reason == "" || !juncture.ValidLayerValue(view.Value) {
					t.Fatalf("%+v", view)
				}
			}
			at = at.Add(time.Duration(rapid.Int64Range(0, int64(5*24*time.Hour)).Draw(t, "later")))
		}
		if !bytes.Equal(before, head(p)) {
			t.Fatal("reading changed the profile")
		}
	})
}

// However many events, in whatever order and however split, Goods are what the last event of each product says: exact
// where the states' lists run over, and where events are repeated long after they left the ring.
func TestGoodsInAnyOrder(t *testing.T) {
	kinds := []juncture.EventKind{juncture.EventProductViewed, juncture.EventProductDetail, juncture.EventWishlisted, juncture.EventProductAdded, juncture.EventProductRemoved,
		juncture.EventCartEmptied, juncture.EventOrderCompleted}
	rapid.Check(t, func(t *rapid.T) {
		events := anyEvents(t, rapid.IntRange(0, 400).Draw(t, "events"), kinds, anySpan(t))
		goods := func(p *layers.Profile) []byte { return p.Goods.AppendBinary(nil) }
		want := goods(folded(events))
		shuffled := rapid.Permutation(events).Draw(t, "order")
		if !bytes.Equal(goods(folded(shuffled)), want) {
			t.Fatal("another order gives other goods")
		}
		if !bytes.Equal(goods(folded(slices.Concat(shuffled, events))), want) {
			t.Fatal("twice the events give other goods")
		}
		a, b := halves(t, shuffled)
		x, y := folded(a), folded(b)
		xy, yx := layers.Merge(*x, *y), layers.Merge(*y, *x)
		if !bytes.Equal(goods(&xy), want) || !bytes.Equal(goods(&yx), want) {
			t.Fatal("another split gives other goods")
		}
		c, d := halves(t, b)
		z := layers.Merge(*folded(c), *x)
		if z = layers.Merge(z, *folded(d)); !bytes.Equal(goods(&z), want) {
			t.Fatal("merging three is not merging two")
		}
	})
}

// However long and wild the stream, the profile stays within its bound.
func TestSizeIsBounded(t *testing.T) {
	if got := unsafe.Sizeof(layers.Profile{}); got > 2048 {
		t.Errorf("a Profile is %d bytes, more than Size takes it for", got)
	}
	if got := reflect.TypeFor[layers.Recent]().Size(); got > 128 {
		t.Errorf("a Recent is %d bytes, more than Size takes it for", got)
	}
	if got := unsafe.Sizeof(juncture.Line{}); got > 48 {
		t.Errorf("a Line is %d bytes, more than Size takes it for", got)
	}
	for name, shuffle := range map[string]func(i int) int{"in order": func(i int) int { return i }, "in reverse": func(i int) int { return 6_000 - i }, "any order": func(i int) int { return i * 7919 % 20011 }} {
		p := &layers.Profile{}
		most, mostEncoded := 0, 0
		for i := range 6_000 {
			at := shuffle(i)
			long := func(what string) string { return fmt.Sprint(what, at, strings.Repeat("x", 300)) }
			e := juncture.Event{ID: long("id"), Shopper: long("shopper"), Session: long("session"), Name: long("name"), Query: long("query"), Category: long("category"),
				Order: long("order"), Source: long("source"), Value: 1<<62 - int64(i), Kind: juncture.EventKind(i % 23), At: day0().Add(time.Duration(at) * 31 * time.Minute)}
			for j := range juncture.MaxLines {
				e.Lines = append(e.Lines, juncture.Line{Product: long(fmt.Sprint("p", j)), Category: long(fmt.Sprint("c", j)), Quantity: 1 << 40, Price: 1 << 60})
			}
			p.Fold(e)
			most = max(most, p.Size())
			if i%100 == 0 {
				mostEncoded = max(mostEncoded, len(encoded(p)))
				if real := inMemory(p); p.Size() < real {
					t.Fatalf("%s: Size says %d, it holds %d", name, p.Size(), real)
				}
			}
		}
		if most > layers.MaxProfileBytes || mostEncoded > layers.MaxProfileBytes {
			t.Errorf("%s: %d bytes in memory and %d encoded; the bound is %d", name, most, mostEncoded, layers.MaxProfileBytes)
		}
		q := layers.Merge(*p, *folded(ordinary(500)))
		if q.Size() > layers.MaxProfileBytes || q.Size() < inMemory(&q) {
			t.Errorf("%s, merged: Size says %d, it holds %d", name, q.Size(), inMemory(&q))
		}
		t.Logf("adversarial, %s: %d bytes in memory, %d encoded", name, most, mostEncoded)
	}
}

// Times that no calendar holds are cut, and leave a profile that can be stored.
func TestWildTimes(t *testing.T) {
	p := &layers.Profile{}
	for i, at := range []time.Time{{}, time.Unix(-1<<40, 0), time.Unix(1<<50, 0), day0()} {
		for k := range juncture.EventCartEmptied + 1 {
			p.Fold(juncture.Event{ID: fmt.Sprint(i, "-", k), Kind: k, At: at, Order: fmt.Sprint(i), Lines: []juncture.Line{{Product: fmt.Sprint("p", i)}}})
		}
	}
	var q layers.Profile
	if err := q.UnmarshalBinary(encoded(p)); err != nil || !bytes.Equal(encoded(&q), encoded(p)) {
		t.Errorf("%v", err)
	}
	for _, s := range slices.Concat(p.Goods.Viewed, p.Goods.Bag, p.Goods.Bought) {
		if s.At < 0 || s.At > time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC).UnixMilli() {
			t.Errorf("a product seen at %d", s.At)
		}
	}
}

// inMemory is what a profile holds: its struct, its lists with their spare room, and every text once for each place that
// holds it.
func inMemory(p *layers.Profile) int {
	var of func(v reflect.Value) int
	of = func(v reflect.Value) int { // beside the value's own bytes
		n := 0
		switch v.Kind() {
		case reflect.String:
			return v.Len()
		case reflect.Slice:
			n = v.Cap() * int(v.Type().Elem().Size())
			for i := range v.Len() {
				n += of(v.Index(i))
			}
		case reflect.Array:
			for i := range v.Len() {
				n += of(v.Index(i))
			}
		case reflect.Struct:
			for i := range v.NumField() {
				n += of(v.Field(i))
			}
		case reflect.Map, reflect.Pointer, reflect.Interface, reflect.Chan, reflect.Func:
			panic("a profile holds a " + v.Kind().String() + ", which Size does not count")
		}
		return n
	}
	return int(unsafe.Sizeof(*p)) + of(reflect.ValueOf(p).Elem())
}

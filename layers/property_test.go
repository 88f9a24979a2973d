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
		for range rapid.IntRange(0, 2).Draw(t, "lines") {
			product := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "product")
			e.Lines = append(e.Lines, juncture.Line{Product: product, Category: "of-" + product, Quantity: rapid.IntRange(0, 3).Draw(t, "quantity")})
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

// same compares two profiles bit by bit: Base and ring by their encoding, Head by its.
func same(t *rapid.T, what string, a, b *layers.Profile) {
	t.Helper()
	if !bytes.Equal(encoded(a), encoded(b)) {
		t.Fatalf("%s: another Base or ring", what)
	}
	if !bytes.Equal(head(a), head(b)) {
		t.Fatalf("%s: another Head: %+v and %+v", what, layers.Describe(a, a.LastSeen(), layers.Settings{}).Views, layers.Describe(b, b.LastSeen(), layers.Settings{}).Views)
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
			d := layers.Describe(p, at, layers.Settings{})
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

// However long and wild the stream, the profile stays within its bound.
func TestSizeIsBounded(t *testing.T) {
	if got := unsafe.Sizeof(layers.Profile{}); got > 2048 {
		t.Errorf("a Profile is %d bytes, more than Size takes it for", got)
	}
	if got := reflect.TypeFor[layers.Recent]().Size(); got > 112 {
		t.Errorf("a Recent is %d bytes, more than Size takes it for", got)
	}
	if got := unsafe.Sizeof(juncture.Line{}); got > 48 {
		t.Errorf("a Line is %d bytes, more than Size takes it for", got)
	}
	p := &layers.Profile{}
	most, mostEncoded := 0, 0
	for i := range 20_000 {
		long := func(what string) string { return fmt.Sprint(what, i*7919%20011, strings.Repeat("x", 300)) }
		e := juncture.Event{ID: long("id"), Shopper: long("shopper"), Session: long("session"), Name: long("name"), Query: long("query"), Category: long("category"),
			Order: long("order"), Value: 1<<62 - int64(i), Kind: juncture.EventKind(i % 23), At: day0().Add(time.Duration(i*7919%20011) * 31 * time.Minute)}
		for j := range juncture.MaxLines {
			e.Lines = append(e.Lines, juncture.Line{Product: long(fmt.Sprint("p", j)), Category: long(fmt.Sprint("c", j)), Quantity: 1 << 40, Price: 1 << 60})
		}
		p.Fold(e)
		most = max(most, p.Size())
		if i%100 == 0 {
			mostEncoded = max(mostEncoded, len(encoded(p)))
		}
	}
	if most > layers.MaxProfileBytes || mostEncoded > layers.MaxProfileBytes {
		t.Errorf("%d bytes in memory and %d encoded; the bound is %d", most, mostEncoded, layers.MaxProfileBytes)
	}
	t.Logf("adversarial: %d bytes in memory, %d encoded", most, mostEncoded)
}

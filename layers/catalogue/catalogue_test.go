package catalogue_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/juncture/juncture"
	"github.com/juncture/juncture/layers/catalogue"
	"pgregory.net/rapid"
)

var t0 = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func event(kind juncture.EventKind, at time.Time, ids ...string) *juncture.Event {
	e := &juncture.Event{Kind: kind, At: at}
	for _, id := range ids {
		e.Lines = append(e.Lines, juncture.Line{Product: id, Category: categoryOf(id), Quantity: 1})
	}
	return e
}

// categoryOf: ids are a letter for the category and a number.
func categoryOf(id string) string {
	return map[byte]string{'s': "shirts", 't': "ties", 'd': "dresses", 'h': "Hats & Caps"}[id[0]]
}

func nowhere(string) (*juncture.Product, bool) { return nil, false }

func index(t testing.TB, ids ...string) *catalogue.Index {
	t.Helper()
	x := catalogue.NewIndex(0)
	for i, id := range ids {
		if err := x.Put(juncture.Product{ID: id, Title: "the " + id, Category: categoryOf(id), Price: 1000, Stock: 5, Created: t0.Add(-time.Duration(i) * time.Hour)}); err != nil {
			t.Fatal(err)
		}
	}
	return x
}

func TestFocus(t *testing.T) {
	const view, add, order = juncture.EventProductViewed, juncture.EventProductAdded, juncture.EventOrderCompleted
	hour := func(n int) time.Time { return t0.Add(time.Duration(n) * time.Hour) }
	for _, c := range []struct {
		what   string
		events []*juncture.Event
		now    time.Time
		want   string
	}{
		{"nothing", nil, t0, "_"},
		{"one view", []*juncture.Event{event(view, t0, "s1")}, t0, "shirts"},
		{"the category is a slug", []*juncture.Event{event(view, t0, "h1")}, t0, "hats-caps"},
		{"a bag beats two views", []*juncture.Event{event(view, t0, "s1"), event(view, hour(1), "s2"), event(add, hour(2), "d1")}, hour(3), "dresses"},
		{"in turn: the first held", []*juncture.Event{event(view, t0, "s1"), event(view, hour(1), "d1"), event(view, hour(2), "s2"), event(view, hour(3), "d2")}, hour(4), "shirts"},
		{"faded after three months", []*juncture.Event{event(view, t0, "s1")}, t0.Add(90 * 24 * time.Hour), "_"},
		{"spread over too many", []*juncture.Event{event(order, t0, "s1", "t1", "d1", "h1")}, hour(24 * 20), "_"},
		{"a list", []*juncture.Event{{Kind: juncture.EventListViewed, At: t0, Category: "home > kitchen > pans"}}, t0, "kitchen-pans"},
	} {
		var s catalogue.State
		for _, e := range c.events {
			s.Fold(e, nowhere, catalogue.Settings{})
		}
		v := s.Focus(c.now, catalogue.Settings{})
		if v.Value != c.want || v.Reason == "" || !juncture.ValidLayerValue(v.Value) || (v.Confidence > 0) != (c.want != "_") || v.Confidence > 1 {
			t.Errorf("%s: %+v, want %s", c.what, v, c.want)
		}
	}
}

func TestBag(t *testing.T) {
	const add, remove, order, empty = juncture.EventProductAdded, juncture.EventProductRemoved, juncture.EventOrderCompleted, juncture.EventCartEmptied
	at := func(n int) time.Time { return t0.Add(time.Duration(n) * time.Minute) }
	for _, c := range []struct {
		what   string
		events []*juncture.Event
		want   string
	}{
		{"two in", []*juncture.Event{event(add, at(1), "s1"), event(add, at(2), "t1")}, "t1 s1"},
		{"one out again", []*juncture.Event{event(add, at(1), "s1"), event(add, at(2), "t1"), event(remove, at(3), "s1")}, "t1"},
		{"ordered", []*juncture.Event{event(add, at(1), "s1"), event(order, at(2), "s1")}, ""},
		{"emptied and begun anew", []*juncture.Event{event(add, at(1), "s1"), event(empty, at(2)), event(add, at(3), "d1")}, "d1"},
	} {
		for _, backwards := range []bool{false, true} {
			es := slices.Clone(c.events)
			if backwards {
				slices.Reverse(es)
			}
			var s catalogue.State
			for _, e := range es {
				s.Fold(e, nowhere, catalogue.Settings{})
			}
			x := index(t, "s1", "t1", "d1")
			var got []string
			for _, b := range s.InBag() {
				p, _ := x.ByKey(b.Key)
				got = append(got, p.ID)
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("%s, backwards %v: %v", c.what, backwards, got)
			}
		}
	}
}

// drawn events of a shopper.
func drawn(t *rapid.T, label string) []*juncture.Event {
	kinds := []juncture.EventKind{juncture.EventProductViewed, juncture.EventProductAdded, juncture.EventProductRemoved, juncture.EventOrderCompleted, juncture.EventCartEmptied}
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) *juncture.Event {
		e := event(rapid.SampledFrom(kinds).Draw(t, "kind"), t0.Add(time.Duration(rapid.IntRange(0, 50000).Draw(t, "minute"))*time.Minute))
		for range rapid.IntRange(0, 5).Draw(t, "lines") {
			id := fmt.Sprint(rapid.SampledFrom([]string{"s", "t", "d", "h"}).Draw(t, "category"), rapid.IntRange(0, 99).Draw(t, "number"))
			e.Lines = append(e.Lines, juncture.Line{Product: id, Category: fmt.Sprint(categoryOf(id), rapid.IntRange(0, 3).Draw(t, "sort"))})
		}
		return e
	}), 0, 30).Draw(t, label)
}

func TestStateCommutesAndIsBounded(t *testing.T) {
	set := catalogue.Settings{Viewed: 5, Bought: 7, Bag: 6}
	fold := func(es []*juncture.Event) *catalogue.State {
		s := &catalogue.State{}
		for _, e := range es {
			s.Fold(e, nowhere, set)
		}
		return s
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawn(t, "a"), drawn(t, "b")
		x, y := fold(a), fold(b)
		ab, ba := catalogue.Merge(x, y, set), catalogue.Merge(y, x, set)
		if !bytes.Equal(ab.AppendBinary(nil), ba.AppendBinary(nil)) {
			t.Fatalf("merging does not commute: %s", cmp.Diff(ab, ba))
		}
		both := slices.Concat(a, b)
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "order"), 0))
		rng.Shuffle(len(both), func(i, j int) { both[i], both[j] = both[j], both[i] })
		whole := fold(both)
		if d := cmp.Diff([][]catalogue.Seen{whole.Viewed, whole.Bag, whole.Bought}, [][]catalogue.Seen{ab.Viewed, ab.Bag, ab.Bought}); d != "" || whole.Cleared != ab.Cleared {
			t.Fatalf("another order gives another state: %s", d)
		}
		if len(whole.Categories) > 16 || len(whole.Viewed) > 5 || len(whole.Bag) > 6 || len(whole.Bought) > 7 {
			t.Fatalf("unbounded: %+v", whole)
		}
		back, rest, err := catalogue.DecodeState(whole.AppendBinary(nil))
		if err != nil || len(rest) != 0 || !bytes.Equal(back.AppendBinary(nil), whole.AppendBinary(nil)) {
			t.Fatalf("%v %s", err, cmp.Diff(&back, whole))
		}
	})
}

func FuzzState(f *testing.F) {
	var s catalogue.State
	for _, k := range []juncture.EventKind{juncture.EventProductViewed, juncture.EventProductAdded, juncture.EventProductRemoved, juncture.EventOrderCompleted} {
		s.Fold(event(k, t0, "s1", "t2"), nowhere, catalogue.Settings{})
	}
	f.Add(s.AppendBinary(nil))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, rest, err := catalogue.DecodeState(b)
		if err != nil {
			return
		}
		if got := append(s.AppendBinary(nil), rest...); !bytes.Equal(got, b) {
			t.Fatalf("%x\n%x", got, b)
		}
		s.Focus(t0, catalogue.Settings{})
		s.Fold(event(juncture.EventProductAdded, t0, "s1"), nowhere, catalogue.Settings{})
	})
}

func TestIndex(t *testing.T) {
	x := catalogue.NewIndex(2)
	if err := x.Put(juncture.Product{ID: "a", Category: "c"}, juncture.Product{ID: "b", Category: "c"}, juncture.Product{ID: "z", Category: "c"}); err == nil || x.Len() != 2 {
		t.Errorf("over the bound: %v, %d products", err, x.Len())
	}
	old, _ := x.Get("a")
	if !x.SetStock("a", 7) || old.Stock != 0 || x.SetStock("z", 1) {
		t.Errorf("stock: %+v", old)
	}
	if p, ok := x.ByKey(catalogue.KeyOf("a")); !ok || p.Stock != 7 {
		t.Errorf("%+v", p)
	}
	x.Remove("a", "nothing")
	if d := cmp.Diff(map[string]int{"c": 1}, x.Categories()); d != "" || len(x.All()) != 1 {
		t.Error(d)
	}
}

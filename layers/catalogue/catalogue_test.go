package catalogue_test

import (
	"bytes"
	"fmt"
	"math"
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
	const view, add, order, list = juncture.EventProductViewed, juncture.EventProductAdded, juncture.EventOrderCompleted, juncture.EventListViewed
	look := func(hours int, kind juncture.EventKind, categories ...string) (out []catalogue.Look) {
		for _, c := range categories {
			out = append(out, catalogue.Look{Category: c, Weight: catalogue.Interest(kind) / float64(len(categories)), At: t0.Add(time.Duration(hours) * time.Hour).UnixMilli()})
		}
		return out
	}
	for _, c := range []struct {
		what  string
		looks [][]catalogue.Look
		now   int // hours
		want  string
		conf  float64
	}{
		{"nothing", nil, 0, "_", 0},
		{"a product of no category", [][]catalogue.Look{look(0, view, "")}, 0, "_", 0},
		{"a page", [][]catalogue.Look{look(0, juncture.EventPageViewed, "shirts")}, 0, "_", 0},
		{"one view", [][]catalogue.Look{look(0, view, "shirts")}, 0, "shirts", 0.5}, // 1 - 2^-1
		{"the category is a slug", [][]catalogue.Look{look(0, view, "Hats & Caps")}, 0, "hats-caps", 0.5},
		{"a bag beats two views", [][]catalogue.Look{look(0, view, "shirts"), look(0, view, "shirts"), look(0, add, "dresses")}, 0, "dresses", 0.525}, // 3/5 * (1 - 2^-3)
		{"in turn: the first held", [][]catalogue.Look{look(0, view, "shirts"), look(1, view, "dresses"), look(2, view, "shirts"), look(3, view, "dresses")}, 4, "shirts", 0},
		{"left for good", [][]catalogue.Look{look(0, view, "shirts"), look(1, view, "dresses"), look(2, view, "dresses")}, 2, "dresses", 0},
		{"two weeks later half of it is left", [][]catalogue.Look{look(0, view, "shirts")}, 14 * 24, "shirts", 0.292893},     // 1 - 2^-0.5
		{"faded after three months", [][]catalogue.Look{look(0, view, "shirts")}, 90 * 24, "_", 0.0080147},                   // 90 days are 6.43 half-lives: 1 - 2^-0.0116
		{"spread over too many", [][]catalogue.Look{look(0, order, "shirts", "ties", "dresses", "hats")}, 0, "_", 0.0732233}, // a quarter * (1 - 2^-0.5)
		{"a list", [][]catalogue.Look{look(0, list, "home > kitchen > pans")}, 0, "kitchen-pans", 0.5},
		{"of the future: as if now", [][]catalogue.Look{look(24, view, "shirts")}, 0, "shirts", 0.5},
	} {
		now := t0.Add(time.Duration(c.now) * time.Hour)
		v := catalogue.Focus(slices.Concat(c.looks...), now, catalogue.Settings{})
		if v.Value != c.want || v.Reason == "" || !juncture.ValidLayerValue(v.Value) || v.Confidence < 0 || v.Confidence > 1 || c.conf > 0 && math.Abs(v.Confidence-c.conf) > 1e-5 {
			t.Errorf("%s: %+v, want %s at %v", c.what, v, c.want, c.conf)
		}
	}
}

// Events in any order are the same looks in order of time; looking at two in turn keeps the first, however long.
func TestFocusDoesNotFlicker(t *testing.T) {
	var looks []catalogue.Look
	for i := range 64 {
		looks = append(looks, catalogue.Look{Category: []string{"shirts", "dresses"}[i%2], Weight: 1, At: t0.Add(time.Duration(i) * time.Minute).UnixMilli()})
		if v := catalogue.Focus(looks, t0.Add(time.Duration(i)*time.Minute), catalogue.Settings{}); v.Value != "shirts" {
			t.Fatalf("after %d looks in turn: %+v", i+1, v)
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
				s.Fold(e, catalogue.Settings{})
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
			s.Fold(e, set)
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
		if len(whole.Viewed) > 5 || len(whole.Bag) > 6 || len(whole.Bought) > 7 {
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
		s.Fold(event(k, t0, "s1", "t2"), catalogue.Settings{})
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
		s.Fold(event(juncture.EventProductAdded, t0, "s1"), catalogue.Settings{})
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

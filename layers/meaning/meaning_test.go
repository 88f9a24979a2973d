package meaning_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/layers/meaning"
	"pgregory.net/rapid"
)

var t0 = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// garments is a small shop of three tastes.
func garments() []*juncture.Product {
	var out []*juncture.Product
	for _, g := range []struct {
		category, one, colour, use string
		price                      int64
	}{{"dresses", "dress", "red", "party", 30000}, {"shirts", "shirt", "navy", "casual", 4000}, {"trainers", "trainer", "white", "sports", 9000}} {
		for i := range 20 {
			if i%5 == 0 {
				g.colour, g.use = "black", "everyday"
			}
			if i%5 == 1 {
				g.colour = []string{"red", "navy", "white"}[len(out)/20]
				g.use = []string{"party", "casual", "sports"}[len(out)/20]
			}
			out = append(out, &juncture.Product{ID: fmt.Sprintf("%s-%d", g.category, i), Title: g.colour + " " + g.one, Category: g.category,
				Price: g.price + int64(i), Attrs: map[string]string{"colour": g.colour, "usage": g.use}, Stock: 1})
		}
	}
	return out
}

func find(products []*juncture.Product) func(string) (*juncture.Product, bool) {
	byID := map[string]*juncture.Product{}
	for _, p := range products {
		byID[p.ID] = p
	}
	return func(id string) (*juncture.Product, bool) { p, ok := byID[id]; return p, ok }
}

func event(kind juncture.EventKind, at time.Time, ids ...string) *juncture.Event {
	e := &juncture.Event{Kind: kind, At: at}
	for _, id := range ids {
		e.Lines = append(e.Lines, juncture.Line{Product: id, Quantity: 1})
	}
	return e
}

// crowd is shoppers of whom each looks mostly at one category.
func crowd(products []*juncture.Product, space *meaning.Space, n int, seed uint64) []*meaning.State {
	rng := rand.New(rand.NewPCG(seed, 1))
	lookup := find(products)
	out := make([]*meaning.State, n)
	for i := range out {
		s := &meaning.State{}
		own := i % 3 * 20 % len(products) // fewer tastes in a smaller shop
		for j := range 8 {
			p := products[own+rng.IntN(20)]
			if rng.IntN(8) == 0 {
				p = products[rng.IntN(len(products))]
			}
			s.Fold(event(juncture.EventProductViewed, t0.Add(time.Duration(j)*time.Hour), p.ID), lookup, space, meaning.Settings{})
		}
		out[i] = s
	}
	return out
}

func vectors(space *meaning.Space, states []*meaning.State) []meaning.Vector {
	var out []meaning.Vector
	for _, s := range states {
		out = append(out, s.Vector(space))
	}
	return out
}

func fitted(t testing.TB, products []*juncture.Product, o meaning.Options) (*meaning.Model, []*meaning.State) {
	t.Helper()
	space := meaning.NewSpace(slices.Values(products), meaning.SpaceOptions{})
	states := crowd(products, space, 300, 7)
	m, err := meaning.Fit(context.Background(), space, vectors(space, states), o)
	if err != nil {
		t.Fatal(err)
	}
	return m, states
}

func TestSensitiveTraitsAreNeverInputs(t *testing.T) {
	for _, c := range []struct {
		name string
		want string
	}{{"gender", "gender"}, {"Age Group", "age"}, {"age_group", "age"}, {"customer-ethnicity", "ethnicity"}, {"Religion", "religion"}, {"health concern", "health"},
		{"skin tone", "ethnicity"}, {"sexual orientation", "sexuality"}, {"political_party", "politics"}, {"maternity", "pregnancy"}, {"income band", "circumstances"},
		{"colour", ""}, {"department", ""}, {"condition", ""}, {"orientation", ""}, {"party", ""}, {"usage", ""}} {
		if got := meaning.Trait(c.name); got != c.want {
			t.Errorf("attribute name %q speaks of %q, want %q", c.name, got, c.want)
		}
	}
	var products []*juncture.Product
	for i := range 12 {
		products = append(products,
			&juncture.Product{ID: fmt.Sprint("a", i), Title: "Green lamp", Category: "lamps", Tags: []string{"women"}, Price: 100, Attrs: map[string]string{"gender": "female", "colour": "green", "usage": "ethnic"}},
			&juncture.Product{ID: fmt.Sprint("b", i), Title: "Pregnancy pillow", Category: "pillows", Brand: "soft", Price: 900},
			&juncture.Product{ID: fmt.Sprint("c", i), Title: "Small rug", Category: "rugs", Tags: []string{"prayer"}, Price: 500},
			&juncture.Product{ID: fmt.Sprint("d", i), Title: "Chair", Category: "maternity > chairs", Price: 700})
	}
	space := meaning.NewSpace(slices.Values(products), meaning.SpaceOptions{})
	got := map[string]bool{}
	for _, a := range space.Attributes {
		got[a.Value] = true
	}
	for _, v := range []string{"female", "ethnic", "pregnancy", "pillow", "pillows", "soft", "rug", "rugs", "prayer", "maternity", "chair", "chairs"} {
		if got[v] {
			t.Errorf("%q feeds taste", v)
		}
	}
	for _, v := range []string{"women", "green", "lamps"} { // a department is where a product hangs, not who buys it
		if !got[v] {
			t.Errorf("%q is missing", v)
		}
	}
	var s meaning.State
	s.Fold(event(juncture.EventOrderCompleted, t0, "b1", "c1", "d1"), find(products), space, meaning.Settings{})
	if s.Events != 0 || len(s.Tastes) != 0 {
		t.Errorf("products about sensitive traits left a taste: %+v", s)
	}
}

func TestSpaceIsTheSameInAnyOrder(t *testing.T) {
	products := garments()
	a := meaning.NewSpace(slices.Values(products), meaning.SpaceOptions{})
	slices.Reverse(products)
	b := meaning.NewSpace(slices.Values(products), meaning.SpaceOptions{})
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	if !bytes.Equal(x, y) {
		t.Errorf("%s\n%s", x, y)
	}
	if small := meaning.NewSpace(slices.Values(products), meaning.SpaceOptions{MaxAttributes: 5}); small.Dim() != 5 {
		t.Errorf("%d attributes, want 5", small.Dim())
	}
}

// What is drawn at random: events of a shopper.
func events(t *rapid.T, label string) []*juncture.Event {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) *juncture.Event {
		kinds := []juncture.EventKind{juncture.EventProductViewed, juncture.EventProductAdded, juncture.EventOrderCompleted, juncture.EventListViewed, juncture.EventPageViewed}
		e := event(rapid.SampledFrom(kinds).Draw(t, "kind"), t0.Add(time.Duration(rapid.IntRange(0, 100*24*60).Draw(t, "minute"))*time.Minute))
		e.Category = rapid.SampledFrom([]string{"", "dresses", "shirts"}).Draw(t, "category")
		for range rapid.IntRange(0, 3).Draw(t, "lines") {
			p := rapid.SampledFrom(garments()).Draw(t, "product")
			e.Lines = append(e.Lines, juncture.Line{Product: p.ID, Quantity: 1})
		}
		return e
	}), 0, 12).Draw(t, label)
}

func close(a, b *meaning.State) bool {
	if a.At != b.At && len(a.Tastes) > 0 || a.Events != b.Events || len(a.Tastes) != len(b.Tastes) || math.Abs(a.Evidence-b.Evidence) > 1e-4*(1+a.Evidence) {
		return false
	}
	for i := range a.Tastes {
		x, y := a.Tastes[i], b.Tastes[i]
		if x.Key != y.Key || math.Abs(float64(x.Weight-y.Weight)) > 1e-4*(1e-3+float64(x.Weight)) {
			return false
		}
	}
	return true
}

func TestTasteIsTheSameInAnyOrderAndMergesCommute(t *testing.T) {
	products := garments()
	space, lookup := meaning.NewSpace(slices.Values(products), meaning.SpaceOptions{}), find(products)
	fold := func(es []*juncture.Event) *meaning.State {
		s := &meaning.State{}
		for _, e := range es {
			s.Fold(e, lookup, space, meaning.Settings{})
		}
		return s
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := events(t, "a"), events(t, "b")
		x, y := fold(a), fold(b)
		ab, ba := meaning.Merge(x, y, meaning.Settings{}), meaning.Merge(y, x, meaning.Settings{})
		if !bytes.Equal(ab.AppendBinary(nil), ba.AppendBinary(nil)) {
			t.Fatalf("merging does not commute:\n%+v\n%+v", ab, ba)
		}
		both := slices.Concat(a, b)
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "order"), 0))
		rng.Shuffle(len(both), func(i, j int) { both[i], both[j] = both[j], both[i] })
		if whole := fold(both); !close(whole, &ab) {
			t.Fatalf("folding all in another order gives\n%+v\nand merging\n%+v", whole, ab)
		}
	})
}

func TestTasteIsBounded(t *testing.T) {
	var products []*juncture.Product
	for i := range 3000 {
		products = append(products, &juncture.Product{ID: fmt.Sprint(i), Category: fmt.Sprint("category ", string(rune('a'+i%26)), string(rune('a'+i/26%26))),
			Brand: fmt.Sprint("brand ", string(rune('a'+i%23)), string(rune('a'+i/23%26))), Title: fmt.Sprint("thing ", string(rune('a'+i%19)), "zz", string(rune('a'+i/19%26)))})
	}
	space, lookup := meaning.NewSpace(slices.Values(products), meaning.SpaceOptions{MinProducts: 1}), find(products)
	rapid.Check(t, func(t *rapid.T) {
		set := meaning.Settings{Attributes: rapid.IntRange(1, 300).Draw(t, "attributes")}
		s := meaning.State{}
		for range rapid.IntRange(1, 60).Draw(t, "events") {
			e := event(juncture.EventOrderCompleted, t0.Add(time.Duration(rapid.IntRange(0, 1e6).Draw(t, "minute"))*time.Minute))
			at := rapid.IntRange(0, 2900).Draw(t, "from")
			for i := range 60 {
				e.Lines = append(e.Lines, juncture.Line{Product: fmt.Sprint(at + i)})
			}
			s.Fold(e, lookup, space, set)
		}
		if most := 2 * min(set.Attributes, meaning.MaxTaste); len(s.Tastes) > most || len(s.AppendBinary(nil)) > 23+12*most {
			t.Fatalf("%d tastes in %d bytes", len(s.Tastes), len(s.AppendBinary(nil)))
		}
	})
}

func TestFitFindsTheTastesAndNamesThem(t *testing.T) {
	m, states := fitted(t, garments(), meaning.Options{K: 3, Seed: 1})
	slugs := regexp.MustCompile(`^[a-z0-9-]{1,60}$`)
	seen := map[string]bool{}
	for _, c := range m.Clusters {
		if !slugs.MatchString(c.ID) || !juncture.ValidLayerValue(c.ID) || seen[c.Name] || c.Size < 80 {
			t.Errorf("%+v", c)
		}
		seen[c.Name] = true
	}
	names := fmt.Sprint(slices.Sorted(func(yield func(string) bool) {
		for n := range seen {
			if !yield(n) {
				return
			}
		}
	}))
	if names != "[budget navy shirts high-end red dresses white sports trainers]" {
		t.Errorf("names %s", names)
	}
	for i, s := range states {
		v := m.View(s, "", t0.Add(24*time.Hour), meaning.Settings{})
		c, ok := m.Cluster(v.Value)
		if !ok || v.Confidence <= 0 || v.Confidence > 1 || v.Reason == "" {
			t.Errorf("shopper %d: %+v", i, v)
			continue
		}
		if want := []string{"dresses", "shirts", "trainers"}[i%3]; !strings.Contains(c.Name, want) {
			t.Logf("shopper %d of %s is in %s", i, want, c.Name)
		}
	}
	if v := m.View(&meaning.State{}, "", t0, meaning.Settings{}); v.Value != juncture.Unknown || v.Reason == "" {
		t.Errorf("nothing known: %+v", v)
	}
	if v := m.View(states[0], "", t0.Add(3*365*24*time.Hour), meaning.Settings{}); v.Value != juncture.Unknown {
		t.Errorf("three years later: %+v", v)
	}
}

func TestKIsChosen(t *testing.T) {
	products := garments()
	space, lookup := meaning.NewSpace(slices.Values(products), meaning.SpaceOptions{}), find(products)
	rng := rand.New(rand.NewPCG(4, 4))
	var vs []meaning.Vector
	for i := range 600 { // three tastes and nothing else
		s := meaning.State{}
		for range 5 {
			s.Fold(event(juncture.EventProductViewed, t0, products[i%3*20+5*rng.IntN(4)+1+rng.IntN(4)].ID), lookup, space, meaning.Settings{})
		}
		vs = append(vs, s.Vector(space))
	}
	m, err := meaning.Fit(context.Background(), space, vs, meaning.Options{KMin: 2, KMax: 16, Seed: 1})
	if err != nil || len(m.Clusters) != 3 {
		t.Errorf("%v: want 3 clusters; tried %+v", err, m.Trials)
	}
}

func TestFitIsDeterministicAndCanBeCancelled(t *testing.T) {
	products := garments()
	a, states := fitted(t, products, meaning.Options{K: 6, Seed: 5, Batch: 64, Iterations: 20})
	b, _ := fitted(t, products, meaning.Options{K: 6, Seed: 5, Batch: 64, Iterations: 20, Workers: 3})
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	if !bytes.Equal(x, y) {
		t.Error("the same seed gives another model")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := meaning.Fit(ctx, a.Space, vectors(a.Space, states), meaning.Options{K: 6}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := meaning.Fit(context.Background(), a.Space, nil, meaning.Options{}); err == nil {
		t.Error("no shoppers give a model")
	}
	same := slices.Repeat(vectors(a.Space, states[:1]), 50)
	if m, err := meaning.Fit(context.Background(), a.Space, same, meaning.Options{K: 5}); err != nil || len(m.Clusters) != 1 {
		t.Errorf("fifty times the same shopper: %v, %v", m, err)
	}
}

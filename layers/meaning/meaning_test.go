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
	"sync"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/layers/catalogue"
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

// goods are the products as a space sees them.
func goods(space *meaning.Space, products []*juncture.Product) *meaning.Goods {
	byKey := map[uint64]*juncture.Product{}
	for _, p := range products {
		byKey[uint64(catalogue.KeyOf(p.ID))] = p
	}
	return meaning.NewGoods(space, func(key uint64) (*juncture.Product, bool) { p, ok := byKey[key]; return p, ok }, 0)
}

// touch is what an event of this kind at this time says of the products.
func touch(kind juncture.EventKind, at time.Time, ids ...string) []meaning.Touch {
	var out []meaning.Touch
	for _, id := range ids {
		out = append(out, meaning.Touch{Product: uint64(catalogue.KeyOf(id)), Weight: meaning.Weight(kind), At: at.UnixMilli()})
	}
	return out
}

// crowd is shoppers of whom each looks mostly at one category.
func crowd(products []*juncture.Product, n int, seed uint64) [][]meaning.Touch {
	rng := rand.New(rand.NewPCG(seed, 1))
	out := make([][]meaning.Touch, n)
	for i := range out {
		own := i % 3 * 20 % len(products) // fewer tastes in a smaller shop
		for j := range 8 {
			p := products[own+rng.IntN(20)]
			if rng.IntN(8) == 0 {
				p = products[rng.IntN(len(products))]
			}
			out[i] = append(out[i], touch(juncture.EventProductViewed, t0.Add(time.Duration(j)*time.Hour), p.ID)...)
		}
	}
	return out
}

func tastes(g *meaning.Goods, shoppers [][]meaning.Touch) []meaning.Taste {
	var out []meaning.Taste
	for _, s := range shoppers {
		out = append(out, g.Taste(s, meaning.Settings{}))
	}
	return out
}

func vectors(ts []meaning.Taste) []meaning.Vector {
	var out []meaning.Vector
	for _, t := range ts {
		out = append(out, t.Vector)
	}
	return out
}

func fitted(t testing.TB, products []*juncture.Product, o meaning.Options) (*meaning.Model, []meaning.Taste) {
	t.Helper()
	space := meaning.NewSpace(slices.Values(products), meaning.SpaceOptions{})
	shoppers := tastes(goods(space, products), crowd(products, 300, 7))
	m, err := meaning.Fit(context.Background(), space, vectors(shoppers), o)
	if err != nil {
		t.Fatal(err)
	}
	return m, shoppers
}

func TestSensitiveTraitsAreNeverInputs(t *testing.T) {
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
	g := goods(space, products)
	if got := g.Taste(touch(juncture.EventOrderCompleted, t0, "b1", "c1", "d1"), meaning.Settings{}); got.Touches != 0 || len(got.Vector.Dims) != 0 || got.Evidence != 0 {
		t.Errorf("products about sensitive traits left a taste: %+v", got)
	}
	for _, category := range []string{"maternity", "home > prayer rugs"} { // a category alone, of a product that nobody sells
		if got := g.Taste([]meaning.Touch{{Category: category, Weight: 8, At: t0.UnixMilli()}}, meaning.Settings{}); got.Touches != 0 {
			t.Errorf("the category %q left a taste: %+v", category, got)
		}
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

// drawn is what a shopper may have touched.
func drawn(t *rapid.T) []meaning.Touch {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) meaning.Touch {
		at := t0.Add(time.Duration(rapid.IntRange(0, 100*24*60).Draw(t, "minute")) * time.Minute).UnixMilli()
		weight := meaning.Weight(rapid.SampledFrom([]juncture.EventKind{juncture.EventProductViewed, juncture.EventProductAdded, juncture.EventOrderCompleted}).Draw(t, "kind"))
		out := meaning.Touch{Category: rapid.SampledFrom([]string{"", "dresses", "shirts", "none such"}).Draw(t, "category"), Weight: weight, At: at}
		if rapid.Bool().Draw(t, "a product") {
			out.Product = uint64(catalogue.KeyOf(rapid.SampledFrom(garments()).Draw(t, "product").ID))
		}
		return out
	}), 0, 24).Draw(t, "touches")
}

// One view an hour ago, one 60 days before it: the older one weighs a half. The first is of one attribute, so its weight
// is (1 * idf)^2 / 1; the vector is square roots, of length 1, so their ratio is sqrt(2) at equal idf.
func TestTasteIsTheFormula(t *testing.T) {
	var products []*juncture.Product
	for i := range 8 {
		products = append(products, &juncture.Product{ID: fmt.Sprint(i), Category: []string{"lamps", "rugs"}[i%2]})
	}
	space := meaning.NewSpace(slices.Values(products), meaning.SpaceOptions{MinProducts: 1})
	got := goods(space, products).Taste(append(touch(juncture.EventProductViewed, t0, "0"), touch(juncture.EventProductViewed, t0.AddDate(0, 0, -60), "1")...), meaning.Settings{})
	if got.Touches != 2 || math.Abs(got.Evidence-1.5) > 1e-9 || got.At != t0.UnixMilli() || len(got.Vector.Dims) != 2 {
		t.Fatalf("%+v", got)
	}
	value := map[string]float64{}
	for i, d := range got.Vector.Dims {
		value[space.Attributes[d].Value] = float64(got.Vector.Values[i])
	}
	if math.Abs(value["lamps"]/value["rugs"]-math.Sqrt2) > 1e-5 || math.Abs(value["lamps"]*value["lamps"]+value["rugs"]*value["rugs"]-1) > 1e-5 {
		t.Errorf("%v", value)
	}
	// Of length 1 in the ratio of sqrt 2 to 1: sqrt(2/3) along lamps, sqrt(1/3) along rugs.
	near := goods(space, products).Near(got.Vector)
	for id, want := range map[string]float64{"0": math.Sqrt(2.0 / 3), "2": math.Sqrt(2.0 / 3), "1": math.Sqrt(1.0 / 3), "unknown": 0} {
		if x := near(uint64(catalogue.KeyOf(id))); math.Abs(x-want) > 1e-5 {
			t.Errorf("product %s is near by %v, want %v", id, x, want)
		}
	}
}

func TestTasteIsTheSameInAnyOrder(t *testing.T) {
	products := garments()
	space := meaning.NewSpace(slices.Values(products), meaning.SpaceOptions{})
	g := goods(space, products)
	rapid.Check(t, func(t *rapid.T) {
		touches := drawn(t)
		want := g.Taste(touches, meaning.Settings{})
		got := g.Taste(rapid.Permutation(touches).Draw(t, "order"), meaning.Settings{})
		if got.Touches != want.Touches || !slices.Equal(got.Vector.Dims, want.Vector.Dims) || math.Abs(got.Evidence-want.Evidence) > 1e-9*(1+want.Evidence) {
			t.Fatalf("another order gives\n%+v\nafter\n%+v", got, want)
		}
		for i := range got.Vector.Values { // but for the rounding of sums in single precision
			if math.Abs(float64(got.Vector.Values[i]-want.Vector.Values[i])) > 1e-5 {
				t.Fatalf("another order gives\n%+v\nafter\n%+v", got, want)
			}
		}
		length := 0.0
		for _, x := range got.Vector.Values {
			length += float64(x) * float64(x)
		}
		if len(got.Vector.Dims) > 0 && math.Abs(length-1) > 1e-4 {
			t.Fatalf("of length %v", length)
		}
		if again := g.Taste(touches, meaning.Settings{}); !slices.Equal(again.Vector.Values, want.Vector.Values) {
			t.Fatal("the same touches give another taste")
		}
	})
}

func TestTasteIsBounded(t *testing.T) {
	var products []*juncture.Product
	for i := range 3000 {
		products = append(products, &juncture.Product{ID: fmt.Sprint(i), Category: fmt.Sprint("category ", string(rune('a'+i%26)), string(rune('a'+i/26%26))),
			Brand: fmt.Sprint("brand ", string(rune('a'+i%23)), string(rune('a'+i/23%26))), Title: fmt.Sprint("thing ", string(rune('a'+i%19)), "zz", string(rune('a'+i/19%26)))})
	}
	space := meaning.NewSpace(slices.Values(products), meaning.SpaceOptions{MinProducts: 1})
	g := goods(space, products)
	rapid.Check(t, func(t *rapid.T) {
		set := meaning.Settings{Attributes: rapid.IntRange(1, 300).Draw(t, "attributes")}
		var touches []meaning.Touch
		for range rapid.IntRange(1, 60).Draw(t, "orders") {
			at := rapid.IntRange(0, 2900).Draw(t, "from")
			for i := range 60 {
				touches = append(touches, touch(juncture.EventOrderCompleted, t0.Add(time.Duration(i)*time.Minute), fmt.Sprint(at+i))...)
			}
		}
		if got := g.Taste(touches, set); len(got.Vector.Dims) > set.Attributes || len(got.Vector.Dims) == 0 || !slices.IsSorted(got.Vector.Dims) {
			t.Fatalf("%d attributes, at most %d", len(got.Vector.Dims), set.Attributes)
		}
		if got := g.Taste(nil, set); got.Touches != 0 || len(got.Vector.Dims) != 0 { // nothing of the last taste is left
			t.Fatalf("%+v of nothing", got)
		}
	})
}

// Goods are read by every call at once.
func TestGoodsAreSafeForConcurrentUse(t *testing.T) {
	products := garments()
	space := meaning.NewSpace(slices.Values(products), meaning.SpaceOptions{})
	shoppers := crowd(products, 30, 5)
	want := tastes(goods(space, products), shoppers)
	g := goods(space, products)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i, s := range shoppers {
				if got := g.Taste(s, meaning.Settings{}); !slices.Equal(got.Vector.Values, want[i].Vector.Values) {
					t.Errorf("shopper %d: another taste beside others", i)
				}
			}
		})
	}
	wg.Wait()
}

func TestFitFindsTheTastesAndNamesThem(t *testing.T) {
	m, shoppers := fitted(t, garments(), meaning.Options{K: 3, Seed: 1})
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
	for i, s := range shoppers {
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
	if v := m.View(meaning.Taste{}, "", t0, meaning.Settings{}); v.Value != juncture.Unknown || v.Reason == "" {
		t.Errorf("nothing known: %+v", v)
	}
	if v := m.View(shoppers[0], "", t0.Add(3*365*24*time.Hour), meaning.Settings{}); v.Value != juncture.Unknown {
		t.Errorf("three years later: %+v", v)
	}
}

func TestKIsChosen(t *testing.T) {
	products := garments()
	space := meaning.NewSpace(slices.Values(products), meaning.SpaceOptions{})
	g := goods(space, products)
	rng := rand.New(rand.NewPCG(4, 4))
	var vs []meaning.Vector
	for i := range 600 { // three tastes and nothing else
		var touches []meaning.Touch
		for range 5 {
			touches = append(touches, touch(juncture.EventProductViewed, t0, products[i%3*20+5*rng.IntN(4)+1+rng.IntN(4)].ID)...)
		}
		vs = append(vs, g.Taste(touches, meaning.Settings{}).Vector)
	}
	m, err := meaning.Fit(context.Background(), space, vs, meaning.Options{KMin: 2, KMax: 16, Seed: 1})
	if err != nil || len(m.Clusters) != 3 {
		t.Errorf("%v: want 3 clusters; tried %+v", err, m.Trials)
	}
}

func TestFitIsDeterministicAndCanBeCancelled(t *testing.T) {
	products := garments()
	a, shoppers := fitted(t, products, meaning.Options{K: 6, Seed: 5, Batch: 64, Iterations: 20})
	b, _ := fitted(t, products, meaning.Options{K: 6, Seed: 5, Batch: 64, Iterations: 20, Workers: 3})
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	if !bytes.Equal(x, y) {
		t.Error("the same seed gives another model")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := meaning.Fit(ctx, a.Space, vectors(shoppers), meaning.Options{K: 6}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := meaning.Fit(context.Background(), a.Space, nil, meaning.Options{}); err == nil {
		t.Error("no shoppers give a model")
	}
	same := slices.Repeat(vectors(shoppers[:1]), 50)
	if m, err := meaning.Fit(context.Background(), a.Space, same, meaning.Options{K: 5}); err != nil || len(m.Clusters) != 1 {
		t.Errorf("fifty times the same shopper: %v, %v", m, err)
	}
}

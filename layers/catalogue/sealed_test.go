package catalogue_test

import (
	"strings"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/layers/catalogue"
)

// A withheld category is no look: it neither becomes the focus nor takes its share of the interest, nor is it named.
func TestFocusLeavesOutWhatIsWithheld(t *testing.T) {
	at := t0.UnixMilli()
	for _, c := range []struct {
		what  string
		looks []catalogue.Look
		want  string
		conf  float64
	}{
		{"alone", []catalogue.Look{{"Pregnancy Tests", 3, at}}, "_", 0},
		{"a step of a path", []catalogue.Look{{"home > prayer rugs", 3, at}}, "_", 0},
		{"beside another", []catalogue.Look{{"Pregnancy Tests", 3, at}, {"shirts", 1, at}}, "shirts", 0.5}, // 1 - 2^-1 of all that counts
	} {
		v := catalogue.Focus(c.looks, t0, catalogue.Settings{})
		if v.Value != c.want || v.Confidence != c.conf || strings.Contains(strings.ToLower(v.Reason), "pregnan") || strings.Contains(v.Reason, "prayer") {
			t.Errorf("%s: %+v", c.what, v)
		}
	}
}

// A sealed product is sold, by the trend and by what else says so, but nothing is recommended because of it.
func TestSealedProductsDriveNothing(t *testing.T) {
	x := index(t, "s1", "s2", "s3", "t1", "h1")
	if err := x.Put(juncture.Product{ID: "s1", Title: "Pregnancy test", Category: "shirts", Stock: 5}); err != nil {
		t.Fatal(err)
	}
	c := catalogue.NewCounts(catalogue.Settings{Support: 3}, 0)
	for i := range 40 { // s1 goes with t1, in views and orders; s2 with s3; h1 alone
		at := t0.Add(time.Duration(i) * time.Minute)
		var s catalogue.State
		for _, ids := range [][][]string{{{"s1"}, {"t1"}, {"s1", "t1"}}, {{"s2"}, {"s3"}, {"s2", "s3"}}, {{"h1"}, {"h1"}, {"h1"}}}[i%3] {
			e := event(juncture.EventProductViewed, at, ids...)
			if len(ids) == 2 {
				e.Kind = juncture.EventOrderCompleted
			}
			c.Observe(e, &s)
			s.Fold(e, catalogue.Settings{})
		}
	}
	shelf := c.Shelf(x, t0.Add(time.Hour))
	of := func(kind juncture.EventKind, id string) *catalogue.State {
		var s catalogue.State
		s.Fold(event(kind, t0, id), catalogue.Settings{})
		return &s
	}
	driven := []catalogue.Source{catalogue.FromBag, catalogue.FromViewed, catalogue.FromBought}
	for _, kind := range []juncture.EventKind{juncture.EventProductAdded, juncture.EventProductViewed, juncture.EventOrderCompleted} {
		r := catalogue.Request{Now: t0.Add(time.Hour), Only: driven, Again: true}
		if r.Shopper = of(kind, "s2"); len(shelf.Fill(3, r)) == 0 {
			t.Errorf("event kind %d of s2 recommends nothing: the test tests nothing", kind)
		}
		if r.Shopper = of(kind, "s1"); len(shelf.Fill(3, r)) != 0 {
			t.Errorf("because of a sealed product: %+v", shelf.Fill(3, r))
		}
		r.Only = nil
		got := shelf.Fill(5, r)
		for _, p := range got {
			if p.Source != catalogue.FromStore || strings.Contains(p.Why, "regnan") {
				t.Errorf("%+v", p)
			}
		}
		if len(got) == 0 {
			t.Error("nothing trends")
		}
	}
	if got := shelf.Fill(3, catalogue.Request{Now: t0.Add(time.Hour), Product: "s1", Only: driven}); len(got) != 0 {
		t.Errorf("on the page of a sealed product: %+v", got)
	}
	sold := false
	for _, p := range shelf.Fill(5, catalogue.Request{Now: t0.Add(time.Hour)}) {
		sold = sold || p.ID == "s1" && p.Source == catalogue.FromStore
	}
	if !sold {
		t.Error("a sealed product does not trend")
	}
	s1, _ := x.Get("s1")
	open := *s1
	open.Title = "the s1"
	if err := x.Put(open); err != nil || x.Sealed(catalogue.KeyOf("s1")) {
		t.Errorf("still sealed after its title was corrected: %v", err)
	}
	if got := shelf.Fill(3, catalogue.Request{Now: t0.Add(time.Hour), Shopper: of(juncture.EventProductAdded, "s1"), Only: driven}); len(got) == 0 {
		t.Error("and drives nothing")
	}
}

// The page of a withheld category: what is recommended is not because of it.
func TestWithheldCategoriesDriveNothing(t *testing.T) {
	x := catalogue.NewIndex(0)
	if err := x.Put(juncture.Product{ID: "r1", Title: "Rug", Category: "Prayer rugs", Stock: 1}, juncture.Product{ID: "l1", Title: "Lamp", Category: "Lamps", Stock: 1}); err != nil {
		t.Fatal(err)
	}
	shelf := catalogue.NewCounts(catalogue.Settings{}, 0).Shelf(x, t0)
	for category, want := range map[string]int{"Lamps": 1, "Prayer rugs": 0, "prayer-rugs": 0} {
		if got := shelf.Fill(3, catalogue.Request{Now: t0, Category: category, Only: []catalogue.Source{catalogue.FromCategory}}); len(got) != want {
			t.Errorf("%s: %+v", category, got)
		}
	}
}

func TestIndexSells(t *testing.T) {
	x := index(t, "s1", "h1")
	for category, want := range map[string]bool{"shirts": true, "Shirts": true, "hats caps": true, "hats": false, "": false, "!": false} {
		if x.Sells(category) != want {
			t.Errorf("sells %q: %v", category, !want)
		}
	}
	if x.Remove("h1"); x.Sells("hats caps") || !x.Sells("shirts") {
		t.Error("after the last hat was taken out")
	}
}

// Two categories in other letters are two categories, on the shelf as in the layer.
func TestCategoriesInAnyLetters(t *testing.T) {
	seen := map[string]string{}
	for _, name := range []string{"Ünïcödé 连衣裙", "Ünïcödé 衬衫", "连衣裙", "衬衫", "unicode", "платья"} {
		value := catalogue.Slug(name)
		if other, ok := seen[value]; ok || !juncture.ValidLayerValue(value) {
			t.Errorf("%q is %q, as is %q", name, value, other)
		}
		seen[value] = name
	}
	if a, b := catalogue.Slug("дом > кухня > ножи"), catalogue.Slug("кухня > ножи"); a != b {
		t.Errorf("the last two steps: %s and %s", a, b)
	}
}

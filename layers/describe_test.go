package layers_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/layers"
	"github.com/juncture/juncture/layers/catalogue"
	"github.com/juncture/juncture/layers/meaning"
	"github.com/juncture/juncture/layers/moment"
	"github.com/juncture/juncture/layers/trajectory"
)

// garments is a small shop of three tastes, twenty products each.
func garments() []juncture.Product {
	var out []juncture.Product
	for _, g := range []struct{ category, one, colour string }{{"dresses", "dress", "red"}, {"shirts", "shirt", "navy"}, {"trainers", "trainer", "white"}} {
		for i := range 20 {
			out = append(out, juncture.Product{ID: fmt.Sprint(g.category, "-", i), Title: g.colour + " " + g.one, Category: g.category, Stock: 1, Attrs: map[string]string{"colour": g.colour}})
		}
	}
	return out
}

func looking(id string, kind juncture.EventKind, at time.Time, products ...string) juncture.Event {
	e := juncture.Event{ID: id, Kind: kind, Shopper: "ada", At: at}
	for _, p := range products {
		category, _, _ := strings.Cut(p, "-")
		e.Lines = append(e.Lines, juncture.Line{Product: p, Category: category, Quantity: 1})
	}
	return e
}

// learnt is what a store of those products has learnt of 150 shoppers who look at one category each.
func learnt(t testing.TB, products []juncture.Product, old *meaning.Model) layers.Knowledge {
	t.Helper()
	index := catalogue.NewIndex(0)
	if err := index.Put(products...); err != nil {
		t.Fatal(err)
	}
	space := meaning.NewSpace(slices.Values(index.All()), meaning.SpaceOptions{})
	k := layers.Knowledge{Index: index, Rates: &trajectory.Rates{}, Goods: meaning.NewGoods(space, func(key uint64) (*juncture.Product, bool) { return index.ByKey(catalogue.Key(key)) }, 0)}
	var vectors []meaning.Vector
	rng := rand.New(rand.NewPCG(1, 7))
	for i := range 150 {
		p := &layers.Profile{}
		for j := range 6 {
			p.Fold(looking(fmt.Sprint(i, "-", j), juncture.EventProductViewed, day0().Add(time.Duration(j)*time.Hour), products[i%3*20+rng.IntN(20)].ID))
		}
		taste, before := p.Taste(k, layers.Settings{})
		if before != "" {
			t.Fatalf("a lean to %q before there are clusters", before)
		}
		vectors = append(vectors, taste.Vector)
	}
	fitted, err := meaning.Fit(context.Background(), space, vectors, meaning.Options{K: 3, Seed: 1, Start: old})
	if err != nil {
		t.Fatal(err)
	}
	k.Model, _ = meaning.Match(old, fitted)
	return k
}

// of is the cluster that a shopper of one category is in.
func of(t testing.TB, k layers.Knowledge, category string) string {
	t.Helper()
	p := &layers.Profile{}
	for i := range 8 {
		p.Fold(looking(fmt.Sprint(i), juncture.EventProductAdded, day0().Add(time.Duration(i)*time.Minute), fmt.Sprint(category, "-", i)))
	}
	v := layers.Describe(p, p.LastSeen(), layers.Settings{}, k).Views[juncture.Meaning]
	if !juncture.Known(v.Value) {
		t.Fatalf("a shopper of %s: %+v", category, v)
	}
	return v.Value
}

func TestDescribeKnowsWhatTheStoreHasLearnt(t *testing.T) {
	k := learnt(t, garments(), nil)
	if a, b, c := of(t, k, "dresses"), of(t, k, "shirts"), of(t, k, "trainers"); a == b || b == c || a == c {
		t.Fatalf("dresses %s, shirts %s, trainers %s", a, b, c)
	}
	now := day0().Add(time.Hour)
	p := folded([]juncture.Event{looking("1", juncture.EventProductViewed, day0(), "dresses-1"), looking("2", juncture.EventProductAdded, day0().Add(time.Minute), "dresses-2"),
		looking("3", juncture.EventProductAdded, day0().Add(2*time.Minute), "dresses-3")})
	unknown, one := &layers.Profile{}, folded([]juncture.Event{looking("1", juncture.EventProductViewed, day0(), "dresses-1")})
	dresses := of(t, k, "dresses")
	for _, c := range []struct {
		what string
		p    *layers.Profile
		k    layers.Knowledge
		set  layers.Settings
		want juncture.Intersection
		low  [juncture.LayerCount]bool
	}{
		// Nothing learnt is not too little seen of the shopper: meaning is not low before there are clusters.
		{"nobody, nothing learnt", unknown, layers.Knowledge{}, layers.Settings{}, juncture.Intersection{"prospect._._", "_", "_", "_"}, [4]bool{false, false, true, true}},
		{"nobody", unknown, k, layers.Settings{}, juncture.Intersection{"prospect._._", "_", "_", "_"}, [4]bool{false, true, true, true}},
		{"one view", one, k, layers.Settings{}, juncture.Intersection{"prospect.browsing._", "_", "low.none", "dresses"}, [4]bool{false, true, false, false}},
		{"nothing learnt", p, layers.Knowledge{}, layers.Settings{}, juncture.Intersection{"prospect.browsing.considering", "_", "building.none", "dresses"}, [4]bool{}},
		{"all four", p, k, layers.Settings{}, juncture.Intersection{"prospect.browsing.considering", dresses, "building.none", "dresses"}, [4]bool{}},
		// Three events: moment 0.5 + 0.5*3/7 = 0.71, trajectory 3/6 = 0.5, catalogue 1 - 2^-7 = 0.99.
		{"sure of it or not at all", p, k, layers.Settings{MinConfidence: [4]float64{0.72, 0, 0.51, 0.99}}, juncture.Intersection{"_", dresses, "_", "dresses"}, [4]bool{true, false, true, false}},
		{"as sure as that", p, k, layers.Settings{MinConfidence: [4]float64{0.71, 0.95, 0.5, 0.995}}, juncture.Intersection{"prospect.browsing.considering", "_", "building.none", "_"}, [4]bool{false, true, false, true}},
	} {
		d := layers.Describe(c.p, now, c.set, c.k)
		if d.Intersection != c.want || d.Low != c.low {
			t.Errorf("%s: %v low %v, want %v low %v: %+v", c.what, d.Intersection, d.Low, c.want, c.low, d.Views)
		}
		for l, v := range d.Views {
			if v.Value != d.Intersection[l] || v.Reason == "" || !(v.Confidence >= 0 && v.Confidence <= 1) || !juncture.ValidLayerValue(v.Value) {
				t.Errorf("%s: %+v", c.what, v)
			}
		}
	}
	// The catalogue's word for a product stands before the sender's.
	renamed := garments()
	for i := range renamed {
		renamed[i].Category = "Summer > Frocks & Co"
	}
	index := catalogue.NewIndex(0)
	if err := index.Put(renamed...); err != nil {
		t.Fatal(err)
	}
	if d := layers.Describe(p, now, layers.Settings{}, layers.Knowledge{Index: index}); d.Intersection[juncture.Catalogue] != "summer-frocks-co" {
		t.Errorf("%v", d.Intersection)
	}
}

// A shopper stays where the days before had them until another cluster is clearly nearer; reading, however often and
// whenever, changes nothing.
func TestOlderTouchesHoldTheCluster(t *testing.T) {
	k := learnt(t, garments(), nil)
	dresses, shirts := of(t, k, "dresses"), of(t, k, "shirts")
	at := day0()
	p := &layers.Profile{}
	for i := range 4 {
		p.Fold(looking(fmt.Sprint("d", i), juncture.EventProductViewed, at.Add(time.Duration(i)*time.Minute), fmt.Sprint("dresses-", i)))
	}
	if _, before := p.Taste(k, layers.Settings{}); before != "" {
		t.Errorf("of one day, a lean to %q of the day before", before)
	}
	next := at.AddDate(0, 0, 2)
	last, moves := dresses, 0
	for i := range 12 {
		when := next.Add(time.Duration(i) * time.Minute)
		p.Fold(looking(fmt.Sprint("s", i), juncture.EventProductViewed, when, fmt.Sprint("shirts-", i)))
		taste, before := p.Taste(k, layers.Settings{})
		if before != dresses {
			t.Fatalf("after %d shirts the day before leans to %q", i+1, before)
		}
		a, _ := k.Model.Assign(taste.Vector)
		got := layers.Describe(p, when, layers.Settings{Meaning: meaning.Settings{MinConfidence: 1e-9}}, k).Intersection[juncture.Meaning]
		if i == 3 && a.ID == shirts && a.Margin < 0.02 && got != dresses { // as many of each: nearly as near
			t.Errorf("moved by a margin of %.3f", a.Margin)
		}
		if got != last {
			moves++
		}
		last = got
		for range 3 {
			if again := layers.Describe(p, when, layers.Settings{Meaning: meaning.Settings{MinConfidence: 1e-9}}, k).Intersection[juncture.Meaning]; again != got {
				t.Fatal("reading moved the shopper")
			}
		}
	}
	if last != shirts || moves != 1 {
		t.Errorf("after three times as many shirts in %s, by %d moves", last, moves)
	}
	wide := layers.Settings{Meaning: meaning.Settings{Stick: 2, MinConfidence: 1e-9}}
	if got := layers.Describe(p, next, wide, k).Intersection[juncture.Meaning]; got != dresses { // nothing is nearer by 2
		t.Errorf("with a slack of 2 in %s", got)
	}
}

// The same profile, with nothing folded again, is in the cluster of the same id after a refit on another catalogue.
func TestProfilesSurviveARefitWithAnotherCatalogue(t *testing.T) {
	k := learnt(t, garments(), nil)
	profiles := map[string]*layers.Profile{}
	was := map[string]string{}
	for _, category := range []string{"dresses", "shirts", "trainers"} {
		p := &layers.Profile{}
		for i := range 10 {
			p.Fold(looking(fmt.Sprint(i), juncture.EventProductAdded, day0().Add(time.Duration(i)*time.Minute), fmt.Sprint(category, "-", i)))
		}
		profiles[category], was[category] = p, layers.Describe(p, p.LastSeen(), layers.Settings{}, k).Intersection[juncture.Meaning]
	}
	changed := garments()
	for i := range changed { // every third product is another, a new attribute, dearer
		if i%3 == 0 {
			changed[i].ID += "-new"
		}
		changed[i].Price, changed[i].Attrs["material"] = 4900, []string{"cotton", "silk"}[i%2]
	}
	next := learnt(t, changed, k.Model)
	for category, p := range profiles {
		if got := layers.Describe(p, p.LastSeen(), layers.Settings{}, next).Intersection[juncture.Meaning]; got != was[category] || !juncture.Known(got) {
			t.Errorf("%s: %q before, %q after", category, was[category], got)
		}
		shares := p.Shares(next, layers.Settings{})
		sum := 0.0
		for _, s := range shares {
			sum += s.Weight
		}
		if len(shares) == 0 || len(shares) > 3 || shares[0].Cluster != was[category] || sum < 0.999 || sum > 1.001 {
			t.Errorf("%s: %+v", category, shares)
		}
	}
	if s := profiles["shirts"].Shares(layers.Knowledge{}, layers.Settings{}); s != nil {
		t.Errorf("shares of no clusters: %+v", s)
	}
}

// Products about a trait of a person leave no taste, whatever is done with them, by product or by category.
func TestSensitiveProductsLeaveNoTaste(t *testing.T) {
	products := append(garments(), juncture.Product{ID: "test", Title: "Pregnancy test", Category: "dresses", Stock: 1}, juncture.Product{ID: "rug", Title: "Red rug", Category: "prayer rugs", Stock: 1})
	k := learnt(t, products, nil)
	p := &layers.Profile{}
	for i, kind := range []juncture.EventKind{juncture.EventProductViewed, juncture.EventWishlisted, juncture.EventProductAdded, juncture.EventOrderCompleted} {
		p.Fold(looking(fmt.Sprint(i), kind, day0().Add(time.Duration(i)*time.Minute), "test", "rug"))
	}
	p.Fold(juncture.Event{ID: "list", Kind: juncture.EventListViewed, Category: "maternity", At: day0().Add(time.Hour)})
	if taste, _ := p.Taste(k, layers.Settings{}); taste.Touches != 0 || len(taste.Vector.Dims) != 0 {
		t.Errorf("%+v", taste)
	}
	if v := layers.Describe(p, p.LastSeen(), layers.Settings{}, k).Views[juncture.Meaning]; v.Value != juncture.Unknown {
		t.Errorf("%+v", v)
	}
}

// Derived categories come from whoever sends events: they take room like sent values, and only as the call is trusted.
func TestDerivedCategoriesAreAdmitted(t *testing.T) {
	settings := map[string]juncture.LayerSetting{"catalogue": {Source: juncture.SourceDerived, MaxValues: 3}, "moment": {Source: juncture.SourceDerived, MaxValues: 1}}
	values := layers.NewValues(nil)
	ask := func(category string, trust layers.Trust) layers.Described {
		p := folded([]juncture.Event{{ID: "1", Kind: juncture.EventListViewed, Category: category, At: day0()}})
		d := layers.Describe(p, day0(), layers.Settings{}, layers.Knowledge{})
		return layers.Compose(settings, nil, &d, values, trust)
	}
	for _, c := range []struct {
		category string
		trust    layers.Trust
		want     string
		fresh    int
		warnings int
	}{
		{"hats", layers.TrustHalf, "hats", 1, 0},   // half of three, rounded up, is two
		{"boots", layers.TrustHalf, "boots", 1, 0}, //
		{"coats", layers.TrustHalf, "_", 0, 1},     // a third is over the half
		{"coats", layers.TrustAll, "coats", 1, 0},
		{"ties", layers.TrustAll, "_", 0, 1}, // the layer is full
		{"hats", layers.TrustHalf, "hats", 0, 0},
		{"ties", layers.TrustNone, "ties", 0, 0}, // adds nothing, and is not learnt from
		{"ties", layers.TrustAll, "_", 0, 1},
	} {
		d := ask(c.category, c.trust)
		if d.Intersection[juncture.Catalogue] != c.want || len(d.Fresh) != c.fresh || len(d.Warnings) != c.warnings {
			t.Errorf("%s, trust %d: %v, fresh %v, warnings %q", c.category, c.trust, d.Intersection, d.Fresh, d.Warnings)
		}
		if d.Intersection[juncture.Moment] != "prospect.browsing._" { // its words are the product's own, never admitted
			t.Errorf("%v", d.Intersection)
		}
		if v := d.Views[juncture.Catalogue]; v.Value != c.want || v.Reason == "" {
			t.Errorf("%+v", v)
		}
	}
	nothing := layers.Describe(&layers.Profile{}, day0(), layers.Settings{}, layers.Knowledge{})
	if d := layers.Compose(settings, nil, &nothing, values, layers.TrustAll); len(d.Fresh) != 0 || len(d.Warnings) != 0 || !d.Low[juncture.Catalogue] {
		t.Errorf("unknown takes no room: %+v", d)
	}
}

func TestSettingsOf(t *testing.T) {
	day := func(n int) juncture.Duration { return juncture.Duration(time.Duration(n) * 24 * time.Hour) }
	got := layers.SettingsOf(map[string]juncture.LayerSetting{
		"moment": {MinConfidence: 0.1, Dormant: day(60), AbandonAfter: juncture.Duration(2 * time.Hour), AbandonFor: day(7), Fresh: day(3), AtRiskGaps: 2, AtRiskOrders: 4, LoyalOrders: 5,
			LoyalValue: 199.99, VIPValue: 500},
		"meaning":    {MinConfidence: 0.2, HalfLife: day(30)},
		"trajectory": {MinConfidence: 0.3},
		"catalogue":  {MinConfidence: 0.4, HalfLife: day(5)},
	}, "EUR")
	want := layers.Settings{
		Moment: moment.Settings{Dormant: 60 * 24 * time.Hour, AbandonAfter: 2 * time.Hour, AbandonFor: 7 * 24 * time.Hour, Fresh: 3 * 24 * time.Hour, AtRiskGaps: 2, AtRiskOrders: 4, LoyalOrders: 5,
			LoyalValue: 19999, VIPValue: 50000}, // in cents
		Meaning:       meaning.Settings{MinConfidence: 0.2, HalfLife: 30 * 24 * time.Hour},
		Catalogue:     catalogue.Settings{MinConfidence: 0.4, FocusHalfLife: 5 * 24 * time.Hour},
		MinConfidence: [4]float64{0.1, 0.2, 0.3, 0.4},
	}
	if got != want {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
	if yen := layers.SettingsOf(map[string]juncture.LayerSetting{"moment": {LoyalValue: 20000}}, "JPY"); yen.Moment.LoyalValue != 20000 { // no minor unit
		t.Errorf("%+v", yen.Moment)
	}
	if none := layers.SettingsOf(nil, "EUR"); none != (layers.Settings{}) {
		t.Errorf("%+v", none)
	}
}

// What is about a sensitive trait is not what a shopper is after, whatever else its product is called.
func TestSealedProductsAreNoFocus(t *testing.T) {
	products := append(garments(), juncture.Product{ID: "test", Title: "Pregnancy test", Category: "dresses", Stock: 1}, juncture.Product{ID: "rug", Title: "Rug", Category: "prayer rugs", Stock: 1})
	index := catalogue.NewIndex(0)
	if err := index.Put(products...); err != nil {
		t.Fatal(err)
	}
	at := day0()
	p := folded([]juncture.Event{looking("1", juncture.EventProductAdded, at, "test"), looking("2", juncture.EventProductAdded, at, "rug"),
		{ID: "3", Kind: juncture.EventListViewed, Category: "prayer rugs", At: at}})
	for what, k := range map[string]layers.Knowledge{"with a catalogue": {Index: index}} {
		if v := layers.Describe(p, at, layers.Settings{}, k).Views[juncture.Catalogue]; v.Value != juncture.Unknown || strings.Contains(v.Reason, "rug") {
			t.Errorf("%s: %+v", what, v)
		}
	}
	p.Fold(looking("4", juncture.EventProductViewed, at, "shirts-1"))
	if v := layers.Describe(p, at, layers.Settings{}, layers.Knowledge{Index: index}).Views[juncture.Catalogue]; v.Value != "shirts" || v.Confidence != 0.5 { // 1 - 2^-1
		t.Errorf("%+v", v)
	}
}

// Where there is a catalogue its categories are the layer's values: made-up ones are nothing, however many, and take no
// room from those that are sold.
func TestMadeUpCategoriesTakeNoRoom(t *testing.T) {
	index := catalogue.NewIndex(0)
	if err := index.Put(garments()...); err != nil {
		t.Fatal(err)
	}
	settings := map[string]juncture.LayerSetting{"catalogue": {Source: juncture.SourceDerived, MaxValues: 2}}
	values := layers.NewValues([]juncture.LayerValue{{Layer: juncture.Catalogue, Value: "junk-1"}, {Layer: juncture.Catalogue, Value: "junk-2"}}) // full, from before
	ask := func(k layers.Knowledge, events ...juncture.Event) layers.Described {
		d := layers.Describe(folded(events), day0(), layers.Settings{}, k)
		return layers.Compose(settings, nil, &d, values, layers.TrustHalf)
	}
	list := func(id, category string) juncture.Event {
		return juncture.Event{ID: id, Kind: juncture.EventListViewed, Category: category, At: day0()}
	}
	k := layers.Knowledge{Index: index}
	for i := range 50 {
		if d := ask(k, list("1", fmt.Sprint("made up ", i))); d.Intersection[juncture.Catalogue] != juncture.Unknown || len(d.Fresh)+len(d.Warnings) != 0 {
			t.Fatalf("made up: %+v", d)
		}
	}
	for _, category := range []string{"shirts", "dresses", "trainers"} { // one more than the bound
		if d := ask(k, list("1", category), list("2", "made up")); d.Intersection[juncture.Catalogue] != category || len(d.Fresh)+len(d.Warnings) != 0 {
			t.Errorf("%s: %+v", category, d)
		}
	}
	if d := ask(layers.Knowledge{Index: catalogue.NewIndex(0)}, list("1", "hats")); d.Intersection[juncture.Catalogue] != juncture.Unknown || len(d.Warnings) != 1 {
		t.Errorf("a store without products is bounded: %+v", d)
	}
}

// A list of a category with a long path is of what the catalogue sells, though the path is cut: by its last steps.
func TestLongPathsAreStillSold(t *testing.T) {
	path := "home and garden > kitchen and dining > cookware and bakeware > pans"
	index := catalogue.NewIndex(0)
	if err := index.Put(juncture.Product{ID: "pan", Category: path, Stock: 1}); err != nil {
		t.Fatal(err)
	}
	p := folded([]juncture.Event{{ID: "1", Kind: juncture.EventListViewed, Category: path, At: day0()}})
	if v := layers.Describe(p, day0(), layers.Settings{}, layers.Knowledge{Index: index}).Views[juncture.Catalogue]; v.Value != "cookware-and-bakeware-pans" {
		t.Errorf("%+v", v)
	}
}

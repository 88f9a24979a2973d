package catalogue_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/juncture/juncture"
	"github.com/juncture/juncture/layers/catalogue"
)

// store is a small one: shirts go with ties, who views a dress views hats, and a cluster of its own likes hats.
func store(t testing.TB) (*catalogue.Index, *catalogue.Shelf) {
	t.Helper()
	x := index(t, "s1", "s2", "s3", "t1", "t2", "d1", "d2", "h1", "h2", "h3")
	c := catalogue.NewCounts(catalogue.Settings{Support: 3}, 0)
	for i := range 60 {
		at := t0.Add(time.Duration(i) * time.Minute)
		var s catalogue.State
		see := func(cluster string, e *juncture.Event) {
			c.Observe(e, &s, catalogue.Share{Cluster: cluster, Weight: 1})
			s.Fold(e, catalogue.Settings{})
		}
		switch i % 4 {
		case 0:
			see("formal", event(juncture.EventOrderCompleted, at, "s1", "t1"))
		case 1:
			see("formal", event(juncture.EventOrderCompleted, at, "s2", "s3"))
		case 2:
			see("hatters", event(juncture.EventOrderCompleted, at, "h1"))
			see("hatters", event(juncture.EventOrderCompleted, at, "h2"))
		default:
			see("hatters", event(juncture.EventProductViewed, at, "d1"))
			see("hatters", event(juncture.EventProductViewed, at, "h3"))
		}
	}
	return x, c.Shelf(x, t0.Add(time.Hour))
}

func first(picks []catalogue.Pick) string {
	if len(picks) == 0 {
		return ""
	}
	return picks[0].ID + " " + string(picks[0].Source)
}

func TestFillTakesFromWhatIsKnown(t *testing.T) {
	now := t0.Add(time.Hour)
	state := func(es ...*juncture.Event) *catalogue.State {
		var s catalogue.State
		for _, e := range es {
			s.Fold(e, catalogue.Settings{})
		}
		return &s
	}
	_, shelf := store(t)
	for _, c := range []struct {
		what string
		r    catalogue.Request
		want string
	}{
		{"a shirt in the bag", catalogue.Request{Shopper: state(event(juncture.EventProductAdded, t0, "s1"))}, "t1 complements"},
		{"looking at a dress", catalogue.Request{Product: "d1"}, "h3 related"},
		{"bought a hat", catalogue.Request{Shopper: state(event(juncture.EventOrderCompleted, t0, "h1")), Only: []catalogue.Source{catalogue.FromBought}}, "h2 similar"},
		{"of the hatters", catalogue.Request{Clusters: []catalogue.Share{{Cluster: "hatters", Weight: 1}}}, "h1 cluster"},
		{"after dresses", catalogue.Request{Category: "dresses", Within: true}, "d1 category"},
		{"nobody known", catalogue.Request{Only: []catalogue.Source{catalogue.FromStore}}, "h2 trending"},
	} {
		c.r.Now = now
		got := shelf.Fill(3, c.r)
		if c.what == "nobody known" { // six are equal but for the minute
			if len(got) != 3 || got[0].Source != catalogue.FromStore {
				t.Errorf("%s: %+v", c.what, got)
			}
			continue
		}
		if first(got) != c.want {
			t.Errorf("%s: %+v, want %s first", c.what, got, c.want)
		}
		for _, p := range got {
			if p.Why == "" || p.Score <= 0 {
				t.Errorf("%s: %+v", c.what, p)
			}
		}
		if again := shelf.Fill(3, c.r); !cmp.Equal(got, again) {
			t.Errorf("%s: not the same twice: %s", c.what, cmp.Diff(got, again))
		}
	}
}

// What a cluster likes is what its shoppers come to, not what one of them keeps buying: who has it is recommended it no more.
func TestWhatIsBoughtAgainIsNoLike(t *testing.T) {
	x := index(t, "s1", "h1")
	c := catalogue.NewCounts(catalogue.Settings{}, 0)
	var faithful catalogue.State
	for i := range 12 {
		e := event(juncture.EventOrderCompleted, t0.Add(time.Duration(i)*time.Minute), "s1")
		c.Observe(e, &faithful, catalogue.Share{Cluster: "all", Weight: 1})
		faithful.Fold(e, catalogue.Settings{})
	}
	for i := range 3 { // three shoppers against one, 3 orders against 12
		c.Observe(event(juncture.EventOrderCompleted, t0.Add(time.Duration(i)*time.Minute), "h1"), &catalogue.State{}, catalogue.Share{Cluster: "all", Weight: 1})
	}
	r := catalogue.Request{Now: t0.Add(time.Hour), Clusters: []catalogue.Share{{Cluster: "all", Weight: 1}}, Only: []catalogue.Source{catalogue.FromCluster}}
	if got := first(c.Shelf(x, t0.Add(time.Hour)).Fill(2, r)); got != "h1 cluster" {
		t.Errorf("first is %q", got)
	}
	r.Only = []catalogue.Source{catalogue.FromStore}
	if got := first(c.Shelf(x, t0.Add(time.Hour)).Fill(2, r)); got != "s1 trending" {
		t.Errorf("the store's trend counts every order, its first is %q", got)
	}
}

// Of what a cluster likes the nearest to the shopper's own taste come first, by the square; what is not near at all is left out.
func TestOwnTastePicksAmongTheClusters(t *testing.T) {
	_, shelf := store(t)
	r := catalogue.Request{Now: t0.Add(time.Hour), Clusters: []catalogue.Share{{Cluster: "hatters", Weight: 1}}, Only: []catalogue.Source{catalogue.FromCluster}}
	all := shelf.Fill(3, r)
	if len(all) != 3 || all[0].ID != "h1" || all[1].ID != "h2" {
		t.Fatalf("%+v", all)
	}
	r.Near = func(k catalogue.Key) float64 {
		switch k {
		case catalogue.KeyOf("h1"):
			return 0.5
		case catalogue.KeyOf("h2"):
			return 1
		}
		return 0
	}
	got := shelf.Fill(3, r)
	// h1 and h2 are equals to the cluster but for a minute: 0.5^2 of the one against all of the other.
	if len(got) != 2 || got[0].ID != "h2" || got[1].ID != "h1" || got[1].Score/got[0].Score < 0.2 || got[1].Score/got[0].Score > 0.3 {
		t.Errorf("%+v", got)
	}
}

// On a page of a category, or with one in focus, its products come before what trends elsewhere, sold yet or not.
func TestACategoryComesBeforeTheTrend(t *testing.T) {
	x, shelf := store(t)
	for _, id := range []string{"d1"} { // the only dress that anybody looked at
		x.SetStock(id, 0)
	}
	got := shelf.Fill(2, catalogue.Request{Now: t0.Add(time.Hour), Category: "dresses"})
	if len(got) != 2 || got[0].ID != "d2" || got[0].Source != catalogue.FromCategory || got[1].Source != catalogue.FromStore {
		t.Errorf("%+v", got)
	}
}

func TestFillNeverSurfacesWhatItMayNot(t *testing.T) {
	x, shelf := store(t)
	x.SetStock("h1", 0)
	x.Remove("h2")
	p, _ := x.Get("h3")
	hidden := *p
	hidden.Hidden = true
	if err := x.Put(hidden); err != nil {
		t.Fatal(err)
	}
	var s catalogue.State
	s.Fold(event(juncture.EventOrderCompleted, t0, "s1"), catalogue.Settings{})
	s.Fold(event(juncture.EventProductAdded, t0.Add(time.Minute), "t1"), catalogue.Settings{})
	r := catalogue.Request{Now: t0.Add(time.Hour), Shopper: &s, Product: "d1", Exclude: []string{"s3"}, Clusters: []catalogue.Share{{Cluster: "hatters", Weight: 1}},
		Priorities: []juncture.Priority{{ID: "p", Products: []string{"s2", "gone"}, Weight: 1, Expires: t0.Add(24 * time.Hour)}}}
	seen := map[string]int{}
	for _, p := range shelf.Fill(100, r) {
		seen[p.ID]++
	}
	if d := cmp.Diff(map[string]int{"s2": 1, "t2": 1, "d2": 1}, seen); d != "" {
		t.Error(d)
	}
	r.Again = true
	if got := shelf.Fill(100, r); !slices.ContainsFunc(got, func(p catalogue.Pick) bool { return p.ID == "s1" }) {
		t.Errorf("a consumable may come again: %+v", got)
	}
	if got := shelf.Fill(0, r); len(got) != 0 {
		t.Errorf("no slots: %+v", got)
	}
}

func TestPrioritiesNudgeWithinTheBound(t *testing.T) {
	drop := juncture.Priority{ID: "new-drop", Owner: "mia", Why: "new drop", Products: []string{"d2"}, Weight: 1, Starts: &t0, Expires: t0.Add(48 * time.Hour)}
	push := juncture.Priority{ID: "hats", Owner: "mia", Why: "margin push", Category: "Hats & Caps", Weight: 5, Expires: t0.Add(48 * time.Hour)}
	late := juncture.Priority{ID: "late", Products: []string{"d2"}, Weight: 1, Expires: t0}
	raised := juncture.Priority{ID: "an-action", Action: "d2", Category: "hats-caps", Products: []string{"d2"}, Weight: 1, Expires: t0.Add(48 * time.Hour)} // of an action: whatever else it says
	_, shelf := store(t)
	for _, c := range []struct {
		what string
		p    juncture.Priority
		now  time.Time
		id   string
		most float64 // times the score without it
	}{
		{"live", push, t0.Add(time.Hour), "h1", 1.5}, {"expired", late, t0.Add(time.Hour), "d2", 1}, {"not begun", drop, t0.Add(-time.Hour), "d2", 1}, {"over", drop, t0.Add(48 * time.Hour), "d2", 1}, {"of an action", raised, t0.Add(time.Hour), "d2", 1},
	} {
		score := func(priorities ...juncture.Priority) (float64, string) {
			for _, p := range shelf.Fill(20, catalogue.Request{Now: c.now, Priorities: priorities}) {
				if p.ID == c.id {
					return p.Score, p.Priority
				}
			}
			return 0, ""
		}
		was, _ := score()
		got, by := score(c.p)
		if was <= 0 || got/was > c.most+1e-9 || (by != "") != (c.most > 1) || got < was {
			t.Errorf("%s: %v after %v, by %q", c.what, got, was, by)
		}
	}
}

func TestEditorialSuitsTheShopper(t *testing.T) {
	past := t0
	pieces := []juncture.Editorial{{ID: "over", Expires: &past}, {ID: "store"}, {ID: "hats", Category: "Hats & Caps"}, {ID: "formal", Meaning: []string{"formal"}},
		{ID: "hatters", Meaning: []string{"hatters"}}, {ID: "hatters-hats", Meaning: []string{"hatters", "formal"}, Category: "hats caps"}, {ID: "store-2"}}
	near := []catalogue.Share{{Cluster: "hatters", Weight: 0.7}, {Cluster: "formal", Weight: 0.3}}
	for _, c := range []struct {
		what, category string
		clusters       []catalogue.Share
		n              int
		want           string
	}{
		{"nothing known", "", nil, 9, "store store-2"},
		{"of a category", "hats-caps", nil, 9, "hats store store-2"},
		{"of clusters, the nearest first", "", near, 9, "hatters formal store store-2"},
		{"of both: 2.7, 1.7, 1.3, 1, 0, 0", "hats-caps", near, 9, "hatters-hats hatters formal hats store store-2"},
		{"no more than asked for", "hats-caps", near, 2, "hatters-hats hatters"},
		{"none asked for", "hats-caps", near, 0, ""},
	} {
		var got []string
		for _, e := range catalogue.PickEditorial(pieces, c.n, c.category, c.clusters, t0) {
			got = append(got, e.ID)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, want %s", c.what, got, c.want)
		}
	}
}

func TestCrossSells(t *testing.T) {
	_, shelf := store(t)
	var got []string
	for _, c := range shelf.CrossSells(10) {
		got = append(got, fmt.Sprintf("%s+%s %.1f", c.Product, c.With, c.Lift))
	}
	// Of 60 orders 15 have s1 and t1, 15 have s2 and s3: 15 * 60 / (15 * 15) = 4.
	if strings.Join(got, ", ") != "s1+t1 4.0, s2+s3 4.0" && strings.Join(got, ", ") != "s2+s3 4.0, s1+t1 4.0" {
		t.Errorf("%v", got)
	}
}

func TestCountsAreBounded(t *testing.T) {
	set := catalogue.Settings{Neighbours: 4, Support: 1e-9, Lift: 1e-9}
	c := catalogue.NewCounts(set, 300)
	x := catalogue.NewIndex(0)
	for i := range 400 {
		if err := x.Put(juncture.Product{ID: fmt.Sprint("s", i), Stock: 1}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 1000 { // three thousand days: the clocks are set on many times
		e := event(juncture.EventOrderCompleted, t0.Add(time.Duration(i)*72*time.Hour), "s0")
		for j := range 40 {
			e.Lines = append(e.Lines, juncture.Line{Product: fmt.Sprint("s", (i*7+j)%400)})
		}
		c.Observe(e, &catalogue.State{}, catalogue.Share{Cluster: fmt.Sprint(i), Weight: 1})
	}
	shelf := c.Shelf(x, t0.Add(3000*24*time.Hour))
	per := map[string]int{}
	for _, p := range shelf.CrossSells(1 << 20) {
		if p.Lift < 0 || p.Lift > 1e6 {
			t.Fatalf("%+v", p)
		}
		per[p.Product]++
	}
	if len(shelf.Fill(10, catalogue.Request{Now: t0.Add(3000 * 24 * time.Hour)})) != 10 || len(per) > 300 {
		t.Errorf("%d products in pairs", len(per))
	}
}

func BenchmarkFold(b *testing.B) {
	var s catalogue.State
	e := event(juncture.EventProductViewed, t0, "s1")
	ids := make([]string, 50)
	for i := range ids {
		ids[i] = fmt.Sprint("s", i)
	}
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		e.At, e.Lines[0].Product = e.At.Add(time.Minute), ids[i%50]
		i++
		s.Fold(e, catalogue.Settings{})
	}
}

// BenchmarkFill answers for a shopper with everything: a bag, views, 128 products bought, eight clusters.
func BenchmarkFill(b *testing.B) {
	var ids []string
	for i := range 4000 {
		ids = append(ids, fmt.Sprint([]string{"s", "t", "d", "h"}[i%4], i))
	}
	x := index(b, ids...)
	c := catalogue.NewCounts(catalogue.Settings{}, 0)
	var last catalogue.State
	for i := range 3000 {
		var s catalogue.State
		at := t0.Add(time.Duration(i) * time.Minute)
		for j := range 8 {
			e := event(juncture.EventProductViewed, at, ids[(i*13+j*j)%4000])
			c.Observe(e, &s, catalogue.Share{Cluster: fmt.Sprint(i % 100), Weight: 1})
			s.Fold(e, catalogue.Settings{})
		}
		for j := range 16 {
			e := event(juncture.EventOrderCompleted, at, ids[(i*13+j)%4000], ids[(i*13+j*j)%4000], ids[(i+j)%4000])
			c.Observe(e, &s, catalogue.Share{Cluster: fmt.Sprint(i % 100), Weight: 1})
			s.Fold(e, catalogue.Settings{})
		}
		s.Fold(event(juncture.EventProductAdded, at.Add(time.Second), ids[i%4000]), catalogue.Settings{})
		if len(s.Bought) > len(last.Bought) {
			last = s
		}
	}
	shelf := c.Shelf(x, t0.Add(3000*time.Minute))
	r := catalogue.Request{Now: t0.Add(3001 * time.Minute), Shopper: &last, Near: func(k catalogue.Key) float64 { return float64(k%1000) / 1000 }}
	for i := range 8 {
		r.Clusters = append(r.Clusters, catalogue.Share{Cluster: fmt.Sprint(i), Weight: 0.125})
	}
	b.ReportAllocs()
	for b.Loop() {
		if len(shelf.Fill(6, r)) != 6 {
			b.Fatal("too few")
		}
	}
}

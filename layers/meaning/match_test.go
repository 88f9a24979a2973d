package meaning_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/layers/meaning"
)

func refit(t *testing.T, products []*juncture.Product, k int, seed uint64) (*meaning.Model, []meaning.Taste) {
	t.Helper()
	space := meaning.NewSpace(slices.Values(products), meaning.SpaceOptions{})
	shoppers := tastes(goods(space, products), crowd(products, 300, 11))
	m, err := meaning.Fit(context.Background(), space, vectors(shoppers), meaning.Options{K: k, Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	return m, shoppers
}

func ids(m *meaning.Model) map[string]string {
	out := map[string]string{}
	for _, c := range m.Clusters {
		out[c.ID] = c.Name
	}
	return out
}

func TestIDsSurviveARefitWithAnotherCatalogue(t *testing.T) {
	old, _ := fitted(t, garments(), meaning.Options{K: 3, Seed: 1})
	first := old.Clusters[0].ID
	named, err := old.Rename(first, "The favourites")
	if err != nil {
		t.Fatal(err)
	}
	named, err = named.With(first, nil, &meaning.Voice{Tone: "warm", Use: []string{"glow"}})
	if err != nil {
		t.Fatal(err)
	}
	changed := garments()
	for i, p := range changed { // prices rise, a new attribute, every third product is replaced
		p.Price = p.Price*5/4 + 1
		p.Attrs["material"] = []string{"cotton", "silk"}[i%2]
		if i%3 == 0 {
			p.ID += "-new"
		}
	}
	fresh, _ := refit(t, changed, 3, 99)
	next, mt := meaning.Match(named, fresh)
	if len(mt.Kept) != 3 || len(mt.New) != 0 || len(mt.Retired) != 0 {
		t.Fatalf("%+v", mt)
	}
	for id := range ids(old) {
		if _, ok := next.Cluster(id); !ok {
			t.Errorf("%s is gone", id)
		}
	}
	if c, _ := next.Cluster(first); c.Name != "The favourites" || c.Voice.Tone != "warm" || !c.Renamed {
		t.Errorf("name and voice did not carry over: %+v", c)
	}
	before, after := goods(named.Space, changed), goods(next.Space, changed)
	both := func(yield func(meaning.Vector, meaning.Vector) bool) {
		for _, s := range crowd(changed, 300, 11) {
			if !yield(before.Taste(s, meaning.Settings{}).Vector, after.Taste(s, meaning.Settings{}).Vector) {
				return
			}
		}
	}
	if moved, of := meaning.Moved(named, next, both); of != 300 || moved > 6 {
		t.Errorf("%d of %d shoppers moved", moved, of)
	}
}

func TestRetiredIDsNeverComeBack(t *testing.T) {
	three, _ := fitted(t, garments(), meaning.Options{K: 3, Seed: 1})
	few, _ := refit(t, garments()[:40], 2, 2)
	two, mt := meaning.Match(three, few)
	if len(mt.Retired) != 1 {
		t.Fatalf("%+v", mt)
	}
	gone := mt.Retired[0]
	again, _ := refit(t, garments(), 3, 3)
	back, mt := meaning.Match(two, again)
	if _, ok := back.Cluster(gone); ok || len(mt.New) != 1 || !slices.Contains(back.Retired, gone) {
		t.Errorf("%s came back: %v, %+v", gone, ids(back), mt)
	}
}

func TestSettleDoesNotFlicker(t *testing.T) {
	m, shoppers := fitted(t, garments(), meaning.Options{K: 3, Seed: 1})
	v := shoppers[0].Vector
	a, _ := m.Assign(v)
	for _, c := range m.Clusters {
		if c.ID == a.ID {
			continue
		}
		if got, _ := m.Settle(c.ID, v, 0.02); got.ID != a.ID {
			t.Errorf("stays in %s although %s is far nearer", c.ID, a.ID)
		}
		if got, _ := m.Settle(c.ID, v, 2); got.ID != c.ID || got.Margin != 0 {
			t.Errorf("leaves %s for less than the slack: %+v", c.ID, got)
		}
	}
}

func TestRename(t *testing.T) {
	m, _ := fitted(t, garments(), meaning.Options{K: 3, Seed: 1})
	a, b := m.Clusters[0], m.Clusters[1]
	if _, err := m.Rename(a.ID, b.Name); err == nil {
		t.Error("two clusters of one name")
	}
	if _, err := m.Rename("nobody", "x"); err == nil {
		t.Error("no such cluster")
	}
	if _, err := m.Rename(a.ID, " "); err == nil {
		t.Error("an empty name")
	}
	out, err := m.Rename(a.ID, "Evening")
	if c, ok := out.Cluster(a.ID); err != nil || !ok || c.Name != "Evening" || m.Clusters[0].Name == "Evening" {
		t.Errorf("%v %+v", err, c)
	}
}

func TestAdjustedRand(t *testing.T) {
	// {1,2},{3,4} against {1,2,3},{4}: both 1, in a 2, in b 3, total 6, chance 1, most 2.5: (1-1)/(2.5-1) = 0.
	for _, c := range []struct {
		a, b string
		want float64
	}{{"xxyy", "uuvv", 1}, {"xxyy", "uuuv", 0}, {"xxyy", "uvuv", -0.5}, {"xyyzz", "xyyzz", 1}, {"xxx", "xxx", math.NaN()}, {"", "", math.NaN()}} {
		split := func(s string) (out []string) {
			for _, r := range s {
				out = append(out, string(r))
			}
			return
		}
		if got := meaning.AdjustedRand(split(c.a), split(c.b)); math.Abs(got-c.want) > 1e-12 || math.IsNaN(got) != math.IsNaN(c.want) {
			t.Errorf("%s %s: %v, want %v", c.a, c.b, got, c.want)
		}
	}
}

func TestModelCodec(t *testing.T) {
	m, shoppers := fitted(t, garments(), meaning.Options{K: 3, Seed: 1})
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var back meaning.Model
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	for _, s := range shoppers {
		x, _ := m.Assign(s.Vector)
		y, _ := back.Assign(s.Vector)
		if x != y {
			t.Fatalf("%+v is %+v after a round", x, y)
		}
	}
}

func FuzzModel(f *testing.F) {
	m, _ := fitted(f, garments(), meaning.Options{K: 3, Seed: 1})
	b, _ := json.Marshal(m)
	f.Add(b)
	f.Add([]byte(`{"version":1,"space":{"attributes":[],"cuts":null,"products":0},"clusters":[]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var m meaning.Model
		if json.Unmarshal(b, &m) != nil {
			return
		}
		v := meaning.Vector{}
		for d := range min(m.Space.Dim(), 3) {
			v.Dims, v.Values = append(v.Dims, int32(d)), append(v.Values, 0.5)
		}
		m.Assign(v)
		once, err := json.Marshal(&m)
		if err != nil {
			t.Fatal(err)
		}
		var again meaning.Model
		if err := json.Unmarshal(once, &again); err != nil {
			t.Fatalf("%v\n%s", err, once)
		}
		if twice, _ := json.Marshal(&again); string(twice) != string(once) {
			t.Fatalf("%s\n%s", once, twice)
		}
	})
}

// steady refits on n shoppers and on one more each time, and holds every refit to what it keeps: no id is retired, under
// one in twenty moves. Once in the ten the number of clusters may take a step, for which one in ten may move.
func steady(t *testing.T, space *meaning.Space, vs []meaning.Vector, n int) {
	t.Helper()
	var m *meaning.Model
	var ks []int
	worst, steps := 0.0, 0
	for i := n; i <= len(vs); i++ {
		keys := make([]uint64, i)
		for j := range keys {
			keys[j] = meaning.KeyOf(fmt.Sprint("shopper-", j))
		}
		fitted, err := meaning.Fit(context.Background(), space, vs[:i], meaning.Options{Seed: 1, Workers: 2, Start: m, Keys: keys})
		if err != nil {
			t.Fatal(err)
		}
		next, mt := meaning.Match(m, fitted)
		if m != nil {
			moved, of := meaning.Moved(m, next, func(yield func(meaning.Vector, meaning.Vector) bool) {
				for _, v := range vs[:i] {
					if !yield(v, v) {
						return
					}
				}
			})
			worst = max(worst, float64(moved)/float64(of))
			most := 0.05
			if len(mt.New) > 0 {
				most = 0.1
				steps++
			}
			if len(mt.Retired) != 0 || steps > 1 || float64(moved) >= most*float64(of) {
				t.Errorf("%d shoppers: %d of %d moved, retired %v, new %v", i, moved, of, mt.Retired, mt.New)
				for _, tr := range next.Trials {
					t.Logf("    k %3d: foretells %.4f ± %.4f, gain %.4f ± %.4f", tr.K, tr.Foretold, tr.Error, tr.Gain, tr.GainError)
				}
			}
		} else {
			for _, tr := range next.Trials {
				t.Logf("    k %3d: foretells %.4f ± %.4f, gain %.4f ± %.4f", tr.K, tr.Foretold, tr.Error, tr.Gain, tr.GainError)
			}
		}
		for _, c := range next.Clusters {
			if c.Size < meaning.MinSize(i) && (i == n || 2*c.Size < meaning.MinSize(i)) {
				t.Errorf("%d shoppers: %s has %d", i, c.ID, c.Size)
			}
		}
		ks = append(ks, len(next.Clusters))
		m = next
	}
	t.Logf("from %d shoppers on: %v clusters; at most %.1f%% move at a refit", n, ks, 100*worst)
}

// The same shoppers and one more, ten times, in a small shop: nothing changes hands.
func TestClustersStayWhenShoppersCome(t *testing.T) {
	products := garments()
	space := meaning.NewSpace(slices.Values(products), meaning.SpaceOptions{})
	for _, n := range []int{60, 150, 400} {
		steady(t, space, vectors(tastes(goods(space, products), crowd(products, n+10, 21))), n)
	}
}

// A cluster that a person named or gave a voice stays while it has a shopper, whatever the fit would rather have; one that
// nobody spoke for goes.
func TestNamedClustersAreNotRetired(t *testing.T) {
	products := garments()
	space := meaning.NewSpace(slices.Values(products), meaning.SpaceOptions{})
	g := goods(space, products)
	of := func(category string, n int) (out []meaning.Vector) {
		for i := range n {
			out = append(out, g.Taste(touch(juncture.EventProductViewed, t0, fmt.Sprint(category, "-", i%20), fmt.Sprint(category, "-", (i+7)%20)), meaning.Settings{}).Vector)
		}
		return out
	}
	fit := func(start *meaning.Model, k int, crowds ...[]meaning.Vector) (*meaning.Model, meaning.Matching) {
		m, err := meaning.Fit(context.Background(), space, slices.Concat(crowds...), meaning.Options{K: k, Seed: 1, Start: start})
		if err != nil {
			t.Fatal(err)
		}
		return meaning.Match(start, m)
	}
	old, _ := fit(nil, 3, of("dresses", 60), of("shirts", 60), of("trainers", 20))
	if len(old.Clusters) != 3 {
		t.Fatalf("%v", ids(old))
	}
	small := old.Clusters[2].ID
	if !strings.Contains(small, "trainers") {
		t.Fatalf("the smallest is %s", small)
	}
	named, err := old.Rename(small, "Runners")
	if err != nil {
		t.Fatal(err)
	}
	voiced, err := old.With(small, nil, &meaning.Voice{Tone: "brisk"})
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		start *meaning.Model
		few   int
		stays bool
	}{"named, one shopper left": {named, 1, true}, "voiced, one shopper left": {voiced, 1, true}, "nobody spoke for it, four left": {old, 4, false},
		"nobody spoke for it, half of ten left": {old, 5, true}, "named, nobody left": {named, 0, false}} {
		next, mt := fit(c.start, 3, of("dresses", 60), of("shirts", 60), of("trainers", c.few))
		got, ok := next.Cluster(small)
		if ok != c.stays || slices.Contains(mt.Retired, small) == c.stays || ok && got.Size != c.few {
			t.Errorf("%s: %v, %+v", what, ids(next), mt)
		}
		if ok && (got.Renamed != (c.start == named) || got.Renamed && got.Name != "Runners" || c.start == voiced && got.Voice.Tone != "brisk") {
			t.Errorf("%s: %+v", what, got)
		}
	}
	// Fewer clusters are asked for: the named one stays beside them, and the largest lives on.
	next, mt := fit(named, 2, of("dresses", 90), of("shirts", 40), of("trainers", 12))
	if _, ok := next.Cluster(small); !ok {
		t.Errorf("%v, %+v", ids(next), mt)
	}
}

// A new cluster has ten shoppers or 0.2% of them; smaller ones are part of their neighbours.
func TestClustersAreNotTooSmall(t *testing.T) {
	products := garments()
	m, shoppers := fitted(t, products, meaning.Options{K: 60, Seed: 1})
	total := 0
	for _, c := range m.Clusters {
		if total += c.Size; c.Size < 10 {
			t.Errorf("%s has %d shoppers", c.ID, c.Size)
		}
	}
	if total != len(shoppers) || len(m.Clusters) < 3 {
		t.Errorf("%d of %d shoppers in %d clusters", total, len(shoppers), len(m.Clusters))
	}
	for n, want := range map[int]int{1: 10, 5000: 10, 5001: 11, 100_000: 200} {
		if got := meaning.MinSize(n); got != want {
			t.Errorf("of %d shoppers %d, want %d", n, got, want)
		}
	}
}

func TestTheAutomaticNameComesBack(t *testing.T) {
	m, _ := fitted(t, garments(), meaning.Options{K: 3, Seed: 1})
	c := m.Clusters[0]
	named, err := m.Rename(c.ID, "Evening")
	if err != nil {
		t.Fatal(err)
	}
	b, _ := json.Marshal(named) // and after it was kept
	var kept meaning.Model
	if err := json.Unmarshal(b, &kept); err != nil {
		t.Fatal(err)
	}
	again, _ := refit(t, garments(), 3, 5)
	matched, _ := meaning.Match(&kept, again) // and learnt again
	none := ""
	for what, of := range map[string]*meaning.Model{"named": named, "kept": &kept} {
		back, err := of.With(c.ID, &none, nil)
		if got, _ := back.Cluster(c.ID); err != nil || got.Name != c.Name || got.Renamed {
			t.Errorf("%s: %v, %+v, want %q", what, err, got, c.Name)
		}
	}
	back, err := matched.With(c.ID, &none, nil)
	if got, _ := back.Cluster(c.ID); err != nil || got.Name == "Evening" || got.Name == "" || got.Renamed {
		t.Errorf("learnt again: %v, %+v", err, got)
	}
	if same, err := named.With(c.ID, nil, nil); err != nil || same.Clusters[0].Name != "Evening" || !same.Clusters[0].Renamed {
		t.Errorf("left alone: %v, %+v", err, same.Clusters[0])
	}
	if _, err := m.With("nobody", &none, nil); juncture.ErrorCode(err) != juncture.CodeNotFound {
		t.Errorf("an unknown cluster: %v", err)
	}
	taken, err := named.Rename(m.Clusters[1].ID, c.Name) // another took the automatic name meanwhile
	if err != nil {
		t.Fatal(err)
	}
	back, err = taken.With(c.ID, &none, nil)
	if got, _ := back.Cluster(c.ID); err != nil || got.Name != c.Name+" (2)" {
		t.Errorf("taken: %v, %+v", err, got)
	}
}

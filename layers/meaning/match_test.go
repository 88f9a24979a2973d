package meaning_test

import (
	"context"
	"encoding/json"
	"math"
	"slices"
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
	named, err = named.With(first, "", &meaning.Voice{Tone: "warm", Use: []string{"glow"}})
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

package juncture_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	. "github.com/juncture/juncture"
)

func TestParseIntersectionTakesCanonicalKeysOnly(t *testing.T) {
	long := strings.Repeat("a", MaxLayerValue)
	for _, c := range []struct {
		key  string
		want Intersection // the zero one: refused
	}{
		{"v1/_/_/_/_", Intersection{"_", "_", "_", "_"}},
		{"v1/loyal.at-risk._/c12/high.rising/dresses", Intersection{"loyal.at-risk._", "c12", "high.rising", "dresses"}},
		{"v1/" + long + "/0/a_b/-", Intersection{long, "0", "a_b", "-"}},
		{"", Intersection{}},
		{"v1", Intersection{}},
		{"v1/", Intersection{}},
		{"v1/a/b/c", Intersection{}},
		{"v1/a/b/c/", Intersection{}},
		{"v1/a/b/c/d/", Intersection{}},
		{"v1/a/b/c/d/e", Intersection{}},
		{"v1//b/c/d", Intersection{}},
		{"/v1/a/b/c/d", Intersection{}},
		{"v2/a/b/c/d", Intersection{}},
		{"V1/a/b/c/d", Intersection{}},
		{"v1/A/b/c/d", Intersection{}},
		{"v1/a b/b/c/d", Intersection{}},
		{"v1/é/b/c/d", Intersection{}},
		{"v1/a/b/c/d\n", Intersection{}},
		{"v1/a/b/c/\x00", Intersection{}},
		{"v1/" + long + "a/b/c/d", Intersection{}},
	} {
		x, err := ParseIntersection(c.key)
		if c.want == (Intersection{}) {
			if ErrorCode(err) != CodeInvalidRequest {
				t.Errorf("%.90q: %v, %v; want it refused", c.key, x, err)
			}
			continue
		}
		if err != nil || x != c.want || x.Key() != c.key {
			t.Errorf("%.90q: %v (%s), %v", c.key, x, x.Key(), err)
		}
	}
}

func TestKnownTiersAndRungs(t *testing.T) {
	for _, c := range []struct {
		x     Intersection
		tier  Tier
		rungs string // keys without version, broadest first
	}{
		{Intersection{}, TierStore, "_/_/_/_"},
		{Intersection{"_", "_", "_", "_"}, TierStore, "_/_/_/_"},
		{Intersection{"_._._", "_", "_._", "_"}, TierStore, "_/_/_/_"}, // no axis known: not a rung
		{Intersection{"loyal._._", "", "", ""}, TierMoment, "_/_/_/_ loyal._._/_/_/_"},
		{Intersection{"a", "b", "c", "d"}, TierFull, "_/_/_/_ a/_/_/_ a/b/_/_ a/b/c/_ a/b/c/d"},
		{Intersection{"a", "_", "c", "d"}, TierMoment, "_/_/_/_ a/_/_/_ a/_/c/_ a/_/c/d"}, // a gap ends the tier, not the ladder
		{Intersection{"_", "b", "_", "_"}, TierStore, "_/_/_/_ _/b/_/_"},
	} {
		if got := c.x.Tier(); got != c.tier {
			t.Errorf("%v: tier %v, want %v", c.x, got, c.tier)
		}
		var keys []string
		for _, r := range c.x.Rungs() {
			keys = append(keys, strings.TrimPrefix(r.Key(), "v1/"))
		}
		if got := strings.Join(keys, " "); got != c.rungs {
			t.Errorf("%v: rungs %s, want %s", c.x, got, c.rungs)
		}
	}
}

func TestAxes(t *testing.T) {
	x := Intersection{"first-time.cart-abandoned", "a.b", "_.rising", ""}
	for name, want := range map[string]string{
		"moment": "first-time.cart-abandoned", "lifecycle": "first-time", "status": "cart-abandoned", "mode": "_",
		"meaning": "a.b", "trajectory": "_.rising", "latent": "_", "live": "rising", "catalogue": "_", "category": "_",
	} {
		if got, ok := x.AxisNamed(name); !ok || got != want {
			t.Errorf("axis %s is %q, %v; want %q", name, got, ok, want)
		}
	}
	if _, ok := x.AxisNamed("mood"); ok {
		t.Error("there is no axis mood")
	}
	if want := []string{"lifecycle", "status", "mode", "meaning", "latent", "live", "category"}; !slices.Equal(AxisNames(), want) {
		t.Errorf("axes %v, want %v", AxisNames(), want)
	}
}

func TestNamesOfLayersAndTiersRoundTrip(t *testing.T) {
	for _, l := range Layers() {
		if got, ok := ParseLayer(l.String()); !ok || got != l {
			t.Errorf("layer %v: %v, %v", l, got, ok)
		}
	}
	for tier := TierStore; tier <= TierFull; tier++ {
		if got, ok := ParseTier(tier.String()); !ok || got != tier {
			t.Errorf("tier %v: %v, %v", tier, got, ok)
		}
	}
	for _, bad := range []string{"", "Moment", "full "} {
		_, layer := ParseLayer(bad)
		_, tier := ParseTier(bad)
		if layer || tier {
			t.Errorf("%q names something", bad)
		}
	}
}

// layerValue draws a valid value, often unknown, often with dots.
func layerValue() *rapid.Generator[string] {
	return rapid.OneOf(rapid.SampledFrom([]string{"_", "_._", "loyal.at-risk._", "c1", "high.rising"}), rapid.StringMatching(`[a-z0-9._-]{1,64}`))
}

func intersections() *rapid.Generator[Intersection] {
	return rapid.Custom(func(t *rapid.T) Intersection {
		var x Intersection
		for i := range x {
			x[i] = layerValue().Draw(t, Layer(i).String())
		}
		return x
	})
}

func TestKeysRoundTripAndLaddersNarrow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := intersections().Draw(t, "intersection")
		back, err := ParseIntersection(x.Key())
		if err != nil || back != x {
			t.Fatalf("%v came back as %v, %v", x, back, err)
		}
		rungs := x.Rungs()
		for i, r := range rungs {
			if r.Tier() > x.Tier() {
				t.Fatalf("rung %v is deeper than %v", r, x)
			}
			for l, v := range r {
				if v != Unknown && v != x[l] {
					t.Fatalf("rung %v has a layer that %v has not", r, x)
				}
				if i > 0 && rungs[i-1][l] != Unknown && rungs[i-1][l] != v {
					t.Fatalf("rung %v does not narrow %v", r, rungs[i-1])
				}
			}
		}
		if again := rungs[len(rungs)-1].Rungs(); !slices.Equal(again, rungs) {
			t.Fatalf("the last rung has another ladder: %v, not %v", again, rungs)
		}
		ceiling := Tier(rapid.IntRange(0, int(TierFull)).Draw(t, "ceiling"))
		y := x.Ceiling(ceiling)
		if y.Tier() > ceiling || y.Ceiling(ceiling) != y {
			t.Fatalf("ceiling %v makes %v", ceiling, y)
		}
		for l, v := range y {
			if l < int(ceiling) && v != x[l] || l >= int(ceiling) && v != Unknown {
				t.Fatalf("ceiling %v makes %v of %v", ceiling, y, x)
			}
		}
	})
}

func FuzzParseIntersection(f *testing.F) {
	for _, seed := range []string{"v1/_/_/_/_", "v1/loyal.at-risk._/c12/high.rising/dresses", "v1/a/b/c", "v1//", "v1/a/b/c/d/e", "v2/a/b/c/d", "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, key string) {
		x, err := ParseIntersection(key)
		if err != nil {
			if ErrorCode(err) != CodeInvalidRequest {
				t.Fatalf("%q: %v", key, err)
			}
			return
		}
		if x.Key() != key {
			t.Fatalf("%q is written %q", key, x.Key())
		}
		if rungs := x.Rungs(); len(rungs) == 0 || len(rungs) > LayerCount+1 {
			t.Fatalf("%q has %d rungs", key, len(rungs))
		}
	})
}

package layers_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/layers"
)

func sent(most int) map[string]juncture.LayerSetting {
	return map[string]juncture.LayerSetting{"moment": {Source: juncture.SourceRequest}, "meaning": {Source: juncture.SourceRequest, MaxValues: most},
		"trajectory": {Source: juncture.SourceDerived}}
}

func TestCompose(t *testing.T) {
	for _, c := range []struct {
		what     string
		sent     *juncture.LayerValues
		want     juncture.Intersection
		warnings string // the layers warned of
		fresh    int
	}{
		{"nothing sent", nil, juncture.Intersection{"_", "_", "_", "_"}, "", 0},
		{"all sent", &juncture.LayerValues{Moment: "loyal", Meaning: "c2", Trajectory: "high.rising", Catalogue: "x"}, juncture.Intersection{"loyal", "c2", "_", "_"}, "trajectory catalogue", 2},
		{"a known value", &juncture.LayerValues{Meaning: "c1"}, juncture.Intersection{"_", "c1", "_", "_"}, "", 0},
		{"unknown by its own word", &juncture.LayerValues{Moment: "_._._", Meaning: "_"}, juncture.Intersection{"_", "_", "_", "_"}, "", 0},
		{"partly known", &juncture.LayerValues{Moment: "loyal._._"}, juncture.Intersection{"loyal._._", "_", "_", "_"}, "", 1},
		{"malformed", &juncture.LayerValues{Moment: "Loyal", Meaning: "a/b"}, juncture.Intersection{"_", "_", "_", "_"}, "moment meaning", 0},
	} {
		values := layers.NewValues([]juncture.LayerValue{{Layer: juncture.Meaning, Value: "c1"}})
		d := layers.Compose(sent(3), c.sent, nil, values, layers.TrustAll)
		var about []string
		for _, w := range d.Warnings {
			about = append(about, strings.TrimSuffix(strings.TrimPrefix(strings.Fields(w)[0], "layers."), ":"))
		}
		if d.Intersection != c.want || strings.Join(about, " ") != c.warnings || len(d.Fresh) != c.fresh {
			t.Errorf("%s: %v, warnings %q, fresh %v", c.what, d.Intersection, d.Warnings, d.Fresh)
		}
		for i, v := range d.Views {
			if v.Value != d.Intersection[i] || v.Reason == "" || (v.Confidence > 0) != (v.Value != "_") {
				t.Errorf("%s: %+v", c.what, v)
			}
		}
	}
}

func TestValuesAreBounded(t *testing.T) {
	values := layers.NewValues(nil)
	ask := func(v string) layers.Described {
		return layers.Compose(sent(2), &juncture.LayerValues{Meaning: v}, nil, values, layers.TrustAll)
	}
	a, b, c := ask("a"), ask("b"), ask("c")
	if a.Intersection[1] != "a" || b.Intersection[1] != "b" || c.Intersection[1] != "_" || len(c.Warnings) != 1 || len(c.Fresh) != 0 {
		t.Errorf("%+v %+v %+v", a, b, c)
	}
	if again := ask("a"); again.Intersection[1] != "a" || len(again.Fresh) != 0 {
		t.Errorf("%+v", again)
	}
	values.Forget(b.Fresh)
	if c := ask("c"); c.Intersection[1] != "c" || len(c.Fresh) != 1 {
		t.Errorf("after one was forgotten: %+v", c)
	}
	if b := ask("b"); b.Intersection[1] != "_" {
		t.Errorf("%+v", b)
	}
}

func TestConcurrentValuesStayWithinTheBound(t *testing.T) {
	values := layers.NewValues(nil)
	var mu sync.Mutex
	known, fresh := map[string]bool{}, 0
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			d := layers.Compose(sent(10), &juncture.LayerValues{Meaning: fmt.Sprint("v", i%32)}, nil, values, layers.TrustAll)
			mu.Lock()
			defer mu.Unlock()
			fresh += len(d.Fresh)
			if d.Intersection[1] != "_" {
				known[d.Intersection[1]] = true
			}
		})
	}
	wg.Wait()
	if len(known) != 10 || fresh != 10 {
		t.Errorf("%d values, %d of them fresh; want 10 and 10", len(known), fresh)
	}
}

func TestVocabularies(t *testing.T) {
	for axis, want := range map[string]string{
		"lifecycle": "prospect first-time returning loyal", "status": "browsing cart-abandoned checkout-abandoned freshly-converted at-risk dormant",
		"mode": "researching considering", "latent": "low building high fading", "live": "none rising steady falling", "meaning": "", "category": "", "mood": "",
	} {
		got := layers.Vocabulary(axis)
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v", axis, got)
		}
		for _, v := range got {
			if !juncture.ValidLayerValue(v) || strings.Contains(v, ".") || !juncture.Known(v) {
				t.Errorf("%s: %q cannot be an axis's value", axis, v)
			}
		}
		if slices.Contains(juncture.AxisNames(), axis) == (axis == "mood") {
			t.Errorf("%s is an axis: %v", axis, slices.Contains(juncture.AxisNames(), axis))
		}
	}
}

package console

import (
	"fmt"
	"testing"

	"github.com/juncture/juncture"
)

func TestMixSplitsAxes(t *testing.T) {
	m := mix{counts: []juncture.ValueCount{{What: "moment", Value: "loyal.at-risk._", Shoppers: 5}, {What: "moment", Value: "loyal.browsing.considering", Shoppers: 7}, {What: "moment", Value: "vip", Shoppers: 2}, {What: "moment", Value: "_", Shoppers: 1},
		{What: "trajectory", Value: "high.rising", Shoppers: 3}, {What: "catalogue", Value: "dresses", Shoppers: 4}, {What: "window", Value: "new", Shoppers: 6}, {What: "posture", Value: "", Shoppers: 8}}}
	of, trials, _ := m.tallies()
	for what, want := range map[string]string{"lifecycle": "map[_:1 loyal:12 vip:2]", "status": "map[_:3 at-risk:5 browsing:7]", "mode": "map[_:8 considering:7]",
		"latent": "map[high:3]", "live": "map[rising:3]", "category": "map[dresses:4]", "window": "map[new:6]", "posture": "map[_:8]", "moment": "map[]"} {
		got := map[string]int64{}
		for v, n := range of[what] {
			got[v] = n.shoppers
		}
		if s := fmt.Sprint(got); s != want {
			t.Errorf("%s: %s, want %s", what, s, want)
		}
	}
	if trials != 0 {
		t.Errorf("%d decisions", trials)
	}
	counts := map[string]tally{juncture.Unknown: {shoppers: 1}}
	for i := range 40 {
		counts[fmt.Sprintf("c%02d", i)] = tally{shoppers: int64(100 - i)}
	}
	a := newAxisTable("category", counts, nil)
	if len(a.Lines) != valuesLimit || a.More != 21 || a.Lines[0].Value != "c00" || a.Lines[valuesLimit-1].Value != juncture.Unknown || len(a.Figures) != 2 {
		t.Errorf("%d lines, %d more, %d figures, %+v", len(a.Lines), a.More, len(a.Figures), a.Lines)
	}
}

// Decisions are spread over the axes of what they were made at.
func TestSpread(t *testing.T) {
	p := &layersPage{}
	p.spread(mix{cells: []juncture.Cell{
		{Intersection: juncture.Intersection{"loyal.browsing._", "a.b", "_", "_"}, Rows: []juncture.CellRow{{Group: juncture.GroupPolicy, Tally: juncture.Tally{Trials: 60}},
			{Event: "click", Tally: juncture.Tally{Trials: 9, Outcomes: 9}}}},
		{Intersection: juncture.Intersection{"prospect.browsing._", "_", "_", "_"}, Rows: []juncture.CellRow{{Group: juncture.GroupHoldout, Tally: juncture.Tally{Trials: 40}}}},
		{Intersection: juncture.Intersection{"returning", "_", "_", "_"}},
	}}, nil)
	if p.Trials != 100 || p.Intersections != 2 {
		t.Errorf("%d decisions at %d intersections", p.Trials, p.Intersections)
	}
	lifecycle, meaning := p.Layers[0].Axes[0].Lines, p.Layers[1].Axes[0].Lines
	if len(lifecycle) != 2 || lifecycle[0] != (axisLine{Value: "loyal", Title: "Loyal", Trials: 60, Share: 0.6, Bar: 1}) || lifecycle[1].Share != 0.4 {
		t.Errorf("lifecycle: %+v", lifecycle)
	}
	if len(meaning) != 2 || meaning[0].Title != "A.b" || meaning[1].Title != "Unknown" {
		t.Errorf("meaning: %+v", meaning)
	}
}

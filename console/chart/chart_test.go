package chart

import (
	"encoding/xml"
	"flag"
	"html/template"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares a figure with its file, and checks what holds of every figure.
func golden(t *testing.T, name string, got template.HTML) {
	t.Helper()
	wellFormed(t, string(got))
	path := filepath.Join("testdata", name+".svg")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test ./console/chart -update)", err)
	}
	if string(want) != string(got) {
		t.Errorf("%s differs; look at it, then go test ./console/chart -update\n%s", path, got)
	}
}

// wellFormed reads the figure as XML and refuses what the content security policy would block.
func wellFormed(t *testing.T, got string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(got))
	for {
		tok, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%v in %s", err, got)
		}
		if e, ok := tok.(xml.StartElement); ok {
			if e.Name.Local == "style" || e.Name.Local == "script" {
				t.Errorf("element %s", e.Name.Local)
			}
			for _, a := range e.Attr {
				if a.Name.Local == "style" || strings.HasPrefix(a.Name.Local, "on") {
					t.Errorf("attribute %s on %s", a.Name.Local, e.Name.Local)
				}
			}
		}
	}
	for _, part := range []string{`role="`, "<title ", "<desc "} {
		if !strings.Contains(got, part) {
			t.Errorf("no %s in %.200s", part, got)
		}
	}
	if strings.Contains(got, "NaN") || strings.Contains(got, "Inf") {
		t.Errorf("not a number in %s", got)
	}
}

func TestWinnerGrid(t *testing.T) {
	golden(t, "grid", WinnerGrid(GridFigure{
		ID: "g", Title: "Winners by lifecycle and status", Desc: "Two rows and two columns.", RowTitle: "Lifecycle", ColTitle: "Status",
		Rows: []string{"First-time", "Loyal"}, Cols: []string{"Browsing", "Checkout abandoned after a long time"},
		Cells: [][]GridCell{
			{{Arm: 0, Letter: "A", Label: "Five off", Figure: "6.1%", Detail: "98% sure · 412", Strength: 0.98, State: "winner", Title: "Five off wins", Href: "/console/x?a=1&b=2"},
				{Arm: 13, Letter: "N", Label: "Free express delivery today", Figure: "4.0%", Detail: "60% sure · 300", Strength: 0.6, State: "leaning", Title: "leads"}},
			{{Arm: 1, Letter: "B", Label: "Welcome", Figure: "2.0%", Detail: "50% sure · 12", Strength: 0.5, State: "thin", Title: "thin"},
				{Arm: None, State: "empty", Title: "nothing here"}},
		},
	}))
}

func TestIntervals(t *testing.T) {
	golden(t, "intervals", Intervals(IntervalFigure{ID: "i", Title: "Rates", Desc: "Two arms", Marks: []Interval{
		{Arm: 0, Letter: "A", Label: "Five off", Text: "6.1% (5.5% to 6.8%)", Mean: 0.061, Low: 0.055, High: 0.068},
		{Arm: 1, Letter: "B", Label: "Welcome", Text: "4.0% (3.1% to 5.2%)", Mean: 0.04, Low: 0.031, High: 0.052},
	}}))
}

func TestDensities(t *testing.T) {
	golden(t, "densities", Densities(DensityFigure{ID: "d", Title: "Belief", Desc: "Two curves", Curves: []Curve{
		{Arm: 0, Letter: "A", Label: "Five off", X: []float64{0.05, 0.06, 0.07}, Y: []float64{0, 40, 0}},
		{Arm: 1, Letter: "B", Label: "Welcome", X: []float64{0.03, 0.04, 0.05}, Y: []float64{0, 20, 0}},
	}}))
}

func TestBars(t *testing.T) {
	golden(t, "bars", Bars(BarFigure{ID: "b", Title: "Shoppers by status", Desc: "Three kinds", Bars: []Bar{
		{Label: "Browsing", Text: "10,514 · 43%", Share: 1}, {Label: "A name that is far too long to stand above its bar", Text: "2 · <1%", Share: 0.0002},
		{Label: "Dormant", Text: "0 · 0%"}, {Label: "Unknown", Text: "455 · 2%", Share: 0.04, Muted: true}}}))
}

func TestTrend(t *testing.T) {
	threshold := 0.3
	golden(t, "trend", Trend(TrendFigure{ID: "t", Title: "Lift by day", Desc: "Four days, one without a lift", Threshold: &threshold, Points: []TrendPoint{
		{Day: "1 Nov 2026", Mean: 0.2, Low: -3, High: 4, Title: "cut off"}, {Day: "2 Nov 2026", Mean: 0.15, Low: -0.1, High: 0.4}, {Day: "3 Nov 2026", None: true}, {Day: "4 Nov 2026", Mean: 0.12, Low: 0.02, High: 0.22, Title: "4 Nov 2026: +12%"}}}))
}

func TestHostileAndDegenerate(t *testing.T) {
	evil := `"><script>alert(1)</script>` + "\x00\x1b" + `<img onerror=x>` + strings.Repeat("長い", 5000)
	wide := GridFigure{ID: "g", Title: evil, Desc: evil, RowTitle: evil, ColTitle: evil, Rows: []string{evil}}
	for range 20 {
		wide.Cols = append(wide.Cols, evil)
	}
	cell := GridCell{Arm: 3, Letter: evil, Label: evil, Figure: evil, Detail: evil, State: "thin", Title: evil, Href: "javascript:alert(1)", Strength: math.NaN()}
	wide.Cells = [][]GridCell{{cell, cell}} // fewer cells than columns
	for name, got := range map[string]template.HTML{
		"wide grid":        WinnerGrid(wide),
		"empty grid":       WinnerGrid(GridFigure{ID: "g"}),
		"middle grid":      WinnerGrid(GridFigure{ID: "g", Rows: []string{"r"}, Cols: make([]string, 10), Cells: [][]GridCell{make([]GridCell, 10)}}),
		"no marks":         Intervals(IntervalFigure{ID: "i"}),
		"point":            Intervals(IntervalFigure{ID: "i", Marks: []Interval{{Label: evil, Text: evil, Letter: evil}}}),
		"not a number":     Intervals(IntervalFigure{ID: "i", Marks: []Interval{{Mean: math.NaN(), Low: math.NaN(), High: math.NaN()}}}),
		"no days":          Trend(TrendFigure{ID: "t"}),
		"bad days":         Trend(TrendFigure{ID: evil, Title: evil, Desc: evil, Threshold: new(math.NaN()), Points: []TrendPoint{{Day: evil, Mean: math.NaN()}, {Day: evil, Title: evil, High: math.Inf(1)}, {Mean: 1, Low: 2, High: 0}, {Day: evil, Title: evil}}}),
		"no bars":          Bars(BarFigure{ID: "b"}),
		"bad bars":         Bars(BarFigure{ID: "b", Bars: []Bar{{Label: evil, Text: evil, Share: math.NaN()}, {Share: math.Inf(1)}, {Share: -1}}}),
		"no curves":        Densities(DensityFigure{ID: "d"}),
		"curve of nothing": Densities(DensityFigure{ID: "d", Curves: []Curve{{Label: evil}, {X: []float64{0.5}, Y: []float64{math.Inf(1)}}, {X: []float64{0.1, 0.2}, Y: []float64{1}}}}),
	} {
		t.Run(name, func(t *testing.T) {
			wellFormed(t, string(got))
			if strings.Contains(string(got), "javascript:") || strings.Contains(string(got), "<img") {
				t.Errorf("%s", got)
			}
		})
	}
}

func TestScale(t *testing.T) {
	for _, tt := range []struct {
		low, high float64
		want      string
	}{
		{0.031, 0.068, "3% 4% 5% 6% 7%"}, // 0.037 / 5 = 0.0074, so steps of 0.01
		{0.0002, 0.0011, "0.02% 0.04% 0.06% 0.08% 0.10% 0.12%"},
		{0, 1, "0% 20% 40% 60% 80% 100%"},
		{0.5, 0.5, "50.00% 50.02% 50.04% 50.06% 50.08% 50.10%"},
	} {
		s := newScale(tt.low, tt.high, 5)
		var got []string
		for _, v := range s.ticks {
			got = append(got, s.label(v))
		}
		if g := strings.Join(got, " "); g != tt.want {
			t.Errorf("%v to %v: %s, want %s", tt.low, tt.high, g, tt.want)
		}
	}
}

func TestTrendShows(t *testing.T) {
	// The last interval is 0.2 wide, so the axis ends 0.2 beyond it: −0.18 to 0.42, whatever the first day's is.
	f := TrendFigure{Points: []TrendPoint{{Mean: 0.2, Low: -3, High: 4}, {Mean: 0.12, Low: 0.02, High: 0.22}}}
	low, high := f.shown()
	if math.Abs(low+0.18) > 1e-12 || math.Abs(high-0.42) > 1e-12 {
		t.Errorf("%v to %v", low, high)
	}
	f.Threshold = new(0.9)
	if low, high = f.shown(); math.Abs(low+0.18) > 1e-12 || high != 0.9 {
		t.Errorf("with a threshold: %v to %v", low, high)
	}
}

package chart

import (
	"fmt"
	"html/template"
	"math"
)

// IntervalFigure is a list of rates with their intervals on one axis.
type IntervalFigure struct {
	ID    string
	Title string
	Desc  string
	Marks []Interval
}

// Interval is a rate in [0, 1] with the ends of its interval.
type Interval struct {
	Arm             int // colour
	Letter          string
	Label           string
	Text            string // the numbers in words, at the right
	Mean, Low, High float64
}

// place is a fraction of the plot as a percentage of the figure, with room for half a label at both ends.
func place(at float64) string { return num(1.5+95*at) + "%" }

// Intervals draws one bar per mark with a tick at the mean. Places along the axis are percentages and everything else is
// in pixels, so the figure takes whatever width there is without its text growing or shrinking.
func Intervals(f IntervalFigure) template.HTML {
	const rowHeight, top = 46.0, 6.0
	low, high := math.Inf(1), math.Inf(-1)
	for _, m := range f.Marks {
		low, high = min(low, m.Low), max(high, m.High)
	}
	if len(f.Marks) == 0 {
		low, high = 0, 0.01
	}
	sc := newScale(max(low, 0), min(high, 1), 5)
	axis := top + rowHeight*float64(len(f.Marks))
	var s svg
	s.open("intervals", f.ID, f.Title, f.Desc, axis+26)
	s.axis(sc, top, axis)
	for i, m := range f.Marks {
		y := top + rowHeight*float64(i)
		a, b := sc.at(m.Low), sc.at(m.High)
		s.f(`<g class="%s"><title>%s</title>`, armClass(m.Arm), esc(m.Letter+" "+m.Label+": "+m.Text))
		s.f(`<text class="letter" x="1.5%%" y="%s">%s</text>`, num(y+16), esc(m.Letter))
		s.f(`<text class="name" x="1.5%%" dx="%s" y="%s">%s</text>`, num(7+9*float64(len(m.Letter))), num(y+16), esc(fit(m.Label, 26)))
		s.f(`<text class="detail" x="98.5%%" y="%s" text-anchor="end">%s</text>`, num(y+16), esc(m.Text))
		s.f(`<rect class="track" x="%s" y="%s" width="95%%" height="1"/>`, place(0), num(y+30))
		s.f(`<rect class="bar" x="%s" y="%s" width="%s%%" height="10" rx="5"/>`, place(a), num(y+25.5), num(max(95*(b-a), 0.4)))
		s.f(`<line class="tick" x1="%s" x2="%s" y1="%s" y2="%s"/></g>`, place(sc.at(m.Mean)), place(sc.at(m.Mean)), num(y+21), num(y+40))
	}
	s.f(`</svg>`)
	return s.html()
}

// DensityFigure is a set of posterior densities over one axis.
type DensityFigure struct {
	ID     string
	Title  string
	Desc   string
	Curves []Curve
}

// Curve is a density: its points rise in X, a rate; Y is at least 0.
type Curve struct {
	Arm    int
	Letter string
	Label  string
	X, Y   []float64
}

// Densities draws the curves over a shared axis, each lettered at its top. Where curves overlap the order of drawing is
// the order given, first on top.
func Densities(f DensityFigure) template.HTML {
	const top, plot = 22.0, 180.0
	low, high, peak := math.Inf(1), math.Inf(-1), 0.0
	for _, c := range f.Curves {
		for i := range min(len(c.X), len(c.Y)) {
			if c.Y[i] > 0 && !math.IsInf(c.Y[i], 0) {
				low, high, peak = min(low, c.X[i]), max(high, c.X[i]), max(peak, c.Y[i])
			}
		}
	}
	if peak == 0 {
		low, high, peak = 0, 0.01, 1
	}
	sc := newScale(max(low, 0), min(high, 1), 5)
	var s svg
	s.open("densities", f.ID, f.Title, f.Desc, top+plot+26)
	s.axis(sc, top, top+plot)
	s.f(`<svg x="1.5%%" y="%s" width="95%%" height="%s" viewBox="0 0 1000 %s" preserveAspectRatio="none">`, num(top), num(plot), num(plot))
	for i := len(f.Curves) - 1; i >= 0; i-- {
		c := f.Curves[i]
		n := min(len(c.X), len(c.Y))
		if n == 0 {
			continue
		}
		line := ""
		for j := range n {
			line += fmt.Sprintf("%s%s %s", map[bool]string{true: "M", false: "L"}[j == 0], num(1000*sc.at(c.X[j])), num(plot*(1-min(max(c.Y[j], 0), peak)/peak)))
		}
		area := fmt.Sprintf("%sL%s %sL%s %sZ", line, num(1000*sc.at(c.X[n-1])), num(plot), num(1000*sc.at(c.X[0])), num(plot))
		s.f(`<g class="%s"><title>%s</title><path class="area" d="%s"/><path class="curve" vector-effect="non-scaling-stroke" d="%s"/></g>`,
			armClass(c.Arm), esc(c.Letter+" "+c.Label), area, line)
	}
	s.f(`</svg>`)
	for _, c := range f.Curves {
		best := -1
		for j := range min(len(c.X), len(c.Y)) {
			if best < 0 || c.Y[j] > c.Y[best] {
				best = j
			}
		}
		if best >= 0 {
			s.f(`<text class="letter" x="%s" y="%s" text-anchor="middle">%s<title>%s</title></text>`, place(sc.at(c.X[best])),
				num(top+plot*(1-min(max(c.Y[best], 0), peak)/peak)-6), esc(c.Letter), esc(c.Label))
		}
	}
	s.f(`</svg>`)
	return s.html()
}

func (s *svg) open(class, id, title, desc string, height float64) {
	s.f(`<svg class="chart %s" role="img" aria-labelledby="%s-t %s-d" width="100%%" height="%s" xmlns="http://www.w3.org/2000/svg">`,
		class, esc(id), esc(id), num(height))
	s.f(`<title id="%s-t">%s</title><desc id="%s-d">%s</desc>`, esc(id), esc(title), esc(id), esc(desc))
}

func (s *svg) axis(sc scale, top, bottom float64) {
	for _, t := range sc.ticks {
		at := place(sc.at(t))
		anchor := "middle"
		switch {
		case sc.at(t) == 0:
			anchor = "start"
		case sc.at(t) == 1:
			anchor = "end"
		}
		s.f(`<line class="gridline" x1="%s" x2="%s" y1="%s" y2="%s"/>`, at, at, num(top), num(bottom))
		s.f(`<text class="axis-label" x="%s" y="%s" text-anchor="%s">%s</text>`, at, num(bottom+19), anchor, esc(sc.label(t)))
	}
}

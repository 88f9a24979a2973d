package chart

import (
	"html/template"
	"math"
	"strconv"
	"strings"
)

// TrendFigure is an estimate as it stood day by day, with its interval as a band.
type TrendFigure struct {
	ID, Title, Desc string
	Points          []TrendPoint
	Threshold       *float64 // a line to be reached; nil: none
	Small           bool     // beside other figures: lower, without the names of lines
}

// TrendPoint is one day. Where there is no interval the line and the band have a gap.
type TrendPoint struct {
	Day           string // as it stands under the axis
	Mean          float64
	Low, High     float64
	None          bool
	Title, Figure string // in words; Figure is the number alone
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// shown are the ends of the axis: the last interval and as much again to both sides, 0 and the threshold. The first days,
// whose intervals may be many times as wide, are cut off there; the table beside the figure has them.
func (f TrendFigure) shown() (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, p := range f.Points {
		if !p.None {
			low, high = p.Low, p.High
		}
	}
	if !(high > low) {
		low, high = -0.01, 0.01
	}
	span := high - low
	least, most := low-span, high+span
	for _, p := range f.Points {
		if !p.None {
			low, high = min(low, max(p.Low, least)), max(high, min(p.High, most))
		}
	}
	low, high = min(low, 0), max(high, 0)
	if t := f.Threshold; t != nil && finite(*t) {
		low, high = min(low, *t), max(high, *t)
	}
	return low, high
}

// Trend draws the line and its band over a line at 0 and one at the threshold. Places along the axis are percentages and
// everything else is in pixels, so the figure takes whatever width there is without its text growing or shrinking.
func Trend(f TrendFigure) template.HTML {
	top, plot, ticks := 18.0, 190.0, 5
	if f.Small {
		plot, ticks = 92, 3
	}
	points := make([]TrendPoint, len(f.Points))
	for i, p := range f.Points {
		if !finite(p.Mean) || !finite(p.Low) || !finite(p.High) || p.High < p.Low {
			p.None = true
		}
		points[i] = p
	}
	f.Points = points
	low, high := f.shown()
	sc := newScale(low, high, ticks)
	y := func(v float64) float64 { return plot * (1 - sc.at(v)) }
	x := func(i int) float64 { // of 1000
		if len(points) < 2 {
			return 500
		}
		return 1000 * float64(i) / float64(len(points)-1)
	}
	var s svg
	s.open("trend", f.ID, f.Title, f.Desc, top+plot+26)
	for _, t := range sc.ticks {
		class := "gridline"
		if math.Abs(t) < (sc.high-sc.low)*1e-9 {
			class = "zero"
		}
		s.f(`<line class="%s" x1="0" x2="100%%" y1="%s" y2="%s"/><text class="axis-label" y="%s">%s</text>`, class, num(top+y(t)), num(top+y(t)), num(top+y(t)-4), esc(sc.signed(t)))
	}
	s.f(`<svg x="9%%" y="%s" width="89%%" height="%s" viewBox="0 0 1000 %s" preserveAspectRatio="none" class="arm-0">`, num(top), num(plot), num(plot))
	for i := 0; i < len(points); {
		if points[i].None {
			i++
			continue
		}
		j := i
		for j < len(points) && !points[j].None {
			j++
		}
		var line, back strings.Builder
		for k := i; k < j; k++ {
			line.WriteString(move(k == i) + num(x(k)) + " " + num(y(points[k].Mean)))
		}
		for k := i; k < j; k++ {
			back.WriteString(move(k == i) + num(x(k)) + " " + num(y(points[k].High)))
		}
		for k := j - 1; k >= i; k-- {
			back.WriteString("L" + num(x(k)) + " " + num(y(points[k].Low)))
		}
		if j == i+1 { // one day alone
			s.f(`<path class="curve" vector-effect="non-scaling-stroke" d="M%s %sV%s"/>`, num(x(i)), num(y(points[i].High)), num(y(points[i].Low)))
		} else {
			s.f(`<path class="area" d="%sZ"/><path class="curve" vector-effect="non-scaling-stroke" d="%s"/>`, back.String(), line.String())
		}
		i = j
	}
	if t := f.Threshold; t != nil && finite(*t) {
		s.f(`<path class="threshold" vector-effect="non-scaling-stroke" d="M0 %sH1000"/>`, num(y(*t)))
	}
	s.f(`</svg>`)
	if t := f.Threshold; t != nil && finite(*t) && !f.Small {
		s.f(`<text class="axis-label" x="98%%" y="%s" text-anchor="end">%s</text>`, num(top+y(*t)-5), esc("gate: "+sc.signed(*t)))
	}
	at := func(i int) string { return num(9+0.089*x(i)) + "%" }
	for i := len(points) - 1; i >= 0; i-- {
		if !points[i].None {
			s.f(`<circle class="arm-0 now" cx="%s" cy="%s" r="4"><title>%s</title></circle>`, at(i), num(top+y(points[i].Mean)), esc(points[i].Title))
			break
		}
	}
	for i, p := range points {
		anchor := ""
		switch {
		case len(points) == 1:
			anchor = "middle"
		case i == 0:
			anchor = "start"
		case i == len(points)-1:
			anchor = "end"
		default:
			continue
		}
		s.f(`<text class="axis-label" x="%s" y="%s" text-anchor="%s">%s</text>`, at(i), num(top+plot+20), anchor, esc(p.Day))
	}
	s.f(`</svg>`)
	return s.html()
}

func move(first bool) string {
	if first {
		return "M"
	}
	return "L"
}

// signed writes a tick of an axis of changes: "+5%", "−10%", "0%".
func (s scale) signed(v float64) string {
	switch {
	case math.Abs(v) < (s.high-s.low)*1e-9:
		return "0%"
	case v < 0:
		return "−" + s.label(-v)
	}
	l := s.label(v)
	if at, err := strconv.ParseFloat(strings.TrimSuffix(l, "%"), 64); err == nil && math.Abs(at-100*v) > 1e-9 { // between two ticks
		l = strconv.FormatFloat(100*v, 'f', -1, 64)
		if len(l) > 5 {
			l = strconv.FormatFloat(100*v, 'f', 1, 64)
		}
		l += "%"
	}
	return "+" + l
}

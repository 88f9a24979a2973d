package chart

import (
	"html/template"
	"math"
	"strings"
)

// LineFigure is lines over one axis, such as a learning curve.
type LineFigure struct {
	ID, Title, Desc string
	X, Y            string // what the axes say
	LogX            bool
	Lines           []Line
}

// Line is one line; X and Y are parallel, X ascending.
type Line struct {
	Name string
	X, Y []float64
}

// Lines draws the lines as a figure of its own size, each named at its end; it needs no style sheet.
func Lines(f LineFigure) template.HTML {
	const width, height, left, right, top, bottom = 720.0, 360.0, 50.0, 110.0, 34.0, 40.0
	at := func(x float64) float64 {
		if f.LogX {
			return math.Log10(math.Max(x, 1))
		}
		return x
	}
	low, high, peak := math.Inf(1), math.Inf(-1), 0.0
	for _, c := range f.Lines {
		for i := range min(len(c.X), len(c.Y)) {
			low, high, peak = math.Min(low, at(c.X[i])), math.Max(high, at(c.X[i])), math.Max(peak, c.Y[i])
		}
	}
	if !(high > low) {
		low, high = low-1, low+1
	}
	px := func(x float64) float64 { return left + (at(x)-low)/(high-low)*(width-left-right) }
	y := newScale(0, math.Max(peak, 1e-9), 5)
	py := func(v float64) float64 { return height - bottom - y.at(v)*(height-top-bottom) }
	var s svg
	s.f(`<svg role="img" aria-labelledby="%s-t" width="%s" height="%s" viewBox="0 0 %s %s" xmlns="http://www.w3.org/2000/svg" font-family="system-ui, sans-serif" font-size="12">`,
		esc(f.ID), num(width), num(height), num(width), num(height))
	s.f(`<title id="%s-t">%s</title><rect width="100%%" height="100%%" fill="#fff"/>`, esc(f.ID), esc(f.Title))
	s.f(`<text x="%s" y="18" font-size="14" fill="#111">%s</text><text x="%s" y="%s" fill="#444" text-anchor="middle">%s</text>`,
		num(left), esc(f.Title), num((left+width-right)/2), num(height-6), esc(f.X))
	for _, t := range y.ticks {
		s.f(`<path d="M%s %sH%s" stroke="#ddd"/><text x="%s" y="%s" fill="#444" text-anchor="end">%s</text>`,
			num(left), num(py(t)), num(width-right), num(left-6), num(py(t)+4), esc(y.label(t)))
	}
	for _, x := range ticksOf(f, low, high) {
		s.f(`<path d="M%s %sv4" stroke="#888"/><text x="%s" y="%s" fill="#444" text-anchor="middle">%s</text>`, num(px(x)), num(height-bottom), num(px(x)), num(height-bottom+16), esc(short(x)))
	}
	colours := []string{"#0b5fa5", "#b3261e", "#2e7d32", "#7b3fa0", "#a35c00", "#00707a"}
	for i, c := range f.Lines {
		n := min(len(c.X), len(c.Y))
		if n == 0 {
			continue
		}
		var d strings.Builder
		for j := range n {
			d.WriteString(map[bool]string{true: "M", false: "L"}[j == 0] + num(px(c.X[j])) + " " + num(py(c.Y[j])))
		}
		colour := colours[i%len(colours)]
		s.f(`<path d="%s" fill="none" stroke="%s" stroke-width="2"><title>%s</title></path><text x="%s" y="%s" fill="%s">%s</text>`,
			d.String(), colour, esc(c.Name), num(px(c.X[n-1])+6), num(py(c.Y[n-1])+4), colour, esc(c.Name))
	}
	s.f(`</svg>`)
	return s.html()
}

// ticksOf are powers of ten on a logarithmic axis, and a scale's ticks on another.
func ticksOf(f LineFigure, low, high float64) []float64 {
	if !f.LogX {
		return newScale(low, high, 5).ticks
	}
	var out []float64
	for p := math.Ceil(low - 1e-9); p <= high+1e-9; p++ {
		out = append(out, math.Pow(10, p))
	}
	return out
}

// short writes 1,000 as 1k and a million as 1M.
func short(v float64) string {
	switch {
	case v >= 1e6:
		return num(v/1e6) + "M"
	case v >= 1e3:
		return num(v/1e3) + "k"
	}
	return num(v)
}

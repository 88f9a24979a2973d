package chart

import "html/template"

// BarFigure is a list of counts as horizontal bars.
type BarFigure struct {
	ID    string
	Title string
	Desc  string
	Bars  []Bar
}

// Bar is one count.
type Bar struct {
	Label string
	Text  string  // the number in words, at the right
	Share float64 // of the longest bar, in [0, 1]
	Muted bool    // not one of the kinds: "unknown"
}

// Bars draws one bar per count, its name above it and its number at the right. Lengths are percentages and everything
// else is in pixels, so the figure takes whatever width there is without its text growing or shrinking. There may be many
// bars on a page: what they have in common stands in console.css.
func Bars(f BarFigure) template.HTML {
	const rowHeight, longest = 38.0, 66.0
	var s svg
	s.open("bars", f.ID, f.Title, f.Desc, max(rowHeight*float64(len(f.Bars)), 1))
	for i, b := range f.Bars {
		y := rowHeight * float64(i)
		group := "<g>"
		if b.Muted {
			group = `<g class="` + armClass(None) + `">`
		}
		share := min(max(b.Share, 0), 1)
		if !(share > 0) { // also NaN
			share = 0
		}
		s.f(`%s<title>%s</title>`, group, esc(b.Label+": "+b.Text))
		s.f(`<text class="name" y="%s">%s</text>`, num(y+13), esc(fit(b.Label, 32)))
		s.f(`<rect class="rail" y="%s" width="%s%%" height="9"/>`, num(y+20), num(longest))
		if share > 0 {
			s.f(`<rect class="bar" y="%s" width="%s%%" height="9"/>`, num(y+20), num(max(longest*share, 0.8)))
		}
		s.f(`<text class="detail" x="100%%" y="%s">%s</text></g>`, num(y+28.5), esc(b.Text))
	}
	s.f(`</svg>`)
	return s.html()
}

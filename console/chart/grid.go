package chart

import (
	"html/template"
	"strings"
)

// Strength of fill, as fill-opacity: the text over it keeps its contrast up to MaxOpacity (a test of the console holds
// the palette to that).
const (
	MinOpacity = 0.14
	MaxOpacity = 0.60
)

// GridFigure is who wins where.
type GridFigure struct {
	ID       string // prefix of the ids inside; unique on the page
	Title    string
	Desc     string
	RowTitle string // of the rows' axis
	ColTitle string
	Rows     []string
	Cols     []string
	Cells    [][]GridCell // Cells[row][col]
}

// GridCell is one cell of the figure.
type GridCell struct {
	Arm      int     // of the leading action; None for an empty cell
	Letter   string  // of the leading action
	Label    string  // its name
	Figure   string  // its rate or value, as text
	Detail   string  // how sure, and on how much
	Strength float64 // P(best)
	State    string  // winner, leaning, thin or empty
	Title    string  // all of it, in words: hover text and accessible name
	Href     string  // a local path; empty for none
}

type gridSize struct{ w, h, gap float64 }

// pageWidth is the room for a figure where the page is widest (console.css: main without its padding and a card's).
const pageWidth = 1134

// What a character of a label takes, in pixels, in the widest of the fonts that console.css names; SVG cannot measure.
const (
	glyph       = 8.6
	slantedMost = 28 // characters of a slanted name
)

// WinnerGrid draws the grid: colour is the leader, strength of colour is P(best), a frame means won, a hatch means thin
// evidence. The letter stands beside the colour, so that colour alone never carries it. The figure has its natural size;
// its box scrolls. It is a group, not an image, because its cells are links.
func WinnerGrid(g GridFigure) template.HTML {
	longest := 0
	for _, r := range g.Rows {
		longest = max(longest, len([]rune(r)))
	}
	left := min(max(float64(longest)*glyph+16, 72), 200)
	n := len(g.Cols)
	size := gridSize{w: 176, h: 78, gap: 6}
	switch {
	case n > 16:
		size = gridSize{w: 34, h: 32, gap: 3}
	case n > 8:
		size = gridSize{w: 72, h: 52, gap: 4}
	case n > 0: // as wide as the page at its widest
		size.w = min(size.w, (pageWidth-left)/float64(n)-size.gap)
	}
	top, slanted := 60.0, n > 8
	if slanted {
		names := 0
		for _, c := range g.Cols {
			names = max(names, len([]rune(c)))
		}
		top = 52 + 0.77*6.8*float64(min(names, slantedMost)) // sin 50° = 0.77; slanted names are of normal weight
	}
	width := left + float64(n)*(size.w+size.gap)
	if slanted {
		width += (top - 52) * 0.84 // cot 50°: the last slanted name leans out
	}
	height := top + float64(len(g.Rows))*(size.h+size.gap)

	var s svg
	s.f(`<svg class="chart winner-grid" role="group" aria-labelledby="%s-t %s-d" width="%s" height="%s" viewBox="0 0 %s %s" xmlns="http://www.w3.org/2000/svg">`,
		esc(g.ID), esc(g.ID), num(width), num(height), num(width), num(height))
	s.f(`<title id="%s-t">%s</title><desc id="%s-d">%s</desc>`, esc(g.ID), esc(g.Title), esc(g.ID), esc(g.Desc))
	s.f(`<defs><pattern id="%s-hatch" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><line class="hatch" x1="0" y1="0" x2="0" y2="7"/></pattern></defs>`, esc(g.ID))
	s.f(`<text class="axis-title" x="%s" y="14">%s →</text>`, num(left), esc(g.ColTitle))
	s.f(`<text class="axis-title" x="0" y="%s">%s ↓</text>`, num(top-10), esc(fit(g.RowTitle, int(left/7))))
	for k, c := range g.Cols {
		x := left + float64(k)*(size.w+size.gap)
		if slanted {
			s.f(`<text class="axis-label slanted" transform="translate(%s %s) rotate(-50)">%s<title>%s</title></text>`,
				num(x+size.w/2), num(top-8), esc(fit(c, slantedMost)), esc(c))
			continue
		}
		lines := wrap(c, int(size.w/glyph))
		for i, line := range lines {
			s.f(`<text class="axis-label" x="%s" y="%s">%s<title>%s</title></text>`,
				num(x+2), num(top-10-float64(len(lines)-1-i)*16), esc(line), esc(c))
		}
	}
	for r, row := range g.Rows {
		y := top + float64(r)*(size.h+size.gap)
		s.f(`<text class="axis-label" x="0" y="%s">%s<title>%s</title></text>`, num(y+size.h/2+5), esc(fit(row, int((left-8)/(glyph-0.6)))), esc(row))
		for k := range g.Cols {
			if r < len(g.Cells) && k < len(g.Cells[r]) {
				s.cell(g.ID, g.Cells[r][k], left+float64(k)*(size.w+size.gap), y, size)
			}
		}
	}
	s.f(`</svg>`)
	return s.html()
}

func (s *svg) cell(id string, c GridCell, x, y float64, size gridSize) {
	link := strings.HasPrefix(c.Href, "/") && !strings.HasPrefix(c.Href, "//")
	if link {
		s.f(`<a class="cell %s %s" href="%s" aria-label="%s">`, esc(c.State), armClass(c.Arm), esc(c.Href), esc(c.Title))
	} else {
		s.f(`<g class="cell %s %s">`, esc(c.State), armClass(c.Arm))
	}
	s.f(`<title>%s</title>`, esc(c.Title))
	s.f(`<rect class="ground" x="%s" y="%s" width="%s" height="%s" rx="6"/>`, num(x), num(y), num(size.w), num(size.h))
	if c.Arm >= 0 {
		strength := MinOpacity + (MaxOpacity-MinOpacity)*min(max(c.Strength, 0), 1)
		if c.State == "thin" {
			strength = MinOpacity
		}
		s.f(`<rect class="fill" x="%s" y="%s" width="%s" height="%s" rx="6" fill-opacity="%s"/>`, num(x), num(y), num(size.w), num(size.h), num(strength))
	}
	if c.State == "thin" {
		s.f(`<rect x="%s" y="%s" width="%s" height="%s" rx="6" fill="url(#%s-hatch)"/>`, num(x), num(y), num(size.w), num(size.h), esc(id))
	}
	s.f(`<rect class="frame" x="%s" y="%s" width="%s" height="%s" rx="6"/>`, num(x+1), num(y+1), num(size.w-2), num(size.h-2))
	switch {
	case c.Arm < 0:
		s.f(`<text class="nothing" x="%s" y="%s" text-anchor="middle">–</text>`, num(x+size.w/2), num(y+size.h/2+5))
	case size.w >= 100:
		s.f(`<text class="letter" x="%s" y="%s">%s</text>`, num(x+11), num(y+21), esc(c.Letter))
		s.f(`<text class="name" x="%s" y="%s">%s</text>`, num(x+17+10*float64(len(c.Letter))), num(y+21), esc(fit(c.Label, int((size.w-38)/7.8))))
		s.f(`<text class="figure" x="%s" y="%s">%s</text>`, num(x+11), num(y+46), esc(fit(c.Figure, int((size.w-18)/11))))
		s.f(`<text class="detail" x="%s" y="%s">%s</text>`, num(x+11), num(y+65), esc(fit(c.Detail, int((size.w-16)/6.6))))
	case size.w >= 60:
		s.f(`<text class="letter" x="%s" y="%s">%s</text>`, num(x+8), num(y+20), esc(c.Letter))
		s.f(`<text class="detail" x="%s" y="%s">%s</text>`, num(x+8), num(y+40), esc(fit(c.Figure, 8)))
	default:
		s.f(`<text class="letter" x="%s" y="%s" text-anchor="middle">%s</text>`, num(x+size.w/2), num(y+size.h/2+5), esc(c.Letter))
	}
	if link {
		s.f(`</a>`)
	} else {
		s.f(`</g>`)
	}
}

package experiments

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/juncture/juncture"
)

// MaxGridValues is the most rows, and the most columns, that a grid shows; beyond it the values with the least traffic
// are left out, with a note.
const MaxGridValues = 50

// GridQuery asks for a grid. The zero value is lifecycle × status over everything.
type GridQuery struct {
	Rows, Cols string            // axis names, or whole layers; empty chooses
	Filter     map[string]string // axis name to the value that it must have
	Most       int               // the most cells: of the longer axis the values with the least traffic are left out, with a note; 0 means all of MaxGridValues²
}

// Grid is who wins where, over two axes.
type Grid struct {
	Experiment    string            `json:"experiment"`
	Goal          string            `json:"goal"`     // the outcome
	Money         bool              `json:"money"`    // the goal is value per decision, not a rate
	Currency      string            `json:"currency"` // of values
	AsOf          time.Time         `json:"asOf"`
	Rows          GridAxis          `json:"rows"`
	Cols          GridAxis          `json:"cols"`
	Filter        map[string]string `json:"filter,omitempty"`
	Cells         [][]GridCell      `json:"cells"`   // Cells[row][col]
	Actions       []ActionInfo      `json:"actions"` // those that compete
	Past          []ActionInfo      `json:"past"`    // those that had evidence and may no longer be shown
	Trials        int64             `json:"trials"`  // teaching decisions of the competing arms, after the filter
	Successes     int64             `json:"successes"`
	Intersections int               `json:"intersections"` // after the filter
	Winners       int               `json:"winners"`       // cells by state
	Leaning       int               `json:"leaning"`
	Thin          int               `json:"thin"`
	Empty         int               `json:"empty"`
	Claims        GridClaims        `json:"claims"`
	Sentence      string            `json:"sentence"`
	Notes         []string          `json:"notes"`
	Choices       []GridAxis        `json:"-"` // every axis with its values before the filter, to choose filters from
}

// GridAxis is an axis with the values that it takes.
type GridAxis struct {
	Axis    string      `json:"axis"`
	Title   string      `json:"title"`
	Values  []AxisValue `json:"values"`
	LeftOut int         `json:"leftOut"` // values beyond MaxGridValues
}

// AxisValue is one value of an axis.
type AxisValue struct {
	Value  string `json:"value"`
	Title  string `json:"title"`
	Trials int64  `json:"trials"`
}

// GridCell is one cell of a grid.
type GridCell struct {
	Row           string `json:"row"`
	Col           string `json:"col"`
	Trials        int64  `json:"trials"`
	Successes     int64  `json:"successes"`
	Intersections int    `json:"intersections"` // that it sums
	Key           string `json:"key,omitempty"` // of the intersection, where it is only one and covers no other
	Claimed       bool   `json:"claimed"`       // one of Grid.Claims
	Verdict
}

// axis reads one axis, or a whole layer, off an intersection.
type axis struct {
	name  string
	layer juncture.Layer
	part  int // -1 for the whole layer
}

func parseAxis(name string) (axis, error) {
	for _, l := range juncture.Layers() {
		axes := l.Axes()
		if name == l.String() || len(axes) == 1 && axes[0] == name { // a layer of one axis keeps its dots
			return axis{name, l, -1}, nil
		}
		if i := slices.Index(axes, name); i >= 0 {
			return axis{name, l, i}, nil
		}
	}
	return axis{}, juncture.Errorf(juncture.CodeInvalidRequest, "no axis is called %.40q", name).
		WithHint("one of " + strings.Join(GridAxes(), ", ")).WithField("axis")
}

// GridAxes lists what can be an axis of a grid: every axis of every layer, and the layers of several axes.
func GridAxes() []string {
	return []string{"lifecycle", "status", "mode", "moment", "meaning", "latent", "live", "trajectory", "category"}
}

func (a axis) of(x juncture.Intersection) string {
	v := x.Value(a.layer)
	if a.part >= 0 {
		v = x.Axis(a.layer, a.part)
	}
	if !juncture.Known(v) {
		return juncture.Unknown
	}
	return v
}

// before says whether a stands before b in the key.
func (a axis) before(b axis) bool {
	return a.layer < b.layer || a.layer == b.layer && a.part < b.part
}

func parseAxes(names []string) ([]axis, error) {
	out := make([]axis, len(names))
	for i, n := range names {
		var err error
		if out[i], err = parseAxis(n); err != nil {
			return nil, err
		}
		for _, earlier := range out[:i] {
			if earlier.layer == out[i].layer && earlier.part == out[i].part {
				return nil, juncture.Errorf(juncture.CodeInvalidRequest, "the axis %q is used twice", n).
					WithHint("choose two different axes").WithField("axis")
			}
		}
	}
	return out, nil
}

// filter is a set of axis values, in key order.
type filter struct {
	axes   []axis
	values []string
}

func parseFilter(m map[string]string) (filter, error) {
	var f filter
	names := slices.Sorted(maps.Keys(m))
	for _, n := range names {
		a, err := parseAxis(n)
		if err != nil {
			return f, err
		}
		if !juncture.ValidLayerValue(m[n]) {
			return f, juncture.Errorf(juncture.CodeInvalidRequest, "%.80q cannot be a value of %s", m[n], n).WithField(n)
		}
		f.axes = append(f.axes, a)
		f.values = append(f.values, m[n])
	}
	return f, nil
}

func (f filter) match(x juncture.Intersection) bool {
	for i, a := range f.axes {
		if a.of(x) != f.values[i] {
			return false
		}
	}
	return true
}

// layer is the broadest layer that the filter is about.
func (f filter) layer() int {
	l := juncture.LayerCount
	for _, a := range f.axes {
		l = min(l, int(a.layer))
	}
	return l
}

// defaults fills in the axes that were not asked for: lifecycle × status, unless this store's keys do not use them; then
// the first axes that have at least two values, then those with one.
func (q *GridQuery) defaults(choices []GridAxis) {
	known := func(name string) int {
		for _, c := range choices {
			if c.Axis == name {
				n := len(c.Values)
				if n > 0 && c.Values[n-1].Value == juncture.Unknown {
					n--
				}
				return n
			}
		}
		return 0
	}
	candidates := []string{"lifecycle", "status", "mode", "meaning", "latent", "live", "category"}
	var ranked []string
	for atLeast := 2; atLeast >= 0; atLeast-- {
		for _, a := range candidates {
			if _, fixed := q.Filter[a]; !fixed && known(a) >= atLeast && !slices.Contains(ranked, a) {
				ranked = append(ranked, a)
			}
		}
	}
	ranked = append(ranked, candidates...)
	for _, a := range ranked {
		switch {
		case q.Rows == "" && a != q.Cols:
			q.Rows = a
		case q.Cols == "" && a != q.Rows:
			q.Cols = a
		}
	}
}

// BuildGrid sums the teaching groups' evidence over two axes and says who wins in each cell. Every cell borrows from the
// whole row or column of the axis that stands first in the key, that from what the filter leaves, that from everything;
// so exchanging the axes changes no number.
//
// An unknown axis, or one axis used twice, is CodeInvalidRequest.
func BuildGrid(ev Evidence, q GridQuery) (Grid, error) {
	return madeBy(ev.Made, asked(q.Filter, q.Most, "grid", q.Rows, q.Cols), func() (Grid, error) { return buildGrid(ev, q) })
}

func buildGrid(ev Evidence, q GridQuery) (Grid, error) {
	f, err := parseFilter(q.Filter)
	if err != nil {
		return Grid{}, err
	}
	c := newContest(&ev)
	choices := c.choices()
	q.defaults(choices)
	axes, err := parseAxes([]string{q.Rows, q.Cols})
	if err != nil {
		return Grid{}, err
	}
	g := Grid{Experiment: ev.Experiment.ID, Goal: ev.Outcome.Name, Money: c.value, Currency: ev.Currency, AsOf: ev.AsOf,
		Filter: q.Filter, Choices: choices, Cells: [][]GridCell{}, Notes: []string{}, Actions: []ActionInfo{}, Past: []ActionInfo{}}

	type slot struct {
		sums []tallies
		at   []juncture.Intersection
	}
	slots := map[[2]string]*slot{}
	everything, within := c.vector(), c.vector()
	for i := range ev.Cells {
		cell := &ev.Cells[i]
		if !f.match(cell.Intersection) {
			c.add(everything, cell)
			continue
		}
		at := [2]string{axes[0].of(cell.Intersection), axes[1].of(cell.Intersection)}
		s := slots[at]
		if s == nil {
			s = &slot{sums: c.vector()}
			slots[at] = s
		}
		c.add(s.sums, cell)
		s.at = append(s.at, cell.Intersection)
		g.Intersections++
	}
	rows, cols := map[string]int64{}, map[string]int64{}
	first := 0 // the axis that stands first in the key
	if axes[1].before(axes[0]) {
		first = 1
	}
	broad := map[string][]tallies{}
	for at, s := range slots {
		if broad[at[first]] == nil {
			broad[at[first]] = c.vector()
		}
		for i := range s.sums {
			broad[at[first]][i].add(s.sums[i])
			within[i].add(s.sums[i])
			everything[i].add(s.sums[i])
		}
		trials := c.sum(s.sums).trials
		rows[at[0]] += trials
		cols[at[1]] += trials
	}
	total := c.sum(within)
	g.Trials, g.Successes = total.trials, total.successes
	g.Rows, g.Cols = newGridAxis(axes[0].name, rows, ev.Names, MaxGridValues), newGridAxis(axes[1].name, cols, ev.Names, MaxGridValues)
	if n := len(g.Rows.Values) * len(g.Cols.Values); q.Most > 0 && n > q.Most {
		few := max(1, int(math.Sqrt(float64(q.Most))))
		if r, k := len(g.Rows.Values), len(g.Cols.Values); r <= k {
			r = min(r, few)
			g.Rows, g.Cols = newGridAxis(axes[0].name, rows, ev.Names, r), newGridAxis(axes[1].name, cols, ev.Names, max(1, q.Most/r))
		} else {
			k = min(k, few)
			g.Rows, g.Cols = newGridAxis(axes[0].name, rows, ev.Names, max(1, q.Most/k)), newGridAxis(axes[1].name, cols, ev.Names, k)
		}
	}

	top := []rung{{-1, everything}}
	if len(f.axes) > 0 {
		top = append(top, rung{f.layer(), within})
	}
	g.Cells = make([][]GridCell, len(g.Rows.Values))
	var jobs []func() error
	for r, row := range g.Rows.Values {
		g.Cells[r] = make([]GridCell, len(g.Cols.Values))
		for k, col := range g.Cols.Values {
			cell := &g.Cells[r][k]
			*cell = GridCell{Row: row.Value, Col: col.Value, Verdict: Verdict{State: StateEmpty}}
			s := slots[[2]string{row.Value, col.Value}]
			if s == nil {
				continue
			}
			own := c.sum(s.sums)
			cell.Trials, cell.Successes, cell.Intersections = own.trials, own.successes, len(s.at)
			value := [2]string{row.Value, col.Value}[first]
			ladder := append(slices.Clone(top), rung{int(axes[first].layer), broad[value]}, rung{int(axes[1-first].layer), s.sums})
			jobs = append(jobs, func() (err error) {
				if len(s.at) == 1 && c.alone(s.at[0], append(f.axes[:len(f.axes):len(f.axes)], axes...)) { // then the page of the intersection is about the same decisions
					cell.Key = s.at[0].Key()
					if c.ev.Read == nil {
						ladder = c.ladder(s.at[0].Rungs())
					}
				}
				cell.Verdict, err = c.judge(s.at, ladder)
				return err
			})
		}
	}
	if err := parallel(jobs); err != nil {
		return Grid{}, err
	}
	if err := g.claim(); err != nil {
		return Grid{}, err
	}
	for _, a := range c.actions(within) {
		if a.Live {
			g.Actions = append(g.Actions, a)
		} else if a.Trials > 0 {
			g.Past = append(g.Past, a)
		}
	}
	for _, row := range g.Cells {
		for _, cell := range row {
			switch cell.State {
			case StateWinner:
				g.Winners++
			case StateLeaning:
				g.Leaning++
			case StateThin:
				g.Thin++
			default:
				g.Empty++
			}
		}
	}
	g.notes(c)
	g.Sentence = g.sentence(c)
	return g, nil
}

// alone reports whether an intersection, the only one with its values on the axes, covers no other.
func (c *contest) alone(x juncture.Intersection, axes []axis) bool {
	for _, a := range axes {
		if !juncture.Known(x.Value(a.layer)) { // what it covers may have other values
			return len(c.under(x)) == 1
		}
	}
	return true
}

// parallel runs the jobs on all processors and returns one of their errors.
func parallel(jobs []func() error) error {
	var next atomic.Int64
	var failed error
	var once sync.Once
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(jobs)) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(jobs)); i = next.Add(1) - 1 {
				if err := jobs[i](); err != nil {
					once.Do(func() { failed = err })
				}
			}
		})
	}
	wg.Wait()
	return failed
}

// choices counts the values of every axis.
func (c *contest) choices() []GridAxis {
	var out []GridAxis
	v := c.vector()
	trials := make([]int64, len(c.ev.Cells))
	for i := range c.ev.Cells {
		clear(v)
		c.add(v, &c.ev.Cells[i])
		trials[i] = c.sum(v).trials
	}
	for _, name := range juncture.AxisNames() {
		a, _ := parseAxis(name) // the names are the root's own
		sums := map[string]int64{}
		for i := range c.ev.Cells {
			sums[a.of(c.ev.Cells[i].Intersection)] += trials[i]
		}
		out = append(out, newGridAxis(name, sums, c.ev.Names, MaxGridValues))
	}
	return out
}

// places is where a value stands in its axis's vocabulary, axis by axis for a layer of several.
func places(name, v string) []int {
	const other, last = 1 << 10, 1 << 20
	if v == juncture.Unknown {
		return []int{last}
	}
	axes := []string{name}
	if l, ok := juncture.ParseLayer(name); ok && len(l.Axes()) > 1 {
		axes = l.Axes()
	}
	out := make([]int, len(axes))
	for i, part := range strings.SplitN(v, ".", len(axes)) {
		out[i] = slices.Index(vocabulary[axes[i]], part)
		switch {
		case out[i] < 0 && part == juncture.Unknown:
			out[i] = last
		case out[i] < 0:
			out[i] = other
		}
	}
	return out
}

// newGridAxis orders the values, at most so many, those with the most traffic: the derived vocabulary in its own order, others by traffic, unknown last.
func newGridAxis(name string, trials map[string]int64, names Names, most int) GridAxis {
	a := GridAxis{Axis: name, Title: AxisTitle(name), Values: []AxisValue{}}
	for v, n := range trials {
		a.Values = append(a.Values, AxisValue{v, names.Value(name, v), n})
	}
	byTraffic := func(x, y AxisValue) int {
		return cmp.Or(cmp.Compare(y.Trials, x.Trials), strings.Compare(x.Value, y.Value))
	}
	slices.SortFunc(a.Values, byTraffic)
	if len(a.Values) > most {
		a.LeftOut = len(a.Values) - most
		a.Values = a.Values[:most]
	}
	slices.SortStableFunc(a.Values, func(x, y AxisValue) int { return slices.Compare(places(name, x.Value), places(name, y.Value)) })
	return a
}

func (g *Grid) notes(c *contest) {
	for _, a := range []GridAxis{g.Rows, g.Cols} {
		if a.LeftOut > 0 {
			g.Notes = append(g.Notes, fmt.Sprintf("%s has %s values; the %d with the most traffic are shown. Filter, or export, to see the others.",
				a.Title, Count(int64(a.LeftOut+len(a.Values))), len(a.Values)))
		}
	}
	if c.nobody && len(c.arms) > 0 {
		g.Notes = append(g.Notes, "No action may be shown at present, so all that have evidence are compared.")
	}
	if len(g.Past) > 0 {
		names := make([]string, len(g.Past))
		for i, a := range g.Past {
			names[i] = a.Name
		}
		g.Notes = append(g.Notes, fmt.Sprintf("Not compared, because no longer shown: %s.", list(names)))
	}
}

// sentence answers the page's question from the numbers.
func (g *Grid) sentence(c *contest) string {
	some := g.Winners + g.Leaning + g.Thin
	switch {
	case len(c.arms) == 0:
		return "No action has been offered here yet. Add one to the pool and have it approved."
	case some == 0 && len(g.Filter) > 0:
		return "No decision matches this filter yet."
	case some == 0:
		return "No decision has been made yet."
	case len(g.Actions) == 1:
		return fmt.Sprintf("%s is the only action, so there is nothing to compare yet.", g.Actions[0].Name)
	case g.Winners+g.Leaning == 0:
		return fmt.Sprintf("Too early to say: all %s with decisions are too thin.", plural(int64(some), "cell", "cells"))
	}
	leads := map[string]int{}
	for _, row := range g.Cells {
		for _, cell := range row {
			if cell.State == StateWinner || cell.State == StateLeaning {
				leads[cell.Winner.Name]++
			}
		}
	}
	names := slices.SortedFunc(maps.Keys(leads), func(a, b string) int {
		return cmp.Or(leads[b]-leads[a], strings.Compare(a, b))
	})
	s := fmt.Sprintf("%s leads in %d of %s", names[0], leads[names[0]], plural(int64(some), "cell", "cells"))
	others := 0
	for i, n := range names[1:] {
		if i >= 2 && len(names) > 4 {
			others += leads[n]
			continue
		}
		s += fmt.Sprintf(", %s in %d", n, leads[n])
	}
	if others > 0 {
		s += fmt.Sprintf(", others in %d", others)
	}
	if g.Winners > 0 {
		s += fmt.Sprintf("; %d won at 95%% or more", g.Winners)
	} else {
		s += "; none is won yet"
	}
	if g.Thin > 0 {
		s += fmt.Sprintf("; %d %s too thin to say", g.Thin, map[bool]string{true: "is", false: "are"}[g.Thin == 1])
	}
	return s + "."
}

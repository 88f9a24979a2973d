package experiments

import (
	"cmp"
	"slices"
	"strings"

	"github.com/juncture/juncture"
)

// SegmentWinner is who wins in one combination of values.
type SegmentWinner struct {
	Segment   map[string]string `json:"segment"`       // axis to value
	Values    []string          `json:"values"`        // in the order of the axes asked for
	Key       string            `json:"key,omitempty"` // of the intersection, where the axes are the four layers
	Phrase    string            `json:"phrase"`
	Trials    int64             `json:"trials"`
	Successes int64             `json:"successes"`
	Verdict
}

// SegmentQuery asks for segments.
type SegmentQuery struct {
	Axes   []string          // axis names or whole layers; none means the whole intersection
	Filter map[string]string // axis to value
	Limit  int               // the most rows, those with the most traffic; 0 means all
}

// Segments are the answer, with how many there were before the limit.
type Segments struct {
	Axes  []string        `json:"axes"`
	Rows  []SegmentWinner `json:"rows"`
	Total int             `json:"total"`
}

// Winners returns one row per combination of values of the axes, most traffic first. Without axes the rows are the
// intersections themselves, and each says the same as BuildIntersection: its unknown layers stand for everything. With
// axes, a combination borrows from the values of all its axes but the last in key order, and so on, and unknown is a
// value like any other.
func Winners(ev Evidence, axes []string) ([]SegmentWinner, error) {
	s, err := BuildSegments(ev, SegmentQuery{Axes: axes})
	return s.Rows, err
}

type segment struct {
	values []string
	ladder []rung
	here   juncture.Intersection   // without axes
	at     []juncture.Intersection // summed
	own    tallies                 // of the competing arms
}

// BuildSegments is Winners with a filter, which broader evidence does not heed, and a limit.
func BuildSegments(ev Evidence, q SegmentQuery) (Segments, error) {
	if q.Limit == 0 || q.Limit > madeRows { // too much to keep
		return buildSegments(ev, q)
	}
	return madeBy(ev.Made, asked(q.Filter, q.Limit, append([]string{"segments"}, q.Axes...)...), func() (Segments, error) { return buildSegments(ev, q) })
}

// madeRows bounds the rows of segments that are kept.
const madeRows = 1000

func buildSegments(ev Evidence, q SegmentQuery) (Segments, error) {
	c, out, segments, err := segmentsOf(&ev, q)
	if err != nil {
		return Segments{}, err
	}
	out.Rows, err = c.winners(out.Axes, segments, len(q.Axes) == 0)
	return out, err
}

// segmentsAtOnce is how many segments EachSegment hands over at a time.
const segmentsAtOnce = 256

// EachSegment calls f for the rows of BuildSegments, some at a time, as they are read: the first long before the last. It
// stops at f's error.
func EachSegment(ev Evidence, q SegmentQuery, f func([]SegmentWinner) error) error {
	c, out, segments, err := segmentsOf(&ev, q)
	if err != nil {
		return err
	}
	for part := range slices.Chunk(segments, segmentsAtOnce) {
		rows, err := c.winners(out.Axes, part, len(q.Axes) == 0)
		if err == nil {
			err = f(rows)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// segmentsOf finds the segments that are asked for, those with the most traffic first, and the names of their axes.
func segmentsOf(ev *Evidence, q SegmentQuery) (*contest, Segments, []segment, error) {
	f, err := parseFilter(q.Filter)
	if err != nil {
		return nil, Segments{}, nil, err
	}
	axes, err := parseAxes(q.Axes)
	if err != nil {
		return nil, Segments{}, nil, err
	}
	c := newContest(ev)
	var segments []segment
	names := q.Axes
	if len(axes) == 0 {
		segments = c.leaves(f)
		names = nil
		for _, l := range juncture.Layers() {
			names = append(names, l.String())
		}
	} else {
		segments = c.combinations(axes, f)
	}
	for i := range segments {
		segments[i].own = c.sum(segments[i].ladder[len(segments[i].ladder)-1].sums)
	}
	slices.SortFunc(segments, func(a, b segment) int {
		return cmp.Or(cmp.Compare(b.own.trials, a.own.trials), slices.Compare(a.values, b.values))
	})
	out := Segments{Axes: names, Total: len(segments)}
	if q.Limit > 0 && len(segments) > q.Limit {
		segments = segments[:q.Limit]
	}
	return c, out, segments, nil
}

// winners says who wins in each segment; leaves says that they are intersections.
func (c *contest) winners(names []string, segments []segment, leaves bool) ([]SegmentWinner, error) {
	out := make([]SegmentWinner, len(segments))
	jobs := make([]func() error, len(segments))
	for i, s := range segments {
		row := &out[i]
		*row = SegmentWinner{Segment: make(map[string]string, len(names)), Values: s.values, Trials: s.own.trials, Successes: s.own.successes}
		titles := make([]string, len(names))
		for k, n := range names {
			row.Segment[n] = s.values[k]
			titles[k] = c.ev.Names.Value(n, s.values[k])
		}
		row.Phrase = strings.Join(titles, ", ")
		if leaves {
			row.Key, row.Phrase = s.here.Key(), c.ev.Names.Phrase(s.here)
		}
		jobs[i] = func() (err error) {
			row.Verdict, err = c.judge(s.at, s.ladder)
			return err
		}
	}
	return out, parallel(jobs)
}

// combinations sums the leaves by the values of the axes, and by every shorter list of them in key order.
func (c *contest) combinations(asked []axis, f filter) []segment {
	axes := slices.SortedFunc(slices.Values(asked), func(a, b axis) int { return cmp.Or(int(a.layer-b.layer), a.part-b.part) })
	sums := make([]map[string][]tallies, len(axes)+1)
	for i := range sums {
		sums[i] = map[string][]tallies{}
	}
	wanted, leaves := map[string][]string{}, map[string][]juncture.Intersection{}
	for i := range c.ev.Cells {
		cell := &c.ev.Cells[i]
		v := c.vector()
		c.add(v, cell)
		values := make([]string, len(axes))
		key := ""
		for k := range len(axes) + 1 {
			if k > 0 {
				values[k-1] = axes[k-1].of(cell.Intersection)
				key += "/" + values[k-1] // a value cannot contain a slash
			}
			into := sums[k][key]
			if into == nil {
				into = c.vector()
				sums[k][key] = into
			}
			for j := range v {
				into[j].add(v[j])
			}
		}
		leaves[key] = append(leaves[key], cell.Intersection)
		if f.match(cell.Intersection) {
			wanted[key] = values
		}
	}
	out := make([]segment, 0, len(wanted))
	for _, values := range wanted {
		ladder := []rung{{-1, sums[0][""]}}
		key := ""
		for k, v := range values {
			key += "/" + v
			ladder = append(ladder, rung{int(axes[k].layer), sums[k+1][key]})
		}
		shown := make([]string, len(asked))
		for i, a := range asked {
			shown[i] = values[slices.Index(axes, a)]
		}
		out = append(out, segment{values: shown, ladder: ladder, at: leaves[key]})
	}
	return out
}

// under are the intersections with evidence that an intersection stands for: itself, and where its layers are unknown
// those that know them.
func (c *contest) under(here juncture.Intersection) []juncture.Intersection {
	out := []juncture.Intersection{}
	if here.Tier() != juncture.TierFull {
		for i := range c.ev.Cells {
			if x := c.ev.Cells[i].Intersection; covers(here, x) {
				out = append(out, x)
			}
		}
	}
	if len(out) == 0 {
		return []juncture.Intersection{here}
	}
	return out
}

// leaves sums the leaves by the rungs of every leaf.
func (c *contest) leaves(f filter) []segment {
	nodes := map[juncture.Intersection][]tallies{}
	var out []segment
	seen := map[juncture.Intersection]bool{}
	for i := range c.ev.Cells {
		x := c.ev.Cells[i].Intersection
		if !f.match(x) {
			continue
		}
		steps := x.Rungs()
		here := steps[len(steps)-1]
		if seen[here] {
			continue
		}
		seen[here] = true
		s := segment{here: here, values: here[:], at: c.under(here)}
		for k, step := range steps {
			if nodes[step] == nil {
				nodes[step] = c.vector()
			}
			s.ladder = append(s.ladder, rung{layerOf(steps, k), nodes[step]})
		}
		out = append(out, s)
	}
	v := c.vector()
	for i := range c.ev.Cells {
		cell := &c.ev.Cells[i]
		clear(v)
		c.add(v, cell)
		// A leaf belongs to every node that keeps some of its known layers and leaves the others open: at most 16.
		for mask := range 1 << juncture.LayerCount {
			var x juncture.Intersection
			twice := false
			for l := range juncture.LayerCount {
				x[l] = juncture.Unknown
				if mask>>l&1 == 1 {
					x[l] = cell.Intersection[l]
					twice = twice || x[l] == "" || !juncture.Known(x[l]) // the same node without this bit
				}
			}
			if twice {
				continue
			}
			if n := nodes[x]; n != nil {
				for j := range v {
					n[j].add(v[j])
				}
			}
		}
	}
	return out
}

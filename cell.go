package juncture

import (
	"cmp"
	"slices"
	"time"
)

// Cell is everything the ledger has folded at one intersection of one experiment, or, where Delays is set, how late the
// experiment's successes came.
type Cell struct {
	Experiment   string
	Intersection Intersection
	Delays       bool
	Rows         []CellRow // in order of arm, group, event, delay, bucket
	Marks        []Mark
}

// CellRow is one tally of a cell. The empty Event holds the trials, one row per outcome name the rest.
type CellRow struct {
	Arm    ArmID
	Group  Group
	Event  string
	Delay  uint8 // 1 + DelayClass, of a cell of delays
	Bucket Bucket
	Tally
}

// Mark says how much of a node's stream of deltas a cell holds.
type Mark struct {
	Node uint16
	Seq  int64
}

// Compare orders rows by arm, group, event, delay, bucket.
func (r CellRow) Compare(o CellRow) int {
	switch {
	case r.Arm != o.Arm:
		return cmp.Compare(r.Arm, o.Arm)
	case r.Group != o.Group:
		return cmp.Compare(r.Group, o.Group)
	case r.Event != o.Event:
		return cmp.Compare(r.Event, o.Event)
	case r.Delay != o.Delay:
		return cmp.Compare(r.Delay, o.Delay)
	}
	return cmp.Compare(r.Bucket, o.Bucket)
}

// Flat returns the cell with the buckets of each tally added up.
func (c *Cell) Flat() Cell {
	out := *c
	out.Marks = slices.Clone(c.Marks)
	out.Rows = make([]CellRow, 0, len(c.Rows))
	for _, r := range c.Rows {
		r.Bucket = 0
		if n := len(out.Rows); n > 0 && out.Rows[n-1].Compare(r) == 0 {
			out.Rows[n-1].Tally = out.Rows[n-1].Plus(r.Tally)
		} else {
			out.Rows = append(out.Rows, r)
		}
	}
	return out
}

// Compact merges the buckets that are old enough at a time (statistics A.1), and drops what adds up to nothing.
func (c *Cell) Compact(now time.Time) {
	at := now.Unix() / 60
	merged := c.Rows[:0:0]
	changed := false
	for _, r := range c.Rows {
		b := Calendar{}.Merge(r.Bucket, at)
		changed = changed || b != r.Bucket
		r.Bucket = b
		if n := len(merged); n > 0 && merged[n-1].Compare(r) == 0 {
			merged[n-1].Tally = merged[n-1].Plus(r.Tally)
		} else {
			merged = append(merged, r)
		}
	}
	if changed {
		slices.SortStableFunc(merged, CellRow.Compare)
		c.Rows = merged[:0]
		for _, r := range merged {
			if n := len(c.Rows); n > 0 && c.Rows[n-1].Compare(r) == 0 {
				c.Rows[n-1].Tally = c.Rows[n-1].Plus(r.Tally)
			} else {
				c.Rows = append(c.Rows, r)
			}
		}
	}
}

// Fold adds a delta that a node wrote under seq. A delta that the cell already holds changes nothing; it reports
// whether anything changed.
func (c *Cell) Fold(node uint16, seq int64, deltas ...Delta) bool {
	if c.Mark(node) >= seq {
		return false
	}
	for _, d := range deltas {
		row := CellRow{Arm: d.Arm, Group: d.Group, Event: d.Event, Delay: d.Delay, Bucket: d.Bucket}
		i, found := slices.BinarySearchFunc(c.Rows, row, CellRow.Compare)
		if !found {
			c.Rows = slices.Insert(c.Rows, i, row)
		}
		c.Rows[i].Tally = c.Rows[i].Plus(d.Tally)
	}
	for i := range c.Marks {
		if c.Marks[i].Node == node {
			c.Marks[i].Seq = seq
			return true
		}
	}
	c.Marks = append(c.Marks, Mark{node, seq})
	return true
}

// Mark returns the last seq of a node that the cell holds, 0 for none.
func (c *Cell) Mark(node uint16) int64 {
	for _, m := range c.Marks {
		if m.Node == node {
			return m.Seq
		}
	}
	return 0
}

// Clone returns a deep copy.
func (c *Cell) Clone() Cell {
	out := *c
	out.Rows, out.Marks = slices.Clone(c.Rows), slices.Clone(c.Marks)
	return out
}

// CellID names a cell.
type CellID struct {
	Experiment   string
	Intersection Intersection
	Delays       bool
}

// ID returns the cell's name.
func (c *Cell) ID() CellID { return CellID{c.Experiment, c.Intersection, c.Delays} }

// Cell names the cell that a delta belongs to.
func (d Delta) Cell() CellID { return CellID{d.Experiment, d.Intersection, d.Delay != 0} }

// FoldInto groups one commit's deltas by the cells that they belong to, so that each cell is folded once per commit.
func FoldInto(deltas []Delta, f func(id CellID, mine []Delta)) {
	byCell := make(map[CellID][]Delta, len(deltas))
	for _, d := range deltas {
		byCell[d.Cell()] = append(byCell[d.Cell()], d)
	}
	for id, mine := range byCell {
		f(id, mine)
	}
}

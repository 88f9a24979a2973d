package juncture

import (
	"cmp"
	"slices"
)

// Cell is everything the ledger has folded at one intersection of one experiment, or, where Rung is set, at one step
// of the ladder of back-off: the sum, over the groups that teach, of the intersections whose ladder passes through it.
type Cell struct {
	Experiment   string
	Intersection Intersection
	Rung         bool
	Rows         []CellRow // in order of arm, group, event; a rung's have GroupNone
	Marks        []Mark
}

// CellRow is one tally of a cell. The empty Event holds the trials, one row per outcome name the rest.
type CellRow struct {
	Arm   ArmID
	Group Group
	Event string
	Tally
}

// Mark says how much of a node's stream of deltas a cell holds.
type Mark struct {
	Node uint16
	Seq  int64
}

// Compare orders rows by arm, group, event.
func (r CellRow) Compare(o CellRow) int {
	if r.Arm != o.Arm {
		return cmp.Compare(r.Arm, o.Arm)
	}
	if r.Group != o.Group {
		return cmp.Compare(r.Group, o.Group)
	}
	return cmp.Compare(r.Event, o.Event)
}

// Fold adds a delta that a node wrote under seq. A delta that the cell already holds changes nothing; it reports
// whether anything changed.
func (c *Cell) Fold(node uint16, seq int64, deltas ...Delta) bool {
	if c.Mark(node) >= seq {
		return false
	}
	for _, d := range deltas {
		row := CellRow{Arm: d.Arm, Group: d.Group, Event: d.Event}
		if c.Rung {
			row.Group = GroupNone
		}
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
	Rung         bool
}

// ID returns the cell's name.
func (c *Cell) ID() CellID { return CellID{c.Experiment, c.Intersection, c.Rung} }

// Targets calls f for every cell that a delta belongs to: its intersection and, for groups that teach, each rung.
func (d Delta) Targets(f func(CellID)) {
	f(CellID{d.Experiment, d.Intersection, false})
	if !d.Group.Teaches() {
		return
	}
	for _, r := range d.Intersection.Rungs() {
		f(CellID{d.Experiment, r, true})
	}
}

// FoldInto groups one commit's deltas by the cells that they belong to, so that each cell is folded once per commit.
func FoldInto(deltas []Delta, f func(id CellID, mine []Delta)) {
	byCell := make(map[CellID][]Delta, 2*len(deltas))
	for _, d := range deltas {
		d.Targets(func(id CellID) { byCell[id] = append(byCell[id], d) })
	}
	for id, mine := range byCell {
		f(id, mine)
	}
}

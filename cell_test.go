package juncture_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	. "github.com/juncture/juncture"
)

func TestADeltaBelongsToItsIntersection(t *testing.T) {
	key := TallyKey{Experiment: "x", Intersection: Intersection{"a", "b", "_", "_"}, Arm: 1, Group: GroupPolicy}
	if got := (Delta{TallyKey: key}).Cell(); got != (CellID{"x", key.Intersection, false}) {
		t.Errorf("a trial belongs to %+v", got)
	}
	if got := (Delta{TallyKey: TallyKey{Experiment: "x", Event: "click", Delay: 3}}).Cell(); got != (CellID{Experiment: "x", Delays: true}) {
		t.Errorf("a delay belongs to %+v", got)
	}
}

// Buckets merge as they age, and never change what they add up to; merging again later is merging once then.
func TestCompactingKeepsTheSums(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		var c Cell
		for i := range rapid.IntRange(1, 60).Draw(t, "trials") {
			at := start.Add(time.Duration(rapid.IntRange(0, 400*24).Draw(t, "hour")) * time.Hour)
			c.Fold(1, int64(i+1), Delta{TallyKey: TallyKey{Arm: ArmID(rapid.IntRange(1, 2).Draw(t, "arm")), Bucket: Calendar{}.At(at)}, Tally: Tally{Trials: 1}})
		}
		flat, once := c.Flat(), c.Clone()
		early, late := start.AddDate(0, 14, 0), start.AddDate(0, 15, 7)
		c.Compact(early)
		c.Compact(late)
		once.Compact(late)
		again := c.Flat()
		if !slices.Equal(flat.Rows, again.Rows) {
			t.Fatalf("%+v became %+v", flat.Rows, again.Rows)
		}
		if !slices.Equal(c.Rows, once.Rows) || !slices.IsSortedFunc(c.Rows, CellRow.Compare) {
			t.Fatalf("in two steps %+v, in one %+v", c.Rows, once.Rows)
		}
		if most := 2 * (48 + 33 + 26 + 1); len(c.Rows) > most {
			t.Fatalf("%d rows of 2 arms", len(c.Rows))
		}
	})
}

// TestFoldingIsIdempotentAndOrderOfStreamsDoesNotMatter: every node's stream in order, however they interleave and
// repeat, gives one cell.
func TestFoldingIsIdempotentAndOrderOfStreamsDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type commit struct {
			node   uint16
			seq    int64
			deltas []Delta
		}
		streams := make([][]commit, 3)
		for node := range streams {
			for seq := range rapid.IntRange(0, 4).Draw(t, "commits") {
				var deltas []Delta
				for range rapid.IntRange(1, 3).Draw(t, "deltas") {
					deltas = append(deltas, Delta{TallyKey: TallyKey{Arm: ArmID(rapid.IntRange(0, 2).Draw(t, "arm")), Group: GroupPolicy,
						Event: rapid.SampledFrom([]string{"", "click"}).Draw(t, "event")}, Tally: Tally{Trials: rapid.Int64Range(-2, 3).Draw(t, "n")}})
				}
				streams[node] = append(streams[node], commit{uint16(node), int64(seq + 1), deltas})
			}
		}
		var plain Cell
		for _, s := range streams {
			for _, c := range s {
				if !plain.Fold(c.node, c.seq, c.deltas...) {
					t.Fatal("a new delta changes nothing")
				}
			}
		}
		var mixed Cell
		at := make([]int, len(streams))
		for {
			var open []int
			for i := range streams {
				if at[i] < len(streams[i]) {
					open = append(open, i)
				}
			}
			if len(open) == 0 {
				break
			}
			i := rapid.SampledFrom(open).Draw(t, "next")
			c := streams[i][at[i]]
			mixed.Fold(c.node, c.seq, c.deltas...)
			if back := rapid.IntRange(0, at[i]).Draw(t, "again"); mixed.Fold(c.node, streams[i][back].seq, streams[i][back].deltas...) {
				t.Fatal("a delta that the cell holds changed it")
			}
			at[i]++
		}
		if !slices.Equal(plain.Rows, mixed.Rows) {
			t.Fatalf("%+v in one order, %+v in another", plain.Rows, mixed.Rows)
		}
		for node := range streams {
			if plain.Mark(uint16(node)) != mixed.Mark(uint16(node)) {
				t.Fatal("the marks differ")
			}
		}
		if !slices.IsSortedFunc(plain.Rows, CellRow.Compare) {
			t.Fatal("rows are out of order")
		}
		clone := plain.Clone()
		clone.Fold(9, 1, Delta{TallyKey: TallyKey{Arm: 1, Group: GroupPolicy}, Tally: Tally{Trials: 100}})
		if !slices.Equal(plain.Rows, mixed.Rows) || plain.Mark(9) != 0 {
			t.Fatal("a clone shares memory with its cell")
		}
	})
}

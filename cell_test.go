package juncture_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	. "github.com/juncture/juncture"
)

func TestADeltaBelongsToItsIntersectionAndItsRungs(t *testing.T) {
	d := Delta{TallyKey: TallyKey{Experiment: "x", Intersection: Intersection{"a", "b", "_", "_"}, Arm: 1, Group: GroupPolicy}}
	list := func(d Delta) (out []string) {
		d.Targets(func(id CellID) { out = append(out, fmt.Sprint(id.Intersection.Key(), " ", id.Rung)) })
		return out
	}
	if got, want := list(d), []string{"v1/a/b/_/_ false", "v1/_/_/_/_ true", "v1/a/_/_/_ true", "v1/a/b/_/_ true"}; !slices.Equal(got, want) {
		t.Errorf("policy teaches %v, want %v", got, want)
	}
	d.Group = GroupHoldout
	if got, want := list(d), []string{"v1/a/b/_/_ false"}; !slices.Equal(got, want) {
		t.Errorf("holdout teaches %v, want %v", got, want)
	}
}

func TestARungSumsTheGroups(t *testing.T) {
	c := Cell{Rung: true}
	key := TallyKey{Arm: 1, Event: "click"}
	for i, g := range []Group{GroupPolicy, GroupRandom, GroupBAU} {
		key.Group = g
		c.Fold(1, int64(i+1), Delta{TallyKey: key, Tally: Tally{Outcomes: 1}})
	}
	if want := []CellRow{{Arm: 1, Event: "click", Tally: Tally{Outcomes: 3}}}; !slices.Equal(c.Rows, want) { // 1 + 1 + 1
		t.Errorf("%+v, want %+v", c.Rows, want)
	}
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

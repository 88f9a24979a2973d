package lattice

import (
	"cmp"
	"slices"

	"github.com/juncture/juncture"
)

// Arm is a competitor that a fit should know: every one that may be eligible, and every one with evidence that should
// teach. Others' evidence is left out.
type Arm struct {
	ID juncture.ArmID
	juncture.Arm
}

// shadowTrials is the most trials that what was tallied in shadow is worth to an arm, its versions together (A.5).
const shadowTrials = 200

const shadowBit juncture.ArmID = 1 << 31

// Shadow is the number under which evidence has an arm's trials in shadow: the store chose, by its own rule, and they are
// no more than a prior. No arm's number is 2³¹ or higher.
func Shadow(arm juncture.ArmID) juncture.ArmID { return arm | shadowBit }

// oldVersion is the most trials that an arm's superseded versions are worth to it (B.5).
const oldVersion = 500

// cast is the arms in canonical order, with the parts that effects belong to. Versions of one (action, copy) are one arm.
type cast struct {
	actions, copies []string
	names           []juncture.Arm // of each arm, without versions
	action          []int32        // of each arm
	copy            []int32        // of each arm
	shared          []bool         // of each arm: whether other actions say theirs like that, too
	newest          []int32        // of each arm, the version that counts in full
	index           map[juncture.ArmID]int32
	version         map[juncture.ArmID]int32
	siblings        []int32 // of each action, its arms
}

// newCast orders arms by action, then copy.
func newCast(arms []Arm) *cast {
	sorted := slices.Clone(arms)
	slices.SortFunc(sorted, func(a, b Arm) int {
		return cmp.Or(cmp.Compare(a.Action, b.Action), cmp.Compare(a.Copy, b.Copy), cmp.Compare(a.ActionVersion, b.ActionVersion),
			cmp.Compare(a.CopyVersion, b.CopyVersion), cmp.Compare(a.ID, b.ID))
	})
	c := &cast{index: map[juncture.ArmID]int32{}, version: map[juncture.ArmID]int32{}}
	for _, a := range sorted {
		name := juncture.Arm{Action: a.Action, Copy: a.Copy}
		if len(c.names) == 0 || c.names[len(c.names)-1] != name {
			if len(c.actions) == 0 || c.actions[len(c.actions)-1] != a.Action {
				c.actions, c.siblings = append(c.actions, a.Action), append(c.siblings, 0)
			}
			c.siblings[len(c.actions)-1]++
			c.names, c.action, c.newest = append(c.names, name), append(c.action, int32(len(c.actions)-1)), append(c.newest, -1)
		}
		k := int32(len(c.names) - 1)
		c.index[a.ID] = k
		c.newest[k]++
		c.version[a.ID] = c.newest[k]
	}
	shared := map[string]int{}
	for _, n := range c.names {
		shared[n.Copy]++
	}
	at := map[string]int32{}
	for _, n := range slices.SortedFunc(slices.Values(c.names), func(a, b juncture.Arm) int { return cmp.Compare(a.Copy, b.Copy) }) {
		if _, ok := at[n.Copy]; !ok && shared[n.Copy] > 1 {
			at[n.Copy] = int32(len(c.copies))
			c.copies = append(c.copies, n.Copy)
		}
	}
	for _, n := range c.names {
		i, ok := at[n.Copy]
		if !ok {
			i = int32(len(c.copies))
			c.copies = append(c.copies, n.Copy)
		}
		c.copy, c.shared = append(c.copy, i), append(c.shared, ok)
	}
	return c
}

// parts returns of each arm the part that a family's effects belong to, and how many there are; -1 where an effect would
// be one of a broader family again: an action of one arm needs no effect of the arm, nor a copy that one action has an
// effect of its own.
func (c *cast) parts(of who, w where) (part []int32, k int) {
	part = make([]int32, len(c.names))
	for i := range part {
		alone := c.siblings[c.action[i]] == 1
		switch {
		case of == byAction:
			part[i], k = c.action[i], len(c.actions)
		case of == byCopy:
			part[i], k = c.copy[i], len(c.copies)
			if !c.shared[i] && (alone || w == store) {
				part[i] = -1
			}
		case of == byArm:
			part[i], k = int32(i), len(c.names)
			if alone && !(w == store && c.shared[i]) {
				part[i] = -1
			}
		default:
			k = 1
		}
	}
	return part, k
}

package policy

import (
	"math"

	"github.com/juncture/juncture"
)

// MaxTrials is the most evidence that an arm may have at a rung.
const MaxTrials = 1e12

// maxLogValue bounds the mean of ln(value): e^±100 is no price.
const maxLogValue = 100

// check refuses what no ledger holds, so that nothing behind it needs to. The error is CodeInternal.
func (s *Situation) check() error {
	bad := func(format string, args ...any) error { return juncture.Errorf(juncture.CodeInternal, format, args...) }
	if len(s.Arms) == 0 || len(s.Rungs) == 0 {
		return bad("a situation with %d arms and %d rungs", len(s.Arms), len(s.Rungs))
	}
	for t := range s.Rungs {
		r := &s.Rungs[t]
		if t == 0 && r.Layer != -1 || t > 0 && (r.Layer <= s.Rungs[t-1].Layer || r.Layer >= juncture.LayerCount) {
			return bad("rung %d adds layer %d: the store's is -1, the others follow in key order", t, r.Layer)
		}
		if len(r.Counts) != len(s.Arms) {
			return bad("rung %d has counts of %d arms, not %d", t, len(r.Counts), len(s.Arms))
		}
		for k := range r.Counts {
			if c := &r.Counts[k]; !c.sound() {
				return bad("arm %d at rung %d: impossible counts %+v", s.Arms[k].ID, t, *c)
			}
		}
	}
	return nil
}

func (c *Counts) sound() bool {
	most := c.Successes*maxLogValue + 1e-6
	return c.Trials >= 0 && c.Trials <= MaxTrials && c.Successes >= 0 && c.Successes <= c.Trials*(1+1e-9)+1e-9 &&
		math.Abs(c.LogValue) <= most && c.LogValueSq >= 0 && c.LogValueSq <= most*maxLogValue
}

// field is who competes with whom: arms gathered into actions, in order of first appearance.
type field struct {
	action []int // of each arm, an index into first
	first  []int // of each action, its first arm
	size   []int // of each action, its number of arms
}

func gather(arms []Arm) field {
	k := len(arms)
	slab := make([]int, 3*k)
	f := field{action: slab[:k], first: slab[k : k : 2*k], size: slab[2*k : 2*k : 3*k]}
	var index map[string]int
	if k > 64 { // below that, comparing is faster than hashing
		index = make(map[string]int, k)
	}
	for i := range arms {
		g := -1
		if index != nil {
			if at, ok := index[arms[i].Action]; ok {
				g = at
			}
		} else {
			for j, first := range f.first {
				if arms[first].Action == arms[i].Action {
					g = j
					break
				}
			}
		}
		if g < 0 {
			g = len(f.first)
			f.first, f.size = append(f.first, i), append(f.size, 0)
			if index != nil {
				index[arms[i].Action] = g
			}
		}
		f.action[i] = g
		f.size[g]++
	}
	return f
}

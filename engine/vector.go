package engine

import (
	"context"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/policy"
	"github.com/juncture/juncture/policy/lattice"
	"github.com/juncture/juncture/pool"
)

// vectorKey names a cached probability vector: one experiment's, at one intersection, for one set of eligible arms.
type vectorKey struct {
	experiment   string
	intersection juncture.Intersection
	set          uint64
}

// vector is the policy's answer for a key. It is immutable.
type vector struct {
	arms    []juncture.ArmID // what the set hashed, to check
	epoch   uint64
	number  int64  // of the configuration
	nudged  uint64 // which of the experiment's nudges hold
	p       []float64
	before  []float64 // what p would be without the nudges that hold; nil where none does
	own     []float64 // trials at the cell of each arm's action
	borrow  []float64 // pseudo-trials that its prior is worth
	version string
	from    *fitted // nil: of a policy that reads no snapshot
	fit     *juncture.Fit
}

// setHash hashes the eligible arms in order.
func setHash(arms []*pool.Arm) uint64 {
	h := uint64(14695981039346656037) // FNV-1a over the ids
	for _, a := range arms {
		h = (h ^ uint64(a.ID)) * 1099511628211
	}
	return h
}

func (v *vector) fits(arms []*pool.Arm, epoch uint64, number int64, nudged uint64) bool {
	if v.epoch != epoch || v.number != number || v.nudged != nudged || len(v.arms) != len(arms) {
		return false
	}
	for i, a := range arms {
		if v.arms[i] != a.ID {
			return false
		}
	}
	return true
}

// vector gives the probabilities with which the policy picks each arm, floor included, from the cache where evidence
// has not grown since. Where the policy fails the answer is uniform, and counted.
func (e *Engine) vector(ctx context.Context, st *state, x *juncture.Experiment, at juncture.Intersection, arms []*pool.Arm, now time.Time) (_ *vector, err error) {
	pooled := juncture.Pooled(x.Policy)
	var f *fitted
	var epoch uint64
	if pooled {
		var err error
		if f, err = e.snapshot(ctx, st, x, now); err != nil && f == nil {
			return nil, err
		}
		epoch = f.number
	} else {
		epoch = e.d.Tallies.Epoch(x.ID)
	}
	nudged := nudges(x, now)
	key := vectorKey{x.ID, at, setHash(arms)}
	if v, ok := e.vectors.Get(key); ok && v.fits(arms, epoch, st.pool.Number, nudged) {
		e.stats.VectorHits.Add(1)
		return v, nil
	}
	e.stats.Vectors.Add(1)
	v := &vector{epoch: epoch, number: st.pool.Number, nudged: nudged, p: make([]float64, len(arms)), borrow: make([]float64, len(arms))}
	competing := make([]policy.Arm, len(arms))
	for i, a := range arms {
		v.arms = append(v.arms, a.ID)
		competing[i] = policy.Arm{ID: a.ID, Action: a.Arm.Action}
	}
	if v.own, err = e.own(ctx, x, at, competing); err != nil {
		return nil, err
	}
	if pooled {
		v.version, v.from, v.fit = f.Version, f, &f.evidence
		ws := e.workspaces.Get().(*lattice.Workspace)
		if err = f.Vector(at, v.arms, ws, v.p); err == nil {
			err = f.Borrowed(at, v.arms, v.borrow)
		}
		e.workspaces.Put(ws)
	} else {
		var s policy.Situation
		var fit juncture.Fit
		if s, fit, err = e.situation(ctx, x, st.pool.Outcomes[x.Goal.Main()], at, competing); err != nil {
			return nil, err
		}
		fit.Version = policyVersion(st.terms[x.ID].hash, x.ID, marksText(fit.Marks))
		v.version, v.fit = fit.Version, &fit
		err = st.policies[x.ID].Weights(&s, v.p)
	}
	if err != nil {
		e.stats.PolicyFailures.Add(1)
	}
	v.settle(x, arms, err)
	e.vectors.Add(key, v)
	return v, nil
}

// settle makes probabilities of the policy's weights: steered, or uniform where it failed.
func (v *vector) settle(x *juncture.Experiment, arms []*pool.Arm, failed error) {
	if failed == nil {
		steer(x, arms, v)
		return
	}
	for i := range v.p {
		v.p[i] = 1 / float64(len(v.p))
	}
}

// nudges says which of an experiment's nudges hold, one bit each.
func nudges(x *juncture.Experiment, now time.Time) (held uint64) {
	for i, n := range x.Nudges {
		if n.Live(now) {
			held |= 1 << i
		}
	}
	return held
}

// steer applies the nudges that hold and the floors to a policy's weights (statistics C.3, C.4).
func steer(x *juncture.Experiment, arms []*pool.Arm, v *vector) {
	if v.nudged != 0 {
		v.before = slices.Clone(v.p)
		floored(x, arms, v.before)
		factor := make([]float64, len(arms))
		for k, a := range arms {
			factor[k] = 1
			for i, n := range x.Nudges {
				if v.nudged&(1<<i) != 0 && n.Action == a.Arm.Action {
					factor[k] *= n.Factor
				}
			}
			factor[k] = min(max(factor[k], 0.5), 2)
		}
		policy.Nudge(v.p, factor)
	}
	floored(x, arms, v.p)
}

// floored mixes weights with what evidence may not take away. An action's floor is spread evenly over its eligible copies.
func floored(x *juncture.Experiment, arms []*pool.Arm, w []float64) {
	if len(x.Floors) == 0 {
		policy.Floor(w, x.FloorMass())
		return
	}
	copies := map[string]float64{}
	for _, a := range arms {
		copies[a.Arm.Action]++
	}
	least := make([]float64, len(arms))
	for k, a := range arms {
		least[k] = x.Floors[a.Arm.Action]/copies[a.Arm.Action] + x.Floors[a.Arm.Action+"/"+a.Arm.Copy]
	}
	policy.FloorEach(w, least, x.FloorMass())
}

// policyVersion names the settings and the evidence behind a vector.
func policyVersion(terms, experiment, watermark string) string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s %s %s", terms, experiment, watermark)
	return hex.EncodeToString(h.Sum(nil))
}

// defaultWindow is the reward window where no experiment runs.
const defaultWindow = 24 * time.Hour

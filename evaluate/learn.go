package evaluate

import (
	"cmp"
	"container/heap"
	"hash/fnv"
	"slices"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/policy"
	"github.com/juncture/juncture/policy/lattice"
)

const (
	leastGrowth = 50     // trials between two fits (statistics B.4)
	mostCached  = 50_000 // vectors of one snapshot
	mostRanked  = 2_000  // intersections by which single arms are ranked: those with the most traffic
)

// news is what an entry of the ledger adds to the evidence, from when it is known.
type news struct {
	known time.Time
	juncture.Delta
	sign int64 // 1, or -1 where it is taken back
}

// pending is news that is not known yet, a heap by time. At most the trials and outcomes of one reward window wait.
type pending []news

func (p pending) Len() int           { return len(p) }
func (p pending) Less(i, j int) bool { return p[i].known.Before(p[j].known) }
func (p pending) Swap(i, j int)      { p[i], p[j] = p[j], p[i] }
func (p *pending) Push(x any)        { *p = append(*p, x.(news)) }
func (p *pending) Pop() any          { o := *p; x := o[len(o)-1]; *p = o[:len(o)-1]; return x }

// belief is what was learnt (lattice.Snapshot, lattice.Blend).
type belief interface {
	Vector(x juncture.Intersection, arms []juncture.ArmID, ws *lattice.Workspace, w []float64) error
	Means(x juncture.Intersection, arms []juncture.ArmID, ws *lattice.Workspace, m []float64) error
}

// school learns from the log under one ceiling: what a store would know that told no more of its shoppers.
type school struct {
	ceiling  juncture.Tier
	evidence []*lattice.Evidence // of the goal's parts
	belief   belief
	vectors  map[situation][]float64
	means    map[situation][]float64
}

// situation is an intersection with a hash of its eligible arms.
type situation struct {
	at   juncture.Intersection
	arms uint64
}

func situationOf(x juncture.Intersection, arms []juncture.ArmID) situation {
	h := fnv.New64a()
	for _, a := range arms {
		_, _ = h.Write([]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)}) // a hash takes everything
	}
	return situation{x, h.Sum64()}
}

func newSchool(ceiling juncture.Tier, parts int) *school {
	s := &school{ceiling: ceiling}
	for range parts {
		s.evidence = append(s.evidence, lattice.NewEvidence(juncture.Calendar{}))
	}
	return s
}

func (s *school) take(part int, n *news, most int) {
	c := lattice.Counts{Trials: n.sign * n.Trials, Successes: n.sign * n.Successes, LogValue: n.sign * n.LogValue, LogValueSq: n.sign * n.LogValueSq}
	x := n.Intersection.Ceiling(s.ceiling)
	if s.evidence[0].Intersections() >= most && !s.evidence[0].Holds(x) {
		x = x.Ceiling(juncture.TierMoment)
	}
	for i, e := range s.evidence {
		switch {
		case n.Delay != 0 && part == i:
			e.AddDelayIn(n.Bucket, int(n.Delay)-1, c.Trials)
		case n.Delay == 0 && part < 0: // a trial is of every outcome
			e.AddIn(x, n.Arm, n.Bucket, lattice.Counts{Trials: c.Trials})
		case n.Delay == 0 && part == i:
			c.Trials = 0
			e.AddIn(x, n.Arm, n.Bucket, c)
		}
	}
}

func (s *school) fit(w *Walk, at time.Time) error {
	var parts []lattice.Part
	for i, p := range w.parts {
		s.evidence[i].Compact(at)
		snapshot, err := lattice.Fit(s.evidence[i].View(), w.cast, lattice.SettingsOf(&w.set.Experiment, w.types[i]), at, "")
		if err != nil {
			return err
		}
		parts = append(parts, lattice.Part{Outcome: p.Outcome, Snapshot: snapshot, Weight: p.Weight})
	}
	s.vectors, s.means = map[situation][]float64{}, map[situation][]float64{}
	if len(w.set.Experiment.Goal.Weights) == 0 {
		s.belief = parts[0].Snapshot
		return nil
	}
	var err error
	s.belief, err = lattice.NewBlend(parts...)
	return err
}

// vector is the probability of each arm under the snapshot, floors included, nudges not. It is shared: never changed.
func (s *school) vector(w *Walk, x juncture.Intersection, arms []juncture.ArmID) ([]float64, error) {
	return s.ask(s.vectors, x, arms, func(x juncture.Intersection, p []float64) error {
		if err := s.belief.Vector(x, arms, &w.space, p); err != nil {
			return err
		}
		w.floor(arms, p)
		return nil
	})
}

// mean is what the snapshot foresees of each arm.
func (s *school) mean(w *Walk, x juncture.Intersection, arms []juncture.ArmID) ([]float64, error) {
	return s.ask(s.means, x, arms, func(x juncture.Intersection, m []float64) error { return s.belief.Means(x, arms, &w.space, m) })
}

func (s *school) ask(cache map[situation][]float64, x juncture.Intersection, arms []juncture.ArmID, fill func(juncture.Intersection, []float64) error) ([]float64, error) {
	key := situationOf(x.Ceiling(s.ceiling), arms)
	if v, ok := cache[key]; ok && len(v) == len(arms) {
		return v, nil
	}
	v := make([]float64, len(arms))
	if err := fill(key.at, v); err != nil {
		return nil, err
	}
	if len(cache) >= mostCached {
		clear(cache)
	}
	cache[key] = v
	return v, nil
}

// floor mixes weights with what evidence may not take away (statistics C.4).
func (w *Walk) floor(arms []juncture.ArmID, p []float64) {
	x := &w.set.Experiment
	if len(x.Floors) == 0 {
		policy.Floor(p, x.FloorMass())
		return
	}
	copies := map[string]float64{}
	for _, a := range arms {
		copies[w.arms[a].Action]++
	}
	least := make([]float64, len(arms))
	for k, a := range arms {
		arm := w.arms[a]
		least[k] = x.Floors[arm.Action]/copies[arm.Action] + x.Floors[arm.Action+"/"+arm.Copy]
	}
	policy.FloorEach(p, least, x.FloorMass())
}

// learn takes what is known by now and fits again where evidence has grown, or an arm is new.
func (w *Walk) learn(now time.Time) error {
	for len(w.pending) > 0 && !w.pending[0].known.After(now) {
		n := heap.Pop(&w.pending).(news)
		part := slices.IndexFunc(w.parts, func(p juncture.GoalPart) bool { return p.Outcome == n.Event })
		if part < 0 && n.Event != "" {
			continue
		}
		if part < 0 {
			w.trials += n.sign * n.Trials
		}
		for _, s := range w.schools {
			s.take(part, &n, w.set.Intersections)
		}
	}
	grown := w.trials - w.fitted
	if !w.stale && (grown < leastGrowth || float64(grown) < w.set.Growth*float64(w.fitted)) {
		return nil
	}
	w.stale, w.fitted = false, w.trials
	w.fits++
	at := now.UTC().Truncate(time.Minute)
	for _, s := range w.schools {
		if err := s.fit(w, at); err != nil {
			return err
		}
	}
	return w.rank()
}

// rank orders single arms by what the model foresees of each over the traffic so far: Σ decisions there × its mean there.
func (w *Walk) rank() error {
	ids := make([]juncture.ArmID, len(w.cast))
	for i, a := range w.cast {
		ids[i] = a.ID
	}
	keys := make([]juncture.Intersection, 0, len(w.traffic))
	for x := range w.traffic {
		keys = append(keys, x)
	}
	slices.SortFunc(keys, func(a, b juncture.Intersection) int {
		return cmp.Or(cmp.Compare(w.traffic[b], w.traffic[a]), slices.Compare(a[:], b[:]))
	})
	value, m := map[juncture.ArmID]float64{}, make([]float64, len(ids))
	for _, x := range keys[:min(len(keys), mostRanked)] {
		if err := w.full.belief.Means(x, ids, &w.space, m); err != nil {
			return err
		}
		for i, id := range ids {
			value[id] += w.traffic[x] * m[i]
		}
	}
	w.ranked = ids
	slices.SortFunc(w.ranked, func(a, b juncture.ArmID) int {
		return cmp.Or(cmp.Compare(value[b], value[a]), cmp.Compare(w.arms[a].String(), w.arms[b].String()))
	})
	return nil
}

// await has what came of a decision learnt once it is known: its trial at its choice or activation, each outcome on arrival.
func (w *Walk) await(s *juncture.Settled) {
	base := s.Settlement(juncture.OutcomeType{}, w.set.Currency)
	if !base.Active() || !s.Group.Teaches() || base.Arm() == 0 {
		return
	}
	push := func(known time.Time, d juncture.Delta, sign int64) {
		if trial := base.TrialAt(); known.Before(trial) {
			known = trial
		}
		heap.Push(&w.pending, news{known, d, sign})
	}
	push(base.TrialAt(), base.Trial(1), 1)
	for _, t := range w.types {
		rows := s.Of(t.Name)
		slices.SortStableFunc(rows, func(a, b juncture.Outcome) int { return a.Received.Compare(b.Received) })
		base.Type = t
		for i := range rows { // what it made of the outcomes before it is taken back
			if i > 0 {
				for _, d := range base.Learnt(rows[:i]) {
					push(rows[i].Received, d, -1)
				}
			}
			for _, d := range base.Learnt(rows[:i+1]) {
				push(rows[i].Received, d, 1)
			}
		}
	}
}

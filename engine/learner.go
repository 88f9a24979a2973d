package engine

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/policy"
	"github.com/juncture/juncture/policy/lattice"
)

// When a snapshot is fitted anew (statistics B.4).
const (
	refitShare  = 25     // evidence has grown by 1/refitShare,
	refitLeast  = 50     // and by so many trials,
	refitMost   = 20_000 // or by so many;
	hardShare   = 12     // a fit that takes over quickCall is left to the background; under hardUnder trials a call waits all the same
	hardUnder   = 50_000 // where evidence has grown by 1/hardShare
	quickCall   = 25 * time.Millisecond
	refitSoon   = 5 * time.Second
	refitLate   = time.Minute
	quickRead   = 200 * time.Millisecond // a fit that takes less is made for every page
	quickFit    = time.Second            // a fit that takes less is made every refitSoon, any other every refitLate
	lookForWork = 50 * time.Millisecond

	compactAtOnce = 256 // intersections, while calls wait
)

// learning is an experiment's evidence for its goal, and the counts that simple policies read. It belongs to Tallies,
// whose mutex guards it.
type learning struct {
	parts   []learningPart                    // of the goal, the first its main outcome
	most    int                               // intersections told apart
	totals  map[juncture.ArmID]lattice.Counts // of the main outcome, without shadow
	changes int64                             // deltas folded, ever
	marks   []juncture.Mark                   // the last of each node's stream that was about the experiment

	compacted int64 // hours since 1970
}

// learningPart is the evidence for one outcome: its successes, and the trials of all.
type learningPart struct {
	outcome  string
	evidence *lattice.Evidence
}

func newLearning(goal juncture.Goal, most int) *learning {
	l := &learning{most: most, totals: map[juncture.ArmID]lattice.Counts{}}
	for _, p := range goal.Parts() {
		l.parts = append(l.parts, learningPart{p.Outcome, lattice.NewEvidence(juncture.Calendar{})})
	}
	return l
}

// learns reports whether this is the learning of a goal.
func (l *learning) learns(goal juncture.Goal) bool {
	return slices.EqualFunc(l.parts, goal.Parts(), func(a learningPart, b juncture.GoalPart) bool { return a.outcome == b.Outcome })
}

// main is the evidence for the goal's main outcome.
func (l *learning) main() *lattice.Evidence { return l.parts[0].evidence }

// add takes one tally of the experiment.
func (l *learning) add(x juncture.Intersection, r juncture.CellRow) {
	about := slices.IndexFunc(l.parts, func(p learningPart) bool { return p.outcome == r.Event })
	switch {
	case about < 0 && r.Event != "":
		return
	case r.Delay != 0:
		if about >= 0 {
			l.parts[about].evidence.AddDelayIn(r.Bucket, int(r.Delay)-1, r.Trials)
		}
		return
	case !r.Group.Teaches() && r.Group != juncture.GroupShadow || r.Arm == 0:
		return
	}
	arm := r.Arm
	if r.Group == juncture.GroupShadow {
		arm = lattice.Shadow(arm)
	}
	c := lattice.Counts{Trials: r.Trials}
	if about >= 0 {
		c = lattice.Counts{Successes: r.Successes, LogValue: r.LogValue, LogValueSq: r.LogValueSq}
	}
	if c == (lattice.Counts{}) {
		return
	}
	if l.main().Intersections() >= l.most && !l.main().Holds(x) {
		x = x.Ceiling(juncture.TierMoment) // no room to tell more of them apart
	}
	l.changes++
	for i, p := range l.parts {
		if about < 0 || about == i {
			p.evidence.AddIn(x, arm, r.Bucket, c)
		}
	}
	if about > 0 || arm != r.Arm {
		return
	}
	t := l.totals[r.Arm]
	l.totals[r.Arm] = lattice.Counts{Trials: t.Trials + c.Trials, Successes: t.Successes + c.Successes, LogValue: t.LogValue + c.LogValue, LogValueSq: t.LogValueSq + c.LogValueSq}
}

// learn returns an experiment's learning for a goal, read from the cells when it is first asked for, and followed from
// then on. The caller holds mu.
func (t *Tallies) learn(ctx context.Context, experiment string, goal juncture.Goal) (*learning, error) {
	if l := t.learnings[experiment]; l != nil && l.learns(goal) {
		return l, nil
	}
	l := newLearning(goal, t.apart)
	take := func(c *juncture.Cell) {
		for _, r := range c.Rows {
			l.add(c.Intersection, r)
		}
		for _, m := range c.Marks {
			advance(&l.marks, m)
		}
	}
	for id, c := range t.dirty {
		if id.Experiment == experiment {
			take(c)
		}
	}
	err := t.store.Cells(ctx, experiment, func(c juncture.Cell) error {
		if _, ok := t.dirty[c.ID()]; !ok {
			take(&c)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read evidence: %w", err)
	}
	slices.SortFunc(l.marks, func(a, b juncture.Mark) int { return int(a.Node) - int(b.Node) })
	t.learnings[experiment] = l
	return l, nil
}

// belief is what was learnt, of one outcome (lattice.Snapshot) or of several (lattice.Blend).
type belief interface {
	Vector(x juncture.Intersection, arms []juncture.ArmID, ws *lattice.Workspace, w []float64) error
	Borrowed(x juncture.Intersection, arms []juncture.ArmID, borrowed []float64) error
	ReadOver(xs []juncture.Intersection, weights []float64, arms []juncture.ArmID) (policy.ReadOut, error)
	Explain(x juncture.Intersection, arm juncture.ArmID) (lattice.Explanation, error)
	Means(x juncture.Intersection, arms []juncture.ArmID, ws *lattice.Workspace, m []float64) error
}

// fitted is a snapshot with what it was made from.
type fitted struct {
	belief
	Version   string
	evidence  juncture.Fit
	settings  string // hash of what else the fit depends on
	watermark string // how much of each node's ledger it holds
	trials    int64
	changes   int64
	took      time.Duration
	at        time.Time // real time
	number    uint64    // of this experiment's fits, from 1
}

// learner fits one experiment's snapshots. now is swapped as a whole; mu lets one fit run at a time.
type learner struct {
	mu  sync.Mutex
	now atomic.Pointer[fitted]
}

// learner returns the one of an experiment. There are never more than experiments that were declared.
func (e *Engine) learner(experiment string) *learner {
	e.learnersMu.Lock()
	defer e.learnersMu.Unlock()
	l := e.learners[experiment]
	if l == nil {
		l = &learner{}
		e.learners[experiment] = l
	}
	return l
}

// grown says how much evidence there is and how much of it a snapshot has not seen.
func (e *Engine) grown(ctx context.Context, x *juncture.Experiment, f *fitted) (trials, changes int64, err error) {
	t := e.d.Tallies
	t.mu.Lock()
	defer t.mu.Unlock()
	l, err := t.learn(ctx, x.ID, x.Goal)
	if err != nil {
		return 0, 0, err
	}
	trials, changes = l.main().Trials(), l.changes
	if f != nil {
		trials, changes = trials-f.trials, changes-f.changes
	}
	return trials, changes, nil
}

// snapshot returns what an experiment has learnt, fitted again first where it is too far behind.
func (e *Engine) snapshot(ctx context.Context, st *state, x *juncture.Experiment, now time.Time) (*fitted, error) {
	l := e.learner(x.ID)
	f := l.now.Load()
	want := st.fits[x.ID]
	if f != nil && f.settings == want {
		if trials, _, err := e.grown(ctx, x, f); err != nil || !f.behind(trials) {
			return f, err
		}
	}
	return e.fit(ctx, st, x, now, func(f *fitted) bool {
		if f == nil || f.settings != want {
			return true
		}
		trials, _, err := e.grown(ctx, x, f)
		return err == nil && f.behind(trials)
	})
}

// behind reports whether a call is to wait for a fit, with so many trials that the snapshot has not seen.
func (f *fitted) behind(trials int64) bool {
	if f.took > quickCall {
		return f.trials < hardUnder && trials >= refitLeast && trials*hardShare >= f.trials
	}
	return f.grew(trials)
}

// grew reports whether evidence has grown by what calls for a fit.
func (f *fitted) grew(trials int64) bool {
	return trials >= refitMost || trials >= refitLeast && trials*refitShare >= f.trials
}

// fit fits an experiment's snapshot anew where due says so once it is this call's turn.
func (e *Engine) fit(ctx context.Context, st *state, x *juncture.Experiment, now time.Time, due func(*fitted) bool) (*fitted, error) {
	l := e.learner(x.ID)
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.now.Load()
	if !due(old) {
		return old, nil
	}
	began := e.clock()
	if err := e.compact(ctx, x, now); err != nil {
		return old, err
	}
	views, f, err := e.views(ctx, x)
	if err != nil {
		return old, err
	}
	if old != nil {
		f.number = old.number
	}
	f.number++
	f.settings = e.fitSettings(st, x)
	f.Version = f.version(x.ID, asOf(now))
	f.evidence.Version, f.evidence.AsOf = f.Version, asOf(now)
	if f.belief, err = fitGoal(outcomesOf(st, x), x, e.cast(st, x), views, asOf(now), f.Version); err != nil {
		e.stats.PolicyFailures.Add(1)
		return old, fmt.Errorf("fit %s: %w", x.ID, err)
	}
	f.at = e.clock()
	f.took = f.at.Sub(began)
	e.stats.Fits.Add(1)
	e.stats.LastFit.Store(int64(f.took))
	l.now.Store(f)
	return f, nil
}

// Fit fits a running experiment's snapshot anew, whatever is due: for what replays a ledger by position and not by the
// clock. A policy without snapshots has nothing to fit.
func (e *Engine) Fit(ctx context.Context, experiment string, now time.Time) error {
	st, err := e.state(ctx)
	if err != nil {
		return err
	}
	x := st.pool.Experiments[experiment]
	if x == nil {
		return juncture.Errorf(juncture.CodeNotFound, "no experiment is called %.80q", experiment)
	}
	if !juncture.Pooled(x.Policy) {
		return nil
	}
	_, err = e.fit(ctx, st, x, now, func(*fitted) bool { return true })
	return err
}

// explain says what the belief about an arm at an intersection is made of.
func (f *fitted) explain(x juncture.Intersection, arm juncture.ArmID) ([]juncture.EffectView, string, error) {
	e, err := f.Explain(x, arm)
	out := make([]juncture.EffectView, len(e.Effects))
	for i, v := range e.Effects {
		out[i] = juncture.EffectView(v)
	}
	return out, e.Sentence, err
}

// fresh returns a snapshot to read from: of an experiment with any policy, fitted now where that is quick or the last one
// is old. Nil where nothing can be fitted: no arm was ever approved.
func (e *Engine) fresh(ctx context.Context, st *state, x *juncture.Experiment, now time.Time) (*fitted, error) {
	if len(e.cast(st, x)) == 0 {
		return nil, nil
	}
	return e.fit(ctx, st, x, now, func(f *fitted) bool {
		if f == nil || f.settings != e.fitSettings(st, x) {
			return true
		}
		_, changes, err := e.grown(ctx, x, f)
		return err == nil && changes > 0 && (f.took < quickRead || e.clock().Sub(f.at) >= refitSoon)
	})
}

// asOf is the moment that a fit looks from.
func asOf(now time.Time) time.Time { return now.UTC().Truncate(time.Minute) }

// fitGoal fits the lattice of each of the goal's outcomes to its view.
func fitGoal(outcomes []juncture.OutcomeType, x *juncture.Experiment, cast []lattice.Arm, views []*lattice.View, at time.Time, version string) (belief, error) {
	var parts []lattice.Part
	for i, p := range x.Goal.Parts() {
		s, err := lattice.Fit(views[i], cast, lattice.SettingsOf(x, outcomes[i]), at, version)
		if err != nil {
			return nil, err
		}
		parts = append(parts, lattice.Part{Outcome: p.Outcome, Snapshot: s, Weight: p.Weight})
	}
	if len(x.Goal.Weights) == 0 {
		return parts[0].Snapshot, nil
	}
	return lattice.NewBlend(parts...)
}

// outcomesOf are the outcomes of the goal's parts, in their order.
func outcomesOf(st *state, x *juncture.Experiment) []juncture.OutcomeType {
	var out []juncture.OutcomeType
	for _, p := range x.Goal.Parts() {
		out = append(out, st.pool.Outcomes[p.Outcome])
	}
	return out
}

// compact merges an experiment's old buckets once an hour, since buckets merge at calendar edges alone; in parts, so that
// calls do not wait for all of it.
func (e *Engine) compact(ctx context.Context, x *juncture.Experiment, now time.Time) error {
	t := e.d.Tallies
	hour := now.Unix() / 3600
	part := func(from int) (more bool, err error) {
		t.mu.Lock()
		defer t.mu.Unlock()
		l, err := t.learn(ctx, x.ID, x.Goal)
		if err != nil || l.compacted == hour {
			return false, err
		}
		for _, p := range l.parts {
			more = p.evidence.CompactSome(now, from, compactAtOnce) || more
		}
		if !more {
			l.compacted = hour
		}
		return more, nil
	}
	for from := 0; ; from += compactAtOnce {
		if more, err := part(from); err != nil || !more {
			return err
		}
	}
}

// views returns the evidence for each of the goal's outcomes as it is now.
func (e *Engine) views(ctx context.Context, x *juncture.Experiment) ([]*lattice.View, *fitted, error) {
	t := e.d.Tallies
	t.mu.Lock()
	defer t.mu.Unlock()
	l, err := t.learn(ctx, x.ID, x.Goal)
	if err != nil {
		return nil, nil, err
	}
	return l.views(), &fitted{trials: l.main().Trials(), changes: l.changes, watermark: marksText(l.marks),
		evidence: juncture.Fit{Experiment: x.ID, Marks: slices.Clone(l.marks)}}, nil
}

func (l *learning) views() []*lattice.View {
	var out []*lattice.View
	for _, p := range l.parts {
		out = append(out, p.evidence.View())
	}
	return out
}

// version names the evidence, by how much of each node's ledger it holds, the settings and the moment: the same three
// give the same snapshot (statistics B.3).
func (f *fitted) version(experiment string, at time.Time) string {
	h := fnv.New64a()
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(at.Unix()))
	h.Write(b[:])
	fmt.Fprintf(h, "%s %s %s", experiment, f.settings, f.watermark)
	return hex.EncodeToString(h.Sum(nil))
}

func marksText(marks []juncture.Mark) string {
	b, _ := json.Marshal(marks) // numbers always can
	return string(b)
}

// cast is the arms that a fit should know: all that were ever approved. Those of other surfaces without evidence have
// no effect on those that have.
func (e *Engine) cast(st *state, x *juncture.Experiment) []lattice.Arm {
	var out []lattice.Arm
	for id, a := range st.pool.Arms {
		if slices.Contains(a.Action.Surfaces, x.Surface) {
			out = append(out, lattice.Arm{ID: id, Arm: a.Arm})
		}
	}
	slices.SortFunc(out, func(a, b lattice.Arm) int { return int(int64(a.ID) - int64(b.ID)) })
	return out
}

// fitSettings hashes what a fit depends on beside evidence: where it changes, the snapshot is fitted at once.
func (e *Engine) fitSettings(s *state, x *juncture.Experiment) string {
	about := []any{e.cast(s, x), x.Goal}
	for _, p := range x.Goal.Parts() {
		about = append(about, lattice.SettingsOf(x, s.pool.Outcomes[p.Outcome]))
	}
	b, _ := json.Marshal(about) // plain data always can
	h := fnv.New64a()
	h.Write(b)
	return hex.EncodeToString(h.Sum(nil))
}

// Learn keeps the snapshots of running experiments close to their evidence, until ctx ends: where calls leave it to it,
// and every few seconds where little came. clock is what it takes for now, failed is told what goes wrong. Without a
// Deps.Clock there is nothing to do: each fit is made by the call that is due for it.
func (e *Engine) Learn(ctx context.Context, clock func() time.Time, failed func(error)) {
	if e.d.Clock == nil {
		return
	}
	tick := time.NewTicker(lookForWork)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		st := e.live.Load()
		for id, x := range st.pool.Experiments {
			if !x.Live(clock()) || !juncture.Pooled(x.Policy) {
				continue
			}
			if _, err := e.fit(ctx, st, x, clock(), func(f *fitted) bool { return e.due(ctx, x, f, st.fits[id]) }); err != nil && ctx.Err() == nil {
				failed(err)
			}
		}
	}
}

// due reports whether a snapshot is to be fitted anew.
func (e *Engine) due(ctx context.Context, x *juncture.Experiment, f *fitted, settings string) bool {
	if f == nil || f.settings != settings {
		return true
	}
	trials, changes, err := e.grown(ctx, x, f)
	if err != nil || changes == 0 {
		return false
	}
	age, every := e.clock().Sub(f.at), refitSoon
	if f.took >= quickFit {
		every = refitLate
	}
	return f.took > quickCall && f.grew(trials) || age >= every
}

// situation is the evidence of arms at the store and at x, for the policies that read no snapshot.
// It says which evidence that is.
func (e *Engine) situation(ctx context.Context, x *juncture.Experiment, goal juncture.OutcomeType, at juncture.Intersection, arms []policy.Arm) (policy.Situation, juncture.Fit, error) {
	t := e.d.Tallies
	t.mu.Lock()
	defer t.mu.Unlock()
	l, err := t.learn(ctx, x.ID, x.Goal)
	if err != nil {
		return policy.Situation{}, juncture.Fit{}, err
	}
	return l.situation(x, goal, at, arms), juncture.Fit{Experiment: x.ID, Marks: slices.Clone(l.marks)}, nil
}

func (l *learning) situation(x *juncture.Experiment, goal juncture.OutcomeType, at juncture.Intersection, arms []policy.Arm) policy.Situation {
	s := policy.Situation{Arms: arms, Value: goal.Type == juncture.OutcomeMoney && x.Goal.Measure != juncture.MeasureRate}
	store, here := make([]policy.Counts, len(arms)), make([]policy.Counts, len(arms))
	s.Rungs = []policy.Rung{{Layer: -1, Counts: store}, {Layer: 0, Counts: here}}
	for i, a := range arms {
		store[i], here[i] = policyCounts(l.totals[a.ID]), policyCounts(l.main().Counts(at, a.ID))
	}
	return s
}

// policyOf is the policy of an experiment that reads no snapshot, with its settings. shares are those of a fixed split.
func policyOf(x *juncture.Experiment, shares map[juncture.ArmID]float64) (policy.Policy, error) {
	p, err := policy.New(x.Policy)
	if err != nil || x.Learning == nil {
		return p, err
	}
	switch p.(type) {
	case policy.Greedy:
		if x.Learning.Epsilon > 0 {
			return policy.Greedy{Epsilon: x.Learning.Epsilon}, nil
		}
	case policy.Fixed:
		return policy.Fixed{Share: shares}, nil
	}
	return p, nil
}

// sharesOf are the shares of a fixed split by arm: an action's is spread over its live copy.
func sharesOf(s *state, x *juncture.Experiment) map[juncture.ArmID]float64 {
	if x.Policy != juncture.PolicyFixed || x.Learning == nil {
		return nil
	}
	shares, copies := map[juncture.ArmID]float64{}, map[string]float64{}
	for _, a := range s.pool.Surfaces[x.Surface].Arms {
		copies[a.Arm.Action]++
	}
	for _, a := range s.pool.Surfaces[x.Surface].Arms {
		shares[a.ID] = x.Learning.Split[a.Arm.Action] / copies[a.Arm.Action]
	}
	return shares
}

func policyCounts(c lattice.Counts) policy.Counts {
	return policy.Counts{Trials: float64(c.Trials), Successes: float64(c.Successes), LogValue: float64(c.LogValue) / 1e4, LogValueSq: float64(c.LogValueSq) / 1e8}
}

// own are the trials at an intersection of each arm's action, as of now.
func (e *Engine) own(ctx context.Context, x *juncture.Experiment, at juncture.Intersection, arms []policy.Arm) ([]float64, error) {
	t := e.d.Tallies
	t.mu.Lock()
	defer t.mu.Unlock()
	l, err := t.learn(ctx, x.ID, x.Goal)
	if err != nil {
		return nil, err
	}
	byAction := map[string]float64{}
	for _, a := range arms {
		byAction[a.Action] += float64(l.main().Counts(at, a.ID).Trials)
	}
	out := make([]float64, len(arms))
	for i, a := range arms {
		out[i] = byAction[a.Action]
	}
	return out, nil
}

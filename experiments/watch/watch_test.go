package watch

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/experiments/health"
)

func asOf() time.Time { return time.Date(2026, 6, 30, 12, 0, 0, 0, time.UTC) } // a Tuesday

// made is a made-up experiment's source, with a cell for each of two lifecycles.
type made struct {
	Source
	cells map[string]*juncture.Cell
}

func newMade() *made {
	x := &juncture.Experiment{ID: "hero", Goal: juncture.Goal{Outcome: "click", Window: juncture.Duration(day)}}
	m := &made{cells: map[string]*juncture.Cell{}, Source: Source{ID: "hero", Experiment: x, Shares: []juncture.GroupShares{{Policy: 0.5, Random: 0.5}},
		Layers: []juncture.Layer{juncture.Moment}, Outcomes: []juncture.OutcomeType{{Name: "click", Type: juncture.OutcomeBinary}, {Name: "order", Type: juncture.OutcomeBinary}}, AsOf: asOf()}}
	m.Cells = func(f func(*juncture.Cell) error) error {
		for _, c := range m.cells {
			mine := c.Clone()
			mine.Compact(m.AsOf)
			if err := f(&mine); err != nil {
				return err
			}
		}
		return nil
	}
	return m
}

// add counts something at a time.
func (m *made) add(moment string, arm juncture.ArmID, g juncture.Group, event string, at time.Time, t juncture.Tally) {
	c := m.cells[moment]
	if c == nil {
		c = &juncture.Cell{Experiment: "hero", Intersection: juncture.Intersection{moment, "_", "_", "_"}}
		m.cells[moment] = c
	}
	c.Fold(1, c.Mark(1)+1, juncture.Delta{TallyKey: juncture.TallyKey{Arm: arm, Group: g, Event: event, Bucket: juncture.Calendar{}.At(at)}, Tally: t})
}

// trials of an arm with their clicks.
func (m *made) trials(moment string, arm juncture.ArmID, g juncture.Group, at time.Time, trials, clicks int64) {
	m.add(moment, arm, g, "", at, juncture.Tally{Trials: trials})
	if clicks > 0 {
		m.add(moment, arm, g, "click", at, juncture.Tally{Successes: clicks, Outcomes: clicks})
	}
}

func (m *made) build(t testing.TB) Health {
	t.Helper()
	h, err := Build(m.Source)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func (m *made) check(t testing.TB, name string) Check {
	t.Helper()
	h := m.build(t)
	i := slices.IndexFunc(h.Checks, func(c Check) bool { return c.Name == name })
	if i < 0 {
		t.Fatalf("no check %q in %+v", name, h.Checks)
	}
	return h.Checks[i]
}

func has(h Health, name string) bool {
	return slices.ContainsFunc(h.Checks, func(c Check) bool { return c.Name == name })
}

// enrolled adds shoppers of a phase.
func (m *made) enrolled(phase int, g juncture.Group, n int64) {
	e := juncture.Enrolment{Phase: phase, Group: g, At: asOf().Add(-day)}.Enrolled(n)
	m.add("loyal._._", 0, g, e.Event, asOf().Add(-day), e.Tally)
}

// Each phase is held to its own shares: 90 : 10 and then 50 : 50 are right, and would be wrong together.
func TestRatioByPhase(t *testing.T) {
	m := newMade()
	m.Shares = []juncture.GroupShares{{Policy: 0.9, Random: 0.1}, {Policy: 0.5, Random: 0.5}}
	m.enrolled(0, juncture.GroupPolicy, 9020)
	m.enrolled(0, juncture.GroupRandom, 980)
	m.enrolled(1, juncture.GroupPolicy, 5040)
	m.enrolled(1, juncture.GroupRandom, 4960)
	if c := m.check(t, "groups"); c.Verdict != health.VerdictOK || c.Ratio.Rows[0].Observed != 14060 || math.Abs(c.Ratio.Rows[0].Expected-14000) > 1e-6 {
		t.Errorf("%+v", c)
	}
	m.enrolled(1, juncture.GroupRandom, 4960) // twice as many as there should be
	if h := m.build(t); h.State != health.VerdictMismatch || !strings.HasPrefix(h.Sentences[0], "Shoppers by group, as drawn: ") {
		t.Errorf("%s %q", h.State, h.Sentences)
	}
	one := newMade()
	one.Shares = []juncture.GroupShares{{Policy: 1}}
	one.enrolled(0, juncture.GroupPolicy, 100)
	if h := one.build(t); has(h, "groups") || h.State != health.VerdictOK || h.Sentences[0] != "Not enough data yet to say anything against the numbers." {
		t.Errorf("one group: %+v", h)
	}
}

// An arm that halves among loyal shoppers is found there by its name, in the days of five weeks and the weeks before;
// where nothing changes, or everything does, nothing is.
func TestChanges(t *testing.T) {
	run := func(after func(moment string, arm juncture.ArmID) float64) *made {
		m := newMade()
		rng := rand.New(rand.NewPCG(1, 2))
		for d := range 60 {
			at := asOf().Add(-time.Duration(59-d)*day - time.Hour)
			for _, moment := range []string{"loyal._._", "prospect._._"} {
				for arm := juncture.ArmID(1); arm <= 3; arm++ {
					rate := 0.1
					if d >= 40 {
						rate *= after(moment, arm)
					}
					hits := int64(0)
					for range 400 {
						if rng.Float64() < rate {
							hits++
						}
					}
					m.trials(moment, arm, juncture.GroupRandom, at, 400, hits)
				}
			}
		}
		return m
	}
	calm := run(func(string, juncture.ArmID) float64 { return 1 })
	if c := calm.check(t, "changes"); c.Verdict != health.VerdictOK || len(c.Changes) != 0 || !strings.Contains(c.Sentence, "at 3 places") {
		t.Errorf("calm: %+v", c)
	}
	if c := run(func(string, juncture.ArmID) float64 { return 2 }).check(t, "changes"); len(c.Changes) != 0 {
		t.Errorf("a sale: %+v", c)
	}
	halved := run(func(moment string, arm juncture.ArmID) float64 {
		if arm == 2 && moment == "loyal._._" {
			return 0.5
		}
		return 1
	})
	c := halved.check(t, "changes")
	i := slices.IndexFunc(c.Changes, func(a health.Alarm) bool { return a.Node == "arm 2 where Lifecycle is Loyal" })
	if i < 0 || c.Verdict != health.VerdictWatch && halved.AsOf.Sub(c.Changes[i].Seen) <= recently {
		t.Fatalf("%+v", c)
	}
	if a := c.Changes[i]; a.When.Sub(asOf().Add(-20*day)).Abs() > 3*day || math.Abs(a.To-0.05) > 0.01 { // it was 20 days ago
		t.Errorf("%+v", a)
	}
	for _, a := range c.Changes {
		if !strings.HasPrefix(a.Node, "arm 2") {
			t.Errorf("another arm is named: %+v", a)
		}
	}
	halved.AsOf = halved.AsOf.Add(30 * day) // nothing new since: it is history
	if c := halved.check(t, "changes"); c.Verdict != health.VerdictOK || len(c.Changes) == 0 {
		t.Errorf("a month later: %+v", c)
	}
	halved.Settings.Places = -1
	if has(halved.build(t), "changes") {
		t.Error("no place was asked for")
	}
	halved.Settings.Places = 1
	if c := halved.check(t, "changes"); slices.ContainsFunc(c.Changes, func(a health.Alarm) bool { return strings.Contains(a.Node, "where") }) {
		t.Errorf("of one place, the store: %+v", c)
	}
}

// The last full day is held to the days before: a layer's feed that dies, outcomes that stop. Both are to be watched, never
// a mismatch, and the running day is not judged.
func TestDays(t *testing.T) {
	days := func(m *made, unknown, clicks func(d int) int64) {
		for d := range 21 { // d = 0 is today
			at := asOf().Add(-time.Duration(d) * day)
			m.trials("_", 1, juncture.GroupPolicy, at, unknown(d), 0)
			m.trials("loyal._._", 1, juncture.GroupPolicy, at, 1000-unknown(d), clicks(d))
		}
	}
	usual := func(d int) int64 { return 200 + int64(d*7%13) }
	m := newMade()
	days(m, usual, usual)
	for _, name := range []string{"unknown-moment", "joined"} {
		if c := m.check(t, name); c.Verdict != health.VerdictOK || c.Jump.Now < 0.19 || c.Jump.Now > 0.22 {
			t.Errorf("%s: %+v", name, c)
		}
	}
	m = newMade()
	days(m, func(d int) int64 {
		if d == 1 {
			return 600
		}
		return usual(d)
	}, func(d int) int64 {
		if d == 2 { // the last day whose window has closed
			return 20
		}
		return usual(d)
	})
	if h := m.build(t); h.State != health.VerdictWatch || len(h.Sentences) != 2 {
		t.Errorf("%s %q", h.State, h.Sentences)
	}
	m = newMade()
	days(m, func(d int) int64 {
		if d == 0 {
			return 900
		}
		return usual(d)
	}, usual)
	if c := m.check(t, "unknown-moment"); c.Verdict != health.VerdictOK {
		t.Errorf("today is not over: %+v", c)
	}
}

// Late outcomes and join rates.
func TestOutcomesThatDoNotJoin(t *testing.T) {
	m := newMade()
	at := asOf().Add(-time.Hour)
	m.trials("loyal._._", 1, juncture.GroupPolicy, at, 5000, 500)
	m.trials("loyal._._", 2, juncture.GroupPolicy, at, 5000, 600) // a fifth better: no reason for doubt
	m.trials("loyal._._", 1, juncture.GroupRandom, at, 5000, 500)
	m.add("loyal._._", 1, juncture.GroupPolicy, "order", at, juncture.Tally{Successes: 100, Outcomes: 100})
	m.add("loyal._._", 1, juncture.GroupRandom, "order", at, juncture.Tally{Successes: 50, Outcomes: 50})
	if h := m.build(t); h.State != health.VerdictOK {
		t.Errorf("%q", h.Sentences)
	}
	m.trials("loyal._._", 3, juncture.GroupPolicy, at, 5000, 20)   // its page does not send clicks
	m.trials("loyal._._", 0, juncture.GroupHoldout, at, 20_000, 0) // nor do the holdout's orders come
	m.add("loyal._._", 1, juncture.GroupPolicy, "~late/click", at, juncture.Tally{Successes: 200})
	for _, name := range []string{"late", "joins-by-arm", "joins-by-group"} {
		if c := m.check(t, name); c.Verdict != health.VerdictWatch {
			t.Errorf("%s: %+v", name, c)
		}
	}
	if c := m.check(t, "joins-by-group"); c.Title != "Trials with an outcome, by group (order)" || len(c.Rates.Rows) != 3 {
		t.Errorf("%+v", c)
	}
	if c := m.check(t, "late"); c.Rates.Rows[0].Hits != 200 || c.Rates.Rows[0].Trials != 1770 { // 1,620 clicks and 150 orders
		t.Errorf("%+v", c)
	}
}

func logged(serial uint64, at time.Time, p ...float64) juncture.Logged {
	var l juncture.Logged
	l.Serial, l.At, l.Group, l.Arm, l.Probability = serial, at, juncture.GroupPolicy, 1, p[0]
	for i, v := range p {
		l.Ranking = append(l.Ranking, juncture.Ranked{Arm: juncture.ArmID(i + 1), Probability: v})
	}
	return l
}

// A policy that puts all but the floor on one arm is to be watched; one that keeps no floor is a mismatch, as are arms that
// are not drawn as logged, and rankings that are none.
func TestDecisions(t *testing.T) {
	yesterday := asOf().Add(-day)
	state := func(p ...float64) *made {
		m := newMade()
		for i := range 200 {
			m.State.Fold(logged(uint64(i), yesterday, p...), m.Experiment)
		}
		return m
	}
	for _, x := range []struct {
		p    []float64
		want health.Verdict
	}{{[]float64{0.995, 0.005}, health.VerdictWatch}, {[]float64{0.9999, 0.0001}, health.VerdictMismatch}, {[]float64{0.7, 0.3}, health.VerdictOK}} {
		if c := state(x.p...).check(t, "entropy"); c.Verdict != x.want || len(c.Entropy) != 1 || c.Entropy[0].Decisions != 200 {
			t.Errorf("%v: %+v", x.p, c)
		}
	}
	if h := state(0.5, 0.5).build(t); h.State != health.VerdictMismatch { // 200 of 200 for one of two
		t.Errorf("%q", h.Sentences)
	}
	m := state(0.995, 0.005)
	m.State.Fold(logged(1, yesterday, 0.5, 0.2), m.Experiment)
	if c := m.check(t, "draws"); c.Verdict != health.VerdictMismatch || !strings.HasPrefix(c.Sentence, "1 decisions have") {
		t.Errorf("%+v", c)
	}
	greedy := &juncture.Experiment{Policy: juncture.PolicyGreedy}
	var s State
	s.Fold(logged(1, yesterday, 0.95, 0.05), greedy)
	if len(s.Days) != 0 || s.Draws.Decisions() != 1 {
		t.Errorf("%+v", s)
	}
}

func TestCounts(t *testing.T) {
	for name, x := range map[string]struct {
		change func(*juncture.Logged)
		want   bool
	}{
		"as it is":      {func(*juncture.Logged) {}, true},
		"bau":           {func(l *juncture.Logged) { l.Group = juncture.GroupBAU }, false},
		"ignored":       {func(l *juncture.Logged) { l.Ignored = true }, false},
		"removed":       {func(l *juncture.Logged) { l.Removed = true }, false},
		"deferred":      {func(l *juncture.Logged) { l.Deferred = true }, false},
		"activated":     {func(l *juncture.Logged) { l.Deferred, l.Activation = true, &juncture.Activation{} }, true},
		"shown another": {func(l *juncture.Logged) { l.Activation = &juncture.Activation{Served: true} }, false},
		"no arm":        {func(l *juncture.Logged) { l.Arm = 0 }, false},
	} {
		l := logged(1, asOf(), 0.5, 0.5)
		if x.change(&l); Counts(l) != x.want {
			t.Errorf("%s counts: %v", name, !x.want)
		}
	}
}

// Folding, writing and reading in any pieces is folding at once, days stay bounded, and what is no state is refused.
func TestStateIsKept(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var whole, pieces State
		x := &juncture.Experiment{}
		for i := range rapid.IntRange(0, 150).Draw(rt, "decisions") {
			p := rapid.Float64Range(0.1, 0.9).Draw(rt, "p")
			l := logged(uint64(i), asOf().Add(time.Duration(rapid.IntRange(-80, 0).Draw(rt, "day"))*day), p, 1-p)
			whole.Fold(l, x)
			pieces.Fold(l, x)
			if rapid.Bool().Draw(rt, "written") {
				b, err := pieces.MarshalBinary()
				if err != nil {
					rt.Fatal(err)
				}
				pieces = State{}
				if err := pieces.UnmarshalBinary(b); err != nil {
					rt.Fatal(err)
				}
			}
		}
		one, err := whole.MarshalBinary()
		if err != nil {
			rt.Fatal(err)
		}
		if two, err := pieces.MarshalBinary(); err != nil || !bytes.Equal(one, two) {
			rt.Fatalf("%v\n%s\n%s", err, one, two)
		}
		if len(whole.Days) > MaxDays || !slices.IsSortedFunc(whole.Days, func(a, b EntropyDay) int { return a.Day.Compare(b.Day) }) {
			rt.Fatalf("%+v", whole.Days)
		}
	})
}

func FuzzState(f *testing.F) {
	var s State
	s.Fold(logged(1, asOf(), 0.4, 0.6), &juncture.Experiment{})
	good, err := s.MarshalBinary()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"v":1,"draws":"AA==","days":[]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		was, err := s.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		mine := State{}
		if err := mine.UnmarshalBinary(was); err != nil {
			t.Fatal(err)
		}
		if err := mine.UnmarshalBinary(b); err != nil {
			if juncture.ErrorCode(err) != juncture.CodeInvalidRequest {
				t.Errorf("%v", err)
			}
			if now, err := mine.MarshalBinary(); err != nil || !cmp.Equal(was, now) {
				t.Errorf("refused, and changed: %s, %v", now, err)
			}
			return
		}
		if _, err := mine.MarshalBinary(); err != nil {
			t.Errorf("what was read cannot be written: %v", err)
		}
	})
}

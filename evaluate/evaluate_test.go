package evaluate_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/google/go-cmp/cmp"
	"gonum.org/v1/gonum/stat"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/evaluate"
	"github.com/juncture/juncture/experiments/offpolicy"
	"github.com/juncture/juncture/policy"
	"github.com/juncture/juncture/policy/lattice"
	"github.com/juncture/juncture/simulate"
)

// shop plays a simulated store as the engine would: the pooled policy for nine in ten shoppers, chance for the tenth, and
// logs what the engine logs.
type shop struct {
	t        testing.TB
	store    *simulate.Store
	shares   juncture.GroupShares
	window   time.Duration
	cast     []lattice.Arm
	evidence *lattice.Evidence
	snapshot *lattice.Snapshot
	fitted   int64
	space    lattice.Workspace
	log      []*juncture.Settled
}

func play(t testing.TB, set simulate.Settings, calls int, shares juncture.GroupShares) *shop {
	t.Helper()
	s := &shop{t: t, store: simulate.New(set), shares: shares, evidence: lattice.NewEvidence(juncture.Calendar{}), fitted: -1, window: 24 * time.Hour}
	for i, a := range s.store.Arms {
		s.cast = append(s.cast, lattice.Arm{ID: juncture.ArmID(i + 1), Arm: a})
	}
	const batch = 100
	if _, err := s.store.Play(t.Context(), s, simulate.Options{Seed: set.Seed, Calls: calls + batch, Batch: batch}); err != nil {
		t.Fatal(err)
	}
	s.log = s.log[:calls] // outcomes are told between batches: those of the last one never are
	return s
}

func (s *shop) Choose(_ context.Context, calls []simulate.Call, out []simulate.Choice) error {
	if n := s.evidence.Trials(); s.fitted < 0 || n-s.fitted >= 50 && float64(n-s.fitted) >= 0.04*float64(s.fitted) {
		var err error
		if s.snapshot, err = lattice.Fit(s.evidence.View(), s.cast, lattice.Settings{Window: s.window}, calls[0].At, ""); err != nil {
			return err
		}
		s.fitted = n
	}
	for i, c := range calls {
		d := &juncture.Settled{Decision: juncture.Decision{Shopper: "s" + strconv.Itoa(c.Shopper), Reason: juncture.ReasonSplit,
			Claims: juncture.Claims{Serial: uint64(c.Number + 1), At: c.At, Until: c.At.Add(s.window), Experiment: simulate.Experiment, Intersection: c.Intersection, Group: juncture.GroupPolicy}}}
		ids, p := make([]juncture.ArmID, len(c.Eligible)), make([]float64, len(c.Eligible))
		for k, a := range c.Eligible {
			ids[k] = juncture.ArmID(a + 1)
		}
		if err := s.snapshot.Vector(c.Intersection, ids, &s.space, p); err != nil {
			return err
		}
		policy.Floor(p, juncture.DefaultFloor)
		d.Group = s.shares.Pick(rand.New(rand.NewPCG(uint64(c.Shopper), s.store.Seed)).Float64())
		if d.Share = s.shares.Share(d.Group); d.Group == juncture.GroupRandom {
			d.Policy = p
			p = slices.Repeat([]float64{1 / float64(len(ids))}, len(ids))
		}
		for k := range ids {
			d.Ranking = append(d.Ranking, juncture.Ranked{Arm: ids[k], Probability: p[k]})
		}
		k := policy.Pick(p, c.Draw)
		d.Arm, d.Probability = ids[k], p[k]
		out[i] = simulate.Choice{Arm: c.Eligible[k], Probability: p[k]}
		s.log = append(s.log, d)
		s.evidence.Add(c.Intersection, d.Arm, c.At, lattice.Counts{Trials: 1})
	}
	return nil
}

func (s *shop) Reward(_ context.Context, successes []simulate.Success) error {
	for _, y := range successes {
		d := s.log[y.Call]
		d.Outcomes = append(d.Outcomes, juncture.Outcome{Serial: d.Serial, Event: s.store.Goal(), ID: "o", Value: 1, Minor: 1, At: y.At, Received: y.At, Status: juncture.StatusRecorded})
		s.evidence.Add(y.Intersection, d.Arm, d.At, lattice.Counts{Successes: 1})
		s.evidence.AddDelay(d.At, y.At.Sub(d.At), 1)
	}
	return nil
}

func (s *shop) settings() evaluate.Settings {
	d := s.store.Declaration(juncture.PolicyPooled)
	x := d.Experiments[0]
	x.Groups = s.shares
	return evaluate.Settings{Experiment: x, Outcomes: d.Outcomes, Currency: "EUR", Arm: s.arm}
}

func (s *shop) arm(id juncture.ArmID) (juncture.Arm, bool) {
	if id < 1 || int(id) > len(s.store.Arms) {
		return juncture.Arm{}, false
	}
	return s.store.Arms[id-1], true
}

// truth is what probabilities are worth at a decision.
func (s *shop) truth() func(d *juncture.Settled, p []float64) float64 {
	at := map[juncture.Intersection]int{}
	for i, x := range s.store.Keys {
		at[x] = i
	}
	return func(d *juncture.Settled, p []float64) float64 {
		worth, sum := s.store.Expected(at[d.Intersection], 0), 0.0
		for i, r := range d.Ranking {
			sum += p[i] * worth[r.Arm-1]
		}
		return sum
	}
}

func walk(t testing.TB, set evaluate.Settings, targets []evaluate.Target, comparisons []evaluate.Comparison, log []*juncture.Settled) *evaluate.Walk {
	t.Helper()
	w, err := evaluate.New(set, targets, comparisons)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range log {
		if err := w.Add(d); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func small(seed uint64) simulate.Settings {
	return simulate.Settings{Seed: seed, Axes: [juncture.LayerCount][]int{{2, 2}, {3}, {2}, {2}}, Actions: 4, Copies: 2, Rate: 0.08, Personal: 2, Returning: 0.3}
}

// The truth of a simulated store lies within the intervals: ten policies and five differences on each store, the log
// written by a policy that learnt as it went. At 95% an interval misses 0.2 of 4 stores on average, and all of them once in 160,000
// times; policies of a store miss together. JUNCTURE_EVALUATE=1 plays 100 stores, for the table of docs/performance.md.
func TestIntervalsCoverTheTruth(t *testing.T) {
	stores, calls := 4, 3000
	if os.Getenv("JUNCTURE_EVALUATE") == "1" {
		stores, calls = 100, 4000
	}
	missed, missedFixed, told := map[string]int{}, map[string]int{}, map[string]int{}
	var names []string
	z := map[string][]float64{} // errors in standard errors
	shown := 0
	for seed := range stores {
		s := play(t, small(uint64(seed+1)), calls, juncture.GroupShares{Policy: 0.8, Random: 0.2})
		set, truth := s.settings(), s.truth()
		targets, comparisons := evaluate.WorthOf(&set.Experiment)
		targets = append(targets, evaluate.Uniform(), evaluate.Only("action-a", "action-b"), evaluate.Only("action-c"))
		type total struct{ sum, n float64 }
		worth := map[juncture.Group][]total{juncture.GroupNone: make([]total, len(targets)), juncture.GroupRandom: make([]total, len(targets)), juncture.GroupPolicy: make([]total, len(targets))}
		set.Scored = func(d *juncture.Settled, target int, p []float64) {
			for _, g := range []juncture.Group{juncture.GroupNone, d.Group} { // GroupNone: of both
				worth[g][target].sum += truth(d, p)
				worth[g][target].n++
			}
		}
		mean := func(of []juncture.Group, target int) float64 {
			g := juncture.GroupNone
			if len(of) == 1 {
				g = of[0]
			}
			return worth[g][target].sum / worth[g][target].n
		}
		r := walk(t, set, targets, comparisons, s.log).Report()
		check := func(name string, e offpolicy.Estimate, want float64) {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
			if e.Refused != "" {
				return
			}
			shown++
			told[name]++
			z[name] = append(z[name], (e.DR.Value-want)/e.DR.SE)
			if want < e.Anytime.Low || want > e.Anytime.High {
				missed[name]++
			}
			if want < e.DR.Low || want > e.DR.High {
				missedFixed[name]++
			}
		}
		for i, p := range r.Policies {
			if n := worth[juncture.GroupNone][i].n; int(n)+p.Undefined != r.Scored {
				t.Fatalf("%s: %g of %d decisions", p.Policy, n, r.Scored)
			}
			check(p.Policy, p.Estimate, mean(p.Groups, i))
		}
		for i, c := range comparisons {
			d := r.Differences[i]
			check(d.Policy+" less "+d.Against, d.Estimate, mean(d.Groups, c.A)-mean(d.Groups, c.B))
		}
	}
	b := &strings.Builder{}
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tTOLD\tTRUTH OUTSIDE 95%\tOUTSIDE 95%, ANY TIME\tERROR / STANDARD ERROR\t")
	for _, name := range names {
		mean, sd := stat.MeanStdDev(z[name], nil)
		fmt.Fprintf(w, "%s\t%d of %d\t%d\t%d\t%+.2f ± %.2f\t\n", name, told[name], stores, missedFixed[name], missed[name], mean, sd)
	}
	w.Flush()
	t.Logf("\n%s", b)
	if shown < 14*stores {
		t.Errorf("only %d of %d intervals are shown", shown, 15*stores)
	}
	for name, errors := range z { // no bias: the mean of n errors in standard errors is within 3.5/√n
		if mean := stat.Mean(errors, nil); math.Abs(mean) > 3.5/math.Sqrt(float64(len(errors))) {
			t.Errorf("%s is off by %.2f standard errors on average", name, mean)
		}
	}
	all := 0
	for name, n := range missedFixed {
		if all += n; n > 3+stores/12 || missed[name] > 2+stores/25 {
			t.Errorf("%s: %d of %d stores outside the fixed interval, %d outside the other", name, n, stores, missed[name])
		}
	}
	if all > shown/6 { // 5%, and what may come of ten policies that miss together
		t.Errorf("%d of %d fixed intervals miss", all, shown)
	}
}

// What a policy would have shown depends on nothing that came later: cut off the log after any decision, and take back all
// outcomes that had not arrived by then, and its probabilities there are the same to the bit.
func TestOnlyWhatWasKnown(t *testing.T) {
	set := small(3)
	set.Delay = 6 * time.Hour
	s := play(t, set, 1500, juncture.GroupShares{Policy: 0.8, Random: 0.2})
	targets, _ := evaluate.WorthOf(&juncture.Experiment{})
	targets = append(targets, evaluate.Only("action-b", "action-d"))
	last := func(log []*juncture.Settled) (out [][]float64) {
		options := s.settings()
		options.Scored = func(d *juncture.Settled, target int, p []float64) {
			if d.Serial == log[len(log)-1].Serial {
				out = append(out, slices.Clone(p))
			}
		}
		walk(t, options, targets, nil, log)
		return out
	}
	for _, cut := range []int{1, 137, 700, 1499} {
		var known, all [][]float64
		var then []*juncture.Settled
		for _, d := range s.log[:cut+1] {
			c := *d
			c.Outcomes = nil
			for _, o := range d.Outcomes {
				if !o.Received.After(s.log[cut].At) {
					c.Outcomes = append(c.Outcomes, o)
				}
			}
			then = append(then, &c)
		}
		known, all = last(then), last(s.log[:cut+1])
		if len(known) != len(targets) {
			t.Fatalf("%d of %d targets", len(known), len(targets))
		}
		if diff := cmp.Diff(known, all); diff != "" {
			t.Errorf("decision %d knows what came later:\n%s", cut, diff)
		}
	}
}

// On a store where the intersections differ much the policy is better than any one arm, and nothing is better or worse
// than nothing where there is nothing to personalise.
func TestWorth(t *testing.T) {
	worth := func(set simulate.Settings, calls int) evaluate.Worth {
		s := play(t, set, calls, juncture.GroupShares{Policy: 0.8, Random: 0.2})
		options := s.settings()
		targets, comparisons := evaluate.WorthOf(&options.Experiment)
		return walk(t, options, targets, comparisons, s.log).Worth()
	}
	set := small(5)
	set.Personal, set.Rate, set.Scale = 6, 0.15, 1.5
	strong := worth(set, 8000)
	var b strings.Builder
	if err := strong.Write(&b); err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", &b)
	if strong.NoHarm.Verdict != evaluate.VerdictBetter || !strings.HasPrefix(strong.NoHarm.Sentence, "Personalising earns more than showing everybody the best single arm (now action-") {
		t.Errorf("%s: %s", strong.NoHarm.Verdict, strong.NoHarm.Sentence)
	}
	for _, seed := range []uint64{1, 2} {
		set := small(seed)
		set.Nothing = true
		null := worth(set, 3000)
		for _, f := range append([]evaluate.Step{{Tier: "no harm", Finding: null.NoHarm}}, null.Tiers...) {
			if f.Verdict == evaluate.VerdictBetter {
				t.Errorf("nothing to personalise, seed %d, %s: %s", seed, f.Tier, f.Sentence)
			}
		}
	}
	if early := worth(small(1), 100); early.NoHarm.Verdict != evaluate.VerdictUnknown || !strings.HasPrefix(early.NoHarm.Sentence, "Whether personalising does harm cannot be said: ") {
		t.Errorf("after 100 decisions: %s", early.NoHarm.Sentence)
	}
}

// decision is one of the policy's, at a time, of two arms at 0.75 and 0.25 that shows the first.
func decision(n int, changes ...func(*juncture.Settled)) *juncture.Settled {
	at := time.Date(2026, 3, 1, 0, n, 0, 0, time.UTC)
	d := &juncture.Settled{Decision: juncture.Decision{Shopper: strconv.Itoa(n), Share: 0.9, Ranking: []juncture.Ranked{{Arm: 1, Probability: 0.75}, {Arm: 2, Probability: 0.25}},
		Claims: juncture.Claims{Serial: uint64(n), At: at, Until: at.Add(time.Hour), Experiment: "e", Intersection: juncture.Intersection{"_", "_", "_", "_"}, Group: juncture.GroupPolicy, Arm: 1, Probability: 0.75}}}
	for _, f := range changes {
		f(d)
	}
	return d
}

func two() evaluate.Settings {
	return evaluate.Settings{Experiment: juncture.Experiment{ID: "e", Goal: juncture.Goal{Outcome: "order", Window: juncture.Duration(time.Hour)}, Groups: juncture.GroupShares{Policy: 0.9, Random: 0.1}},
		Outcomes: []juncture.OutcomeType{{Name: "order", Type: juncture.OutcomeMoney}}, Currency: "GBP",
		Arm: func(id juncture.ArmID) (juncture.Arm, bool) {
			return juncture.Arm{Action: "a" + strconv.Itoa(int(id)), ActionVersion: 1, Copy: "c", CopyVersion: 1}, id < 3
		}}
}

func TestWhatCounts(t *testing.T) {
	order := func(d *juncture.Settled, minor int64, status juncture.Status) {
		d.Outcomes = append(d.Outcomes, juncture.Outcome{Event: "order", ID: strconv.Itoa(len(d.Outcomes)), Minor: minor, At: d.At, Received: d.At, Status: status})
	}
	log := []*juncture.Settled{
		decision(1, func(d *juncture.Settled) {
			order(d, 1000, juncture.StatusRecorded)
			order(d, 500, juncture.StatusRecorded)
		}), // £15
		decision(2, func(d *juncture.Settled) { order(d, 9900, juncture.StatusLate) }), // nothing: too late
		decision(3, func(d *juncture.Settled) { d.Ignored = true }),
		decision(4, func(d *juncture.Settled) { d.Deferred = true }),
		decision(5, func(d *juncture.Settled) {
			d.Deferred, d.Activation = true, &juncture.Activation{At: d.At, Served: true, Arm: 2}
		}),
		decision(6, func(d *juncture.Settled) { d.Deferred, d.Activation = true, &juncture.Activation{At: d.At, Arm: 1} }),
		decision(7, func(d *juncture.Settled) { d.Group, d.Share = juncture.GroupHoldout, 0; d.Arm = 0; d.Ranking = nil }),
		decision(8, func(d *juncture.Settled) { // the random group drew the arm that the policy gives 0.25
			d.Group, d.Share, d.Arm, d.Policy = juncture.GroupRandom, 0.1, 2, []float64{0.75, 0.25}
			d.Ranking = []juncture.Ranked{{Arm: 1, Probability: 0.5}, {Arm: 2, Probability: 0.5}}
			order(d, 500, juncture.StatusRecorded)
		}),
		decision(200),
	}
	set := two()
	set.AsOf = log[8].At.Add(time.Minute)
	w := walk(t, set, []evaluate.Target{evaluate.Logged(), evaluate.Uniform(), evaluate.Only("a2"), evaluate.Only("a9")}, nil, log)
	r := w.Report()
	want := evaluate.Left{Ignored: 1, Unseen: 1, Replaced: 1, Unranked: 1, Open: 1}
	if r.Read != 9 || r.Scored != 4 || r.Left != want {
		t.Errorf("read %d, scored %d, left %+v", r.Read, r.Scored, r.Left)
	}
	// Observed: three of the policy's own earned £15, 0 and 0; the random one £5.
	if len(r.Observed) != 2 || r.Observed[0].Mean.Value != 5 || r.Observed[1].Mean.Value != 5 {
		t.Errorf("observed %+v", r.Observed)
	}
	// Over both groups an arm has 0.9·p + 0.1·½: 0.725 and 0.275. Largest weights: 0.25/0.275 and 0.75/0.725 of the policy
	// itself; ½/0.275 of chance; of the second arm alone, floored at 1 (it is the only one eligible), 1/0.275.
	for i, most := range []float64{0.75 / 0.725, 0.5 / 0.275, 1 / 0.275, 0} {
		if got := r.Policies[i].Estimate.MaxWeight; got < most-1e-12 || got > most+1e-12 {
			t.Errorf("%s: largest weight %g, want %g", r.Policies[i].Policy, got, most)
		}
	}
	if p := r.Policies[3]; p.Undefined != 4 || p.Estimate.Refused != "no decision can be used" {
		t.Errorf("an action that was never there: %+v", p)
	}
	set.AsOf = time.Time{}
	set.From, set.To = log[1].At, log[7].At
	if r := walk(t, set, []evaluate.Target{evaluate.Logged()}, nil, log).Report(); r.Scored != 2 || r.Left.OutOfTime != 3 {
		t.Errorf("from inclusive, to not: %d scored, %+v", r.Scored, r.Left)
	}
}

// A goal of several outcomes: a point for each pound, less five for who unsubscribes. Of 60
// decisions every third ordered for £2 and every fourth unsubscribed: (20·2 − 15·5)/60 = −0.58 points a decision.
func TestWeighedGoals(t *testing.T) {
	set := two()
	set.Experiment.Goal = juncture.Goal{Weights: map[string]float64{"order": 1, "unsubscribe": -5}, Window: juncture.Duration(time.Hour)}
	set.Outcomes = append(set.Outcomes, juncture.OutcomeType{Name: "unsubscribe", Type: juncture.OutcomeBinary})
	var log []*juncture.Settled
	for i := range 60 {
		log = append(log, decision(i, func(d *juncture.Settled) {
			if i%3 == 0 {
				d.Outcomes = append(d.Outcomes, juncture.Outcome{Event: "order", Minor: 200, At: d.At, Received: d.At, Status: juncture.StatusRecorded})
			}
			if i%4 == 0 {
				d.Outcomes = append(d.Outcomes, juncture.Outcome{Event: "unsubscribe", Minor: 1, At: d.At, Received: d.At, Status: juncture.StatusRecorded})
			}
		}))
	}
	targets, comparisons := evaluate.WorthOf(&set.Experiment)
	r := walk(t, set, targets, comparisons, log).Worth()
	if got := r.Observed[0].Mean.Value; got < -0.5834 || got > -0.5833 || r.Unit != evaluate.UnitMoney {
		t.Errorf("%g %s", got, r.Unit)
	}
	if r.NoHarm.Verdict != evaluate.VerdictUnknown {
		t.Errorf("60 decisions: %+v", r.NoHarm)
	}
}

func TestLogsThatDoNotSayEnough(t *testing.T) {
	for name, d := range map[string]*juncture.Settled{
		"another share":               decision(1, func(d *juncture.Settled) { d.Share = 0.8 }),
		"an unknown arm":              decision(1, func(d *juncture.Settled) { d.Ranking[1].Arm = 7 }),
		"an arm unranked":             decision(1, func(d *juncture.Settled) { d.Ranking = d.Ranking[1:] }),
		"random without the policy's": decision(1, func(d *juncture.Settled) { d.Group, d.Share = juncture.GroupRandom, 0.1 }),
		"impossible":                  decision(1, func(d *juncture.Settled) { d.Ranking[0].Probability = 3 }),
	} {
		w, err := evaluate.New(two(), []evaluate.Target{evaluate.Logged()}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Add(d); juncture.ErrorCode(err) != juncture.CodeUnprocessable {
			t.Errorf("%s: %v", name, err)
		}
	}
	set := two()
	set.Experiment.Goal.Outcome = "unheard"
	if _, err := evaluate.New(set, nil, nil); juncture.ErrorCode(err) != juncture.CodeInvalidRequest {
		t.Errorf("a goal that is not declared: %v", err)
	}
}

// Where a single arm is too rare a part of both groups' decisions, the random group alone tells of it. 12,000 decisions, of
// which every hundredth is random over two arms that the policy shows at 0.9999 and 0.0001: over both groups the second has
// 0.99·0.0001 + 0.01·½ = 0.0051, and so 0.5% of the decisions; of the 120 random ones 60.
func TestTheRandomGroupTellsAlone(t *testing.T) {
	set := two()
	set.Experiment.Groups = juncture.GroupShares{Policy: 0.99, Random: 0.01}
	var log []*juncture.Settled
	for i := range 12_000 {
		log = append(log, decision(i, func(d *juncture.Settled) {
			d.Share, d.Ranking = 0.99, []juncture.Ranked{{Arm: 1, Probability: 0.9999}, {Arm: 2, Probability: 0.0001}}
			if i%100 == 0 {
				d.Group, d.Share, d.Arm = juncture.GroupRandom, 0.01, juncture.ArmID(1+i/100%2)
				d.Ranking, d.Policy = []juncture.Ranked{{Arm: 1, Probability: 0.5}, {Arm: 2, Probability: 0.5}}, []float64{0.9999, 0.0001}
			}
		}))
	}
	r := walk(t, set, []evaluate.Target{evaluate.Logged(), evaluate.Only("a2")}, []evaluate.Comparison{{A: 0, B: 1}}, log).Report()
	both, random := []juncture.Group{juncture.GroupPolicy, juncture.GroupRandom}, []juncture.Group{juncture.GroupRandom}
	if p := r.Policies[0]; p.Estimate.Refused != "" || p.Estimate.Rows != 12_000 || !slices.Equal(p.Groups, both) {
		t.Errorf("the policy: %+v", p)
	}
	if p := r.Policies[1]; p.Estimate.Refused != "" || p.Estimate.Rows != 120 || p.Estimate.Effective != 60 || !slices.Equal(p.Groups, random) {
		t.Errorf("the second arm: %+v", p)
	}
	if d := r.Differences[0]; d.Estimate.Refused != "" || d.Estimate.Rows != 120 || !slices.Equal(d.Groups, random) {
		t.Errorf("the difference: %+v", d)
	}
	var b strings.Builder
	if err := r.Write(&b); err != nil || !strings.Contains(b.String(), "only a2: from the random group alone") {
		t.Errorf("%v\n%s", err, &b)
	}
}

// A refund that comes after a decision is not known to it; once it has come, evidence is as if the order had not been.
func TestRefundsAreLearntWhenTheyCome(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var with, without []*juncture.Settled
	for i := range 400 {
		bought := rng.IntN(4) == 0
		a := decision(i)
		b := decision(i)
		if bought {
			order := juncture.Outcome{Event: "order", ID: "o", Minor: 1000, At: a.At, Received: a.At, Status: juncture.StatusRecorded}
			back := juncture.Outcome{Event: "order", ID: "r", Adjust: true, Adjusts: "o", Minor: -1000, At: a.At.Add(time.Minute), Received: a.At.Add(time.Minute), Status: juncture.StatusRecorded}
			a.Outcomes = []juncture.Outcome{order, back}
		}
		with, without = append(with, a), append(without, b)
	}
	final := decision(500) // everything has come back by then
	var got [2][]float64
	for i, log := range [][]*juncture.Settled{append(with, final), append(without, final)} {
		set := two()
		set.Growth = 1e-9
		set.Scored = func(d *juncture.Settled, _ int, p []float64) { got[i] = append(got[i][:0], p...) }
		walk(t, set, []evaluate.Target{evaluate.Ceiling(juncture.TierStore)}, nil, log)
	}
	if diff := cmp.Diff(got[0], got[1]); diff != "" {
		t.Errorf("refunded orders left something:\n%s", diff)
	}
}

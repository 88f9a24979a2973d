package lattice

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/policy"
)

func noon() time.Time { return time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC) }

// armsOf names arms as "action/copy".
func armsOf(actions, copies int) []Arm {
	var out []Arm
	for a := range actions {
		for c := range copies {
			out = append(out, Arm{ID: juncture.ArmID(len(out) + 1), Arm: juncture.Arm{Action: fmt.Sprintf("a%02d", a), ActionVersion: 1, Copy: fmt.Sprintf("c%02d", c), CopyVersion: 1}})
		}
	}
	return out
}

func idsOf(arms []Arm) []juncture.ArmID {
	var out []juncture.ArmID
	for _, a := range arms {
		out = append(out, a.ID)
	}
	return out
}

type fact struct {
	x     juncture.Intersection
	arm   juncture.ArmID
	at    time.Time
	delta Counts
}

func drawKey(t *rapid.T) juncture.Intersection {
	return juncture.Intersection{
		rapid.SampledFrom([]string{"new.cart.on", "new.none.on", "old.cart.off", "old.none.on", "_.cart.on", "_"}).Draw(t, "moment"),
		rapid.SampledFrom([]string{"shoes", "bags", "_"}).Draw(t, "meaning"),
		rapid.SampledFrom([]string{"up.hot", "up.cold", "down.hot", "_"}).Draw(t, "trajectory"),
		rapid.SampledFrom([]string{"sale", "all"}).Draw(t, "catalogue"),
	}
}

func drawFacts(t *rapid.T, arms []Arm) []fact {
	most := rapid.SampledFrom([]int64{1, 50, 3000}).Draw(t, "most")
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) fact {
		n := rapid.Int64Range(0, most).Draw(t, "trials")
		return fact{drawKey(t), rapid.SampledFrom(arms).Draw(t, "arm").ID, noon().Add(-time.Duration(rapid.OneOf(rapid.Int64Range(0, 400*24), rapid.Int64Range(60, 90)).Draw(t, "age")) * time.Hour),
			Counts{Trials: n, Successes: rapid.Int64Range(0, n).Draw(t, "successes")}}
	}), 0, 40).Draw(t, "facts")
}

func gathered(facts []fact) *Evidence {
	e := NewEvidence(Calendar{})
	for _, f := range facts {
		e.Add(f.x, f.arm, f.at, f.delta)
	}
	return e
}

func fitted(t interface{ Fatal(...any) }, e *Evidence, arms []Arm, set Settings) *Snapshot {
	s, err := Fit(e.View(), arms, set, noon(), "")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func scored(t interface{ Fatal(...any) }, s *Snapshot, x juncture.Intersection, arms []Arm) []Score {
	var ws Workspace
	sc, err := s.Scores(x, idsOf(arms), &ws)
	if err != nil {
		t.Fatal(err)
	}
	return append([]Score(nil), sc...)
}

func weighed(t interface{ Fatal(...any) }, s *Snapshot, x juncture.Intersection, arms []Arm) []float64 {
	var ws Workspace
	w := make([]float64, len(arms))
	if err := s.Vector(x, idsOf(arms), &ws, w); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestOrderMergingAndRefunds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		arms := armsOf(3, 2)
		facts := drawFacts(t, arms)
		want := fitted(t, gathered(facts), arms, Settings{})
		x := drawKey(t)
		same := func(what string, e *Evidence) {
			got := fitted(t, e, arms, Settings{})
			for _, x := range []juncture.Intersection{x, {"new.cart.on", "shoes", "up.hot", "sale"}} {
				a, b := weighed(t, want, x, arms), weighed(t, got, x, arms)
				for i := range a {
					if a[i] != b[i] { // to the bit
						t.Fatalf("%s: arm %d has %v, was %v", what, i, b[i], a[i])
					}
				}
			}
		}
		same("other order", gathered(rapid.Permutation(facts).Draw(t, "order")))

		// Trials first, then outcomes, in halves; and a reward that was undone.
		e := NewEvidence(Calendar{})
		for _, f := range facts {
			e.Add(f.x, f.arm, f.at, Counts{Trials: f.delta.Trials})
		}
		_ = e.View() // what a View holds is not changed by what comes after
		for _, f := range facts {
			half := f.delta.Successes / 2
			e.Add(f.x, f.arm, f.at, Counts{Successes: half + 1, LogValue: 7, LogValueSq: 49})
			e.Add(f.x, f.arm, f.at, Counts{Successes: f.delta.Successes - half})
			e.Add(f.x, f.arm, f.at, Counts{Successes: -1, LogValue: -7, LogValueSq: -49})
		}
		same("in parts, with a refund", e)

		// Compacting at any time before changes nothing.
		e.Compact(noon().Add(-time.Duration(rapid.Int64Range(0, 300*24).Draw(t, "compacted")) * time.Hour))
		same("compacted", e)
		in := gathered(facts)
		for from, more := 0, true; more; from += 2 {
			more = in.CompactSome(noon(), from, 2)
		}
		same("compacted in parts", in)
		e.Compact(noon())
		_, whole := e.Bytes()
		if _, parts := in.Bytes(); parts != whole {
			t.Fatalf("%d buckets after compacting in parts, %d at once", parts, whole)
		}
	})
}

func TestViewStays(t *testing.T) {
	arms := armsOf(2, 1)
	e := NewEvidence(Calendar{})
	x := juncture.Intersection{"m", "n", "t", "c"}
	e.Add(x, 1, noon(), Counts{Trials: 100, Successes: 10})
	v := e.View()
	before, _ := Fit(v, arms, Settings{}, noon(), "")
	e.Add(x, 1, noon(), Counts{Trials: 1000})
	e.Add(x, 2, noon(), Counts{Trials: 1000})
	e.Add(juncture.Intersection{"m2", "n", "t", "c"}, 2, noon(), Counts{Trials: 1000})
	e.Compact(noon().AddDate(1, 0, 0))
	after, _ := Fit(v, arms, Settings{}, noon(), "")
	if before.Trials() != 100 || after.Trials() != 100 {
		t.Errorf("%v and %v trials, want 100", before.Trials(), after.Trials())
	}
}

func TestRenaming(t *testing.T) {
	// Labels that sort the other way round: the rows' order changes, and with it only the rounding of sums.
	rapid.Check(t, func(t *rapid.T) {
		arms := armsOf(3, 2)
		facts := drawFacts(t, arms)
		e := NewEvidence(Calendar{})
		rename := func(x juncture.Intersection) juncture.Intersection {
			for l, v := range x {
				out := ""
				for i, part := range splitDots(v) {
					if i > 0 {
						out += "."
					}
					if part != juncture.Unknown {
						part = fmt.Sprintf("%c%s", 'z'-part[0]%20, part)
					}
					out += part
				}
				x[l] = out
			}
			return x
		}
		renamed := armsOf(3, 2)
		for i := range renamed {
			renamed[i].Action = string('z'-renamed[i].Action[2]%20) + renamed[i].Action
		}
		for _, f := range facts {
			e.Add(rename(f.x), f.arm, f.at, f.delta)
		}
		x := drawKey(t)
		a, b := weighed(t, fitted(t, gathered(facts), arms, Settings{}), x, arms), weighed(t, fitted(t, e, renamed, Settings{}), rename(x), renamed)
		for i := range a {
			if math.Abs(a[i]-b[i]) > 1e-6 {
				t.Fatalf("arm %d: %v, renamed %v", i, a[i], b[i])
			}
		}
	})
}

func splitDots(v string) (out []string) {
	from := 0
	for i := 0; i <= len(v); i++ {
		if i == len(v) || v[i] == '.' {
			out, from = append(out, v[from:i]), i+1
		}
	}
	return out
}

func TestVectorSums(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		arms := armsOf(4, 2)
		s := fitted(t, gathered(drawFacts(t, arms)), arms, Settings{Untempered: rapid.Bool().Draw(t, "untempered")})
		eligible := arms[:rapid.IntRange(1, len(arms)).Draw(t, "eligible")]
		w := weighed(t, s, drawKey(t), eligible)
		sum := 0.0
		for _, p := range w {
			if !(p >= 0) {
				t.Fatalf("weights %v", w)
			}
			sum += p
		}
		if math.Abs(sum-1) > 1e-12 || len(w) != len(eligible) {
			t.Fatalf("%d weights, sum %v", len(w), sum)
		}
	})
}

func TestVectorAgainstIntegration(t *testing.T) {
	// P(k largest) by the trapezoid rule on 200,000 even steps over all that has density.
	exact := func(mean, sd []float64) []float64 {
		lo, hi := math.Inf(1), math.Inf(-1)
		for i := range mean {
			lo, hi = min(lo, mean[i]-9*sd[i]), max(hi, mean[i]+9*sd[i])
		}
		const steps = 200_000
		out := make([]float64, len(mean))
		h := (hi - lo) / steps
		for j := range steps {
			y := lo + (float64(j)+0.5)*h
			for k := range mean {
				z := (y - mean[k]) / sd[k]
				p := h / sd[k] * math.Exp(-z*z/2) / math.Sqrt(2*math.Pi)
				for i := range mean {
					if i != k && p > 0 {
						p *= math.Erfc((mean[i]-y)/sd[i]/math.Sqrt2) / 2
					}
				}
				out[k] += p
			}
		}
		return out
	}
	rng := rand.New(rand.NewPCG(5, 6))
	for range 12 {
		k := 2 + rng.IntN(6)
		var mean, sd []float64
		var scores []Score
		for i := range k {
			mean, sd = append(mean, 0.3*rng.NormFloat64()), append(sd, math.Pow(10, -3*rng.Float64()))
			scores = append(scores, Score{Mean: mean[i], Shared: sd[i] * sd[i], action: int32(i)})
		}
		w := make([]float64, k)
		if err := choose(scores, &Workspace{}, w); err != nil {
			t.Fatal(err)
		}
		for i, p := range exact(mean, sd) {
			if math.Abs(p-w[i]) > 1e-4 { // the bar is 2e-3
				t.Errorf("mean %v sd %v: %v, want %v", mean, sd, w[i], p)
			}
		}
	}
	// Copies: the action by the mixture of its copies' scores, then the copy by its own part (C.2).
	scores := []Score{{Mean: 0.1, Shared: 1e-2, Own: 1e-4, action: 0}, {Mean: 0.12, Shared: 1e-2, Own: 4e-2, action: 0}, {Mean: 0.15, Shared: 1e-6, Own: 1e-6, action: 1}}
	w := make([]float64, 3)
	if err := choose(scores, &Workspace{}, w); err != nil {
		t.Fatal(err)
	}
	copies := exact([]float64{0.1, 0.12}, []float64{0.01, 0.2})
	mean, variance := copies[0]*0.1+copies[1]*0.12, copies[0]*(1e-2+1e-4)+copies[1]*(1e-2+4e-2)
	actions := exact([]float64{mean, 0.15}, []float64{math.Sqrt(variance), math.Sqrt(2e-6)})
	for i, want := range []float64{actions[0] * copies[0], actions[0] * copies[1], actions[1]} {
		if math.Abs(w[i]-want) > 1e-4 {
			t.Errorf("copies: %v, want %v for the %d. arm", w, want, i)
		}
	}
	// From no trials to ten million an arm, through a fit: whatever widths come of it.
	for _, n := range []int64{0, 1, 1000, 10_000_000} {
		arms := armsOf(5, 1)
		e := NewEvidence(Calendar{})
		for k, a := range arms {
			trials := n
			if k == 4 {
				trials = n / 1000 // one narrow, one broad
			}
			e.Add(juncture.Intersection{"m", "n", "t", "c"}, a.ID, noon(), Counts{Trials: trials, Successes: trials * int64(49+k) / 1000})
		}
		var ws Workspace
		s := fitted(t, e, arms, Settings{})
		sc, err := s.Scores(juncture.Intersection{"m", "n", "t", "c"}, idsOf(arms), &ws)
		if err != nil {
			t.Fatal(err)
		}
		var mean, sd []float64
		for _, v := range sc {
			mean, sd = append(mean, v.Mean), append(sd, max(minSd, v.Sd()))
		}
		w := weighed(t, s, juncture.Intersection{"m", "n", "t", "c"}, arms)
		for i, p := range exact(mean, sd) {
			if math.Abs(p-w[i]) > 1e-4 {
				t.Errorf("%d trials: means %v, widths %v: %v, want %v", n, mean, sd, w[i], p)
			}
		}
	}
	// No width at all: the largest mean has everything, equal ones share.
	if err := choose([]Score{{Mean: 1, action: 0}, {Mean: 2, action: 1}, {Mean: 2, action: 2}}, &Workspace{}, w); err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{0, 0.5, 0.5} {
		if math.Abs(w[i]-want) > 1e-9 {
			t.Errorf("without width: %v", w)
		}
	}
}

func TestTenCopiesGetWhatOneWould(t *testing.T) {
	// Action a01 once with one copy, once with ten among which the same trials were spread.
	x := juncture.Intersection{"m", "n", "t", "c"}
	share := func(copies int64) float64 {
		arms := []Arm{{1, juncture.Arm{Action: "a00", Copy: "plain"}}, {2, juncture.Arm{Action: "a02", Copy: "plain"}}}
		e := NewEvidence(Calendar{})
		e.Add(x, 1, noon(), Counts{Trials: 10000, Successes: 500})
		e.Add(x, 2, noon(), Counts{Trials: 10000, Successes: 480})
		for c := range copies {
			id := juncture.ArmID(10 + c)
			arms = append(arms, Arm{id, juncture.Arm{Action: "a01", Copy: fmt.Sprint("way-", c)}})
			e.Add(x, id, noon(), Counts{Trials: 10000 / copies, Successes: 500 / copies})
		}
		w := weighed(t, fitted(t, e, arms, Settings{}), x, arms)
		sum := 0.0
		for _, p := range w[2:] {
			sum += p
		}
		return sum
	}
	one, ten := share(1), share(10)
	t.Logf("one copy gets %.3f, ten get %.3f", one, ten)
	if math.Abs(one-ten) > 0.03 { // the copies' own effects keep a little uncertainty that one arm does not have
		t.Errorf("one copy gets %v, ten get %v", one, ten)
	}
}

func TestMoreEvidenceNeverWidens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		arms := armsOf(2, 2)
		facts := drawFacts(t, arms)
		x := drawKey(t)
		c := rapid.Int64Range(2, 50).Draw(t, "times")
		more := append([]fact(nil), facts...)
		for i := range more {
			if more[i].arm == 1 {
				more[i].delta.Trials *= c
				more[i].delta.Successes *= c
			}
		}
		set := Settings{HoldWidths: true, Untempered: true, Sweeps: 60}
		a, b := scored(t, fitted(t, gathered(facts), arms, set), x, arms)[0].Sd(), scored(t, fitted(t, gathered(more), arms, set), x, arms)[0].Sd()
		if b > a*(1+1e-6) {
			t.Fatalf("sd %v, with %d times the counts %v", a, c, b)
		}
	})
}

func TestFitFindsEffects(t *testing.T) {
	// Two arms, two moments, 100,000 trials each cell: rates 4% and 6% cross over. The log-odds of 6% against 4% is 0.4266.
	arms := armsOf(2, 1)
	e := NewEvidence(Calendar{})
	for i, m := range []string{"a", "b"} {
		for k := range arms {
			y := int64(4000)
			if i == k {
				y = 6000
			}
			e.Add(juncture.Intersection{m, "n", "t", "c"}, arms[k].ID, noon(), Counts{Trials: 100_000, Successes: y})
		}
	}
	s := fitted(t, e, arms, Settings{})
	for i, m := range []string{"a", "b"} {
		sc := scored(t, s, juncture.Intersection{m, "n", "t", "c"}, arms)
		if d := sc[i].Mean - sc[1-i].Mean; math.Abs(d-0.4266) > 0.02 {
			t.Errorf("moment %s: %v, want 0.4266", m, d)
		}
		w := weighed(t, s, juncture.Intersection{m, "never-seen", "t", "c"}, arms)
		if w[i] < 0.9 {
			t.Errorf("moment %s at an intersection never seen: %v", m, w)
		}
	}
	for _, l := range s.families {
		if l.place.where != store && l.place.layer != 0 {
			t.Errorf("family %s: only the moment varies here", l.name())
		}
	}
	ex, err := s.Explain(juncture.Intersection{"a", "n", "t", "c"}, 1)
	if err != nil || len(ex.Effects) != 5 || ex.Sentence == "" {
		t.Errorf("%+v, %v", ex, err)
	}
	sum := 0.0
	for _, f := range ex.Effects {
		sum += f.Estimate
	}
	if got := scored(t, s, juncture.Intersection{"a", "n", "t", "c"}, arms)[0].Mean; math.Abs(got-sum) > 1e-12 {
		t.Errorf("effects add up to %v, the score is %v", sum, got)
	}
}

func TestReadOut(t *testing.T) {
	// One intersection, hence no effects but the actions': the own counts are most of what is known.
	arms := armsOf(2, 1)
	e := NewEvidence(Calendar{})
	x := juncture.Intersection{"m", "n", "t", "c"}
	e.Add(x, 1, noon(), Counts{Trials: 100_000, Successes: 6000})
	e.Add(x, 2, noon(), Counts{Trials: 100_000, Successes: 4000})
	out, err := fitted(t, e, arms, Settings{HalfLife: -1}).Read(x, idsOf(arms))
	if err != nil {
		t.Fatal(err)
	}
	if p := out.Arms[0]; math.Abs(p.Mean-0.06) > 0.001 || p.Own != 100_000 || p.OwnSuccesses != 6000 || p.PBest < 1-1e-9 || p.Low > 0.06 || p.High < 0.06 {
		t.Errorf("%+v", p)
	}
	if diff := cmp.Diff(out.Actions[0].PBest+out.Actions[1].PBest, 1.0); diff != "" || out.Winner != 0 {
		t.Error(diff, out.Winner)
	}
}

func TestNewcomers(t *testing.T) {
	arms := armsOf(2, 2)
	e := NewEvidence(Calendar{})
	x := juncture.Intersection{"m", "n", "t", "c"}
	for k, y := range []int64{2400, 2400, 1600} { // of 40,000; the fourth arm has none
		e.Add(x, arms[k].ID, noon(), Counts{Trials: 40_000, Successes: y})
	}
	sc := scored(t, fitted(t, e, arms, Settings{}), x, arms)
	// A new copy inherits its action: nearer to its sibling than to the other action.
	if math.Abs(sc[3].Mean-sc[2].Mean) > math.Abs(sc[3].Mean-sc[0].Mean) || sc[3].Sd() <= sc[2].Sd() {
		t.Errorf("%+v", sc)
	}
	// A new version starts where the old one stood, worth at most 500 trials: wider than the old one was.
	next := append(armsOf(2, 2), Arm{9, juncture.Arm{Action: "a00", ActionVersion: 2, Copy: "c00", CopyVersion: 1}})
	after := scored(t, fitted(t, e, next, Settings{}), x, next)
	if !(after[4].Sd() > sc[0].Sd()) || after[4].Mean < after[2].Mean {
		t.Errorf("new version %+v, was %+v, the other action %+v", after[4], sc[0], after[2])
	}
	var ws Workspace
	if _, err := fitted(t, e, arms, Settings{}).Scores(x, []juncture.ArmID{77}, &ws); juncture.ErrorCode(err) != juncture.CodeInternal {
		t.Errorf("an arm that is not known: %v", err)
	}
}

// Trials in shadow count as any others up to 200 of an arm, its versions together; beyond, a thousand are worth no more,
// and the arm's own never less.
func TestShadowIsWorthAtMost200(t *testing.T) {
	arms := append(armsOf(2, 1), Arm{9, juncture.Arm{Action: "a00", ActionVersion: 2, Copy: "c00", CopyVersion: 1}})
	xs := []juncture.Intersection{{"m", "n", "t", "c"}, {"m", "o", "t", "c"}}
	// of so many trials at each of two intersections, one in ten succeeds
	read := func(n int64, as ...juncture.ArmID) []Score {
		e := NewEvidence(Calendar{})
		for _, x := range xs {
			e.Add(x, 2, noon(), Counts{Trials: 500, Successes: 25})
			for _, a := range as {
				e.Add(x, a, noon(), Counts{Trials: n, Successes: n / 10})
			}
		}
		return scored(t, fitted(t, e, arms, Settings{}), xs[0], arms)
	}
	same := func(what string, got, want []Score) {
		t.Helper()
		for i := range want {
			if math.Abs(got[i].Mean-want[i].Mean) > 1e-6 || math.Abs(got[i].Sd()-want[i].Sd()) > 1e-6 {
				t.Errorf("%s: arm %d is %+v, not %+v", what, i, got[i], want[i])
			}
		}
	}
	same("200 in shadow", read(100, Shadow(9)), read(100, 9))
	same("10,000 in shadow", read(5_000, Shadow(9)), read(100, 9))
	same("10,000 in shadow, half of them of the version before", read(2_500, Shadow(9), Shadow(1)), read(100, 9))
	if few, many := read(100, 9), read(5_000, 9); !(many[2].Sd() < few[2].Sd()) {
		t.Errorf("10,000 of its own say no more than 200: %+v, %+v", many, few)
	}
}

func TestSaleDoesNotCrownTheNewcomer(t *testing.T) {
	// The arm of every day has 5% and 10% in the sale. One 10% worse came for the sale and stays: 9%, then 4.5%.
	// Pooled over time it would have (900+45)/11000 = 8.6% against 5.8%.
	arms := armsOf(2, 1)
	x := juncture.Intersection{"m", "n", "t", "c"}
	e := NewEvidence(Calendar{})
	add := func(arm juncture.ArmID, days int, n int64, rate float64) {
		e.Add(x, arm, noon().AddDate(0, 0, -days), Counts{Trials: n, Successes: int64(float64(n) * rate)})
	}
	for d := 20; d < 30; d++ {
		add(1, d, 10000, 0.05)
	}
	for d := 10; d < 15; d++ {
		add(1, d, 5000, 0.10)
		add(2, d, 5000, 0.09)
	}
	add(1, 5, 1000, 0.05)
	add(2, 5, 1000, 0.045)
	sc := scored(t, fitted(t, e, arms, Settings{}), x, arms)
	// ln(0.9) = −0.105 on the rate, −0.111 on the log-odds at 5% to 10%; shrunk a little.
	if d := sc[1].Mean - sc[0].Mean; d > -0.06 || d < -0.14 {
		t.Errorf("the newcomer is judged %+.3f, want about -0.11", d)
	}
}

func TestDelay(t *testing.T) {
	// Delays uniform over 10 days. Trials of the last 10 days have shown only part of theirs: F(5 days) is about a half.
	e := NewEvidence(Calendar{})
	for day := range 40 {
		for d := range 10 {
			if d <= day {
				e.AddDelay(noon().AddDate(0, 0, -day), time.Duration(d)*24*time.Hour+12*time.Hour-time.Duration(1), 30)
			}
		}
	}
	v := e.View()
	window := 10 * 24 * 60.0
	m := newMaturity(v.delays, v.calendar, noon().Unix()/60, window)
	for days, want := range map[float64]float64{2: 0.2, 5: 0.5, 8: 0.8, 10: 1} {
		if got := m.at(days*1440, window); math.Abs(got-want) > 0.15 { // classes are half an octave wide
			t.Errorf("F(%v days) = %v, want about %v", days, got, want)
		}
	}
	// A new arm, as good as the old, but a day old: it must not look ten times worse.
	arms := armsOf(2, 1)
	x := juncture.Intersection{"m", "n", "t", "c"}
	for day := range 30 {
		mature := math.Min(1, float64(day)/10)
		e.Add(x, 1, noon().AddDate(0, 0, -day), Counts{Trials: 5000, Successes: int64(250 * mature)})
		if day < 3 {
			e.Add(x, 2, noon().AddDate(0, 0, -day), Counts{Trials: 5000, Successes: int64(250 * mature)})
		}
	}
	with := scored(t, fitted(t, e, arms, Settings{Window: 10 * 24 * time.Hour}), x, arms)
	if d := with[1].Mean - with[0].Mean; math.Abs(d) > 0.15 {
		t.Errorf("the new arm is judged %+.3f", d)
	}
}

func TestRefusesImpossibleCounts(t *testing.T) {
	arms := armsOf(2, 1)
	for _, c := range []Counts{{Trials: MaxCount + 1}, {Trials: math.MaxInt64}, {Trials: 5, Successes: math.MinInt64}} {
		e := NewEvidence(Calendar{})
		e.Add(juncture.Intersection{}, 1, noon(), c)
		if _, err := Fit(e.View(), arms, Settings{}, noon(), ""); juncture.ErrorCode(err) != juncture.CodeInternal {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if _, err := Fit(NewEvidence(Calendar{}).View(), nil, Settings{}, noon(), ""); err == nil {
		t.Error("a fit of no arms")
	}
}

func FuzzFit(f *testing.F) {
	f.Add(int64(0), int64(0), int64(5), int64(7))
	f.Add(int64(10_000_000), int64(10_000_000), int64(-3), int64(1))
	f.Add(int64(1e12), int64(1), int64(0), int64(-1e12))
	f.Fuzz(func(t *testing.T, n1, y1, n2, y2 int64) {
		arms := armsOf(2, 2)
		e := NewEvidence(Calendar{})
		x := juncture.Intersection{"m", "n", "t", "c"}
		e.Add(x, 1, noon(), Counts{Trials: n1, Successes: y1, LogValue: y1, LogValueSq: n2})
		e.Add(juncture.Intersection{"m2", "n", "t", "c"}, 2, noon().AddDate(0, -1, 0), Counts{Trials: n2, Successes: y2})
		for _, set := range []Settings{{}, {Value: true}, {Untempered: true}} {
			s, err := Fit(e.View(), arms, set, noon(), "")
			if err != nil {
				if juncture.ErrorCode(err) != juncture.CodeInternal {
					t.Fatal(err)
				}
				return
			}
			sum := 0.0
			for _, p := range weighed(t, s, x, arms) {
				sum += p
			}
			if !(math.Abs(sum-1) < 1e-9) {
				t.Fatalf("weights sum to %v", sum)
			}
			out, err := s.Read(x, idsOf(arms))
			if err != nil || math.IsNaN(out.Arms[0].Mean) {
				t.Fatalf("%+v, %v", out, err)
			}
		}
	})
}

func TestValueGoal(t *testing.T) {
	// Same rate; the second action's orders are e^0.5 times as large, σ = 0.6, 2,000 orders each.
	arms := armsOf(2, 1)
	e := NewEvidence(Calendar{})
	x := juncture.Intersection{"m", "n", "t", "c"}
	orders := func(mu float64) Counts {
		n := 2000.0
		return Counts{Trials: 40_000, Successes: 2000, LogValue: int64(n * mu * 1e4), LogValueSq: int64(n * (mu*mu + 0.36) * 1e8)}
	}
	e.Add(x, 1, noon(), orders(3))
	e.Add(x, 2, noon(), orders(3.5))
	s := fitted(t, e, arms, Settings{Value: true})
	sc := scored(t, s, x, arms)
	if d := sc[1].Mean - sc[0].Mean; math.Abs(d-0.5) > 0.05 {
		t.Errorf("difference %v, want 0.5", d)
	}
	out, err := s.Read(x, idsOf(arms))
	// 5% of e^(3.5 + 0.18).
	if want := 0.05 * math.Exp(3.68); err != nil || math.Abs(out.Arms[1].Value/want-1) > 0.05 {
		t.Errorf("%v, want %v; %v", out.Arms[1].Value, want, err)
	}
	if out.Winner != 1 || out.Actions[1].PBest < 0.99 {
		t.Errorf("%+v", out.Actions)
	}
}

func TestVectors(t *testing.T) {
	arms := armsOf(3, 2)
	e := NewEvidence(Calendar{})
	keys := []juncture.Intersection{{"m", "n", "t", "c"}, {"m2", "n", "t", "c"}, {"m3", "n", "t", "c"}}
	for i, x := range keys {
		e.Add(x, arms[i].ID, noon(), Counts{Trials: 1000, Successes: int64(30 + 20*i)})
	}
	s := fitted(t, e, arms, Settings{})
	c := NewVectors(s, 0.01, 2)
	for range 3 { // with room for two in each half some are forgotten and computed again: alike
		for _, x := range keys {
			for _, eligible := range [][]Arm{arms, arms[1:4]} {
				want := weighed(t, s, x, eligible)
				policy.Floor(want, 0.01)
				got, err := c.Get(x, idsOf(eligible))
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, got.P); diff != "" {
					t.Error(diff)
				}
			}
		}
	}
	if len(c.now) > 2 || len(c.past) > 2 {
		t.Errorf("%d and %d vectors, at most 2 each", len(c.now), len(c.past))
	}
	ids := idsOf(arms)
	if _, err := c.Get(keys[0], ids); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = c.Get(keys[0], ids) }); n != 0 {
		t.Errorf("a cached vector allocates %v times", n)
	}
}

func TestBlend(t *testing.T) {
	// Arm 1 converts at 6%, arm 2 at 5%; but arm 1 makes 1% unsubscribe and arm 2 0.5%. An unsubscribe weighed at −1 leaves
	// 5% against 4.5%; at −4, 2% against 3%.
	arms := armsOf(2, 1)
	x := juncture.Intersection{"m", "n", "t", "c"}
	outcome := func(y1, y2 int64) *Snapshot {
		e := NewEvidence(Calendar{})
		e.Add(x, 1, noon(), Counts{Trials: 100_000, Successes: y1})
		e.Add(x, 2, noon(), Counts{Trials: 100_000, Successes: y2})
		return fitted(t, e, arms, Settings{})
	}
	buy, leave := outcome(6000, 5000), outcome(1000, 500)
	for weight, best := range map[float64]int{-1: 0, -4: 1} {
		b, err := NewBlend(Part{"buy", buy, 1}, Part{"leave", leave, weight})
		if err != nil {
			t.Fatal(err)
		}
		w := make([]float64, 2)
		if err := b.Vector(x, idsOf(arms), &Workspace{}, w); err != nil || w[best] < 0.95 {
			t.Errorf("weight %v: %v, %v", weight, w, err)
		}
	}
	// Less is better, alone.
	b, _ := NewBlend(Part{"leave", leave, -1})
	w := make([]float64, 2)
	if err := b.Vector(x, idsOf(arms), &Workspace{}, w); err != nil || w[1] < 0.99 {
		t.Errorf("less is better: %v, %v", w, err)
	}
	if _, err := NewBlend(Part{"buy", buy, math.NaN()}); err == nil {
		t.Error("a weight that is no number")
	}
	if _, err := NewBlend(Part{"buy", buy, 1}, Part{"more", fitted(t, NewEvidence(Calendar{}), armsOf(3, 1), Settings{}), 1}); err == nil {
		t.Error("other arms")
	}
}

func TestFitWhileAdding(t *testing.T) {
	arms := armsOf(2, 2)
	e := NewEvidence(Calendar{})
	x := juncture.Intersection{"m", "n", "t", "c"}
	for range 20 {
		e.Add(x, 1, noon(), Counts{Trials: 100, Successes: 5})
		v, done := e.View(), make(chan *Snapshot)
		go func() {
			s, _ := Fit(v, arms, Settings{}, noon(), "")
			done <- s
		}()
		before := e.Trials()
		e.Add(x, 2, noon(), Counts{Trials: 50, Successes: 5})
		e.Add(juncture.Intersection{"m2", "n", "t", "c"}, 3, noon(), Counts{Trials: 10})
		e.Compact(noon().AddDate(0, 0, 5))
		if s := <-done; math.Abs(s.Trials()-float64(before)) > 0.02*float64(before) { // a day's forgetting at most
			t.Errorf("%v trials, the view had %v", s.Trials(), before)
		}
	}
}

func TestVersion(t *testing.T) {
	arms := armsOf(2, 1)
	marks := []juncture.Mark{{Node: 1, Seq: 5}, {Node: 2, Seq: 7}}
	v := Version(marks, arms, Settings{}, noon())
	if Version([]juncture.Mark{marks[1], marks[0]}, []Arm{arms[1], arms[0]}, Settings{}, noon()) != v {
		t.Error("the order of nodes or arms changes the version")
	}
	for _, other := range []string{Version(marks[:1], arms, Settings{}, noon()), Version(marks, arms[:1], Settings{}, noon()),
		Version(marks, arms, Settings{Temper: 0.6}, noon()), Version(marks, arms, Settings{}, noon().Add(time.Hour))} {
		if other == v {
			t.Error("another fit has the same version")
		}
	}
}

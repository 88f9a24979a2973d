package health

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/juncture/juncture"
)

func armName(id juncture.ArmID) string { return fmt.Sprintf("arm %d", id) }

// ranking draws a probability vector over some of ten arms.
func ranking(t *rapid.T) []juncture.Ranked {
	ids := rapid.SliceOfNDistinct(rapid.Uint32Range(1, 10), 1, 6, rapid.ID).Draw(t, "arms")
	out := make([]juncture.Ranked, len(ids))
	sum := 0.0
	for i, id := range ids {
		out[i] = juncture.Ranked{Arm: juncture.ArmID(id), Probability: rapid.Float64Range(0.001, 1).Draw(t, "p")}
		sum += out[i].Probability
	}
	for i := range out {
		out[i].Probability /= sum
	}
	return out
}

func clone(t *rapid.T, d *Draws) *Draws {
	b, err := d.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var out Draws
	if err := out.UnmarshalBinary(b); err != nil {
		t.Fatal(err)
	}
	again, err := out.MarshalBinary()
	if err != nil || !bytes.Equal(b, again) {
		t.Fatalf("the state is written otherwise when read: %v", err)
	}
	return &out
}

// Whatever was folded before, and whatever the next probabilities are: the mean of E over the next draw is E. This is the
// martingale, to rounding, for the mean and for each of its parts.
func TestDrawsAreAMartingale(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var d Draws
		for range rapid.IntRange(0, 40).Draw(t, "before") {
			r := ranking(t)
			if err := d.Add(r, r[rapid.IntRange(0, len(r)-1).Draw(t, "drawn")].Arm); err != nil {
				t.Fatal(err)
			}
		}
		next := ranking(t)
		parts, mean := [tilts]float64{}, 0.0
		for _, r := range next {
			after := clone(t, &d)
			if err := after.Add(next, r.Arm); err != nil {
				t.Fatal(err)
			}
			for j := range parts {
				parts[j] += r.Probability * math.Exp(after.log[j]-d.log[j])
			}
			mean += r.Probability * math.Exp(after.LogE()-d.LogE())
		}
		for _, m := range append(parts[:], mean) {
			if math.Abs(m-1) > 1e-9 {
				t.Fatalf("means %v, %v", parts, mean)
			}
		}
	})
}

// With equal probabilities over K arms each part is the Dirichlet-multinomial Bayes factor with c = a·K.
func TestDrawsAgreeWithTheClosedForm(t *testing.T) {
	const k = 4
	even := make([]juncture.Ranked, k)
	for i := range even {
		even[i] = juncture.Ranked{Arm: juncture.ArmID(i + 1), Probability: 1.0 / k}
	}
	var d Draws
	n := [k]float64{}
	rng := rand.New(rand.NewPCG(3, 4))
	for range 5000 {
		x := min(rng.IntN(k+1), k-1) // the last arm twice as often as it should
		n[x]++
		if err := d.Add(even, even[x].Arm); err != nil {
			t.Fatal(err)
		}
	}
	for j, a := range tiltPrior() {
		c := a * k
		want := lgamma(c) - lgamma(c+5000)
		for _, m := range n {
			want += lgamma(a+m) - lgamma(a) - m*math.Log(1.0/k)
		}
		near(t, "log E", d.log[j], want, 1e-8)
	}
	r, err := d.Ratio(Alpha, armName)
	if err != nil || r.Verdict != VerdictMismatch || r.Rows[3].Label != "arm 4" || math.Abs(r.Rows[3].Expected-1250) > 1e-6 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestDrawsBegin(t *testing.T) {
	var d Draws
	if d.LogE() != 0 || d.Decisions() != 0 {
		t.Errorf("log E of nothing is %v", d.LogE())
	}
	one := []juncture.Ranked{{Arm: 7, Probability: 1}}
	for range 100 {
		if err := d.Add(one, 7); err != nil {
			t.Fatal(err)
		}
	}
	r, err := d.Ratio(Alpha, armName)
	if err != nil || d.LogE() != 0 || r.Verdict != VerdictThin {
		t.Errorf("an arm alone says nothing: %+v, %v", r, err)
	}
	if err := d.Add([]juncture.Ranked{{Arm: 7, Probability: 1}, {Arm: 8, Probability: 0}}, 8); err != nil {
		t.Fatal(err)
	}
	if r, err = d.Ratio(Alpha, armName); err != nil || r.Verdict != VerdictMismatch || r.E != evidence(math.Inf(1)) {
		t.Errorf("what had probability 0 was drawn: %+v, %v", r, err)
	}
}

func TestDrawsRefuse(t *testing.T) {
	var d Draws
	fine := []juncture.Ranked{{Arm: 1, Probability: 0.25}, {Arm: 2, Probability: 0.75}}
	for range 10 {
		if err := d.Add(fine, 2); err != nil {
			t.Fatal(err)
		}
	}
	before, _ := d.MarshalBinary()
	var s DrawSums
	for name, r := range map[string][]juncture.Ranked{
		"nothing":     nil,
		"NaN":         {{Arm: 1, Probability: math.NaN()}},
		"negative":    {{Arm: 1, Probability: -0.5}, {Arm: 2, Probability: 1.5}},
		"under one":   {{Arm: 1, Probability: 0.5}},
		"over one":    {{Arm: 1, Probability: 1}, {Arm: 2, Probability: 1}},
		"known twice": {{Arm: 1, Probability: 0.5}, {Arm: 1, Probability: 0.5}},
		"new twice":   {{Arm: 5, Probability: 0.5}, {Arm: 5, Probability: 0.5}},
		"too many":    make([]juncture.Ranked, maxRanking+1),
	} {
		refused(t, name, d.Add(r, 1))
		refused(t, name, s.Add(r, 1))
	}
	refused(t, "not eligible", s.Add(fine, 3))
	after, _ := d.MarshalBinary()
	if !bytes.Equal(before, after) || s.n != 0 || len(s.arms) != 0 {
		t.Error("a refused decision changed the state")
	}
	if err := d.Add(fine, 1); err != nil {
		t.Errorf("a sound decision after refused ones: %v", err)
	}
}

func TestDrawsMemoryIsBounded(t *testing.T) {
	var d Draws
	var s DrawSums
	stopped := false
	for i := range 3 * MaxArms {
		r := []juncture.Ranked{{Arm: juncture.ArmID(i + 1), Probability: 0.5}, {Arm: juncture.ArmID(i + 2), Probability: 0.5}}
		if err := d.Add(r, r[i%2].Arm); err != nil {
			t.Fatal(err)
		}
		if err := s.Add(r, r[0].Arm); err != nil {
			refused(t, "arms", err)
			stopped = true
		}
	}
	if len(d.arms) != MaxArms || !finite(d.LogE()) || len(s.arms) != MaxSummed || !stopped {
		t.Errorf("%d arms, log E %v; %d summed", len(d.arms), d.LogE(), len(s.arms))
	}
}

// adaptive is a policy that leans to what it drew and to chance, so that its probabilities depend on its own past. A share
// of the rows that drew the first arm is lost.
func adaptive(rng *rand.Rand, k int, decisions int, lost float64, see func([]juncture.Ranked, juncture.ArmID) bool) {
	weight := make([]float64, k)
	for i := range weight {
		weight[i] = 1
	}
	r := make([]juncture.Ranked, k)
	for range decisions {
		sum := 0.0
		for _, w := range weight {
			sum += w
		}
		u, x := rng.Float64(), k-1
		for i := range r {
			r[i] = juncture.Ranked{Arm: juncture.ArmID(i + 1), Probability: 0.1/float64(k) + 0.9*weight[i]/sum}
		}
		for i := range r {
			if u -= r[i].Probability; u < 0 {
				x = i
				break
			}
		}
		weight[x] += rng.Float64()
		for i := range weight {
			weight[i] = max(0.05, weight[i]*0.999)
		}
		if x == 0 && rng.Float64() < lost {
			continue // its row is not there
		}
		if !see(r, r[x].Arm) {
			return
		}
	}
}

func TestDrawsAreAnEProcess(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	checkMean(t, 400, func() float64 {
		var d Draws
		adaptive(rng, 5, 600, 0, func(r []juncture.Ranked, x juncture.ArmID) bool {
			if err := d.Add(r, x); err != nil {
				t.Fatal(err)
			}
			return d.LogE() < math.Log(4) // stop where it looks worst
		})
		return math.Exp(d.LogE())
	})
}

// Names do not matter: with the arms renumbered, E is the same.
func TestDrawsRelabel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		to := rapid.Permutation([]juncture.ArmID{0, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20}).Draw(t, "names")
		var a, b Draws
		var sa, sb DrawSums
		for range rapid.IntRange(1, 30).Draw(t, "decisions") {
			r := ranking(t)
			x := r[rapid.IntRange(0, len(r)-1).Draw(t, "drawn")].Arm
			other := make([]juncture.Ranked, len(r))
			for i := range r {
				other[i] = juncture.Ranked{Arm: to[r[i].Arm], Probability: r[i].Probability}
			}
			for _, err := range []error{a.Add(r, x), b.Add(other, to[x]), sa.Add(r, x), sb.Add(other, to[x])} {
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		ra, _ := sa.Ratio(Alpha, armName)
		rb, _ := sb.Ratio(Alpha, armName)
		if math.Abs(a.LogE()-b.LogE()) > 1e-9 || math.Abs(ra.Statistic-rb.Statistic) > 1e-6*(1+ra.Statistic) || ra.Degrees != rb.Degrees {
			t.Fatalf("%v and %v; %+v and %+v", a.LogE(), b.LogE(), ra, rb)
		}
	})
}

type drawn struct {
	ranking []juncture.Ranked
	arm     juncture.ArmID
}

// Sums of two nodes, merged, are the sums of all decisions in any order, to the last bit.
func TestDrawSumsMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all []drawn
		for range rapid.IntRange(0, 30).Draw(t, "decisions") {
			r := ranking(t)
			all = append(all, drawn{r, r[rapid.IntRange(0, len(r)-1).Draw(t, "drawn")].Arm})
		}
		fold := func(list []drawn) (s DrawSums) {
			for _, d := range list {
				if err := s.Add(d.ranking, d.arm); err != nil {
					t.Fatal(err)
				}
			}
			return s
		}
		want := fold(all)
		cut := rapid.IntRange(0, len(all)).Draw(t, "cut")
		order := rapid.Permutation(all).Draw(t, "order")
		got, rest := fold(order[:cut]), fold(order[cut:])
		if err := got.Merge(&rest); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(DrawSums{})); diff != "" {
			t.Fatal(diff)
		}
	})
}

// With fixed probabilities the distance is Pearson's chi-square: the pseudo-inverse of n·(diag p − p·pᵀ) gives
// Σ (n_k − n·p_k)²/(n·p_k).
func TestDrawSumsArePearsons(t *testing.T) {
	p := []float64{0.5, 0.3, 0.15, 0.05}
	r := make([]juncture.Ranked, len(p))
	rows := make([]Count, len(p))
	for i := range p {
		r[i] = juncture.Ranked{Arm: juncture.ArmID(i + 1), Probability: p[i]}
		rows[i] = Count{armName(r[i].Arm), 0, p[i]}
	}
	var s DrawSums
	rng := rand.New(rand.NewPCG(7, 8))
	for range 5000 {
		u, x := rng.Float64(), len(p)-1
		for i := range p {
			if u -= p[i]; u < 0 {
				x = i
				break
			}
		}
		rows[x].Observed++
		if err := s.Add(r, r[x].Arm); err != nil {
			t.Fatal(err)
		}
	}
	want, err := ChiSquare(rows, Alpha)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Ratio(Alpha, armName)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "X²", got.Statistic, want.Statistic, 1e-5)
	near(t, "p", got.P, want.P, 1e-5)
	if got.Degrees != 3 || got.Verdict != VerdictOK {
		t.Errorf("%+v", got)
	}
}

// Two pools that never meet have two sums that are fixed: of 2 + 3 arms, 1 + 2 directions vary.
func TestDrawSumsOfSeparatePools(t *testing.T) {
	var s DrawSums
	a := []juncture.Ranked{{Arm: 1, Probability: 0.5}, {Arm: 2, Probability: 0.5}}
	b := []juncture.Ranked{{Arm: 3, Probability: 0.2}, {Arm: 4, Probability: 0.2}, {Arm: 5, Probability: 0.6}}
	for i := range 200 {
		if err := s.Add(a, a[i%2].Arm); err != nil {
			t.Fatal(err)
		}
		if err := s.Add(b, b[[]int{0, 1, 2, 2, 2}[i%5]].Arm); err != nil {
			t.Fatal(err)
		}
	}
	r, err := s.Ratio(Alpha, armName)
	if err != nil || r.Degrees != 3 || r.Statistic > 1e-9 || r.Verdict != VerdictOK {
		t.Errorf("%+v, %v: all as expected, in 3 directions", r, err)
	}
}

func FuzzDraws(f *testing.F) {
	f.Add(uint32(1), 0.5, uint32(2), 0.5, uint32(1))
	f.Add(uint32(0), 1.0, uint32(9), 0.0, uint32(9))
	f.Add(uint32(3), math.NaN(), uint32(3), math.Inf(1), uint32(4))
	f.Add(uint32(3), 1e-320, uint32(4), 1.0, uint32(3))
	f.Fuzz(func(t *testing.T, a uint32, p float64, b uint32, q float64, x uint32) {
		r := []juncture.Ranked{{Arm: juncture.ArmID(a), Probability: p}, {Arm: juncture.ArmID(b), Probability: q}}
		var d Draws
		var s DrawSums
		for range 3 {
			if err := d.Add(r, juncture.ArmID(x)); err != nil {
				refused(t, "draw", err)
			}
			if err := s.Add(r, juncture.ArmID(x)); err != nil {
				refused(t, "draw", err)
			}
		}
		for _, read := range []func(float64, func(juncture.ArmID) string) (Ratio, error){d.Ratio, s.Ratio} {
			if got, err := read(Alpha, armName); err != nil || math.IsNaN(got.E) || !(got.P >= 0 && got.P <= 1) {
				t.Fatalf("%+v, %v", got, err)
			}
		}
	})
}

func FuzzDrawsState(f *testing.F) {
	var d Draws
	r := []juncture.Ranked{{Arm: 1, Probability: 0.25}, {Arm: 2, Probability: 0.75}}
	for i := range 5 {
		if err := d.Add(r, r[i%2].Arm); err != nil {
			f.Fatal(err)
		}
	}
	b, _ := d.MarshalBinary()
	f.Add(b)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		var d Draws
		if err := d.UnmarshalBinary(b); err != nil {
			refused(t, "state", err)
			return
		}
		if err := d.Add(r, 1); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Ratio(Alpha, armName); err != nil || math.IsNaN(d.LogE()) {
			t.Fatalf("log E %v, %v", d.LogE(), err)
		}
	})
}

package health

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
	"pgregory.net/rapid"

	"github.com/juncture/juncture"
)

func watch(t testing.TB, g Guard) Watch {
	t.Helper()
	w, err := NewWatch(g)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// Summed over everything that two groups of a few units can do, at any rates within the margin, the mean of each bet after
// a batch is at most what it was: the supermartingale, exactly, not only for rare successes.
func TestGuardIsASupermartingale(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := Guard{Outcome: "x", Margin: rapid.Float64Range(0, 0.5).Draw(t, "margin"), Direction: rapid.SampledFrom([]Direction{MustNotRise, MustNotFall}).Draw(t, "direction")}
		n1, n0 := rapid.IntRange(1, 12).Draw(t, "n1"), rapid.IntRange(1, 12).Draw(t, "n0")
		p0 := rapid.Float64Range(0, 1).Draw(t, "p0")
		worst := min(1, p0*(1+g.side()*g.Margin))
		p1 := worst // or better
		if better := rapid.Float64Range(0, 1).Draw(t, "better"); g.Direction == MustNotRise {
			p1 *= better
		} else {
			p1 += (1 - p1) * better
		}
		for _, p := range []float64{worst, p1} {
			mean := [8]float64{}
			one, other := distuv.Binomial{N: float64(n1), P: p}, distuv.Binomial{N: float64(n0), P: p0}
			for s1 := range n1 + 1 {
				for s0 := range n0 + 1 {
					w, err := NewWatch(g)
					if err != nil {
						t.Fatal(err)
					}
					if err := w.Add(Batch{Units: int64(n1), Successes: int64(s1)}, Batch{Units: int64(n0), Successes: int64(s0)}); err != nil {
						t.Fatal(err)
					}
					for i := range mean {
						mean[i] += one.Prob(float64(s1)) * other.Prob(float64(s0)) * math.Exp(w.Bets[i])
					}
				}
			}
			for i, m := range mean {
				if m > 1.0/16+1e-9 { // what each stakes at first
					t.Fatalf("bet %d: mean %v at rates %v and %v", i, m, p, p0)
				}
			}
		}
	})
}

// One success of the policy, of equal groups and without a margin: w = 1/2, and each bet is multiplied by
// e^x/((e^x+1)/2); half lies idle, and at first as much goes to it as comes from it.
func TestGuardByHand(t *testing.T) {
	w := watch(t, Guard{Outcome: "unsubscribe", Direction: MustNotRise})
	if err := w.Add(Batch{Units: 10, Successes: 1}, Batch{Units: 10}); err != nil {
		t.Fatal(err)
	}
	want := 0.5
	for _, x := range harms() {
		want += 2 * math.Exp(x) / (math.Exp(x) + 1) / 16
	}
	near(t, "E", math.Exp(w.LogE), want, 1e-12)
}

// The first batch only begins; of the second, without a difference, each bet is multiplied by exp(−δ²·I/2): the variance
// of a unit is 5e6 − 500² = 4.75e6, of a batch's difference 2·4,750 = 9,500, and δ = 500·(1 − e^−x).
func TestMoneyGuardByHand(t *testing.T) {
	w := watch(t, Guard{Outcome: "purchase", Direction: MustNotFall, Money: true})
	b := Batch{Units: 1000, Successes: 100, Value: 500_000, ValueSq: 5e9}
	for i, want := range []float64{1, 0.5} {
		if err := w.Add(b, b); err != nil {
			t.Fatal(err)
		}
		for _, x := range harms() {
			if i == 1 {
				d := 500 * (1 - math.Exp(-x))
				want += math.Exp(-d*d/9500/2) / 16
			}
		}
		near(t, "E", math.Exp(w.LogE), want, 1e-12)
	}
	few := watch(t, w.Guard)
	few.Policy.Successes = 99
	if err := few.Add(Batch{Units: 1000, Successes: 1, Value: 1, ValueSq: 1}, b); err != nil || few.LogE != 0 {
		t.Errorf("99 orders before are too few: %+v, %v", few, err)
	}
}

func TestGuardStartsAtOne(t *testing.T) {
	for _, g := range []Guard{{Outcome: "x", Direction: MustNotRise}, {Outcome: "x", Direction: MustNotFall, Money: true}} {
		w := watch(t, g)
		if err := w.Add(Batch{}, Batch{}); err != nil || w.LogE != 0 || w.Peak != 0 {
			t.Errorf("%+v, %v", w, err)
		}
	}
}

// Stopped at the worst-looking time, the mean of E is at most 1 with a season in the rates and harm at the margin.
func TestGuardIsAnEProcess(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 7))
	checkMean(t, 3000, func() float64 {
		w := watch(t, Guard{Outcome: "x", Direction: MustNotRise, Margin: 0.2})
		for i := range 40 {
			p := 0.03 * (1 + 0.8*math.Sin(float64(i)/3))
			a := Batch{Units: 300, Successes: int64(distuv.Binomial{N: 300, P: 1.2 * p, Src: rng}.Rand())}
			b := Batch{Units: 100, Successes: int64(distuv.Binomial{N: 100, P: p, Src: rng}.Rand())}
			if err := w.Add(a, b); err != nil {
				t.Fatal(err)
			}
			if w.LogE > math.Log(5) {
				break
			}
		}
		return math.Exp(w.LogE)
	})
}

// watching is a guard's process with what trips it at the default level.
func watching(t testing.TB, g Guard) func(policy, other Batch) (string, bool) {
	t.Helper()
	w, err := NewWatch(g)
	if err != nil {
		t.Fatal(err)
	}
	return func(policy, other Batch) (string, bool) {
		t.Helper()
		if err := w.Add(policy, other); err != nil {
			t.Fatal(err)
		}
		why, harm, err := w.Harm(0, juncture.GroupBAU)
		if err != nil {
			t.Fatal(err)
		}
		return why, harm
	}
}

func TestHarm(t *testing.T) {
	add := watching(t, Guard{Name: "Unsubscribe", Outcome: "unsubscribe", Direction: MustNotRise, Margin: 0.1})
	calm, bad := Batch{Units: 1000, Successes: 3}, Batch{Units: 1000, Successes: 12}
	for i := range 30 {
		if why, harm := add(calm, calm); harm || why != "" {
			t.Fatalf("day %d: %q", i, why)
		}
	}
	for i := 1; ; i++ {
		why, harm := add(bad, calm)
		if !harm && i <= 8 {
			continue
		}
		want := "Unsubscribe rose: " + percent(float64(90+12*i)/float64(1000*(30+i))) + " of " + count(float64(1000*(30+i))) +
			" under the policy, 0.30% of " + count(float64(1000*(30+i))) + " under business as usual; a rise by 10.0% is allowed."
		if why != want {
			t.Errorf("day %d: %q, want %q", i, why, want)
		}
		break
	}
	// 100 orders of 40 euro a day against 55, of 1,000 shoppers.
	add = watching(t, Guard{Name: "Revenue", Outcome: "purchase", Direction: MustNotFall, Margin: 0.05, Money: true, Currency: "EUR"})
	money := func(each float64) Batch {
		return Batch{Units: 1000, Successes: 100, Value: 100 * each, ValueSq: 100 * each * each * 1.4}
	}
	for range 30 {
		if why, harm := add(money(4000), money(5500)); harm {
			if want := "Revenue fell: EUR 4.00 each of "; why[:len(want)] != want {
				t.Error(why)
			}
			return
		}
	}
	t.Error("a fall by a quarter was not found in 30 days")
}

func TestGuardsRefuse(t *testing.T) {
	for name, g := range map[string]Guard{"no outcome": {Direction: MustNotRise}, "no direction": {Outcome: "x"}, "NaN": {Outcome: "x", Direction: MustNotRise, Margin: math.NaN()}} {
		_, err := NewWatch(g)
		refused(t, name, err)
	}
	w, err := NewWatch(Guard{Outcome: "x", Direction: MustNotRise})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = w.Harm(math.NaN(), juncture.GroupBAU)
	refused(t, "level", err)
	refused(t, "more successes than units", w.Add(Batch{Units: 1, Successes: 2}, Batch{}))
}

func FuzzGuard(f *testing.F) {
	f.Add(int64(100), int64(3), int64(90), int64(2), 1e5, 1e9, 0.1)
	f.Add(int64(0), int64(0), int64(0), int64(0), 0.0, 0.0, 0.0)
	f.Add(int64(1e12), int64(1e12), int64(1e12), int64(0), 1e17, 1e29, 0.99)
	f.Add(int64(-1), int64(math.MaxInt64), int64(math.MinInt64), int64(5), math.NaN(), math.Inf(1), math.NaN())
	f.Fuzz(func(t *testing.T, n1, s1, n0, s0 int64, value, square, margin float64) {
		for _, g := range []Guard{{Outcome: "x", Direction: MustNotRise, Margin: margin}, {Outcome: "x", Direction: MustNotFall, Margin: margin, Money: true}} {
			w, err := NewWatch(g)
			if err != nil {
				refused(t, "guard", err)
				continue
			}
			for range 3 {
				if err := w.Add(Batch{n1, s1, value, square}, Batch{n0, s0, value / 2, square}); err != nil {
					refused(t, "batch", err)
				}
				if _, _, err := w.Harm(0, juncture.GroupHoldout); err != nil || math.IsNaN(w.LogE) {
					t.Fatalf("%+v: %v", w, err)
				}
			}
		}
	})
}

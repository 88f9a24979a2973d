package health

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
	"pgregory.net/rapid"

	"github.com/juncture/juncture"
)

func rates(t testing.TB, check func([]Rate, float64) (RateCheck, error), rows ...Rate) RateCheck {
	t.Helper()
	r, err := check(rows, Alpha)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func against(tolerance float64) func([]Rate, float64) (RateCheck, error) {
	return func(rows []Rate, alpha float64) (RateCheck, error) { return AgainstExpected(rows, tolerance, alpha) }
}

func TestSameRate(t *testing.T) {
	for _, c := range []struct {
		name  string
		rows  []Rate
		want  Verdict
		words string
	}{
		{"nothing", []Rate{{Label: "a"}, {Label: "b"}}, VerdictThin, "Not enough"},
		{"all activated", []Rate{{Label: "a", Trials: 100, Hits: 100}, {Label: "b", Trials: 90, Hits: 90}}, VerdictThin, "Not enough"},
		{"the same", []Rate{{Label: "a", Trials: 10_000, Hits: 8010}, {Label: "b", Trials: 5000, Hits: 3990}}, VerdictOK, "same everywhere (80.0% of 15,000)"},
		{"an arm that is opened more", []Rate{{Label: "a", Trials: 10_000, Hits: 8000}, {Label: "clickbait", Trials: 10_000, Hits: 8500}}, VerdictMismatch, "has 8"},
	} {
		r := rates(t, SameRate, c.rows...)
		if r.Verdict != c.want || !strings.Contains(r.Sentence, c.words) {
			t.Errorf("%s: %+v", c.name, r)
		}
	}
	// 10 of 100 against 20 of 100, pooled 15: 2·(5²/15 + 5²/85) = 3.92157
	near(t, "chi-square", rates(t, SameRate, Rate{Trials: 100, Hits: 10}, Rate{Trials: 100, Hits: 20}).Statistic, 50.0/15+50.0/85, 1e-12)
}

// The integral over the common mean, against a plain sum of 20,000 steps on the log-odds.
func TestSameRateIntegral(t *testing.T) {
	for _, rows := range [][]Rate{
		{{Trials: 50, Hits: 3}, {Trials: 70, Hits: 9}},
		{{Trials: 200_000, Hits: 900}, {Trials: 100_000, Hits: 700}, {Trials: 10, Hits: 0}},
	} {
		n, h := 0.0, 0.0
		for _, r := range rows {
			n, h = n+float64(r.Trials), h+float64(r.Hits)
		}
		model := func(c float64, one int) float64 {
			var steps []float64
			const many = 20_000
			for i := range many {
				x := -20 + 40*(float64(i)+0.5)/many
				m, rest := 1/(1+math.Exp(-x)), 1/(1+math.Exp(x))
				l := math.Log(m*rest)/2 - math.Log(math.Pi)
				for k, r := range rows {
					a, b := float64(r.Hits), float64(r.Trials-r.Hits)
					if one < 0 || k == one {
						l += lbeta(a+c*m, b+c*rest) - lbeta(c*m, c*rest)
					} else {
						l += a*math.Log(m) + b*math.Log(rest)
					}
				}
				steps = append(steps, l)
			}
			return logMeanExp(steps) + math.Log(40) - h*math.Log(h/n) - (n-h)*math.Log(1-h/n)
		}
		var all, one []float64
		for _, c := range []float64{100, 1000, 10000} {
			all = append(all, model(c, -1))
			for k := range rows {
				one = append(one, model(c, k))
			}
		}
		logs := []float64{logMeanExp(all), logMeanExp(one)}
		if got, want := sameRateE(rows, n, h), logMeanExp(logs); math.Abs(got-want) > 1e-3 {
			t.Errorf("%v: log E %v, want %v", rows, got, want)
		}
	}
}

func TestSameRateIsAnEProcess(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 4))
	checkMean(t, 60, func() float64 {
		rows, e := make([]Rate, 3), 1.0
		for range 10 {
			for i := range rows {
				rows[i].Trials += 200
				rows[i].Hits += int64(distuv.Binomial{N: 200, P: 0.3, Src: rng}.Rand())
			}
			if e = rates(t, SameRate, rows...).E; e > 2 {
				break
			}
		}
		return e
	})
}

// One row and a = 1 term by term: ∫ρ^h e^(−ρE) Gamma(ρ; a, a) dρ by a plain sum.
func TestAgainstExpectedIntegral(t *testing.T) {
	for _, c := range [][2]float64{{3, 5}, {40, 90}, {0, 12}} {
		for _, tolerance := range []float64{0, 0.1} {
			var logs []float64
			rho := min(max(c[0]/c[1], 1/(1+tolerance)), 1+tolerance)
			for _, a := range []float64{10, 100, 1000} {
				prior := distuv.Gamma{Alpha: a, Beta: a}
				sum := 0.0
				const step = 1e-4
				for i := range 40_000 {
					r := (float64(i) + 0.5) * step
					sum += step * math.Exp(c[0]*math.Log(r)-r*c[1]+prior.LogProb(r))
				}
				logs = append(logs, math.Log(sum)-c[0]*math.Log(rho)+rho*c[1])
			}
			if got, want := againstE(c[0], c[1], tolerance), logMeanExp(logs); math.Abs(got-want) > 1e-6 {
				t.Errorf("%v within %v: %v, want %v", c, tolerance, got, want)
			}
		}
	}
}

func TestAgainstExpected(t *testing.T) {
	fine := rates(t, against(0.1), Rate{"policy", 10_000, 620, 0.06}, Rate{"bau", 2000, 95, 0.05})
	// 600 + 100 of 12,000 expected, 715 seen
	if fine.Verdict != VerdictOK || fine.Sentence != "6.0% of 12,000 have an outcome, 5.8% were expected." {
		t.Errorf("%+v", fine)
	}
	lost := rates(t, against(0.1), Rate{"policy", 10_000, 410, 0.06}, Rate{"bau", 2000, 95, 0.05})
	if lost.Verdict != VerdictMismatch || !strings.HasPrefix(lost.Sentence, "policy has an outcome for 4.1% of 10,000 where 6.0% were expected") {
		t.Errorf("%+v", lost)
	}
	if r := rates(t, against(0.1), Rate{Label: "new", Expected: 0.1}); r.Verdict != VerdictThin || r.E != 1 {
		t.Errorf("%+v", r)
	}
}

func TestAgainstExpectedIsAnEProcess(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 5))
	checkMean(t, 1000, func() float64 {
		r, e := Rate{Expected: 0.3}, 1.0
		for range 30 {
			r.Trials += 20
			r.Hits += int64(distuv.Binomial{N: 20, P: 0.3, Src: rng}.Rand()) // not rare: Poisson still bounds it
			if e = rates(t, against(0), r).E; e > 3 {
				break
			}
		}
		return e
	})
}

func TestRatesRelabel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var rows []Rate
		for range rapid.IntRange(2, 5).Draw(t, "rows") {
			n := rapid.Int64Range(0, 3000).Draw(t, "n")
			rows = append(rows, Rate{"a", n, rapid.Int64Range(0, n).Draw(t, "hits"), rapid.Float64Range(0.01, 1).Draw(t, "rate")})
		}
		other := rapid.Permutation(rows).Draw(t, "order")
		for _, check := range []func([]Rate, float64) (RateCheck, error){SameRate, against(0.1)} {
			a, err := check(rows, Alpha)
			if err != nil {
				t.Fatal(err)
			}
			b, err := check(other, Alpha)
			if err != nil {
				t.Fatal(err)
			}
			if math.Abs(math.Log(a.E/b.E)) > 1e-6 || math.Abs(a.P-b.P) > 1e-9 || a.Verdict != b.Verdict {
				t.Fatalf("%+v\n%+v", a, b)
			}
		}
	})
}

func TestLate(t *testing.T) {
	for _, c := range []struct {
		late, all int64
		want      Verdict
		words     string
	}{
		{5, 99, VerdictThin, "Not enough"},
		{5, 100, VerdictOK, "5.0% of 100 outcomes came after their window."},
		{60, 1000, VerdictWatch, "6.0% of 1,000 outcomes came after their window and taught nothing"},
	} {
		r, err := Late(c.late, c.all, 0)
		if err != nil || r.Verdict != c.want || !strings.Contains(r.Sentence, c.words) {
			t.Errorf("%+v, %v", r, err)
		}
	}
	_, err := Late(2, 1, 0)
	refused(t, "more late than all", err)
	_, err = Late(1, 2, math.NaN())
	refused(t, "most", err)
}

func days(trials int64, hits ...int64) (out []Day) {
	for i, h := range hits {
		out = append(out, Day{day(i), trials, h})
	}
	return out
}

func TestLastDay(t *testing.T) {
	quiet := []int64{300, 310, 290, 305, 295, 300, 320, 280, 300, 310}
	for _, c := range []struct {
		name  string
		days  []Day
		want  Verdict
		words string
	}{
		{"too few days", days(1000, quiet[:7]...), VerdictThin, "Not enough days"},
		{"as ever", days(1000, quiet...), VerdictOK, "31.0% meaning unknown on 10 January 2026, 30.0% in the 9 days before: nothing unusual."},
		{"a feed that stopped", days(1000, append(quiet, 600)...), VerdictMismatch, "60.0% meaning unknown on 11 January 2026"},
		{"a change too small to matter", days(1_000_000, 300_000, 300_100, 299_900, 300_050, 299_950, 300_000, 300_100, 299_900, 300_000, 310_000), VerdictOK, "31.0%"},
		{"days that always differ", days(1000, 100, 700, 200, 500, 150, 650, 300, 120, 600, 800), VerdictOK, "80.0%"},
	} {
		j, err := LastDay("meaning unknown", c.days, JumpSettings{})
		if err != nil || j.Verdict != c.want || !strings.Contains(j.Sentence, c.words) {
			t.Errorf("%s: %+v, %v", c.name, j, err)
		}
	}
	for name, list := range map[string][]Day{"negative": days(10, -1), "over": days(10, 11), "order": {{At: day(1)}, {At: day(1)}}} {
		_, err := LastDay("x", list, JumpSettings{})
		refused(t, name, err)
	}
	_, err := LastDay("x", nil, JumpSettings{Alpha: math.NaN()})
	refused(t, "level", err)
}

func even(k int) []juncture.Ranked {
	r := make([]juncture.Ranked, k)
	for i := range r {
		r[i] = juncture.Ranked{Arm: juncture.ArmID(i + 1), Probability: 1 / float64(k)}
	}
	return r
}

// floored puts all but a floor on one arm.
func floored(k int, floor, top float64) []juncture.Ranked {
	r := make([]juncture.Ranked, k)
	for i := range r {
		r[i] = juncture.Ranked{Arm: juncture.ArmID(i + 1), Probability: floor / float64(k)}
		if i > 0 {
			r[i].Probability += (1 - floor) * (1 - top) / float64(k-1)
		}
	}
	r[0].Probability += (1 - floor) * top
	return r
}

func TestEntropy(t *testing.T) {
	for _, c := range []struct {
		name    string
		ranking []juncture.Ranked
		floor   float64
		want    Verdict
		words   string
	}{
		{"even", even(5), 0.01, VerdictOK, "100.0% of the way"},
		{"all floor", even(5), 1, VerdictOK, "evenly"},
		{"collapsed", floored(5, 0.01, 1), 0.01, VerdictMismatch, "collapsed"},
		{"near", floored(5, 0.01, 0.985), 0.01, VerdictWatch, "near collapse"},
		{"floor not kept", floored(5, 0.01, 1), 0.1, VerdictMismatch, "not kept"},
		{"one arm", even(1), 0.01, VerdictThin, "Not enough"},
	} {
		var e Entropy
		for range 200 {
			if err := e.Add(c.ranking, c.floor); err != nil {
				t.Fatal(err)
			}
		}
		if r := e.Read(); r.Verdict != c.want || !strings.Contains(r.Sentence, c.words) {
			t.Errorf("%s: %+v", c.name, r)
		}
	}
	var e Entropy
	// ε = 0.1 over 2 arms: 0.95 and 0.05, H = 0.1985 of log 2 = 0.6931, that is 0.286397
	if err := e.Add(even(2), 0.1); err != nil || e.Sum != 1_000_000 || e.Bound != 286_397 {
		t.Errorf("%+v, %v", e, err)
	}
	refused(t, "floor", e.Add(even(2), math.NaN()))
	refused(t, "probabilities", e.Add(even(2)[:1], 0.1))
}

func TestEntropyMerges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all, one, other Entropy
		for range rapid.IntRange(0, 20).Draw(t, "decisions") {
			r := ranking(t)
			part := &one
			if rapid.Bool().Draw(t, "node") {
				part = &other
			}
			for _, e := range []*Entropy{&all, part} {
				if err := e.Add(r, 0.01); err != nil {
					t.Fatal(err)
				}
			}
		}
		if one.Merge(other); one != all {
			t.Fatalf("%+v, %+v", one, all)
		}
	})
}

func FuzzRates(f *testing.F) {
	f.Add(int64(100), int64(3), 0.03, int64(90), int64(5), 0.1)
	f.Add(int64(0), int64(0), 0.0, int64(0), int64(0), 0.0)
	f.Add(int64(5e11), int64(1), 1.0, int64(5e11), int64(5e11), 1.0)
	f.Add(int64(math.MaxInt64), int64(-1), math.NaN(), int64(math.MinInt64), int64(math.MaxInt64), math.Inf(1))
	f.Fuzz(func(t *testing.T, n, h int64, p float64, m, k int64, tolerance float64) {
		rows := []Rate{{"a", n, h, p}, {"b", m, k, p / 2}, {"c", 10, 1, 0.1}}
		for _, check := range []func([]Rate, float64) (RateCheck, error){SameRate, against(tolerance)} {
			r, err := check(rows, Alpha)
			if err != nil {
				refused(t, "rates", err)
				continue
			}
			if !(r.E >= 0) || !(r.P >= 0 && r.P <= 1) || r.Sentence == "" {
				t.Fatalf("%+v", r)
			}
			if _, err := json.Marshal(r); err != nil {
				t.Fatalf("%+v: %v", r, err)
			}
		}
		list := []Day{}
		for i := range 9 {
			list = append(list, Day{day(i), n, h})
		}
		if j, err := LastDay("x", append(list, Day{day(9), m, k}), JumpSettings{}); err != nil {
			refused(t, "days", err)
		} else if !(j.P >= 0 && j.P <= 1) {
			t.Fatalf("%+v", j)
		}
	})
}

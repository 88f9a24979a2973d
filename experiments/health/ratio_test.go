package health

import (
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/juncture/juncture"
)

const shared = "../../../shared/data/"

// open opens a file of the development data, or skips.
func open(t *testing.T, name string) *os.File {
	f, err := os.Open(shared + name)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("skipped: the data for development is not here (../shared/data/%s)", name)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func near(t *testing.T, what string, got, want, relative float64) {
	t.Helper()
	if !(math.Abs(got-want) <= relative*math.Abs(want)) {
		t.Errorf("%s: %.15g, want %.15g", what, got, want)
	}
}

func refused(t *testing.T, what string, err error) {
	t.Helper()
	if c := juncture.ErrorCode(err); c != juncture.CodeInvalidRequest && c != juncture.CodeUnprocessable {
		t.Errorf("%s: %v, want a refusal", what, err)
	}
}

func TestChiSquareGolden(t *testing.T) {
	var golden struct {
		Cases []struct {
			Observed []int64
			Weights  []float64
			Chi2, P  float64
			DF       int
		}
	}
	if err := json.NewDecoder(open(t, "golden/srm.json")).Decode(&golden); err != nil || len(golden.Cases) == 0 {
		t.Fatal(err)
	}
	for _, c := range golden.Cases {
		var rows []Count
		for i, n := range c.Observed {
			rows = append(rows, Count{string(rune('a' + i)), n, c.Weights[i]})
		}
		r, err := ChiSquare(rows, Alpha)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "chi2", r.Statistic, c.Chi2, 1e-9)
		near(t, "p", r.P, c.P, 1e-9)
		if r.Degrees != c.DF {
			t.Errorf("%v: %d degrees", c.Observed, r.Degrees)
		}
	}
}

func TestCookieCats(t *testing.T) {
	z, err := gzip.NewReader(open(t, "experiments/cookie_cats.csv.gz"))
	if err != nil {
		t.Fatal(err)
	}
	in := csv.NewReader(z)
	head, err := in.Read()
	if err != nil {
		t.Fatal(err)
	}
	column := slices.Index(head, "version")
	n := map[string]int64{}
	for {
		row, err := in.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		n[row[column]]++
	}
	if n["gate_30"] != 44_700 || n["gate_40"] != 45_489 {
		t.Fatalf("%v", n)
	}
	rows := []Count{{"gate_30", n["gate_30"], 0.5}, {"gate_40", n["gate_40"], 0.5}}
	r, err := ChiSquare(rows, Alpha)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "p", r.P, 0.0086, 0.002) // as the data's README says
	// 44,700 of 45,094.5: 394.5 or 0.87% fewer.
	want := "gate_30 has 44,700 where 45,095 were expected (0.87% fewer): chance rarely does this; look again with more data."
	if r.Verdict != VerdictWatch || r.Sentence != want {
		t.Errorf("%s: %s", r.Verdict, r.Sentence)
	}
	// Whoever looked every day needs more: the Bayes factor is under 100.
	m, err := Multinomial(rows, Alpha)
	if err != nil || m.Verdict != VerdictOK || m.E < 1 || m.E > 100 {
		t.Errorf("%+v, %v", m, err)
	}
}

// For two equal groups and the prior Dirichlet(c/2, c/2), one observation each: the predictive probabilities are 1/2 and
// (c/2)/(c+1), so that E = (1/2)/(1/2) · (c/2)/(c+1)/(1/2) = c/(c+1).
func TestMultinomialByHand(t *testing.T) {
	r, err := Multinomial([]Count{{"a", 1, 1}, {"b", 1, 1}}, Alpha)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "E", r.E, (1000.0/1001+10000.0/10001+100000.0/100001)/3, 1e-9)
}

func TestRatioVerdicts(t *testing.T) {
	for _, c := range []struct {
		name  string
		rows  []Count
		want  Verdict
		words string
	}{
		{"nothing yet", []Count{{"a", 0, 1}, {"b", 0, 1}}, VerdictThin, "Not enough"},
		{"equal", []Count{{"a", 10_000, 1}, {"b", 10_000, 1}}, VerdictOK, "20,000 counted"},
		// 500 of 10,000 standard deviation √(10,000·0.05·0.95) = 21.8: 100 fewer are 4.6 of them
		{"a group that loses a fifth", []Count{{"policy", 9600, 0.95}, {"holdout", 400, 0.05}}, VerdictMismatch, "holdout has 400 where 500 were expected (20.0% fewer)"},
		{"a group that should not be", []Count{{"a", 10, 1}, {"b", 10, 1}, {"c", 1, 0}}, VerdictMismatch, "c has 1 where 0 were expected (none expected)"},
	} {
		r, err := Multinomial(c.rows, Alpha)
		if err != nil || r.Verdict != c.want || !strings.Contains(r.Sentence, c.words) {
			t.Errorf("%s: %+v, %v", c.name, r, err)
		}
		if _, err := json.Marshal(r); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if r, err := ChiSquare([]Count{{"a", 3, 1}, {"b", 3, 1}}, Alpha); err != nil || r.Verdict != VerdictThin {
		t.Errorf("%+v, %v: 3 expected are too few for chi-square", r, err)
	}
}

func TestRatioRefuses(t *testing.T) {
	nan := math.NaN()
	for name, rows := range map[string][]Count{
		"none":     nil,
		"one":      {{"a", 1, 1}},
		"negative": {{"a", -1, 1}, {"b", 1, 1}},
		"huge":     {{"a", math.MaxInt64, 1}, {"b", math.MaxInt64, 1}},
		"NaN":      {{"a", 1, nan}, {"b", 1, 1}},
		"infinite": {{"a", 1, math.Inf(1)}, {"b", 1, 1}},
		"no share": {{"a", 1, 0}, {"b", 1, 0}},
	} {
		_, err := ChiSquare(rows, Alpha)
		refused(t, name, err)
		_, err = Multinomial(rows, Alpha)
		refused(t, name, err)
	}
	for _, alpha := range []float64{0, 1, -1, nan} {
		_, err := Multinomial([]Count{{"a", 1, 1}, {"b", 1, 1}}, alpha)
		refused(t, "level", err)
	}
}

// The order of rows, their names and the unit of shares change nothing.
func TestRatioRelabels(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var rows []Count
		for i := range rapid.IntRange(2, 6).Draw(t, "rows") {
			rows = append(rows, Count{string(rune('a' + i)), rapid.Int64Range(0, 5000).Draw(t, "n"), rapid.Float64Range(0.01, 1).Draw(t, "share")})
		}
		a, err := Multinomial(rows, Alpha)
		if err != nil {
			t.Fatal(err)
		}
		other := rapid.Permutation(rows).Draw(t, "order")
		for i := range other {
			other[i].Label = strings.ToUpper(other[i].Label)
			other[i].Share *= 17
		}
		b, err := Multinomial(other, Alpha)
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(math.Log(a.E/b.E)) > 1e-7 || math.Abs(a.Statistic-b.Statistic) > 1e-7*(1+a.Statistic) || a.Verdict != b.Verdict || !(a.E > 0) {
			t.Fatalf("%+v\n%+v", a, b)
		}
	})
}

func TestPhasesCombine(t *testing.T) {
	phase := func(a, b int64, share float64) Ratio {
		r, err := Multinomial([]Count{{"policy", a, 1 - share}, {"holdout", b, share}}, Alpha)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	fine, off := phase(90_000, 10_000, 0.1), phase(8_600, 1_400, 0.2)
	both, err := Combine([]Ratio{fine, off}, Alpha)
	if err != nil {
		t.Fatal(err)
	}
	want := []RatioRow{{"policy", 98_600, 98_000}, {"holdout", 11_400, 12_000}}
	if diff := cmp.Diff(want, both.Rows); diff != "" || both.Degrees != 2 || both.Verdict != VerdictMismatch {
		t.Errorf("%s\n%+v", diff, both)
	}
	// ½·E1·E2 + ½·(E1/2 + E2/6 + 1/3)
	near(t, "E", both.E, 0.5*fine.E*off.E+0.5*(fine.E/2+off.E/6+1.0/3), 1e-9)
	near(t, "X²", both.Statistic, fine.Statistic+off.Statistic, 1e-12)
	_, err = Combine(nil, Alpha)
	refused(t, "no phase", err)
	_, err = Combine([]Ratio{fine, {}}, Alpha)
	refused(t, "no e-value", err)
	if one, err := Combine([]Ratio{phase(0, 0, 0.1)}, Alpha); err != nil || math.Abs(one.E-1) > 1e-12 {
		t.Errorf("E of nothing: %+v, %v", one, err)
	}
}

// At a look that the data chooses (the highest E so far, stopped at 5), the mean of E is at most 1.
func TestMultinomialIsAnEValue(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	checkMean(t, 1000, func() float64 {
		a, b, e := int64(0), int64(0), 1.0
		for range 30 {
			for range 200 {
				if rng.Float64() < 0.1 {
					a++
				} else {
					b++
				}
			}
			r, err := Multinomial([]Count{{"a", a, 0.1}, {"b", b, 0.9}}, Alpha)
			if err != nil {
				t.Fatal(err)
			}
			if e = r.E; e >= 5 {
				break
			}
		}
		return e
	})
}

// checkMean fails when the mean of n draws is over 1 by more than 4 standard errors, or one is negative.
func checkMean(t *testing.T, n int, draw func() float64) {
	t.Helper()
	sum, square := 0.0, 0.0
	for range n {
		e := draw()
		if !(e >= 0) {
			t.Fatalf("e-value %v", e)
		}
		sum += e
		square += e * e
	}
	mean := sum / float64(n)
	se := math.Sqrt((square/float64(n) - mean*mean) / float64(n))
	if mean > 1+4*se {
		t.Errorf("mean %v ± %v of %d e-values", mean, se, n)
	}
	t.Logf("mean of %d e-values %.3f ± %.3f", n, mean, se)
}

func FuzzRatio(f *testing.F) {
	f.Add(int64(1), int64(2), 0.5, 0.5, 0.001)
	f.Add(int64(0), int64(0), 0.0, 1.0, 0.05)
	f.Add(int64(1e12), int64(0), 1e-300, 1.0, 0.001)
	f.Add(int64(math.MaxInt64), int64(-1), math.NaN(), math.Inf(1), math.NaN())
	f.Fuzz(func(t *testing.T, a, b int64, x, y, alpha float64) {
		for _, check := range []func([]Count, float64) (Ratio, error){ChiSquare, Multinomial} {
			r, err := check([]Count{{"a", a, x}, {"b", b, y}}, alpha)
			if err != nil {
				refused(t, "counts", err)
				continue
			}
			if !(r.E >= 0) || !(r.P >= 0 && r.P <= 1) || !(r.Statistic >= 0) || r.Verdict == "" || r.Sentence == "" {
				t.Fatalf("%+v", r)
			}
			if _, err := json.Marshal(r); err != nil {
				t.Fatal(err)
			}
		}
	})
}

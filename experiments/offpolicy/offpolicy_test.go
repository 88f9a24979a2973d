package offpolicy_test

import (
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/experiments/offpolicy"
	"pgregory.net/rapid"
)

// shared opens a file of the data sets, or skips.
func shared(t *testing.T, name string) *os.File {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "..", "..", "shared", "data", filepath.FromSlash(name)))
	if err != nil {
		t.Skip("../../../shared/data is not here: ", err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func golden(t *testing.T, name string, into any) {
	t.Helper()
	if err := json.NewDecoder(shared(t, "golden/"+name)).Decode(into); err != nil {
		t.Fatal(err)
	}
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s: %.15g, want %.15g within %g", what, got, want, tolerance)
	}
}

func add(t *testing.T, e *offpolicy.Estimator, rows ...offpolicy.Row) {
	t.Helper()
	for _, r := range rows {
		if err := e.Add(r); err != nil {
			t.Fatal(err)
		}
	}
}

func TestGoldenEstimators(t *testing.T) {
	var file struct {
		Cases []struct {
			Rows []struct {
				Action             int
				Reward, Propensity float64
				Target             []float64
				Q                  []float64 `json:"q_hat"`
			}
			IPS       float64
			IPSSE     float64 `json:"ips_se"`
			SNIPS     float64
			SNIPSSE   float64 `json:"snips_se_delta"`
			Clipped   float64 `json:"clipped_ips_max_weight_3"`
			DM        float64 `json:"direct_method"`
			DR        float64 `json:"doubly_robust"`
			SNDR      float64 `json:"self_normalised_dr"`
			Effective float64 `json:"effective_sample_size"`
		}
	}
	golden(t, "off_policy.json", &file)
	for _, c := range file.Cases {
		e := offpolicy.New(offpolicy.Settings{Clip: 3})
		for _, r := range c.Rows {
			row := offpolicy.Row{Weight: r.Target[r.Action] / r.Propensity, Reward: r.Reward, Served: r.Q[r.Action]}
			for a, p := range r.Target {
				row.Direct += p * r.Q[a]
			}
			add(t, e, row)
		}
		got := e.Figures()
		for _, x := range []struct {
			what      string
			got, want float64
		}{{"IPS", got.IPS.Value, c.IPS}, {"its SE", got.IPS.SE, c.IPSSE}, {"SNIPS", got.SNIPS.Value, c.SNIPS}, {"its SE", got.SNIPS.SE, c.SNIPSSE},
			{"clipped", got.Clipped.Value, c.Clipped}, {"DM", got.DM.Value, c.DM}, {"DR", got.DR.Value, c.DR}, {"SNDR", got.SNDR.Value, c.SNDR},
			{"effective", got.Effective, c.Effective}} {
			near(t, x.what, x.got, x.want, 1e-12)
		}
		if want := "the log says as much of this policy as 4 decisions would: under 50"; got.Refused != want {
			t.Errorf("8 rows, effectively 4.99: %q", got.Refused)
		}
	}
}

// fashion reads a log of the Open Bandit sample.
type impression struct {
	item, position    int
	click, propensity float64
}

func fashion(t *testing.T, name string) []impression {
	t.Helper()
	z, err := gzip.NewReader(shared(t, "obd/"+name))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(z).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	number := func(s string) float64 {
		v, err := strconv.ParseFloat(s, 64)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	var out []impression
	for _, r := range rows[1:] { // timestamp, item_id, position, click, propensity_score, ...
		out = append(out, impression{int(number(r[1])), int(number(r[2])) - 1, number(r[3]), number(r[4])})
	}
	return out
}

// production is the probability of each item at each of three positions under the production policy.
func production(t *testing.T) (p [46][3]float64) {
	t.Helper()
	rows, err := csv.NewReader(shared(t, "obd/production_action_dist_women.csv")).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range rows[1:] {
		for k := range 3 {
			if p[i][k], err = strconv.ParseFloat(r[1+k], 64); err != nil {
				t.Fatal(err)
			}
		}
	}
	return p
}

// model predicts an item's clicks from the rows before, shrunk to the rate of all: (clicks + 20·rate)/(shown + 20).
type model struct {
	clicks, shown [46]float64
	click, all    float64
}

func (m *model) predict(item int) float64 {
	rate := (m.click + 0.5) / (m.all + 100)
	return (m.clicks[item] + 20*rate) / (m.shown[item] + 20)
}

func (m *model) see(x impression) {
	m.clicks[x.item] += x.click
	m.shown[x.item]++
	m.click += x.click
	m.all++
}

// estimate runs a target over a log, its model made from the rows before each.
func estimate(t *testing.T, log []impression, target func(item, position int) float64) *offpolicy.Estimator {
	t.Helper()
	e, m := offpolicy.New(offpolicy.Settings{}), &model{}
	for _, x := range log {
		row := offpolicy.Row{Weight: target(x.item, x.position) / x.propensity, Reward: x.click, Served: m.predict(x.item)}
		for item := range 46 {
			row.Direct += target(item, x.position) * m.predict(item)
		}
		add(t, e, row)
		m.see(x)
	}
	return e
}

func TestGoldenFashionLog(t *testing.T) {
	type figures struct {
		IPS       float64
		IPSSE     float64 `json:"ips_se"`
		SNIPS     float64
		SNIPSSE   float64 `json:"snips_se_delta"`
		Mean      float64 `json:"mean_weight"`
		Max       float64 `json:"max_weight"`
		Effective float64 `json:"effective_sample_size"`
		Clipped   float64 `json:"clipped_ips_max_weight_10"`
	}
	var file struct {
		FromRandom figures `json:"production_ts_from_random"`
		FromBTS    figures `json:"uniform_from_bts"`
	}
	golden(t, "open_bandit.json", &file)
	p := production(t)
	ts := func(item, position int) float64 { return p[item][position] }
	even := func(int, int) float64 { return 1.0 / 46 }
	random, bts := fashion(t, "random_women.csv.gz"), fashion(t, "bts_women.csv.gz")
	cases := []struct {
		name, log string
		e         *offpolicy.Estimator
		want      *figures
		refused   bool
	}{
		{"production", "random", estimate(t, random, ts), &file.FromRandom, false},
		{"uniform", "random (itself)", estimate(t, random, even), nil, false},
		{"uniform", "production", estimate(t, bts, even), &file.FromBTS, true},
	}
	for _, c := range cases {
		got := c.e.Figures()
		if (got.Refused != "") != c.refused {
			t.Errorf("%s from the log of %s: refused %q", c.name, c.log, got.Refused)
		}
		if w := c.want; w != nil {
			near(t, "IPS", got.IPS.Value, w.IPS, 1e-9)
			near(t, "its SE", got.IPS.SE, w.IPSSE, 1e-9)
			near(t, "SNIPS", got.SNIPS.Value, w.SNIPS, 1e-9)
			near(t, "its SE", got.SNIPS.SE, w.SNIPSSE, 1e-9)
			near(t, "clipped", got.Clipped.Value, w.Clipped, 1e-9)
			near(t, "mean weight", got.MeanWeight, w.Mean, 1e-9)
			near(t, "largest weight", got.MaxWeight, w.Max, 1e-9)
			near(t, "effective", got.Effective, w.Effective, 1e-9*w.Effective)
		}
	}
	// The table of docs/performance.md.
	b := &strings.Builder{}
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(policy, log string, v, low, high, effective float64) {
		fmt.Fprintf(w, "%s\t%s\t%.2f\t%.2f to %.2f\t%.0f\t\n", policy, log, 1000*v, 1000*low, 1000*high, effective)
	}
	fmt.Fprintln(w, "POLICY\tESTIMATED FROM\tCLICKS PER 1,000\t95%\tEFFECTIVE ROWS\t")
	for _, c := range cases[:1] {
		f := c.e.Figures()
		row(c.name, "random's log, IPS", f.IPS.Value, f.IPS.Low, f.IPS.High, f.Effective)
		row(c.name, "random's log, SNIPS", f.SNIPS.Value, f.SNIPS.Low, f.SNIPS.High, f.Effective)
		row(c.name, "random's log, DR", f.DR.Value, f.DR.Low, f.DR.High, f.Effective)
		row(c.name, "random's log, DR, at any time", f.DR.Value, f.Anytime.Low, f.Anytime.High, f.Effective)
	}
	for _, truth := range []struct {
		name string
		log  []impression
	}{{"production", bts}, {"uniform", random}} {
		e := offpolicy.New(offpolicy.Settings{})
		for _, x := range truth.log {
			add(t, e, offpolicy.Row{Weight: 1, Reward: x.click})
		}
		f := e.Estimate()
		row(truth.name, "its own log: its mean", f.IPS.Value, f.IPS.Low, f.IPS.High, f.Effective)
	}
	w.Flush()
	t.Logf("\n%suniform from production's log: %s", b, cases[2].e.Estimate().Refused)
}

func TestGoldenAsymptoticWidth(t *testing.T) {
	var file struct {
		Asymptotic []struct {
			N         float64
			Variance  float64
			Alpha     float64
			Tuned     float64 `json:"t_opt"`
			HalfWidth float64 `json:"half_width"`
		}
	}
	golden(t, "confidence_sequences.json", &file)
	if len(file.Asymptotic) == 0 {
		t.Fatal("no cases")
	}
	for _, c := range file.Asymptotic {
		near(t, "half-width", offpolicy.AsymptoticWidth(c.N, c.Variance, c.Alpha, c.Tuned), c.HalfWidth, 1e-9)
	}
}

// What is summed by cluster is what is summed by row where each row is a cluster; ten copies of a row in one cluster say
// no more than one; in clusters of their own they say √10 times as much.
func TestClusters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		alone, own, tenfold := offpolicy.New(offpolicy.Settings{}), offpolicy.New(offpolicy.Settings{}), offpolicy.New(offpolicy.Settings{})
		n := rapid.IntRange(2, 40).Draw(t, "rows")
		for i := range n {
			r := offpolicy.Row{Weight: rapid.Float64Range(0, 20).Draw(t, "weight"), Reward: rapid.Float64Range(0, 2).Draw(t, "reward"),
				Served: rapid.Float64Range(0, 1).Draw(t, "served"), Direct: rapid.Float64Range(0, 1).Draw(t, "direct")}
			if i == 0 {
				r.Weight = 1
			}
			for range 10 {
				c := r
				c.Cluster = strconv.Itoa(i)
				if err := tenfold.Add(c); err != nil {
					t.Fatal(err)
				}
			}
			if err := alone.Add(r); err != nil {
				t.Fatal(err)
			}
			r.Cluster = strconv.Itoa(i)
			if err := own.Add(r); err != nil {
				t.Fatal(err)
			}
		}
		a, b, c := alone.Figures(), own.Figures(), tenfold.Figures()
		for _, x := range [][3]offpolicy.Figure{{a.IPS, b.IPS, c.IPS}, {a.SNIPS, b.SNIPS, c.SNIPS}, {a.Clipped, b.Clipped, c.Clipped}, {a.DM, b.DM, c.DM}, {a.DR, b.DR, c.DR}, {a.SNDR, b.SNDR, c.SNDR}} {
			for _, y := range x[1:] {
				if math.Abs(x[0].Value-y.Value) > 1e-9*(1+math.Abs(y.Value)) || math.Abs(x[0].SE-y.SE) > 1e-6*(1+y.SE) {
					t.Fatalf("rows %+v, clusters %+v, ten times %+v", x[0], x[1], x[2])
				}
			}
		}
	})
}

// Clusters beyond the sums share them: 20,000 shoppers of five rows each in 256 sums give the error that 20,000 sums give.
func TestClustersAreBounded(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	few, many := offpolicy.New(offpolicy.Settings{Clusters: 256}), offpolicy.New(offpolicy.Settings{Clusters: 1 << 20})
	for i := range 20_000 {
		mine := rng.NormFloat64() // a shopper's own level: rows of a shopper are alike
		for range 5 {
			r := offpolicy.Row{Cluster: "s" + strconv.Itoa(i), Weight: 2 * rng.Float64(), Reward: mine + rng.NormFloat64()}
			add(t, few, r)
			add(t, many, r)
		}
	}
	// √(2/256) = 9% is the error of the error's square, so its root is off by 4.4%: three times that is allowed.
	a, b := few.Estimate().IPS.SE, many.Estimate().IPS.SE
	near(t, "standard error", a/b, 1, 0.133)
}

func TestRefusalsAndWarnings(t *testing.T) {
	rows := func(n int, weight func(i int) float64) offpolicy.Estimate {
		e := offpolicy.New(offpolicy.Settings{})
		for i := range n {
			add(t, e, offpolicy.Row{Weight: weight(i), Reward: float64(i % 2)})
		}
		return e.Estimate()
	}
	one := func(int) float64 { return 1 }
	for _, c := range []struct {
		name    string
		got     offpolicy.Estimate
		refused string
		warns   []string
	}{
		{"nothing", rows(0, one), "no decision can be used", nil},
		{"49 rows", rows(49, one), "the log says as much of this policy as 49 decisions would: under 50", nil},
		{"50 rows", rows(50, one), "", nil},
		{"never shown", rows(100, func(int) float64 { return 0 }), "the log never showed what this policy shows", nil},
		// 99 of 10,000 rows with weight 100: 99 effective rows, under 100.
		{"99 of 10,000", rows(10_000, func(i int) float64 { return float64(100 * min(1, max(0, 99-i))) }), "the log's 10000 decisions say as much of this policy as 99 would: under 1%", nil},
		{"101 of 10,000", rows(10_000, func(i int) float64 { return float64(100 * min(1, max(0, 101-i))) }), "", []string{"overlap is thin: 10000 decisions say as much as 101 would"}},
		// 10,000 rows of weight 3, sd 0: the mean is 3 with no error at all.
		{"wrong probabilities", rows(10_000, func(int) float64 { return 3 }), "", []string{"weights average 3.000 where 1 is right"}},
		// Σw = 999 + 100, so the one row has 9% of it; (1099)²/(999 + 10,000) = 110 effective rows of 1,000.
		{"one row leads", rows(1000, func(i int) float64 { return 1 + float64(99*max(0, 1-i)) }), "", []string{"one decision has 9% of all weight"}},
	} {
		if c.got.Refused != c.refused {
			t.Errorf("%s: refused %q, want %q", c.name, c.got.Refused, c.refused)
		}
		if len(c.got.Warnings) != len(c.warns) {
			t.Errorf("%s: warnings %q, want %q", c.name, c.got.Warnings, c.warns)
			continue
		}
		for i, w := range c.warns {
			if !strings.HasPrefix(c.got.Warnings[i], w) {
				t.Errorf("%s: %q, want %q", c.name, c.got.Warnings[i], w)
			}
		}
	}
	e := offpolicy.New(offpolicy.Settings{})
	for _, r := range []offpolicy.Row{{Weight: -1}, {Weight: math.NaN()}, {Reward: math.Inf(1)}} {
		if err := e.Add(r); juncture.ErrorCode(err) != juncture.CodeInvalidRequest {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

// The anytime-valid interval covers the value at every look at once, on logs whose policy learns from its own rows: a
// two-armed Thompson bandit with a floor, both arms' values estimated from what it logged, a look every 100 rows from 500
// to 5,000. At 95% with 120 logs each arm may be missed at a look in 6 of them; three standard deviations more are 13.
func TestAnytimeOnAdaptiveLogs(t *testing.T) {
	const logs, rows = 120, 5000
	rate := [2]float64{0.10, 0.12}
	missed, fixed := [2]int{}, [2]int{}
	for log := range logs {
		rng := rand.New(rand.NewPCG(7, uint64(log)))
		var shown, won [2]float64
		e := [2]*offpolicy.Estimator{offpolicy.New(offpolicy.Settings{}), offpolicy.New(offpolicy.Settings{})}
		var out [2]bool
		for i := range rows {
			var m, sd [2]float64
			for a := range m {
				m[a] = (won[a] + 1) / (shown[a] + 10)
				sd[a] = math.Sqrt(m[a] * (1 - m[a]) / (shown[a] + 10))
			}
			p := 0.05 + 0.9*0.5*math.Erfc(-(m[1]-m[0])/math.Hypot(sd[0], sd[1])/math.Sqrt2)
			arm, drawn := 0, 1-p
			if rng.Float64() < p {
				arm, drawn = 1, p
			}
			reward := 0.0
			if rng.Float64() < rate[arm] {
				reward = 1
			}
			for a := range e {
				r := offpolicy.Row{Reward: reward, Served: m[arm], Direct: m[a]}
				if a == arm {
					r.Weight = 1 / drawn
				}
				add(t, e[a], r)
				if i >= 499 && i%100 == 99 {
					f := e[a].Estimate()
					out[a] = out[a] || f.Refused == "" && (rate[a] < f.Anytime.Low || rate[a] > f.Anytime.High)
				}
			}
			shown[arm]++
			won[arm] += reward
		}
		for a := range e {
			f := e[a].Figures()
			if out[a] {
				missed[a]++
			}
			if rate[a] < f.DR.Low || rate[a] > f.DR.High {
				fixed[a]++
			}
		}
	}
	t.Logf("of %d logs: outside the anytime interval at some look %v, outside the fixed one at the end %v", logs, missed, fixed)
	for a := range missed {
		if missed[a] > 13 {
			t.Errorf("arm %d: outside at some look in %d of %d logs", a, missed[a], logs)
		}
		if fixed[a] > 16 { // 6 and more: an arm that is seldom logged is no Gaussian yet
			t.Errorf("arm %d: outside the fixed interval at the end in %d of %d logs", a, fixed[a], logs)
		}
	}
}

package interval

import (
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"
)

// rows gives the rows of a data set of real experiments, by column.
func rows(t *testing.T, name string, row func(col func(string) string)) {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "..", "..", "shared", "data", "experiments", name))
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("skipped: the data for development is not here (../shared/data/experiments/%s)", name)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z := must(gzip.NewReader(f))
	r := csv.NewReader(z)
	at := map[string]int{}
	for i, c := range must(r.Read()) {
		at[c] = i
	}
	r.ReuseRecord = true
	for {
		rec, err := r.Read()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		row(func(c string) string { return rec[at[c]] })
	}
}

// A mobile game moved its first gate from level 30 to level 40. Published: retention after a day 44.82% and 44.23%, after a week 19.02% and 18.20%; the
// sizes of the groups do not fit an even split (p = 0.0086).
func TestCookieCats(t *testing.T) {
	var day1, day7 [2]Rate
	rows(t, "cookie_cats.csv.gz", func(col func(string) string) {
		g := 0
		if col("version") == "gate_40" {
			g = 1
		}
		for _, c := range []struct {
			rates *[2]Rate
			name  string
		}{{&day1, "retention_1"}, {&day7, "retention_7"}} {
			c.rates[g].Trials++
			if col(c.name) == "1" {
				c.rates[g].Successes++
			}
		}
	})
	ratio := must(ChiSquare([]int64{day1[0].Trials, day1[1].Trials}, []float64{1, 1}))
	near(t, "sample ratio p", ratio.P, 0.0086, 5e-5)
	for _, c := range []struct {
		name string
		r    [2]Rate
		want [2]float64
	}{{"day 1", day1, [2]float64{0.4482, 0.4423}}, {"day 7", day7, [2]float64{0.1902, 0.1820}}} {
		near(t, c.name+", gate 30", c.r[0].P(), c.want[0], 5e-5)
		near(t, c.name+", gate 40", c.r[1].P(), c.want[1], 5e-5)
	}
	if !validating() {
		return
	}
	table(fmt.Sprintf("Cookie Cats, gate at level 40 against 30: sample ratio p = %.4f", ratio.P), func(w io.Writer) {
		fmt.Fprintf(w, "RETENTION\tGATE 30\tGATE 40\tDIFFERENCE\tNEWCOMBE 95%%\tPOOLED Z\tP\tRELATIVE\tANYTIME 95%%\t\n")
		for _, c := range []struct {
			name string
			r    [2]Rate
		}{{"day 1", day1}, {"day 7", day7}} {
			n, z := must(Newcombe(c.r[1], c.r[0], 0.05)), must(PooledZ(c.r[1], c.r[0]))
			any := must(Sequence{}.Compare(Conversion, []Phase{{c.r[1].Moments(), c.r[0].Moments()}}, false)).Relative.Anytime
			fmt.Fprintf(w, "%s\t%.2f%%\t%.2f%%\t%.2f%%\t%.2f%% to %.2f%%\t%.2f\t%.4f\t%.1f%%\t%.1f%% to %.1f%%\t\n", c.name, 100*c.r[0].P(), 100*c.r[1].P(),
				100*n.Estimate, 100*n.Low, 100*n.High, z.Statistic, z.P, 100*any.Estimate, 100*any.Low, 100*any.High)
		}
	})
}

// 50 real experiments with their checkpoints (Liu, Cardoso, Couturier and McCoy, arXiv 2111.10198): how often does a fixed-horizon test cross 5% at some
// checkpoint, and how often does the sequence?
func TestASOS(t *testing.T) {
	type trace struct {
		looks                           int
		ever, last, sequence, sequenceN bool
	}
	traces := map[string]*trace{}
	experiments := map[string]bool{}
	refused := 0
	number := func(s string) float64 {
		var v float64
		if _, err := fmt.Sscan(s, &v); err != nil {
			return math.NaN()
		}
		return v
	}
	rows(t, "asos_digital_experiments.csv.gz", func(col func(string) string) {
		experiments[col("experiment_id")] = true
		key := col("experiment_id") + "/" + col("variant_id") + "/" + col("metric_id")
		group := func(g string) (Moments, bool) {
			n, mean, v := number(col("count_"+g)), number(col("mean_"+g)), number(col("variance_"+g))
			if !(n >= 2 && v >= 0 && !math.IsNaN(mean)) {
				return Moments{}, false
			}
			return Moments{N: int64(n), Sum: n * mean, SumSq: v*(n-1) + n*mean*mean}, true
		}
		treatment, ok1 := group("t")
		control, ok2 := group("c")
		_, test, err := Welch(treatment, control, 0.05)
		if !ok1 || !ok2 || err != nil {
			refused++
			return
		}
		tr := traces[key]
		if tr == nil {
			tr = &trace{}
			traces[key] = tr
		}
		d := Difference(must(treatment.Estimate()), must(control.Estimate()))
		tr.looks++
		tr.last = test.P < 0.05
		tr.ever = tr.ever || tr.last
		tr.sequence = tr.sequence || !must(Sequence{}.Around(d)).Has(0)
		tr.sequenceN = tr.sequenceN || !must(Sequence{OptimalAt: 1_000_000}.Around(d)).Has(0)
	})
	var looks, ever, last, sequence, sequenceN, both int
	for _, tr := range traces {
		looks += tr.looks
		for _, c := range []struct {
			is bool
			n  *int
		}{{tr.ever, &ever}, {tr.last, &last}, {tr.sequence, &sequence}, {tr.sequenceN, &sequenceN}, {tr.sequence && !tr.ever, &both}} {
			if c.is {
				*c.n++
			}
		}
	}
	if len(experiments) != 50 || looks+refused != 13_769 {
		t.Errorf("%d experiments, %d looks and %d refused; the file has 50 and 13,769", len(experiments), looks, refused)
	}
	if both > 0 || sequence >= ever {
		t.Errorf("the sequence crosses in %d, the peeked test in %d, the sequence alone in %d: it is never narrower", sequence, ever, both)
	}
	if validating() {
		table(fmt.Sprintf("ASOS, 50 experiments: %d comparisons of a variant with its control in a metric, %d checkpoints, %d without variance", len(traces), looks, refused), func(w io.Writer) {
			fmt.Fprintf(w, "CROSSES 5%%\tCOMPARISONS\tSHARE\t\n")
			for _, c := range []struct {
				name string
				n    int
			}{{"Welch t at the last checkpoint", last}, {"Welch t at any checkpoint", ever}, {"sequence narrowest at 50,000, any", sequence}, {"sequence narrowest at 1,000,000, any", sequenceN}} {
				fmt.Fprintf(w, "%s\t%d\t%.0f%%\t\n", c.name, c.n, 100*float64(c.n)/float64(len(traces)))
			}
		})
	}
}

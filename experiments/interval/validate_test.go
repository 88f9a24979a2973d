package interval

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"testing"
	"text/tabwriter"
)

// validating says whether the whole validation is asked for, which `make validate` does; it takes many minutes.
func validating() bool { return os.Getenv("JUNCTURE_VALIDATE") != "" }

// table prints an aligned text table.
func table(title string, rows func(w io.Writer)) {
	fmt.Printf("\n%s\n\n", title)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	rows(w)
	w.Flush()
	fmt.Println()
}

// misses counts the runs, of many, in which each way of reading missed the truth at any look (or claimed an effect that is not there).
type misses struct {
	names []string
	count map[string]int
	runs  int
}

func (m *misses) run(missed map[string]bool, names ...string) {
	if m.count == nil {
		m.count, m.names = map[string]int{}, names
	}
	for k, v := range missed {
		if v {
			m.count[k]++
		}
	}
	m.runs++
}

func (m *misses) share(name string) float64 { return float64(m.count[name]) / float64(m.runs) }

// watch plays a market many times and counts, over all looks, what missed.
func watch(m market, metric Metric, runs int, seed uint64) *misses {
	const (
		atEnd      = "fixed, one look at the end"
		peeked     = "fixed, peeked at"
		ttest      = "fixed, peeked at, no start rule"
		early      = "anytime, no start rule"
		unmended   = "anytime difference, own variances, symmetric"
		difference = "anytime difference"
		relative   = "anytime relative"
		better     = "anytime, policy better"
		worse      = "anytime, policy worse"
		againstRdm = "anytime difference, to random"
		claim      = "e-value >= 20, policy better"
	)
	out := &misses{}
	s := must(Sequence{}.settled())
	for run := range runs {
		r := rand.New(rand.NewPCG(seed, uint64(run)))
		missed := map[string]bool{}
		m.play(r, func(phases [2]groups, truth, lift float64) {
			var g groups // phases thrown together, as a reader who does not know of them would
			for k := range g {
				g[k] = phases[0][k].Plus(phases[1][k])
			}
			if g[policy].Hits > 0 && g[holdout].Hits > 0 && g[holdout].N > 1 {
				d := Difference(must(g[policy].Estimate()), must(g[holdout].Estimate()))
				missed[ttest] = missed[ttest] || !must(d.Normal(s.Alpha)).Has(truth)
				missed[early] = missed[early] || !must(s.Around(d)).Has(truth) // no third moment: as the paper has it
			}
			c := must(s.Compare(metric, against(phases, holdout), false))
			if c.Difference.NotEnough == nil {
				fixed, any := c.Difference.Fixed, c.Difference.Anytime
				missed[atEnd] = !fixed.Has(truth)
				missed[peeked] = missed[peeked] || missed[atEnd]
				missed[difference] = missed[difference] || !any.Has(truth)
				missed[better] = missed[better] || any.Low > truth
				missed[worse] = missed[worse] || any.High < truth
				d := Difference(c.Treatment, c.Control)
				d.Value -= truth
				plain := Difference(must(g[policy].Estimate()), must(g[holdout].Estimate()))
				missed[unmended] = missed[unmended] || !must(s.Around(plain)).Has(truth)
				missed[claim] = missed[claim] || must(MSPRT{Tau2: math.Pow(0.3*m.base, 2)}.EValue(d)) >= 20
				if c.Relative.NotEnough == nil {
					missed[relative] = missed[relative] || !c.Relative.Anytime.Has(lift)
				}
			}
			if lift == 0 {
				c = must(s.Compare(metric, against(phases, random), false))
				missed[againstRdm] = missed[againstRdm] || c.Difference.NotEnough == nil && !c.Difference.Anytime.Has(0)
			}
		})
		out.run(missed, atEnd, peeked, ttest, early, unmended, difference, relative, better, worse, againstRdm, claim)
	}
	return out
}

// atMost is the count that runs with error rate p exceed with a chance of 0.1% (binomial, exact).
func atMost(runs int, p float64) int {
	term := math.Pow(1-p, float64(runs))
	sum := 0.0
	for k := range runs {
		if sum += term; sum >= 0.999 {
			return k
		}
		term *= float64(runs-k) / float64(k+1) * p / (1 - p)
	}
	return runs
}

type scenario struct {
	name   string
	market market
	metric Metric
}

// The horizons let the start rules be met in time: a 5% holdout with 3% has 20 conversions at 13,000 shoppers, 100 orders at 67,000.
func scenarios() []scenario {
	same, differ := [4]float64{1, 1, 1, 1}, [4]float64{0.8, 1, 1.3, 1.7}
	return []scenario{
		{"A/A, conversions of 3%", market{base: 0.03, arms: same, n: 100_000}, Conversion},
		{"A/A, conversions of 0.5%", market{base: 0.005, arms: same, n: 200_000}, Conversion},
		{"A/A, revenue, log-normal sigma 1", market{base: 0.03, arms: same, sigma: 1, n: 200_000}, Money},
		{"A/A, revenue, log-normal sigma 1.5", market{base: 0.03, arms: same, sigma: 1.5, n: 200_000}, Money},
		{"A/A, revenue of 10%, log-normal sigma 1", market{base: 0.1, arms: same, sigma: 1, n: 200_000}, Money},
		{"A/A, conversions of 3%, base moves by 30%, holdout from 5% to 20% half-way", market{base: 0.03, arms: same, wave: 0.3, n: 100_000, grow: 50_000}, Conversion},
		{"lift that grows, conversions, base moves by 30%", market{base: 0.03, arms: differ, wave: 0.3, n: 100_000}, Conversion},
		{"lift that grows, revenue, base moves by 30%", market{base: 0.03, arms: differ, sigma: 1, wave: 0.3, n: 200_000}, Money},
	}
}

func TestAnytimeValid(t *testing.T) {
	if validating() {
		runs := 2000
		for i, sc := range scenarios() {
			t.Run(sc.name, func(t *testing.T) {
				m := watch(sc.market, sc.metric, runs, uint64(1000+i))
				table(fmt.Sprintf("%s: %d experiments of %d shoppers at 85/5/5/5, a look every 100", sc.name, runs, sc.market.n), func(w io.Writer) {
					fmt.Fprintf(w, "MISSED AT ANY LOOK\tEXPERIMENTS\tSHARE\t\n")
					for _, n := range m.names {
						fmt.Fprintf(w, "%s\t%d\t%.1f%%\t\n", n, m.count[n], 100*m.share(n))
					}
				})
				for _, n := range []string{"anytime difference", "anytime relative", "anytime difference, to random", "e-value >= 20, policy better"} {
					if m.count[n] > atMost(runs, 0.05) {
						t.Errorf("%s missed in %.1f%% of experiments, stated 5%%", n, 100*m.share(n))
					}
				}
			})
		}
		return
	}
	// The small version. 60 runs at 5% miss more than 9 times with a chance of 0.1%; that peeking overshoots needs 10.
	const runs = 60
	for i, sc := range []scenario{
		{"A/A, conversions", market{base: 0.03, arms: [4]float64{1, 1, 1, 1}, n: 40_000}, Conversion},
		{"A/A, revenue", market{base: 0.1, arms: [4]float64{1, 1, 1, 1}, sigma: 1, n: 40_000}, Money},
		{"growing lift", market{base: 0.1, arms: [4]float64{0.8, 1, 1.3, 1.7}, wave: 0.3, n: 20_000}, Conversion},
	} {
		m := watch(sc.market, sc.metric, runs, uint64(1+i))
		most := atMost(runs, 0.05)
		for _, n := range []string{"anytime difference", "anytime relative", "anytime difference, to random", "e-value >= 20, policy better"} {
			if m.count[n] > most {
				t.Errorf("%s: %s missed in %d of %d experiments, more than %d", sc.name, n, m.count[n], runs, most)
			}
		}
		if n := "fixed, peeked at, no start rule"; m.count[n] <= most {
			t.Errorf("%s: %s missed in only %d of %d experiments: the test does not see what peeking does", sc.name, n, m.count[n], runs)
		}
		t.Logf("%s: %v", sc.name, m.count)
	}
}

package health

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/juncture/juncture"
)

// How often the checks alarm when nothing is wrong, and how soon when something is. By default a small, seeded version is
// played; with JUNCTURE_VALIDATE=1 the one whose tables stand in docs/statistics.md, section H.

// plays is how many runs to play: few, or with JUNCTURE_VALIDATE=1 full.
func plays(few, full int) int {
	if os.Getenv("JUNCTURE_VALIDATE") == "1" {
		return full
	}
	return few
}

// table prints rows under a head.
func table(t *testing.T, head string, rows [][]string) {
	t.Helper()
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, head)
	for _, r := range rows {
		fmt.Fprintln(w, strings.Join(r, "\t"))
	}
	w.Flush()
	t.Log("\n" + b.String())
}

// tally counts runs that found something, and when.
type tally struct {
	runs, found int
	after       []float64
}

func (a *tally) add(found bool, after float64) {
	a.runs++
	if found {
		a.found++
		a.after = append(a.after, after)
	}
}

func (a *tally) share() string { return fmt.Sprintf("%.1f%%", 100*float64(a.found)/float64(a.runs)) }

// median is of the runs that found something, "-" where under half did.
func (a *tally) median() string {
	if 2*a.found < a.runs {
		return "-"
	}
	slices.Sort(a.after)
	return fmt.Sprintf("%.0f", a.after[min(len(a.after)-1, a.runs/2)])
}

// atMost fails when more runs found something than a true probability of p explains, 1 time in 10,000.
func (a *tally) atMost(t *testing.T, what string, p float64) {
	t.Helper()
	b := distuv.Binomial{N: float64(a.runs), P: p}
	if a.found > 0 && 1-b.CDF(float64(a.found-1)) < 1e-4 {
		t.Errorf("%s: %d of %d false alarms where %v are allowed", what, a.found, a.runs, p)
	}
}

func (a *tally) atLeast(t *testing.T, what string, share float64) {
	t.Helper()
	if float64(a.found) < share*float64(a.runs) {
		t.Errorf("%s: found in %d of %d", what, a.found, a.runs)
	}
}

func poisson(rng *rand.Rand, mean float64) int64 {
	if mean <= 0 {
		return 0
	}
	return int64(distuv.Poisson{Lambda: mean, Src: rng}.Rand())
}

func binomial(rng *rand.Rand, n int64, p float64) int64 {
	return int64(distuv.Binomial{N: float64(n), P: min(max(p, 0), 1), Src: rng}.Rand())
}

func TestValidateSampleRatio(t *testing.T) {
	rng := rand.New(rand.NewPCG(101, 1))
	const perDay, last = 2000, 60
	runs := plays(60, 2000)
	var rows [][]string
	for _, c := range []struct {
		name   string
		shares []float64
		loser  int
	}{
		{"50 : 50, one half", []float64{0.5, 0.5}, 0},
		{"85 : 5 : 5 : 5, the policy", []float64{0.85, 0.05, 0.05, 0.05}, 0},
		{"85 : 5 : 5 : 5, the holdout", []float64{0.85, 0.05, 0.05, 0.05}, 3},
	} {
		for _, loss := range []float64{0, 0.02, 0.05, 0.1} {
			var mismatch, watched, daily tally
			for range runs {
				list := make([]Count, len(c.shares))
				at, w, p := 0, 0, 0
				for d := 1; d <= last && (at == 0 || p == 0); d++ {
					for k, s := range c.shares {
						if k == c.loser {
							s *= 1 - loss
						}
						list[k].Share = c.shares[k]
						list[k].Observed += poisson(rng, perDay*s)
					}
					m, err := Multinomial(list, Alpha)
					if err != nil {
						t.Fatal(err)
					}
					if at == 0 && m.Verdict == VerdictMismatch {
						at = d
					}
					if w == 0 && m.Verdict != VerdictOK {
						w = d
					}
					if p == 0 && m.P <= 10*Alpha {
						p = d
					}
				}
				mismatch.add(at > 0, float64(at))
				watched.add(w > 0, float64(w))
				daily.add(p > 0, float64(p))
			}
			name := fmt.Sprintf("%s loses %.0f%%", c.name, 100*loss)
			rows = append(rows, []string{name, watched.share(), mismatch.share(), mismatch.median(), daily.share()})
			switch loss {
			case 0:
				mismatch.atMost(t, name, Alpha)
				watched.atMost(t, name, 10*Alpha)
			case 0.1:
				mismatch.atLeast(t, name, 0.75)
			}
		}
	}
	table(t, fmt.Sprintf("%d runs, %d shoppers a day, %d days, a look a day\twatch (e >= 100)\tmismatch (e >= 1,000)\tmedian days\tchi-square p <= 0.01 on some day", runs, perDay, last), rows)
}

func TestValidateDraws(t *testing.T) {
	rng := rand.New(rand.NewPCG(102, 1))
	const arms = 12
	runs, decisions := plays(5, 200), plays(8000, 30_000)
	var rows [][]string
	for _, loss := range []float64{0, 0.02, 0.05, 0.1, 0.3} {
		var mismatch, watched tally
		for range runs {
			var d Draws
			at, w := int64(0), int64(0)
			adaptive(rng, arms, decisions, loss, func(r []juncture.Ranked, x juncture.ArmID) bool {
				if err := d.Add(r, x); err != nil {
					t.Fatal(err)
				}
				l := d.LogE()
				if v := byE(l, Alpha); v == VerdictMismatch {
					at = d.Decisions()
				} else if v == VerdictWatch && w == 0 {
					w = d.Decisions()
				}
				return at == 0
			})
			mismatch.add(at > 0, float64(at))
			watched.add(at > 0 || w > 0, 0)
		}
		name := fmt.Sprintf("the first loses %.0f%%", 100*loss)
		rows = append(rows, []string{name, watched.share(), mismatch.share(), mismatch.median()})
		switch loss {
		case 0:
			mismatch.atMost(t, name, Alpha)
			watched.atMost(t, name, 10*Alpha)
		case 0.3:
			watched.atLeast(t, name, 0.5)
		}
	}
	table(t, fmt.Sprintf("%d runs, %d decisions of an adaptive policy, %d arms\twatch\tmismatch\tmedian decisions", runs, decisions, arms), rows)

	// One look at the sums: p must be uniform under the null, so that p <= 0.05 comes up in 5% of runs.
	var five tally
	looks := plays(50, 2000)
	for range looks {
		var s DrawSums
		adaptive(rng, arms, 2000, 0, func(r []juncture.Ranked, x juncture.ArmID) bool {
			if err := s.Add(r, x); err != nil {
				t.Fatal(err)
			}
			return true
		})
		r, err := s.Ratio(Alpha, armName)
		if err != nil {
			t.Fatal(err)
		}
		five.add(r.P <= 0.05, 0)
	}
	five.atMost(t, "p <= 0.05 at one look", 0.06) // asymptotic
	table(t, fmt.Sprintf("%d looks at the sums after 2,000 decisions\tp <= 0.05", looks), [][]string{{"nobody loses", five.share()}})
}

// place plays one place of eight arms for a number of days. rate says by which factor an arm's rate differs on a day.
func place(rng *rand.Rand, perDay float64, last int, factor func(arm, day int) float64) ([]string, []Bucket) {
	names := []string{"A", "B", "C", "D", "E", "F", "G", "H"}
	arms := make([]float64, len(names))
	for k := range arms {
		arms[k] = 0.04 * math.Exp(0.2*rng.NormFloat64())
	}
	var out []Bucket
	for d := range last {
		b := Bucket{At: day(d), Length: oneDay, Arms: make([]Rate, len(names))}
		base := 1 + 0.25*math.Sin(2*math.Pi*float64(d)/7)
		for k := range arms {
			n := poisson(rng, perDay/0.04)
			b.Arms[k] = Rate{Trials: n, Hits: binomial(rng, n, arms[k]*base*factor(k, d)), Expected: 0.04}
		}
		out = append(out, b)
	}
	return names, out
}

func TestValidateChanges(t *testing.T) {
	const change, last = 60, 150
	places := plays(3, 12)
	volumes := []float64{2, 10, 50} // successes a day and arm
	if places < 12 {
		volumes = volumes[2:]
	}
	set := ChangeSettings{Nodes: 96}
	var rows [][]string
	stores := plays(1, 15)
	months := last * float64(oneDay) / float64(month) * float64(places) / 12
	for _, c := range []struct {
		name                string
		promised, dispersed bool
		factor              func(rng *rand.Rand, arm, day int) float64
	}{
		{"nothing changes", true, false, func(*rand.Rand, int, int) float64 { return 1 }},
		{"a sale doubles all arms for 3 weeks", true, false, func(_ *rand.Rand, _, d int) float64 {
			if d >= change && d < change+21 {
				return 2
			}
			return 1
		}},
		{"each arm by itself varies by 10% a day", false, false, func(rng *rand.Rand, _, _ int) float64 { return math.Exp(0.1 * rng.NormFloat64()) }},
		{"each arm by itself varies by 10% a day, dispersion estimated", true, true, func(rng *rand.Rand, _, _ int) float64 { return math.Exp(0.1 * rng.NormFloat64()) }},
	} {
		for _, perDay := range volumes {
			rng := rand.New(rand.NewPCG(103, uint64(perDay)))
			alarms := 0
			for range stores * places {
				names, buckets := place(rng, perDay, last, func(k, d int) float64 { return c.factor(rng, k, d) })
				with := set
				if c.dispersed {
					x, err := Dispersion(buckets)
					if err != nil {
						t.Fatal(err)
					}
					with.Dispersion = x
				}
				found, err := Changes(names, buckets, with)
				if err != nil {
					t.Fatal(err)
				}
				alarms += len(found)
			}
			rows = append(rows, []string{c.name, fmt.Sprint(perDay), fmt.Sprintf("%.0f", float64(stores)*months), fmt.Sprint(alarms), fmt.Sprintf("%.3f", float64(alarms)/(float64(stores)*months))})
			allowed := distuv.Poisson{Lambda: 0.1 * float64(stores) * months}
			if c.promised && alarms > 0 && 1-allowed.CDF(float64(alarms-1)) < 1e-4 {
				t.Errorf("%s, %v a day: %d false alarms in %.0f store-months", c.name, perDay, alarms, float64(stores)*months)
			}
		}
	}
	table(t, fmt.Sprintf("%d places of 8 arms, 0.1 false alarms allowed a store-month of 96 nodes\tsuccesses a day and arm\tstore-months\tfalse alarms\ta store-month", places), rows)

	rows = nil
	runs := plays(3, 150)
	for _, c := range []struct {
		name string
		to   float64
		sale float64
	}{{"halves", 0.5, 1}, {"falls by 30%", 0.7, 1}, {"rises by 50%", 1.5, 1}, {"halves as a sale doubles all", 0.5, 2}} {
		for _, perDay := range volumes {
			rng := rand.New(rand.NewPCG(104, uint64(perDay)))
			var month1, all tally
			wrong, off := 0, []float64{}
			for range runs {
				names, buckets := place(rng, perDay, last, func(k, d int) float64 {
					f := 1.0
					if d >= change {
						f *= c.sale
						if k == 0 {
							f *= c.to
						}
					}
					return f
				})
				alarms, err := Changes(names, buckets, set)
				if err != nil {
					t.Fatal(err)
				}
				after := math.Inf(1)
				for _, a := range alarms {
					if a.Node != "A" {
						wrong++
						continue
					}
					if a.Seen.After(day(change)) && math.IsInf(after, 1) {
						after = float64(a.Seen.Sub(day(change))) / float64(oneDay)
						off = append(off, math.Abs(float64(a.When.Sub(day(change)))/float64(oneDay)))
					}
				}
				month1.add(after <= 30, after)
				all.add(!math.IsInf(after, 1), after)
			}
			slices.Sort(off)
			middle := "-"
			if len(off) > 0 {
				middle = fmt.Sprintf("%.0f", off[len(off)/2])
			}
			rows = append(rows, []string{c.name, fmt.Sprint(perDay), month1.share(), all.share(), all.median(), middle, fmt.Sprint(wrong)})
			if perDay == 50 {
				month1.atLeast(t, c.name, 0.9)
			}
		}
	}
	table(t, fmt.Sprintf("%d runs, one arm of eight changes on day %d\tsuccesses a day before\tfound in 30 days\tin %d\tmedian days\tmedian error of its date\talarms of other arms", runs, change, last-change), rows)
}

func TestValidateBreaker(t *testing.T) {
	const late, horizon = 60, 90
	runs := plays(60, 1000)
	var rows [][]string
	for _, c := range []struct {
		guard   Guard
		policy  int64 // units a day
		other   int64
		harms   []float64
		allowed int // of harms, how many are within the margin
	}{
		{Guard{Name: "unsubscribe, 0.2%", Outcome: "unsubscribe", Direction: MustNotRise, Margin: 0.1}, 8500, 500, []float64{0, 0.1, 0.5, 1, 2}, 2},
		{Guard{Name: "orders, 3%", Outcome: "purchase", Direction: MustNotFall, Margin: 0.05}, 8500, 500, []float64{0, -0.05, -0.1, -0.2, -0.4}, 2},
		{Guard{Name: "revenue, 3% of 50", Outcome: "purchase", Direction: MustNotFall, Margin: 0.05, Money: true}, 8500, 500, []float64{0, -0.05, -0.1, -0.2, -0.4}, 2},
	} {
		for i, harm := range c.harms {
			for _, since := range []int{0, late} {
				if since > 0 && i < c.allowed {
					continue
				}
				rng := rand.New(rand.NewPCG(105, uint64(i)))
				var month1, all tally
				early := 0
				for range runs {
					add := watching(t, c.guard)
					at := math.Inf(1)
					for d := range since + horizon {
						base := 0.002
						if c.guard.Direction == MustNotFall {
							base = 0.03
						}
						base *= 1 + 0.25*math.Sin(2*math.Pi*float64(d)/7)
						p := base
						if d >= since {
							p *= 1 + harm
						}
						if _, tripped := add(batch(rng, c.policy, p, c.guard.Money), batch(rng, c.other, base, c.guard.Money)); tripped {
							if at = float64(d + 1 - since); at <= 0 {
								early++
							}
							break
						}
					}
					month1.add(at > 0 && at <= 30, at)
					all.add(at > 0 && !math.IsInf(at, 1), at)
				}
				name := fmt.Sprintf("%s: %+.0f%%", c.guard.Name, 100*harm)
				rows = append(rows, []string{name, fmt.Sprint(since), month1.share(), all.share(), all.median(), fmt.Sprint(early)})
				if i < c.allowed {
					p := BreakerAlpha
					if c.guard.Money {
						p *= 2 // asymptotic
					}
					all.atMost(t, name, p)
				} else if i == len(c.harms)-1 {
					all.atLeast(t, name, 0.9)
				}
			}
		}
	}
	table(t, fmt.Sprintf("%d runs, 8,500 units a day against 500\tharm from day\ttrips in 30 days\tin %d\tmedian days\tbefore it", runs, horizon), rows)
}

// batch is a day of one group; orders are log-normal with σ = 0.6 around 5,000 minor units.
func batch(rng *rand.Rand, units int64, p float64, money bool) Batch {
	b := Batch{Units: units, Successes: binomial(rng, units, p)}
	if money {
		for range b.Successes {
			v := 5000 * math.Exp(0.6*rng.NormFloat64()-0.18)
			b.Value += v
			b.ValueSq += v * v
		}
	}
	return b
}

func TestValidateRates(t *testing.T) {
	runs := plays(8, 400)
	var rows [][]string
	for _, c := range []struct {
		name  string
		rate  float64 // of the arm that differs; the others have 0.8
		least float64
	}{{"the same everywhere", 0.8, 0}, {"one arm's activation is 78%", 0.78, 0}, {"75%", 0.75, 0.3}} {
		rng := rand.New(rand.NewPCG(106, 1))
		var mismatch tally
		for range runs {
			list := make([]Rate, 8)
			at := 0
			for d := 1; d <= 60 && at == 0; d += 3 {
				for k := range list {
					p := 0.8
					if k == 0 {
						p = c.rate
					}
					list[k].Trials += 150
					list[k].Hits += binomial(rng, 150, p)
				}
				r, err := SameRate(list, Alpha)
				if err != nil {
					t.Fatal(err)
				}
				if r.Verdict == VerdictMismatch {
					at = d
				}
			}
			mismatch.add(at > 0, float64(at))
		}
		if c.rate == 0.8 {
			mismatch.atMost(t, c.name, Alpha)
		}
		mismatch.atLeast(t, c.name, c.least)
		rows = append(rows, []string{"activation by arm: " + c.name, mismatch.share(), mismatch.median()})
	}
	// Shares of a day: 30% with a spread of 3 points between days; a jump on the last.
	for _, c := range []struct{ jump, least float64 }{{0, 0}, {0.1, 0}, {0.2, 0.9}} {
		rng := rand.New(rand.NewPCG(107, 1))
		var found tally
		for range runs * plays(20, 50) {
			var list []Day
			for d := range 29 {
				p := 0.3 + 0.03*rng.NormFloat64()
				if d == 28 {
					p += c.jump
				}
				list = append(list, Day{At: time.Time{}.AddDate(0, 0, d), Trials: 5000, Hits: binomial(rng, 5000, p)})
			}
			j, err := LastDay("unknown", list, JumpSettings{})
			if err != nil {
				t.Fatal(err)
			}
			found.add(j.Verdict == VerdictMismatch, 1)
		}
		if c.jump == 0 {
			found.atMost(t, "an ordinary day", 0.0005)
		}
		found.atLeast(t, "jump", c.least)
		share := fmt.Sprintf("%.2f%%", 100*float64(found.found)/float64(found.runs))
		rows = append(rows, []string{fmt.Sprintf("a day's unknown share, 30%% ± 3: %+.0f points", 100*c.jump), share, "-"})
	}
	table(t, fmt.Sprintf("%d runs\tmismatch\tmedian days of 60", runs), rows)
}

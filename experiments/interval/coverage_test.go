package interval

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// A fixed design: the control is 1 in 5 of n shoppers; conversions and clicks with a covariate, one look.
type fixedDesign struct {
	n          int
	base, lift float64
}

// covered counts in how many of the runs each fixed-horizon interval holds the truth, and how often each test rejects.
func covered(d fixedDesign, runs int, seed uint64) (names []string, hits, offered map[string]int) {
	hits, offered = map[string]int{}, map[string]int{}
	say := func(name string, ok bool) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
		offered[name]++
		if ok {
			hits[name]++
		}
	}
	p0, p1 := d.base, d.base*(1+d.lift)
	for run := range runs {
		r := rand.New(rand.NewPCG(seed, uint64(run)))
		var group [2]Moments     // conversions
		var clicks [2]Moments    // clicks by exposures
		var money [2]Moments     // revenue with the revenue before as its covariate
		var phases [2][2]Moments // conversions of two phases with a control of 5% and then 30%, the base half again as high in the second
		for i := range d.n {
			g := 0
			if r.Float64() >= 0.2 {
				g = 1
			}
			p := [2]float64{p0, p1}[g]
			y := 0.0
			if r.Float64() < p {
				y = 1
			}
			group[g] = group[g].Plus(Unit(y, 0))

			keen := math.Exp(0.5*r.NormFloat64() - 0.125) // clicks of a shopper go together
			exposures, clicked := 1+float64(r.IntN(4)), 0.0
			for range int(exposures) {
				if r.Float64() < math.Min(1, p*keen) {
					clicked++
				}
			}
			clicks[g] = clicks[g].Plus(Unit(clicked, exposures))

			before, spent := 0.0, 0.0
			if r.Float64() < 0.3 {
				before = math.Exp(r.NormFloat64())
			}
			if r.Float64() < 0.3 {
				spent = (1 + before) * math.Exp(0.5*r.NormFloat64()-0.125) * (1 + float64(g)*d.lift)
			}
			money[g] = money[g].Plus(Unit(spent, before))

			ph := 0
			if i >= d.n/2 {
				ph = 1
			}
			k := 0
			if r.Float64() >= []float64{0.05, 0.3}[ph] {
				k = 1
			}
			q := p0 * []float64{1, 1.5}[ph] * []float64{1, 1 + d.lift}[k]
			y = 0
			if r.Float64() < q {
				y = 1
			}
			phases[ph][k] = phases[ph][k].Plus(Unit(y, 0))
		}
		t, c := Rate{group[1].Hits, group[1].N}, Rate{group[0].Hits, group[0].N}
		wald, _, err := Wald(t, c, 0.05)
		say("Wilson, control", must(c.Wilson(0.05)).Has(p0))
		say("Clopper-Pearson, control", must(c.ClopperPearson(0.05)).Has(p0))
		say("Wald difference", err == nil && wald.Has(p1-p0))
		say("Newcombe difference", must(Newcombe(t, c, 0.05)).Has(p1-p0))
		say("relative rate, delta method", c.Successes > 0 && t.Successes > 0 && must(RelativeRate(t, c, 0.05)).Has(d.lift))
		say("pooled z, p > 5%", must(PooledZ(t, c)).P > 0.05)
		say("Fisher, p > 5%", must(Fisher(t, c)) > 0.05)
		welch, test, err := Welch(group[1], group[0], 0.05)
		say("Welch difference", err == nil && welch.Has(p1-p0))
		say("Welch t, p > 5%", err == nil && test.P > 0.05)
		ct, cc := must(clicks[1].Ratio()), must(clicks[0].Ratio())
		say("ratio (clicks by exposures), relative", must(Relative(ct, cc, 0.05)).Has(d.lift))
		mean := 0.3 * (1 + 0.3*math.Exp(0.5)) // E spent = 0.3·(1 + E before)
		s := Sequence{}
		raw := must(s.Compare(Money, []Phase{{money[1], money[0]}}, false))
		cuped := must(s.Compare(Money, []Phase{{money[1], money[0]}}, true))
		if raw.Difference.NotEnough == nil {
			say("money difference", raw.Difference.Fixed.Has(mean*d.lift))
			say("money difference, CUPED", cuped.Difference.Fixed.Has(mean*d.lift))
			say("money relative, CUPED", cuped.Relative.Fixed.Has(d.lift))
			say("anytime money, CUPED", cuped.Relative.Anytime.Has(d.lift))
		}
		strata := must(s.Compare(Conversion, []Phase{{phases[0][1], phases[0][0]}, {phases[1][1], phases[1][0]}}, false))
		if strata.Relative.NotEnough == nil {
			say("two phases, relative anytime", strata.Relative.Anytime.Has(d.lift))
		}
		if strata.Difference.NotEnough == nil {
			say("two phases, difference", strata.Difference.Fixed.Has(p0*1.25*d.lift))
			say("two phases, difference anytime", strata.Difference.Anytime.Has(p0*1.25*d.lift))
			say("two phases, log ratio", must(Relative(strata.Treatment, strata.Control, 0.05)).Has(d.lift))
			pooled := Difference(must(phases[0][1].Plus(phases[1][1]).Estimate()), must(phases[0][0].Plus(phases[1][0]).Estimate()))
			say("two phases, thrown together", must(pooled.Normal(0.05)).Has(p0*1.25*d.lift))
		}
	}
	return names, hits, offered
}

// onPaths counts in how many of the runs each sequence misses the truth at any of many looks.
func onPaths(runs, looks int, seed uint64) (names []string, missed map[string]int) {
	missed = map[string]int{}
	names = []string{"beta-binomial, rate of 3%", "normal mixture, ±1 steps", "stitched, ±1 steps", "mSPRT interval, rates of 3%", "mSPRT p <= 5%, rates of 3%",
		"e-value >= 20, rates of 3%", "asymptotic, mean of ±1 steps", "asymptotic difference, 50/50"}
	for run := range runs {
		r := rand.New(rand.NewPCG(seed, uint64(run)))
		miss := map[string]bool{}
		var a, b Rate
		var walk Moments
		m := MSPRT{Tau2: 1e-4}
		path := Path{}
		rho := MixtureRho(2000, 0.05)
		for look := range looks {
			for range 10 {
				a.Trials++
				b.Trials++
				if r.Float64() < 0.03 {
					a.Successes++
				}
				if r.Float64() < 0.03 {
					b.Successes++
				}
				walk = walk.Plus(Unit(float64(2*r.IntN(2)-1), 0))
			}
			flag := func(name string, bad bool) { miss[name] = miss[name] || bad }
			n := float64(walk.N)
			flag(names[0], !must(a.Sequence(1, 1, 0.05)).Has(0.03))
			flag(names[1], math.Abs(walk.Sum) > must(NormalMixture(n, rho, 0.05)))
			flag(names[2], math.Abs(walk.Mean()) > must(Stitched(n, 0.05)))
			if look >= 5 {
				flag(names[6], !must(Sequence{OptimalAt: 2000}.Around(must(walk.Estimate()))).Has(0))
			}
			if min(a.Successes, b.Successes) < StartConversions {
				continue
			}
			d := Difference(b.Estimate(), a.Estimate())
			path = must(m.Look(path, d))
			flag(names[3], !must(m.Interval(d)).Has(0))
			flag(names[4], path.P <= 0.05)
			flag(names[5], must(m.EValue(d)) >= 20)
			c := must(Sequence{OptimalAt: 10_000}.Compare(Conversion, []Phase{{b.Moments(), a.Moments()}}, false))
			flag(names[7], !c.Difference.Anytime.Has(0))
		}
		for k, v := range miss {
			if v {
				missed[k]++
			}
		}
	}
	return names, missed
}

func TestCoverage(t *testing.T) {
	runs := 300
	designs := []fixedDesign{{4000, 0.05, 0.4}}
	if validating() {
		runs = 2000
		designs = []fixedDesign{{4000, 0.03, 0}, {4000, 0.03, 0.4}, {20_000, 0.03, 0.4}}
	}
	for i, d := range designs {
		names, hits, offered := covered(d, runs, uint64(50+i))
		if validating() {
			table(fmt.Sprintf("Fixed horizon, %d shoppers, control 1 in 5, base %g, lift %g: share of %d runs that hold the truth, stated 95%%", d.n, d.base, d.lift, runs), func(w io.Writer) {
				for _, n := range names {
					fmt.Fprintf(w, "%s\t%.1f%%\tof %d\t\n", n, 100*float64(hits[n])/float64(offered[n]), offered[n])
				}
			})
		}
		for _, n := range names {
			switch {
			case d.lift != 0 && slices.Contains([]string{"pooled z, p > 5%", "Fisher, p > 5%", "Welch t, p > 5%"}, n): // power, no coverage
			case n == "two phases, thrown together": // Simpson's paradox: shown, not offered
			case strings.Contains(n, "anytime") && offered[n]-hits[n] > atMost(offered[n], 0.05),
				offered[n]-hits[n] > atMost(offered[n], 0.07): // 5% stated; small counts may cost a normal approximation 2 points
				t.Errorf("%v: %s holds the truth in %d of %d runs", d, n, hits[n], offered[n])
			}
		}
	}
	looks := 300
	if validating() {
		looks = 3000
	}
	names, missed := onPaths(runs, looks, 7)
	if validating() {
		table(fmt.Sprintf("Sequences: share of %d runs that miss the truth at any of %d looks, one every 10 shoppers a group, stated 5%%", runs, looks), func(w io.Writer) {
			for _, n := range names {
				fmt.Fprintf(w, "%s\t%.1f%%\t\n", n, 100*float64(missed[n])/float64(runs))
			}
		})
	}
	for _, n := range names {
		if missed[n] > atMost(runs, 0.05) {
			t.Errorf("%s missed in %d of %d runs", n, missed[n], runs)
		}
	}
}

// What being valid at every look costs, and whether plans foretell when a sequence decides.
func TestPower(t *testing.T) {
	if !validating() {
		t.Skip("make validate measures power")
	}
	const runs = 500
	table(fmt.Sprintf("Power: base 3%%, 85/5/5/5, 100,000 shoppers, %d experiments a lift; lower bound above 0", runs), func(w io.Writer) {
		fmt.Fprintf(w, "TRUE LIFT\tT TEST, ONE LOOK\tANYTIME RELATIVE, BY THEN\tDIFFERENCE\tSHOPPERS AT DECISION, 10%%\tMEDIAN\t90%%\tFORETOLD, 10%%\tMEDIAN\t90%%\t\n")
		for i, lift := range []float64{0.1, 0.2, 0.3, 0.4, 0.6} {
			m := market{base: 0.03, arms: [4]float64{1 + lift, 1 + lift, 1 + lift, 1 + lift}, n: 100_000}
			fixed, absolute, when := 0, 0, []float64{}
			for run := range runs {
				n, decided := 0, math.Inf(1)
				var last, control Moments
				difference := false
				m.play(rand.New(rand.NewPCG(uint64(3000+i), uint64(run))), func(phases [2]groups, _, _ float64) {
					n += batch
					last, control = phases[0][policy], phases[0][holdout]
					if !math.IsInf(decided, 1) && difference {
						return
					}
					c := must(Sequence{}.Compare(Conversion, []Phase{{last, control}}, false))
					difference = difference || c.Difference.NotEnough == nil && c.Difference.Anytime.Low > 0
					if math.IsInf(decided, 1) && c.Relative.NotEnough == nil && c.Relative.Anytime.Low > 0 {
						decided = float64(n)
					}
				})
				if _, test, err := Welch(last, control, 0.05); err == nil && test.P < 0.05 && test.Statistic > 0 {
					fixed++
				}
				if difference {
					absolute++
				}
				when = append(when, decided)
			}
			slices.Sort(when)
			by := 0
			for _, v := range when {
				if !math.IsInf(v, 1) {
					by++
				}
			}
			p := RatePlan(0.03, lift, 0.85, 0.05)
			p.OptimalAt, p.Rule = DefaultOptimalAt, RuleLower
			f := must(p.Shoppers())
			fmt.Fprintf(w, "%.0f%%\t%.1f%%\t%.1f%%\t%.1f%%\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t\n", 100*lift, 100*float64(fixed)/runs, 100*float64(by)/runs, 100*float64(absolute)/runs,
				when[runs/10], when[runs/2], when[runs*9/10], f.Low, f.Median, f.High)
		}
	})
	table("Plans: base 3%, true lift 40%, shoppers of all groups until the decision, the sequence narrowest where the drift meets its bound", func(w io.Writer) {
		fmt.Fprintf(w, "RULE\tTHRESHOLD\tHOLDOUT\t10%%\tMEDIAN\t90%%\tE.8\t\n")
		for _, c := range []struct {
			rule               Rule
			threshold, holdout float64
			design             string
		}{{RuleLower, 0.3, 0.05, "1,100,000"}, {RuleLower, 0.3, 0.2, "325,000"}, {RuleLower, 0, 0.05, "56,000"}, {RuleLower, 0, 0.2, "16,000"}, {RuleEstimate, 0.3, 0.05, ""}, {RuleEstimate, 0.3, 0.2, ""}} {
			p := RatePlan(0.03, 0.4, 0.9-c.holdout, c.holdout)
			p.Rule, p.Threshold = c.rule, c.threshold
			f := must(p.Shoppers())
			fmt.Fprintf(w, "%s\t%.0f%%\t%.0f%%\t%.0f\t%.0f\t%.0f\t%s\t\n", c.rule, 100*c.threshold, 100*c.holdout, f.Low, f.Median, f.High, c.design)
		}
	})
}

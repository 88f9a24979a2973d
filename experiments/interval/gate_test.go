package interval

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func started() time.Time { return time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC) }

func at(weeks float64) time.Time { return started().Add(time.Duration(weeks * float64(week))) }

func TestGate(t *testing.T) {
	lift := func(low, estimate, high float64) Bounds {
		return Bounds{Anytime: Interval{estimate, low, high}}
	}
	wait := Bounds{NotEnough: &NotEnough{"The smaller group has 3 conversions; intervals begin at 20 in each.", 3, 20}}
	type look struct {
		weeks float64
		seen  Bounds
		want  State
	}
	for _, c := range []struct {
		name string
		gate Gate
		look []look
	}{
		{"estimate over the threshold, never before week 4", Gate{Threshold: 0.3}, []look{
			{1, lift(0.1, 0.5, 0.9), Waiting}, {3.9, lift(0.1, 0.5, 0.9), Waiting}, {4, lift(0.1, 0.31, 0.6), Expand}, {5, lift(-1, -0.9, -0.8), Expand}}},
		{"the estimate alone does not do", Gate{Threshold: 0.3}, []look{{4, lift(0, 0.5, 1), Waiting}, {5, lift(0.01, 0.3, 1), Expand}}},
		{"rule lower asks for more", Gate{Threshold: 0.3, Rule: RuleLower}, []look{{4, lift(0.29, 0.5, 0.9), Waiting}, {5, lift(0.3, 0.5, 0.7), Expand}}},
		{"only whole weeks", Gate{Threshold: 0.3}, []look{
			{4, lift(-0.1, 0.5, 0.9), Waiting}, {4.5, lift(0.2, 0.5, 0.9), Waiting}, {4.99, lift(0.2, 0.5, 0.9), Waiting}, {5.01, lift(0.2, 0.5, 0.9), Expand}}},
		{"futile", Gate{Threshold: 0.3}, []look{{2, lift(-0.2, 0, 0.1), Waiting}, {4, lift(0.01, 0.1, 0.29), Futile}}},
		{"undecided at week 8", Gate{Threshold: 0.3}, []look{{7, lift(-0.1, 0.2, 0.5), Waiting}, {8, lift(-0.1, 0.2, 0.5), Undecided}, {9, lift(0.3, 0.4, 0.5), Undecided}}},
		{"late look at week 11", Gate{Threshold: 0.3}, []look{{11, lift(0.1, 0.4, 0.5), Expand}}},
		{"nothing to see", Gate{Threshold: 0.3}, []look{{4, wait, Waiting}, {8, wait, Undecided}}},
		{"own weeks", Gate{Threshold: 0.1, MinWeeks: 1, MaxWeeks: 2}, []look{{1, lift(0, 0.1, 0.2), Waiting}, {2, lift(0, 0.1, 0.2), Undecided}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var v Verdict
			for _, l := range c.look {
				v = must(c.gate.Step(v, Look{Started: started(), Now: at(l.weeks), Relative: l.seen, Shoppers: 1000}))
				if v.State != l.want || v.Sentence == "" || v.By.IsZero() {
					t.Errorf("week %g: %+v, want %s", l.weeks, v, l.want)
				}
			}
		})
	}
}

func TestGateSaysWhen(t *testing.T) {
	for _, c := range []struct {
		median float64
		by     float64 // weeks
		says   string
	}{
		{0, 8, "At the latest on 27 April 2026."},
		{3_000, 4, "expect it on 30 March 2026"},  // 3 weeks of 1,000, but not before week 4
		{5_500, 6, "expect it on 13 April 2026"},  // 5.5 weeks
		{20_000, 8, "20000 take 20 weeks"},        // over the end
		{math.Inf(1), 8, "no number of shoppers"}, // the declared lift is under the threshold
	} {
		v := must(Gate{Threshold: 0.3}.Step(Verdict{}, Look{Started: started(), Now: at(2), Shoppers: 2000,
			Relative: Bounds{Anytime: Interval{0.3, -0.2, 0.9}}, Plan: Forecast{1, c.median, 1e9}}))
		if !v.By.Equal(at(c.by)) || !strings.Contains(v.Sentence, c.says) {
			t.Errorf("median %g: by %s: %s\nwant week %g and %q", c.median, v.By, v.Sentence, c.by, c.says)
		}
	}
	for _, g := range []Gate{{Threshold: math.NaN()}, {Rule: "x"}, {MinWeeks: 5, MaxWeeks: 4}, {MinWeeks: -1}, {Threshold: -1}} {
		if _, err := g.Step(Verdict{}, Look{Started: started(), Now: at(1)}); err == nil {
			t.Errorf("%+v is not refused", g)
		}
	}
	if _, err := (Gate{}).Step(Verdict{}, Look{Started: started(), Now: at(4), Relative: Bounds{Anytime: Interval{math.NaN(), 0, 1}}}); err == nil {
		t.Error("an interval around NaN is not refused")
	}
}

// However it is looked at: decided between the first and the last week, or at the first look after, and then for good.
func TestGateEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := Gate{Threshold: 0.3, Rule: rapid.SampledFrom([]Rule{RuleLower, RuleEstimate}).Draw(t, "rule")}
		var v Verdict
		weeks := 0.0
		for weeks < 9 {
			weeks += rapid.Float64Range(0.01, 1.5).Draw(t, "step")
			e := rapid.Float64Range(-0.5, 1).Draw(t, "estimate")
			half := rapid.Float64Range(0, 1).Draw(t, "half")
			next := must(g.Step(v, Look{Started: started(), Now: at(weeks), Relative: Bounds{Anytime: around(e, half)}, Shoppers: 10}))
			if next.State != Waiting && weeks < 4 || next.State == Waiting && weeks >= 9 || v.State != "" && v.State != Waiting && next != v {
				t.Fatalf("week %g: %+v after %+v", weeks, next, v)
			}
			v = next
		}
	})
}

// Forecasts against random walks: the quantiles of the first passage, within what looks every 0.2% of the way and 2,000 walks allow.
func TestForecast(t *testing.T) {
	for _, p := range []Plan{
		RatePlan(0.03, 0.4, 0.85, 0.05),
		{Mean: 5, Variance: 400, TreatmentVariance: 500, Lift: 0.4, Treatment: 0.7, Control: 0.2, Threshold: 0.1, Rule: RuleLower, OptimalAt: 10_000},
		{Mean: 0.03, Variance: 0.0291, TreatmentVariance: 0.04, Lift: 0.4, Treatment: 0.7, Control: 0.2, Threshold: 0.38, Rule: RuleEstimate, Start: 20_000},
		RatePlan(0.03, 4, 0.85, 0.05), // decided at the first look the start rule allows
	} {
		q := must(p.settled())
		times, _ := q.passage()
		s := Sequence{q.Alpha, q.OptimalAt}
		if q.OptimalAt == 0 { // as passage has it: c² of the optimum, over drift²
			l := -2 * math.Log(0.05)
			o := l + math.Log1p(l)
			lower, _ := q.slopes()
			s.OptimalAt = math.Max(1, (o+1)/o*(math.Log1p(o)+l)*q.spread()/math.Pow(math.Log1p(q.Lift)-lower, 2))
		}
		lower, estimate := q.slopes()
		r := rand.New(rand.NewPCG(3, 4))
		var walks []float64
		for range 2000 {
			x, before := 0.0, 0.0
			n := q.Start
			for ; n < times[len(times)-1]; n *= 1.002 {
				dt := (n - before) / q.spread()
				x += math.Log1p(q.Lift)*dt + math.Sqrt(dt)*r.NormFloat64()
				before = n
				if tt := n / q.spread(); x >= math.Max(lower*tt+s.factor(n)*math.Sqrt(tt), estimate*tt) {
					break
				}
			}
			walks = append(walks, n/(q.Treatment+q.Control))
		}
		slices.Sort(walks)
		f := must(p.Shoppers())
		for i, c := range []struct{ got, want float64 }{{f.Low, walks[200]}, {f.Median, walks[1000]}, {f.High, walks[1800]}} {
			if !(c.got < 1.06*c.want && c.got > 0.85*c.want) {
				t.Errorf("%+v: quantile %d is %.0f, walks say %.0f", p, i, c.got, c.want)
			}
		}
	}
}

func TestPlans(t *testing.T) {
	// Docs/statistics.md, E.8, where the drift alone meets the bound: 9.21 × spread/(log 1.4 − log 1.3)², spread 673 at 5%. A path gets there sooner.
	for _, c := range []struct{ threshold, holdout, design float64 }{{0.3, 0.05, 1.1e6}, {0.3, 0.2, 325e3}, {0, 0.05, 56e3}, {0, 0.2, 16e3}} {
		p := RatePlan(0.03, 0.4, 0.9-c.holdout, c.holdout)
		p.Rule, p.Threshold = RuleLower, c.threshold
		if f := must(p.Shoppers()); !(f.Low < f.Median && f.Median < f.High && f.Median > 0.7*c.design && f.High > c.design && f.Median < c.design) {
			t.Errorf("over %g with %g: %v, the design has %g", c.threshold, c.holdout, f, c.design)
		}
	}
	never := RatePlan(0.03, 0.3, 0.85, 0.05)
	never.Threshold, never.Rule = 0.3, RuleLower
	if f := must(never.Shoppers()); !math.IsInf(f.Median, 1) {
		t.Errorf("a lower bound over the true lift: %v", f)
	}
	if h := must(never.SmallestHoldout(1e9, 0.5)); !math.IsInf(h, 1) {
		t.Errorf("a holdout of %g", h)
	}
	p := RatePlan(0.03, 0.4, 0.85, 0.05)
	p.Threshold = 0.3
	h := must(p.SmallestHoldout(30_000, 0.5))
	at := func(h float64) float64 { return must(RatePlan(0.03, 0.4, 0.9-h, h).median(0.3)) }
	if !(h > 0.01 && h < 0.45 && at(h) <= 30_000*1.01 && at(h*0.9) > 30_000) {
		t.Errorf("smallest holdout %g: median %g there, %g at a tenth less", h, at(h), at(h*0.9))
	}
	if more := must(p.SmallestHoldout(60_000, 0.5)); more >= h {
		t.Errorf("twice the shoppers ask for a holdout of %g, not under %g", more, h)
	}
}

func (p Plan) median(threshold float64) (float64, error) {
	p.Threshold = threshold
	f, err := p.Shoppers()
	return f.Median, err
}

package interval

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/juncture/juncture"
)

// values draws shoppers' values with a covariate: whole cents, so that sums are exact.
func values(t *rapid.T, name string) []Moments {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Moments {
		return Unit(float64(rapid.IntRange(-100, 10_000).Draw(t, "y")), float64(rapid.IntRange(0, 100).Draw(t, "x")))
	}), 2, 50).Draw(t, name)
}

func sum(parts []Moments) (m Moments) {
	for _, p := range parts {
		m = m.Plus(p)
	}
	return m
}

func TestMergingIsAdding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := values(t, "a"), values(t, "b")
		both := sum(append(slices.Clone(a), b...))
		if diff := cmp.Diff(both, sum(b).Plus(sum(a))); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(sum(a), both.Minus(sum(b))); diff != "" {
			t.Error(diff)
		}
		mean, sq := 0.0, 0.0
		for _, u := range a {
			mean += u.Sum / float64(len(a))
		}
		for _, u := range a {
			sq += (u.Sum - mean) * (u.Sum - mean)
		}
		m := sum(a)
		near2(t, "mean", m.Mean(), mean)
		near2(t, "variance", m.Variance(), sq/float64(len(a)-1))
	})
}

func near2(t *rapid.T, what string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) <= 1e-8*math.Max(1, math.Abs(want))) {
		t.Errorf("%s: %g, want %g", what, got, want)
	}
}

// phase draws two groups that pass the start rule of money.
func phase(t *rapid.T, name string) Phase {
	group := func(name string) Moments {
		return rapid.Custom(func(t *rapid.T) Moments {
			n := rapid.Int64Range(300, 1_000_000).Draw(t, "n")
			orders := rapid.Int64Range(100, n/2).Draw(t, "orders")
			value := float64(rapid.IntRange(100, 20_000).Draw(t, "value"))
			spread := 1 + rapid.Float64Range(0, 3).Draw(t, "spread")
			x := float64(rapid.IntRange(0, 50).Draw(t, "x"))
			o := float64(orders)
			return Moments{N: n, Hits: orders, Sum: o * value, SumSq: o * value * value * spread, X: float64(n) * x, XX: float64(n) * x * x * spread, XY: o * value * x}
		}).Draw(t, name)
	}
	return Phase{group(name + " treatment"), group(name + " control")}
}

func each(c Comparison, f func(name string, b Bounds)) {
	f("difference", c.Difference)
	f("relative", c.Relative)
}

func TestIntervalsHoldTheEstimateAndAnytimeIsWider(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Sequence{Alpha: rapid.Float64Range(0.001, 0.5).Draw(t, "alpha"), OptimalAt: rapid.Float64Range(100, 1e6).Draw(t, "optimal at")}
		phases := []Phase{phase(t, "first"), phase(t, "second")}
		each(must(s.Compare(Money, phases, rapid.Bool().Draw(t, "cuped"))), func(name string, b Bounds) {
			if b.NotEnough != nil {
				return
			}
			for _, i := range []Interval{b.Fixed, b.Anytime} {
				if !i.Has(i.Estimate) {
					t.Errorf("%s: %v does not hold its estimate", name, i)
				}
			}
			if b.Anytime.Low > b.Fixed.Low || b.Anytime.High < b.Fixed.High {
				t.Errorf("%s: anytime %v is inside fixed %v", name, b.Anytime, b.Fixed)
			}
		})
	})
}

func TestSwappingGroupsMirrors(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		phases := []Phase{phase(t, "first"), phase(t, "second")}
		swapped := []Phase{{phases[0].Control, phases[0].Treatment}, {phases[1].Control, phases[1].Treatment}}
		a, b := must(Sequence{}.Compare(Money, phases, false)), must(Sequence{}.Compare(Money, swapped, false))
		near2(t, "low", a.Difference.Anytime.Low, -b.Difference.Anytime.High)
		near2(t, "high", a.Difference.Anytime.High, -b.Difference.Anytime.Low)
		if a.Relative.NotEnough == nil && b.Relative.NotEnough == nil { // 1 + lift becomes its inverse
			near2(t, "relative low", math.Log1p(a.Relative.Anytime.Low), -math.Log1p(b.Relative.Anytime.High))
			near2(t, "relative high", math.Log1p(a.Relative.Anytime.High), -math.Log1p(b.Relative.Anytime.Low))
		}
	})
}

func TestScaleInvariance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := float64(rapid.SampledFrom([]int{2, 100, 1024}).Draw(t, "factor"))
		p := phase(t, "phase")
		scale := func(m Moments) Moments {
			m.Sum, m.SumSq, m.XY = k*m.Sum, k*k*m.SumSq, k*m.XY
			return m
		}
		for _, cuped := range []bool{false, true} {
			a, b := must(Sequence{}.Compare(Money, []Phase{p}, cuped)), must(Sequence{}.Compare(Money, []Phase{{scale(p.Treatment), scale(p.Control)}}, cuped))
			near2(t, "difference", k*a.Difference.Anytime.Low, b.Difference.Anytime.Low)
			near2(t, "p", a.Difference.P, b.Difference.P)
			if a.Relative.NotEnough == nil && b.Relative.NotEnough == nil {
				near2(t, "relative", a.Relative.Anytime.Low, b.Relative.Anytime.Low)
			}
		}
	})
}

func TestWidthsShrink(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(10, 1_000_000).Draw(t, "n")
		sd := rapid.Float64Range(0.01, 100).Draw(t, "sd")
		width := func(n int64) [6]float64 {
			e := Estimate{Value: 1, SE: sd / math.Sqrt(float64(n)), N: n, Third: sd * sd * sd / float64(n) / float64(n)}
			r := Rate{3 * n, 10 * n}
			return [6]float64{must(e.Normal(0.05)).Width(), must(Sequence{}.Around(e)).Width(), must(r.Wilson(0.05)).Width(), must(r.ClopperPearson(0.05)).Width(),
				must(MSPRT{Tau2: 1}.Interval(e)).Width(), must(Stitched(float64(n), 0.05))}
		}
		few, many := width(n), width(2*n)
		for i := range few {
			if !(many[i] < few[i]) {
				t.Errorf("interval %d: %g wide at %d, %g at twice as many", i, few[i], n, many[i])
			}
		}
		if i := must(Rate{3 * n, 10 * n}.Sequence(1, 1, 0.05)); i.Width() < few[3] {
			t.Errorf("the exact sequence %v is narrower than Clopper-Pearson %g", i, few[3])
		}
	})
}

// Equal phases say together what one says alone, with half its variance.
func TestPhases(t *testing.T) {
	p := Phase{Rate{420, 10_000}.Moments(), Rate{30, 1_000}.Moments()}
	one, two := must(Sequence{}.Compare(Conversion, []Phase{p}, false)), must(Sequence{}.Compare(Conversion, []Phase{p, p}, false))
	near(t, "lift", two.Relative.Fixed.Estimate, one.Relative.Fixed.Estimate, 1e-12) // 4.2% by 3%: 40%
	near(t, "lift", one.Relative.Fixed.Estimate, 0.4, 1e-12)
	near(t, "error", two.Control.SE*math.Sqrt2, one.Control.SE, 1e-12)
	// Shares that follow the base: 5% control at a base of 2%, then 50% at 6%; no lift in either, yet the sums thrown together say 2% and some against 5.6%.
	c := must(Sequence{}.Compare(Conversion, []Phase{{Rate{1900, 95_000}.Moments(), Rate{100, 5_000}.Moments()}, {Rate{3000, 50_000}.Moments(), Rate{3000, 50_000}.Moments()}}, false))
	near(t, "no lift", c.Difference.Fixed.Estimate, 0, 1e-15)
	near(t, "mean", c.Control.Value, 0.04, 1e-15) // equal shares of 2% and 6%
	c = must(Sequence{}.Compare(Conversion, []Phase{p, {Rate{1, 10}.Moments(), Rate{1, 1}.Moments()}}, false))
	if c.Skipped != 1 || c.Control.N != 1000 {
		t.Errorf("a phase of one control shopper: %d skipped, %d control shoppers", c.Skipped, c.Control.N)
	}
}

func TestStartRules(t *testing.T) {
	for _, c := range []struct {
		metric             Metric
		treatment, control Moments
		need               int64 // 0 is enough
	}{
		{Conversion, Rate{400, 9000}.Moments(), Rate{19, 500}.Moments(), 20},
		{Conversion, Rate{400, 9000}.Moments(), Rate{20, 500}.Moments(), 0},
		{Conversion, Rate{495, 500}.Moments(), Rate{450, 500}.Moments(), 20},
		{Money, Rate{400, 9000}.Moments(), Rate{99, 500}.Moments(), 100},
		{Money, Rate{400, 9000}.Moments(), Rate{100, 500}.Moments(), 0},
		{Conversion, Moments{}, Moments{}, 20},
	} {
		got := must(Sequence{}.Compare(c.metric, []Phase{{c.treatment, c.control}}, false))
		switch n := got.Difference.NotEnough; {
		case c.need == 0 && (n != nil || !(got.Difference.Anytime.Width() > 0)):
			t.Errorf("%v: %v, want an interval", c, n)
		case c.need != 0 && (n == nil || n.Need != c.need || n.Reason == "" || n.Have >= n.Need):
			t.Errorf("%v: %v, want to need %d", c, n, c.need)
		}
	}
	// 100 orders of 10 and 100 refunds of 10 in the control: nothing to be relative to.
	control := Moments{N: 1000, Hits: 100, Sum: 0, SumSq: 20_000}
	got := must(Sequence{}.Compare(Money, []Phase{{Moments{N: 1000, Hits: 120, Sum: 1200, SumSq: 12_000}, control}}, false))
	if got.Difference.NotEnough != nil || got.Relative.NotEnough == nil {
		t.Errorf("a control mean of 0: difference %v, relative %v; want one and not the other", got.Difference, got.Relative)
	}
}

func TestClaims(t *testing.T) {
	// e-BH at 5% of 4: the largest needs 80, two of them 40 each, three 26.7, four 20.
	for _, c := range []struct {
		e    []float64
		want []int
	}{
		{[]float64{79, 1, 1, 1}, nil},
		{[]float64{1, 80, 1, 1}, []int{1}},
		{[]float64{41, 1, 1, 40}, []int{0, 3}},
		{[]float64{20, 20, 20, 20}, []int{0, 1, 2, 3}},
		{[]float64{math.MaxFloat64, 0, 26, 26}, []int{0}},
		{nil, nil},
	} {
		if diff := cmp.Diff(c.want, must(EBH(c.e, 0.05))); diff != "" {
			t.Errorf("e-BH of %v: %s", c.e, diff)
		}
	}
	// Means of 1 − p: 0.01, then (0.01+0.05)/2 = 0.03, then (0.06+0.09)/3 = 0.05, then over.
	if diff := cmp.Diff([]int{0, 2, 3}, must(BayesianFDR([]float64{0.95, 0.5, 0.99, 0.91}, 0.0501))); diff != "" {
		t.Error(diff)
	}
	if got := must(BayesianFDR([]float64{0.9, 0.8}, 0.05)); len(got) != 0 {
		t.Errorf("claims at 10%% and 20%%: %v", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SliceOfN(rapid.Float64Range(0, 1), 1, 20).Draw(t, "p")
		bonferroni, holm, bh := must(Bonferroni(p)), must(Holm(p)), must(BenjaminiHochberg(p))
		for i := range p {
			if !(p[i] <= bh[i] && bh[i] <= holm[i]+1e-15 && holm[i] <= bonferroni[i]+1e-15 && bonferroni[i] <= 1) {
				t.Errorf("p %g, Benjamini-Hochberg %g, Holm %g, Bonferroni %g: they do not ascend", p[i], bh[i], holm[i], bonferroni[i])
			}
		}
	})
}

// The one-sided e-value has mean 1 at a difference of 0: ∫ φ(x)·e(x) dx over the normal statistic, by the trapezoid rule.
func TestEValueMean(t *testing.T) {
	for _, tau2 := range []float64{0.01, 1, 100} {
		mean := 0.0
		for x := -40.0; x <= 40; x += 0.01 {
			e := must(MSPRT{Tau2: tau2}.EValue(Estimate{Value: x, SE: 1, N: 1}))
			mean += 0.01 * e * math.Exp(-x*x/2) / math.Sqrt(2*math.Pi)
		}
		if tau2 < 100 { // at 100 a tenth of the mean lies past 40
			near(t, "mean", mean, 1, 1e-6)
		} else if mean > 1 {
			t.Errorf("mean %g is over 1", mean)
		}
	}
}

// Whatever numbers come, functions answer or refuse: no panic, and no NaN among what they answer.
func FuzzRefuses(f *testing.F) {
	f.Add(int64(1000), int64(30), 30.0, 30.0, 0.0, 0.0, 0.0, 0.05, 50_000.0)
	f.Add(int64(0), int64(0), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
	f.Add(int64(-1), int64(5), math.NaN(), math.Inf(1), 1e300, -1e300, 0.0, math.NaN(), -1.0)
	f.Add(int64(math.MaxInt64), int64(math.MaxInt64), math.MaxFloat64, math.MaxFloat64, math.MaxFloat64, math.MaxFloat64, math.MaxFloat64, 1.0, math.Inf(1))
	f.Add(int64(200), int64(150), 1e-300, 1e-300, 1e-300, 1e-300, 1e-300, 1e-12, 1.0)
	f.Add(int64(1<<53), int64(1<<52), 1e140, 1e140, 1e140, 1e140, 1e140, 0.999, 1e15)
	f.Add(int64(235), int64(150), 30.0, 4.0, 3e-302, 95.0, 1e-300, 1e-12, 0.0)
	f.Fuzz(func(t *testing.T, n, hits int64, s, sq, x, xx, xy, alpha, at float64) {
		m := Moments{n, hits, s, sq, x, xx, xy}
		o := Rate{50, 1000}.Moments()
		sane := func(what string, err error, vs ...float64) {
			if err != nil {
				if juncture.ErrorCode(err) != juncture.CodeInternal {
					t.Errorf("%s: %v", what, err)
				}
				return
			}
			for _, v := range vs {
				if math.IsNaN(v) {
					t.Errorf("%s of %+v, alpha %g, at %g: NaN among %v", what, m, alpha, at, vs)
				}
			}
		}
		interval := func(what string, i Interval, err error) { sane(what, err, i.Estimate, i.Low, i.High) }
		for _, metric := range []Metric{Conversion, Money, Ratio, "none"} {
			for _, phases := range [][]Phase{nil, {{m, o}}, {{o, m}, {o, o}}, {{m, m}}} {
				c, err := Sequence{alpha, at}.Compare(metric, phases, true)
				sane("theta", err, c.Theta)
				each(c, func(name string, b Bounds) {
					interval(name, b.Anytime, err)
					interval(name, b.Fixed, err)
					sane(name, err, b.P)
				})
			}
		}
		w, test, err := Welch(m, o, alpha)
		interval("Welch", w, err)
		sane("Welch t", err, test.P, test.Statistic)
		r := Rate{hits, n}
		i, err := r.Wilson(alpha)
		interval("Wilson", i, err)
		if n < 1<<40 {
			i, err = r.ClopperPearson(alpha)
			interval("Clopper-Pearson", i, err)
		}
		i, err = r.Sequence(at, 1, alpha)
		interval("exact sequence", i, err)
		i, test, err = Wald(r, Rate{3, 50}, alpha)
		interval("Wald", i, err)
		sane("Wald", err, test.P)
		i, err = Newcombe(r, Rate{3, 50}, alpha)
		interval("Newcombe", i, err)
		i, err = RelativeRate(r, Rate{3, 50}, alpha)
		interval("relative rate", i, err)
		test, err = PooledZ(r, Rate{3, 50})
		sane("pooled z", err, test.P)
		p, err := Fisher(r, Rate{3, 50})
		sane("Fisher", err, p)
		test, err = ChiSquare([]int64{n, hits}, []float64{s, x})
		sane("chi-square", err, test.P)
		e := Estimate{Value: s, SE: sq, N: n, Third: x}
		i, err = Sequence{alpha, at}.Around(e)
		interval("sequence", i, err)
		i, err = Sequence{alpha, at}.Relative(e, Estimate{Value: 1, SE: 0.1, N: 100})
		interval("relative", i, err)
		path, err := MSPRT{at, alpha}.Look(Path{}, e)
		sane("mSPRT", err, path.P, path.Interval.Low)
		v, err := MSPRT{at, alpha}.EValue(e)
		sane("e-value", err, v)
		g, err := NormalInverseGamma{s, sq, x, xx}.Update(o)
		sane("normal inverse gamma", err, g.Mean, g.Beta)
		fc, err := Plan{Mean: s, Variance: sq, TreatmentVariance: xx, Lift: x, Treatment: 0.8, Control: 0.2, Threshold: xy, Alpha: alpha, OptimalAt: at}.Shoppers()
		sane("plan", err, fc.Low, fc.Median, fc.High)
		v, err = SampleSize(s, x, alpha, sq)
		sane("sample size", err, v)
		v, err = NormalMixture(s, sq, alpha)
		sane("mixture", err, v)
		v, err = Stitched(s, alpha)
		sane("stitched", err, v)
		_, err = EBH([]float64{s, sq}, alpha)
		sane("e-BH", err)
		_, err = BayesianFDR([]float64{s, sq}, alpha)
		sane("Bayesian FDR", err)
		l, err := NewBetaLift(Beta{s, sq}, Beta{x, xx})
		if err == nil {
			sane("Beta lift", err, l.Above(0))
		}
	})
}

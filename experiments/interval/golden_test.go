package interval

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// golden reads a file of reference numbers, computed with scipy and statsmodels; its note gives the tolerance.
func golden(t *testing.T, name string, into any) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "data", "golden", name))
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("no golden numbers: ../shared/data/golden/%s is not here", name)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatal(err)
	}
}

// must returns what a function gave without an error.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// near holds got to want within tol, absolute below 1 and relative above.
func near(t *testing.T, what string, got, want, tol float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tol*math.Max(1, math.Abs(want))) {
		t.Errorf("%s: %.17g, want %.17g within %g", what, got, want, tol)
	}
}

func nearBounds(t *testing.T, what string, got Interval, want [2]float64, tol float64) {
	t.Helper()
	near(t, what+" low", got.Low, want[0], tol)
	near(t, what+" high", got.High, want[1], tol)
}

func TestGoldenTwoProportions(t *testing.T) {
	type pair = [2]float64
	var g struct {
		Cases []struct {
			Control, Treatment Rate
			PooledZ            float64 `json:"pooled_z"`
			PooledP            float64 `json:"pooled_p_two_sided"`
			Wald               float64 `json:"wald_diff"`
			WaldCI             pair    `json:"wald_ci95"`
			UnpooledZ          float64 `json:"unpooled_z"`
			UnpooledP          float64 `json:"unpooled_p"`
			Newcombe           pair    `json:"newcombe_ci95"`
			Wilson             pair    `json:"treatment_wilson_ci95"`
			ClopperPearson     pair    `json:"treatment_clopper_pearson_ci95"`
			Relative           float64 `json:"relative_lift"`
			RelativeCI         pair    `json:"relative_lift_delta_ci95"`
			Fisher             float64 `json:"fisher_p"`
			ChiSquare          float64 `json:"chi2_no_yates_p"`
		}
	}
	golden(t, "two_proportions.json", &g)
	if len(g.Cases) < 4 {
		t.Fatalf("%d cases, want at least 4", len(g.Cases))
	}
	const tol = 1e-9
	for _, c := range g.Cases {
		pooled := must(PooledZ(c.Treatment, c.Control))
		near(t, "pooled z", pooled.Statistic, c.PooledZ, tol)
		near(t, "pooled p", pooled.P, c.PooledP, tol)
		near(t, "chi-square p", pooled.P, c.ChiSquare, tol)
		wald, test, err := Wald(c.Treatment, c.Control, 0.05)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "difference", wald.Estimate, c.Wald, tol)
		nearBounds(t, "Wald", wald, c.WaldCI, tol)
		near(t, "unpooled z", test.Statistic, c.UnpooledZ, tol)
		near(t, "unpooled p", test.P, c.UnpooledP, tol)
		nearBounds(t, "Newcombe", must(Newcombe(c.Treatment, c.Control, 0.05)), c.Newcombe, tol)
		nearBounds(t, "Wilson", must(c.Treatment.Wilson(0.05)), c.Wilson, tol)
		nearBounds(t, "Clopper-Pearson", must(c.Treatment.ClopperPearson(0.05)), c.ClopperPearson, tol)
		relative := must(RelativeRate(c.Treatment, c.Control, 0.05))
		near(t, "relative lift", relative.Estimate, c.Relative, tol)
		nearBounds(t, "relative lift", relative, c.RelativeCI, tol)
		near(t, "Fisher", must(Fisher(c.Treatment, c.Control)), c.Fisher, tol)
	}
}

func TestGoldenSampleRatio(t *testing.T) {
	var g struct {
		Cases []struct {
			Observed []int64
			Weights  []float64
			Chi2, P  float64
		}
	}
	golden(t, "srm.json", &g)
	if len(g.Cases) < 5 {
		t.Fatalf("%d cases, want at least 5", len(g.Cases))
	}
	for _, c := range g.Cases { // the tolerance is relative
		got := must(ChiSquare(c.Observed, c.Weights))
		near(t, "chi-square", got.Statistic/c.Chi2, 1, 1e-9)
		near(t, "p", got.P/c.P, 1, 1e-9)
	}
}

func TestGoldenSequences(t *testing.T) {
	var g struct {
		NormalMixture []struct {
			V, Alpha, Rho, Bound float64
			VOpt                 float64 `json:"v_opt"`
		} `json:"normal_mixture"`
		Stitched []struct {
			T, Alpha  float64
			HalfWidth float64 `json:"half_width"`
		}
		Asymptotic []struct {
			N                    int64
			Variance, Alpha, Rho float64
			TOpt                 float64 `json:"t_opt"`
			HalfWidth            float64 `json:"half_width"`
		}
		BetaBinomial []struct {
			Successes, Trials int64
			Alpha             float64
			Prior, CI         [2]float64
		} `json:"beta_binomial"`
	}
	golden(t, "confidence_sequences.json", &g)
	if len(g.NormalMixture) < 3 || len(g.Stitched) < 3 || len(g.Asymptotic) < 3 || len(g.BetaBinomial) < 4 {
		t.Fatal("fewer cases than there were")
	}
	const tol = 1e-9
	for _, c := range g.NormalMixture {
		near(t, "mixture rho", MixtureRho(c.VOpt, c.Alpha), c.Rho, tol)
		near(t, "mixture", must(NormalMixture(c.V, c.Rho, c.Alpha)), c.Bound, tol)
	}
	for _, c := range g.Stitched {
		near(t, "stitched", must(Stitched(c.T, c.Alpha)), c.HalfWidth, tol)
	}
	for _, c := range g.Asymptotic {
		near(t, "asymptotic rho", AsymptoticRho(c.TOpt, c.Alpha), c.Rho, tol)
		i := must(Sequence{c.Alpha, c.TOpt}.Around(Estimate{0, math.Sqrt(c.Variance / float64(c.N)), c.N, 0}))
		near(t, "asymptotic", i.High, c.HalfWidth, tol)
	}
	for _, c := range g.BetaBinomial {
		nearBounds(t, "beta-binomial", must(Rate{c.Successes, c.Trials}.Sequence(c.Prior[0], c.Prior[1], c.Alpha)), c.CI, tol)
	}
}

func TestGoldenMSPRT(t *testing.T) {
	var g struct {
		Single []struct {
			N         int64   `json:"n_per_arm"`
			A         float64 `json:"rate_a"`
			B         float64 `json:"rate_b"`
			Tau2      float64
			Alpha     float64
			Lambda    float64 `json:"lambda_n"`
			P         float64 `json:"p_at_n"`
			CI        [2]float64
			HalfWidth float64 `json:"half_width"`
		}
		Path struct {
			Tau2, Alpha float64
			Looks       []struct {
				N      int64      `json:"n_per_arm"`
				A      int64      `json:"successes_a"`
				B      int64      `json:"successes_b"`
				Lambda float64    `json:"lambda_n"`
				P      float64    `json:"always_valid_p"`
				CI     [2]float64 `json:"ci_running_intersection"`
			}
		}
	}
	golden(t, "msprt.json", &g)
	if len(g.Single) < 3 || len(g.Path.Looks) < 5 {
		t.Fatal("fewer cases than there were")
	}
	const tol = 1e-9
	for _, c := range g.Single {
		n := float64(c.N)
		d := Estimate{c.B - c.A, math.Sqrt((c.A*(1-c.A) + c.B*(1-c.B)) / n), 2 * c.N, 0}
		m := MSPRT{c.Tau2, c.Alpha}
		near(t, "lambda", math.Exp(must(m.LogRatio(d))), c.Lambda, tol)
		nearBounds(t, "interval", must(m.Interval(d)), c.CI, tol)
		near(t, "p", must(m.Look(Path{}, d)).P, c.P, tol)
	}
	m, path := MSPRT{g.Path.Tau2, g.Path.Alpha}, Path{}
	for _, c := range g.Path.Looks {
		d := Difference(Rate{c.B, c.N}.Estimate(), Rate{c.A, c.N}.Estimate())
		near(t, "lambda of "+strconv.FormatInt(c.N, 10), math.Exp(must(m.LogRatio(d))), c.Lambda, tol)
		path = must(m.Look(path, d))
		near(t, "always-valid p", path.P, c.P, tol)
		nearBounds(t, "running interval", path.Interval, c.CI, tol)
	}
}

func TestGoldenCUPED(t *testing.T) {
	var g struct {
		Cases []struct {
			X, Y            []float64
			Group           []int
			Theta, Diff, SE float64
			RawDiff         float64 `json:"raw_diff"`
			RawSE           float64 `json:"raw_se"`
		}
	}
	golden(t, "cuped.json", &g)
	if len(g.Cases) == 0 {
		t.Fatal("no cases")
	}
	for _, c := range g.Cases {
		var groups [2]Moments
		for i, k := range c.Group {
			groups[k] = groups[k].Plus(Unit(c.Y[i], c.X[i]))
		}
		var raw, adjusted Comparison
		phases := []Phase{{groups[1], groups[0]}}
		adjusted.Theta = theta(phases)
		for _, to := range []*Comparison{&raw, &adjusted} {
			if err := to.combine(Money, phases, 0); err != nil {
				t.Fatal(err)
			}
		}
		d := Difference(raw.Treatment, raw.Control)
		near(t, "raw difference", d.Value, c.RawDiff, 1e-12)
		near(t, "raw error", d.SE, c.RawSE, 1e-12)
		d = Difference(adjusted.Treatment, adjusted.Control)
		near(t, "theta", adjusted.Theta, c.Theta, 1e-12)
		near(t, "difference", d.Value, c.Diff, 1e-12)
		near(t, "error", d.SE, c.SE, 1e-12)
	}
}

func TestGoldenMultiple(t *testing.T) {
	var g struct {
		P, Holm []float64
		BH      []float64 `json:"benjamini_hochberg"`
	}
	golden(t, "multiple_tests.json", &g)
	if len(g.P) < 6 {
		t.Fatal("fewer p-values than there were")
	}
	holm, bh, bonferroni := must(Holm(g.P)), must(BenjaminiHochberg(g.P)), must(Bonferroni(g.P))
	for i, p := range g.P {
		near(t, "Holm", holm[i], g.Holm[i], 1e-15)
		near(t, "Benjamini-Hochberg", bh[i], g.BH[i], 1e-15)
		near(t, "Bonferroni", bonferroni[i], math.Min(1, 6*p), 1e-15)
	}
}

func TestGoldenSampleSize(t *testing.T) {
	var g struct {
		Cases []struct {
			Base, Alpha, Power float64
			Lift               float64 `json:"relative_lift"`
			Arcsine            float64 `json:"n_per_arm_arcsine"`
			Wald               float64 `json:"n_per_arm_wald"`
		}
	}
	golden(t, "sample_size.json", &g)
	if len(g.Cases) < 2 {
		t.Fatal("fewer cases than there were")
	}
	for _, c := range g.Cases { // statsmodels solves to a relative 1e-9 or so; its note asks for no tolerance
		n := must(SampleSize(c.Base, c.Lift, c.Alpha, c.Power))
		near(t, "arcsine", n, c.Arcsine, 1e-9)
		near(t, "power there", must(Power(c.Base, c.Lift, c.Alpha, n)), c.Power, 1e-12)
		near(t, "Wald", must(SampleSizeWald(c.Base, c.Lift, c.Alpha, c.Power)), c.Wald, 1e-12)
	}
}

func TestGoldenBetaLift(t *testing.T) {
	var g struct {
		Cases []struct {
			Control, Treatment [2]float64
			Better             float64            `json:"p_treatment_better"`
			Quantiles          map[string]float64 `json:"relative_lift_quantiles"`
		}
	}
	golden(t, "lift.json", &g)
	if len(g.Cases) < 2 {
		t.Fatal("fewer cases than there were")
	}
	for _, c := range g.Cases {
		l := must(NewBetaLift(Beta{c.Treatment[0], c.Treatment[1]}, Beta{c.Control[0], c.Control[1]}))
		near(t, "P(better)", l.Above(0), c.Better, 1e-9)
		for q, want := range c.Quantiles {
			near(t, "quantile "+q, l.Quantile(must(strconv.ParseFloat(q, 64))), want, 1e-6)
		}
	}
}

func TestGoldenNormalInverseGamma(t *testing.T) {
	var g struct {
		Cases []struct {
			Prior, Posterior NormalInverseGamma
			Values           []float64
			CI               [2]float64 `json:"mean_ci95"`
		}
	}
	golden(t, "normal_inverse_gamma.json", &g)
	if len(g.Cases) == 0 {
		t.Fatal("no cases")
	}
	for _, c := range g.Cases {
		var m Moments
		for _, v := range c.Values {
			m = m.Plus(Unit(v, 0))
		}
		got := must(c.Prior.Update(m))
		near(t, "mean", got.Mean, c.Posterior.Mean, 1e-12)
		near(t, "kappa", got.Kappa, c.Posterior.Kappa, 1e-12)
		near(t, "alpha", got.Alpha, c.Posterior.Alpha, 1e-12)
		near(t, "beta", got.Beta, c.Posterior.Beta, 1e-12)
		// The file's bounds are 1.2e-11 off, its quantile of Student's t having 11 digits. With 9 degrees of freedom the
		// distribution is (2/π)(θ + sin θ(cos θ + 2/3·cos³θ + 8/15·cos⁵θ + 16/35·cos⁷θ)), θ = atan(t/3): t = 2.262157162798204.
		i := must(got.Interval(0.05))
		nearBounds(t, "interval", i, c.CI, 1e-11)
		if got.Alpha == 4.5 {
			near(t, "high", i.High, got.Mean+2.262157162798204*math.Sqrt(got.Beta/got.Alpha/got.Kappa), 1e-14)
		}
	}
}

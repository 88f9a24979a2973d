package interval

import (
	"math"

	"gonum.org/v1/gonum/mathext"

	"github.com/juncture/juncture"
)

// Power of a fixed-horizon two-sided test of a lift of a rate, at n shoppers in each group, on the arcsine scale (Cohen,
// "Statistical Power Analysis", 1988, section 6.2): h = 2·(asin √p₁ − asin √p₀).
func Power(base, lift, alpha, n float64) (float64, error) {
	if err := checkPlan(base, lift, alpha, 0.5); err != nil {
		return 0, err
	}
	if !(n >= 0 && n <= maxSize) {
		return 0, juncture.Errorf(juncture.CodeInternal, "the power of %g shoppers", n)
	}
	return power(arcsine(base, lift)*math.Sqrt(n/2), alpha), nil
}

// power is the chance that a normal statistic of this mean passes either critical value.
func power(mean, alpha float64) float64 {
	q := z(alpha) / math.Sqrt2
	mean /= math.Sqrt2
	return (math.Erfc(q-mean) + math.Erfc(q+mean)) / 2
}

func arcsine(base, lift float64) float64 {
	return 2 * math.Abs(math.Asin(math.Sqrt(base*(1+lift)))-math.Asin(math.Sqrt(base)))
}

// SampleSize returns the shoppers that each of two equal groups needs for Power to be power.
func SampleSize(base, lift, alpha, power float64) (float64, error) {
	if err := checkPlan(base, lift, alpha, power); err != nil {
		return 0, err
	}
	x := statistic(alpha, power) / arcsine(base, lift)
	return 2 * x * x, nil
}

// SampleSizeWald is SampleSize by the unpooled normal test: (z_{α/2} + z_β)²·(p₁q₁ + p₀q₀)/(p₁ − p₀)².
func SampleSizeWald(base, lift, alpha, power float64) (float64, error) {
	if err := checkPlan(base, lift, alpha, power); err != nil {
		return 0, err
	}
	p := base * (1 + lift)
	x := (z(alpha) + mathext.NormalQuantile(power)) / (p - base)
	return x * x * (p*(1-p) + base*(1-base)), nil
}

// statistic is the mean of the normal statistic at which power is reached, both tails counted.
func statistic(alpha, want float64) float64 {
	lo, hi := 0.0, z(alpha)+mathext.NormalQuantile(want)+1
	for range 80 {
		if mid := (lo + hi) / 2; power(mid, alpha) < want {
			lo = mid
		} else {
			hi = mid
		}
	}
	return (lo + hi) / 2
}

func checkPlan(base, lift, alpha, power float64) error {
	if err := checkAlpha(alpha); err != nil {
		return err
	}
	if !(base > 0 && base < 1 && base*(1+lift) > 0 && base*(1+lift) < 1 && math.Abs(lift) >= 1e-6) {
		return juncture.Errorf(juncture.CodeInternal, "a base rate of %g and a lift of %g", base, lift)
	}
	if !(power > alpha && power < 1) {
		return juncture.Errorf(juncture.CodeInternal, "a power of %g is not between the error rate %g and 1", power, alpha)
	}
	return nil
}

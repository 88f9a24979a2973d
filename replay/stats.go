package replay

import (
	"math"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

const z95 = 1.959963984540054 // Φ(z) = 0.975

// interval is an estimate with its 95% interval.
type interval struct{ mean, low, high float64 }

// wilson is the score interval of a share (Wilson 1927). successes may be a mean over passes and need not be whole.
func wilson(successes, n float64) interval {
	if n <= 0 {
		return interval{math.NaN(), math.NaN(), math.NaN()}
	}
	p, z2 := successes/n, z95*z95
	centre := (p + z2/(2*n)) / (1 + z2/n)
	half := z95 / (1 + z2/n) * math.Sqrt(p*(1-p)/n+z2/(4*n*n))
	return interval{p, max(0, centre-half), min(1, centre+half)}
}

// normal is the interval of a mean from its sum and sum of squares over n rows.
func normal(sum, sumSq, n float64) interval {
	if n < 2 {
		return interval{math.NaN(), math.NaN(), math.NaN()}
	}
	mean := sum / n
	se := math.Sqrt(max(0, sumSq/n-mean*mean) / (n - 1))
	return interval{mean, mean - z95*se, mean + z95*se}
}

// uniformity is Pearson's chi-square of counts against equal shares, and its p-value.
func uniformity(counts []float64) (x2, p float64) {
	total := 0.0
	for _, n := range counts {
		total += n
	}
	even := make([]float64, len(counts))
	for i := range even {
		even[i] = total / float64(len(counts))
	}
	x2 = stat.ChiSquare(counts, even)
	return x2, distuv.ChiSquared{K: float64(len(counts) - 1)}.Survival(x2)
}

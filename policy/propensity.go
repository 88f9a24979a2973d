package policy

// Floor mixes w in place with the uniform choice: p = eps/K + (1−eps)·w. eps is the total uniform mass (statistics
// C.4), taken as 0 below 0 or NaN and as 1 above 1.
func Floor(w []float64, eps float64) {
	if !(eps > 0) {
		return
	}
	eps = min(eps, 1)
	for i := range w {
		w[i] = eps/float64(len(w)) + (1-eps)*w[i]
	}
}

// Pick returns the arm at u in [0, 1) of the cumulative p: never one with p = 0, and the last with p > 0 where
// rounding leaves the sum below u. It is -1 when no arm has p > 0.
func Pick(p []float64, u float64) int {
	last, sum := -1, 0.0
	for i, v := range p {
		if !(v > 0) {
			continue
		}
		if sum += v; u < sum {
			return i
		}
		last = i
	}
	return last
}

// Uniform maps 64 random bits to [0, 1), evenly, by the upper 53 of them.
func Uniform(hash uint64) float64 { return float64(hash>>11) * 0x1p-53 }

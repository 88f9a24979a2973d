package policy

// Nudge multiplies weights in place by factors, parallel to them, and scales them to sum to 1 again (statistics C.3).
// Factors are above 0; weights that sum to nothing stay as they are.
func Nudge(w, factor []float64) {
	sum := 0.0
	for i, f := range factor {
		sum += w[i] * f
	}
	if !(sum > 0) {
		return
	}
	for i, f := range factor {
		w[i] *= f / sum
	}
}

// FloorEach mixes w in place with a least probability of each arm, parallel to it, and with eps spread evenly over all
// (statistics C.4): p = least + eps/K + (1 − Σ least − eps)·w. The least ones and eps are >= 0 and sum to at most 1.
func FloorEach(w, least []float64, eps float64) {
	rest := 1 - eps
	for _, v := range least {
		rest -= v
	}
	for i, v := range least {
		w[i] = v + eps/float64(len(w)) + rest*w[i]
	}
}

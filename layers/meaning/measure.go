package meaning

import "math"

// Silhouette returns the mean simplified silhouette of the vectors under the model, in [-1,1]: (b - a) / b with a and b
// the distances 1 - cosine to the nearest centroid and the next. NaN for no vectors.
func (m *Model) Silhouette(vectors []Vector) float64 {
	var got []near
	for _, v := range vectors {
		if len(v.Dims) > 0 {
			got = append(got, m.nearest(v))
		}
	}
	if len(got) == 0 {
		return math.NaN()
	}
	return simplified(got)
}

// Cohesion returns the mean cosine of the vectors to their nearest centroid. NaN for no vectors.
func (m *Model) Cohesion(vectors []Vector) float64 {
	sum, n := 0.0, 0
	for _, v := range vectors {
		if len(v.Dims) > 0 {
			sum += float64(m.nearest(v).best)
			n++
		}
	}
	return sum / float64(n)
}

// AdjustedRand returns the adjusted Rand index of two labellings of the same things (Hubert and Arabie 1985): 1 for the
// same partition, 0 expected by chance. NaN where it is undefined: fewer than two things, or both partitions trivial.
func AdjustedRand(a, b []string) float64 {
	type cell struct{ a, b string }
	cells, rows, cols := map[cell]float64{}, map[string]float64{}, map[string]float64{}
	for i := range a {
		cells[cell{a[i], b[i]}]++
		rows[a[i]]++
		cols[b[i]]++
	}
	pairs := func(n float64) float64 { return n * (n - 1) / 2 }
	both, inA, inB := 0.0, 0.0, 0.0
	for _, n := range cells {
		both += pairs(n)
	}
	for _, n := range rows {
		inA += pairs(n)
	}
	for _, n := range cols {
		inB += pairs(n)
	}
	total := pairs(float64(len(a)))
	if total == 0 {
		return math.NaN()
	}
	chance := inA * inB / total
	if most := (inA + inB) / 2; most != chance {
		return (both - chance) / (most - chance)
	}
	return math.NaN()
}

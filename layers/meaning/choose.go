package meaning

import (
	"context"
	"math"
	"math/rand/v2"
)

// chooseK fits each number of clusters of the ladder on two thirds of a sample and judges it on the last third.
func chooseK(ctx context.Context, space *Space, vectors []Vector, o Options) (int, []Trial, error) {
	const most = 12000
	rng := rand.New(rand.NewPCG(o.Seed, math.MaxUint64))
	order := all(len(vectors))
	rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	order = order[:min(len(order), most)]
	cut := len(order) * 2 / 3
	fit := make([]Vector, cut)
	for i, w := range order[:cut] {
		fit[i] = vectors[w]
	}
	judge := order[cut:]
	best, trials := -1, []Trial(nil)
	for step := 0; ; step++ {
		k := int(math.Round(float64(o.KMin) * math.Pow(2, float64(step)/2)))
		if k > o.KMax || k > cut {
			break
		}
		one := o
		one.K, one.Iterations = k, min(o.Iterations, 30)
		m, err := cluster(ctx, space.Dim(), fit, nil, one)
		if err != nil {
			return 0, nil, err
		}
		t, err := m.foretell(ctx, vectors, judge, o.Seed)
		if err != nil {
			return 0, nil, err
		}
		t.K = k
		trials = append(trials, t)
		if best < 0 || t.Foretold > trials[best].Foretold {
			best = len(trials) - 1
		}
	}
	if best < 0 {
		return max(1, min(o.KMin, len(vectors))), trials, nil
	}
	for _, t := range trials {
		if t.Foretold >= trials[best].Foretold-max(trials[best].Error, 0.005*trials[best].Foretold) {
			return t.K, trials, nil
		}
	}
	return trials[best].K, trials, nil
}

// foretell judges the clusters on shoppers they were not fitted on: each half of the attributes foretells the other.
func (m *kmeans) foretell(ctx context.Context, vectors []Vector, judge []int32, seed uint64) (Trial, error) {
	got := make([]near, len(judge))
	if err := m.assign(ctx, vectors, judge, got); err != nil {
		return Trial{}, err
	}
	t := Trial{Silhouette: simplified(got)}
	rng := rand.New(rand.NewPCG(seed, 2))
	side := make([]bool, m.dim)
	for d := range side {
		side[d] = rng.IntN(2) == 0
	}
	norms := [2][]float64{make([]float64, m.k), make([]float64, m.k)}
	for d := range m.dim {
		for c, s := range m.sums[d*m.k : d*m.k+m.k] {
			norms[index(side[d])][c] += float64(s) * float64(s)
		}
	}
	sum, squares, n := 0.0, 0.0, 0.0
	acc := make([]float32, m.k)
	for _, w := range judge {
		var halves [2]Vector
		for i, d := range vectors[w].Dims {
			h := &halves[index(side[d])]
			h.Dims, h.Values = append(h.Dims, d), append(h.Values, vectors[w].Values[i])
		}
		if len(halves[0].Dims) == 0 || len(halves[1].Dims) == 0 {
			continue
		}
		x := 0.0
		for seen := range 2 {
			hidden := 1 - seen
			c := m.nearestHalf(halves[seen], norms[seen], acc)
			dot, norm := 0.0, 0.0
			for i, d := range halves[hidden].Dims {
				v := float64(halves[hidden].Values[i])
				dot += v * float64(m.sums[int(d)*m.k+c])
				norm += v * v
			}
			if norms[hidden][c] > 0 {
				x += dot / math.Sqrt(norm*norms[hidden][c]) / 2
			}
		}
		sum, squares, n = sum+x, squares+x*x, n+1
	}
	if n > 1 {
		t.Foretold = sum / n
		t.Error = math.Sqrt(max(0, squares/n-t.Foretold*t.Foretold) / (n - 1))
	}
	return t, nil
}

// nearestHalf returns the cluster whose half of the attributes is nearest to half of a vector.
func (m *kmeans) nearestHalf(v Vector, norms []float64, acc []float32) int {
	clear(acc)
	for i, d := range v.Dims {
		for c, s := range m.sums[int(d)*m.k : int(d)*m.k+m.k] {
			acc[c] += v.Values[i] * s
		}
	}
	best, top := 0, math.Inf(-1)
	for c, s := range acc {
		if norms[c] > 0 {
			if x := float64(s) / math.Sqrt(norms[c]); x > top {
				best, top = c, x
			}
		}
	}
	return best
}

func index(b bool) int {
	if b {
		return 1
	}
	return 0
}

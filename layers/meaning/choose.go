package meaning

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"
)

// holdOut splits shoppers by their keys, at most so many of them: two thirds to fit on, the last third to judge by. Who is
// held out does not depend on who else is there, so that one shopper more changes one shopper and not the sample.
func holdOut(vectors []Vector, keys []uint64) (fit []Vector, fitKeys []uint64, judge []int32) {
	const most = 12000
	for _, w := range sample(keys, most, 1) {
		if mixed(keys[w], 0)%3 == 0 {
			judge = append(judge, w)
		} else {
			fit, fitKeys = append(fit, vectors[w]), append(fitKeys, keys[w])
		}
	}
	return fit, fitKeys, judge
}

// worth is by how much of itself the score of a number of clusters must rise for another one, beside being sure to: what
// is less is not worth what it costs to move shoppers and to divide what the policy learns.
const worth = 0.01

// How many standard errors a gain must have to be sure: at a refit more, since it is asked every day.
const (
	sure      = 2
	sureInUse = 3
)

// beats compares the scores of two models of the same held-out shoppers, one by one: whether a is above b by more than so
// many standard errors of the mean difference, and by more than worth.
func beats(a, b []float64, sure float64) (gain, se float64, ok bool) {
	sum, squares, base, n := 0.0, 0.0, 0.0, 0.0
	for i := range a {
		if d := a[i] - b[i]; !math.IsNaN(d) {
			sum, squares, base, n = sum+d, squares+d*d, base+b[i], n+1
		}
	}
	if n < 2 {
		return 0, 0, false
	}
	gain = sum / n
	se = math.Sqrt(max(0, squares/n-gain*gain) / (n - 1))
	return gain, se, gain > sure*se && gain > worth*base/n
}

// chooseK chooses the number of clusters by shoppers who were held out. Without a model in use it climbs the ladder, KMin
// times powers of sqrt 2, to every number that beats the one it stands at. With one, whose centroids are given, it stays
// at its number, unless some number of the ladder around it beats it: then it takes one step towards the best of those.
func chooseK(ctx context.Context, space *Space, vectors []Vector, keys []uint64, given []Vector, o Options) (int, []Trial, error) {
	fit, fitKeys, judge := holdOut(vectors, keys)
	if len(judge) == 0 {
		return cmp.Or(len(given), max(1, min(o.KMin, len(vectors)))), nil, nil
	}
	var trials []Trial
	try := func(k int) ([]float64, error) {
		one := o
		one.K, one.Iterations = k, min(o.Iterations, 30)
		m, err := cluster(ctx, space.Dim(), fit, fitKeys, given[:min(len(given), k)], one)
		if err != nil {
			return nil, err
		}
		t, scores, err := m.foretell(ctx, vectors, judge, o.Seed)
		t.K = k
		trials = append(trials, t)
		return scores, err
	}
	if now := len(given); now > 0 && now <= len(fit) {
		held, err := try(now)
		if err != nil {
			return 0, nil, err
		}
		next, most := now, 0.0
		for _, k := range around(now, o.KMin, min(o.KMax, len(fit))) {
			scores, err := try(k)
			if err != nil {
				return 0, nil, err
			}
			t, ok := &trials[len(trials)-1], false
			if t.Gain, t.GainError, ok = beats(scores, held, sureInUse); ok && t.Gain > most {
				most = t.Gain
				if next = rung(now, 1); k < now {
					next = rung(now, -1)
				}
			}
		}
		return next, trials, nil
	} else if now > 0 {
		return now, nil, nil
	}
	best, at := 0, []float64(nil)
	for step := 0; ; step++ {
		k := int(math.Round(float64(o.KMin) * math.Pow(2, float64(step)/2)))
		if k > o.KMax || k > len(fit) {
			break
		}
		scores, err := try(k)
		if err != nil {
			return 0, nil, err
		}
		ok := at == nil
		if !ok {
			t := &trials[len(trials)-1]
			t.Gain, t.GainError, ok = beats(scores, at, sure)
		}
		if ok {
			best, at = k, scores
		}
	}
	return cmp.Or(best, max(1, min(o.KMin, len(vectors)))), trials, nil
}

// rung is the number of the ladder so many steps from k, which is one.
func rung(k, steps int) int {
	to := int(math.Round(float64(k) * math.Pow(2, float64(steps)/2)))
	if steps > 0 {
		return max(to, k+steps)
	}
	return min(to, k+steps)
}

// around returns the numbers of the ladder about k, up and then down, within bounds.
func around(k, least, most int) []int {
	var out []int
	for i := 1; rung(k, i) <= most; i++ {
		out = append(out, rung(k, i))
	}
	for i := 1; rung(k, -i) >= least; i++ {
		out = append(out, rung(k, -i))
	}
	return out
}

// foretell judges the clusters on shoppers they were not fitted on: each half of the attributes foretells the other. It
// returns each one's score too, NaN for those who have but one half.
func (m *kmeans) foretell(ctx context.Context, vectors []Vector, judge []int32, seed uint64) (Trial, []float64, error) {
	got := make([]near, len(judge))
	if err := m.assign(ctx, vectors, judge, got); err != nil {
		return Trial{}, nil, err
	}
	scores := make([]float64, len(judge))
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
	for j, w := range judge {
		var halves [2]Vector
		for i, d := range vectors[w].Dims {
			h := &halves[index(side[d])]
			h.Dims, h.Values = append(h.Dims, d), append(h.Values, vectors[w].Values[i])
		}
		if len(halves[0].Dims) == 0 || len(halves[1].Dims) == 0 {
			scores[j] = math.NaN()
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
		scores[j] = x
	}
	if n > 1 {
		t.Foretold = sum / n
		t.Error = math.Sqrt(max(0, squares/n-t.Foretold*t.Foretold) / (n - 1))
	}
	return t, scores, nil
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

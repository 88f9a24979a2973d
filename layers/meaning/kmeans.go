package meaning

import (
	"context"
	"math"
	"math/rand/v2"
	"sync"
)

// kmeans is one spherical k-means run: centroids are directions, nearness is the cosine (Dhillon and Modha 2001). The
// sum of the vectors assigned so far stands for each centroid, which makes the mini-batch step of Sculley (2010), with
// its learning rate 1/count, an addition.
type kmeans struct {
	k, dim  int
	workers int
	sums    []float32 // dim rows of k: the weights of one attribute in every cluster lie together
	norm2   []float64 // of each cluster's sum, squared
	counts  []int64
	inverse []float32 // 1 / norm
}

func newKmeans(k, dim, workers int) *kmeans {
	return &kmeans{k: k, dim: dim, workers: max(workers, 1), sums: make([]float32, k*dim), norm2: make([]float64, k),
		counts: make([]int64, k), inverse: make([]float32, k)}
}

// near is the nearest cluster of a vector and the similarities to it and to the next.
type near struct {
	cluster     int32
	best, other float32
}

// assign fills out with the nearest clusters; of equals the first.
func (m *kmeans) assign(ctx context.Context, vectors []Vector, which []int32, out []near) error {
	for c := range m.inverse {
		m.inverse[c] = 0
		if m.norm2[c] > 0 {
			m.inverse[c] = float32(1 / math.Sqrt(m.norm2[c]))
		}
	}
	var wg sync.WaitGroup
	part := (len(which) + m.workers - 1) / m.workers
	for w := range m.workers {
		from, to := min(w*part, len(which)), min((w+1)*part, len(which))
		wg.Go(func() {
			acc := make([]float32, m.k)
			for i := from; i < to; i++ {
				if i%1024 == 0 && ctx.Err() != nil {
					return
				}
				out[i] = m.nearest(vectors[which[i]], acc)
			}
		})
	}
	wg.Wait()
	return ctx.Err()
}

func (m *kmeans) nearest(v Vector, acc []float32) near {
	clear(acc)
	for i, d := range v.Dims {
		row := m.sums[int(d)*m.k : int(d)*m.k+m.k]
		x := v.Values[i]
		for c, s := range row[:len(acc)] {
			acc[c] += x * s
		}
	}
	n := near{-1, -2, -2}
	for c, s := range acc {
		s *= m.inverse[c]
		if s > n.best {
			n = near{int32(c), s, n.best}
		} else if s > n.other {
			n.other = s
		}
	}
	return n
}

// absorb adds a vector to a cluster.
func (m *kmeans) absorb(c int, v Vector) {
	for i, d := range v.Dims {
		at := int(d)*m.k + c
		s, x := float64(m.sums[at]), float64(v.Values[i])
		m.norm2[c] += 2*s*x + x*x
		m.sums[at] = float32(s + x)
	}
	m.counts[c]++
}

// empty makes a cluster's sum nothing.
func (m *kmeans) empty(c int) {
	for d := range m.dim {
		m.sums[d*m.k+c] = 0
	}
	m.norm2[c], m.counts[c] = 0, 0
}

func (m *kmeans) reset() {
	clear(m.sums)
	clear(m.norm2)
	clear(m.counts)
}

// seed chooses the first centroids by k-means++ (Arthur and Vassilvitskii 2007) among the vectors of which, each with
// probability in proportion to its distance 1 - cosine from those chosen. The first are given, where there are any. Every
// vector draws by its own key, so that one vector more mostly leaves the choice as it was.
func (m *kmeans) seed(ctx context.Context, vectors []Vector, keys []uint64, which []int32, given []Vector, seed uint64) error {
	far := make([]float64, len(which))
	for i := range far {
		far[i] = 1
	}
	dense := make([]float32, m.dim)
	for c := range m.k {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var v Vector
		if c < len(given) {
			v = given[c]
		} else {
			v = vectors[which[draw(far, func(i int) float64 { return uniform(keys[which[i]], mixed(seed, uint64(c))) })]]
		}
		m.absorb(c, v)
		for i, d := range v.Dims {
			dense[d] = v.Values[i]
		}
		for i, w := range which {
			x := vectors[w]
			dot := float32(0)
			for j, d := range x.Dims {
				dot += dense[d] * x.Values[j]
			}
			far[i] = min(far[i], max(0, 1-float64(dot)))
		}
		for _, d := range v.Dims {
			dense[d] = 0
		}
	}
	return nil
}

// draw picks an index in proportion to its weight, by the least of exponential times of those rates; any when all are 0.
func draw(weights []float64, uniform func(i int) float64) int {
	best, first := -1, math.Inf(1)
	for i, w := range weights {
		if w <= 0 {
			continue
		}
		if t := -math.Log(uniform(i)) / w; t < first {
			best, first = i, t
		}
	}
	if best < 0 {
		return int(uniform(0) * float64(len(weights)))
	}
	return best
}

// batches improves the centroids by mini-batches; clusters that a whole round of len(vectors) / batch batches leaves
// empty are seeded anew with the vector of the batch that is farthest from its centroid.
func (m *kmeans) batches(ctx context.Context, vectors []Vector, batch, iterations int, rng *rand.Rand) error {
	which, got := make([]int32, batch), make([]near, batch)
	lately := make([]int, m.k)
	round := max(2, min(10, len(vectors)/batch))
	for it := range iterations {
		for i := range which {
			which[i] = int32(rng.IntN(len(vectors)))
		}
		if err := m.assign(ctx, vectors, which, got); err != nil {
			return err
		}
		for i, n := range got {
			m.absorb(int(n.cluster), vectors[which[i]])
			lately[n.cluster]++
		}
		if (it+1)%round == 0 && it+1 < iterations {
			m.reseed(vectors, which, got, lately)
			clear(lately)
		}
	}
	return nil
}

// lloyd assigns every vector and moves the centroids to the sums of theirs, until nothing moves or for so many rounds.
func (m *kmeans) lloyd(ctx context.Context, vectors []Vector, rounds int) error {
	which, got := all(len(vectors)), make([]near, len(vectors))
	last := make([]int32, len(vectors))
	for r := range rounds {
		if err := m.assign(ctx, vectors, which, got); err != nil {
			return err
		}
		moved := 0
		m.reset()
		counts := make([]int, m.k)
		for i, n := range got {
			if r == 0 || last[i] != n.cluster {
				moved++
			}
			last[i] = n.cluster
			counts[n.cluster]++
			m.absorb(int(n.cluster), vectors[i])
		}
		seeded := m.reseed(vectors, which, got, counts)
		if seeded == 0 && moved*1000 <= len(vectors) {
			return nil
		}
	}
	return nil
}

// reseed gives every cluster without vectors the farthest one there is, each a different one; it returns how many. A
// vector that lies on its centroid is not taken: the cluster then stays empty.
func (m *kmeans) reseed(vectors []Vector, which []int32, got []near, counts []int) int {
	taken := map[int32]bool{}
	seeded := 0
	for c, n := range counts {
		if n > 0 {
			continue
		}
		far, worst := -1, float32(1-1e-4)
		for i, g := range got {
			if g.best < worst && !taken[which[i]] {
				far, worst = i, g.best
			}
		}
		if far < 0 {
			break
		}
		taken[which[far]] = true
		m.empty(c)
		m.absorb(c, vectors[which[far]])
		seeded++
	}
	return seeded
}

func all(n int) []int32 {
	out := make([]int32, n)
	for i := range out {
		out[i] = int32(i)
	}
	return out
}

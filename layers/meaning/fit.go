package meaning

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// MaxClusters is the most clusters a model may have.
const MaxClusters = 512

// Options of a fit. A zero field takes its default.
type Options struct {
	K          int    // clusters; 0: chosen between KMin and KMax
	KMin, KMax int    // defaults 4, and one cluster for every 25 shoppers but at most 300
	Seed       uint64 // the same vectors, options and seed give the same model
	Batch      int    // vectors of a mini-batch; default 4,096. As few vectors or fewer are all taken in every iteration
	Iterations int    // mini-batches; default 60. Rounds over all vectors, when they fit in a batch: at most half of it
	Workers    int    // goroutines; default 1, so that the serving path keeps its cores. The model does not depend on it
	Start      *Model // the model in use: its centroids are the first seeds, so that a refit moves few shoppers, and its number of clusters is kept where the chosen one is less than a step of the ladder away
	Prune      int    // attributes that a centroid keeps; default 256
}

func (o Options) withDefaults(n int) Options {
	o.Batch = cmp.Or(max(o.Batch, 0), 4096)
	o.Iterations = cmp.Or(max(o.Iterations, 0), 60)
	o.Prune = cmp.Or(max(o.Prune, 0), 256)
	o.KMin = max(cmp.Or(max(o.KMin, 0), 4), 1)
	o.KMax = min(cmp.Or(max(o.KMax, 0), min(300, n/25)), MaxClusters)
	o.KMax = max(o.KMax, o.KMin)
	return o
}

// Trial is one number of clusters that was tried.
type Trial struct {
	K          int     `json:"k"`
	Foretold   float64 `json:"foretold"`   // mean cosine of the hidden half of held-out tastes to their cluster
	Error      float64 `json:"error"`      // standard error of Foretold
	Silhouette float64 `json:"silhouette"` // simplified, on the same shoppers; for information
}

// Fit learns taste clusters from shoppers' vectors in the space: k-means++ seeding, mini-batches, two closing rounds
// over all vectors. Empty vectors are left out; fewer vectors than clusters is an error.
//
// Unless K is given, the number of clusters is chosen by how well clusters foretell (bi-cross-validation, Owen and Perry
// 2009): shoppers are held out, half of the attributes of each is hidden, the other half assigns the shopper, and the
// cosine of the hidden half to the cluster's is averaged. That is what clusters are for - to say what a shopper will like
// beyond what was seen - and it falls when clusters become too small to be true. A silhouette does not see it: on
// tastes, which overlap, it is nearly the same for every number. Of the ladder KMin times powers of sqrt 2 the smallest within one
// standard error of the best (the rule of Breiman et al. 1984), or half a percent where that is more, is taken, since every cluster more divides what
// the policy learns.
//
// A refit takes the model in use as Start: its centroids are the first seeds, so that few shoppers move, and its number
// of clusters is kept where the chosen one is less than a step of the ladder away. Match then carries the ids over.
func Fit(ctx context.Context, space *Space, vectors []Vector, o Options) (*Model, error) {
	var kept []Vector
	for _, v := range vectors {
		if len(v.Dims) > 0 {
			kept = append(kept, v)
		}
	}
	o = o.withDefaults(len(kept))
	if o.K > MaxClusters {
		return nil, fmt.Errorf("meaning: %d clusters; at most %d", o.K, MaxClusters)
	}
	if len(kept) < max(o.K, o.KMin) {
		return nil, fmt.Errorf("meaning: %d shoppers with a taste are too few for %d clusters", len(kept), max(o.K, o.KMin))
	}
	var trials []Trial
	if o.K <= 0 {
		var err error
		if o.K, trials, err = chooseK(ctx, space, kept, o); err != nil {
			return nil, err
		}
	}
	var given []Vector
	if o.Start != nil {
		if n := len(o.Start.Clusters); trials != nil && n >= o.KMin && n <= len(kept) && math.Abs(math.Log2(float64(n)/float64(o.K))) < 0.5 {
			o.K = n
		}
		given = o.Start.centroids(space)
	}
	km, err := cluster(ctx, space.Dim(), kept, given[:min(len(given), o.K)], o)
	if err != nil {
		return nil, err
	}
	m := &Model{Space: space, Trials: trials}
	m.Clusters = km.clusters(o.Prune)
	m.index()
	m.Shoppers = len(kept)
	for _, v := range kept {
		m.Clusters[m.nearest(v).cluster].Size++
	}
	m.Clusters = slices.DeleteFunc(m.Clusters, func(c Cluster) bool { return c.Size == 0 })
	slices.SortStableFunc(m.Clusters, func(a, b Cluster) int { return cmp.Compare(b.Size, a.Size) })
	m.index()
	m.name(background(space.Dim(), kept))
	return m, nil
}

// cluster runs the k-means of o.K clusters.
func cluster(ctx context.Context, dim int, vectors, given []Vector, o Options) (*kmeans, error) {
	rng := rand.New(rand.NewPCG(o.Seed, uint64(o.K)))
	m := newKmeans(o.K, dim, o.Workers)
	seeds := all(len(vectors))
	if most := max(4096, 20*o.K); len(seeds) > most {
		rng.Shuffle(len(seeds), func(i, j int) { seeds[i], seeds[j] = seeds[j], seeds[i] })
		seeds = seeds[:most]
	}
	if err := m.seed(ctx, vectors, seeds, given, rng); err != nil {
		return nil, err
	}
	if len(vectors) <= o.Batch {
		return m, m.lloyd(ctx, vectors, max(2, o.Iterations/2))
	}
	if err := m.batches(ctx, vectors, o.Batch, o.Iterations, rng); err != nil {
		return nil, err
	}
	return m, m.lloyd(ctx, vectors, 2)
}

// simplified is the mean of (b - a) / max(a, b), with a and b the distances 1 - cosine to the nearest centroid and to
// the next.
func simplified(got []near) float64 {
	if len(got) == 0 {
		return 0
	}
	sum := 0.0
	for _, n := range got {
		a, b := max(0, 1-float64(n.best)), max(0, 1-float64(n.other))
		if b > 0 {
			sum += (b - a) / b
		}
	}
	return sum / float64(len(got))
}

// clusters returns the centroids, each with its heaviest attributes, length 1.
func (m *kmeans) clusters(most int) []Cluster {
	out := make([]Cluster, m.k)
	for c := range out {
		var ws []Weighted
		for d := range m.dim {
			if s := m.sums[d*m.k+c]; s > 0 {
				ws = append(ws, Weighted{int32(d), s})
			}
		}
		slices.SortFunc(ws, func(a, b Weighted) int { return cmp.Or(cmp.Compare(b.Weight, a.Weight), cmp.Compare(a.Dim, b.Dim)) })
		ws = ws[:min(len(ws), most)]
		sum := 0.0
		for _, w := range ws {
			sum += float64(w.Weight) * float64(w.Weight)
		}
		for i := range ws {
			ws[i].Weight = float32(float64(ws[i].Weight) / math.Sqrt(sum))
		}
		slices.SortFunc(ws, func(a, b Weighted) int { return cmp.Compare(a.Dim, b.Dim) })
		out[c].Centroid = ws
	}
	return out
}

// background is the direction of all shoppers together.
func background(dim int, vectors []Vector) []float64 {
	out := make([]float64, dim)
	for _, v := range vectors {
		for i, d := range v.Dims {
			out[d] += float64(v.Values[i])
		}
	}
	norm := 0.0
	for _, x := range out {
		norm += x * x
	}
	if norm > 0 {
		for i := range out {
			out[i] /= math.Sqrt(norm)
		}
	}
	return out
}

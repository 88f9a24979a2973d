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
	Start      *Model // the model in use: its centroids are the first seeds, so that a refit moves few shoppers
	Prune      int    // attributes that a centroid keeps; default 256

	Keys []uint64 // of the vectors' shoppers (KeyOf), so that who is held out stays held out; nil: of the vectors
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
	Foretold   float64 `json:"foretold"`            // mean cosine of the hidden half of held-out tastes to their cluster
	Error      float64 `json:"error"`               // standard error of Foretold
	Silhouette float64 `json:"silhouette"`          // simplified, on the same shoppers; for information
	Gain       float64 `json:"gain,omitempty"`      // mean difference of Foretold to that of the number held until then, shopper by shopper
	GainError  float64 `json:"gainError,omitempty"` // standard error of Gain
}

// Fit learns taste clusters from shoppers' vectors in the space: k-means++ seeding, mini-batches, closing rounds over all
// vectors; clusters that are too small are merged into their neighbours (MinSize). Empty vectors are left out; fewer
// vectors than clusters is an error.
//
// Unless K is given, the number of clusters is chosen by how well clusters foretell (bi-cross-validation, Owen and Perry
// 2009): shoppers are held out, half of the attributes of each is hidden, the other half assigns the shopper, and the
// cosine of the hidden half to the cluster's is averaged. That is what clusters are for - to say what a shopper will like
// beyond what was seen - and it falls when clusters become too small to be true. A silhouette does not see it: on
// tastes, which overlap, it is nearly the same for every number. A number takes the place of a smaller one of the ladder,
// KMin times powers of sqrt 2, only where it foretells better by more than two standard errors of the paired difference
// and by more than a hundredth, since every cluster more divides what the policy learns.
//
// A refit takes the model in use as Start: its centroids are the first seeds, so that few shoppers move, and its number
// of clusters stays, unless one of the ladder around it beats it as above, but by three standard errors, and then moves
// by one step towards it. Clusters that a person named or
// gave a voice, then the largest, are the last to go; the former stay as long as they have a shopper. Match then carries
// the ids over.
func Fit(ctx context.Context, space *Space, vectors []Vector, o Options) (*Model, error) {
	if o.Keys != nil && len(o.Keys) != len(vectors) {
		return nil, fmt.Errorf("meaning: %d keys of %d shoppers", len(o.Keys), len(vectors))
	}
	var kept []Vector
	var keys []uint64
	for i, v := range vectors {
		switch {
		case len(v.Dims) == 0:
			continue
		case o.Keys != nil:
			keys = append(keys, o.Keys[i])
		default:
			keys = append(keys, v.key())
		}
		kept = append(kept, v)
	}
	o = o.withDefaults(len(kept))
	if o.K > MaxClusters {
		return nil, fmt.Errorf("meaning: %d clusters; at most %d", o.K, MaxClusters)
	}
	if len(kept) < max(o.K, o.KMin) {
		return nil, fmt.Errorf("meaning: %d shoppers with a taste are too few for %d clusters", len(kept), max(o.K, o.KMin))
	}
	var given []Vector
	if o.Start != nil {
		given = o.Start.centroids(space)
		given = given[:min(len(given), len(kept))]
	}
	var trials []Trial
	if o.K <= 0 {
		var err error
		if o.K, trials, err = chooseK(ctx, space, kept, keys, given, o); err != nil {
			return nil, err
		}
	}
	km, err := cluster(ctx, space.Dim(), kept, keys, given[:min(len(given), o.K)], o)
	if err != nil {
		return nil, err
	}
	m := &Model{Space: space, Trials: trials, Shoppers: len(kept)}
	m.Clusters = km.clusters(o.Prune)
	m.index()
	least := MinSize(len(kept))
	for i := range m.Clusters {
		m.Clusters[i].least = least
	}
	m.keep(o.Start, (least+1)/2)
	m.merge(kept)
	slices.SortStableFunc(m.Clusters, func(a, b Cluster) int { return cmp.Compare(b.Size, a.Size) })
	m.index()
	m.name(background(space.Dim(), kept))
	return m, nil
}

// MinSize is the least size of a new cluster among so many shoppers: 10, or 0.2% of them. One of the model in use may shrink
// to half of it, so that it does not come and go; one that a person named or gave a voice to a single shopper.
func MinSize(shoppers int) int { return max(10, (shoppers+499)/500) }

// keep gives the clusters of the model in use their heirs, the new clusters that they are paired with, which may be as
// small as least; those that a person named or gave a voice have one in any case, if need be of their centroid as it was.
func (m *Model) keep(old *Model, least int) {
	if old == nil {
		return
	}
	has := map[int]bool{}
	for j, i := range pairUp(old, m, crossSimilarities(old, m)) {
		if i < 0 {
			continue
		}
		has[i] = true
		c := &m.Clusters[j]
		if c.heir, c.least = old.Clusters[i].ID, least; old.Clusters[i].dear() {
			c.least = 1
		}
	}
	for i, c := range old.Clusters {
		if !c.dear() || has[i] || len(m.Clusters) >= MaxClusters {
			continue
		}
		if v := old.centroid(&c, m.Space); len(v.Dims) > 0 {
			heir := Cluster{heir: c.ID, least: 1}
			for k, d := range v.Dims {
				heir.Centroid = append(heir.Centroid, Weighted{d, v.Values[k]})
			}
			m.Clusters = append(m.Clusters, heir)
		}
	}
	m.index()
}

// merge takes out clusters of fewer shoppers than their least, the smallest first, and leaves their shoppers to the next
// nearest. It sets the sizes.
func (m *Model) merge(vectors []Vector) {
	members := make([][]int32, len(m.Clusters))
	for i, v := range vectors {
		if n := m.nearest(v); n.best > 0 {
			members[n.cluster] = append(members[n.cluster], int32(i))
		}
	}
	gone := make([]bool, len(m.Clusters))
	acc := make([]float32, len(m.Clusters))
	for left := len(m.Clusters); left > 1; left-- {
		small := -1
		for c := range m.Clusters {
			if !gone[c] && len(members[c]) < m.Clusters[c].least && (small < 0 || len(members[c]) < len(members[small])) {
				small = c
			}
		}
		if small < 0 {
			break
		}
		gone[small] = true
		for _, i := range members[small] {
			clear(acc)
			m.similarities(vectors[i], acc)
			best, top := -1, float32(0)
			for c, s := range acc {
				if !gone[c] && s > top {
					best, top = c, s
				}
			}
			if best >= 0 {
				members[best] = append(members[best], i)
			}
		}
		members[small] = nil
	}
	var out []Cluster
	for c := range m.Clusters {
		if !gone[c] {
			m.Clusters[c].Size = len(members[c])
			out = append(out, m.Clusters[c])
		}
	}
	m.Clusters = out
}

// rounds bounds the closing rounds over all vectors of a fit on more than a batch; they end when nothing moves any more.
const rounds = 10

// cluster runs the k-means of o.K clusters.
func cluster(ctx context.Context, dim int, vectors []Vector, keys []uint64, given []Vector, o Options) (*kmeans, error) {
	m := newKmeans(o.K, dim, o.Workers)
	if err := m.seed(ctx, vectors, keys, sample(keys, max(4096, 20*o.K), 2), given, o.Seed); err != nil {
		return nil, err
	}
	if len(vectors) <= o.Batch {
		return m, m.lloyd(ctx, vectors, max(2, o.Iterations/2))
	}
	if len(given) == 0 { // what is in use is no rough beginning, and a mini-batch of its first shoppers would move it far
		rng := rand.New(rand.NewPCG(o.Seed, uint64(o.K)))
		if err := m.batches(ctx, vectors, o.Batch, o.Iterations, rng); err != nil {
			return nil, err
		}
	}
	return m, m.lloyd(ctx, vectors, rounds)
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

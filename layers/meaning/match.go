package meaning

import (
	"cmp"
	"iter"
	"math"
	"slices"
	"strings"
)

// MatchThreshold is the least cosine of two centroids at which a new cluster takes over an old one's id. Measured on
// Online Retail (TestClustersOnRealData): a refit from the model in use matches at 0.98 and more, one from nothing at a
// median of 0.92.
const MatchThreshold = 0.5

// Matching says what became of the clusters of an old model in a new one.
type Matching struct {
	Kept    []Kept   // in order of the new model's clusters
	New     []string // ids
	Retired []string // ids
}

// Kept is a cluster that lives on.
type Kept struct {
	ID         string
	Similarity float64 // of the old centroid and the new, cosine
}

// Match returns the new model with the ids, the names that people gave, and the voices of the old one's clusters. Old and new
// are paired so that the similarities add up to the most (Kuhn 1955, Munkres 1957), pairs under MatchThreshold left out;
// attributes are compared by what they are, so the vocabulary may have changed. A new cluster without an old one gets an
// id that was never in use; ids of old clusters without a new one are retired for good. Fit with Start sees to it that
// clusters which a person named or gave a voice have a new one.
func Match(old, next *Model) (*Model, Matching) {
	out := *next
	out.Clusters = slices.Clone(next.Clusters)
	if old == nil {
		mt := Matching{}
		for _, c := range out.Clusters {
			mt.New = append(mt.New, c.ID)
		}
		return &out, mt
	}
	sims := crossSimilarities(old, next)
	var mt Matching
	pair := pairUp(old, next, sims)
	lives := make([]bool, len(old.Clusters))
	used := map[string]bool{}
	for _, c := range old.Clusters {
		used[c.ID] = true
	}
	out.Retired = slices.Clone(old.Retired)
	for _, id := range out.Retired {
		used[id] = true
	}
	names := map[string]bool{}
	fresh := make([]bool, len(out.Clusters))
	for j := range out.Clusters {
		c := &out.Clusters[j]
		i := pair[j]
		c.heir = ""
		if i < 0 {
			fresh[j] = true
			continue
		}
		was := old.Clusters[i]
		lives[i] = true
		c.ID, c.Voice, c.Renamed = was.ID, was.Voice, was.Renamed
		if was.Renamed {
			c.Name = was.Name
			names[strings.ToLower(c.Name)] = true
		}
		mt.Kept = append(mt.Kept, Kept{c.ID, sims[i][j]})
	}
	for j := range out.Clusters {
		c := &out.Clusters[j]
		if !c.Renamed { // a name that a person gave stands before an automatic one
			c.Name = free([]string{c.Name}, names)
			c.Auto = c.Name
			names[strings.ToLower(c.Name)] = true
		}
		if fresh[j] {
			c.ID = freeID(c.Name, func(id string) bool { return used[id] })
			used[c.ID] = true
			mt.New = append(mt.New, c.ID)
		}
	}
	for i, c := range old.Clusters {
		if !lives[i] {
			mt.Retired = append(mt.Retired, c.ID)
		}
	}
	out.Retired = append(out.Retired, mt.Retired...)
	slices.Sort(out.Retired)
	out.index()
	return &out, mt
}

// pairUp returns the old cluster of each new one, -1 for none: heirs with whom they carry on, the others so that the
// similarities add up to the most.
func pairUp(old, next *Model, sims [][]float64) []int {
	n := max(len(old.Clusters), len(next.Clusters))
	cost := make([][]float64, n)
	for i := range cost {
		cost[i] = make([]float64, n)
		for j := range cost[i] {
			if i >= len(old.Clusters) || j >= len(next.Clusters) {
				continue
			}
			switch {
			case next.Clusters[j].heir != "" && next.Clusters[j].heir == old.Clusters[i].ID:
				cost[i][j] = -2 * float64(n) // before whatever the others add up to
			case sims[i][j] >= MatchThreshold:
				cost[i][j] = -sims[i][j]
			}
		}
	}
	pair := hungarian(cost)[:len(next.Clusters)]
	for j, i := range pair {
		if i >= len(old.Clusters) || cost[i][j] == 0 {
			pair[j] = -1
		}
	}
	return pair
}

// centroids returns the model's centroids in another space, those with something left in it: the clusters that a person
// named or gave a voice, then the others, the largest first.
func (m *Model) centroids(space *Space) []Vector {
	order := slices.Clone(m.Clusters)
	slices.SortStableFunc(order, func(a, b Cluster) int {
		return cmp.Or(cmp.Compare(index(b.dear()), index(a.dear())), cmp.Compare(b.Size, a.Size))
	})
	var out []Vector
	for i := range order {
		if v := m.centroid(&order[i], space); len(v.Dims) > 0 {
			out = append(out, v)
		}
	}
	return out
}

// centroid returns a cluster's centroid in another space, empty where nothing of it is left.
func (m *Model) centroid(c *Cluster, space *Space) Vector {
	s := sums{of: make([]float32, space.Dim())}
	for _, w := range c.Centroid {
		if d, ok := space.dims[m.Space.Attributes[w.Dim].Key]; ok {
			s.of[d] = w.Weight * w.Weight
			s.touched = append(s.touched, d)
		}
	}
	return s.vector(len(s.of))
}

// crossSimilarities returns the cosine of every old centroid with every new one.
func crossSimilarities(old, next *Model) [][]float64 {
	byKey := make([]int32, old.Space.Dim()) // the new dimension of each old one, -1 for none
	for i, a := range old.Space.Attributes {
		byKey[i] = -1
		if d, ok := next.Space.dims[a.Key]; ok {
			byKey[i] = d
		}
	}
	out := make([][]float64, len(old.Clusters))
	for i, c := range old.Clusters {
		out[i] = make([]float64, len(next.Clusters))
		for _, w := range c.Centroid {
			d := byKey[w.Dim]
			if d < 0 {
				continue
			}
			for _, p := range next.postings[next.starts[d]:next.starts[d+1]] {
				out[i][p.cluster] += float64(w.Weight) * float64(p.weight)
			}
		}
	}
	return out
}

// hungarian returns, for each column, the row that a cheapest complete assignment of a square matrix gives it, in
// O(n^3), by shortest augmenting paths with potentials (Jonker and Volgenant 1987).
func hungarian(cost [][]float64) []int {
	n := len(cost)
	u, v := make([]float64, n+1), make([]float64, n+1)
	row, way := make([]int, n+1), make([]int, n+1)
	for i := 1; i <= n; i++ {
		row[0] = i
		j0 := 0
		least, used := make([]float64, n+1), make([]bool, n+1)
		for j := range least {
			least[j] = math.Inf(1)
		}
		for {
			used[j0] = true
			i0, delta, j1 := row[j0], math.Inf(1), 0
			for j := 1; j <= n; j++ {
				if used[j] {
					continue
				}
				if c := cost[i0-1][j-1] - u[i0] - v[j]; c < least[j] {
					least[j], way[j] = c, j0
				}
				if least[j] < delta {
					delta, j1 = least[j], j
				}
			}
			for j := 0; j <= n; j++ {
				if used[j] {
					u[row[j]] += delta
					v[j] -= delta
				} else {
					least[j] -= delta
				}
			}
			if j0 = j1; row[j0] == 0 {
				break
			}
		}
		for j0 != 0 {
			row[j0] = row[way[j0]]
			j0 = way[j0]
		}
	}
	out := make([]int, n)
	for j := 1; j <= n; j++ {
		out[j-1] = row[j] - 1
	}
	return out
}

// Moved counts the shoppers with a cluster in either model, and those of them whose cluster's id differs between the
// two. tastes yields each shopper's taste in the old model's space, empty where there is none, and in the new one's.
func Moved(old, next *Model, tastes iter.Seq2[Vector, Vector]) (moved, of int) {
	for before, after := range tastes {
		var a Assignment
		if old != nil {
			a, _ = old.Assign(before)
		}
		b, _ := next.Assign(after)
		if a.ID == "" && b.ID == "" {
			continue
		}
		of++
		if a.ID != b.ID {
			moved++
		}
	}
	return moved, of
}

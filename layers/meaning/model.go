package meaning

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/juncture/juncture"
)

// Voice is how copy speaks to a cluster.
type Voice struct {
	Tone  string   `json:"tone,omitempty"`
	Use   []string `json:"use,omitempty"`
	Avoid []string `json:"avoid,omitempty"`
}

// Weighted is one attribute of a centroid.
type Weighted struct {
	Dim    int32
	Weight float32
}

// Cluster is one taste that shoppers of the store share.
type Cluster struct {
	ID       string     // the layer's value: a slug of its first name, never changed and never used again
	Name     string     // as people read it; unique in the model
	Auto     string     // the name that it has, or had before a person gave it another
	Renamed  bool       // by a person: a refit leaves the name alone
	Size     int        // shoppers at the fit
	Top      []string   // its most distinctive attributes, the most distinctive first
	Voice    Voice      //
	Centroid []Weighted // length 1, in order of Dim

	heir  string // the id of the cluster of the model in use that it carries on; until Match
	least int    // shoppers that it must have; during a fit
}

// dear reports whether a person named the cluster or gave it a voice: it is not retired while it has a shopper.
func (c Cluster) dear() bool {
	return c.Renamed || c.Voice.Tone != "" || len(c.Voice.Use) > 0 || len(c.Voice.Avoid) > 0
}

// Model is a store's taste clusters. Everything but names and voices is immutable once fitted; it is safe for concurrent
// reading.
type Model struct {
	Space    *Space
	Clusters []Cluster
	Retired  []string // ids that were in use once and must not come back
	Shoppers int      // it was fitted on
	Trials   []Trial  // of the choice of k, when it was chosen

	starts   []int32 // where each dimension's postings begin
	postings []posting
	byID     map[string]int
}

type posting struct {
	cluster int32
	weight  float32
}

// index builds what assignment reads: for each attribute the clusters that have it.
func (m *Model) index() {
	dim := m.Space.Dim()
	m.starts = make([]int32, dim+1)
	total := 0
	for _, c := range m.Clusters {
		for _, w := range c.Centroid {
			m.starts[w.Dim+1]++
			total++
		}
	}
	for d := range dim {
		m.starts[d+1] += m.starts[d]
	}
	m.postings = make([]posting, total)
	at := slices.Clone(m.starts)
	m.byID = make(map[string]int, len(m.Clusters))
	for i, c := range m.Clusters {
		if c.ID != "" {
			m.byID[c.ID] = i
		}
		for _, w := range c.Centroid {
			m.postings[at[w.Dim]] = posting{int32(i), w.Weight}
			at[w.Dim]++
		}
	}
}

// similarities adds up the cosines of a vector to every cluster.
func (m *Model) similarities(v Vector, acc []float32) {
	for i, d := range v.Dims {
		x := v.Values[i]
		for _, p := range m.postings[m.starts[d]:m.starts[d+1]] {
			acc[p.cluster] += x * p.weight
		}
	}
}

func (m *Model) nearest(v Vector) near {
	var buf [MaxClusters]float32
	acc := buf[:len(m.Clusters)]
	m.similarities(v, acc)
	n := near{-1, -2, -2}
	for c, s := range acc {
		if s > n.best {
			n = near{int32(c), s, n.best}
		} else if s > n.other {
			n.other = s
		}
	}
	return n
}

// Assignment is where a vector belongs.
type Assignment struct {
	ID         string
	Similarity float64 // cosine to the centroid, in [0,1]
	Margin     float64 // over the next cluster, in [0,1]
}

// Assign returns the nearest cluster; false for an empty vector, one that shares no attribute with any cluster, or no
// clusters.
func (m *Model) Assign(v Vector) (Assignment, bool) {
	n := m.nearest(v)
	if n.cluster < 0 || n.best <= 0 {
		return Assignment{}, false
	}
	return Assignment{m.Clusters[n.cluster].ID, min(1, float64(n.best)), min(1, float64(n.best-max(0, n.other)))}, true
}

// Settle is Assign with hysteresis: a shopper who was in the cluster previous stays there until another is nearer by
// stick. The margin is then 0, or as far as the cluster is ahead.
func (m *Model) Settle(previous string, v Vector, stick float64) (Assignment, bool) {
	a, ok := m.Assign(v)
	i, known := m.byID[previous]
	if !ok || !known || a.ID == previous {
		return a, ok
	}
	s := 0.0
	for _, w := range m.Clusters[i].Centroid {
		if j, found := slices.BinarySearch(v.Dims, w.Dim); found {
			s += float64(w.Weight) * float64(v.Values[j])
		}
	}
	if a.Similarity-s < stick {
		return Assignment{previous, s, 0}, true
	}
	return a, true
}

// Nearness is a cluster with how much a shopper belongs to it.
type Nearness struct {
	ID     string
	Weight float64 // sums to 1
	Name   string
}

// Nearest returns the at most n nearest clusters, weighted by the fourth power of their similarity: in between two
// tastes a shopper is recommended from both.
func (m *Model) Nearest(v Vector, n int) []Nearness {
	acc := make([]float32, len(m.Clusters))
	m.similarities(v, acc)
	order := all(len(acc))
	slices.SortStableFunc(order, func(a, b int32) int {
		switch {
		case acc[a] > acc[b]:
			return -1
		case acc[a] < acc[b]:
			return 1
		}
		return 0
	})
	var out []Nearness
	sum := 0.0
	for _, c := range order[:min(n, len(order))] {
		if w := math.Pow(float64(acc[c]), 4); acc[c] > 0 {
			out = append(out, Nearness{m.Clusters[c].ID, w, m.Clusters[c].Name})
			sum += w
		}
	}
	for i := range out {
		out[i].Weight /= sum
	}
	return out
}

// Confidence is how far an assignment can be relied upon, in [0,1]: how much was seen (1 - 2^(-evidence/4), half at
// four product views) times how clear it is (from a half at no margin to 1 where the next cluster is a quarter less
// similar).
func Confidence(evidence float64, a Assignment) float64 {
	if a.Similarity <= 0 || evidence <= 0 {
		return 0
	}
	clear := min(1, 4*a.Margin/a.Similarity)
	return (1 - math.Exp2(-evidence/4)) * (0.5 + 0.5*clear)
}

// View is the layer of a shopper now. previous is the cluster that the shopper's older touches lean to, "" for none.
func (m *Model) View(t Taste, previous string, now time.Time, set Settings) juncture.LayerView {
	set = set.WithDefaults()
	if m == nil || len(m.Clusters) == 0 {
		return juncture.LayerView{Value: juncture.Unknown, Reason: "no taste clusters have been learnt yet"}
	}
	if t.Touches < set.MinTouches {
		return juncture.LayerView{Value: juncture.Unknown, Reason: fmt.Sprintf("%s of taste seen; it takes %d", count(t.Touches, "product"), set.MinTouches)}
	}
	a, ok := m.Settle(previous, t.Vector, set.Stick)
	if !ok {
		return juncture.LayerView{Value: juncture.Unknown, Reason: "nothing that the shopper looked at is in the clusters' vocabulary"}
	}
	conf := Confidence(t.Evidence*min(1, fade(now.UnixMilli()-t.At, set.HalfLife)), a)
	c := m.Clusters[m.byID[a.ID]]
	if conf < set.MinConfidence {
		return juncture.LayerView{Value: juncture.Unknown, Confidence: conf, Reason: fmt.Sprintf("nearest to %s, but %s weigh too little or lie between clusters (confidence %.2f)",
			c.Name, count(t.Touches, "product"), conf)}
	}
	return juncture.LayerView{Value: a.ID, Confidence: conf, Reason: fmt.Sprintf("%s lean to %s: %s (similarity %.2f, %.2f over the next)",
		count(t.Touches, "product"), c.Name, strings.Join(m.shared(t.Vector, &c, 3), ", "), a.Similarity, a.Margin)}
}

// shared returns the attributes that bring a taste to a cluster, the strongest first.
func (m *Model) shared(v Vector, c *Cluster, n int) []string {
	pulls := make([]float32, len(v.Dims))
	j := 0
	for i, d := range v.Dims {
		for j < len(c.Centroid) && c.Centroid[j].Dim < d {
			j++
		}
		if j < len(c.Centroid) && c.Centroid[j].Dim == d {
			pulls[i] = v.Values[i] * c.Centroid[j].Weight
		}
	}
	var out []string
	for len(out) < n {
		best := -1
		for i, x := range pulls {
			if x > 0 && (best < 0 || x > pulls[best]) {
				best = i
			}
		}
		if best < 0 {
			break
		}
		pulls[best] = 0
		if value := m.Space.Attributes[v.Dims[best]].Value; !slices.Contains(out, value) {
			out = append(out, value)
		}
	}
	return out
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Cluster returns a cluster by id.
func (m *Model) Cluster(id string) (Cluster, bool) {
	i, ok := m.byID[id]
	if !ok {
		return Cluster{}, false
	}
	return m.Clusters[i], true
}

// With returns a copy of the model in which one cluster has another name (left alone when nil; the automatic one again
// when empty) and voice (when not nil). The id stays. Names are at most 80 bytes and unique. The error is CodeNotFound
// where there is no such cluster.
func (m *Model) With(id string, name *string, voice *Voice) (*Model, error) {
	i, ok := m.byID[id]
	if !ok {
		return nil, juncture.Errorf(juncture.CodeNotFound, "no taste cluster %.80q", id)
	}
	out := *m
	out.Clusters = slices.Clone(m.Clusters)
	c := &out.Clusters[i]
	if name != nil {
		given := strings.TrimSpace(*name)
		if len(given) > 80 {
			return nil, juncture.Errorf(juncture.CodeInvalidRequest, "the name %.80q is over 80 bytes", given)
		}
		taken := map[string]bool{}
		for j, other := range m.Clusters {
			if j != i && strings.EqualFold(other.Name, given) {
				return nil, juncture.Errorf(juncture.CodeInvalidRequest, "another cluster is called %q", other.Name)
			}
			taken[strings.ToLower(other.Name)] = j != i || taken[strings.ToLower(other.Name)]
		}
		if c.Auto == "" { // of a model of an earlier version
			if c.Auto = c.Name; c.Renamed {
				c.Auto = strings.ReplaceAll(c.ID, "-", " ")
			}
		}
		if c.Name, c.Renamed = given, given != ""; given == "" {
			c.Name = free([]string{c.Auto}, taken)
		}
	}
	if voice != nil {
		c.Voice = *voice
	}
	return &out, nil
}

// Rename is With a name alone, which must not be empty.
func (m *Model) Rename(id, name string) (*Model, error) {
	if strings.TrimSpace(name) == "" {
		return nil, juncture.Errorf(juncture.CodeInvalidRequest, "a cluster needs a name")
	}
	return m.With(id, &name, nil)
}

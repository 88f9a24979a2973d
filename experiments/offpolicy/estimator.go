package offpolicy

import (
	"hash/fnv"
	"math"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/juncture/juncture"
)

// Settings of an estimator. Zero fields mean the defaults.
type Settings struct {
	Alpha    float64 // 1 − coverage of the intervals, in (0, 1); 0: 0.05
	Clusters int     // sums kept apart, 48 bytes each; 0: 4,096
	Clip     float64 // largest weight of the clipped estimator; 0: 10
	Tuned    int     // rows at which the anytime-valid interval is narrowest; 0: 10,000
	// Difference: weights are those of one policy less those of another, and sum to 0, not to the rows. What is asked of
	// weights is then to be asked of both policies' own estimates.
	Difference bool
}

func (s Settings) withDefaults() Settings {
	if !(s.Alpha > 0 && s.Alpha < 1) {
		s.Alpha = 0.05
	}
	if s.Clusters <= 0 {
		s.Clusters = 1 << 12
	}
	if !(s.Clip > 0) {
		s.Clip = 10
	}
	if s.Tuned <= 0 {
		s.Tuned = 10_000
	}
	return s
}

// Row is one logged decision as the target policy sees it.
type Row struct {
	Cluster string  // whose decision: rows of one cluster may depend on one another; empty: a cluster of its own
	Weight  float64 // the target's probability of the arm that was shown, over the one it was drawn with
	Reward  float64
	Served  float64 // the model's prediction for the arm that was shown, made from data before the decision; 0: no model
	Direct  float64 // Σ over the eligible arms of the target's probability × the model's prediction
}

// What is summed of rows. All estimators are ratios of these sums.
const (
	count    = iota
	weighted // weight × reward
	weight
	direct
	residual // weight × (reward − prediction)
	clipped  // min(weight, clip) × reward
	sums
)

type vector [sums]float64

func (v *vector) dot(c *vector) float64 {
	s := 0.0
	for i := range v {
		s += v[i] * c[i]
	}
	return s
}

// Estimator sums rows. Rows that share a cluster may depend on one another, clusters may not: variances are of sums over
// clusters (Liang and Zeger, Biometrika 73, 1986). There are Settings.Clusters sums and no more; a row's cluster is found
// by a hash. Where there are more clusters than sums several share one, which is a coarser clustering and as valid: it
// costs the variance some precision, √(2/sums) of it.
type Estimator struct {
	set      Settings
	total    vector
	clusters []vector            // by hash; nil until a row names a cluster
	single   [sums][sums]float64 // second moments of the rows that are clusters of their own
	alone    int                 // how many these are
	squares  float64             // Σ weight²
	most     float64             // largest |weight|
	hits     int                 // rows with a weight and a reward
}

// New returns an empty estimator.
func New(s Settings) *Estimator { return &Estimator{set: s.withDefaults()} }

// Rows returns how many rows were added.
func (e *Estimator) Rows() int { return int(e.total[count]) }

// Add adds a row. What is not finite, or a weight below 0 unless of a difference, is CodeInvalidRequest.
func (e *Estimator) Add(r Row) error {
	for _, v := range [...]float64{r.Weight, r.Reward, r.Served, r.Direct} {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return juncture.Errorf(juncture.CodeInvalidRequest, "row %d has a figure that is not finite: %+v", e.Rows()+1, r)
		}
	}
	if r.Weight < 0 && !e.set.Difference {
		return juncture.Errorf(juncture.CodeInvalidRequest, "row %d has the weight %g", e.Rows()+1, r.Weight)
	}
	v := vector{count: 1, weighted: r.Weight * r.Reward, weight: r.Weight, direct: r.Direct,
		residual: r.Weight * (r.Reward - r.Served), clipped: max(-e.set.Clip, min(r.Weight, e.set.Clip)) * r.Reward}
	for i := range v {
		e.total[i] += v[i]
	}
	e.squares += r.Weight * r.Weight
	e.most = max(e.most, math.Abs(r.Weight))
	if r.Weight != 0 && r.Reward != 0 {
		e.hits++
	}
	if r.Cluster == "" {
		e.alone++
		for i := range v {
			for j := range v {
				e.single[i][j] += v[i] * v[j]
			}
		}
		return nil
	}
	if e.clusters == nil {
		e.clusters = make([]vector, e.set.Clusters)
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(r.Cluster)) // a hash takes everything
	c := &e.clusters[h.Sum64()%uint64(len(e.clusters))]
	for i := range v {
		c[i] += v[i]
	}
	return nil
}

// spread is the square root of Σ over clusters of (c · the cluster's sums)², and how many clusters have rows.
func (e *Estimator) spread(c vector) (root float64, groups int) {
	sum := 0.0
	for i := range c {
		for j := range c {
			sum += c[i] * c[j] * e.single[i][j]
		}
	}
	groups = e.alone
	for i := range e.clusters {
		if e.clusters[i][count] > 0 {
			d := e.clusters[i].dot(&c)
			sum += d * d
			groups++
		}
	}
	return math.Sqrt(max(0, sum)), groups
}

// Figure is an estimate with its standard error and its interval for a log of a length that was fixed before.
type Figure struct {
	Value float64 `json:"value"`
	SE    float64 `json:"standardError"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// Interval is a range of values.
type Interval struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Estimate is what a log says of a target policy's value, the mean reward of a decision.
type Estimate struct {
	Rows       int     `json:"rows"`
	Effective  float64 `json:"effective"` // (Σw)²/Σw², Kish 1965: how many rows of equal weight would say as much; of a difference 0
	MeanWeight float64 `json:"meanWeight"`
	MaxWeight  float64 `json:"maxWeight"`
	Hits       int     `json:"hits"` // rows with a weight and a reward that is not 0

	IPS     Figure `json:"ips"`     // mean of w·r (Horvitz and Thompson 1952)
	SNIPS   Figure `json:"snips"`   // Σw·r / Σw (Swaminathan and Joachims, NIPS 2015), delta method
	Clipped Figure `json:"clipped"` // mean of min(w, clip)·r: biased, steady
	DM      Figure `json:"dm"`      // the model alone; its interval knows nothing of the model's error
	DR      Figure `json:"dr"`      // mean of the model + w·(r − its prediction) (Dudík, Langford and Li, ICML 2011)
	SNDR    Figure `json:"sndr"`    // DR with the correction divided by Σw, delta method

	// Anytime is the interval of DR that holds at every look at once, also on a log whose policy learnt as it went: the
	// asymptotic confidence sequence over the martingale of the DR terms (Waudby-Smith, Wu, Ramdas, Karampatziakis and
	// Mineiro, "Anytime-valid off-policy inference for contextual bandits", 2022; width of arXiv 2103.06476, Theorem 2.2),
	// its variance the clustered one. It covers the mean over the rows so far of the target's value at each.
	Anytime  Interval `json:"anytime"`
	Warnings []string `json:"warnings"`
	Refused  string   `json:"refused,omitempty"` // why no figure may be read; empty: they may
}

// Estimate returns what the rows say so far. Refused with no rows, or where their effective number is under 1% of them or
// under 50 (statistics E.9): figures are 0 then.
func (e *Estimator) Estimate() Estimate {
	n, t := e.total[count], &e.total
	out := Estimate{Rows: e.Rows(), MaxWeight: e.most, Hits: e.hits, Warnings: []string{}}
	if n == 0 {
		out.Refused = "no decision can be used"
		return out
	}
	out.MeanWeight = t[weight] / n
	if !e.set.Difference && e.squares > 0 {
		out.Effective = t[weight] * t[weight] / e.squares
	}
	if out.Refused = e.refusal(&out); out.Refused != "" {
		return out
	}
	out.figures(e)
	out.Warnings = append(out.Warnings, e.warnings(&out)...)
	return out
}

// Figures is Estimate without refusals: for comparisons of estimators, never for people who decide.
func (e *Estimator) Figures() Estimate {
	out := e.Estimate()
	if e.Rows() > 0 {
		out.figures(e)
	}
	return out
}

func (out *Estimate) figures(e *Estimator) {
	n, t := e.total[count], &e.total
	z := distuv.UnitNormal.Quantile(1 - e.set.Alpha/2)
	mean := func(c vector) Figure { // of a linear sum: c without its count
		f := Figure{Value: t.dot(&c) / n}
		c[count] = -f.Value
		root, groups := e.spread(c)
		if groups > 1 {
			f.SE = root / n * math.Sqrt(float64(groups)/float64(groups-1))
		}
		return f.around(z)
	}
	out.IPS = mean(vector{weighted: 1})
	out.Clipped = mean(vector{clipped: 1})
	out.DM = mean(vector{direct: 1})
	out.DR = mean(vector{direct: 1, residual: 1})
	if w := t[weight]; w > 0 && !e.set.Difference {
		out.SNIPS.Value = t[weighted] / w
		root, _ := e.spread(vector{weighted: 1, weight: -out.SNIPS.Value})
		out.SNIPS.SE = root / w
		out.SNIPS = out.SNIPS.around(z)
		fix := t[residual] / w
		out.SNDR.Value = out.DM.Value + fix
		out.SNDR.SE, _ = e.spread(vector{count: -out.DM.Value / n, direct: 1 / n, residual: 1 / w, weight: -fix / w})
		out.SNDR = out.SNDR.around(z)
	}
	half := AsymptoticWidth(n, out.DR.SE*out.DR.SE*n, e.set.Alpha, float64(e.set.Tuned))
	out.Anytime = Interval{out.DR.Value - half, out.DR.Value + half}
}

func (f Figure) around(z float64) Figure {
	f.Low, f.High = f.Value-z*f.SE, f.Value+z*f.SE
	return f
}

// AsymptoticWidth is the half-width of the asymptotic confidence sequence of a mean of n terms of a variance, narrowest at
// tuned terms: σ·√(2(nρ²+1)/(n²ρ²)·ln(√(nρ²+1)/α)), ρ² = (−2·ln α + ln(1 − 2·ln α))/tuned (Waudby-Smith, Arbour, Sinha,
// Kennedy and Ramdas, arXiv 2103.06476, Theorem 2.2 and Appendix B.2).
func AsymptoticWidth(n, variance, alpha, tuned float64) float64 {
	rho2 := (-2*math.Log(alpha) + math.Log(1-2*math.Log(alpha))) / tuned
	m := n*rho2 + 1
	return math.Sqrt(variance * 2 * m / (n * n * rho2) * math.Log(math.Sqrt(m)/alpha))
}

package health

import (
	"math"
	"time"

	"github.com/juncture/juncture"
)

// Increment is what happened at a node, an arm at one place of the lattice, in one time bucket.
type Increment struct {
	At        time.Time     // the bucket's beginning
	Length    time.Duration // over 0
	Trials    int64
	Successes int64
	Expected  float64 // success rate while nothing about the arm changes, up to a factor that does not change either

	// What the other arms there had in the bucket, and how many successes their Expected rates come to. They tell what
	// moves everybody, such as a sale, from what moves the arm. With OthersExpected 0 there are none, and Expected must
	// know the base rate itself: a model's residuals.
	Others         int64
	OthersExpected float64
}

// ChangeSettings say how sure an alarm must be.
type ChangeSettings struct {
	Nodes    int     // watched in the store, over which false alarms are shared; at least 1
	PerMonth float64 // false alarms that are allowed a store-month over all nodes; 0: 0.1
	Least    float64 // expected successes of a node before it is judged; 0: 50

	// Dispersion is by how much a bucket's successes vary more than chance alone lets them, from 1 (0) on: arms that have
	// days of their own. Dispersion(buckets) estimates it. Evidence is divided by it, a quasi-likelihood.
	Dispersion float64
}

func (s ChangeSettings) checked() (ChangeSettings, error) {
	if s.PerMonth == 0 {
		s.PerMonth = 0.1
	}
	if s.Least == 0 {
		s.Least = 50
	}
	if s.Dispersion == 0 {
		s.Dispersion = 1
	}
	if s.Nodes < 1 || !(s.Dispersion >= 1 && s.Dispersion <= 1e6) || !(s.PerMonth > 0 && s.PerMonth <= 10) || !(s.Least >= 1 && s.Least <= 1e9) {
		return s, juncture.Errorf(juncture.CodeInvalidRequest, "%d nodes, %v false alarms a month, %v successes: not settings of a detector", s.Nodes, s.PerMonth, s.Least)
	}
	return s, nil
}

// Alarm is a change-point.
type Alarm struct {
	Node     string    `json:"node"`
	When     time.Time `json:"when"`     // the change, as estimated
	Seen     time.Time `json:"seen"`     // the end of the bucket that gave it away
	From     float64   `json:"from"`     // success rate before
	To       float64   `json:"to"`       // and since
	Expected float64   `json:"expected"` // since, had the arm kept its ratio to what was expected
	Sentence string    `json:"sentence"`
}

const (
	// maxBuckets bounds a detector: with more, every second of the older half stops being a candidate. No count is lost.
	maxBuckets = 400
	month      = 730*time.Hour + 30*time.Minute // 365.25 days over 12
	// The grid of log-ratios on which sums are kept: ±2.5, between 1/12 and 12.
	gridPoints = 101
	gridStep   = 0.05
	gridEdge   = gridStep * (gridPoints - 1) / 2
	// ratioPrior is the standard deviation of the log-ratio before and after a change, to what was expected.
	ratioPrior = 0.5
)

// sums are of all increments up to an edge; by difference they are of any stretch.
type sums struct {
	trials    int64
	successes int64
	expected  float64 // successes, at the base rate that the others had
	weight    float64 // successes over the dispersion, as in the likelihood
	grid      [gridPoints][4]float64
}

// stretch is what lies between two edges.
type stretch struct{ from, to *sums }

func (r stretch) successes() float64 { return r.to.weight - r.from.weight }

// slopes reads the grid at x by Taylor's series from the nearest point: of n expected successes the error is under
// n·0.025⁴/24, 0.02 at a million.
func (r stretch) slopes(x float64) (level, slope, curve float64) {
	g := int(math.Round((x + gridEdge) / gridStep))
	g = min(max(g, 0), gridPoints-1)
	d := x - (gridStep*float64(g) - gridEdge)
	var v [4]float64
	for k := range v {
		v[k] = r.to.grid[g][k] - r.from.grid[g][k]
	}
	return v[0] + d*(v[1]+d*(v[2]/2+d*v[3]/6)), v[1] + d*(v[2]+d*v[3]/2), v[2] + d*v[3]
}

// peak is the log-ratio in ±gridEdge at which the likelihood, times a normal density of that precision, is largest.
func (r stretch) peak(precision float64) float64 {
	s := r.successes()
	above := func(g int) bool { // the slope at a grid point is too steep already
		x := gridStep*float64(g) - gridEdge
		return r.to.grid[g][1]-r.from.grid[g][1]+precision*x >= s
	}
	lo, hi := 0, gridPoints-1
	if above(lo) {
		return -gridEdge
	}
	if !above(hi) {
		return gridEdge
	}
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; above(mid) {
			hi = mid
		} else {
			lo = mid
		}
	}
	left, right := gridStep*float64(lo)-gridEdge, gridStep*float64(hi)-gridEdge
	x := (left + right) / 2
	for range 2 { // from within half a step of 0.05: 1e-3, then 1e-6
		_, slope, curve := r.slopes(x)
		if curve += precision; curve > 0 {
			x = min(max(x-(slope+precision*x-s)/curve, left), right)
		}
	}
	return x
}

// top is the log of the largest likelihood, and where it is.
func (r stretch) top() (logL, x float64) {
	x = r.peak(0)
	level, _, _ := r.slopes(x)
	return r.successes()*x - level, x
}

// mean is the log of the likelihood's mean over the prior, by Laplace's approximation at the peak: within 1% of the
// integral (measured in the tests).
func (r stretch) mean() float64 {
	const precision = 1 / (ratioPrior * ratioPrior)
	x := r.peak(precision)
	level, _, curve := r.slopes(x)
	return r.successes()*x - level - precision*x*x/2 - math.Log1p(max(curve, 0)/precision)/2
}

// Detector finds the buckets from which on an arm's rate stands in another ratio to what is expected of it. For every
// bucket j since its start,
//
//	Λ_j(t) = m(before j)·m(j to t) / sup_ρ L_ρ(all up to t)
//
// L is the likelihood of thinned, m its mean over log ρ ~ N(0, 0.5²). Under any constant ρ the numerator over L_ρ is a
// martingale of mean 1, and the supremum is larger than L_ρ. The alarm is at
//
//	Σ_j w_j·Λ_j(t) >= Nodes/PerMonth, w_j the bucket's length in months,
//
// a Shiryaev-Roberts sum of e-processes (Shin, Ramdas and Rinaldo, E-detectors, New England Journal of Statistics in Data
// Science 2, 2023). Σ over the J buckets of a whole stretch is a martingale that begins at the stretch's months M, so that
// a node alarms falsely within M months with probability at most M·PerMonth/Nodes (Ville), and over all nodes at most
// PerMonth false alarms are expected a month. After an alarm it starts anew on fresh data.
type Detector struct {
	set    ChangeSettings
	name   string
	edges  []sums // edges[i] is of all before bucket i; the last of everything
	months []float64
	at     []time.Time
	before []float64 // log m of everything before bucket i
	last   time.Time // the end of the last bucket
}

// NewDetector makes a detector for the node of that name. Errors: CodeInvalidRequest for settings that are none.
func NewDetector(node string, set ChangeSettings) (*Detector, error) {
	set, err := set.checked()
	if err != nil {
		return nil, err
	}
	d := &Detector{set: set, name: node}
	d.restart()
	return d, nil
}

func (d *Detector) restart() {
	*d = Detector{set: d.set, name: d.name, edges: make([]sums, 1), last: d.last}
}

// Add folds the next bucket and returns the alarm that it raises, nil for none. A bucket without a trial of the arm adds
// nothing.
//
// Errors, with nothing changed: CodeInvalidRequest for counts that are none, an expectation that is none, a bucket that
// begins before the end of the one before.
func (d *Detector) Add(x Increment) (*Alarm, error) {
	e, err := d.fold(x)
	if err != nil || e.logM < d.threshold() {
		return nil, err
	}
	a := d.alarm(e.change)
	d.restart()
	return &a, nil
}

func (d *Detector) threshold() float64 { return math.Log(float64(d.set.Nodes) / d.set.PerMonth) }

// shown is a detector's evidence after a bucket: the log of the sum, and the likeliest change.
type shown struct {
	logM   float64
	change int
}

func (d *Detector) fold(x Increment) (shown, error) {
	nothing := shown{logM: math.Inf(-1)}
	if err := d.check(x); err != nil {
		return nothing, err
	}
	d.last = x.At.Add(x.Length)
	if x.Trials == 0 {
		return nothing, nil
	}
	d.thin()
	edge := &d.edges[len(d.edges)-1]
	d.before = append(d.before, stretch{&sums{}, edge}.mean())
	d.at, d.months = append(d.at, x.At), append(d.months, float64(x.Length)/float64(month))
	now := *edge
	t := thinned{float64(x.Successes), float64(x.Others), float64(x.Trials) * x.Expected, x.OthersExpected}
	now.trials += x.Trials
	now.successes += x.Successes
	if t.f > 0 {
		now.expected += t.e * t.others / t.f
	} else {
		now.expected += t.e
	}
	t = t.over(d.set.Dispersion)
	now.weight += t.s
	for g := range now.grid {
		for k, v := range t.slopes(gridStep*float64(g) - gridEdge) {
			now.grid[g][k] += v
		}
	}
	d.edges = append(d.edges, now)
	out := nothing
	if now.expected >= d.set.Least {
		out = d.look()
	}
	return out, nil
}

func (d *Detector) check(x Increment) error {
	total := d.edges[len(d.edges)-1].trials
	switch {
	case x.Successes < 0 || x.Trials < x.Successes || x.Trials > MaxCount-total || x.Others < 0 || x.Others > MaxCount:
		return juncture.Errorf(juncture.CodeInvalidRequest, "%d of %d, and %d of others, are not counts, or too many", x.Successes, x.Trials, x.Others)
	case !(x.Expected > 0 && x.Expected <= 1) || !(x.OthersExpected >= 0 && x.OthersExpected <= float64(MaxCount)):
		return juncture.Errorf(juncture.CodeInvalidRequest, "%v and %v of others cannot be expected", x.Expected, x.OthersExpected)
	case x.OthersExpected == 0 && x.Others > 0:
		return juncture.Errorf(juncture.CodeInvalidRequest, "%d successes of others of whom none were expected", x.Others)
	case x.Length <= 0 || x.At.Before(d.last):
		return juncture.Errorf(juncture.CodeInvalidRequest, "the bucket at %v is not after the one before", x.At)
	}
	return nil
}

// look sums over the candidates.
func (d *Detector) look() shown {
	now := &d.edges[len(d.edges)-1]
	out := shown{logM: math.Inf(-1)}
	top, x := stretch{&sums{}, now}.top()
	if math.Abs(x) == gridEdge { // the expected rate is wrong by more than the grid knows
		return out
	}
	best := math.Inf(-1)
	logs := make([]float64, 0, len(d.at))
	for j := 1; j < len(d.at); j++ {
		l := d.before[j] + stretch{&d.edges[j], now}.mean() - top
		if l > best {
			best, out.change = l, j
		}
		logs = append(logs, l+math.Log(d.months[j]))
	}
	if len(logs) > 0 {
		out.logM = logMeanExp(logs) + math.Log(float64(len(logs)))
	}
	return out
}

// thin drops candidates, never counts: every second of the older half.
func (d *Detector) thin() {
	if len(d.at) < maxBuckets {
		return
	}
	n := 0
	for i := range d.at {
		if i%2 == 1 && i < maxBuckets/2 {
			continue
		}
		d.at[n], d.months[n], d.before[n], d.edges[n] = d.at[i], d.months[i], d.before[i], d.edges[i]
		n++
	}
	d.edges[n] = d.edges[len(d.edges)-1]
	d.at, d.months, d.before, d.edges = d.at[:n], d.months[:n], d.before[:n], d.edges[:n+1]
}

func (d *Detector) alarm(change int) Alarm {
	edge, now := &d.edges[change], &d.edges[len(d.edges)-1]
	a := Alarm{Node: d.name, When: d.at[change], Seen: d.last,
		From: float64(edge.successes) / float64(edge.trials),
		To:   float64(now.successes-edge.successes) / float64(now.trials-edge.trials)}
	a.Expected = a.From
	if edge.expected > 0 {
		a.Expected = float64(edge.successes) / edge.expected * (now.expected - edge.expected) / float64(now.trials-edge.trials)
	}
	a.Sentence = a.Node + ": " + percent(a.From) + " until about " + a.When.UTC().Format("2 January") + ", " + percent(a.To) + " since"
	if math.Abs(a.Expected/a.From-1) > 0.1 { // everybody moved as well
		a.Sentence += ", where " + percent(a.Expected) + " was to be expected"
	}
	a.Sentence += "."
	return a
}

// Bucket is one time bucket at one place: what each arm there had, in one order throughout. An arm that was not there has
// no trials.
type Bucket struct {
	At     time.Time
	Length time.Duration
	Arms   []Rate // Expected is the rate that says how arms weigh among the others; all equal is fine where traffic is even
}

// Changes finds the changes of the arms of one place, in time order: each arm beside all others there. The alarm of a
// bucket with the most evidence is given; then every detector of the place starts anew, because what the others are
// compared with has changed too. Names stand in the order of the arms. A bucket in which the others had no successes
// expected of them is not counted.
//
// Errors: CodeInvalidRequest, as Detector.Add, and for buckets whose arms are not the names.
func Changes(names []string, buckets []Bucket, set ChangeSettings) ([]Alarm, error) {
	detectors := make([]*Detector, len(names))
	for k, name := range names {
		d, err := NewDetector(name, set)
		if err != nil {
			return nil, err
		}
		detectors[k] = d
	}
	var out []Alarm
	for _, b := range buckets {
		if len(b.Arms) != len(names) {
			return nil, juncture.Errorf(juncture.CodeInvalidRequest, "a bucket has %d arms, not %d", len(b.Arms), len(names))
		}
		found, most := -1, shown{logM: math.Inf(-1)}
		for k, d := range detectors {
			x, ok, err := b.beside(k)
			if err != nil {
				return nil, err
			}
			if !ok {
				continue
			}
			e, err := d.fold(x)
			if err != nil {
				return nil, err
			}
			if e.logM >= d.threshold() && e.logM > most.logM {
				found, most = k, e
			}
		}
		if found < 0 {
			continue
		}
		out = append(out, detectors[found].alarm(most.change))
		for _, d := range detectors {
			d.restart()
		}
	}
	return out, nil
}

// beside is an arm's increment, the others being all other arms of the bucket.
func (b Bucket) beside(k int) (Increment, bool, error) {
	x := Increment{At: b.At, Length: b.Length, Trials: b.Arms[k].Trials, Successes: b.Arms[k].Hits, Expected: b.Arms[k].Expected}
	for i, a := range b.Arms {
		if a.Hits < 0 || a.Trials < a.Hits || a.Trials > MaxCount/int64(len(b.Arms)) || !(a.Expected > 0 && a.Expected <= 1) {
			return x, false, juncture.Errorf(juncture.CodeInvalidRequest, "%d of %d at %v of %.80q are not counts and a rate", a.Hits, a.Trials, a.Expected, a.Label)
		}
		if i != k {
			x.Others += a.Hits
			x.OthersExpected += float64(a.Trials) * a.Expected
		}
	}
	return x, x.OthersExpected > 0, nil
}

// Dispersion estimates ChangeSettings.Dispersion of a place: Pearson's chi-square of arms by buckets over its degrees of
// freedom, with each arm's ratio to the others as it was over all buckets; at least 1. Changes make it larger, which only
// delays alarms. Errors: CodeInvalidRequest as Changes.
func Dispersion(buckets []Bucket) (float64, error) {
	var ratio []float64
	all := 0.0
	for _, b := range buckets {
		if len(ratio) == 0 {
			ratio = make([]float64, 2*len(b.Arms))
		}
		if len(b.Arms) != len(ratio)/2 {
			return 0, juncture.Errorf(juncture.CodeInvalidRequest, "a bucket has %d arms, not %d", len(b.Arms), len(ratio)/2)
		}
		for k, a := range b.Arms {
			x, _, err := b.beside(k)
			if err != nil {
				return 0, err
			}
			base := float64(x.Successes+x.Others) / (float64(x.Trials)*x.Expected + x.OthersExpected + 1e-300)
			ratio[2*k] += float64(a.Hits)
			ratio[2*k+1] += float64(a.Trials) * a.Expected * base
		}
	}
	degrees := 0.0
	for _, b := range buckets {
		hits, weight, arms := 0.0, 0.0, -1.0
		for k, a := range b.Arms {
			if w := float64(a.Trials) * a.Expected * ratio[2*k] / max(ratio[2*k+1], 1e-300); w > 0 {
				hits, weight, arms = hits+float64(a.Hits), weight+w, arms+1
			}
		}
		if hits == 0 || arms < 1 {
			continue
		}
		degrees += arms
		for k, a := range b.Arms {
			w := float64(a.Trials) * a.Expected * ratio[2*k] / max(ratio[2*k+1], 1e-300)
			if e := hits * w / weight; e > 0 {
				all += (float64(a.Hits) - e) * (float64(a.Hits) - e) / e
			}
		}
	}
	if degrees -= float64(len(ratio)/2 - 1); degrees < 1 {
		return 1, nil
	}
	return min(max(1, all/degrees), 1e6), nil
}

package lattice

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/juncture/juncture"
)

// Settings of a fit. The zero Settings are the defaults.
type Settings struct {
	HalfLife time.Duration // of evidence (A.3); 0: 180 days; below 0: it does not age
	Window   time.Duration // of rewards (A.4); 0: outcomes come at once, and every trial counts in full
	Sweeps   int           // over all families; 0: 12
	Value    bool          // maximise rate × value (D)

	Prior      Prior
	HoldWidths bool // fit with the starting widths

	// Untempered draws by Temper·√Σv instead of the default Temper·√Σ v·g/(1+g) (C.2).
	Untempered bool
	Temper     float64 // 0: 0.5, of either
	OneStage   bool    // arms compete as arms, and ten copies of an action get more than one would; for comparison
}

// SettingsOf are the settings of a fit to one outcome of an experiment's goal, as the experiment declares them.
func SettingsOf(x *juncture.Experiment, of juncture.OutcomeType) Settings {
	set := Settings{Window: time.Duration(x.Goal.Window), Value: of.Type == juncture.OutcomeMoney && x.Goal.Measure != juncture.MeasureRate}
	if of.Window != 0 {
		set.Window = time.Duration(of.Window)
	}
	if p := x.Learning; p != nil {
		set.HalfLife = time.Duration(p.HalfLife)
		set.Untempered, set.Temper = p.Draw == juncture.DrawFull, p.Temper
	}
	return set
}

const (
	defaultHalfLife = 180 * 24 * time.Hour
	defaultSweeps   = 12
	defaultTemper   = 0.5
	freshness       = 0.5
	hyperEffects    = 4    // what a starting width is worth (B.2)
	keyEffects      = 1    // and for actions and arms at whole keys: many and thin, they would never outweigh 4
	maxStep         = 1    // of an effect in one Newton step, log-odds
	minWidthShare   = 0.05 // of the starting width: a family is never shut for good
	maxWidth        = 3
	priorRate       = 0.05 // of the store, before evidence: the real rates measured were 2% to 6%
	interceptWidth  = 1.5  // standard deviation of the store's log-odds around it
	timeWidth       = 0.3  // starting width of the effects of time buckets
)

func logit(p float64) float64    { return math.Log(p / (1 - p)) }
func logistic(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// rows are the evidence as a fit sees it: (intersection, arm) in key order, arms in the cast's.
type rows struct {
	keys []juncture.Intersection
	*directory
	start []int32 // of each intersection, its first row; one more at the end
	arm   []int32
	n, s  []float64 // trials and successes, decayed and matured
	// Money only: sums of ln(value) and its square, in 1.
	logs, squares []float64
	group         []int32 // rows of one intersection and action, consecutive
	groups        int

	// Cells by time, where there are several buckets.
	cellRow, cellTime []int32
	cellTrials        []float64
	timeSuccesses     []float64
	buckets           []Bucket
}

// read weighs the view's counts at asOf. Counts that no ledger holds are CodeInternal.
func (v *View) read(c *cast, set Settings, asOf time.Time) (*rows, error) {
	at := asOf.Unix() / 60
	order := v.order()
	d := newDirectory(len(order))
	for l, values := range v.values {
		for id, name := range values {
			d.ids[l][name] = int32(id)
		}
	}
	r := &rows{directory: &d}
	r.keys = make([]juncture.Intersection, 0, len(order))
	window := set.Window.Minutes()
	mature := newMaturity(v.delays, v.calendar, at, window)
	half := set.HalfLife
	if half == 0 {
		half = defaultHalfLife
	}

	type weight struct {
		bucket          Bucket
		decay, maturity float64
		successes       float64
		time            int32
	}
	weights := map[Bucket]*weight{}
	var last *weight
	var lastBucket Bucket
	weigh := func(b Bucket) *weight {
		if last != nil && b == lastBucket {
			return last
		}
		w := weights[b]
		if w == nil {
			m := v.calendar.Merge(b, at)
			if w = weights[m]; w == nil {
				w = &weight{bucket: m, decay: 1, time: -1}
				if half > 0 {
					w.decay = math.Exp2(-v.calendar.Age(m, at) / half.Minutes())
				}
				w.maturity = 1
				if !m.Old() {
					from, to := v.calendar.Span(m)
					w.maturity = mature.over(from, to, at, window)
				}
				weights[m] = w
			}
			weights[b] = w
		}
		last, lastBucket = w, b
		return w
	}

	// Trials in shadow are worth at most shadowTrials to their arm, over the store.
	inShadow := make([]float64, len(c.names))
	// Superseded versions are worth at most oldVersion trials to their successor, over the store.
	old := map[juncture.ArmID]float64{}
	for id, version := range c.version {
		if version < c.newest[c.index[id]] {
			old[id] = 0
		}
	}
	for i := range v.cells {
		for _, e := range v.cells[i].entries {
			if e.trials > MaxCount || e.trials < -MaxCount || e.successes > MaxCount || e.successes < -MaxCount {
				return nil, juncture.Errorf(juncture.CodeInternal, "arm %d has %d successes of %d trials at an intersection", e.arm, e.successes, e.trials)
			}
			if k, ok := c.index[e.arm&^shadowBit]; ok && e.arm&shadowBit != 0 {
				inShadow[k] += float64(e.trials)
			}
			if n, ok := old[e.arm]; ok {
				old[e.arm] = n + float64(e.trials)
			}
		}
	}

	type slot struct {
		arm  int32
		time *weight
		n, s float64
		l, q float64
	}
	var slots []slot
	var cellOf []*weight
	for _, i := range order {
		slots = slots[:0]
		entries, moneys := v.cells[i].entries, v.cells[i].money
		for j := 0; j < len(entries); {
			// Whole numbers are added before they are weighed: merged early or now, the sum is the same to the bit.
			e, w, m := entries[j], weigh(entries[j].bucket), money{}
			if len(moneys) > 0 {
				m = moneys[j]
			}
			for j++; j < len(entries) && entries[j].arm == e.arm && weigh(entries[j].bucket) == w; j++ {
				e.trials, e.successes = e.trials+entries[j].trials, e.successes+entries[j].successes
				if len(moneys) > 0 {
					m.logValue, m.logValueSq = m.logValue+moneys[j].logValue, m.logValueSq+moneys[j].logValueSq
				}
			}
			k, ok := c.index[e.arm&^shadowBit]
			if !ok || e.trials == 0 && e.successes == 0 {
				continue
			}
			share := w.decay
			if n, ok := old[e.arm]; ok && n > oldVersion {
				share *= oldVersion / n
			}
			if n := inShadow[k]; e.arm&shadowBit != 0 && n > shadowTrials {
				share *= shadowTrials / n
			}
			s := slot{arm: k, time: w, n: share * w.maturity * float64(e.trials), s: share * float64(e.successes),
				l: share * float64(m.logValue) * 1e-4, q: share * float64(m.logValueSq) * 1e-8}
			w.successes += s.s
			slots = append(slots, s)
		}
		slices.SortStableFunc(slots, func(a, b slot) int {
			if a.arm != b.arm {
				return int(a.arm - b.arm)
			}
			return int(a.time.bucket - b.time.bucket)
		})
		first := len(r.arm)
		for j := 0; j < len(slots); {
			k := slots[j].arm
			row := slot{arm: k}
			from := len(r.cellRow)
			for ; j < len(slots) && slots[j].arm == k; j++ {
				t := slots[j]
				row.n, row.s, row.l, row.q = row.n+t.n, row.s+t.s, row.l+t.l, row.q+t.q
				if last := len(r.cellRow) - 1; last >= from && cellOf[last] == t.time {
					r.cellTrials[last] += t.n
				} else {
					r.cellRow, r.cellTrials, cellOf = append(r.cellRow, int32(len(r.arm))), append(r.cellTrials, t.n), append(cellOf, t.time)
				}
				t.time.time = 0
			}
			if !(row.n > 0) || row.s < 0 {
				row.n, row.s, row.l, row.q = 0, 0, 0, 0
			}
			most := row.s * maxLogValue // refunds may leave crumbs, and no ledger holds more
			row.l, row.q = min(max(row.l, -most), most), min(max(row.q, 0), most*maxLogValue)
			if row.s > row.n { // more successes than are mature: as many trials at least
				scale := row.s / max(row.n, 1e-300)
				for c := from; c < len(r.cellRow); c++ {
					r.cellTrials[c] *= scale
				}
				row.n = row.s
			}
			for c := from; c < len(r.cellRow); c++ {
				r.cellTrials[c] = max(0, r.cellTrials[c])
			}
			g := len(r.arm)
			if g == first || c.action[r.arm[g-1]] != c.action[k] {
				r.groups++
			}
			r.group = append(r.group, int32(r.groups-1))
			r.arm, r.n, r.s = append(r.arm, k), append(r.n, row.n), append(r.s, row.s)
			r.logs, r.squares = append(r.logs, row.l), append(r.squares, row.q)
		}
		if len(r.arm) > first {
			d.at[v.keys[i]] = int32(len(r.keys))
			r.keys = append(r.keys, v.key(i))
			r.start = append(r.start, int32(first))
		}
	}
	r.start = append(r.start, int32(len(r.arm)))

	for _, w := range weights {
		if w.time == 0 && !slices.Contains(r.buckets, w.bucket) {
			r.buckets = append(r.buckets, w.bucket)
		}
	}
	slices.Sort(r.buckets)
	for _, w := range weights {
		if at, ok := slices.BinarySearch(r.buckets, w.bucket); ok {
			w.time = int32(at)
		}
	}
	r.cellTime = make([]int32, len(cellOf))
	for i, w := range cellOf {
		r.cellTime[i] = w.time
	}
	r.timeSuccesses = make([]float64, len(r.buckets))
	for _, w := range weights {
		if w.time >= 0 {
			r.timeSuccesses[w.time] = w.successes
		}
	}
	return r, nil
}

// order returns the intersections in key order.
func (v *View) order() []int32 {
	var rank [juncture.LayerCount][]int32
	for l, values := range v.values {
		ids := make([]int32, len(values))
		for i := range ids {
			ids[i] = int32(i)
		}
		slices.SortFunc(ids, func(a, b int32) int {
			if values[a] < values[b] {
				return -1
			}
			return 1
		})
		rank[l] = make([]int32, len(values))
		for r, id := range ids {
			rank[l][id] = int32(r)
		}
	}
	order := make([]int32, len(v.keys))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int {
		for l := range rank {
			if d := rank[l][v.keys[a][l]] - rank[l][v.keys[b][l]]; d != 0 {
				return int(d)
			}
		}
		return 0
	})
	return order
}

func (v *View) key(i int32) juncture.Intersection {
	var x juncture.Intersection
	for l := range x {
		x[l] = v.values[l][v.keys[i][l]]
	}
	return x
}

// fit is the state of a fit of one model: binomial on the log-odds, or Gaussian (the logarithm of a value).
type fit struct {
	*rows
	cast     *cast
	families []*family
	// Binomial: odds of each row by all effects, and the part of them that is time's.
	odds, season []float64
	time         []float64
	timeWidth    float64
	intercept    float64
	hold         bool
	prior        Prior
	each         []int32   // every row's own number
	spare        []float64 // memory of a pass

	gaussian bool
	eta      []float64 // Gaussian: the mean of each row by all effects
	noise    float64   // Gaussian: variance of one success
}

// Fit fits the lattice to the evidence at asOf: coordinate-wise penalised Newton steps over the families, broad before
// narrow, from a cold start, a fixed number of sweeps over rows in key order, so that the same counts give the same
// snapshot to the bit whatever order they came in (B.3). version names the snapshot: the hash of the ledger's watermark
// and the settings. Impossible counts are CodeInternal.
func Fit(v *View, arms []Arm, set Settings, asOf time.Time, version string) (*Snapshot, error) {
	if len(arms) == 0 {
		return nil, juncture.Errorf(juncture.CodeInternal, "a fit of no arms")
	}
	c := newCast(arms)
	r, err := v.read(c, set, asOf)
	if err != nil {
		return nil, err
	}
	sweeps := set.Sweeps
	if sweeps <= 0 {
		sweeps = defaultSweeps
	}
	places := places(r.keys)
	f := &fit{rows: r, cast: c, families: families(places, c), hold: set.HoldWidths}
	f.prior = set.Prior.orDefault()
	for _, m := range f.families {
		if m.sparse {
			m.worth = keyEffects
		}
		if m.place.where != store {
			continue
		}
		if w := set.Prior.Action; w > 0 && m.who == byAction {
			m.start, m.worth = w, f.prior.Certain
		}
		if w := set.Prior.Copy; w > 0 && m.who == byArm {
			m.start, m.worth = w, f.prior.Certain
		}
	}
	f.begin()
	for i := range sweeps {
		f.sweep(i)
	}
	s := newSnapshot(f, places, set, version)
	if set.Value {
		s.value = fitValue(r, c, places, sweeps)
	}
	for _, p := range places { // the fit alone asks what a key tells
		if p.where == store || p.where == wholeKey {
			p.level = nil
		}
	}
	return s, nil
}

func (f *fit) begin() {
	for _, m := range f.families {
		m.width = m.start
		if m.who != everyone && slices.Min(m.part) < 0 && !m.sparse {
			m.k, m.spare = m.k+1, true
		}
		n := (m.place.n + 1) * m.k
		if m.sparse {
			n = f.groups
			if m.who == byArm {
				n = len(f.arm)
			}
		}
		m.effect, m.info = make([]float64, n), make([]float64, n)
	}
	f.each = make([]int32, len(f.arm))
	for r := range f.each {
		f.each[r] = int32(r)
	}
	if f.gaussian {
		f.eta = make([]float64, len(f.arm))
		return
	}
	n, s := 0.0, 0.0
	for i := range f.n {
		n, s = n+f.n[i], s+f.s[i]
	}
	p := (s + 2*f.prior.Rate) / (n + 2)
	f.intercept = logit(min(max(p, 1e-9), 1-1e-9))
	f.odds, f.season = make([]float64, len(f.arm)), make([]float64, len(f.arm))
	for i := range f.odds {
		f.odds[i], f.season[i] = math.Exp(f.intercept), 1
	}
	f.time, f.timeWidth = make([]float64, len(f.buckets)), timeWidth
}

// sweep moves every family once. Each pass over the rows moves them by one family's shift and adds up the next one's
// gradient and information.
func (f *fit) sweep(i int) {
	if !f.gaussian {
		f.moveIntercept()
		f.moveTime(i)
	}
	still := f.index(&family{place: f.everywhere(), k: 1})
	before, shift := &still, []float64{f.still(), f.still()}
	for _, m := range f.families {
		n := len(m.effect)
		grad := slices.Grow(f.spare[:0], n)[:n]
		clear(grad)
		clear(m.info)
		next := f.index(m)
		f.pass(before, shift, &next, grad, m.info)
		m.bury(f, grad)
		if i > 0 && !f.hold {
			m.learnWidth(grad)
		}
		penalty := 1 / (m.width * m.width)
		for j, g := range grad {
			d := 0.0
			if m.info[j] > 0 || m.effect[j] != 0 {
				d = min(max((g-penalty*m.effect[j])/(m.info[j]+penalty), -maxStep), maxStep)
				m.effect[j] += d
			}
			if !f.gaussian {
				d = math.Exp(d)
			}
			grad[j] = d
		}
		f.spare, shift, before = shift, grad, &next
	}
	last := []float64{0, 0}
	f.pass(before, shift, &still, last, []float64{0, 0})
	f.spare = shift
}

// everywhere is a place where every intersection is alike.
func (f *fit) everywhere() *place { return &place{level: make([]int32, len(f.keys)), n: 1} }

// still is the shift that moves nothing.
func (f *fit) still() float64 {
	if f.gaussian {
		return 0
	}
	return 1
}

// index finds the effect of a row: off[intersection] + part[arm], or rows[row] in a sparse family. Rows without an
// effect have one of the slots that bury empties.
type index struct{ off, part, rows []int32 }

func (f *fit) index(m *family) index {
	if m.sparse {
		if m.who == byArm {
			return index{rows: f.each}
		}
		return index{rows: f.group}
	}
	x := index{off: make([]int32, len(f.keys)), part: make([]int32, len(f.cast.names))}
	for i, level := range m.place.level {
		if level < 0 {
			level = int32(m.place.n)
		}
		x.off[i] = level * int32(m.k)
	}
	for i := range x.part {
		if m.who != everyone {
			x.part[i] = m.part[i]
			if x.part[i] < 0 {
				x.part[i] = int32(m.k - 1)
			}
		}
	}
	return x
}

func (x *index) at(row int, intersection, arm int32) int32 {
	if x.rows != nil {
		return x.rows[row]
	}
	return x.off[intersection] + x.part[arm]
}

// bury empties the slots of rows without an effect.
func (m *family) bury(f *fit, grad []float64) {
	if m.sparse {
		if m.who == byArm {
			for r, a := range f.arm {
				if m.part[a] < 0 {
					grad[r], m.info[r] = 0, 0
				}
			}
		}
		return
	}
	for i := m.place.n * m.k; i < len(grad); i++ {
		grad[i], m.info[i] = 0, 0
	}
	if m.spare {
		for i := m.k - 1; i < len(grad); i += m.k {
			grad[i], m.info[i] = 0, 0
		}
	}
}

// pass moves the rows by the shift of one family's effects and gathers the gradient and the information of another's.
func (f *fit) pass(before *index, shift []float64, next *index, grad, info []float64) {
	if f.gaussian {
		for x := range f.keys {
			for r := int(f.start[x]); r < int(f.start[x+1]); r++ {
				f.eta[r] += shift[before.at(r, int32(x), f.arm[r])]
				at := next.at(r, int32(x), f.arm[r])
				grad[at] += (f.logs[r] - f.s[r]*f.eta[r]) / f.noise
				info[at] += f.s[r] / f.noise
			}
		}
		return
	}
	arm, n, s, odds := f.arm, f.n[:len(f.arm)], f.s[:len(f.arm)], f.odds[:len(f.arm)]
	for x := range f.keys {
		var b, a int32
		if before.rows == nil {
			b = before.off[x]
		}
		if next.rows == nil {
			a = next.off[x]
		}
		for r := int(f.start[x]); r < int(f.start[x+1]); r++ {
			k := arm[r]
			var from, to int32
			if before.rows == nil {
				from = b + before.part[k]
			} else {
				from = before.rows[r]
			}
			if next.rows == nil {
				to = a + next.part[k]
			} else {
				to = next.rows[r]
			}
			o := odds[r] * shift[from]
			odds[r] = o
			q := 1 / (1 + o)
			np := n[r] * o * q
			grad[to] += s[r] - np
			info[to] += np * q
		}
	}
}

func (f *fit) sparseIndex(m *family, r int) int {
	switch {
	case m.part[f.arm[r]] < 0:
		return -1
	case m.who == byArm:
		return r
	}
	return int(f.group[r])
}

// learnWidth moves a family's prior width towards the mode of its marginal likelihood with hyperEffects effects at the
// starting width: the fixed point of EM, τ² = (4·τ0² + Σ(e² + v))/(4 + levels), reached by Fisher scoring. With z = g/I the
// effect that the rows alone would give, z ~ N(0, m), m = τ² + 1/I, and the step is Σ(z²−m)/m² / Σ 1/m²; EM's own steps
// are of size τ⁴/m² and stall where effects are many and thin.
func (m *family) learnWidth(grad []float64) {
	t := m.width * m.width
	s := m.start * m.start
	worth := m.worth
	if worth == 0 {
		worth = hyperEffects
	}
	score := worth * (s - t) / (t * t)
	information := worth / (t * t)
	for j, i := range m.info {
		if i == 0 {
			continue
		}
		d := 1 / (1 + t*i)
		z := (grad[j] + i*m.effect[j]) * d // (g at effect 0)/(1+τ²I) = z·I/(1+τ²I)
		w := i * d                         // 1/m
		score += z*z - w
		information += w * w
	}
	t += min(max(score/information, -t/2), 2*t)
	t = min(max(t, s*minWidthShare*minWidthShare), maxWidth*maxWidth)
	m.width = math.Sqrt(t)
}

func (f *fit) moveIntercept() {
	g, info := 0.0, 0.0
	for r, n := range f.n {
		q := 1 / (1 + f.odds[r])
		np := n * f.odds[r] * q
		g += f.s[r] - np
		info += np * q
	}
	penalty := 1 / (f.prior.Intercept * f.prior.Intercept)
	d := min(max((g-penalty*(f.intercept-logit(f.prior.Rate)))/(info+penalty), -maxStep), maxStep)
	f.intercept += d
	for r := range f.odds {
		f.odds[r] *= math.Exp(d)
	}
}

// moveTime moves the effects of the time buckets. Rows are not kept by bucket: a row's trials count as Σ n_t·e^τ_t at the
// odds without time, exact where rates are small, which is where log-odds are additive on the rate.
func (f *fit) moveTime(sweep int) {
	if len(f.buckets) < 2 {
		return
	}
	k := len(f.time)
	grad, info, mult := make([]float64, k), make([]float64, k), make([]float64, k)
	for t, e := range f.time {
		mult[t], grad[t] = math.Exp(e), f.timeSuccesses[t]
	}
	for c, r := range f.cellRow {
		t := f.cellTime[c]
		o := f.odds[r] / f.season[r] * mult[t]
		q := 1 / (1 + o)
		np := f.cellTrials[c] * o * q
		grad[t] -= np
		info[t] += np * q
	}
	if sweep > 0 && !f.hold {
		m := family{start: timeWidth, width: f.timeWidth, effect: f.time, info: info}
		m.learnWidth(grad)
		f.timeWidth = m.width
	}
	penalty := 1 / (f.timeWidth * f.timeWidth)
	for t := range f.time {
		f.time[t] += min(max((grad[t]-penalty*f.time[t])/(info[t]+penalty), -maxStep), maxStep)
		mult[t] = math.Exp(f.time[t])
	}
	sum := make([]float64, len(f.arm))
	for c, r := range f.cellRow {
		sum[r] += f.cellTrials[c] * mult[f.cellTime[c]]
	}
	for r, n := range f.n {
		if n > 0 && sum[r] > 0 {
			season := sum[r] / n
			f.odds[r] *= season / f.season[r]
			f.season[r] = season
		}
	}
}

// Version names a snapshot: a hash of the ledger's watermark, the arms, the settings and asOf, which are all that a fit
// depends on beside the ledger.
func Version(watermark []juncture.Mark, arms []Arm, set Settings, asOf time.Time) string {
	marks, sorted := slices.Clone(watermark), slices.Clone(arms)
	slices.SortFunc(marks, func(a, b juncture.Mark) int { return int(a.Node) - int(b.Node) })
	slices.SortFunc(sorted, func(a, b Arm) int { return cmp.Compare(a.ID, b.ID) })
	h := sha256.Sum256(fmt.Appendf(nil, "%v\n%v\n%+v\n%d", marks, sorted, set, asOf.UnixMilli()))
	return hex.EncodeToString(h[:8])
}

package lattice

import (
	"fmt"
	"math"
	"strings"
	"sync"

	"github.com/juncture/juncture"
)

// Snapshot is what a fit learnt. It is immutable and safe for concurrent readers.
type Snapshot struct {
	Version string

	cast     *cast
	set      Settings
	rows     served
	places   []*place
	families []*learnt
	keys     *directory
	base     float64 // log-odds of the store: intercept, and time as evidence had it
	trials   float64
	value    *Snapshot // of ln(value); nil: the goal is the rate
	noise    float64   // of a value model: variance of one success
	known    bool      // of a value model: whether there was any order
	spreads  sync.Pool // of *spread
}

// served is what serving needs of the rows: 20 bytes for each, and 16 more for the effects at whole keys.
type served struct {
	start, arm, group []int32
	n, s, odds        []float32 // a Gaussian model has no odds
}

func narrow(v []float64) []float32 {
	out := make([]float32, len(v))
	for i, x := range v {
		out[i] = float32(x)
	}
	return out
}

// learnt is a family after the fit.
type learnt struct {
	*family
	spot             int       // its place's number
	effect, variance []float32 // of each effect: its mode and 1/(I + 1/τ²)
	mean             []float32 // of I over the parts, at each level
}

func newSnapshot(f *fit, places []*place, set Settings, version string) *Snapshot {
	s := &Snapshot{Version: version, cast: f.cast, set: set, keys: f.directory, places: places, base: f.intercept, noise: f.noise}
	s.rows = served{start: f.start, arm: f.arm, group: f.group, n: narrow(f.n), s: narrow(f.s), odds: narrow(f.odds)}
	for _, n := range f.n {
		s.trials += n
	}
	if !f.gaussian {
		n, shift := 0.0, 0.0
		for r := range f.n {
			n += f.n[r]
			shift += f.n[r] * math.Log(f.season[r])
		}
		if n > 0 {
			s.base += shift / n
		}
	}
	for _, m := range f.families {
		l := &learnt{family: m, effect: narrow(m.effect), variance: make([]float32, len(m.effect))}
		for i, p := range places {
			if p == m.place {
				l.spot = i
			}
		}
		penalty := 1 / (m.width * m.width)
		for i, info := range m.info {
			l.variance[i] = float32(1 / (info + penalty))
		}
		if m.who != everyone {
			l.average(f)
		}
		m.effect, m.info = nil, nil
		s.families = append(s.families, l)
	}
	return s
}

// average fills mean: the information at a level, over the parts.
func (l *learnt) average(f *fit) {
	live := map[int32]bool{}
	for _, k := range l.part {
		if k >= 0 {
			live[k] = true
		}
	}
	l.mean = make([]float32, l.place.n)
	for level := range l.mean {
		sum := 0.0
		if !l.sparse {
			for _, i := range l.info[level*l.k : (level+1)*l.k] {
				sum += i
			}
		} else {
			last := -1
			for r := int(f.start[level]); r < int(f.start[level+1]); r++ {
				if i := f.sparseIndex(l.family, r); i >= 0 && i != last {
					sum += l.info[i]
					last = i
				}
			}
		}
		l.mean[level] = float32(sum / float64(len(live)))
	}
}

// draw is what an effect of variance v adds to the variance of the draw: v·g/(1+g) with g = v × the mean over the parts of
// the information at its level (C.2). A level that has shown little of any part says little about all of them, and drawing
// it would be noise.
func draw(v, mean float64, set Settings) float64 {
	if set.Untempered {
		return v
	}
	g := v * mean
	return v * g / (1 + g)
}

// fresh is by how much more than tempered an effect of the store is drawn, as a factor on its variance: half-way to full
// width while it knows nothing, falling with v/τ². A newcomer is looked at, and a store is not locked in by its first days;
// at narrower levels the mean information does that already.
func (l *learnt) fresh(v float64, set Settings) float64 {
	if l.place.where != store || set.Untempered {
		return 1
	}
	return 1 + freshness*max(0, 1/set.temper()-1)*v/(l.width*l.width)
}

// Arms returns how many arms the snapshot knows, Trials the decayed trials behind it.
func (s *Snapshot) Arms() int { return len(s.cast.names) }

// Trials returns the trials that the fit learnt from, decayed and matured.
func (s *Snapshot) Trials() float64 { return s.trials }

// spot is where an intersection lies in the lattice: the level of each place, -1 where it is unknown or was never seen.
type spot struct {
	level []int32
	key   int32
	buf   []byte
}

func (s *Snapshot) locate(x juncture.Intersection, to *spot) {
	for l := range x {
		x[l] = x.Value(juncture.Layer(l))
	}
	to.key = -1
	if i, ok := s.keys.find(x); ok {
		to.key = i
	}
	to.level = to.level[:0]
	for _, p := range s.places {
		level := int32(-1)
		switch {
		case p.where == store:
			level = 0
		case p.where == wholeKey:
			level = to.key
		case to.key >= 0:
			level = p.level[to.key]
		case p.index != nil:
			var ok bool
			if to.buf, ok = p.label(&x, to.buf[:0]); ok {
				if level, ok = p.index[string(to.buf)]; !ok {
					level = -1
				}
			}
		}
		to.level = append(to.level, level)
	}
}

// at returns the index of the effect of part k at the spot, -1: there is none (its estimate is 0, its variance the
// prior's). row is the arm's row there, -1 for none; group that of its action.
func (l *learnt) at(sp *spot, k, row, group int32) int32 {
	level := sp.level[l.spot]
	switch {
	case level < 0:
		return -1
	case !l.sparse:
		return level*int32(l.k) + k
	case l.who == byArm:
		return row
	}
	return group
}

// row finds an arm's row at an intersection, and the group of its action; -1 where there is none.
func (s *Snapshot) row(key, arm int32) (row, group int32) {
	row, group = -1, -1
	if key < 0 {
		return row, group
	}
	for r := s.rows.start[key]; r < s.rows.start[key+1]; r++ {
		a := s.rows.arm[r]
		if a == arm {
			row = r
		}
		if s.cast.action[a] == s.cast.action[arm] {
			group = s.rows.group[r]
		} else if s.cast.action[a] > s.cast.action[arm] {
			break
		}
	}
	return row, group
}

// Score is what is believed of an arm's departure from the base at an intersection, on the log-odds (for a money goal: of
// ln(rate × value)). Shared is what copies of one action have in common. Variances are tempered: those of the draw.
type Score struct {
	Mean             float64
	Shared, Own      float64 // variances; their sum is the score's
	action, position int32
}

// Sd returns the standard deviation of the draw.
func (s Score) Sd() float64 { return math.Sqrt(s.Shared + s.Own) }

// Workspace is reused memory of Scores and Vector. The zero one is ready; one goroutine at a time may use it.
type Workspace struct {
	spot   spot
	spot2  spot
	scores []Score
	race   race
	w, v   []float64
	which  []int32
}

// Scores returns the scores of arms at an intersection, parallel to arms and valid until the workspace is used again. An
// intersection that was never seen has the effects of the levels that it shares with others; an arm that the fit did not
// know is CodeInternal.
func (s *Snapshot) Scores(x juncture.Intersection, arms []juncture.ArmID, ws *Workspace) ([]Score, error) {
	if _, err := s.rates(x, arms, ws); err != nil {
		return nil, err
	}
	if v := s.value; v != nil {
		v.locate(x, &ws.spot2)
		base := s.baseAt(&ws.spot)
		for i := range ws.scores {
			sc := &ws.scores[i]
			p := logistic(base + sc.Mean)
			q2 := (1 - p) * (1 - p)
			sc.Mean, sc.Shared, sc.Own = math.Log(p), q2*sc.Shared, q2*sc.Own
		}
		v.add(&ws.spot2, ws.scores)
	}
	t2 := s.set.temper()
	for i := range ws.scores {
		ws.scores[i].Shared *= t2
		ws.scores[i].Own *= t2
	}
	return ws.scores, nil
}

// rates is Scores on the log-odds of the rate, with variances before the temper.
func (s *Snapshot) rates(x juncture.Intersection, arms []juncture.ArmID, ws *Workspace) ([]Score, error) {
	s.locate(x, &ws.spot)
	ws.scores = ws.scores[:0]
	for _, id := range arms {
		k, ok := s.cast.index[id]
		if !ok {
			return nil, juncture.Errorf(juncture.CodeInternal, "arm %d is not in the snapshot", id)
		}
		ws.scores = append(ws.scores, Score{action: s.cast.action[k], position: k})
	}
	s.add(&ws.spot, ws.scores)
	return ws.scores, nil
}

func (set Settings) temper() float64 {
	t := set.Temper
	if !(t > 0) {
		t = defaultTemper
	}
	return t * t
}

// add adds the arm effects at a spot to the scores.
func (s *Snapshot) add(sp *spot, scores []Score) {
	for i := range scores {
		sc := &scores[i]
		row, group := s.row(sp.key, sc.position)
		for _, l := range s.families {
			if l.who == everyone {
				continue
			}
			k := l.part[sc.position]
			if k < 0 {
				continue
			}
			v, mean := l.width*l.width, 0.0
			if at := l.at(sp, k, row, group); at >= 0 {
				sc.Mean += float64(l.effect[at])
				v = float64(l.variance[at])
			}
			if level := sp.level[l.spot]; level >= 0 {
				mean = float64(l.mean[level])
			}
			v = draw(v, mean, s.set) * l.fresh(v, s.set)
			if l.who == byAction {
				sc.Shared += v
			} else {
				sc.Own += v
			}
		}
	}
}

// baseAt returns the log-odds of the base at a spot.
func (s *Snapshot) baseAt(sp *spot) float64 {
	b := s.base
	for _, l := range s.families {
		if l.who != everyone {
			continue
		}
		if level := sp.level[l.spot]; level >= 0 {
			b += float64(l.effect[level])
		}
	}
	return b
}

// Widths says what prior standard deviations were learnt, and from what start, a line for each family.
func (s *Snapshot) Widths() string {
	var b strings.Builder
	for _, l := range s.families {
		who := [...]string{"base", "action", "copy", "arm"}[l.who]
		fmt.Fprintf(&b, "%-8s %-24s %8d effects, width %.3f from %.3f\n", who, l.place.name(), l.place.n*l.k, l.width, l.start)
	}
	return b.String()
}

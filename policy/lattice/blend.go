package lattice

import (
	"math"

	"github.com/juncture/juncture"
)

// Part is one outcome of a goal.
type Part struct {
	Outcome  string    // its name
	Snapshot *Snapshot // fitted to that outcome's counts; of a money outcome with Settings.Value
	Weight   float64   // of a success, or of a unit of money; below 0: less is better
}

// Blend is a goal of several weighted outcomes, one lattice each (D). It is immutable and safe for concurrent readers; the
// arms of all parts must be the same, the temper is each part's own.
type Blend struct{ parts []Part }

// NewBlend returns the goal Σ weight × E[outcome]. No part, parts fitted to other arms, or a weight that is no number are
// CodeInternal.
func NewBlend(parts ...Part) (*Blend, error) {
	if len(parts) == 0 {
		return nil, juncture.Errorf(juncture.CodeInternal, "a goal of no outcomes")
	}
	for i, p := range parts {
		if math.IsNaN(p.Weight) || math.IsInf(p.Weight, 0) {
			return nil, juncture.Errorf(juncture.CodeInternal, "outcome %d weighs %g", i, p.Weight)
		}
		for id, k := range parts[0].Snapshot.cast.index {
			if at, ok := p.Snapshot.cast.index[id]; !ok || at != k || len(p.Snapshot.cast.index) != len(parts[0].Snapshot.cast.index) {
				return nil, juncture.Errorf(juncture.CodeInternal, "outcome %d was fitted to other arms", i)
			}
		}
	}
	return &Blend{append([]Part(nil), parts...)}, nil
}

// Vector is Snapshot.Vector for the blend. The score of an arm is Gaussian on the natural scale: mean Σ w·p·m, p the rate
// and m the mean value of a success (1 unless money); variance Σ (w·p·(1−p)·m)²·V + (w·p·m)²·U by the delta method, V and U
// the tempered variances of the rate's log-odds and of ln(value).
func (b *Blend) Vector(x juncture.Intersection, arms []juncture.ArmID, ws *Workspace, w []float64) error {
	if len(arms) == 0 || len(w) != len(arms) {
		return juncture.Errorf(juncture.CodeInternal, "%d weights for %d arms", len(w), len(arms))
	}
	sum := make([]Score, len(arms))
	for _, part := range b.parts {
		s := part.Snapshot
		scores, err := s.rates(x, arms, ws)
		if err != nil {
			return err
		}
		base, t2 := s.baseAt(&ws.spot), s.set.temper()
		var worth []Score
		valueBase := 0.0
		if v := s.value; v != nil {
			v.locate(x, &ws.spot2)
			for _, sc := range scores {
				worth = append(worth, Score{action: sc.action, position: sc.position})
			}
			v.add(&ws.spot2, worth)
			valueBase = v.baseAt(&ws.spot2) + v.noise/2
		}
		for i, sc := range scores {
			p, m := logistic(base+sc.Mean), 1.0
			if worth != nil {
				m = math.Exp(min(max(valueBase+worth[i].Mean, -100), 100))
			}
			d, u := part.Weight*p*(1-p)*m, part.Weight*p*m
			sum[i].action, sum[i].position = sc.action, sc.position
			sum[i].Mean += part.Weight * p * m
			sum[i].Shared += t2 * d * d * sc.Shared
			sum[i].Own += t2 * d * d * sc.Own
			if worth != nil {
				sum[i].Shared += t2 * u * u * worth[i].Shared
				sum[i].Own += t2 * u * u * worth[i].Own
			}
		}
	}
	// In units of the largest mean, so that neither a penny nor a million meets the smallest width.
	scale := 0.0
	for _, s := range sum {
		scale = max(scale, math.Abs(s.Mean))
	}
	if scale > 0 {
		for i := range sum {
			sum[i].Mean /= scale
			sum[i].Shared /= scale * scale
			sum[i].Own /= scale * scale
		}
	}
	return choose(sum, ws, w)
}

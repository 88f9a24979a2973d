package lattice

import (
	"math"

	"github.com/juncture/juncture"
)

// Means fills m, parallel to arms, with what each is expected to bring at an intersection: its rate at the effects' modes,
// for a money goal times the mean value of a success; 0 before any value was seen. An arm that the fit did not know is
// CodeInternal.
func (s *Snapshot) Means(x juncture.Intersection, arms []juncture.ArmID, ws *Workspace, m []float64) error {
	clear(m)
	return s.addMeans(x, arms, ws, 1, m)
}

// Means is Snapshot.Means for the blend: Σ weight × E[outcome].
func (b *Blend) Means(x juncture.Intersection, arms []juncture.ArmID, ws *Workspace, m []float64) error {
	clear(m)
	for _, p := range b.parts {
		if err := p.Snapshot.addMeans(x, arms, ws, p.Weight, m); err != nil {
			return err
		}
	}
	return nil
}

func (s *Snapshot) addMeans(x juncture.Intersection, arms []juncture.ArmID, ws *Workspace, weight float64, m []float64) error {
	if len(m) != len(arms) {
		return juncture.Errorf(juncture.CodeInternal, "%d means for %d arms", len(m), len(arms))
	}
	scores, err := s.rates(x, arms, ws)
	if err != nil {
		return err
	}
	base := s.baseAt(&ws.spot)
	for i, sc := range scores {
		scores[i].Own = weight * logistic(base+sc.Mean) // the variances are of no use here
	}
	if v := s.value; v != nil {
		v.locate(x, &ws.spot2)
		base := v.baseAt(&ws.spot2) + v.noise/2
		for i := range scores {
			worth := [1]Score{{action: scores[i].action, position: scores[i].position}}
			v.add(&ws.spot2, worth[:])
			if !v.known {
				scores[i].Own = 0
			}
			scores[i].Own *= math.Exp(min(max(base+worth[0].Mean, -maxLogValue), maxLogValue))
		}
	}
	for i, sc := range scores {
		m[i] += sc.Own
	}
	return nil
}

package lattice

import (
	"math"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/policy"
)

// Vector fills w, parallel to arms, with the probability that each is to be picked, before the floor. An action gets P(its
// score is largest) among the eligible actions, its score the mixture over its copies; a copy gets that times P(its own
// part is largest) within the action, so that ten equal copies get the traffic of one. Scores are independent Gaussians
// (C.1). The probabilities sum to 1 within 1e-12.
func (s *Snapshot) Vector(x juncture.Intersection, arms []juncture.ArmID, ws *Workspace, w []float64) error {
	if len(arms) == 0 || len(w) != len(arms) {
		return juncture.Errorf(juncture.CodeInternal, "%d weights for %d arms", len(w), len(arms))
	}
	scores, err := s.Scores(x, arms, ws)
	if err != nil {
		return err
	}
	if s.set.OneStage {
		ws.race.reset()
		for _, sc := range scores {
			ws.race.add(sc.Mean, sc.Shared+sc.Own)
		}
		p, err := ws.race.run()
		copy(w, p)
		return err
	}
	return choose(scores, ws, w)
}

func choose(scores []Score, ws *Workspace, w []float64) error {
	actions := ws.which[:0]
	for i := range scores {
		seen := false
		for _, a := range actions {
			if a == scores[i].action {
				seen = true
				break
			}
		}
		if !seen {
			actions = append(actions, scores[i].action)
		}
	}
	ws.which = actions
	ws.v = ws.v[:0]
	for _, a := range actions { // copies within their action: w holds P(best copy)
		r := &ws.race
		r.reset()
		for i := range scores {
			if scores[i].action == a {
				r.add(scores[i].Mean, scores[i].Own)
			}
		}
		p, err := r.run()
		if err != nil {
			return err
		}
		j := 0
		mean, variance := 0.0, 0.0
		for i := range scores {
			if scores[i].action == a {
				w[i] = p[j]
				mean += p[j] * scores[i].Mean
				variance += p[j] * (scores[i].Shared + scores[i].Own)
				j++
			}
		}
		ws.v = append(ws.v, mean, variance)
	}
	r := &ws.race
	r.reset()
	for i := range actions {
		r.add(ws.v[2*i], ws.v[2*i+1])
	}
	p, err := r.run()
	if err != nil {
		return err
	}
	sum := 0.0
	for i := range scores {
		for j, a := range actions {
			if a == scores[i].action {
				w[i] *= p[j]
			}
		}
		sum += w[i]
	}
	if !(sum > 0) || math.IsInf(sum, 0) {
		return juncture.Errorf(juncture.CodeInternal, "scores have no best")
	}
	for i := range w {
		w[i] /= sum
	}
	return nil
}

// race says which of independent Gaussians is the largest.
type race struct {
	arms []policy.Normal
	best policy.Best
	one  [1]float64
}

func (r *race) reset() { r.arms = r.arms[:0] }

// minSd keeps a density where a score is certain, log-odds.
const minSd = 1e-9

func (r *race) add(mean, variance float64) {
	r.arms = append(r.arms, policy.Normal{Mean: mean, Sd: max(minSd, math.Sqrt(variance))})
}

func (r *race) run() ([]float64, error) {
	if len(r.arms) == 1 {
		r.one[0] = 1
		return r.one[:], nil
	}
	err := r.best.Normals(r.arms)
	return r.best.P, err
}

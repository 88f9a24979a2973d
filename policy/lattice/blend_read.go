package lattice

import (
	"math"
	"strings"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/policy"
)

// ReadOver is Snapshot.ReadOver for the blend. The rates are those of the first part's outcome; Value, PBest and Loss are of
// the blend, in its own units: Σ weight × rate × mean value of a success. What is compared is Gaussian by the delta method
// from the parts' untempered Betas, as independent outcomes.
func (b *Blend) ReadOver(xs []juncture.Intersection, weights []float64, arms []juncture.ArmID) (policy.ReadOut, error) {
	o, top, err := b.parts[0].Snapshot.overview(xs, weights)
	if err != nil {
		return policy.ReadOut{}, err
	}
	x := xs[top]
	var ws Workspace
	w := make([]float64, len(arms))
	if err := b.Vector(x, arms, &ws, w); err != nil {
		return policy.ReadOut{}, err
	}
	sides := make([]side, len(b.parts))
	for i, part := range b.parts {
		sides[i] = side{part: part, over: o}
		if o == nil {
			part.Snapshot.locate(x, &sides[i].spot)
		} else if i > 0 {
			if sides[i].over, _, err = part.Snapshot.overview(xs, weights); err != nil {
				return policy.ReadOut{}, err
			}
		}
	}
	first := b.parts[0].Snapshot
	at := make([]int32, len(arms))
	for i, id := range arms {
		at[i] = first.cast.index[id] // Vector knew them all
	}
	score := func(of []int32, share []float64) (policy.Posterior, policy.Normal) {
		var post policy.Posterior
		var n policy.Normal
		for i := range sides {
			p, mean, variance := sides[i].score(x, of, share)
			if i == 0 {
				post = p
			}
			n.Mean, n.Sd = n.Mean+mean, n.Sd+variance
		}
		post.Value, n.Sd = n.Mean, math.Sqrt(n.Sd)
		return post, n
	}
	return readOut(first.cast, at, w, score, compareNormals)
}

// side is one outcome of a blend at a place.
type side struct {
	part Part
	spot spot
	over *overview // nil: the spot alone
}

// score returns what is believed of arms of one action, mixed by shares: the outcome's posterior, and the mean and the
// variance of weight × rate × value.
func (d *side) score(x juncture.Intersection, of []int32, share []float64) (post policy.Posterior, mean, variance float64) {
	s := d.part.Snapshot
	var b belief
	if d.over != nil {
		b = s.average(d.over, of, share)
	} else {
		b = s.believe(&d.spot, of, share)
	}
	post = s.posterior(x, b, of, share)
	m, u := 1.0, 0.0
	if s.value != nil {
		ln, v := s.worth(x, of, share)
		m, u = math.Exp(min(max(ln+s.value.noise/2, -100), 100)), v
	}
	own, _ := b.beta(b.arm) // without what all arms share
	p, n := own.Mean(), own.Alpha+own.Beta
	dp, dm := d.part.Weight*m, d.part.Weight*p*m
	return post, d.part.Weight * post.Mean * m, dp*dp*p*(1-p)/(n+1) + dm*dm*u
}

// compareNormals says which of scores on the natural scale is the best, in units of the largest, so that neither a penny nor
// a million meets the smallest width.
func compareNormals(scores []policy.Normal, best *policy.Best) error {
	scale := 0.0
	for _, s := range scores {
		scale = max(scale, math.Abs(s.Mean), s.Sd)
	}
	if !(scale > 0) {
		scale = 1
	}
	scaled := make([]policy.Normal, len(scores))
	for i, s := range scores {
		scaled[i] = policy.Normal{Mean: s.Mean / scale, Sd: max(minSd, s.Sd/scale)}
	}
	err := best.Normals(scaled)
	for i := range best.Loss {
		best.Loss[i] *= scale
	}
	return err
}

// Borrowed is Snapshot.Borrowed of the first part.
func (b *Blend) Borrowed(x juncture.Intersection, arms []juncture.ArmID, borrowed []float64) error {
	return b.parts[0].Snapshot.Borrowed(x, arms, borrowed)
}

// Explain is Snapshot.Explain of every part, each effect with the name of its outcome: they are effects on the log-odds of
// that outcome, and a positive one on an outcome that weighs below 0 speaks against the arm.
func (b *Blend) Explain(x juncture.Intersection, arm juncture.ArmID) (Explanation, error) {
	var out Explanation
	var said []string
	for _, part := range b.parts {
		e, err := part.Snapshot.Explain(x, arm)
		if err != nil {
			return e, err
		}
		for i := range e.Effects {
			e.Effects[i].Outcome = part.Outcome
		}
		for i := range e.Base {
			e.Base[i].Outcome = part.Outcome
		}
		out.Effects, out.Base = append(out.Effects, e.Effects...), append(out.Base, e.Base...)
		said = append(said, part.Outcome+": "+e.Sentence)
	}
	out.Sentence = strings.Join(said, "; ")
	return out, nil
}

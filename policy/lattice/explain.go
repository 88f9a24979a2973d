package lattice

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/juncture/juncture"
)

// Effect is one term of an arm's score at an intersection.
type Effect struct {
	Family   string // as "action × meaning"
	Level    string // as "sneaker-fans"; empty for the store, the key for the intersection
	Estimate float64
	Sd       float64 // posterior, untempered; both on the log-odds
	Own      bool    // learnt at this very intersection
	Outcome  string  // of a goal of several; empty for one
}

// Explanation says what an arm's score is made of.
type Explanation struct {
	Effects  []Effect // of the arm, in the order of the families; their sum is the score's mean on the log-odds
	Base     []Effect // what all arms share, the store's log-odds first
	Sentence string
}

// Explain says what comes from which effect. An arm that the fit did not know is CodeInternal.
func (s *Snapshot) Explain(x juncture.Intersection, arm juncture.ArmID) (Explanation, error) {
	k, ok := s.cast.index[arm]
	if !ok {
		return Explanation{}, juncture.Errorf(juncture.CodeInternal, "arm %d is not in the snapshot", arm)
	}
	var sp spot
	s.locate(x, &sp)
	row, group := s.row(sp.key, k)
	out := Explanation{Base: []Effect{{Family: "store", Estimate: s.base}}}
	for _, l := range s.families {
		part := int32(0)
		if l.who != everyone {
			if part = l.part[k]; part < 0 {
				continue
			}
		}
		if sp.blank(l.place) {
			continue
		}
		e := Effect{Family: l.name(), Sd: l.width, Own: l.place.where == wholeKey}
		if at := l.at(&sp, part, row, group); at >= 0 {
			e.Estimate, e.Sd = float64(l.effect[at]), math.Sqrt(float64(l.variance[at]))
		}
		switch {
		case l.place.where == wholeKey:
			e.Level = x.Key()
		case l.place.where != store:
			b, _ := l.place.label(&x, nil)
			e.Level = string(b)
		}
		if l.who == everyone {
			out.Base = append(out.Base, e)
		} else {
			out.Effects = append(out.Effects, e)
		}
	}
	out.Sentence = out.sentence()
	return out, nil
}

// spoken is the smallest effect that a sentence tells, log-odds: 1% of a rate.
const spoken = 0.01

func (e *Explanation) sentence() string {
	overall, own := 0.0, 0.0
	var rest []Effect
	for _, f := range e.Effects {
		switch {
		case f.Own:
			own += f.Estimate
		case f.Level == "":
			overall += f.Estimate
		default:
			rest = append(rest, f)
		}
	}
	slices.SortStableFunc(rest, func(a, b Effect) int { return cmp.Compare(math.Abs(b.Estimate), math.Abs(a.Estimate)) })
	parts := []string{fmt.Sprintf("arm overall %+.2f", overall)}
	for i, f := range rest {
		if i == 4 || math.Abs(f.Estimate) < spoken {
			break
		}
		parts = append(parts, fmt.Sprintf("%s %+.2f", f.Level, f.Estimate))
	}
	return strings.Join(append(parts, fmt.Sprintf("own evidence %+.2f", own)), ", ")
}

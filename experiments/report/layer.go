package report

import (
	"fmt"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/experiments"
)

// Layer is what can be said of the shoppers who are known as far as a tier (docs/statistics.md, E.12): how many it reaches,
// and the figures that a team asks of it. What the layer is worth is estimated off-policy, from decisions.
type Layer struct {
	Tier     string  `json:"tier"`
	Asks     string  `json:"asks"`     // reach and relevance, engagement and consideration, conversion efficiency
	Shoppers int64   `json:"shoppers"` // closed, known this far at enrolment, of all groups
	Reach    float64 `json:"reach"`    // of all closed shoppers
	Lifts    []Lift  `json:"lifts"`    // among them
	Sentence string  `json:"sentence"`
}

// layers reads each tier: relevance at the moment is outcomes of the surface per exposure; engagement and consideration in
// the middle, who did something short of the goal at all; efficiency at the full intersection, who reached the goal.
func (b builder) layers(rows []juncture.UnitRow) ([]Layer, error) {
	if b.src.Experiment == nil {
		return nil, nil
	}
	goal := b.src.Experiment.Goal.Main()
	out := []Layer{}
	var everybody int64
	for _, r := range rows {
		if r.Day.IsZero() {
			everybody += r.Units
		}
	}
	for tier := juncture.TierMoment; tier <= juncture.TierFull; tier++ {
		units := map[juncture.Group]sums{}
		l := Layer{Tier: tier.String(), Lifts: []Lift{}}
		for _, r := range rows {
			if !r.Day.IsZero() || r.Intersection.Tier() < tier || r.Units == 0 {
				continue
			}
			if units[r.Group] == nil {
				units[r.Group] = sums{}
			}
			units[r.Group].add(r.Phase, r.UnitSums)
			l.Shoppers += r.Units
		}
		l.Reach = ratio(l.Shoppers, everybody)
		var wanted func(juncture.OutcomeType) string // the measure, "" for none
		switch tier {
		case juncture.TierMoment:
			l.Asks = "reach and relevance"
			wanted = func(o juncture.OutcomeType) string {
				if o.Everywhere() {
					return ""
				}
				return MeasureRate
			}
		case juncture.TierFull:
			l.Asks = "conversion efficiency"
			wanted = func(o juncture.OutcomeType) string {
				if o.Name != goal {
					return ""
				}
				return MeasureConversion
			}
		default:
			l.Asks = "engagement and consideration"
			wanted = func(o juncture.OutcomeType) string {
				if o.Name == goal && o.Everywhere() || o.Type == juncture.OutcomeMoney {
					return ""
				}
				return MeasureConversion
			}
		}
		for _, o := range b.src.Outcomes {
			measure := wanted(o)
			if measure == "" {
				continue
			}
			over, ok := b.control(o, units)
			if measure == MeasureRate && over == juncture.GroupHoldout || !ok || units[juncture.GroupPolicy].total().Units == 0 {
				continue
			}
			lift, err := b.lift(o, measure, juncture.GroupPolicy, over, units)
			if err != nil {
				return nil, err
			}
			l.Lifts = append(l.Lifts, lift)
		}
		l.Sentence = fmt.Sprintf("%s of shoppers (%s) are known as far as %s when they are enrolled.", experiments.Percent(l.Reach), experiments.Count(l.Shoppers), tierWords(tier))
		if len(l.Lifts) > 0 {
			l.Sentence += " " + l.Lifts[0].Sentence
		}
		out = append(out, l)
	}
	return out, nil
}

// control is the group with shoppers that an outcome is first held against.
func (b builder) control(o juncture.OutcomeType, units map[juncture.Group]sums) (juncture.Group, bool) {
	for _, g := range []juncture.Group{juncture.GroupHoldout, juncture.GroupBAU, juncture.GroupRandom} {
		if (g != juncture.GroupHoldout || o.Everywhere()) && units[g].total().Units > 0 {
			return g, true
		}
	}
	return 0, false
}

func tierWords(t juncture.Tier) string {
	switch t {
	case juncture.TierMoment:
		return "their moment"
	case juncture.TierMeaning:
		return "their taste"
	case juncture.TierTrajectory:
		return "their intent"
	}
	return "the full intersection"
}

package experiments

import (
	"cmp"
	"slices"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/policy"
)

// IntersectionReport is all there is to say about one intersection. An intersection with unknown layers stands for
// everything that it covers, as it does when a shopper arrives who is known no better.
type IntersectionReport struct {
	Experiment string                `json:"experiment"`
	Goal       string                `json:"goal"`
	Money      bool                  `json:"money"` // the goal is value per decision, not a rate
	Currency   string                `json:"currency"`
	AsOf       time.Time             `json:"asOf"`
	Key        string                `json:"key"`
	At         juncture.Intersection `json:"-"`      // the key, its unknown layers spelt out
	Phrase     string                `json:"phrase"` // who is here
	Tier       string                `json:"tier"`
	Layers     []LayerValue          `json:"layers"`
	Rungs      []RungReport          `json:"rungs"`   // broadest first; the last is here
	Actions    []ActionReport        `json:"actions"` // competing, best first
	Arms       []ArmReport           `json:"arms"`    // competing, in the order of their actions, best first
	Past       []PastArm             `json:"past"`    // with evidence here, no longer shown
	Groups     []GroupReport         `json:"groups"`
	Trials     int64                 `json:"trials"` // teaching decisions here, of the competing arms
	Successes  int64                 `json:"successes"`
	Sentence   string                `json:"sentence"`
	Verdict
}

// LayerValue is one layer of the key.
type LayerValue struct {
	Layer string `json:"layer"`
	Title string `json:"title"`
	Value string `json:"value"`
	Name  string `json:"name"`
}

// RungReport is a step of the ladder that the estimates climbed.
type RungReport struct {
	Key       string `json:"key"`
	Phrase    string `json:"phrase"`
	Trials    int64  `json:"trials"`
	Successes int64  `json:"successes"`
}

// ActionReport is an action summed over its copies.
type ActionReport struct {
	ActionEstimate
	Index    int    `json:"index"` // as in ActionInfo
	Letter   string `json:"letter"`
	Headline string `json:"headline"` // of its best copy

	// Of its best copy, where the posterior is pooled: what the belief is made of, and the same in words.
	Effects []juncture.EffectView `json:"effects,omitempty"`
	Why     string                `json:"why,omitempty"`
}

// ArmReport is one action version with one copy version.
type ArmReport struct {
	juncture.Arm
	Name     string `json:"name"`
	Headline string `json:"headline"`
	Index    int    `json:"index"` // of its action
	Letter   string `json:"letter"`
	Estimate
}

// PastArm is an arm that had evidence here and may no longer be shown.
type PastArm struct {
	juncture.Arm
	Name      string `json:"name"`
	Headline  string `json:"headline"`
	Trials    int64  `json:"trials"`
	Successes int64  `json:"successes"`
}

// GroupReport is a group's raw counts here: no claim about a lift (statistics E).
type GroupReport struct {
	Group     juncture.Group `json:"group"`
	Teaches   bool           `json:"teaches"` // whether its trials move the estimates
	Trials    int64          `json:"trials"`
	Successes int64          `json:"successes"`
	Outcomes  int64          `json:"outcomes"` // of the goal, late ones included
	Rate      float64        `json:"rate"`
	Value     int64          `json:"value"` // sum that was learnt, in minor units
}

// BuildIntersection reads one intersection: the ladder of its rungs, each the sum of the leaves that match its known
// layers.
func BuildIntersection(ev Evidence, x juncture.Intersection) (IntersectionReport, error) {
	c := newContest(&ev)
	steps := x.Rungs()
	ladder := c.ladder(steps)
	here := steps[len(steps)-1]
	r := IntersectionReport{Experiment: ev.Experiment.ID, Goal: ev.Outcome.Name, Money: c.value, Currency: ev.Currency,
		AsOf: ev.AsOf, Key: here.Key(), At: here, Phrase: ev.Names.Phrase(here), Tier: here.Tier().String(), Past: []PastArm{},
		Actions: []ActionReport{}, Arms: []ArmReport{}}
	var groups [5]GroupReport
	for i := range ev.Cells {
		cell := &ev.Cells[i]
		if covers(here, cell.Intersection) {
			addGroups(&groups, cell, ev.Outcome.Name)
		}
	}
	c.open(ladder[len(ladder)-1].sums, here)
	for _, l := range juncture.Layers() {
		r.Layers = append(r.Layers, LayerValue{l.String(), AxisTitle(l.String()), here.Value(l), ev.Names.Value(l.String(), here.Value(l))})
	}
	for i, s := range steps {
		t := c.sum(ladder[i].sums)
		r.Rungs = append(r.Rungs, RungReport{s.Key(), ev.Names.Phrase(s), t.trials, t.successes})
	}
	for g := juncture.GroupPolicy; g <= juncture.GroupHoldout; g++ {
		gr := groups[g]
		gr.Group, gr.Teaches = g, g.Teaches()
		if gr.Trials > 0 {
			gr.Rate = float64(gr.Successes) / float64(gr.Trials)
		}
		r.Groups = append(r.Groups, gr)
	}
	own := ladder[len(ladder)-1].sums
	sum := c.sum(own)
	r.Trials, r.Successes = sum.trials, sum.successes
	info := map[string]ActionInfo{}
	for _, a := range c.actions(own) {
		info[a.Action] = a
	}
	for i := len(c.arms); i < len(c.ids); i++ {
		if t := own[i]; t.trials > 0 {
			a := ev.Arms[c.ids[i]]
			r.Past = append(r.Past, PastArm{a.Arm, Title(a.Arm.Action), a.Headline, t.trials, t.successes})
		}
	}
	r.State = StateEmpty
	if len(c.arms) > 0 {
		out, err := c.read(c.under(here), ladder)
		if err != nil {
			return IntersectionReport{}, err
		}
		r.Verdict = c.verdict(&out, sum)
		for i := range out.Actions {
			a := c.action(&out, i)
			ar := ActionReport{ActionEstimate: *a, Index: info[a.Action].Index, Letter: info[a.Action].Letter}
			if best := out.Actions[i].Best; best >= 0 && best < len(c.arms) {
				ar.Headline = ev.Arms[c.arms[best].ID].Headline
				if ev.Explain != nil {
					if ar.Effects, ar.Why, err = ev.Explain(here, c.arms[best].ID); err != nil {
						return IntersectionReport{}, err
					}
					ar.Why = ev.Names.Why(ar.Why, ar.Effects)
				}
			}
			r.Actions = append(r.Actions, ar)
		}
		slices.SortStableFunc(r.Actions, func(a, b ActionReport) int {
			return cmp.Or(cmp.Compare(b.PBest, a.PBest), c.better(a.Estimate, b.Estimate))
		})
		place := map[string]int{}
		for i, a := range r.Actions {
			place[a.Action] = i
		}
		for i, p := range out.Arms {
			if p == (policy.Posterior{}) {
				continue // not offered here
			}
			a := ev.Arms[c.arms[i].ID]
			r.Arms = append(r.Arms, ArmReport{a.Arm, Title(a.Arm.Action), a.Headline, info[a.Arm.Action].Index, info[a.Arm.Action].Letter, estimate(p)})
		}
		slices.SortStableFunc(r.Arms, func(a, b ArmReport) int {
			return cmp.Or(place[a.Action]-place[b.Action], cmp.Compare(b.PBest, a.PBest))
		})
	}
	from := ""
	if len(steps) > 1 {
		from = ev.Names.Phrase(steps[len(steps)-2])
	}
	r.Sentence = c.sentence(r.Verdict, r.Trials, r.Phrase, from)
	return r, nil
}

// ladder sums the leaves under each of an intersection's rungs.
func (c *contest) ladder(steps []juncture.Intersection) []rung {
	out := make([]rung, len(steps))
	for i := range steps {
		out[i] = rung{layerOf(steps, i), c.vector()}
	}
	for i := range c.ev.Cells {
		cell := &c.ev.Cells[i]
		for k, s := range steps { // rungs only narrow: past the first mismatch there is nothing
			if !covers(s, cell.Intersection) {
				break
			}
			c.add(out[k].sums, cell)
		}
	}
	return out
}

// layerOf is the layer that rung i adds: -1 for the store's.
func layerOf(steps []juncture.Intersection, i int) int {
	if i > 0 {
		for l := range juncture.LayerCount {
			if steps[i][l] != steps[i-1][l] {
				return l
			}
		}
	}
	return -1
}

// covers reports whether every known layer of the rung is the leaf's.
func covers(rung, leaf juncture.Intersection) bool {
	for i, v := range rung {
		if v != "" && juncture.Known(v) && v != leaf[i] {
			return false
		}
	}
	return true
}

func addGroups(groups *[5]GroupReport, cell *juncture.Cell, goal string) {
	for _, r := range cell.Rows {
		if int(r.Group) >= len(groups) {
			continue
		}
		g := &groups[r.Group]
		switch r.Event {
		case "":
			g.Trials += r.Trials
		case goal:
			g.Successes += r.Successes
			g.Outcomes += r.Outcomes
			g.Value += r.Value
		}
	}
}

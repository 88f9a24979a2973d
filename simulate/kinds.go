package simulate

import (
	"slices"
	"strings"
	"time"

	"github.com/juncture/juncture"
)

// Kinds names the stores that can be simulated (statistics F).
func Kinds() []string {
	return []string{"usual", "wide", "delays", "drift", "everything", "revenue", "nothing", "no-structure", "late"}
}

// Kind returns the settings of a store by name. An unknown name is CodeInvalidRequest.
func Kind(name string, seed uint64) (Settings, error) {
	const day = 24 * time.Hour
	s := Settings{Name: name, Seed: seed}
	switch name {
	case "usual": // 1,920 intersections, 24 arms
	case "wide": // 20,000 intersections
		s.Axes = [juncture.LayerCount][]int{{5, 5, 2}, {20}, {4, 1}, {5}}
	case "delays":
		s.Delay = 2 * day
	case "drift":
		s.Drift = 1
	case "everything":
		s.Delay, s.Drift, s.Season, s.Withheld, s.Late, s.Returning, s.Blank = 2*day, 0.7, true, 0.2, 2, 0.3, 0.1
	case "revenue":
		s.Money = true
	case "nothing":
		s.Nothing = true
	case "no-structure":
		s.Noise = true
	case "late": // an action 20% better than the best comes in the middle
		s.Delay, s.Late, s.LateLift = 2*day, 1, 0.2
	default:
		return s, juncture.Errorf(juncture.CodeInvalidRequest, "no kind of store is called %.40q", name).WithHint("one of " + strings.Join(Kinds(), ", "))
	}
	return s, nil
}

// Declaration is the store as its merchant would declare it, with an experiment under a policy.
func (s *Store) Declaration(policy string) *juncture.Declaration {
	d := &juncture.Declaration{Store: juncture.StoreInfo{Name: "Simulated", Currency: "EUR"}, Layers: map[string]juncture.LayerSetting{},
		Outcomes: []juncture.OutcomeType{{Name: "success", Type: juncture.OutcomeBinary}, {Name: "order", Type: juncture.OutcomeMoney}},
		Surfaces: []juncture.Surface{{ID: Surface, Channel: "onsite"}}}
	for _, l := range juncture.Layers() {
		d.Layers[l.String()] = juncture.LayerSetting{Source: juncture.SourceRequest}
	}
	for _, a := range s.Arms {
		i := slices.IndexFunc(d.Actions, func(x juncture.Action) bool { return x.ID == a.Action })
		if i < 0 {
			i = len(d.Actions)
			d.Actions = append(d.Actions, juncture.Action{ID: a.Action, Surfaces: []string{Surface}, Type: "simulated"})
		}
		d.Actions[i].Copy = append(d.Actions[i].Copy, juncture.Copy{ID: a.Copy, Headline: a.Action + " " + a.Copy})
	}
	d.Surfaces[0].Default = d.Actions[0].ID
	window := s.Window
	if s.Delay == 0 {
		window = 24 * time.Hour
	}
	x := juncture.Experiment{ID: Experiment, Surface: Surface, Goal: juncture.Goal{Outcome: s.Goal(), Window: juncture.Duration(window)},
		Groups: juncture.GroupShares{Policy: 1}, Policy: policy, Stickiness: juncture.StickyNone, Status: juncture.StatusRunning}
	if policy == juncture.PolicyFixed {
		x.Learning = &juncture.Learning{Split: map[string]float64{}}
		for _, a := range d.Actions {
			x.Learning.Split[a.ID] = 1 / float64(len(d.Actions))
		}
	}
	d.Experiments = []juncture.Experiment{x}
	return d
}

// Names in a simulated store's declaration.
const (
	Surface    = "simulated"
	Experiment = "simulated"
)

// Goal is the outcome that the store's experiment learns towards.
func (s *Store) Goal() string {
	if s.Money {
		return "order"
	}
	return "success"
}

package replay

import (
	"math"

	"github.com/juncture/juncture"
)

// Names in the store that a replay declares.
const (
	Experiment   = "replay"
	surface      = "replay"
	eventReward  = "reward"
	eventValue   = "value"
	currency     = "XXX" // ISO 4217: no currency
	copyID       = "plain"
	window       = "24h"
	defaultFloor = 0.01
)

// Declaration is the store that the log is replayed in: one surface, one action with one copy per arm, every shopper in
// the policy's group.
func (l *Log) Declaration() (*juncture.Declaration, error) {
	within, err := juncture.ParseDuration(window)
	if err != nil {
		return nil, err
	}
	floor := defaultFloor
	d := &juncture.Declaration{
		Store:    juncture.StoreInfo{Name: "Replay", Currency: currency},
		Layers:   map[string]juncture.LayerSetting{},
		Outcomes: []juncture.OutcomeType{{Name: eventReward, Type: juncture.OutcomeBinary}},
		Surfaces: []juncture.Surface{{ID: surface, Channel: "onsite"}},
	}
	goal := juncture.Goal{Outcome: eventReward, Window: within}
	if l.Money() {
		most := 1.0
		for i := range l.Rows {
			most = max(most, l.Rows[i].Value)
		}
		d.Outcomes = append(d.Outcomes, juncture.OutcomeType{Name: eventValue, Type: juncture.OutcomeMoney, Bound: math.Ceil(most)})
		goal.Outcome = eventValue
	}
	for i, n := range l.Values {
		d.Layers[juncture.Layer(i).String()] = juncture.LayerSetting{Source: juncture.SourceRequest, MaxValues: max(n, juncture.DefaultMaxValues)}
	}
	for _, a := range l.Arms {
		d.Actions = append(d.Actions, juncture.Action{ID: a.ID, Surfaces: []string{surface}, Type: "arm",
			Copy: []juncture.Copy{{ID: copyID, Headline: a.Label}}})
	}
	d.Experiments = []juncture.Experiment{{ID: Experiment, Surface: surface, Goal: goal, Groups: juncture.GroupShares{Policy: 1},
		Floor: &floor, Stickiness: juncture.StickyNone, Status: juncture.StatusRunning}}
	return d, nil
}

package main

import (
	"context"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/console"
	"github.com/juncture/juncture/experiments"
)

// factSimulated marks a database whose shoppers are made up.
const factSimulated = "simulated"

// source is what the console shows, read from a node.
type source struct {
	node  *node
	clock func() time.Time
}

func (s *source) Store(ctx context.Context) (console.StoreView, error) {
	p, err := s.node.engine.Declared(ctx)
	if err != nil {
		return console.StoreView{}, err
	}
	simulated, err := s.node.db.Fact(ctx, factSimulated)
	d := p.Declaration
	return console.StoreView{Name: d.Store.Name, Currency: d.Store.Currency, Simulated: simulated != "", Experiments: d.Experiments, Surfaces: d.Surfaces}, err
}

func (s *source) Evidence(ctx context.Context, experiment string) (experiments.Evidence, error) {
	return s.node.engine.Evidence(ctx, experiment, s.clock())
}

func (s *source) Decisions(ctx context.Context, experiment string, x juncture.Intersection, limit int) ([]console.DecisionView, error) {
	found, err := s.node.db.DecisionsAt(ctx, experiment, x, limit)
	if err != nil {
		return nil, err
	}
	serials := make([]uint64, len(found))
	for i, d := range found {
		serials[i] = d.Serial
	}
	outcomes, err := s.node.db.OutcomesOf(ctx, serials)
	if err != nil {
		return nil, err
	}
	out := make([]console.DecisionView, len(found))
	for i, d := range found {
		id, ok := s.node.engine.DecisionID(d.SigningKey, d.Claims)
		if !ok {
			id = "(signed with a key that is gone)"
		}
		out[i] = console.DecisionView{At: d.At, ID: id, Group: d.Group, Arm: d.Arm, Probability: d.Probability}
		for _, o := range outcomes[d.Serial] {
			out[i].Outcomes = append(out[i].Outcomes, console.OutcomeView{Event: o.Event, Value: o.Value, Currency: o.Currency, Status: o.Status})
		}
	}
	return out, nil
}

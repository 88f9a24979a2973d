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
	return console.StoreView{Name: d.Store.Name, Currency: d.Store.Currency, Simulated: simulated != "", Experiments: d.Experiments, Surfaces: d.Surfaces, Layers: d.Layers}, err
}

func (s *source) Evidence(ctx context.Context, experiment string) (experiments.Evidence, error) {
	return s.node.engine.Evidence(ctx, experiment, s.clock())
}

func (s *source) Decisions(ctx context.Context, experiment string, x juncture.Intersection, limit int) ([]console.DecisionView, error) {
	found, err := s.node.db.DecisionsAt(ctx, experiment, x, limit)
	if err != nil {
		return nil, err
	}
	claims := make([]signed, len(found))
	for i, d := range found {
		claims[i] = signed{d.Claims, d.SigningKey}
	}
	return s.views(ctx, claims)
}

// signed are claims with the key that signed their id.
type signed struct {
	juncture.Claims
	key uint8
}

// views are decisions as the console shows them, with their outcomes.
func (s *source) views(ctx context.Context, found []signed) ([]console.DecisionView, error) {
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
		id, ok := s.node.engine.DecisionID(d.key, d.Claims)
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

func (s *source) Shopper(ctx context.Context, id string) (console.ShopperView, error) {
	now := s.clock()
	p, err := s.node.engine.Profile(ctx, id, now)
	if err != nil {
		return console.ShopperView{}, err
	}
	return console.ShopperView{ProfileView: *p, AsOf: now}, nil
}

func (s *source) Events(ctx context.Context, shopper string, limit int) ([]juncture.Event, error) {
	return s.node.db.EventsOf(ctx, shopper, limit)
}

func (s *source) Touches(ctx context.Context, id string, limit int) ([]console.TouchView, error) {
	shopper, err := s.node.db.Shopper(ctx, id)
	if err != nil {
		return nil, err
	}
	if shopper == "" {
		shopper = id
	}
	found, err := s.node.db.Touches(ctx, shopper, limit)
	if err != nil {
		return nil, err
	}
	claims := make([]signed, len(found))
	for i, t := range found {
		claims[i] = signed{t.Claims, t.SigningKey}
	}
	views, err := s.views(ctx, claims)
	if err != nil {
		return nil, err
	}
	out := make([]console.TouchView, len(found))
	for i, t := range found {
		out[i] = console.TouchView{DecisionView: views[i], Experiment: t.Claims.Experiment, Key: t.Claims.Intersection.Key()}
	}
	return out, nil
}

func (s *source) Quarantine(ctx context.Context) ([]juncture.Quarantined, error) {
	return s.node.db.Quarantine(ctx)
}

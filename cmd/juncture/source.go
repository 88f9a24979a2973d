package main

import (
	"cmp"
	"context"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/console"
	"github.com/juncture/juncture/engine"
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
		claims[i] = signed{d.Claims, d.SigningKey, d.Reason, d.Detail, d.Shadow}
	}
	return s.views(ctx, claims, nil)
}

// signed are claims with the key that signed their id, and why it was decided so.
type signed struct {
	juncture.Claims
	key    uint8
	reason juncture.Reason
	detail juncture.Detail
	shadow juncture.ArmID
}

// views are decisions as the console shows them, with their outcomes, and their part of those shared that others hold.
func (s *source) views(ctx context.Context, found []signed, shared []juncture.Outcome) ([]console.DecisionView, error) {
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
		out[i] = console.DecisionView{At: d.At, ID: id, Group: d.Group, Arm: d.Arm, Shadow: d.shadow, Probability: d.Probability, Reason: d.reason, Detail: d.detail}
		theirs := outcomes[d.Serial]
		for _, o := range shared {
			if o.Serial != d.Serial && o.ShareOf(d.Serial) > 0 {
				o.Status = juncture.StatusCredited
				theirs = append(theirs, o)
			}
		}
		for _, o := range theirs {
			out[i].Outcomes = append(out[i].Outcomes, console.OutcomeView{Event: o.Event, Value: o.Value, Currency: o.Currency, Credit: o.ShareOf(d.Serial), Status: o.Status})
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

// sharedLimit is how many outcomes of a shopper that several decisions share are looked through.
const sharedLimit = 10_000

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
		claims[i] = signed{t.Claims, t.SigningKey, t.Reason, t.Detail, t.Shadow}
	}
	shared, err := s.node.db.Shared(ctx, shopper, sharedLimit)
	if err != nil {
		return nil, err
	}
	views, err := s.views(ctx, claims, shared)
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

func fromConsole(actor string) engine.Who { return engine.Who{Actor: actor, From: "console"} }

func (s *source) Movements(ctx context.Context, id string, limit int) ([]juncture.Movement, error) {
	who, err := s.node.db.Identity(ctx, id)
	if err != nil {
		return nil, err
	}
	return s.node.db.MovementsOf(ctx, cmp.Or(who.Shopper, id), limit)
}

func (s *source) Consent(ctx context.Context, id string) (juncture.ConsentRecord, error) {
	who, err := s.node.db.Identity(ctx, id)
	return who.Consent, err
}

func (s *source) Erase(ctx context.Context, actor, id string) (juncture.ErasureView, error) {
	x, err := s.node.engine.Erase(ctx, s.clock(), fromConsole(actor), id)
	if err != nil {
		return juncture.ErasureView{}, err
	}
	return juncture.ErasureView{Erased: true, IDs: len(x.IDs), Events: x.Events, Decisions: x.Decisions}, nil
}

func (s *source) Export(ctx context.Context, id string) (any, error) {
	return exports{s.node.db}.Export(ctx, id)
}

func (s *source) Clusters(context.Context) (juncture.ClustersView, error) {
	return s.node.engine.Clusters(), nil
}

func (s *source) ChangeCluster(ctx context.Context, actor, id string, c juncture.ClusterChange) error {
	return s.node.engine.ChangeCluster(ctx, s.clock(), fromConsole(actor), id, c)
}

func (s *source) Refit(ctx context.Context, actor string) (juncture.RefitView, error) {
	return s.node.engine.Refit(ctx, s.clock(), fromConsole(actor))
}

func (s *source) LayerCounts(ctx context.Context) ([]juncture.ValueCount, error) {
	return s.node.db.LayerCounts(ctx)
}

func (s *source) Moves(ctx context.Context, since time.Time) ([]juncture.MoveCount, error) {
	return s.node.db.Moves(ctx, since)
}

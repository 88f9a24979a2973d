package main

import (
	"context"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/audit"
	"github.com/juncture/juncture/experiments/report"
)

func (s *source) Experiments(ctx context.Context) ([]juncture.ExperimentView, []juncture.Holdout, error) {
	p, err := s.node.engine.Declared(ctx)
	if err != nil {
		return nil, nil, err
	}
	var out []juncture.ExperimentView
	for _, x := range p.Declaration.Experiments {
		v, err := p.Declaration.View(x.ID)
		if err != nil {
			return nil, nil, err
		}
		out = append(out, v)
	}
	return out, p.Declaration.Holdouts, nil
}

func (s *source) Report(ctx context.Context, id string, q report.Query) (report.Report, error) {
	return s.node.engine.Report(ctx, id, s.clock(), q)
}

func (s *source) ChangeExperiment(ctx context.Context, actor, id string, verb juncture.Verb, r juncture.ExperimentChange) (juncture.ExperimentView, error) {
	return s.node.engine.ChangeExperiment(ctx, s.clock(), fromConsole(actor), id, verb, r)
}

func (s *source) History(ctx context.Context, id string, limit int) ([]audit.Entry, error) {
	return s.node.db.AuditOf(ctx, "experiment "+id, limit)
}

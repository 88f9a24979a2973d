package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/audit"
	"github.com/juncture/juncture/console"
	"github.com/juncture/juncture/evaluate"
	"github.com/juncture/juncture/experiments/health"
	"github.com/juncture/juncture/experiments/report"
	"github.com/juncture/juncture/server"
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

func (s *source) Health(ctx context.Context, id string) (console.HealthView, error) {
	h, err := s.node.engine.Health(ctx, id, s.clock())
	if err != nil {
		return console.HealthView{}, err
	}
	v := console.HealthView{State: console.HealthUnknown, Sentences: slices.Clone(h.Sentences), AsOf: h.AsOf} // what is read is shared
	judged := 0
	for _, c := range h.Checks {
		if c.Verdict != health.VerdictThin {
			judged++
		}
	}
	switch {
	case h.State == health.VerdictMismatch:
		v.State = console.HealthBad
	case h.State == health.VerdictWatch:
		v.State = console.HealthWarning
	case judged > 0:
		v.State = console.HealthGood
		v.Sentences = append(v.Sentences, fmt.Sprintf("%d of %d checks had enough to judge by.", judged, len(h.Checks)))
	}
	return v, nil
}

func (s *source) ChangeExperiment(ctx context.Context, actor, id string, verb juncture.Verb, r juncture.ExperimentChange) (juncture.ExperimentView, error) {
	return s.node.engine.ChangeExperiment(ctx, s.clock(), fromConsole(actor), id, verb, r)
}

func (s *source) History(ctx context.Context, id string, limit int) ([]audit.Entry, error) {
	return s.node.db.AuditOf(ctx, "experiment "+id, limit)
}

// whatIf asks for the console what the API asks: the two share their answers, and the one walk at a time.
type whatIf struct {
	asked *evaluations
	clock func() time.Time
}

func (w *whatIf) ask(ctx context.Context, q console.WhatIfQuery, worth bool) (any, error) {
	return w.asked.Evaluate(ctx, w.clock(), server.Evaluation{Experiment: q.Experiment, Only: strings.Join(q.Only, ","), Ceiling: q.Ceiling, From: q.From, To: q.To, Worth: worth})
}

func (w *whatIf) Evaluate(ctx context.Context, q console.WhatIfQuery) (evaluate.Report, error) {
	found, err := w.ask(ctx, q, false)
	if err != nil {
		return evaluate.Report{}, err
	}
	r, ok := found.(*evaluate.Report)
	if !ok {
		return evaluate.Report{}, fmt.Errorf("an evaluation is a %T", found)
	}
	return *r, nil
}

func (w *whatIf) Worth(ctx context.Context, q console.WhatIfQuery) (evaluate.Worth, error) {
	found, err := w.ask(ctx, q, true)
	if err != nil {
		return evaluate.Worth{}, err
	}
	r, ok := found.(*evaluate.Worth)
	if !ok {
		return evaluate.Worth{}, fmt.Errorf("an evaluation of worth is a %T", found)
	}
	return *r, nil
}

func (s *source) Catalogue(ctx context.Context) (juncture.CatalogueView, error) {
	return s.node.engine.Catalogue(ctx, s.clock())
}

func (s *source) Products(ctx context.Context, q juncture.ProductQuery) (juncture.ProductsView, error) {
	return s.node.engine.Products(ctx, q)
}

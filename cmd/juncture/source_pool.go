package main

import (
	"context"

	"github.com/juncture/juncture"
)

// The pool as the console shows and changes it.

func (s *source) Actions(ctx context.Context) ([]juncture.PoolAction, error) {
	return s.node.engine.Actions(ctx, s.clock())
}

func (s *source) Reviews(ctx context.Context) ([]juncture.ReviewItem, error) {
	return s.node.engine.Reviews(ctx)
}

func (s *source) Switches(ctx context.Context) ([]juncture.SwitchView, error) {
	return s.node.engine.Switches(ctx)
}

func (s *source) ShownTo(ctx context.Context, shopper string, a juncture.Action) ([]juncture.ProductView, []juncture.EditorialView, error) {
	return s.node.engine.ShownTo(ctx, s.clock(), shopper, a)
}

func (s *source) Review(ctx context.Context, actor string, verb juncture.Verb, r juncture.ReviewRequest) error {
	return s.node.engine.Review(ctx, s.clock(), fromConsole(actor), verb, r)
}

func (s *source) HoldAction(ctx context.Context, actor, action, copy string, verb juncture.Verb, r juncture.ReasonRequest) ([]string, error) {
	return s.node.engine.HoldAction(ctx, s.clock(), fromConsole(actor), action, copy, verb, r)
}

func (s *source) Switch(ctx context.Context, actor, kind, id string, verb juncture.Verb, r juncture.ReasonRequest) ([]string, error) {
	return s.node.engine.Switch(ctx, s.clock(), fromConsole(actor), kind, id, verb, r)
}

func (s *source) SetTerms(ctx context.Context, actor, action string, r juncture.TermsRequest) error {
	return s.node.engine.SetTerms(ctx, s.clock(), fromConsole(actor), action, r)
}

func (s *source) WriteAction(ctx context.Context, actor string, r juncture.ActionDraft) error {
	return s.node.engine.WriteAction(ctx, s.clock(), fromConsole(actor), r)
}

func (s *source) WriteCopy(ctx context.Context, actor, action string, r juncture.CopyDraft) error {
	return s.node.engine.WriteCopy(ctx, s.clock(), fromConsole(actor), action, r)
}

func (s *source) Priorities(ctx context.Context) ([]juncture.PoolPriority, error) {
	return s.node.engine.Priorities(ctx, s.clock())
}

func (s *source) PriorityEffects(ctx context.Context) (map[string][]juncture.PriorityEffect, error) {
	return s.node.engine.PriorityEffects(ctx, s.clock())
}

func (s *source) PreviewPriority(ctx context.Context, shopper string, p juncture.Priority) (juncture.PriorityPreview, error) {
	return s.node.engine.PreviewPriority(ctx, s.clock(), shopper, p)
}

func (s *source) WritePriority(ctx context.Context, actor string, r juncture.PriorityDraft) error {
	return s.node.engine.WritePriority(ctx, s.clock(), fromConsole(actor), r)
}

func (s *source) HoldPriority(ctx context.Context, actor, id string, verb juncture.Verb, r juncture.ReasonRequest) error {
	return s.node.engine.HoldPriority(ctx, s.clock(), fromConsole(actor), id, verb, r)
}

package main

import (
	"context"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/engine"
)

// How often what is learnt beside profiles is renewed. The first clusters are tried for after firstFit, then ever less often.
const (
	lookForChanges = 2 * time.Second
	restockEvery   = time.Minute
	sweepEvery     = 24 * time.Hour
	refitEvery     = 24 * time.Hour
	firstFit       = 10 * time.Second
	mostBetween    = time.Hour
	movementsKept  = 400 * 24 * time.Hour
)

// actorSchedule is who the audit log names for what runs by the clock.
const actorSchedule = "schedule"

// learn renews products, taste clusters and recommendations, and sweeps the profiles that time or new clusters have
// moved, at start too, until ctx ends. Failing once is logged and tried again.
func (n *node) learn(ctx context.Context, clock func() time.Time) {
	failed := func(what string, err error) {
		if err != nil && ctx.Err() == nil {
			n.log.Error(what, "error", err)
		}
	}
	restock := func() { n.learned.Restock(clock()) }
	restock() // something to show while the past is counted
	failed("count what is bought together", n.learned.Recount(ctx))
	restock()
	var swept time.Time          // never since this start: a server may be started more often than it sweeps
	var sweptWith int64          // the taste clusters' version then
	var stocked, tried time.Time // real time
	wait := firstFit
	began := time.Now()
	tick := time.NewTicker(lookForChanges)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		changed, err := n.learned.Refresh(ctx)
		failed("refresh products and taste clusters", err)
		if changed || time.Since(stocked) >= restockEvery {
			restock()
			stocked = time.Now()
		}
		if n.refitDue(clock()) && time.Since(began) >= firstFit && time.Since(tried) >= wait {
			tried = time.Now()
			_, err := n.engine.Refit(ctx, clock(), engine.Who{Actor: actorSchedule, From: "serve"})
			switch e := juncture.ErrorCode(err); {
			case err == nil:
				wait = firstFit
				failed("count what is bought together", n.learned.Recount(ctx))
				restock()
			case e == juncture.CodeInvalidRequest: // too few shoppers yet
				wait = min(2*wait, mostBetween)
			default:
				wait = min(2*wait, mostBetween)
				failed("learn taste clusters", err)
			}
		}
		_, version := n.learned.Model()
		now := clock()
		if now.Sub(swept) >= sweepEvery || now.Before(swept) || version != sweptWith { // before: a test clock's first call
			swept, sweptWith = now, version
			_, err := n.writer.CheckpointProfiles(ctx) // the sweep reads what is written
			if err == nil {
				_, _, err = n.profiles.Sweep(ctx, n.db, now, n.writer.CheckpointProfiles)
			}
			if err == nil {
				_, err = n.writer.CheckpointProfiles(ctx)
			}
			failed("sweep profiles", err)
			for deleted := int64(1); deleted > 0 && err == nil; {
				deleted, err = n.db.PurgeMovements(ctx, now.Add(-movementsKept), 2000)
			}
			failed("purge movements", err)
		}
	}
}

// refitDue reports whether taste clusters are to be learnt again: the layer is derived, there are products, and the ones
// in use are as old as the store's setting.
func (n *node) refitDue(now time.Time) bool {
	set := n.engine.Pool().Declaration.Layers[juncture.Meaning.String()]
	every := time.Duration(set.Refit)
	if every <= 0 {
		every = refitEvery
	}
	learnt := n.learned.LearntAt()
	return set.Source != juncture.SourceRequest && n.learned.Index().Len() > 0 && (learnt.IsZero() || now.Sub(learnt) >= every)
}

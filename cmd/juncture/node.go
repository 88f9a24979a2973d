package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/engine"
	"github.com/juncture/juncture/pool"
	"github.com/juncture/juncture/store"
)

// node is one running Juncture without its HTTP side: database, writer, memory and engine, and the jobs that keep them.
type node struct {
	db       *store.DB
	tallies  *engine.Tallies
	profiles *engine.Profiles
	learned  *engine.Learned
	writer   *store.Writer
	engine   *engine.Engine
	verdicts *verdicts
	log      *slog.Logger
	running  context.Context // ends with the jobs
	stop     context.CancelFunc
	jobs     sync.WaitGroup
}

// startNode opens and wires everything; close undoes it. clock is what background jobs take for now.
func (a *app) startNode(ctx context.Context, o store.Options, log *slog.Logger, clock func() time.Time) (*node, error) {
	db, err := store.Open(ctx, a.DB, o)
	if err != nil {
		return nil, err
	}
	n, err := a.assemble(ctx, db, log, clock)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return n, nil
}

// fitClock is what snapshots are spaced by: nothing, where the time is a test's, so that the same calls give the same answers.
func (a *app) fitClock() func() time.Time {
	if a.TestClock {
		return nil
	}
	return time.Now
}

func (a *app) assemble(ctx context.Context, db *store.DB, log *slog.Logger, clock func() time.Time) (*node, error) {
	random := a.random()
	if _, err := db.Secrets(ctx, random, a.now()); err != nil {
		return nil, err
	}
	// Owned first, read then: what another process commits after the reading would never come into memory.
	lock, err := store.LockWriter(db.Path())
	if err != nil {
		return nil, err
	}
	tallies, err := engine.NewTallies(ctx, db, a.Cells)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	profiles, err := engine.NewProfiles(ctx, db, a.Profiles)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	writer, err := store.NewWriter(ctx, db, tallies, store.WriterOptions{Node: a.Node, Queue: a.Queue, Now: clock, Lock: lock, Profiles: profiles})
	if err != nil {
		return nil, err
	}
	learned, err := engine.NewLearned(ctx, db, engine.LearnedLimits{Products: a.Products})
	if err != nil {
		return nil, errors.Join(err, writer.Close())
	}
	e, err := engine.New(ctx, engine.Deps{
		Ledger: writer, Config: db, Shoppers: db, Enrolments: db, Tallies: tallies, Profiles: profiles, Learned: learned, Watched: db, Watching: a.watching(), Notes: db, Clock: a.fitClock(), Breaker: cmp.Or[engine.Breaker](a.breaker, engine.Guards{Units: db, Config: db}), Node: a.Node, Limits: engine.Limits{Cells: a.Cells, Vectors: a.Vectors},
		Secrets: func(ctx context.Context) (engine.Secrets, error) {
			s, err := db.Secrets(ctx, random, a.now())
			if err != nil {
				return engine.Secrets{}, err
			}
			ring, err := juncture.NewKeyring(s.Signing)
			return engine.Secrets{PickSalt: s.PickSalt, GroupSalt: s.GroupSalt, Keyring: ring}, err
		},
	})
	if err != nil {
		return nil, errors.Join(err, writer.Close())
	}
	n := &node{db: db, tallies: tallies, profiles: profiles, learned: learned, writer: writer, engine: e, verdicts: newVerdicts(), log: log}
	jobs, stop := context.WithCancel(context.WithoutCancel(ctx))
	n.running, n.stop = jobs, stop
	n.jobs.Go(func() { n.keep(jobs, a.Checkpoint, clock) })
	n.jobs.Go(func() { n.purge(jobs, clock) })
	n.jobs.Go(func() { n.closeUnits(jobs, clock) })
	return n, nil
}

// learns starts the jobs that renew what is learnt beside profiles. Only a server has them: a command that writes
// leaves it to the next one.
func (n *node) learns(ctx context.Context, clock func() time.Time) {
	n.profiles.Observe(n.learned.Observe)
	n.profiles.Follow(clock)
	n.jobs.Go(func() { n.learned.Run(ctx) })
	n.jobs.Go(func() { n.engine.Learn(ctx, clock, func(err error) { n.log.Error("fit", "error", err) }) })
	n.jobs.Go(func() { n.engine.Reread(ctx, clock, func(err error) { n.log.Error("read anew", "error", err) }) })
	n.jobs.Go(func() { n.learn(ctx, clock) })
	n.jobs.Go(func() { n.watch(ctx, clock) })
	n.jobs.Go(func() { n.detect(ctx, clock) })
}

// keep writes checkpoints, until ctx ends. A busy store is checkpointed before memory fills.
func (n *node) keep(ctx context.Context, every time.Duration, clock func() time.Time) {
	const look, mostDirty = time.Second, 20_000
	t := time.NewTicker(look)
	defer t.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		dirty, _ := n.tallies.Size()
		waiting, _ := n.profiles.Size()
		// A checkpoint always writes something: where commits fail it finds out whether the database takes writes again.
		failing := n.writer.Stats().FailedInARow > 0
		if dirty += waiting; !failing && (dirty == 0 || dirty < mostDirty && time.Since(last) < every) {
			continue
		}
		last = time.Now()
		if _, err := n.writer.Checkpoint(ctx); err != nil && ctx.Err() == nil {
			n.log.Error("checkpoint", "error", err)
		}
		if _, err := n.writer.CheckpointProfiles(ctx); err != nil && ctx.Err() == nil {
			n.log.Error("write profiles", "error", err)
		}
	}
}

// every runs f at each interval, until ctx ends.
func every(ctx context.Context, interval time.Duration, f func()) {
	t := time.NewTicker(interval)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			f()
		}
	}
}

// closeUnits adds shoppers whose horizon has ended to the rollup of lifts, until ctx ends.
func (n *node) closeUnits(ctx context.Context, clock func() time.Time) {
	every(ctx, 5*time.Second, func() {
		if _, err := n.db.CloseUnits(ctx, clock()); err != nil && ctx.Err() == nil {
			n.log.Error("close units", "error", err)
		}
	})
}

// guard has the guards of experiments judged, until ctx ends.
func (n *node) guard(ctx context.Context, interval time.Duration, clock func() time.Time) {
	every(ctx, interval, func() {
		tripped, err := n.engine.Guard(ctx, clock())
		for _, x := range tripped {
			n.log.Warn("a guard took an experiment back to the default", "experiment", x.ID, "outcome", x.Tripped.Guard.Outcome, "why", x.Tripped.Why)
		}
		if err != nil && ctx.Err() == nil {
			n.log.Error("judge guards", "error", err)
		}
	})
}

// purge deletes what has expired, until ctx ends.
func (n *node) purge(ctx context.Context, clock func() time.Time) {
	const chunk = 2000
	every(ctx, 30*time.Second, func() {
		for deleted := int64(chunk); deleted == chunk; {
			var err error
			if deleted, err = n.db.PurgeMemos(ctx, clock().UnixMilli(), chunk); err != nil && ctx.Err() == nil {
				n.log.Error("purge expired answers", "error", err)
			}
		}
		if err := n.db.PruneSessions(ctx, "", time.Now()); err != nil && ctx.Err() == nil {
			n.log.Error("prune sessions", "error", err)
		}
	})
}

// mostFailed commits in a row make the node not ready, until one succeeds.
const mostFailed = 3

// ready says why the node should get no requests.
func (n *node) ready(ctx context.Context) error {
	if err := n.tallies.Err(); err != nil {
		return fmt.Errorf("memory no longer follows the ledger: %w", err)
	}
	if failed := n.writer.Stats().FailedInARow; failed >= mostFailed {
		return fmt.Errorf("the last %d commits failed", failed)
	}
	if err := n.profiles.Err(); err != nil {
		return fmt.Errorf("profiles no longer follow the events: %w", err)
	}
	return n.db.Ping(ctx)
}

// close commits what waits, writes a last checkpoint and closes the database.
func (n *node) close() error {
	n.stop()
	n.jobs.Wait()
	_, err := n.writer.Checkpoint(context.Background())
	_, wrote := n.writer.CheckpointProfiles(context.Background())
	return errors.Join(err, wrote, n.writer.Close(), n.db.Close())
}

// collect registers the node's figures.
func (n *node) collect(r *prometheus.Registry) {
	gauge := func(name, help string, f func() float64) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "juncture_" + name, Help: help}, f))
	}
	counter := func(name, help string, f func() float64) {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "juncture_" + name, Help: help}, f))
	}
	stats := n.writer.Stats
	counter("ledger_commits_total", "Transactions committed.", func() float64 { return float64(stats().Commits) })
	counter("ledger_entries_total", "Requests made durable.", func() float64 { return float64(stats().Entries) })
	counter("ledger_failed_total", "Requests whose write failed.", func() float64 { return float64(stats().Failed) })
	counter("ledger_refused_total", "Requests refused because too many were waiting.", func() float64 { return float64(stats().Refused) })
	gauge("ledger_waiting", "Requests that wait for their commit.", func() float64 { return float64(stats().Waiting) })
	gauge("ledger_commit_seconds", "Duration of the last commit.", func() float64 { return stats().LastCommit.Seconds() })
	gauge("cells_dirty", "Cells that wait for the checkpoint.", func() float64 { d, _ := n.tallies.Size(); return float64(d) })
	gauge("cells_cached", "Cells kept from the checkpoint.", func() float64 { _, c := n.tallies.Size(); return float64(c) })
	gauge("profiles_dirty", "Profiles that wait to be written.", func() float64 { d, _ := n.profiles.Size(); return float64(d) })
	gauge("profiles_cached", "Profiles kept beside those.", func() float64 { _, c := n.profiles.Size(); return float64(c) })
	counter("profiles_unreadable_total", "Times that a stored profile was met that cannot be read.", func() float64 { return float64(n.profiles.Unreadable()) })
	counter("vectors_computed_total", "Probability vectors computed.", func() float64 { return float64(n.engine.Stats().Vectors.Load()) })
	counter("vectors_cached_total", "Probability vectors taken from the cache.", func() float64 { return float64(n.engine.Stats().VectorHits.Load()) })
	counter("policy_failures_total", "Choices made uniformly because the policy failed.", func() float64 { return float64(n.engine.Stats().PolicyFailures.Load()) })
	counter("fits_total", "Snapshots fitted.", func() float64 { return float64(n.engine.Stats().Fits.Load()) })
	gauge("fit_seconds", "Duration of the last fit.", func() float64 { return time.Duration(n.engine.Stats().LastFit.Load()).Seconds() })
	counter("rule_failures_total", "Arms left out because their rule could not be evaluated.", func() float64 { return float64(n.engine.Stats().RuleFailures.Load()) })
	counter("config_failures_total", "Calls served by the last good configuration because the newest cannot be read.", func() float64 { return float64(n.engine.Stats().ConfigFailures.Load()) })
	for _, why := range engine.IgnoredWhys() {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "juncture_traffic_ignored_total", ConstLabels: prometheus.Labels{"why": why},
			Help: "Decisions and events that are no shopper's: served, and never learnt from."}, func() float64 { return float64(n.engine.Stats().Ignored[why].Load()) }))
	}
	counter("traffic_detected_total", "Shoppers taken out because of how they call.", func() float64 { return float64(n.engine.Stats().Detected.Load()) })
	counter("traffic_missed_total", "Calls of such shoppers while too many others waited to be taken out.", func() float64 { return float64(n.engine.Stats().Missed.Load()) })
	counter("recommendations_missed_total", "Events left to the next count of what is bought together.", func() float64 { return float64(n.learned.Missed()) })
	gauge("products", "Products known.", func() float64 { return float64(n.learned.Index().Len()) })
	gauge("taste_clusters", "Taste clusters in use.", func() float64 { return float64(len(n.engine.Clusters().Items)) })
	gauge("wal_bytes", "Size of the write-ahead log.", func() float64 {
		info, err := os.Stat(n.db.Path() + "-wal")
		if err != nil {
			return 0
		}
		return float64(info.Size())
	})
	r.MustRegister(n.verdicts, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
}

// applyTo plans a declaration on the catalog and applies it, planning again when somebody else was quicker.
func applyTo(ctx context.Context, db *store.DB, d *juncture.Declaration, approve bool, actor string, now time.Time) (juncture.Change, error) {
	for attempt := 0; ; attempt++ {
		catalog, err := db.Catalog(ctx)
		if err != nil {
			return juncture.Change{}, err
		}
		change, err := pool.Plan(catalog, d, approve, actor, "cli", now)
		if err != nil || change.Empty() {
			return change, err
		}
		err = db.Change(ctx, change)
		if err == nil || juncture.ErrorCode(err) != juncture.CodeDecisionConflict || attempt == 3 {
			return change, err
		}
	}
}

package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/experiments"
	"github.com/juncture/juncture/experiments/watch"
	"github.com/juncture/juncture/pool"
)

// WatchStore walks decisions and keeps what is made of them.
type WatchStore interface {
	WalkDecisions(ctx context.Context, marks map[uint16]uint64, until time.Time, limit int, f func(juncture.Logged) error) error
	WatchMarks(ctx context.Context) (map[uint16]uint64, error)
	Watched(ctx context.Context, experiment string) ([]byte, error)
	SaveWatched(ctx context.Context, from, to map[uint16]uint64, bodies map[string][]byte) error
}

// watchChunk bounds the decisions that are read at once: what is in memory, and what a crash has read again.
const watchChunk = 5000

// Watch folds the next decisions that are older than the lag into what is kept of their experiments, at most 5,000, and
// returns how many it read. A deferred decision counts if it was activated by now; one that is activated later never does,
// and one whose shopper is taken out later stays. Errors: CodeDecisionConflict where another process reads the same.
func (e *Engine) Watch(ctx context.Context, now time.Time) (int, error) {
	st, err := e.state(ctx)
	if err != nil {
		return 0, err
	}
	store := e.d.Watched
	from, err := store.WatchMarks(ctx)
	if err != nil {
		return 0, fmt.Errorf("read how far decisions were read: %w", err)
	}
	to := maps.Clone(from)
	states := map[string]*watch.State{}
	n := 0
	var mine []juncture.Logged
	err = store.WalkDecisions(ctx, from, now.Add(-e.d.Watching.LagOf()), watchChunk, func(d juncture.Logged) error {
		n++
		to[d.Node()] = d.Serial
		if watch.Counts(d) && st.pool.Experiments[d.Experiment] != nil {
			mine = append(mine, d)
		}
		return nil
	})
	if err != nil || n == 0 {
		return n, err
	}
	for _, d := range mine {
		s := states[d.Experiment]
		if s == nil {
			s = &watch.State{}
			body, err := store.Watched(ctx, d.Experiment)
			if err == nil {
				err = s.UnmarshalBinary(body)
			}
			if err != nil {
				return n, fmt.Errorf("read what is kept of %q: %w", d.Experiment, err)
			}
			states[d.Experiment] = s
		}
		s.Fold(d, st.pool.Experiments[d.Experiment])
	}
	bodies := make(map[string][]byte, len(states))
	for id, s := range states {
		if bodies[id], err = s.MarshalBinary(); err != nil {
			return n, err
		}
	}
	return n, store.SaveWatched(ctx, from, to, bodies)
}

// Health says whether the numbers of an experiment, or of a holdout, may be believed: now, or, of one with over 400
// intersections, at its AsOf, at most half a minute ago. It is shared and not to be changed. The error is CodeNotFound.
func (e *Engine) Health(ctx context.Context, id string, now time.Time) (watch.Health, error) {
	st, err := e.state(ctx)
	if err != nil {
		return watch.Health{}, err
	}
	if !declares(st.pool, id) {
		return watch.Health{}, notDeclared(id)
	}
	return e.healths.get(ctx, st, id, now)
}

// watchKeeps bounds the intersections that are kept for a second look, and not read again.
const watchKeeps = 20_000

// HealthOf is Engine.Health for who has no engine: a command beside the server.
func HealthOf(ctx context.Context, p *pool.Snapshot, names experiments.Names, tallies *Tallies, watched WatchStore, id string, now time.Time, set watch.Settings) (watch.Health, error) {
	h, _, err := healthOf(ctx, p, names, tallies, watched, id, now, set)
	return h, err
}

// healthOf says of how many intersections, too.
func healthOf(ctx context.Context, p *pool.Snapshot, names experiments.Names, tallies *Tallies, watched WatchStore, id string, now time.Time, set watch.Settings) (_ watch.Health, cells int, _ error) {
	d := &p.Declaration
	src := watch.Source{ID: id, Experiment: p.Experiments[id], Outcomes: d.Outcomes, Arms: armInfo(p, ""), AsOf: now.UTC(), Settings: set, Shares: slices.Clone(d.Phases[id]), Names: names}
	if i := slices.IndexFunc(d.Holdouts, func(h juncture.Holdout) bool { return h.ID == id }); i >= 0 {
		src.Shares = append(src.Shares, d.Holdouts[i].Shares())
	} else if x := src.Experiment; x != nil {
		src.Shares = append(src.Shares, x.Groups)
		if at := p.Surfaces[x.Surface]; at != nil {
			all := juncture.Layers()
			src.Layers = all[:min(int(at.CeilingTier()), len(all))]
		}
	} else {
		return watch.Health{}, 0, notDeclared(id)
	}
	body, err := watched.Watched(ctx, id)
	if err == nil {
		err = src.State.UnmarshalBinary(body)
	}
	if err != nil {
		return watch.Health{}, 0, fmt.Errorf("read what is kept of %q: %w", id, err)
	}
	var kept []juncture.Cell
	src.Cells = func(f func(*juncture.Cell) error) error {
		if n := len(kept); n > 0 && n == cells { // a second look
			for i := range kept {
				if err := f(&kept[i]); err != nil {
					return err
				}
			}
			return nil
		}
		cells = 0
		return tallies.Each(ctx, id, func(c *juncture.Cell) error {
			c.Compact(now)
			if cells++; cells <= watchKeeps {
				kept = append(kept, *c)
			}
			return f(c)
		})
	}
	h, err := watch.Build(src)
	return h, cells, err
}

package engine

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/juncture/juncture"
)

// CellStore reads the checkpoint.
type CellStore interface {
	Cell(ctx context.Context, id juncture.CellID) (juncture.Cell, error)
	Cells(ctx context.Context, experiment string, f func(juncture.Cell) error) error
	Restore(ctx context.Context, f func(node uint16, seq int64, deltas []juncture.Delta) error) error
}

// Tallies are the ledger's fold in memory. Cells that differ from the checkpoint are kept until the next one; the rest
// are a cache over the store. It is the writer's store.Folder.
//
// One mutex guards everything, and a miss reads the store while holding it: a reader can then never put back a cell
// that the writer has moved on from. Misses are rare (the working set fits the cache) and cost tens of microseconds.
type Tallies struct {
	store CellStore

	mu     sync.Mutex
	dirty  map[juncture.CellID]*juncture.Cell
	clean  *lru.Cache[juncture.CellID, *juncture.Cell]
	most   int               // dirty cells before a checkpoint is forced
	epochs map[string]*epoch // by experiment; bounded by the experiments there are
	broken error             // a cell could not be read while folding: memory no longer follows the ledger

	watcher   func([]juncture.Delta) // of what is folded; nil: none
	learnings map[string]*learning   // by experiment, of those that were asked for
	apart     int                    // intersections of one experiment that its snapshots tell apart
}

// epoch counts an experiment's evidence, so that cached probabilities are renewed as it grows.
type epoch struct {
	number   uint64
	evidence int64 // trials and outcomes folded, ever
	at       int64 // evidence at the last renewal
}

// Cached probabilities are renewed once evidence has grown by 1/renewShare, and at least by one; never later than after
// renewMost more trials and outcomes (statistics B.4).
const (
	renewShare = 25
	renewMost  = 20_000
)

// Intersections is how many intersections of one experiment the pooled policy tells apart: evidence of more counts by
// their moment alone.
const Intersections = 1_000_000

// NewTallies loads the deltas after the checkpoint. cells bounds the clean cells kept, and as many may wait for the next
// checkpoint.
func NewTallies(ctx context.Context, store CellStore, cells int) (*Tallies, error) {
	clean, err := lru.New[juncture.CellID, *juncture.Cell](cells)
	if err != nil {
		return nil, err
	}
	t := &Tallies{store: store, dirty: map[juncture.CellID]*juncture.Cell{}, clean: clean, most: cells, epochs: map[string]*epoch{}, learnings: map[string]*learning{}, apart: Intersections}
	err = store.Restore(ctx, func(node uint16, seq int64, deltas []juncture.Delta) error {
		t.Fold(node, seq, deltas)
		return t.broken
	})
	return t, err
}

// cell returns a cell, from memory or the store. The caller holds mu and must not change what it gets unless it marks
// the cell dirty.
func (t *Tallies) cell(ctx context.Context, id juncture.CellID) (*juncture.Cell, error) {
	if c, ok := t.dirty[id]; ok {
		return c, nil
	}
	if c, ok := t.clean.Get(id); ok {
		return c, nil
	}
	c, err := t.store.Cell(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("read cell %s: %w", id.Intersection.Key(), err)
	}
	t.clean.Add(id, &c)
	return &c, nil
}

// Watch has f told of what each later commit adds. It is called before anything else is folded, and must not ask for tallies.
func (t *Tallies) Watch(f func([]juncture.Delta)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.watcher = f
}

// Fold adds what one commit added.
func (t *Tallies) Fold(node uint16, seq int64, deltas []juncture.Delta) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.watcher != nil {
		t.watcher(deltas)
	}
	juncture.FoldInto(deltas, func(id juncture.CellID, mine []juncture.Delta) {
		c, err := t.cell(context.Background(), id)
		if err != nil {
			t.broken = err
			return
		}
		if c.Fold(node, seq, mine...) {
			t.dirty[id] = c
			t.clean.Remove(id)
			if l := t.learnings[id.Experiment]; l != nil {
				advance(&l.marks, juncture.Mark{Node: node, Seq: seq})
				for _, d := range mine {
					l.add(id.Intersection, juncture.CellRow{Arm: d.Arm, Group: d.Group, Event: d.Event, Delay: d.Delay, Bucket: d.Bucket, Tally: d.Tally})
				}
			}
		}
	})
	for _, d := range deltas {
		e := t.epoch(d.Experiment)
		e.evidence += abs(d.Trials) + abs(d.Outcomes)
		if e.evidence-e.at >= max(1, min(renewMost, e.at/renewShare)) {
			e.at = e.evidence
			e.number++
		}
	}
}

func abs(n int64) int64 { return max(n, -n) }

func (t *Tallies) epoch(experiment string) *epoch {
	e := t.epochs[experiment]
	if e == nil {
		e = &epoch{number: 1}
		t.epochs[experiment] = e
	}
	return e
}

// Epoch returns the number of an experiment's evidence: it rises as evidence grows.
func (t *Tallies) Epoch(experiment string) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.epoch(experiment).number
}

// Err returns why memory no longer follows the ledger, nil while it does.
func (t *Tallies) Err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.broken
}

// Dirty names the cells that differ from the checkpoint, neighbours together: they share the database's pages.
func (t *Tallies) Dirty() []juncture.CellID {
	t.mu.Lock()
	ids := make([]juncture.CellID, 0, len(t.dirty))
	for id := range t.dirty {
		ids = append(ids, id)
	}
	t.mu.Unlock()
	slices.SortFunc(ids, compareIDs)
	return ids
}

// Cells returns copies of those cells that still differ from the checkpoint, their old buckets merged.
func (t *Tallies) Cells(ids []juncture.CellID, now time.Time) []juncture.Cell {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]juncture.Cell, 0, len(ids))
	for _, id := range ids {
		if c, ok := t.dirty[id]; ok {
			c.Compact(now)
			out = append(out, c.Clone())
		}
	}
	return out
}

// Crowded reports whether the cells that wait for a checkpoint are as many as those that memory is meant to cache.
func (t *Tallies) Crowded() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.dirty) > t.most
}

// Clean says that the checkpoint holds these cells as they are.
func (t *Tallies) Clean(ids []juncture.CellID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range ids {
		if c, ok := t.dirty[id]; ok {
			delete(t.dirty, id)
			t.clean.Add(id, c)
		}
	}
}

// Size returns how many cells wait for the checkpoint and how many are cached.
func (t *Tallies) Size() (dirty, clean int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.dirty), t.clean.Len()
}

// Experiment returns every intersection of an experiment with its tallies over all time, in key order, as they are now.
func (t *Tallies) Experiment(ctx context.Context, experiment string) ([]juncture.Cell, error) {
	// A cell that is checkpointed while the store is read is in one of the two looks at memory; of two views of a cell
	// the one that holds more of the ledger is the newer.
	byKey := map[juncture.Intersection]juncture.Cell{}
	take := func(c juncture.Cell) error {
		if c.Delays {
			return nil
		}
		if old, ok := byKey[c.Intersection]; !ok || newer(c, old) {
			byKey[c.Intersection] = c
		}
		return nil
	}
	fromMemory := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		for id, c := range t.dirty {
			if id.Experiment == experiment && !id.Delays {
				_ = take(c.Clone())
			}
		}
	}
	fromMemory()
	if err := t.store.Cells(ctx, experiment, take); err != nil {
		return nil, err
	}
	fromMemory()
	out := make([]juncture.Cell, 0, len(byKey))
	for _, c := range byKey {
		out = append(out, c.Flat())
	}
	slices.SortFunc(out, func(a, b juncture.Cell) int { return compareIDs(a.ID(), b.ID()) })
	return out, nil
}

// newer reports whether a holds more of some node's stream than b.
func newer(a, b juncture.Cell) bool {
	for _, m := range a.Marks {
		if m.Seq > b.Mark(m.Node) {
			return true
		}
	}
	return false
}

func compareIDs(a, b juncture.CellID) int {
	if a.Experiment != b.Experiment {
		if a.Experiment < b.Experiment {
			return -1
		}
		return 1
	}
	if a.Delays != b.Delays {
		if b.Delays {
			return -1
		}
		return 1
	}
	return slices.Compare(a.Intersection[:], b.Intersection[:])
}

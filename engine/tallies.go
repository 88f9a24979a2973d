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

	read      *lru.Cache[string, *readCells] // of the experiments that were read last
	watcher   func([]juncture.Delta)         // of what is folded; nil: none
	learnings map[string]*learning           // by experiment, of those that were asked for
	apart     int                            // intersections of one experiment that its snapshots tell apart
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
	read, err := lru.New[string, *readCells](readExperiments)
	if err != nil {
		return nil, err
	}
	t := &Tallies{read: read, store: store, dirty: map[juncture.CellID]*juncture.Cell{}, clean: clean, most: cells, epochs: map[string]*epoch{}, learnings: map[string]*learning{}, apart: Intersections}
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
			if r, ok := t.read.Peek(id.Experiment); ok && !id.Delays {
				r.changed[id] = struct{}{}
			}
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
// What is returned shares its rows with other readers: it is not to be changed.
func (t *Tallies) Experiment(ctx context.Context, experiment string) ([]juncture.Cell, error) {
	if cells, ok, err := t.readAgain(ctx, experiment); ok || err != nil {
		return cells, err
	}
	t.mu.Lock()
	fresh := &readCells{changed: map[juncture.CellID]struct{}{}}
	t.read.Add(experiment, fresh) // what is folded from here on is read again
	t.mu.Unlock()
	cells, err := t.readAll(ctx, experiment)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil || len(cells) > readIntersections {
		t.read.Remove(experiment)
		return cells, err
	}
	fresh.cells = slices.Clone(cells)
	return cells, nil
}

// readCells are an experiment's cells as they were last read, in key order, and which were folded since.
type readCells struct {
	cells   []juncture.Cell // nil: being read
	changed map[juncture.CellID]struct{}
}

// How much is kept of what was read, so that pages do not read every cell from the store again.
const (
	readExperiments   = 4
	readIntersections = 50_000
)

// readAgain is what was read, brought up to date; false where nothing is kept.
func (t *Tallies) readAgain(ctx context.Context, experiment string) ([]juncture.Cell, bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r, ok := t.read.Get(experiment)
	if !ok || r.cells == nil {
		return nil, false, nil
	}
	for id := range r.changed {
		c, err := t.cell(ctx, id)
		if err != nil {
			return nil, false, err
		}
		flat := c.Flat()
		i, found := slices.BinarySearchFunc(r.cells, id, func(c juncture.Cell, id juncture.CellID) int { return compareIDs(c.ID(), id) })
		if !found {
			r.cells = slices.Insert(r.cells, i, flat)
		}
		r.cells[i] = flat
		delete(r.changed, id)
	}
	if len(r.cells) > readIntersections {
		t.read.Remove(experiment)
	}
	return slices.Clone(r.cells), true, nil
}

func (t *Tallies) readAll(ctx context.Context, experiment string) ([]juncture.Cell, error) {
	cells, err := t.Dated(ctx, experiment)
	for i := range cells {
		cells[i] = cells[i].Flat()
	}
	return cells, err
}

// Dated is Experiment with the tallies by time bucket.
func (t *Tallies) Dated(ctx context.Context, experiment string) ([]juncture.Cell, error) {
	var out []juncture.Cell
	err := t.Each(ctx, experiment, func(c *juncture.Cell) error {
		out = append(out, *c)
		return nil
	})
	slices.SortFunc(out, func(a, b juncture.Cell) int { return compareIDs(a.ID(), b.ID()) })
	return out, err
}

// Each calls f for every intersection of an experiment as it is now, in any order, with its time buckets; the cell is f's to
// keep, and to change. Beside those that wait for the checkpoint one cell is in memory at a time. It stops at f's error.
func (t *Tallies) Each(ctx context.Context, experiment string, f func(*juncture.Cell) error) error {
	// A cell that is checkpointed while the store is read is in one of the two looks at memory; of two views of a cell
	// the one that holds more of the ledger is the newer.
	waiting := map[juncture.Intersection]juncture.Cell{}
	fromMemory := func(take func(juncture.Cell)) {
		t.mu.Lock()
		defer t.mu.Unlock()
		for id, c := range t.dirty {
			if id.Experiment == experiment && !id.Delays {
				take(c.Clone())
			}
		}
	}
	fromMemory(func(c juncture.Cell) { waiting[c.Intersection] = c })
	told := map[juncture.Intersection]struct{}{}
	err := t.store.Cells(ctx, experiment, func(c juncture.Cell) error {
		if c.Delays {
			return nil
		}
		if mine, ok := waiting[c.Intersection]; ok {
			delete(waiting, c.Intersection)
			if !newer(c, mine) {
				c = mine
			}
		}
		told[c.Intersection] = struct{}{}
		return f(&c)
	})
	if err != nil {
		return err
	}
	fromMemory(func(c juncture.Cell) {
		old, ok := waiting[c.Intersection]
		if _, done := told[c.Intersection]; !done && (!ok || newer(c, old)) {
			waiting[c.Intersection] = c
		}
	})
	for _, c := range waiting {
		if err := f(&c); err != nil {
			return err
		}
	}
	return nil
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

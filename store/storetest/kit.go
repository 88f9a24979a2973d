package storetest

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/internal/testkit"
	"github.com/juncture/juncture/store"
)

// memory is a store.Folder that keeps everything, and can be made to wait.
type memory struct {
	mu    sync.Mutex
	cells map[juncture.CellID]*juncture.Cell
	dirty map[juncture.CellID]bool
	folds int
	most  int // dirty cells; 0: any number

	entered chan struct{} // when not nil: told of each Fold before it waits for release
	release chan struct{}
}

func newMemory() *memory {
	return &memory{cells: map[juncture.CellID]*juncture.Cell{}, dirty: map[juncture.CellID]bool{}}
}

// restored is what a start-up makes of the checkpoint and the deltas after it.
func restored(t testing.TB, db *store.DB) *memory {
	t.Helper()
	m := newMemory()
	ctx := context.Background()
	err := db.Restore(ctx, func(node uint16, seq int64, deltas []juncture.Delta) error {
		juncture.FoldInto(deltas, func(id juncture.CellID, mine []juncture.Delta) {
			if m.cells[id] == nil {
				c, err := db.Cell(ctx, id)
				if err != nil {
					t.Fatal(err)
				}
				m.cells[id] = &c
			}
			m.cells[id].Fold(node, seq, mine...)
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *memory) Fold(node uint16, seq int64, deltas []juncture.Delta) {
	if m.entered != nil {
		m.entered <- struct{}{}
		<-m.release
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.folds++
	juncture.FoldInto(deltas, func(id juncture.CellID, mine []juncture.Delta) {
		if m.cells[id] == nil {
			m.cells[id] = &juncture.Cell{Experiment: id.Experiment, Intersection: id.Intersection, Delays: id.Delays}
		}
		if m.cells[id].Fold(node, seq, mine...) {
			m.dirty[id] = true
		}
	})
}

func (m *memory) Dirty() []juncture.CellID {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]juncture.CellID, 0, len(m.dirty))
	for id := range m.dirty {
		out = append(out, id)
	}
	return out
}

func (m *memory) Cells(ids []juncture.CellID, now time.Time) []juncture.Cell {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []juncture.Cell
	for _, id := range ids {
		if m.dirty[id] {
			out = append(out, m.cells[id].Clone())
		}
	}
	return out
}

func (m *memory) Crowded() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.most > 0 && len(m.dirty) > m.most
}

func (m *memory) Clean(ids []juncture.CellID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range ids {
		delete(m.dirty, id)
	}
}

func (m *memory) count() (folds, dirty int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.folds, len(m.dirty)
}

// tallies are all that is not zero, by name.
func (m *memory) tallies() map[string]juncture.Tally {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[string]juncture.Tally{}
	for id, c := range m.cells {
		addRows(out, id, c.Rows)
	}
	return out
}

func addRows(out map[string]juncture.Tally, id juncture.CellID, rows []juncture.CellRow) {
	for _, r := range rows {
		if r.Tally != (juncture.Tally{}) {
			out[fmt.Sprint(id, r.Arm, r.Group, r.Event, r.Delay, r.Bucket)] = r.Tally
		}
	}
}

// desk is a writer on a database, with a ledger to write.
type desk struct {
	t      testing.TB
	db     *store.DB
	memory *memory
	*store.Writer
	clock *testkit.Clock
	types map[string]juncture.OutcomeType

	mu     sync.Mutex
	serial uint64
}

// begin starts a writer on a database that holds testkit.Declaration. It is closed when the test ends.
func begin(t testing.TB, db *store.DB, options ...func(*store.WriterOptions, *memory)) *desk {
	t.Helper()
	d := &desk{t: t, db: db, memory: newMemory(), clock: testkit.NewClock(), types: map[string]juncture.OutcomeType{}, serial: 1 << juncture.NodeShift}
	testkit.Apply(t, db, testkit.Declaration())
	for _, o := range testkit.Declaration().Outcomes {
		d.types[o.Name] = o
	}
	if _, err := db.Secrets(context.Background(), testkit.Random(1), d.clock.Now()); err != nil {
		t.Fatal(err)
	}
	o := store.WriterOptions{Now: d.clock.Now}
	for _, f := range options {
		f(&o, d.memory)
	}
	var err error
	if d.Writer, err = store.NewWriter(context.Background(), db, d.memory, o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if d.memory.release != nil {
			select {
			case <-d.memory.release:
			default:
				close(d.memory.release)
			}
		}
		if err := d.Writer.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// stopping makes the writer stop after each commit, before it is folded, until resumed.
func stopping(_ *store.WriterOptions, m *memory) {
	m.entered, m.release = make(chan struct{}, 1000), make(chan struct{})
}

// stopped waits until the writer stands still.
func (d *desk) stopped() { <-d.memory.entered }

// resume lets the writer run on for good.
func (d *desk) resume() { close(d.memory.release) }

// waiting waits until so many requests are in the queue.
func (d *desk) waiting(n int) {
	for d.Stats().Waiting < n {
		runtime.Gosched() // a request says nothing while it queues
	}
}

// claims of a new decision; changes are made to them in order.
func (d *desk) claims(changes ...func(*juncture.Claims)) juncture.Claims {
	d.mu.Lock()
	d.serial++
	serial := d.serial
	d.mu.Unlock()
	at := d.clock.Now()
	c := juncture.Claims{Serial: serial, At: at, Until: at.Add(24 * time.Hour), Experiment: "hero", Arm: 1, Group: juncture.GroupPolicy, Probability: 0.25,
		Intersection: juncture.Intersection{"loyal", "c1", "_", "_"}}
	for _, f := range changes {
		f(&c)
	}
	return c
}

func write(c juncture.Claims, memos ...juncture.Memo) *juncture.DecisionWrite {
	return &juncture.DecisionWrite{SigningKey: 1, Memos: memos, Decision: juncture.Decision{Claims: c, Surface: "home_hero", Shopper: "shopper", Session: "session",
		Reason: juncture.ReasonSplit, Share: 0.85, Version: "v", Ranking: []juncture.Ranked{{Arm: 1, Probability: 0.25}, {Arm: 2, Probability: 0.75}}}}
}

func decisions(cs ...juncture.Claims) *juncture.Entry {
	e := &juncture.Entry{}
	for _, c := range cs {
		e.Decisions = append(e.Decisions, write(c))
	}
	return e
}

func (d *desk) commit(e *juncture.Entry) {
	d.t.Helper()
	if err := d.Commit(context.Background(), e); err != nil {
		d.t.Fatal(err)
	}
}

// decide writes a decision.
func (d *desk) decide(changes ...func(*juncture.Claims)) juncture.Claims {
	d.t.Helper()
	c := d.claims(changes...)
	d.commit(decisions(c))
	return c
}

// outcome of minor units that happens now.
func (d *desk) outcome(c juncture.Claims, event, id string, minor int64) *juncture.OutcomeWrite {
	currency := ""
	if event == "purchase" {
		currency = "GBP"
	}
	now := d.clock.Now()
	return &juncture.OutcomeWrite{Claims: c, Type: d.types[event], Currency: "GBP",
		Outcome: juncture.Outcome{Serial: c.Serial, Event: event, ID: id, Minor: minor, Value: float64(minor) / 100, Currency: currency, At: now, Received: now}}
}

func (d *desk) refund(c juncture.Claims, id, of string, minor int64, whole bool) *juncture.OutcomeWrite {
	w := d.outcome(c, "purchase", id, minor)
	w.Outcome.Adjust, w.Outcome.Adjusts, w.Whole = true, of, whole
	return w
}

func (d *desk) activation(c juncture.Claims, served juncture.ArmID) *juncture.ActivationWrite {
	w := &juncture.ActivationWrite{Claims: c, Types: testkit.Declaration().Outcomes, Currency: "GBP",
		Activation: juncture.Activation{Serial: c.Serial, At: d.clock.Now(), Arm: c.Arm}}
	if served != 0 {
		w.Activation.Arm, w.Activation.Served, w.Activation.Probability = served, true, 0.5
	}
	return w
}

// write commits outcomes and activations in one entry.
func (d *desk) write(things ...any) {
	d.t.Helper()
	e := &juncture.Entry{}
	for _, w := range things {
		switch w := w.(type) {
		case *juncture.OutcomeWrite:
			e.Outcomes = append(e.Outcomes, w)
		case *juncture.ActivationWrite:
			e.Activations = append(e.Activations, w)
		case *juncture.MemoWrite:
			e.Memos = append(e.Memos, w)
		}
	}
	d.commit(e)
}

// agrees checks that memory, a restart and the stored fold are the fold of the ledger.
func (d *desk) agrees() {
	d.t.Helper()
	testkit.Verify(d.t, d.db)
	testkit.ReadLedger(d.t, d.db)
	mine := d.memory.tallies()
	for name, want := range restored(d.t, d.db).tallies() {
		if mine[name] != want {
			d.t.Errorf("%s: a restart makes it %+v, memory has %+v", name, want, mine[name])
		}
	}
}

// row is the tally of the leaf cell of claims in memory.
func (d *desk) row(c juncture.Claims, arm juncture.ArmID, event string) juncture.Tally {
	d.memory.mu.Lock()
	defer d.memory.mu.Unlock()
	cell := d.memory.cells[juncture.CellID{Experiment: c.Experiment, Intersection: c.Intersection}]
	if cell == nil {
		return juncture.Tally{}
	}
	i := slices.IndexFunc(cell.Rows, func(r juncture.CellRow) bool { return r.Arm == arm && r.Group == c.Group && r.Event == event })
	if i < 0 {
		return juncture.Tally{}
	}
	return cell.Rows[i].Tally
}

// code fails the test where an error has another code.
func code(t testing.TB, what string, err error, want juncture.Code) {
	t.Helper()
	if juncture.ErrorCode(err) != want {
		t.Errorf("%s: %v, want %q", what, err, want)
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

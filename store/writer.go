package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/juncture/juncture"
)

// Folder is memory that follows the ledger. Its methods are called on the writer's goroutine, between commits.
type Folder interface {
	// Fold adds what one commit added. It must not fail: the commit is done.
	Fold(node uint16, seq int64, deltas []juncture.Delta)
	// Dirty names the cells that changed since they were last clean, in an order that keeps neighbours together.
	Dirty() []juncture.CellID
	// Cells returns copies of those of them that are still dirty, as they are now.
	Cells(ids []juncture.CellID, now time.Time) []juncture.Cell
	// Crowded reports whether more cells are dirty than memory is meant to hold.
	Crowded() bool
	// Clean says that the checkpoint holds these cells as Dirty gave them.
	Clean(ids []juncture.CellID)
}

// WriterOptions are the limits of a Writer. Zero values mean the defaults.
type WriterOptions struct {
	Node  uint16 // of this process, 0 to 1023; 0 means 1
	Queue int    // entries that may wait; 0 means 8192. One more is refused with CodeUnavailable
	Batch int    // entries in one transaction; 0 means 1000
	Now   func() time.Time
	// Lock is the ledger's, taken by LockWriter before memory was loaded; the writer lets go of it. nil: it takes its own.
	Lock io.Closer
	// Profiles follows the events; nil means that nobody does.
	Profiles ProfileFolder
}

// WriterStats count what a writer did since it started.
type WriterStats struct {
	Commits, Entries, Failed, Refused uint64
	Waiting                           int
	FailedInARow                      int           // transactions since the last that committed
	LastCommit                        time.Duration // how long the last transaction took
}

// Writer is a node's one writer of the ledger: it takes whatever is waiting into one transaction, commits, folds the
// deltas into memory and then releases the waiters.
type Writer struct {
	lock      io.Closer // no other process writes
	db        *sqlx.DB
	intact    func() error // of the file, before each transaction
	folder    Folder
	profiles  ProfileFolder // nil: nobody follows the events
	lastEvent uint64        // serial of the last event or merge; only the goroutine touches it
	o         WriterOptions
	seq       int64 // of the last commit that had deltas; only the goroutine touches it
	stmts     statements
	anySaid   bool // of consent, by anybody; only the goroutine touches it
	salt      []byte
	log       scrub // of the write-ahead log; only the goroutine touches it

	queue chan *request
	done  chan struct{}

	mu     sync.RWMutex // guards closed against a send on a closed queue
	closed bool

	statsMu sync.Mutex
	stats   WriterStats
}

type request struct {
	ctx   context.Context
	entry *juncture.Entry
	do    func(tx *sqlx.Tx) error // instead of an entry: other work on the writer's turn
	after func()                  // after the commit of do
	err   chan error
	given bool // its caller had gone when its turn came: nothing of it was written
}

// NewWriter starts the writer of a node; Close stops it. Where it fails it has let go of the lock.
func NewWriter(ctx context.Context, db *DB, folder Folder, o WriterOptions) (*Writer, error) {
	if o.Node == 0 {
		o.Node = 1
	}
	if o.Queue <= 0 {
		o.Queue = 8192
	}
	if o.Batch <= 0 {
		o.Batch = 1000
	}
	lock, err := o.Lock, error(nil)
	if lock == nil {
		if lock, err = LockWriter(db.path); err != nil {
			return nil, err
		}
	}
	w := &Writer{lock: lock, db: db.ledger, intact: db.intact, folder: folder, profiles: o.Profiles, o: o, queue: make(chan *request, o.Queue), done: make(chan struct{})}
	if err := w.db.GetContext(ctx, &w.seq, `SELECT coalesce(max(seq), 0) FROM deltas WHERE node = ?`, o.Node); err != nil {
		return nil, errors.Join(fmt.Errorf("start writer: %w", err), lock.Close())
	}
	if w.lastEvent, err = lastEvent(ctx, w.db, o.Node); err != nil {
		return nil, errors.Join(fmt.Errorf("start writer: %w", err), lock.Close())
	}
	if err := w.db.GetContext(ctx, &w.anySaid, `SELECT EXISTS (SELECT 1 FROM consents)`); err != nil {
		return nil, errors.Join(fmt.Errorf("start writer: %w", err), lock.Close())
	}
	if w.salt, err = db.ownSalt(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start writer: %w", err), lock.Close())
	}
	if err := w.stmts.prepare(ctx, w.db); err != nil {
		return nil, errors.Join(fmt.Errorf("start writer: %w", err), lock.Close())
	}
	w.log.want() // the process before may have ended between an erasure and this
	go w.run()
	return w, nil
}

// Commit writes an entry and returns once it is durable and folded into memory. A failure is CodeUnavailable: nothing
// of the entry is in memory, and whoever sent it may send it again.
func (w *Writer) Commit(ctx context.Context, e *juncture.Entry) error {
	for _, x := range e.Erasures {
		if x.ID == "" || x.Replacement == "" {
			return juncture.Errorf(juncture.CodeInvalidRequest, "an erasure needs an id and what replaces it")
		}
	}
	return w.send(&request{ctx: ctx, entry: e, err: make(chan error, 1)})
}

func (w *Writer) send(r *request) error {
	w.mu.RLock()
	if w.closed {
		w.mu.RUnlock()
		return unavailable("the server is stopping", nil)
	}
	select {
	case w.queue <- r:
		w.mu.RUnlock()
	default:
		w.mu.RUnlock()
		w.count(func(s *WriterStats) { s.Refused++ })
		return unavailable("too many writes are waiting", nil)
	}
	select {
	case err := <-r.err:
		return err
	case <-r.ctx.Done():
		return unavailable("the write took too long", r.ctx.Err())
	}
}

func unavailable(message string, err error) error {
	return &juncture.Error{Code: juncture.CodeUnavailable, Message: message, RetryAfter: time.Second, Err: err,
		Hint: "send the same request again; ids make repeats harmless"}
}

// Close refuses what comes from now on, commits all that waits, and stops.
func (w *Writer) Close() error {
	w.mu.Lock()
	first := !w.closed
	if first {
		w.closed = true
		close(w.queue)
	}
	w.mu.Unlock()
	<-w.done
	if !first {
		return nil
	}
	return errors.Join(w.stmts.close(), w.lock.Close())
}

// Stats returns the counts so far.
func (w *Writer) Stats() WriterStats {
	w.statsMu.Lock()
	defer w.statsMu.Unlock()
	s := w.stats
	s.Waiting = len(w.queue)
	return s
}

func (w *Writer) count(f func(*WriterStats)) {
	w.statsMu.Lock()
	f(&w.stats)
	w.statsMu.Unlock()
}

func (w *Writer) run() {
	defer close(w.done)
	defer w.log.last(w.db)
	batch := make([]*request, 0, w.o.Batch)
	for {
		var r *request
		var ok bool
		select {
		case r, ok = <-w.queue:
		case <-w.log.due:
			w.log.try(w.db)
			continue
		}
		if !ok {
			return
		}
		batch = append(batch[:0], r)
		var other *request // work that is not an entry has a transaction of its own: what it does after must not see theirs
	fill:
		for len(batch) < w.o.Batch && r.do == nil {
			select {
			case next, ok := <-w.queue:
				if !ok {
					break fill
				}
				if next.do != nil {
					other = next
					break fill
				}
				batch = append(batch, next)
			default:
				break fill
			}
		}
		w.commit(batch)
		if other != nil {
			w.commit([]*request{other})
		}
		if w.folder.Crowded() {
			w.relieve()
		}
		if w.profiles != nil && w.profiles.CrowdedProfiles() {
			w.relieveProfiles()
		}
	}
}

// relieve checkpoints cells, between two commits, until memory is no longer crowded. Where the database fails, requests
// are refused for the same reason soon enough.
func (w *Writer) relieve() {
	for ids := range slices.Chunk(w.folder.Dirty(), checkpointChunk) {
		r := w.write(context.Background(), ids)
		w.commit([]*request{r})
		if err := <-r.err; err != nil || !w.folder.Crowded() {
			return
		}
	}
}

// commit writes a batch in one transaction. A request whose caller has gone is left out while that is still possible.
func (w *Writer) commit(batch []*request) {
	live := batch[:0]
	for _, r := range batch {
		if err := r.ctx.Err(); err != nil {
			r.err <- unavailable("the write was given up", err)
			continue
		}
		live = append(live, r)
	}
	if len(live) == 0 {
		return
	}
	start := time.Now()
	t := turn{w: w, events: w.lastEvent, index: map[juncture.TallyKey]int{}}
	err := t.run(live)
	took := time.Since(start)
	if err != nil {
		err = unavailable("the write could not be made durable", err)
	} else {
		if len(t.deltas) > 0 {
			w.seq++
			w.folder.Fold(w.o.Node, w.seq, t.deltas)
		}
		w.lastEvent = t.events
		if t.erased {
			w.log.want()
		}
		if len(t.changes) > 0 && w.profiles != nil {
			w.profiles.FoldProfiles(t.changes)
		}
		for _, r := range live {
			if r.after != nil && !r.given {
				r.after()
			}
			if r.entry != nil && r.entry.Committed != nil && !r.given {
				r.entry.Committed()
			}
		}
	}
	w.count(func(s *WriterStats) {
		s.LastCommit = took
		if err != nil {
			s.Failed += uint64(len(live))
			s.FailedInARow++
		} else {
			s.FailedInARow = 0
			s.Commits++
			s.Entries += uint64(len(live))
		}
	})
	for _, r := range live {
		if r.given && err == nil {
			r.err <- unavailable("the write was given up", r.ctx.Err())
			continue
		}
		r.err <- err
	}
}

// checkpointChunk bounds how long one turn of a checkpoint keeps requests waiting.
const checkpointChunk = 1000

// Checkpoint writes every cell that is dirty when it begins, in turns between commits, and then the watermark before
// which start-up need not look. It returns how many cells it wrote.
func (w *Writer) Checkpoint(ctx context.Context) (int, error) {
	var start int64 // what the dirty cells hold at least: all deltas up to here
	var dirty []juncture.CellID
	begin := &request{ctx: ctx, err: make(chan error, 1), do: func(*sqlx.Tx) error {
		start, dirty = w.seq, w.folder.Dirty()
		return nil
	}}
	if err := w.send(begin); err != nil {
		return 0, err
	}
	for ids := range slices.Chunk(dirty, checkpointChunk) {
		if err := w.send(w.write(ctx, ids)); err != nil {
			return 0, err
		}
	}
	return len(dirty), w.send(&request{ctx: ctx, err: make(chan error, 1), do: func(tx *sqlx.Tx) error {
		_, err := tx.Exec(`INSERT INTO watermarks (node, seq) VALUES (?, ?)
			ON CONFLICT (node) DO UPDATE SET seq = excluded.seq`, w.o.Node, start)
		return err
	}})
}

// write is a request that checkpoints cells as they are on its turn.
func (w *Writer) write(ctx context.Context, ids []juncture.CellID) *request {
	return &request{ctx: ctx, err: make(chan error, 1), after: func() { w.folder.Clean(ids) }, do: func(tx *sqlx.Tx) error {
		for _, c := range w.folder.Cells(ids, w.o.Now()) {
			if _, err := tx.Exec(`INSERT INTO cells (experiment, delays, key, body) VALUES (?, ?, ?, ?)
				ON CONFLICT (experiment, delays, key) DO UPDATE SET body = excluded.body`,
				c.Experiment, c.Delays, c.Intersection.Key(), encodeCell(c.Rows, c.Marks)); err != nil {
				return err
			}
		}
		return nil
	}}
}

// turn is one transaction of the writer.
type turn struct {
	w      *Writer
	tx     *sqlx.Tx
	deltas []juncture.Delta
	index  map[juncture.TallyKey]int

	events  uint64 // serial of the last event or merge
	changes []juncture.ProfileChange
	erased  bool
}

func (t *turn) add(d juncture.Delta) {
	if d.Tally == (juncture.Tally{}) {
		return
	}
	if i, ok := t.index[d.TallyKey]; ok {
		t.deltas[i].Tally = t.deltas[i].Plus(d.Tally)
		return
	}
	t.index[d.TallyKey] = len(t.deltas)
	t.deltas = append(t.deltas, d)
}

func (t *turn) run(batch []*request) (err error) {
	if err := t.w.intact(); err != nil {
		return err
	}
	if t.tx, err = t.w.db.Beginx(); err != nil {
		return err
	}
	for _, r := range batch {
		if r.ctx.Err() != nil { // given up while others were written: nothing of it is
			r.given = true
			continue
		}
		if r.do != nil {
			err = r.do(t.tx)
		} else {
			err = t.entry(r.entry)
		}
		if err != nil {
			return errors.Join(err, t.tx.Rollback())
		}
	}
	if len(t.deltas) > 0 {
		_, err = t.tx.Exec(`INSERT INTO deltas (node, seq, at, body) VALUES (?, ?, ?, ?)`,
			t.w.o.Node, t.w.seq+1, ms(t.w.o.Now()), encodeDeltas(t.deltas))
		if err != nil {
			return errors.Join(err, t.tx.Rollback())
		}
	}
	if err = t.tx.Commit(); err != nil {
		return errors.Join(err, ignoreDone(t.tx.Rollback()))
	}
	return nil
}

func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}

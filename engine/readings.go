package engine

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/juncture/juncture/experiments"
	"github.com/juncture/juncture/experiments/report"
	"github.com/juncture/juncture/experiments/watch"
)

// How long what was read of a large experiment is shown again; what is shown says from when it is. A small one is read anew
// for everybody.
const (
	readingLarge = 400              // intersections
	readingFresh = 5 * time.Second  // shown as it is,
	readingStale = 30 * time.Second // shown while Reread reads it anew
	readingsWait = 64               // for Reread

	readAhead      = 20 * time.Second
	readAheadShare = 50 // of the time at most one part is spent on it
	readAheadMost  = 8  // experiments
)

// Readings that are kept, by experiment or by report.
const (
	evidenceKept = 8
	reportsKept  = 64
	healthsKept  = 32
)

// readings keeps what was read of large experiments, so that who looks again, and many who look at once, share one reading.
// What was read under another configuration, or with other taste clusters, is not shown again: nobody sees what was before
// a reset, a stop or a change of names.
type readings[K comparable, V any] struct {
	e    *Engine
	read func(ctx context.Context, st *state, key K, now time.Time) (v V, large bool, err error)
	kept *lru.Cache[K, *reading[V]]
	mu   sync.Mutex // of getting or adding to kept
}

// reading is one of them. turn has room for one: who reads.
type reading[V any] struct {
	turn chan struct{}

	mu     sync.Mutex
	v      V
	known  bool      // v was read
	small  bool      // it is not to be kept
	under  knowing   // v was read under
	at     time.Time // real time when reading it began
	queued bool      // for Reread
}

// knowing is what a reading depends on beside evidence and time.
type knowing struct {
	state *state
	model int64 // version of the taste clusters
}

func (e *Engine) knowing(st *state) knowing {
	if e.d.Learned == nil {
		return knowing{st, 0}
	}
	_, version := e.d.Learned.Model()
	return knowing{st, version}
}

func newReadings[K comparable, V any](e *Engine, most int, read func(ctx context.Context, st *state, key K, now time.Time) (V, bool, error)) (*readings[K, V], error) {
	kept, err := lru.New[K, *reading[V]](most)
	return &readings[K, V]{e: e, read: read, kept: kept}, err
}

// get returns what there is to read now. Without a real clock everything is read anew.
func (r *readings[K, V]) get(ctx context.Context, st *state, key K, now time.Time) (V, error) {
	if r.e.d.Clock == nil {
		v, _, err := r.read(ctx, st, key, now)
		return v, err
	}
	r.mu.Lock()
	one, ok := r.kept.Get(key)
	if !ok {
		one = &reading[V]{turn: make(chan struct{}, 1)}
		r.kept.Add(key, one)
	}
	r.mu.Unlock()
	under := r.e.knowing(st)
	if v, ok := r.shown(one, key, under, readingStale); ok {
		return v, nil
	}
	if one.isSmall() {
		return r.readInto(ctx, one, st, key, now)
	}
	select {
	case one.turn <- struct{}{}:
		defer func() { <-one.turn }()
	case <-ctx.Done():
		var none V
		return none, ctx.Err()
	}
	if v, ok := r.shown(one, key, under, readingFresh); ok { // somebody else read it meanwhile
		return v, nil
	}
	return r.readInto(ctx, one, st, key, now)
}

func (o *reading[V]) isSmall() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.small
}

// shown is what was read, where it may be shown: it is no older than most, or than readingFresh where nobody rereads it.
func (r *readings[K, V]) shown(one *reading[V], key K, under knowing, most time.Duration) (v V, ok bool) {
	one.mu.Lock()
	defer one.mu.Unlock()
	if !one.known || one.under != under {
		return v, false
	}
	age := r.e.clock().Sub(one.at)
	switch {
	case age < 0 || age >= most:
		return v, false
	case age < readingFresh || one.queued:
		return one.v, true
	case !r.e.rereads.Load():
		return v, false
	}
	select {
	case r.e.reread <- func(ctx context.Context, now time.Time) error { return r.again(ctx, one, key, now) }:
		one.queued = true
		return one.v, true
	default: // too many wait: this call reads it
		return v, false
	}
}

// again reads it for those who ask next.
func (r *readings[K, V]) again(ctx context.Context, one *reading[V], key K, now time.Time) error {
	defer func() {
		one.mu.Lock()
		one.queued = false
		one.mu.Unlock()
	}()
	st, err := r.e.state(ctx)
	if err != nil {
		return err
	}
	select {
	case one.turn <- struct{}{}:
		defer func() { <-one.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	_, err = r.readInto(ctx, one, st, key, now)
	return err
}

func (r *readings[K, V]) readInto(ctx context.Context, one *reading[V], st *state, key K, now time.Time) (V, error) {
	under, at := r.e.knowing(st), r.e.clock()
	v, large, err := r.read(ctx, st, key, now)
	one.mu.Lock()
	defer one.mu.Unlock()
	if err == nil && large {
		one.v, one.known, one.small, one.under, one.at = v, true, false, under, at
	} else if err == nil {
		var none V
		one.v, one.known, one.small = none, false, true
	}
	return v, err
}

// Reread reads anew what was shown while it was no longer fresh, one after the other, until ctx ends; and, so that who opens
// the first page need not wait, what the overview shows, every 20 seconds, or less often where that would take over a fiftieth of its time. clock is what it takes
// for now, failed is told what goes wrong. Without it everybody waits for what they read; without a Deps.Clock there is
// nothing to do.
func (e *Engine) Reread(ctx context.Context, clock func() time.Time, failed func(error)) {
	if e.d.Clock == nil {
		return
	}
	e.rereads.Store(true)
	defer e.rereads.Store(false)
	next := time.NewTimer(readAhead)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
			began := e.clock()
			if err := e.readAhead(ctx, clock()); err != nil && ctx.Err() == nil {
				failed(err)
			}
			next.Reset(max(readAhead, readAheadShare*e.clock().Sub(began)))
		case read := <-e.reread:
			if err := read(ctx, clock()); err != nil && ctx.Err() == nil {
				failed(err)
			}
		}
	}
}

// readAhead reads what running experiments and the holdouts are shown with first.
func (e *Engine) readAhead(ctx context.Context, now time.Time) error {
	d, n := e.Pool().Declaration, 0
	var errs []error
	for _, x := range d.Experiments {
		if !x.Live(now) || n == readAheadMost {
			continue
		}
		n++
		_, err := e.Report(ctx, x.ID, now, report.Query{})
		errs = append(errs, err)
		_, err = e.Health(ctx, x.ID, now)
		errs = append(errs, err)
		_, err = e.Evidence(ctx, x.ID, now)
		errs = append(errs, err)
	}
	for _, h := range d.Holdouts {
		_, err := e.Report(ctx, h.ID, now, report.Query{})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// reportKey is a question for a report. slice is canonical.
type reportKey struct {
	id, slice string
	cuped     bool
}

// Values of a slice hold no control characters.
const sliceBetween, sliceIs = "\x00", "\x01"

func keyOf(id string, q report.Query) reportKey {
	var parts []string
	for _, axis := range slices.Sorted(maps.Keys(q.Slice)) {
		parts = append(parts, axis+sliceIs+q.Slice[axis])
	}
	return reportKey{id, strings.Join(parts, sliceBetween), q.Cuped}
}

func (k reportKey) query() report.Query {
	q := report.Query{Cuped: k.cuped}
	for part := range strings.SplitSeq(k.slice, sliceBetween) {
		if axis, v, ok := strings.Cut(part, sliceIs); ok {
			if q.Slice == nil {
				q.Slice = map[string]string{}
			}
			q.Slice[axis] = v
		}
	}
	return q
}

// newReadings makes what keeps evidence, reports and health.
func (e *Engine) newReadings() (err error) {
	e.reread = make(chan func(context.Context, time.Time) error, readingsWait)
	if e.evidence, err = newReadings(e, evidenceKept, func(ctx context.Context, st *state, id string, now time.Time) (experiments.Evidence, bool, error) {
		ev, err := e.readEvidence(ctx, st, id, now)
		large := len(ev.Cells) > readingLarge
		if large && e.d.Clock != nil {
			ev.Made = experiments.NewMade()
		}
		return ev, large, err
	}); err != nil {
		return err
	}
	if e.reports, err = newReadings(e, reportsKept, func(ctx context.Context, st *state, k reportKey, now time.Time) (report.Report, bool, error) {
		r, cells, err := reportOf(ctx, st.pool, e.names(), e.d.Tallies, e.d.Enrolments, k.id, now, k.query())
		return r, cells > readingLarge, err
	}); err != nil {
		return err
	}
	e.healths, err = newReadings(e, healthsKept, func(ctx context.Context, st *state, id string, now time.Time) (watch.Health, bool, error) {
		h, cells, err := healthOf(ctx, st.pool, e.names(), e.d.Tallies, e.d.Watched, id, now, e.d.Watching)
		return h, cells > readingLarge, err
	})
	return err
}

package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/internal/testkit"
	"github.com/juncture/juncture/store"
)

func writer(t *testing.T, open func(t *testing.T) *store.DB) {
	ctx := context.Background()
	// send commits an entry in the background.
	send := func(d *desk, ctx context.Context, e *juncture.Entry) <-chan error {
		out := make(chan error, 1)
		waiting := d.Stats().Waiting
		go func() { out <- d.Commit(ctx, e) }()
		d.waiting(waiting + 1)
		return out
	}
	// busy makes the writer stand still after the commit of one decision.
	busy := func(d *desk) <-chan error {
		out := make(chan error, 1)
		go func() { out <- d.Commit(ctx, decisions(d.claims())) }()
		d.stopped()
		return out
	}
	absent := func(t *testing.T, d *desk, cs ...juncture.Claims) {
		t.Helper()
		for _, c := range cs {
			if got, err := d.db.Decision(ctx, c.Serial); got != nil || err != nil {
				t.Errorf("decision %d is in the ledger: %+v, %v", c.Serial, got, err)
			}
			if got := d.row(c, c.Arm, ""); got != (juncture.Tally{}) {
				t.Errorf("decision %d is in memory: %+v", c.Serial, got)
			}
		}
	}
	apart := func(i int) func(*juncture.Claims) {
		return func(c *juncture.Claims) { c.Intersection[1] = fmt.Sprint("apart", i) }
	}

	t.Run("EveryAcknowledgedEntryIsThere", func(t *testing.T) {
		d := begin(t, open(t))
		const clients, each = 16, 25
		var wg sync.WaitGroup
		var mu sync.Mutex
		acknowledged := map[uint64]bool{}
		for client := range clients {
			wg.Go(func() {
				for i := range each {
					c := d.claims(func(c *juncture.Claims) { c.Intersection[1] = fmt.Sprint("c", (client+i)%5) })
					e := decisions(c)
					if i%2 == 0 {
						e.Outcomes = append(e.Outcomes, d.outcome(c, "purchase", "o", 1000))
					}
					if err := d.Commit(ctx, e); err != nil {
						t.Error(err)
						return
					}
					got, err := d.db.Decision(ctx, c.Serial) // at once: an acknowledged entry can be read
					if got == nil || err != nil {
						t.Errorf("acknowledged, and not there: %v", err)
					}
					mu.Lock()
					acknowledged[c.Serial] = true
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		v := testkit.Verify(t, d.db)
		if len(acknowledged) != clients*each || v.Decisions != clients*each || v.Outcomes != clients*(each+1)/2 {
			t.Errorf("%d acknowledged, %+v", len(acknowledged), v)
		}
		s := d.Stats()
		if s.Entries != clients*each || s.Failed != 0 || s.Refused != 0 || s.Waiting != 0 {
			t.Errorf("%+v", s)
		}
		d.agrees()
	})
	t.Run("WhatWaitsIsOneCommit", func(t *testing.T) {
		d := begin(t, open(t), stopping)
		all := []<-chan error{busy(d)}
		for range 20 {
			all = append(all, send(d, ctx, decisions(d.claims())))
		}
		d.resume()
		for _, err := range all {
			check(t, <-err)
		}
		folds, _ := d.memory.count()
		if s := d.Stats(); s.Commits != 2 || s.Entries != 21 || folds != 2 {
			t.Errorf("%+v, %d folds", s, folds)
		}
		d.agrees()
	})
	t.Run("ABatchIsBounded", func(t *testing.T) {
		d := begin(t, open(t), stopping, func(o *store.WriterOptions, _ *memory) { o.Batch = 4 })
		all := []<-chan error{busy(d)}
		for range 10 {
			all = append(all, send(d, ctx, decisions(d.claims())))
		}
		d.resume()
		for _, err := range all {
			check(t, <-err)
		}
		if s := d.Stats(); s.Commits != 4 { // 1, then 4 + 4 + 2
			t.Errorf("%+v", s)
		}
	})
	t.Run("AnAnswerWaitsForMemory", func(t *testing.T) {
		d := begin(t, open(t), stopping)
		err := busy(d)
		select {
		case <-err:
			t.Error("answered before memory held it")
		default:
		}
		d.resume()
		check(t, <-err)
	})
	t.Run("AFailedBatchIsAnsweredAsFailedAndTheWriterGoesOn", func(t *testing.T) {
		d := begin(t, open(t), stopping)
		taken := d.claims()
		first := make(chan error, 1)
		go func() { first <- d.Commit(ctx, decisions(taken)) }()
		d.stopped()
		good, other := d.claims(apart(1)), d.claims(apart(2))
		again := taken
		apart(3)(&again)
		withMemo := decisions(good)
		withMemo.Decisions[0].Memos = []juncture.Memo{memo("m", "x", d.clock.Now().AddDate(1, 0, 0))}
		withMemo.Aliases = []juncture.Alias{{ID: "u", Shopper: "a"}}
		withMemo.Values = []juncture.LayerValue{{Layer: juncture.Meaning, Value: "lost"}}
		batch := []<-chan error{send(d, ctx, withMemo), send(d, ctx, decisions(again)), send(d, ctx, decisions(other))}
		d.resume()
		check(t, <-first)
		for i, err := range batch {
			err := <-err
			code(t, fmt.Sprint("entry ", i), err, juncture.CodeUnavailable)
			if e, ok := errors.AsType[*juncture.Error](err); !ok || e.RetryAfter <= 0 || e.Err == nil {
				t.Errorf("entry %d: %+v says not when to come back, or why", i, e)
			}
		}
		absent(t, d, good, other)
		if got := d.row(again, 1, ""); got != (juncture.Tally{}) {
			t.Errorf("the repeat is in memory: %+v", got)
		}
		if m, err := d.db.Memo(ctx, memoID("m")); m != nil || err != nil {
			t.Errorf("its memo is there: %+v, %v", m, err)
		}
		if s, err := d.db.Shopper(ctx, "u"); s != "" || err != nil {
			t.Errorf("its alias is there: %q, %v", s, err)
		}
		if v, err := d.db.LayerValues(ctx); len(v) != 0 || err != nil {
			t.Errorf("its value is there: %v, %v", v, err)
		}
		d.commit(withMemo) // the same again, alone
		d.commit(decisions(other))
		if s := d.Stats(); s.Failed != 3 || s.Entries != 3 || s.Commits != 3 {
			t.Errorf("%+v", s)
		}
		d.agrees()
	})
	t.Run("AClosedDatabaseFailsEveryCommit", func(t *testing.T) {
		db := open(t)
		d := begin(t, db)
		d.decide()
		check(t, db.Close())
		c := d.claims(apart(1))
		for range 3 {
			code(t, "no database", d.Commit(ctx, decisions(c)), juncture.CodeUnavailable)
		}
		if got := d.row(c, 1, ""); got != (juncture.Tally{}) {
			t.Errorf("in memory: %+v", got)
		}
		if _, err := d.Checkpoint(ctx); err == nil {
			t.Error("a checkpoint without a database")
		}
		if _, dirty := d.memory.count(); dirty == 0 {
			t.Error("cells are clean that no checkpoint holds")
		}
	})
	t.Run("AFullQueueRefuses", func(t *testing.T) {
		d := begin(t, open(t), stopping, func(o *store.WriterOptions, _ *memory) { o.Queue = 2 })
		all := []<-chan error{busy(d)}
		for range 2 {
			all = append(all, send(d, ctx, decisions(d.claims())))
		}
		refused := d.claims(apart(1))
		for range 3 {
			code(t, "a full queue", d.Commit(ctx, decisions(refused)), juncture.CodeUnavailable)
		}
		d.resume()
		for _, err := range all {
			check(t, <-err)
		}
		absent(t, d, refused)
		if s := d.Stats(); s.Refused != 3 || s.Failed != 0 {
			t.Errorf("%+v", s)
		}
		d.commit(decisions(refused))
		d.agrees()
	})
	t.Run("WhoGoesAwayBeforeTheTurnWritesNothing", func(t *testing.T) {
		d := begin(t, open(t), stopping)
		first := busy(d)
		gone, leave := context.WithCancel(ctx)
		c, kept := d.claims(apart(1)), d.claims(apart(2))
		left, stayed := send(d, gone, decisions(c)), send(d, ctx, decisions(kept))
		leave()
		err := <-left // at once, while the writer stands still
		code(t, "gone", err, juncture.CodeUnavailable)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%v does not say that it was cancelled", err)
		}
		d.resume()
		check(t, <-first)
		check(t, <-stayed)
		absent(t, d, c)
		code(t, "gone before", d.Commit(gone, decisions(c)), juncture.CodeUnavailable)
		d.decide()
		absent(t, d, c)
		d.agrees()
	})
	t.Run("CloseCommitsWhatWaitsAndRefusesAfter", func(t *testing.T) {
		d := begin(t, open(t), stopping)
		all := []<-chan error{busy(d)}
		for range 5 {
			all = append(all, send(d, ctx, decisions(d.claims())))
		}
		closed := make(chan error, 1)
		go func() { closed <- d.Close() }()
		late := d.claims(apart(1))
		d.resume()
		for _, err := range all {
			check(t, <-err)
		}
		check(t, <-closed)
		code(t, "after Close", d.Commit(ctx, decisions(late)), juncture.CodeUnavailable)
		check(t, d.Close()) // again
		absent(t, d, late)
		if v := testkit.Verify(t, d.db); v.Decisions != 6 {
			t.Errorf("%+v", v)
		}
		if _, err := d.Checkpoint(ctx); juncture.ErrorCode(err) != juncture.CodeUnavailable {
			t.Errorf("a checkpoint after Close: %v", err)
		}
		d.agrees()
	})
	t.Run("ANewWriterGoesOnWhereTheLastStopped", func(t *testing.T) {
		db := open(t)
		d := begin(t, db)
		d.decide()
		check(t, d.Close())
		next := restored(t, db)
		w, err := store.NewWriter(ctx, db, next, store.WriterOptions{Now: d.clock.Now})
		check(t, err)
		defer w.Close()
		check(t, w.Commit(ctx, decisions(d.claims())))
		d.memory = next
		if got := d.row(d.claims(), 1, ""); got.Trials != 2 {
			t.Errorf("%+v", got)
		}
		d.agrees()
	})
}

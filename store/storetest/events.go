package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/store"
)

// profileMemory is a store.ProfileFolder that keeps the ids of each profile's events, in order.
type profileMemory struct {
	mu    sync.Mutex
	log   []juncture.ProfileChange
	byWho map[string][]string
	dirty map[string]bool
	most  int

	describe func(shopper string, now time.Time) (juncture.Standing, []juncture.Movement) // nil: nobody is described
	begun    func()                                                                       // told when a checkpoint begins, on the writer's goroutine
}

func newProfileMemory() *profileMemory {
	return &profileMemory{byWho: map[string][]string{}, dirty: map[string]bool{}}
}

func (m *profileMemory) FoldProfiles(changes []juncture.ProfileChange) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range changes {
		m.log = append(m.log, c)
		if c.Event != nil {
			m.byWho[c.Event.Shopper] = append(m.byWho[c.Event.Shopper], c.Event.ID)
			m.dirty[c.Event.Shopper] = true
			continue
		}
		if c.Into == "" {
			delete(m.byWho, c.From)
			delete(m.dirty, c.From)
			continue
		}
		m.byWho[c.Into] = append(m.byWho[c.Into], m.byWho[c.From]...)
		delete(m.byWho, c.From)
		m.dirty[c.Into], m.dirty[c.From] = true, true
	}
}

func (m *profileMemory) DirtyProfiles() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.begun != nil {
		m.begun()
		m.begun = nil
	}
	var out []string
	for s := range m.dirty {
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}

func (m *profileMemory) ProfileRows(shoppers []string, now time.Time) (out []juncture.ProfileRow) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range shoppers {
		if m.dirty[s] {
			r := juncture.ProfileRow{Shopper: s, Body: []byte(strings.Join(m.byWho[s], " ")), Marks: []juncture.Mark{{Node: 1, Seq: 7}}}
			if m.describe != nil {
				r.Standing, r.Moves = m.describe(s, now)
			}
			out = append(out, r)
		}
	}
	return out
}

func (m *profileMemory) CleanProfiles(shoppers []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range shoppers {
		delete(m.dirty, s)
	}
}

func (m *profileMemory) CrowdedProfiles() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.most > 0 && len(m.dirty) > m.most
}

// following begins a writer that profiles follow.
func following(t *testing.T, db *store.DB) (*desk, *profileMemory) {
	m := newProfileMemory()
	return begin(t, db, func(o *store.WriterOptions, _ *memory) { o.Profiles = m }), m
}

// send commits events of "id user anonymous previous", "-" for none, a minute apart, each with a commit of its own.
func send(t *testing.T, d *desk, lines ...string) []*juncture.EventWrite {
	t.Helper()
	return sendAs(t, d, func(*juncture.EventWrite) {}, lines...)
}

// sendAs is send with something changed of each event.
func sendAs(t *testing.T, d *desk, change func(*juncture.EventWrite), lines ...string) []*juncture.EventWrite {
	t.Helper()
	var out []*juncture.EventWrite
	for _, line := range lines {
		f := strings.Fields(line)
		for i := range f {
			if f[i] == "-" {
				f[i] = ""
			}
		}
		w := &juncture.EventWrite{Event: juncture.Event{ID: f[0], Kind: juncture.EventProductViewed, Name: "Product Viewed", At: d.clock.Now()},
			UserID: f[1], AnonymousID: f[2], PreviousID: f[3], Received: d.clock.Now(), Raw: []byte(`{"messageId":"` + f[0] + `"}`)}
		change(w)
		check(t, d.Commit(context.Background(), &juncture.Entry{Events: []*juncture.EventWrite{w}}))
		d.clock.Advance(time.Minute)
		out = append(out, w)
	}
	return out
}

// events is the part of the contract about what shoppers did.
func events(t *testing.T, open func(t *testing.T) *store.DB) {
	ctx := context.Background()
	start := func(t *testing.T) (*desk, *profileMemory) { return following(t, open(t)) }

	t.Run("AMessageIsKeptOnce", func(t *testing.T) {
		d, m := start(t)
		ws := send(t, d, "m1 - ann -", "m1 - ann -", "m2 - ann -", "m1 other - -")
		for i, want := range []bool{false, true, false, true} {
			if ws[i].Duplicate != want {
				t.Errorf("message %d is a duplicate: %v", i, ws[i].Duplicate)
			}
		}
		if diff := cmp.Diff(map[string][]string{"ann": {"m1", "m2"}}, m.byWho); diff != "" {
			t.Error(diff)
		}
		found, err := d.db.EventsOf(ctx, "ann", 10)
		check(t, err)
		if len(found) != 2 || found[0].ID != "m2" || found[0].Shopper != "ann" || !found[1].At.Equal(ws[0].Event.At) {
			t.Errorf("the log has %+v", found)
		}
	})
	t.Run("IdsUniteAndTheFirstSeenStands", func(t *testing.T) {
		for _, tt := range []struct {
			lines []string
			want  map[string][]string
		}{
			{[]string{"1 - anon -", "2 user anon -", "3 user - -"}, map[string][]string{"anon": {"1", "2", "3"}}},
			{[]string{"1 user - -", "2 - anon -", "3 user anon -"}, map[string][]string{"user": {"1", "2", "3"}}},
			{[]string{"1 - phone -", "2 - laptop -", "3 user phone -", "4 user laptop -", "5 - laptop -"}, map[string][]string{"phone": {"1", "3", "2", "4", "5"}}},
			{[]string{"1 - a -", "2 - b -", "3 new - a", "4 new - b"}, map[string][]string{"a": {"1", "3", "2", "4"}}},
			{[]string{"1 u a -", "2 v b -", "3 u b -"}, map[string][]string{"a": {"1", "3"}, "b": {"2"}}}, // b was another person's
		} {
			d, m := start(t)
			send(t, d, tt.lines...)
			if diff := cmp.Diff(tt.want, m.byWho); diff != "" {
				t.Errorf("%v:\n%s", tt.lines, diff)
			}
			// A start-up folds the same log.
			again := newProfileMemory()
			check(t, d.db.RestoreProfiles(ctx, func(c juncture.ProfileChange) error {
				again.FoldProfiles([]juncture.ProfileChange{c})
				return nil
			}))
			if diff := cmp.Diff(m.log, again.log); diff != "" {
				t.Errorf("%v restores otherwise:\n%s", tt.lines, diff)
			}
			for who, ids := range tt.want {
				found, err := d.db.EventsOf(ctx, who, 100)
				check(t, err)
				if len(found) != len(ids) {
					t.Errorf("%v: %d of %d events of %s are found", tt.lines, len(found), len(ids), who)
				}
			}
		}
	})
	t.Run("AnIdThatDecisionsWereMadeForIsSomebody", func(t *testing.T) {
		d, m := start(t)
		w := &juncture.DecisionWrite{Decision: juncture.Decision{Claims: d.claims(), Surface: "home", Shopper: "user"}, SigningKey: 1}
		check(t, d.Commit(ctx, &juncture.Entry{Decisions: []*juncture.DecisionWrite{w}}))
		d.clock.Advance(time.Hour)
		send(t, d, "1 - anon -", "2 user anon -")
		if diff := cmp.Diff(map[string][]string{"user": {"1", "2"}}, m.byWho); diff != "" {
			t.Error(diff)
		}
		found, err := d.db.Touches(ctx, "user", 10)
		check(t, err)
		if len(found) != 1 || found[0].Claims.Serial != w.Decision.Serial {
			t.Errorf("touches are %+v", found)
		}
	})
	t.Run("DecisionsOfAMergedProfileAreItsOwn", func(t *testing.T) {
		d, _ := start(t)
		send(t, d, "1 - early -", "2 - late -")
		w := &juncture.DecisionWrite{Decision: juncture.Decision{Claims: d.claims(), Surface: "home", Shopper: "late"}, SigningKey: 1}
		check(t, d.Commit(ctx, &juncture.Entry{Decisions: []*juncture.DecisionWrite{w}}))
		send(t, d, "3 user early -", "4 user late -")
		found, err := d.db.Touches(ctx, "early", 10)
		check(t, err)
		if len(found) != 1 || found[0].Claims.Serial != w.Decision.Serial {
			t.Errorf("touches are %+v", found)
		}
	})
	t.Run("ProfilesAreWrittenBehind", func(t *testing.T) {
		d, m := start(t)
		send(t, d, "1 - a -", "2 - b -", "3 u a -", "4 u b -")
		if n, err := d.CheckpointProfiles(ctx); n != 2 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		row, err := d.db.Profile(ctx, "a")
		check(t, err)
		if string(row.Body) != "1 3 2 4" || !cmp.Equal(row.Marks, []juncture.Mark{{Node: 1, Seq: 7}}) {
			t.Errorf("row of a: %s, %v", row.Body, row.Marks)
		}
		if row, err := d.db.Profile(ctx, "b"); err != nil || row.Body != nil {
			t.Errorf("b is part of a, and its row is %s, %v", row.Body, err)
		}
		check(t, d.db.RestoreProfiles(ctx, func(c juncture.ProfileChange) error { return fmt.Errorf("%+v comes again", c) }))
		send(t, d, "5 - a -")
		m.mu.Lock()
		m.most = 0
		m.mu.Unlock()
		var after []juncture.ProfileChange
		check(t, d.db.RestoreProfiles(ctx, func(c juncture.ProfileChange) error { after = append(after, c); return nil }))
		if len(after) != 1 || after[0].Event.ID != "5" {
			t.Errorf("after the watermark: %+v", after)
		}
	})
	t.Run("TooManyWaitingAreWrittenAtOnce", func(t *testing.T) {
		d, m := start(t)
		m.mu.Lock()
		m.most = 1
		m.mu.Unlock()
		send(t, d, "1 - a -", "2 - b -")
		check(t, d.Commit(ctx, &juncture.Entry{Quarantined: []juncture.Quarantined{{Reason: "after", Latest: d.clock.Now()}}})) // the turn after
		if m.CrowdedProfiles() {
			t.Error("memory is crowded still")
		}
		if row, err := d.db.Profile(ctx, "a"); err != nil || string(row.Body) != "1" {
			t.Errorf("row of a: %s, %v", row.Body, err)
		}
	})
	t.Run("WhatCannotBeTakenIsCounted", func(t *testing.T) {
		d, _ := start(t)
		at := d.clock.Now()
		q := func(reason, example string) juncture.Quarantined {
			return juncture.Quarantined{Reason: reason, Message: "m", Example: example, Latest: at}
		}
		check(t, d.Commit(ctx, &juncture.Entry{Quarantined: []juncture.Quarantined{q("json", "a"), q("time", "b"), q("json", "c")}}))
		found, err := d.db.Quarantine(ctx)
		check(t, err)
		want := []juncture.Quarantined{{Reason: "json", Message: "m", Example: "c", Count: 2, Latest: at}, {Reason: "time", Message: "m", Example: "b", Count: 1, Latest: at}}
		if diff := cmp.Diff(want, found); diff != "" {
			t.Error(diff)
		}
	})
}

package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/store"
)

// erase commits an erasure of an id.
func (d *desk) erase(id string) *juncture.Erasure {
	d.t.Helper()
	w := &juncture.Erasure{ID: id, Replacement: "erased_1"}
	d.commit(&juncture.Entry{Erasures: []*juncture.Erasure{w}})
	return w
}

// known gives a shopper, phone and laptop and user in one, all that a store can know of them: five events of which the
// first two are of two profiles, two decisions with memos, an activation, an outcome, consent, a standing and a move.
// Beside them is another with an event and a decision.
func known(t *testing.T, d *desk, m *profileMemory) (decided []juncture.Claims) {
	t.Helper()
	moment := "prospect"
	m.describe = func(s string, now time.Time) (juncture.Standing, []juncture.Movement) {
		return juncture.Standing{At: now, Window: "new", Values: [juncture.LayerCount]string{moment}},
			[]juncture.Movement{{Shopper: s, At: now, Axis: "lifecycle", From: "_", To: moment, Reason: "r"}}
	}
	send(t, d, "1 - phone -", "2 - laptop -", "o1 - other -")
	for i, s := range []string{"phone", "laptop", "other"} {
		w := write(d.claims(), memo("request"+s, s, d.clock.Now().Add(time.Hour)), memo("sticky"+s, s, d.clock.Now().Add(time.Hour)))
		w.Decision.Shopper, w.Decision.Session = s, "session of "+s
		d.commit(&juncture.Entry{Decisions: []*juncture.DecisionWrite{w}})
		if i < 2 {
			d.write(d.outcome(w.Decision.Claims, "purchase", "order"+s, 1000))
		}
		decided = append(decided, w.Decision.Claims)
	}
	deferred := write(d.claims(func(c *juncture.Claims) { c.Deferred = true }))
	deferred.Decision.Shopper = "phone"
	d.commit(&juncture.Entry{Decisions: []*juncture.DecisionWrite{deferred}})
	d.write(d.activation(deferred.Decision.Claims, 2))
	d.says("laptop", said(juncture.ConsentGranted, "", 1))
	d.says("other", said(juncture.ConsentGranted, "", 1))
	if _, err := d.CheckpointProfiles(context.Background()); err != nil {
		t.Fatal(err)
	}
	send(t, d, "3 user phone -", "4 user laptop -", "5 - laptop -")
	d.commit(&juncture.Entry{Quarantined: []juncture.Quarantined{{Reason: "mine", Message: "m", Example: `{"userId":"user"}`, Latest: d.clock.Now()},
		{Reason: "others", Message: "m", Example: `{"id":"else"}`, Latest: d.clock.Now()}}})
	return decided
}

// forgotten checks that nothing is known of ids.
func forgotten(t *testing.T, db *store.DB, ids ...string) {
	t.Helper()
	ctx := context.Background()
	for _, id := range ids {
		x, err := db.ExportShopper(ctx, id, 100)
		check(t, err)
		want := store.ShopperExport{Shopper: id, IDs: []string{id}, Events: []store.ExportedEvent{}, Decisions: []store.ExportedDecision{},
			Movements: []store.ExportedMovement{}, Truncated: []string{}}
		if diff := cmp.Diff(want, x); diff != "" {
			t.Errorf("of %s is kept:\n%s", id, diff)
		}
		if row, err := db.Profile(ctx, id); err != nil || row.Body != nil || row.Standing != (juncture.Standing{}) {
			t.Errorf("profile of %s: %+v, %v", id, row, err)
		}
	}
	check(t, db.RestoreProfiles(ctx, func(c juncture.ProfileChange) error {
		if slices.Contains(ids, c.From) || slices.Contains(ids, c.Into) || c.Event != nil && slices.Contains(ids, c.Event.Shopper) {
			t.Errorf("a start-up finds %+v", c)
		}
		return nil
	}))
}

func erasures(t *testing.T, open func(t *testing.T) *store.DB) {
	ctx := context.Background()
	mine := []string{"phone", "laptop", "user"}
	t.Run("NothingOfTheShopperIsLeft", func(t *testing.T) {
		for _, by := range mine { // any of their ids
			for _, checkpointed := range []bool{false, true} {
				db := open(t)
				d, m := following(t, db)
				decided := known(t, d, m)
				if checkpointed {
					if _, err := d.CheckpointProfiles(ctx); err != nil {
						t.Fatal(err)
					}
				}
				tallies, before := d.memory.tallies(), verified(t, db)
				w := d.erase(by)
				if got := slices.Sorted(slices.Values(w.IDs)); w.IDs[0] != by || !slices.Equal(got, []string{"laptop", "phone", "user"}) || w.Events != 5 || w.Decisions != 3 {
					t.Errorf("erased by %s: %+v", by, w)
				}
				forgotten(t, db, mine...)
				// Others, and the tallies, are as they were.
				after := verified(t, db)
				if after.Digest != before.Digest || !cmp.Equal(tallies, d.memory.tallies()) {
					t.Error("tallies changed")
				}
				d.agrees()
				for i, c := range decided {
					got, err := db.Decision(ctx, c.Serial)
					check(t, err)
					want := [2]string{"erased_1", ""}
					if i == 2 {
						want = [2]string{"other", "session of other"}
					}
					if got.Shopper != want[0] || got.Session != want[1] || !cmp.Equal(got.Claims, c) {
						t.Errorf("decision %d is %+v", i, got)
					}
				}
				for _, s := range []string{"phone", "laptop", "other"} {
					for _, kind := range []string{"request", "sticky"} {
						if got, err := db.Memo(ctx, memoID(kind+s)); err != nil || (got != nil) != (s == "other") {
							t.Errorf("memo %s%s: %+v, %v", kind, s, got, err)
						}
					}
				}
				d.is("other", "other", said(juncture.ConsentGranted, "", 1))
				if x, err := db.ExportShopper(ctx, "other", 100); err != nil || len(x.Events) != 1 || len(x.Decisions) != 1 || len(x.Movements) != 1 || x.Standing == nil {
					t.Errorf("the other: %+v, %v", x, err)
				}
				q, err := db.Quarantine(ctx)
				check(t, err)
				if len(q) != 2 || q[0].Reason != "mine" || q[0].Example != "" || q[0].Count != 1 || q[1].Example == "" {
					t.Errorf("%+v", q)
				}
				if diff := cmp.Diff(map[string][]string{"other": {"o1"}}, m.byWho); diff != "" {
					t.Error(diff)
				}
				var told []string
				for _, c := range m.log[len(m.log)-3:] {
					if c.Event != nil || c.Into != "" {
						t.Errorf("memory was told %+v", c)
					}
					told = append(told, c.From)
				}
				if !slices.Equal(told, w.IDs) {
					t.Errorf("memory forgets %v of %v", told, w.IDs)
				}
				if _, err := d.CheckpointProfiles(ctx); err != nil {
					t.Fatal(err)
				}
				forgotten(t, db, mine...)
			}
		}
	})
	t.Run("OfAnUnknownIdThereIsNothing", func(t *testing.T) {
		d, m := following(t, open(t))
		send(t, d, "1 - a -")
		if w := d.erase("b"); !slices.Equal(w.IDs, []string{"b"}) || w.Events != 0 || w.Decisions != 0 {
			t.Errorf("%+v", w)
		}
		if diff := cmp.Diff(map[string][]string{"a": {"1"}}, m.byWho); diff != "" {
			t.Error(diff)
		}
		for _, w := range []*juncture.Erasure{{ID: "a"}, {Replacement: "r"}} {
			code(t, "half an erasure", d.Commit(ctx, &juncture.Entry{Erasures: []*juncture.Erasure{w}}), juncture.CodeInvalidRequest)
		}
	})
	t.Run("ALaterEventBeginsAnew", func(t *testing.T) {
		d, m := following(t, open(t))
		known(t, d, m)
		d.erase("user")
		ws := send(t, d, "5 - laptop -", "6 - laptop -")
		if !ws[0].Duplicate || ws[1].Duplicate || ws[1].Event.Shopper != "laptop" {
			t.Errorf("a repeat %+v, and news %+v", ws[0], ws[1])
		}
		if diff := cmp.Diff(map[string][]string{"laptop": {"6"}, "other": {"o1"}}, m.byWho); diff != "" {
			t.Error(diff)
		}
		d.is("laptop", "laptop", juncture.ConsentRecord{})
		d.is("phone", "", juncture.ConsentRecord{})
		if found, err := d.db.Touches(ctx, "laptop", 10); len(found) != 0 || err != nil {
			t.Errorf("%+v, %v", found, err)
		}
	})
	t.Run("WhatComesWithItIsWrittenAfterIt", func(t *testing.T) {
		d, m := following(t, open(t))
		known(t, d, m)
		d.commit(&juncture.Entry{Erasures: []*juncture.Erasure{{ID: "user", Replacement: "r"}},
			Consents: []*juncture.ConsentWrite{{ID: "user", Consent: said(juncture.ConsentDenied, "", 9)}}})
		d.is("user", "", said(juncture.ConsentDenied, "", 9))
		if ws := send(t, d, "7 user phone -"); !ws[0].Denied {
			t.Errorf("%+v", ws[0])
		}
	})
	t.Run("ACheckpointUnderWayWritesNothingBack", func(t *testing.T) {
		d, m := following(t, open(t))
		known(t, d, m)
		erased := make(chan error, 1)
		m.mu.Lock()
		m.begun = func() { // the checkpoint has its list, and the erasure is before its first turn
			go func() {
				erased <- d.Commit(ctx, &juncture.Entry{Erasures: []*juncture.Erasure{{ID: "phone", Replacement: "r"}}})
			}()
			d.waiting(1)
		}
		m.mu.Unlock()
		if n, err := d.CheckpointProfiles(ctx); n == 0 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		check(t, <-erased)
		forgotten(t, d.db, mine...)
		if diff := cmp.Diff([]string(nil), m.DirtyProfiles()); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("AFailedErasureErasesNothing", func(t *testing.T) {
		d, m := following(t, open(t))
		taken := known(t, d, m)[0]
		before, err := d.db.ExportShopper(ctx, "user", 100)
		check(t, err)
		e := decisions(taken) // its serial is taken: the entry fails
		e.Erasures = []*juncture.Erasure{{ID: "user", Replacement: "r"}}
		code(t, "a serial twice", d.Commit(ctx, e), juncture.CodeUnavailable)
		after, err := d.db.ExportShopper(ctx, "user", 100)
		check(t, err)
		if diff := cmp.Diff(before, after); diff != "" || len(m.byWho["phone"]) != 5 {
			t.Errorf("memory has %v\n%s", m.byWho, diff)
		}
	})
	// The last events are erased after a checkpoint: what comes next must not be numbered below its watermark.
	t.Run("AfterARestartNewsIsNews", func(t *testing.T) {
		db := open(t)
		d, m := following(t, db)
		send(t, d, "1 - a -", "2 - b -", "3 - b -")
		if _, err := d.CheckpointProfiles(ctx); err != nil {
			t.Fatal(err)
		}
		d.erase("b")
		check(t, d.Close())
		next := newProfileMemory()
		w, err := store.NewWriter(ctx, db, restored(t, db), store.WriterOptions{Now: d.clock.Now, Profiles: next})
		check(t, err)
		d.Writer = w
		send(t, d, "4 - b -", "5 - a -")
		check(t, w.Close()) // without a checkpoint
		if got, last := next.log[0].Serial, m.log[2].Serial; got <= last {
			t.Errorf("serial %d after %d", got, last)
		}
		again := newProfileMemory()
		check(t, db.RestoreProfiles(ctx, func(c juncture.ProfileChange) error {
			again.FoldProfiles([]juncture.ProfileChange{c})
			return nil
		}))
		if diff := cmp.Diff(map[string][]string{"b": {"4"}, "a": {"5"}}, again.byWho); diff != "" {
			t.Error(diff)
		}
	})
}

func verified(t *testing.T, db *store.DB) store.Verification {
	t.Helper()
	v, err := db.Verify(context.Background())
	if err != nil || len(v.Differences) != 0 {
		t.Fatalf("%+v, %v", v, err)
	}
	return v
}

func exports(t *testing.T, open func(t *testing.T) *store.DB) {
	ctx := context.Background()
	t.Run("AllThatIsKept", func(t *testing.T) {
		d, m := following(t, open(t))
		decided := known(t, d, m)
		for _, id := range []string{"user", "phone"} {
			x, err := d.db.ExportShopper(ctx, id, 100)
			check(t, err)
			if x.Shopper != "phone" || x.IDs[0] != id || len(x.IDs) != 3 || x.Consent != said(juncture.ConsentGranted, "", 1) || len(x.Truncated) != 0 {
				t.Errorf("%+v", x)
			}
			var names, serials []string
			for _, e := range x.Events {
				names = append(names, string(e.Raw))
			}
			for _, e := range x.Decisions {
				serials = append(serials, fmt.Sprint(e.Serial, e.Shopper, len(e.Outcomes)))
			}
			if got := strings.Join(names, ""); got != `{"messageId":"5"}{"messageId":"4"}{"messageId":"3"}{"messageId":"2"}{"messageId":"1"}` {
				t.Errorf("events %s", got)
			}
			if want := []string{fmt.Sprint(decided[2].Serial+1, "phone", 0), fmt.Sprint(decided[1].Serial, "laptop", 1), fmt.Sprint(decided[0].Serial, "phone", 1)}; !slices.Equal(serials, want) {
				t.Errorf("decisions %v, want %v", serials, want)
			}
			o := x.Decisions[1].Outcomes[0]
			if o.Event != "purchase" || o.ID != "orderlaptop" || o.Value != 10 || o.Currency != "GBP" || o.Status != juncture.StatusRecorded {
				t.Errorf("%+v", o)
			}
			if !strings.Contains(x.Decisions[1].Arm, "@1/") || len(x.Movements) != 2 || x.Standing == nil || x.Standing.Layers["moment"] != "prospect" {
				t.Errorf("%+v", x)
			}
			if b, err := json.Marshal(x); err != nil || !strings.Contains(string(b), `"raw":{"messageId":"5"}`) {
				t.Errorf("%s, %v", b, err)
			}
		}
	})
	t.Run("NoMoreThanAsked", func(t *testing.T) {
		d, m := following(t, open(t))
		known(t, d, m)
		for limit, want := range map[int][]string{1: {"ids", "events", "decisions", "movements"}, 2: {"ids", "events", "decisions"}, 3: {"events"}, 5: {}} {
			x, err := d.db.ExportShopper(ctx, "user", limit)
			check(t, err)
			if diff := cmp.Diff(want, x.Truncated); diff != "" || len(x.Events) != limit || string(x.Events[0].Raw) != `{"messageId":"5"}` {
				t.Errorf("at most %d: %d events\n%s", limit, len(x.Events), diff)
			}
		}
	})
	t.Run("WhatIsNoJSONIsText", func(t *testing.T) {
		d, _ := following(t, open(t))
		w := &juncture.EventWrite{Event: juncture.Event{ID: "1", At: d.clock.Now()}, UserID: "u", Received: d.clock.Now(), Raw: []byte("not json\xff")}
		d.commit(&juncture.Entry{Events: []*juncture.EventWrite{w}})
		x, err := d.db.ExportShopper(ctx, "u", 1)
		check(t, err)
		if _, err := json.Marshal(x); err != nil || string(x.Events[0].Raw) != `"not json`+"\ufffd"+`"` {
			t.Errorf("%s, %v", x.Events[0].Raw, err)
		}
	})
}

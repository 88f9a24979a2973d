package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/store"
)

func standings(t *testing.T, open func(t *testing.T) *store.DB) {
	ctx := context.Background()
	standing := func(at time.Time, moment, window string) juncture.Standing {
		return juncture.Standing{At: at, Window: window, Posture: "calm", Reason: "because " + moment, Values: [juncture.LayerCount]string{moment, "c1", "_._", "dresses"}}
	}
	// start describes shoppers by what a map says of them, and as moved from before where it was something else.
	start := func(t *testing.T, db *store.DB) (*desk, *profileMemory, map[string]string) {
		d, m := following(t, db)
		moments, before := map[string]string{}, map[string]string{}
		m.describe = func(s string, now time.Time) (juncture.Standing, []juncture.Movement) {
			moment := moments[s]
			if moment == "" {
				return juncture.Standing{}, nil
			}
			var moves []juncture.Movement
			if was := before[s]; was != moment && was != "" {
				moves = append(moves, juncture.Movement{Shopper: s, At: now, Axis: "lifecycle", From: was, To: moment, Reason: s + " is " + moment})
			}
			before[s] = moment
			return standing(now, moment, "active"), moves
		}
		return d, m, moments
	}
	moves := func(from, to string, n int64, reason string) juncture.MoveCount {
		return juncture.MoveCount{Axis: "lifecycle", From: from, To: to, Shoppers: n, Reason: reason}
	}
	write := func(t *testing.T, d *desk, want int) time.Time {
		t.Helper()
		now := d.clock.Now()
		if n, err := d.CheckpointProfiles(ctx); n != want || err != nil {
			t.Fatalf("%d profiles written, %v; want %d", n, err, want)
		}
		return now
	}
	t.Run("AStandingIsWrittenWithItsProfile", func(t *testing.T) {
		d, _, moments := start(t, open(t))
		send(t, d, "1 - a -", "2 - b -")
		moments["a"] = "prospect"
		at := write(t, d, 2)
		for s, want := range map[string]juncture.Standing{"a": standing(at, "prospect", "active"), "b": {}, "nobody": {}} {
			row, err := d.db.Profile(ctx, s)
			check(t, err)
			if diff := cmp.Diff(want, row.Standing); diff != "" {
				t.Errorf("%s:\n%s", s, diff)
			}
			if row.Shopper != s || (row.Body == nil) != (s == "nobody") {
				t.Errorf("row of %s: %+v", s, row)
			}
		}
		send(t, d, "3 - a -")
		moments["a"] = "loyal"
		at = write(t, d, 1)
		row, err := d.db.Profile(ctx, "a")
		check(t, err)
		if diff := cmp.Diff(standing(at, "loyal", "active"), row.Standing); diff != "" {
			t.Error(diff)
		}
		delete(moments, "a") // a profile that is not described leaves what stood
		send(t, d, "4 - a -")
		write(t, d, 1)
		if again, err := d.db.Profile(ctx, "a"); err != nil || again.Standing != row.Standing || string(again.Body) != "1 3 4" {
			t.Errorf("%+v, %v", again, err)
		}
	})
	t.Run("WhoBecomesPartOfAnotherStandsNoLonger", func(t *testing.T) {
		d, _, moments := start(t, open(t))
		send(t, d, "1 - a -", "2 - b -")
		moments["a"], moments["b"] = "prospect", "loyal"
		write(t, d, 2)
		send(t, d, "3 u a -", "4 u b -")
		if row, err := d.db.Profile(ctx, "b"); err != nil || row.Standing != (juncture.Standing{}) || row.Body == nil {
			t.Errorf("b after the merge: %+v, %v", row, err)
		}
		write(t, d, 2) // b is described once more, and is nobody
		got, err := d.db.LayerCounts(ctx)
		check(t, err)
		for _, n := range got {
			if n.Shoppers != 1 || n.What == "moment" && n.Value != "prospect" {
				t.Errorf("%+v", n)
			}
		}
	})
	t.Run("Counts", func(t *testing.T) {
		d, _, moments := start(t, open(t))
		if got, err := d.db.LayerCounts(ctx); len(got) != 0 || err != nil {
			t.Errorf("of nobody: %v, %v", got, err)
		}
		for i := range 5 {
			send(t, d, fmt.Sprintf("%d - s%d -", i, i))
			moments[fmt.Sprint("s", i)] = []string{"prospect", "loyal"}[i%2]
		}
		write(t, d, 5)
		got, err := d.db.LayerCounts(ctx)
		check(t, err)
		want := []juncture.ValueCount{{What: "moment", Value: "prospect", Shoppers: 3}, {What: "moment", Value: "loyal", Shoppers: 2}, {What: "meaning", Value: "c1", Shoppers: 5},
			{What: "trajectory", Value: "_._", Shoppers: 5}, {What: "catalogue", Value: "dresses", Shoppers: 5}, {What: "window", Value: "active", Shoppers: 5},
			{What: "posture", Value: "calm", Shoppers: 5}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("Moves", func(t *testing.T) {
		d, _, moments := start(t, open(t))
		begun := d.clock.Now()
		send(t, d, "1 - a -", "2 - b -", "3 - c -")
		moments["a"], moments["b"], moments["c"] = "x", "x", "x"
		write(t, d, 3)
		var turns []time.Time
		for i, step := range []map[string]string{{"b": "y"}, {"a": "y", "c": "z"}, {"a": "x"}, {"a": "y"}} {
			for s, moment := range step {
				moments[s] = moment
				send(t, d, fmt.Sprintf("%d%s - %s -", 10+i, s, s))
			}
			turns = append(turns, write(t, d, len(step)))
		}
		for _, c := range []struct {
			since time.Time
			want  []juncture.MoveCount
		}{
			{begun, []juncture.MoveCount{moves("x", "y", 2, "a is y"), moves("x", "z", 1, "c is z"), moves("y", "x", 1, "a is x")}},
			{turns[2], []juncture.MoveCount{moves("x", "y", 1, "a is y"), moves("y", "x", 1, "a is x")}},
			{turns[3].Add(time.Millisecond), nil},
		} {
			got, err := d.db.Moves(ctx, c.since)
			check(t, err)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("since %v:\n%s", c.since, diff)
			}
		}
		// Of everybody that became the shopper, newest first.
		send(t, d, "20 u a -", "21 u c -")
		got, err := d.db.MovementsOf(ctx, "a", 4)
		check(t, err)
		move := func(s string, at time.Time, from, to string) juncture.Movement {
			return juncture.Movement{Shopper: s, At: at, Axis: "lifecycle", From: from, To: to, Reason: s + " is " + to}
		}
		want := []juncture.Movement{move("a", turns[3], "x", "y"), move("a", turns[2], "y", "x"), move("a", turns[1], "x", "y"), move("c", turns[1], "x", "z")}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		for _, want := range []int64{2, 1, 0} { // the first two turns
			if n, err := d.db.PurgeMovements(ctx, turns[2], 2); n != want || err != nil {
				t.Errorf("purged %d, %v; want %d", n, err, want)
			}
		}
		if got, err := d.db.MovementsOf(ctx, "a", 10); len(got) != 2 || err != nil {
			t.Errorf("%+v, %v", got, err)
		}
	})
	t.Run("EachProfile", func(t *testing.T) {
		d, _, moments := start(t, open(t))
		send(t, d, "1 - d -", "2 - a -", "3 - c -", "4 - b -")
		moments["c"] = "prospect"
		at := write(t, d, 4)
		send(t, d, "5 u d -", "6 u b -") // b is part of d, and still has a row
		var got []string
		for after := ""; ; {
			rows, err := d.db.EachProfile(ctx, after, 2)
			check(t, err)
			for _, r := range rows {
				got = append(got, r.Shopper+"="+string(r.Body))
				if (r.Standing == standing(at, "prospect", "active")) != (r.Shopper == "c") || !cmp.Equal(r.Marks, []juncture.Mark{{Node: 1, Seq: 7}}) {
					t.Errorf("%+v", r)
				}
				after = r.Shopper
			}
			if len(rows) < 2 {
				break
			}
		}
		if diff := cmp.Diff([]string{"a=2", "c=3", "d=1"}, got); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("WhatFailsIsWrittenTheNextTime", func(t *testing.T) {
		db := open(t)
		d, m, moments := start(t, db)
		send(t, d, "1 - a -")
		moments["a"] = "prospect"
		write(t, d, 1)
		check(t, d.Close())
		// A new writer on the same database: what was written stands, and what comes after is added to it.
		next := newProfileMemory()
		next.describe = m.describe
		w, err := store.NewWriter(ctx, db, restored(t, db), store.WriterOptions{Now: d.clock.Now, Profiles: next})
		check(t, err)
		defer w.Close()
		d.Writer = w
		send(t, d, "2 - a -")
		moments["a"] = "loyal"
		write(t, d, 1)
		row, err := db.Profile(ctx, "a")
		check(t, err)
		moved, err := db.MovementsOf(ctx, "a", 10)
		check(t, err)
		if row.Standing.Values[0] != "loyal" || len(moved) != 1 || moved[0].From != "prospect" {
			t.Errorf("%+v, %+v", row.Standing, moved)
		}
	})
}

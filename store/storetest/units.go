package storetest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/store"
)

// enrolling writes a decision of a shopper that enrols them in groups by experiment.
func (d *desk) enrolling(shopper string, groups map[string]juncture.Group, changes ...func(*juncture.Claims)) (juncture.Claims, *juncture.DecisionWrite) {
	d.t.Helper()
	c := d.claims(changes...)
	w := write(c)
	w.Decision.Shopper = shopper
	for x, g := range groups {
		w.Enrol = append(w.Enrol, juncture.Enrolment{Serial: c.Serial, Experiment: x, Shopper: shopper, Group: g, Share: 0.5, At: c.At, Until: c.At.Add(24 * time.Hour),
			Intersection: c.Intersection, Before: 300})
	}
	d.commit(&juncture.Entry{Decisions: []*juncture.DecisionWrite{w}})
	return c, w
}

// close closes the units whose horizon has ended.
func (d *desk) close() int {
	d.t.Helper()
	n, err := d.db.CloseUnits(context.Background(), d.clock.Now())
	check(d.t, err)
	return n
}

// counts of enrolments in memory: enrolled, merged and crossed by group.
func (d *desk) counts() map[juncture.Group][3]int64 {
	d.memory.mu.Lock()
	defer d.memory.mu.Unlock()
	out := map[juncture.Group][3]int64{}
	for _, c := range d.memory.cells {
		for _, r := range c.Rows {
			if n, ok := r.Enrolments(); ok && r.Successes != 0 {
				t := out[r.Group]
				out[r.Group] = [3]int64{t[0] + n.Enrolled, t[1] + n.Merged, t[2] + n.Crossed}
			}
		}
	}
	return out
}

func units(t *testing.T, open func(t *testing.T) *store.DB) {
	policy, holdout := map[string]juncture.Group{"hero": juncture.GroupPolicy}, map[string]juncture.Group{"hero": juncture.GroupHoldout}
	counted := func(t *testing.T, d *desk, want map[juncture.Group][3]int64) {
		t.Helper()
		if diff := cmp.Diff(want, d.counts()); diff != "" {
			t.Errorf("enrolled, merged, crossed: %s", diff)
		}
	}
	rows := func(t *testing.T, d *desk) (out []juncture.UnitRow) {
		t.Helper()
		all, err := d.db.UnitRows(context.Background(), "hero")
		check(t, err)
		var days juncture.UnitSums
		for _, r := range all {
			if r.Day.IsZero() {
				out = append(out, r)
				days = days.Minus(r.UnitSums)
			} else {
				days = days.Plus(r.UnitSums)
			}
		}
		if diff := cmp.Diff(juncture.UnitSums{}, days); diff != "" {
			t.Errorf("by day and by intersection differ: %s", diff)
		}
		return out
	}
	t.Run("AShopperIsEnrolledOnce", func(t *testing.T) {
		d := begin(t, open(t))
		d.enrolling("ann", map[string]juncture.Group{"hero": juncture.GroupPolicy, "all": juncture.GroupPolicy})
		d.clock.Advance(time.Minute)
		d.enrolling("ann", policy)
		held, err := d.db.Enrolments(context.Background(), "ann")
		check(t, err)
		if len(held) != 2 || held[0].Group != juncture.GroupPolicy || held[0].Share != 0.5 || held[0].Before != 300 || held[0].Until.Sub(held[0].At) != 24*time.Hour {
			t.Errorf("%+v", held)
		}
		counted(t, d, map[juncture.Group][3]int64{juncture.GroupPolicy: {2}})
		if held, err := d.db.Enrolments(context.Background(), "bob"); err != nil || len(held) != 0 {
			t.Errorf("%+v, %v", held, err)
		}
		d.agrees()
	})
	t.Run("AnotherGroupIsStale", func(t *testing.T) {
		d := begin(t, open(t))
		d.enrolling("ann", policy)
		c, w := d.enrolling("ann", holdout)
		if !w.Stale {
			t.Error("a second group was not refused")
		}
		if touches, err := d.db.Touches(context.Background(), "ann", 10); err != nil || len(touches) != 1 || touches[0].Claims.Serial == c.Serial {
			t.Errorf("%+v, %v", touches, err)
		}
		counted(t, d, map[juncture.Group][3]int64{juncture.GroupPolicy: {1}})
		d.agrees()
	})
	// Enrolled in shadow, then out of it: two units, of which the second is where the shopper is now, also as one with another.
	t.Run("OutOfShadowAShopperIsEnrolledAnew", func(t *testing.T) {
		d := begin(t, open(t))
		into := func(shopper string, g juncture.Group, shadow bool) *juncture.DecisionWrite {
			t.Helper()
			d.clock.Advance(time.Minute)
			c := d.claims()
			w := write(c)
			w.Decision.Shopper = shopper
			w.Enrol = []juncture.Enrolment{{Serial: c.Serial, Experiment: "hero", Shopper: shopper, Group: g, Share: 1, At: c.At, Until: c.At.Add(time.Hour),
				Intersection: c.Intersection, Shadow: shadow}}
			d.commit(&juncture.Entry{Decisions: []*juncture.DecisionWrite{w}})
			return w
		}
		for range 2 {
			into("ann", juncture.GroupShadow, true)
		}
		into("bob", juncture.GroupShadow, true)
		into("ann", juncture.GroupPolicy, false)
		if w := into("ann", juncture.GroupShadow, true); !w.Stale {
			t.Error("into shadow from a group of its own")
		}
		if w := into("ann", juncture.GroupRandom, false); !w.Stale {
			t.Error("out of shadow twice")
		}
		into("bob", juncture.GroupRandom, false)
		counted(t, d, map[juncture.Group][3]int64{juncture.GroupShadow: {2}, juncture.GroupPolicy: {1}, juncture.GroupRandom: {1}})
		held, err := d.db.Enrolments(context.Background(), "ann")
		check(t, err)
		if len(held) != 1 || held[0].Group != juncture.GroupPolicy || held[0].Shadow {
			t.Errorf("%+v", held)
		}
		d.commit(&juncture.Entry{Events: []*juncture.EventWrite{{Event: juncture.Event{At: d.clock.Now()}, UserID: "bob", AnonymousID: "ann", Received: d.clock.Now(), Quiet: true}}})
		counted(t, d, map[juncture.Group][3]int64{juncture.GroupShadow: {1, 1}, juncture.GroupPolicy: {1}, juncture.GroupRandom: {0, 1, 1}})
		d.agrees()
	})
	// 1000 + 500 - 200 within the horizon, under two decisions; the same order told for both counts once.
	t.Run("WhatAUnitDid", func(t *testing.T) {
		d := begin(t, open(t))
		a, _ := d.enrolling("ann", policy)
		d.clock.Advance(time.Hour)
		b, _ := d.enrolling("ann", policy)
		d.write(d.outcome(a, "purchase", "o1", 1000), d.outcome(b, "purchase", "o1", 1000), d.outcome(b, "purchase", "o2", 500), d.refund(b, "r", "o2", -200, false),
			d.outcome(a, "click", "", 1), d.outcome(b, "click", "", 1))
		d.clock.Advance(30 * time.Hour)
		d.write(d.outcome(b, "purchase", "o3", 70)) // late: after the horizon
		if n := d.close(); n != 1 {
			t.Errorf("%d closed", n)
		}
		want := juncture.SumsOf(juncture.Unit{Exposures: 2, Before: 300, Events: []juncture.UnitEvent{{Event: "click", Count: 2, Value: 2}, {Event: "purchase", Count: 2, Value: 1300}}})
		got := rows(t, d)
		if len(got) != 1 || got[0].Group != juncture.GroupPolicy || got[0].Intersection != a.Intersection {
			t.Fatalf("%+v", got)
		}
		if diff := cmp.Diff(want, got[0].UnitSums); diff != "" {
			t.Error(diff)
		}
		if n := d.close(); n != 0 {
			t.Errorf("closed again: %d", n)
		}
		d.agrees()
		// A refund after the close: what was known then stands, what is known now follows.
		d.write(d.refund(a, "whole", "o1", 0, true))
		d.close()
		got = rows(t, d)
		if diff := cmp.Diff(want.Events, got[0].Events); diff != "" {
			t.Error(diff)
		}
		if now := got[0].Event("purchase", true); now.Count != 1 || now.Value != 300 {
			t.Errorf("restated %+v", now)
		}
		d.agrees()
	})
	t.Run("NobodyEnrolledNothingKept", func(t *testing.T) {
		d := begin(t, open(t))
		c := d.decide()
		d.write(d.outcome(c, "purchase", "o", 100))
		d.clock.Advance(48 * time.Hour)
		if n := d.close(); n != 0 || len(rows(t, d)) != 0 {
			t.Errorf("%d closed", n)
		}
		d.agrees()
	})
	// Two shoppers prove to be one: the earlier enrolment stands, with the outcomes of both.
	t.Run("Merged", func(t *testing.T) {
		d := begin(t, open(t))
		a, _ := d.enrolling("device", policy)
		d.clock.Advance(time.Minute)
		b, _ := d.enrolling("ann", holdout, func(c *juncture.Claims) { c.Group, c.Arm = juncture.GroupHoldout, 0 })
		d.write(d.outcome(a, "purchase", "o1", 100), d.outcome(b, "purchase", "o1", 100), d.outcome(b, "purchase", "o2", 40))
		d.commit(&juncture.Entry{Events: []*juncture.EventWrite{{Event: juncture.Event{ID: "m", At: d.clock.Now(), Kind: juncture.EventIdentified}, UserID: "ann", AnonymousID: "device",
			Received: d.clock.Now(), Raw: []byte("{}")}}})
		counted(t, d, map[juncture.Group][3]int64{juncture.GroupPolicy: {1}, juncture.GroupHoldout: {0, 1, 1}})
		d.clock.Advance(48 * time.Hour)
		if n := d.close(); n != 1 {
			t.Errorf("%d closed", n)
		}
		got := rows(t, d)
		if e := got[0].Event("purchase", false); len(got) != 1 || e.Count != 2 || e.Value != 140 || got[0].Exposures != 2 {
			t.Errorf("%+v", got)
		}
		d.agrees()
	})
	t.Run("Erased", func(t *testing.T) {
		d := begin(t, open(t))
		a, _ := d.enrolling("ann", policy)
		d.write(d.outcome(a, "purchase", "o1", 100))
		d.commit(&juncture.Entry{Erasures: []*juncture.Erasure{{ID: "ann", Replacement: "nobody-1"}}})
		if held, err := d.db.Enrolments(context.Background(), "ann"); err != nil || len(held) != 0 {
			t.Errorf("%+v, %v", held, err)
		}
		d.clock.Advance(48 * time.Hour)
		d.close()
		if e := rows(t, d)[0].Event("purchase", false); e.Value != 100 {
			t.Errorf("the aggregate is gone: %+v", e)
		}
		d.agrees()
	})
	// More units than one turn takes.
	t.Run("Many", func(t *testing.T) {
		d := begin(t, open(t))
		const many = 450
		e := &juncture.Entry{}
		for i := range many {
			c := d.claims()
			w := write(c)
			w.Decision.Shopper = "s" + string(rune('a'+i%26)) + string(rune('a'+i/26))
			w.Enrol = []juncture.Enrolment{{Serial: c.Serial, Experiment: "hero", Shopper: w.Decision.Shopper, Group: juncture.GroupPolicy, Share: 1, At: c.At, Until: c.At.Add(time.Hour), Intersection: c.Intersection}}
			e.Decisions = append(e.Decisions, w)
		}
		d.commit(e)
		d.clock.Advance(2 * time.Hour)
		if n := d.close(); n != many {
			t.Errorf("%d closed", n)
		}
		all := rows(t, d)
		if i := slices.IndexFunc(all, func(r juncture.UnitRow) bool { return r.Units == many }); i < 0 {
			t.Errorf("%+v", all)
		}
		d.agrees()
	})
}

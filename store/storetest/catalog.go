package storetest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/audit"
	"github.com/juncture/juncture/internal/testkit"
	"github.com/juncture/juncture/store"
)

func catalog(t *testing.T, open func(t *testing.T) *store.DB) {
	ctx := context.Background()
	now := testkit.Epoch()
	read := func(t *testing.T, db *store.DB) *juncture.Catalog {
		t.Helper()
		c, err := db.Catalog(ctx)
		check(t, err)
		n, err := db.ConfigVersion(ctx)
		check(t, err)
		if n != c.Number {
			t.Errorf("the catalog is number %d, the configuration %d", c.Number, n)
		}
		return c
	}
	version := func(action, copy string, number int, hash string) juncture.Version {
		return juncture.Version{Action: action, Copy: copy, Number: number, Hash: hash, Body: []byte(`{"id":"x"}`), Status: juncture.VersionInReview, Author: "ada", CreatedAt: now}
	}
	approved := func(v juncture.Version) juncture.Version {
		v.Status, v.Reviewer, v.Reviewed, v.Bypass = juncture.VersionApproved, "bob", now.Add(time.Minute), true
		v.Comment = "good"
		return v
	}
	note := func(subject string) juncture.AuditNote {
		return juncture.AuditNote{At: now, Actor: "cli:ada", Action: "submit", Subject: subject, From: "cli", Before: []byte(`{"b": 1}`), After: []byte(`{"a":2}`)}
	}

	t.Run("AnEmptyDatabaseHasAnEmptyCatalog", func(t *testing.T) {
		c := read(t, open(t))
		if c.Number != 0 || len(c.Versions) != 0 || len(c.Arms) != 0 || c.Declaration.Store.Name != "" {
			t.Errorf("%+v", c)
		}
	})
	t.Run("WhatIsChangedIsRead", func(t *testing.T) {
		db := open(t)
		d := testkit.Declaration()
		d.CopyOrder = map[string][]string{"news": {"plain"}}
		d.Shipped = map[string]juncture.Shipment{"home_hero": {Experiment: "hero", Action: "news", Copy: "plain", Before: "welcome", At: now}}
		d.Tripped = map[string]juncture.Trip{"hero": {At: now, Guard: juncture.Guard{Outcome: "click", Direction: juncture.GuardBelow, Margin: 0.2, Against: "random", Alpha: 0.05}, Why: "clicks fell"}}
		d.Resets = map[string]time.Time{"hero": now.Add(time.Nanosecond)}
		d.Holds = map[string]juncture.Hold{"news": {State: juncture.PoolRetired, Version: 2, Reason: "sold out", By: "user:bob", At: now}}
		d.Kills = map[string]juncture.Kill{juncture.KillStore: {Reason: "wrong price", By: "user:bob", At: now}}
		d.Terms = map[string]juncture.Terms{"news": {Owner: "mia", Starts: &now, Cap: &juncture.Cap{PerDay: 5}}}
		d.Guardrails, d.Pressure = &juncture.Guardrails{MaxDiscount: 30}, &juncture.Pressure{PerShopper: juncture.Frequency{N: 3, Per: juncture.PerDay}}
		d.Priorities = []juncture.Priority{{ID: "new-drop", Owner: "mia", Products: []string{"a"}, Weight: 0.5, Expires: now}}
		a, w := version("news", "", 1, "h1"), version("news", "plain", 1, "h2")
		check(t, db.Change(ctx, juncture.Change{Declaration: d, Add: []juncture.Version{a, w}, Review: []juncture.Version{approved(a)}, Audit: []juncture.AuditNote{note("one")}}))
		c := read(t, db)
		want := *d
		want.Actions, want.Priorities = nil, nil // they are versions
		if diff := cmp.Diff(want, c.Declaration); diff != "" {
			t.Errorf("the declaration came back otherwise:\n%s", diff)
		}
		if diff := cmp.Diff([]juncture.Version{approved(a), w}, c.Versions); diff != "" {
			t.Errorf("the versions came back otherwise:\n%s", diff)
		}
		if c.Number != 1 || len(c.Arms) != 0 {
			t.Errorf("number %d, arms %v: copy that waits makes no arm", c.Number, c.Arms)
		}
	})
	t.Run("AChangeOnAnOldCatalogIsRefusedWhole", func(t *testing.T) {
		db := open(t)
		check(t, db.Change(ctx, juncture.Change{Declaration: testkit.Declaration()}))
		before := read(t, db)
		for _, base := range []int64{0, 2} {
			code(t, "another base", db.Change(ctx, juncture.Change{Base: base, Declaration: &juncture.Declaration{}, Add: []juncture.Version{version("a", "", 1, "h")},
				Audit: []juncture.AuditNote{note("never")}}), juncture.CodeDecisionConflict)
		}
		if diff := cmp.Diff(before, read(t, db)); diff != "" {
			t.Error(diff)
		}
		if n, err := audit.Verify(db.Audit(ctx)); n != 0 || err != nil {
			t.Errorf("%d audit entries, %v", n, err)
		}
	})
	t.Run("AChangeIsAllOrNothing", func(t *testing.T) {
		a := version("a", "", 1, "h")
		other := a
		other.Hash = "edited since"
		for what, c := range map[string]struct {
			change juncture.Change
			code   juncture.Code
		}{
			"a version twice":                 {juncture.Change{Base: 1, Declaration: &juncture.Declaration{}, Add: []juncture.Version{version("b", "", 1, "h"), a}}, juncture.CodeInternal},
			"approval of edited content":      {juncture.Change{Base: 1, Declaration: &juncture.Declaration{}, Add: []juncture.Version{version("b", "", 1, "h")}, Review: []juncture.Version{approved(other)}}, juncture.CodeDecisionConflict},
			"approval of what does not exist": {juncture.Change{Base: 1, Add: []juncture.Version{version("b", "", 1, "h")}, Review: []juncture.Version{approved(version("c", "", 1, "h"))}}, juncture.CodeDecisionConflict},
		} {
			db := open(t)
			check(t, db.Change(ctx, juncture.Change{Declaration: testkit.Declaration(), Add: []juncture.Version{a}}))
			before := read(t, db)
			c.change.Audit = []juncture.AuditNote{note("never")}
			code(t, what, db.Change(ctx, c.change), c.code)
			if diff := cmp.Diff(before, read(t, db)); diff != "" {
				t.Errorf("%s left something: %s", what, diff)
			}
			if n, err := audit.Verify(db.Audit(ctx)); n != 0 || err != nil {
				t.Errorf("%s: %d audit entries, %v", what, n, err)
			}
		}
	})
	t.Run("APriorityHasVersionsOfItsOwn", func(t *testing.T) {
		db := open(t)
		of := func(id string, number int, hash string) juncture.Version {
			v := version("", "", number, hash)
			v.Priority = id
			return v
		}
		one, two, other, action := of("news", 1, "h1"), of("news", 2, "h2"), of("shoes", 1, "h1"), version("news", "", 1, "h1") // an action may be called the same
		check(t, db.Change(ctx, juncture.Change{Declaration: testkit.Declaration(), Add: []juncture.Version{other, one, two, action}}))
		rejected := two
		rejected.Status, rejected.Reviewer, rejected.Reviewed, rejected.Comment = juncture.VersionRejected, "bob", now.Add(time.Minute), "no"
		check(t, db.Change(ctx, juncture.Change{Base: 1, Review: []juncture.Version{approved(one), rejected}}))
		c := read(t, db)
		if diff := cmp.Diff([]juncture.Version{approved(one), rejected, other, action}, c.Versions); diff != "" {
			t.Errorf("the versions came back otherwise:\n%s", diff)
		}
		if len(c.Arms) != 0 {
			t.Errorf("a priority makes arms: %v", c.Arms)
		}
		code(t, "a version twice", db.Change(ctx, juncture.Change{Base: 2, Add: []juncture.Version{of("news", 2, "h3")}}), juncture.CodeInternal)
		edited := approved(other)
		edited.Hash = "h2"
		code(t, "approval of edited content", db.Change(ctx, juncture.Change{Base: 2, Review: []juncture.Version{edited}}), juncture.CodeDecisionConflict)
		elsewhere := approved(other)
		elsewhere.Priority = "hats"
		code(t, "approval of what does not exist", db.Change(ctx, juncture.Change{Base: 2, Review: []juncture.Version{elsewhere}}), juncture.CodeDecisionConflict)
	})
	t.Run("ArmsAreNumberedOnce", func(t *testing.T) {
		db := open(t)
		testkit.Apply(t, db, testkit.Declaration())
		first := testkit.Arms(t, db)
		if len(first) != 5 { // welcome, news, points and two of five_off
			t.Fatalf("%v", first)
		}
		edit := testkit.Action("five_off", func(a *juncture.Action) { a.Copy[0].Headline = "Edited" })
		testkit.Submit(t, db, testkit.Declaration(edit))
		if waiting := testkit.Arms(t, db); len(waiting) != 5 {
			t.Errorf("copy that waits makes an arm: %v", waiting)
		}
		testkit.Apply(t, db, testkit.Declaration(edit))
		second := testkit.Arms(t, db)
		if len(second) != 6 || second["five_off@1/plain@2"] == 0 {
			t.Errorf("%v", second)
		}
		testkit.Apply(t, db, testkit.Declaration()) // back: a third version of the same words
		seen := map[juncture.ArmID]bool{}
		for name, id := range testkit.Arms(t, db) {
			if seen[id] || id == 0 || first[name] != 0 && first[name] != id || second[name] != 0 && second[name] != id {
				t.Errorf("%s is now %d", name, id)
			}
			seen[id] = true
		}
	})
	t.Run("ConcurrentChangesOfOneBaseApplyOnce", func(t *testing.T) {
		db := open(t)
		errs := make(chan error)
		for i := range 8 {
			go func() {
				errs <- db.Change(ctx, juncture.Change{Declaration: testkit.Declaration(), Add: []juncture.Version{version(fmt.Sprint("a", i), "", 1, "h")}})
			}()
		}
		done := 0
		for range 8 {
			if err := <-errs; err == nil {
				done++
			} else {
				code(t, "the slower", err, juncture.CodeDecisionConflict)
			}
		}
		if c := read(t, db); done != 1 || c.Number != 1 || len(c.Versions) != 1 {
			t.Errorf("%d changes applied, number %d, %d versions", done, c.Number, len(c.Versions))
		}
	})
	t.Run("TheAuditLogIsOneChain", func(t *testing.T) {
		db := open(t)
		var want []juncture.AuditNote
		for i := range int64(3) {
			notes := []juncture.AuditNote{note(fmt.Sprint("a", i)), note(fmt.Sprint("b", i))}
			notes[1].Before, notes[1].After = nil, []byte("{ \"spaces\" :\t\"stay ✓\" }")
			want = append(want, notes...)
			check(t, db.Change(ctx, juncture.Change{Base: i, Audit: notes}))
		}
		if n, err := audit.Verify(db.Audit(ctx)); n != 6 || err != nil {
			t.Errorf("%d entries, %v", n, err)
		}
		i := 0
		for e, err := range db.Audit(ctx) {
			check(t, err)
			w := want[i]
			if e.Subject != w.Subject || e.Actor != w.Actor || e.From != w.From || !e.At.Equal(w.At) || !bytes.Equal(e.Before, w.Before) || !bytes.Equal(e.After, w.After) {
				t.Errorf("%+v, want %+v", e, w)
			}
			i++
			if i == 4 {
				break // a reader may leave early
			}
		}
		check(t, db.Change(ctx, juncture.Change{Base: 3}))
	})
	t.Run("ASubjectHasAHistory", func(t *testing.T) {
		db := open(t)
		for i := range int64(4) {
			n := note([]string{"experiment hero", "experiment hero-2"}[i%2])
			n.Action, n.Before = fmt.Sprint("a", i), nil
			check(t, db.Change(ctx, juncture.Change{Base: i, Audit: []juncture.AuditNote{n}}))
		}
		for limit, actions := range map[int]string{0: "", 1: "a2", 9: "a2 a0"} { // the newest first, of hero alone
			entries, err := db.AuditOf(ctx, "experiment hero", limit)
			check(t, err)
			var found []string
			for _, e := range entries {
				found = append(found, e.Action)
				if e.Before != nil || string(e.After) != `{"a":2}` || e.Actor != "cli:ada" || e.From != "cli" || !e.At.Equal(now) || e.Seq < 1 {
					t.Errorf("%+v", e)
				}
			}
			if got := strings.Join(found, " "); got != actions {
				t.Errorf("the latest %d: %q, want %q", limit, got, actions)
			}
		}
	})
}

func secrets(t *testing.T, open func(t *testing.T) *store.DB) {
	ctx := context.Background()
	now := testkit.Epoch()
	t.Run("TheyAreMadeOnceFromRandomness", func(t *testing.T) {
		db := open(t)
		first, err := db.Secrets(ctx, testkit.Random(1), now)
		check(t, err)
		again, err := db.Secrets(ctx, testkit.Random(2), now)
		check(t, err)
		if diff := cmp.Diff(first, again); diff != "" {
			t.Errorf("secrets changed: %s", diff)
		}
		if len(first.PickSalt) != 32 || len(first.GroupSalt) != 32 || len(first.Signing) != 1 || len(first.Signing[0].Secret) != 32 || first.Signing[0].ID != 1 {
			t.Errorf("%+v", first)
		}
		if bytes.Equal(first.PickSalt, first.GroupSalt) || bytes.Equal(first.PickSalt, first.Signing[0].Secret) {
			t.Error("two secrets are one")
		}
		same, err := open(t).Secrets(ctx, testkit.Random(1), now)
		check(t, err)
		if diff := cmp.Diff(first, same); diff != "" {
			t.Errorf("a seed does not give the same secrets: %s", diff)
		}
	})
	t.Run("WithoutRandomnessThereAreNone", func(t *testing.T) {
		db := open(t)
		if _, err := db.Secrets(ctx, bytes.NewReader(make([]byte, 40)), now); err == nil {
			t.Error("40 bytes made three secrets")
		}
		s, err := db.Secrets(ctx, testkit.Random(1), now)
		if err != nil || len(s.PickSalt) != 32 || bytes.Equal(s.PickSalt, make([]byte, 32)) {
			t.Errorf("after it: %+v, %v", s, err)
		}
	})
	t.Run("ConcurrentStartsAgree", func(t *testing.T) {
		db := open(t)
		out := make(chan store.Secrets)
		for i := range 6 {
			go func() {
				s, err := db.Secrets(ctx, testkit.Random(byte(i)), now)
				if err != nil {
					t.Error(err)
				}
				out <- s
			}()
		}
		first := <-out
		for range 5 {
			if diff := cmp.Diff(first, <-out); diff != "" {
				t.Errorf("two starts made different secrets: %s", diff)
			}
		}
	})
	t.Run("RotationRetiresAndKeeps", func(t *testing.T) {
		db := open(t)
		if _, err := db.RotateSigningKey(ctx, testkit.Random(2), now, juncture.AuditNote{}); err == nil {
			t.Error("a rotation before there are keys")
		}
		first, err := db.Secrets(ctx, testkit.Random(1), now)
		check(t, err)
		before, err := db.ConfigVersion(ctx)
		check(t, err)
		for i := range 11 { // past 9, so that names do not sort as numbers
			id, err := db.RotateSigningKey(ctx, testkit.Random(byte(10+i)), now.Add(time.Duration(i+1)*time.Hour), juncture.AuditNote{At: now, Actor: "a", Action: "rotate", Subject: "signing key"})
			if err != nil || int(id) != i+2 {
				t.Fatalf("rotation %d made key %d, %v", i, id, err)
			}
		}
		s, err := db.Secrets(ctx, testkit.Random(3), now)
		check(t, err)
		slices.SortFunc(s.Signing, func(a, b juncture.SigningKey) int { return int(a.ID) - int(b.ID) })
		for i, k := range s.Signing {
			if last := i == len(s.Signing)-1; k.Retired.IsZero() != last || !last && !k.Retired.Equal(now.Add(time.Duration(i+1)*time.Hour)) {
				t.Errorf("key %d retired at %v", k.ID, k.Retired)
			}
		}
		if len(s.Signing) != 12 || !bytes.Equal(s.Signing[0].Secret, first.Signing[0].Secret) || !bytes.Equal(s.PickSalt, first.PickSalt) || !bytes.Equal(s.GroupSalt, first.GroupSalt) {
			t.Errorf("%d keys, or a rotation touched other secrets", len(s.Signing))
		}
		ring, err := juncture.NewKeyring(s.Signing)
		if err != nil || ring.SignerID() != 12 {
			t.Errorf("%v, %v", ring, err)
		}
		if after, err := db.ConfigVersion(ctx); err != nil || after != before+11 {
			t.Errorf("configuration %d after %d: nodes would not see the rotation; %v", after, before, err)
		}
		if n, err := audit.Verify(db.Audit(ctx)); n != 11 || err != nil {
			t.Errorf("%d audit entries, %v", n, err)
		}
	})
	t.Run("Facts", func(t *testing.T) {
		db := open(t)
		if v, err := db.Fact(ctx, "simulated"); v != "" || err != nil {
			t.Errorf("%q, %v", v, err)
		}
		for _, v := range []string{"yes", "no"} {
			check(t, db.SetFact(ctx, "simulated", v))
			if got, err := db.Fact(ctx, "simulated"); got != v || err != nil {
				t.Errorf("%q, %v", got, err)
			}
		}
	})
}

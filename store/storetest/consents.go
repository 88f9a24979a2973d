package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/internal/testkit"
	"github.com/juncture/juncture/store"
)

// said is a record of minutes after the beginning.
func said(personalization, analytics string, minute int) juncture.ConsentRecord {
	return juncture.ConsentRecord{Personalization: personalization, Analytics: analytics, At: testkit.Epoch().Add(time.Duration(minute) * time.Minute)}
}

// says commits what an id said, and reports whether it changed anything.
func (d *desk) says(id string, c juncture.ConsentRecord) bool {
	d.t.Helper()
	w := &juncture.ConsentWrite{ID: id, Consent: c}
	d.commit(&juncture.Entry{Consents: []*juncture.ConsentWrite{w}})
	return w.Changed
}

func (d *desk) is(id, shopper string, c juncture.ConsentRecord) {
	d.t.Helper()
	got, err := d.db.Identity(context.Background(), id)
	got.Known, got.Person = false, false
	if diff := cmp.Diff(juncture.Identity{Shopper: shopper, Consent: c}, got); diff != "" || err != nil {
		d.t.Errorf("identity of %s: %v\n%s", id, err, diff)
	}
}

// onlyDenied is what travels of a record.
func onlyDenied(c juncture.ConsentRecord) juncture.ConsentRecord {
	if c.Personalization != juncture.ConsentDenied {
		c.Personalization = ""
	}
	if c.Analytics != juncture.ConsentDenied {
		c.Analytics = ""
	}
	return c
}

func consents(t *testing.T, open func(t *testing.T) *store.DB) {
	ctx := context.Background()
	const granted, denied = juncture.ConsentGranted, juncture.ConsentDenied
	t.Run("TheLaterAnswerStands", func(t *testing.T) {
		d := begin(t, open(t))
		d.is("a", "", juncture.ConsentRecord{})
		for _, c := range []struct {
			says    juncture.ConsentRecord
			changed bool
			stands  juncture.ConsentRecord
		}{
			{said("", "", 9), false, juncture.ConsentRecord{}},
			{said(juncture.ConsentUnknown, juncture.ConsentUnknown, 9), false, juncture.ConsentRecord{}},
			{said(granted, "", 2), true, said(granted, "", 2)},
			{said(granted, "", 2), false, said(granted, "", 2)},
			{said(denied, "", 1), false, said(granted, "", 2)},
			{said("", granted, 5), true, said(granted, granted, 5)},
			{said(denied, "", 4), true, said(denied, granted, 5)}, // later than what was said of this use
			{said(granted, granted, 6), true, said(granted, granted, 6)},
			{said(denied, "", 6), true, said(denied, granted, 6)}, // at one time the denial
			{said(granted, "", 6), false, said(denied, granted, 6)},
			{said(granted, "", 7), true, said(granted, granted, 7)},
		} {
			if got := d.says("a", c.says); got != c.changed {
				t.Errorf("%+v changed: %v", c.says, got)
			}
			d.is("a", "", c.stands)
		}
	})
	t.Run("AnAliasBringsWhatItSaid", func(t *testing.T) {
		d := begin(t, open(t))
		d.says("u", said(denied, "", 3))
		d.says("a", said(granted, granted, 2))
		d.commit(&juncture.Entry{Aliases: []juncture.Alias{{ID: "u", Shopper: "a"}, {ID: "a", Shopper: "a"}}})
		for _, id := range []string{"a", "u"} {
			d.is(id, "a", said(denied, granted, 3))
		}
		d.says("u", said(granted, "", 4)) // with the shopper, whichever of their ids says it
		d.is("a", "a", said(granted, granted, 4))
		// An alias of one that became part of another since is the other's.
		d2, _ := following(t, open(t))
		send(t, d2, "1 - a -", "2 - b -", "3 u a -", "4 u b -")
		d2.says("late", said(denied, "", 1))
		d2.commit(&juncture.Entry{Aliases: []juncture.Alias{{ID: "late", Shopper: "b"}}})
		d2.is("late", "a", said(denied, "", 1))
		d2.is("a", "a", said(denied, "", 1))
	})
	t.Run("MergedProfilesSaidItTogether", func(t *testing.T) {
		d, _ := following(t, open(t))
		d.says("new", said("", granted, 9))
		send(t, d, "1 - a -", "2 - b -")
		d.says("a", said("", granted, 1))
		d.says("b", said(granted, granted, 2))
		send(t, d, "3 new a -")
		d.is("new", "a", said("", granted, 9))
		send(t, d, "4 new b -")
		for _, id := range []string{"a", "b", "new"} {
			d.is(id, "a", said(granted, granted, 9))
		}
		d.says("b", said(denied, "", 3))
		d.is("a", "a", said(denied, granted, 9))
	})
	t.Run("EventsOfWhoDeniedAreNotKept", func(t *testing.T) {
		for _, c := range []juncture.ConsentRecord{said(denied, "", 0), said(granted, denied, 0)} {
			d, m := following(t, open(t))
			send(t, d, "1 - anon -")
			d.says("user", c)
			ws := send(t, d, "2 user - -", "3 user anon -", "4 - anon user", "5 - anon -")
			for i, want := range []bool{true, true, true, true} { // the device is that of somebody who denied
				if ws[i].Denied != want || ws[i].Duplicate {
					t.Errorf("message %d: denied %v, a duplicate %v", i+2, ws[i].Denied, ws[i].Duplicate)
				}
			}
			if diff := cmp.Diff(map[string][]string{"anon": {"1"}}, m.byWho); diff != "" {
				t.Error(diff)
			}
			d.is("user", "", c) // no alias either
			d.is("anon", "anon", onlyDenied(c))
			// Once it is granted the same message is news.
			d.says("user", said(granted, granted, 1))
			d.says("anon", said(granted, granted, 1))
			again := send(t, d, "3 user anon -")
			if again[0].Denied || again[0].Duplicate || again[0].Event.Shopper != "anon" {
				t.Errorf("granted: %+v", again[0])
			}
			d.is("user", "anon", said(granted, granted, 1))
		}
	})
	t.Run("AnEntryHeedsItsOwnConsent", func(t *testing.T) {
		d, m := following(t, open(t))
		for i, answer := range []string{denied, granted} {
			e := &juncture.EventWrite{Event: juncture.Event{ID: fmt.Sprint(i), At: d.clock.Now()}, UserID: "u", Received: d.clock.Now(), Raw: []byte(`{}`)}
			d.commit(&juncture.Entry{Events: []*juncture.EventWrite{e}, Consents: []*juncture.ConsentWrite{{ID: "u", Consent: said(answer, "", i)}}})
			if e.Denied != (answer == denied) {
				t.Errorf("%s, and it is denied: %v", answer, e.Denied)
			}
		}
		if diff := cmp.Diff(map[string][]string{"u": {"1"}}, m.byWho); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("AFailedEntrySaysNothing", func(t *testing.T) {
		db := open(t)
		d := begin(t, db)
		taken := d.decide()
		e := decisions(taken)
		e.Consents = []*juncture.ConsentWrite{{ID: "a", Consent: said(denied, "", 1)}}
		code(t, "a serial twice", d.Commit(ctx, e), juncture.CodeUnavailable)
		d.is("a", "", juncture.ConsentRecord{})
		d.says("a", said(denied, "", 1))
		check(t, d.Close())
		w, err := store.NewWriter(ctx, db, restored(t, db), store.WriterOptions{Now: d.clock.Now})
		check(t, err)
		check(t, w.Close())
		d.is("a", "", said(denied, "", 1))
	})
	// The same is said by the ids of one shopper, who are united at some time in between: the order is nothing.
	t.Run("InAnyOrder", func(t *testing.T) {
		db := open(t)
		d, _ := following(t, db)
		round := 0
		rapid.Check(t, func(r *rapid.T) {
			type step struct {
				id string
				c  juncture.ConsentRecord
			}
			answer := rapid.SampledFrom([]string{"", granted, denied})
			steps := rapid.SliceOfN(rapid.Custom(func(r *rapid.T) step {
				return step{rapid.SampledFrom([]string{"a", "b", "c"}).Draw(r, "id"),
					said(answer.Draw(r, "personalization"), answer.Draw(r, "analytics"), rapid.IntRange(1, 4).Draw(r, "minute"))}
			}), 1, 6).Draw(r, "said")
			var want *juncture.ConsentRecord
			for range 3 {
				round++
				name := func(id string) string { return fmt.Sprint(id, round) }
				alias := []*juncture.Entry{{Aliases: []juncture.Alias{{ID: name("b"), Shopper: name("a")}, {ID: name("a"), Shopper: name("a")}}},
					{Aliases: []juncture.Alias{{ID: name("c"), Shopper: name("a")}, {ID: name("a"), Shopper: name("a")}}}}
				var entries []*juncture.Entry
				for _, s := range steps {
					entries = append(entries, &juncture.Entry{Consents: []*juncture.ConsentWrite{{ID: name(s.id), Consent: s.c}}})
				}
				for _, e := range rapid.Permutation(append(entries, alias...)).Draw(r, "order") {
					d.commit(e)
				}
				got, err := db.Identity(ctx, name("a"))
				check(t, err)
				if want == nil {
					want = &got.Consent
				}
				if diff := cmp.Diff(*want, got.Consent); diff != "" {
					r.Fatalf("in another order:\n%s", diff)
				}
				for _, id := range []string{"b", "c"} {
					if same, err := db.Identity(ctx, name(id)); err != nil || same != got {
						r.Fatalf("%s is %+v, %v", id, same, err)
					}
				}
			}
		})
	})
}

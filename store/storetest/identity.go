package storetest

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/store"
)

// decideFor writes a decision for a shopper.
func (d *desk) decideFor(shopper string) {
	d.t.Helper()
	w := write(d.claims())
	w.Decision.Shopper = shopper
	d.commit(&juncture.Entry{Decisions: []*juncture.DecisionWrite{w}})
}

func eventsOf(t *testing.T, db *store.DB, shopper string) (ids []string) {
	t.Helper()
	found, err := db.EventsOf(context.Background(), shopper, 100)
	check(t, err)
	for i := len(found) - 1; i >= 0; i-- {
		ids = append(ids, found[i].ID)
	}
	return ids
}

// identity is the part of the contract about people and their devices.
func identity(t *testing.T, open func(t *testing.T) *store.DB) {
	ctx := context.Background()
	const granted, denied = juncture.ConsentGranted, juncture.ConsentDenied
	trusted := func(w *juncture.EventWrite) { w.Trusted = true }
	quiet := func(w *juncture.EventWrite) { w.Quiet = true }

	t.Run("ADeviceOfTwoPeople", func(t *testing.T) {
		for what, first := range map[string]string{"first seen with the device": "1 - dev -", "first seen by name": "1 k1 - -"} {
			d, m := following(t, open(t))
			send(t, d, first, "2 k1 dev -", "3 k1 - -")
			key, err := d.db.Shopper(ctx, "k1")
			check(t, err)
			ws := send(t, d, "4 k2 dev -", "5 - dev -", "6 k1 - -")
			if ws[0].Event.Shopper != "k2" || ws[1].Event.Shopper != "k2" || ws[2].Event.Shopper != key {
				t.Errorf("%s: %s, %s, %s", what, ws[0].Event.Shopper, ws[1].Event.Shopper, ws[2].Event.Shopper)
			}
			if diff := cmp.Diff(map[string][]string{key: {"1", "2", "3", "6"}, "k2": {"4", "5"}}, m.byWho); diff != "" {
				t.Errorf("%s:\n%s", what, diff)
			}
			for shopper, want := range m.byWho {
				if diff := cmp.Diff(want, eventsOf(t, d.db, shopper)); diff != "" {
					t.Errorf("%s, %s:\n%s", what, shopper, diff)
				}
			}
			if _, err := d.CheckpointProfiles(ctx); err != nil {
				t.Fatal(err)
			}
			rows, err := d.db.EachProfile(ctx, "", 10)
			check(t, err)
			if len(rows) != 2 {
				t.Errorf("%s: %d profiles", what, len(rows))
			}
			// A third, who then has it back; and the first signs in on it again.
			back := send(t, d, "7 k3 dev -", "8 k2 dev -", "9 k1 dev -", "10 - dev -", "11 k2 - -")
			for i, want := range []string{"k3", "k2", key, key, "k2"} {
				if back[i].Event.Shopper != want {
					t.Errorf("%s: event %s is %s's, want %s", what, back[i].Event.ID, back[i].Event.Shopper, want)
				}
			}
			// Each is erased alone.
			send(t, d, "12 k2 dev -")
			if w := d.erase("k2"); w.Events != 5 {
				t.Errorf("%s: %+v", what, w)
			}
			if got := eventsOf(t, d.db, key); len(got) != 6 {
				t.Errorf("%s: k1 has %v left", what, got)
			}
			if ws := send(t, d, "13 k1 - -"); ws[0].Event.Shopper != key {
				t.Errorf("%s: k1 is %s now", what, ws[0].Event.Shopper)
			}
			send(t, d, "14 k4 dev -")
			d.erase("k1")
			if got := eventsOf(t, d.db, "k4"); len(got) != 1 {
				t.Errorf("%s: k4 has %v left", what, got)
			}
			if ws := send(t, d, "15 - dev -"); ws[0].Event.Shopper != "k4" {
				t.Errorf("%s: the device is %s's", what, ws[0].Event.Shopper)
			}
		}
	})
	t.Run("ADeviceOfNobodyIsWhosSignsIn", func(t *testing.T) {
		d, m := following(t, open(t))
		send(t, d, "1 - dev -", "2 - tab -", "3 k1 dev -", "4 k1 tab -")
		if diff := cmp.Diff(map[string][]string{"dev": {"1", "3", "2", "4"}}, m.byWho); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("APersonIsNoDevice", func(t *testing.T) {
		d, _ := following(t, open(t))
		send(t, d, "1 k1 - -")
		ws := send(t, d, "2 k2 k1 -", "3 k1 - -")
		if ws[0].Event.Shopper != "k2" || ws[1].Event.Shopper != "k1" {
			t.Errorf("%s, %s", ws[0].Event.Shopper, ws[1].Event.Shopper)
		}
	})
	t.Run("TwoPeopleAreOneByATrustedAliasAlone", func(t *testing.T) {
		d, m := following(t, open(t))
		send(t, d, "1 k1 - -", "2 k2 - -")
		if w := send(t, d, "3 k1 - k2")[0]; !w.Refused || w.Duplicate || w.Denied {
			t.Errorf("%+v", w)
		}
		if diff := cmp.Diff(map[string][]string{"k1": {"1"}, "k2": {"2"}}, m.byWho); diff != "" {
			t.Error(diff)
		}
		q, err := d.db.Quarantine(ctx)
		check(t, err)
		if len(q) != 1 || q[0].Reason != juncture.ReasonUntrustedAlias || q[0].Example != `{"messageId":"3"}` {
			t.Errorf("%+v", q)
		}
		// What it says of consent is not heard either.
		sendAs(t, d, func(w *juncture.EventWrite) { w.Consent = said(denied, denied, 1) }, "4 k1 - k2")
		d.is("k1", "k1", juncture.ConsentRecord{})
		// An id that decisions were made for alone may be a person's.
		d.decideFor("k3")
		if w := send(t, d, "5 k1 - k3")[0]; !w.Refused {
			t.Errorf("%+v", w)
		}
		sendAs(t, d, trusted, "6 k1 - k2", "7 k1 - k3")
		if diff := cmp.Diff(map[string][]string{"k1": {"1", "2", "6", "7"}}, m.byWho); diff != "" {
			t.Error(diff)
		}
		send(t, d, "8 k1 dev -", "9 k2 dev -") // one person now
		d.decideFor("k5-dev")
		send(t, d, "10 k5 k5-dev -", "11 k6 - -")
		sendAs(t, d, trusted, "12 k6 k5-dev k5") // with a device of theirs
		key, err := d.db.Shopper(ctx, "k6")
		check(t, err)
		for _, id := range []string{"k5", "k5-dev"} {
			d.is(id, key, juncture.ConsentRecord{})
		}
		if found, err := d.db.Touches(ctx, key, 10); err != nil || len(found) != 1 || len(eventsOf(t, d.db, key)) != 3 {
			t.Errorf("%+v, %v", found, err)
		}
		if got := m.byWho["k1"]; len(got) != 6 {
			t.Errorf("%v", m.byWho)
		}
	})
	t.Run("ADenialTravels", func(t *testing.T) {
		for _, change := range []func(*juncture.EventWrite){quiet, trusted} {
			d, m := following(t, open(t))
			c := said(denied, "", 1)
			send(t, d, "1 - dev -")
			d.says("k1", c)
			for _, line := range []string{"2 k1 dev -", "3 k1 new -", "4 k1 - previous"} {
				if w := sendAs(t, d, change, line)[0]; !w.Denied || !w.Stale {
					t.Errorf("%s: %+v", line, w)
				}
			}
			d.is("dev", "dev", c)
			d.is("new", "", c) // no name of one whom nothing was known of
			d.is("previous", "", c)
			if len(m.log) != 1 {
				t.Errorf("memory was told %+v", m.log)
			}
			// Not over a later answer; and that lifts nobody else's.
			d.says("late", said(granted, granted, 5))
			if w := sendAs(t, d, change, "5 k1 late -")[0]; !w.Denied {
				t.Errorf("%+v", w)
			}
			d.is("late", "", said(granted, granted, 5))
			d.is("k1", "", c)
			// From the device to the person.
			if w := sendAs(t, d, change, "6 k9 dev -")[0]; !w.Denied {
				t.Errorf("%+v", w)
			}
			d.is("k9", "", c)
		}
	})
	t.Run("ADenialIsNotThatOfTheNextPersonAtTheDevice", func(t *testing.T) {
		d, _ := following(t, open(t))
		send(t, d, "1 k1 dev -")
		d.says("k1", said(denied, "", 1))
		if w := send(t, d, "2 k2 dev -")[0]; w.Denied || w.Event.Shopper != "k2" {
			t.Errorf("%+v", w)
		}
		d.is("k1", "dev", said(denied, "", 1))
		d.is("dev", "k2", juncture.ConsentRecord{})
		// The other way round: the device is denied by who uses it now, seen before or not, and k2 is not.
		for i, k := range []string{"k3", "k4"} {
			if d.says(k, said(denied, "", 2)); i == 1 {
				send(t, d, "3 k2 dev -")
			}
			if w := send(t, d, "4 "+k+" dev -")[0]; !w.Denied {
				t.Errorf("%+v", w)
			}
			id, err := d.db.Identity(ctx, "dev")
			check(t, err)
			if !id.Consent.Denied() || id.Shopper == "k2" || strings.Contains(id.Shopper, k) {
				t.Errorf("%+v", id)
			}
			d.is("k2", "k2", juncture.ConsentRecord{})
			d.says(k, said(granted, granted, 3))
			d.says("dev", said(granted, granted, 3))
			if w := send(t, d, "5"+k+" "+k+" dev -", "6"+k+" - dev -"); w[0].Denied || w[1].Event.Shopper != w[0].Event.Shopper || w[0].Event.Shopper == "k2" {
				t.Errorf("%+v, %+v", w[0], w[1])
			}
		}
		if got := eventsOf(t, d.db, "k2"); !cmp.Equal(got, []string{"2", "3"}) {
			t.Errorf("%v", got)
		}
	})
	t.Run("WhatAMessageSaysOfConsent", func(t *testing.T) {
		d, m := following(t, open(t))
		says := func(c juncture.ConsentRecord) func(*juncture.EventWrite) {
			return func(w *juncture.EventWrite) { w.Consent = c }
		}
		if w := sendAs(t, d, says(said(denied, "", 1)), "1 k1 dev -")[0]; !w.Denied {
			t.Errorf("%+v", w)
		}
		d.is("k1", "", said(denied, "", 1))
		d.is("dev", "", said(denied, "", 1))
		if w := sendAs(t, d, says(said(granted, "", 2)), "2 k1 dev -")[0]; w.Denied {
			t.Errorf("%+v", w)
		}
		d.is("k1", "dev", said(granted, "", 2))
		// Said late, of before: the message is that of somebody who says no.
		if w := sendAs(t, d, says(said(denied, "", 1)), "3 k1 dev -")[0]; !w.Denied {
			t.Errorf("%+v", w)
		}
		d.is("k1", "dev", said(granted, "", 2))
		// k2 says it on k1's device.
		sendAs(t, d, says(said(denied, denied, 3)), "4 k2 dev -")
		d.is("k1", "dev", said(granted, "", 2))
		if id, err := d.db.Identity(ctx, "dev"); err != nil || !id.Consent.Denied() {
			t.Errorf("%+v, %v", id, err)
		}
		if diff := cmp.Diff(map[string][]string{"dev": {"2"}}, m.byWho); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("AMessageOfAScopeIsTheSendersAlone", func(t *testing.T) {
		d, _ := following(t, open(t))
		scoped := func(w *juncture.EventWrite) { w.Scope = "pub" }
		for i, w := range append(sendAs(t, d, scoped, "order-1 - stranger -", "order-1 - stranger -", "order-1 - ann -"), send(t, d, "order-1 - ann -", "order-1 - ann -")...) {
			if want := []bool{false, true, false, false, true}[i]; w.Duplicate != want {
				t.Errorf("message %d is a duplicate: %v", i, w.Duplicate)
			}
		}
	})
	t.Run("AnOrderIsTakenOnce", func(t *testing.T) {
		d, m := following(t, open(t))
		order := func(kind juncture.EventKind) func(*juncture.EventWrite) {
			return func(w *juncture.EventWrite) { w.Event.Kind, w.Event.Order, w.Event.Value = kind, "A1", 100 }
		}
		ws := sendAs(t, d, order(juncture.EventOrderCompleted), "1 - a -", "2 - a -", "3 - b -")
		ws = append(ws, sendAs(t, d, order(juncture.EventOrderRefunded), "4 - a -", "5 - a -")...)
		ws = append(ws, sendAs(t, d, order(juncture.EventOrderCancelled), "6 - a -")...)
		send(t, d, "7 k a -", "8 - late -", "9 k late -")
		ws = append(ws, sendAs(t, d, order(juncture.EventOrderCompleted), "10 k - -", "11 - late -")...)
		for i, w := range ws {
			if want := []bool{false, true, false, false, false, false, true, true}[i]; w.Duplicate != want {
				t.Errorf("%s is a duplicate: %v", w.Event.ID, w.Duplicate)
			}
		}
		if diff := cmp.Diff(map[string][]string{"a": {"1", "4", "5", "6", "7", "8", "9"}, "b": {"3"}}, m.byWho); diff != "" {
			t.Error(diff)
		}
		// Taken by a profile that became part of another.
		sendAs(t, d, order(juncture.EventOrderCompleted), "20 - part -")
		d2, _ := following(t, open(t))
		send(t, d2, "1 - old -")
		sendAs(t, d2, order(juncture.EventOrderCompleted), "2 - young -")
		send(t, d2, "3 u old -", "4 u young -")
		if w := sendAs(t, d2, order(juncture.EventOrderCompleted), "5 u - -")[0]; !w.Duplicate {
			t.Errorf("%+v", w)
		}
	})
	t.Run("APersonHasTheirName", func(t *testing.T) {
		d, _ := following(t, open(t))
		send(t, d, "1 - dev -", "2 k2 dev -")
		sendAs(t, d, trusted, "3 k1 - k2")
		send(t, d, "4 - alone -")
		for shopper, want := range map[string]string{"dev": "k1", "alone": "", "nobody": ""} {
			if got, err := d.db.CustomerID(ctx, shopper); err != nil || got != want {
				t.Errorf("%s is %q, %v; want %q", shopper, got, err, want)
			}
		}
	})
	t.Run("AnAliasHeedsThePerson", func(t *testing.T) {
		d, _ := following(t, open(t))
		d.commit(&juncture.Entry{Aliases: []juncture.Alias{{ID: "dev", Shopper: "dev"}, {ID: "k1", Shopper: "dev", Known: true}}})
		d.commit(&juncture.Entry{Aliases: []juncture.Alias{{ID: "k2", Shopper: "dev", Known: true}}})
		d.is("k1", "dev", juncture.ConsentRecord{})
		d.is("k2", "k2", juncture.ConsentRecord{})
		sendAs(t, d, quiet, "1 k2 dev -")
		d.is("dev", "k2", juncture.ConsentRecord{})
		d.commit(&juncture.Entry{Aliases: []juncture.Alias{{ID: "tab", Shopper: "dev"}}}) // the first-seen id of k1
		d.is("tab", "dev", juncture.ConsentRecord{})
		if got := eventsOf(t, d.db, "k2"); len(got) != 0 {
			t.Errorf("%v", got)
		}
	})
	t.Run("ErasedIsNotAllowed", func(t *testing.T) {
		d, _ := following(t, open(t))
		send(t, d, "1 k1 dev -")
		d.says("k1", said(denied, granted, 1))
		d.erase("dev")
		d.is("k1", "", said(denied, "", 1))
		d.is("dev", "", said(denied, "", 1))
		if w := send(t, d, "2 k1 dev -")[0]; !w.Denied {
			t.Errorf("%+v", w)
		}
		d.erase("k1")
		d.is("k1", "", said(denied, "", 1))
	})
	t.Run("AnEscapedExampleIsErased", func(t *testing.T) {
		for id, examples := range map[string][]string{
			`jörg/"1"`:  {`{"userId":"j\u00f6rg\/\"1\""}`, `{"userId":"j\u00F6rg/\u0022\u0031\""`, `{"userId":"jörg/"1"`, `{"userId":"j\u00f6rg`},
			"🙂-shopper": {`{"userId":"\ud83d\ude42-shopper"}`, `\\"🙂-shopper`, `{"a":"\n\ud83d\ude42-sho`},
		} {
			for _, example := range examples {
				d, _ := following(t, open(t))
				send(t, d, "1 "+strings.ReplaceAll(id, " ", "")+" - -")
				d.commit(&juncture.Entry{Quarantined: []juncture.Quarantined{{Reason: "mine", Example: example, Latest: d.clock.Now()},
					{Reason: "others", Example: `{"userId":"\ud83d\ude43 \u00e4 \x`, Latest: d.clock.Now()}}})
				d.erase(id)
				q, err := d.db.Quarantine(ctx)
				check(t, err)
				if len(q) != 2 || q[0].Example != "" || q[1].Example == "" {
					t.Errorf("%s: %+v", example, q)
				}
			}
		}
	})
}

package storetest

import (
	"context"
	"reflect"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/store"
)

func outcomes(t *testing.T, open func(t *testing.T) *store.DB) {
	// is checks what became of an outcome.
	is := func(t *testing.T, w *juncture.OutcomeWrite, want juncture.Status) {
		t.Helper()
		if w.Err != nil || w.Result.Status != want {
			t.Errorf("outcome %q is %s, %v; want %s", w.Outcome.ID, w.Result.Status, w.Err, want)
		}
	}
	tally := func(t *testing.T, got juncture.Tally, outcomes, successes, value int64) {
		t.Helper()
		if got.Outcomes != outcomes || got.Successes != successes || got.Value != value {
			t.Errorf("%+v, want %d outcomes, %d successes, value %d", got, outcomes, successes, value)
		}
	}
	stored := func(t *testing.T, d *desk, c juncture.Claims) []juncture.Outcome {
		t.Helper()
		rows, err := d.db.OutcomesOf(context.Background(), []uint64{c.Serial})
		check(t, err)
		return rows[c.Serial]
	}
	t.Run("DuplicatesAndConflicts", func(t *testing.T) {
		d := begin(t, open(t))
		c := d.decide()
		first, twin, other := d.outcome(c, "purchase", "o", 1000), d.outcome(c, "purchase", "o", 1000), d.outcome(c, "purchase", "o", 1001)
		d.write(first, twin, other) // in one entry
		is(t, first, juncture.StatusRecorded)
		is(t, twin, juncture.StatusDuplicate)
		code(t, "another value", other.Err, juncture.CodeOutcomeConflict)
		again := d.outcome(c, "purchase", "o", 1000)
		d.write(again)
		is(t, again, juncture.StatusDuplicate)
		click := d.outcome(c, "click", "o", 1) // another event's ids are its own
		d.write(click)
		is(t, click, juncture.StatusRecorded)
		tally(t, d.row(c, 1, "purchase"), 1, 1, 1000)
		tally(t, d.row(c, 1, "click"), 1, 1, 1)
		if n := len(stored(t, d, c)); n != 2 {
			t.Errorf("%d rows", n)
		}
		d.agrees()
	})
	t.Run("AnOutcomeIsReadAsItWasWritten", func(t *testing.T) {
		d := begin(t, open(t))
		c := d.decide()
		o := d.outcome(c, "purchase", "ünïcode ✓ '\"", 123456)
		o.Outcome.At = o.Outcome.At.Add(-time.Minute)
		o.Outcome.Credits = []juncture.Credit{{Serial: c.Serial, Share: 1.0 / 3}, {Serial: 1, Share: 2.0 / 3}}
		r := d.refund(c, "r", o.Outcome.ID, -23456, false)
		r.Outcome.Received = r.Outcome.Received.Add(time.Second)
		d.write(o, r)
		if got, want := stored(t, d, c), []juncture.Outcome{o.Result, r.Result}; !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, want %+v", got, want)
		}
		if r.Result.ShareOf(1) != 2.0/3 || r.Result.ShareOf(c.Serial) != 1.0/3 {
			t.Errorf("a refund is shared as its outcome is: %+v", r.Result)
		}
	})
	t.Run("Late", func(t *testing.T) {
		d := begin(t, open(t))
		c := d.decide()
		d.clock.Advance(24 * time.Hour)
		in := d.outcome(c, "purchase", "in", 100)
		d.clock.Advance(time.Millisecond)
		late := d.outcome(c, "purchase", "late", 200)
		d.write(in, late)
		is(t, in, juncture.StatusRecorded)
		is(t, late, juncture.StatusLate)
		tally(t, d.row(c, 1, "purchase"), 2, 1, 100)
		d.agrees()
	})
	t.Run("HeldThenActivated", func(t *testing.T) {
		d := begin(t, open(t))
		c := d.decide(func(c *juncture.Claims) { c.Deferred = true })
		held, back := d.outcome(c, "purchase", "o", 1000), d.refund(c, "r", "o", -300, false)
		d.write(held, back)
		is(t, held, juncture.StatusHeld)
		is(t, back, juncture.StatusHeld)
		tally(t, d.row(c, 1, "purchase"), 0, 0, 0)
		d.agrees()
		d.clock.Advance(time.Hour)
		act, after := d.activation(c, 0), d.outcome(c, "click", "", 1)
		d.write(act, after) // an entry's activations stand before its outcomes
		if act.Duplicate || act.Err != nil || act.Stands != act.Activation {
			t.Errorf("%+v", act)
		}
		is(t, after, juncture.StatusRecorded)
		tally(t, d.row(c, 1, "purchase"), 1, 1, 700)
		for _, o := range stored(t, d, c) {
			if o.Status != juncture.StatusRecorded {
				t.Errorf("%+v is still %s", o, o.Status)
			}
		}
		d.clock.Advance(time.Hour)
		again := d.activation(c, 0)
		d.write(again)
		if !again.Duplicate || again.Err != nil || again.Stands != act.Activation {
			t.Errorf("again: %+v", again)
		}
		d.agrees()
	})
	t.Run("Refunds", func(t *testing.T) {
		d := begin(t, open(t))
		c := d.decide()
		d.write(d.outcome(c, "purchase", "a", 1000), d.outcome(c, "purchase", "b", 500))
		part := d.refund(c, "r1", "a", -400, false)
		d.write(part)
		tally(t, d.row(c, 1, "purchase"), 2, 1, 1100) // 10.00 − 4.00 + 5.00
		below := d.refund(c, "r2", "a", -601, false)
		ghost := d.refund(c, "r3", "ghost", -1, false)
		d.write(below, ghost)
		code(t, "below zero", below.Err, juncture.CodeUnprocessable)
		code(t, "nothing to adjust", ghost.Err, juncture.CodeUnprocessable)
		d.clock.Advance(1000 * time.Hour) // whenever it comes
		whole := d.refund(c, "r4", "a", 0, true)
		d.write(whole)
		is(t, whole, juncture.StatusRecorded)
		if whole.Result.Minor != -600 || whole.Result.Value != -6 {
			t.Errorf("all that is left: %+v", whole.Result)
		}
		tally(t, d.row(c, 1, "purchase"), 1, 1, 500)
		d.write(d.refund(c, "r5", "b", 0, true))
		if got := d.row(c, 1, "purchase"); got != (juncture.Tally{}) {
			t.Errorf("refunds left %+v", got)
		}
		d.agrees()
	})
	t.Run("ServedMovesTheTrialAndItsOutcomes", func(t *testing.T) {
		d := begin(t, open(t))
		c := d.decide()
		d.write(d.outcome(c, "purchase", "a", 1000))
		act := d.activation(c, 2)
		d.write(act)
		after := d.outcome(c, "purchase", "b", 500)
		d.write(after)
		if after.Delta.Arm != 2 {
			t.Errorf("credited to arm %d", after.Delta.Arm)
		}
		for arm, want := range map[juncture.ArmID]int64{1: 0, 2: 1500} {
			if got := d.row(c, arm, "purchase"); got.Value != want {
				t.Errorf("arm %d: %+v", arm, got)
			}
			if got := d.row(c, arm, ""); got.Trials != min(want, 1) {
				t.Errorf("arm %d: %+v", arm, got)
			}
		}
		other := d.activation(c, 3)
		d.write(other)
		code(t, "another arm", other.Err, juncture.CodeDecisionConflict)
		d.agrees()
	})
	t.Run("IgnoredIsKeptAndNeverCounted", func(t *testing.T) {
		d := begin(t, open(t))
		c := d.decide(func(c *juncture.Claims) { c.Ignored = true })
		o := d.outcome(c, "purchase", "a", 1000)
		act := d.activation(c, 2)
		d.write(o, act)
		is(t, o, juncture.StatusIgnored)
		if !act.Duplicate {
			t.Errorf("%+v", act)
		}
		if n := len(stored(t, d, c)); n != 1 {
			t.Errorf("%d rows", n)
		}
		if got := d.memory.tallies(); len(got) != 0 {
			t.Errorf("%v", got)
		}
		d.agrees()
	})
	t.Run("RefusedOutcomesDoNotStopTheOthers", func(t *testing.T) {
		d := begin(t, open(t))
		c := d.decide()
		bad, good := d.refund(c, "r", "ghost", -1, false), d.outcome(c, "click", "", 1)
		d.write(bad, good)
		code(t, "nothing to adjust", bad.Err, juncture.CodeUnprocessable)
		is(t, good, juncture.StatusRecorded)
		d.agrees()
	})
}

package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/store"
)

func watch(t *testing.T, open func(t *testing.T) *store.DB) {
	ctx := context.Background()
	walked := func(t *testing.T, db *store.DB, marks map[uint16]uint64, until time.Time, limit int) (out []juncture.Logged) {
		t.Helper()
		check(t, db.WalkDecisions(ctx, marks, until, limit, func(l juncture.Logged) error {
			out = append(out, l)
			return nil
		}))
		return out
	}
	serials := func(rows []juncture.Logged) (out []uint64) {
		for _, r := range rows {
			out = append(out, r.Serial)
		}
		return out
	}
	is := func(t *testing.T, what string, got []juncture.Logged, want ...uint64) {
		t.Helper()
		if d := cmp.Diff(want, serials(got)); d != "" {
			t.Errorf("%s (-want +got): %s", what, d)
		}
	}

	t.Run("Walk", func(t *testing.T) {
		d := begin(t, open(t))
		is(t, "of nothing", walked(t, d.db, nil, d.clock.Now(), 10))
		other := d.decide(func(c *juncture.Claims) { c.Serial = 7<<juncture.NodeShift | 5 })
		first := d.decide()
		waits := d.decide(func(c *juncture.Claims) { c.Deferred = true })
		shown := d.decide(func(c *juncture.Claims) { c.Deferred = true })
		d.write(d.activation(shown, 2))
		last := d.decide(func(c *juncture.Claims) { c.Serial = 1023<<juncture.NodeShift | (1<<juncture.NodeShift - 1) })
		until := d.clock.Now()
		d.clock.Advance(time.Minute)
		young := d.decide()

		all := walked(t, d.db, nil, until, 10)
		is(t, "all of them, by node", all, first.Serial, waits.Serial, shown.Serial, other.Serial, last.Serial)
		if all[0].Activation != nil || all[1].Activation != nil || !all[1].Deferred {
			t.Errorf("activations of %+v and %+v", all[0], all[1])
		}
		if a := all[2].Activation; a == nil || !a.Served || a.Arm != 2 || !a.At.Equal(until) {
			t.Errorf("the activation is %+v", a)
		}
		if d := cmp.Diff([]juncture.Ranked{{Arm: 1, Probability: 0.25}, {Arm: 2, Probability: 0.75}}, all[0].Ranking); d != "" {
			t.Error(d)
		}
		is(t, "some", walked(t, d.db, nil, until, 2), first.Serial, waits.Serial)
		marks := map[uint16]uint64{1: waits.Serial}
		is(t, "the rest", walked(t, d.db, marks, until, 2), shown.Serial, other.Serial)
		is(t, "later", walked(t, d.db, map[uint16]uint64{1: shown.Serial, 7: other.Serial, 1023: last.Serial}, d.clock.Now(), 10), young.Serial)

		d.commit(&juncture.Entry{Exclusions: []*juncture.Exclusion{{ID: "shopper", Reason: juncture.ExcludedBot, Why: "a test", At: d.clock.Now()}}})
		if got := walked(t, d.db, nil, until, 1); !got[0].Removed {
			t.Errorf("%+v was taken out", got[0])
		}
		stop := errors.New("stop")
		if err := d.db.WalkDecisions(ctx, nil, until, 10, func(juncture.Logged) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("the walk went on: %v", err)
		}
	})
	t.Run("States", func(t *testing.T) {
		db := open(t)
		body, err := db.Watched(ctx, "hero")
		check(t, err)
		marks, err := db.WatchMarks(ctx)
		check(t, err)
		if body != nil || len(marks) != 0 {
			t.Errorf("of nothing: %q, %v", body, marks)
		}
		check(t, db.SaveWatched(ctx, marks, map[uint16]uint64{1: 10, 2: 20}, map[string][]byte{"hero": []byte("a"), "email": []byte("b")}))
		code(t, "from where somebody else was", db.SaveWatched(ctx, marks, map[uint16]uint64{2: 30}, map[string][]byte{"hero": []byte("lost")}), juncture.CodeDecisionConflict)
		marks, err = db.WatchMarks(ctx)
		check(t, err)
		if d := cmp.Diff(map[uint16]uint64{1: 10, 2: 20}, marks); d != "" {
			t.Error(d)
		}
		check(t, db.SaveWatched(ctx, marks, map[uint16]uint64{2: 30}, map[string][]byte{"hero": []byte("c")}))
		for id, want := range map[string]string{"hero": "c", "email": "b"} {
			if body, err = db.Watched(ctx, id); err != nil || string(body) != want {
				t.Errorf("%s: %q, %v", id, body, err)
			}
		}
	})
}

package storetest

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/internal/testkit"
	"github.com/juncture/juncture/store"
)

func memoID(s string) (id [16]byte) { copy(id[:], s); return id }

func memo(id, answer string, expires time.Time) juncture.Memo {
	return juncture.Memo{ID: memoID(id), Body: memoID("body of " + answer), Answer: []byte(answer), Expires: expires.UnixMilli()}
}

func ledger(t *testing.T, open func(t *testing.T) *store.DB) {
	ctx := context.Background()
	t.Run("ADecisionIsReadAsItWasWritten", func(t *testing.T) {
		d := begin(t, open(t))
		for _, change := range []func(*juncture.Claims){
			func(*juncture.Claims) {},
			func(c *juncture.Claims) { c.Ignored, c.Experiment, c.Group, c.Arm = true, "", juncture.GroupNone, 0 },
			func(c *juncture.Claims) { c.Deferred, c.Probability = true, 1.0/3 },
			func(c *juncture.Claims) { c.Intersection = juncture.Intersection{"_", "_", "_", "_"} },
		} {
			w := write(d.claims(change))
			d.commit(&juncture.Entry{Decisions: []*juncture.DecisionWrite{w}})
			got, err := d.db.Decision(ctx, w.Decision.Serial)
			check(t, err)
			if diff := cmp.Diff(&store.StoredDecision{Decision: w.Decision, SigningKey: 1}, got); diff != "" {
				t.Errorf("it came back otherwise:\n%s", diff)
			}
		}
		if got, err := d.db.Decision(ctx, 99); got != nil || err != nil {
			t.Errorf("no decision: %+v, %v", got, err)
		}
		d.agrees()
	})
	t.Run("TrialsAreOfDecisionsThatCount", func(t *testing.T) {
		d := begin(t, open(t))
		c := d.decide()
		d.decide()
		d.decide(func(c *juncture.Claims) { c.Deferred = true })
		d.decide(func(c *juncture.Claims) { c.Ignored = true })
		d.decide(func(c *juncture.Claims) { c.Group = juncture.GroupHoldout })
		if got := d.row(c, 1, ""); got != (juncture.Tally{Trials: 2}) {
			t.Errorf("%+v", got)
		}
		d.agrees()
	})
	t.Run("EachNodeHasItsSerials", func(t *testing.T) {
		d := begin(t, open(t))
		const most = 1<<juncture.NodeShift - 1
		for _, node := range []uint64{0, 1, 2, 1023} {
			for _, n := range []uint64{5, most - 1, 7} {
				d.decide(func(c *juncture.Claims) { c.Serial = node<<juncture.NodeShift | n })
			}
			if got, err := d.db.LastSerial(ctx, uint16(node)); err != nil || got != node<<juncture.NodeShift|(most-1) {
				t.Errorf("node %d: %d, %v", node, got, err)
			}
		}
		d.decide(func(c *juncture.Claims) { c.Serial = 1023<<juncture.NodeShift | most })
		if got, err := d.db.LastSerial(ctx, 1023); err != nil || got != 1023<<juncture.NodeShift|most {
			t.Errorf("the very last serial: %d, %v", got, err)
		}
		if got, err := d.db.LastSerial(ctx, 3); err != nil || got != 0 {
			t.Errorf("a node without decisions: %d, %v", got, err)
		}
		d.agrees()
	})
	t.Run("DecisionsAtAnIntersection", func(t *testing.T) {
		d := begin(t, open(t))
		here := juncture.Intersection{"loyal", "c1", "_", "_"}
		var want []uint64
		for i := range 10 {
			c := d.decide(func(c *juncture.Claims) {
				if i%2 == 1 {
					c.Intersection[0] = "prospect"
				}
				if i == 4 {
					c.Experiment = "other"
				}
			})
			if i%2 == 0 && i != 4 {
				want = append(want, c.Serial)
			}
		}
		slices.Reverse(want)
		found, err := d.db.DecisionsAt(ctx, "hero", here, 3)
		check(t, err)
		var got []uint64
		for _, f := range found {
			got = append(got, f.Serial)
		}
		if !slices.Equal(got, want[:3]) {
			t.Errorf("%v, want %v", got, want[:3])
		}
	})
	t.Run("LayerValuesAreKeptOnce", func(t *testing.T) {
		d := begin(t, open(t))
		for range 2 {
			d.commit(&juncture.Entry{Values: []juncture.LayerValue{{Layer: juncture.Meaning, Value: "c1"}, {Layer: juncture.Moment, Value: "c1"}}})
		}
		got, err := d.db.LayerValues(ctx)
		check(t, err)
		slices.SortFunc(got, func(a, b juncture.LayerValue) int { return int(a.Layer) - int(b.Layer) })
		if !slices.Equal(got, []juncture.LayerValue{{Layer: juncture.Moment, Value: "c1"}, {Layer: juncture.Meaning, Value: "c1"}}) {
			t.Errorf("%v", got)
		}
	})
}

func memos(t *testing.T, open func(t *testing.T) *store.DB) {
	ctx := context.Background()
	// stands checks what a memo says now, "" for none.
	stands := func(t *testing.T, d *desk, id, want string) {
		t.Helper()
		m, err := d.db.Memo(ctx, memoID(id))
		check(t, err)
		got := ""
		if m != nil {
			got = string(m.Answer)
			if m.ID != memoID(id) || m.Body != memoID("body of "+got) {
				t.Errorf("memo %s came back as %+v", id, m)
			}
		}
		if got != want {
			t.Errorf("memo %s says %q, want %q", id, got, want)
		}
	}
	// put writes a decision with memos and returns what was recalled, "" for nothing.
	put := func(t *testing.T, d *desk, memos ...juncture.Memo) string {
		t.Helper()
		w := write(d.claims(), memos...)
		d.commit(&juncture.Entry{Decisions: []*juncture.DecisionWrite{w}})
		stored, err := d.db.Decision(ctx, w.Decision.Serial)
		check(t, err)
		if (stored != nil) != (w.Recalled == nil) {
			t.Errorf("recalled %+v, decision %+v", w.Recalled, stored)
		}
		if w.Recalled == nil {
			return ""
		}
		return string(w.Recalled.Answer)
	}
	is := func(t *testing.T, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("recalled %q, want %q", got, want)
		}
	}
	t.Run("ATakenMemoIsRecalledAndNothingWritten", func(t *testing.T) {
		d := begin(t, open(t))
		soon := d.clock.Now().Add(time.Hour)
		stands(t, d, "m", "")
		is(t, put(t, d, memo("m", "first", soon)), "")
		is(t, put(t, d, memo("m", "second", soon)), "first")
		stands(t, d, "m", "first")
		d.agrees()
		if got := testkit.ReadLedger(t, d.db); len(got.Decisions) != 1 {
			t.Errorf("%d decisions", len(got.Decisions))
		}
	})
	t.Run("TheFirstThatIsTakenDecides", func(t *testing.T) {
		d := begin(t, open(t))
		soon := d.clock.Now().Add(time.Hour)
		put(t, d, memo("request", "one", soon))
		put(t, d, memo("sticky", "two", soon))
		is(t, put(t, d, memo("request", "x", soon), memo("sticky", "x", soon)), "one")
		is(t, put(t, d, memo("sticky", "x", soon), memo("request", "x", soon)), "two")
		// Those before it are taken back: they promised an answer that is not given.
		is(t, put(t, d, memo("new", "x", soon), memo("sticky", "x", soon)), "two")
		stands(t, d, "new", "")
		stands(t, d, "sticky", "two")
		is(t, put(t, d, memo("new", "three", soon), memo("newer", "three", soon)), "")
		stands(t, d, "new", "three")
		stands(t, d, "newer", "three")
	})
	t.Run("AnExpiredMemoIsReplaced", func(t *testing.T) {
		d := begin(t, open(t))
		end := d.clock.Now().Add(time.Hour)
		put(t, d, memo("m", "first", end))
		d.clock.Advance(time.Hour - time.Millisecond)
		is(t, put(t, d, memo("m", "second", end.Add(time.Hour))), "first")
		d.clock.Advance(time.Millisecond)
		is(t, put(t, d, memo("m", "second", end.Add(time.Hour))), "")
		stands(t, d, "m", "second")
	})
	t.Run("OnlyTheNamedAnswerIsReplaced", func(t *testing.T) {
		d := begin(t, open(t))
		soon := d.clock.Now().Add(time.Hour)
		put(t, d, memo("m", "first", soon))
		replacing := func(answer, of string) juncture.Memo {
			m := memo("m", answer, soon)
			m.Replaces = []byte(of)
			return m
		}
		is(t, put(t, d, replacing("second", "first")), "")
		is(t, put(t, d, replacing("third", "first")), "second") // somebody was quicker
		stands(t, d, "m", "second")
		other := replacing("x", "y")
		other.ID = memoID("free")
		other.Body = memoID("body of x")
		is(t, put(t, d, other), "")
		stands(t, d, "free", "x")
	})
	t.Run("AMemoAloneIsWrittenOrRecalled", func(t *testing.T) {
		d := begin(t, open(t))
		soon := d.clock.Now().Add(time.Hour)
		for i, want := range []string{"", "a0"} {
			w := &juncture.MemoWrite{Memo: memo("m", fmt.Sprint("a", i), soon), At: d.clock.Now()}
			d.write(w)
			got := ""
			if w.Recalled != nil {
				got = string(w.Recalled.Answer)
			}
			is(t, got, want)
		}
		stands(t, d, "m", "a0")
	})
	t.Run("PurgeTakesWhatExpired", func(t *testing.T) {
		d := begin(t, open(t))
		now := d.clock.Now()
		for i := range 5 {
			put(t, d, memo(fmt.Sprint("m", i), "x", now.Add(time.Duration(i)*time.Hour)))
		}
		at := now.Add(2 * time.Hour).UnixMilli()
		for _, want := range []int64{2, 1, 0} {
			if n, err := d.db.PurgeMemos(ctx, at, 2); err != nil || n != want {
				t.Errorf("purged %d, %v; want %d", n, err, want)
			}
		}
		stands(t, d, "m2", "")
		stands(t, d, "m3", "x")
	})
}

func shoppers(t *testing.T, open func(t *testing.T) *store.DB) {
	ctx := context.Background()
	of := func(name string, w *juncture.DecisionWrite) *juncture.DecisionWrite {
		w.Decision.Shopper = name
		return w
	}
	t.Run("TheFirstAliasStands", func(t *testing.T) {
		d := begin(t, open(t))
		for _, first := range []string{"a", "b"} {
			d.commit(&juncture.Entry{Aliases: []juncture.Alias{{ID: "u", Shopper: first}, {ID: first, Shopper: first}}})
		}
		for id, want := range map[string]string{"u": "a", "a": "a", "b": "b", "c": ""} {
			if got, err := d.db.Shopper(ctx, id); err != nil || got != want {
				t.Errorf("%s is %q, %v; want %q", id, got, err, want)
			}
		}
	})
	t.Run("WhoWasSeenFirst", func(t *testing.T) {
		d := begin(t, open(t))
		for _, name := range []string{"b", "a", "b"} {
			d.commit(&juncture.Entry{Decisions: []*juncture.DecisionWrite{of(name, write(d.claims()))}})
		}
		for _, c := range [][3]string{{"a", "b", "b"}, {"b", "a", "b"}, {"a", "c", "a"}, {"c", "a", "a"}, {"c", "d", ""}, {"a", "a", "a"}} {
			if got, err := d.db.FirstSeen(ctx, c[0], c[1]); err != nil || got != c[2] {
				t.Errorf("of %s and %s: %q, %v; want %q", c[0], c[1], got, err, c[2])
			}
		}
	})
	t.Run("Touches", func(t *testing.T) {
		d := begin(t, open(t))
		var all []juncture.Claims
		for i := range 5 {
			c := d.claims(func(c *juncture.Claims) { c.Deferred = i == 3 })
			all = append(all, c)
			d.commit(&juncture.Entry{Decisions: []*juncture.DecisionWrite{of([]string{"a", "b"}[i/4], write(c))}})
		}
		act := d.activation(all[3], 2)
		d.write(act, d.outcome(all[1], "click", "o", 1), d.outcome(all[4], "click", "o", 1))
		got, err := d.db.Touches(ctx, "a", 3)
		check(t, err)
		want := []juncture.Touch{{Claims: all[3], SigningKey: 1, Reason: juncture.ReasonSplit, Activation: &act.Activation}, {Claims: all[2], SigningKey: 1, Reason: juncture.ReasonSplit}, {Claims: all[1], SigningKey: 1, Reason: juncture.ReasonSplit}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s", diff)
		}
		// An outcome of all[2] that all[0] and all[3] have parts of, too.
		shared := d.outcome(all[2], "click", "s", 1)
		shared.Outcome.Credits = []juncture.Credit{{Serial: all[3].Serial, Share: 0.5}, {Serial: all[2].Serial, Share: 0.25}, {Serial: all[0].Serial, Share: 0.25}}
		d.write(shared)
		part := func(t juncture.Touch, share float64) juncture.Credited {
			return juncture.Credited{Touch: t, Credit: share, Holder: all[2].Serial}
		}
		oldest := juncture.Touch{Claims: all[0], SigningKey: 1, Reason: juncture.ReasonSplit}
		for _, c := range []struct {
			shopper, event, id string
			want               []juncture.Credited
		}{
			{"a", "click", "o", []juncture.Credited{{Touch: want[2], Credit: 1, Holder: all[1].Serial}}},
			{"b", "click", "o", []juncture.Credited{{Touch: juncture.Touch{Claims: all[4], SigningKey: 1, Reason: juncture.ReasonSplit}, Credit: 1, Holder: all[4].Serial}}},
			{"a", "click", "s", []juncture.Credited{part(want[0], 0.5), part(want[1], 0.25), part(oldest, 0.25)}}, {"b", "click", "s", nil},
			{"a", "purchase", "o", nil}, {"a", "click", "", nil}, {"c", "click", "o", nil},
		} {
			got, err := d.db.Credited(ctx, c.shopper, c.event, c.id)
			check(t, err)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%+v: %s", c, diff)
			}
		}
		for shopper, n := range map[string]int{"a": 1, "b": 0} {
			if got, err := d.db.Shared(ctx, shopper, 10); err != nil || len(got) != n || n > 0 && !reflect.DeepEqual(got[0], shared.Result) {
				t.Errorf("shared by %s's: %+v, %v", shopper, got, err)
			}
		}
	})
}

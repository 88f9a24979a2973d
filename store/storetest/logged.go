package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/store"
)

// logged: what decisions were made by is kept once, with the first of them, and is read as it was written; a decision that
// is not written keeps nothing.
func logged(t *testing.T, open func(t *testing.T) *store.DB) {
	ctx := context.Background()
	db := open(t)
	d := begin(t, db)
	now := d.clock.Now()
	floor := 0.05
	terms := juncture.DrawTerms{Experiment: juncture.Experiment{ID: "hero", Surface: "home_hero", Floor: &floor, Goal: juncture.Goal{Outcome: "click", Window: juncture.Duration(36 * time.Hour)},
		Nudges: []juncture.Nudge{{Action: "news", Factor: 1.1, Owner: "ada", Expires: now.Add(time.Hour)}}}, Cast: []juncture.ArmID{1, 3}, Shares: map[juncture.ArmID]float64{1: 1.0 / 3}, Default: 1}
	fit := juncture.Fit{Version: "v1", Experiment: "hero", Marks: []juncture.Mark{{Node: 1, Seq: 1}}, AsOf: now.Truncate(time.Minute)}
	write := func(n uint64, change func(*juncture.DecisionWrite)) *juncture.DecisionWrite {
		t.Helper()
		w := &juncture.DecisionWrite{SigningKey: 1, Decision: juncture.Decision{Claims: juncture.Claims{Serial: 1<<juncture.NodeShift | n, At: now.Add(time.Duration(n) * time.Second), Until: now.Add(time.Hour), Experiment: "hero",
			Intersection: juncture.Intersection{"loyal.browsing._", "_", "_", "_"}, Arm: 1, Group: juncture.GroupPolicy, Probability: 0.5}, Surface: "home_hero", Shopper: "ada", Reason: juncture.ReasonSplit,
			Version: "v1", Ranking: []juncture.Ranked{{Arm: 1, Probability: 0.5}, {Arm: 2, Probability: 0.5}}}}
		change(w)
		if err := d.Commit(ctx, &juncture.Entry{Decisions: []*juncture.DecisionWrite{w}}); err != nil {
			t.Fatal(err)
		}
		return w
	}
	refused := []juncture.Refused{{Arm: 3, Why: "its rule does not hold"}, {Arm: 4, Why: "nothing in stock for its slots"}, {Arm: 5, Why: "its rule does not hold"}}
	first := write(1, func(w *juncture.DecisionWrite) {
		w.Decision.Terms, w.Terms, w.Fit, w.Decision.Refused = terms.Hash(), &terms, &fit, refused
	})
	write(2, func(w *juncture.DecisionWrite) { // again: nothing new, and nothing wrong
		w.Decision.Terms, w.Terms, w.Fit = terms.Hash(), &terms, &fit
		w.Decision.Shopper, w.Decision.Surface, w.Decision.Group, w.Decision.Reason = "ben", "cart_email", juncture.GroupBAU, juncture.ReasonDefault
	})
	if got, err := db.Terms(ctx, terms.Hash()); err != nil || got == nil || got.Hash() != terms.Hash() || *got.Experiment.Floor != floor {
		t.Errorf("terms %+v, %v", got, err)
	}
	if got, err := db.Terms(ctx, "none"); got != nil || err != nil {
		t.Errorf("no terms: %+v, %v", got, err)
	}
	got, err := db.Fit(ctx, "v1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&fit, got); diff != "" {
		t.Error(diff)
	}
	if got, err := db.Fit(ctx, "none"); got != nil || err != nil {
		t.Errorf("no fit: %+v, %v", got, err)
	}
	s, err := db.Logged(ctx, first.Decision.Serial)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first.Decision, s.Decision); diff != "" {
		t.Error(diff)
	}
	if s, err := db.Logged(ctx, 7); s != nil || err != nil {
		t.Errorf("no decision: %+v, %v", s, err)
	}
	looked := uint64(0)
	serials := func(q juncture.DecisionQuery) (out []uint64) {
		t.Helper()
		if q.Limit == 0 {
			q.Limit = 10
		}
		found, last, err := db.Log(ctx, q)
		looked = last & 0xff
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range found {
			out = append(out, d.Serial&0xff)
		}
		return out
	}
	bau := juncture.GroupBAU
	for _, c := range []struct {
		q    juncture.DecisionQuery
		want []uint64
	}{{juncture.DecisionQuery{}, []uint64{2, 1}}, {juncture.DecisionQuery{Limit: 1}, []uint64{2}}, {juncture.DecisionQuery{Before: 1<<juncture.NodeShift | 2}, []uint64{1}}, {juncture.DecisionQuery{After: 1<<juncture.NodeShift | 1}, []uint64{2}},
		{juncture.DecisionQuery{Group: &bau}, []uint64{2}}, {juncture.DecisionQuery{Surface: "home_hero"}, []uint64{1}}, {juncture.DecisionQuery{Reason: juncture.ReasonDefault}, []uint64{2}}, {juncture.DecisionQuery{Shopper: "ben"}, []uint64{2}},
		{juncture.DecisionQuery{Experiment: "other"}, nil}, {juncture.DecisionQuery{Action: "nothing"}, nil}, {juncture.DecisionQuery{Detail: juncture.DetailBot}, nil},
		{juncture.DecisionQuery{From: now.Add(2 * time.Second)}, []uint64{2}}, {juncture.DecisionQuery{To: now.Add(2 * time.Second)}, []uint64{1}}} {
		if diff := cmp.Diff(c.want, serials(c.q)); diff != "" {
			t.Errorf("%+v: %s", c.q, diff)
		}
		if looked != 0 {
			t.Errorf("%+v: looked no further than %d", c.q, looked)
		}
	}
	for _, c := range []struct {
		q    juncture.DecisionQuery
		want []uint64
		last uint64 // that was looked at
	}{{juncture.DecisionQuery{Surface: "home_hero", Look: 1}, nil, 2}, {juncture.DecisionQuery{Surface: "home_hero", Look: 1, Before: 1<<juncture.NodeShift | 2}, []uint64{1}, 1},
		{juncture.DecisionQuery{Surface: "home_hero", Look: 1, Before: 1<<juncture.NodeShift | 1}, nil, 0}, {juncture.DecisionQuery{Surface: "home_hero", Look: 3}, []uint64{1}, 0},
		{juncture.DecisionQuery{Surface: "cart_email", Look: 1, Limit: 1}, []uint64{2}, 0}, {juncture.DecisionQuery{Look: 1}, []uint64{2, 1}, 0}, {juncture.DecisionQuery{Shopper: "ada", Look: 1}, []uint64{1}, 0}} {
		if diff := cmp.Diff(c.want, serials(c.q)); diff != "" || looked != c.last {
			t.Errorf("%+v: %s looked at %d, want %d", c.q, diff, looked, c.last)
		}
	}
	commits := 0
	count := func([]juncture.Delta) error { commits++; return nil }
	if whole, err := db.DeltasUpTo(ctx, []juncture.Mark{{Node: 1, Seq: 2}}, count); !whole || err != nil || commits != 2 {
		t.Errorf("%d commits, whole %v, %v; want 2", commits, whole, err)
	}
	if whole, err := db.DeltasUpTo(ctx, []juncture.Mark{{Node: 1, Seq: 3}}, count); whole || err != nil || commits != 2 {
		t.Errorf("%d commits of a log that ends before: whole %v, %v", commits, whole, err)
	}
	if whole, err := db.DeltasUpTo(ctx, nil, count); !whole || err != nil || commits != 2 {
		t.Errorf("no evidence: whole %v, %v", whole, err)
	}
	memo := juncture.Memo{ID: [16]byte{1}, Answer: []byte("a"), Expires: now.Add(time.Hour).UnixMilli()}
	write(3, func(w *juncture.DecisionWrite) { w.Memos = []juncture.Memo{memo} })
	other := juncture.Fit{Version: "v2", Experiment: "hero"}
	if w := write(4, func(w *juncture.DecisionWrite) { w.Memos, w.Fit = []juncture.Memo{memo}, &other }); w.Recalled == nil {
		t.Fatal("the memo is not in the way")
	}
	if got, err := db.Fit(ctx, "v2"); got != nil || err != nil {
		t.Errorf("a decision that was not written keeps its fit: %+v, %v", got, err)
	}
}

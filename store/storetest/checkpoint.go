package storetest

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/internal/testkit"
	"github.com/juncture/juncture/store"
)

// after counts the commits after the checkpoint.
func after(t testing.TB, db *store.DB) int {
	t.Helper()
	n := 0
	check(t, db.Restore(context.Background(), func(uint16, int64, []juncture.Delta) error { n++; return nil }))
	return n
}

// checkpointed are the tallies of the checkpoint alone.
func checkpointed(t testing.TB, db *store.DB, experiment string) map[string]juncture.Tally {
	t.Helper()
	out := map[string]juncture.Tally{}
	check(t, db.Cells(context.Background(), experiment, func(c juncture.Cell) error {
		addRows(out, c.ID(), c.Rows)
		return nil
	}))
	return out
}

func checkpoint(t *testing.T, open func(t *testing.T) *store.DB) {
	ctx := context.Background()
	t.Run("AfterItThereIsNothingToRestore", func(t *testing.T) {
		d := begin(t, open(t))
		c := d.decide()
		d.write(d.outcome(c, "purchase", "o", 1000))
		if n := after(t, d.db); n != 2 {
			t.Errorf("%d commits to restore before it", n)
		}
		n, err := d.Checkpoint(ctx)
		if err != nil || n != 2 { // the intersection, and the delays
			t.Errorf("%d cells, %v", n, err)
		}
		if n := after(t, d.db); n != 0 {
			t.Errorf("%d commits to restore after it", n)
		}
		if _, dirty := d.memory.count(); dirty != 0 {
			t.Errorf("%d cells still differ", dirty)
		}
		cell, err := d.db.Cell(ctx, juncture.CellID{Experiment: "hero", Intersection: c.Intersection})
		if err != nil || len(cell.Rows) != 2 || cell.Mark(1) != 2 {
			t.Errorf("%+v, %v", cell, err)
		}
		none, err := d.db.Cell(ctx, juncture.CellID{Experiment: "hero", Intersection: juncture.Intersection{"no", "_", "_", "_"}})
		if err != nil || len(none.Rows) != 0 {
			t.Errorf("%+v, %v", none, err)
		}
		d.agrees()
		d.decide()
		if n := after(t, d.db); n != 1 {
			t.Errorf("%d commits to restore after one more", n)
		}
		d.agrees()
		if n, err := d.Checkpoint(ctx); err != nil || n != 1 {
			t.Errorf("%d cells, %v", n, err)
		}
		if n, err := d.Checkpoint(ctx); err != nil || n != 0 {
			t.Errorf("nothing changed, and %d cells were written, %v", n, err)
		}
		d.agrees()
	})
	t.Run("CommitsBetweenItsTurnsAreNotLost", func(t *testing.T) {
		d := begin(t, open(t))
		var all []juncture.Claims
		e := &juncture.Entry{}
		for i := range 1200 { // more cells than one turn takes
			c := d.claims(func(c *juncture.Claims) { c.Intersection[1] = fmt.Sprint("c", i) })
			all = append(all, c)
			e.Decisions = append(e.Decisions, write(c))
		}
		d.commit(e)
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for client := range 4 {
			wg.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					c := all[(client*300+i)%len(all)]
					o := d.outcome(c, "purchase", fmt.Sprintf("%d-%d", client, i), 100)
					if err := d.Commit(ctx, &juncture.Entry{Outcomes: []*juncture.OutcomeWrite{o}}); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		for range 5 { // under load each ends, and memory that was called clean is what the store holds
			if _, err := d.Checkpoint(ctx); err != nil {
				t.Error(err)
			}
		}
		close(stop)
		wg.Wait()
		d.agrees()
		if _, err := d.Checkpoint(ctx); err != nil {
			t.Fatal(err)
		}
		if n := after(t, d.db); n != 0 {
			t.Errorf("%d commits to restore", n)
		}
		d.agrees()
		mine := d.memory.tallies()
		for name, want := range checkpointed(t, d.db, "hero") {
			if mine[name] != want {
				t.Errorf("%s: the checkpoint has %+v, memory %+v", name, want, mine[name])
			}
		}
	})
	t.Run("ACrowdedMemoryIsRelieved", func(t *testing.T) {
		d := begin(t, open(t), func(_ *store.WriterOptions, m *memory) { m.most = 50 })
		for i := range 200 {
			d.decide(func(c *juncture.Claims) { c.Intersection[1] = fmt.Sprint("c", i) })
		}
		d.decide() // the turn before has ended
		if _, dirty := d.memory.count(); dirty > 60 {
			t.Errorf("%d cells wait, 50 may", dirty)
		}
		d.agrees()
	})
	t.Run("WhoGoesAwayLeavesItWhole", func(t *testing.T) {
		d := begin(t, open(t))
		d.decide()
		gone, leave := context.WithCancel(ctx)
		leave()
		if _, err := d.Checkpoint(gone); err == nil {
			t.Error("a checkpoint for nobody")
		}
		d.agrees()
		if _, err := d.Checkpoint(ctx); err != nil {
			t.Fatal(err)
		}
		d.agrees()
	})
	t.Run("AnySequenceRestoresToTheFold", func(t *testing.T) {
		rapid.Check(t, func(rt *rapid.T) {
			db := open(t)
			d := begin(t, db)
			var decided []juncture.Claims
			for range rapid.IntRange(1, 25).Draw(rt, "steps") {
				n := rapid.IntRange(0, 9).Draw(rt, "step")
				if len(decided) == 0 {
					n = 0
				}
				var c juncture.Claims
				if len(decided) > 0 {
					c = rapid.SampledFrom(decided).Draw(rt, "decision")
				}
				switch n {
				case 0, 1, 2:
					decided = append(decided, d.decide(func(c *juncture.Claims) {
						c.Intersection[1] = rapid.SampledFrom([]string{"_", "c1", "c2"}).Draw(rt, "meaning")
						c.Group = juncture.Group(rapid.IntRange(0, 4).Draw(rt, "group"))
						c.Arm = juncture.ArmID(rapid.IntRange(0, 2).Draw(rt, "arm"))
						c.Deferred, c.Ignored = rapid.IntRange(0, 3).Draw(rt, "deferred") == 0, rapid.IntRange(0, 7).Draw(rt, "ignored") == 0
					}))
				case 3, 4:
					d.write(d.outcome(c, "purchase", rapid.SampledFrom([]string{"", "a", "b"}).Draw(rt, "id"), rapid.SampledFrom([]int64{0, 100, 5000}).Draw(rt, "minor")),
						d.outcome(c, "click", "", 1))
				case 5:
					d.write(d.refund(c, rapid.SampledFrom([]string{"r", "s"}).Draw(rt, "id"), rapid.SampledFrom([]string{"", "a"}).Draw(rt, "of"), -100, rapid.Bool().Draw(rt, "whole")))
				case 6:
					d.write(d.activation(c, juncture.ArmID(rapid.IntRange(0, 3).Draw(rt, "served"))))
				case 7:
					if _, err := d.Checkpoint(ctx); err != nil {
						rt.Fatal(err)
					}
				case 8:
					check(t, d.Close())
					next := restored(t, db)
					// What is not in the deltas is as the checkpoint has it.
					for id, cell := range d.memory.cells {
						if next.cells[id] == nil {
							stored, err := db.Cell(ctx, id)
							check(t, err)
							next.cells[id] = &stored
							_ = cell
						} else {
							next.dirty[id] = true
						}
					}
					if got, want := next.tallies(), d.memory.tallies(); !reflect.DeepEqual(got, want) {
						rt.Fatalf("restored %v, memory was %v", got, want)
					}
					d.memory = next
					var err error
					d.Writer, err = store.NewWriter(ctx, db, next, store.WriterOptions{Now: d.clock.Now})
					check(t, err)
				case 9:
					d.clock.Advance(13 * 3600 * 1e9)
				}
			}
			d.agrees()
			if t.Failed() {
				rt.FailNow()
			}
		})
	})
}

func export(t *testing.T, open func(t *testing.T) *store.DB) {
	ctx := context.Background()
	t.Run("AnEmptyLedgerIsEmpty", func(t *testing.T) {
		var b bytes.Buffer
		if err := open(t).ExportLedger(ctx, &b); err != nil || b.Len() != 0 {
			t.Errorf("%q, %v", b.String(), err)
		}
		if v, err := open(t).Verify(ctx); err != nil || v.Decisions != 0 || len(v.Differences) != 0 || v.Digest == "" {
			t.Errorf("%+v, %v", v, err)
		}
	})
	t.Run("IDsAreThoseThatWereSignedAlsoAfterARotation", func(t *testing.T) {
		d := begin(t, open(t))
		want := map[string]int64{}
		for key := uint8(1); key <= 3; key++ {
			s, err := d.db.Secrets(ctx, testkit.Random(1), d.clock.Now())
			check(t, err)
			ring, err := juncture.NewKeyring(s.Signing)
			check(t, err)
			for i := range 3 {
				c := d.claims(func(c *juncture.Claims) { c.Deferred, c.Ignored = i == 1, i == 2 })
				w := write(c)
				w.SigningKey = ring.SignerID()
				d.commit(&juncture.Entry{Decisions: []*juncture.DecisionWrite{w}})
				d.write(d.outcome(c, "click", "", 1), d.outcome(c, "purchase", "", 100))
				want[ring.Sign(c)] = []int64{2, 0, 0}[i]
			}
			if _, err := d.db.RotateSigningKey(ctx, testkit.Random(10+key), d.clock.Now(), juncture.AuditNote{}); err != nil {
				t.Fatal(err)
			}
		}
		got := testkit.ReadLedger(t, d.db)
		if !reflect.DeepEqual(got.Decisions, want) {
			t.Errorf("%v, want %v", got.Decisions, want)
		}
		arm := "" // arm 1
		for name, id := range testkit.Arms(t, d.db) {
			if id == 1 {
				arm = name
			}
		}
		if n := got.Arms[arm]; n != [2]int64{3, 6} {
			t.Errorf("arm %s has %v", arm, n)
		}
		d.agrees()
	})
	t.Run("LinesAreTabSeparatedDecisionsThenArms", func(t *testing.T) {
		d := begin(t, open(t))
		d.decide(func(c *juncture.Claims) { c.Arm, c.Group = 0, juncture.GroupHoldout })
		d.decide()
		if _, err := d.Checkpoint(ctx); err != nil {
			t.Fatal(err)
		}
		d.decide()
		var b bytes.Buffer
		check(t, d.db.ExportLedger(ctx, &b))
		lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
		kinds := ""
		for _, l := range lines {
			kinds += l[:1]
		}
		if kinds != "DDDAA" || lines[3] != "A\t-\t1\t0" || !strings.HasSuffix(lines[4], "\t2\t0") {
			t.Errorf("%q", lines)
		}
	})
	t.Run("TheDigestIsOfTheTalliesNotOfTheirStorage", func(t *testing.T) {
		digest := func(checkpoints bool) string {
			d := begin(t, open(t))
			for i := range 5 {
				c := d.decide(func(c *juncture.Claims) { c.Intersection[1] = fmt.Sprint("c", i%2) })
				d.write(d.outcome(c, "purchase", "o", 100))
				if checkpoints {
					if _, err := d.Checkpoint(ctx); err != nil {
						t.Fatal(err)
					}
				}
			}
			return testkit.Verify(t, d.db).Digest
		}
		if one, other := digest(false), digest(true); one != other {
			t.Errorf("%s and %s", one, other)
		}
	})
}

package engine_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/experiments"
	"github.com/juncture/juncture/experiments/report"
	"github.com/juncture/juncture/internal/testkit"
)

// wide is a node whose experiment has more intersections than are read anew for everybody.
type wide struct {
	*testkit.Node
	t    *testing.T
	real *testkit.Clock
	made uint64
}

const wideKeys = 401

func openWide(t *testing.T) *wide {
	t.Helper()
	w := &wide{t: t, real: testkit.NewClock()}
	w.Node = testkit.Start(t, testkit.Declaration(), testkit.NodeOptions{Real: w.real.Now})
	w.decide(wideKeys)
	return w
}

// decide writes decisions, at an intersection after the other.
func (w *wide) decide(n int) {
	w.t.Helper()
	e := &juncture.Entry{}
	for range n {
		w.made++
		c := juncture.Claims{Serial: w.made | 7<<juncture.NodeShift, At: w.Clock.Now(), Until: w.Clock.Now().Add(time.Hour), Experiment: "hero", Arm: juncture.ArmID(1 + w.made%4), Group: juncture.GroupPolicy, Probability: 0.25,
			Intersection: juncture.Intersection{fmt.Sprintf("loyal.s%d._", w.made%7), fmt.Sprintf("c%d", w.made%wideKeys), "_", "_"}}
		e.Decisions = append(e.Decisions, &juncture.DecisionWrite{SigningKey: 1, Decision: juncture.Decision{Claims: c, Surface: "home_hero", Shopper: fmt.Sprint("s", w.made), Reason: juncture.ReasonSplit,
			Ranking: []juncture.Ranked{{Arm: c.Arm, Probability: 0.25}}}})
	}
	if err := w.Writer.Commit(context.Background(), e); err != nil {
		w.t.Fatal(err)
	}
}

func (w *wide) pass(d time.Duration) {
	w.real.Advance(d)
	w.Clock.Advance(d)
}

// trials is how many decisions a page would say there are, by each of what is read, and from when.
func (w *wide) trials() (evidence, reported int64, at [3]time.Time) {
	w.t.Helper()
	ctx, now := context.Background(), w.Clock.Now()
	ev, err := w.Engine.Evidence(ctx, "hero", now)
	if err != nil {
		w.t.Fatal(err)
	}
	grid, err := experiments.BuildGrid(ev, experiments.GridQuery{})
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := w.Engine.Report(ctx, "hero", now, report.Query{})
	if err != nil {
		w.t.Fatal(err)
	}
	h, err := w.Engine.Health(ctx, "hero", now)
	if err != nil {
		w.t.Fatal(err)
	}
	return grid.Trials, r.Groups[0].Trials, [3]time.Time{ev.AsOf, r.AsOf, h.AsOf}
}

func (w *wide) want(what string, n int64, at time.Time) {
	w.t.Helper()
	evidence, reported, as := w.trials()
	if diff := cmp.Diff([]any{n, n, [3]time.Time{at, at, at}}, []any{evidence, reported, as}); diff != "" {
		w.t.Errorf("%s: %s", what, diff)
	}
}

func TestWhatWasReadIsShownForAWhile(t *testing.T) {
	w := openWide(t)
	first := w.Clock.Now()
	w.want("at first", wideKeys, first)
	w.pass(4 * time.Second)
	w.decide(1)
	w.want("within 5 s", wideKeys, first)
	w.pass(time.Second)
	w.want("after 5 s, when nobody reads anew", wideKeys+1, w.Clock.Now())

	ctx, stop := context.WithCancel(context.Background())
	var job sync.WaitGroup
	job.Go(func() {
		w.Engine.Reread(ctx, w.Clock.Now, func(err error) { t.Error(err) })
	})
	defer job.Wait()
	defer stop()
	second := w.Clock.Now()
	w.decide(1)
	w.pass(29 * time.Second)
	for began := time.Now(); ; {
		evidence, reported, at := w.trials()
		if evidence == wideKeys+2 && reported == wideKeys+2 && at[2].After(second) {
			break
		}
		// Until it is read anew, what was read is shown as it was then.
		if evidence == wideKeys+1 && !at[0].Equal(second) || reported == wideKeys+1 && !at[1].Equal(second) || time.Since(began) > time.Minute {
			t.Fatalf("%d and %d decisions as of %v", evidence, reported, at)
		}
	}
	w.pass(30 * time.Second)
	w.decide(1)
	w.want("after 30 s", wideKeys+3, w.Clock.Now())
}

// What was read before a change of the configuration, such as a stop or a reset, is not shown after it.
func TestNothingOfBeforeAChangeIsShown(t *testing.T) {
	w := openWide(t)
	w.trials()
	w.decide(1)
	w.pass(time.Second)
	for i, status := range []string{juncture.StatusStopped, juncture.StatusRunning} {
		testkit.Apply(t, w.DB, testkit.Declaration(testkit.Hero(func(x *juncture.Experiment) { x.Status = status })))
		w.decide(1)
		w.want(status, int64(wideKeys+2+i), w.Clock.Now())
		ev, err := w.Engine.Evidence(context.Background(), "hero", w.Clock.Now())
		if err != nil || ev.Experiment.Status != status {
			t.Errorf("%s, want %s; %v", ev.Experiment.Status, status, err)
		}
		w.pass(time.Second)
	}
}

// What is shown again is what a full reading showed at that time; and many who ask at once have it read once.
func TestManyShareOneReading(t *testing.T) {
	w := openWide(t)
	w.trials()
	w.decide(60)
	w.pass(10 * time.Second)
	before := w.Engine.Stats().Fits.Load()
	var all sync.WaitGroup
	grids := make([]experiments.Grid, 10)
	for i := range grids {
		all.Go(func() {
			ev, err := w.Engine.Evidence(context.Background(), "hero", w.Clock.Now())
			if err == nil {
				grids[i], err = experiments.BuildGrid(ev, experiments.GridQuery{Rows: "status", Cols: "meaning", Most: 40})
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := w.Engine.Stats().Fits.Load() - before; n != 1 {
		t.Errorf("%d fits for ten who look at once", n)
	}
	w.Stop()
	at := w.Clock.Now()
	w.Restart()
	full, err := w.Engine.Evidence(context.Background(), "hero", at)
	if err != nil {
		t.Fatal(err)
	}
	full.Made = nil
	want, err := experiments.BuildGrid(full, experiments.GridQuery{Rows: "status", Cols: "meaning", Most: 40})
	if err != nil {
		t.Fatal(err)
	}
	for i := range grids {
		if diff := cmp.Diff(want, grids[i]); diff != "" {
			t.Errorf("the grid of reader %d is not that of a full reading: %s", i, diff)
		}
	}
	if n := len(want.Rows.Values) * len(want.Cols.Values); n > 40 || want.Cols.LeftOut == 0 || len(want.Notes) == 0 {
		t.Errorf("%d cells of at most 40, %d columns left out, notes %q", n, want.Cols.LeftOut, want.Notes)
	}
}

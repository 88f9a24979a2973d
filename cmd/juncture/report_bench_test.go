package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/experiments/report"
	"github.com/juncture/juncture/internal/testkit"
	"github.com/juncture/juncture/store"
)

// BenchmarkReport reads the report of a store with JUNCTURE_DECISIONS decisions (10,000,000) of a fifth as many shoppers, at
// 2,000 intersections, 3% of which order; all horizons have closed. It says how long closing took, how long the report takes
// from the rollup, and how much memory, and needs JUNCTURE_EVALUATE=1.
func BenchmarkReport(b *testing.B) {
	if os.Getenv("JUNCTURE_EVALUATE") == "" {
		b.Skip("set JUNCTURE_EVALUATE=1: it writes some gigabytes")
	}
	total := 10_000_000
	if n, err := strconv.Atoi(os.Getenv("JUNCTURE_DECISIONS")); err == nil {
		total = n
	}
	ctx := context.Background()
	a := &app{settings: defaults(), out: os.Stdout, err: os.Stderr, now: time.Now}
	a.DB = filepath.Join(b.TempDir(), "report.db")
	n, err := a.startNode(ctx, store.Options{Unsafe: true}, slog.New(slog.DiscardHandler), a.now)
	if err != nil {
		b.Fatal(err)
	}
	defer n.close() //nolint:errcheck // of a database that goes away
	testkit.Apply(b, n.db, testkit.Declaration(testkit.Shares(0.85, 0.05, 0.05, 0.05)))
	purchase := testkit.Declaration().Outcomes[1]
	start := time.Now().UTC().AddDate(0, 0, -30).Truncate(time.Millisecond)
	groups := []juncture.Group{juncture.GroupRandom, juncture.GroupBAU, juncture.GroupHoldout}
	shoppers := total / 5
	ends := time.Now().Add(24 * time.Hour) // the node closes none of them by itself
	began := time.Now()
	for i := 0; i < total; {
		e := &juncture.Entry{}
		for range min(1000, total-i) {
			who := i % shoppers
			g := juncture.GroupPolicy
			if who%20 < 3 {
				g = groups[who%20]
			}
			at := start.Add(time.Duration(i) * 20 * 24 * time.Hour / time.Duration(total)).Truncate(time.Millisecond)
			x := juncture.Intersection{fmt.Sprintf("m%d", who%20), fmt.Sprintf("c%d", who/20%100), "_", "_"}
			c := juncture.Claims{Serial: uint64(i+1) | 1<<juncture.NodeShift, At: at, Until: at.Add(24 * time.Hour), Experiment: "hero", Intersection: x, Arm: juncture.ArmID(1 + i%4), Group: g, Probability: 0.25}
			if g == juncture.GroupHoldout {
				c.Arm = 0
			}
			d := juncture.Decision{Claims: c, Surface: "home_hero", Shopper: "s" + strconv.Itoa(who), Reason: juncture.ReasonSplit, Share: 0.85, Ranking: []juncture.Ranked{{Arm: 1, Probability: 0.25}, {Arm: 2, Probability: 0.75}}}
			w := &juncture.DecisionWrite{Decision: d, SigningKey: 1}
			if i < shoppers {
				w.Enrol = []juncture.Enrolment{{Serial: c.Serial, Experiment: "hero", Shopper: d.Shopper, Group: g, Share: 0.85, At: at, Until: ends, Intersection: x}}
			}
			e.Decisions = append(e.Decisions, w)
			if i*7%100 < 3 {
				e.Outcomes = append(e.Outcomes, &juncture.OutcomeWrite{Claims: c, Type: purchase, Currency: "GBP", Mine: []uint64{c.Serial},
					Outcome: juncture.Outcome{Serial: c.Serial, Event: "purchase", ID: strconv.Itoa(i), Value: 20, Minor: 2000, Currency: "GBP", At: at, Received: at}})
			}
			i++
		}
		if err := n.writer.Commit(ctx, e); err != nil {
			b.Fatal(err)
		}
	}
	written := time.Since(began)
	began = time.Now()
	closed, err := n.db.CloseUnits(ctx, ends.Add(time.Second))
	if err != nil {
		b.Fatal(err)
	}
	closing := time.Since(began)
	file, err := os.Stat(a.DB)
	if err != nil {
		b.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var r report.Report
	for b.Loop() {
		if r, err = n.engine.Report(ctx, "hero", time.Now(), report.Query{}); err != nil {
			b.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	fmt.Printf("%d decisions of %d shoppers at 2,000 intersections, %d MB; written in %.0f s, %d units closed in %.0f s (%.0f µs each); a report takes %.2f s and allocates %d MB; live heap %d MB\n",
		total, shoppers, file.Size()>>20, written.Seconds(), closed, closing.Seconds(), closing.Seconds()*1e6/float64(max(closed, 1)),
		b.Elapsed().Seconds()/float64(b.N), (after.TotalAlloc-before.TotalAlloc)>>20/uint64(max(b.N, 1)), before.HeapAlloc>>20)
	if len(r.Groups) != 4 || r.Groups[0].Closed == 0 {
		b.Errorf("%+v", r.Groups)
	}
}

package engine_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/engine"
	"github.com/juncture/juncture/pool"
	"github.com/juncture/juncture/store"
)

// noLedger acknowledges at once and keeps nothing: what is left is the choice.
type noLedger struct{}

func (noLedger) Commit(context.Context, *juncture.Entry) error { return nil }

// BenchmarkChoose is one /choose without HTTP, JSON and the disk: 24 arms (8 actions × 3 copies), 512 intersections in
// turn, every probability vector cached. The configuration's version is read from SQLite on each call, as in a server.
func BenchmarkChoose(b *testing.B) { benchmarkChoose(b, func(*juncture.Declaration) {}) }

// BenchmarkChooseCapped is BenchmarkChoose with every action capped per shopper and per day, and pressure, none reached.
func BenchmarkChooseCapped(b *testing.B) {
	benchmarkChoose(b, func(d *juncture.Declaration) {
		for i := range d.Actions {
			d.Actions[i].Cap = &juncture.Cap{PerShopper: &juncture.Frequency{N: 100, Per: juncture.PerHour}, PerDay: 1e12, Spend: &juncture.Spend{Most: 1e12, Cost: 1, Per: juncture.SpendServe}}
		}
		d.Pressure = &juncture.Pressure{PerShopper: juncture.Frequency{N: 100, Per: juncture.PerHour}}
	})
}

// BenchmarkChooseFiltered is the same where the rule of half of the actions does not hold.
func BenchmarkChooseFiltered(b *testing.B) {
	benchmarkChoose(b, func(d *juncture.Declaration) {
		for i := 1; i < len(d.Actions); i += 2 {
			d.Actions[i].Rule = `lifecycle == "nobody"`
		}
	})
}

func benchmarkChoose(b *testing.B, more func(*juncture.Declaration)) {
	ctx := context.Background()
	db, err := store.Open(ctx, filepath.Join(b.TempDir(), "bench.db"), store.Options{Unsafe: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	})
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	d := &juncture.Declaration{Store: juncture.StoreInfo{Name: "Bench", Currency: "GBP"}, Layers: map[string]juncture.LayerSetting{},
		Outcomes: []juncture.OutcomeType{{Name: "click", Type: juncture.OutcomeBinary}},
		Surfaces: []juncture.Surface{{ID: "home", Channel: "onsite", Default: "a0"}},
		Experiments: []juncture.Experiment{{ID: "bench", Surface: "home", Status: juncture.StatusRunning,
			Goal: juncture.Goal{Outcome: "click", Window: juncture.Duration(24 * time.Hour)}, Groups: juncture.GroupShares{Policy: 1}}}}
	for _, l := range juncture.Layers() {
		d.Layers[l.String()] = juncture.LayerSetting{Source: juncture.SourceRequest}
	}
	for i := range 8 {
		a := juncture.Action{ID: fmt.Sprintf("a%d", i), Surfaces: []string{"home"}, Type: "content"}
		for _, id := range []string{"x", "y", "z"} {
			a.Copy = append(a.Copy, juncture.Copy{ID: id, Headline: strings.ToUpper(id)})
		}
		d.Actions = append(d.Actions, a)
	}
	more(d)
	change, err := pool.Plan(&juncture.Catalog{}, d, true, "bench", "bench", now)
	if err == nil {
		err = db.Change(ctx, change)
	}
	if err != nil {
		b.Fatal(err)
	}
	tallies, err := engine.NewTallies(ctx, db, 200_000)
	if err != nil {
		b.Fatal(err)
	}
	ring, err := juncture.NewKeyring([]juncture.SigningKey{{ID: 1, Secret: make([]byte, 32)}})
	if err != nil {
		b.Fatal(err)
	}
	e, err := engine.New(ctx, engine.Deps{Ledger: noLedger{}, Config: db, Shoppers: db, Enrolments: db, Tallies: tallies,
		Secrets: func(context.Context) (engine.Secrets, error) {
			return engine.Secrets{PickSalt: make([]byte, 32), GroupSalt: make([]byte, 32), Keyring: ring}, nil
		}})
	if err != nil {
		b.Fatal(err)
	}
	requests := make([]*juncture.ChooseRequest, 512)
	for i := range requests {
		requests[i] = &juncture.ChooseRequest{Surface: "home", ShopperID: fmt.Sprintf("shopper-%d", i), Layers: &juncture.LayerValues{
			Moment: fmt.Sprintf("loyal.browsing.m%d", i%8), Meaning: fmt.Sprintf("c%d", i/8%8), Trajectory: fmt.Sprintf("high.t%d", i/64%4), Catalogue: fmt.Sprintf("k%d", i/256)}}
		if _, err := e.Choose(ctx, now, engine.Caller{}, requests[i]); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		now = now.Add(time.Second) // a shopper comes again every 512 seconds: 7 touches in the hour
		if _, err := e.Choose(ctx, now, engine.Caller{}, requests[i%len(requests)]); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

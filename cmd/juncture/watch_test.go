package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	core "github.com/juncture/juncture"
	"github.com/juncture/juncture/engine"
	"github.com/juncture/juncture/internal/testkit"
	"github.com/juncture/juncture/store"
)

// What runs has its health as a metric, what a filter spoilt is 2, and the command says the same beside the server.
func TestHealthAsAMetricAndACommand(t *testing.T) {
	clock := testkit.NewClock()
	a := &app{settings: defaults(), out: io.Discard, err: io.Discard, now: clock.Now}
	a.DB = filepath.Join(t.TempDir(), "j.db")
	n, err := a.startNode(t.Context(), store.Options{Unsafe: true}, slog.New(slog.DiscardHandler), clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	testkit.Apply(t, n.db, testkit.Declaration(testkit.Shares(0.5, 0.5, 0, 0), func(d *core.Declaration) {
		d.Holdouts = []core.Holdout{{ID: "all", Share: 0.1}}
	}))
	taken := 0
	for i := range 1500 {
		r := &core.ChooseRequest{Surface: "home_hero", ShopperID: fmt.Sprint("s", i)}
		answer, err := n.engine.Choose(t.Context(), clock.Now(), engine.Caller{}, r)
		if err != nil {
			t.Fatal(err)
		}
		if answer.Group == core.GroupRandom && taken < 250 {
			taken++
			if _, err := n.engine.Exclude(t.Context(), clock.Now(), engine.Who{Actor: "key:ops", From: "api"}, r.ShopperID, core.ExcludedBot, "a test"); err != nil {
				t.Fatal(err)
			}
		}
	}
	clock.Advance(2 * time.Hour)
	for read := 1; read > 0; {
		if read, err = n.engine.Watch(t.Context(), clock.Now()); err != nil {
			t.Fatal(err)
		}
	}
	n.judge(t.Context(), clock.Now())
	registry := prometheus.NewRegistry()
	n.collect(registry)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if f.GetName() == "juncture_experiment_health" {
			for _, m := range f.GetMetric() {
				got[m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
			}
		}
	}
	if len(got) != 2 || got["hero"] != 2 || got["all"] != 2 { // who is held out above it had nobody taken out either
		t.Errorf("%v", got)
	}
	if err := n.close(); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := run(t.Context(), []string{"report", "--db", a.DB, "--health", "--at", clock.Now().Format(time.RFC3339), "hero"}, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"experiment hero, as of", "health of experiment hero", ": mismatch", "Taken out as bots or staff: 250 shoppers with 250 trials.", "exclusions", "draws"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

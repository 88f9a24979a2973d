package main

import (
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	core "github.com/juncture/juncture"
	"github.com/juncture/juncture/demo"
	"github.com/juncture/juncture/experiments"
	"github.com/juncture/juncture/intake"
	"github.com/juncture/juncture/store"
)

// truth is the mean true rate of each action in plain copy over the shoppers who stand in a cell of the grid.
func truth(w *demo.World, lifecycle, status string) map[string]float64 {
	rates, total := map[string]float64{}, 0.0
	at, share := w.Intersections()
	for i, x := range at {
		if x.Axis(core.Moment, 0) != lifecycle || x.Axis(core.Moment, 1) != status {
			continue
		}
		total += share[i]
		for _, a := range demo.Actions() {
			rates[a] += share[i] * demo.Rate(x, core.Arm{Action: a, Copy: "plain"})
		}
	}
	for a := range rates {
		rates[a] /= total
	}
	return rates
}

func bestOf(rates map[string]float64) string {
	return slices.MaxFunc(slices.Sorted(maps.Keys(rates)), func(a, b string) int {
		if rates[a] < rates[b] {
			return -1
		}
		return 1
	})
}

// TestDemoLearnsTheTruth: after the burst the grid's winners are those that the shoppers' true rates name.
func TestDemoLearnsTheTruth(t *testing.T) {
	const visits = 60_000
	a := &app{settings: defaults(), out: io.Discard, err: io.Discard}
	a.DB, a.Seed = filepath.Join(t.TempDir(), "demo.db"), 11
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	var clock movedClock
	clock.Set(now)
	a.now = clock.Now
	n, err := a.startNode(t.Context(), store.Options{Unsafe: true}, slog.New(slog.DiscardHandler), a.now)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := n.close(); err != nil {
			t.Error(err)
		}
	}()
	d, err := intake.ParseStoreFile("store.yaml", demo.StoreFile())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := applyTo(t.Context(), n.db, d, true, "test", now); err != nil {
		t.Fatal(err)
	}
	w := demo.NewWorld(1, 20_000)
	c := demo.NewCrowd(w, inProcess{n.engine}, 0)
	for c.Visits() < visits {
		if err := c.Step(t.Context(), now, 200); err != nil {
			t.Fatal(err)
		}
		now = now.Add(500 * time.Millisecond)
		clock.Set(now)
	}
	ev, err := n.engine.Evidence(t.Context(), demo.Experiment, now)
	if err != nil {
		t.Fatal(err)
	}
	grid, err := experiments.BuildGrid(ev, experiments.GridQuery{})
	if err != nil {
		t.Fatal(err)
	}
	judge(t, w, grid)
}

func judge(t *testing.T, w *demo.World, grid experiments.Grid) {
	t.Helper()
	busy, right, claimed := 0, 0, 0
	for _, row := range grid.Cells {
		for _, cell := range row {
			if cell.Trials < 400 || cell.Winner == nil {
				continue
			}
			busy++
			rates := truth(w, cell.Row, cell.Col)
			best := bestOf(rates)
			if cell.Winner.Action == best {
				right++
			}
			loss := 1 - rates[cell.Winner.Action]/rates[best]
			t.Logf("%s %s: %d decisions, %s %s, P(best) %.3f; truly %s, %.0f%% lost", cell.Row, cell.Col, cell.Trials,
				cell.Winner.Action, cell.State, cell.Winner.PBest, best, 100*loss)
			if cell.State == experiments.StateWinner {
				claimed++
				if loss > 0.2 {
					t.Errorf("%s %s: claimed winner %s is %.0f%% below %s", cell.Row, cell.Col, cell.Winner.Action, 100*loss, best)
				}
			}
		}
	}
	t.Logf("%d busy cells, %d lead by the truly best, %d claimed", busy, right, claimed)
	if busy < 12 || 4*right < 3*busy || claimed < 6 { // of 20 cells 20 were right and 14 claimed when this was written
		t.Errorf("of %d busy cells %d are right and %d are claimed", busy, right, claimed)
	}
}

// TestDemoCommand starts the command, does what it tells people to do, and ends it.
func TestDemoCommand(t *testing.T) {
	db := filepath.Join(t.TempDir(), "demo.db")
	args := []string{"demo", "--addr", "127.0.0.1:0", "--db", db, "--burst", "12000", "--rate", "200", "--log", "error"}
	out, done := background(t, args...)
	out.wait(t, `10,000 of 12,000 (simulated decisions…)`, done)
	out.wait(t, `12,000 simulated decisions in (\S+) s; from now on 200 a second`, done)
	printed := out.String()
	curl := regexp.MustCompile(`curl -s (\S+) -H 'Authorization: (Bearer \S+)' -d '(.+)'`)
	calls := curl.FindAllStringSubmatch(printed, -1)
	if len(calls) != 2 {
		t.Fatalf("no two curls in:\n%s", printed)
	}
	var answers []map[string]any
	for _, c := range calls {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c[1], strings.NewReader(c[3]))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", c[2])
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded") // curl's
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		var v map[string]any
		if err != nil || json.Unmarshal(b, &v) != nil || resp.StatusCode != 200 {
			t.Fatalf("%s: %d %s %v", c[1], resp.StatusCode, b, err)
		}
		answers = append(answers, v)
	}
	if answers[0]["actionId"] == nil || answers[0]["group"] != "policy" || answers[1]["status"] != "recorded" || answers[1]["learned"] != true {
		t.Errorf("answers %v", answers)
	}
	// A second demo leaves the running one's database alone, because it cannot listen.
	addr := regexp.MustCompile(`http://(\S+)/console`).FindStringSubmatch(printed)[1]
	if err := run(t.Context(), []string{"demo", "--addr", addr, "--db", db}, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "--addr") {
		t.Errorf("a second demo: %v", err)
	}
}

func TestDemoSparesRealStores(t *testing.T) {
	db := filepath.Join(t.TempDir(), "real.db")
	command(t, "migrate", "--db", db)
	for _, more := range [][]string{nil, {"--keep"}} {
		err := run(t.Context(), append([]string{"demo", "--addr", "127.0.0.1:0", "--db", db}, more...), io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), "holds no demo") {
			t.Errorf("demo %v on a real store: %v", more, err)
		}
	}
	if out := command(t, "verify", "--db", db); !strings.Contains(out, "0 decisions") {
		t.Errorf("the store was changed: %s", out)
	}
}

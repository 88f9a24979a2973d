package main

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	core "github.com/juncture/juncture"
	"github.com/juncture/juncture/evaluate"
	"github.com/juncture/juncture/intake"
	"github.com/juncture/juncture/simulate"
	"github.com/juncture/juncture/store"
)

// simulated plays a small made-up store through the real engine into a database, and returns the database's path, the
// store's file and the store. A fifth of the shoppers is served at random.
func simulated(t *testing.T, set simulate.Settings, calls int) (db, yaml string, s *simulate.Store) {
	t.Helper()
	dir := t.TempDir()
	s = simulate.New(set)
	d := s.Declaration(core.PolicyPooled)
	d.Experiments[0].Groups = core.GroupShares{Policy: 0.8, Random: 0.2}
	a := &app{settings: defaults(), out: io.Discard, err: io.Discard}
	a.DB, a.Seed, a.TestClock = filepath.Join(dir, "simulated.db"), set.Seed, true
	shop := &simulatedShop{store: s}
	shop.now.Set(s.Start())
	a.now = shop.now.Now
	n, err := a.startNode(t.Context(), store.Options{Unsafe: true}, slog.New(slog.DiscardHandler), a.now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = applyTo(t.Context(), n.db, d, true, "test", s.Start()); err != nil {
		t.Fatal(err)
	}
	shop.target = inProcess{n.engine}
	if _, err = s.Play(t.Context(), shop, simulate.Options{Seed: set.Seed, Calls: calls}); err != nil {
		t.Fatal(err)
	}
	if err := n.close(); err != nil {
		t.Fatal(err)
	}
	b, err := intake.FormatStoreFile(d)
	if err != nil {
		t.Fatal(err)
	}
	yaml = filepath.Join(dir, "store.yaml")
	if err := os.WriteFile(yaml, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return a.DB, yaml, s
}

func smallStore(seed uint64) simulate.Settings {
	return simulate.Settings{Seed: seed, Axes: [core.LayerCount][]int{{2, 2}, {3}, {2}, {2}}, Actions: 4, Copies: 2, Rate: 0.08, Personal: 2, Returning: 0.3}
}

// On a store whose truth is known, played through the real engine, the true value of every policy asked about lies within
// the interval that the command prints, and the exported files say what the database says.
func TestEvaluateFindsTheTruth(t *testing.T) {
	db, yaml, s := simulated(t, smallStore(11), 6100)
	// Outcomes are told between batches of 100: those of the last one, after 6,000 calls at 5,000 a day, never are.
	end := s.Start().Add(6000 * 24 * time.Hour / 5000)
	asked := []string{"evaluate", "--db", db, "--to", end.Format(time.RFC3339Nano), "--only", "action-a,action-b", "--ceiling", "moment", "--format", "json"}
	var got evaluate.Report
	if err := json.Unmarshal([]byte(command(t, asked...)), &got); err != nil {
		t.Fatal(err)
	}
	if got.Scored != 6000 || got.Read != 6000 {
		t.Fatalf("%d of %d scored, %+v", got.Scored, got.Read, got.Left)
	}

	// The truth: what each policy's own probabilities are worth at each decision.
	at := map[core.Intersection]int{}
	for i, x := range s.Keys {
		at[x] = i
	}
	var sum, n [5]float64
	d, err := store.Open(t.Context(), db, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	catalog, err := d.Catalog(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	names, index := armNames(catalog), map[string]int{}
	for i, a := range s.Arms {
		index[a.Action+"/"+a.Copy] = i
	}
	w, err := evaluate.New(evaluate.Settings{Experiment: catalog.Declaration.Experiments[0], Outcomes: catalog.Declaration.Outcomes, Currency: "EUR",
		Arm: func(id core.ArmID) (core.Arm, bool) { a, ok := names[id]; return a, ok }, AsOf: got.AsOf,
		Scored: func(d *core.Settled, target int, p []float64) {
			worth := s.Expected(at[d.Intersection], 0)
			for i, r := range d.Ranking {
				arm := names[r.Arm]
				sum[target] += p[i] * worth[index[arm.Action+"/"+arm.Copy]]
			}
			n[target]++
		}}, []evaluate.Target{evaluate.Logged(), evaluate.Uniform(), evaluate.BestArm(), evaluate.Only("action-a", "action-b"), evaluate.Ceiling(core.TierMoment)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.EachSettled(t.Context(), simulate.Experiment, time.Time{}, end, func(d core.Settled) error { return w.Add(&d) }); err != nil {
		t.Fatal(err)
	}
	if len(got.Policies) != len(sum) {
		t.Fatalf("%d policies", len(got.Policies))
	}
	for i, p := range got.Policies {
		truth, e := sum[i]/n[i], p.Estimate
		t.Logf("%-28s true %.4f, estimated %.4f (%.4f to %.4f; at any time %.4f to %.4f), effective %.0f", p.Policy, truth, e.DR.Value, e.DR.Low, e.DR.High, e.Anytime.Low, e.Anytime.High, e.Effective)
		if e.Refused != "" || truth < e.Anytime.Low || truth > e.Anytime.High {
			t.Errorf("%s: true %g, not within %+v %s", p.Policy, truth, e.Anytime, e.Refused)
		}
	}

	// The same from the export.
	dir := filepath.Dir(db)
	for _, part := range []string{"decisions", "outcomes"} {
		out := command(t, "export", part, "--db", db, "--experiment", simulate.Experiment)
		if err := os.WriteFile(filepath.Join(dir, part), []byte(out), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var files evaluate.Report
	fromFile := command(t, "evaluate", "--file", filepath.Join(dir, "decisions"), "--outcomes", filepath.Join(dir, "outcomes"), "--declared", yaml, "--to", end.Format(time.RFC3339Nano),
		"--only", "action-a,action-b", "--ceiling", "moment", "--format", "json", "--as-of", got.AsOf.Format(time.RFC3339Nano))
	if err := json.Unmarshal([]byte(fromFile), &files); err != nil {
		t.Fatal(err)
	}
	for i, p := range got.Policies {
		f := files.Policies[i]
		if f.Policy != p.Policy || f.Estimate.Rows != p.Estimate.Rows || math.Abs(f.Estimate.DR.Value-p.Estimate.DR.Value) > 1e-9 || math.Abs(f.Estimate.DR.SE-p.Estimate.DR.SE) > 1e-9 {
			t.Errorf("from the files %s is %+v, from the database %+v", p.Policy, f.Estimate.DR, p.Estimate.DR)
		}
	}

	// Tables for people: what was asked, and whether it is worth it.
	if text := command(t, "evaluate", "--db", db, "--only", "action-a,action-b", "--from", "2026-01-06"); !strings.Contains(text, "only action-a, action-b less the policy as it ran") ||
		!strings.Contains(text, "outside the dates asked for") {
		t.Error(text)
	}
	worth := command(t, "evaluate", "--db", db, "--worth")
	t.Logf("\n%s", worth)
	for _, want := range []string{"the best single arm (now action-", "The layer moment ", "The layer meaning ", "The layer trajectory ", "The layer catalogue ", "all four layers less up to trajectory"} {
		if !strings.Contains(worth, want) {
			t.Errorf("the worth does not say %q", want)
		}
	}
	for _, bad := range [][]string{{"--only", "action-z"}, {"--ceiling", "attic"}, {"--experiment", "none"}, {"--from", "May"}, {"--from", "2026-02-01", "--to", "2026-01-01"}, {"--format", "xml"}, {"--outcomes", "x"}, {"--file", "x"}} {
		if err := run(t.Context(), append([]string{"evaluate", "--db", db}, bad...), io.Discard, io.Discard); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
}

func TestExports(t *testing.T) {
	db, _, _ := simulated(t, smallStore(2), 500)
	lines := func(out string) []string { return strings.Split(strings.TrimSuffix(out, "\n"), "\n") }
	decisions := lines(command(t, "export", "decisions", "--db", db))
	if len(decisions) != 500 {
		t.Fatalf("%d decisions", len(decisions))
	}
	active, random := 0, 0
	for _, l := range decisions {
		var d intake.DecisionRow
		if err := json.Unmarshal([]byte(l), &d); err != nil {
			t.Fatal(err)
		}
		sum, shown := 0.0, 0.0
		for _, r := range d.Ranking {
			if sum += r.Probability; r.Arm == d.Arm {
				shown = r.Probability
			}
			if (r.Policy != nil) != (d.Group == core.GroupRandom) {
				t.Fatalf("group %s: %+v", d.Group, r)
			}
		}
		if math.Abs(sum-1) > 1e-9 || shown != d.Probability || d.Intersection != "v1/"+strings.Join([]string{d.Moment, d.Meaning, d.Trajectory, d.Catalogue}, "/") || d.DecisionID == "" {
			t.Fatalf("%+v", d)
		}
		if d.Active {
			active++
		}
		if d.Group == core.GroupRandom {
			random++
		}
	}
	if active != 500 || random < 50 {
		t.Errorf("%d active, %d random", active, random)
	}
	table, err := csv.NewReader(strings.NewReader(command(t, "export", "decisions", "--db", db, "--format", "csv"))).ReadAll()
	if err != nil || len(table) != 501 || table[0][0] != "decisionId" {
		t.Fatalf("%d lines: %v", len(table), err)
	}
	var first intake.DecisionRow
	if err := json.Unmarshal([]byte(decisions[0]), &first); err != nil {
		t.Fatal(err)
	}
	if table[1][0] != first.DecisionID || table[1][13] != first.Arm || table[1][18] != "true" {
		t.Errorf("%q", table[1])
	}
	if half := lines(command(t, "export", "decisions", "--db", db, "--to", first.Time.Add(time.Hour).Format(time.RFC3339))); len(half) != 300 {
		t.Errorf("%d decisions in the first hour: at 5,000 a day calls 0 to 208, and a batch of 100 is dated at its first", len(half))
	}
	var known []string
	for _, l := range lines(command(t, "export", "outcomes", "--db", db, "--experiment", simulate.Experiment)) {
		var o intake.OutcomeRow
		if err := json.Unmarshal([]byte(l), &o); err != nil || o.Event != "success" || o.Status != core.StatusRecorded || o.Adjusts != nil {
			t.Fatalf("%s: %v", l, err)
		}
		known = append(known, o.DecisionID)
	}
	if len(known) < 10 {
		t.Errorf("%d outcomes", len(known))
	}
	if out := command(t, "export", "events", "--db", db, "--format", "csv"); out != "at,received,name,shopper,raw\n" {
		t.Errorf("events: %q", out)
	}
	for _, bad := range [][]string{{"events", "--experiment", "x"}, {"decisions", "--format", "xml"}, {"outcomes", "--from", "yesterday"}} {
		if err := run(t.Context(), append([]string{"export", "--db", db}, bad...), io.Discard, io.Discard); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
	for v, want := range map[any]string{"=1+1": "'=1+1", "-": "'-", "plain": "plain", -12.5: "-12.5", true: "true", core.GroupRandom: "random"} {
		if got, err := cell(v); err != nil || got != want {
			t.Errorf("%v: %q, %v", v, got, err)
		}
	}
}

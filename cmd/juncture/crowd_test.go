package main

import (
	"bufio"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	core "github.com/juncture/juncture"
	"github.com/juncture/juncture/simulate"
	"github.com/juncture/juncture/store"
)

const crowdStore = `store: {name: Crowd, currency: EUR}
layers:
  moment: {source: derived}
  meaning: {source: derived}
  trajectory: {source: derived}
  catalogue: {source: derived}
outcomes: [{name: click, type: binary}]
surfaces: [{id: home, channel: onsite, default: hello}]
actions: [{id: hello, surfaces: [home], type: content, copy: [{id: plain, headline: Hello}]}]
experiments: [{id: e, surface: home, goal: {outcome: click, window: 24h}, groups: {policy: 1}, status: running}]
`

// The whole way of a shop's events, on made-up shoppers whose truth is known: what is imported gives every shopper the
// lifecycle that their orders say, and learning clusters from it finds the tastes that they have.
func TestLayersFindOutWhatIsTrueOfACrowd(t *testing.T) {
	dir := t.TempDir()
	db, yaml := filepath.Join(dir, "crowd.db"), filepath.Join(dir, "store.yaml")
	if err := os.WriteFile(yaml, []byte(crowdStore), 0o600); err != nil {
		t.Fatal(err)
	}
	emit := func(part string) string {
		out := command(t, "simulate", "--emit", part, "--shoppers", "300", "--days", "45", "--seed", "4")
		if again := command(t, "simulate", "--emit", part, "--shoppers", "300", "--days", "45", "--seed", "4"); again != out {
			t.Errorf("%s differ with the same seed", part)
		}
		file := filepath.Join(dir, part+".ndjson")
		if err := os.WriteFile(file, []byte(out), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	events, products, truth := emit("events"), emit("products"), emit("shoppers")
	command(t, "apply", "-f", yaml, "--approve", "--db", db)
	command(t, "import", "products", products, "--db", db)
	command(t, "import", "events", events, "--db", db)
	command(t, "refit", "--db", db)

	a := &app{settings: defaults(), now: time.Now}
	a.DB = db
	n, err := a.startNode(t.Context(), store.Options{}, slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer n.close()
	end := time.Date(2026, 2, 15, 0, 0, 0, 0, time.UTC) // 45 days after the start
	f, err := os.Open(truth)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	type seen struct{ cluster, taste string }
	var found []seen
	counts := map[seen]int{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var s simulate.CrowdShopper
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		p, err := n.engine.Profile(t.Context(), s.Anonymous, end)
		if core.ErrorCode(err) == core.CodeNotFound && s.Orders == 0 {
			continue // never came
		}
		if err != nil {
			t.Fatal(err)
		}
		// An order that is wholly taken back does not count (design, section 3).
		want := "prospect"
		switch left := s.Orders - s.Refunded; {
		case left >= 4:
			want = "loyal"
		case left >= 2:
			want = "returning"
		case left == 1:
			want = "first-time"
		}
		if got, _, _ := strings.Cut(p.Layers["moment"].Value, "."); got != want || int(p.PurchaseCount) != s.Orders-s.Refunded {
			t.Errorf("%s: %s after %d orders, %d taken back, counted %d; want %s", s.ID, got, s.Orders, s.Refunded, p.PurchaseCount, want)
		}
		if s.Orders > 0 && p.CustomerID != s.ID {
			t.Errorf("%s is called %s", s.ID, p.CustomerID)
		}
		if cluster := p.Layers["meaning"].Value; cluster != "_" {
			found = append(found, seen{cluster, s.Taste})
			counts[seen{cluster, s.Taste}]++
		}
	}
	// A cluster stands for the taste that most of its shoppers have; how many of them have it says whether it was found.
	most := map[string]seen{}
	for c, n := range counts {
		if n > counts[most[c.cluster]] {
			most[c.cluster] = c
		}
	}
	right, tastes := 0, map[string]bool{}
	for _, s := range found {
		if most[s.cluster].taste == s.taste {
			right++
		}
	}
	for _, m := range most {
		tastes[m.taste] = true
	}
	if len(found) < 200 || len(tastes) < 7 || float64(right) < 0.9*float64(len(found)) {
		t.Errorf("%d of %d shoppers in a cluster of their taste; %d tastes found of 8, in %d clusters", right, len(found), len(tastes), len(most))
	}
	t.Logf("%d of %d shoppers in a cluster of their taste; %d tastes found of 8, in %d clusters", right, len(found), len(tastes), len(most))
}

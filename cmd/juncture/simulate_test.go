package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSimulateBothWays plays a store in the process, again, and through a served store: with one seed every line is the
// same.
func TestSimulateBothWays(t *testing.T) {
	dir := t.TempDir()
	db, yaml, svg := filepath.Join(dir, "served.db"), filepath.Join(dir, "store.yaml"), filepath.Join(dir, "curves.svg")
	args := []string{"simulate", "--store", "everything", "--decisions", "3000", "--seed", "7", "--policy", "pooled", "--traffic", "1000/day"}
	local := command(t, append(args, "--svg", svg)...)
	if d := cmp.Diff(local, command(t, args...)); d != "" {
		t.Errorf("the same seed plays otherwise:\n%s", d)
	}
	for _, want := range []string{"2000", "3000", "mean of 1/(p·K)", "of the fifth after the middle", "at 1000 decisions a day"} {
		if !strings.Contains(local, want) {
			t.Errorf("no %q in\n%s", want, local)
		}
	}
	if b, err := os.ReadFile(svg); err != nil || !strings.HasPrefix(string(b), "<svg") || !strings.Contains(string(b), "pooled") {
		t.Errorf("curves: %v, %.100s", err, b)
	}

	command(t, append(args, "--emit-store", yaml)...)
	out, done := background(t, "serve", "--addr", "127.0.0.1:0", "--db", db, "--dev", "--test-clock", "--seed", "7", "--log", "error")
	url := out.wait(t, `answers on (http://\S+),`, done)
	command(t, "apply", "-f", yaml, "--approve", "--db", db)
	lines := strings.Split(strings.TrimSpace(command(t, "keys", "create", "--name", "simulate", "--scopes", "choose,reward", "--db", db)), "\n")
	if d := cmp.Diff(local, command(t, append(args, "--url", url, "--key", lines[len(lines)-1])...)); d != "" {
		t.Errorf("in the process (-) and over HTTP (+):\n%s", d)
	}
}

package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// output is what a command that is still running has printed.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// wait returns the first submatch of the pattern, once it is printed.
func (o *output) wait(t *testing.T, pattern string, done <-chan error) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if m := re.FindStringSubmatch(o.String()); m != nil {
			return m[len(m)-1]
		}
		select {
		case err := <-done:
			t.Fatalf("the command ended before it printed %q: %v\n%s", pattern, err, o)
		default:
		}
	}
	t.Fatalf("%q was not printed:\n%s", pattern, o)
	return ""
}

// command runs one command to its end.
func command(t *testing.T, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	if err := run(t.Context(), args, &out, io.Discard); err != nil {
		t.Fatalf("juncture %s: %v\n%s", strings.Join(args, " "), err, &out)
	}
	return out.String()
}

// background runs a command until the test ends, and fails it when the command fails.
func background(t *testing.T, args ...string) (*output, <-chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out, done, ended := &output{}, make(chan error, 1), make(chan struct{})
	go func() {
		defer close(ended)
		done <- run(ctx, args, out, io.Discard)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("juncture %s: %v", strings.Join(args, " "), err)
			}
		default: // somebody has read it
		}
	})
	return out, done
}

// replayBothWays replays a file in the process and through a served store, and compares every line.
func replayBothWays(t *testing.T, file string, flags ...string) string {
	t.Helper()
	dir := t.TempDir()
	db, yaml := filepath.Join(dir, "served.db"), filepath.Join(dir, "store.yaml")
	args := slices.Clip(append([]string{"replay", file}, flags...))
	local := command(t, append(args, "--seeds", "1", "--seed", "7")...)
	command(t, append(args, "--emit-store", yaml)...)
	out, done := background(t, "serve", "--addr", "127.0.0.1:0", "--db", db, "--dev", "--test-clock", "--seed", "7", "--log", "error")
	url := out.wait(t, `answers on (http://\S+),`, done)
	command(t, "apply", "-f", yaml, "--approve", "--db", db)
	lines := strings.Split(strings.TrimSpace(command(t, "keys", "create", "--name", "replay", "--scopes", "choose,reward,read", "--db", db)), "\n")
	remote := append(args, "--url", url, "--key", lines[len(lines)-1], "--test-clock", "--seed", "7")
	served := command(t, remote...)
	if d := cmp.Diff(local, served); d != "" {
		t.Errorf("in the process (-) and over HTTP (+):\n%s", d)
	}
	if err := run(t.Context(), remote, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "learnt already") {
		t.Errorf("a second replay on the same store: %v", err)
	}
	return local
}

// TestReplayBothWays: two segments, in each of which another arm of three wins (40% against 10%).
func TestReplayBothWays(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var csv strings.Builder
	csv.WriteString("who,age,show,clicked\n")
	for range 3000 {
		who, show := r.IntN(2), r.IntN(3)
		rate := 0.1
		if show == who {
			rate = 0.4
		}
		clicked := 0
		if r.Float64() < rate {
			clicked = 1
		}
		fmt.Fprintf(&csv, "%s,%d,Banner %d,%d\n", []string{"new", "old"}[who], 18+r.IntN(60), show, clicked)
	}
	file := filepath.Join(t.TempDir(), "log.csv")
	if err := os.WriteFile(file, []byte(csv.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	got := replayBothWays(t, file, "--layers", "moment=who", "--arm", "show", "--reward", "clicked")
	for _, want := range []string{`new/_/_/_ +\d+ +Banner 0 .* (winner|leaning)`, `old/_/_/_ +\d+ +Banner 1 .* (winner|leaning)`} {
		if !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("no line like %q in\n%s", want, got)
		}
	}
	if command(t, "replay", file, "--layers", "moment=who", "--arm", "show", "--reward", "clicked", "--seeds", "1", "--seed", "8") == got {
		t.Error("another seed changed nothing")
	}
}

// TestReplayHillstrom does the same on a slice of real e-mail data, for visits and for money.
func TestReplayHillstrom(t *testing.T) {
	if testing.Short() {
		t.Skip("real data takes seconds: not with -short")
	}
	path := filepath.Join("..", "..", "..", "shared", "data", "hillstrom", "hillstrom.csv.gz")
	if _, err := os.Stat(path); err != nil {
		t.Skip("the shared data is not here: ", err)
	}
	layers := "moment=newbie,meaning=mens+womens,trajectory=history,catalogue=channel"
	file := sliceOf(t, path, 3000)
	replayBothWays(t, file, "--layers", layers, "--arm", "segment", "--reward", "visit", "--batch", "50")
	replayBothWays(t, file, "--layers", layers, "--arm", "segment", "--reward", "visit", "--value", "spend")
}

// sliceOf writes the first rows of a gzipped file to one of its own.
func sliceOf(t *testing.T, path string, rows int) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfterN(string(b), "\n", rows+2)
	out := filepath.Join(t.TempDir(), "slice.csv")
	if err := os.WriteFile(out, []byte(strings.Join(lines[:rows+1], "")), 0o600); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestReplayRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log.csv")
	if err := os.WriteFile(file, []byte("who,show,y\na,x,1\nb,z,0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := []string{"replay", file, "--layers", "moment=who", "--arm", "show", "--reward", "y"}
	for want, args := range map[string][]string{
		"required flag":       {"replay", file},
		"no such file":        {"replay", file + "x", "--layers", "moment=who", "--arm", "show", "--reward", "y"},
		`no column "colour"`:  append(good, "--arm", "colour"),
		"is not 1 to 500":     append(good, "--batch", "501"),
		"--seed must be":      append(good, "--seed", "0"),
		"go with --url":       append(good, "--key", "x"),
		"is not http://":      append(good, "--url", "localhost:1"),
		"no layer is called":  append(good, "--layers", "mood=who"),
		"connection refused":  append(good, "--url", "http://127.0.0.1:1"),
		"is not 1 to 1000":    append(good, "--seeds", "0"),
		"accepts 1 arg(s)":    {"replay", "--layers", "a", "--arm", "b", "--reward", "c"},
		"no such file or dir": append(good, "--emit-store", filepath.Join(file+"x", "y")),
	} {
		if err := run(t.Context(), args, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args[1:], err, want)
		}
	}
}

package main

import (
	"context"
	"io"
	"log/slog"
	"os/user"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/engine"
	"github.com/juncture/juncture/internal/testkit"
	"github.com/juncture/juncture/store"
)

// Commands beside the running server: what the next call is answered follows them, and the log says who and why.
func TestExperimentsByCommand(t *testing.T) {
	p := serve(t)
	p.apply(httpStore)
	secret, _ := p.key("choose")
	c := p.client(secret)
	sees := func(want string, reason juncture.Reason) {
		t.Helper()
		a, err := c.Choose(t.Context(), &juncture.ChooseRequest{Surface: "home_hero", ShopperID: "ada", Candidates: []string{"five_off"}})
		if err != nil || *a.ActionID != want || a.Reason != reason {
			t.Errorf("%+v, %v; want %s of %s", a, err, want, reason)
		}
	}
	list := func(want string) {
		t.Helper()
		lines := strings.Split(strings.TrimSpace(p.cli("experiments", "list")), "\n")
		if got := strings.Join(strings.Fields(lines[1]), " "); len(lines) != 2 || got != want {
			t.Errorf("%q, want %q", lines, want)
		}
	}
	list("hero home_hero running pause stop ship")
	sees("five_off", juncture.ReasonTargeting)
	for _, x := range []struct {
		args, prints, sees string
		reason             juncture.Reason
	}{
		{"pause hero", "~ experiment hero running -> paused\n", "welcome", juncture.ReasonStatic},
		{"resume hero", "~ experiment hero paused -> running\n", "five_off", juncture.ReasonTargeting},
		{"stop hero", "~ experiment hero running -> stopped\n", "welcome", juncture.ReasonStatic},
		{"ship hero --action five_off", "~ experiment hero stopped -> shipped\n~ surface home_hero default welcome -> five_off\n", "five_off", juncture.ReasonStatic},
	} {
		if got := p.cli(append(append([]string{"experiments"}, strings.Fields(x.args)...), "--reason", "as "+x.args)...); got != x.prints {
			t.Errorf("%s prints %q", x.args, got)
		}
		sees(x.sees, x.reason)
	}
	list("hero home_hero shipped rollback the default is five_off")
	p.cli("experiments", "rollback", "hero", "--reason", "refunds")
	sees("welcome", juncture.ReasonStatic)
	list("hero home_hero paused resume stop ship")
	for _, refused := range [][]string{{"pause", "hero", "--reason", "x"}, {"resume", "hero"}, {"resume", "none", "--reason", "x"}, {"resume", "--reason", "x"}, {"resume", "hero", "--reason", "x", "--action", "five_off"}} {
		if err := run(t.Context(), append([]string{"experiments", "--db", p.db}, refused...), io.Discard, io.Discard); err == nil {
			t.Errorf("%q is taken", refused)
		}
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	log := p.cli("audit", "export")
	if n := len(regexp.MustCompile(`"Actor":"cli:`+regexp.QuoteMeta(me.Username)+`","Action":"(pause|resume|stop|ship|rollback)","Subject":"experiment hero"`).FindAllString(log, -1)); n != 5 {
		t.Errorf("%d entries:\n%s", n, log)
	}
	if !strings.Contains(log, `"reason":"as ship hero --action five_off"`) || !strings.Contains(log, `"reason":"refunds"`) {
		t.Error(log)
	}
	p.cli("audit", "verify")
	p.cli("verify")
}

// alarm is a breaker that trips whatever it is asked about.
type alarm struct{}

func (alarm) Trips(_ context.Context, x juncture.Experiment, _, _ time.Time) ([]engine.Trip, error) {
	return []engine.Trip{{Guard: x.Guards[0], Why: "Orders fell."}}, nil
}

// told passes on the first of what is logged as a warning or worse.
type told struct {
	slog.Handler
	lines chan string
}

func (h told) Handle(_ context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn {
		select {
		case h.lines <- r.Message:
		default:
		}
	}
	return nil
}

func (told) Enabled(context.Context, slog.Level) bool { return true }

// The node's job asks its breaker, and trips what it names.
func TestTheNodeWatchesGuards(t *testing.T) {
	a := &app{settings: defaults(), out: io.Discard, err: io.Discard, now: time.Now, breaker: alarm{}}
	a.DB = filepath.Join(t.TempDir(), "j.db")
	h := told{slog.DiscardHandler, make(chan string, 1)}
	n, err := a.startNode(t.Context(), store.Options{Unsafe: true}, slog.New(h), a.now)
	if err != nil {
		t.Fatal(err)
	}
	testkit.Apply(t, n.db, testkit.Declaration(testkit.Shares(0.5, 0, 0.5, 0), testkit.Hero(func(e *juncture.Experiment) {
		e.Guards = []juncture.Guard{{Outcome: "purchase", Direction: juncture.GuardBelow}}
	})))
	ctx, stop := context.WithCancel(n.running)
	n.jobs.Go(func() { n.guard(ctx, time.Millisecond, a.now) })
	if got, want := <-h.lines, "a guard took an experiment back to the default"; got != want {
		t.Errorf("logged %q, want %q", got, want)
	}
	stop()
	p, err := n.engine.Declared(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if v, err := p.Declaration.View("hero"); err != nil || v.State != juncture.StateTripped {
		t.Errorf("%s, %v", v.State, err)
	}
	if err := n.close(); err != nil {
		t.Error(err)
	}
}

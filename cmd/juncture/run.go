package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/access"
	"github.com/juncture/juncture/engine"
	"github.com/juncture/juncture/experiments/watch"
	"github.com/juncture/juncture/intake"
	"github.com/juncture/juncture/store"
)

// version is set by the linker; "dev" in a plain build.
var version = "dev"

// settings are what flags, environment and the configuration file say; the first of them that says it counts.
type settings struct {
	Addr       string        `env:"ADDR" yaml:"addr"`
	DB         string        `env:"DB" yaml:"db"`
	Node       uint16        `env:"NODE" yaml:"node"`
	Log        string        `env:"LOG" yaml:"log"`
	Deadline   time.Duration `env:"DEADLINE" yaml:"deadline"`
	Checkpoint time.Duration `env:"CHECKPOINT" yaml:"checkpoint"`
	Proxies    []string      `env:"TRUSTED_PROXIES" yaml:"trustedProxies"`
	Drain      time.Duration `env:"DRAIN" yaml:"drain"`
	GuardEvery time.Duration `env:"GUARD_EVERY" yaml:"guardEvery"`
	Queue      int           `env:"QUEUE" yaml:"queue"`
	Cells      int           `env:"CELLS" yaml:"cells"`
	Vectors    int           `env:"VECTORS" yaml:"vectors"`
	Profiles   int           `env:"PROFILES" yaml:"profiles"`
	Products   int           `env:"PRODUCTS" yaml:"products"`
	LivePages  int           `env:"LIVE_PAGES" yaml:"livePages"`
	Rate       int           `env:"RATE" yaml:"rate"`
	Lag        time.Duration `env:"HEALTH_LAG" yaml:"healthLag"`
	Places     int           `env:"HEALTH_PLACES" yaml:"healthPlaces"`
	TLS        bool          `env:"TLS" yaml:"tls"`
	Dev        bool          `env:"DEV" yaml:"dev"`
	TestClock  bool          `env:"TEST_CLOCK" yaml:"testClock"`
	Seed       uint64        `env:"SEED" yaml:"seed"`
	URL        string        `env:"URL" yaml:"url"`
	OIDC       oidcSettings  `envPrefix:"OIDC_" yaml:"oidc"`
}

// oidcSettings say where people sign in with OpenID Connect; without an issuer they do not. The client's secret comes
// from the environment alone.
type oidcSettings struct {
	Title       string                 `env:"TITLE" yaml:"title"`
	Issuer      string                 `env:"ISSUER" yaml:"issuer"`
	ClientID    string                 `env:"CLIENT_ID" yaml:"clientId"`
	Secret      string                 `env:"CLIENT_SECRET" yaml:"-"`
	RoleClaim   string                 `env:"ROLE_CLAIM" yaml:"roleClaim"`
	Roles       map[string]access.Role `env:"ROLES" envKeyValSeparator:"=" yaml:"roles"`
	Domains     []string               `env:"DOMAINS" yaml:"domains"`
	DefaultRole access.Role            `env:"DEFAULT_ROLE" yaml:"defaultRole"`
}

func defaults() settings {
	return settings{Addr: "127.0.0.1:8080", DB: "juncture-data/juncture.db", Node: 1, Log: "info", Deadline: 10 * time.Second,
		Checkpoint: 30 * time.Second, Drain: time.Second, GuardEvery: time.Minute, Queue: 8192, Cells: 200_000, Vectors: 50_000, Profiles: 20_000, Products: 200_000, LivePages: 64, Rate: 20, Lag: watch.DefaultLag, Places: 12}
}

// app is one run of the program.
type app struct {
	settings
	out, err io.Writer
	config   string
	now      func() time.Time
	breaker  engine.Breaker // judges the guards of experiments; nil: nothing does
}

// run runs the program with its arguments; it returns when it is done or ctx ends. Everything is wired here.
func run(ctx context.Context, args []string, out, errs io.Writer) error {
	a := &app{settings: defaults(), out: out, err: errs, now: time.Now}
	root := &cobra.Command{
		Use: "juncture", Short: "Decides what each shopper sees, learns from what follows, and shows what wins where.",
		SilenceUsage: true, SilenceErrors: true, CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errs)
	f := root.PersistentFlags()
	f.StringVar(&a.DB, "db", a.DB, "database: a file, or sqlite://file (JUNCTURE_DB)")
	f.StringVar(&a.config, "config", "", "YAML file of settings, named as the flags in camelCase (JUNCTURE_CONFIG)")
	f.StringVar(&a.Log, "log", a.Log, "least level to log: debug, info, warn, error (JUNCTURE_LOG)")
	f.Uint16Var(&a.Node, "node", a.Node, "number of this node, 1 to 1023 (JUNCTURE_NODE)")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return a.configure(cmd) }
	root.AddCommand(a.serveCommand(), a.demoCommand(), a.previewCommand(), a.applyCommand(), a.experimentsCommand(), a.keysCommand(), a.usersCommand(), a.auditCommand(),
		a.importCommand(), a.refitCommand(), a.eraseCommand(), a.migrateCommand(), a.verifyCommand(), a.exportCommand(), a.reportCommand(), a.replayCommand(), a.simulateCommand(), a.evaluateCommand(), a.explainCommand(), a.versionCommand())
	return root.ExecuteContext(ctx)
}

// configure fills the settings that no flag names from the environment, and those from the file.
func (a *app) configure(cmd *cobra.Command) error {
	flagged := a.settings
	path := cmp.Or(a.config, os.Getenv("JUNCTURE_CONFIG"))
	s := defaults()
	if path != "" {
		b, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("read configuration: %w", err)
		}
		d := yaml.NewDecoder(bytes.NewReader(b))
		d.KnownFields(true)
		if err := d.Decode(&s); err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read configuration %s: %w", path, err)
		}
	}
	if err := env.ParseWithOptions(&s, env.Options{Prefix: "JUNCTURE_"}); err != nil {
		return fmt.Errorf("read environment: %w", err)
	}
	for name, set := range map[string]func(){
		"addr": func() { s.Addr = flagged.Addr }, "db": func() { s.DB = flagged.DB }, "node": func() { s.Node = flagged.Node },
		"log": func() { s.Log = flagged.Log }, "deadline": func() { s.Deadline = flagged.Deadline },
		"checkpoint": func() { s.Checkpoint = flagged.Checkpoint }, "drain": func() { s.Drain = flagged.Drain }, "queue": func() { s.Queue = flagged.Queue },
		"cells": func() { s.Cells = flagged.Cells }, "vectors": func() { s.Vectors = flagged.Vectors },
		"live-pages":      func() { s.LivePages = flagged.LivePages },
		"guard-every":     func() { s.GuardEvery = flagged.GuardEvery },
		"profiles":        func() { s.Profiles = flagged.Profiles },
		"products":        func() { s.Products = flagged.Products },
		"trusted-proxies": func() { s.Proxies = flagged.Proxies },
		"health-lag":      func() { s.Lag = flagged.Lag },
		"health-places":   func() { s.Places = flagged.Places },
		"url":             func() { s.URL = flagged.URL },
		"rate":            func() { s.Rate = flagged.Rate }, "tls": func() { s.TLS = flagged.TLS }, "dev": func() { s.Dev = flagged.Dev },
		"test-clock": func() { s.TestClock = flagged.TestClock }, "seed": func() { s.Seed = flagged.Seed },
	} {
		if fl := cmd.Flags().Lookup(name); fl != nil && fl.Changed {
			set()
		}
	}
	if s.Node == 0 || s.Node > 1023 {
		return fmt.Errorf("node %d is not 1 to 1023", s.Node)
	}
	if s.LivePages < 1 {
		return fmt.Errorf("live-pages %d is no number of pages", s.LivePages)
	}
	if s.GuardEvery <= 0 {
		return fmt.Errorf("guard-every %v is no time between two looks", s.GuardEvery)
	}
	if s.Lag <= 0 {
		return fmt.Errorf("health lag %v is not a time to wait", s.Lag)
	}
	if (s.TestClock || s.Seed != 0) && !s.Dev {
		return errors.New("--test-clock and --seed are for tests: they need --dev, and no real store may run with them")
	}
	a.settings = s
	return nil
}

// watching is how health is read. No place at all is asked for by less than 0 there.
func (a *app) watching() watch.Settings {
	set := watch.Settings{Places: a.Places, Lag: a.Lag}
	if set.Places == 0 {
		set.Places = -1
	}
	return set
}

func (a *app) logger() (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(a.Log)); err != nil {
		return nil, fmt.Errorf("log level: %w", err)
	}
	return slog.New(slog.NewJSONHandler(a.err, &slog.HandlerOptions{Level: level})), nil
}

func (a *app) open(ctx context.Context) (*store.DB, error) {
	return store.Open(ctx, a.DB, store.Options{})
}

// withDB runs f with the database open.
func (a *app) withDB(ctx context.Context, f func(*store.DB) error) error {
	db, err := a.open(ctx)
	if err != nil {
		return err
	}
	return errors.Join(f(db), db.Close())
}

// withExisting is withDB for what only reads: a mistyped path is an error, not an empty store.
func (a *app) withExisting(ctx context.Context, f func(*store.DB) error) error {
	if _, err := os.Stat(strings.TrimPrefix(a.DB, "sqlite://")); err != nil {
		return fmt.Errorf("no database: %w", err)
	}
	return a.withDB(ctx, f)
}

// actor is who the audit log names for what a command does.
func actor() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return "cli:" + u.Username
	}
	return "cli:unknown"
}

// cliWho is actor, as access takes it.
func cliWho() access.Who { return access.Who{Actor: actor(), From: "cli"} }

func (a *app) note(action, subject string, after []byte) juncture.AuditNote {
	return juncture.AuditNote{At: a.now(), Actor: actor(), Action: action, Subject: subject, From: "cli", After: after}
}

// random is where secrets come from: the system, or the seed of a test.
func (a *app) random() io.Reader {
	if a.Seed != 0 {
		return seeded(a.Seed)
	}
	return rand.Reader
}

// explain words an error for a terminal, with its hint.
func explain(err error) string {
	if f, ok := errors.AsType[*intake.FileError](err); ok { // says it all itself
		return f.Error()
	}
	e, ok := errors.AsType[*juncture.Error](err)
	if !ok {
		return err.Error()
	}
	text := err.Error()
	if e.Hint != "" {
		text += " (" + e.Hint + ")"
	}
	return text
}

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/juncture/juncture/access"
	"github.com/juncture/juncture/audit"
	"github.com/juncture/juncture/console"
	"github.com/juncture/juncture/server"
	"github.com/juncture/juncture/store"
)

func (a *app) serveFlags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&a.Addr, "addr", a.Addr, "address to listen on (JUNCTURE_ADDR)")
	f.DurationVar(&a.Deadline, "deadline", a.Deadline, "longest time for one request (JUNCTURE_DEADLINE)")
	f.DurationVar(&a.Checkpoint, "checkpoint", a.Checkpoint, "time between checkpoints of the tallies (JUNCTURE_CHECKPOINT)")
	f.DurationVar(&a.Drain, "drain", a.Drain, "time between saying not ready and closing the listener (JUNCTURE_DRAIN)")
	f.DurationVar(&a.GuardEvery, "guard-every", a.GuardEvery, "time between looks at the guards of experiments (JUNCTURE_GUARD_EVERY)")
	f.IntVar(&a.Queue, "queue", a.Queue, "writes that may wait before requests are refused (JUNCTURE_QUEUE)")
	f.IntVar(&a.Cells, "cells", a.Cells, "tallies kept in memory (JUNCTURE_CELLS)")
	f.IntVar(&a.Vectors, "vectors", a.Vectors, "probability vectors kept in memory (JUNCTURE_VECTORS)")
	f.IntVar(&a.Profiles, "profiles", a.Profiles, "profiles kept in memory, and as many more that wait to be written (JUNCTURE_PROFILES)")
	f.IntVar(&a.Products, "products", a.Products, "products kept in memory (JUNCTURE_PRODUCTS)")
	f.IntVar(&a.Rate, "rate", a.Rate, "requests a second that one address may make with a publishable key; 0: no limit (JUNCTURE_RATE)")
	f.DurationVar(&a.Lag, "health-lag", a.Lag, "how old a decision is when it is read for health; deferred ones count if they are activated by then (JUNCTURE_HEALTH_LAG)")
	f.IntVar(&a.Places, "health-places", a.Places, "places at which change-points are looked for; 0: none (JUNCTURE_HEALTH_PLACES)")
	f.StringSliceVar(&a.Proxies, "trusted-proxies", a.Proxies, "addresses or CIDR ranges whose X-Forwarded-For is believed (JUNCTURE_TRUSTED_PROXIES)")
	f.StringVar(&a.URL, "url", a.URL, "address of this server as browsers see it, such as https://juncture.shop.example; empty: as each request says (JUNCTURE_URL)")
	f.IntVar(&a.LivePages, "live-pages", a.LivePages, "open pages of the console that are told of decisions as they are made (JUNCTURE_LIVE_PAGES)")
	f.BoolVar(&a.TLS, "tls", a.TLS, "a proxy in front speaks TLS: cookies are marked secure (JUNCTURE_TLS)")
	f.BoolVar(&a.Dev, "dev", a.Dev, "allow what only tests may do (JUNCTURE_DEV)")
	f.BoolVar(&a.TestClock, "test-clock", a.TestClock, "with --dev: take the time of a call from its Juncture-Now header (JUNCTURE_TEST_CLOCK)")
	f.Uint64Var(&a.Seed, "seed", a.Seed, "with --dev: make the secrets of a new database from this seed (JUNCTURE_SEED)")
}

func (a *app) serveCommand() *cobra.Command {
	c := &cobra.Command{Use: "serve", Args: cobra.NoArgs, Short: "Answer storefronts and show the console",
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := a.logger()
			if err != nil {
				return err
			}
			s, err := a.startServer(cmd.Context(), log)
			if err != nil {
				return err
			}
			if err := a.firstUser(cmd.Context(), s); err != nil {
				return errors.Join(err, s.close())
			}
			fmt.Fprintf(a.out, "juncture %s answers on http://%s, console at http://%s/console\n", version, s.addr, s.addr)
			return s.wait(cmd.Context())
		}}
	a.serveFlags(c)
	return c
}

// firstUser makes the user admin on a database without users: with JUNCTURE_ADMIN_PASSWORD, or a password that is made
// up and printed once.
func (a *app) firstUser(ctx context.Context, s *running) error {
	users, err := s.people.Users(ctx)
	if err != nil || len(users) > 0 {
		return err
	}
	password := os.Getenv("JUNCTURE_ADMIN_PASSWORD")
	made := password == ""
	if made {
		if password, err = access.GeneratePassword(a.random()); err != nil {
			return err
		}
	}
	if _, err = s.people.AddUser(ctx, access.Who{Actor: actor(), From: "first start"}, "admin", access.RoleAdmin, password, a.now()); err != nil {
		return fmt.Errorf("make the first user: %w", err)
	}
	if made {
		fmt.Fprintf(a.out, "first start: sign in to the console as admin with the password %s (shown once)\n", password)
	}
	return nil
}

// singleSignOn is where people sign in beside passwords, nil for nowhere.
func (a *app) singleSignOn(r *running) (console.SingleSignOn, error) {
	if a.OIDC.Issuer == "" {
		return nil, nil
	}
	return access.NewOIDC(access.Provider(a.OIDC), r.people, r.db, nil)
}

// running is a started server.
type running struct {
	*node
	addr     string
	people   *access.Service
	http     *http.Server
	server   *server.Server
	live     *console.Live
	unfollow context.CancelFunc // ends the streams of open pages, before the listener waits for them
	failed   chan error
	drain    time.Duration
}

// startServer wires the HTTP side onto a node and listens.
func (a *app) startServer(ctx context.Context, log *slog.Logger) (*running, error) {
	if a.TestClock {
		log.Warn("the test clock is on: callers set the time of their calls")
	}
	var latest atomic.Pointer[server.Server] // jobs ask for the time before the server is made
	r := &running{failed: make(chan error, 1), drain: a.Drain}
	clock := func() time.Time {
		if s := latest.Load(); s != nil {
			if t := s.Latest(); !t.IsZero() {
				return t
			}
		}
		return a.now()
	}
	n, err := a.startNode(ctx, store.Options{}, log, clock)
	if err != nil {
		return nil, err
	}
	r.node = n
	n.learns(n.running, clock)
	n.jobs.Go(func() { n.guard(n.running, a.GuardEvery, clock) })
	r.people = access.NewService(n.db, n.db, a.random(), access.Options{})
	registry := prometheus.NewRegistry()
	n.collect(registry)
	if a.Rate == 0 {
		a.Rate = -1
	}
	admins := access.NewDesk(r.people, n.db, n.db, n.db, a.random(), a.now)
	trail, facts := audit.NewLog(n.db, a.now), runs{a, n}
	asked := newEvaluations(n, time.Now)
	decisions := n.engine.LogOf(n.db)
	if r.server, err = server.New(n.engine, n.engine, n.db, server.Options{Version: version, TestClock: a.TestClock, Deadline: a.Deadline,
		Ready: n.ready, Now: a.now, Exports: exports{n.db}, Evaluations: asked, History: n.db, Decisions: decisions, Shoppers: n.db, Log: log, Metrics: registry, Rate: a.Rate, TrustedProxies: a.Proxies,
		Desk: server.Desk{People: admins, Keys: admins, Shares: admins, Audit: trail, Settings: facts}}); err != nil {
		return nil, errors.Join(err, n.close())
	}
	latest.Store(r.server)
	s := &source{n, clock}
	sso, err := a.singleSignOn(r)
	if err != nil {
		return nil, errors.Join(err, n.close())
	}
	r.live = console.NewLive(console.NewestOf(decisions), a.LivePages)
	following, unfollow := context.WithCancel(n.running)
	r.unfollow = unfollow
	n.jobs.Go(func() { r.live.Run(following) })
	described, err := server.Description(version)
	if err != nil {
		return nil, errors.Join(err, n.close())
	}
	pages, err := console.New(console.Deps{API: described, Source: s, Shoppers: s, Records: s, Tastes: s, Pool: s, Decisions: decisions, Live: r.live, Trials: s, Health: s, WhatIf: &whatIf{asked, clock}, Catalogue: s, Sessions: r.people, SSO: sso, URL: a.URL, People: admins, Keys: admins, Shares: admins, Audit: trail, Settings: facts, Log: log, Now: a.now, TLS: a.TLS})
	if err != nil {
		return nil, errors.Join(err, n.close())
	}
	pages.Mount(r.server.Gin())
	r.server.PageNotFound(pages.NotFound)
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.Addr)
	if err != nil {
		return nil, errors.Join(err, n.close())
	}
	r.addr = listener.Addr().String()
	r.http = &http.Server{Handler: r.server, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second,
		WriteTimeout: a.Deadline + 30*time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	n.jobs.Go(func() {
		if err := r.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			r.failed <- err
		}
	})
	log.Info("serving", "addr", r.addr, "db", n.db.Path(), "version", version, "node", a.Node)
	return r, nil
}

// wait serves until ctx ends or the listener fails, then stops gracefully.
func (r *running) wait(ctx context.Context) error {
	var err error
	select {
	case <-ctx.Done():
	case err = <-r.failed:
	}
	return errors.Join(err, r.close())
}

// close says that the server is not ready, answers and commits every request that was accepted, and stops.
func (r *running) close() error {
	r.server.Leave()
	r.log.Info("stopping")
	r.unfollow()
	time.Sleep(r.drain) // a load balancer sees that it is not ready, and sends no more
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return errors.Join(r.http.Shutdown(ctx), r.node.close())
}

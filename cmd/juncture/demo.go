package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/access"
	"github.com/juncture/juncture/demo"
	"github.com/juncture/juncture/experiments"
	"github.com/juncture/juncture/intake"
	"github.com/juncture/juncture/store"
)

const demoDB = "juncture-data/demo.db"

// demoFlags are what a demo is told.
type demoFlags struct {
	seed     uint64
	shoppers int
	burst    int // decisions made at the start, as fast as it goes
	rate     int // decisions a second after that
	limit    int // decisions in all; 0: no end
	keep     bool
}

func (a *app) demoCommand() *cobra.Command {
	var o demoFlags
	c := &cobra.Command{Use: "demo", Args: cobra.NoArgs,
		Short: "Serve a made-up shop with simulated shoppers, so that the console fills with winners",
		Long: `Demo serves a made-up shop on a database of its own (--db, default juncture-data/demo.db), made anew at each start, and lets simulated shoppers
visit: first as fast as it goes, so that the console fills with winners, then steadily. Their true rates are known
(package demo); nothing is real, and the console says so.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("db") { // never the database that the environment names for serve
				a.DB = demoDB
			}
			switch {
			case o.rate < 0 || o.rate > 10_000:
				return fmt.Errorf("--rate %d is not 0 to 10000", o.rate)
			case o.burst < 0 || o.limit < 0 || o.shoppers < 1 || o.shoppers > 10_000_000:
				return errors.New("--burst and --limit are 0 or more, --shoppers 1 to 10000000")
			}
			return a.demo(cmd.Context(), o)
		}}
	f := c.Flags()
	f.StringVar(&a.Addr, "addr", a.Addr, "address to listen on (JUNCTURE_ADDR)")
	f.Uint64Var(&o.seed, "seed", 1, "seed of the shoppers: the same seed makes the same ones")
	f.IntVar(&o.shoppers, "shoppers", 20_000, "number of shoppers")
	f.IntVar(&o.burst, "burst", 60_000, "decisions made at the start, as fast as it goes")
	f.IntVar(&o.rate, "rate", 400, "decisions a second after that")
	f.IntVar(&o.limit, "limit", 1_000_000, "decisions after which the shoppers stay away; 0: never")
	f.BoolVar(&o.keep, "keep", false, "go on with the demo database as it is (without --burst)")
	return c
}

// demo serves the shop until ctx ends.
func (a *app) demo(ctx context.Context, o demoFlags) error {
	log, err := a.logger()
	if err != nil {
		return err
	}
	if err := a.demoStore(ctx, &o); err != nil {
		return err
	}
	a.Drain = 0 // nobody balances load over a demo
	s, err := a.startServer(ctx, log)
	if err != nil {
		return err
	}
	world := demo.NewWorld(o.seed, o.shoppers)
	if err := a.welcome(ctx, s, world, o); err != nil {
		return errors.Join(err, s.close())
	}
	crowd, send := context.WithCancel(ctx)
	defer send()
	failed, gone := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(gone)
		if err := a.visits(crowd, s, world, o); err != nil {
			failed <- err
		}
	}()
	select {
	case <-ctx.Done():
	case err = <-failed:
	case err = <-s.failed:
	}
	send()
	<-gone // before the writer closes
	return errors.Join(err, s.close())
}

// demoStore makes the database: anew, unless it is kept. Only a database that a demo made is ever touched.
func (a *app) demoStore(ctx context.Context, o *demoFlags) error {
	if err := a.free(ctx); err != nil {
		return err
	}
	path := strings.TrimPrefix(a.DB, "sqlite://")
	if _, err := os.Stat(path); err == nil {
		if err := a.isDemo(ctx); err != nil {
			return err
		}
		if o.keep {
			o.burst = 0
			return nil
		}
		lock, err := store.LockWriter(path) // another demo may be running on it, at another address
		if err != nil {
			return err
		}
		defer lock.Close()
		for _, suffix := range []string{"", "-wal", "-shm"} {
			if err := os.Remove(path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("remove the earlier demo: %w", err)
			}
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	d, err := intake.ParseStoreFile("demo/store.yaml", demo.StoreFile())
	if err != nil {
		return err
	}
	return a.withDB(ctx, func(db *store.DB) error {
		if err := db.SetFact(ctx, factSimulated, fmt.Sprintf("seed %d", o.seed)); err != nil {
			return err
		}
		_, err := applyTo(ctx, db, d, true, actor(), a.now())
		return err
	})
}

// free checks that the address can be listened on before anything is removed: another demo may be running there.
func (a *app) free(ctx context.Context) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.Addr)
	if err != nil {
		return fmt.Errorf("%w; choose another with --addr", err)
	}
	return l.Close()
}

func (a *app) isDemo(ctx context.Context) error {
	return a.withDB(ctx, func(db *store.DB) error {
		simulated, err := db.Fact(ctx, factSimulated)
		if err == nil && simulated == "" {
			return fmt.Errorf("%s holds no demo: it is left as it is; name another file with --db", filepath.Clean(a.DB))
		}
		return err
	})
}

// welcome says where everything is, with a password and a key that are new at each start.
func (a *app) welcome(ctx context.Context, s *running, w *demo.World, o demoFlags) error {
	password, err := a.demoPassword(ctx, s)
	if err != nil {
		return err
	}
	secret, err := a.demoKey(ctx, s)
	if err != nil {
		return err
	}
	you, err := a.demoShopper(ctx, s)
	if err != nil {
		return err
	}
	places, _ := w.Intersections()
	layers := fmt.Sprintf(`{"moment":%q,"meaning":%q,"trajectory":%q,"catalogue":%q}`, places[0][0], places[0][1], places[0][2], places[0][3])
	fmt.Fprintf(a.out, `A made-up shop: %s simulated shoppers at %d intersections, seed %d. Nothing here is real.

  console   http://%s/console/intersections
  sign in   admin, password %s
  API key   %s

Ask what a shopper should see, then say that they clicked it:

curl -s http://%s/choose -H 'Authorization: Bearer %s' -d '{"surface":%q,"shopperId":%q,"layers":%s}'
curl -s http://%s/reward -H 'Authorization: Bearer %s' -d '{"shopperId":%q,"event":"click"}'

`, experiments.Count(int64(o.shoppers)), len(places), o.seed, s.addr, password, secret,
		s.addr, secret, demo.Surface, you, layers, s.addr, secret, you)
	return nil
}

// demoPassword gives the user admin a password: JUNCTURE_ADMIN_PASSWORD, or one that is made up.
func (a *app) demoPassword(ctx context.Context, s *running) (string, error) {
	password := os.Getenv("JUNCTURE_ADMIN_PASSWORD")
	if password == "" {
		var err error
		if password, err = access.GeneratePassword(a.random()); err != nil {
			return "", err
		}
	}
	users, err := s.people.Users(ctx)
	if err != nil {
		return "", err
	}
	if len(users) > 0 {
		return password, s.people.SetPassword(ctx, cliWho(), "admin", password, a.now())
	}
	_, err = s.people.AddUser(ctx, cliWho(), "admin", access.RoleAdmin, password, a.now())
	return password, err
}

// demoKey makes an API key and ends those of earlier starts.
func (a *app) demoKey(ctx context.Context, s *running) (string, error) {
	const name = "demo"
	keys, err := s.db.Keys(ctx)
	if err != nil {
		return "", err
	}
	for _, k := range keys {
		if k.Name == name && k.RevokedAt.IsZero() {
			if err := s.db.RevokeKey(ctx, k.ID, a.now(), a.note("revoke", "key "+k.ID, nil)); err != nil {
				return "", err
			}
		}
	}
	k, secret, err := access.NewKey(name, []access.Scope{access.ScopeChoose, access.ScopeReward, access.ScopeRead}, false, nil, a.now(), a.random())
	if err != nil {
		return "", err
	}
	return secret, s.db.CreateKey(ctx, k, a.note("create", "key "+k.ID, nil))
}

// demoShopper finds an id for the visitor whose group is the policy's: a holdout would see nothing.
func (a *app) demoShopper(ctx context.Context, s *running) (string, error) {
	secrets, err := s.db.Secrets(ctx, a.random(), a.now())
	if err != nil {
		return "", err
	}
	declared, err := s.engine.Declared(ctx)
	if err != nil {
		return "", err
	}
	x := declared.Experiments[demo.Experiment]
	if x == nil {
		return "", fmt.Errorf("the demo's experiment %q is gone", demo.Experiment)
	}
	for i := 1; ; i++ {
		id := "you"
		if i > 1 {
			id = fmt.Sprintf("you-%d", i)
		}
		if group, _, _ := experiments.Assign(secrets.GroupSalt, *x, id); group == juncture.GroupPolicy || i == 100 {
			return id, nil
		}
	}
}

// visits lets the shoppers come until ctx ends: a burst, then a steady flow.
func (a *app) visits(ctx context.Context, s *running, w *demo.World, o demoFlags) error {
	const batch, say, tick = 200, 10_000, 50 * time.Millisecond
	first := uint64(0)
	if o.keep {
		first = uint64(a.now().Unix()) << 20 // beyond what an earlier start got to
	}
	crowd := demo.NewCrowd(w, inProcess{s.engine}, first)
	made := func() int { return int(crowd.Visits() - first) }
	step := func(n int) error {
		err := crowd.Step(context.WithoutCancel(ctx), a.now(), n) // what has begun is finished
		if err != nil && juncture.ErrorCode(err) == juncture.CodeUnavailable {
			s.log.Warn("simulated shoppers wait", "error", err)
			return nil
		}
		return err
	}
	start := time.Now()
	for made() < o.burst && ctx.Err() == nil {
		before := made()
		if err := step(min(batch, o.burst-made())); err != nil {
			return err
		}
		if made() == before {
			time.Sleep(tick)
		}
		if made()/say > before/say && made() < o.burst {
			fmt.Fprintf(a.out, "%s of %s simulated decisions…\n", experiments.Count(int64(made())), experiments.Count(int64(o.burst)))
		}
	}
	if o.burst > 0 && ctx.Err() == nil {
		fmt.Fprintf(a.out, "%s simulated decisions in %.1f s; from now on %d a second. Ctrl-C ends it.\n",
			experiments.Count(int64(made())), time.Since(start).Seconds(), o.rate)
	}
	return a.drip(ctx, o, tick, made, step)
}

// drip makes o.rate decisions a second, as evenly as ticks allow, until ctx or the limit ends it.
func (a *app) drip(ctx context.Context, o demoFlags, tick time.Duration, made func() int, step func(int) error) error {
	t := time.NewTicker(tick)
	defer t.Stop()
	owed, last := 0.0, time.Now()
	for o.rate > 0 {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		now := time.Now()
		owed = min(owed+now.Sub(last).Seconds()*float64(o.rate), 500) // after a pause nothing is made up for
		last = now
		if n := int(owed); n > 0 {
			owed -= float64(n)
			if err := step(n); err != nil {
				return err
			}
		}
		if o.limit > 0 && made() >= o.limit {
			fmt.Fprintf(a.out, "%s simulated decisions: the shoppers stay away from now on (--limit)\n", experiments.Count(int64(made())))
			return nil
		}
	}
	return nil
}

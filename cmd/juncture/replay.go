package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/engine"
	"github.com/juncture/juncture/experiments"
	"github.com/juncture/juncture/intake"
	"github.com/juncture/juncture/replay"
	"github.com/juncture/juncture/store"
)

// replayFlags are what a replay is told.
type replayFlags struct {
	columns   replay.Columns
	layers    string
	seeds     int
	seed      uint64
	batch     int
	url, key  string
	testClock bool
	emit      string
}

func (a *app) replayCommand() *cobra.Command {
	var o replayFlags
	c := &cobra.Command{Use: "replay FILE", Args: cobra.ExactArgs(1),
		Short: "Run a logged, randomised data set through the engine and say what the policy would have earned",
		Long: `Replay runs a logged, randomised data set (CSV with a header, gzipped or not) through the real engine by rejection
replay (Li, Chu, Langford, Wang 2011): rows whose logged arm is what the engine chooses are learnt and count, all others
are dropped. It prints the policy's value beside uniform's and each single arm's, and who wins in which segment.

By itself it uses a database of its own, which it removes. With --url it drives a served store instead: write the store
file with --emit-store, apply it to a database of its own, and give the same --layers, --arm and --reward.`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.replay(cmd.Context(), args[0], o) }}
	f := c.Flags()
	f.StringVar(&o.layers, "layers", "", "what describes a shopper: moment=column[+column...],meaning=column,...")
	f.StringVar(&o.columns.Arm, "arm", "", "column of what was shown")
	f.StringVar(&o.columns.Reward, "reward", "", "column of the outcome: success when above 0")
	f.StringVar(&o.columns.Propensity, "propensity", "", "column of the probability with which the arm was drawn; without it the log is taken to be uniform")
	f.StringVar(&o.columns.Value, "value", "", "column of money: the goal is then the value of a decision")
	f.IntVar(&o.seeds, "seeds", 20, "passes over the log, each in its own order; with --url always one")
	f.Uint64Var(&o.seed, "seed", 1, "seed of the first pass, above 0")
	f.IntVar(&o.batch, "batch", 100, "rows in one call, 1 to 500")
	f.StringVar(&o.url, "url", "", "a served store to drive, such as http://127.0.0.1:8080")
	f.StringVar(&o.key, "key", "", "with --url: secret of an API key with the scopes choose, reward and read (JUNCTURE_KEY)")
	f.BoolVar(&o.testClock, "test-clock", false, "with --url: send the rows' times; the server must run with --dev --test-clock")
	f.StringVar(&o.emit, "emit-store", "", "write the store file to this path and stop")
	for _, name := range []string{"layers", "arm", "reward"} {
		if err := c.MarkFlagRequired(name); err != nil {
			panic(err) // the flag was just declared
		}
	}
	return c
}

// replayStart is the time of a replay's first row: any will do, as long as it is always the same.
func replayStart() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

func (a *app) replay(ctx context.Context, file string, o replayFlags) error {
	switch {
	case o.seeds < 1 || o.seeds > 1000:
		return fmt.Errorf("--seeds %d is not 1 to 1000", o.seeds)
	case o.seed == 0:
		return errors.New("--seed must be above 0")
	case o.batch < 1 || o.batch > replay.MaxBatch:
		return fmt.Errorf("--batch %d is not 1 to %d", o.batch, replay.MaxBatch)
	case (o.key != "" || o.testClock) && o.url == "":
		return errors.New("--key and --test-clock go with --url")
	}
	log, err := readLog(file, o)
	if err != nil {
		return err
	}
	d, err := log.Declaration()
	if err != nil {
		return err
	}
	if o.emit != "" {
		return a.emitStore(o.emit, d)
	}
	if o.url != "" {
		o.seeds = 1
	}
	r := replay.Report{Name: filepath.Base(file), Log: log, Batch: o.batch}
	progress := a.progress(o.seeds * len(log.Rows))
	for i := range o.seeds {
		opts := replay.Options{Seed: o.seed + uint64(i), Batch: o.batch, Start: replayStart(), Progress: progress}
		var pass replay.Pass
		if o.url != "" {
			pass, r.Segments, err = replayRemote(ctx, log, opts, o)
		} else {
			pass, r.Segments, err = a.replayLocal(ctx, log, d, opts)
		}
		if err != nil {
			return err
		}
		r.Passes = append(r.Passes, pass)
	}
	return r.Write(a.out)
}

func readLog(file string, o replayFlags) (*replay.Log, error) {
	var err error
	if o.columns.Layers, err = replay.ParseLayers(o.layers); err != nil {
		return nil, err
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	log, err := replay.Read(f, o.columns)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return log, nil
}

func (a *app) emitStore(path string, d *juncture.Declaration) error {
	b, err := intake.FormatStoreFile(d)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, b, 0o644); err != nil { // it holds no secret
		return fmt.Errorf("write store file: %w", err)
	}
	_, err = fmt.Fprintf(a.out, "%s: %d actions; apply it with: juncture apply --approve -f %s --db DATABASE\n", path, len(d.Actions), path)
	return err
}

// progress draws a bar where errors go to a terminal; nil elsewhere.
func (a *app) progress(rows int) func(int) {
	f, ok := a.err.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	bar := progressbar.NewOptions(rows, progressbar.OptionSetWriter(f), progressbar.OptionSetDescription("rows"),
		progressbar.OptionShowCount(), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
	return func(n int) { _ = bar.Add(n) } // a bar that cannot be drawn is no reason to stop
}

// replayLocal runs one pass on an engine of its own, with a throw-away database and the seed's secrets.
func (a *app) replayLocal(ctx context.Context, log *replay.Log, d *juncture.Declaration, o replay.Options) (pass replay.Pass, won experiments.Segments, err error) {
	dir, err := os.MkdirTemp("", "juncture-replay-")
	if err != nil {
		return pass, won, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	own := *a
	own.DB, own.Seed, own.Node = filepath.Join(dir, "replay.db"), o.Seed, defaults().Node
	own.TestClock = true
	own.now = func() time.Time { return o.Start }
	logger, err := a.logger()
	if err != nil {
		return pass, won, err
	}
	n, err := own.startNode(ctx, store.Options{Unsafe: true}, logger, own.now)
	if err != nil {
		return pass, won, err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	if _, err = applyTo(ctx, n.db, d, true, actor(), o.Start); err != nil {
		return pass, won, err
	}
	if pass, err = replay.Run(ctx, inProcess{n.engine}, log, o); err != nil {
		return pass, won, err
	}
	ev, err := n.engine.Evidence(ctx, replay.Experiment, o.Start)
	if err != nil {
		return pass, won, err
	}
	won, err = experiments.BuildSegments(ev, experiments.SegmentQuery{Limit: replay.TopSegments})
	return pass, won, err
}

// replayRemote runs one pass on a served store.
func replayRemote(ctx context.Context, log *replay.Log, opts replay.Options, o replayFlags) (replay.Pass, experiments.Segments, error) {
	client := &http.Client{Timeout: time.Minute}
	defer client.CloseIdleConnections()
	remote := &replay.Remote{URL: o.url, Key: cmp.Or(o.key, os.Getenv("JUNCTURE_KEY")), TestClock: o.testClock, HTTP: client}
	before, err := remote.Winners(ctx, opts.Start, 1)
	if err != nil {
		return replay.Pass{}, before, fmt.Errorf("%s: %w", o.url, err)
	}
	if before.Total > 0 {
		return replay.Pass{}, before, fmt.Errorf("%s: the store has learnt already: a replay needs a fresh database", o.url)
	}
	pass, err := replay.Run(ctx, remote, log, opts)
	if err != nil {
		return pass, before, fmt.Errorf("%s: %w", o.url, err)
	}
	won, err := remote.Winners(ctx, opts.Start, replay.TopSegments)
	return pass, won, err
}

// inProcess drives an engine without HTTP.
type inProcess struct{ engine *engine.Engine }

func (p inProcess) Choose(ctx context.Context, now time.Time, rs []*juncture.ChooseRequest) ([]*juncture.ChooseAnswer, error) {
	out := make([]*juncture.ChooseAnswer, len(rs))
	for i, res := range p.engine.ChooseBatch(ctx, now, engine.Caller{KeyID: "cli"}, rs) {
		if res.Err != nil {
			return nil, res.Err
		}
		out[i] = res.Answer
	}
	return out, nil
}

func (p inProcess) Activate(ctx context.Context, now time.Time, decisionID string) error {
	_, err := p.engine.Activate(ctx, now, &juncture.ActivateRequest{DecisionID: decisionID})
	return err
}

func (p inProcess) Reward(ctx context.Context, now time.Time, rs []*juncture.RewardRequest) error {
	for _, res := range p.engine.RewardBatch(ctx, now, rs) {
		if res.Err != nil {
			return res.Err
		}
	}
	return nil
}

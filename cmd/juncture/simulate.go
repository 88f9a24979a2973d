package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/client"
	"github.com/juncture/juncture/console/chart"
	"github.com/juncture/juncture/simulate"
	"github.com/juncture/juncture/store"
)

// simulateFlags are what a simulation is told.
type simulateFlags struct {
	kind      string
	policies  []string
	decisions int
	seed      uint64
	batch     int
	url, key  string
	emit, svg string
	traffic   string
	crowd     string
	shoppers  int
	days      int
	from      string
}

func (a *app) simulateCommand() *cobra.Command {
	var o simulateFlags
	c := &cobra.Command{Use: "simulate", Args: cobra.NoArgs,
		Short: "Play policies on a made-up store whose truth is known, through the real engine",
		Long: `Simulate makes a store up (docs/statistics.md, section F), sends its shoppers through the real engine and prints each
policy's regret as a share of uniform choice's, as it learns: 1 is random, 0 knew all from the start. The same seed gives
the same table.

By itself it uses a database of its own, which it removes. With --url it drives a served store instead, started with
--dev --test-clock: write the store file with --emit-store, apply it to a database of its own, and give the same --store
and --seed.

With --emit it writes the events of made-up shoppers instead (section F.6), or the products that they come for, or the truth
about the shoppers: for juncture import, and to see whether the layers find out what is true.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.simulate(cmd.Context(), o) }}
	f := c.Flags()
	f.StringVar(&o.kind, "store", "usual", "kind of store: "+strings.Join(simulate.Kinds(), ", "))
	f.StringSliceVar(&o.policies, "policy", []string{juncture.PolicyPooled, juncture.PolicyGlobal, juncture.PolicyFlat}, "policies to play, one after another")
	f.IntVar(&o.decisions, "decisions", 200_000, "how many shoppers come")
	f.Uint64Var(&o.seed, "seed", 1, "seed of the store and of its traffic")
	f.IntVar(&o.batch, "batch", 100, "decisions in one call, 1 to 500")
	f.StringVar(&o.url, "url", "", "a served store to drive, such as http://127.0.0.1:8080")
	f.StringVar(&o.key, "key", "", "with --url: secret of an API key with the scopes choose and reward (JUNCTURE_KEY)")
	f.StringVar(&o.emit, "emit-store", "", "write the store file of the first policy to this path and stop")
	f.StringVar(&o.crowd, "emit", "", "write to standard output, as NDJSON: "+strings.Join(crowdParts, ", "))
	f.IntVar(&o.shoppers, "shoppers", 2000, "with --emit: how many there are")
	f.IntVar(&o.days, "days", 60, "with --emit: how long they are watched")
	f.StringVar(&o.from, "from", "2026-01-01", "with --emit: the first day")
	f.StringVar(&o.svg, "svg", "", "write the learning curves to this file")
	f.StringVar(&o.traffic, "traffic", "", "decisions a day, such as 5000/day: says after how many days it pays")
	return c
}

// crowdParts are what --emit writes.
var crowdParts = []string{"events", "products", "shoppers"}

// emitCrowd writes a part of a crowd, one JSON object a line.
func (a *app) emitCrowd(ctx context.Context, o simulateFlags) error {
	if !slices.Contains(crowdParts, o.crowd) {
		return fmt.Errorf("--emit %q is none of %s", o.crowd, strings.Join(crowdParts, ", "))
	}
	if o.shoppers < 1 || o.shoppers > 10_000_000 || o.days < 1 || o.days > 3650 {
		return errors.New("--shoppers is 1 to 10,000,000, --days 1 to 3,650")
	}
	start, err := time.Parse(time.DateOnly, o.from)
	if err != nil {
		return fmt.Errorf("--from %q is not a day such as 2026-01-01", o.from)
	}
	w := bufio.NewWriter(a.out)
	c := simulate.NewCrowd(simulate.CrowdSettings{Seed: o.seed, Shoppers: o.shoppers, Days: o.days, Start: start})
	lines := json.NewEncoder(w)
	switch o.crowd {
	case "products":
		for _, p := range c.Products {
			if err := lines.Encode(p); err != nil {
				return err
			}
		}
		return w.Flush()
	case "events":
		for b := range c.Events() {
			if _, err := w.Write(append(b, '\n')); err != nil || ctx.Err() != nil {
				return cmp.Or(err, ctx.Err())
			}
		}
		return w.Flush()
	}
	for range c.Events() { // counts their orders
	}
	for _, s := range c.Shoppers {
		if err := lines.Encode(s); err != nil {
			return err
		}
	}
	return w.Flush()
}

func (a *app) simulate(ctx context.Context, o simulateFlags) error {
	if o.crowd != "" {
		return a.emitCrowd(ctx, o)
	}
	if o.batch < 1 || o.batch > 500 || o.decisions < 1 {
		return errors.New("--batch is 1 to 500, --decisions at least 1")
	}
	perDay, err := parseTraffic(o.traffic)
	if err != nil {
		return err
	}
	set, err := simulate.Kind(o.kind, o.seed)
	if err != nil {
		return err
	}
	set.Perday = perDay
	s := simulate.New(set)
	if o.emit != "" {
		return a.emitStore(o.emit, s.Declaration(o.policies[0]))
	}
	marks := learningMarks(o.decisions)
	var curves []chart.Line
	reports := make([]simulate.Report, len(o.policies))
	for i, policy := range o.policies {
		if reports[i], err = a.play(ctx, s, policy, marks, o); err != nil {
			return fmt.Errorf("%s: %w", policy, err)
		}
		c := chart.Line{Name: policy}
		for _, m := range reports[i].Curve {
			c.X, c.Y = append(c.X, float64(m.Calls)), append(c.Y, m.Share())
		}
		curves = append(curves, c)
	}
	a.printSimulation(s, o, reports)
	if perDay > 0 {
		a.printPayback(s, o, reports, perDay)
	}
	if o.svg == "" {
		return nil
	}
	return os.WriteFile(o.svg, []byte(chart.Lines(chart.LineFigure{ID: "learning", Title: "Regret as a share of uniform choice's",
		X: "decisions", Y: "share", LogX: true, Lines: curves})), 0o644)
}

// learningMarks are 1, 2 and 5 of each power of ten from 1,000 on, and the end.
func learningMarks(decisions int) []int {
	var out []int
	for p := 1000; p < decisions; p *= 10 {
		for _, f := range []int{1, 2, 5} {
			if f*p < decisions {
				out = append(out, f*p)
			}
		}
	}
	return append(out, decisions)
}

func parseTraffic(s string) (perDay float64, err error) {
	if s == "" {
		return 0, nil
	}
	n, unit, _ := strings.Cut(s, "/")
	perDay, err = strconv.ParseFloat(n, 64)
	if err != nil || !(perDay >= 1 && perDay <= 1e9) || unit != "" && unit != "day" {
		return 0, fmt.Errorf("--traffic %q is not decisions a day, such as 5000/day", s)
	}
	return perDay, nil
}

// play runs one policy on the store.
func (a *app) play(ctx context.Context, s *simulate.Store, policy string, marks []int, o simulateFlags) (rep simulate.Report, err error) {
	opts := simulate.Options{Seed: o.seed, Calls: o.decisions, Batch: o.batch, Marks: marks}
	shop := &simulatedShop{store: s}
	if term.IsTerminal(int(os.Stderr.Fd())) {
		shop.bar = progressbar.Default(int64(o.decisions), policy)
		defer shop.bar.Close()
	}
	if o.url != "" {
		c := client.New(o.url, cmp.Or(o.key, os.Getenv("JUNCTURE_KEY")), client.Options{Timeout: time.Minute, HTTP: &http.Client{}})
		shop.target = overHTTP{c}
		return s.Play(ctx, shop, opts)
	}
	dir, err := os.MkdirTemp("", "juncture-simulate-")
	if err != nil {
		return rep, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	own := *a
	own.DB, own.Seed, own.Node = filepath.Join(dir, "simulate.db"), o.seed, defaults().Node
	own.TestClock = true
	shop.now.Set(s.Start())
	own.now = shop.now.Now
	logger, err := a.logger()
	if err != nil {
		return rep, err
	}
	n, err := own.startNode(ctx, store.Options{Unsafe: true}, logger, own.now)
	if err != nil {
		return rep, err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	if _, err = applyTo(ctx, n.db, s.Declaration(policy), true, actor(), s.Start()); err != nil {
		return rep, err
	}
	shop.target = inProcess{n.engine}
	return s.Play(ctx, shop, opts)
}

// target takes a simulated shop's calls.
type target interface {
	Choose(ctx context.Context, now time.Time, rs []*juncture.ChooseRequest) ([]*juncture.ChooseAnswer, error)
	Reward(ctx context.Context, now time.Time, rs []*juncture.RewardRequest) error
}

// movedClock is a time that one goroutine moves and the node's jobs read. Its zero value is 1970.
type movedClock struct{ ns atomic.Int64 }

func (c *movedClock) Now() time.Time  { return time.Unix(0, c.ns.Load()).UTC() }
func (c *movedClock) Set(t time.Time) { c.ns.Store(t.UnixNano()) }

// simulatedShop speaks the API for a simulated store.
type simulatedShop struct {
	store  *simulate.Store
	target target
	bar    *progressbar.ProgressBar
	now    movedClock
	ids    map[int]string // decision ids of calls whose success may yet come
	oldest int
}

func (p *simulatedShop) Choose(ctx context.Context, calls []simulate.Call, out []simulate.Choice) error {
	rs := make([]*juncture.ChooseRequest, len(calls))
	for i, c := range calls {
		x := c.Intersection
		rs[i] = &juncture.ChooseRequest{Surface: simulate.Surface, ShopperID: "s" + strconv.Itoa(c.Shopper),
			Layers: &juncture.LayerValues{Moment: x[0], Meaning: x[1], Trajectory: x[2], Catalogue: x[3]}}
		for a, arm := range p.store.Arms {
			if !slices.Contains(c.Eligible, a) && !slices.Contains(rs[i].ExcludedActions, arm.Action) {
				rs[i].ExcludedActions = append(rs[i].ExcludedActions, arm.Action)
			}
		}
	}
	p.now.Set(calls[0].At)
	answers, err := p.target.Choose(ctx, calls[0].At, rs)
	if err != nil {
		return err
	}
	if p.ids == nil {
		p.ids = map[int]string{}
	}
	for i, a := range answers {
		if a.ActionID == nil {
			return fmt.Errorf("call %d: nothing was shown: %s %s", calls[i].Number, a.Reason, a.ReasonDetail)
		}
		arm := slices.IndexFunc(p.store.Arms, func(m juncture.Arm) bool { return m.Action == *a.ActionID && m.Copy == a.Copy.ID })
		if arm < 0 {
			return fmt.Errorf("call %d: %s/%s is not of the store", calls[i].Number, *a.ActionID, a.Copy.ID)
		}
		out[i] = simulate.Choice{Arm: arm, Probability: a.Probability}
		p.ids[calls[i].Number] = a.DecisionID
	}
	// What cannot succeed any more is forgotten.
	keep := len(calls)
	if p.store.Delay > 0 {
		keep += int(p.store.Perday * p.store.Window.Hours() / 24)
	}
	for last := calls[len(calls)-1].Number; p.oldest < last-keep; p.oldest++ {
		delete(p.ids, p.oldest)
	}
	if p.bar != nil {
		return p.bar.Add(len(calls))
	}
	return nil
}

func (p *simulatedShop) Reward(ctx context.Context, successes []simulate.Success) error {
	for part := range slices.Chunk(successes, 500) {
		rs := make([]*juncture.RewardRequest, len(part))
		for i, s := range part {
			rs[i] = &juncture.RewardRequest{DecisionID: p.ids[s.Call], Event: p.store.Goal(), OutcomeID: "o", OccurredAt: s.At.UTC().Format(time.RFC3339Nano)}
			if p.store.Money {
				rs[i].Value, rs[i].Currency = &part[i].Value, "EUR"
			}
		}
		if at := part[len(part)-1].At; at.After(p.now.Now()) {
			p.now.Set(at)
		}
		if err := p.target.Reward(ctx, p.now.Now(), rs); err != nil {
			return err
		}
	}
	return nil
}

// overHTTP drives a served store with the client.
type overHTTP struct{ client *client.Client }

func (h overHTTP) Choose(ctx context.Context, now time.Time, rs []*juncture.ChooseRequest) ([]*juncture.ChooseAnswer, error) {
	items, err := h.client.At(now).ChooseBatch(ctx, rs)
	if err != nil {
		return nil, err
	}
	out := make([]*juncture.ChooseAnswer, len(items))
	for i, item := range items {
		if item.Err != nil {
			return nil, item.Err
		}
		out[i] = item.Answer
	}
	return out, nil
}

func (h overHTTP) Reward(ctx context.Context, now time.Time, rs []*juncture.RewardRequest) error {
	items, err := h.client.At(now).RewardBatch(ctx, rs)
	if err != nil {
		return err
	}
	for _, item := range items {
		if item.Err != nil {
			return item.Err
		}
	}
	return nil
}

func (a *app) printSimulation(s *simulate.Store, o simulateFlags, reports []simulate.Report) {
	fmt.Fprintf(a.out, "store %s, seed %d: %d intersections, %d arms, %d decisions; regret as a share of uniform choice's\n\n",
		o.kind, o.seed, len(s.Keys), len(s.Arms), o.decisions)
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "DECISIONS\t")
	for _, p := range o.policies {
		fmt.Fprintf(w, "%s\t", strings.ToUpper(p))
	}
	fmt.Fprintln(w)
	for i := range reports[0].Curve {
		fmt.Fprintf(w, "%d\t", reports[0].Curve[i].Calls)
		for _, r := range reports {
			fmt.Fprintf(w, "%.3f\t", r.Curve[i].Share())
		}
		fmt.Fprintln(w)
	}
	w.Flush()
	fmt.Fprintln(a.out)
	for i, r := range reports {
		late := ""
		if s.Late > 0 {
			late = fmt.Sprintf("; of the fifth after the middle %.0f%% went to what came late, which is best in %.0f%%", 100*r.LateShare, 100*r.LateDue)
		}
		fmt.Fprintf(a.out, "%s: mean of 1/(p·K) %.4f ± %.4f (1: propensities are what they say)%s\n", o.policies[i], r.Propensity, r.PropensitySE, late)
	}
}

// printPayback says when a policy has earned back what its learning cost against showing one arm to all, the best one,
// had it been known from the start.
func (a *app) printPayback(s *simulate.Store, o simulateFlags, reports []simulate.Report, perDay float64) {
	fmt.Fprintln(a.out)
	for i, r := range reports {
		day := math.Inf(1)
		for _, m := range slices.Backward(r.Curve) {
			if m.Regret >= m.OneArm {
				break
			}
			day = float64(m.Calls) / perDay
		}
		if math.IsInf(day, 1) {
			fmt.Fprintf(a.out, "%s: at %.0f decisions a day it has not paid within %.0f days\n", o.policies[i], perDay, float64(o.decisions)/perDay)
			continue
		}
		fmt.Fprintf(a.out, "%s: at %.0f decisions a day it has earned more than the best single arm, known from the start, from day %.1f on\n", o.policies[i], perDay, day)
	}
}

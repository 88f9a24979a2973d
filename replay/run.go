package replay

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/juncture/juncture"
)

// Target is the engine, in the process or behind HTTP. now is the time of the call.
type Target interface {
	// Choose answers each request, in order.
	Choose(ctx context.Context, now time.Time, rs []*juncture.ChooseRequest) ([]*juncture.ChooseAnswer, error)
	// Activate makes a deferred decision a trial.
	Activate(ctx context.Context, now time.Time, decisionID string) error
	// Reward records outcomes; one that is refused is an error.
	Reward(ctx context.Context, now time.Time, rs []*juncture.RewardRequest) error
}

// Options of a pass.
type Options struct {
	Seed     uint64         // of the rows' order
	Batch    int            // rows in one call, 1 to 500
	Start    time.Time      // of the first row; row i comes i seconds later
	Progress func(rows int) // after each batch; may be nil
}

// Pass is one replay of a log.
type Pass struct {
	Seed   uint64
	Rows   int // put to the engine
	Used   int // where it chose what was logged
	Wins   int // of those, the ones with a reward
	Gain   float64
	GainSq float64 // sums of gains and their squares, for money
}

// Mean gain of a row that counted, 0 for none.
func (p Pass) Mean() float64 {
	if p.Used == 0 {
		return 0
	}
	return p.Gain / float64(p.Used)
}

// see counts one row, and reports whether it is used.
func (p *Pass) see(chosen, logged int, reward bool, gain float64) bool {
	p.Rows++
	if chosen != logged {
		return false
	}
	p.Used++
	if reward {
		p.Wins++
	}
	p.Gain += gain
	p.GainSq += gain * gain
	return true
}

// Run replays the log once. The engine must have no evidence yet.
func Run(ctx context.Context, t Target, l *Log, o Options) (Pass, error) {
	pass := Pass{Seed: o.Seed}
	order := rand.New(rand.NewPCG(o.Seed, 0x6f72646572)).Perm(len(l.Rows))
	arms := make(map[string]int, len(l.Arms))
	for i, a := range l.Arms {
		arms[a.ID] = i
	}
	for at := 0; at < len(order); at += o.Batch {
		batch := order[at:min(at+o.Batch, len(order))]
		if err := pass.batch(ctx, t, l, arms, batch, o.Start.Add(time.Duration(at)*time.Second)); err != nil {
			return pass, fmt.Errorf("seed %d, row %d of %d: %w", o.Seed, at+1, len(order), err)
		}
		if o.Progress != nil {
			o.Progress(len(batch))
		}
	}
	return pass, nil
}

// batch puts some rows to the engine. Activations go one by one: the engine renews its probabilities as evidence comes,
// so their order is part of what makes a pass repeatable.
func (p *Pass) batch(ctx context.Context, t Target, l *Log, arms map[string]int, rows []int, now time.Time) error {
	asks := make([]*juncture.ChooseRequest, len(rows))
	for i, k := range rows {
		r := &l.Rows[k]
		asks[i] = &juncture.ChooseRequest{Surface: surface, ShopperID: "line-" + strconv.Itoa(r.Line), Layers: &r.Layers, DeferActivation: true}
	}
	answers, err := t.Choose(ctx, now, asks)
	if err != nil {
		return fmt.Errorf("choose: %w", err)
	}
	var rewards []*juncture.RewardRequest
	for i, k := range rows {
		a, r := answers[i], &l.Rows[k]
		chosen, err := chosenArm(a, arms)
		if err != nil {
			return err
		}
		if !p.see(chosen, r.Arm, r.Reward, l.gain(r)) {
			continue
		}
		if err := t.Activate(ctx, now, a.DecisionID); err != nil {
			return fmt.Errorf("activate: %w", err)
		}
		if r.Reward {
			rewards = append(rewards, &juncture.RewardRequest{DecisionID: a.DecisionID, Event: eventReward})
		}
		if l.Money() && r.Value > 0 {
			rewards = append(rewards, &juncture.RewardRequest{DecisionID: a.DecisionID, Event: eventValue, Value: &r.Value, Currency: currency})
		}
	}
	for len(rewards) > 0 {
		n := min(len(rewards), MaxBatch)
		if err := t.Reward(ctx, now, rewards[:n]); err != nil {
			return fmt.Errorf("reward: %w", err)
		}
		rewards = rewards[n:]
	}
	return nil
}

// MaxBatch is the most rows that one call takes.
const MaxBatch = 500

// chosenArm finds the arm of an answer, and refuses one that a replay's own store would not give.
func chosenArm(a *juncture.ChooseAnswer, arms map[string]int) (int, error) {
	const hint = "; serve a database of its own and apply the file that --emit-store writes"
	switch {
	case a.ActionID == nil || a.Group != juncture.GroupPolicy:
		return 0, fmt.Errorf("the store answered for group %q, reason %s: its experiment is not the replay's%s", a.Group, a.Reason, hint)
	case len(a.Warnings) > 0:
		return 0, fmt.Errorf("the store warned: %s%s", strings.Join(a.Warnings, "; "), hint)
	}
	i, ok := arms[*a.ActionID]
	if !ok || len(a.Ranking) != len(arms) {
		return 0, fmt.Errorf("the store chose %q among %d arms, and the log has %d others%s", *a.ActionID, len(a.Ranking), len(arms), hint)
	}
	return i, nil
}

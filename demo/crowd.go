package demo

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/juncture/juncture"
)

// Target is the engine, as a shop sees it. now is the time of the call.
type Target interface {
	Choose(ctx context.Context, now time.Time, rs []*juncture.ChooseRequest) ([]*juncture.ChooseAnswer, error)
	Reward(ctx context.Context, now time.Time, rs []*juncture.RewardRequest) error
}

// Crowd lets the shoppers of a world visit, one batch after the other. It is for one goroutine.
type Crowd struct {
	world  *World
	target Target
	next   uint64 // visit
	owed   []owed // outcomes to be told, by due
}

// owed is an outcome that is told when visit due has come.
type owed struct {
	due uint64
	r   *juncture.RewardRequest
}

// NewCrowd makes a crowd whose first visit is number first.
func NewCrowd(w *World, t Target, first uint64) *Crowd {
	return &Crowd{world: w, target: t, next: first}
}

// Visits is the number of the next visit.
func (c *Crowd) Visits() uint64 { return c.next }

// Step lets n shoppers visit, 1 to 500, and tells the outcomes that are due.
func (c *Crowd) Step(ctx context.Context, now time.Time, n int) error {
	visits, asks := make([]Visit, n), make([]*juncture.ChooseRequest, n)
	for i := range visits {
		visits[i] = c.world.Visit(c.next + uint64(i))
		x := visits[i].At
		asks[i] = &juncture.ChooseRequest{Surface: Surface, ShopperID: visits[i].Shopper,
			Layers: &juncture.LayerValues{Moment: x[0], Meaning: x[1], Trajectory: x[2], Catalogue: x[3]}}
	}
	answers, err := c.target.Choose(ctx, now, asks)
	if err != nil {
		return fmt.Errorf("choose: %w", err)
	}
	for i, a := range answers {
		c.owe(visits[i], a, c.next+uint64(i))
	}
	c.next += uint64(n)
	return c.tell(ctx, now)
}

func (c *Crowd) owe(v Visit, a *juncture.ChooseAnswer, n uint64) {
	var shown juncture.Arm
	if a.ActionID != nil && a.Copy != nil {
		shown = juncture.Arm{Action: *a.ActionID, Copy: a.Copy.ID}
	}
	click, spend := v.Outcome(shown)
	if click {
		c.owed = append(c.owed, owed{n + uint64(v.delay), &juncture.RewardRequest{DecisionID: a.DecisionID, Event: Click}})
	}
	if spend > 0 {
		c.owed = append(c.owed, owed{n + uint64(v.delay+v.settle),
			&juncture.RewardRequest{DecisionID: a.DecisionID, Event: Purchase, Value: &spend, Currency: Currency, OutcomeID: "order"}})
	}
}

// maxRewards in one call.
const maxRewards = 500

// tell sends the outcomes that are due, earliest first.
func (c *Crowd) tell(ctx context.Context, now time.Time) error {
	slices.SortStableFunc(c.owed, func(a, b owed) int { return cmp.Compare(a.due, b.due) })
	due := 0
	for due < len(c.owed) && due < maxRewards && c.owed[due].due < c.next {
		due++
	}
	if due == 0 {
		return nil
	}
	rs := make([]*juncture.RewardRequest, due)
	for i := range rs {
		rs[i] = c.owed[i].r
	}
	if err := c.target.Reward(ctx, now, rs); err != nil {
		return fmt.Errorf("reward: %w", err)
	}
	c.owed = slices.Delete(c.owed, 0, due)
	return nil
}

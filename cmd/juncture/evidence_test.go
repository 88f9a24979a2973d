package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/internal/testkit"
)

// evidence writes made-up decisions of testkit's store through the ledger: traffic by rank r as 1/r over keys, each of
// them at least once, of which 4% succeed. They were never drawn, so they cannot be replayed.
type evidence struct {
	t     testing.TB
	n     *node
	keys  []juncture.Intersection
	rng   *rand.Rand
	start time.Time
	total int // spread over 19 days
	made  int
}

func newEvidence(t testing.TB, n *node, intersections, total int) *evidence {
	e := &evidence{t: t, n: n, total: total, rng: rand.New(rand.NewPCG(3, 3)), start: time.Now().UTC().AddDate(0, 0, -20).Truncate(time.Millisecond)}
	for _, lifecycle := range []string{"prospect", "first-time", "returning", "loyal"} {
		for _, status := range []string{"browsing", "cart-abandoned", "checkout-abandoned", "freshly-converted", "at-risk", "dormant"} {
			for _, mode := range []string{"researching", "considering"} {
				for m := range 15 {
					for t, trajectory := range []string{"low.none", "low.rising", "building.none", "building.rising", "high.rising", "high.falling", "fading.none"} {
						for c := range 2 {
							if len(e.keys) < intersections {
								e.keys = append(e.keys, juncture.Intersection{lifecycle + "." + status + "." + mode, fmt.Sprint("c", m), trajectory, fmt.Sprint("k", (t+c)%5)})
							}
						}
					}
				}
			}
		}
	}
	e.rng.Shuffle(len(e.keys), func(i, j int) { e.keys[i], e.keys[j] = e.keys[j], e.keys[i] })
	return e
}

// write commits as many more decisions, and the clicks that they brought.
func (e *evidence) write(most int) {
	e.t.Helper()
	click := testkit.Declaration().Outcomes[0]
	for most > 0 {
		entry := &juncture.Entry{}
		for range min(1000, most) {
			i := e.made
			e.made++
			x := e.keys[min(int(math.Pow(float64(len(e.keys)), e.rng.Float64()))-1, len(e.keys)-1)] // n^u: by rank as 1/rank
			if i < len(e.keys) {
				x = e.keys[i]
			}
			at := e.start.Add(time.Duration(i) * 19 * 24 * time.Hour / time.Duration(e.total)).Truncate(time.Millisecond)
			c := juncture.Claims{Serial: uint64(i+1) | 1<<juncture.NodeShift, At: at, Until: at.Add(24 * time.Hour), Experiment: "hero", Intersection: x, Arm: juncture.ArmID(1 + e.rng.IntN(5)), Group: juncture.GroupPolicy, Probability: 0.2}
			entry.Decisions = append(entry.Decisions, &juncture.DecisionWrite{SigningKey: 1, Decision: juncture.Decision{Claims: c, Surface: "home_hero", Shopper: "s" + strconv.Itoa(i%50_000), Reason: juncture.ReasonSplit, Share: 1,
				Ranking: []juncture.Ranked{{Arm: 1, Probability: 0.2}, {Arm: 2, Probability: 0.2}, {Arm: 3, Probability: 0.2}, {Arm: 4, Probability: 0.2}, {Arm: 5, Probability: 0.2}}}})
			if e.rng.Float64() < 0.03+0.005*float64(c.Arm) {
				entry.Outcomes = append(entry.Outcomes, &juncture.OutcomeWrite{Claims: c, Type: click, Mine: []uint64{c.Serial},
					Outcome: juncture.Outcome{Serial: c.Serial, Event: "click", ID: strconv.Itoa(i), Value: 1, Minor: 1, At: at, Received: at}})
			}
		}
		most -= len(entry.Decisions)
		if err := e.n.writer.Commit(context.Background(), entry); err != nil {
			e.t.Fatal(err)
		}
	}
}

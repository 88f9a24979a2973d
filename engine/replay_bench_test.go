package engine_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/internal/testkit"
)

// BenchmarkReplay makes decisions of a store again that has made 200,000, in commits of ten, at some 1,900 intersections;
// 4% succeed. It needs JUNCTURE_EVALUATE=1.
func BenchmarkReplay(b *testing.B) {
	if os.Getenv("JUNCTURE_EVALUATE") == "" {
		b.Skip("set JUNCTURE_EVALUATE=1: it makes 200,000 decisions first")
	}
	const total, batch = 200_000, 10
	s := &shop{testkit.Start(b, testkit.Declaration()), b}
	ctx := context.Background()
	random := rand.New(rand.NewPCG(1, 1))
	for i := 0; i < total; i += batch {
		rs := make([]*juncture.ChooseRequest, batch)
		for k := range rs {
			rs[k] = ask(fmt.Sprintf("s%d", i+k), at([]string{"loyal.at-risk.researching", "prospect.cart-abandoned._", "returning.browsing.considering", "first-time.dormant._"}[random.IntN(4)],
				fmt.Sprint("c", random.IntN(20)), []string{"low.rising", "high.falling", ""}[random.IntN(3)], fmt.Sprint("k", random.IntN(8))))
		}
		var rewards []*juncture.RewardRequest
		for _, a := range s.batch(rs...) {
			if random.Float64() < 0.04 {
				rewards = append(rewards, click(a.DecisionID))
			}
		}
		if len(rewards) > 0 {
			s.Engine.RewardBatch(ctx, s.Clock.Now(), rewards)
		}
		s.Clock.Advance(4 * time.Second)
	}
	last := s.log()
	var took []time.Duration
	r := s.replayer()
	again := time.Duration(0)
	for b.Loop() {
		began := time.Now()
		v, err := r.Replay(ctx, last[0].Serial)
		if err != nil || v.Verdict != juncture.VerdictMatch {
			b.Fatal(v, err)
		}
		if len(took) > 0 {
			again = time.Since(began)
		}
		took = append(took, time.Since(began))
	}
	size, err := os.Stat(s.Path())
	if err != nil {
		b.Fatal(err)
	}
	fmt.Printf("%d decisions, %d MB: the first replay takes %v, one of the same evidence %v\n", total, size.Size()>>20, slices.Max(took), again)
}

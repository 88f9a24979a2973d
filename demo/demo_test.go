package demo

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/juncture/juncture"
)

func TestSameSeedSameShoppers(t *testing.T) {
	a, b, other := NewWorld(1, 5000), NewWorld(1, 5000), NewWorld(2, 5000)
	atA, shareA := a.Intersections()
	atB, shareB := b.Intersections()
	if d := cmp.Diff(atA, atB) + cmp.Diff(shareA, shareB); d != "" {
		t.Error(d)
	}
	differ := 0
	for n := range uint64(1000) {
		if a.Visit(n) != b.Visit(n) {
			t.Fatalf("visit %d: %+v and %+v", n, a.Visit(n), b.Visit(n))
		}
		if a.Visit(n) != other.Visit(n) {
			differ++
		}
	}
	if differ < 1000 {
		t.Errorf("another seed changed %d of 1,000 visits", differ)
	}
}

func TestWorld(t *testing.T) {
	w := NewWorld(1, 0)
	at, share := w.Intersections()
	sum, lowest, highest := 0.0, 1.0, 0.0
	bests, cells := map[string]int{}, map[string]string{}
	for i, x := range at {
		sum += share[i]
		if i > 0 && share[i] > share[i-1]+1e-12 {
			t.Fatalf("traffic rises at %d", i)
		}
		if parsed, err := juncture.ParseIntersection(x.Key()); err != nil || parsed != x || x.Tier() != juncture.TierFull {
			t.Fatalf("%v: %v", x, err)
		}
		if s := x.Axis(juncture.Moment, 1); x.Axis(juncture.Moment, 0) == prospect && (s == freshlyConverted || s == atRisk) {
			t.Errorf("%s: a prospect has not ordered", x)
		}
		best := BestAction(x)
		bests[best]++
		cells[x.Axis(juncture.Moment, 0)+" "+x.Axis(juncture.Moment, 1)] = best
		for _, a := range Actions() {
			r := Rate(x, juncture.Arm{Action: a, Copy: "plain"})
			lowest, highest = min(lowest, r), max(highest, r)
			if r > Rate(x, juncture.Arm{Action: best, Copy: "plain"}) {
				t.Errorf("%s: %s beats %s", x, a, best)
			}
		}
	}
	if math.Abs(sum-1) > 1e-9 || len(bests) < 6 || len(cells) != 21 || lowest < 0.005 || highest > 0.3 {
		t.Errorf("shares sum to %v, bests %v, %d cells, rates %v to %v", sum, bests, len(cells), lowest, highest)
	}
	if Rate(at[0], juncture.Arm{}) != 0 {
		t.Error("nothing was clicked")
	}
	for _, a := range Actions() {
		if !strings.Contains(storeFile, "- id: "+a+"\n") {
			t.Errorf("the store file lacks %s", a)
		}
	}
}

// shop answers with one action, and remembers when it was told what.
type shop struct {
	n    int
	told []string
}

func (s *shop) Choose(_ context.Context, _ time.Time, rs []*juncture.ChooseRequest) ([]*juncture.ChooseAnswer, error) {
	out := make([]*juncture.ChooseAnswer, len(rs))
	for i := range rs {
		action := "style_guide"
		out[i] = &juncture.ChooseAnswer{DecisionID: fmt.Sprint(s.n), ActionID: &action, Copy: &juncture.CopyView{ID: "plain"}}
		s.n++
	}
	return out, nil
}

func (s *shop) Reward(_ context.Context, _ time.Time, rs []*juncture.RewardRequest) error {
	for _, r := range rs {
		s.told = append(s.told, r.DecisionID+" "+r.Event)
	}
	return nil
}

// TestCrowd: clicks come as often as the rates say, each once and after its decision.
func TestCrowd(t *testing.T) {
	w, s := NewWorld(3, 1000), &shop{}
	c := NewCrowd(w, s, 0)
	want := 0.0
	for n := range uint64(20_000) {
		want += Rate(w.Visit(n).At, juncture.Arm{Action: "style_guide", Copy: "plain"})
	}
	for c.Visits() < 20_000 {
		if err := c.Step(t.Context(), time.Time{}, 200); err != nil {
			t.Fatal(err)
		}
	}
	clicks, seen := 0, map[string]bool{}
	for _, call := range s.told {
		if seen[call] {
			t.Fatalf("%s was told twice", call)
		}
		seen[call] = true
		if strings.HasSuffix(call, Click) {
			clicks++
		}
	}
	if got := float64(clicks); math.Abs(got-want) > 4*math.Sqrt(want)+60 { // the last are still to be told
		t.Errorf("%v clicks, want about %v", got, want)
	}
	if len(seen) == clicks {
		t.Error("nobody bought anything")
	}
}

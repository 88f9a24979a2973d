package engine_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/engine"
)

// A policy under which people unsubscribe four times as often is taken back, for the sentence that says so, also after a
// restart; after a reset only who came since counts; one that does no harm is left alone.
func TestGuards(t *testing.T) {
	guarded := func(d *juncture.Declaration) {
		d.Outcomes = append(d.Outcomes, juncture.OutcomeType{Name: "unsubscribe", Type: juncture.OutcomeBinary})
		d.Experiments[0].Groups = juncture.GroupShares{Policy: 0.5, BAU: 0.5}
		d.Experiments[0].Guards = []juncture.Guard{{Outcome: "unsubscribe", Direction: juncture.GuardAbove, Margin: 0.2}}
	}
	s := open(t, guarded)
	ctx := context.Background()
	trips := func(since time.Time) []engine.Trip {
		t.Helper()
		x := *s.Engine.Pool().Experiments["hero"]
		got, err := engine.Guards{Units: s.DB, Config: s.DB}.Trips(ctx, x, since, s.Clock.Now())
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	play := func(prefix string, days int, policy int) {
		for d := range days {
			rs := make([]*juncture.ChooseRequest, 400)
			for i := range rs {
				rs[i] = ask(fmt.Sprint(prefix, d, "-", i))
			}
			var rewards []*juncture.RewardRequest
			for i, a := range s.batch(rs...) {
				every := 40 // 2.5% under bau
				if a.Group == juncture.GroupPolicy {
					every = policy
				}
				if i%every == 0 {
					rewards = append(rewards, &juncture.RewardRequest{DecisionID: a.DecisionID, Event: "unsubscribe"})
				}
			}
			for _, r := range s.Engine.RewardBatch(ctx, s.Clock.Now(), rewards) {
				if r.Err != nil {
					t.Fatal(r.Err)
				}
			}
			s.Clock.Advance(day)
		}
		s.Clock.Advance(2 * day)
	}
	play("calm", 5, 40)
	if got := trips(time.Time{}); len(got) != 0 {
		t.Fatalf("no harm, and %+v", got)
	}
	play("harm", 8, 10)
	got := trips(time.Time{})
	if len(got) != 1 || !strings.HasPrefix(got[0].Why, "Unsubscribe rose: ") {
		t.Fatalf("%+v", got)
	}
	s.Restart()
	if again := trips(time.Time{}); len(again) != 1 || again[0].Why != got[0].Why {
		t.Errorf("after a restart %+v", again)
	}
	reset := s.Clock.Now()
	if got := trips(reset); len(got) != 0 {
		t.Errorf("nobody came since, and %+v", got)
	}
	play("again", 8, 10)
	if got := trips(reset); len(got) != 1 {
		t.Errorf("harm since the reset, and %+v", got)
	}
}

package engine_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/engine"
	"github.com/juncture/juncture/experiments/report"
	"github.com/juncture/juncture/internal/testkit"
)

// A bot found later is taken out as if it had never come: tallies, reports, and whatever comes for it afterwards.
func TestExcludedIsAsIfNeverThere(t *testing.T) {
	with := func(bot bool) (*shop, func(what string) report.Report) {
		s := open(t, testkit.Shares(0.5, 0.2, 0.2, 0.1), testkit.Hero(func(e *juncture.Experiment) { e.Stickiness = juncture.StickyNone }))
		ids := []string{"ann", "bob", "cid", "dee", "eve"}
		for round := range 3 {
			for _, id := range ids {
				a := s.choose(ask(id))
				if round > 0 {
					s.reward(buy(a.DecisionID, "o", 20))
				}
			}
			if bot {
				late := s.choose(ask("crawler", deferred))
				s.reward(click(s.choose(ask("crawler")).DecisionID))
				s.reward(buy(late.DecisionID, "held", 9)) // waits for its activation
			}
			s.Clock.Advance(time.Hour)
		}
		return s, func(what string) report.Report {
			r, err := s.Engine.Report(context.Background(), "hero", s.Clock.Now().Add(5*day), report.Query{})
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			for i := range r.Groups {
				r.Groups[i].Merged = 0
			}
			return r
		}
	}
	clean, want := with(false)
	s, got := with(true)
	if cmp.Equal(want("clean"), got("before")) {
		t.Fatal("the bot left no trace to take out")
	}
	old := s.choose(ask("crawler"))
	for i, already := range []bool{false, true} {
		x, err := s.Engine.Exclude(context.Background(), s.Clock.Now(), engine.Who{Actor: "key:ops", From: "api"}, "crawler", juncture.ExcludedBot, "4,000 calls in a minute")
		if err != nil || x.Already != already || i == 0 && (x.Trials != 4 || x.Units != 1) {
			t.Fatalf("%+v, %v", x, err)
		}
	}
	a := s.choose(ask("crawler"))
	if a.ReasonDetail != juncture.DetailBot || a.Group != juncture.GroupNone || a.ActionID == nil || a.Active {
		t.Errorf("%+v", a)
	}
	for _, id := range []string{old.DecisionID, a.DecisionID} {
		s.rewardIs(juncture.StatusIgnored, click(id))
	}
	s.rewardIs(juncture.StatusIgnored, byShopper("crawler", "click"))
	s.Verify()
	ignore := cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "AsOf" }, cmp.Ignore())
	if d := cmp.Diff(want("clean"), got("after"), ignore); d != "" {
		t.Errorf("with the bot taken out: %s", d)
	}
	s.Restart()
	if a := s.choose(ask("crawler")); a.ReasonDetail != juncture.DetailBot {
		t.Errorf("after a restart %+v", a)
	}
	for _, bad := range [][3]string{{"", "bot", "x"}, {"a", "ghost", "x"}, {"a", "bot", ""}} {
		if _, err := s.Engine.Exclude(context.Background(), s.Clock.Now(), engine.Who{}, bad[0], bad[1], bad[2]); juncture.ErrorCode(err) != juncture.CodeInvalidRequest {
			t.Errorf("%q: %v", bad, err)
		}
	}
	clean.Verify()
}

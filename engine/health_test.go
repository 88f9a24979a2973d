package engine_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/engine"
	"github.com/juncture/juncture/experiments/health"
	"github.com/juncture/juncture/experiments/watch"
	"github.com/juncture/juncture/internal/testkit"
)

// healthOf reads the experiment's health, once all decisions that are old enough are folded.
func (s *shop) healthOf(id string) watch.Health {
	s.t.Helper()
	s.watchAll()
	h, err := s.Engine.Health(context.Background(), id, s.Clock.Now())
	if err != nil {
		s.t.Fatal(err)
	}
	return h
}

func (s *shop) watchAll() (read int) {
	s.t.Helper()
	for {
		n, err := s.Engine.Watch(context.Background(), s.Clock.Now())
		if err != nil {
			s.t.Fatal(err)
		}
		if read += n; n == 0 {
			return read
		}
	}
}

func who() engine.Who { return engine.Who{Actor: "key:ops", From: "api"} }

func checkOf(t testing.TB, h watch.Health, name string) watch.Check {
	t.Helper()
	i := slices.IndexFunc(h.Checks, func(c watch.Check) bool { return c.Name == name })
	if i < 0 {
		t.Fatalf("no check is called %q: %+v", name, h.Checks)
	}
	return h.Checks[i]
}

// An honest fortnight: a store-wide holdout, groups, merges, a bot taken out, outcomes. Nothing speaks against its numbers.
func TestHealthOfAnHonestExperiment(t *testing.T) {
	s := open(t, testkit.Shares(0.4, 0.3, 0.2, 0.1), func(d *juncture.Declaration) {
		d.Holdouts = []juncture.Holdout{{ID: "all", Share: 0.1}}
	})
	s.fortnight(14, 60, func(a *juncture.ChooseAnswer, n int) bool { return n%4 == 0 })
	if _, err := s.Engine.Exclude(context.Background(), s.Clock.Now(), who(), "s3-4", juncture.ExcludedBot, "a test"); err != nil {
		t.Fatal(err)
	}
	h := s.healthOf("hero")
	if h.State != health.VerdictOK || !slices.Equal(h.Sentences, []string{"Nothing speaks against the numbers."}) {
		t.Errorf("%s: %q", h.State, h.Sentences)
	}
	drawn, kept := checkOf(t, h, "groups"), checkOf(t, h, "groups-kept")
	n := func(c watch.Check) (sum int64) {
		for _, r := range c.Ratio.Rows {
			sum += r.Observed
		}
		return sum
	}
	// 840 shoppers, of whom about a tenth are held out above the experiment; one of those in it was taken out, or the holdout's was.
	if all := n(drawn); all < 700 || all > 800 || all-n(kept) != h.Excluded || len(drawn.Ratio.Rows) != 4 {
		t.Errorf("drawn %+v, kept %+v, excluded %d", drawn.Ratio, kept.Ratio, h.Excluded)
	}
	if c := checkOf(t, h, "draws"); c.Ratio.E <= 0 || c.Ratio.E > 1000 || len(c.Ratio.Rows) != 5 { // 4 actions, one with two copies
		t.Errorf("draws %+v", c)
	}
	if c := checkOf(t, h, "entropy"); len(c.Entropy) != 14 || c.Entropy[0].Decisions == 0 {
		t.Errorf("entropy %+v", c)
	}
	if c := checkOf(t, h, "joins-by-arm"); c.Verdict != health.VerdictOK || len(c.Rates.Rows) != 5 {
		t.Errorf("joins %+v", c)
	}
	above := s.healthOf("all")
	if c := checkOf(t, above, "groups"); !above.Holdout || n(c) != 840 || len(c.Ratio.Rows) != 2 || above.State != health.VerdictOK {
		t.Errorf("holdout %+v", above)
	}
	if _, err := s.Engine.Health(context.Background(), "none", s.Clock.Now()); juncture.ErrorCode(err) != juncture.CodeNotFound {
		t.Errorf("none: %v", err)
	}
	var b bytes.Buffer
	if err := watch.Write(&b, h); err != nil || !strings.Contains(b.String(), "health of experiment hero") || strings.Count(b.String(), "\n") < len(h.Checks)+5 {
		t.Errorf("%s, %v", b.String(), err)
	}
	s.Restart()
	if again := s.healthOf("hero"); !cmp.Equal(h, again) {
		t.Errorf("after a restart: %s", cmp.Diff(h, again))
	}
	s.Verify()
}

// fortnight has new shoppers come every day; clicks says which decision, counted over the run, is clicked.
func (s *shop) fortnight(days, shoppers int, clicks func(a *juncture.ChooseAnswer, n int) bool) {
	s.t.Helper()
	count := 0
	for d := range days {
		for i := range shoppers {
			moment := []string{"loyal._._", "prospect._._"}[i%2]
			a := s.choose(ask(fmt.Sprintf("s%d-%d", d, i), at(moment, "c1", "_", "_"), session("x")))
			if count++; clicks(a, count) {
				s.reward(click(a.DecisionID))
			}
			s.Clock.Advance(10 * time.Minute)
		}
		s.Clock.Advance(24*time.Hour - time.Duration(shoppers)*10*time.Minute)
	}
}

// A filter that flags one group's shoppers more often takes them out of it: the ratio as drawn is right, what is left is not,
// and both the filter and the ratio say so.
func TestHealthFindsAFilterThatLeans(t *testing.T) {
	s := open(t, testkit.Shares(0.5, 0.5, 0, 0))
	for i := range 1600 {
		id := fmt.Sprint("s", i)
		if a := s.choose(ask(id)); a.Group == juncture.GroupRandom && i%3 == 0 {
			if _, err := s.Engine.Exclude(context.Background(), s.Clock.Now(), who(), id, juncture.ExcludedBot, "a test"); err != nil {
				t.Fatal(err)
			}
		}
	}
	h := s.healthOf("hero")
	drawn, kept, filter := checkOf(t, h, "groups"), checkOf(t, h, "groups-kept"), checkOf(t, h, "exclusions")
	if h.Excluded < 220 || drawn.Verdict != health.VerdictOK { // a third of half of 1,600 is 267
		t.Errorf("%d taken out, as drawn %s: %s", h.Excluded, drawn.Verdict, drawn.Sentence)
	}
	if filter.Verdict != health.VerdictMismatch || kept.Verdict != health.VerdictMismatch || h.State != health.VerdictMismatch {
		t.Errorf("%s, filter %s, kept %s", h.State, filter.Verdict, kept.Verdict)
	}
	if len(h.Sentences) < 2 || !strings.HasPrefix(h.Sentences[0], kept.Title) || !strings.HasPrefix(h.Sentences[1], filter.Title) {
		t.Errorf("%q", h.Sentences)
	}
	s.Verify()
}

// What is folded does not depend on how the walk was cut, on a crash between, or on who looks; deferred decisions count only
// if they are activated by then, and those that were served another way, or are nobody's, never.
func TestWatchFoldsEachDecisionOnce(t *testing.T) {
	s := open(t, testkit.Shares(0.5, 0.5, 0, 0), testkit.Hero(func(e *juncture.Experiment) { e.Stickiness = juncture.StickyNone }))
	var waiting []string
	for i := range 40 {
		waiting = append(waiting, s.choose(ask(fmt.Sprint("d", i), deferred)).DecisionID)
	}
	for i := range 20 {
		s.choose(ask(fmt.Sprint("s", i)))
	}
	s.choose(ask("no", denied))
	for _, id := range waiting[:10] {
		s.activate(id, nil)
	}
	shown := s.activate(waiting[10], &juncture.Served{ActionID: "points", CopyID: "plain"})
	if !shown.Active {
		t.Fatalf("%+v", shown)
	}
	if n := s.watchAll(); n != 0 {
		t.Errorf("%d were read before they were an hour old", n)
	}
	s.Clock.Advance(time.Hour)
	if n := s.watchAll(); n != 61 {
		t.Errorf("%d were read, not 61", n)
	}
	for _, id := range waiting[11:] { // too late to be counted
		s.activate(id, nil)
	}
	s.Clock.Advance(2 * time.Hour)
	if n := s.watchAll(); n != 0 {
		t.Errorf("%d were read again", n)
	}
	s.choose(ask("one more"))
	s.Clock.Advance(2 * time.Hour)
	s.Restart()
	c := checkOf(t, s.healthOf("hero"), "draws")
	var drawn int64
	for _, r := range c.Ratio.Rows {
		drawn += r.Observed
	}
	served := int64(0)
	if s.decidedArm(waiting[10]) != "points" { // else it was shown what was decided
		served = 1
	}
	if want := int64(10 + 20 + 1 + 1 - served); drawn != want {
		t.Errorf("%d draws were folded, not %d: %+v", drawn, want, c.Ratio.Rows)
	}
}

func (s *shop) decidedArm(id string) string {
	s.t.Helper()
	c, err := s.Engine.OpenDecision(id)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.Engine.Pool().Arms[c.Arm].Arm.Action
}

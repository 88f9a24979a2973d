package engine_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/engine"
	"github.com/juncture/juncture/internal/testkit"
)

func byShopper(shopper, event string) *juncture.RewardRequest {
	return &juncture.RewardRequest{ShopperID: shopper, Event: event}
}

func occurred(at time.Time, r *juncture.RewardRequest) *juncture.RewardRequest {
	r.OccurredAt = at.Format(time.RFC3339Nano)
	return r
}

func refund(id, outcome, of string, value *float64) *juncture.RewardRequest {
	r := &juncture.RewardRequest{DecisionID: id, Event: "purchase", OutcomeID: outcome, Adjusts: &of, Value: value}
	if value != nil {
		r.Currency = "GBP"
	}
	return r
}

func TestRewardsThatAreRefused(t *testing.T) {
	s := open(t)
	a := s.choose(ask("s"))
	s.reward(buy(a.DecisionID, "o1", 50))
	now := s.Clock.Now()
	with := func(f func(*juncture.RewardRequest)) *juncture.RewardRequest {
		r := buy(a.DecisionID, "o2", 5)
		f(r)
		return r
	}
	for _, c := range []struct {
		what string
		r    *juncture.RewardRequest
		code juncture.Code
	}{
		{"no event", with(func(r *juncture.RewardRequest) { r.Event = "" }), juncture.CodeInvalidRequest},
		{"an unknown event", with(func(r *juncture.RewardRequest) { r.Event = "joy" }), juncture.CodeInvalidRequest},
		{"nobody", with(func(r *juncture.RewardRequest) { r.DecisionID = "" }), juncture.CodeInvalidRequest},
		{"both ids", with(func(r *juncture.RewardRequest) { r.ShopperID = "s" }), juncture.CodeInvalidRequest},
		{"a forged decision", with(func(r *juncture.RewardRequest) { r.DecisionID = "B" + r.DecisionID[1:] }), juncture.CodeDecisionNotFound},
		{"an altered decision", with(func(r *juncture.RewardRequest) { r.DecisionID = r.DecisionID[:60] + "A" + r.DecisionID[61:] }), juncture.CodeDecisionNotFound},
		{"a long outcomeId", with(func(r *juncture.RewardRequest) { r.OutcomeID = strings.Repeat("x", 257) }), juncture.CodeInvalidRequest},
		{"a null byte", with(func(r *juncture.RewardRequest) { r.OutcomeID = "a\x00" }), juncture.CodeInvalidRequest},
		{"money without value", with(func(r *juncture.RewardRequest) { r.Value = nil }), juncture.CodeInvalidRequest},
		{"money without currency", with(func(r *juncture.RewardRequest) { r.Currency = "" }), juncture.CodeInvalidRequest},
		{"another currency", with(func(r *juncture.RewardRequest) { r.Currency = "EUR" }), juncture.CodeInvalidRequest},
		{"a small currency", with(func(r *juncture.RewardRequest) { r.Currency = "gbp" }), juncture.CodeInvalidRequest},
		{"NaN", with(func(r *juncture.RewardRequest) { r.Value = new(math.NaN()) }), juncture.CodeInvalidRequest},
		{"infinity", with(func(r *juncture.RewardRequest) { r.Value = new(math.Inf(1)) }), juncture.CodeInvalidRequest},
		{"beyond the bound", with(func(r *juncture.RewardRequest) { r.Value = new(5000.01) }), juncture.CodeUnprocessable},
		{"a negative value", with(func(r *juncture.RewardRequest) { r.Value = new(-1.0) }), juncture.CodeUnprocessable},
		{"half a click", &juncture.RewardRequest{DecisionID: a.DecisionID, Event: "click", Value: new(0.5)}, juncture.CodeInvalidRequest},
		{"two clicks", &juncture.RewardRequest{DecisionID: a.DecisionID, Event: "click", Value: new(2.0)}, juncture.CodeUnprocessable},
		{"a click's currency", &juncture.RewardRequest{DecisionID: a.DecisionID, Event: "click", Currency: "GBP"}, juncture.CodeInvalidRequest},
		{"no time", with(func(r *juncture.RewardRequest) { r.OccurredAt = "yesterday" }), juncture.CodeInvalidRequest},
		{"more than 5 minutes ahead", occurred(now.Add(5*time.Minute+time.Millisecond), buy(a.DecisionID, "o2", 5)), juncture.CodeInvalidRequest},
		{"before the decision", occurred(now.Add(-time.Second), buy(a.DecisionID, "o2", 5)), juncture.CodeUnprocessable},
		{"long before it", occurred(now.Add(-100*day), buy(a.DecisionID, "o2", 5)), juncture.CodeUnprocessable},
		{"the same id, another value", buy(a.DecisionID, "o1", 51), juncture.CodeOutcomeConflict},
		{"a refund of nothing", refund(a.DecisionID, "r", "ghost", nil), juncture.CodeUnprocessable},
		{"a refund of another event's outcome", &juncture.RewardRequest{DecisionID: a.DecisionID, Event: "click", OutcomeID: "r", Adjusts: new("o1")}, juncture.CodeUnprocessable},
		{"a refund below zero", refund(a.DecisionID, "r", "o1", new(-50.01)), juncture.CodeUnprocessable},
		{"a refund in another currency", func() *juncture.RewardRequest {
			r := refund(a.DecisionID, "r", "o1", nil)
			r.Currency = "EUR"
			return r
		}(), juncture.CodeInvalidRequest},
	} {
		t.Run(c.what, func(t *testing.T) { (&shop{s.Node, t}).rewardFails(c.r, c.code) })
	}
	s.totalsAre(1, 1)
}

func TestRewardsAtTheEdgeAreTaken(t *testing.T) {
	s := open(t)
	a := s.choose(ask("s"))
	now := s.Clock.Now()
	s.rewardIs(juncture.StatusRecorded, occurred(now.Add(5*time.Minute), buy(a.DecisionID, "ahead", 1)))
	s.rewardIs(juncture.StatusRecorded, buy(a.DecisionID, "bound", 5000))
	s.rewardIs(juncture.StatusRecorded, buy(a.DecisionID, "zero", 0))
	s.rewardIs(juncture.StatusRecorded, &juncture.RewardRequest{DecisionID: a.DecisionID, Event: "click", OutcomeID: "none", Value: new(0.0)})
	s.Clock.Advance(500 * time.Millisecond)
	b := s.choose(ask("s"))
	s.rewardIs(juncture.StatusRecorded, occurred(now, click(b.DecisionID))) // the decision's own second, as clients send it
	order := buy("", "by shopper", 1)
	order.ShopperID = "s"
	got := s.rewardIs(juncture.StatusRecorded, occurred(now, order))
	if got.AttributedTo[0].DecisionID != b.DecisionID {
		t.Error("by the shopper's id it belongs to another decision")
	}
	s.totalsAre(2, 6)
}

func TestRepeatsOfAReward(t *testing.T) {
	s := open(t)
	a := s.choose(ask("s"))
	first := s.rewardIs(juncture.StatusRecorded, click(a.DecisionID))
	if !first.Learned || first.Reward != 1 || len(first.AttributedTo) != 1 || first.AttributedTo[0].DecisionID != a.DecisionID ||
		first.AttributedTo[0].Credit != 1 || first.AttributedTo[0].Experiment != "hero" || first.AttributedTo[0].ActionID != *a.ActionID {
		t.Errorf("%+v", first)
	}
	for range 3 {
		if again := s.rewardIs(juncture.StatusDuplicate, click(a.DecisionID)); again.Learned {
			t.Error("learnt twice")
		}
	}
	second := click(a.DecisionID)
	second.OutcomeID = "other"
	if got := s.rewardIs(juncture.StatusRecorded, second); got.Learned {
		t.Error("a second click of one trial moves the posterior")
	}
	if got := s.rewardIs(juncture.StatusRecorded, buy(a.DecisionID, "", 5)); got.Learned {
		t.Error("an outcome that is not the goal moves the posterior")
	}
	s.Restart()
	s.rewardIs(juncture.StatusDuplicate, click(a.DecisionID))
	s.totalsAre(1, 3)
	res := s.Engine.RewardBatch(context.Background(), s.Clock.Now(), []*juncture.RewardRequest{buy(a.DecisionID, "b", 1), nil, buy(a.DecisionID, "b", 1), buy(a.DecisionID, "b", 2)})
	if res[0].Answer.Status != juncture.StatusRecorded || res[1].Answer != nil || res[2].Answer.Status != juncture.StatusDuplicate || juncture.ErrorCode(res[3].Err) != juncture.CodeOutcomeConflict {
		t.Errorf("in one batch: %+v", res)
	}
	statuses := concurrently(t, 20, func(int) (string, error) {
		a, err := s.Engine.Reward(context.Background(), s.Clock.Now(), buy(a.DecisionID, "c", 1))
		if err != nil {
			return "", err
		}
		return string(a.Status), nil
	})
	slices.Sort(statuses)
	if statuses[18] != "duplicate" || statuses[19] != "recorded" {
		t.Errorf("at once: %v", statuses)
	}
	s.totalsAre(1, 5)
}

func TestRefunds(t *testing.T) {
	s := open(t, testkit.Hero(func(e *juncture.Experiment) { e.Goal.Outcome = "purchase" }))
	a := s.choose(ask("s", candidates("news")))
	arm := "news@1/plain@1"
	s.rewardIs(juncture.StatusRecorded, buy(a.DecisionID, "o1", 50))
	if got := s.rewardIs(juncture.StatusRecorded, refund(a.DecisionID, "r1", "o1", new(-20.0))); got.Reward != -20 || !got.Learned {
		t.Errorf("partial: %+v", got)
	}
	if got := s.Ledger().Arms[arm]; got != [2]int64{1, 1} {
		t.Errorf("after a partial refund %v", got)
	}
	s.rewardIs(juncture.StatusDuplicate, refund(a.DecisionID, "r1", "o1", new(-20.0)))
	if got := s.rewardIs(juncture.StatusRecorded, refund(a.DecisionID, "r2", "o1", nil)); got.Reward != -30 { // 50 − 20 are left
		t.Errorf("the rest: %+v", got)
	}
	if got := s.Ledger().Arms[arm]; got != [2]int64{1, 0} {
		t.Errorf("after a whole refund %v", got)
	}
	s.rewardIs(juncture.StatusDuplicate, refund(a.DecisionID, "r2", "o1", nil))
	// A year later, what was learnt is still undone.
	s.rewardIs(juncture.StatusRecorded, buy(a.DecisionID, "o2", 10))
	s.Clock.Advance(365 * day)
	s.rewardIs(juncture.StatusRecorded, refund(a.DecisionID, "r3", "o2", nil))
	s.rewardIs(juncture.StatusLate, buy(a.DecisionID, "o3", 10))
	s.rewardIs(juncture.StatusLate, refund(a.DecisionID, "r4", "o3", new(-1.0)))
	s.totalsAre(1, 1) // the late one, partly refunded
	for _, c := range s.cells("hero") {
		for _, r := range c.Rows {
			if r.Event == "purchase" && (r.Successes != 0 || r.Value != 0 || r.LogValue != 0 || r.LogValueSq != 0) {
				t.Errorf("a refund left %+v", r)
			}
		}
	}
}

func (s *shop) cells(experiment string) []juncture.Cell {
	s.t.Helper()
	ev, err := s.Engine.Evidence(context.Background(), experiment, s.Clock.Now())
	if err != nil {
		s.t.Fatal(err)
	}
	return ev.Cells
}

func TestLateRewards(t *testing.T) {
	week := 7 * day
	for _, c := range []struct {
		what    string
		window  time.Duration // of the outcome itself; 0: the experiment's 24 h
		arrives time.Duration // after the decision
		says    time.Duration // occurredAt after the decision; 0: none
		want    juncture.Status
	}{
		{"in time", 0, day, 0, juncture.StatusRecorded},
		{"too late", 0, day + time.Millisecond, 0, juncture.StatusLate},
		{"the outcome's own window", week, 6 * day, 0, juncture.StatusRecorded},
		{"after the outcome's own window", week, week + 1*time.Millisecond, 0, juncture.StatusLate},
		{"a shorter window", time.Hour, 2 * time.Hour, 0, juncture.StatusLate},
		{"arrives late, happened in time, within 72 hours", 0, 3*day + time.Hour, day, juncture.StatusRecorded}, // 49 h after
		{"exactly 72 hours after", 0, 4 * day, day, juncture.StatusRecorded},
		{"happened in time, but told after 72 hours", 0, 4*day + time.Second, day, juncture.StatusLate},
		{"arrives in time, says too late", 0, day - time.Second, day + time.Second, juncture.StatusLate},
	} {
		s := open(t, func(d *juncture.Declaration) { d.Outcomes[1].Window = juncture.Duration(c.window) })
		a := s.choose(ask("s"))
		r := buy(a.DecisionID, "o", 5)
		if c.says != 0 {
			occurred(s.Clock.Now().Add(c.says), r)
		}
		s.Clock.Advance(c.arrives)
		if got := s.reward(r); got.Status != c.want || got.Learned {
			t.Errorf("%s: %s, learned %v", c.what, got.Status, got.Learned)
		}
		s.totalsAre(1, 1) // reported in either case
	}
}

func TestDeferredActivation(t *testing.T) {
	s := open(t)
	a := s.choose(ask("s", deferred, candidates("news")))
	if a.Active {
		t.Error("active before its activation")
	}
	held := s.rewardIs(juncture.StatusHeld, click(a.DecisionID))
	if held.Learned {
		t.Error("learnt before the activation")
	}
	s.rewardIs(juncture.StatusHeld, buy(a.DecisionID, "late", 5))
	s.totalsAre(0, 0)
	at := s.Clock.Advance(48 * time.Hour)
	got := s.activate(a.DecisionID, nil)
	if got.Status != "activated" || !got.Active || !got.RewardUntil.Equal(at.Add(day)) {
		t.Errorf("%+v", got)
	}
	s.totalsAre(1, 2)
	s.Clock.Advance(time.Hour)
	if again := s.activate(a.DecisionID, nil); again.Status != "duplicate" || !again.RewardUntil.Equal(at.Add(day)) {
		t.Errorf("again: %+v", again)
	}
	s.Clock.Advance(23 * time.Hour) // the window runs from the activation
	s.rewardIs(juncture.StatusRecorded, buy(a.DecisionID, "in time", 5))
	s.Clock.Advance(time.Millisecond)
	s.rewardIs(juncture.StatusLate, buy(a.DecisionID, "too late", 5))
	s.totalsAre(1, 4)
	b := s.choose(ask("s"))
	if got := s.activate(b.DecisionID, nil); got.Status != "duplicate" || !got.Active {
		t.Errorf("what is a trial: %+v", got)
	}
	for what, r := range map[string]juncture.ActivateRequest{
		string(juncture.CodeInvalidRequest): {}, string(juncture.CodeDecisionNotFound): {DecisionID: a.DecisionID + "A"},
	} {
		if _, err := s.Engine.Activate(context.Background(), s.Clock.Now(), &r); juncture.ErrorCode(err) != juncture.Code(what) {
			t.Errorf("%+v: %v, want %s", r, err, what)
		}
	}
	s.totalsAre(2, 4)
}

func TestServedMovesTheTrial(t *testing.T) {
	s := open(t)
	arms := func(want map[string][2]int64) {
		t.Helper()
		got := s.Ledger().Arms
		for arm, n := range want {
			if got[arm] != n {
				t.Errorf("%s has %v, want %v", arm, got[arm], n)
			}
		}
		s.Verify()
	}
	news, points := "news@1/plain@1", "points@1/plain@1"
	a := s.choose(ask("s", candidates("news")))
	s.reward(click(a.DecisionID))
	s.reward(buy(a.DecisionID, "o", 5))
	arms(map[string][2]int64{news: {1, 2}, points: {0, 0}})
	if got := s.activate(a.DecisionID, &juncture.Served{ActionID: "points", Probability: 0.5}); got.Status != "activated" {
		t.Errorf("%+v", got)
	}
	arms(map[string][2]int64{news: {0, 0}, points: {1, 2}})
	if got := s.reward(buy(a.DecisionID, "p", 5)); got.AttributedTo[0].ActionID != "points" {
		t.Errorf("credited to %s", got.AttributedTo[0].ActionID)
	}
	arms(map[string][2]int64{news: {0, 0}, points: {1, 3}})
	if got := s.activate(a.DecisionID, &juncture.Served{ActionID: "points"}); got.Status != "duplicate" {
		t.Errorf("again: %+v", got)
	}
	for what, c := range map[string]struct {
		served juncture.Served
		code   juncture.Code
	}{
		"another arm again":        {juncture.Served{ActionID: "welcome"}, juncture.CodeDecisionConflict},
		"no live arm":              {juncture.Served{ActionID: "ghost"}, juncture.CodeInvalidRequest},
		"no such copy":             {juncture.Served{ActionID: "points", CopyID: "ghost"}, juncture.CodeInvalidRequest},
		"a probability over 1":     {juncture.Served{ActionID: "points", Probability: 1.5}, juncture.CodeInvalidRequest},
		"a probability that isn't": {juncture.Served{ActionID: "points", Probability: math.NaN()}, juncture.CodeInvalidRequest},
	} {
		if _, err := s.Engine.Activate(context.Background(), s.Clock.Now(), &juncture.ActivateRequest{DecisionID: a.DecisionID, Served: &c.served}); juncture.ErrorCode(err) != c.code {
			t.Errorf("%s: %v, want %s", what, err, c.code)
		}
	}
	b := s.choose(ask("t", deferred, candidates("news")))
	s.rewardIs(juncture.StatusHeld, click(b.DecisionID))
	s.activate(b.DecisionID, &juncture.Served{ActionID: "five_off", CopyID: "urgent"})
	arms(map[string][2]int64{news: {0, 0}, "five_off@1/urgent@1": {1, 1}})
	if got := s.activate(s.choose(ask("u", candidates("news"))).DecisionID, &juncture.Served{ActionID: "news"}); got.Status != "duplicate" {
		t.Errorf("the decided arm was served: %+v", got)
	}
}

func TestCreditByShopper(t *testing.T) {
	s := open(t, func(d *juncture.Declaration) {
		d.Experiments = append(d.Experiments, juncture.Experiment{ID: "mail", Surface: "cart_email", Status: juncture.StatusRunning,
			Goal: juncture.Goal{Outcome: "click", Window: juncture.Duration(day)}, Groups: juncture.GroupShares{Policy: 1}})
	})
	mail := func(r *juncture.ChooseRequest) { r.Surface = "cart_email" }
	credits := func(a *juncture.RewardAnswer) string {
		var out []string
		for _, c := range a.AttributedTo {
			out = append(out, c.DecisionID)
		}
		slices.Sort(out)
		return strings.Join(out, " ")
	}
	if got := s.rewardIs(juncture.StatusIgnored, byShopper("s", "click")); len(got.AttributedTo) != 0 {
		t.Errorf("credited to nothing seen: %+v", got)
	}
	one := s.choose(ask("s"))
	s.Clock.Advance(time.Hour)
	two := s.choose(ask("s"))
	if got := s.rewardIs(juncture.StatusRecorded, byShopper("s", "click")); credits(got) != two.DecisionID {
		t.Error("not the last touch")
	}
	order := func(outcome string) *juncture.RewardRequest {
		r := buy("", outcome, 10)
		r.ShopperID = "s"
		return r
	}
	first := s.rewardIs(juncture.StatusRecorded, order("o1"))
	s.Clock.Advance(time.Hour)
	three := s.choose(ask("s"))
	if again := s.rewardIs(juncture.StatusDuplicate, order("o1")); credits(again) != credits(first) {
		t.Error("a repeat was credited to another decision")
	}
	back := order("r1")
	back.Adjusts, back.Value, back.Currency = new("o1"), nil, ""
	if got := s.rewardIs(juncture.StatusRecorded, back); credits(got) != two.DecisionID || got.Reward != -10 {
		t.Errorf("the refund went elsewhere: %+v", got)
	}
	// What happened between two decisions belongs to the earlier.
	if got := s.rewardIs(juncture.StatusRecorded, occurred(testkit.Epoch().Add(30*time.Minute), order("o2"))); credits(got) != one.DecisionID {
		t.Error("credited to a decision after it")
	}
	// One credit in each experiment, previews and denied consent left out.
	four := s.choose(ask("s", mail))
	s.choose(ask("s", mail, denied))
	both := []string{three.DecisionID, four.DecisionID}
	slices.Sort(both)
	if got := s.rewardIs(juncture.StatusIgnored, order("o3")); len(got.AttributedTo) != 0 {
		t.Errorf("somebody who denied was credited: %+v", got)
	}
	s.Clock.Advance(time.Second)
	s.tell(engine.Incoming{UserID: "s", Consent: juncture.ConsentRecord{Personalization: juncture.ConsentGranted}})
	if got := s.rewardIs(juncture.StatusRecorded, order("o3")); credits(got) != strings.Join(both, " ") {
		t.Errorf("credited to %d decisions, want the last touch of each experiment", len(got.AttributedTo))
	}
	// What waits for its activation was not seen by anybody; when it is activated, it is the last touch.
	s.Clock.Advance(time.Minute)
	five := s.choose(ask("s", deferred))
	if got := s.rewardIs(juncture.StatusRecorded, order("o4")); credits(got) != strings.Join(both, " ") {
		t.Error("credited to a decision that nobody saw")
	}
	s.activate(five.DecisionID, nil)
	both = []string{five.DecisionID, four.DecisionID}
	slices.Sort(both)
	if got := s.rewardIs(juncture.StatusRecorded, order("o5")); credits(got) != strings.Join(both, " ") {
		t.Error("an activated decision is not the last touch")
	}
	only := s.choose(ask("t", deferred))
	if got := s.rewardIs(juncture.StatusHeld, byShopper("t", "click")); credits(got) != only.DecisionID {
		t.Error("the only decision, not activated yet, does not hold the outcome")
	}
	// Nothing open: the latest, late.
	s.Clock.Advance(3 * day)
	if got := s.rewardIs(juncture.StatusLate, order("o6")); credits(got) != strings.Join(both, " ") {
		t.Error("a late outcome is not the last touch's")
	}
	s.Verify()
}

func TestCreditFollowsAliases(t *testing.T) {
	s := open(t)
	a := s.choose(ask("", ids("", "device")))
	s.choose(ask("", ids("user", "device"), func(r *juncture.ChooseRequest) { r.Surface = "cart_email" }))
	for _, id := range []string{"device", "user"} {
		r := byShopper(id, "click")
		r.OutcomeID = id
		if got := s.rewardIs(juncture.StatusRecorded, r); len(got.AttributedTo) != 1 || got.AttributedTo[0].DecisionID != a.DecisionID {
			t.Errorf("%s: %+v", id, got)
		}
	}
	s.totalsAre(2, 2) // the mail surface runs no experiment: a trial, never credited
}

func TestRewardsOfHeldOutShoppersAreCounted(t *testing.T) {
	s := open(t, testkit.Shares(0, 0, 0, 1))
	s.choose(ask("s"))
	if got := s.rewardIs(juncture.StatusRecorded, byShopper("s", "click")); got.Learned || got.AttributedTo[0].ActionID != "" {
		t.Errorf("%+v", got)
	}
	if l := s.Ledger(); l.Arms["-"] != [2]int64{1, 1} {
		t.Errorf("%+v", l)
	}
}

func TestEvidenceOfAnExperiment(t *testing.T) {
	s := open(t)
	for i := range 30 {
		a := s.choose(ask(fmt.Sprint("s", i), at("loyal", "c1", "", "")))
		if i%3 == 0 {
			s.reward(click(a.DecisionID))
		}
	}
	read := func() (trials, successes int64) {
		t.Helper()
		for _, c := range s.cells("hero") {
			for _, r := range c.Rows {
				trials += r.Trials
				if _, ok := r.Enrolments(); !ok {
					successes += r.Successes
				}
			}
		}
		return trials, successes
	}
	for range 2 {
		if n, y := read(); n != 30 || y != 10 {
			t.Errorf("%d trials, %d successes; want 30 and 10", n, y)
		}
		s.Checkpoint()
		if n, y := read(); n != 30 || y != 10 {
			t.Errorf("after a checkpoint %d trials, %d successes; want 30 and 10", n, y)
		}
		s.Restart()
	}
	if _, err := s.Engine.Evidence(context.Background(), "none", s.Clock.Now()); juncture.ErrorCode(err) != juncture.CodeNotFound {
		t.Errorf("%v", err)
	}
}

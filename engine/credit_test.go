package engine_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/engine"
)

// The same outcome of the same shopper is credited once, however often it is told while decisions come in.
func TestAnOutcomeOfAShopperIsCreditedOnceWhileDecisionsCome(t *testing.T) {
	s := open(t)
	for round := range 20 {
		shopper := fmt.Sprint("racer-", round)
		s.choose(ask(shopper))
		var wg sync.WaitGroup
		statuses := make([]juncture.Status, 8)
		for i := range statuses {
			wg.Go(func() {
				if i%2 == 0 {
					if _, err := s.Engine.Choose(context.Background(), s.Clock.Now(), caller(), ask(shopper)); err != nil {
						t.Error(err)
					}
				}
				a, err := s.Engine.Reward(context.Background(), s.Clock.Now(), &juncture.RewardRequest{ShopperID: shopper, Event: "click", OutcomeID: "o"})
				if err != nil {
					t.Error(err)
					return
				}
				statuses[i] = a.Status
			})
		}
		wg.Wait()
		if n := len(slices.DeleteFunc(slices.Clone(statuses), func(s juncture.Status) bool { return s != juncture.StatusRecorded })); n != 1 {
			t.Errorf("round %d: recorded %d times: %v", round, n, statuses)
		}
	}
}

// An outcome told under an id stays where it was credited when that id turns out to be somebody known before, and its
// refund finds it.
func TestAnOutcomeFromBeforeAMergeIsKnownAfterIt(t *testing.T) {
	s := open(t)
	s.choose(&juncture.ChooseRequest{Surface: "home_hero", AnonymousID: "phone"})
	s.choose(ask("ada"))
	tell := func(r juncture.RewardRequest) (*juncture.RewardAnswer, error) {
		r.ShopperID, r.Event, r.Currency = "ada", "purchase", "GBP"
		return s.Engine.Reward(context.Background(), s.Clock.Now(), &r)
	}
	fifty := 50.0
	if a, err := tell(juncture.RewardRequest{OutcomeID: "order", Value: &fifty}); err != nil || a.Status != juncture.StatusRecorded {
		t.Fatalf("%+v, %v", a, err)
	}
	s.choose(&juncture.ChooseRequest{Surface: "home_hero", ShopperID: "ada", AnonymousID: "phone"})
	if a, err := tell(juncture.RewardRequest{OutcomeID: "order", Value: &fifty}); err != nil || a.Status != juncture.StatusDuplicate {
		t.Errorf("told again after the merge: %+v, %v", a, err)
	}
	order := "order"
	if a, err := tell(juncture.RewardRequest{OutcomeID: "refund", Adjusts: &order}); err != nil || a.Reward != -50 {
		t.Errorf("its refund: %+v, %v", a, err)
	}
	if _, err := tell(juncture.RewardRequest{OutcomeID: "refund 2", Adjusts: &order}); juncture.ErrorCode(err) != juncture.CodeUnprocessable {
		t.Errorf("a refund of nothing: %v", err)
	}
}

func TestADecisionHoldsSoManyOutcomes(t *testing.T) {
	s := open(t)
	id := s.choose(ask("busy")).DecisionID
	for i := range juncture.MaxPerDecision + 1 {
		_, err := s.Engine.Reward(context.Background(), s.Clock.Now(), &juncture.RewardRequest{DecisionID: id, Event: "click", OutcomeID: fmt.Sprint(i)})
		if want := i >= juncture.MaxPerDecision; (juncture.ErrorCode(err) == juncture.CodeUnprocessable) != want || err != nil && !want {
			t.Fatalf("outcome %d: %v", i, err)
		}
	}
	a, err := s.Engine.Reward(context.Background(), s.Clock.Now(), &juncture.RewardRequest{DecisionID: id, Event: "click", OutcomeID: "7"})
	if err != nil || a.Status != juncture.StatusDuplicate {
		t.Errorf("a repeat on a full decision: %+v, %v", a, err)
	}
}

// A key that stands in web pages must not fill a layer with made-up values.
func TestAPublicCallerFillsHalfALayer(t *testing.T) {
	s := open(t, func(d *juncture.Declaration) {
		d.Layers["catalogue"] = juncture.LayerSetting{Source: juncture.SourceRequest, MaxValues: 10}
	})
	known := func(who engine.Caller, value string) bool {
		t.Helper()
		a, err := s.Engine.Choose(context.Background(), s.Clock.Now(), who, ask("ann", at("", "", "", value)))
		if err != nil {
			t.Fatal(err)
		}
		return a.Intersection.Layers["catalogue"].Value == value
	}
	public := engine.Caller{KeyID: "page", Public: true}
	for i := range 8 {
		if got, want := known(public, fmt.Sprint("made-up-", i)), i < 5; got != want {
			t.Errorf("value %d of a public caller is used: %v", i, got)
		}
	}
	for i := range 6 {
		if got, want := known(caller(), fmt.Sprint("real-", i)), i < 5; got != want {
			t.Errorf("value %d of the shop's server is used: %v", i, got)
		}
	}
	if !known(public, "real-1") {
		t.Error("a value that the store knows is not used for a public caller")
	}
}

// What a sticky answer says of its own call is not said again to the next.
func TestAStickyAnswerBringsNoWarningsOfTheFirstCall(t *testing.T) {
	s := open(t)
	s.choose(ask("ann", session("s"), func(r *juncture.ChooseRequest) { r.Explain = true; r.Candidates = []string{"nothing", "welcome"} }))
	a := s.choose(ask("ann", session("s")))
	if a.ReasonDetail == juncture.DetailSticky && (a.Explanation != nil || len(a.Warnings) > 0) {
		t.Errorf("%+v, %v", a.Explanation, a.Warnings)
	}
	b := s.choose(ask("ann", session("s"), at("Not Valid", "", "", "")))
	if b.ReasonDetail == juncture.DetailSticky && len(b.Warnings) != 1 {
		t.Errorf("the call's own warnings: %v", b.Warnings)
	}
}

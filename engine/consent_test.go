package engine_test

import (
	"context"
	"testing"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/engine"
	"github.com/juncture/juncture/internal/testkit"
)

func TestConsentDenied(t *testing.T) {
	for what, consent := range map[string]juncture.Consent{
		"personalization": {Personalization: "denied"}, "analytics": {Analytics: "denied"}, "both": {Personalization: "denied", Analytics: "denied"},
	} {
		t.Run(what, func(t *testing.T) {
			s := open(t, testkit.Shares(0, 0, 0, 1)) // in the experiment the shopper would be held out
			a := s.choose(ask("secret-shopper", ids("secret-shopper", "secret-device"), session("secret-session"), at("loyal", "c1", "", ""),
				func(r *juncture.ChooseRequest) { r.Consent = &consent }))
			if a.ReasonDetail != juncture.DetailConsentDenied || a.ActionID == nil || a.Active {
				t.Errorf("%s, active %v, served %s", a.ReasonDetail, a.Active, served(a))
			}
			if consent.Personalization == "denied" && (a.Intersection.Key != "v1/_/_/_/_" || a.Intersection.Tier != "store") {
				t.Errorf("personalised: %s", a.Intersection.Key)
			}
			s.rewardIs(juncture.StatusIgnored, click(a.DecisionID))
			s.rewardIs(juncture.StatusIgnored, buy(a.DecisionID, "o", 5))
			if got := s.activate(a.DecisionID, nil); got.Status != "ignored" || got.Active {
				t.Errorf("activated: %+v", got)
			}
			s.rewardIs(juncture.StatusIgnored, &juncture.RewardRequest{ShopperID: "secret-shopper", Event: "click"})
			s.totalsAre(0, 0)
			if v := s.Verify(); v.Decisions != 1 || v.Outcomes != 2 {
				t.Errorf("not logged: %+v", v)
			}
			s.holdsNo("secret-")
		})
	}
}

// holdsNo fails the test where a text stands anywhere in the database.
func (s *shop) holdsNo(text string) {
	s.t.Helper()
	found, err := find(s.Path(), text)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range found {
		s.t.Errorf("%q is in %s", text, f)
	}
}

func TestConsentUnknownOrGrantedIsAskedNoMore(t *testing.T) {
	s := open(t)
	for _, word := range []string{"", "granted", "unknown"} {
		if a := s.choose(ask("s", func(r *juncture.ChooseRequest) { r.Consent = &juncture.Consent{Personalization: word, Analytics: word} })); !a.Active || a.Group != juncture.GroupPolicy {
			t.Errorf("%q: %+v", word, a)
		}
	}
	s.totalsAre(3, 0)
}

func TestPreview(t *testing.T) {
	s := open(t, testkit.Shares(0, 0, 0, 1), testkit.Action("five_off", func(a *juncture.Action) {
		a.Rule, a.Copy = "false", []juncture.Copy{{ID: "zest", Headline: "first"}, {ID: "able", Headline: "second"}}
	}))
	preview := func(action string) *juncture.ChooseAnswer {
		t.Helper()
		a, err := s.Engine.Choose(context.Background(), s.Clock.Now(), engine.Caller{KeyID: "k", Admin: true},
			ask("s", session("x"), func(r *juncture.ChooseRequest) { r.Preview = &juncture.Preview{ActionID: action} }))
		if err != nil {
			t.Fatal(err)
		}
		sound(t, a)
		return a
	}
	a := preview("five_off") // though its rule does not hold
	is(t, a, juncture.GroupNone, juncture.ReasonStatic, juncture.DetailPreview)
	if served(a) != "five_off/zest" || a.Active || a.Probability != 1 {
		t.Errorf("%s, active %v, p %v; want the action's first copy", served(a), a.Active, a.Probability)
	}
	s.rewardIs(juncture.StatusIgnored, click(a.DecisionID))
	b := preview("nothing")
	is(t, b, juncture.GroupNone, juncture.ReasonDefault, juncture.DetailPreview)
	warned(t, b, "preview")
	is(t, s.choose(ask("s", session("x"))), juncture.GroupHoldout, juncture.ReasonSplit, juncture.DetailHoldout) // a preview does not stick
	s.totalsAre(1, 0)
}

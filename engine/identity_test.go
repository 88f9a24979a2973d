package engine_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/engine"
	"github.com/juncture/juncture/internal/testkit"
)

// tell ingests events that say who is who, and what of consent.
func (s *shop) tell(in ...engine.Incoming) engine.Taken {
	s.t.Helper()
	for i := range in {
		in[i].Raw = []byte("{}")
		in[i].Event = juncture.Event{ID: fmt.Sprint(in[i].UserID, in[i].AnonymousID, in[i].PreviousID, s.Clock.Now(), i), Kind: juncture.EventIdentified, Name: "identify", At: s.Clock.Now()}
	}
	t, err := s.Engine.Ingest(context.Background(), s.Clock.Now(), in, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return t
}

// public asks with a publishable key.
func (s *shop) public(r *juncture.ChooseRequest) *juncture.ChooseAnswer {
	s.t.Helper()
	a, err := s.Engine.Choose(context.Background(), s.Clock.Now(), engine.Caller{KeyID: "pub", Public: true}, r)
	if err != nil {
		s.t.Fatal(err)
	}
	sound(s.t, a)
	return a
}

func (s *shop) isDenied(what string, r *juncture.ChooseRequest, want bool) {
	s.t.Helper()
	s.Clock.Advance(time.Minute)
	if a := s.choose(r); (a.ReasonDetail == juncture.DetailConsentDenied) != want {
		s.t.Errorf("%s: %q, want denied: %v", what, a.ReasonDetail, want)
	}
}

func (s *shop) shopperIs(id, want string) {
	s.t.Helper()
	if got, err := s.DB.Shopper(context.Background(), id); got != want || err != nil {
		s.t.Errorf("%s is %q's, %v; want %q", id, got, err, want)
	}
}

func TestADenialTravelsToEveryId(t *testing.T) {
	for what, sign := range map[string]func(s *shop){
		"by a call":          func(s *shop) { s.choose(ask("", ids("secret-k", "secret-dev"))) },
		"by identify":        func(s *shop) { s.tell(engine.Incoming{UserID: "secret-k", AnonymousID: "secret-dev"}) },
		"by alias":           func(s *shop) { s.tell(engine.Incoming{UserID: "secret-k", PreviousID: "secret-dev", Trusted: true}) },
		"by a page's call":   func(s *shop) { s.public(ask("", ids("secret-k", "secret-dev"))) },
		"by a page's events": func(s *shop) { s.tell(engine.Incoming{UserID: "secret-k", AnonymousID: "secret-dev", Scope: "pub"}) },
	} {
		for _, denier := range []string{"secret-k", "secret-dev"} {
			t.Run(what+" of "+denier, func(t *testing.T) {
				s := open(t)
				s.isDenied("says it", ask(denier, denied), true)
				s.isDenied("the one", ask("secret-k"), denier == "secret-k")
				s.Clock.Advance(time.Minute)
				sign(s)
				s.isDenied("the person", ask("secret-k"), true)
				s.isDenied("the device", ask("", ids("", "secret-dev")), true)
				s.isDenied("both", ask("", ids("secret-k", "secret-dev")), true)
				s.Restart()
				s.isDenied("the device, later", ask("", ids("", "secret-dev")), true)
				if denier == "secret-k" { // nothing was ever logged of either
					s.holdsNo("secret-")
				}
				s.isDenied("until both are granted", ask("", ids("secret-k", "secret-dev"), granted), false)
				s.isDenied("the device, granted", ask("", ids("", "secret-dev")), false)
			})
		}
	}
}

func TestTwoPeopleAtOneDevice(t *testing.T) {
	s := open(t, testkit.Hero(func(e *juncture.Experiment) { e.Stickiness = juncture.StickyWindow }))
	first := s.choose(ask("", ids("k1", "dev")))
	s.shopperIs("k1", "dev")
	second := s.choose(ask("", ids("k2", "dev")))
	if second.DecisionID == first.DecisionID {
		t.Error("k2 got k1's answer")
	}
	for range 2 {
		s.shopperIs("k1", "dev")
		s.shopperIs("k2", "k2")
		s.shopperIs("dev", "k2")
		if a := s.choose(ask("k1")); a.DecisionID != first.DecisionID {
			t.Error("k1 lost their answer")
		}
		for _, who := range []func(*juncture.ChooseRequest){ids("k2", ""), ids("", "dev"), ids("k2", "dev")} {
			if a := s.choose(ask("", who)); a.DecisionID != second.DecisionID {
				t.Error("the device is not k2's")
			}
		}
		s.Restart()
	}
	// The same by events, with what they did.
	s.track("e1", juncture.EventOrderCompleted, "k1", "tab", s.Clock.Now())
	s.track("e2", juncture.EventProductViewed, "k2", "tab", s.Clock.Now())
	s.track("e3", juncture.EventProductViewed, "", "tab", s.Clock.Now())
	for id, want := range map[string]int64{"k1": 1, "k2": 0, "tab": 0, "dev": 0} {
		if p, err := s.Engine.Profile(context.Background(), id, s.Clock.Now()); err != nil || p.PurchaseCount != want {
			t.Errorf("%s has %+v, %v", id, p, err)
		}
	}
	// k1 says no on what is k2's device by now: it is theirs again, and k2 goes on.
	s.Clock.Advance(time.Minute)
	s.choose(ask("", ids("k1", "tab"), denied))
	s.isDenied("k1", ask("k1"), true)
	s.isDenied("the device", ask("", ids("", "tab")), true)
	s.isDenied("k2", ask("k2"), false)
	// A name is no device.
	s.choose(ask("", ids("k3", "k2")))
	s.shopperIs("k2", "k2")
}

func TestAnAliasOfTwoPeopleNeedsTrust(t *testing.T) {
	s := open(t)
	s.tell(engine.Incoming{UserID: "k1"}, engine.Incoming{UserID: "k2"})
	s.Clock.Advance(time.Minute)
	if got := s.tell(engine.Incoming{UserID: "k1", PreviousID: "k2", Scope: "pub"}); got != (engine.Taken{Refused: 1}) {
		t.Errorf("%+v", got)
	}
	s.shopperIs("k2", "k2")
	if got := s.tell(engine.Incoming{UserID: "k1", PreviousID: "k2", Trusted: true}); got.Accepted != 1 {
		t.Errorf("%+v", got)
	}
	s.shopperIs("k2", "k1")
}

// What a web page says by itself neither denies nor allows anything for a person known by name.
func TestAPageHasNoWordForOthers(t *testing.T) {
	s := open(t)
	s.choose(ask("", ids("k", "dev")))
	s.tell(engine.Incoming{AnonymousID: "other"})
	for what, who := range map[string]func(*juncture.ChooseRequest){"the name": ids("k", ""), "with another device": ids("k", "new"), "with a device of nobody": ids("k", "other"), "twice": ids("k", "k")} {
		s.Clock.Advance(time.Minute)
		if a := s.public(ask("", who, denied)); a.ReasonDetail != juncture.DetailConsentDenied {
			t.Errorf("%s: it holds for the call itself: %q", what, a.ReasonDetail)
		}
		s.isDenied(what, ask("k"), false)
		s.isDenied(what+", the device", ask("", ids("", "dev")), false)
	}
	s.public(ask("", ids("k", "dev"), denied))
	s.isDenied("with their own device", ask("k"), true)
	for what, who := range map[string]func(*juncture.ChooseRequest){"the name": ids("k", ""), "with another device": ids("k", "new2"), "twice": ids("k", "k")} {
		s.Clock.Advance(time.Minute)
		if a := s.public(ask("", who, granted)); a.ReasonDetail != juncture.DetailConsentDenied {
			t.Errorf("%s lifted it", what)
		}
		s.isDenied(what, ask("k"), true)
	}
	s.Clock.Advance(time.Minute)
	s.public(ask("", ids("k", "dev"), granted))
	s.isDenied("lifted with their own device", ask("k"), false)
	// Who was never seen may say it, and take it back with the device that they said it with.
	s.public(ask("", ids("n", "n-dev"), denied))
	s.isDenied("never seen", ask("n"), true)
	s.Clock.Advance(time.Minute)
	s.public(ask("n", granted))
	s.isDenied("never seen, by name", ask("n"), true)
	s.Clock.Advance(time.Minute)
	s.public(ask("", ids("n", "n-dev"), granted))
	s.isDenied("with the device", ask("n"), false)
	s.public(ask("", ids("", "anon"), denied))
	s.isDenied("anonymous", ask("", ids("", "anon")), true)
}

func TestNothingOfBeforeADenialIsRepeatedOrTaught(t *testing.T) {
	s := open(t)
	r := ask("", ids("k", "dev"), request("r1"), at("loyal", "c1", "", ""))
	before := s.choose(r)
	by := byShopper("k", "click")
	s.rewardIs(juncture.StatusRecorded, by)
	s.isDenied("says no", ask("", ids("", "dev"), denied), true)
	s.rewardIs(juncture.StatusIgnored, byShopper("k", "click"))
	s.rewardIs(juncture.StatusIgnored, byShopper("dev", "click"))
	s.rewardIs(juncture.StatusRecorded, buy(before.DecisionID, "o", 5)) // decided with consent
	a := s.choose(r)
	if a.DecisionID == before.DecisionID || a.ReasonDetail != juncture.DetailConsentDenied || a.Intersection.Tier != "store" || a.Active {
		t.Errorf("replayed: %+v", a)
	}
	for range 2 {
		if again := s.choose(r); again.DecisionID != a.DecisionID || again.ReasonDetail != juncture.DetailReplay {
			t.Errorf("the answer in its place: %s, %s", again.DecisionID, again.ReasonDetail)
		}
		s.Restart()
	}
	other := ask("", ids("k", "dev"), request("r1"))
	s.chooseFails(other, juncture.CodeDecisionConflict)
	s.totalsAre(1, 2)
}

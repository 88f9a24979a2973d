package engine_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/engine"
	"github.com/juncture/juncture/internal/testkit"
)

func TestRepeatedRequestIDs(t *testing.T) {
	s := open(t)
	first := s.choose(ask("s", request("r1")))
	again := s.choose(ask("s", request("r1")))
	if again.ReasonDetail != juncture.DetailReplay {
		t.Errorf("detail %q", again.ReasonDetail)
	}
	again.ReasonDetail = first.ReasonDetail
	if d := cmp.Diff(first, again); d != "" {
		t.Errorf("the same request again:\n%s", d)
	}
	s.chooseFails(ask("other", request("r1")), juncture.CodeDecisionConflict)
	s.chooseFails(ask("s", request("r1"), session("x")), juncture.CodeDecisionConflict)
	if a, err := s.Engine.Choose(context.Background(), s.Clock.Now(), engine.Caller{KeyID: "another"}, ask("other", request("r1"))); err != nil || a.DecisionID == first.DecisionID {
		t.Errorf("another key's request of this id: %v", err)
	}
	s.Restart()
	if a := s.choose(ask("s", request("r1"))); a.DecisionID != first.DecisionID || a.ReasonDetail != juncture.DetailReplay {
		t.Errorf("after a restart: %s %s", a.DecisionID, a.ReasonDetail)
	}
	s.chooseFails(ask("other", request("r1")), juncture.CodeDecisionConflict)
	s.Clock.Advance(7*day - time.Millisecond)
	if a := s.choose(ask("s", request("r1"))); a.DecisionID != first.DecisionID {
		t.Error("forgotten before 7 days")
	}
	s.Clock.Advance(time.Millisecond)
	if a := s.choose(ask("s", request("r1"))); a.DecisionID == first.DecisionID {
		t.Error("kept beyond 7 days")
	}
	s.totalsAre(3, 0) // the first, the other key's, the one after 7 days
}

func TestRepeatedRequestIDsInOneBatch(t *testing.T) {
	s := open(t)
	out := s.Engine.ChooseBatch(context.Background(), s.Clock.Now(), caller(), []*juncture.ChooseRequest{ask("s", request("r")), ask("s", request("r")), ask("o", request("r"))})
	if out[0].Err != nil || out[1].Err != nil || out[0].Answer.DecisionID != out[1].Answer.DecisionID || out[1].Answer.ReasonDetail != juncture.DetailReplay {
		t.Errorf("%+v", out)
	}
	if juncture.ErrorCode(out[2].Err) != juncture.CodeDecisionConflict {
		t.Errorf("another body: %v", out[2].Err)
	}
	s.totalsAre(1, 0)
}

func TestConcurrentRequestsOfOneIDGiveOneDecision(t *testing.T) {
	for name, changes := range map[string][]func(*juncture.ChooseRequest){"plain": nil, "in a session": {session("x")}} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			ids := concurrently(t, 40, func(int) (string, error) {
				a, err := s.Engine.Choose(context.Background(), s.Clock.Now(), caller(), ask("s", append(changes, request("r"))...))
				if err != nil {
					return "", err
				}
				return a.DecisionID, nil
			})
			if ids = slices.Compact(ids); len(ids) != 1 {
				t.Errorf("%d decisions", len(ids))
			}
			s.totalsAre(1, 0)
		})
	}
}

// concurrently calls f n times at once and returns what it gave, in order of the calls.
func concurrently(t *testing.T, n int, f func(i int) (string, error)) []string {
	t.Helper()
	out, errs, done := make([]string, n), make([]error, n), make(chan int)
	for i := range n {
		go func() { out[i], errs[i] = f(i); done <- i }()
	}
	for range n {
		<-done
	}
	for i, err := range errs {
		if err != nil {
			t.Fatalf("call %d: %v", i, err)
		}
	}
	return out
}

func TestARequestIDInASessionKeepsItsBody(t *testing.T) {
	s := open(t)
	first := s.choose(ask("s", session("x")))
	if a := s.choose(ask("s", session("x"), request("r"))); a.DecisionID != first.DecisionID || a.ReasonDetail != juncture.DetailSticky {
		t.Errorf("%+v", a)
	}
	if a := s.choose(ask("s", session("x"), request("r"))); a.DecisionID != first.DecisionID || a.ReasonDetail != juncture.DetailReplay {
		t.Errorf("%+v", a)
	}
	s.chooseFails(ask("s", session("y"), request("r")), juncture.CodeDecisionConflict)
	// In one batch: both are answered by stickiness, and the second is another body.
	out := s.Engine.ChooseBatch(context.Background(), s.Clock.Now(), caller(), []*juncture.ChooseRequest{
		ask("s", session("x"), request("q")), ask("s", session("x"), request("q"), at("loyal", "", "", ""))})
	if out[0].Err != nil || juncture.ErrorCode(out[1].Err) != juncture.CodeDecisionConflict {
		t.Errorf("%v, %v", out[0].Err, out[1].Err)
	}
	s.totalsAre(1, 0)
}

func TestStickiness(t *testing.T) {
	hour := time.Hour
	for _, c := range []struct {
		mode    string
		session [2]string
		after   time.Duration
		sticky  bool
	}{
		{"", [2]string{"x", "x"}, hour, true}, // onsite: by session
		{"", [2]string{"x", "y"}, hour, false},
		{"", [2]string{"", ""}, hour, false}, // none sent
		{juncture.StickySession, [2]string{"x", "x"}, hour, true},
		{juncture.StickySession, [2]string{"x", "x"}, day, false}, // the window is over
		{juncture.StickyNone, [2]string{"x", "x"}, hour, false},
		{juncture.StickyWindow, [2]string{"x", "y"}, hour, true},
		{juncture.StickyWindow, [2]string{"", ""}, day - 1, true},
		{juncture.StickyWindow, [2]string{"", ""}, day, false},
	} {
		for _, defers := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s %v %v deferred %v", c.mode, c.session, c.after, defers), func(t *testing.T) {
				s := open(t, testkit.Hero(func(e *juncture.Experiment) { e.Stickiness = c.mode }))
				r := func(i int) *juncture.ChooseRequest {
					return ask("s", session(c.session[i]), func(r *juncture.ChooseRequest) { r.DeferActivation = defers })
				}
				first := s.choose(r(0))
				s.Clock.Advance(c.after)
				second := s.choose(r(1))
				if got := second.DecisionID == first.DecisionID; got != c.sticky || got != (second.ReasonDetail == juncture.DetailSticky) {
					t.Errorf("sticky %v, detail %q; want %v", got, second.ReasonDetail, c.sticky)
				}
				if c.sticky && second.Probability != first.Probability {
					t.Errorf("probability %v, first %v", second.Probability, first.Probability)
				}
				s.Restart()
				if third := s.choose(r(1)); c.sticky && third.DecisionID != first.DecisionID {
					t.Error("forgotten by a restart")
				}
				want := int64(1)
				if !c.sticky {
					want = 2
					if c.mode == juncture.StickyNone || c.session == [2]string{} && c.mode == "" {
						want = 3 // the third call was new as well
					}
				}
				if defers {
					want = 0
				}
				s.totalsAre(want, 0)
			})
		}
	}
}

func TestStickinessIsOfTheShopperAndTheSession(t *testing.T) {
	s := open(t)
	one := s.choose(ask("a", session("x")))
	if other := s.choose(ask("b", session("x"))); other.DecisionID == one.DecisionID {
		t.Error("another shopper in a session of the same name got the decision")
	}
	s.apply(testkit.Hero(func(e *juncture.Experiment) { e.Status = juncture.StatusPaused }))
	is(t, s.choose(ask("a", session("x"))), juncture.GroupNone, juncture.ReasonStatic, "")
}

func TestOneSessionInOneBatchIsOneTrial(t *testing.T) {
	s := open(t)
	answers := s.batch(ask("s", session("x")), ask("s", session("x"), request("r")), ask("s", session("x")))
	for _, a := range answers[1:] {
		if a.DecisionID != answers[0].DecisionID || a.ReasonDetail != juncture.DetailSticky {
			t.Errorf("%s %s, first %s", a.DecisionID, a.ReasonDetail, answers[0].DecisionID)
		}
	}
	if a := s.choose(ask("s", session("x"), request("r"))); a.DecisionID != answers[0].DecisionID {
		t.Error("the request's answer is another now")
	}
	s.totalsAre(1, 0)
}

func TestAStickyAnswerNeverWidensTheCandidates(t *testing.T) {
	s := open(t)
	a, b := candidates("news"), candidates("points")
	if got := served(s.choose(ask("s", session("x"), a))); got != "news/plain" {
		t.Fatal(got)
	}
	if got := served(s.choose(ask("s", session("x"), b))); got != "points/plain" {
		t.Errorf("after another answer in the session: %s", got)
	}
	s.totalsAre(2, 0)
	// All at once: no item may get what another was allowed.
	for i, got := range s.batch(ask("t", session("x"), a), ask("t", session("x"), b), ask("t", session("x"), a, request("r")), ask("t", session("x"), b, request("q"))) {
		if want := []string{"news/plain", "points/plain"}[i%2]; served(got) != want {
			t.Errorf("item %d got %s, want %s", i, served(got), want)
		}
	}
	if got := served(s.choose(ask("t", session("x"), b, request("q")))); got != "points/plain" {
		t.Errorf("the request's answer is now %s", got)
	}
	s.Verify()
}

func TestAStickyAnswerIsDroppedWithItsArm(t *testing.T) {
	for what, change := range map[string]func(*juncture.Declaration){
		"the action is withdrawn": testkit.Action("news", func(a *juncture.Action) { a.Surfaces = []string{"cart_email"} }),
		"its copy is edited":      testkit.Action("news", func(a *juncture.Action) { a.Copy[0].Headline = "New" }),
		"its rule fails":          testkit.Action("news", func(a *juncture.Action) { a.Rule = `lifecycle == "loyal"` }),
	} {
		t.Run(what, func(t *testing.T) {
			s := open(t, testkit.Hero(func(e *juncture.Experiment) { e.Stickiness = juncture.StickyWindow }))
			first := s.choose(ask("s", candidates("news")))
			s.apply(testkit.Hero(func(e *juncture.Experiment) { e.Stickiness = juncture.StickyWindow }), change)
			second := s.choose(ask("s"))
			if second.DecisionID == first.DecisionID {
				t.Error("it stuck")
			}
			ids := concurrently(t, 8, func(int) (string, error) {
				a, err := s.Engine.Choose(context.Background(), s.Clock.Now(), caller(), ask("s"))
				return a.DecisionID, err
			})
			for _, id := range ids {
				if id != second.DecisionID {
					t.Error("the new answer does not stick")
				}
			}
			s.totalsAre(2, 0)
		})
	}
}

func TestADroppedStickyAnswerIsReplacedOnce(t *testing.T) {
	s := open(t)
	s.choose(ask("s", session("x"), candidates("news")))
	s.apply(testkit.Action("news", func(a *juncture.Action) { a.Surfaces = []string{"cart_email"} }))
	answers := s.batch(ask("s", session("x")), ask("s", session("x")), ask("s", session("x")))
	for _, a := range answers {
		if a.DecisionID != answers[0].DecisionID {
			t.Error("several decisions took its place")
		}
	}
	s.totalsAre(2, 0)
}

func ids(shopper, anonymous string) func(*juncture.ChooseRequest) {
	return func(r *juncture.ChooseRequest) { r.ShopperID, r.AnonymousID = shopper, anonymous }
}

func TestIdentitiesMergeAndTheEarlierStands(t *testing.T) {
	for what, c := range map[string]struct {
		calls []func(*juncture.ChooseRequest) // in order
		first string                          // the first-seen id: its group is everybody's afterwards
	}{
		"both at once: the anonymous one is first": {[]func(*juncture.ChooseRequest){ids("u", "a")}, "a"},
		"anonymous first, then signed in":          {[]func(*juncture.ChooseRequest){ids("", "a"), ids("u", "a")}, "a"},
		"known first, then on a new device":        {[]func(*juncture.ChooseRequest){ids("u", ""), ids("u", "a")}, "u"},
		"known by an alias, then on a new device":  {[]func(*juncture.ChooseRequest){ids("u", "b"), ids("u", "a")}, "b"},
		"both seen apart: the earlier":             {[]func(*juncture.ChooseRequest){ids("u", ""), ids("", "a"), ids("u", "a")}, "u"},
		"the same in a session":                    {[]func(*juncture.ChooseRequest){ids("", "a"), func(r *juncture.ChooseRequest) { r.ShopperID, r.AnonymousID, r.SessionID = "u", "a", "s" }}, "a"},
	} {
		t.Run(what, func(t *testing.T) {
			for i := range 6 { // several shoppers: groups differ by chance half of the time
				s := open(t, testkit.Shares(0.5, 0, 0.5, 0))
				name := func(r *juncture.ChooseRequest) {
					for _, id := range []*string{&r.ShopperID, &r.AnonymousID} {
						if *id != "" {
							*id += fmt.Sprint(i)
						}
					}
				}
				want := s.choose(ask("", ids(c.first, ""), name)).Group
				s = open(t, testkit.Shares(0.5, 0, 0.5, 0)) // the same secrets, nothing seen yet
				for _, call := range c.calls {
					s.Clock.Advance(time.Second)
					s.choose(ask("", call, name))
				}
				for range 2 {
					for _, who := range []func(*juncture.ChooseRequest){ids("u", ""), ids("", "a"), ids("a", ""), ids("u", "a")} {
						if a := s.choose(ask("", who, name)); a.Group != want {
							t.Errorf("shopper %d: %v, want %v as %s had", i, a.Group, want, c.first)
						}
					}
					s.Restart()
				}
			}
		})
	}
}

func TestAStickyAnswerStillMergesIdentities(t *testing.T) {
	s := open(t)
	first := s.choose(ask("", ids("", "a"), session("x")))
	if a := s.choose(ask("", ids("u", "a"), session("x"))); a.DecisionID != first.DecisionID {
		t.Fatal("signing in ended the session")
	}
	s.Restart()
	if a := s.choose(ask("", ids("u", ""), session("x"))); a.DecisionID != first.DecisionID {
		t.Error("the alias was lost")
	}
}

func TestConcurrentAliasesAgreeWithTheStore(t *testing.T) {
	s := open(t, testkit.Shares(0.5, 0, 0.5, 0))
	for round := range 10 {
		concurrently(t, 8, func(i int) (string, error) {
			a := ask("", ids(fmt.Sprint("u", round), fmt.Sprint("a", round, "-", i)))
			if i%4 == 3 {
				a = ask("", ids(fmt.Sprint("u", round), "")) // looks while the others merge
			}
			_, err := s.Engine.Choose(context.Background(), s.Clock.Now(), caller(), a)
			return "", err
		})
	}
	groups := func() (out []juncture.Group) {
		for round := range 10 {
			out = append(out, s.choose(ask("", ids(fmt.Sprint("u", round), ""))).Group)
			for i := range 8 {
				out = append(out, s.choose(ask("", ids("", fmt.Sprint("a", round, "-", i)))).Group)
			}
		}
		return out
	}
	before := groups()
	s.Restart()
	if after := groups(); !slices.Equal(before, after) {
		t.Errorf("groups before a restart %v, after it %v", before, after)
	}
}

// slow is a store whose next look for a shopper takes until it is told to go on.
type slow struct {
	engine.ShopperStore
	next    atomic.Bool
	reading chan struct{}
	goOn    chan struct{}
}

func (s *slow) Identity(ctx context.Context, id string) (juncture.Identity, error) {
	found, err := s.ShopperStore.Identity(ctx, id)
	if s.next.CompareAndSwap(true, false) {
		s.reading <- struct{}{}
		<-s.goOn
	}
	return found, err
}

func TestALookFromBeforeAMergeIsNotKept(t *testing.T) {
	look := &slow{reading: make(chan struct{}), goOn: make(chan struct{})}
	s := &shop{testkit.Start(t, testkit.Declaration(testkit.Hero(func(e *juncture.Experiment) { e.Stickiness = juncture.StickyWindow })),
		testkit.NodeOptions{Shoppers: func(store engine.ShopperStore) engine.ShopperStore { look.ShopperStore = store; return look }}), t}
	look.next.Store(true)
	done := make(chan error)
	go func() { // asks for u, and finds no alias
		_, err := s.Engine.Choose(context.Background(), s.Clock.Now(), caller(), ask("u"))
		done <- err
	}()
	<-look.reading
	merged := s.choose(ask("", ids("u", "a"))) // meanwhile u becomes a
	close(look.goOn)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if a := s.choose(ask("u")); a.DecisionID != merged.DecisionID {
		t.Error("the engine still takes u for somebody else")
	}
}

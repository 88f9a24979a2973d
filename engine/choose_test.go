package engine_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/engine"
	"github.com/juncture/juncture/internal/testkit"
)

func TestRequestsThatAreRefused(t *testing.T) {
	s := open(t)
	long := func(n int) string { return strings.Repeat("x", n) }
	many := func(n int) map[string]any {
		m := map[string]any{}
		for i := range n {
			m[fmt.Sprint(i)] = true
		}
		return m
	}
	with := func(f func(*juncture.ChooseRequest)) *juncture.ChooseRequest { return ask("s", f) }
	for what, c := range map[string]struct {
		r    *juncture.ChooseRequest
		code juncture.Code
	}{
		"no surface":              {with(func(r *juncture.ChooseRequest) { r.Surface = "" }), juncture.CodeInvalidRequest},
		"an unknown surface":      {with(func(r *juncture.ChooseRequest) { r.Surface = "attic" }), juncture.CodeSurfaceNotFound},
		"nobody":                  {ask(""), juncture.CodeTargetingKeyMissing},
		"a long shopper":          {ask(long(257)), juncture.CodeInvalidRequest},
		"a long anonymous id":     {with(func(r *juncture.ChooseRequest) { r.AnonymousID = long(257) }), juncture.CodeInvalidRequest},
		"a long session":          {ask("s", session(long(257))), juncture.CodeInvalidRequest},
		"a long requestId":        {ask("s", request(long(129))), juncture.CodeInvalidRequest},
		"a null byte":             {ask("a\x00b"), juncture.CodeInvalidRequest},
		"too many candidates":     {ask("s", candidates(make([]string, 51)...)), juncture.CodeInvalidRequest},
		"too many exclusions":     {with(func(r *juncture.ChooseRequest) { r.ExcludedActions = make([]string, 51) }), juncture.CodeInvalidRequest},
		"too much context":        {with(func(r *juncture.ChooseRequest) { r.Context = many(65) }), juncture.CodeInvalidContext},
		"nested context":          {with(func(r *juncture.ChooseRequest) { r.Context = map[string]any{"a": map[string]any{}} }), juncture.CodeInvalidContext},
		"a list in the context":   {with(func(r *juncture.ChooseRequest) { r.Context = map[string]any{"a": []any{}} }), juncture.CodeInvalidContext},
		"null in the context":     {with(func(r *juncture.ChooseRequest) { r.Context = map[string]any{"a": nil} }), juncture.CodeInvalidContext},
		"NaN in the context":      {with(func(r *juncture.ChooseRequest) { r.Context = map[string]any{"a": math.NaN()} }), juncture.CodeInvalidContext},
		"infinity in the context": {with(func(r *juncture.ChooseRequest) { r.Context = map[string]any{"a": math.Inf(-1)} }), juncture.CodeInvalidContext},
		"a long text in it":       {with(func(r *juncture.ChooseRequest) { r.Context = map[string]any{"a": long(1025)} }), juncture.CodeInvalidContext},
		"a long key in it":        {with(func(r *juncture.ChooseRequest) { r.Context = map[string]any{long(65): 1.0} }), juncture.CodeInvalidContext},
		"an empty key in it":      {with(func(r *juncture.ChooseRequest) { r.Context = map[string]any{"": 1.0} }), juncture.CodeInvalidContext},
		"a word for consent":      {with(func(r *juncture.ChooseRequest) { r.Consent = &juncture.Consent{Analytics: "maybe"} }), juncture.CodeInvalidRequest},
		"preview without admin":   {with(func(r *juncture.ChooseRequest) { r.Preview = &juncture.Preview{ActionID: "news"} }), juncture.CodeForbidden},
	} {
		a, err := s.Engine.Choose(context.Background(), s.Clock.Now(), caller(), c.r)
		if juncture.ErrorCode(err) != c.code || a != nil {
			t.Errorf("%s: %+v, %v; want %s", what, a, err, c.code)
		}
	}
	if _, err := s.Engine.Choose(context.Background(), s.Clock.Now(), engine.Caller{Admin: true}, with(func(r *juncture.ChooseRequest) { r.Preview = &juncture.Preview{} })); juncture.ErrorCode(err) != juncture.CodeInvalidRequest {
		t.Errorf("a preview of nothing: %v", err)
	}
	if n := len(s.Ledger().Decisions); n != 0 {
		t.Errorf("%d decisions were logged", n)
	}
	// Just within the limits.
	s.choose(ask(long(256), session(long(256)), request(long(128)), candidates(append(make([]string, 49), "news")...),
		func(r *juncture.ChooseRequest) { r.Context = many(64) }))
}

func TestABatchAnswersEachItem(t *testing.T) {
	s := open(t)
	out := s.Engine.ChooseBatch(context.Background(), s.Clock.Now(), caller(), []*juncture.ChooseRequest{ask("a"), nil, ask(""), ask("b")})
	if out[0].Err != nil || out[1].Answer != nil || out[1].Err != nil || juncture.ErrorCode(out[2].Err) != juncture.CodeTargetingKeyMissing || out[3].Err != nil {
		t.Errorf("%+v", out)
	}
	s.totalsAre(2, 0)
}

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

func (s *slow) Shopper(ctx context.Context, id string) (string, error) {
	found, err := s.ShopperStore.Shopper(ctx, id)
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

func TestCandidatesNarrowAndNeverWiden(t *testing.T) {
	s := open(t, testkit.Action("points", func(a *juncture.Action) { a.Rule = `lifecycle == "loyal"` }))
	actions := func(a *juncture.ChooseAnswer) string {
		var out []string
		for _, r := range a.Ranking {
			out = append(out, r.ActionID+"/"+r.CopyID)
		}
		slices.Sort(out)
		return strings.Join(out, " ")
	}
	exclude := func(ids ...string) func(*juncture.ChooseRequest) {
		return func(r *juncture.ChooseRequest) { r.ExcludedActions = ids }
	}
	for _, c := range []struct {
		what     string
		r        *juncture.ChooseRequest
		want     string
		reason   juncture.Reason
		detail   juncture.Detail
		warnings []string
	}{
		{"everything", ask("s"), "five_off/plain five_off/urgent news/plain welcome/plain", juncture.ReasonSplit, "", nil},
		{"some", ask("s", candidates("news", "welcome")), "news/plain welcome/plain", juncture.ReasonSplit, "", nil},
		{"one", ask("s", candidates("news")), "news/plain", juncture.ReasonTargeting, "", nil},
		{"all but some", ask("s", exclude("five_off")), "news/plain welcome/plain", juncture.ReasonSplit, "", nil},
		{"both", ask("s", candidates("news", "five_off"), exclude("five_off")), "news/plain", juncture.ReasonTargeting, "", nil},
		{"one whose rule does not hold", ask("s", candidates("news", "points")), "news/plain", juncture.ReasonTargeting, "", nil},
		{"only one whose rule does not hold", ask("s", candidates("points")), "welcome/plain", juncture.ReasonDefault, juncture.DetailEmptyPool, nil},
		{"its rule holds", ask("s", candidates("points"), at("loyal", "", "", "")), "points/plain", juncture.ReasonTargeting, "", nil},
		{"one that does not exist", ask("s", candidates("news", "ghost")), "news/plain", juncture.ReasonTargeting, "", []string{"ghost"}},
		{"only ones that do not exist", ask("s", candidates("ghost", "")), "welcome/plain", juncture.ReasonDefault, juncture.DetailEmptyPool, []string{"ghost", `""`}},
		{"everything excluded", ask("s", exclude("five_off", "news", "welcome")), "welcome/plain", juncture.ReasonDefault, juncture.DetailEmptyPool, nil},
		{"an unknown exclusion", ask("s", exclude("ghost")), "five_off/plain five_off/urgent news/plain welcome/plain", juncture.ReasonSplit, "", nil},
	} {
		t.Run(c.what, func(t *testing.T) {
			a := s.choose(c.r)
			if got := actions(a); got != c.want || a.Reason != c.reason || a.ReasonDetail != c.detail {
				t.Errorf("ranking %s, %s %s; want %s, %s %s", got, a.Reason, a.ReasonDetail, c.want, c.reason, c.detail)
			}
			if c.detail == juncture.DetailEmptyPool && a.Group != juncture.GroupNone {
				t.Errorf("an empty pool randomises nothing, group %v", a.Group)
			}
			warned(t, a, c.warnings...)
		})
	}
	explained := s.choose(ask("s", candidates("news"), func(r *juncture.ChooseRequest) { r.Explain = true }))
	why := map[string]string{}
	for _, f := range explained.Explanation.Filtered {
		why[f.ActionID+"/"+f.CopyID] = f.Why
	}
	if len(why) != 4 || !strings.Contains(why["points/plain"], "rule") || !strings.Contains(why["welcome/plain"], "candidates") ||
		explained.Explanation.Floor != juncture.DefaultFloor || explained.Explanation.Policy != "ladder" || explained.Explanation.Share != 1 {
		t.Errorf("explained as %+v", explained.Explanation)
	}
}

func TestWhatIsNotApprovedIsNeverServed(t *testing.T) {
	s := open(t)
	edited := testkit.Declaration(testkit.Action("news", func(a *juncture.Action) { a.Copy[0].Headline = "Edited" }),
		func(d *juncture.Declaration) {
			d.Actions = append(d.Actions, juncture.Action{ID: "draft", Surfaces: []string{"home_hero"}, Type: "x", Copy: []juncture.Copy{{ID: "plain", Headline: "Draft"}}})
		})
	testkit.Submit(t, s.DB, edited)
	a := s.choose(ask("s", candidates("draft", "news")))
	warned(t, a, "draft")
	if served(a) != "news/plain" || a.Copy.Headline != "news plain" || a.Copy.Version != 1 {
		t.Errorf("%+v", a.Copy)
	}
	testkit.Apply(t, s.DB, edited)
	if a := s.choose(ask("s", candidates("draft"))); served(a) != "draft/plain" {
		t.Errorf("approved, and not served: %s", served(a))
	}
	if a := s.choose(ask("s", candidates("news"))); a.Copy.Headline != "Edited" || a.Copy.Version != 2 {
		t.Errorf("%+v", a.Copy)
	}
}

func TestNothingApprovedServesNothing(t *testing.T) {
	s := &shop{testkit.Start(t, testkit.Declaration()), t}
	empty := testkit.Declaration(func(d *juncture.Declaration) {
		d.Surfaces = append(d.Surfaces, juncture.Surface{ID: "attic", Channel: "app", Default: "late"})
		d.Actions = append(d.Actions, juncture.Action{ID: "late", Surfaces: []string{"attic"}, Type: "x", Copy: []juncture.Copy{{ID: "plain", Headline: "x"}}})
	})
	testkit.Submit(t, s.DB, empty)
	a := s.choose(ask("s", func(r *juncture.ChooseRequest) { r.Surface = "attic" }))
	is(t, a, juncture.GroupNone, juncture.ReasonDefault, "")
	if a.ActionID != nil {
		t.Error(served(a))
	}
}

func TestTheDefaultIsServedWithItsFirstCopy(t *testing.T) {
	copies := func(ids ...string) func(*juncture.Declaration) {
		return testkit.Action("welcome", func(a *juncture.Action) {
			a.Copy = nil
			for _, id := range ids {
				a.Copy = append(a.Copy, juncture.Copy{ID: id, Headline: id})
			}
		})
	}
	s := open(t, testkit.Shares(0, 0, 1, 0), copies("zest", "able"))
	if a := s.choose(ask("s")); served(a) != "welcome/zest" {
		t.Errorf("%s, want the first as declared", served(a))
	}
	s.apply(testkit.Shares(0, 0, 1, 0), copies("able", "zest"))
	if a := s.choose(ask("s")); served(a) != "welcome/able" {
		t.Errorf("in another order: %s", served(a))
	}
	s.apply(testkit.Shares(0, 0, 1, 0), copies("zest")) // able stays live, but is no longer listed
	if a := s.choose(ask("s")); served(a) != "welcome/zest" {
		t.Errorf("with one left out: %s", served(a))
	}
}

func TestRulesAndVoices(t *testing.T) {
	rule := func(text string) func(*juncture.Declaration) {
		return testkit.Action("news", func(a *juncture.Action) { a.Rule = text })
	}
	eligible := func(a *juncture.ChooseAnswer, action, copy string) bool {
		return slices.ContainsFunc(a.Ranking, func(r juncture.RankedView) bool { return r.ActionID == action && r.CopyID == copy })
	}
	context := func(r *juncture.ChooseRequest) {
		r.Context = map[string]any{"country": "GB", "basket": 12.5, "member": true}
	}
	for _, c := range []struct {
		rule string
		want bool
	}{
		{`lifecycle == "loyal" && status == "at-risk" && mode == ""`, true},
		{`meaning == "c1" && latent == "high" && live == "" && category == "dresses"`, true},
		{`lifecycle == "prospect"`, false},
		{`channel == "onsite" && hour == 12 && weekday == "thursday"`, true}, // 2026-01-15 is a Thursday
		{`context.country == "GB" && context.basket > 10 && context.member`, true},
		{`context.basket > 20`, false},
		{`context.nothing == nil`, true},
		{`context.nothing > 3`, false}, // a comparison of unlike types does not hold
		{`profile.orders == nil`, true},
	} {
		s := open(t, rule(c.rule))
		a := s.choose(ask("s", at("loyal.at-risk._", "c1", "high._", "dresses"), context))
		if got := eligible(a, "news", "plain"); got != c.want {
			t.Errorf("rule %s: eligible %v, want %v", c.rule, got, c.want)
		}
	}
	s := open(t, testkit.Action("news", func(a *juncture.Action) {
		a.Copy = append(a.Copy, juncture.Copy{ID: "posh", Headline: "x", Voice: []string{"c1"}}, juncture.Copy{ID: "deep", Headline: "y", Voice: []string{"full", "c9"}})
	}))
	for _, c := range []struct {
		layers     func(*juncture.ChooseRequest)
		posh, deep bool
	}{
		{at("loyal", "c1", "", ""), true, false},
		{at("loyal", "c2", "", ""), false, false},
		{at("", "", "", ""), false, false},
		{at("a", "c1", "b", "c"), true, true},
		{at("a", "c9", "", ""), false, true},
	} {
		a := s.choose(ask("s", c.layers))
		if posh, deep := eligible(a, "news", "posh"), eligible(a, "news", "deep"); posh != c.posh || deep != c.deep || !eligible(a, "news", "plain") {
			t.Errorf("%s: posh %v, deep %v; want %v, %v, and plain always", a.Intersection.Key, posh, deep, c.posh, c.deep)
		}
	}
}

func TestACeilingCoarsensTheKey(t *testing.T) {
	for ceiling, want := range map[string]string{
		"": "v1/a/b/c/d", "full": "v1/a/b/c/d", "trajectory": "v1/a/b/c/_", "meaning": "v1/a/b/_/_", "moment": "v1/a/_/_/_", "store": "v1/_/_/_/_",
	} {
		s := open(t, func(d *juncture.Declaration) { d.Surfaces[0].Ceiling = ceiling })
		a := s.choose(ask("s", at("a", "b", "c", "d")))
		if tier := ceiling; a.Intersection.Key != want || tier != "" && a.Intersection.Tier != tier {
			t.Errorf("ceiling %q: %s, tier %s", ceiling, a.Intersection.Key, a.Intersection.Tier)
		}
	}
}

func TestLayersOfTheRequest(t *testing.T) {
	s := open(t, func(d *juncture.Declaration) {
		d.Layers["meaning"] = juncture.LayerSetting{Source: juncture.SourceRequest, MaxValues: 2}
		d.Layers["trajectory"] = juncture.LayerSetting{Source: juncture.SourceDerived}
		delete(d.Layers, "catalogue")
	})
	for _, c := range []struct {
		layers   func(*juncture.ChooseRequest)
		key      string
		warnings []string
	}{
		{func(*juncture.ChooseRequest) {}, "v1/_/_/_/_", nil},
		{at("loyal", "", "", ""), "v1/loyal/_/_/_", nil},
		{at("_", "_", "", ""), "v1/_/_/_/_", nil},
		{at("_._._", "", "", ""), "v1/_/_/_/_", nil},
		{at("Loyal", "", "", ""), "v1/_/_/_/_", []string{"moment"}},
		{at("a/b", "", "", ""), "v1/_/_/_/_", []string{"moment"}},
		{at(strings.Repeat("a", 65), "", "", ""), "v1/_/_/_/_", []string{"moment"}},
		{at("loyal", "", "high.rising", "dresses"), "v1/loyal/_/_/_", []string{"trajectory", "catalogue"}}, // the store derives them
		{at("", "c1", "", ""), "v1/_/c1/_/_", nil},
		{at("", "c2", "", ""), "v1/_/c2/_/_", nil},
		{at("", "c3", "", ""), "v1/_/_/_/_", []string{"meaning"}}, // the third distinct value
		{at("", "c1", "", ""), "v1/_/c1/_/_", nil},
	} {
		a := s.choose(ask("s", c.layers))
		if a.Intersection.Key != c.key {
			t.Errorf("%s, want %s", a.Intersection.Key, c.key)
		}
		warned(t, a, c.warnings...)
		for name, view := range a.Intersection.Layers {
			if view.Reason == "" || (view.Value == "_") != (view.Confidence == 0) {
				t.Errorf("%s: %+v", name, view)
			}
		}
	}
	s.Restart()
	warned(t, s.choose(ask("s", at("", "c3", "", ""))), "meaning") // what was seen is known after a restart
	if a := s.choose(ask("s", at("", "c2", "", ""))); a.Intersection.Key != "v1/_/c2/_/_" {
		t.Error(a.Intersection.Key)
	}
}

func TestNothingOfAFailedCommitIsRemembered(t *testing.T) {
	s := &shop{testkit.Start(t, testkit.Declaration(func(d *juncture.Declaration) {
		d.Layers["meaning"] = juncture.LayerSetting{Source: juncture.SourceRequest, MaxValues: 1}
	}), testkit.NodeOptions{Busy: 20 * time.Millisecond}), t}
	decided := s.choose(ask("s"))
	raw := openRaw(t, s)
	raw.SetMaxOpenConns(1)
	for _, text := range []string{`BEGIN IMMEDIATE`, `ROLLBACK`} {
		if _, err := raw.Exec(text); err != nil {
			t.Fatal(err)
		}
		if text == `BEGIN IMMEDIATE` { // somebody else writes
			s.chooseFails(ask("s", at("", "lost", "", "")), juncture.CodeUnavailable)
			s.chooseFails(ask("", ids("u", "a")), juncture.CodeUnavailable)
			if _, err := s.Engine.Reward(context.Background(), s.Clock.Now(), click(decided.DecisionID)); juncture.ErrorCode(err) != juncture.CodeUnavailable {
				t.Errorf("reward: %v", err)
			}
		}
	}
	s.totalsAre(1, 0)
	s.rewardIs(juncture.StatusRecorded, click(decided.DecisionID))
	if a := s.choose(ask("s", at("", "kept", "", ""))); a.Intersection.Key != "v1/_/kept/_/_" {
		t.Errorf("%s: a value that was never written takes a place", a.Intersection.Key)
	}
}

func TestGroupsAreServedAsTheySay(t *testing.T) {
	for name, c := range map[string]struct {
		shares func(*juncture.Declaration)
		check  func(t *testing.T, a *juncture.ChooseAnswer)
	}{
		"holdout": {testkit.Shares(0, 0, 0, 1), func(t *testing.T, a *juncture.ChooseAnswer) {
			is(t, a, juncture.GroupHoldout, juncture.ReasonSplit, juncture.DetailHoldout)
			if a.ActionID != nil || a.Probability != 1 || !a.Active {
				t.Errorf("%+v", a)
			}
		}},
		"bau": {testkit.Shares(0, 0, 1, 0), func(t *testing.T, a *juncture.ChooseAnswer) {
			is(t, a, juncture.GroupBAU, juncture.ReasonSplit, "")
			if served(a) != "welcome/plain" || a.Probability != 1 {
				t.Errorf("%+v", a)
			}
		}},
		"random": {testkit.Shares(0, 1, 0, 0), func(t *testing.T, a *juncture.ChooseAnswer) {
			is(t, a, juncture.GroupRandom, juncture.ReasonSplit, "")
			for _, r := range a.Ranking {
				if r.Probability != 0.2 { // five arms
					t.Errorf("%+v", r)
				}
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, c.shares)
			a := s.choose(ask("s"))
			c.check(t, a)
			s.rewardIs(juncture.StatusRecorded, buy(a.DecisionID, "o", 5))
			l := s.Ledger()
			arm := "-"
			if a.ActionID != nil {
				arm = fmt.Sprintf("%s@1/%s@1", a.Action.ID, a.Copy.ID)
			}
			if l.Decisions[a.DecisionID] != 1 || l.Arms[arm] != [2]int64{1, 1} {
				t.Errorf("ledger %+v", l)
			}
			s.Verify()
		})
	}
}

func TestOutsideTheExperiment(t *testing.T) {
	none, half := 0.0, 0.5
	for what, c := range map[string]struct {
		change func(*juncture.Experiment)
		reason juncture.Reason
	}{
		"paused":          {func(e *juncture.Experiment) { e.Status = juncture.StatusPaused }, juncture.ReasonStatic},
		"a draft":         {func(e *juncture.Experiment) { e.Status = juncture.StatusDraft }, juncture.ReasonStatic},
		"not started yet": {func(e *juncture.Experiment) { t := testkit.Epoch().Add(time.Hour); e.Starts = &t }, juncture.ReasonStatic},
		"over":            {func(e *juncture.Experiment) { t := testkit.Epoch(); e.Ends = &t }, juncture.ReasonStatic},
		"no traffic":      {func(e *juncture.Experiment) { e.Traffic = &none }, juncture.ReasonDisabled},
	} {
		s := open(t, testkit.Hero(c.change))
		a := s.choose(ask("s", session("x")))
		is(t, a, juncture.GroupNone, c.reason, "")
		if served(a) != "welcome/plain" || a.Probability != 1 {
			t.Errorf("%s: %s, %v", what, served(a), a.Probability)
		}
	}
	// Half of the traffic, then all of it: who was in stays in the same group.
	traffic := func(share *float64) []func(*juncture.Declaration) {
		return []func(*juncture.Declaration){testkit.Shares(0.5, 0, 0.5, 0), testkit.Hero(func(e *juncture.Experiment) { e.Traffic = share })}
	}
	s := open(t, traffic(&half)...)
	before, in := map[string]juncture.Group{}, 0
	for i := range 200 {
		name := fmt.Sprint("s", i)
		a := s.choose(ask(name))
		before[name] = a.Group
		if a.Group != juncture.GroupNone {
			in++
		}
	}
	if in < 70 || in > 130 { // 100 ± 4 standard deviations of 7
		t.Errorf("%d of 200 at half the traffic", in)
	}
	s.apply(traffic(nil)...)
	for name, g := range before {
		if a := s.choose(ask(name)); a.Group == juncture.GroupNone || g != juncture.GroupNone && a.Group != g {
			t.Errorf("%s moved from %q to %q", name, g, a.Group)
		}
	}
}

func TestTheNextCallSeesAChangeOfConfiguration(t *testing.T) {
	s := open(t)
	if got := s.choose(ask("s", candidates("news"))).Copy.Headline; got != "news plain" {
		t.Fatal(got)
	}
	other := openAgain(t, s) // as a command beside the server
	for i := range 5 {
		headline := fmt.Sprint("version ", i)
		testkit.Apply(t, other, testkit.Declaration(testkit.Action("news", func(a *juncture.Action) { a.Copy[0].Headline = headline })))
		if got := s.choose(ask("s", candidates("news"))).Copy.Headline; got != headline {
			t.Errorf("%q, want %q", got, headline)
		}
	}
}

func TestTheLastGoodConfigurationKeepsServing(t *testing.T) {
	s := open(t)
	before := s.choose(ask("s", candidates("news")))
	raw := openRaw(t, s)
	var body string
	if err := raw.QueryRow(`SELECT body FROM config`).Scan(&body); err != nil {
		t.Fatal(err)
	}
	set := func(body string) {
		t.Helper()
		if _, err := raw.Exec(`UPDATE config SET version = version + 1, body = ?`, body); err != nil {
			t.Fatal(err)
		}
	}
	set("{")
	after := s.choose(ask("s", candidates("news")))
	if served(after) != served(before) || s.Engine.Stats().ConfigFailures.Load() != 1 {
		t.Errorf("%s, %d failures", served(after), s.Engine.Stats().ConfigFailures.Load())
	}
	set(body)
	s.choose(ask("s"))
	if n := s.Engine.Stats().ConfigFailures.Load(); n != 1 {
		t.Errorf("%d failures", n)
	}
}

func TestContextKeysThatAreNotListedAreDropped(t *testing.T) {
	s := open(t, func(d *juncture.Declaration) { d.Context = []string{"country"} },
		testkit.Action("news", func(a *juncture.Action) { a.Rule = `context.secret == nil && context.country == "GB"` }))
	a := s.choose(ask("s", candidates("news"), func(r *juncture.ChooseRequest) {
		r.Context = map[string]any{"country": "GB", "secret": "x", "age": 3.0}
	}))
	warned(t, a, "context.age", "context.secret")
	if served(a) != "news/plain" {
		t.Errorf("%s", served(a))
	}
}

func TestDecisionIDsSurviveARotationOfKeys(t *testing.T) {
	s := open(t)
	old := s.choose(ask("s"))
	if _, err := s.DB.RotateSigningKey(context.Background(), testkit.Random(9), s.Clock.Now(), juncture.AuditNote{}); err != nil {
		t.Fatal(err)
	}
	s.Clock.Advance(time.Minute)
	fresh := s.choose(ask("s"))
	byID := s.rewardIs(juncture.StatusRecorded, click(old.DecisionID))
	if got := byID.AttributedTo[0].DecisionID; got != old.DecisionID {
		t.Error("the credited decision has another id than /choose gave")
	}
	s.rewardIs(juncture.StatusRecorded, click(fresh.DecisionID))
	earlier := s.Clock.Now().Add(-30 * time.Second).Format(time.RFC3339)
	a := s.rewardIs(juncture.StatusRecorded, &juncture.RewardRequest{ShopperID: "s", Event: "purchase", Value: new(5.0), Currency: "GBP", OccurredAt: earlier})
	if got := a.AttributedTo[0].DecisionID; got != old.DecisionID {
		t.Error("credited by the shopper's id, the decision has another id than /choose gave")
	}
	l := s.Ledger()
	if l.Decisions[old.DecisionID] != 2 || l.Decisions[fresh.DecisionID] != 1 || len(l.Decisions) != 2 {
		t.Errorf("%+v", l.Decisions)
	}
}

func TestSerialsRiseWhateverTheClockDoes(t *testing.T) {
	s := open(t)
	last := uint64(0)
	serial := func() uint64 {
		t.Helper()
		c, err := s.Engine.OpenDecision(s.choose(ask("s")).DecisionID)
		if err != nil {
			t.Fatal(err)
		}
		return c.Serial
	}
	for _, step := range []time.Duration{0, 0, time.Hour, -48 * time.Hour, 0, 72 * time.Hour} {
		s.Clock.Advance(step)
		if n := serial(); n <= last || n>>juncture.NodeShift != 1 {
			t.Errorf("serial %d after %d", n, last)
		} else {
			last = n
		}
	}
	s.Clock.Advance(-1000 * time.Hour)
	s.Restart()
	if n := serial(); n <= last {
		t.Errorf("serial %d after %d, which is given already", n, last)
	}
}

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
		explained.Explanation.Floor != juncture.DefaultFloor || explained.Explanation.Policy != juncture.PolicyPooled || explained.Explanation.Share != 1 {
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

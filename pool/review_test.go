package pool_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/internal/testkit"
	"github.com/juncture/juncture/pool"
)

func (s *shelf) change(c juncture.Change, err error) juncture.Change {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
	s.make(c)
	return c
}

func (s *shelf) find(action string, now time.Time) juncture.PoolAction {
	s.t.Helper()
	a, err := pool.Find(s.c, action, now)
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

// Every status allows the verbs that lead from it, and no other.
func TestWhatAStatusAllows(t *testing.T) {
	now := testkit.Epoch()
	allowed := map[string][]juncture.Verb{
		juncture.VersionDraft:    {juncture.VerbSubmit},
		juncture.VersionInReview: {juncture.VerbWithdraw, juncture.VerbApprove, juncture.VerbReject},
		juncture.VersionRejected: {juncture.VerbSubmit},
		juncture.VersionApproved: nil,
	}
	becomes := map[juncture.Verb]string{juncture.VerbSubmit: juncture.VersionInReview, juncture.VerbWithdraw: juncture.VersionDraft,
		juncture.VerbApprove: juncture.VersionApproved, juncture.VerbReject: juncture.VersionRejected}
	for status, verbs := range allowed {
		for _, verb := range juncture.ReviewVerbs() {
			s := newShelf(t)
			s.apply(testkit.Declaration(), false, "ada")
			v := &s.c.Versions[0]
			v.Status = status
			ref := juncture.VersionRef{Action: v.Action, Copy: v.Copy, Number: v.Number, Hash: v.Hash}
			c, err := pool.PlanReview(s.c, juncture.ReviewRequest{Items: []juncture.VersionRef{ref}, Reason: "why"}, verb, "bob", "test", now)
			if !slices.Contains(verbs, verb) {
				if juncture.ErrorCode(err) != juncture.CodeDecisionConflict {
					t.Errorf("%s %s: %v", verb, status, err)
				}
				continue
			}
			if err != nil || len(c.Review) != 1 || c.Review[0].Status != becomes[verb] || len(c.Audit) != 1 || c.Audit[0].Action != string(verb) {
				t.Errorf("%s %s: %+v, %v", verb, status, c.Review, err)
			}
		}
	}
}

// Whoever wrote a version cannot approve it, and an older version not beside a newer that is approved.
func TestWhoApproves(t *testing.T) {
	now := testkit.Epoch()
	s := newShelf(t)
	s.apply(testkit.Declaration(), true, "root")
	write := func(headline string) juncture.VersionRef {
		w := juncture.CopyDraft{Copy: juncture.Copy{ID: "plain", Headline: headline}, Submit: true}
		c := s.change(pool.PlanCopy(s.c, "news", w, "ada", "test", now))
		v := c.Add[0]
		return juncture.VersionRef{Action: v.Action, Copy: v.Copy, Number: v.Number, Hash: v.Hash}
	}
	two, three := write("two"), write("three")
	approve := func(ref juncture.VersionRef, actor string) (juncture.Change, error) {
		return pool.PlanReview(s.c, juncture.ReviewRequest{Items: []juncture.VersionRef{ref}, Reason: "why"}, juncture.VerbApprove, actor, "test", now)
	}
	if _, err := approve(three, "ada"); juncture.ErrorCode(err) != juncture.CodeForbidden {
		t.Errorf("her own: %v", err)
	}
	s.change(approve(three, "bob"))
	if _, err := approve(two, "bob"); juncture.ErrorCode(err) != juncture.CodeDecisionConflict {
		t.Errorf("an older one: %v", err)
	}
	if q := pool.Reviews(s.c); len(q) != 0 {
		t.Errorf("what was overtaken waits: %+v", q)
	}
	// What a file says again while somebody writes changes nothing.
	write("four")
	if c, err := s.plan(testkit.Declaration(testkit.Action("news", func(a *juncture.Action) { a.Copy[0].Headline = "three" })), false, "root"); err != nil || !c.Empty() {
		t.Errorf("%v %v", c.Lines, err)
	}
	five := write("five")
	s.change(pool.PlanReview(s.c, juncture.ReviewRequest{Items: []juncture.VersionRef{five}, Reason: "no"}, juncture.VerbReject, "bob", "test", now))
	c := s.change(s.plan(testkit.Declaration(testkit.Action("news", func(a *juncture.Action) { a.Copy[0].Headline = "five" })), true, "root"))
	if len(c.Review) != 0 || !strings.Contains(strings.Join(c.Lines, " "), "stays rejected: no") {
		t.Errorf("a file approves what a reviewer rejected: %v", c.Lines)
	}
}

// Terms are of the action, whatever its version; a file that leaves them out takes them back.
func TestTerms(t *testing.T) {
	now := testkit.Epoch()
	s := newShelf(t)
	starts, expires := now.Add(time.Hour), now.Add(3*time.Hour)
	owned := testkit.Action("news", func(a *juncture.Action) {
		a.Terms = juncture.Terms{Owner: "mia", Starts: &starts, Expires: &expires}
	})
	s.apply(testkit.Declaration(owned), true, "root")
	for _, x := range []struct {
		after time.Duration
		want  juncture.PoolState
		arms  bool
	}{{0, juncture.PoolScheduled, false}, {time.Hour, juncture.PoolLive, true}, {3*time.Hour - 1, juncture.PoolLive, true}, {3 * time.Hour, juncture.PoolExpired, false}} {
		at := now.Add(x.after)
		snapshot, err := pool.Build(s.c)
		if err != nil {
			t.Fatal(err)
		}
		here := snapshot.Surfaces["home_hero"]
		found := slices.ContainsFunc(here.Eligible(nil, pool.NewFacts(juncture.Intersection{}, "onsite", at, nil), juncture.Intersection{}, nil), func(a *pool.Arm) bool { return a.Arm.Action == "news" })
		if a := s.find("news", at); a.State != x.want || found != x.arms || a.Owner != "mia" {
			t.Errorf("after %v: %s, eligible %v", x.after, a.State, found)
		}
	}
	before := s.find("news", now)
	later := juncture.TermsRequest{Terms: juncture.Terms{Owner: "mia", Expires: new(now.Add(99 * time.Hour))}, Reason: "it sells"}
	s.change(pool.PlanTerms(s.c, "news", later, "user:bob", "console", now))
	after := s.find("news", now)
	if diff := cmp.Diff(before.Versions, after.Versions); diff != "" || after.State != juncture.PoolLive {
		t.Errorf("another end is no other version:\n%s", diff)
	}
	if c, err := pool.PlanTerms(s.c, "news", later, "user:bob", "console", now); err != nil || !c.Empty() {
		t.Errorf("the same again: %v %v", c.Lines, err)
	}
	s.apply(testkit.Declaration(), true, "root")
	if a := s.find("news", now); a.Owner != "" || a.Expires != nil || s.c.Declaration.Terms != nil {
		t.Errorf("%+v", a.Terms)
	}
	for _, bad := range []juncture.Terms{{Starts: &expires, Expires: &starts}, {Cap: &juncture.Cap{PerShopper: &juncture.Frequency{N: 0, Per: juncture.PerDay}}},
		{Cap: &juncture.Cap{PerShopper: &juncture.Frequency{N: 1, Per: "year"}}}, {Cap: &juncture.Cap{Spend: &juncture.Spend{Most: 1, Cost: 2, Per: juncture.SpendServe}}},
		{Cap: &juncture.Cap{Spend: &juncture.Spend{Most: 5, Cost: 2, Per: juncture.SpendSuccess, Outcome: "none"}}}} {
		if _, err := pool.PlanTerms(s.c, "news", juncture.TermsRequest{Terms: bad, Reason: "x"}, "bob", "test", now); juncture.ErrorCode(err) != juncture.CodeInvalidRequest {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func TestGuardrailsRead(t *testing.T) {
	g := &juncture.Guardrails{MaxDiscount: 30, Words: []string{"guaranteed", "last chance"}}
	for text, want := range map[string]int{"": 0, "Guaranteed!": 1, "unguaranteed": 0, "Last-chance, GUARANTEED": 2, "the last of the chance": 0, "LAST\u00a0CHANCE": 1} {
		if got := g.Copy(juncture.Copy{Body: text}); len(got) != want {
			t.Errorf("%q: %q", text, got)
		}
	}
	for _, x := range []struct {
		payload map[string]any
		want    int
	}{{nil, 0}, {map[string]any{"percent": 30}, 0}, {map[string]any{"percent": 30.5}, 1}, {map[string]any{"Discount": "-40 %"}, 1}, {map[string]any{"price": 400}, 0},
		{map[string]any{"tiers": []any{map[string]any{"discount": 10}, map[string]any{"discount": 50}}}, 1}, {map[string]any{"text": "guaranteed"}, 1}, {map[string]any{"percent": []any{5, 60}}, 1}} {
		if got := g.Action(juncture.Action{Payload: x.payload}, func(string) string { return "sms" }); len(got) != x.want {
			t.Errorf("%v: %q", x.payload, got)
		}
	}
	if got := (*juncture.Guardrails)(nil).Copy(juncture.Copy{Body: "guaranteed"}); got != nil {
		t.Error(got)
	}
}

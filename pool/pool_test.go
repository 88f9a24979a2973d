package pool_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/internal/testkit"
	"github.com/juncture/juncture/pool"
)

// shelf applies changes as a store does, in memory.
type shelf struct {
	t *testing.T
	c *juncture.Catalog
}

func newShelf(t *testing.T) *shelf {
	return &shelf{t, &juncture.Catalog{Arms: map[juncture.Arm]juncture.ArmID{}}}
}

func (s *shelf) plan(d *juncture.Declaration, approve bool, actor string) (juncture.Change, error) {
	return pool.Plan(s.c, d, approve, actor, "cli", testkit.Epoch())
}

func (s *shelf) apply(d *juncture.Declaration, approve bool, actor string) juncture.Change {
	s.t.Helper()
	change, err := s.plan(d, approve, actor)
	if err != nil {
		s.t.Fatal(err)
	}
	if change.Base != s.c.Number {
		s.t.Errorf("planned on %d, not %d", change.Base, s.c.Number)
	}
	s.make(change)
	return change
}

// make makes a change of the catalogue, as the store does.
func (s *shelf) make(change juncture.Change) {
	s.t.Helper()
	if change.Empty() {
		return
	}
	s.c.Number++
	if change.Declaration != nil {
		s.c.Declaration = *change.Declaration
		s.c.Declaration.Actions, s.c.Declaration.Priorities = nil, nil
	}
	s.c.Versions = append(s.c.Versions, change.Add...)
	for _, v := range change.Review {
		i := slices.IndexFunc(s.c.Versions, func(o juncture.Version) bool {
			return o.Ref() == v.Ref()
		})
		if i < 0 {
			s.t.Fatalf("approves %s, which there is not", v.Ref().Subject())
		}
		s.c.Versions[i] = v
	}
	slices.SortFunc(s.c.Versions, func(a, b juncture.Version) int {
		return cmp.Or(cmp.Compare(a.Action, b.Action), cmp.Compare(a.Copy, b.Copy), cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.Number, b.Number))
	})
	for _, a := range s.c.Versions {
		for _, w := range s.c.Versions {
			arm := juncture.Arm{Action: a.Action, ActionVersion: a.Number, Copy: w.Copy, CopyVersion: w.Number}
			if a.Copy == "" && w.Copy != "" && a.Action == w.Action && a.Status == "approved" && w.Status == "approved" && s.c.Arms[arm] == 0 {
				s.c.Arms[arm] = juncture.ArmID(len(s.c.Arms) + 1)
			}
		}
	}
}

// live lists a surface's arms as they are tried.
func (s *shelf) live(surface string) string {
	s.t.Helper()
	snapshot, err := pool.Build(s.c)
	if err != nil {
		s.t.Fatal(err)
	}
	var out []string
	for _, a := range snapshot.Surfaces[surface].Arms {
		out = append(out, a.Arm.String())
	}
	if n := len(snapshot.LiveArms(surface)); n != len(out) {
		s.t.Errorf("%d live arms, of %v", n, out)
	}
	return strings.Join(out, " ")
}

func edit(headline string) func(*juncture.Declaration) {
	return testkit.Action("news", func(a *juncture.Action) { a.Copy[0].Headline = headline })
}

func TestApplyingTwiceChangesNothing(t *testing.T) {
	s := newShelf(t)
	first := s.apply(testkit.Declaration(), true, "ada")
	if len(first.Add) != 9 || len(first.Review) != 9 { // 4 actions, 5 copies
		t.Errorf("%d added, %d approved", len(first.Add), len(first.Review))
	}
	if len(first.Lines) == 0 || len(first.Audit) < len(first.Lines)/2 {
		t.Errorf("diff %q, audit %v", first.Lines, first.Audit)
	}
	again := s.apply(testkit.Declaration(), true, "bob")
	if !again.Empty() || len(again.Lines) != 0 || len(again.Audit) != 0 {
		t.Errorf("again: %+v", again)
	}
}

func TestWhatIsLeftOutStays(t *testing.T) {
	s := newShelf(t)
	s.apply(testkit.Declaration(), true, "ada")
	s.apply(testkit.Declaration(func(d *juncture.Declaration) { d.Traffic = &juncture.Traffic{Staff: []string{"203.0.113.7"}} }), true, "ada")
	before := s.live("home_hero")
	less := testkit.Declaration(func(d *juncture.Declaration) {
		d.Actions, d.Experiments, d.Outcomes = d.Actions[:1], nil, d.Outcomes[:1]
	})
	if change := s.apply(less, true, "ada"); !change.Empty() {
		t.Errorf("%q", change.Lines)
	}
	if after := s.live("home_hero"); after != before || len(s.c.Declaration.Experiments) != 1 || len(s.c.Declaration.Outcomes) != 2 || len(s.c.Declaration.Traffic.Staff) != 1 {
		t.Errorf("%s, then %s; %+v", before, after, s.c.Declaration)
	}
}

func TestEditsMakeVersionsThatWait(t *testing.T) {
	s := newShelf(t)
	s.apply(testkit.Declaration(), true, "ada")
	const old = "five_off@1/plain@1 five_off@1/urgent@1 news@1/plain@1 points@1/plain@1 welcome@1/plain@1"
	if got := s.live("home_hero"); got != old {
		t.Errorf("%s", got)
	}
	change := s.apply(testkit.Declaration(edit("two")), false, "ada")
	if len(change.Add) != 1 || len(change.Review) != 0 || change.Add[0].Number != 2 || change.Add[0].Status != juncture.VersionInReview || change.Declaration != nil {
		t.Errorf("%+v", change)
	}
	if len(change.Lines) != 1 || !strings.HasPrefix(change.Lines[0], "~ copy news/plain@1 ") {
		t.Errorf("%q", change.Lines)
	}
	if got := s.live("home_hero"); got != old {
		t.Errorf("what waits is live: %s", got)
	}
	if change := s.apply(testkit.Declaration(edit("two")), false, "bob"); !change.Empty() {
		t.Errorf("the same edit again: %+v", change)
	}
	change = s.apply(testkit.Declaration(edit("two")), true, "bob")
	if len(change.Add) != 0 || len(change.Review) != 1 || change.Review[0].Bypass || change.Review[0].Reviewer != "bob" || change.Review[0].Author != "ada" {
		t.Errorf("approved by another: %+v", change)
	}
	if got := s.live("home_hero"); got != strings.Replace(old, "news@1/plain@1", "news@1/plain@2", 1) {
		t.Errorf("%s", got)
	}
	change = s.apply(testkit.Declaration(edit("three")), true, "ada")
	if len(change.Review) != 1 || !change.Review[0].Bypass || !strings.Contains(fmt.Sprint(change.Lines), "bypass") {
		t.Errorf("approved by its author: %+v", change)
	}
	for _, n := range change.Audit {
		if n.Action == "approve" && !strings.Contains(string(n.After), `"bypass":true`) {
			t.Errorf("the log does not say so: %s", n.After)
		}
	}
	// A version that was never approved is passed over by the one after it.
	s.apply(testkit.Declaration(edit("four")), false, "ada")
	s.apply(testkit.Declaration(edit("five")), true, "bob")
	if got := s.live("home_hero"); !strings.Contains(got, "news@1/plain@5") || strings.Contains(got, "plain@4") {
		t.Errorf("%s", got)
	}
	rule := testkit.Action("five_off", func(a *juncture.Action) { a.Rule = "hour > 3" })
	s.apply(testkit.Declaration(edit("five"), rule), true, "bob")
	if got := s.live("home_hero"); !strings.HasPrefix(got, "five_off@2/plain@1 five_off@2/urgent@1 ") {
		t.Errorf("a new version of the action keeps its copy: %s", got)
	}
}

func TestArmsStandAsTheirCopyIsListed(t *testing.T) {
	s := newShelf(t)
	list := func(ids ...string) func(*juncture.Declaration) {
		return testkit.Action("welcome", func(a *juncture.Action) {
			a.Copy = nil
			for _, id := range ids {
				a.Copy = append(a.Copy, juncture.Copy{ID: id, Headline: id})
			}
		})
	}
	for _, c := range []struct {
		listed []string
		want   string
	}{
		{[]string{"zest", "able"}, "welcome@1/zest@1 welcome@1/able@1"},
		{[]string{"able", "zest", "mid"}, "welcome@1/able@1 welcome@1/zest@1 welcome@1/mid@1"},
		{[]string{"mid"}, "welcome@1/mid@1 welcome@1/able@1 welcome@1/zest@1"}, // the others stay, after it
	} {
		s.apply(testkit.Declaration(list(c.listed...)), true, "ada")
		if got := s.live("cart_email"); got != c.want {
			t.Errorf("listed %v: %s, want %s", c.listed, got, c.want)
		}
		snapshot, err := pool.Build(s.c)
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(c.want, " ")
		at := snapshot.Surfaces["cart_email"]
		if at.Default.Arm.String() != first || at.Live("welcome", "").Arm.String() != first {
			t.Errorf("listed %v: default %v, first %v; want %s", c.listed, at.Default.Arm, at.Live("welcome", "").Arm, first)
		}
	}
	if snapshot, err := pool.Build(s.c); err != nil || snapshot.Surfaces["cart_email"].Live("welcome", "ghost") != nil || snapshot.Surfaces["cart_email"].Live("news", "") != nil {
		t.Errorf("finds what is not there, %v", err)
	}
}

func TestWhatWouldChangeTheMeaningOfEvidenceIsRefused(t *testing.T) {
	half, less := 0.5, 0.4
	for what, c := range map[string]struct {
		change  func(*juncture.Declaration)
		allowed bool
	}{
		"the currency":                 {func(d *juncture.Declaration) { d.Store.Currency = "EUR" }, false},
		"the name":                     {func(d *juncture.Declaration) { d.Store.Name = "Other" }, true},
		"an outcome's type":            {func(d *juncture.Declaration) { d.Outcomes[0].Type = juncture.OutcomeMoney }, false},
		"an outcome's count":           {func(d *juncture.Declaration) { d.Outcomes[1].Count = juncture.CountLast }, false},
		"an outcome's count, as it is": {func(d *juncture.Declaration) { d.Outcomes[1].Count = juncture.CountSum }, true},
		"an outcome's cap":             {func(d *juncture.Declaration) { d.Outcomes[1].Cap = 5 }, false},
		"an outcome's window":          {func(d *juncture.Declaration) { d.Outcomes[1].Window = juncture.Duration(time.Hour) }, false},
		"an outcome's bound":           {func(d *juncture.Declaration) { d.Outcomes[1].Bound = 1 }, true},
		"another outcome": {func(d *juncture.Declaration) {
			d.Outcomes = append(d.Outcomes, juncture.OutcomeType{Name: "visit", Type: juncture.OutcomeBinary})
		}, true},
		"an experiment's surface":        {testkit.Hero(func(e *juncture.Experiment) { e.Surface = "cart_email" }), false},
		"an experiment's shares":         {testkit.Shares(0.5, 0.5, 0, 0), false},
		"less traffic":                   {testkit.Hero(func(e *juncture.Experiment) { e.Traffic = &less }), false},
		"more traffic":                   {testkit.Hero(func(e *juncture.Experiment) { e.Traffic = nil }), true},
		"back to a draft":                {testkit.Hero(func(e *juncture.Experiment) { e.Status = juncture.StatusDraft }), false},
		"a pause":                        {testkit.Hero(func(e *juncture.Experiment) { e.Status = juncture.StatusPaused }), true},
		"a second running one":           {func(d *juncture.Declaration) { d.Experiments[0].ID = "second" }, false},
		"a surface that others stand on": {func(d *juncture.Declaration) { d.Surfaces[0].Default = "nothing" }, false},
		"a rule that does not compile":   {testkit.Action("news", func(a *juncture.Action) { a.Rule = "hour >" }), false},
	} {
		s := newShelf(t)
		s.apply(testkit.Declaration(testkit.Hero(func(e *juncture.Experiment) { e.Traffic = &half })), true, "ada")
		d := testkit.Declaration(testkit.Hero(func(e *juncture.Experiment) { e.Traffic = &half }), c.change)
		change, err := s.plan(d, true, "ada")
		if c.allowed != (err == nil) || err != nil && juncture.ErrorCode(err) != juncture.CodeInvalidRequest {
			t.Errorf("%s: %v, allowed %v", what, err, c.allowed)
		}
		if err != nil && !change.Empty() {
			t.Errorf("%s: refused, and it would change %q", what, change.Lines)
		}
	}
	// A draft may still become anything.
	s := newShelf(t)
	draft := testkit.Hero(func(e *juncture.Experiment) { e.Status = juncture.StatusDraft })
	s.apply(testkit.Declaration(draft), true, "ada")
	if _, err := s.plan(testkit.Declaration(draft, testkit.Shares(0.5, 0.5, 0, 0)), true, "ada"); err != nil {
		t.Error(err)
	}
}

func TestRulesAreCheckedAndBounded(t *testing.T) {
	for text, ok := range map[string]bool{
		"": true, "  \n": true, "true": true, `lifecycle in ["loyal", "returning"]`: true, `context.a == 1 or context.b == "x"`: true, `hour >= 9 && hour < 17`: true,
		`any(["a"], # == meaning)`: true,
		"hour":                     false, "lifecycle": false, "unknown == 1": false, "hour == ": false, `hour == "x"`: false, "1 +": false, "lifecycle.x == 1": false,
		strings.Repeat("true && ", 300) + "true": false,
	} {
		_, err := pool.CompileRule(text)
		if ok != (err == nil) || err != nil && juncture.ErrorCode(err) != juncture.CodeInvalidRequest {
			t.Errorf("%.60q: %v, want ok %v", text, err, ok)
		}
	}
	for _, text := range []string{`context.x > 3`, `context.x.y == 1`, `len(repeat("a", 1000000000)) > 0`, `len(map(1..100000000, #)) > 0`} {
		r, err := pool.CompileRule(text)
		if err != nil {
			continue // refused at once is as good
		}
		if holds, err := r.Holds(pool.Facts{Context: map[string]any{}}); holds || err == nil {
			t.Errorf("%s holds %v, %v; want an error", text, holds, err)
		}
	}
	d := testkit.Declaration(testkit.Action("news", func(a *juncture.Action) { a.Rule = "hour >" }))
	if p := pool.RuleProblems(d); len(p) != 1 || p[0].Path != "actions[2].rule" || p[0].Message == "" {
		t.Errorf("%+v", p)
	}
}

func TestFacts(t *testing.T) {
	at := time.Date(2026, 1, 15, 23, 30, 0, 0, time.FixedZone("somewhere", 3*3600)) // 20:30 UTC, Thursday
	f := pool.NewFacts(juncture.Intersection{"loyal._.considering", "c1", "_.rising", "_"}, "onsite", at, map[string]any{"a": 1.0})
	got, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	want, err := json.Marshal(pool.Facts{Lifecycle: "loyal", Mode: "considering", Meaning: "c1", Live: "rising", Channel: "onsite", Hour: 20, Weekday: "thursday", Context: map[string]any{"a": 1.0}})
	if err != nil || string(got) != string(want) {
		t.Errorf("%s, want %s, %v", got, want, err)
	}
}

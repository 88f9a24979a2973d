package pool_test

import (
	"strings"
	"testing"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/internal/testkit"
	"github.com/juncture/juncture/pool"
)

func TestRulesReadNoTraits(t *testing.T) {
	for text, trait := range map[string]string{
		`context.gender == "f"`: "gender", `context["age"] > 30`: "age", `context?.ageGroup == "x"`: "age", `"religion" in context`: "religion",
		`get(context, "income") > 1`: "circumstances", `context.user.birthday == ""`: "age", `profile.ethnicity == "x"`: "ethnicity",
		`any([1], context.pregnant == true)`: "pregnancy", `hour > 9 && (lifecycle == "loyal" || not (context.customerAge > 3))`: "age",
	} {
		_, err := pool.CompileRule(text)
		if juncture.ErrorCode(err) != juncture.CodeInvalidRequest || !strings.Contains(err.Error(), "person's "+trait) {
			t.Errorf("%s: %v, want a refusal for %s", text, err, trait)
		}
	}
	for _, text := range []string{`len(context) > 1`, `let c = context; c.age > 1`, `context["a" + "ge"] > 1`, `context[channel] > 1`, `any(keys(context), # == "age")`,
		`$env["context"].age > 1`, `$env.context.age > 1`, `get(context, channel) == 1`, `channel in context`} {
		if _, err := pool.CompileRule(text); juncture.ErrorCode(err) != juncture.CodeInvalidRequest {
			t.Errorf("%s is taken: %v", text, err)
		}
	}
	for _, text := range []string{`context.page == "home"`, `context.department == "women"`, `context["weather"] == "rain" and "basket" in context`, `get(context, "stage") == "age"`,
		`lifecycle in ["age"]`, `(context.a ?? 1) == 1`, `context?.a?.b == 1`} {
		if _, err := pool.CompileRule(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	d := testkit.Declaration(testkit.Action("news", func(a *juncture.Action) { a.Rule = `context.gender == "f"` }))
	if p := pool.RuleProblems(d); len(p) != 1 || p[0].Path != "actions[2].rule" || p[0].Hint != juncture.TraitHint {
		t.Errorf("%+v", p)
	}
}

// A rule that was approved before it was refused never holds, and does not keep the store from starting.
func TestApprovedRulesThatReadTraitsNeverHold(t *testing.T) {
	s := newShelf(t)
	s.apply(testkit.Declaration(testkit.Action("news", func(a *juncture.Action) { a.Rule = `context.page == "home"` })), true, "ada")
	body := func(v juncture.Version) string { return string(v.Body) }
	for i, v := range s.c.Versions {
		s.c.Versions[i].Body = []byte(strings.Replace(body(v), "context.page", "context.gender", 1))
	}
	snapshot, err := pool.Build(s.c)
	if err != nil {
		t.Fatal(err)
	}
	refused := ""
	arms := snapshot.Surfaces["home_hero"].Eligible(nil, pool.Facts{Context: map[string]any{"gender": "home"}}, juncture.Intersection{}, func(r pool.Refusal) {
		if r.Broken {
			refused = r.Why
		}
	})
	for _, a := range arms {
		if a.Arm.Action == "news" {
			t.Error("the rule holds")
		}
	}
	if !strings.Contains(refused, "gender") {
		t.Errorf("refused for %q", refused)
	}
}

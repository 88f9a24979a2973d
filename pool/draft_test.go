package pool_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/internal/testkit"
	"github.com/juncture/juncture/pool"
)

// A rule that is wrong is told where, and what to write.
func TestWhereARuleIsWrong(t *testing.T) {
	for rule, want := range map[string][2]string{
		`lifecyle == "loyal"`:        {"line 1, column 1: unknown name lifecyle", "one of lifecycle, status, mode,"},
		"hour > 3 &&\n  hour < nine": {"line 2, column 10: unknown name nine", "stand in quotes"},
		`lifecycle = "loyal"`:        {`line 1, column 11: unexpected token Operator("=")`, `lifecycle == "loyal"`},
		`lifecycle ==`:               {"line 1, column 12: the rule ends too early", "such as"},
		`hour`:                       {"expected bool, but got int", "yes or no"},
		`context.gender == "f"`:      {"speaks of a person's gender", ""},
	} {
		_, err := pool.CompileRule(rule)
		e, ok := errors.AsType[*juncture.Error](err)
		if !ok || e.Field != "rule" || !strings.Contains(e.Message, want[0]) || !strings.Contains(e.Hint, want[1]) || strings.Contains(e.Message, "\n") {
			t.Errorf("%q: %v, hint %q", rule, err, e.Hint)
		}
	}
}

// Everything that is wrong with a draft is told at once, each by the request's field.
func TestDraftsTellAllThatIsWrong(t *testing.T) {
	s := newShelf(t)
	s.apply(testkit.Declaration(), true, "root")
	fields := func(err error) (out []string) {
		e, ok := errors.AsType[*juncture.Error](err)
		if !ok {
			t.Fatal(err)
		}
		for _, p := range e.Problems {
			out = append(out, p.Path)
		}
		return out
	}
	draft := juncture.ActionDraft{Action: juncture.Action{ID: "calm", Surfaces: []string{"home_hero", "nowhere"}, Type: "Con tent", Rule: "hour >", From: []string{"moon"},
		Terms: juncture.Terms{Cap: &juncture.Cap{PerDay: -1}}, Copy: []juncture.Copy{{ID: "plain"}}}}
	_, err := pool.PlanAction(s.c, draft, "ada", "test", testkit.Epoch())
	if diff := cmp.Diff([]string{"type", "surfaces[1]", "from[0]", "copy[0].headline", "cap.perDay", "rule"}, fields(err)); diff != "" {
		t.Error(diff)
	}
	s.c.Declaration.Guardrails = &juncture.Guardrails{MaxDiscount: 30, Words: []string{"cheap"}}
	draft.Action = juncture.Action{ID: "five_off", Surfaces: []string{"home_hero"}, Type: "discount", Payload: map[string]any{"percent": 60.0, "label": "cheap"}}
	draft.Submit = true
	_, err = pool.PlanAction(s.c, draft, "ada", "test", testkit.Epoch())
	if diff := cmp.Diff([]string{"payload.label", "payload.percent"}, fields(err)); diff != "" || juncture.ErrorCode(err) != juncture.CodeUnprocessable {
		t.Error(diff, err)
	}
	_, err = pool.PlanCopy(s.c, "five_off", juncture.CopyDraft{Copy: juncture.Copy{ID: s.c.Declaration.CopyOrder["five_off"][0], Headline: "Cheap", CTA: "So cheap!"}, Submit: true}, "ada", "test", testkit.Epoch())
	if diff := cmp.Diff([]string{"headline", "cta"}, fields(err)); diff != "" {
		t.Error(diff)
	}
	_, err = pool.PlanCopy(s.c, "five_off", juncture.CopyDraft{Copy: juncture.Copy{ID: s.c.Declaration.CopyOrder["five_off"][0]}}, "ada", "test", testkit.Epoch())
	if diff := cmp.Diff([]string{"headline"}, fields(err)); diff != "" {
		t.Error(diff)
	}
}

// Whoever holds back a surface's default is told before and after, whatever does it.
func TestDefaultsHeldBack(t *testing.T) {
	now := testkit.Epoch()
	why := juncture.ReasonRequest{Reason: "why"}
	var id string
	for name, do := range map[string]func(s *shelf) (juncture.Change, []string, error){
		"pause": func(s *shelf) (juncture.Change, []string, error) {
			return pool.PlanHold(s.c, id, "", juncture.VerbPause, why, "ada", "test", now)
		},
		"retire": func(s *shelf) (juncture.Change, []string, error) {
			return pool.PlanHold(s.c, id, "", juncture.VerbRetire, why, "ada", "test", now)
		},
		"kill": func(s *shelf) (juncture.Change, []string, error) {
			return pool.PlanKill(s.c, "action", id, juncture.VerbKill, why, "ada", "test", now)
		},
		"expire": func(s *shelf) (juncture.Change, []string, error) {
			c, err := pool.PlanTerms(s.c, id, juncture.TermsRequest{Terms: juncture.Terms{Expires: new(now.Add(-time.Hour))}, Reason: "why"}, "ada", "test", now)
			return c, trimmed(c.Lines[1:]), err
		},
		"expire later": func(s *shelf) (juncture.Change, []string, error) {
			c, err := pool.PlanTerms(s.c, id, juncture.TermsRequest{Terms: juncture.Terms{Expires: new(now.Add(time.Hour))}, Reason: "why"}, "ada", "test", now)
			return c, trimmed(c.Lines[1:]), err
		},
	} {
		s := newShelf(t)
		s.apply(testkit.Declaration(), true, "root")
		at := s.c.Declaration.Surfaces[0]
		id = at.Default
		if a := s.find(id, now); !cmp.Equal(a.DefaultOf, []string{"home_hero", "cart_email"}) || len(a.Warnings) != 0 {
			t.Errorf("before: of %v, warned %q", a.DefaultOf, a.Warnings)
		}
		c, warnings, err := do(s)
		if err != nil || len(warnings) != 2 || !strings.Contains(warnings[0], `default of surface "`+at.ID+`"`) {
			t.Errorf("%s: %q, %v", name, warnings, err)
		}
		s.make(c)
		if a := s.find(id, now); !cmp.Equal(a.Warnings, warnings) {
			t.Errorf("%s, after: %q, before %q", name, a.Warnings, warnings)
		}
	}
	// One copy of two may go; the last that the default can be may not, unwarned.
	s := newShelf(t)
	s.apply(testkit.Declaration(func(d *juncture.Declaration) { d.Surfaces[0].Default = "five_off" }), true, "root")
	pause := func(copy string) []string {
		c, warnings, err := pool.PlanHold(s.c, "five_off", copy, juncture.VerbPause, why, "ada", "test", now)
		s.change(c, err)
		return warnings
	}
	if w := pause("plain"); len(w) != 0 || !cmp.Equal(s.find("five_off", now).Copies[1].DefaultOf, []string{"home_hero"}) {
		t.Errorf("the first of two copies: %q", w)
	}
	if w := pause("urgent"); len(w) != 1 || !strings.Contains(w[0], "no copy of it is live") {
		t.Errorf("the last copy: %q", w)
	}
	s.c.Declaration.Surfaces[0].DefaultCopy = "plain"
	if w := s.find("five_off", now).Warnings; len(w) != 1 || !strings.Contains(w[0], `its copy "plain" is paused`) {
		t.Errorf("the copy that the surface names: %q", w)
	}
}

// trimmed are the warnings among the lines of a change.
func trimmed(lines []string) (out []string) {
	for _, l := range lines {
		out = append(out, strings.TrimPrefix(l, "! "))
	}
	return out
}

package pool

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"

	"github.com/juncture/juncture"
)

// Facts are what a rule may ask about: the axes of the layers, the surface's channel, the hour and weekday (UTC), the
// call's context and the shopper's profile. An unknown text is "", an unknown number 0.
type Facts struct {
	Lifecycle string         `expr:"lifecycle"`
	Status    string         `expr:"status"`
	Mode      string         `expr:"mode"`
	Meaning   string         `expr:"meaning"`
	Latent    string         `expr:"latent"`
	Live      string         `expr:"live"`
	Category  string         `expr:"category"`
	Channel   string         `expr:"channel"`
	Hour      int            `expr:"hour"`    // 0 to 23
	Weekday   string         `expr:"weekday"` // monday to sunday
	Context   map[string]any `expr:"context"`
	Profile   map[string]any `expr:"profile"`

	now time.Time // of the call: rules see its hour and weekday
}

// NewFacts describes a call to the rules.
func NewFacts(x juncture.Intersection, channel string, now time.Time, context map[string]any) Facts {
	axis := func(name string) string {
		if v, _ := x.AxisNamed(name); v != juncture.Unknown {
			return v
		}
		return ""
	}
	now = now.UTC()
	return Facts{
		Lifecycle: axis("lifecycle"), Status: axis("status"), Mode: axis("mode"), Meaning: axis("meaning"),
		Latent: axis("latent"), Live: axis("live"), Category: axis("category"), Channel: channel,
		Hour: now.Hour(), Weekday: strings.ToLower(now.Weekday().String()), Context: context, now: now,
	}
}

// Rule is a compiled eligibility rule. The nil Rule always holds.
type Rule struct {
	program *vm.Program
	refused error // it was approved before it was refused: it never holds
}

// maxRuleMemory bounds what a rule may make while it runs, in elements: a call is not the place to count to a million.
const maxRuleMemory = 1000

// maxRuleNodes bounds the size of a rule's syntax tree.
const maxRuleNodes = 200

// CompileRule compiles an expr-lang expression that gives a bool. Empty text is the nil Rule. The context is read by name,
// and no name may speak of a sensitive trait of a person (juncture.Trait). The error is CodeInvalidRequest and points at
// the column.
func CompileRule(text string) (*Rule, error) {
	r, err := compile(text)
	if err == nil && r != nil {
		err = r.refused
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// compile is CompileRule, but for a rule that must not be it returns one that never holds.
func compile(text string) (*Rule, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	p, err := expr.Compile(text, expr.Env(Facts{}), expr.AsBool(), expr.MaxNodes(maxRuleNodes),
		expr.DisableBuiltin("now"), expr.DisableBuiltin("date")) // they read a clock that is not the call's
	if err != nil {
		message, hint := ruleTrouble(err)
		return nil, (&juncture.Error{Code: juncture.CodeInvalidRequest, Message: "rule does not compile: " + message, Err: err}).WithHint(hint).WithField("rule")
	}
	return &Rule{program: p, refused: reads(text)}, nil
}

// RuleNames are what a rule may ask, as Facts names them; of context and profile a key follows.
func RuleNames() []string {
	var out []string
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Facts]()) {
		if name := f.Tag.Get("expr"); name != "" {
			out = append(out, name)
		}
	}
	return out
}

// ruleTrouble says where a rule is wrong, and what to write.
func ruleTrouble(err error) (message, hint string) {
	message, hint = err.Error(), `such as lifecycle != "loyal" && hour >= 9`
	at, ok := errors.AsType[*file.Error](err)
	if !ok {
		return message, "a rule says yes or no: " + hint // it gives something else
	}
	switch message = at.Message; {
	case strings.HasPrefix(message, "unknown name"):
		hint = "one of " + strings.Join(RuleNames(), ", ") + `; words stand in quotes: status == "at-risk"`
	case message == `unexpected token Operator("=")`:
		hint = `two equals signs compare: lifecycle == "loyal"`
	case strings.HasSuffix(message, "token EOF"):
		message, hint = "the rule ends too early", "what follows is missing: "+hint
	}
	if at.Line > 0 {
		message = fmt.Sprintf("line %d, column %d: %s", at.Line, at.Column+1, message)
	}
	return message, hint
}

// Holds reports whether the rule holds. An error (a comparison of unlike types, say) means that it does not.
func (r *Rule) Holds(f Facts) (bool, error) {
	if r == nil {
		return true, nil
	}
	if r.refused != nil {
		return false, r.refused
	}
	machine := vm.VM{MemoryBudget: maxRuleMemory}
	out, err := machine.Run(r.program, f)
	if err != nil {
		return false, fmt.Errorf("rule: %w", err)
	}
	ok, _ := out.(bool)
	return ok, nil
}

// RuleProblems returns the rules of a declaration that do not compile.
func RuleProblems(d *juncture.Declaration) []juncture.Problem {
	var out []juncture.Problem
	for i, a := range d.Actions {
		if _, err := CompileRule(a.Rule); err != nil {
			p := juncture.Problem{Path: fmt.Sprintf("actions[%d].rule", i), Message: err.Error()}
			if e, ok := errors.AsType[*juncture.Error](err); ok {
				p.Message, p.Hint = e.Message, e.Hint
			}
			out = append(out, p)
		}
	}
	return out
}

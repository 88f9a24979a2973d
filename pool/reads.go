package pool

import (
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"

	"github.com/juncture/juncture"
)

// reads refuses a rule that asks the caller's context, or the profile, about a sensitive trait, or that does not ask them
// by name: what it reads must be told from its text.
func reads(text string) error {
	tree, err := parser.Parse(text)
	if err != nil {
		return juncture.Errorf(juncture.CodeInvalidRequest, "rule does not compile: %w", err).WithField("rule")
	}
	r := reader{named: map[ast.Node]bool{}}
	ast.Walk(&tree.Node, &r)
	for _, n := range r.whole {
		if !r.named[n] && r.err == nil {
			r.err = juncture.Errorf(juncture.CodeInvalidRequest, "rule reads %s other than by name", n.Value).
				WithHint(`name the key: context.key, context["key"], "key" in context`).WithField("rule")
		}
	}
	return r.err
}

// reader gathers what a rule asks.
type reader struct {
	whole []*ast.IdentifierNode // every mention of what is read by name
	named map[ast.Node]bool     // those of which a name follows
	err   error
}

// Visit looks at one node; its children come first.
func (r *reader) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		switch n.Value {
		case "context", "profile", "$env":
			r.whole = append(r.whole, n)
		}
	case *ast.MemberNode:
		r.asks(n.Node, n.Property)
	case *ast.BuiltinNode:
		if n.Name == "get" && len(n.Arguments) == 2 {
			r.asks(n.Arguments[0], n.Arguments[1])
		}
	case *ast.BinaryNode:
		if n.Operator == "in" {
			r.asks(n.Right, n.Left)
		}
	}
}

// asks notes that a key of something is read: of the context, or of what is under one of its keys.
func (r *reader) asks(of, key ast.Node) {
	text, ok := key.(*ast.StringNode)
	if !ok {
		return
	}
	for {
		switch n := of.(type) {
		case *ast.ChainNode:
			of = n.Node
			continue
		case *ast.MemberNode:
			of = n.Node
			continue
		case *ast.IdentifierNode:
			switch n.Value {
			case "context", "profile":
				r.named[n] = true
				if trait := juncture.Trait(text.Value); trait != "" && r.err == nil {
					r.err = juncture.Errorf(juncture.CodeInvalidRequest, "rule reads %s.%.64s, which speaks of a person's %s and is never an input", n.Value, text.Value, trait).
						WithHint(juncture.TraitHint).WithField("rule")
				}
			}
		}
		return
	}
}

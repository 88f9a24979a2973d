package pool

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/juncture/juncture"
)

// Plan compares a declaration with the catalog and returns the change that brings the catalog there, with a diff for
// people and the audit's notes. What the declaration leaves out stays as it is. With approve, every version of the
// declaration that waits for review is approved by the actor; where the actor wrote it, that is recorded as a bypass.
//
// The error is CodeInvalidRequest: something that may not change would.
func Plan(c *juncture.Catalog, d *juncture.Declaration, approve bool, actor, from string, now time.Time) (juncture.Change, error) {
	p := planner{c: c, change: juncture.Change{Base: c.Number}, actor: actor, from: from, now: now, approve: approve}
	next := merge(c.Declaration, *d)
	if err := p.allowed(c.Declaration, next); err != nil {
		return juncture.Change{}, err
	}
	if problems := whole(next, c, d).Problems(); len(problems) > 0 {
		return juncture.Change{}, juncture.Errorf(juncture.CodeInvalidRequest, "together with what was applied before: %s: %s",
			problems[0].Path, problems[0].Message).WithHint(problems[0].Hint)
	}
	p.settings(c.Declaration, next)
	for i := range d.Actions {
		if err := p.action(d.Actions[i]); err != nil {
			return juncture.Change{}, err
		}
	}
	if p.changed {
		p.change.Declaration = &next
	}
	return p.change, nil
}

// merge lays a declaration over the one before it, entry by entry.
func merge(old, d juncture.Declaration) juncture.Declaration {
	next := d
	next.Actions = nil
	next.Layers = map[string]juncture.LayerSetting{}
	for k, v := range old.Layers {
		next.Layers[k] = v
	}
	for k, v := range d.Layers {
		next.Layers[k] = v
	}
	if d.Traffic == nil {
		next.Traffic = old.Traffic
	}
	if len(d.Context) == 0 {
		next.Context = old.Context
	}
	next.Outcomes = overlay(old.Outcomes, d.Outcomes, func(o juncture.OutcomeType) string { return o.Name })
	next.Surfaces = overlay(old.Surfaces, d.Surfaces, func(s juncture.Surface) string { return s.ID })
	next.Experiments = overlay(old.Experiments, d.Experiments, func(e juncture.Experiment) string { return e.ID })
	next.Priorities = overlay(old.Priorities, d.Priorities, func(p juncture.Priority) string { return p.ID })
	next.Editorial = overlay(old.Editorial, d.Editorial, func(e juncture.Editorial) string { return e.ID })
	next.Holdouts = overlay(old.Holdouts, d.Holdouts, func(h juncture.Holdout) string { return h.ID })
	next.Phases = phases(old, next)
	next.Shipped, next.Tripped, next.Resets = lasting(old, next), old.Tripped, old.Resets // only a reset undoes a trip
	next.CopyOrder = map[string][]string{}
	for k, v := range old.CopyOrder {
		next.CopyOrder[k] = v
	}
	for _, a := range d.Actions {
		var order []string
		for _, w := range a.Copy {
			order = append(order, w.ID)
		}
		next.CopyOrder[a.ID] = order
	}
	return next
}

// phases adds the shares that end with a change of what decides who is in an experiment that has started, or in a holdout,
// and in which group. Nil: none has changed.
func phases(old, next juncture.Declaration) map[string][]juncture.GroupShares {
	var out map[string][]juncture.GroupShares
	keep := func(id string, ended juncture.GroupShares, changed bool) {
		list := old.Phases[id]
		if changed {
			list = append(slices.Clone(list), ended)
		}
		if len(list) > 0 {
			if out == nil {
				out = map[string][]juncture.GroupShares{}
			}
			out[id] = list
		}
	}
	for _, e := range next.Experiments {
		if i := slices.IndexFunc(old.Experiments, func(o juncture.Experiment) bool { return o.ID == e.ID }); i >= 0 {
			o := old.Experiments[i]
			keep(e.ID, o.Groups, o.Status != juncture.StatusDraft && (o.Groups != e.Groups || o.TrafficShare() != e.TrafficShare() || o.Shadow != e.Shadow || canonical(o.Slice) != canonical(e.Slice)))
		}
	}
	for _, h := range next.Holdouts {
		if i := slices.IndexFunc(old.Holdouts, func(o juncture.Holdout) bool { return o.ID == h.ID }); i >= 0 {
			keep(h.ID, old.Holdouts[i].Shares(), old.Holdouts[i].Share != h.Share)
		}
	}
	return out
}

func overlay[T any](old, d []T, id func(T) string) []T {
	out := slices.Clone(old)
	for _, v := range d {
		if i := slices.IndexFunc(out, func(o T) bool { return id(o) == id(v) }); i >= 0 {
			out[i] = v
		} else {
			out = append(out, v)
		}
	}
	return out
}

// whole is the merged declaration with every action that exists, for validation.
func whole(next juncture.Declaration, c *juncture.Catalog, d *juncture.Declaration) *juncture.Declaration {
	next.Actions = overlay(currentActions(c), d.Actions, func(a juncture.Action) string { return a.ID })
	return &next
}

// currentActions are the newest version of each action with the newest of its copy.
func currentActions(c *juncture.Catalog) []juncture.Action {
	var out []juncture.Action
	copies := map[string]map[string]juncture.Copy{}
	for _, v := range c.Versions { // by action, copy, number: a later one overwrites
		if v.Copy == "" {
			var a juncture.Action
			if json.Unmarshal(v.Body, &a) == nil {
				out = overlay(out, []juncture.Action{a}, func(a juncture.Action) string { return a.ID })
			}
			continue
		}
		var w juncture.Copy
		if json.Unmarshal(v.Body, &w) == nil {
			if copies[v.Action] == nil {
				copies[v.Action] = map[string]juncture.Copy{}
			}
			copies[v.Action][v.Copy] = w
		}
	}
	for i := range out {
		for _, w := range copies[out[i].ID] {
			out[i].Copy = append(out[i].Copy, w)
		}
	}
	return out
}

type planner struct {
	c           *juncture.Catalog
	change      juncture.Change
	changed     bool
	approve     bool
	actor, from string
	now         time.Time
}

// allowed refuses what would make recorded evidence mean something else.
func (p *planner) allowed(old, next juncture.Declaration) error {
	refuse := func(hint, format string, args ...any) error {
		return juncture.Errorf(juncture.CodeInvalidRequest, format, args...).WithHint(hint)
	}
	if old.Store.Currency != "" && old.Store.Currency != next.Store.Currency {
		return refuse("one database is one store: start another", "the store's currency is %s and cannot become %s", old.Store.Currency, next.Store.Currency)
	}
	for _, o := range old.Outcomes {
		i := slices.IndexFunc(next.Outcomes, func(n juncture.OutcomeType) bool { return n.Name == o.Name })
		n := next.Outcomes[i]
		if n.Type != o.Type || n.Counting() != o.Counting() || n.Cap != o.Cap || n.Window != o.Window {
			return refuse("declare an outcome of another name", "outcome %q keeps its type, count, cap and window: its evidence was recorded under them", o.Name)
		}
	}
	for _, e := range old.Experiments {
		i := slices.IndexFunc(next.Experiments, func(n juncture.Experiment) bool { return n.ID == e.ID })
		n := next.Experiments[i]
		if e.Status == juncture.StatusDraft {
			continue
		}
		switch {
		case n.Surface != e.Surface:
			return refuse("declare an experiment of another id", "experiment %q keeps its surface", e.ID)
		case n.TrafficShare() < e.TrafficShare():
			return refuse("pause the experiment instead", "experiment %q: traffic may only be raised, from %v", e.ID, e.TrafficShare())
		case n.Namespace != e.Namespace || e.Slice != nil && (n.Slice == nil || n.Slice.From > e.Slice.From || n.Slice.To < e.Slice.To):
			return refuse("widen the slice, or declare an experiment of another id", "experiment %q keeps its namespace, and the slice that it has", e.ID)
		case n.Status == juncture.StatusDraft:
			return refuse("pause or stop it", "experiment %q has started and cannot become a draft again", e.ID)
		}
		for _, g := range []juncture.Group{juncture.GroupPolicy, juncture.GroupRandom, juncture.GroupBAU, juncture.GroupHoldout} {
			if n.Allotted(g) < e.Allotted(g)-1e-9 {
				return refuse("shares grow only out of unallocated traffic: raise traffic with them, or declare an experiment of another id",
					"experiment %q: group %s has %v of all shoppers and would have %v", e.ID, g, e.Allotted(g), n.Allotted(g))
			}
		}
	}
	return nil
}

func (p *planner) note(action, subject string, before, after any) {
	text := func(v any) []byte {
		if v == nil {
			return nil
		}
		b, err := json.Marshal(v)
		if err != nil {
			return nil
		}
		return b
	}
	p.change.Audit = append(p.change.Audit, juncture.AuditNote{At: p.now, Actor: p.actor, Action: action, Subject: subject,
		From: p.from, Before: text(before), After: text(after)})
}

func (p *planner) line(format string, args ...any) {
	p.change.Lines = append(p.change.Lines, fmt.Sprintf(format, args...))
}

// settings diffs everything but actions and copy.
func (p *planner) settings(old, next juncture.Declaration) {
	diff(p, "store", map[string]juncture.StoreInfo{"": old.Store}, map[string]juncture.StoreInfo{"": next.Store})
	diff(p, "layer", old.Layers, next.Layers)
	diff(p, "outcome", byID(old.Outcomes, func(o juncture.OutcomeType) string { return o.Name }), byID(next.Outcomes, func(o juncture.OutcomeType) string { return o.Name }))
	diff(p, "surface", byID(old.Surfaces, func(s juncture.Surface) string { return s.ID }), byID(next.Surfaces, func(s juncture.Surface) string { return s.ID }))
	diff(p, "experiment", byID(old.Experiments, func(e juncture.Experiment) string { return e.ID }), byID(next.Experiments, func(e juncture.Experiment) string { return e.ID }))
	diff(p, "priority", byID(old.Priorities, func(p juncture.Priority) string { return p.ID }), byID(next.Priorities, func(p juncture.Priority) string { return p.ID }))
	diff(p, "editorial", byID(old.Editorial, func(e juncture.Editorial) string { return e.ID }), byID(next.Editorial, func(e juncture.Editorial) string { return e.ID }))
	diff(p, "traffic", map[string]*juncture.Traffic{"": old.Traffic}, map[string]*juncture.Traffic{"": next.Traffic})
	diff(p, "context", map[string][]string{"": old.Context}, map[string][]string{"": next.Context})
	diff(p, "holdout", byID(old.Holdouts, func(h juncture.Holdout) string { return h.ID }), byID(next.Holdouts, func(h juncture.Holdout) string { return h.ID }))
	p.changed = p.changed || canonical(old.Phases) != canonical(next.Phases) || canonical(old.Shipped) != canonical(next.Shipped)
	diff(p, "copy order of", old.CopyOrder, next.CopyOrder)
}

func byID[T any](list []T, id func(T) string) map[string]T {
	out := map[string]T{}
	for _, v := range list {
		out[id(v)] = v
	}
	return out
}

func diff[T any](p *planner, kind string, old, next map[string]T) {
	ids := make([]string, 0, len(next))
	for id := range next {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		subject := kind
		if id != "" {
			subject += " " + id
		}
		was, existed := old[id]
		before, after := canonical(was), canonical(next[id])
		var zero T
		if before == after || after == canonical(zero) && !existed {
			continue
		}
		p.changed = true
		if !existed || before == canonical(zero) {
			if kind != "copy order of" {
				p.line("+ %s %s", subject, after)
				p.note("create", subject, nil, next[id])
			}
			continue
		}
		p.line("~ %s %s -> %s", subject, before, after)
		p.note("change", subject, was, next[id])
	}
}

func canonical(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

func (p *planner) action(a juncture.Action) error {
	if _, err := CompileRule(a.Rule); err != nil {
		e := err.(*juncture.Error)
		return e.WithField("action " + a.ID + ".rule")
	}
	body := a
	body.Copy = nil
	p.version(a.ID, "", a.Hash(), body)
	for _, w := range a.Copy {
		p.version(a.ID, w.ID, w.Hash(), w)
	}
	return nil
}

// version adds a version where the content is not that of the newest, and approves it where asked.
func (p *planner) version(action, copy, hash string, body any) {
	subject := "action " + action
	if copy != "" {
		subject = "copy " + action + "/" + copy
	}
	var newest *juncture.Version
	for i := range p.c.Versions {
		if v := &p.c.Versions[i]; v.Action == action && v.Copy == copy {
			newest = v
		}
	}
	v := juncture.Version{Action: action, Copy: copy, Number: 1, Hash: hash, Body: []byte(canonical(body)),
		Status: juncture.VersionInReview, Author: p.actor, CreatedAt: p.now}
	switch {
	case newest != nil && newest.Hash == hash:
		v = *newest
	case newest != nil:
		v.Number = newest.Number + 1
		p.line("~ %s@%d %s -> @%d %s (in review)", subject, newest.Number, newest.Body, v.Number, v.Body)
		p.note("submit", fmt.Sprintf("%s@%d", subject, v.Number), json.RawMessage(newest.Body), json.RawMessage(v.Body))
		p.change.Add = append(p.change.Add, v)
	default:
		p.line("+ %s@1 %s (in review)", subject, v.Body)
		p.note("submit", subject+"@1", nil, json.RawMessage(v.Body))
		p.change.Add = append(p.change.Add, v)
	}
	if !p.approve || v.Status == juncture.VersionApproved {
		return
	}
	v.Status, v.Reviewer, v.Reviewed, v.Bypass = juncture.VersionApproved, p.actor, p.now, v.Author == p.actor
	p.change.Approve = append(p.change.Approve, v)
	word := "approve"
	if v.Bypass {
		word = "approve (bypass: approved by its author)"
	}
	p.line("! %s %s@%d", word, subject, v.Number)
	p.note("approve", fmt.Sprintf("%s@%d", subject, v.Number), nil, map[string]any{"hash": v.Hash, "bypass": v.Bypass})
}

package pool

import (
	"cmp"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
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
	p.guard = guard(&next)
	for i := range d.Actions {
		if err := p.action(d.Actions[i]); err != nil {
			return juncture.Change{}, err
		}
	}
	for i := range d.Priorities {
		if err := p.priority(d.Priorities[i]); err != nil {
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
	next.Actions, next.Priorities = nil, nil // they are versions
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
	next.Editorial = overlay(old.Editorial, d.Editorial, func(e juncture.Editorial) string { return e.ID })
	next.Holdouts = overlay(old.Holdouts, d.Holdouts, func(h juncture.Holdout) string { return h.ID })
	next.Phases = phases(old, next)
	next.Shipped, next.Tripped, next.Resets = lasting(old, next), old.Tripped, old.Resets // only a reset undoes a trip
	next.Guardrails, next.Pressure = cmp.Or(d.Guardrails, old.Guardrails), cmp.Or(d.Pressure, old.Pressure)
	next.Holds, next.Kills, next.Terms = old.Holds, old.Kills, terms(old.Terms, d.Actions)
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

// terms lays those of the actions over the ones before. Nil: no action has any.
func terms(old map[string]juncture.Terms, actions []juncture.Action) map[string]juncture.Terms {
	next := cloned(old)
	for _, a := range actions {
		if delete(next, a.ID); a.Terms != (juncture.Terms{}) {
			next[a.ID] = a.Terms
		}
	}
	if len(next) == 0 {
		return nil
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

// whole is the merged declaration with every action and priority that exists, for validation.
func whole(next juncture.Declaration, c *juncture.Catalog, d *juncture.Declaration) *juncture.Declaration {
	next.Actions = overlay(currentActions(c), d.Actions, func(a juncture.Action) string { return a.ID })
	next.Priorities = overlay(currentPriorities(c), d.Priorities, func(p juncture.Priority) string { return p.ID })
	return &next
}

// currentActions are the newest version of each action with the newest of its copy. Drafts, and what was rejected, count
// only where there is nothing else.
func currentActions(c *juncture.Catalog) []juncture.Action {
	var out []juncture.Action
	copies := map[string]map[string]juncture.Copy{}
	for v := range currentVersions(c) {
		if v.Priority != "" {
			continue
		}
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
		out[i].Terms = c.Declaration.Terms[out[i].ID]
		for _, w := range copies[out[i].ID] {
			out[i].Copy = append(out[i].Copy, w)
		}
	}
	return out
}

// currentVersions yields the versions that count, of each thing the later after the earlier.
func currentVersions(c *juncture.Catalog) iter.Seq[juncture.Version] {
	return func(yield func(juncture.Version) bool) {
		counts := map[itemKey]bool{} // one that counts was seen
		for _, v := range c.Versions {
			waits := v.Status == juncture.VersionDraft || v.Status == juncture.VersionRejected
			if waits && counts[itemOf(v)] {
				continue
			}
			if counts[itemOf(v)] = !waits; !yield(v) {
				return
			}
		}
	}
}

type planner struct {
	c           *juncture.Catalog
	change      juncture.Change
	changed     bool
	approve     bool
	draft       bool // what is added is a draft
	guard       func(item itemKey, body []byte) []string
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

// settings diffs everything but actions, copy and priorities.
func (p *planner) settings(old, next juncture.Declaration) {
	diff(p, "store", map[string]juncture.StoreInfo{"": old.Store}, map[string]juncture.StoreInfo{"": next.Store})
	diff(p, "layer", old.Layers, next.Layers)
	diff(p, "outcome", byID(old.Outcomes, func(o juncture.OutcomeType) string { return o.Name }), byID(next.Outcomes, func(o juncture.OutcomeType) string { return o.Name }))
	diff(p, "surface", byID(old.Surfaces, func(s juncture.Surface) string { return s.ID }), byID(next.Surfaces, func(s juncture.Surface) string { return s.ID }))
	diff(p, "experiment", byID(old.Experiments, func(e juncture.Experiment) string { return e.ID }), byID(next.Experiments, func(e juncture.Experiment) string { return e.ID }))
	diff(p, "editorial", byID(old.Editorial, func(e juncture.Editorial) string { return e.ID }), byID(next.Editorial, func(e juncture.Editorial) string { return e.ID }))
	diff(p, "traffic", map[string]*juncture.Traffic{"": old.Traffic}, map[string]*juncture.Traffic{"": next.Traffic})
	diff(p, "context", map[string][]string{"": old.Context}, map[string][]string{"": next.Context})
	diff(p, "guardrails", map[string]*juncture.Guardrails{"": old.Guardrails}, map[string]*juncture.Guardrails{"": next.Guardrails})
	diff(p, "pressure", map[string]*juncture.Pressure{"": old.Pressure}, map[string]*juncture.Pressure{"": next.Pressure})
	diff(p, "terms of", whileAny(old.Terms, next.Terms), whileAny(next.Terms, old.Terms))
	diff(p, "holdout", byID(old.Holdouts, func(h juncture.Holdout) string { return h.ID }), byID(next.Holdouts, func(h juncture.Holdout) string { return h.ID }))
	p.changed = p.changed || canonical(old.Phases) != canonical(next.Phases) || canonical(old.Shipped) != canonical(next.Shipped)
	diff(p, "copy order of", old.CopyOrder, next.CopyOrder)
}

// whileAny is m with an empty entry for each of the other's that it lacks, so that what is gone shows.
func whileAny(m, other map[string]juncture.Terms) map[string]juncture.Terms {
	out := cloned(m)
	for id := range other {
		out[id] = m[id]
	}
	return out
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
	if err := p.version(itemKey{action: a.ID}, a.Hash(), a.Content()); err != nil {
		return err
	}
	for _, w := range a.Copy {
		if err := p.version(itemKey{action: a.ID, copy: w.ID}, w.Hash(), w); err != nil {
			return err
		}
	}
	return nil
}

// version adds a version where the content is neither the newest nor what is served, and approves it where asked. What was
// rejected stays so. The error is CodeUnprocessable: it breaks the guardrails.
func (p *planner) version(item itemKey, hash string, body any) error {
	subject := item.subject()
	var newest, live *juncture.Version
	for i := range p.c.Versions {
		if v := &p.c.Versions[i]; itemOf(*v) == item {
			if newest = v; v.Status == juncture.VersionApproved {
				live = v
			}
		}
	}
	v := juncture.Version{Action: item.action, Copy: item.copy, Priority: item.priority, Number: 1, Hash: hash, Body: []byte(canonical(body)),
		Status: juncture.VersionInReview, Author: p.actor, CreatedAt: p.now}
	word, done := "in review", "submit"
	if p.draft {
		v.Status, word, done = juncture.VersionDraft, "draft", "draft"
	}
	switch {
	case newest != nil && newest.Hash == hash:
		v = *newest
	case live != nil && live.Hash == hash: // what was written since waits beside it
		return nil
	default:
		if !p.draft {
			if err := p.breach(v); err != nil {
				return err
			}
		}
		if newest == nil {
			p.line("+ %s@1 %s (%s)", subject, v.Body, word)
			p.note(done, subject+"@1", nil, json.RawMessage(v.Body))
		} else {
			v.Number = newest.Number + 1
			p.line("~ %s@%d %s -> @%d %s (%s)", subject, newest.Number, newest.Body, v.Number, v.Body, word)
			p.note(done, fmt.Sprintf("%s@%d", subject, v.Number), json.RawMessage(newest.Body), json.RawMessage(v.Body))
		}
		p.change.Add = append(p.change.Add, v)
	}
	if v.Status == juncture.VersionDraft && !p.draft && !p.approve {
		return p.submit(v)
	}
	if !p.approve || v.Status == juncture.VersionApproved {
		return nil
	}
	if v.Status == juncture.VersionRejected {
		p.line("! %s@%d stays rejected: %s", subject, v.Number, v.Comment)
		return nil
	}
	if err := p.breach(v); err != nil {
		return err
	}
	return p.approved(v, "")
}

// submit puts a version that is there before the reviewers. The error is breach's.
func (p *planner) submit(v juncture.Version) error {
	subject := v.Ref().Subject()
	if err := p.breach(v); err != nil {
		return err
	}
	p.line("~ %s %s -> in review", subject, v.Status)
	p.note("submit", subject, map[string]string{"status": v.Status}, map[string]string{"status": juncture.VersionInReview, "hash": v.Hash})
	v.Status = juncture.VersionInReview
	p.change.Review = append(p.change.Review, v)
	return nil
}

// approved approves a version in the actor's name. The error is room's.
func (p *planner) approved(v juncture.Version, comment string) error {
	if err := p.room(v); err != nil {
		return err
	}
	subject := v.Ref().Subject()
	v.Status, v.Reviewer, v.Reviewed, v.Comment, v.Bypass = juncture.VersionApproved, p.actor, p.now, comment, v.Author == p.actor
	p.change.Review = append(p.change.Review, v)
	word := "approve"
	if v.Bypass {
		word = "approve (bypass: approved by its author)"
	}
	p.line("! %s %s", word, subject)
	after := map[string]any{"hash": v.Hash, "bypass": v.Bypass}
	if comment != "" {
		after["reason"] = comment
	}
	p.note("approve", subject, nil, after)
	return nil
}

// guard says what a version breaks of the guardrails of a declaration.
func guard(d *juncture.Declaration) func(item itemKey, body []byte) []string {
	g := d.Guardrails
	return func(item itemKey, body []byte) []string {
		switch {
		case g == nil:
			return nil
		case item.priority != "":
			var r juncture.Priority
			if json.Unmarshal(body, &r) != nil {
				return []string{"its content cannot be read"}
			}
			return g.Priority(r)
		case item.copy != "":
			var w juncture.Copy
			if json.Unmarshal(body, &w) != nil {
				return []string{"its content cannot be read"}
			}
			return g.Copy(w)
		}
		var a juncture.Action
		if json.Unmarshal(body, &a) != nil {
			return []string{"its content cannot be read"}
		}
		return g.Action(a, func(surface string) string {
			if i := slices.IndexFunc(d.Surfaces, func(s juncture.Surface) bool { return s.ID == surface }); i >= 0 {
				return d.Surfaces[i].Channel
			}
			return ""
		})
	}
}

// breach is the error of a version that breaks guardrails, CodeUnprocessable; nil where nothing does.
func (p *planner) breach(v juncture.Version) error {
	breaks := p.guard(itemOf(v), v.Body)
	if len(breaks) == 0 {
		return nil
	}
	out := juncture.Errorf(juncture.CodeUnprocessable, "%s breaks the store's guardrails: %s", v.Ref().Item(), strings.Join(breaks, "; ")).
		WithHint("change it, or have an administrator change guardrails in the store file")
	for _, b := range breaks {
		field, _, _ := strings.Cut(b, " ") // a guardrail's words begin with what breaks it
		if field == "surface" {
			field = "surfaces"
		}
		out.Problems = append(out.Problems, juncture.Problem{Path: field, Message: b})
	}
	return out.WithField(out.Problems[0].Path)
}

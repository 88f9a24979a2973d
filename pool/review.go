package pool

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/juncture/juncture"
)

// PlanReview plans a verb of juncture.ReviewVerbs for all the versions that are named, or for none.
//
// Errors: CodeInvalidRequest, of the request; CodeNotFound; CodeForbidden, where somebody would approve what they wrote and
// the store does not allow it; CodeUnprocessable, where guardrails are broken; CodeDecisionConflict, where a version's
// status does not allow the verb, its content is not what was looked at, or a newer one is approved.
func PlanReview(c *juncture.Catalog, r juncture.ReviewRequest, verb juncture.Verb, actor, from string, now time.Time) (juncture.Change, error) {
	if err := r.Check(verb); err != nil {
		return juncture.Change{}, err
	}
	p := planner{c: c, change: juncture.Change{Base: c.Number}, actor: actor, from: from, now: now.UTC(), guard: guard(&c.Declaration)}
	seen := map[versionKey]bool{}
	for _, ref := range r.Items {
		key := versionKey{itemKey{ref.Action, ref.Copy, ref.Priority}, ref.Number}
		if seen[key] {
			return juncture.Change{}, juncture.Errorf(juncture.CodeInvalidRequest, "%s is named twice", ref.Subject()).WithField("items")
		}
		seen[key] = true
		if err := p.review(ref, verb, strings.TrimSpace(r.Reason)); err != nil {
			return juncture.Change{}, err
		}
	}
	return p.change, nil
}

// reviewable are the statuses that a verb takes a version from.
func reviewable(verb juncture.Verb) []string {
	if verb == juncture.VerbSubmit {
		return []string{juncture.VersionDraft, juncture.VersionRejected}
	}
	return []string{juncture.VersionInReview}
}

func (p *planner) review(ref juncture.VersionRef, verb juncture.Verb, reason string) error {
	conflict := func(hint, format string, args ...any) error {
		return juncture.Errorf(juncture.CodeDecisionConflict, format, args...).WithHint(hint)
	}
	var v *juncture.Version
	newer := 0
	for i := range p.c.Versions {
		o := &p.c.Versions[i]
		if itemOf(*o) != (itemKey{ref.Action, ref.Copy, ref.Priority}) {
			continue
		}
		if o.Number == ref.Number {
			v = o
		} else if o.Number > ref.Number && o.Status == juncture.VersionApproved {
			newer = o.Number
		}
	}
	switch {
	case v == nil:
		return juncture.Errorf(juncture.CodeNotFound, "there is no %.200s", ref.Subject())
	case v.Hash != ref.Hash:
		return conflict("look at it again", "%s is not what was looked at", ref.Subject())
	case !slices.Contains(reviewable(verb), v.Status):
		return conflict("look at it again: somebody may have been quicker", "%s is %s: it cannot %s", ref.Subject(), strings.ReplaceAll(v.Status, "_", " "), verb)
	case newer > 0 && verb != juncture.VerbReject && verb != juncture.VerbWithdraw:
		return conflict("write a new version", "%s is older than version %d, which is approved", ref.Subject(), newer)
	}
	if verb == juncture.VerbSubmit {
		return p.submit(*v)
	}
	if verb == juncture.VerbApprove {
		if v.Author == p.actor && !p.c.Declaration.Store.SelfApproval {
			return juncture.Errorf(juncture.CodeForbidden, "%s is your own: somebody else approves it", ref.Subject()).
				WithHint("a store that allows it says so in its file: store: {selfApproval: true}")
		}
		if err := p.breach(*v); err != nil {
			return err
		}
		return p.approved(*v, reason)
	}
	out := *v
	out.Status = juncture.VersionDraft
	if verb == juncture.VerbReject {
		out.Status, out.Reviewer, out.Reviewed, out.Comment, out.Bypass = juncture.VersionRejected, p.actor, p.now, reason, false
	}
	p.line("~ %s %s -> %s", ref.Subject(), v.Status, out.Status)
	p.note(string(verb), ref.Subject(), map[string]string{"status": v.Status}, map[string]string{"status": out.Status, "hash": v.Hash, "reason": reason})
	p.change.Review = append(p.change.Review, out)
	return nil
}

// PlanHold plans a verb of juncture.HoldVerbs for an action, or a copy of it. Warnings are what they should know of it.
//
// Errors: CodeInvalidRequest; CodeNotFound; CodeDecisionConflict, where its state does not allow the verb.
func PlanHold(c *juncture.Catalog, action, copy string, verb juncture.Verb, r juncture.ReasonRequest, actor, from string, now time.Time) (_ juncture.Change, warnings []string, _ error) {
	if err := r.Check(); err != nil {
		return juncture.Change{}, nil, err
	}
	item, err := Find(c, action, now)
	if err != nil {
		return juncture.Change{}, nil, err
	}
	state, next, live := item.State, item.Next, item.Live
	if copy != "" {
		i := slices.IndexFunc(item.Copies, func(w juncture.PoolCopy) bool { return w.ID == copy })
		if i < 0 {
			return juncture.Change{}, nil, juncture.Errorf(juncture.CodeNotFound, "action %q has no copy called %.80q", action, copy)
		}
		state, next, live = item.Copies[i].State, item.Copies[i].Next, item.Copies[i].Live
	}
	h := holding{subject: juncture.PoolSubject(action, copy), key: action, state: state, next: next, live: live,
		warn: func(d juncture.Declaration) []string { return warned(c, d, action, now) }}
	if copy != "" {
		h.key += "/" + copy
	}
	return h.plan(c, verb, r, actor, from, now)
}

// holding is what may be held back, or let go.
type holding struct {
	subject, key string // key: of Declaration.Holds
	state        juncture.PoolState
	next         []juncture.Verb
	live         int
	warn         func(d juncture.Declaration) []string // of what holding it back brings; nil: nothing
}

func (g holding) plan(c *juncture.Catalog, verb juncture.Verb, r juncture.ReasonRequest, actor, from string, now time.Time) (_ juncture.Change, warnings []string, _ error) {
	if !slices.Contains(juncture.HoldVerbs(), verb) || !slices.Contains(g.next, verb) {
		return juncture.Change{}, nil, juncture.Errorf(juncture.CodeDecisionConflict, "%s is %s: it cannot %.40s", g.subject, strings.ReplaceAll(string(g.state), "_", " "), verb).WithHint(canDo(g.next))
	}
	d := c.Declaration
	d.Holds = cloned(d.Holds)
	var before, after any
	if h, ok := d.Holds[g.key]; ok {
		before = h
	}
	if verb == juncture.VerbResume {
		delete(d.Holds, g.key)
		after = map[string]string{"reason": strings.TrimSpace(r.Reason)}
	} else {
		h := juncture.Hold{State: juncture.PoolPaused, Reason: strings.TrimSpace(r.Reason), By: actor, At: now.UTC()}
		if verb == juncture.VerbRetire {
			h.State, h.Version = juncture.PoolRetired, g.live
		}
		d.Holds[g.key], after = h, h
		if g.warn != nil {
			warnings = g.warn(d)
		}
	}
	if len(d.Holds) == 0 {
		d.Holds = nil
	}
	return switched(c, d, string(verb), g.subject, before, after, warnings, actor, from, now), warnings, nil
}

func canDo(next []juncture.Verb) string {
	if len(next) == 0 {
		return "nothing can be done to it now"
	}
	words := make([]string, len(next))
	for i, v := range next {
		words[i] = string(v)
	}
	return "it can " + strings.Join(words, ", ")
}

// PlanKill plans that a switch is thrown (juncture.VerbKill) or put back (juncture.VerbRestore). kind is action, surface or
// store, which has no id.
//
// Errors: CodeInvalidRequest; CodeNotFound; CodeDecisionConflict, where it is so already.
func PlanKill(c *juncture.Catalog, kind, id string, verb juncture.Verb, r juncture.ReasonRequest, actor, from string, now time.Time) (_ juncture.Change, warnings []string, _ error) {
	if err := r.Check(); err != nil {
		return juncture.Change{}, nil, err
	}
	d := c.Declaration
	key, exists := "", false
	switch kind {
	case "action":
		key = juncture.KillAction(id)
		exists = slices.ContainsFunc(c.Versions, func(v juncture.Version) bool { return v.Action == id })
	case "surface":
		key = juncture.KillSurface(id)
		exists = slices.ContainsFunc(d.Surfaces, func(s juncture.Surface) bool { return s.ID == id })
	case "store":
		key, exists = juncture.KillStore, id == ""
	default:
		return juncture.Change{}, nil, juncture.Errorf(juncture.CodeInvalidRequest, "%.40q has no kill switch", kind).WithHint("action, surface or store")
	}
	if !exists {
		return juncture.Change{}, nil, juncture.Errorf(juncture.CodeNotFound, "no %s is called %.80q", kind, id)
	}
	was, killed := d.Kills[key]
	d.Kills = cloned(d.Kills)
	var before, after any
	switch {
	case verb == juncture.VerbKill && !killed:
		k := juncture.Kill{Reason: strings.TrimSpace(r.Reason), By: actor, At: now.UTC()}
		d.Kills[key], after = k, k
	case verb == juncture.VerbRestore && killed:
		delete(d.Kills, key)
		before, after = was, map[string]string{"reason": strings.TrimSpace(r.Reason)}
	case verb == juncture.VerbKill:
		return juncture.Change{}, nil, juncture.Errorf(juncture.CodeDecisionConflict, "%s is killed already, by %s", key, was.By).WithHint("it can restore")
	default:
		return juncture.Change{}, nil, juncture.Errorf(juncture.CodeDecisionConflict, "%s is not killed", key).WithHint("it can kill")
	}
	if len(d.Kills) == 0 {
		d.Kills = nil
	}
	if kind == "action" {
		warnings = warned(c, d, id, now)
	}
	return switched(c, d, string(verb), key, before, after, warnings, actor, from, now), warnings, nil
}

// switched makes the change of one entry of a declaration.
func switched(c *juncture.Catalog, d juncture.Declaration, verb, subject string, before, after any, warnings []string, actor, from string, now time.Time) juncture.Change {
	p := planner{c: c, change: juncture.Change{Base: c.Number, Declaration: &d}, actor: actor, from: from, now: now.UTC()}
	p.line("~ %s: %s", subject, verb)
	for _, w := range warnings {
		p.line("! %s", w)
	}
	p.note(verb, subject, before, after)
	return p.change
}

// PlanTerms plans other terms of an action. Errors: CodeInvalidRequest; CodeNotFound.
func PlanTerms(c *juncture.Catalog, action string, r juncture.TermsRequest, actor, from string, now time.Time) (juncture.Change, error) {
	if err := r.Check(); err != nil {
		return juncture.Change{}, err
	}
	if _, err := Find(c, action, now); err != nil {
		return juncture.Change{}, err
	}
	d := c.Declaration
	before := d.Terms[action]
	d.Terms = terms(d.Terms, []juncture.Action{{ID: action, Terms: r.Terms}})
	next := *c
	next.Declaration = d
	if problems := whole(d, &next, &juncture.Declaration{}).Problems(); len(problems) > 0 {
		p := problems[0]
		_, field, _ := strings.Cut(p.Path, "].")
		return juncture.Change{}, juncture.Errorf(juncture.CodeInvalidRequest, "%s: %s", p.Path, p.Message).WithHint(p.Hint).WithField(field)
	}
	if canonical(before) == canonical(r.Terms) {
		return juncture.Change{Base: c.Number}, nil
	}
	return switched(c, d, "change", "terms of "+action, before, r, warned(c, d, action, now), actor, from, now), nil
}

// PlanCopy plans a new version of a copy, or a new copy, of an action that there is: a draft, or submitted at once.
//
// Errors: CodeNotFound; CodeInvalidRequest; CodeUnprocessable, where it is submitted and breaks guardrails.
func PlanCopy(c *juncture.Catalog, action string, r juncture.CopyDraft, actor, from string, now time.Time) (juncture.Change, error) {
	all := currentActions(c)
	i := slices.IndexFunc(all, func(a juncture.Action) bool { return a.ID == action })
	if i < 0 {
		return juncture.Change{}, juncture.Errorf(juncture.CodeNotFound, "no action is called %.80q", action)
	}
	a := all[i]
	a.Copy = overlay(a.Copy, []juncture.Copy{r.Copy}, func(w juncture.Copy) string { return w.ID })
	at := slices.IndexFunc(a.Copy, func(w juncture.Copy) bool { return w.ID == r.Copy.ID })
	p := planner{c: c, change: juncture.Change{Base: c.Number}, actor: actor, from: from, now: now.UTC(), draft: !r.Submit, guard: guard(&c.Declaration)}
	if err := p.sound(a, func(path string) string {
		_, field, _ := strings.Cut(path, fmt.Sprintf(".copy[%d].", at))
		return field
	}); err != nil {
		return juncture.Change{}, err
	}
	return p.change, p.version(itemKey{action: action, copy: r.Copy.ID}, r.Copy.Hash(), r.Copy)
}

// PlanAction plans a new version of an action, or a new action with its copy: drafts, or submitted at once. The terms are
// those of a new action; others have them changed by PlanTerms, and their copy by PlanCopy.
//
// Errors: CodeInvalidRequest; CodeUnprocessable, where it is submitted and breaks guardrails.
func PlanAction(c *juncture.Catalog, r juncture.ActionDraft, actor, from string, now time.Time) (juncture.Change, error) {
	a := r.Action
	all := currentActions(c)
	i := slices.IndexFunc(all, func(o juncture.Action) bool { return o.ID == a.ID })
	if i >= 0 && (a.Terms != juncture.Terms{} || len(a.Copy) > 0) {
		return juncture.Change{}, juncture.Errorf(juncture.CodeInvalidRequest, "action %q is there already: its copy and its terms are changed by themselves", a.ID).WithField("id")
	}
	p := planner{c: c, change: juncture.Change{Base: c.Number}, actor: actor, from: from, now: now.UTC(), draft: !r.Submit, guard: guard(&c.Declaration)}
	full := a
	if i >= 0 {
		full.Copy, full.Terms = all[i].Copy, all[i].Terms
	}
	if err := p.sound(full, func(path string) string {
		_, field, _ := strings.Cut(path, "].")
		return field
	}); err != nil {
		return juncture.Change{}, err
	}
	if err := p.action(a); err != nil {
		return juncture.Change{}, err
	}
	if i < 0 {
		d := c.Declaration
		d.Terms = terms(d.Terms, []juncture.Action{a})
		d.CopyOrder = cloned(d.CopyOrder)
		for _, w := range a.Copy {
			d.CopyOrder[a.ID] = append(d.CopyOrder[a.ID], w.ID)
		}
		p.change.Declaration = &d
	}
	return p.change, nil
}

// sound refuses what would not stand with all that there is. field names the request's field for a path of the declaration.
func (p *planner) sound(a juncture.Action, field func(path string) string) error {
	d := whole(p.c.Declaration, p.c, &juncture.Declaration{Actions: []juncture.Action{a}})
	at := slices.IndexFunc(d.Actions, func(o juncture.Action) bool { return o.ID == a.ID })
	mine := fmt.Sprintf("actions[%d].", at)
	problems := d.Problems()
	for _, f := range RuleProblems(&juncture.Declaration{Actions: []juncture.Action{a}}) {
		problems = append(problems, juncture.Problem{Path: mine + "rule", Message: f.Message, Hint: f.Hint})
	}
	return unsound(problems, mine, field)
}

// unsound is the error of what is wrong, nil for nothing: problems whose path begins with mine come first, since they have
// a field.
func unsound(problems []juncture.Problem, mine string, field func(path string) string) error {
	if len(problems) == 0 {
		return nil
	}
	slices.SortStableFunc(problems, func(a, b juncture.Problem) int {
		return cmp.Compare(strings.Index(b.Path, mine), strings.Index(a.Path, mine))
	})
	out := juncture.Errorf(juncture.CodeInvalidRequest, "%s", problems[0].Message).WithHint(problems[0].Hint).WithField(field(problems[0].Path))
	for _, f := range problems {
		if strings.HasPrefix(f.Path, mine) || len(out.Problems) == 0 {
			out.Problems = append(out.Problems, juncture.Problem{Path: field(f.Path), Message: f.Message, Hint: f.Hint})
		}
	}
	return out
}

// Find returns an action with all that there is of it. The error is CodeNotFound.
func Find(c *juncture.Catalog, id string, now time.Time) (juncture.PoolAction, error) {
	for _, a := range List(c, now) {
		if a.ID == id {
			return a, nil
		}
	}
	return juncture.PoolAction{}, juncture.Errorf(juncture.CodeNotFound, "no action is called %.80q", id)
}

// List returns every action that there is, by its id, as it stands at now.
func List(c *juncture.Catalog, now time.Time) []juncture.PoolAction {
	d := &c.Declaration
	out := []juncture.PoolAction{}
	breaks := guard(d)
	for i := 0; i < len(c.Versions); {
		id := c.Versions[i].Action
		if id == "" {
			i++ // of a priority
			continue
		}
		end := i
		for end < len(c.Versions) && c.Versions[end].Action == id {
			end++
		}
		a := juncture.PoolAction{ID: id, Terms: d.Terms[id], Versions: []juncture.VersionView{}, Copies: []juncture.PoolCopy{}}
		if k, ok := d.Kills[juncture.KillAction(id)]; ok {
			a.Killed = &k
		}
		a.Hold = holdOf(d, id)
		copies := map[string]*juncture.PoolCopy{}
		var order []string
		for _, v := range c.Versions[i:end] {
			if v.Copy == "" {
				a.Versions = append(a.Versions, v.View())
				a.Live = newestApproved(a.Live, v)
				continue
			}
			w := copies[v.Copy]
			if w == nil {
				w = &juncture.PoolCopy{ID: v.Copy, Hold: holdOf(d, id+"/"+v.Copy)}
				copies[v.Copy], order = w, append(order, v.Copy)
			}
			w.Versions, w.Live = append(w.Versions, v.View()), newestApproved(w.Live, v)
		}
		slices.Reverse(a.Versions)
		listed := d.CopyOrder[id]
		slices.SortStableFunc(order, func(p, q string) int { return cmp.Compare(place(listed, p), place(listed, q)) })
		stopped := dated(a.Terms, now)
		served := false
		for _, id := range order {
			w := copies[id]
			slices.Reverse(w.Versions)
			w.State, w.Next = standing(w.Versions, w.Live, w.Hold, false)
			served = served || w.State == juncture.PoolLive
		}
		a.State, a.Next = standing(a.Versions, a.Live, a.Hold, a.Killed != nil)
		if a.State == juncture.PoolLive {
			if stopped != "" {
				a.State = stopped
			} else if !served {
				a.State = juncture.PoolApproved
			}
		}
		for _, id := range order {
			w := copies[id]
			if w.State == juncture.PoolLive && a.State != juncture.PoolLive {
				w.State = juncture.PoolApproved
			}
			a.Copies = append(a.Copies, *w)
		}
		if a.Killed != nil {
			a.Next = append(a.Next, juncture.VerbRestore)
		} else {
			a.Next = append(a.Next, juncture.VerbKill)
		}
		a.Waiting, a.Breaches = waiting(a), broken(a, breaks)
		defaults(d, &a, now)
		out, i = append(out, a), end
	}
	return out
}

func holdOf(d *juncture.Declaration, key string) *juncture.Hold {
	if h, ok := d.Holds[key]; ok {
		return &h
	}
	return nil
}

func newestApproved(live int, v juncture.Version) int {
	if v.Status == juncture.VersionApproved {
		return max(live, v.Number)
	}
	return live
}

// dated is the state that dates alone keep an action in, "" for none.
func dated(t juncture.Terms, now time.Time) juncture.PoolState {
	switch {
	case t.Starts != nil && now.Before(*t.Starts):
		return juncture.PoolScheduled
	case !t.Live(now):
		return juncture.PoolExpired
	}
	return ""
}

// standing says where something stands by its versions, the newest first, and what keeps it back; and what may be done.
func standing(versions []juncture.VersionView, live int, hold *juncture.Hold, killed bool) (juncture.PoolState, []juncture.Verb) {
	state, next := juncture.PoolLive, []juncture.Verb{juncture.VerbPause, juncture.VerbRetire}
	switch {
	case live == 0 && len(versions) == 0:
		return juncture.PoolDraft, []juncture.Verb{}
	case live == 0:
		return juncture.PoolState(versions[0].Status), []juncture.Verb{}
	case hold != nil && hold.Holds(live) && hold.State == juncture.PoolRetired:
		state, next = juncture.PoolRetired, []juncture.Verb{}
	case hold != nil && hold.Holds(live):
		state, next = juncture.PoolPaused, []juncture.Verb{juncture.VerbResume, juncture.VerbRetire}
	}
	if killed {
		state = juncture.PoolKilled
	}
	return state, next
}

// waiting counts the versions of an action and of its copy that wait.
func waiting(a juncture.PoolAction) (n int) {
	n = inReview(a.Live, a.Versions)
	for _, w := range a.Copies {
		n += inReview(w.Live, w.Versions)
	}
	return n
}

// inReview counts the versions in review that no newer approval has overtaken.
func inReview(live int, versions []juncture.VersionView) (n int) {
	for _, v := range versions {
		if v.Status == juncture.VersionInReview && v.Number > live {
			n++
		}
	}
	return n
}

// broken names what is approved of an action and breaks the guardrails as they are now.
func broken(a juncture.PoolAction, breaks func(item itemKey, body []byte) []string) (out []string) {
	each := func(copy string, live int, versions []juncture.VersionView) {
		for _, v := range versions {
			if v.Number == live {
				for _, b := range breaks(itemKey{action: a.ID, copy: copy}, v.Body) {
					out = append(out, strings.TrimPrefix(copy+": ", ": ")+b)
				}
			}
		}
	}
	each("", a.Live, a.Versions)
	for _, w := range a.Copies {
		each(w.ID, w.Live, w.Versions)
	}
	return out
}

// Reviews returns what waits for review, the longest waiting first. Of several versions of one thing each waits, unless a
// newer one is approved.
func Reviews(c *juncture.Catalog) []juncture.ReviewItem {
	live := map[itemKey]juncture.Version{}
	for _, v := range c.Versions {
		if v.Status == juncture.VersionApproved {
			live[itemOf(v)] = v
		}
	}
	breaks := guard(&c.Declaration)
	out := []juncture.ReviewItem{}
	for _, v := range c.Versions {
		now, ok := live[itemOf(v)]
		if v.Status != juncture.VersionInReview || ok && now.Number > v.Number {
			continue
		}
		item := juncture.ReviewItem{VersionRef: v.Ref(), Author: v.Author, Created: v.CreatedAt, Body: json.RawMessage(v.Body), Breaches: breaks(itemOf(v), v.Body)}
		if ok {
			item.Live = new(now.View())
		}
		out = append(out, item)
	}
	slices.SortStableFunc(out, func(a, b juncture.ReviewItem) int { return a.Created.Compare(b.Created) })
	return out
}

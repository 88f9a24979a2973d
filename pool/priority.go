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

// priority adds a version of a priority, as action does of an action.
func (p *planner) priority(r juncture.Priority) error {
	return p.version(itemKey{priority: r.ID}, r.Hash(), r)
}

// PlanPriority plans a new version of a priority, or a new priority: a draft, or submitted at once.
//
// Errors: CodeInvalidRequest; CodeUnprocessable, where it is submitted and breaks guardrails.
func PlanPriority(c *juncture.Catalog, r juncture.PriorityDraft, actor, from string, now time.Time) (juncture.Change, error) {
	d := whole(c.Declaration, c, &juncture.Declaration{Priorities: []juncture.Priority{r.Priority}})
	mine := fmt.Sprintf("priorities[%d]", slices.IndexFunc(d.Priorities, func(o juncture.Priority) bool { return o.ID == r.ID }))
	if err := unsound(d.Problems(), mine, func(path string) string {
		return strings.TrimPrefix(strings.TrimPrefix(path, mine), ".")
	}); err != nil {
		return juncture.Change{}, err
	}
	if r.Submit && !now.Before(r.Expires) {
		return juncture.Change{}, juncture.Errorf(juncture.CodeInvalidRequest, "it is over already").WithHint("give it a later end").WithField("expires")
	}
	p := planner{c: c, change: juncture.Change{Base: c.Number}, actor: actor, from: from, now: now.UTC(), draft: !r.Submit, guard: guard(&c.Declaration)}
	err := p.priority(r.Priority)
	return p.change, err
}

// PlanHoldPriority plans a verb of juncture.HoldVerbs for a priority.
//
// Errors: CodeInvalidRequest; CodeNotFound; CodeDecisionConflict, where its state does not allow the verb; CodeUnprocessable,
// where it would be resumed and there is no room for it.
func PlanHoldPriority(c *juncture.Catalog, id string, verb juncture.Verb, r juncture.ReasonRequest, actor, from string, now time.Time) (juncture.Change, error) {
	if err := r.Check(); err != nil {
		return juncture.Change{}, err
	}
	found, err := FindPriority(c, id, now)
	if err != nil {
		return juncture.Change{}, err
	}
	if i := slices.IndexFunc(found.Versions, func(v juncture.VersionView) bool { return v.Number == found.Live }); i >= 0 && verb == juncture.VerbResume {
		p := planner{c: c, now: now}
		if err := p.room(juncture.Version{Priority: id, Body: found.Versions[i].Body}); err != nil {
			return juncture.Change{}, err
		}
	}
	h := holding{subject: juncture.PrioritySubject(id), key: juncture.PrioritySubject(id), state: found.State, next: found.Next, live: found.Live}
	change, _, err := h.plan(c, verb, r, actor, from, now)
	return change, err
}

// FindPriority returns a priority with all that there is of it. The error is CodeNotFound.
func FindPriority(c *juncture.Catalog, id string, now time.Time) (juncture.PoolPriority, error) {
	for _, p := range ListPriorities(c, now) {
		if p.ID == id {
			return p, nil
		}
	}
	return juncture.PoolPriority{}, juncture.Errorf(juncture.CodeNotFound, "no priority is called %.80q", id)
}

// ListPriorities returns every priority that there is, by its id, as it stands at now.
func ListPriorities(c *juncture.Catalog, now time.Time) []juncture.PoolPriority {
	out := []juncture.PoolPriority{}
	breaks := guard(&c.Declaration)
	for _, v := range c.Versions {
		if v.Priority == "" {
			continue
		}
		if len(out) == 0 || out[len(out)-1].ID != v.Priority {
			out = append(out, juncture.PoolPriority{ID: v.Priority, Hold: holdOf(&c.Declaration, juncture.PrioritySubject(v.Priority))})
		}
		p := &out[len(out)-1]
		p.Versions, p.Live = append(p.Versions, v.View()), newestApproved(p.Live, v)
	}
	for i := range out {
		p := &out[i]
		slices.Reverse(p.Versions)
		p.State, p.Next = standing(p.Versions, p.Live, p.Hold, false)
		p.Waiting = inReview(p.Live, p.Versions)
		for _, v := range p.Versions {
			if v.Number != p.Live {
				continue
			}
			p.Breaches = breaks(itemKey{priority: p.ID}, v.Body)
			var r juncture.Priority
			if json.Unmarshal(v.Body, &r) == nil && p.State == juncture.PoolLive {
				p.State = cmp.Or(dated(juncture.Terms{Starts: r.Starts, Expires: &r.Expires}, now), p.State)
			}
		}
	}
	return out
}

// currentPriorities are the newest version of each priority. Drafts, and what was rejected, count only where there is
// nothing else.
func currentPriorities(c *juncture.Catalog) (out []juncture.Priority) {
	for v := range currentVersions(c) {
		var r juncture.Priority
		if v.Priority != "" && json.Unmarshal(v.Body, &r) == nil {
			out = overlay(out, []juncture.Priority{r}, func(p juncture.Priority) string { return p.ID })
		}
	}
	return out
}

// priorities are those that are approved and not held back, by id.
func priorities(c *juncture.Catalog) (out []juncture.Priority, _ error) {
	newest := map[string]juncture.Version{}
	for _, v := range c.Versions {
		if v.Priority != "" && v.Status == juncture.VersionApproved && v.Number > newest[v.Priority].Number {
			newest[v.Priority] = v
		}
	}
	for id, v := range newest {
		if h, ok := c.Declaration.Holds[juncture.PrioritySubject(id)]; ok && h.Holds(v.Number) {
			continue
		}
		var r juncture.Priority
		if err := json.Unmarshal(v.Body, &r); err != nil {
			return nil, fmt.Errorf("priority %s: %w", id, err)
		}
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b juncture.Priority) int { return cmp.Compare(a.ID, b.ID) })
	return out, nil
}

// nudges are those of priorities of the actions among arms, by the priority's id. Of more than juncture.MaxNudges those
// that end last: room lets no more in, but an action may come to a surface later.
func nudges(all []juncture.Priority, x *juncture.Experiment, arms []*Arm) (out []juncture.Nudge) {
	if x.Policy == juncture.PolicyUniform || x.Policy == juncture.PolicyFixed {
		return nil
	}
	for _, r := range all {
		if r.Action != "" && slices.ContainsFunc(arms, func(a *Arm) bool { return a.Arm.Action == r.Action }) {
			out = append(out, r.Nudge())
		}
	}
	if len(out) > juncture.MaxNudges {
		slices.SortStableFunc(out, func(a, b juncture.Nudge) int { return b.Expires.Compare(a.Expires) })
		out = out[:juncture.MaxNudges]
		slices.SortFunc(out, func(a, b juncture.Nudge) int { return cmp.Compare(a.Priority, b.Priority) })
	}
	return out
}

// room refuses a version of a priority that would be one too many of actions at a surface, CodeUnprocessable. Those that
// are over do not count.
func (p *planner) room(v juncture.Version) error {
	var r juncture.Priority
	if v.Priority == "" || json.Unmarshal(v.Body, &r) != nil || r.Action == "" || !p.now.Before(r.Expires) {
		return nil
	}
	next := *p.c
	next.Versions = slices.Concat(p.c.Versions, p.change.Add, p.change.Review) // approvals of this change come last
	others, err := priorities(&next)
	if err != nil {
		return err
	}
	at := map[string][]string{} // surfaces of an action, by its newest version
	for _, o := range next.Versions {
		var a juncture.Action
		if o.Priority == "" && o.Copy == "" && json.Unmarshal(o.Body, &a) == nil {
			at[o.Action] = a.Surfaces
		}
	}
	here := map[string]int{}
	for _, o := range others {
		if o.Action == "" || o.ID == r.ID || !p.now.Before(o.Expires) {
			continue
		}
		for _, s := range at[o.Action] {
			here[s]++
		}
	}
	for _, s := range at[r.Action] {
		if here[s] >= juncture.MaxNudges {
			return juncture.Errorf(juncture.CodeUnprocessable, "%s: %d priorities raise actions at surface %q already: more, and evidence would hardly choose there",
				juncture.PrioritySubject(r.ID), here[s], s).WithHint("retire one of them first")
		}
	}
	return nil
}

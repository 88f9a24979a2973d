package console

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/access"
	"github.com/juncture/juncture/experiments"
)

// actionPage is one action with all that there is of it.
type actionPage struct {
	layout
	ID, Name, Lead     string
	State              stateView
	Back               string
	Killed             *juncture.Kill
	Hold               *juncture.Hold
	Next               []verbButton
	Facts              []fieldDiff
	Caps               []string
	Breaches           []string
	Parts              []versionsPart
	Says               string // which decisions are counted
	Previews           []preview
	Shopper            string
	MayEdit, MayDecide bool
	Form               copyForm
	Problem            string
	Field              string
	Terms              termsForm
	Done               string
}

type verbButton struct{ Verb, Title string }

// versionsPart is the history of the action itself, or of a copy.
type versionsPart struct {
	ID, Title string
	State     stateView
	Hold      *juncture.Hold
	Next      []verbButton
	Edit      string
	Lines     []versionLine
	Prior     string
}

type versionLine struct {
	juncture.VersionView
	State     stateView
	Value     string // of a form that submits or withdraws it
	Verb      string // what an editor may do to it; empty: nothing
	Live      bool
	Trials    int64
	Successes int64
	Fields    []fieldDiff // beside the version before
}

type copyForm struct{ ID, Headline, Body, CTA, Voice string }

type termsForm struct{ Owner, Starts, Expires, PerShopper, Per, PerDay, Spend string }

func (c *Console) action(g *gin.Context) {
	q := g.Request.URL.Query()
	c.renderAction(g, http.StatusOK, copyForm{ID: q.Get("edit")}, "", "")
}

func (c *Console) findAction(g *gin.Context) (juncture.PoolAction, error) {
	all, err := c.deps.Pool.Actions(g.Request.Context())
	if err != nil {
		return juncture.PoolAction{}, err
	}
	for _, a := range all {
		if a.ID == g.Param("id") {
			return a, nil
		}
	}
	return juncture.PoolAction{}, juncture.Errorf(juncture.CodeNotFound, "No action is called %.80q.", g.Param("id")).WithHint("The page of the pool lists those that there are.")
}

func (c *Console) renderAction(g *gin.Context, status int, form copyForm, field, problem string) {
	ctx := g.Request.Context()
	store, err := c.deps.Source.Store(ctx)
	var a juncture.PoolAction
	if err == nil {
		a, err = c.findAction(g)
	}
	if err != nil {
		c.fail(g, err)
		return
	}
	content := actionOf(a)
	evidence, err := c.evidenceByArm(ctx, store, content.Surfaces)
	if err != nil {
		c.fail(g, err)
		return
	}
	p := &actionPage{ID: a.ID, Name: experiments.Title(a.ID), State: poolState(a.State), Back: poolPath, Says: evidence.says(), Killed: a.Killed, Hold: a.Hold, Breaches: a.Breaches, Shopper: g.Query("shopper"),
		MayEdit: may(g, access.RoleEditor), MayDecide: may(g, access.RoleApprover), Form: form, Field: field, Problem: problem, Done: doneWords[g.Query("done")], Terms: termsOf(a.Terms), Caps: capWords(a.Cap, store.Currency)}
	if !sayable(p.Shopper) {
		p.Shopper = ""
	}
	trials, successes := int64(0), int64(0)
	sum := func(match func(juncture.Arm) bool) (n [2]int64) {
		for arm, e := range evidence.byArm {
			if arm.Action == a.ID && match(arm) {
				n[0], n[1] = n[0]+e[0], n[1]+e[1]
			}
		}
		return n
	}
	total := sum(func(juncture.Arm) bool { return true })
	trials, successes = total[0], total[1]
	p.Lead = actionLead(a, trials, successes)
	for _, v := range a.Next {
		if !slices.Contains(juncture.KillVerbs(), v) {
			p.Next = append(p.Next, verbButton{string(v), experiments.Title(string(v))})
		}
	}
	p.Facts = diffFields(nil, approvedBody(a.Live, a.Versions), actionFields)
	if a.Owner != "" {
		p.Facts = append(p.Facts, fieldDiff{Name: "Owner", After: clip(a.Owner, longestText)})
	}
	if dates := datesOf(a.Terms); dates != "" {
		p.Facts = append(p.Facts, fieldDiff{Name: "Dates (UTC)", After: dates})
	}
	p.Parts = append(p.Parts, versionsOf(g, a.ID, "", a.Versions, a.Live, a.State, func(n int) [2]int64 { return sum(func(arm juncture.Arm) bool { return arm.ActionVersion == n }) }))
	for _, w := range a.Copies {
		part := versionsOf(g, a.ID, w.ID, w.Versions, w.Live, w.State, func(n int) [2]int64 {
			return sum(func(arm juncture.Arm) bool { return arm.Copy == w.ID && arm.CopyVersion == n })
		})
		part.Hold = w.Hold
		for _, v := range w.Next {
			part.Next = append(part.Next, verbButton{string(v), experiments.Title(string(v))})
		}
		p.Parts = append(p.Parts, part)
		if form.ID == w.ID && problem == "" {
			said := juncture.Copy{}
			_ = json.Unmarshal(w.Versions[0].Body, &said) // the newest, a draft among them
			p.Form = copyForm{w.ID, said.Headline, said.Body, said.CTA, strings.Join(said.Voice, "\n")}
		}
	}
	if len(a.Copies) > 0 {
		if p.Previews, err = c.previews(ctx, store, content, copyOf(a.Copies[0]), p.Shopper); err != nil {
			c.fail(g, err)
			return
		}
	}
	p.layout = c.layoutFor(g, p.Name, store)
	p.layout.asOf(c, evidence.asOf...)
	c.render(g, status, "action", p)
}

func actionLead(a juncture.PoolAction, trials, successes int64) string {
	live := 0
	for _, w := range a.Copies {
		if w.State == juncture.PoolLive {
			live++
		}
	}
	so := map[juncture.PoolState]string{juncture.PoolDraft: "It is a draft: nobody sees it.", juncture.PoolInReview: "It waits for review: nobody sees it yet.", juncture.PoolRejected: "It was rejected: nobody sees it.",
		juncture.PoolApproved: "It is approved, and nothing of it is shown: no copy of it is live.", juncture.PoolScheduled: "It is approved and begins later.", juncture.PoolExpired: "It is over: nobody is shown it any more.",
		juncture.PoolPaused: "It is paused: nobody is shown it.", juncture.PoolRetired: "It is retired: nobody is shown it any more.", juncture.PoolKilled: "It is killed: nobody is shown it, not even where it was promised.",
		juncture.PoolLive: "It may be shown, with " + plural(live, "copy", "copies") + "."}[a.State]
	if trials == 0 {
		return so + " No decision has served it yet."
	}
	return fmt.Sprintf("%s So far %s decisions served it, and %s succeeded (%s).", so, experiments.Count(trials), experiments.Count(successes), experiments.Percent(float64(successes)/float64(trials)))
}

func versionsOf(g *gin.Context, action, copy string, versions []juncture.VersionView, live int, state juncture.PoolState, evidence func(int) [2]int64) versionsPart {
	p := versionsPart{ID: copy, Title: "The action itself", State: poolState(state)}
	fields := actionFields
	if copy != "" {
		p.Title, p.Edit, fields = "Copy “"+experiments.Title(copy)+"”", actionURL(action)+"?"+url.Values{"edit": {copy}}.Encode()+"#copy", copyFields
	}
	for i, v := range versions {
		n := evidence(v.Number)
		l := versionLine{VersionView: v, State: poolState(juncture.PoolState(v.Status)), Live: v.Number == live, Trials: n[0], Successes: n[1]}
		l.Comment = clip(l.Comment, 500)
		if ref, err := json.Marshal(juncture.VersionRef{Action: action, Copy: copy, Number: v.Number, Hash: v.Hash}); err == nil && v.Number > live {
			switch v.Status {
			case juncture.VersionDraft, juncture.VersionRejected:
				l.Value, l.Verb = string(ref), string(juncture.VerbSubmit)
			case juncture.VersionInReview:
				l.Value, l.Verb = string(ref), string(juncture.VerbWithdraw)
			}
		}
		var before json.RawMessage
		if i+1 < len(versions) {
			before = versions[i+1].Body
		}
		for _, f := range diffFields(before, v.Body, fields) {
			if f.Changed {
				l.Fields = append(l.Fields, f)
			}
		}
		p.Lines = append(p.Lines, l)
	}
	approved := []int{}
	for _, v := range versions {
		if v.Status == juncture.VersionApproved {
			approved = append(approved, v.Number)
		}
	}
	if len(approved) > 1 {
		p.Prior = priorWords(approved[1], approved[0])
	}
	return p
}

func capWords(c *juncture.Cap, currency string) (out []string) {
	if c == nil {
		return nil
	}
	if f := c.PerShopper; f != nil {
		out = append(out, fmt.Sprintf("At most %s a %s for one shopper", plural(f.N, "time", "times"), f.Per))
	}
	if c.PerDay > 0 {
		out = append(out, fmt.Sprintf("At most %s decisions a day (UTC)", experiments.Count(c.PerDay)))
	}
	if s := c.Spend; s != nil {
		what := "time it is served"
		if s.Per == juncture.SpendSuccess {
			what = strings.ToLower(experiments.Title(s.Outcome))
		}
		out = append(out, fmt.Sprintf("A budget of %s, %s for each %s", experiments.Money(s.Most, currency), experiments.Money(s.Cost, currency), what))
	}
	return out
}

const formTime = "2006-01-02T15:04"

func termsOf(t juncture.Terms) (f termsForm) {
	f.Owner = t.Owner
	if t.Starts != nil {
		f.Starts = t.Starts.UTC().Format(formTime)
	}
	if t.Expires != nil {
		f.Expires = t.Expires.UTC().Format(formTime)
	}
	if t.Cap != nil && t.Cap.PerShopper != nil {
		f.PerShopper, f.Per = strconv.Itoa(t.Cap.PerShopper.N), string(t.Cap.PerShopper.Per)
	}
	if t.Cap != nil && t.Cap.PerDay > 0 {
		f.PerDay = strconv.FormatInt(t.Cap.PerDay, 10)
	}
	f.Per = cmp.Or(f.Per, string(juncture.PerDay))
	return f
}

func (c *Console) postCopy(g *gin.Context) {
	form, ok := c.readFormOf(g, maxCopyForm)
	if !ok {
		return
	}
	said := copyForm{strings.TrimSpace(form.Get("id")), strings.TrimSpace(form.Get("headline")), strings.TrimSpace(form.Get("body")), strings.TrimSpace(form.Get("cta")), form.Get("voice")}
	draft := juncture.CopyDraft{Copy: juncture.Copy{ID: said.ID, Headline: said.Headline, Body: said.Body, CTA: said.CTA, Voice: entries(said.Voice)}, Submit: form.Get("verb") == string(juncture.VerbSubmit)}
	err := c.deps.Pool.WriteCopy(g.Request.Context(), actor(g), g.Param("id"), draft)
	if e, is := errors.AsType[*juncture.Error](err); is && (e.Code == juncture.CodeInvalidRequest || e.Code == juncture.CodeUnprocessable) {
		c.renderAction(g, e.Code.Status(), said, e.Field, sentence(e.Message))
		return
	}
	if err != nil {
		c.fail(g, err)
		return
	}
	done := "draft"
	if draft.Submit {
		done = "submit"
	}
	g.Redirect(http.StatusSeeOther, actionURL(g.Param("id"))+"?done="+done)
}

func (c *Console) postHold(g *gin.Context) {
	form, ok := c.readForm(g)
	if !ok {
		return
	}
	verb := juncture.Verb(form.Get("verb"))
	if _, err := c.deps.Pool.HoldAction(g.Request.Context(), actor(g), g.Param("id"), form.Get("copy"), verb, juncture.ReasonRequest{Reason: form.Get("reason")}); err != nil {
		c.fail(g, err)
		return
	}
	g.Redirect(http.StatusSeeOther, actionURL(g.Param("id"))+"?done="+url.QueryEscape(string(verb)))
}

func (c *Console) postTerms(g *gin.Context) {
	form, ok := c.readForm(g)
	if !ok {
		return
	}
	a, err := c.findAction(g)
	if err != nil {
		c.fail(g, err)
		return
	}
	r := juncture.TermsRequest{Terms: juncture.Terms{Owner: strings.TrimSpace(form.Get("owner"))}, Reason: form.Get("reason")}
	for field, to := range map[string]**time.Time{"starts": &r.Starts, "expires": &r.Expires} {
		if text := form.Get(field); text != "" {
			at, err := time.Parse(formTime, text)
			if err != nil {
				c.fail(g, juncture.Errorf(juncture.CodeInvalidRequest, "%s: %.40q is no time.", experiments.Title(field), text).WithHint("Write it as 2027-01-31T09:00, in UTC."))
				return
			}
			*to = new(at)
		}
	}
	limit := juncture.Cap{}
	if a.Cap != nil {
		limit.Spend = a.Cap.Spend // a budget is set in the store file, or by API
	}
	for field, to := range map[string]func(int64){"perShopper": func(n int64) {
		limit.PerShopper = &juncture.Frequency{N: int(n), Per: juncture.Period(form.Get("per"))}
	}, "perDay": func(n int64) { limit.PerDay = n }} {
		if text := strings.TrimSpace(form.Get(field)); text != "" {
			n, err := strconv.ParseInt(text, 10, 32)
			if err != nil {
				c.fail(g, juncture.Errorf(juncture.CodeInvalidRequest, "%.40q is no whole number.", text).WithHint("Leave it empty for no cap."))
				return
			}
			to(n)
		}
	}
	if limit != (juncture.Cap{}) {
		r.Cap = &limit
	}
	if err := c.deps.Pool.SetTerms(g.Request.Context(), actor(g), a.ID, r); err != nil {
		c.fail(g, err)
		return
	}
	g.Redirect(http.StatusSeeOther, actionURL(a.ID)+"?done=terms")
}

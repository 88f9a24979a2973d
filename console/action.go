package console

import (
	"cmp"
	"encoding/json"
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
	CSV                string // of all versions
	State              stateView
	Back               string
	Killed             *juncture.Kill
	Hold               *juncture.Hold
	Next               []verbButton
	Facts              []fieldDiff
	Caps               []string
	Breaches           []string
	Warnings           []string // of surfaces whose default it is
	DefaultOf          string   // those surfaces, in words; empty: none
	Parts              []versionsPart
	Says               string // which decisions are counted
	Previews           []preview
	Shopper            string
	MayEdit, MayDecide bool
	Edit               string // leads to the form of the action itself
	Editing            bool   // the form holds a copy that there is
	CopyFields         copyInputs
	CopyProblem        string
	CopyPreviews       []preview
	TermsFields        termsInputs
	TermsProblem       string
	Done               string
}

// actionForms is what was typed on the page of an action, when it has to be shown again. The zero one is nothing.
type actionForms struct {
	copy                      copyForm
	terms                     *termsForm // nil: those of the action
	show                      bool       // the copy, as it would be
	copyProblem, termsProblem string
	problems                  map[string]string // by field
}

type verbButton struct{ Verb, Title string }

// versionsPart is the history of the action itself, or of a copy.
type versionsPart struct {
	ID, Title string
	State     stateView
	Hold      *juncture.Hold
	Next      []verbButton
	Edit      string
	DefaultOf string // surfaces whose default is this copy alone; empty: none
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

type termsForm struct{ Owner, Starts, Expires, PerShopper, Per, PerDay, Most, Cost, SpendPer, SpendOutcome, Reason string }

func (c *Console) action(g *gin.Context) {
	q := g.Request.URL.Query()
	c.renderAction(g, http.StatusOK, actionForms{copy: copyForm{ID: q.Get("edit")}})
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

func (c *Console) renderAction(g *gin.Context, status int, form actionForms) {
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
	p := &actionPage{ID: a.ID, Name: experiments.Title(a.ID), State: poolState(a.State), Back: poolPath, Says: evidence.says(), Killed: a.Killed, Hold: a.Hold, Breaches: a.Breaches, DefaultOf: surfaceNames(a.DefaultOf), Shopper: g.Query("shopper"),
		MayEdit: may(g, access.RoleEditor), MayDecide: may(g, access.RoleApprover), Edit: actionURL(a.ID) + "/edit", CopyProblem: form.copyProblem, TermsProblem: form.termsProblem, Done: doneWords[g.Query("done")], Caps: capWords(a.Cap, store.Currency)}
	if !sayable(p.Shopper) {
		p.Shopper = ""
	}
	total := evidence.sum(func(arm juncture.Arm) bool { return arm.Action == a.ID })
	p.Lead = actionLead(a, total[0], total[1])
	for _, w := range a.Warnings {
		p.Warnings = append(p.Warnings, sentence(w))
	}
	for _, v := range a.Next {
		if !slices.Contains(juncture.KillVerbs(), v) {
			p.Next = append(p.Next, verbButton{string(v), experiments.Title(string(v))})
		}
	}
	names := c.names(ctx)
	p.Facts = diffFields(nil, approvedBody(a.Live, a.Versions), actionFields, names)
	if a.Owner != "" {
		p.Facts = append(p.Facts, fieldDiff{Name: "Owner", After: clip(a.Owner, longestText)})
	}
	if dates := datesOf(a.Terms); dates != "" {
		p.Facts = append(p.Facts, fieldDiff{Name: "Dates (UTC)", After: dates})
	}
	p.Parts, p.CSV = partsOf(g, a, evidence, names), actionURL(a.ID)+"/versions.csv"
	for _, w := range a.Copies {
		if form.copy == (copyForm{ID: w.ID}) && len(w.Versions) > 0 {
			said := juncture.Copy{}
			_ = json.Unmarshal(w.Versions[0].Body, &said) // the newest, a draft among them
			form.copy, p.Editing = copyForm{w.ID, said.Headline, said.Body, said.CTA, strings.Join(said.Voice, "\n")}, true
		}
	}
	if p.CopyFields, err = c.copyInputs(ctx, form.copy, "", form.problems); err == nil && form.show {
		p.CopyPreviews, err = c.previews(ctx, store, content, form.copy.copy(), p.Shopper)
	}
	if err != nil {
		c.fail(g, err)
		return
	}
	if form.terms == nil {
		form.terms = new(termsOf(a.Terms))
	}
	p.TermsFields = termsInputsOf(*form.terms, store, form.problems)
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

// partsOf are an action itself and its copies, with their versions.
func partsOf(g *gin.Context, a juncture.PoolAction, evidence armEvidence, names experiments.Names) []versionsPart {
	out := []versionsPart{versionsOf(g, a.ID, "", a.Versions, a.Live, a.State, names, func(n int) [2]int64 {
		return evidence.sum(func(arm juncture.Arm) bool { return arm.Action == a.ID && arm.ActionVersion == n })
	})}
	for _, w := range a.Copies {
		part := versionsOf(g, a.ID, w.ID, w.Versions, w.Live, w.State, names, func(n int) [2]int64 {
			return evidence.sum(func(arm juncture.Arm) bool { return arm.Action == a.ID && arm.Copy == w.ID && arm.CopyVersion == n })
		})
		part.Hold, part.DefaultOf = w.Hold, surfaceNames(w.DefaultOf)
		for _, v := range w.Next {
			part.Next = append(part.Next, verbButton{string(v), experiments.Title(string(v))})
		}
		out = append(out, part)
	}
	return out
}

// versionsCSV is every version of an action and of its copies, with what was learnt of each.
func (c *Console) versionsCSV(g *gin.Context) {
	ctx := g.Request.Context()
	store, err := c.deps.Source.Store(ctx)
	var a juncture.PoolAction
	if err == nil {
		a, err = c.findAction(g)
	}
	var evidence armEvidence
	if err == nil {
		evidence, err = c.evidenceByArm(ctx, store, actionOf(a).Surfaces)
	}
	if err != nil {
		c.fail(g, err)
		return
	}
	t := newVersionsTable("copy", "decisions", "succeeded")
	for _, part := range partsOf(g, a, evidence, nil) {
		for _, l := range part.Lines {
			t.version(l, part.ID, whole(l.Trials), whole(l.Successes))
		}
	}
	t.send(g, a.ID+"-versions")
}

type versionsTable struct{ *table }

func newVersionsTable(more ...string) versionsTable {
	return versionsTable{newTable(append([]string{"version", "status", "in force", "author", "created", "reviewer", "reviewed", "comment", "bypass", "content"}, more...)...)}
}

func (t versionsTable) version(l versionLine, more ...string) {
	reviewed := ""
	if l.Reviewed != nil {
		reviewed = l.Reviewed.UTC().Format(time.RFC3339)
	}
	t.row(append([]string{whole(int64(l.Number)), l.Status, strconv.FormatBool(l.Live), l.Author, l.Created.UTC().Format(time.RFC3339), l.Reviewer, reviewed, l.Comment, strconv.FormatBool(l.Bypass), string(l.Body)}, more...)...)
}

// surfaceNames lists surfaces by name.
func surfaceNames(ids []string) string {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = experiments.Title(id)
	}
	return strings.Join(names, " and ")
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

func versionsOf(g *gin.Context, action, copy string, versions []juncture.VersionView, live int, state juncture.PoolState, names experiments.Names, evidence func(int) [2]int64) versionsPart {
	p := versionsPart{ID: copy, Title: "The action itself", State: poolState(state)}
	fields := actionFields
	if copy != "" {
		p.Title, p.Edit, fields = "Copy “"+experiments.Title(copy)+"”", actionURL(action)+"?"+url.Values{"edit": {copy}}.Encode()+"#copy", copyFields
	}
	p.Lines = versionLines(juncture.VersionRef{Action: action, Copy: copy}, versions, live, fields, names, evidence)
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

// versionLines are the versions of something, each beside the one before.
func versionLines(ref juncture.VersionRef, versions []juncture.VersionView, live int, fields []fieldOf, names experiments.Names, evidence func(int) [2]int64) (lines []versionLine) {
	for i, v := range versions {
		n := evidence(v.Number)
		ref.Number, ref.Hash = v.Number, v.Hash
		l := versionLine{VersionView: v, State: poolState(juncture.PoolState(v.Status)), Live: v.Number == live, Trials: n[0], Successes: n[1]}
		l.Comment = clip(l.Comment, 500)
		if value, err := json.Marshal(ref); err == nil && v.Number > live {
			switch v.Status {
			case juncture.VersionDraft, juncture.VersionRejected:
				l.Value, l.Verb = string(value), string(juncture.VerbSubmit)
			case juncture.VersionInReview:
				l.Value, l.Verb = string(value), string(juncture.VerbWithdraw)
			}
		}
		var before json.RawMessage
		if i+1 < len(versions) {
			before = versions[i+1].Body
		}
		for _, f := range diffFields(before, v.Body, fields, names) {
			if f.Changed {
				f.After = clip(f.After, 300)
				l.Fields = append(l.Fields, f)
			}
		}
		lines = append(lines, l)
	}
	return lines
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
	if t.Cap != nil && t.Cap.Spend != nil {
		s := t.Cap.Spend
		f.Most, f.Cost, f.SpendPer, f.SpendOutcome = strconv.FormatFloat(s.Most, 'f', -1, 64), strconv.FormatFloat(s.Cost, 'f', -1, 64), s.Per, s.Outcome
	}
	f.Per, f.SpendPer = cmp.Or(f.Per, string(juncture.PerDay)), cmp.Or(f.SpendPer, juncture.SpendServe)
	return f
}

func (c *Console) postCopy(g *gin.Context) {
	form, ok := c.readFormOf(g, maxCopyForm)
	if !ok {
		return
	}
	said := readCopy(form, "")
	draft := juncture.CopyDraft{Copy: said.copy(), Submit: form.Get("verb") == string(juncture.VerbSubmit)}
	if form.Get("verb") == verbPreview {
		c.renderAction(g, http.StatusOK, actionForms{copy: said, show: true})
		return
	}
	a, err := c.findAction(g)
	if err != nil {
		c.fail(g, err)
		return
	}
	if i := slices.IndexFunc(a.Copies, func(w juncture.PoolCopy) bool { return w.ID == said.ID }); i >= 0 && sameAs(draft.Hash(), a.Copies[i].Versions, a.Copies[i].Live, draft.Submit) {
		g.Redirect(http.StatusSeeOther, actionURL(a.ID)+"?done=same")
		return
	}
	if err := c.deps.Pool.WriteCopy(g.Request.Context(), actor(g), a.ID, draft); err != nil {
		f := actionForms{copy: said, problems: map[string]string{}}
		over, status := c.noteTrouble(g, err, f.problems)
		f.copyProblem = over
		c.renderAction(g, status, f)
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
	typed, problems := readTerms(form), map[string]string{}
	r := juncture.TermsRequest{Terms: typed.terms(problems), Reason: typed.Reason}
	if len(problems) == 0 {
		err = c.deps.Pool.SetTerms(g.Request.Context(), actor(g), a.ID, r)
	}
	if err != nil || len(problems) > 0 {
		over, status := c.noteTrouble(g, err, problems)
		c.renderAction(g, status, actionForms{terms: &typed, termsProblem: over, problems: problems})
		return
	}
	g.Redirect(http.StatusSeeOther, actionURL(a.ID)+"?done=terms")
}

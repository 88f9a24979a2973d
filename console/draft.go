package console

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/access"
	"github.com/juncture/juncture/experiments"
	"github.com/juncture/juncture/pool"
)

// The forms that write drafts: a new version of an action, a new action with its first copy, a copy. What was typed comes
// back with whatever is wrong beside its field; nothing is saved until all of it stands.

const (
	newActionPath = poolPath + "-new"
	verbPreview   = "preview" // of a form: show it, save nothing
)

// draftPage writes a new version of an action, or a new action.
type draftPage struct {
	layout
	New                bool
	Heading, Lead      string
	Back, Name, Post   string
	Live               string // leads to the form with what is shown now; empty: it has that
	Prior              string
	Form               draftForm
	Problems           map[string]string // by field
	Problem            string
	Surfaces, Sources  []option
	Types, Asks        []string // the types that there are; what a rule may ask
	Most               int      // products, and pieces
	CopyFields         copyInputs
	TermsFields        termsInputs
	Previews           []preview
	PreviewedWithoutIt bool // there is no copy to show it with
}

// draftForm is what was typed.
type draftForm struct {
	ID, Type, Payload, Rule, Slots, Products, Editorial string
	Surfaces, From                                      []string
	Copy                                                copyForm
	Terms                                               termsForm
}

// copyInputs are the fields of a copy. Prefix comes before their names.
type copyInputs struct {
	copyForm
	Prefix   string
	Voices   []option // the taste clusters
	Picked   bool     // one of them is ticked
	Others   string   // of the voice
	Problems map[string]string
}

// termsInputs are the fields of an action's terms.
type termsInputs struct {
	termsForm
	Currency string
	Outcomes []string // the goals that there are
	Problems map[string]string
}

// trouble is what is wrong with one field.
type trouble struct{ ID, Text string }

func troubleAt(problems map[string]string, field string) *trouble {
	if problems[field] == "" {
		return nil
	}
	return &trouble{"p-" + strings.ReplaceAll(field, ".", "-"), problems[field]}
}

// invalidAt marks a field that something is wrong with, and names what describes it: its hints and its trouble.
func invalidAt(problems map[string]string, field string, hints ...string) template.HTMLAttr {
	t, mark := troubleAt(problems, field), ""
	if t != nil {
		hints, mark = append(slices.Clone(hints), t.ID), ` aria-invalid="true"`
	}
	if len(hints) > 0 {
		mark += ` aria-describedby="` + template.HTMLEscapeString(strings.Join(hints, " ")) + `"`
	}
	return template.HTMLAttr(mark)
}

// typed is a field's text as it is kept: browsers send line ends as \r\n.
func typed(form url.Values, name string) string {
	return strings.TrimSpace(strings.ReplaceAll(strings.ToValidUTF8(form.Get(name), "\uFFFD"), "\r\n", "\n"))
}

func typedAll(form url.Values, name string) []string {
	return entries(strings.ReplaceAll(strings.ToValidUTF8(strings.Join(form[name], "\n"), "\uFFFD"), "\r\n", "\n"))
}

func readCopy(form url.Values, prefix string) copyForm {
	return copyForm{typed(form, prefix+"id"), typed(form, prefix+"headline"), typed(form, prefix+"body"), typed(form, prefix+"cta"), strings.Join(typedAll(form, prefix+"voice"), "\n")}
}

func (f copyForm) copy() juncture.Copy {
	return juncture.Copy{ID: f.ID, Headline: f.Headline, Body: f.Body, CTA: f.CTA, Voice: entries(f.Voice)}
}

// copyInputs are the form's fields, the taste clusters of its voice ticked.
func (c *Console) copyInputs(ctx context.Context, f copyForm, prefix string, problems map[string]string) (copyInputs, error) {
	out := copyInputs{copyForm: f, Prefix: prefix, Problems: problems}
	var others []string
	voice := entries(f.Voice)
	known := map[string]bool{}
	if c.deps.Tastes != nil {
		all, err := c.deps.Tastes.Clusters(ctx)
		if err != nil {
			return out, err
		}
		for _, v := range all.Items {
			known[v.ID] = true
			ticked := slices.Contains(voice, v.ID)
			out.Picked = out.Picked || ticked
			out.Voices = append(out.Voices, option{v.ID, clip(or(v.Name, v.ID), longestText), ticked})
		}
	}
	for _, v := range voice {
		if !known[v] {
			others = append(others, v)
		}
	}
	out.Others = strings.Join(others, "\n")
	return out, nil
}

func readDraft(form url.Values) draftForm {
	return draftForm{ID: typed(form, "id"), Type: typed(form, "type"), Payload: typed(form, "payload"), Rule: typed(form, "rule"), Slots: typed(form, "slots"), Products: strings.Join(typedAll(form, "products"), "\n"),
		Editorial: typed(form, "editorial"), Surfaces: typedAll(form, "surfaces"), From: typedAll(form, "from"), Copy: readCopy(form, "copy-"), Terms: readTerms(form)}
}

// draftOf is the form that would write the action as it is.
func draftOf(a juncture.Action) draftForm {
	f := draftForm{ID: a.ID, Type: a.Type, Rule: a.Rule, Products: strings.Join(a.Products, "\n"), Surfaces: a.Surfaces, From: a.From}
	if a.Slots > 0 {
		f.Slots = strconv.Itoa(a.Slots)
	}
	if a.Editorial > 0 {
		f.Editorial = strconv.Itoa(a.Editorial)
	}
	if len(a.Payload) > 0 {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if e.Encode(a.Payload) == nil { // it was JSON
			f.Payload = strings.TrimSpace(b.String())
		}
	}
	return f
}

// action reads the form; what it cannot read stands in problems, by field.
func (f draftForm) action(problems map[string]string) juncture.Action {
	a := juncture.Action{ID: f.ID, Surfaces: f.Surfaces, Type: f.Type, Rule: f.Rule, From: f.From, Products: entries(f.Products)}
	number := func(field, text string, to *int) {
		n, err := strconv.Atoi(text)
		if text != "" && err != nil {
			problems[field] = fmt.Sprintf("%.40q is no whole number. Leave it empty for none.", text)
		}
		*to = n
	}
	number("slots", f.Slots, &a.Slots)
	number("editorial", f.Editorial, &a.Editorial)
	var text string
	if a.Payload, text = readPayload(f.Payload); text != "" {
		problems["payload"] = text
	}
	return a
}

// readPayload reads an object of JSON, or says what is wrong with it and where. Empty is none.
func readPayload(text string) (map[string]any, string) {
	if text == "" {
		return nil, ""
	}
	var out map[string]any
	err := json.Unmarshal([]byte(text), &out)
	if len(out) == 0 && err == nil && strings.HasPrefix(text, "{") {
		return nil, "" // as declared without one
	}
	if err == nil && out != nil {
		return out, ""
	}
	const write = `Write one object, such as {"percent": 5}.`
	if at, ok := errors.AsType[*json.SyntaxError](err); ok {
		before := text[:max(0, min(int(at.Offset)-1, len(text)))]
		line := 1 + strings.Count(before, "\n")
		column := 1 + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
		return nil, fmt.Sprintf("It is not JSON: line %d, column %d: %s. %s", line, column, at.Error(), write)
	}
	return nil, "It is not an object of JSON. " + write
}

func readTerms(form url.Values) termsForm {
	return termsForm{typed(form, "owner"), typed(form, "starts"), typed(form, "expires"), typed(form, "perShopper"), cmp.Or(typed(form, "per"), string(juncture.PerDay)), typed(form, "perDay"),
		typed(form, "most"), typed(form, "cost"), cmp.Or(typed(form, "spendPer"), juncture.SpendServe), typed(form, "spendOutcome"), typed(form, "reason")}
}

// terms reads the form, as action does. The names of fields are those of juncture.Terms.
func (f termsForm) terms(problems map[string]string) juncture.Terms {
	t := juncture.Terms{Owner: f.Owner}
	for field, x := range map[string]struct {
		text string
		to   **time.Time
	}{"starts": {f.Starts, &t.Starts}, "expires": {f.Expires, &t.Expires}} {
		if x.text == "" {
			continue
		}
		at, err := time.Parse(formTime, x.text)
		if err != nil {
			problems[field] = fmt.Sprintf("%.40q is no time. Write it as 2027-01-31T09:00, in UTC.", x.text)
			continue
		}
		*x.to = new(at)
	}
	limit := juncture.Cap{}
	for field, x := range map[string]struct {
		text string
		to   func(int64)
	}{"cap.perShopper": {f.PerShopper, func(n int64) {
		limit.PerShopper = &juncture.Frequency{N: int(n), Per: juncture.Period(f.Per)}
	}}, "cap.perDay": {f.PerDay, func(n int64) { limit.PerDay = n }}} {
		if x.text == "" {
			continue
		}
		n, err := strconv.ParseInt(x.text, 10, 32)
		if err != nil {
			problems[field] = fmt.Sprintf("%.40q is no whole number. Leave it empty for no cap.", x.text)
			continue
		}
		x.to(n)
	}
	if f.Most != "" || f.Cost != "" {
		limit.Spend = &juncture.Spend{Per: f.SpendPer}
		if f.SpendPer == juncture.SpendSuccess {
			limit.Spend.Outcome = f.SpendOutcome
		}
		amount := func(field, text string, to *float64) {
			n, err := strconv.ParseFloat(text, 64)
			if err != nil {
				problems[field] = fmt.Sprintf("%.40q is no amount of money. A budget has a sum and what each time costs; leave both empty for none.", text)
			}
			*to = n
		}
		amount("cap.spend.most", f.Most, &limit.Spend.Most)
		amount("cap.spend.cost", f.Cost, &limit.Spend.Cost)
	}
	if limit != (juncture.Cap{}) {
		t.Cap = &limit
	}
	return t
}

// fieldAt is the page's field for a field of the request: "payload" for payload.percent, "copy-headline" for
// copy[0].headline.
func fieldAt(path string) string {
	if rest, ok := strings.CutPrefix(path, "copy[0]."); ok {
		path = "copy-" + rest
	} else if path == "copy" {
		path = "copy-voice"
	}
	switch field, _, _ := strings.Cut(path, "["); {
	case strings.HasPrefix(field, "payload"):
		return "payload"
	case field == "cap.perShopper.n" || field == "cap.perShopper.per":
		return "cap.perShopper"
	default:
		return field
	}
}

// noteTrouble puts what a refusal says beside the fields that it is about, and returns what stands over the form and the
// answer's status.
func (c *Console) noteTrouble(g *gin.Context, err error, problems map[string]string) (over string, status int) {
	const mend = "Nothing was saved yet: mend what is marked below."
	if err == nil {
		return mend, http.StatusBadRequest
	}
	e, ok := errors.AsType[*juncture.Error](err)
	if !ok || e.Code.Status() >= 500 {
		c.deps.Log.Error("console", "route", g.FullPath(), "error", err)
		return "Nothing was saved: something went wrong on our side. Try again; if it stays, the log of the server says why.", juncture.ErrorCode(err).Status()
	}
	all := e.Problems
	if len(all) == 0 && e.Field != "" {
		all = []juncture.Problem{{Path: e.Field, Message: e.Message, Hint: e.Hint}}
	}
	for _, p := range all {
		field := fieldAt(p.Path)
		if field == "" {
			all = nil // of something else
			break
		}
		text := strings.TrimSuffix(sentence(p.Message), ".")
		if p.Hint != "" {
			text += ": " + p.Hint
		}
		problems[field] = strings.TrimSpace(problems[field] + " " + text + ".")
	}
	if len(all) > 0 {
		return mend, e.Code.Status()
	}
	over = "Nothing was saved: " + strings.TrimSuffix(sentence(e.Message), ".")
	if e.Hint != "" {
		over += ": " + e.Hint
	}
	return over + ".", e.Code.Status()
}

// sameAs reports whether a draft would write nothing: its content is what a version has that is the newest, or shown.
func sameAs(hash string, versions []juncture.VersionView, live int, submit bool) bool {
	for i, v := range versions {
		if v.Hash == hash && (v.Number == live || i == 0 && !(submit && v.Status == juncture.VersionDraft)) {
			return true
		}
	}
	return false
}

// newestOf is the newest version's content of the action itself, or that of a version by its number; and which it is.
func newestOf(a juncture.PoolAction, asked string) (out juncture.Action, from juncture.VersionView) {
	if len(a.Versions) == 0 {
		return juncture.Action{ID: a.ID}, from
	}
	from = a.Versions[0]
	for _, v := range a.Versions {
		if strconv.Itoa(v.Number) == asked {
			from = v
		}
	}
	_ = json.Unmarshal(from.Body, &out) // what was written as JSON
	return out, from
}

func (c *Console) mountDrafts(people gin.IRoutes, get func(gin.IRoutes, string, ...gin.HandlerFunc)) {
	editor := c.least(access.RoleEditor)
	get(people, newActionPath, editor, func(g *gin.Context) {
		f := draftForm{Copy: copyForm{ID: "plain"}, Terms: termsOf(juncture.Terms{})}
		if s := g.Query("surface"); s != "" {
			f.Surfaces = []string{s}
		}
		c.renderDraft(g, http.StatusOK, nil, f, "", nil, false)
	})
	get(people, actionPath+":id/edit", editor, func(g *gin.Context) {
		a, err := c.findAction(g)
		if err != nil {
			c.fail(g, err)
			return
		}
		content, _ := newestOf(a, g.Query("version"))
		c.renderDraft(g, http.StatusOK, &a, draftOf(content), "", nil, false)
	})
	people.POST(newActionPath, editor, func(g *gin.Context) { c.postDraft(g, nil) })
	people.POST(actionPath+":id/edit", editor, func(g *gin.Context) {
		a, err := c.findAction(g)
		if err != nil {
			c.fail(g, err)
			return
		}
		c.postDraft(g, &a)
	})
}

// postDraft writes a version of an action, nil: a new action; or shows it.
func (c *Console) postDraft(g *gin.Context, of *juncture.PoolAction) {
	form, ok := c.readFormOf(g, maxCopyForm)
	if !ok {
		return
	}
	f, problems := readDraft(form), map[string]string{}
	if of != nil {
		f.ID = of.ID
	}
	draft := juncture.ActionDraft{Action: f.action(problems), Submit: form.Get("verb") == string(juncture.VerbSubmit)}
	var err error
	if of == nil {
		draft.Terms, draft.Copy = f.Terms.terms(problems), []juncture.Copy{f.Copy.copy()}
		var all []juncture.PoolAction
		if all, err = c.deps.Pool.Actions(g.Request.Context()); err != nil {
			c.fail(g, err)
			return
		}
		if slices.ContainsFunc(all, func(a juncture.PoolAction) bool { return a.ID == f.ID }) {
			problems["id"] = "There is an action of this id. Edit it on its page, or choose another id."
		}
	}
	if form.Get("verb") == verbPreview {
		c.renderDraft(g, http.StatusOK, of, f, "", problems, true)
		return
	}
	if of != nil && len(problems) == 0 && sameAs(draft.Hash(), of.Versions, of.Live, draft.Submit) {
		g.Redirect(http.StatusSeeOther, actionURL(of.ID)+"?done=same")
		return
	}
	if len(problems) == 0 {
		err = c.deps.Pool.WriteAction(g.Request.Context(), actor(g), draft)
	}
	if err != nil || len(problems) > 0 {
		over, status := c.noteTrouble(g, err, problems)
		c.renderDraft(g, status, of, f, over, problems, false)
		return
	}
	done := "draft"
	if draft.Submit {
		done = "submit"
	}
	g.Redirect(http.StatusSeeOther, actionURL(f.ID)+"?done="+done)
}

// renderDraft shows the form of a new version of an action, nil: of a new action.
func (c *Console) renderDraft(g *gin.Context, status int, of *juncture.PoolAction, f draftForm, problem string, problems map[string]string, show bool) {
	ctx := g.Request.Context()
	store, err := c.deps.Source.Store(ctx)
	var all []juncture.PoolAction
	if err == nil {
		all, err = c.deps.Pool.Actions(ctx)
	}
	p := &draftPage{New: of == nil, Heading: "A new action", Name: "The pool", Back: poolPath, Post: newActionPath, Form: f, Problem: problem, Problems: problems, Asks: pool.RuleNames(), Most: juncture.MaxSlots,
		Lead: "Nobody is shown it before somebody else has approved it, its copy as well."}
	said := f.Copy.copy()
	if of != nil {
		_, from := newestOf(*of, g.Query("version"))
		next := 1
		if len(of.Versions) > 0 {
			next = of.Versions[0].Number + 1
		}
		p.Name = experiments.Title(of.ID)
		p.Heading, p.Back, p.Post = "Edit "+p.Name, actionURL(of.ID), actionURL(of.ID)+"/edit"
		p.Lead = fmt.Sprintf("This writes version %d, beginning with what version %d says. What is shown stays as it is until somebody else has approved it.", next, from.Number)
		if of.Live > 0 {
			p.Prior = priorWords(of.Live, next)
			if from.Number != of.Live {
				p.Live = p.Post + "?version=" + strconv.Itoa(of.Live)
			}
		}
		said = juncture.Copy{}
		if len(of.Copies) > 0 {
			said = copyOf(of.Copies[0])
		}
	}
	for _, s := range store.Surfaces {
		p.Surfaces = append(p.Surfaces, option{s.ID, experiments.Title(s.ID) + " (" + s.Channel + ")", slices.Contains(f.Surfaces, s.ID)})
	}
	for _, s := range juncture.Sources() {
		p.Sources = append(p.Sources, option{s, sourceWords[s], slices.Contains(f.From, s)})
	}
	for _, a := range all {
		if kind := actionOf(a).Type; kind != "" && !slices.Contains(p.Types, kind) {
			p.Types = append(p.Types, kind)
		}
	}
	slices.Sort(p.Types)
	if err == nil && show {
		a := f.action(map[string]string{})
		if said.Headline == "" && said.Body == "" {
			p.PreviewedWithoutIt = true
		} else {
			p.Previews, err = c.previews(ctx, store, a, said, "")
		}
	}
	if err == nil {
		p.CopyFields, err = c.copyInputs(ctx, f.Copy, "copy-", problems)
	}
	if err != nil {
		c.fail(g, err)
		return
	}
	p.TermsFields = termsInputsOf(f.Terms, store, problems)
	p.layout = c.layoutFor(g, p.Heading, store)
	c.render(g, status, "draft", p)
}

// sourceWords are the sources of products for people.
var sourceWords = map[string]string{"complements": "what is bought with what is in their bag", "related": "what others viewed who viewed the same", "similar": "what others bought who bought the same", "cluster": "what their taste cluster likes",
	"category": "their category", "trending": "what is wanted now", "priority": "merchandisers' priorities"}

func termsInputsOf(f termsForm, store StoreView, problems map[string]string) termsInputs {
	t := termsInputs{termsForm: f, Currency: store.Currency, Problems: problems}
	for _, e := range store.Experiments {
		for _, part := range e.Goal.Parts() {
			if !slices.Contains(t.Outcomes, part.Outcome) {
				t.Outcomes = append(t.Outcomes, part.Outcome)
			}
		}
	}
	slices.Sort(t.Outcomes)
	return t
}

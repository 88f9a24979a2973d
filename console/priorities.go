package console

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
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

// Priorities are what merchandisers ask to be shown more. Changes are audited behind it, as those of a PoolDesk.
type Priorities interface {
	Priorities(ctx context.Context) ([]juncture.PoolPriority, error)
	// PriorityEffects are those of priorities of actions that hold now, by id.
	PriorityEffects(ctx context.Context) (map[string][]juncture.PriorityEffect, error)
	// PreviewPriority is what a version would do; an empty shopper is nobody.
	PreviewPriority(ctx context.Context, shopper string, p juncture.Priority) (juncture.PriorityPreview, error)
	WritePriority(ctx context.Context, actor string, r juncture.PriorityDraft) error
	HoldPriority(ctx context.Context, actor, id string, verb juncture.Verb, r juncture.ReasonRequest) error
}

const (
	prioritiesPath = "/console/priorities"
	priorityPath   = "/console/priorities/"
	wishesOfPool   = 20 // on the page of the pool
)

func (c *Console) mountPriorities(people gin.IRoutes, get func(gin.IRoutes, string, ...gin.HandlerFunc)) {
	get(people, prioritiesPath, c.priorities)
	get(people, prioritiesPath+".csv", c.prioritiesCSV)
	get(people, priorityPath+":id", c.priority)
	get(people, priorityPath+":id/versions.csv", c.priorityVersionsCSV)
	people.POST(prioritiesPath, c.least(access.RoleEditor), c.postPriority)
	people.POST(priorityPath+":id/hold", c.least(access.RoleApprover), c.postPriorityHold)
}

func priorityURL(id string) string { return priorityPath + url.PathEscape(id) }

// wishDone are what the pages of priorities say after a change, by the word in their URL.
var wishDone = map[string]string{"submit": "Submitted: it waits for review now.", "withdraw": "Withdrawn: it is a draft again.", "draft": "Saved as a draft.", "pause": "Paused: it raises nothing from the next call on.",
	"resume": "Resumed: it raises again from the next call on.", "retire": "Retired: only a newer version, approved, raises again."}

// wishLine is a priority in a table.
type wishLine struct {
	ID, Name, Href, Edit string
	State                stateView
	Raises, By           string
	Owner, Why, Dates    string
	Prices               []string // in the experiments that are known; none: not known
	Waiting              int
	Breaches             []string

	body juncture.Priority
	cost []juncture.PriorityEffect
}

// wishesPart is a table of priorities.
type wishesPart struct {
	Lines []wishLine
	More  int
	All   string // where there are more; empty: here
	CSV   string
	Write string // where one is written; empty: not by who asks
}

type wishForm struct{ ID, Action, Products, Category, Weight, Why, Owner, Starts, Expires string }

// prioritiesPage lists priorities, and has the form that writes one.
type prioritiesPage struct {
	layout
	Lead    string
	Wishes  wishesPart
	Waiting int
	Queue   string
	Form    *wishForm // nil: who asks may not write
	Actions []option
	Problem string
	Field   string
	Done    string
}

// priorityPage is one priority.
type priorityPage struct {
	layout
	ID, Name, Lead     string
	CSV                string // of all versions
	State              stateView
	Back               string
	Hold               *juncture.Hold
	Next               []verbButton
	Facts              []fieldDiff
	Breaches           []string
	Lines              []versionLine
	Preview            *wishPreview
	Previewed          int  // version
	Same               bool // it is in force: now and then are one
	Shopper            string
	MayEdit, MayDecide bool
	Edit               string
	Done               string
}

// wishPreview is what a version does, beside now.
type wishPreview struct {
	Whose   string
	Slots   []slotsLine
	Effects []effectLine
	Unknown bool // no experiment that runs tells
}

type slotsLine struct {
	Title     string
	Now, Then []slotLine
}

type slotLine struct {
	Title  string
	Raised bool // by this priority
}

type effectLine struct{ Experiment, Without, Chance, Price, Covered string }

var priorityFields = []fieldOf{{"action", "Raises the action"}, {"products", "Raises products"}, {"category", "Raises the category"}, {"weight", "Weight"}, {"why", "Why"}, {"owner", "Owner"}, {"starts", "Starts (UTC)"}, {"expires", "Expires (UTC)"}}

func priorityOf(live int, versions []juncture.VersionView) (out juncture.Priority) {
	_ = json.Unmarshal(approvedBody(live, versions), &out) // what was written as JSON
	return out
}

// raises says what a priority raises.
func raises(p juncture.Priority) string {
	if p.Action != "" {
		return "the action " + clip(experiments.Title(p.Action), longestText)
	}
	var parts []string
	if p.Category != "" {
		parts = append(parts, "category "+clip(p.Category, longestText))
	}
	if n := len(p.Products); n > 0 {
		what := plural(n, "product", "products") + ": " + strings.Join(p.Products[:min(n, 5)], ", ")
		if n > 5 {
			what += ", …"
		}
		parts = append(parts, clip(what, 300))
	}
	return strings.Join(parts, "; ")
}

// raisesBy says by how much: a product's score up to by half, an action's weight up to twice.
func raisesBy(p juncture.Priority) string {
	if p.Action != "" {
		return "weight × " + strconv.FormatFloat(p.Nudge().Factor, 'f', 2, 64)
	}
	return "score × " + strconv.FormatFloat(1+p.Weight/2, 'f', 2, 64)
}

// priceWords says what a priority of an action costs in 1,000 decisions of an experiment's policy.
func priceWords(e juncture.PriorityEffect) string {
	v := 1000 * math.Abs(e.Cost)
	amount := strconv.FormatFloat(v, 'f', map[bool]int{true: 1, false: 2}[v >= 10], 64)
	switch {
	case v < 0.005:
		return "nothing"
	case len(e.Unit) == 3 && strings.ToUpper(e.Unit) == e.Unit:
		amount = experiments.Money(v, e.Unit)
	case e.Unit == "":
		amount += " points"
	default:
		amount += " " + strings.ToLower(experiments.Title(e.Unit))
	}
	if e.Cost < 0 {
		return "brings " + amount
	}
	return amount
}

func (c *Console) wishes(ctx context.Context) (out []wishLine, waiting int, _ error) {
	all, err := c.deps.Pool.Priorities(ctx)
	if err != nil {
		return nil, 0, err
	}
	costs := map[string][]juncture.PriorityEffect{}
	if slices.ContainsFunc(all, func(p juncture.PoolPriority) bool {
		return p.State == juncture.PoolLive && priorityOf(p.Live, p.Versions).Action != ""
	}) {
		if costs, err = c.deps.Pool.PriorityEffects(ctx); err != nil {
			return nil, 0, err
		}
	}
	for _, p := range all {
		body := priorityOf(p.Live, p.Versions)
		l := wishLine{ID: p.ID, Name: experiments.Title(p.ID), Href: priorityURL(p.ID), State: poolState(p.State), Raises: raises(body), By: raisesBy(body), Owner: clip(body.Owner, longestText), Why: clip(body.Why, sentenceLimit),
			Dates: datesOf(juncture.Terms{Starts: body.Starts, Expires: &body.Expires}), Waiting: p.Waiting, Breaches: p.Breaches, body: body, cost: costs[p.ID]}
		for _, e := range l.cost {
			l.Prices = append(l.Prices, clip(experiments.Title(e.Experiment), longestText)+": "+priceWords(e))
		}
		waiting += p.Waiting
		out = append(out, l)
	}
	// What raises now stands first, then what is on its way, then what is past.
	rank := map[string]int{}
	for i, s := range []juncture.PoolState{juncture.PoolLive, juncture.PoolScheduled, juncture.PoolInReview, juncture.PoolDraft, juncture.PoolPaused, juncture.PoolRejected, juncture.PoolExpired, juncture.PoolRetired} {
		rank[poolState(s).Title] = i
	}
	slices.SortStableFunc(out, func(a, b wishLine) int { return cmp.Compare(rank[a.State.Title], rank[b.State.Title]) })
	return out, waiting, nil
}

// part is a table of the first lines.
func (c *Console) wishesPart(g *gin.Context, lines []wishLine, most int) wishesPart {
	p := wishesPart{Lines: lines, CSV: prioritiesPath + ".csv"}
	if len(lines) > most {
		p.Lines, p.More, p.All = lines[:most], len(lines)-most, prioritiesPath
	}
	if may(g, access.RoleEditor) {
		p.Write = prioritiesPath + "#write"
	}
	return p
}

func (c *Console) priorities(g *gin.Context) {
	form := wishForm{Weight: "0.5"}
	if id := g.Query("edit"); id != "" {
		p, err := c.findPriority(g, id)
		if err != nil {
			c.fail(g, err)
			return
		}
		var newest juncture.Priority // a draft among them
		_ = json.Unmarshal(p.Versions[0].Body, &newest)
		form = formOf(newest)
	}
	c.renderPriorities(g, http.StatusOK, form, "", "")
}

func formOf(p juncture.Priority) wishForm {
	f := wishForm{ID: p.ID, Action: p.Action, Products: strings.Join(p.Products, "\n"), Category: p.Category, Weight: strconv.FormatFloat(p.Weight, 'g', -1, 64), Why: p.Why, Owner: p.Owner,
		Expires: p.Expires.UTC().Format(formTime)}
	if p.Starts != nil {
		f.Starts = p.Starts.UTC().Format(formTime)
	}
	return f
}

func (c *Console) renderPriorities(g *gin.Context, status int, form wishForm, field, problem string) {
	ctx := g.Request.Context()
	store, err := c.deps.Source.Store(ctx)
	var lines []wishLine
	var waiting int
	var all []juncture.PoolAction
	if err == nil {
		lines, waiting, err = c.wishes(ctx)
	}
	if err == nil {
		all, err = c.deps.Pool.Actions(ctx)
	}
	if err != nil {
		c.fail(g, err)
		return
	}
	p := &prioritiesPage{Lead: wishesLead(lines), Wishes: c.wishesPart(g, lines, listLimit), Waiting: waiting, Queue: reviewsPath, Problem: problem, Field: field, Done: wishDone[g.Query("done")]}
	if p.Wishes.All = ""; may(g, access.RoleEditor) {
		p.Form, p.Actions = &form, []option{{"", "None: products or a category", form.Action == ""}}
		for _, a := range all {
			p.Actions = append(p.Actions, option{a.ID, experiments.Title(a.ID), form.Action == a.ID})
		}
	}
	p.layout = c.layoutFor(g, "Priorities", store)
	c.render(g, status, "priorities", p)
}

func wishesLead(lines []wishLine) string {
	live := 0
	for _, l := range lines {
		if l.State == poolState(juncture.PoolLive) {
			live++
		}
	}
	if len(lines) == 0 {
		return "Nothing is shown more than its evidence says: no priority has been written yet."
	}
	return fmt.Sprintf("%s in force, of %s that were written. What they raise is shown more, within a bound, until it ends.", plural(live, "priority is", "priorities are"), experiments.Count(int64(len(lines))))
}

func (c *Console) prioritiesCSV(g *gin.Context) {
	lines, _, err := c.wishes(g.Request.Context())
	if err != nil {
		c.fail(g, err)
		return
	}
	t := newTable("priority", "state", "action", "products", "category", "weight", "owner", "why", "starts", "expires", "waiting", "experiments", "cost_per_decision", "unit")
	for _, l := range lines {
		starts := ""
		if l.body.Starts != nil {
			starts = l.body.Starts.UTC().Format(time.RFC3339)
		}
		var in, cost, unit []string
		for _, e := range l.cost {
			in, cost, unit = append(in, e.Experiment), append(cost, number(e.Cost)), append(unit, e.Unit)
		}
		t.row(valid([]string{l.ID, l.State.Title, l.body.Action, strings.Join(l.body.Products, "; "), l.body.Category, number(l.body.Weight), l.body.Owner, l.body.Why, starts, l.body.Expires.UTC().Format(time.RFC3339), whole(int64(l.Waiting)),
			strings.Join(in, "; "), strings.Join(cost, "; "), strings.Join(unit, "; ")})...)
	}
	t.send(g, "priorities")
}

func (c *Console) findPriority(g *gin.Context, id string) (juncture.PoolPriority, error) {
	all, err := c.deps.Pool.Priorities(g.Request.Context())
	if err != nil {
		return juncture.PoolPriority{}, err
	}
	if i := slices.IndexFunc(all, func(p juncture.PoolPriority) bool { return p.ID == id }); i >= 0 {
		return all[i], nil
	}
	return juncture.PoolPriority{}, juncture.Errorf(juncture.CodeNotFound, "No priority is called %.80q.", id).WithHint("The page Priorities lists those that there are.")
}

func (c *Console) priority(g *gin.Context) {
	ctx := g.Request.Context()
	store, err := c.deps.Source.Store(ctx)
	var found juncture.PoolPriority
	if err == nil {
		found, err = c.findPriority(g, g.Param("id"))
	}
	if err != nil {
		c.fail(g, err)
		return
	}
	p := &priorityPage{ID: found.ID, Name: experiments.Title(found.ID), State: poolState(found.State), Back: prioritiesPath, Hold: found.Hold, Breaches: found.Breaches, Shopper: g.Query("shopper"),
		MayEdit: may(g, access.RoleEditor), MayDecide: may(g, access.RoleApprover), Edit: prioritiesPath + "?" + url.Values{"edit": {found.ID}}.Encode() + "#write", Done: wishDone[g.Query("done")], CSV: priorityURL(found.ID) + "/versions.csv"}
	if !sayable(p.Shopper) {
		p.Shopper = ""
	}
	for _, v := range found.Next {
		p.Next = append(p.Next, verbButton{string(v), experiments.Title(string(v))})
	}
	body := priorityOf(found.Live, found.Versions)
	p.Lead = priorityLead(found.State, body)
	p.Facts = diffFields(nil, approvedBody(found.Live, found.Versions), priorityFields, nil)
	p.Lines = versionLines(juncture.VersionRef{Priority: found.ID}, found.Versions, found.Live, priorityFields, nil, func(int) (none [2]int64) { return none })
	previewed := body
	p.Previewed, p.Same = found.Live, found.State == juncture.PoolLive
	if found.Waiting > 0 || found.Live == 0 {
		p.Previewed, p.Same = found.Versions[0].Number, false
		_ = json.Unmarshal(found.Versions[0].Body, &previewed)
	}
	if p.Preview, err = c.wishPreview(ctx, p.Shopper, previewed); err != nil {
		c.fail(g, err)
		return
	}
	p.layout = c.layoutFor(g, p.Name, store)
	c.render(g, http.StatusOK, "priority", p)
}

// priorityVersionsCSV is every version of a priority.
func (c *Console) priorityVersionsCSV(g *gin.Context) {
	found, err := c.findPriority(g, g.Param("id"))
	if err != nil {
		c.fail(g, err)
		return
	}
	t := newVersionsTable()
	for _, l := range versionLines(juncture.VersionRef{Priority: found.ID}, found.Versions, found.Live, priorityFields, nil, func(int) (none [2]int64) { return none }) {
		t.version(l)
	}
	t.send(g, found.ID+"-versions")
}

func priorityLead(s juncture.PoolState, p juncture.Priority) string {
	return map[juncture.PoolState]string{juncture.PoolDraft: "It is a draft: it raises nothing.", juncture.PoolInReview: "It waits for review: it raises nothing yet.", juncture.PoolRejected: "It was rejected: it raises nothing.",
		juncture.PoolScheduled: "It is approved and begins later.", juncture.PoolExpired: "It is over: it raises nothing any more.", juncture.PoolPaused: "It is paused: it raises nothing.",
		juncture.PoolRetired: "It is retired: only a newer version, approved, raises again.", juncture.PoolLive: "It raises " + strings.TrimSuffix(raises(p), ", …") + "."}[s]
}

// wishPreview tells what a version of a priority does for a shopper.
func (c *Console) wishPreview(ctx context.Context, shopper string, p juncture.Priority) (*wishPreview, error) {
	v, err := c.deps.Pool.PreviewPriority(ctx, shopper, p)
	if err != nil {
		return nil, err
	}
	out := &wishPreview{Whose: "somebody of whom nothing is known", Unknown: p.Action != "" && len(v.Effects) == 0}
	if shopper != "" {
		out.Whose = clip(shopper, 80)
	}
	lines := func(products []juncture.ProductView) (out []slotLine) {
		for _, x := range products {
			out = append(out, slotLine{clip(or(x.Title, x.ID), longestText), x.Priority == p.ID})
		}
		return out
	}
	for _, s := range v.Slots {
		out.Slots = append(out.Slots, slotsLine{clip(or(experiments.Title(s.Action), "any slots"), longestText), lines(s.Now), lines(s.Then)})
	}
	for _, e := range v.Effects {
		l := effectLine{Experiment: clip(experiments.Title(e.Experiment), longestText), Without: experiments.Percent(e.Without), Chance: experiments.Percent(e.Chance), Price: priceWords(e)}
		if e.Covered < 0.995 {
			l.Covered = experiments.Percent(e.Covered)
		}
		out.Effects = append(out.Effects, l)
	}
	return out, nil
}

// priorityCard is what waits of a priority.
func (c *Console) priorityCard(g *gin.Context, item juncture.ReviewItem, card reviewCard, shopper string) (reviewCard, error) {
	card.Key, card.Title, card.Href = fmt.Sprintf("priority.%s-%d", item.Priority, item.Number), "Priority "+experiments.Title(item.Priority), priorityURL(item.Priority)
	var before json.RawMessage
	if item.Live != nil {
		before = item.Live.Body
	}
	card.Fields, card.Prior = diffFields(before, item.Body, priorityFields, nil), ""
	var p juncture.Priority
	if err := json.Unmarshal(item.Body, &p); err != nil {
		return card, err
	}
	var err error
	card.Wish, err = c.wishPreview(g.Request.Context(), shopper, p)
	return card, err
}

func (c *Console) postPriority(g *gin.Context) {
	form, ok := c.readFormOf(g, maxCopyForm)
	if !ok {
		return
	}
	said := wishForm{}
	for field, to := range map[string]*string{"id": &said.ID, "action": &said.Action, "products": &said.Products, "category": &said.Category, "weight": &said.Weight, "why": &said.Why, "owner": &said.Owner, "starts": &said.Starts, "expires": &said.Expires} {
		*to = strings.TrimSpace(form.Get(field))
	}
	draft := juncture.PriorityDraft{Submit: form.Get("verb") == string(juncture.VerbSubmit), Priority: juncture.Priority{ID: said.ID, Owner: said.Owner, Why: said.Why, Action: said.Action, Category: said.Category}}
	if list := entries(said.Products); len(list) > 0 {
		draft.Products = list
	}
	field, problem := said.read(&draft.Priority)
	if problem == "" {
		err := c.deps.Pool.WritePriority(g.Request.Context(), actor(g), draft)
		if err == nil {
			done := "draft"
			if draft.Submit {
				done = "submit"
			}
			g.Redirect(http.StatusSeeOther, priorityURL(draft.ID)+"?done="+done)
			return
		}
		e, is := errors.AsType[*juncture.Error](err)
		if !is || e.Code != juncture.CodeInvalidRequest && e.Code != juncture.CodeUnprocessable {
			c.fail(g, err)
			return
		}
		field, problem = e.Field, e.Message
		c.renderPriorities(g, e.Code.Status(), said, field, sentence(problem))
		return
	}
	c.renderPriorities(g, http.StatusBadRequest, said, field, sentence(problem))
}

// read takes the numbers and times of a form; a problem is of a field.
func (f wishForm) read(p *juncture.Priority) (field, problem string) {
	var err error
	if p.Weight, err = strconv.ParseFloat(f.Weight, 64); err != nil || math.IsNaN(p.Weight) {
		return "weight", fmt.Sprintf("%.40q is no number", f.Weight)
	}
	if f.Starts != "" {
		at, err := time.Parse(formTime, f.Starts)
		if err != nil {
			return "starts", fmt.Sprintf("%.40q is no time: write it as 2027-01-31T09:00, in UTC", f.Starts)
		}
		p.Starts = &at
	}
	if p.Expires, err = time.Parse(formTime, f.Expires); err != nil {
		return "expires", fmt.Sprintf("%.40q is no time: write it as 2027-01-31T09:00, in UTC", f.Expires)
	}
	return "", ""
}

func (c *Console) postPriorityHold(g *gin.Context) {
	form, ok := c.readForm(g)
	if !ok {
		return
	}
	verb := juncture.Verb(form.Get("verb"))
	if err := c.deps.Pool.HoldPriority(g.Request.Context(), actor(g), g.Param("id"), verb, juncture.ReasonRequest{Reason: form.Get("reason")}); err != nil {
		c.fail(g, err)
		return
	}
	g.Redirect(http.StatusSeeOther, priorityURL(g.Param("id"))+"?done="+url.QueryEscape(string(verb)))
}

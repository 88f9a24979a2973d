package console

import (
	"cmp"
	"context"
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

// PoolReader is what the pages of the pool show.
type PoolReader interface {
	Actions(ctx context.Context) ([]juncture.PoolAction, error)
	Reviews(ctx context.Context) ([]juncture.ReviewItem, error)
	Switches(ctx context.Context) ([]juncture.SwitchView, error)
	// ShownTo is what an action would show a shopper in its slots; an empty id is nobody.
	ShownTo(ctx context.Context, shopper string, a juncture.Action) ([]juncture.ProductView, []juncture.EditorialView, error)
}

// PoolDesk changes the pool. Changes are audited behind it, under the actor that they name ("user:ada"); errors are those of
// the plans of package pool.
type PoolDesk interface {
	Review(ctx context.Context, actor string, verb juncture.Verb, r juncture.ReviewRequest) error
	HoldAction(ctx context.Context, actor, action, copy string, verb juncture.Verb, r juncture.ReasonRequest) (warnings []string, err error)
	Switch(ctx context.Context, actor, kind, id string, verb juncture.Verb, r juncture.ReasonRequest) (warnings []string, err error)
	SetTerms(ctx context.Context, actor, action string, r juncture.TermsRequest) error
	WriteCopy(ctx context.Context, actor, action string, r juncture.CopyDraft) error
}

// Pool is both.
type Pool interface {
	PoolReader
	PoolDesk
}

const (
	poolPath    = "/console/pool"
	reviewsPath = "/console/reviews"
	actionPath  = "/console/pool/"
)

// maxCopyForm bounds a posted form with copy, in bytes: its text may be 30,000, written as %XX.
const maxCopyForm = 128 << 10

func (c *Console) mountPool(people gin.IRoutes, get func(gin.IRoutes, string, ...gin.HandlerFunc)) {
	get(people, poolPath, c.pool)
	get(people, poolPath+".csv", c.poolCSV)
	get(people, reviewsPath, c.reviews)
	get(people, actionPath+":id", c.action)
	people.POST(reviewsPath, c.least(access.RoleEditor), c.postReviews)
	people.POST(actionPath+":id/copy", c.least(access.RoleEditor), c.postCopy)
	people.POST(actionPath+":id/hold", c.least(access.RoleApprover), c.postHold)
	people.POST(actionPath+":id/terms", c.least(access.RoleApprover), c.postTerms)
	people.POST(poolPath+"-switch", c.least(access.RoleApprover), c.postSwitch)
}

func actionURL(id string) string { return actionPath + url.PathEscape(id) }

// poolStates are the states in words, with the class of their badge.
func poolState(s juncture.PoolState) stateView {
	class := "thin"
	switch s {
	case juncture.PoolLive:
		class = "winner"
	case juncture.PoolInReview, juncture.PoolPaused, juncture.PoolScheduled:
		class = "leaning"
	case juncture.PoolKilled, juncture.PoolRejected:
		class = "denied"
	}
	return stateView{experiments.Title(string(s)), class}
}

type stateView struct{ Title, Class string }

// poolPage is everything that there is to say.
type poolPage struct {
	layout
	Lead     string
	Query    poolQuery
	Selects  []choice
	Lines    []poolLine
	Says     string // which decisions are counted
	More     int
	CSV      string
	Waiting  int
	Queue    string
	Switches []switchLine
	Killable []option // surfaces, and the store
	MayKill  bool
	Done     string
	Any      bool
}

type poolLine struct {
	ID, Name, Href       string
	State                stateView
	Headline, Type, At   string
	Owner, Dates         string
	Copies, Waiting      int
	Trials, Successes    int64
	Breaches             []string
	Starts, Expires, Why string
}

type switchLine struct {
	Kind, ID, What, Reason, By string
	At                         time.Time
}

// poolQuery is what the page is asked, as it stands in the URL.
type poolQuery struct{ Text, State, Surface string }

func readPoolQuery(v url.Values) poolQuery {
	return poolQuery{strings.TrimSpace(v.Get("q")), v.Get("state"), v.Get("surface")}
}

func (q poolQuery) url(path string) string {
	v := url.Values{}
	for name, value := range map[string]string{"q": q.Text, "state": q.State, "surface": q.Surface} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if len(v) == 0 {
		return path
	}
	return path + "?" + v.Encode()
}

// approvedBody is the approved version's content, else the newest's.
func approvedBody(live int, versions []juncture.VersionView) json.RawMessage {
	for _, v := range versions {
		if v.Number == live {
			return v.Body
		}
	}
	if len(versions) > 0 {
		return versions[0].Body
	}
	return nil
}

func actionOf(a juncture.PoolAction) (out juncture.Action) {
	_ = json.Unmarshal(approvedBody(a.Live, a.Versions), &out) // what was written as JSON; nothing: an action without a version
	return out
}

func copyOf(w juncture.PoolCopy) (out juncture.Copy) {
	_ = json.Unmarshal(approvedBody(w.Live, w.Versions), &out)
	return out
}

// mostEvidence bounds the experiments whose evidence a page adds up: each of 10,000 intersections takes some 100 ms.
const mostEvidence = 2

// armEvidence is trials and successes by arm, and of which experiments.
type armEvidence struct {
	byArm map[juncture.Arm][2]int64
	of    []string // their names
	left  int      // experiments that were left out
}

// says names the experiments.
func (e armEvidence) says() string {
	switch {
	case len(e.of) == 0:
		return "No experiment has begun yet, so no decision is counted."
	case e.left > 0:
		return fmt.Sprintf("Decisions are those of %s; %s more left out here.", strings.Join(e.of, " and "), plural(e.left, "experiment is", "experiments are"))
	}
	return fmt.Sprintf("Decisions are those of %s, all versions together.", strings.Join(e.of, " and "))
}

// evidenceByArm adds up the experiments that have started at the surfaces (none: at any), running ones first.
func (c *Console) evidenceByArm(ctx context.Context, store StoreView, surfaces []string) (armEvidence, error) {
	out := armEvidence{byArm: map[juncture.Arm][2]int64{}}
	list := slices.Clone(store.Experiments)
	slices.SortStableFunc(list, func(a, b juncture.Experiment) int {
		first := func(x juncture.Experiment) int { return map[bool]int{false: 1}[x.Status == juncture.StatusRunning] }
		return first(a) - first(b)
	})
	for _, x := range list {
		if x.Status == juncture.StatusDraft || len(surfaces) > 0 && !slices.Contains(surfaces, x.Surface) {
			continue
		}
		if len(out.of) == mostEvidence {
			out.left++
			continue
		}
		out.of = append(out.of, experiments.Title(x.ID))
		ev, err := c.deps.Source.Evidence(ctx, x.ID)
		if err != nil {
			return out, err
		}
		for _, cell := range ev.Cells {
			for _, r := range cell.Rows {
				info, ok := ev.Arms[r.Arm]
				if !ok {
					continue
				}
				n := out.byArm[info.Arm]
				switch r.Event {
				case "":
					n[0] += r.Trials
				case x.Goal.Main():
					n[1] += r.Successes
				}
				out.byArm[info.Arm] = n
			}
		}
	}
	return out, nil
}

func (c *Console) poolLines(g *gin.Context, store StoreView, all []juncture.PoolAction, q poolQuery) (out []poolLine, says string, _ error) {
	evidence, err := c.evidenceByArm(g.Request.Context(), store, nil)
	if err != nil {
		return nil, "", err
	}
	for _, a := range all {
		content := actionOf(a)
		l := poolLine{ID: a.ID, Name: experiments.Title(a.ID), Href: actionURL(a.ID), State: poolState(a.State), Type: experiments.Title(content.Type),
			Owner: clip(a.Owner, longestText), Copies: len(a.Copies), Waiting: a.Waiting, Breaches: a.Breaches}
		var at, text []string
		for _, s := range content.Surfaces {
			at = append(at, experiments.Title(s))
		}
		l.At = strings.Join(at, ", ")
		for _, w := range a.Copies {
			said := copyOf(w)
			text = append(text, w.ID, said.Headline, said.Body)
			if l.Headline == "" {
				l.Headline = clip(said.Headline, 120)
			}
		}
		if a.Starts != nil {
			l.Starts = a.Starts.UTC().Format(time.RFC3339)
		}
		if a.Expires != nil {
			l.Expires = a.Expires.UTC().Format(time.RFC3339)
		}
		l.Dates = datesOf(a.Terms)
		for arm, n := range evidence.byArm {
			if arm.Action == a.ID {
				l.Trials, l.Successes = l.Trials+n[0], l.Successes+n[1]
			}
		}
		words := strings.ToLower(strings.Join(append(text, a.ID, l.Name, a.Owner, content.Type), " "))
		if q.State != "" && string(a.State) != q.State || q.Surface != "" && !slices.Contains(content.Surfaces, q.Surface) || !strings.Contains(words, strings.ToLower(q.Text)) {
			continue
		}
		out = append(out, l)
	}
	return out, evidence.says(), nil
}

func datesOf(t juncture.Terms) string {
	day := func(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04") }
	switch {
	case t.Starts != nil && t.Expires != nil:
		return day(*t.Starts) + " to " + day(*t.Expires)
	case t.Starts != nil:
		return "from " + day(*t.Starts)
	case t.Expires != nil:
		return "until " + day(*t.Expires)
	}
	return ""
}

func (c *Console) pool(g *gin.Context) {
	ctx := g.Request.Context()
	store, err := c.deps.Source.Store(ctx)
	var all []juncture.PoolAction
	var on []juncture.SwitchView
	if err == nil {
		all, err = c.deps.Pool.Actions(ctx)
	}
	if err == nil {
		on, err = c.deps.Pool.Switches(ctx)
	}
	p := &poolPage{Query: readPoolQuery(g.Request.URL.Query()), Queue: reviewsPath, MayKill: may(g, access.RoleApprover), Any: len(all) > 0}
	if err == nil {
		p.Lines, p.Says, err = c.poolLines(g, store, all, p.Query)
	}
	if err != nil {
		c.fail(g, err)
		return
	}
	live := 0
	states := []option{{"", "Any state", p.Query.State == ""}}
	for _, a := range all {
		p.Waiting += a.Waiting
		if a.State == juncture.PoolLive {
			live++
		}
	}
	for _, s := range juncture.PoolStates() {
		states = append(states, option{string(s), experiments.Title(string(s)), p.Query.State == string(s)})
	}
	surfaces := []option{{"", "Any surface", p.Query.Surface == ""}}
	for _, s := range store.Surfaces {
		surfaces = append(surfaces, option{s.ID, experiments.Title(s.ID), p.Query.Surface == s.ID})
		p.Killable = append(p.Killable, option{"surface " + s.ID, experiments.Title(s.ID), false})
	}
	p.Killable = append(p.Killable, option{juncture.KillStore, "The whole store", false})
	p.Selects = []choice{{"state", "State", states}, {"surface", "Surface", surfaces}}
	p.Lead = fmt.Sprintf("%s of %s may be shown now%s.", plural(live, "action", "actions"), experiments.Count(int64(len(all))),
		map[bool]string{true: "; " + plural(p.Waiting, "version waits", "versions wait") + " for review", false: ", and nothing waits for review"}[p.Waiting > 0])
	for _, s := range on {
		l := switchLine{Kind: s.Kind, ID: s.ID, What: "The whole store", Reason: s.Reason, By: s.By, At: s.At}
		if s.ID != "" {
			l.What = experiments.Title(s.Kind) + " " + experiments.Title(s.ID)
		}
		p.Switches = append(p.Switches, l)
	}
	if len(p.Lines) > listLimit {
		p.Lines, p.More = p.Lines[:listLimit], len(p.Lines)-listLimit
	}
	p.CSV, p.Done = p.Query.url(poolPath+".csv"), doneWords[g.Query("done")]
	p.layout = c.layoutFor(g, "Pool", store)
	c.render(g, http.StatusOK, "pool", p)
}

func (c *Console) poolCSV(g *gin.Context) {
	store, err := c.deps.Source.Store(g.Request.Context())
	var lines []poolLine
	if err == nil {
		var all []juncture.PoolAction
		if all, err = c.deps.Pool.Actions(g.Request.Context()); err == nil {
			lines, _, err = c.poolLines(g, store, all, readPoolQuery(g.Request.URL.Query()))
		}
	}
	if err != nil {
		c.fail(g, err)
		return
	}
	t := newTable("action", "state", "type", "surfaces", "headline", "owner", "starts", "expires", "copies", "waiting", "decisions", "successes")
	for _, l := range lines {
		t.row(l.ID, l.State.Title, l.Type, l.At, l.Headline, l.Owner, l.Starts, l.Expires, whole(int64(l.Copies)), whole(int64(l.Waiting)), whole(l.Trials), whole(l.Successes))
	}
	t.send(g, "pool")
}

// doneWords are what a page says after a change, by the word in its URL.
var doneWords = map[string]string{"approve": "Approved: it is offered from the next call on.", "reject": "Rejected. Its author sees the comment.", "submit": "Submitted: it waits for review now.",
	"withdraw": "Withdrawn: it is a draft again.", "draft": "Saved as a draft.", "pause": "Paused: nobody is shown it from the next call on.", "resume": "Resumed: it is offered again.",
	"retire": "Retired: only a newer version, approved, is shown again.", "kill": "Killed: nothing of it is shown from the next call on.", "restore": "Restored: it is shown as before.", "terms": "Saved. What was learnt stays."}

func (c *Console) postSwitch(g *gin.Context) {
	form, ok := c.readForm(g)
	if !ok {
		return
	}
	kind, id, _ := strings.Cut(form.Get("what"), " ")
	verb := juncture.Verb(form.Get("verb"))
	if !slices.Contains(juncture.KillVerbs(), verb) {
		c.fail(g, juncture.Errorf(juncture.CodeInvalidRequest, "There is no such switch."))
		return
	}
	if _, err := c.deps.Pool.Switch(g.Request.Context(), actor(g), kind, id, verb, juncture.ReasonRequest{Reason: form.Get("reason")}); err != nil {
		c.fail(g, err)
		return
	}
	to := poolPath
	if kind == "action" && form.Get("back") == "action" {
		to = actionURL(id)
	}
	g.Redirect(http.StatusSeeOther, to+"?done="+string(verb))
}

// reviewsPage is what waits, each beside what is shown now.
type reviewsPage struct {
	layout
	Lead      string
	Cards     []reviewCard
	More      int
	Shopper   string
	May       bool // approve and reject
	MayDraw   bool // withdraw
	Done, Own string
}

type reviewCard struct {
	Key, Value, Title, Href string
	Number, Before          int
	Author                  string
	Created                 time.Time
	Own                     bool
	Fields                  []fieldDiff
	Previews                []preview
	Breaches                []string
	Prior                   string
}

// fieldDiff is one field of a version beside what is approved.
type fieldDiff struct {
	Name, Before, After string
	Changed             bool
}

// mostCards bounds the versions of one page.
const mostCards = 30

func (c *Console) reviews(g *gin.Context) {
	ctx := g.Request.Context()
	store, err := c.deps.Source.Store(ctx)
	var queue []juncture.ReviewItem
	var all []juncture.PoolAction
	if err == nil {
		queue, err = c.deps.Pool.Reviews(ctx)
	}
	if err == nil {
		all, err = c.deps.Pool.Actions(ctx)
	}
	p := &reviewsPage{Shopper: g.Query("shopper"), May: may(g, access.RoleApprover), MayDraw: may(g, access.RoleEditor), Done: doneWords[g.Query("done")]}
	if !sayable(p.Shopper) {
		p.Shopper = ""
	}
	for i := range queue {
		if err != nil || i == mostCards {
			p.More = len(queue) - i
			break
		}
		var card reviewCard
		if card, err = c.reviewCard(g, store, queue[i], all, p.Shopper); err == nil {
			p.Cards = append(p.Cards, card)
		}
	}
	if err != nil {
		c.fail(g, err)
		return
	}
	p.Lead = "Nothing waits for review: everything that may be shown was looked at."
	if n := len(queue); n > 0 {
		p.Lead = fmt.Sprintf("%s for review. Nothing of it is shown to anybody before it is approved.", plural(n, "version waits", "versions wait"))
	}
	p.layout = c.layoutFor(g, "Review", store)
	c.render(g, http.StatusOK, "reviews", p)
}

func (c *Console) reviewCard(g *gin.Context, store StoreView, item juncture.ReviewItem, all []juncture.PoolAction, shopper string) (reviewCard, error) {
	ref, err := json.Marshal(item.VersionRef)
	if err != nil {
		return reviewCard{}, err
	}
	card := reviewCard{Key: fmt.Sprintf("%s-%s-%d", item.Action, item.Copy, item.Number), Value: string(ref), Title: "Action " + experiments.Title(item.Action), Href: actionURL(item.Action),
		Number: item.Number, Author: item.Author, Created: item.Created, Own: item.Author == actor(g), Breaches: item.Breaches}
	var before json.RawMessage
	if item.Live != nil {
		before, card.Before = item.Live.Body, item.Live.Number
		card.Prior = priorWords(item.Live.Number, item.Number)
	}
	i := slices.IndexFunc(all, func(a juncture.PoolAction) bool { return a.ID == item.Action })
	var action juncture.Action
	var said []juncture.Copy
	if i >= 0 {
		action = actionOf(all[i])
	}
	if item.Copy != "" {
		card.Title = "Copy “" + experiments.Title(item.Copy) + "” of " + experiments.Title(item.Action)
		var w juncture.Copy
		if err := json.Unmarshal(item.Body, &w); err != nil {
			return card, err
		}
		said = append(said, w)
		card.Fields = diffFields(before, item.Body, copyFields)
	} else {
		action = juncture.Action{}
		if err := json.Unmarshal(item.Body, &action); err != nil {
			return card, err
		}
		if i >= 0 && len(all[i].Copies) > 0 {
			said = append(said, copyOf(all[i].Copies[0]))
		}
		card.Fields = diffFields(before, item.Body, actionFields)
	}
	for _, w := range said {
		if card.Previews, err = c.previews(g.Request.Context(), store, action, w, shopper); err != nil {
			return card, err
		}
	}
	return card, nil
}

// priorWords says where a new version begins (docs/statistics.md B.5).
func priorWords(before, number int) string {
	return fmt.Sprintf("Version %d starts its own evidence. Until it has some, what version %d learnt stands in for it, at the weight of at most 500 decisions; the two are never added up.", number, before)
}

type fieldOf struct{ key, name string }

var (
	copyFields   = []fieldOf{{"headline", "Headline"}, {"body", "Text"}, {"cta", "Button"}, {"voice", "Written for"}}
	actionFields = []fieldOf{{"surfaces", "Surfaces"}, {"type", "Type"}, {"payload", "Payload"}, {"rule", "Rule"}, {"slots", "Product slots"}, {"products", "Products first"}, {"from", "Filled from"}, {"editorial", "Pieces"}}
)

// diffFields compares two contents field by field; fields that neither has are left out.
func diffFields(before, after json.RawMessage, fields []fieldOf) (out []fieldDiff) {
	read := func(b json.RawMessage) map[string]json.RawMessage {
		m := map[string]json.RawMessage{}
		_ = json.Unmarshal(b, &m) // nothing: there was no version before
		return m
	}
	was, is := read(before), read(after)
	for _, f := range fields {
		d := fieldDiff{Name: f.name, Before: fieldText(was[f.key]), After: fieldText(is[f.key])}
		if d.Changed = string(was[f.key]) != string(is[f.key]); d.Before != "" || d.After != "" {
			out = append(out, d)
		}
	}
	return out
}

// fieldText writes a field's JSON for people.
func fieldText(b json.RawMessage) string {
	if len(b) == 0 {
		return ""
	}
	var s string
	if json.Unmarshal(b, &s) == nil {
		return clip(s, 2000)
	}
	var list []string
	if json.Unmarshal(b, &list) == nil {
		return clip(strings.Join(list, ", "), 2000)
	}
	return clip(string(b), 2000)
}

// mostShown bounds a text of a preview, in characters; the diff beside it has more.
const mostShown = 600

// preview is how a channel shows it.
type preview struct {
	Kind                string // the template's: banner, module, popup, mail, text, push
	Title, Surface      string
	Headline, Body, CTA string
	Products            []juncture.ProductView
	Pieces              []juncture.EditorialView
	Text, Length        string // of a text message
	Whose               string // products: of whom
}

func (c *Console) previews(ctx context.Context, store StoreView, a juncture.Action, w juncture.Copy, shopper string) ([]preview, error) {
	base := preview{Headline: clip(w.Headline, mostShown), Body: clip(w.Body, mostShown), CTA: clip(w.CTA, 100)}
	if a.Slots > 0 || a.Editorial > 0 {
		var err error
		if base.Products, base.Pieces, err = c.deps.Pool.ShownTo(ctx, shopper, a); err != nil {
			return nil, err
		}
		base.Whose = "for somebody of whom nothing is known"
		if shopper != "" {
			base.Whose = "for " + clip(shopper, 80)
		}
	}
	var out []preview
	seen := map[string]bool{}
	add := func(kind, title, surface string) {
		if !seen[kind] {
			p := base
			p.Kind, p.Title, p.Surface, seen[kind] = kind, title, experiments.Title(surface), true
			if kind == "text" || kind == "push" { // they have no room for products
				p.Products, p.Pieces, p.Whose = nil, nil, ""
			}
			if kind == "text" {
				p.Text = strings.Join(slices.DeleteFunc([]string{w.Headline, w.Body, w.CTA}, func(s string) bool { return s == "" }), " ")
				places, segments, wide := smsLength(p.Text)
				p.Length = fmt.Sprintf("%d characters, %s", places, plural(segments, "segment", "segments"))
				if wide {
					p.Length += " (a character outside the GSM set halves what fits)"
				}
				p.Text = clip(p.Text, mostShown)
			}
			out = append(out, p)
		}
	}
	for _, id := range a.Surfaces {
		i := slices.IndexFunc(store.Surfaces, func(s juncture.Surface) bool { return s.ID == id })
		if i < 0 {
			continue
		}
		switch store.Surfaces[i].Channel {
		case "email":
			add("mail", "E-mail", id)
		case "sms":
			add("text", "Text message", id)
		case "push":
			add("push", "Push", id)
		case "app":
			add("push", "App", id)
		default:
			add("banner", "On-site banner", id)
			add("module", "Product-page module", id)
			add("popup", "Popup", id)
		}
	}
	return out, nil
}

func (c *Console) postReviews(g *gin.Context) {
	form, ok := c.readFormOf(g, maxCopyForm)
	if !ok {
		return
	}
	verb := juncture.Verb(form.Get("verb"))
	switch verb {
	case juncture.VerbSubmit, juncture.VerbWithdraw: // any editor
	case juncture.VerbApprove, juncture.VerbReject:
		if c.least(access.RoleApprover)(g); g.IsAborted() {
			return
		}
	default:
		c.fail(g, juncture.Errorf(juncture.CodeInvalidRequest, "%.40q is nothing that a review can do.", verb))
		return
	}
	r := juncture.ReviewRequest{Reason: form.Get("reason")}
	for _, item := range form["item"] {
		var ref juncture.VersionRef
		if err := json.Unmarshal([]byte(item), &ref); err != nil {
			c.fail(g, juncture.Errorf(juncture.CodeInvalidRequest, "The form could not be read: %w", err))
			return
		}
		r.Items = append(r.Items, ref)
	}
	if len(r.Items) == 0 {
		c.fail(g, juncture.Errorf(juncture.CodeInvalidRequest, "Nothing was chosen, so nothing was done.").WithHint("Tick the versions that it is about."))
		return
	}
	if err := c.deps.Pool.Review(g.Request.Context(), actor(g), verb, r); err != nil {
		c.fail(g, err)
		return
	}
	to := reviewsPath
	if form.Get("back") == "action" {
		to = actionURL(r.Items[0].Action)
	}
	g.Redirect(http.StatusSeeOther, to+"?done="+string(verb))
}

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

package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
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
	WriteAction(ctx context.Context, actor string, r juncture.ActionDraft) error
}

// Pool is both, with priorities.
type Pool interface {
	PoolReader
	PoolDesk
	Priorities
}

const (
	poolPath    = "/console/pool"
	reviewsPath = "/console/reviews"
	actionPath  = "/console/pool/"
)

// maxCopyForm bounds a posted form that writes drafts, in bytes: its five long texts may be 10,000 each, written as %XX.
const maxCopyForm = 256 << 10

func (c *Console) mountPool(people gin.IRoutes, get func(gin.IRoutes, string, ...gin.HandlerFunc)) {
	get(people, poolPath, c.pool)
	get(people, poolPath+".csv", c.poolCSV)
	get(people, reviewsPath, c.reviews)
	get(people, actionPath+":id", c.action)
	get(people, actionPath+":id/versions.csv", c.versionsCSV)
	c.mountPriorities(people, get)
	c.mountDrafts(people, get)
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
	New      string // leads to the form of a new action; empty: not for who asks
	Done     string
	Any      bool
	Wishes   wishesPart
}

type poolLine struct {
	ID, Name, Href       string
	State                stateView
	Headline, Type, At   string
	Owner, Dates         string
	Copies, Waiting      int
	Trials, Successes    int64
	Breaches, Warnings   []string
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
	asOf  []time.Time
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

// sum adds up the decisions and successes of arms.
func (e armEvidence) sum(match func(juncture.Arm) bool) (n [2]int64) {
	for arm, x := range e.byArm {
		if match(arm) {
			n[0], n[1] = n[0]+x[0], n[1]+x[1]
		}
	}
	return n
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
		out.asOf = append(out.asOf, ev.AsOf)
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

func (c *Console) poolLines(g *gin.Context, store StoreView, all []juncture.PoolAction, q poolQuery) (out []poolLine, _ armEvidence, _ error) {
	evidence, err := c.evidenceByArm(g.Request.Context(), store, nil)
	if err != nil {
		return nil, evidence, err
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
		for _, w := range a.Warnings {
			l.Warnings = append(l.Warnings, sentence(w))
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
	return out, evidence, nil
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
	var evidence armEvidence
	if err == nil {
		p.Lines, evidence, err = c.poolLines(g, store, all, p.Query)
		p.Says = evidence.says()
	}
	if err != nil {
		c.fail(g, err)
		return
	}
	wishes, wait, err := c.wishes(ctx)
	if err != nil {
		c.fail(g, err)
		return
	}
	p.Waiting, p.Wishes = wait, c.wishesPart(g, wishes, wishesOfPool)
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
	if may(g, access.RoleEditor) {
		p.New = newActionPath
		if p.Query.Surface != "" {
			p.New += "?" + url.Values{"surface": {p.Query.Surface}}.Encode()
		}
	}
	p.Selects = []choice{{"state", "State", states}, {"surface", "Surface", surfaces}}
	p.Lead = fmt.Sprintf("%s of %s may be shown now%s.", plural(live, "action", "actions"), experiments.Count(int64(len(all))),
		map[bool]string{true: "; " + plural(p.Waiting, "version waits", "versions wait") + " for review", false: ", and nothing waits for review"}[p.Waiting > 0])
	for _, s := range on {
		p.Switches = append(p.Switches, switchLine{Kind: s.Kind, ID: s.ID, What: switched(s), Reason: s.Reason, By: s.By, At: s.At})
	}
	if len(p.Lines) > listLimit {
		p.Lines, p.More = p.Lines[:listLimit], len(p.Lines)-listLimit
	}
	p.CSV, p.Done = p.Query.url(poolPath+".csv"), doneWords[g.Query("done")]
	p.layout = c.layoutFor(g, "Pool", store)
	p.layout.asOf(c, evidence.asOf...)
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
	"retire": "Retired: only a newer version, approved, is shown again.", "kill": "Killed: nothing of it is shown from the next call on.", "restore": "Restored: it is shown as before.", "terms": "Saved. What was learnt stays.",
	"same": "Nothing was changed: a version says exactly this already."}

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

// switched names what a kill switch stops.
func switched(s juncture.SwitchView) string {
	if s.ID == "" {
		return "The whole store"
	}
	return experiments.Title(s.Kind) + " " + experiments.Title(s.ID)
}

// waitsLimit bounds what the overview lists of each kind that waits in the pool, whose page has all.
const waitsLimit = 5

// expiresSoon is how long before its end a surface's default waits for somebody.
const expiresSoon = 7 * 24 * time.Hour

// poolWaits lists what somebody should look at in the pool: what is stopped, defaults that are held back, what is to be reviewed.
func (c *Console) poolWaits(ctx context.Context) (out []waitLine, err error) {
	on, err := c.deps.Pool.Switches(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range on[:min(len(on), waitsLimit)] {
		out = append(out, waitLine{badge{"denied", "Stopped"}, clip(switched(s), longestText), poolPath, sentence("stopped by a kill switch: " + s.Reason)})
	}
	actions, err := c.deps.Pool.Actions(ctx)
	if err != nil {
		return nil, err
	}
	var held []waitLine
	for _, a := range actions {
		if soon := a.Expires != nil && a.Expires.Before(c.deps.Now().Add(expiresSoon)); a.State == juncture.PoolLive && !soon {
			continue // it ends some day
		}
		for _, w := range a.Warnings {
			held = append(held, waitLine{badge{"leaning", "Default"}, clip(experiments.Title(a.ID), longestText), actionURL(a.ID), sentence(w)})
		}
	}
	out = append(out, held[:min(len(held), waitsLimit)]...)
	reviews, err := c.deps.Pool.Reviews(ctx)
	if err != nil {
		return nil, err
	}
	if len(reviews) > 0 {
		out = append(out, waitLine{badge{"thin", "Review"}, plural(len(reviews), "version", "versions"), reviewsPath,
			map[bool]string{true: "waits", false: "wait"}[len(reviews) == 1] + " for review: nothing of it is shown before somebody has approved it."})
	}
	return out, nil
}

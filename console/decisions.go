package console

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/experiments"
)

// DecisionLog is the log of decisions. The errors are CodeDecisionNotFound, and CodeInvalidRequest for what cannot be asked.
type DecisionLog interface {
	// Find reads a decision id, or a serial.
	Find(ctx context.Context, id string) (serial uint64, err error)
	Decisions(ctx context.Context, q juncture.DecisionQuery) (juncture.DecisionPage, error)
	Explain(ctx context.Context, serial uint64) (*juncture.ExplainedDecision, error)
	// Replay makes the decision again from the log.
	Replay(ctx context.Context, serial uint64) (*juncture.ReplayView, error)
}

const (
	decisionsPath = "/console/decisions"
	decisionPath  = "/console/decision"

	logLimit    = 50
	logCSVLimit = 10_000 // decisions of an export; the command exports them all
	logCSVLooks = 50     // at juncture.DecisionLook decisions of the log each
)

func (c *Console) mountDecisions(get func(path string, h ...gin.HandlerFunc)) {
	if c.deps.Decisions == nil {
		return
	}
	get(decisionsPath, c.decisions)
	get(decisionsPath+".csv", c.decisionsCSV)
	get(decisionPath, c.decision)
	get(decisionPath+".csv", c.decisionCSV)
	if c.deps.Live != nil {
		get(livePath, c.live)
	}
}

// logQuery is what the log is asked, as it stands in the URL.
type logQuery struct{ url.Values }

// logFields are what the log can be asked by, beside the page.
var logFields = [...]string{"experiment", "surface", "group", "action", "reason", "detail", "shopper", "from", "to"}

func (q logQuery) href(path string, page ...string) string {
	v := url.Values{}
	for _, f := range logFields {
		if s := q.Get(f); s != "" {
			v.Set(f, s)
		}
	}
	for i := 0; i+1 < len(page); i += 2 {
		v.Set(page[i], page[i+1])
	}
	if len(v) == 0 {
		return path
	}
	return path + "?" + v.Encode()
}

// read makes the question of the URL.
func (q logQuery) read() (out juncture.DecisionQuery, err error) {
	out = juncture.DecisionQuery{Experiment: q.Get("experiment"), Surface: q.Get("surface"), Action: q.Get("action"), Reason: juncture.Reason(q.Get("reason")),
		Detail: juncture.Detail(q.Get("detail")), Shopper: strings.TrimSpace(q.Get("shopper")), Limit: logLimit}
	bad := func(format string, args ...any) error {
		return juncture.Errorf(juncture.CodeInvalidRequest, format, args...).WithHint("Correct the address, or choose on the page of decisions.")
	}
	if v := q.Get("group"); v != "" {
		out.Group = new(juncture.Group)
		if out.Group.UnmarshalText([]byte(v)) != nil {
			return out, bad("No group is called %.40q.", v)
		}
	}
	if v := q.Get("before"); v != "" {
		var ok bool
		if out.Before, ok = juncture.ParseSerial(v); !ok {
			return out, bad("%.40q is not the number of a decision.", v)
		}
	}
	for name, to := range map[string]*time.Time{"from": &out.From, "to": &out.To} {
		if v := q.Get(name); v != "" {
			if *to, err = readTime(v); err != nil {
				return out, bad("%.40q is not a time such as 2026-11-20 or 2026-11-20T08:30.", v)
			}
		}
	}
	return out, nil
}

// readTime reads what a form or a link has: a day, or a time with or without a zone, UTC.
func readTime(s string) (t time.Time, err error) {
	for _, f := range []string{time.DateOnly, "2006-01-02T15:04", "2006-01-02T15:04:05", time.RFC3339Nano} {
		if t, err = time.Parse(f, s); err == nil {
			return t.UTC(), nil
		}
	}
	return t, err
}

type decisionsPage struct {
	layout
	Sentence string
	Selects  []choice
	Shopper  string
	Action   string
	From, To string // as a form takes them
	Filtered bool
	Clear    string
	Lines    []logLine
	Older    string // empty: there are none
	Looked   string // how far was looked, where that was not to the end
	Latest   string // empty: this is the first page
	CSV      string
}

type logLine struct {
	juncture.LoggedDecision
	GroupName string
	Action    string
	Copy      string
	Drawn     string // in shadow
	Chance    string
	Said      string
	Who       string // empty: nobody
	WhoHref   string
	Href      string
	Name      string // of the experiment
}

func viewLogged(d juncture.LoggedDecision) logLine {
	l := logLine{LoggedDecision: d, GroupName: cmp.Or(groupName(d.Group), "–"), Chance: experiments.Percent(d.Probability), Said: whySaid(DecisionView{Group: d.Group, Reason: d.Reason, Detail: d.Detail}),
		Who: clip(d.ShopperID, 40), Href: decisionURL(d.Serial), Name: experiments.Title(d.Experiment)}
	l.Action, l.Copy = armWords(d.Arm)
	if d.Shadow != "" {
		l.Drawn, _ = armWords(d.Shadow)
	}
	if l.Who != "" {
		l.WhoHref = shopperURL("", d.ShopperID, showAll)
	}
	return l
}

func decisionURL(serial string) string {
	return decisionPath + "?" + url.Values{"id": {serial}}.Encode()
}

// armWords are the action and the copy of an arm's name.
func armWords(s string) (action, copy string) {
	a, err := juncture.ParseArm(s)
	if err != nil {
		return clip(s, 60), ""
	}
	if a == (juncture.Arm{}) {
		return "Nothing", ""
	}
	return experiments.Title(a.Action), a.Copy
}

func (c *Console) decisions(g *gin.Context) {
	q := logQuery{g.Request.URL.Query()}
	asked, err := q.read()
	var store StoreView
	var page juncture.DecisionPage
	if err == nil {
		store, err = c.deps.Source.Store(g.Request.Context())
	}
	if err == nil {
		page, err = c.deps.Decisions.Decisions(g.Request.Context(), asked)
	}
	if err != nil {
		c.fail(g, err)
		return
	}
	p := &decisionsPage{layout: c.layoutFor(g, "Decisions", store), Shopper: clip(q.Get("shopper"), longestID), Action: clip(q.Get("action"), longestText),
		From: q.Get("from"), To: q.Get("to"), CSV: q.href(decisionsPath + ".csv"), Clear: decisionsPath}
	for _, f := range logFields {
		p.Filtered = p.Filtered || q.Get(f) != ""
	}
	p.Selects = logSelects(store, q)
	for _, d := range page.Items {
		p.Lines = append(p.Lines, viewLogged(d))
	}
	if page.Next != "" {
		p.Older = q.href(decisionsPath, "before", page.Next)
	}
	if asked.Before != 0 {
		p.Latest = q.href(decisionsPath)
	} else {
		newest := ""
		if len(page.Items) > 0 {
			newest = page.Items[0].Serial
		}
		p.watch(c, newest, 2*time.Second)
	}
	p.Sentence = logSentence(page, p.Filtered, asked.Before != 0)
	if page.Looked > 0 {
		p.Looked = fmt.Sprintf("Only the %s %s were looked through.", map[bool]string{true: "next older", false: "latest"}[asked.Before != 0], plural(page.Looked, "decision", "decisions"))
	}
	c.render(g, http.StatusOK, "decisions", p)
}

// logSentence says what the page shows.
func logSentence(page juncture.DecisionPage, filtered, older bool) string {
	n := len(page.Items)
	if n == 0 {
		if page.Looked > 0 {
			return "None of the decisions that were looked through is like that."
		}
		if filtered {
			return "No decision of the log is like that."
		}
		return "No decision has been made yet."
	}
	trials := 0
	for _, d := range page.Items {
		if d.Active {
			trials++
		}
	}
	which := "The latest " + plural(n, "decision", "decisions")
	if older {
		which = plural(n, "earlier decision", "earlier decisions")
	}
	return fmt.Sprintf("%s, from %s to %s; %d of them count as trials.", which, page.Items[n-1].At.UTC().Format("2 Jan 15:04:05"), page.Items[0].At.UTC().Format("2 Jan 15:04:05 UTC"), trials)
}

func logSelects(s StoreView, q logQuery) []choice {
	pick := func(name, title string, values, titles []string) choice {
		asked, known := q.Get(name), false
		ch := choice{Name: name, Title: title, Options: []option{{"", "All", asked == ""}}}
		for i, v := range values {
			ch.Options = append(ch.Options, option{v, titles[i], v == asked})
			known = known || v == asked
		}
		if asked != "" && !known {
			ch.Options = append(ch.Options, option{clip(asked, longestText), clip(asked, longestText), true})
		}
		return ch
	}
	var ids, names, surfaces, places, groups, called []string
	for _, e := range s.Experiments {
		ids, names = append(ids, e.ID), append(names, experiments.Title(e.ID))
	}
	for _, x := range s.Surfaces {
		surfaces, places = append(surfaces, x.ID), append(places, experiments.Title(x.ID))
	}
	for g := juncture.GroupPolicy; g <= juncture.GroupShadow; g++ {
		groups, called = append(groups, g.String()), append(called, groupName(g))
	}
	reasons := []juncture.Reason{juncture.ReasonSplit, juncture.ReasonTargeting, juncture.ReasonStatic, juncture.ReasonDefault, juncture.ReasonDisabled, juncture.ReasonError}
	var codes, said []string
	for _, r := range reasons {
		codes, said = append(codes, string(r)), append(said, whySaid(DecisionView{Reason: r}))
	}
	return []choice{pick("experiment", "Experiment", ids, names), pick("surface", "Surface", surfaces, places), pick("group", "Group", groups, called), pick("reason", "Why", codes, said)}
}

var logHead = []string{"serial", "decision_id", "at", "surface", "experiment", "group", "reason", "detail", "shopper", "intersection", "arm", "shadow", "probability", "policy_version", "trial"}

func (c *Console) decisionsCSV(g *gin.Context) {
	asked, err := logQuery{g.Request.URL.Query()}.read()
	if err != nil {
		c.fail(g, err)
		return
	}
	t := newTable(logHead...)
	asked.Limit = juncture.MaxDecisions - 1
	for n, looks := 0, 0; n < logCSVLimit && looks < logCSVLooks; looks++ {
		page, err := c.deps.Decisions.Decisions(g.Request.Context(), asked)
		if err != nil {
			c.fail(g, err)
			return
		}
		for _, d := range page.Items[:min(len(page.Items), logCSVLimit-n)] {
			t.row(d.Serial, d.DecisionID, d.At.UTC().Format(time.RFC3339Nano), d.Surface, d.Experiment, d.Group.String(), string(d.Reason), string(d.Detail), d.ShopperID,
				d.Intersection, d.Arm, d.Shadow, strconv.FormatFloat(d.Probability, 'g', -1, 64), d.PolicyVersion, strconv.FormatBool(d.Active))
		}
		n += len(page.Items)
		if page.Next == "" {
			break
		}
		asked.Before, _ = juncture.ParseSerial(page.Next) // the log's own
	}
	t.send(g, "decisions")
}

type decisionPageView struct {
	layout
	CSV        string // of what could be shown
	X          *juncture.ExplainedDecision
	Line       logLine
	Heading    string
	Sentence   string
	Phrase     string
	Cell       string // of the intersection; empty: no experiment
	Layers     []explainedLine
	Candidates []candidateLine
	Filtered   []juncture.FilteredArm
	Outcomes   []OutcomeView
	Said       []string // what else is to be known
	Replay     *juncture.ReplayView
	Parts      []replayLine
	ReplayHref string
	Back       string
	Uniform    string
}

type explainedLine struct {
	juncture.ExplainedLayer
	Title, Name string
}

type candidateLine struct {
	juncture.Candidate
	Name        string
	Href        string // of the action's page; empty: none is offered
	Chance      string
	PolicyText  string
	Recomputed  string // to the last digit; empty: not asked
	Same        bool
	Own, Borrow string
	Why         string
}

type replayLine struct{ Title, Verdict, Badge, Why string }

// decision explains one decision: by its id, or the latest made for a shopper by a time.
func (c *Console) decision(g *gin.Context) {
	ctx := g.Request.Context()
	serial, err := c.whichDecision(g)
	var x *juncture.ExplainedDecision
	var store StoreView
	if err == nil {
		x, err = c.deps.Decisions.Explain(ctx, serial)
	}
	if err == nil {
		store, err = c.deps.Source.Store(ctx)
	}
	p := &decisionPageView{X: x, Back: decisionsPath}
	if err == nil && g.Query("replay") == "1" {
		p.Replay, err = c.deps.Decisions.Replay(ctx, serial)
	}
	if err != nil {
		if juncture.ErrorCode(err) == juncture.CodeDecisionNotFound {
			err = juncture.Errorf(juncture.CodeNotFound, "There is no such decision.").WithHint("Send its id exactly as /choose gave it, or look for it on the page of decisions.")
		}
		c.fail(g, err)
		return
	}
	p.fill(c.names(ctx))
	if c.deps.Pool != nil {
		for i := range p.Candidates {
			p.Candidates[i].Href = actionURL(p.Candidates[i].Action)
		}
	}
	p.CSV = decisionPath + ".csv?" + url.Values{"id": {x.Serial}}.Encode()
	p.layout = c.layoutFor(g, "Why this action", store)
	c.render(g, http.StatusOK, "decision", p)
}

// decisionCSV is what could be shown and what was filtered out, with the probabilities as they were logged.
func (c *Console) decisionCSV(g *gin.Context) {
	serial, err := c.whichDecision(g)
	var x *juncture.ExplainedDecision
	if err == nil {
		x, err = c.deps.Decisions.Explain(g.Request.Context(), serial)
	}
	if err != nil {
		c.fail(g, err)
		return
	}
	t := newTable("what", "action", "action version", "copy", "copy version", "headline", "probability", "the policy's", "shown", "drawn", "why", "rule")
	exact := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	for _, a := range x.Candidates {
		policy := ""
		if a.Policy != nil {
			policy = exact(*a.Policy)
		}
		t.row("candidate", a.Action, whole(int64(a.ActionVersion)), a.Copy, whole(int64(a.CopyVersion)), a.Headline, exact(a.Probability), policy, strconv.FormatBool(a.Shown), strconv.FormatBool(a.Drawn), "", "")
	}
	for _, a := range x.Filtered {
		t.row("filtered", a.Action, whole(int64(a.ActionVersion)), a.Copy, whole(int64(a.CopyVersion)), a.Headline, "", "", "", "", a.Why, a.Rule)
	}
	t.send(g, "decision")
}

func (c *Console) whichDecision(g *gin.Context) (uint64, error) {
	if id := strings.TrimSpace(g.Query("id")); id != "" {
		return c.deps.Decisions.Find(g.Request.Context(), id)
	}
	shopper := strings.TrimSpace(g.Query("shopper"))
	if !sayable(shopper) {
		return 0, juncture.Errorf(juncture.CodeDecisionNotFound, "no decision is named")
	}
	q := juncture.DecisionQuery{Shopper: shopper, Limit: 1}
	if at := g.Query("at"); at != "" {
		t, err := readTime(at)
		if err != nil {
			return 0, juncture.Errorf(juncture.CodeInvalidRequest, "%.40q is not a time such as 2026-11-20T08:30.", at)
		}
		q.To = t.Add(time.Millisecond)
	}
	page, err := c.deps.Decisions.Decisions(g.Request.Context(), q)
	if err != nil {
		return 0, err
	}
	if len(page.Items) == 0 {
		return 0, juncture.Errorf(juncture.CodeDecisionNotFound, "nothing was decided for them by then")
	}
	serial, _ := juncture.ParseSerial(page.Items[0].Serial) // the log's own
	return serial, nil
}

// Told is what people read first of a decision.
type Told struct {
	Heading  string // the question
	Sentence string // its answer
	Phrase   string // who it was for; empty: the log's key is none
}

// Tell says what a decision was, as its page and juncture explain do.
func Tell(x *juncture.ExplainedDecision, names experiments.Names) Told {
	line := viewLogged(x.LoggedDecision)
	t := Told{Heading: "Why " + line.Action + " was shown", Sentence: decisionSentence(x, line)}
	if line.Action == "Nothing" {
		t.Heading = "Why nothing was shown"
	}
	if key, err := juncture.ParseIntersection(x.Intersection); err == nil {
		t.Phrase = upper(names.Phrase(key))
	}
	return t
}

func (p *decisionPageView) fill(names experiments.Names) {
	x := p.X
	p.Line = viewLogged(x.LoggedDecision)
	told := Tell(x, names)
	p.Heading, p.Sentence, p.Phrase = told.Heading, told.Sentence, told.Phrase
	if x.Experiment != "" && p.Phrase != "" {
		p.Cell = intersectionURL(intersectionPath, x.Experiment, x.Intersection)
	}
	for _, l := range x.Layers {
		p.Layers = append(p.Layers, explainedLine{l, experiments.AxisTitle(l.Layer), names.Value(l.Layer, l.Value)})
	}
	for i, k := range x.Candidates {
		l := candidateLine{Candidate: k, Name: experiments.Title(k.Action), Chance: experiments.Percent(k.Probability)}
		if k.Policy != nil {
			l.PolicyText = experiments.Percent(*k.Policy)
		}
		if p.Replay != nil && i < len(p.Replay.Arms) {
			a := p.Replay.Arms[i]
			l.Why = names.Why(a.Sentence, a.Effects)
			l.Own, l.Borrow = number(a.Own), experiments.Count(int64(a.Borrowed+0.5))
			if a.Recomputed != nil {
				l.Recomputed, l.Same = strconv.FormatFloat(*a.Recomputed, 'g', -1, 64), *a.Recomputed == k.Probability
			}
		}
		p.Candidates = append(p.Candidates, l)
	}
	p.Filtered = x.Filtered
	for _, o := range x.Outcomes {
		p.Outcomes = append(p.Outcomes, OutcomeView{Event: o.Event, Value: o.Value, Currency: o.Currency, Credit: o.Credit, Status: o.Status})
	}
	for _, n := range x.Nudges {
		p.Said = append(p.Said, fmt.Sprintf("%s nudged %s by a factor of %s: %s.", n.Owner, experiments.Title(n.ActionID), number(n.Factor), cmp.Or(n.Why, "no reason given")))
	}
	if x.Uniform != nil {
		p.Uniform = strconv.FormatFloat(*x.Uniform, 'g', -1, 64)
	}
	p.ReplayHref = decisionPath + "?" + url.Values{"id": {x.Serial}, "replay": {"1"}}.Encode() + "#h-replay"
	if p.Replay != nil {
		titles := map[string]string{"terms": "Settings", "group": "Group", "probabilities": "Probabilities", "pick": "The pick"}
		for _, part := range p.Replay.Parts {
			p.Parts = append(p.Parts, replayLine{titles[part.Part], verdictWord[part.Verdict], verdictBadge[part.Verdict], part.Why})
		}
	}
}

var verdictWord = map[juncture.Verdict]string{juncture.VerdictMatch: "Matches", juncture.VerdictDiffers: "Differs", juncture.VerdictUnknown: "Unknown", juncture.VerdictNone: "Nothing drawn"}

var verdictBadge = map[juncture.Verdict]string{juncture.VerdictMatch: "winner", juncture.VerdictDiffers: "denied", juncture.VerdictUnknown: "leaning", juncture.VerdictNone: "thin"}

// decisionSentence answers the page's question.
func decisionSentence(x *juncture.ExplainedDecision, l logLine) string {
	among := len(x.Candidates)
	switch {
	case x.Shadow != "":
		return fmt.Sprintf("%s was drawn in shadow, with a chance of %s; the surface's default was shown.", l.Drawn, drawnChance(x))
	case x.Group == juncture.GroupHoldout:
		return "The shopper is in the holdout, which sees the page as it would be without Juncture."
	case x.Group == juncture.GroupBAU:
		return "The shopper is in the group business as usual, which gets the surface's default."
	case x.PolicyVersion == "":
		return "Nothing was drawn. " + l.Said + "."
	case among == 1:
		return "It was the only action that could be shown."
	case x.Group == juncture.GroupRandom:
		return fmt.Sprintf("The shopper is in the random group: each of %d had the same chance of %s.", among, l.Chance)
	}
	return fmt.Sprintf("The policy gave it a chance of %s among %d that could be shown.", l.Chance, among)
}

func drawnChance(x *juncture.ExplainedDecision) string {
	for _, k := range x.Candidates {
		if k.Drawn {
			return experiments.Percent(k.Probability)
		}
	}
	return "–"
}

// explainHref leads from a decision's id to why it is what it is; empty where that is not told, or the id is none.
func (c *Console) explainHref(id string) string {
	if c.deps.Decisions == nil || id == "" || strings.ContainsAny(id, " ()") || len(id) > longestID*2 {
		return ""
	}
	return decisionURL(id)
}

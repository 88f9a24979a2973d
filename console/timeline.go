package console

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/experiments"
)

// csvLimit bounds what the CSVs of a shopper hold of each kind; the export has more.
const csvLimit = 1000

// What of a timeline is shown, as it stands in the URL.
const (
	showAll       = ""
	showEvents    = "events"
	showMovements = "movements"
)

func readShow(s string) string {
	if s == showEvents || s == showMovements {
		return s
	}
	return showAll
}

// timelinePart is what a shopper did and how that moved them, newest first.
type timelinePart struct {
	Lines []timelineLine
	Show  []linkOption // empty: there are only events
	What  string       // is shown: "events"
	CSV   string
}

// timelineLine is an event, or a movement, which has a reason in place of products, category and value.
type timelineLine struct {
	At                               time.Time
	Words, Products, Category, Value string
	Movement                         bool
	Reason                           string
}

func shopperURL(path, id, show string) string {
	v := url.Values{"id": {id}}
	if show != showAll {
		v.Set("show", show)
	}
	return shopperPath + path + "?" + v.Encode()
}

// happened fetches what is to be shown of a shopper.
func (c *Console) happened(ctx context.Context, shopper, show string, limit int) (events []juncture.Event, moves []juncture.Movement, err error) {
	if show != showMovements || c.deps.Records == nil {
		if events, err = c.deps.Shoppers.Events(ctx, shopper, limit); err != nil {
			return nil, nil, err
		}
	}
	if show != showEvents && c.deps.Records != nil {
		moves, err = c.deps.Records.Movements(ctx, shopper, limit)
	}
	return events, moves, err
}

func viewTimeline(events []juncture.Event, moves []juncture.Movement, currency, show, id string, records bool) timelinePart {
	p := timelinePart{CSV: shopperURL("/timeline.csv", id, show), What: "events"}
	for i := range events {
		p.Lines = append(p.Lines, viewEvent(&events[i], currency))
	}
	for _, m := range moves {
		p.Lines = append(p.Lines, viewMovement(m))
	}
	// A movement follows the event that made it, so at one time it is the later.
	slices.SortStableFunc(p.Lines, func(a, b timelineLine) int {
		if d := b.At.Compare(a.At); d != 0 || a.Movement == b.Movement {
			return d
		}
		if a.Movement {
			return -1
		}
		return 1
	})
	if !records {
		return p
	}
	p.What = map[string]string{showAll: "events and movements", showEvents: "events", showMovements: "movements"}[show]
	for _, o := range []struct{ show, title string }{{showAll, "Everything"}, {showEvents, "Events"}, {showMovements, "Movements"}} {
		p.Show = append(p.Show, linkOption{o.title, shopperURL("", id, o.show) + "#h-events", o.show == show})
	}
	return p
}

// viewMovement says a movement as a person would: "Status: active to at-risk".
func viewMovement(m juncture.Movement) timelineLine {
	return timelineLine{At: m.At, Movement: true, Reason: upper(clip(m.Reason, 300)),
		Words: clip(experiments.AxisTitle(m.Axis), longestText) + ": " + lower(mixTitle(m.Axis, m.From, nil)) + " to " + lower(mixTitle(m.Axis, m.To, nil))}
}

func (c *Console) timelineCSV(g *gin.Context) {
	ctx := g.Request.Context()
	v, store, err := c.asksOf(g)
	if err != nil {
		c.fail(g, err)
		return
	}
	show := readShow(g.Query("show"))
	events, moves, err := c.happened(ctx, v.ShopperID, show, csvLimit)
	if err != nil {
		c.fail(g, err)
		return
	}
	p := viewTimeline(events, moves, or(v.Currency, store.Currency), show, v.CustomerID, c.deps.Records != nil)
	t := newTable("at", "kind", "what", "products", "category", "value", "reason")
	for _, l := range p.Lines {
		kind := "event"
		if l.Movement {
			kind = "movement"
		}
		t.row(l.At.UTC().Format(time.RFC3339), kind, l.Words, l.Products, l.Category, l.Value, l.Reason)
	}
	t.send(g, "timeline")
}

// asksOf is the shopper that the URL names.
func (c *Console) asksOf(g *gin.Context) (ShopperView, StoreView, error) {
	store, err := c.deps.Source.Store(g.Request.Context())
	if err != nil {
		return ShopperView{}, store, err
	}
	id := strings.TrimSpace(g.Query("id"))
	if !sayable(id) {
		return ShopperView{}, store, juncture.Errorf(juncture.CodeNotFound, "No shopper has such an id.")
	}
	v, err := c.deps.Shoppers.Shopper(g.Request.Context(), id)
	if juncture.ErrorCode(err) == juncture.CodeNotFound {
		err = juncture.Errorf(juncture.CodeNotFound, "Nothing was observed of %.80q.", id)
	}
	return v, store, err
}

func (c *Console) touchesCSV(g *gin.Context) {
	ctx := g.Request.Context()
	store, err := c.deps.Source.Store(ctx)
	id := strings.TrimSpace(g.Query("id"))
	if err == nil && !sayable(id) {
		err = juncture.Errorf(juncture.CodeNotFound, "No shopper has such an id.")
	}
	if err != nil {
		c.fail(g, err)
		return
	}
	touches, err := c.deps.Shoppers.Touches(ctx, id, csvLimit)
	var lines []touchLine
	if err == nil {
		lines, err = c.touchLines(g, store, touches)
	}
	if err != nil {
		c.fail(g, err)
		return
	}
	t := newTable("at", "decision", "experiment", "intersection", "group", "arm", "headline", "probability", "reason", "detail", "outcomes")
	for i, l := range lines {
		row := []string{l.At.UTC().Format(time.RFC3339), l.ID, touches[i].Experiment, touches[i].Key, l.Group.String(), l.Arm, l.Headline, l.Exact,
			string(l.Reason), string(l.Detail), l.Outcomes}
		for k := range row {
			row[k] = strings.ToValidUTF8(row[k], "\uFFFD")
		}
		t.row(row...)
	}
	t.send(g, "decisions")
}

// whySaid is why a decision was what it was, in words.
func whySaid(d DecisionView) string {
	s := map[juncture.Reason]string{juncture.ReasonTargeting: "The only action that was eligible", juncture.ReasonStatic: "No experiment ran: the default",
		juncture.ReasonDefault: "The default", juncture.ReasonDisabled: "Outside the experiment", juncture.ReasonError: "Something failed: the default"}[d.Reason]
	if d.Reason == juncture.ReasonSplit {
		s = map[juncture.Group]string{juncture.GroupPolicy: "Drawn by the policy", juncture.GroupRandom: "Drawn by lot", juncture.GroupBAU: "Business as usual: the surface's default",
			juncture.GroupHoldout: "Held out: the page without Juncture", juncture.GroupShadow: "In shadow: the surface's default"}[d.Group]
		if s == "" {
			s = "Drawn by the group's rule"
		}
	}
	if s == "" {
		s = clip(string(d.Reason), longestText)
	}
	detail := map[juncture.Detail]string{juncture.DetailHoldout: "held out", juncture.DetailConsentDenied: "consent was denied", juncture.DetailBot: "a bot asked",
		juncture.DetailCap: "a cap was reached", juncture.DetailLowDataQuality: "the request said too little", juncture.DetailEmptyPool: "no action was eligible",
		juncture.DetailPreview: "a preview", juncture.DetailReplay: "the answer to a repeated request", juncture.DetailSticky: "kept from earlier in the visit",
		juncture.DetailShadow: "in shadow", juncture.DetailBreaker: "a guard tripped"}[d.Detail]
	switch {
	case d.Reason == juncture.ReasonSplit && (d.Detail == juncture.DetailHoldout || d.Detail == juncture.DetailShadow):
	case detail == "" && d.Detail != "":
		s += " (" + clip(string(d.Detail), longestText) + ")"
	case detail != "":
		s += ", " + detail
	}
	return s
}

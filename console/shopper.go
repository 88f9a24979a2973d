package console

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/experiments"
)

// How much the page of a shopper shows.
const (
	eventsLimit  = 50
	longestID    = 512 // bytes
	longestText  = 120 // runes of a text that shoppers' browsers send
	productsShow = 3   // of an event
)

type shopperPage struct {
	layout
	ID           string // as it was asked for; empty: none was
	Shopper      *shopperView
	Timeline     timelinePart
	Decisions    []touchLine
	DecisionsCSV string
	Consent      *consentView // nil: not offered, or nothing is known of them
	Rights       *rightsPart  // nil: not offered, or nothing is known of them
}

// shopperView is a shopper in words.
type shopperView struct {
	ID         string // first seen
	Said       string // who they are, to be read after the id
	Tiles      []tile
	Layers     []shopperLayer
	Segment    string
	Href       string // the segment's page; empty: no experiment runs
	Experiment string
	Next       []nextLine
	Categories []string
	FirstSeen  time.Time
	AsOf       time.Time
	Consent    string
}

type tile struct {
	Title, Text, Note string
	Words             bool // set smaller
}

type shopperLayer struct {
	ID, Title, Value, Reason string
	Confidence               float64
	Sure                     string
}

type nextLine struct {
	Surface, Action, Chance string
	Probability             float64
}

type touchLine struct {
	decisionLine
	Experiment string
	Href       string
	Key        string // of the intersection
	Why        string
	Arm        string // action@version/copy@version
	Drawn      string // the same of what shadow drew; empty: nothing
	Exact      string // the probability in full
}

func (c *Console) shopper(g *gin.Context) {
	ctx := g.Request.Context()
	store, err := c.deps.Source.Store(ctx)
	if err != nil {
		c.fail(g, err)
		return
	}
	asked := strings.TrimSpace(g.Query("id"))
	p := &shopperPage{layout: c.layoutFor(g, "Shoppers", store), ID: clip(asked, longestID)}
	if sayable(asked) {
		if err := p.find(g, c, store, asked); err != nil {
			c.fail(g, err)
			return
		}
	}
	c.render(g, http.StatusOK, "shopper", p)
}

// sayable reports whether an id can be one at all; databases refuse others.
func sayable(id string) bool {
	return id != "" && len(id) <= longestID && utf8.ValidString(id) && !strings.ContainsRune(id, 0)
}

// find fills the page with what is known of a shopper; it stays as it is where that is nothing.
func (p *shopperPage) find(g *gin.Context, c *Console, store StoreView, id string) error {
	ctx := g.Request.Context()
	touches, err := c.deps.Shoppers.Touches(ctx, id, decisionsLimit)
	if err != nil {
		return err
	}
	if p.Decisions, err = c.touchLines(g, store, touches); err != nil {
		return err
	}
	p.DecisionsCSV = shopperURL("/decisions.csv", id, "")
	v, err := c.deps.Shoppers.Shopper(ctx, id)
	known := err == nil
	if err != nil && juncture.ErrorCode(err) != juncture.CodeNotFound {
		return err
	}
	if err := p.records(g, c, or(v.ShopperID, id), known); err != nil || !known {
		return err
	}
	p.Shopper = viewShopper(v, store, c.names(ctx))
	p.Title = clip(v.CustomerID, longestText)
	show := readShow(g.Query("show"))
	events, moves, err := c.happened(ctx, v.ShopperID, show, eventsLimit)
	if err != nil {
		return err
	}
	p.Timeline = viewTimeline(events, moves, or(v.Currency, store.Currency), show, id, c.deps.Records != nil)
	return nil
}

// touchLines names what was decided, experiment by experiment.
func (c *Console) touchLines(g *gin.Context, store StoreView, touches []TouchView) ([]touchLine, error) {
	type known struct {
		evidence experiments.Evidence
		actions  map[string]experiments.ActionInfo
	}
	of := map[string]known{}
	out := make([]touchLine, 0, len(touches))
	for _, t := range touches {
		k, ok := of[t.Experiment]
		here := slices.ContainsFunc(store.Experiments, func(e juncture.Experiment) bool { return e.ID == t.Experiment })
		if !ok && here {
			ev, err := c.deps.Source.Evidence(g.Request.Context(), t.Experiment)
			if err != nil {
				return nil, err
			}
			k = known{ev, experiments.Actions(ev)}
			of[t.Experiment] = k
		}
		l := touchLine{decisionLine: viewDecision(t.DecisionView, k.evidence, k.actions), Experiment: "–", Key: clip(t.Key, longestText*2),
			Why: whySaid(t.DecisionView), Arm: "none", Exact: strconv.FormatFloat(t.Probability, 'g', -1, 64)}
		l.Explain = c.explainHref(t.ID)
		named := func(id juncture.ArmID) string {
			if a, ok := k.evidence.Arms[id]; ok {
				return clip(a.Arm.String(), longestText*2)
			}
			return fmt.Sprintf("arm %d", id)
		}
		if t.Arm != 0 {
			l.Arm = named(t.Arm)
		}
		if t.Shadow != 0 {
			l.Drawn = named(t.Shadow)
		}
		if t.Experiment != "" {
			l.Experiment = experiments.Title(t.Experiment)
		}
		if here {
			l.Href = intersectionURL(intersectionPath, t.Experiment, t.Key)
		}
		out = append(out, l)
	}
	return out, nil
}

func viewShopper(v ShopperView, store StoreView, names experiments.Names) *shopperView {
	currency := or(v.Currency, store.Currency)
	out := &shopperView{ID: clip(v.CustomerID, longestText), Said: said(v, names), Segment: v.Segment, FirstSeen: v.FirstSeen, AsOf: v.AsOf, Consent: v.Consent}
	money := func(x float64) string { return experiments.Money(x, currency) }
	average, lastOrder, risk := "–", "never", "–"
	if v.PurchaseCount > 0 {
		average = money(v.AverageOrderValue)
	}
	if v.LastPurchase != nil {
		lastOrder = ago(v.AsOf.Sub(*v.LastPurchase))
	}
	if v.PredictedChurnRisk != nil {
		risk = experiments.Sure(*v.PredictedChurnRisk)
	}
	out.Tiles = []tile{{"Orders", experiments.Count(v.PurchaseCount), "", false}, {"Lifetime value", money(v.LifetimeValue), "", false},
		{"Average order", average, "", false}, {"Last order", lastOrder, "", true},
		{"Last seen", ago(v.AsOf.Sub(v.LastEngagement)), "", true}, {"Churn risk", risk, "no order in 90 days", false}}
	for _, l := range juncture.Layers() {
		view := v.Layers[l.String()]
		out.Layers = append(out.Layers, shopperLayer{ID: l.String(), Title: experiments.AxisTitle(l.String()), Value: clip(layerWords(l, view.Value, names), longestText),
			Reason: upper(clip(view.Reason, 400)), Confidence: view.Confidence, Sure: part(view.Confidence)})
	}
	for _, e := range store.Experiments {
		if e.Status == juncture.StatusRunning {
			out.Href, out.Experiment = intersectionURL(intersectionPath, e.ID, v.Segment), experiments.Title(e.ID)
			break
		}
	}
	for _, n := range v.NextBestActions {
		out.Next = append(out.Next, nextLine{experiments.Title(n.Surface), experiments.Title(n.ActionID), experiments.Sure(n.Probability), n.Probability})
	}
	for _, category := range v.ProductCategories {
		out.Categories = append(out.Categories, clip(category, longestText))
	}
	return out
}

var lifecycleSaid = map[string]string{"prospect": "prospect", "first-time": "first-time buyer", "returning": "returning buyer",
	"loyal": "loyal customer", juncture.Unknown: "shopper"}

// statusSaid turns a status and the beginning of its reason into the end of a sentence.
var statusSaid = map[string]struct{ reason, before, without string }{
	"cart-abandoned":     {"left a filled cart", " who ", " who left a filled cart"},
	"checkout-abandoned": {"left a checkout", " who ", " who left a checkout without ordering"},
	"freshly-converted":  {"ordered ", " who ", " who has just ordered"},
	"at-risk":            {"no order for ", " at risk, with ", " at risk"},
	"dormant":            {"no event for ", " gone quiet, with ", " gone quiet"},
	"browsing":           {"last seen ", ", ", ", browsing"},
}

var postureSaid = map[string]string{"hesitating-on-a-product-page": "hesitating on a product page", "falling-at-checkout": "turning away at the checkout"}

// said is who a shopper is, in one sentence that is read after their id.
func said(v ShopperView, names experiments.Names) string {
	x, err := juncture.ParseIntersection(v.Segment)
	if err != nil || !juncture.Known(x.Value(juncture.Moment)) && !juncture.Known(x.Value(juncture.Trajectory)) {
		return "a shopper of whom too little is known to say more."
	}
	lifecycle, status := x.Axis(juncture.Moment, 0), x.Axis(juncture.Moment, 1)
	s, ok := lifecycleSaid[lifecycle]
	clause, known := statusSaid[status]
	if !ok || !known && status != juncture.Unknown {
		return "one of the " + names.Phrase(x) + "." // the caller's own segments
	}
	if known {
		end := clause.without
		for reason := range strings.SplitSeq(v.Layers[juncture.Moment.String()].Reason, "; ") {
			if strings.HasPrefix(reason, clause.reason) {
				end = clause.before + strings.TrimSuffix(reason, ", nothing pending")
			}
		}
		s += end
	}
	switch latent, live := x.Axis(juncture.Trajectory, 0), x.Axis(juncture.Trajectory, 1); {
	case latent != juncture.Unknown && live != juncture.Unknown && live != "none":
		s += ", intent " + words(latent) + " and " + words(live) + " right now"
	case latent != juncture.Unknown:
		s += ", intent " + words(latent)
	}
	if posture := postureSaid[v.Posture]; posture != "" {
		s += ", " + posture
	}
	return s + "."
}

func words(id string) string { return strings.NewReplacer("-", " ", "_", " ").Replace(id) }

// layerWords is a layer's value for people.
func layerWords(l juncture.Layer, value string, names experiments.Names) string {
	if l == juncture.Trajectory && juncture.Known(value) {
		latent, live, two := strings.Cut(value, ".")
		if two && !strings.Contains(live, ".") {
			over, now := "Not known over weeks", "not known right now"
			if latent != juncture.Unknown {
				over = upper(words(latent)) + " over weeks"
			}
			switch live {
			case juncture.Unknown:
			case "none":
				now = "nothing right now"
			default:
				now = words(live) + " right now"
			}
			return over + ", " + now
		}
	}
	return names.Value(l.String(), value)
}

// eventSaid is what an event was, for people.
var eventSaid = map[juncture.EventKind]string{
	juncture.EventPageViewed: "Viewed a page", juncture.EventArticleViewed: "Read an article", juncture.EventProductsSearched: "Searched",
	juncture.EventListViewed: "Looked through a category", juncture.EventProductClicked: "Clicked a product", juncture.EventProductViewed: "Viewed a product",
	juncture.EventProductDetail: "Looked at a product's details", juncture.EventWishlisted: "Put on the wish list", juncture.EventProductAdded: "Added to the bag",
	juncture.EventProductRemoved: "Took out of the bag", juncture.EventCartViewed: "Viewed the bag", juncture.EventCheckoutStarted: "Started the checkout",
	juncture.EventCheckoutStep: "Went on in the checkout", juncture.EventOrderCompleted: "Ordered", juncture.EventOrderCancelled: "Cancelled an order",
	juncture.EventOrderRefunded: "Was refunded", juncture.EventCampaignEngaged: "Opened or clicked a campaign", juncture.EventIdentified: "Said who they are",
	juncture.EventReviewed: "Wrote a review", juncture.EventCartEmptied: "Emptied the bag",
}

func viewEvent(e *juncture.Event, currency string) timelineLine {
	l := timelineLine{At: e.At, Words: eventSaid[e.Kind], Category: clip(e.Category, longestText)}
	if l.Words == "" {
		l.Words = clip(or(e.Name, "Something else"), longestText)
	}
	if e.Query != "" {
		l.Words += " for “" + clip(e.Query, longestText) + "”"
	}
	if e.Order != "" {
		l.Words += " (" + clip(e.Order, 40) + ")"
	}
	var products []string
	var worth int64
	for i, line := range e.Lines {
		if worth += line.Price * int64(line.Quantity); i >= productsShow {
			continue
		}
		s := clip(line.Product, 48)
		if line.Quantity > 1 {
			s += " × " + strconv.Itoa(line.Quantity)
		}
		products = append(products, s)
	}
	if more := len(e.Lines) - productsShow; more > 0 {
		products = append(products, fmt.Sprintf("%d more", more))
	}
	l.Products = strings.Join(products, ", ")
	if e.Value != 0 {
		worth = e.Value
	}
	if worth != 0 {
		l.Value = experiments.Money(float64(worth)/pow10(juncture.MinorDigits(currency)), currency)
	}
	return l
}

// ago says how long since something was: "84 minutes ago".
func ago(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "just now"
	case d < 2*time.Hour:
		return plural(int(d/time.Minute), "minute", "minutes") + " ago"
	case d < 48*time.Hour:
		return plural(int(d/time.Hour), "hour", "hours") + " ago"
	}
	return plural(int(d/(24*time.Hour)), "day", "days") + " ago"
}

// within holds a share between 0 and 1; what is no number is 0.
func within(v float64) float64 {
	if v > 0 {
		return min(v, 1)
	}
	return 0
}

// part writes a share as whole per cent.
func part(v float64) string { return strconv.Itoa(int(100*within(v)+0.5)) + "%" }

// clip makes a text from elsewhere fit for a page: whole runes, at most so many.
func clip(s string, runes int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	for i := range s {
		if runes == 0 {
			return s[:i] + "…"
		}
		runes--
	}
	return s
}

func upper(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return string(unicode.ToUpper(r)) + s[n:]
}

func or(s, other string) string {
	if s != "" {
		return s
	}
	return other
}

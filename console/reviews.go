package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/access"
	"github.com/juncture/juncture/experiments"
)

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
	Wish                    *wishPreview // of a priority; nil: of an action or a copy
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
	if item.Priority != "" {
		return c.priorityCard(g, item, card, shopper)
	}
	i := slices.IndexFunc(all, func(a juncture.PoolAction) bool { return a.ID == item.Action })
	var action juncture.Action
	var said []juncture.Copy
	names := c.names(g.Request.Context())
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
		card.Fields = diffFields(before, item.Body, copyFields, names)
	} else {
		action = juncture.Action{}
		if err := json.Unmarshal(item.Body, &action); err != nil {
			return card, err
		}
		if i >= 0 && len(all[i].Copies) > 0 {
			said = append(said, copyOf(all[i].Copies[0]))
		}
		card.Fields = diffFields(before, item.Body, actionFields, names)
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
func diffFields(before, after json.RawMessage, fields []fieldOf, names experiments.Names) (out []fieldDiff) {
	read := func(b json.RawMessage) map[string]json.RawMessage {
		m := map[string]json.RawMessage{}
		_ = json.Unmarshal(b, &m) // nothing: there was no version before
		return m
	}
	was, is := read(before), read(after)
	for _, f := range fields {
		d := fieldDiff{Name: f.name, Before: fieldText(was[f.key]), After: fieldText(is[f.key])}
		if f.key == "voice" {
			d.Before, d.After = voiceText(was[f.key], names), voiceText(is[f.key], names)
		}
		if d.Changed = string(was[f.key]) != string(is[f.key]); d.Before != "" || d.After != "" {
			out = append(out, d)
		}
	}
	return out
}

// voiceText names whom a copy is written for.
func voiceText(b json.RawMessage, names experiments.Names) string {
	var voice []string
	_ = json.Unmarshal(b, &voice) // nothing: everybody
	return strings.Join(names.Voice(voice), ", ")
}

// fieldText writes a field's JSON for people.
func fieldText(b json.RawMessage) string {
	if len(b) == 0 {
		return ""
	}
	var s string
	if json.Unmarshal(b, &s) == nil {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	var list []string
	if json.Unmarshal(b, &list) == nil {
		return strings.ToValidUTF8(strings.Join(list, ", "), "\uFFFD")
	}
	return string(b)
}

// mostShown is how much of a text a preview shows at once, in characters; the rest is folded away below it.
const mostShown = 600

// folded is a text in two parts.
type folded struct{ Shown, Rest string }

// fold cuts a text after a word.
func fold(s string, runes int) folded {
	s = strings.ToValidUTF8(s, "\uFFFD")
	short := clip(s, runes)
	if short == s {
		return folded{Shown: s}
	}
	cut := len(strings.TrimSuffix(short, "…"))
	if i := strings.LastIndexAny(s[:cut], " \n"); i > cut/2 {
		cut = i
	}
	return folded{s[:cut] + " …", "… " + strings.TrimSpace(s[cut:])}
}

// preview is how a channel shows it.
type preview struct {
	Kind                string // the template's: banner, module, popup, mail, text, push
	Title, Surface      string
	Headline, Body, CTA folded
	Products            []juncture.ProductView
	Pieces              []juncture.EditorialView
	Text                folded // of a text message
	Length              string // of it
	Whose               string // products: of whom
}

func (c *Console) previews(ctx context.Context, store StoreView, a juncture.Action, w juncture.Copy, shopper string) ([]preview, error) {
	base := preview{Headline: fold(w.Headline, mostShown), Body: fold(w.Body, mostShown), CTA: fold(w.CTA, 100)}
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
				text := strings.Join(slices.DeleteFunc([]string{w.Headline, w.Body, w.CTA}, func(s string) bool { return s == "" }), " ")
				places, segments, wide := smsLength(text)
				p.Length = fmt.Sprintf("%d characters, %s", places, plural(segments, "segment", "segments"))
				if wide {
					p.Length += " (a character outside the GSM set halves what fits)"
				}
				p.Text = fold(text, mostShown)
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
	switch form.Get("back") {
	case "action":
		to = actionURL(r.Items[0].Action)
	case "priority":
		to = priorityURL(r.Items[0].Priority)
	}
	g.Redirect(http.StatusSeeOther, to+"?done="+string(verb))
}

package console

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/access"
)

// consentView is what a shopper said of the use of their data.
type consentView struct {
	Uses []consentUse
	At   time.Time
	Said bool
	Says string // what follows from it
}

type consentUse struct{ Title, Answer, State string }

func viewConsent(r juncture.ConsentRecord) *consentView {
	v := &consentView{At: r.At, Said: r.Said()}
	for _, use := range []struct{ title, answer string }{{"Personalisation", r.Personalization}, {"Analytics", r.Analytics}} {
		u := consentUse{use.title, "Unknown", "thin"}
		switch use.answer {
		case juncture.ConsentGranted:
			u.Answer, u.State = "Granted", "winner"
		case juncture.ConsentDenied:
			u.Answer, u.State = "Denied", "denied"
		}
		v.Uses = append(v.Uses, u)
	}
	switch {
	case r.Denied():
		v.Says = "Since one use is denied, nothing more of them is kept, and they see the default."
	case !v.Said:
		v.Says = "Nothing was said. The shop sends consent with /choose or with an event."
	}
	return v
}

// rightsPart offers what an administrator may do with a shopper's data.
type rightsPart struct {
	May           bool
	Export, Erase string
}

// records fills what the port of the records knows; known says that there is a profile.
func (p *shopperPage) records(g *gin.Context, c *Console, id string, known bool) error {
	if c.deps.Records == nil {
		return nil
	}
	consent, err := c.deps.Records.Consent(g.Request.Context(), id)
	if err != nil && juncture.ErrorCode(err) != juncture.CodeNotFound {
		return err
	}
	if !known && !consent.Said() && len(p.Decisions) == 0 {
		return nil
	}
	p.Consent = viewConsent(consent)
	p.Rights = &rightsPart{May: may(g, access.RoleAdmin), Export: recordURL(id, exportPart), Erase: recordURL(id, erasePart)}
	return nil
}

// The last parts of the paths under recordsPath.
const (
	exportPart = "/export"
	erasePart  = "/erase"
)

func recordURL(id, part string) string { return recordsPath + url.PathEscape(id) + part }

// readRecord splits a path under recordsPath into the shopper's id and the last part.
func readRecord(g *gin.Context) (id, part string, err error) {
	rest := strings.TrimPrefix(g.Param("rest"), "/")
	for _, part := range []string{exportPart, erasePart} {
		if id, ok := strings.CutSuffix(rest, part); ok && sayable(id) {
			return id, part, nil
		}
	}
	return "", "", juncture.Errorf(juncture.CodeNotFound, "There is no such page.")
}

// record answers GET with the export or with the form that erases.
func (c *Console) record(g *gin.Context) {
	id, part, err := readRecord(g)
	switch {
	case err != nil:
		c.fail(g, err)
	case part == exportPart:
		c.export(g, id)
	default:
		c.renderErase(g, http.StatusOK, &erasePage{ID: id})
	}
}

func (c *Console) export(g *gin.Context, id string) {
	x, err := c.deps.Records.Export(g.Request.Context(), id)
	if juncture.ErrorCode(err) == juncture.CodeNotFound {
		err = juncture.Errorf(juncture.CodeNotFound, "Nothing is kept of %.80q, so there is nothing to export.", id)
	}
	if err != nil {
		c.fail(g, err)
		return
	}
	var b bytes.Buffer
	w := json.NewEncoder(&b)
	w.SetIndent("", "  ")
	if err := w.Encode(x); err != nil {
		c.fail(g, err)
		return
	}
	g.Header("Content-Disposition", `attachment; filename="shopper-`+fileName(id)+`.json"`)
	g.Data(http.StatusOK, "application/json; charset=utf-8", b.Bytes())
}

// fileName makes an id fit for the name of a file.
func fileName(id string) string {
	s := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '-'
	}, id)
	return s[:min(len(s), 60)]
}

// erasePage asks for the shopper's id, and says afterwards what was deleted.
type erasePage struct {
	layout
	ID      string
	Typed   string
	Problem string
	Back    string
	Export  string
	Done    *juncture.ErasureView
}

func (c *Console) renderErase(g *gin.Context, status int, p *erasePage) {
	store, err := c.deps.Source.Store(g.Request.Context())
	if err != nil {
		c.fail(g, err)
		return
	}
	title := "Erase a shopper"
	if p.Done != nil {
		title = "Erased"
	}
	p.layout = c.layoutFor(g, title, store)
	p.Back, p.Export = shopperURL("", p.ID, showAll), recordURL(p.ID, exportPart)
	c.render(g, status, "erase", p)
}

func (c *Console) erase(g *gin.Context) {
	form, ok := c.readForm(g)
	if !ok {
		return
	}
	id, part, err := readRecord(g)
	if err == nil && part != erasePart {
		err = juncture.Errorf(juncture.CodeMethodNotAllowed, "There is nothing to send there.")
	}
	if err != nil {
		c.fail(g, err)
		return
	}
	p := &erasePage{ID: id, Typed: clip(form.Get("confirm"), longestID)}
	if strings.TrimSpace(form.Get("confirm")) != strings.TrimSpace(id) {
		p.Problem = "This is not the shopper's id, so nothing was deleted. Type it exactly as it stands above, capital letters included."
		c.renderErase(g, http.StatusBadRequest, p)
		return
	}
	done, err := c.deps.Records.Erase(g.Request.Context(), actor(g), id)
	switch juncture.ErrorCode(err) {
	case "":
	case juncture.CodeNotFound:
		p.Problem = "Nothing is known of this shopper, so there was nothing to delete."
		c.renderErase(g, http.StatusNotFound, p)
		return
	default:
		c.fail(g, err)
		return
	}
	p.Done = &done
	c.renderErase(g, http.StatusOK, p)
}

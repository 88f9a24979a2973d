package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/access"
	"github.com/juncture/juncture/experiments"
)

//go:embed templates static
var files embed.FS

// pages are the parsed templates and the static files.
type pages struct {
	templates map[string]*template.Template
	static    map[string][]byte
	zipped    map[string][]byte // the same, compressed
	sum       string            // of all static files: part of their path, so that they may be cached for good
}

var pageNames = []string{"sign-in", "grid", "list", "intersection", "shopper", "erase", "layers", "cluster", "refit", "settings", "audit", "share", "error", "pool", "reviews", "action", "draft", "priorities", "priority", "decisions", "decision", "next",
	"overview", "experiments", "experiment", "verb", "what-if", "catalogue", "api"}

func loadPages() (*pages, error) {
	p := &pages{templates: map[string]*template.Template{}, static: map[string][]byte{}, zipped: map[string][]byte{}}
	sum := sha256.New()
	err := fs.WalkDir(files, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := files.ReadFile(name)
		p.static[path.Base(name)], p.zipped[path.Base(name)] = b, zip(b)
		sum.Write([]byte(name))
		sum.Write(b)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("console: static files: %w", err)
	}
	p.sum = hex.EncodeToString(sum.Sum(nil)[:8])
	base, err := template.New("base.html").Funcs(functions).ParseFS(files, "templates/base.html", "templates/fields.html")
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	for _, name := range pageNames {
		t, err := template.Must(base.Clone()).ParseFS(files, "templates/"+name+".html")
		if err != nil {
			return nil, fmt.Errorf("console: %w", err)
		}
		p.templates[name] = t
	}
	return p, nil
}

// zip compresses what is served often.
func zip(b []byte) []byte {
	var out bytes.Buffer
	w, _ := gzip.NewWriterLevel(&out, gzip.BestCompression) // the level is one
	_, _ = w.Write(b)                                       // a bytes.Buffer takes everything
	_ = w.Close()
	return out.Bytes()
}

// takesGzip reports whether an Accept-Encoding names gzip without weighing it 0.
func takesGzip(accept string) bool {
	for part := range strings.SplitSeq(accept, ",") {
		name, weight, _ := strings.Cut(strings.ReplaceAll(part, " ", ""), ";")
		if strings.EqualFold(name, "gzip") {
			q, err := strconv.ParseFloat(strings.TrimPrefix(weight, "q="), 64)
			return weight == "" || err == nil && q > 0
		}
	}
	return false
}

// functions are what templates call; all are pure.
var functions = template.FuncMap{
	"money":   experiments.Money,
	"percent": experiments.Percent,
	"sure":    experiments.Sure,
	"count":   experiments.Count,
	"whole":   func(v float64) string { return experiments.Count(int64(v + 0.5)) },
	"title":   experiments.Title,
	"when":    func(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04:05 UTC") },
	"clock":   func(t time.Time) string { return t.UTC().Format("15:04:05 UTC") },
	"day":     func(t time.Time) string { return t.UTC().Format("2 Jan 2006") },
	"stamp":   func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"colour":  colourClass,
	"state":   stateTitle,
	"upper":   upper,
	"brief":   func(s string) string { return clip(s, longestText) },
	"part":    part,
	"bar":     func(v float64) string { return strconv.FormatFloat(100*within(v), 'f', 1, 64) },
	"trouble": troubleAt,
	"invalid": invalidAt,
	"periods": func() []string {
		return []string{string(juncture.PerHour), string(juncture.PerDay), string(juncture.PerWeek), string(juncture.PerMonth)}
	},
	"short": func(s string) string {
		if len(s) > 14 {
			return s[:12] + "…"
		}
		return s
	},
}

func stateTitle(s experiments.State) string {
	return map[experiments.State]string{experiments.StateWinner: "Won", experiments.StateLeaning: "Leaning",
		experiments.StateThin: "Too thin", experiments.StateEmpty: "No data"}[s]
}

// layout is what every page has.
type layout struct {
	Title     string
	CSS       string
	Icon      string
	Script    string // empty: none
	Newest    string // serial that a page which follows the log has seen; empty: none
	Every     int64  // ms between two looks of it, at least
	Store     string
	Simulated bool
	User      string // empty: nobody is signed in
	Role      string
	Nav       []navItem
	Share     *sharing  // nil: this page cannot be shared, or not by who asks
	API       string    // of the page that describes the API; empty: none is offered
	Until     time.Time // when the link ends that the page is seen through; zero: none
	ReadAt    *readAt   // nil: all that it shows was read for it
}

// readAt says that some of a page was read before it was asked for.
type readAt struct {
	At  time.Time
	Ago string
}

// asOf notes when what the page shows was read: the oldest counts. What is over an hour old is of another
// clock, such as a test's, or the zero time: it is left out.
func (l *layout) asOf(c *Console, times ...time.Time) {
	now := c.deps.Now()
	for _, t := range times {
		age := now.Sub(t)
		if age >= time.Second && age < time.Hour && (l.ReadAt == nil || t.Before(l.ReadAt.At)) {
			l.ReadAt = &readAt{t, plural(int(age/time.Second), "second", "seconds") + " ago"}
		}
	}
}

type navItem struct {
	Title, Href string
	Current     bool
}

func (c *Console) layout(g *gin.Context, title string) (layout, error) {
	s, err := c.deps.Source.Store(g.Request.Context())
	if err != nil {
		return layout{}, err
	}
	return c.layoutFor(g, title, s), nil
}

func (c *Console) layoutFor(g *gin.Context, title string, s StoreView) layout {
	l := layout{Title: title, CSS: staticPath + c.pages.sum + "/console.css", Icon: staticPath + c.pages.sum + "/icon.svg",
		Store: s.Name, Simulated: s.Simulated, Share: c.offerShare(g), Until: sharedUntil(g)}
	if u, ok := currentUser(g); ok {
		l.User, l.Role = or(u.Display, u.Name), fmt.Sprint(u.Role)
		if c.api != nil {
			l.API = APIPath
		}
		here := g.Request.URL.Path
		if c.deps.Trials != nil {
			l.Nav = append(l.Nav, navItem{"Overview", homePath, here == homePath}, navItem{"Experiments", trialsPath, strings.HasPrefix(here, trialsPath)})
		}
		l.Nav = append(l.Nav, navItem{"Intersections", gridPath, c.deps.Trials == nil && here == homePath || strings.HasPrefix(here, "/console/intersection")})
		if c.deps.Decisions != nil {
			l.Nav = append(l.Nav, navItem{"Decisions", decisionsPath, strings.HasPrefix(here, decisionPath)})
		}
		if c.deps.Pool != nil {
			l.Nav = append(l.Nav, navItem{"Pool", poolPath, here == poolPath || strings.HasPrefix(here, actionPath) || strings.HasPrefix(here, prioritiesPath)}, navItem{"Review", reviewsPath, here == reviewsPath})
		}
		if c.deps.Shoppers != nil {
			l.Nav = append(l.Nav, navItem{"Shoppers", shopperPath, here == shopperPath || strings.HasPrefix(here, recordsPath)},
				navItem{"Layers", layersPath, here == layersPath || strings.HasPrefix(here, layersPath+"/")})
		}
		if c.deps.Catalogue != nil {
			l.Nav = append(l.Nav, navItem{"Catalogue", cataloguePath, here == cataloguePath})
		}
		if c.deps.Audit != nil && u.Role.AtLeast(access.RoleApprover) {
			l.Nav = append(l.Nav, navItem{"Audit", auditPath, here == auditPath})
		}
		if c.deps.People != nil && u.Role.AtLeast(access.RoleAdmin) {
			l.Nav = append(l.Nav, navItem{"Settings", settingsPath, strings.HasPrefix(here, settingsPath)})
		}
	}
	return l
}

// render executes the template to memory first, so that a failure is an error page and never half a page.
func (c *Console) render(g *gin.Context, status int, name string, page any) {
	var b bytes.Buffer
	if err := c.pages.templates[name].ExecuteTemplate(&b, "base.html", page); err != nil {
		c.deps.Log.Error("console: template", "page", name, "error", err)
		g.Abort()
		g.Data(http.StatusInternalServerError, "text/plain; charset=utf-8", []byte("This page could not be drawn. The log says why.\n"))
		return
	}
	g.Data(status, "text/html; charset=utf-8", legible(b.Bytes()))
}

// legible has � for bytes that are no text, and for the characters that turn the direction of what follows: nobody writes
// them, but who wants a page to read otherwise than it is.
func legible(page []byte) []byte {
	for _, turns := range []string{"\u202d", "\u202e"} {
		page = bytes.ReplaceAll(page, []byte(turns), []byte("\ufffd"))
	}
	return bytes.ToValidUTF8(page, []byte("\ufffd"))
}

type errorPage struct {
	layout
	Status  int
	Message string
	Hint    string
}

// fail answers with an error page: the message of one of Juncture's errors, never more of any other.
func (c *Console) fail(g *gin.Context, err error) {
	code := juncture.ErrorCode(err)
	status := code.Status()
	g.Set(sharedKey, nil)
	p := &errorPage{Status: status, Message: "Something went wrong on our side.", Hint: "Try again. If it stays, the log of the server says why."}
	if e, ok := errors.AsType[*juncture.Error](err); ok && status < 500 {
		p.Message, p.Hint = e.Message, e.Hint
	} else {
		c.deps.Log.Error("console", "route", g.FullPath(), "error", err) // not the path: it may name a shopper, or hold a link's token
	}
	if code == juncture.CodeTooManyRequests || code == juncture.CodeUnavailable {
		g.Header("Retry-After", strconv.Itoa(max(1, int(retryAfter(err).Seconds()))))
	}
	if s, serr := c.deps.Source.Store(g.Request.Context()); serr == nil {
		p.layout = c.layoutFor(g, "Error", s)
	} else {
		p.layout = c.layoutFor(g, "Error", StoreView{})
	}
	g.Abort()
	c.render(g, status, "error", p)
}

func retryAfter(err error) time.Duration {
	if e, ok := errors.AsType[*juncture.Error](err); ok {
		return e.RetryAfter
	}
	return 0
}

func (c *Console) static(g *gin.Context) {
	b, ok := c.pages.static[g.Param("file")]
	if !ok || g.Param("sum") != c.pages.sum {
		c.fail(g, juncture.Errorf(juncture.CodeNotFound, "There is no such file."))
		return
	}
	g.Header("Cache-Control", "public, max-age=31536000, immutable")
	g.Header("Vary", "Accept-Encoding")
	if takesGzip(g.GetHeader("Accept-Encoding")) {
		g.Header("Content-Encoding", "gzip")
		b = c.pages.zipped[g.Param("file")]
	}
	kind := map[string]string{".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".js": "text/javascript; charset=utf-8"}[path.Ext(g.Param("file"))]
	g.Data(http.StatusOK, kind, b)
}

package console

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/access"
	"github.com/juncture/juncture/audit"
	"github.com/juncture/juncture/experiments"
)

// AuditLog is who changed what. It proves itself.
type AuditLog interface {
	// AuditFound yields what a query asks for, newest first.
	AuditFound(ctx context.Context, q audit.Query) iter.Seq2[audit.Entry, error]
	// AuditNames returns the actors and actions that there are, at most limit of each.
	AuditNames(ctx context.Context, limit int) (actors, actions []string, err error)
	// Prove walks the whole log where the last proof is older; 0 always walks.
	Prove(ctx context.Context, older time.Duration) (juncture.AuditProof, error)
}

const (
	auditPath   = "/console/audit"
	auditLimit  = 100       // entries of a page
	auditNames  = 500       // choices of a filter
	auditLines  = 12        // of one entry's difference
	proofOlder  = time.Hour // a proof that is older is made again
	longestSaid = 160       // characters of one value
)

func (c *Console) mountAudit(people gin.IRoutes) {
	if c.deps.Audit == nil {
		return
	}
	approver := c.least(access.RoleApprover)
	people.GET(auditPath, approver, c.audit)
	people.GET(auditPath+".csv", approver, c.auditCSV)
	people.GET(auditPath+".ndjson", approver, c.auditNDJSON)
	people.POST(auditPath+"/verify", approver, c.verifyAudit)
}

// auditAsked is the filter as it stands in the URL.
type auditAsked struct {
	Actor, Action, Subject, From, To string
	Before                           int64
}

func readAudit(v url.Values) (a auditAsked, q audit.Query, err error) {
	a = auditAsked{Actor: v.Get("actor"), Action: v.Get("action"), Subject: clip(strings.TrimSpace(v.Get("subject")), 200), From: v.Get("from"), To: v.Get("to")}
	q = audit.Query{Actor: a.Actor, Action: a.Action, Subject: a.Subject}
	for _, d := range []struct {
		name, s string
		to      *time.Time
		more    time.Duration
	}{{"from", a.From, &q.From, 0}, {"to", a.To, &q.To, 24 * time.Hour}} {
		if d.s == "" {
			continue
		}
		t, err := time.Parse(time.DateOnly, d.s)
		if err != nil {
			return a, q, juncture.Errorf(juncture.CodeInvalidRequest, "%.40q is not a day such as 2026-05-01.", d.s).WithField(d.name)
		}
		*d.to = t.Add(d.more)
	}
	if s := v.Get("before"); s != "" {
		if a.Before, err = strconv.ParseInt(s, 10, 64); err != nil || a.Before < 1 {
			return a, q, juncture.Errorf(juncture.CodeInvalidRequest, "%.40q is not the number of an entry.", s)
		}
	}
	q.Before = a.Before
	return a, q, nil
}

// url writes the filter, from an entry on where before is not 0.
func (a auditAsked) url(path string, before int64) string {
	v := url.Values{}
	for name, s := range map[string]string{"actor": a.Actor, "action": a.Action, "subject": a.Subject, "from": a.From, "to": a.To} {
		if s != "" {
			v.Set(name, s)
		}
	}
	if before > 0 {
		v.Set("before", strconv.FormatInt(before, 10))
	}
	if len(v) == 0 {
		return path
	}
	return path + "?" + v.Encode()
}

type auditPage struct {
	layout
	Lead            string
	Proof           juncture.AuditProof
	Asked           auditAsked
	Filtered        bool
	Actors, Actions []option
	Lines           []auditLine
	Older           string // of the entries before; empty: there are none
	Newest          string // of the first page; empty: this is it
	CSV, NDJSON     string
}

type auditLine struct {
	audit.Entry
	Who    string // what the identity provider calls the actor, else empty
	Diff   []diffLine
	More   int // lines of the difference that are not shown
	Before string
	After  string
}

// diffLine is one value that changed. Had and Has are empty where there was, or is, none.
type diffLine struct{ Key, Had, Has string }

func (c *Console) audit(g *gin.Context) {
	ctx := g.Request.Context()
	asked, q, err := readAudit(g.Request.URL.Query())
	var store StoreView
	var actors, actions []string
	p := &auditPage{Asked: asked, Filtered: asked.url("", 0) != "", CSV: asked.url(auditPath+".csv", 0), NDJSON: asked.url(auditPath+".ndjson", 0)}
	for _, read := range []func() error{
		func() (err error) { store, err = c.deps.Source.Store(ctx); return err },
		func() (err error) { actors, actions, err = c.deps.Audit.AuditNames(ctx, auditNames); return err },
		func() (err error) { p.Proof, err = c.deps.Audit.Prove(ctx, proofOlder); return err },
	} {
		if err == nil {
			err = read()
		}
	}
	names, nameErr := c.displayNames(ctx)
	if err == nil {
		err = nameErr
	}
	q.Limit = auditLimit + 1
	for e, readErr := range c.deps.Audit.AuditFound(ctx, q) {
		if err != nil || readErr != nil {
			if err == nil {
				err = readErr
			}
			break
		}
		l := auditLine{Entry: e, Who: names[e.Actor], Diff: difference(e.Before, e.After), Before: indented(e.Before), After: indented(e.After)}
		if n := len(l.Diff); n > auditLines {
			l.Diff, l.More = l.Diff[:auditLines], n-auditLines
		}
		p.Lines = append(p.Lines, l)
	}
	if err != nil {
		c.fail(g, err)
		return
	}
	if len(p.Lines) > auditLimit {
		p.Lines = p.Lines[:auditLimit]
		p.Older = asked.url(auditPath, p.Lines[auditLimit-1].Seq)
	}
	if asked.Before > 0 {
		p.Newest = asked.url(auditPath, 0)
	}
	p.Actors, p.Actions = choices("Anybody", actors, asked.Actor), choices("Anything", actions, asked.Action)
	p.Lead = auditLead(p.Proof)
	p.layout = c.layoutFor(g, "Audit", store)
	c.render(g, http.StatusOK, "audit", p)
}

func auditLead(p juncture.AuditProof) string {
	if !p.Holds {
		return "The log was changed outside Juncture: " + experiments.Count(int64(p.Entries)) + " entries are good, the next is not."
	}
	switch p.Entries {
	case 0:
		return "Nothing was changed yet: the log is empty."
	case 1:
		return "The one entry holds: nobody altered it."
	}
	return "The chain of " + experiments.Count(int64(p.Entries)) + " entries holds: nobody altered, moved or took out one."
}

func choices(none string, values []string, selected string) []option {
	out := []option{{"", none, selected == ""}}
	if selected != "" && !slices.Contains(values, selected) {
		values = append(values, clip(selected, longestSaid))
	}
	for _, v := range values {
		out = append(out, option{v, v, v == selected})
	}
	return out
}

// displayNames is what the identity provider calls people, by actor.
func (c *Console) displayNames(ctx context.Context) (map[string]string, error) {
	out := map[string]string{}
	if c.deps.People == nil {
		return out, nil
	}
	users, err := c.deps.People.Users(ctx)
	for _, u := range users.Items {
		if u.Display != "" {
			out["user:"+u.Name] = u.Display
		}
	}
	return out, err
}

// difference compares two JSON texts value by value, by the path of each.
func difference(before, after []byte) []diffLine {
	had, has := leaves(before), leaves(after)
	keys := slices.Sorted(maps.Keys(had))
	for k := range has {
		if _, ok := had[k]; !ok {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	var out []diffLine
	for _, k := range keys {
		if had[k] != has[k] {
			out = append(out, diffLine{clip(k, longestSaid), clip(had[k], longestSaid), clip(has[k], longestSaid)})
		}
	}
	return out
}

// leaves are the values of a JSON text by their path. Text that is no JSON is one value without a path.
func leaves(b []byte) map[string]string {
	out := map[string]string{}
	if len(b) == 0 {
		return out
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		out[""] = string(b)
		return out
	}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, x := range v {
				walk(strings.TrimPrefix(path+"."+k, "."), x)
			}
		case []any:
			for i, x := range v {
				walk(fmt.Sprintf("%s[%d]", path, i), x)
			}
		case string:
			if out[path] = v; v == "" {
				out[path] = `""`
			}
		default:
			out[path] = fmt.Sprint(v)
			if v == nil {
				out[path] = "null"
			}
		}
	}
	walk("", v)
	return out
}

// indented is JSON for people, cut where it is long.
func indented(b []byte) string {
	var out bytes.Buffer
	if json.Indent(&out, b, "", "  ") != nil {
		return clip(string(b), 4000)
	}
	return clip(out.String(), 4000)
}

func (c *Console) verifyAudit(g *gin.Context) {
	if _, err := c.deps.Audit.Prove(g.Request.Context(), 0); err != nil {
		c.fail(g, err)
		return
	}
	g.Redirect(http.StatusSeeOther, auditPath)
}

// export streams what the filter asks for: the log may be long.
func (c *Console) exportAudit(g *gin.Context, kind, name string, write func(audit.Entry) error) bool {
	_, q, err := readAudit(g.Request.URL.Query())
	if err != nil {
		c.fail(g, err)
		return false
	}
	g.Header("Content-Disposition", `attachment; filename="`+name+`"`)
	g.Header("Content-Type", kind)
	for e, err := range c.deps.Audit.AuditFound(g.Request.Context(), q) {
		if err == nil {
			err = write(e)
		}
		if err != nil {
			if !g.Writer.Written() {
				g.Writer.Header().Del("Content-Disposition")
				c.fail(g, err)
				return false
			}
			c.deps.Log.Error("console: export of the audit log was cut", "error", err)
			return false
		}
	}
	return true
}

func (c *Console) auditCSV(g *gin.Context) {
	w := csv.NewWriter(g.Writer)
	head := false
	row := func(cells ...string) error {
		for i := range cells {
			cells[i] = neutral(cells[i])
		}
		return w.Write(cells)
	}
	heading := func() error {
		if head {
			return nil
		}
		head = true
		return row("seq", "at", "actor", "action", "subject", "from", "before", "after", "hash")
	}
	if c.exportAudit(g, "text/csv; charset=utf-8", "audit.csv", func(e audit.Entry) error {
		if err := heading(); err != nil {
			return err
		}
		return row(strconv.FormatInt(e.Seq, 10), e.At.UTC().Format(time.RFC3339Nano), e.Actor, e.Action, e.Subject, e.From, string(e.Before), string(e.After), fmt.Sprintf("%x", e.Hash))
	}) {
		if err := heading(); err != nil {
			c.deps.Log.Error("console: export of the audit log", "error", err)
		}
		w.Flush()
	}
}

func (c *Console) auditNDJSON(g *gin.Context) {
	enc := json.NewEncoder(g.Writer)
	c.exportAudit(g, "application/x-ndjson", "audit.ndjson", func(e audit.Entry) error { return enc.Encode(e.View()) })
}

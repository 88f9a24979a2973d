package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/net/html"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/internal/testkit"
)

// hostile are texts that were written to break what shows them.
func hostile() []string {
	return []string{`<script>planted()</script>`, `"><img src=x onerror=planted()>`, `' onmouseover='planted()' planted='`, `</textarea></title></code></pre><planted>`, `<!--`, `]]></svg><planted>`, `{{.}}{{template "x"}}`,
		`=HYPERLINK("http://evil.example","planted")`, `+1+cmd|' /C calc'!A0`, `-2+3`, `@SUM(1+1)`, "\t=1+1", "\r\n=1+1", "＝1+1", `a","=1+1`, "javascript:planted()//", "data:text/html,<planted>", "//evil.example/planted",
		strings.Repeat("planted ", 1250), "👩🏽‍🚀 🛒", "\u202egnp.exe\u202c \u2066אבג\u2069", "a\x00b", "\x1b[31mred\x07", "\ufeff\u200b", "../../etc/passwd", "%3Cplanted%3E", " ", ""}
}

// intruder sends hostile texts to everything that takes text, and remembers what was taken.
type intruder struct {
	*house
	raw  *sql.DB
	sent int
	took int
}

// state is a mark of each table that people's changes and the shop's calls are kept in.
func (i *intruder) state() map[string]uint64 {
	i.t.Helper()
	out := map[string]uint64{}
	for _, table := range []string{"config", "versions", "arms", "users", "keys", "shares", "products", "facts", "consents", "exclusions", "aliases", "events", "decisions", "activations", "outcomes", "layer_values", "enrolments", "audit"} {
		rows, err := i.raw.QueryContext(i.t.Context(), "SELECT * FROM "+table) //nolint:gosec // a name from above
		if err != nil {
			i.t.Fatal(err)
		}
		names, err := rows.Columns()
		if err != nil {
			i.t.Fatal(err)
		}
		h, n := fnv.New64a(), uint64(0)
		for rows.Next() {
			cells, at := make([]any, len(names)), make([]any, len(names))
			for k := range cells {
				at[k] = &cells[k]
			}
			if err := rows.Scan(at...); err != nil {
				i.t.Fatal(err)
			}
			h.Reset()
			fmt.Fprint(h, cells...)
			n += h.Sum64() // in any order
		}
		if err := rows.Err(); err != nil {
			i.t.Fatal(err)
		}
		if err := rows.Close(); err != nil {
			i.t.Fatal(err)
		}
		out[table] = n
	}
	return out
}

// commits grows whenever something is written to the database, by whomever.
func (i *intruder) commits() (n int64) {
	i.t.Helper()
	if err := i.raw.QueryRowContext(i.t.Context(), "PRAGMA data_version").Scan(&n); err != nil {
		i.t.Fatal(err)
	}
	return n
}

func (i *intruder) try(what string, ask func() (status int, body string)) bool {
	i.t.Helper()
	before := i.commits()
	status, body := ask()
	i.sent++
	switch {
	case status < 400:
		i.took++
		return true
	case status >= 500:
		i.t.Errorf("%s: %d %s", what, status, body)
	case before == i.commits():
	default: // the server writes by itself, too: what is refused is sent once more, to see what it changes
		kept := i.state()
		if status, body = ask(); status < 400 || !maps.Equal(kept, i.state()) {
			i.t.Errorf("%s is refused with %d and changed something: %s", what, status, body)
		}
	}
	return false
}

// api sends a body to the API with the key of everything.
func (i *intruder) api(method, path string, body any) bool {
	i.t.Helper()
	b, ok := body.([]byte)
	if !ok {
		var err error
		if b, err = json.Marshal(body); err != nil {
			i.t.Fatal(err)
		}
	}
	return i.try(fmt.Sprintf("%s %s %.200s", method, path, b), func() (int, string) {
		w := i.call(method, path, string(b), withKey(i.keys["admin"]))
		if !utf8.Valid(w.Body.Bytes()) || !json.Valid(w.Body.Bytes()) || bytes.IndexByte(w.Body.Bytes(), 0) >= 0 {
			i.t.Errorf("%s %s answers no JSON: %q", method, path, w.Body)
		}
		return w.Code, w.Body.String()
	})
}

// form sends a form of the console as its admin, and looks at the page that answers.
func (i *intruder) form(path string, form url.Values) bool {
	i.t.Helper()
	return i.try(fmt.Sprintf("POST %s %.200q", path, form), func() (int, string) {
		w := i.call("POST", path, form.Encode(), withToken(i.sessions["admin"]))
		i.page("POST "+path, w.Body.Bytes())
		if to := w.Header().Get("Location"); to != "" && (!strings.HasPrefix(to, "/console") || strings.ContainsAny(to, "\r\n\\")) {
			i.t.Errorf("%s leads to %q", path, to)
		}
		return w.Code, w.Body.String()
	})
}

// page holds a page to what the console's templates may make of any text: nothing but text.
func (i *intruder) page(where string, body []byte) {
	i.t.Helper()
	if bytes.IndexByte(body, 0) >= 0 || !utf8.Valid(body) {
		i.t.Errorf("%s has a null byte, or is no UTF-8", where)
	}
	wrong := func(n *html.Node, why string) {
		i.t.Errorf("%s: <%s> %s: %.300q", where, n.Data, why, n.Attr)
	}
	root, err := html.Parse(bytes.NewReader(body))
	if err != nil {
		i.t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type == html.CommentNode {
			wrong(n, "is a comment")
		}
		if n.Type != html.ElementNode {
			continue
		}
		switch n.Data {
		case "planted", "img", "iframe", "object", "embed", "base", "style", "template":
			wrong(n, "was written by nobody here")
		case "script":
			if n.FirstChild != nil || len(n.Attr) != 2 {
				wrong(n, "has a body")
			}
		}
		for _, a := range n.Attr {
			switch {
			case strings.HasPrefix(a.Key, "on"), a.Key == "style", a.Key == "planted", a.Key == "srcdoc":
				wrong(n, "has an attribute of somebody's")
			case a.Key == "href", a.Key == "src", a.Key == "action", a.Key == "formaction", a.Key == "xlink:href":
				u, err := url.Parse(a.Val)
				if err != nil || u.IsAbs() || u.Host != "" || strings.ContainsAny(a.Val, "\\\t\r\n") || strings.HasPrefix(a.Val, "//") {
					wrong(n, "leads elsewhere")
				}
			}
		}
	}
}

// table holds a CSV to what a spreadsheet takes for text.
func (i *intruder) table(where string, body []byte) {
	i.t.Helper()
	rows, err := csv.NewReader(bytes.NewReader(body)).ReadAll()
	if err != nil {
		i.t.Errorf("%s: %v", where, err)
	}
	if bytes.IndexByte(body, 0) >= 0 {
		i.t.Errorf("%s has a null byte", where)
	}
	for _, row := range rows {
		for _, c := range row {
			if _, err := strconv.ParseFloat(c, 64); err != nil && c != "" && strings.ContainsRune("=+-@\t\r\n＝＋－＠", []rune(c)[0]) {
				i.t.Errorf("%s: a spreadsheet computes %.60q", where, c)
			}
		}
	}
}

// TestHostileText sends hostile text to every field that is ever shown, by API, form and store file; what is refused is
// refused whole. Then every page, export and answer is read.
func TestHostileText(t *testing.T) {
	if testing.Short() {
		t.Skip("thousands of pages take seconds: not with -short")
	}
	h := openHouse(t)
	raw, err := sql.Open("sqlite3", h.db.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()      //nolint:errcheck // read only
	raw.SetMaxOpenConns(1) // data_version is of a connection
	i := &intruder{house: h, raw: raw}
	declaration := testkit.Declaration(testkit.Shares(0.5, 0.5, 0, 0))
	testkit.Apply(t, h.db, declaration)
	at := func() string { return time.UnixMilli(h.clock.Load()).UTC().Format(time.RFC3339) }
	shoppers, actions := map[string]bool{}, []string{"welcome", "five_off", "news", "points"}
	for n, text := range hostile() {
		id := fmt.Sprint("h", n)
		// The shop's calls.
		for field, body := range map[string]map[string]any{"shopperId": {"shopperId": text}, "anonymousId": {"anonymousId": text}, "sessionId": {"shopperId": "s", "sessionId": text}, "requestId": {"shopperId": "s", "requestId": text},
			"context": {"shopperId": "s", "context": map[string]any{"device": text, text: 1}}, "layers": {"shopperId": "s", "layers": map[string]any{"moment": text, "meaning": text, "trajectory": text, "catalogue": text}},
			"candidates": {"shopperId": "s", "candidates": []string{text}}, text: {"shopperId": "s", text: text}} {
			body["surface"], body["explain"] = "home_hero", true
			if i.api("POST", "/choose", body) && strings.HasSuffix(field, "Id") {
				shoppers[text] = true
			}
		}
		i.api("POST", "/choose", map[string]any{"surface": text, "shopperId": "s"})
		var a juncture.ChooseAnswer
		if err := json.Unmarshal(h.call("POST", "/choose", `{"surface":"home_hero","shopperId":"buyer-`+id+`"}`, withKey(h.keys["admin"])).Body.Bytes(), &a); err != nil {
			t.Fatal(err)
		}
		for _, body := range []map[string]any{{"event": text}, {"event": "click", "outcomeId": text}, {"event": "purchase", "value": 1, "currency": text}} {
			body["decisionId"] = a.DecisionID
			i.api("POST", "/reward", body)
		}
		i.api("POST", "/reward", map[string]any{"decisionId": text, "event": "click"})
		for _, call := range []map[string]any{{"type": "track", "userId": text, "event": "Product Viewed", "properties": map[string]any{"product_id": "p"}}, {"type": "track", "userId": "s", "event": text},
			{"type": "track", "userId": "s", "event": "Product Added", "properties": map[string]any{"product_id": text, "category": text, "brand": text, "name": text, "price": text}},
			{"type": "track", "userId": "s", "event": "Order Completed", "properties": map[string]any{"order_id": text, "total": 12, "currency": "GBP", "coupon": text, "products": []any{map[string]any{"product_id": text, "category": text, "quantity": 1}}}},
			{"type": "identify", "userId": "s", "traits": map[string]any{text: text}}, {"type": "alias", "userId": "s", "previousId": text}, {"type": text, "userId": "s"}, {"type": "page", "anonymousId": text, "name": text}} {
			call["messageId"], call["timestamp"] = fmt.Sprintf("%s-%v-%v", id, call["type"], call["event"]), at()
			if i.api("POST", "/v1/batch", map[string]any{"batch": []any{call}}) {
				shoppers[text] = true
			}
		}
		// What may come to be served.
		for field, copy := range map[string]map[string]any{"id": {"id": text, "headline": "h"}, "headline": {"headline": text}, "body": {"headline": "h", "body": text}, "cta": {"headline": "h", "cta": text}, "voice": {"headline": "h", "voice": []string{text}}, "all": {"headline": text, "body": text, "cta": text}} {
			if field != "id" {
				copy["id"] = id + "-" + field
			}
			copy["submit"] = true
			if i.api("POST", "/api/v1/actions/news/copy", copy) && field == "all" {
				i.form("/console/reviews", url.Values{"item": {fmt.Sprintf("news/%s@1", copy["id"])}, "verb": {"approve"}, "reason": {text}})
			}
		}
		for _, action := range []map[string]any{{"id": text, "type": "content"}, {"id": "type-" + id, "type": text}, {"id": id, "type": "content", "payload": map[string]any{"note": text, text: []any{text, map[string]any{text: text}}}}, {"id": "rule-" + id, "type": "content", "rule": text},
			{"id": "products-" + id, "type": "content", "slots": 2, "products": []string{text}}} {
			action["surfaces"], action["submit"], action["copy"] = []string{"home_hero"}, true, []any{map[string]any{"id": "plain", "headline": text + "h"}}
			if i.api("POST", "/api/v1/actions", action) {
				actions = append(actions, fmt.Sprint(action["id"]))
			}
		}
		i.api("PUT", "/api/v1/actions/points/terms", map[string]any{"owner": text, "reason": "r"})
		i.api("PUT", "/api/v1/actions/points/terms", map[string]any{"owner": "mia", "reason": text})
		for _, path := range []string{"/api/v1/actions/points/pause", "/api/v1/actions/points/resume", "/api/v1/actions/five_off/copy/plain/pause", "/api/v1/actions/five_off/copy/plain/resume", "/api/v1/switches/action/points/kill", "/api/v1/switches/action/points/restore",
			"/api/v1/switches/surface/home_hero/kill", "/api/v1/switches/surface/home_hero/restore", "/api/v1/experiments/hero/pause", "/api/v1/experiments/hero/resume", "/api/v1/profiles/s/exclude"} {
			i.api("POST", path, map[string]any{"reason": text})
		}
		i.api("POST", "/api/v1/reviews/reject", map[string]any{"items": []any{map[string]any{"action": "news", "copy": id + "-headline", "version": 1}}, "reason": text})
		i.api("PATCH", "/api/v1/clusters/minimalists", map[string]any{"name": text})
		product, err := json.Marshal(map[string]any{"id": text, "title": text, "category": text, "brand": text, "url": text, "image": text, "price": 1, "currency": "GBP"})
		if err != nil {
			t.Fatal(err)
		}
		i.api("PUT", "/api/v1/products", append(product, '\n'))
		i.api("PUT", "/api/v1/products", []byte(strings.Replace(string(product), `"id":`, `"id":"p-`+id+`","old":`, 1)+"\n"))
		i.api("PATCH", "/api/v1/products", map[string]any{"products": []any{map[string]any{"id": text, "stock": 1}}})
		// People.
		i.api("POST", "/api/v1/users", map[string]any{"name": text, "role": "viewer"})
		i.api("POST", "/api/v1/keys", map[string]any{"name": text, "scopes": []string{"read"}})
		i.api("POST", "/api/v1/keys", map[string]any{"name": "k", "scopes": []string{"choose"}, "publishable": true, "origins": []string{text}})
		i.api("POST", "/api/v1/shares", map[string]any{"path": text})
		i.api("POST", "/api/v1/shares", map[string]any{"path": "/console/intersections?experiment=" + url.QueryEscape(text)})
		for path, form := range map[string]url.Values{"/console/settings/users": {"name": {text}, "role": {text}}, "/console/settings/keys": {"name": {text}, "scopes": {"read", text}, "origins": {text}, "publishable": {"yes"}}, "/console/shares": {"path": {text}, "days": {text}},
			"/console/pool/news/copy": {"id": {text}, "headline": {text}, "body": {text}, "cta": {text}, "voice": {text}, "verb": {"draft"}}, "/console/pool/news/terms": {"owner": {text}, "starts": {text}, "perDay": {text}, "per": {text}, "reason": {text}},
			"/console/pool/news/hold": {"copy": {text}, "verb": {"pause"}, "reason": {text}}, "/console/pool-switch": {"what": {text}, "verb": {"kill"}, "reason": {text}, "back": {text}}, "/console/reviews": {"item": {text}, "verb": {text}, "reason": {text}},
			"/console/experiments/hero/ship": {"arm": {text}, "reason": {text}}, "/console/experiments/hero/pause": {"reason": {text}}, "/console/experiments/hero/resume": {"reason": {text}}} {
			i.form(path, form)
		}
		w := h.call("POST", "/console/sign-in", url.Values{"name": {text}, "password": {text}, "next": {text}}.Encode(), nil)
		i.page("the sign-in", w.Body.Bytes())
		// The store file, whole or not at all.
		until := time.UnixMilli(h.clock.Load()).Add(240 * time.Hour)
		for field, change := range map[string]func(*juncture.Declaration){
			"store.name": func(d *juncture.Declaration) { d.Store.Name = text },
			"copy": func(d *juncture.Declaration) {
				d.Actions[0].Copy[0] = juncture.Copy{ID: "plain", Headline: text, Body: text, CTA: text}
			},
			"payload": func(d *juncture.Declaration) { d.Actions[1].Payload = map[string]any{"note": text, text: text} },
			"owner":   func(d *juncture.Declaration) { d.Actions[1].Owner = text },
			"nudge": func(d *juncture.Declaration) {
				d.Experiments[0].Nudges = []juncture.Nudge{{Action: "news", Factor: 1.5, Owner: text, Why: text, Expires: until}}
			},
			"tags": func(d *juncture.Declaration) { d.Experiments[0].Tags = []string{text} },
			"priority": func(d *juncture.Declaration) {
				d.Priorities = []juncture.Priority{{ID: id, Owner: text, Why: text, Category: text, Products: []string{text}, Weight: 0.5, Expires: until}}
			},
			"editorial": func(d *juncture.Declaration) {
				d.Editorial = []juncture.Editorial{{ID: id, Title: text, URL: text, Image: text, Category: text, Meaning: []string{text}}}
			},
			"words": func(d *juncture.Declaration) {
				d.Guardrails = &juncture.Guardrails{Words: []string{text + "never said"}}
			},
			"context": func(d *juncture.Declaration) { d.Context = []string{text, "device"} },
			"outcome": func(d *juncture.Declaration) {
				d.Outcomes = append(d.Outcomes, juncture.OutcomeType{Name: text, Type: "binary", From: text})
			},
			"surface": func(d *juncture.Declaration) {
				d.Surfaces = append(d.Surfaces, juncture.Surface{ID: text, Channel: "onsite"})
			},
			"experiment": func(d *juncture.Declaration) {
				x := d.Experiments[0]
				x.ID, x.Status = text, "draft"
				d.Experiments = append(d.Experiments, x)
			},
		} {
			i.apply(field, testkit.Declaration(testkit.Shares(0.5, 0.5, 0, 0), change))
		}
		if t.Failed() {
			t.Fatalf("after %.60q", text)
		}
	}
	t.Logf("%d texts sent, %d taken", i.sent, i.took)
	if i.took < i.sent/5 || i.took > i.sent*9/10 {
		t.Error("nearly everything was taken, or refused: nothing is tried")
	}
	i.readAll(shoppers, actions)
}

// apply brings the store to a declaration by a file, as the command does.
func (i *intruder) apply(field string, d *juncture.Declaration) {
	i.t.Helper()
	b, err := json.Marshal(d) // which is YAML too
	file := filepath.Join(i.t.TempDir(), "store.yaml")
	if err == nil {
		err = os.WriteFile(file, b, 0o600)
	}
	if err != nil {
		i.t.Fatal(err)
	}
	i.try("apply "+field, func() (int, string) {
		var out bytes.Buffer
		if err := run(context.WithoutCancel(i.t.Context()), []string{"apply", "-f", file, "--approve", "--db", i.db.Path()}, &out, io.Discard); err != nil {
			return 400, err.Error()
		}
		return 200, ""
	})
}

// readAll fetches every page, export and answer, of everything that there is by now, and with hostile text in every query.
func (i *intruder) readAll(shoppers map[string]bool, actions []string) {
	t := i.t
	page, err := i.engine.LogOf(i.db).Decisions(t.Context(), juncture.DecisionQuery{Limit: 60})
	if err != nil {
		t.Fatal(err)
	}
	var decisions, keys []string
	for _, d := range page.Items {
		decisions, keys = append(decisions, d.DecisionID), append(keys, d.Intersection)
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	of := map[string][]string{"/api/v1/actions/:id": actions, "/console/pool/:id": actions, "/api/v1/decisions/:id": decisions, "/api/v1/decisions/:id/replay": decisions, "/api/v1/profiles/:id": slices.Collect(maps.Keys(shoppers))}
	seen := map[string]int{}
	read := func(path string) {
		t.Helper()
		change := withToken(i.sessions["admin"])
		if !strings.HasPrefix(path, "/console") {
			change = withKey(i.keys["admin"])
		}
		w := i.call(http.MethodGet, path, "", change)
		body, kind := w.Body.Bytes(), w.Header().Get("Content-Type")
		seen[fmt.Sprint(strings.Split(kind, ";")[0], " ", w.Code)]++
		where := fmt.Sprintf("GET %.300s", path)
		if w.Code >= 500 && w.Code != 503 {
			t.Errorf("%s: %d %.300s", where, w.Code, body)
		}
		switch {
		case strings.HasPrefix(kind, "text/html"):
			i.page(where, body)
		case strings.HasPrefix(kind, "text/csv"):
			i.table(where, body)
		case strings.HasPrefix(kind, "application/json"), strings.HasPrefix(kind, "application/problem+json"):
			if !json.Valid(body) || !utf8.Valid(body) || bytes.IndexByte(body, 0) >= 0 {
				t.Errorf("%s is no JSON", where)
			}
		case strings.HasPrefix(kind, "application/x-ndjson"):
			for line := range bytes.Lines(body) {
				if !json.Valid(line) {
					t.Errorf("%s: %.100q is no JSON", where, line)
				}
			}
		}
		for name, values := range w.Header() {
			if strings.ContainsAny(strings.Join(values, ""), "\r\n\x00") {
				t.Errorf("%s: the header %s is %q", where, name, values)
			}
		}
	}
	for _, r := range i.server.Gin().Routes() {
		if r.Method != http.MethodGet || strings.HasPrefix(r.Path, "/console/sign-in/oidc") || r.Path == "/metrics" || r.Path == "/console/live" { // live: a stream, of serials
			continue
		}
		paths := []string{strings.NewReplacer(":id", "hero", ":token", "x", ":sum/:file", "x/y", "*rest", "s/export").Replace(r.Path)}
		for _, id := range of[r.Path] {
			paths = append(paths, strings.Replace(r.Path, ":id", url.PathEscape(id), 1))
		}
		for _, p := range paths {
			read(p)
		}
		for n, text := range hostile() { // in what is asked, and as what is asked for
			q := url.Values{}
			for _, name := range []string{"experiment", "key", "rows", "cols", "q", "shopper", "id", "action", "group", "from", "to", "actor", "subject", "edit", "done", "saved", "show", "over", "ask", "only", "state", "surface", "filter.lifecycle", "filter." + text, "axes", "before", "at", "next", "limit"} {
				one := url.Values{"experiment": {"hero"}, name: {text}}
				if q.Set(name, text); n == 1 && strings.HasPrefix(r.Path, "/console") {
					read(paths[0] + "?" + one.Encode())
				}
			}
			read(paths[0] + "?" + q.Encode())
			if strings.Contains(r.Path, ":id") && text != "" && text != " " {
				read(strings.Replace(r.Path, ":id", url.PathEscape(text), 1))
			}
		}
	}
	for s := range shoppers {
		for _, p := range []string{"/console/shopper", "/console/shopper/timeline.csv", "/console/shopper/decisions.csv"} {
			read(p + "?" + url.Values{"id": {s}}.Encode())
		}
		read("/console/decisions.csv?" + url.Values{"shopper": {s}}.Encode())
		read("/console/shoppers/" + url.PathEscape(s) + "/erase")
		read("/console/shoppers/" + url.PathEscape(s) + "/export")
	}
	for _, k := range keys {
		for _, p := range []string{"/console/intersection", "/console/intersection.csv", "/api/v1/experiments/hero/intersection"} {
			read(p + "?" + url.Values{"experiment": {"hero"}, "key": {k}}.Encode())
		}
	}
	for _, d := range decisions {
		read("/console/decision?replay=1&id=" + url.QueryEscape(d))
	}
	for _, what := range []string{"decisions", "outcomes", "events"} {
		i.table("export "+what, []byte(command(t.(*testing.T), "export", what, "--format", "csv", "--db", i.db.Path())))
	}
	t.Log(seen)
	if seen["text/html 200"] < 100 || seen["text/csv 200"] < 50 || seen["application/json 200"] < 50 {
		t.Errorf("read too little: %v", seen)
	}
}

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/juncture/juncture/access"
	"github.com/juncture/juncture/internal/testkit"
)

// Who may call a route beside the roles and scopes.
const (
	anybody = "anybody" // without sign-in or key
	events  = "events"  // the tracking API's write key, by name or header
)

// whoMay says of every route who may call it: a role of the console (and those that include it), a scope of the API
// (and admin), or anybody. A new route is one line here; a route without one fails the test, and so does a route that
// lets others in.
func whoMay() map[string]string {
	const viewer, editor, approver, admin = string(access.RoleViewer), string(access.RoleEditor), string(access.RoleApprover), string(access.RoleAdmin)
	const choose, reward, read, edit, approve, all = "scope " + string(access.ScopeChoose), "scope " + string(access.ScopeReward), "scope " + string(access.ScopeRead), "scope " + string(access.ScopeEdit), "scope " + string(access.ScopeApprove), "scope " + string(access.ScopeAdmin)
	return map[string]string{
		"GET /livez": anybody, "GET /readyz": anybody, "GET /version": anybody, "GET /metrics": anybody, "GET /openapi.json": anybody,
		"POST /choose": choose, "POST /choose/batch": choose, "POST /activate": choose, "POST /reward": reward, "POST /reward/batch": reward,
		"POST /v1/track": events, "POST /v1/page": events, "POST /v1/screen": events, "POST /v1/identify": events, "POST /v1/group": events, "POST /v1/alias": events, "POST /v1/batch": events,
		"POST /v1/t": events, "POST /v1/p": events, "POST /v1/s": events, "POST /v1/i": events, "POST /v1/g": events, "POST /v1/a": events, "POST /v1/b": events,

		"GET /api/v1/store": read, "GET /api/v1/profiles/:id": read, "GET /api/v1/profiles/:id/timeline": read, "GET /api/v1/layers": read, "GET /api/v1/clusters": read, "GET /api/v1/catalogue": read,
		"GET /api/v1/experiments": read, "GET /api/v1/experiments/:id": read, "GET /api/v1/experiments/:id/grid": read, "GET /api/v1/experiments/:id/winners": read,
		"GET /api/v1/experiments/:id/intersection": read, "GET /api/v1/experiments/:id/report": read, "GET /api/v1/experiments/:id/evaluate": read, "GET /api/v1/experiments/:id/worth": read,
		"GET /api/v1/experiments/:id/health": read, "GET /api/v1/experiments/:id/history": read, "GET /api/v1/products": read,
		"GET /api/v1/actions": read, "GET /api/v1/actions/:id": read, "GET /api/v1/reviews": read, "GET /api/v1/switches": read,
		"GET /api/v1/priorities": read, "GET /api/v1/priorities/:id": read, "GET /api/v1/priorities/:id/preview": read,
		"POST /api/v1/priorities": edit, "POST /api/v1/priorities/:id/pause": approve, "POST /api/v1/priorities/:id/resume": approve, "POST /api/v1/priorities/:id/retire": approve,
		"POST /api/v1/actions": edit, "POST /api/v1/actions/:id/copy": edit, "PUT /api/v1/actions/:id/terms": approve,
		"POST /api/v1/actions/:id/pause": approve, "POST /api/v1/actions/:id/resume": approve, "POST /api/v1/actions/:id/retire": approve,
		"POST /api/v1/actions/:id/copy/:copy/pause": approve, "POST /api/v1/actions/:id/copy/:copy/resume": approve, "POST /api/v1/actions/:id/copy/:copy/retire": approve,
		"POST /api/v1/reviews/submit": edit, "POST /api/v1/reviews/withdraw": edit, "POST /api/v1/reviews/approve": approve, "POST /api/v1/reviews/reject": approve,
		"POST /api/v1/switches/action/:id/kill": approve, "POST /api/v1/switches/action/:id/restore": approve, "POST /api/v1/switches/surface/:id/kill": approve, "POST /api/v1/switches/surface/:id/restore": approve,
		"POST /api/v1/switches/store/kill": approve, "POST /api/v1/switches/store/restore": approve,
		"GET /api/v1/decisions": read, "GET /api/v1/decisions/:id": read, "GET /api/v1/decisions/:id/replay": read, "GET /api/v1/experiments/:id/next": read,
		"PUT /api/v1/products": all, "PATCH /api/v1/products": all, "PATCH /api/v1/clusters/:id": edit, "POST /api/v1/clusters/refit": all,
		"GET /api/v1/profiles/:id/export": all, "DELETE /api/v1/profiles/:id": all, "POST /api/v1/profiles/:id/exclude": all,
		"POST /api/v1/experiments/:id/start": approve, "POST /api/v1/experiments/:id/pause": approve, "POST /api/v1/experiments/:id/resume": approve, "POST /api/v1/experiments/:id/stop": approve,
		"POST /api/v1/experiments/:id/ship": all, "POST /api/v1/experiments/:id/rollback": all, "POST /api/v1/experiments/:id/reset": approve,
		"GET /api/v1/users": all, "POST /api/v1/users": all, "PATCH /api/v1/users/:name": all, "POST /api/v1/users/:name/password": all, "DELETE /api/v1/users/:name/sessions": all,
		"GET /api/v1/keys": all, "POST /api/v1/keys": all, "DELETE /api/v1/keys/:id": all, "GET /api/v1/shares": all, "POST /api/v1/shares": all, "DELETE /api/v1/shares/:id": all,
		"GET /api/v1/audit": all, "GET /api/v1/audit/verify": all, "GET /api/v1/settings": all,

		"GET /": anybody, "GET /docs/api": anybody, "GET /console/static/:sum/:file": anybody, "GET /console/sign-in": anybody, "POST /console/sign-in": anybody, "POST /console/sign-out": anybody,
		"GET /console/sign-in/oidc": anybody, "GET /console/sign-in/oidc/back": anybody, "GET /console/share/:token": anybody,
		"GET /console": viewer, "GET /console/intersections": viewer, "GET /console/intersections.csv": viewer, "GET /console/intersections/list": viewer, "GET /console/intersections/list.csv": viewer,
		"GET /console/intersection": viewer, "GET /console/intersection.csv": viewer,
		"GET /console/shopper": viewer, "GET /console/shopper/timeline.csv": viewer, "GET /console/shopper/decisions.csv": viewer,
		"GET /console/layers": viewer, "GET /console/layers/mix.csv": viewer, "GET /console/layers/moves.csv": viewer, "GET /console/layers/clusters.csv": viewer, "GET /console/layers/quarantine.csv": viewer,
		"GET /console/layers/clusters/:id": viewer, "POST /console/layers/clusters/:id": editor, "GET /console/layers/refit": viewer, "POST /console/layers/refit": admin,
		"GET /console/shoppers/*rest": admin, "POST /console/shoppers/*rest": admin,
		"GET /console/pool": viewer, "GET /console/pool.csv": viewer, "GET /console/pool/:id": viewer, "GET /console/pool/:id/versions.csv": viewer, "GET /console/reviews": viewer,
		"GET /console/pool-new": editor, "POST /console/pool-new": editor, "GET /console/pool/:id/edit": editor, "POST /console/pool/:id/edit": editor,
		"POST /console/reviews": editor, "POST /console/pool/:id/copy": editor, "POST /console/pool/:id/hold": approver, "POST /console/pool/:id/terms": approver, "POST /console/pool-switch": approver,
		"GET /console/priorities": viewer, "GET /console/priorities.csv": viewer, "GET /console/priorities/:id": viewer, "GET /console/priorities/:id/versions.csv": viewer, "POST /console/priorities": editor, "POST /console/priorities/:id/hold": approver,
		"GET /console/decisions": viewer, "GET /console/decisions.csv": viewer, "GET /console/decision": viewer, "GET /console/decision.csv": viewer, "GET /console/live": viewer,
		"GET /console/intersections/next": viewer, "GET /console/intersections/next.csv": viewer,
		"GET /console/experiments": viewer, "GET /console/experiments.csv": viewer, "GET /console/experiments/:id": viewer, "GET /console/experiments/:id/lifts.csv": viewer,
		"GET /console/experiments/:id/groups.csv": viewer, "GET /console/experiments/:id/arms.csv": viewer, "GET /console/experiments/:id/layers.csv": viewer,
		"GET /console/experiments/:id/days.csv": viewer, "GET /console/experiments/:id/history.csv": viewer, "GET /console/experiments/:id/what-if": viewer, "GET /console/experiments/:id/what-if.csv": viewer,
		"GET /console/experiments/:id/start": approver, "POST /console/experiments/:id/start": approver, "GET /console/experiments/:id/pause": approver, "POST /console/experiments/:id/pause": approver,
		"GET /console/experiments/:id/resume": approver, "POST /console/experiments/:id/resume": approver, "GET /console/experiments/:id/stop": approver, "POST /console/experiments/:id/stop": approver,
		"GET /console/experiments/:id/reset": approver, "POST /console/experiments/:id/reset": approver, "GET /console/experiments/:id/ship": admin, "POST /console/experiments/:id/ship": admin,
		"GET /console/experiments/:id/rollback": admin, "POST /console/experiments/:id/rollback": admin,
		"GET /console/catalogue": viewer, "GET /console/catalogue/products.csv": viewer, "GET /console/catalogue/trending.csv": viewer, "GET /console/catalogue/cross-sells.csv": viewer,
		"GET /console/catalogue/priorities.csv": viewer, "GET /console/catalogue/editorial.csv": viewer,
		"POST /console/shares": editor,
		"GET /console/audit":   approver, "GET /console/audit.csv": approver, "GET /console/audit.ndjson": approver, "POST /console/audit/verify": approver,
		"GET /console/settings": admin, "GET /console/settings/users.csv": admin, "GET /console/settings/keys.csv": admin, "GET /console/settings/shares.csv": admin, "POST /console/settings/users": admin, "POST /console/settings/users/:name": admin, "POST /console/settings/keys": admin,
		"POST /console/settings/keys/:id/revoke": admin, "POST /console/settings/shares/:id/revoke": admin,
	}
}

// house is a whole server without its listener, on a database of its own, with a user of each role, a key of each scope
// and an identity provider.
type house struct {
	*running
	t        testing.TB
	clock    atomic.Int64 // Unix ms
	issuer   *testkit.OIDC
	sessions map[string]string // token by role
	keys     map[string]string // secret by scope
}

const secretWord = "correct horse battery"

func openHouse(t testing.TB) *house {
	t.Helper()
	h := &house{t: t, sessions: map[string]string{}, keys: map[string]string{}}
	h.clock.Store(time.Now().UnixMilli())
	now := func() time.Time { return time.UnixMilli(h.clock.Load()) }
	h.issuer = testkit.StartOIDC(t, now)
	a := &app{settings: defaults(), out: io.Discard, err: io.Discard, now: now}
	a.Addr, a.DB, a.Drain = "127.0.0.1:0", filepath.Join(t.TempDir(), "house.db"), 0
	a.OIDC = oidcSettings{Title: "Shop accounts", Issuer: h.issuer.URL, ClientID: h.issuer.ClientID, Secret: h.issuer.Secret, Domains: []string{"shop.example"}, DefaultRole: access.RoleViewer}
	s, err := a.startServer(context.WithoutCancel(t.Context()), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	h.running = s
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	for _, r := range access.Roles() {
		if _, err := s.people.AddUser(t.Context(), access.Who{Actor: "test", From: "test"}, string(r), r, secretWord, now()); err != nil {
			t.Fatal(err)
		}
		h.signIn(string(r))
	}
	for _, scope := range access.Scopes() {
		k, secret, err := access.NewKey(string(scope), []access.Scope{scope}, false, nil, now(), a.random())
		if err != nil {
			t.Fatal(err)
		}
		if err := s.db.CreateKey(t.Context(), k, access.KeyNote(access.Who{Actor: "test", From: "test"}, k, now())); err != nil {
			t.Fatal(err)
		}
		h.keys[string(scope)] = secret
	}
	return h
}

// call sends a request to the handler; change may be nil.
func (h *house) call(method, path, body string, change func(*http.Request)) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, "http://juncture.shop.example"+path, strings.NewReader(body))
	if strings.HasPrefix(path, "/console") {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if change != nil {
		change(req)
	}
	if w := httptest.NewRecorder(); path != "/console/live" {
		h.server.ServeHTTP(w, req)
		return w
	}
	ctx, leave := context.WithCancel(req.Context()) // the stream ends when who reads it goes away
	defer leave()
	w := &leaving{httptest.NewRecorder(), leave}
	h.server.ServeHTTP(w, req.WithContext(ctx))
	return w.ResponseRecorder
}

// leaving goes away once anything was written.
type leaving struct {
	*httptest.ResponseRecorder
	leave func()
}

func (w *leaving) Write(b []byte) (int, error) {
	defer w.leave()
	return w.ResponseRecorder.Write(b)
}

func (w *leaving) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

func (w *leaving) Flush() {
	defer w.leave()
	w.ResponseRecorder.Flush()
}

func withToken(token string) func(*http.Request) {
	return func(r *http.Request) {
		if token != "" {
			r.AddCookie(&http.Cookie{Name: "juncture", Value: token})
		}
	}
}

func withKey(secret string) func(*http.Request) {
	return func(r *http.Request) {
		if secret != "" {
			r.Header.Set("Authorization", "Bearer "+secret)
		}
	}
}

func (h *house) signIn(name string) string {
	h.t.Helper()
	w := h.call("POST", "/console/sign-in", url.Values{"name": {name}, "password": {secretWord}}.Encode(), nil)
	for _, c := range w.Result().Cookies() {
		if c.Name == "juncture" && w.Code == 303 {
			h.sessions[name] = c.Value
			return c.Value
		}
	}
	h.t.Fatalf("%s is not signed in: %d %s", name, w.Code, w.Body)
	return ""
}

var parameter = regexp.MustCompile(`[:*]\w+`)

// addressed is a route's path with something in place of its parameters that is not there.
func addressed(path string) string {
	return parameter.ReplaceAllStringFunc(path, func(p string) string { return map[bool]string{true: "nobody/export", false: "nobody"}[p == "*rest"] })
}

// TestRolesAndRoutes tries every route as everybody, and every other method on its path.
func TestRolesAndRoutes(t *testing.T) {
	h, table := openHouse(t), whoMay()
	routes := map[string]bool{}
	methods := map[string][]string{}
	for _, r := range h.server.Gin().Routes() {
		methods[r.Path] = append(methods[r.Path], r.Method)
		if r.Method != http.MethodHead && r.Method != http.MethodOptions { // HEAD is held to GET below, OPTIONS answers browsers' preflights alone
			routes[r.Method+" "+r.Path] = true
		}
	}
	for route := range routes {
		if table[route] == "" {
			t.Errorf("%s is not in the table: say who may", route)
		}
	}
	outside := func(w *httptest.ResponseRecorder) bool {
		return w.Code == 401 || w.Code == 403 || w.Code == 303 && strings.HasPrefix(w.Header().Get("Location"), "/console/sign-in")
	}
	tried := 0
	for route, may := range table {
		method, path, _ := strings.Cut(route, " ")
		if !routes[route] {
			t.Errorf("%s is in the table, and there is no such route", route)
			continue
		}
		ask := []string{method}
		if slices.Contains(methods[path], http.MethodHead) && method == http.MethodGet {
			ask = append(ask, http.MethodHead)
		}
		for _, method := range ask {
			try := func(who string, allowed bool, change func(*http.Request)) {
				body := ""
				if may == events { // the key may stand in the body, which is read first
					body = `{"batch":[{}]}`
				}
				w := h.call(method, addressed(path), body, change)
				tried++
				if outside(w) == allowed && path != "/console/sign-in" && path != "/console/sign-out" && !strings.HasPrefix(path, "/console/sign-in/") { // which answer 401 and lead to the sign-in themselves
					t.Errorf("%s as %s: %d to %q, allowed %v", route, who, w.Code, w.Header().Get("Location"), allowed)
				}
				if w.Code >= 500 && !(path == "/readyz") {
					t.Errorf("%s as %s: %d %s", route, who, w.Code, w.Body)
				}
			}
			scope, isScope := strings.CutPrefix(may, "scope ")
			if may == events {
				scope, isScope = string(access.ScopeEvents), true
			}
			try("nobody", may == anybody, nil)
			for _, r := range access.Roles() {
				if path == "/console/sign-out" {
					continue // tried with the attacks
				}
				allowed := may == anybody || !isScope && r.AtLeast(access.Role(may)) // a session is no key
				try("the role "+string(r), allowed, withToken(h.sessions[string(r)]))
			}
			for _, s := range access.Scopes() {
				allowed := may == anybody || isScope && s.Implies(access.Scope(scope)) // a key is no session
				try("the scope "+string(s), allowed, withKey(h.keys[string(s)]))
			}
		}
		for _, other := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
			if routes[other+" "+path] || routes[other+" "+path[:strings.LastIndexByte(path, '/')]+"/:id"] { // which takes it for an id
				continue
			}
			for _, change := range []func(*http.Request){nil, withToken(h.sessions["admin"]), withKey(h.keys["admin"])} {
				if w := h.call(other, addressed(path), "", change); w.Code != 405 && w.Code != 404 {
					t.Errorf("%s %s: %d", other, path, w.Code)
				}
			}
		}
	}
	t.Logf("%d routes, tried %d times", len(table), tried)
}

// The description says of every operation the scope that the table says.
func TestDescriptionSaysWhoMay(t *testing.T) {
	h, table := openHouse(t), whoMay()
	var doc struct {
		Paths map[string]map[string]struct{ Security []map[string][]string }
	}
	if err := json.Unmarshal(h.call("GET", "/openapi.json", "", nil).Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	for path, item := range doc.Paths {
		for method, op := range item {
			may := table[strings.ToUpper(method)+" "+regexp.MustCompile(`\{(\w+)\}`).ReplaceAllString(path, ":$1")]
			want := []map[string][]string{}
			if scope, ok := strings.CutPrefix(may, "scope "); ok {
				want = append(want, map[string][]string{"bearer": {scope}})
			} else if may == events { // {}: the key stands in the body
				want = append(want, map[string][]string{"basic": {events}}, map[string][]string{"bearer": {events}}, map[string][]string{})
			}
			if diff := cmp.Diff(want, op.Security); diff != "" {
				t.Errorf("%s %s, security:\n%s", method, path, diff)
			}
		}
	}
}

// TestFormsFromOtherSites sends every form of the console from another site, in an admin's browser.
func TestFormsFromOtherSites(t *testing.T) {
	h := openHouse(t)
	before := h.auditLength()
	n := 0
	for route := range whoMay() {
		method, path, _ := strings.Cut(route, " ")
		if method == http.MethodGet || !strings.HasPrefix(path, "/console") {
			continue
		}
		n++
		form := url.Values{"name": {"eve"}, "role": {"admin"}, "do": {"password"}, "scopes": {"admin"}, "path": {"/console/intersections"}, "password": {secretWord}}.Encode()
		for name, headers := range map[string]map[string]string{"by Sec-Fetch-Site": {"Sec-Fetch-Site": "cross-site"}, "of a sibling": {"Sec-Fetch-Site": "same-site"}, "by Origin": {"Origin": "https://evil.example"},
			"of nowhere": {"Origin": "null"}, "of another port": {"Origin": "http://juncture.shop.example:8081"}} {
			w := h.call(method, strings.ReplaceAll(addressed(path), "nobody", "viewer"), form, func(r *http.Request) {
				withToken(h.sessions["admin"])(r)
				for k, v := range headers {
					r.Header.Set(k, v)
				}
			})
			if w.Code != 403 || len(w.Result().Cookies()) > 0 {
				t.Errorf("%s %s: %d %v", route, name, w.Code, w.Header())
			}
		}
	}
	if after := h.auditLength(); after != before || n < 10 {
		t.Errorf("%d forms from other sites made %d changes", n, after-before)
	}
	// What names no site is no browser's: it is taken from who holds a session, and from nobody else.
	link := url.Values{"path": {"/console/intersections"}, "days": {"1"}}.Encode()
	if w := h.call("POST", "/console/shares", link, withToken(h.sessions["editor"])); w.Code != 200 {
		t.Errorf("a form that names no site, with a session: %d", w.Code)
	}
	if w := h.call("POST", "/console/shares", link, nil); w.Code != 303 || !strings.HasPrefix(w.Header().Get("Location"), "/console/sign-in") {
		t.Errorf("and without: %d %v", w.Code, w.Header())
	}
	if w := h.call("GET", "/console", "", withToken(h.sessions["admin"])); w.Code != 200 {
		t.Errorf("they signed the admin out: %d", w.Code)
	}
}

func (h *house) auditLength() int64 {
	h.t.Helper()
	head, err := h.db.AuditHead(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	return head.Seq
}

func TestSessionsUnderAttack(t *testing.T) {
	h := openHouse(t)
	in := func(token string) bool {
		t.Helper()
		return h.call("GET", "/console", "", withToken(token)).Code == 200
	}
	t.Run("fixation", func(t *testing.T) {
		// The attacker plants a token of theirs, or a made-up one, and waits for the victim to sign in with it.
		for _, planted := range []string{strings.Repeat("A", 43), h.sessions["viewer"]} {
			w := h.call("POST", "/console/sign-in", url.Values{"name": {"admin"}, "password": {secretWord}}.Encode(), withToken(planted))
			c := w.Result().Cookies()
			if len(c) != 1 || c[0].Value == planted || !in(c[0].Value) {
				t.Fatalf("%d %v", w.Code, w.Header())
			}
			if w := h.call("GET", "/console/settings", "", withToken(planted)); w.Code == 200 {
				t.Error("the planted token is an admin's")
			}
		}
	})
	t.Run("forged", func(t *testing.T) {
		good := h.sessions["admin"]
		swapped := []byte(good)
		swapped[7] ^= 1
		for _, forged := range []string{"", "x", good[:42], good + "A", string(swapped), strings.ToLower(good) + "=", "' OR 1=1 --", strings.Repeat("A", 43), strings.Repeat("A", 8000)} {
			if in(forged) {
				t.Errorf("%.60q is let in", forged)
			}
		}
		if w := h.call("GET", "/console", "", func(r *http.Request) { r.Header.Set("Cookie", "__Host-juncture="+good) }); w.Code == 200 {
			t.Error("the cookie of TLS is taken without it")
		}
	})
	t.Run("signed out", func(t *testing.T) {
		token := h.signIn("viewer")
		w := h.call("POST", "/console/sign-out", "", withToken(token))
		if w.Code != 303 || in(token) {
			t.Errorf("%d, in: %v", w.Code, in(token))
		}
	})
	t.Run("disabled", func(t *testing.T) {
		token := h.signIn("editor")
		if w := h.call("POST", "/console/settings/users/editor", "do=disable", withToken(h.sessions["admin"])); w.Code != 303 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if in(token) {
			t.Error("a disabled user's session goes on")
		}
		w := h.call("POST", "/console/sign-in", url.Values{"name": {"editor"}, "password": {secretWord}}.Encode(), nil)
		unknown := h.call("POST", "/console/sign-in", url.Values{"name": {"nobody"}, "password": {secretWord}}.Encode(), nil)
		if w.Code != 401 || strings.ReplaceAll(w.Body.String(), "editor", "nobody") != unknown.Body.String() {
			t.Error("who is disabled is told from who is not there")
		}
	})
	t.Run("a role taken away", func(t *testing.T) {
		if w := h.call("POST", "/console/settings/users/approver", "do=role&role=viewer", withToken(h.sessions["admin"])); w.Code != 303 {
			t.Fatalf("%d", w.Code)
		}
		if w := h.call("GET", "/console/audit", "", withToken(h.sessions["approver"])); w.Code != 403 {
			t.Errorf("the old session has the old role: %d", w.Code)
		}
	})
	t.Run("expired", func(t *testing.T) {
		token := h.signIn("admin")
		h.clock.Add((12*time.Hour - time.Second).Milliseconds())
		if !in(token) {
			t.Error("over before its end")
		}
		h.clock.Add(time.Second.Milliseconds())
		if in(token) {
			t.Error("goes on after twelve hours")
		}
	})
	t.Run("headers", func(t *testing.T) {
		h.signIn("admin")
		for route := range whoMay() {
			method, path, _ := strings.Cut(route, " ")
			if method != http.MethodGet || !strings.HasPrefix(path, "/console") {
				continue
			}
			w := h.call(method, addressed(path), "", withToken(h.sessions["admin"]))
			for k, want := range map[string]string{"Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff"} {
				if got := w.Header().Get(k); got != want {
					t.Errorf("%s: %s is %q", route, k, got)
				}
			}
			if p := w.Header().Get("Referrer-Policy"); p != "same-origin" && p != "no-referrer" {
				t.Errorf("%s: Referrer-Policy is %q", route, p)
			}
		}
	})
	t.Run("redirects", func(t *testing.T) {
		for _, next := range []string{"https://evil.example", "//evil.example", `/\evil.example`, "/\t/evil.example", "javascript:alert(1)", "/console/../..//evil.example/%0d%0aSet-Cookie:x",
			`\\evil.example`, "https:evil.example", "%2F%2Fevil.example", "/%09/evil.example", " //evil.example", "\n//evil.example", "/console//evil.example", "／／evil.example", "/／evil.example", "https:/\\evil.example", "//evil.example/console", "data:text/html,x"} {
			w := h.call("POST", "/console/sign-in", url.Values{"name": {"admin"}, "password": {secretWord}, "next": {next}}.Encode(), nil)
			where, err := url.Parse(w.Header().Get("Location"))
			if w.Code != 303 || err != nil || where.Host != "" || where.Scheme != "" || !strings.HasPrefix(where.Path, "/") || strings.HasPrefix(where.Path, "//") {
				t.Errorf("next=%q leads to %q", next, w.Header().Get("Location"))
			}
		}
	})
}

// TestSignInAtAProvider walks the whole way in a browser: the button, the provider, back, a page, the audit log.
func TestSignInAtAProvider(t *testing.T) {
	h := openHouse(t)
	h.issuer.SignsIn(map[string]any{"sub": "ada", "name": "Ada Lovelace", "email": "ada@shop.example", "email_verified": true}, nil)
	base := "http://" + h.addr
	jar := newJar(t)
	browser := &http.Client{Jar: jar}
	get := func(path string) (int, string, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := browser.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, resp.Request.URL.RequestURI(), string(b)
	}
	if _, at, body := get("/console/layers"); at != "/console/sign-in?next=%2Fconsole%2Flayers" || !strings.Contains(body, "Sign in with Shop accounts") {
		t.Fatalf("at %s: %s", at, body)
	}
	if status, at, body := get("/console/sign-in/oidc?next=%2Fconsole%2Flayers"); status != 200 || at != "/console/layers" || !strings.Contains(body, "Ada Lovelace") {
		t.Fatalf("%d at %s: %s", status, at, body)
	}
	if status, _, _ := get("/console/settings"); status != 403 {
		t.Errorf("a viewer by domain opens the settings: %d", status)
	}
	h.issuer.SignsIn(map[string]any{"sub": "eve", "email": "eve@evil.example", "email_verified": true}, nil)
	browser = &http.Client{Jar: newJar(t)}
	if status, _, body := get("/console/sign-in/oidc"); status != 403 || !strings.Contains(body, "may not use this console") {
		t.Errorf("another domain: %d %s", status, body)
	}
	found := ""
	for e, err := range h.db.Audit(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if e.From == "single sign-on" {
			found += fmt.Sprintf("%s %s %s;", e.Action, e.Subject, e.After)
		}
		if text := e.Actor + e.Subject + string(e.Before) + string(e.After); strings.Contains(text, "@shop.example") || strings.Contains(text, "Lovelace") {
			t.Errorf("the audit log names a person: %s", text)
		}
	}
	if !regexp.MustCompile(`^create user sso-\w{10} {"role":"viewer","signIn":"single sign-on"};$`).MatchString(found) {
		t.Errorf("noted: %q", found)
	}
}

func newJar(t testing.TB) http.CookieJar {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return jar
}

// TestSharedLink makes a link as an editor does and follows it as somebody without an account, until it is over.
func TestSharedLink(t *testing.T) {
	h := openHouse(t)
	if _, err := applyTo(t.Context(), h.db, testkit.Declaration(), true, "test", time.Now()); err != nil {
		t.Fatal(err)
	}
	share := func(days string) (path string) {
		t.Helper()
		w := h.call("POST", "/console/shares", url.Values{"path": {"/console/intersections?experiment=hero"}, "days": {days}}.Encode(), withToken(h.sessions["editor"]))
		m := regexp.MustCompile(`value="http://juncture\.shop\.example(/console/share/[\w-]{43})"`).FindStringSubmatch(w.Body.String())
		if w.Code != 200 || m == nil {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		return m[1]
	}
	sees := func(path string) bool {
		t.Helper()
		w := h.call("GET", path, "", nil)
		shown := w.Code == 200 && strings.Contains(w.Body.String(), "What wins where") && strings.Contains(w.Body.String(), "A shared page")
		if !shown && w.Code != 404 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		return shown
	}
	week, day := share("7"), share("1")
	if !sees(week) || !sees(day) || sees(week[:len(week)-1]+"_") {
		t.Error("a link does not show its page, or a forged one does")
	}
	// It shows that page and no other, whatever is asked beside it, and takes nothing.
	if w := h.call("GET", week+"?experiment=other&rows=mode&key=v1/_/_/_/_", "", nil); w.Code != 200 || !strings.Contains(w.Body.String(), `<option value="hero" selected>`) && !strings.Contains(w.Body.String(), "Hero at Home hero") {
		t.Errorf("another experiment through the link: %d", w.Code)
	}
	for _, path := range []string{"/console/intersections", "/console/experiments", "/console/audit", "/console/settings"} {
		token := strings.TrimPrefix(week, "/console/share/")
		for _, asked := range []string{path + "?token=" + token, path + "/" + token, week + "/../.." + strings.TrimPrefix(path, "/console"), week + path} {
			if w := h.call("GET", asked, "", nil); w.Code == 200 {
				t.Errorf("%s opens with a link's token", asked)
			}
		}
	}
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
		if w := h.call(method, week, "reason=x", nil); w.Code != 404 && w.Code != 405 {
			t.Errorf("%s to a link: %d", method, w.Code)
		}
	}
	var ids []string
	shares, err := h.db.Shares(t.Context())
	for _, s := range shares {
		ids = append(ids, s.ID)
		if strings.Contains(fmt.Sprintf("%s %s %q", s.ID, s.Path, s.Hash), strings.TrimPrefix(week, "/console/share/")) || s.MadeBy != "user:editor" {
			t.Errorf("kept: %+v", s)
		}
	}
	if err != nil || len(ids) != 2 {
		t.Fatal(ids, err)
	}
	h.clock.Add((24*time.Hour - time.Millisecond).Milliseconds())
	if !sees(day) {
		t.Error("over before its end")
	}
	h.clock.Add(1)
	if sees(day) || !sees(week) {
		t.Error("a link of a day goes on, or one of seven days ends")
	}
	for _, id := range ids {
		if w := h.call("POST", "/console/settings/shares/"+id+"/revoke", "", withToken(h.signIn("admin"))); w.Code != 303 {
			t.Errorf("revoke: %d %s", w.Code, w.Body)
		}
	}
	if sees(week) {
		t.Error("a revoked link goes on")
	}
}

func TestOIDCSettings(t *testing.T) {
	for k, v := range map[string]string{"ISSUER": "https://id.example", "CLIENT_ID": "juncture", "CLIENT_SECRET": "s", "ROLE_CLAIM": "groups", "ROLES": "growth=editor,leads=approver", "DOMAINS": "shop.example,shop.test", "DEFAULT_ROLE": "viewer"} {
		t.Setenv("JUNCTURE_OIDC_"+k, v)
	}
	a := &app{settings: defaults()}
	c := a.serveCommand()
	if err := a.configure(c); err != nil {
		t.Fatal(err)
	}
	want := oidcSettings{Issuer: "https://id.example", ClientID: "juncture", Secret: "s", RoleClaim: "groups", Roles: map[string]access.Role{"growth": access.RoleEditor, "leads": access.RoleApprover},
		Domains: []string{"shop.example", "shop.test"}, DefaultRole: access.RoleViewer}
	if diff := cmp.Diff(want, a.OIDC); diff != "" {
		t.Errorf("from the environment:\n%s", diff)
	}
	file := filepath.Join(t.TempDir(), "settings.yaml")
	for text, ok := range map[string]bool{"oidc: {issuer: https://id.example, clientId: c, roles: {growth: editor}}": true, "oidc: {clientSecret: s}": false, "oidc: {secret: s}": false} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		a := &app{settings: defaults(), config: file}
		if err := a.configure(a.serveCommand()); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}

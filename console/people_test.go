package console

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/access"
	"github.com/juncture/juncture/audit"
)

// cannedDesk is people, keys, links, settings and an audit log with canned data; done is what was asked of it.
type cannedDesk struct {
	users  juncture.UsersView
	keys   juncture.KeysView
	shares juncture.SharesView
	set    juncture.SettingsView
	log    []audit.Entry
	proof  juncture.AuditProof
	proved int
	done   []string
	err    error // of what changes something
	asked  audit.Query
}

func (d *cannedDesk) did(format string, a ...any) error {
	d.done = append(d.done, fmt.Sprintf(format, a...))
	return d.err
}

func (d *cannedDesk) Users(context.Context) (juncture.UsersView, error) { return d.users, nil }

func (d *cannedDesk) CreateUser(_ context.Context, who access.Who, r juncture.UserRequest) (juncture.PasswordView, error) {
	return juncture.PasswordView{Name: r.Name, Password: "aaaaa-bbbbb-ccccc-ddddd"}, d.did("%s create %s %s", who.Actor, r.Name, r.Role)
}

func (d *cannedDesk) ChangeUser(_ context.Context, who access.Who, name string, c juncture.UserChange) error {
	return d.did("%s change %s %s", who.Actor, name, mustJSON(c))
}

func (d *cannedDesk) ResetPassword(_ context.Context, who access.Who, name string) (juncture.PasswordView, error) {
	return juncture.PasswordView{Name: name, Password: "aaaaa-bbbbb-ccccc-ddddd"}, d.did("%s reset %s", who.Actor, name)
}

func (d *cannedDesk) EndSessions(_ context.Context, who access.Who, name string) error {
	return d.did("%s sessions %s", who.Actor, name)
}

func (d *cannedDesk) Keys(context.Context) (juncture.KeysView, error) { return d.keys, nil }

func (d *cannedDesk) CreateKey(_ context.Context, who access.Who, r juncture.KeyRequest) (juncture.KeyMade, error) {
	return juncture.KeyMade{Key: juncture.KeyView{Name: r.Name}, Secret: "jk_secretofakey"}, d.did("%s key %s", who.Actor, mustJSON(r))
}

func (d *cannedDesk) RevokeKey(_ context.Context, who access.Who, id string) error {
	return d.did("%s revoke key %s", who.Actor, id)
}

func (d *cannedDesk) Shares(context.Context) (juncture.SharesView, error) { return d.shares, nil }

func (d *cannedDesk) CreateShare(_ context.Context, who access.Who, r juncture.ShareRequest) (juncture.ShareMade, error) {
	if !access.Shareable(r.Path) {
		return juncture.ShareMade{}, juncture.Errorf(juncture.CodeInvalidRequest, "no")
	}
	return juncture.ShareMade{Share: juncture.ShareView{Path: r.Path, ExpiresAt: now.Add(time.Duration(r.Days) * 24 * time.Hour)}, Link: access.SharePath + "tokenofalink"},
		d.did("%s share %s %d", who.Actor, r.Path, r.Days)
}

func (d *cannedDesk) RevokeShare(_ context.Context, who access.Who, id string) error {
	return d.did("%s revoke share %s", who.Actor, id)
}

// Shared takes the path of the page as its token, in hex, so that tests share what they like.
func (d *cannedDesk) Shared(_ context.Context, token string) (juncture.ShareView, error) {
	var path string
	if n, err := fmt.Sscanf(token, "%x", &path); n != 1 || err != nil {
		return juncture.ShareView{}, juncture.Errorf(juncture.CodeNotFound, "This link does not hold.")
	}
	return juncture.ShareView{Path: path, ExpiresAt: now.Add(24 * time.Hour)}, nil
}

func (d *cannedDesk) Settings(context.Context) (juncture.SettingsView, error) { return d.set, nil }

func (d *cannedDesk) AuditFound(_ context.Context, q audit.Query) iter.Seq2[audit.Entry, error] {
	d.asked = q
	return func(yield func(audit.Entry, error) bool) {
		n := 0
		for i := len(d.log) - 1; i >= 0; i-- {
			e := d.log[i]
			if q.Before > 0 && e.Seq >= q.Before || q.Actor != "" && e.Actor != q.Actor {
				continue
			}
			if n++; q.Limit > 0 && n > q.Limit || !yield(e, nil) {
				return
			}
		}
	}
}

func (d *cannedDesk) AuditNames(context.Context, int) (actors, actions []string, err error) {
	return []string{"cli:root", "key:abcdefghijkl", "user:root"}, []string{"approve", "create", "disable"}, nil
}

func (d *cannedDesk) Prove(_ context.Context, older time.Duration) (juncture.AuditProof, error) {
	if older == 0 {
		d.proved++
	}
	return d.proof, nil
}

func mustJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func newCannedDesk() *cannedDesk {
	day := 24 * time.Hour
	over := now.Add(-20 * day)
	d := &cannedDesk{}
	d.users.Items = []juncture.UserView{{Name: "ada", Role: "viewer", SignIn: "password", CreatedAt: now.Add(-90 * day), Sessions: 2}, {Name: "ed", Role: "editor", SignIn: "password", CreatedAt: now.Add(-80 * day), Disabled: true},
		{Name: "root", Role: "admin", SignIn: "password", CreatedAt: now.Add(-300 * day), Sessions: 1}, {Name: "sso-k2v5q7xw3a", Display: "אורלי בן־דוד", Role: "approver", SignIn: "oidc", CreatedAt: now.Add(-3 * day), Sessions: 1}}
	d.keys.Items = []juncture.KeyView{{ID: "abcdefghijkl", Name: "old storefront", Scopes: []string{"choose", "reward"}, CreatedAt: now.Add(-200 * day), RevokedAt: &over},
		{ID: "bcdefghijklm", Name: "web", Scopes: []string{"choose", "reward", "events"}, Publishable: true, Origins: []string{"https://shop.example", "https://www.shop.example"}, CreatedAt: now.Add(-100 * day)},
		{ID: "cdefghijklmn", Name: "warehouse export of every night", Scopes: []string{"read"}, CreatedAt: now.Add(-99 * day)}}
	d.shares.Items = []juncture.ShareView{{ID: "defghijklmno", Path: gridPath + "?experiment=hero&filter.lifecycle=loyal", MadeBy: "user:ed", CreatedAt: now.Add(-day), ExpiresAt: now.Add(6 * day)},
		{ID: "efghijklmnop", Path: gridPath + "?experiment=cart-rescue", MadeBy: "user:root", CreatedAt: now.Add(-40 * day), ExpiresAt: now.Add(-10 * day)},
		{ID: "fghijklmnopq", Path: cellPath, MadeBy: "user:root", CreatedAt: now.Add(-21 * day), ExpiresAt: now.Add(9 * day), RevokedAt: &over}}
	d.set.Groups = []juncture.SettingGroup{{Title: "How shoppers are described", Where: "in the store file, then juncture apply", Lines: []juncture.SettingLine{{Key: "layers.moment.dormant", Title: "Dormant after", Value: "60 days"},
		{Key: "layers.moment.abandonAfter", Title: "A bag counts as left after", Value: "1 hour", Default: true}}},
		{Title: "This server", Where: "by flags, environment or --config", Lines: []juncture.SettingLine{{Title: "Version", Value: "1.2.3", Default: true}, {Key: "--db", Title: "Database", Value: "SQLite, juncture-data/juncture.db", Default: true}}}}
	for i := range 130 {
		e := audit.Entry{At: now.Add(-time.Duration(130-i) * 37 * time.Minute), Actor: []string{"cli:root", "user:root", "user:sso-k2v5q7xw3a"}[i%3], Action: "approve", Subject: fmt.Sprintf("action five_off@%d", i+1), From: []string{"cli", "console", "console"}[i%3],
			Before: []byte(`{"status":"in_review","copy":[{"headline":"5% off"}]}`), After: []byte(`{"status":"approved","copy":[{"headline":"5% off"}]}`)}
		switch i % 5 {
		case 1:
			e.Action, e.Subject, e.Before, e.After = "change role", "user ed", []byte(`{"role":"viewer"}`), []byte(`{"role":"editor"}`)
		case 2:
			e.Action, e.Subject, e.Before, e.After = "end sessions", "user ed", nil, nil
		}
		var prev audit.Entry
		if i > 0 {
			prev = d.log[i-1]
		}
		d.log = append(d.log, audit.Chain(prev, e))
	}
	d.proof = juncture.AuditProof{Holds: true, Entries: 130, Hash: fmt.Sprintf("%x", d.log[129].Hash), At: now.Add(-9 * time.Minute)}
	return d
}

func TestSettings(t *testing.T) {
	f := newFake()
	h := serve(t, f)
	body := get(h, settingsPath, "admin").Body.String()
	holds(t, body, "3 people may sign in, 1 of them may change settings; 2 API keys and 1 shared link are live.", // ed is disabled, a key revoked, one link over and one revoked
		"אורלי בן־דוד", "sso-k2v5q7xw3a", "Single sign-on", ">you<", ">disabled<", "Let in again", "https://shop.example, https://www.shop.example", "Revoked 31 Oct 2026", "Over",
		"60 days", ">set<", "layers.moment.dormant", "juncture-data/juncture.db", `href="/console/settings" aria-current="page"`)
	if strings.Count(body, "Revoke for good") != 3 || strings.Count(body, `value="password"`) != 3 {
		t.Error("offers to revoke what is over, or a password for who has none")
	}
	for form, tt := range map[string]struct {
		path string
		v    url.Values
		done string // asked of the port; empty: nothing
		says string // on the page; empty: led back
	}{
		"create":      {"/users", url.Values{"name": {" bob "}, "role": {"viewer"}}, "user:root create bob viewer", `value="aaaaa-bbbbb-ccccc-ddddd"`},
		"role":        {"/users/ada", url.Values{"do": {"role"}, "role": {"editor"}}, `user:root change ada {"role":"editor"}`, ""},
		"disable":     {"/users/ada", url.Values{"do": {"disable"}}, `user:root change ada {"disabled":true}`, ""},
		"enable":      {"/users/ed", url.Values{"do": {"enable"}}, `user:root change ed {"disabled":false}`, ""},
		"sessions":    {"/users/ada", url.Values{"do": {"sessions"}}, "user:root sessions ada", ""},
		"password":    {"/users/ada", url.Values{"do": {"password"}}, "user:root reset ada", `value="aaaaa-bbbbb-ccccc-ddddd"`},
		"nothing":     {"/users/ada", url.Values{"do": {"<script>"}}, "", "Nothing was changed"},
		"key":         {"/keys", url.Values{"name": {"web"}, "scopes": {"choose", "events"}, "publishable": {"yes"}, "origins": {"https://a.example\r\nhttps://b.example"}}, `user:root key {"name":"web","scopes":["choose","events"],"publishable":true,"origins":["https://a.example","https://b.example"]}`, "jk_secretofakey"},
		"end a key":   {"/keys/bcdefghijklm/revoke", nil, "user:root revoke key bcdefghijklm", ""},
		"end a share": {"/shares/defghijklmno/revoke", nil, "user:root revoke share defghijklmno", ""},
	} {
		f.desk.done = nil
		w := as(h, "admin", settingsPath+tt.path, tt.v)
		if strings.Join(f.desk.done, "\n") != tt.done {
			t.Errorf("%s asked %q", form, f.desk.done)
		}
		switch {
		case tt.says == "":
			where := w.Header().Get("Location")
			if w.Code != 303 || !strings.HasPrefix(where, settingsPath+"?done=") {
				t.Errorf("%s: %d to %q", form, w.Code, where)
			}
			holds(t, get(h, strings.Split(where, "#")[0], "admin").Body.String(), `role="status"`)
		case !strings.Contains(w.Body.String(), tt.says) || strings.Contains(w.Body.String(), "<script"):
			t.Errorf("%s: %d %s", form, w.Code, w.Body)
		}
	}
	f.desk.err = juncture.Errorf(juncture.CodeUnprocessable, "root is the last admin").WithHint("make somebody else an admin first")
	if w := as(h, "admin", settingsPath+"/users/root", url.Values{"do": {"disable"}}); w.Code != 422 || !strings.Contains(w.Body.String(), "Root is the last admin: make somebody else an admin first. Nothing was changed.") {
		t.Errorf("the last admin: %d %s", w.Code, w.Body)
	}
	f.desk.err = juncture.Errorf(juncture.CodeInvalidRequest, "a publishable key needs the origins where it works").WithField("origins")
	w := as(h, "admin", settingsPath+"/keys", url.Values{"name": {`"><script>`}, "scopes": {"choose"}, "publishable": {"yes"}})
	holds(t, w.Body.String(), `id="p-origins" role="alert">A publishable key needs`, `value="&#34;&gt;&lt;script&gt;"`, `name="scopes" value="choose" checked`, `value="yes" checked`)
	if w.Code != 400 || strings.Contains(w.Body.String(), "jk_secret") {
		t.Errorf("a refused key: %d", w.Code)
	}
	f.desk.keys, f.desk.shares = juncture.KeysView{}, juncture.SharesView{}
	holds(t, get(h, settingsPath, "admin").Body.String(), "There is none yet", "Nothing is shared")
}

func TestAudit(t *testing.T) {
	f := newFake()
	h := serve(t, f)
	body := get(h, auditPath, "approver").Body.String()
	holds(t, body, "The chain of 130 entries holds", "Last verified 20 Nov 2026, 08:21:00 UTC", "<dt>status</dt><dd><del>in_review</del><ins>approved</ins></dd>",
		"<dt>role</dt><dd><del>viewer</del><ins>editor</ins></dd>", "אורלי בן־דוד", "from console", `href="/console/audit?before=31">Older entries`)
	if strings.Contains(body, "<dt>copy[0].headline</dt>") || strings.Count(body, "<tr>") != 101 {
		t.Error("shows what did not change, or not 100 entries")
	}
	body = get(h, auditPath+"?before=31&actor=user:root&action=approve&subject=+Five+&from=2026-11-01&to=2026-11-20", "admin").Body.String()
	holds(t, body, `value="user:root" selected`, `value="Five"`, `value="2026-11-01"`, "The newest", "/console/audit.csv?action=approve&amp;actor=user%3Aroot&amp;from=2026-11-01&amp;subject=Five&amp;to=2026-11-20")
	want := audit.Query{Actor: "user:root", Action: "approve", Subject: "Five", From: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC), Before: 31, Limit: 101}
	if f.desk.asked != want {
		t.Errorf("asked %+v", f.desk.asked)
	}
	for _, q := range []string{"from=yesterday", "to=2026-13-01", "before=x", "before=-1"} {
		if w := get(h, auditPath+"?"+q, "admin"); w.Code != 400 {
			t.Errorf("%s: %d", q, w.Code)
		}
	}
	f.desk.log[129] = audit.Chain(f.desk.log[128], audit.Entry{At: now, Actor: "=cmd()", Action: "+x", Subject: "@y", From: "<script>", After: []byte("=not json")})
	rows, err := csv.NewReader(get(h, auditPath+".csv", "approver").Body).ReadAll()
	if err != nil || len(rows) != 131 || rows[1][2] != "'=cmd()" || rows[1][3] != "'+x" || rows[1][4] != "'@y" || rows[1][7] != "'=not json" {
		t.Errorf("%v, %d rows, %q", err, len(rows), rows[1])
	}
	lines := bufio.NewScanner(get(h, auditPath+".ndjson?actor=user:root", "approver").Body)
	n := 0
	for lines.Scan() {
		var v juncture.AuditView
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil || v.Actor != "user:root" || len(v.Hash) != 64 {
			t.Errorf("%v: %s", err, lines.Text())
		}
		n++
	}
	if n != 43 { // every third of 130, from the second
		t.Errorf("%d lines", n)
	}
	if w := as(h, "approver", auditPath+"/verify", nil); w.Code != 303 || f.desk.proved != 1 {
		t.Errorf("verify: %d, walked %d times", w.Code, f.desk.proved)
	}
	f.desk.proof = juncture.AuditProof{Entries: 7, What: "audit row 8 (seq 8): its hash does not fit its content: the row was altered", At: now}
	holds(t, get(h, auditPath, "approver").Body.String(), "The log was changed outside Juncture: 7 entries are good", "the row was altered", ">Broken<")
	f.desk.proof, f.desk.log = juncture.AuditProof{Holds: true, At: now}, nil
	holds(t, get(h, auditPath, "approver").Body.String(), "Nothing was changed yet")
}

func TestDifference(t *testing.T) {
	for _, tt := range []struct {
		before, after string
		want          string
	}{
		{"", "", ""}, {"", `{"a":1}`, "a::1"}, {`{"a":1}`, "", "a:1:"}, {`{"a":{"b":[1,2]}}`, `{"a":{"b":[1,3,4]}}`, "a.b[1]:2:3 a.b[2]::4"},
		{`{"a":1e400}`, `{"a":12345678901234567890}`, "a:1e400:12345678901234567890"}, {`{"a":null,"b":""}`, `{"a":false,"b":"x"}`, `a:null:false b:"":x`},
		{`not json`, `"not json"`, ""}, {`{"a":`, `7`, `:{"a"::7`},
	} {
		var got []string
		for _, l := range difference([]byte(tt.before), []byte(tt.after)) {
			got = append(got, l.Key+":"+l.Had+":"+l.Has)
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%s to %s: %s, want %s", tt.before, tt.after, s, tt.want)
		}
	}
}

// link is the address of a page through a link to it.
func link(path string) string { return access.SharePath + fmt.Sprintf("%x", path) }

func TestSharedPages(t *testing.T) {
	f := newFake()
	h := serve(t, f)
	for _, path := range []string{gridPath + "?experiment=hero", cellPath, trialsPath + "/hero?over=bau"} {
		w := get(h, link(path), "")
		body := w.Body.String()
		holds(t, body, "A shared page, to read only.", "The link holds until 21 Nov 2026", `class="shared"`)
		if w.Code != 200 || strings.Contains(body, "Sign out") || strings.Contains(body, "AQEAbgAAAZqh7") || strings.Contains(body, "user:ada") || strings.Contains(body, "/hero/pause") || strings.Contains(body, `class="share"`) || strings.Contains(body, "<nav aria-label=\"Main\"") {
			t.Errorf("%s: %d", path, w.Code)
		}
		if w.Header().Get("Referrer-Policy") != "no-referrer" || w.Header().Get("X-Robots-Tag") != "noindex" || w.Header().Get("Cache-Control") != "no-store" || len(w.Result().Cookies()) > 0 {
			t.Errorf("%s: %v", path, w.Header())
		}
	}
	for _, path := range []string{settingsPath, shopperPath + "?id=ada", auditPath, recordsPath + "ada/export", "https://evil.example/", "/console/experiments/none"} {
		if w := get(h, link(path), ""); w.Code != 404 || strings.Contains(w.Body.String(), "ada") {
			t.Errorf("%s through a link: %d", path, w.Code)
		}
	}
	if w := get(h, access.SharePath+"forged", ""); w.Code != 404 || strings.Contains(w.Body.String(), "A shared page") {
		t.Errorf("forged: %d", w.Code)
	}
	if w := get(h, gridPath, ""); w.Code != 303 {
		t.Errorf("a link signs in: %d", w.Code)
	}
	for token, want := range map[string]bool{"good": false, "editor": true, "admin": true} {
		if got := strings.Contains(get(h, gridPath+"?rows=status", token).Body.String(), `name="path" value="/console/intersections?rows=status"`); got != want {
			t.Errorf("offered to %s: %v", token, got)
		}
	}
	for _, path := range []string{shopperPath + "?id=ada", homePath} {
		if strings.Contains(get(h, path, "admin").Body.String(), `class="share"`) {
			t.Errorf("offers to share %s", path)
		}
	}
	w := as(h, "editor", sharesPath, url.Values{"path": {gridPath + "?rows=status"}, "days": {"30"}})
	holds(t, w.Body.String(), `value="http://shop.example/console/share/tokenofalink"`, "20 Dec 2026")
	if len(f.desk.done) != 1 || f.desk.done[0] != "user:ed share /console/intersections?rows=status 30" {
		t.Errorf("%q", f.desk.done)
	}
	if w := as(h, "editor", sharesPath, url.Values{"path": {shopperPath + "?id=ada"}}); w.Code != 400 {
		t.Errorf("shares a shopper: %d", w.Code)
	}
	if w := as(h, "good", sharesPath, url.Values{"path": {gridPath}}); w.Code != 403 || len(f.desk.done) != 1 {
		t.Errorf("a viewer shares: %d", w.Code)
	}
}

// cannedSSO sends everybody to a provider and signs in who brings back its state.
type cannedSSO struct{ err error }

func (cannedSSO) Title() string { return "Shop accounts" }

func (s cannedSSO) Begin(_ context.Context, back string, _ time.Time) (string, string, error) {
	return "https://id.example/authorize?redirect_uri=" + url.QueryEscape(back), "kept.1", s.err
}

func (s cannedSSO) Finish(_ context.Context, back, kept, state, code string, _ time.Time) (string, access.User, error) {
	if s.err != nil {
		return "", access.User{}, s.err
	}
	if kept != "kept.1" || state != "state" || code != "code" || back != "http://shop.example"+backPath {
		return "", access.User{}, juncture.Errorf(juncture.CodeUnauthorized, "no")
	}
	return "good", people["good"], nil
}

func TestSingleSignOn(t *testing.T) {
	f := newFake()
	h := serve(t, f)
	holds(t, get(h, signInPath+"?next="+url.QueryEscape(layersPath), "").Body.String(), "Sign in with Shop accounts", `href="/console/sign-in/oidc?next=%2Fconsole%2Flayers"`)
	for next, want := range map[string]string{layersPath + "?days=90": layersPath + "?days=90", "": homePath, "//evil.example": homePath, `/\evil.example`: homePath, "https://evil.example": homePath} {
		w := get(h, ssoPath+"?next="+url.QueryEscape(next), "")
		cookies := w.Result().Cookies()
		if w.Code != 303 || !strings.HasPrefix(w.Header().Get("Location"), "https://id.example/authorize?") || len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].MaxAge != flowLife || cookies[0].SameSite != http.SameSiteLaxMode {
			t.Fatalf("%d %v", w.Code, w.Header())
		}
		back := func(state string, cookie bool) *http.Response {
			return do(h, backPath+"?code=code&state="+state, func(r *http.Request) {
				r.Header.Set("Sec-Fetch-Site", "cross-site") // the provider's redirect
				if cookie {
					r.AddCookie(&http.Cookie{Name: cookies[0].Name, Value: cookies[0].Value})
				}
			})
		}
		r := back("state", true)
		if r.StatusCode != 303 || r.Header.Get("Location") != want || len(r.Cookies()) != 2 || r.Cookies()[0].MaxAge >= 0 || r.Cookies()[1].Value != "good" {
			t.Errorf("next=%q: %d %v", next, r.StatusCode, r.Header)
		}
		for _, r := range []*http.Response{back("forged", true), back("state", false)} {
			if r.StatusCode != 401 || len(r.Cookies()) != 1 {
				t.Errorf("forged: %d %v", r.StatusCode, r.Header)
			}
		}
	}
	for code, text := range map[juncture.Code]string{juncture.CodeForbidden: "may not use this console", juncture.CodeUnavailable: "does not answer", juncture.CodeTooManyRequests: "Too many"} {
		f.sso = cannedSSO{juncture.Errorf(code, "secret")}
		w := get(serve(t, f), backPath+"?code=code&state=state", "")
		if w.Code != code.Status() || !strings.Contains(w.Body.String(), text) || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s: %d %s", code, w.Code, w.Body)
		}
	}
}

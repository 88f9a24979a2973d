package console_test

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/audit"
	"github.com/juncture/juncture/console"
	"github.com/juncture/juncture/console/preview"
)

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
		f.Desk.Done = nil
		w := as(h, "admin", settingsPath+tt.path, tt.v)
		if strings.Join(f.Desk.Done, "\n") != tt.done {
			t.Errorf("%s asked %q", form, f.Desk.Done)
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
	f.Desk.Err = juncture.Errorf(juncture.CodeUnprocessable, "root is the last admin").WithHint("make somebody else an admin first")
	if w := as(h, "admin", settingsPath+"/users/root", url.Values{"do": {"disable"}}); w.Code != 422 || !strings.Contains(w.Body.String(), "Root is the last admin: make somebody else an admin first. Nothing was changed.") {
		t.Errorf("the last admin: %d %s", w.Code, w.Body)
	}
	f.Desk.Err = juncture.Errorf(juncture.CodeInvalidRequest, "a publishable key needs the origins where it works").WithField("origins")
	w := as(h, "admin", settingsPath+"/keys", url.Values{"name": {`"><script>`}, "scopes": {"choose"}, "publishable": {"yes"}})
	holds(t, w.Body.String(), `id="p-origins" role="alert">A publishable key needs`, `value="&#34;&gt;&lt;script&gt;"`, `name="scopes" value="choose" checked`, `value="yes" checked`)
	if w.Code != 400 || strings.Contains(w.Body.String(), "jk_secret") {
		t.Errorf("a refused key: %d", w.Code)
	}
	f.Desk.Keys, f.Desk.Shares = juncture.KeysView{}, juncture.SharesView{}
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
	if f.Desk.Asked != want {
		t.Errorf("asked %+v", f.Desk.Asked)
	}
	for _, q := range []string{"from=yesterday", "to=2026-13-01", "before=x", "before=-1"} {
		if w := get(h, auditPath+"?"+q, "admin"); w.Code != 400 {
			t.Errorf("%s: %d", q, w.Code)
		}
	}
	f.Desk.Log[129] = audit.Chain(f.Desk.Log[128], audit.Entry{At: now, Actor: "=cmd()", Action: "+x", Subject: "@y", From: "<script>", After: []byte("=not json")})
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
	if w := as(h, "approver", auditPath+"/verify", nil); w.Code != 303 || f.Desk.Proved != 1 {
		t.Errorf("verify: %d, walked %d times", w.Code, f.Desk.Proved)
	}
	f.Desk.Proof = juncture.AuditProof{Entries: 7, What: "audit row 8 (seq 8): its hash does not fit its content: the row was altered", At: now}
	holds(t, get(h, auditPath, "approver").Body.String(), "The log was changed outside Juncture: 7 entries are good", "the row was altered", ">Broken<")
	f.Desk.Proof, f.Desk.Log = juncture.AuditProof{Holds: true, At: now}, nil
	holds(t, get(h, auditPath, "approver").Body.String(), "Nothing was changed yet")
}

func TestSingleSignOn(t *testing.T) {
	f := newFake()
	h := serve(t, f)
	holds(t, get(h, signInPath+"?next="+url.QueryEscape(layersPath), "").Body.String(), "Sign in with Shop accounts", `href="/console/sign-in/oidc?next=%2Fconsole%2Flayers"`)
	for next, want := range map[string]string{layersPath + "?days=90": layersPath + "?days=90", "": homePath, "//evil.example": homePath, `/\evil.example`: homePath, "https://evil.example": homePath} {
		w := get(h, ssoPath+"?next="+url.QueryEscape(next), "")
		cookies := w.Result().Cookies()
		if w.Code != 303 || !strings.HasPrefix(w.Header().Get("Location"), "https://id.example/authorize?") || len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].MaxAge != console.FlowLife || cookies[0].SameSite != http.SameSiteLaxMode {
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
		f.SSO = preview.SSO{Err: juncture.Errorf(code, "secret")}
		w := get(serve(t, f), backPath+"?code=code&state=state", "")
		if w.Code != code.Status() || !strings.Contains(w.Body.String(), text) || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s: %d %s", code, w.Code, w.Body)
		}
	}
}

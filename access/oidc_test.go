package access_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/access"
	"github.com/juncture/juncture/internal/testkit"
	"github.com/juncture/juncture/store"
)

const back = "https://juncture.shop.example/console/sign-in/oidc/back"

// walk sends a browser that stops at the way back to the provider, and returns what it is sent back with.
func walk(t *testing.T, to string) url.Values {
	t.Helper()
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, to, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := browser.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	where, err := resp.Location()
	if err != nil || !strings.HasPrefix(where.String(), back+"?") {
		t.Fatalf("the provider answers %d, %v, %v", resp.StatusCode, where, err)
	}
	return where.Query()
}

func TestSingleSignOn(t *testing.T) {
	now := testkit.Epoch()
	issuer := testkit.StartOIDC(t, func() time.Time { return now })
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "people.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	people := access.NewService(db, db, rand.Reader, access.Options{})
	sso := func(change func(*access.Provider)) *access.OIDC {
		t.Helper()
		p := access.Provider{Issuer: issuer.URL, ClientID: issuer.ClientID, Secret: issuer.Secret, RoleClaim: "realm.groups",
			Roles: map[string]access.Role{"growth": access.RoleEditor, "leads": access.RoleApprover}, Domains: []string{"shop.example"}, DefaultRole: access.RoleViewer}
		if change != nil {
			change(&p)
		}
		o, err := access.NewOIDC(p, people, db, nil)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	o := sso(nil)
	// through goes the whole way, changed on its way back by bend.
	through := func(o *access.OIDC, bend func(kept *string, q url.Values)) (string, access.User, error) {
		t.Helper()
		to, kept, err := o.Begin(t.Context(), back, now)
		if err != nil {
			t.Fatal(err)
		}
		q := walk(t, to)
		if bend != nil {
			bend(&kept, q)
		}
		return o.Finish(t.Context(), back, kept, q.Get("state"), q.Get("code"), now)
	}
	claims := func(sub string, more ...any) map[string]any {
		c := map[string]any{"sub": sub, "name": "Ada Lovelace", "email": sub + "@shop.example", "email_verified": true}
		for i := 0; i < len(more); i += 2 {
			c[more[i].(string)] = more[i+1]
		}
		return c
	}
	groups := func(names ...any) map[string]any { return map[string]any{"groups": names} }

	issuer.SignsIn(claims("ada", "realm", groups("growth", "leads", "nothing", 7)), nil)
	token, ada, err := through(o, nil)
	if err != nil || ada.Role != access.RoleApprover || ada.Display != "Ada Lovelace" || !strings.HasPrefix(ada.Name, "sso-") {
		t.Fatalf("%+v, %v", ada, err)
	}
	if u, err := people.Session(t.Context(), token, now); err != nil || u.ID != ada.ID {
		t.Errorf("the session is of %+v, %v", u, err)
	}
	kept, err := db.UserByID(t.Context(), ada.ID)
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := json.Marshal(kept); strings.Contains(string(b), "@shop") || kept.Subject == "ada" || len(kept.Subject) != 64 || kept.PasswordHash != "" {
		t.Errorf("kept: %s", b)
	}
	if _, _, err := people.SignIn(t.Context(), ada.Name, "", now); juncture.ErrorCode(err) != juncture.CodeUnauthorized {
		t.Errorf("with an empty password: %v", err)
	}
	if err := people.SetPassword(t.Context(), access.Who{}, ada.Name, "a long password", now); juncture.ErrorCode(err) != juncture.CodeUnprocessable {
		t.Errorf("a password of theirs: %v", err)
	}

	// The role follows the claim with every sign-in, and falls to the domain's without it.
	issuer.SignsIn(claims("ada", "realm", groups("growth")), nil)
	if _, u, err := through(o, nil); err != nil || u.ID != ada.ID || u.Role != access.RoleEditor {
		t.Errorf("%+v, %v", u, err)
	}
	issuer.SignsIn(claims("ada"), nil)
	if _, u, err := through(o, nil); err != nil || u.Role != access.RoleViewer {
		t.Errorf("%+v, %v", u, err)
	}
	// Without a claim that gives roles it stays what an admin made it.
	domains := sso(func(p *access.Provider) { p.RoleClaim, p.Roles = "", nil })
	if err := people.SetRole(t.Context(), access.Who{Actor: "user:root", From: "console"}, ada.Name, access.RoleAdmin, now); err != nil {
		t.Fatal(err)
	}
	if _, u, err := through(domains, nil); err != nil || u.Role != access.RoleAdmin {
		t.Errorf("%+v, %v", u, err)
	}

	t.Run("Refused", func(t *testing.T) {
		for name, tt := range map[string]struct {
			claims map[string]any
			forge  func(header, claims map[string]any) *rsa.PrivateKey
			bend   func(kept *string, q url.Values)
			want   juncture.Code
		}{
			"another domain":     {claims: claims("eve", "email", "eve@evil.example"), want: juncture.CodeForbidden},
			"domain as a suffix": {claims: claims("eve", "email", "eve@evilshop.example"), want: juncture.CodeForbidden},
			"unverified address": {claims: claims("eve", "email_verified", false), want: juncture.CodeForbidden},
			"verified in words":  {claims: claims("eve", "email_verified", "true"), want: juncture.CodeForbidden},
			"another state":      {bend: func(_ *string, q url.Values) { q.Set("state", "x") }, want: juncture.CodeUnauthorized},
			"no state":           {bend: func(_ *string, q url.Values) { q.Del("state") }, want: juncture.CodeUnauthorized},
			"begun elsewhere":    {bend: func(k *string, _ url.Values) { *k = "" }, want: juncture.CodeUnauthorized},
			"another's flow":     {bend: func(k *string, _ url.Values) { _, *k, _ = o.Begin(t.Context(), back, now) }, want: juncture.CodeUnauthorized},
			"no code":            {bend: func(_ *string, q url.Values) { q.Del("code") }, want: juncture.CodeUnauthorized},
			"another's code": {bend: func(_ *string, q url.Values) {
				to, _, _ := o.Begin(t.Context(), back, now)
				q.Set("code", walk(t, to).Get("code"))
			}, want: juncture.CodeUnauthorized},
			"another key":       {forge: func(_, _ map[string]any) *rsa.PrivateKey { k, _ := rsa.GenerateKey(rand.Reader, 2048); return k }, want: juncture.CodeUnauthorized},
			"unsigned":          {forge: func(h, _ map[string]any) *rsa.PrivateKey { h["alg"] = "none"; return nil }, want: juncture.CodeUnauthorized},
			"signed as HMAC":    {forge: func(h, _ map[string]any) *rsa.PrivateKey { h["alg"] = "HS256"; return issuer.Key() }, want: juncture.CodeUnauthorized},
			"another audience":  {forge: func(_, c map[string]any) *rsa.PrivateKey { c["aud"] = "another"; return issuer.Key() }, want: juncture.CodeUnauthorized},
			"for another party": {forge: func(_, c map[string]any) *rsa.PrivateKey { c["azp"] = "another"; return issuer.Key() }, want: juncture.CodeUnauthorized},
			"another issuer":    {forge: func(_, c map[string]any) *rsa.PrivateKey { c["iss"] = "https://evil.example"; return issuer.Key() }, want: juncture.CodeUnauthorized},
			"another nonce":     {forge: func(_, c map[string]any) *rsa.PrivateKey { c["nonce"] = "x"; return issuer.Key() }, want: juncture.CodeUnauthorized},
			"no nonce":          {forge: func(_, c map[string]any) *rsa.PrivateKey { delete(c, "nonce"); return issuer.Key() }, want: juncture.CodeUnauthorized},
			"over": {forge: func(_, c map[string]any) *rsa.PrivateKey {
				c["exp"] = now.Add(-time.Minute).Unix()
				return issuer.Key()
			}, want: juncture.CodeUnauthorized},
			"a token about nobody": {forge: func(_, c map[string]any) *rsa.PrivateKey { delete(c, "sub"); return issuer.Key() }, want: juncture.CodeUnauthorized},
		} {
			t.Run(name, func(t *testing.T) {
				if tt.claims == nil {
					tt.claims = claims("eve")
				}
				issuer.SignsIn(tt.claims, tt.forge)
				token, u, err := through(o, tt.bend)
				if juncture.ErrorCode(err) != tt.want || token != "" || u.ID != "" {
					t.Errorf("%q %+v %v, want %s", token, u, err, tt.want)
				}
			})
		}
		issuer.SignsIn(claims("eve"), nil)
		to, kept, err := o.Begin(t.Context(), back, now)
		if err != nil {
			t.Fatal(err)
		}
		q := walk(t, to)
		if _, _, err := o.Finish(t.Context(), back, kept, q.Get("state"), q.Get("code"), now.Add(11*time.Minute)); juncture.ErrorCode(err) != juncture.CodeUnauthorized {
			t.Errorf("eleven minutes later: %v", err)
		}
		users, err := people.Users(t.Context())
		if err != nil || len(users) != 1 {
			t.Errorf("who was refused is kept: %+v, %v", users, err)
		}
	})

	t.Run("Disabled", func(t *testing.T) {
		if _, err := people.AddUser(t.Context(), access.Who{}, "root", access.RoleAdmin, "a long password", now); err != nil {
			t.Fatal(err)
		}
		if err := people.DisableUser(t.Context(), access.Who{Actor: "user:root", From: "console"}, ada.Name, now); err != nil {
			t.Fatal(err)
		}
		issuer.SignsIn(claims("ada"), nil)
		if _, _, err := through(o, nil); juncture.ErrorCode(err) != juncture.CodeForbidden {
			t.Errorf("disabled: %v", err)
		}
	})
	holdsNoSecret(t, db, issuer.Secret, "@shop.example", "opaque")
}

// holdsNoSecret looks for texts in the audit log.
func holdsNoSecret(t *testing.T, db *store.DB, secrets ...string) {
	t.Helper()
	n := 0
	for e, err := range db.Audit(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range secrets {
			if strings.Contains(string(b), s) {
				t.Errorf("%q stands in the audit log: %s", s, b)
			}
		}
		n++
	}
	if n == 0 {
		t.Error("nothing was noted")
	}
}

func TestProviderSettings(t *testing.T) {
	good := access.Provider{Issuer: "https://id.example", ClientID: "c", Domains: []string{"shop.example"}, DefaultRole: access.RoleViewer}
	for field, change := range map[string]func(*access.Provider){
		"":                 func(*access.Provider) {},
		"oidc.issuer":      func(p *access.Provider) { p.Issuer = "http://id.example" },
		"oidc.clientId":    func(p *access.Provider) { p.ClientID = "" },
		"oidc.defaultRole": func(p *access.Provider) { p.DefaultRole = "root" },
		"oidc.roles":       func(p *access.Provider) { p.RoleClaim, p.Roles = "groups", map[string]access.Role{"a": "root"} },
	} {
		p := good
		change(&p)
		_, err := access.NewOIDC(p, nil, nil, nil)
		if e, ok := err.(*juncture.Error); field != "" && (!ok || e.Field != field) || field == "" && err != nil {
			t.Errorf("%s: %v", field, err)
		}
	}
	for _, p := range []access.Provider{{Issuer: "https://id.example", ClientID: "c"}, {Issuer: "https://id.example", ClientID: "c", RoleClaim: "groups"},
		{Issuer: "https://id.example", ClientID: "c", DefaultRole: access.RoleAdmin}} {
		if _, err := access.NewOIDC(p, nil, nil, nil); juncture.ErrorCode(err) != juncture.CodeInvalidRequest {
			t.Errorf("%+v: %v", p, err)
		}
	}
}

package server_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/audit"
	"github.com/juncture/juncture/internal/testkit"
)

// TestAdministration makes, changes and ends people, keys and links over HTTP, reads all of it in the audit log, and
// finds no secret there.
func TestAdministration(t *testing.T) {
	t.Parallel()
	s := open(t, testkit.Declaration())
	doc := described(t, s)
	admin := headers("Authorization", "Bearer "+s.keys["admin"])
	var secrets []string
	do := func(method, path, body string, want int, out any) {
		t.Helper()
		r := s.call(method, path, body, admin)
		if r.status != want {
			t.Fatalf("%s %s: %d, want %d: %s", method, path, r.status, want, r.body)
		}
		if r.status != 200 {
			return
		}
		at, _, _ := strings.Cut(path, "?")
		parts := strings.Split(at, "/")
		if len(parts) > 4 && (parts[3] == "users" || parts[3] == "keys" || parts[3] == "shares") {
			parts[4] = map[string]string{"users": "{name}", "keys": "{id}", "shares": "{id}"}[parts[3]]
		}
		media := doc.Paths.Find(strings.Join(parts, "/")).GetOperation(method).Responses.Value("200").Value.Content.Get("application/json")
		var v any
		if err := json.Unmarshal(r.body, &v); err != nil {
			t.Fatal(err)
		}
		if err := media.Schema.Value.VisitJSON(v, openapi3.EnableJSONSchema2020(), openapi3.MultiErrors()); err != nil {
			t.Errorf("%s %s: %v\n%s", method, path, err, r.body)
		}
		if out != nil {
			if err := json.Unmarshal(r.body, out); err != nil {
				t.Fatal(err)
			}
		}
	}
	var made, reset juncture.PasswordView
	do("POST", "/api/v1/users", `{"name":"Ada","role":"admin"}`, 200, &made)
	do("POST", "/api/v1/users", `{"name":"ada","role":"viewer"}`, 422, nil)
	do("POST", "/api/v1/users", `{"name":"bob","role":"king"}`, 400, nil)
	do("POST", "/api/v1/users", `{"name":"bob","role":"viewer","password":"x"}`, 400, nil) // nobody else chooses it
	do("POST", "/api/v1/users", `{"name":"bob@shop.example","role":"viewer"}`, 200, nil)
	do("POST", "/api/v1/users/ada/password", ``, 200, &reset)
	if made.Name != "ada" || len(made.Password) != 23 || reset.Password == made.Password {
		t.Errorf("%+v, then %+v", made, reset)
	}
	secrets = append(secrets, made.Password, reset.Password)
	var users juncture.UsersView
	do("PATCH", "/api/v1/users/bob@shop.example", `{"role":"approver","disabled":true}`, 200, &users)
	if len(users.Items) != 2 || users.Items[1].Role != "approver" || !users.Items[1].Disabled || users.Items[1].SignIn != "password" {
		t.Errorf("%+v", users)
	}
	do("PATCH", "/api/v1/users/ada", `{"disabled":true}`, 422, nil) // the last admin
	do("PATCH", "/api/v1/users/ada", `{"role":"viewer"}`, 422, nil)
	do("PATCH", "/api/v1/users/ada", `{}`, 400, nil)
	do("PATCH", "/api/v1/users/nobody", `{"role":"viewer"}`, 404, nil)
	do("DELETE", "/api/v1/users/ada/sessions", ``, 200, nil)
	do("DELETE", "/api/v1/users/nobody/sessions", ``, 404, nil)

	var key juncture.KeyMade
	do("POST", "/api/v1/keys", `{"name":"web","scopes":["choose"],"publishable":true,"origins":["https://shop.example"]}`, 200, &key)
	do("POST", "/api/v1/keys", `{"name":"web","scopes":["admin"],"publishable":true,"origins":["https://shop.example"]}`, 400, nil)
	do("DELETE", "/api/v1/keys/"+key.Key.ID, ``, 200, nil)
	do("DELETE", "/api/v1/keys/"+key.Key.ID, ``, 404, nil)
	_, part, _ := strings.Cut(key.Secret[3:], "_")
	secrets = append(secrets, part)

	var share juncture.ShareMade
	do("POST", "/api/v1/shares", `{"path":"/console/intersections?experiment=hero","days":30}`, 200, &share)
	for _, path := range []string{"/console/shopper?id=ada", "/console/settings", "https://evil.example/console/intersections", "//evil.example", "/console/intersections/../settings", "/console/intersections%2f..%2fshopper", ""} {
		do("POST", "/api/v1/shares", `{"path":"`+path+`"}`, 400, nil)
	}
	do("POST", "/api/v1/shares", `{"path":"/console/intersections","days":31}`, 400, nil)
	do("DELETE", "/api/v1/shares/"+share.Share.ID, ``, 200, nil)
	do("DELETE", "/api/v1/shares/"+share.Share.ID, ``, 404, nil)
	secrets = append(secrets, strings.TrimPrefix(share.Link, "/console/share/"))

	do("GET", "/api/v1/users", ``, 200, nil)
	do("GET", "/api/v1/keys", ``, 200, nil)
	do("GET", "/api/v1/shares", ``, 200, nil)
	do("GET", "/api/v1/settings", ``, 200, nil)

	var page juncture.AuditPage
	do("GET", "/api/v1/audit?actor=key:"+s.ids["admin"]+"&subject=USER&limit=3", ``, 200, &page)
	if len(page.Items) != 3 || page.Items[0].Action != "end sessions" || page.Next != page.Items[2].Seq || page.Items[0].From != "api" {
		t.Errorf("%+v", page)
	}
	first := page.Items
	page = juncture.AuditPage{}
	do("GET", "/api/v1/audit?subject=user&limit=3&actor=key:"+s.ids["admin"]+"&before="+js(t, first[2].Seq), ``, 200, &page)
	if len(page.Items) != 3 || page.Items[0].Seq >= first[2].Seq || page.Next != 0 { // 6 in all: two made, reset, role, disabled, ended
		t.Errorf("%+v", page)
	}
	page = juncture.AuditPage{}
	do("GET", "/api/v1/audit?action=create&from=2030-01-01", ``, 200, &page)
	if len(page.Items) != 0 {
		t.Errorf("from the future: %+v", page)
	}
	for _, q := range []string{"limit=0", "limit=1001", "limit=x", "before=-1", "from=yesterday"} {
		do("GET", "/api/v1/audit?"+q, ``, 400, nil)
	}
	var proof juncture.AuditProof
	do("GET", "/api/v1/audit/verify", ``, 200, &proof)
	n, err := audit.Verify(s.DB.Audit(t.Context()))
	if err != nil || !proof.Holds || proof.Entries != n || n < 12 {
		t.Errorf("%+v, %d entries, %v", proof, n, err)
	}
	for e, err := range s.DB.Audit(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range secrets {
			if b := js(t, e); strings.Contains(b, secret) || len(secret) < 20 {
				t.Errorf("%q stands in the audit log: %s", secret, b)
			}
		}
	}
}

package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/internal/testkit"
	"github.com/juncture/juncture/server"
)

func TestKeys(t *testing.T) {
	t.Parallel()
	s := open(t, testkit.Declaration())
	const ask = `{"surface":"home_hero","shopperId":"ada"}`
	bearer := func(secret string) http.Header { return headers("Authorization", "Bearer "+secret) }
	good := s.keys["choose"]
	s.unchanged(func() {
		for name, h := range map[string]http.Header{
			"none": headers("Authorization", ""), "empty": bearer(""), "a word": bearer("secret"), "basic": headers("Authorization", "Basic "+good),
			"bare": headers("Authorization", good), "unknown": bearer(good[:15] + "_" + strings.Repeat("A", 43)), "another id": bearer("jk_aaaaaaaaaaaa" + good[15:]),
			"as if publishable": bearer("jp" + good[2:]), "cut": bearer(good[:len(good)-1]), "long": bearer(good + good), "with a line": bearer(good[:20] + "\x01" + good[21:]),
		} {
			if name == "with a line" {
				h.Set("Authorization", "Bearer "+good[:20]+"\t"+good[21:])
			}
			for _, path := range []string{"/choose", "/choose/batch", "/activate", "/reward", "/reward/batch"} {
				if r := s.call("POST", path, ask, h); r.status != 401 || r.problem.ErrorCode != juncture.CodeUnauthorized || !strings.HasPrefix(r.header.Get("WWW-Authenticate"), "Bearer") {
					t.Errorf("%s at %s: %d %s", name, path, r.status, r.problem.ErrorCode)
				}
			}
			if r := s.call("GET", "/api/v1/store", "", h); r.status != 401 {
				t.Errorf("%s at the control plane: %d", name, r.status)
			}
			for _, verb := range juncture.Verbs() {
				if r := s.call("POST", "/api/v1/experiments/hero/"+string(verb), `{"reason":"x"}`, h); r.status != 401 {
					t.Errorf("%s at %s: %d", name, verb, r.status)
				}
			}
		}
		for _, key := range []string{"choose", "reward", "read", "choose,reward", "page"} { // what changes an experiment needs admin
			for _, verb := range juncture.Verbs() {
				h := bearer(s.keys[key])
				h.Set("Origin", shop)
				if r := s.call("POST", "/api/v1/experiments/hero/"+string(verb), `{"reason":"x","action":"news"}`, h); r.status != 403 || r.problem.ErrorCode != juncture.CodeForbidden {
					t.Errorf("%s with a key for %s: %d %s", verb, key, r.status, r.problem.ErrorCode)
				}
			}
		}
		if p, err := s.Engine.Declared(t.Context()); err != nil || p.Number != 1 {
			t.Errorf("what was refused changed the configuration: %d, %v", p.Number, err)
		}
		for _, x := range []struct{ key, method, path string }{
			{"reward", "POST", "/choose"}, {"reward", "POST", "/choose/batch"}, {"reward", "POST", "/activate"}, {"read", "POST", "/choose"},
			{"choose", "POST", "/reward"}, {"choose", "POST", "/reward/batch"}, {"read", "POST", "/reward"},
			{"choose", "GET", "/api/v1/store"}, {"choose,reward", "GET", "/api/v1/experiments/hero/winners"}, {"page", "GET", "/api/v1/store"},
		} {
			h := bearer(s.keys[x.key])
			h.Set("Origin", shop)
			if r := s.call(x.method, x.path, ask, h); r.status != 403 || r.problem.ErrorCode != juncture.CodeForbidden {
				t.Errorf("%s with a key for %s: %d %s", x.path, x.key, r.status, r.problem.ErrorCode)
			}
		}
	})
	for _, scheme := range []string{"Bearer", "bearer", "BEARER"} { // RFC 9110: the scheme's case does not matter
		if r := s.call("POST", "/choose", ask, headers("Authorization", scheme+" "+good)); r.status != 200 {
			t.Errorf("%s: %d", scheme, r.status)
		}
	}
	if r := s.call("GET", "/api/v1/store", "", bearer(s.keys["admin"])); r.status != 200 {
		t.Errorf("admin at the control plane: %d", r.status)
	}
	if err := s.DB.RevokeKey(t.Context(), s.ids["choose"], s.Clock.Now(), juncture.AuditNote{At: s.Clock.Now(), Actor: "test", Action: "revoke", Subject: "key"}); err != nil {
		t.Fatal(err)
	}
	s.Clock.Advance(time.Second + time.Millisecond)
	s.unchanged(func() {
		if r := s.call("POST", "/choose", ask, bearer(good)); r.status != 401 {
			t.Errorf("revoked a second ago: %d", r.status)
		}
	})
}

func TestPublishableKeys(t *testing.T) {
	t.Parallel()
	s := open(t, testkit.Declaration())
	const ask = `{"surface":"home_hero","shopperId":"ada"}`
	page := func(origin string) http.Header {
		h := headers("Authorization", "Bearer "+s.keys["page"])
		if origin != "" {
			h.Set("Origin", origin)
		}
		return h
	}
	r := s.call("POST", "/choose", ask, page(shop))
	if r.status != 200 || r.header.Get("Access-Control-Allow-Origin") != shop || r.header.Get("Vary") != "Origin" || r.header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("%d %v", r.status, r.header)
	}
	if r := s.call("POST", "/choose", `{`, page(shop)); r.status != 400 || r.header.Get("Access-Control-Allow-Origin") != shop {
		t.Errorf("a page cannot read its problem: %d %v", r.status, r.header)
	}
	s.unchanged(func() {
		for _, origin := range []string{"", "null", "https://evil.example", "https://shop.example.evil.example", "http://shop.example", "https://shop.example:8443", "https://a.shop.example"} {
			if r := s.call("POST", "/choose", ask, page(origin)); r.status != 403 || r.header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("from %q: %d %v", origin, r.status, r.header)
			}
		}
		if r := s.call("POST", "/choose", `{"surface":"home_hero","shopperId":"ada","preview":{"actionId":"news"}}`, page(shop)); r.status != 403 {
			t.Errorf("a preview in a page: %d", r.status)
		}
	})
	if r := s.call("POST", "/choose", ask, nil); r.header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("a secret key is answered to pages")
	}
	for _, path := range []string{"/choose", "/choose/batch", "/activate", "/reward", "/reward/batch"} {
		r := s.call("OPTIONS", path, "", http.Header{"Authorization": nil, "Origin": {shop}, "Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {"authorization,content-type"}})
		if r.status != 204 || len(r.body) != 0 || r.header.Get("Access-Control-Allow-Origin") != shop || r.header.Get("Access-Control-Allow-Methods") != "POST" ||
			!strings.Contains(r.header.Get("Access-Control-Allow-Headers"), "Authorization") || r.header.Get("Access-Control-Max-Age") == "" {
			t.Errorf("preflight of %s: %d %v", path, r.status, r.header)
		}
		if r := s.call("OPTIONS", path, "", http.Header{"Origin": {shop}, "Access-Control-Request-Method": {"DELETE"}}); r.status != 405 {
			t.Errorf("preflight of DELETE %s: %d", path, r.status)
		}
	}
}

func TestRateOfPublishableKeys(t *testing.T) {
	t.Parallel()
	s := open(t, testkit.Declaration(), func(o *server.Options) { o.Rate, o.Burst = 2, 5 })
	h := headers("Authorization", "Bearer "+s.keys["page"], "Origin", shop)
	ask := func() reply { return s.call("POST", "/choose", `{"surface":"home_hero","shopperId":"ada"}`, h) }
	for i := range 5 {
		if r := ask(); r.status != 200 {
			t.Errorf("request %d: %d", i, r.status)
		}
	}
	s.unchanged(func() {
		r := ask()
		if r.status != 429 || r.problem.ErrorCode != juncture.CodeTooManyRequests || r.header.Get("Retry-After") != "1" || r.header.Get("Access-Control-Allow-Origin") != shop {
			t.Errorf("the sixth: %d %v", r.status, r.header)
		}
	})
	for range 20 {
		s.choose(juncture.ChooseRequest{}) // secret keys are not limited
	}
	s.Clock.Advance(time.Second)
	for i, want := range []int{200, 200, 429} { // two a second
		if r := ask(); r.status != want {
			t.Errorf("a second later, request %d: %d, want %d", i, r.status, want)
		}
	}
}

func TestTestClock(t *testing.T) {
	t.Parallel()
	now := func(at string) http.Header { return headers("Juncture-Now", at) }
	const ask = `{"surface":"home_hero","shopperId":"ada"}`
	until := func(s *site, h http.Header) string {
		r := s.call("POST", "/choose", ask, h)
		_, rest, _ := strings.Cut(string(r.body), `"rewardUntil":"`)
		at, _, _ := strings.Cut(rest, `"`)
		return fmt.Sprint(r.status, " ", at)
	}
	off := open(t, testkit.Declaration())
	if got := until(off, now("2030-01-01T00:00:00Z")); got != "200 2026-01-16T12:00:00Z" {
		t.Errorf("without a test clock: %s", got)
	}
	s := open(t, testkit.Declaration(), func(o *server.Options) { o.TestClock = true })
	for _, x := range []struct{ at, want string }{
		{"2030-01-01T00:00:00Z", "200 2030-01-02T00:00:00Z"}, {"2029-01-01T01:00:00+01:00", "200 2029-01-02T00:00:00Z"}, {"2029-01-01T00:00:00.25Z", "200 2029-01-02T00:00:00.25Z"},
	} {
		if got := until(s, now(x.at)); got != x.want {
			t.Errorf("at %s: %s, want %s", x.at, got, x.want)
		}
	}
	if got := until(s, nil); got != "200 2026-01-16T12:00:00Z" {
		t.Errorf("without the header, after calls that had it: %s", got)
	}
	if got := s.server.Latest(); got != time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC) {
		t.Errorf("the latest is %v", got)
	}
	s.unchanged(func() {
		for _, at := range []string{"tomorrow", "1700000000", "2026-01-15", "0001-01-01T00:00:00Z", "9999-01-01T00:00:00Z"} {
			for _, path := range []string{"/choose", "/activate", "/reward", "/choose/batch", "/reward/batch"} {
				body := ask
				if strings.HasSuffix(path, "/batch") {
					body = `{"items":[` + ask + `]}`
				}
				if r := s.call("POST", path, body, now(at)); r.status != 400 || r.problem.Field != "Juncture-Now" {
					t.Errorf("%s at %s: %d %+v", path, at, r.status, r.problem)
				}
			}
		}
	})
	// Weeks in a moment: an outcome 8 days after its decision is late, one an hour after it is not.
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	a, err := s.as("choose").At(at).Choose(t.Context(), &juncture.ChooseRequest{Surface: "home_hero", ShopperID: "bob"})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		after time.Duration
		want  juncture.Status
	}{{8 * 24 * time.Hour, juncture.StatusLate}, {time.Hour, juncture.StatusRecorded}} {
		r, err := s.as("reward").At(at.Add(x.after)).Reward(t.Context(), &juncture.RewardRequest{DecisionID: a.DecisionID, Event: "click", OutcomeID: x.after.String()})
		if err != nil || r.Status != x.want {
			t.Errorf("after %v: %+v %v", x.after, r, err)
		}
	}
	// A key that was revoked is not brought back by a call of yesterday.
	if err := s.DB.RevokeKey(t.Context(), s.ids["choose"], s.Clock.Now(), juncture.AuditNote{At: s.Clock.Now(), Actor: "test", Action: "revoke", Subject: "key"}); err != nil {
		t.Fatal(err)
	}
	s.Clock.Advance(2 * time.Second)
	if r := s.call("POST", "/choose", ask, headers("Authorization", "Bearer "+s.keys["choose"], "Juncture-Now", "2020-01-01T00:00:00Z")); r.status != 401 {
		t.Errorf("a revoked key of yesterday: %d", r.status)
	}
}

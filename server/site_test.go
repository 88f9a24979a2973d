package server_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/access"
	"github.com/juncture/juncture/audit"
	"github.com/juncture/juncture/client"
	"github.com/juncture/juncture/internal/testkit"
	"github.com/juncture/juncture/server"
)

func TestMain(m *testing.M) { testkit.Main(m, 100) }

// site is a server over loopback on a real engine and a real database. Its clock stands still.
type site struct {
	*testkit.Node
	t      testing.TB
	server *server.Server
	url    string
	keys   map[string]string // secret by scopes
	ids    map[string]string // key id by scopes
}

const shop = "https://shop.example"

func open(t testing.TB, d *juncture.Declaration, change ...func(*server.Options)) *site {
	t.Helper()
	return openOn(t, testkit.Start(t, d), change...)
}

func openOn(t testing.TB, n *testkit.Node, change ...func(*server.Options)) *site {
	t.Helper()
	s := &site{Node: n, t: t, keys: map[string]string{}, ids: map[string]string{}}
	o := server.Options{Version: "1.2.3", Ready: s.DB.Ping, Now: s.Clock.Now, Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), History: s.DB, Shoppers: s.DB}
	people := access.NewService(s.DB, s.DB, rand.Reader, access.Options{})
	admins := access.NewDesk(people, s.DB, s.DB, s.DB, rand.Reader, s.Clock.Now)
	o.Desk = server.Desk{People: admins, Keys: admins, Shares: admins, Audit: audit.NewLog(s.DB, s.Clock.Now), Settings: noSettings{}}
	for _, f := range change {
		f(&o)
	}
	var err error
	if s.server, err = server.New(s.Engine, s.Engine, s.DB, o); err != nil {
		t.Fatal(err)
	}
	listening := httptest.NewServer(s.server)
	t.Cleanup(listening.Close) // before the node stops
	s.url = listening.URL
	for _, scopes := range []string{"choose", "reward", "read", "admin", "choose,reward"} {
		s.newKey(scopes, scopes)
	}
	s.newKey("page", "choose,reward", shop)
	return s
}

// noSettings is a store that says nothing of how it runs.
type noSettings struct{}

func (noSettings) Settings(context.Context) (juncture.SettingsView, error) {
	return juncture.SettingsView{Groups: []juncture.SettingGroup{{Title: "This server", Where: "flags", Lines: []juncture.SettingLine{{Title: "Version", Value: "1.2.3"}}}}}, nil
}

func (s *site) newKey(as, scopes string, origins ...string) {
	s.t.Helper()
	var list []access.Scope
	for _, name := range strings.Split(scopes, ",") {
		list = append(list, access.Scope(name))
	}
	k, secret, err := access.NewKey(as, list, len(origins) > 0, origins, s.Clock.Now(), testkit.Random(byte(len(s.keys)+10)))
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.DB.CreateKey(s.t.Context(), k, juncture.AuditNote{At: s.Clock.Now(), Actor: "test", Action: "create", Subject: "key " + k.ID}); err != nil {
		s.t.Fatal(err)
	}
	s.keys[as], s.ids[as] = secret, k.ID
}

// as returns a client with a key, which does not retry.
func (s *site) as(key string) *client.Client {
	return client.New(s.url, s.keys[key], client.Options{Retries: -1})
}

// reply is an answer as it came.
type reply struct {
	status  int
	header  http.Header
	body    []byte
	problem juncture.ProblemView
}

func headers(kv ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(kv); i += 2 {
		h.Set(kv[i], kv[i+1])
	}
	return h
}

// call sends a request as it stands, with the key of choose and reward unless the header says otherwise, and holds every
// refusal to the form that all have.
func (s *site) call(method, path, body string, header http.Header) reply {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.keys["choose,reward"])
	for k, v := range header {
		req.Header[k] = v
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	r := reply{status: resp.StatusCode, header: resp.Header}
	if r.body, err = io.ReadAll(resp.Body); err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	if r.status >= 400 && method != http.MethodHead {
		r.problem = problemIn(s.t, r.body)
		if ct := r.header.Get("Content-Type"); ct != "application/problem+json" {
			s.t.Errorf("%s %s: a problem of content type %q", method, path, ct)
		}
		if r.problem.Status != r.status || r.problem.RequestID == "" || r.problem.RequestID != r.header.Get("X-Request-Id") || r.problem.Detail == "" || r.problem.Type == "" || r.problem.Title == "" {
			s.t.Errorf("%s %s: status %d, X-Request-Id %q, problem %+v", method, path, r.status, r.header.Get("X-Request-Id"), r.problem)
		}
	}
	return r
}

func problemIn(t testing.TB, b []byte) juncture.ProblemView {
	t.Helper()
	var p juncture.ProblemView
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		t.Fatalf("not a problem: %v: %.200s", err, b)
	}
	return p
}

// unchanged holds what f does to leave the ledger as it is.
func (s *site) unchanged(f func()) {
	s.t.Helper()
	before := s.Ledger()
	f()
	if diff := cmp.Diff(before, s.Ledger()); diff != "" {
		s.t.Errorf("the ledger changed:\n%s", diff)
	}
	s.Verify()
}

func (s *site) choose(r juncture.ChooseRequest) *juncture.ChooseAnswer {
	s.t.Helper()
	if r.Surface == "" {
		r.Surface = "home_hero"
	}
	if r.ShopperID == "" && r.AnonymousID == "" {
		r.ShopperID = "ada"
	}
	a, err := s.as("choose").Choose(s.t.Context(), &r)
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

// reward tells an outcome and returns its answer, or its code where it is refused.
func (s *site) reward(r juncture.RewardRequest) (*juncture.RewardAnswer, juncture.Code) {
	s.t.Helper()
	if r.Event == "" {
		r.Event = "click"
	}
	a, err := s.as("reward").Reward(s.t.Context(), &r)
	if err != nil {
		return nil, juncture.ErrorCode(err)
	}
	return a, ""
}

func js(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func ptr[T any](v T) *T { return &v }

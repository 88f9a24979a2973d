package server_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/internal/testkit"
)

func zipped(t *testing.T, s string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func basic(user string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":")) }

// browser is what a shopper's sends.
const browser = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"

func TestTrackingTakesWhatTrackersSend(t *testing.T) {
	t.Parallel()
	s := open(t, testkit.Declaration())
	s.newKey("events", "events")
	s.newKey("events page", "events", shop)
	key := s.keys["events"]
	one := func(id, rest string) string {
		return fmt.Sprintf(`{"type":"track","event":"Product Viewed","anonymousId":"ann","messageId":%q,"properties":{"product_id":"p1","category":"Dresses"}%s}`, id, rest)
	}
	for _, x := range []struct {
		name, path, body string
		header           []string
		status, events   int // events of ann in the log afterwards
	}{
		{"Bearer, a batch", "/v1/batch", `{"batch":[` + one("m1", "") + `,` + one("m2", "") + `]}`, []string{"Authorization", "Bearer " + key}, 200, 2},
		{"the same again", "/v1/b", `{"batch":[` + one("m1", "") + `,` + one("m2", "") + `]}`, []string{"Authorization", basic(key)}, 200, 2},
		{"Basic, as plain text", "/v1/track", one("m3", ""), []string{"Authorization", basic(key), "Content-Type", "text/plain"}, 200, 3},
		{"the key in the body, as a form", "/v1/t", one("m4", `,"writeKey":"`+key+`"`), []string{"Authorization", "", "Content-Type", "application/x-www-form-urlencoded"}, 200, 4},
		{"gzip", "/v1/t", zipped(t, one("m5", "")), []string{"Authorization", basic(key), "Content-Encoding", "gzip"}, 200, 5},
		{"a browser", "/v1/t", one("m6", ""), []string{"Authorization", basic(s.keys["events page"]), "Origin", shop, "User-Agent", browser}, 200, 6},
		{"a program in the page", "/v1/t", one("b1", ""), []string{"Authorization", basic(s.keys["events page"]), "Origin", shop, "User-Agent", "Mozilla/5.0 (compatible; Googlebot/2.1)"}, 200, 6},
		{"a program, the server says", "/v1/t", one("b2", `,"context":{"userAgent":"AcmeBot/1.0"}`), []string{"Authorization", basic(key)}, 200, 6},
		{"one bad among good", "/v1/batch", `{"batch":[{"type":"dance"},` + one("m7", "") + `,5]}`, []string{"Authorization", basic(key)}, 200, 7},
		{"consent denied", "/v1/t", one("m8", `,"context":{"consent":{"categoryPreferences":{"advertising":false,"analytics":false,"functional":false}}}`), []string{"Authorization", basic(key)}, 200, 7},
		{"no key", "/v1/t", one("m9", ""), []string{"Authorization", ""}, 401, 7},
		{"a key without the scope", "/v1/t", one("m9", ""), []string{"Authorization", basic(s.keys["choose,reward"])}, 403, 7},
		{"another page", "/v1/t", one("m9", ""), []string{"Authorization", basic(s.keys["events page"]), "Origin", "https://evil.example"}, 403, 7},
		{"not JSON", "/v1/t", `{"type":`, []string{"Authorization", basic(key)}, 400, 7},
		{"not gzip", "/v1/t", `{}`, []string{"Authorization", basic(key), "Content-Encoding", "gzip"}, 400, 7},
		{"another encoding", "/v1/t", `{}`, []string{"Authorization", basic(key), "Content-Encoding", "br"}, 400, 7},
		{"too large", "/v1/batch", strings.Repeat(" ", 501<<10), []string{"Authorization", basic(key)}, 413, 7},
		{"a bomb", "/v1/batch", zipped(t, strings.Repeat(" ", 50<<20)), []string{"Authorization", basic(key), "Content-Encoding", "gzip"}, 413, 7},
	} {
		r := s.call("POST", x.path, x.body, headers(x.header...))
		if r.status != x.status || x.status == 200 && string(r.body) != `{"success":true}` {
			t.Errorf("%s: %d %s", x.name, r.status, r.body)
		}
		found, err := s.DB.EventsOf(t.Context(), "ann", 100)
		if err != nil {
			t.Fatal(err)
		}
		if len(found) != x.events {
			t.Errorf("%s: %d events are in the log, want %d", x.name, len(found), x.events)
		}
	}
	broken, err := s.DB.Quarantine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int64{}
	for _, q := range broken {
		count[q.Reason] = q.Count
	}
	if len(count) != 3 || count["bot"] != 2 || count["unknown_type"] != 1 || count["not_an_object"] != 1 {
		t.Errorf("quarantined: %v", count)
	}
}

func TestIdentifyMakesOneShopperOfTwoIds(t *testing.T) {
	t.Parallel()
	s := open(t, testkit.Declaration())
	s.newKey("events", "events")
	track := func(body string) {
		t.Helper()
		if r := s.call("POST", "/v1/batch", `{"batch":[`+body+`]}`, headers("Authorization", basic(s.keys["events"]))); r.status != 200 {
			t.Fatalf("%d %s", r.status, r.body)
		}
	}
	track(`{"type":"page","anonymousId":"phone","messageId":"1"}`)
	s.Clock.Advance(time.Minute)
	track(`{"type":"page","anonymousId":"laptop","messageId":"2"}`)
	before := s.choose(juncture.ChooseRequest{AnonymousID: "laptop"})
	track(`{"type":"identify","userId":"ada","anonymousId":"phone","messageId":"3"}`)
	track(`{"type":"identify","userId":"ada","anonymousId":"laptop","messageId":"4"}`)
	for _, id := range []string{"phone", "ada", "laptop"} {
		if got, err := s.DB.Shopper(t.Context(), id); err != nil || got != "phone" {
			t.Errorf("%s is %q, %v", id, got, err)
		}
	}
	groups := map[juncture.Group]bool{}
	for _, r := range []juncture.ChooseRequest{{ShopperID: "ada"}, {AnonymousID: "phone"}, {AnonymousID: "laptop"}, {ShopperID: "ada", AnonymousID: "laptop"}} {
		groups[s.choose(r).Group] = true
	}
	if len(groups) != 1 {
		t.Errorf("one shopper is in the groups %v", groups)
	}
	// An order told by the shopper's id is credited to what was shown on the laptop, too, before it was known whose it is.
	a, code := s.reward(juncture.RewardRequest{ShopperID: "ada", OutcomeID: "o"})
	if code != "" || len(a.AttributedTo) != 1 {
		t.Fatalf("%+v, %s", a, code)
	}
	found, err := s.DB.Touches(t.Context(), "phone", 100)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 5 {
		t.Errorf("%d decisions are theirs, want 5 with %s", len(found), before.DecisionID)
	}
}

func TestAProfileReadsWhatEventsSay(t *testing.T) {
	t.Parallel()
	d := testkit.Declaration()
	d.Layers["moment"] = juncture.LayerSetting{Source: juncture.SourceDerived}
	s := open(t, d)
	s.newKey("events", "events")
	if r := s.call("GET", "/api/v1/profiles/ann", "", headers("Authorization", "Bearer "+s.keys["read"])); r.status != 404 || r.problem.ErrorCode != juncture.CodeNotFound {
		t.Errorf("nobody is %d %s", r.status, r.body)
	}
	track := func(body string) {
		t.Helper()
		if r := s.call("POST", "/v1/batch", `{"batch":[`+body+`]}`, headers("Authorization", basic(s.keys["events"]))); r.status != 200 {
			t.Fatalf("%d %s", r.status, r.body)
		}
		s.Clock.Advance(time.Minute)
	}
	order := func(id string, total int) string {
		return fmt.Sprintf(`{"type":"track","event":"Order Completed","userId":"ann","messageId":%q,"properties":{"order_id":%q,"total":%d,"currency":"GBP","products":[{"product_id":"p","category":"Dresses"}]}}`, id, id, total)
	}
	track(order("o1", 50) + "," + order("o2", 70))
	track(`{"type":"track","event":"Order Refunded","userId":"ann","messageId":"r","properties":{"order_id":"o1","total":20,"currency":"GBP"}}`)
	r := s.call("GET", "/api/v1/profiles/ann", "", headers("Authorization", "Bearer "+s.keys["read"]))
	var p juncture.ProfileView
	if err := json.Unmarshal(r.body, &p); err != nil {
		t.Fatalf("%d %s", r.status, r.body)
	}
	// 50 + 70 - 20 = 100 over two orders.
	if p.CustomerID != "ann" || p.PurchaseCount != 2 || p.LifetimeValue != 100 || p.AverageOrderValue != 50 || p.LastPurchase == nil ||
		p.PredictedChurnRisk == nil || len(p.ProductCategories) != 1 || p.ProductCategories[0] != "dresses" {
		t.Errorf("%s", r.body)
	}
	read := headers("Authorization", "Bearer "+s.keys["read"])
	var line juncture.TimelineView
	if r := s.call("GET", "/api/v1/profiles/ann/timeline?limit=2", "", read); json.Unmarshal(r.body, &line) != nil || len(line.Events) != 2 {
		t.Fatalf("timeline: %d %s", r.status, r.body)
	}
	if back, last := line.Events[0], line.Events[1]; back.Name != "Order Refunded" || back.Value != 20 || back.OrderID != "o1" || last.OrderID != "o2" || last.Value != 70 || last.Products[0].ID != "p" || last.Products[0].Category != "dresses" {
		t.Errorf("timeline: %+v", line)
	}
	for path, status := range map[string]int{"/api/v1/profiles/nobody/timeline": 404, "/api/v1/profiles/ann/timeline?limit=0": 400, "/api/v1/profiles/ann/timeline?limit=1001": 400, "/api/v1/layers?days=x": 400, "/api/v1/layers?days=367": 400} {
		if r := s.call("GET", path, "", read); r.status != status {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
	if x, err := juncture.ParseIntersection(p.Segment); err != nil || x.Axis(juncture.Moment, 0) != "returning" || x.Axis(juncture.Moment, 1) != "freshly-converted" {
		t.Errorf("segment %s, %v", p.Segment, err)
	}
	if a := s.choose(juncture.ChooseRequest{ShopperID: "ann"}); a.Intersection.Key != p.Segment || p.NextBestAction == nil {
		t.Errorf("chosen at %s, profile says %s and %v", a.Intersection.Key, p.Segment, p.NextBestAction)
	}
}

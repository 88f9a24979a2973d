package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/internal/testkit"
)

// picks is an action with product slots.
func picks(d *juncture.Declaration) {
	d.Actions = append(d.Actions, juncture.Action{ID: "picks", Type: "products", Surfaces: []string{"home_hero"}, Slots: 3, Copy: []juncture.Copy{{ID: "plain", Headline: "Picked for you"}}})
}

// stocked has 20 shirts to recommend.
func (d desk) stocked() {
	d.t.Helper()
	var goods []juncture.Product
	for i := range 20 {
		goods = append(goods, juncture.Product{ID: fmt.Sprint("shirt-", i), Title: fmt.Sprint("Shirt ", i), Category: "shirts", Price: 2000, Stock: 3})
	}
	if _, err := d.Engine.PutProducts(d.t.Context(), d.Clock.Now(), goods); err != nil {
		d.t.Fatal(err)
	}
	d.Learned.Restock(d.Clock.Now())
}

// shown are the products in the slots of a new shopper, with the priority that raised each: "shirt-1 shirt-2*new-drop".
func (d desk) shown() string {
	d.t.Helper()
	d.serial()
	a := d.choose(juncture.ChooseRequest{ShopperID: fmt.Sprint("s", d.Clock.Now().UnixNano()), Candidates: []string{"picks"}})
	return productText(a.Products)
}

func productText(products []juncture.ProductView) string {
	var out []string
	for _, p := range products {
		out = append(out, strings.TrimSuffix(p.ID+"*"+p.Priority, "*"))
	}
	return strings.Join(out, " ")
}

func (d desk) priority(id string) (p juncture.PoolPriority) {
	d.t.Helper()
	r := d.call("GET", "/api/v1/priorities/"+id, "", headers("Authorization", "Bearer "+d.keys["read"]))
	if err := json.Unmarshal(r.body, &p); err != nil || r.status != 200 {
		d.t.Fatalf("%d %v %s", r.status, err, r.body)
	}
	return p
}

// A draft changes nothing in the slots, nor does what waits; approved by somebody else it raises from the next call on,
// within its dates; paused and retired it is gone.
func TestAPriorityComesToRaise(t *testing.T) {
	t.Parallel()
	d := openDesk(t, picks)
	d.stocked()
	plain := d.shown()
	if strings.Count(plain, "shirt-") != 3 || strings.Contains(plain, "shirt-17") {
		t.Fatal(plain)
	}
	raises := func(what string, want bool) {
		t.Helper()
		if got := d.shown(); strings.Contains(got, "shirt-17*new-drop") != want || !want && got != plain {
			t.Errorf("%s: %s", what, got)
		}
	}
	ends := d.Clock.Now().Add(24 * time.Hour)
	draft := juncture.PriorityDraft{Priority: juncture.Priority{ID: "new-drop", Owner: "mia", Why: "new drop", Products: []string{"shirt-17"}, Weight: 1, Expires: ends}}
	d.does("editor", "POST", "/priorities", draft, 200)
	raises("a draft", false)
	draft.Submit = true
	d.does("editor", "POST", "/priorities", draft, 200)
	raises("in review", false)
	q := d.queue()
	if len(q) != 1 || q[0].Priority != "new-drop" || q[0].Number != 1 || d.priority("new-drop").State != juncture.PoolInReview {
		t.Fatalf("%+v", q)
	}
	var preview juncture.PriorityPreview
	r := d.call("GET", "/api/v1/priorities/new-drop/preview?shopperId=ada", "", headers("Authorization", "Bearer "+d.keys["read"]))
	if err := json.Unmarshal(r.body, &preview); err != nil || len(preview.Slots) != 1 || preview.Slots[0].Action != "picks" || productText(preview.Slots[0].Now) != plain || !strings.Contains(productText(preview.Slots[0].Then), "shirt-17*new-drop") {
		t.Errorf("%s", r.body)
	}
	if own := d.does("editor", "POST", "/reviews/approve", juncture.ReviewRequest{Items: refs(q), Reason: "mine"}, 403); !strings.Contains(own.problem.Detail, "priority new-drop@1 is your own") {
		t.Errorf("%+v", own.problem)
	}
	raises("her own", false)
	d.does("editor", "POST", "/actions/news/copy", juncture.CopyDraft{Copy: juncture.Copy{ID: "calm", Headline: "No hurry"}, Submit: true}, 200)
	d.does("admin", "POST", "/reviews/approve", juncture.ReviewRequest{Items: refs(d.queue()), Reason: "the drop"}, 200) // in one batch with copy
	raises("approved", true)
	if !d.offered("news/calm") {
		t.Error("the copy of the batch is not offered")
	}
	for _, x := range []struct {
		verb  string
		state juncture.PoolState
	}{{"pause", juncture.PoolPaused}, {"resume", juncture.PoolLive}, {"retire", juncture.PoolRetired}} {
		d.does("admin", "POST", "/priorities/new-drop/"+x.verb, why("because"), 200)
		raises(x.verb, x.state == juncture.PoolLive)
		if p := d.priority("new-drop"); p.State != x.state || x.state != juncture.PoolLive && p.Hold.Reason != "because" {
			t.Errorf("%s: %+v", x.verb, p)
		}
	}
	d.does("admin", "POST", "/priorities/new-drop/resume", why("again"), 409)
	d.does("admin", "POST", "/priorities/none/pause", why("x"), 404)
	starts := d.Clock.Now().Add(time.Hour)
	draft.Starts = &starts
	d.does("editor", "POST", "/priorities", draft, 200)
	d.does("admin", "POST", "/reviews/approve", juncture.ReviewRequest{Items: refs(d.queue()), Reason: "from tomorrow"}, 200)
	for _, x := range []struct {
		at    time.Time
		state juncture.PoolState
	}{{starts.Add(-time.Second), juncture.PoolScheduled}, {starts, juncture.PoolLive}, {ends.Add(-time.Second), juncture.PoolLive}, {ends, juncture.PoolExpired}} {
		d.Clock.Advance(x.at.Sub(d.Clock.Now()))
		raises(string(x.state), x.state == juncture.PoolLive)
		if p := d.priority("new-drop"); p.State != x.state {
			t.Errorf("at %v it is %s", x.at, p.State)
		}
	}
	var said []string
	for e, err := range d.DB.Audit(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(e.Subject, "priority ") {
			said = append(said, e.Action+" "+strings.TrimPrefix(e.Subject, "priority new-drop"))
		}
	}
	if want := []string{"draft @1", "submit @1", "approve @1", "pause ", "resume ", "retire ", "submit @2", "approve @2"}; !slices.Equal(said, want) {
		t.Errorf("the log says %q, want %q", said, want)
	}
	d.Verify()
}

// What a merchandiser writes comes back as text, whatever it is, and what is no priority is refused and changes nothing.
func TestPrioritiesAsText(t *testing.T) {
	t.Parallel()
	d := openDesk(t, picks)
	d.stocked()
	const hostile = `"><script>alert(1)</script>'; DROP TABLE versions; -- \u0000 𝕏`
	ends := d.Clock.Now().Add(time.Hour)
	draft := juncture.PriorityDraft{Priority: juncture.Priority{ID: "odd", Owner: hostile, Why: hostile, Products: []string{hostile, "shirt-17"}, Weight: 1, Expires: ends}, Submit: true}
	d.does("editor", "POST", "/priorities", draft, 200)
	d.does("admin", "POST", "/reviews/approve", juncture.ReviewRequest{Items: refs(d.queue()), Reason: hostile}, 200)
	var p juncture.Priority
	if err := json.Unmarshal(d.priority("odd").Versions[0].Body, &p); err != nil || p.Owner != hostile || p.Products[0] != hostile {
		t.Errorf("%+v, %v", p, err)
	}
	if got := d.shown(); !strings.Contains(got, "shirt-17*odd") {
		t.Error(got)
	}
	for body, status := range map[string]int{
		`{"id":"x","owner":"mia","products":["a"],"weight":0,"expires":"2027-01-01T00:00:00Z"}`:                   400,
		`{"id":"x","owner":"mia","products":["a"],"weight":"1","expires":"2027-01-01T00:00:00Z"}`:                 400,
		`{"id":"../x","owner":"mia","products":["a"],"weight":1,"expires":"2027-01-01T00:00:00Z"}`:                400,
		`{"id":"x","owner":"mia","products":["a"],"weight":1,"expires":"tomorrow"}`:                               400,
		`{"id":"x","owner":"mia","products":["a"],"weight":1,"expires":"2027-01-01T00:00:00Z","price":1}`:         400,
		`{"id":"x","owner":"mia","action":"none","weight":1,"expires":"2027-01-01T00:00:00Z"}`:                    400,
		`{"id":"x","owner":"mia","products":["` + strings.Repeat("x", 70<<10) + `"],"weight":1,"expires":"2027"}`: 413,
	} {
		if r := d.call("POST", "/api/v1/priorities", body, headers("Authorization", "Bearer "+d.keys["editor"])); r.status != status {
			t.Errorf("%.90s: %d %s", body, r.status, r.body)
		}
	}
	if r := d.call("GET", "/api/v1/priorities/odd/preview?version=9", "", headers("Authorization", "Bearer "+d.keys["read"])); r.status != 404 {
		t.Errorf("a preview of no version: %d", r.status)
	}
	if c, err := d.DB.Catalog(t.Context()); err != nil || slices.ContainsFunc(c.Versions, func(v juncture.Version) bool { return v.Priority == "x" }) {
		t.Errorf("something refused was kept: %v", err)
	}
}

// describesPriorities holds the answers of the priorities' routes to the description.
func describesPriorities(t *testing.T, s *site, answer func(method, path, body string, header http.Header, want int) []byte, fits func(schema, body string)) {
	t.Helper()
	read, admin, editor := headers("Authorization", "Bearer "+s.keys["read"]), headers("Authorization", "Bearer "+s.keys["admin"]), headers("Authorization", "Bearer "+s.keys["editor"])
	ends := testkit.Epoch().Add(time.Hour).Format(time.RFC3339)
	goods := `{"id":"new-drop","owner":"mia","why":"new drop","products":["p1"],"category":"shoes","weight":0.5,"starts":"2026-01-01T00:00:00Z","expires":"` + ends + `","submit":true}`
	action := `{"id":"push","owner":"mia","action":"points","weight":1,"expires":"` + ends + `","submit":true}`
	fits("PriorityDraft", goods)
	at := "/api/v1/priorities"
	for _, x := range []struct {
		method, path, body string
		header             http.Header
		want               int
	}{{"POST", at, goods, editor, 200}, {"POST", at, action, editor, 200}, {"POST", at, `{"id":"push"}`, editor, 400}, {"GET", "/api/v1/reviews", "", read, 200},
		{"GET", at + "/push/preview", "", read, 200}, {"GET", at + "/new-drop/preview?version=1&shopperId=ada", "", read, 200}, {"GET", at + "/none/preview", "", read, 404}, {"GET", at + "/push/preview?shopperId=" + strings.Repeat("x", 257), "", read, 400},
		{"POST", at + "/push/pause", `{"reason":"x"}`, admin, 409}} {
		answer(x.method, x.path, x.body, x.header, x.want)
	}
	d := desk{s}
	answer("POST", "/api/v1/reviews/approve", js(t, juncture.ReviewRequest{Items: refs(d.queue()), Reason: "x"}), admin, 200)
	for _, x := range []struct {
		method, path, body string
		want               int
	}{{"GET", at, "", 200}, {"POST", at + "/push/pause", `{"reason":"x"}`, 200}, {"GET", at + "/push", "", 200}, {"POST", at + "/push/resume", `{"reason":"x"}`, 200}, {"POST", at + "/push/retire", `{"reason":""}`, 400},
		{"POST", at + "/new-drop/retire", `{"reason":"x"}`, 200}, {"GET", at + "/none", "", 404}, {"POST", at + "/none/retire", `{"reason":"x"}`, 404}, {"GET", "/api/v1/catalogue", "", 200},
		{"POST", "/choose", `{"surface":"home_hero","shopperId":"z9","explain":true}`, 200}} {
		answer(x.method, x.path, x.body, admin, x.want)
	}
}

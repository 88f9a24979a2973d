package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/internal/testkit"
)

// desk is a site with two people at the pool: each admin key is somebody else.
type desk struct {
	*site
}

func openDesk(t *testing.T, changes ...func(*juncture.Declaration)) desk {
	t.Helper()
	s := open(t, testkit.Declaration(changes...))
	s.newKey("editor", "admin")
	return desk{s}
}

// does posts as somebody and wants a status.
func (d desk) does(as, method, path string, body any, want int) reply {
	d.t.Helper()
	r := d.call(method, "/api/v1"+path, js(d.t, body), headers("Authorization", "Bearer "+d.keys[as]))
	if r.status != want {
		d.t.Fatalf("%s %s %s: %d, want %d: %s", as, method, path, r.status, want, r.body)
	}
	return r
}

func (d desk) queue() []juncture.ReviewItem {
	d.t.Helper()
	var v struct{ Items []juncture.ReviewItem }
	r := d.call("GET", "/api/v1/reviews", "", headers("Authorization", "Bearer "+d.keys["read"]))
	if err := json.Unmarshal(r.body, &v); err != nil || r.status != 200 {
		d.t.Fatalf("%d %v", r.status, err)
	}
	return v.Items
}

func (d desk) action(id string) (a juncture.PoolAction) {
	d.t.Helper()
	r := d.call("GET", "/api/v1/actions/"+id, "", headers("Authorization", "Bearer "+d.keys["read"]))
	if err := json.Unmarshal(r.body, &a); err != nil || r.status != 200 {
		d.t.Fatalf("%d %v %s", r.status, err, r.body)
	}
	return a
}

// offered reports whether /choose would offer an action's copy, by the ranking of a new shopper.
func (d desk) offered(arm string) bool {
	d.t.Helper()
	d.serial()
	a := d.choose(juncture.ChooseRequest{ShopperID: fmt.Sprint("s", d.Clock.Now().UnixNano())})
	return slices.ContainsFunc(a.Ranking, func(r juncture.RankedView) bool { return r.ActionID+"/"+r.CopyID == arm })
}

func (d desk) serial() { d.Clock.Advance(1e6) }

// refs are the versions of the queue, as a reviewer saw them.
func refs(items []juncture.ReviewItem) []juncture.VersionRef {
	var out []juncture.VersionRef
	for _, i := range items {
		out = append(out, i.VersionRef)
	}
	return out
}

func why(reason string) juncture.ReasonRequest { return juncture.ReasonRequest{Reason: reason} }

// A draft is written, submitted, rejected, written anew, approved and offered; then it is paused, resumed and retired.
func TestADraftComesToBeServed(t *testing.T) {
	t.Parallel()
	d := openDesk(t)
	draft := juncture.CopyDraft{Copy: juncture.Copy{ID: "calm", Headline: "No hurry"}}
	d.does("editor", "POST", "/actions/news/copy", draft, 200)
	if len(d.queue()) != 0 || d.offered("news/calm") {
		t.Error("a draft is nobody's to review, and nobody's to see")
	}
	draft.Submit = true // the same text: no new version
	d.does("editor", "POST", "/actions/news/copy", draft, 200)
	q := d.queue()
	if len(q) != 1 || q[0].Number != 1 || q[0].Live != nil || q[0].Author != "key:"+d.ids["editor"] {
		t.Fatalf("%+v", q)
	}
	own := d.does("editor", "POST", "/reviews/approve", juncture.ReviewRequest{Items: refs(q), Reason: "mine"}, 403)
	if own.problem.ErrorCode != juncture.CodeForbidden || !strings.Contains(own.problem.Hint, "selfApproval") {
		t.Errorf("%+v", own.problem)
	}
	d.does("admin", "POST", "/reviews/reject", juncture.ReviewRequest{Items: refs(q)}, 400) // without a comment
	d.does("admin", "POST", "/reviews/reject", juncture.ReviewRequest{Items: refs(q), Reason: "too calm"}, 200)
	if v := d.action("news").Copies[1].Versions[0]; v.Status != juncture.VersionRejected || v.Comment != "too calm" || v.Reviewer != "key:"+d.ids["admin"] {
		t.Errorf("%+v", v)
	}
	draft.Headline = "Take your time"
	d.does("editor", "POST", "/actions/news/copy", draft, 200)
	q = d.queue()
	if len(q) != 1 || q[0].Number != 2 || d.offered("news/calm") {
		t.Fatalf("%+v", q)
	}
	stale := refs(q)
	stale[0].Hash = "another"
	d.does("admin", "POST", "/reviews/approve", juncture.ReviewRequest{Items: stale, Reason: "good"}, 409)
	d.does("admin", "POST", "/reviews/approve", juncture.ReviewRequest{Items: refs(q), Reason: "good"}, 200)
	d.does("admin", "POST", "/reviews/approve", juncture.ReviewRequest{Items: refs(q), Reason: "good"}, 409) // somebody was quicker
	if !d.offered("news/calm") || d.action("news").Copies[1].State != juncture.PoolLive {
		t.Error("approved, and not offered by the next call")
	}
	for _, x := range []struct {
		path string
		want juncture.PoolState
		seen bool
	}{{"/actions/news/copy/calm/pause", juncture.PoolPaused, false}, {"/actions/news/copy/calm/resume", juncture.PoolLive, true},
		{"/actions/news/pause", juncture.PoolApproved, false}, {"/actions/news/resume", juncture.PoolLive, true}, {"/actions/news/copy/calm/retire", juncture.PoolRetired, false}} {
		d.does("admin", "POST", x.path, why("because"), 200)
		if a := d.action("news"); a.Copies[1].State != x.want || d.offered("news/calm") != x.seen {
			t.Errorf("%s: %s, offered %v", x.path, a.Copies[1].State, !x.seen)
		}
	}
	d.does("admin", "POST", "/actions/news/copy/calm/resume", why("again"), 409) // only a newer version brings it back
	draft.Headline = "Whenever you like"
	d.does("editor", "POST", "/actions/news/copy", draft, 200)
	d.does("admin", "POST", "/reviews/approve", juncture.ReviewRequest{Items: refs(d.queue()), Reason: "good"}, 200)
	if !d.offered("news/calm") {
		t.Error("a newer version of what was retired is not offered")
	}
	var said []string
	for e, err := range d.DB.Audit(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(e.Subject, "calm@") {
			said = append(said, e.Action+" "+e.Subject)
		}
	}
	want := []string{"draft copy news/calm@1", "submit copy news/calm@1", "reject copy news/calm@1", "submit copy news/calm@2", "approve copy news/calm@2",
		"submit copy news/calm@3", "approve copy news/calm@3"}
	if !slices.Equal(said, want) {
		t.Errorf("the log says %q", said)
	}
	d.Verify()
}

// One reason for a batch, and all of it or nothing.
func TestABatchIsApprovedWholeOrNot(t *testing.T) {
	t.Parallel()
	d := openDesk(t, func(d *juncture.Declaration) { d.Store.SelfApproval = true })
	for _, id := range []string{"a", "b"} {
		d.does("editor", "POST", "/actions/news/copy", juncture.CopyDraft{Copy: juncture.Copy{ID: id, Headline: id}, Submit: true}, 200)
	}
	q := refs(d.queue())
	bad := slices.Clone(q)
	bad[1].Hash = "x"
	d.does("admin", "POST", "/reviews/approve", juncture.ReviewRequest{Items: bad, Reason: "both"}, 409)
	if len(d.queue()) != 2 {
		t.Error("half of a batch was approved")
	}
	d.does("editor", "POST", "/reviews/approve", juncture.ReviewRequest{Items: q, Reason: "both"}, 200) // the store allows it
	for _, w := range d.action("news").Copies[1:] {
		if v := w.Versions[0]; !v.Bypass || v.Comment != "both" || w.State != juncture.PoolLive {
			t.Errorf("%s: %+v", w.State, v)
		}
	}
}

func TestGuardrailsStandTwice(t *testing.T) {
	t.Parallel()
	d := openDesk(t, func(d *juncture.Declaration) {
		d.Guardrails = &juncture.Guardrails{MaxDiscount: 30, Channels: []string{"onsite", "email"}, Words: []string{"last chance"}}
		d.Surfaces = append(d.Surfaces, juncture.Surface{ID: "text", Channel: "sms"})
	})
	loud := juncture.CopyDraft{Copy: juncture.Copy{ID: "loud", Headline: "LAST   chance!", Body: "really"}}
	d.does("editor", "POST", "/actions/news/copy", loud, 200) // a draft may say anything
	loud.Submit = true
	if r := d.does("editor", "POST", "/actions/news/copy", loud, 422); !strings.Contains(r.problem.Detail, `headline says "last chance"`) {
		t.Errorf("%+v", r.problem)
	}
	steep := juncture.ActionDraft{Submit: true, Action: juncture.Action{ID: "steep", Surfaces: []string{"home_hero", "text"}, Type: "discount",
		Payload: map[string]any{"offer": map[string]any{"percent": "35%"}}, Copy: []juncture.Copy{{ID: "plain", Headline: "Now"}}}}
	r := d.does("editor", "POST", "/actions", steep, 422)
	if !strings.Contains(r.problem.Detail, "payload.offer.percent is 35%") || !strings.Contains(r.problem.Detail, "channel sms") {
		t.Errorf("%+v", r.problem)
	}
	steep.Surfaces, steep.Payload = []string{"home_hero"}, map[string]any{"percent": 25}
	d.does("editor", "POST", "/actions", steep, 200)
	testkit.Apply(t, d.DB, testkit.Declaration(func(d *juncture.Declaration) { // tightened since it was submitted
		d.Surfaces = append(d.Surfaces, juncture.Surface{ID: "text", Channel: "sms"})
		d.Guardrails = &juncture.Guardrails{MaxDiscount: 20}
	}))
	if q := d.queue(); len(q) != 2 || len(q[0].Breaches)+len(q[1].Breaches) != 1 {
		t.Errorf("%+v", q)
	}
	d.does("admin", "POST", "/reviews/approve", juncture.ReviewRequest{Items: refs(d.queue()), Reason: "fine"}, 422)
}

// A switch stops what it names with the next call, earlier answers included, and gives all back.
func TestKillSwitches(t *testing.T) {
	t.Parallel()
	d := openDesk(t)
	mail := juncture.ChooseRequest{ShopperID: "ada", RequestID: "mail-1", Candidates: []string{"news"}}
	first := d.choose(mail)
	if *first.ActionID != "news" {
		t.Fatal(*first.ActionID)
	}
	nothing := func(a *juncture.ChooseAnswer) bool {
		return a.ActionID == nil && a.Copy == nil && a.Reason == juncture.ReasonDisabled && a.ReasonDetail == juncture.DetailKilled
	}
	d.does("admin", "POST", "/switches/action/news/kill", why("wrong price"), 200)
	d.does("admin", "POST", "/switches/action/news/kill", why("wrong price"), 409)
	if d.offered("news/plain") || d.action("news").State != juncture.PoolKilled {
		t.Error("a killed action is offered")
	}
	if a := d.choose(mail); !nothing(a) || a.DecisionID != first.DecisionID {
		t.Errorf("the earlier answer: %+v", a)
	}
	d.does("admin", "POST", "/switches/action/news/restore", why("mended"), 200)
	if a := d.choose(mail); a.ActionID == nil || *a.ActionID != "news" || a.DecisionID != first.DecisionID {
		t.Errorf("restored: %+v", a)
	}
	for _, at := range []string{"surface/home_hero", "store"} {
		d.does("admin", "POST", "/switches/"+at+"/kill", why("incident"), 200)
		for _, r := range []juncture.ChooseRequest{{ShopperID: "bob"}, mail, {ShopperID: "bob", RequestID: "mail-" + at}} {
			if a := d.choose(r); !nothing(a) {
				t.Errorf("%s killed: %+v", at, a)
			}
		}
		elsewhere := d.choose(juncture.ChooseRequest{Surface: "cart_email"})
		if nothing(elsewhere) != (at == "store") {
			t.Errorf("%s killed, elsewhere: %+v", at, elsewhere)
		}
		d.does("admin", "POST", "/switches/"+at+"/restore", why("over"), 200)
		if a := d.choose(juncture.ChooseRequest{ShopperID: "bob", RequestID: "mail-" + at}); a.ActionID == nil || a.Reason != juncture.ReasonSplit {
			t.Errorf("%s restored: nothing was promised, so it is decided: %+v", at, a)
		}
	}
	d.does("admin", "POST", "/switches/surface/nowhere/kill", why("x"), 404)
	d.does("admin", "POST", "/switches/store/kill", why(" "), 400)
	d.Verify()
}

// describesThePool holds the answers of the pool's routes to the description.
func describesThePool(t *testing.T, s *site, answer func(method, path, body string, header http.Header, want int) []byte, fits func(schema, body string)) {
	t.Helper()
	read, admin := headers("Authorization", "Bearer "+s.keys["read"]), headers("Authorization", "Bearer "+s.keys["admin"])
	s.newKey("editor", "admin")
	editor := headers("Authorization", "Bearer "+s.keys["editor"])
	terms := `{"owner":"mia","expires":"2030-01-01T00:00:00Z","cap":{"perShopper":{"n":3,"per":"week"},"perDay":1000,"spend":{"most":500,"cost":5,"per":"success","outcome":"purchase"}},"reason":"budget"}`
	fits("TermsRequest", terms)
	fits("CopyDraft", `{"id":"calm","headline":"x","voice":["full"],"submit":true}`)
	answer("GET", "/api/v1/actions", "", read, 200)
	item := func(path string) string { return "/api/v1/actions/" + path }
	d := desk{s}
	for _, x := range []struct {
		method, path, body string
		header             http.Header
		want               int
	}{{"GET", item("news"), "", read, 200}, {"GET", item("none"), "", read, 404}, {"PUT", item("news/terms"), terms, admin, 200}, {"PUT", item("news/terms"), `{"reason":"x","cap":{"perDay":-1}}`, admin, 400},
		{"POST", "/api/v1/actions", `{"id":"more","surfaces":["home_hero"],"type":"x","copy":[{"id":"plain","headline":"x"}],"submit":true}`, editor, 200},
		{"POST", "/api/v1/actions", `{"id":"more","surfaces":["home_hero"],"type":"x","rule":"1 +"}`, editor, 400},
		{"POST", item("news/copy"), `{"id":"plain","headline":"other","submit":true}`, editor, 200}, {"POST", item("news/copy"), `{"id":"plain"}`, editor, 400}, {"POST", item("none/copy"), `{"id":"plain","headline":"x"}`, editor, 404},
		{"POST", item("news/pause"), `{"reason":"x"}`, admin, 200}, {"POST", item("news/pause"), `{"reason":"x"}`, admin, 409}, {"POST", item("news/copy/plain/retire"), `{"reason":"x"}`, admin, 200},
		{"POST", "/api/v1/switches/action/news/kill", `{"reason":"x"}`, admin, 200}, {"GET", item("news"), "", read, 200}, {"GET", "/api/v1/switches", "", read, 200}, {"POST", "/api/v1/switches/store/restore", `{"reason":"x"}`, admin, 409},
		{"GET", "/api/v1/reviews", "", read, 200}, {"POST", "/api/v1/reviews/approve", `{"items":[],"reason":"x"}`, admin, 400}} {
		answer(x.method, x.path, x.body, x.header, x.want)
	}
	b := js(t, juncture.ReviewRequest{Items: refs(d.queue()), Reason: "x"})
	fits("ReviewRequest", b)
	answer("POST", "/api/v1/reviews/approve", b, editor, 403)
	answer("POST", "/api/v1/reviews/approve", b, admin, 200)
	answer("POST", "/api/v1/reviews/approve", b, admin, 409)
	describesPriorities(t, s, answer, fits)
}

// templated writes a path of the tests as the description has it.
func templated(path string) string {
	parts := strings.Split(path, "/")
	for i := 1; i < len(parts); i++ {
		switch before := parts[i-1]; {
		case before == "experiments" || before == "actions" || before == "priorities" || before == "action" || before == "surface":
			parts[i] = "{id}"
		case before == "copy":
			parts[i] = "{copy}"
		}
	}
	return strings.Join(parts, "/")
}

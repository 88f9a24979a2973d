package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/access"
)

func (f *fakePool) Priorities(context.Context) ([]juncture.PoolPriority, error) {
	return f.priorities, nil
}

func (f *fakePool) PriorityEffects(context.Context) (map[string][]juncture.PriorityEffect, error) {
	return map[string][]juncture.PriorityEffect{"push-points": {{Experiment: "hero", Chance: 0.31, Without: 0.2, Cost: 0.00042, Unit: "click", Covered: 1}, {Experiment: "cart", Cost: -0.0012, Unit: "GBP", Covered: 0.8}}}, nil
}

func (f *fakePool) PreviewPriority(_ context.Context, shopper string, p juncture.Priority) (v juncture.PriorityPreview, _ error) {
	if p.Action != "" {
		v.Effects = append(v.Effects, juncture.PriorityEffect{Experiment: "hero", Chance: 0.31, Without: 0.2, Cost: 0.00042, Unit: "click", Covered: 0.8})
		return v, nil
	}
	v.Slots = []juncture.SlotsPreview{{Action: "picks", Now: []juncture.ProductView{{ID: "sku-1", Title: "Silk midi dress"}}, Then: []juncture.ProductView{{ID: "sku-9", Title: "Raised for " + shopper, Priority: p.ID}, {ID: "sku-1", Title: "Silk midi dress"}}}}
	return v, nil
}

func (f *fakePool) WritePriority(_ context.Context, actor string, r juncture.PriorityDraft) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return f.say("%s priority %s", actor, b)
}

func (f *fakePool) HoldPriority(_ context.Context, actor, id string, verb juncture.Verb, r juncture.ReasonRequest) error {
	return f.say("%s %s priority %s %q", actor, verb, id, r.Reason)
}

// newPriorities are one of products that is in force and edited, one of an action, and one of each other state.
func newPriorities() (out []juncture.PoolPriority, waiting juncture.ReviewItem) {
	body := func(v any) json.RawMessage {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		return b
	}
	version := func(n int, status, author string, p juncture.Priority) juncture.VersionView {
		v := juncture.VersionView{Number: n, Hash: fmt.Sprint("p", n), Status: status, Author: author, Created: now.Add(-time.Hour), Body: body(p)}
		if status == juncture.VersionApproved {
			v.Reviewer, v.Reviewed, v.Comment = "user:bob", new(now), "for the drop"
		}
		return v
	}
	ends := now.Add(240 * time.Hour)
	goods := juncture.Priority{ID: "new-drop", Owner: "mia", Why: "the spring drop", Products: []string{"d1", "d2", "d3", "d4", "d5", "d6"}, Weight: 0.5, Expires: ends}
	action := juncture.Priority{ID: "push-points", Owner: "ben", Why: hostile, Action: "points", Weight: 1, Expires: ends}
	edited := goods
	edited.Weight, edited.Why = 1, hostile
	both := []juncture.Verb{juncture.VerbPause, juncture.VerbRetire}
	waits := version(2, juncture.VersionInReview, "user:ed", edited)
	out = []juncture.PoolPriority{
		{ID: "new-drop", State: juncture.PoolLive, Next: both, Live: 1, Waiting: 1, Versions: []juncture.VersionView{waits, version(1, juncture.VersionApproved, "user:ed", goods)}, Breaches: []string{`why says "drop", which this store does not say`}},
		{ID: "push-points", State: juncture.PoolLive, Next: both, Live: 1, Versions: []juncture.VersionView{version(1, juncture.VersionApproved, "user:ed", action)}},
	}
	for _, s := range []juncture.PoolState{juncture.PoolDraft, juncture.PoolRejected, juncture.PoolScheduled, juncture.PoolExpired, juncture.PoolPaused, juncture.PoolRetired} {
		p := juncture.Priority{ID: "all-" + string(s), Owner: hostile, Category: "shoes", Weight: 1, Starts: &now, Expires: ends}
		one := juncture.PoolPriority{ID: p.ID, State: s, Live: 1, Versions: []juncture.VersionView{version(1, juncture.VersionApproved, "", p)}}
		switch s {
		case juncture.PoolDraft, juncture.PoolRejected:
			one.Live, one.Versions[0] = 0, version(1, string(s), "user:ed", p)
		case juncture.PoolPaused:
			one.Hold, one.Next = &juncture.Hold{State: s, Reason: hostile, By: "user:ap", At: now}, []juncture.Verb{juncture.VerbResume, juncture.VerbRetire}
		}
		out = append(out, one)
	}
	return out, juncture.ReviewItem{VersionRef: juncture.VersionRef{Priority: "new-drop", Number: 2, Hash: "p2"}, Author: "user:ed", Created: now.Add(-time.Hour), Body: body(edited), Live: &out[0].Versions[1]}
}

func TestConsolePriorities(t *testing.T) {
	f := newFake()
	h := serve(t, f)
	for path, role := range map[string]string{poolPath: "good", prioritiesPath: "editor"} {
		body := get(h, path, role).Body.String()
		holds(t, body, ">New drop</a>", "6 products: d1, d2, d3, d4, d5, …", "score × 1.25", "the action Points", "weight × 2.00", "category shoes", "until 30 Nov 2026, 08:30",
			"Hero: 0.42 click", "Cart: brings £1.20", ">Paused</span>", "which this store does not say") // 1,000 × 0.00042; 1,000 × 0.0012
		if strings.Contains(body, "<img") || strings.Contains(body, "<script") || strings.Index(body, ">New drop<") > strings.Index(body, ">All draft<") {
			t.Errorf("%s: what raises does not stand first, or a text is markup", path)
		}
	}
	body := get(h, prioritiesPath, "editor").Body.String()
	holds(t, body, "2 priorities are in force, of 8 that were written.", "Review now", "Submit for review", `<option value="points">Points</option>`, `value="0.5"`, `aria-current="page">Pool`)
	if strings.Contains(get(h, prioritiesPath, "good").Body.String(), "Submit for review") || strings.Contains(get(h, poolPath, "good").Body.String(), "Write one") {
		t.Error("a viewer is offered the form")
	}
	holds(t, get(h, prioritiesPath+"?edit=new-drop", "editor").Body.String(), "Edit a priority", `value="new-drop"`, "d1\nd2\nd3", `name="weight" inputmode="decimal" value="1"`, `value="2026-11-30T08:30"`) // the newest, which waits
	holds(t, get(h, prioritiesPath+"?edit=push-points", "editor").Body.String(), `<option value="points" selected>`)
	csv := get(h, prioritiesPath+".csv", "good").Body.String()
	if !strings.HasPrefix(csv, "priority,state,action,products") || strings.Count(csv, "\n") != 9 || !strings.Contains(csv, "hero; cart,0.00042; -0.0012,click; GBP") {
		t.Errorf("%s", csv)
	}
	for path, code := range map[string]int{priorityURL("none"): 404, prioritiesPath + "?edit=none": 404} {
		if w := get(h, path, "editor"); w.Code != code {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	f.pool.priorities = nil
	holds(t, get(h, prioritiesPath, "editor").Body.String(), "no priority has been written yet", "Submit for review")
	holds(t, get(h, poolPath, "editor").Body.String(), "no priority has been written yet", "Write one")
}

func TestConsolePriority(t *testing.T) {
	f := newFake()
	h := serve(t, f)
	body := get(h, priorityURL("new-drop")+"?shopper=ada", "approver").Body.String()
	holds(t, body, "It raises 6 products", "What version 2 does", "Raised for ada", "raised</span>", "Silk midi dress", "Withdraw", ">Pause</button>", ">Retire</button>", "“for the drop”", "<b>Weight:</b> 1", "in force")
	if strings.Contains(body, "<img") || strings.Contains(body, "<script") {
		t.Error("a text is markup")
	}
	holds(t, get(h, priorityURL("push-points"), "good").Body.String(), "It raises the action Points.", "20.0% of decisions without it, 31.0% with it", "0.42 click", "Looked at: 80.0% of the traffic")
	holds(t, get(h, priorityURL("all-paused"), "good").Body.String(), "It is paused", "Paused <time")
	if body := get(h, priorityURL("new-drop"), "good").Body.String(); strings.Contains(body, ">Pause</button>") || strings.Contains(body, "Withdraw") || strings.Contains(body, ">Edit<") {
		t.Error("a viewer is offered changes")
	}
	card := get(h, reviewsPath+"?shopper=ada", "approver").Body.String()
	holds(t, card, "4 versions wait for review", "Priority New drop", "<del>0.5</del>", "<ins>1</ins>", "Now: Picks", "With this version: Picks", "Raised for ada", "{&#34;priorityId&#34;:&#34;new-drop&#34;,&#34;version&#34;:2,&#34;hash&#34;:&#34;p2&#34;}")
	f.pool.err = juncture.Errorf(juncture.CodeInvalidRequest, "1.5 is not over 0 and up to 1").WithField("weight")
	form := url.Values{"id": {"calm"}, "owner": {hostile}, "weight": {"1.5"}, "products": {"d1\r\nd2"}, "expires": {"2027-01-31T09:00"}, "verb": {"submit"}}
	w := as(h, "editor", prioritiesPath, form)
	holds(t, w.Body.String(), "Nothing was saved yet: 1.5 is not over 0", `value="calm"`, `value="1.5" required aria-invalid="true"`, "d1\r\nd2</textarea>")
	if w.Code != 400 || strings.Contains(w.Body.String(), "<script") {
		t.Error(w.Code)
	}
	for field, bad := range map[string]string{"weight": "much", "starts": "soon", "expires": ""} {
		form.Set(field, bad)
		f.pool.did = nil
		if w := as(h, "editor", prioritiesPath, form); w.Code != 400 || len(f.pool.did) != 0 {
			t.Errorf("%s %q: %d, did %q", field, bad, w.Code, f.pool.did)
		}
		form.Set("weight", "1")
	}
}

// What each role may do to priorities, whatever the page shows.
func TestPrioritiesByRole(t *testing.T) {
	form := url.Values{"reason": {"because"}, "item": {`{"priorityId":"new-drop","version":2,"hash":"p2"}`}, "id": {"calm"}, "owner": {"mia"}, "why": {"drop"}, "weight": {"0.25"}, "products": {"d1\r\n\r\n d2 \r\nd1"}, "starts": {"2027-01-01T09:00"}, "expires": {"2027-01-31T09:00"}}
	with := func(verb string) url.Values {
		v := url.Values{"verb": {verb}, "back": {"priority"}}
		for k, x := range form {
			v[k] = x
		}
		return v
	}
	written := `priority {"id":"calm","owner":"mia","why":"drop","products":["d1","d2"],"weight":0.25,"starts":"2027-01-01T09:00:00Z","expires":"2027-01-31T09:00:00Z"%s}`
	for _, x := range []struct {
		path, verb string
		least      access.Role
		did, to    string
	}{
		{reviewsPath, "approve", access.RoleApprover, `approve 1 "because"`, priorityURL("new-drop") + "?done=approve"},
		{reviewsPath, "withdraw", access.RoleEditor, `withdraw 1 "because"`, priorityURL("new-drop") + "?done=withdraw"},
		{prioritiesPath, "submit", access.RoleEditor, fmt.Sprintf(written, `,"submit":true`), priorityURL("calm") + "?done=submit"},
		{prioritiesPath, "draft", access.RoleEditor, fmt.Sprintf(written, ""), priorityURL("calm") + "?done=draft"},
		{priorityURL("new-drop") + "/hold", "pause", access.RoleApprover, `pause priority new-drop "because"`, priorityURL("new-drop") + "?done=pause"},
		{priorityURL("new-drop") + "/hold", "retire", access.RoleApprover, `retire priority new-drop "because"`, priorityURL("new-drop") + "?done=retire"},
	} {
		for cookie, who := range people {
			if cookie == "token-1" {
				continue // signs in elsewhere
			}
			f := newFake()
			w := as(serve(t, f), cookie, x.path, with(x.verb))
			if who.Role.AtLeast(x.least) {
				if want := "user:" + who.Name + " " + x.did; w.Code != http.StatusSeeOther || len(f.pool.did) != 1 || f.pool.did[0] != want || w.Header().Get("Location") != x.to {
					t.Errorf("%s %v: %d to %s, %q, want %q", who.Role, x.path, w.Code, w.Header().Get("Location"), f.pool.did, want)
				}
			} else if w.Code != http.StatusForbidden || len(f.pool.did) != 0 {
				t.Errorf("%s %s: %d, did %q", who.Role, x.path, w.Code, f.pool.did)
			}
		}
	}
}

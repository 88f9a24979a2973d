package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/access"
)

// fakePool is a Pool with canned data.
type fakePool struct {
	actions  []juncture.PoolAction
	reviews  []juncture.ReviewItem
	switches []juncture.SwitchView

	priorities []juncture.PoolPriority
	did        []string // actor, verb and what
	err        error
}

func (f *fakePool) Actions(context.Context) ([]juncture.PoolAction, error)  { return f.actions, nil }
func (f *fakePool) Reviews(context.Context) ([]juncture.ReviewItem, error)  { return f.reviews, nil }
func (f *fakePool) Switches(context.Context) ([]juncture.SwitchView, error) { return f.switches, nil }

func (f *fakePool) ShownTo(_ context.Context, shopper string, a juncture.Action) ([]juncture.ProductView, []juncture.EditorialView, error) {
	goods := []juncture.ProductView{{ID: "sku-1", Title: "Silk midi dress", Category: "dresses"}, {ID: "sku-2", Category: "shoes"}}
	if shopper != "" {
		goods[0].Title = "Chosen for " + shopper
	}
	return goods[:min(a.Slots, 2)], nil, nil
}

func (f *fakePool) say(format string, args ...any) error {
	f.did = append(f.did, fmt.Sprintf(format, args...))
	return f.err
}

func (f *fakePool) Review(_ context.Context, actor string, verb juncture.Verb, r juncture.ReviewRequest) error {
	return f.say("%s %s %d %q", actor, verb, len(r.Items), r.Reason)
}

func (f *fakePool) HoldAction(_ context.Context, actor, action, copy string, verb juncture.Verb, r juncture.ReasonRequest) ([]string, error) {
	return nil, f.say("%s %s %s/%s %q", actor, verb, action, copy, r.Reason)
}

func (f *fakePool) Switch(_ context.Context, actor, kind, id string, verb juncture.Verb, r juncture.ReasonRequest) ([]string, error) {
	return nil, f.say("%s %s %s %s %q", actor, verb, kind, id, r.Reason)
}

func (f *fakePool) SetTerms(_ context.Context, actor, action string, r juncture.TermsRequest) error {
	b, err := json.Marshal(r)
	return errors.Join(err, f.say("%s terms %s %s", actor, action, b))
}

func (f *fakePool) WriteCopy(_ context.Context, actor, action string, r juncture.CopyDraft) error {
	return f.say("%s copy %s/%s %q %v", actor, action, r.ID, r.Headline, r.Submit)
}

func (f *fakePool) WriteAction(_ context.Context, actor string, r juncture.ActionDraft) error {
	b, err := json.Marshal(r)
	return errors.Join(err, f.say("%s action %s", actor, b))
}

const hostile = `"><img onerror=alert(1)><script>x</script>=HYPERLINK("x")`

// newPool is a pool with one action of each state, and what waits.
func newPool() *fakePool {
	body := func(v any) json.RawMessage {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		return b
	}
	f := &fakePool{}
	version := func(n int, status, author string, v any) juncture.VersionView {
		out := juncture.VersionView{Number: n, Hash: fmt.Sprint("h", n), Status: status, Author: author, Created: now.Add(-time.Duration(30-n) * time.Hour), Body: body(v)}
		if status == juncture.VersionApproved || status == juncture.VersionRejected {
			out.Reviewer, out.Reviewed, out.Comment = "user:bob", new(now.Add(-time.Hour)), "reads well"
		}
		return out
	}
	for i, s := range juncture.PoolStates() {
		id := []string{"late_list", "free_express", "ten_off", "points", "spring", "five_off", "xmas", "size_guide", "old_club", "wrong_price"}[i]
		live := 1
		status := juncture.VersionApproved
		if s == juncture.PoolDraft || s == juncture.PoolInReview || s == juncture.PoolRejected {
			live, status = 0, string(s)
		}
		a := juncture.Action{ID: id, Surfaces: []string{"home_hero", "cart_email", "cart_text", "cart_push"}, Type: "discount", Payload: map[string]any{"percent": 5}, Slots: 2}
		w := juncture.Copy{ID: "plain", Headline: "5% off today", Body: "For a few days, on everything that you kept.", CTA: "Shop now"}
		p := juncture.PoolAction{ID: id, State: s, Live: live, Next: []juncture.Verb{juncture.VerbPause, juncture.VerbRetire, juncture.VerbKill}, Versions: []juncture.VersionView{version(1, status, "user:ed", a)},
			Copies: []juncture.PoolCopy{{ID: "plain", State: s, Live: live, Next: []juncture.Verb{juncture.VerbPause}, Versions: []juncture.VersionView{version(1, status, "user:ed", w)}}}}
		p.Owner = "mia"
		switch s {
		case juncture.PoolLive:
			edited := w
			edited.Headline, edited.CTA = "5% off, today only", "Take it"
			p.Waiting, p.Expires = 1, new(now.Add(240*time.Hour))
			p.Cap = &juncture.Cap{PerShopper: &juncture.Frequency{N: 3, Per: juncture.PerWeek}, PerDay: 20_000, Spend: &juncture.Spend{Most: 5000, Cost: 5, Per: juncture.SpendSuccess, Outcome: "purchase"}}
			p.Copies[0].Versions = []juncture.VersionView{version(3, juncture.VersionInReview, "user:ed", edited), version(2, juncture.VersionRejected, "user:ed", w), p.Copies[0].Versions[0]}
			f.reviews = append(f.reviews, juncture.ReviewItem{VersionRef: juncture.VersionRef{Action: id, Copy: "plain", Number: 3, Hash: "h3"}, Author: "user:ed", Created: now.Add(-time.Hour), Body: body(edited), Live: new(version(1, juncture.VersionApproved, "user:ed", w))},
				juncture.ReviewItem{VersionRef: juncture.VersionRef{Action: id, Number: 2, Hash: "h2"}, Author: "user:ap", Created: now, Body: body(a), Breaches: []string{"payload.percent is 60, over the largest discount of 30%"}},
				juncture.ReviewItem{VersionRef: juncture.VersionRef{Action: id, Copy: "arabic", Number: 1, Hash: "h"}, Author: "user:ed", Created: now, Body: body(juncture.Copy{ID: "arabic", Headline: "توصيل سريع مجاني", Body: hostile + strings.Repeat("long-word", 400), CTA: "😀"})})
		case juncture.PoolKilled:
			p.Killed = &juncture.Kill{Reason: "the price was wrong", By: "user:ap", At: now.Add(-time.Minute)}
			f.switches = append(f.switches, juncture.SwitchView{Kind: "action", ID: id, Kill: *p.Killed})
		case juncture.PoolPaused:
			p.Hold = &juncture.Hold{State: juncture.PoolPaused, Reason: "sold out", By: "user:ap", At: now}
			p.Owner = hostile
		}
		f.actions = append(f.actions, p)
	}
	waits := juncture.ReviewItem{}
	f.priorities, waits = newPriorities()
	f.reviews = append(f.reviews, waits)
	return f
}

func TestConsolePool(t *testing.T) {
	f := newFake()
	h := serve(t, f)
	body := get(h, poolPath, "good").Body.String()
	holds(t, body, "1 action of 10 may be shown now; 2 versions wait for review.", "Five off", ">Live</span>", ">Killed</span>", "until 30 Nov 2026, 08:30", "the price was wrong", `aria-current="page">Pool`)
	if strings.Contains(body, "<script") || strings.Contains(body, "<img") || strings.Contains(body, "Stop it now") {
		t.Error("a viewer is offered a switch, or an owner's name is markup")
	}
	if body := get(h, poolPath+"?state=killed&q=PRICE", "approver").Body.String(); !strings.Contains(body, "Wrong price") || strings.Contains(body, ">Five off<") || !strings.Contains(body, "Stop it now") {
		t.Error("the filter, or the approver's switch")
	}
	holds(t, get(h, poolPath+"?q=nothing-like-it", "good").Body.String(), "Nothing fits")
	if csv := get(h, poolPath+".csv", "good").Body.String(); !strings.HasPrefix(csv, "action,state,") || strings.Count(csv, "\n") != 11 {
		t.Errorf("%s", csv)
	}
	f.pool.actions, f.pool.reviews = nil, nil
	holds(t, get(h, poolPath, "good").Body.String(), "No action has been written yet", "juncture apply")
	holds(t, get(h, reviewsPath, "good").Body.String(), "Nothing waits for review", "All done")
}

func TestConsoleReviews(t *testing.T) {
	f := newFake()
	h := serve(t, f)
	body := get(h, reviewsPath+"?shopper=ada", "approver").Body.String()
	holds(t, body, "4 versions wait for review", "<del>5% off today</del>", "<ins>5% off, today only</ins>", "Chosen for ada", "Product-page module", "Popup", "E-mail", "Push",
		"71 characters, 1 segment", "at most 500 decisions", "over the largest discount of 30%", "Approve</button>", "You wrote it") // "5% off, today only For a few days, on everything that you kept. Take it" is 18 + 1 + 44 + 1 + 7 = 71 places
	if strings.Contains(body, "<img") || strings.Contains(body, "<script") {
		t.Error("copy is markup")
	}
	if body := get(h, reviewsPath, "editor").Body.String(); strings.Contains(body, "Approve</button>") || !strings.Contains(body, "Withdraw to draft") {
		t.Error("an editor approves")
	}
}

// What each role may do, whatever the page shows.
func TestPoolByRole(t *testing.T) {
	ref := `{"actionId":"five_off","copyId":"plain","version":3,"hash":"h3"}`
	words := url.Values{"reason": {"because"}, "item": {ref}, "id": {"calm"}, "headline": {"No hurry"}, "owner": {"mia"}, "perDay": {"7"}, "expires": {"2027-01-31T09:00"},
		"most": {"5000"}, "cost": {"5"}, "spendPer": {"success"}, "spendOutcome": {"purchase"}, "type": {"content"}, "surfaces": {"home_hero"}, "payload": {"{\"percent\": 7}\r\n"}, "copy-id": {"plain"}, "copy-headline": {"Hello"}}
	with := func(kv ...string) url.Values {
		v := url.Values{}
		for k, x := range words {
			v[k] = x
		}
		for i := 0; i < len(kv); i += 2 {
			v.Set(kv[i], kv[i+1])
		}
		return v
	}
	for _, x := range []struct {
		path  string
		form  url.Values
		least access.Role
		did   string
	}{
		{reviewsPath, with("verb", "approve"), access.RoleApprover, `approve 1 "because"`},
		{reviewsPath, with("verb", "reject"), access.RoleApprover, `reject 1 "because"`},
		{reviewsPath, with("verb", "submit"), access.RoleEditor, `submit 1 "because"`},
		{reviewsPath, with("verb", "withdraw"), access.RoleEditor, `withdraw 1 "because"`},
		{actionURL("five_off") + "/copy", with("verb", "submit"), access.RoleEditor, `copy five_off/calm "No hurry" true`},
		{actionURL("five_off") + "/copy", with("verb", "draft"), access.RoleEditor, `copy five_off/calm "No hurry" false`},
		{actionURL("five_off") + "/edit", with("verb", "submit"), access.RoleEditor, `action {"id":"five_off","surfaces":["home_hero"],"type":"content","payload":{"percent":7},"submit":true}`},
		{newActionPath, with("verb", "draft", "perDay", ""), access.RoleEditor, `action {"id":"calm","surfaces":["home_hero"],"type":"content","payload":{"percent":7},"owner":"mia","expires":"2027-01-31T09:00:00Z","cap":{"spend":{"most":5000,"cost":5,"per":"success","outcome":"purchase"}},"copy":[{"id":"plain","headline":"Hello"}]}`},
		{actionURL("five_off") + "/hold", with("verb", "pause", "copy", "plain"), access.RoleApprover, `pause five_off/plain "because"`},
		{actionURL("five_off") + "/terms", words, access.RoleApprover, `terms five_off {"owner":"mia","expires":"2027-01-31T09:00:00Z","cap":{"perDay":7,"spend":{"most":5000,"cost":5,"per":"success","outcome":"purchase"}},"reason":"because"}`},
		{poolPath + "-switch", with("verb", "kill", "what", "surface home_hero"), access.RoleApprover, `kill surface home_hero "because"`},
		{poolPath + "-switch", with("verb", "restore", "what", "store"), access.RoleApprover, `restore store  "because"`},
	} {
		for cookie, who := range people {
			if cookie == "token-1" {
				continue // signs in elsewhere
			}
			f := newFake()
			w := as(serve(t, f), cookie, x.path, x.form)
			if who.Role.AtLeast(x.least) {
				if want := "user:" + who.Name + " " + x.did; w.Code != http.StatusSeeOther || len(f.pool.did) != 1 || f.pool.did[0] != want {
					t.Errorf("%s %v: %d, %q, want %q", who.Role, x.path, w.Code, f.pool.did, want)
				}
			} else if w.Code != http.StatusForbidden || len(f.pool.did) != 0 {
				t.Errorf("%s %s: %d, did %q", who.Role, x.path, w.Code, f.pool.did)
			}
		}
	}
}

func TestConsoleAction(t *testing.T) {
	f := newFake()
	h := serve(t, f)
	body := get(h, actionURL("five_off")+"?edit=plain", "approver").Body.String()
	holds(t, body, "It may be shown, with 1 copy. So far", "At most 3 times a week for one shopper", "A budget of £5,000.00, £5.00 for each purchase", "Kill it now", `value="5% off, today only"`, "“reads well”", `value="2026-11-30T08:30"`)
	if body := get(h, actionURL("five_off"), "good").Body.String(); strings.Contains(body, "Kill it now") || strings.Contains(body, "Submit for review") {
		t.Error("a viewer is offered changes")
	}
	if w := get(h, actionURL("none"), "good"); w.Code != 404 {
		t.Error(w.Code)
	}
	f.pool.err = juncture.Errorf(juncture.CodeUnprocessable, "copy five_off/calm breaks the store's guardrails: headline says %q", "cheap")
	w := as(h, "editor", actionURL("five_off")+"/copy", url.Values{"id": {"calm"}, "headline": {"cheap " + hostile}, "verb": {"submit"}})
	holds(t, w.Body.String(), "Nothing was saved", "headline says", `value="calm"`)
	if w.Code != 422 || strings.Contains(w.Body.String(), "<script") {
		t.Error(w.Code)
	}
}

// Lengths of 3GPP TS 23.038 and 23.040: 160 then 153 places, 70 then 67 units; € takes two places, 😀 two units.
func TestTextMessages(t *testing.T) {
	for text, want := range map[string][3]int{"": {0, 0, 0}, "Hi": {2, 1, 0}, strings.Repeat("a", 160): {160, 1, 0}, strings.Repeat("a", 161): {161, 2, 0}, strings.Repeat("a", 306): {306, 2, 0}, strings.Repeat("a", 307): {307, 3, 0},
		strings.Repeat("€", 80): {160, 1, 0}, "ç": {1, 1, 1}, "😀": {2, 1, 1}, strings.Repeat("я", 70): {70, 1, 1}, strings.Repeat("я", 71): {71, 2, 1}} {
		places, segments, wide := smsLength(text)
		if got := [3]int{places, segments, map[bool]int{true: 1}[wide]}; got != want {
			t.Errorf("%.20q: %v, want %v", text, got, want)
		}
	}
}

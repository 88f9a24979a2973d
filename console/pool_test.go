package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/access"
	"github.com/juncture/juncture/console/preview"
)

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
	f.Pool.Actions, f.Pool.Reviews = nil, nil
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
		for cookie, who := range preview.People() {
			if cookie == "token-1" {
				continue // signs in elsewhere
			}
			f := newFake()
			w := as(serve(t, f), cookie, x.path, x.form)
			if who.Role.AtLeast(x.least) {
				if want := "user:" + who.Name + " " + x.did; w.Code != http.StatusSeeOther || len(f.Pool.Did) != 1 || f.Pool.Did[0] != want {
					t.Errorf("%s %v: %d, %q, want %q", who.Role, x.path, w.Code, f.Pool.Did, want)
				}
			} else if w.Code != http.StatusForbidden || len(f.Pool.Did) != 0 {
				t.Errorf("%s %s: %d, did %q", who.Role, x.path, w.Code, f.Pool.Did)
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
	f.Pool.Err = juncture.Errorf(juncture.CodeUnprocessable, "copy five_off/calm breaks the store's guardrails: headline says %q", "cheap")
	w := as(h, "editor", actionURL("five_off")+"/copy", url.Values{"id": {"calm"}, "headline": {"cheap " + preview.Hostile}, "verb": {"submit"}})
	holds(t, w.Body.String(), "Nothing was saved", "headline says", `value="calm"`)
	if w.Code != 422 || strings.Contains(w.Body.String(), "<script") {
		t.Error(w.Code)
	}
}

package console_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/access"
	"github.com/juncture/juncture/console/preview"
)

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
	f.Pool.Priorities = nil
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
	f.Pool.Err = juncture.Errorf(juncture.CodeInvalidRequest, "1.5 is not over 0 and up to 1").WithField("weight")
	form := url.Values{"id": {"calm"}, "owner": {preview.Hostile}, "weight": {"1.5"}, "products": {"d1\r\nd2"}, "expires": {"2027-01-31T09:00"}, "verb": {"submit"}}
	w := as(h, "editor", prioritiesPath, form)
	holds(t, w.Body.String(), "Nothing was saved yet: 1.5 is not over 0", `value="calm"`, `value="1.5" required aria-invalid="true"`, "d1\r\nd2</textarea>")
	if w.Code != 400 || strings.Contains(w.Body.String(), "<script") {
		t.Error(w.Code)
	}
	for field, bad := range map[string]string{"weight": "much", "starts": "soon", "expires": ""} {
		form.Set(field, bad)
		f.Pool.Did = nil
		if w := as(h, "editor", prioritiesPath, form); w.Code != 400 || len(f.Pool.Did) != 0 {
			t.Errorf("%s %q: %d, did %q", field, bad, w.Code, f.Pool.Did)
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
		for cookie, who := range preview.People() {
			if cookie == "token-1" {
				continue // signs in elsewhere
			}
			f := newFake()
			w := as(serve(t, f), cookie, x.path, with(x.verb))
			if who.Role.AtLeast(x.least) {
				if want := "user:" + who.Name + " " + x.did; w.Code != http.StatusSeeOther || len(f.Pool.Did) != 1 || f.Pool.Did[0] != want || w.Header().Get("Location") != x.to {
					t.Errorf("%s %v: %d to %s, %q, want %q", who.Role, x.path, w.Code, w.Header().Get("Location"), f.Pool.Did, want)
				}
			} else if w.Code != http.StatusForbidden || len(f.Pool.Did) != 0 {
				t.Errorf("%s %s: %d, did %q", who.Role, x.path, w.Code, f.Pool.Did)
			}
		}
	}
}

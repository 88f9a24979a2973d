package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/console"
	"github.com/juncture/juncture/console/preview"
)

// The form of a new version holds what the newest says, or what the version that is asked for says.
func TestEditAction(t *testing.T) {
	f := newFake()
	h := serve(t, f)
	path := actionURL("five_off") + "/edit"
	body := get(h, path, "editor").Body.String()
	holds(t, body, "Edit Five off", "This writes version 2", `value="discount"`, `value="home_hero" checked`, `&#34;percent&#34;: 5`, `id="f-slots" name="slots" inputmode="numeric" value="2"`, "at most 500 decisions", "<code>lifecycle</code>", "what is wanted now")
	if strings.Contains(body, `value="trending" checked`) || strings.Contains(body, `name="owner"`) {
		t.Error("a source is ticked that the action does not name, or the terms are part of a version")
	}
	if w := get(h, path, "good"); w.Code != http.StatusForbidden {
		t.Errorf("a viewer edits: %d", w.Code)
	}
	if w := get(h, actionURL("nobody")+"/edit", "editor"); w.Code != http.StatusNotFound {
		t.Errorf("an action that is not there: %d", w.Code)
	}
	same := url.Values{"verb": {"draft"}, "type": {"discount"}, "surfaces": {"home_hero", "cart_email", "cart_text", "cart_push"}, "payload": {`{"percent":5}`}, "slots": {"2"}}
	for i, v := range f.Pool.Actions {
		if v.ID == "five_off" {
			f.Pool.Actions[i].Versions[0].Hash = console.ActionOf(v).Hash()
		}
	}
	if w := as(h, "editor", path, same); w.Code != http.StatusSeeOther || !strings.HasSuffix(w.Header().Get("Location"), "done=same") || len(f.Pool.Did) != 0 {
		t.Errorf("nothing was changed, and: %d %q, did %q", w.Code, w.Header().Get("Location"), f.Pool.Did)
	}
}

// Whatever is wrong stands beside its field, with what was typed.
func TestDraftTroubles(t *testing.T) {
	f := newFake()
	h := serve(t, f)
	typed := url.Values{"verb": {"submit"}, "id": {"calm"}, "type": {"con tent"}, "surfaces": {"home_hero"}, "payload": {"{\r\n  \"percent\": 5,\r\n}"}, "rule": {"lifecyle == \"loyal\""}, "slots": {"two"},
		"copy-id": {"plain"}, "copy-headline": {preview.Hostile}, "copy-voice": {"c-7f3a", "vip\r\nstore"}, "perDay": {"many"}, "starts": {"soon"}, "most": {"1"}, "owner": {"mia"}, "from": {"trending"}}
	w := as(h, "editor", newActionPath, typed)
	body := w.Body.String()
	holds(t, body, "mend what is marked below", `id="p-payload" role="alert">It is not JSON: line 3, column 1: invalid character`, `id="p-slots" role="alert">&#34;two&#34; is no whole number`, `id="p-cap-perDay"`, `id="p-starts"`, `id="p-cap-spend-cost"`,
		`aria-invalid="true" aria-describedby="n-payload p-payload"`, `value="con tent"`, "lifecyle == &#34;loyal&#34;", `value="c-7f3a" checked`, "vip\nstore</textarea>", `value="trending" checked`, `value="mia"`)
	if w.Code != http.StatusBadRequest || len(f.Pool.Did) != 0 || strings.Contains(body, "<script>") || strings.Contains(body, "<img") {
		t.Errorf("%d, did %q", w.Code, f.Pool.Did)
	}
	typed["payload"], typed["slots"], typed["perDay"], typed["starts"], typed["cost"] = []string{""}, []string{""}, []string{""}, []string{""}, []string{"1"}
	f.Pool.Err = &juncture.Error{Code: juncture.CodeUnprocessable, Message: "action calm breaks the store's guardrails", Field: "payload.percent",
		Problems: []juncture.Problem{{Path: "payload.percent", Message: "payload.percent is 60"}, {Path: "copy[0].headline", Message: "headline says cheap"}, {Path: "surfaces[0]", Message: "no surface", Hint: "declare it"}}}
	w = as(h, "editor", newActionPath, typed)
	holds(t, w.Body.String(), `id="p-payload" role="alert">Payload.percent is 60.`, `id="p-copy-headline" role="alert">Headline says cheap.`, `id="p-surfaces" role="alert">No surface: declare it.`)
	if w.Code != http.StatusUnprocessableEntity {
		t.Error(w.Code)
	}
	f.Pool.Err = juncture.Errorf(juncture.CodeDecisionConflict, "the catalogue changed").WithHint("look at it again")
	if w = as(h, "editor", newActionPath, typed); w.Code != http.StatusConflict {
		t.Error(w.Code)
	}
	holds(t, w.Body.String(), "Nothing was saved: The catalogue changed: look at it again.", `value="con tent"`)
	typed.Set("id", "five_off")
	holds(t, as(h, "editor", newActionPath, typed).Body.String(), "There is an action of this id")
	w = as(h, "approver", actionURL("five_off")+"/terms", url.Values{"perDay": {"x"}, "owner": {"zoe"}, "reason": {"because"}})
	holds(t, w.Body.String(), "&#34;x&#34; is no whole number", `value="zoe"`, `name="reason" value="because"`)
	if w.Code != http.StatusBadRequest {
		t.Error(w.Code)
	}
}

// A preview shows all of what was typed and saves nothing.
func TestDraftPreviews(t *testing.T) {
	f := newFake()
	h := serve(t, f)
	long := strings.Repeat("for everything that you kept ", 60)
	typed := url.Values{"verb": {"preview"}, "id": {"calm"}, "type": {"content"}, "surfaces": {"home_hero", "cart_text"}, "slots": {"1"}, "copy-id": {"plain"}, "copy-headline": {"No hurry"}, "copy-body": {long}, "copy-cta": {"Look"}}
	w := as(h, "editor", newActionPath, typed)
	body := w.Body.String()
	holds(t, body, "As it would be shown", "On-site banner", "Text message", "Silk midi dress", "The rest of it", `value="calm"`)
	if w.Code != http.StatusOK || len(f.Pool.Did) != 0 {
		t.Errorf("%d, did %q", w.Code, f.Pool.Did)
	}
	holds(t, as(h, "editor", actionURL("five_off")+"/copy", url.Values{"verb": {"preview"}, "id": {"calm"}, "headline": {"Take your time"}}).Body.String(), "As it would be shown", `class="p-head">Take your time`, `value="calm"`)
	if len(f.Pool.Did) != 0 {
		t.Errorf("did %q", f.Pool.Did)
	}
}

package server_test

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/client"
	"github.com/juncture/juncture/internal/testkit"
)

func TestChooseAnswers(t *testing.T) {
	t.Parallel()
	s := open(t, testkit.Declaration())
	a := s.choose(juncture.ChooseRequest{Explain: true, Layers: &juncture.LayerValues{Moment: "loyal.at-risk._", Meaning: "Not A Value"},
		Candidates: []string{"five_off", "news", "secret"}, ExcludedActions: []string{"news"}})
	if a.ActionID == nil || *a.ActionID != "five_off" || a.Action.Version != 1 || a.Copy.Headline == "" {
		t.Errorf("of five_off alone: %+v", a)
	}
	sum := 0.0
	for _, r := range a.Ranking {
		sum += r.Probability
		if r.ActionID == "five_off" && r.CopyID == a.Copy.ID && r.Probability != a.Probability {
			t.Errorf("probability %v, in the ranking %v", a.Probability, r.Probability)
		}
	}
	if math.Abs(sum-1) > 1e-9 || len(a.Ranking) != 2 {
		t.Errorf("ranking %+v sums to %v", a.Ranking, sum)
	}
	if a.Intersection.Key != "v1/loyal.at-risk._/_/_/_" || a.Intersection.Tier != "moment" || len(a.Warnings) != 2 || a.Explanation == nil || len(a.Explanation.Filtered) != 3 {
		t.Errorf("%+v %q %+v", a.Intersection, a.Warnings, a.Explanation)
	}
	if a := s.choose(juncture.ChooseRequest{Candidates: []string{"secret"}}); a.ActionID == nil || *a.ActionID != "welcome" || a.Reason != juncture.ReasonDefault || a.ReasonDetail != juncture.DetailEmptyPool {
		t.Errorf("of nothing: %+v", a)
	}
	if a := s.choose(juncture.ChooseRequest{Surface: "cart_email"}); *a.ActionID != "welcome" || a.Reason != juncture.ReasonStatic || a.Group != juncture.GroupNone {
		t.Errorf("where no experiment runs: %+v", a)
	}
	r := s.call("POST", "/choose", `{"surface":"home_hero","shopperId":"ada","shoperId":"x"}`, nil)
	if !strings.Contains(string(r.body), `unknown field \"shoperId\" was ignored`) {
		t.Errorf("an unknown field: %s", r.body)
	}
}

func TestRequestIDs(t *testing.T) {
	t.Parallel()
	s := open(t, testkit.Declaration())
	ask := juncture.ChooseRequest{RequestID: "q1", SessionID: "v1", Context: map[string]any{"a": 1.5, "b": true}}
	first := s.choose(ask)
	n := len(s.Ledger().Decisions)
	again := s.choose(ask)
	if again.DecisionID != first.DecisionID || again.ReasonDetail != juncture.DetailReplay || len(s.Ledger().Decisions) != n {
		t.Errorf("asked again: %+v", again)
	}
	other := ask
	other.Surface, other.ShopperID = "home_hero", "bob"
	if _, err := s.as("choose").Choose(t.Context(), &other); juncture.ErrorCode(err) != juncture.CodeDecisionConflict {
		t.Errorf("another body: %v", err)
	}
	other.Surface = "home_hero"
	if a, err := s.as("admin").Choose(t.Context(), &other); err != nil || a.DecisionID == first.DecisionID {
		t.Errorf("another key: %+v %v", a, err)
	}
	s.Clock.Advance(7*24*time.Hour + time.Second)
	if a := s.choose(ask); a.DecisionID == first.DecisionID {
		t.Error("the same id after 7 days gives the old decision")
	}
	// Within one batch: in order, and a repeat is a repeat.
	q := func(id, shopper string) *juncture.ChooseRequest {
		return &juncture.ChooseRequest{Surface: "home_hero", ShopperID: shopper, RequestID: id}
	}
	items, err := s.as("choose").ChooseBatch(t.Context(), []*juncture.ChooseRequest{q("b1", "cy"), q("b2", "cy"), q("b1", "cy"), q("b1", "dee"), {Surface: "nowhere", ShopperID: "cy"}})
	if err != nil {
		t.Fatal(err)
	}
	if items[0].Err != nil || items[2].Err != nil || items[0].Answer.DecisionID != items[2].Answer.DecisionID || items[1].Answer.DecisionID == items[0].Answer.DecisionID {
		t.Errorf("a repeat within a batch: %+v", items)
	}
	if juncture.ErrorCode(items[3].Err) != juncture.CodeDecisionConflict || juncture.ErrorCode(items[4].Err) != juncture.CodeSurfaceNotFound {
		t.Errorf("%v, %v", items[3].Err, items[4].Err)
	}
	s.Verify()
}

func TestRewards(t *testing.T) {
	t.Parallel()
	s := open(t, testkit.Declaration())
	d := s.choose(juncture.ChooseRequest{}).DecisionID
	late := s.choose(juncture.ChooseRequest{ShopperID: "late"}).DecisionID
	at := s.Clock.Now()
	counted := func(id string) int64 { return s.Ledger().Decisions[id] }
	type row struct {
		name    string
		r       juncture.RewardRequest
		status  juncture.Status
		code    juncture.Code
		learned bool
		counted int64 // outcomes of the decision from here on
	}
	purchase := func(id string, v *float64, adjusts *string) juncture.RewardRequest {
		r := juncture.RewardRequest{DecisionID: d, Event: "purchase", OutcomeID: id, Value: v, Adjusts: adjusts}
		if v != nil {
			r.Currency = "GBP"
		}
		return r
	}
	for _, x := range []row{
		{"a click", juncture.RewardRequest{DecisionID: d, OutcomeID: "c1"}, "recorded", "", true, 1},
		{"again", juncture.RewardRequest{DecisionID: d, OutcomeID: "c1"}, "duplicate", "", false, 1},
		{"again, value said", juncture.RewardRequest{DecisionID: d, OutcomeID: "c1", Value: ptr(1.0)}, "duplicate", "", false, 1},
		{"another value", juncture.RewardRequest{DecisionID: d, OutcomeID: "c1", Value: ptr(0.0)}, "", juncture.CodeOutcomeConflict, false, 1},
		{"a second click", juncture.RewardRequest{DecisionID: d, OutcomeID: "c2"}, "recorded", "", false, 2},
		{"without an id", juncture.RewardRequest{DecisionID: d}, "recorded", "", false, 3},
		{"without an id again", juncture.RewardRequest{DecisionID: d}, "duplicate", "", false, 3},
		{"an order", purchase("o1", ptr(80.0), nil), "recorded", "", false, 4}, // the goal is the click
		{"the order again", purchase("o1", ptr(80.0), nil), "duplicate", "", false, 4},
		{"the order, dearer", purchase("o1", ptr(80.01), nil), "", juncture.CodeOutcomeConflict, false, 4},
		{"a part back", purchase("r1", ptr(-30.0), ptr("o1")), "recorded", "", false, 4},
		{"the part again", purchase("r1", ptr(-30.0), ptr("o1")), "duplicate", "", false, 4},
		{"too much back", purchase("r2", ptr(-50.01), ptr("o1")), "", juncture.CodeUnprocessable, false, 4},
		{"the rest back", purchase("r3", nil, ptr("o1")), "recorded", "", false, 3},
		{"the rest again", purchase("r3", nil, ptr("o1")), "duplicate", "", false, 3},
		{"an id that is taken", purchase("o1", ptr(-1.0), ptr("o1")), "", juncture.CodeOutcomeConflict, false, 3},
		{"of another event", juncture.RewardRequest{DecisionID: d, OutcomeID: "r9", Adjusts: ptr("o1")}, "", juncture.CodeUnprocessable, false, 3},
		{"the click taken back", juncture.RewardRequest{DecisionID: d, OutcomeID: "c1-", Adjusts: ptr("c1")}, "recorded", "", false, 2},
		{"nobody's", juncture.RewardRequest{ShopperID: "stranger"}, "ignored", "", false, 2},
	} {
		a, code := s.reward(x.r)
		if code != x.code || a != nil && (a.Status != x.status || a.Learned != x.learned) || a == nil && x.code == "" {
			t.Errorf("%s: %+v %s, want %s %s, learned %v", x.name, a, code, x.status, x.code, x.learned)
		}
		if n := counted(d); n != x.counted {
			t.Errorf("%s: %d outcomes in the ledger, want %d", x.name, n, x.counted)
		}
	}
	// The window is 24 h. The server's clock decides, what the caller says counts for 72 h.
	s.Clock.Advance(25 * time.Hour)
	if a, _ := s.reward(juncture.RewardRequest{DecisionID: late}); a == nil || a.Status != juncture.StatusLate || a.Learned {
		t.Errorf("after the window: %+v", a)
	}
	if a, _ := s.reward(juncture.RewardRequest{DecisionID: late, OutcomeID: "in time", OccurredAt: at.Add(time.Hour).Format(time.RFC3339)}); a == nil || a.Status != juncture.StatusRecorded || !a.Learned {
		t.Errorf("told late, in time: %+v", a)
	}
	s.Clock.Advance(72 * time.Hour)
	if a, _ := s.reward(juncture.RewardRequest{DecisionID: late, OutcomeID: "stale", OccurredAt: at.Add(time.Hour).Format(time.RFC3339)}); a == nil || a.Status != juncture.StatusLate {
		t.Errorf("told after 72 h: %+v", a)
	}
	s.Verify()
}

func TestHeldOutcomesAndActivation(t *testing.T) {
	t.Parallel()
	s := open(t, testkit.Declaration())
	a := s.choose(juncture.ChooseRequest{DeferActivation: true})
	if a.Active {
		t.Error("deferred and active")
	}
	if r, _ := s.reward(juncture.RewardRequest{DecisionID: a.DecisionID}); r == nil || r.Status != juncture.StatusHeld || r.Learned {
		t.Errorf("before the activation: %+v", r)
	}
	before := s.Ledger()
	if before.Decisions[a.DecisionID] != 0 {
		t.Errorf("a held outcome counts %d", before.Decisions[a.DecisionID])
	}
	for i, want := range []string{"activated", "duplicate", "duplicate"} {
		got, err := s.as("choose").Activate(t.Context(), &juncture.ActivateRequest{DecisionID: a.DecisionID})
		if err != nil || got.Status != want || !got.Active {
			t.Errorf("activation %d: %+v %v", i, got, err)
		}
	}
	if n := s.Ledger().Decisions[a.DecisionID]; n != 1 {
		t.Errorf("after the activation %d outcomes", n)
	}
	served := "points"
	if *a.ActionID == served {
		served = "news"
	}
	if _, err := s.as("choose").Activate(t.Context(), &juncture.ActivateRequest{DecisionID: a.DecisionID, Served: &juncture.Served{ActionID: served}}); juncture.ErrorCode(err) != juncture.CodeDecisionConflict {
		t.Errorf("another arm after the activation: %v", err)
	}
	b := s.choose(juncture.ChooseRequest{ShopperID: "bob", DeferActivation: true})
	if got, err := s.as("choose").Activate(t.Context(), &juncture.ActivateRequest{DecisionID: b.DecisionID, Served: &juncture.Served{ActionID: "points", CopyID: "plain", Probability: 0.5}}); err != nil || got.Status != "activated" {
		t.Errorf("with what was served: %+v %v", got, err)
	}
	if n := s.Ledger().Arms["points@1/plain@1"]; n[0] == 0 {
		t.Errorf("the trial does not belong to what was served: %+v", s.Ledger().Arms)
	}
	s.Verify()
}

func TestShadowOverHTTP(t *testing.T) {
	t.Parallel()
	s := open(t, testkit.Declaration(func(d *juncture.Declaration) { d.Experiments[0].Shadow = true }))
	a := s.choose(juncture.ChooseRequest{})
	if *a.ActionID != "welcome" || a.Group != juncture.GroupShadow || a.ReasonDetail != juncture.DetailShadow || a.Probability != 1 || a.Shadow == nil || !(a.Shadow.Probability > 0) {
		t.Errorf("%+v", a)
	}
	r := s.call("POST", "/choose", `{"surface":"home_hero","shopperId":"ada"}`, nil)
	for _, want := range []string{`"group":"shadow"`, `"shadow":{"actionId":"`, `"reasonDetail":"SHADOW"`} {
		if !strings.Contains(string(r.body), want) {
			t.Errorf("no %s in %s", want, r.body)
		}
	}
	if got, err := s.as("choose").Activate(t.Context(), &juncture.ActivateRequest{DecisionID: a.DecisionID, Served: &juncture.Served{ActionID: "points", Probability: 0.5}}); err != nil || got.Status != "activated" {
		t.Errorf("what the shop showed: %+v %v", got, err)
	}
	if w, code := s.reward(juncture.RewardRequest{DecisionID: a.DecisionID}); code != "" || !w.Learned || w.AttributedTo[0].ActionID != "points" {
		t.Errorf("%+v %v", w, code)
	}
	if n := s.Ledger().Arms["points@1/plain@1"]; n != [2]int64{1, 1} {
		t.Errorf("%+v", s.Ledger().Arms)
	}
	s.Verify()
}

func TestLinearCreditOverHTTP(t *testing.T) {
	t.Parallel()
	s := open(t, testkit.Declaration(func(d *juncture.Declaration) { d.Experiments[0].Attribution = juncture.AttributionLinear }))
	for range 4 {
		s.choose(juncture.ChooseRequest{ShopperID: "ada"})
	}
	r := s.call("POST", "/reward", `{"shopperId":"ada","event":"click","outcomeId":"c1"}`, nil)
	var a juncture.RewardAnswer
	if err := json.Unmarshal(r.body, &a); err != nil || r.status != http.StatusOK || len(a.AttributedTo) != 4 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	holders := 0
	for _, v := range a.AttributedTo {
		if v.Credit != 0.25 || v.ActionID == "" {
			t.Errorf("%+v", v)
		}
		if v.Status == juncture.StatusRecorded {
			holders++
		}
	}
	if holders != 1 || a.Status != juncture.StatusRecorded {
		t.Errorf("%+v", a)
	}
	s.Verify()
}

func TestConsentAndPreviewTeachNothing(t *testing.T) {
	t.Parallel()
	s := open(t, testkit.Declaration())
	s.choose(juncture.ChooseRequest{}) // so that the arm has a line
	arms := func() (trials, outcomes int64) {
		for _, a := range s.Ledger().Arms {
			trials, outcomes = trials+a[0], outcomes+a[1]
		}
		return trials, outcomes
	}
	trials, outcomes := arms()
	denied := s.choose(juncture.ChooseRequest{ShopperID: "eve", Consent: &juncture.Consent{Personalization: "denied"}, Layers: &juncture.LayerValues{Moment: "loyal._._"}})
	if denied.Intersection.Tier != "store" || denied.ReasonDetail != juncture.DetailConsentDenied || denied.Active || denied.ActionID == nil {
		t.Errorf("consent denied: %+v", denied)
	}
	analytics := s.choose(juncture.ChooseRequest{ShopperID: "eve", Consent: &juncture.Consent{Personalization: "granted", Analytics: "denied"}, Layers: &juncture.LayerValues{Moment: "loyal._._"}})
	if analytics.Intersection.Tier != "moment" || analytics.Active {
		t.Errorf("analytics denied: %+v", analytics)
	}
	preview, err := s.as("admin").Choose(t.Context(), &juncture.ChooseRequest{Surface: "home_hero", ShopperID: "eve", Preview: &juncture.Preview{ActionID: "points"}})
	if err != nil || *preview.ActionID != "points" || preview.ReasonDetail != juncture.DetailPreview || preview.Active {
		t.Errorf("preview: %+v %v", preview, err)
	}
	if a, err := s.as("admin").Choose(t.Context(), &juncture.ChooseRequest{Surface: "home_hero", ShopperID: "eve", Preview: &juncture.Preview{ActionID: "unapproved"}}); err != nil || *a.ActionID != "welcome" || len(a.Warnings) != 1 {
		t.Errorf("preview of nothing: %+v %v", a, err)
	}
	for _, id := range []string{denied.DecisionID, analytics.DecisionID, preview.DecisionID} {
		if r, code := s.reward(juncture.RewardRequest{DecisionID: id}); r == nil || r.Status != juncture.StatusIgnored || r.Learned {
			t.Errorf("its outcome: %+v %s", r, code)
		}
	}
	if n, m := arms(); n != trials || m != outcomes {
		t.Errorf("%d trials and %d outcomes became %d and %d", trials, outcomes, n, m)
	}
	s.Verify()
}

func TestControlPlane(t *testing.T) {
	t.Parallel()
	s := open(t, testkit.Declaration())
	for i := range 30 {
		a := s.choose(juncture.ChooseRequest{ShopperID: fmt.Sprint(i), Layers: &juncture.LayerValues{Moment: []string{"loyal._._", "prospect._._"}[i%2]}})
		if i%3 == 0 {
			s.reward(juncture.RewardRequest{DecisionID: a.DecisionID})
		}
	}
	w, err := s.as("read").Winners(t.Context(), "hero", client.WinnersQuery{Axes: []string{"lifecycle"}})
	if err != nil || w.Total != 2 || len(w.Rows) != 2 || w.Rows[0].Trials+w.Rows[1].Trials != 30 || w.Rows[0].Winner == nil {
		t.Errorf("%+v %v", w, err)
	}
	if w, err := s.as("read").Winners(t.Context(), "hero", client.WinnersQuery{Filter: map[string]string{"lifecycle": "loyal"}, Limit: 1}); err != nil || len(w.Rows) != 1 || w.Rows[0].Key != "v1/loyal._._/_/_/_" {
		t.Errorf("%+v %v", w, err)
	}
	key := headers("Authorization", "Bearer "+s.keys["read"])
	for path, want := range map[string]juncture.Code{
		"/api/v1/experiments/nothing": juncture.CodeNotFound, "/api/v1/experiments/nothing/grid": juncture.CodeNotFound,
		"/api/v1/experiments/nothing/winners": juncture.CodeNotFound, "/api/v1/experiments/nothing/intersection?key=v1/_/_/_/_": juncture.CodeNotFound,
		"/api/v1/experiments/hero/grid?rows=mood": juncture.CodeInvalidRequest, "/api/v1/experiments/hero/grid?rows=mode&cols=mode": juncture.CodeInvalidRequest,
		"/api/v1/experiments/hero/grid?filter.mood=a": juncture.CodeInvalidRequest, "/api/v1/experiments/hero/grid?filter.mode=A%20B": juncture.CodeInvalidRequest,
		"/api/v1/experiments/hero/winners?limit=0": juncture.CodeInvalidRequest, "/api/v1/experiments/hero/winners?limit=x": juncture.CodeInvalidRequest,
		"/api/v1/experiments/hero/winners?limit=10001": juncture.CodeInvalidRequest, "/api/v1/experiments/hero/winners?axes=mood": juncture.CodeInvalidRequest,
		"/api/v1/experiments/hero/winners?axes=mode,mode": juncture.CodeInvalidRequest, "/api/v1/experiments/hero/winners?axes=,": juncture.CodeInvalidRequest,
		"/api/v1/experiments/hero/intersection": juncture.CodeInvalidRequest, "/api/v1/experiments/hero/intersection?key=v1/a": juncture.CodeInvalidRequest,
		"/api/v1/experiments/hero/intersection?key=v2/_/_/_/_": juncture.CodeInvalidRequest, "/api/v1/experiments/hero/intersection?key=v1/A/_/_/_": juncture.CodeInvalidRequest,
	} {
		if r := s.call("GET", path, "", key); r.problem.ErrorCode != want {
			t.Errorf("%s: %d %.200s, want %s", path, r.status, r.body, want)
		}
	}
	for _, path := range []string{"/api/v1/experiments/hero/grid", "/api/v1/experiments/hero/grid?rows=meaning&cols=live&filter.lifecycle=loyal", "/api/v1/experiments/hero/winners?limit=10000", "/api/v1/experiments/hero/intersection?key=v1/dormant._._/_/_/_"} {
		if r := s.call("GET", path, "", key); r.status != 200 {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
}

// An empty database has a store without anything: lists and objects are empty, never null.
func TestEmptyStore(t *testing.T) {
	t.Parallel()
	s := open(t, &juncture.Declaration{Store: juncture.StoreInfo{Name: "Empty", Currency: "GBP"}})
	key := headers("Authorization", "Bearer "+s.keys["read"])
	var store map[string]json.RawMessage
	if err := json.Unmarshal(s.call("GET", "/api/v1/store", "", key).body, &store); err != nil {
		t.Fatal(err)
	}
	delete(store, "version")
	want := map[string]json.RawMessage{"store": json.RawMessage(`{"name":"Empty","currency":"GBP"}`), "layers": json.RawMessage(`{}`), "outcomes": json.RawMessage(`[]`), "surfaces": json.RawMessage(`[]`), "holdouts": json.RawMessage(`[]`)}
	if diff := cmp.Diff(want, store); diff != "" {
		t.Error(diff)
	}
	if r := s.call("GET", "/api/v1/experiments", "", key); string(r.body) != `{"items":[]}` {
		t.Errorf("%s", r.body)
	}
}

func TestRunningIt(t *testing.T) {
	t.Parallel()
	s := open(t, testkit.Declaration())
	for i := range 5 {
		a := s.choose(juncture.ChooseRequest{ShopperID: fmt.Sprintf("shopper-%d", i), RequestID: fmt.Sprintf("q-%d", i)})
		s.reward(juncture.RewardRequest{DecisionID: a.DecisionID, OutcomeID: fmt.Sprintf("order-%d", i)})
	}
	s.call("GET", "/nowhere/shopper-1", "", nil)
	open := headers("Authorization", "")
	for path, want := range map[string]string{"/livez": "ok\n", "/readyz": "ok\n", "/version": `{"version":"1.2.3"}`} {
		if r := s.call("GET", path, "", open); r.status != 200 || string(r.body) != want {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
	r := s.call("GET", "/openapi.json", "", open)
	var doc struct{ Info struct{ Version string } }
	if err := json.Unmarshal(r.body, &doc); err != nil || doc.Info.Version != "1.2.3" {
		t.Errorf("%+v %v", doc, err)
	}
	metrics := string(s.call("GET", "/metrics", "", open).body)
	if !strings.Contains(metrics, `juncture_http_requests_total{route="/choose",status="200"} 5`) {
		t.Errorf("the choices were not counted:\n%s", metrics)
	}
	for _, id := range []string{"shopper-1", "q-1", "order-1", "nowhere", s.ids["choose"]} {
		if strings.Contains(metrics, id) {
			t.Errorf("metrics name %q", id)
		}
	}
	s.server.Leave()
	if r := s.call("GET", "/readyz", "", open); r.status != 503 || r.problem.ErrorCode != juncture.CodeUnavailable || r.header.Get("Retry-After") != "1" {
		t.Errorf("leaving: %d %+v", r.status, r.header)
	}
	if r := s.call("GET", "/livez", "", open); r.status != 200 {
		t.Errorf("leaving, and not alive: %d", r.status)
	}
	s.choose(juncture.ChooseRequest{}) // what still comes is answered
}

func TestRequestIDHeader(t *testing.T) {
	t.Parallel()
	s := open(t, testkit.Declaration())
	if r := s.call("GET", "/nothing", "", headers("X-Request-Id", "trace-7")); r.problem.RequestID != "trace-7" {
		t.Errorf("%+v", r.problem)
	}
	seen := []string{}
	for _, id := range []string{"", "has space", strings.Repeat("x", 129), "é"} {
		r := s.call("GET", "/nothing", "", http.Header{"X-Request-Id": {id}})
		if r.problem.RequestID == id || slices.Contains(seen, r.problem.RequestID) {
			t.Errorf("%q is answered %q", id, r.problem.RequestID)
		}
		seen = append(seen, r.problem.RequestID)
	}
}

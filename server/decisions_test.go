package server_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/internal/testkit"
	"github.com/juncture/juncture/server"
)

func TestDecisionsByAPI(t *testing.T) {
	t.Parallel()
	n := testkit.Start(t, testkit.Declaration(testkit.Shares(0.5, 0.5, 0, 0), testkit.Action("points", func(a *juncture.Action) { a.Rule = `lifecycle == "loyal"` })))
	s := openOn(t, n, func(o *server.Options) { o.Decisions = n.Engine.LogOf(n.DB) })
	var ids []string
	for _, who := range []string{"ada", "ben", "cleo"} {
		r := s.call("POST", "/choose", `{"surface": "home_hero", "shopperId": "`+who+`", "layers": {"moment": "prospect.browsing"}}`, http.Header{"Authorization": {"Bearer " + s.keys["choose"]}})
		var a juncture.ChooseAnswer
		if err := json.Unmarshal(r.body, &a); err != nil || r.status != 200 {
			t.Fatalf("%d %s", r.status, r.body)
		}
		ids = append(ids, a.DecisionID)
	}
	get := func(path string, into any) int {
		t.Helper()
		r := s.call("GET", path, "", http.Header{"Authorization": {"Bearer " + s.keys["read"]}})
		if r.status == 200 {
			if err := json.Unmarshal(r.body, into); err != nil {
				t.Fatal(err)
			}
		}
		return r.status
	}
	var page juncture.DecisionPage
	if code := get("/api/v1/decisions?limit=2&group=policy", &page); code != 200 {
		t.Fatal(code)
	}
	all := 0
	for _, g := range []string{"policy", "random"} {
		var p juncture.DecisionPage
		get("/api/v1/decisions?group="+g, &p)
		all += len(p.Items)
	}
	if all != 3 {
		t.Errorf("%d decisions by group, want the 3 that were made", all)
	}
	var newest, older juncture.DecisionPage
	get("/api/v1/decisions?limit=2", &newest)
	get("/api/v1/decisions?limit=2&before="+newest.Next, &older)
	if len(newest.Items) != 2 || len(older.Items) != 1 || older.Next != "" || older.Items[0].DecisionID != ids[0] || newest.Items[0].DecisionID != ids[2] {
		t.Errorf("pages %+v, then %+v", newest, older)
	}
	for _, id := range []string{ids[0], older.Items[0].Serial} {
		var x juncture.ExplainedDecision
		if code := get("/api/v1/decisions/"+id, &x); code != 200 || x.ShopperID != "ada" || len(x.Candidates) != 4 || len(x.Filtered) != 1 || x.Filtered[0].Rule != `lifecycle == "loyal"` || x.Layers[0].Value != "prospect.browsing" {
			t.Errorf("%d: %+v", code, x)
		}
		var v juncture.ReplayView
		if code := get("/api/v1/decisions/"+id+"/replay", &v); code != 200 || v.Verdict != juncture.VerdictMatch || v.Uniform == nil || *v.Uniform != *x.Uniform {
			t.Errorf("%d: %+v", code, v)
		}
	}
	for path, want := range map[string]int{"/api/v1/decisions/7": 404, "/api/v1/decisions/nonsense/replay": 404, "/api/v1/decisions?limit=0": 400, "/api/v1/decisions?limit=1000": 400,
		"/api/v1/decisions?before=x": 400, "/api/v1/decisions?group=nobody": 400, "/api/v1/decisions?from=yesterday": 400, "/api/v1/decisions?shopper=nobody": 200} {
		if code := get(path, new(any)); code != want {
			t.Errorf("%s: %d, want %d", path, code, want)
		}
	}
}

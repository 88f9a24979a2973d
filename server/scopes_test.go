package server_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/juncture/juncture"
)

// Keys of the people's scopes do what people of these roles do, and a key never approves what it wrote.
func TestKeysOfPeople(t *testing.T) {
	t.Parallel()
	d := openDesk(t)
	d.newKey("ed", "edit")
	d.newKey("ap", "approve")
	draft := juncture.CopyDraft{Copy: juncture.Copy{ID: "calm", Headline: "No hurry"}, Submit: true}
	d.does("read", "POST", "/actions/news/copy", draft, 403)
	d.does("ed", "POST", "/actions/news/copy", draft, 200)
	review := juncture.ReviewRequest{Items: refs(d.queue()), Reason: "reads well"}
	d.does("ed", "POST", "/reviews/approve", review, 403)
	d.does("ap", "POST", "/reviews/approve", review, 200)
	if !d.offered("news/calm") {
		t.Error("what a key wrote and another approved is not offered")
	}
	draft.ID = "own"
	d.does("ap", "POST", "/actions/news/copy", draft, 200) // an approver may write
	review.Items = refs(d.queue())
	if r := d.does("ap", "POST", "/reviews/approve", review, 403); !strings.Contains(string(r.body), "your own") {
		t.Errorf("%s", r.body)
	}
	d.does("ed", "POST", "/actions/news/pause", why("sold out"), 403)
	d.does("ap", "POST", "/actions/news/pause", why("sold out"), 200)
	if r := d.does("ap", "POST", "/actions/welcome/pause", why("season over"), 200); !strings.Contains(string(r.body), `default of surface`) {
		t.Errorf("a default is held back unwarned: %s", r.body)
	}
	d.does("ap", "POST", "/switches/store/kill", why("incident"), 200)
	d.does("ap", "POST", "/switches/store/restore", why("over"), 200)
	d.does("ap", "POST", "/experiments/hero/pause", why("a look"), 200)
	d.does("ap", "POST", "/experiments/hero/ship", juncture.ExperimentChange{Reason: "best", Action: "news"}, 403)
}

// A draft is told all that is wrong with it, each by its field.
func TestProblemsOfADraft(t *testing.T) {
	t.Parallel()
	d := openDesk(t)
	r := d.does("editor", "POST", "/actions", juncture.ActionDraft{Action: juncture.Action{ID: "calm", Surfaces: []string{"home_hero"}, Type: "Con tent", Rule: "hour >", Copy: []juncture.Copy{{ID: "plain", Headline: "Hi"}}}}, 400)
	var p juncture.ProblemView
	if err := json.Unmarshal(r.body, &p); err != nil || len(p.Problems) != 2 || p.Field != "type" || p.Problems[0].Field != "type" || p.Problems[0].Detail != p.Detail || p.Problems[1].Field != "rule" || !strings.Contains(p.Problems[1].Detail, "line 1, column") {
		t.Errorf("%+v, %v", p, err)
	}
}

package server_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/experiments/watch"
	"github.com/juncture/juncture/internal/testkit"
)

// The User-Agent and the address are the shopper's where their browser calls, with a publishable key. Of a server's call
// they say nothing: it says in context.userAgent what it knows.
func TestWhoIsNoShopper(t *testing.T) {
	t.Parallel()
	crawler := "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
	ask := func(s *site, shopper, extra string, header ...string) juncture.ChooseAnswer {
		t.Helper()
		r := s.call("POST", "/choose", `{"surface":"home_hero","shopperId":"`+shopper+`"`+extra+`}`, headers(header...))
		var a juncture.ChooseAnswer
		if err := json.Unmarshal(r.body, &a); err != nil || r.status != 200 {
			t.Fatalf("%d %s %v", r.status, r.body, err)
		}
		return a
	}
	s := open(t, testkit.Declaration(func(d *juncture.Declaration) { d.Traffic = &juncture.Traffic{Staff: []string{"198.51.100.0/24"}} }))
	page := []string{"Authorization", "Bearer " + s.keys["page"], "Origin", shop, "User-Agent"}
	for i, x := range []struct {
		extra  string
		header []string
		nobody bool
	}{
		{"", append(page, browser), false},
		{"", append(page, crawler), true},
		{`,"context":{"userAgent":"` + crawler + `"}`, append(page, browser), true},
		{"", []string{"User-Agent", crawler}, false}, // a server's own
		{`,"context":{"userAgent":"` + crawler + `"}`, nil, true},
		{`,"context":{"userAgent":"` + browser + `"}`, []string{"User-Agent", "curl/8.1"}, false},
	} {
		a := ask(s, string(rune('a'+i)), x.extra, x.header...)
		if bot := a.ReasonDetail == juncture.DetailBot; bot != x.nobody || a.ActionID == nil || a.Active == x.nobody || (a.Group == juncture.GroupNone) != x.nobody {
			t.Errorf("%d: %+v", i, a)
		}
	}
	held, err := s.DB.Enrolments(t.Context(), "b")
	if err != nil || len(held) != 0 {
		t.Errorf("the crawler is enrolled: %+v, %v", held, err)
	}
	if l := s.Ledger(); l.Arms["-"] != [2]int64{} {
		t.Errorf("%+v", l)
	}
	here := open(t, testkit.Declaration(func(d *juncture.Declaration) {
		d.Traffic = &juncture.Traffic{Staff: []string{"127.0.0.1", "192.0.2.0/24"}}
	}))
	page[1] = "Bearer " + here.keys["page"]
	if a := ask(here, "mia", "", append(page, browser)...); a.ReasonDetail != juncture.DetailBot || a.Active {
		t.Errorf("from a listed address: %+v", a)
	}
	if a := ask(here, "mia", ""); a.ReasonDetail == juncture.DetailBot || !a.Active {
		t.Errorf("with a secret key: %+v", a)
	}
	off := open(t, testkit.Declaration(func(d *juncture.Declaration) { d.Traffic = &juncture.Traffic{Agents: new(false)} }))
	page[1] = "Bearer " + off.keys["page"]
	if a := ask(off, "ann", "", append(page, crawler)...); !a.Active {
		t.Errorf("not asked for: %+v", a)
	}
}

// A burst of one shopper over HTTP is taken out with what it did; the rest of a crowd behind the same address is not.
func TestABurstOverHTTP(t *testing.T) {
	t.Parallel()
	s := open(t, testkit.Declaration(testkit.Shares(0.5, 0.2, 0.2, 0.1), func(d *juncture.Declaration) { d.Traffic = &juncture.Traffic{Rates: new(true)} }))
	items := func(shopper func(i int) string, n int) {
		t.Helper()
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,{"surface":"home_hero","shopperId":%q}`, shopper(i))
		}
		if r := s.call("POST", "/choose/batch", `{"items":[`+b.String()[1:]+`]}`, nil); r.status != 200 {
			t.Fatalf("%d %s", r.status, r.body)
		}
	}
	items(func(i int) string { return fmt.Sprint("student", i%64) }, 448)
	items(func(int) string { return "robot" }, 301)
	n, err := s.Engine.ExcludeDetected(t.Context(), s.Clock.Now())
	if err != nil || n != 1 {
		t.Fatalf("%d taken out, %v", n, err)
	}
	found, err := s.DB.Exclusions(t.Context(), 10)
	if err != nil || len(found) != 1 || found[0].Shopper != "robot" || found[0].Trials != 301 {
		t.Errorf("%+v, %v", found, err)
	}
	r := s.call("GET", "/api/v1/experiments/hero/health", "", headers("Authorization", "Bearer "+s.keys["read"]))
	var h watch.Health
	if err := json.Unmarshal(r.body, &h); err != nil || r.status != 200 || h.Excluded != 1 || h.Removed != 301 {
		t.Errorf("%d %s %v", r.status, r.body, err)
	}
	s.Verify()
}

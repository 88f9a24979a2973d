package server_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/internal/testkit"
)

// bad is a body and how it is refused.
type bad struct {
	name, body string
	status     int
	code       juncture.Code
	field      string // looked at where it is not empty
}

// broken are bodies that no route takes; fields are a route's own, so that nothing else is wrong.
func broken(fields string) []bad {
	deep := func(n int) string {
		return `{` + fields + `,"x":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`
	}
	in := func(name, body string) bad { return bad{name, body, 400, juncture.CodeInvalidRequest, ""} }
	return []bad{
		in("empty", ""), in("blank", " \n\t "), in("null", "null"), in("a number", "7"), in("text", `"x"`), in("a list", `[{`+fields+`}]`),
		in("two objects", `{`+fields+`}{`+fields+`}`), in("garbage after", `{`+fields+`} x`), in("a comma after", `{`+fields+`},`),
		in("cut off", `{`+fields), in("a trailing comma", `{`+fields+`,}`), in("single quotes", `{'surface':'a'}`), in("a comment", `{`+fields+` /* no */}`),
		in("a byte order mark", "\ufeff{"+fields+"}"), in("UTF-16", "\xff\xfe{\x00}\x00"), in("not UTF-8", `{`+fields+`,"x":"`+"\xff\xfe"+`"}`),
		in("a raw control character", `{`+fields+`,"x":"`+"\x01"+`"}`), in("half a surrogate pair", `{`+fields+`,"x":"\ud800"}`),
		in("the same key twice", `{`+fields+`,`+fields+`}`), in("an unknown key twice", `{`+fields+`,"x":1,"x":1}`),
		in("nested 9 deep", deep(8)), in("nested 30,000 deep", deep(30_000)), in("only brackets", strings.Repeat("[", 60_000)), in("only braces", strings.Repeat(`{"a":`, 12_000)),
		in("form fields", "surface=home_hero&shopperId=ada"), in("NaN", `{`+fields+`,"x":NaN}`), in("Infinity", `{`+fields+`,"x":-Infinity}`), in("1e999", `{`+fields+`,"x":1e999}`),
		{"64 KiB and a byte", `{` + fields + strings.Repeat(" ", 64<<10-len(fields)-1) + `}`, 413, juncture.CodeTooLarge, ""},
		{"2 MiB", `{` + fields + strings.Repeat(" ", 2<<20) + `}`, 413, juncture.CodeTooLarge, ""},
	}
}

func one(field, fields string) bad {
	return bad{field + " " + fields, `{` + fields + `}`, 400, juncture.CodeInvalidRequest, field}
}

func chooseRefusals() []bad {
	const ok = `"surface":"home_hero","shopperId":"ada"`
	of := func(field, value string) bad {
		key := field[:strings.IndexAny(field+".", ".[")]
		return bad{field + " " + fmt.Sprintf("%.40s", value), `{` + ok + `,"` + key + `":` + value + `}`, 400, juncture.CodeInvalidRequest, field}
	}
	context := func(field, value string) bad {
		b := of("context", value)
		b.code, b.field = juncture.CodeInvalidContext, field
		return b
	}
	keys := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"k%d":1`, i)
		}
		return "{" + b.String()[1:] + "}"
	}
	list := func(n int) string { return "[" + strings.Repeat(`"a",`, n-1) + `"a"]` }
	long := func(n int) string { return `"` + strings.Repeat("x", n) + `"` }
	out := broken(ok)
	out = append(out,
		one("surface", `"shopperId":"ada"`), one("surface", `"surface":null,"shopperId":"ada"`), one("surface", `"surface":"","shopperId":"ada"`),
		one("surface", `"surface":7,"shopperId":"ada"`), one("surface", `"surface":{"id":"home_hero"},"shopperId":"ada"`), one("Surface", `"Surface":"home_hero","shopperId":"ada"`),
		bad{"no such surface", `{"surface":"nowhere","shopperId":"ada"}`, 404, juncture.CodeSurfaceNotFound, "surface"},
		bad{"a surface of 60 kB", `{"surface":` + long(60_000) + `,"shopperId":"ada"}`, 404, juncture.CodeSurfaceNotFound, "surface"},
		bad{"no id", `{"surface":"home_hero"}`, 400, juncture.CodeTargetingKeyMissing, ""},
		bad{"empty ids", `{"surface":"home_hero","shopperId":"","anonymousId":null}`, 400, juncture.CodeTargetingKeyMissing, ""},
		one("shopperId", `"surface":"home_hero","shopperId":7`), one("shopperId", `"surface":"home_hero","shopperId":["ada"]`),
		one("shopperId", `"surface":"home_hero","shopperId":`+long(257)), one("anonymousId", `"surface":"home_hero","anonymousId":`+long(257)),
		one("shopperId", `"surface":"home_hero","shopperId":"a\u0000b"`),
		of("requestId", long(129)), of("requestId", "1"), of("sessionId", long(257)), of("sessionId", "{}"),
		context("context", `{"a":{"b":1}}`), context("context", `{"a":[1]}`), context("context", `{"a":null}`), context("context.a", `{"a":NaN}`),
		context("context.a", `{"a":1e999}`), context("context.a", `{"a":1,"a":2}`), context("context", `[]`), context("context", `"a"`),
		context("context", keys(65)), context("context", `{"":1}`), context("context", `{`+long(65)+`:1}`), context("context", `{"a":`+long(1025)+`}`),
		of("layers", `"loyal._._"`), of("layers", `[]`), of("layers.mood", `{"mood":"a"}`), of("layers.moment", `{"moment":7}`), of("layers.moment", `{"moment":["a"]}`),
		of("candidates", list(51)), of("candidates", `"welcome"`), of("candidates[0]", `[7]`), of("candidates[1]", `["welcome",null]`),
		bad{"51 excluded actions", `{` + ok + `,"excludedActions":` + list(51) + `}`, 400, juncture.CodeInvalidRequest, ""}, of("excludedActions", `{}`),
		of("deferActivation", `"true"`), of("deferActivation", `1`), of("explain", `"yes"`),
		of("consent", `"denied"`), of("consent.personalization", `{"personalization":"maybe"}`), of("consent.analytics", `{"analytics":false}`), of("consent.marketing", `{"marketing":"granted"}`),
		of("preview", `"welcome"`), of("preview.actionID", `{"actionID":"welcome"}`),
		bad{"preview without admin", `{` + ok + `,"preview":{"actionId":"five_off"}}`, 403, juncture.CodeForbidden, "preview"},
		bad{"an empty preview without admin", `{` + ok + `,"preview":{}}`, 403, juncture.CodeForbidden, "preview"},
	)
	return out
}

func rewardRefusals(s *site, at time.Time, decision, foreign string) []bad {
	ok := `"decisionId":"` + decision + `","event":"click"`
	click := func(field, rest string) bad { return one(field, ok+","+rest) }
	money := func(field, rest string) bad { return one(field, `"decisionId":"`+decision+`","event":"purchase"`+rest) }
	cannot := func(b bad) bad { b.status, b.code = 422, juncture.CodeUnprocessable; return b }
	long := func(n int) string { return `"` + strings.Repeat("x", n) + `"` }
	out := broken(ok)
	out = append(out,
		one("event", `"decisionId":"`+decision+`"`), one("event", `"decisionId":"`+decision+`","event":""`), one("event", `"decisionId":"`+decision+`","event":"sneeze"`),
		one("event", `"decisionId":"`+decision+`","event":7`), one("event", `"decisionId":"`+decision+`","event":`+long(65)), one("Event", `"decisionId":"`+decision+`","Event":"click"`),
		one("decisionId", `"event":"click"`), one("decisionId", `"decisionId":"","event":"click"`), one("decisionId", `"decisionId":7,"event":"click"`),
		one("shopperId", ok+`,"shopperId":"ada"`), one("", `"event":"click","shopperId":`+long(257)), one("shopperId", `"event":"click","shopperId":{}`),
		click("value", `"value":"1"`), click("value", `"value":true`), click("value", `"value":NaN`), click("value", `"value":1e999`), click("value", `"value":0.5`),
		cannot(click("value", `"value":2`)), cannot(click("value", `"value":-1`)), cannot(click("value", `"value":1e300`)),
		click("currency", `"currency":"GBP"`), click("currency", `"currency":826`),
		money("value", ``), money("value", `,"currency":"GBP"`), money("currency", `,"value":10`), money("currency", `,"value":10,"currency":"USD"`),
		money("currency", `,"value":10,"currency":"gbp"`), money("currency", `,"value":10,"currency":""`),
		cannot(money("value", `,"value":5000.01,"currency":"GBP"`)), cannot(money("value", `,"value":-0.01,"currency":"GBP"`)), cannot(money("value", `,"value":1e308,"currency":"GBP"`)),
		click("", `"outcomeId":`+long(257)), click("outcomeId", `"outcomeId":7`), click("outcomeId", `"outcomeId":"a\u0000"`),
		cannot(click("adjusts", `"outcomeId":"r1","adjusts":"o1"`)), cannot(money("adjusts", `,"outcomeId":"r1","adjusts":"o1"`)), click("adjusts", `"adjusts":7`), click("adjusts", `"adjusts":["o1"]`),
		click("occurredAt", `"occurredAt":"yesterday"`), click("occurredAt", `"occurredAt":""`+`,"x":1,"occurredAt":"`), click("occurredAt", `"occurredAt":1700000000`), click("occurredAt", `"occurredAt":"2026-01-15"`),
		click("occurredAt", `"occurredAt":"`+at.Add(5*time.Minute+time.Second).Format(time.RFC3339)+`"`),
		cannot(click("occurredAt", `"occurredAt":"`+at.Add(-time.Second).Format(time.RFC3339)+`"`)),
	)
	for _, f := range forgeries(decision, foreign) {
		out = append(out, bad{"forged " + f.name, `{"decisionId":` + js(s.t, f.body) + `,"event":"click"}`, 404, juncture.CodeDecisionNotFound, "decisionId"})
	}
	return out
}

// forgeries are ids that are not quite decision, and one of another store.
func forgeries(decision, foreign string) []bad {
	swap := func(i int) string {
		c := byte('A')
		if decision[i] == c {
			c = 'B'
		}
		return decision[:i] + string(c) + decision[i+1:]
	}
	out := []bad{{name: "another store's", body: foreign}, {name: "padded", body: decision + "="}, {name: "with a line end", body: decision + "\n"},
		{name: "with a space", body: " " + decision}, {name: "cut", body: decision[:len(decision)-1]}, {name: "doubled", body: decision + decision},
		{name: "lower case", body: strings.ToLower(decision)}, {name: "words", body: "decision 1"}, {name: "long", body: strings.Repeat("A", 5000)}, {name: "a quote", body: `' or 1=1 --`}}
	for i := range len(decision) {
		out = append(out, bad{name: fmt.Sprintf("at %d", i), body: swap(i)})
	}
	return out
}

// refuse sends every body to the route, and to its batch where it has one: every one is refused as it says and nothing
// changes.
func refuse(t *testing.T, s *site, path, batch string, rows []bad) {
	t.Helper()
	s.unchanged(func() {
		for _, x := range rows {
			r := s.call("POST", path, x.body, nil)
			if r.status != x.status || r.problem.ErrorCode != x.code || x.field != "" && r.problem.Field != x.field {
				t.Errorf("%s %s: %d %s, field %q: %s (want %d %s %q)", path, x.name, r.status, r.problem.ErrorCode, r.problem.Field, r.problem.Detail, x.status, x.code, x.field)
			}
			if batch == "" || len(x.body) > 1<<20 {
				continue
			}
			r = s.call("POST", batch, `{"items":[`+x.body+`]}`, nil)
			if !json.Valid([]byte(x.body)) || strings.Contains(x.name, "30,000") { // the items cannot be told apart: all are refused
				if r.status != 400 && x.name != "empty" && x.name != "blank" && x.name != "two objects" {
					t.Errorf("%s of %s: %d %.200s", batch, x.name, r.status, r.body)
				}
				continue
			}
			var got struct{ Items []json.RawMessage }
			if err := json.Unmarshal(r.body, &got); r.status != 200 || err != nil || len(got.Items) != 1 {
				t.Errorf("%s of %s: %d %v %.200s", batch, x.name, r.status, err, r.body)
				continue
			}
			if p := problemIn(t, got.Items[0]); p.Status != x.status || p.ErrorCode != x.code || p.RequestID != r.header.Get("X-Request-Id") {
				t.Errorf("%s of %s: %+v, want %d %s", batch, x.name, p, x.status, x.code)
			}
		}
	})
}

func TestChooseRefuses(t *testing.T) {
	t.Parallel()
	refuse(t, open(t, testkit.Declaration()), "/choose", "/choose/batch", chooseRefusals())
}

func TestRewardRefuses(t *testing.T) {
	t.Parallel()
	s, foreign := open(t, testkit.Declaration()), foreignDecision(t)
	a := s.choose(juncture.ChooseRequest{})
	refuse(t, s, "/reward", "/reward/batch", rewardRefusals(s, s.Clock.Now(), a.DecisionID, foreign))
}

// foreignDecision is a good decision id of another store.
func foreignDecision(t *testing.T) string {
	t.Helper()
	ring, err := juncture.NewKeyring([]juncture.SigningKey{{ID: 1, Secret: bytes.Repeat([]byte{9}, 32)}})
	if err != nil {
		t.Fatal(err)
	}
	return ring.Sign(juncture.Claims{Serial: 1<<juncture.NodeShift + 7, At: testkit.Epoch(), Until: testkit.Epoch().Add(time.Hour), Experiment: "hero",
		Intersection: juncture.Intersection{"_", "_", "_", "_"}, Arm: 1, Group: juncture.GroupPolicy, Probability: 0.5})
}

func TestActivateRefuses(t *testing.T) {
	t.Parallel()
	s := open(t, testkit.Declaration())
	a := s.choose(juncture.ChooseRequest{DeferActivation: true})
	ok := `"decisionId":"` + a.DecisionID + `"`
	rows := broken(ok)
	rows = append(rows, one("decisionId", ``), one("decisionId", `"decisionId":""`), one("decisionId", `"decisionId":7`), one("shown", ok+`,"shown":true`),
		one("served", ok+`,"served":{}`), one("served", ok+`,"served":{"actionId":"nothing"}`), one("served", ok+`,"served":{"actionId":"five_off","copyId":"nothing"}`),
		one("served", ok+`,"served":"five_off"`), one("served.probability", ok+`,"served":{"actionId":"five_off","probability":1.1}`),
		one("served.probability", ok+`,"served":{"actionId":"five_off","probability":-0.1}`), one("served.share", ok+`,"served":{"actionId":"five_off","share":1}`))
	for _, f := range forgeries(a.DecisionID, foreignDecision(t)) {
		rows = append(rows, bad{"forged " + f.name, `{"decisionId":` + js(t, f.body) + `}`, 404, juncture.CodeDecisionNotFound, "decisionId"})
	}
	refuse(t, s, "/activate", "", rows)
}

func TestBatchRefuses(t *testing.T) {
	t.Parallel()
	s := open(t, testkit.Declaration())
	const item = `{"surface":"home_hero","shopperId":"ada"}`
	items := func(n int) string { return `{"items":[` + strings.Repeat(item+",", n-1) + item + `]}` }
	s.unchanged(func() {
		for _, path := range []string{"/choose/batch", "/reward/batch"} {
			for _, x := range []bad{
				{"no items", `{}`, 400, juncture.CodeInvalidRequest, "items"}, {"items null", `{"items":null}`, 400, juncture.CodeInvalidRequest, "items"},
				{"items an object", `{"items":{}}`, 400, juncture.CodeInvalidRequest, "items"}, {"items twice", `{"items":[],"items":[]}`, 400, juncture.CodeInvalidRequest, "items"},
				{"another field", `{"items":[],"x":1}`, 400, juncture.CodeInvalidRequest, "x"}, {"a list", `[` + item + `]`, 400, juncture.CodeInvalidRequest, ""},
				{"empty", ``, 400, juncture.CodeInvalidRequest, ""}, {"one broken", `{"items":[` + item + `,{"a":]}`, 400, juncture.CodeInvalidRequest, ""},
				{"cut off", `{"items":[` + item, 400, juncture.CodeInvalidRequest, ""}, {"501 items", items(501), 413, juncture.CodeTooLarge, "items"},
				{"1 MiB and a byte", `{"items":[]` + strings.Repeat(" ", 1<<20-11) + `}`, 413, juncture.CodeTooLarge, ""},
			} {
				r := s.call("POST", path, x.body, nil)
				if r.status != x.status || r.problem.ErrorCode != x.code || x.field != "" && r.problem.Field != x.field {
					t.Errorf("%s %s: %d %s, field %q: %s", path, x.name, r.status, r.problem.ErrorCode, r.problem.Field, r.problem.Detail)
				}
			}
			if r := s.call("POST", path, `{"items":[]}`, nil); r.status != 200 || string(r.body) != `{"items":[]}` {
				t.Errorf("%s of nothing: %d %s", path, r.status, r.body)
			}
		}
	})
	if r := s.call("POST", "/choose/batch", `{"items":[]`+strings.Repeat(" ", 1<<20-12)+`}`, nil); r.status != 200 {
		t.Errorf("1 MiB: %d %s", r.status, r.body)
	}
	if r := s.call("POST", "/choose/batch", items(500), nil); r.status != 200 || len(s.Ledger().Decisions) != 500 {
		t.Errorf("500 items: %d, %d decisions", r.status, len(s.Ledger().Decisions))
	}
	if r := s.call("POST", "/choose", `{"surface":"home_hero","shopperId":"ada"`+strings.Repeat(" ", 64<<10-42)+` }`, nil); r.status != 200 {
		t.Errorf("64 KiB: %d %s", r.status, r.body)
	}
}

func TestContentTypesAndEncodings(t *testing.T) {
	t.Parallel()
	s := open(t, testkit.Declaration())
	const body = `{"surface":"home_hero","shopperId":"ada"}`
	for _, ct := range []string{"application/json", "text/plain;charset=UTF-8", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml", "", ";;"} {
		h := http.Header{}
		if ct != "" {
			h.Set("Content-Type", ct)
		}
		for _, enc := range []string{"", "identity"} {
			if enc != "" {
				h.Set("Content-Encoding", enc)
			}
			if r := s.call("POST", "/choose", body, h); r.status != 200 || !strings.Contains(string(r.body), `"decisionId"`) || r.header.Get("Content-Type") != "application/json; charset=utf-8" {
				t.Errorf("%q %q: %d %s", ct, enc, r.status, r.body)
			}
		}
	}
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	w.Write([]byte(body)) //nolint:errcheck // to memory
	w.Close()             //nolint:errcheck // to memory
	s.unchanged(func() {
		for _, path := range []string{"/choose", "/choose/batch", "/activate", "/reward", "/reward/batch"} {
			for _, enc := range []string{"gzip", "deflate", "br", "GZIP", "gzip, identity", ""} {
				h := http.Header{}
				if enc != "" {
					h.Set("Content-Encoding", enc)
				}
				if r := s.call("POST", path, zipped.String(), h); r.status != 400 || r.problem.ErrorCode != juncture.CodeInvalidRequest {
					t.Errorf("%s %q: %d %s", path, enc, r.status, r.body)
				}
			}
		}
	})
}

func TestMethods(t *testing.T) {
	t.Parallel()
	s := open(t, testkit.Declaration())
	a := s.choose(juncture.ChooseRequest{})
	query := "?decisionId=" + a.DecisionID + "&event=click"
	body := `{"decisionId":"` + a.DecisionID + `","event":"click"}`
	s.unchanged(func() {
		for _, path := range []string{"/choose", "/choose/batch", "/activate", "/reward", "/reward/batch"} {
			for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "PROPFIND", "post"} {
				r := s.call(method, path+query, body, nil)
				if r.status != 405 || method != "HEAD" && r.problem.ErrorCode != juncture.CodeMethodNotAllowed || !strings.Contains(r.header.Get("Allow"), "POST") {
					t.Errorf("%s %s: %d %s, Allow %q", method, path, r.status, r.problem.ErrorCode, r.header.Get("Allow"))
				}
			}
		}
		for _, path := range []string{"/livez", "/readyz", "/version", "/metrics", "/openapi.json", "/api/v1/store"} {
			if r := s.call("POST", path, "{}", nil); r.status != 405 || r.header.Get("Allow") != "GET" {
				t.Errorf("POST %s: %d, Allow %q", path, r.status, r.header.Get("Allow"))
			}
		}
		for _, path := range []string{"/", "/reward/", "/rewards", "//reward", "/Reward", "/api/v1/", "/../reward", "/debug/pprof/"} {
			if r := s.call("POST", path, body, nil); r.status != 404 || r.problem.ErrorCode != juncture.CodeNotFound {
				t.Errorf("POST %s: %d %s", path, r.status, r.problem.ErrorCode)
			}
		}
	})
}

package console

import (
	"bufio"
	"context"
	"encoding/csv"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/juncture/juncture"
)

// cannedLog is a DecisionLog over canned decisions, newest first.
type cannedLog struct {
	mu     sync.Mutex // a browser's requests come beside the test
	items  []juncture.LoggedDecision
	asked  juncture.DecisionQuery
	differ bool
}

func newLog() *cannedLog {
	l := &cannedLog{}
	groups := []juncture.Group{juncture.GroupPolicy, juncture.GroupRandom, juncture.GroupBAU, juncture.GroupHoldout, juncture.GroupShadow}
	for i := range 120 {
		d := juncture.LoggedDecision{Serial: fmt.Sprint(900_000 - i), DecisionID: fmt.Sprintf("AQEAbgAAAZqh7%04dkT3x0pQ", i), At: now.Add(-time.Duration(i) * 31 * time.Second), Surface: "home_hero", Experiment: "hero",
			Group: groups[i%5], Reason: juncture.ReasonSplit, ShopperID: fmt.Sprintf("shopper-%d", i%9), Intersection: "v1/loyal.browsing.researching/wedding-guests/_/_", Arm: "five_off@1/plain@1",
			Probability: 0.3125, PolicyVersion: "8c1f0a2b3d4e5f60", Active: true}
		switch d.Group {
		case juncture.GroupHoldout:
			d.Arm, d.Detail, d.Probability, d.PolicyVersion = "-", juncture.DetailHoldout, 1, ""
		case juncture.GroupBAU:
			d.Arm, d.Probability, d.PolicyVersion = "welcome@1/plain@1", 1, ""
		case juncture.GroupShadow:
			d.Arm, d.Shadow, d.Probability, d.Detail = "welcome@1/plain@1", "points@2/a-rather-long-name-of-a-copy@3", 1, juncture.DetailShadow
		}
		switch i {
		case 6:
			d.ShopperID, d.Active, d.Detail, d.Group = "", false, juncture.DetailConsentDenied, juncture.GroupNone
		case 7:
			d.ShopperID = "חנות-" + strings.Repeat("long-", 30)
		}
		l.items = append(l.items, d)
	}
	return l
}

func (l *cannedLog) Find(_ context.Context, id string) (uint64, error) {
	if serial, ok := juncture.ParseSerial(id); ok {
		return serial, nil
	}
	for _, d := range l.items {
		if d.DecisionID == id {
			serial, _ := juncture.ParseSerial(d.Serial)
			return serial, nil
		}
	}
	return 0, juncture.Errorf(juncture.CodeDecisionNotFound, "no such decision")
}

func (l *cannedLog) Decisions(_ context.Context, q juncture.DecisionQuery) (juncture.DecisionPage, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = q
	page := juncture.DecisionPage{Items: []juncture.LoggedDecision{}}
	for _, d := range l.items {
		serial, _ := juncture.ParseSerial(d.Serial)
		if q.Before != 0 && serial >= q.Before || q.Shopper != "" && d.ShopperID != q.Shopper || q.Group != nil && d.Group != *q.Group || !q.To.IsZero() && !d.At.Before(q.To) {
			continue
		}
		if len(page.Items) == q.Limit {
			page.Next = page.Items[len(page.Items)-1].Serial
			break
		}
		page.Items = append(page.Items, d)
	}
	return page, nil
}

func (l *cannedLog) Explain(_ context.Context, serial uint64) (*juncture.ExplainedDecision, error) {
	for _, d := range l.items {
		if d.Serial != juncture.SerialText(serial) {
			continue
		}
		u, p := 0.7312409182347201, 0.62
		x := &juncture.ExplainedDecision{LoggedDecision: d, Until: d.At.Add(24 * time.Hour), Share: 0.85, Terms: "77aa8c1f0a2b3d4e", Policy: "pooled", Floor: 0.01,
			Layers: []juncture.ExplainedLayer{{Layer: "moment", Value: "loyal.browsing.researching", Reason: "5 orders; looked widely: 5 products, 2 categories", Source: "recomputed", Same: true},
				{Layer: "meaning", Value: "wedding-guests", Reason: "mostly dresses, occasion wear", Source: "recomputed"}, {Layer: "trajectory", Value: "_", Reason: "not sent by the caller", Source: "logged", Same: true},
				{Layer: "catalogue", Value: "_", Reason: "not sent by the caller", Source: "logged", Same: true}},
			Outcomes: []juncture.ExplainedReward{{Event: "purchase", ID: "R-1", Value: 42.5, Currency: "GBP", At: d.At.Add(time.Hour), Status: juncture.StatusRecorded, Credit: 1}}}
		if d.PolicyVersion != "" {
			x.Uniform = &u
			for i, name := range []string{"five_off", "welcome", "points"} {
				c := juncture.Candidate{Arm: juncture.Arm{Action: name, ActionVersion: 1, Copy: "plain", CopyVersion: 2}, Headline: "5% off today", Probability: []float64{0.3125, 0.5624999999999999, 0.125}[i], Shown: i == 0, Drawn: i == 0}
				if d.Group == juncture.GroupRandom {
					c.Policy = &p
				}
				x.Candidates = append(x.Candidates, c)
			}
			x.Filtered = []juncture.FilteredArm{{Arm: juncture.Arm{Action: "free_express", ActionVersion: 3, Copy: "plain", CopyVersion: 1}, Headline: "Free express", Why: "its rule does not hold", Rule: `status in ["cart-abandoned", "checkout-abandoned"]`}}
			x.Nudges = []juncture.NudgeView{{ActionID: "points", Factor: 1.5, Owner: "ada", Why: "new drop"}}
		}
		return x, nil
	}
	return nil, juncture.Errorf(juncture.CodeDecisionNotFound, "no such decision")
}

func (l *cannedLog) Replay(ctx context.Context, serial uint64) (*juncture.ReplayView, error) {
	x, err := l.Explain(ctx, serial)
	if err != nil {
		return nil, err
	}
	v := &juncture.ReplayView{Verdict: juncture.VerdictMatch, Sentence: "Made again from the log, this decision is the same to the last digit.", Uniform: x.Uniform,
		Parts: []juncture.ReplayPart{{Part: "group", Verdict: juncture.VerdictMatch, Why: "The hash of the shopper gives policy, as this decision enrolled."},
			{Part: "probabilities", Verdict: juncture.VerdictMatch, Why: "All 3 probabilities are the same to the last digit."}, {Part: "pick", Verdict: juncture.VerdictMatch, Why: "HMAC of the serial picks it."}}}
	for _, c := range x.Candidates {
		p := c.Probability
		if l.differ {
			p += 1e-16 * 3
		}
		v.Arms = append(v.Arms, juncture.ReplayArm{Arm: c.Arm, Logged: c.Probability, Recomputed: &p, Own: 412, Borrowed: 96.4, Sentence: "five off +0.12, wedding guests × five off +0.08"})
	}
	return v, nil
}

func TestDecisionsPages(t *testing.T) {
	f := newFake()
	h := serve(t, f)
	page := get(h, decisionsPath, "good").Body.String()
	for _, want := range []string{"The latest 50 decisions, from 20 Nov 08:04:41 to 20 Nov 08:30:00 UTC; 49 of them count as trials.", "before=899951", "drawn: Points", "consent was denied", "live.js"} {
		if !strings.Contains(page, want) {
			t.Errorf("the log has no %q", want)
		}
	}
	older := get(h, decisionsPath+"?before=899951", "good").Body.String()
	if !strings.Contains(older, "50 earlier decisions") || strings.Contains(older, "live.js") { // an earlier page does not move under the reader
		t.Error("the second page")
	}
	get(h, decisionsPath+"?experiment=hero&group=bau&shopper=+shopper-2+&from=2026-11-20&to=2026-11-20T08:30&action=welcome", "good")
	if q := f.log.asked; q.Experiment != "hero" || *q.Group != juncture.GroupBAU || q.Shopper != "shopper-2" || q.Action != "welcome" || q.From.Day() != 20 || q.To.Minute() != 30 {
		t.Errorf("asked %+v", q)
	}
	for path, want := range map[string]int{"?group=x": 400, "?before=x": 400, "?from=x": 400, "?shopper=nobody": 200} {
		if w := get(h, decisionsPath+path, "good"); w.Code != want {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	rows, err := csv.NewReader(get(h, decisionsPath+".csv?shopper=shopper-1", "good").Body).ReadAll()
	if err != nil || len(rows) != 1+14 { // 120 decisions over 9 shoppers: 1, 10, ..., 118
		t.Errorf("%d rows, %v", len(rows), err)
	}
	for path, wants := range map[string][]string{
		"?id=900000":                             {"Why Five off was shown", "The policy gave it a chance of 31.2% among 3", "its rule does not hold", "checkout-abandoned", "Settings, clusters or products have changed since", "ada nudged Points by a factor of 1.5: new drop.", "Replay it", "0.7312409182347201"},
		"?id=900000&replay=1":                    {"the same to the last digit", "0.5624999999999999", ">same<", "wedding guests × five off", "412"},
		"?id=899999":                             {"The shopper is in the random group: each of 3", "62.0%"},
		"?id=899997":                             {"Why nothing was shown", "holdout"},
		"?id=899996":                             {"Points was drawn in shadow, with a chance of 31.2%"},
		"?id=AQEAbgAAAZqh70002kT3x0pQ":           {"business as usual"},
		"?shopper=shopper-3&at=2026-11-20T08:29": {"Decision <code>899997</code>"}, // 12 × 31 s before 08:30:00, the first by then that is the shopper's
	} {
		body := get(h, decisionPath+path, "good").Body.String()
		for _, want := range wants {
			if !strings.Contains(body, want) {
				t.Errorf("%s has no %q", path, want)
			}
		}
	}
	f.log.differ = true
	if body := get(h, decisionPath+"?id=900000&replay=1", "good").Body.String(); !strings.Contains(body, ">differs<") {
		t.Error("another probability does not show")
	}
	for path, want := range map[string]int{"": 404, "?id=7": 404, "?id=x": 404, "?shopper=nobody": 404, "?shopper=shopper-3&at=x": 400} {
		if w := get(h, decisionPath+path, "good"); w.Code != want {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
	}
}

// A page is told of what is new, only who is signed in, no more at a time than there may be, and not after the end.
func TestLive(t *testing.T) {
	newest := make(chan uint64, 1)
	newest <- 1
	var last uint64
	live := NewLive(func(context.Context) (uint64, error) {
		select {
		case last = <-newest:
		default:
		}
		return last, nil
	}, 1)
	h := serveWith(t, newFake(), live)
	s := httptest.NewServer(h)
	defer s.Close()
	ask := func(cookie string) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+livePath, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.AddCookie(&http.Cookie{Name: plainCookie, Value: cookie})
		client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
		return resp
	}
	if r := ask("forged"); r.StatusCode != http.StatusSeeOther {
		t.Errorf("signed out: %d", r.StatusCode)
	}
	r := ask("good")
	lines := bufio.NewScanner(r.Body)
	data := func() string {
		t.Helper()
		for lines.Scan() {
			if d, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				return d
			}
		}
		return "end"
	}
	if r.StatusCode != 200 || r.Header.Get("Content-Type") != "text/event-stream; charset=utf-8" || data() != "1" {
		t.Fatalf("%d %v", r.StatusCode, r.Header)
	}
	if second := ask("good"); second.StatusCode != http.StatusServiceUnavailable || second.Header.Get("Retry-After") == "" {
		t.Errorf("one too many: %d", second.StatusCode)
	}
	live.look(t.Context())
	if data() != "1" { // the first look tells what there is
		t.Error("the first look")
	}
	newest <- 7
	live.look(t.Context())
	if d := data(); d != "7" {
		t.Errorf("told of %s", d)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	live.Run(ended)
	if d := data(); d != "end" {
		t.Errorf("after the end: %s", d)
	}
	if r := ask("good"); r.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("after the end: %d", r.StatusCode)
	}
}

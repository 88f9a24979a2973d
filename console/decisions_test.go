package console_test

import (
	"bufio"
	"context"
	"encoding/csv"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/console"
)

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
	if q := f.Log.Asked; q.Experiment != "hero" || *q.Group != juncture.GroupBAU || q.Shopper != "shopper-2" || q.Action != "welcome" || q.From.Day() != 20 || q.To.Minute() != 30 {
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
	f.Log.Differ = true
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
	live := console.NewLive(func(context.Context) (uint64, error) {
		select {
		case last = <-newest:
		default:
		}
		return last, nil
	}, 1)
	deps := newFake().Deps()
	deps.Live = live
	h := mount(t, deps)
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
	live.Look(t.Context())
	if data() != "1" { // the first look tells what there is
		t.Error("the first look")
	}
	newest <- 7
	live.Look(t.Context())
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

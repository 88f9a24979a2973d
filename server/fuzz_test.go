package server_test

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/internal/testkit"
)

// sane holds any answer to what every answer is: no 5xx, one JSON object, a problem where it is refused.
func sane(t *testing.T, s *site, path, body string) []byte {
	t.Helper()
	req := httptest.NewRequest("POST", path, strings.NewReader(body))
	req.Header.Set("Authorization", "Bearer "+s.keys["choose,reward"])
	w := httptest.NewRecorder()
	s.server.ServeHTTP(w, req)
	var v map[string]json.RawMessage
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil || w.Code >= 500 {
		t.Fatalf("%s of %q: %d %s (%v)", path, body, w.Code, w.Body, err)
	}
	switch {
	case w.Code == 200 && v["errorCode"] != nil:
		t.Fatalf("%s of %q: 200 with a problem: %s", path, body, w.Body)
	case w.Code != 200:
		if p := problemIn(t, w.Body.Bytes()); p.Status != w.Code || p.ErrorCode.Status() != w.Code || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Fatalf("%s of %q: %d %s", path, body, w.Code, w.Body)
		}
	}
	return w.Body.Bytes()
}

func FuzzChoose(f *testing.F) {
	s := open(f, testkit.Declaration(testkit.Shares(0.7, 0.1, 0.1, 0.1)))
	for _, x := range chooseRefusals() {
		f.Add(x.body)
	}
	for _, body := range []string{`{"surface":"home_hero","shopperId":"ada"}`,
		`{"surface":"home_hero","shopperId":"ada","anonymousId":"a1","requestId":"q","sessionId":"v","context":{"a":1,"b":"x","c":true},"layers":{"moment":"loyal.at-risk._","meaning":"a","trajectory":"high.rising","catalogue":"dresses"},"candidates":["news"],"excludedActions":["points"],"deferActivation":true,"consent":{"personalization":"granted","analytics":"denied"},"explain":true}`,
		`{"surface":"cart_email","anonymousId":"\ud83d\ude00","consent":{"personalization":"denied"}}`} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		b := sane(t, s, "/choose", body)
		var a juncture.ChooseAnswer
		if json.Unmarshal(b, &a) == nil && a.DecisionID != "" {
			sum := 0.0
			for _, r := range a.Ranking {
				sum += r.Probability
			}
			if len(a.Ranking) > 0 && (sum < 1-1e-9 || sum > 1+1e-9) || !(a.Probability > 0 && a.Probability <= 1) {
				t.Fatalf("%q: probability %v, ranking sums to %v", body, a.Probability, sum)
			}
		}
		sane(t, s, "/choose/batch", `{"items":[`+body+`]}`)
	})
}

func FuzzReward(f *testing.F) {
	s := open(f, testkit.Declaration())
	d := s.choose(juncture.ChooseRequest{}).DecisionID
	for _, x := range rewardRefusals(s, s.Clock.Now(), d, "AQEA") {
		f.Add(strings.ReplaceAll(x.body, d, "DECISION"))
	}
	for _, body := range []string{`{"decisionId":"DECISION","event":"click"}`, `{"decisionId":"DECISION","event":"purchase","value":39.9,"currency":"GBP","outcomeId":"o1","occurredAt":"2026-01-15T12:00:00Z"}`,
		`{"decisionId":"DECISION","event":"purchase","value":-3,"currency":"GBP","outcomeId":"r1","adjusts":"o1"}`, `{"shopperId":"ada","event":"click"}`} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		body = strings.ReplaceAll(body, "DECISION", d)
		sane(t, s, "/reward", body)
		sane(t, s, "/activate", body)
		sane(t, s, "/reward/batch", `{"items":[`+body+`]}`)
	})
}

package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/juncture/juncture"
)

// answers gives the requests one after the other to the handlers, and the rest to the last.
func answers(t *testing.T, handlers ...http.HandlerFunc) (*httptest.Server, *atomic.Int64) {
	t.Helper()
	var n atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i := int(n.Add(1)) - 1
		handlers[min(i, len(handlers)-1)](w, r)
	}))
	t.Cleanup(s.Close)
	return s, &n
}

func refuse(status int, code juncture.Code, retryAfter string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json; charset=utf-8")
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(juncture.ProblemView{Title: http.StatusText(status), Status: status, Detail: "what is wrong", ErrorCode: code, RequestID: "r1", Hint: "do this", Field: "surface"}) //nolint:errcheck // a test
	}
}

func answer(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }
}

func TestRequestAndAnswer(t *testing.T) {
	var got struct{ method, path, auth, now, extra, body string }
	s, _ := answers(t, func(w http.ResponseWriter, r *http.Request) {
		b := make([]byte, 1000)
		n, _ := r.Body.Read(b)
		got.method, got.path, got.body = r.Method, r.URL.String(), string(b[:n])
		got.auth, got.now, got.extra = r.Header.Get("Authorization"), r.Header.Get("Juncture-Now"), r.Header.Get("X-Extra")
		fmt.Fprint(w, `{"decisionId":"d1","actionId":null,"group":"holdout","reason":"SPLIT"}`)
	})
	c := New(s.URL+"/", "jk_1", Options{Header: http.Header{"X-Extra": {"e"}}})
	at := c.At(time.Date(2026, 11, 20, 9, 0, 0, 5e6, time.FixedZone("", 3600)))
	a, err := at.Choose(t.Context(), &juncture.ChooseRequest{Surface: "home_hero", ShopperID: "s1"})
	if err != nil || a.DecisionID != "d1" || a.ActionID != nil || a.Group != juncture.GroupHoldout {
		t.Errorf("%+v %v", a, err)
	}
	want := struct{ method, path, auth, now, extra, body string }{"POST", "/choose", "Bearer jk_1", "2026-11-20T08:00:00.005Z", "e", `{"surface":"home_hero","shopperId":"s1"}`}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if _, err := c.Winners(t.Context(), "a/b", WinnersQuery{Axes: []string{"lifecycle", "status"}, Filter: map[string]string{"mode": "considering"}, Limit: 5}); err != nil {
		t.Error(err)
	}
	if got.method != "GET" || got.path != "/api/v1/experiments/a%2Fb/winners?axes=lifecycle%2Cstatus&filter.mode=considering&limit=5" || got.now != "" {
		t.Errorf("%+v", got)
	}
}

func TestProblem(t *testing.T) {
	s, n := answers(t, refuse(404, juncture.CodeSurfaceNotFound, ""))
	_, err := New(s.URL, "k", Options{}).Choose(t.Context(), &juncture.ChooseRequest{RequestID: "q1"})
	e, ok := errors.AsType[*juncture.Error](err)
	if !ok || e.Code != juncture.CodeSurfaceNotFound || e.Message != "what is wrong" || e.Hint != "do this" || e.Field != "surface" {
		t.Errorf("%#v", err)
	}
	if p, ok := errors.AsType[*Problem](err); !ok || p.Status != 404 || p.RequestID != "r1" {
		t.Errorf("%#v", p)
	}
	if n.Load() != 1 {
		t.Errorf("a refusal was sent %d times", n.Load())
	}
	s, _ = answers(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<h1>Bad gateway</h1>", 502) })
	if _, err := New(s.URL, "k", Options{Retries: -1}).Get(t.Context(), "/api/v1/store", nil); juncture.ErrorCode(err) != juncture.CodeUnavailable {
		t.Error(err)
	}
	s, _ = answers(t, answer(`[]`))
	if _, err := New(s.URL, "k", Options{}).Reward(t.Context(), &juncture.RewardRequest{}); juncture.ErrorCode(err) != juncture.CodeInternal {
		t.Error(err)
	}
	if _, err := New("http://[", "k", Options{}).Reward(t.Context(), &juncture.RewardRequest{}); juncture.ErrorCode(err) != juncture.CodeInvalidRequest {
		t.Error(err)
	}
}

func TestRetriesOnlyWhatIsIdempotent(t *testing.T) {
	choose := func(id string) func(context.Context, *Client) error {
		return func(ctx context.Context, c *Client) error {
			_, err := c.Choose(ctx, &juncture.ChooseRequest{RequestID: id})
			return err
		}
	}
	reward := func(id string) func(context.Context, *Client) error {
		return func(ctx context.Context, c *Client) error {
			_, err := c.Reward(ctx, &juncture.RewardRequest{OutcomeID: id})
			return err
		}
	}
	rewards := func(ids ...string) func(context.Context, *Client) error {
		return func(ctx context.Context, c *Client) error {
			var rs []*juncture.RewardRequest
			for _, id := range ids {
				rs = append(rs, &juncture.RewardRequest{OutcomeID: id})
			}
			_, err := c.RewardBatch(ctx, rs)
			return err
		}
	}
	for _, x := range []struct {
		name  string
		call  func(context.Context, *Client) error
		first http.HandlerFunc
		sent  int64
	}{
		{"choose without requestId", choose(""), refuse(503, juncture.CodeUnavailable, ""), 1},
		{"choose with requestId", choose("q1"), refuse(503, juncture.CodeUnavailable, ""), 3},
		{"reward without outcomeId", reward(""), refuse(503, juncture.CodeUnavailable, ""), 1},
		{"reward with outcomeId", reward("o1"), refuse(429, juncture.CodeTooManyRequests, ""), 3},
		{"rewards with outcomeIds", rewards("o1", "o2"), refuse(503, juncture.CodeUnavailable, ""), 3},
		{"one reward without", rewards("o1", ""), refuse(503, juncture.CodeUnavailable, ""), 1},
		{"a wait that is too long", reward("o1"), refuse(503, juncture.CodeUnavailable, "3"), 1},
		{"a bug", reward("o1"), refuse(500, juncture.CodeInternal, ""), 1},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			s, n := answers(t, x.first)
			if err := x.call(t.Context(), New(s.URL, "k", Options{})); err == nil {
				t.Error("no error")
			}
			if n.Load() != x.sent {
				t.Errorf("sent %d times, want %d", n.Load(), x.sent)
			}
		})
	}
}

func TestRetryWaitsAsAsked(t *testing.T) {
	t.Parallel()
	s, n := answers(t, refuse(429, juncture.CodeTooManyRequests, "1"), answer(`{"status":"recorded","attributedTo":[],"reward":1,"learned":true}`))
	c := New(s.URL, "k", Options{})
	start := time.Now()
	a, err := c.Reward(t.Context(), &juncture.RewardRequest{OutcomeID: "o1"})
	if err != nil || a.Status != juncture.StatusRecorded || n.Load() != 2 || time.Since(start) < time.Second {
		t.Errorf("%+v %v after %v, sent %d times", a, err, time.Since(start), n.Load())
	}
	s, n = answers(t, refuse(503, juncture.CodeUnavailable, "1"))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start = time.Now()
	if _, err := New(s.URL, "k", Options{}).Reward(ctx, &juncture.RewardRequest{OutcomeID: "o1"}); juncture.ErrorCode(err) != juncture.CodeUnavailable || time.Since(start) > 900*time.Millisecond || n.Load() != 1 {
		t.Errorf("%v after %v, sent %d times", err, time.Since(start), n.Load())
	}
}

func TestNoAnswer(t *testing.T) {
	s, n := answers(t, func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) //nolint:errcheck // a test; only past the body does the server notice that the caller left
		<-r.Context().Done()
	})
	c := New(s.URL, "k", Options{Timeout: 20 * time.Millisecond, Retries: 1})
	_, err := c.Activate(t.Context(), &juncture.ActivateRequest{DecisionID: "d"})
	if juncture.ErrorCode(err) != juncture.CodeUnavailable || !errors.Is(err, context.DeadlineExceeded) || n.Load() != 2 {
		t.Errorf("%v, sent %d times", err, n.Load())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Activate(ctx, &juncture.ActivateRequest{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	s.CloseClientConnections()
	s.Close()
	if _, err := c.Activate(t.Context(), &juncture.ActivateRequest{}); juncture.ErrorCode(err) != juncture.CodeUnavailable {
		t.Error(err)
	}
}

func TestBatchItems(t *testing.T) {
	s, _ := answers(t, answer(`{"items":[{"decisionId":"d1","actionId":"welcome"},{"type":"about:blank","title":"Not Found","status":404,"detail":"no surface","errorCode":"SURFACE_NOT_FOUND","requestId":"r"}]}`),
		answer(`{"items":[]}`), answer(`{"items":[7]}`))
	c := New(s.URL, "k", Options{})
	rs := []*juncture.ChooseRequest{{Surface: "a"}, {Surface: "b"}}
	got, err := c.ChooseBatch(t.Context(), rs)
	if err != nil || len(got) != 2 || got[0].Err != nil || got[0].Answer.DecisionID != "d1" || got[1].Answer != nil || juncture.ErrorCode(got[1].Err) != juncture.CodeSurfaceNotFound {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := c.ChooseBatch(t.Context(), rs); err == nil {
		t.Error("two items and no answer is no error")
	}
	if _, err := c.ChooseBatch(t.Context(), rs[:1]); err == nil {
		t.Error("an item that is a number is no error")
	}
}

func TestLeaderNames(t *testing.T) {
	var w Winners
	in := `{"axes":["lifecycle"],"rows":[{"segment":{"lifecycle":"loyal"},"values":["loyal"],"phrase":"Loyal","trials":200,"successes":20,
		"state":"winner","thin":false,"winner":{"action":"five_off","name":"Five off","copy":"plain","mean":0.1,"low":0.08,"high":0.12,"pBest":0.99,"own":100}}],"total":1}`
	if err := json.NewDecoder(strings.NewReader(in)).Decode(&w); err != nil {
		t.Fatal(err)
	}
	want := Winners{Axes: []string{"lifecycle"}, Total: 1, Rows: []Winner{{Segment: map[string]string{"lifecycle": "loyal"}, Values: []string{"loyal"}, Phrase: "Loyal",
		Trials: 200, Successes: 20, State: "winner", Winner: &Leader{Action: "five_off", Name: "Five off", Copy: "plain", Mean: 0.1, Low: 0.08, High: 0.12, PBest: 0.99, Own: 100}}}}
	if diff := cmp.Diff(want, w); diff != "" {
		t.Error(diff)
	}
}

package server_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/access"
	"github.com/juncture/juncture/client"
	"github.com/juncture/juncture/engine"
	"github.com/juncture/juncture/internal/testkit"
	"github.com/juncture/juncture/server"
)

// failing is an engine in trouble.
type failing struct {
	server.Engine // what is not asked here
	err           error
	panic         bool
}

func (f failing) ChooseBatch(_ context.Context, _ time.Time, _ engine.Caller, rs []*juncture.ChooseRequest) []engine.Result[juncture.ChooseAnswer] {
	if f.panic {
		panic("in the engine")
	}
	out := make([]engine.Result[juncture.ChooseAnswer], len(rs))
	for i := range out {
		out[i].Err = f.err
	}
	return out
}

func (f failing) Ingest(context.Context, time.Time, []engine.Incoming, []juncture.Quarantined) (engine.Taken, error) {
	return engine.Taken{}, f.err
}

func (f failing) Activate(context.Context, time.Time, *juncture.ActivateRequest) (*juncture.ActivateAnswer, error) {
	return nil, f.err
}

func (f failing) RewardBatch(_ context.Context, _ time.Time, rs []*juncture.RewardRequest) []engine.Result[juncture.RewardAnswer] {
	out := make([]engine.Result[juncture.RewardAnswer], len(rs))
	for i := range out {
		out[i].Err = f.err
	}
	return out
}

type oneKey struct {
	key access.Key
	err error
}

func (k oneKey) Key(context.Context, string) (access.Key, bool, error) {
	return k.key, k.err == nil, k.err
}

func TestTroubleIsAProblem(t *testing.T) {
	t.Parallel()
	key, secret, err := access.NewKey("all", []access.Scope{access.ScopeAdmin}, false, nil, testkit.Epoch(), testkit.Random(1))
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		name   string
		engine failing
		keys   error
		ready  error
		path   string
		status int
		code   juncture.Code
		retry  string
	}{
		{"not durable", failing{err: &juncture.Error{Code: juncture.CodeUnavailable, Message: "not durable", RetryAfter: 1500 * time.Millisecond}}, nil, nil, "/reward", 503, juncture.CodeUnavailable, "2"},
		{"not durable, at once", failing{err: &juncture.Error{Code: juncture.CodeUnavailable, Message: "not durable"}}, nil, nil, "/choose", 503, juncture.CodeUnavailable, "1"},
		{"a batch that is not durable", failing{err: &juncture.Error{Code: juncture.CodeUnavailable, Message: "not durable"}}, nil, nil, "/choose/batch", 503, juncture.CodeUnavailable, "1"},
		{"an activation that is not durable", failing{err: &juncture.Error{Code: juncture.CodeUnavailable, Message: "not durable"}}, nil, nil, "/activate", 503, juncture.CodeUnavailable, "1"},
		{"out of time", failing{err: fmt.Errorf("read: %w", context.DeadlineExceeded)}, nil, nil, "/choose", 503, juncture.CodeUnavailable, "1"},
		{"a bug", failing{err: errors.New("secret detail")}, nil, nil, "/choose", 500, juncture.CodeInternal, ""},
		{"a panic", failing{panic: true}, nil, nil, "/choose", 500, juncture.CodeInternal, ""},
		{"keys that cannot be read", failing{}, errors.New("secret detail"), nil, "/choose", 500, juncture.CodeInternal, ""},
		{"not ready", failing{}, nil, errors.New("secret detail"), "/readyz", 503, juncture.CodeUnavailable, "1"},
	} {
		var log strings.Builder
		s, err := server.New(x.engine, nil, oneKey{key, x.keys}, server.Options{Ready: func(context.Context) error { return x.ready }, Now: time.Now,
			Log: slog.New(slog.NewJSONHandler(&log, nil)), Metrics: prometheus.NewRegistry()})
		if err != nil {
			t.Fatal(err)
		}
		body, method := `{"surface":"a","shopperId":"b","event":"c","decisionId":"d"}`, "POST"
		switch x.path {
		case "/choose/batch":
			body = `{"items":[` + body + `]}`
		case "/activate":
			body = `{"decisionId":"d"}`
		case "/readyz":
			method = "GET"
		}
		req := httptest.NewRequest(method, x.path, strings.NewReader(body))
		req.Header.Set("Authorization", "Bearer "+secret)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, req)
		p := problemIn(t, w.Body.Bytes())
		if w.Code != x.status || p.ErrorCode != x.code || w.Header().Get("Retry-After") != x.retry || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %v %+v", x.name, w.Code, w.Header(), p)
		}
		if strings.Contains(w.Body.String(), "secret detail") || strings.Contains(w.Body.String(), "in the engine") {
			t.Errorf("%s: the answer tells what only the log may: %s", x.name, w.Body)
		}
		if !strings.Contains(log.String(), p.RequestID) || strings.Contains(log.String(), secret) {
			t.Errorf("%s: the log does not have the request, or has the key: %s", x.name, log.String())
		}
	}
}

// dial opens a connection and writes the head of a request that promises n bytes, and what is there of them.
func dial(t *testing.T, s *site, path string, n int, body string) net.Conn {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() }) //nolint:errcheck // a test
	fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", path, s.keys["choose,reward"], n, body)
	return c
}

func TestSlowAndCutOffBodies(t *testing.T) {
	t.Parallel()
	s := open(t, testkit.Declaration(), func(o *server.Options) { o.Deadline = 300 * time.Millisecond })
	a := s.choose(juncture.ChooseRequest{})
	body := `{"decisionId":"` + a.DecisionID + `","event":"click"}`
	s.unchanged(func() {
		for _, path := range []string{"/choose", "/reward", "/choose/batch", "/reward/batch", "/activate"} {
			c := dial(t, s, path, len(body)+1, body)
			start := time.Now()
			c.SetReadDeadline(start.Add(10 * time.Second)) //nolint:errcheck // a test
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Errorf("%s, a body that does not end: %v", path, err)
				continue
			}
			b, _ := io.ReadAll(resp.Body)
			if p := problemIn(t, b); resp.StatusCode != 400 || p.ErrorCode != juncture.CodeInvalidRequest || time.Since(start) > 5*time.Second {
				t.Errorf("%s, a body that does not end: %d %+v after %v", path, resp.StatusCode, p, time.Since(start))
			}
			c = dial(t, s, path, len(body)+1, body)
			if err := c.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || resp.StatusCode != 400 {
				t.Errorf("%s, a body that breaks off: %+v %v", path, resp, err)
			}
			dial(t, s, path, len(body)+1, body).Close() //nolint:errcheck // that is the test
		}
	})
	// Two bodies, one length: what stands after the first is not a second request.
	c := dial(t, s, "/reward", len(body), body+body)
	r := bufio.NewReader(c)
	if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != 200 {
		t.Errorf("%+v %v", resp, err)
	}
	if n := s.Ledger().Decisions[a.DecisionID]; n != 1 {
		t.Errorf("%d outcomes", n)
	}
}

// Many callers at once, good and bad, some of whom leave: whoever was answered is in the ledger once, and nothing fails.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	s := open(t, testkit.Declaration())
	const callers, rounds = 24, 15
	var mu sync.Mutex
	acknowledged := map[string]int64{}
	var failed, left atomic.Int64
	var wg sync.WaitGroup
	c := s.as("choose,reward")
	for g := range callers {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(g), 1))
			for i := range rounds {
				who := fmt.Sprintf("s%d", random.IntN(50))
				moment := []string{"loyal._._", "prospect._._", "first-time._._"}[random.IntN(3)]
				asks := []*juncture.ChooseRequest{{Surface: "home_hero", ShopperID: who, Layers: &juncture.LayerValues{Moment: moment}}, {Surface: "nowhere", ShopperID: who}, {Surface: "cart_email", AnonymousID: who}}
				items, err := c.ChooseBatch(t.Context(), asks)
				if err != nil || items[0].Err != nil || items[1].Err == nil || items[2].Err != nil {
					failed.Add(1)
					continue
				}
				d := items[0].Answer.DecisionID
				rewards := []*juncture.RewardRequest{{DecisionID: d, Event: "click", OutcomeID: "a"}, {DecisionID: d, Event: "purchase", Value: ptr(9.99), Currency: "GBP"}, {DecisionID: d, Event: "click", OutcomeID: "a"}, {DecisionID: d, Event: "sneeze"}}
				told, err := c.RewardBatch(t.Context(), rewards)
				if err != nil || told[0].Err != nil || told[1].Err != nil || told[2].Err != nil || told[2].Answer.Status != juncture.StatusDuplicate || told[3].Err == nil {
					failed.Add(1)
					continue
				}
				mu.Lock()
				acknowledged[d] = 2
				mu.Unlock()
				switch i % 5 {
				case 0:
					if _, err := c.Choose(t.Context(), asks[1]); juncture.ErrorCode(err) != juncture.CodeSurfaceNotFound {
						failed.Add(1)
					}
				case 1: // a caller who leaves may or may not have been in time
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(random.IntN(2000))*time.Microsecond)
					if _, err := c.Choose(ctx, asks[0]); err != nil {
						left.Add(1)
					}
					cancel()
				case 2:
					if r := s.call("POST", "/reward", `{"decisionId":"`+d+`x","event":"click"}`, nil); r.status != 404 {
						failed.Add(1)
					}
				case 3:
					if r := s.call("POST", "/choose", `{"surface":`, nil); r.status != 400 {
						failed.Add(1)
					}
				case 4:
					if _, err := s.as("read").Winners(t.Context(), "hero", client.WinnersQuery{}); err != nil {
						failed.Add(1)
					}
				}
			}
		})
	}
	// The same outcome from many at once is one.
	same := s.choose(juncture.ChooseRequest{ShopperID: "same"}).DecisionID
	var recorded atomic.Int64
	for range 20 {
		wg.Go(func() {
			r, err := c.Reward(t.Context(), &juncture.RewardRequest{DecisionID: same, Event: "click", OutcomeID: "once"})
			if err != nil {
				failed.Add(1)
			} else if r.Status == juncture.StatusRecorded {
				recorded.Add(1)
			}
		})
	}
	// So is the same question.
	var answers sync.Map
	for range 20 {
		wg.Go(func() {
			a, err := c.Choose(t.Context(), &juncture.ChooseRequest{Surface: "home_hero", ShopperID: "twin", RequestID: "twin"})
			if err != nil {
				failed.Add(1)
				return
			}
			answers.Store(a.DecisionID, true)
		})
	}
	wg.Wait()
	if failed.Load() > 0 || recorded.Load() != 1 {
		t.Errorf("%d failed; one outcome was recorded %d times", failed.Load(), recorded.Load())
	}
	n := 0
	answers.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("one question has %d answers", n)
	}
	s.Verify()
	ledger := s.Ledger()
	acknowledged[same] = 1
	for d, want := range acknowledged {
		if got, ok := ledger.Decisions[d]; !ok || got != want {
			t.Errorf("decision %.20s has %d outcomes, %d were acknowledged", d, got, want)
		}
	}
	t.Logf("%d decisions, %d callers left early", len(ledger.Decisions), left.Load())
}

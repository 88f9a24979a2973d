package client

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/juncture/juncture"
)

// Options of a Client. The zero value is good for production.
type Options struct {
	// HTTP sends the requests; nil means a transport of the client's own that keeps up to 64 connections.
	HTTP *http.Client
	// Timeout of one attempt, its answer read; 0 means 5 s. A page that waits for /choose wants less. Retries begin anew:
	// bound a whole call by its context.
	Timeout time.Duration
	// Retries is how often a call that may safely be repeated is sent again; 0 means 2, negative never.
	Retries int
	// MaxWait bounds the pause before a retry: where the server asks for a longer one, the call fails at once. 0 means 2 s.
	MaxWait time.Duration
	// Header is sent with every request, beside the client's own.
	Header http.Header
}

// Client calls one Juncture.
type Client struct {
	base string
	key  string
	o    Options
	now  time.Time
}

// maxAnswer bounds what is read of an answer; a batch of 500 decisions is far below.
const maxAnswer = 64 << 20

// New makes a client of the server at baseURL, such as http://127.0.0.1:8080, with an API key's secret.
func New(baseURL, key string, o Options) *Client {
	if o.HTTP == nil {
		t := http.DefaultTransport.(*http.Transport).Clone() // the standard library says that it is one
		t.MaxIdleConns, t.MaxIdleConnsPerHost = 64, 64
		o.HTTP = &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	if o.Timeout <= 0 {
		o.Timeout = 5 * time.Second
	}
	o.Retries = max(cmp.Or(o.Retries, 2), 0)
	if o.MaxWait <= 0 {
		o.MaxWait = 2 * time.Second
	}
	return &Client{base: strings.TrimRight(baseURL, "/"), key: key, o: o}
}

// At returns a client whose calls are made at t, for tests: a server that runs with --dev --test-clock takes it for the
// time of the call, every other one ignores it. It shares the connections of c.
func (c *Client) At(t time.Time) *Client {
	at := *c
	at.now = t
	return &at
}

// Item is one item's answer, or what is wrong with it.
type Item[A any] struct {
	Answer *A
	Err    error
}

// Choose asks for one decision. It is retried where the request has a RequestID, which makes a repeat give the same
// decision.
func (c *Client) Choose(ctx context.Context, r *juncture.ChooseRequest) (*juncture.ChooseAnswer, error) {
	return call[juncture.ChooseAnswer](ctx, c, http.MethodPost, "/choose", r, r.RequestID != "")
}

// ChooseBatch asks for up to 500 decisions, made in one commit and answered in order. The error is the batch's: no item
// was answered. It is retried where every request has a RequestID.
func (c *Client) ChooseBatch(ctx context.Context, rs []*juncture.ChooseRequest) ([]Item[juncture.ChooseAnswer], error) {
	again := true
	for _, r := range rs {
		again = again && r != nil && r.RequestID != ""
	}
	return batch[juncture.ChooseAnswer](ctx, c, "/choose/batch", rs, again)
}

// Activate says that a decision was shown. Repeats are harmless, so it is retried.
func (c *Client) Activate(ctx context.Context, r *juncture.ActivateRequest) (*juncture.ActivateAnswer, error) {
	return call[juncture.ActivateAnswer](ctx, c, http.MethodPost, "/activate", r, true)
}

// Reward tells an outcome. It is retried where the request has an OutcomeID, by which the server knows a repeat.
func (c *Client) Reward(ctx context.Context, r *juncture.RewardRequest) (*juncture.RewardAnswer, error) {
	return call[juncture.RewardAnswer](ctx, c, http.MethodPost, "/reward", r, r.OutcomeID != "")
}

// RewardBatch tells up to 500 outcomes, recorded in one commit and answered in order. The error is the batch's: no item
// was answered. It is retried where every request has an OutcomeID.
func (c *Client) RewardBatch(ctx context.Context, rs []*juncture.RewardRequest) ([]Item[juncture.RewardAnswer], error) {
	again := true
	for _, r := range rs {
		again = again && r != nil && r.OutcomeID != ""
	}
	return batch[juncture.RewardAnswer](ctx, c, "/reward/batch", rs, again)
}

// Get reads a path of the control plane, such as /api/v1/store, as JSON.
func (c *Client) Get(ctx context.Context, path string, query url.Values) (json.RawMessage, error) {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	out, err := call[json.RawMessage](ctx, c, http.MethodGet, path, nil, true)
	if err != nil {
		return nil, err
	}
	return *out, nil
}

func batch[A, Q any](ctx context.Context, c *Client, path string, rs []*Q, again bool) ([]Item[A], error) {
	in := struct {
		Items []*Q `json:"items"`
	}{Items: rs}
	if rs == nil {
		in.Items = []*Q{}
	}
	answer, err := call[struct {
		Items []json.RawMessage `json:"items"`
	}](ctx, c, http.MethodPost, path, in, again)
	if err != nil {
		return nil, err
	}
	if len(answer.Items) != len(rs) {
		return nil, juncture.Errorf(juncture.CodeInternal, "%d items were sent and %d answered", len(rs), len(answer.Items))
	}
	out := make([]Item[A], len(rs))
	for i, raw := range answer.Items {
		var p juncture.ProblemView
		if err := json.Unmarshal(raw, &p); err == nil && p.ErrorCode != "" {
			out[i].Err = (&Problem{ProblemView: p}).asError(0)
			continue
		}
		a := new(A)
		if err := json.Unmarshal(raw, a); err != nil {
			return nil, unreadable(err)
		}
		out[i].Answer = a
	}
	return out, nil
}

// call sends one request, and again while it may and there is hope.
func call[A any](ctx context.Context, c *Client, method, path string, in any, again bool) (*A, error) {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return nil, juncture.Errorf(juncture.CodeInvalidRequest, "the request cannot be JSON: %w", err)
		}
	}
	for attempt := 0; ; attempt++ {
		b, err := c.send(ctx, method, path, body)
		if err == nil {
			a := new(A)
			if err := json.Unmarshal(b, a); err != nil {
				return nil, unreadable(err)
			}
			return a, nil
		}
		wait, hope := pause(err, attempt)
		if !again || !hope || attempt >= c.o.Retries || wait > c.o.MaxWait || ctx.Err() != nil {
			return nil, err
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil, err
		}
	}
}

// pause is how long to wait before the next attempt: what the server asks for, else 100 ms doubled with each attempt,
// and up to half of it more, so that callers who failed together do not come back together.
func pause(err error, attempt int) (time.Duration, bool) {
	e, ok := errors.AsType[*juncture.Error](err)
	if !ok || e.Code != juncture.CodeUnavailable && e.Code != juncture.CodeTooManyRequests {
		return 0, false
	}
	if e.RetryAfter > 0 {
		return e.RetryAfter, true
	}
	wait := 100 * time.Millisecond << min(attempt, 10)
	return wait + rand.N(wait/2), true
}

func (c *Client) send(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, juncture.Errorf(juncture.CodeInvalidRequest, "no request can be made: %w", err)
	}
	for k, v := range c.o.Header {
		req.Header[k] = v
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if !c.now.IsZero() {
		req.Header.Set("Juncture-Now", c.now.UTC().Format(time.RFC3339Nano))
	}
	resp, err := c.o.HTTP.Do(req)
	if err != nil {
		return nil, &juncture.Error{Code: juncture.CodeUnavailable, Message: "no answer from " + c.base, Err: err}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, &juncture.Error{Code: juncture.CodeUnavailable, Message: "the answer from " + c.base + " broke off", Err: err}
	}
	if resp.StatusCode == http.StatusOK {
		return b, nil
	}
	return nil, problem(resp, b)
}

func unreadable(err error) error {
	return juncture.Errorf(juncture.CodeInternal, "the answer is not what Juncture gives: %w", err)
}

// Problem is what the server said of a failure: the cause of the *juncture.Error that a call returns.
type Problem struct{ juncture.ProblemView }

func (p *Problem) Error() string {
	return fmt.Sprintf("status %d, requestId %s", p.Status, p.RequestID)
}

func (p *Problem) asError(retryAfter time.Duration) *juncture.Error {
	return &juncture.Error{Code: p.ErrorCode, Message: p.Detail, Hint: p.Hint, Field: p.Field, RetryAfter: retryAfter, Err: p}
}

// problem reads a failure. What does not come from Juncture, such as a proxy's page, gets the code of its status.
func problem(resp *http.Response, b []byte) error {
	p := &Problem{}
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if media != "application/problem+json" || json.Unmarshal(b, &p.ProblemView) != nil || p.ErrorCode == "" {
		p.ProblemView = juncture.ProblemView{Status: resp.StatusCode, Title: http.StatusText(resp.StatusCode),
			Detail: fmt.Sprintf("status %d without a problem", resp.StatusCode), ErrorCode: codeOf(resp.StatusCode),
			RequestID: resp.Header.Get("X-Request-Id")}
	}
	var wait time.Duration
	if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && n > 0 && n < 1e6 {
		wait = time.Duration(n) * time.Second
	}
	return p.asError(wait)
}

func codeOf(status int) juncture.Code {
	switch status {
	case http.StatusUnauthorized:
		return juncture.CodeUnauthorized
	case http.StatusForbidden:
		return juncture.CodeForbidden
	case http.StatusNotFound:
		return juncture.CodeNotFound
	case http.StatusMethodNotAllowed:
		return juncture.CodeMethodNotAllowed
	case http.StatusRequestEntityTooLarge:
		return juncture.CodeTooLarge
	case http.StatusTooManyRequests:
		return juncture.CodeTooManyRequests
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return juncture.CodeUnavailable
	}
	if status >= 400 && status < 500 {
		return juncture.CodeInvalidRequest
	}
	return juncture.CodeInternal
}

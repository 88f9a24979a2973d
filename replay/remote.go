package replay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/experiments"
)

// Remote is an engine behind HTTP: a Target.
type Remote struct {
	URL       string // such as http://127.0.0.1:8080
	Key       string // secret with the scopes choose, reward and read
	TestClock bool   // send the times of the calls; the server must run with --dev --test-clock
	HTTP      *http.Client
}

// maxAnswer bounds what is read of one answer: 500 rankings of 500 arms are some 20 MB.
const maxAnswer = 64 << 20

// item is one answer of a batch, or what is wrong with it.
type item[A any] struct {
	Answer  A
	Problem refusal
}

// refusal is what is read of a problem. Its status is left: in an answer that name is a word.
type refusal struct {
	Title     string        `json:"title"`
	Detail    string        `json:"detail"`
	ErrorCode juncture.Code `json:"errorCode"`
	Hint      string        `json:"hint"`
}

func (p refusal) Error() string {
	text := p.Title + ": " + p.Detail
	if p.Hint != "" {
		text += " (" + p.Hint + ")"
	}
	return text
}

func (i *item[A]) UnmarshalJSON(b []byte) error {
	if err := json.Unmarshal(b, &i.Problem); err != nil || i.Problem.ErrorCode != "" {
		return err
	}
	return json.Unmarshal(b, &i.Answer)
}

// Choose posts one batch.
func (r *Remote) Choose(ctx context.Context, now time.Time, rs []*juncture.ChooseRequest) ([]*juncture.ChooseAnswer, error) {
	return postBatch[*juncture.ChooseAnswer](ctx, r, "/choose/batch", now, rs)
}

// Activate posts one activation.
func (r *Remote) Activate(ctx context.Context, now time.Time, decisionID string) error {
	var a juncture.ActivateAnswer
	return r.call(ctx, http.MethodPost, "/activate", now, juncture.ActivateRequest{DecisionID: decisionID}, &a)
}

// Reward posts one batch.
func (r *Remote) Reward(ctx context.Context, now time.Time, rs []*juncture.RewardRequest) error {
	_, err := postBatch[*juncture.RewardAnswer](ctx, r, "/reward/batch", now, rs)
	return err
}

// Winners reads the segments with the most traffic.
func (r *Remote) Winners(ctx context.Context, now time.Time, limit int) (experiments.Segments, error) {
	var s experiments.Segments
	err := r.call(ctx, http.MethodGet, fmt.Sprintf("/api/v1/experiments/%s/winners?limit=%d", Experiment, limit), now, nil, &s)
	return s, err
}

func postBatch[A, Q any](ctx context.Context, r *Remote, path string, now time.Time, rs []Q) ([]A, error) {
	in := struct {
		Items []Q `json:"items"`
	}{rs}
	var out struct {
		Items []item[A] `json:"items"`
	}
	if err := r.call(ctx, http.MethodPost, path, now, in, &out); err != nil {
		return nil, err
	}
	if len(out.Items) != len(rs) {
		return nil, fmt.Errorf("%d answers to %d items", len(out.Items), len(rs))
	}
	answers := make([]A, len(rs))
	for i := range out.Items {
		if p := out.Items[i].Problem; p.ErrorCode != "" {
			return nil, fmt.Errorf("item %d: %w", i, p)
		}
		answers[i] = out.Items[i].Answer
	}
	return answers, nil
}

func (r *Remote) call(ctx context.Context, method, path string, now time.Time, in, out any) (err error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	base, err := url.Parse(r.URL)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return fmt.Errorf("--url %q is not http://host:port", r.URL)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(r.URL, "/")+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+r.Key)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.TestClock {
		req.Header.Set("Juncture-Now", now.UTC().Format(time.RFC3339Nano))
	}
	resp, err := r.HTTP.Do(req)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		var p refusal
		if json.Unmarshal(b, &p) == nil && p.ErrorCode != "" {
			return fmt.Errorf("%s %s: %d %w", method, path, resp.StatusCode, p)
		}
		return fmt.Errorf("%s %s: %s", method, path, resp.Status)
	}
	return json.Unmarshal(b, out)
}

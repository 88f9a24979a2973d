package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/juncture/juncture"
)

// items is a list as the control plane answers.
type items[T any] struct {
	Items []T `json:"items"`
}

// list reads a list; it may be asked again.
func list[T any](ctx context.Context, c *Client, method, path string, in any) ([]T, error) {
	out, err := call[items[T]](ctx, c, method, path, in, method == http.MethodGet)
	if err != nil {
		return nil, err
	}
	return out.Items, nil
}

func actionPath(action string) string { return "/api/v1/actions/" + url.PathEscape(action) }

// Actions are all actions, with their copy and versions. It needs the scope read.
func (c *Client) Actions(ctx context.Context) ([]juncture.PoolAction, error) {
	return list[juncture.PoolAction](ctx, c, http.MethodGet, "/api/v1/actions", nil)
}

// Action is one action; CodeNotFound for none of that id. It needs the scope read.
func (c *Client) Action(ctx context.Context, id string) (*juncture.PoolAction, error) {
	return call[juncture.PoolAction](ctx, c, http.MethodGet, actionPath(id), nil, true)
}

// WriteAction writes a new version of an action, as a draft or for review. This and what follows changes what is served
// and needs the scope admin; a change is sent once, never again by itself.
func (c *Client) WriteAction(ctx context.Context, d juncture.ActionDraft) (*juncture.PoolAction, error) {
	return call[juncture.PoolAction](ctx, c, http.MethodPost, "/api/v1/actions", d, false)
}

// WriteCopy writes a new version of a copy of an action, as a draft or for review.
func (c *Client) WriteCopy(ctx context.Context, action string, d juncture.CopyDraft) (*juncture.PoolAction, error) {
	return call[juncture.PoolAction](ctx, c, http.MethodPost, actionPath(action)+"/copy", d, false)
}

// SetTerms replaces an action's owner, dates and caps.
func (c *Client) SetTerms(ctx context.Context, action string, r juncture.TermsRequest) (*juncture.PoolAction, error) {
	return call[juncture.PoolAction](ctx, c, http.MethodPut, actionPath(action)+"/terms", r, false)
}

// Hold pauses, resumes or retires an action, or one of its copies; the copy "" is the action. What is served next may be
// less than one thinks: the answer has warnings.
func (c *Client) Hold(ctx context.Context, action, copy string, verb juncture.Verb, reason string) (*juncture.PoolAction, error) {
	path := actionPath(action)
	if copy != "" {
		path += "/copy/" + url.PathEscape(copy)
	}
	return call[juncture.PoolAction](ctx, c, http.MethodPost, path+"/"+string(verb), juncture.ReasonRequest{Reason: reason}, false)
}

// Reviews are the versions that wait for approval. It needs the scope read.
func (c *Client) Reviews(ctx context.Context) ([]juncture.ReviewItem, error) {
	return list[juncture.ReviewItem](ctx, c, http.MethodGet, "/api/v1/reviews", nil)
}

// Review submits, withdraws, approves or rejects versions, all or none, and returns what waits then.
func (c *Client) Review(ctx context.Context, verb juncture.Verb, r juncture.ReviewRequest) ([]juncture.ReviewItem, error) {
	return list[juncture.ReviewItem](ctx, c, http.MethodPost, "/api/v1/reviews/"+string(verb), r)
}

// Switches are what a kill switch stops now. It needs the scope read.
func (c *Client) Switches(ctx context.Context) ([]juncture.SwitchView, error) {
	return list[juncture.SwitchView](ctx, c, http.MethodGet, "/api/v1/switches", nil)
}

// Switch kills or restores an action, a surface or the store (whose id is empty), and returns what is stopped then.
func (c *Client) Switch(ctx context.Context, kind, id string, verb juncture.Verb, reason string) ([]juncture.SwitchView, error) {
	path := "/api/v1/switches/" + url.PathEscape(kind)
	if id != "" {
		path += "/" + url.PathEscape(id)
	}
	return list[juncture.SwitchView](ctx, c, http.MethodPost, path+"/"+string(verb), juncture.ReasonRequest{Reason: reason})
}

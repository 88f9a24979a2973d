package console

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/access"
)

// Shares manages links that show one page without sign-in.
type Shares interface {
	Shares(ctx context.Context) (juncture.SharesView, error)
	CreateShare(ctx context.Context, who access.Who, r juncture.ShareRequest) (juncture.ShareMade, error)
	RevokeShare(ctx context.Context, who access.Who, id string) error
	// Shared returns the link of a token; CodeNotFound for one that is unknown, over or revoked.
	Shared(ctx context.Context, token string) (juncture.ShareView, error)
}

const (
	sharesPath = "/console/shares"
	sharedKey  = "console.shared"
)

func (c *Console) mountShares(open, people gin.IRoutes) {
	if c.deps.Shares == nil {
		return
	}
	open.GET(access.SharePath+":token", c.shared)
	people.POST(sharesPath, c.least(access.RoleEditor), c.createShare)
}

// sharing is what a page needs to offer a link to itself; nil: it does not.
type sharing struct {
	Path string
	Days []option
}

// offerShare offers a link to the page that is asked for, to who may make one.
func (c *Console) offerShare(g *gin.Context) *sharing {
	if c.deps.Shares == nil || g.Request.Method != http.MethodGet || !may(g, access.RoleEditor) {
		return nil
	}
	u := *g.Request.URL
	if u.Path == homePath && c.deps.Trials == nil { // the grid is the first page
		u.Path = gridPath
	}
	if path := u.RequestURI(); access.Shareable(path) {
		return &sharing{path, []option{{"1", "a day", false}, {"7", "7 days", true}, {"30", "30 days", false}}}
	}
	return nil
}

type sharePage struct {
	layout
	Link string
	Made juncture.ShareView
	Back string
}

func (c *Console) createShare(g *gin.Context) {
	form, ok := c.readForm(g)
	if !ok {
		return
	}
	days := map[string]int{"1": 1, "7": 7, "30": 30}[form.Get("days")]
	made, err := c.deps.Shares.CreateShare(g.Request.Context(), who(g), juncture.ShareRequest{Path: form.Get("path"), Days: days})
	if err != nil {
		if e, ok := errors.AsType[*juncture.Error](err); ok && e.Code == juncture.CodeInvalidRequest {
			err = juncture.Errorf(juncture.CodeInvalidRequest, "This page cannot be shared. Nothing was done.").WithHint("The grid, one intersection and the page of an experiment can.")
		}
		c.fail(g, err)
		return
	}
	l, err := c.layout(g, "A link to share")
	if err != nil {
		c.fail(g, err)
		return
	}
	c.render(g, http.StatusOK, "share", &sharePage{layout: l, Link: c.address(g) + made.Link, Made: made.Share, Back: made.Share.Path})
}

// shared shows the page of a link to whoever holds it: its own handler answers, for nobody who is signed in.
func (c *Console) shared(g *gin.Context) {
	g.Header("Referrer-Policy", "no-referrer") // the address is the secret
	g.Header("X-Robots-Tag", "noindex")
	v, err := c.deps.Shares.Shared(g.Request.Context(), g.Param("token"))
	if err != nil {
		c.fail(g, err)
		return
	}
	page, err := url.ParseRequestURI(v.Path)
	if err != nil || !access.Shareable(v.Path) {
		c.fail(g, juncture.Errorf(juncture.CodeNotFound, "This link leads to a page that cannot be shared any more."))
		return
	}
	handler, params := c.handler(page.Path)
	if handler == nil {
		c.fail(g, juncture.Errorf(juncture.CodeNotFound, "This link leads to a page that is gone."))
		return
	}
	g.Set(sharedKey, v.ExpiresAt)
	g.Request = g.Request.WithContext(g.Request.Context()) // a copy, whose address may change
	g.Request.URL, g.Params = page, params
	handler(g)
}

// handler finds what answers GET on a path, by the router's own table.
func (c *Console) handler(path string) (gin.HandlerFunc, gin.Params) {
	for _, r := range c.router.Routes() {
		if r.Method != http.MethodGet {
			continue
		}
		if r.Path == path {
			return r.HandlerFunc, nil
		}
		if at := strings.LastIndex(r.Path, "/:"); at >= 0 && !strings.Contains(r.Path[at+2:], "/") {
			if v, ok := strings.CutPrefix(path, r.Path[:at+1]); ok && v != "" && !strings.Contains(v, "/") {
				return r.HandlerFunc, gin.Params{{Key: r.Path[at+2:], Value: v}}
			}
		}
	}
	return nil, nil
}

// sharedUntil is when the link ends that a page is seen through; zero: it is seen by somebody who signed in.
func sharedUntil(g *gin.Context) time.Time {
	v, _ := g.Get(sharedKey)
	t, _ := v.(time.Time)
	return t
}

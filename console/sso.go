package console

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/access"
)

// SingleSignOn signs people in at an identity provider.
type SingleSignOn interface {
	// Title names the provider for the button.
	Title() string
	// Begin returns where to send the browser, and what it keeps until Finish. back is the address it returns to.
	Begin(ctx context.Context, back string, now time.Time) (to, kept string, err error)
	// Finish begins a session. CodeUnauthorized and CodeForbidden are told the person.
	Finish(ctx context.Context, back, kept, state, code string, now time.Time) (token string, user access.User, err error)
}

const (
	ssoPath  = "/console/sign-in/oidc"
	backPath = "/console/sign-in/oidc/back"
)

// flowLife is how long a browser keeps the cookie of a way to the provider, in seconds.
const flowLife = 600

// flowCookie holds what Begin kept, a dot, and where to go afterwards in base64url. It comes back with the provider's
// redirect, which is a navigation: SameSite=Lax lets it.
func (c *Console) flowCookie(g *gin.Context, value string) {
	cookie := &http.Cookie{Name: c.cookieName(g) + "-flow", Value: value, Path: "/", HttpOnly: true, Secure: c.secure(g), SameSite: http.SameSiteLaxMode, MaxAge: flowLife}
	if value == "" {
		cookie.MaxAge = -1
	}
	http.SetCookie(g.Writer, cookie)
}

// address is the console's address as browsers see it: as it is set, else as the request says.
func (c *Console) address(g *gin.Context) string {
	if c.deps.URL != "" {
		return strings.TrimSuffix(c.deps.URL, "/")
	}
	u := url.URL{Scheme: "http", Host: g.Request.Host}
	if c.secure(g) {
		u.Scheme = "https"
	}
	return u.String()
}

func (c *Console) mountSSO(open gin.IRoutes) {
	if c.deps.SSO == nil {
		return
	}
	open.GET(ssoPath, c.beginSSO)
	open.GET(backPath, c.finishSSO)
}

func (c *Console) beginSSO(g *gin.Context) {
	to, kept, err := c.deps.SSO.Begin(g.Request.Context(), c.address(g)+backPath, c.deps.Now())
	if err != nil {
		c.noSignIn(g, homePath, err)
		return
	}
	c.flowCookie(g, kept+"."+base64.RawURLEncoding.EncodeToString([]byte(nextPath(g.Query("next")))))
	g.Redirect(http.StatusSeeOther, to)
}

func (c *Console) finishSSO(g *gin.Context) {
	kept, next := "", homePath
	if cookie, err := g.Request.Cookie(c.cookieName(g) + "-flow"); err == nil {
		if i := strings.LastIndexByte(cookie.Value, '.'); i >= 0 {
			kept = cookie.Value[:i]
			if b, err := base64.RawURLEncoding.DecodeString(cookie.Value[i+1:]); err == nil {
				next = nextPath(string(b))
			}
		}
	}
	c.flowCookie(g, "") // one use
	token, _, err := c.deps.SSO.Finish(g.Request.Context(), c.address(g)+backPath, kept, g.Query("state"), g.Query("code"), c.deps.Now())
	if err != nil {
		c.noSignIn(g, next, err)
		return
	}
	c.setCookie(g, token)
	g.Redirect(http.StatusSeeOther, next)
}

// noSignIn shows the sign-in page again, with what went wrong. The provider's own words are logged, never shown.
func (c *Console) noSignIn(g *gin.Context, next string, err error) {
	code := juncture.ErrorCode(err)
	problem := map[juncture.Code]string{
		juncture.CodeUnauthorized:    "That sign-in was begun elsewhere, took too long or was refused. Try again.",
		juncture.CodeForbidden:       "Your account may not use this console. An administrator decides who may.",
		juncture.CodeTooManyRequests: "Too many people sign in at once. Wait a moment, then try again.",
		juncture.CodeUnavailable:     "The identity provider does not answer. Try again, or sign in with a password.",
	}[code]
	if problem == "" {
		c.fail(g, err)
		return
	}
	c.deps.Log.Info("console: single sign-on refused", "code", string(code), "error", err)
	l, lerr := c.layout(g, "Sign in")
	if lerr != nil {
		c.fail(g, lerr)
		return
	}
	c.render(g, code.Status(), "sign-in", c.signInPage(l, next, "", problem))
}

// signInPage offers the provider too, where there is one.
func (c *Console) signInPage(l layout, next, name, problem string) *signInPage {
	p := &signInPage{layout: l, Next: next, Name: name, Problem: problem}
	if c.deps.SSO != nil {
		p.SSO, p.SSOHref = c.deps.SSO.Title(), ssoPath
		if next != homePath {
			p.SSOHref += "?" + url.Values{"next": {next}}.Encode()
		}
	}
	return p
}

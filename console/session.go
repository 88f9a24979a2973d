package console

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/access"
)

// PlainCookie is the name of the session's cookie where there is no TLS.
const PlainCookie = "juncture"

// secureCookie is its name otherwise. Browsers hold the __Host- prefix to Secure, Path=/ and no Domain.
const secureCookie = "__Host-juncture"

// maxForm bounds a posted form, in bytes.
const maxForm = 16 << 10

const userKey = "console.user"

func (c *Console) secure(g *gin.Context) bool { return c.deps.TLS || g.Request.TLS != nil }

func (c *Console) cookieName(g *gin.Context) string {
	if c.secure(g) {
		return secureCookie
	}
	return PlainCookie
}

func (c *Console) setCookie(g *gin.Context, token string) {
	cookie := &http.Cookie{Name: c.cookieName(g), Value: token, Path: "/", HttpOnly: true, Secure: c.secure(g), SameSite: http.SameSiteLaxMode}
	if token == "" {
		cookie.MaxAge = -1
	}
	http.SetCookie(g.Writer, cookie)
}

func (c *Console) token(g *gin.Context) string {
	cookie, err := g.Request.Cookie(c.cookieName(g))
	if err != nil {
		return ""
	}
	return cookie.Value
}

// signedIn lets only people with a session on; others are led to the sign-in page and back.
func (c *Console) signedIn(g *gin.Context) {
	token := c.token(g)
	err := error(juncture.Errorf(juncture.CodeUnauthorized, "no session"))
	var user access.User
	if token != "" {
		user, err = c.deps.Sessions.Session(g.Request.Context(), token, c.deps.Now())
	}
	switch {
	case err == nil:
		g.Set(userKey, user)
	case juncture.ErrorCode(err) == juncture.CodeUnauthorized:
		to := signInPath
		if next := g.Request.URL.RequestURI(); next != homePath && localPath(next) {
			to += "?next=" + url.QueryEscape(next)
		}
		g.Redirect(http.StatusSeeOther, to)
		g.Abort()
	default:
		c.fail(g, err)
	}
}

func currentUser(g *gin.Context) (access.User, bool) {
	u, ok := g.Get(userKey)
	if !ok {
		return access.User{}, false
	}
	user, ok := u.(access.User)
	return user, ok
}

// least lets only people of a role on, and of those that include it.
func (c *Console) least(role access.Role) gin.HandlerFunc {
	return func(g *gin.Context) {
		if u, _ := currentUser(g); !u.Role.AtLeast(role) {
			c.fail(g, juncture.Errorf(juncture.CodeForbidden, "This needs the role %s, and yours is %s. Nothing was done.", role, or(string(u.Role), "none")).
				WithHint("An administrator can do it, or give you the role."))
		}
	}
}

// may reports whether the person who asks has a role.
func may(g *gin.Context, role access.Role) bool {
	u, _ := currentUser(g)
	return u.Role.AtLeast(role)
}

// actor names the person who asks for the audit log.
func actor(g *gin.Context) string {
	u, _ := currentUser(g)
	return "user:" + u.Name
}

// readForm reads what was posted; where it cannot be read it answers and returns false.
func (c *Console) readForm(g *gin.Context) (url.Values, bool) { return c.readFormOf(g, maxForm) }

// readFormOf is readForm with a bound of its own, in bytes.
func (c *Console) readFormOf(g *gin.Context, most int64) (url.Values, bool) {
	g.Request.Body = http.MaxBytesReader(g.Writer, g.Request.Body, most)
	if err := g.Request.ParseForm(); err != nil {
		c.fail(g, juncture.Errorf(juncture.CodeInvalidRequest, "The form could not be read: %w", err))
		return nil, false
	}
	return g.Request.PostForm, true
}

// localPath reports whether a redirect there stays on this host: one leading slash, and nothing that a browser would
// read as another (a backslash counts as a slash, and tabs and line ends are dropped).
func localPath(p string) bool {
	if !strings.HasPrefix(p, "/") || strings.HasPrefix(p, "//") || len(p) > 2048 {
		return false
	}
	for i := range len(p) {
		if p[i] <= ' ' || p[i] == '\\' || p[i] == 0x7f {
			return false
		}
	}
	return true
}

func nextPath(p string) string {
	if localPath(p) && !strings.HasPrefix(p, "/console/sign-") {
		return p
	}
	return homePath
}

type signInPage struct {
	layout
	Next    string
	Name    string
	Problem string
	SSO     string // what the identity provider is called; empty: there is none
	SSOHref string
}

func (c *Console) signInForm(g *gin.Context) {
	l, err := c.layout(g, "Sign in")
	if err != nil {
		c.fail(g, err)
		return
	}
	c.render(g, http.StatusOK, "sign-in", c.signInPage(l, nextPath(g.Query("next")), "", ""))
}

func (c *Console) signIn(g *gin.Context) {
	form, ok := c.readForm(g)
	if !ok {
		return
	}
	name, password, next := form.Get("name"), form.Get("password"), nextPath(form.Get("next"))
	token, _, err := c.deps.Sessions.SignIn(g.Request.Context(), name, password, c.deps.Now())
	if err == nil {
		c.setCookie(g, token)
		g.Redirect(http.StatusSeeOther, next)
		return
	}
	problem := ""
	switch juncture.ErrorCode(err) {
	case juncture.CodeUnauthorized, juncture.CodeInvalidRequest:
		problem = "That name and password do not match. Check both and try again."
	case juncture.CodeTooManyRequests:
		wait := max(1, int(retryAfter(err).Seconds()))
		problem = "Too many attempts. Wait " + plural(wait, "second", "seconds") + ", then try again."
		if wait >= 120 {
			problem = "Too many attempts. Wait " + plural((wait+59)/60, "minute", "minutes") + ", then try again."
		}
		g.Header("Retry-After", strconv.Itoa(wait))
	default:
		c.fail(g, err)
		return
	}
	l, lerr := c.layout(g, "Sign in")
	if lerr != nil {
		c.fail(g, lerr)
		return
	}
	status := juncture.ErrorCode(err).Status()
	if status == http.StatusBadRequest {
		status = http.StatusUnauthorized
	}
	c.render(g, status, "sign-in", c.signInPage(l, next, name, problem))
}

func (c *Console) signOut(g *gin.Context) {
	if token := c.token(g); token != "" {
		if err := c.deps.Sessions.SignOut(g.Request.Context(), token); err != nil && juncture.ErrorCode(err) != juncture.CodeUnauthorized {
			c.fail(g, err)
			return
		}
	}
	c.setCookie(g, "")
	g.Redirect(http.StatusSeeOther, signInPath)
}

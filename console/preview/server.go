package preview

import (
	"bytes"
	"context"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture/console"
)

// Path is where a page in a state is chosen: Path/<state>/<page> leads to the console, which shows that state from then on.
const Path = "/preview"

// stateCookie names the state that a browser looks at.
const stateCookie = "juncture-preview"

// Server serves a list of all pages in all states at /, and the console in the state that was chosen there.
type Server struct {
	index  []byte
	states map[string]*stage
}

// stage is the console in one state.
type stage struct {
	state State
	deps  console.Deps
	pages http.Handler
}

// New makes a Server; api is the description of the API, nil for none.
func New(api []byte) (*Server, error) {
	gin.SetMode(gin.ReleaseMode) // as package server does
	s, states := &Server{states: map[string]*stage{}}, States()
	for _, state := range states {
		data := state.Data()
		data.API = api
		deps := data.Deps()
		c, err := console.New(deps)
		if err != nil {
			return nil, err
		}
		r := gin.New()
		c.Mount(r)
		r.NoRoute(c.NotFound)
		s.states[state.Name] = &stage{state, deps, r}
	}
	var b bytes.Buffer
	if err := index.Execute(&b, map[string]any{"States": states, "Pages": Pages(), "Roles": roles(), "Password": Password}); err != nil {
		return nil, fmt.Errorf("preview: %w", err)
	}
	s.index = b.Bytes()
	return s, nil
}

// Run has open pages follow the canned logs, which never grow, until ctx ends.
func (s *Server) Run(ctx context.Context) {
	var all sync.WaitGroup
	for _, x := range s.states {
		all.Go(func() { x.deps.Live.Run(ctx) })
	}
	all.Wait()
}

// ServeHTTP serves the list, chooses a state, or asks the console.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rest, choosing := strings.CutPrefix(r.URL.Path, Path+"/")
	switch {
	case r.URL.Path == "/":
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", "default-src 'none'")
		_, _ = w.Write(s.index)
	case choosing:
		s.choose(w, r, rest)
	default:
		x := s.states[Rich]
		if c, err := r.Cookie(stateCookie); err == nil && s.states[c.Value] != nil {
			x = s.states[c.Value]
		}
		if _, err := r.Cookie(console.PlainCookie); err != nil && !strings.HasPrefix(r.URL.Path, "/console/s") { // neither to sign in nor shared nor static
			x.enter(w, r, "root")
		}
		x.pages.ServeHTTP(w, r)
	}
}

// enter signs somebody in, for this request and those that follow.
func (x *stage) enter(w http.ResponseWriter, r *http.Request, name string) {
	token, _, err := x.deps.Sessions.SignIn(r.Context(), name, Password, Now)
	if err != nil {
		return
	}
	c := &http.Cookie{Name: console.PlainCookie, Value: token, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode}
	http.SetCookie(w, c)
	r.AddCookie(c)
}

func (s *Server) choose(w http.ResponseWriter, r *http.Request, rest string) {
	state, name, _ := strings.Cut(rest, "/")
	x, pages := s.states[state], Pages()
	i := slices.IndexFunc(pages, func(p Page) bool { return p.Name == name })
	if x == nil || i < 0 {
		http.NotFound(w, r)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: stateCookie, Value: state, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	who := pages[i].As
	switch {
	case who == "" || who == shared:
		who = "root"
	}
	if asked := r.URL.Query().Get("as"); asked != "" {
		who = asked
	}
	x.enter(w, r, who)
	http.Redirect(w, r, x.state.path(pages[i]), http.StatusSeeOther)
}

var index = template.Must(template.New("index").Funcs(template.FuncMap{"at": func(s State, p Page, as ...string) string {
	to := Path + "/" + s.Name + "/" + url.PathEscape(p.Name)
	if len(as) > 0 {
		to += "?as=" + url.QueryEscape(as[0])
	}
	return to
}}).Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark"><title>Preview of the console</title></head><body><main>
<h1>Preview of the console</h1>
<p>Every page over canned data, in every state. Nothing is stored: forms answer and are forgotten. You are signed in as who each page is for; the overview as somebody else:
{{range .Roles}}<a href="{{at (index $.States 0) (index $.Pages 0) .Name}}">{{.Role}}</a> {{end}}(to sign in by hand: any of {{range .Roles}}{{.Name}}, {{end}}with the password {{.Password}}).</p>
{{range $state := .States}}<h2 id="{{.Name}}">{{.Name}}</h2>
<p>{{.Says}}</p>
<ul>{{range $.Pages}}<li><a href="{{at $state .}}">{{.Name}}</a></li>
{{end}}</ul>
{{end}}</main></body></html>
`))

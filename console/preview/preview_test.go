package preview

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture/console"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.TestMode)
	m.Run()
}

func described(t *testing.T) []byte {
	t.Helper()
	b, err := os.ReadFile("../../server/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// get follows a link of the list as a browser without cookies does.
func get(t *testing.T, s *Server, link string) (*httptest.ResponseRecorder, string) {
	t.Helper()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, link, nil))
	if w.Code != http.StatusSeeOther {
		t.Fatalf("%s: %d", link, w.Code)
	}
	to := w.Header().Get("Location")
	r := httptest.NewRequest(http.MethodGet, to, nil)
	for _, c := range w.Result().Cookies() {
		r.AddCookie(c)
	}
	w = httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w, to
}

// Every page in every state is on the list, opens, and says what it should: nobody's text is markup, and only what fails is
// an error.
func TestPages(t *testing.T) {
	s, err := New(described(t))
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	links := regexp.MustCompile(`<li><a href="(/preview/[^"]+)"`).FindAllStringSubmatch(w.Body.String(), -1)
	if len(links) != len(States())*len(Pages()) {
		t.Fatalf("%d links for %d pages in %d states", len(links), len(Pages()), len(States()))
	}
	of := map[string][]string{}
	for _, l := range links {
		state, _, _ := strings.Cut(strings.TrimPrefix(l[1], Path+"/"), "/")
		of[state] = append(of[state], l[1])
	}
	for state, links := range of {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			for _, link := range links {
				looksWell(t, s, state, link)
			}
		})
	}
}

// looksWell follows a link and looks at what opens.
func looksWell(t *testing.T, s *Server, state, link string) {
	t.Helper()
	w, to := get(t, s, link)
	body := w.Body.String()
	if (w.Code >= 500) != (state == "error" && !strings.Contains(link, "erase%2C") && !strings.HasSuffix(link, "such%20page") && !strings.HasSuffix(link, "the%20API")) || !utf8.ValidString(body) || w.Code == http.StatusSeeOther {
		t.Errorf("%s, %s: %d", link, to, w.Code)
	}
	if known := []int{200, 202, 400, 403, 404, 409, 422, 500}; !slices.Contains(known, w.Code) || state == Rich && w.Code != 200 && !strings.HasSuffix(link, "viewer") && !strings.HasSuffix(link, "such%20page") {
		t.Errorf("%s, %s: %d", link, to, w.Code)
	}
	for _, bad := range []string{"<script>", "<img", "\x00", "href=\"javascript:", "disk I/O"} {
		if strings.Contains(body, bad) {
			t.Errorf("%s has %q", link, bad)
		}
	}
}

// A page that the console has and the preview does not is a page that nobody looks at.
func TestEveryPageIsPreviewed(t *testing.T) {
	d := Many()
	d.API = described(t)
	c, err := console.New(d.Deps())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	r := gin.New()
	r.Use(func(g *gin.Context) { seen[g.FullPath()] = true; g.Next() })
	c.Mount(r)
	rich := States()[0]
	for _, p := range Pages() {
		req := httptest.NewRequest(http.MethodGet, rich.path(p), nil)
		req.AddCookie(&http.Cookie{Name: console.PlainCookie, Value: "admin"})
		r.ServeHTTP(httptest.NewRecorder(), req)
	}
	for _, route := range r.Routes() {
		p := route.Path
		if route.Method != http.MethodGet || seen[p] || p == "/" || strings.HasSuffix(p, "csv") || strings.HasSuffix(p, ".ndjson") || strings.Contains(p, "/static/") || strings.Contains(p, "/oidc") {
			continue
		}
		if slices.Contains([]string{"/console/live", "/console/layers/refit"}, p) || strings.Contains(p, ":table") { // a stream; a redirect; a table
			continue
		}
		t.Errorf("the page %s is not in the preview: add it to pages.go", p)
	}
	if len(seen) < 20 {
		t.Errorf("saw %v", slices.Sorted(maps.Keys(seen)))
	}
}

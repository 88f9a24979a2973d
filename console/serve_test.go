package console_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture/console"
	"github.com/juncture/juncture/console/preview"
)

// Where the pages are.
const (
	homePath         = "/console"
	signInPath       = "/console/sign-in"
	ssoPath          = "/console/sign-in/oidc"
	backPath         = "/console/sign-in/oidc/back"
	gridPath         = "/console/intersections"
	listPath         = "/console/intersections/list"
	followUpPath     = "/console/intersections/next"
	intersectionPath = "/console/intersection"
	trialsPath       = "/console/experiments"
	decisionsPath    = "/console/decisions"
	decisionPath     = "/console/decision"
	livePath         = "/console/live"
	poolPath         = "/console/pool"
	newActionPath    = "/console/pool-new"
	prioritiesPath   = "/console/priorities"
	actionPath       = "/console/pool/"
	reviewsPath      = "/console/reviews"
	shopperPath      = "/console/shopper"
	recordsPath      = "/console/shoppers/"
	exportPart       = "/export"
	erasePart        = "/erase"
	layersPath       = "/console/layers"
	clusterPath      = "/console/layers/clusters/"
	refitPath        = "/console/layers/refit"
	cataloguePath    = "/console/catalogue"
	auditPath        = "/console/audit"
	settingsPath     = "/console/settings"
	sharesPath       = "/console/shares"
	staticPath       = "/console/static/"
)

const plainCookie = console.PlainCookie

func actionURL(id string) string       { return actionPath + url.PathEscape(id) }
func priorityURL(id string) string     { return prioritiesPath + "/" + url.PathEscape(id) }
func clusterURL(id string) string      { return clusterPath + url.PathEscape(id) }
func trialURL(id, part string) string  { return trialsPath + "/" + url.PathEscape(id) + part }
func recordURL(id, part string) string { return recordsPath + url.PathEscape(id) + part }

var now = preview.Now

// newFake is the rich store of the preview, for the test to change.
func newFake() *preview.Data { return preview.Many() }

// serve mounts a console over the data.
func serve(t *testing.T, f *preview.Data) http.Handler {
	t.Helper()
	return mount(t, f.Deps())
}

func mount(t testing.TB, deps console.Deps) http.Handler {
	t.Helper()
	gin.SetMode(gin.TestMode)
	c, err := console.New(deps)
	if err != nil {
		t.Fatal(err)
	}
	r := gin.New()
	c.Mount(r)
	r.NoRoute(c.NotFound)
	return r
}

// do asks as the change of the request says.
func do(h http.Handler, path string, change func(*http.Request)) *http.Response {
	req := httptest.NewRequest(http.MethodGet, "http://shop.example"+path, nil)
	change(req)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w.Result()
}

// get asks as a person with a session; an empty cookie is nobody.
func get(h http.Handler, path, cookie string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(http.MethodGet, "http://shop.example"+path, nil)
	if cookie != "" {
		req.AddCookie(&http.Cookie{Name: plainCookie, Value: cookie})
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w
}

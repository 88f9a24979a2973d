// Package console is Juncture for people: server-rendered pages that say which action wins at each intersection, by how
// much, and whether to believe it. Pages work without scripting and fetch nothing from elsewhere; figures are drawn in
// console/chart. The console decides nothing: it asks its ports and the read-outs of package experiments.
package console

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/access"
	"github.com/juncture/juncture/experiments"
)

// Source is what the pages show.
type Source interface {
	// Store describes the store.
	Store(ctx context.Context) (StoreView, error)
	// Evidence is all that an experiment has learnt; CodeNotFound for no such experiment.
	Evidence(ctx context.Context, experimentID string) (experiments.Evidence, error)
	// Decisions returns the latest decisions of an experiment at an intersection, newest first, at most limit.
	Decisions(ctx context.Context, experimentID string, x juncture.Intersection, limit int) ([]DecisionView, error)
}

// Shoppers is what the pages of shoppers and of the layers show beside the Source.
type Shoppers interface {
	// Shopper describes a shopper by any of their ids; CodeNotFound where nothing was ever observed of them.
	Shopper(ctx context.Context, id string) (ShopperView, error)
	// Events returns the latest events of a shopper, at most limit, in any order.
	Events(ctx context.Context, shopper string, limit int) ([]juncture.Event, error)
	// Touches returns the latest decisions made for a shopper, by any of their ids, newest first, at most limit.
	Touches(ctx context.Context, id string, limit int) ([]TouchView, error)
	// Quarantine returns what could not be taken, by reason.
	Quarantine(ctx context.Context) ([]juncture.Quarantined, error)
}

// Sessions signs people in and out. Errors carry CodeUnauthorized (wrong name or password; no, old or forged session)
// or CodeTooManyRequests.
type Sessions interface {
	// SignIn returns a fresh token, never one that was there before.
	SignIn(ctx context.Context, name, password string, now time.Time) (token string, user access.User, err error)
	Session(ctx context.Context, token string, now time.Time) (access.User, error)
	SignOut(ctx context.Context, token string) error
}

// StoreView is the store as every page needs it.
type StoreView struct {
	Name        string // empty: nothing was applied yet
	Currency    string
	Simulated   bool // made-up shoppers; every page says so
	Experiments []juncture.Experiment
	Surfaces    []juncture.Surface
	Layers      map[string]juncture.LayerSetting // by layer name; a missing one is derived
}

// ShopperView is a shopper as they are at one time.
type ShopperView struct {
	juncture.ProfileView
	AsOf time.Time
}

// TouchView is a decision made for a shopper, and where it was made.
type TouchView struct {
	DecisionView
	Experiment string // empty: none was running
	Key        string // of the intersection
}

// DecisionView is one decision of the log.
type DecisionView struct {
	At          time.Time
	ID          string // as /choose gave it
	Group       juncture.Group
	Arm         juncture.ArmID // 0: nothing was shown
	Probability float64        // given the group
	Outcomes    []OutcomeView
}

// OutcomeView is one outcome of a decision.
type OutcomeView struct {
	Event    string
	Value    float64 // in major units
	Currency string  // empty for outcomes without money
	Status   juncture.Status
}

// Deps are what a Console needs.
type Deps struct {
	Source   Source
	Sessions Sessions
	Shoppers Shoppers         // nil: the pages Shoppers and Layers are not offered
	Log      *slog.Logger     // nil: slog.Default
	Now      func() time.Time // nil: time.Now
	TLS      bool             // a proxy before us ends TLS: cookies are secure although requests arrive plain
}

// Console serves the pages.
type Console struct {
	deps  Deps
	pages *pages
	cross *http.CrossOriginProtection
}

// New makes a Console. The error says that the built-in templates do not parse.
func New(deps Deps) (*Console, error) {
	p, err := loadPages()
	if err != nil {
		return nil, err
	}
	if deps.Log == nil {
		deps.Log = slog.Default()
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	return &Console{deps: deps, pages: p, cross: http.NewCrossOriginProtection()}, nil
}

// Mount adds the console's routes: / and everything under /console.
func (c *Console) Mount(r *gin.Engine) {
	get := func(g gin.IRoutes, path string, h gin.HandlerFunc) {
		g.GET(path, h)
		g.HEAD(path, h)
	}
	open := r.Group("/", c.guard)
	get(open, "/", func(g *gin.Context) { g.Redirect(http.StatusFound, homePath) })
	get(open, staticPath+":sum/:file", c.static)
	get(open, signInPath, c.signInForm)
	open.POST(signInPath, c.signIn)
	open.POST("/console/sign-out", c.signOut)

	people := r.Group("/", c.guard, c.signedIn)
	get(people, homePath, c.grid)
	get(people, gridPath, c.grid)
	get(people, gridPath+".csv", c.gridCSV)
	get(people, listPath, c.list)
	get(people, listPath+".csv", c.listCSV)
	get(people, intersectionPath, c.intersection)
	get(people, intersectionPath+".csv", c.intersectionCSV)
	if c.deps.Shoppers != nil {
		get(people, shopperPath, c.shopper)
		get(people, layersPath, c.layers)
	}
}

// NotFound answers any other path under /console; the server's NoRoute leads here for those.
func (c *Console) NotFound(g *gin.Context) {
	c.headers(g)
	c.fail(g, juncture.Errorf(juncture.CodeNotFound, "There is no such page."))
}

const (
	homePath         = "/console"
	signInPath       = "/console/sign-in"
	gridPath         = "/console/intersections"
	listPath         = "/console/intersections/list"
	intersectionPath = "/console/intersection"
	shopperPath      = "/console/shopper"
	layersPath       = "/console/layers"
	staticPath       = "/console/static/"
)

// guard sets the headers of every answer and refuses writes that another site sends.
func (c *Console) guard(g *gin.Context) {
	c.headers(g)
	if err := c.cross.Check(g.Request); err != nil {
		c.fail(g, juncture.Errorf(juncture.CodeForbidden, "This form was sent from another site, so nothing was done: %w", err).
			WithHint("Open the console itself and try again there."))
	}
}

func (c *Console) headers(g *gin.Context) {
	h := g.Writer.Header()
	h.Set("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

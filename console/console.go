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

// Records is what is kept of a shopper beside their profile, to be shown, handed over and deleted.
type Records interface {
	// Movements returns a shopper's latest movements, newest first, at most limit.
	Movements(ctx context.Context, shopper string, limit int) ([]juncture.Movement, error)
	// Consent is what the shopper said, by any of their ids; the zero record where nothing was.
	Consent(ctx context.Context, id string) (juncture.ConsentRecord, error)
	// Erase deletes what is known of the shopper and returns once that is durable; CodeNotFound where nothing was known.
	Erase(ctx context.Context, actor, id string) (juncture.ErasureView, error)
	// Export is all that is kept of the shopper, to be written as JSON; CodeNotFound where that is nothing.
	Export(ctx context.Context, id string) (any, error)
}

// Tastes is what the shoppers as a whole are like, and who may change its words. Changes are audited behind it, under
// the actor that they name ("user:ada").
type Tastes interface {
	Clusters(ctx context.Context) (juncture.ClustersView, error)
	// ChangeCluster renames a cluster or sets its voice. An error of CodeInvalidRequest is shown beside the field that it
	// names ("name" or "voice"), beside the name where it names none.
	ChangeCluster(ctx context.Context, actor, id string, c juncture.ClusterChange) error
	// Refit learns the clusters again; CodeInvalidRequest with a hint where too little is known.
	Refit(ctx context.Context, actor string) (juncture.RefitView, error)
	// LayerCounts counts the shoppers now by each layer's values, by window and by posture.
	LayerCounts(ctx context.Context) ([]juncture.ValueCount, error)
	// Moves counts who moved on the axes of the moment since a time.
	Moves(ctx context.Context, since time.Time) ([]juncture.MoveCount, error)
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
	Arm         juncture.ArmID  // 0: nothing was shown
	Shadow      juncture.ArmID  // in shadow: what was drawn and not shown; else 0
	Probability float64         // given the group
	Reason      juncture.Reason // empty: not told
	Detail      juncture.Detail
	Outcomes    []OutcomeView
}

// OutcomeView is one outcome of a decision.
type OutcomeView struct {
	Event    string
	Value    float64 // in major units
	Currency string  // empty for outcomes without money
	Credit   float64 // the decision's share of it; 0: all
	Status   juncture.Status
}

// Deps are what a Console needs.
type Deps struct {
	Source    Source
	Sessions  Sessions
	Shoppers  Shoppers    // nil: the pages Shoppers and Layers are not offered
	Records   Records     // nil: Shoppers says nothing of consent and movements, and neither exports nor erases
	Tastes    Tastes      // nil: Layers says how decisions spread, and nothing of shoppers
	Trials    Trials      // nil: the pages Overview and Experiments are not offered; the grid is the first page
	Health    Health      // nil: nothing is said of the health of experiments
	WhatIf    WhatIf      // nil: what other policies would have earned is not offered
	Catalogue Catalogue   // nil: the page Catalogue is not offered
	Decisions DecisionLog // nil: the log is not offered
	Live      *Live       // nil: pages do not follow the log
	Pool      Pool        // nil: the pages Pool and Review are not offered
	People    People      // nil, or any of the next four: the page Settings is not offered
	Keys      Keys
	Shares    Shares // nil: no page can be shared either
	Settings  Settings
	API       []byte           // the OpenAPI document; nil: its readable page is not offered
	Audit     AuditLog         // nil: the page Audit is not offered
	SSO       SingleSignOn     // nil: people sign in with a password alone
	URL       string           // of the console's host as browsers see it, such as https://juncture.shop.example; empty: as each request says
	Log       *slog.Logger     // nil: slog.Default
	Now       func() time.Time // nil: time.Now
	TLS       bool             // a proxy before us ends TLS: cookies are secure although requests arrive plain
}

// Console serves the pages.
type Console struct {
	deps  Deps
	pages *pages
	cross *http.CrossOriginProtection

	api    *drawnAPI   // nil: not offered
	router *gin.Engine // that it is mounted on
}

// New makes a Console. The error says that the built-in templates, or the description of the API, do not parse.
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
	c := &Console{deps: deps, pages: p, cross: http.NewCrossOriginProtection()}
	if deps.API != nil {
		if c.api, err = c.drawAPI(deps.API); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Mount adds the console's routes: / and everything under /console.
func (c *Console) Mount(r *gin.Engine) {
	c.router = r
	get := func(g gin.IRoutes, path string, h ...gin.HandlerFunc) {
		g.GET(path, h...)
		g.HEAD(path, h...)
	}
	open := r.Group("/", c.guard)
	get(open, "/", func(g *gin.Context) { g.Redirect(http.StatusFound, homePath) })
	get(open, staticPath+":sum/:file", c.static)
	get(open, signInPath, c.signInForm)
	open.POST(signInPath, c.signIn)
	open.POST("/console/sign-out", c.signOut)
	c.mountSSO(open)
	if c.api != nil {
		get(open, APIPath, c.apiDocs)
	}

	people := r.Group("/", c.guard, c.signedIn)
	c.mountSettings(people)
	c.mountAudit(people)
	c.mountShares(open, people)
	c.mountTrials(get, people)
	c.mountCatalogue(get, people)
	get(people, gridPath, c.grid)
	get(people, gridPath+".csv", c.gridCSV)
	get(people, listPath, c.list)
	get(people, listPath+".csv", c.listCSV)
	get(people, intersectionPath, c.intersection)
	get(people, intersectionPath+".csv", c.intersectionCSV)
	if c.deps.Shoppers != nil {
		get(people, shopperPath, c.shopper)
		get(people, shopperPath+"/timeline.csv", c.timelineCSV)
		get(people, shopperPath+"/decisions.csv", c.touchesCSV)
		get(people, layersPath, c.layers)
		get(people, layersPath+"/mix.csv", c.mixCSV)
		get(people, layersPath+"/quarantine.csv", c.quarantineCSV)
	}
	if c.deps.Shoppers != nil && c.deps.Tastes != nil {
		get(people, layersPath+"/clusters.csv", c.clustersCSV)
		get(people, layersPath+"/moves.csv", c.movesCSV)
		get(people, clusterPath+":id", c.cluster)
		get(people, refitPath, func(g *gin.Context) { g.Redirect(http.StatusSeeOther, layersPath+"#clusters") })
		people.POST(clusterPath+":id", c.least(access.RoleEditor), c.changeCluster)
		people.POST(refitPath, c.least(access.RoleAdmin), c.refit)
	}
	c.mountNext(func(path string, h ...gin.HandlerFunc) { get(people, path, h...) })
	c.mountDecisions(func(path string, h ...gin.HandlerFunc) { get(people, path, h...) })
	if c.deps.Pool != nil {
		c.mountPool(people, get)
	}
	if c.deps.Shoppers != nil && c.deps.Records != nil {
		// The id of a shopper may hold a slash, so it is the path up to its last part.
		get(people, recordsPath+"*rest", c.least(access.RoleAdmin), c.record)
		people.POST(recordsPath+"*rest", c.least(access.RoleAdmin), c.erase)
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
	recordsPath      = "/console/shoppers/"
	layersPath       = "/console/layers"
	clusterPath      = "/console/layers/clusters/"
	refitPath        = "/console/layers/refit"
	staticPath       = "/console/static/"
)

// guard sets the headers of every answer and refuses writes that another site sends. A write with neither Sec-Fetch-Site nor
// Origin is taken: browsers send one of them with a form, so it is as good as never a browser; where it is an old one, the cookie is
// SameSite=Lax and stays away from what other sites send.
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
	h.Set("X-Frame-Options", "DENY") // as frame-ancestors, for browsers that do not know it
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

package server

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
	"github.com/klauspost/compress/gzhttp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/access"
	"github.com/juncture/juncture/engine"
	"github.com/juncture/juncture/experiments"
	"github.com/juncture/juncture/experiments/report"
	"github.com/juncture/juncture/experiments/watch"
	"github.com/juncture/juncture/intake"
	"github.com/juncture/juncture/pool"
)

// Engine answers the use cases.
type Engine interface {
	ChooseBatch(ctx context.Context, now time.Time, who engine.Caller, rs []*juncture.ChooseRequest) []engine.Result[juncture.ChooseAnswer]
	Activate(ctx context.Context, now time.Time, r *juncture.ActivateRequest) (*juncture.ActivateAnswer, error)
	RewardBatch(ctx context.Context, now time.Time, rs []*juncture.RewardRequest) []engine.Result[juncture.RewardAnswer]
	Ingest(ctx context.Context, now time.Time, in []engine.Incoming, broken []juncture.Quarantined) (engine.Taken, error)
	Catalogue(ctx context.Context, now time.Time) (juncture.CatalogueView, error)
	Products(ctx context.Context, q juncture.ProductQuery) (juncture.ProductsView, error)
	Clusters() juncture.ClustersView
	ChangeCluster(ctx context.Context, now time.Time, who engine.Who, id string, c juncture.ClusterChange) error
	Refit(ctx context.Context, now time.Time, who engine.Who) (juncture.RefitView, error)
	PutProducts(ctx context.Context, now time.Time, products []juncture.Product) (changed int, err error)
	ChangeProducts(ctx context.Context, now time.Time, changes []juncture.ProductChange) ([]error, error)
	Erase(ctx context.Context, now time.Time, who engine.Who, id string) (*juncture.Erasure, error)
	Exclude(ctx context.Context, now time.Time, who engine.Who, id, reason, why string) (*juncture.Exclusion, error)
	PoolReader
	PoolReviewer
	PoolWriter
	PriorityDesk
	ChangeExperiment(ctx context.Context, now time.Time, who engine.Who, id string, verb juncture.Verb, r juncture.ExperimentChange) (juncture.ExperimentView, error)
}

// Exports gathers what is kept of a shopper, as JSON.
type Exports interface {
	Export(ctx context.Context, shopper string) (any, error)
}

// Reports answers what the control plane reads.
type Reports interface {
	Declared(ctx context.Context) (*pool.Snapshot, error)
	Evidence(ctx context.Context, experiment string, now time.Time) (experiments.Evidence, error)
	Profile(ctx context.Context, id string, now time.Time) (*juncture.ProfileView, error)
	Report(ctx context.Context, id string, now time.Time, q report.Query) (report.Report, error)
	Health(ctx context.Context, id string, now time.Time) (watch.Health, error)
}

// Keys finds API keys.
type Keys interface {
	Key(ctx context.Context, id string) (access.Key, bool, error)
}

// Options of a server. Zero values mean the defaults.
type Options struct {
	Version   string
	Exports   Exports
	TestClock bool          // take the time of a call from its Juncture-Now header; never in production
	Deadline  time.Duration // of one request; 0 means 10 s
	Ready     func(ctx context.Context) error
	Now       func() time.Time
	Log       *slog.Logger
	Metrics   *prometheus.Registry
	// TrustedProxies are the addresses (CIDR) whose X-Forwarded-For is believed; none: nobody's is.
	TrustedProxies []string
	// Rate of publishable keys: requests (or items of a batch) a second from one address, and the burst; of events five
	// times as many. 0 means 20 and three times the rate; a negative rate means no limit.
	Rate, Burst int
	// Evaluations answers what other policies would have earned; nil: not found.
	Evaluations Evaluations
	// Desk is what administrators manage; its ports are all there or none is.
	Desk Desk
	// History tells what was done to an experiment; nil: not found.
	History History
	// Decisions reads the log of decisions; nil: not found.
	Decisions Decisions
	// Shoppers tells how shoppers spread and what each did; nil: not found.
	Shoppers Shoppers
}

// Server is Juncture's HTTP handler.
type Server struct {
	engine  Engine
	reports Reports
	exports Exports
	keys    *keyring
	limits  *limiter // of publishable keys: requests and items
	events  *limiter // and events
	o       Options
	log     *slog.Logger
	metrics *metrics
	gin     *gin.Engine
	zipped  http.Handler // of gin
	leaving atomic.Bool
	latest  atomic.Int64 // the latest time that a test clock named, Unix ms

	choose      *intake.Decoder[juncture.ChooseRequest]
	activate    *intake.Decoder[juncture.ActivateRequest]
	reward      *intake.Decoder[juncture.RewardRequest]
	cluster     *intake.Decoder[juncture.ClusterChange]
	product     *intake.Decoder[juncture.ProductChange]
	exclusion   *intake.Decoder[juncture.ExclusionRequest]
	change      *intake.Decoder[juncture.ExperimentChange]
	pool        poolDecoders
	description []byte
	pages       gin.HandlerFunc // of unknown paths under /console; nil: a problem, as everywhere
}

// New makes the handler. Mount the console on Gin().
func New(e Engine, reports Reports, keys Keys, o Options) (*Server, error) {
	if o.Deadline <= 0 {
		o.Deadline = 10 * time.Second
	}
	s := &Server{engine: e, reports: reports, exports: o.Exports, o: o, log: o.Log}
	s.keys = newKeyring(keys, o.Now)
	var err error
	if o.Rate == 0 {
		o.Rate = 20
	}
	if s.limits, err = newLimiter(o.Rate, o.Burst); err != nil {
		return nil, err
	}
	if s.events, err = newLimiter(eventShare*o.Rate, eventShare*o.Burst); err != nil {
		return nil, err
	}
	contextCode := map[string]juncture.Code{"context": juncture.CodeInvalidContext}
	s.choose = intake.NewDecoder[juncture.ChooseRequest](intake.Options{Lenient: true, Codes: contextCode})
	s.activate = intake.NewDecoder[juncture.ActivateRequest](intake.Options{})
	s.reward = intake.NewDecoder[juncture.RewardRequest](intake.Options{Lenient: true})
	s.cluster = intake.NewDecoder[juncture.ClusterChange](intake.Options{})
	s.product = intake.NewDecoder[juncture.ProductChange](intake.Options{})
	s.exclusion = intake.NewDecoder[juncture.ExclusionRequest](intake.Options{})
	s.change = intake.NewDecoder[juncture.ExperimentChange](intake.Options{})
	s.pool = newPoolDecoders()
	s.metrics = newMetrics(o.Metrics)

	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	if err := r.SetTrustedProxies(o.TrustedProxies); err != nil {
		return nil, juncture.Errorf(juncture.CodeInvalidRequest, "trusted proxies: %w", err).WithHint("addresses or CIDR ranges")
	}
	r.HandleMethodNotAllowed = true
	r.RedirectTrailingSlash = false
	r.UseRawPath, r.UnescapePathValues = true, true // a shopper's id may hold a slash
	r.Use(s.observe, s.guard)
	r.NoRoute(func(c *gin.Context) {
		if strings.HasPrefix(c.Request.URL.Path, "/console") && s.pages != nil {
			s.pages(c)
			return
		}
		s.fail(c, juncture.Errorf(juncture.CodeNotFound, "no such path").WithHint("GET /openapi.json lists what there is"))
	})
	r.NoMethod(func(c *gin.Context) {
		s.fail(c, juncture.Errorf(juncture.CodeMethodNotAllowed, "%s does not take %s", c.Request.URL.Path, c.Request.Method))
	})
	s.gin = r
	if s.zipped, err = zipped(r); err != nil {
		return nil, err
	}
	s.routes()
	s.description, err = Description(o.Version)
	return s, err
}

// Gin returns the router, for the console to mount its pages on.
func (s *Server) Gin() *gin.Engine { return s.gin }

// ServeHTTP answers a request, compressed where it is for reading: pages, exports and the API's reads. Answers of calls are
// small, and not worth the time; a stream of events is sent as it comes. Pages hold no secret that a guess reflected beside
// it could tell by its size: forms are held to their origin without a token.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if path := r.URL.Path; strings.HasPrefix(path, "/console") || strings.HasPrefix(path, "/api/") || path == "/openapi.json" {
		s.zipped.ServeHTTP(w, r)
		return
	}
	s.gin.ServeHTTP(w, r)
}

// zippedTypes are what is compressed.
var zippedTypes = []string{"text/html", "text/css", "text/csv", "text/plain", "text/javascript", "image/svg+xml", "application/json", "application/problem+json", "application/x-ndjson"}

// zipped compresses what h answers for who takes that.
func zipped(h http.Handler) (http.Handler, error) {
	wrap, err := gzhttp.NewWrapper(gzhttp.ContentTypes(zippedTypes), gzhttp.CompressionLevel(gzip.DefaultCompression), gzhttp.EnableZstd(false))
	if err != nil {
		return nil, err
	}
	return wrap(h), nil
}

// PageNotFound sets what answers unknown paths under /console.
func (s *Server) PageNotFound(h gin.HandlerFunc) { s.pages = h }

// Leave makes the server say that it is not ready, before its listener closes.
func (s *Server) Leave() { s.leaving.Store(true) }

// Latest returns the latest time that a test clock named, zero for none: background jobs take it.
func (s *Server) Latest() time.Time {
	if n := s.latest.Load(); n != 0 {
		return time.UnixMilli(n).UTC()
	}
	return time.Time{}
}

func (s *Server) routes() {
	r := s.gin
	r.GET("/livez", func(c *gin.Context) { c.String(http.StatusOK, "ok\n") })
	r.GET("/readyz", s.ready)
	r.GET("/version", func(c *gin.Context) { s.json(c, map[string]string{"version": s.o.Version}) })
	r.GET("/metrics", gin.WrapH(promhttp.HandlerFor(s.o.Metrics, promhttp.HandlerOpts{})))
	r.GET("/openapi.json", func(c *gin.Context) { c.Data(http.StatusOK, "application/json", s.description) })

	for path, h := range map[string]struct {
		scope access.Scope
		f     gin.HandlerFunc
	}{
		"/choose":       {access.ScopeChoose, s.postChoose},
		"/choose/batch": {access.ScopeChoose, s.postChooseBatch},
		"/activate":     {access.ScopeChoose, s.postActivate},
		"/reward":       {access.ScopeReward, s.postReward},
		"/reward/batch": {access.ScopeReward, s.postRewardBatch},
	} {
		r.POST(path, s.auth(h.scope), h.f)
		r.OPTIONS(path, s.preflight)
	}
	for _, call := range trackingCalls() {
		r.POST("/v1/"+call, s.postTracking(call))
		r.OPTIONS("/v1/"+call, s.preflight)
	}
	api := r.Group("/api/v1", s.auth(access.ScopeRead))
	api.GET("/store", s.getStore)
	api.GET("/profiles/:id", s.getProfile)
	api.GET("/profiles/:id/timeline", readsShoppers(s, "limit", defaultTimeline, mostTimeline, s.timeline))
	api.GET("/layers", readsShoppers(s, "days", defaultMixDays, mostMixDays, s.mix))
	api.GET("/clusters", s.getClusters)
	api.GET("/catalogue", s.getCatalogue)
	s.shelves(api)
	edit := r.Group("/api/v1", s.auth(access.ScopeEdit))
	approve := r.Group("/api/v1", s.auth(access.ScopeApprove))
	admin := r.Group("/api/v1", s.auth(access.ScopeAdmin))
	admin.PUT("/products", s.putProducts)
	admin.PATCH("/products", s.patchProducts)
	edit.PATCH("/clusters/:id", s.patchCluster)
	admin.POST("/clusters/refit", s.postRefit)
	admin.GET("/profiles/:id/export", s.exportProfile)
	admin.DELETE("/profiles/:id", s.deleteProfile)
	admin.POST("/profiles/:id/exclude", s.postExclude)
	for _, verb := range juncture.Verbs() {
		may := approve
		if verb == juncture.VerbShip || verb == juncture.VerbRollback { // what everybody is served, without a group to compare
			may = admin
		}
		may.POST("/experiments/:id/"+string(verb), s.postExperiment(verb))
	}
	if s.o.Desk.People != nil {
		s.administers(admin)
	}
	s.poolRoutes(api, edit, approve)
	api.GET("/experiments", s.getExperiments)
	api.GET("/experiments/:id", s.getExperiment)
	api.GET("/experiments/:id/grid", s.getGrid)
	api.GET("/experiments/:id/next", s.getNext)
	api.GET("/experiments/:id/winners", s.getWinners)
	api.GET("/experiments/:id/intersection", s.getIntersection)
	api.GET("/experiments/:id/report", s.getReport)
	api.GET("/experiments/:id/evaluate", s.getEvaluation)
	api.GET("/experiments/:id/worth", s.getWorth)
	api.GET("/experiments/:id/health", s.getHealth)
	s.decisionRoutes(api)
}

func (s *Server) ready(c *gin.Context) {
	if s.leaving.Load() {
		s.fail(c, juncture.Errorf(juncture.CodeUnavailable, "the server is stopping"))
		return
	}
	if err := s.o.Ready(c.Request.Context()); err != nil {
		s.fail(c, &juncture.Error{Code: juncture.CodeUnavailable, Message: "not ready", Err: err, Hint: "the server's log has the details"})
		return
	}
	c.String(http.StatusOK, "ok\n")
}

// observe counts and logs each request, gives it an id and a deadline, and turns a panic into a problem.
func (s *Server) observe(c *gin.Context) {
	start := time.Now()
	id := c.GetHeader("X-Request-Id")
	if id == "" || len(id) > 128 || !printable(id) {
		v, err := uuid.NewV7()
		if err != nil {
			id = "unknown"
		} else {
			id = v.String()
		}
	}
	c.Set(requestIDKey, id)
	c.Header("X-Request-Id", id)
	ctx, cancel := context.WithTimeout(c.Request.Context(), s.o.Deadline)
	defer cancel()
	c.Request = c.Request.WithContext(ctx)
	defer func() {
		if p := recover(); p == http.ErrAbortHandler {
			defer panic(p) // an answer that was cut: the connection ends, so that who reads it knows
		} else if p != nil {
			s.log.Error("panic", "requestId", id, "route", c.FullPath(), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			if !c.Writer.Written() {
				s.fail(c, fmt.Errorf("panic: %v", p))
			}
		}
		took := time.Since(start)
		s.metrics.observe(c.FullPath(), c.Writer.Status(), took)
		s.log.LogAttrs(ctx, slog.LevelDebug, "request", slog.String("requestId", id), slog.String("method", c.Request.Method),
			slog.String("route", c.FullPath()), slog.Int("status", c.Writer.Status()), slog.Duration("took", took))
	}()
	c.Next()
}

const (
	requestIDKey = "requestId"
	callerKey    = "caller"
)

func requestID(c *gin.Context) string { return c.GetString(requestIDKey) }

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < 0x21 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// guard sets what every answer carries.
func (s *Server) guard(c *gin.Context) {
	c.Header("X-Content-Type-Options", "nosniff")
	c.Header("Cache-Control", "no-store")
	c.Next()
}

// now is the time of the call.
func (s *Server) now(c *gin.Context) (time.Time, error) {
	h := c.GetHeader("Juncture-Now")
	if !s.o.TestClock || h == "" {
		return s.o.Now(), nil
	}
	t, err := time.Parse(time.RFC3339Nano, h)
	if err != nil || t.Year() < 1971 || t.Year() > 2200 {
		return t, juncture.Errorf(juncture.CodeInvalidRequest, "Juncture-Now %.40q is not RFC 3339 in the years 1971 to 2200", h).WithField("Juncture-Now")
	}
	for n := t.UnixMilli(); ; {
		last := s.latest.Load()
		if n <= last || s.latest.CompareAndSwap(last, n) {
			return t, nil
		}
	}
}

func (s *Server) json(c *gin.Context, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		s.fail(c, fmt.Errorf("encode answer: %w", err))
		return
	}
	c.Data(http.StatusOK, "application/json; charset=utf-8", b)
}

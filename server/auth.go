package server

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/access"
	"github.com/juncture/juncture/engine"
)

// keyTTL bounds how long a revoked key goes on working.
const keyTTL = time.Second

// keyring keeps the keys that were found; there are never more than the store has.
type keyring struct {
	store Keys
	now   func() time.Time
	mu    sync.RWMutex
	known map[string]knownKey
}

type knownKey struct {
	access.Key
	read time.Time
}

func newKeyring(store Keys, now func() time.Time) *keyring {
	return &keyring{store: store, now: now, known: map[string]knownKey{}}
}

func (k *keyring) find(ctx context.Context, secret string) (access.Key, error) {
	refused := func() error {
		return juncture.Errorf(juncture.CodeUnauthorized, "the API key is missing or unknown").
			WithHint("send Authorization: Bearer and the secret that juncture keys create printed")
	}
	id, err := access.ParseSecret(secret)
	if err != nil {
		return access.Key{}, refused()
	}
	k.mu.RLock()
	known, ok := k.known[id]
	k.mu.RUnlock()
	now := k.now()
	if age := now.Sub(known.read); !ok || age > keyTTL || age < 0 {
		key, found, err := k.store.Key(ctx, id)
		switch {
		case err != nil && !ok:
			return access.Key{}, err
		case err != nil: // what was known last keeps working
		case !found:
			k.mu.Lock()
			delete(k.known, id)
			k.mu.Unlock()
			return access.Key{}, refused()
		default:
			known = knownKey{key, now}
			k.mu.Lock()
			k.known[id] = known
			k.mu.Unlock()
		}
	}
	if !known.Verify(secret) {
		return access.Key{}, refused()
	}
	return known.Key, nil
}

// auth lets a request through whose key has the scope.
func (s *Server) auth(scope access.Scope) gin.HandlerFunc {
	return func(c *gin.Context) {
		if err := s.authorise(c, bearer(c), scope); err != nil {
			s.fail(c, err)
			return
		}
		c.Next()
	}
}

// bearer is the secret of the Authorization header, "" for none.
func bearer(c *gin.Context) string {
	scheme, secret, _ := strings.Cut(c.GetHeader("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(secret)
}

// authorise checks that a key has the scope, and notes the caller.
func (s *Server) authorise(c *gin.Context, secret string, scope access.Scope) error {
	key, err := s.keys.find(c.Request.Context(), secret)
	if err != nil {
		return err
	}
	if err := key.Allows(scope, c.GetHeader("Origin")); err != nil {
		return err
	}
	if key.Publishable {
		allowOrigin(c)
		if err := s.limits.allow(key.ID, c.ClientIP(), s.o.Now(), 1); err != nil {
			return err
		}
	}
	who := engine.Caller{KeyID: key.ID, Public: key.Publishable, Admin: !key.Publishable && key.Allows(access.ScopeAdmin, "") == nil}
	if who.Public { // the shopper's own browser; of a server its own agent says nothing of the shopper
		who.Agent = c.Request.UserAgent()
		who.Address, _ = netip.ParseAddr(c.ClientIP()) // none: on no list
	}
	c.Set(callerKey, who)
	return nil
}

func allowOrigin(c *gin.Context) {
	c.Header("Access-Control-Allow-Origin", c.GetHeader("Origin"))
	c.Header("Vary", "Origin")
	c.Header("Access-Control-Expose-Headers", "X-Request-Id, Retry-After")
}

// preflight answers a browser that asks before it posts. The post itself is refused where the key does not list the
// origin; a preflight carries no key to look at.
func (s *Server) preflight(c *gin.Context) {
	if c.GetHeader("Origin") == "" || c.GetHeader("Access-Control-Request-Method") != http.MethodPost {
		c.Header("Allow", http.MethodPost)
		s.fail(c, juncture.Errorf(juncture.CodeMethodNotAllowed, "only a browser's preflight may ask for OPTIONS"))
		return
	}
	allowOrigin(c)
	c.Header("Access-Control-Allow-Methods", "POST")
	c.Header("Access-Control-Allow-Headers", "Authorization, Content-Type, Content-Encoding, X-Request-Id")
	c.Header("Access-Control-Max-Age", "600")
	c.Status(http.StatusNoContent)
}

func caller(c *gin.Context) engine.Caller {
	who, _ := c.Get(callerKey)
	return who.(engine.Caller) // auth set it, or the handler would not run
}

// limiter bounds how often one address may use a publishable key. Addresses are kept in memory only.
type limiter struct {
	rate    rate.Limit
	burst   int
	mu      sync.Mutex
	buckets *lru.Cache[string, *rate.Limiter]
}

const limiterSize = 100_000

func newLimiter(perSecond, burst int) (*limiter, error) {
	if perSecond < 0 {
		return nil, nil
	}
	if burst <= 0 {
		burst = 3 * perSecond
	}
	buckets, err := lru.New[string, *rate.Limiter](limiterSize)
	return &limiter{rate: rate.Limit(perSecond), burst: burst, buckets: buckets}, err
}

// eventShare is how many events a publishable key may send for each request.
const eventShare = 5

// allow takes n requests from an address's allowance.
func (l *limiter) allow(key, address string, now time.Time, n int) error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	b, ok := l.buckets.Get(key + " " + address)
	if !ok {
		b = rate.NewLimiter(l.rate, l.burst)
		l.buckets.Add(key+" "+address, b)
	}
	l.mu.Unlock()
	if b.AllowN(now, n) {
		return nil
	}
	return &juncture.Error{Code: juncture.CodeTooManyRequests, Message: "too many requests from this address", RetryAfter: time.Second,
		Hint: "publishable keys are limited; call from a server with a secret key"}
}

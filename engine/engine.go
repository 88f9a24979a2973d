package engine

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/experiments"
	"github.com/juncture/juncture/experiments/report"
	"github.com/juncture/juncture/experiments/watch"
	"github.com/juncture/juncture/layers"
	"github.com/juncture/juncture/policy"
	"github.com/juncture/juncture/policy/lattice"
	"github.com/juncture/juncture/pool"
	"github.com/juncture/juncture/traffic"
)

// Ledger makes entries durable: a group commit.
type Ledger interface {
	Commit(ctx context.Context, e *juncture.Entry) error
}

// ConfigStore tells what the store has declared.
type ConfigStore interface {
	Catalogue
	ConfigVersion(ctx context.Context) (int64, error)
	LayerValues(ctx context.Context) ([]juncture.LayerValue, error)
	LastSerial(ctx context.Context, node uint16) (uint64, error)
}

// ShopperStore finds what was said to a shopper before.
type ShopperStore interface {
	Memo(ctx context.Context, id [16]byte) (*juncture.Memo, error)
	Identity(ctx context.Context, id string) (juncture.Identity, error)
	CustomerID(ctx context.Context, shopper string) (string, error)
	FirstSeen(ctx context.Context, one, other string) (string, error)
	Touches(ctx context.Context, shopper string, limit int) ([]juncture.Touch, error)
	Credited(ctx context.Context, shopper, event, outcomeID string) ([]juncture.Credited, error)
	ServeStore
}

// Notes is the audit log.
type Notes interface {
	Note(ctx context.Context, notes ...juncture.AuditNote) error
}

// Limits bound the engine's memory. Zero values mean the defaults.
type Limits struct {
	Cells    int // tallies kept beside those not yet checkpointed; 0 means 200,000
	Vectors  int // cached probability vectors; 0 means 50,000
	Profiles int // shoppers whose profile is kept beside those not yet written; 0 means 20,000
	Memos    int // answers kept for repeats; 0 means 4,096
	Shoppers int // ids whose first-seen id is kept, and shoppers whose enrolments are; 0 means 100,000
}

func (l Limits) withDefaults() Limits {
	for _, d := range []struct {
		v *int
		n int
	}{{&l.Cells, 200_000}, {&l.Vectors, 50_000}, {&l.Profiles, 20_000}, {&l.Memos, 4_096}, {&l.Shoppers, 100_000}} {
		if *d.v <= 0 {
			*d.v = d.n
		}
	}
	return l
}

// Secrets of the store. The salt of the pick is not the salt of the groups.
type Secrets struct {
	PickSalt, GroupSalt []byte
	Keyring             *juncture.Keyring
}

// Deps is what an engine is made of.
type Deps struct {
	Ledger     Ledger
	Config     ConfigStore
	Shoppers   ShopperStore
	Enrolments EnrolmentStore
	Tallies    *Tallies
	Profiles   *Profiles                                  // nil: derived layers are unknown
	Learned    *Learned                                   // nil: no products, no taste clusters
	Watched    WatchStore                                 // needed by Watch and Health
	Watching   watch.Settings                             // of both
	Notes      Notes                                      // needed by what changes what is learnt, and by Erase
	Secrets    func(ctx context.Context) (Secrets, error) // read again when the configuration changes
	Breaker    Breaker                                    // nil: guards are declared in vain, which Guard says
	Node       uint16                                     // 0 means 1
	Limits     Limits
	Clock      func() time.Time // real time, by which fits are spaced; nil: by evidence alone, so that the same calls give the same answers
}

// Engine answers Choose, Activate and Reward. It is safe for concurrent use.
type Engine struct {
	d        Deps
	pick     []byte
	lots     []byte // key of the draws that credit outcomes, made of pick
	live     atomic.Pointer[state]
	reload   sync.Mutex // one reload at a time
	check    sharedCheck
	values   *layers.Values
	vectors  *lru.Cache[vectorKey, *vector]
	memos    *lru.Cache[[16]byte, *juncture.Memo]
	shoppers *lru.Cache[string, juncture.Identity]
	enrolled *lru.Cache[string, []juncture.Enrolment] // by first-seen id
	kept     *lru.Cache[string, struct{}]             // terms and fits that the ledger is known to hold
	caps     *caps
	merges   atomic.Uint64 // aliases committed: what was read of the store before may be too old to keep
	serial   atomic.Uint64
	stats    Stats
	detector *detector

	clock      func() time.Time
	learnersMu sync.Mutex
	learners   map[string]*learner // by experiment
	workspaces sync.Pool           // of *lattice.Workspace

	evidence *readings[string, experiments.Evidence]
	reports  *readings[reportKey, report.Report]
	healths  *readings[string, watch.Health]
	reread   chan func(ctx context.Context, now time.Time) error
	rereads  atomic.Bool // Reread runs
}

// Stats count what the engine answered, for metrics. RuleFailures counts arms left out because their rule could not be
// evaluated, ConfigFailures calls served by the last good configuration.
type Stats struct {
	Vectors, VectorHits, PolicyFailures, RuleFailures, ConfigFailures, Fits atomic.Uint64
	LastFit                                                                 atomic.Int64 // its duration, ns

	Ignored          map[string]*atomic.Uint64 // calls that are no shopper's, by IgnoredWhys
	Detected, Missed atomic.Uint64             // shoppers taken out because of how they call; times that too many waited for it
}

// state is everything that changes with the configuration, swapped as one.
type state struct {
	pool     *pool.Snapshot
	keyring  *juncture.Keyring
	group    []byte
	derives  bool // some layer is derived from events
	layers   layers.Settings
	staff    traffic.Addresses
	traffic  juncture.Traffic
	caps     *capSettings             // nil: nothing is capped
	told     []toldKind               // outcomes that events tell
	policies map[string]policy.Policy // by experiment, of those that read no snapshot
	terms    map[string]*terms        // by experiment
	fits     map[string]string        // by experiment, a hash of what its fit depends on beside evidence
}

// New makes an engine and reads the configuration.
func New(ctx context.Context, d Deps) (*Engine, error) {
	d.Limits = d.Limits.withDefaults()
	if d.Node == 0 {
		d.Node = 1
	}
	e := &Engine{d: d, clock: d.Clock, learners: map[string]*learner{}, workspaces: sync.Pool{New: func() any { return new(lattice.Workspace) }}}
	if e.clock == nil {
		e.clock = func() time.Time { return time.Time{} }
	}
	known, err := d.Config.LayerValues(ctx)
	if err != nil {
		return nil, fmt.Errorf("start engine: %w", err)
	}
	e.values = layers.NewValues(known)
	if e.vectors, err = lru.New[vectorKey, *vector](d.Limits.Vectors); err != nil {
		return nil, err
	}
	if e.memos, err = lru.New[[16]byte, *juncture.Memo](d.Limits.Memos); err != nil {
		return nil, err
	}
	if e.shoppers, err = lru.New[string, juncture.Identity](d.Limits.Shoppers); err != nil {
		return nil, err
	}
	if e.enrolled, err = lru.New[string, []juncture.Enrolment](d.Limits.Shoppers); err != nil {
		return nil, err
	}
	if e.detector, err = newDetector(); err != nil {
		return nil, err
	}
	if err = e.newReadings(); err != nil {
		return nil, err
	}
	e.stats.Ignored = map[string]*atomic.Uint64{}
	for _, why := range IgnoredWhys() {
		e.stats.Ignored[why] = new(atomic.Uint64)
	}
	if e.kept, err = lru.New[string, struct{}](keptNames); err != nil {
		return nil, err
	}
	if e.caps, err = newCaps(d.Shoppers, d.Node, d.Limits.Shoppers); err != nil {
		return nil, err
	}
	d.Tallies.Watch(e.caps.Folded)
	last, err := d.Config.LastSerial(ctx, d.Node)
	if err != nil {
		return nil, fmt.Errorf("start engine: %w", err)
	}
	e.serial.Store(max(last, uint64(d.Node)<<juncture.NodeShift))
	secrets, err := d.Secrets(ctx)
	if err != nil {
		return nil, fmt.Errorf("start engine: %w", err)
	}
	e.pick = secrets.PickSalt
	e.lots = keyed(e.pick, []byte("attribution"))
	if _, err := e.load(ctx); err != nil {
		return nil, fmt.Errorf("start engine: %w", err)
	}
	return e, nil
}

// Stats returns the engine's counters.
func (e *Engine) Stats() *Stats { return &e.stats }

// Pool returns the live pool as the last call saw it.
func (e *Engine) Pool() *pool.Snapshot { return e.live.Load().pool }

// state returns the configuration as it is now. Where it cannot be read, or cannot be served, the last good one goes on.
func (e *Engine) state(ctx context.Context) (*state, error) {
	live := e.live.Load()
	n, err := e.check.version(ctx, e.d.Config.ConfigVersion)
	if err != nil {
		return live, nil // the last good configuration keeps serving; the commit will tell what is wrong with the store
	}
	if n == live.pool.Number {
		return live, nil
	}
	fresh, err := e.load(ctx)
	if err != nil {
		e.stats.ConfigFailures.Add(1)
		return live, nil
	}
	return fresh, nil
}

func (e *Engine) load(ctx context.Context) (*state, error) {
	e.reload.Lock()
	defer e.reload.Unlock()
	catalog, err := e.d.Config.Catalog(ctx)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	if live := e.live.Load(); live != nil && live.pool.Number == catalog.Number {
		return live, nil
	}
	snapshot, err := pool.Build(catalog)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	secrets, err := e.d.Secrets(ctx)
	if err != nil {
		return nil, fmt.Errorf("read secrets: %w", err)
	}
	s := &state{pool: snapshot, keyring: secrets.Keyring, group: secrets.GroupSalt, told: toldKinds(snapshot.Declaration.Outcomes), policies: map[string]policy.Policy{}, fits: map[string]string{}, terms: map[string]*terms{}}
	if t := snapshot.Declaration.Traffic; t != nil {
		s.traffic = *t
		if s.staff, err = traffic.ParseAddresses(t.Staff); err != nil {
			return nil, fmt.Errorf("read configuration: %w", err)
		}
	}
	s.layers = layers.SettingsOf(snapshot.Declaration.Layers, s.currency())
	for _, l := range juncture.Layers() {
		s.derives = s.derives || snapshot.Declaration.Layers[l.String()].Source != juncture.SourceRequest
	}
	for id, x := range snapshot.Experiments {
		s.terms[id] = e.termsOf(s, x)
		if juncture.Pooled(x.Policy) {
			s.fits[id] = e.fitSettings(s, x)
		} else if s.policies[id], err = policyOf(x, s.terms[id].Shares); err != nil {
			return nil, err
		}
	}
	if s.caps = capsOf(snapshot); s.caps != nil || e.caps.settings != "" {
		if err := e.caps.configure(s.caps, s.capKey(), func(arms []juncture.ArmID, outcome string) (int64, error) {
			return e.successes(ctx, snapshot, arms, outcome)
		}); err != nil {
			return nil, err
		}
	}
	e.live.Store(s)
	if e.d.Profiles != nil {
		e.d.Profiles.ReadWith(func() (layers.Settings, layers.Knowledge) { return s.layers, e.d.Learned.knowledge() })
	}
	return s, nil
}

func (s *state) currency() string { return s.pool.Declaration.Store.Currency }

// sharedCheck reads the configuration's version once for all calls that arrive while an earlier read is under way: each
// gets an answer read after it asked, and under load many share one read.
type sharedCheck struct {
	mu      sync.Mutex
	running *versionRead
}

type versionRead struct {
	done chan struct{}
	n    int64
	err  error
}

func (c *sharedCheck) version(ctx context.Context, read func(context.Context) (int64, error)) (int64, error) {
	c.mu.Lock()
	if earlier := c.running; earlier != nil { // it began before this call: what it finds may be too old
		c.mu.Unlock()
		select {
		case <-earlier.done:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
		c.mu.Lock()
		if later := c.running; later != nil {
			c.mu.Unlock()
			select {
			case <-later.done:
				return later.n, later.err
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		}
	}
	r := &versionRead{done: make(chan struct{})}
	c.running = r
	c.mu.Unlock()
	r.n, r.err = read(context.WithoutCancel(ctx)) // others share it: one caller's going away does not fail them
	c.mu.Lock()
	c.running = nil
	c.mu.Unlock()
	close(r.done)
	return r.n, r.err
}

// nextSerial gives a serial that no decision of this node has: it follows the clock, and always rises.
func (e *Engine) nextSerial(now time.Time) uint64 {
	const mask = 1<<juncture.NodeShift - 1
	want := uint64(e.d.Node)<<juncture.NodeShift | uint64(max(0, now.UnixMicro()))&mask
	for {
		last := e.serial.Load()
		next := max(want, last+1)
		if e.serial.CompareAndSwap(last, next) {
			return next
		}
	}
}

// uniform is the number in [0, 1) that picks the arm of a decision: HMAC of its serial (statistics C.5).
func (e *Engine) uniform(serial uint64) float64 { return uniformOf(e.pick, serial) }

func uniformOf(salt []byte, serial uint64) float64 {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], serial)
	return policy.Uniform(binary.BigEndian.Uint64(keyed(salt, b[:])))
}

func keyed(key, message []byte) []byte {
	m := hmac.New(sha256.New, key)
	m.Write(message)
	return m.Sum(make([]byte, 0, sha256.Size))
}

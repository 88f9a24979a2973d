package testkit

import (
	"bufio"
	"bytes"
	"context"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/engine"
	"github.com/juncture/juncture/store"
)

// Node is a Juncture without its HTTP side, on a database in a test's directory.
type Node struct {
	t       testing.TB
	path    string
	options store.Options
	between func(engine.ShopperStore) engine.ShopperStore
	breaker engine.Breaker
	config  func(engine.ConfigStore) engine.ConfigStore
	real    func() time.Time

	DB       *store.DB
	Tallies  *engine.Tallies
	Profiles *engine.Profiles
	Learned  *engine.Learned
	Writer   *store.Writer
	Engine   *engine.Engine
	Clock    *Clock
}

// NodeOptions of Start. The zero value is what most tests want.
type NodeOptions struct {
	Durable bool          // sync every commit to disk, as a server does; without it only speed differs, unless the machine stops
	Busy    time.Duration // how long a write waits for another process's; 0 means the store's default

	Shoppers func(engine.ShopperStore) engine.ShopperStore // put between the engine and the store; nil means nothing
	Config   func(engine.ConfigStore) engine.ConfigStore   // put between the engine and the store; nil means nothing
	Breaker  engine.Breaker                                // judges guards; nil: nothing does
	Real     func() time.Time                              // the engine's real time, by which fits and what is read again are spaced; nil: by evidence alone
}

// Start starts a node on a new database that holds the declaration, everything approved. It is stopped when the test ends.
func Start(t testing.TB, d *juncture.Declaration, o ...NodeOptions) *Node {
	t.Helper()
	n := &Node{t: t, path: filepath.Join(t.TempDir(), "juncture.db"), options: store.Options{Unsafe: true}, Clock: NewClock()}
	for _, o := range o {
		n.options.Unsafe, n.options.Busy, n.between = !o.Durable, o.Busy, o.Shoppers
		n.breaker, n.config, n.real = o.Breaker, o.Config, o.Real
	}
	n.open()
	t.Cleanup(n.Stop)
	Apply(t, n.DB, d)
	return n
}

func (n *Node) open() {
	n.t.Helper()
	ctx := context.Background()
	var err error
	check := func() {
		if err != nil {
			n.t.Helper()
			n.t.Fatal(err)
		}
	}
	n.DB, err = store.Open(ctx, n.path, n.options)
	check()
	random := Random(1)
	_, err = n.DB.Secrets(ctx, random, n.Clock.Now())
	check()
	n.Tallies, err = engine.NewTallies(ctx, n.DB, 1000)
	check()
	n.Profiles, err = engine.NewProfiles(ctx, n.DB, 1000)
	check()
	n.Writer, err = store.NewWriter(ctx, n.DB, n.Tallies, store.WriterOptions{Now: n.Clock.Now, Profiles: n.Profiles})
	check()
	var shoppers engine.ShopperStore = n.DB
	if n.between != nil {
		shoppers = n.between(n.DB)
	}
	n.Learned, err = engine.NewLearned(ctx, n.DB, engine.LearnedLimits{})
	check()
	var config engine.ConfigStore = n.DB
	if n.config != nil {
		config = n.config(n.DB)
	}
	n.Engine, err = engine.New(ctx, engine.Deps{Ledger: n.Writer, Config: config, Breaker: n.breaker, Shoppers: shoppers, Enrolments: n.DB, Tallies: n.Tallies, Profiles: n.Profiles,
		Learned: n.Learned, Notes: n.DB, Watched: n.DB, Clock: n.real,
		Secrets: func(ctx context.Context) (engine.Secrets, error) {
			s, err := n.DB.Secrets(ctx, random, n.Clock.Now())
			if err != nil {
				return engine.Secrets{}, err
			}
			ring, err := juncture.NewKeyring(s.Signing)
			return engine.Secrets{PickSalt: s.PickSalt, GroupSalt: s.GroupSalt, Keyring: ring}, err
		}})
	check()
}

// Stop stops the node as a crash would: what was committed stays, nothing is checkpointed. It may be called again.
func (n *Node) Stop() {
	if n.DB == nil {
		return
	}
	n.t.Helper()
	if err := n.Writer.Close(); err != nil {
		n.t.Error(err)
	}
	if err := n.DB.Close(); err != nil {
		n.t.Error(err)
	}
	n.DB = nil
}

// Restart stops the node and starts it on the same database.
func (n *Node) Restart() {
	n.t.Helper()
	n.Stop()
	n.open()
}

// Checkpoint writes one.
func (n *Node) Checkpoint() {
	n.t.Helper()
	if _, err := n.Writer.Checkpoint(context.Background()); err != nil {
		n.t.Fatal(err)
	}
}

// Path of the database.
func (n *Node) Path() string { return n.path }

// Verify fails the test where a stored tally is not the fold of the ledger.
func (n *Node) Verify() store.Verification {
	n.t.Helper()
	return Verify(n.t, n.DB)
}

// Verify fails the test where a stored tally is not the fold of the ledger.
func Verify(t testing.TB, db *store.DB) store.Verification {
	t.Helper()
	v, err := db.Verify(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range v.Differences {
		t.Errorf("differs: %v", d)
	}
	for _, d := range v.Rollups {
		t.Errorf("differs: %s", d)
	}
	return v
}

// Ledger is what ExportLedger wrote.
type Ledger struct {
	Decisions map[string]int64    // outcomes by decision id
	Arms      map[string][2]int64 // trials and outcomes by arm
}

// Ledger exports the ledger. It fails the test where a decision stands twice or the two columns of outcomes differ.
func (n *Node) Ledger() Ledger {
	n.t.Helper()
	return ReadLedger(n.t, n.DB)
}

// ReadLedger exports a database's ledger and holds it to its word: a decision stands once, and the two columns of
// outcomes have the same sum.
func ReadLedger(t testing.TB, db *store.DB) Ledger {
	t.Helper()
	var b bytes.Buffer
	if err := db.ExportLedger(context.Background(), &b); err != nil {
		t.Fatal(err)
	}
	return ParseLedger(t, b.Bytes())
}

// ParseLedger reads what `juncture export ledger` printed, and holds it to the same.
func ParseLedger(t testing.TB, b []byte) Ledger {
	t.Helper()
	out := Ledger{Decisions: map[string]int64{}, Arms: map[string][2]int64{}}
	var byDecision, byArm int64
	number := func(s string) int64 {
		v, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			t.Fatalf("ledger: %v", err)
		}
		return v
	}
	lines := bufio.NewScanner(bytes.NewReader(b))
	for lines.Scan() {
		f := strings.Split(lines.Text(), "\t")
		switch {
		case f[0] == "D" && len(f) == 3:
			if _, twice := out.Decisions[f[1]]; twice {
				t.Errorf("decision %s stands twice in the ledger", f[1])
			}
			out.Decisions[f[1]] = number(f[2])
			byDecision += number(f[2])
		case f[0] == "A" && len(f) == 4:
			out.Arms[f[1]] = [2]int64{number(f[2]), number(f[3])}
			byArm += number(f[3])
		default:
			t.Errorf("a line of the ledger is neither D nor A: %q", lines.Text())
		}
	}
	if byDecision != byArm {
		t.Errorf("the ledger's decisions have %d outcomes, its arms %d", byDecision, byArm)
	}
	return out
}

// Package preview serves the console over canned data, so that every page can be seen in every state that it may be in:
// rich, with one of everything, empty, broken, with names at their longest, from right to left, and hostile. It is for
// who builds the console: nothing is stored, and nothing of it is in the console. The console's tests use the same data.
//
// A new page gets a line in pages.go, what it shows a field of Data and a value in Many, and a new method of a port a method
// in ports.go: what is missing does not compile, or fails the test that compares the pages with the console's routes.
package preview

import (
	"sync"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/access"
	"github.com/juncture/juncture/audit"
	"github.com/juncture/juncture/console"
	"github.com/juncture/juncture/evaluate"
	"github.com/juncture/juncture/experiments"
	"github.com/juncture/juncture/experiments/report"
)

// Now is the time at which the canned data are looked at.
var Now = time.Date(2026, 11, 20, 8, 30, 0, 0, time.UTC)

// Password is everybody's.
const Password = "correct horse"

// Data is a store as the console's ports show it, and what the ports were asked. The fields named Err and ...Err are how
// ports answer; nil: well.
type Data struct {
	Err error // of everything that is read

	API []byte // the description of the API; nil: its page is not offered

	Store     console.StoreView
	Evidence  map[string]experiments.Evidence // by experiment
	Decisions []console.DecisionView          // at every intersection and of every shopper, newest first
	At        Place                           // where those were made

	People    map[string]access.User // by token of their session
	Live      map[string]bool        // tokens that are signed in
	SignInErr error
	SSO       SSO

	Shoppers map[string]console.ShopperView
	Events   []juncture.Event
	Broken   []juncture.Quarantined
	Moves    []juncture.Movement
	Consent  map[string]juncture.ConsentRecord

	Clusters  juncture.ClustersView
	Counts    []juncture.ValueCount
	Passed    []juncture.MoveCount
	Refit     juncture.RefitView
	ChangeErr error // of a change of a cluster
	RefitErr  error

	Trials *Trials
	Pool   *Pool
	Desk   *Desk
	Log    *Log

	mu        sync.Mutex // held by ports while they write what follows
	Since     time.Time  // that movements were asked for
	SignedOut []string   // tokens
	Erased    []string   // actor and id
	Changed   []string   // actor, id and change
}

// Place is where decisions were made.
type Place struct{ Experiment, Key, Gone string }

// Trials is experiments and what they brought, other policies, and the catalogue.
type Trials struct {
	Tripped  map[string]juncture.Trip     // by experiment
	Shipped  map[string]juncture.Shipment // by surface
	Holdouts []juncture.Holdout
	Sources  map[string]report.Source // by experiment or holdout
	History  []audit.Entry
	Health   map[string]console.HealthView
	WhatIf   evaluate.Report
	Worth    evaluate.Worth

	Catalogue juncture.CatalogueView
	Products  []juncture.ProductItem

	ChangeErr, WhatErr error

	Asked     []report.Query
	Did       []string // actor, verb, id, change
	Questions []console.WhatIfQuery
}

// Pool is actions and copy, and what waits.
type Pool struct {
	Actions  []juncture.PoolAction
	Reviews  []juncture.ReviewItem
	Switches []juncture.SwitchView

	Priorities []juncture.PoolPriority
	Effects    map[string][]juncture.PriorityEffect // by priority
	Preview    juncture.PriorityPreview             // of products its slots, of an action its effects

	Shown []juncture.ProductView // in an action's slots
	Err   error                  // of a change
	Did   []string               // actor, verb and what
}

// Desk is people, keys, links, settings and the audit log.
type Desk struct {
	Users           juncture.UsersView
	Keys            juncture.KeysView
	Shares          juncture.SharesView
	Set             juncture.SettingsView
	Log             []audit.Entry
	Actors, Actions []string // that the log can be filtered by
	Proof           juncture.AuditProof
	Err             error // of a change
	Proved          int
	Done            []string
	Asked           audit.Query
}

// Log is the log of decisions, newest first.
type Log struct {
	mu     sync.Mutex // a browser's requests come beside a test
	Items  []juncture.LoggedDecision
	Why    juncture.ExplainedDecision // of each of them, but for what they say themselves
	Replay juncture.ReplayView
	Differ bool // replays come out otherwise
	Asked  juncture.DecisionQuery
}

// Add makes a decision, the newest.
func (l *Log) Add(serial string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.Items[0]
	d.Serial = serial
	l.Items = append([]juncture.LoggedDecision{d}, l.Items...)
}

// SSO sends everybody to a provider and signs in who brings back its state.
type SSO struct {
	Name string
	Err  error
}

// remembered bounds what the ports remember of what they were asked.
const remembered = 1000

// remember adds to what was asked, and forgets what is long ago.
func remember[T any](list *[]T, x T) {
	if *list = append(*list, x); len(*list) > remembered {
		*list = (*list)[1:]
	}
}

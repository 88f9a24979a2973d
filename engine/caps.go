package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/pool"
)

// ServeStore counts what was served before. Previews and bots do not count.
type ServeStore interface {
	// Served counts decisions of a node from a time on, by arm.
	Served(ctx context.Context, node uint16, since time.Time, arms []juncture.ArmID) (int64, error)
	// ServedTo returns the latest decisions that served a shopper something since a time, newest first, at most limit.
	ServedTo(ctx context.Context, node uint16, shopper string, since time.Time, limit int) ([]juncture.Serve, error)
}

// caps count what was served, so that what reached its cap is not eligible. A decision counts when it is committed; one
// under way holds a place at every cap that it may come to, so that together they never pass one: near a cap some calls may
// find it reached that would have fitted. What is not in memory, after a start too, is counted from the ledger.
//
// Memory is bounded: a counter for each capped action and day, at most keptDays of them, and an LRU of shoppers with at most
// mostServes touches each.
type caps struct {
	store ServeStore
	node  uint16

	mu        sync.Mutex
	days      map[dayKey]int64
	spent     map[string]int64     // by action, since its start
	since     map[string]time.Time // the start that spent counts from
	succeeded map[string]int64     // by action: successes that are charged for
	charged   map[juncture.ArmID]charge
	pending   map[string]int64 // by action: decisions under way
	flying    map[flight]int   // by shopper and action, "" for any: decisions under way
	shoppers  *lru.Cache[string, []juncture.Serve]
	missed    atomic.Uint64 // decisions committed of shoppers that are not cached
	settings  string        // of all caps: where they change, touches are read again
}

type dayKey struct {
	action string
	day    int64 // UTC, since 1970
}

type flight struct{ shopper, action string }

// charge says whose budget a success of an arm uses up.
type charge struct{ action, outcome string }

const (
	keptDays   = 3
	mostServes = 1000
)

func newCaps(store ServeStore, node uint16, shoppers int) (*caps, error) {
	touches, err := lru.New[string, []juncture.Serve](shoppers)
	return &caps{store: store, node: node, days: map[dayKey]int64{}, spent: map[string]int64{}, since: map[string]time.Time{}, succeeded: map[string]int64{},
		charged: map[juncture.ArmID]charge{}, pending: map[string]int64{}, flying: map[flight]int{}, shoppers: touches}, err
}

// capSettings are the caps of a pool. No entry, no pressure: nothing is capped.
type capSettings struct {
	caps     map[string]*juncture.Cap // by action
	starts   map[string]time.Time
	arms     map[string][]juncture.ArmID // of those actions, all versions
	pressure *juncture.Frequency
	span     time.Duration // the longest that is looked back at a shopper's touches
}

func capsOf(p *pool.Snapshot) *capSettings {
	s := &capSettings{caps: map[string]*juncture.Cap{}, starts: map[string]time.Time{}, arms: map[string][]juncture.ArmID{}}
	for id, t := range p.Declaration.Terms {
		if t.Cap == nil || *t.Cap == (juncture.Cap{}) {
			continue
		}
		s.caps[id] = t.Cap
		if t.Starts != nil {
			s.starts[id] = *t.Starts
		}
		if f := t.Cap.PerShopper; f != nil {
			s.span = max(s.span, f.Per.Span())
		}
	}
	if x := p.Declaration.Pressure; x != nil {
		s.pressure = &x.PerShopper
		s.span = max(s.span, s.pressure.Per.Span())
	}
	if len(s.caps) == 0 && s.pressure == nil {
		return nil
	}
	for id, a := range p.Arms {
		if s.caps[a.Arm.Action] != nil {
			s.arms[a.Arm.Action] = append(s.arms[a.Arm.Action], id)
		}
	}
	for _, arms := range s.arms {
		slices.Sort(arms)
	}
	return s
}

// configure takes the caps of a pool over. successes sums what is charged for so far; deltas that are folded meanwhile may
// count twice, never not at all.
func (k *caps) configure(s *capSettings, settings string, successes func(arms []juncture.ArmID, outcome string) (int64, error)) error {
	k.mu.Lock()
	if k.settings == settings {
		k.mu.Unlock()
		return nil
	}
	k.shoppers.Purge()
	clear(k.charged)
	clear(k.succeeded)
	if s != nil {
		for id, c := range s.caps {
			if c.Spend != nil && c.Spend.Per == juncture.SpendSuccess {
				for _, arm := range s.arms[id] {
					k.charged[arm] = charge{id, c.Spend.Outcome}
				}
			}
		}
	}
	k.mu.Unlock()
	if s != nil {
		for id, c := range s.caps {
			if c.Spend == nil || c.Spend.Per != juncture.SpendSuccess {
				continue
			}
			n, err := successes(s.arms[id], c.Spend.Outcome)
			if err != nil {
				return fmt.Errorf("count what is charged for %s: %w", id, err)
			}
			k.mu.Lock()
			k.succeeded[id] += n
			k.mu.Unlock()
		}
	}
	k.mu.Lock()
	k.settings = settings
	k.mu.Unlock()
	return nil
}

// capKey names all caps of the state, and the arms that they are of.
func (s *state) capKey() string {
	if s.caps == nil {
		return ""
	}
	b, err := json.Marshal([]any{s.caps.caps, s.caps.starts, s.caps.arms, s.caps.pressure}) // maps in the order of their keys
	if err != nil {
		return fmt.Sprint(s.pool.Number)
	}
	return string(b)
}

// successes sums what an outcome brought arms, in every experiment.
func (e *Engine) successes(ctx context.Context, p *pool.Snapshot, arms []juncture.ArmID, outcome string) (n int64, _ error) {
	for id := range p.Experiments {
		cells, err := e.d.Tallies.Experiment(ctx, id)
		if err != nil {
			return 0, err
		}
		for _, c := range cells {
			for _, r := range c.Rows {
				if r.Event == outcome && charges(r.Group) && slices.Contains(arms, r.Arm) {
					n += r.Successes
				}
			}
		}
	}
	return n, nil
}

// charges reports whether trials of a group are what was served of an arm.
func charges(g juncture.Group) bool {
	return g == juncture.GroupPolicy || g == juncture.GroupRandom || g == juncture.GroupBAU
}

// Folded counts the successes that a commit brought; it is Tallies' watcher.
func (k *caps) Folded(deltas []juncture.Delta) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, d := range deltas {
		if c, ok := k.charged[d.Arm]; ok && d.Event == c.outcome && d.Delay == 0 && charges(d.Group) {
			k.succeeded[c.action] += d.Successes
		}
	}
}

// forget drops what is known of shoppers: they became one, or all of them (none named) may have.
func (k *caps) forget(ids ...string) {
	if len(ids) == 0 {
		k.shoppers.Purge()
	}
	for _, id := range ids {
		k.shoppers.Remove(id)
	}
}

// claim is the places that a call holds.
type claim struct {
	shopper string
	actions []string
}

// touches are a shopper's, from memory or the store. What is committed while the store is read shows in missed: it is read
// again.
func (e *Engine) touches(ctx context.Context, s *capSettings, shopper string, now time.Time) ([]juncture.Serve, error) {
	k := e.caps
	for round := 0; ; round++ {
		if found, ok := k.shoppers.Get(shopper); ok {
			return found, nil
		}
		merges, missed := e.merges.Load(), k.missed.Load()
		found, err := k.store.ServedTo(ctx, k.node, shopper, now.Add(-s.span), mostServes)
		if err != nil {
			return nil, fmt.Errorf("count what the shopper was served: %w", err)
		}
		k.mu.Lock()
		current := e.merges.Load() == merges && k.missed.Load() == missed
		if current && !k.shoppers.Contains(shopper) {
			k.shoppers.Add(shopper, found)
		}
		k.mu.Unlock()
		if current || round == maxRounds {
			return found, nil
		}
	}
}

// reserve keeps the arms that reach no cap, and holds a place for each of their actions.
func (c *call) reserve(ctx context.Context, arms []*pool.Arm, refused func(pool.Refusal)) ([]*pool.Arm, error) {
	s := c.st.caps
	if s == nil || len(arms) == 0 {
		return arms, nil
	}
	k := c.e.caps
	personal := c.shopper != "" && s.span > 0
	var touches []juncture.Serve
	if personal {
		var err error
		if touches, err = c.e.touches(ctx, s, c.shopper, c.now); err != nil {
			return nil, err
		}
	}
	if err := k.load(ctx, s, arms, c.now); err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if newer, ok := k.shoppers.Peek(c.shopper); ok {
		touches = newer
	}
	pressed := ""
	if f := s.pressure; f != nil && personal && count(touches, c.now, f.Per, func(t juncture.Serve) bool { return t.Drawn })+k.flying[flight{c.shopper, ""}] >= f.N {
		pressed = fmt.Sprintf("the shopper was told something %d times in a %s", f.N, f.Per)
	}
	out := arms[:0]
	last, why := "", ""
	hold := &claim{shopper: c.shopper}
	for _, a := range arms {
		if id := a.Arm.Action; id != last { // arms stand by action
			if last, why = id, pressed; why == "" && s.caps[id] != nil {
				why = k.reached(s, id, c.shopper, touches, personal, c.now)
			}
			if why == "" {
				hold.actions = append(hold.actions, id)
			}
		}
		if why == "" {
			out = append(out, a)
		} else if refused != nil {
			refused(pool.Refusal{Arm: a, Why: why})
		}
	}
	if len(out) > 0 {
		for _, id := range hold.actions {
			k.pending[id]++
			k.flying[flight{hold.shopper, id}]++
		}
		k.flying[flight{hold.shopper, ""}]++
		c.claim = hold
	}
	return out, nil
}

// reached says which cap an action has reached, "" for none. The caller holds mu.
func (k *caps) reached(s *capSettings, id, shopper string, touches []juncture.Serve, personal bool, now time.Time) string {
	c := s.caps[id]
	if f := c.PerShopper; f != nil && personal {
		mine := func(t juncture.Serve) bool { return slices.Contains(s.arms[id], t.Arm) }
		if count(touches, now, f.Per, mine)+k.flying[flight{shopper, id}] >= f.N {
			return fmt.Sprintf("the shopper was served it %d times in a %s", f.N, f.Per)
		}
	}
	if c.PerDay > 0 && k.days[dayKey{id, dayOf(now)}]+k.pending[id] >= c.PerDay {
		return fmt.Sprintf("it was served %d times today", c.PerDay)
	}
	if b := c.Spend; b != nil {
		used := k.succeeded[id]
		if b.Per == juncture.SpendServe {
			used = k.spent[id] + k.pending[id]
		}
		if used >= b.Times() {
			return fmt.Sprintf("its budget of %v is spent", b.Most)
		}
	}
	return ""
}

// count counts touches in the period that ends now.
func count(touches []juncture.Serve, now time.Time, per juncture.Period, which func(juncture.Serve) bool) (n int) {
	since := now.Add(-per.Span())
	for _, t := range touches {
		if t.At.After(since) && which(t) {
			n++
		}
	}
	return n
}

func dayOf(t time.Time) int64 { return t.Unix() / 86400 }

// load counts from the ledger what is not counted yet: a day's decisions, and what was spent since an action's start.
func (k *caps) load(ctx context.Context, s *capSettings, arms []*pool.Arm, now time.Time) error {
	k.mu.Lock()
	defer k.mu.Unlock() // while it reads: whoever comes needs the same
	day := dayOf(now)
	for _, a := range arms {
		id := a.Arm.Action
		c := s.caps[id]
		if c == nil {
			continue
		}
		if _, known := k.days[dayKey{id, day}]; c.PerDay > 0 && !known {
			n, err := k.store.Served(ctx, k.node, time.Unix(day*86400, 0).UTC(), s.arms[id])
			if err != nil {
				return fmt.Errorf("count what was served today: %w", err)
			}
			for key := range k.days {
				if key.action == id && key.day <= day-keptDays {
					delete(k.days, key)
				}
			}
			k.days[dayKey{id, day}] = n
		}
		since, known := k.since[id]
		if b := c.Spend; b != nil && b.Per == juncture.SpendServe && (!known || !since.Equal(s.starts[id])) {
			n, err := k.store.Served(ctx, k.node, s.starts[id], s.arms[id])
			if err != nil {
				return fmt.Errorf("count what was spent: %w", err)
			}
			k.spent[id], k.since[id] = n, s.starts[id]
		}
	}
	return nil
}

// settle gives the call's places back and, once its decision is committed, counts what it served.
func (c *call) settle(committed bool) {
	s := c.st.caps
	if s == nil {
		return
	}
	k := c.e.caps
	k.mu.Lock()
	defer k.mu.Unlock()
	if hold := c.claim; hold != nil {
		for _, id := range append(hold.actions, "") {
			if id != "" {
				less(k.pending, id)
			}
			less(k.flying, flight{hold.shopper, id})
		}
		c.claim = nil
	}
	if !committed || c.write == nil {
		return
	}
	d := &c.write.Decision
	if d.Arm == 0 || d.Detail == juncture.DetailPreview || d.Detail == juncture.DetailBot {
		return
	}
	id := c.st.pool.Arms[d.Arm].Arm.Action
	if key := (dayKey{id, dayOf(d.At)}); s.caps[id] != nil {
		if _, known := k.days[key]; known {
			k.days[key]++
		}
		if since, known := k.since[id]; known && !d.At.Before(since) {
			k.spent[id]++
		}
	}
	if d.Shopper == "" || s.span == 0 {
		return
	}
	touches, ok := k.shoppers.Peek(d.Shopper)
	if !ok {
		k.missed.Add(1)
		return
	}
	if !slices.ContainsFunc(touches, func(t juncture.Serve) bool { return t.Serial == d.Serial }) {
		from := d.At.Add(-s.span)
		kept := []juncture.Serve{{Serial: d.Serial, At: d.At, Arm: d.Arm, Drawn: d.Drew()}}
		for _, t := range touches {
			if t.At.After(from) && len(kept) < mostServes {
				kept = append(kept, t)
			}
		}
		k.shoppers.Add(d.Shopper, kept)
	}
}

func less[K comparable, N int | int64](m map[K]N, key K) {
	if m[key]--; m[key] <= 0 {
		delete(m, key)
	}
}

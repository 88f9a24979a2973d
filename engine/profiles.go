package engine

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/layers"
	"github.com/juncture/juncture/layers/catalogue"
)

// ProfileStore reads profiles as they were last written, and what happened since.
type ProfileStore interface {
	Profile(ctx context.Context, shopper string) (juncture.ProfileRow, error)
	RestoreProfiles(ctx context.Context, f func(juncture.ProfileChange) error) error
}

// Profiles are the shoppers' profiles in memory, the fold of the events. Those that differ from the store are kept until
// they are written; the rest are a cache over it. It is the writer's store.ProfileFolder.
//
// One mutex guards everything, and a miss reads the store while holding it, for the reason that Tallies gives.
type Profiles struct {
	store ProfileStore
	most  int // dirty profiles before they are written out of turn

	mu     sync.Mutex
	dirty  map[string]*profile
	clean  *lru.Cache[string, *profile]
	broken error // memory no longer follows the events

	unreadable atomic.Uint64
	observe    func(e *juncture.Event, before *layers.Profile) // nil: nobody
	read       func() (layers.Settings, layers.Knowledge)      // nil: all defaults, nothing learnt
	clock      func() time.Time                                // nil: shoppers are described when they are written alone
}

// profile is one shopper's, with how much of each node's events it holds. gone: it is part of another's.
type profile struct {
	layers.Profile
	marks    []juncture.Mark
	gone     bool
	standing juncture.Standing   // as last described
	folded   time.Time           // when the last event was; zero: none since it was read
	moves    []juncture.Movement // since it was written, at most mostMoves
	writing  int                 // how many of them are being written
}

// mostMoves bounds the movements of one shopper that wait to be written; the latest stay.
const mostMoves = 48

// soon is how long after a shopper was described they need not be again: between two events of a visit.
const soon = time.Minute

// describe notes where the shopper stands at now, and what moved since they were described. Where time has passed since
// the last event, it first notes where that left them, so that what they did and what time did are told apart.
func (f *profile) describe(now time.Time, set layers.Settings, k layers.Knowledge) {
	times := []time.Time{now}
	if !f.folded.IsZero() && now.Sub(f.folded) > soon && !f.folded.Before(f.standing.At) {
		times = []time.Time{f.folded, now}
	}
	for _, at := range times {
		var moves []juncture.Movement
		f.standing, moves = layers.Stand(&f.Profile, f.standing, at, set, k)
		f.moves = append(f.moves, moves...)
	}
	if over := len(f.moves) - mostMoves; over > 0 {
		f.moves = slices.Delete(f.moves, 0, over)
		f.writing = max(f.writing-over, 0)
	}
}

// NewProfiles folds the events after the last written profiles. most bounds the clean profiles kept, and as many may
// wait to be written.
func NewProfiles(ctx context.Context, store ProfileStore, most int) (*Profiles, error) {
	clean, err := lru.New[string, *profile](most)
	if err != nil {
		return nil, err
	}
	p := &Profiles{store: store, most: most, dirty: map[string]*profile{}, clean: clean}
	err = store.RestoreProfiles(ctx, func(c juncture.ProfileChange) error {
		p.FoldProfiles([]juncture.ProfileChange{c})
		return p.broken
	})
	return p, err
}

// get returns a profile, an empty one for a shopper never seen or whose stored profile cannot be read. The caller holds
// mu, and marks it dirty when it changes what it gets.
func (p *Profiles) get(ctx context.Context, shopper string) (*profile, error) {
	if f, ok := p.dirty[shopper]; ok {
		return f, nil
	}
	if f, ok := p.clean.Get(shopper); ok {
		return f, nil
	}
	row, err := p.store.Profile(ctx, shopper)
	if err != nil {
		return nil, fmt.Errorf("read profile: %w", err)
	}
	f := &profile{marks: row.Marks, standing: row.Standing}
	if row.Body != nil && f.UnmarshalBinary(row.Body) != nil {
		p.unreadable.Add(1) // folded again from nothing with the events to come: one shopper's past does not stop the store
	}
	f.Shopper = shopper
	p.clean.Add(shopper, f)
	return f, nil
}

func (p *Profiles) touched(shopper string, f *profile) {
	p.dirty[shopper] = f
	p.clean.Remove(shopper)
}

// FoldProfiles takes what one commit added, in order. What a profile holds already changes nothing.
func (p *Profiles) FoldProfiles(changes []juncture.ProfileChange) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range changes {
		if err := p.fold(c); err != nil {
			p.broken = err
		}
	}
}

func (p *Profiles) fold(c juncture.ProfileChange) error {
	if c.Event == nil && c.Into == "" { // erased
		delete(p.dirty, c.From)
		p.clean.Remove(c.From)
		return nil
	}
	shopper := c.Into
	if c.Event != nil {
		shopper = c.Event.Shopper
	}
	f, err := p.get(context.Background(), shopper)
	if err != nil {
		return err
	}
	mark := juncture.Mark{Node: uint16(c.Serial >> juncture.NodeShift), Seq: int64(c.Serial)}
	if !advance(&f.marks, mark) {
		return nil
	}
	p.touched(shopper, f)
	if p.clock != nil {
		now := p.clock()
		last := f.standing.At
		if f.folded.After(last) {
			last = f.folded
		}
		if !last.IsZero() && now.Sub(last) > soon {
			set, k := p.described()
			f.describe(now, set, k)
		}
		f.folded = now
	}
	if c.Event != nil {
		if p.observe != nil {
			p.observe(c.Event, &f.Profile)
		}
		f.Fold(*c.Event)
		return nil
	}
	from, err := p.get(context.Background(), c.From)
	if err != nil {
		return err
	}
	f.Profile = layers.Merge(f.Profile, from.Profile)
	f.Shopper = shopper
	from.gone = true // its content stays: should the merge have to be folded again, it is all there
	p.touched(c.From, from)
	return nil
}

// advance moves a node's mark on; false when it was there already.
func advance(marks *[]juncture.Mark, to juncture.Mark) bool {
	for i := range *marks {
		if m := &(*marks)[i]; m.Node == to.Node {
			if m.Seq >= to.Seq {
				return false
			}
			m.Seq = to.Seq
			return true
		}
	}
	*marks = append(*marks, to)
	return true
}

// Observe has f called with every event from now on that is folded, and its shopper's profile before it: on the writer's
// goroutine, in the order of commits, while the profiles are locked.
func (p *Profiles) Observe(f func(e *juncture.Event, before *layers.Profile)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.observe = f
}

// Profile returns a copy of a shopper's profile; false where nothing was observed of them.
func (p *Profiles) Profile(ctx context.Context, shopper string) (layers.Profile, bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f, err := p.get(ctx, shopper)
	if err != nil || len(f.marks) == 0 || f.gone {
		return layers.Profile{}, false, err
	}
	return f.Clone(), true, nil
}

// Describe reads the derived layers of a shopper at now, those of an empty profile where nothing was observed.
func (p *Profiles) Describe(ctx context.Context, shopper string, now time.Time, set layers.Settings, k layers.Knowledge) (layers.Described, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f, err := p.get(ctx, shopper)
	if err != nil {
		return layers.Described{}, err
	}
	return layers.Describe(&f.Profile, now, set, k), nil // microseconds: less than a copy of the profile
}

// interests are what recommending asks of a shopper.
type interests struct {
	goods  catalogue.State
	shares []catalogue.Share
	near   func(catalogue.Key) float64
}

func (p *Profiles) interests(ctx context.Context, shopper string, k layers.Knowledge, set layers.Settings) (interests, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f, err := p.get(ctx, shopper)
	if err != nil {
		return interests{}, err
	}
	shares, near := f.Leanings(k, set)
	return interests{f.Goods.Clone(), shares, near}, nil
}

// Unreadable is how often a stored profile was met that cannot be read.
func (p *Profiles) Unreadable() uint64 { return p.unreadable.Load() }

// Err returns why memory no longer follows the events, nil while it does.
func (p *Profiles) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.broken
}

// DirtyProfiles names the profiles that differ from the store.
func (p *Profiles) DirtyProfiles() []string {
	p.mu.Lock()
	out := make([]string, 0, len(p.dirty))
	for s := range p.dirty {
		out = append(out, s)
	}
	p.mu.Unlock()
	slices.Sort(out)
	return out
}

// ReadWith has profiles described with these settings and this knowledge when they are written.
func (p *Profiles) ReadWith(f func() (layers.Settings, layers.Knowledge)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.read = f
}

// Follow has what moves a shopper between two events noted when the second is folded, clock telling when that is. Without
// it, as when a history is taken in, only what profiles are written at is noted.
func (p *Profiles) Follow(clock func() time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clock = clock
}

// described is what profiles are described with; the caller holds mu.
func (p *Profiles) described() (set layers.Settings, k layers.Knowledge) {
	if p.read != nil {
		set, k = p.read()
	}
	return set, k
}

// ProfileRows returns those that still differ, as they are now, with where their shoppers stand.
func (p *Profiles) ProfileRows(shoppers []string, now time.Time) []juncture.ProfileRow {
	p.mu.Lock()
	defer p.mu.Unlock()
	set, k := p.described()
	out := make([]juncture.ProfileRow, 0, len(shoppers))
	for _, s := range shoppers {
		f, ok := p.dirty[s]
		if !ok {
			continue
		}
		body, err := f.MarshalBinary()
		if err != nil {
			p.broken = fmt.Errorf("write profile of %.80q: %w", s, err)
			continue
		}
		row := juncture.ProfileRow{Shopper: s, Body: body, Marks: slices.Clone(f.marks)}
		if !f.gone {
			f.describe(now, set, k)
			row.Standing, row.Moves, f.writing = f.standing, slices.Clone(f.moves), len(f.moves)
		}
		out = append(out, row)
	}
	return out
}

// CleanProfiles says that the store holds these as they are.
func (p *Profiles) CleanProfiles(shoppers []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range shoppers {
		if f, ok := p.dirty[s]; ok {
			delete(p.dirty, s)
			f.moves, f.writing = slices.Clone(f.moves[f.writing:]), 0
			p.clean.Add(s, f)
		}
	}
}

// CrowdedProfiles reports whether as many profiles wait to be written as memory is meant to cache.
func (p *Profiles) CrowdedProfiles() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.dirty) > p.most
}

// Size returns how many profiles wait to be written and how many are cached.
func (p *Profiles) Size() (dirty, clean int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.dirty), p.clean.Len()
}

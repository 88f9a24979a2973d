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
}

// profile is one shopper's, with how much of each node's events it holds. gone: it is part of another's.
type profile struct {
	layers.Profile
	marks    []juncture.Mark
	gone     bool
	standing juncture.Standing // as last written
	written  juncture.Standing // being written
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

func (p *Profiles) reading() (set layers.Settings, k layers.Knowledge) {
	p.mu.Lock()
	f := p.read
	p.mu.Unlock()
	if f != nil {
		set, k = f()
	}
	return set, k
}

// ProfileRows returns those that still differ, as they are now, with where their shoppers stand.
func (p *Profiles) ProfileRows(shoppers []string, now time.Time) []juncture.ProfileRow {
	set, k := p.reading()
	p.mu.Lock()
	defer p.mu.Unlock()
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
			row.Standing, row.Moves = layers.Stand(&f.Profile, f.standing, now, set, k)
			f.written = row.Standing
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
			f.standing = f.written
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

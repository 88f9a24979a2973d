package lattice

import (
	"hash/maphash"
	"sync"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/policy"
)

// Vectors caches a snapshot's probability vectors, floor included, by intersection and eligible arms. It is safe for
// concurrent use; drop it with its snapshot. It holds at most twice Size vectors of the most recent use: when the newer
// half is full the older half is forgotten.
type Vectors struct {
	Snapshot *Snapshot
	Floor    float64 // total uniform mass (C.4)
	Size     int     // vectors in each half; 0: 50,000

	seed maphash.Seed
	mu   sync.RWMutex
	now  map[uint64]*Vector
	past map[uint64]*Vector
	pool sync.Pool
}

// Vector is the probabilities with which the eligible arms of a call are picked, exact by construction. It is immutable.
type Vector struct {
	Arms []juncture.ArmID
	P    []float64

	at juncture.Intersection
}

// NewVectors returns an empty cache.
func NewVectors(s *Snapshot, floor float64, size int) *Vectors {
	if size <= 0 {
		size = 50_000
	}
	return &Vectors{Snapshot: s, Floor: floor, Size: size, seed: maphash.MakeSeed(), now: map[uint64]*Vector{}, past: map[uint64]*Vector{},
		pool: sync.Pool{New: func() any { return new(Workspace) }}}
}

// Get returns the vector of a call: from the cache without allocating, or computed.
func (c *Vectors) Get(x juncture.Intersection, arms []juncture.ArmID) (*Vector, error) {
	key := c.hash(&x, arms)
	c.mu.RLock()
	v, old := c.now[key], false
	if v == nil {
		v, old = c.past[key], true
	}
	c.mu.RUnlock()
	if v == nil || !v.fits(&x, arms) {
		v = &Vector{Arms: append([]juncture.ArmID(nil), arms...), P: make([]float64, len(arms)), at: x}
		ws := c.pool.Get().(*Workspace)
		err := c.Snapshot.Vector(x, arms, ws, v.P)
		c.pool.Put(ws)
		if err != nil {
			return nil, err
		}
		policy.Floor(v.P, c.Floor)
		old = true
	}
	if old {
		c.mu.Lock()
		if len(c.now) >= c.Size {
			c.now, c.past = make(map[uint64]*Vector, c.Size), c.now
		}
		c.now[key] = v
		c.mu.Unlock()
	}
	return v, nil
}

func (v *Vector) fits(x *juncture.Intersection, arms []juncture.ArmID) bool {
	if v.at != *x || len(v.Arms) != len(arms) {
		return false
	}
	for i, a := range arms {
		if v.Arms[i] != a {
			return false
		}
	}
	return true
}

func (c *Vectors) hash(x *juncture.Intersection, arms []juncture.ArmID) uint64 {
	h := uint64(14695981039346656037)
	for _, v := range x {
		h = (h ^ maphash.String(c.seed, v)) * 1099511628211
	}
	for _, a := range arms {
		h = (h ^ uint64(a)) * 1099511628211
	}
	return h
}

package testkit

import (
	"io"
	"math/rand/v2"
	"sync"
	"time"
)

// Clock is a clock that moves only when told to. It is safe for concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// Epoch is where every Clock starts.
func Epoch() time.Time { return time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC) }

// NewClock returns a clock at Epoch.
func NewClock() *Clock { return &Clock{now: Epoch()} }

// Now returns the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock on and returns its time.
func (c *Clock) Advance(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return c.now
}

// Random is a stream of bytes from a seed, safe for concurrent use.
func Random(seed byte) io.Reader {
	return &stream{r: rand.NewChaCha8([32]byte{seed})}
}

type stream struct {
	mu sync.Mutex
	r  *rand.ChaCha8
}

func (s *stream) Read(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.r.Read(b)
}

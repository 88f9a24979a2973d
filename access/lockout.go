package access

import (
	"sync"
	"time"
)

// lockout counts sign-in attempts per name, whether a user of that name exists or not. An attempt counts from its
// beginning, so that many at once cannot outrun the count, and is taken back when it succeeds.
//
// It holds at most maxNames names. Over that, names whose attempts are all older than the window go, then the name
// with the fewest and oldest attempts: whoever floods it with names pushes out the flood first, and pays a password
// hash for each. The search costs 0.1 ms at most, beside a hash of tens.
type lockout struct {
	most   int           // attempts
	window time.Duration // within which they count

	mu    sync.Mutex
	names map[string][]time.Time // in the order of their beginning
}

const maxNames = 10_000

// begin counts an attempt. Where the name has had too many it counts nothing and returns how long to wait.
func (l *lockout) begin(name string, now time.Time) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	tries := l.recent(l.names[name], now)
	if len(tries) >= l.most {
		return max(tries[0].Add(l.window).Sub(now), time.Second)
	}
	if _, ok := l.names[name]; !ok && len(l.names) >= maxNames {
		l.evict(now)
	}
	l.names[name] = append(tries, now)
	return 0
}

func (l *lockout) recent(tries []time.Time, now time.Time) []time.Time {
	for len(tries) > 0 && now.Sub(tries[0]) >= l.window {
		tries = tries[1:]
	}
	return tries
}

func (l *lockout) evict(now time.Time) {
	victim, fewest := "", []time.Time(nil)
	for name, tries := range l.names {
		if tries = l.recent(tries, now); len(tries) == 0 {
			delete(l.names, name)
		} else if fewest == nil || len(tries) < len(fewest) || len(tries) == len(fewest) && tries[0].Before(fewest[0]) {
			victim, fewest = name, tries
		}
	}
	if len(l.names) >= maxNames {
		delete(l.names, victim)
	}
}

// undo takes back an attempt that was begun at a time and neither succeeded nor failed.
func (l *lockout) undo(name string, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	tries := l.names[name]
	for i, t := range tries {
		if t.Equal(at) {
			left := append(append([]time.Time(nil), tries[:i]...), tries[i+1:]...)
			if l.names[name] = left; len(left) == 0 {
				delete(l.names, name)
			}
			return
		}
	}
}

// clear forgets the name's attempts: it signed in.
func (l *lockout) clear(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.names, name)
}

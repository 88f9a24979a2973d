package moment

import (
	"math"
	"math/bits"
	"slices"

	"github.com/juncture/juncture"
)

// maxSessions is how many of the last sessions are kept.
const maxSessions = 8

// toldEvents is how many product events make a session worth remembering when it falls off the list: the default of
// Settings.ModeEvents.
const toldEvents = 3

// sessionBytes is the size of a session in memory.
const sessionBytes = 56

// session is a stretch of events of one sender's session without a gap of SessionGap. Products and categories are
// counted by 64-bit linear counting (Whang, Vander-Zanden, Taylor 1990), so that two stretches can be joined.
type session struct {
	from, to   int64  // ms
	key        uint64 // hash of the sender's id; 0 for none
	products   uint64 // bitmap of products viewed
	categories uint64 // bitmap
	events     uint16 // product events
	views      uint16 // product views
	details    uint16 // reviews, size, delivery; things put on a list or into the bag
	wide       uint16 // searches and articles
}

func sessionOf(e juncture.Event, at int64) session {
	s := session{from: at, to: at, key: hash(e.Session)}
	if e.Category != "" {
		s.categories |= bit(e.Category)
	}
	for _, l := range e.Lines {
		if l.Category != "" {
			s.categories |= bit(l.Category)
		}
	}
	switch e.Kind {
	case juncture.EventProductViewed:
		s.events, s.views = 1, 1
		for _, l := range e.Lines {
			s.products |= bit(l.Product)
		}
	case juncture.EventProductDetail:
		s.events, s.details = 1, 1
	case juncture.EventWishlisted, juncture.EventProductAdded:
		s.events = 1
	case juncture.EventProductsSearched, juncture.EventArticleViewed:
		s.wide = 1
	case juncture.EventListViewed, juncture.EventProductClicked:
	default:
		s.categories = 0
	}
	return s
}

// bit is one of 64; the hash's upper bits are mixed first.
func bit(v string) uint64 {
	return 1 << (hash(v) * 0x9E3779B97F4A7C15 >> 58)
}

// distinct estimates how many values set the bits.
func distinct(bitmap uint64) float64 {
	empty := 64 - bits.OnesCount64(bitmap)
	return math.Round(-64 * math.Log(max(float64(empty), 0.5)/64))
}

func plus(a, b uint16) uint16 { return uint16(min(uint32(a)+uint32(b), math.MaxUint16)) }

func (s *session) join(o session) {
	s.products |= o.products
	s.categories |= o.categories
	s.events, s.views = plus(s.events, o.events), plus(s.views, o.views)
	s.details, s.wide = plus(s.details, o.details), plus(s.wide, o.wide)
	s.from, s.to = min(s.from, o.from), max(s.to, o.to)
}

// later picks the session that ended later among those that can say a mode.
func later(a, b session) session {
	switch {
	case b.events == 0:
		return a
	case a.events == 0 || b.to > a.to || b.to == a.to && (b.from < a.from || b.from == a.from && b.key > a.key):
		return b
	}
	return a
}

// addSession joins a stretch with those of the same key that it touches. Usually it only lengthens the last one.
func (s *State) addSession(x session) {
	const gap = int64(SessionGap / 1e6)
	if n := len(s.sessions); n > 0 {
		if l := &s.sessions[n-1]; l.key == x.key && x.from >= l.from && x.from-l.to < gap {
			l.join(x)
			return
		}
	}
	for i := 0; i < len(s.sessions); {
		if o := s.sessions[i]; o.key == x.key && x.from-o.to < gap && o.from-x.to < gap {
			x.join(o)
			s.sessions = slices.Delete(s.sessions, i, i+1)
			i = 0
			continue
		}
		i++
	}
	i := len(s.sessions)
	for i > 0 && (s.sessions[i-1].from > x.from || s.sessions[i-1].from == x.from && s.sessions[i-1].key > x.key) {
		i--
	}
	s.sessions = slices.Insert(s.sessions, i, x)
	if len(s.sessions) > maxSessions {
		if s.sessions[0].events >= toldEvents {
			s.told = later(s.told, s.sessions[0])
		}
		s.sessions = slices.Delete(s.sessions, 0, 1)
	}
}

// telling is the last session with at least so many product events; stretches of one sender's session are taken together.
func (s *State) telling(events int) (session, bool) {
	for i := len(s.sessions) - 1; i >= 0; i-- {
		x := s.sessions[i]
		if x.key != 0 {
			for j := range i {
				if s.sessions[j].key == x.key {
					x.join(s.sessions[j])
				}
			}
		}
		if int(x.events) >= events {
			return x, true
		}
	}
	return s.told, s.told.events > 0 && int(s.told.events) >= events
}

// silentAfter reports whether there was, or by now is, so long a silence after a moment (all ms). Sessions that fell off
// the list lie in between: there was.
func (s *State) silentAfter(at, now, silence int64) bool {
	if now-max(s.last, at) >= silence {
		return true
	}
	if len(s.sessions) == maxSessions && s.sessions[0].from > at {
		return true
	}
	end := at
	for _, x := range s.sessions {
		if x.to < at {
			continue
		}
		if x.from-end >= silence {
			return true
		}
		end = max(end, x.to)
	}
	return false
}

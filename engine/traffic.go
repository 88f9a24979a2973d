package engine

import (
	"context"
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/traffic"
)

// Why a call is no shopper's, as it is counted.
const (
	ignoredAgent    = "agent"    // its User-Agent says that it is a program
	ignoredStaff    = "staff"    // it comes from a listed address
	ignoredExcluded = "excluded" // its shopper proved to be none before
)

// IgnoredWhys lists them.
func IgnoredWhys() []string { return []string{ignoredAgent, ignoredStaff, ignoredExcluded} }

// nobodys says why a User-Agent, or an address, is no shopper's, "" where it may be.
func (s *state) nobodys(agent string, from netip.Addr) string {
	if from.IsValid() && s.staff.Contains(from) {
		return ignoredStaff
	}
	if agent != "" && s.traffic.On(s.traffic.Agents) {
		if _, program := traffic.Agent(agent); program {
			return ignoredAgent
		}
	}
	return ""
}

// nobody says why a call is no shopper's: what its browser, or its context, says, then who its shopper proved to be.
func (s *state) nobody(c *call) string {
	agent, _ := c.r.Context["userAgent"].(string)
	if why := s.nobodys(or(agent, c.who.Agent), c.who.Address); why != "" {
		return why
	}
	if c.whose.excluded() != "" {
		return ignoredExcluded
	}
	return ""
}

// quarantined is an event that is nobody's.
func quarantined(why string, i Incoming, now time.Time) juncture.Quarantined {
	q := juncture.Quarantined{Reason: juncture.ExcludedStaff, Message: "the event comes from an address of the store's own people", Latest: now}
	if why == ignoredAgent {
		q.Reason, q.Message = juncture.ExcludedBot, "the event's User-Agent says that it is a program"
	}
	q.Example = string(i.Raw[:min(len(i.Raw), 512)])
	return q
}

const (
	mostCounted  = 100_000 // shoppers whose calls are counted, twice
	mostSuspects = 1_000   // who wait to be taken out
	// actorDetector is who the audit log names for them.
	actorDetector = "detector"
	// live is how far behind its arrival an event may have happened to be counted: what a device kept while it was offline
	// comes at once.
	live = time.Minute
)

// detector counts calls by shopper, and keeps those who proved to be programs until they are taken out.
type detector struct {
	mu       sync.Mutex // calls count under it: two look-ups in a map
	rates    *traffic.Rates
	scanner  *traffic.MailScanner
	waiting  map[string]bool
	suspects []suspect // in the order in which they were found out
}

type suspect struct{ shopper, why string }

func newDetector() (*detector, error) {
	seed := maphash.MakeSeed() // by it shoppers share a counter, never a verdict that can be foretold
	rates, err := traffic.NewRates(traffic.Limits(), mostCounted, seed)
	if err != nil {
		return nil, err
	}
	scanner, err := traffic.NewMailScanner(traffic.ScannerSettings{}, seed)
	return &detector{rates: rates, scanner: scanner, waiting: map[string]bool{}}, err
}

// suspect notes a shopper, once; false where too many wait: the next call of theirs tries again.
func (d *detector) suspect(shopper, why string) bool {
	switch {
	case d.waiting[shopper]:
	case len(d.suspects) >= mostSuspects:
		return false
	default:
		d.waiting[shopper] = true
		d.suspects = append(d.suspects, suspect{shopper, why})
	}
	return true
}

// count counts a shopper's call.
func (e *Engine) count(shopper string, c traffic.Call, at time.Time) {
	d := e.detector
	d.mu.Lock()
	defer d.mu.Unlock()
	if why, impossible := d.rates.Count(shopper, c, at); impossible && !d.suspect(shopper, why) {
		e.stats.Missed.Add(1)
	}
}

// saw counts a /choose. What a web page asks for somebody whose device it is not, is not counted as theirs: anybody could
// have them taken out. Repeats of a requestId do not come here.
func (e *Engine) saw(c *call) {
	switch {
	case c.again:
	case c.nobody != "":
		e.stats.Ignored[c.nobody].Add(1)
	case c.st.traffic.Counts(c.who.Public) && c.logged && c.r.Preview == nil && c.hasWord(c.whose):
		e.count(c.shopper, traffic.CallChoose, c.now)
	}
}

// sawOutcomes counts a /reward, and looks for clicks that follow the delivery of a mail at once. Only what is activated has
// been delivered: a click that comes before that is not looked at, since the two may come by different ways.
func (e *Engine) sawOutcomes(st *state, now time.Time, writes []write) {
	counted := false // credited to several decisions, it came once
	for _, w := range writes {
		if w.OutcomeWrite == nil || w.Err != nil || w.Claims.Ignored || w.Whose == "" || w.Result.Status == juncture.StatusDuplicate {
			continue
		}
		if !counted && st.traffic.Counts(false) {
			counted = true
			e.count(w.Whose, traffic.CallReward, now)
		}
		if w.Outcome.Adjust || w.Type.Everywhere() || w.Delivered.IsZero() || w.Outcome.At.Before(w.Delivered) || !st.traffic.On(st.traffic.Scanners) || !st.mailed(w.Claims) {
			continue
		}
		d := e.detector
		d.mu.Lock()
		if why, scanner := d.scanner.Click(w.Claims.Serial, w.Whose, w.Outcome.Event+"\x00"+w.Outcome.ID, w.Delivered, w.Outcome.At); scanner && !d.suspect(w.Whose, why) {
			e.stats.Missed.Add(1)
		}
		d.mu.Unlock()
	}
}

// mailed reports whether a decision was for a mail.
func (s *state) mailed(c juncture.Claims) bool {
	x := s.pool.Experiments[c.Experiment]
	if x == nil {
		return false
	}
	at := s.pool.Surfaces[x.Surface]
	return at != nil && at.Channel == "email"
}

// sawEvents counts events that happened just now; history says nothing of how fast it was made.
func (e *Engine) sawEvents(st *state, now time.Time, events []*juncture.EventWrite, past map[*juncture.EventWrite]bool) {
	for _, w := range events {
		if !st.traffic.Counts(!w.Trusted) || past[w] || w.Denied || w.Refused || w.Duplicate || w.Event.Shopper == "" || now.Sub(w.Event.At) > live {
			continue
		}
		e.count(w.Event.Shopper, traffic.CallEvent, w.Event.At)
	}
}

// ExcludeDetected takes out, one after another, the shoppers who proved to be programs by how they call, and returns how
// many. The error is CodeUnavailable: those who are left wait on.
func (e *Engine) ExcludeDetected(ctx context.Context, now time.Time) (n int, err error) {
	d := e.detector
	for {
		d.mu.Lock()
		if len(d.suspects) == 0 {
			d.mu.Unlock()
			return n, nil
		}
		next := d.suspects[0]
		d.mu.Unlock()
		x, err := e.Exclude(ctx, now, Who{Actor: actorDetector, From: "serve"}, next.shopper, juncture.ExcludedBot, next.why)
		if x == nil && err != nil {
			return n, err
		}
		d.mu.Lock()
		d.suspects = append(d.suspects[:0:0], d.suspects[1:]...)
		delete(d.waiting, next.shopper)
		d.mu.Unlock()
		if !x.Already {
			e.stats.Detected.Add(1)
			n++
		}
		if err != nil { // taken out, and not noted
			return n, err
		}
	}
}

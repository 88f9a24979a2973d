package traffic

import (
	"fmt"
	"hash/maphash"
	"slices"
	"time"

	"github.com/juncture/juncture"
)

// Call is a kind of call that a shopper makes.
type Call uint8

// The calls.
const (
	CallChoose Call = iota
	CallReward
	CallEvent
	calls
)

func (c Call) String() string {
	return [...]string{"decisions", "outcomes", "events"}[min(c, calls-1)]
}

// Limit is more than a person does: over Most calls within Window.
type Limit struct {
	Call   Call
	Most   int // 1 to 65,000
	Window time.Duration
}

// Limits are what nobody exceeds by hand: a page may ask for a dozen surfaces at once and a shopper may open twenty pages
// in a minute, but not for an hour.
func Limits() []Limit {
	return []Limit{
		{CallChoose, 300, time.Minute}, {CallChoose, 3000, time.Hour},
		{CallReward, 60, time.Minute}, {CallReward, 600, time.Hour},
		{CallEvent, 600, time.Minute}, {CallEvent, 6000, time.Hour},
	}
}

// MaxLimits bounds a store's limits.
const MaxLimits = 12

// slots divide a window. What is counted is the slot that runs and the slots-1 before, so that it is never more than was
// done within a window, and at least what was done within (slots-1)/slots of one.
const slots = 6

// Rates counts the calls of each shopper in sliding windows. A shopper at a limit is told as such once; the caller keeps
// the flag. Memory: at most 2·most shoppers of 24 bytes a limit; with more at once the longest unseen are forgotten.
// Not safe for concurrent use: one owner.
type Rates struct {
	limits []Limit
	seed   maphash.Seed
	seen   generations[uint64, []window] // one a limit
}

type window struct {
	slot  int64 // the running one, counted from 1970
	count [slots]uint16
}

// NewRates makes counters for up to 2·most shoppers, told apart by a hash under seed, which nobody outside may know.
// Errors: CodeInvalidRequest for limits that are none.
func NewRates(limits []Limit, most int, seed maphash.Seed) (*Rates, error) {
	if len(limits) > MaxLimits || most < 1 || most > 1<<24 {
		return nil, juncture.Errorf(juncture.CodeInvalidRequest, "%d limits for %d shoppers: at most %d, and 1 to 16 million", len(limits), most, MaxLimits)
	}
	for _, l := range limits {
		if l.Call >= calls || l.Most < 1 || l.Most > 65_000 || l.Window < time.Second || l.Window > 7*24*time.Hour {
			return nil, juncture.Errorf(juncture.CodeInvalidRequest, "%d calls in %v is not a limit", l.Most, l.Window).
				WithHint("1 to 65,000, within a second to a week")
		}
	}
	return &Rates{limits: slices.Clone(limits), seed: seed, seen: generations[uint64, []window]{most: most}}, nil
}

// Count counts one call of a shopper, and says why when it is one too many for a person. Times may be out of order by less
// than a window; an older call is counted in the running slot's oldest.
func (r *Rates) Count(shopper string, c Call, at time.Time) (why string, impossible bool) {
	if shopper == "" {
		return "", false
	}
	mine := r.seen.at(maphash.String(r.seed, shopper))
	if *mine == nil {
		*mine = make([]window, len(r.limits))
	}
	for i, l := range r.limits {
		if l.Call != c {
			continue
		}
		if n := (*mine)[i].add(at, l.Window); n > l.Most {
			why, impossible = fmt.Sprintf("more than %d %s within %v", l.Most, l.Call, l.Window), true
		}
	}
	return why, impossible
}

func (w *window) add(at time.Time, length time.Duration) int {
	slot := at.UnixNano() / int64(length/slots)
	switch by := slot - w.slot; {
	case by >= slots:
		w.slot, w.count = slot, [slots]uint16{}
	case by > 0:
		copy(w.count[by:], w.count[:slots-by])
		clear(w.count[:by])
		w.slot = slot
	}
	i := min(w.slot-slot, slots-1)
	if w.count[i] < 1<<16-1 {
		w.count[i]++
	}
	n := 0
	for _, c := range w.count {
		n += int(c)
	}
	return n
}

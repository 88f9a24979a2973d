package lattice

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/juncture/juncture"
)

// Bucket and Calendar are the ledger's.
type (
	Bucket   = juncture.Bucket
	Calendar = juncture.Calendar
)

// Counts are what a tally of the root package says of one outcome.
type Counts struct {
	Trials, Successes    int64
	LogValue, LogValueSq int64 // sums of ln(value) in 1e-4 and of its square in 1e-8
}

// Of takes the counts of a trial's or an outcome's delta.
func Of(t juncture.Tally) Counts { return Counts{t.Trials, t.Successes, t.LogValue, t.LogValueSq} }

// MaxCount bounds every count of one (intersection, arm, bucket) in a fit; A larger one is refused by Fit.
const MaxCount = int64(1e12)

// entry is the counts of one arm in one bucket at an intersection, 24 bytes.
type entry struct {
	arm               juncture.ArmID
	bucket            Bucket
	trials, successes int64
}

// money is the rest of an entry where the outcome has values, 16 bytes.
type money struct{ logValue, logValueSq int64 }

// cell is the evidence of one intersection: entries by arm and bucket, and money, empty or parallel to them.
type cell struct {
	entries []entry
	money   []money
}

// delayKey is a bucket of trials and a class of delays.
type delayKey struct {
	bucket Bucket
	class  int32
}

// Evidence is the counts of one experiment and one outcome: 24 bytes for each (intersection, arm, live bucket), 40 with
// money, and about 100 for each intersection. Adding is commutative, a refund adds negative counts.
//
// One goroutine at a time may call Add, AddDelay, Compact, CompactSome and View; a View is immutable and may be fitted in any other
// meanwhile. Taking one copies a slice header for each intersection, nothing else: Add clones a cell the first time it
// touches it after a View (copy on write), so neither those who read nor those who write wait for a fit.
type Evidence struct {
	directory
	calendar Calendar
	values   [juncture.LayerCount][]string
	keys     [][juncture.LayerCount]int32
	cells    []cell
	owned    []uint32 // the generation in which a cell was last cloned: below now, a View has it too
	now      uint32
	delays   map[delayKey]int64
	trials   int64
}

// NewEvidence returns an empty one.
func NewEvidence(c Calendar) *Evidence {
	return &Evidence{directory: newDirectory(0), calendar: c, now: 1, delays: map[delayKey]int64{}}
}

// directory numbers intersections by numbers of their layers' values: a third of the memory of their names.
type directory struct {
	ids [juncture.LayerCount]map[string]int32
	at  map[[juncture.LayerCount]int32]int32
}

func newDirectory(size int) directory {
	d := directory{at: make(map[[juncture.LayerCount]int32]int32, size)}
	for l := range d.ids {
		d.ids[l] = map[string]int32{}
	}
	return d
}

func (d *directory) find(x juncture.Intersection) (int32, bool) {
	var key [juncture.LayerCount]int32
	for l := range key {
		id, ok := d.ids[l][x.Value(juncture.Layer(l))]
		if !ok {
			return 0, false
		}
		key[l] = id
	}
	i, ok := d.at[key]
	return i, ok
}

// Trials returns how many trials it holds.
func (e *Evidence) Trials() int64 { return e.trials }

// Add adds counts of trials made at a time: an outcome belongs to the time of its trial (A.2).
func (e *Evidence) Add(x juncture.Intersection, arm juncture.ArmID, trial time.Time, c Counts) {
	e.AddIn(x, arm, e.calendar.At(trial), c)
}

// AddIn adds counts of trials made in a bucket.
func (e *Evidence) AddIn(x juncture.Intersection, arm juncture.ArmID, bucket Bucket, c Counts) {
	i := e.cell(x)
	if e.owned[i] != e.now {
		e.cells[i] = cell{slices.Clone(e.cells[i].entries), slices.Clone(e.cells[i].money)}
		e.owned[i] = e.now
	}
	e.cells[i].add(entry{arm, bucket, c.Trials, c.Successes}, money{c.LogValue, c.LogValueSq})
	e.trials += c.Trials
}

func (e *Evidence) cell(x juncture.Intersection) int32 {
	var key [juncture.LayerCount]int32
	for l := range key {
		v := x.Value(juncture.Layer(l))
		id, ok := e.ids[l][v]
		if !ok {
			id = int32(len(e.values[l]))
			v = strings.Clone(v)
			e.ids[l][v] = id
			e.values[l] = append(e.values[l], v)
		}
		key[l] = id
	}
	i, ok := e.at[key]
	if !ok {
		i = int32(len(e.keys))
		e.at[key] = i
		e.keys, e.cells, e.owned = append(e.keys, key), append(e.cells, cell{}), append(e.owned, e.now)
	}
	return i
}

func (c *cell) add(n entry, m money) {
	i, found := slices.BinarySearchFunc(c.entries, n, compareEntries)
	if !found {
		c.entries = slices.Insert(c.entries, i, entry{arm: n.arm, bucket: n.bucket})
		if len(c.money) > 0 {
			c.money = slices.Insert(c.money, i, money{})
		}
	}
	c.entries[i].trials += n.trials
	c.entries[i].successes += n.successes
	if m != (money{}) {
		if len(c.money) == 0 {
			c.money = make([]money, len(c.entries))
		}
		c.money[i].logValue += m.logValue
		c.money[i].logValueSq += m.logValueSq
	}
}

func compareEntries(a, b entry) int {
	if a.arm != b.arm {
		return int(int64(a.arm) - int64(b.arm))
	}
	return int(a.bucket - b.bucket)
}

// Intersections returns how many intersections it holds, Holds whether x is one of them.
func (e *Evidence) Intersections() int { return len(e.keys) }

// Holds reports whether there is evidence of an intersection.
func (e *Evidence) Holds(x juncture.Intersection) bool {
	_, ok := e.find(x)
	return ok
}

// Counts returns an arm's counts at an intersection, over all time.
func (e *Evidence) Counts(x juncture.Intersection, arm juncture.ArmID) Counts {
	i, ok := e.find(x)
	if !ok {
		return Counts{}
	}
	var out Counts
	c := &e.cells[i]
	first, _ := slices.BinarySearchFunc(c.entries, arm, func(n entry, arm juncture.ArmID) int { return cmp.Compare(n.arm, arm) })
	for j := first; j < len(c.entries) && c.entries[j].arm == arm; j++ {
		out.Trials += c.entries[j].trials
		out.Successes += c.entries[j].successes
		if len(c.money) > 0 {
			out.LogValue += c.money[j].logValue
			out.LogValueSq += c.money[j].logValueSq
		}
	}
	return out
}

// AddDelay counts n successes that came delay after their trial; a success that a refund takes away is -1 with the delay
// that was added.
func (e *Evidence) AddDelay(trial time.Time, delay time.Duration, n int64) {
	e.AddDelayIn(e.calendar.At(trial), juncture.DelayClass(delay), n)
}

// AddDelayIn counts n successes of a class of delays, of trials made in a bucket.
func (e *Evidence) AddDelayIn(bucket Bucket, class int, n int64) {
	k := delayKey{bucket, int32(class)}
	if e.delays[k] += n; e.delays[k] == 0 {
		delete(e.delays, k)
	}
}

// Compact merges the buckets that are old enough at asOf. It changes no fit at asOf or later, and bounds the buckets to
// 2 days of fine ones, 33 days, 22 weeks and one; spare capacity is given back.
func (e *Evidence) Compact(asOf time.Time) { e.CompactSome(asOf, 0, len(e.cells)) }

// CompactSome is Compact for n intersections, in the order in which they came, beginning with number from. It reports
// whether there are more: who holds a lock that others wait for gives it back in between.
func (e *Evidence) CompactSome(asOf time.Time, from, n int) (more bool) {
	at := asOf.Unix() / 60
	end := min(from+n, len(e.cells))
	for i := min(from, end); i < end; i++ {
		old := e.cells[i]
		slack := cap(old.entries) - len(old.entries) // of growing by doubling
		if 4*slack <= len(old.entries) && !slices.ContainsFunc(old.entries, func(n entry) bool {
			return e.calendar.Merge(n.bucket, at) != n.bucket || n.trials == 0 && n.successes == 0
		}) {
			continue
		}
		merged := cell{entries: make([]entry, 0, len(old.entries))}
		for j, n := range old.entries {
			n.bucket = e.calendar.Merge(n.bucket, at)
			m := money{}
			if len(old.money) > 0 {
				m = old.money[j]
			}
			merged.add(n, m)
		}
		merged.entries = slices.DeleteFunc(merged.entries, func(n entry) bool {
			return len(merged.money) == 0 && n.trials == 0 && n.successes == 0
		})
		merged.entries = slices.Clip(merged.entries)
		e.cells[i], e.owned[i] = merged, e.now
	}
	if end < len(e.cells) {
		return true
	}
	delays := make(map[delayKey]int64, len(e.delays))
	for k, n := range e.delays {
		k.bucket = e.calendar.Merge(k.bucket, at)
		delays[k] += n
	}
	e.delays = delays
	return false
}

// View is the evidence as it was at one moment, immutable.
type View struct {
	calendar Calendar
	values   [juncture.LayerCount][]string
	keys     [][juncture.LayerCount]int32
	cells    []cell
	delays   map[delayKey]int64
}

// View returns the evidence as it is now.
func (e *Evidence) View() *View {
	v := &View{calendar: e.calendar, keys: e.keys[:len(e.keys):len(e.keys)], cells: slices.Clone(e.cells), delays: make(map[delayKey]int64, len(e.delays))}
	for l := range v.values {
		v.values[l] = e.values[l][:len(e.values[l]):len(e.values[l])]
	}
	for k, n := range e.delays {
		v.delays[k] = n
	}
	e.now++
	return v
}

// Busiest returns at most n intersections with the most trials, the busiest first, their trials, and the trials of all.
// What was drawn in shadow counts.
func (v *View) Busiest(n int) (xs []juncture.Intersection, trials []int64, all int64) {
	type busy struct {
		at     int32
		trials int64
	}
	list := make([]busy, len(v.cells))
	for i := range v.cells {
		list[i].at = int32(i)
		for _, e := range v.cells[i].entries {
			list[i].trials += e.trials
		}
		all += list[i].trials
	}
	slices.SortStableFunc(list, func(a, b busy) int { return cmp.Compare(b.trials, a.trials) })
	for _, b := range list[:min(len(list), n)] {
		if b.trials > 0 {
			xs, trials = append(xs, v.key(b.at)), append(trials, b.trials)
		}
	}
	return xs, trials, all
}

// Bytes returns what the evidence takes in memory, in bytes, and the (intersection, arm, bucket) triples it holds.
func (e *Evidence) Bytes() (bytes, triples int64) {
	for i := range e.cells {
		bytes += int64(cap(e.cells[i].entries))*24 + int64(cap(e.cells[i].money))*16
		triples += int64(len(e.cells[i].entries))
	}
	bytes += int64(len(e.cells)) * (48 + 4 + 16 + 2*(16+4)) // cell, owned, key, and the map at its fullest
	return bytes + int64(len(e.delays))*40, triples
}

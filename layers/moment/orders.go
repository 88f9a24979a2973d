package moment

import (
	"cmp"
	"math"
	"slices"

	"github.com/juncture/juncture"
)

// maxOrders is how many orders are kept one by one; older ones are a count and a sum.
const maxOrders = 32

// order is one order as far as it is known; a refund may come before it.
type order struct {
	id       uint64 // hash of the order's id, else of its event's
	at       int64  // ms
	value    int64  // minor units
	refunded int64  // minor units
	placed   bool   // seen completed, not only refunded or cancelled
	void     bool   // cancelled, or refunded as a whole
}

// counts reports whether the order is an order: neither cancelled nor wholly refunded.
func (o order) counts() bool {
	return o.placed && !o.void && (o.refunded == 0 || o.refunded < o.value)
}

type orders struct {
	recent  []order // ascending by (at, id), at most maxOrders
	older   int64   // counted orders that fell off
	value   int64   // what they brought, less refunds, minor units
	first   int64   // ms of the first order ever placed; 0 for none
	lastOff int64   // ms of the last counted order that fell off
}

func compareOrders(a, b order) int {
	return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.id, b.id))
}

func (os *orders) fold(e juncture.Event, at int64) {
	o := order{id: hash(e.Order), at: at}
	switch e.Kind {
	case juncture.EventOrderCompleted:
		if o.id == 0 {
			o.id = hash("event " + e.ID)
		}
		o.placed, o.value = true, max(e.Value, 0)
	case juncture.EventOrderCancelled:
		o.void = true
	case juncture.EventOrderRefunded:
		o.refunded, o.void = max(e.Value, 0), e.Value <= 0
	default:
		return
	}
	if o.id == 0 { // a refund of nothing named: of the last order before it
		for i := len(os.recent) - 1; i >= 0 && o.id == 0; i-- {
			if r := os.recent[i]; r.placed && r.at <= at {
				o.id = r.id
			}
		}
		if o.id == 0 {
			return
		}
	}
	os.add(o)
	os.trim()
}

// add joins what is known of an order: the earlier time and the larger value where it was reported twice, refunds summed.
func (os *orders) add(o order) {
	if o.placed && (os.first == 0 || o.at < os.first) {
		os.first = o.at
	}
	if i := slices.IndexFunc(os.recent, func(r order) bool { return r.id == o.id }); i >= 0 {
		r := os.recent[i]
		switch {
		case r.placed == o.placed:
			r.at = min(r.at, o.at)
		case o.placed:
			r.at = o.at
		}
		r.value, r.refunded = max(r.value, o.value), r.refunded+o.refunded
		r.placed, r.void = r.placed || o.placed, r.void || o.void
		os.recent = slices.Delete(os.recent, i, i+1)
		o = r
	}
	i, _ := slices.BinarySearchFunc(os.recent, o, compareOrders)
	os.recent = slices.Insert(os.recent, i, o)
}

// trim folds the orders that are too many into the count and the sum.
func (os *orders) trim() {
	for len(os.recent) > maxOrders {
		o := os.recent[0]
		os.recent = slices.Delete(os.recent, 0, 1)
		switch {
		case o.counts():
			os.older++
			os.value += o.value - o.refunded
			os.lastOff = max(os.lastOff, o.at)
		case !o.placed && o.void: // of an order that fell off before
			os.older--
			os.value -= o.refunded
		case !o.placed:
			os.value -= o.refunded
		}
	}
}

func (os *orders) merge(o orders) {
	os.older += o.older
	os.value += o.value
	os.lastOff = max(os.lastOff, o.lastOff)
	if o.first != 0 && (os.first == 0 || o.first < os.first) {
		os.first = o.first
	}
	for _, r := range o.recent {
		os.add(r)
	}
	os.trim()
}

// counted is how many orders count, and what they brought.
func (os *orders) counted() (n int, value int64) {
	count := os.older
	value = os.value
	for _, o := range os.recent {
		if o.counts() {
			count++
			value += o.value - o.refunded
		}
	}
	return int(max(count, 0)), max(value, 0)
}

func (os *orders) lastAt() (int64, bool) {
	for i := len(os.recent) - 1; i >= 0; i-- {
		if os.recent[i].counts() {
			return os.recent[i].at, true
		}
	}
	return os.lastOff, os.older > 0
}

// days is on how many days (UTC) there was a counted order, and when the first order was (ms). Of the orders that fell off
// the list, as many to the day as of those on it.
func (os *orders) days() (n float64, first int64) {
	before, orders, first := int64(math.MinInt64), 0.0, int64(math.MaxInt64)
	for _, o := range os.recent {
		if !o.counts() {
			continue
		}
		first = min(first, o.at)
		orders++
		if d := o.at / day.Milliseconds(); d != before {
			n++
			before = d
		}
	}
	if os.older > 0 {
		first = min(first, os.first)
		n += float64(os.older) * max(n, 1) / max(orders, 1)
	}
	return n, first
}

// lastVoid is the last order that was cancelled or wholly refunded; false for none.
func (os *orders) lastVoid() bool {
	return slices.ContainsFunc(os.recent, func(o order) bool { return o.placed && !o.counts() })
}

// medianGap is the median of the times between counted orders, in ms, over the last maxOrders; false with fewer than two.
func (os *orders) medianGap() (int64, bool) {
	var buf [maxOrders]int64
	gaps, before := buf[:0], int64(-1)
	for _, o := range os.recent {
		if !o.counts() {
			continue
		}
		if before >= 0 {
			gaps = append(gaps, o.at-before)
		}
		before = o.at
	}
	if len(gaps) == 0 {
		return 0, false
	}
	slices.Sort(gaps)
	n := len(gaps)
	return (gaps[(n-1)/2] + gaps[n/2]) / 2, true
}

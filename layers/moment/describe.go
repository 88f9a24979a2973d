package moment

import (
	"fmt"
	"strings"
	"time"

	"github.com/juncture/juncture"
)

// Description is the moment of a shopper at one time.
type Description struct {
	Lifecycle, Status, Mode string  // juncture.Unknown for an axis without evidence
	Value                   string  // the three, dotted
	Confidence              float64 // in [0, 1]: how much has been seen
	Reason                  string  // a sentence for each axis
	Reasons                 [3]string
}

// Describe reads the moment at now: time alone moves it. It changes nothing.
func (s *State) Describe(now time.Time, set Settings) Description {
	set = set.WithDefaults()
	var d Description
	d.Lifecycle, d.Reasons[0] = s.lifecycle(set)
	d.Status, d.Reasons[1] = s.status(now.UnixMilli(), set)
	d.Mode, d.Reasons[2] = s.mode(set)
	d.Value = d.Lifecycle + "." + d.Status + "." + d.Mode
	d.Reason = strings.Join(d.Reasons[:], "; ")
	// Half for knowing that there is nothing, the other half by what has been seen: 0.9 at 16 events.
	n := float64(s.events)
	d.Confidence = 0.5 + 0.5*n/(n+4)
	return d
}

func (s *State) lifecycle(set Settings) (value, reason string) {
	n, worth := s.orders.counted()
	off := ""
	if s.orders.lastVoid() {
		off = " (cancelled and wholly refunded ones do not count)"
	}
	switch {
	case n >= set.LoyalOrders:
		return Loyal, fmt.Sprintf("%d orders%s", n, off)
	case n > 0 && set.LoyalValue > 0 && worth > set.LoyalValue:
		return Loyal, fmt.Sprintf("%s worth more than the store's threshold%s", count(n, "order"), off)
	case n >= 2:
		return Returning, fmt.Sprintf("%d orders%s", n, off)
	case n == 1:
		return FirstTime, "one order" + off
	}
	return Prospect, "no order" + off
}

func (s *State) status(now int64, set Settings) (value, reason string) {
	if s.events == 0 {
		return juncture.Unknown, "nothing seen yet"
	}
	ms := func(d time.Duration) int64 { return d.Milliseconds() }
	if since := now - s.last; since >= ms(set.Dormant) {
		return Dormant, "no event for " + span(since)
	}
	checkout, step := s.cart.abandonable()
	touched := max(checkout, step)
	if touched > 0 && now >= touched && s.silentAfter(touched, now, ms(set.AbandonAfter)) {
		if checkout > 0 && now-checkout <= ms(set.AbandonFor) {
			return CheckoutAbandoned, fmt.Sprintf("left a checkout %s ago without ordering", span(now-checkout))
		}
		if step > 0 && now-step <= ms(set.AbandonFor) {
			return CartAbandoned, fmt.Sprintf("left a filled cart %s ago", span(now-step))
		}
	}
	last, ordered := s.orders.lastAt()
	if ordered && now-last <= ms(set.Fresh) {
		return FreshlyConverted, fmt.Sprintf("ordered %s ago", span(now-last))
	}
	if n, _ := s.orders.counted(); ordered && n >= set.AtRiskOrders {
		if gap, ok := s.orders.medianGap(); ok && float64(now-last) > set.AtRiskGaps*float64(gap) {
			return AtRisk, fmt.Sprintf("no order for %s; before that every %s", span(now-last), span(gap))
		}
	}
	return Browsing, "last seen " + span(max(now-s.last, 0)) + " ago, nothing pending"
}

// mode weighs what a session shows of width (categories beyond the first, searches, articles, other products) against
// narrowness (the same products again; reviews, size, delivery: 1.5 each, since they are asked of one product).
func (s *State) mode(set Settings) (value, reason string) {
	x, ok := s.telling(set.ModeEvents)
	if !ok {
		return juncture.Unknown, fmt.Sprintf("fewer than %d product events in a session", set.ModeEvents)
	}
	products, categories := distinct(x.products), max(distinct(x.categories), 1)
	again := max(float64(x.views)-products, 0)
	wide := categories - 1 + float64(x.wide) + 0.25*max(products-1, 0)
	narrow := again + 1.5*float64(x.details)
	if wide > narrow {
		return Researching, fmt.Sprintf("looked widely: %s, %s, %s", count(int(products), "product"), count(int(categories), "category"), count(int(x.wide), "search or article"))
	}
	return Considering, fmt.Sprintf("looked closely: %s, the same again %s, details %s", count(int(products), "product"), times(int(again)), times(int(x.details)))
}

// Movement is a shopper passing from one value of an axis to another.
type Movement struct {
	At     time.Time
	Axis   string // "lifecycle", "status" or "mode"
	From   string
	To     string
	Reason string // of the new value
}

// Moves lists what changed between two descriptions, on each axis.
func Moves(at time.Time, before, after Description) []Movement {
	var out []Movement
	from := [3]string{before.Lifecycle, before.Status, before.Mode}
	to := [3]string{after.Lifecycle, after.Status, after.Mode}
	for i, axis := range juncture.Moment.Axes() {
		if from[i] != to[i] {
			out = append(out, Movement{at, axis, from[i], to[i], after.Reasons[i]})
		}
	}
	return out
}

func (m Movement) String() string { return fmt.Sprintf("%s to %s: %s", m.From, m.To, m.Reason) }

// The windows that growth teams report by.
const (
	WindowNew     = "new"     // first seen within 14 days
	WindowActive  = "active"  // seen within 90 days
	WindowDormant = "dormant" // not seen for 90 days
	WindowVIP     = "vip"     // lifetime value of at least Settings.VIPValue
)

// Window is the usual reporting window, the first of vip, dormant, new and active that holds; juncture.Unknown for a
// shopper of whom nothing was seen.
func (s *State) Window(now time.Time, set Settings) string {
	set = set.WithDefaults()
	switch {
	case s.events == 0:
		return juncture.Unknown
	case set.VIPValue > 0 && s.LifetimeValue() >= set.VIPValue:
		return WindowVIP
	case now.UnixMilli()-s.last >= set.Dormant.Milliseconds():
		return WindowDormant
	case now.UnixMilli()-s.first <= set.New.Milliseconds():
		return WindowNew
	}
	return WindowActive
}

// span says milliseconds as a person does.
func span(ms int64) string {
	switch d := time.Duration(ms) * time.Millisecond; {
	case d >= 2*day:
		return fmt.Sprintf("%d days", int(d/day))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d hours", int(d/time.Hour))
	case d >= time.Minute:
		return count(int(d/time.Minute), "minute")
	default:
		return "less than a minute"
	}
}

func count(n int, what string) string {
	switch {
	case n == 1 && what == "search or article":
		return "one search or article"
	case n == 1:
		return "one " + what
	case what == "category":
		return fmt.Sprintf("%d categories", n)
	case what == "search or article":
		return fmt.Sprintf("%d searches or articles", n)
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func times(n int) string {
	switch n {
	case 0:
		return "never"
	case 1:
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

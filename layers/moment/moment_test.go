package moment_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/layers/moment"
)

func at(days, minutes int) time.Time {
	return time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC).AddDate(0, 0, days).Add(time.Duration(minutes) * time.Minute)
}

func order(id string, value int64, when time.Time) juncture.Event {
	return juncture.Event{ID: "o" + id, Kind: juncture.EventOrderCompleted, Order: id, Value: value, At: when}
}

func fold(events ...juncture.Event) *moment.State {
	s := &moment.State{}
	for _, e := range events {
		s.Fold(e)
	}
	return s
}

func TestThresholdsAreSettings(t *testing.T) {
	view := juncture.Event{Kind: juncture.EventProductViewed, At: at(-10, 0)}
	cart := juncture.Event{Kind: juncture.EventProductAdded, At: at(-10, 0)}
	orders := fold(order("a", 5000, at(-50, 0)), order("b", 5000, at(-40, 0)), order("c", 5000, at(-18, 0)))
	for _, c := range []struct {
		what  string
		state *moment.State
		set   moment.Settings
		want  string
	}{
		{"dormant after 90 days", fold(view), moment.Settings{}, "prospect.browsing._"},
		{"dormant after 10 days", fold(view), moment.Settings{Dormant: 10 * 24 * time.Hour}, "prospect.dormant._"},
		{"abandoned for 14 days", fold(cart), moment.Settings{}, "prospect.cart-abandoned._"},
		{"abandoned for 9 days", fold(cart), moment.Settings{AbandonFor: 9 * 24 * time.Hour}, "prospect.browsing._"},
		{"abandoned after a month", fold(cart), moment.Settings{AbandonAfter: 30 * 24 * time.Hour}, "prospect.browsing._"},
		{"median gap of 16 days, 18 days ago", orders, moment.Settings{}, "returning.browsing._"}, // (10 + 22) / 2; 18 < 2.5 * 16
		{"at risk at the median gap", orders, moment.Settings{AtRiskGaps: 1}, "returning.at-risk._"},
		{"at risk from four orders", orders, moment.Settings{AtRiskGaps: 1, AtRiskOrders: 4}, "returning.browsing._"},
		{"fresh for 18 days", orders, moment.Settings{Fresh: 18 * 24 * time.Hour}, "returning.freshly-converted._"},
		{"loyal from three", orders, moment.Settings{LoyalOrders: 3}, "loyal.browsing._"},
		{"loyal by value", orders, moment.Settings{LoyalValue: 14999}, "loyal.browsing._"},
		{"loyal over the value, not at it", orders, moment.Settings{LoyalValue: 15000}, "returning.browsing._"},
		{"one product event is enough", fold(view), moment.Settings{ModeEvents: 1}, "prospect.browsing.considering"},
	} {
		if got := c.state.Describe(at(0, 0), c.set); got.Value != c.want {
			t.Errorf("%s: %s, want %s: %s", c.what, got.Value, c.want, got.Reason)
		}
	}
}

func TestReasonsReadAsSentences(t *testing.T) {
	s := fold(order("a", 1, at(-186, 0)), order("b", 1, at(-156, 0)), order("c", 1, at(-126, 0)), order("d", 1, at(-96, 0)),
		juncture.Event{Kind: juncture.EventPageViewed, At: at(-10, 0)})
	before, after := s.Describe(at(-60, 0), moment.Settings{}), s.Describe(at(0, 0), moment.Settings{})
	if before.Status != moment.Browsing {
		t.Errorf("%+v", before)
	}
	moves := moment.Moves(at(0, 0), before, after)
	if len(moves) != 1 || moves[0].Axis != "status" || moves[0].String() != "browsing to at-risk: no order for 96 days; before that every 30 days" {
		t.Errorf("%v", moves)
	}
	if again := moment.Moves(at(1, 0), after, after); len(again) != 0 {
		t.Errorf("moved without moving: %v", again)
	}
}

func TestWindows(t *testing.T) {
	view := juncture.Event{Kind: juncture.EventPageViewed}
	seen := func(days ...int) *moment.State {
		s := &moment.State{}
		for _, d := range days {
			view.At = at(-d, 0)
			s.Fold(view)
		}
		return s
	}
	for _, c := range []struct {
		state *moment.State
		set   moment.Settings
		want  string
	}{
		{&moment.State{}, moment.Settings{}, "_"}, {seen(0), moment.Settings{}, "new"}, {seen(14), moment.Settings{}, "new"},
		{seen(15), moment.Settings{}, "active"}, {seen(89), moment.Settings{}, "active"}, {seen(90), moment.Settings{}, "dormant"},
		{seen(200, 3), moment.Settings{}, "active"},
		{fold(order("a", 900, at(-200, 0))), moment.Settings{VIPValue: 900}, "vip"},
	} {
		if got := c.state.Window(at(0, 0), c.set); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}

func TestManyOrdersAreCountsAndSums(t *testing.T) {
	s := &moment.State{}
	for i := range 100 {
		s.Fold(order(fmt.Sprint(i), 100, at(i-100, 0)))
	}
	if last, ok := s.LastOrder(); s.Orders() != 100 || s.LifetimeValue() != 10000 || !ok || !last.Equal(at(-1, 0)) {
		t.Errorf("%d orders worth %d, the last %v", s.Orders(), s.LifetimeValue(), last)
	}
	s.Fold(juncture.Event{Kind: juncture.EventOrderRefunded, Order: "99", Value: 40, At: at(0, 0)})
	s.Fold(juncture.Event{Kind: juncture.EventOrderCancelled, Order: "98", At: at(0, 0)})
	if s.Orders() != 99 || s.LifetimeValue() != 9860 { // 10000 - 100 - 40
		t.Errorf("%d orders worth %d after a refund of 40 and a cancelled 100", s.Orders(), s.LifetimeValue())
	}
	for range 1000 {
		s.Fold(juncture.Event{Kind: juncture.EventProductAdded, At: at(1, 0), Lines: []juncture.Line{{Product: "a", Quantity: 1}}})
	}
	if s.CartQuantity() != 1000 {
		t.Errorf("%d in the bag after a thousand were put in", s.CartQuantity())
	}
	if s.Bytes() > moment.MaxBytes {
		t.Errorf("%d bytes", s.Bytes())
	}
}

func TestRepurchaseScoreFollowsSense(t *testing.T) {
	score := func(s *moment.State, days int) float64 {
		p, ok := s.RepurchaseScore(at(days, 0), 90*24*time.Hour, 0)
		if !ok || p <= 0 || p >= 1 {
			t.Fatalf("%v %v", p, ok)
		}
		return p
	}
	one := fold(order("a", 1, at(-30, 0)))
	three := fold(order("a", 1, at(-90, 0)), order("b", 1, at(-60, 0)), order("c", 1, at(-30, 0)))
	if !(score(three, 0) > score(one, 0)) || !(score(three, 0) > score(three, 200)) {
		t.Errorf("one order %.2f, three %.2f, three long ago %.2f", score(one, 0), score(three, 0), score(three, 200))
	}
	if _, ok := (&moment.State{}).RepurchaseScore(at(0, 0), time.Hour, 0); ok {
		t.Error("a score without an order")
	}
}

// Orders of one afternoon are one decision to buy: a year of silence after it is a year of silence, however many they
// were. Of CDNOW's shoppers whose orders were all on one day, ten to twelve months before 1998, one in 22 came back in the
// first quarter of it (273 of 6,072): a churn of 0.95, here with room for another store.
func TestManyOrdersWithinDaysDoNotHideAYearOfSilence(t *testing.T) {
	score := func(s *moment.State, days int) float64 {
		p, ok := s.RepurchaseScore(at(days, 0), 90*24*time.Hour, 0)
		if !ok {
			t.Fatal("no score")
		}
		return p
	}
	burst, steady, once := &moment.State{}, &moment.State{}, fold(order("a", 1, at(0, 0)))
	for i := range 34 {
		burst.Fold(order(fmt.Sprint("b", i), 1, at(0, i*80))) // the last 44 hours after the first
		steady.Fold(order(fmt.Sprint("s", i), 1, at(30*i-33*30, 0)))
	}
	if churn := 1 - score(burst, 365); churn < 0.85 {
		t.Errorf("34 orders within two days, then a year of nothing: churn risk %.2f", churn)
	}
	if churn := 1 - score(steady, 30); churn > 0.3 {
		t.Errorf("34 orders, one a month, the last a month ago: churn risk %.2f", churn)
	}
	if b, s, o := score(burst, 365), score(steady, 365), score(once, 365); !(b < s) || b > 2*o {
		t.Errorf("a year silent: after a burst %.3f, after years of orders %.3f, after one order %.3f", b, s, o)
	}
}

func TestStateEncodes(t *testing.T) {
	s := fold(order("a", 1, at(-90, 0)), juncture.Event{Kind: juncture.EventProductAdded, At: at(0, 0), Session: "s", Lines: []juncture.Line{{Product: "p"}}})
	b := s.AppendBinary(nil)
	var q moment.State
	if rest, err := q.ReadBinary(append(b, 7)); err != nil || len(rest) != 1 || !bytes.Equal(q.AppendBinary(nil), b) {
		t.Errorf("%v, %d bytes left, %+v", err, len(rest), q)
	}
	for n := range b {
		if _, err := q.ReadBinary(b[:n]); err == nil {
			t.Errorf("%d of %d bytes are taken for a state", n, len(b))
		}
	}
}

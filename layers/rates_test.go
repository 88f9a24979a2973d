package layers_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/layers"
	"github.com/juncture/juncture/layers/trajectory"
)

func TestSteps(t *testing.T) {
	list := func(minute int, session string) juncture.Event {
		return juncture.Event{ID: fmt.Sprint(minute), Kind: juncture.EventListViewed, Category: "hats", Session: session, At: day0().Add(time.Duration(minute) * time.Minute)}
	}
	hat := func(minute int, kind juncture.EventKind, session string) juncture.Event {
		e := looking(fmt.Sprint(minute), kind, day0().Add(time.Duration(minute)*time.Minute), "hats-1")
		e.Session = session
		return e
	}
	const view, add, order, mail = juncture.EventProductViewed, juncture.EventProductAdded, juncture.EventOrderCompleted, juncture.EventCampaignEngaged
	lists, hats, none := trajectory.Page{Kind: juncture.EventListViewed, Category: "hats"}, trajectory.Page{Kind: view, Category: "hats"}, trajectory.Page{}
	p := &layers.Profile{}
	for i, c := range []struct {
		e                     juncture.Event
		ok                    bool
		to, from              trajectory.Page
		opens, second, orders bool
	}{
		{hat(0, mail, ""), false, none, none, false, false, false}, // opened at home, no visit
		{list(1, "a"), true, lists, none, true, false, false},
		{hat(2, view, "a"), true, hats, lists, false, true, false},
		{hat(3, add, "a"), true, none, hats, false, false, false}, // no page: nothing follows the hat yet
		{hat(4, view, "a"), true, hats, hats, false, false, false},
		{hat(4, view, "a"), false, none, none, false, false, false}, // the same again
		{list(3, "a"), false, none, none, false, false, false},      // late
		{hat(5, order, "a"), true, trajectory.Page{Kind: order, Category: "hats"}, hats, false, false, true},
		{hat(6, order, "a"), true, trajectory.Page{Kind: order, Category: "hats"}, trajectory.Page{Kind: order, Category: "hats"}, false, false, false}, // one order of a visit counts
		{list(7, "b"), true, lists, none, true, false, false},                                                                                           // another session of the sender
		{list(36, "b"), true, lists, lists, false, true, false},                                                                                         // 29 minutes later
		{list(66, "b"), true, lists, none, true, false, false},                                                                                          // 30 minutes later
		{hat(100, add, ""), true, none, none, true, false, false},                                                                                       // a visit that begins with no page
		{list(101, ""), true, lists, none, false, false, false},
		{hat(102, view, ""), true, hats, lists, false, true, false},
	} {
		s, ok := p.Step(c.e)
		if ok != c.ok || ok && (s.To != c.to || s.From != c.from || s.Opens != c.opens || s.Second != c.second || s.Orders != c.orders || !s.At.Equal(c.e.At)) {
			t.Errorf("%d: %+v %v, want %+v", i, s, ok, c)
		}
		p.Fold(c.e)
	}
}

// Pages that visits usually end on make an order less likely, all else being the same; the store's own order rate sets the level.
func TestPurchaseScoreKnowsTheStore(t *testing.T) {
	rates := &trajectory.Rates{}
	n := 0
	see := func(p *layers.Profile, kind juncture.EventKind, minute int, product string) {
		n++
		e := looking(fmt.Sprint("e", n), kind, day0().Add(time.Duration(minute)*time.Minute), product)
		if s, ok := p.Step(e); ok {
			rates.Observe(s)
		}
		p.Fold(e)
	}
	for i := range 2000 { // who sees boots leaves; who sees hats goes on, and one in twenty orders
		boots, hats := &layers.Profile{}, &layers.Profile{}
		see(boots, juncture.EventProductViewed, 0, "boots-1")
		for j := range 4 {
			see(hats, juncture.EventProductViewed, j, "hats-1")
		}
		if i%10 == 0 {
			see(hats, juncture.EventOrderCompleted, 5, "hats-1")
		}
	}
	now := day0().Add(3 * time.Minute)
	score := func(product string, k layers.Knowledge) float64 {
		p := &layers.Profile{}
		for j := range 3 {
			p.Fold(looking(fmt.Sprint(j), juncture.EventProductViewed, day0().Add(time.Duration(j)*time.Minute), product))
		}
		v, ok := layers.PurchaseScore(p, now, k)
		if !ok || v <= 0 || v >= 1 {
			t.Fatalf("%v %v", v, ok)
		}
		return v
	}
	k := layers.Knowledge{Rates: rates}
	if a, b := score("hats-2", k), score("boots-2", k); !(a > 1.1*b) {
		t.Errorf("after hats %.3f, after boots %.3f", a, b)
	}
	if a, b := score("hats-2", layers.Knowledge{}), score("boots-2", layers.Knowledge{}); a != b {
		t.Errorf("nothing known: after hats %.3f, after boots %.3f", a, b)
	}
	if a, b := score("hats-2", k), score("hats-2", layers.Knowledge{}); !(a < b) { // one visit in twenty orders here, one in six in the data
		t.Errorf("here %.3f, where nothing is known %.3f", a, b)
	}
	if _, ok := layers.PurchaseScore(&layers.Profile{}, now, k); ok {
		t.Error("a score without a visit")
	}
}

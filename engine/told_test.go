package engine_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/engine"
)

// tells sends events and says whether they were taken.
func (s *shop) tells(in ...engine.Incoming) engine.Taken {
	s.t.Helper()
	for i := range in {
		in[i].Raw = []byte("{}")
		if in[i].Event.At.IsZero() {
			in[i].Event.At = s.Clock.Now()
		}
	}
	got, err := s.Engine.Ingest(context.Background(), s.Clock.Now(), in, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return got
}

func order(message, id, shopper string, value int64) engine.Incoming {
	return engine.Incoming{UserID: shopper, Event: juncture.Event{ID: message, Kind: juncture.EventOrderCompleted, Name: "purchase", Order: id, Value: value}}
}

// An order that comes as an event is an outcome of the shopper's last decision, once, and what is taken back is taken back.
func TestOrdersAreCredited(t *testing.T) {
	s := open(t, func(d *juncture.Declaration) {
		d.Outcomes[1].From = "Order Completed" // purchase
		d.Outcomes = append(d.Outcomes, juncture.OutcomeType{Name: "unsubscribe", Type: juncture.OutcomeBinary, From: "Newsletter Unsubscribed"})
		d.Experiments[0].Goal.Outcome = "purchase"
	})
	tally := func(event string) (got juncture.Tally) {
		t.Helper()
		cells, err := s.Tallies.Experiment(context.Background(), "hero")
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cells {
			for _, r := range c.Rows {
				if r.Event == event && event != "" {
					got = got.Plus(r.Tally)
				}
			}
		}
		return juncture.Tally{Outcomes: got.Outcomes, Successes: got.Successes, Value: got.Value}
	}
	is := func(what, event string, want juncture.Tally) {
		t.Helper()
		if d := cmp.Diff(want, tally(event)); d != "" {
			t.Errorf("%s: %s", what, d)
		}
	}
	s.choose(ask("ada"))
	s.Clock.Advance(time.Minute)
	s.tells(order("m1", "o1", "ada", 5000))
	is("an order", "purchase", juncture.Tally{Outcomes: 1, Successes: 1, Value: 5000})
	s.tells(order("m1", "o1", "ada", 5000))
	s.tells(order("m2", "o1", "ada", 5000))
	is("told again, under another message too", "purchase", juncture.Tally{Outcomes: 1, Successes: 1, Value: 5000})
	s.rewardIs(juncture.StatusDuplicate, &juncture.RewardRequest{ShopperID: "ada", Event: "purchase", OutcomeID: "o1", Value: new(50.0), Currency: "GBP"})

	refund := engine.Incoming{UserID: "ada", Event: juncture.Event{ID: "m3", Kind: juncture.EventOrderRefunded, Order: "o1", Value: 2000}}
	s.tells(refund)
	s.tells(refund)
	is("a part of it back", "purchase", juncture.Tally{Outcomes: 1, Successes: 1, Value: 3000})
	s.tells(engine.Incoming{UserID: "ada", Event: juncture.Event{ID: "m4", Kind: juncture.EventOrderRefunded, Order: "o1", Value: 9000}})
	is("more than is left", "purchase", juncture.Tally{})
	s.tells(engine.Incoming{UserID: "ada", Event: juncture.Event{ID: "m5", Kind: juncture.EventOrderCancelled, Order: "o1"}},
		engine.Incoming{UserID: "ada", Event: juncture.Event{ID: "m6", Kind: juncture.EventOrderCancelled, Order: "never"}})
	is("nothing is left", "purchase", juncture.Tally{})

	s.tells(engine.Incoming{UserID: "ada", Event: juncture.Event{ID: "m7", Kind: juncture.EventOther, Name: "newsletter_unsubscribed"}})
	is("an event by its name", "unsubscribe", juncture.Tally{Outcomes: 1, Successes: 1, Value: 1})

	// Before any decision, of nobody who was ever shown anything, and history: nobody's credit.
	s.tells(order("m8", "o8", "stranger", 700))
	past := order("m9", "o9", "ada", 900)
	past.Past = true
	s.tells(past)
	is("nobody's", "purchase", juncture.Tally{})

	// Decided for the device, ordered by the person who signs in with the same event.
	s.choose(ask("phone"))
	s.Clock.Advance(time.Minute)
	both := order("m10", "o10", "bea", 100)
	both.AnonymousID = "phone"
	s.tells(both)
	is("the device's", "purchase", juncture.Tally{Outcomes: 1, Successes: 1, Value: 100})

	// What cannot be an outcome is kept as an event, and told.
	s.choose(ask("rich"))
	if got := s.tells(order("m11", "o11", "rich", 600_000)); got.Accepted != 1 { // the bound is 5,000
		t.Errorf("%+v", got)
	}
	q, err := s.DB.Quarantine(context.Background())
	if err != nil || len(q) != 1 || q[0].Reason != "uncredited" {
		t.Errorf("%+v, %v", q, err)
	}
	is("beyond the bound", "purchase", juncture.Tally{Outcomes: 1, Successes: 1, Value: 100})
}

package engine_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/engine"
	"github.com/juncture/juncture/intake"
	"github.com/juncture/juncture/internal/testkit"
	"github.com/juncture/juncture/simulate"
	"github.com/juncture/juncture/traffic"
)

// detected takes out who waits for it.
func (s *shop) detected() int {
	s.t.Helper()
	n, err := s.Engine.ExcludeDetected(context.Background(), s.Clock.Now())
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// One shopper who asks more often than a person can is taken out, exactly; 64 others behind the same address are not, who
// ask as often together, and neither is somebody whom a web page merely names.
func TestABurstOfOneShopperIsTakenOut(t *testing.T) {
	s := open(t, testkit.Shares(0.5, 0.3, 0.1, 0.1))
	limit := traffic.Limits()[0]
	behind := engine.Caller{KeyID: "page", Public: true, Agent: "Mozilla/5.0 (iPhone)", Address: netip.MustParseAddr("203.0.113.9")}
	from := func(r *juncture.ChooseRequest) {
		if _, err := s.Engine.Choose(context.Background(), s.Clock.Now(), behind, r); err != nil {
			t.Fatal(err)
		}
	}
	s.choose(ask("vera", func(r *juncture.ChooseRequest) { r.AnonymousID = "vera's phone" }))
	for i := range limit.Most + 20 { // within 40 s
		s.Clock.Advance(limit.Window * 2 / 3 / time.Duration(limit.Most+20))
		from(ask("crawler"))
		from(ask(fmt.Sprint("student ", i%64)))
		from(ask("vera"))
		if i%10 == 0 {
			s.reward(byShopper("crawler", "click"))
		}
	}
	if n := s.detected(); n != 1 {
		t.Fatalf("%d were taken out", n)
	}
	if n := s.detected(); n != 0 {
		t.Errorf("%d more were taken out", n)
	}
	found, err := s.DB.Exclusions(context.Background(), 10)
	if err != nil || len(found) != 1 || found[0].Shopper != "crawler" || found[0].Why != "more than 300 decisions within 1m0s" || found[0].Reason != juncture.ExcludedBot {
		t.Errorf("%+v, %v", found, err)
	}
	if a := s.choose(ask("crawler")); a.ReasonDetail != juncture.DetailBot || a.ActionID == nil {
		t.Errorf("%+v", a)
	}
	for _, id := range []string{"student 7", "vera"} {
		if a := s.choose(ask(id)); a.ReasonDetail == juncture.DetailBot {
			t.Errorf("%s: %+v", id, a)
		}
	}
	s.Verify()
	if got := s.Engine.Stats().Ignored["excluded"].Load(); got != 1 {
		t.Errorf("%d ignored calls were counted", got)
	}
	// A server with a secret key may ask as often as it likes, unless every call is to be counted.
	for all, want := range map[*bool]int{nil: 0, new(false): 0, new(true): 1} {
		other := open(t, func(d *juncture.Declaration) { d.Traffic = &juncture.Traffic{Rates: all} })
		for range limit.Most + 1 {
			other.choose(ask("crawler"))
		}
		if n := other.detected(); n != want {
			t.Errorf("%v: %d were taken out", all, n)
		}
	}
}

// Programs that follow every link of a mail as it is delivered are told from people, who follow one, or take their time.
func TestMailScannersAreTakenOut(t *testing.T) {
	s := open(t, func(d *juncture.Declaration) {
		d.Experiments = append(d.Experiments, juncture.Experiment{ID: "mail", Surface: "cart_email", Status: juncture.StatusRunning,
			Goal: juncture.Goal{Outcome: "click", Window: juncture.Duration(day)}, Groups: juncture.GroupShares{Policy: 1}})
	})
	mail := func(shopper string) string {
		id := s.choose(ask(shopper, deferred, func(r *juncture.ChooseRequest) { r.Surface = "cart_email" })).DecisionID
		s.Clock.Advance(time.Minute)
		s.activate(id, nil)
		return id
	}
	link := func(id, link string, after time.Duration) {
		s.Clock.Advance(after)
		r := click(id)
		r.OutcomeID = link
		s.reward(r)
	}
	one := mail("one link")
	link(one, "a", time.Second)
	link(one, "a", time.Second)
	slow := mail("slow")
	link(slow, "a", 8*time.Second)
	link(slow, "b", 3*time.Second)
	early := s.choose(ask("early", deferred, func(r *juncture.ChooseRequest) { r.Surface = "cart_email" })).DecisionID
	link(early, "a", time.Second) // before the news of its delivery: nothing to go by
	link(early, "b", time.Second)
	page := s.choose(ask("on the page")).DecisionID
	link(page, "a", time.Second)
	link(page, "b", time.Second)
	if n := s.detected(); n != 0 {
		t.Errorf("%d people were taken out", n)
	}
	scanned := mail("scanner")
	link(scanned, "a", time.Second)
	link(scanned, "b", time.Second)
	if n := s.detected(); n != 1 {
		t.Errorf("%d scanners were taken out", n)
	}
	found, err := s.DB.Exclusions(context.Background(), 10)
	if err != nil || len(found) != 1 || found[0].Shopper != "scanner" {
		t.Errorf("%+v, %v", found, err)
	}
	s.Verify()
}

// Events count where they happened just now: a bot's are found out, a device that comes back on line is not, nor an import.
func TestEventsAtImpossibleRates(t *testing.T) {
	s := open(t)
	send := func(shopper string, n int, past bool, at func(i int) time.Time) {
		var in []engine.Incoming
		for i := range n {
			in = append(in, engine.Incoming{Event: juncture.Event{ID: fmt.Sprint(shopper, i), Kind: juncture.EventPageViewed, Name: "Page", At: at(i)}, AnonymousID: shopper, Raw: []byte(`{}`), Past: past})
		}
		if _, err := s.Engine.Ingest(context.Background(), s.Clock.Now(), in, nil); err != nil {
			t.Fatal(err)
		}
	}
	now := s.Clock.Now()
	send("offline", 700, false, func(i int) time.Time { return now.Add(-time.Duration(700-i) * 10 * time.Second) })
	send("history", 700, true, func(int) time.Time { return now })
	if n := s.detected(); n != 0 {
		t.Errorf("%d people were taken out", n)
	}
	send("robot", 601, false, func(int) time.Time { return now })
	if n := s.detected(); n != 1 {
		t.Errorf("%d were taken out", n)
	}
	taken, err := s.Engine.Ingest(context.Background(), now, []engine.Incoming{{Event: juncture.Event{ID: "z", Kind: juncture.EventPageViewed, Name: "Page", At: now}, AnonymousID: "ann", Raw: []byte(`{}`), Agent: "AcmeBot/1.0"}}, nil)
	if err != nil || taken.Nobody != 1 || taken.Accepted != 0 || s.Engine.Stats().Ignored["agent"].Load() != 1 {
		t.Errorf("%+v, %v", taken, err)
	}
}

// A week of made-up shoppers, who look, ask at every page, click and order, has nobody taken out and nothing put aside.
func TestAnHonestWeekTakesNobodyOut(t *testing.T) {
	s := open(t, testkit.Shares(0.85, 0.05, 0.05, 0.05))
	crowd := simulate.NewCrowd(simulate.CrowdSettings{Seed: 7, Shoppers: 400, Days: 7, Start: s.Clock.Now()})
	calls := 0
	for line := range crowd.Events() {
		tracked, err := intake.ParseTracking("batch", slices.Concat([]byte(`{"batch":[`), line, []byte(`]}`)), intake.TrackingOptions{Received: s.Clock.Now().Add(30 * day), Currency: "EUR"})
		if err != nil || len(tracked.Items) != 1 || tracked.Items[0].Broken != nil {
			t.Fatalf("%s: %+v, %v", line, tracked, err)
		}
		i := tracked.Items[0].Incoming
		s.Clock.Advance(max(0, i.Event.At.Sub(s.Clock.Now())))
		if _, err := s.Engine.Ingest(context.Background(), s.Clock.Now(), []engine.Incoming{{Event: i.Event, UserID: i.UserID, AnonymousID: i.AnonymousID, Raw: i.Raw}}, nil); err != nil {
			t.Fatal(err)
		}
		a := s.choose(ask("", func(r *juncture.ChooseRequest) { r.AnonymousID = i.AnonymousID }, session(i.Event.Session)))
		if calls++; calls%5 == 0 {
			s.reward(click(a.DecisionID))
		}
	}
	if n := s.detected(); n != 0 || calls < 1000 {
		t.Errorf("%d of the shoppers of %d calls were taken out", n, calls)
	}
	if broken, err := s.DB.Quarantine(context.Background()); err != nil || len(broken) != 0 {
		t.Errorf("%+v, %v", broken, err)
	}
	s.Verify()
}

// What a store file may list, the engine can read, and nothing else.
func TestListedAddressesAreOnesThatCanBeRead(t *testing.T) {
	for _, s := range []string{"203.0.113.7", "203.0.113.0/24", "10.0.0.0/8", "10.0.0.0/7", "0.0.0.0/0", "2001:db8::/32", "2001::/15", "2001::/16", "::1", "fe80::1%eth0", "fe80::/64%eth0",
		"::ffff:203.0.113.7", "::ffff:203.0.113.0/120", "", "office", "203.0.113.0/33", "203.0.113", "203.0.113.7/24"} {
		d := testkit.Declaration(func(d *juncture.Declaration) { d.Traffic = &juncture.Traffic{Staff: []string{s}} })
		_, err := traffic.ParseAddresses(d.Traffic.Staff)
		if problems := d.Problems(); (len(problems) == 0) != (err == nil) {
			t.Errorf("%q: the file has %+v, the list %v", s, problems, err)
		}
	}
	many := make([]string, juncture.MaxStaff+1)
	for i := range many {
		many[i] = "203.0.113.7"
	}
	d := testkit.Declaration(func(d *juncture.Declaration) { d.Traffic = &juncture.Traffic{Staff: many} })
	if len(d.Problems()) != 1 || juncture.MaxStaff != traffic.MaxAddresses {
		t.Errorf("%d addresses: %+v", len(many), d.Problems())
	}
}

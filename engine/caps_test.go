package engine_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/engine"
	"github.com/juncture/juncture/internal/testkit"
)

// capped gives an action of the test's store a cap.
func capped(id string, c juncture.Cap) func(*juncture.Declaration) {
	return testkit.Action(id, func(a *juncture.Action) { a.Cap = &c })
}

func only(id string) func(*juncture.ChooseRequest) { return candidates(id) }

// served and refused count what n calls of distinct shoppers, or of one, got.
func (s *shop) times(n int, name func(i int) string, more ...func(*juncture.ChooseRequest)) (drawn, atCap int) {
	s.t.Helper()
	for i := range n {
		switch a := s.choose(ask(name(i), more...)); {
		case a.Reason == juncture.ReasonTargeting || a.Reason == juncture.ReasonSplit:
			drawn++
		case a.Reason == juncture.ReasonDefault && a.ReasonDetail == juncture.DetailCap && served(a) == "welcome/plain" && a.Group == juncture.GroupNone:
			atCap++
		default:
			s.t.Errorf("%s %s, %s", a.Reason, a.ReasonDetail, served(a))
		}
	}
	return drawn, atCap
}

func same(name string) func(int) string { return func(int) string { return name } }
func each(name string) func(int) string { return func(i int) string { return fmt.Sprint(name, i) } }

// A shopper is served it n times in the period, restart or not, and again once the first is out of it.
func TestACapPerShopper(t *testing.T) {
	s := open(t, capped("news", juncture.Cap{PerShopper: &juncture.Frequency{N: 2, Per: juncture.PerDay}}))
	if drawn, atCap := s.times(3, same("ada"), only("news")); drawn != 2 || atCap != 1 {
		t.Errorf("%d served, %d at the cap", drawn, atCap)
	}
	if drawn, _ := s.times(2, same("bob"), only("news")); drawn != 2 {
		t.Errorf("bob was served %d times", drawn)
	}
	explained := s.choose(ask("ada", func(r *juncture.ChooseRequest) { r.Explain = true }))
	if !slices.ContainsFunc(explained.Explanation.Filtered, func(f juncture.FilteredView) bool {
		return f.ActionID == "news" && f.Why == "the shopper was served it 2 times in a day"
	}) || len(explained.Ranking) != 4 { // five arms less news
		t.Errorf("%+v", explained.Explanation.Filtered)
	}
	s.Restart()
	if drawn, _ := s.times(1, same("ada"), only("news")); drawn != 0 {
		t.Error("a restart forgets")
	}
	s.Clock.Advance(24 * time.Hour)
	if drawn, _ := s.times(3, same("ada"), only("news")); drawn != 2 {
		t.Errorf("a day later %d", drawn)
	}
	s.Verify()
}

// What a shopper was served under a device's id counts for them from the call on after the one that makes the two one.
func TestACapFollowsTheShopper(t *testing.T) {
	s := open(t, capped("news", juncture.Cap{PerShopper: &juncture.Frequency{N: 2, Per: juncture.PerWeek}}))
	for i, id := range [][2]string{{"", "phone"}, {"ada", ""}, {"ada", "phone"}, {"ada", "phone"}, {"", "phone"}} {
		a := s.choose(ask("", ids(id[0], id[1]), only("news")))
		if want := i > 2; (a.ReasonDetail == juncture.DetailCap) != want {
			t.Errorf("%v: %s", id, a.ReasonDetail)
		}
	}
}

func TestACapPerDay(t *testing.T) {
	s := open(t, capped("news", juncture.Cap{PerDay: 5}))
	if drawn, atCap := s.times(7, each("a"), only("news")); drawn != 5 || atCap != 2 {
		t.Errorf("%d served, %d at the cap", drawn, atCap)
	}
	s.Restart()
	if drawn, _ := s.times(2, each("b"), only("news")); drawn != 0 {
		t.Errorf("%d after a restart", drawn)
	}
	if a := s.choose(ask("c")); a.Reason != juncture.ReasonSplit || len(a.Ranking) != 4 {
		t.Errorf("the others are drawn: %+v", a.Ranking)
	}
	s.Clock.Advance(12 * time.Hour) // noon: the next day of UTC
	if drawn, _ := s.times(6, each("d"), only("news")); drawn != 5 {
		t.Errorf("%d the next day", drawn)
	}
}

// 12 pays for three at 4 each: 3 × 4 = 12.
func TestASpendPerServe(t *testing.T) {
	s := open(t, capped("news", juncture.Cap{Spend: &juncture.Spend{Most: 12, Cost: 4, Per: juncture.SpendServe}}))
	if drawn, _ := s.times(4, each("a"), only("news")); drawn != 3 {
		t.Errorf("%d served", drawn)
	}
	shown := ask("x", func(r *juncture.ChooseRequest) { r.Preview = &juncture.Preview{ActionID: "news"} })
	if a, err := s.Engine.Choose(context.Background(), s.Clock.Now(), engine.Caller{Admin: true}, shown); err != nil || served(a) != "news/plain" {
		t.Errorf("a preview is no serve: %v", err)
	}
	s.apply(capped("news", juncture.Cap{Spend: &juncture.Spend{Most: 16, Cost: 4, Per: juncture.SpendServe}})) // a larger budget: what was spent stays
	if drawn, _ := s.times(3, each("b"), only("news")); drawn != 1 {
		t.Errorf("%d served of what was added", drawn)
	}
}

// Orders use the budget up, refunds give it back, and a start counts the ones before.
func TestASpendPerSuccess(t *testing.T) {
	s := open(t, capped("news", juncture.Cap{Spend: &juncture.Spend{Most: 10, Cost: 5, Per: juncture.SpendSuccess, Outcome: "purchase"}}))
	var first string
	for i := range 2 {
		a := s.choose(ask(fmt.Sprint("a", i), only("news")))
		if first == "" {
			first = a.DecisionID
		}
		s.rewardIs(juncture.StatusRecorded, buy(a.DecisionID, "o", 20))
	}
	if drawn, atCap := s.times(1, each("b"), only("news")); drawn != 0 || atCap != 1 {
		t.Errorf("%d served after two orders", drawn)
	}
	s.Checkpoint()
	s.Restart()
	if drawn, _ := s.times(1, each("c"), only("news")); drawn != 0 {
		t.Error("a restart forgets")
	}
	refund := buy(first, "r", 0)
	refund.Value, refund.Adjusts = nil, new("o")
	s.rewardIs(juncture.StatusRecorded, refund)
	if drawn, _ := s.times(1, each("d"), only("news")); drawn != 1 {
		t.Error("a refund gives nothing back")
	}
}

// Pressure counts what was drawn anywhere; the default goes on.
func TestPressureAcrossSurfaces(t *testing.T) {
	second := func(d *juncture.Declaration) {
		x := d.Experiments[0]
		x.ID, x.Surface = "mail", "cart_email"
		d.Experiments = append(d.Experiments, x)
		d.Pressure = &juncture.Pressure{PerShopper: juncture.Frequency{N: 3, Per: juncture.PerDay}}
	}
	s := open(t, second)
	mail := func(r *juncture.ChooseRequest) { r.Surface = "cart_email" }
	if drawn, _ := s.times(2, same("ada")); drawn != 2 {
		t.Error(drawn)
	}
	if drawn, atCap := s.times(2, same("ada"), mail); drawn != 1 || atCap != 1 {
		t.Errorf("%d, %d by mail", drawn, atCap)
	}
	if drawn, _ := s.times(1, same("ada")); drawn != 0 {
		t.Error("a fourth time")
	}
	s.Restart()
	if drawn, atCap := s.times(1, same("ada")); drawn != 0 || atCap != 1 {
		t.Error("a restart forgets")
	}
	if drawn, _ := s.times(1, same("bob")); drawn != 1 {
		t.Error("bob is another")
	}
}

// However many ask at once, and in batches, a cap is never passed; and whoever asks after them fills it.
func TestCapsUnderLoad(t *testing.T) {
	const most = 40
	s := open(t, capped("news", juncture.Cap{PerDay: most, PerShopper: &juncture.Frequency{N: 2, Per: juncture.PerDay}}))
	var mu sync.Mutex
	total, by := 0, map[string]int{}
	var wait sync.WaitGroup
	for w := range 8 {
		wait.Go(func() {
			for i := range 15 {
				var rs []*juncture.ChooseRequest
				for b := range 3 {
					rs = append(rs, ask(fmt.Sprint("s", (w*7+i*3+b)%30), only("news")))
				}
				for j, res := range s.Engine.ChooseBatch(context.Background(), s.Clock.Now(), engine.Caller{}, rs) {
					if res.Err != nil {
						t.Error(res.Err)
						continue
					}
					if res.Answer.Reason != juncture.ReasonDefault {
						mu.Lock()
						total, by[rs[j].ShopperID] = total+1, by[rs[j].ShopperID]+1
						mu.Unlock()
					}
				}
			}
		})
	}
	wait.Wait()
	for name, n := range by {
		if n > 2 {
			t.Errorf("%s was served %d times", name, n)
		}
	}
	if total > most {
		t.Errorf("%d served of at most %d", total, most)
	}
	drawn, _ := s.times(most, each("later"), only("news"))
	if total+drawn != most {
		t.Errorf("%d and then %d: together %d, not %d", total, drawn, total+drawn, most)
	}
	s.Verify()
}

// What could not be committed served nobody.
func TestAFailedCommitUsesNoCap(t *testing.T) {
	s := &shop{testkit.Start(t, testkit.Declaration(capped("news", juncture.Cap{PerDay: 2})), testkit.NodeOptions{Busy: 20 * time.Millisecond}), t}
	raw := openRaw(t, s)
	raw.SetMaxOpenConns(1)
	if _, err := raw.Exec(`BEGIN IMMEDIATE`); err != nil {
		t.Fatal(err)
	}
	s.chooseFails(ask("ada", only("news")), juncture.CodeUnavailable)
	if _, err := raw.Exec(`ROLLBACK`); err != nil {
		t.Fatal(err)
	}
	if drawn, _ := s.times(3, each("a"), only("news")); drawn != 2 {
		t.Errorf("%d served", drawn)
	}
}

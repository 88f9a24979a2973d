package trajectory_test

import (
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/layers/trajectory"
)

// visit observes one visit: its pages in turn, and whether it ordered on the last.
func visit(r *trajectory.Rates, when time.Time, pages ...trajectory.Page) {
	for i, p := range pages {
		s := trajectory.Step{At: when.Add(time.Duration(i) * time.Minute), To: p, Opens: i == 0, Second: i == 1, Orders: p.Kind == juncture.EventOrderCompleted}
		if i > 0 {
			s.From = pages[i-1]
		}
		r.Observe(s)
	}
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-3*(1e-3+math.Abs(b)) }

// Of 400 visits from a mail half order, of 1,600 from nowhere an eighth.
func TestRatesTellSourcesApart(t *testing.T) {
	mail := trajectory.SourceKey("mail")
	var r trajectory.Rates
	for i := range 2000 {
		s := trajectory.Step{At: at(0, 0), Opens: true, Orders: i%10 == 1} // 200 of those from nowhere
		if i%5 == 0 {
			s.Source, s.Orders = mail, i%2 == 0
		}
		r.Observe(s)
	}
	logit := func(p float64) float64 { return math.Log(p / (1 - p)) }
	all := (400 + 20*0.155) / 2020.0 // 200 of 400 and 200 of 1,600
	for key, want := range map[uint64]float64{mail: (200 + 20*all) / 420, 0: (200 + 20*all) / 1620, trajectory.SourceKey("never seen"): all} {
		if got := r.Context(nil, key, at(0, 0)).Source; math.Abs(got-(logit(want)-logit(all))) > 1e-9 {
			t.Errorf("source %d: %.4f, want %.4f", key, got, logit(want)-logit(all))
		}
	}
	for i := range 5 * trajectory.MaxSources { // names made up by a sender
		r.Observe(trajectory.Step{At: at(0, 1), Opens: true, Source: uint64(i + 10)})
	}
	if got := r.Context(nil, mail, at(0, 1)).Source; got < 1 {
		t.Errorf("among made-up sources that of 400 visits is worth %.4f", got)
	}
}

func TestRatesAreThoseOfTheVisits(t *testing.T) {
	list, shirt, hat := trajectory.Page{Kind: juncture.EventListViewed}, trajectory.Page{Kind: juncture.EventProductViewed, Category: "shirts"}, trajectory.Page{Kind: juncture.EventProductViewed, Category: "hats"}
	order := trajectory.Page{Kind: juncture.EventOrderCompleted}
	var none *trajectory.Rates
	if c := none.Context([]trajectory.Page{list}, 0, at(0, 0)); c != (trajectory.Context{}) {
		t.Errorf("nothing known: %+v", c)
	}
	var r trajectory.Rates
	if c := r.Context([]trajectory.Page{list}, 0, at(0, 0)); c != (trajectory.Context{}) {
		t.Errorf("nothing seen: %+v", c)
	}
	when := at(0, 0)
	for range 1000 { // of four visits two see a list and leave on shirts, one orders after hats, one sees hats and leaves
		visit(&r, when, list, shirt)
		visit(&r, when, list, shirt)
		visit(&r, when, list, hat, order)
		visit(&r, when, hat)
	}
	// Exits: of 3,000 lists none, of 2,000 shirts all, of 2,000 hats half, of 1,000 orders all; of 8,000 pages 4,000.
	// Bounces: only of the 1,000 visits that begin on hats; of 4,000 visits a quarter.
	// Each leans on its kind as on 20 views (products: 3,000 of 4,000), and that on all; as multiples of the store's mean.
	mean := (4000 + 20*0.043) / 8020
	kind := (3000 + 20*mean) / 4020
	for _, c := range []struct {
		page trajectory.Page
		exit float64
	}{
		{list, (0 + 20*mean) / 3020}, {shirt, (2000 + 20*kind) / 2020}, {hat, (1000 + 20*kind) / 2020},
		{trajectory.Page{Kind: juncture.EventProductViewed, Category: "never seen"}, kind}, {trajectory.Page{Kind: juncture.EventArticleViewed}, mean},
	} {
		if got := r.Context([]trajectory.Page{c.page}, 0, when); !got.Exits || !near(got.Exit, 0.043*c.exit/mean) {
			t.Errorf("%+v: %+v, want an exit rate of %.4f", c.page, got, 0.043*c.exit/mean)
		}
	}
	if a, b := r.Context([]trajectory.Page{list}, 0, when), r.Context([]trajectory.Page{hat}, 0, when); !(a.Bounce < b.Bounce) || b.Bounce > 0.2 {
		t.Errorf("bounces: lists %.4f, hats %.4f", a.Bounce, b.Bounce)
	}
	both, one, other := r.Context([]trajectory.Page{shirt, hat}, 0, when), r.Context([]trajectory.Page{shirt}, 0, when), r.Context([]trajectory.Page{hat}, 0, when)
	if !near(both.Exit, (one.Exit+other.Exit)/2) || !near(both.Bounce, (one.Bounce+other.Bounce)/2) {
		t.Errorf("of two pages %+v, of each %+v and %+v", both, one, other)
	}
	// A quarter of 4,000 visits ordered: log-odds of (1000 + 20 * 0.155) / 4020 against those of 0.155.
	p := (1000 + 20*0.155) / 4020
	if want := math.Log(p/(1-p)) - math.Log(0.155/0.845); !near(both.Season, want) {
		t.Errorf("season %.4f, want %.4f", both.Season, want)
	}
	if again := r.Context([]trajectory.Page{shirt, hat}, 0, when); again != both {
		t.Error("reading changed the rates")
	}
	// Two weeks later half of it is left, and the rates are the same but for what they lean on; two years later nothing is known.
	if c := r.Context([]trajectory.Page{hat}, 0, when.AddDate(0, 0, 14)); !c.Exits || math.Abs(c.Exit-other.Exit) > 0.01*other.Exit {
		t.Errorf("two weeks later %+v after %+v", c, other)
	}
	if c := r.Context([]trajectory.Page{hat}, 0, when.AddDate(2, 0, 0)); c.Exits || math.Abs(c.Season) > 1e-6 {
		t.Errorf("two years later: %+v", c)
	}
}

func TestRatesInAnyOrder(t *testing.T) {
	var a, b trajectory.Rates
	var steps []trajectory.Step
	for i := range 3000 {
		steps = append(steps, trajectory.Step{At: at(i*i%40, i%600), Opens: i%3 == 0, Orders: i%7 == 0,
			To: trajectory.Page{Kind: juncture.EventProductViewed, Category: fmt.Sprint(i % 5)}, From: trajectory.Page{Kind: juncture.EventKind(i % 4)}})
	}
	for i := range steps {
		a.Observe(steps[i])
		b.Observe(steps[len(steps)-1-i])
	}
	pages := []trajectory.Page{{Kind: juncture.EventProductViewed, Category: "1"}, {Kind: juncture.EventPageViewed}}
	x, y := a.Context(pages, 0, at(41, 0)), b.Context(pages, 0, at(41, 0))
	if !near(x.Exit, y.Exit) || !near(x.Bounce, y.Bounce) || !near(x.Season, y.Season) {
		t.Errorf("%+v, in reverse %+v", x, y)
	}
}

// Categories that a sender makes up do not push out those that the store's shoppers see.
func TestMadeUpPagesDoNotStay(t *testing.T) {
	var r trajectory.Rates
	hat, when := trajectory.Page{Kind: juncture.EventProductViewed, Category: "hats"}, at(0, 0)
	for i := range 20 * trajectory.MaxPages {
		if i%10 == 0 {
			visit(&r, when, hat, hat)
		}
		visit(&r, when, trajectory.Page{Kind: juncture.EventProductViewed, Category: fmt.Sprint("made up ", i)})
	}
	// Half of the hats are the last of their visit, all of the made up ones: seen 16,384 times of 98,304, the rest once.
	hats, others := r.Context([]trajectory.Page{hat}, 0, when), r.Context([]trajectory.Page{{Kind: juncture.EventProductViewed, Category: "none of them"}}, 0, when)
	if hats.Exit > 0.6*others.Exit || r.Pages() > trajectory.MaxPages {
		t.Errorf("hats %+v, others %+v, %d pages", hats, others, r.Pages())
	}
}

// Whatever comes, in whatever order and at once, the table is bounded and its rates are rates.
func TestRatesAreBounded(t *testing.T) {
	var r trajectory.Rates
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 20_000 {
				k := juncture.EventKind(i % 256)
				r.Observe(trajectory.Step{At: time.UnixMilli(int64(i*w) * 1e9), To: trajectory.Page{Kind: k, Category: fmt.Sprint(i, w)}, From: trajectory.Page{Kind: k, Category: fmt.Sprint(i-1, w)},
					Opens: i%2 == 0, Second: i%3 == 0, Orders: true})
				if i%1000 == 0 {
					c := r.Context([]trajectory.Page{{Kind: k, Category: fmt.Sprint(i, w)}, {Kind: 255}}, uint64(i), time.UnixMilli(int64(i)*1e9))
					if !(c.Exit >= 0 && c.Exit <= 0.2 && c.Bounce >= 0 && c.Bounce <= 0.2) || math.IsNaN(c.Season) || math.IsInf(c.Season, 0) {
						t.Errorf("%+v", c)
					}
				}
			}
		})
	}
	wg.Wait()
	if n := r.Pages(); n > trajectory.MaxPages {
		t.Errorf("%d pages are told apart; at most %d", n, trajectory.MaxPages)
	}
}

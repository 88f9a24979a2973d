package layers_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/layers"
	"github.com/juncture/juncture/layers/trajectory"
)

// visitCase is one session of the data: the profile that its events folded into, and when to score it.
type visitCase struct {
	events  []juncture.Event
	profile layers.Profile
	at      time.Time
	context trajectory.Context
	month   time.Month
	source  uint64
	bought  bool
	held    bool
}

func visitCases(t *testing.T) []visitCase {
	rows, column := data(t, "sessions/online_shoppers_intention.csv.gz")
	var out []visitCase
	for _, row := range rows {
		events := sessionEvents(t, row, column)
		c := visitCase{events: events, at: events[len(events)-1].At, source: trajectory.SourceKey(sourceOf(row, column)), month: monthOf(row[column["Month"]]), bought: row[column["Revenue"]] == "True", held: heldOut("session", row[column["row_id"]])}
		for _, e := range events {
			c.profile.Fold(e)
		}
		c.context.Exit, c.context.Bounce = number(t, row[column["ExitRates"]]), number(t, row[column["BounceRates"]])
		out = append(out, c)
	}
	return out
}

// ownRates are what the visits not held out tell a store that counts them as they come, month after month: read after
// each month. The data hold no order of pages, so only the shares of visits that order are used of them, of all and by
// where they came from.
func ownRates(cases []visitCase) (known [13]map[uint64]trajectory.Context) {
	var rates trajectory.Rates
	for month := time.January; month <= time.December; month++ {
		var at time.Time
		for _, c := range cases {
			if c.held || c.month != month {
				continue
			}
			at = c.at
			var p layers.Profile
			events := c.events
			if c.bought {
				events = append(slices.Clone(events), juncture.Event{ID: "order", Kind: juncture.EventOrderCompleted, Session: events[len(events)-1].Session, At: c.at})
			}
			for _, e := range events {
				if step, ok := p.Step(e); ok && !e.At.Before(c.at.AddDate(0, 0, -1)) { // the visit, and not the one that a returning visitor made a week before
					rates.Observe(step)
				}
				p.Fold(e)
			}
		}
		if !at.IsZero() {
			known[month] = map[uint64]trajectory.Context{}
			for _, c := range cases {
				known[month][c.source] = rates.Context(nil, c.source, at)
			}
		}
	}
	return known
}

// fitLive fits LiveScore's weights on the rows not held out, with a free term for each month; it returns the weights and
// the months' log-odds, centred over the training rows.
func fitLive(t *testing.T, cases []visitCase, exits bool) (weights []float64, season [13]float64) {
	var train []example
	n := 0
	var share [13]float64
	for _, c := range cases {
		if c.held {
			continue
		}
		c.context.Exits = exits
		f, ok := c.profile.Head.Trajectory.LiveFeatures(c.at, c.context)
		if !ok {
			t.Fatal("no visit runs")
		}
		n = len(f)
		months := make([]float64, 13)
		months[c.month] = 1
		share[c.month]++
		train = append(train, example{x: append(slices.Clone(f), months...), y: c.bought})
	}
	b := logistic(t, train)
	mean := 0.0
	for m, v := range b[n+1:] {
		mean += v * share[m] / float64(len(train))
	}
	for m, v := range b[n+1:] {
		if share[m] > 0 {
			season[m] = v - mean
		}
	}
	b[0] += mean
	return b[:n+1], season
}

// TestRefitLiveScore refits the constants of trajectory.LiveScore and holds the code to them:
//
//	JUNCTURE_EVALUATE=1 go test -count=1 -run TestRefitLiveScore -v ./layers
func TestRefitLiveScore(t *testing.T) {
	cases := visitCases(t)
	for _, exits := range []bool{false, true} {
		want, _ := fitLive(t, cases, exits)
		got := trajectory.LiveWeights(exits)
		fmt.Printf("live weights, exits known %v: %.3f\n", exits, want)
		if len(got) != len(want) {
			t.Errorf("exits %v: the code has %d weights, the fit %d", exits, len(got), len(want))
			continue
		}
		for i := range want {
			if math.Abs(got[i]-want[i]) > 0.002 {
				t.Errorf("exits %v: weight %d is %v in the code, refitted %.3f", exits, i, got[i], want[i])
			}
		}
	}
}

func TestEvaluateLive(t *testing.T) {
	cases := visitCases(t)
	known := ownRates(cases)
	fmt.Printf("\nlive intent: purchase in the session, online_shoppers_intention without PageValues; trajectory.State.LiveScore, rows held out.\n")
	fmt.Printf("The store's own order rates are trajectory.Rates over the other rows. Page exit rates are given: the data's columns ExitRates and\n")
	fmt.Printf("BounceRates, which were measured on single pages of the store; the data do not say which pages, so Rates cannot be judged on them.\n")
	fmt.Printf("%-60s %6s %7s %-17s %7s %-17s %10s\n", "what the store knows", "rows", "AUC", "95%", "Brier", "95%", "base rate's")
	for _, v := range []struct {
		name                  string
		season, source, exits bool
		least                 float64
	}{
		{"events alone", false, false, false, 0.71},
		{"events, the store's own order rate of late", true, false, false, 0.73},
		{"events, the store's own order rates, by source too", true, true, false, 0.735},
		{"events, given page exit rates", false, false, true, 0.74},
		{"events, the store's own order rates, given page exit rates", true, true, true, 0.74},
	} {
		var judged []example
		for _, c := range cases {
			if !c.held {
				continue
			}
			c.context.Exits = v.exits
			if v.season {
				c.context.Season = known[c.month][c.source].Season
			}
			if v.source {
				c.context.Source = known[c.month][c.source].Source
			}
			p, ok := c.profile.Head.Trajectory.LiveScore(c.at, c.context)
			if !ok {
				t.Fatal("no visit runs")
			}
			judged = append(judged, example{y: c.bought, score: p})
		}
		a, ai, b, bi := auc(judged), interval(judged, auc), brier(judged), interval(judged, brier)
		base := rate(judged)
		fmt.Printf("%-60s %6d %7.4f [%.4f, %.4f]  %7.4f [%.4f, %.4f]  %9.4f\n", v.name, len(judged), a, ai[0], ai[1], b, bi[0], bi[1], base*(1-base))
		if a < v.least {
			t.Errorf("%s: AUC %.4f, at least %.2f is asked for", v.name, a, v.least)
		}
	}
}

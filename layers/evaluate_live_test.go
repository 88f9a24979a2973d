package layers_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/juncture/juncture/layers/trajectory"
)

// visitCase is one session of the data: the trajectory that its events folded into, and when to score it.
type visitCase struct {
	state   trajectory.State
	at      time.Time
	context trajectory.Context
	month   time.Month
	bought  bool
	held    bool
}

func visitCases(t *testing.T) []visitCase {
	rows, column := data(t, "sessions/online_shoppers_intention.csv.gz")
	var out []visitCase
	for _, row := range rows {
		events := sessionEvents(t, row, column)
		c := visitCase{at: events[len(events)-1].At, month: monthOf(row[column["Month"]]), bought: row[column["Revenue"]] == "True", held: heldOut("session", row[column["row_id"]])}
		for _, e := range events {
			c.state.Fold(e)
		}
		c.context.Exit, c.context.Bounce = number(t, row[column["ExitRates"]]), number(t, row[column["BounceRates"]])
		out = append(out, c)
	}
	return out
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
		f, ok := c.state.LiveFeatures(c.at, c.context)
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
	fmt.Printf("\nlive intent: purchase in the session, online_shoppers_intention without PageValues; trajectory.State.LiveScore, rows held out\n")
	fmt.Printf("%-56s %6s %7s %-17s %7s %-17s %10s\n", "what the store knows", "rows", "AUC", "95%", "Brier", "95%", "base rate's")
	for _, v := range []struct {
		name           string
		season, exits  bool
		least, aimedAt float64
	}{
		{"events alone", false, false, 0, 0},
		{"events, time of year", true, false, 0, 0},
		{"events, exit rates of the pages seen", false, true, 0.74, 0.77},
		{"events, time of year, exit rates of the pages seen", true, true, 0.74, 0.77},
	} {
		_, season := fitLive(t, cases, v.exits)
		var judged []example
		for _, c := range cases {
			if !c.held {
				continue
			}
			c.context.Exits = v.exits
			if v.season {
				c.context.Season = season[c.month]
			}
			p, ok := c.state.LiveScore(c.at, c.context)
			if !ok {
				t.Fatal("no visit runs")
			}
			judged = append(judged, example{y: c.bought, score: p})
		}
		a, ai, b, bi := auc(judged), interval(judged, auc), brier(judged), interval(judged, brier)
		base := rate(judged)
		fmt.Printf("%-56s %6d %7.4f [%.4f, %.4f]  %7.4f [%.4f, %.4f]  %9.4f\n", v.name, len(judged), a, ai[0], ai[1], b, bi[0], bi[1], base*(1-base))
		if a < v.least {
			t.Errorf("%s: AUC %.4f, at least %.2f is asked for", v.name, a, v.least)
		}
	}
}

package layers_test

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/layers/moment"
)

// purchases are the orders of a data set as events, by customer, in time order.
func purchases(t *testing.T, name string) map[string][]juncture.Event {
	rows, column := data(t, "transactions/"+name+".csv.gz")
	out := map[string][]juncture.Event{}
	place := func(layout, when, customer, order string, amount float64) {
		at, err := time.Parse(layout, when)
		if err != nil {
			t.Fatal(err)
		}
		list := out[customer]
		if n := len(list); n > 0 && list[n-1].Order == order {
			list[n-1].Value += int64(math.Round(100 * amount))
			return
		}
		out[customer] = append(list, juncture.Event{ID: order, Kind: juncture.EventOrderCompleted, Order: order, At: at, Value: int64(math.Round(100 * amount))})
	}
	for i, row := range rows {
		get := func(c string) string { return row[column[c]] }
		if name == "cdnow" {
			place("20060102", get("date"), get("customer_id"), fmt.Sprint("order-", i), number(t, get("dollar_value")))
			continue
		}
		if strings.HasPrefix(get("InvoiceNo"), "C") {
			continue // cancellations do not name the invoice that they cancel
		}
		place(time.RFC3339, get("InvoiceDate"), get("CustomerID"), get("InvoiceNo"), number(t, get("Quantity"))*number(t, get("UnitPrice")))
	}
	for _, events := range out {
		slices.SortStableFunc(events, func(a, b juncture.Event) int { return a.At.Compare(b.At) })
	}
	return out
}

// buyer is one customer at one day: the moment that the orders before it folded into, and whether another came.
type buyer struct {
	state moment.State
	again bool
	held  bool
}

// cut is a day in a data set, and how far to look ahead.
type cut struct {
	set     string
	day     string
	horizon int  // days
	judged  bool // the issue asks for it; the others are fitted on and reported beside it
}

func cuts() []cut {
	return []cut{
		{"cdnow", "1997-07-01", 180, true}, {"cdnow", "1997-10-01", 180, true}, {"cdnow", "1998-01-01", 180, true}, {"cdnow", "1998-01-01", 90, false},
		{"online_retail", "2011-06-09", 180, false}, {"online_retail", "2011-06-09", 90, true}, {"online_retail", "2011-09-09", 90, true},
	}
}

func (c cut) at(t *testing.T) time.Time {
	at, err := time.Parse(time.DateOnly, c.day)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func buyers(t *testing.T, c cut, all map[string][]juncture.Event) []buyer {
	at := c.at(t)
	until := at.AddDate(0, 0, c.horizon)
	var out []buyer
	for _, id := range slices.Sorted(maps.Keys(all)) {
		b := buyer{held: heldOut("customer", id)}
		for _, e := range all[id] {
			if e.At.Before(at) {
				b.state.Fold(e)
			} else if e.At.Before(until) {
				b.again = true
			}
		}
		if b.state.Orders() > 0 {
			out = append(out, b)
		}
	}
	return out
}

// fitRepurchase fits RepurchaseScore's weights, and each store's own log-odds.
func fitRepurchase(t *testing.T, sets map[string]map[string][]juncture.Event) (weights [6]float64, store map[string]float64) {
	var train []example
	names := []string{"cdnow", "online_retail"}
	for _, c := range cuts() {
		for _, b := range buyers(t, c, sets[c.set]) {
			if b.held {
				continue
			}
			f, ok := b.state.RepurchaseFeatures(c.at(t))
			if !ok {
				t.Fatal("a buyer without an order")
			}
			own := []float64{math.Log(float64(c.horizon) / 90), -0.5}
			if c.set == names[1] {
				own[1] = 0.5
			}
			train = append(train, example{x: append(f[:], own...), y: b.again})
		}
	}
	b := logistic(t, train)
	return [6]float64(b[:6]), map[string]float64{names[0]: -b[6] / 2, names[1]: b[6] / 2}
}

func purchaseSets(t *testing.T) map[string]map[string][]juncture.Event {
	return map[string]map[string][]juncture.Event{"cdnow": purchases(t, "cdnow"), "online_retail": purchases(t, "online_retail")}
}

// TestRefitRepurchase refits the constants of moment.RepurchaseScore and holds the code to them:
//
//	JUNCTURE_EVALUATE=1 go test -count=1 -run TestRefitRepurchase -v ./layers
func TestRefitRepurchase(t *testing.T) {
	want, store := fitRepurchase(t, purchaseSets(t))
	fmt.Printf("repurchase weights: %.3f, stores %.3v\n", want, store)
	for i, w := range moment.RepurchaseWeights() {
		if math.Abs(w-want[i]) > 0.002 {
			t.Errorf("weight %d is %v in the code, refitted %.3f", i, w, want[i])
		}
	}
}

func TestEvaluateLifecycle(t *testing.T) {
	sets := purchaseSets(t)
	_, store := fitRepurchase(t, sets)
	least := map[string]float64{"cdnow": 0.74, "online_retail": 0.70}
	fmt.Printf("\nlifecycle: another order within the horizon; customers held out. States: lifecycle.status of moment.State.Describe, ranked by\n")
	fmt.Printf("their rate among the other customers. Score: moment.State.RepurchaseScore; churn risk is 1 - score\n")
	fmt.Printf("%-14s %-11s %4s %6s %6s  %-8s %-8s %-25s %-25s %s\n", "data", "day", "days", "people", "again", "recency", "states", "score, AUC", "churn risk, Brier", "base rate's")
	for _, c := range cuts() {
		at := c.at(t)
		all := buyers(t, c, sets[c.set])
		state := func(b buyer) string {
			d := b.state.Describe(at, moment.Settings{})
			return d.Lifecycle + "." + d.Status
		}
		seen, bought := map[string]float64{}, map[string]float64{}
		for _, b := range all {
			if !b.held {
				seen[state(b)]++
				if b.again {
					bought[state(b)]++
				}
			}
		}
		var recency, states, score []example
		for _, b := range all {
			if !b.held {
				continue
			}
			last, _ := b.state.LastOrder()
			p, ok := b.state.RepurchaseScore(at, time.Duration(c.horizon)*24*time.Hour, store[c.set])
			if !ok {
				t.Fatal("a buyer without an order")
			}
			recency = append(recency, example{y: b.again, score: -at.Sub(last).Hours()})
			states = append(states, example{y: b.again, score: (bought[state(b)] + 0.5) / (seen[state(b)] + 1)})
			score = append(score, example{y: b.again, score: p})
		}
		a, ai, br, bi, base := auc(score), interval(score, auc), brier(score), interval(score, brier), rate(score)
		fmt.Printf("%-14s %-11s %4d %6d %6.3f  %.4f   %.4f   %.4f [%.4f, %.4f]   %.4f [%.4f, %.4f]   %.4f\n",
			c.set, c.day, c.horizon, len(score), base, auc(recency), auc(states), a, ai[0], ai[1], br, bi[0], bi[1], base*(1-base))
		if c.judged && a < least[c.set] {
			t.Errorf("%s on %s: AUC %.4f, at least %.2f is asked for", c.set, c.day, a, least[c.set])
		}
		if br >= base*(1-base) {
			t.Errorf("%s on %s: churn risk is no better than the base rate", c.set, c.day)
		}
	}
}

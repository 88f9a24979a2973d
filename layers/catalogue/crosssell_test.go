package catalogue_test

import (
	"slices"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/layers/catalogue"
)

// Cross-sells counted until November against the orders of the month held back: do pairs of high lift come together again,
// and as much more often than chance as they did?
func TestCrossSellsHoldInTheNextMonth(t *testing.T) {
	products, events := retailProducts(t), retailOrders(t)
	cut := time.Date(2011, 11, 9, 0, 0, 0, 0, time.UTC)
	n, _ := slices.BinarySearchFunc(events, cut, func(e juncture.Event, at time.Time) int { return e.At.Compare(at) })
	index := catalogue.NewIndex(0)
	if err := index.Put(products...); err != nil {
		t.Fatal(err)
	}
	counts := catalogue.NewCounts(catalogue.Settings{Support: 10}, 0)
	for i := range events[:n] {
		counts.Observe(&events[i], &catalogue.State{})
	}
	pairs := counts.Shelf(index, cut).CrossSells(1 << 20)
	orders, held := map[string][]string{}, map[string]int{}
	for _, e := range events[n:] {
		for _, l := range e.Lines {
			orders[l.Product] = append(orders[l.Product], e.ID+e.Lines[0].Product)
			held[e.ID+e.Lines[0].Product]++
		}
	}
	total := float64(len(held))
	t.Logf("%d pairs with 10 orders or more, decayed; %d orders in the month held back", len(pairs), len(held))
	for _, band := range [][2]float64{{1.5, 3}, {3, 6}, {6, 12}, {12, 24}, {24, 1e9}} {
		var again, lifts, was []float64
		for _, p := range pairs {
			a, b := orders[p.Product], orders[p.With]
			if p.Lift < band[0] || p.Lift >= band[1] || len(a) < 5 || len(b) < 5 { // both still sold
				continue
			}
			both := 0.0
			for _, o := range a {
				if slices.Contains(b, o) {
					both++
				}
			}
			lift := both * total / float64(len(a)*len(b))
			lifts, was = append(lifts, lift), append(was, p.Lift)
			again = append(again, 0)
			if lift > 1 {
				again[len(again)-1] = 1
			}
		}
		if len(again) == 0 {
			continue
		}
		share, lo, hi := bootstrap(again)
		lift, llo, lhi := bootstrap(lifts)
		mean, _, _ := bootstrap(was)
		t.Logf("  lift %4.1f to %-6.0f %5d pairs: together more than by chance again %s (95%%: %s to %s); lift then %.1f, in the month held back %.1f (%.1f to %.1f)",
			band[0], min(band[1], 999), len(again), percent(share), percent(lo), percent(hi), mean, lift, llo, lhi)
		if band[0] >= 3 && share < 0.6 {
			t.Errorf("pairs of lift %.1f and more: only %s hold", band[0], percent(share))
		}
	}
}

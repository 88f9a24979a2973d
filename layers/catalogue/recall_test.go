package catalogue_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/layers/catalogue"
	"github.com/juncture/juncture/layers/meaning"
)

// shop is a store built from events through both layers' own code.
type shop struct {
	index  *catalogue.Index
	space  *meaning.Space
	model  *meaning.Model
	tastes map[string]*meaning.State
	states map[string]*catalogue.State
	owned  map[string]map[string]bool
	shelf  *catalogue.Shelf
}

func fit(t testing.TB, events []juncture.Event, products []juncture.Product, now time.Time, cs catalogue.Settings, ms meaning.Settings) *shop {
	t.Helper()
	s := &shop{index: catalogue.NewIndex(0), tastes: map[string]*meaning.State{}, states: map[string]*catalogue.State{}, owned: map[string]map[string]bool{}}
	if err := s.index.Put(products...); err != nil {
		t.Fatal(err)
	}
	s.space = meaning.NewSpace(slices.Values(s.index.All()), meaning.SpaceOptions{})
	for i := range events {
		e := &events[i]
		taste := s.tastes[e.Shopper]
		if taste == nil {
			taste = &meaning.State{}
			s.tastes[e.Shopper] = taste
		}
		taste.Fold(e, s.index.Get, s.space, ms)
	}
	var vectors []meaning.Vector
	for _, id := range sorted(s.tastes) {
		vectors = append(vectors, s.tastes[id].Vector(s.space))
	}
	var err error
	began := time.Now()
	if s.model, err = meaning.Fit(context.Background(), s.space, vectors, meaning.Options{Seed: 1, Workers: 2}); err != nil {
		t.Fatal(err)
	}
	t.Logf("fit of %d clusters on %d shoppers: %v, silhouette %.3f", len(s.model.Clusters), len(vectors), time.Since(began).Round(time.Millisecond), s.model.Silhouette(vectors))
	shares := map[string][]catalogue.Share{}
	for id, taste := range s.tastes {
		shares[id] = s.shares(taste)
	}
	counts := catalogue.NewCounts(cs, 0)
	for i := range events {
		e := &events[i]
		st := s.states[e.Shopper]
		if st == nil {
			st = &catalogue.State{}
			s.states[e.Shopper], s.owned[e.Shopper] = st, map[string]bool{}
		}
		counts.Observe(e, st, shares[e.Shopper]...)
		st.Fold(e, s.index.Get, cs)
		for _, l := range e.Lines {
			s.owned[e.Shopper][l.Product] = true
		}
	}
	s.shelf = counts.Shelf(s.index, now, nil)
	return s
}

func (s *shop) shares(taste *meaning.State) []catalogue.Share {
	var out []catalogue.Share
	for _, n := range s.model.Nearest(taste.Vector(s.space), 3) {
		out = append(out, catalogue.Share{Cluster: n.ID, Weight: n.Weight})
	}
	return out
}

func sorted[V any](m map[string]V) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// Recall at 20 of products not bought before, on the orders after the cut, for shoppers known before it.
func TestRecallOnOnlineRetail(t *testing.T) {
	products, events := retailProducts(t), retailOrders(t)
	for _, cut := range []time.Time{time.Date(2011, 8, 1, 0, 0, 0, 0, time.UTC), time.Date(2011, 9, 9, 0, 0, 0, 0, time.UTC), time.Date(2011, 11, 9, 0, 0, 0, 0, time.UTC)} {
		n, _ := slices.BinarySearchFunc(events, cut, func(e juncture.Event, at time.Time) int { return e.At.Compare(at) })
		cs, ms := catalogue.Settings{Neighbours: 512, Bought: 512}, meaning.Settings{} // wholesalers: shoppers buy hundreds of products
		s := fit(t, events[:n], products, cut, cs, ms)
		later := map[string]map[string]bool{}
		for _, e := range events[n:] {
			if s.owned[e.Shopper] == nil {
				continue
			}
			for _, l := range e.Lines {
				if _, ok := s.index.Get(l.Product); ok && !s.owned[e.Shopper][l.Product] {
					if later[e.Shopper] == nil {
						later[e.Shopper] = map[string]bool{}
					}
					later[e.Shopper][l.Product] = true
				}
			}
		}
		ways := []struct {
			name string
			only []catalogue.Source
		}{
			{"trending in the store", []catalogue.Source{catalogue.FromStore}},
			{"taste clusters", []catalogue.Source{catalogue.FromCluster}},
			{"similar to bought", []catalogue.Source{catalogue.FromBought}},
			{"clusters and similar", []catalogue.Source{catalogue.FromCluster, catalogue.FromBought}},
			{"everything", nil},
		}
		t.Logf("orders from %s on: %d shoppers", cut.Format("2 January 2006"), len(later))
		for _, way := range ways {
			var recalls, capped []float64
			for _, id := range sorted(later) {
				picks := s.shelf.Fill(20, catalogue.Request{Now: cut, Shopper: s.states[id], Clusters: s.shares(s.tastes[id]), Exclude: sorted(s.owned[id]), Only: way.only})
				hits := 0
				for _, p := range picks {
					if later[id][p.ID] {
						hits++
					}
				}
				recalls = append(recalls, float64(hits)/float64(len(later[id])))
				capped = append(capped, float64(hits)/float64(min(20, len(later[id]))))
			}
			mean, lo, hi := bootstrap(recalls)
			if way.name == "clusters and similar" && cut.Month() == time.November && mean < 0.095 {
				t.Errorf("recall@20 in the last month is %.4f; the floor is 0.095", mean)
			}
			most, mlo, mhi := bootstrap(capped)
			t.Logf("  %-24s recall@20 %.4f (95%%: %.4f to %.4f)   of what 20 can hold %.4f (%.4f to %.4f)", way.name, mean, lo, hi, most, mlo, mhi)
		}
	}
}

// bootstrap returns the mean with its 95% percentile interval over 1,000 resamples.
func bootstrap(xs []float64) (mean, lo, hi float64) {
	rng := rand.New(rand.NewPCG(1, 2))
	means := make([]float64, 1000)
	for b := range means {
		for range xs {
			means[b] += xs[rng.IntN(len(xs))]
		}
		means[b] /= float64(len(xs))
	}
	for _, x := range xs {
		mean += x
	}
	slices.Sort(means)
	return mean / float64(len(xs)), means[25], means[974]
}

package catalogue_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/layers"
	"github.com/juncture/juncture/layers/catalogue"
	"github.com/juncture/juncture/layers/meaning"
)

// shop is a store built from orders as the product does it, with default settings: every event is folded into a profile
// and counted beside the profile before it.
type shop struct {
	know     layers.Knowledge
	profiles map[string]*layers.Profile
	owned    map[string]map[string]bool
	shelf    *catalogue.Shelf
}

func fit(t testing.TB, events []juncture.Event, products []juncture.Product, now time.Time) *shop {
	t.Helper()
	index := catalogue.NewIndex(0)
	if err := index.Put(products...); err != nil {
		t.Fatal(err)
	}
	space := meaning.NewSpace(func(yield func(*juncture.Product) bool) {
		for _, p := range index.All() {
			if !yield(p) {
				return
			}
		}
	}, meaning.SpaceOptions{})
	s := &shop{profiles: map[string]*layers.Profile{}, owned: map[string]map[string]bool{},
		know: layers.Knowledge{Index: index, Goods: meaning.NewGoods(space, func(key uint64) (*juncture.Product, bool) { return index.ByKey(catalogue.Key(key)) }, 0)}}
	of := func(id string) *layers.Profile {
		if s.profiles[id] == nil {
			s.profiles[id], s.owned[id] = &layers.Profile{}, map[string]bool{}
		}
		return s.profiles[id]
	}
	for i := range events {
		of(events[i].Shopper).Fold(events[i])
	}
	var vectors []meaning.Vector
	for _, id := range sorted(s.profiles) {
		taste, _ := s.profiles[id].Taste(s.know, layers.Settings{})
		vectors = append(vectors, taste.Vector)
	}
	var err error
	began := time.Now()
	if s.know.Model, err = meaning.Fit(context.Background(), space, vectors, meaning.Options{Seed: 1, Workers: 2}); err != nil {
		t.Fatal(err)
	}
	t.Logf("fit of %d clusters on %d shoppers: %v, silhouette %.3f", len(s.know.Model.Clusters), len(vectors), time.Since(began).Round(time.Millisecond), s.know.Model.Silhouette(vectors))
	// As after a refit: the latest events are counted anew, each with the clusters that the shopper was near at the time.
	clear(s.profiles)
	counts := catalogue.NewCounts(catalogue.Settings{}, 0)
	for i := range events {
		e := &events[i]
		p := of(e.Shopper)
		before := p.Goods.Clone()
		p.Fold(*e)
		counts.Observe(e, &before, p.Shares(s.know, layers.Settings{})...)
		for _, l := range e.Lines {
			s.owned[e.Shopper][l.Product] = true
		}
	}
	s.shelf = counts.Shelf(index, now)
	return s
}

func day(month time.Month, d int) time.Time { return time.Date(2011, month, d, 0, 0, 0, 0, time.UTC) }

func sorted[V any](m map[string]V) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// Recall at 20 of products not bought before, on the orders of the 30 days after the cut, for shoppers known before it. The
// weights of sources and pairs, and how clusters recommend, were chosen by what the first four cuts say; the last, whose
// orders come after all of theirs, is the one to judge by.
func TestRecallOnOnlineRetail(t *testing.T) {
	products, events := retailProducts(t), retailOrders(t)
	for _, cut := range []time.Time{day(7, 1), day(8, 1), day(9, 1), day(10, 9), day(11, 9)} {
		before := func(e juncture.Event, at time.Time) int { return e.At.Compare(at) }
		n, _ := slices.BinarySearchFunc(events, cut, before)
		end, _ := slices.BinarySearchFunc(events, cut.AddDate(0, 0, 30), before)
		s := fit(t, events[:n], products, cut)
		later := map[string]map[string]bool{}
		for _, e := range events[n:end] {
			if s.owned[e.Shopper] == nil {
				continue
			}
			for _, l := range e.Lines {
				if _, ok := s.know.Index.Get(l.Product); ok && !s.owned[e.Shopper][l.Product] {
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
		t.Logf("orders of the 30 days from %s on: %d shoppers", cut.Format("2 January 2006"), len(later))
		for _, way := range ways {
			var recalls, capped []float64
			for _, id := range sorted(later) {
				shares, near := s.profiles[id].Leanings(s.know, layers.Settings{})
				picks := s.shelf.Fill(20, catalogue.Request{Now: cut, Shopper: &s.profiles[id].Goods, Clusters: shares, Near: near, Exclude: sorted(s.owned[id]), Only: way.only})
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
			if (way.name == "everything" || way.name == "taste clusters") && cut.Month() == time.November && mean < 0.095 {
				t.Errorf("%s: recall@20 in the last month is %.4f; the floor is 0.095", way.name, mean)
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

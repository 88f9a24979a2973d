package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/internal/testkit"
	"github.com/juncture/juncture/store"
)

// since reads what changed after a number.
func since(t testing.TB, db *store.DB, after int64) (ids []string, last int64) {
	t.Helper()
	last, err := db.ProductsSince(context.Background(), after, func(p juncture.Product) error { ids = append(ids, p.ID); return nil })
	check(t, err)
	return ids, last
}

func products(t *testing.T, open func(t *testing.T) *store.DB) {
	ctx := context.Background()
	now := testkit.Epoch()
	dress := juncture.Product{ID: "p1", Title: "Dress", Category: "dresses", Tags: []string{"red", "silk"}, Brand: "b", Price: 1999, Compare: 2999, Margin: 500,
		Stock: -1, Image: "https://i.example/1", URL: "https://s.example/1", Created: now, Attrs: map[string]string{"season": "summer", "colour": "red"}}
	put := func(t *testing.T, db *store.DB, want int, products ...juncture.Product) {
		t.Helper()
		if n, err := db.PutProducts(ctx, products, now); n != want || err != nil {
			t.Errorf("%d changed, %v; want %d", n, err, want)
		}
	}
	t.Run("AProductIsReadAsItWasPut", func(t *testing.T) {
		db := open(t)
		put(t, db, 2, dress, juncture.Product{ID: "p2"})
		got, err := db.Products(ctx, []string{"p2", "none", "p1"})
		check(t, err)
		if diff := cmp.Diff([]juncture.Product{{ID: "p2"}, dress}, got); diff != "" {
			t.Error(diff)
		}
		if n, err := db.CountProducts(ctx); n != 2 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		if got, err := db.Products(ctx, nil); len(got) != 0 || err != nil {
			t.Errorf("of no ids: %v, %v", got, err)
		}
	})
	t.Run("OnlyWhatChangedComesAgain", func(t *testing.T) {
		db := open(t)
		put(t, db, 0)
		put(t, db, 3, dress, juncture.Product{ID: "p2"}, juncture.Product{ID: "p3"})
		ids, last := since(t, db, 0)
		if !slices.Equal(ids, []string{"p1", "p2", "p3"}) || last != 3 {
			t.Errorf("%v to %d", ids, last)
		}
		same := dress // the same product, said otherwise
		same.Created = dress.Created.In(time.FixedZone("", 3600))
		put(t, db, 0, same, juncture.Product{ID: "p2", Tags: []string{}, Attrs: map[string]string{}})
		if ids, last := since(t, db, 3); len(ids) != 0 || last != 3 {
			t.Errorf("nothing changed: %v to %d", ids, last)
		}
		hidden := dress
		hidden.Hidden = true
		put(t, db, 1, juncture.Product{ID: "p3"}, hidden)
		if ids, last := since(t, db, 3); !slices.Equal(ids, []string{"p1"}) || last != 4 {
			t.Errorf("%v to %d", ids, last)
		}
		if got, err := db.Products(ctx, []string{"p1"}); err != nil || len(got) != 1 || !got[0].Hidden {
			t.Errorf("withdrawn: %+v, %v", got, err)
		}
	})
	t.Run("AReaderThatStopsGoesOnThere", func(t *testing.T) {
		db := open(t)
		put(t, db, 3, juncture.Product{ID: "a"}, juncture.Product{ID: "b"}, juncture.Product{ID: "c"})
		stop := errors.New("stop")
		last, err := db.ProductsSince(ctx, 0, func(p juncture.Product) error {
			if p.ID == "b" {
				return stop
			}
			return nil
		})
		if ids, _ := since(t, db, last); !errors.Is(err, stop) || !slices.Equal(ids, []string{"b", "c"}) {
			t.Errorf("after %d: %v, %v", last, ids, err)
		}
	})
	t.Run("AllOrNothing", func(t *testing.T) {
		db := open(t)
		_, err := db.PutProducts(ctx, []juncture.Product{dress, {}}, now)
		code(t, "a product without an id", err, juncture.CodeInvalidRequest)
		if n, err := db.CountProducts(ctx); n != 0 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
	t.Run("ManyAtOnce", func(t *testing.T) {
		db := open(t)
		var ids []string
		for i := range 1200 {
			ids = append(ids, fmt.Sprint("p", i))
		}
		var wg sync.WaitGroup
		for chunk := range slices.Chunk(ids, 300) { // beside one another
			wg.Go(func() {
				var some []juncture.Product
				for _, id := range chunk {
					some = append(some, juncture.Product{ID: id})
				}
				put(t, db, len(some), some...)
			})
		}
		wg.Wait()
		got, err := db.Products(ctx, ids)
		check(t, err)
		all, last := since(t, db, 0)
		if len(got) != 1200 || got[777].ID != "p777" || len(all) != 1200 || last != 1200 {
			t.Errorf("%d by id, %d in order to %d", len(got), len(all), last)
		}
	})
	t.Run("WhoPollsHasWhatIsThere", func(t *testing.T) {
		rapid.Check(t, func(r *rapid.T) {
			db := open(t)
			mine, want := map[string]int64{}, map[string]int64{}
			var last int64
			for range rapid.IntRange(1, 8).Draw(r, "steps") {
				var some []juncture.Product
				for range rapid.IntRange(0, 4).Draw(r, "products") {
					p := juncture.Product{ID: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(r, "id"), Price: rapid.Int64Range(0, 2).Draw(r, "price")}
					some = append(some, p)
					want[p.ID] = p.Price
				}
				_, err := db.PutProducts(ctx, some, now)
				check(t, err)
				if rapid.Bool().Draw(r, "polls") {
					last, err = db.ProductsSince(ctx, last, func(p juncture.Product) error { mine[p.ID] = p.Price; return nil })
					check(t, err)
				}
			}
			_, err := db.ProductsSince(ctx, last, func(p juncture.Product) error { mine[p.ID] = p.Price; return nil })
			check(t, err)
			if diff := cmp.Diff(want, mine); diff != "" {
				r.Error(diff)
			}
		})
	})
}

func tastes(t *testing.T, open func(t *testing.T) *store.DB) {
	ctx := context.Background()
	now := testkit.Epoch()
	t.Run("AModelFollowsTheLatest", func(t *testing.T) {
		db := open(t)
		if m, err := db.Model(ctx); m.Version != 0 || err != nil {
			t.Errorf("%+v, %v", m, err)
		}
		if v, err := db.ModelVersion(ctx); v != 0 || err != nil {
			t.Errorf("%d, %v", v, err)
		}
		var want []juncture.TasteModel
		for v := int64(1); v <= 12; v++ {
			m := juncture.TasteModel{At: now.Add(time.Duration(v) * time.Hour), Actor: "ada", Moved: int(v), Of: 100, Body: fmt.Append(nil, "body ", v)}
			got, err := db.SaveModel(ctx, m, v-1)
			if got != v || err != nil {
				t.Fatalf("version %d, %v", got, err)
			}
			m.Version = v
			if latest, err := db.Model(ctx); err != nil || !cmp.Equal(latest, m) {
				t.Errorf("%+v, %v; want %+v", latest, err, m)
			}
			if latest, err := db.ModelVersion(ctx); err != nil || latest != v {
				t.Errorf("%d, %v; want %d", latest, err, v)
			}
			m.Body = nil
			want = append([]juncture.TasteModel{m}, want...)
		}
		for _, was := range []int64{0, 11, 13} {
			v, err := db.SaveModel(ctx, juncture.TasteModel{}, was)
			code(t, fmt.Sprint("after version ", was), err, juncture.CodeDecisionConflict)
			if v != 0 {
				t.Errorf("version %d", v)
			}
		}
		for _, limit := range []int{3, 100} {
			got, err := db.Models(ctx, limit)
			check(t, err)
			if diff := cmp.Diff(want[:min(limit, 12)], got); diff != "" {
				t.Error(diff)
			}
		}
	})
	t.Run("OneOfManyAtOnceIsSaved", func(t *testing.T) {
		db := open(t)
		const writers, rounds = 8, 5
		for round := range int64(rounds) {
			var wg sync.WaitGroup
			var mu sync.Mutex
			var won []byte
			for i := range byte(writers) {
				wg.Go(func() {
					_, err := db.SaveModel(ctx, juncture.TasteModel{At: now, Body: []byte{i}}, round)
					if err == nil {
						mu.Lock()
						won = append(won, i)
						mu.Unlock()
					} else {
						code(t, "the others", err, juncture.CodeDecisionConflict)
					}
				})
			}
			wg.Wait()
			if m, err := db.Model(ctx); len(won) != 1 || err != nil || m.Version != round+1 || !bytes.Equal(m.Body, won) {
				t.Errorf("%v won, and the model is %+v, %v", won, m, err)
			}
		}
	})
}

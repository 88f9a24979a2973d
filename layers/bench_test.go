package layers_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/layers"
	"github.com/juncture/juncture/layers/catalogue"
	"github.com/juncture/juncture/layers/meaning"
)

// department is a store of 4,000 products in 40 categories, with words, brands and colours to have a taste for, and 32
// clusters learnt from 1,000 shoppers.
func department(b *testing.B) (layers.Knowledge, []juncture.Product) {
	b.Helper()
	words := []string{"oak", "linen", "velvet", "copper", "marble", "paper", "cotton", "glass", "wool", "cedar", "felt", "pine", "silver", "jute", "clay", "silk"}
	rng := rand.New(rand.NewPCG(5, 6))
	word := func() string { return words[rng.IntN(len(words))] }
	var products []juncture.Product
	for i := range 4000 {
		c := i % 40
		products = append(products, juncture.Product{ID: fmt.Sprint("product-", i), Title: fmt.Sprint(word(), " ", word(), " ", words[c%16], words[c/16]), Category: fmt.Sprint("kind ", words[c%16], words[c/16]),
			Brand: fmt.Sprint("house of ", words[i/40%16]), Price: int64(500 + rng.IntN(20000)), Stock: 5, Attrs: map[string]string{"colour": word()}})
	}
	index := catalogue.NewIndex(0)
	if err := index.Put(products...); err != nil {
		b.Fatal(err)
	}
	space := meaning.NewSpace(slices.Values(index.All()), meaning.SpaceOptions{})
	k := layers.Knowledge{Index: index, Goods: meaning.NewGoods(space, func(key uint64) (*juncture.Product, bool) { return index.ByKey(catalogue.Key(key)) }, 0)}
	var vectors []meaning.Vector
	for i := range 1000 {
		taste, _ := shopping(products, 20, i).Taste(k, layers.Settings{})
		vectors = append(vectors, taste.Vector)
	}
	var err error
	if k.Model, err = meaning.Fit(context.Background(), space, vectors, meaning.Options{K: 32, Seed: 1}); err != nil {
		b.Fatal(err)
	}
	return k, products
}

// shopping is a shopper who views two products for each one bought, of one category for every fifty and one, over two months: n in all.
func shopping(products []juncture.Product, n, seed int) *layers.Profile {
	p := &layers.Profile{}
	rng := rand.New(rand.NewPCG(uint64(seed), 8))
	for i := range n {
		product := products[(seed*7+rng.IntN(1+n/50)*13)%40+40*rng.IntN(100)]
		e := juncture.Event{ID: fmt.Sprint(i), Kind: juncture.EventProductViewed, Shopper: "ada", At: day0().Add(time.Duration(i) * 60 * 24 * time.Hour / time.Duration(n)),
			Lines: []juncture.Line{{Product: product.ID, Category: product.Category, Quantity: 1, Price: product.Price}}}
		if i%3 == 0 || n > 100 { // a wholesaler's are all bought
			e.Kind, e.Order = juncture.EventOrderCompleted, fmt.Sprint("order-", i)
		}
		p.Fold(e)
	}
	return p
}

func BenchmarkDescribe(b *testing.B) {
	k, products := department(b)
	for _, c := range []struct {
		who string
		n   int
	}{{"typical-20-products", 20}, {"wholesaler-500-products", 650}} { // of 650 drawn, 500 or so are different
		p := shopping(products, c.n, 3)
		now := p.LastSeen().Add(time.Hour)
		b.Run(c.who+"/moment-and-trajectory", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.Head.Moment.Describe(now, layers.Settings{}.Moment)
				p.Head.Trajectory.Describe(now)
			}
		})
		b.Run(c.who+"/nothing-learnt", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				layers.Describe(p, now, layers.Settings{}, layers.Knowledge{})
			}
		})
		b.Run(c.who+"/all-four", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				layers.Describe(p, now, layers.Settings{}, k)
			}
			b.ReportMetric(float64(len(p.Goods.Viewed)+len(p.Goods.Bought)), "products")
			b.ReportMetric(float64(p.Size()), "memory-B")
		})
		b.Run(c.who+"/shares", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.Shares(k, layers.Settings{})
			}
		})
		b.Run(c.who+"/fold", func(b *testing.B) {
			b.ReportAllocs()
			q := p.Clone()
			e := juncture.Event{Kind: juncture.EventProductViewed, Shopper: "ada", At: p.LastSeen(), Lines: []juncture.Line{{Product: "x", Category: "y", Quantity: 1}}}
			ids, names := make([]string, 4096), make([]string, 4096)
			for i := range ids {
				ids[i], names[i] = fmt.Sprint("id", i), fmt.Sprint("product-", i%4000)
			}
			for i := 0; b.Loop(); i++ {
				e.ID, e.At, e.Lines[0].Product = ids[i%4096], e.At.Add(time.Second), names[i%4096]
				q.Fold(e)
			}
		})
	}
}

package meaning_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/layers/meaning"
)

// BenchmarkTaste adds up the touches of a typical shopper and of a wholesaler.
func BenchmarkTaste(b *testing.B) {
	products := garments()
	space := meaning.NewSpace(slices.Values(products), meaning.SpaceOptions{})
	g := goods(space, products)
	for _, n := range []int{20, 500} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var touches []meaning.Touch
			for i := range n {
				touches = append(touches, touch(juncture.EventOrderCompleted, t0.Add(time.Duration(i)*time.Hour), products[i%60].ID)...)
			}
			b.ReportAllocs()
			for b.Loop() {
				g.Taste(touches, meaning.Settings{})
			}
		})
	}
}

// shoppers draws n tastes of 40 attributes each from k profiles over dim attributes.
func shoppers(n, k, dim int) []meaning.Vector {
	rng := rand.New(rand.NewPCG(3, 4))
	out := make([]meaning.Vector, n)
	for i := range out {
		own := rng.IntN(k)
		dims := map[int32]bool{}
		for len(dims) < 40 {
			d := int32(rng.IntN(dim))
			if rng.IntN(4) > 0 { // three in four from the profile's own eighty, the first most often
				d = int32((own*7919 + int(80*math.Pow(rng.Float64(), 2))*31) % dim)
			}
			dims[d] = true
		}
		var v meaning.Vector
		for d := range dims {
			v.Dims = append(v.Dims, d)
		}
		slices.Sort(v.Dims)
		for range v.Dims {
			v.Values = append(v.Values, float32(1/math.Sqrt(40)))
		}
		out[i] = v
	}
	return out
}

// wide is a space of so many attributes.
func wide(dim int) *meaning.Space {
	var products []*juncture.Product
	for i := range 2 * dim {
		products = append(products, &juncture.Product{ID: string(rune(i)), Brand: "b" + string([]rune{rune('a' + i/2%26), rune('a' + i/52%26), rune('a' + i/1352)})})
	}
	return meaning.NewSpace(slices.Values(products), meaning.SpaceOptions{MinProducts: 1, MaxAttributes: dim})
}

func BenchmarkAssign(b *testing.B) {
	space := wide(2048)
	vs := shoppers(20000, 300, space.Dim())
	m, err := meaning.Fit(context.Background(), space, vs, meaning.Options{K: 300, Seed: 1, Workers: 2, Iterations: 20})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		m.Assign(vs[i%len(vs)])
		i++
	}
	b.ReportMetric(float64(len(m.Clusters)), "clusters")
}

// The refit of the issue: 100,000 shoppers, 300 clusters. It takes seconds, so it runs with JUNCTURE_EVALUATE=1 alone.
func BenchmarkRefit(b *testing.B) {
	if os.Getenv("JUNCTURE_EVALUATE") != "1" {
		b.Skip("takes seconds: set JUNCTURE_EVALUATE=1 to run it")
	}
	space := wide(2048)
	vs := shoppers(100_000, 300, space.Dim())
	for _, workers := range []int{1, 2} {
		b.Run(map[int]string{1: "1worker", 2: "2workers"}[workers], func(b *testing.B) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			clusters := 0
			for b.Loop() {
				m, err := meaning.Fit(context.Background(), space, vs, meaning.Options{K: 300, Seed: 1, Workers: workers})
				if err != nil {
					b.Fatal(err)
				}
				clusters = len(m.Clusters)
			}
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(clusters), "clusters")
			b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/float64(b.N)/1e6, "MB-allocated")
		})
	}
}

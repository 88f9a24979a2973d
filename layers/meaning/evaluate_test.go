package meaning_test

import (
	"compress/gzip"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/layers"
	"github.com/juncture/juncture/layers/catalogue"
	"github.com/juncture/juncture/layers/meaning"
)

// table reads a file of the measurement data as rows by column; the test is skipped where it is not wanted or not there.
func table(t testing.TB, name string) []map[string]string {
	t.Helper()
	if os.Getenv("JUNCTURE_EVALUATE") != "1" {
		t.Skip("an evaluation: set JUNCTURE_EVALUATE=1 to run it")
	}
	file, err := os.Open(filepath.Join("..", "..", "..", "shared", "data", filepath.FromSlash(name)))
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("the data of the evaluation is not here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var r io.Reader = file
	if strings.HasSuffix(name, ".gz") {
		if r, err = gzip.NewReader(file); err != nil {
			t.Fatal(err)
		}
	}
	c := csv.NewReader(r)
	c.FieldsPerRecord, c.LazyQuotes = -1, true
	all, err := c.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var out []map[string]string
	for _, row := range all[1:] {
		m := map[string]string{}
		for i, v := range row[:min(len(row), len(all[0]))] {
			m[all[0][i]] = v
		}
		out = append(out, m)
	}
	return out
}

func cents(s string) int64 {
	x, _ := strconv.ParseFloat(s, 64)
	return int64(100*x + 0.5)
}

// fashion is the fashion catalogue: no titles and no prices; its gender column is dropped by the deny-list.
func fashion(t testing.TB) []*juncture.Product {
	var out []*juncture.Product
	for _, r := range table(t, "catalogue/fashion_styles.csv.gz") {
		out = append(out, &juncture.Product{ID: r["id"], Category: strings.ToLower(r["articleType"]), Stock: -1, Attrs: map[string]string{
			"gender": r["gender"], "colour": r["baseColour"], "season": r["season"], "usage": r["usage"], "year": r["year"], "group": r["subCategory"]}})
	}
	return out
}

// shopify joins the variants of the three exports into products.
func shopify(t testing.TB) []*juncture.Product {
	byHandle := map[string]*juncture.Product{}
	var out []*juncture.Product
	for _, name := range []string{"apparel", "home", "jewelery"} {
		for _, r := range table(t, "catalogue/shopify_"+name+".csv") {
			if r["Title"] == "" || byHandle[r["Handle"]] != nil {
				continue
			}
			p := &juncture.Product{ID: r["Handle"], Title: r["Title"], Category: strings.ToLower(r["Type"]), Brand: r["Vendor"], Price: cents(r["Variant Price"]), Stock: -1}
			for tag := range strings.SplitSeq(strings.ToLower(r["Tags"]), ",") {
				if tag = strings.TrimSpace(tag); tag != "" {
					p.Tags = append(p.Tags, tag)
				}
			}
			byHandle[r["Handle"]] = p
			out = append(out, p)
		}
	}
	return out
}

// profiled gives the tastes of profiles that events were folded into, with default settings, in the order of first events.
func profiled(t testing.TB, space *meaning.Space, products []*juncture.Product, events []juncture.Event) []meaning.Taste {
	index := catalogue.NewIndex(0)
	for _, p := range products {
		if err := index.Put(*p); err != nil {
			t.Fatal(err)
		}
	}
	know := layers.Knowledge{Index: index, Goods: meaning.NewGoods(space, func(key uint64) (*juncture.Product, bool) { return index.ByKey(catalogue.Key(key)) }, 0)}
	byShopper := map[string]*layers.Profile{}
	var order []string
	for _, e := range events {
		p := byShopper[e.Shopper]
		if p == nil {
			p = &layers.Profile{}
			byShopper[e.Shopper] = p
			order = append(order, e.Shopper)
		}
		p.Fold(e)
	}
	var out []meaning.Taste
	for _, id := range order {
		taste, _ := byShopper[id].Taste(know, layers.Settings{})
		out = append(out, taste)
	}
	return out
}

// retail gives each shopper of Online Retail one taste from the orders. An order of more products than an event holds
// comes in several.
func retail(t testing.TB) (*meaning.Space, []meaning.Taste) {
	var products []*juncture.Product
	for _, r := range table(t, "catalogue/online_retail_products.csv.gz") {
		products = append(products, &juncture.Product{ID: r["StockCode"], Title: strings.TrimSpace(r["description"]), Price: cents(r["median_price"]), Stock: -1})
	}
	var events []juncture.Event
	last := map[string]int{} // of an invoice, its last event
	for _, r := range table(t, "transactions/online_retail.csv.gz") {
		if strings.HasPrefix(r["InvoiceNo"], "C") {
			continue
		}
		at, err := time.Parse(time.RFC3339, r["InvoiceDate"])
		if err != nil {
			t.Fatal(err)
		}
		i, ok := last[r["InvoiceNo"]]
		if !ok || len(events[i].Lines) == juncture.MaxLines {
			i = len(events)
			last[r["InvoiceNo"]] = i
			events = append(events, juncture.Event{ID: fmt.Sprint(r["InvoiceNo"], "-", i), Kind: juncture.EventOrderCompleted, Shopper: r["CustomerID"], Order: r["InvoiceNo"], At: at})
		}
		events[i].Lines = append(events[i].Lines, juncture.Line{Product: r["StockCode"], Quantity: 1})
	}
	space := meaning.NewSpace(slices.Values(products), meaning.SpaceOptions{})
	return space, profiled(t, space, products, events)
}

// browsers simulates shoppers of a catalogue without orders: each likes two categories, and of two attributes one value,
// and views products four times as often when they fit. It stands in for events that the data does not have.
func browsers(t testing.TB, products []*juncture.Product, space *meaning.Space, n int) []meaning.Taste {
	rng := rand.New(rand.NewPCG(9, 9))
	byCategory := map[string][]*juncture.Product{}
	for _, p := range products {
		byCategory[p.Category] = append(byCategory[p.Category], p)
	}
	var events []juncture.Event
	for i := range n {
		like := products[rng.IntN(len(products))]
		other := products[rng.IntN(len(products))]
		for j := range 12 {
			from := byCategory[like.Category]
			if rng.IntN(4) == 0 {
				from = byCategory[other.Category]
			}
			p := from[rng.IntN(len(from))]
			for tries := 0; tries < 4 && p.Attrs["colour"] != like.Attrs["colour"]; tries++ {
				p = from[rng.IntN(len(from))]
			}
			events = append(events, juncture.Event{ID: fmt.Sprint(i, "-", j), Kind: juncture.EventProductViewed, Shopper: fmt.Sprint(i), At: t0.Add(time.Duration(j) * time.Hour),
				Lines: []juncture.Line{{Product: p.ID, Category: p.Category, Quantity: 1}}})
		}
	}
	return profiled(t, space, products, events)
}

func TestClustersOnRealData(t *testing.T) {
	styles, exports := fashion(t), shopify(t)
	sets := []struct {
		name  string
		space *meaning.Space
		crowd []meaning.Taste
		o     meaning.Options
	}{
		{name: "Online Retail, shoppers by their orders", o: meaning.Options{Seed: 1, Workers: 2}},
		{name: "fashion catalogue, simulated shoppers", space: meaning.NewSpace(slices.Values(styles), meaning.SpaceOptions{}), o: meaning.Options{Seed: 1, Workers: 2}},
		{name: "three Shopify exports, simulated shoppers", space: meaning.NewSpace(slices.Values(exports), meaning.SpaceOptions{}), o: meaning.Options{Seed: 1, Workers: 2}},
	}
	sets[0].space, sets[0].crowd = retail(t)
	sets[1].crowd = browsers(t, styles, sets[1].space, 6000)
	sets[2].crowd = browsers(t, exports, sets[2].space, 600)
	for _, set := range sets {
		vs := vectors(set.crowd)
		began := time.Now()
		m, err := meaning.Fit(context.Background(), set.space, vs, set.o)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d shoppers, %d attributes of %d products; %d clusters in %v", set.name, len(vs), set.space.Dim(), set.space.Products, len(m.Clusters), time.Since(began).Round(time.Millisecond))
		for _, tr := range m.Trials {
			t.Logf("    k %3d: foretells %.4f ± %.4f, silhouette %.3f", tr.K, tr.Foretold, tr.Error, tr.Silhouette)
		}
		lo, mid, hi := stability(t, m, set.space, vs, nil)
		slo, smid, shi := stability(t, m, set.space, vs, m)
		t.Logf("    silhouette %.3f, cohesion %.3f; adjusted Rand index with refits on ten random four fifths of the shoppers: from nothing %.2f (%.2f to %.2f), from the model in use, as the schedule does, %.2f (%.2f to %.2f)",
			m.Silhouette(vs), m.Cohesion(vs), mid, lo, hi, smid, slo, shi)
		seen := map[string]bool{}
		for i, c := range m.Clusters {
			if seen[c.Name] || !juncture.ValidLayerValue(c.ID) {
				t.Errorf("cluster %q (%s) is not unique or no layer value", c.Name, c.ID)
			}
			seen[c.Name] = true
			if i < 40 {
				t.Logf("    %5d  %-44s %s", c.Size, c.Name, strings.Join(c.Top[:min(5, len(c.Top))], ", "))
			}
		}
	}
}

// stability refits on resamples, matches the ids, and compares the assignments of all shoppers: lowest, median, highest
// of ten.
func stability(t *testing.T, m *meaning.Model, space *meaning.Space, vs []meaning.Vector, start *meaning.Model) (lo, mid, hi float64) {
	label := func(m *meaning.Model) (out []string) {
		for _, v := range vs {
			a, _ := m.Assign(v)
			out = append(out, a.ID)
		}
		return
	}
	first := label(m)
	var rands []float64
	for b := range 10 {
		rng := rand.New(rand.NewPCG(uint64(b), 77))
		var part []meaning.Vector
		for _, v := range vs {
			if rng.IntN(5) > 0 {
				part = append(part, v)
			}
		}
		fresh, err := meaning.Fit(context.Background(), space, part, meaning.Options{K: len(m.Clusters), Seed: uint64(100 + b), Workers: 2, Start: start})
		if err != nil {
			t.Fatal(err)
		}
		again, mt := meaning.Match(m, fresh)
		var sims []float64
		for _, k := range mt.Kept {
			sims = append(sims, k.Similarity)
		}
		slices.Sort(sims)
		if b == 0 {
			t.Logf("    a refit keeps %d ids, at similarities from %.2f, median %.2f; %d new", len(sims), sims[0], sims[len(sims)/2], len(mt.New))
		}
		rands = append(rands, meaning.AdjustedRand(first, label(again)))
	}
	slices.Sort(rands)
	return rands[0], (rands[4] + rands[5]) / 2, rands[9]
}

// The same shoppers and one more, ten times: every id lives on, and few shoppers move.
func TestClustersOnRealDataStayWhenShoppersCome(t *testing.T) {
	styles := fashion(t)
	space := meaning.NewSpace(slices.Values(styles), meaning.SpaceOptions{})
	all := browsers(t, styles, space, 6010)
	for _, n := range []int{300, 600, 1500, 3000, 6000} {
		steady(t, space, vectors(all[:n+10]), n)
	}
}

// A store grows from 50 shoppers to 12,000, learning again at every quarter more: the number of clusters follows what the
// shoppers can tell, a step at a time, and ends where learning from nothing would be no better.
func TestClustersOnRealDataGrowWithTheStore(t *testing.T) {
	styles := fashion(t)
	space := meaning.NewSpace(slices.Values(styles), meaning.SpaceOptions{})
	vs := vectors(browsers(t, styles, space, 12_000))
	keys := make([]uint64, len(vs))
	for j := range keys {
		keys[j] = meaning.KeyOf(fmt.Sprint("shopper-", j))
	}
	var m *meaning.Model
	for n := 50; n <= len(vs); n = n*5/4 + 1 {
		fitted, err := meaning.Fit(context.Background(), space, vs[:n], meaning.Options{Seed: 1, Workers: 2, Start: m, Keys: keys[:n]})
		if err != nil {
			t.Fatal(err)
		}
		next, mt := meaning.Match(m, fitted)
		if m != nil {
			if k := len(m.Clusters); len(next.Clusters) > k+max(1, k/2) || len(mt.Retired) > 1+k/10 { // a step is 41% at most
				t.Errorf("%d shoppers: from %d clusters to %d, retired %v", n, k, len(next.Clusters), mt.Retired)
			}
		}
		t.Logf("%d shoppers: %d clusters, %d new, %d retired", n, len(next.Clusters), len(mt.New), len(mt.Retired))
		m = next
	}
	nothing, err := meaning.Fit(context.Background(), space, vs, meaning.Options{Seed: 1, Workers: 2, Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	grown, fresh := m.Trials[0].Foretold, 0.0 // of the number that was held; of the best from nothing
	for _, tr := range nothing.Trials {
		fresh = max(fresh, tr.Foretold)
	}
	t.Logf("grown: %d clusters, foretells %.3f; from nothing: %d clusters, the best number foretells %.3f", len(m.Clusters), grown, len(nothing.Clusters), fresh)
	if grown < 0.95*fresh {
		t.Errorf("foretells %.3f, from nothing %.3f", grown, fresh)
	}
}

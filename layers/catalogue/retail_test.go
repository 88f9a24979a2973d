package catalogue_test

import (
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/juncture/juncture"
)

// data opens a file of the measurement data; the test is skipped where it is not wanted or not there.
func data(t testing.TB, name string) io.Reader {
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
	t.Cleanup(func() { _ = file.Close() })
	if !strings.HasSuffix(name, ".gz") {
		return file
	}
	z, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// rows calls f with each row of a CSV file by column name.
func rows(t testing.TB, r io.Reader, f func(get func(column string) string)) {
	t.Helper()
	c := csv.NewReader(r)
	c.ReuseRecord = true
	c.LazyQuotes = true
	c.FieldsPerRecord = -1
	head, err := c.Read()
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]int{}
	for i, h := range slices.Clone(head) {
		at[strings.Clone(h)] = i
	}
	for {
		row, err := c.Read()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		f(func(column string) string {
			if i, ok := at[column]; ok && i < len(row) {
				return strings.Clone(row[i])
			}
			return ""
		})
	}
}

// merchandise reports whether a stock code is a product and not postage, a discount or a correction.
func merchandise(code string) bool {
	return len(code) >= 5 && code[0] >= '0' && code[0] <= '9'
}

// retailProducts reads the Online Retail catalogue: a title and a price, no categories.
func retailProducts(t testing.TB) []juncture.Product {
	var out []juncture.Product
	rows(t, data(t, "catalogue/online_retail_products.csv.gz"), func(get func(string) string) {
		if !merchandise(get("StockCode")) {
			return
		}
		price, _ := strconv.ParseFloat(get("median_price"), 64)
		out = append(out, juncture.Product{ID: get("StockCode"), Title: strings.TrimSpace(get("description")), Price: int64(100*price + 0.5), Stock: -1})
	})
	return out
}

// retailOrders reads the Online Retail orders, cancellations left out, in order of time.
func retailOrders(t testing.TB) []juncture.Event {
	byInvoice := map[string]*juncture.Event{}
	rows(t, data(t, "transactions/online_retail.csv.gz"), func(get func(string) string) {
		invoice, quantity := get("InvoiceNo"), get("Quantity")
		n, err := strconv.Atoi(quantity)
		if err != nil || n <= 0 || strings.HasPrefix(invoice, "C") || !merchandise(get("StockCode")) {
			return
		}
		at, err := time.Parse(time.RFC3339, get("InvoiceDate"))
		if err != nil {
			t.Fatal(err)
		}
		price, _ := strconv.ParseFloat(get("UnitPrice"), 64)
		e := byInvoice[invoice]
		if e == nil {
			e = &juncture.Event{ID: invoice, Kind: juncture.EventOrderCompleted, Name: "Order Completed", Shopper: get("CustomerID"), At: at, Order: invoice}
			byInvoice[invoice] = e
		}
		if !slices.ContainsFunc(e.Lines, func(l juncture.Line) bool { return l.Product == get("StockCode") }) {
			e.Lines = append(e.Lines, juncture.Line{Product: get("StockCode"), Quantity: n, Price: int64(100*price + 0.5)})
		}
	})
	var out []juncture.Event
	for _, id := range slices.Sorted(maps.Keys(byInvoice)) {
		e := byInvoice[id]
		n := 0
		for part := range slices.Chunk(e.Lines, juncture.MaxLines) { // a wholesaler's order comes in several events
			one := *e
			one.ID = fmt.Sprint(id, "-", n)
			n++
			one.Lines = part
			out = append(out, one)
		}
	}
	slices.SortStableFunc(out, func(a, b juncture.Event) int { return a.At.Compare(b.At) })
	return out
}

func percent(x float64) string { return fmt.Sprintf("%.1f%%", 100*x) }

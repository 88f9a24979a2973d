package intake

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/juncture/juncture"
)

func orderText(e juncture.Event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s %s %d", kindName(e.Kind), e.Shopper, e.Order, e.At.Format("2006-01-02T15:04"), e.Value)
	for _, l := range e.Lines {
		fmt.Fprintf(&b, " [%s]", strings.TrimSpace(fmt.Sprintf("%s x%d @%d %s", l.Product, l.Quantity, l.Price, l.Category)))
	}
	return b.String()
}

func TestReadOrders(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"Online Retail", `InvoiceNo,StockCode,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
536365,85123A,6,2010-12-01T08:26:00Z,2.55,17850,United Kingdom
536365,POST,1,2010-12-01T08:26:00Z,18.00,17850,United Kingdom
C536379,D,-1,2010-12-01T09:41:00Z,27.5,14527.0,United Kingdom
C536383,35004C,-2,12/1/2010 9:49,4.65,15311,United Kingdom
536400,1,1,2010-12-01,1,,United Kingdom
536400,2,1,2010-12-01,1,,United Kingdom
536401,1,x,2010-12-01,1,1,United Kingdom`,
			// 6 x 2.55 + 18.00 = 33.30: postage counts and is no product
			`order 17850 536365 2010-12-01T08:26 3330 [85123A x6 @255]
refunded 14527 C536379 2010-12-01T09:41 2750
refunded 15311 C536383 2010-12-01T09:49 930 [35004C x2 @465]
line 6: the order has no customer
line 8: the quantity "x" is not a number in range`},
		{"an order in each row", "customer_id,date,number_of_cds,dollar_value\n00001,19970101,1,11.77\n00001,19970101,1,11.77\n",
			"order 00001 * 1997-01-01T00:00 1177\norder 00001 * 1997-01-01T00:00 1177"},
		{"totals, status, return among purchases", `order_id,customer_id,date,product_id,category,quantity,price,total,status
o1,c1,2026-01-02,p1,Women/Dresses,1,10.00,25.00,paid
o1,c1,2026-01-02,p2,,1,20.00,,
o2,c1,2026-01-03,p1,,1,10,,refunded
o3,c1,2026-01-04,p1,,1,10,,cancelled
o1,c1,2026-01-05,p1,,1,10,,refund
o4,c2,2026-01-06,p1,,3,10,,
o4,c2,2026-01-06,p2,,-1,10,,
o5,c2,2026-01-06,p2,,1,10,,failed
o6,c2,never,p2,,1,10,,
o7,ann@example.com,2026-01-06,p2,,1,10,,
o8,c3,2026-01-06,p2,,1,10,,
o8,c4,2026-01-06,p2,,1,10,,`,
			`order c1 o1 2026-01-02T00:00 2500 [p1 x1 @1000 dresses] [p2 x1 @2000]
order c1 o2 2026-01-03T00:00 1000 [p1 x1 @1000]
refunded c1 o2 2026-01-03T00:00 0 [p1 x1 @1000]
order c1 o3 2026-01-04T00:00 1000 [p1 x1 @1000]
cancelled c1 o3 2026-01-04T00:00 0 [p1 x1 @1000]
refunded c1 o1 2026-01-05T00:00 1000 [p1 x1 @1000]
order c2 o4 2026-01-06T00:00 2000 [p1 x3 @1000]
line 9: order "o5" failed: it was none
line 10: the date "never" cannot be read; write 2026-11-20T09:30:00Z
line 11: the customer is an e-mail address; export ids
line 13: order "o8" has two customers`},
		{"JSON", `{"order_id":"o1","customer_id":12345678901234567890,"date":"2026-01-02T03:04:00Z","total":"12.50","currency":"GBP","products":[{"sku":"p1","price":6.25,"quantity":2}]}
{"type":"track","event":"Order Refunded","userId":"u1","timestamp":"2026-01-03T00:00:00Z","properties":{"order_id":"o1","total":5}}
{"type":"track","event":"Product Viewed","userId":"u1","timestamp":"2026-01-03T00:00:00Z"}
{"id":7,"customer":{"id":8},"created_at":"2026-01-02","total_price":"3.00","status":"cancelled","line_items":[{"product_id":9,"price":"3.00"}]}
{"order_id":"o1","customer_id":"c","date":"2026-01-02","total":1,"currency":"USD"}
7
{"order_id":"o1","date":"2026-01-02"}`,
			`order 12345678901234567890 o1 2026-01-02T03:04 1250 [p1 x2 @625]
refunded u1 o1 2026-01-03T00:00 500
line 3: "Product Viewed" is no order
cancelled 8 7 2026-01-02T00:00 0 [9 x1 @300]
line 5: the order is in "USD", not in GBP
line 6: an event is a JSON object
line 7: the order has no customer`},
		{"no customers", "order_id,date\n1,2026-01-01\n", "line 1: orders need a column of customers (customer_id) and one of dates (date)"},
		{"Shopify orders without ids", "Name,Email,Created at,Lineitem name\n#1,a@b.co,2026-01-01,x\n", "line 1: orders need a column customer_id; e-mail addresses are not taken as ids"},
		{"empty", "", "the file is empty"},
	} {
		var out, ids []string
		for e, err := range ReadOrders(strings.NewReader(c.in), "GBP") {
			if err != nil {
				out = append(out, err.Error())
				continue
			}
			if strings.HasPrefix(e.Order, "row-") {
				e.Order = "*"
			}
			out, ids = append(out, orderText(e)), append(ids, e.ID)
		}
		if got := strings.Join(out, "\n"); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, c.want)
		}
		again := 0
		seen := map[string]bool{}
		for e, err := range ReadOrders(strings.NewReader(c.in), "GBP") {
			if err == nil {
				if e.ID != ids[again] || seen[e.ID] {
					t.Errorf("%s: id %s, was %s", c.name, e.ID, ids[again])
				}
				seen[e.ID] = true
				again++
			}
		}
	}
}

// The sums were taken by another program, with decimal arithmetic: 14,786 invoices of 2,924 customers, 2,452 with a C.
func TestReadOrdersShared(t *testing.T) {
	t.Run("online retail", func(t *testing.T) {
		f := shared(t, "transactions/online_retail.csv.gz")
		counts := map[juncture.EventKind]int{}
		value := map[juncture.EventKind]int64{}
		shoppers := map[string]bool{}
		for e, err := range ReadOrders(f, "GBP") {
			if err != nil {
				t.Error(err)
				continue
			}
			counts[e.Kind]++
			value[e.Kind] += e.Value
			shoppers[e.Shopper] = true
		}
		if counts[juncture.EventOrderCompleted] != 12334 || counts[juncture.EventOrderRefunded] != 2452 || len(shoppers) != 2924 ||
			value[juncture.EventOrderCompleted] != 602682855 || value[juncture.EventOrderRefunded] != 49969347 {
			t.Errorf("%v, %v, %d shoppers", counts, value, len(shoppers))
		}
	})
	t.Run("cdnow", func(t *testing.T) {
		f := shared(t, "transactions/cdnow.csv.gz")
		n, ids := 0, map[string]bool{}
		for e, err := range ReadOrders(f, "USD") {
			if err != nil {
				t.Error(err)
				continue
			}
			n++
			ids[e.ID] = true
		}
		if n != 46023 || len(ids) != n {
			t.Errorf("%d orders with %d ids, want 46,023", n, len(ids))
		}
	})
}

func FuzzReadOrders(f *testing.F) {
	for _, seed := range []string{"InvoiceNo,StockCode,Quantity,InvoiceDate,UnitPrice,CustomerID\n1,a,2,2010-12-01,1.5,7\nC2,a,-2,2010-12-01,1.5,7\n",
		"customer_id,date,total\nc,20260101,5\n", `{"order_id":"o","customer_id":"c","date":"2026-01-02","total":1,"products":[{"sku":"p","price":6.25,"quantity":2}]}`,
		`{"event":"Order Completed","userId":"u","timestamp":1763625600}`, "order_id,customer_id,date,status\no,c,2026-01-01,refunded\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for e, err := range ReadOrders(strings.NewReader(string(b)), "GBP") {
			if err != nil {
				if r, ok := errors.AsType[*RowError](err); err.Error() == "" || ok && r.Line < 1 {
					t.Fatalf("%q: %v", b, err)
				}
				continue
			}
			if e.Shopper == "" || e.ID == "" || e.Value < 0 || e.Value > maxAmount || len(e.Lines) > juncture.MaxLines || e.At.Year() < 1971 ||
				e.Kind < juncture.EventOrderCompleted || e.Kind > juncture.EventOrderRefunded {
				t.Fatalf("%q: %+v", b, e)
			}
			for _, l := range e.Lines {
				if l.Product == "" || l.Quantity < 1 || l.Quantity > maxQuantity || l.Price < 0 || l.Price > maxAmount {
					t.Fatalf("%q: %+v", b, l)
				}
			}
		}
	})
}

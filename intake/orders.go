package intake

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/juncture/juncture"
)

// ReadOrders reads a history of orders as events with their Shopper: EventOrderCompleted, EventOrderRefunded and
// EventOrderCancelled. It takes a table with a line of an order in each row, the rows of an order one after another
// (Shopify's and most exports, Online Retail), a table with an order in each row, or one JSON object a line (an order, or
// a tracking call of one). currency is the store's. Errors are as ReadEvents says; an order with an error is left out.
//
// Where the files leave it open:
//   - An order's value is the total that is said, else the sum of its lines. Rows without an order number are an order each.
//   - Negative quantities are returns: an order whose sum is below zero is a refund of that much. So is one whose invoice
//     number is C and digits (Online Retail); it does not say which order it takes back, and keeps its own number.
//   - status refunded, cancelled or voided: the order, and then that; status refund, return or cancellation: that alone.
//     failed and expired orders were none.
//   - Ids of events are made of the order's number, so that importing a file twice changes nothing.
func ReadOrders(r io.Reader, currency string) iter.Seq2[juncture.Event, error] {
	return func(yield func(juncture.Event, error) bool) {
		br, err := open(r)
		if err != nil {
			yield(juncture.Event{}, err)
			return
		}
		o := orders{currency: currency, digits: juncture.MinorDigits(currency), yield: yield}
		head, _ := br.Peek(512)
		if head = bytes.TrimLeft(head, " \t\r\n"); len(head) == 0 {
			err = errors.New("the file is empty")
		} else if head[0] == '{' {
			err = o.json(br)
		} else {
			err = o.table(br)
		}
		if err != nil && !o.done {
			yield(juncture.Event{}, err)
		}
	}
}

type orders struct {
	currency string
	digits   int
	yield    func(juncture.Event, error) bool
	done     bool
}

func (o *orders) give(e juncture.Event, err error) bool {
	if o.done {
		return false
	}
	o.done = !o.yield(e, err)
	return !o.done
}

// orderColumn is what a column of a table of orders says.
type orderColumn uint8

const (
	ocNone orderColumn = iota
	ocOrder
	ocCustomer
	ocDate
	ocProduct
	ocCategory
	ocQuantity
	ocPrice
	ocTotal
	ocStatus
	ocCurrency
	ocCount
)

func orderColumnOf(plain string) orderColumn {
	switch plain {
	case "orderid", "order", "ordernumber", "orderno", "invoiceno", "invoice", "invoicenumber", "invoiceid", "transactionid":
		return ocOrder
	case "customerid", "customer", "customernumber", "userid", "user", "shopperid", "shopper", "clientid", "memberid":
		return ocCustomer
	case "date", "orderdate", "invoicedate", "createdat", "timestamp", "purchasedat", "processedat", "purchasedate", "time", "datetime":
		return ocDate
	case "productid", "stockcode", "sku", "itemid", "lineitemsku", "product", "item", "variantsku", "productcode":
		return ocProduct
	case "category", "productcategory", "itemcategory":
		return ocCategory
	case "quantity", "qty", "lineitemquantity", "units":
		return ocQuantity
	case "unitprice", "price", "lineitemprice", "itemprice":
		return ocPrice
	case "total", "revenue", "value", "amount", "ordertotal", "totalprice", "dollarvalue", "totalamount":
		return ocTotal
	case "status", "orderstatus", "financialstatus", "event", "type":
		return ocStatus
	case "currency", "currencycode":
		return ocCurrency
	}
	return ocNone
}

// basket is the order that is being read.
type basket struct {
	event    juncture.Event
	line     int
	sum      int64 // of the lines, returns subtracted
	total    int64
	said     bool // total is
	status   string
	numbered bool
	returned []juncture.Line
}

func (o *orders) table(br *bufio.Reader) error {
	s, err := newSheet(br)
	if err != nil {
		return err
	}
	var at [ocCount]int
	for i, p := range s.plain {
		if k := orderColumnOf(p); at[k] == 0 {
			at[k] = i + 1
		}
	}
	if s.has("lineitemname") && s.has("name") && at[ocOrder] == 0 { // Shopify's orders are called #1001 there
		at[ocOrder] = slices.Index(s.plain, "name") + 1
	}
	if at[ocCustomer] == 0 && !s.has("lineitemname") || at[ocDate] == 0 {
		return errors.New("line 1: orders need a column of customers (customer_id) and one of dates (date)")
	}
	if at[ocCustomer] == 0 {
		return errors.New("line 1: orders need a column customer_id; e-mail addresses are not taken as ids")
	}
	retail := s.has("invoiceno") && s.has("stockcode")
	var now *basket
	broken := "" // the order with an error, whose other rows are not told again
	flush := func() bool {
		b := now
		now = nil
		return b == nil || o.finish(b, retail)
	}
	for r, err := range s.records() {
		if err != nil {
			if !o.give(juncture.Event{}, err) {
				return nil
			}
			continue
		}
		var cell [ocCount]string
		some := false
		for k := ocOrder; k < ocCount; k++ {
			if i := at[k]; i > 0 && i <= len(r.cells) {
				cell[k] = strings.TrimSpace(r.cells[i-1])
				some = some || cell[k] != ""
			}
		}
		number := cell[ocOrder]
		if !some || number != "" && number == broken {
			continue
		}
		same := now != nil && number != "" && now.event.Order == number
		if !same && !flush() {
			return nil
		}
		if now == nil {
			now = &basket{line: r.line}
			err = o.begin(now, &cell)
		} else if c := customerID(cell[ocCustomer]); c != "" && c != now.event.Shopper {
			err = rowError(r.line, "order %.40q has two customers", number)
		}
		if err == nil {
			err = o.add(now, &cell, r.line, retail)
		}
		if err != nil {
			now, broken = nil, strings.Clone(number)
			if !o.give(juncture.Event{}, err) {
				return nil
			}
		}
	}
	flush()
	return nil
}

// customerID is an id as sent; spreadsheets make 17850.0 of 17850.
func customerID(s string) string {
	if whole, ok := strings.CutSuffix(s, ".0"); ok {
		if _, err := strconv.ParseInt(whole, 10, 64); err == nil {
			s = whole
		}
	}
	return id(s)
}

// begin takes what an order's first row says of the whole order.
func (o *orders) begin(b *basket, cell *[ocCount]string) error {
	e := &b.event
	e.Shopper, e.Order = strings.Clone(customerID(cell[ocCustomer])), strings.Clone(cell[ocOrder])
	b.status, b.numbered = plain(cell[ocStatus]), e.Order != ""
	switch {
	case e.Shopper == "":
		return rowError(b.line, "the order has no customer")
	case len(e.Shopper) > 256 || len(e.Order) > 256 || control(e.Shopper) || control(e.Order):
		return rowError(b.line, "an id is longer than 256 bytes or holds control characters")
	case mailAt([]byte(e.Shopper)) >= 0:
		return rowError(b.line, "the customer is an e-mail address; export ids")
	case cell[ocDate] == "":
		return rowError(b.line, "the order has no date")
	case cell[ocCurrency] != "" && o.currency != "" && !strings.EqualFold(cell[ocCurrency], o.currency):
		return rowError(b.line, "the order is in %.8q, not in %s", cell[ocCurrency], o.currency)
	}
	at, ok := parseTime(cell[ocDate])
	if !ok || at.Year() < 1971 || at.Year() > 2200 {
		return rowError(b.line, "the date %.40q cannot be read; write 2026-11-20T09:30:00Z", cell[ocDate])
	}
	e.At = at.UTC().Truncate(time.Millisecond)
	return nil
}

// add takes one row of an order.
func (o *orders) add(b *basket, cell *[ocCount]string, line int, retail bool) error {
	if cell[ocTotal] != "" && !b.said {
		total, _, ok := parseAmount(cell[ocTotal], o.digits)
		if !ok {
			return rowError(line, "the total %.40q is not an amount", cell[ocTotal])
		}
		b.total, b.said = total, true
	}
	n, price := 1, int64(0)
	if text := cell[ocQuantity]; text != "" {
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || f != f || f > maxQuantity || f < -maxQuantity {
			return rowError(line, "the quantity %.40q is not a number in range", text)
		}
		n = int(f)
	}
	if text := cell[ocPrice]; text != "" {
		var ok bool
		if price, _, ok = parseAmount(text, o.digits); !ok {
			return rowError(line, "the price %.40q is not an amount", text)
		}
	}
	if n == 0 {
		return nil
	}
	dst := &b.event.Lines
	back := (n < 0) != (price < 0) // either says that it came back
	n, price = max(n, -n), max(price, -price)
	if back {
		dst = &b.returned
		b.sum -= min(addAmount(0, price, n), maxAmount+b.sum)
	} else {
		b.sum = addAmount(b.sum, price, n)
	}
	product := cell[ocProduct]
	if product != "" && len(product) <= 256 && !control(product) && !(retail && notGoods(product)) && len(*dst) < juncture.MaxLines {
		*dst = append(*dst, juncture.Line{Product: strings.Clone(product), Quantity: n, Price: price, Category: strings.Clone(categoryOf(cell[ocCategory]))})
	}
	return nil
}

// notGoods reports Online Retail's codes for postage, discounts, fees and corrections.
func notGoods(code string) bool {
	switch code {
	case "POST", "D", "M", "m", "C2", "DOT", "PADS", "BANK CHARGES", "CRUK", "AMAZONFEE", "S", "B", "DCGS0069", "DCGS0076":
		return true
	}
	return false
}

// finish hands out the events of an order.
func (o *orders) finish(b *basket, retail bool) bool {
	e := b.event
	value := b.sum
	if b.said {
		value = b.total
	}
	kinds := []juncture.EventKind{juncture.EventOrderCompleted}
	switch b.status {
	case "refunded", "returned":
		kinds = append(kinds, juncture.EventOrderRefunded)
	case "cancelled", "canceled", "voided":
		kinds = append(kinds, juncture.EventOrderCancelled)
	case "failed", "expired", "declined":
		return o.give(juncture.Event{}, rowError(b.line, "order %.40q %s: it was none", e.Order, b.status))
	default:
		if k := KindOf(b.status); b.status == "return" || k == juncture.EventOrderRefunded {
			kinds[0] = juncture.EventOrderRefunded
		} else if b.status == "cancellation" || k == juncture.EventOrderCancelled {
			kinds[0] = juncture.EventOrderCancelled
		}
	}
	if max(value, -value) > maxTotal {
		return o.give(juncture.Event{}, rowError(b.line, "the total of order %.40q is too large", e.Order))
	}
	c, digits, _ := strings.Cut(e.Order, "C")
	taken := retail && c == "" && digits != "" && strings.Trim(digits, "0123456789") == ""
	if value < 0 || taken {
		kinds = []juncture.EventKind{juncture.EventOrderRefunded}
		if value = max(value, -value); value == 0 {
			return o.give(juncture.Event{}, rowError(b.line, "refund %.40q has no amount", e.Order))
		}
	}
	if !b.numbered {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d\x00%d\x00%d", e.Shopper, e.At.UnixMilli(), value, b.line))
		e.Order = "row-" + hex.EncodeToString(sum[:8])
	}
	if len(e.Lines) == 0 || kinds[0] == juncture.EventOrderRefunded && len(b.returned) > 0 {
		e.Lines = b.returned
	}
	if len(e.Lines) > 0 {
		e.Category = e.Lines[0].Category
	}
	for i, kind := range kinds {
		out := orderEvent(e, kind)
		if out.Value = value; kind == juncture.EventOrderCancelled || i > 0 {
			out.Value = 0 // all of it
		}
		if !o.give(out, nil) {
			return false
		}
	}
	return true
}

// orderEvent names an event after what it is.
func orderEvent(e juncture.Event, kind juncture.EventKind) juncture.Event {
	e.Kind = kind
	switch kind {
	case juncture.EventOrderRefunded:
		e.ID, e.Name = "refund:"+e.Order, "Order Refunded"
	case juncture.EventOrderCancelled:
		e.ID, e.Name = "cancel:"+e.Order, "Order Cancelled"
	default:
		e.ID, e.Name = "order:"+e.Order, "Order Completed"
	}
	return e
}

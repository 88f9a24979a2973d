package intake

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/juncture/juncture"
)

// prop is a property of an event, or of one of its products.
type prop uint8

const (
	propNone prop = iota
	propLines
	propProduct
	propProductID
	propItemID
	propID
	propSKU
	propCategory
	propCategory2
	propCategory3
	propCategory4
	propCategory5
	propPrice
	propQuantity
	propRevenue
	propValue
	propTotal
	propSubtotal
	propCurrency
	propOrder
	propTransaction
	propCheckout
	propQuery
	propSession
	propPageType
	propPath
	propName
	propCollection
	propCustomer
	propDate
	propStatus
	propCount
)

// props are the nodes of the properties that are known, 0 for what is not there.
type props [propCount]int

func propOf(key string) prop {
	switch key {
	case "products", "items", "lineitems", "contents":
		return propLines
	case "product", "item":
		return propProduct
	case "productid":
		return propProductID
	case "itemid":
		return propItemID
	case "id":
		return propID
	case "sku", "productsku", "stockcode":
		return propSKU
	case "category", "itemcategory", "productcategory":
		return propCategory
	case "itemcategory2":
		return propCategory2
	case "itemcategory3":
		return propCategory3
	case "itemcategory4":
		return propCategory4
	case "itemcategory5":
		return propCategory5
	case "price", "itemprice", "unitprice":
		return propPrice
	case "quantity", "qty":
		return propQuantity
	case "revenue":
		return propRevenue
	case "value":
		return propValue
	case "total", "totalprice", "ordertotal":
		return propTotal
	case "subtotal":
		return propSubtotal
	case "currency", "currencycode":
		return propCurrency
	case "orderid", "order", "ordernumber", "invoiceno":
		return propOrder
	case "transactionid":
		return propTransaction
	case "checkoutid":
		return propCheckout
	case "query", "searchterm", "searchquery", "searchterms", "q":
		return propQuery
	case "sessionid", "gasessionid":
		return propSession
	case "pagetype", "contenttype", "templatetype":
		return propPageType
	case "path", "pagepath", "pagelocation":
		return propPath
	case "name":
		return propName
	case "collection", "collectionhandle", "collectionname":
		return propCollection
	case "customerid", "customer", "userid", "shopperid", "shopper":
		return propCustomer
	case "date", "orderdate", "createdat", "invoicedate", "timestamp", "processedat":
		return propDate
	case "status", "financialstatus":
		return propStatus
	}
	return propNone
}

// props reads the properties at node i; 0 for none.
func (t *tape) props(i int, pr *props) {
	if i > 0 {
		t.propsOf(i, pr)
	}
}

// propsOf reads the members of object i; those that are null or an empty text count as left out.
func (t *tape) propsOf(i int, pr *props) {
	if t.nodes[i].kind != '{' {
		return
	}
	var buf [40]byte
	for m := range t.each(i) {
		n := t.nodes[m]
		if n.kind == 'n' || n.kind == '"' && n.from == n.to {
			continue
		}
		if k := propOf(string(t.plain(m, &buf))); k != propNone {
			pr[k] = m
		}
	}
}

// say returns the first of the properties that holds a text or number, at most 256 bytes and less control characters.
func (t *tape) say(pr *props, of ...prop) string {
	for _, k := range of {
		if pr[k] == 0 {
			continue
		}
		if s := id(t.text(pr[k])); s != "" && !control(s) {
			return cut(s, 256)
		}
	}
	return ""
}

// amount returns the first of the properties that is an amount.
func (t *tape) amount(pr *props, digits int, of ...prop) (minor int64, currency string, ok bool) {
	for _, k := range of {
		if pr[k] > 0 {
			if minor, currency, ok = parseAmount(t.text(pr[k]), digits); ok {
				return minor, currency, true
			}
		}
	}
	return 0, "", false
}

// beyond reports whether one of the properties is a number that is too large for an amount.
func (t *tape) beyond(pr *props, of ...prop) bool {
	for _, k := range of {
		if pr[k] > 0 {
			if f, err := strconv.ParseFloat(strings.TrimSpace(t.text(pr[k])), 64); math.Abs(f) > 1e12 && (err == nil || errors.Is(err, strconv.ErrRange)) {
				return true
			}
		}
	}
	return false
}

// categoryOf is the policy for categories, of events and products alike: lower case, the last part of a path written
// with >, / or |, blanks made one, at most 100 bytes. "Apparel > Women/Dresses" is "dresses".
func categoryOf(path string) string {
	if at := strings.LastIndexAny(strings.TrimRight(path, " >/|"), ">/|"); at >= 0 {
		path = strings.TrimRight(path, " >/|")[at+1:]
	}
	path = strings.TrimRight(path, " >/|")
	if strings.Contains(path, "  ") || strings.ContainsAny(path, "\t\n\r") {
		path = strings.Join(strings.Fields(path), " ")
	}
	s := strings.ToLower(strings.TrimSpace(path))
	if control(s) {
		return ""
	}
	return strings.TrimSpace(cut(unmailed(s), 100))
}

// categorySaid is the deepest category that is given; GA4 numbers them.
func (t *tape) categorySaid(pr *props) string {
	for k := propCategory5; k >= propCategory; k-- {
		if pr[k] > 0 {
			if c := categoryOf(t.text(pr[k])); c != "" {
				return c
			}
		}
	}
	return ""
}

// goods fills what the event is about: lines, category, query, order and value.
func (p *parser) goods(e *juncture.Event, pr *props) Reason {
	digits := juncture.MinorDigits(p.o.Currency)
	value, beside, said := p.amount(pr, digits, propRevenue, propValue, propTotal, propSubtotal)
	currency := strings.ToUpper(p.say(pr, propCurrency))
	if currency == "" {
		currency = beside
	}
	foreign := currency != "" && p.o.Currency != "" && currency != p.o.Currency
	order := e.Kind == juncture.EventOrderCompleted || e.Kind == juncture.EventOrderRefunded
	if foreign && order && (said || pr[propLines] > 0) {
		return ReasonCurrency
	}
	sum, listed := p.lines(e, pr, digits)
	if foreign {
		for i := range e.Lines {
			e.Lines[i].Price = 0
		}
	}
	if order {
		if !said {
			value = sum
		}
		if e.Kind == juncture.EventOrderRefunded {
			value = max(value, -value) // some say what went back with a minus
		}
		if value < 0 || value > maxTotal || !said && p.beyond(pr, propRevenue, propValue, propTotal, propSubtotal) {
			return ReasonValue
		}
		e.Value = value
	}
	if e.Category = p.categorySaid(pr); e.Category == "" && e.Kind == juncture.EventListViewed && pr[propCollection] > 0 {
		e.Category = categoryOf(p.text(pr[propCollection]))
	}
	if e.Kind == juncture.EventPageViewed || e.Kind == juncture.EventArticleViewed {
		e.Category = "" // of the page, not of goods
	}
	if e.Category == "" && len(e.Lines) > 0 {
		e.Category = e.Lines[0].Category
	}
	if e.Kind == juncture.EventProductsSearched || e.Kind == juncture.EventListViewed {
		e.Query = p.label(pr[propQuery], 256)
	}
	switch e.Kind {
	case juncture.EventCheckoutStarted, juncture.EventCheckoutStep:
		e.Order = p.say(pr, propOrder, propTransaction, propCheckout)
	case juncture.EventOrderCompleted:
		e.Order = p.say(pr, propOrder, propTransaction, propCheckout, propID)
	case juncture.EventOrderRefunded, juncture.EventOrderCancelled:
		e.Order = p.say(pr, propOrder, propTransaction, propID)
	default:
		e.Order = p.say(pr, propOrder, propTransaction)
	}
	if listed && len(e.Lines) == 0 && p.nodes[pr[propLines]].next == uint32(pr[propLines]+1) { // a list, and empty
		if e.Kind == juncture.EventCartViewed || plain(e.Name) == "orderupdated" || plain(e.Name) == "updatedorder" {
			e.Kind = juncture.EventCartEmptied
		}
	}
	return ""
}

// lines reads the products of an event: a list of them, one of them, or the properties themselves. sum is of all, also
// of those that are not kept; listed: there is a list.
func (p *parser) lines(e *juncture.Event, pr *props, digits int) (sum int64, listed bool) {
	one := func(l *props, bare bool) {
		line := juncture.Line{Product: p.say(l, propProductID, propItemID), Quantity: 1}
		if line.Product == "" && bare {
			line.Product = p.say(l, propID)
		}
		if line.Product == "" {
			line.Product = p.say(l, propSKU)
		}
		line.Quantity = quantity(p.text(l[propQuantity]))
		if price, _, ok := p.amount(l, digits, propPrice); ok && price > 0 {
			line.Price = price
		}
		line.Category = p.categorySaid(l)
		sum = addAmount(sum, line.Price, line.Quantity)
		if line.Product != "" && len(e.Lines) < juncture.MaxLines {
			e.Lines = append(e.Lines, line)
		}
	}
	if list := pr[propLines]; p.is(list, '[') {
		n := 0
		for range p.each(list) {
			n++
		}
		e.Lines = make([]juncture.Line, 0, min(n, juncture.MaxLines))
		for c := range p.each(list) {
			switch p.nodes[c].kind {
			case '{':
				var l props
				p.propsOf(c, &l)
				one(&l, true)
			case '"', '0': // bare ids
				if s := id(p.text(c)); s != "" && !control(s) && len(e.Lines) < juncture.MaxLines {
					e.Lines = append(e.Lines, juncture.Line{Product: cut(s, 256), Quantity: 1})
				}
			}
		}
		if len(e.Lines) == 0 {
			e.Lines = nil
		}
		return sum, true
	}
	if p.is(pr[propProduct], '{') {
		var l props
		p.propsOf(pr[propProduct], &l)
		one(&l, true)
		return sum, false
	}
	if pr[propProductID] > 0 || pr[propItemID] > 0 || pr[propSKU] > 0 || pr[propID] > 0 && ofOneProduct(e.Kind) {
		one(pr, ofOneProduct(e.Kind))
	}
	return sum, false
}

// ofOneProduct reports the kinds whose bare id is a product's: version 1 of Segment's vocabulary.
func ofOneProduct(k juncture.EventKind) bool {
	switch k {
	case juncture.EventProductClicked, juncture.EventProductViewed, juncture.EventProductDetail, juncture.EventWishlisted,
		juncture.EventProductAdded, juncture.EventProductRemoved, juncture.EventReviewed:
		return true
	}
	return false
}

// maxQuantity bounds a line: more is a mistake, and must not overflow a sum.
const maxQuantity = 100_000

// quantity reads how many: 1 when it is not said, or makes no sense.
func quantity(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
		if err != nil || !(math.Abs(f) < 1e9) {
			return 1
		}
		n = int(f)
	}
	return min(max(n, 1), maxQuantity)
}

// addAmount adds a line to a sum that stays in range.
func addAmount(sum, price int64, quantity int) int64 {
	if price > (maxAmount-sum)/int64(quantity) {
		return maxAmount
	}
	return sum + price*int64(quantity)
}

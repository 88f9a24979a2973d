package intake

import (
	"strconv"
	"strings"

	"github.com/juncture/juncture"
)

// prices reads the amounts of a row: a lower sale price is the price, and what it was lowered from is Compare.
func (c *catalogue) prices(s *[colCount]string, p *juncture.Product, line int) error {
	var sale, cost int64
	for _, f := range []struct {
		col column
		dst *int64
	}{{colPrice, &p.Price}, {colSale, &sale}, {colCompare, &p.Compare}, {colCost, &cost}, {colMargin, &p.Margin}} {
		var err error
		if *f.dst, err = c.amount(s[f.col], line); err != nil {
			return err
		}
	}
	if p.Price < 0 {
		return rowError(line, "the price %.40q is negative", s[colPrice])
	}
	if sale > 0 && (sale < p.Price || p.Price == 0) {
		p.Price, p.Compare = sale, max(p.Price, p.Compare)
	}
	if p.Compare <= p.Price {
		p.Compare = 0
	}
	if p.Margin == 0 && cost > 0 && p.Price > 0 {
		p.Margin = p.Price - cost
	}
	return nil
}

// amount reads an amount in the store's currency, 0 for an empty text.
func (c *catalogue) amount(s string, line int) (int64, error) {
	if s == "" {
		return 0, nil
	}
	m, currency, ok := parseAmount(s, c.digits)
	switch {
	case !ok:
		return 0, rowError(line, "%.40q is not an amount", s)
	case currency != "" && c.currency != "" && currency != c.currency:
		return 0, rowError(line, "%.40q is not in %s", s, c.currency)
	}
	return m, nil
}

// stockOf reads how many there are, or whether there are any.
func stockOf(s *[colCount]string, p *juncture.Product, line int) error {
	if text := s[colStock]; text != "" {
		n, ok := units(text)
		if !ok {
			return rowError(line, "the stock %.40q is not a number", text)
		}
		p.Stock = n
		return nil
	}
	switch plain(s[colAvailable]) {
	case "outofstock", "false", "no", "0", "soldout", "unavailable", "discontinued":
		p.Stock = 0
	}
	return nil
}

// units reads a number of things; less than none, as when oversold, is none.
func units(text string) (int64, bool) {
	f, err := strconv.ParseFloat(strings.ReplaceAll(text, ",", ""), 64)
	if err != nil || f != f || f > 1e12 || f < -1e12 {
		return 0, false
	}
	return max(int64(f), 0), true
}

func yes(s string) bool {
	switch strings.ToLower(s) {
	case "true", "yes", "1", "y":
		return true
	}
	return false
}

func no(s string) bool {
	switch strings.ToLower(s) {
	case "false", "no", "0", "n":
		return true
	}
	return false
}

func withdrawn(status string) bool {
	switch strings.ToLower(status) {
	case "draft", "archived", "inactive", "hidden", "unlisted", "deleted", "disabled":
		return true
	}
	return false
}

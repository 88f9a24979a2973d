package juncture

import (
	"strings"
)

// ProductQuery narrows the products of the catalogue.
type ProductQuery struct {
	Text   string // in the id, title, category or brand, whatever the case; empty: all
	Stock  string // StockIn, StockOut; empty: both
	Hidden *bool  // nil: both
	Offset int
	Limit  int // 1 to MaxProductsListed; 0 means 100
}

// What ProductQuery.Stock asks for. A product whose stock is not tracked is in stock.
const (
	StockIn  = "in"
	StockOut = "out"
)

// MaxProductsListed bounds the products of one answer.
const MaxProductsListed = 1000

// Check returns what is wrong with the query, CodeInvalidRequest.
func (q ProductQuery) Check() error {
	switch {
	case len(q.Text) > 200:
		return Errorf(CodeInvalidRequest, "q is longer than 200 bytes").WithField("q")
	case q.Stock != "" && q.Stock != StockIn && q.Stock != StockOut:
		return Errorf(CodeInvalidRequest, "stock %.20q is in or out", q.Stock).WithField("stock")
	case q.Offset < 0:
		return Errorf(CodeInvalidRequest, "offset %d is below 0", q.Offset).WithField("offset")
	case q.Limit < 0 || q.Limit > MaxProductsListed:
		return Errorf(CodeInvalidRequest, "limit %d is not 1 to %d", q.Limit, MaxProductsListed).WithField("limit")
	}
	return nil
}

// Match reports whether a product is asked for.
func (q ProductQuery) Match(p *Product) bool {
	if q.Hidden != nil && *q.Hidden != p.Hidden || q.Stock == StockIn && p.Stock == 0 || q.Stock == StockOut && p.Stock != 0 {
		return false
	}
	text := strings.ToLower(strings.TrimSpace(q.Text))
	for _, s := range []string{p.ID, p.Title, p.Category, p.Brand} {
		if strings.Contains(strings.ToLower(s), text) {
			return true
		}
	}
	return false
}

// ProductsView is a part of the catalogue, by id.
type ProductsView struct {
	Total int           `json:"total"` // that match
	Items []ProductItem `json:"items"`
}

// ProductItem is a product as the catalogue has it.
type ProductItem struct {
	ID       string  `json:"id"`
	Title    string  `json:"title"`
	Category string  `json:"category,omitempty"`
	Brand    string  `json:"brand,omitempty"`
	Price    float64 `json:"price,omitempty"` // left out where the catalogue has none
	Compare  float64 `json:"compareAt,omitempty"`
	Currency string  `json:"currency"`
	Stock    int64   `json:"stock"` // -1: not tracked
	Hidden   bool    `json:"hidden"`
	URL      string  `json:"url,omitempty"`
	Image    string  `json:"image,omitempty"`
}

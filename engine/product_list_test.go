package engine_test

import (
	"context"
	"testing"

	"github.com/juncture/juncture"
)

func TestProductsAreListed(t *testing.T) {
	s := open(t)
	s.put(goods()...)
	s.put(juncture.Product{ID: "shirt-3", Title: "Linen shirt", Category: "shirts", Price: 2003, Stock: 0, Hidden: true})
	list := func(q juncture.ProductQuery) juncture.ProductsView {
		v, err := s.Engine.Products(context.Background(), q)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	// 20 shirts and 20 dresses; one shirt is sold out and hidden.
	for want, q := range map[int]juncture.ProductQuery{40: {}, 20: {Text: "SHIRT"}, 39: {Stock: juncture.StockIn}, 1: {Stock: juncture.StockOut, Hidden: new(true)}, 19: {Text: "linen", Hidden: new(false)}} {
		if v := list(q); v.Total != want || len(v.Items) != want {
			t.Errorf("%+v: %d of %d, want %d", q, len(v.Items), v.Total, want)
		}
	}
	v := list(juncture.ProductQuery{Text: "shirt", Offset: 1, Limit: 2}) // by id: shirt-0, shirt-1, shirt-10, ...
	if v.Total != 20 || len(v.Items) != 2 || v.Items[0].ID != "shirt-1" || v.Items[1].ID != "shirt-10" || v.Items[0].Price != 20.01 || v.Items[0].Currency != "GBP" || v.Items[0].Stock != 5 {
		t.Errorf("%+v", v)
	}
	if v := list(juncture.ProductQuery{Offset: 1000}); v.Total != 40 || len(v.Items) != 0 {
		t.Errorf("beyond the end: %+v", v)
	}
	if _, err := s.Engine.Products(context.Background(), juncture.ProductQuery{Stock: "x"}); juncture.ErrorCode(err) != juncture.CodeInvalidRequest {
		t.Errorf("a stock that cannot be: %v", err)
	}
}

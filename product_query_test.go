package juncture

import (
	"strings"
	"testing"
)

func TestProductQuery(t *testing.T) {
	yes, no := true, false
	p := Product{ID: "dress-1", Title: "Linen Dress", Category: "dresses", Brand: "Kett", Stock: 3}
	for _, tt := range []struct {
		q    ProductQuery
		of   Product
		want bool
	}{
		{ProductQuery{}, p, true},
		{ProductQuery{Text: " LINEN "}, p, true},
		{ProductQuery{Text: "kett"}, p, true},
		{ProductQuery{Text: "silk"}, p, false},
		{ProductQuery{Stock: StockIn}, p, true},
		{ProductQuery{Stock: StockOut}, p, false},
		{ProductQuery{Stock: StockIn}, Product{Stock: -1}, true},
		{ProductQuery{Stock: StockOut}, Product{}, true},
		{ProductQuery{Hidden: &yes}, p, false},
		{ProductQuery{Hidden: &no}, p, true},
		{ProductQuery{Hidden: &yes}, Product{Hidden: true}, true},
	} {
		if got := tt.q.Match(&tt.of); got != tt.want {
			t.Errorf("%+v matches %+v: %v", tt.q, tt.of, got)
		}
	}
	for field, q := range map[string]ProductQuery{"q": {Text: strings.Repeat("a", 201)}, "stock": {Stock: "x"}, "offset": {Offset: -1}, "limit": {Limit: MaxProductsListed + 1}} {
		if e, ok := q.Check().(*Error); !ok || e.Field != field || e.Code != CodeInvalidRequest {
			t.Errorf("%+v: %v", q, q.Check())
		}
	}
}

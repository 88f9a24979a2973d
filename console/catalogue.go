package console

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/experiments"
)

// Catalogue is what can be put before shoppers.
type Catalogue interface {
	Catalogue(ctx context.Context) (juncture.CatalogueView, error)
	Products(ctx context.Context, q juncture.ProductQuery) (juncture.ProductsView, error)
}

const (
	cataloguePath = "/console/catalogue"
	productsLimit = 50 // of a page
	pairsLimit    = 20
	shelfLimit    = 20 // of trending, priorities and pieces
	exportMost    = 100_000
)

type cataloguePage struct {
	layout
	Lead       string
	Tiles      []tile
	Query      juncture.ProductQuery
	Asked      bool
	Selects    []choice
	Products   []productLine
	Of         int
	First      int
	Next, Prev string
	Clear      string
	Categories []string // offered while typing
	Trending   []trendLine
	Pairs      []pairLine
	PairsOf    int
	AsOf       *time.Time
	Priorities []priorityLine
	Editorial  []editorialLine
	CSV        map[string]string
}

type productLine struct {
	ID, Title, Category, Brand, Price, Was, Stock string
	State                                         badge
}

type trendLine struct{ ID, Title, Category, Price, Why, Priority string }

type pairLine struct {
	Product, With, Lift string
	Support             string // orders with both, decayed
}

type priorityLine struct {
	ID, Owner, Why, What, Weight string
	Expires                      time.Time
	Left                         string
}

type editorialLine struct {
	ID, Title, About, For, Expires string
}

func (c *Console) mountCatalogue(get func(g gin.IRoutes, path string, h ...gin.HandlerFunc), people *gin.RouterGroup) {
	if c.deps.Catalogue == nil {
		return
	}
	get(people, cataloguePath, c.catalogue)
	get(people, cataloguePath+"/products.csv", c.productsCSV)
	for _, table := range shelfTables() {
		get(people, cataloguePath+"/"+table+".csv", c.shelfCSV(table))
	}
}

func shelfTables() []string { return []string{"trending", "cross-sells", "priorities", "editorial"} }

func readProductQuery(v url.Values) (q juncture.ProductQuery, err error) {
	q = juncture.ProductQuery{Text: strings.TrimSpace(v.Get("q")), Stock: v.Get("stock")}
	switch v.Get("hidden") {
	case "":
	case "true", "false":
		q.Hidden = new(v.Get("hidden") == "true")
	default:
		return q, juncture.Errorf(juncture.CodeInvalidRequest, "Products are hidden or not.")
	}
	if s := v.Get("offset"); s != "" {
		if q.Offset, err = strconv.Atoi(s); err != nil {
			return q, juncture.Errorf(juncture.CodeInvalidRequest, "%.20q is no number.", s)
		}
	}
	return q, q.Check()
}

func productURL(path string, q juncture.ProductQuery) string {
	v := url.Values{}
	if q.Text != "" {
		v.Set("q", q.Text)
	}
	if q.Stock != "" {
		v.Set("stock", q.Stock)
	}
	if q.Hidden != nil {
		v.Set("hidden", strconv.FormatBool(*q.Hidden))
	}
	if q.Offset > 0 {
		v.Set("offset", strconv.Itoa(q.Offset))
	}
	u := url.URL{Path: path, RawQuery: v.Encode()}
	return u.String()
}

func (c *Console) catalogue(g *gin.Context) {
	ctx := g.Request.Context()
	q, err := readProductQuery(g.Request.URL.Query())
	if err != nil {
		c.fail(g, err)
		return
	}
	q.Limit = productsLimit
	store, err := c.deps.Source.Store(ctx)
	if err != nil {
		c.fail(g, err)
		return
	}
	v, err := c.deps.Catalogue.Catalogue(ctx)
	if err != nil {
		c.fail(g, err)
		return
	}
	found, err := c.deps.Catalogue.Products(ctx, q)
	if err != nil {
		c.fail(g, err)
		return
	}
	p := &cataloguePage{layout: c.layoutFor(g, "Catalogue", store), Query: q, Asked: q.Text != "" || q.Stock != "" || q.Hidden != nil, Of: found.Total, First: q.Offset + 1, Clear: cataloguePath, AsOf: v.AsOf, PairsOf: len(v.CrossSells)}
	p.Query.Text = clip(q.Text, longestText)
	p.Lead = catalogueLead(v)
	if v.Products > 0 {
		p.Tiles = []tile{{"Products", experiments.Count(int64(v.Products)), "", false}, {"Can be shown", experiments.Count(int64(v.Sellable)), "in stock, not hidden", false},
			{"Categories", experiments.Count(int64(len(v.Categories))), "", false}, {"Priorities live", experiments.Count(int64(len(v.Priorities))), "", false}, {"Bought together", experiments.Count(int64(len(v.CrossSells))), "pairs", false}}
	}
	hidden := ""
	if q.Hidden != nil {
		hidden = strconv.FormatBool(*q.Hidden)
	}
	p.Selects = []choice{{"stock", "Stock", []option{{"", "All", q.Stock == ""}, {juncture.StockIn, "In stock", q.Stock == juncture.StockIn}, {juncture.StockOut, "Sold out", q.Stock == juncture.StockOut}}},
		{"hidden", "Hidden", []option{{"", "All", hidden == ""}, {"false", "Not hidden", hidden == "false"}, {"true", "Hidden", hidden == "true"}}}}
	for _, of := range v.Categories[:min(len(v.Categories), 100)] {
		p.Categories = append(p.Categories, clip(of.Name, longestText))
	}
	for _, x := range found.Items {
		p.Products = append(p.Products, viewProduct(x))
	}
	if next := q.Offset + len(found.Items); next < found.Total && len(found.Items) > 0 {
		other := q
		other.Offset = next
		p.Next = productURL(cataloguePath, other) + "#h-products"
	}
	if q.Offset > 0 {
		other := q
		other.Offset = max(0, q.Offset-productsLimit)
		p.Prev = productURL(cataloguePath, other) + "#h-products"
	}
	p.CSV = map[string]string{"products": productURL(cataloguePath+"/products.csv", juncture.ProductQuery{Text: q.Text, Stock: q.Stock, Hidden: q.Hidden})}
	for _, table := range shelfTables() {
		p.CSV[strings.ReplaceAll(table, "-", "")] = cataloguePath + "/" + table + ".csv"
	}
	p.shelf(v, c.names(ctx), c.deps.Now())
	c.render(g, http.StatusOK, "catalogue", p)
}

func (p *cataloguePage) shelf(v juncture.CatalogueView, names experiments.Names, now time.Time) {
	for _, t := range v.Trending[:min(len(v.Trending), shelfLimit)] {
		p.Trending = append(p.Trending, trendLine{clip(t.ID, longestText), clip(or(t.Title, t.ID), longestText), clip(t.Category, longestText), price(t.Price, t.Currency), upper(clip(t.Why, sentenceLimit)), clip(t.Priority, longestText)})
	}
	for _, x := range v.CrossSells[:min(len(v.CrossSells), pairsLimit)] {
		p.Pairs = append(p.Pairs, pairLine{clip(x.Product, longestText), clip(x.With, longestText), times(x.Lift), strconv.FormatFloat(x.Orders, 'f', 1, 64)})
	}
	for _, x := range v.Priorities[:min(len(v.Priorities), mostShelf)] {
		p.Priorities = append(p.Priorities, priorityLine{clip(x.ID, longestText), clip(x.Owner, longestText), or(clip(x.Why, sentenceLimit), "–"), raises(x), experiments.Percent(x.Weight), x.Expires, "in " + age(x.Expires.Sub(now))})
	}
	for _, x := range v.Editorial[:min(len(v.Editorial), mostShelf)] {
		l := editorialLine{clip(x.ID, longestText), clip(or(x.Title, x.ID), longestText), or(clip(x.Category, longestText), "the store"), or(clip(strings.Join(names.Voice(x.Meaning), ", "), 300), "everybody"), "never"}
		if x.Expires != nil {
			l.Expires = x.Expires.UTC().Format("2 Jan 2006, 15:04 UTC")
		}
		p.Editorial = append(p.Editorial, l)
	}
}

// mostShelf bounds the priorities and pieces of the page.
const mostShelf = 200

func price(v float64, currency string) string {
	if v == 0 {
		return "–"
	}
	return experiments.Money(v, currency)
}

// times writes a lift over chance: "3.4 times".
func times(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) + " times" }

func viewProduct(x juncture.ProductItem) productLine {
	l := productLine{ID: clip(x.ID, longestText), Title: clip(or(x.Title, x.ID), longestText), Category: or(clip(x.Category, longestText), "–"), Brand: or(clip(x.Brand, longestText), "–"), Price: price(x.Price, x.Currency), Stock: experiments.Count(x.Stock), State: badge{"winner", "Can be shown"}}
	if x.Compare > x.Price {
		l.Was = experiments.Money(x.Compare, x.Currency)
	}
	switch {
	case x.Hidden:
		l.State = badge{"thin", "Hidden"}
	case x.Stock == 0:
		l.State = badge{"denied", "Sold out"}
	}
	if x.Stock < 0 {
		l.Stock = "not tracked"
	}
	return l
}

func catalogueLead(v juncture.CatalogueView) string {
	if v.Products == 0 {
		return "No product is known yet, so actions show no products."
	}
	s := experiments.Count(int64(v.Sellable)) + " of " + plural(v.Products, "product", "products") + " can be shown now"
	if len(v.Trending) > 0 {
		s += "; “" + clip(or(v.Trending[0].Title, v.Trending[0].ID), longestText) + "” is wanted most"
	}
	return s + "."
}

// allProducts reads every product that matches, page by page.
func (c *Console) allProducts(ctx context.Context, q juncture.ProductQuery) (out []juncture.ProductItem, err error) {
	q.Limit, q.Offset = juncture.MaxProductsListed, 0
	for len(out) < exportMost {
		v, err := c.deps.Catalogue.Products(ctx, q)
		if err != nil || len(v.Items) == 0 {
			return out, err
		}
		out = append(out, v.Items...)
		if q.Offset += len(v.Items); q.Offset >= v.Total {
			break
		}
	}
	return out, nil
}

func (c *Console) productsCSV(g *gin.Context) {
	q, err := readProductQuery(g.Request.URL.Query())
	var products []juncture.ProductItem
	if err == nil {
		products, err = c.allProducts(g.Request.Context(), q)
	}
	if err != nil {
		c.fail(g, err)
		return
	}
	t := newTable("id", "title", "category", "brand", "price", "compare_at", "currency", "stock", "hidden", "url")
	for _, x := range products {
		t.row(valid([]string{x.ID, x.Title, x.Category, x.Brand, number(x.Price), number(x.Compare), x.Currency, whole(x.Stock), strconv.FormatBool(x.Hidden), x.URL})...)
	}
	t.send(g, "products")
}

func (c *Console) shelfCSV(name string) gin.HandlerFunc {
	return func(g *gin.Context) {
		v, err := c.deps.Catalogue.Catalogue(g.Request.Context())
		if err != nil {
			c.fail(g, err)
			return
		}
		var t *table
		switch name {
		case "trending":
			t = newTable("id", "title", "category", "price", "currency", "why", "priority")
			for _, x := range v.Trending {
				t.row(valid([]string{x.ID, x.Title, x.Category, number(x.Price), x.Currency, x.Why, x.Priority})...)
			}
		case "cross-sells":
			t = newTable("product", "with", "lift", "orders")
			for _, x := range v.CrossSells {
				t.row(valid([]string{x.Product, x.With, number(x.Lift), number(x.Orders)})...)
			}
		case "priorities":
			t = newTable("id", "owner", "why", "products", "category", "action", "weight", "expires")
			for _, x := range v.Priorities {
				t.row(valid([]string{x.ID, x.Owner, x.Why, strings.Join(x.Products, "; "), x.Category, x.Action, number(x.Weight), x.Expires.UTC().Format(time.RFC3339)})...)
			}
		default:
			t = newTable("id", "title", "url", "category", "meaning", "expires")
			for _, x := range v.Editorial {
				expires := ""
				if x.Expires != nil {
					expires = x.Expires.UTC().Format(time.RFC3339)
				}
				t.row(valid([]string{x.ID, x.Title, x.URL, x.Category, strings.Join(x.Meaning, "; "), expires})...)
			}
		}
		t.send(g, name)
	}
}

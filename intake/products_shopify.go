package intake

import (
	"slices"
	"strings"

	"github.com/juncture/juncture"
)

// shopify gathers a product and its variants.
type shopify struct {
	product juncture.Product
	line    int
	tags    []string
	title   string // also of a product whose title is empty: there was a row that could have named it
	names   [3]string
	values  [3][]string
	attrs   goods // the rest that describes it
	image   string

	variants  int
	priced    bool
	stock     int64
	tracked   bool // a variant is
	unlimited bool // a variant is sold on when it is out
}

// variant is one of them.
type variant struct {
	price, compare, cost string
	stock                string
	tracked              bool
	onAfterwards         bool
	options              [3]string
}

const maxVariants = 2048 // of a product; Shopify's own bound

func (c *catalogue) addVariant(s *shopify, v variant, line int) error {
	if s.variants++; s.variants > maxVariants {
		return rowError(line, "more than %d variants of %.40q", maxVariants, s.product.ID)
	}
	row := [colCount]string{colPrice: v.price, colCompare: v.compare, colCost: v.cost}
	var one juncture.Product
	if err := c.prices(&row, &one, line); err != nil {
		return err
	}
	if v.price != "" && (!s.priced || one.Price < s.product.Price) {
		s.priced = true
		s.product.Price, s.product.Compare, s.product.Margin = one.Price, one.Compare, one.Margin
	}
	if v.stock != "" {
		n, ok := units(v.stock)
		if !ok {
			return rowError(line, "the stock %.40q is not a number", v.stock)
		}
		s.stock += n
	}
	s.tracked = s.tracked || v.tracked
	s.unlimited = s.unlimited || v.onAfterwards
	for i, o := range v.options {
		if o != "" && !strings.EqualFold(o, "Default Title") && len(s.values[i]) < maxAttrs && !slices.Contains(s.values[i], o) {
			s.values[i] = append(s.values[i], strings.Clone(o))
		}
	}
	return nil
}

// finish makes the product.
func (s *shopify) finish() (juncture.Product, error) {
	p := s.product
	if err := checkID(p.ID, s.line); err != nil {
		return p, err
	}
	p.Stock = s.stock
	if s.unlimited || s.stock == 0 && !s.tracked {
		p.Stock = -1
	}
	for i, values := range s.values {
		joined := ""
		for _, v := range values {
			if len(joined)+len(v)+2 > maxAttrValue {
				break
			}
			joined += ", " + v
		}
		if plain(s.names[i]) != "title" && joined != "" { // "Title: Default Title" is Shopify's word for no options
			s.attrs.describe(s.names[i], joined[2:])
		}
	}
	s.attrs.attr("department", s.attrs.said[colDepartment])
	s.attrs.category(&p)
	p.Title = firstOf(s.title, p.Category, p.ID)
	p.Tags, p.Image = tagsOf(s.tags), s.image
	p.Attrs = s.attrs.attrs
	if err := checkLinks(&p, s.line); err != nil {
		return p, err
	}
	return settle(p), nil
}

// shopifyCSV reads Shopify's product export, in its columns of before and after 2025.
func (c *catalogue) shopifyCSV(s *sheet) error {
	var now *shopify
	var broken string // the handle of a product with an error: its other rows are not told again
	flush := func() bool {
		if now == nil {
			return true
		}
		p, err := now.finish()
		now = nil
		return c.give(p, err)
	}
	for r, err := range s.records() {
		if err != nil {
			if !c.give(juncture.Product{}, err) {
				return nil
			}
			continue
		}
		row := map[string]string{}
		some := false
		for i, cell := range r.cells {
			if i < len(s.plain) && row[s.plain[i]] == "" {
				cell = strings.TrimSpace(cell)
				row[s.plain[i]] = cell
				some = some || cell != ""
			}
		}
		handle := firstOf(row["handle"], row["urlhandle"])
		switch {
		case !some, handle != "" && handle == broken:
			continue
		case handle == "":
			if !c.give(juncture.Product{}, rowError(r.line, "the row has no handle")) {
				return nil
			}
			continue
		}
		if now == nil || now.product.ID != handle {
			if !flush() {
				return nil
			}
			now = &shopify{product: juncture.Product{ID: strings.Clone(handle), URL: "/products/" + handle}, line: r.line}
		}
		if err := c.shopifyRow(now, row, s, r); err != nil {
			now, broken = nil, strings.Clone(handle)
			if !c.give(juncture.Product{}, err) {
				return nil
			}
		}
	}
	flush()
	return nil
}

func (c *catalogue) shopifyRow(p *shopify, row map[string]string, s *sheet, r record) error {
	keep := func(dst *string, texts ...string) {
		if *dst == "" {
			*dst = strings.Clone(firstOf(texts...))
		}
	}
	keep(&p.title, row["title"])
	keep(&p.product.Brand, row["vendor"])
	keep(&p.attrs.said[colType], row["type"])
	keep(&p.attrs.said[colGoogle], row["productcategory"], row["standardproducttype"], row["googleshoppinggoogleproductcategory"])
	keep(&p.attrs.said[colDepartment], row["googleshoppinggender"])
	keep(&p.image, row["imagesrc"], row["productimageurl"])
	if p.tags == nil {
		p.tags = splitTags(strings.Clone(row["tags"]))
	}
	p.product.Hidden = p.product.Hidden || no(firstOf(row["published"], row["publishedononlinestore"])) || withdrawn(row["status"])
	for i := range p.names {
		n := string('1' + rune(i))
		keep(&p.names[i], row["option"+n+"name"])
	}
	for i, cell := range r.cells {
		if i < len(s.heads) && cell != "" && strings.Contains(s.heads[i], "(product.metafields.") {
			p.attrs.set(s.plain[i], s.heads[i], strings.Clone(cell))
		}
	}
	v := variant{
		price: firstOf(row["variantprice"], row["price"]), compare: firstOf(row["variantcompareatprice"], row["compareatprice"]),
		cost: row["costperitem"], stock: firstOf(row["variantinventoryqty"], row["inventoryquantity"]),
		tracked:      firstOf(row["variantinventorytracker"], row["inventorytracker"]) != "",
		onAfterwards: strings.EqualFold(firstOf(row["variantinventorypolicy"], row["continuesellingwhenoutofstock"]), "continue"),
		options:      [3]string{row["option1value"], row["option2value"], row["option3value"]},
	}
	if v.price == "" && v.stock == "" && v.options == ([3]string{}) {
		return nil // a row of a picture
	}
	return c.addVariant(p, v, r.line)
}

// shopifyJSON makes a product of an object as Shopify's API and a shop's /products.json give it.
func (c *catalogue) shopifyJSON(t *tape, line int) (juncture.Product, error) {
	get := func(i int, name string) string { return strings.TrimSpace(t.text(t.member(i, name))) }
	s := &shopify{line: line, title: get(0, "title"), product: juncture.Product{Brand: get(0, "vendor")}}
	p := &s.product
	handle := get(0, "handle")
	if p.ID = firstOf(get(0, "id"), handle); handle != "" {
		p.URL = "/products/" + handle
	}
	s.attrs.said[colType] = get(0, "producttype")
	if created := firstOf(get(0, "createdat"), get(0, "publishedat")); created != "" {
		p.Created, _ = parseTime(created)
	}
	p.Hidden = withdrawn(get(0, "status"))
	for m := range t.each(0) {
		var buf [40]byte
		if string(t.plain(m, &buf)) == "publishedat" && t.nodes[m].kind == 'n' {
			p.Hidden = true
		}
	}
	if tags := t.member(0, "tags"); t.is(tags, '[') {
		for m := range t.each(tags) {
			s.tags = append(s.tags, t.text(m))
		}
	} else if tags > 0 {
		s.tags = splitTags(t.text(tags))
	}
	i := 0
	if list := t.member(0, "options"); list > 0 {
		for m := range t.each(list) {
			if i < len(s.names) {
				s.names[i] = get(m, "name")
				i++
			}
		}
	}
	s.image = get(t.member(0, "image"), "src")
	if images := t.member(0, "images"); images > 0 && s.image == "" {
		for m := range t.each(images) {
			if s.image == "" {
				s.image = firstOf(get(m, "src"), t.text(m))
			}
		}
	}
	for m := range t.each(t.member(0, "variants")) {
		v := variant{price: get(m, "price"), compare: get(m, "compareatprice"), cost: get(m, "cost"),
			stock: get(m, "inventoryquantity"), tracked: get(m, "inventorymanagement") != "",
			onAfterwards: strings.EqualFold(get(m, "inventorypolicy"), "continue"),
			options:      [3]string{get(m, "option1"), get(m, "option2"), get(m, "option3")}}
		if available := get(m, "available"); v.stock == "" && available != "" { // the public list knows no numbers
			v.tracked, v.onAfterwards = true, v.onAfterwards || yes(available)
		}
		if err := c.addVariant(s, v, line); err != nil {
			return *p, err
		}
	}
	return s.finish()
}

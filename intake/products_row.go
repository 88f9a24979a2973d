package intake

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/juncture/juncture"
)

// column is what a column of a table, an element of a feed or a member of an object says of a product.
type column uint8

const (
	colAttr column = iota // whatever else describes it
	colIgnored
	colID
	colSKU
	colHandle
	colTitle
	colDescription // the title of those that have no other
	colCategory
	colType
	colGoogle // Google's own tree: only when the store says nothing
	colTop
	colSub
	colLeaf
	colTags
	colBrand
	colPrice
	colSale
	colCompare
	colCost
	colMargin
	colStock
	colAvailable
	colImage
	colURL
	colCreated
	colPublished
	colStatus
	colHidden
	colColour
	colDepartment
	colYear
	colLabel // Google's custom labels, which are tags
	colCount
)

// columnOf knows the names of columns, folded as tape.plain: these are the aliases.
func columnOf(plain string) column {
	switch plain {
	case "id", "productid", "itemid", "articleid", "stockcode", "productcode", "itemcode", "code":
		return colID
	case "sku", "variantsku", "productsku":
		return colSKU
	case "handle", "slug", "urlhandle":
		return colHandle
	case "title", "name", "productname", "itemname", "producttitle", "productdisplayname":
		return colTitle
	case "description", "shortdescription":
		return colDescription
	case "category", "categories", "productcategory", "itemcategory", "categorypath", "collection":
		return colCategory
	case "producttype", "type":
		return colType
	case "googleproductcategory":
		return colGoogle
	case "mastercategory", "topcategory", "category1", "maincategory":
		return colTop
	case "subcategory", "category2":
		return colSub
	case "articletype", "category3", "subsubcategory":
		return colLeaf
	case "tags", "tag", "keywords", "labels":
		return colTags
	case "brand", "vendor", "manufacturer", "designer", "make":
		return colBrand
	case "price", "unitprice", "medianprice", "currentprice":
		return colPrice
	case "saleprice", "specialprice", "discountedprice":
		return colSale
	case "compareatprice", "compare", "listprice", "rrp", "msrp", "oldprice", "regularprice", "originalprice", "wasprice":
		return colCompare
	case "cost", "costperitem", "costofgoodssold", "unitcost":
		return colCost
	case "margin":
		return colMargin
	case "stock", "quantity", "qty", "inventory", "inventoryquantity", "stockquantity", "stocklevel":
		return colStock
	case "availability", "instock", "available":
		return colAvailable
	case "image", "imagelink", "imageurl", "imagesrc", "img", "picture", "photo", "thumbnail":
		return colImage
	case "url", "link", "producturl", "permalink":
		return colURL
	case "created", "createdat", "datecreated", "dateadded", "launchdate", "releasedate":
		return colCreated
	case "published", "active", "enabled", "visible":
		return colPublished
	case "status":
		return colStatus
	case "hidden", "archived", "deleted", "discontinued":
		return colHidden
	case "colour", "color", "basecolour", "basecolor":
		return colColour
	case "gender", "department", "googleshoppinggender":
		return colDepartment
	case "year":
		return colYear
	case "customlabel0", "customlabel1", "customlabel2", "customlabel3", "customlabel4":
		return colLabel
	case "", "agegroup", "gtin", "ean", "upc", "isbn", "barcode", "mpn", "asin", "itemgroupid", "parentid", "identifierexists", "shipping", "shippingweight",
		"shippinglabel", "tax", "taxcode", "taxable", "currency", "bodyhtml", "body", "longdescription", "seotitle", "seodescription",
		"additionalimagelink", "additionalimages", "images", "mobilelink", "adult", "isbundle", "multipack", "updatedat", "publishedat",
		"publishedscope", "templatesuffix", "admingraphqlapiid", "rating", "reviews", "lines", "expirationdate", "availabilitydate", "saleprieceffectivedate",
		"salepriceeffectivedate", "unitpricingmeasure", "unitpricingbasemeasure", "variants", "options", "supplier", "owner", "createdby", "note", "notes":
		return colIgnored
	}
	if personal([]byte(plain)) || denied([]byte(plain), placeInside) {
		return colIgnored
	}
	return colAttr
}

const (
	maxAttrs     = 32 // of a product
	maxTags      = 64
	maxAttrValue = 64 // bytes; longer ones are prose
)

// goods is a product as its row says it.
type goods struct {
	said  [colCount]string
	tags  []string
	attrs map[string]string
	empty bool // no cell says anything; meaningful after the first set
	some  bool
}

// set takes one cell; key is the plain name of the column, head what was written.
func (g *goods) set(key, head, cell string) {
	cell = strings.TrimSpace(cell)
	g.some = g.some || cell != ""
	g.empty = !g.some
	if cell == "" {
		return
	}
	switch k := columnOf(key); k {
	case colIgnored:
	case colTags:
		g.tags = append(g.tags, splitTags(cell)...)
	case colLabel:
		g.tags = append(g.tags, cell)
	case colAttr:
		if name, _, ok := strings.Cut(head, "(product.metafields."); ok {
			g.describe(name, strings.ReplaceAll(cell, "; ", ", "))
			return
		}
		if _, err := strconv.ParseFloat(cell, 64); err == nil && key != "size" || cell == "true" || cell == "false" {
			return // counts, codes and switches
		}
		g.attr(attrName(head), cell)
	default:
		if g.said[k] == "" {
			g.said[k] = cell
		}
	}
}

// describe keeps what an attribute says under its usual name: Color is colour, and gender is department. Names that are
// columns of another meaning, or denied, are left out.
func (g *goods) describe(name, value string) {
	switch k := columnOf(plain(name)); k {
	case colColour:
		g.attr("colour", value)
	case colDepartment:
		g.attr("department", value)
	case colAttr, colYear:
		g.attr(attrName(name), value)
	}
}

// attr keeps a text that describes the product, lower case.
func (g *goods) attr(name, value string) {
	value = strings.ToLower(strings.TrimSpace(value))
	if name == "" || value == "" || len(value) > maxAttrValue || strings.Contains(value, "://") || strings.ContainsAny(value, "<>\n{}") ||
		control(value) || mailAt([]byte(value)) >= 0 {
		return
	}
	if g.attrs == nil {
		g.attrs = make(map[string]string, 8)
	}
	if _, ok := g.attrs[name]; !ok && len(g.attrs) < maxAttrs {
		g.attrs[name] = strings.Clone(value)
	}
}

// attrName writes a column's name as that of an attribute: "Sleeve Length" and sleeveLength are sleeve_length.
func attrName(head string) string {
	head = strings.TrimPrefix(strings.TrimSpace(head), "g:")
	var b strings.Builder
	gap, lower := false, false
	for _, r := range head {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			gap = true
			continue
		case unicode.IsUpper(r) && lower, gap && b.Len() > 0:
			b.WriteByte('_')
		}
		gap, lower = false, unicode.IsLower(r)
		b.WriteRune(unicode.ToLower(r))
	}
	name := b.String()
	for _, prefix := range []string{"attribute_", "attr_"} {
		name = strings.TrimPrefix(name, prefix)
	}
	return cut(name, 40)
}

func splitTags(cell string) []string {
	return strings.FieldsFunc(cell, func(r rune) bool { return r == ',' || r == ';' || r == '|' })
}

// tagsOf makes tags lower case, sorted, each once.
func tagsOf(tags []string) []string {
	var out []string
	for _, t := range tags {
		if t = strings.ToLower(strings.TrimSpace(t)); t != "" && len(t) <= maxAttrValue && !control(t) {
			out = append(out, strings.Clone(t))
		}
	}
	slices.Sort(out)
	out = slices.Compact(out)
	return out[:min(len(out), maxTags)]
}

// product makes the product of a row.
func (c *catalogue) product(g *goods, line int) (juncture.Product, error) {
	s := &g.said
	p := juncture.Product{Stock: -1}
	for _, k := range []column{colID, colSKU, colHandle} {
		if p.ID == "" {
			p.ID = s[k]
		}
	}
	if err := checkID(p.ID, line); err != nil {
		return p, err
	}
	if err := c.prices(s, &p, line); err != nil {
		return p, err
	}
	p.Title, p.Brand = s[colTitle], s[colBrand]
	g.category(&p)
	if err := stockOf(s, &p, line); err != nil {
		return p, err
	}
	p.Image, p.URL = s[colImage], s[colURL]
	if err := checkLinks(&p, line); err != nil {
		return p, err
	}
	if s[colCreated] != "" {
		p.Created, _ = parseTime(s[colCreated]) // not worth a product
	}
	p.Hidden = no(s[colPublished]) || yes(s[colHidden]) || withdrawn(s[colStatus])
	g.attr("colour", s[colColour])
	g.attr("department", s[colDepartment])
	g.attr("year", strings.TrimSuffix(s[colYear], ".0"))
	if p.Title == "" {
		p.Title = strings.TrimSpace(s[colColour] + " " + s[colLeaf])
	}
	if p.Title == "" {
		p.Title = firstOf(s[colDescription], p.Category, p.ID)
	}
	p.Tags = tagsOf(g.tags)
	p.Attrs = g.attrs
	return settle(p), nil
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// settle bounds the texts of a product and lets go of the row they were cut from.
func settle(p juncture.Product) juncture.Product {
	text := func(s string, n int) string {
		return strings.Clone(cut(strings.Join(strings.Fields(s), " "), n))
	}
	p.ID, p.Title, p.Brand = strings.Clone(p.ID), text(p.Title, 300), text(p.Brand, 100)
	p.Category, p.Image, p.URL = strings.Clone(p.Category), text(p.Image, 2048), text(p.URL, 2048)
	if !p.Created.IsZero() {
		p.Created = p.Created.UTC()
	}
	p.Attrs = maps.Clone(p.Attrs)
	return p
}

// checkLinks refuses what a page must not link to, such as javascript: addresses.
func checkLinks(p *juncture.Product, line int) error {
	for _, l := range [][2]string{{"url", p.URL}, {"image", p.Image}} {
		if !isLink(l[1]) {
			return rowError(line, "the %s %.80q of product %.40q begins with neither http://, https:// nor /", l[0], l[1], p.ID)
		}
	}
	return nil
}

func isLink(s string) bool {
	if s = strings.TrimSpace(s); s == "" || s[0] == '/' {
		return !strings.ContainsAny(s, "\\")
	}
	scheme, rest, ok := strings.Cut(s, "://")
	return ok && rest != "" && (strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https"))
}

func checkID(id string, line int) error {
	switch {
	case id == "":
		return rowError(line, "the product has no id")
	case len(id) > 256 || control(id):
		return rowError(line, "the id %.40q is longer than 256 bytes or holds control characters", id)
	}
	return nil
}

// category joins what the row says into a path and takes it apart.
func (g *goods) category(p *juncture.Product) {
	s := &g.said
	path := strings.Join([]string{s[colTop], s[colSub], s[colLeaf]}, " > ")
	if s[colTop]+s[colSub]+s[colLeaf] == "" {
		path = firstOf(s[colType], s[colCategory], s[colGoogle])
		if s[colType] != "" && s[colCategory] != "" && categoryOf(s[colCategory]) != categoryOf(s[colType]) {
			g.attr("category_parent", categoryOf(s[colCategory]))
		}
		if strings.Trim(path, "0123456789") == "" { // the number of a category
			path = firstOf(s[colCategory], s[colType])
		}
	} else if s[colCategory] != "" && s[colLeaf] == "" {
		path += " > " + s[colCategory]
	}
	var parts []string
	for _, part := range strings.FieldsFunc(path, func(r rune) bool { return r == '>' || r == '/' || r == '|' }) {
		if part = categoryOf(part); part != "" {
			parts = append(parts, part)
		}
	}
	if len(parts) == 0 {
		return
	}
	p.Category = parts[len(parts)-1]
	if len(parts) > 1 {
		g.attr("category_parent", parts[len(parts)-2])
	}
	if len(parts) > 2 {
		g.attr("category_top", parts[0])
	}
}

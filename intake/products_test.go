package intake

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/juncture/juncture"
)

// shared opens a file of the data for development, or skips.
func shared(t *testing.T, name string) *os.File {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "..", "shared", "data", filepath.FromSlash(name)))
	if err != nil {
		t.Skipf("skipped: the data for development is not here (../shared/data/%s)", name)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func products(in string) (out []juncture.Product, problems []string) {
	for p, err := range ReadProducts(strings.NewReader(in), "GBP") {
		if err != nil {
			problems = append(problems, err.Error())
			continue
		}
		out = append(out, p)
	}
	return out, problems
}

// productText writes a product on a line, what is empty left out.
func productText(p juncture.Product) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %q %s", p.ID, p.Title, p.Category)
	add := func(name string, v any, there bool) {
		if there {
			fmt.Fprintf(&b, " %s=%v", name, v)
		}
	}
	add("tags", strings.Join(p.Tags, "|"), len(p.Tags) > 0)
	add("brand", p.Brand, p.Brand != "")
	add("price", p.Price, true)
	add("compare", p.Compare, p.Compare != 0)
	add("margin", p.Margin, p.Margin != 0)
	add("stock", p.Stock, true)
	add("image", p.Image, p.Image != "")
	add("url", p.URL, p.URL != "")
	add("created", p.Created.Format(time.RFC3339), !p.Created.IsZero())
	for _, k := range slices.Sorted(maps.Keys(p.Attrs)) {
		add(k, p.Attrs[k], true)
	}
	add("hidden", true, p.Hidden)
	return b.String()
}

func TestReadProducts(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"table", `id,title,category,tags,brand,price,stock,Colour,Sleeve Length,Email,weight
d1,Red Dress,Women > Dresses,"summer, Linen;summer",Acme,49.99,3,Red,Long,a@b.co,12
d2,,Dresses,,,"1.299,00",0,Blue,,,

,No id,,,,1,1,,,,
d3,Bad price,,,,abc,1,,,,
d4,Bad stock,,,,1,many,,,,
d5,"Text with ""quotes""
and a break",,,,£5,,,,,`,
			`d1 "Red Dress" dresses tags=linen|summer brand=Acme price=4999 stock=3 category_parent=women colour=red sleeve_length=long
d2 "Blue" dresses price=129900 stock=0 colour=blue
line 5: the product has no id
line 6: "abc" is not an amount
line 7: the stock "many" is not a number
d5 "Text with \"quotes\" and a break"  price=500 stock=-1`},
		{"semicolons", "SKU;Name;Preis;Price;Compare at price;Cost per item\nA-1;Vase;x;19,99;25,00;8,00\n", `A-1 "Vase"  price=1999 compare=2500 margin=1199 stock=-1 preis=x`},
		{"columns of the fashion catalogue", "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage\n15970,Men,Apparel,Topwear,Shirts,Navy Blue,Fall,2011.0,Casual\n",
			`15970 "Navy Blue Shirts" shirts price=0 stock=-1 category_parent=topwear category_top=apparel colour=navy blue department=men season=fall usage=casual year=2011`},
		{"quote that does not close", "id,title\n1,\"a\n2,b\n", `line 2: extraneous or missing " in quoted-field`},
		{"stray quote harms its line", "id,title\n1,a \"b\n2,c\n", "line 2: bare \" in non-quoted-field\n2 \"c\"  price=0 stock=-1"},
		{"not UTF-8", "id,title\n1,\xe9t\xe9\n2,c\n", "line 2: a cell is not UTF-8, or holds the character U+0000; save the file as UTF-8\n2 \"c\"  price=0 stock=-1"},
		{"no id column", "name,price\na,1\n", "line 1: no column names the product: id, product_id, sku, stockcode or handle"},
		{"empty", " \n", "the file is empty"},
		{"Google TSV", "id\ttitle\tgoogle_product_category\tproduct_type\tprice\tsale_price\tavailability\tlink\timage_link\tbrand\tcolor\tgender\tage_group\tcustom_label_0\n" +
			"g1\t24\" Screen\tElectronics > Video\tHome > Screens\t199.00 GBP\t149.00 GBP\tin stock\thttps://s/1\thttps://s/1.jpg\tAcme\tBlack\tunisex\tadult\tBestseller\n" +
			"g2\tUSD\t\t\t1.00 USD\t\tout of stock\t\t\t\t\t\t\t\n" + "g3\tGone\t222\t\t1.00 GBP\t\tout_of_stock\t\t\t\t\t\t\t\n",
			`g1 "24\" Screen" screens tags=bestseller brand=Acme price=14900 compare=19900 stock=-1 image=https://s/1.jpg url=https://s/1 category_parent=home colour=black department=unisex
line 3: "1.00 USD" is not in GBP
g3 "Gone"  price=100 stock=0`},
		{"Google RSS", `<?xml version="1.0"?><rss xmlns:g="http://base.google.com/ns/1.0" version="2.0"><channel><title>Shop</title>
<item><g:id>x1</g:id><title>Lamp &amp; Shade</title><link>https://s/x1</link><g:price>20.00 GBP</g:price><g:product_type>Home &gt; Lamps</g:product_type>
<g:shipping><g:price>5 GBP</g:price></g:shipping><g:brand><![CDATA[Lux]]></g:brand><g:material>brass</g:material></item>
<item><title>No id</title></item></channel></rss>`,
			`x1 "Lamp & Shade" lamps brand=Lux price=2000 stock=-1 url=https://s/x1 category_parent=home material=brass
line 4: the product has no id`},
		{"Atom", `<feed xmlns="http://www.w3.org/2005/Atom" xmlns:g="g"><entry><g:id>y</g:id><title>T</title><link href="https://s/y"/></entry></feed>`, `y "T"  price=0 stock=-1 url=https://s/y`},
		{"XML without items", `<html><body>no</body></html>`, "the XML holds no item: it needs to be a Google product feed"},
		{"XML cut short", `<rss><item><id>1</id></item><item><id>2`, "1 \"1\"  price=0 stock=-1\nnear line 1: XML syntax error on line 1: unexpected EOF"},
		{"Shopify CSV", `Handle,Title,Vendor,Type,Tags,Published,Option1 Name,Option1 Value,Option2 Name,Option2 Value,Variant SKU,Variant Inventory Tracker,Variant Inventory Qty,Variant Inventory Policy,Variant Price,Variant Compare At Price,Image Src,Cost per item,Status
tee,Tee,Acme,Shirts,"Cotton, new",true,Size,S,Color,Red,t-1,shopify,3,deny,20.00,25.00,https://i/1.jpg,8.00,active
tee,,,,,,,M,,Blue,t-2,shopify,4,deny,18.00,,https://i/2.jpg,7.00,
tee,,,,,,,,,,,,,,,,https://i/3.jpg,,
mug,Mug,Acme,,,false,Title,Default Title,,,,,0,deny,5,,,,draft
cap,Cap,,,,true,Title,Default Title,,,,shopify,0,deny,5,,,,active
bag,Bag,,,,true,Title,Default Title,,,,shopify,-2,continue,5,,,,active
bad,Bad,,,,true,Size,S,,,,shopify,1,deny,x,,,,active
bad,,,,,,,M,,,,shopify,1,deny,1,,,,active
,Nobody,,,,true,,,,,,,,,1,,,,`,
			`tee "Tee" shirts tags=cotton|new brand=Acme price=1800 margin=1100 stock=7 image=https://i/1.jpg url=/products/tee colour=red, blue size=s, m
mug "Mug"  brand=Acme price=500 stock=-1 url=/products/mug hidden=true
cap "Cap"  price=500 stock=0 url=/products/cap
bag "Bag"  price=500 stock=-1 url=/products/bag
line 8: "x" is not an amount
line 10: the row has no handle`},
		{"Shopify CSV of 2025", `Title,URL handle,Vendor,Product category,Type,Published on online store,Status,SKU,Option1 name,Option1 value,Price,Compare-at price,Inventory quantity,Inventory tracker,Continue selling when out of stock,Product image URL,Color (product.metafields.shopify.color-pattern)
Shirt,shirt,Acme,Apparel & Accessories > Clothing > Shirts,,true,Active,s1,Size,L,12.50,,3,shopify,DENY,https://i/s.jpg,blue; green`,
			`shirt "Shirt" shirts brand=Acme price=1250 stock=3 image=https://i/s.jpg url=/products/shirt category_parent=clothing category_top=apparel & accessories colour=blue, green size=l`},
		{"Shopify JSON", `{"products":[{"id":632910392000000001,"title":"IPod","handle":"ipod","vendor":"Apple","product_type":"Cult Products","created_at":"2026-01-02T09:28:43-05:00","published_at":"2026-01-01T00:00:00Z","tags":"Emotive, Flash Memory","options":[{"name":"Color","values":["Pink"]}],"variants":[{"id":1,"price":"199.00","compare_at_price":null,"option1":"Pink","inventory_quantity":10,"inventory_management":"shopify"},{"id":2,"price":"189.00","compare_at_price":"210.00","option1":"Red","inventory_quantity":20,"inventory_management":"shopify"}],"images":[{"src":"https://i/1.png"}],"status":"active"},
{"id":2,"title":"Public","handle":"public","published_at":null,"tags":["a","B"],"variants":[{"price":"5","available":false}]},{"id":3,"title":"Broken","variants":[{"price":"x"}]},7]}`,
			`632910392000000001 "IPod" cult products tags=emotive|flash memory brand=Apple price=18900 compare=21000 stock=30 image=https://i/1.png url=/products/ipod created=2026-01-02T14:28:43Z colour=pink, red
2 "Public"  tags=a|b price=500 stock=0 url=/products/public hidden=true
line 2: "x" is not an amount
line 2: a product is a JSON object`},
		{"JSON lines", `{"id":"a","title":"A","category":"X/Y","tags":["t"],"price":1.5,"stock":4,"attributes":{"Material":"wool","gender":"f"},"active":true}
not json
{"id":"b","price":"2","images":["https://i/b"],"email":"a@b.co"}`,
			`a "A" y tags=t price=150 stock=4 category_parent=x department=f material=wool
line 2: not valid JSON at byte 1
b "b"  price=200 stock=-1`},
		{"JSON list", `[ {"id": 1, "name": "One"},
 {"id": 2, "name": "Two", "sizes": ["s","m"]} ]`, "1 \"One\"  price=0 stock=-1\n2 \"Two\"  price=0 stock=-1 sizes=s, m"},
		{"JSON without products", `{"shop":` + "\n" + `1}`, `the JSON holds no products; it needs {"products": [...]}, a list, or one product a line`},
		{"JSON cut short", `{"products":[{"id":1},{"id":`, "1 \"1\"  price=0 stock=-1\nthe JSON ends too early"},
	} {
		out, n := []string{}, 0
		for p, err := range ReadProducts(strings.NewReader(c.in), "GBP") {
			n++
			if err != nil {
				out = append(out, err.Error())
				continue
			}
			out = append(out, productText(p))
		}
		if got := strings.Join(out, "\n"); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, c.want)
		}
		for range ReadProducts(strings.NewReader(c.in), "GBP") { // whoever stops is left alone
			break
		}
	}
}

// A file whose record does not end is given up in bounded memory.
func TestReadProductsEndlessRecord(t *testing.T) {
	for name, head := range map[string]string{"csv": "id,title\n1,\"", "xml": "<rss><item><title>", "json": `{"products":[{"id":"`, "header": ""} {
		_, problems := products(head + strings.Repeat("x", maxRecord+1<<20))
		if len(problems) != 1 || !strings.Contains(problems[0], errRecord.Error()) {
			t.Errorf("%s: %.200q", name, problems)
		}
	}
}

func TestReadProductsShared(t *testing.T) {
	for _, c := range []struct {
		file         string
		count        int
		first, check string // a product by its id
	}{
		{"catalogue/shopify_apparel.csv", 20, "classic-varsity-top", `classic-varsity-top "Classic Varsity Top"  tags=women brand=partners-demo price=6000 stock=3 image=https://burst.shopifycdn.com/photos/casual-fashion-woman_925x.jpg url=/products/classic-varsity-top size=small, medium, large`},
		{"catalogue/shopify_home.csv", 20, "clay-plant-pot", `clay-plant-pot "Clay Plant Pot" outdoor tags=plants|pot brand=Company 123 price=999 stock=4 image=https://burst.shopifycdn.com/photos/single-sprout-in-a-pot_925x.jpg url=/products/clay-plant-pot size=regular, large`},
		{"catalogue/shopify_jewelery.csv", 20, "chain-bracelet", `chain-bracelet "7 Shakra Bracelet" bracelet tags=beads brand=Company 123 price=4299 compare=4499 stock=1 image=https://burst.shopifycdn.com/photos/7-chakra-bracelet_925x.jpg url=/products/chain-bracelet colour=blue, black`},
		{"catalogue/fashion_styles.csv.gz", 44446, "15970", `15970 "Navy Blue Shirts" shirts price=0 stock=-1 category_parent=topwear category_top=apparel colour=navy blue department=men season=fall usage=casual year=2011`},
		{"catalogue/online_retail_products.csv.gz", 4069, "10120", `10120 "DOGGY RUBBER"  price=21 stock=-1`},
	} {
		t.Run(c.file, func(t *testing.T) {
			f := shared(t, c.file)
			count, problems, checked := 0, 0, ""
			ids := map[string]bool{}
			for p, err := range ReadProducts(f, "GBP") {
				if err != nil {
					if problems++; err.Error() != `line 4040: the price "-11062.06" is negative` || problems > 1 { // "Adjust bad debt" is no product
						t.Errorf("%v", err)
					}
					continue
				}
				count++
				if ids[p.ID] {
					t.Errorf("%s comes twice", p.ID)
				}
				ids[p.ID] = true
				if p.ID == c.first {
					checked = productText(p)
				}
			}
			if count != c.count || checked != c.check {
				t.Errorf("%d products, want %d\n%s\nwant\n%s", count, c.count, checked, c.check)
			}
		})
	}
}

func TestTagsOf(t *testing.T) {
	if diff := cmp.Diff([]string{"a", "b"}, tagsOf([]string{" B", "a", "", "A", strings.Repeat("x", 100)})); diff != "" {
		t.Error(diff)
	}
}

func FuzzReadProducts(f *testing.F) {
	for _, seed := range []string{"id,title,price\n1,a,\"2,5\"\n", "Handle,Title,Option1 Name,Option1 Value,Variant Price\na,A,Size,S,1\na,,,M,2\n", `{"products":[{"id":1,"variants":[{"price":"1"}]}]}`,
		`[{"id":1,"tags":["a"]}]`, "{\"id\":1}\n{\"id\":2}\n", `<rss><item><g:id>1</g:id><g:price>1 GBP</g:price></item></rss>`, "id\ttitle\n1\t\"\n", "\x1f\x8b"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for p, err := range ReadProducts(strings.NewReader(string(b)), "GBP") {
			if err != nil {
				if err.Error() == "" {
					t.Fatalf("%q: an error without words", b)
				}
				if r, ok := errors.AsType[*RowError](err); ok && r.Line < 1 {
					t.Fatalf("%q: line %d", b, r.Line)
				}
				continue
			}
			if p.ID == "" || len(p.ID) > 256 || p.Title == "" || p.Price < 0 || p.Price > maxAmount || p.Stock < -1 || p.Category != strings.ToLower(p.Category) ||
				len(p.Attrs) > maxAttrs || len(p.Tags) > maxTags || !slices.IsSorted(p.Tags) || p.Compare != 0 && p.Compare <= p.Price {
				t.Fatalf("%q: %+v", b, p)
			}
		}
	})
}

// Feeds hold HTML: its entities, and what HTML lets be.
func TestAGoogleFeedWithHTML(t *testing.T) {
	got, problems := products(`<rss xmlns:g="http://base.google.com/ns/1.0"><channel><title>Shop</title>
		<item><g:id>1</g:id><g:title>Caf&eacute;&nbsp;table &copy; M&S</g:title><g:price>10.00 GBP</g:price><g:link>https://shop.example/1?a=1&b=2</g:link></item>
		<item><g:id>2</g:id><g:title>Chair &unknown;</g:title><g:price>5 GBP</g:price></item></channel></rss>`)
	if len(problems) > 0 || len(got) != 2 || got[0].Title != "Café table © M&S" || got[0].URL != "https://shop.example/1?a=1&b=2" || got[1].Title != "Chair &unknown;" {
		t.Errorf("%+v, %v", got, problems)
	}
}

func TestLinksOfProducts(t *testing.T) {
	for link, ok := range map[string]bool{"https://a.example/x": true, "HTTP://a.example": true, "/products/x": true, "//cdn.example/x.png": true, "": true,
		"javascript:alert(1)": false, "java\tscript:alert(1)": false, "data:text/html,x": false, "ftp://a.example": false, "https:": false, `/\evil.example`: false,
		"javascript://a.example/%0aalert(1)": false, "a.example/x": false} {
		for _, column := range []string{"link", "image_link"} {
			got, problems := products("id,title,price," + column + "\n1,Chair,5,\"" + link + "\"\n2,Table,6,\n")
			if want := 2; ok && (len(got) != want || len(problems) > 0) || !ok && (len(got) != 1 || len(problems) != 1 || !strings.Contains(problems[0], "line 2: the ")) {
				t.Errorf("%s %q: %d taken, %v", column, link, len(got), problems)
			}
		}
		got, problems := products("Handle,Title,Variant Price,Image Src\nchair,Chair,5,\"" + link + "\"\n")
		if (len(got) == 1) != ok {
			t.Errorf("Shopify, %q: %+v, %v", link, got, problems)
		}
	}
}

package intake

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/juncture/juncture"
)

// ReadProducts reads a catalogue whose form it tells from its content: a Shopify product CSV, Shopify product JSON
// ({"products": [...]}, a list, or one product a line), a Google product feed (RSS or Atom with g: elements, TSV, CSV), or
// a table with a header (separated by comma, semicolon, tab or bar). currency is the store's, for its decimals; an amount
// in another one is a row error. Errors are as ReadEvents says; a product with an error is left out.
//
// Where the forms leave it open:
//   - Category is the last part of the path (categoryOf), the part above it is the attribute category_parent and the
//     first of three or more category_top.
//   - Shopify: the variants of one handle, which stand one after another, are one product: the lowest price with its
//     compare-at price and cost, the sum of the stocks, options as attributes with their values joined by ", ". CSV knows
//     products by handle, JSON by number. Stock is -1 where nothing is tracked and no quantity is given, and where a
//     variant may be sold on when it is out.
//   - gender is the attribute department: where in the shop it hangs, no trait of a person.
//   - a missing title is made of colour and category.
func ReadProducts(r io.Reader, currency string) iter.Seq2[juncture.Product, error] {
	return func(yield func(juncture.Product, error) bool) {
		br, err := open(r)
		if err != nil {
			yield(juncture.Product{}, err)
			return
		}
		c := catalogue{currency: currency, digits: juncture.MinorDigits(currency), yield: yield}
		head, _ := br.Peek(32 << 10)
		head = bytes.TrimLeft(head, " \t\r\n")
		switch {
		case len(head) == 0:
			err = errors.New("the file is empty")
		case head[0] == '<':
			err = c.xml(br)
		case head[0] == '{' && oneALine(head):
			err = c.jsonLines(br)
		case head[0] == '{', head[0] == '[':
			err = c.json(br)
		default:
			err = c.table(br)
		}
		if err != nil && !c.done {
			yield(juncture.Product{}, err)
		}
	}
}

// catalogue reads one file of products.
type catalogue struct {
	currency string
	digits   int
	yield    func(juncture.Product, error) bool
	done     bool // the caller wants no more
}

// give hands out a product or what is wrong with it; false: stop.
func (c *catalogue) give(p juncture.Product, err error) bool {
	if c.done {
		return false
	}
	if err != nil {
		p = juncture.Product{}
	}
	c.done = !c.yield(p, err)
	return !c.done
}

// sheet reads the records of a table.
type sheet struct {
	csv   *csv.Reader
	guard *guard
	heads []string // as written
	plain []string // folded as tape.plain
}

func newSheet(br *bufio.Reader) (*sheet, error) {
	head, _ := br.Peek(32 << 10)
	line, _, _ := bytes.Cut(head, []byte("\n"))
	s := &sheet{guard: &guard{r: br}}
	s.guard.reset()
	s.csv = csv.NewReader(s.guard)
	s.csv.FieldsPerRecord, s.csv.ReuseRecord = -1, true
	most := 0
	for _, sep := range []byte{',', '\t', ';', '|'} {
		if n := bytes.Count(line, []byte{sep}); n > most {
			most, s.csv.Comma = n, rune(sep)
		}
	}
	s.csv.LazyQuotes = s.csv.Comma == '\t' // feeds in TSV leave quotes as they are: 24" screen
	heads, err := s.csv.Read()
	if err != nil {
		return nil, headerError(err)
	}
	for _, h := range heads {
		h = strings.TrimSpace(h)
		s.heads = append(s.heads, h)
		s.plain = append(s.plain, plain(strings.TrimPrefix(h, "g:")))
	}
	if len(heads) < 2 || !utf8.ValidString(strings.Join(heads, "")) {
		return nil, errors.New("line 1: the header names fewer than two columns")
	}
	return s, nil
}

func headerError(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("the file has no header")
	}
	return err
}

// has reports a column by one of its plain names.
func (s *sheet) has(names ...string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return slices.Contains(s.plain, n) })
}

// records yields the rows with the line where they begin. The cells are valid until the next.
func (s *sheet) records() iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		for {
			s.guard.reset()
			cells, err := s.csv.Read()
			if err == io.EOF {
				return
			}
			var bad *csv.ParseError
			if errors.As(err, &bad) {
				err = rowError(bad.StartLine, "%v", bad.Err)
				if !yield(record{}, err) {
					return
				}
				continue
			}
			if err != nil {
				yield(record{}, err)
				return
			}
			line, _ := s.csv.FieldPos(0)
			rec := record{sheet: s, line: line, cells: cells}
			if !rec.sound() {
				if !yield(record{}, rowError(line, "a cell is not UTF-8, or holds the character U+0000; save the file as UTF-8")) {
					return
				}
				continue
			}
			if !yield(rec, nil) {
				return
			}
		}
	}
}

// record is a row of a table.
type record struct {
	sheet *sheet
	line  int
	cells []string
}

func (r record) sound() bool {
	for _, c := range r.cells {
		if !utf8.ValidString(c) || strings.IndexByte(c, 0) >= 0 {
			return false
		}
	}
	return true
}

func (c *catalogue) table(br *bufio.Reader) error {
	s, err := newSheet(br)
	if err != nil {
		return err
	}
	if s.has("handle", "urlhandle") && s.has("variantprice", "option1name", "option1value", "variantsku") {
		return c.shopifyCSV(s)
	}
	if !slices.ContainsFunc(s.plain, func(p string) bool {
		k := columnOf(p)
		return k == colID || k == colSKU || k == colHandle
	}) {
		return errors.New("line 1: no column names the product: id, product_id, sku, stockcode or handle")
	}
	for r, err := range s.records() {
		if err != nil {
			if !c.give(juncture.Product{}, err) {
				return nil
			}
			continue
		}
		var g goods
		for i, cell := range r.cells {
			if i < len(s.plain) {
				g.set(s.plain[i], s.heads[i], cell)
			}
		}
		if g.empty {
			continue
		}
		if p, err := c.product(&g, r.line); !c.give(p, err) {
			return nil
		}
	}
	return nil
}

// oneALine reports that the first line is an object of its own that holds no list of products.
func oneALine(head []byte) bool {
	line, rest, found := bytes.Cut(head, []byte("\n"))
	if !found && len(rest) == 0 && len(head) >= 16<<10 {
		return false
	}
	t, err := readTape(bytes.TrimSpace(line), 0)
	return err == nil && t.nodes[0].kind == '{' && t.member(0, "products") == 0
}

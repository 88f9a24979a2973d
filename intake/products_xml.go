package intake

import (
	"bufio"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// xml reads a Google product feed: the items of RSS or the entries of Atom, whose g: elements are columns. Shops write
// HTML into them: its entities are known, and what is not closed is let be. Nothing is fetched.
func (c *catalogue) xml(br *bufio.Reader) error {
	g := &guard{r: br}
	g.reset()
	dec := xml.NewDecoder(g)
	dec.Strict, dec.Entity = false, xml.HTMLEntity
	items := 0
	for {
		tok, err := dec.Token()
		if err == io.EOF {
			if items == 0 {
				return errors.New("the XML holds no item: it needs to be a Google product feed")
			}
			return nil
		}
		if err != nil {
			return xmlError(dec, err)
		}
		start, ok := tok.(xml.StartElement)
		if !ok || start.Name.Local != "item" && start.Name.Local != "entry" {
			continue
		}
		items++
		g.reset()
		line, _ := dec.InputPos()
		row, err := xmlItem(dec)
		if err != nil {
			return xmlError(dec, err)
		}
		p, bad := c.product(row, line)
		if !c.give(p, bad) {
			return nil
		}
	}
}

func xmlError(dec *xml.Decoder, err error) error {
	line, _ := dec.InputPos()
	return fmt.Errorf("near line %d: %w", line, err)
}

// xmlItem reads the elements of an item up to its end. What is nested in them (shipping, tax) is passed over.
func xmlItem(dec *xml.Decoder) (*goods, error) {
	g := &goods{}
	depth := 0
	var name string
	var text strings.Builder
	for {
		tok, err := dec.Token()
		if err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			if depth++; depth > looseDepth {
				return nil, errors.New("elements are nested too deep")
			}
			if depth == 1 {
				name = tok.Name.Local
				text.Reset()
				for _, a := range tok.Attr {
					if a.Name.Local == "href" { // Atom's link
						text.WriteString(a.Value)
					}
				}
			}
		case xml.CharData:
			if depth == 1 && text.Len() < 64<<10 {
				text.Write(tok)
			}
		case xml.EndElement:
			if depth == 0 {
				return g, nil
			}
			if depth == 1 && !strings.Contains(text.String(), "\x00") {
				g.set(plain(name), name, text.String())
			}
			depth--
		}
	}
}

package intake

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/juncture/juncture"
)

// jsonLines reads one product a line; a line that is no JSON harms no other.
func (c *catalogue) jsonLines(br *bufio.Reader) error {
	for l, err := range lines(br, maxRecord) {
		if err != nil {
			if !c.give(juncture.Product{}, err) {
				return nil
			}
			continue
		}
		if !c.object(l.b, l.line) {
			return nil
		}
	}
	return nil
}

// json reads one or more documents: lists of products, or objects with a list named products.
func (c *catalogue) json(br *bufio.Reader) error {
	g := &guard{r: br}
	g.reset()
	lines := &lineCounter{r: g}
	dec := json.NewDecoder(lines)
	for n := 0; ; n++ {
		open, err := dec.Token()
		if err == io.EOF && n > 0 {
			return nil
		}
		if err != nil {
			return jsonError(err, lines)
		}
		found := false
		switch open {
		case json.Delim('['):
			found = true
			if err := c.jsonList(dec, g, lines); err != nil || c.done {
				return err
			}
		case json.Delim('{'):
			for dec.More() {
				key, err := dec.Token()
				if err != nil {
					return jsonError(err, lines)
				}
				g.reset()
				if name, _ := key.(string); plain(name) != "products" && plain(name) != "items" {
					var skipped json.RawMessage
					if err := dec.Decode(&skipped); err != nil {
						return jsonError(err, lines)
					}
					continue
				}
				if t, err := dec.Token(); err != nil || t != json.Delim('[') {
					return errors.Join(errors.New("products is not a list"), err)
				}
				found = true
				if err := c.jsonList(dec, g, lines); err != nil || c.done {
					return err
				}
			}
			if _, err := dec.Token(); err != nil {
				return jsonError(err, lines)
			}
		}
		if !found {
			return errors.New(`the JSON holds no products; it needs {"products": [...]}, a list, or one product a line`)
		}
	}
}

func (c *catalogue) jsonList(dec *json.Decoder, g *guard, at *lineCounter) error {
	for dec.More() {
		g.reset()
		line := at.n + 1
		var b json.RawMessage
		if err := dec.Decode(&b); err != nil {
			return jsonError(err, at)
		}
		if !c.object(b, line) {
			return nil
		}
	}
	if _, err := dec.Token(); err != nil {
		return jsonError(err, at)
	}
	return nil
}

func jsonError(err error, at *lineCounter) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the JSON ends too early")
	}
	return fmt.Errorf("near line %d: %w", at.n+1, err)
}

// lineCounter counts what has been read of; the decoder reads ahead, so that a line is only about right.
type lineCounter struct {
	r io.Reader
	n int
}

func (l *lineCounter) Read(b []byte) (int, error) {
	n, err := l.r.Read(b)
	for _, c := range b[:n] {
		if c == '\n' {
			l.n++
		}
	}
	return n, err
}

// object hands out the product of one JSON object; a list of products inside it is walked.
func (c *catalogue) object(b []byte, line int) bool {
	t, err := readTape(b, 0)
	if err != nil {
		return c.give(juncture.Product{}, rowError(line, "%s", err.Message))
	}
	if t.nodes[0].kind != '{' {
		return c.give(juncture.Product{}, rowError(line, "a product is a JSON object"))
	}
	if reason, broken := t.fault(0); broken {
		return c.give(juncture.Product{}, rowError(line, "%s", reason.message()))
	}
	if !utf8.Valid(b) {
		return c.give(juncture.Product{}, rowError(line, "the product is not UTF-8"))
	}
	if inner := t.member(0, "product"); t.is(inner, '{') && t.member(0, "id") == 0 {
		return c.object(t.raw(inner), line)
	}
	if list := t.member(0, "products"); t.is(list, '[') {
		for m := range t.each(list) {
			if !c.object(t.raw(m), line) {
				return false
			}
		}
		return true
	}
	if t.is(t.member(0, "variants"), '[') {
		return c.give(c.shopifyJSON(t, line))
	}
	var g goods
	for m := range t.each(0) {
		n := t.nodes[m]
		head := string(t.b[n.key:n.keyEnd])
		switch key := plain(head); n.kind {
		case '{':
			if key == "attributes" || key == "attrs" {
				for a := range t.each(m) {
					inner := string(t.b[t.nodes[a].key:t.nodes[a].keyEnd])
					g.describe(inner, t.text(a))
				}
			}
		case '[':
			var all []string
			for e := range t.each(m) {
				all = append(all, t.text(e))
			}
			switch columnOf(key) {
			case colTags:
				g.tags = append(g.tags, all...)
			case colImage:
				g.set(key, head, firstOf(all...))
			case colCategory:
				g.set(key, head, strings.Join(all, " > "))
			default:
				g.set(key, head, strings.Join(all, ", "))
			}
		default:
			g.set(key, head, t.text(m))
		}
	}
	return c.give(c.product(&g, line))
}

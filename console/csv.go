package console

import (
	"bytes"
	"encoding/csv"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"
)

// neutral keeps a spreadsheet from reading text as a formula: a cell that begins with = + - @, in any width, a tab or a
// line end gets a leading apostrophe; null bytes are left out.
func neutral(s string) string {
	s = strings.ReplaceAll(s, "\x00", "")
	for _, first := range s {
		if strings.ContainsRune("=+-@＝＋－＠\t\r\n", first) {
			return "'" + s
		}
		break
	}
	return s
}

// table is a CSV in the making. Its numbers are plain: rates between 0 and 1, a point for decimals.
type table struct {
	b    bytes.Buffer
	w    *csv.Writer
	sent bool // a part is on its way
}

func newTable(head ...string) *table {
	t := &table{}
	t.w = csv.NewWriter(&t.b)
	t.row(head...)
	return t
}

func (t *table) row(cells ...string) {
	for i := range cells {
		cells[i] = neutral(cells[i])
	}
	_ = t.w.Write(cells) // a bytes.Buffer takes everything
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }

func whole(v int64) string { return strconv.FormatInt(v, 10) }

func (t *table) send(g *gin.Context, name string) {
	if t.sent {
		_ = t.part(g, name) // who reads went away
		return
	}
	t.w.Flush()
	g.Header("Content-Disposition", disposition(name))
	g.Data(http.StatusOK, csvType, t.b.Bytes())
}

const csvType = "text/csv; charset=utf-8"

func disposition(name string) string { return `attachment; filename="` + name + `.csv"` }

// part sends the rows so far, of a table that takes long. The error says that who reads went away.
func (t *table) part(g *gin.Context, name string) error {
	if !t.sent {
		t.sent = true
		g.Header("Content-Disposition", disposition(name))
		g.Header("Content-Type", csvType)
		g.Status(http.StatusOK)
	}
	t.w.Flush()
	if _, err := t.b.WriteTo(g.Writer); err != nil {
		return err
	}
	g.Writer.Flush()
	return nil
}

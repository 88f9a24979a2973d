package server

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/audit"
)

// History reads the audit log of one subject, newest first.
type History interface {
	AuditOf(ctx context.Context, subject string, limit int) ([]audit.Entry, error)
}

// mostHistory bounds the entries of an answer.
const mostHistory = 1000

// historyItem is an audit entry of an experiment.
type historyItem struct {
	Seq    int64           `json:"seq"`
	At     time.Time       `json:"at"`
	Actor  string          `json:"actor"`
	Action string          `json:"action"`
	From   string          `json:"from"`
	Before json.RawMessage `json:"before"` // null: there was nothing
	After  json.RawMessage `json:"after"`
}

// shelves adds what the console's pages of experiments and of the catalogue read.
func (s *Server) shelves(api *gin.RouterGroup) {
	api.GET("/products", s.getProducts)
	api.GET("/experiments/:id/history", s.getHistory)
}

func (s *Server) getProducts(c *gin.Context) {
	q := juncture.ProductQuery{Text: c.Query("q"), Stock: c.Query("stock")}
	var err error
	for name, to := range map[string]*int{"limit": &q.Limit, "offset": &q.Offset} {
		if v := c.Query(name); v != "" && err == nil {
			if *to, err = strconv.Atoi(v); err != nil || name == "limit" && *to == 0 {
				err = juncture.Errorf(juncture.CodeInvalidRequest, "%s %.20q is no such number", name, v).WithField(name)
			}
		}
	}
	switch v := c.Query("hidden"); v {
	case "":
	case "true", "false":
		q.Hidden = new(v == "true")
	default:
		err = juncture.Errorf(juncture.CodeInvalidRequest, "hidden %.20q is true or false", v).WithField("hidden")
	}
	var v juncture.ProductsView
	if err == nil {
		v, err = s.engine.Products(c.Request.Context(), q)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	s.json(c, v)
}

func (s *Server) getHistory(c *gin.Context) {
	p, err := s.reports.Declared(c.Request.Context())
	if err == nil {
		_, err = p.Declaration.View(c.Param("id"))
	}
	if err == nil && s.o.History == nil {
		err = juncture.Errorf(juncture.CodeNotFound, "this server tells no history")
	}
	var entries []audit.Entry
	if err == nil {
		entries, err = s.o.History.AuditOf(c.Request.Context(), "experiment "+c.Param("id"), mostHistory)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	out := struct {
		Items []historyItem `json:"items"`
	}{Items: make([]historyItem, len(entries))}
	for i, e := range entries {
		out.Items[i] = historyItem{e.Seq, e.At, e.Actor, e.Action, e.From, e.Before, e.After}
	}
	s.json(c, out)
}

package server

import (
	"bytes"
	"errors"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/engine"
	"github.com/juncture/juncture/intake"
)

// maxProducts bounds a body of products, in bytes: larger catalogues come by `juncture import products` or in parts.
const maxProducts = 8 << 20

// mostRefused bounds the rows that an answer tells.
const mostRefused = 50

// who names the caller for the audit log.
func who(c *gin.Context) engine.Who { return engine.Who{Actor: "key:" + caller(c).KeyID, From: "api"} }

// putProducts takes products in any form that intake.ReadProducts reads.
func (s *Server) putProducts(c *gin.Context) {
	b, err := body(c, maxProducts)
	if err != nil {
		s.fail(c, err)
		return
	}
	now, err := s.now(c)
	if err != nil {
		s.fail(c, err)
		return
	}
	declared, err := s.reports.Declared(c.Request.Context())
	if err != nil {
		s.fail(c, err)
		return
	}
	out := juncture.ProductsTaken{Refused: []juncture.RowRefusal{}}
	var products []juncture.Product
	for p, err := range intake.ReadProducts(bytes.NewReader(b), declared.Declaration.Store.Currency) {
		row, ok := errors.AsType[*intake.RowError](err)
		switch {
		case ok && len(out.Refused) < mostRefused:
			out.Refused = append(out.Refused, juncture.RowRefusal{Line: row.Line, Message: row.Message})
		case ok:
			out.Over++
		case err != nil:
			s.fail(c, juncture.Errorf(juncture.CodeInvalidRequest, "products: %w", err).WithHint("a Shopify export, a Google product feed, NDJSON or a table with a header"))
			return
		default:
			products = append(products, p)
		}
	}
	if out.Changed, err = s.engine.PutProducts(c.Request.Context(), now, products); err != nil {
		s.fail(c, err)
		return
	}
	out.Taken = len(products)
	s.json(c, out)
}

// patchProducts changes stock, price or visibility: up to 500 items, an answer or a problem for each, in order.
func (s *Server) patchProducts(c *gin.Context) {
	batch(s, c, s.product, func(now time.Time, changes []*juncture.ProductChange) []engine.Result[juncture.ProductChanged] {
		out := make([]engine.Result[juncture.ProductChanged], len(changes))
		var asked []juncture.ProductChange
		var at []int
		for i, p := range changes {
			if p != nil {
				asked, at = append(asked, *p), append(at, i)
			}
		}
		refused, err := s.engine.ChangeProducts(c.Request.Context(), now, asked)
		for j, i := range at {
			switch {
			case err != nil:
				out[i].Err = err
			case refused[j] != nil:
				out[i].Err = refused[j]
			default:
				out[i].Answer = &juncture.ProductChanged{ID: asked[j].ID}
			}
		}
		return out
	}, func(*juncture.ProductChanged, []string) {})
}

func (s *Server) getCatalogue(c *gin.Context) {
	now, err := s.now(c)
	if err != nil {
		s.fail(c, err)
		return
	}
	v, err := s.engine.Catalogue(c.Request.Context(), now)
	if err != nil {
		s.fail(c, err)
		return
	}
	s.json(c, v)
}

func (s *Server) getClusters(c *gin.Context) { s.json(c, s.engine.Clusters()) }

func (s *Server) patchCluster(c *gin.Context) {
	change, _, now, ok := asked(s, c, s.cluster)
	if !ok {
		return
	}
	if err := s.engine.ChangeCluster(c.Request.Context(), now, who(c), c.Param("id"), *change); err != nil {
		s.fail(c, err)
		return
	}
	s.getClusters(c)
}

func (s *Server) postRefit(c *gin.Context) {
	now, err := s.now(c)
	if err != nil {
		s.fail(c, err)
		return
	}
	v, err := s.engine.Refit(c.Request.Context(), now, who(c))
	if err != nil {
		s.fail(c, err)
		return
	}
	s.json(c, v)
}

func (s *Server) deleteProfile(c *gin.Context) {
	now, err := s.now(c)
	if err != nil {
		s.fail(c, err)
		return
	}
	x, err := s.engine.Erase(c.Request.Context(), now, who(c), c.Param("id"))
	if err != nil {
		s.fail(c, err)
		return
	}
	s.json(c, juncture.ErasureView{Erased: true, IDs: len(x.IDs), Events: x.Events, Decisions: x.Decisions})
}

func (s *Server) postExclude(c *gin.Context) {
	r, _, now, ok := asked(s, c, s.exclusion)
	if !ok {
		return
	}
	x, err := s.engine.Exclude(c.Request.Context(), now, who(c), c.Param("id"), r.Reason, r.Why)
	if err != nil {
		s.fail(c, err)
		return
	}
	s.json(c, juncture.ExclusionView{ShopperID: x.Shopper, Reason: x.Reason, Why: x.Why, At: x.At, Trials: x.Trials, Already: x.Already})
}

func (s *Server) exportProfile(c *gin.Context) {
	x, err := s.exports.Export(c.Request.Context(), c.Param("id"))
	if err != nil {
		s.fail(c, err)
		return
	}
	s.json(c, x)
}

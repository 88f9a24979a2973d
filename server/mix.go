package server

import (
	"cmp"
	"context"
	"math"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture"
)

// Shoppers is what is kept of shoppers beside their profiles: how they spread and move, and what each did.
type Shoppers interface {
	LayerCounts(ctx context.Context) ([]juncture.ValueCount, error)
	Moves(ctx context.Context, since time.Time) ([]juncture.MoveCount, error)
	Quarantine(ctx context.Context) ([]juncture.Quarantined, error)
	Identity(ctx context.Context, id string) (juncture.Identity, error)
	EventsOf(ctx context.Context, shopper string, limit int) ([]juncture.Event, error)
	MovementsOf(ctx context.Context, shopper string, limit int) ([]juncture.Movement, error)
}

// How far back movements are counted, in days, and how much of a timeline is answered, of each kind.
const (
	defaultMixDays  = 30
	mostMixDays     = 366
	defaultTimeline = 50
	mostTimeline    = 1000
)

// number reads a whole number from 1 to most; where the query has none it is otherwise.
func number(c *gin.Context, name string, otherwise, most int) (int, error) {
	v := c.Query(name)
	if v == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > most {
		return 0, juncture.Errorf(juncture.CodeInvalidRequest, "%s %.20q is not 1 to %d", name, v, most).WithField(name)
	}
	return n, nil
}

// readsShoppers answers with what f makes of the time and the number that the query names.
func readsShoppers[T any](s *Server, name string, otherwise, most int, f func(c *gin.Context, now time.Time, n int) (T, error)) gin.HandlerFunc {
	return func(c *gin.Context) {
		now, err := s.now(c)
		if err == nil && s.o.Shoppers == nil {
			err = juncture.Errorf(juncture.CodeNotFound, "this server tells nothing of shoppers")
		}
		var n int
		if err == nil {
			n, err = number(c, name, otherwise, most)
		}
		var v T
		if err == nil {
			v, err = f(c, now, n)
		}
		if err != nil {
			s.fail(c, err)
			return
		}
		s.json(c, v)
	}
}

func (s *Server) mix(c *gin.Context, now time.Time, days int) (juncture.MixView, error) {
	ctx := c.Request.Context()
	v := juncture.MixView{AsOf: now.UTC(), Since: now.UTC().AddDate(0, 0, -days), Counts: []juncture.ValueCount{}, Moves: []juncture.MoveCount{}, Quarantine: []juncture.RefusedEvent{}}
	counts, err := s.o.Shoppers.LayerCounts(ctx)
	if err != nil {
		return v, err
	}
	moves, err := s.o.Shoppers.Moves(ctx, v.Since)
	if err != nil {
		return v, err
	}
	refused, err := s.o.Shoppers.Quarantine(ctx)
	if err != nil {
		return v, err
	}
	v.Counts, v.Moves = append(v.Counts, counts...), append(v.Moves, moves...)
	for _, q := range refused {
		v.Quarantine = append(v.Quarantine, juncture.RefusedEvent{Reason: q.Reason, Message: q.Message, Count: q.Count, Latest: q.Latest.UTC()})
	}
	return v, nil
}

func (s *Server) timeline(c *gin.Context, now time.Time, limit int) (juncture.TimelineView, error) {
	ctx, v := c.Request.Context(), juncture.TimelineView{Events: []juncture.TimelineEvent{}, Movements: []juncture.TimelineMove{}}
	who, err := s.o.Shoppers.Identity(ctx, c.Param("id"))
	if err != nil {
		return v, err
	}
	profile, err := s.reports.Profile(ctx, c.Param("id"), now) // not found where nothing was observed
	if err != nil {
		return v, err
	}
	v.ShopperID, v.Consent = cmp.Or(who.Shopper, c.Param("id")), who.Consent
	events, err := s.o.Shoppers.EventsOf(ctx, v.ShopperID, limit)
	if err != nil {
		return v, err
	}
	moves, err := s.o.Shoppers.MovementsOf(ctx, v.ShopperID, limit)
	if err != nil {
		return v, err
	}
	unit := math.Pow10(juncture.MinorDigits(profile.Currency))
	for _, e := range events {
		x := juncture.TimelineEvent{At: e.At, Name: e.Name, Products: []juncture.TimelineLine{}, Category: e.Category, Query: e.Query, OrderID: e.Order, Value: float64(e.Value) / unit, Source: e.Source}
		for _, l := range e.Lines {
			x.Products = append(x.Products, juncture.TimelineLine{ID: l.Product, Category: l.Category, Quantity: l.Quantity, Price: float64(l.Price) / unit})
		}
		v.Events = append(v.Events, x)
	}
	for _, m := range moves {
		v.Movements = append(v.Movements, juncture.TimelineMove{At: m.At, Axis: m.Axis, From: m.From, To: m.To, Reason: m.Reason})
	}
	return v, nil
}

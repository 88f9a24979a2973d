package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/access"
	"github.com/juncture/juncture/console"
	"github.com/juncture/juncture/internal/testkit"
	"github.com/juncture/juncture/store"
)

// everybody is signed in.
type everybody struct{}

func (everybody) SignIn(context.Context, string, string, time.Time) (string, access.User, error) {
	return "", access.User{}, nil
}
func (everybody) Session(context.Context, string, time.Time) (access.User, error) {
	return access.User{Name: "ada", Role: access.RoleViewer}, nil
}
func (everybody) SignOut(context.Context, string) error { return nil }

// BenchmarkPages serves the console's pages on a store with 10,000 intersections, 300,000 decisions of which 4% succeed and
// four actions, two of which a priority raises; traffic by rank r as 1/r. It prints the median and the worst of nine readings of each and needs
// JUNCTURE_EVALUATE=1. Evidence grows between readings, as in a shop.
func BenchmarkPages(b *testing.B) {
	if os.Getenv("JUNCTURE_EVALUATE") == "" {
		b.Skip("set JUNCTURE_EVALUATE=1: it writes 300,000 decisions first")
	}
	const intersections, total = 10_000, 300_000
	ctx := context.Background()
	a := &app{settings: defaults(), out: os.Stdout, err: os.Stderr, now: time.Now}
	a.DB = filepath.Join(b.TempDir(), "pages.db")
	n, err := a.startNode(ctx, store.Options{Unsafe: true}, slog.New(slog.DiscardHandler), a.now)
	if err != nil {
		b.Fatal(err)
	}
	defer n.close() //nolint:errcheck // of a database that goes away
	testkit.Apply(b, n.db, testkit.Declaration(func(d *juncture.Declaration) {
		for _, action := range []string{"news", "points"} {
			d.Priorities = append(d.Priorities, juncture.Priority{ID: "push-" + action, Owner: "mia", Action: action, Weight: 1, Expires: time.Now().Add(24 * time.Hour)})
		}
	}))
	e := newEvidence(b, n, intersections, total)
	e.write(total)
	if _, err := n.writer.Checkpoint(ctx); err != nil {
		b.Fatal(err)
	}
	s := &source{n, time.Now}
	log := n.engine.LogOf(n.db)
	pages, err := console.New(console.Deps{Source: s, Shoppers: s, Records: s, Tastes: s, Trials: s, Health: s, Pool: s, Catalogue: s, Sessions: everybody{}, Decisions: log, Log: n.log, Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	pages.Mount(r)
	for b.Loop() {
	}
	key := url.QueryEscape(e.keys[0].Key())
	for _, path := range []string{"/console/intersections", "/console/intersections?rows=meaning&cols=moment", "/console/intersections?rows=moment&cols=trajectory", "/console/intersections?filter.lifecycle=loyal&rows=meaning&cols=category",
		"/console/intersections/next", "/console/intersections/next?rows=meaning&cols=moment", "/console/intersections/list", "/console/intersections/list?filter.lifecycle=loyal&filter.status=browsing",
		"/console/intersection?experiment=hero&key=" + key, "/console/layers", "/console/decisions", "/console/decisions?shopper=s7", "/console/decisions?experiment=hero&action=news&group=policy", "/console/decisions?group=holdout",
		"/console/decision?id=" + strconv.FormatUint(5000|1<<juncture.NodeShift, 10), "/console/shopper?id=s7",
		"/console", "/console/experiments", "/console/experiments/hero", "/console/pool", "/console/pool/news", "/console/priorities", "/console/priorities/push-news", "/console/reviews", "/console/catalogue"} {
		var took []time.Duration
		size := 0
		for range 9 {
			e.write(60)
			req := httptest.NewRequest(http.MethodGet, path, nil)
			req.AddCookie(&http.Cookie{Name: "juncture", Value: "x"})
			w := httptest.NewRecorder()
			began := time.Now()
			r.ServeHTTP(w, req)
			took = append(took, time.Since(began))
			if size = w.Body.Len(); w.Code != 200 {
				b.Fatalf("%s: %d %s", path, w.Code, w.Body)
			}
		}
		slices.Sort(took)
		fmt.Printf("%-70s median %4d ms, worst %4d ms, %4d kB\n", path, took[4].Milliseconds(), took[8].Milliseconds(), size>>10)
	}
}

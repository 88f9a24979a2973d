package main

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"

	_ "github.com/mattn/go-sqlite3"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/access"
	"github.com/juncture/juncture/engine"
	"github.com/juncture/juncture/store"
)

const (
	ingestConnections = 16
	ingestItems       = 50 // events of one request
)

// BenchmarkIngest measures durable events a second through POST /v1/batch over loopback (50 events a request, 16
// connections, 20,000 shoppers), and then raw SQLite taking the very rows that this left in the database (event, message,
// alias), in transactions of as many as the server's were on average, FULL synchronous, one writer. One run, one machine.
func BenchmarkIngest(b *testing.B) {
	for b.Loop() {
		s, key := learningServer(b, "")
		var n atomic.Uint64
		next := func() []byte { return eventBatch(key, n.Add(1)) }
		drive(b, s.addr, ingestConnections, time.Second, next, nil)
		before := s.writer.Stats()
		rps, cpu := drive(b, s.addr, ingestConnections, 6*time.Second, next, nil)
		after := s.writer.Stats()
		events := rps * ingestItems
		group := max(1, int(float64(after.Entries-before.Entries)*ingestItems/float64(after.Commits-before.Commits)))
		raw := rawInserts(b, s.db.Path(), group)
		w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintf(w, "%d cores, %s\twritten\tevents/s\tof raw SQLite\tCPU µs an event, client included\n", runtime.GOMAXPROCS(0), runtime.Version())
		fmt.Fprintf(w, "/v1/batch, durable and folded\t%d events a commit\t%.0f\t%.2f\t%.1f\n", group, events, events/raw, cpu/ingestItems)
		fmt.Fprintf(w, "raw SQLite, the same rows\t%d events a commit\t%.0f\t1\t\n", group, raw)
		w.Flush()
		b.ReportMetric(events/raw, "ofraw")
	}
}

func eventBatch(key string, n uint64) []byte {
	var body strings.Builder
	body.WriteString(`{"batch":[`)
	names := []string{"Product Viewed", "Product Viewed", "Product Viewed", "Product List Viewed", "Product Added"}
	for i := range uint64(ingestItems) {
		if i > 0 {
			body.WriteByte(',')
		}
		x := n*ingestItems + i
		fmt.Fprintf(&body, `{"type":"track","messageId":"m-%d","userId":"shopper-%d","event":%q,"properties":{"product_id":"sku-%d","category":"dresses","price":19.99}}`,
			x, x*2654435761%20_000, names[x%5], x%2000)
	}
	body.WriteString("]}")
	return post("/v1/batch", key, body.String())
}

// learningServer serves a store with derived layers, on the database given or a new one.
func learningServer(b *testing.B, db string) (*running, string) {
	b.Helper()
	ctx := context.Background()
	a := &app{settings: defaults(), out: io.Discard, err: io.Discard, now: time.Now}
	a.Addr, a.DB = "127.0.0.1:0", db
	if db == "" {
		a.DB = filepath.Join(b.TempDir(), "ingest.db")
	}
	s, err := a.startServer(ctx, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.close(); err != nil {
			b.Error(err)
		}
	})
	d := &juncture.Declaration{Store: juncture.StoreInfo{Name: "Bench", Currency: "GBP"}, Outcomes: []juncture.OutcomeType{{Name: "click", Type: juncture.OutcomeBinary}},
		Surfaces:    []juncture.Surface{{ID: "home", Channel: "email", Default: "a"}},
		Actions:     []juncture.Action{{ID: "a", Surfaces: []string{"home"}, Type: "content", Copy: []juncture.Copy{{ID: "x", Headline: "X"}, {ID: "y", Headline: "Y"}}}},
		Experiments: []juncture.Experiment{{ID: "e", Surface: "home", Goal: juncture.Goal{Outcome: "click", Window: juncture.Duration(24 * time.Hour)}, Groups: juncture.GroupShares{Policy: 1}, Status: juncture.StatusRunning}}}
	if _, err := applyTo(ctx, s.db, d, true, "bench", time.Now()); err != nil {
		b.Fatal(err)
	}
	k, secret, err := access.NewKey("bench", []access.Scope{access.ScopeChoose, access.ScopeEvents}, false, nil, time.Now(), a.random())
	if err != nil {
		b.Fatal(err)
	}
	if err := s.db.CreateKey(ctx, k, a.note("create", "key", nil)); err != nil {
		b.Fatal(err)
	}
	return s, secret
}

// rawInserts copies the rows of events, messages and aliases into a new database, group events a transaction, and
// returns the events a second.
func rawInserts(b *testing.B, from string, group int) float64 {
	b.Helper()
	check := func(err error) {
		if err != nil {
			b.Helper()
			b.Fatal(err)
		}
	}
	src, err := sql.Open("sqlite3", "file:"+from+"?mode=ro")
	check(err)
	defer src.Close()
	var rows [][]any
	var schema []string
	found, err := src.Query(`SELECT sql FROM sqlite_master WHERE tbl_name IN ('events', 'messages', 'aliases') AND sql IS NOT NULL ORDER BY type DESC`)
	check(err)
	for found.Next() {
		var q string
		check(found.Scan(&q))
		schema = append(schema, q)
	}
	check(found.Close())
	found, err = src.Query(`SELECT serial, at, received, kind, name, shopper, body, raw FROM events LIMIT 200000`)
	check(err)
	for found.Next() {
		row := make([]any, 8)
		for i := range row {
			row[i] = new(any)
		}
		check(found.Scan(row...))
		for i := range row {
			row[i] = *row[i].(*any)
		}
		rows = append(rows, row)
	}
	check(found.Close())
	var hashes []int64
	found, err = src.Query(`SELECT hash FROM messages LIMIT 200000`)
	check(err)
	for found.Next() {
		var h int64
		check(found.Scan(&h))
		hashes = append(hashes, h)
	}
	check(found.Close())
	to, err := sql.Open("sqlite3", "file:"+filepath.Join(b.TempDir(), "raw.db")+"?_journal_mode=WAL&_synchronous=FULL&_txlock=immediate")
	check(err)
	to.SetMaxOpenConns(1)
	defer to.Close()
	for _, q := range schema {
		_, err := to.Exec(q)
		check(err)
	}
	prepare := func(q string) *sql.Stmt { s, err := to.Prepare(q); check(err); return s }
	event := prepare(`INSERT INTO events (serial, at, received, kind, name, shopper, body, raw) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`)
	message := prepare(`INSERT INTO messages (hash, received) VALUES (?, ?) ON CONFLICT DO NOTHING`)
	alias := prepare(`INSERT INTO aliases (id, shopper, first_seen) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`)
	start := time.Now()
	for i := 0; i < len(rows); i += group {
		tx, err := to.Begin()
		check(err)
		for j := i; j < min(i+group, len(rows)); j++ {
			_, err = tx.Stmt(message).Exec(hashes[j], rows[j][2])
			check(err)
			_, err = tx.Stmt(alias).Exec(rows[j][5], rows[j][5], rows[j][1])
			check(err)
			_, err = tx.Stmt(event).Exec(rows[j]...)
			check(err)
		}
		check(tx.Commit())
	}
	return float64(len(rows)) / time.Since(start).Seconds()
}

// BenchmarkMillionProfiles serves /choose for shoppers whose profiles are among a million in the store and not in memory,
// which keeps 20,000, and for shoppers who were just there. It takes a minute, so it runs with JUNCTURE_EVALUATE=1 alone.
func BenchmarkMillionProfiles(b *testing.B) {
	if os.Getenv("JUNCTURE_EVALUATE") != "1" {
		b.Skip("takes a minute: set JUNCTURE_EVALUATE=1 to run it")
	}
	const profiles = 1_000_000
	for b.Loop() {
		path := filepath.Join(b.TempDir(), "million.db")
		size := fillProfiles(b, path, profiles)
		s, key := learningServer(b, path)
		var n atomic.Uint64
		cold := func() []byte { return askFor(key, n.Add(1)*2654435761%profiles) }
		warm := func() []byte { return askFor(key, n.Add(1)%1000) }
		drive(b, s.addr, 16, time.Second, warm, nil)
		wr, wc := drive(b, s.addr, 16, 4*time.Second, warm, nil)
		cr, cc := drive(b, s.addr, 16, 4*time.Second, cold, nil)
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		info, err := os.Stat(path)
		if err != nil {
			b.Fatal(err)
		}
		w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintf(w, "%d profiles of %d bytes in a database of %d MB, %d kept in memory\trequests/s\tCPU µs a request, client included\n", profiles, size, info.Size()>>20, defaults().Profiles)
		fmt.Fprintf(w, "/choose for shoppers in memory\t%.0f\t%.1f\n", wr, wc)
		fmt.Fprintf(w, "/choose for shoppers not in memory\t%.0f\t%.1f\n", cr, cc)
		fmt.Fprintf(w, "live heap\t%d MB\t\n", m.HeapAlloc>>20)
		w.Flush()
		b.ReportMetric(cr/wr, "cold/warm")
	}
}

func askFor(key string, shopper uint64) []byte {
	return post("/choose", key, fmt.Sprintf(`{"surface":"home","shopperId":"shopper-%d"}`, shopper))
}

// fillProfiles writes the profile of a shopper's usual history under many ids, and returns its size.
func fillProfiles(b *testing.B, path string, n int) (size int) {
	b.Helper()
	ctx := b.Context()
	a := &app{settings: defaults(), out: io.Discard, err: io.Discard, now: time.Now}
	a.DB = path
	node, err := a.startNode(ctx, store.Options{}, slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		b.Fatal(err)
	}
	at := time.Now().Add(-40 * 24 * time.Hour)
	var events []engine.Incoming
	for i := range 40 {
		kind := juncture.EventProductViewed
		if i%10 == 9 {
			kind = juncture.EventOrderCompleted
		}
		events = append(events, engine.Incoming{UserID: "shopper-0", Raw: []byte("{}"), Event: juncture.Event{ID: fmt.Sprint("e", i), Kind: kind,
			At: at.Add(time.Duration(i) * 20 * time.Hour), Order: fmt.Sprint("o", i), Value: 2500,
			Lines: []juncture.Line{{Product: fmt.Sprint("sku-", i%17), Category: "dresses", Quantity: 1, Price: 2500}}}})
	}
	if _, err := node.engine.Ingest(ctx, time.Now(), events, nil); err != nil {
		b.Fatal(err)
	}
	if err := node.close(); err != nil {
		b.Fatal(err)
	}
	db, err := sql.Open("sqlite3", "file:"+path)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`INSERT INTO profiles (shopper, body, marks) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
		SELECT 'shopper-' || i, body, marks FROM n, (SELECT body, marks FROM profiles)`, n-1); err != nil {
		b.Fatal(err)
	}
	if err := db.QueryRow(`SELECT length(body) FROM profiles LIMIT 1`).Scan(&size); err != nil {
		b.Fatal(err)
	}
	return size
}

package store_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	_ "github.com/mattn/go-sqlite3"
	"github.com/pressly/goose/v3"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/internal/testkit"
	"github.com/juncture/juncture/migrations"
	"github.com/juncture/juncture/pool"
	"github.com/juncture/juncture/store"
)

// TestOpeningAnOlderDatabase: a database of every earlier schema opens, keeps its rows and is brought up to date.
func TestOpeningAnOlderDatabase(t *testing.T) {
	ctx := context.Background()
	newest := 0
	for version := 1; ; version++ {
		path := filepath.Join(t.TempDir(), "old.db")
		raw, err := sql.Open("sqlite3", "file:"+path)
		if err != nil {
			t.Fatal(err)
		}
		p, err := goose.NewProvider(goose.DialectSQLite3, raw, migrations.Files)
		if err != nil {
			t.Fatal(err)
		}
		sources := p.ListSources()
		newest = int(sources[len(sources)-1].Version)
		if version > newest {
			_ = raw.Close()
			break
		}
		t.Run(fmt.Sprintf("version %d", version), func(t *testing.T) {
			if _, err := p.UpTo(ctx, int64(version)); err != nil {
				t.Fatal(err)
			}
			if _, err := raw.Exec(`INSERT INTO aliases (id, shopper) VALUES ('known', 'first')`); err != nil {
				t.Fatal(err)
			}
			if err := raw.Close(); err != nil {
				t.Fatal(err)
			}
			db, err := store.Open(ctx, path, store.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := db.Close(); err != nil {
					t.Error(err)
				}
			}()
			if s, err := db.Shopper(ctx, "known"); err != nil || s != "first" {
				t.Errorf("the alias of before is %q, %v", s, err)
			}
			if _, err := db.Quarantine(ctx); err != nil {
				t.Errorf("a table of the newest schema: %v", err)
			}
			if who, err := db.Identity(ctx, "known"); err != nil || who != (juncture.Identity{Shopper: "first"}) {
				t.Errorf("the identity of before is %+v, %v", who, err)
			}
			if n, err := db.PutProducts(ctx, []juncture.Product{{ID: "p"}}, testkit.Epoch()); n != 1 || err != nil {
				t.Errorf("%d products put, %v", n, err)
			}
			if v, err := db.SaveModel(ctx, juncture.TasteModel{At: testkit.Epoch()}, 0); v != 1 || err != nil {
				t.Errorf("taste model %d, %v", v, err)
			}
			if x, err := db.ExportShopper(ctx, "known", 10); err != nil || len(x.IDs) != 2 {
				t.Errorf("%+v, %v", x, err)
			}
		})
	}
	if newest < 3 {
		t.Errorf("found migrations up to %d", newest)
	}
}

// TestPrioritiesOfBeforeStayLive: those that an earlier configuration held were in force; they are approved versions, of who
// declared them last, and go through review from then on.
func TestPrioritiesOfBeforeStayLive(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "old.db")
	raw, err := sql.Open("sqlite3", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, raw, migrations.Files)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(ctx, 12); err != nil {
		t.Fatal(err)
	}
	const news = `{"id":"news","surfaces":["home_hero"],"type":"content"}`
	ends := testkit.Epoch().Add(time.Hour)
	d := testkit.Declaration()
	actions := d.Actions
	d.Actions, d.Priorities = nil, []juncture.Priority{{ID: "new-drop", Owner: "mia <&\u2028>", Why: `"drop" 😀`, Products: []string{"a", "b"}, Weight: 1.0 / 3, Starts: &ends, Expires: ends.Add(time.Nanosecond)},
		{ID: "push", Owner: "ben", Category: "shoes", Weight: 1, Expires: ends}}
	body, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		sql  string
		args []any
	}{{`UPDATE config SET version = 7, body = ? WHERE id = 1`, []any{string(body)}},
		{`INSERT INTO versions (action, copy, version, hash, body, status, author, created_at, comment) VALUES ('news', '', 3, 'h', ?, 'rejected', 'ada', 5, 'why')`, []any{news}},
		{`INSERT INTO audit (seq, at, actor, action, subject, origin, before, after, prev, hash) VALUES (1, 1000, 'cli:ada', 'create', 'priority new-drop', 'cli', '', '', '', ''),
			(2, 2000, 'cli:bob', 'change', 'priority new-drop', 'cli', '', '', '', ''), (3, 3000, 'cli:eve', 'change', 'priority new-drop-2', 'cli', '', '', '', '')`, nil}} {
		if _, err := raw.Exec(x.sql, x.args...); err != nil {
			t.Fatal(err)
		}
	}
	if err := raw.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(ctx, path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	c, err := db.Catalog(ctx)
	if err != nil {
		t.Fatal(err)
	}
	version := func(p juncture.Priority, author string, at int64) juncture.Version {
		b, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		return juncture.Version{Priority: p.ID, Number: 1, Hash: p.Hash(), Body: b, Status: juncture.VersionApproved, Author: author, CreatedAt: time.UnixMilli(at).UTC(), Comment: "in force from before priorities were reviewed"}
	}
	want := []juncture.Version{version(d.Priorities[0], "cli:bob", 2000), version(d.Priorities[1], "", 0),
		{Action: "news", Number: 3, Hash: "h", Body: []byte(news), Status: juncture.VersionRejected, Author: "ada", CreatedAt: time.UnixMilli(5).UTC(), Comment: "why"}}
	if want[1].CreatedAt = c.Versions[1].CreatedAt; !want[1].CreatedAt.Before(testkit.Epoch()) { // nobody knows when
		t.Errorf("written at %v", want[1].CreatedAt)
	}
	if diff := cmp.Diff(want, c.Versions, cmp.Transformer("text", func(b []byte) string { return string(b) })); diff != "" {
		t.Errorf("versions:\n%s", diff)
	}
	left := *d
	left.Priorities = nil
	if diff := cmp.Diff(left, c.Declaration); diff != "" || c.Number != 7 {
		t.Errorf("configuration %d:\n%s", c.Number, diff)
	}
	snapshot, err := pool.Build(c)
	if err != nil || len(snapshot.Priorities) != 2 {
		t.Fatalf("%+v, %v", snapshot, err)
	}
	d.Actions = actions
	change, err := pool.Plan(c, d, false, "cli:ada", "cli", testkit.Epoch())
	for _, v := range change.Add {
		if v.Priority != "" {
			t.Errorf("the same file makes version %d of priority %s", v.Number, v.Priority)
		}
	}
	d.Priorities[1].Weight = 0.5
	if err == nil {
		change, err = pool.Plan(c, d, false, "cli:ada", "cli", testkit.Epoch())
	}
	if i := slices.IndexFunc(change.Add, func(v juncture.Version) bool { return v.Priority == "push" }); err != nil || i < 0 || change.Add[i].Number != 2 || change.Add[i].Status != juncture.VersionInReview {
		t.Errorf("an edit: %+v, %v", change.Lines, err)
	}
}

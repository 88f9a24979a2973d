package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"

	_ "github.com/mattn/go-sqlite3"
	"github.com/pressly/goose/v3"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/internal/testkit"
	"github.com/juncture/juncture/migrations"
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

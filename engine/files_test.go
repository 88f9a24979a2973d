package engine_test

import (
	"bytes"
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	"github.com/juncture/juncture/store"
)

// find lists the files of a database, its log included, that hold a text.
func find(path, text string) ([]string, error) {
	files, err := filepath.Glob(path + "*")
	if err != nil {
		return nil, err
	}
	var out []string
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		if bytes.Contains(b, []byte(text)) {
			out = append(out, filepath.Base(f))
		}
	}
	return out, nil
}

// openAgain opens the shop's database a second time.
func openAgain(t *testing.T, s *shop) *store.DB {
	t.Helper()
	db, err := store.Open(context.Background(), s.Path(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// openRaw opens the shop's database as SQLite does, for what no method does.
func openRaw(t *testing.T, s *shop) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+s.Path()+"?_busy_timeout=10000")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

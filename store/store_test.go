package store_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/juncture/juncture/internal/testkit"
	"github.com/juncture/juncture/store"
	"github.com/juncture/juncture/store/storetest"
)

func TestMain(m *testing.M) { testkit.Main(m, 25) }

// fresh opens a new SQLite database. It gives up durability: nothing here pulls the plug.
func fresh(t *testing.T) *store.DB {
	t.Helper()
	db, err := store.Open(context.Background(), filepath.Join(t.TempDir(), "juncture.db"), store.Options{Unsafe: true})
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

func TestSQLiteKeepsTheContract(t *testing.T) { storetest.Run(t, fresh) }

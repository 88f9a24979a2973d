package main

import (
	"database/sql"
	"io"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	core "github.com/juncture/juncture"
	"github.com/juncture/juncture/store"
)

// A node owns the ledger before it reads any of it: what another process still commits after that reading would be in
// its memory never. Reading is told apart by a delta that cannot be read.
func TestANodeOwnsTheLedgerBeforeItReads(t *testing.T) {
	a := &app{settings: defaults(), out: io.Discard, err: io.Discard, now: time.Now}
	a.DB = filepath.Join(t.TempDir(), "j.db")
	db, err := store.Open(t.Context(), a.DB, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := sql.Open("sqlite3", a.DB)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := raw.Exec(`INSERT INTO deltas (node, seq, at, body) VALUES (1, 1, 0, x'ff')`); err != nil {
		t.Fatal(err)
	}
	if err := raw.Close(); err != nil {
		t.Fatal(err)
	}
	start := func() error {
		n, err := a.startNode(t.Context(), store.Options{}, slog.New(slog.DiscardHandler), time.Now)
		if err == nil {
			t.Fatal("a damaged delta was read")
			_ = n.close()
		}
		return err
	}
	other, err := store.LockWriter(a.DB)
	if err != nil {
		t.Fatal(err)
	}
	if err := start(); core.ErrorCode(err) != core.CodeUnavailable {
		t.Errorf("beside another writer: %v", err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the first try must have let go of the lock
		if err := start(); err == nil || core.ErrorCode(err) == core.CodeUnavailable {
			t.Errorf("alone: %v", err)
		}
	}
}

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
	_ "github.com/mattn/go-sqlite3" // the driver
	"github.com/pressly/goose/v3"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/migrations"
)

// Options of Open. The zero value is what a server wants.
type Options struct {
	Readers int           // read connections; 0 means 4
	Busy    time.Duration // how long to wait for another process's write; 0 means 10 s
	// Unsafe gives up durability for speed (synchronous=OFF): simulations and replays on throw-away files only.
	Unsafe bool
}

// DB is an open database. It is safe for concurrent use.
type DB struct {
	ledger *sqlx.DB // the writer's own connection
	write  *sqlx.DB // one connection for all else that writes; every transaction is immediate
	read   *sqlx.DB
	path   string
	file   os.FileInfo // of the database as it was opened

	version *sql.Stmt // of the configuration
	model   *sql.Stmt // the latest taste model's version
	alias   *sql.Stmt // whose an id is
	said    *sql.Stmt // what somebody said of consent

	enrolments *sql.Stmt // of a shopper
	excluded   *sql.Stmt // why somebody is none
	salt       atomic.Pointer[[]byte]
}

// Open opens (and creates) the SQLite database at path, or sqlite://path, and brings its schema up to date. The file
// is made readable by its owner alone, its directory too when Open makes it.
func Open(ctx context.Context, path string, o Options) (*DB, error) {
	if scheme, rest, ok := strings.Cut(path, "://"); ok {
		if scheme != "sqlite" {
			return nil, juncture.Errorf(juncture.CodeInvalidRequest, "no database is called %.20q", scheme).
				WithHint("--db takes a file's path or sqlite://path")
		}
		path = rest
	}
	if o.Readers <= 0 {
		o.Readers = 4
	}
	o.Readers = max(o.Readers, 2) // a cell is looked up while deltas are read
	if o.Busy <= 0 {
		o.Busy = 10 * time.Second
	}
	if err := makeFile(path); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	sync := "FULL" // NORMAL lost acknowledged rows in simulated power cuts
	if o.Unsafe {
		sync = "OFF"
	}
	dsn := func(extra string) string {
		return fmt.Sprintf("file:%s?_journal_mode=WAL&_synchronous=%s&_busy_timeout=%d&_foreign_keys=on%s",
			(&url.URL{Path: path}).EscapedPath(), sync, o.Busy.Milliseconds(), extra)
	}
	db := &DB{path: path}
	for _, pool := range []struct {
		to    **sqlx.DB
		extra string
		conns int
	}{
		{&db.ledger, "&_txlock=immediate&_secure_delete=on", 1}, // what is erased is overwritten
		{&db.write, "&_txlock=immediate&_secure_delete=on", 1},
		{&db.read, "&_query_only=on", o.Readers},
	} {
		p, err := sqlx.Open("sqlite3", dsn(pool.extra))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open database: %w", err), db.Close())
		}
		p.SetMaxOpenConns(pool.conns)
		p.SetMaxIdleConns(pool.conns)
		*pool.to = p
	}
	if err := migrate(ctx, db.write.DB); err != nil {
		return nil, errors.Join(fmt.Errorf("migrate %s: %w", path, err), db.Close())
	}
	var err error
	for _, p := range []struct {
		to  **sql.Stmt
		sql string
	}{{&db.version, `SELECT version FROM config WHERE id = 1`}, {&db.model, latestModel}, {&db.alias, aliasOf}, {&db.said, consentBy}, {&db.enrolments, enrolmentsOf}, {&db.excluded, excludedBy}} {
		if *p.to, err = db.read.PrepareContext(ctx, p.sql); err != nil {
			return nil, errors.Join(fmt.Errorf("open database: %w", err), db.Close())
		}
	}
	if db.file, err = os.Stat(path); err != nil {
		return nil, errors.Join(fmt.Errorf("open database: %w", err), db.Close())
	}
	if _, err := db.ledger.ExecContext(ctx, `PRAGMA journal_size_limit = 67108864`); err != nil {
		return nil, errors.Join(fmt.Errorf("open database: %w", err), db.Close())
	}
	return db, nil
}

// makeFile makes the database's directory (0700) and file (0600) where they are missing.
func makeFile(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

func migrate(ctx context.Context, db *sql.DB) error {
	p, err := goose.NewProvider(goose.DialectSQLite3, db, migrations.Files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	// Two processes may open a new database at once: the loser of the race finds the work done.
	for attempt := 0; ; attempt++ {
		if _, err = p.Up(ctx); err == nil || attempt == 5 || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// Close closes the database. The writer must have been closed before.
func (db *DB) Close() error {
	var errs []error
	for _, s := range []*sql.Stmt{db.version, db.model, db.alias, db.said, db.enrolments, db.excluded} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	for _, p := range []*sqlx.DB{db.read, db.write, db.ledger} {
		if p != nil {
			errs = append(errs, p.Close())
		}
	}
	return errors.Join(errs...)
}

// Path returns the database's file.
func (db *DB) Path() string { return db.path }

// Ping checks that the database answers and that its file is still the one that was opened.
func (db *DB) Ping(ctx context.Context) error {
	if err := db.intact(); err != nil {
		return err
	}
	_, err := db.ConfigVersion(ctx)
	return err
}

// intact says that the file under the connections is no longer the one that others see: SQLite would go on writing to
// a file that nobody finds again.
func (db *DB) intact() error {
	now, err := os.Stat(db.path)
	if err != nil {
		return fmt.Errorf("database file: %w", err)
	}
	if !os.SameFile(now, db.file) {
		return fmt.Errorf("database file %s was replaced", db.path)
	}
	return nil
}

// inTx runs f in one immediate transaction of the write connection.
func (db *DB) inTx(ctx context.Context, f func(tx *sqlx.Tx) error) error {
	tx, err := db.write.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

func ms(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMS(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMilli(n).UTC()
}

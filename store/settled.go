package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"strings"
	"time"

	"github.com/juncture/juncture"
)

// EachSettled calls f for every decision of an experiment, in the order of serials, with its activation and its outcomes
// too. An empty experiment is all, and those of none; from is inclusive, to is not, and a zero time
// no bound. Everything is read in one snapshot, one decision in memory at a time.
func (db *DB) EachSettled(ctx context.Context, experiment string, from, to time.Time, f func(juncture.Settled) error) error {
	tx, err := db.read.BeginTxx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // a read
	var where []string
	var args []any
	if experiment != "" {
		where, args = append(where, `d.experiment = ?`), append(args, experiment)
	}
	if !from.IsZero() {
		where, args = append(where, `d.at >= ?`), append(args, from.UnixMilli())
	}
	if !to.IsZero() {
		where, args = append(where, `d.at < ?`), append(args, to.UnixMilli())
	}
	return eachSettled(ctx, tx, strings.Join(where, ` AND `), args, func(s settled) error { return f(s.Settled) })
}

// EachEvent calls f for every event that happened between two times, in the order of commits: from is inclusive, to is
// not, and a zero time no bound. Everything is read in one snapshot.
func (db *DB) EachEvent(ctx context.Context, from, to time.Time, f func(ExportedEvent) error) error {
	where, args := `1 = 1`, []any{}
	if !from.IsZero() {
		where, args = where+` AND at >= ?`, append(args, from.UnixMilli())
	}
	if !to.IsZero() {
		where, args = where+` AND at < ?`, append(args, to.UnixMilli())
	}
	rows, err := db.read.QueryContext(ctx, `SELECT at, received, name, shopper, raw FROM events WHERE `+where+` ORDER BY serial`, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		e, err := scanExported(rows)
		if err != nil {
			return err
		}
		if err := f(e); err != nil {
			return err
		}
	}
	return rows.Err()
}

func scanExported(rows *sql.Rows) (e ExportedEvent, err error) {
	var at, received int64
	var raw []byte
	if err := rows.Scan(&at, &received, &e.Name, &e.Shopper, &raw); err != nil {
		return e, err
	}
	e.At, e.Received, e.Raw = fromMS(at), fromMS(received), raw
	if !json.Valid(raw) { // kept all the same: as text
		e.Raw, err = json.Marshal(strings.ToValidUTF8(string(raw), "\ufffd"))
	}
	return e, err
}

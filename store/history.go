package store

import (
	"context"
	"encoding/json"

	"github.com/juncture/juncture/audit"
)

// AuditOf returns the latest audit entries of a subject, newest first, at most limit. They carry no Prev and Hash: who
// verifies reads the whole log.
func (db *DB) AuditOf(ctx context.Context, subject string, limit int) ([]audit.Entry, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT seq, at, actor, action, subject, origin, before, after FROM audit WHERE subject = ? ORDER BY seq DESC LIMIT ?`, subject, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []audit.Entry
	for rows.Next() {
		var e audit.Entry
		var at int64
		var before, after string
		if err := rows.Scan(&e.Seq, &at, &e.Actor, &e.Action, &e.Subject, &e.From, &before, &after); err != nil {
			return nil, err
		}
		e.At = fromMS(at)
		if before != "" {
			e.Before = json.RawMessage(before)
		}
		if after != "" {
			e.After = json.RawMessage(after)
		}
		out = append(out, e)
	}
	return out, rows.Err()
}

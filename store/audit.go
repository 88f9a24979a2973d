package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"iter"
	"strings"

	"github.com/juncture/juncture/audit"
)

const auditColumns = `seq, at, actor, action, subject, origin, before, after, prev, hash`

func scanAudit(rows *sql.Rows) (audit.Entry, error) {
	var e audit.Entry
	var at int64
	var before, after string
	err := rows.Scan(&e.Seq, &at, &e.Actor, &e.Action, &e.Subject, &e.From, &before, &after, &e.Prev, &e.Hash)
	e.At = fromMS(at)
	if before != "" {
		e.Before = json.RawMessage(before)
	}
	if after != "" {
		e.After = json.RawMessage(after)
	}
	return e, err
}

// entries yields the rows of a query until one cannot be read.
func (db *DB) entries(ctx context.Context, query string, args ...any) iter.Seq2[audit.Entry, error] {
	return func(yield func(audit.Entry, error) bool) {
		rows, err := db.read.QueryContext(ctx, query, args...)
		if err != nil {
			yield(audit.Entry{}, err)
			return
		}
		defer rows.Close()
		for rows.Next() {
			e, err := scanAudit(rows)
			if !yield(e, err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(audit.Entry{}, err)
		}
	}
}

// Audit yields every audit entry in order.
func (db *DB) Audit(ctx context.Context) iter.Seq2[audit.Entry, error] {
	return db.entries(ctx, `SELECT `+auditColumns+` FROM audit ORDER BY seq`)
}

// AuditHead returns what was last appended to the audit log, kept beside it; zero for an empty one.
func (db *DB) AuditHead(ctx context.Context) (audit.Head, error) {
	var h audit.Head
	err := db.read.QueryRowContext(ctx, `SELECT seq, hash FROM audit_head WHERE id = 1`).Scan(&h.Seq, &h.Hash)
	if errors.Is(err, sql.ErrNoRows) {
		return audit.Head{}, nil
	}
	return h, err
}

// AuditFound yields the entries that a query asks for, newest first.
func (db *DB) AuditFound(ctx context.Context, q audit.Query) iter.Seq2[audit.Entry, error] {
	where, args := []string{"1 = 1"}, []any{}
	and := func(sql string, arg any) { where, args = append(where, sql), append(args, arg) }
	if q.Actor != "" {
		and(`actor = ?`, q.Actor)
	}
	if q.Action != "" {
		and(`action = ?`, q.Action)
	}
	if q.Subject != "" {
		and(`instr(lower(subject), lower(?)) > 0`, q.Subject)
	}
	if !q.From.IsZero() {
		and(`at >= ?`, ms(q.From))
	}
	if !q.To.IsZero() {
		and(`at < ?`, ms(q.To))
	}
	if q.Before > 0 {
		and(`seq < ?`, q.Before)
	}
	limit := ""
	if q.Limit > 0 {
		limit, args = ` LIMIT ?`, append(args, q.Limit)
	}
	return db.entries(ctx, `SELECT `+auditColumns+` FROM audit WHERE `+strings.Join(where, ` AND `)+` ORDER BY seq DESC`+limit, args...)
}

// AuditNames returns the actors and the actions that the audit log knows, in order, at most limit of each.
func (db *DB) AuditNames(ctx context.Context, limit int) (actors, actions []string, err error) {
	if err = db.read.SelectContext(ctx, &actors, `SELECT DISTINCT actor FROM audit ORDER BY actor LIMIT ?`, limit); err == nil {
		err = db.read.SelectContext(ctx, &actions, `SELECT DISTINCT action FROM audit ORDER BY action LIMIT ?`, limit)
	}
	return actors, actions, err
}

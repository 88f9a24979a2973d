package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/access"
)

const shareColumns = `id, hash, path, made_by, created_at, expires_at, revoked_at`

type shareRow struct {
	ID, Path  string
	Hash      []byte
	MadeBy    string `db:"made_by"`
	CreatedAt int64  `db:"created_at"`
	ExpiresAt int64  `db:"expires_at"`
	RevokedAt int64  `db:"revoked_at"`
}

func (r shareRow) share() access.Share {
	return access.Share{ID: r.ID, Hash: r.Hash, Path: r.Path, MadeBy: r.MadeBy, CreatedAt: fromMS(r.CreatedAt), ExpiresAt: fromMS(r.ExpiresAt), RevokedAt: fromMS(r.RevokedAt)}
}

// CreateShare keeps a new link and notes it in the audit log.
func (db *DB) CreateShare(ctx context.Context, s access.Share, note juncture.AuditNote) error {
	return db.inTx(ctx, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, `INSERT INTO shares (`+shareColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?)`, s.ID, s.Hash, s.Path, s.MadeBy,
			ms(s.CreatedAt), ms(s.ExpiresAt), ms(s.RevokedAt)); err != nil {
			return err
		}
		return appendAudit(ctx, tx, []juncture.AuditNote{note})
	})
}

// ShareByHash finds a link; CodeNotFound where there is none.
func (db *DB) ShareByHash(ctx context.Context, hash []byte) (access.Share, error) {
	var r shareRow
	err := db.read.GetContext(ctx, &r, `SELECT `+shareColumns+` FROM shares WHERE hash = ?`, hash)
	if errors.Is(err, sql.ErrNoRows) {
		return access.Share{}, juncture.Errorf(juncture.CodeNotFound, "no such link")
	}
	return r.share(), err
}

// Shares returns all links, newest first.
func (db *DB) Shares(ctx context.Context) ([]access.Share, error) {
	var rows []shareRow
	if err := db.read.SelectContext(ctx, &rows, `SELECT `+shareColumns+` FROM shares ORDER BY created_at DESC, id`); err != nil {
		return nil, err
	}
	out := make([]access.Share, len(rows))
	for i, r := range rows {
		out[i] = r.share()
	}
	return out, nil
}

// RevokeShare ends a link; CodeNotFound where no live one has the id.
func (db *DB) RevokeShare(ctx context.Context, id string, now time.Time, note juncture.AuditNote) error {
	return db.inTx(ctx, func(tx *sqlx.Tx) error {
		res, err := tx.ExecContext(ctx, `UPDATE shares SET revoked_at = ? WHERE id = ? AND revoked_at = 0`, ms(now), id)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, juncture.Errorf(juncture.CodeNotFound, "no live link has the id %.40q", id))
		}
		return appendAudit(ctx, tx, []juncture.AuditNote{note})
	})
}

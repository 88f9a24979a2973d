package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/jmoiron/sqlx"

	"github.com/juncture/juncture"
)

// keptModels is how many of the latest taste models keep their body.
const keptModels = 10

// SaveModel adds a taste model after the version that it was made from, 0 for none, and returns its version. The error
// is CodeDecisionConflict when that is not the latest: fit again.
func (db *DB) SaveModel(ctx context.Context, m juncture.TasteModel, was int64) (int64, error) {
	next := was + 1
	err := db.inTx(ctx, func(tx *sqlx.Tx) error {
		var latest int64
		if err := tx.GetContext(ctx, &latest, latestModel); err != nil {
			return err
		}
		if latest != was {
			return juncture.Errorf(juncture.CodeDecisionConflict, "the taste model is at version %d, not %d", latest, was).WithHint("fit again")
		}
		body := m.Body
		if body == nil {
			body = []byte{}
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO taste_models (version, at, actor, moved, total, body) VALUES (?, ?, ?, ?, ?, ?)`,
			next, ms(m.At), m.Actor, m.Moved, m.Of, body); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE taste_models SET body = ? WHERE version <= ? AND length(body) > 0`, []byte{}, next-keptModels)
		return err
	})
	if err != nil {
		return 0, err
	}
	return next, nil
}

const latestModel = `SELECT coalesce(max(version), 0) FROM taste_models`

// Model reads the latest taste model; its Version is zero where there is none.
func (db *DB) Model(ctx context.Context) (juncture.TasteModel, error) {
	var m juncture.TasteModel
	var at int64
	err := db.read.QueryRowContext(ctx, `SELECT version, at, actor, moved, total, body FROM taste_models ORDER BY version DESC LIMIT 1`).
		Scan(&m.Version, &at, &m.Actor, &m.Moved, &m.Of, &m.Body)
	if errors.Is(err, sql.ErrNoRows) {
		return m, nil
	}
	m.At = fromMS(at)
	return m, err
}

// ModelVersion returns the latest taste model's version, 0 for none.
func (db *DB) ModelVersion(ctx context.Context) (int64, error) {
	var n int64
	err := db.model.QueryRowContext(ctx).Scan(&n) // prepared: every call may ask
	return n, err
}

// Models returns the latest taste models without their bodies, newest first, at most limit.
func (db *DB) Models(ctx context.Context, limit int) ([]juncture.TasteModel, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT version, at, actor, moved, total FROM taste_models ORDER BY version DESC LIMIT ?`, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []juncture.TasteModel
	for rows.Next() {
		var m juncture.TasteModel
		var at int64
		if err := rows.Scan(&m.Version, &at, &m.Actor, &m.Moved, &m.Of); err != nil {
			return nil, err
		}
		m.At = fromMS(at)
		out = append(out, m)
	}
	return out, rows.Err()
}

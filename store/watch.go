package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/juncture/juncture"
)

// WalkDecisions calls f for the decisions after those that marks name, node by node and in order of serial, at most limit,
// as they stand now: with their activations. A node's walk ends before its first decision that was made after until: who
// reads behind the clock finds deferred decisions activated, and no decision that is still to be committed. It stops at f's
// error.
func (db *DB) WalkDecisions(ctx context.Context, marks map[uint16]uint64, until time.Time, limit int, f func(juncture.Logged) error) error {
	for node := uint16(0); limit > 0; node++ {
		var first int64
		err := db.read.GetContext(ctx, &first, `SELECT serial FROM decisions WHERE serial >= ? ORDER BY serial LIMIT 1`, int64(node)<<juncture.NodeShift)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		node = uint16(first >> juncture.NodeShift)
		n, err := db.walkNode(ctx, node, marks[node], until, limit, f)
		if err != nil {
			return err
		}
		limit -= n
		if node == 1<<10-1 {
			return nil
		}
	}
	return nil
}

func (db *DB) walkNode(ctx context.Context, node uint16, after uint64, until time.Time, limit int, f func(juncture.Logged) error) (n int, err error) {
	low := int64(node) << juncture.NodeShift
	rows, err := db.read.QueryContext(ctx, `SELECT `+prefixed("d", decisionColumns)+`, `+activationColumns+`
		FROM decisions d LEFT JOIN activations a ON a.serial = d.serial WHERE d.serial > ? AND d.serial <= ? ORDER BY d.serial LIMIT ?`,
		max(low-1, int64(after)), low|(1<<juncture.NodeShift-1), limit)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		d, activation, err := scanActivated(rows)
		if err != nil {
			return n, err
		}
		if d.At.After(until) {
			return n, nil
		}
		if err := f(juncture.Logged{Decision: d.Decision, Activation: activation, Removed: d.Removed}); err != nil {
			return n, err
		}
		n++
	}
	return n, rows.Err()
}

// WatchMarks returns how far each node's decisions were read for the health of experiments.
func (db *DB) WatchMarks(ctx context.Context) (map[uint16]uint64, error) {
	return watchMarks(ctx, db.read)
}

func watchMarks(ctx context.Context, q sqlx.QueryerContext) (map[uint16]uint64, error) {
	rows, err := q.QueryContext(ctx, `SELECT node, serial FROM watched_marks`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[uint16]uint64{}
	for rows.Next() {
		var node uint16
		var serial int64
		if err := rows.Scan(&node, &serial); err != nil {
			return nil, err
		}
		out[node] = uint64(serial)
	}
	return out, rows.Err()
}

// Watched returns what was folded of an experiment's decisions, nil for nothing yet.
func (db *DB) Watched(ctx context.Context, experiment string) ([]byte, error) {
	var body []byte
	err := db.read.GetContext(ctx, &body, `SELECT body FROM watched WHERE experiment = ?`, experiment)
	return body, ignoreNone(err)
}

// SaveWatched writes what the decisions from marks up to others made of experiments, with these marks, in one transaction.
// The error is CodeDecisionConflict, and nothing is written, where somebody else has read on from marks meanwhile.
func (db *DB) SaveWatched(ctx context.Context, from, to map[uint16]uint64, bodies map[string][]byte) error {
	return db.inTx(ctx, func(tx *sqlx.Tx) error {
		now, err := watchMarks(ctx, tx)
		if err != nil {
			return err
		}
		for node, serial := range to {
			if now[node] != from[node] {
				return juncture.Errorf(juncture.CodeDecisionConflict, "the decisions of node %d were read by somebody else", node)
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO watched_marks (node, serial) VALUES (?, ?)
				ON CONFLICT (node) DO UPDATE SET serial = excluded.serial`, node, int64(serial)); err != nil {
				return err
			}
		}
		for id, body := range bodies {
			if _, err := tx.ExecContext(ctx, `INSERT INTO watched (experiment, body) VALUES (?, ?)
				ON CONFLICT (experiment) DO UPDATE SET body = excluded.body`, id, body); err != nil {
				return err
			}
		}
		return nil
	})
}

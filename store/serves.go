package store

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/juncture/juncture"
)

// serialAt is the least serial that a decision of a node at a time can have: serials follow the clock and always rise.
func serialAt(node uint16, at time.Time) int64 {
	const mask = 1<<juncture.NodeShift - 1
	return int64(uint64(node)<<juncture.NodeShift | uint64(max(0, at.UnixMicro()))&mask)
}

// Served counts decisions of a node that served one of the arms from a time on. Previews and bots do not count. It reads
// every decision since then.
func (db *DB) Served(ctx context.Context, node uint16, since time.Time, arms []juncture.ArmID) (n int64, err error) {
	if len(arms) == 0 {
		return 0, nil
	}
	text, args, err := sqlx.In(`SELECT COUNT(*) FROM decisions WHERE serial >= ? AND serial < ? AND at >= ? AND arm IN (?) AND detail NOT IN (?)`,
		serialAt(node, since), int64(uint64(node+1)<<juncture.NodeShift), ms(since), arms, uncounted())
	if err != nil {
		return 0, err
	}
	err = db.read.GetContext(ctx, &n, text, args...)
	return n, err
}

// ServedTo returns the latest decisions of a node that served a shopper something since a time, newest first, at most limit.
func (db *DB) ServedTo(ctx context.Context, node uint16, shopper string, since time.Time, limit int) ([]juncture.Serve, error) {
	text, args, err := sqlx.In(`SELECT serial, at, arm, grp, shadow FROM decisions WHERE shopper IN (`+sameShopper+`) AND serial >= ? AND at >= ?
		AND arm <> 0 AND detail NOT IN (?) ORDER BY serial DESC LIMIT ?`, shopper, shopper, shopper, serialAt(node, since), ms(since), uncounted(), limit)
	if err != nil {
		return nil, err
	}
	rows, err := db.read.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []juncture.Serve
	for rows.Next() {
		var d juncture.Decision
		var serial, at int64
		if err := rows.Scan(&serial, &at, &d.Arm, &d.Group, &d.Shadow); err != nil {
			return nil, err
		}
		out = append(out, juncture.Serve{Serial: uint64(serial), At: fromMS(at), Arm: d.Arm, Drawn: d.Drew()})
	}
	return out, rows.Err()
}

// uncounted are the details of decisions that nobody was served by.
func uncounted() []juncture.Detail {
	return []juncture.Detail{juncture.DetailPreview, juncture.DetailBot}
}

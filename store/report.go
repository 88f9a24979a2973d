package store

import (
	"context"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/juncture/juncture"
)

// LayerCounts counts shoppers by each layer's values, by window and by posture: in this order, and of each the most first.
func (db *DB) LayerCounts(ctx context.Context) ([]juncture.ValueCount, error) {
	var names, parts []string
	add := func(name, column string) {
		names = append(names, name)
		parts = append(parts, `SELECT CAST(? AS INTEGER) AS place, `+column+` AS value, count(*) AS shoppers FROM standings GROUP BY `+column)
	}
	for _, l := range juncture.Layers() {
		add(l.String(), l.String())
	}
	add("window", "window_name")
	add("posture", "posture")
	places := make([]any, len(names))
	for i := range places {
		places[i] = i
	}
	rows, err := db.read.QueryContext(ctx, strings.Join(parts, ` UNION ALL `)+` ORDER BY 1, 3 DESC, 2`, places...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []juncture.ValueCount
	for rows.Next() {
		var place int
		var t juncture.ValueCount
		if err := rows.Scan(&place, &t.Value, &t.Shoppers); err != nil {
			return nil, err
		}
		t.What = names[place]
		out = append(out, t)
	}
	return out, rows.Err()
}

// Moves counts who moved since a time, most first.
func (db *DB) Moves(ctx context.Context, since time.Time) ([]juncture.MoveCount, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT axis, from_value, to_value, count(DISTINCT shopper), max(CASE WHEN place = 1 THEN reason ELSE '' END)
		FROM (SELECT axis, from_value, to_value, shopper, reason,
			row_number() OVER (PARTITION BY axis, from_value, to_value ORDER BY at DESC, shopper) AS place FROM movements WHERE at >= ?) AS m
		GROUP BY axis, from_value, to_value ORDER BY 4 DESC, axis, from_value, to_value`, ms(since))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []juncture.MoveCount
	for rows.Next() {
		var m juncture.MoveCount
		if err := rows.Scan(&m.Axis, &m.From, &m.To, &m.Shoppers, &m.Reason); err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, rows.Err()
}

// MovementsOf returns a shopper's latest movements, newest first, at most limit, from all profiles that became theirs.
func (db *DB) MovementsOf(ctx context.Context, shopper string, limit int) ([]juncture.Movement, error) {
	return movementsOf(ctx, db.read, shopper, limit)
}

func movementsOf(ctx context.Context, q sqlx.QueryerContext, shopper string, limit int) ([]juncture.Movement, error) {
	rows, err := q.QueryContext(ctx, `SELECT at, shopper, axis, from_value, to_value, reason FROM movements WHERE shopper IN (`+sameShopper+`)
		ORDER BY at DESC, axis, to_value LIMIT ?`, shopper, shopper, shopper, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []juncture.Movement
	for rows.Next() {
		var m juncture.Movement
		var at int64
		if err := rows.Scan(&at, &m.Shopper, &m.Axis, &m.From, &m.To, &m.Reason); err != nil {
			return nil, err
		}
		m.At = fromMS(at)
		out = append(out, m)
	}
	return out, rows.Err()
}

// PurgeMovements deletes up to chunk movements from before a time, the oldest first, and returns how many it deleted.
func (db *DB) PurgeMovements(ctx context.Context, before time.Time, chunk int) (int64, error) {
	var n int64
	err := db.inTx(ctx, func(tx *sqlx.Tx) error {
		res, err := tx.ExecContext(ctx, `DELETE FROM movements WHERE (at, shopper, axis, to_value) IN
			(SELECT at, shopper, axis, to_value FROM movements WHERE at < ? ORDER BY at LIMIT ?)`, ms(before), chunk)
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	return n, err
}

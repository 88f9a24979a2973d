package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/juncture/juncture"
)

// LatestEvents calls f for the latest events of all shoppers, at most so many, in the order of their commits. It reads
// in chunks, so that it holds up neither commits nor the checkpoint of the log.
func (db *DB) LatestEvents(ctx context.Context, most int, f func(juncture.Event) error) error {
	const chunk = 2000
	var from int64
	if err := db.read.GetContext(ctx, &from, `SELECT coalesce((SELECT serial FROM events ORDER BY serial DESC LIMIT 1 OFFSET ?), 0)`, most); err != nil {
		return err
	}
	for {
		last, n, err := db.eventsAfter(ctx, from, chunk, f)
		if err != nil || n < chunk {
			return err
		}
		from = last
	}
}

func (db *DB) eventsAfter(ctx context.Context, from int64, chunk int, f func(juncture.Event) error) (last int64, n int, err error) {
	rows, err := db.read.QueryContext(ctx, `SELECT serial, body FROM events WHERE serial > ? ORDER BY serial LIMIT ?`, from, chunk)
	if err != nil {
		return 0, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var body []byte
		var e juncture.Event
		if err := rows.Scan(&last, &body); err != nil {
			return 0, 0, err
		}
		if err := json.Unmarshal(body, &e); err != nil {
			return 0, 0, fmt.Errorf("event %d: %w", last, err)
		}
		if err := f(e); err != nil {
			return 0, 0, err
		}
		n++
	}
	return last, n, rows.Err()
}

// Empty reports whether nothing is kept.
func (x *ShopperExport) Empty() bool {
	return len(x.Events)+len(x.Decisions)+len(x.Movements) == 0 && x.Standing == nil && !x.Consent.Said()
}

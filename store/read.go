package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/juncture/juncture"
)

// Cell reads a cell's checkpoint; an empty cell where there is none.
func (db *DB) Cell(ctx context.Context, id juncture.CellID) (juncture.Cell, error) {
	c := juncture.Cell{Experiment: id.Experiment, Intersection: id.Intersection, Delays: id.Delays}
	var body []byte
	err := db.read.QueryRowContext(ctx, `SELECT body FROM cells WHERE experiment = ? AND delays = ? AND key = ?`,
		id.Experiment, id.Delays, id.Intersection.Key()).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return c, nil
	}
	if err != nil {
		return c, err
	}
	c.Rows, c.Marks, err = decodeCell(body)
	return c, err
}

// Cells calls f for every checkpointed intersection of an experiment, in key order.
func (db *DB) Cells(ctx context.Context, experiment string, f func(juncture.Cell) error) error {
	return eachCell(ctx, db.read, `WHERE experiment = ? ORDER BY delays, key`, f, experiment)
}

func eachCell(ctx context.Context, q sqlx.QueryerContext, where string, f func(juncture.Cell) error, args ...any) error {
	rows, err := q.QueryContext(ctx, `SELECT experiment, delays, key, body FROM cells `+where, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var c juncture.Cell
		var key string
		var body []byte
		if err := rows.Scan(&c.Experiment, &c.Delays, &key, &body); err != nil {
			return err
		}
		if c.Intersection, err = juncture.ParseIntersection(key); err != nil {
			return err
		}
		if c.Rows, c.Marks, err = decodeCell(body); err != nil {
			return fmt.Errorf("cell %s of %q: %w", key, c.Experiment, err)
		}
		if err := f(c); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Restore calls f for every commit after the checkpoint's watermarks, in each node's order.
func (db *DB) Restore(ctx context.Context, f func(node uint16, seq int64, deltas []juncture.Delta) error) error {
	return eachDelta(ctx, db.read, f)
}

func eachDelta(ctx context.Context, q sqlx.QueryerContext, f func(node uint16, seq int64, deltas []juncture.Delta) error) error {
	rows, err := q.QueryContext(ctx, `SELECT d.node, d.seq, d.body FROM deltas d LEFT JOIN watermarks w ON w.node = d.node
		WHERE d.seq > coalesce(w.seq, 0) ORDER BY d.node, d.seq`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var node uint16
		var seq int64
		var body []byte
		if err := rows.Scan(&node, &seq, &body); err != nil {
			return err
		}
		deltas, err := decodeDeltas(body)
		if err != nil {
			return fmt.Errorf("delta %d of node %d: %w", seq, node, err)
		}
		if err := f(node, seq, deltas); err != nil {
			return err
		}
	}
	return rows.Err()
}

// LastSerial returns the highest serial that a node has given, 0 for none.
func (db *DB) LastSerial(ctx context.Context, node uint16) (uint64, error) {
	low := int64(node) << juncture.NodeShift
	var n int64
	err := db.read.GetContext(ctx, &n, `SELECT coalesce(max(serial), 0) FROM decisions WHERE serial BETWEEN ? AND ?`,
		low, low|(1<<juncture.NodeShift-1)) // the last node's end is the largest integer: no room for one more
	return uint64(n), err
}

// Memo reads a memo; nil where there is none.
func (db *DB) Memo(ctx context.Context, id [16]byte) (*juncture.Memo, error) {
	m, err := scanMemo(id, db.read.QueryRowContext(ctx, `SELECT body, answer, expires FROM memos WHERE id = ?`, id[:]))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return m, err
}

// PurgeMemos deletes up to most memos that had expired by now (Unix ms) and returns how many it deleted.
func (db *DB) PurgeMemos(ctx context.Context, now int64, most int) (int64, error) {
	var n int64
	err := db.inTx(ctx, func(tx *sqlx.Tx) error {
		res, err := tx.ExecContext(ctx, `DELETE FROM memos WHERE id IN (SELECT id FROM memos WHERE expires <= ? LIMIT ?)`, now, most)
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	return n, err
}

// Shopper returns the first-seen id behind an id, "" where no alias is known.
func (db *DB) Shopper(ctx context.Context, id string) (string, error) {
	var s string
	err := db.read.GetContext(ctx, &s, `SELECT shopper FROM aliases WHERE id = ?`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return s, err
}

// CustomerID returns the id that a shopper is known by: one that the person signed in with, of several the first in byte
// order, "" where there is none. shopper is the first-seen id.
func (db *DB) CustomerID(ctx context.Context, shopper string) (string, error) {
	var id string
	err := db.read.GetContext(ctx, &id, `SELECT id FROM aliases WHERE shopper = ? AND known ORDER BY id LIMIT 1`, shopper)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return id, err
}

// LayerValues reads every request-layer value seen.
func (db *DB) LayerValues(ctx context.Context) ([]juncture.LayerValue, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT layer, value FROM layer_values`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []juncture.LayerValue
	for rows.Next() {
		var v juncture.LayerValue
		if err := rows.Scan(&v.Layer, &v.Value); err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

const decisionColumns = `serial, at, until, signing_key, experiment, intersection, arm, grp, probability, flags, surface,
	shopper, session, reason, detail, share, policy_version, ranking, shadow, terms, refused`

// StoredDecision is a decision with the key that signed its id.
type StoredDecision struct {
	juncture.Decision
	SigningKey uint8
	Removed    bool // it was taken out with its shopper
}

// settled is the decision with what is known of its activation, its outcomes left out.
func (d StoredDecision) settled(activation *juncture.Activation) juncture.Settled {
	return juncture.Settled{Decision: d.Decision, SigningKey: d.SigningKey, Activation: activation, Removed: d.Removed}
}

func scanDecision(rows *sql.Rows, more ...any) (StoredDecision, error) {
	var d StoredDecision
	var serial, at, until, flags int64
	var key string
	var ranking, refused []byte
	err := rows.Scan(append([]any{&serial, &at, &until, &d.SigningKey, &d.Experiment, &key, &d.Arm, &d.Group, &d.Probability,
		&flags, &d.Surface, &d.Shopper, &d.Session, &d.Reason, &d.Detail, &d.Share, &d.Version, &ranking, &d.Shadow, &d.Terms, &refused}, more...)...)
	if err != nil {
		return d, err
	}
	d.Serial, d.At, d.Until = uint64(serial), fromMS(at), fromMS(until)
	d.Ignored, d.Deferred, d.Removed = flags&1 != 0, flags&2 != 0, flags&flagRemoved != 0
	if d.Intersection, err = juncture.ParseIntersection(key); err != nil {
		return d, err
	}
	if d.Ranking, d.Policy, err = decodeRanking(ranking); err != nil {
		return d, err
	}
	d.Refused, err = decodeRefused(refused)
	return d, err
}

func (db *DB) decisions(ctx context.Context, where string, args ...any) ([]StoredDecision, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT `+decisionColumns+` FROM decisions `+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []StoredDecision
	for rows.Next() {
		d, err := scanDecision(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, rows.Err()
}

// Touches returns a shopper's latest decisions, the last written first, at most limit.
func (db *DB) Touches(ctx context.Context, shopper string, limit int) ([]juncture.Touch, error) {
	return db.touches(ctx, `WHERE d.shopper IN (`+sameShopper+`) ORDER BY d.serial DESC LIMIT ?`, shopper, shopper, shopper, limit)
}

func (db *DB) touches(ctx context.Context, where string, args ...any) ([]juncture.Touch, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT `+prefixed("d", decisionColumns)+`, `+activationColumns+`
		FROM decisions d LEFT JOIN activations a ON a.serial = d.serial `+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []juncture.Touch
	for rows.Next() {
		d, activation, err := scanActivated(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, juncture.Touch{Claims: d.Claims, SigningKey: d.SigningKey, Activation: activation, Reason: d.Reason, Detail: d.Detail, Removed: d.Removed, Shadow: d.Shadow})
	}
	return out, rows.Err()
}

const activationColumns = `a.at, a.served, a.arm, a.probability`

// scanActivated reads a decision's columns and activationColumns.
func scanActivated(rows *sql.Rows) (StoredDecision, *juncture.Activation, error) {
	var at, arm *int64
	var served *bool
	var p *float64
	d, err := scanDecision(rows, &at, &served, &arm, &p)
	if err != nil || at == nil {
		return d, nil, err
	}
	return d, &juncture.Activation{Serial: d.Serial, At: fromMS(*at), Served: *served, Arm: juncture.ArmID(*arm), Probability: *p}, nil
}

// FirstSeen returns which of two ids a decision was first logged for, "" for neither.
func (db *DB) FirstSeen(ctx context.Context, one, other string) (string, error) {
	var id string
	// One index look-up each: SQLite would sort every decision of both to order them together.
	err := db.read.GetContext(ctx, &id, `SELECT shopper FROM decisions WHERE serial IN (
		(SELECT min(serial) FROM decisions WHERE shopper = ?), (SELECT min(serial) FROM decisions WHERE shopper = ?)) ORDER BY serial LIMIT 1`, one, other)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return id, err
}

// Decision reads one decision by its serial; nil where there is none.
func (db *DB) Decision(ctx context.Context, serial uint64) (*StoredDecision, error) {
	found, err := db.decisions(ctx, `WHERE serial = ?`, int64(serial))
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

// decisionScan bounds how far back the latest decisions of one intersection are looked for: the log has no index by
// intersection, since each index makes every append dearer.
const decisionScan = 50_000

// DecisionsAt returns the latest decisions of an experiment at an intersection, newest first, at most limit, from the
// last 50,000 decisions of the store. Layers left unknown at the key's end stand for everything, as on the ladder.
func (db *DB) DecisionsAt(ctx context.Context, experiment string, x juncture.Intersection, limit int) ([]StoredDecision, error) {
	key, same := x.Key(), `intersection`
	for strings.HasSuffix(key, "/"+juncture.Unknown) {
		key = strings.TrimSuffix(key, "/"+juncture.Unknown)
		same = `substr(intersection, 1, length(?))`
	}
	args := []any{decisionScan, experiment}
	if same != `intersection` {
		key += "/"
		args = append(args, key)
	}
	return db.decisions(ctx, `WHERE serial IN (SELECT serial FROM (SELECT serial, experiment, intersection FROM decisions
		ORDER BY serial DESC LIMIT ?) AS recent WHERE experiment = ? AND `+same+` = ? ORDER BY serial DESC LIMIT ?) ORDER BY serial DESC`,
		append(args, key, limit)...)
}

// OutcomesOf returns the outcomes of decisions, by serial.
func (db *DB) OutcomesOf(ctx context.Context, serials []uint64) (map[uint64][]juncture.Outcome, error) {
	out := map[uint64][]juncture.Outcome{}
	for _, s := range serials {
		found, err := scanOutcomes(db.read.QueryContext(ctx, `SELECT `+outcomeColumns+` FROM outcomes WHERE serial = ? ORDER BY received`, int64(s)))
		if err != nil {
			return nil, err
		}
		if len(found) > 0 {
			out[s] = found
		}
	}
	return out, nil
}

// Credited returns the decisions that an outcome of this event and id, held by decisions of a shopper, is credited to.
func (db *DB) Credited(ctx context.Context, shopper, event, outcomeID string) ([]juncture.Credited, error) {
	held, err := scanOutcomes(db.read.QueryContext(ctx, `SELECT `+prefixed("o", outcomeColumns)+` FROM decisions d JOIN outcomes o
		ON o.serial = d.serial AND o.event = ? AND o.outcome_id = ? WHERE d.shopper IN (`+sameShopper+`) ORDER BY d.serial DESC`,
		event, outcomeID, shopper, shopper, shopper))
	if err != nil || len(held) == 0 {
		return nil, err
	}
	var serials []int64
	for _, o := range held {
		serials = append(serials, int64(o.Serial))
		for _, c := range o.Credits {
			serials = append(serials, int64(c.Serial))
		}
	}
	where, args, err := sqlx.In(`WHERE d.serial IN (?) ORDER BY d.serial DESC`, serials)
	if err != nil {
		return nil, err
	}
	touches, err := db.touches(ctx, where, args...)
	if err != nil {
		return nil, err
	}
	var out []juncture.Credited
	for _, o := range held {
		for _, t := range touches {
			if share := o.ShareOf(t.Claims.Serial); share > 0 || t.Claims.Serial == o.Serial {
				out = append(out, juncture.Credited{Touch: t, Credit: share, Holder: o.Serial})
			}
		}
	}
	return out, nil
}

// Shared returns the latest outcomes that several decisions of a shopper share, at most limit.
func (db *DB) Shared(ctx context.Context, shopper string, limit int) ([]juncture.Outcome, error) {
	return sharedOutcomes(ctx, db.read, shopper, limit)
}

func sharedOutcomes(ctx context.Context, q sqlx.QueryerContext, shopper string, limit int) ([]juncture.Outcome, error) {
	return scanOutcomes(q.QueryContext(ctx, `SELECT `+prefixed("o", outcomeColumns)+` FROM decisions d JOIN outcomes o ON o.serial = d.serial
		WHERE d.shopper IN (`+sameShopper+`) AND o.credits IS NOT NULL ORDER BY o.received DESC, o.serial, o.event, o.outcome_id LIMIT ?`, shopper, shopper, shopper, limit))
}

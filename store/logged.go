package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/juncture/juncture"
)

// refusedVersion opens refusals.
const refusedVersion = 1

// encodeRefused writes refusals, each reason once; nil for none.
func encodeRefused(refused []juncture.Refused) []byte {
	if len(refused) == 0 {
		return nil
	}
	var whys []string
	for _, r := range refused {
		if !slices.Contains(whys, r.Why) {
			whys = append(whys, r.Why)
		}
	}
	e := encoder{b: []byte{refusedVersion}}
	e.uint(uint64(len(whys)))
	for _, w := range whys {
		e.text(w)
	}
	e.uint(uint64(len(refused)))
	for _, r := range refused {
		e.uint(uint64(r.Arm))
		e.uint(uint64(slices.Index(whys, r.Why)))
	}
	return e.b
}

func decodeRefused(b []byte) ([]juncture.Refused, error) {
	if b == nil {
		return nil, nil
	}
	d := decoder{b: b}
	d.version(refusedVersion)
	whys := make([]string, 0, d.count())
	for range cap(whys) {
		whys = append(whys, d.text())
	}
	out := make([]juncture.Refused, 0, d.count())
	for range cap(out) {
		arm, why := juncture.ArmID(d.uint()), d.uint()
		if why >= uint64(len(whys)) {
			d.fail()
			break
		}
		out = append(out, juncture.Refused{Arm: arm, Why: whys[why]})
	}
	return out, d.done()
}

// behind writes what the decision is the first to be made by.
func (t *turn) behind(w *juncture.DecisionWrite) error {
	if w.Terms != nil {
		body, err := json.Marshal(w.Terms)
		if err != nil {
			return err
		}
		if _, err := t.tx.Stmtx(t.w.stmts.terms).Exec(w.Decision.Terms, string(body)); err != nil {
			return err
		}
	}
	if f := w.Fit; f != nil {
		marks, err := json.Marshal(f.Marks)
		if err != nil {
			return err
		}
		asOf := int64(0)
		if !f.AsOf.IsZero() {
			asOf = ms(f.AsOf)
		}
		if _, err := t.tx.Stmtx(t.w.stmts.fit).Exec(f.Version, f.Experiment, string(marks), asOf); err != nil {
			return err
		}
	}
	return nil
}

// Terms reads what decisions with a hash were made by; nil where it is not kept. Whether it is what the hash names is for
// the caller to check.
func (db *DB) Terms(ctx context.Context, hash string) (*juncture.DrawTerms, error) {
	var body string
	err := db.read.GetContext(ctx, &body, `SELECT body FROM terms WHERE hash = ?`, hash)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	t := &juncture.DrawTerms{}
	if err := json.Unmarshal([]byte(body), t); err != nil {
		return nil, fmt.Errorf("terms %s: %w", hash, err)
	}
	return t, nil
}

// Fit reads the evidence that a version names; nil where it is not kept.
func (db *DB) Fit(ctx context.Context, version string) (*juncture.Fit, error) {
	f := &juncture.Fit{Version: version}
	var marks string
	var asOf int64
	err := db.read.QueryRowContext(ctx, `SELECT experiment, marks, as_of FROM fits WHERE version = ?`, version).Scan(&f.Experiment, &marks, &asOf)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if asOf != 0 {
		f.AsOf = fromMS(asOf)
	}
	if err := json.Unmarshal([]byte(marks), &f.Marks); err != nil {
		return nil, fmt.Errorf("fit %s: %w", version, err)
	}
	return f, nil
}

// DeltasUpTo calls f for every commit up to a mark of each node. whole is false, and f is not called, where the log no
// longer has them all.
func (db *DB) DeltasUpTo(ctx context.Context, marks []juncture.Mark, f func(deltas []juncture.Delta) error) (whole bool, err error) {
	tx, err := db.read.BeginTxx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return false, err
	}
	defer tx.Rollback() //nolint:errcheck // a read
	for _, m := range marks {
		var n int64
		if err := tx.GetContext(ctx, &n, `SELECT count(*) FROM deltas WHERE node = ? AND seq BETWEEN 1 AND ?`, m.Node, m.Seq); err != nil {
			return false, err
		}
		if n != m.Seq { // a node numbers its commits from 1, without gaps
			return false, nil
		}
	}
	for _, m := range marks {
		rows, err := tx.QueryContext(ctx, `SELECT seq, body FROM deltas WHERE node = ? AND seq <= ? ORDER BY seq`, m.Node, m.Seq)
		if err != nil {
			return false, err
		}
		if err := eachBody(rows, func(seq int64, body []byte) error {
			deltas, err := decodeDeltas(body)
			if err != nil {
				return juncture.Errorf(juncture.CodeInternal, "delta %d of node %d: %w", seq, m.Node, err)
			}
			return f(deltas)
		}); err != nil {
			return false, err
		}
	}
	return true, nil
}

func eachBody(rows *sql.Rows, f func(seq int64, body []byte) error) error {
	defer rows.Close()
	for rows.Next() {
		var seq int64
		var body sql.RawBytes
		if err := rows.Scan(&seq, &body); err != nil {
			return err
		}
		if err := f(seq, body); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Logged reads a decision by its serial, with its activation and its outcomes; nil where there is none.
func (db *DB) Logged(ctx context.Context, serial uint64) (*juncture.Settled, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT `+prefixed("d", decisionColumns)+`, `+activationColumns+`
		FROM decisions d LEFT JOIN activations a ON a.serial = d.serial WHERE d.serial = ?`, int64(serial))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	if !rows.Next() {
		return nil, rows.Err()
	}
	d, activation, err := scanActivated(rows)
	if err != nil {
		return nil, err
	}
	s := d.settled(activation)
	if err := rows.Close(); err != nil {
		return nil, err
	}
	s.Outcomes, err = scanOutcomes(db.read.QueryContext(ctx, `SELECT `+outcomeColumns+` FROM outcomes WHERE serial = ? ORDER BY received, event, outcome_id`, int64(serial)))
	return &s, err
}

// PlacesOf returns every enrolment that the shopper behind an id ever had, those of who became one with them too, the
// earliest first.
func (db *DB) PlacesOf(ctx context.Context, id string) ([]juncture.Enrolment, error) {
	shopper, err := db.Shopper(ctx, id)
	if err != nil {
		return nil, err
	}
	shopper = cmp.Or(shopper, id)
	return scanEnrolments(db.read.QueryContext(ctx, `SELECT `+enrolmentColumns+` FROM enrolments WHERE shopper IN (`+sameShopper+`)
		ORDER BY at, serial`, shopper, shopper, shopper))
}

// ArmNames returns every arm that was ever written.
func (db *DB) ArmNames(ctx context.Context) (map[juncture.ArmID]juncture.Arm, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT id, action, action_version, copy, copy_version FROM arms`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[juncture.ArmID]juncture.Arm{}
	for rows.Next() {
		var id juncture.ArmID
		var a juncture.Arm
		if err := rows.Scan(&id, &a.Action, &a.ActionVersion, &a.Copy, &a.CopyVersion); err != nil {
			return nil, err
		}
		out[id] = a
	}
	return out, rows.Err()
}

// Log returns decisions of the log, newest first, with their activations, without their outcomes. Those of a kind are looked
// for among the newest of which as many are asked for as q.Look says: last is the serial of the oldest of these where there
// are older ones and fewer than q.Limit were found, 0 else.
func (db *DB) Log(ctx context.Context, q juncture.DecisionQuery) (_ []juncture.Settled, last uint64, _ error) {
	within, kind := []string{`1 = 1`}, []string{}
	var among, of []any
	if q.Before != 0 {
		within, among = append(within, `serial < ?`), append(among, int64(q.Before))
	}
	if q.After != 0 {
		within, among = append(within, `serial > ?`), append(among, int64(q.After))
	}
	add := func(sql string, v ...any) { kind, of = append(kind, sql), append(of, v...) }
	if q.Experiment != "" {
		add(`experiment = ?`, q.Experiment)
	}
	if q.Surface != "" {
		add(`surface = ?`, q.Surface)
	}
	if q.Group != nil {
		add(`grp = ?`, *q.Group)
	}
	if q.Action != "" {
		add(`arm IN (SELECT id FROM arms WHERE action = ?)`, q.Action)
	}
	if q.Reason != "" {
		add(`reason = ?`, string(q.Reason))
	}
	if q.Detail != "" {
		add(`detail = ?`, string(q.Detail))
	}
	if !q.From.IsZero() {
		add(`at >= ?`, ms(q.From))
	}
	if !q.To.IsZero() {
		add(`at < ?`, ms(q.To))
	}
	look := cmp.Or(max(q.Look, 0), juncture.DecisionLook)
	limit := min(max(q.Limit, 1), juncture.MaxDecisions)
	bounded := false
	var where string
	var args []any
	switch {
	case q.Shopper != "": // an index leads to theirs
		shopper, err := db.Shopper(ctx, q.Shopper)
		if err != nil {
			return nil, 0, err
		}
		shopper = cmp.Or(shopper, q.Shopper)
		where = `shopper IN (` + sameShopper + `) AND ` + strings.Join(append(within, kind...), ` AND `)
		args = slices.Concat([]any{shopper, shopper, shopper}, among, of)
	case len(kind) == 0:
		where, args = strings.Join(within, ` AND `), among
	default:
		bounded = true
		where = strings.Join(kind, ` AND `)
		args = slices.Concat(among, []any{look}, of)
	}
	from := `decisions`
	if bounded {
		from = `(SELECT serial, at, experiment, surface, grp, arm, reason, detail FROM decisions WHERE ` + strings.Join(within, ` AND `) + ` ORDER BY serial DESC LIMIT ?) AS latest`
	}
	out, err := db.logged(ctx, `SELECT serial FROM `+from+` WHERE `+where+` ORDER BY serial DESC LIMIT ?`, append(args, limit)...)
	if err != nil || !bounded || len(out) == limit {
		return out, 0, err
	}
	var oldest, looked int64
	if err := db.read.QueryRowContext(ctx, `SELECT coalesce(min(serial), 0), count(*) FROM (SELECT serial FROM decisions WHERE `+strings.Join(within, ` AND `)+` ORDER BY serial DESC LIMIT ?) AS latest`,
		append(slices.Clone(among), look)...).Scan(&oldest, &looked); err != nil || looked < int64(look) {
		return out, 0, err
	}
	return out, uint64(oldest), nil
}

// logged reads the decisions that a query names, newest first.
func (db *DB) logged(ctx context.Context, serials string, args ...any) ([]juncture.Settled, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT `+prefixed("d", decisionColumns)+`, `+activationColumns+`
		FROM decisions d LEFT JOIN activations a ON a.serial = d.serial WHERE d.serial IN (`+serials+`) ORDER BY d.serial DESC`, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []juncture.Settled
	for rows.Next() {
		d, activation, err := scanActivated(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, d.settled(activation))
	}
	return out, rows.Err()
}

// EventsBefore returns the events of the shopper behind an id that were taken by a time, in the order of their commits;
// whole is false where there are more than limit, and none are given.
func (db *DB) EventsBefore(ctx context.Context, id string, by time.Time, limit int) (_ []juncture.Event, whole bool, err error) {
	shopper, err := db.Shopper(ctx, id)
	if err != nil {
		return nil, false, err
	}
	shopper = cmp.Or(shopper, id)
	rows, err := db.read.QueryContext(ctx, `SELECT serial, body FROM events WHERE shopper IN (`+sameShopper+`) AND received <= ? ORDER BY serial LIMIT ?`,
		shopper, shopper, shopper, ms(by), limit+1)
	if err != nil {
		return nil, false, err
	}
	var out []juncture.Event
	err = eachBody(rows, func(_ int64, body []byte) error {
		var e juncture.Event
		if err := json.Unmarshal(body, &e); err != nil {
			return err
		}
		out = append(out, e)
		return nil
	})
	if err != nil || len(out) > limit {
		return nil, false, err
	}
	return out, true, nil
}

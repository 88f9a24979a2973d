package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/juncture/juncture"
)

// flagRemoved marks a decision that was taken out with its shopper.
const flagRemoved = 4

// exclude takes a shopper out of tallies, enrolments and the rollup of units.
func (t *turn) exclude(x *juncture.Exclusion) error {
	x.Already, x.Trials, x.Units = false, 0, 0
	var err error
	if x.Shopper, err = t.standsFor(x.ID); err != nil {
		return err
	}
	var n int
	if err := t.tx.Get(&n, `SELECT count(*) FROM exclusions WHERE shopper = ?`, x.Shopper); err != nil || n > 0 {
		x.Already = n > 0
		return err
	}
	if err := t.removeDecisions(x); err != nil {
		return err
	}
	rows, err := t.tx.Query(`SELECT `+enrolmentColumns+`, state, unit FROM enrolments WHERE shopper = ? AND state < 3`, x.Shopper)
	if err != nil {
		return err
	}
	units, err := scanUnits(rows)
	if err != nil {
		return err
	}
	for _, u := range units {
		if u.state != unitOpen {
			for _, name := range rollupsOf(u.Enrolment) {
				if err := addUnitSums(t.tx.Stmtx(t.w.stmts.unitSumsOf), t.tx.Stmtx(t.w.stmts.unitSumsSet), name, juncture.UnitSums{}.Minus(u.closed.sums(u.Before))); err != nil {
					return err
				}
			}
		}
		if _, err := t.tx.Exec(`UPDATE enrolments SET state = ? WHERE serial = ? AND experiment = ?`, unitExcluded, int64(u.Serial), u.Experiment); err != nil {
			return err
		}
		for _, d := range u.Excluded() {
			t.add(d)
		}
		x.Units++
	}
	_, err = t.tx.Exec(`INSERT INTO exclusions (shopper, reason, why, at, trials) VALUES (?, ?, ?, ?, ?)`, x.Shopper, x.Reason, x.Why, ms(x.At), x.Trials)
	return err
}

// removeDecisions takes back what every decision of a shopper added.
func (t *turn) removeDecisions(x *juncture.Exclusion) error {
	types, currency, err := t.outcomeTypes()
	if err != nil {
		return err
	}
	rows, err := t.tx.Query(`SELECT `+prefixed("d", decisionColumns)+`, `+activationColumns+` FROM decisions d LEFT JOIN activations a ON a.serial = d.serial
		WHERE d.shopper IN (`+sameShopper+`) AND (d.flags & 4) = 0`, x.Shopper, x.Shopper, x.Shopper)
	if err != nil {
		return err
	}
	defer rows.Close()
	var all []settled
	for rows.Next() {
		d, activation, err := scanActivated(rows)
		if err != nil {
			return err
		}
		all = append(all, settled{d.settled(activation), types, currency})
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	for _, s := range all {
		if s.Outcomes, err = scanOutcomes(t.tx.Stmtx(t.w.stmts.outcomesAll).Query(int64(s.Serial))); err != nil {
			return err
		}
		for _, d := range s.deltas() {
			d.Tally = juncture.Tally{}.Minus(d.Tally)
			t.add(d)
		}
		if _, err := t.tx.Exec(`UPDATE decisions SET flags = flags | 4 WHERE serial = ?`, int64(s.Serial)); err != nil {
			return err
		}
		s.Removed = true
		for _, d := range s.deltas() {
			t.add(d)
			x.Trials++
		}
	}
	return nil
}

// outcomeTypes are the store's, with its currency.
func (t *turn) outcomeTypes() (map[string]juncture.OutcomeType, string, error) {
	catalog, err := readCatalog(context.Background(), t.tx)
	if err != nil {
		return nil, "", err
	}
	types := map[string]juncture.OutcomeType{}
	for _, o := range catalog.Declaration.Outcomes {
		types[o.Name] = o
	}
	return types, catalog.Declaration.Store.Currency, nil
}

// excludedBy finds why a shopper is none.
const excludedBy = `SELECT reason FROM exclusions WHERE shopper = ?`

func excluded(ctx context.Context, q *sql.Stmt, shopper string) (reason string, err error) {
	err = q.QueryRowContext(ctx, shopper).Scan(&reason)
	return reason, ignoreNone(err)
}

// Exclusions returns who was taken out, the latest first, at most limit.
func (db *DB) Exclusions(ctx context.Context, limit int) ([]juncture.Exclusion, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT shopper, reason, why, at, trials FROM exclusions ORDER BY at DESC, shopper LIMIT ?`, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []juncture.Exclusion
	for rows.Next() {
		var x juncture.Exclusion
		var at int64
		if err := rows.Scan(&x.Shopper, &x.Reason, &x.Why, &at, &x.Trials); err != nil {
			return nil, err
		}
		x.ID, x.At = x.Shopper, time.UnixMilli(at).UTC()
		out = append(out, x)
	}
	return out, rows.Err()
}

package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/juncture/juncture"
)

// States of an enrolment.
const (
	unitOpen   = 0
	unitClosed = 1
	unitStale  = 2 // closed, and more is known of it now
	unitMerged = 3 // proved to be a shopper enrolled earlier: no unit
	unitCross  = 4 // as unitMerged, and had been given another group

	unitExcluded = 5 // proved to be no shopper: no unit
)

const enrolmentColumns = `serial, experiment, shopper, grp, share, phase, at, until, intersection, before, shadow`

func scanEnrolment(rows *sql.Rows, more ...any) (juncture.Enrolment, error) {
	var e juncture.Enrolment
	var serial, at, until int64
	var key string
	if err := rows.Scan(append([]any{&serial, &e.Experiment, &e.Shopper, &e.Group, &e.Share, &e.Phase, &at, &until, &key, &e.Before, &e.Shadow}, more...)...); err != nil {
		return e, err
	}
	e.Serial, e.At, e.Until = uint64(serial), fromMS(at), fromMS(until)
	var err error
	e.Intersection, err = juncture.ParseIntersection(key)
	return e, err
}

func scanEnrolments(rows *sql.Rows, err error) ([]juncture.Enrolment, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []juncture.Enrolment
	for rows.Next() {
		e, err := scanEnrolment(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, rows.Err()
}

const enrolmentsOf = `SELECT ` + enrolmentColumns + ` FROM enrolments WHERE shopper = ? AND state < 3 ORDER BY at, serial`

// Enrolments returns where a shopper is enrolled, of each experiment the earliest that was not in shadow, or the earliest.
// shopper is the first-seen id.
func (db *DB) Enrolments(ctx context.Context, shopper string) ([]juncture.Enrolment, error) {
	all, err := scanEnrolments(db.enrolments.QueryContext(ctx, shopper))
	return earliest(all), err
}

// earliest keeps the first enrolment in each experiment; one in shadow gives way to one out of it.
func earliest(all []juncture.Enrolment) []juncture.Enrolment {
	var out []juncture.Enrolment
	for _, e := range all {
		if i := in(out, e.Experiment); i < 0 {
			out = append(out, e)
		} else if outOfShadow(out[i], e) {
			out[i] = e
		}
	}
	return out
}

// outOfShadow reports whether a shopper who is held in an experiment may be enrolled in it all the same.
func outOfShadow(held, e juncture.Enrolment) bool { return held.Shadow && !e.Shadow }

// standsFor is the shopper whose rows bear an id now.
func (t *turn) standsFor(id string) (string, error) {
	var shopper string
	err := t.tx.Stmtx(t.w.stmts.standsFor).QueryRow(id).Scan(&shopper)
	if errors.Is(err, sql.ErrNoRows) {
		return id, nil
	}
	return shopper, err
}

// newcomer is the shopper of a decision that may enrol them, under the id that stands for them now, and where they are
// enrolled already.
type newcomer struct {
	shopper string
	held    []juncture.Enrolment
}

func (t *turn) newcomer(w *juncture.DecisionWrite) (n newcomer, err error) {
	if len(w.Enrol) == 0 {
		return n, nil
	}
	if n.shopper, err = t.standsFor(w.Decision.Shopper); err != nil {
		return n, err
	}
	n.held, err = scanEnrolments(t.tx.Stmtx(t.w.stmts.enrolmentsOf).Query(n.shopper))
	n.held = earliest(n.held)
	return n, err
}

func in(held []juncture.Enrolment, experiment string) int {
	return slices.IndexFunc(held, func(h juncture.Enrolment) bool { return h.Experiment == experiment })
}

// foreign reports whether the shopper has another group already than the one that was decided for.
func (n newcomer) foreign(w *juncture.DecisionWrite) bool {
	return slices.ContainsFunc(w.Enrol, func(e juncture.Enrolment) bool {
		i := in(n.held, e.Experiment)
		return i >= 0 && n.held[i].Group != e.Group && !outOfShadow(n.held[i], e)
	})
}

// enrol writes the enrolments of a decision's shopper that are new.
func (t *turn) enrol(n newcomer, w *juncture.DecisionWrite) error {
	for _, e := range w.Enrol {
		if i := in(n.held, e.Experiment); i >= 0 && !outOfShadow(n.held[i], e) {
			continue
		}
		if _, err := t.tx.Stmtx(t.w.stmts.enrol).Exec(int64(e.Serial), e.Experiment, n.shopper, e.Group, e.Share, e.Phase, ms(e.At), ms(e.Until),
			e.Intersection.Key(), e.Before, e.Shadow); err != nil {
			return err
		}
		t.add(e.Enrolled(1))
	}
	return nil
}

// mergeUnits makes the enrolments and outcomes of one shopper another's. Of two open ones in an experiment, in shadow or
// out of it, the earlier is the unit; what has closed is a unit that was counted, and stays one.
func (t *turn) mergeUnits(from, into string) error {
	rows, err := t.tx.Query(`SELECT `+enrolmentColumns+`, state FROM enrolments WHERE shopper IN (?, ?) AND state < 3 ORDER BY at, serial`, from, into)
	if err != nil {
		return err
	}
	defer rows.Close()
	type place struct {
		experiment string
		shadow     bool
	}
	first := map[place]juncture.Enrolment{}
	var merged []juncture.Enrolment
	for rows.Next() {
		var state int
		e, err := scanEnrolment(rows, &state)
		if err != nil {
			return err
		}
		if at := (place{e.Experiment, e.Shadow}); first[at].At.IsZero() {
			first[at] = e
		} else if state == unitOpen {
			merged = append(merged, e)
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	for _, e := range merged {
		state := unitMerged
		if first[place{e.Experiment, e.Shadow}].Group != e.Group {
			state = unitCross
		}
		if _, err := t.tx.Exec(`UPDATE enrolments SET state = ? WHERE serial = ? AND experiment = ?`, state, int64(e.Serial), e.Experiment); err != nil {
			return err
		}
		for _, d := range e.Merged(state == unitCross) {
			t.add(d)
		}
	}
	if err := t.renameUnits(from, into); err != nil {
		return err
	}
	_, err = t.tx.Exec(`UPDATE enrolments SET state = 2 WHERE shopper = ? AND state = 1`, into) // what both did is one's
	return err
}

// renameUnits gives a shopper's enrolments and outcomes another id. An outcome that both have is one.
func (t *turn) renameUnits(from, into string) error {
	for _, q := range []struct {
		sql  string
		args []any
	}{
		{`UPDATE enrolments SET shopper = ? WHERE shopper = ?`, []any{into, from}},
		{`DELETE FROM unit_outcomes WHERE shopper = ? AND EXISTS (SELECT 1 FROM unit_outcomes o WHERE o.shopper = ? AND o.event = unit_outcomes.event
			AND o.outcome_id = unit_outcomes.outcome_id AND o.serial = unit_outcomes.serial)`, []any{from, into}},
		{`UPDATE unit_outcomes SET shopper = ? WHERE shopper = ?`, []any{into, from}},
	} {
		if _, err := t.tx.Exec(q.sql, q.args...); err != nil {
			return err
		}
	}
	return nil
}

const unitOutcomeColumns = `event, outcome_id, serial, experiment, adjusts, minor, currency, at, received`

// scanUnitOutcomes reads outcomes of a unit that count for an experiment, of all with none. One that is its decision's alone
// bears its id.
func scanUnitOutcomes(rows *sql.Rows, err error, experiment string) ([]juncture.Outcome, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []juncture.Outcome
	for rows.Next() {
		o := juncture.Outcome{Status: juncture.StatusRecorded}
		var serial, at, received int64
		var adjusts *string
		var only string
		if err := rows.Scan(&o.Event, &o.ID, &serial, &only, &adjusts, &o.Minor, &o.Currency, &at, &received); err != nil {
			return nil, err
		}
		if experiment != "" && only != "" && only != experiment {
			continue
		}
		o.Serial, o.At, o.Received = uint64(serial), fromMS(at), fromMS(received)
		if adjusts != nil {
			o.Adjust, o.Adjusts = true, *adjusts
		}
		out = append(out, unitNamed(o))
	}
	return out, rows.Err()
}

// unitNamed gives an outcome that is its decision's alone, or an adjustment of one, an id that says so. No caller's id holds
// a null byte.
func unitNamed(o juncture.Outcome) juncture.Outcome {
	if o.Serial == 0 {
		return o
	}
	of := fmt.Sprintf("\x00%d", o.Serial)
	o.ID += of
	if o.Adjust {
		o.Adjusts += of
	}
	return o
}

// shopperOf is whose a decision is now, and whether it was taken out with them; "" where it is not in the ledger.
func (t *turn) shopperOf(serial uint64) (shopper string, removed bool, err error) {
	err = t.tx.Stmtx(t.w.stmts.shopperOf).QueryRow(int64(serial)).Scan(&shopper, &removed)
	return shopper, removed, ignoreNone(err)
}

// unitOutcome notes an outcome with the shopper, once, where they are enrolled somewhere and it happened within a horizon.
func (t *turn) unitOutcome(w *juncture.OutcomeWrite, shopper string) error {
	if w.Claims.Ignored || shopper == "" {
		return nil
	}
	held, err := scanEnrolments(t.tx.Stmtx(t.w.stmts.enrolmentsOf).Query(shopper))
	if err != nil || len(held) == 0 {
		return err
	}
	o := w.Outcome
	o.Serial = 0
	only := ""
	if !w.Type.Everywhere() {
		o.Serial, only = w.Claims.Serial, w.Claims.Experiment
	} else if o.ID == "" || o.Adjust && o.Adjusts == "" {
		o.Serial = w.Claims.Serial
		if len(w.Mine) > 0 {
			o.Serial = slices.Min(w.Mine) // credited to several, it came once
		}
	}
	within := func(e juncture.Enrolment) bool { return !o.At.Before(e.At) && !o.At.After(e.Until) }
	if !o.Adjust && !slices.ContainsFunc(held, within) {
		return nil
	}
	found, err := t.tx.Stmtx(t.w.stmts.unitOutcomes).Query(shopper, o.Event, o.ID, o.Adjusts, o.Adjusts, int64(o.Serial))
	earlier, err := scanUnitOutcomes(found, err, "")
	if err != nil {
		return err
	}
	// The unit's window is the horizon, not the decision's: here all that is kept is in time.
	s := juncture.Settlement{Claims: juncture.Claims{At: o.At, Until: o.At}, Type: w.Type, Currency: w.Currency, Earlier: earlier}
	s.Type.Window = 0
	named, _, err := s.Settle(unitNamed(o), w.Whole)
	if err != nil || named.Status == juncture.StatusDuplicate {
		return nil //nolint:nilerr // another decision's outcome of the same id: the ledger has both, the shopper the first
	}
	var adjusts *string
	if o.Adjust {
		adjusts = &o.Adjusts
	}
	if _, err := t.tx.Stmtx(t.w.stmts.unitOutcome).Exec(shopper, o.Event, o.ID, int64(o.Serial), only, adjusts, named.Minor, o.Currency, ms(o.At), ms(o.Received)); err != nil {
		return err
	}
	_, err = t.tx.Stmtx(t.w.stmts.unitStale).Exec(shopper)
	return err
}

// exposuresOf counts a shopper's trials of an experiment within a horizon.
const exposuresOf = `SELECT count(*) FROM decisions d LEFT JOIN activations a ON a.serial = d.serial
	WHERE d.shopper IN (` + sameShopper + `) AND d.experiment = ? AND d.at >= ? AND d.at <= ? AND (d.flags & 5) = 0
	AND ((d.flags & 2) = 0 OR a.serial IS NOT NULL)`

// closedUnit is a unit as it was added to the rollup: what was known when its horizon closed, and what is known now.
type closedUnit struct {
	Exposures int64                `json:"exposures"`
	Then      []juncture.UnitEvent `json:"then,omitempty"`
	Now       []juncture.UnitEvent `json:"now,omitempty"`
}

// sums are what the unit adds to the rollup.
func (u closedUnit) sums(before int64) juncture.UnitSums {
	s := juncture.SumsOf(juncture.Unit{Exposures: u.Exposures, Before: before, Events: u.Then})
	return s.Restate(juncture.Unit{Exposures: u.Exposures, Before: before, Events: u.Then}, juncture.Unit{Exposures: u.Exposures, Before: before, Events: u.Now})
}

const unitOutcomesOf = `SELECT ` + unitOutcomeColumns + ` FROM unit_outcomes WHERE shopper = ?`

// unitEvents are what an enrolled shopper did, as known when the horizon closed, and as known now.
func unitEvents(outcomes *sqlx.Stmt, e juncture.Enrolment) (then, now []juncture.UnitEvent, err error) {
	found, err := outcomes.Query(e.Shopper)
	rows, err := scanUnitOutcomes(found, err, e.Experiment)
	return e.UnitOf(rows, e.Until), e.UnitOf(rows, endOfTime()), err
}

func endOfTime() time.Time { return time.UnixMilli(1 << 52) }

// unitChunk bounds how long one transaction of closing keeps the ledger's writer waiting.
const unitChunk = 200

// CloseUnits adds to the rollup every enrolled shopper whose horizon ended before now, and what became known of those that
// were added before, in transactions of its own. It returns how many it added.
func (db *DB) CloseUnits(ctx context.Context, now time.Time) (int, error) {
	for total := 0; ; {
		n, more := 0, false
		err := db.inTx(ctx, func(tx *sqlx.Tx) (err error) {
			n, more, err = closeUnits(tx, now)
			return err
		})
		total += n
		if err != nil || !more {
			return total, err
		}
	}
}

// rollupName names a row of the rollup.
type rollupName struct {
	experiment string
	phase      int
	group      juncture.Group
	name       string
}

// rollupsOf names the rows that a unit is added to.
func rollupsOf(e juncture.Enrolment) [2]rollupName {
	at := juncture.UnitRow{Intersection: e.Intersection}
	on := juncture.UnitRow{Day: e.Until.UTC().Truncate(24 * time.Hour)}
	return [2]rollupName{{e.Experiment, e.Phase, e.Group, at.RowName()}, {e.Experiment, e.Phase, e.Group, on.RowName()}}
}

// Statements of closing.
const (
	unitClose   = `UPDATE enrolments SET state = 1, unit = ? WHERE serial = ? AND experiment = ?`
	unitSumsOf  = `SELECT body FROM unit_sums WHERE experiment = ? AND phase = ? AND grp = ? AND name = ?`
	unitSumsSet = `INSERT INTO unit_sums (experiment, phase, grp, name, body) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (experiment, phase, grp, name) DO UPDATE SET body = excluded.body`
)

func closeUnits(tx *sqlx.Tx, now time.Time) (n int, more bool, err error) {
	rows, err := tx.Query(`SELECT `+enrolmentColumns+`, state, unit FROM enrolments WHERE state = 0 AND until < ? ORDER BY until LIMIT ?`, ms(now), unitChunk)
	if err != nil {
		return 0, false, err
	}
	found, err := scanUnits(rows)
	if err != nil {
		return 0, false, err
	}
	stale, err := tx.Query(`SELECT `+enrolmentColumns+`, state, unit FROM enrolments WHERE state = 2 ORDER BY serial LIMIT ?`, unitChunk)
	if err != nil {
		return 0, false, err
	}
	again, err := scanUnits(stale)
	if err != nil {
		return 0, false, err
	}
	p := map[string]*sqlx.Stmt{}
	for _, q := range []string{exposuresOf, unitOutcomesOf, unitClose, unitSumsOf, unitSumsSet} {
		if p[q], err = tx.Preparex(q); err != nil {
			return 0, false, err
		}
		defer p[q].Close() //nolint:errcheck // with its transaction
	}
	sums := map[rollupName]juncture.UnitSums{}
	for _, u := range slices.Concat(found, again) {
		var was juncture.UnitSums
		if u.state == unitOpen {
			u.closed = closedUnit{}
			if err := p[exposuresOf].QueryRow(u.Shopper, u.Shopper, u.Shopper, u.Experiment, ms(u.At), ms(u.Until)).Scan(&u.closed.Exposures); err != nil {
				return 0, false, err
			}
			if u.closed.Then, u.closed.Now, err = unitEvents(p[unitOutcomesOf], u.Enrolment); err != nil {
				return 0, false, err
			}
			n++
		} else {
			was = u.closed.sums(u.Before)
			if _, u.closed.Now, err = unitEvents(p[unitOutcomesOf], u.Enrolment); err != nil {
				return 0, false, err
			}
		}
		for _, name := range rollupsOf(u.Enrolment) {
			sums[name] = sums[name].Plus(u.closed.sums(u.Before)).Minus(was)
		}
		body, err := json.Marshal(u.closed)
		if err != nil {
			return 0, false, err
		}
		if _, err := p[unitClose].Exec(string(body), int64(u.Serial), u.Experiment); err != nil {
			return 0, false, err
		}
	}
	for name, s := range sums {
		if err := addUnitSums(p[unitSumsOf], p[unitSumsSet], name, s); err != nil {
			return 0, false, err
		}
	}
	return n, len(found) == unitChunk || len(again) == unitChunk, nil
}

// storedUnit is an enrolment with how far it has come.
type storedUnit struct {
	juncture.Enrolment
	state  int
	closed closedUnit // of one that has closed
}

func scanUnits(rows *sql.Rows) ([]storedUnit, error) {
	defer rows.Close()
	var out []storedUnit
	for rows.Next() {
		u, err := scanUnit(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, u)
	}
	return out, rows.Err()
}

func scanUnit(rows *sql.Rows) (u storedUnit, err error) {
	var body string
	if u.Enrolment, err = scanEnrolment(rows, &u.state, &body); err != nil || body == "" {
		return u, err
	}
	if err = json.Unmarshal([]byte(body), &u.closed); err != nil {
		err = fmt.Errorf("unit of decision %d: %w", u.Serial, err)
	}
	return u, err
}

// addUnitSums adds to a row of the rollup, by unitSumsOf and unitSumsSet.
func addUnitSums(read, write *sqlx.Stmt, name rollupName, s juncture.UnitSums) error {
	var body string
	err := read.QueryRow(name.experiment, name.phase, name.group, name.name).Scan(&body)
	if err == nil {
		var before juncture.UnitSums
		if err := json.Unmarshal([]byte(body), &before); err != nil {
			return err
		}
		s = before.Plus(s)
	} else if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	_, err = write.Exec(name.experiment, name.phase, name.group, name.name, string(b))
	return err
}

// UnitRows returns the rollup of an experiment's, or a holdout's, closed units: a row for each phase, group and
// intersection at enrolment, and one for each phase, group and day of closing.
func (db *DB) UnitRows(ctx context.Context, experiment string) ([]juncture.UnitRow, error) {
	return unitRows(ctx, db.read, `WHERE experiment = ? ORDER BY phase, grp, name`, experiment)
}

func unitRows(ctx context.Context, q sqlx.QueryerContext, where string, args ...any) ([]juncture.UnitRow, error) {
	rows, err := q.QueryContext(ctx, `SELECT experiment, phase, grp, name, body FROM unit_sums `+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []juncture.UnitRow
	for rows.Next() {
		var r juncture.UnitRow
		var name, body string
		if err := rows.Scan(&r.Experiment, &r.Phase, &r.Group, &name, &body); err != nil {
			return nil, err
		}
		if err := r.ParseRowName(name); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(body), &r.UnitSums); err != nil {
			return nil, fmt.Errorf("rollup %s of %q: %w", name, r.Experiment, err)
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

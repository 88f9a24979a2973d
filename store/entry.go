package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/juncture/juncture"
)

// statements of the writer, prepared once.
type statements struct {
	decision, terms, fit, memo, memoForget, memoRead, activation, activationRead, outcome, outcomesOf, outcomesAll, outcomeStatus,
	value, message, event, alias, said, aliasSeen, firstDecision, standing, movement,
	standsFor, enrol, enrolmentsOf, shopperOf, unitOutcomes, unitOutcome, unitStale, unitSumsOf, unitSumsSet *sqlx.Stmt
}

const outcomeColumns = `serial, event, outcome_id, adjusts, value, minor, currency, at, received, status, credits`

func (s *statements) prepare(ctx context.Context, db *sqlx.DB) error {
	for _, p := range []struct {
		to  **sqlx.Stmt
		sql string
	}{
		{&s.decision, `INSERT INTO decisions (serial, at, until, signing_key, experiment, intersection, arm, grp, probability,
			flags, surface, shopper, session, reason, detail, share, policy_version, ranking, memos, shadow, terms, refused)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`},
		{&s.terms, `INSERT INTO terms (hash, body) VALUES (?, ?) ON CONFLICT DO NOTHING`},
		{&s.fit, `INSERT INTO fits (version, experiment, marks, as_of) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`},
		{&s.memo, `INSERT INTO memos (id, body, answer, expires) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE
			SET body = excluded.body, answer = excluded.answer, expires = excluded.expires
			WHERE memos.expires <= ? OR memos.answer = ?`},
		{&s.memoForget, `DELETE FROM memos WHERE id = ?`},
		{&s.memoRead, `SELECT body, answer, expires FROM memos WHERE id = ?`},
		{&s.activation, `INSERT INTO activations (serial, at, served, arm, probability) VALUES (?, ?, ?, ?, ?)`},
		{&s.activationRead, `SELECT at, served, arm, probability FROM activations WHERE serial = ?`},
		{&s.outcome, `INSERT INTO outcomes (` + outcomeColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`},
		{&s.outcomesOf, `SELECT ` + outcomeColumns + ` FROM outcomes WHERE serial = ? AND event = ?`},
		{&s.outcomesAll, `SELECT ` + outcomeColumns + ` FROM outcomes WHERE serial = ?`},
		{&s.outcomeStatus, `UPDATE outcomes SET status = ? WHERE serial = ? AND event = ? AND outcome_id = ?`},
		{&s.value, `INSERT INTO layer_values (layer, value) VALUES (?, ?) ON CONFLICT DO NOTHING`},
		{&s.message, `INSERT INTO messages (hash, received) VALUES (?, ?) ON CONFLICT DO NOTHING`},
		{&s.event, `INSERT INTO events (serial, at, received, kind, name, shopper, body, raw) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`},
		{&s.alias, aliasOf},
		{&s.said, consentBy},
		{&s.aliasSeen, `INSERT INTO aliases (id, shopper, first_seen, known) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`},
		{&s.firstDecision, `SELECT at FROM decisions WHERE shopper = ? ORDER BY serial LIMIT 1`},
		{&s.standing, `INSERT INTO standings (shopper, at, moment, meaning, trajectory, catalogue, window_name, posture, reason)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (shopper) DO UPDATE SET at = excluded.at, moment = excluded.moment,
			meaning = excluded.meaning, trajectory = excluded.trajectory, catalogue = excluded.catalogue,
			window_name = excluded.window_name, posture = excluded.posture, reason = excluded.reason`},
		{&s.standsFor, `SELECT CASE past WHEN '' THEN shopper ELSE past END FROM aliases WHERE id = ?`},
		{&s.enrol, `INSERT INTO enrolments (` + enrolmentColumns + `, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)`},
		{&s.enrolmentsOf, enrolmentsOf},
		{&s.shopperOf, `SELECT coalesce(CASE a.past WHEN '' THEN a.shopper ELSE a.past END, d.shopper), (d.flags & 4) <> 0 FROM decisions d
			LEFT JOIN aliases a ON a.id = d.shopper WHERE d.serial = ?`},
		{&s.unitOutcomes, `SELECT ` + unitOutcomeColumns + ` FROM unit_outcomes WHERE shopper = ? AND event = ?
			AND (outcome_id = ? OR outcome_id = ? OR adjusts = ?) AND serial = ?`},
		{&s.unitOutcome, `INSERT INTO unit_outcomes (shopper, ` + unitOutcomeColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`},
		{&s.unitSumsOf, unitSumsOf}, {&s.unitSumsSet, unitSumsSet},
		{&s.unitStale, `UPDATE enrolments SET state = 2 WHERE shopper = ? AND state = 1`},
		{&s.movement, `INSERT INTO movements (at, shopper, axis, from_value, to_value, reason) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`},
	} {
		stmt, err := db.PreparexContext(ctx, p.sql)
		if err != nil {
			return err
		}
		*p.to = stmt
	}
	return nil
}

func (s *statements) close() error {
	var errs []error
	for _, stmt := range []*sqlx.Stmt{s.decision, s.terms, s.fit, s.memo, s.memoForget, s.memoRead, s.activation, s.activationRead, s.outcome,
		s.outcomesOf, s.outcomesAll, s.outcomeStatus, s.value,
		s.message, s.event, s.alias, s.said, s.aliasSeen, s.firstDecision, s.standing, s.movement,
		s.standsFor, s.enrol, s.enrolmentsOf, s.shopperOf, s.unitOutcomes, s.unitOutcome, s.unitStale, s.unitSumsOf, s.unitSumsSet} {
		if stmt != nil {
			errs = append(errs, stmt.Close())
		}
	}
	return errors.Join(errs...)
}

// entry writes one request. Its error is the database's and fails the whole batch; what is wrong with a single
// outcome or activation is told in its own Err. What comes with an erasure is written after it; what comes with a
// consent already heeds it.
func (t *turn) entry(e *juncture.Entry) error {
	s := &t.w.stmts
	for _, w := range e.Erasures {
		if err := t.erase(w); err != nil {
			return err
		}
	}
	for _, x := range e.Exclusions {
		if err := t.exclude(x); err != nil {
			return err
		}
	}
	for _, v := range e.Values {
		if _, err := t.tx.Stmtx(s.value).Exec(v.Layer, v.Value); err != nil {
			return err
		}
	}
	for _, a := range e.Aliases {
		if err := t.alias(a); err != nil {
			return err
		}
	}
	for _, w := range e.Consents {
		if err := t.consent(w); err != nil {
			return err
		}
	}
	for _, w := range e.Events {
		if err := t.heed(w); err != nil {
			return err
		}
	}
	for _, w := range e.Events {
		if err := t.event(w); err != nil {
			return err
		}
	}
	for _, q := range e.Quarantined {
		if err := t.quarantine(q); err != nil {
			return err
		}
	}
	for _, m := range e.Memos {
		var err error
		if m.Recalled, err = t.memo(&m.Memo, m.At); err != nil {
			return err
		}
	}
	for _, d := range e.Decisions {
		if err := t.decision(d); err != nil {
			return err
		}
	}
	for _, a := range e.Activations {
		if err := t.activation(a); err != nil {
			return err
		}
	}
	for _, o := range e.Outcomes {
		if err := t.outcome(o); err != nil {
			return err
		}
	}
	return nil
}

func (t *turn) decision(w *juncture.DecisionWrite) error {
	d := &w.Decision
	w.Recalled = nil
	n, err := t.newcomer(w)
	if w.Stale = n.foreign(w); w.Stale || err != nil {
		return err
	}
	for i := range w.Memos {
		if recalled, err := t.memo(&w.Memos[i], d.At); err != nil {
			return err
		} else if recalled != nil {
			w.Recalled = recalled
			for _, m := range w.Memos[:i] { // they promised this decision's answer, which will not be given
				if _, err := t.tx.Stmtx(t.w.stmts.memoForget).Exec(m.ID[:]); err != nil {
					return err
				}
			}
			return nil
		}
	}
	var memos []byte
	for i := range w.Memos {
		memos = append(memos, w.Memos[i].ID[:]...)
	}
	if err := t.behind(w); err != nil {
		return err
	}
	flags := 0
	if d.Ignored {
		flags |= 1
	}
	if d.Deferred {
		flags |= 2
	}
	if _, err := t.tx.Stmtx(t.w.stmts.decision).Exec(int64(d.Serial), ms(d.At), ms(d.Until), w.SigningKey, d.Experiment,
		d.Intersection.Key(), d.Arm, d.Group, d.Probability, flags, d.Surface, d.Shopper, d.Session, string(d.Reason),
		string(d.Detail), d.Share, d.Version, encodeRanking(d.Ranking, d.Policy), memos, d.Shadow, d.Terms, encodeRefused(d.Refused)); err != nil {
		return err
	}
	if !d.Ignored && !d.Deferred {
		t.add(juncture.Settlement{Claims: d.Claims}.Trial(1))
	}
	return t.enrol(n, w)
}

// memo writes a memo, or returns the one that stands in its place at now. Memos of one decision are written in order:
// the first that is taken decides.
func (t *turn) memo(m *juncture.Memo, now time.Time) (*juncture.Memo, error) {
	res, err := t.tx.Stmtx(t.w.stmts.memo).Exec(m.ID[:], m.Body[:], m.Answer, m.Expires, ms(now), m.Replaces)
	if err != nil {
		return nil, err
	}
	if n, err := res.RowsAffected(); err != nil || n > 0 {
		return nil, err
	}
	return scanMemo(m.ID, t.tx.Stmtx(t.w.stmts.memoRead).QueryRow(m.ID[:]))
}

func scanMemo(id [16]byte, row *sql.Row) (*juncture.Memo, error) {
	var body []byte
	m := juncture.Memo{ID: id}
	if err := row.Scan(&body, &m.Answer, &m.Expires); err != nil {
		return nil, err
	}
	copy(m.Body[:], body)
	return &m, nil
}

func (t *turn) activationOf(serial uint64) (*juncture.Activation, error) {
	a := juncture.Activation{Serial: serial}
	var at int64
	err := t.tx.Stmtx(t.w.stmts.activationRead).QueryRow(int64(serial)).Scan(&at, &a.Served, &a.Arm, &a.Probability)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	a.At = fromMS(at)
	return &a, err
}

func (t *turn) activation(w *juncture.ActivationWrite) error {
	_, removed, err := t.shopperOf(w.Claims.Serial)
	if err != nil {
		return err
	}
	w.Claims.Ignored = w.Claims.Ignored || removed
	earlier, err := t.activationOf(w.Claims.Serial)
	if err != nil {
		return err
	}
	rows, err := scanOutcomes(t.tx.Stmtx(t.w.stmts.outcomesAll).Query(int64(w.Claims.Serial)))
	if err != nil {
		return err
	}
	deltas, changed, done, err := juncture.Activate(w.Claims, earlier, w.Activation, w.Types, w.Currency, rows)
	w.Duplicate, w.Err, w.Stands = done, err, w.Activation
	if earlier != nil {
		w.Stands = *earlier
	}
	if done || err != nil {
		return nil
	}
	a := w.Activation
	if _, err := t.tx.Stmtx(t.w.stmts.activation).Exec(int64(w.Claims.Serial), ms(a.At), a.Served, a.Arm, a.Probability); err != nil {
		return err
	}
	for _, r := range changed {
		if _, err := t.tx.Stmtx(t.w.stmts.outcomeStatus).Exec(string(r.Status), int64(r.Serial), r.Event, r.ID); err != nil {
			return err
		}
	}
	for _, d := range deltas {
		t.add(d)
	}
	return nil
}

func (t *turn) outcome(w *juncture.OutcomeWrite) error {
	w.Elsewhere = false
	shopper, removed, err := t.shopperOf(w.Claims.Serial)
	if err != nil {
		return err
	}
	w.Claims.Ignored, w.Whose, w.Delivered = w.Claims.Ignored || removed, shopper, time.Time{}
	if w.Shopper != "" {
		held, err := t.heldElsewhere(w)
		if err != nil || held {
			w.Elsewhere = held
			return err
		}
	}
	s := juncture.Settlement{Claims: w.Claims, Type: w.Type, Currency: w.Currency}
	if s.Activation, err = t.activationOf(w.Claims.Serial); err != nil {
		return err
	}
	if s.Activation != nil && w.Claims.Deferred {
		w.Delivered = s.Activation.At
	}
	if s.Earlier, err = scanOutcomes(t.tx.Stmtx(t.w.stmts.outcomesOf).Query(int64(w.Claims.Serial), w.Outcome.Event)); err != nil {
		return err
	}
	var deltas []juncture.Delta
	w.Result, deltas, w.Err = s.Settle(w.Outcome, w.Whole)
	w.Delta = deltas[0]
	if w.Err != nil || w.Result.Status == juncture.StatusDuplicate {
		return nil
	}
	o := w.Result
	var adjusts *string
	if o.Adjust {
		adjusts = &o.Adjusts
	}
	if _, err := t.tx.Stmtx(t.w.stmts.outcome).Exec(int64(o.Serial), o.Event, o.ID, adjusts, o.Value, o.Minor, o.Currency,
		ms(o.At), ms(o.Received), string(o.Status), encodeCredits(o.Credits)); err != nil {
		return err
	}
	for _, d := range deltas {
		t.add(d)
	}
	return t.unitOutcome(w, shopper)
}

// heldElsewhere reports whether a decision of the shopper that the outcome is not credited to holds it already.
func (t *turn) heldElsewhere(w *juncture.OutcomeWrite) (bool, error) {
	rows, err := t.tx.Query(`SELECT o.serial FROM decisions d JOIN outcomes o ON o.serial = d.serial AND o.event = ? AND o.outcome_id = ?
		WHERE d.shopper IN (`+sameShopper+`)`, w.Outcome.Event, w.Outcome.ID, w.Shopper, w.Shopper, w.Shopper)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	held := false
	for rows.Next() {
		var serial int64
		if err := rows.Scan(&serial); err != nil {
			return false, err
		}
		held = held || !slices.Contains(w.Mine, uint64(serial))
	}
	return held, rows.Err()
}

func scanOutcome(rows *sql.Rows) (juncture.Outcome, error) {
	var o juncture.Outcome
	var serial, at, received int64
	var adjusts *string
	var credits []byte
	err := rows.Scan(&serial, &o.Event, &o.ID, &adjusts, &o.Value, &o.Minor, &o.Currency, &at, &received, &o.Status, &credits)
	if err == nil {
		o.Credits, err = decodeCredits(credits)
	}
	o.Serial, o.At, o.Received = uint64(serial), fromMS(at), fromMS(received)
	if adjusts != nil {
		o.Adjust, o.Adjusts = true, *adjusts
	}
	return o, err
}

func scanOutcomes(rows *sql.Rows, err error) ([]juncture.Outcome, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []juncture.Outcome
	for rows.Next() {
		o, err := scanOutcome(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	return out, rows.Err()
}

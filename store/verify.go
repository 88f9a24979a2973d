package store

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/jmoiron/sqlx"

	"github.com/juncture/juncture"
)

// Difference is a tally that the ledger and the stored fold disagree on.
type Difference struct {
	ID             juncture.CellID
	Row            juncture.CellRow // its Tally is zero
	Ledger, Stored juncture.Tally
}

func (d Difference) String() string {
	kind := "intersection"
	if d.ID.Delays {
		kind = "delays"
	}
	return fmt.Sprintf("%s %s of %q, arm %d, group %q, event %q: ledger %+v, stored %+v",
		kind, d.ID.Intersection.Key(), d.ID.Experiment, d.Row.Arm, d.Row.Group, d.Row.Event, d.Ledger, d.Stored)
}

// Verification is what Verify found.
type Verification struct {
	Decisions, Outcomes int64
	Cells               int
	Digest              string // SHA-256 of every tally recomputed from the ledger, in order
	Differences         []Difference
	Units               int64    // enrolled shoppers
	Rollups             []string // rows of the rollup of closed units that are not the sum of theirs, at most mostDifferences
}

// fold is tallies by cell.
type fold map[juncture.CellID]*juncture.Cell

func (f fold) cell(id juncture.CellID) *juncture.Cell {
	c := f[id]
	if c == nil {
		c = &juncture.Cell{Experiment: id.Experiment, Intersection: id.Intersection, Delays: id.Delays}
		f[id] = c
	}
	return c
}

// Verify recomputes every tally from the decisions, activations and outcomes, and compares it with the checkpoint and
// the deltas after it. Everything is read in one snapshot, also beside a running server. Its memory grows with the
// intersections, not with the decisions.
func (db *DB) Verify(ctx context.Context) (Verification, error) {
	var v Verification
	tx, err := db.read.BeginTxx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return v, err
	}
	defer tx.Rollback() //nolint:errcheck // a read
	stored, err := storedFold(ctx, tx)
	if err != nil {
		return v, err
	}
	ledger := fold{}
	err = eachSettled(ctx, tx, "", nil, func(s settled) error {
		v.Decisions++
		v.Outcomes += int64(len(s.Outcomes))
		for _, d := range s.deltas() {
			c := ledger.cell(d.Cell())
			c.Fold(0, c.Mark(0)+1, d)
		}
		return nil
	})
	if err != nil {
		return v, err
	}
	if err := verifyUnits(ctx, tx, ledger, &v); err != nil {
		return v, err
	}
	v.Cells = len(ledger)
	v.Digest = ledger.digest()
	v.Differences = compare(ledger, stored)
	return v, nil
}

// verifyUnits adds the counts of enrolments to the ledger's fold, recomputes what each closed unit is known to have done,
// and compares the rollup with the sums of the units.
func verifyUnits(ctx context.Context, tx *sqlx.Tx, ledger fold, v *Verification) error {
	rows, err := tx.QueryContext(ctx, `SELECT `+enrolmentColumns+`, state, unit FROM enrolments ORDER BY serial`)
	if err != nil {
		return err
	}
	defer rows.Close()
	outcomes, err := tx.PreparexContext(ctx, unitOutcomesOf)
	if err != nil {
		return err
	}
	defer outcomes.Close()
	sums := map[rollupName]juncture.UnitSums{}
	differs := func(format string, args ...any) {
		if len(v.Rollups) < mostDifferences {
			v.Rollups = append(v.Rollups, fmt.Sprintf(format, args...))
		}
	}
	for rows.Next() {
		u, err := scanUnit(rows)
		if err != nil {
			return err
		}
		v.Units++
		deltas := []juncture.Delta{u.Enrolled(1)}
		switch u.state {
		case unitMerged, unitCross:
			deltas = append(deltas, u.Merged(u.state == unitCross)...)
		case unitExcluded:
			deltas = append(deltas, u.Excluded()...)
		}
		for _, d := range deltas {
			c := ledger.cell(d.Cell())
			c.Fold(0, c.Mark(0)+1, d)
		}
		if u.state != unitClosed && u.state != unitStale {
			continue
		}
		for _, name := range rollupsOf(u.Enrolment) {
			sums[name] = sums[name].Plus(u.closed.sums(u.Before))
		}
		if u.state == unitStale {
			continue
		}
		_, now, err := unitEvents(outcomes, u.Enrolment)
		if err != nil {
			return err
		}
		if !slices.Equal(now, u.closed.Now) {
			differs("unit of decision %d in %q: the shopper's outcomes make %v, stored %v", u.Serial, u.Experiment, now, u.closed.Now)
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	stored, err := unitRows(ctx, tx, ``)
	if err != nil {
		return err
	}
	for _, r := range stored {
		name := rollupName{r.Experiment, r.Phase, r.Group, r.RowName()}
		if canonical(sums[name]) != canonical(r.UnitSums) {
			differs("rollup %s of %q, phase %d, group %q: units make %s, stored %s", name.name, r.Experiment, r.Phase, r.Group, canonical(sums[name]), canonical(r.UnitSums))
		}
		delete(sums, name)
	}
	for name, s := range sums {
		if s.Units != 0 {
			differs("rollup %s of %q, phase %d, group %q: units make %s, nothing stored", name.name, name.experiment, name.phase, name.group, canonical(s))
		}
	}
	return nil
}

func canonical(s juncture.UnitSums) string {
	b, _ := json.Marshal(s) // numbers and names always can
	return string(b)
}

func storedFold(ctx context.Context, tx *sqlx.Tx) (fold, error) {
	f := fold{}
	if err := eachCell(ctx, tx, ``, func(c juncture.Cell) error { f[c.ID()] = &c; return nil }); err != nil {
		return nil, err
	}
	err := eachDelta(ctx, tx, func(node uint16, seq int64, deltas []juncture.Delta) error {
		juncture.FoldInto(deltas, func(id juncture.CellID, mine []juncture.Delta) { f.cell(id).Fold(node, seq, mine...) })
		return nil
	})
	return f, err
}

// settled is a decision with all that came for it, and the outcomes as the store declares them.
type settled struct {
	juncture.Settled
	types    map[string]juncture.OutcomeType
	currency string
}

// deltas is what the decision contributes in all: its trial, and one aggregate per event.
func (s settled) deltas() []juncture.Delta {
	base := juncture.Settlement{Claims: s.Claims, Activation: s.Activation, Currency: s.currency}
	if !base.Active() {
		return nil
	}
	if s.Removed {
		return []juncture.Delta{base.Removed()}
	}
	out := []juncture.Delta{base.Trial(1)}
	byEvent := map[string][]juncture.Outcome{}
	for _, r := range s.Outcomes {
		byEvent[r.Event] = append(byEvent[r.Event], r)
	}
	for event, rows := range byEvent {
		base.Type = s.types[event]
		out = append(out, base.Learnt(rows)...)
	}
	return out
}

// outcomes counts the recorded outcomes of every event, less whole refunds.
func (s settled) outcomes() int64 {
	var n int64
	for _, d := range s.deltas() {
		n += d.Outcomes
	}
	return n
}

// eachSettled walks the decisions d that a condition holds for, all with none, and their outcomes together, both by serial.
func eachSettled(ctx context.Context, tx *sqlx.Tx, where string, args []any, f func(settled) error) error {
	catalog, err := readCatalog(ctx, tx)
	if err != nil {
		return err
	}
	types := map[string]juncture.OutcomeType{}
	for _, t := range catalog.Declaration.Outcomes {
		types[t.Name] = t
	}
	theirs := `SELECT ` + outcomeColumns + ` FROM outcomes ORDER BY serial`
	if where != "" {
		theirs = `SELECT ` + prefixed("o", outcomeColumns) + ` FROM decisions d JOIN outcomes o ON o.serial = d.serial WHERE ` + where + ` ORDER BY d.serial`
		where = ` WHERE ` + where
	}
	outcomes, err := tx.QueryContext(ctx, theirs, args...)
	if err != nil {
		return err
	}
	defer outcomes.Close()
	var pending *juncture.Outcome
	next := func() error {
		pending = nil
		if !outcomes.Next() {
			return outcomes.Err()
		}
		o, err := scanOutcome(outcomes)
		pending = &o
		return err
	}
	if err := next(); err != nil {
		return err
	}
	rows, err := tx.QueryContext(ctx, `SELECT `+prefixed("d", decisionColumns)+`, `+activationColumns+`
		FROM decisions d LEFT JOIN activations a ON a.serial = d.serial`+where+` ORDER BY d.serial`, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		d, activation, err := scanActivated(rows)
		if err != nil {
			return err
		}
		s := settled{d.settled(activation), types, catalog.Declaration.Store.Currency}
		for pending != nil && pending.Serial <= d.Serial {
			if pending.Serial < d.Serial {
				return fmt.Errorf("an outcome of decision %d, which is not in the ledger", pending.Serial)
			}
			s.Outcomes = append(s.Outcomes, *pending)
			if err := next(); err != nil {
				return err
			}
		}
		if err := f(s); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if pending != nil {
		return fmt.Errorf("an outcome of decision %d, which is not in the ledger", pending.Serial)
	}
	return nil
}

func prefixed(table, columns string) string {
	names := strings.FieldsFunc(columns, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
	return table + "." + strings.Join(names, ", "+table+".")
}

func (f fold) ids() []juncture.CellID {
	ids := make([]juncture.CellID, 0, len(f))
	for id := range f {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b juncture.CellID) int {
		kind := func(id juncture.CellID) int {
			if id.Delays {
				return 1
			}
			return 0
		}
		return cmp.Or(cmp.Compare(a.Experiment, b.Experiment), cmp.Compare(kind(a), kind(b)), cmp.Compare(a.Intersection.Key(), b.Intersection.Key()))
	})
	return ids
}

func (f fold) digest() string {
	h := sha256.New()
	for _, id := range f.ids() {
		var rows []juncture.CellRow
		for _, r := range f[id].Rows {
			if r.Tally != (juncture.Tally{}) {
				rows = append(rows, r)
			}
		}
		if len(rows) > 0 {
			fmt.Fprintf(h, "%q %q %v\n", id.Experiment, id.Intersection.Key(), id.Delays)
			h.Write(encodeCell(rows, nil))
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// mostDifferences bounds the report.
const mostDifferences = 1000

// flat are a cell's tallies over all time: buckets merge as they age, and what was tallied before there were buckets
// has none.
func flat(f fold, id juncture.CellID) []juncture.CellRow {
	c := f.cell(id).Flat()
	return c.Rows
}

// compare leaves out delays: what was tallied before they were has none.
func compare(ledger, stored fold) []Difference {
	var out []Difference
	all := fold{}
	for id := range ledger {
		all[id] = nil
	}
	for id := range stored {
		all[id] = nil
	}
	for _, id := range all.ids() {
		if id.Delays {
			continue
		}
		type both struct{ ledger, stored juncture.Tally }
		rows := map[juncture.CellRow]both{}
		for _, r := range flat(ledger, id) {
			k := r
			k.Tally = juncture.Tally{}
			rows[k] = both{ledger: r.Tally}
		}
		for _, r := range flat(stored, id) {
			k := r
			k.Tally = juncture.Tally{}
			b := rows[k]
			b.stored = r.Tally
			rows[k] = b
		}
		for k, b := range rows {
			if b.ledger != b.stored && len(out) < mostDifferences {
				out = append(out, Difference{ID: id, Row: k, Ledger: b.ledger, Stored: b.stored})
			}
		}
	}
	return out
}

// ExportLedger writes, from one snapshot, a line "D <decision id> <outcomes>" per decision from the ledger, and a line
// "A <arm> <trials> <outcomes>" per arm from the stored tallies, tab-separated. Outcomes are the recorded ones of every
// event, late ones included, less whole refunds; arm "-" is no arm (holdout). The two outcome columns have the same sum.
func (db *DB) ExportLedger(ctx context.Context, out io.Writer) error {
	secrets, err := db.readSecrets(ctx)
	if err != nil {
		return err
	}
	if len(secrets.Signing) == 0 {
		return nil // nothing was ever decided
	}
	ring, err := juncture.NewKeyring(secrets.Signing)
	if err != nil {
		return err
	}
	tx, err := db.read.BeginTxx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // a read
	w := bufio.NewWriter(out)
	err = eachSettled(ctx, tx, "", nil, func(s settled) error {
		id, ok := ring.SignWith(s.SigningKey, s.Claims)
		if !ok {
			return fmt.Errorf("decision %d was signed with key %d, which is gone", s.Serial, s.SigningKey)
		}
		_, err := fmt.Fprintf(w, "D\t%s\t%d\n", id, s.outcomes())
		return err
	})
	if err != nil {
		return err
	}
	stored, err := storedFold(ctx, tx)
	if err != nil {
		return err
	}
	catalog, err := readCatalog(ctx, tx)
	if err != nil {
		return err
	}
	names := map[juncture.ArmID]juncture.Arm{}
	for arm, id := range catalog.Arms {
		names[id] = arm
	}
	type sums struct{ trials, outcomes int64 }
	arms := map[string]sums{}
	for id, c := range stored {
		if id.Delays {
			continue
		}
		for _, r := range c.Rows {
			name := names[r.Arm].String()
			s := arms[name]
			s.trials += r.Trials
			s.outcomes += r.Outcomes
			arms[name] = s
		}
	}
	for _, name := range slices.Sorted(maps.Keys(arms)) {
		if _, err := fmt.Fprintf(w, "A\t%s\t%d\t%d\n", name, arms[name].trials, arms[name].outcomes); err != nil {
			return err
		}
	}
	return w.Flush()
}

package store

import (
	"context"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/juncture/juncture"
)

// sameIDs returns every id of the shopper behind an id, that id first: aliases in either direction, and profiles that
// became part of theirs.
func sameIDs(ctx context.Context, q sqlx.QueryerContext, id string) ([]string, error) {
	ids, seen := []string{id}, map[string]bool{id: true}
	for i := 0; i < len(ids); i++ {
		var next []string
		if err := sqlx.SelectContext(ctx, q, &next, `SELECT shopper FROM aliases WHERE id = ? UNION SELECT id FROM aliases WHERE shopper = ?
			UNION SELECT from_shopper FROM merges WHERE into_shopper = ?`, ids[i], ids[i], ids[i]); err != nil {
			return nil, err
		}
		for _, n := range next {
			if !seen[n] {
				seen[n] = true
				ids = append(ids, n)
			}
		}
	}
	return ids, nil
}

// erase deletes what is known of the shopper behind an id. What stays, none of it bearing an id of theirs: decisions,
// for another, random shopper, with their activations and outcomes, since tallies are their fold; hashes of messages, so
// that a repeat does not come back; the outcomes' own ids, such as an order's, so that nothing is credited twice. Memos
// that were written with a decision go. One that repeats an earlier answer under a second requestId cannot be found: it
// bears a hash of the request and the decision's id, and expires within 7 days.
func (t *turn) erase(w *juncture.Erasure) error {
	ids, err := sameIDs(context.Background(), t.tx, w.ID)
	if err != nil {
		return err
	}
	w.IDs, w.Events, w.Decisions = ids, 0, 0
	for _, id := range ids {
		if err := t.forgetMemos(id); err != nil {
			return err
		}
		if _, err := t.tx.Exec(`DELETE FROM consents WHERE id = ?`, hidden(id)); err != nil {
			return err
		}
		for _, q := range []struct {
			sql   string
			count *int64
		}{
			{`DELETE FROM events WHERE shopper = ?`, &w.Events},
			{`DELETE FROM merges WHERE into_shopper = ?`, nil},
			{`DELETE FROM aliases WHERE id = ?`, nil},
			{`DELETE FROM profiles WHERE shopper = ?`, nil},
			{`DELETE FROM standings WHERE shopper = ?`, nil},
			{`DELETE FROM movements WHERE shopper = ?`, nil},
		} {
			if err := t.counted(q.count, q.sql, id); err != nil {
				return err
			}
		}
		if err := t.counted(&w.Decisions, `UPDATE decisions SET shopper = ?, session = '', memos = NULL WHERE shopper = ?`, w.Replacement, id); err != nil {
			return err
		}
		t.changes = append(t.changes, juncture.ProfileChange{From: id})
	}
	return t.forgetExamples(ids)
}

// counted runs a statement and adds how many rows it touched.
func (t *turn) counted(count *int64, query string, args ...any) error {
	res, err := t.tx.Exec(query, args...)
	if err != nil || count == nil {
		return err
	}
	n, err := res.RowsAffected()
	*count += n
	return err
}

// forgetMemos deletes the memos that were written with the decisions of an id.
func (t *turn) forgetMemos(id string) error {
	var all [][]byte
	if err := t.tx.Select(&all, `SELECT memos FROM decisions WHERE shopper = ? AND memos IS NOT NULL`, id); err != nil {
		return err
	}
	for _, memos := range all {
		for memo := range slices.Chunk(memos, 16) {
			if _, err := t.tx.Stmtx(t.w.stmts.memoForget).Exec(memo); err != nil {
				return err
			}
		}
	}
	return nil
}

// forgetExamples empties what is kept of refused messages where it holds one of the ids. There are few.
func (t *turn) forgetExamples(ids []string) error {
	var kept []struct{ Reason, Message, Example string }
	if err := t.tx.Select(&kept, `SELECT reason, message, example FROM quarantine`); err != nil {
		return err
	}
	for _, q := range kept {
		if !slices.ContainsFunc(ids, func(id string) bool { return strings.Contains(q.Example, id) || strings.Contains(q.Message, id) }) {
			continue
		}
		if _, err := t.tx.Exec(`UPDATE quarantine SET message = '', example = '' WHERE reason = ?`, q.Reason); err != nil {
			return err
		}
	}
	return nil
}

package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/jmoiron/sqlx"

	"github.com/juncture/juncture"
)

// same is a shopper's ids and what their rows bear.
type same struct {
	ids  []string // the one that was asked for first
	rows []string // first-seen ids, of profiles that became part of theirs too, and ids that were alone once
}

// all are both, each once.
func (s same) all() []string {
	all := slices.Clone(s.ids)
	for _, r := range s.rows {
		if !slices.Contains(all, r) {
			all = append(all, r)
		}
	}
	return all
}

// sameIDs finds the shopper behind an id.
func sameIDs(ctx context.Context, q sqlx.QueryerContext, id string) (same, error) {
	s := same{ids: []string{id}}
	var shopper string
	switch err := q.QueryRowxContext(ctx, `SELECT shopper FROM aliases WHERE id = ?`, id).Scan(&shopper); {
	case errors.Is(err, sql.ErrNoRows):
		shopper = id
	case err != nil:
		return s, err
	}
	if err := sqlx.SelectContext(ctx, q, &s.rows, sameShopper, shopper, shopper, shopper); err != nil {
		return s, err
	}
	var aliases []string
	if err := sqlx.SelectContext(ctx, q, &aliases, `SELECT id FROM aliases WHERE shopper = ? AND id <> ?`, shopper, id); err != nil {
		return s, err
	}
	s.ids = append(s.ids, aliases...)
	return s, nil
}

// erase deletes what is known of the shopper behind an id. What stays, none of it bearing an id of theirs: decisions,
// for another, random shopper, with their activations and outcomes, since tallies are their fold; hashes of messages, so
// that a repeat does not come back; the outcomes' own ids, such as an order's, so that nothing is credited twice; under a
// keyed hash of each id that they denied consent, since erasing is not allowing. Memos that were written with a decision
// go. One that repeats an earlier answer under a second requestId cannot be found: it bears a hash of the request and
// the decision's id, and expires within 7 days. A device that was another's before is theirs again.
func (t *turn) erase(w *juncture.Erasure) error {
	of, err := sameIDs(context.Background(), t.tx, w.ID)
	if err != nil {
		return err
	}
	k, err := t.w.whose(t.tx, w.ID)
	if err != nil {
		return err
	}
	w.IDs, w.Events, w.Decisions = of.all(), 0, 0
	shopper := k.shopper
	if shopper == "" {
		shopper = w.ID
	}
	for _, q := range []string{`DELETE FROM aliases WHERE shopper = ? AND past = ''`,
		`UPDATE aliases SET shopper = past, past = '' WHERE shopper = ?`, `UPDATE aliases SET past = '' WHERE past = ?`} {
		if _, err := t.tx.Exec(q, shopper); err != nil {
			return err
		}
	}
	for _, id := range w.IDs {
		if !slices.Contains(of.rows, id) { // a device: what it did before is another's
			continue
		}
		if err := t.forgetMemos(id); err != nil {
			return err
		}
		for _, q := range []struct {
			sql   string
			count *int64
		}{
			{`DELETE FROM events WHERE shopper = ?`, &w.Events},
			{`DELETE FROM merges WHERE into_shopper = ?`, nil},
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
		if err := t.renameUnits(id, w.Replacement); err != nil {
			return err
		}
		t.changes = append(t.changes, juncture.ProfileChange{From: id})
	}
	if _, err := t.tx.Exec(`DELETE FROM consents WHERE id = ?`, hidden(t.w.salt, shopper)); err != nil {
		return err
	}
	if no := k.consent.denials(); no != (consent{}) {
		for _, id := range of.ids {
			if _, err := t.say(id, no); err != nil {
				return err
			}
		}
	}
	t.erased = true
	return t.forgetExamples(w.IDs)
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
		if !slices.ContainsFunc(ids, func(id string) bool { return mentions(q.Example, id) || mentions(q.Message, id) }) {
			continue
		}
		if _, err := t.tx.Exec(`UPDATE quarantine SET message = '', example = '' WHERE reason = ?`, q.Reason); err != nil {
			return err
		}
	}
	return nil
}

// mentions reports whether a text holds an id, as it is or as JSON escapes it, or ends within it.
func mentions(text, id string) bool {
	for _, s := range []string{text, unescaped(text)} {
		if strings.Contains(s, id) {
			return true
		}
		for n := min(len(id), len(s)); n >= cutID; n-- {
			if strings.HasSuffix(s, id[:n]) {
				return true
			}
		}
	}
	return false
}

// cutID is how many bytes of an id at the end of an example that was cut may be the id.
const cutID = 4

// unescaped undoes JSON's escapes wherever they stand: an example may be half a message, and no JSON.
func unescaped(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b = append(b, s[i])
			continue
		}
		i++
		if at := strings.IndexByte("bfnrt", s[i]); at >= 0 {
			b = append(b, "\b\f\n\r\t"[at])
			continue
		}
		r, ok := unit(s, i)
		if !ok {
			b = append(b, s[i])
			continue
		}
		i += 4
		if low, ok := unit(s, i+2); ok && utf16.IsSurrogate(r) && s[i+1] == '\\' {
			if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
				r, i = pair, i+6
			}
		}
		b = utf8.AppendRune(b, r)
	}
	return string(b)
}

// unit reads the uXXXX at i.
func unit(s string, i int) (rune, bool) {
	if i+5 > len(s) || s[i] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(s[i+1:i+5], 16, 16)
	return rune(n), err == nil
}

package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"

	"github.com/jmoiron/sqlx"

	"github.com/juncture/juncture"
)

// consent is what was said of each use. They are kept apart: under one time for both, an answer to one would make the
// other look as recent, and the order in which they are merged would matter.
type consent struct{ personalization, analytics juncture.ConsentRecord }

func consentOf(r juncture.ConsentRecord) (c consent) {
	at := fromMS(ms(r.At))
	if answered(r.Personalization) {
		c.personalization = juncture.ConsentRecord{Personalization: r.Personalization, At: at}
	}
	if answered(r.Analytics) {
		c.analytics = juncture.ConsentRecord{Analytics: r.Analytics, At: at}
	}
	return c
}

func answered(s string) bool { return s == juncture.ConsentGranted || s == juncture.ConsentDenied }

func (c consent) over(o consent) consent {
	return consent{c.personalization.Over(o.personalization), c.analytics.Over(o.analytics)}
}

// record is both together, with the later time.
func (c consent) record() juncture.ConsentRecord {
	r := juncture.ConsentRecord{Personalization: c.personalization.Personalization, Analytics: c.analytics.Analytics, At: c.personalization.At}
	if c.analytics.At.After(r.At) {
		r.At = c.analytics.At
	}
	return r
}

// somebody is whose an id is, with what they said.
type somebody struct {
	shopper string // empty: the id has no alias
	first   int64
	consent consent
}

// The reads of whose: the shopper behind an id, and what somebody said, by hidden.
const (
	aliasOf   = `SELECT shopper, first_seen FROM aliases WHERE id = ?`
	consentBy = `SELECT personalization, personalization_at, analytics, analytics_at FROM consents WHERE id = ?`
)

// hidden is what consent is kept under: somebody who says no is not to be found in the database by the id.
func hidden(id string) []byte {
	sum := sha256.Sum256([]byte("consent:" + id))
	return sum[:16]
}

// whose finds the shopper behind an id and their consent, which is the id's own where it has no alias.
func whose(ctx context.Context, alias, said *sql.Stmt, id string) (somebody, error) {
	var k somebody
	err := alias.QueryRowContext(ctx, id).Scan(&k.shopper, &k.first)
	if err != nil && !errors.Is(err, sql.ErrNoRows) || said == nil {
		return k, ignoreNone(err)
	}
	if k.shopper != "" {
		id = k.shopper
	}
	var p, a int64
	err = said.QueryRowContext(ctx, hidden(id)).Scan(&k.consent.personalization.Personalization, &p, &k.consent.analytics.Analytics, &a)
	k.consent.personalization.At, k.consent.analytics.At = fromMS(p), fromMS(a)
	return k, ignoreNone(err)
}

func ignoreNone(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return err
}

// Identity returns whose an id is, and what they said of the use of their data.
func (db *DB) Identity(ctx context.Context, id string) (juncture.Identity, error) {
	k, err := whose(ctx, db.alias, db.said, id)
	return juncture.Identity{Shopper: k.shopper, Consent: k.consent.record()}, err
}

// whose reads consent only where anybody ever said anything.
func (w *Writer) whose(tx *sqlx.Tx, id string) (somebody, error) {
	var said *sql.Stmt
	if w.anySaid {
		said = tx.Stmtx(w.stmts.said).Stmt
	}
	return whose(context.Background(), tx.Stmtx(w.stmts.alias).Stmt, said, id)
}

// alias keeps the first alias of an id. Where its shopper has become part of another's since, it is that one's; what
// was said under the id is theirs too.
func (t *turn) alias(a juncture.Alias) error {
	k, err := t.w.whose(t.tx, a.ID)
	if err != nil || k.shopper != "" {
		return err
	}
	into, err := t.w.whose(t.tx, a.Shopper)
	if err != nil {
		return err
	}
	if into.shopper == "" {
		into.shopper = a.Shopper
	}
	if _, err := t.tx.Stmtx(t.w.stmts.aliasSeen).Exec(a.ID, into.shopper, into.first); err != nil {
		return err
	}
	return t.absorb(k.consent, a.ID, into.shopper)
}

// consent writes what was said with the identity behind an id.
func (t *turn) consent(w *juncture.ConsentWrite) error {
	k, err := t.w.whose(t.tx, w.ID)
	if err != nil {
		return err
	}
	c := consentOf(w.Consent).over(k.consent)
	if c == k.consent {
		return nil
	}
	w.Changed = c.record().Personalization != k.consent.record().Personalization || c.record().Analytics != k.consent.record().Analytics
	if k.shopper == "" {
		k.shopper = w.ID
	}
	return t.putConsent(k.shopper, c)
}

// absorb makes what was said under one id part of what another's shopper said.
func (t *turn) absorb(c consent, from, into string) error {
	if from == into || c == (consent{}) {
		return nil
	}
	k, err := t.w.whose(t.tx, into)
	if err != nil {
		return err
	}
	if _, err := t.tx.Exec(`DELETE FROM consents WHERE id = ?`, hidden(from)); err != nil {
		return err
	}
	return t.putConsent(into, c.over(k.consent))
}

func (t *turn) putConsent(id string, c consent) error {
	t.w.anySaid = true
	_, err := t.tx.Exec(`INSERT INTO consents (id, personalization, personalization_at, analytics, analytics_at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET personalization = excluded.personalization, personalization_at = excluded.personalization_at,
		analytics = excluded.analytics, analytics_at = excluded.analytics_at`,
		hidden(id), c.personalization.Personalization, ms(c.personalization.At), c.analytics.Analytics, ms(c.analytics.At))
	return err
}

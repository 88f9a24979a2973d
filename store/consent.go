package store

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"errors"
	"time"

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
	past    string // whose the rows are that bear the id, empty: the shopper's
	known   bool   // the id names a person
	person  bool   // some id of the shopper does
	consent consent
}

// rows is the shopper whose the rows are that bear the id.
func (k somebody) rows(id string) string {
	switch {
	case k.past != "":
		return k.past
	case k.shopper != "":
		return k.shopper
	}
	return id
}

// The reads of whose: the shopper behind an id, and what somebody said, by hidden.
const (
	aliasOf = `SELECT shopper, first_seen, past, known,
		known OR EXISTS (SELECT 1 FROM aliases o WHERE o.shopper = aliases.shopper AND o.known) FROM aliases WHERE id = ?`
	consentBy = `SELECT personalization, personalization_at, analytics, analytics_at FROM consents WHERE id = ?`
)

// hidden is what consent is kept under: somebody who says no is not to be found in the database by the id, not even by
// who guesses it.
func hidden(salt []byte, id string) []byte {
	m := hmac.New(sha256.New, salt)
	m.Write([]byte("consent:" + id))
	return m.Sum(nil)[:16]
}

// whose finds the shopper behind an id and their consent, which is the id's own where it has no alias.
func whose(ctx context.Context, alias, said *sql.Stmt, salt []byte, id string) (somebody, error) {
	var k somebody
	err := alias.QueryRowContext(ctx, id).Scan(&k.shopper, &k.first, &k.past, &k.known, &k.person)
	if err != nil && !errors.Is(err, sql.ErrNoRows) || said == nil {
		return k, ignoreNone(err)
	}
	if k.shopper != "" {
		id = k.shopper
	}
	k.consent, err = saidBy(ctx, said, salt, id)
	return k, err
}

// saidBy is what was said under a shopper's first-seen id, or one that has no alias.
func saidBy(ctx context.Context, said *sql.Stmt, salt []byte, id string) (c consent, err error) {
	var p, a int64
	err = said.QueryRowContext(ctx, hidden(salt, id)).Scan(&c.personalization.Personalization, &p, &c.analytics.Analytics, &a)
	c.personalization.At, c.analytics.At = fromMS(p), fromMS(a)
	return c, ignoreNone(err)
}

func ignoreNone(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return err
}

// Identity returns whose an id is, and what they said of the use of their data.
func (db *DB) Identity(ctx context.Context, id string) (juncture.Identity, error) {
	salt, err := db.consentSalt(ctx)
	if err != nil {
		return juncture.Identity{}, err
	}
	k, err := whose(ctx, db.alias, db.said, salt, id)
	if err != nil {
		return juncture.Identity{}, err
	}
	who := juncture.Identity{Shopper: k.shopper, Consent: k.consent.record(), Known: k.known, Person: k.person}
	if k.shopper != "" {
		id = k.shopper
	}
	who.Excluded, err = excluded(ctx, db.excluded, id)
	return who, err
}

// consentSalt is the key of hidden: the salt of the groups, nil in a database that has no secrets yet.
func (db *DB) consentSalt(ctx context.Context) ([]byte, error) {
	if s := db.salt.Load(); s != nil {
		return *s, nil
	}
	var salt []byte
	err := db.read.GetContext(ctx, &salt, `SELECT value FROM secrets WHERE name = ?`, groupSalt)
	if err != nil || len(salt) == 0 {
		return nil, ignoreNone(err)
	}
	db.salt.Store(&salt)
	return salt, nil
}

// ownSalt is consentSalt for a writer, which makes it where the database has no secrets at all.
func (db *DB) ownSalt(ctx context.Context) ([]byte, error) {
	salt, err := db.consentSalt(ctx)
	if salt != nil || err != nil {
		return salt, err
	}
	if err := db.inTx(ctx, func(tx *sqlx.Tx) error {
		var n int
		if err := tx.GetContext(ctx, &n, `SELECT count(*) FROM secrets`); err != nil || n > 0 {
			return err
		}
		return insertSecret(ctx, tx, groupSalt, rand.Reader, time.Now())
	}); err != nil {
		return nil, err
	}
	if salt, err = db.consentSalt(ctx); salt == nil && err == nil {
		err = juncture.Errorf(juncture.CodeInternal, "a salt of the store is missing: who denied consent would not be known").
			WithHint("restore the database from a backup")
	}
	return salt, err
}

// saidStmt reads consent only where anybody ever said anything.
func (w *Writer) saidStmt(tx *sqlx.Tx) *sql.Stmt {
	if !w.anySaid {
		return nil
	}
	return tx.Stmtx(w.stmts.said).Stmt
}

func (w *Writer) whose(tx *sqlx.Tx, id string) (somebody, error) {
	return whose(context.Background(), tx.Stmtx(w.stmts.alias).Stmt, w.saidStmt(tx), w.salt, id)
}

// saidBy is what was said under a shopper's first-seen id, wherever the device of that id has passed to.
func (w *Writer) saidBy(tx *sqlx.Tx, shopper string) (consent, error) {
	said := w.saidStmt(tx)
	if said == nil {
		return consent{}, nil
	}
	return saidBy(context.Background(), said, w.salt, shopper)
}

// alias keeps the first alias of an id. Where its shopper has become part of another's since, it is that one's; what
// was said under the id is theirs too. A person does not become another.
func (t *turn) alias(a juncture.Alias) error {
	k, err := t.w.whose(t.tx, a.ID)
	if err != nil {
		return err
	}
	if k.shopper != "" {
		return t.isKnown(a.ID, k, a.Known)
	}
	into, err := t.w.whose(t.tx, a.Shopper)
	if err != nil {
		return err
	}
	shopper, first := into.rows(a.Shopper), into.first
	if a.Known && a.ID != shopper {
		if other, err := t.person(shopper); err != nil {
			return err
		} else if other {
			shopper, first = a.ID, ms(t.w.o.Now())
		}
	}
	if err := t.bind(a.ID, shopper, first, a.Known); err != nil {
		return err
	}
	return t.absorb(k.consent, a.ID, shopper)
}

// bind makes an id that nobody has a shopper's.
func (t *turn) bind(id, shopper string, first int64, known bool) error {
	_, err := t.tx.Stmtx(t.w.stmts.aliasSeen).Exec(id, shopper, first, known)
	return err
}

// isKnown notes that an id names a person.
func (t *turn) isKnown(id string, k somebody, known bool) error {
	if !known || k.known {
		return nil
	}
	_, err := t.tx.Exec(`UPDATE aliases SET known = 1 WHERE id = ?`, id)
	return err
}

// person reports whether a shopper has an id that names a person.
func (t *turn) person(shopper string) (yes bool, err error) {
	err = t.tx.Get(&yes, `SELECT EXISTS (SELECT 1 FROM aliases WHERE shopper = ? AND known)`, shopper)
	return yes, err
}

// consent writes what was said with the identity behind an id.
func (t *turn) consent(w *juncture.ConsentWrite) (err error) {
	w.Changed, err = t.say(w.ID, consentOf(w.Consent))
	return err
}

// say writes what was said under an id with its shopper, and reports whether another answer stands for it.
func (t *turn) say(id string, said consent) (changed bool, err error) {
	k, err := t.w.whose(t.tx, id)
	if err != nil {
		return false, err
	}
	c := said.over(k.consent)
	if c == k.consent {
		return false, nil
	}
	changed = c.record().Personalization != k.consent.record().Personalization || c.record().Analytics != k.consent.record().Analytics
	if k.shopper == "" {
		k.shopper = id
	}
	return changed, t.putConsent(k.shopper, c)
}

// denials are the answers of no among what was said, each with its time.
func (c consent) denials() (d consent) {
	if c.personalization.Denied() {
		d.personalization = c.personalization
	}
	if c.analytics.Denied() {
		d.analytics = c.analytics
	}
	return d
}

// absorb makes what was said under one id part of what another's shopper said.
func (t *turn) absorb(c consent, from, into string) error {
	if from == into || c == (consent{}) {
		return nil
	}
	stands, err := t.w.saidBy(t.tx, into)
	if err != nil {
		return err
	}
	if _, err := t.tx.Exec(`DELETE FROM consents WHERE id = ?`, hidden(t.w.salt, from)); err != nil {
		return err
	}
	return t.putConsent(into, c.over(stands))
}

func (t *turn) putConsent(id string, c consent) error {
	t.w.anySaid = true
	_, err := t.tx.Exec(`INSERT INTO consents (id, personalization, personalization_at, analytics, analytics_at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET personalization = excluded.personalization, personalization_at = excluded.personalization_at,
		analytics = excluded.analytics, analytics_at = excluded.analytics_at`,
		hidden(t.w.salt, id), c.personalization.Personalization, ms(c.personalization.At), c.analytics.Analytics, ms(c.analytics.At))
	return err
}

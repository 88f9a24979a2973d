package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/audit"
)

// ConfigVersion returns the number that every change of catalog or keys raises.
func (db *DB) ConfigVersion(ctx context.Context) (int64, error) {
	var n int64
	err := db.version.QueryRowContext(ctx).Scan(&n) // prepared: every call asks
	return n, err
}

// Catalog reads everything that the store has declared, at one version.
func (db *DB) Catalog(ctx context.Context) (*juncture.Catalog, error) {
	tx, err := db.read.BeginTxx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer tx.Rollback() //nolint:errcheck // a read
	return readCatalog(ctx, tx)
}

func readCatalog(ctx context.Context, tx *sqlx.Tx) (*juncture.Catalog, error) {
	c := &juncture.Catalog{Arms: map[juncture.Arm]juncture.ArmID{}}
	var body string
	if err := tx.QueryRowxContext(ctx, `SELECT version, body FROM config WHERE id = 1`).Scan(&c.Number, &body); err != nil {
		return nil, err
	}
	if body != "" {
		if err := json.Unmarshal([]byte(body), &c.Declaration); err != nil {
			return nil, fmt.Errorf("stored configuration: %w", err)
		}
	}
	var err error
	if c.Versions, err = readVersions(ctx, tx); err != nil {
		return nil, err
	}
	rows, err := tx.QueryContext(ctx, `SELECT id, action, action_version, copy, copy_version FROM arms`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id juncture.ArmID
		var a juncture.Arm
		if err := rows.Scan(&id, &a.Action, &a.ActionVersion, &a.Copy, &a.CopyVersion); err != nil {
			return nil, err
		}
		c.Arms[a] = id
	}
	return c, rows.Err()
}

func readVersions(ctx context.Context, tx *sqlx.Tx) ([]juncture.Version, error) {
	rows, err := tx.QueryContext(ctx, `SELECT action, copy, priority, version, hash, body, status, author, created_at, reviewer,
		reviewed_at, bypass, comment FROM versions ORDER BY action, copy, priority, version`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []juncture.Version
	for rows.Next() {
		var v juncture.Version
		var created, reviewed int64
		var body string
		if err := rows.Scan(&v.Action, &v.Copy, &v.Priority, &v.Number, &v.Hash, &body, &v.Status, &v.Author, &created, &v.Reviewer,
			&reviewed, &v.Bypass, &v.Comment); err != nil {
			return nil, err
		}
		v.Body, v.CreatedAt, v.Reviewed = []byte(body), fromMS(created), fromMS(reviewed)
		if v.Hash == "" { // 00013_priorities.sqlite.sql cannot count it
			var p juncture.Priority
			if err := json.Unmarshal(v.Body, &p); err != nil {
				return nil, fmt.Errorf("priority %s: %w", v.Priority, err)
			}
			v.Hash = p.Hash()
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// Change applies a change planned on a catalog, all of it or nothing, with its audit entries. The error is
// CodeDecisionConflict when the catalog has changed since: plan again.
func (db *DB) Change(ctx context.Context, c juncture.Change) error {
	return db.inTx(ctx, func(tx *sqlx.Tx) error {
		if err := bump(ctx, tx, c.Base); err != nil {
			return err
		}
		if c.Declaration != nil {
			d := *c.Declaration
			d.Actions, d.Priorities = nil, nil // they live in versions, and the terms of actions in the declaration
			body, err := json.Marshal(d)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, `UPDATE config SET body = ? WHERE id = 1`, string(body)); err != nil {
				return err
			}
		}
		for _, v := range c.Add {
			if _, err := tx.ExecContext(ctx, `INSERT INTO versions (action, copy, priority, version, hash, body, status, author, created_at)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`, v.Action, v.Copy, v.Priority, v.Number, v.Hash, string(v.Body), v.Status, v.Author, ms(v.CreatedAt)); err != nil {
				return err
			}
		}
		for _, v := range c.Review {
			res, err := tx.ExecContext(ctx, `UPDATE versions SET status = ?, reviewer = ?, reviewed_at = ?, bypass = ?, comment = ?
				WHERE action = ? AND copy = ? AND priority = ? AND version = ? AND hash = ?`,
				v.Status, v.Reviewer, ms(v.Reviewed), v.Bypass, v.Comment, v.Action, v.Copy, v.Priority, v.Number, v.Hash)
			if err != nil {
				return err
			}
			if n, err := res.RowsAffected(); err != nil || n != 1 {
				return errors.Join(err, juncture.Errorf(juncture.CodeDecisionConflict, "%s is not what was reviewed", v.Ref().Subject()))
			}
		}
		if err := addArms(ctx, tx); err != nil {
			return err
		}
		return appendAudit(ctx, tx, c.Audit)
	})
}

// bump raises the configuration's version; base -1 takes whatever it is.
func bump(ctx context.Context, tx *sqlx.Tx, base int64) error {
	res, err := tx.ExecContext(ctx, `UPDATE config SET version = version + 1 WHERE id = 1 AND (version = ? OR ? = -1)`, base, base)
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	if err == nil && n != 1 {
		err = juncture.Errorf(juncture.CodeDecisionConflict, "the configuration changed meanwhile").WithHint("apply again")
	}
	return err
}

// addArms numbers every pair of an action version and a version of its copy that has no number yet. Only approved
// versions make arms.
func addArms(ctx context.Context, tx *sqlx.Tx) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO arms (action, action_version, copy, copy_version)
		SELECT a.action, a.version, c.copy, c.version FROM versions a JOIN versions c ON c.action = a.action
		WHERE a.copy = '' AND c.copy <> '' AND a.status = 'approved' AND c.status = 'approved'
		  AND NOT EXISTS (SELECT 1 FROM arms x WHERE x.action = a.action AND x.action_version = a.version
		                  AND x.copy = c.copy AND x.copy_version = c.version)
		ORDER BY a.action, a.version, c.copy, c.version`)
	return err
}

func appendAudit(ctx context.Context, tx *sqlx.Tx, notes []juncture.AuditNote) error {
	if len(notes) == 0 {
		return nil
	}
	var last audit.Entry
	err := tx.QueryRowContext(ctx, `SELECT seq, hash FROM audit_head WHERE id = 1`).Scan(&last.Seq, &last.Hash)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	for _, n := range notes {
		e := audit.Chain(last, audit.Entry{At: n.At, Actor: n.Actor, Action: n.Action, Subject: n.Subject, From: n.From,
			Before: n.Before, After: n.After})
		if _, err := tx.ExecContext(ctx, `INSERT INTO audit (seq, at, actor, action, subject, origin, before, after, prev, hash)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, e.Seq, ms(e.At), e.Actor, e.Action, e.Subject, e.From, string(e.Before),
			string(e.After), e.Prev, e.Hash); err != nil {
			return err
		}
		last = e
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO audit_head (id, seq, hash) VALUES (1, ?, ?) ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, hash = excluded.hash`, last.Seq, last.Hash)
	return err
}

// Note appends to the audit log.
func (db *DB) Note(ctx context.Context, notes ...juncture.AuditNote) error {
	return db.inTx(ctx, func(tx *sqlx.Tx) error { return appendAudit(ctx, tx, notes) })
}

// Secrets are the store's salts and signing keys.
type Secrets struct {
	PickSalt  []byte // of the draw
	GroupSalt []byte // of the groups
	Signing   []juncture.SigningKey
}

const (
	signingPrefix = "signing-"
	groupSalt     = "group-salt"
)

// Secrets reads the store's secrets, making them from random where they are missing.
func (db *DB) Secrets(ctx context.Context, random io.Reader, now time.Time) (Secrets, error) {
	s, err := db.readSecrets(ctx)
	if err == nil && len(s.Signing) > 0 && (len(s.PickSalt) == 0 || len(s.GroupSalt) == 0) {
		err = juncture.Errorf(juncture.CodeInternal, "a salt of the store is missing: shoppers would change their groups").
			WithHint("restore the database from a backup")
	}
	if err != nil || len(s.Signing) > 0 {
		return s, err
	}
	err = db.inTx(ctx, func(tx *sqlx.Tx) error {
		for _, name := range []string{"pick-salt", groupSalt, signingPrefix + "1"} {
			if err := insertSecret(ctx, tx, name, random, now); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return s, err
	}
	return db.readSecrets(ctx)
}

func insertSecret(ctx context.Context, tx *sqlx.Tx, name string, random io.Reader, now time.Time) error {
	secret := make([]byte, 32)
	if _, err := io.ReadFull(random, secret); err != nil {
		return fmt.Errorf("make secret: %w", err)
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO secrets (name, value, created_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, name, secret, ms(now))
	return err
}

func (db *DB) readSecrets(ctx context.Context) (Secrets, error) {
	var s Secrets
	rows, err := db.read.QueryContext(ctx, `SELECT name, value, retired_at FROM secrets ORDER BY name`)
	if err != nil {
		return s, err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var value []byte
		var retired int64
		if err := rows.Scan(&name, &value, &retired); err != nil {
			return s, err
		}
		if len(value) < 32 {
			return s, juncture.Errorf(juncture.CodeInternal, "secret %q is empty or cut short", name).WithHint("restore the database from a backup")
		}
		switch {
		case name == "pick-salt":
			s.PickSalt = value
		case name == groupSalt:
			s.GroupSalt = value
		case strings.HasPrefix(name, signingPrefix):
			var id uint8
			if _, err := fmt.Sscanf(name, signingPrefix+"%d", &id); err != nil {
				return s, fmt.Errorf("secret %q: %w", name, err)
			}
			s.Signing = append(s.Signing, juncture.SigningKey{ID: id, Secret: value, Retired: fromMS(retired)})
		}
	}
	return s, rows.Err()
}

// RotateSigningKey adds a signing key that signs from the next configuration check on, and retires the others: they
// go on opening what they signed. It returns the new key's id.
func (db *DB) RotateSigningKey(ctx context.Context, random io.Reader, now time.Time, note juncture.AuditNote) (uint8, error) {
	var next uint8
	err := db.inTx(ctx, func(tx *sqlx.Tx) error {
		var names []string
		if err := tx.SelectContext(ctx, &names, `SELECT name FROM secrets WHERE name LIKE 'signing-%'`); err != nil {
			return err
		}
		var ids []int
		for _, n := range names {
			var id int
			if _, err := fmt.Sscanf(n, signingPrefix+"%d", &id); err != nil {
				return err
			}
			ids = append(ids, id)
		}
		if len(ids) == 0 || slices.Max(ids) >= 255 {
			return juncture.Errorf(juncture.CodeUnprocessable, "no number left for a signing key")
		}
		next = uint8(slices.Max(ids) + 1)
		if _, err := tx.ExecContext(ctx, `UPDATE secrets SET retired_at = ? WHERE name LIKE 'signing-%' AND retired_at = 0`, ms(now)); err != nil {
			return err
		}
		if err := insertSecret(ctx, tx, fmt.Sprintf("%s%d", signingPrefix, next), random, now); err != nil {
			return err
		}
		note.After = []byte(fmt.Sprintf(`{"signingKey":%d}`, next))
		if err := appendAudit(ctx, tx, []juncture.AuditNote{note}); err != nil {
			return err
		}
		return bump(ctx, tx, -1)
	})
	return next, err
}

// Fact reads a named fact about the store, "" for none.
func (db *DB) Fact(ctx context.Context, name string) (string, error) {
	var v string
	err := db.read.GetContext(ctx, &v, `SELECT value FROM facts WHERE name = ?`, name)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return v, err
}

// SetFact writes a named fact.
func (db *DB) SetFact(ctx context.Context, name, value string) error {
	return db.inTx(ctx, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO facts (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, value)
		return err
	})
}

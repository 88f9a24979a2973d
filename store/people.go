package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/access"
)

const keyColumns = `id, name, scopes, publishable, origins, hash, created_at, revoked_at`

type keyRow struct {
	ID, Name, Scopes, Origins string
	Publishable               bool
	Hash                      []byte
	CreatedAt                 int64 `db:"created_at"`
	RevokedAt                 int64 `db:"revoked_at"`
}

func (r keyRow) key() access.Key {
	k := access.Key{ID: r.ID, Name: r.Name, Publishable: r.Publishable, Hash: r.Hash, CreatedAt: fromMS(r.CreatedAt), RevokedAt: fromMS(r.RevokedAt)}
	for s := range strings.SplitSeq(r.Scopes, ",") {
		k.Scopes = append(k.Scopes, access.Scope(s))
	}
	if r.Origins != "" {
		k.Origins = strings.Split(r.Origins, ",")
	}
	return k
}

// CreateKey keeps a new key and notes it in the audit log.
func (db *DB) CreateKey(ctx context.Context, k access.Key, note juncture.AuditNote) error {
	scopes := make([]string, len(k.Scopes))
	for i, s := range k.Scopes {
		scopes[i] = string(s)
	}
	return db.inTx(ctx, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, `INSERT INTO keys (`+keyColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`, k.ID, k.Name,
			strings.Join(scopes, ","), k.Publishable, strings.Join(k.Origins, ","), k.Hash, ms(k.CreatedAt), ms(k.RevokedAt)); err != nil {
			return err
		}
		return appendAudit(ctx, tx, []juncture.AuditNote{note})
	})
}

// Key finds a key by its id; false where there is none.
func (db *DB) Key(ctx context.Context, id string) (access.Key, bool, error) {
	var r keyRow
	err := db.read.GetContext(ctx, &r, `SELECT `+keyColumns+` FROM keys WHERE id = ?`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return access.Key{}, false, nil
	}
	return r.key(), err == nil, err
}

// Keys returns all keys, oldest first.
func (db *DB) Keys(ctx context.Context) ([]access.Key, error) {
	var rows []keyRow
	if err := db.read.SelectContext(ctx, &rows, `SELECT `+keyColumns+` FROM keys ORDER BY created_at, id`); err != nil {
		return nil, err
	}
	out := make([]access.Key, len(rows))
	for i, r := range rows {
		out[i] = r.key()
	}
	return out, nil
}

// RevokeKey ends a key; CodeNotFound where there is none that is live.
func (db *DB) RevokeKey(ctx context.Context, id string, now time.Time, note juncture.AuditNote) error {
	return db.inTx(ctx, func(tx *sqlx.Tx) error {
		res, err := tx.ExecContext(ctx, `UPDATE keys SET revoked_at = ? WHERE id = ? AND revoked_at = 0`, ms(now), id)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, juncture.Errorf(juncture.CodeNotFound, "no live key has the id %.40q", id).WithHint("juncture keys list"))
		}
		return appendAudit(ctx, tx, []juncture.AuditNote{note})
	})
}

const userColumns = `id, name, role, password_hash, created_at, disabled_at, subject, display`

type userRow struct {
	ID, Name, Role   string
	Subject, Display string
	PasswordHash     string `db:"password_hash"`
	CreatedAt        int64  `db:"created_at"`
	DisabledAt       int64  `db:"disabled_at"`
}

func (r userRow) user() access.User {
	return access.User{ID: r.ID, Name: r.Name, Role: access.Role(r.Role), PasswordHash: r.PasswordHash, CreatedAt: fromMS(r.CreatedAt), DisabledAt: fromMS(r.DisabledAt),
		Subject: r.Subject, Display: r.Display}
}

// CreateUser keeps a new user and notes it in the audit log; CodeUnprocessable where the name, or the person at the
// identity provider, is taken.
func (db *DB) CreateUser(ctx context.Context, u access.User, notes ...juncture.AuditNote) error {
	return db.inTx(ctx, func(tx *sqlx.Tx) error {
		res, err := tx.ExecContext(ctx, `INSERT INTO users (`+userColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			u.ID, u.Name, string(u.Role), u.PasswordHash, ms(u.CreatedAt), ms(u.DisabledAt), u.Subject, u.Display)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, juncture.Errorf(juncture.CodeUnprocessable, "a user is called %q already", u.Name).WithField("name"))
		}
		return appendAudit(ctx, tx, notes)
	})
}

func (db *DB) user(ctx context.Context, where, arg string) (access.User, error) {
	var r userRow
	err := db.read.GetContext(ctx, &r, `SELECT `+userColumns+` FROM users WHERE `+where+` = ?`, arg)
	if errors.Is(err, sql.ErrNoRows) {
		return access.User{}, juncture.Errorf(juncture.CodeNotFound, "no such user")
	}
	return r.user(), err
}

// UserByName finds a user by name, in lower case; CodeNotFound where there is none.
func (db *DB) UserByName(ctx context.Context, name string) (access.User, error) {
	return db.user(ctx, "name", name)
}

// UserByID finds a user; CodeNotFound where there is none.
func (db *DB) UserByID(ctx context.Context, id string) (access.User, error) {
	return db.user(ctx, "id", id)
}

// UserBySubject finds who signs in at an identity provider; CodeNotFound where there is none.
func (db *DB) UserBySubject(ctx context.Context, subject string) (access.User, error) {
	if subject == "" {
		return access.User{}, juncture.Errorf(juncture.CodeNotFound, "no such user")
	}
	return db.user(ctx, "subject", subject)
}

// Users returns all users, by name.
func (db *DB) Users(ctx context.Context) ([]access.User, error) {
	var rows []userRow
	if err := db.read.SelectContext(ctx, &rows, `SELECT `+userColumns+` FROM users ORDER BY name`); err != nil {
		return nil, err
	}
	out := make([]access.User, len(rows))
	for i, r := range rows {
		out[i] = r.user()
	}
	return out, nil
}

// UpdateUser replaces the row with the user's id and notes it in the audit log; CodeNotFound where there is none.
func (db *DB) UpdateUser(ctx context.Context, u access.User, notes ...juncture.AuditNote) error {
	return db.inTx(ctx, func(tx *sqlx.Tx) error {
		res, err := tx.ExecContext(ctx, `UPDATE users SET name = ?, role = ?, password_hash = ?, disabled_at = ?, display = ? WHERE id = ?`,
			u.Name, string(u.Role), u.PasswordHash, ms(u.DisabledAt), u.Display, u.ID)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, juncture.Errorf(juncture.CodeNotFound, "no such user"))
		}
		return appendAudit(ctx, tx, notes)
	})
}

// SessionCounts counts the sessions that have not expired by now, by user id.
func (db *DB) SessionCounts(ctx context.Context, now time.Time) (map[string]int, error) {
	var rows []struct {
		UserID string `db:"user_id"`
		N      int
	}
	if err := db.read.SelectContext(ctx, &rows, `SELECT user_id, COUNT(*) AS n FROM sessions WHERE expires_at > ? GROUP BY user_id`, ms(now)); err != nil {
		return nil, err
	}
	out := map[string]int{}
	for _, r := range rows {
		out[r.UserID] = r.N
	}
	return out, nil
}

// CreateSession keeps a session.
func (db *DB) CreateSession(ctx context.Context, s access.Session) error {
	_, err := db.write.ExecContext(ctx, `INSERT INTO sessions (hash, user_id, created_at, expires_at, last_seen) VALUES (?, ?, ?, ?, ?)`,
		s.Hash, s.UserID, ms(s.CreatedAt), ms(s.ExpiresAt), ms(s.LastSeen))
	return err
}

// SessionByHash finds a session; CodeNotFound where there is none.
func (db *DB) SessionByHash(ctx context.Context, hash []byte) (access.Session, error) {
	s := access.Session{Hash: hash}
	var created, expires, seen int64
	err := db.read.QueryRowContext(ctx, `SELECT user_id, created_at, expires_at, last_seen FROM sessions WHERE hash = ?`, hash).
		Scan(&s.UserID, &created, &expires, &seen)
	if errors.Is(err, sql.ErrNoRows) {
		return s, juncture.Errorf(juncture.CodeNotFound, "no such session")
	}
	s.CreatedAt, s.ExpiresAt, s.LastSeen = fromMS(created), fromMS(expires), fromMS(seen)
	return s, err
}

// TouchSession sets when a session was last seen; one that is gone stays gone.
func (db *DB) TouchSession(ctx context.Context, hash []byte, seen time.Time) error {
	_, err := db.write.ExecContext(ctx, `UPDATE sessions SET last_seen = ? WHERE hash = ?`, ms(seen), hash)
	return err
}

// DeleteSession deletes a session; none is not an error.
func (db *DB) DeleteSession(ctx context.Context, hash []byte) error {
	_, err := db.write.ExecContext(ctx, `DELETE FROM sessions WHERE hash = ?`, hash)
	return err
}

// PruneSessions deletes sessions that expire at or before until, of one user or, for the empty id, of all.
func (db *DB) PruneSessions(ctx context.Context, userID string, until time.Time) error {
	_, err := db.write.ExecContext(ctx, `DELETE FROM sessions WHERE expires_at <= ? AND (user_id = ? OR ? = '')`, ms(until), userID, userID)
	return err
}

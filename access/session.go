package access

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"time"

	"github.com/juncture/juncture"
)

// Session is a signed-in browser. The browser holds the token, the store only its hash.
type Session struct {
	Hash      []byte // SHA-256 of the token's 32 bytes
	UserID    string
	CreatedAt time.Time // UTC, millisecond resolution, as all three
	ExpiresAt time.Time
	LastSeen  time.Time // to within a minute
}

// SessionStore keeps sessions.
type SessionStore interface {
	CreateSession(ctx context.Context, s Session) error
	// SessionByHash returns CodeNotFound where there is none.
	SessionByHash(ctx context.Context, hash []byte) (Session, error)
	// TouchSession sets LastSeen of a session that is still there; one that is gone stays gone, without an error.
	TouchSession(ctx context.Context, hash []byte, seen time.Time) error
	// DeleteSession deletes one session; none is not an error.
	DeleteSession(ctx context.Context, hash []byte) error
	// PruneSessions deletes the sessions that expire at or before until: of one user, or of all for the empty id.
	PruneSessions(ctx context.Context, userID string, until time.Time) error
}

// UserStore keeps users. The notes of a change are kept with it or not at all.
type UserStore interface {
	// CreateUser returns CodeUnprocessable where the name is taken.
	CreateUser(ctx context.Context, u User, notes ...juncture.AuditNote) error
	// UserByName returns CodeNotFound where there is none. The name is in lower case.
	UserByName(ctx context.Context, name string) (User, error)
	// UserByID returns CodeNotFound where there is none.
	UserByID(ctx context.Context, id string) (User, error)
	// Users returns all, by name.
	Users(ctx context.Context) ([]User, error)
	// UpdateUser replaces the row with the user's id; CodeNotFound where there is none.
	UpdateUser(ctx context.Context, u User, notes ...juncture.AuditNote) error
}

const tokenSize = 32 // bytes

// newToken returns a token and its hash.
func newToken(rand io.Reader) (token string, hash []byte, err error) {
	random := make([]byte, tokenSize)
	if _, err := io.ReadFull(rand, random); err != nil {
		return "", nil, noRandom(err)
	}
	sum := sha256.Sum256(random)
	return base64.RawURLEncoding.EncodeToString(random), sum[:], nil
}

// tokenHash returns the hash of a well-formed token.
func tokenHash(token string) ([]byte, bool) {
	if len(token) != base64.RawURLEncoding.EncodedLen(tokenSize) {
		return nil, false
	}
	random, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(random) != tokenSize {
		return nil, false
	}
	sum := sha256.Sum256(random)
	return sum[:], true
}

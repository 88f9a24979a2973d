package access

import (
	"cmp"
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/juncture/juncture"
)

// Options of a Service; zero fields mean the defaults.
type Options struct {
	SessionLife   time.Duration // from signing in; default 12 h
	Attempts      int           // failed sign-ins of a name within AttemptWindow before it must wait; default 5
	AttemptWindow time.Duration // default 15 min
	Hashing       int           // password hashes at once, 19 MiB and a core each; default 2
}

// maxWaiting bounds the calls that wait for their turn to hash.
const maxWaiting = 32

// touchEvery is how exact Session.LastSeen is.
const touchEvery = time.Minute

// Service signs people in and out. It is safe for concurrent use.
type Service struct {
	users    UserStore
	sessions SessionStore
	rand     io.Reader
	life     time.Duration
	lockout  lockout
	changing sync.Mutex // of who is an admin: two cannot end each other
	hashing  chan struct{}
	waiting  atomic.Int32
}

// NewService takes its ports and a source of randomness that is safe for concurrent use.
func NewService(users UserStore, sessions SessionStore, rand io.Reader, o Options) *Service {
	return &Service{
		users: users, sessions: sessions, rand: rand,
		life: cmp.Or(o.SessionLife, 12*time.Hour),
		lockout: lockout{most: cmp.Or(o.Attempts, 5), window: cmp.Or(o.AttemptWindow, 15*time.Minute),
			names: map[string][]time.Time{}},
		hashing: make(chan struct{}, cmp.Or(o.Hashing, 2)),
	}
}

// endOfTime is past every session's end, and fits the milliseconds of any column.
func endOfTime() time.Time { return time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC) }

// SignIn checks a name and password and begins a session. The token goes to the browser; nothing else can make it
// again. A name or password that is wrong, a user that does not exist and one that is disabled all take the same time
// and give the same answer.
//
// Errors: CodeUnauthorized; CodeTooManyRequests with RetryAfter (too many failures of this name, or too many sign-ins
// at once); CodeUnavailable where ctx ends first; those of the ports.
func (s *Service) SignIn(ctx context.Context, name, password string, now time.Time) (token string, _ User, _ error) {
	wrong := &juncture.Error{Code: juncture.CodeUnauthorized, Message: "the name or the password is wrong",
		Hint: "an admin can set a new password"}
	name = foldName(name)
	if !validUserName(name) || len(password) > MaxPassword {
		return "", User{}, wrong // before the count: such a name is nobody's
	}
	if wait := s.lockout.begin(name, now); wait > 0 {
		return "", User{}, &juncture.Error{Code: juncture.CodeTooManyRequests, Message: "too many failed sign-ins with this name",
			Hint: "wait, or have an admin set a new password", RetryAfter: wait}
	}
	u, ok, err := s.check(ctx, name, password)
	if err != nil {
		s.lockout.undo(name, now)
		return "", User{}, err
	}
	if !ok {
		return "", User{}, wrong
	}
	s.lockout.clear(name)
	if token, err = s.begin(ctx, u, now); err != nil {
		return "", User{}, err
	}
	return token, u.public(), nil
}

// begin begins a session of a user, always with a token of its own.
func (s *Service) begin(ctx context.Context, u User, now time.Time) (token string, _ error) {
	now = now.UTC().Truncate(time.Millisecond)
	if err := s.sessions.PruneSessions(ctx, "", now); err != nil {
		return "", err
	}
	token, hash, err := newToken(s.rand)
	if err != nil {
		return "", err
	}
	return token, s.sessions.CreateSession(ctx, Session{Hash: hash, UserID: u.ID, CreatedAt: now, ExpiresAt: now.Add(s.life), LastSeen: now})
}

// check finds the user and hashes the password, once whatever it finds.
func (s *Service) check(ctx context.Context, name, password string) (User, bool, error) {
	u, err := s.users.UserByName(ctx, name)
	known := err == nil && u.DisabledAt.IsZero() && u.PasswordHash != ""
	if err != nil && juncture.ErrorCode(err) != juncture.CodeNotFound {
		return User{}, false, err
	}
	release, err := s.turn(ctx)
	if err != nil {
		return User{}, false, err
	}
	defer release()
	if !known {
		checkNobody(password)
		return User{}, false, nil
	}
	return u, u.CheckPassword(password), nil
}

// turn waits for one of the places in which a password may be hashed.
func (s *Service) turn(ctx context.Context) (release func(), _ error) {
	if s.waiting.Add(1) > maxWaiting {
		s.waiting.Add(-1)
		return nil, &juncture.Error{Code: juncture.CodeTooManyRequests, Message: "too many sign-ins at once", RetryAfter: 2 * time.Second}
	}
	defer s.waiting.Add(-1)
	select {
	case s.hashing <- struct{}{}:
		return func() { <-s.hashing }, nil
	case <-ctx.Done():
		return nil, &juncture.Error{Code: juncture.CodeUnavailable, Message: "the sign-in was given up", Err: ctx.Err()}
	}
}

// Session returns the user of a token. The error is CodeUnauthorized for a session that is unknown, over or of a
// disabled user, or one of the ports'.
func (s *Service) Session(ctx context.Context, token string, now time.Time) (User, error) {
	out := &juncture.Error{Code: juncture.CodeUnauthorized, Message: "not signed in", Hint: "sign in"}
	hash, ok := tokenHash(token)
	if !ok {
		return User{}, out
	}
	session, err := s.sessions.SessionByHash(ctx, hash)
	if juncture.ErrorCode(err) == juncture.CodeNotFound {
		return User{}, out
	}
	if err != nil {
		return User{}, err
	}
	if !now.Before(session.ExpiresAt) {
		return User{}, out // the next sign-in prunes it
	}
	u, err := s.users.UserByID(ctx, session.UserID)
	if juncture.ErrorCode(err) == juncture.CodeNotFound || err == nil && !u.DisabledAt.IsZero() {
		return User{}, out
	}
	if err != nil {
		return User{}, err
	}
	if now.Sub(session.LastSeen) >= touchEvery {
		// The session holds without it: a store that cannot write just now must not keep people from reading.
		_ = s.sessions.TouchSession(ctx, hash, now.UTC().Truncate(time.Millisecond))
	}
	return u.public(), nil
}

// SignOut ends the session of a token; a token of no session is not an error.
func (s *Service) SignOut(ctx context.Context, token string) error {
	hash, ok := tokenHash(token)
	if !ok {
		return nil
	}
	return s.sessions.DeleteSession(ctx, hash)
}

// public is the user without what only this package may see.
func (u User) public() User { u.PasswordHash = ""; return u }

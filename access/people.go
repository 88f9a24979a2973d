package access

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/juncture/juncture"
)

// Who does something, for the audit log.
type Who struct {
	Actor string // user:ada, key:abcdefghijkl, cli:root
	From  string // console, api, cli
}

// note is what the audit log says; before and after are never secrets.
func (w Who) note(action, subject string, before, after any, now time.Time) juncture.AuditNote {
	return juncture.AuditNote{At: now, Actor: w.Actor, Action: action, Subject: subject, From: w.From, Before: said(before), After: said(after)}
}

// said is v as JSON, nothing for nil.
func said(v any) []byte {
	if v == nil {
		return nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings, numbers and times always encode
	}
	return b
}

type roleSaid struct {
	Role     Role   `json:"role"`
	Disabled bool   `json:"disabled,omitempty"`
	SignIn   string `json:"signIn,omitempty"`
}

func (u User) said() roleSaid { return roleSaid{Role: u.Role, Disabled: !u.DisabledAt.IsZero()} }

// AddUser makes and keeps a user. Errors: those of NewUser and UserStore.CreateUser.
func (s *Service) AddUser(ctx context.Context, who Who, name string, role Role, password string, now time.Time) (User, error) {
	release, err := s.turn(ctx)
	if err != nil {
		return User{}, err
	}
	u, err := NewUser(name, role, password, now, s.rand)
	release()
	if err != nil {
		return User{}, err
	}
	if err := s.users.CreateUser(ctx, u, who.note("create", "user "+u.Name, nil, u.said(), now)); err != nil {
		return User{}, err
	}
	return u.public(), nil
}

// Invite is AddUser with a password that is made up; it is not kept and can be shown this once.
func (s *Service) Invite(ctx context.Context, who Who, name string, role Role, now time.Time) (_ User, password string, _ error) {
	password, err := GeneratePassword(s.rand)
	if err != nil {
		return User{}, "", err
	}
	u, err := s.AddUser(ctx, who, name, role, password, now)
	if err != nil {
		return User{}, "", err
	}
	return u, password, nil
}

// Users returns all users by name, without their password hashes.
func (s *Service) Users(ctx context.Context) ([]User, error) {
	users, err := s.users.Users(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]User, len(users))
	for i, u := range users {
		out[i] = u.public()
	}
	return out, nil
}

// SetPassword changes a user's password, ends all of the user's sessions and forgets failed attempts.
// CodeUnprocessable for a user who signs in at the identity provider.
func (s *Service) SetPassword(ctx context.Context, who Who, name, password string, now time.Time) error {
	release, err := s.turn(ctx)
	if err != nil {
		return err
	}
	hash, err := HashPassword(password, s.rand)
	release()
	if err != nil {
		return err
	}
	return s.change(ctx, name, true, func(u *User) (juncture.AuditNote, error) { // after the slow part: the row is replaced as a whole
		if u.Subject != "" {
			return juncture.AuditNote{}, juncture.Errorf(juncture.CodeUnprocessable, "%s signs in at the identity provider and has no password here", u.Name)
		}
		u.PasswordHash = hash
		return who.note("set password", "user "+u.Name, nil, nil, now), nil
	})
}

// ResetPassword is SetPassword with one that is made up; it is not kept and can be shown this once.
func (s *Service) ResetPassword(ctx context.Context, who Who, name string, now time.Time) (password string, _ error) {
	password, err := GeneratePassword(s.rand)
	if err != nil {
		return "", err
	}
	if err := s.SetPassword(ctx, who, name, password, now); err != nil {
		return "", err
	}
	return password, nil
}

// SetRole gives a user another role, with the next request. CodeUnprocessable where nobody would be an admin any more.
func (s *Service) SetRole(ctx context.Context, who Who, name string, role Role, now time.Time) error {
	if !slices.Contains(Roles(), role) {
		return invalid("role", fmt.Sprintf("no role is called %.40q", role), "viewer, editor, approver or admin")
	}
	return s.change(ctx, name, false, func(u *User) (juncture.AuditNote, error) {
		before := u.said()
		u.Role = role
		return who.note("change role", "user "+u.Name, before, u.said(), now), nil
	})
}

// DisableUser ends all of a user's sessions and lets nobody sign in as that user. CodeUnprocessable where nobody would
// be an admin any more.
func (s *Service) DisableUser(ctx context.Context, who Who, name string, now time.Time) error {
	return s.change(ctx, name, true, func(u *User) (juncture.AuditNote, error) {
		before := u.said()
		if u.DisabledAt.IsZero() {
			u.DisabledAt = now.UTC().Truncate(time.Millisecond)
		}
		return who.note("disable", "user "+u.Name, before, u.said(), now), nil
	})
}

// EnableUser lets a user who was disabled sign in again.
func (s *Service) EnableUser(ctx context.Context, who Who, name string, now time.Time) error {
	return s.change(ctx, name, false, func(u *User) (juncture.AuditNote, error) {
		before := u.said()
		u.DisabledAt = time.Time{}
		return who.note("enable", "user "+u.Name, before, u.said(), now), nil
	})
}

// EndSessions signs a user out everywhere.
func (s *Service) EndSessions(ctx context.Context, who Who, name string, now time.Time) error {
	return s.change(ctx, name, true, func(u *User) (juncture.AuditNote, error) {
		return who.note("end sessions", "user "+u.Name, nil, nil, now), nil
	})
}

// change replaces a user's row and notes it; out ends the user's sessions too. It refuses what would leave no admin who
// may sign in.
func (s *Service) change(ctx context.Context, name string, out bool, f func(*User) (juncture.AuditNote, error)) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	u, err := s.users.UserByName(ctx, foldName(name))
	if juncture.ErrorCode(err) == juncture.CodeNotFound {
		return juncture.Errorf(juncture.CodeNotFound, "no user is called %.80q", name)
	}
	if err != nil {
		return err
	}
	ruled := u.rules()
	note, err := f(&u)
	if err != nil {
		return err
	}
	if ruled && !u.rules() {
		all, err := s.users.Users(ctx)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(all, func(x User) bool { return x.ID != u.ID && x.rules() }) {
			return juncture.Errorf(juncture.CodeUnprocessable, "%s is the last admin: somebody must be able to change settings", u.Name).
				WithHint("make somebody else an admin first")
		}
	}
	if err := s.users.UpdateUser(ctx, u, note); err != nil {
		return err
	}
	if !out {
		return nil
	}
	s.lockout.clear(u.Name)
	return s.sessions.PruneSessions(ctx, u.ID, endOfTime())
}

// rules reports whether the user is an admin who may sign in.
func (u User) rules() bool { return u.Role == RoleAdmin && u.DisabledAt.IsZero() }

// KeyStore keeps API keys.
type KeyStore interface {
	CreateKey(ctx context.Context, k Key, note juncture.AuditNote) error
	// Keys returns all, oldest first.
	Keys(ctx context.Context) ([]Key, error)
	// RevokeKey returns CodeNotFound where no live key has the id.
	RevokeKey(ctx context.Context, id string, now time.Time, note juncture.AuditNote) error
}

type keySaid struct {
	Name        string   `json:"name"`
	Scopes      []Scope  `json:"scopes"`
	Publishable bool     `json:"publishable,omitempty"`
	Origins     []string `json:"origins,omitempty"`
}

// KeyNote is the audit log's note of a new key.
func KeyNote(who Who, k Key, now time.Time) juncture.AuditNote {
	return who.note("create", "key "+k.ID, nil, keySaid{k.Name, k.Scopes, k.Publishable, k.Origins}, now)
}

// RevokeNote is the audit log's note of the end of a key.
func RevokeNote(who Who, id string, now time.Time) juncture.AuditNote {
	return who.note("revoke", "key "+id, nil, nil, now)
}

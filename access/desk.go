package access

import (
	"context"
	"io"
	"time"

	"github.com/juncture/juncture"
)

// Desk is where people, keys and links are managed, for the API and the console alike. Every change is in the audit log,
// and no secret is.
type Desk struct {
	people   *Service
	sessions Counter
	keys     KeyStore
	shares   ShareStore
	rand     io.Reader
	now      func() time.Time
}

// Counter counts the sessions that have not expired, by user id.
type Counter interface {
	SessionCounts(ctx context.Context, now time.Time) (map[string]int, error)
}

// NewDesk takes its ports, a source of randomness that is safe for concurrent use, and a clock.
func NewDesk(people *Service, sessions Counter, keys KeyStore, shares ShareStore, rand io.Reader, now func() time.Time) *Desk {
	return &Desk{people, sessions, keys, shares, rand, now}
}

func (u User) view(sessions int) juncture.UserView {
	v := juncture.UserView{Name: u.Name, Display: u.Display, Role: string(u.Role), SignIn: juncture.SignInPassword, CreatedAt: u.CreatedAt,
		Disabled: !u.DisabledAt.IsZero(), Sessions: sessions}
	if u.Subject != "" {
		v.SignIn = juncture.SignInOIDC
	}
	return v
}

// Users returns all users, by name.
func (d *Desk) Users(ctx context.Context) (juncture.UsersView, error) {
	users, err := d.people.Users(ctx)
	if err != nil {
		return juncture.UsersView{}, err
	}
	sessions, err := d.sessions.SessionCounts(ctx, d.now())
	if err != nil {
		return juncture.UsersView{}, err
	}
	out := juncture.UsersView{Items: make([]juncture.UserView, len(users))}
	for i, u := range users {
		out.Items[i] = u.view(sessions[u.ID])
	}
	return out, nil
}

// CreateUser makes a user with a password that is made up. Errors: those of Service.Invite.
func (d *Desk) CreateUser(ctx context.Context, who Who, r juncture.UserRequest) (juncture.PasswordView, error) {
	u, password, err := d.people.Invite(ctx, who, r.Name, Role(r.Role), d.now())
	return juncture.PasswordView{Name: u.Name, Password: password}, err
}

// ChangeUser changes a role, disables or enables. CodeNotFound, CodeInvalidRequest (a role that is none, or nothing to
// change), CodeUnprocessable (the last admin).
func (d *Desk) ChangeUser(ctx context.Context, who Who, name string, c juncture.UserChange) error {
	if c.Role == nil && c.Disabled == nil {
		return invalid("", "there is nothing to change", "role, or disabled")
	}
	if c.Role != nil {
		if err := d.people.SetRole(ctx, who, name, Role(*c.Role), d.now()); err != nil {
			return err
		}
	}
	switch {
	case c.Disabled == nil:
		return nil
	case *c.Disabled:
		return d.people.DisableUser(ctx, who, name, d.now())
	}
	return d.people.EnableUser(ctx, who, name, d.now())
}

// ResetPassword gives a user a password that is made up, and ends their sessions.
func (d *Desk) ResetPassword(ctx context.Context, who Who, name string) (juncture.PasswordView, error) {
	password, err := d.people.ResetPassword(ctx, who, name, d.now())
	return juncture.PasswordView{Name: foldName(name), Password: password}, err
}

// EndSessions signs a user out everywhere.
func (d *Desk) EndSessions(ctx context.Context, who Who, name string) error {
	return d.people.EndSessions(ctx, who, name, d.now())
}

func (k Key) view() juncture.KeyView {
	v := juncture.KeyView{ID: k.ID, Name: k.Name, Scopes: make([]string, len(k.Scopes)), Publishable: k.Publishable, Origins: k.Origins, CreatedAt: k.CreatedAt,
		RevokedAt: ended(k.RevokedAt)}
	for i, s := range k.Scopes {
		v.Scopes[i] = string(s)
	}
	return v
}

// ended is a time that may not have come.
func ended(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// Keys returns all API keys, the oldest first.
func (d *Desk) Keys(ctx context.Context) (juncture.KeysView, error) {
	keys, err := d.keys.Keys(ctx)
	if err != nil {
		return juncture.KeysView{}, err
	}
	out := juncture.KeysView{Items: make([]juncture.KeyView, len(keys))}
	for i, k := range keys {
		out.Items[i] = k.view()
	}
	return out, nil
}

// CreateKey makes an API key. Errors: those of NewKey.
func (d *Desk) CreateKey(ctx context.Context, who Who, r juncture.KeyRequest) (juncture.KeyMade, error) {
	scopes := make([]Scope, len(r.Scopes))
	for i, s := range r.Scopes {
		scopes[i] = Scope(s)
	}
	k, secret, err := NewKey(r.Name, scopes, r.Publishable, r.Origins, d.now(), d.rand)
	if err != nil {
		return juncture.KeyMade{}, err
	}
	if err := d.keys.CreateKey(ctx, k, KeyNote(who, k, d.now())); err != nil {
		return juncture.KeyMade{}, err
	}
	return juncture.KeyMade{Key: k.view(), Secret: secret}, nil
}

// RevokeKey ends an API key; CodeNotFound where no live one has the id.
func (d *Desk) RevokeKey(ctx context.Context, who Who, id string) error {
	return d.keys.RevokeKey(ctx, id, d.now(), RevokeNote(who, id, d.now()))
}

func (s Share) view() juncture.ShareView {
	return juncture.ShareView{ID: s.ID, Path: s.Path, MadeBy: s.MadeBy, CreatedAt: s.CreatedAt, ExpiresAt: s.ExpiresAt, RevokedAt: ended(s.RevokedAt)}
}

type shareSaid struct {
	Path    string    `json:"path"`
	Expires time.Time `json:"expires"`
}

// SharePath is the path of links, before their token.
const SharePath = "/console/share/"

// Shares returns all links, the newest first.
func (d *Desk) Shares(ctx context.Context) (juncture.SharesView, error) {
	shares, err := d.shares.Shares(ctx)
	if err != nil {
		return juncture.SharesView{}, err
	}
	out := juncture.SharesView{Items: make([]juncture.ShareView, len(shares))}
	for i, s := range shares {
		out.Items[i] = s.view()
	}
	return out, nil
}

// CreateShare makes a link. Errors: those of NewShare.
func (d *Desk) CreateShare(ctx context.Context, who Who, r juncture.ShareRequest) (juncture.ShareMade, error) {
	s, token, err := NewShare(r.Path, r.Days, who.Actor, d.now(), d.rand)
	if err != nil {
		return juncture.ShareMade{}, err
	}
	if err := d.shares.CreateShare(ctx, s, who.note("create", "share "+s.ID, nil, shareSaid{s.Path, s.ExpiresAt}, d.now())); err != nil {
		return juncture.ShareMade{}, err
	}
	return juncture.ShareMade{Share: s.view(), Link: SharePath + token}, nil
}

// RevokeShare ends a link; CodeNotFound where no live one has the id.
func (d *Desk) RevokeShare(ctx context.Context, who Who, id string) error {
	return d.shares.RevokeShare(ctx, id, d.now(), who.note("revoke", "share "+id, nil, nil, d.now()))
}

// Shared returns the link of a token; CodeNotFound for one that is unknown, over or revoked, all alike.
func (d *Desk) Shared(ctx context.Context, token string) (juncture.ShareView, error) {
	gone := juncture.Errorf(juncture.CodeNotFound, "This link does not hold: it is over, was revoked, or is not whole.").WithHint("Ask whoever sent it for another.")
	hash, ok := tokenHash(token)
	if !ok {
		return juncture.ShareView{}, gone
	}
	s, err := d.shares.ShareByHash(ctx, hash)
	if juncture.ErrorCode(err) == juncture.CodeNotFound || err == nil && (!s.RevokedAt.IsZero() || !d.now().Before(s.ExpiresAt)) {
		return juncture.ShareView{}, gone
	}
	return s.view(), err
}

package juncture

import "time"

// UserView is a person who may sign in to the console.
type UserView struct {
	Name      string    `json:"name"`
	Display   string    `json:"display,omitempty"` // what the identity provider calls them
	Role      string    `json:"role"`              // viewer, editor, approver, admin
	SignIn    string    `json:"signIn"`            // password or oidc
	CreatedAt time.Time `json:"createdAt"`
	Disabled  bool      `json:"disabled"`
	Sessions  int       `json:"sessions"` // that have not ended
}

// How a user signs in.
const (
	SignInPassword = "password"
	SignInOIDC     = "oidc"
)

// UsersView is GET /api/v1/users.
type UsersView struct {
	Items []UserView `json:"items"`
}

// UserRequest makes a user.
type UserRequest struct {
	Name string `json:"name"`
	Role string `json:"role"`
}

// UserChange changes a user; what it leaves out stays.
type UserChange struct {
	Role     *string `json:"role,omitempty"`
	Disabled *bool   `json:"disabled,omitempty"`
}

// PasswordView is a password that was made up: shown once, kept nowhere.
type PasswordView struct {
	Name     string `json:"name"`
	Password string `json:"password"`
}

// KeyView is an API key.
type KeyView struct {
	ID          string     `json:"id"`
	Name        string     `json:"name"`
	Scopes      []string   `json:"scopes"`
	Publishable bool       `json:"publishable"`
	Origins     []string   `json:"origins,omitempty"`
	CreatedAt   time.Time  `json:"createdAt"`
	RevokedAt   *time.Time `json:"revokedAt,omitempty"`
}

// KeysView is GET /api/v1/keys, the oldest first.
type KeysView struct {
	Items []KeyView `json:"items"`
}

// KeyRequest makes an API key.
type KeyRequest struct {
	Name        string   `json:"name"`
	Scopes      []string `json:"scopes"`
	Publishable bool     `json:"publishable,omitempty"`
	Origins     []string `json:"origins,omitempty"`
}

// KeyMade is a new key with its secret: shown once, kept nowhere.
type KeyMade struct {
	Key    KeyView `json:"key"`
	Secret string  `json:"secret"`
}

// ShareView is a link that shows one page of the console without sign-in.
type ShareView struct {
	ID        string     `json:"id"`
	Path      string     `json:"path"` // of the page, with its filters
	MadeBy    string     `json:"madeBy"`
	CreatedAt time.Time  `json:"createdAt"`
	ExpiresAt time.Time  `json:"expiresAt"`
	RevokedAt *time.Time `json:"revokedAt,omitempty"`
}

// SharesView is GET /api/v1/shares, the newest first.
type SharesView struct {
	Items []ShareView `json:"items"`
}

// ShareRequest makes a link.
type ShareRequest struct {
	Path string `json:"path"`           // /console/intersections?experiment=hero
	Days int    `json:"days,omitempty"` // 1 to 30; 0 means 7
}

// ShareMade is a new link: its token is shown once, kept nowhere.
type ShareMade struct {
	Share ShareView `json:"share"`
	Link  string    `json:"link"` // path on this server
}

// AuditView is one entry of the audit log.
type AuditView struct {
	Seq     int64     `json:"seq"`
	At      time.Time `json:"at"`
	Actor   string    `json:"actor"`
	Action  string    `json:"action"`
	Subject string    `json:"subject"`
	From    string    `json:"from"`
	Before  any       `json:"before,omitempty"`
	After   any       `json:"after,omitempty"`
	Hash    string    `json:"hash"` // SHA-256 of the entry and of the hash before it, in hex
}

// AuditPage is GET /api/v1/audit, the newest first.
type AuditPage struct {
	Items []AuditView `json:"items"`
	Next  int64       `json:"next,omitempty"` // before=, for the page that follows; 0: there is none
}

// AuditProof says whether the audit log holds.
type AuditProof struct {
	Holds   bool      `json:"holds"`
	Entries int       `json:"entries"`        // that are good
	Hash    string    `json:"hash,omitempty"` // of the last of them, in hex
	What    string    `json:"what,omitempty"` // what is wrong, and where
	At      time.Time `json:"at"`
}

// SettingsView is what the store runs with.
type SettingsView struct {
	Groups []SettingGroup `json:"groups"`
}

// SettingGroup is a group of settings and where they are changed.
type SettingGroup struct {
	Title string        `json:"title"`
	Where string        `json:"where"`
	Lines []SettingLine `json:"lines"`
}

// SettingLine is one setting.
type SettingLine struct {
	Key     string `json:"key"` // where it is changed: its path in the store file, or its flag; else empty
	Title   string `json:"title"`
	Value   string `json:"value"`
	Default bool   `json:"default"` // the value is Juncture's own
}

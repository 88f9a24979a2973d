package access

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Role is what a console user may do; each includes the ones before it.
type Role string

// The roles, from the least.
const (
	RoleViewer   Role = "viewer"
	RoleEditor   Role = "editor"
	RoleApprover Role = "approver"
	RoleAdmin    Role = "admin"
)

// Roles lists the roles from the least.
func Roles() []Role { return []Role{RoleViewer, RoleEditor, RoleApprover, RoleAdmin} }

// AtLeast reports whether the role includes another. A role that is none includes nothing and is included in nothing.
func (r Role) AtLeast(other Role) bool {
	mine, least := slices.Index(Roles(), r), slices.Index(Roles(), other)
	return mine >= 0 && least >= 0 && mine >= least
}

// User is a person who may sign in to the console.
type User struct {
	ID           string // u_ and 16 of [a-z2-7]
	Name         string // in lower case, unique
	Role         Role
	PasswordHash string    // PHC form; empty: signs in at the identity provider alone
	Subject      string    // of who signs in there: SHA-256 of issuer and subject in hex, else empty
	Display      string    // what the identity provider calls them, for people; else empty
	CreatedAt    time.Time // UTC, millisecond resolution
	DisabledAt   time.Time // zero: may sign in
}

// NewUser makes a user. The name is put in lower case. The error is CodeInvalidRequest with Field name, role or
// password; CodeInternal when rand fails. It takes as long as a password hash.
func NewUser(name string, role Role, password string, now time.Time, rand io.Reader) (User, error) {
	u := User{Name: foldName(name), Role: role, CreatedAt: now.UTC().Truncate(time.Millisecond)}
	if !validUserName(u.Name) {
		return User{}, invalid("name", fmt.Sprintf("the name %.80q is not 1 to %d of [a-z0-9._@+-]", name, MaxName), "such as ada or ada@shop.example")
	}
	if !slices.Contains(Roles(), role) {
		return User{}, invalid("role", fmt.Sprintf("no role is called %.40q", role), "viewer, editor, approver or admin")
	}
	id := make([]byte, 10)
	if _, err := io.ReadFull(rand, id); err != nil {
		return User{}, noRandom(err)
	}
	u.ID = "u_" + idEncoding.EncodeToString(id)
	var err error
	if u.PasswordHash, err = HashPassword(password, rand); err != nil {
		return User{}, err
	}
	return u, nil
}

// CheckPassword reports whether the password is the user's. It takes as long as a password hash; a Service bounds how
// many run at once.
func (u User) CheckPassword(password string) bool { return checkPassword(u.PasswordHash, password) }

func foldName(s string) string { return strings.ToLower(s) }

func validUserName(s string) bool {
	if s == "" || len(s) > MaxName {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("._@+-", c) >= 0) {
			return false
		}
	}
	return true
}

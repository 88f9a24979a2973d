package access

import (
	"bytes"
	"crypto/rand"
	"errors"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/juncture/juncture"
)

func TestRoles(t *testing.T) {
	for i, r := range Roles() {
		for j, least := range Roles() {
			if r.AtLeast(least) != (i >= j) {
				t.Errorf("%s at least %s: %v", r, least, i < j)
			}
		}
		if Role("").AtLeast(r) || r.AtLeast("") || Role("root").AtLeast(r) {
			t.Errorf("no role against %s", r)
		}
	}
}

func TestPassword(t *testing.T) {
	const password = "correct horse"
	phc, err := HashPassword(password, bytes.NewReader([]byte("0123456789abcdef")))
	if err != nil {
		t.Fatal(err)
	}
	// printf 'correct horse' | argon2 0123456789abcdef -id -t 2 -k 19456 -p 1 -l 32 -e has this head and salt.
	if want := "$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$"; !strings.HasPrefix(phc, want) || len(phc) != len(want)+43 {
		t.Errorf("%s, want %s...", phc, want)
	}
	u := User{PasswordHash: phc}
	if !u.CheckPassword(password) {
		t.Error("the right password is wrong")
	}
	for _, wrong := range []string{"", "correct hors", "Correct horse", "correct horse ", strings.Repeat("x", MaxPassword+1)} {
		if u.CheckPassword(wrong) {
			t.Errorf("%q is right", wrong)
		}
	}
	for _, bad := range []string{"", "$", "x", strings.Replace(phc, "argon2id", "argon2i", 1), strings.Replace(phc, "v=19", "v=18", 1),
		strings.Replace(phc, "m=19456", "m=99999999", 1), strings.Replace(phc, "t=2", "t=0", 1), strings.Replace(phc, "p=1", "p=0", 1),
		strings.Replace(phc, "t=2", "t=99", 1), phc[:len(phc)-1], strings.TrimSuffix(phc, phc[strings.LastIndexByte(phc, '$'):]) + "$", phc + "$"} {
		if (User{PasswordHash: bad}).CheckPassword(password) {
			t.Errorf("%q matches", bad)
		}
	}
	// The reference implementation's own vector (phc-winner-argon2, test.c): other costs in the text are obeyed.
	if !(User{PasswordHash: "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"}).CheckPassword("password") {
		t.Error("the reference vector does not match")
	}
}

func TestPasswordLength(t *testing.T) {
	for password, ok := range map[string]bool{"": false, "123456789": false, "1234567890": true, "ééééééééé": false, "éééééééééé": true,
		strings.Repeat("x", 1024): true, strings.Repeat("x", 1025): false, "1234567890\xff": false} {
		_, err := HashPassword(password, rand.Reader)
		if e, isErr := errors.AsType[*juncture.Error](err); isErr == ok || isErr && e.Field != "password" {
			t.Errorf("%.12q: %v", password, err)
		}
	}
	if _, err := HashPassword("1234567890", iotest.ErrReader(errors.New("dry"))); juncture.ErrorCode(err) != juncture.CodeInternal {
		t.Error(err)
	}
}

func TestGeneratePassword(t *testing.T) {
	p, err := GeneratePassword(bytes.NewReader([]byte{0, 1, 2, 3, 4, 31, 32, 33, 63, 64, 255, 254, 24, 23, 22, 0, 0, 0, 0, 0}))
	if want := "abcde-9ab9a-982zy-aaaaa"; p != want || err != nil { // bytes modulo 32 in abcdefghijkmnpqrstuvwxyz23456789
		t.Errorf("%q, want %q: %v", p, want, err)
	}
	p, err = GeneratePassword(rand.Reader)
	if err != nil || !regexp.MustCompile(`^[a-km-np-z2-9]{5}(-[a-km-np-z2-9]{5}){3}$`).MatchString(p) {
		t.Errorf("%q %v", p, err)
	}
	if _, err := HashPassword(p, rand.Reader); err != nil {
		t.Error(err)
	}
}

func TestNewUser(t *testing.T) {
	u, err := NewUser("Ada@Shop.example", RoleEditor, "correct horse", noon, rand.Reader)
	if err != nil || u.Name != "ada@shop.example" || u.Role != RoleEditor || !u.CheckPassword("correct horse") ||
		!regexp.MustCompile(`^u_[a-z2-7]{16}$`).MatchString(u.ID) || !u.CreatedAt.Equal(noon.Truncate(1e6)) || !u.DisabledAt.IsZero() {
		t.Errorf("%+v %v", u, err)
	}
	for _, c := range []struct {
		name, password, field string
		role                  Role
	}{{"", "correct horse", "name", RoleAdmin}, {"a b", "correct horse", "name", RoleAdmin}, {strings.Repeat("a", 65), "correct horse", "name", RoleAdmin},
		{"ada", "correct horse", "role", "root"}, {"ada", "short", "password", RoleAdmin}} {
		_, err := NewUser(c.name, c.role, c.password, noon, rand.Reader)
		if e, ok := errors.AsType[*juncture.Error](err); !ok || e.Code != juncture.CodeInvalidRequest || e.Field != c.field {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

package access

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/juncture/juncture"
)

var root = Who{Actor: "user:root", From: "console"}

func TestPeopleAreChangedOnRecord(t *testing.T) {
	s, m := newTestService(t)
	ctx := t.Context()
	_, password, err := s.Invite(ctx, root, "Root", RoleAdmin, noon)
	if err != nil || len(password) != 23 { // four groups of five and three hyphens
		t.Fatalf("%q, %v", password, err)
	}
	token, _, err := s.SignIn(ctx, "root", password, noon)
	if err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{"role": s.SetRole(ctx, root, "root", RoleEditor, noon), "disabling": s.DisableUser(ctx, root, "root", noon)} {
		if juncture.ErrorCode(err) != juncture.CodeUnprocessable || !strings.Contains(err.Error(), "last admin") {
			t.Errorf("%s of the last admin: %v", what, err)
		}
	}
	if u, err := s.Session(ctx, token, noon); err != nil || u.Role != RoleAdmin {
		t.Errorf("the last admin is out: %+v, %v", u, err)
	}
	if err := s.SetRole(ctx, root, "ada", "king", noon); juncture.ErrorCode(err) != juncture.CodeInvalidRequest {
		t.Errorf("a role that is none: %v", err)
	}
	for _, err := range []error{s.SetRole(ctx, root, "ada", RoleAdmin, noon), s.SetRole(ctx, root, "root", RoleEditor, noon)} {
		if err != nil {
			t.Error(err)
		}
	}
	if u, err := s.Session(ctx, token, noon); err != nil || u.Role != RoleEditor {
		t.Errorf("a session goes on with the old role: %+v, %v", u, err)
	}
	if err := s.EndSessions(ctx, root, "root", noon); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Session(ctx, token, noon); juncture.ErrorCode(err) != juncture.CodeUnauthorized {
		t.Errorf("an ended session: %v", err)
	}
	next, err := s.ResetPassword(ctx, root, "root", noon)
	if err != nil || next == password {
		t.Fatalf("%q, %v", next, err)
	}
	for _, err := range []error{s.DisableUser(ctx, root, "root", noon), s.EnableUser(ctx, root, "root", noon)} {
		if err != nil {
			t.Error(err)
		}
	}
	if _, _, err := s.SignIn(ctx, "root", next, noon); err != nil {
		t.Error(err)
	}
	var got []string
	for _, n := range m.notes {
		got = append(got, fmt.Sprintf("%s %s %s %s %s", n.Actor, n.Action, n.Subject, n.Before, n.After))
		if text := string(n.Before) + string(n.After); strings.Contains(text, password) || strings.Contains(text, "argon2") {
			t.Errorf("a secret in the audit log: %s", text)
		}
	}
	want := `user:root create user ada  {"role":"approver"}
user:root create user root  {"role":"admin"}
user:root change role user ada {"role":"approver"} {"role":"admin"}
user:root change role user root {"role":"admin"} {"role":"editor"}
user:root end sessions user root  
user:root set password user root  
user:root disable user root {"role":"editor"} {"role":"editor","disabled":true}
user:root enable user root {"role":"editor","disabled":true} {"role":"editor"}`
	if strings.Join(got, "\n") != want {
		t.Errorf("the audit log says\n%s", strings.Join(got, "\n"))
	}
}

// Whoever signs in waits for a password to be hashed, known or not: the time of the answer does not tell them apart.
func TestEverySignInHashes(t *testing.T) {
	s, m := newTestService(t)
	ada, err := m.UserByName(t.Context(), "ada")
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*User){"disabled": func(u *User) { u.DisabledAt = noon }, "sso-abc": func(u *User) { u.PasswordHash, u.Subject = "", "s" }} {
		u := ada
		u.ID, u.Name = "u_"+name, name
		change(&u)
		m.users[u.ID] = u
	}
	for range cap(s.hashing) {
		s.hashing <- struct{}{} // no place is free
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	for _, name := range []string{"ada", "nobody", "disabled", "sso-abc"} {
		if _, _, err := s.SignIn(ctx, name, bad, noon); juncture.ErrorCode(err) != juncture.CodeUnavailable {
			t.Errorf("%s is answered without a hash: %v", name, err)
		}
	}
	for range cap(s.hashing) {
		<-s.hashing
	}
	var answers []string
	for _, name := range []string{"ada", "nobody", "disabled", "sso-abc"} {
		_, _, err := s.SignIn(t.Context(), name, bad, noon)
		answers = append(answers, fmt.Sprint(err))
	}
	if len(slices.Compact(answers)) != 1 {
		t.Errorf("the answers tell them apart: %q", answers)
	}
}

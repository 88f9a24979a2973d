package access

import (
	"fmt"
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

package storetest

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/access"
	"github.com/juncture/juncture/audit"
	"github.com/juncture/juncture/internal/testkit"
	"github.com/juncture/juncture/store"
)

func people(t *testing.T, open func(t *testing.T) *store.DB) {
	ctx := context.Background()
	now := testkit.Epoch()
	t.Run("Keys", func(t *testing.T) {
		db := open(t)
		random := testkit.Random(1)
		var want []access.Key
		for i, publishable := range []bool{false, true} {
			scopes, origins := []access.Scope{access.ScopeChoose, access.ScopeAdmin}, []string(nil)
			if publishable {
				scopes, origins = []access.Scope{access.ScopeChoose}, []string{"https://a.example", "https://b.example"}
			}
			k, _, err := access.NewKey("key", scopes, publishable, origins, now.Add(time.Duration(i)*time.Second), random)
			check(t, err)
			check(t, db.CreateKey(ctx, k, juncture.AuditNote{At: now, Actor: "a", Action: "create", Subject: k.ID}))
			want = append(want, k)
		}
		keys, err := db.Keys(ctx)
		check(t, err)
		if diff := cmp.Diff(want, keys); diff != "" {
			t.Errorf("keys came back otherwise:\n%s", diff)
		}
		if got, ok, err := db.Key(ctx, want[0].ID); err != nil || !ok || !cmp.Equal(got, want[0]) {
			t.Errorf("%+v, %v, %v", got, ok, err)
		}
		if got, ok, err := db.Key(ctx, "nothing"); err != nil || ok {
			t.Errorf("%+v, %v, %v", got, ok, err)
		}
		if err := db.CreateKey(ctx, want[0], juncture.AuditNote{At: now, Subject: "never"}); err == nil {
			t.Error("an id was taken twice")
		}
		check(t, db.RevokeKey(ctx, want[0].ID, now.Add(time.Hour), juncture.AuditNote{At: now, Actor: "a", Action: "revoke", Subject: want[0].ID}))
		for _, id := range []string{want[0].ID, "nothing"} {
			code(t, "revoking "+id, db.RevokeKey(ctx, id, now, juncture.AuditNote{At: now, Subject: "never"}), juncture.CodeNotFound)
		}
		if got, _, err := db.Key(ctx, want[0].ID); err != nil || !got.RevokedAt.Equal(now.Add(time.Hour)) {
			t.Errorf("revoked at %v, %v", got.RevokedAt, err)
		}
		if n, err := audit.Verify(db.Audit(ctx)); n != 3 || err != nil {
			t.Errorf("%d audit entries, %v", n, err)
		}
	})
	t.Run("Users", func(t *testing.T) {
		db := open(t)
		ada := access.User{ID: "u_1", Name: "ada", Role: access.RoleAdmin, PasswordHash: "h", CreatedAt: now}
		bob := access.User{ID: "u_2", Name: "bob", Role: access.RoleViewer, PasswordHash: "h", CreatedAt: now}
		for _, u := range []access.User{bob, ada} {
			check(t, db.CreateUser(ctx, u))
		}
		other := ada
		other.ID = "u_3"
		code(t, "a name twice", db.CreateUser(ctx, other), juncture.CodeUnprocessable)
		list, err := db.Users(ctx)
		check(t, err)
		if diff := cmp.Diff([]access.User{ada, bob}, list); diff != "" {
			t.Errorf("by name: %s", diff)
		}
		ada.Role, ada.PasswordHash, ada.DisabledAt = access.RoleEditor, "i", now.Add(time.Hour)
		check(t, db.UpdateUser(ctx, ada))
		for what, find := range map[string]func() (access.User, error){
			"name": func() (access.User, error) { return db.UserByName(ctx, "ada") },
			"id":   func() (access.User, error) { return db.UserByID(ctx, "u_1") },
		} {
			if got, err := find(); err != nil || !cmp.Equal(got, ada) {
				t.Errorf("by %s: %+v, %v", what, got, err)
			}
		}
		_, err = db.UserByName(ctx, "Ada")
		code(t, "another case", err, juncture.CodeNotFound)
		_, err = db.UserByID(ctx, "u_3")
		code(t, "nobody", err, juncture.CodeNotFound)
		code(t, "an update of nobody", db.UpdateUser(ctx, other), juncture.CodeNotFound)
	})
	t.Run("Sessions", func(t *testing.T) {
		db := open(t)
		hash := func(n byte) []byte { return bytes.Repeat([]byte{n}, 32) }
		for n := range byte(4) {
			check(t, db.CreateSession(ctx, access.Session{Hash: hash(n), UserID: []string{"u_1", "u_2"}[n%2], CreatedAt: now, ExpiresAt: now.Add(time.Duration(n) * time.Hour), LastSeen: now}))
		}
		there := func(want ...byte) {
			t.Helper()
			for n := range byte(4) {
				_, err := db.SessionByHash(ctx, hash(n))
				if bytes.IndexByte(want, n) >= 0 {
					check(t, err)
				} else {
					code(t, "a session that is gone", err, juncture.CodeNotFound)
				}
			}
		}
		there(0, 1, 2, 3)
		check(t, db.TouchSession(ctx, hash(1), now.Add(time.Minute)))
		check(t, db.TouchSession(ctx, hash(9), now))
		s, err := db.SessionByHash(ctx, hash(1))
		want := access.Session{Hash: hash(1), UserID: "u_2", CreatedAt: now, ExpiresAt: now.Add(time.Hour), LastSeen: now.Add(time.Minute)}
		if err != nil || !cmp.Equal(s, want) {
			t.Errorf("%+v, %v", s, err)
		}
		check(t, db.PruneSessions(ctx, "", now))
		there(1, 2, 3)
		check(t, db.PruneSessions(ctx, "u_1", now.Add(100*time.Hour)))
		there(1, 3)
		for range 2 { // the second finds none
			check(t, db.DeleteSession(ctx, hash(3)))
		}
		there(1)
	})
	t.Run("PeopleSignInAndOut", func(t *testing.T) {
		db := open(t)
		s, who := access.NewService(db, db, testkit.Random(1), access.Options{}), access.Who{Actor: "cli:root", From: "cli"}
		if _, err := s.AddUser(ctx, who, "Ada", access.RoleEditor, "a long password", now); err != nil {
			t.Fatal(err)
		}
		_, err := s.AddUser(ctx, who, "ada", access.RoleViewer, "another password", now)
		code(t, "the name again", err, juncture.CodeUnprocessable)
		token, u, err := s.SignIn(ctx, "ADA", "a long password", now)
		if err != nil || u.Name != "ada" || u.Role != access.RoleEditor {
			t.Fatalf("%+v, %v", u, err)
		}
		_, _, err = s.SignIn(ctx, "ada", "a wrong password", now)
		code(t, "a wrong password", err, juncture.CodeUnauthorized)
		if u, err := s.Session(ctx, token, now.Add(time.Hour)); err != nil || u.Name != "ada" {
			t.Errorf("%+v, %v", u, err)
		}
		_, err = s.Session(ctx, token, now.Add(12*time.Hour))
		code(t, "a session that is over", err, juncture.CodeUnauthorized)
		check(t, s.SignOut(ctx, token))
		_, err = s.Session(ctx, token, now)
		code(t, "signed out", err, juncture.CodeUnauthorized)
		token, _, err = s.SignIn(ctx, "ada", "a long password", now)
		check(t, err)
		check(t, s.SetPassword(ctx, who, "ada", "a new password", now))
		_, err = s.Session(ctx, token, now)
		code(t, "a session from before the new password", err, juncture.CodeUnauthorized)
		token, _, err = s.SignIn(ctx, "ada", "a new password", now)
		check(t, err)
		check(t, s.DisableUser(ctx, who, "ada", now))
		_, err = s.Session(ctx, token, now)
		code(t, "a disabled user's session", err, juncture.CodeUnauthorized)
		_, _, err = s.SignIn(ctx, "ada", "a new password", now)
		code(t, "a disabled user", err, juncture.CodeUnauthorized)
	})
}

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
	t.Run("UsersOfAProvider", func(t *testing.T) {
		db := open(t)
		ada := access.User{ID: "u_1", Name: "sso-a", Role: access.RoleViewer, CreatedAt: now, Subject: "s1", Display: "Ada"}
		note := juncture.AuditNote{At: now, Actor: "user:sso-a", Action: "create", Subject: "user sso-a"}
		check(t, db.CreateUser(ctx, ada, note))
		check(t, db.CreateUser(ctx, access.User{ID: "u_2", Name: "bob", Role: access.RoleViewer, CreatedAt: now}))
		check(t, db.CreateUser(ctx, access.User{ID: "u_3", Name: "cy", Role: access.RoleViewer, CreatedAt: now})) // no subject is not a subject
		twice := ada
		twice.ID, twice.Name = "u_4", "sso-b"
		code(t, "a subject twice", db.CreateUser(ctx, twice, note), juncture.CodeUnprocessable)
		ada.Display = "Ada L."
		check(t, db.UpdateUser(ctx, ada, note))
		if got, err := db.UserBySubject(ctx, "s1"); err != nil || !cmp.Equal(got, ada) {
			t.Errorf("%+v, %v", got, err)
		}
		for _, subject := range []string{"", "s2"} {
			_, err := db.UserBySubject(ctx, subject)
			code(t, "nobody's subject", err, juncture.CodeNotFound)
		}
		if n, err := audit.Verify(db.Audit(ctx)); n != 2 || err != nil {
			t.Errorf("%d notes, %v: a change and its note are one", n, err)
		}
		for i, expires := range []time.Duration{-time.Hour, time.Hour, 2 * time.Hour} {
			check(t, db.CreateSession(ctx, access.Session{Hash: bytes.Repeat([]byte{byte(i)}, 32), UserID: "u_1", CreatedAt: now, ExpiresAt: now.Add(expires), LastSeen: now}))
		}
		if got, err := db.SessionCounts(ctx, now); err != nil || !cmp.Equal(got, map[string]int{"u_1": 2}) {
			t.Errorf("%v, %v", got, err)
		}
	})
	t.Run("Shares", func(t *testing.T) {
		db := open(t)
		var want []access.Share
		for i := range 2 {
			s, token, err := access.NewShare("/console/intersections?experiment=hero", 7*i, "user:ed", now.Add(time.Duration(-i)*time.Hour), testkit.Random(byte(i)))
			check(t, err)
			if len(token) != 43 || !s.ExpiresAt.Equal(s.CreatedAt.Add(7*24*time.Hour)) { // 0 days means 7
				t.Errorf("%q, %+v", token, s)
			}
			check(t, db.CreateShare(ctx, s, juncture.AuditNote{At: now, Actor: "user:ed", Action: "create", Subject: "share " + s.ID}))
			want = append(want, s)
		}
		if err := db.CreateShare(ctx, want[0], juncture.AuditNote{At: now, Subject: "never"}); err == nil {
			t.Error("a link was taken twice")
		}
		got, err := db.Shares(ctx)
		check(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("links came back otherwise:\n%s", diff)
		}
		check(t, db.RevokeShare(ctx, want[0].ID, now.Add(time.Hour), juncture.AuditNote{At: now, Actor: "user:root", Action: "revoke", Subject: "share " + want[0].ID}))
		code(t, "revoking again", db.RevokeShare(ctx, want[0].ID, now, juncture.AuditNote{Subject: "never"}), juncture.CodeNotFound)
		if s, err := db.ShareByHash(ctx, want[0].Hash); err != nil || !s.RevokedAt.Equal(now.Add(time.Hour)) {
			t.Errorf("%+v, %v", s, err)
		}
		_, err = db.ShareByHash(ctx, bytes.Repeat([]byte{9}, 32))
		code(t, "a forged link", err, juncture.CodeNotFound)
	})
	t.Run("AuditQueries", func(t *testing.T) {
		db := open(t)
		for i := range 6 {
			check(t, db.Note(ctx, juncture.AuditNote{At: now.Add(time.Duration(i) * time.Hour), Actor: []string{"user:a", "cli:b"}[i%2], Action: []string{"create", "end"}[i/3], Subject: []string{"User ä%", "key _"}[i%2], From: "cli"}))
		}
		for _, tt := range []struct {
			q    audit.Query
			want []int64
		}{
			{audit.Query{}, []int64{6, 5, 4, 3, 2, 1}}, {audit.Query{Limit: 2}, []int64{6, 5}}, {audit.Query{Before: 3}, []int64{2, 1}}, {audit.Query{Actor: "cli:b"}, []int64{6, 4, 2}},
			{audit.Query{Action: "end", Subject: "USER"}, []int64{5}}, {audit.Query{Subject: "%"}, []int64{5, 3, 1}}, {audit.Query{Subject: "' OR 1=1"}, nil},
			{audit.Query{From: now.Add(2 * time.Hour), To: now.Add(4 * time.Hour)}, []int64{4, 3}},
		} {
			var got []int64
			for e, err := range db.AuditFound(ctx, tt.q) {
				check(t, err)
				got = append(got, e.Seq)
			}
			if !cmp.Equal(got, tt.want) {
				t.Errorf("%+v: %v, want %v", tt.q, got, tt.want)
			}
		}
		actors, actions, err := db.AuditNames(ctx, 10)
		if err != nil || !cmp.Equal(actors, []string{"cli:b", "user:a"}) || !cmp.Equal(actions, []string{"create", "end"}) {
			t.Errorf("%v, %v, %v", actors, actions, err)
		}
		head, err := db.AuditHead(ctx)
		check(t, err)
		if n, last, err := audit.VerifyTo(head, db.Audit(ctx)); n != 6 || err != nil || !cmp.Equal(head, last) || head.Seq != 6 {
			t.Errorf("%d, %+v, %+v, %v", n, head, last, err)
		}
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

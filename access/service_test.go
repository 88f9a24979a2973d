package access

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/juncture/juncture"
)

// memory keeps users and sessions in maps; fail makes every call fail.
type memory struct {
	mu       sync.Mutex
	users    map[string]User
	sessions map[string]Session
	touched  int
	notes    []juncture.AuditNote
	fail     error
}

func newMemory() *memory { return &memory{users: map[string]User{}, sessions: map[string]Session{}} }

func (m *memory) lock() func() { m.mu.Lock(); return m.mu.Unlock }

func notFound() error { return juncture.Errorf(juncture.CodeNotFound, "no such row") }

func (m *memory) CreateUser(_ context.Context, u User, notes ...juncture.AuditNote) error {
	defer m.lock()()
	for _, have := range m.users {
		if have.Name == u.Name {
			return juncture.Errorf(juncture.CodeUnprocessable, "taken")
		}
	}
	m.users[u.ID] = u
	m.notes = append(m.notes, notes...)
	return m.fail
}

func (m *memory) UserByName(_ context.Context, name string) (User, error) {
	defer m.lock()()
	for _, u := range m.users {
		if u.Name == name {
			return u, m.fail
		}
	}
	return User{}, cmp.Or(m.fail, notFound())
}

func (m *memory) UserByID(_ context.Context, id string) (User, error) {
	defer m.lock()()
	u, ok := m.users[id]
	if !ok {
		return u, notFound()
	}
	return u, m.fail
}

func (m *memory) Users(context.Context) ([]User, error) {
	defer m.lock()()
	var out []User
	for _, u := range m.users {
		out = append(out, u)
	}
	slices.SortFunc(out, func(a, b User) int { return cmp.Compare(a.Name, b.Name) })
	return out, m.fail
}

func (m *memory) UpdateUser(_ context.Context, u User, notes ...juncture.AuditNote) error {
	defer m.lock()()
	m.users[u.ID] = u
	m.notes = append(m.notes, notes...)
	return m.fail
}

func (m *memory) CreateSession(_ context.Context, s Session) error {
	defer m.lock()()
	m.sessions[string(s.Hash)] = s
	return m.fail
}

func (m *memory) SessionByHash(_ context.Context, hash []byte) (Session, error) {
	defer m.lock()()
	s, ok := m.sessions[string(hash)]
	if !ok {
		return s, cmp.Or(m.fail, notFound())
	}
	return s, m.fail
}

func (m *memory) TouchSession(_ context.Context, hash []byte, seen time.Time) error {
	defer m.lock()()
	if s, ok := m.sessions[string(hash)]; ok {
		s.LastSeen = seen
		m.sessions[string(hash)] = s
		m.touched++
	}
	return m.fail
}

func (m *memory) DeleteSession(_ context.Context, hash []byte) error {
	defer m.lock()()
	delete(m.sessions, string(hash))
	return m.fail
}

func (m *memory) PruneSessions(_ context.Context, userID string, until time.Time) error {
	defer m.lock()()
	for k, s := range m.sessions {
		if (userID == "" || s.UserID == userID) && !s.ExpiresAt.After(until) {
			delete(m.sessions, k)
		}
	}
	return m.fail
}

const good, bad = "correct horse", "battery staple"

func newTestService(t *testing.T) (*Service, *memory) {
	m := newMemory()
	s := NewService(m, m, rand.Reader, Options{})
	if _, err := s.AddUser(t.Context(), root, "ada", RoleApprover, good, noon); err != nil {
		t.Fatal(err)
	}
	return s, m
}

func TestSessionLife(t *testing.T) {
	s, m := newTestService(t)
	token, u, err := s.SignIn(t.Context(), "Ada", good, noon)
	if err != nil || u.Name != "ada" || u.PasswordHash != "" || len(token) != 43 {
		t.Fatalf("%q %+v %v", token, u, err)
	}
	for _, row := range m.sessions {
		if bytes.Contains(row.Hash, []byte(token)) || len(row.Hash) != 32 || !row.ExpiresAt.Equal(row.CreatedAt.Add(12*time.Hour)) {
			t.Errorf("%+v", row)
		}
	}
	for _, c := range []struct {
		after   time.Duration
		touched int // in all
		ok      bool
	}{{0, 0, true}, {59 * time.Second, 0, true}, {61 * time.Second, 1, true}, {90 * time.Second, 1, true},
		{12*time.Hour - time.Second, 2, true}, {12 * time.Hour, 2, false}} {
		u, err := s.Session(t.Context(), token, noon.Add(c.after))
		if c.ok != (err == nil) || c.ok && (u.Name != "ada" || u.PasswordHash != "") || m.touched != c.touched {
			t.Errorf("after %v: %+v %v, touched %d", c.after, u, err, m.touched)
		}
		if !c.ok && juncture.ErrorCode(err) != juncture.CodeUnauthorized {
			t.Error(err)
		}
	}
	if _, _, err := s.SignIn(t.Context(), "ada", good, noon.Add(13*time.Hour)); err != nil || len(m.sessions) != 1 {
		t.Errorf("%d sessions, want the expired one pruned: %v", len(m.sessions), err)
	}
	for _, forged := range []string{"", "x", token[:42], token + "A", token[:42] + "=", "!" + token[1:]} {
		if _, err := s.Session(t.Context(), forged, noon); juncture.ErrorCode(err) != juncture.CodeUnauthorized {
			t.Errorf("%q: %v", forged, err)
		}
	}
}

func TestSignOutAndDisable(t *testing.T) {
	s, m := newTestService(t)
	ctx := t.Context()
	token, _, _ := s.SignIn(ctx, "ada", good, noon)
	other, _, _ := s.SignIn(ctx, "ada", good, noon)
	if token == other {
		t.Fatal("a token twice")
	}
	if err := s.SignOut(ctx, token); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Session(ctx, token, noon); juncture.ErrorCode(err) != juncture.CodeUnauthorized {
		t.Errorf("signed out: %v", err)
	}
	if err := s.SignOut(ctx, token); err != nil {
		t.Errorf("again: %v", err)
	}
	if _, err := s.Session(ctx, other, noon); err != nil {
		t.Errorf("the other session: %v", err)
	}
	if err := s.SetPassword(ctx, root, "ADA", bad, noon); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Session(ctx, other, noon); juncture.ErrorCode(err) != juncture.CodeUnauthorized {
		t.Errorf("after a new password: %v", err)
	}
	last, _, err := s.SignIn(ctx, "ada", bad, noon)
	if err != nil {
		t.Fatal(err)
	}
	row, _ := m.UserByName(ctx, "ada") // another node's prune may be late: the row alone must do
	row.DisabledAt = noon
	m.users[row.ID] = row
	if _, err := s.Session(ctx, last, noon); juncture.ErrorCode(err) != juncture.CodeUnauthorized {
		t.Errorf("disabled: %v", err)
	}
	if err := s.DisableUser(ctx, root, "ada", noon); err != nil || len(m.sessions) != 0 {
		t.Errorf("%d sessions: %v", len(m.sessions), err)
	}
	if _, _, err := s.SignIn(ctx, "ada", bad, noon); juncture.ErrorCode(err) != juncture.CodeUnauthorized {
		t.Errorf("signs in disabled: %v", err)
	}
	if err := s.DisableUser(ctx, root, "eve", noon); juncture.ErrorCode(err) != juncture.CodeNotFound {
		t.Error(err)
	}
	if _, err := s.AddUser(ctx, root, "Ada", RoleViewer, good, noon); juncture.ErrorCode(err) != juncture.CodeUnprocessable {
		t.Errorf("taken: %v", err)
	}
	if users, err := s.Users(ctx); err != nil || len(users) != 1 || users[0].PasswordHash != "" {
		t.Errorf("%+v %v", users, err)
	}
}

func TestLockOut(t *testing.T) {
	s, _ := newTestService(t)
	for _, c := range []struct {
		at       time.Duration
		name     string
		password string
		want     juncture.Code
		wait     time.Duration
	}{
		{0, "ada", bad, juncture.CodeUnauthorized, 0},
		{1 * time.Minute, "ada", bad, juncture.CodeUnauthorized, 0},
		{2 * time.Minute, "ADA", bad, juncture.CodeUnauthorized, 0},
		{3 * time.Minute, "ada", bad, juncture.CodeUnauthorized, 0},
		{4 * time.Minute, "ada", bad, juncture.CodeUnauthorized, 0},
		{5 * time.Minute, "ada", good, juncture.CodeTooManyRequests, 10 * time.Minute}, // until the first is 15 min old
		{14 * time.Minute, "ada", bad, juncture.CodeTooManyRequests, time.Minute},      // and does not count
		{15 * time.Minute, "ada", bad, juncture.CodeUnauthorized, 0},
		{15 * time.Minute, "ada", good, juncture.CodeTooManyRequests, time.Minute},
		{16 * time.Minute, "ada", good, "", 0}, // and clears the count
		{16 * time.Minute, "ada", bad, juncture.CodeUnauthorized, 0},
		{16 * time.Minute, "ada", bad, juncture.CodeUnauthorized, 0},
		{16 * time.Minute, "ada", bad, juncture.CodeUnauthorized, 0},
		{16 * time.Minute, "ada", bad, juncture.CodeUnauthorized, 0},
		{16 * time.Minute, "ada", good, "", 0},
		{0, "nobody", bad, juncture.CodeUnauthorized, 0}, // a name of nobody locks in the same way
		{0, "nobody", bad, juncture.CodeUnauthorized, 0},
		{0, "nobody", bad, juncture.CodeUnauthorized, 0},
		{0, "nobody", bad, juncture.CodeUnauthorized, 0},
		{0, "nobody", bad, juncture.CodeUnauthorized, 0},
		{0, "nobody", bad, juncture.CodeTooManyRequests, 15 * time.Minute},
		{0, "not a name", bad, juncture.CodeUnauthorized, 0},
	} {
		_, _, err := s.SignIn(t.Context(), c.name, c.password, noon.Add(c.at))
		e, _ := errors.AsType[*juncture.Error](err)
		if juncture.ErrorCode(err) != c.want || e != nil && e.RetryAfter != c.wait {
			t.Errorf("%v %s %q: %#v, want %q %v", c.at, c.name, c.password, err, c.want, c.wait)
		}
	}
}

func TestLockOutHoldsAtOnce(t *testing.T) {
	s, _ := newTestService(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	got := map[juncture.Code]int{}
	for range 20 {
		wg.Go(func() {
			_, _, err := s.SignIn(context.Background(), "ada", bad, noon)
			mu.Lock()
			got[juncture.ErrorCode(err)]++
			mu.Unlock()
		})
	}
	wg.Wait()
	if got[juncture.CodeUnauthorized] != 5 || got[juncture.CodeTooManyRequests] != 15 {
		t.Errorf("%v, want 5 tries and 15 refusals", got)
	}
}

func TestStoreFailureIsNoAttempt(t *testing.T) {
	s, m := newTestService(t)
	m.fail = juncture.Errorf(juncture.CodeUnavailable, "disk")
	for range 10 {
		if _, _, err := s.SignIn(t.Context(), "ada", good, noon); juncture.ErrorCode(err) != juncture.CodeUnavailable {
			t.Fatal(err)
		}
	}
	if _, err := s.Session(t.Context(), "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", noon); juncture.ErrorCode(err) != juncture.CodeUnavailable {
		t.Error(err)
	}
	m.fail = nil
	if _, _, err := s.SignIn(t.Context(), "ada", good, noon); err != nil {
		t.Error(err)
	}
}

func TestLockoutIsBounded(t *testing.T) {
	l := lockout{most: 5, window: 15 * time.Minute, names: map[string][]time.Time{}}
	for range 5 {
		l.begin("target", noon)
	}
	for i := range maxNames + 100 {
		l.begin(fmt.Sprint("flood", i), noon.Add(time.Second))
	}
	if len(l.names) != maxNames {
		t.Errorf("%d names, want %d", len(l.names), maxNames)
	}
	if l.begin("target", noon.Add(time.Minute)) == 0 {
		t.Error("the flood freed the locked name")
	}
	l.begin("later", noon.Add(time.Hour))
	if len(l.names) != 1 {
		t.Errorf("%d names after an hour, want 1", len(l.names))
	}
}

func TestHashingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewService(newMemory(), newMemory(), rand.Reader, Options{Hashing: 1})
		release, err := s.turn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		codes := make(chan juncture.Code, maxWaiting)
		for range maxWaiting {
			go func() {
				_, err := s.turn(ctx)
				codes <- juncture.ErrorCode(err)
			}()
		}
		synctest.Wait() // all wait
		_, err = s.turn(ctx)
		if e, ok := errors.AsType[*juncture.Error](err); !ok || e.Code != juncture.CodeTooManyRequests || e.RetryAfter != 2*time.Second {
			t.Errorf("one too many: %v", err)
		}
		cancel()
		for range maxWaiting {
			if c := <-codes; c != juncture.CodeUnavailable {
				t.Errorf("given up: %q", c)
			}
		}
		release()
		if release, err = s.turn(t.Context()); err != nil {
			t.Error(err)
		}
		release()
	})
}

package store_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/engine"
	"github.com/juncture/juncture/internal/testkit"
	"github.com/juncture/juncture/store"
)

func openAt(t *testing.T, path string, o store.Options) *store.DB {
	t.Helper()
	db, err := store.Open(context.Background(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func raw(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+path+"?_busy_timeout=10000")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func exec(t *testing.T, db *sql.DB, text string) {
	t.Helper()
	res, err := db.Exec(text)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 && !strings.HasPrefix(text, "BEGIN") && !strings.HasPrefix(text, "ROLLBACK") {
		t.Fatalf("%s changed nothing; %v", text, err)
	}
}

// ignore is memory that follows nothing.
type ignore struct{}

func (ignore) Fold(uint16, int64, []juncture.Delta)               {}
func (ignore) Dirty() []juncture.CellID                           { return nil }
func (ignore) Cells([]juncture.CellID, time.Time) []juncture.Cell { return nil }
func (ignore) Crowded() bool                                      { return false }
func (ignore) Clean([]juncture.CellID)                            {}

// shop fills a node's database with 6 decisions at two intersections, each with a purchase.
func shop(t *testing.T) *testkit.Node {
	t.Helper()
	n := testkit.Start(t, testkit.Declaration())
	for i := range 6 {
		a, err := n.Engine.Choose(context.Background(), n.Clock.Now(), engine.Caller{KeyID: "k"}, &juncture.ChooseRequest{Surface: "home_hero", ShopperID: fmt.Sprint("s", i),
			Candidates: []string{"news"}, Layers: &juncture.LayerValues{Moment: []string{"loyal", "prospect"}[i%2]}})
		if err != nil {
			t.Fatal(err)
		}
		value := 10.0
		if _, err := n.Engine.Reward(context.Background(), n.Clock.Now(), &juncture.RewardRequest{DecisionID: a.DecisionID, Event: "purchase", Value: &value, Currency: "GBP"}); err != nil {
			t.Fatal(err)
		}
		if i == 2 {
			n.Checkpoint()
		}
	}
	return n
}

func TestVerifyFindsWhatWasTamperedWith(t *testing.T) {
	for what, c := range map[string]struct {
		tamper string
		says   []string // each in some difference
		fails  string   // in the error, when it cannot even be compared
	}{
		"nothing":               {"", nil, ""},
		"an outcome's value":    {`UPDATE outcomes SET minor = minor + 1 WHERE serial = (SELECT max(serial) FROM outcomes)`, []string{"v1/prospect/_/_/_", `"purchase"`, "Value:3001", "Value:3000"}, ""},
		"an outcome's status":   {`UPDATE outcomes SET status = 'late' WHERE serial = (SELECT min(serial) FROM outcomes)`, []string{"v1/loyal/_/_/_", "Successes:2", "Successes:3"}, ""},
		"an outcome taken out":  {`DELETE FROM outcomes WHERE serial = (SELECT min(serial) FROM outcomes)`, []string{"v1/loyal/_/_/_", "Outcomes:2", "Outcomes:3"}, ""},
		"an outcome put in":     {`INSERT INTO outcomes SELECT serial, event, 'more', adjusts, value, minor, currency, at, received, status, credits FROM outcomes WHERE serial = (SELECT min(serial) FROM outcomes)`, []string{"Outcomes:4", "Value:4000"}, ""},
		"a decision's arm":      {`UPDATE decisions SET arm = 99 WHERE serial = (SELECT max(serial) FROM decisions)`, []string{"arm 99", "Trials:2", "Trials:3"}, ""},
		"a decision's key":      {`UPDATE decisions SET intersection = 'v1/moved/_/_/_' WHERE serial = (SELECT max(serial) FROM decisions)`, []string{"v1/moved/_/_/_"}, ""},
		"a decision's flags":    {`UPDATE decisions SET flags = 1 WHERE serial = (SELECT max(serial) FROM decisions)`, []string{"Trials:2"}, ""},
		"a delta taken out":     {`DELETE FROM deltas WHERE seq = (SELECT max(seq) FROM deltas)`, []string{"v1/prospect/_/_/_", "Value:2000"}, ""},
		"a delta written again": {`INSERT INTO deltas SELECT node, seq + 1, at, body FROM deltas WHERE seq = (SELECT max(seq) FROM deltas)`, []string{"Value:4000"}, ""},
		"a tally": {`UPDATE cells SET body = (SELECT body FROM cells WHERE key = 'v1/prospect/_/_/_') WHERE key = 'v1/loyal/_/_/_'`,
			[]string{"intersection v1/loyal/_/_/_"}, ""},
		"a watermark":                  {`UPDATE watermarks SET seq = (SELECT max(seq) FROM deltas)`, []string{"v1/prospect/_/_/_", "v1/loyal/_/_/_"}, ""},
		"a decision taken out":         {`DELETE FROM decisions WHERE serial = (SELECT min(serial) FROM decisions)`, nil, "not in the ledger"},
		"the last decision taken out":  {`DELETE FROM decisions WHERE serial = (SELECT max(serial) FROM decisions)`, nil, "not in the ledger"},
		"a damaged delta":              {`UPDATE deltas SET body = substr(body, 1, length(body) - 1) WHERE seq = (SELECT max(seq) FROM deltas)`, nil, "damaged"},
		"a delta with more at its end": {`UPDATE deltas SET body = body || x'00' WHERE seq = (SELECT max(seq) FROM deltas)`, nil, "damaged"},
		"a damaged tally":              {`UPDATE cells SET body = x'01ff' WHERE key = 'v1/loyal/_/_/_'`, nil, "damaged"},
		"a tally of another version":   {`UPDATE cells SET body = x'03' WHERE key = 'v1/loyal/_/_/_'`, nil, "damaged"},
		"a damaged ranking":            {`UPDATE decisions SET ranking = x'0105' WHERE serial = (SELECT max(serial) FROM decisions)`, nil, "damaged"},
		"damaged credits":              {`UPDATE outcomes SET credits = x'0105' WHERE serial = (SELECT min(serial) FROM outcomes)`, nil, "damaged"},
		"a damaged key":                {`UPDATE decisions SET intersection = 'v1/x' WHERE serial = (SELECT max(serial) FROM decisions)`, nil, "intersection key"},
	} {
		t.Run(what, func(t *testing.T) {
			n := shop(t)
			before := n.Verify()
			if c.tamper != "" {
				exec(t, raw(t, n.Path()), c.tamper)
			}
			v, err := n.DB.Verify(context.Background())
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Errorf("%v, want it to say %q", err, c.fails)
				}
				return
			}
			if err != nil || (len(v.Differences) == 0) != (c.says == nil) {
				t.Fatalf("%+v, %v", v, err)
			}
			ledgerMoved := !strings.Contains(c.tamper, "deltas") && !strings.Contains(c.tamper, "cells") && !strings.Contains(c.tamper, "watermarks") && c.tamper != ""
			if (v.Digest != before.Digest) != ledgerMoved {
				t.Errorf("the digest of the ledger moved: %v, want %v", v.Digest != before.Digest, ledgerMoved)
			}
			all := fmt.Sprint(v.Differences)
			for _, s := range c.says {
				if !strings.Contains(all, s) {
					t.Errorf("%s\ndoes not say %q", all, s)
				}
			}
		})
	}
}

func TestAMissingSaltIsRefused(t *testing.T) {
	for _, name := range []string{"pick-salt", "group-salt"} {
		for how, text := range map[string]string{"missing": `DELETE FROM secrets WHERE name = '%s'`, "empty": `UPDATE secrets SET value = x'' WHERE name = '%s'`} {
			n := testkit.Start(t, testkit.Declaration())
			exec(t, raw(t, n.Path()), fmt.Sprintf(text, name))
			s, err := n.DB.Secrets(context.Background(), testkit.Random(2), n.Clock.Now())
			if juncture.ErrorCode(err) != juncture.CodeInternal {
				t.Errorf("%s %s: %+v, %v", how, name, s, err)
			}
		}
	}
}

func TestALockedFileFailsTheCommitAndTheWriterGoesOn(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "juncture.db")
	db := openAt(t, path, store.Options{Busy: 10 * time.Millisecond})
	w, err := store.NewWriter(ctx, db, ignore{}, store.WriterOptions{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	decision := &juncture.Entry{Decisions: []*juncture.DecisionWrite{{Decision: juncture.Decision{Claims: juncture.Claims{Serial: 7, Until: time.Now()}}}}}
	other := raw(t, path)
	exec(t, other, `BEGIN IMMEDIATE`)
	for range 3 {
		if err := w.Commit(ctx, decision); juncture.ErrorCode(err) != juncture.CodeUnavailable {
			t.Errorf("%v", err)
		}
	}
	exec(t, other, `ROLLBACK`)
	if err := w.Commit(ctx, decision); err != nil {
		t.Errorf("after the lock: %v", err)
	}
	if d, err := db.Decision(ctx, 7); d == nil || err != nil {
		t.Errorf("%+v, %v", d, err)
	}
	// A reader beside it never keeps it waiting.
	exec(t, other, `BEGIN`)
	rows, err := other.Query(`SELECT * FROM decisions`)
	if err != nil {
		t.Fatal(err)
	}
	rows.Next()
	decision.Decisions[0].Decision.Serial = 8
	if err := w.Commit(ctx, decision); err != nil {
		t.Errorf("beside a reader: %v", err)
	}
	if err := rows.Close(); err != nil {
		t.Error(err)
	}
}

func TestOpenMakesPrivateFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new dir", "with #odd ?name% and ü")
	path := filepath.Join(dir, "a&b=c.db")
	openAt(t, "sqlite://"+path, store.Options{})
	for p, want := range map[string]os.FileMode{dir: 0o700, path: 0o600, path + "-wal": 0o600} {
		info, err := os.Stat(p)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want %v", p, info.Mode().Perm(), err, want)
		}
	}
	if _, err := store.Open(context.Background(), "mysql://host/db", store.Options{}); juncture.ErrorCode(err) != juncture.CodeInvalidRequest {
		t.Errorf("another database: %v", err)
	}
	if _, err := store.Open(context.Background(), dir, store.Options{}); err == nil {
		t.Error("a directory was opened")
	}
	junk := filepath.Join(t.TempDir(), "junk.db")
	if err := os.WriteFile(junk, []byte(strings.Repeat("this is no database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(context.Background(), junk, store.Options{}); err == nil {
		t.Error("junk was opened")
	}
}

func TestConcurrentFirstStartsAgree(t *testing.T) {
	path := filepath.Join(t.TempDir(), "juncture.db")
	errs := make(chan error)
	for range 4 {
		go func() {
			db, err := store.Open(context.Background(), path, store.Options{})
			if err == nil {
				_, err = db.Catalog(context.Background())
				if e := db.Close(); err == nil {
					err = e
				}
			}
			errs <- err
		}()
	}
	for range 4 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

func TestPingMindsTheFile(t *testing.T) {
	for what, harm := range map[string]func(path string) error{
		"deleted": os.Remove,
		"moved":   func(path string) error { return os.Rename(path, path+".old") },
		"replaced": func(path string) error {
			if err := os.WriteFile(path+".new", nil, 0o600); err != nil {
				return err
			}
			return os.Rename(path+".new", path)
		},
	} {
		path := filepath.Join(t.TempDir(), "juncture.db")
		db := openAt(t, path, store.Options{})
		if err := db.Ping(context.Background()); err != nil {
			t.Errorf("before: %v", err)
		}
		if err := harm(path); err != nil {
			t.Fatal(err)
		}
		if err := db.Ping(context.Background()); err == nil {
			t.Errorf("%s, and all is well", what)
		}
	}
}

func TestAFewReadersAreEnoughToStart(t *testing.T) {
	n := shop(t) // deltas after a checkpoint: restoring reads cells beside them
	path := n.Path()
	n.Stop()
	db := openAt(t, path, store.Options{Readers: 1})
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	seen := 0
	err := db.Restore(ctx, func(_ uint16, _ int64, deltas []juncture.Delta) error {
		seen++
		_, err := db.Cell(ctx, juncture.CellID{Experiment: deltas[0].Experiment, Intersection: deltas[0].Intersection})
		return err
	})
	if err != nil || seen == 0 {
		t.Errorf("%d commits, %v", seen, err)
	}
}

func TestNothingIsLeftRunning(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	db, err := store.Open(context.Background(), filepath.Join(t.TempDir(), "juncture.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w, err := store.NewWriter(context.Background(), db, ignore{}, store.WriterOptions{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

// Memory follows its own commits alone, so a second process that wrote would checkpoint over the first: it is refused,
// whatever its node, and may write once the first has closed.
func TestOneWriterPerDatabase(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "j.db")
	writer := func(node uint16) (*store.Writer, error) {
		db, err := store.Open(ctx, path, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		return store.NewWriter(ctx, db, ignore{}, store.WriterOptions{Node: node, Now: time.Now})
	}
	first, err := writer(3)
	if err != nil {
		t.Fatal(err)
	}
	for _, node := range []uint16{3, 4} {
		if _, err := writer(node); juncture.ErrorCode(err) != juncture.CodeUnavailable {
			t.Errorf("a second writer, of node %d: %v", node, err)
		}
	}
	if err := errors.Join(first.Close(), first.Close()); err != nil {
		t.Fatal(err)
	}
	again, err := writer(3)
	if err != nil {
		t.Fatalf("after the first closed: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}

// What was erased stays erased in the file itself, opened again.
func TestAnErasureOutlivesTheProcess(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "j.db")
	begin := func() (*store.DB, *store.Writer) {
		db, err := store.Open(ctx, path, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		w, err := store.NewWriter(ctx, db, ignore{}, store.WriterOptions{Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		return db, w
	}
	event := func(id, who string) *juncture.EventWrite {
		return &juncture.EventWrite{Event: juncture.Event{ID: id, At: testkit.Epoch()}, UserID: who, AnonymousID: who + "-phone", Raw: []byte(`{}`)}
	}
	db, w := begin()
	erasure := &juncture.Erasure{ID: "ann", Replacement: "r"}
	for _, e := range []*juncture.Entry{
		{Events: []*juncture.EventWrite{event("1", "ann"), event("2", "bob")}},
		{Consents: []*juncture.ConsentWrite{{ID: "ann", Consent: juncture.ConsentRecord{Analytics: juncture.ConsentGranted, At: testkit.Epoch()}}}},
		{Erasures: []*juncture.Erasure{erasure}},
	} {
		if err := w.Commit(ctx, e); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), db.Close()); err != nil || len(erasure.IDs) != 2 || erasure.Events != 1 {
		t.Fatalf("%+v, %v", erasure, err)
	}
	db, w = begin()
	var left []string
	err := db.RestoreProfiles(ctx, func(c juncture.ProfileChange) error { left = append(left, c.Event.ID); return nil })
	who, e := db.Identity(ctx, "ann")
	if err := errors.Join(err, e, w.Close(), db.Close()); err != nil || len(left) != 1 || left[0] != "2" || who != (juncture.Identity{}) {
		t.Errorf("%v is left, ann is %+v, %v", left, who, err)
	}
}

// held lists the files of a database, its log included, that hold one of some texts.
func held(t *testing.T, path string, texts ...string) (out []string) {
	t.Helper()
	for _, f := range []string{path, path + "-wal", path + "-shm"} {
		b, err := os.ReadFile(f)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		for _, text := range texts {
			if strings.Contains(string(b), text) {
				out = append(out, filepath.Base(f)+" holds "+text)
			}
		}
	}
	return out
}

// An erasure takes the bytes out of the file and its log, while the store is open and for good.
func TestAnErasureLeavesNoBytes(t *testing.T) {
	ctx := context.Background()
	for _, reader := range []bool{false, true} {
		for _, size := range []int{60, 9000} { // of a note: in its page, and beyond
			path := filepath.Join(t.TempDir(), "j.db")
			db, err := store.Open(ctx, path, store.Options{Unsafe: true})
			if err != nil {
				t.Fatal(err)
			}
			w, err := store.NewWriter(ctx, db, ignore{}, store.WriterOptions{Now: time.Now})
			if err != nil {
				t.Fatal(err)
			}
			commit := func(e *juncture.Entry) {
				t.Helper()
				if err := w.Commit(ctx, e); err != nil {
					t.Fatal(err)
				}
			}
			serial := uint64(1 << juncture.NodeShift)
			who := func(i int) string { // rows in between, so that pages split with hers in them
				if i%7 == 3 {
					return "ann-secret"
				}
				return fmt.Sprint("other", i*7919%1000)
			}
			for i := range 600 {
				s := who(i)
				note := strings.Repeat("x", size)
				if s == "ann-secret" {
					note = strings.Repeat("her-note ", size/9)
				}
				e := &juncture.EventWrite{Event: juncture.Event{ID: fmt.Sprint(s, i), At: testkit.Epoch(), Name: note[:40]}, UserID: s, AnonymousID: s + "-phone", Raw: []byte(note)}
				serial++
				commit(&juncture.Entry{Events: []*juncture.EventWrite{e}, Decisions: []*juncture.DecisionWrite{{Decision: juncture.Decision{
					Claims: juncture.Claims{Serial: serial, Until: testkit.Epoch()}, Shopper: s + "-phone", Session: s},
					Memos: []juncture.Memo{{ID: [16]byte{byte(i), byte(i >> 8), 1}, Answer: []byte(note), Expires: 1 << 60}}}},
					Quarantined: []juncture.Quarantined{{Reason: fmt.Sprint("r", i%40), Example: s}}})
			}
			texts := []string{"ann-secret", "her-note"}
			if got := held(t, path, texts...); len(got) == 0 {
				t.Fatal("she was never there")
			}
			var tx *sql.Tx
			if reader {
				if tx, err = raw(t, path).Begin(); err != nil {
					t.Fatal(err)
				}
				var n int
				if err := tx.QueryRow(`SELECT count(*) FROM events`).Scan(&n); err != nil || n != 600 {
					t.Fatal(n, err)
				}
			}
			commit(&juncture.Entry{Erasures: []*juncture.Erasure{{ID: "ann-secret", Replacement: "r"}}})
			if reader { // who read before may read on, and nobody waits for them
				start := time.Now()
				commit(&juncture.Entry{Quarantined: []juncture.Quarantined{{Reason: "after"}}})
				if took := time.Since(start); took > 5*time.Second {
					t.Errorf("a commit beside a reader took %v", took)
				}
				if err := tx.Rollback(); err != nil {
					t.Fatal(err)
				}
			}
			deadline := time.Now().Add(10 * time.Second)
			for len(held(t, path, texts...)) > 0 && time.Now().Before(deadline) {
				time.Sleep(5 * time.Millisecond)
			}
			if got := held(t, path, texts...); len(got) > 0 {
				t.Errorf("notes of %d bytes, a reader %v: while open %v", size, reader, got)
			}
			commit(&juncture.Entry{Events: []*juncture.EventWrite{{Event: juncture.Event{ID: "bob"}, UserID: "bob", Raw: []byte("bob-note")}}})
			commit(&juncture.Entry{Erasures: []*juncture.Erasure{{ID: "bob", Replacement: "r2"}}})
			if err := w.Close(); err != nil { // at once
				t.Fatal(err)
			}
			if got := held(t, path, append(texts, "bob")...); len(got) > 0 {
				t.Errorf("notes of %d bytes: the writer closed, and %v", size, got)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			if got := held(t, path, append(texts, "bob")...); len(got) > 0 {
				t.Errorf("notes of %d bytes: closed, and %v", size, got)
			}
		}
	}
}

// Denials are under a key: the hash of a guessed id finds nobody in a copy of the file without its secrets.
func TestADenialIsUnderAKeyedHash(t *testing.T) {
	n := testkit.Start(t, testkit.Declaration())
	if err := n.Writer.Commit(context.Background(), &juncture.Entry{Consents: []*juncture.ConsentWrite{{ID: "ann",
		Consent: juncture.ConsentRecord{Analytics: juncture.ConsentDenied, At: testkit.Epoch()}}}}); err != nil {
		t.Fatal(err)
	}
	var found int
	sum := sha256.Sum256([]byte("consent:ann"))
	if err := raw(t, n.Path()).QueryRow(`SELECT count(*) FROM consents WHERE id = ?`, sum[:16]).Scan(&found); err != nil || found != 0 {
		t.Errorf("%d found by guessing, %v", found, err)
	}
	n.Restart()
	if who, err := n.DB.Identity(context.Background(), "ann"); err != nil || !who.Consent.Denied() {
		t.Errorf("%+v, %v", who, err)
	}
}

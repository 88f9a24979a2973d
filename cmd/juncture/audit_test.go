package main

import (
	"bytes"
	"context"
	"database/sql"
	"io"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/mattn/go-sqlite3" // to tamper with the file as anybody could
)

// TestAuditVerifyFindsTampering changes the file behind Juncture's back, each time from the same good log.
func TestAuditVerifyFindsTampering(t *testing.T) {
	for name, tt := range map[string]struct {
		sql  string
		says string // in the error; empty: the log holds
	}{
		"untouched":         {"", ""},
		"another actor":     {`UPDATE audit SET actor = 'cli:eve' WHERE seq = 3`, "audit row 3 (seq 3): its hash does not fit"},
		"another time":      {`UPDATE audit SET at = at + 1 WHERE seq = 1`, "audit row 1 (seq 1): its hash does not fit"},
		"another after":     {`UPDATE audit SET after = replace(after, 'viewer', 'admin') WHERE seq = 2`, "audit row 2 (seq 2): its hash does not fit"},
		"a row out":         {`DELETE FROM audit WHERE seq = 3`, "audit row 3 (seq 4): seq 3 was expected"},
		"the first out":     {`DELETE FROM audit WHERE seq = 1`, "audit row 1 (seq 2): seq 1 was expected"},
		"the last out":      {`DELETE FROM audit WHERE seq = 5`, "audit row 5 (seq 5): the log ends here, and had 5 rows"},
		"all out":           {`DELETE FROM audit`, "audit row 1 (seq 1): the log ends here, and had 5 rows"},
		"two exchanged":     {`UPDATE audit SET seq = 99 WHERE seq = 2; UPDATE audit SET seq = 2 WHERE seq = 3; UPDATE audit SET seq = 3 WHERE seq = 99`, "audit row 2 (seq 2): its hash does not fit"},
		"numbered anew":     {`DELETE FROM audit WHERE seq = 2; UPDATE audit SET seq = seq - 1 WHERE seq > 2`, "audit row 2 (seq 2): its hash does not fit"},
		"one put in":        {`INSERT INTO audit SELECT 6, at, actor, action, subject, origin, before, after, hash, hash FROM audit WHERE seq = 5`, "audit row 6 (seq 6): its hash does not fit"},
		"the last repeated": {`UPDATE audit SET prev = (SELECT hash FROM audit WHERE seq = 3) WHERE seq = 5`, "audit row 5 (seq 5): its hash does not fit"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "juncture.db")
			for _, user := range []string{"ada", "bob", "cy", "di", "ed"} {
				command(t, "users", "create", "--name", user, "--password", "a long password", "--db", file)
			}
			if tt.sql != "" {
				db, err := sql.Open("sqlite3", file)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := db.ExecContext(t.Context(), tt.sql); err != nil {
					t.Fatal(err)
				}
				if err := db.Close(); err != nil {
					t.Fatal(err)
				}
			}
			var out bytes.Buffer
			err := run(context.Background(), []string{"audit", "verify", "--db", file}, &out, io.Discard)
			switch {
			case tt.says == "" && (err != nil || !strings.Contains(out.String(), "5 entries, unbroken")):
				t.Errorf("%v %s", err, out.String())
			case tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says) || out.Len() > 0):
				t.Errorf("%v, want %q; prints %q", err, tt.says, out.String())
			}
			if name != "the last out" {
				return
			}
			// What is appended afterwards does not cover it up.
			command(t, "users", "create", "--name", "fay", "--password", "a long password", "--db", file)
			if err := run(context.Background(), []string{"audit", "verify", "--db", file}, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "audit row 5 (seq 6)") {
				t.Errorf("with another row: %v", err)
			}
		})
	}
}

package console_test

import (
	"encoding/csv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Tables of pages that are not lists are exported as a whole, and what somebody wrote is text in them.
func TestTablesAreExported(t *testing.T) {
	f := newFake()
	f.Desk.Users.Items[0].Display = "=1+1"
	h := serve(t, f)
	for _, x := range []struct {
		page, path, token string
		lines             int
		head              string
	}{
		{decisionPath + "?id=900000", decisionPath + ".csv?id=900000", "good", 1 + len(f.Log.Why.Candidates) + len(f.Log.Why.Filtered), "what,action,"},
		{settingsPath, settingsPath + "/users.csv", "admin", 1 + len(f.Desk.Users.Items), "name,display,role,"},
		{settingsPath, settingsPath + "/keys.csv", "admin", 1 + len(f.Desk.Keys.Items), "id,name,scopes,"},
		{settingsPath, settingsPath + "/shares.csv", "admin", 1 + len(f.Desk.Shares.Items), "id,path,made by,"},
		{actionURL("five_off"), actionURL("five_off") + "/versions.csv", "good", 1 + 1 + 3, "version,status,in force,"}, // of the action one, of its copy three
		{priorityURL("new-drop"), priorityURL("new-drop") + "/versions.csv", "good", 1 + 2, "version,status,in force,"},
	} {
		w := get(h, x.path, x.token)
		rows, err := csv.NewReader(w.Body).ReadAll()
		if w.Code != 200 || err != nil || len(rows) != x.lines || !strings.HasPrefix(strings.Join(rows[0], ","), x.head) {
			t.Errorf("%s: %d, %v, %d lines, want %d: %q", x.path, w.Code, err, len(rows), x.lines, rows)
			continue
		}
		if !strings.Contains(strings.ReplaceAll(get(h, x.page, x.token).Body.String(), "&amp;", "&"), `href="`+x.path+`"`) {
			t.Errorf("%s does not lead to %s", x.page, x.path)
		}
		if strings.HasSuffix(x.path, "users.csv") && rows[1][1] != "'=1+1" {
			t.Errorf("a formula is one: %q", rows[1])
		}
		if strings.HasPrefix(x.path, priorityURL("new-drop")) {
			if diff := cmp.Diff([]string{"1", "approved", "true", "user:ed"}, rows[2][:4]); diff != "" || !strings.Contains(rows[1][9], "HYPERLINK") {
				t.Errorf("%s %q", diff, rows[1])
			}
		}
	}
	for path, token := range map[string]string{settingsPath + "/users.csv": "approver", decisionPath + ".csv?id=1": "", actionURL("five_off") + "/versions.csv": ""} {
		if w := get(h, path, token); w.Code == 200 {
			t.Errorf("%s as %q", path, token)
		}
	}
}

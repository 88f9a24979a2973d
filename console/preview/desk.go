package preview

import (
	"fmt"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/audit"
)

// cannedDesk is people of every role and way in, keys and links that hold and that do not, and a log of 130 changes.
func cannedDesk() *Desk {
	day := 24 * time.Hour
	over := Now.Add(-20 * day)
	d := &Desk{Actors: []string{"cli:root", "key:abcdefghijkl", "user:root"}, Actions: []string{"approve", "create", "disable"}}
	d.Users.Items = []juncture.UserView{{Name: "ada", Role: "viewer", SignIn: "password", CreatedAt: Now.Add(-90 * day), Sessions: 2}, {Name: "ed", Role: "editor", SignIn: "password", CreatedAt: Now.Add(-80 * day), Disabled: true},
		{Name: "root", Role: "admin", SignIn: "password", CreatedAt: Now.Add(-300 * day), Sessions: 1}, {Name: "sso-k2v5q7xw3a", Display: "אורלי בן־דוד", Role: "approver", SignIn: "oidc", CreatedAt: Now.Add(-3 * day), Sessions: 1}}
	d.Keys.Items = []juncture.KeyView{{ID: "abcdefghijkl", Name: "old storefront", Scopes: []string{"choose", "reward"}, CreatedAt: Now.Add(-200 * day), RevokedAt: &over},
		{ID: "bcdefghijklm", Name: "web", Scopes: []string{"choose", "reward", "events"}, Publishable: true, Origins: []string{"https://shop.example", "https://www.shop.example"}, CreatedAt: Now.Add(-100 * day)},
		{ID: "cdefghijklmn", Name: "warehouse export of every night", Scopes: []string{"read"}, CreatedAt: Now.Add(-99 * day)}}
	d.Shares.Items = []juncture.ShareView{{ID: "defghijklmno", Path: "/console/intersections?experiment=hero&filter.lifecycle=loyal", MadeBy: "user:ed", CreatedAt: Now.Add(-day), ExpiresAt: Now.Add(6 * day)},
		{ID: "efghijklmnop", Path: "/console/intersections?experiment=cart-rescue", MadeBy: "user:root", CreatedAt: Now.Add(-40 * day), ExpiresAt: Now.Add(-10 * day)},
		{ID: "fghijklmnopq", Path: "/console/intersection?experiment=hero&key=v1%2Floyal.browsing.researching%2Fwedding-guests%2F_%2F_", MadeBy: "user:root", CreatedAt: Now.Add(-21 * day), ExpiresAt: Now.Add(9 * day), RevokedAt: &over}}
	d.Set.Groups = []juncture.SettingGroup{{Title: "How shoppers are described", Where: "in the store file, then juncture apply", Lines: []juncture.SettingLine{{Key: "layers.moment.dormant", Title: "Dormant after", Value: "60 days"},
		{Key: "layers.moment.abandonAfter", Title: "A bag counts as left after", Value: "1 hour", Default: true}}},
		{Title: "This server", Where: "by flags, environment or --config", Lines: []juncture.SettingLine{{Title: "Version", Value: "1.2.3", Default: true}, {Key: "--db", Title: "Database", Value: "SQLite, juncture-data/juncture.db", Default: true}}}}
	for i := range 130 {
		e := audit.Entry{At: Now.Add(-time.Duration(130-i) * 37 * time.Minute), Actor: []string{"cli:root", "user:root", "user:sso-k2v5q7xw3a"}[i%3], Action: "approve", Subject: fmt.Sprintf("action five_off@%d", i+1), From: []string{"cli", "console", "console"}[i%3],
			Before: []byte(`{"status":"in_review","copy":[{"headline":"5% off"}]}`), After: []byte(`{"status":"approved","copy":[{"headline":"5% off"}]}`)}
		switch i % 5 {
		case 1:
			e.Action, e.Subject, e.Before, e.After = "change role", "user ed", []byte(`{"role":"viewer"}`), []byte(`{"role":"editor"}`)
		case 2:
			e.Action, e.Subject, e.Before, e.After = "end sessions", "user ed", nil, nil
		}
		var prev audit.Entry
		if i > 0 {
			prev = d.Log[i-1]
		}
		d.Log = append(d.Log, audit.Chain(prev, e))
	}
	d.Proof = juncture.AuditProof{Holds: true, Entries: 130, Hash: fmt.Sprintf("%x", d.Log[129].Hash), At: Now.Add(-9 * time.Minute)}
	return d
}

package preview

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/access"
	"github.com/juncture/juncture/console"
	"github.com/juncture/juncture/evaluate"
	"github.com/juncture/juncture/experiments"
	"github.com/juncture/juncture/experiments/report"
)

// State is what a store may be like.
type State struct {
	Name, Says string
	words      words // in which texts differ from those of Many
	change     func(*Data)
}

// Data makes the state's.
func (s State) Data() *Data {
	d := Many()
	if s.words.ids != nil || s.words.text != nil {
		d = s.words.rewrite(d)
	}
	if s.change != nil {
		s.change(d)
	}
	return d
}

// Rich is the state of a store that has everything, and the one that is shown until another is chosen.
const Rich = "many"

// States are all of them, the rich one first.
func States() []State {
	return []State{
		{Name: Rich, Says: "A rich store: winners, thin evidence, a tripped guard, drafts in review, and 24 clusters."},
		{Name: "one", Says: "One of everything: one experiment, action, decision, shopper, product.", change: one},
		{Name: "empty", Says: "A store was applied, and nobody has come yet.", change: empty},
		{Name: "new", Says: "A fresh database: nothing was applied.", change: fresh},
		{Name: "error", Says: "Nothing can be read: the database fails.", change: func(d *Data) { d.Err = errors.New("disk I/O error") }},
		{Name: "refused", Says: "Pages are read, and every change is refused.", change: refused},
		{Name: "long", Says: "Every name at its longest, with spaces and without, and counts in the billions.", words: words{ids: longIDs(Many()), text: long, big: 100_000}},
		{Name: "rtl", Says: "Arabic and Hebrew, mixed with English.", words: words{ids: map[string]string{"ada": "خديجة-1024 (VIP)"}, text: rightToLeft}},
		{Name: "hostile", Says: "Markup, formulas, controls, emoji and 10,000 characters, wherever a text is shown.", words: words{ids: map[string]string{"ada": `"><img onerror=alert(1)>=1+1`}, text: hostile}},
	}
}

// one leaves one of everything, seen once.
func one(d *Data) {
	hero := d.Store.Experiments[slices.IndexFunc(d.Store.Experiments, func(e juncture.Experiment) bool { return e.ID == "hero" })]
	d.Store.Experiments, d.Store.Surfaces = []juncture.Experiment{hero}, first(d.Store.Surfaces, 1)
	ev := d.Evidence["hero"]
	ev.Arms = map[juncture.ArmID]experiments.ArmInfo{1: ev.Arms[1]}
	at := juncture.Intersection{"loyal.browsing.researching", "wedding-guests", "_", "_"}
	ev.Cells = []juncture.Cell{{Experiment: "hero", Intersection: at, Rows: []juncture.CellRow{{Arm: 1, Group: juncture.GroupPolicy, Tally: juncture.Tally{Trials: 1}}}}}
	d.Evidence = map[string]experiments.Evidence{"hero": ev}
	d.Decisions, d.Events, d.Broken, d.Moves = first(d.Decisions, 1), first(d.Events, 1), first(d.Broken, 1), first(d.Moves, 1)
	d.Clusters.Items, d.Clusters.Shoppers, d.Passed = first(d.Clusters.Items, 1), 50, first(d.Passed, 1)
	d.Counts = []juncture.ValueCount{count("moment", at[0], 1), count("meaning", at[1], 1), count("trajectory", "_", 1), count("catalogue", "_", 1), count("window", "new", 1), count("posture", "none", 1)}
	d.Refit.New, d.Refit.Retired = first(d.Refit.New, 1), nil
	t := d.Trials
	src := cannedSource(&d.Store.Experiments[0], nil, ev, 0, 0)
	hour := juncture.Calendar{}.At(Now.Add(-time.Hour))
	src.Units = []juncture.UnitRow{{Experiment: "hero", Group: juncture.GroupPolicy, Intersection: at, UnitSums: sums(1, 1, 0)}}
	src.Cells = []juncture.Cell{{Experiment: "hero", Intersection: at, Rows: []juncture.CellRow{{Group: juncture.GroupPolicy, Arm: 1, Bucket: hour, Tally: juncture.Tally{Trials: 1}},
		{Group: juncture.GroupPolicy, Event: "~enrolled/0", Bucket: hour, Tally: juncture.Tally{Successes: 1}}}}}
	t.Sources, t.Holdouts, t.Tripped, t.Shipped = map[string]report.Source{"hero": src}, nil, nil, nil
	t.History, t.Products = first(t.History, 1), first(t.Products, 1)
	t.WhatIf.Policies, t.WhatIf.Observed, t.WhatIf.Differences = first(t.WhatIf.Policies, 1), first(t.WhatIf.Observed, 1), nil
	t.Worth.Tiers = first(t.Worth.Tiers, 1)
	c := &t.Catalogue
	c.Products, c.Sellable, c.Categories, c.Trending, c.CrossSells, c.Priorities, c.Editorial = 1, 1, first(c.Categories, 1), first(c.Trending, 1), first(c.CrossSells, 1), first(c.Priorities, 1), first(c.Editorial, 1)
	d.Pool.Actions = slices.DeleteFunc(d.Pool.Actions, func(a juncture.PoolAction) bool { return a.ID != "five_off" })
	d.Pool.Reviews, d.Pool.Switches, d.Pool.Priorities = first(d.Pool.Reviews, 1), nil, first(d.Pool.Priorities, 1)
	d.Log.Items = first(d.Log.Items, 1)
	d.Log.Why.Candidates, d.Log.Why.Filtered, d.Log.Why.Nudges = first(d.Log.Why.Candidates, 1), nil, nil
	k := d.Desk
	k.Users.Items = slices.DeleteFunc(k.Users.Items, func(u juncture.UserView) bool { return u.Name != "root" })
	k.Keys.Items, k.Shares.Items, k.Log, k.Proof.Entries = k.Keys.Items[1:2], first(k.Shares.Items, 1), first(k.Log, 1), 1
}

// empty leaves what was applied, with nobody who came.
func empty(d *Data) {
	one(d)
	ev := d.Evidence["hero"]
	ev.Cells = nil
	d.Evidence["hero"] = ev
	unseen(d)
	t := d.Trials
	t.Sources = map[string]report.Source{"hero": cannedSource(&d.Store.Experiments[0], nil, ev, 0, 0)}
	t.History, d.Pool.Priorities = nil, nil
	d.Pool.Actions[0].Waiting, d.Pool.Actions[0].Copies[0].Versions = 0, d.Pool.Actions[0].Copies[0].Versions[2:]
}

// fresh leaves nothing but who looks.
func fresh(d *Data) {
	one(d)
	unseen(d)
	d.Store, d.Evidence = console.StoreView{}, nil
	d.Trials.Sources, d.Trials.History, d.Pool.Actions, d.Pool.Priorities = nil, nil, nil, nil
	d.Desk.Keys, d.Desk.Log, d.Desk.Actors, d.Desk.Actions, d.Desk.Proof = juncture.KeysView{}, nil, nil, nil, juncture.AuditProof{Holds: true, At: Now}
}

// unseen takes away what comes of shoppers.
func unseen(d *Data) {
	d.Decisions, d.Shoppers, d.Events, d.Broken, d.Moves, d.Consent = nil, nil, nil, nil, nil, nil
	d.Clusters, d.Counts, d.Passed = juncture.ClustersView{}, nil, nil
	d.RefitErr = juncture.Errorf(juncture.CodeInvalidRequest, "12 shoppers with a taste: clusters need 50").WithHint("import products and events first")
	t := d.Trials
	t.Health, t.Catalogue, t.Products, t.WhatIf, t.Worth = nil, juncture.CatalogueView{}, nil, evaluate.Report{}, evaluate.Worth{}
	t.WhatErr = juncture.Errorf(juncture.CodeInvalidRequest, "experiment hero has no decision whose window is over").WithHint("come back when some have been made")
	d.Pool.Reviews, d.Pool.Switches, d.Pool.Shown, d.Log.Items, d.Desk.Shares = nil, nil, nil, nil, juncture.SharesView{}
}

// refused has every change come back with a reason.
func refused(d *Data) {
	no := juncture.Errorf(juncture.CodeUnprocessable, "somebody else changed it a moment ago").WithHint("load the page again, and look at what changed before you decide")
	d.ChangeErr, d.RefitErr, d.Trials.ChangeErr, d.Pool.Err, d.Desk.Err = no, no, no, no, no
	d.Trials.WhatErr = &juncture.Error{Code: juncture.CodeUnavailable, Message: "the log is being read", RetryAfter: 5 * time.Second}
	d.SSO.Err = juncture.Errorf(juncture.CodeUnavailable, "the provider does not answer")
	d.Desk.Proof = juncture.AuditProof{Entries: 7, What: "audit row 8 (seq 8): its hash does not fit its content: the row was altered", At: Now}
	d.Log.Differ = true
}

// longest is an id at its longest.
const longest = 64

// longIDs are ids of 64 characters for those of the data: every other one has no place to break.
func longIDs(d *Data) map[string]string {
	out := map[string]string{"ada": "ada-" + strings.Repeat("x", 508)} // a shopper's is any text
	add := func(id string) {
		if id == "" || id == juncture.Unknown || out[id] != "" {
			return
		}
		more := "-" + strings.Repeat("for-shoppers-who-hesitate-at-the-size-", 3)
		if len(out)%2 == 0 {
			more = "_" + strings.Repeat("donaudampfschifffahrtsgesellschaft", 3)
		}
		out[id] = strings.TrimRight((id + more)[:longest], "-_")
	}
	for _, x := range d.Store.Experiments {
		add(x.ID)
		add(x.Surface)
	}
	for _, h := range d.Trials.Holdouts {
		add(h.ID)
	}
	for _, a := range d.Pool.Actions {
		add(a.ID)
	}
	for _, a := range d.Evidence["hero"].Arms {
		add(a.Arm.Action)
	}
	add("milan")
	add("plain")
	for _, c := range d.Clusters.Items {
		add(c.ID)
	}
	for _, p := range d.Trials.Catalogue.Priorities {
		add(p.ID)
	}
	for _, p := range d.Pool.Priorities {
		add(p.ID)
	}
	return out
}

// limits are the longest texts, in bytes, where they are not 120.
var limits = map[string]int{"Headline": juncture.MaxText, "Body": juncture.MaxText, "CTA": 400, "Cta": 400, "Reason": juncture.MaxReason, "Comment": juncture.MaxReason, "Why": juncture.MaxReason, "Tone": 500, "Name": 64, "Display": 120, "Owner": 120}

func long(field, said string, n int) string {
	most := limits[field]
	if most == 0 {
		most = 120
	}
	more := " and everything that goes with it, for each of those who have been waiting for it since the spring"
	if n%2 == 0 {
		more = "Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz"
	}
	return strings.ToValidUTF8((said + strings.Repeat(more, 1+most/len(more)))[:max(most, len(said))], "")
}

func rightToLeft(_, said string, n int) string {
	switch n % 5 {
	case 0:
		return fmt.Sprintf("توصيل مجاني لكل الطلبات فوق %d £!", n)
	case 1:
		return fmt.Sprintf("מבצע לזמן מוגבל: %d%% הנחה (היום בלבד).", n%90)
	case 2:
		return "فساتين: " + said + "؟"
	case 3:
		return "«" + said + "» של Kett, size 12–14!"
	}
	return fmt.Sprintf("%d · שמלות ערב / فساتين سهرة", n)
}

func hostile(_, said string, n int) string {
	switch n % 12 {
	case 0, 5, 9:
		return `"><img onerror=alert(1) src=x><script>alert(2)</script>` + said
	case 1, 6, 10:
		return `=HYPERLINK("http://evil.example","` + said + `")`
	case 2, 7:
		return "\u202e" + said + "\u2066\u202d 🙂👩‍👩‍👧‍👦\x00\x07\xff" + said
	case 3:
		return strings.Repeat("長い🙂", 1000) + said // 10,000 bytes
	case 4, 8:
		return said + "\r\n\t'; DROP TABLE tallies; -- {{.}} ${7*7} &lt;b&gt; %s\u0300\u0301\u0302\u0303\u0304"
	}
	return "javascript:alert(1)//" + strings.Repeat("W", 400) + said
}

// roles are who may look, by name to sign in with.
func roles() []access.User {
	p := People()
	return []access.User{p["admin"], p["approver"], p["editor"], p["token-1"]}
}

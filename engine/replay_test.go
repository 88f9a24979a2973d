package engine_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/engine"
	"github.com/juncture/juncture/internal/testkit"
)

func (s *shop) replayer() *engine.Replayer {
	return engine.NewReplayer(s.DB, s.DB.ArmNames, func(ctx context.Context) (engine.Secrets, error) {
		k, err := s.DB.Secrets(ctx, testkit.Random(1), s.Clock.Now())
		return engine.Secrets{PickSalt: k.PickSalt, GroupSalt: k.GroupSalt}, err
	})
}

// log is every decision there is, newest first.
func (s *shop) log() []juncture.Settled {
	s.t.Helper()
	found, _, err := s.DB.Log(context.Background(), juncture.DecisionQuery{Limit: juncture.MaxDecisions})
	if err != nil {
		s.t.Fatal(err)
	}
	return found
}

// seasons plays a store whose settings change as it goes: 60 calls and their outcomes after each change.
func (s *shop) seasons(seed uint64, seasons ...func(*juncture.Declaration)) {
	s.t.Helper()
	random := rand.New(rand.NewPCG(seed, 2))
	for i := range seasons {
		s.apply(seasons[:i+1]...)
		for round := range 6 {
			var rs []*juncture.ChooseRequest
			for k := range 10 {
				who := fmt.Sprintf("s%d", random.IntN(60))
				r := ask(who, at([]string{"loyal.at-risk", "prospect.cart-abandoned", ""}[k%3], []string{"c1", "c2"}[k%2], "", []string{"shoes", ""}[i%2]))
				switch random.IntN(8) {
				case 0:
					r.Surface = "cart_email"
				case 1:
					r.Surface, r.ExcludedActions = "cart_email", []string{"news"}
				case 2:
					denied(r)
				case 3:
					deferred(r)
				}
				rs = append(rs, r)
			}
			for _, a := range s.batch(rs...) {
				switch p := random.Float64(); {
				case p < 0.25:
					_, _ = s.Engine.Reward(context.Background(), s.Clock.Now(), click(a.DecisionID)) // held, ignored or recorded
				case p < 0.4:
					_, _ = s.Engine.Reward(context.Background(), s.Clock.Now(), buy(a.DecisionID, "o", 10+100*random.Float64()))
				}
			}
			s.Clock.Advance(time.Duration(1+random.IntN(40*(round+1))) * time.Hour / 3)
		}
	}
}

// mixed are the settings that the test of replays passes through, each on top of the ones before.
func mixed() []func(*juncture.Declaration) {
	mail := func(f func(*juncture.Experiment)) func(*juncture.Declaration) {
		return func(d *juncture.Declaration) { f(&d.Experiments[1]) }
	}
	expires := testkit.NewClock().Now().Add(5 * 24 * time.Hour)
	return []func(*juncture.Declaration){
		func(d *juncture.Declaration) {
			testkit.Shares(0.6, 0.2, 0.1, 0.1)(d)
			for _, id := range []string{"five_off", "news"} {
				testkit.Action(id, func(a *juncture.Action) { a.Surfaces = append(a.Surfaces, "cart_email") })(d)
			}
			d.Experiments = append(d.Experiments, juncture.Experiment{ID: "mail", Surface: "cart_email", Status: juncture.StatusRunning, Policy: juncture.PolicyFlat,
				Goal: juncture.Goal{Outcome: "purchase", Window: juncture.Duration(48 * time.Hour)}, Groups: juncture.GroupShares{Policy: 0.7, Random: 0.1, BAU: 0.1, Holdout: 0.1}})
		},
		testkit.Hero(func(e *juncture.Experiment) {
			e.Nudges = []juncture.Nudge{{Action: "news", Factor: 1.7, Owner: "ada", Expires: expires}}
			e.Floors = map[string]float64{"points": 0.05, "five_off/urgent": 0.02}
		}),
		testkit.Hero(func(e *juncture.Experiment) {
			e.Learning = &juncture.Learning{HalfLife: juncture.Duration(30 * 24 * time.Hour), Draw: juncture.DrawFull}
		}),
		testkit.Action("news", func(a *juncture.Action) { a.Copy = append(a.Copy, juncture.Copy{ID: "urgent", Headline: "late"}) }),
		testkit.Action("five_off", func(a *juncture.Action) { a.Rule = `status != "at-risk"` }),
		mail(func(e *juncture.Experiment) {
			e.Policy, e.Learning = juncture.PolicyFixed, &juncture.Learning{Split: map[string]float64{"news": 0.7, "five_off": 0.2, "welcome": 0.1}}
		}),
		mail(func(e *juncture.Experiment) { e.Policy, e.Learning = juncture.PolicyPooled, nil }),
		func(d *juncture.Declaration) { d.Holdouts = []juncture.Holdout{{ID: "everything", Share: 0.1}} },
		testkit.Hero(func(e *juncture.Experiment) { e.Shadow = true }),
		testkit.Hero(func(e *juncture.Experiment) { e.Shadow = false }),
		mail(func(e *juncture.Experiment) { e.Policy = juncture.PolicyGlobal }),
		func(d *juncture.Declaration) {
			for id, action := range map[string]string{"push": "five_off", "drop": "news"} {
				d.Priorities = append(d.Priorities, juncture.Priority{ID: id, Owner: "mia", Action: action, Weight: 0.7, Expires: expires.Add(90 * 24 * time.Hour)})
			}
		},
	}
}

// Every decision of a store is made again from its log to the last digit, whatever its settings were, after a crash and
// after a checkpoint too.
func TestEveryDecisionIsMadeAgain(t *testing.T) {
	s := open(t, mixed()[0])
	s.seasons(1, mixed()...)
	found := s.log()
	if len(found) < 600 {
		t.Fatalf("%d decisions", len(found))
	}
	kinds := map[string]int{}
	hold := func(when string, every int) {
		t.Helper()
		r := s.replayer()
		for i, d := range found {
			if i%every != 0 {
				continue
			}
			v, err := r.Replay(context.Background(), d.Serial)
			if err != nil {
				t.Fatal(err)
			}
			if v.Verdict != juncture.VerdictMatch && (d.Experiment != "" || v.Verdict != juncture.VerdictNone) {
				t.Errorf("%s, decision %d of group %s of %q: %s %+v", when, d.Serial, d.Group, d.Experiment, v.Verdict, v.Parts)
			}
			for _, p := range v.Parts {
				if every == 1 {
					kinds[fmt.Sprint(d.Experiment, " ", d.Group, " ", p.Part, " ", p.Verdict)]++
				}
			}
		}
	}
	hold("at once", 1)
	// What has to be among them for the test to mean something.
	for _, k := range []string{"hero policy probabilities match", "hero random probabilities match", "hero shadow probabilities match", "hero bau pick match",
		"hero holdout group match", "mail policy probabilities match", "mail random pick match", "everything holdout group match", "hero  probabilities match"} {
		if kinds[k] == 0 {
			t.Errorf("no decision has %q: %v", k, kinds)
		}
	}
	s.Restart()
	hold("after a crash", 7)
	s.Checkpoint()
	s.Restart()
	hold("after a checkpoint", 7)
}

// A row that was changed is found, by the part that it bears on.
func TestATamperedRowIsFound(t *testing.T) {
	s := open(t, mixed()[0])
	s.seasons(2, mixed()[:3]...)
	var of juncture.Settled
	for _, d := range s.log() {
		if d.Group == juncture.GroupPolicy && d.Experiment == "hero" && len(d.Ranking) > 2 {
			of = d
			break
		}
	}
	db, err := sql.Open("sqlite3", "file:"+s.Path()+"?_busy_timeout=5000")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	other := of.Ranking[0].Arm
	if other == of.Arm {
		other = of.Ranking[1].Arm
	}
	serial := int64(of.Serial)
	var ranking []byte
	if err := db.QueryRow(`SELECT ranking FROM decisions WHERE serial = ?`, serial).Scan(&ranking); err != nil {
		t.Fatal(err)
	}
	bent := append([]byte(nil), ranking...)
	bent[len(bent)-8] ^= 1 // the last bit of the last probability
	for _, c := range []struct {
		what, part string
		do         string
		args       []any
	}{
		{"the arm", "pick", `UPDATE decisions SET arm = ? WHERE serial = ?`, []any{other, serial}},
		{"one bit of a probability", "probabilities", `UPDATE decisions SET ranking = ? WHERE serial = ?`, []any{bent, serial}},
		{"the group", "group", `UPDATE decisions SET grp = 3 WHERE serial = ?`, []any{serial}},
		{"the share", "group", `UPDATE decisions SET share = 0.5 WHERE serial = ?`, []any{serial}},
		{"the terms", "terms", `UPDATE terms SET body = replace(body, '"factor":1.7', '"factor":1.6')`, nil},
		{"a delta", "probabilities", `UPDATE deltas SET body = (SELECT body FROM deltas WHERE seq = 3) WHERE seq = 2`, nil},
	} {
		t.Run(c.what, func(t *testing.T) {
			for _, q := range []string{`CREATE TABLE kept AS SELECT * FROM decisions`, `CREATE TABLE kept_terms AS SELECT * FROM terms`, `CREATE TABLE kept_deltas AS SELECT * FROM deltas`} {
				if _, err := db.Exec(q); err != nil {
					t.Fatal(err)
				}
			}
			if res, err := db.Exec(c.do, c.args...); err != nil {
				t.Fatal(err)
			} else if n, _ := res.RowsAffected(); n == 0 {
				t.Fatal("nothing was changed")
			}
			v, err := s.replayer().Replay(context.Background(), of.Serial)
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for _, p := range v.Parts {
				found = found || p.Part == c.part && p.Verdict == juncture.VerdictDiffers
			}
			if v.Verdict != juncture.VerdictDiffers || !found {
				t.Errorf("%s was changed, and the replay says %s: %+v", c.what, v.Verdict, v.Parts)
			}
			for _, name := range []string{"decisions", "terms", "deltas"} {
				kept := map[string]string{"decisions": "kept"}[name]
				if kept == "" {
					kept = "kept_" + name
				}
				for _, q := range []string{`DELETE FROM ` + name, `INSERT INTO ` + name + ` SELECT * FROM ` + kept, `DROP TABLE ` + kept} {
					if _, err := db.Exec(q); err != nil {
						t.Fatal(err)
					}
				}
			}
			if v, err := s.replayer().Replay(context.Background(), of.Serial); err != nil || v.Verdict != juncture.VerdictMatch {
				t.Fatalf("put back, and the replay says %+v, %v", v, err)
			}
		})
	}
}

// What is no longer there is said to be unknown, never to differ.
func TestWhatIsGoneIsUnknown(t *testing.T) {
	s := open(t, mixed()[0])
	s.seasons(3, mixed()[:3]...)
	of := s.log()[0]
	for _, d := range s.log() {
		if d.Group == juncture.GroupPolicy && d.Experiment == "hero" {
			of = d
			break
		}
	}
	db, err := sql.Open("sqlite3", "file:"+s.Path()+"?_busy_timeout=5000")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	says := func(part string) {
		t.Helper()
		v, err := s.replayer().Replay(context.Background(), of.Serial)
		if err != nil {
			t.Fatal(err)
		}
		if v.Verdict != juncture.VerdictUnknown {
			t.Errorf("%s is gone, and the replay says %s: %+v", part, v.Verdict, v.Parts)
		}
		for _, p := range v.Parts {
			if p.Part == part && p.Verdict != juncture.VerdictUnknown {
				t.Errorf("%s: %+v", part, p)
			}
		}
	}
	if _, err := s.Engine.Erase(context.Background(), s.Clock.Now(), engine.Who{Actor: "test"}, of.Shopper); err != nil {
		t.Fatal(err)
	}
	says("group")
	if _, err := db.Exec(`DELETE FROM deltas WHERE seq = 1`); err != nil {
		t.Fatal(err)
	}
	says("probabilities")
	if _, err := db.Exec(`DELETE FROM fits`); err != nil {
		t.Fatal(err)
	}
	says("probabilities")
	if _, err := s.replayer().Replay(context.Background(), 7); juncture.ErrorCode(err) != juncture.CodeDecisionNotFound {
		t.Errorf("a decision that never was: %v", err)
	}
}

// What is read again of an experiment, from memory, is what is read anew: also after decisions, a checkpoint, and at
// intersections that were not there before.
func TestEvidenceReadAgainIsEvidenceReadAnew(t *testing.T) {
	s := open(t, testkit.Shares(0.5, 0.2, 0.2, 0.1))
	for round := range 6 {
		for i := range 20 {
			a := s.choose(ask(fmt.Sprint("r", round, "-", i), at("loyal", fmt.Sprint("c", (round*7+i)%11), "", "")))
			if i%3 == 0 {
				s.reward(click(a.DecisionID))
			}
		}
		if round == 3 {
			s.Checkpoint()
		}
		again, err := s.Tallies.Experiment(context.Background(), "hero")
		if err != nil {
			t.Fatal(err)
		}
		fresh, err := engine.NewTallies(context.Background(), s.DB, 1000)
		if err != nil {
			t.Fatal(err)
		}
		anew, err := fresh.Experiment(context.Background(), "hero")
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(anew, again); d != "" || len(anew) < 5 {
			t.Fatalf("round %d, %d cells: %s", round, len(anew), d)
		}
	}
}

// Caps narrow what was drawn among, and an action whose dates are over is no default: a replay knows of both.
func TestCapsAndDatesAreMadeAgain(t *testing.T) {
	shares := testkit.Shares(0.4, 0.2, 0.4, 0)
	s := open(t, shares)
	over := s.Clock.Now().Add(72 * time.Hour)
	s.seasons(3, shares, func(d *juncture.Declaration) {
		testkit.Action(d.Surfaces[0].Default, func(a *juncture.Action) { a.Expires = &over })(d)
		testkit.Action("five_off", func(a *juncture.Action) { a.Cap = &juncture.Cap{PerDay: 3} })(d)
		testkit.Action("news", func(a *juncture.Action) {
			a.Cap = &juncture.Cap{PerShopper: &juncture.Frequency{N: 1, Per: juncture.PerWeek}}
		})(d)
	})
	r, capped, bau := s.replayer(), 0, map[bool]int{}
	for _, d := range s.log() {
		if d.Experiment != "hero" {
			continue
		}
		v, err := r.Replay(context.Background(), d.Serial)
		if err != nil || v.Verdict != juncture.VerdictMatch {
			t.Fatalf("decision %d of group %s at %v: %v %s %+v", d.Serial, d.Group, d.At, err, v.Verdict, v.Parts)
		}
		if d.Group == juncture.GroupBAU {
			bau[d.Arm == 0]++
		}
		for _, f := range d.Refused {
			if strings.Contains(f.Why, "was served it 1 times") || strings.Contains(f.Why, "was served 3 times today") {
				capped++
			}
		}
	}
	if capped == 0 || bau[true] == 0 || bau[false] == 0 {
		t.Errorf("%d arms over their cap, business as usual without a default and with one: %v", capped, bau)
	}
}

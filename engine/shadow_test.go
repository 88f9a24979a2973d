package engine_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/internal/testkit"
)

func inShadow(d *juncture.Declaration) { d.Experiments[0].Shadow = true }

// trialsBy counts the hero's trials by group and arm, of rows that hold any.
func (s *shop) trialsBy() map[string]int64 {
	s.t.Helper()
	names := map[juncture.ArmID]string{0: "-"}
	for name, id := range testkit.Arms(s.t, s.DB) {
		names[id] = name
	}
	out := map[string]int64{}
	for _, c := range s.cells("hero") {
		for _, r := range c.Rows {
			if r.Trials != 0 {
				out[r.Group.String()+" "+names[r.Arm]] += r.Trials
			}
		}
	}
	return out
}

// enrolledBy counts the hero's enrolments by phase and group.
func (s *shop) enrolledBy() map[string]int64 {
	s.t.Helper()
	out := map[string]int64{}
	for _, c := range s.cells("hero") {
		for _, r := range c.Rows {
			if n, ok := r.Enrolments(); ok && n.Enrolled != 0 {
				out[fmt.Sprint(n.Phase, " ", r.Group)] += n.Enrolled
			}
		}
	}
	return out
}

// In shadow what is drawn is what the same store would have drawn out of it, with the same probabilities, logged exactly;
// what is served is the default, and the trial is its.
func TestShadowDrawsAndServesTheDefault(t *testing.T) {
	const n = 45 // under 50 trials nothing is fitted again: the twins believe the same
	shares := testkit.Shares(0.5, 0.2, 0.15, 0.15)
	s, twin := open(t, shares, inShadow), open(t, shares)
	groups := map[juncture.Group]int{}
	for i := range n {
		r := ask(fmt.Sprint("s", i), at([]string{"loyal", "prospect"}[i%2], "", "", ""))
		a, b := s.choose(r), twin.choose(r)
		groups[b.Group]++
		if b.Group == juncture.GroupBAU || b.Group == juncture.GroupHoldout {
			if a.Group != b.Group || served(a) != served(b) || a.Shadow != nil || a.ReasonDetail != b.ReasonDetail {
				t.Errorf("%s as ever: %+v", b.Group, a)
			}
			continue
		}
		is(t, a, juncture.GroupShadow, juncture.ReasonSplit, juncture.DetailShadow)
		if served(a) != "welcome/plain" || a.Probability != 1 || a.Shadow == nil || a.Shadow.ActionID+"/"+a.Shadow.CopyID != served(b) || a.Shadow.Probability != b.Probability {
			t.Errorf("shopper %d: %+v, twin %+v", i, a, b)
		}
		if d := cmp.Diff(b.Ranking, a.Ranking); d != "" || a.PolicyVersion == "" {
			t.Error(d)
		}
		claims, err := s.Engine.OpenDecision(a.DecisionID)
		if err != nil {
			t.Fatal(err)
		}
		d, err := s.DB.Decision(context.Background(), claims.Serial)
		if err != nil {
			t.Fatal(err)
		}
		logged := slices.IndexFunc(d.Ranking, func(r juncture.Ranked) bool { return r.Arm == d.Shadow })
		if logged < 0 || d.Ranking[logged].Probability != b.Probability || d.Probability != 1 || d.Share != 0.7 {
			t.Errorf("logged %+v", d)
		}
	}
	if groups[juncture.GroupRandom] == 0 || groups[juncture.GroupPolicy] == 0 {
		t.Fatalf("the twin's groups: %v", groups)
	}
	shadow := int64(groups[juncture.GroupPolicy] + groups[juncture.GroupRandom])
	want := map[string]int64{"shadow welcome@1/plain@1": shadow, "bau welcome@1/plain@1": int64(groups[juncture.GroupBAU]), "holdout -": int64(groups[juncture.GroupHoldout])}
	if d := cmp.Diff(want, s.trialsBy()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(map[string]int64{"0 shadow": shadow, "0 bau": want["bau welcome@1/plain@1"], "0 holdout": want["holdout -"]}, s.enrolledBy()); d != "" {
		t.Error(d)
	}
	a, err := s.Engine.Choose(context.Background(), s.Clock.Now(), caller(), ask("no", denied))
	if err != nil || served(a) != "welcome/plain" || a.ReasonDetail != juncture.DetailConsentDenied || a.Group != juncture.GroupNone {
		t.Errorf("without consent: %+v, %v", a, err)
	}
	s.Verify()
}

// The trial is of what was really shown; with its probability it teaches in full, as does its outcome.
func TestShadowTeachesWhatWasShown(t *testing.T) {
	s := open(t, inShadow)
	show := func(shopper string, served *juncture.Served) string {
		t.Helper()
		a := s.choose(ask(shopper))
		s.activate(a.DecisionID, served)
		return a.DecisionID
	}
	plain := s.choose(ask("a")).DecisionID
	news := show("b", &juncture.Served{ActionID: "news"})
	told := show("c", &juncture.Served{ActionID: "news", Probability: 0.25})
	same := show("d", &juncture.Served{ActionID: "welcome", Probability: 0.5}) // the default itself, and how likely it was
	later := s.choose(ask("e", deferred)).DecisionID
	s.rewardIs(juncture.StatusHeld, click(later))
	s.activate(later, &juncture.Served{ActionID: "points", CopyID: "plain", Probability: 0.125})
	if a := s.activate(same, &juncture.Served{ActionID: "welcome", Probability: 0.5}); a.Status != "duplicate" {
		t.Errorf("activated again: %+v", a)
	}
	want := map[string]int64{"shadow welcome@1/plain@1": 1, "shadow news@1/plain@1": 1, "served news@1/plain@1": 1, "served welcome@1/plain@1": 1, "served points@1/plain@1": 1}
	if d := cmp.Diff(want, s.trialsBy()); d != "" {
		t.Error(d)
	}
	for _, id := range []string{plain, news, told, same} {
		if a := s.rewardIs(juncture.StatusRecorded, click(id)); !a.Learned {
			t.Errorf("%+v", a)
		}
	}
	s.Verify()
	s.Restart()
	if d := cmp.Diff(want, s.trialsBy()); d != "" {
		t.Error(d)
	}
	if a, err := s.Engine.Activate(context.Background(), s.Clock.Now(), &juncture.ActivateRequest{DecisionID: told, Served: &juncture.Served{ActionID: "points"}}); juncture.ErrorCode(err) != juncture.CodeDecisionConflict {
		t.Errorf("shown otherwise: %+v, %v", a, err)
	}
}

// What the store chose moves the belief when shadow ends, but a thousand of its trials no further than 200 do.
func TestShadowIsAPrior(t *testing.T) {
	after := func(shoppers, successes int) map[string]float64 {
		s := open(t, inShadow)
		for i := range shoppers {
			a := s.choose(ask(fmt.Sprint("s", i)))
			if i < successes {
				s.reward(click(a.DecisionID))
			}
		}
		if err := s.Engine.Fit(context.Background(), "hero", s.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		s.apply()
		out := map[string]float64{}
		for _, r := range s.choose(ask("one more")).Ranking {
			out[r.ActionID] += r.Probability
		}
		return out
	}
	none, some, much := after(0, 0), after(200, 60), after(600, 180)
	if !(some["welcome"] > none["welcome"]) {
		t.Errorf("three in ten succeeded with welcome: %v, before any evidence %v", some, none)
	}
	for id, p := range some {
		if d := much[id] - p; d > 1e-6 || d < -1e-6 {
			t.Errorf("%s: %v after 200, %v after 600", id, p, much[id])
		}
	}
}

// Out of shadow everybody is enrolled anew, by the hash, in a phase of its own; into shadow those who were in keep their
// place, and nothing of the policy is shown to them.
func TestOutOfShadowAndBack(t *testing.T) {
	shares := testkit.Shares(0.5, 0.2, 0.15, 0.15)
	s, twin := open(t, shares, inShadow), open(t, shares)
	const n = 40
	real := map[juncture.Group]int64{}
	for i := range n {
		r := ask(fmt.Sprint("s", i), session("v"))
		s.choose(r)
		real[twin.choose(r).Group]++
	}
	shadow := real[juncture.GroupPolicy] + real[juncture.GroupRandom]
	s.Clock.Advance(time.Minute)
	twin.Clock.Advance(time.Minute)
	s.apply(shares)
	for range 2 { // once is enough
		for i := range n {
			r := ask(fmt.Sprint("s", i), session("v")) // what was shown in shadow does not stick
			if a, b := s.choose(r), twin.choose(r); a.Group != b.Group || a.Shadow != nil {
				t.Fatalf("shopper %d is in %s, their own group is %s", i, a.Group, b.Group)
			}
		}
		s.Restart()
	}
	want := map[string]int64{"0 shadow": shadow, "0 bau": real[juncture.GroupBAU], "0 holdout": real[juncture.GroupHoldout]}
	for g, n := range real {
		want["1 "+g.String()] = n
	}
	if d := cmp.Diff(want, s.enrolledBy()); d != "" {
		t.Error(d)
	}
	s.apply(shares, inShadow)
	for i := range n + 5 {
		a := s.choose(ask(fmt.Sprint("s", i), session("v")))
		if a.Group == juncture.GroupPolicy || a.Group == juncture.GroupRandom || a.Group == juncture.GroupShadow && served(a) != "welcome/plain" {
			t.Fatalf("in shadow again: %+v", a)
		}
	}
	if got := s.enrolledBy(); got["2 shadow"]+got["2 bau"]+got["2 holdout"] != 5 || got["1 policy"] != real[juncture.GroupPolicy] {
		t.Errorf("%v", got)
	}
	if _, err := s.DB.CloseUnits(context.Background(), s.Clock.Advance(40*day)); err != nil {
		t.Fatal(err)
	}
	units := map[string]int64{}
	rows, err := s.DB.UnitRows(context.Background(), "hero")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if r.Day.IsZero() {
			units[fmt.Sprint(r.Phase, " ", r.Group)] += r.Units
		}
	}
	if d := cmp.Diff(s.enrolledBy(), units); d != "" {
		t.Errorf("units of lifts: %s", d)
	}
	s.Verify()
}

package engine_test

import (
	"cmp"
	"context"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/engine"
	"github.com/juncture/juncture/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m, 60) }

// shop is a node with shorthands that fail the test.
type shop struct {
	*testkit.Node
	t testing.TB
}

func open(t testing.TB, changes ...func(*juncture.Declaration)) *shop {
	t.Helper()
	return &shop{testkit.Start(t, testkit.Declaration(changes...)), t}
}

func (s *shop) apply(changes ...func(*juncture.Declaration)) {
	s.t.Helper()
	testkit.Apply(s.t, s.DB, testkit.Declaration(changes...))
}

func caller() engine.Caller { return engine.Caller{KeyID: "storefront"} }

// ask asks the home page for a shopper; changes are made to the request in order.
func ask(shopper string, changes ...func(*juncture.ChooseRequest)) *juncture.ChooseRequest {
	r := &juncture.ChooseRequest{Surface: "home_hero", ShopperID: shopper}
	for _, f := range changes {
		f(r)
	}
	return r
}

func at(moment, meaning, trajectory, catalogue string) func(*juncture.ChooseRequest) {
	return func(r *juncture.ChooseRequest) {
		r.Layers = &juncture.LayerValues{Moment: moment, Meaning: meaning, Trajectory: trajectory, Catalogue: catalogue}
	}
}

func session(id string) func(*juncture.ChooseRequest) {
	return func(r *juncture.ChooseRequest) { r.SessionID = id }
}

func request(id string) func(*juncture.ChooseRequest) {
	return func(r *juncture.ChooseRequest) { r.RequestID = id }
}

func candidates(ids ...string) func(*juncture.ChooseRequest) {
	return func(r *juncture.ChooseRequest) { r.Candidates = ids }
}

func deferred(r *juncture.ChooseRequest) { r.DeferActivation = true }

func granted(r *juncture.ChooseRequest) {
	r.Consent = &juncture.Consent{Personalization: "granted", Analytics: "granted"}
}

func denied(r *juncture.ChooseRequest) { r.Consent = &juncture.Consent{Personalization: "denied"} }

// choose asks and holds every answer to what holds for all of them.
func (s *shop) choose(r *juncture.ChooseRequest) *juncture.ChooseAnswer {
	s.t.Helper()
	a, err := s.Engine.Choose(context.Background(), s.Clock.Now(), caller(), r)
	if err != nil {
		s.t.Fatalf("choose %+v: %v", r, err)
	}
	sound(s.t, a)
	return a
}

func (s *shop) batch(rs ...*juncture.ChooseRequest) []*juncture.ChooseAnswer {
	s.t.Helper()
	out := make([]*juncture.ChooseAnswer, len(rs))
	for i, r := range s.Engine.ChooseBatch(context.Background(), s.Clock.Now(), caller(), rs) {
		if r.Err != nil {
			s.t.Fatalf("item %d: %v", i, r.Err)
		}
		sound(s.t, r.Answer)
		out[i] = r.Answer
	}
	return out
}

func (s *shop) chooseFails(r *juncture.ChooseRequest, code juncture.Code) {
	s.t.Helper()
	a, err := s.Engine.Choose(context.Background(), s.Clock.Now(), caller(), r)
	if juncture.ErrorCode(err) != code || a != nil {
		s.t.Errorf("choose %+v: %+v, %v; want %s", r, a, err, code)
	}
}

func (s *shop) reward(r *juncture.RewardRequest) *juncture.RewardAnswer {
	s.t.Helper()
	a, err := s.Engine.Reward(context.Background(), s.Clock.Now(), r)
	if err != nil {
		s.t.Fatalf("reward %+v: %v", r, err)
	}
	return a
}

// rewardIs rewards and checks the status.
func (s *shop) rewardIs(want juncture.Status, r *juncture.RewardRequest) *juncture.RewardAnswer {
	s.t.Helper()
	a := s.reward(r)
	if a.Status != want {
		s.t.Errorf("reward %+v is %s, want %s", *r, a.Status, want)
	}
	return a
}

func (s *shop) rewardFails(r *juncture.RewardRequest, code juncture.Code) {
	s.t.Helper()
	before := s.Ledger()
	a, err := s.Engine.Reward(context.Background(), s.Clock.Now(), r)
	if juncture.ErrorCode(err) != code || a != nil {
		s.t.Errorf("reward %+v: %+v, %v; want %s", *r, a, err, code)
	}
	if after := s.Ledger(); !reflect.DeepEqual(before, after) {
		s.t.Errorf("reward %+v was refused, and the ledger moved: %+v, then %+v", *r, before, after)
	}
}

func (s *shop) activate(id string, served *juncture.Served) *juncture.ActivateAnswer {
	s.t.Helper()
	a, err := s.Engine.Activate(context.Background(), s.Clock.Now(), &juncture.ActivateRequest{DecisionID: id, Served: served})
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

func click(id string) *juncture.RewardRequest {
	return &juncture.RewardRequest{DecisionID: id, Event: "click"}
}

func buy(id, outcome string, value float64) *juncture.RewardRequest {
	return &juncture.RewardRequest{DecisionID: id, Event: "purchase", OutcomeID: outcome, Value: &value, Currency: "GBP"}
}

// trials and outcomes of all arms in the ledger.
func (s *shop) totals() (trials, outcomes int64) {
	s.t.Helper()
	for _, a := range s.Ledger().Arms {
		trials += a[0]
		outcomes += a[1]
	}
	return trials, outcomes
}

func (s *shop) totalsAre(trials, outcomes int64) {
	s.t.Helper()
	if n, m := s.totals(); n != trials || m != outcomes {
		s.t.Errorf("the ledger has %d trials and %d outcomes, want %d and %d", n, m, trials, outcomes)
	}
	s.Verify()
}

// sound is what every answer holds: probabilities are exact and sum to 1, nothing is nil that JSON must show.
func sound(t testing.TB, a *juncture.ChooseAnswer) {
	t.Helper()
	if a.Products == nil || a.Ranking == nil || a.Warnings == nil || a.DecisionID == "" || a.Reason == "" {
		t.Errorf("something is missing in %+v", a)
	}
	if (a.ActionID == nil) != (a.Action == nil) || (a.Action == nil) != (a.Copy == nil) || a.ActionID != nil && *a.ActionID != a.Action.ID {
		t.Errorf("action and copy do not belong together: %+v", a)
	}
	if len(a.Intersection.Layers) != juncture.LayerCount || !(a.Probability > 0 && a.Probability <= 1) {
		t.Errorf("probability %v, layers %v", a.Probability, a.Intersection.Layers)
	}
	served, probability := a.ActionID, a.Probability
	if a.Shadow != nil { // the ranking is that of what was drawn and not served
		if a.Probability != 1 || a.Group != juncture.GroupShadow && a.Group != juncture.GroupNone {
			t.Errorf("in shadow: %+v", a)
		}
		served, probability = &a.Shadow.ActionID, a.Shadow.Probability
	}
	if served == nil {
		if len(a.Ranking) != 0 || a.Probability != 1 {
			t.Errorf("nothing is served, and the ranking is %v, the probability %v", a.Ranking, a.Probability)
		}
		return
	}
	sum, own := 0.0, math.NaN()
	for _, r := range a.Ranking {
		sum += r.Probability
		if a.Shadow != nil && r.ActionID == *served && r.CopyID == a.Shadow.CopyID || a.Shadow == nil && r.ActionID == *served && r.CopyID == a.Copy.ID {
			own = r.Probability
		}
	}
	if math.Abs(sum-1) > 1e-12 || own != probability {
		t.Errorf("the ranking sums to 1%+g; it gives the arm %v, the answer %v", sum-1, own, probability)
	}
	if !slices.IsSortedFunc(a.Ranking, func(p, q juncture.RankedView) int { return cmp.Compare(q.Probability, p.Probability) }) {
		t.Errorf("the ranking is out of order: %v", a.Ranking)
	}
}

func served(a *juncture.ChooseAnswer) string {
	if a.ActionID == nil {
		return "-"
	}
	return *a.ActionID + "/" + a.Copy.ID
}

// is checks who decided and why.
func is(t testing.TB, a *juncture.ChooseAnswer, group juncture.Group, reason juncture.Reason, detail juncture.Detail) {
	t.Helper()
	if a.Group != group || a.Reason != reason || a.ReasonDetail != detail {
		t.Errorf("answered by group %q, %s %s; want %q, %s %s", a.Group, a.Reason, a.ReasonDetail, group, reason, detail)
	}
}

func warned(t testing.TB, a *juncture.ChooseAnswer, about ...string) {
	t.Helper()
	if len(a.Warnings) != len(about) {
		t.Errorf("warnings %q, want %d", a.Warnings, len(about))
		return
	}
	for i, w := range about {
		if !strings.Contains(a.Warnings[i], w) {
			t.Errorf("warning %q does not tell of %q", a.Warnings[i], w)
		}
	}
}

const day = 24 * time.Hour

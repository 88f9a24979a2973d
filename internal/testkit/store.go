package testkit

import (
	"context"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/pool"
	"github.com/juncture/juncture/store"
)

// Declaration is a small store: one onsite surface with four actions under one running experiment that learns clicks,
// an e-mail surface without any, and every layer sent by the caller. changes are made to it in order.
func Declaration(changes ...func(*juncture.Declaration)) *juncture.Declaration {
	sent := juncture.LayerSetting{Source: juncture.SourceRequest}
	action := func(id string, copies ...string) juncture.Action {
		a := juncture.Action{ID: id, Surfaces: []string{"home_hero"}, Type: "content"}
		for _, c := range copies {
			a.Copy = append(a.Copy, juncture.Copy{ID: c, Headline: id + " " + c})
		}
		return a
	}
	welcome := action("welcome", "plain")
	welcome.Surfaces = append(welcome.Surfaces, "cart_email")
	d := &juncture.Declaration{
		Store:  juncture.StoreInfo{Name: "Test", Currency: "GBP"},
		Layers: map[string]juncture.LayerSetting{"moment": sent, "meaning": sent, "trajectory": sent, "catalogue": sent},
		Outcomes: []juncture.OutcomeType{{Name: "click", Type: juncture.OutcomeBinary},
			{Name: "purchase", Type: juncture.OutcomeMoney, Bound: 5000}},
		Surfaces: []juncture.Surface{{ID: "home_hero", Channel: "onsite", Default: "welcome"}, {ID: "cart_email", Channel: "email", Default: "welcome"}},
		Actions:  []juncture.Action{welcome, action("five_off", "plain", "urgent"), action("news", "plain"), action("points", "plain")},
		Experiments: []juncture.Experiment{{ID: "hero", Surface: "home_hero", Status: juncture.StatusRunning,
			Goal: juncture.Goal{Outcome: "click", Window: juncture.Duration(24 * time.Hour)}, Groups: juncture.GroupShares{Policy: 1}}},
	}
	for _, f := range changes {
		f(d)
	}
	return d
}

// Shares sets the groups of the experiment.
func Shares(policy, random, bau, holdout float64) func(*juncture.Declaration) {
	return func(d *juncture.Declaration) {
		d.Experiments[0].Groups = juncture.GroupShares{Policy: policy, Random: random, BAU: bau, Holdout: holdout}
	}
}

// Hero changes the experiment.
func Hero(f func(*juncture.Experiment)) func(*juncture.Declaration) {
	return func(d *juncture.Declaration) { f(&d.Experiments[0]) }
}

// Action changes one action.
func Action(id string, f func(*juncture.Action)) func(*juncture.Declaration) {
	return func(d *juncture.Declaration) {
		for i := range d.Actions {
			if d.Actions[i].ID == id {
				f(&d.Actions[i])
			}
		}
	}
}

// Apply brings a database to a declaration, everything approved, and returns what was changed.
func Apply(t testing.TB, db *store.DB, d *juncture.Declaration) juncture.Change {
	t.Helper()
	return apply(t, db, d, true)
}

// Submit brings a database to a declaration without approving anything.
func Submit(t testing.TB, db *store.DB, d *juncture.Declaration) juncture.Change {
	t.Helper()
	return apply(t, db, d, false)
}

func apply(t testing.TB, db *store.DB, d *juncture.Declaration, approve bool) juncture.Change {
	t.Helper()
	if p := d.Problems(); len(p) > 0 {
		t.Fatalf("the test's declaration has problems: %+v", p)
	}
	catalog, err := db.Catalog(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	change, err := pool.Plan(catalog, d, approve, "test", "test", Epoch())
	if err != nil {
		t.Fatal(err)
	}
	if change.Empty() {
		return change
	}
	if err := db.Change(context.Background(), change); err != nil {
		t.Fatal(err)
	}
	return change
}

// Arms numbers the arms of a database by their names.
func Arms(t testing.TB, db *store.DB) map[string]juncture.ArmID {
	t.Helper()
	c, err := db.Catalog(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]juncture.ArmID{}
	for arm, id := range c.Arms {
		out[arm.String()] = id
	}
	return out
}

package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/store"
)

func settled(t *testing.T, open func(t *testing.T) *store.DB) {
	ctx := context.Background()
	t.Run("DecisionsComeWithAllThatCameForThem", func(t *testing.T) {
		d := begin(t, open(t))
		start := d.clock.Now()
		random := write(d.claims(func(c *juncture.Claims) { c.Group = juncture.GroupRandom }))
		random.Decision.Policy = []float64{0.1, 0.9}
		d.commit(&juncture.Entry{Decisions: []*juncture.DecisionWrite{random}})
		other := d.decide(func(c *juncture.Claims) { c.Experiment = "other" })
		d.clock.Advance(time.Hour)
		mail := d.decide(func(c *juncture.Claims) { c.Deferred = true })
		d.clock.Advance(time.Hour)
		late := d.decide()
		act := d.activation(mail, 2)
		click, order, elsewhere := d.outcome(mail, "click", "a", 1), d.outcome(mail, "purchase", "b", 250), d.outcome(other, "click", "c", 1)
		d.write(act, elsewhere)
		d.write(order, click)

		read := func(experiment string, from, to time.Time) (found []juncture.Settled) {
			t.Helper()
			check(t, d.db.EachSettled(ctx, experiment, from, to, func(s juncture.Settled) error { found = append(found, s); return nil }))
			return found
		}
		all := read("hero", time.Time{}, time.Time{})
		want := []juncture.Settled{{Decision: random.Decision, SigningKey: 1}, {Decision: write(mail).Decision, SigningKey: 1, Activation: &act.Activation,
			Outcomes: []juncture.Outcome{click.Result, order.Result}}, {Decision: write(late).Decision, SigningKey: 1}}
		if diff := cmp.Diff(want, all); diff != "" {
			t.Errorf("hero:\n%s", diff)
		}
		if diff := cmp.Diff(want[1:2], read("hero", start.Add(time.Hour), start.Add(2*time.Hour))); diff != "" {
			t.Errorf("from is inclusive and to is not:\n%s", diff)
		}
		if got := read("", time.Time{}, time.Time{}); len(got) != 4 || got[1].Serial != other.Serial || len(got[1].Outcomes) != 1 {
			t.Errorf("every experiment: %+v", got)
		}
		if got := read("none", time.Time{}, time.Time{}); got != nil {
			t.Errorf("no such experiment: %+v", got)
		}
		stop := errors.New("stop")
		if err := d.db.EachSettled(ctx, "", time.Time{}, time.Time{}, func(juncture.Settled) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("an error of the reader's own: %v", err)
		}
		d.agrees()
	})
}

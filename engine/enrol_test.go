package engine_test

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/engine"
	"github.com/juncture/juncture/internal/testkit"
)

// groups of so many shoppers, by who decided.
func (s *shop) groups(prefix string, n int) map[juncture.Group]int {
	s.t.Helper()
	out := map[juncture.Group]int{}
	for i := range n {
		out[s.choose(ask(fmt.Sprint(prefix, i))).Group]++
	}
	return out
}

// near fails where a count is more than four standard errors from its share: one in 16,000 by chance.
func near(t testing.TB, what string, got, of int, share float64) {
	t.Helper()
	if se := math.Sqrt(float64(of) * share * (1 - share)); math.Abs(float64(got)-float64(of)*share) > 4*se {
		t.Errorf("%s: %d of %d, expected %.0f ± %.0f", what, got, of, float64(of)*share, se)
	}
}

// Shares grow only out of unallocated traffic: who is in keeps the group, others come in by the new shares, in a phase of
// their own.
func TestSharesGrow(t *testing.T) {
	quarter := testkit.Hero(func(e *juncture.Experiment) {
		e.Traffic, e.Groups = new(0.4), juncture.GroupShares{Policy: 0.5, Holdout: 0.5}
	})
	s := open(t, quarter)
	const n = 600
	before := map[string]juncture.Group{}
	in := 0
	for i := range n {
		id := fmt.Sprint("s", i)
		if before[id] = s.choose(ask(id)).Group; before[id] != juncture.GroupNone {
			in++
		}
	}
	near(t, "in", in, n, 0.4)
	// Policy from 0.2 to 0.8 of all shoppers, the holdout stays at 0.2.
	s.apply(testkit.Hero(func(e *juncture.Experiment) { e.Groups = juncture.GroupShares{Policy: 0.8, Holdout: 0.2} }))
	fresh := map[juncture.Group]int{}
	for id, was := range before {
		is := s.choose(ask(id)).Group
		if was != juncture.GroupNone && is != was {
			t.Fatalf("%s moved from %s to %s", id, was, is)
		} else if was == juncture.GroupNone {
			fresh[is]++
		}
	}
	near(t, "new ones to the policy", fresh[juncture.GroupPolicy], n-in, 0.8)
	phases := map[int]int64{}
	for _, c := range s.cells("hero") {
		for _, r := range c.Rows {
			if k, ok := r.Enrolments(); ok {
				phases[k.Phase] += k.Enrolled
			}
		}
	}
	if phases[0] != int64(in) || phases[1] != int64(n-in) {
		t.Errorf("%v, %d were in before", phases, in)
	}
	s.Verify()
}

// A holdout stands above the experiments that it covers; its shoppers are no part of them, and those let through are
// enrolled in it as in the experiment.
func TestHoldouts(t *testing.T) {
	s := open(t, testkit.Shares(0.5, 0, 0.5, 0), func(d *juncture.Declaration) {
		d.Experiments[0].Tags = []string{"onsite"}
		d.Holdouts = []juncture.Holdout{{ID: "everything", Share: 0.2}, {ID: "pages", Share: 0.25, Tags: []string{"onsite"}}, {ID: "mails", Share: 0.5, Tags: []string{"mail"}}}
	})
	const n = 800
	got := s.groups("s", n)
	near(t, "held out", got[juncture.GroupHoldout], n, 1-0.8*0.75)
	near(t, "policy", got[juncture.GroupPolicy], n, 0.8*0.75/2)
	by := map[string]int64{}
	for _, x := range []string{"everything", "pages", "mails", "hero"} {
		cells, err := s.Tallies.Experiment(context.Background(), x)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cells {
			for _, r := range c.Rows {
				if k, ok := r.Enrolments(); ok {
					by[x+" "+r.Group.String()] += k.Enrolled
				}
			}
		}
	}
	if by["everything policy"]+by["everything holdout"] != n || by["pages policy"]+by["pages holdout"] != n {
		t.Errorf("everybody who came is in a holdout's groups: %v", by)
	}
	if by["hero policy"]+by["hero bau"] != int64(n-got[juncture.GroupHoldout]) || by["hero holdout"]+by["mails policy"] != 0 {
		t.Errorf("%v, groups %v", by, got)
	}
	near(t, "everything", int(by["everything holdout"]), n, 0.2)
	near(t, "pages", int(by["pages holdout"]), n, 0.25)
	s.Verify()
}

// Experiments of one namespace share no shopper.
func TestNamespaces(t *testing.T) {
	s := open(t, func(d *juncture.Declaration) {
		mail := d.Experiments[0]
		mail.ID, mail.Surface, mail.Stickiness = "mail", "cart_email", ""
		d.Experiments = append(d.Experiments, mail)
		for i, slice := range []juncture.Slice{{From: 0, To: 0.3}, {From: 0.3, To: 1}} {
			d.Experiments[i].Namespace, d.Experiments[i].Slice = "checkout", &slice
		}
	})
	const n = 300
	first, second := 0, 0
	for i := range n {
		a, b := s.choose(ask(fmt.Sprint("s", i))), s.choose(ask(fmt.Sprint("s", i), func(r *juncture.ChooseRequest) { r.Surface = "cart_email" }))
		if (a.Group == juncture.GroupNone) == (b.Group == juncture.GroupNone) {
			t.Fatalf("shopper %d is in %q and %q", i, a.Group, b.Group)
		}
		if a.Group != juncture.GroupNone {
			first++
		} else {
			second++
		}
	}
	near(t, "the first slice", first, n, 0.3)
	near(t, "the second slice", second, n, 0.7)
}

// The group of a shopper who proves to be two is that of the first enrolment, at once, and on every node after a restart.
func TestAMergedShopperKeepsTheFirstGroup(t *testing.T) {
	s := open(t, testkit.Shares(0.5, 0, 0, 0.5))
	find := func(prefix string, g juncture.Group) string {
		for i := 0; ; i++ {
			id := fmt.Sprint(prefix, i)
			if a := s.choose(ask(id)); a.Group == g {
				return id
			}
		}
	}
	device := find("device", juncture.GroupHoldout)
	s.Clock.Advance(time.Minute)
	person := find("person", juncture.GroupPolicy)
	s.tells(engine.Incoming{UserID: person, AnonymousID: device, Event: juncture.Event{ID: "m", Kind: juncture.EventIdentified}})
	for range 2 {
		for _, id := range []string{device, person} {
			if a := s.choose(ask(id)); a.Group != juncture.GroupHoldout {
				t.Errorf("%s is in %s", id, a.Group)
			}
		}
		s.Restart()
	}
	s.Verify()
}

// Nobody is enrolled before something is eligible, by a preview, or without consent.
func TestWhoIsNotEnrolled(t *testing.T) {
	s := open(t)
	s.choose(ask("narrowed", candidates("ghost")))
	s.choose(ask("no", denied))
	if _, err := s.Engine.Choose(context.Background(), s.Clock.Now(), engine.Caller{KeyID: "qa", Admin: true}, ask("qa", func(r *juncture.ChooseRequest) {
		r.Preview = &juncture.Preview{ActionID: "news"}
	})); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"narrowed", "no", "qa"} {
		if held, err := s.DB.Enrolments(context.Background(), id); err != nil || len(held) != 0 {
			t.Errorf("%s: %+v, %v", id, held, err)
		}
	}
	s.choose(ask("narrowed"))
	if held, err := s.DB.Enrolments(context.Background(), "narrowed"); err != nil || len(held) != 1 {
		t.Errorf("%+v, %v", held, err)
	}
}

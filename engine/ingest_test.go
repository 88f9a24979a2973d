package engine_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/engine"
)

func (s *shop) track(id string, kind juncture.EventKind, user, anonymous string, at time.Time) engine.Taken {
	s.t.Helper()
	t, err := s.Engine.Ingest(context.Background(), s.Clock.Now(), []engine.Incoming{{UserID: user, AnonymousID: anonymous, Raw: []byte("{}"),
		Event: juncture.Event{ID: id, Kind: kind, Name: "x", At: at, Order: id, Value: 1000, Lines: []juncture.Line{{Product: "p" + id, Category: "c", Quantity: 1, Price: 1000}}}}}, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return t
}

// What is known of shoppers is the same after a crash: profiles that were written, those that were not, and merges that
// fell between.
func TestProfilesSurviveACrash(t *testing.T) {
	s := open(t, func(d *juncture.Declaration) {
		d.Layers["moment"] = juncture.LayerSetting{Source: juncture.SourceDerived}
	})
	now := s.Clock.Now()
	for i := range 60 {
		s.track(fmt.Sprint("v", i), juncture.EventProductViewed, "", fmt.Sprint("anon-", i%6), now.Add(time.Duration(i)*time.Minute))
		switch i {
		case 20:
			if _, err := s.Writer.CheckpointProfiles(context.Background()); err != nil {
				t.Fatal(err)
			}
		case 30:
			s.track("i1", juncture.EventIdentified, "ada", "anon-1", now.Add(31*time.Minute))
			s.track("o1", juncture.EventOrderCompleted, "ada", "", now.Add(31*time.Minute))
		case 40: // anon-2 becomes part of anon-1
			s.track("i2", juncture.EventIdentified, "ada", "anon-2", now.Add(41*time.Minute))
			if _, err := s.Writer.CheckpointProfiles(context.Background()); err != nil {
				t.Fatal(err)
			}
		case 50: // and anon-3, which is not written before the crash
			s.track("i3", juncture.EventIdentified, "ada", "anon-3", now.Add(51*time.Minute))
		}
	}
	if got := s.track("o1", juncture.EventOrderCompleted, "ada", "", now); got.Duplicates != 1 {
		t.Errorf("a message told again: %+v", got)
	}
	s.Clock.Advance(2 * time.Hour)
	read := func() map[string]*juncture.ProfileView {
		out := map[string]*juncture.ProfileView{}
		for _, id := range []string{"ada", "anon-0", "anon-1", "anon-2", "anon-3", "anon-4", "anon-5"} {
			p, err := s.Engine.Profile(context.Background(), id, s.Clock.Now())
			if err != nil {
				t.Fatal(err)
			}
			out[id] = p
		}
		return out
	}
	before := read()
	if p := before["anon-3"]; p.CustomerID != "ada" || p.PurchaseCount != 1 {
		t.Errorf("anon-3 is %+v", p)
	}
	for round := range 2 {
		s.Restart()
		if diff := cmp.Diff(before, read()); diff != "" {
			t.Errorf("restart %d:\n%s", round, diff)
		}
		if _, err := s.Writer.CheckpointProfiles(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if a := s.choose(ask("ada")); a.Intersection.Key != before["ada"].Segment {
		t.Errorf("chosen at %s, the profile says %s", a.Intersection.Key, before["ada"].Segment)
	}
}

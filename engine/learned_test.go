package engine_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/engine"
	"github.com/juncture/juncture/internal/testkit"
)

// derived is a store that derives every layer, with an action of three product slots beside the pool's own.
func derived(d *juncture.Declaration) {
	for _, l := range juncture.Layers() {
		d.Layers[l.String()] = juncture.LayerSetting{Source: juncture.SourceDerived}
	}
	d.Layers["meaning"] = juncture.LayerSetting{Source: juncture.SourceDerived, Clusters: 2}
	d.Actions = append(d.Actions, juncture.Action{ID: "picks", Type: "products", Surfaces: []string{"home_hero"}, Slots: 3,
		Copy: []juncture.Copy{{ID: "plain", Headline: "Picked for you"}}})
}

// goods are shirts and dresses, twenty each, in stock.
func goods() []juncture.Product {
	var out []juncture.Product
	for i := range 20 {
		out = append(out,
			juncture.Product{ID: fmt.Sprint("shirt-", i), Title: "Linen shirt", Category: "shirts", Price: 2000 + int64(i), Stock: 5, Attrs: map[string]string{"colour": "navy"}},
			juncture.Product{ID: fmt.Sprint("dress-", i), Title: "Silk dress", Category: "dresses", Price: 9000 + int64(i), Stock: 5, Attrs: map[string]string{"colour": "red"}})
	}
	return out
}

func (s *shop) put(products ...juncture.Product) {
	s.t.Helper()
	if _, err := s.Engine.PutProducts(context.Background(), s.Clock.Now(), products); err != nil {
		s.t.Fatal(err)
	}
}

// saw has a shopper view products of a sort, and buy the last.
func (s *shop) saw(who, sort string, n int) {
	s.t.Helper()
	var in []engine.Incoming
	for i := range n {
		kind := juncture.EventProductViewed
		if i == n-1 {
			kind = juncture.EventOrderCompleted
		}
		id := fmt.Sprint(who, "-", sort, "-", i)
		in = append(in, engine.Incoming{UserID: who, Raw: []byte("{}"), Event: juncture.Event{ID: id, Kind: kind, At: s.Clock.Now().Add(time.Duration(i) * time.Second), Order: id,
			Value: 1000, Lines: []juncture.Line{{Product: fmt.Sprint(sort, "-", (i*7+len(who)*3+int(who[len(who)-1]))%20), Quantity: 1}}}})
	}
	if _, err := s.Engine.Ingest(context.Background(), s.Clock.Now(), in, nil); err != nil {
		s.t.Fatal(err)
	}
}

// learn has the store write its profiles, learn its clusters and stock its shelf.
func (s *shop) learn() juncture.RefitView {
	s.t.Helper()
	ctx := context.Background()
	if _, err := s.Writer.CheckpointProfiles(ctx); err != nil {
		s.t.Fatal(err)
	}
	v, err := s.Engine.Refit(ctx, s.Clock.Now(), engine.Who{Actor: "test", From: "test"})
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.Learned.Recount(ctx); err != nil {
		s.t.Fatal(err)
	}
	s.Learned.Restock(s.Clock.Now())
	return v
}

// taught is a store of 40 shirt people and 40 dress people that has learnt them apart.
func taught(t *testing.T, changes ...func(*juncture.Declaration)) *shop {
	s := open(t, append([]func(*juncture.Declaration){derived}, changes...)...)
	s.put(goods()...)
	for i := range 40 {
		s.saw(fmt.Sprint("shirt-lover-", i), "shirt", 5)
		s.saw(fmt.Sprint("dress-lover-", i), "dress", 5)
	}
	s.learn()
	return s
}

func picks(r *juncture.ChooseRequest) { r.Candidates = []string{"picks"} }

func products(a *juncture.ChooseAnswer) string {
	var out []string
	for _, p := range a.Products {
		out = append(out, p.ID)
	}
	return strings.Join(out, " ")
}

func TestTasteClustersNameTheIntersection(t *testing.T) {
	s := taught(t)
	shirts, dresses := s.choose(ask("shirt-lover-1")), s.choose(ask("dress-lover-1"))
	a, b := shirts.Intersection.Layers["meaning"], dresses.Intersection.Layers["meaning"]
	if a.Value == b.Value || !strings.Contains(a.Value, "shirt") || !strings.Contains(b.Value, "dress") || a.Confidence <= 0 || a.Reason == "" {
		t.Errorf("meaning %+v and %+v", a, b)
	}
	if c := shirts.Intersection.Layers["catalogue"]; c.Value != "shirts" || shirts.Intersection.Tier != "full" {
		t.Errorf("catalogue %+v at tier %s", c, shirts.Intersection.Tier)
	}
	if shirts.ReasonDetail != "" {
		t.Errorf("detail %s", shirts.ReasonDetail)
	}
	nobody := s.choose(ask("nobody"))
	if nobody.ReasonDetail != juncture.DetailLowDataQuality || nobody.Intersection.Layers["meaning"].Value != "_" || nobody.ActionID == nil {
		t.Errorf("of nobody: %s, %+v", nobody.ReasonDetail, nobody.Intersection)
	}
}

// Learning again with another catalogue: ids survive, so what the bandit learnt at their intersections is still there,
// and a name that a person gave stays.
func TestRefitKeepsWhatWasLearnt(t *testing.T) {
	s := taught(t)
	before := s.choose(ask("dress-lover-2"))
	for range 5 {
		s.rewardIs(juncture.StatusRecorded, click(s.choose(ask("dress-lover-2")).DecisionID))
	}
	id := before.Intersection.Layers["meaning"].Value
	if err := s.Engine.ChangeCluster(context.Background(), s.Clock.Now(), engine.Who{Actor: "user:mia", From: "console"}, id, juncture.ClusterChange{Name: new("Evening"),
		Voice: &juncture.VoiceView{Tone: "warm", Use: []string{"silk"}}}); err != nil {
		t.Fatal(err)
	}
	changed := goods()
	for i := range changed { // prices rise, a brand comes, the title is another
		changed[i].Price += 1500
		changed[i].Brand = "Acme"
		changed[i].Title = strings.Replace(changed[i].Title, "Silk", "Satin", 1)
	}
	s.put(changed...)
	v := s.learn()
	if v.Kept != v.Clusters || len(v.New)+len(v.Retired) != 0 || v.Of != 80 || v.Moved > 0 {
		t.Errorf("refit %+v", v)
	}
	after := s.choose(ask("dress-lover-2"))
	if after.Intersection.Key != before.Intersection.Key || after.Intersection.OwnEvidence+after.Intersection.Borrowed <= before.Intersection.OwnEvidence+before.Intersection.Borrowed {
		t.Errorf("before at %s, after at %s with %v own", before.Intersection.Key, after.Intersection.Key, after.Intersection.OwnEvidence)
	}
	i := slices.IndexFunc(s.Engine.Clusters().Items, func(c juncture.ClusterView) bool { return c.ID == id })
	if c := s.Engine.Clusters().Items[max(i, 0)]; i < 0 || c.Name != "Evening" || c.Voice.Tone != "warm" {
		t.Errorf("clusters %+v", s.Engine.Clusters())
	}
	clusters := s.Engine.Clusters()
	s.Restart()
	if d := cmp.Diff(clusters, s.Engine.Clusters()); d != "" {
		t.Errorf("after a restart: %s", d)
	}
}

func TestSlotsAreFilledFromStock(t *testing.T) {
	s := taught(t, func(d *juncture.Declaration) {
		d.Actions = append(d.Actions, juncture.Action{ID: "edit", Type: "products", Surfaces: []string{"home_hero"}, Slots: 3, Products: []string{"dress-19", "shirt-19"},
			Copy: []juncture.Copy{{ID: "plain", Headline: "The edit"}}})
		d.Actions[len(d.Actions)-1].Editorial = 1
		d.Editorial = []juncture.Editorial{{ID: "linen", Title: "How to iron linen", URL: "/linen", Category: "shirts"}, {ID: "story", Title: "Our story", URL: "/story"}}
	})
	shirts := s.choose(ask("shirt-lover-3", picks))
	if len(shirts.Products) != 3 {
		t.Fatalf("products %+v", shirts.Products)
	}
	for _, p := range shirts.Products {
		if p.Category != "shirts" || p.Why == "" || p.Source == "" || p.Price < 20 || p.Currency != "GBP" {
			t.Errorf("for a shirt lover: %+v", p)
		}
	}
	gone := shirts.Products[0].ID
	out := goods()[slices.IndexFunc(goods(), func(p juncture.Product) bool { return p.ID == gone })]
	out.Stock = 0
	s.put(out)
	if a := s.choose(ask("shirt-lover-3", picks)); strings.Contains(products(a), gone) || len(a.Products) != 3 {
		t.Errorf("%s is out of stock, and shown: %s", gone, products(a))
	}
	edit := s.choose(ask("shirt-lover-3", candidates("edit")))
	if !strings.HasPrefix(products(edit), "dress-19 shirt-19 ") || len(edit.Editorial) != 1 || edit.Editorial[0].ID != "linen" {
		t.Errorf("the edit: %s, %+v", products(edit), edit.Editorial)
	}
	for _, id := range []string{"dress-19", "shirt-19"} {
		p := juncture.Product{ID: id, Title: "gone", Category: "shirts", Price: 1, Stock: 0}
		s.put(p)
	}
	a := s.choose(ask("shirt-lover-3", func(r *juncture.ChooseRequest) { r.Explain = true }))
	for _, r := range a.Ranking {
		if r.ActionID == "edit" {
			t.Error("an action whose products are all out of stock is eligible")
		}
	}
	if !slices.ContainsFunc(a.Explanation.Filtered, func(f juncture.FilteredView) bool { return f.ActionID == "edit" && strings.Contains(f.Why, "stock") }) {
		t.Errorf("filtered %+v", a.Explanation.Filtered)
	}
	page := s.choose(ask("nobody", picks, func(r *juncture.ChooseRequest) { r.Context = map[string]any{"category": "dresses"} }))
	for _, p := range page.Products {
		if p.Category != "dresses" {
			t.Errorf("on a page of dresses: %+v", p)
		}
	}
}

// A repeated answer leaves out what has sold out since.
func TestRepeatedAnswersShowNothingSoldOut(t *testing.T) {
	s := taught(t, testkit.Hero(func(e *juncture.Experiment) { e.Stickiness = juncture.StickyWindow }))
	for _, again := range []func(*juncture.ChooseRequest){request("r1"), func(*juncture.ChooseRequest) {}} {
		first := s.choose(ask("dress-lover-5", picks, again))
		gone := first.Products[0].ID
		s.put(juncture.Product{ID: gone, Title: "gone", Category: "dresses", Price: 1, Stock: 0})
		second := s.choose(ask("dress-lover-5", picks, again))
		if second.DecisionID != first.DecisionID || len(second.Products) >= len(first.Products) || strings.Contains(products(second), gone) {
			t.Errorf("%s, then %s after %s sold out", products(first), products(second), gone)
		}
	}
}

// What is said of consent once travels with the identity, over merges and restarts, until something else is said.
func TestConsentTravels(t *testing.T) {
	s := open(t, derived)
	said := func(word string) func(*juncture.ChooseRequest) {
		return func(r *juncture.ChooseRequest) { r.Consent = &juncture.Consent{Personalization: word, Analytics: word} }
	}
	isDenied := func(what string, r *juncture.ChooseRequest, want bool) {
		t.Helper()
		s.Clock.Advance(time.Minute)
		if a := s.choose(r); (a.ReasonDetail == juncture.DetailConsentDenied) != want {
			t.Errorf("%s: %s", what, a.ReasonDetail)
		}
	}
	isDenied("nothing said", ask("ada"), false)
	isDenied("said now", ask("ada", said("denied")), true)
	isDenied("said before", ask("ada"), true)
	isDenied("unknown is nothing", ask("ada", said("unknown")), true)
	s.Restart()
	isDenied("said before the restart", ask("ada"), true)
	if got := s.track("v1", juncture.EventProductViewed, "ada", "", s.Clock.Now()); got.Denied != 1 || got.Accepted != 0 {
		t.Errorf("an event of somebody who denied: %+v", got)
	}
	isDenied("granted", ask("ada", said("granted")), false)
	isDenied("after it", ask("ada"), false)
	if got := s.track("v2", juncture.EventProductViewed, "ada", "", s.Clock.Now()); got.Accepted != 1 {
		t.Errorf("an event after consent: %+v", got)
	}
	// A tracker says no on a device; the device turns out to be ada's.
	s.Clock.Advance(time.Minute)
	if _, err := s.Engine.Ingest(context.Background(), s.Clock.Now(), []engine.Incoming{{AnonymousID: "phone", Raw: []byte("{}"),
		Event: juncture.Event{ID: "no", Kind: juncture.EventPageViewed, At: s.Clock.Now()}, Consent: juncture.ConsentRecord{Analytics: juncture.ConsentDenied}}}, nil); err != nil {
		t.Fatal(err)
	}
	isDenied("the device", &juncture.ChooseRequest{Surface: "home_hero", AnonymousID: "phone"}, true)
	isDenied("both", &juncture.ChooseRequest{Surface: "home_hero", AnonymousID: "phone", ShopperID: "ada"}, true)
	p, err := s.Engine.Profile(context.Background(), "ada", s.Clock.Now())
	if err != nil || p.Consent == "" {
		t.Errorf("profile: %+v, %v", p, err)
	}
}

func TestErase(t *testing.T) {
	s := taught(t)
	s.choose(&juncture.ChooseRequest{Surface: "home_hero", AnonymousID: "tablet", ShopperID: "dress-lover-7"})
	d := s.choose(ask("dress-lover-7", session("s1")))
	s.rewardIs(juncture.StatusRecorded, click(d.DecisionID))
	trials, outcomes := s.totals()
	x, err := s.Engine.Erase(context.Background(), s.Clock.Now(), engine.Who{Actor: "key:k", From: "api"}, "tablet")
	if err != nil || x.Events != 5 || x.Decisions != 2 {
		t.Fatalf("%+v, %v", x, err)
	}
	check := func(when string) {
		t.Helper()
		if _, err := s.Engine.Profile(context.Background(), "dress-lover-7", s.Clock.Now()); juncture.ErrorCode(err) != juncture.CodeNotFound {
			t.Errorf("%s: there is a profile: %v", when, err)
		}
		if a := s.choose(ask("dress-lover-7", picks)); a.Intersection.Layers["meaning"].Value != "_" {
			t.Errorf("%s: described as %s", when, a.Intersection.Key)
		}
	}
	s.totalsAre(trials, outcomes)
	s.Verify()
	check("at once")
	if _, err := s.Writer.CheckpointProfiles(context.Background()); err != nil {
		t.Fatal(err)
	}
	s.Restart()
	check("after a restart")
	if _, err := s.Engine.Erase(context.Background(), s.Clock.Now(), engine.Who{}, "never-seen"); juncture.ErrorCode(err) != juncture.CodeNotFound {
		t.Errorf("nobody erased: %v", err)
	}
}

// Two profiles that /choose finds to be one shopper become one.
func TestChooseWithBothIDsUnitesTwoProfiles(t *testing.T) {
	s := open(t, derived)
	s.saw("ada", "shirt", 3)
	if _, err := s.Engine.Ingest(context.Background(), s.Clock.Now(), []engine.Incoming{{AnonymousID: "phone", Raw: []byte("{}"),
		Event: juncture.Event{ID: "o", Kind: juncture.EventOrderCompleted, Order: "o", Value: 500, At: s.Clock.Now().Add(time.Hour)}}}, nil); err != nil {
		t.Fatal(err)
	}
	s.choose(&juncture.ChooseRequest{Surface: "home_hero", ShopperID: "ada", AnonymousID: "phone"})
	for _, id := range []string{"ada", "phone"} {
		if p, err := s.Engine.Profile(context.Background(), id, s.Clock.Now()); err != nil || p.CustomerID != "ada" || p.PurchaseCount != 2 {
			t.Errorf("%s: %+v, %v", id, p, err)
		}
	}
}

// Time alone moves a shopper; the sweep finds them and the movement is written down.
func TestSweepFindsWhomTimeMoved(t *testing.T) {
	s := open(t, derived)
	s.saw("ada", "shirt", 4)
	ctx := context.Background()
	sweep := func() (looked, moved int) {
		t.Helper()
		looked, moved, err := s.Profiles.Sweep(ctx, s.DB, s.Clock.Now(), s.Writer.CheckpointProfiles)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Writer.CheckpointProfiles(ctx); err != nil {
			t.Fatal(err)
		}
		return looked, moved
	}
	if _, err := s.Writer.CheckpointProfiles(ctx); err != nil {
		t.Fatal(err)
	}
	s.Clock.Advance(time.Minute)
	if _, moved := sweep(); moved > 1 { // live intent may have ended
		t.Errorf("%d moved in a minute", moved)
	}
	s.Clock.Advance(100 * 24 * time.Hour)
	if looked, moved := sweep(); looked != 1 || moved != 1 {
		t.Errorf("after 100 days %d of %d moved", moved, looked)
	}
	if looked, moved := sweep(); looked != 1 || moved != 0 {
		t.Errorf("at once again %d of %d moved", moved, looked)
	}
	moves, err := s.DB.MovementsOf(ctx, "ada", 10)
	if err != nil || len(moves) == 0 || moves[0].Axis != "status" || moves[0].From != "freshly-converted" || moves[0].To != "dormant" || moves[0].Reason != "no event for 100 days" {
		t.Errorf("%+v, %v", moves, err)
	}
}

// A sweep that moves everybody keeps no more in memory than profiles may wait there.
func TestSweepIsBounded(t *testing.T) {
	s := open(t, derived)
	ctx := context.Background()
	const shoppers = 1300 // the kit's profiles hold 1,000, a sweep takes 500 at once
	for i := range shoppers {
		s.saw(fmt.Sprint("ada-", i), "shirt", 1)
	}
	if _, err := s.Writer.CheckpointProfiles(ctx); err != nil {
		t.Fatal(err)
	}
	s.Clock.Advance(100 * 24 * time.Hour)
	most := 0
	looked, moved, err := s.Profiles.Sweep(ctx, s.DB, s.Clock.Now(), func(ctx context.Context) (int, error) {
		dirty, _ := s.Profiles.Size()
		most = max(most, dirty)
		return s.Writer.CheckpointProfiles(ctx)
	})
	if err != nil || looked != shoppers || moved != shoppers || most <= 1000 || most > 1500 {
		t.Errorf("%d of %d moved, at most %d waited, %v", moved, looked, most, err)
	}
}

// Nobody need have looked: what time did to a shopper is on record when their next event comes, and where that took them.
func TestMovementsBetweenTwoEventsAreKept(t *testing.T) {
	s := open(t, derived)
	s.Profiles.Follow(s.Clock.Now)
	ctx := context.Background()
	began := s.Clock.Now()
	s.saw("ada", "shirt", 4) // ends in an order; its profile is not written yet
	s.Clock.Advance(100 * 24 * time.Hour)
	s.saw("ada", "dress", 1) // orders again
	s.Clock.Advance(20 * 24 * time.Hour)
	if _, err := s.Writer.CheckpointProfiles(ctx); err != nil {
		t.Fatal(err)
	}
	moves, err := s.DB.MovementsOf(ctx, "ada", 10)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range moves {
		if m.Axis != "mode" {
			got = append(got, fmt.Sprintf("day %d %s: %s to %s", int(m.At.Sub(began)/(24*time.Hour)), m.Axis, m.From, m.To))
		}
	}
	slices.Sort(got)
	want := []string{"day 100 lifecycle: first-time to returning", "day 100 status: dormant to freshly-converted",
		"day 100 status: freshly-converted to dormant", "day 120 status: freshly-converted to browsing"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if _, err := s.Writer.CheckpointProfiles(ctx); err != nil {
		t.Fatal(err)
	}
	if again, err := s.DB.MovementsOf(ctx, "ada", 10); len(again) != len(moves) || err != nil {
		t.Errorf("written twice: %+v, %v", again, err)
	}
}

// A shopper who is not in memory costs one read of the store, and memory stays bounded.
func TestColdShoppersAreReadOnce(t *testing.T) {
	s := open(t, derived)
	for i := range 30 {
		s.saw(fmt.Sprint("shopper-", i), "shirt", 2)
	}
	if _, err := s.Writer.CheckpointProfiles(context.Background()); err != nil {
		t.Fatal(err)
	}
	counting := &countingProfiles{ProfileStore: s.DB}
	p, err := engine.NewProfiles(context.Background(), counting, 10)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		for range 3 {
			if _, ok, err := p.Profile(context.Background(), fmt.Sprint("shopper-", i)); err != nil || !ok {
				t.Fatal(err)
			}
		}
	}
	if _, clean := p.Size(); counting.reads != 30 || clean != 10 {
		t.Errorf("%d reads for 30 shoppers asked for three times each, %d kept; want 30 and 10", counting.reads, clean)
	}
}

type countingProfiles struct {
	engine.ProfileStore
	reads int
}

func (c *countingProfiles) Profile(ctx context.Context, shopper string) (juncture.ProfileRow, error) {
	c.reads++
	return c.ProfileStore.Profile(ctx, shopper)
}

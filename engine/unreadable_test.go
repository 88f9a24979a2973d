package engine_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/engine"
	"github.com/juncture/juncture/layers"
)

// torn returns some shoppers' profiles as bytes that nobody can read.
type torn struct {
	engine.ProfileStore
	engine.LearnedStore
	who []string
}

func (s torn) spoil(r juncture.ProfileRow) juncture.ProfileRow {
	if slices.Contains(s.who, r.Shopper) {
		r.Body = []byte("torn")
	}
	return r
}

func (s torn) Profile(ctx context.Context, shopper string) (juncture.ProfileRow, error) {
	r, err := s.ProfileStore.Profile(ctx, shopper)
	return s.spoil(r), err
}

func (s torn) EachProfile(ctx context.Context, after string, limit int) ([]juncture.ProfileRow, error) {
	rows, err := s.LearnedStore.EachProfile(ctx, after, limit)
	for i := range rows {
		rows[i] = s.spoil(rows[i])
	}
	return rows, err
}

// A stored profile that cannot be read costs that shopper's past, and nothing else: it is counted, folded again from what
// comes, and written over.
func TestAnUnreadableProfileStopsNothing(t *testing.T) {
	s := taught(t)
	ctx := context.Background()
	store := torn{s.DB, s.DB, []string{"dress-lover-3"}}
	p, err := engine.NewProfiles(ctx, store, 100)
	if err != nil {
		t.Fatal(err)
	}
	view := func(id string, serial int64) juncture.ProfileChange {
		return juncture.ProfileChange{Serial: uint64(serial), Event: &juncture.Event{ID: id, Kind: juncture.EventProductViewed, Shopper: "dress-lover-3",
			At: s.Clock.Now().Add(time.Hour), Lines: []juncture.Line{{Product: "shirt-1", Quantity: 1}}}}
	}
	row, err := s.DB.Profile(ctx, "dress-lover-3")
	if err != nil || len(row.Marks) != 1 {
		t.Fatal(err, row.Marks)
	}
	p.FoldProfiles([]juncture.ProfileChange{view("known", row.Marks[0].Seq), view("new", row.Marks[0].Seq+1)})
	got, ok, err := p.Profile(ctx, "dress-lover-3")
	if err != nil || !ok || len(got.Ring) != 1 || p.Err() != nil || p.Unreadable() != 1 { // what was folded before it was torn does not come again
		t.Errorf("%d events in the ring, %v, %v, broken %v, %d unreadable", len(got.Ring), ok, err, p.Err(), p.Unreadable())
	}
	rows := p.ProfileRows(p.DirtyProfiles(), s.Clock.Now())
	if again := got; len(rows) != 1 || again.UnmarshalBinary(rows[0].Body) != nil {
		t.Errorf("written again: %+v", rows)
	}
	looked, _, err := p.Sweep(ctx, store, s.Clock.Now().AddDate(1, 0, 0), s.Writer.CheckpointProfiles)
	if err != nil || looked != 80 || p.Unreadable() < 2 {
		t.Errorf("swept %d of 80, %v, %d unreadable", looked, err, p.Unreadable())
	}
	l, err := engine.NewLearned(ctx, store, engine.LearnedLimits{})
	if err != nil {
		t.Fatal(err)
	}

	r, err := l.Refit(ctx, s.Clock.Now(), "test", 2, layers.Settings{})
	if err != nil || r.Skipped != 1 || r.Shoppers != 79 {
		t.Errorf("refit: %v, %d skipped, %d shoppers", err, r.Skipped, r.Shoppers)
	}
}

// An id of 256 characters, each of three bytes, is as good as any other: what is written is read.
func TestLongShopperIDsAreReadBack(t *testing.T) {
	s := taught(t)
	who := strings.Repeat("连", 256)
	s.saw(who[:len(who)-3]+"1", "shirt", 5)
	if _, err := s.Writer.CheckpointProfiles(context.Background()); err != nil {
		t.Fatal(err)
	}
	p, err := engine.NewProfiles(context.Background(), s.DB, 100)
	if err != nil {
		t.Fatal(err)
	}
	got, ok, err := p.Profile(context.Background(), who[:len(who)-3]+"1")
	if err != nil || !ok || len(got.Ring) != 5 || p.Unreadable() != 0 {
		t.Errorf("%d events, %v, %v, %d unreadable", len(got.Ring), ok, err, p.Unreadable())
	}
}

// What has nothing in stock is not the next best action.
func TestNextBestActionIsInStock(t *testing.T) {
	s := taught(t, func(d *juncture.Declaration) {
		for i := range d.Actions {
			if d.Actions[i].ID == "picks" {
				d.Actions[i].Products = []string{"shirt-0"}
			}
		}
	})
	best := func() map[string]bool {
		out := map[string]bool{}
		v, err := s.Engine.Profile(context.Background(), "shirt-lover-1", s.Clock.Now())
		if err != nil || v.NextBestAction == nil {
			t.Fatal(err, v)
		}
		for _, a := range v.NextBestActions {
			out[a.ActionID] = true
		}
		return out
	}
	for range 40 { // everybody wants it
		s.rewardIs(juncture.StatusRecorded, click(s.choose(ask("shirt-lover-1", picks)).DecisionID))
		s.choose(ask("shirt-lover-1", func(r *juncture.ChooseRequest) { r.ExcludedActions = []string{"picks"} })) // and nothing else
	}
	if !best()["picks"] {
		t.Errorf("%v: the test tests nothing", best())
	}
	for _, p := range goods() {
		if p.ID == "shirt-0" {
			p.Stock = 0
			s.put(p)
		}
	}
	if best()["picks"] {
		t.Error("an action whose product is out of stock")
	}
}

// What is about a sensitive trait is not shown of a shopper.
func TestProfileNamesNoWithheldCategory(t *testing.T) {
	s := taught(t)
	s.put(juncture.Product{ID: "tester-0", Title: "Pregnancy test", Category: "wellness", Stock: 1})
	var in []engine.Incoming
	for i, e := range []juncture.Event{{Kind: juncture.EventListViewed, Category: "Prayer rugs"}, {Kind: juncture.EventProductViewed, Lines: []juncture.Line{{Product: "tester-0", Category: "wellness", Quantity: 1}}},
		{Kind: juncture.EventListViewed, Category: "shirts"}} {
		e.ID, e.At = string(rune('a'+i)), s.Clock.Now()
		in = append(in, engine.Incoming{UserID: "ada", Raw: []byte("{}"), Event: e})
	}
	if _, err := s.Engine.Ingest(context.Background(), s.Clock.Now(), in, nil); err != nil {
		t.Fatal(err)
	}
	v, err := s.Engine.Profile(context.Background(), "ada", s.Clock.Now())
	if err != nil || !slices.Equal(v.ProductCategories, []string{"shirts"}) || v.Layers["catalogue"].Value != "shirts" {
		t.Errorf("%v, %v, %+v", err, v.ProductCategories, v.Layers["catalogue"])
	}
}

// Events that name a product alone say what it is through the catalogue, as they do in the focus.
func TestProfileKnowsCategoriesByProduct(t *testing.T) {
	s := taught(t)
	s.put(juncture.Product{ID: "scarf", Title: "A scarf", Category: "Accessories > Scarves", Stock: 1})
	in := []engine.Incoming{{UserID: "shirt-lover-1", Raw: []byte("{}"), Event: juncture.Event{ID: "x", Kind: juncture.EventProductViewed, At: s.Clock.Now(), Lines: []juncture.Line{{Product: "scarf", Category: "odds", Quantity: 1}}}}}
	if _, err := s.Engine.Ingest(context.Background(), s.Clock.Now(), in, nil); err != nil {
		t.Fatal(err)
	}
	v, err := s.Engine.Profile(context.Background(), "shirt-lover-1", s.Clock.Now())
	if err != nil || !slices.Equal(v.ProductCategories, []string{"shirts", "accessories > scarves"}) { // five shirts, one scarf
		t.Errorf("%q, %v", v.ProductCategories, err)
	}
}

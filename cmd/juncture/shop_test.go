package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math"
	"math/rand/v2"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/access"
	"github.com/juncture/juncture/internal/testkit"
)

// shop is a house with a store as shops have it: four experiments on four surfaces, the first with the most intersections
// and decisions, a holdout above them, twelve actions each with two copies, drafts in review, shoppers who are enrolled,
// order and leave events, an audit log.
type shop struct {
	*house
	keys []juncture.Intersection
	rng  *rand.Rand
	xs   []juncture.Experiment
	arms map[string][]juncture.ArmID // of each surface
	made int
	of   int // decisions that it is opened with
	from time.Time

	changes int
}

// shopExperiments are the experiments with their part of the intersections and of the decisions.
var shopExperiments = []struct {
	id, surface         string
	intersections, part float64
}{{"hero", "home_hero", 1, 0.7}, {"pdp", "pdp_module", 0.2, 0.15}, {"cart", "cart_drawer", 0.05, 0.1}, {"mail", "cart_email", 0.05, 0.05}}

func shopDeclaration() *juncture.Declaration {
	actions := []string{"welcome", "five_off", "free_delivery", "new_arrivals", "best_sellers", "size_guide", "loyalty_points", "wedding_edit", "last_chance", "back_in_stock", "style_advice", "gift_wrap"}
	return testkit.Declaration(func(d *juncture.Declaration) {
		d.Store.Name = "Shop"
		d.Surfaces, d.Actions, d.Experiments = nil, nil, nil
		for _, x := range shopExperiments {
			channel := map[string]string{"mail": "email"}[x.id]
			if channel == "" {
				channel = "onsite"
			}
			d.Surfaces = append(d.Surfaces, juncture.Surface{ID: x.surface, Channel: channel, Default: "welcome"})
			d.Experiments = append(d.Experiments, juncture.Experiment{ID: x.id, Surface: x.surface, Status: juncture.StatusRunning, Horizon: juncture.Duration(7 * 24 * time.Hour),
				Goal: juncture.Goal{Outcome: "click", Window: juncture.Duration(24 * time.Hour)}, Groups: juncture.GroupShares{Policy: 0.8, Random: 0.1, BAU: 0.05, Holdout: 0.05}})
		}
		for i, id := range actions {
			a := juncture.Action{ID: id, Type: "content", Terms: juncture.Terms{Owner: "team " + strconv.Itoa(i%3)}}
			for _, x := range shopExperiments {
				a.Surfaces = append(a.Surfaces, x.surface)
			}
			for _, c := range []string{"plain", "warm"} {
				a.Copy = append(a.Copy, juncture.Copy{ID: c, Headline: fmt.Sprintf("The %s offer, put in %s words", id, c), Body: "Some two lines of words that say what it is about and why somebody would care for it today.", CTA: "See it"})
			}
			d.Actions = append(d.Actions, a)
		}
		d.Holdouts = []juncture.Holdout{{ID: "store-holdout", Share: 0.05}}
	})
}

// openShop opens a shop with so many intersections and decisions, traffic by rank r as 1/r; a fifth as many shoppers, of whom
// those of the first two of three weeks have closed.
func openShop(t testing.TB, intersections, decisions int) *shop {
	t.Helper()
	s := &shop{house: openHouse(t), rng: rand.New(rand.NewPCG(3, 3)), of: decisions, arms: map[string][]juncture.ArmID{}}
	s.from = time.UnixMilli(s.clock.Load()).UTC().AddDate(0, 0, -21)
	d := shopDeclaration()
	testkit.Apply(t, s.db, d)
	s.xs = d.Experiments
	for name, id := range testkit.Arms(t, s.db) {
		if name != (juncture.Arm{}).String() {
			for _, x := range shopExperiments {
				s.arms[x.surface] = append(s.arms[x.surface], id)
			}
		}
	}
	for _, lifecycle := range []string{"prospect", "first-time", "returning", "loyal"} {
		for _, status := range []string{"browsing", "cart-abandoned", "checkout-abandoned", "freshly-converted", "at-risk", "dormant"} {
			for _, mode := range []string{"researching", "considering"} {
				for m := range 15 {
					for i, trajectory := range []string{"low.none", "low.rising", "building.none", "building.rising", "high.rising", "high.falling", "fading.none"} {
						for c := range 2 {
							s.keys = append(s.keys, juncture.Intersection{lifecycle + "." + status + "." + mode, fmt.Sprint("c", m), trajectory, fmt.Sprint("k", (i+c)%5)})
						}
					}
				}
			}
		}
	}
	s.rng.Shuffle(len(s.keys), func(i, j int) { s.keys[i], s.keys[j] = s.keys[j], s.keys[i] })
	s.keys = s.keys[:min(intersections, len(s.keys))]
	s.write(decisions)
	if _, err := s.writer.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.db.CloseUnits(t.Context(), time.UnixMilli(s.clock.Load())); err != nil {
		t.Fatal(err)
	}
	draft := shopDeclaration() // drafts that wait for a reviewer, and their entries of the audit log
	for i := range draft.Actions {
		draft.Actions[i].Copy = append(draft.Actions[i].Copy, juncture.Copy{ID: "new", Headline: fmt.Sprintf("A headline for %s that nobody has read yet", draft.Actions[i].ID)})
	}
	testkit.Submit(t, s.db, draft)
	for i := range 250 {
		now := time.UnixMilli(s.clock.Load())
		k, _, err := access.NewKey(fmt.Sprintf("key %d", i), []access.Scope{access.ScopeRead}, false, nil, now, (&app{}).random())
		if err != nil {
			t.Fatal(err)
		}
		if err := s.db.CreateKey(t.Context(), k, access.KeyNote(access.Who{Actor: "test", From: "test"}, k, now)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 300 {
		body := fmt.Sprintf(`{"userId":"s%d","event":"Product Viewed","messageId":"m%d","properties":{"product_id":"p%d","category":"dresses","price":20}}`, i%60, i, i%40)
		if w := s.call("POST", "/v1/track", body, withKey(s.house.keys["events"])); w.Code != 200 {
			t.Fatalf("track: %d %s", w.Code, w.Body)
		}
	}
	return s
}

// write makes most more decisions, of the past until there are as many as the shop opened with, then of now.
func (s *shop) write(most int) {
	s.t.Helper()
	click, groups := testkit.Declaration().Outcomes[0], []juncture.Group{juncture.GroupRandom, juncture.GroupRandom, juncture.GroupBAU, juncture.GroupHoldout}
	for most > 0 {
		e := &juncture.Entry{}
		for range min(1000, most) {
			i := s.made
			s.made++
			n, u := 0, s.rng.Float64()
			for u > shopExperiments[n].part && n < len(shopExperiments)-1 {
				u -= shopExperiments[n].part
				n++
			}
			x, kinds := s.xs[n], max(1, int(shopExperiments[n].intersections*float64(len(s.keys))))
			if i < len(s.keys) {
				n, x, kinds = 0, s.xs[0], len(s.keys)
			}
			at := s.keys[min(int(math.Pow(float64(kinds), s.rng.Float64()))-1, kinds-1)] // kinds^u: by rank as 1/rank
			if i < len(s.keys) {
				at = s.keys[i]
			}
			shoppers := max(1, s.of/5)
			who := i % shoppers
			g := juncture.GroupPolicy
			if r := who * 2654435761 % 20; r < len(groups) {
				g = groups[r]
			}
			when := s.from.Add(time.Duration(min(i, s.of)) * 21 * 24 * time.Hour / time.Duration(s.of)).Truncate(time.Millisecond)
			arms := s.arms[x.Surface]
			c := juncture.Claims{Serial: uint64(i+1) | 5<<juncture.NodeShift, At: when, Until: when.Add(24 * time.Hour), Experiment: x.ID, Intersection: at, Arm: arms[s.rng.IntN(len(arms))], Group: g, Probability: 1 / float64(len(arms))}
			if g == juncture.GroupHoldout {
				c.Arm = 0
			}
			d := juncture.Decision{Claims: c, Surface: x.Surface, Shopper: "s" + strconv.Itoa(who), Reason: juncture.ReasonSplit, Share: 0.8}
			for _, a := range arms {
				d.Ranking = append(d.Ranking, juncture.Ranked{Arm: a, Probability: c.Probability})
			}
			w := &juncture.DecisionWrite{SigningKey: 1, Decision: d}
			until := when.Add(7 * 24 * time.Hour)
			w.Enrol = []juncture.Enrolment{{Serial: c.Serial, Experiment: x.ID, Shopper: d.Shopper, Group: g, Share: x.Groups.Share(g), At: when, Until: until, Intersection: at},
				{Serial: c.Serial, Experiment: "store-holdout", Shopper: d.Shopper, Group: juncture.GroupPolicy, Share: 0.95, At: when, Until: until, Intersection: at}}
			e.Decisions = append(e.Decisions, w)
			if s.rng.Float64() < 0.03+0.002*float64(c.Arm%12) {
				e.Outcomes = append(e.Outcomes, &juncture.OutcomeWrite{Claims: c, Type: click, Mine: []uint64{c.Serial},
					Outcome: juncture.Outcome{Serial: c.Serial, Event: "click", ID: strconv.Itoa(i), Value: 1, Minor: 1, At: when, Received: when}})
			}
		}
		most -= len(e.Decisions)
		if err := s.writer.Commit(s.t.Context(), e); err != nil {
			s.t.Fatal(err)
		}
	}
}

// change changes the configuration, in nothing that a page shows but the store's name.
func (s *shop) change() {
	s.changes++
	d := shopDeclaration()
	d.Store.Name = fmt.Sprintf("Shop %d", s.changes)
	testkit.Apply(s.t, s.db, d)
}

// paths are all pages of the console, and the reads of the API behind them.
func (s *shop) paths() (pages, exports, reads []string) {
	key := url.QueryEscape(s.keys[0].Key())
	decision := strconv.FormatUint(uint64(s.made/2)|5<<juncture.NodeShift, 10)
	pages = []string{"/console", "/console/experiments", "/console/experiments/hero", "/console/experiments/hero?filter.lifecycle=loyal", "/console/experiments/mail", "/console/experiments/store-holdout", "/console/experiments/hero/ship", "/console/experiments/hero/stop",
		"/console/intersections", "/console/intersections?rows=meaning&cols=moment", "/console/intersections?rows=moment&cols=trajectory", "/console/intersections?filter.lifecycle=loyal&rows=meaning&cols=category", "/console/intersections?experiment=pdp",
		"/console/intersections/next", "/console/intersections/next?rows=meaning&cols=moment", "/console/intersections/list", "/console/intersections/list?filter.lifecycle=loyal&filter.status=browsing",
		"/console/intersection?experiment=hero&key=" + key, "/console/decisions", "/console/decisions?shopper=s7", "/console/decisions?experiment=hero&action=size_guide&group=random", "/console/decisions?group=shadow", "/console/decisions?reason=ERROR",
		"/console/decision?id=" + decision, "/console/decision?replay=true&id=" + decision, "/console/shopper", "/console/shopper?id=s7", "/console/layers", "/console/pool", "/console/pool/five_off", "/console/pool/five_off/edit", "/console/priorities", "/console/reviews", "/console/catalogue",
		"/console/audit", "/console/settings", "/console/sign-in", "/docs/api"}
	for _, x := range []string{"/console/intersections.csv?rows=meaning&cols=moment", "/console/intersections/list.csv", "/console/intersections/next.csv?list=thin", "/console/intersection.csv?experiment=hero&key=" + key, "/console/decisions.csv", "/console/decisions.csv?group=shadow",
		"/console/experiments.csv", "/console/pool.csv", "/console/audit.csv", "/console/shopper/decisions.csv?id=s7", "/console/shopper/timeline.csv?id=s7", "/console/layers/mix.csv"} {
		exports = append(exports, x)
	}
	for _, table := range []string{"lifts", "groups", "arms", "layers", "days", "history"} {
		exports = append(exports, "/console/experiments/hero/"+table+".csv")
	}
	for _, x := range []string{"store", "experiments", "experiments/hero", "experiments/hero/grid", "experiments/hero/grid?rows=meaning&cols=moment", "experiments/hero/next", "experiments/hero/winners", "experiments/hero/intersection?key=" + key, "experiments/hero/report",
		"experiments/hero/health", "experiments/hero/history", "decisions", "decisions?group=shadow", "decisions/" + decision, "actions", "reviews", "switches", "catalogue", "clusters", "products", "profiles/s7", "audit", "settings", "users", "keys", "shares"} {
		reads = append(reads, "/api/v1/"+x)
	}
	return pages, exports, reads
}

// zipped is how many bytes are left of b under gzip as a server sends it.
func zipped(b []byte) int {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(b) // a bytes.Buffer takes everything
	_ = w.Close()
	return out.Len()
}

package preview

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/juncture/juncture"
)

// cannedPriorities are one of products that is in force and edited, one of an action, and one of each other state.
func cannedPriorities() (out []juncture.PoolPriority, waiting juncture.ReviewItem) {
	body := func(v any) json.RawMessage {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		return b
	}
	version := func(n int, status, author string, p juncture.Priority) juncture.VersionView {
		v := juncture.VersionView{Number: n, Hash: fmt.Sprint("p", n), Status: status, Author: author, Created: Now.Add(-time.Hour), Body: body(p)}
		if status == juncture.VersionApproved {
			v.Reviewer, v.Reviewed, v.Comment = "user:bob", new(Now), "for the drop"
		}
		return v
	}
	ends := Now.Add(240 * time.Hour)
	goods := juncture.Priority{ID: "new-drop", Owner: "mia", Why: "the spring drop", Products: []string{"d1", "d2", "d3", "d4", "d5", "d6"}, Weight: 0.5, Expires: ends}
	action := juncture.Priority{ID: "push-points", Owner: "ben", Why: Hostile, Action: "points", Weight: 1, Expires: ends}
	edited := goods
	edited.Weight, edited.Why = 1, Hostile
	both := []juncture.Verb{juncture.VerbPause, juncture.VerbRetire}
	waits := version(2, juncture.VersionInReview, "user:ed", edited)
	out = []juncture.PoolPriority{
		{ID: "new-drop", State: juncture.PoolLive, Next: both, Live: 1, Waiting: 1, Versions: []juncture.VersionView{waits, version(1, juncture.VersionApproved, "user:ed", goods)}, Breaches: []string{`why says "drop", which this store does not say`}},
		{ID: "push-points", State: juncture.PoolLive, Next: both, Live: 1, Versions: []juncture.VersionView{version(1, juncture.VersionApproved, "user:ed", action)}},
	}
	for _, s := range []juncture.PoolState{juncture.PoolDraft, juncture.PoolRejected, juncture.PoolScheduled, juncture.PoolExpired, juncture.PoolPaused, juncture.PoolRetired} {
		p := juncture.Priority{ID: "all-" + string(s), Owner: Hostile, Category: "shoes", Weight: 1, Starts: &Now, Expires: ends}
		one := juncture.PoolPriority{ID: p.ID, State: s, Live: 1, Versions: []juncture.VersionView{version(1, juncture.VersionApproved, "", p)}}
		switch s {
		case juncture.PoolDraft, juncture.PoolRejected:
			one.Live, one.Versions[0] = 0, version(1, string(s), "user:ed", p)
		case juncture.PoolPaused:
			one.Hold, one.Next = &juncture.Hold{State: s, Reason: Hostile, By: "user:ap", At: Now}, []juncture.Verb{juncture.VerbResume, juncture.VerbRetire}
		}
		out = append(out, one)
	}
	return out, juncture.ReviewItem{VersionRef: juncture.VersionRef{Priority: "new-drop", Number: 2, Hash: "p2"}, Author: "user:ed", Created: Now.Add(-time.Hour), Body: body(edited), Live: &out[0].Versions[1]}
}

// cannedPreview is what a priority does: of products to the slots of an action, of an action to its chance.
func cannedPreview() juncture.PriorityPreview {
	dress := juncture.ProductView{ID: "sku-1", Title: "Silk midi dress"}
	return juncture.PriorityPreview{Slots: []juncture.SlotsPreview{{Action: "picks", Now: []juncture.ProductView{dress}, Then: []juncture.ProductView{{ID: "sku-9", Title: "Linen shirt", Priority: "new-drop"}, dress}}},
		Effects: []juncture.PriorityEffect{{Experiment: "hero", Chance: 0.31, Without: 0.2, Cost: 0.00042, Unit: "click", Covered: 0.8}}}
}

// cannedEffects are what priorities of actions that are in force do.
func cannedEffects() map[string][]juncture.PriorityEffect {
	return map[string][]juncture.PriorityEffect{"push-points": {{Experiment: "hero", Chance: 0.31, Without: 0.2, Cost: 0.00042, Unit: "click", Covered: 1}, {Experiment: "cart", Cost: -0.0012, Unit: "GBP", Covered: 0.8}}}
}

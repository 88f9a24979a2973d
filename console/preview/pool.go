package preview

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/juncture/juncture"
)

// Hostile is markup and a formula, where nobody should write them.
const Hostile = `"><img onerror=alert(1)><script>x</script>=HYPERLINK("x")`

// cannedPool is a pool with one action of each state, and what waits.
func cannedPool() *Pool {
	body := func(v any) json.RawMessage {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		return b
	}
	f := &Pool{Shown: []juncture.ProductView{{ID: "sku-1", Title: "Silk midi dress", Category: "dresses"}, {ID: "sku-2", Category: "shoes"}}}
	version := func(n int, status, author string, v any) juncture.VersionView {
		out := juncture.VersionView{Number: n, Hash: fmt.Sprint("h", n), Status: status, Author: author, Created: Now.Add(-time.Duration(30-n) * time.Hour), Body: body(v)}
		if status == juncture.VersionApproved || status == juncture.VersionRejected {
			out.Reviewer, out.Reviewed, out.Comment = "user:bob", new(Now.Add(-time.Hour)), "reads well"
		}
		return out
	}
	for i, s := range juncture.PoolStates() {
		id := []string{"late_list", "free_express", "ten_off", "points", "spring", "five_off", "xmas", "size_guide", "old_club", "wrong_price"}[i]
		live := 1
		status := juncture.VersionApproved
		if s == juncture.PoolDraft || s == juncture.PoolInReview || s == juncture.PoolRejected {
			live, status = 0, string(s)
		}
		a := juncture.Action{ID: id, Surfaces: []string{"home_hero", "cart_email", "cart_text", "cart_push"}, Type: "discount", Payload: map[string]any{"percent": 5}, Slots: 2}
		w := juncture.Copy{ID: "plain", Headline: "5% off today", Body: "For a few days, on everything that you kept.", CTA: "Shop now"}
		p := juncture.PoolAction{ID: id, State: s, Live: live, Next: []juncture.Verb{juncture.VerbPause, juncture.VerbRetire, juncture.VerbKill}, Versions: []juncture.VersionView{version(1, status, "user:ed", a)},
			Copies: []juncture.PoolCopy{{ID: "plain", State: s, Live: live, Next: []juncture.Verb{juncture.VerbPause}, Versions: []juncture.VersionView{version(1, status, "user:ed", w)}}}}
		p.Owner = "mia"
		switch s {
		case juncture.PoolLive:
			edited := w
			edited.Headline, edited.CTA = "5% off, today only", "Take it"
			p.Waiting, p.Expires = 1, new(Now.Add(240*time.Hour))
			p.Cap = &juncture.Cap{PerShopper: &juncture.Frequency{N: 3, Per: juncture.PerWeek}, PerDay: 20_000, Spend: &juncture.Spend{Most: 5000, Cost: 5, Per: juncture.SpendSuccess, Outcome: "purchase"}}
			p.Copies[0].Versions = []juncture.VersionView{version(3, juncture.VersionInReview, "user:ed", edited), version(2, juncture.VersionRejected, "user:ed", w), p.Copies[0].Versions[0]}
			f.Reviews = append(f.Reviews, juncture.ReviewItem{VersionRef: juncture.VersionRef{Action: id, Copy: "plain", Number: 3, Hash: "h3"}, Author: "user:ed", Created: Now.Add(-time.Hour), Body: body(edited), Live: new(version(1, juncture.VersionApproved, "user:ed", w))},
				juncture.ReviewItem{VersionRef: juncture.VersionRef{Action: id, Number: 2, Hash: "h2"}, Author: "user:ap", Created: Now, Body: body(a), Breaches: []string{"payload.percent is 60, over the largest discount of 30%"}},
				juncture.ReviewItem{VersionRef: juncture.VersionRef{Action: id, Copy: "arabic", Number: 1, Hash: "h"}, Author: "user:ed", Created: Now, Body: body(juncture.Copy{ID: "arabic", Headline: "توصيل سريع مجاني", Body: Hostile + strings.Repeat("long-word", 400), CTA: "😀"})})
		case juncture.PoolKilled:
			p.Killed = &juncture.Kill{Reason: "the price was wrong", By: "user:ap", At: Now.Add(-time.Minute)}
			f.Switches = append(f.Switches, juncture.SwitchView{Kind: "action", ID: id, Kill: *p.Killed})
		case juncture.PoolPaused:
			p.Hold = &juncture.Hold{State: juncture.PoolPaused, Reason: "sold out", By: "user:ap", At: Now}
			p.Owner = Hostile
		}
		f.Actions = append(f.Actions, p)
	}
	waits := juncture.ReviewItem{}
	f.Priorities, waits = cannedPriorities()
	f.Reviews = append(f.Reviews, waits)
	f.Effects, f.Preview = cannedEffects(), cannedPreview()
	return f
}

package preview

import (
	"fmt"
	"strings"
	"time"

	"github.com/juncture/juncture"
)

// cannedLog is 120 decisions of every group, one without consent and one of a shopper with a long name.
func cannedLog() *Log {
	l := &Log{}
	groups := []juncture.Group{juncture.GroupPolicy, juncture.GroupRandom, juncture.GroupBAU, juncture.GroupHoldout, juncture.GroupShadow}
	for i := range 120 {
		d := juncture.LoggedDecision{Serial: fmt.Sprint(900_000 - i), DecisionID: fmt.Sprintf("AQEAbgAAAZqh7%04dkT3x0pQ", i), At: Now.Add(-time.Duration(i) * 31 * time.Second), Surface: "home_hero", Experiment: "hero",
			Group: groups[i%5], Reason: juncture.ReasonSplit, ShopperID: fmt.Sprintf("shopper-%d", i%9), Intersection: "v1/loyal.browsing.researching/wedding-guests/_/_", Arm: "five_off@1/plain@1",
			Probability: 0.3125, PolicyVersion: "8c1f0a2b3d4e5f60", Active: true}
		switch d.Group {
		case juncture.GroupHoldout:
			d.Arm, d.Detail, d.Probability, d.PolicyVersion = "-", juncture.DetailHoldout, 1, ""
		case juncture.GroupBAU:
			d.Arm, d.Probability, d.PolicyVersion = "welcome@1/plain@1", 1, ""
		case juncture.GroupShadow:
			d.Arm, d.Shadow, d.Probability, d.Detail = "welcome@1/plain@1", "points@2/a-rather-long-name-of-a-copy@3", 1, juncture.DetailShadow
		}
		switch i {
		case 6:
			d.ShopperID, d.Active, d.Detail, d.Group = "", false, juncture.DetailConsentDenied, juncture.GroupNone
		case 7:
			d.ShopperID = "חנות-" + strings.Repeat("long-", 30)
		}
		l.Items = append(l.Items, d)
	}
	l.cannedWhy()
	return l
}

// cannedWhy explains the decisions: three arms were eligible and one was not.
func (l *Log) cannedWhy() {
	u, p := 0.7312409182347201, 0.62
	x := &l.Why
	*x = juncture.ExplainedDecision{Share: 0.85, Terms: "77aa8c1f0a2b3d4e", Policy: "pooled", Floor: 0.01, Uniform: &u,
		Layers: []juncture.ExplainedLayer{{Layer: "moment", Value: "loyal.browsing.researching", Reason: "5 orders; looked widely: 5 products, 2 categories", Source: "recomputed", Same: true},
			{Layer: "meaning", Value: "wedding-guests", Reason: "mostly dresses, occasion wear", Source: "recomputed"}, {Layer: "trajectory", Value: "_", Reason: "not sent by the caller", Source: "logged", Same: true},
			{Layer: "catalogue", Value: "_", Reason: "not sent by the caller", Source: "logged", Same: true}},
		Outcomes: []juncture.ExplainedReward{{Event: "purchase", ID: "R-1", Value: 42.5, Currency: "GBP", Status: juncture.StatusRecorded, Credit: 1}},
		Filtered: []juncture.FilteredArm{{Arm: juncture.Arm{Action: "free_express", ActionVersion: 3, Copy: "plain", CopyVersion: 1}, Headline: "Free express", Why: "its rule does not hold", Rule: `status in ["cart-abandoned", "checkout-abandoned"]`}},
		Nudges:   []juncture.NudgeView{{ActionID: "points", Factor: 1.5, Owner: "ada", Why: "new drop"}}}
	for i, name := range []string{"five_off", "welcome", "points"} {
		x.Candidates = append(x.Candidates, juncture.Candidate{Arm: juncture.Arm{Action: name, ActionVersion: 1, Copy: "plain", CopyVersion: 2}, Headline: "5% off today", Probability: []float64{0.3125, 0.5624999999999999, 0.125}[i], Shown: i == 0, Drawn: i == 0, Policy: &p})
	}
	l.Replay = juncture.ReplayView{Verdict: juncture.VerdictMatch, Sentence: "Made again from the log, this decision is the same to the last digit.",
		Arms: []juncture.ReplayArm{{Own: 412, Borrowed: 96.4, Sentence: "five off +0.12, wedding guests × five off +0.08"}},
		Parts: []juncture.ReplayPart{{Part: "group", Verdict: juncture.VerdictMatch, Why: "The hash of the shopper gives policy, as this decision enrolled."},
			{Part: "probabilities", Verdict: juncture.VerdictMatch, Why: "All 3 probabilities are the same to the last digit."}, {Part: "pick", Verdict: juncture.VerdictMatch, Why: "HMAC of the serial picks it."}}}
}

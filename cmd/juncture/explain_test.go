package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/console"
	"github.com/juncture/juncture/experiments"
)

// The command says what the page says, with the clusters' names, and lets no text of a merchant's at the terminal.
func TestExplainSaysWhatThePageSays(t *testing.T) {
	d := &juncture.ExplainedDecision{LoggedDecision: juncture.LoggedDecision{Serial: "7", Surface: "home_hero", Experiment: "hero", Group: juncture.GroupPolicy, PolicyVersion: "v", Probability: 0.75, Arm: "five_off@1/plain@1",
		Intersection: "v1/first-time.checkout-abandoned._/c-7f3a/_/_"},
		Layers:     []juncture.ExplainedLayer{{Layer: "meaning", Value: "c-7f3a", Reason: "mostly dresses", Same: true}},
		Candidates: []juncture.Candidate{{Arm: juncture.Arm{Action: "five_off", ActionVersion: 1, Copy: "plain", CopyVersion: 1}, Headline: "5% off\n\x1b[31mtoday", Probability: 0.75, Shown: true, Drawn: true}, {Probability: 0.25}}}
	p := 0.75
	r := &juncture.ReplayView{Arms: []juncture.ReplayArm{{Recomputed: &p, Sentence: "arm overall +0.12, c-7f3a +0.40, own evidence +0.01", Effects: []juncture.EffectView{{Family: "action × meaning", Level: "c-7f3a"}}}, {}}}
	names := experiments.Names{"c-7f3a": "Wedding guests"}
	var out bytes.Buffer
	printExplained(&out, explained{d, r}, names)
	told := console.Tell(d, names)
	for _, want := range []string{told.Heading + ": " + told.Sentence, "First-time checkout abandoners in wedding guests", "Wedding guests  mostly dresses", "5% off [31mtoday", "“Wedding guests” +0.40"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not said:\n%s", want, out.String())
		}
	}
	if strings.ContainsRune(out.String(), 0x1b) {
		t.Error("an escape reaches the terminal")
	}
}

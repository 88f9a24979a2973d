package console

import (
	"bytes"
	"fmt"
	"html/template"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/console/chart"
	"github.com/juncture/juncture/experiments"
)

// noon is any time.
var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// TestTemplates executes every template with its page's zero and full data, so that a mistyped field fails here.
func TestTemplates(t *testing.T) {
	p, err := loadPages()
	if err != nil {
		t.Fatal(err)
	}
	full := layout{Title: "T", CSS: "/c", Icon: "/i", Store: "S", Simulated: true, User: "U", Role: "viewer", Nav: []navItem{{"N", "/n", true}}, Share: &sharing{Path: "/p", Days: []option{{"7", "7 days", true}}}, Until: noon, ReadAt: &readAt{noon, "9 seconds ago"}}
	action := experiments.ActionEstimate{Name: "A", Estimate: experiments.Estimate{Mean: 0.1}}
	verdict := experiments.Verdict{State: experiments.StateWinner, Winner: &action, RunnerUp: &action}
	metric := metric{Name: "Rate", Money: true, Currency: "GBP"}
	grid := experiments.Grid{Notes: []string{"note"}}
	selects := []choice{{"n", "t", []option{{"v", "t", true}}}}
	wished := wishesPart{Lines: []wishLine{{Breaches: []string{"b"}, Waiting: 1, Prices: []string{"p"}}, {}}, More: 2, All: "/", Write: "/"}
	wish := &wishPreview{Slots: []slotsLine{{Now: []slotLine{{}}, Then: []slotLine{{Raised: true}}}, {}}, Effects: []effectLine{{Covered: "c"}, {}}, Unknown: true}
	for name, pages := range map[string][]any{
		"sign-in": {&signInPage{}, &signInPage{layout: full, Next: "/", Name: "n", Problem: "p"}},
		"error":   {&errorPage{}, &errorPage{layout: full, Status: 404, Message: "m", Hint: "h"}},
		"grid": {&gridPage{}, &gridPage{Experiment: &experimentView{}}, &gridPage{Experiment: &experimentView{}, Filtered: true},
			&gridPage{layout: full, Experiment: &experimentView{Status: "paused"}, Metric: metric, Grid: grid, Selects: selects, Filters: selects, Filtered: true,
				Figure: "<svg/>", Legend: []legendItem{{Leads: 1}, {}}, Lines: []gridLine{{GridCell: experiments.GridCell{Verdict: verdict}}}, LinesOf: 2}},
		"next":      {&nextPage{}, &nextPage{Selects: selects, Filters: selects, Filtered: true, Apart: []nextCell{{}}, Thin: []nextCell{{}}, Copy: []nextCell{{}}, CSVs: map[string]string{}}},
		"decisions": {&decisionsPage{}, &decisionsPage{Filtered: true}, &decisionsPage{layout: layout{Script: "/s"}, Selects: selects, Lines: []logLine{{Who: "w", Copy: "c", Drawn: "d"}, {}}, Older: "/o", Latest: "/l", Looked: "l"}},
		"decision": {&decisionPageView{}, &decisionPageView{X: &juncture.ExplainedDecision{}}, &decisionPageView{X: &juncture.ExplainedDecision{Share: 0.5, Floor: 0.1}, Cell: "/c", Said: []string{"s"}, Layers: []explainedLine{{}}, Uniform: "0.5",
			Candidates: []candidateLine{{Recomputed: "1", Href: "/"}, {}}, Filtered: []juncture.FilteredArm{{Rule: "r"}, {}}, Outcomes: []OutcomeView{{Currency: "GBP"}, {}}, Replay: &juncture.ReplayView{}, Parts: []replayLine{{}}}},
		"api": {&apiPage{}, &apiPage{layout: full, Schemes: []apiScheme{{}}, Problems: []apiAnswer{{Status: "400"}}, Groups: []apiGroup{{Parts: []apiPart{{}, {Title: "t", Operations: []apiOperation{{}, {Method: "DELETE", Parameters: []apiField{{In: "path", Required: true, Type: []apiWord{{"t", ""}, {"t", "#t"}}}},
			Body: &apiBody{apiValue{Fields: []apiField{{}}}, true}, Answers: []apiAnswer{{apiValue: apiValue{Fields: []apiField{{}}}}}, Problems: []apiAnswer{{}, {}}, Curl: "c"}}}}}}, Schemas: []apiSchemaView{{}, {Type: []apiWord{{}}, Limits: "l", Fields: []apiField{{}}, Example: "e"}}}},
		"list": {&listPage{}, &listPage{layout: full, Metric: metric, Total: 3,
			Lines: []listLine{{}, {SegmentWinner: experiments.SegmentWinner{Verdict: verdict}}}}},
		"intersection": {&intersectionPage{}, &intersectionPage{layout: full, Metric: metric, Intervals: "<svg/>", Copies: "<svg/>", Densities: "<svg/>",
			Report:  experiments.IntersectionReport{Layers: []experiments.LayerValue{{}}, Past: []experiments.PastArm{{}}, Verdict: verdict},
			Actions: []actionLine{{}}, Arms: []armLine{{}}, Rungs: []rungLine{{Href: "/"}, {}}, Groups: []groupLine{{}}, Decisions: []decisionLine{{Letter: "A"}, {}}}},
		"shopper": {&shopperPage{}, &shopperPage{ID: "i", Decisions: []touchLine{{}}}, &shopperPage{ID: "i", Shopper: &shopperView{}},
			&shopperPage{layout: full, ID: "i", Decisions: []touchLine{{Href: "/"}, {}}, Shopper: &shopperView{Tiles: []tile{{Note: "n", Words: true}, {}},
				Layers: []shopperLayer{{Reason: "r"}, {}}, Href: "/", Next: []nextLine{{}}, Categories: []string{"c"}}, Timeline: timelinePart{Lines: []timelineLine{{Movement: true}, {}}, Show: []linkOption{{Current: true}}},
				Consent: viewConsent(juncture.ConsentRecord{Analytics: juncture.ConsentDenied}), Rights: &rightsPart{May: true}},
			&shopperPage{ID: "i", Shopper: &shopperView{}, Timeline: timelinePart{What: "movements"}, Consent: viewConsent(juncture.ConsentRecord{}), Rights: &rightsPart{}}},
		"erase": {&erasePage{}, &erasePage{layout: full, ID: "i", Typed: "t", Problem: "p"}, &erasePage{Done: &juncture.ErasureView{}}},
		"cluster": {&clusterPage{}, &clusterPage{layout: full, clusterLine: clusterLine{Renamed: true, Top: []string{"a"}, Tone: "t"}},
			&clusterPage{MayEdit: true, Problems: map[string]string{"name": "n", "tone": "t", "use": "u", "avoid": "a"}}},
		"pool": {&poolPage{}, &poolPage{Any: true}, &poolPage{layout: full, Done: "d", Waiting: 1, Switches: []switchLine{{ID: "i"}, {}}, Selects: selects, Lines: []poolLine{{Breaches: []string{"b"}, Warnings: []string{"w"}, Waiting: 1}, {}}, More: 1, MayKill: true, Killable: []option{{}}, Wishes: wished}},
		"reviews": {&reviewsPage{}, &reviewsPage{layout: full, Done: "d", May: true, MayDraw: true, More: 1, Cards: []reviewCard{{}, {Before: 1, Own: true, Breaches: []string{"b"}, Prior: "p", Fields: []fieldDiff{{Before: "b", After: "a", Changed: true}, {}},
			Previews: []preview{{Kind: "text", Length: "l"}, {Kind: "module", Body: folded{"b", "r"}, CTA: folded{"c", ""}, Products: []juncture.ProductView{{}}, Pieces: []juncture.EditorialView{{}}, Whose: "w"}}}, {Wish: wish}}}},
		"action": {&actionPage{}, &actionPage{layout: full, Done: "d", Breaches: []string{"b"}, Warnings: []string{"w"}, DefaultOf: "d", Killed: &juncture.Kill{}, Hold: &juncture.Hold{}, Facts: []fieldDiff{{}}, Caps: []string{"c"}, MayDecide: true, MayEdit: true, Next: []verbButton{{}}, Previews: []preview{{}}, CopyProblem: "p", TermsProblem: "p", CopyPreviews: []preview{{}}, Editing: true, CopyFields: copyInputs{Voices: []option{{}}, Picked: true}, TermsFields: termsInputs{Outcomes: []string{"o"}},
			Parts: []versionsPart{{ID: "i", Hold: &juncture.Hold{}, Next: []verbButton{{}}, Edit: "/", DefaultOf: "d", Prior: "p", Lines: []versionLine{{Live: true, Verb: "submit", Fields: []fieldDiff{{}}}, {VersionView: juncture.VersionView{Reviewed: new(noon), Comment: "c", Bypass: true}}}}}}},
		"draft": {&draftPage{}, &draftPage{layout: full, New: true, Live: "/", Prior: "p", Problem: "p", Problems: map[string]string{"id": "i", "type": "t", "cap.perDay": "c"}, Surfaces: selects[0].Options, Sources: selects[0].Options, Types: []string{"t"}, Asks: []string{"a", "b"},
			Previews: []preview{{}}, PreviewedWithoutIt: true}},
		"priorities": {&prioritiesPage{}, &prioritiesPage{layout: full, Waiting: 1, Done: "d", Wishes: wished, Form: &wishForm{ID: "i"}, Actions: []option{{Selected: true}}, Problem: "p", Field: "id"}},
		"priority": {&priorityPage{}, &priorityPage{layout: full, Done: "d", Breaches: []string{"b"}, Hold: &juncture.Hold{}, MayEdit: true, MayDecide: true, Next: []verbButton{{}}, Facts: []fieldDiff{{}}, Same: true, Preview: wish,
			Lines: []versionLine{{Live: true, Verb: "submit", Fields: []fieldDiff{{}}}, {VersionView: juncture.VersionView{Author: "a", Reviewer: "r", Comment: "c", Bypass: true}}}}},
		"share": {&sharePage{}, &sharePage{layout: full, Link: "l"}},
		"audit": {&auditPage{}, &auditPage{layout: full, Proof: juncture.AuditProof{Holds: true, Hash: "h"}, Actors: selects[0].Options, Actions: selects[0].Options, Older: "/", Newest: "/",
			Lines: []auditLine{{}, {Who: "w", Diff: []diffLine{{Had: "a"}, {Key: "k", Has: "b"}}, More: 3, Before: "b", After: "a"}}}},
		"settings": {&settingsPage{}, &settingsPage{layout: full, Cut: []string{"c"}, Made: &madeView{}, Done: "d", Problem: "p", Users: []userLine{{Me: true}, {UserView: juncture.UserView{Disabled: true, Display: "d", SignIn: "oidc"}}},
			Keys: []keyLine{{}, {KeyView: juncture.KeyView{RevokedAt: &noon, Publishable: true}}}, Shares: []shareLine{{}, {Live: true}, {ShareView: juncture.ShareView{RevokedAt: &noon}}},
			Groups: []juncture.SettingGroup{{Lines: []juncture.SettingLine{{Key: "k"}}}}, Problems: map[string]string{"user-name": "n", "user-role": "r", "key-name": "k", "key-scopes": "s", "key-origins": "o"}}},
		"overview": {&overviewPage{}, &overviewPage{layout: full, Tiles: []tile{{Note: "n"}}, Waits: []waitLine{{}}, More: 1, Resting: []trialView{{}}, Holdouts: []trialView{{Holdout: true}},
			Cards: []trialView{{Figure: "f", Trend: "<svg/>", Days: []dayLine{{}, {NotEnough: "n"}}, Gate: &gateView{}, Health: &healthView{Sentences: []string{"s"}}, Warnings: []string{"w"}}}}},
		"experiment": {&trialPage{}, &trialPage{trialView: trialView{Holdout: true}}, &trialPage{layout: full, Told: true, trialView: trialView{Figure: "f", Trend: "<svg/>", Days: []dayLine{{}}, Health: &healthView{}, Warnings: []string{"w"}, Next: []verbLink{{Risky: true}, {}}},
			Tripped: "t", Shipped: "s", Done: "d", Asks: true, Selects: selects, Slices: selects, SliceTitle: "s", Over: "o", Lifts: []liftLine{{}, {NotEnough: "n"}}, Groups: []reportGroup{{}, {Lines: []metricLine{{}, {}}}}, Money: true,
			GateLine: &gateLine{By: "b", Plan: "p", Smallest: "s"}, Layers: []layerReport{{}, {Lifts: []liftLine{{}, {NotEnough: "n"}}}}, Rates: "<svg/>", Arms: []reportArm{{Letter: "A"}, {}}, ArmsOf: 9, History: []historyLine{{State: "s"}}, Grid: "/", WhatIf: "/", CupedOn: true, Learn: true}},
		"catalogue": {&cataloguePage{}, &cataloguePage{Asked: true}, &cataloguePage{layout: full, Tiles: []tile{{}}, Selects: selects, Products: []productLine{{Was: "w"}}, Next: "/", Prev: "/", Categories: []string{"c"}, Trending: []trendLine{{Priority: "p"}}, Pairs: []pairLine{{}}, PairsOf: 2, AsOf: &noon, Priorities: []priorityLine{{}}, Editorial: []editorialLine{{}}}},
		"what-if": {&whatIfPage{}, &whatIfPage{layout: full, Ask: "worth", Tabs: []linkOption{{Current: true}}, Waiting: "w", Problem: "p", NoHarm: &stepLine{}, Steps: []stepLine{{}}},
			&whatIfPage{Ask: "policies", Actions: []option{{Selected: true}}, Tiers: selects[0], Figure: "<svg/>", Lines: []valueLine{{Note: "n", Warnings: []string{"w"}}, {Refused: "r"}}, Differences: []valueLine{{}}, Observed: []valueLine{{}}, Facts: []fact{{}}}},
		"verb":        {&verbPage{}, &verbPage{layout: full, Arms: []option{{}}, Risky: true, Hint: "h", Problems: map[string]string{"": "p", "arm": "a", "reason": "r"}}, &verbPage{Done: "d", Warnings: []string{"w"}}},
		"experiments": {&trialListPage{}, &trialListPage{layout: full, Of: 3, Health: true, Holdouts: []trialView{{FigureOf: "f"}}, Lines: []trialView{{}, {FigureOf: "f", Gate: &gateView{}, Health: &healthView{}, Next: []verbLink{{}, {}}}}}},
		"refit":       {&refitPage{}, &refitPage{layout: full, New: []clusterLine{{Href: "/"}, {}}, Retired: []string{"r"}}},
		"layers": {&layersPage{}, &layersPage{layout: full, Experiment: &experimentView{Status: "paused"}, Selects: selects, Trials: 3,
			Layers: []layerCard{{Source: "derived", Axes: []axisTable{{Lines: []axisLine{{}}, More: 2}, {Figures: []template.HTML{"<svg/>"}, Decisions: true}}, ID: "moment"}, {ID: "meaning", Hint: "h"}}, Broken: []brokenLine{{}},
			Moves:    &movesPart{Since: []linkOption{{}}, Axes: []movesTable{{Lines: []moveLine{{}}, More: 1}}},
			Clusters: &clustersPart{Lines: []clusterLine{{Renamed: true, Top: []string{"a", "b"}, Use: "u"}}, All: "/", MayEdit: true, MayLearn: true, Problem: "p", Saved: "s"}},
			&layersPage{Layers: []layerCard{{ID: "moment"}, {ID: "meaning", Hint: "h"}}, Moves: &movesPart{}, Clusters: &clustersPart{}}},
	} {
		for i, page := range pages {
			var b bytes.Buffer
			if err := p.templates[name].ExecuteTemplate(&b, "base.html", page); err != nil {
				t.Errorf("%s %d: %v", name, i, err)
			}
		}
		delete(p.templates, name)
	}
	for name := range p.templates {
		t.Errorf("the template %s is not tried", name)
	}
}

// TestPalette holds the colours of console.css to their contrast, light and dark (WCAG 2.2, 1.4.3 and 1.4.11).
func TestPalette(t *testing.T) {
	css, err := files.ReadFile("static/console.css")
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.SplitN(string(css), "@media (prefers-color-scheme: dark)", 2)
	parts[1], _, _ = strings.Cut(parts[1], ".arm-0 {")
	colour := regexp.MustCompile(`--([a-z0-9-]+): #([0-9a-f]{6});`)
	for i, scheme := range []string{"light", "dark"} {
		c := map[string][3]float64{}
		for _, m := range colour.FindAllStringSubmatch(parts[i], -1) {
			n, _ := strconv.ParseUint(m[2], 16, 32)
			c[m[1]] = [3]float64{float64(n >> 16), float64(n >> 8 & 255), float64(n & 255)}
		}
		check := func(what string, a, b [3]float64, least float64) {
			if got := contrast(a, b); got < least {
				t.Errorf("%s: %s has %.2f:1, needs %.1f:1", scheme, what, got, least)
			}
		}
		for k := range chart.Colours {
			name := fmt.Sprintf("arm-%d", k)
			check(name+" against the card", c[name], c["card"], 3)
			for _, ground := range []string{"card", "ground"} {
				check("text over "+name, c["ink"], blend(c[name], c[ground], chart.MaxOpacity), 4.5)
			}
		}
		for text, grounds := range map[string][]string{"ink": {"card", "ground", "faint"}, "soft": {"card", "ground", "faint"}, "accent": {"card", "ground"},
			"accent-ink": {"accent"}, "bad-ground": {"bad"}, "good": {"good-ground"}, "lean": {"lean-ground"}, "thin": {"thin-ground"}, "bad": {"bad-ground", "card"}, "sim": {"sim-ground"}} {
			for _, ground := range grounds {
				check(text+" on "+ground, c[text], c[ground], 4.5)
			}
		}
		check("focus", c["focus"], c["card"], 3)
	}
}

func blend(a, b [3]float64, opacity float64) (out [3]float64) {
	for i := range a {
		out[i] = opacity*a[i] + (1-opacity)*b[i]
	}
	return out
}

func contrast(a, b [3]float64) float64 {
	luminance := func(c [3]float64) float64 {
		sum := 0.0
		for i, w := range []float64{0.2126, 0.7152, 0.0722} {
			v := c[i] / 255
			if v <= 0.04045 {
				v /= 12.92
			} else {
				v = math.Pow((v+0.055)/1.055, 2.4)
			}
			sum += w * v
		}
		return sum
	}
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

package experiments

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/juncture/juncture"
)

// Arms of the tests: two copies of welcome, one of five_off, and an old version of five_off that is no longer shown.
const (
	plain juncture.ArmID = iota + 1
	oldFive
	five
	urgent
)

func testEvidence(t *testing.T, lines string) Evidence {
	t.Helper()
	ev := Evidence{
		Experiment: juncture.Experiment{ID: "hero", Surface: "home_hero", Goal: juncture.Goal{Outcome: "click"}},
		Outcome:    juncture.OutcomeType{Name: "click", Type: juncture.OutcomeBinary},
		Currency:   "GBP",
		AsOf:       time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC),
		Arms: map[juncture.ArmID]ArmInfo{
			plain:   {Arm: juncture.Arm{Action: "welcome", ActionVersion: 1, Copy: "plain", CopyVersion: 1}, Type: "content", Headline: "Welcome back", Live: true},
			urgent:  {Arm: juncture.Arm{Action: "welcome", ActionVersion: 1, Copy: "urgent", CopyVersion: 1}, Type: "content", Headline: "Come in now", Live: true},
			oldFive: {Arm: juncture.Arm{Action: "five_off", ActionVersion: 1, Copy: "plain", CopyVersion: 1}, Type: "discount", Headline: "5 off"},
			five:    {Arm: juncture.Arm{Action: "five_off", ActionVersion: 2, Copy: "plain", CopyVersion: 1}, Type: "discount", Headline: "5% off today", Live: true},
		},
	}
	ev.Cells = parseCells(t, lines)
	return ev
}

// parseCells reads lines of "key arm group trials successes", keys without their "v1/".
func parseCells(t *testing.T, lines string) []juncture.Cell {
	t.Helper()
	var out []juncture.Cell
	for line := range strings.Lines(lines) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		var key, group string
		var arm juncture.ArmID
		var trials, successes int64
		if _, err := fmt.Sscan(line, &key, &arm, &group, &trials, &successes); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		x, err := juncture.ParseIntersection("v1/" + key)
		if err != nil {
			t.Fatal(err)
		}
		var g juncture.Group
		if err := g.UnmarshalText([]byte(group)); err != nil {
			t.Fatal(err)
		}
		if n := len(out); n == 0 || out[n-1].Intersection != x {
			out = append(out, juncture.Cell{Experiment: "hero", Intersection: x})
		}
		c := &out[len(out)-1]
		c.Rows = append(c.Rows,
			juncture.CellRow{Arm: arm, Group: g, Tally: juncture.Tally{Trials: trials}},
			juncture.CellRow{Arm: arm, Group: g, Event: "click", Tally: juncture.Tally{Outcomes: successes, Successes: successes}},
			juncture.CellRow{Arm: arm, Group: g, Event: "other", Tally: juncture.Tally{Outcomes: 99, Successes: 99}})
	}
	return out
}

const small = `
loyal.browsing.researching/a/_/_          1 policy  400  8
loyal.browsing.researching/a/_/_          2 policy 1000 90
loyal.browsing.researching/a/_/_          3 policy 4000 400
loyal.browsing.researching/a/_/_          3 random  100 10
loyal.browsing.researching/a/_/_          1 bau     600 12
loyal.browsing.researching/a/_/_          1 holdout 500 50
loyal.browsing.considering/b/_/_          1 policy  500 10
loyal.browsing.considering/b/_/_          4 policy  500 10
prospect.cart-abandoned._/a/low.rising/_  1 policy   30  1
prospect.cart-abandoned._/a/low.rising/_  3 policy   10  1
prospect.dormant._/_/_/shoes              1 holdout  10  1
_/_/_/_                                   3 random   90  9
`

func TestBuildGridSums(t *testing.T) {
	g, err := BuildGrid(testEvidence(t, small), GridQuery{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, row := range g.Cells {
		for _, c := range row {
			if c.Intersections > 0 {
				got = append(got, fmt.Sprintf("%s %s %d/%d of %d %s key=%s", c.Row, c.Col, c.Successes, c.Trials, c.Intersections, c.State, c.Key))
			}
		}
	}
	want := []string{
		"prospect cart-abandoned 2/40 of 1 thin key=v1/prospect.cart-abandoned._/a/low.rising/_",
		// Only the holdout was here: it teaches nothing.
		"prospect dormant 0/0 of 1 empty key=v1/prospect.dormant._/_/_/shoes",
		// Welcome 8 + 12, five_off 400 + 10, welcome 10 + 10, of 400 + 600, 4000 + 100, 500 + 500: no holdout, no old version.
		"loyal browsing 450/6100 of 2 winner key=",
		"_ _ 9/90 of 1 thin key=",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if g.Trials != 6230 || g.Successes != 461 || g.Intersections != 5 { // 40 + 6100 + 90; 2 + 450 + 9
		t.Errorf("%d/%d in %d intersections", g.Successes, g.Trials, g.Intersections)
	}
	var rows, cols []string
	for _, v := range g.Rows.Values {
		rows = append(rows, v.Value)
	}
	for _, v := range g.Cols.Values {
		cols = append(cols, v.Value)
	}
	if d := cmp.Diff([]string{"prospect", "loyal", "_"}, rows); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"browsing", "cart-abandoned", "dormant", "_"}, cols); d != "" {
		t.Error(d)
	}
	w := g.Cells[1][0].Winner
	if w == nil || w.Action != "five_off" || w.Copy != "plain" || w.Own != 4100 || w.PBest < WinnerPBest || w.Mean < 0.09 || w.Mean > 0.11 {
		t.Errorf("loyal browsing: %+v", w)
	}
	if r := g.Cells[1][0].RunnerUp; r == nil || r.Action != "welcome" || r.Own != 2000 {
		t.Errorf("runner-up: %+v", r)
	}
	if g.Winners != 1 || g.Thin != 2 || g.Empty != 9 || g.Leaning != 0 {
		t.Errorf("winners %d, leaning %d, thin %d, empty %d", g.Winners, g.Leaning, g.Thin, g.Empty)
	}
	if want := "Five off leads in 1 of 3 cells; 1 won at 95% or more; 2 are too thin to say."; g.Sentence != want {
		t.Errorf("%q, want %q", g.Sentence, want)
	}
	if len(g.Actions) != 2 || g.Actions[0].Letter != "A" || g.Actions[0].Action != "welcome" || g.Actions[1].Letter != "B" {
		t.Errorf("%+v", g.Actions)
	}
	// The old version of five_off counts for the action's traffic, but does not compete: 1000 + 100 + 4000 + 10 + 90.
	if g.Actions[1].Trials != 5200 || len(g.Past) != 0 {
		t.Errorf("%+v, past %+v", g.Actions[1], g.Past)
	}
}

func TestBuildGridFilterAndAxes(t *testing.T) {
	ev := testEvidence(t, small)
	g, err := BuildGrid(ev, GridQuery{Rows: "meaning", Cols: "moment", Filter: map[string]string{"lifecycle": "loyal", "mode": "researching"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(g.Cells) != 1 || len(g.Cells[0]) != 1 || g.Cells[0][0].Trials != 5100 || g.Cells[0][0].Col != "loyal.browsing.researching" {
		t.Errorf("%+v", g.Cells)
	}
	for name, q := range map[string]GridQuery{
		"unknown axis":  {Rows: "colour"},
		"same axis":     {Rows: "live", Cols: "live"},
		"same layer":    {Rows: "meaning", Cols: "meaning"},
		"aliases":       {Rows: "category", Cols: "catalogue"},
		"bad filter":    {Filter: map[string]string{"colour": "red"}},
		"filter values": {Filter: map[string]string{"live": "<script>"}},
	} {
		if _, err := BuildGrid(ev, q); juncture.ErrorCode(err) != juncture.CodeInvalidRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
	if g, err := BuildGrid(ev, GridQuery{Filter: map[string]string{"live": "nowhere"}}); err != nil || g.Sentence != "No decision matches this filter yet." || g.Trials != 0 {
		t.Errorf("%q, %v", g.Sentence, err)
	}
}

func TestGridExchanged(t *testing.T) {
	ev := testEvidence(t, small)
	for _, f := range []map[string]string{nil, {"mode": "researching"}} {
		for _, axes := range [][2]string{{"lifecycle", "status"}, {"category", "lifecycle"}, {"meaning", "moment"}, {"live", "latent"}} {
			a, err := BuildGrid(ev, GridQuery{Rows: axes[0], Cols: axes[1], Filter: f})
			if err != nil {
				t.Fatal(err)
			}
			b, err := BuildGrid(ev, GridQuery{Rows: axes[1], Cols: axes[0], Filter: f})
			if err != nil {
				t.Fatal(err)
			}
			for r, row := range a.Cells {
				for k, cell := range row {
					if other := b.Cells[k][r]; !cmp.Equal(cell.Verdict, other.Verdict) || cell.Trials != other.Trials {
						t.Errorf("%v, %s, %s: %+v, exchanged %+v", axes, cell.Row, cell.Col, cell.Verdict, other.Verdict)
					}
				}
			}
		}
	}
}

func TestValuesInOrder(t *testing.T) {
	trials := map[string]int64{"_": 900, "loyal.dormant.researching": 5, "prospect.browsing._": 9, "prospect.browsing.considering": 1,
		"own.segment.x": 50, "other.segment.x": 70, "prospect.dormant.considering": 800}
	var got []string
	for _, v := range newGridAxis("moment", trials, nil, MaxGridValues).Values {
		got = append(got, v.Value)
	}
	want := []string{"prospect.browsing.considering", "prospect.browsing._", "prospect.dormant.considering", "loyal.dormant.researching",
		"other.segment.x", "own.segment.x", "_"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestClimbable(t *testing.T) {
	for _, tt := range []struct{ in, want []int }{
		{[]int{-1}, []int{-1}},
		{[]int{-1, 0, 0}, []int{-1, 0, 1}},                   // two axes of one layer
		{[]int{-1, 3, 0, 3}, []int{-1, 1, 2, 3}},             // a filter on the category, then lifecycle × category
		{[]int{-1, 2, 0, 1}, []int{-1, 1, 2, 3}},             // forward 2 3 4, then back from 3
		{[]int{-1, 0, 0, 0, 1, 2, 3}, []int{-1, 0, 1, 2, 3}}, // the two broadest are left out
	} {
		var ladder []rung
		for _, l := range tt.in {
			ladder = append(ladder, rung{layer: l})
		}
		var got []int
		for _, r := range climbable(ladder) {
			got = append(got, r.layer)
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%v: %s", tt.in, d)
		}
	}
}

func TestBuildGridEdges(t *testing.T) {
	t.Run("nothing at all", func(t *testing.T) {
		g, err := BuildGrid(Evidence{}, GridQuery{})
		if err != nil || !strings.HasPrefix(g.Sentence, "No action has been offered") {
			t.Errorf("%q, %v", g.Sentence, err)
		}
		if b, err := json.Marshal(g); err != nil || strings.Contains(string(b), "null") {
			t.Errorf("%s, %v", b, err)
		}
	})
	t.Run("no evidence", func(t *testing.T) {
		g, err := BuildGrid(testEvidence(t, ""), GridQuery{})
		if err != nil || g.Sentence != "No decision has been made yet." {
			t.Errorf("%q, %v", g.Sentence, err)
		}
	})
	t.Run("nothing live", func(t *testing.T) {
		ev := testEvidence(t, small)
		for id, a := range ev.Arms {
			a.Live = false
			ev.Arms[id] = a
		}
		g, err := BuildGrid(ev, GridQuery{})
		if err != nil || g.Trials != 7230 || len(g.Notes) != 1 { // the old version's 1000 too
			t.Errorf("%d, %v, %v", g.Trials, g.Notes, err)
		}
	})
	t.Run("own segments choose the axes", func(t *testing.T) {
		g, err := BuildGrid(testEvidence(t, "recent/x/_/_ 1 policy 10 1\nlapsed/y/_/_ 1 policy 10 1\n"), GridQuery{})
		if err != nil || g.Rows.Axis != "lifecycle" || g.Cols.Axis != "meaning" {
			t.Errorf("%s × %s, %v", g.Rows.Axis, g.Cols.Axis, err)
		}
	})
	t.Run("at most fifty", func(t *testing.T) {
		var b strings.Builder
		for i := range 60 {
			fmt.Fprintf(&b, "loyal.browsing._/c%02d/_/_ 1 policy %d 0\n", i, i+1)
		}
		g, err := BuildGrid(testEvidence(t, b.String()), GridQuery{Rows: "meaning", Cols: "status"})
		if err != nil || len(g.Rows.Values) != 50 || g.Rows.LeftOut != 10 || g.Rows.Values[0].Value != "c59" || len(g.Notes) != 1 {
			t.Errorf("%d rows, %v, %v", len(g.Rows.Values), g.Notes, err)
		}
	})
	t.Run("more successes than trials", func(t *testing.T) {
		if _, err := BuildGrid(testEvidence(t, "loyal.browsing._/a/_/_ 1 policy 5 9\nloyal.browsing._/a/_/_ 3 policy -5 -9\n"), GridQuery{}); err != nil {
			t.Error(err)
		}
	})
}

func TestBuildIntersection(t *testing.T) {
	ev := testEvidence(t, small)
	x := juncture.Intersection{"loyal.browsing.researching", "a", "_", "_"}
	r, err := BuildIntersection(ev, x)
	if err != nil {
		t.Fatal(err)
	}
	var rungs []string
	for _, s := range r.Rungs {
		rungs = append(rungs, fmt.Sprintf("%s %d/%d", s.Key, s.Successes, s.Trials))
	}
	want := []string{
		"v1/_/_/_/_ 461/6230",
		"v1/loyal.browsing.researching/_/_/_ 430/5100",
		"v1/loyal.browsing.researching/a/_/_ 430/5100", // 8 + 12 + 400 + 10 of 400 + 600 + 4000 + 100
	}
	if d := cmp.Diff(want, rungs); d != "" {
		t.Error(d)
	}
	if r.State != StateWinner || r.Winner.Action != "five_off" || len(r.Actions) != 2 || len(r.Arms) != 3 || r.Arms[0].Action != "five_off" {
		t.Errorf("%+v", r)
	}
	if len(r.Past) != 1 || r.Past[0].Trials != 1000 || r.Past[0].Successes != 90 || r.Past[0].ActionVersion != 1 {
		t.Errorf("past: %+v", r.Past)
	}
	groups := map[string][2]int64{}
	for _, g := range r.Groups {
		groups[g.Group.String()] = [2]int64{g.Trials, g.Successes}
	}
	if d := cmp.Diff(map[string][2]int64{"policy": {5400, 498}, "random": {100, 10}, "bau": {600, 12}, "holdout": {500, 50}}, groups); d != "" {
		t.Error(d)
	}
	who := "browsing loyal customers who are researching"
	for _, part := range []string{"Five off wins for " + who + " in a: ", " for Welcome, ", " sure; 5,100 decisions here, the rest borrowed from " + who + "."} {
		if !strings.Contains(r.Sentence, part) {
			t.Errorf("%q lacks %q", r.Sentence, part)
		}
	}
	empty, err := BuildIntersection(ev, juncture.Intersection{"loyal.dormant._", "zz", "", ""})
	if err != nil || empty.State != StateEmpty || empty.Winner == nil || !strings.HasPrefix(empty.Sentence, "Not enough data yet: no decision has been made for dormant loyal customers in zz") {
		t.Errorf("%q, %v", empty.Sentence, err)
	}
	if _, err := BuildIntersection(Evidence{}, juncture.Intersection{}); err != nil {
		t.Error(err)
	}
}

func TestWinners(t *testing.T) {
	ev := testEvidence(t, small)
	rows, err := Winners(ev, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		x, err := juncture.ParseIntersection(row.Key)
		if err != nil {
			t.Fatal(err)
		}
		r, err := BuildIntersection(ev, x)
		if err != nil {
			t.Fatal(err)
		}
		if r.Trials != row.Trials || r.State != row.State || r.State != StateEmpty && !cmp.Equal(r.Winner, row.Winner) {
			t.Errorf("%s: page %d %s %+v, segments %d %s %+v", row.Key, r.Trials, r.State, r.Winner, row.Trials, row.State, row.Winner)
		}
	}
	if len(rows) != 5 || rows[0].Key != "v1/_/_/_/_" || rows[0].Trials != 6230 || rows[1].Trials != 5100 {
		t.Errorf("%d rows: %+v", len(rows), rows)
	}
	rows, err = Winners(ev, []string{"lifecycle", "meaning"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range rows {
		got = append(got, fmt.Sprintf("%v %d/%d", r.Values, r.Successes, r.Trials))
	}
	if d := cmp.Diff([]string{"[loyal a] 430/5100", "[loyal b] 20/1000", "[_ _] 9/90", "[prospect a] 2/40", "[prospect _] 0/0"}, got); d != "" {
		t.Error(d)
	}
	many, err := Winners(ev, []string{"category", "live", "latent", "meaning", "mode", "status", "lifecycle"}) // more axes than rungs
	if err != nil || len(many) != 5 || many[0].Values[6] != "loyal" || many[0].Trials != 5100 {
		t.Errorf("%+v, %v", many, err)
	}
	if _, err := Winners(ev, []string{"lifecycle", "lifecycle"}); juncture.ErrorCode(err) != juncture.CodeInvalidRequest {
		t.Error(err)
	}
	s, err := BuildSegments(ev, SegmentQuery{Filter: map[string]string{"lifecycle": "loyal"}, Limit: 1})
	if err != nil || s.Total != 2 || len(s.Rows) != 1 || s.Rows[0].Trials != 5100 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestMoneyGoal(t *testing.T) {
	ev := testEvidence(t, "")
	ev.Outcome = juncture.OutcomeType{Name: "purchase", Type: juncture.OutcomeMoney}
	x := juncture.Intersection{"loyal.browsing._", "a", "_", "_"}
	row := func(arm juncture.ArmID, trials, successes int64, log float64) []juncture.CellRow {
		return []juncture.CellRow{{Arm: arm, Group: juncture.GroupPolicy, Tally: juncture.Tally{Trials: trials}},
			{Arm: arm, Group: juncture.GroupPolicy, Event: "purchase", Tally: juncture.Tally{Successes: successes, Outcomes: successes,
				LogValue: int64(float64(successes) * log * 1e4), LogValueSq: int64(float64(successes) * (log*log + 0.25) * 1e8)}}}
	}
	ev.Cells = []juncture.Cell{{Experiment: "hero", Intersection: x, Rows: append(row(plain, 4000, 200, 4), row(five, 4000, 200, 2)...)}}
	r, err := BuildIntersection(ev, x)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Money || !strings.Contains(r.Sentence, "£") {
		t.Errorf("%+v", r.Sentence)
	}
	ev.Experiment.Goal.Measure = juncture.MeasureRate
	if r, err = BuildIntersection(ev, x); err != nil || r.Money || strings.Contains(r.Sentence, "£") {
		t.Errorf("%q, %v", r.Sentence, err)
	}
}

func TestPhrase(t *testing.T) {
	for _, tt := range []struct{ key, want string }{
		{"v1/_/_/_/_", "everybody"},
		{"v1/_._._/_/_/_", "everybody"},
		{"v1/first-time.cart-abandoned.researching/wedding-guests/building.rising/dresses",
			"first-time cart abandoners who are researching in wedding guests, intent building over weeks and rising now, looking at dresses"},
		{"v1/prospect.checkout-abandoned.considering/_/_/_", "prospect checkout abandoners who are considering"},
		{"v1/loyal.at-risk._/_/_/_", "loyal customers at risk"},
		{"v1/returning.dormant._/_/_/_", "dormant returning buyers"},
		{"v1/_.cart-abandoned._/_/_/_", "cart abandoners"},
		{"v1/_._.researching/_/_/_", "shoppers who are researching"},
		{"v1/_/wedding_guests/_/_", "shoppers in wedding guests"},
		{"v1/_/_/_.falling/shoes", "shoppers, intent falling now, looking at shoes"},
		{"v1/recent.high-value/_/_/_", "shoppers in recent · high value"},
		{"v1/_/_/own_score/_", "shoppers, Own score"},
	} {
		x, err := juncture.ParseIntersection(tt.key)
		if err != nil {
			t.Fatal(err)
		}
		if got := Names(nil).Phrase(x); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.key, got, tt.want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{Percent(0.061), "6.1%"}, {Percent(0.1234), "12.3%"}, {Percent(0.0042), "0.42%"}, {Percent(0.00031), "0.031%"},
		{Percent(0), "0%"}, {Percent(1), "100%"}, {Percent(1e-9), "<0.001%"},
		{Sure(0.98), "98%"}, {Sure(0.9499), "94%"}, {Sure(0.996), ">99%"}, {Sure(0.004), "<1%"}, {Sure(1e-12), "<1%"}, {Sure(0), "<1e-12"}, {Sure(0.29), "29%"},
		{Count(1234567), "1,234,567"}, {Count(-1234), "-1,234"}, {Count(999), "999"},
		{Money(1.2, "GBP"), "£1.20"}, {Money(1234.5, "EUR"), "€1,234.50"}, {Money(0.0123, "USD"), "$0.012"}, {Money(1500, "JPY"), "JPY\u00a01,500"},
		{Money(-2, "GBP"), "−£2.00"}, {Money(0, "GBP"), "£0.00"},
		{Money(0.031, ""), "0.031\u00a0points"}, {GoalName(juncture.Goal{Outcome: "click"}), "Click"},
		{GoalName(juncture.Goal{Weights: map[string]float64{"purchase": 1, "click": 0.5, "unsubscribe": -5}}), "Purchase + 0.5 Click − 5 Unsubscribe"}, {GoalName(juncture.Goal{Weights: map[string]float64{"unsubscribe": -1}}), "−Unsubscribe"},
		{letter(0), "A"}, {letter(25), "Z"}, {letter(26), "AA"}, {letter(27), "AB"},
		{Title("five_off"), "Five off"}, {Title("-"), "-"}, {Names(nil).Value("status", "cart-abandoned"), "Cart abandoned"}, {Names(nil).Value("moment", "first-time._.researching"), "First-time · ? · researching"},
	} {
		if tt.got != tt.want {
			t.Errorf("%q, want %q", tt.got, tt.want)
		}
	}
}

func largeEvidence(cells, arms int) Evidence {
	ev := Evidence{Experiment: juncture.Experiment{ID: "hero"}, Outcome: juncture.OutcomeType{Name: "click", Type: juncture.OutcomeBinary}, Arms: map[juncture.ArmID]ArmInfo{}}
	for a := range arms {
		ev.Arms[juncture.ArmID(a+1)] = ArmInfo{Arm: juncture.Arm{Action: fmt.Sprintf("action_%d", a/3), ActionVersion: 1, Copy: fmt.Sprintf("c%d", a%3), CopyVersion: 1}, Live: true}
	}
	for i := range cells {
		x := juncture.Intersection{vocabulary["lifecycle"][i%4] + "." + vocabulary["status"][i/4%6] + ".researching",
			fmt.Sprintf("cluster-%d", i/24%40), "low.rising", fmt.Sprintf("category-%d", i/960)}
		c := juncture.Cell{Experiment: "hero", Intersection: x}
		for a := range arms {
			for _, g := range []juncture.Group{juncture.GroupPolicy, juncture.GroupRandom} {
				n := int64(5 + (i*7+a*13)%50)
				c.Rows = append(c.Rows, juncture.CellRow{Arm: juncture.ArmID(a + 1), Group: g, Tally: juncture.Tally{Trials: n}},
					juncture.CellRow{Arm: juncture.ArmID(a + 1), Group: g, Event: "click", Tally: juncture.Tally{Successes: n / 10}})
			}
		}
		ev.Cells = append(ev.Cells, c)
	}
	return ev
}

func BenchmarkBuildGrid(b *testing.B) {
	ev := largeEvidence(10_000, 24)
	for _, q := range []GridQuery{{}, {Rows: "moment", Cols: "meaning"}} {
		b.Run(q.Rows+"x"+q.Cols, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := BuildGrid(ev, q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkBuildIntersection(b *testing.B) {
	ev := largeEvidence(10_000, 24)
	for b.Loop() {
		if _, err := BuildIntersection(ev, ev.Cells[77].Intersection); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBuildSegments(b *testing.B) {
	ev := largeEvidence(10_000, 24)
	for b.Loop() {
		if _, err := BuildSegments(ev, SegmentQuery{Limit: 200}); err != nil {
			b.Fatal(err)
		}
	}
}

package juncture_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	. "github.com/juncture/juncture"
)

func TestArmsRoundTrip(t *testing.T) {
	name := rapid.StringMatching(`[a-z0-9_-]{1,64}`)
	rapid.Check(t, func(t *rapid.T) {
		a := Arm{Action: name.Draw(t, "action"), ActionVersion: rapid.IntRange(1, 999_999_999).Draw(t, "version"),
			Copy: name.Draw(t, "copy"), CopyVersion: rapid.IntRange(1, 999_999_999).Draw(t, "copyVersion")}
		if back, err := ParseArm(a.String()); err != nil || back != a {
			t.Fatalf("%v came back as %v, %v", a, back, err)
		}
	})
	if a, err := ParseArm("-"); err != nil || a != (Arm{}) || a.String() != "-" {
		t.Errorf("no arm: %v, %v", a, err)
	}
	for _, bad := range []string{"", "a", "a@1", "a@1/b", "a/b@1", "a@1/b@0", "a@01/b@1", "a@-1/b@1", "a@1/b@1/c@1", "A@1/b@1", "@1/b@1",
		"a@1/b@1234567890", "a@1/b@1 ", "a@/b@1", "a@1@1/b@1"} {
		if a, err := ParseArm(bad); ErrorCode(err) != CodeInvalidRequest {
			t.Errorf("%q is %v, %v", bad, a, err)
		}
	}
}

func TestGroupsHaveStableNumbersAndNames(t *testing.T) {
	for g, want := range map[Group]string{GroupNone: "", 1: "policy", 2: "random", 3: "bau", 4: "holdout", 5: "shadow", 6: "served"} {
		b, err := json.Marshal(g)
		if err != nil || string(b) != `"`+want+`"` {
			t.Errorf("group %d is written %s, %v", g, b, err)
		}
		var back Group
		if err := json.Unmarshal(b, &back); err != nil || back != g {
			t.Errorf("%s is read as %v, %v", b, back, err)
		}
		if g.Teaches() != (g == GroupPolicy || g == GroupRandom || g == GroupBAU || g == GroupServed) {
			t.Errorf("%v teaches: %v", g, g.Teaches())
		}
	}
	var g Group
	if err := json.Unmarshal([]byte(`"Policy"`), &g); err == nil {
		t.Error("a group's name in capitals is taken")
	}
}

func TestPickGivesEachGroupItsShare(t *testing.T) {
	even := GroupShares{Policy: 0.25, Random: 0.25, BAU: 0.25, Holdout: 0.25}
	below := math.Nextafter(1, 0)
	for _, c := range []struct {
		shares GroupShares
		u      float64
		want   Group
	}{
		{even, 0, GroupPolicy},
		{even, math.Nextafter(0.25, 0), GroupPolicy},
		{even, 0.25, GroupRandom},
		{even, 0.5, GroupBAU},
		{even, 0.75, GroupHoldout},
		{even, below, GroupHoldout},
		{GroupShares{Random: 1}, 0, GroupRandom},
		{GroupShares{Random: 1}, below, GroupRandom},
		{GroupShares{Policy: 0.5, BAU: 0.5}, 0.5, GroupBAU},
		// Shares sum to 1 − 1e-9: what is left over belongs to the last group with a share, never to one without.
		{GroupShares{Policy: 0.5, Random: 0.5 - 1e-9}, below, GroupRandom},
		{GroupShares{Policy: 1 - 1e-9}, below, GroupPolicy},
		{GroupShares{Policy: 0.5, BAU: 0.5 - 1e-9}, below, GroupBAU},
		{GroupShares{Policy: 0.5, Holdout: 0.5 - 1e-9}, below, GroupHoldout},
	} {
		if got := c.shares.Pick(c.u); got != c.want {
			t.Errorf("%+v at %v: %v, want %v", c.shares, c.u, got, c.want)
		}
	}
	shares := GroupShares{Policy: 0.85, Random: 0.05, BAU: 0.06, Holdout: 0.04}
	const n = 100_000
	counts := map[Group]float64{}
	for i := range n {
		counts[shares.Pick((float64(i)+0.5)/n)]++
	}
	for g := GroupPolicy; g <= GroupHoldout; g++ {
		if math.Abs(counts[g]/n-shares.Share(g)) > 2.0/n { // a grid of n points misplaces at most one at each edge
			t.Errorf("%v gets %v of an even grid, not %v", g, counts[g]/n, shares.Share(g))
		}
	}
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90m": 90 * time.Minute, "24h": 24 * time.Hour, "7d": 7 * 24 * time.Hour, "0d": 0, "1h30m": 90 * time.Minute, "36500d": 36500 * 24 * time.Hour,
	} {
		if d, err := ParseDuration(text); err != nil || time.Duration(d) != want {
			t.Errorf("%q is %v, %v", text, d, err)
		}
	}
	for _, bad := range []string{"", "7", "d", "7D", "07d", "+7d", "-7d", " 7d", "7d ", "7d1h", "1.5d", "36501d", "7 d", "week", "1e3s"} {
		if d, err := ParseDuration(bad); ErrorCode(err) != CodeInvalidRequest {
			t.Errorf("%q is %v, %v", bad, d, err)
		}
	}
	for d, want := range map[time.Duration]string{
		time.Minute: "1m", 10 * time.Minute: "10m", time.Hour: "1h", 90 * time.Minute: "1h30m", 24 * time.Hour: "24h", 48 * time.Hour: "2d", 7 * 24 * time.Hour: "7d",
		49 * time.Hour: "49h", 20 * time.Hour: "20h", time.Second: "1s", 0: "0s", 100 * time.Millisecond: "100ms", time.Hour + time.Second: "1h0m1s",
	} {
		if got := Duration(d).String(); got != want {
			t.Errorf("%v is written %q, want %q", d, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		d := Duration(rapid.Int64Range(0, int64(100*24*time.Hour)).Draw(t, "d"))
		if back, err := ParseDuration(d.String()); err != nil || back != d {
			t.Fatalf("%d came back as %d, %v", d, back, err)
		}
	})
}

func TestErrorsCarryTheirCodeAndCause(t *testing.T) {
	err := Errorf(CodeUnprocessable, "no good: %w", io.EOF).WithHint("do better").WithField("value")
	wrapped := fmt.Errorf("around: %w", err)
	if !errors.Is(wrapped, io.EOF) || ErrorCode(wrapped) != CodeUnprocessable || err.Message != "no good: EOF" || err.Field != "value" || err.Hint != "do better" {
		t.Errorf("%+v", err)
	}
	if ErrorCode(nil) != "" || ErrorCode(io.EOF) != CodeInternal {
		t.Error("codes of nil and of foreign errors")
	}
}

func TestContentHashes(t *testing.T) {
	a := Action{ID: "a", Surfaces: []string{"s"}, Type: "content", Payload: map[string]any{"x": 1.0, "y": "z"}, Copy: []Copy{{ID: "c"}}}
	same := a
	same.Copy = nil
	same.Payload = map[string]any{"y": "z", "x": 1.0}
	if a.Hash() != same.Hash() {
		t.Error("an action's copy, or the order of its payload, is in its hash")
	}
	other := a
	other.Rule = "true"
	if a.Hash() == other.Hash() {
		t.Error("another rule has the same hash")
	}
	w := Copy{ID: "c", Headline: "h"}
	if w.Hash() == (Copy{ID: "c", Headline: "h", Body: "b"}).Hash() || w.Hash() != (Copy{ID: "c", Headline: "h"}).Hash() {
		t.Error("copy's hash is not its content's")
	}
}

func valid() *Declaration {
	return &Declaration{
		Store:    StoreInfo{Name: "Demo", Currency: "GBP"},
		Layers:   map[string]LayerSetting{"moment": {Source: SourceRequest}},
		Outcomes: []OutcomeType{{Name: "click", Type: OutcomeBinary}, {Name: "purchase", Type: OutcomeMoney, Bound: 5000}},
		Surfaces: []Surface{{ID: "hero", Channel: "onsite", Default: "welcome"}},
		Actions: []Action{{ID: "welcome", Surfaces: []string{"hero"}, Type: "content", Copy: []Copy{{ID: "plain", Headline: "Hello"}}},
			{ID: "off", Surfaces: []string{"hero"}, Type: "discount", Copy: []Copy{{ID: "plain", Headline: "5%"}, {ID: "posh", Headline: "x", Voice: []string{"c1"}}}}},
		Experiments: []Experiment{{ID: "x", Surface: "hero", Goal: Goal{Outcome: "click", Window: Duration(24 * time.Hour)},
			Groups: GroupShares{Policy: 0.85, Random: 0.05, BAU: 0.05, Holdout: 0.05}, Status: StatusRunning}},
	}
}

func TestProblemsNameThePath(t *testing.T) {
	if p := valid().Problems(); len(p) != 0 {
		t.Fatalf("a valid declaration has %+v", p)
	}
	half := 0.5
	for what, c := range map[string]struct {
		change func(*Declaration)
		paths  string // space-separated, in order; empty: none
	}{
		"no name":                {func(d *Declaration) { d.Store.Name = "" }, "store.name"},
		"a long name":            {func(d *Declaration) { d.Store.Name = strings.Repeat("x", 201) }, "store.name"},
		"no currency":            {func(d *Declaration) { d.Store.Currency = "" }, "store.currency"},
		"a small currency":       {func(d *Declaration) { d.Store.Currency = "gbp" }, "store.currency"},
		"an unknown layer":       {func(d *Declaration) { d.Layers["mood"] = LayerSetting{Source: SourceRequest} }, "layers.mood"},
		"an unknown source":      {func(d *Declaration) { d.Layers["moment"] = LayerSetting{Source: "sent"} }, "layers.moment.source"},
		"values below none":      {func(d *Declaration) { d.Layers["moment"] = LayerSetting{Source: SourceRequest, MaxValues: -1} }, "layers.moment.maxValues"},
		"too many values":        {func(d *Declaration) { d.Layers["moment"] = LayerSetting{Source: SourceRequest, MaxValues: 100_001} }, "layers.moment.maxValues"},
		"an outcome's bad name":  {func(d *Declaration) { d.Outcomes[1].Name = "Buy" }, "outcomes[1].name"},
		"an outcome twice":       {func(d *Declaration) { d.Outcomes[1].Name = "click" }, "outcomes[1].name"},
		"an outcome's bad type":  {func(d *Declaration) { d.Outcomes[0].Type = "" }, "outcomes[0].type"},
		"a bad count":            {func(d *Declaration) { d.Outcomes[0].Count = "most" }, "outcomes[0].count"},
		"a bound below none":     {func(d *Declaration) { d.Outcomes[1].Bound = -1 }, "outcomes[1].bound"},
		"a bound that is NaN":    {func(d *Declaration) { d.Outcomes[1].Bound = math.NaN() }, "outcomes[1].bound"},
		"an endless cap":         {func(d *Declaration) { d.Outcomes[1].Cap = math.Inf(1) }, "outcomes[1].cap"},
		"a short outcome window": {func(d *Declaration) { d.Outcomes[1].Window = Duration(time.Second) }, "outcomes[1].window"},
		"no channel":             {func(d *Declaration) { d.Surfaces[0].Channel = "" }, "surfaces[0].channel"},
		"a bad ceiling":          {func(d *Declaration) { d.Surfaces[0].Ceiling = "all" }, "surfaces[0].ceiling"},
		"a default that is none": {func(d *Declaration) { d.Surfaces[0].Default = "nothing" }, "surfaces[0].default"},
		"a default elsewhere": {func(d *Declaration) {
			d.Surfaces = append(d.Surfaces, Surface{ID: "other", Channel: "onsite"})
			d.Actions[0].Surfaces = []string{"other"}
		}, "surfaces[0].default"},
		"no default":                 {func(d *Declaration) { d.Surfaces[0].Default = "" }, ""},
		"an action's bad id":         {func(d *Declaration) { d.Actions[1].ID = "a b" }, "actions[1].id"},
		"an action twice":            {func(d *Declaration) { d.Actions[1].ID = "welcome" }, "actions[1].id"},
		"no type":                    {func(d *Declaration) { d.Actions[1].Type = "" }, "actions[1].type"},
		"a long type":                {func(d *Declaration) { d.Actions[1].Type = strings.Repeat("x", 33) }, "actions[1].type"},
		"no surface":                 {func(d *Declaration) { d.Actions[1].Surfaces = nil }, "actions[1].surfaces"},
		"a surface that is none":     {func(d *Declaration) { d.Actions[1].Surfaces = []string{"hero", "attic"} }, "actions[1].surfaces[1]"},
		"a surface twice":            {func(d *Declaration) { d.Actions[1].Surfaces = []string{"hero", "hero"} }, "actions[1].surfaces[1]"},
		"a payload that is too long": {func(d *Declaration) { d.Actions[1].Payload = map[string]any{"x": strings.Repeat("y", MaxText)} }, "actions[1].payload"},
		"no copy":                    {func(d *Declaration) { d.Actions[1].Copy = nil }, "actions[1].copy"},
		"copy twice":                 {func(d *Declaration) { d.Actions[1].Copy[1].ID = "plain" }, "actions[1].copy[1].id"},
		"no headline":                {func(d *Declaration) { d.Actions[1].Copy[0].Headline = "" }, "actions[1].copy[0].headline"},
		"a long body":                {func(d *Declaration) { d.Actions[1].Copy[0].Body = strings.Repeat("x", MaxText+1) }, "actions[1].copy[0].body"},
		"a bad voice":                {func(d *Declaration) { d.Actions[1].Copy[1].Voice = []string{"C 1"} }, "actions[1].copy[1].voice[0]"},
		"only copy with a voice":     {func(d *Declaration) { d.Actions[1].Copy = d.Actions[1].Copy[1:] }, "actions[1].copy"},
		"too much copy": {func(d *Declaration) {
			for i := range MaxCopyPerAction {
				d.Actions[0].Copy = append(d.Actions[0].Copy, Copy{ID: fmt.Sprint(i), Headline: "x"})
			}
		}, "actions[0].copy"},
		"too many arms at a surface": {func(d *Declaration) {
			for i := range 11 { // 3 arms + 10 × 50 are too many; the first action over the limit is named, once
				a := Action{ID: fmt.Sprint("a", i), Surfaces: []string{"hero"}, Type: "x"}
				for j := range MaxCopyPerAction {
					a.Copy = append(a.Copy, Copy{ID: fmt.Sprint(j), Headline: "x"})
				}
				d.Actions = append(d.Actions, a)
			}
		}, "actions[11]"},
		"an experiment twice": {func(d *Declaration) {
			e := d.Experiments[0]
			e.Status = StatusDraft
			d.Experiments = append(d.Experiments, e)
		}, "experiments[1].id"},
		"two run at a surface": {func(d *Declaration) { e := d.Experiments[0]; e.ID = "y"; d.Experiments = append(d.Experiments, e) }, "experiments[1].status"},
		"one runs beside a paused one": {func(d *Declaration) {
			e := d.Experiments[0]
			e.ID, e.Status = "y", StatusPaused
			d.Experiments = append(d.Experiments, e)
		}, ""},
		"a surface that is none to experiment": {func(d *Declaration) { d.Experiments[0].Surface = "attic" }, "experiments[0].surface"},
		"a goal that is none":                  {func(d *Declaration) { d.Experiments[0].Goal.Outcome = "joy" }, "experiments[0].goal.outcome"},
		"a goal's bad measure":                 {func(d *Declaration) { d.Experiments[0].Goal.Measure = "sum" }, "experiments[0].goal.measure"},
		"value of what is not money":           {func(d *Declaration) { d.Experiments[0].Goal.Measure = MeasureValue }, "experiments[0].goal.measure"},
		"rate of money": {func(d *Declaration) {
			d.Experiments[0].Goal = Goal{Outcome: "purchase", Window: Duration(time.Hour), Measure: MeasureRate}
		}, ""},
		"a goal of several":      {func(d *Declaration) { weigh(d, map[string]float64{"purchase": 1, "click": -0.5}) }, ""},
		"less is better":         {func(d *Declaration) { weigh(d, map[string]float64{"click": -1}) }, ""},
		"an outcome and weights": {func(d *Declaration) { d.Experiments[0].Goal.Weights = map[string]float64{"click": 1} }, "experiments[0].goal.outcome"},
		"weights of nothing":     {func(d *Declaration) { weigh(d, map[string]float64{"joy": 1, "click": 0}) }, "experiments[0].goal.weights.click experiments[0].goal.weights.joy"},
		"a weight that is NaN":   {func(d *Declaration) { weigh(d, map[string]float64{"click": math.NaN()}) }, "experiments[0].goal.weights.click"},
		"weights under a policy of one goal": {func(d *Declaration) {
			weigh(d, map[string]float64{"click": 1})
			d.Experiments[0].Policy = PolicyFlat
		}, "experiments[0].goal.weights"},
		"a nudge and floors": {func(d *Declaration) {
			d.Experiments[0].Nudges = []Nudge{{Action: d.Actions[0].ID, Factor: 2, Owner: "mia", Expires: time.Now()}}
			d.Experiments[0].Floors = map[string]float64{d.Actions[0].ID: 0.3, d.Actions[0].ID + "/" + d.Actions[0].Copy[0].ID: 0.2}
		}, ""},
		"a nudge of nothing": {func(d *Declaration) { d.Experiments[0].Nudges = []Nudge{{Action: "none", Factor: 3}} },
			"experiments[0].nudges[0].action experiments[0].nudges[0].factor experiments[0].nudges[0].owner experiments[0].nudges[0].expires"},
		"floors over a half": {func(d *Declaration) {
			d.Experiments[0].Floors = map[string]float64{d.Actions[0].ID: 0.4, d.Actions[0].ID + "/x": 0.2}
		}, "experiments[0].floors"},
		"floors beside floor 1": {func(d *Declaration) {
			one := 1.0
			d.Experiments[0].Floor, d.Experiments[0].Floors = &one, map[string]float64{d.Actions[0].ID: 0.1}
		}, "experiments[0].floors"},
		"a nudge of a fixed split": {func(d *Declaration) {
			e := &d.Experiments[0]
			e.Policy, e.Floors = PolicyUniform, map[string]float64{d.Actions[0].ID: 0.1}
		}, "experiments[0].nudges"},
		"a nudge that says it is a priority's": {func(d *Declaration) {
			d.Experiments[0].Nudges = []Nudge{{Action: d.Actions[0].ID, Factor: 2, Owner: "mia", Expires: time.Now(), Priority: "push"}}
		}, "experiments[0].nudges[0].priorityId"},
		"a priority of an action": {func(d *Declaration) {
			d.Priorities = []Priority{{ID: "push", Owner: "mia", Action: d.Actions[0].ID, Weight: 1, Expires: time.Now()}}
		}, ""},
		"priorities of nothing, of no action and of both": {func(d *Declaration) {
			p := Priority{Owner: "mia", Weight: 1, Expires: time.Now()}
			nothing, unknown, both := p, p, p
			nothing.ID, unknown.ID, unknown.Action, both.ID, both.Action, both.Category = "a", "b", "none", "c", d.Actions[0].ID, "shoes"
			d.Priorities = []Priority{nothing, unknown, both}
		}, "priorities[0] priorities[1].action priorities[2].action"},
		"no window":               {func(d *Declaration) { d.Experiments[0].Goal.Window = 0 }, "experiments[0].goal.window"},
		"a window of a minute":    {func(d *Declaration) { d.Experiments[0].Goal.Window = Duration(MinWindow) }, ""},
		"a window of 60 days":     {func(d *Declaration) { d.Experiments[0].Goal.Window = Duration(MaxWindow) }, ""},
		"a longer window":         {func(d *Declaration) { d.Experiments[0].Goal.Window = Duration(MaxWindow + 1) }, "experiments[0].goal.window"},
		"shares that are too few": {func(d *Declaration) { d.Experiments[0].Groups.Policy = 0.8 }, "experiments[0].groups"},
		"shares within rounding":  {func(d *Declaration) { d.Experiments[0].Groups.Policy += 9e-10 }, ""},
		"shares just beyond it":   {func(d *Declaration) { d.Experiments[0].Groups.Policy += 2e-9 }, "experiments[0].groups"},
		"a share below 0":         {func(d *Declaration) { d.Experiments[0].Groups = GroupShares{Policy: 1.5, Random: -0.5} }, "experiments[0].groups.policy experiments[0].groups.random"},
		"a share that is NaN":     {func(d *Declaration) { d.Experiments[0].Groups.BAU = math.NaN() }, "experiments[0].groups.bau experiments[0].groups"},
		"a share of 0":            {func(d *Declaration) { d.Experiments[0].Groups = GroupShares{Policy: 1} }, ""},
		"traffic over 1":          {func(d *Declaration) { two := 2.0; d.Experiments[0].Traffic = &two }, "experiments[0].traffic"},
		"half the traffic":        {func(d *Declaration) { d.Experiments[0].Traffic = &half }, ""},
		"a floor below 0":         {func(d *Declaration) { low := -0.1; d.Experiments[0].Floor = &low }, "experiments[0].floor"},
		"a bad attribution":       {func(d *Declaration) { d.Experiments[0].Attribution = "first" }, "experiments[0].attribution"},
		"a half-life of nothing": {func(d *Declaration) {
			d.Experiments[0].Attribution, d.Experiments[0].AttributionHalfLife = AttributionLinear, Duration(time.Hour)
		}, "experiments[0].attributionHalfLife"},
		"a half-life too long": {func(d *Declaration) {
			d.Experiments[0].Attribution, d.Experiments[0].AttributionHalfLife = AttributionTimeDecay, Duration(366*24*time.Hour)
		}, "experiments[0].attributionHalfLife"},
		"a bad stickiness": {func(d *Declaration) { d.Experiments[0].Stickiness = "forever" }, "experiments[0].stickiness"},
		"no status":        {func(d *Declaration) { d.Experiments[0].Status = "" }, "experiments[0].status"},
		"ends before it starts": {func(d *Declaration) {
			a, b := time.Unix(2, 0), time.Unix(1, 0)
			d.Experiments[0].Starts, d.Experiments[0].Ends = &a, &b
		}, "experiments[0].ends"},
		"guards": {func(d *Declaration) {
			d.Experiments[0].Guards = []Guard{{Outcome: "click", Direction: GuardBelow, Margin: 0.2}, {Outcome: "click", Direction: GuardBelow, Against: "holdout", Alpha: 0.5}, {Outcome: "click", Direction: GuardAbove, Margin: 0.9}}
		}, ""},
		"a guard of nothing": {func(d *Declaration) {
			d.Experiments[0].Guards = []Guard{{Outcome: "joy", Direction: "up", Margin: -1, Against: "policy", Alpha: 0.6}}
		}, "experiments[0].guards[0].outcome experiments[0].guards[0].direction experiments[0].guards[0].margin experiments[0].guards[0].alpha experiments[0].guards[0].against"},
		"a fall by all of it": {func(d *Declaration) {
			d.Experiments[0].Guards = []Guard{{Outcome: "click", Direction: GuardBelow, Margin: 1}}
		}, "experiments[0].guards[0].margin"},
		"a margin that is NaN": {func(d *Declaration) {
			d.Experiments[0].Guards = []Guard{{Outcome: "click", Direction: GuardBelow, Margin: math.NaN()}}
		}, "experiments[0].guards[0].margin"},
		"a guard against nobody": {func(d *Declaration) {
			d.Experiments[0].Groups = GroupShares{Policy: 0.9, Random: 0.1}
			d.Experiments[0].Guards = []Guard{{Outcome: "click", Direction: GuardBelow}, {Outcome: "click", Direction: GuardBelow, Against: "random"}}
		}, "experiments[0].guards[0].against"},
		"a guard of nobody": {func(d *Declaration) {
			d.Experiments[0].Groups = GroupShares{Random: 0.9, BAU: 0.1}
			d.Experiments[0].Guards = []Guard{{Outcome: "click", Direction: GuardBelow}}
		}, "experiments[0].guards[0]"},
		"a guard twice": {func(d *Declaration) {
			d.Experiments[0].Guards = []Guard{{Outcome: "click", Direction: GuardBelow}, {Outcome: "click", Direction: GuardBelow, Margin: 0.1, Against: "bau"}}
		}, "experiments[0].guards[1]"},
		"nine guards": {func(d *Declaration) {
			for i := range MaxGuards + 1 { // of one outcome there are 6: the rest are there twice
				d.Experiments[0].Guards = append(d.Experiments[0].Guards, Guard{Outcome: "click", Direction: [...]string{GuardBelow, GuardAbove}[i%2], Against: [...]string{"bau", "random", "holdout"}[i/2%3]})
			}
		}, "experiments[0].guards experiments[0].guards[6] experiments[0].guards[7] experiments[0].guards[8]"},
		"copy of the default":         {func(d *Declaration) { d.Surfaces[0].DefaultCopy = d.Actions[0].Copy[0].ID }, ""},
		"copy that the default lacks": {func(d *Declaration) { d.Surfaces[0].DefaultCopy = "none" }, "surfaces[0].defaultCopy"},
		"an empty context key":        {func(d *Declaration) { d.Context = []string{"a", ""} }, "context[1]"},
	} {
		d := valid()
		c.change(d)
		var paths []string
		for _, p := range d.Problems() {
			paths = append(paths, p.Path)
			if p.Message == "" {
				t.Errorf("%s: a problem without a word: %+v", what, p)
			}
		}
		if got := strings.Join(paths, " "); got != c.paths {
			t.Errorf("%s: problems at %q, want %q", what, got, c.paths)
		}
	}
}

func TestDefaultsAreFilledIn(t *testing.T) {
	var e Experiment
	if e.FloorMass() != 0.01 || e.TrafficShare() != 1 {
		t.Errorf("floor %v, traffic %v", e.FloorMass(), e.TrafficShare())
	}
	if (OutcomeType{Type: OutcomeMoney}).Counting() != CountSum || (OutcomeType{Type: OutcomeBinary}).Counting() != CountFirst ||
		(OutcomeType{Type: OutcomeMoney, Count: CountLast}).Counting() != CountLast {
		t.Error("counting")
	}
	if (OutcomeType{Type: OutcomeMoney}).Limit() != DefaultBound || (OutcomeType{Type: OutcomeMoney, Bound: 5}).Limit() != 5 || (OutcomeType{Type: OutcomeBinary, Bound: 5}).Limit() != 1 {
		t.Error("limits")
	}
	if (Surface{}).CeilingTier() != TierFull || (Surface{Ceiling: "moment"}).CeilingTier() != TierMoment {
		t.Error("ceilings")
	}
}

func TestExperimentsLiveBetweenTheirDates(t *testing.T) {
	start, end := time.Unix(100, 0), time.Unix(200, 0)
	for _, c := range []struct {
		e    Experiment
		at   int64
		live bool
	}{
		{Experiment{Status: StatusRunning}, 0, true},
		{Experiment{Status: StatusPaused}, 0, false},
		{Experiment{Status: StatusDraft}, 0, false},
		{Experiment{Status: StatusRunning, Starts: &start, Ends: &end}, 99, false},
		{Experiment{Status: StatusRunning, Starts: &start, Ends: &end}, 100, true},
		{Experiment{Status: StatusRunning, Starts: &start, Ends: &end}, 199, true},
		{Experiment{Status: StatusRunning, Starts: &start, Ends: &end}, 200, false},
	} {
		if got := c.e.Live(time.Unix(c.at, 0)); got != c.live {
			t.Errorf("%+v at %d: live %v", c.e, c.at, got)
		}
	}
}

func weigh(d *Declaration, weights map[string]float64) {
	g := &d.Experiments[0].Goal
	g.Outcome, g.Weights = "", weights
}

func TestGoalParts(t *testing.T) {
	one, several := Goal{Outcome: "click"}, Goal{Weights: map[string]float64{"unsubscribe": -5, "click": 0.5, "purchase": 1}}
	if d := cmp.Diff([]GoalPart{{"purchase", 1}, {"click", 0.5}, {"unsubscribe", -5}}, several.Parts()); d != "" {
		t.Error(d)
	}
	if one.Main() != "click" || several.Main() != "purchase" || !one.Counts("click") || one.Counts("purchase") || !several.Counts("unsubscribe") || several.Counts("open") || (Goal{}).Counts("open") {
		t.Error("what counts")
	}
}

// A policy's or a random decision without an arm is one that the breaker took back: no activation makes it an arm's trial.
func TestADefaultedDecisionIsATrialOfNoArm(t *testing.T) {
	at := time.Unix(1000, 0)
	for _, group := range []Group{GroupNone, GroupPolicy, GroupRandom, GroupBAU, GroupHoldout} {
		for _, arm := range []ArmID{0, 7} {
			c := Claims{At: at, Until: at.Add(time.Hour), Experiment: "hero", Group: group, Arm: arm}
			want := arm == 0 && (group == GroupPolicy || group == GroupRandom)
			if c.Defaulted() != want {
				t.Errorf("%v with arm %d: %v", group, arm, c.Defaulted())
			}
			s := Settlement{Claims: c, Activation: &Activation{At: at, Served: true, Arm: 9}, Type: OutcomeType{Name: "click", Type: OutcomeBinary}}
			served := ArmID(9)
			if want {
				served = 0
			}
			learnt := s.Learnt([]Outcome{{Event: "click", Value: 1, Minor: 1, At: at, Status: StatusRecorded}})
			if s.Arm() != served || s.Trial(1).Arm != served || learnt[0].Arm != served || learnt[0].Successes != 1 {
				t.Errorf("%v with arm %d: %d, %+v", group, arm, s.Arm(), learnt)
			}
			if delays := len(learnt) == 2; delays != (group.Teaches() && !want) {
				t.Errorf("%v with arm %d: %+v", group, arm, learnt)
			}
		}
	}
}

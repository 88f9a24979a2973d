package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/experiments"
)

// TestGolden replays a log of eight rows against a fixed policy: rows 1, 3, 5, 6 and 7 match, four of them with a reward.
func TestGolden(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "..", "shared", "data", "golden", "replay.json"))
	if err != nil {
		t.Skip("the shared data is not here: ", err)
	}
	var golden struct {
		Cases []struct {
			Log     [][2]float64
			Policy  []int
			Matched int
			Value   float64
		}
	}
	if err := json.Unmarshal(b, &golden); err != nil {
		t.Fatal(err)
	}
	for i, c := range golden.Cases {
		var p Pass
		for k, row := range c.Log {
			p.see(c.Policy[k], int(row[0]), row[1] > 0, row[1])
		}
		if p.Used != c.Matched || math.Abs(p.Mean()-c.Value) > 1e-12 || p.Rows != len(c.Log) {
			t.Errorf("case %d: %+v, mean %v; want %d matched, value %v", i, p, p.Mean(), c.Matched, c.Value)
		}
	}
	if len(golden.Cases) == 0 {
		t.Error("no cases")
	}
}

// script is a Target that chooses by the request's layers and notes what it is told.
type script struct {
	choose func(*juncture.ChooseRequest) *juncture.ChooseAnswer
	calls  []string
	fail   error
}

func (s *script) Choose(_ context.Context, now time.Time, rs []*juncture.ChooseRequest) ([]*juncture.ChooseAnswer, error) {
	s.calls = append(s.calls, fmt.Sprintf("choose %d at +%v", len(rs), now.Sub(start())))
	out := make([]*juncture.ChooseAnswer, len(rs))
	for i, r := range rs {
		if !r.DeferActivation {
			return nil, errors.New("not deferred")
		}
		out[i] = s.choose(r)
	}
	return out, nil
}

func (s *script) Activate(_ context.Context, _ time.Time, id string) error {
	s.calls = append(s.calls, "activate "+id)
	return s.fail
}

func (s *script) Reward(_ context.Context, _ time.Time, rs []*juncture.RewardRequest) error {
	for _, r := range rs {
		call := "reward " + r.DecisionID + " " + r.Event
		if r.Value != nil {
			call += fmt.Sprintf(" %g %s", *r.Value, r.Currency)
		}
		s.calls = append(s.calls, call)
	}
	return nil
}

func start() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

func always(action string, arms int) func(*juncture.ChooseRequest) *juncture.ChooseAnswer {
	return func(r *juncture.ChooseRequest) *juncture.ChooseAnswer {
		return &juncture.ChooseAnswer{DecisionID: r.ShopperID, ActionID: &action, Group: juncture.GroupPolicy, Ranking: make([]juncture.RankedView, arms)}
	}
}

func mustRead(t *testing.T, text string, c Columns) *Log {
	t.Helper()
	l, err := Read(strings.NewReader(text), c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func columns(t *testing.T, layers string) Columns {
	t.Helper()
	parsed, err := ParseLayers(layers)
	if err != nil {
		t.Fatal(err)
	}
	return Columns{Layers: parsed, Arm: "arm", Reward: "y"}
}

// TestCalls shows what the engine hears: only what matches is activated, and rewards come after their batch.
func TestCalls(t *testing.T) {
	c := columns(t, "moment=who")
	c.Value = "spend"
	l := mustRead(t, "who,arm,y,spend\na,Red,1,2.5\nb,Blue,1,0\na,Red,0,0\nb,Red,1,4\n", c)
	s := &script{choose: always("red", 2)}
	p, err := Run(t.Context(), s, l, Options{Seed: 3, Batch: 3, Start: start()})
	if err != nil {
		t.Fatal(err)
	}
	if p.Rows != 4 || p.Used != 3 || p.Wins != 2 || p.Gain != 6.5 || p.GainSq != 2.5*2.5+16 {
		t.Errorf("pass %+v", p)
	}
	chooses, activates, seen := 0, 0, map[string]bool{}
	for _, call := range s.calls {
		what, rest, _ := strings.Cut(call, " ")
		id, _, _ := strings.Cut(rest, " ")
		switch what {
		case "choose":
			chooses++
		case "activate":
			activates++
			seen[id] = true
		case "reward":
			if !seen[id] {
				t.Errorf("%s before its activation", call)
			}
		}
	}
	if chooses != 2 || activates != 3 || seen["line-3"] || s.calls[0] != "choose 3 at +0s" {
		t.Errorf("calls %q", s.calls)
	}
	if again, err := Run(t.Context(), &script{choose: always("red", 2)}, l, Options{Seed: 3, Batch: 3, Start: start()}); err != nil || again != p {
		t.Errorf("again %+v, %v", again, err)
	}
}

func TestForeignStore(t *testing.T) {
	l := mustRead(t, "who,arm,y\na,Red,1\nb,Blue,1\n", columns(t, "moment=who"))
	for name, s := range map[string]*script{
		"other arms":   {choose: always("green", 2)},
		"other number": {choose: always("red", 3)},
		"failure":      {choose: always("red", 2), fail: errors.New("boom")},
		"no arm": {choose: func(*juncture.ChooseRequest) *juncture.ChooseAnswer {
			return &juncture.ChooseAnswer{Group: juncture.GroupHoldout}
		}},
		"warned": {choose: func(r *juncture.ChooseRequest) *juncture.ChooseAnswer {
			a := always("red", 2)(r)
			a.Warnings = []string{"layers.moment: this store derives the layer"}
			return a
		}},
	} {
		if _, err := Run(t.Context(), s, l, Options{Seed: 1, Batch: 10, Start: start()}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestLayers(t *testing.T) {
	text := "who,n,hash,arm,y\n"
	for i := range 40 {
		text += fmt.Sprintf("%s,%d,%032x,%d,%d\n", []string{"1) $0 - $100", "", "Größe M"}[i%3], i, i%2, i%3+9, i%2)
	}
	l := mustRead(t, text, columns(t, "moment=who+n,catalogue=hash"))
	got := []juncture.LayerValues{l.Rows[0].Layers, l.Rows[1].Layers, l.Rows[39].Layers, l.Rows[20].Layers}
	want := []juncture.LayerValues{
		{Moment: "1-0-100.q1", Catalogue: "000000000000000"},
		{Moment: "_.q1", Catalogue: "0000000000000-2"},
		{Moment: "1-0-100.q4", Catalogue: "0000000000000-2"}, // 39 is the largest
		{Moment: "gr-e-m.q3", Catalogue: "000000000000000"},  // cuts at 9, 19 and 29
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if len(l.Notes) != 2 || !strings.Contains(l.Notes[0], "moment: n holds over 12 numbers, cut into quartiles at 9, 19 and 29") {
		t.Errorf("notes %q", l.Notes)
	}
	if l.Arms[0].Label != "9" || l.Arms[2].Label != "11" { // by size, not by text
		t.Errorf("arms %v", l.Arms)
	}
	for _, r := range l.Rows {
		for _, v := range r.Layers.Values() {
			if v != "" && !juncture.ValidLayerValue(v) {
				t.Fatalf("%q is no layer value", v)
			}
		}
	}
	d, err := l.Declaration()
	if err != nil || len(d.Problems()) > 0 {
		t.Errorf("declaration: %v, %v", d.Problems(), err)
	}
}

func TestPropensities(t *testing.T) {
	// Arm a is logged three times as often: two of three of its rows go, and every row of b stays.
	text := "who,arm,y,p\n"
	for i := range 4000 {
		arm, p := "a", 0.75
		if i%4 == 0 {
			arm, p = "b", 0.25
		}
		text += fmt.Sprintf("x,%s,0,%g\n", arm, p)
	}
	c := columns(t, "moment=who")
	if l := mustRead(t, text, c); l.Warning == "" {
		t.Error("3,000 rows of one arm against 1,000 of another passed for uniform")
	}
	c.Propensity = "p"
	l := mustRead(t, text, c)
	n := [2]int{}
	for _, r := range l.Rows {
		n[r.Arm]++
	}
	if n[1] != 1000 || n[0] < 900 || n[0] > 1100 || l.Warning != "" { // 1,000 ± 26 expected
		t.Errorf("kept %v, warning %q", n, l.Warning)
	}
}

func TestUnusable(t *testing.T) {
	for name, c := range map[string]struct{ text, layers, arm, reward, want string }{
		"empty":       {"", "moment=who", "arm", "y", "the file is empty"},
		"no rows":     {"who,arm,y\n", "moment=who", "arm", "y", "no rows"},
		"no column":   {"who,arm,y\na,b,1\n", "moment=whom", "arm", "y", `no column "whom"; it has who, arm, y`},
		"one arm":     {"who,arm,y\na,b,1\nc,b,0\n", "moment=who", "arm", "y", `has one value, "b"`},
		"empty arm":   {"who,arm,y\na,b,1\nc,,0\n", "moment=who", "arm", "y", "line 3: the arm is empty"},
		"not numbers": {"who,arm,y\na,b,yes\n", "moment=who", "arm", "y", `line 2: reward "yes" is not a number`},
		"ragged":      {"who,arm,y\na,b\n", "moment=who", "arm", "y", "wrong number of fields"},
		"peeking":     {"who,arm,y\na,b,1\n", "moment=y", "arm", "y", "must be known before the choice"},
	} {
		_, err := Read(strings.NewReader(c.text), Columns{Layers: columns(t, c.layers).Layers, Arm: c.arm, Reward: c.reward})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	for _, bad := range []string{"", "moment", "moment=", "mood=a", "moment=a,moment=b", "moment=a+b+c+d+e"} {
		if _, err := ParseLayers(bad); err == nil {
			t.Errorf("ParseLayers(%q) passed", bad)
		}
	}
}

// TestIntervals: 10 of 100 is Wilson's (0.0552, 0.1744); 50 and 50 against 60 and 40 is chi-square 4, p = 0.0455.
func TestIntervals(t *testing.T) {
	near := func(name string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 5e-5 {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	w := wilson(10, 100)
	near("low", w.low, 0.05523)
	near("high", w.high, 0.17437)
	n := normal(6, 14, 3) // 1, 2, 3: mean 2, standard error 1/√3
	near("mean", n.mean, 2)
	near("low", n.low, 2-1.96*0.57735+0.00002)
	x2, p := uniformity([]float64{60, 40})
	near("chi-square", x2, 4)
	near("p", p, 0.0455)
	if !math.IsNaN(wilson(0, 0).mean) || !math.IsNaN(normal(1, 1, 1).low) {
		t.Error("an estimate from nothing")
	}
}

// TestReport compares the whole text with testdata/report.txt; UPDATE=1 writes it anew.
func TestReport(t *testing.T) {
	text := "who,arm,y\n"
	for i := range 600 {
		text += fmt.Sprintf("%d,%s,%d\n", i%2, []string{"Free gift!", "None", "5% off"}[i%3], min(1, i%7%3))
	}
	l := mustRead(t, text, columns(t, "moment=who"))
	estimate := experiments.Estimate{Mean: 0.31, Low: 0.25, High: 0.375, PBest: 0.96, Own: 190}
	r := Report{Name: "log.csv", Log: l, Batch: 100, Passes: []Pass{{1, 600, 200, 60, 60, 60}, {2, 600, 210, 64, 64, 64}},
		Segments: experiments.Segments{Total: 3, Rows: []experiments.SegmentWinner{
			{Key: "v1/0/_/_/_", Trials: 1190, Verdict: experiments.Verdict{State: experiments.StateWinner, Winner: &experiments.ActionEstimate{Action: "5-off", Estimate: estimate}}},
			{Key: "v1/1/_/_/_", Verdict: experiments.Verdict{State: experiments.StateEmpty}},
		}}}
	var out strings.Builder
	if err := r.Write(&out); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "report.txt")
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), out.String()); d != "" {
		t.Error(d)
	}
}

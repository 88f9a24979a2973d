package experiments

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// made is a grid of 2 × 3 cells: who leads, with which P(best), how much traffic, what the leader and the runner-up bring,
// and what a wrong leader is expected to lose.
func made() Grid {
	g := Grid{Experiment: "x", Rows: GridAxis{Axis: "lifecycle", Values: []AxisValue{{Value: "r0", Title: "R0"}, {Value: "r1", Title: "R1"}}},
		Cols: GridAxis{Axis: "status", Values: []AxisValue{{Value: "c0", Title: "C0"}, {Value: "c1", Title: "C1"}, {Value: "c2", Title: "C2"}}}}
	cell := func(r, c, leader string, p float64, trials int64, mean, second, loss float64) GridCell {
		v := Verdict{State: StateLeaning, Winner: &ActionEstimate{Action: leader, Name: leader, Estimate: Estimate{Mean: mean, PBest: p, Loss: loss, Own: float64(trials)}},
			RunnerUp: &ActionEstimate{Action: "z", Name: "z", Estimate: Estimate{Mean: second}}}
		if p >= WinnerPBest {
			v.State = StateWinner
		}
		return GridCell{Row: r, Col: c, Trials: trials, Verdict: v}
	}
	g.Cells = [][]GridCell{
		{cell("r0", "c0", "a", 0.99, 1000, 0.10, 0.08, 0.0001), cell("r0", "c1", "b", 0.90, 400, 0.10, 0.05, 0.001), cell("r0", "c2", "b", 0.93, 600, 0.05, 0.04, 0.0005)},
		{cell("r1", "c0", "b", 0.97, 500, 0.04, 0.03, 0.01), {Row: "r1", Col: "c1", Verdict: Verdict{State: StateEmpty}}, cell("r1", "c2", "a", 0.60, 90, 0.05, 0.04, 0.001)},
	}
	thin := &g.Cells[1][2]
	thin.Thin, thin.State, thin.Reason, thin.Winner.Borrowed = true, StateThin, "only 90 decisions here, 100 are needed", 150
	g.Trials = 2590
	return g
}

func TestClaims(t *testing.T) {
	g := made()
	if err := g.claim(); err != nil {
		t.Fatal(err)
	}
	// Four cells have the evidence. r1 × c0 would lose 0.01 of 0.04, over 2% of it. Of 0.99, 0.93 and 0.90 the mean of 1 − p
	// is 0.01, then (0.01+0.07)/2 = 0.04, then (0.08+0.10)/3 = 0.06: two may be claimed.
	want := GridClaims{Cells: 2, Of: 4, Wrong: 0.04, Rate: 0.05, Margin: 0.02, Over: 1, Basis: "model-based",
		Sentence: "Taken together, 2 of 4 cells with enough evidence may be claimed: of these, 4.0% are expected to be wrong (model-based), and each would lose at most 2.0% of what it brings."}
	if d := cmp.Diff(want, g.Claims, cmpopts.EquateApprox(0, 1e-12)); d != "" {
		t.Error(d)
	}
	for at, want := range map[[2]int]struct {
		claimed bool
		state   State
	}{{0, 0}: {true, StateWinner}, {0, 1}: {false, StateLeaning}, {0, 2}: {true, StateLeaning}, {1, 0}: {false, StateLeaning}, {1, 2}: {false, StateThin}} {
		if c := g.Cells[at[0]][at[1]]; c.Claimed != want.claimed || c.State != want.state {
			t.Errorf("%v: claimed %v, %s; want %+v", at, c.Claimed, c.State, want)
		}
	}
	var empty Grid
	if err := empty.claim(); err != nil || empty.Claims.Cells != 0 || empty.Claims.Sentence != "No cell has enough evidence to claim anything of it." {
		t.Errorf("%+v, %v", empty.Claims, err)
	}
}

func TestNextOf(t *testing.T) {
	n := NextOf(made())
	cell := func(r, c string, trials int64, leader string) NextCell {
		return NextCell{Row: r, Col: c, RowTitle: "R" + r[1:], ColTitle: "C" + c[1:], Trials: trials, Leader: leader, Name: leader}
	}
	want := Next{Experiment: "x", Rows: "lifecycle", Cols: "status",
		// r0 × c0 leads with a; its neighbours r0 × c1 (400), r0 × c2 (600) and r1 × c0 (500) all with b: 1500 of 1500.
		// r1 × c0 leads with b; of its neighbours r1 × c1 is empty and r1 × c2 thin: r0 × c0 alone, with a: 1000 of 1000.
		// r0 × c1 leads with b; r0 × c0 (1000) with a, r0 × c2 (600) with b: 1000 of 1600 = 0.625. r0 × c2: 1000 of 1400.
		// In the order of disagreement × P(best) × decisions: 990, 485, 600 × 0.93 × 5/7 = 398.6, 400 × 0.9 × 0.625 = 225.
		Apart: []ApartCell{{cell("r0", "c0", 1000, "a"), 0.99, 3, 3, 1, "b", "b"}, {cell("r1", "c0", 500, "b"), 0.97, 1, 1, 1, "a", "a"},
			{cell("r0", "c2", 600, "b"), 0.93, 2, 1, 5.0 / 7, "a", "a"}, {cell("r0", "c1", 400, "b"), 0.90, 2, 1, 0.625, "a", "a"}},
		// The thin cell has 90 decisions; the median of 90, 400, 500, 600, 1000 is 500.
		Thin: []ThinCell{},
		// 1000 × 1 × 0.02 = 20; 400 × 0.625 × 0.05 = 12.5; 500 × 1 × 0.01 = 5; 600 × 5/7 × 0.01 = 4.2857.
		Copy: []CopyCell{{cell("r0", "c0", 1000, "a"), 1, 0.02, "z", 20}, {cell("r0", "c1", 400, "b"), 0.625, 0.05, "z", 12.5},
			{cell("r1", "c0", 500, "b"), 1, 0.01, "z", 5}, {cell("r0", "c2", 600, "b"), 5.0 / 7, 0.01, "z", 30.0 / 7}},
		Sentence: "Write next for R0 × C0: a leads there, 100% of the decisions around it were made where another action does."}
	if d := cmp.Diff(want, n, cmpopts.EquateApprox(0, 1e-12)); d != "" {
		t.Error(d)
	}
	// With more traffic the thin cell is listed: 700 of 3200, and it borrows 150 beyond its leader's own 90.
	g := made()
	thin := &g.Cells[1][2]
	thin.Trials, g.Trials = 700, 3200
	thin.Winner.Own, thin.Winner.Borrowed = 90, 240
	n = NextOf(g)
	if d := cmp.Diff([]ThinCell{{cell("r1", "c2", 700, "a"), 700.0 / 3200, 150, "only 90 decisions here, 100 are needed"}}, n.Thin); d != "" {
		t.Error(d)
	}
	// Money goals: the lead is of values.
	g = made()
	g.Money = true
	g.Cells[0][0].Winner.Value, g.Cells[0][0].RunnerUp.Value = 1.5, 1.25
	if n = NextOf(g); len(n.Copy) != 1 || math.Abs(n.Copy[0].Stake-250) > 1e-9 { // 1000 × 1 × 0.25
		t.Errorf("%+v", n.Copy)
	}
	if n = NextOf(Grid{}); n.Sentence != "No decision has been made yet." || len(n.Apart)+len(n.Thin)+len(n.Copy) != 0 {
		t.Errorf("%+v", n)
	}
}

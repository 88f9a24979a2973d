package experiments

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/policy"
)

// The grid, the list and the page of an intersection say the same of it: state, reason, leader and runner-up, to the last
// digit. Among the places are some that win, and some whose leader is sure and would lose too much all the same.
func TestReadOutsAgree(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 5))
	var lines strings.Builder
	for _, moment := range []string{"loyal.browsing.considering", "prospect.cart-abandoned._", "returning.dormant._", "_"} {
		for _, meaning := range []string{"a", "b", "_"} {
			for _, catalogue := range []string{"shoes", "bags"} {
				if catalogue == "bags" && meaning != "b" {
					continue
				}
				for arm := plain; arm <= urgent; arm++ {
					n := 60 + rng.IntN(6000)
					fmt.Fprintf(&lines, "%s/%s/high.rising/%s %d policy %d %d\n", moment, meaning, catalogue, arm, n, int(float64(n)*(0.01+0.05*rng.Float64()*rng.Float64())))
				}
			}
		}
	}
	ev := testEvidence(t, lines.String())
	pooled := ev
	// What a policy might believe: the counts of the place alone, and a prior.
	pooled.Read = func(at []juncture.Intersection, _ []float64, arms []juncture.ArmID) (policy.ReadOut, error) {
		c := newContest(&ev)
		v := c.vector()
		for i := range ev.Cells {
			for _, x := range at {
				if x == ev.Cells[i].Intersection {
					c.add(v, &ev.Cells[i])
				}
			}
		}
		var open []int
		for _, id := range arms {
			open = append(open, c.index[id])
		}
		return c.climbed([]rung{{-1, v}}, open)
	}
	for name, ev := range map[string]Evidence{"laddered": ev, "pooled": pooled} {
		seen, states := 0, map[string]int{}
		list, err := BuildSegments(ev, SegmentQuery{})
		if err != nil {
			t.Fatal(err)
		}
		listed := map[string]Verdict{}
		for _, row := range list.Rows {
			listed[row.Key] = row.Verdict
		}
		for _, q := range []GridQuery{{Rows: "moment", Cols: "meaning"}, {Rows: "lifecycle", Cols: "meaning", Filter: map[string]string{"category": "shoes"}}, {Rows: "meaning", Cols: "status"}} {
			g, err := BuildGrid(ev, q)
			if err != nil {
				t.Fatal(err)
			}
			for _, row := range g.Cells {
				for _, cell := range row {
					if cell.Key == "" {
						continue
					}
					x, err := juncture.ParseIntersection(cell.Key)
					if err != nil {
						t.Fatal(err)
					}
					page, err := BuildIntersection(ev, x)
					if err != nil {
						t.Fatal(err)
					}
					seen++
					states[string(page.State)+map[bool]string{true: " with a reason", false: ""}[page.Reason != ""]]++
					if d := cmp.Diff(page.Verdict, cell.Verdict); d != "" || page.Trials != cell.Trials {
						t.Errorf("%s: %s: page and grid: %s", name, cell.Key, d)
					}
					if d := cmp.Diff(page.Verdict, listed[cell.Key]); d != "" {
						t.Errorf("%s: %s: page and list: %s", name, cell.Key, d)
					}
					if cell.State == StateWinner && !cell.Claimed && cell.RunnerUp != nil {
						t.Errorf("%s: %s wins and may not be claimed", name, cell.Key)
					}
				}
			}
		}
		t.Logf("%s: %d places, %v", name, seen, states)
		if seen < 10 || states["winner"] == 0 || states["leaning"] == 0 {
			t.Errorf("%s: %d places, %v", name, seen, states)
		}
	}
}

// A sure leader that would lose too much has not won, on any page, and the sentence says why.
func TestWhoMayLoseTooMuch(t *testing.T) {
	v := Verdict{Winner: &ActionEstimate{Estimate: Estimate{Mean: 0.04, Value: 10, PBest: 0.97, Loss: 0.001}}, RunnerUp: &ActionEstimate{}}
	for _, x := range []struct {
		money      bool
		loss, best float64
		want       State
	}{{false, 0.0008, 0.97, StateWinner}, {false, 0.00081, 0.97, StateLeaning}, {false, 0, 0.94, StateLeaning}, {true, 0.2, 0.97, StateWinner}, {true, 0.21, 0.97, StateLeaning}} { // 2% of 0.04, of 10
		v.Winner.Loss, v.Winner.PBest = x.loss, x.best
		if v.settle(x.money); v.State != x.want || (v.Reason != "") != (x.want == StateLeaning && x.best > WinnerPBest) {
			t.Errorf("%+v: %s, %q", x, v.State, v.Reason)
		}
	}
	v.Winner.Loss, v.Winner.PBest, v.Winner.Name, v.RunnerUp.Name = 1, 0.97, "A", "B"
	v.settle(false)
	c := contest{ev: &Evidence{}, arms: make([]policy.Arm, 2)}
	if s := c.sentence(v, 1000, "everybody", ""); !strings.Contains(s, "has not won yet, because what it is expected to lose") {
		t.Error(s)
	}
}

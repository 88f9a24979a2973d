package experiments

import (
	"cmp"
	"fmt"
	"slices"
)

// Next is what a grid says is to be looked at next. Neighbours of a cell are those that differ from it in the value of one
// axis: its row and its column. All three lists leave out what the grid does not show.
type Next struct {
	Experiment string      `json:"experiment"`
	Money      bool        `json:"money"`
	Currency   string      `json:"currency"`
	Rows       string      `json:"rows"` // the axis
	Cols       string      `json:"cols"`
	Apart      []ApartCell `json:"apart"` // winners that disagree with their neighbours
	Thin       []ThinCell  `json:"thin"`  // much traffic, thin evidence
	Copy       []CopyCell  `json:"copy"`  // the next copy to write
	Sentence   string      `json:"sentence"`
}

// NextCell names a cell of a list.
type NextCell struct {
	Row      string `json:"row"`
	Col      string `json:"col"`
	RowTitle string `json:"rowTitle"`
	ColTitle string `json:"colTitle"`
	Key      string `json:"key,omitempty"` // of the intersection, where it is only one
	Trials   int64  `json:"trials"`
	Leader   string `json:"leader"` // its action
	Name     string `json:"name"`   // for people
}

// ApartCell is a cell whose leader is another than its neighbours'. Disagreement is the share of the neighbours'
// decisions that were made where another action leads; cells are listed from a half on, by disagreement × P(best) × decisions.
type ApartCell struct {
	NextCell
	PBest        float64 `json:"pBest"`
	Neighbours   int     `json:"neighbours"` // with enough evidence
	Others       int     `json:"others"`     // of those, where another action leads
	Disagreement float64 `json:"disagreement"`
	Theirs       string  `json:"theirs"` // the action that leads most of the neighbours' decisions, beside the cell's
	TheirName    string  `json:"theirName"`
}

// ThinCell is a cell with at least the median decisions of the cells that have any, and thin evidence.
type ThinCell struct {
	NextCell
	Share  float64 `json:"share"`  // of the grid's decisions
	Needed int64   `json:"needed"` // decisions until it is not thin, its leader staying what it is and getting all; at least 1
	Why    string  `json:"why"`
}

// CopyCell is a cell that a copy of its own would be worth most to: Stake = decisions × disagreement × what its leader brings
// there beyond the runner-up, in outcomes, or in money.
type CopyCell struct {
	NextCell
	Disagreement float64 `json:"disagreement"`
	Lead         float64 `json:"lead"` // of the leader over the runner-up, a decision: a rate, or money
	RunnerUp     string  `json:"runnerUp"`
	Stake        float64 `json:"stake"`
}

// MaxNext is how many cells each list has at most.
const MaxNext = 20

// NextOf reads the lists off a grid. It is a function of the grid alone.
func NextOf(g Grid) Next {
	n := Next{Experiment: g.Experiment, Money: g.Money, Currency: g.Currency, Rows: g.Rows.Axis, Cols: g.Cols.Axis, Apart: []ApartCell{}, Thin: []ThinCell{}, Copy: []CopyCell{}}
	median := g.medianTrials()
	for r := range g.Cells {
		for k := range g.Cells[r] {
			cell := &g.Cells[r][k]
			if cell.Winner == nil || cell.Trials <= 0 {
				continue
			}
			at := NextCell{Row: cell.Row, Col: cell.Col, RowTitle: g.Rows.Values[r].Title, ColTitle: g.Cols.Values[k].Title, Key: cell.Key, Trials: cell.Trials,
				Leader: cell.Winner.Action, Name: cell.Winner.Name}
			if cell.Thin {
				if cell.Trials >= median && g.Trials > 0 {
					n.Thin = append(n.Thin, ThinCell{at, float64(cell.Trials) / float64(g.Trials), cell.needed(), cell.Reason})
				}
				continue
			}
			a := g.apart(r, k)
			a.NextCell, a.PBest = at, cell.Winner.PBest
			if a.Disagreement >= 0.5 {
				n.Apart = append(n.Apart, a)
			}
			if cell.RunnerUp == nil {
				continue
			}
			lead := cell.Winner.Mean - cell.RunnerUp.Mean
			if g.Money {
				lead = cell.Winner.Value - cell.RunnerUp.Value
			}
			if stake := float64(cell.Trials) * a.Disagreement * lead; stake > 0 {
				n.Copy = append(n.Copy, CopyCell{at, a.Disagreement, lead, cell.RunnerUp.Name, stake})
			}
		}
	}
	weight := func(a ApartCell) float64 { return a.Disagreement * a.PBest * float64(a.Trials) }
	slices.SortStableFunc(n.Apart, func(a, b ApartCell) int { return cmp.Compare(weight(b), weight(a)) })
	slices.SortStableFunc(n.Thin, func(a, b ThinCell) int { return cmp.Compare(b.Trials, a.Trials) })
	slices.SortStableFunc(n.Copy, func(a, b CopyCell) int { return cmp.Compare(b.Stake, a.Stake) })
	n.Apart, n.Thin, n.Copy = n.Apart[:min(len(n.Apart), MaxNext)], n.Thin[:min(len(n.Thin), MaxNext)], n.Copy[:min(len(n.Copy), MaxNext)]
	n.Sentence = n.sentence(g)
	return n
}

// medianTrials is the median of the decisions of the cells that have any: the upper one of two.
func (g *Grid) medianTrials() int64 {
	var all []int64
	for _, row := range g.Cells {
		for _, cell := range row {
			if cell.Trials > 0 {
				all = append(all, cell.Trials)
			}
		}
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// needed is how many decisions a thin cell is short of.
func (c *GridCell) needed() int64 {
	return max(1, ThinTrials-c.Trials, int64(c.Winner.Borrowed-c.Winner.Own+0.5))
}

// apart compares a cell with its neighbours.
func (g *Grid) apart(r, k int) ApartCell {
	mine := g.Cells[r][k].Winner.Action
	var a ApartCell
	var all, other int64
	leads, names := map[string]int64{}, map[string]string{}
	look := func(cell *GridCell) {
		if cell.Winner == nil || cell.Thin || cell.Trials <= 0 {
			return
		}
		a.Neighbours++
		all += cell.Trials
		if cell.Winner.Action == mine {
			return
		}
		a.Others++
		other += cell.Trials
		leads[cell.Winner.Action] += cell.Trials
		names[cell.Winner.Action] = cell.Winner.Name
	}
	for j := range g.Cells[r] {
		if j != k {
			look(&g.Cells[r][j])
		}
	}
	for i := range g.Cells {
		if i != r {
			look(&g.Cells[i][k])
		}
	}
	if all > 0 {
		a.Disagreement = float64(other) / float64(all)
	}
	for action, n := range leads {
		if best := leads[a.Theirs]; a.Theirs == "" || n > best || n == best && action < a.Theirs {
			a.Theirs, a.TheirName = action, names[action]
		}
	}
	return a
}

func (n *Next) sentence(g Grid) string {
	if len(n.Copy) > 0 {
		c := n.Copy[0]
		return fmt.Sprintf("Write next for %s × %s: %s leads there, %s of the decisions around it were made where another action does.",
			c.RowTitle, c.ColTitle, c.Name, Percent(c.Disagreement))
	}
	if len(n.Thin) > 0 {
		return fmt.Sprintf("Nothing stands apart yet. %s × %s has the most traffic of what is too thin to say.", n.Thin[0].RowTitle, n.Thin[0].ColTitle)
	}
	if g.Trials == 0 {
		return "No decision has been made yet."
	}
	return "Nothing stands apart: where there is evidence, neighbours agree."
}

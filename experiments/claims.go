package experiments

import (
	"fmt"

	"github.com/juncture/juncture/experiments/interval"
)

// What may be claimed of many cells at once (statistics E.6).
const (
	ClaimRate   = 0.05 // mean of 1 − P(best) over the claims, at most
	ClaimMargin = 0.02 // expected loss of a claim, at most, as a share of what its leader brings
)

// GridClaims are the cells of which it may be said together that their leader is the best. Their rate is the model's: it
// is right as far as the posteriors are.
type GridClaims struct {
	Cells    int     `json:"cells"`    // claimed
	Of       int     `json:"of"`       // cells with enough evidence and more than one action
	Wrong    float64 `json:"wrong"`    // expected share of the claims that are wrong: the mean of 1 − P(best)
	Rate     float64 `json:"rate"`     // what that may be at most
	Margin   float64 `json:"margin"`   // what a claim's expected loss may be at most, as a share of its leader's figure
	Over     int     `json:"over"`     // cells whose expected loss is over the margin
	Basis    string  `json:"basis"`    // model-based
	Sentence string  `json:"sentence"` // what may be said
}

// settle says whether a leader with enough evidence is a winner: its P(best) is at least WinnerPBest and what it is expected
// to lose, should it not be the best, is within ClaimMargin. The grid, its lists and the page of one intersection all go by it.
func (v *Verdict) settle(money bool) {
	switch v.State, v.Reason = StateLeaning, ""; {
	case v.Winner.PBest < WinnerPBest:
	case v.RunnerUp != nil && v.over(money):
		v.Reason = fmt.Sprintf("what it is expected to lose, should it not be the best, is over %s of what it brings", Percent(ClaimMargin))
	default:
		v.State = StateWinner
	}
}

// over reports whether the leader's expected loss is over the margin.
func (v *Verdict) over(money bool) bool {
	figure := v.Winner.Mean
	if money {
		figure = v.Winner.Value
	}
	return !(v.Winner.Loss <= ClaimMargin*figure)
}

// claim decides which cells may be claimed: the largest set whose mean 1 − P(best) is at most ClaimRate, of those whose
// expected loss is within the margin. Every winner is one of them: each is wrong with at most ClaimRate.
func (g *Grid) claim() error {
	g.Claims = GridClaims{Rate: ClaimRate, Margin: ClaimMargin, Basis: "model-based"}
	var at []*GridCell
	var p []float64
	for r := range g.Cells {
		for k := range g.Cells[r] {
			cell := &g.Cells[r][k]
			if cell.Thin || cell.Winner == nil || cell.RunnerUp == nil || cell.State == StateEmpty {
				continue
			}
			g.Claims.Of++
			cell.settle(g.Money)
			if cell.over(g.Money) {
				g.Claims.Over++
				continue
			}
			at, p = append(at, cell), append(p, cell.Winner.PBest)
		}
	}
	claimed, err := interval.BayesianFDR(p, ClaimRate)
	if err != nil {
		return err
	}
	for _, i := range claimed {
		at[i].Claimed = true
		g.Claims.Wrong += (1 - p[i]) / float64(len(claimed))
	}
	g.Claims.Cells = len(claimed)
	g.Claims.Sentence = g.Claims.sentence()
	return nil
}

func (c GridClaims) sentence() string {
	switch {
	case c.Of == 0:
		return "No cell has enough evidence to claim anything of it."
	case c.Cells == 0:
		return fmt.Sprintf("Of %s with enough evidence none may be claimed.", plural(int64(c.Of), "cell", "cells"))
	}
	return fmt.Sprintf("Taken together, %d of %s with enough evidence may be claimed: of these, %s are expected to be wrong (model-based), and each would lose at most %s of what it brings.",
		c.Cells, plural(int64(c.Of), "cell", "cells"), Percent(c.Wrong), Percent(c.Margin))
}

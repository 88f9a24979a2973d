package offpolicy

import (
	"fmt"
	"math"
)

// When a figure is refused (statistics E.9), and when it is shown with a warning.
const (
	leastEffective = 50   // rows
	leastShare     = 0.01 // of the rows
	thinShare      = 0.1  // of the rows
	heavyShare     = 0.05 // of all weight, on one row
	meanErrors     = 4    // standard errors of the mean weight from 1
	leastHits      = 20   // rows with a reward (E.3)
)

func (e *Estimator) refusal(out *Estimate) string {
	n := e.total[count]
	switch {
	case e.set.Difference:
		return ""
	case out.Effective == 0:
		return "the log never showed what this policy shows"
	case out.Effective < leastEffective:
		return fmt.Sprintf("the log says as much of this policy as %.0f decisions would: under %d", math.Floor(out.Effective), leastEffective)
	case out.Effective < leastShare*n:
		return fmt.Sprintf("the log's %d decisions say as much of this policy as %.0f would: under %.0f%%", int(n), math.Floor(out.Effective), 100*leastShare)
	}
	return ""
}

// warnings says what to mind about overlap: where the target shows what the log seldom showed, few rows carry the figure.
func (e *Estimator) warnings(out *Estimate) (w []string) {
	n := e.total[count]
	if e.hits < leastHits {
		w = append(w, fmt.Sprintf("only %d decisions with an outcome say anything of it: an interval of so few is not to be trusted", e.hits))
	}
	if e.set.Difference {
		return w
	}
	if out.Effective < thinShare*n {
		w = append(w, fmt.Sprintf("overlap is thin: %d decisions say as much as %d would", int(n), int(out.Effective)))
	}
	if share := e.most / e.total[weight]; share > heavyShare {
		w = append(w, fmt.Sprintf("one decision has %.0f%% of all weight", 100*share))
	}
	root, _ := e.spread(vector{weight: 1, count: -out.MeanWeight})
	if off := math.Abs(out.MeanWeight - 1); off > 1e-6 && off > meanErrors*root/n {
		w = append(w, fmt.Sprintf("weights average %.3f where 1 is right: the log's probabilities are not those that it drew with, or this policy shows what the log never could", out.MeanWeight))
	}
	return w
}

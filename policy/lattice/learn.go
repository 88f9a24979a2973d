package lattice

import "math"

// Prior is what other experiments of the store have taught, the starting values of a fit. Zero fields are those of B.2.
type Prior struct {
	Rate         float64 // base rate of the store
	Intercept    float64 // standard deviation of an experiment's log-odds around it; 0: 1.5
	Action, Copy float64 // widths of the effects of actions, and of the copies of one action
	Certain      float64 // what a width is worth, in effects; 0: 40
}

func (p Prior) orDefault() Prior {
	if !(p.Rate > 0 && p.Rate < 1) {
		p.Rate = priorRate
	}
	if !(p.Intercept > 0) {
		p.Intercept = interceptWidth
	}
	if !(p.Certain > 0) {
		p.Certain = 10 * hyperEffects
	}
	return p
}

// Learn returns the rate and the width of copies over finished tests, each with the counts of its arms: the width by the
// same Fisher scoring as a family's, the base of a test being that of its pooled counts (the degree of freedom that it
// takes is given back as k/(k−1)).
func Learn(tests [][]Counts) (rate, width float64) {
	n, y := 0.0, 0.0
	for _, arms := range tests {
		for _, c := range arms {
			n, y = n+float64(c.Trials), y+float64(c.Successes)
		}
	}
	rate = min(max((y+priorRate)/(n+1), 1e-9), 1-1e-9)
	m := family{start: 0.1, width: 0.1}
	var grad []float64
	for _, arms := range tests {
		n, y := 0.0, 0.0
		for _, c := range arms {
			n, y = n+float64(c.Trials), y+float64(c.Successes)
		}
		if !(n > 0 && y > 0 && y < n) || len(arms) < 2 {
			continue
		}
		p := y / n
		back := math.Sqrt(float64(len(arms)) / float64(len(arms)-1))
		for _, c := range arms {
			m.info = append(m.info, float64(c.Trials)*p*(1-p))
			grad = append(grad, back*(float64(c.Successes)-float64(c.Trials)*p))
		}
	}
	m.effect = make([]float64, len(grad))
	for range 50 {
		m.learnWidth(grad)
	}
	return rate, m.width
}

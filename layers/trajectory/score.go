package trajectory

import (
	"math"
	"time"
)

// Context is what a store knows beside the shopper's own events that bears on a purchase in this visit: Rates.Context
// makes it from the store's own visits. The zero value is a store that knows nothing more. Exit and Bounce were fitted on
// rates of the single pages seen, as a web analytics tool reports them; Rates knows those of kinds and categories.
type Context struct {
	Season float64 // log-odds of an order lately against the data's one visit in six: the store's level and the time of year
	Source float64 // log-odds of an order in visits from where this one came against the store's visits, of the last months
	Exits  bool    // the next two are known
	Exit   float64 // mean over the pages seen in this visit of the share of their views that end a visit, in [0, 1]
	Bounce float64 // mean over them of the share of visits beginning there that end there, in [0, 1]
}

// LiveFeatures are the numbers that LiveScore weighs: of the visit that runs the logs of 1 + product looks, 1 + pages,
// 1 + articles, 1 + minutes here and 1 + minutes a page, their curvature, and whether the shopper was here before; then,
// when the context knows, what the pages seen say. False when no visit runs.
func (s *State) LiveFeatures(now time.Time, c Context) ([]float64, bool) {
	at := now.UnixMilli()
	v, ok := s.current(at)
	if !ok {
		return nil, false
	}
	minutes := float64(max(at-v.from, 0)) / 60000
	looks, pages, articles := float64(v.views)+float64(v.details), float64(v.pages), float64(v.articles)
	l, p, m := math.Log1p(looks), math.Log1p(pages), math.Log1p(minutes)
	per := math.Log1p(minutes / (1 + looks + pages + articles))
	back, nopage := 0.0, 0.0
	if s.first < v.from {
		back = 1
	}
	if v.pages == 0 {
		nopage = 1
	}
	f := []float64{l, p, math.Log1p(articles), m, per, back, l * l, m * m, l * m, per * per, back * l, back * p, back * m, nopage}
	if c.Exits {
		f = append(f, 10*c.Exit, 10*c.Bounce, math.Log(max(c.Exit, 0)+0.005))
	}
	return f, true
}

// LiveWeights are the intercept and slopes of LiveScore, without and with what the pages say: a logistic regression
// (ridge 1 on the slopes, a free term for each month) on two thirds of shared/data/sessions/online_shoppers_intention
// (UCI, Sakar et al. 2018), PageValues left out. Refit with
//
//	JUNCTURE_EVALUATE=1 go test -count=1 -run TestRefitLiveScore -v ./layers
func LiveWeights(exits bool) []float64 {
	if exits {
		return []float64{-2.267, 0.202, -0.650, 0.070, 0.258, -0.284, -0.168, -0.486, -0.420, 0.916, 0.094, -0.070, 0.746, -0.269, -0.492,
			-1.287, -0.449, -0.271}
	}
	return []float64{-2.602, 0.449, -0.616, 0.040, 0.716, 0.071, -0.700, -0.441, -0.443, 0.799, -0.219, -0.077, 0.751, -0.219, -0.562}
}

// The data hold neither bags nor checkouts, so these log-odds are assumed from usual funnels, not fitted: a visit with
// something in the bag buys about 6 times as often as one without, one in a checkout about 20 times.
const (
	addedOdds    = 1.8
	checkoutOdds = 3.0
)

// sourceSlope is how much of Context.Source counts: some of what visits from a source order more is in how they look
// around, which LiveFeatures know. It was chosen by five folds of the rows that LiveWeights were fitted on (0.5, 0.7, 1).
const sourceSlope = 0.7

// LiveScore is the probability of an order in the visit that runs, as in the data it was fitted on (one visit in six
// bought); another rate shifts it by Context.Season. False when no visit runs.
func (s *State) LiveScore(now time.Time, c Context) (float64, bool) {
	f, ok := s.LiveFeatures(now, c)
	if !ok {
		return 0, false
	}
	b := LiveWeights(c.Exits)
	z := b[0] + c.Season + sourceSlope*c.Source
	for i, v := range f {
		z += b[i+1] * v
	}
	v, _ := s.current(now.UnixMilli())
	switch {
	case v.checkout > v.ordered:
		z += checkoutOdds
	case v.added > v.ordered:
		z += addedOdds
	}
	return 1 / (1 + math.Exp(-z)), true
}

// LatentScore is latent intent as a number in [0, 1): the slow score against the level that counts as high. It orders
// shoppers and is not a calibrated probability: there are no data to fit it on.
func (s *State) LatentScore(now time.Time) float64 {
	x := s.Scores(now)
	return x.LatentSlow / (x.LatentSlow + highEnter)
}

package moment

import (
	"math"
	"time"
)

// RepurchaseFeatures are what RepurchaseScore weighs, from the counted orders that the State still knows: the logs of
// (1 + days since the last), of the orders' number, of (1 + days since the first), and of (1 + days silent / (1 + median
// gap in days)). False without an order.
func (s *State) RepurchaseFeatures(now time.Time) ([4]float64, bool) {
	last, ok := s.orders.lastAt()
	n, _ := s.orders.counted()
	if !ok || n < 1 {
		return [4]float64{}, false
	}
	days := func(ms int64) float64 { return max(float64(ms)/float64(day.Milliseconds()), 0) }
	recency, age := days(now.UnixMilli()-last), days(now.UnixMilli()-min(s.orders.first, last))
	gap := 90.0 // one order says nothing of the gap: a quarter of a year stands in
	if g, ok := s.orders.medianGap(); ok {
		gap = days(g)
	}
	return [4]float64{math.Log1p(recency), math.Log(float64(n)), math.Log1p(age), math.Log1p(recency / (1 + gap))}, true
}

// RepurchaseWeights are the intercept, the four slopes and the slope of log(horizon / 90 days) of RepurchaseScore: a
// logistic regression (ridge 1 on the slopes, a free term for each of the two stores, whose mean is the intercept) on
// two thirds of the customers of shared/data/transactions: CDNOW (Fader and Hardie 2001) and UCI Online Retail (Chen
// 2015), at several days and horizons. Refit with
//
//	JUNCTURE_EVALUATE=1 go test -count=1 -run TestRefitRepurchase -v ./layers
func RepurchaseWeights() [6]float64 {
	return [6]float64{0.297, -0.056, 1.502, -0.264, -0.424, 1.038}
}

// RepurchaseScore is the probability that a shopper with an order makes another within the horizon. Store is the store's
// log-odds against the mean of the two it was fitted on; 0 when not known. False without an order.
func (s *State) RepurchaseScore(now time.Time, horizon time.Duration, store float64) (float64, bool) {
	f, ok := s.RepurchaseFeatures(now)
	if !ok {
		return 0, false
	}
	b := RepurchaseWeights()
	z := b[0] + store + b[5]*math.Log(float64(horizon)/float64(90*day))
	for i, v := range f {
		z += b[i+1] * v
	}
	return 1 / (1 + math.Exp(-z)), true
}

package moment

import (
	"math"
	"time"
)

// RepurchaseFeatures are what RepurchaseScore weighs, from the counted orders: the logs of (1 + days since the last), of
// the number of days with an order, of (1 + days since the first), and of (1 + days silent / (1 + mean gap between days
// with an order)). Days (UTC) and not orders: thirty orders of one afternoon are one decision to buy. False without an
// order.
func (s *State) RepurchaseFeatures(now time.Time) ([4]float64, bool) {
	last, ok := s.orders.lastAt()
	n, first := s.orders.days()
	if !ok || n < 1 {
		return [4]float64{}, false
	}
	days := func(ms int64) float64 { return max(float64(ms)/float64(day.Milliseconds()), 0) }
	recency, age := days(now.UnixMilli()-last), days(now.UnixMilli()-first)
	gap := 90.0 // one day says nothing of the gap: a quarter of a year stands in
	if n > 1 {
		gap = days(last-first) / (n - 1)
	}
	return [4]float64{math.Log1p(recency), math.Log(n), math.Log1p(age), math.Log1p(recency / (1 + gap))}, true
}

// RepurchaseWeights are the intercept, the four slopes and the slope of log(horizon / 90 days) of RepurchaseScore: a
// logistic regression (ridge 1 on the slopes, a free term for each of the two stores, whose mean is the intercept) on
// two thirds of the customers of shared/data/transactions: CDNOW (Fader and Hardie 2001) and UCI Online Retail (Chen
// 2015), at several days and horizons. Refit with
//
//	JUNCTURE_EVALUATE=1 go test -count=1 -run TestRefitRepurchase -v ./layers
func RepurchaseWeights() [6]float64 {
	return [6]float64{0.272, -0.047, 1.496, -0.262, -0.453, 1.048}
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

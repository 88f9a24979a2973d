package policy

import "math"

// Order values are log-normal (statistics D): one mean of ln(value) for all competitors, a shrunk effect of each, one
// variance. Learnt at the store's rung: orders are too few further down.
const (
	valueOrders  = 20.0 // what the common mean is worth in each competitor's, in orders
	sigmaPrior   = 1.0  // prior standard deviation of ln(value): shops' baskets range over a factor of e
	sigmaOrders  = 10.0 // what that is worth, in orders
	minSigmaSq   = 1e-4
	maxSigmaSq   = 25.0
	maxLogExpect = 100.0 // e^100 is no price, but is finite
)

type valueModel struct {
	orders, sum, sumSq []float64 // by competitor
	mean, sigmaSq      float64   // of ln(value) over all
	known              bool      // whether there was any order
}

func (m *valueModel) reset(k int) {
	m.orders, m.sum, m.sumSq = m.orders[:k], m.sum[:k], m.sumSq[:k]
	clear(m.orders)
	clear(m.sum)
	clear(m.sumSq)
}

func (m *valueModel) add(c *Counts, j int) {
	m.orders[j] += c.Successes
	m.sum[j] += c.LogValue
	m.sumSq[j] += c.LogValueSq
}

// pool fits the common mean and variance; copies take the mean of their action and the variance of all.
func (m *valueModel) pool(actions *valueModel, which int) {
	if actions != nil {
		m.mean, m.sigmaSq, m.known = actions.effect(which), actions.sigmaSq, actions.known
		return
	}
	orders, sum, within := 0.0, 0.0, 0.0
	for k, n := range m.orders {
		orders += n
		sum += m.sum[k]
		if n > 0 {
			within += math.Max(0, m.sumSq[k]-m.sum[k]*m.sum[k]/n)
		}
	}
	m.mean, m.known = 0, orders > 0
	if m.known {
		m.mean = min(max(sum/orders, -maxLogValue), maxLogValue)
	}
	m.sigmaSq = min(max((sigmaOrders*sigmaPrior*sigmaPrior+within)/(sigmaOrders+orders), minSigmaSq), maxSigmaSq)
}

// effect returns the posterior mean of competitor k's mean ln(value).
func (m *valueModel) effect(k int) float64 {
	return (valueOrders*m.mean + m.sum[k]) / (valueOrders + m.orders[k])
}

// expect returns E[value] of competitor k in major currency units, 0 before the first order.
func (m *valueModel) expect(k int) float64 {
	if !m.known {
		return 0
	}
	return math.Exp(min(m.effect(k)+m.sigmaSq/2, maxLogExpect))
}

// scores returns ln(rate) + ln E[value] of every competitor: Var ln p = (1−p)²·Var logit p (delta method), and that of
// the value effect. The common σ²/2 moves all alike and is left out.
func (c *chain) scores() []Normal {
	out := make([]Normal, c.k)
	for k, b := range c.post {
		p := inner(b.Mean())
		variance := (1-p)*(1-p)*c.v[k] + c.value.sigmaSq/(valueOrders+c.value.orders[k])
		out[k] = Normal{math.Log(p) + c.value.effect(k), math.Sqrt(variance)}
	}
	return out
}

package interval

import (
	"math"

	"gonum.org/v1/gonum/integrate/quad"

	"github.com/juncture/juncture"
)

// Plan is what is declared before the first shopper, to foretell when a Sequence of the relative lift will decide.
type Plan struct {
	Mean              float64 // of the control, per shopper; > 0
	Variance          float64 // of the control's values; > 0
	TreatmentVariance float64 // of the treatment's values; > 0
	Lift              float64 // the true relative lift, declared, never the one observed; > −1
	Treatment         float64 // the treatment's share of all shoppers, (0, 1)
	Control           float64 // the control's share, (0, 1); the two sum to at most 1
	Threshold         float64 // relative lift that the decision is about; 0 asks for any lift
	Rule              Rule    // "" is RuleEstimate
	Alpha             float64 // 0 is DefaultAlpha
	OptimalAt         float64 // as in Sequence; 0 is where the drift alone meets the bound at its tightest
	Start             float64 // shoppers of both groups before which there is no interval; RatePlan sets it; 0 is 100
}

// RatePlan is the plan for a conversion rate.
func RatePlan(base, lift, treatment, control float64) Plan {
	p := base * (1 + lift)
	return Plan{Mean: base, Variance: base * (1 - base), TreatmentVariance: p * (1 - p), Lift: lift, Treatment: treatment, Control: control,
		Start: StartConversions * (treatment + control) / math.Min(treatment*p, control*base)}
}

// Forecast is how many shoppers, of all groups, enrol until the decision: it comes earlier with a chance of 10%, 50%, 90%.
// +Inf where it is not to be expected at all.
type Forecast struct{ Low, Median, High float64 }

func (p Plan) settled() (Plan, error) {
	bad := func(format string, args ...any) (Plan, error) {
		return p, juncture.Errorf(juncture.CodeInternal, format, args...)
	}
	if p.Alpha == 0 {
		p.Alpha = DefaultAlpha
	}
	if p.Rule == "" {
		p.Rule = RuleEstimate
	}
	if p.Start == 0 {
		p.Start = 100
	}
	if err := checkAlpha(p.Alpha); err != nil {
		return p, err
	}
	for _, v := range []float64{p.Mean, p.Variance, p.TreatmentVariance} {
		if !(v >= 1e-30 && v <= 1e30) {
			return bad("a plan with mean %g and variances %g and %g", p.Mean, p.Variance, p.TreatmentVariance)
		}
	}
	switch {
	case !(p.Treatment > 1e-6 && p.Control > 1e-6 && p.Treatment+p.Control <= 1+1e-9):
		return bad("shares of %g and %g", p.Treatment, p.Control)
	case !(p.Lift >= -0.999 && p.Lift <= 1e3 && p.Threshold >= -0.999 && p.Threshold <= 1e3):
		return bad("a lift of %g against a threshold of %g", p.Lift, p.Threshold)
	case p.Rule != RuleLower && p.Rule != RuleEstimate:
		return bad("no rule is called %q", p.Rule)
	case !(p.OptimalAt >= 0 && p.OptimalAt <= 1<<53 && p.Start >= 1 && p.Start <= 1<<53):
		return bad("a sequence narrowest at %g that starts at %g", p.OptimalAt, p.Start)
	case !(p.spread() >= 1e-6 && p.spread() <= 1e12):
		return bad("values whose spread beside their mean is %g", math.Sqrt(p.spread()))
	}
	return p, nil
}

// spread is the variance of the log-ratio times the shoppers of both groups.
func (p Plan) spread() float64 {
	m, n := p.Mean*(1+p.Lift), p.Treatment+p.Control
	return n * (p.TreatmentVariance/m/m/p.Treatment + p.Variance/p.Mean/p.Mean/p.Control)
}

// slopes are, in log-ratios, what the lower bound must pass and what the estimate must.
func (p Plan) slopes() (lower, estimate float64) {
	if p.Rule == RuleLower {
		return math.Log1p(p.Threshold), math.Inf(-1)
	}
	return 0, math.Log1p(p.Threshold)
}

// never says that the declared lift does not pass what is asked, or by less than 1e-5, which no store has the shoppers for.
func (p Plan) never() bool {
	lower, estimate := p.slopes()
	drift := math.Log1p(p.Lift)
	return drift < lower+1e-5 || drift < estimate
}

// Shoppers foretells the decision to expand.
func (p Plan) Shoppers() (Forecast, error) {
	p, err := p.settled()
	if err != nil {
		return Forecast{}, err
	}
	if p.never() {
		inf := math.Inf(1)
		return Forecast{inf, inf, inf}, nil
	}
	times, done := p.passage()
	at := func(q float64) float64 {
		for i, f := range done {
			if f >= q {
				if i == 0 {
					return times[0] / (p.Treatment + p.Control)
				}
				w := (q - done[i-1]) / (f - done[i-1])
				return math.Exp((1-w)*math.Log(times[i-1])+w*math.Log(times[i])) / (p.Treatment + p.Control)
			}
		}
		return math.Inf(1)
	}
	return Forecast{at(0.1), at(0.5), at(0.9)}, nil
}

const passageSteps = 400

// passage returns the distribution of the first time, in shoppers of both groups, at which the estimate is where it decides. In
// information time t = n/spread the estimate × t is a Brownian motion with drift log(1 + lift), and the decision is its first
// passage through u(t) = max(lower·t + factor(n)·√t, estimate·t). Peskir's equation ("On integral equations arising in the
// first-passage problem for Brownian motion", J. Integral Equations Appl. 14, 2002): being above u at t is having passed at some
// s <= t and being above u from there, solved step by step on a geometric grid. Looks are taken as continuous.
func (p Plan) passage() (times, done []float64) {
	lower, estimate := p.slopes()
	drift, spread := math.Log1p(p.Lift), p.spread()
	s := Sequence{p.Alpha, p.OptimalAt}
	l := -2 * math.Log(p.Alpha)
	if s.OptimalAt == 0 {
		best := l + math.Log1p(l) // nρ² at OptimalAt
		f := 2 * (best + 1) / best * (math.Log1p(best) + l) / 2
		s.OptimalAt = math.Max(1, f*spread/(drift-lower)/(drift-lower))
	}
	bound := func(n float64) float64 {
		t := n / spread
		return math.Max(lower*t+s.factor(n)*math.Sqrt(t), estimate*t)
	}
	above := func(mean, variance float64) float64 { return math.Erfc(-mean/math.Sqrt(2*variance)) / 2 }

	slack := drift - math.Max(lower, math.Max(estimate, 0))
	last := 4 * s.factor(s.OptimalAt) * s.factor(s.OptimalAt) * spread / (drift - lower) / (drift - lower)
	last = math.Max(last, math.Max(20*s.OptimalAt, 4*p.Start))
	if slack > 1e-5 && slack < drift-lower { // the estimate may have to pass a bar near to the truth
		last = math.Max(last, 20*spread/slack/slack)
	}
	times, done = make([]float64, passageSteps+1), make([]float64, passageSteps+1)
	step := math.Pow(last/p.Start, 1.0/passageSteps)
	for i := range times {
		times[i] = p.Start * math.Pow(step, float64(i))
	}
	// Those above at the start are not at u: where they are is kept, as nodes of a normal tail.
	t0 := p.Start / spread
	u0 := bound(p.Start)
	z0 := (u0 - drift*t0) / math.Sqrt(t0)
	done[0] = above(drift*t0-u0, t0)
	const nodes = 64
	x, w := make([]float64, nodes), make([]float64, nodes)
	quad.Legendre{}.FixedLocations(x, w, z0, math.Max(z0, 0)+9)
	sum := 0.0
	for i := range w {
		w[i] *= math.Exp(-x[i] * x[i] / 2)
		sum += w[i]
	}
	for i := 1; i < len(times); i++ {
		t, u := times[i]/spread, bound(times[i])
		rest := above(drift*t-u, t)
		if sum > 0 && done[0] > 0 {
			for j := range w {
				rest -= done[0] * w[j] / sum * above(x[j]*math.Sqrt(t0)+drift*t-u, t-t0)
			}
		}
		for j := 1; j <= i; j++ {
			n := math.Sqrt(times[j-1] * times[j])
			k := above(bound(n)-u+drift*(t-n/spread), t-n/spread)
			if j == i {
				done[i] = math.Min(1, math.Max(done[i-1], done[i-1]+rest/k))
				break
			}
			rest -= (done[j] - done[j-1]) * k
		}
	}
	return times, done
}

// SmallestHoldout returns the smallest share of the control with which the decision comes within so many shoppers, of all
// groups, with the given probability in (0, 1); what it takes comes from the treatment. It is at most half of what both have; +Inf when even
// that does not do.
func (p Plan) SmallestHoldout(shoppers, probability float64) (float64, error) {
	p, err := p.settled()
	if err != nil {
		return 0, err
	}
	if !(shoppers >= 1 && shoppers <= 1<<53 && probability > 0 && probability < 1) {
		return 0, juncture.Errorf(juncture.CodeInternal, "a holdout that decides within %g shoppers with probability %g", shoppers, probability)
	}
	if p.never() {
		return math.Inf(1), nil
	}
	both := p.Treatment + p.Control
	rate := p.Start * math.Min(p.Treatment*(1+p.Lift), p.Control) / both // the start rule as a count: it comes later with a small control
	decides := func(control float64) bool {
		q := p
		q.Control, q.Treatment = control, both-control
		q.Start = rate * both / math.Min(q.Treatment*(1+p.Lift), q.Control)
		if shoppers*both < q.Start {
			return false
		}
		times, done := q.passage()
		for i, n := range times {
			if n > shoppers*both {
				return false
			}
			if done[i] >= probability {
				return true
			}
		}
		return false
	}
	lo, hi := 2e-6, both/2
	if !decides(hi) {
		return math.Inf(1), nil
	}
	for hi/lo > 1.005 {
		if mid := math.Sqrt(lo * hi); decides(mid) {
			hi = mid
		} else {
			lo = mid
		}
	}
	return hi, nil
}

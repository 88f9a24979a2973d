package health

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/juncture/juncture"
)

// Rate is how often something happened to the trials of one group or arm: an activation, any outcome, a removal by the
// bot filters, an outcome that came late.
type Rate struct {
	Label    string  `json:"label"`
	Trials   int64   `json:"trials"`
	Hits     int64   `json:"hits"`     // of those
	Expected float64 `json:"expected"` // rate in [0, 1], for AgainstExpected; SameRate puts the pooled one here
}

// RateCheck is the result of a check of rates.
type RateCheck struct {
	Rows      []Rate  `json:"rows"`
	Statistic float64 `json:"statistic"` // Pearson's chi-square
	Degrees   int     `json:"degrees"`
	P         float64 `json:"p"` // of one look that was planned
	E         float64 `json:"e"` // good at any look
	Verdict   Verdict `json:"verdict"`
	Sentence  string  `json:"sentence"`
}

func checkRates(rows []Rate, alpha float64) (trials, hits int64, err error) {
	if err := checkAlpha(alpha); err != nil {
		return 0, 0, err
	}
	if len(rows) == 0 {
		return 0, 0, juncture.Errorf(juncture.CodeInvalidRequest, "no rates to check")
	}
	for _, r := range rows {
		if r.Hits < 0 || r.Trials < r.Hits || r.Trials > MaxCount-trials {
			return 0, 0, juncture.Errorf(juncture.CodeInvalidRequest, "%d of %d trials of %.80q are not counts, or make more than %d", r.Hits, r.Trials, r.Label, MaxCount)
		}
		trials, hits = trials+r.Trials, hits+r.Hits
	}
	return trials, hits, nil
}

// SameRate tests that a rate is one and the same in every row: that activation does not depend on the arm (statistics
// A.6), that filters remove the same share of every group and arm (A.7). Whatever is true of the arms' outcomes may differ
// by arm; that belongs to AgainstExpected. The e-value is
//
//	E = mean over c and D of ∫ π(m)·Π_{k in D} B(h_k+c·m, n_k−h_k+c·(1−m))/B(c·m, c·(1−m))·Π_{k not in D} m^h_k·(1−m)^(n_k−h_k) dm
//	    / sup_p p^H·(1−p)^(N−H)
//
// c in {100, 1000, 10000}, π = Beta(1/2, 1/2), D all rows with weight 1/2 or any single one with the rest: a probability
// of what was seen over the largest that a common rate gives, so at most a martingale of mean 1 for every common rate
// (universal inference: Wasserman, Ramdas and Balakrishnan, PNAS 117, 2020, section 8).
//
// Errors: CodeInvalidRequest for fewer than 2 rows, counts that are none, a level that is none.
func SameRate(rows []Rate, alpha float64) (RateCheck, error) {
	trials, hits, err := checkRates(rows, alpha)
	if err == nil && len(rows) < 2 {
		err = juncture.Errorf(juncture.CodeInvalidRequest, "one row: a comparison needs two")
	}
	if err != nil {
		return RateCheck{}, err
	}
	out := RateCheck{P: 1, E: 1, Verdict: VerdictThin, Sentence: "Not enough data yet to compare rates.", Rows: make([]Rate, len(rows))}
	p := float64(hits) / float64(max(trials, 1))
	for i, r := range rows {
		out.Rows[i] = Rate{r.Label, r.Trials, r.Hits, p}
	}
	if hits == 0 || hits == trials {
		return out, nil // no row can differ
	}
	worst, far := 0, -1.0
	for i, r := range rows {
		if r.Trials == 0 {
			continue
		}
		d := float64(r.Hits) - float64(r.Trials)*p
		z := d * d / (float64(r.Trials) * p * (1 - p))
		out.Statistic += z
		out.Degrees++
		if z > far {
			worst, far = i, z
		}
	}
	if out.Degrees--; out.Degrees == 0 {
		return out, nil
	}
	out.P = distuv.ChiSquared{K: float64(out.Degrees)}.Survival(out.Statistic)
	logE := sameRateE(rows, float64(trials), float64(hits))
	out.E, out.Verdict = evidence(logE), byE(logE, alpha)
	w := rows[worst]
	switch out.Verdict {
	case VerdictOK:
		out.Sentence = "The rate is the same everywhere (" + percent(p) + " of " + count(float64(trials)) + ")."
	default:
		out.Sentence = w.Label + " has " + percent(float64(w.Hits)/float64(w.Trials)) + " where all together have " + percent(p) +
			": the rate depends on where it should not."
	}
	return out, nil
}

func sameRateE(rows []Rate, trials, hits float64) float64 {
	null := hits*math.Log(hits/trials) + (trials-hits)*math.Log1p(-hits/trials)
	model := func(c float64, differs func(k int) bool) float64 {
		// of the common mean's log-odds: likelihood times prior, whose density there is √(m(1−m))/π
		return integral(func(x float64) float64 {
			m, rest := 1/(1+math.Exp(-x)), 1/(1+math.Exp(x))
			logM, logRest := math.Log(m), math.Log(rest)
			l := (logM+logRest)/2 - math.Log(math.Pi)
			for k, r := range rows {
				h, miss := float64(r.Hits), float64(r.Trials-r.Hits)
				if differs(k) {
					l += lbeta(h+c*m, miss+c*rest) - lbeta(c*m, c*rest)
				} else {
					l += h*logM + miss*logRest
				}
			}
			return l
		}) - null
	}
	var all, one []float64
	for _, c := range []float64{100, 1000, 10000} {
		all = append(all, model(c, func(int) bool { return true }))
		for k := range rows {
			one = append(one, model(c, func(i int) bool { return i == k }))
		}
	}
	return logMeanExp([]float64{logMeanExp(all), logMeanExp(one)})
}

// integral is the log of the integral of exp(f) over [-20, 20], f with one peak: the trapezoid rule over 8 standard
// deviations to both sides of the peak, which is exact to rounding for a smooth bell, and too small where tails are heavy.
func integral(f func(float64) float64) float64 {
	const golden = 0.6180339887498949
	lo, hi := -20.0, 20.0
	a, b := hi-golden*(hi-lo), lo+golden*(hi-lo)
	fa, fb := f(a), f(b)
	for hi-lo > 1e-5 {
		if fa > fb {
			hi, b, fb = b, a, fa
			a = hi - golden*(hi-lo)
			fa = f(a)
		} else {
			lo, a, fa = a, b, fb
			b = lo + golden*(hi-lo)
			fb = f(b)
		}
	}
	mode := (lo + hi) / 2
	const h = 1e-3
	curve := (2*f(mode) - f(mode+h) - f(mode-h)) / (h * h)
	sd := 2.0
	if curve > 0.25 {
		sd = 1 / math.Sqrt(curve)
	}
	from, to := max(-20, mode-8*sd), min(20, mode+8*sd)
	const steps = 48
	var logs [steps + 1]float64
	for i := range logs {
		logs[i] = f(from + (to-from)*float64(i)/steps)
	}
	return logMeanExp(logs[:]) + math.Log((to-from)*(steps+1)/steps)
}

// AgainstExpected tests each row's rate against the one that was expected of it: the join rate, the share of an arm's or
// group's trials with any outcome, against what the posterior and the delays foretell. tolerance is the relative error
// that the expectation is allowed (0.1: a tenth, either way). The e-value is the mean of the rows'
//
//	∫ ρ^h·e^(−ρ·n·r) Gamma(ρ; a, a) dρ / sup of ρ^h·e^(−ρ·n·r) over 1/(1+tolerance) <= ρ <= 1+tolerance,
//
// averaged over a in {10, 100, 1000}. Poisson's ratio is a supermartingale for single trials too, because 1 + x <= e^x.
// A row whose e-value is at least rows/alpha is what makes the verdict a mismatch.
//
// Errors: CodeInvalidRequest for no row, counts or rates that are none, a tolerance outside [0, 1].
func AgainstExpected(rows []Rate, tolerance, alpha float64) (RateCheck, error) {
	trials, hits, err := checkRates(rows, alpha)
	if err != nil {
		return RateCheck{}, err
	}
	if !(tolerance >= 0 && tolerance <= 1) {
		return RateCheck{}, juncture.Errorf(juncture.CodeInvalidRequest, "tolerance %v is not in [0, 1]", tolerance).WithField("tolerance")
	}
	out := RateCheck{P: 1, Rows: make([]Rate, len(rows))}
	copy(out.Rows, rows)
	logs := make([]float64, len(rows))
	all := 0.0
	worst := 0
	for i, r := range rows {
		if !(r.Expected >= 0 && r.Expected <= 1) {
			return RateCheck{}, juncture.Errorf(juncture.CodeInvalidRequest, "%v is not a rate of %.80q", r.Expected, r.Label)
		}
		n, h := float64(r.Trials), float64(r.Hits)
		e := n * r.Expected
		all += e
		if v := e * (1 - r.Expected); v > 0 {
			out.Statistic += (h - e) * (h - e) / v
			out.Degrees++
		}
		logs[i] = againstE(h, e, tolerance)
		if logs[i] > logs[worst] {
			worst = i
		}
	}
	if out.Degrees > 0 {
		out.P = distuv.ChiSquared{K: float64(out.Degrees)}.Survival(out.Statistic)
	}
	logE := logMeanExp(logs)
	out.E, out.Verdict = evidence(logE), byE(logE, alpha)
	switch w := rows[worst]; {
	case trials == 0:
		out.Verdict, out.Sentence = VerdictThin, "Not enough data yet to compare rates with what was expected."
	case out.Verdict == VerdictOK:
		out.Sentence = percent(float64(hits)/float64(trials)) + " of " + count(float64(trials)) + " have an outcome, " + percent(all/float64(trials)) + " were expected."
	default:
		out.Sentence = w.Label + " has an outcome for " + percent(float64(w.Hits)/float64(max(w.Trials, 1))) + " of " + count(float64(w.Trials)) +
			" where " + percent(w.Expected) + " were expected: see whether outcomes still arrive and find their decisions."
	}
	return out, nil
}

func againstE(hits, expected, tolerance float64) float64 {
	if expected == 0 {
		if hits > 0 {
			return math.Inf(1)
		}
		return 0
	}
	rho := min(max(hits/expected, 1/(1+tolerance)), 1+tolerance)
	null := hits*math.Log(rho) - rho*expected
	var logs []float64
	for _, a := range []float64{10, 100, 1000} {
		logs = append(logs, a*math.Log(a)+lgamma(a+hits)-lgamma(a)-(a+hits)*math.Log(a+expected)-null)
	}
	return logMeanExp(logs)
}

// Late judges the share of outcomes that came after their window: late of all that came. From 100 outcomes on, a share
// over most (0: 0.05) is to be watched, since what comes late is reported and never learnt.
//
// Errors: CodeInvalidRequest for counts that are none, or a most outside [0, 1].
func Late(late, all int64, most float64) (RateCheck, error) {
	if most == 0 {
		most = 0.05
	}
	if late < 0 || all < late || all > MaxCount || !(most > 0 && most <= 1) {
		return RateCheck{}, juncture.Errorf(juncture.CodeInvalidRequest, "%d late of %d outcomes, at most %v: not a share", late, all, most)
	}
	out := RateCheck{Rows: []Rate{{"late", all, late, most}}, P: 1, Verdict: VerdictOK}
	if all < 100 {
		out.Verdict, out.Sentence = VerdictThin, "Not enough outcomes yet to say how many come late."
		return out, nil
	}
	share := float64(late) / float64(all)
	out.Sentence = percent(share) + " of " + count(float64(all)) + " outcomes came after their window"
	if share > most {
		out.Verdict = VerdictWatch
		out.Sentence += " and taught nothing: lengthen the window, or send outcomes sooner"
	}
	out.Sentence += "."
	return out, nil
}

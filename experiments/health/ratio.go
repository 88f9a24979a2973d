package health

import (
	"math"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/juncture/juncture"
)

// Count is a group, or an arm, of a sample-ratio check.
type Count struct {
	Label    string
	Observed int64
	Share    float64 // that was meant, in any unit: shares are divided by their sum
}

// RatioRow is a group, or an arm, as it was and as it should have been.
type RatioRow struct {
	Label    string  `json:"label"`
	Observed int64   `json:"observed"`
	Expected float64 `json:"expected"`
}

// Ratio is the result of a sample-ratio check.
type Ratio struct {
	Rows      []RatioRow `json:"rows"`
	Statistic float64    `json:"statistic"` // chi-square, or the squared distance with the draws' covariance
	Degrees   int        `json:"degrees"`   // of freedom; 0: nothing can differ
	P         float64    `json:"p"`         // of one look that was planned; not for looking daily
	E         float64    `json:"e"`         // e-value, good at any look; 1, which says nothing, where only p was asked for
	Verdict   Verdict    `json:"verdict"`
	Sentence  string     `json:"sentence"`
}

// ChiSquare is Pearson's test of counts against fixed shares, for one look that was planned beforehand; the verdict goes
// by p. Looking daily is what Multinomial is for. Under 5 expected in a row of a share over 0 the verdict is thin
// (Cochran, Biometrics 10, 1954).
//
// Errors: CodeInvalidRequest for fewer than 2 rows, a negative count, more than MaxCount, a share that is none, a level
// that is none.
func ChiSquare(rows []Count, alpha float64) (Ratio, error) {
	r, err := pearson(rows, alpha)
	if err != nil {
		return Ratio{}, err
	}
	r.Verdict = byP(r.P, alpha)
	if r.P > 0 { // what was not expected at all needs no number of rows
		for i, row := range r.Rows {
			if row.Expected < 5 && rows[i].Share > 0 {
				r.Verdict = VerdictThin
			}
		}
	}
	r.Sentence = r.sentence()
	return r, nil
}

func pearson(rows []Count, alpha float64) (Ratio, error) {
	if err := checkAlpha(alpha); err != nil {
		return Ratio{}, err
	}
	if len(rows) < 2 {
		return Ratio{}, juncture.Errorf(juncture.CodeInvalidRequest, "%d rows: a ratio needs two", len(rows))
	}
	total, shares := int64(0), 0.0
	for _, c := range rows {
		if c.Observed < 0 || c.Observed > MaxCount-total {
			return Ratio{}, juncture.Errorf(juncture.CodeInvalidRequest, "%d of %.80q is not a count, or makes more than %d", c.Observed, c.Label, MaxCount)
		}
		if !(c.Share >= 0) || c.Share > 1e12 {
			return Ratio{}, juncture.Errorf(juncture.CodeInvalidRequest, "%v is not a share of %.80q", c.Share, c.Label)
		}
		total += c.Observed
		shares += c.Share
	}
	if !(shares > 0) {
		return Ratio{}, juncture.Errorf(juncture.CodeInvalidRequest, "the shares sum to 0")
	}
	r := Ratio{P: 1, E: 1, Rows: make([]RatioRow, len(rows))}
	var observed, expected []float64
	impossible := false
	for i, c := range rows {
		e := float64(total) * (c.Share / shares)
		r.Rows[i] = RatioRow{c.Label, c.Observed, e}
		if c.Share > 0 {
			observed, expected = append(observed, float64(c.Observed)), append(expected, e)
		} else if c.Observed > 0 {
			impossible = true
		}
	}
	r.Degrees = len(observed) - 1
	switch {
	case impossible:
		r.Statistic, r.P, r.Degrees = math.MaxFloat64, 0, max(r.Degrees, 1)
	case total > 0 && r.Degrees > 0:
		for i := range observed {
			if expected[i] > 0 { // a share may be too small for a float64 of it
				r.Statistic += stat.ChiSquare(observed[i:i+1], expected[i:i+1])
			}
		}
		r.Statistic = min(r.Statistic, math.MaxFloat64)
		r.P = distuv.ChiSquared{K: float64(r.Degrees)}.Survival(r.Statistic)
	}
	return r, nil
}

// concentrations of the Dirichlet priors that Multinomial averages over: groups that are off by a tenth are found soonest
// with the first, by a hundredth with the last.
func concentrations() []float64 { return []float64{1e3, 1e4, 1e5} }

// Multinomial is the sequential test of counts against fixed shares: the Bayes factor of a Dirichlet prior around the
// shares, averaged over three concentrations c,
//
//	E = mean over c of Γ(c)/Γ(c+n) · Π_k Γ(c·θ_k+n_k)/(Γ(c·θ_k)·θ_k^n_k)
//
// (Lindon and Malek, Anytime-valid inference for multinomial count data, NeurIPS 2022: the sequential multinomial test; a mean of e-processes is
// one). It depends on the counts alone, so that neither order nor the number of looks matters, and counts of several
// nodes add up. The verdict goes by E. Whoever looks often may keep the highest E seen: the bound is for that.
//
// Errors: as ChiSquare.
func Multinomial(rows []Count, alpha float64) (Ratio, error) {
	r, err := pearson(rows, alpha)
	if err != nil {
		return Ratio{}, err
	}
	shares, n := 0.0, 0.0
	for _, c := range rows {
		shares += c.Share
		n += float64(c.Observed)
	}
	var logs []float64
	for _, c := range concentrations() {
		l := lgamma(c) - lgamma(c+n)
		for _, row := range rows {
			theta := row.Share / shares
			switch {
			case row.Observed == 0:
			case c*theta == 0: // never expected
				l = math.Inf(1)
			default:
				k := float64(row.Observed)
				l += lgamma(c*theta+k) - lgamma(c*theta) - k*math.Log(theta)
			}
		}
		logs = append(logs, l)
	}
	r.decide(logMeanExp(logs), alpha)
	return r, nil
}

func (r *Ratio) decide(logE, alpha float64) {
	r.E = evidence(logE)
	r.Verdict = byE(logE, alpha)
	n := int64(0)
	for _, row := range r.Rows {
		n += row.Observed
	}
	if n == 0 || r.Degrees == 0 {
		r.Verdict = VerdictThin
	}
	r.Sentence = r.sentence()
}

// Combine puts the phases of one check together, each with its own shares (statistics E.5). Phases follow one another, so
// the product of their e-values is one; where only one phase is off, the others' shrinking would hide it there, so it is
// averaged with Σ E_j/(j·(j+1)) + 1/(J+1), a mean with weights that sum to 1 however many phases J there will be. P and
// Statistic are the sums'. Rows are added by label, in the order in which they first come.
//
// Errors: CodeInvalidRequest for no phase, one without an e-value, or a level that is none.
func Combine(phases []Ratio, alpha float64) (Ratio, error) {
	if err := checkAlpha(alpha); err != nil {
		return Ratio{}, err
	}
	if len(phases) == 0 {
		return Ratio{}, juncture.Errorf(juncture.CodeInvalidRequest, "no phase to combine")
	}
	out := Ratio{P: 1}
	at := map[string]int{}
	product := 0.0
	weighted := []float64{-math.Log(float64(len(phases) + 1))}
	for j, p := range phases {
		if !(p.E > 0) {
			return Ratio{}, juncture.Errorf(juncture.CodeInvalidRequest, "phase %d has no e-value", j+1)
		}
		for _, row := range p.Rows {
			i, ok := at[row.Label]
			if !ok {
				i = len(out.Rows)
				at[row.Label] = i
				out.Rows = append(out.Rows, RatioRow{Label: row.Label})
			}
			out.Rows[i].Observed += row.Observed
			out.Rows[i].Expected += row.Expected
		}
		out.Statistic = min(out.Statistic+p.Statistic, math.MaxFloat64)
		out.Degrees += p.Degrees
		product += math.Log(p.E)
		weighted = append(weighted, math.Log(p.E)-math.Log(float64((j+1)*(j+2))))
	}
	if out.Degrees > 0 {
		out.P = distuv.ChiSquared{K: float64(out.Degrees)}.Survival(out.Statistic)
	}
	sum := logMeanExp(weighted) + math.Log(float64(len(weighted)))
	out.decide(logMeanExp([]float64{product, sum}), alpha)
	return out, nil
}

// worst is the row that is furthest from what was expected, in standard deviations.
func (r *Ratio) worst() RatioRow {
	total := 0.0
	for _, row := range r.Rows {
		total += row.Expected
	}
	best, at := -1.0, 0
	for i, row := range r.Rows {
		d := math.Abs(float64(row.Observed) - row.Expected)
		if v := row.Expected * (1 - row.Expected/max(total, 1)); v > 0 {
			d /= math.Sqrt(v)
		} else if d > 0 {
			d = math.Inf(1)
		}
		if d > best {
			best, at = d, i
		}
	}
	return r.Rows[at]
}

func (r *Ratio) sentence() string {
	n := int64(0)
	for _, row := range r.Rows {
		n += row.Observed
	}
	if r.Verdict == VerdictThin {
		return "Not enough data yet to compare sizes with shares."
	}
	if r.Verdict == VerdictOK {
		return "The sizes agree with their shares (" + count(float64(n)) + " counted)."
	}
	w := r.worst()
	s := w.Label + " has " + count(float64(w.Observed)) + " where " + count(w.Expected) + " were expected (" + gap(float64(w.Observed), w.Expected) + ")"
	if r.Verdict == VerdictWatch {
		return s + ": chance rarely does this; look again with more data."
	}
	return s + ": chance does not do this. Somebody is lost or counted twice; believe no comparison until the cause is found."
}

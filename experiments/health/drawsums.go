package health

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/juncture/juncture"
)

const (
	// MaxSummed bounds the arms of a DrawSums; sum by action where there are more.
	MaxSummed = 128
	// maxDraws bounds its decisions, so that no sum overflows.
	maxDraws = int64(1) << 30
	// probabilityUnit is how finely DrawSums keeps probabilities: integers, so that order never matters.
	probabilityUnit = 1 << 32
)

// DrawSums are the sums behind the one-look test of draws against logged probabilities (statistics E.7):
//
//	X² = (n − Σp)ᵀ·(Σ_t diag p_t − p_t·p_tᵀ)⁺·(n − Σp), chi-square with the rank as degrees of freedom
//
// by the martingale central limit theorem (Hall and Heyde 1980, theorem 3.2), since the covariance of a draw given the
// past is diag p − p·pᵀ. All sums are integers: order never matters, and merging is adding. The zero DrawSums is empty.
type DrawSums struct {
	arms     []juncture.ArmID // ascending
	n        int64
	observed []int64
	expected []int64 // in 1/probabilityUnit
	cross    []int64 // of p_j·p_k, row by row, in 1/probabilityUnit
}

// Add folds one decision.
//
// Errors, with nothing changed: CodeInvalidRequest for a ranking that Draws would refuse, or that cannot have drawn the
// arm; CodeUnprocessable for more than MaxSummed arms or 2^30 decisions.
func (s *DrawSums) Add(ranking []juncture.Ranked, drawn juncture.ArmID) error {
	sum, err := checkRanking(ranking)
	if err != nil {
		return err
	}
	one := DrawSums{n: 1}
	possible := false
	for _, r := range ranking {
		one.arms = append(one.arms, r.Arm)
		possible = possible || r.Arm == drawn && r.Probability > 0
	}
	if !possible {
		return juncture.Errorf(juncture.CodeInvalidRequest, "arm %d cannot have been drawn", drawn)
	}
	slices.Sort(one.arms)
	for i, id := range one.arms[1:] {
		if id == one.arms[i] {
			return twice(id)
		}
	}
	k := len(one.arms)
	if err := s.admit(one.arms, 1); err != nil {
		return err
	}
	s.n++
	at := make([]int, k)
	for i, r := range ranking {
		at[i], _ = slices.BinarySearch(s.arms, r.Arm)
		if r.Arm == drawn {
			s.observed[at[i]]++
		}
		s.expected[at[i]] += int64(math.Round(r.Probability / sum * probabilityUnit))
	}
	for i, r := range ranking {
		for j, o := range ranking {
			s.cross[at[i]*len(s.arms)+at[j]] += int64(math.Round(r.Probability / sum * (o.Probability / sum) * probabilityUnit))
		}
	}
	return nil
}

// admit makes room for arms, ascending, and for more decisions.
func (s *DrawSums) admit(arms []juncture.ArmID, decisions int64) error {
	if decisions > maxDraws-s.n {
		return juncture.Errorf(juncture.CodeUnprocessable, "more than %d decisions in one sum", maxDraws)
	}
	all := slices.Compact(slices.Sorted(slices.Values(slices.Concat(s.arms, arms))))
	if len(all) == len(s.arms) {
		return nil
	}
	if len(all) > MaxSummed {
		return juncture.Errorf(juncture.CodeUnprocessable, "%d arms in one sum, %d are held", len(all), MaxSummed).WithHint("sum by action")
	}
	k := len(all)
	wide := DrawSums{arms: all, n: s.n, observed: make([]int64, k), expected: make([]int64, k), cross: make([]int64, k*k)}
	wide.plus(s)
	wide.n = s.n
	*s = wide
	return nil
}

// plus adds the sums of o, whose arms s has.
func (s *DrawSums) plus(o *DrawSums) {
	at := make([]int, len(o.arms))
	for i, id := range o.arms {
		at[i], _ = slices.BinarySearch(s.arms, id)
	}
	for i, a := range at {
		s.observed[a] += o.observed[i]
		s.expected[a] += o.expected[i]
		for j, b := range at {
			s.cross[a*len(s.arms)+b] += o.cross[i*len(o.arms)+j]
		}
	}
}

// Merge adds the sums of another node, or phase. Errors: CodeUnprocessable as Add, with nothing changed.
func (s *DrawSums) Merge(o *DrawSums) error {
	if err := s.admit(o.arms, o.n); err != nil {
		return err
	}
	s.plus(o)
	s.n += o.n
	return nil
}

// Decisions is how many were folded.
func (s *DrawSums) Decisions() int64 { return s.n }

// Ratio tests the sums at one look that was planned; it has no e-value: that is Draws'. The verdict is thin until the
// smallest direction that can vary has a variance of 5.
//
// Errors: CodeInvalidRequest for a level that is none.
func (s *DrawSums) Ratio(alpha float64, label func(juncture.ArmID) string) (Ratio, error) {
	if err := checkAlpha(alpha); err != nil {
		return Ratio{}, err
	}
	r := Ratio{P: 1, E: 1, Verdict: VerdictThin}
	k := len(s.arms)
	off := make([]float64, k)
	for i, id := range s.arms {
		e := float64(s.expected[i]) / probabilityUnit
		off[i] = float64(s.observed[i]) - e
		r.Rows = append(r.Rows, RatioRow{label(id), s.observed[i], e})
	}
	if k > 1 {
		cov := mat.NewSymDense(k, nil)
		for i := range k {
			for j := i; j < k; j++ {
				v := -float64(s.cross[i*k+j]) / probabilityUnit
				if i == j {
					v += float64(s.expected[i]) / probabilityUnit
				}
				cov.SetSym(i, j, v)
			}
		}
		var eigen mat.EigenSym
		if !eigen.Factorize(cov, true) {
			return Ratio{}, juncture.Errorf(juncture.CodeInternal, "the covariance of %d arms has no eigenvalues", k)
		}
		values := eigen.Values(nil)
		var vectors mat.Dense
		eigen.VectorsTo(&vectors)
		least := math.Inf(1)
		for i, v := range values {
			if v <= 1e-7*values[k-1] || v <= 1e-6 { // rounding: the sum over all arms, and what was never drawn
				continue
			}
			z := 0.0
			for j := range k {
				z += vectors.At(j, i) * off[j]
			}
			r.Statistic += z * z / v
			r.Degrees++
			least = min(least, v)
		}
		if r.Degrees > 0 {
			r.P = distuv.ChiSquared{K: float64(r.Degrees)}.Survival(r.Statistic)
			if least >= 5 {
				r.Verdict = byP(r.P, alpha)
			}
		}
	}
	r.Sentence = r.sentence()
	return r, nil
}

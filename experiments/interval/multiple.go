package interval

import (
	"cmp"
	"slices"

	"github.com/juncture/juncture"
)

func checkP(p []float64) error {
	for i, v := range p {
		if !(v >= 0 && v <= 1) {
			return juncture.Errorf(juncture.CodeInternal, "probability %d is %g", i, v)
		}
	}
	return nil
}

// ranked returns the indices of v from the smallest value on.
func ranked(v []float64) []int {
	at := make([]int, len(v))
	for i := range at {
		at[i] = i
	}
	slices.SortStableFunc(at, func(a, b int) int { return cmp.Compare(v[a], v[b]) })
	return at
}

// Bonferroni returns adjusted p-values: those at most alpha are claimed with a chance of any false claim of at most alpha.
func Bonferroni(p []float64) ([]float64, error) {
	if err := checkP(p); err != nil {
		return nil, err
	}
	out := make([]float64, len(p))
	for i, v := range p {
		out[i] = min(1, v*float64(len(p)))
	}
	return out, nil
}

// Holm is Bonferroni stepped down (Holm, Scandinavian Journal of Statistics 6, 1979): never larger, the same promise.
func Holm(p []float64) ([]float64, error) {
	if err := checkP(p); err != nil {
		return nil, err
	}
	out, most := make([]float64, len(p)), 0.0
	for rank, i := range ranked(p) {
		most = max(most, min(1, p[i]*float64(len(p)-rank)))
		out[i] = most
	}
	return out, nil
}

// BenjaminiHochberg returns adjusted p-values: of those claimed at q, at most q are false on average, if the tests are
// independent or positively dependent (Benjamini and Hochberg, JRSS B 57, 1995).
func BenjaminiHochberg(p []float64) ([]float64, error) {
	if err := checkP(p); err != nil {
		return nil, err
	}
	out, least := make([]float64, len(p)), 1.0
	at := ranked(p)
	for rank := len(at); rank >= 1; rank-- {
		i := at[rank-1]
		least = min(least, p[i]*(float64(len(p))/float64(rank)))
		out[i] = least
	}
	return out, nil
}

// EBH returns the claims of the e-BH procedure, by index, ascending: of them at most alpha are false on average however the
// e-values depend on one another (Wang and Ramdas, JRSS B 84, 2022): the k largest, k the most with e_(k) >= K/(k·alpha).
func EBH(e []float64, alpha float64) ([]int, error) {
	if err := checkAlpha(alpha); err != nil {
		return nil, err
	}
	for i, v := range e {
		if !(v >= 0) {
			return nil, juncture.Errorf(juncture.CodeInternal, "e-value %d is %g", i, v)
		}
	}
	at := ranked(e)
	slices.Reverse(at)
	for k := len(at); k >= 1; k-- {
		if e[at[k-1]]*alpha*float64(k) >= float64(len(e)) {
			claims := slices.Clone(at[:k])
			slices.Sort(claims)
			return claims, nil
		}
	}
	return nil, nil
}

// BayesianFDR returns the largest set, by index, ascending, whose mean 1 − p is at most q, where p[i] is the posterior
// probability that claim i is true: a model-based false discovery rate (Newton, Noueiry, Sarkar and Ahlquist, Biostatistics 5, 2004).
func BayesianFDR(p []float64, q float64) ([]int, error) {
	if err := checkP(p); err != nil {
		return nil, err
	}
	if !(q >= 0 && q <= 1) {
		return nil, juncture.Errorf(juncture.CodeInternal, "a false discovery rate of %g", q)
	}
	at := ranked(p)
	slices.Reverse(at)
	k, wrong := 0, 0.0
	for n, i := range at {
		if wrong += 1 - p[i]; wrong <= q*float64(n+1) {
			k = n + 1
		}
	}
	set := slices.Clone(at[:k])
	slices.Sort(set)
	return set, nil
}

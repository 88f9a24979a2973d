package lattice

import (
	"math"
	"slices"
	"time"

	"github.com/juncture/juncture"
)

// delayClass is the class of a delay in minutes.
func delayClass(minutes float64) int {
	return juncture.DelayClass(time.Duration(minutes * float64(time.Minute)))
}

func classEnd(c int) float64 { return math.Exp2(float64(c) / 2) }

// maturity is F: the share of in-window successes that have arrived by an age (A.4), at the classes' ends.
type maturity struct {
	f     [juncture.DelayClasses]float64
	known bool
}

// newMaturity is Kaplan and Meier's estimate in reverse time, for delays that are seen only if they are shorter than their trial
// is old (Lagakos, Barraj and De Gruttola, Biometrika 75, 1988): F(c) = ∏_{j>c} (1 − d_j/n_j), d_j the successes of class
// j, n_j those of class j or less from trials old enough to have shown class j. Few delays teach little: minDelays.
func newMaturity(delays map[delayKey]int64, cal Calendar, asOf int64, window float64) *maturity {
	m := &maturity{}
	type group struct {
		age   float64
		count [juncture.DelayClasses]int64
	}
	var groups []group
	index := map[Bucket]int{}
	for k := range delays {
		b := cal.Merge(k.bucket, asOf)
		if _, ok := index[b]; !ok {
			index[b] = -1
		}
	}
	buckets := make([]Bucket, 0, len(index))
	for b := range index {
		buckets = append(buckets, b)
	}
	slices.Sort(buckets)
	for i, b := range buckets {
		index[b] = i
		groups = append(groups, group{age: cal.Age(b, asOf)})
	}
	total := int64(0)
	for k, n := range delays {
		groups[index[cal.Merge(k.bucket, asOf)]].count[k.class] += n
		total += n
	}
	if total < minDelays {
		return m
	}
	m.known = true
	last := int(delayClass(window))
	var d, n [juncture.DelayClasses]float64
	for _, g := range groups {
		most := last // the last class that this group's age could show in full
		if g.age < window {
			most = min(last, int(delayClass(g.age))-1)
		}
		sum := 0.0
		for c := 0; c <= most; c++ {
			v := float64(max(0, g.count[c]))
			sum += v
			d[c] += v
			n[c] += sum
		}
	}
	f := 1.0
	for c := juncture.DelayClasses - 1; c >= 0; c-- {
		m.f[c] = f
		if c <= last && n[c] > 0 {
			f *= 1 - d[c]/n[c]
		}
	}
	return m
}

// minDelays are the successes from which F is estimated; before, every trial counts in full.
const minDelays = 20

// at returns F(age), age in minutes; linear between the classes' ends. What comes within a minute comes at once: delays
// are not told apart finer, and evidence may be fitted seconds after it was made.
func (m *maturity) at(age, window float64) float64 {
	if !m.known || age >= window {
		return 1
	}
	c := int(delayClass(age))
	if c == 0 {
		return m.f[0]
	}
	from, to := 0.0, classEnd(c)
	before := m.f[c-1]
	from = classEnd(c - 1)
	if c == 1 {
		from = 1
	}
	if to <= from {
		return m.f[c]
	}
	return before + (m.f[c]-before)*min(1, max(0, (age-from)/(to-from)))
}

// over returns the mean of F over the trials of a bucket, taken as even over its part before asOf.
func (m *maturity) over(from, to, asOf int64, window float64) float64 {
	if !m.known {
		return 1
	}
	to = min(to, max(asOf, from+1))
	const points = 8
	sum := 0.0
	for i := range points {
		t := float64(from) + (float64(i)+0.5)/points*float64(to-from)
		sum += m.at(max(0, float64(asOf)-t), window)
	}
	return sum / points
}

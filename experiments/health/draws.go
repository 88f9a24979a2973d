package health

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"

	"github.com/juncture/juncture"
)

const (
	// MaxArms bounds the arms whose counts Draws keeps; later ones are taken as drawn rightly.
	MaxArms = 1000
	// maxRanking bounds one decision.
	maxRanking = 4096
	tilts      = 3
)

// tiltPrior is how many expected decisions of an arm its tilt is shrunk by: each is a process, and their mean is the
// e-process.
func tiltPrior() [tilts]float64 { return [tilts]float64{30, 300, 3000} }

// Draws is the e-process for "each arm was drawn with the probability that was logged", valid under any probabilities
// p_t that are known before the draw, however they came from earlier ones (statistics E.7):
//
//	E_t = Π q_s(x_s)/p_s(x_s), q_s,k = p_s,k·tilt_k/Σ_j p_s,j·tilt_j, tilt_k = (a + n_k)/(a + Σ_{r<s} p_r,k)
//
// n_k counts the earlier decisions that drew k. q_s is a probability vector on what p_s can draw and known before x_s, so
// the mean of q_s(x_s)/p_s(x_s) given the past is Σ_k p_s,k·q_s,k/p_s,k = 1: a martingale. With equal probabilities it
// is Multinomial's Bayes factor with c = a·K.
//
// Fed with activated decisions, or with the rows that a join left over, in the order in which they became so, it tests
// that activation, or the join, did not depend on the arm. The order is part of it: fold by serial, or by activation.
// Leave out decisions whose activation says that the page showed something else.
// The zero Draws is empty, and E is 1. It holds at most MaxArms arms.
type Draws struct {
	n    int64
	log  [tilts]float64 // log e of each process
	peak float64        // the highest log e so far
	arms []tilted       // by id
}

type tilted struct {
	id       juncture.ArmID
	n        int64
	expected float64
	seen     int64 // the number of the last decision that offered it; not kept when written
}

// Add folds one decision: what it could have drawn and what it drew. A decision with one arm says nothing.
//
// Errors: CodeInvalidRequest, and nothing is changed, for probabilities that are none, do not sum to 1 within 1e-6 or
// name an arm twice. An arm that is not in the ranking, or has probability 0, cannot have been drawn: E is infinite.
func (d *Draws) Add(ranking []juncture.Ranked, drawn juncture.ArmID) error {
	sum, err := checkRanking(ranking)
	if err != nil {
		return err
	}
	var at [64]int
	place := at[:0]
	stamp := d.n + 1
	fresh := 0
	for _, r := range ranking {
		i, ok := d.find(r.Arm)
		switch {
		case !ok:
			place = append(place, -1)
			fresh++
			continue
		case d.arms[i].seen == stamp:
			d.unstamp(stamp)
			return twice(r.Arm)
		}
		d.arms[i].seen = stamp
		place = append(place, i)
	}
	if fresh > 0 {
		if err := d.admit(ranking, place, stamp); err != nil {
			return err
		}
	}
	prior := tiltPrior()
	total, mine := [tilts]float64{}, [tilts]float64{}
	p := 0.0
	for i, r := range ranking {
		q := r.Probability / sum
		if r.Arm == drawn {
			p = q
		}
		for j, a := range prior {
			tilt := 1.0
			if k := place[i]; k >= 0 {
				tilt = (a + float64(d.arms[k].n)) / (a + d.arms[k].expected)
			}
			total[j] += q * tilt
			if r.Arm == drawn {
				mine[j] = tilt
			}
		}
	}
	d.n = stamp
	for j := range d.log {
		if p > 0 {
			d.log[j] += math.Log(mine[j] / total[j])
		} else {
			d.log[j] = math.Inf(1)
		}
	}
	for i, r := range ranking {
		if k := place[i]; k >= 0 {
			d.arms[k].expected += r.Probability / sum
			if r.Arm == drawn {
				d.arms[k].n++
			}
		}
	}
	d.peak = max(d.peak, d.LogE())
	return nil
}

// admit makes room for the arms of a ranking that are new, and finds all places again.
func (d *Draws) admit(ranking []juncture.Ranked, place []int, stamp int64) error {
	for i, r := range ranking {
		for _, o := range ranking[:i] {
			if o.Arm == r.Arm {
				d.unstamp(stamp)
				return twice(r.Arm)
			}
		}
	}
	for _, r := range ranking {
		if i, ok := d.find(r.Arm); !ok && len(d.arms) < MaxArms {
			d.arms = slices.Insert(d.arms, i, tilted{id: r.Arm, seen: stamp})
		}
	}
	for i, r := range ranking {
		place[i] = -1
		if k, ok := d.find(r.Arm); ok {
			place[i] = k
		}
	}
	return nil
}

func (d *Draws) find(id juncture.ArmID) (int, bool) {
	return slices.BinarySearchFunc(d.arms, id, func(t tilted, id juncture.ArmID) int { return cmp.Compare(t.id, id) })
}

func (d *Draws) unstamp(stamp int64) {
	for i := range d.arms {
		if d.arms[i].seen == stamp {
			d.arms[i].seen = 0
		}
	}
}

func checkRanking(ranking []juncture.Ranked) (sum float64, err error) {
	if len(ranking) == 0 || len(ranking) > maxRanking {
		return 0, juncture.Errorf(juncture.CodeInvalidRequest, "%d arms: a decision has 1 to %d", len(ranking), maxRanking)
	}
	for _, r := range ranking {
		if !(r.Probability >= 0 && r.Probability <= 1) {
			return 0, juncture.Errorf(juncture.CodeInvalidRequest, "%v is not the probability of arm %d", r.Probability, r.Arm)
		}
		sum += r.Probability
	}
	if math.Abs(sum-1) > 1e-6 {
		return 0, juncture.Errorf(juncture.CodeInvalidRequest, "the probabilities sum to %v", sum)
	}
	return sum, nil
}

func twice(id juncture.ArmID) error {
	return juncture.Errorf(juncture.CodeInvalidRequest, "arm %d stands twice among the eligible", id)
}

// Decisions is how many were folded.
func (d *Draws) Decisions() int64 { return d.n }

// LogE is the log of the e-process now.
func (d *Draws) LogE() float64 { return logMeanExp(d.log[:]) }

// Ratio reads the process; the verdict goes by the highest E so far. It has no p: that is DrawSums'. label names an arm.
//
// Errors: CodeInvalidRequest for a level that is none.
func (d *Draws) Ratio(alpha float64, label func(juncture.ArmID) string) (Ratio, error) {
	if err := checkAlpha(alpha); err != nil {
		return Ratio{}, err
	}
	r := Ratio{P: 1, Degrees: max(0, len(d.arms)-1)}
	for _, a := range d.arms {
		r.Rows = append(r.Rows, RatioRow{label(a.id), a.n, a.expected})
	}
	r.decide(d.peak, alpha)
	r.E = evidence(d.LogE())
	return r, nil
}

const drawsVersion = 1

// MarshalBinary writes the state: the same states give the same bytes. Numbers are little-endian; floats are their bits.
func (d *Draws) MarshalBinary() ([]byte, error) {
	b := append(make([]byte, 0, 64+24*len(d.arms)), drawsVersion)
	b = binary.AppendUvarint(b, uint64(d.n))
	for _, l := range append(slices.Clone(d.log[:]), d.peak) {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(l))
	}
	b = binary.AppendUvarint(b, uint64(len(d.arms)))
	for _, a := range d.arms {
		b = binary.AppendUvarint(b, uint64(a.id))
		b = binary.AppendUvarint(b, uint64(a.n))
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(a.expected))
	}
	return b, nil
}

// UnmarshalBinary reads what MarshalBinary wrote, and refuses, with CodeInvalidRequest and nothing changed, what it
// cannot have written.
func (d *Draws) UnmarshalBinary(b []byte) error {
	bad := len(b) == 0 || b[0] != drawsVersion
	u := func(most uint64) uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 || v > most {
			bad = true
			return 0
		}
		b = b[n:]
		return v
	}
	f := func() float64 {
		if len(b) < 8 {
			bad = true
			return 0
		}
		v := math.Float64frombits(binary.LittleEndian.Uint64(b))
		b = b[8:]
		bad = bad || math.IsNaN(v) || math.IsInf(v, -1)
		return v
	}
	var out Draws
	if !bad {
		b = b[1:]
		out.n = int64(u(1 << 62))
		for j := range out.log {
			out.log[j] = f()
		}
		out.peak = f()
		for range u(MaxArms) {
			a := tilted{id: juncture.ArmID(u(math.MaxUint32)), n: int64(u(uint64(out.n))), expected: f()}
			bad = bad || !(a.expected >= 0) || a.expected > 1e18 || len(out.arms) > 0 && out.arms[len(out.arms)-1].id >= a.id
			if bad {
				break
			}
			out.arms = append(out.arms, a)
		}
	}
	if bad || len(b) > 0 {
		return juncture.Errorf(juncture.CodeInvalidRequest, "this is not the state of a draws' process")
	}
	*d = out
	return nil
}

package trajectory

import "math"

// octaves is how many half-lives of a decayed sum are kept; what is older is 1/256 of itself at most, and dropped.
const octaves = 8

// unit is how finely a weight is kept: integers, so that sums are exact and the order of adding does not matter.
const unit = 1 << 12

// decayed is the sum of weights, each halved with every half-life that passed since. It is kept as one integer sum for
// each half-life of the calendar (counted from 1970), in which weights are scaled to the half-life's beginning: adding
// and merging are exact and commute, and so does dropping the oldest.
type decayed struct {
	top int64          // the latest half-life with an event, counted from 1970
	sum [octaves]int64 // sum[0] is of half-life top, sum[1] of the one before, ...
}

// add counts a weight at a time; half is the half-life (both ms).
func (d *decayed) add(at, half int64, weight float64) {
	k := at / half
	d.raise(k)
	if i := d.top - k; i < octaves {
		v := weight * unit * math.Exp2(float64(at-k*half)/float64(half))
		d.sum[i] += int64(math.RoundToEven(v))
	}
}

func (d *decayed) raise(k int64) {
	if k <= d.top {
		return
	}
	by := k - d.top
	d.top = k
	if by >= octaves {
		d.sum = [octaves]int64{}
		return
	}
	copy(d.sum[by:], d.sum[:octaves-by])
	clear(d.sum[:by])
}

func (d *decayed) merge(o decayed) {
	d.raise(o.top)
	for i, v := range o.sum {
		if j := d.top - o.top + int64(i); j < octaves {
			d.sum[j] += v
		}
	}
}

// at is the sum as it has decayed by a time (ms); times before the last half-life's beginning are taken as it.
func (d *decayed) at(now, half int64) float64 {
	total, scale := 0.0, 1.0/unit
	for _, v := range d.sum {
		total += float64(v) * scale
		scale /= 2
	}
	return max(total, 0) * math.Exp2(-max(float64(now-d.top*half)/float64(half), 0))
}

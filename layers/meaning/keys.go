package meaning

import (
	"cmp"
	"math"
	"slices"
)

// KeyOf is a shopper's number for Options.Keys.
func KeyOf(shopper string) uint64 {
	h := uint64(fnvOffset)
	for i := range len(shopper) {
		h = hashByte(h, shopper[i])
	}
	return h
}

// key is a number of a vector whose shopper is not known.
func (v Vector) key() uint64 {
	h := uint64(fnvOffset)
	add := func(x uint32) {
		for range 4 {
			h = hashByte(h, byte(x))
			x >>= 8
		}
	}
	for i, d := range v.Dims {
		add(uint32(d))
		add(math.Float32bits(v.Values[i]))
	}
	return h
}

// mixed is a key's number for one purpose, spread evenly over all bits (splitmix64, Steele et al. 2014).
func mixed(key, purpose uint64) uint64 {
	h := key + (purpose+1)*0x9E3779B97F4A7C15
	h = (h ^ h>>30) * 0xBF58476D1CE4E5B9
	h = (h ^ h>>27) * 0x94D049BB133111EB
	return h ^ h>>31
}

// uniform is a key's number in (0, 1).
func uniform(key, purpose uint64) float64 {
	return (float64(mixed(key, purpose)>>11) + 0.5) / (1 << 53)
}

// sample returns at most so many places of keys, in order: of a longer list those with the least numbers, so that one key
// more takes the place of one other at most.
func sample(keys []uint64, most int, purpose uint64) []int32 {
	out := all(len(keys))
	if len(out) <= most {
		return out
	}
	slices.SortFunc(out, func(a, b int32) int {
		return cmp.Or(cmp.Compare(mixed(keys[a], purpose), mixed(keys[b], purpose)), cmp.Compare(a, b))
	})
	out = out[:most]
	slices.Sort(out)
	return out
}

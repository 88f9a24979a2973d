package meaning

import (
	"math"
	"slices"
	"testing"
)

// Paired differences 0.1 and 0.3 in turn, a hundred times: mean 0.2, standard error sqrt(0.01 / 99).
func TestBeats(t *testing.T) {
	low, high, far := make([]float64, 100), make([]float64, 100), make([]float64, 100)
	for i := range low {
		low[i], far[i] = 0.5, 50
		high[i] = low[i] + 0.1 + 0.2*float64(i%2)
	}
	gain, se, ok := beats(high, low, sure)
	if math.Abs(gain-0.2) > 1e-12 || math.Abs(se-math.Sqrt(0.01/99)) > 1e-12 || !ok {
		t.Errorf("%v ± %v, %v", gain, se, ok)
	}
	if _, _, ok := beats(low, high, sure); ok {
		t.Error("the lower beats the higher")
	}
	if _, _, ok := beats(high, low, 20); ok { // 0.2 is 19.9 standard errors
		t.Error("not sure enough")
	}
	for i := range far {
		high[i] = far[i] + 0.2
	}
	if _, _, ok := beats(high, far, sure); ok { // sure, but 0.4% of 50
		t.Error("not worth it")
	}
	if _, _, ok := beats([]float64{1, math.NaN()}, []float64{0, 0}, sure); ok { // NaN is nobody; one alone says nothing
		t.Error("one shopper decides")
	}
}

// One shopper more changes who is held out by that shopper alone.
func TestHoldOutIsOfTheShopper(t *testing.T) {
	n := 13000 // over the most that are looked at
	keys := make([]uint64, n+1)
	vectors := make([]Vector, n+1)
	for i := range keys {
		keys[i] = KeyOf(string(rune(i + 1000)))
		vectors[i].Dims = []int32{int32(i)}
	}
	held := func(n int) map[int32]int {
		out := map[int32]int{}
		fit, _, judge := holdOut(vectors[:n], keys[:n])
		for _, v := range fit {
			out[v.Dims[0]] = 1
		}
		for _, w := range judge {
			out[w] = 2
		}
		if share := float64(len(judge)) / float64(len(out)); len(out) != 12000 || math.Abs(share-1.0/3) > 0.02 {
			t.Errorf("%d of %d held out", len(judge), len(out))
		}
		return out
	}
	a, b := held(n), held(n+1)
	changed := 0
	for i := range n + 1 {
		if a[int32(i)] != b[int32(i)] {
			changed++
		}
	}
	if changed > 2 { // the new one, and whom it takes the place of
		t.Errorf("%d shoppers changed sides", changed)
	}
}

// k-means++ draws in proportion to the weights: 1 to 3 is a quarter, within 3.3 standard errors of 4,000 draws.
func TestDrawIsInProportion(t *testing.T) {
	n := 0
	for seed := range uint64(4000) {
		n += draw([]float64{3, 0, 1}, func(i int) float64 { return uniform(uint64(i), mixed(seed, 0)) }) / 2
	}
	if math.Abs(float64(n)/4000-0.25) > 0.023 {
		t.Errorf("%d of 4000", n)
	}
	if got := draw([]float64{0, 0}, func(int) float64 { return 0.7 }); got != 1 {
		t.Errorf("of nothing %d", got)
	}
}

func TestLadder(t *testing.T) {
	if got := around(16, 4, 70); !slices.Equal(got, []int{23, 32, 45, 64, 11, 8, 6, 4}) { // powers of sqrt 2, rounded
		t.Errorf("%v", got)
	}
	if got := around(1, 1, 4); !slices.Equal(got, []int{2, 3, 4}) { // a step is one at least
		t.Errorf("%v", got)
	}
	if got := around(3, 4, 3); len(got) != 0 {
		t.Errorf("%v", got)
	}
}

package experiments

import (
	"fmt"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/juncture/juncture"
)

var testSalt = []byte("0123456789abcdef0123456789abcdef")

const shoppers = 100_000

func shopper(i int) string { return fmt.Sprintf("shopper-%d", i) }

// alarm is the quantile of chi-square that a right assignment passes 999,999 times in a million.
func alarm(degrees float64) float64 { return distuv.ChiSquared{K: degrees}.Quantile(1 - 1e-6) }

func TestAssignShares(t *testing.T) {
	for _, shares := range []juncture.GroupShares{
		{Policy: 0.85, Random: 0.05, BAU: 0.05, Holdout: 0.05},
		{Policy: 0.25, Random: 0.25, BAU: 0.25, Holdout: 0.25},
		{Policy: 0.5, Holdout: 0.5},
		{Random: 1},
	} {
		e := juncture.Experiment{ID: "hero", Groups: shares}
		var got [5]int
		for i := range shoppers {
			g, share, in := Assign(testSalt, e, shopper(i))
			if !in || share != shares.Share(g) {
				t.Fatalf("%+v: shopper %d: group %v, share %v, in %v", shares, i, g, share, in)
			}
			got[g]++
		}
		chi, degrees := 0.0, -1.0
		for g, n := range got {
			want := shares.Share(juncture.Group(g)) * shoppers
			if want == 0 {
				if n > 0 {
					t.Errorf("%+v: %d shoppers in %v", shares, n, juncture.Group(g))
				}
				continue
			}
			chi += (float64(n) - want) * (float64(n) - want) / want
			degrees++
		}
		if degrees > 0 && chi > alarm(degrees) {
			t.Errorf("%+v: %v, chi-square %.1f", shares, got, chi)
		}
	}
}

func TestAssignTrafficOnlyLetsIn(t *testing.T) {
	at := func(traffic float64, i int) (juncture.Group, bool) {
		e := juncture.Experiment{ID: "hero", Traffic: &traffic, Groups: juncture.GroupShares{Policy: 0.5, Holdout: 0.5}}
		g, share, in := Assign(testSalt, e, shopper(i))
		if !in && (g != juncture.GroupNone || share != 0) {
			t.Fatalf("outside, but group %v with share %v", g, share)
		}
		return g, in
	}
	inside := 0
	for i := range 20_000 {
		if _, in := at(0, i); in {
			t.Fatal("in an experiment without traffic")
		}
		small, in := at(0.2, i)
		large, inLarge := at(0.6, i)
		if in && (!inLarge || small != large) {
			t.Fatalf("raising traffic moved shopper %d from %v to %v", i, small, large)
		}
		if in {
			inside++
		}
	}
	if inside < 3_700 || inside > 4_300 { // 4,000 with a standard deviation of 57
		t.Errorf("%d of 20,000 are in a fifth of the traffic", inside)
	}
}

func TestAssignIsStableAndIndependent(t *testing.T) {
	shares := juncture.GroupShares{Policy: 0.5, Random: 0.5}
	a, b := juncture.Experiment{ID: "a", Groups: shares}, juncture.Experiment{ID: "b", Groups: shares}
	var table [2][2]int
	salted := 0
	for i := range shoppers {
		x, _, _ := Assign(testSalt, a, shopper(i))
		if again, _, _ := Assign(testSalt, a, shopper(i)); again != x {
			t.Fatal("not stable")
		}
		if other, _, _ := Assign([]byte("another salt"), a, shopper(i)); other == x {
			salted++
		}
		y, _, _ := Assign(testSalt, b, shopper(i))
		table[x-1][y-1]++
	}
	chi := 0.0
	for _, row := range table {
		for _, n := range row {
			const want = shoppers / 4 // two fair, independent coins
			chi += (float64(n) - want) * (float64(n) - want) / want
		}
	}
	if chi > alarm(3) {
		t.Errorf("two experiments depend on each other: %v, chi-square %.1f", table, chi)
	}
	if salted < 49_000 || salted > 51_000 { // 50,000 with a standard deviation of 158
		t.Errorf("another salt leaves %d of %d where they were", salted, shoppers)
	}
	// A boundary between the parts must not be movable.
	one := juncture.Experiment{ID: "ab", Groups: shares}
	if uniform(testSalt, "group", one.ID, "c") == uniform(testSalt, "group", "a", "bc") {
		t.Error("ids run together in the hash")
	}
}

// knownUniform was computed apart from this code, with Python's hmac and struct.
const knownUniform = "0.529134719573"

func TestAssignKnownValue(t *testing.T) {
	// Enrolments are stored, but a hash that changes between releases would still break later shoppers' assignment.
	if got := fmt.Sprintf("%.12f", uniform([]byte("salt"), "group", "hero", "s1")); got != knownUniform {
		t.Errorf("uniform = %s, was %s", got, knownUniform)
	}
}

package lattice

import (
	"math"
	"testing"
	"time"

	"github.com/juncture/juncture"
)

// With 4,000 trials of each arm at the only intersection and no more to tell, the means are the rates that were counted:
// 400/4,000 and 200/4,000; with orders of £20 all alike, 2.00 and 1.00 (shrinkage and the noise of ten orders that are its prior leave 4%).
func TestMeansAreWhatWasCounted(t *testing.T) {
	arms := armsOf(2, 1)
	x := juncture.Intersection{"new", "_", "_", "_"}
	e := NewEvidence(Calendar{})
	log := int64(math.Round(math.Log(20) * 1e4))
	e.Add(x, 1, noon().Add(-time.Hour), Counts{Trials: 4000, Successes: 400, LogValue: 400 * log, LogValueSq: 400 * log * log})
	e.Add(x, 2, noon().Add(-time.Hour), Counts{Trials: 4000, Successes: 200, LogValue: 200 * log, LogValueSq: 200 * log * log})
	rate, err := Fit(e.View(), arms, Settings{}, noon(), "r")
	if err != nil {
		t.Fatal(err)
	}
	money, err := Fit(e.View(), arms, Settings{Value: true}, noon(), "m")
	if err != nil {
		t.Fatal(err)
	}
	blend, err := NewBlend(Part{"click", rate, 3}, Part{"order", money, -1})
	if err != nil {
		t.Fatal(err)
	}
	ws, got := &Workspace{}, make([]float64, 2)
	for _, c := range []struct {
		name string
		of   interface {
			Means(juncture.Intersection, []juncture.ArmID, *Workspace, []float64) error
		}
		want [2]float64
	}{{"rate", rate, [2]float64{0.1, 0.05}}, {"money", money, [2]float64{2, 1}}, {"3 clicks less the money", blend, [2]float64{0.3 - 2, 0.15 - 1}}} {
		if err := c.of.Means(x, idsOf(arms), ws, got); err != nil {
			t.Fatal(err)
		}
		for i, want := range c.want {
			if math.Abs(got[i]-want) > 0.04*math.Abs(want) {
				t.Errorf("%s: %v, want %v", c.name, got, c.want)
			}
		}
	}
	if err := rate.Means(x, []juncture.ArmID{9}, ws, got[:1]); juncture.ErrorCode(err) != juncture.CodeInternal {
		t.Errorf("an unknown arm: %v", err)
	}
}

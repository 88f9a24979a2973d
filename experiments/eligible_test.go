package experiments

import (
	"testing"

	"github.com/juncture/juncture"
)

// An arm that may not be shown at a place, and never was, is not said to win there, nor to be anybody's rival; one that
// was shown there competes whatever is eligible now.
func TestOnlyEligibleArmsCompete(t *testing.T) {
	ev := testEvidence(t, small)
	loyalA, err := juncture.ParseIntersection("v1/loyal.browsing.researching/a/_/_")
	if err != nil {
		t.Fatal(err)
	}
	all, err := BuildIntersection(ev, loyalA)
	if err != nil {
		t.Fatal(err)
	}
	ev.Eligible = func(x juncture.Intersection) map[juncture.ArmID]bool {
		return map[juncture.ArmID]bool{plain: true} // urgent, shown only at cluster b, and five are not
	}
	some, err := BuildIntersection(ev, loyalA)
	if err != nil {
		t.Fatal(err)
	}
	copies := func(r IntersectionReport) (out []string) {
		for _, a := range r.Arms {
			out = append(out, a.Arm.Action+"/"+a.Arm.Copy)
		}
		return out
	}
	if len(all.Arms) != 3 || len(some.Arms) != 2 { // five has 4,100 trials here, plain 1,000 and urgent none
		t.Errorf("arms %v without rules, %v with", copies(all), copies(some))
	}
	sum := 0.0
	for _, a := range some.Actions {
		sum += a.PBest
	}
	if sum < 1-1e-9 || sum > 1+1e-9 {
		t.Errorf("P(best) of the actions sums to %v", sum)
	}
}

package juncture_test

import (
	"math/big"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	. "github.com/juncture/juncture"
)

// What a unit did: outcomes within the horizon, less what was taken back, as far as it was known.
func TestUnitOf(t *testing.T) {
	e := Enrolment{At: decided, Until: decided.Add(24 * time.Hour)}
	at := func(o Outcome, received time.Duration) Outcome {
		o.Received = decided.Add(received)
		return o
	}
	rows := []Outcome{
		at(row("a", 1000, 60, ""), time.Hour),
		at(row("b", 500, 60, ""), time.Hour),
		at(row("too late", 70, 24*60+1, ""), 25*time.Hour),
		at(row("before", 70, -1, ""), time.Hour),
		at(row("told late", 30, 120, ""), 48*time.Hour),
		at(adjustment("r", "a", -400), 2*time.Hour),
		at(adjustment("s", "b", -500), 30*time.Hour),
		at(Outcome{Event: "click", ID: "c", Minor: 1, At: decided}, 0),
	}
	click := UnitEvent{Event: "click", Count: 1, Value: 1}
	for _, c := range []struct {
		name string
		by   time.Duration
		want []UnitEvent
	}{
		{"at once", 0, []UnitEvent{click}},
		{"1000 and 500", time.Hour, []UnitEvent{click, {"purchase", 2, 1500}}},
		{"less 400 of the first", 24 * time.Hour, []UnitEvent{click, {"purchase", 2, 1100}}},
		{"the second is void, 30 more was told", 96 * time.Hour, []UnitEvent{click, {"purchase", 2, 630}}},
	} {
		if d := cmp.Diff(c.want, e.UnitOf(rows, decided.Add(c.by))); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

func unitGen() *rapid.Generator[Unit] {
	return rapid.Custom(func(t *rapid.T) Unit {
		u := Unit{Exposures: rapid.Int64Range(0, 50).Draw(t, "exposures"), Before: rapid.Int64Range(0, 1e12).Draw(t, "before")}
		for _, e := range []string{"click", "purchase"} {
			if rapid.Bool().Draw(t, e) {
				u.Events = append(u.Events, UnitEvent{Event: e, Count: rapid.Int64Range(1, 20).Draw(t, "count"), Value: rapid.Int64Range(1, 1e12).Draw(t, "value")})
			}
		}
		return u
	})
}

// Sums are exact, whatever the order, and what was added can be taken away; a restated unit is as if it had come so.
func TestUnitSumsAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		units := rapid.SliceOfN(unitGen(), 1, 12).Draw(t, "units")
		var all, back UnitSums
		square, cross := new(big.Int), new(big.Int)
		for _, u := range units {
			all = all.Plus(SumsOf(u))
			for _, e := range u.Events {
				if e.Event == "purchase" {
					square.Add(square, new(big.Int).Mul(big.NewInt(e.Value), big.NewInt(e.Value)))
					cross.Add(cross, new(big.Int).Mul(big.NewInt(e.Value), big.NewInt(u.Before)))
				}
			}
		}
		got := all.Event("purchase", false)
		for _, c := range []struct {
			got  Wide
			want *big.Int
		}{{got.ValueSq, square}, {got.ValueBefore, cross}} {
			if w := new(big.Int).Add(new(big.Int).Lsh(new(big.Int).SetUint64(c.got[0]), 64), new(big.Int).SetUint64(c.got[1])); w.Cmp(c.want) != 0 {
				t.Fatalf("%v, want %v", w, c.want)
			}
			if f, _ := new(big.Float).SetInt(c.want).Float64(); f != 0 && (c.got.Float()/f > 1+1e-15 || c.got.Float()/f < 1-1e-15) {
				t.Fatalf("%v as a float is %v", c.want, c.got.Float())
			}
		}
		for i := range units {
			back = back.Plus(SumsOf(units[len(units)-1-i]))
		}
		if d := cmp.Diff(all, back); d != "" {
			t.Fatalf("another order: %s", d)
		}
		for _, u := range units {
			back = back.Minus(SumsOf(u))
		}
		if d := cmp.Diff(UnitSums{}, back); d != "" {
			t.Fatalf("taken away again: %s", d)
		}
		first, other := units[0], rapid.Just(unitGen().Draw(t, "other")).Draw(t, "now")
		other.Exposures, other.Before = first.Exposures, first.Before
		restated := SumsOf(first).Restate(first, other)
		if d := cmp.Diff(SumsOf(other).Restated, restated.Restated); d != "" {
			t.Fatalf("restated: %s", d)
		}
		if d := cmp.Diff(SumsOf(first).Events, restated.Events); d != "" {
			t.Fatalf("what was known then moved: %s", d)
		}
	})
}

func TestAllotted(t *testing.T) {
	e := Experiment{Traffic: new(0.5), Slice: &Slice{From: 0.2, To: 0.6}, Groups: GroupShares{Policy: 0.9, Holdout: 0.1}}
	if got := e.Allotted(GroupPolicy); got < 0.18-1e-12 || got > 0.18+1e-12 { // 0.5 × 0.4 × 0.9
		t.Errorf("%v", got)
	}
}

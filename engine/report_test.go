package engine_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/experiments/report"
	"github.com/juncture/juncture/internal/testkit"
)

// told is an outcome that was acknowledged.
type told struct {
	event, id, adjusts string
	minor              int64
	at                 time.Time
}

// seen is a shopper as a reader of the answers knows them.
type seen struct {
	group     juncture.Group
	enrolled  time.Time
	exposures int64
	told      []told
}

// TestAnyInterleavingGivesTheSameReport: whatever the order of rewards, refunds, repeats, late news, restarts and closings,
// the report is what the acknowledged calls add up to, counted here by hand.
func TestAnyInterleavingGivesTheSameReport(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := open(t, testkit.Shares(0.4, 0.2, 0.2, 0.2), testkit.Hero(func(e *juncture.Experiment) { e.Stickiness = juncture.StickyNone }))
		defer s.Stop()
		ctx := context.Background()
		pick := func(label string, from ...string) string { return rapid.SampledFrom(from).Draw(rt, label) }
		people := map[string]*seen{}
		decided := map[string][]string{}
		for range rapid.IntRange(5, 50).Draw(rt, "steps") {
			now := s.Clock.Now()
			id := pick("shopper", "a", "b", "c", "d")
			switch rapid.IntRange(0, 8).Draw(rt, "step") {
			case 0, 1:
				a := s.choose(ask(id))
				p := people[id]
				if p == nil {
					p = &seen{group: a.Group, enrolled: now}
					people[id] = p
				}
				if now.Sub(p.enrolled) <= day {
					p.exposures++
				}
				decided[id] = append(decided[id], a.DecisionID)
			case 2, 3, 4, 5:
				if len(decided[id]) == 0 {
					continue
				}
				r := &juncture.RewardRequest{Event: pick("event", "click", "purchase"), OutcomeID: pick("outcome", "o1", "o2", "o3"), ShopperID: id}
				if rapid.Bool().Draw(rt, "by decision") {
					r.ShopperID, r.DecisionID = "", rapid.SampledFrom(decided[id]).Draw(rt, "decision")
				}
				if r.Event == "purchase" {
					r.Value, r.Currency = new(rapid.SampledFrom([]float64{5, 20, 99.99}).Draw(rt, "value")), "GBP"
				}
				if rapid.IntRange(1, 3).Draw(rt, "refund") == 1 {
					r.Adjusts, r.OutcomeID = new(r.OutcomeID), r.OutcomeID+"-"+pick("refund", "x", "y")
					r.Value = rapid.SampledFrom([]*float64{nil, new(-1.0), new(-4.0)}).Draw(rt, "change")
				}
				a, err := s.Engine.Reward(ctx, now, r)
				if err != nil || a.Status == juncture.StatusDuplicate || a.Status == juncture.StatusIgnored {
					continue
				}
				people[id].take(r, a.AttributedTo[0].DecisionID, now)
			case 6:
				s.Clock.Advance(time.Duration(rapid.SampledFrom([]int{1, 300, 1441}).Draw(rt, "minutes")) * time.Minute)
			case 7:
				s.Restart()
			case 8:
				if _, err := s.DB.CloseUnits(ctx, now); err != nil {
					rt.Fatal(err)
				}
			}
		}
		r, err := s.Engine.Report(ctx, "hero", s.Clock.Advance(2*day), report.Query{})
		if err != nil {
			rt.Fatal(err)
		}
		want := map[string]float64{}
		for _, p := range people {
			p.count(want)
		}
		got := map[string]float64{}
		for _, g := range r.Groups {
			add := func(what string, n float64) {
				if n != 0 {
					got[g.Group.String()+" "+what] = n
				}
			}
			add("enrolled", float64(g.Enrolled))
			add("closed", float64(g.Closed))
			add("exposures", float64(g.Exposures))
			for _, m := range g.Metrics {
				add(m.Outcome+" shoppers", float64(m.Shoppers))
				add(m.Outcome+" count", float64(m.Count))
				add(m.Outcome+" value", m.Value)
				add(m.Outcome+" now", m.Restated*float64(g.Closed))
			}
		}
		same := cmp.Comparer(func(a, b float64) bool { return a-b < 1e-6 && b-a < 1e-6 })
		if d := cmp.Diff(want, got, same); d != "" {
			rt.Fatalf("by hand (-), report (+): %s", d)
		}
		s.Verify()
		if t.Failed() {
			rt.FailNow()
		}
	})
}

// take notes an outcome that was acknowledged: an order once for each of its ids, a click once for each on its decision.
func (p *seen) take(r *juncture.RewardRequest, decision string, now time.Time) {
	of := ""
	if r.Event == "click" {
		of = " of " + decision
	}
	o := told{event: r.Event, id: r.OutcomeID + of, minor: 1, at: now}
	if r.Value != nil {
		o.minor = int64(*r.Value*100 + 0.5*sign(*r.Value))
		if r.Event == "click" {
			o.minor = int64(*r.Value)
		}
	}
	if slices.ContainsFunc(p.told, func(t told) bool { return t.event == o.event && t.id == o.id }) {
		return // another decision's: the shopper did it once
	}
	if r.Adjusts != nil {
		o.adjusts = *r.Adjusts + of
		base, left := slices.IndexFunc(p.told, func(t told) bool { return t.event == o.event && t.id == o.adjusts }), int64(0)
		if base < 0 || p.told[base].at.Sub(p.enrolled) > day {
			return // of nothing that counts
		}
		for _, t := range p.told {
			if t.event == o.event && (t.id == o.adjusts || t.adjusts == o.adjusts) {
				left += t.minor
			}
		}
		if r.Value == nil {
			o.minor = -left
		}
		if left+o.minor < 0 || o.minor == 0 {
			return // another decision's had more left
		}
	} else if now.Sub(p.enrolled) > day {
		return
	}
	p.told = append(p.told, o)
}

func sign(v float64) float64 {
	if v < 0 {
		return -1
	}
	return 1
}

// count adds what a closed shopper did to figures by group.
func (p *seen) count(into map[string]float64) {
	add := func(what string, n float64) {
		if n != 0 {
			into[p.group.String()+" "+what] += n
		}
	}
	add("enrolled", 1)
	add("closed", 1)
	add("exposures", float64(p.exposures))
	for _, event := range []string{"click", "purchase"} {
		for _, now := range []bool{false, true} {
			count, value := 0.0, 0.0
			for _, o := range p.told {
				if o.event != event || o.adjusts != "" {
					continue
				}
				net := o.minor
				for _, a := range p.told {
					if a.event == event && a.adjusts == o.id && (now || a.at.Sub(p.enrolled) <= day) {
						net += a.minor
					}
				}
				if net > 0 {
					count++
					value += float64(net) / 100
				}
			}
			switch {
			case now && event == "purchase":
				add(fmt.Sprint(event, " now"), value)
			case now && count > 0:
				add(fmt.Sprint(event, " now"), 1)
			case !now:
				if count > 0 {
					add(event+" shoppers", 1)
				}
				add(event+" count", count)
				if event == "purchase" {
					add(event+" value", value)
				}
			}
		}
	}
}

// TestReportSaysSinceWhenAndHowMuch: the first enrolment's hour, and the decisions of the last days, from the buckets of the
// tallies.
func TestReportSaysSinceWhenAndHowMuch(t *testing.T) {
	s := open(t, testkit.Shares(0.5, 0.2, 0.3, 0), testkit.Hero(func(e *juncture.Experiment) { e.Stickiness = juncture.StickyNone }))
	began := s.Clock.Now()
	ctx := context.Background()
	read := func() report.Report {
		t.Helper()
		r, err := s.Engine.Report(ctx, "hero", s.Clock.Now(), report.Query{})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := read(); r.Started != nil {
		t.Errorf("started %v, with nobody", r.Started)
	}
	for _, n := range []int{3, 0, 2} { // decisions a day
		for i := range n {
			s.choose(ask(fmt.Sprint("shopper-", i)))
		}
		s.Clock.Advance(day)
	}
	// A checkpoint merges what is older than two days into its day.
	for _, apart := range []time.Duration{time.Hour, day} {
		r := read()
		var got []int64
		for _, d := range r.Traffic {
			got = append(got, d.Decisions)
		}
		if diff := cmp.Diff([]int64{0, 0, 0, 3, 0, 2, 0}, got); diff != "" || r.Started == nil || !r.Started.Equal(began.Truncate(apart)) {
			t.Errorf("since %v: %s", r.Started, diff)
		}
		if _, err := s.Writer.Checkpoint(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

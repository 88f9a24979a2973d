package report_test

import (
	"flag"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/juncture/juncture"
	"github.com/juncture/juncture/experiments"
	"github.com/juncture/juncture/experiments/interval"
	"github.com/juncture/juncture/experiments/report"
)

var update = flag.Bool("update", false, "write the golden files")

func began() time.Time { return time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC) }

// shop makes the source of an experiment day by day.
type shop struct {
	src  report.Source
	rows map[string]*juncture.UnitRow
}

func hero(f ...func(*juncture.Experiment)) *shop {
	x := &juncture.Experiment{ID: "hero", Surface: "home_hero", Status: juncture.StatusRunning, Goal: juncture.Goal{Outcome: "purchase", Window: juncture.Duration(24 * time.Hour)},
		Groups: juncture.GroupShares{Policy: 0.8, Random: 0.05, BAU: 0.05, Holdout: 0.1}}
	for _, f := range f {
		f(x)
	}
	return &shop{src: report.Source{ID: "hero", Experiment: x, Currency: "GBP", Outcomes: []juncture.OutcomeType{{Name: "click", Type: juncture.OutcomeBinary}, {Name: "purchase", Type: juncture.OutcomeMoney}},
		Arms: map[juncture.ArmID]experiments.ArmInfo{1: {Arm: juncture.Arm{Action: "news", ActionVersion: 1, Copy: "plain", CopyVersion: 1}}}}, rows: map[string]*juncture.UnitRow{}}
}

// add enrols so many shoppers on a day, of whom so many bought once for minor units; all have closed by the next day.
func (s *shop) add(day int, g juncture.Group, lifecycle string, shoppers, buyers int, minor int64) {
	at := began().AddDate(0, 0, day)
	x := juncture.Intersection{lifecycle, "_", "_", "_"}
	var sums juncture.UnitSums
	for i := range shoppers {
		u := juncture.Unit{Exposures: 1}
		if i < buyers {
			u.Events = []juncture.UnitEvent{{Event: "purchase", Count: 1, Value: minor}}
		}
		sums = sums.Plus(juncture.SumsOf(u))
	}
	for _, r := range []juncture.UnitRow{{Intersection: x}, {Day: at.AddDate(0, 0, 1)}} {
		r.Experiment, r.Group = "hero", g
		name := g.String() + r.RowName()
		if s.rows[name] == nil {
			s.rows[name] = &r
		}
		s.rows[name].UnitSums = s.rows[name].UnitSums.Plus(sums)
	}
	c := juncture.Cell{Experiment: "hero", Intersection: x}
	d := juncture.Enrolment{Experiment: "hero", Group: g, Intersection: x, At: at}.Enrolled(int64(shoppers))
	c.Fold(1, int64(len(s.src.Cells)+1), d, juncture.Delta{TallyKey: juncture.TallyKey{Experiment: "hero", Intersection: x, Arm: 1, Group: g}, Tally: juncture.Tally{Trials: int64(shoppers)}},
		juncture.Delta{TallyKey: juncture.TallyKey{Experiment: "hero", Intersection: x, Arm: 1, Group: g, Event: "purchase"}, Tally: juncture.Tally{Successes: int64(buyers)}})
	s.src.Cells = append(s.src.Cells, c)
}

func (s *shop) build(t *testing.T, asOf int, q report.Query) report.Report {
	t.Helper()
	src := s.src
	src.AsOf = began().AddDate(0, 0, asOf)
	for _, r := range s.rows {
		src.Units = append(src.Units, *r)
	}
	r, err := report.Build(src, q)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func find(t *testing.T, r report.Report, outcome, measure string, of, over juncture.Group) report.Lift {
	t.Helper()
	for _, l := range r.Lifts {
		if l.Outcome == outcome && l.Measure == measure && l.Group == of && l.Over == over {
			return l
		}
	}
	t.Fatalf("no lift of %s %s, %s over %s", outcome, measure, of, over)
	return report.Lift{}
}

func is(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-9*math.Max(1, math.Abs(want)) {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// 8,000 and 1,000 shoppers: 400 buy for £20 (5%, £1 a shopper), 40 for £20 (4%, £0.80).
func TestLifts(t *testing.T) {
	s := hero()
	s.add(0, juncture.GroupPolicy, "loyal", 8000, 400, 2000)
	s.add(0, juncture.GroupHoldout, "loyal", 1000, 40, 2000)
	r := s.build(t, 3, report.Query{})
	if g := r.Groups[0]; g.Enrolled != 8000 || g.Closed != 8000 || g.Open != 0 || g.Exposures != 8000 || g.Trials != 8000 || len(r.Groups) != 4 {
		t.Errorf("%+v", r.Groups)
	}
	is(t, "revenue", r.Groups[0].Metrics[1].Value, 8000)
	is(t, "a shopper", r.Groups[0].Metrics[1].PerShopper, 1)
	is(t, "an order", r.Groups[0].Metrics[1].Average, 20)
	c := find(t, r, "purchase", report.MeasureConversion, juncture.GroupPolicy, juncture.GroupHoldout)
	is(t, "difference", c.Difference.Estimate, 0.01)
	is(t, "relative", c.Relative.Estimate, 0.25)
	is(t, "a thousand", c.Thousand.Estimate, 10)
	// Unpooled standard error by hand, with the unbiased variances p(1−p)·n/(n−1).
	se := math.Sqrt(0.05*0.95/7999 + 0.04*0.96/999)
	is(t, "fixed", c.Difference.FixedHigh, 0.01+1.959963984540054*se)
	if !(c.Difference.Low < c.Difference.FixedLow && c.Difference.High > c.Difference.FixedHigh && c.Difference.Low < 0) || !c.Adaptive || c.AlwaysP != 0 || c.EValue <= 0 {
		t.Errorf("%+v", c)
	}
	m := find(t, r, "purchase", report.MeasureRevenue, juncture.GroupPolicy, juncture.GroupHoldout)
	if m.Difference.NotEnough == "" { // 40 orders: fewer than 100
		t.Errorf("%+v", m)
	}
	is(t, "mean all the same", m.ControlMean, 0.8)
	for _, l := range r.Lifts {
		if l.Outcome == "click" && l.Over == juncture.GroupHoldout {
			t.Errorf("clicks are held against the holdout: %+v", l)
		}
	}
	if !strings.Contains(r.Sentence, "Not enough data yet") {
		t.Errorf("%q", r.Sentence)
	}
}

// A slice is by the value at enrolment; days add up; a group that did not learn has its own test.
func TestSlicesAndDays(t *testing.T) {
	s := hero()
	for day := range 3 {
		s.add(day, juncture.GroupPolicy, "loyal", 1000, 100, 1000)
		s.add(day, juncture.GroupPolicy, "prospect", 1000, 20, 1000)
		s.add(day, juncture.GroupRandom, "loyal", 500, 40, 1000)
		s.add(day, juncture.GroupBAU, "loyal", 500, 30, 1000)
		s.add(day, juncture.GroupHoldout, "loyal", 500, 25, 1000)
	}
	r := s.build(t, 5, report.Query{Slice: map[string]string{"lifecycle": "loyal"}})
	if r.Groups[0].Closed != 3000 || len(r.Days) != 0 {
		t.Errorf("%+v", r.Groups[0])
	}
	is(t, "loyal", r.Groups[0].Metrics[1].Conversion, 0.1)
	if r := s.build(t, 5, report.Query{Slice: map[string]string{"tier": "moment"}}); r.Groups[0].Closed != 6000 {
		t.Errorf("%+v", r.Groups[0])
	}
	all := s.build(t, 5, report.Query{})
	if len(all.Days) != 3 || all.Days[2].Closed["policy"] != 6000 || all.Days[0].Closed["holdout"] != 500 || all.Days[0].Day != "2026-01-06" {
		t.Errorf("%+v", all.Days)
	}
	l := find(t, all, "purchase", report.MeasureConversion, juncture.GroupRandom, juncture.GroupBAU)
	if l.Adaptive || l.AlwaysP <= 0 || l.AlwaysP > 1 {
		t.Errorf("%+v", l)
	}
	a := all.Arms[0]
	if a.Policy.Trials != 6000 || a.Random.Trials != 1500 || a.Random.Successes != 120 {
		t.Errorf("%+v", a)
	}
	is(t, "random", a.Random.Mean, 0.08)
	for _, bad := range []map[string]string{{"weather": "sunny"}, {"lifecycle": "Ä"}} {
		if _, err := report.Build(s.src, report.Query{Slice: bad}); juncture.ErrorCode(err) != juncture.CodeInvalidRequest {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

// What a layer reaches: of 1,500 shoppers 1,000 have a known moment, 300 of them a known taste too.
func TestLayers(t *testing.T) {
	s := hero()
	s.add(0, juncture.GroupPolicy, "loyal", 700, 70, 1000)
	s.add(0, juncture.GroupPolicy, "_", 500, 10, 1000)
	s.add(0, juncture.GroupHoldout, "loyal", 300, 21, 1000)
	for name, r := range s.rows {
		if r.Group == juncture.GroupHoldout && r.Day.IsZero() {
			delete(s.rows, name)
			r.Intersection[juncture.Meaning] = "c1"
			s.rows[name] = r
		}
	}
	r := s.build(t, 3, report.Query{})
	reach := []float64{1000. / 1500, 300. / 1500, 0, 0}
	for i, l := range r.Layers {
		is(t, l.Tier, l.Reach, reach[i])
		if l.Asks == "" || !strings.Contains(l.Sentence, "are known as far as") {
			t.Errorf("%+v", l)
		}
	}
}

// Phases with other shares: pooled, policy's 700/9000 against 110/2000 would mix days that sold differently. By phase the
// differences are 0.01 and 0.02, of 9,000 and 2,000 shoppers.
func TestPhasesAreStrata(t *testing.T) {
	s := hero()
	s.add(0, juncture.GroupPolicy, "loyal", 8000, 480, 1000)
	s.add(0, juncture.GroupHoldout, "loyal", 1000, 50, 1000)
	for name, r := range maps.Clone(s.rows) {
		later := *r
		later.Phase, later.UnitSums = 1, juncture.UnitSums{}
		buyers, n := 220, 1000
		if r.Group == juncture.GroupHoldout {
			buyers = 200
		}
		for i := range n {
			u := juncture.Unit{Exposures: 1}
			if i < buyers {
				u.Events = []juncture.UnitEvent{{Event: "purchase", Count: 1, Value: 1000}}
			}
			later.UnitSums = later.UnitSums.Plus(juncture.SumsOf(u))
		}
		s.rows[name+"/1"] = &later
	}
	l := find(t, s.build(t, 3, report.Query{}), "purchase", report.MeasureConversion, juncture.GroupPolicy, juncture.GroupHoldout)
	is(t, "difference", l.Difference.Estimate, (9000*0.01+2000*0.02)/11000)
}

// Weeks pass: nothing is decided before the fourth, then by the rule; a state that was final stays.
func TestGate(t *testing.T) {
	gate := func(x *juncture.Experiment) {
		x.Gate = &juncture.Gate{Outcome: "purchase", Threshold: 0.3}
		x.Starts = new(began())
	}
	play := func(buyers int, weeks int) *report.GateReport {
		s := hero(gate)
		for day := range 7 * weeks {
			s.add(day, juncture.GroupPolicy, "loyal", 800, buyers, 1000)
			s.add(day, juncture.GroupHoldout, "loyal", 100, 4, 1000)
		}
		return s.build(t, 7*weeks+1, report.Query{}).Gate
	}
	if g := play(60, 3); g.State != interval.Waiting || g.Weeks != 0 || g.By == nil || !g.By.Equal(began().AddDate(0, 0, 28)) {
		t.Errorf("before the fourth week: %+v", g)
	}
	if g := play(60, 6); g.State != interval.Expand || g.Weeks != 4 || g.Plan == nil || math.Abs(g.Plan.Lift-0.4) > 1e-12 {
		t.Errorf("7.5%% against 4%%: %+v", g)
	}
	if g := play(16, 6); g.State != interval.Futile {
		t.Errorf("2%% against 4%%: %+v", g)
	}
	if g := hero(gate).build(t, 1, report.Query{}).Gate; g.State != interval.Waiting || g.Sentence == "" {
		t.Errorf("nobody: %+v", g)
	}
	if g := hero(gate).build(t, -1, report.Query{}).Gate; g.State != interval.Waiting { // before it starts
		t.Errorf("%+v", g)
	}
	if g := hero(gate, func(x *juncture.Experiment) { x.Groups = juncture.GroupShares{Policy: 1} }).build(t, 1, report.Query{}).Gate; !strings.Contains(g.Sentence, "no group to compare") {
		t.Errorf("%+v", g)
	}
}

// A slice is judged by all who have closed there. 140 a day of 900 at one intersection cannot come to what the plan takes, and
// everybody can.
func TestGateOfASlice(t *testing.T) {
	s := hero(func(x *juncture.Experiment) {
		x.Gate = &juncture.Gate{Threshold: 0.3}
		x.Starts = new(began())
	})
	for day := range 35 {
		s.add(day, juncture.GroupPolicy, "loyal", 120, 8, 1000)
		s.add(day, juncture.GroupHoldout, "loyal", 20, 1, 1000)
		s.add(day, juncture.GroupPolicy, "prospect", 680, 50, 1000)
		s.add(day, juncture.GroupHoldout, "prospect", 80, 3, 1000)
	}
	here := s.build(t, 36, report.Query{Slice: map[string]string{"lifecycle": "loyal"}}).Gate
	if here.State != interval.Waiting || here.Plan == nil || !strings.HasSuffix(here.Sentence, "The traffic here will not decide it by week 8; that of everybody will.") {
		t.Errorf("%+v", here)
	}
	if all := s.build(t, 36, report.Query{Slice: map[string]string{"lifecycle": "prospect"}}).Gate; all.State != interval.Expand {
		t.Errorf("%+v", all)
	}
}

func TestText(t *testing.T) {
	for name, s := range map[string]*shop{"empty": hero(), "lift": hero(func(x *juncture.Experiment) { x.Gate = &juncture.Gate{Threshold: 0.1, Measure: juncture.MeasureValue} })} {
		if name == "lift" {
			for day := range 30 {
				s.add(day, juncture.GroupPolicy, "loyal", 1600, 96, 2550)
				s.add(day, juncture.GroupRandom, "loyal", 100, 5, 2550)
				s.add(day, juncture.GroupBAU, "loyal", 100, 4, 2550)
				s.add(day, juncture.GroupHoldout, "prospect", 200, 8, 2500)
			}
		}
		var b strings.Builder
		if err := report.Write(&b, s.build(t, 31, report.Query{})); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join("testdata", name+".txt")
		if *update {
			if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), b.String()); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestOpening(t *testing.T) {
	s := hero()
	at := s.src.AsOf
	if at.IsZero() {
		at = began().AddDate(0, 0, 40)
	}
	s.src.AsOf = at
	hour := func(days int) juncture.Bucket { return juncture.Calendar{}.At(at.AddDate(0, 0, -days)) }
	s.src.Cells = append(s.src.Cells, juncture.Cell{Experiment: "hero", Intersection: juncture.Intersection{"loyal", "_", "_", "_"}, Rows: []juncture.CellRow{
		{Arm: 1, Group: juncture.GroupPolicy, Bucket: hour(0), Tally: juncture.Tally{Trials: 5}}, {Group: juncture.GroupHoldout, Bucket: hour(0), Tally: juncture.Tally{Trials: 2}},
		{Arm: 1, Group: juncture.GroupPolicy, Event: "click", Bucket: hour(0), Tally: juncture.Tally{Successes: 3}},
		{Arm: 1, Group: juncture.GroupPolicy, Bucket: hour(6), Tally: juncture.Tally{Trials: 11}}, {Arm: 1, Group: juncture.GroupPolicy, Bucket: hour(7), Tally: juncture.Tally{Trials: 1000}},
		{Arm: 1, Group: juncture.GroupPolicy, Bucket: juncture.BucketOlder, Tally: juncture.Tally{Trials: 1000}}}})
	r, err := report.Build(s.src, report.Query{})
	if err != nil {
		t.Fatal(err)
	}
	// 5 + 2 today, of both groups; 11 six days ago; the seventh day and what is older are not of the last 7.
	want := []int64{11, 0, 0, 0, 0, 0, 7}
	var got []int64
	for _, d := range r.Traffic {
		got = append(got, d.Decisions)
	}
	if diff := cmp.Diff(want, got); diff != "" || r.Traffic[6].Day != at.Format(time.DateOnly) {
		t.Errorf("%s %+v", diff, r.Traffic)
	}
	if r.Headline == nil || *r.Headline != (report.Headline{Outcome: "purchase", Measure: report.MeasureRevenue, Over: juncture.GroupHoldout}) {
		t.Errorf("opens with %+v", r.Headline)
	}
	if _, ok := r.Opening(); ok {
		t.Error("has a lift of nobody")
	}
	for day := range 8 {
		s.add(day, juncture.GroupPolicy, "loyal", 900, 90, 4200)
		s.add(day, juncture.GroupHoldout, "loyal", 300, 20, 4200)
	}
	s.src.Units = nil
	for _, u := range s.rows {
		s.src.Units = append(s.src.Units, *u)
	}
	if r, err = report.Build(s.src, report.Query{}); err != nil {
		t.Fatal(err)
	}
	if l, ok := r.Opening(); !ok || l.Sentence != r.Sentence {
		t.Errorf("opens with %+v, says %q", l, r.Sentence)
	}
	alone := hero(func(x *juncture.Experiment) { x.Groups = juncture.GroupShares{Policy: 1} })
	alone.src.AsOf = at
	if r, err = report.Build(alone.src, report.Query{}); err != nil || r.Headline != nil {
		t.Errorf("without a control: %+v, %v", r.Headline, err)
	}
}
